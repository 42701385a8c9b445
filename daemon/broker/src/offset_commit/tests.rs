//! OffsetCommit: what is refused before the lane, and a code for every refusal.

use super::*;
use crate::double::{COMPACTED, ORDERS, bench};
use holdfast_protocol::errors::ErrorCode;
use kafka_protocol::messages::offset_commit_request::OffsetCommitRequestTopic;
use kafka_protocol::messages::{GroupId, TopicName};
use kafka_protocol::protocol::StrBytes;

fn topic(name: &str, partitions: Vec<OffsetCommitRequestPartition>) -> OffsetCommitRequestTopic {
    OffsetCommitRequestTopic::default()
        .with_name(TopicName(StrBytes::from(name.to_owned())))
        .with_partitions(partitions)
}

fn partition(index: i32, metadata: Option<&str>) -> OffsetCommitRequestPartition {
    OffsetCommitRequestPartition::default()
        .with_partition_index(index)
        .with_committed_offset(40)
        .with_committed_leader_epoch(7)
        .with_committed_metadata(metadata.map(|text| StrBytes::from(text.to_owned())))
}

fn request(topics: Vec<OffsetCommitRequestTopic>) -> OffsetCommitRequest {
    OffsetCommitRequest::default()
        .with_group_id(GroupId(StrBytes::from("readers")))
        .with_member_id(StrBytes::from("m-1"))
        .with_generation_id_or_member_epoch(4)
        .with_retention_time_ms(1)
        .with_topics(topics)
}

fn codes(answer: &OffsetCommitResponse) -> Vec<(i32, i16)> {
    let partitions = answer.topics.iter().flat_map(|topic| &topic.partitions);
    partitions.map(|partition| (partition.partition_index, partition.error_code)).collect()
}

#[tokio::test]
async fn names_become_ids_and_metadata_comes_along() {
    let bench = bench();
    bench.lane.answer(Answer::CommitOffsets(Ok(vec![Ok(()), Ok(())])));
    let request = request(vec![
        topic("orders", vec![partition(1, Some("mine"))]),
        topic("compacted", vec![partition(0, None)]),
    ]);
    let answer = handle(Arc::clone(&bench.broker), request).await;
    assert_eq!(codes(&answer), [(1, 0), (0, 0)]);
    let seen = bench.lane.take_seen();
    let [Request::CommitOffsets(call)] = &seen[..] else { panic!("{seen:?}") };
    assert_eq!((&*call.group, &*call.member_id, call.generation), ("readers", "m-1", 4));
    let expected = |topic, partition, metadata: &str| NewOffset {
        partition: PartitionKey { topic, partition },
        offset: 40,
        leader_epoch: 7,
        metadata: metadata.to_owned(),
    };
    assert_eq!(call.offsets, [expected(ORDERS, 1, "mine"), expected(COMPACTED, 0, "")]);
}

#[tokio::test]
async fn a_bad_partition_does_not_keep_the_others_from_being_committed() {
    let bench = bench();
    let longest = "ä".repeat(4_096);
    let too_long = "a".repeat(4_097);
    bench.lane.answer(Answer::CommitOffsets(Ok(vec![Ok(()), Err(GroupError::MetadataTooLarge)])));
    let request = request(vec![
        topic("nothing", vec![partition(0, None)]),
        topic(
            "orders",
            vec![
                partition(0, Some(&longest)),
                partition(1, Some(&too_long)),
                partition(2, None),
                partition(-1, None),
            ],
        ),
        topic("compacted", vec![partition(0, None)]),
    ]);
    let answer = handle(Arc::clone(&bench.broker), request).await;
    assert_eq!(codes(&answer), [(0, 3), (0, 0), (1, 12), (2, 3), (-1, 3), (0, 12)]);
}

#[tokio::test]
async fn a_refusal_of_the_group_is_said_for_each_partition_that_is_there() {
    let bench = bench();
    bench.lane.answer(Answer::CommitOffsets(Err(GroupError::IllegalGeneration)));
    let topics = || {
        vec![
            topic("orders", vec![partition(0, None), partition(1, None)]),
            topic("nothing", vec![partition(0, None)]),
        ]
    };
    let answer = handle(Arc::clone(&bench.broker), request(topics())).await;
    assert_eq!(codes(&answer), [(0, 22), (1, 22), (0, 3)]);
}

#[tokio::test]
async fn what_is_nowhere_does_not_reach_the_lane() {
    let bench = bench();
    let request = request(vec![topic("nothing", vec![partition(0, None)])]);
    assert_eq!(codes(&handle(Arc::clone(&bench.broker), request).await), [(0, 3)]);
    assert!(bench.lane.take_seen().is_empty());
}

#[test]
fn every_refusal_of_a_coordinator_has_its_code() {
    let cases = [
        (GroupError::NotCoordinator, 16),
        (GroupError::LoadInProgress, 14),
        (GroupError::CoordinatorNotAvailable, 15),
        (GroupError::UnknownMember, 25),
        (GroupError::NonEmptyGroup, 25),
        (GroupError::IllegalGeneration, 22),
        (GroupError::GroupIdNotFound, 22),
        (GroupError::RebalanceInProgress, 27),
        (GroupError::FencedInstance, 82),
        (GroupError::MetadataTooLarge, 12),
        (GroupError::UnknownTopicOrPartition, 3),
    ];
    for (error, code) in cases {
        assert_eq!(error_of(&error).code(), code, "{error:?}");
    }
}
