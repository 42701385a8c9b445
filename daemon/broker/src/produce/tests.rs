//! Produce: what is refused before the lane, what the lane's words become, and in which order.

use super::*;
use crate::double::{Bench, COMPACTED, ORDERS, batch, bench, published, topic};
use holdfast_base::{NodeId, ShardId, Term};
use holdfast_lane::{Leader, LeaderHint, Leaders, Outcome};
use kafka_protocol::messages::TopicName;
use kafka_protocol::messages::produce_request::TopicProduceData;

fn request(acks: i16, topic: &str, index: i32, records: Bytes) -> ProduceRequest {
    let data = PartitionProduceData::default().with_index(index).with_records(Some(records));
    ProduceRequest::default().with_acks(acks).with_topic_data(vec![
        TopicProduceData::default()
            .with_name(TopicName(StrBytes::from(topic.to_owned())))
            .with_partition_data(vec![data]),
    ])
}

async fn answer(bench: &Bench, request: ProduceRequest, version: i16) -> PartitionProduceResponse {
    match start(&bench.broker, &bench.context, request, version).await {
        Finish::Answer(mut answer) => answer.responses.remove(0).partition_responses.remove(0),
        Finish::Silence => panic!("silence"),
        Finish::Close(why) => panic!("closed: {why}"),
    }
}

fn refusal(reason: Reason) -> Refusal {
    let leader = LeaderHint { node: NodeId(3), shard: ShardId(1), term: Term(8), leader_epoch: 8 };
    Refusal { reason, outcome: Outcome::DidNot, leader: Some(leader) }
}

#[tokio::test]
async fn a_stored_batch_is_answered_with_its_offset() {
    let bench = bench();
    let appended = Appended { base_offset: 41, log_append_time_ms: -1, log_start: 7 };
    bench.lane.answer(Answer::Produce(vec![Ok(appended)]));
    let records = batch(Codec::None, 0, 3);
    let answer = answer(&bench, request(-1, "orders", 1, records.clone()), 9).await;
    assert_eq!((answer.error_code, answer.base_offset, answer.log_start_offset), (0, 41, 7));
    let seen = bench.lane.take_seen();
    let [Request::Produce(parts)] = &seen[..] else { panic!("{seen:?}") };
    assert_eq!(parts[0].partition, PartitionKey { topic: ORDERS, partition: 1 });
    assert_eq!(parts[0].bytes.as_ptr(), records.as_ptr(), "the request's bytes, not a copy");
}

#[tokio::test]
async fn what_is_wrong_with_a_batch_never_reaches_the_lane() {
    let bench = bench();
    let good = batch(Codec::None, 0, 3);
    let mut flipped = good.to_vec();
    flipped[70] ^= 1;
    let two = [good.clone(), good.clone()].concat();
    let cases = [
        ("orders", 0, Bytes::from(flipped), 9, 2),
        ("orders", 0, Bytes::from(two), 9, 87),
        ("orders", 0, Bytes::new(), 9, 87),
        ("orders", 2, good.clone(), 9, 3),
        ("orders", -1, good.clone(), 9, 3),
        ("nothing", 0, good.clone(), 9, 3),
        ("orders", 0, batch(Codec::Zstd, 0, 3), 6, 76),
        ("compacted", 0, good, 9, 87),
    ];
    for (topic, index, records, version, code) in cases {
        let answer = answer(&bench, request(-1, topic, index, records), version).await;
        assert_eq!(answer.error_code, code, "{topic}-{index}");
        assert_eq!(answer.base_offset, -1);
    }
    assert!(bench.lane.take_seen().is_empty());
    let _ = COMPACTED;
}

#[tokio::test]
async fn a_batch_above_the_topics_limit_is_too_large() {
    let bench = bench();
    let builder = holdfast_batch::BatchBuilder::new(Codec::None)
        .record(holdfast_batch::RecordDraft::value(1, vec![b'x'; 1_100_000]));
    let answer = answer(&bench, request(1, "orders", 0, builder.build().expect("built")), 9).await;
    assert_eq!(answer.error_code, 10);
}

#[tokio::test]
async fn acks_must_be_minus_one_zero_or_one() {
    let bench = bench();
    for acks in [-2, 2, 32_767] {
        let request = request(acks, "orders", 0, batch(Codec::None, 0, 1));
        assert_eq!(answer(&bench, request, 9).await.error_code, 21);
    }
}

#[tokio::test]
async fn a_record_without_key_on_a_compacted_topic_is_named() {
    let bench = bench();
    let answer = answer(&bench, request(-1, "compacted", 0, batch(Codec::Gzip, 0, 2)), 8).await;
    assert_eq!(answer.error_code, 87);
    assert_eq!(answer.record_errors[0].batch_index, 0);
}

#[tokio::test]
async fn a_topic_id_nobody_has_is_unknown_from_version_13() {
    let bench = bench();
    let mut request = request(-1, "", 0, batch(Codec::None, 0, 1));
    request.topic_data[0].topic_id = uuid::Uuid::from_bytes([8; 16]);
    assert_eq!(answer(&bench, request, 13).await.error_code, 100);
}

#[tokio::test]
async fn every_refusal_of_the_lane_has_its_code_and_leaders_are_named_from_version_10() {
    let bench = bench();
    let cases = [
        (Reason::NotLeader, 6),
        (Reason::UnknownPartition, 3),
        (Reason::NoSpace, 19),
        (Reason::OutOfOrderSequence, 45),
        (Reason::StaleProducerEpoch, 47),
        (Reason::TooLarge, 10),
        (Reason::InvalidTimestamp, 32),
        (Reason::InvalidRecord, 87),
        (Reason::Storage, 56),
    ];
    for (reason, code) in cases {
        bench.lane.answer(Answer::Produce(vec![Err(refusal(reason))]));
        let request = request(1, "orders", 0, batch(Codec::None, 0, 1));
        let answer = answer(&bench, request, 10).await;
        assert_eq!(answer.error_code, code, "{reason:?}");
        let named = (answer.current_leader.leader_id.0, answer.current_leader.leader_epoch);
        assert_eq!(named, if code == 6 { (3, 8) } else { (-1, -1) }, "{reason:?}");
    }
    bench.lane.answer(Answer::Produce(vec![Err(refusal(Reason::NotLeader))]));
    let request = request(1, "orders", 0, batch(Codec::None, 0, 1));
    assert_eq!(answer(&bench, request, 9).await.current_leader.leader_id.0, -1);
}

#[tokio::test]
async fn without_acks_success_is_silent_and_failure_closes() {
    let bench = bench();
    let appended = Appended { base_offset: 0, log_append_time_ms: -1, log_start: 0 };
    bench.lane.answer(Answer::Produce(vec![Ok(appended)]));
    let good = request(0, "orders", 0, batch(Codec::None, 0, 1));
    assert!(matches!(start(&bench.broker, &bench.context, good, 9).await, Finish::Silence));
    let bad = request(0, "nothing", 0, batch(Codec::None, 0, 1));
    assert!(matches!(start(&bench.broker, &bench.context, bad, 9).await, Finish::Close(_)));
    bench.lane.answer(Answer::Produce(vec![Err(refusal(Reason::NotLeader))]));
    let lost = request(0, "orders", 0, batch(Codec::None, 0, 1));
    assert!(matches!(start(&bench.broker, &bench.context, lost, 9).await, Finish::Close(_)));
}

#[tokio::test]
async fn requests_reach_the_lane_in_the_order_they_start_without_waiting() {
    let bench = bench();
    let send = |count| {
        let request = request(-1, "orders", 0, batch(Codec::None, 0, count));
        start(&bench.broker, &bench.context, request, 9)
    };
    let (first, second) = (send(1), send(2));
    let counts: Vec<i32> = bench
        .lane
        .take_seen()
        .iter()
        .map(|request| match request {
            Request::Produce(parts) => parts[0].header.records_count,
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(counts, [1, 2], "before either is waited for");
    drop((first, second));
}

#[tokio::test]
async fn a_lane_that_ends_leaves_a_retriable_answer() {
    let bench = bench();
    let request = request(-1, "orders", 0, batch(Codec::None, 0, 1));
    let started = start(&bench.broker, &bench.context, request, 9);
    bench.lane.end();
    let Finish::Answer(answer) = started.await else { panic!("an answer") };
    assert_eq!(answer.responses[0].partition_responses[0].error_code, 56);
}

#[tokio::test]
async fn a_leader_the_lane_does_not_name_is_taken_from_what_the_node_has_heard() {
    let bench = bench();
    let unnamed = || Refusal { leader: None, ..refusal(Reason::FencedEpoch) };
    let send = || request(1, "orders", 0, batch(Codec::None, 0, 1));
    bench.lane.answer(Answer::Produce(vec![Err(unnamed())]));
    let here = answer(&bench, send(), 10).await.current_leader;
    assert_eq!(here.leader_id.0, -1, "this node has just refused");
    let mut heard = published(&[topic("orders", ORDERS, 2)]);
    heard.leaders =
        Arc::new(Leaders::from([(ShardId(1), Leader { node: NodeId(3), term: Term(9) })]));
    bench.broker.publish(&heard);
    bench.lane.answer(Answer::Produce(vec![Err(unnamed())]));
    let there = answer(&bench, send(), 10).await.current_leader;
    assert_eq!((there.leader_id.0, there.leader_epoch), (3, 9));
}
