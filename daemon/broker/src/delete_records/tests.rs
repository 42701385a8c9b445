//! DeleteRecords: outcomes stay with their partitions.

use super::*;
use crate::double::bench;
use holdfast_lane::Outcome;
use kafka_protocol::messages::TopicName;
use kafka_protocol::messages::delete_records_request::{
    DeleteRecordsPartition as Asked, DeleteRecordsTopic,
};
use kafka_protocol::protocol::StrBytes;

#[tokio::test]
async fn outcomes_stay_with_their_partitions_around_one_that_is_not_there() {
    let bench = bench();
    let refusal =
        Refusal { reason: Reason::OffsetOutOfRange, outcome: Outcome::DidNot, leader: None };
    bench.lane.answer(Answer::DeleteRecords(vec![Ok(12), Err(refusal)]));
    let asked = |index: i32| Asked::default().with_partition_index(index).with_offset(12);
    let topic = DeleteRecordsTopic::default()
        .with_name(TopicName(StrBytes::from("orders")))
        .with_partitions(vec![asked(0), asked(7), asked(1)]);
    let request = DeleteRecordsRequest::default().with_topics(vec![topic]).with_timeout_ms(1_000);
    let answer = handle(Arc::clone(&bench.broker), request).await;
    let seen: Vec<(i32, i16, i64)> = answer.topics[0]
        .partitions
        .iter()
        .map(|one| (one.partition_index, one.error_code, one.low_watermark))
        .collect();
    assert_eq!(seen, [(0, 0, 12), (7, 3, -1), (1, 1, -1)]);
}
