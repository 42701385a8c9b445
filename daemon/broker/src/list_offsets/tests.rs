//! ListOffsets: which magic timestamps a version knows, and records found inside batches.

use super::*;
use crate::double::{Bench, batch_at, bench, in_object};
use bytes::Bytes;
use holdfast_lane::ObjectId;
use holdfast_lane::{Outcome, RecordSlice};
use kafka_protocol::messages::TopicName;
use kafka_protocol::messages::list_offsets_request::ListOffsetsTopic;
use kafka_protocol::protocol::StrBytes;

async fn ask(bench: &Bench, topic: &str, timestamp: i64, version: i16) -> (i16, i64, i64) {
    let partition = ListOffsetsPartition::default().with_timestamp(timestamp);
    let request = ListOffsetsRequest::default().with_topics(vec![
        ListOffsetsTopic::default()
            .with_name(TopicName(StrBytes::from(topic.to_owned())))
            .with_partitions(vec![partition]),
    ]);
    let answer = handle(Arc::clone(&bench.broker), request, version).await;
    let partition = &answer.topics[0].partitions[0];
    (partition.error_code, partition.offset, partition.timestamp)
}

fn found(found: FoundOffset) -> Answer {
    Answer::ListOffsets(vec![Ok(OffsetAnswer { leader_epoch: 7, found })])
}

#[tokio::test]
async fn a_magic_timestamp_is_known_from_its_version_on() {
    let bench = bench();
    for (timestamp, first_version) in [(-1, 1), (-2, 1), (-3, 7), (-4, 8), (-5, 9), (-6, 11)] {
        bench.lane.answer(found(FoundOffset::Offset { offset: 4, timestamp_ms: -1 }));
        assert_eq!(ask(&bench, "orders", timestamp, first_version).await, (0, 4, -1));
        if first_version > 1 {
            let refused = ask(&bench, "orders", timestamp, first_version - 1).await;
            assert_eq!(refused, (35, -1, -1), "{timestamp}");
        }
    }
    assert_eq!(ask(&bench, "orders", -7, 11).await.0, 35);
}

#[tokio::test]
async fn the_first_record_at_or_after_a_time_is_found_inside_its_batch() {
    let bench = bench();
    let batch = Bytes::from(batch_at(40, 5));
    for (timestamp, offset, at) in [(1_002, 42, 1_002), (900, 40, 1_000), (5_000, -1, -1)] {
        bench.lane.answer(found(FoundOffset::InBatch(RecordSlice::Cached(batch.clone()))));
        assert_eq!(ask(&bench, "orders", timestamp, 7).await, (0, offset, at));
    }
    bench.lane.answer(found(FoundOffset::InBatch(RecordSlice::Cached(batch))));
    assert_eq!(ask(&bench, "orders", -3, 7).await, (0, 44, 1_004), "the greatest timestamp");
}

#[tokio::test]
async fn a_time_is_looked_for_in_an_object_batch_by_batch() {
    let bench = bench();
    let bytes = Bytes::from([batch_at(40, 5), batch_at(45, 5)].concat());
    bench.device.0.lock().expect("fine").insert(ObjectId([9; 16]).to_string(), bytes);
    // Every batch of the double begins at 1,000 ms: the second is reached by its offset.
    for (from, timestamp, offset, at) in
        [(40, 1_002, 42, 1_002), (45, 1_002, 47, 1_002), (40, 5_000, -1, -1)]
    {
        bench.lane.answer(found(FoundOffset::InBatch(in_object(9, from))));
        assert_eq!(ask(&bench, "orders", timestamp, 7).await, (0, offset, at), "{from}");
    }
    let cached = RecordSlice::Cached(Bytes::from(batch_at(50, 5)));
    for (slices, offset) in [
        (vec![in_object(9, 50), in_object(9, 45), cached.clone()], 47),
        (vec![in_object(9, 50), cached], 52),
        (vec![in_object(9, 50)], -1),
    ] {
        bench.lane.answer(found(FoundOffset::InFirstOf(slices)));
        assert_eq!(ask(&bench, "orders", 1_002, 7).await.1, offset, "the first that has one");
    }
    bench.lane.answer(found(FoundOffset::InBatch(in_object(9, 45))));
    assert_eq!(ask(&bench, "orders", -3, 7).await, (0, 49, 1_004), "the greatest timestamp");
    bench.lane.answer(found(FoundOffset::InBatch(in_object(8, 45))));
    assert_eq!(ask(&bench, "orders", 1_000, 7).await.0, 56, "the store is away");
}

#[tokio::test]
async fn a_partition_that_is_not_there_is_unknown() {
    let bench = bench();
    assert_eq!(ask(&bench, "nothing", -1, 7).await, (3, -1, -1));
    assert!(bench.lane.take_seen().is_empty());
}

#[tokio::test]
async fn a_new_leader_that_does_not_know_its_end_yet_is_asked_again_rather_than_another_node() {
    let bench = bench();
    for (version, code) in [(1, 5), (4, 5), (5, 78), (10, 78)] {
        let refusal = Refusal { reason: Reason::NotReady, outcome: Outcome::DidNot, leader: None };
        bench.lane.answer(Answer::ListOffsets(vec![Err(refusal)]));
        assert_eq!(ask(&bench, "orders", -1, version).await, (code, -1, -1), "version {version}");
    }
}
