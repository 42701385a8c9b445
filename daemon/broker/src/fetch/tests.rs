//! Fetch: versions, refusals, and records that have left memory.

mod room;

use super::*;
use crate::double::{Bench, ORDERS, batch, batch_at, bench, in_object, published, topic};
use crate::fetch_session::FINAL_EPOCH;
use bytes::Bytes;
use holdfast_base::{NodeId, ShardId, Term};
use holdfast_batch::Codec;
use holdfast_lane::ObjectId;
use holdfast_lane::{EpochEnd, Leader, LeaderHint, Leaders, Outcome, Reason};
use holdfast_protocol::fetch_writer::FetchPartition;
use holdfast_wal::{Extent, SegmentNumber};
use kafka_protocol::messages::TopicName;
use kafka_protocol::messages::fetch_request::{
    FetchPartition as AskedPartition, FetchTopic as AskedTopic, ForgottenTopic,
};
use kafka_protocol::protocol::StrBytes;

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
    let mut parts = handle(broker, context, request, version).await.0;
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
async fn records_the_log_has_let_go_come_from_their_object_in_whole_batches() {
    let bench = bench();
    let (first, second) = (batch_at(5, 2), batch_at(7, 1));
    let object = ObjectId([9; 16]).to_string();
    let bytes = Bytes::from([first, second.clone()].concat());
    bench.device.0.lock().expect("fine").insert(object, bytes.clone());
    bench.lane.answer(found(vec![in_object(9, 6)]));
    let partition = only(&bench, request("orders", 0), 12).await;
    assert_eq!(partition.records.expect("some").concat(), bytes);
    bench.lane.answer(found(vec![in_object(9, 7)]));
    let partition = only(&bench, request("orders", 0), 12).await;
    assert_eq!(partition.records.expect("some").concat(), second);
}

#[tokio::test]
async fn a_store_that_is_away_costs_only_the_partition_whose_records_lie_there() {
    let bench = bench();
    let cached = batch(Codec::None, 5, 2);
    let mut both = request("orders", 0);
    both.topics[0].partitions.push(AskedPartition::default().with_partition(1));
    let one = |records| FetchedPartition {
        high_watermark: 10,
        last_stable: 10,
        log_start: 2,
        records,
        diverging: None,
    };
    let answer =
        vec![Ok(one(vec![in_object(9, 5)])), Ok(one(vec![RecordSlice::Cached(cached.clone())]))];
    bench.lane.answer(Answer::Fetch(answer));
    let (broker, context) = (Arc::clone(&bench.broker), Arc::clone(&bench.context));
    let mut parts = handle(broker, context, both, 12).await.0;
    let partitions = parts.topics.remove(0).partitions;
    assert_eq!(partitions[0].error, FetchError::KafkaStorageError);
    assert_eq!(partitions[1].error, FetchError::None);
    assert_eq!(partitions[1].records.as_ref().expect("some").concat(), cached);
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
    let parts = handle(broker, context, inside, 12).await.0;
    assert_eq!(parts.error, FetchSessionError::FetchSessionIdNotFound);
    assert!(parts.topics.is_empty());
}

fn refused(reason: Reason, leader: Option<LeaderHint>) -> Answer {
    Answer::Fetch(vec![Err(Refusal { reason, outcome: Outcome::DidNot, leader })])
}

#[tokio::test]
async fn leaders_are_named_from_version_16_with_their_address() {
    let bench = bench();
    let hint = LeaderHint { node: NodeId(1), shard: ShardId(1), term: Term(8), leader_epoch: 8 };
    for (reason, error) in [
        (Reason::NotLeader, FetchError::NotLeaderOrFollower),
        (Reason::FencedEpoch, FetchError::FencedLeaderEpoch),
    ] {
        for (version, leader) in [(15, None), (16, Some((1, 8)))] {
            bench.lane.answer(refused(reason, Some(hint)));
            let (broker, context) = (Arc::clone(&bench.broker), Arc::clone(&bench.context));
            let parts = handle(broker, context, request("orders", 0), version).await.0;
            let partition = &parts.topics[0].partitions[0];
            assert_eq!(partition.error, error);
            assert_eq!(partition.current_leader, leader);
            assert_eq!(parts.node_endpoints.len(), usize::from(leader.is_some()));
        }
    }
    bench.lane.answer(refused(Reason::OffsetOutOfRange, Some(hint)));
    assert_eq!(only(&bench, request("orders", 0), 16).await.current_leader, None);
}

#[tokio::test]
async fn a_leader_the_lane_does_not_name_is_taken_from_what_the_node_has_heard() {
    let bench = bench();
    bench.lane.answer(refused(Reason::NotLeader, None));
    let here = only(&bench, request("orders", 0), 16).await;
    assert_eq!(here.current_leader, None, "this node has just refused");
    let mut heard = published(&[topic("orders", ORDERS, 2)]);
    heard.leaders =
        Arc::new(Leaders::from([(ShardId(1), Leader { node: NodeId(3), term: Term(9) })]));
    bench.broker.publish(&heard);
    bench.lane.answer(refused(Reason::NotLeader, None));
    let there = only(&bench, request("orders", 0), 16).await;
    assert_eq!(there.current_leader, Some((3, 9)));
}

#[tokio::test]
async fn a_log_that_went_another_way_is_told_where_it_left() {
    let bench = bench();
    bench.lane.answer(Answer::Fetch(vec![Ok(FetchedPartition {
        high_watermark: 10,
        last_stable: 10,
        log_start: 2,
        records: Vec::new(),
        diverging: Some(EpochEnd { epoch: 6, end_offset: 8 }),
    })]));
    let mut request = request("orders", 0);
    request.topics[0].partitions[0].last_fetched_epoch = 7;
    request.topics[0].partitions[0].current_leader_epoch = 9;
    let partition = only(&bench, request, 12).await;
    assert_eq!((partition.error, partition.diverging_epoch), (FetchError::None, Some((6, 8))));
    let seen = bench.lane.take_seen();
    let [Request::Fetch(asked)] = &seen[..] else { panic!("{seen:?}") };
    let epochs = (asked.partitions[0].last_fetched_epoch, asked.partitions[0].current_leader_epoch);
    assert_eq!(epochs, (7, 9));
}

#[tokio::test]
async fn a_client_before_version_10_is_told_that_it_cannot_read_zstd() {
    let bench = bench();
    let refused = FetchError::UnsupportedCompressionType;
    for (codec, version, error) in [
        (Codec::Zstd, 4, refused),
        (Codec::Zstd, 9, refused),
        (Codec::Zstd, 10, FetchError::None),
        (Codec::Zstd, 18, FetchError::None),
        (Codec::Lz4, 4, FetchError::None),
    ] {
        // The zstd batch stands behind one that every client reads.
        let slices = [Codec::None, codec].map(|codec| RecordSlice::Cached(batch(codec, 5, 2)));
        bench.lane.answer(found(slices.to_vec()));
        let partition = only(&bench, request("orders", 0), version).await;
        assert_eq!(partition.error, error, "{codec:?}, version {version}");
        let served = partition.records.is_some_and(|records| !records.is_empty());
        assert_eq!(served, error == FetchError::None, "{codec:?}, version {version}");
    }
}

/// A request that begins a session for both partitions of "orders".
fn beginning(by_id: bool) -> FetchRequest {
    let mut request = request("orders", 0).with_session_epoch(0);
    let second = request.topics[0].partitions[0].clone().with_partition(1);
    request.topics[0].partitions.push(second);
    if by_id {
        request.topics[0].topic = TopicName::default();
    }
    request
}

/// A request that changes nothing in its session.
fn going_on(session_id: i32, epoch: i32) -> FetchRequest {
    FetchRequest::default().with_session_id(session_id).with_session_epoch(epoch)
}

/// One round: what the lane found per partition, and the answer.
async fn round(
    bench: &Bench,
    request: FetchRequest,
    version: i16,
    found: &[&[RecordSlice]],
) -> FetchResponseParts {
    let found = found.iter().map(|records| {
        Ok(FetchedPartition {
            high_watermark: 10,
            last_stable: 10,
            log_start: 2,
            records: records.to_vec(),
            diverging: None,
        })
    });
    bench.lane.answer(Answer::Fetch(found.collect()));
    handle(Arc::clone(&bench.broker), Arc::clone(&bench.context), request, version).await.0
}

fn said(parts: &FetchResponseParts) -> Vec<(i32, FetchError)> {
    let partitions = parts.topics.iter().flat_map(|topic| &topic.partitions);
    partitions.map(|partition| (partition.index, partition.error)).collect()
}

fn asked_of_the_lane(bench: &Bench) -> Vec<i32> {
    let seen = bench.lane.take_seen();
    let [Request::Fetch(asked)] = &seen[..] else { panic!("{seen:?}") };
    asked.partitions.iter().map(|asked| asked.partition.partition).collect()
}

#[tokio::test]
async fn inside_a_session_everything_is_asked_and_only_news_is_said() {
    let bench = bench();
    for (version, by_id) in [(7, false), (12, false), (13, true), (18, true)] {
        let first = round(&bench, beginning(by_id), version, &[&[], &[]]).await;
        assert_ne!(first.session_id, 0);
        assert_eq!(said(&first), [(0, FetchError::None), (1, FetchError::None)]);
        assert_eq!(asked_of_the_lane(&bench), [0, 1]);
        let records = [RecordSlice::Cached(batch(Codec::None, 5, 2))];
        let second = round(&bench, going_on(first.session_id, 1), version, &[&records, &[]]).await;
        assert_eq!((second.error, second.session_id), (FetchSessionError::None, first.session_id));
        assert_eq!(said(&second), [(0, FetchError::None)]);
        let named = (&*second.topics[0].name, second.topics[0].topic_id);
        assert_eq!(named, if by_id { ("", ORDERS.0) } else { ("orders", [0; 16]) });
        assert_eq!(asked_of_the_lane(&bench), [0, 1]);
        let third = round(&bench, going_on(first.session_id, 2), version, &[&[], &[]]).await;
        assert_eq!(said(&third), [], "version {version}");
        assert_eq!(asked_of_the_lane(&bench), [1, 0], "who gave records comes last");
    }
}

#[tokio::test]
async fn errors_of_a_session_answer_nothing_else() {
    let bench = bench();
    let session = round(&bench, beginning(false), 12, &[&[], &[]]).await.session_id;
    bench.lane.take_seen();
    let cases = [
        (session, 2, 12, FetchSessionError::InvalidFetchSessionEpoch),
        (session ^ 1, 1, 12, FetchSessionError::FetchSessionIdNotFound),
        (session, 1, 13, FetchSessionError::FetchSessionTopicIdError),
    ];
    for (id, epoch, version, error) in cases {
        let (broker, context) = (Arc::clone(&bench.broker), Arc::clone(&bench.context));
        let parts = handle(broker, context, going_on(id, epoch), version).await.0;
        assert_eq!((parts.error, parts.session_id, parts.topics.len()), (error, 0, 0));
    }
    assert!(bench.lane.take_seen().is_empty());
}

#[tokio::test]
async fn a_forgotten_partition_is_not_asked_for_any_more() {
    let bench = bench();
    let session = round(&bench, beginning(true), 13, &[&[], &[]]).await.session_id;
    bench.lane.take_seen();
    let forgotten = ForgottenTopic::default()
        .with_topic_id(uuid::Uuid::from_bytes(ORDERS.0))
        .with_partitions(vec![0]);
    let request = going_on(session, 1).with_forgotten_topics_data(vec![forgotten]);
    round(&bench, request, 13, &[&[]]).await;
    assert_eq!(asked_of_the_lane(&bench), [1]);
}

#[tokio::test]
async fn a_topic_made_anew_under_its_name_is_inconsistent_within_a_session() {
    let bench = bench();
    let session = round(&bench, beginning(true), 13, &[&[], &[]]).await.session_id;
    bench.broker.publish(&published(&[]));
    let (broker, context) = (Arc::clone(&bench.broker), Arc::clone(&bench.context));
    let gone = handle(broker, context, going_on(session, 1), 13).await.0;
    assert_eq!(said(&gone), [0, 1].map(|index| (index, FetchError::UnknownTopicId)));
    let anew = topic("orders", TopicId([5; 16]), 2);
    bench.broker.publish(&published(&[anew]));
    let (broker, context) = (Arc::clone(&bench.broker), Arc::clone(&bench.context));
    let renewed = handle(broker, context, going_on(session, 2), 13).await.0;
    assert_eq!(said(&renewed), [0, 1].map(|index| (index, FetchError::InconsistentTopicId)));
}
