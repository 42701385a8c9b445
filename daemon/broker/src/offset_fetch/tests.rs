//! OffsetFetch: three shapes of question, and never an error that ends a consumer.

use super::*;
use crate::double::{Bench, ORDERS, bench};
use holdfast_base::TopicId;
use kafka_protocol::messages::offset_fetch_request::{
    OffsetFetchRequestGroup, OffsetFetchRequestTopic, OffsetFetchRequestTopics,
};
use kafka_protocol::protocol::StrBytes;

fn name(text: &str) -> TopicName {
    TopicName(StrBytes::from(text.to_owned()))
}

fn group(text: &str) -> GroupId {
    GroupId(StrBytes::from(text.to_owned()))
}

fn row(offset: i64) -> OffsetRow {
    OffsetRow { offset, leader_epoch: 7, metadata: "mine".to_owned(), committed_at_ms: 0 }
}

fn key(topic: TopicId, partition: i32) -> PartitionKey {
    PartitionKey { topic, partition }
}

/// A question to one group, in the shape of the version.
fn request(topics: Option<&[(&str, &[i32])]>, version: i16) -> OffsetFetchRequest {
    let request = OffsetFetchRequest::default();
    if version < 8 {
        let topics = topics.map(|topics| {
            let topic = |(text, indexes): &(&str, &[i32])| {
                OffsetFetchRequestTopic::default()
                    .with_name(name(text))
                    .with_partition_indexes(indexes.to_vec())
            };
            topics.iter().map(topic).collect()
        });
        return request.with_group_id(group("readers")).with_topics(topics);
    }
    let topics = topics.map(|topics| {
        let topic = |(text, indexes): &(&str, &[i32])| {
            OffsetFetchRequestTopics::default()
                .with_name(name(text))
                .with_partition_indexes(indexes.to_vec())
        };
        topics.iter().map(topic).collect()
    });
    let asked = OffsetFetchRequestGroup::default().with_group_id(group("readers"));
    request.with_groups(vec![asked.with_topics(topics)])
}

/// The error of the only group, and its partitions: topic, index, offset, epoch, metadata, error.
type Told = (i16, Vec<(String, i32, i64, i32, String, i16)>);

async fn ask(bench: &Bench, request: OffsetFetchRequest, version: i16) -> Told {
    let mut answer = handle(Arc::clone(&bench.broker), request, version).await;
    let text = |metadata: &Option<StrBytes>| metadata.as_deref().unwrap_or("null").to_owned();
    let mut told = Vec::new();
    if version < 8 {
        assert!(answer.groups.is_empty());
        for topic in &answer.topics {
            told.extend(topic.partitions.iter().map(|one| {
                let metadata = text(&one.metadata);
                let (offset, epoch) = (one.committed_offset, one.committed_leader_epoch);
                (
                    topic.name.to_string(),
                    one.partition_index,
                    offset,
                    epoch,
                    metadata,
                    one.error_code,
                )
            }));
        }
        return (answer.error_code, told);
    }
    assert!(answer.topics.is_empty());
    let group = answer.groups.remove(0);
    assert_eq!(&*group.group_id.0, "readers");
    for topic in &group.topics {
        told.extend(topic.partitions.iter().map(|one| {
            let metadata = text(&one.metadata);
            let (offset, epoch) = (one.committed_offset, one.committed_leader_epoch);
            (topic.name.to_string(), one.partition_index, offset, epoch, metadata, one.error_code)
        }));
    }
    (group.error_code, told)
}

fn committed(
    topic: &str,
    index: i32,
    offset: i64,
    version: i16,
) -> (String, i32, i64, i32, String, i16) {
    let epoch = if version >= 5 { 7 } else { -1 };
    (topic.to_owned(), index, offset, epoch, "mine".to_owned(), 0)
}

fn never(topic: &str, index: i32) -> (String, i32, i64, i32, String, i16) {
    (topic.to_owned(), index, -1, -1, String::new(), 0)
}

#[tokio::test]
async fn what_was_never_committed_is_minus_one_without_an_error() {
    let bench = bench();
    for version in 1..=9 {
        bench.lane.answer(Answer::FetchOffsets(Ok(vec![(key(ORDERS, 1), row(40))])));
        let asked: &[(&str, &[i32])] = &[("orders", &[0, 1, 9]), ("nothing", &[0])];
        let told = ask(&bench, request(Some(asked), version), version).await;
        let expected = vec![
            never("orders", 0),
            committed("orders", 1, 40, version),
            never("orders", 9),
            never("nothing", 0),
        ];
        assert_eq!(told, (0, expected), "version {version}");
        let seen = bench.lane.take_seen();
        let [Request::FetchOffsets(call)] = &seen[..] else { panic!("{seen:?}") };
        assert_eq!(call.group, "readers");
        assert_eq!(call.partitions, Some(vec![key(ORDERS, 0), key(ORDERS, 1)]));
    }
}

#[tokio::test]
async fn a_group_nobody_knows_has_no_offsets_and_no_error() {
    let bench = bench();
    for version in 1..=9 {
        bench.lane.answer(Answer::FetchOffsets(Err(GroupError::GroupIdNotFound)));
        let told = ask(&bench, request(Some(&[("orders", &[0])]), version), version).await;
        assert_eq!(told, (0, vec![never("orders", 0)]), "version {version}");
    }
}

#[tokio::test]
async fn no_topics_is_all_and_one_deleted_meanwhile_is_left_out() {
    let bench = bench();
    for version in 2..=9 {
        let gone = TopicId([0; 16]);
        let rows =
            vec![(key(gone, 0), row(1)), (key(ORDERS, 0), row(40)), (key(ORDERS, 1), row(41))];
        bench.lane.answer(Answer::FetchOffsets(Ok(rows)));
        let told = ask(&bench, request(None, version), version).await;
        let expected =
            vec![committed("orders", 0, 40, version), committed("orders", 1, 41, version)];
        assert_eq!(told, (0, expected), "version {version}");
        let seen = bench.lane.take_seen();
        let [Request::FetchOffsets(call)] = &seen[..] else { panic!("{seen:?}") };
        assert_eq!(call.partitions, None);
    }
}

#[tokio::test]
async fn a_refused_group_is_said_where_the_version_has_a_place_for_it() {
    let bench = bench();
    for (error, code) in [
        (GroupError::LoadInProgress, 14),
        (GroupError::NotCoordinator, 16),
        (GroupError::CoordinatorNotAvailable, 16),
    ] {
        for version in 1..=9 {
            bench.lane.answer(Answer::FetchOffsets(Err(error.clone())));
            let told = ask(&bench, request(Some(&[("orders", &[0])]), version), version).await;
            let expected = if version == 1 {
                let mut partition = never("orders", 0);
                partition.5 = code;
                (0, vec![partition])
            } else {
                (code, Vec::new())
            };
            assert_eq!(told, expected, "version {version}");
        }
    }
}

#[tokio::test]
async fn several_groups_are_asked_together_and_fail_apart() {
    let bench = bench();
    bench.lane.answer(Answer::FetchOffsets(Err(GroupError::NotCoordinator)));
    bench.lane.answer(Answer::FetchOffsets(Ok(vec![(key(ORDERS, 0), row(40))])));
    let asked = ["a", "b"].map(|text| {
        OffsetFetchRequestGroup::default().with_group_id(group(text)).with_topics(None)
    });
    let request = OffsetFetchRequest::default().with_groups(asked.to_vec());
    let answer = handle(Arc::clone(&bench.broker), request, 8).await;
    let told: Vec<_> = answer
        .groups
        .iter()
        .map(|group| (&*group.group_id.0, group.error_code, group.topics.len()))
        .collect();
    assert_eq!(told, [("a", 16, 0), ("b", 0, 1)]);
}
