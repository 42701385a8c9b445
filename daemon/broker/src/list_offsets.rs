//! ListOffsets (key 2): -1 end, -2 start, -3 greatest timestamp, -4 first on this node, -5 last
//! uploaded, -6 first that is not, else by time. The lane knows batches; where the answer is one record inside a batch,
//! it is found here, away from the lane.

use crate::broker::{Broker, View};
use crate::produce::limits_of;
use holdfast_base::PartitionKey;
use holdfast_batch::{find_by_timestamp, max_timestamp_record};
use holdfast_lane::{Answer, FoundOffset, OffsetAnswer, OffsetQuery, Reason, Refusal, Request};
use holdfast_protocol::errors::ListOffsetsError;
use kafka_protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsRequest};
use kafka_protocol::messages::list_offsets_response::{
    ListOffsetsPartitionResponse, ListOffsetsResponse, ListOffsetsTopicResponse,
};
use std::sync::Arc;

/// From here the answer carries the leader epoch.
const FIRST_VERSION_WITH_EPOCHS: i16 = 4;
/// From here clients know that a new leader may not know its offsets yet (KIP-207).
const FIRST_VERSION_WITH_OFFSET_NOT_AVAILABLE: i16 = 5;

/// What one partition is to be answered with.
enum Part {
    Refused(ListOffsetsError),
    /// The n-th part of the lane's call, and its query.
    Asked(usize, OffsetQuery, PartitionKey),
}

/// An offset and its timestamp, or the wire's error.
type Found = Result<(i64, i64, i32), ListOffsetsError>;

/// Answers with one offset per partition.
pub(crate) async fn handle(
    broker: Arc<Broker>,
    request: ListOffsetsRequest,
    version: i16,
) -> ListOffsetsResponse {
    let view = broker.view();
    let mut asked = Vec::new();
    let mut topics = Vec::with_capacity(request.topics.len());
    for topic in request.topics {
        let mut parts = Vec::with_capacity(topic.partitions.len());
        for partition in &topic.partitions {
            let part = collect(&view, &topic.name, partition, version, &mut asked);
            parts.push((partition.partition_index, part));
        }
        topics.push((topic.name, parts));
    }
    let count = asked.len();
    let mut answers: Vec<Option<Result<OffsetAnswer, Refusal>>> = if asked.is_empty() {
        Vec::new()
    } else {
        match broker.lane.call(Request::ListOffsets(asked)).await {
            Some(Answer::ListOffsets(answers)) => answers.into_iter().map(Some).collect(),
            _ => (0..count).map(|_| None).collect(),
        }
    };
    let mut responses = Vec::with_capacity(topics.len());
    for (name, parts) in topics {
        let mut partitions = Vec::with_capacity(parts.len());
        for (index, part) in parts {
            let found = match part {
                Part::Refused(error) => Err(error),
                Part::Asked(at, query, key) => {
                    let answer = answers.get_mut(at).and_then(Option::take);
                    resolve(&broker, &view, key, query, answer, version).await
                }
            };
            partitions.push(write_partition(index, found, version));
        }
        responses
            .push(ListOffsetsTopicResponse::default().with_name(name).with_partitions(partitions));
    }
    ListOffsetsResponse::default().with_topics(responses)
}

/// Kafka's magic timestamps, each with the version that brought it.
fn query_of(timestamp: i64, version: i16) -> Option<OffsetQuery> {
    let (query, first_version) = match timestamp {
        -1 => (OffsetQuery::Latest, 0),
        -2 => (OffsetQuery::Earliest, 0),
        -3 => (OffsetQuery::MaxTimestamp, 7),
        -4 => (OffsetQuery::EarliestLocal, 8),
        -5 => (OffsetQuery::LatestTiered, 9),
        -6 => (OffsetQuery::EarliestPendingUpload, 11),
        0.. => (OffsetQuery::AtTime(timestamp), 0),
        _ => return None,
    };
    (version >= first_version).then_some(query)
}

fn collect(
    view: &View,
    name: &str,
    partition: &ListOffsetsPartition,
    version: i16,
    asked: &mut Vec<holdfast_lane::ListOffsetsPartition>,
) -> Part {
    let index = partition.partition_index;
    let topic = view
        .image
        .topic(name)
        .filter(|topic| usize::try_from(index).is_ok_and(|index| index < topic.partitions.len()));
    let Some(topic) = topic else {
        return Part::Refused(ListOffsetsError::UnknownTopicOrPartition);
    };
    let Some(query) = query_of(partition.timestamp, version) else {
        return Part::Refused(ListOffsetsError::UnsupportedVersion);
    };
    let key = PartitionKey { topic: topic.id, partition: index };
    asked.push(holdfast_lane::ListOffsetsPartition {
        partition: key,
        query,
        current_leader_epoch: partition.current_leader_epoch,
    });
    Part::Asked(asked.len() - 1, query, key)
}

async fn resolve(
    broker: &Broker,
    view: &View,
    key: PartitionKey,
    query: OffsetQuery,
    answer: Option<Result<OffsetAnswer, Refusal>>,
    version: i16,
) -> Found {
    let answer = match answer {
        Some(Ok(answer)) => answer,
        Some(Err(refusal)) => return Err(error_of(&refusal, version)),
        None => return Err(ListOffsetsError::KafkaStorageError),
    };
    let slices = match answer.found {
        FoundOffset::Offset { offset, timestamp_ms } => {
            return Ok((offset, timestamp_ms, answer.leader_epoch));
        }
        FoundOffset::InBatch(slice) => vec![slice],
        FoundOffset::InFirstOf(slices) => slices,
    };
    let topic = view.image.topic_by_id(key.topic);
    let storage_error = |error: &dyn std::fmt::Display| {
        let topic = topic.map_or("", |topic| topic.name.as_str());
        let partition = key.partition;
        tracing::warn!(topic, partition, %error, "ListOffsets cannot look into a batch");
        ListOffsetsError::KafkaStorageError
    };
    let timestamp_ms = match query {
        OffsetQuery::AtTime(timestamp_ms) => Some(timestamp_ms),
        _ => None,
    };
    for slice in slices {
        let batch = broker.load_batch(slice, timestamp_ms).await;
        // None: an object's index claimed a record of that time, and no batch of it has one.
        let Some(batch) = batch.map_err(|error| storage_error(&error))? else { continue };
        let mut limits = topic.map(|topic| limits_of(&view.image, topic)).unwrap_or_default();
        // It was accepted once; today's settings do not make it unreadable.
        limits.batch_bytes_max = limits.batch_bytes_max.max(batch.len());
        limits.keys_required = false;
        let record = match query {
            OffsetQuery::AtTime(timestamp_ms) => find_by_timestamp(&batch, timestamp_ms, &limits),
            _ => max_timestamp_record(&batch, &limits),
        };
        if let Some((offset, timestamp_ms)) = record.map_err(|error| storage_error(&error))? {
            return Ok((offset, timestamp_ms, answer.leader_epoch));
        }
    }
    Ok((-1, -1, answer.leader_epoch))
}

fn error_of(refusal: &Refusal, version: i16) -> ListOffsetsError {
    match refusal.reason {
        Reason::NotReady if version >= FIRST_VERSION_WITH_OFFSET_NOT_AVAILABLE => {
            ListOffsetsError::OffsetNotAvailable
        }
        Reason::NotReady => ListOffsetsError::LeaderNotAvailable,
        Reason::NotLeader => ListOffsetsError::NotLeaderOrFollower,
        Reason::UnknownPartition => ListOffsetsError::UnknownTopicOrPartition,
        Reason::FencedEpoch => ListOffsetsError::FencedLeaderEpoch,
        Reason::UnknownEpoch => ListOffsetsError::UnknownLeaderEpoch,
        _ => ListOffsetsError::KafkaStorageError,
    }
}

fn write_partition(index: i32, found: Found, version: i16) -> ListOffsetsPartitionResponse {
    let response = ListOffsetsPartitionResponse::default().with_partition_index(index);
    match found {
        Ok((offset, timestamp_ms, leader_epoch)) => {
            let response = response.with_offset(offset).with_timestamp(timestamp_ms);
            if version >= FIRST_VERSION_WITH_EPOCHS {
                response.with_leader_epoch(leader_epoch)
            } else {
                response
            }
        }
        Err(error) => response
            .with_error_code(error.into())
            .with_offset(-1)
            .with_timestamp(-1)
            .with_leader_epoch(-1),
    }
}

#[cfg(test)]
mod tests;
