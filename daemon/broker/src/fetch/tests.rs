//! Fetch: versions, refusals, and records that have left memory.

use super::*;
use crate::double::{Bench, ORDERS, batch, batch_at, bench};
use holdfast_base::{NodeId, ShardId, Term};
use holdfast_lane::{LeaderHint, Outcome};
use holdfast_wal::{Extent, SegmentNumber};
use kafka_protocol::messages::TopicName;

fn request(topic: &str, index: i32) -> FetchRequest {
    let partition = AskedPartition::default().with_partition(index).with_partition_max_bytes(1_000);
    FetchRequest::default()
        .with_max_wait_ms(500)
        .with_min_bytes(1)
        .with_session_epoch(FINAL_EPOCH)
        .with_topics(vec![
            AskedTopic::default()
                .with_topic(TopicName(StrBytes::from(topic.to_owned())))
                .with_topic_id(uuid::Uuid::from_bytes(ORDERS.0))
                .with_partitions(vec![partition]),
        ])
}

fn found(records: Vec<RecordSlice>) -> Answer {
    Answer::Fetch(vec![Ok(FetchedPartition {
        high_watermark: 10,
        last_stable: 10,
        log_start: 2,
        records,
        diverging: None,
    })])
}

async fn only(bench: &Bench, request: FetchRequest, version: i16) -> FetchPartition {
    let (broker, context) = (Arc::clone(&bench.broker), Arc::clone(&bench.context));
    let mut parts = handle(broker, context, request, version).await;
    assert_eq!(parts.session_id, 0);
    parts.topics.remove(0).partitions.remove(0)
}

fn on_disk(offset: u64, len_bytes: usize, base_offset: i64) -> RecordSlice {
    let len_bytes = u32::try_from(len_bytes).expect("small");
    let extent = Extent { segment: SegmentNumber(1), offset, len_bytes };
    RecordSlice::OnDisk { file: Arc::from("segment"), extent, base_offset }
}

#[tokio::test]
async fn cached_records_pass_through_uncopied() {
    let bench = bench();
    let records = batch(Codec::None, 5, 2);
    bench.lane.answer(found(vec![RecordSlice::Cached(records.clone())]));
    let partition = only(&bench, request("orders", 0), 12).await;
    assert_eq!(partition.error, FetchError::None);
    assert_eq!((partition.high_watermark, partition.log_start_offset), (10, 2));
    assert_eq!(partition.records.expect("some")[0].as_ptr(), records.as_ptr());
}

#[tokio::test]
async fn cold_records_are_read_and_checked() {
    let bench = bench();
    let (first, second) = (batch_at(5, 2), batch_at(7, 1));
    let file = [first.clone(), second.clone()].concat();
    bench.device.0.lock().expect("fine").insert("segment".to_owned(), Bytes::from(file));
    let at = first.len() as u64;
    bench.lane.answer(found(vec![on_disk(0, first.len(), 5), on_disk(at, second.len(), 7)]));
    let partition = only(&bench, request("orders", 0), 12).await;
    assert_eq!(partition.records.expect("some").concat(), [first, second].concat());
}

#[tokio::test]
async fn a_recycled_segment_ends_the_records_and_is_a_storage_error_only_at_the_front() {
    let bench = bench();
    let first = batch_at(5, 2);
    bench.device.0.lock().expect("fine").insert("segment".to_owned(), Bytes::from(first.clone()));
    bench.lane.answer(found(vec![on_disk(0, first.len(), 5), on_disk(0, first.len(), 7)]));
    let partition = only(&bench, request("orders", 0), 12).await;
    assert_eq!(partition.error, FetchError::None);
    assert_eq!(partition.records.expect("some").concat(), first, "what could be read");
    bench.lane.answer(found(vec![on_disk(0, first.len(), 7)]));
    let partition = only(&bench, request("orders", 0), 12).await;
    assert_eq!(partition.error, FetchError::KafkaStorageError);
}

#[tokio::test]
async fn unknown_topics_are_named_as_the_version_names_topics() {
    let bench = bench();
    assert_eq!(
        only(&bench, request("nothing", 0), 12).await.error,
        FetchError::UnknownTopicOrPartition
    );
    assert_eq!(
        only(&bench, request("orders", 9), 12).await.error,
        FetchError::UnknownTopicOrPartition
    );
    let mut by_id = request("", 0);
    by_id.topics[0].topic_id = uuid::Uuid::from_bytes([7; 16]);
    assert_eq!(only(&bench, by_id, 13).await.error, FetchError::UnknownTopicId);
    assert!(bench.lane.take_seen().is_empty());
}

#[tokio::test]
async fn a_refusal_here_is_not_waited_upon() {
    let bench = bench();
    let mut request = request("orders", 0);
    request.topics.push(request.topics[0].clone().with_topic(TopicName(StrBytes::from("none"))));
    bench.lane.answer(found(Vec::new()));
    only(&bench, request, 12).await;
    let seen = bench.lane.take_seen();
    let [Request::Fetch(asked)] = &seen[..] else { panic!("{seen:?}") };
    assert_eq!(asked.deadline_ns, 1_000_000_000, "now");
}

#[tokio::test]
async fn a_request_in_a_session_we_never_gave_is_told_so() {
    let bench = bench();
    let (broker, context) = (Arc::clone(&bench.broker), Arc::clone(&bench.context));
    let inside = request("orders", 0).with_session_id(5).with_session_epoch(3);
    let parts = handle(broker, context, inside, 12).await;
    assert_eq!(parts.error, FetchSessionError::FetchSessionIdNotFound);
    assert!(parts.topics.is_empty());
}

#[tokio::test]
async fn leaders_are_named_from_version_16_with_their_address() {
    let bench = bench();
    for (version, leader) in [(15, None), (16, Some((1, 8)))] {
        let hint =
            LeaderHint { node: NodeId(1), shard: ShardId(1), term: Term(8), leader_epoch: 8 };
        bench.lane.answer(Answer::Fetch(vec![Err(Refusal {
            reason: Reason::NotLeader,
            outcome: Outcome::DidNot,
            leader: Some(hint),
        })]));
        let (broker, context) = (Arc::clone(&bench.broker), Arc::clone(&bench.context));
        let parts = handle(broker, context, request("orders", 0), version).await;
        let partition = &parts.topics[0].partitions[0];
        assert_eq!(partition.error, FetchError::NotLeaderOrFollower);
        assert_eq!(partition.current_leader, leader);
        assert_eq!(parts.node_endpoints.len(), usize::from(leader.is_some()));
    }
}

#[tokio::test]
async fn zstd_is_kept_from_clients_before_version_10() {
    let bench = bench();
    for (version, served) in [(9, false), (10, true)] {
        bench.lane.answer(found(vec![RecordSlice::Cached(batch(Codec::Zstd, 5, 2))]));
        let partition = only(&bench, request("orders", 0), version).await;
        assert_eq!(partition.error == FetchError::None, served, "version {version}");
    }
}
