//! OffsetForLeaderEpoch: ends, epochs nobody knows, and a code for every refusal.

use super::*;
use crate::double::{ORDERS, bench};
use holdfast_base::PartitionKey;
use holdfast_lane::Outcome;
use kafka_protocol::messages::TopicName;
use kafka_protocol::messages::offset_for_leader_epoch_request::{
    OffsetForLeaderPartition, OffsetForLeaderTopic,
};
use kafka_protocol::protocol::StrBytes;

fn request(indexes: &[i32]) -> OffsetForLeaderEpochRequest {
    let partition = |index: &i32| {
        OffsetForLeaderPartition::default()
            .with_partition(*index)
            .with_current_leader_epoch(7)
            .with_leader_epoch(5)
    };
    OffsetForLeaderEpochRequest::default().with_topics(vec![
        OffsetForLeaderTopic::default()
            .with_topic(TopicName(StrBytes::from("orders")))
            .with_partitions(indexes.iter().map(partition).collect()),
    ])
}

fn told(answer: &OffsetForLeaderEpochResponse) -> Vec<(i16, i32, i32, i64)> {
    let partitions = answer.topics.iter().flat_map(|topic| &topic.partitions);
    partitions
        .map(|one| (one.error_code, one.partition, one.leader_epoch, one.end_offset))
        .collect()
}

#[tokio::test]
async fn an_end_is_told_and_an_unknown_epoch_is_minus_one() {
    let bench = bench();
    let end = EpochEnd { epoch: 4, end_offset: 90 };
    bench.lane.answer(Answer::EpochEnds(vec![Ok(Some(end)), Ok(None)]));
    let answer = handle(Arc::clone(&bench.broker), request(&[0, 9, 1])).await;
    assert_eq!(told(&answer), [(0, 0, 4, 90), (3, 9, -1, -1), (0, 1, -1, -1)]);
    let seen = bench.lane.take_seen();
    let [Request::EpochEnds(asked)] = &seen[..] else { panic!("{seen:?}") };
    assert_eq!(asked.len(), 2);
    assert_eq!(asked[1].partition, PartitionKey { topic: ORDERS, partition: 1 });
    assert_eq!((asked[0].current_leader_epoch, asked[0].leader_epoch), (7, 5));
}

#[tokio::test]
async fn every_refusal_of_the_lane_has_its_code() {
    let bench = bench();
    let cases = [
        (Reason::NotLeader, 6),
        (Reason::UnknownPartition, 3),
        (Reason::FencedEpoch, 74),
        (Reason::UnknownEpoch, 75),
        (Reason::Storage, 56),
    ];
    for (reason, code) in cases {
        let refusal = Refusal { reason, outcome: Outcome::DidNot, leader: None };
        bench.lane.answer(Answer::EpochEnds(vec![Err(refusal)]));
        let answer = handle(Arc::clone(&bench.broker), request(&[0])).await;
        assert_eq!(told(&answer), [(code, 0, -1, -1)], "{reason:?}");
    }
}
