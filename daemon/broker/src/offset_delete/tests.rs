//! OffsetDelete: partitions apart, or the group's error alone.

use super::*;
use crate::double::{ORDERS, bench};
use holdfast_base::PartitionKey;
use kafka_protocol::messages::offset_delete_request::{
    OffsetDeleteRequestPartition, OffsetDeleteRequestTopic,
};
use kafka_protocol::messages::{GroupId, TopicName};
use kafka_protocol::protocol::StrBytes;

fn request() -> OffsetDeleteRequest {
    let topic = |name: &'static str, indexes: &[i32]| {
        let partition =
            |index: &i32| OffsetDeleteRequestPartition::default().with_partition_index(*index);
        OffsetDeleteRequestTopic::default()
            .with_name(TopicName(StrBytes::from(name)))
            .with_partitions(indexes.iter().map(partition).collect())
    };
    OffsetDeleteRequest::default()
        .with_group_id(GroupId(StrBytes::from("readers")))
        .with_topics(vec![topic("nothing", &[0]), topic("orders", &[0, 1, 2])])
}

#[tokio::test]
async fn each_partition_has_its_own_answer() {
    let bench = bench();
    let outcomes = vec![Ok(()), Err(GroupError::SubscribedToTopic)];
    bench.lane.answer(Answer::DeleteOffsets(Ok(outcomes)));
    let answer = handle(Arc::clone(&bench.broker), request()).await;
    let codes: Vec<_> = answer
        .topics
        .iter()
        .flat_map(|topic| &topic.partitions)
        .map(|partition| (partition.partition_index, partition.error_code))
        .collect();
    assert_eq!((answer.error_code, codes), (0, vec![(0, 3), (0, 0), (1, 86), (2, 3)]));
    let seen = bench.lane.take_seen();
    let [Request::DeleteOffsets { group, partitions }] = &seen[..] else { panic!("{seen:?}") };
    let key = |partition| PartitionKey { topic: ORDERS, partition };
    assert_eq!((&**group, &partitions[..]), ("readers", &[key(0), key(1)][..]));
}

#[tokio::test]
async fn a_refused_group_is_answered_without_partitions() {
    let bench = bench();
    let cases = [
        (GroupError::NotCoordinator, 16),
        (GroupError::LoadInProgress, 14),
        (GroupError::CoordinatorNotAvailable, 15),
        (GroupError::InvalidGroup, 24),
        (GroupError::NonEmptyGroup, 68),
        (GroupError::GroupIdNotFound, 69),
    ];
    for (error, code) in cases {
        bench.lane.answer(Answer::DeleteOffsets(Err(error)));
        let answer = handle(Arc::clone(&bench.broker), request()).await;
        assert_eq!((answer.error_code, answer.topics.len()), (code, 0));
    }
}
