//! OffsetFetch (key 9): where a group goes on, by topic name from here outwards.
//!
//! | version | asks | a refused group |
//! | --- | --- | --- |
//! | 1 | one group | its error at every partition, for want of a better place |
//! | 2 to 7 | one group; no topics is all | the answer's error |
//! | 8 and 9 | several groups; no topics is all | its own error |
//!
//! What was never committed, in a group or topic that nobody knows, is offset -1 without an error:
//! a Java consumer ends at any partition error but UNSTABLE_OFFSET_COMMIT, which only open
//! transactions bring. When all is asked for, a topic deleted meanwhile has no name any more and is
//! left out.

use crate::broker::{Broker, View};
use crate::group::owned;
use crate::offset_commit::partition_of;
use holdfast_base::PartitionKey;
use holdfast_lane::{Answer, FetchOffsets, GroupError, OffsetRow, Request};
use holdfast_protocol::errors::OffsetFetchGroupError;
use kafka_protocol::messages::offset_fetch_request::OffsetFetchRequest;
use kafka_protocol::messages::offset_fetch_response::{
    OffsetFetchResponse, OffsetFetchResponseGroup, OffsetFetchResponsePartition,
    OffsetFetchResponsePartitions, OffsetFetchResponseTopic, OffsetFetchResponseTopics,
};
use kafka_protocol::messages::{GroupId, TopicName};
use std::collections::BTreeMap;
use std::sync::Arc;

const FIRST_VERSION_WITH_ERROR: i16 = 2;
const FIRST_VERSION_WITH_EPOCHS: i16 = 5;
const FIRST_VERSION_WITH_GROUPS: i16 = 8;

/// A group's question. `None` is every topic.
struct Wanted {
    group: GroupId,
    topics: Option<Vec<(TopicName, Vec<i32>)>>,
}

/// A partition and its row, if it has one.
type Row = (i32, Option<OffsetRow>);
/// Topics with their partitions' rows, as they are answered.
type Found = Result<Vec<(TopicName, Vec<Row>)>, OffsetFetchGroupError>;

/// Answers with offsets.
pub(crate) async fn handle(
    broker: Arc<Broker>,
    request: OffsetFetchRequest,
    version: i16,
) -> OffsetFetchResponse {
    let response = OffsetFetchResponse::default();
    if version < FIRST_VERSION_WITH_GROUPS {
        let topics = request.topics.map(|topics| {
            topics.into_iter().map(|topic| (topic.name, topic.partition_indexes)).collect()
        });
        let wanted = Wanted { group: request.group_id, topics };
        return answer_one(&broker, wanted, version).await;
    }
    // All are asked before the first is waited for.
    let mut asked = Vec::with_capacity(request.groups.len());
    for group in request.groups {
        let topics = group.topics.map(|topics| {
            topics.into_iter().map(|topic| (topic.name, topic.partition_indexes)).collect()
        });
        asked.push(ask(&broker, Wanted { group: group.group_id, topics }));
    }
    let mut groups = Vec::with_capacity(asked.len());
    for asked in asked {
        let (group, found) = asked.await;
        let answered = OffsetFetchResponseGroup::default().with_group_id(group);
        groups.push(match found {
            Ok(topics) => answered.with_topics(topics.into_iter().map(write_group_topic).collect()),
            Err(error) => answered.with_error_code(error.into()),
        });
    }
    response.with_groups(groups)
}

/// Up to version 7.
async fn answer_one(broker: &Arc<Broker>, wanted: Wanted, version: i16) -> OffsetFetchResponse {
    let response = OffsetFetchResponse::default();
    let asked = wanted.topics.clone().unwrap_or_default();
    let (topics, error) = match ask(broker, wanted).await.1 {
        Ok(topics) => (topics, OffsetFetchGroupError::None),
        Err(error) if version >= FIRST_VERSION_WITH_ERROR => {
            return response.with_error_code(error.into());
        }
        Err(error) => {
            let without_rows = asked.into_iter().map(|(name, indexes)| {
                (name, indexes.into_iter().map(|index| (index, None)).collect())
            });
            (without_rows.collect(), error)
        }
    };
    let mut topics: Vec<_> = topics.into_iter().map(|topic| write_topic(topic, version)).collect();
    for partition in topics.iter_mut().flat_map(|topic| &mut topic.partitions) {
        partition.error_code = error.into();
    }
    response.with_topics(topics)
}

/// Asks the lane, before this returns.
fn ask(broker: &Arc<Broker>, wanted: Wanted) -> impl Future<Output = (GroupId, Found)> + use<> {
    let view = broker.view();
    let partitions = wanted.topics.as_ref().map(|topics| {
        let keys = topics.iter().flat_map(|(name, indexes)| {
            indexes.iter().filter_map(|index| partition_of(&view, name, *index))
        });
        keys.collect::<Vec<PartitionKey>>()
    });
    let call = FetchOffsets { group: owned(&wanted.group), partitions };
    let pending = broker.lane.call(Request::FetchOffsets(call));
    async move {
        let rows = match pending.await {
            Some(Answer::FetchOffsets(Ok(rows))) => rows.into_iter().collect(),
            Some(Answer::FetchOffsets(Err(GroupError::GroupIdNotFound))) => BTreeMap::new(),
            Some(Answer::FetchOffsets(Err(error))) => return (wanted.group, Err(error_of(&error))),
            _ => return (wanted.group, Err(OffsetFetchGroupError::NotCoordinator)),
        };
        let topics = match wanted.topics {
            Some(topics) => pick(&view, topics, rows),
            None => name_all(&view, rows),
        };
        (wanted.group, Ok(topics))
    }
}

/// The rows asked for, in the order of the question.
fn pick(
    view: &View,
    topics: Vec<(TopicName, Vec<i32>)>,
    mut rows: BTreeMap<PartitionKey, OffsetRow>,
) -> Vec<(TopicName, Vec<Row>)> {
    let pick_topic = |(name, indexes): (TopicName, Vec<i32>)| {
        let found = indexes.into_iter().map(|index| {
            (index, partition_of(view, &name, index).and_then(|key| rows.remove(&key)))
        });
        let found = found.collect();
        (name, found)
    };
    topics.into_iter().map(pick_topic).collect()
}

/// Every row whose topic is still there.
fn name_all(view: &View, rows: BTreeMap<PartitionKey, OffsetRow>) -> Vec<(TopicName, Vec<Row>)> {
    let mut topics: BTreeMap<&str, Vec<Row>> = BTreeMap::new();
    for (key, row) in rows {
        if let Some(topic) = view.image.topic_by_id(key.topic) {
            topics.entry(topic.name.as_str()).or_default().push((key.partition, Some(row)));
        }
    }
    topics.into_iter().map(|(name, rows)| (TopicName(name.to_owned().into()), rows)).collect()
}

fn write_topic((name, rows): (TopicName, Vec<Row>), version: i16) -> OffsetFetchResponseTopic {
    let partitions = rows.into_iter().map(|(index, row)| {
        let partition = OffsetFetchResponsePartition::default().with_partition_index(index);
        let (offset, leader_epoch, metadata) = fields_of(row);
        let partition =
            partition.with_committed_offset(offset).with_metadata(Some(metadata.into()));
        if version >= FIRST_VERSION_WITH_EPOCHS {
            partition.with_committed_leader_epoch(leader_epoch)
        } else {
            partition
        }
    });
    OffsetFetchResponseTopic::default().with_name(name).with_partitions(partitions.collect())
}

fn write_group_topic((name, rows): (TopicName, Vec<Row>)) -> OffsetFetchResponseTopics {
    let partitions = rows.into_iter().map(|(index, row)| {
        let (offset, leader_epoch, metadata) = fields_of(row);
        OffsetFetchResponsePartitions::default()
            .with_partition_index(index)
            .with_committed_offset(offset)
            .with_committed_leader_epoch(leader_epoch)
            .with_metadata(Some(metadata.into()))
    });
    OffsetFetchResponseTopics::default().with_name(name).with_partitions(partitions.collect())
}

fn fields_of(row: Option<OffsetRow>) -> (i64, i32, String) {
    row.map_or((-1, -1, String::new()), |row| (row.offset, row.leader_epoch, row.metadata))
}

fn error_of(error: &GroupError) -> OffsetFetchGroupError {
    match error {
        // Java 2.8 does not know COORDINATOR_NOT_AVAILABLE here and ends the consumer.
        GroupError::NotCoordinator | GroupError::CoordinatorNotAvailable => {
            OffsetFetchGroupError::NotCoordinator
        }
        GroupError::LoadInProgress => OffsetFetchGroupError::CoordinatorLoadInProgress,
        _ => OffsetFetchGroupError::UnknownServerError,
    }
}

#[cfg(test)]
mod tests;
