//! Frames in, frames out: what is answered, what ends the connection.

use super::*;
use crate::double::{Bench, bench};
use bytes::{BufMut, BytesMut};
use holdfast_protocol::SUPPORTED;

fn frame(key: i16, version: i16, rest: &[u8]) -> Bytes {
    let mut frame = BytesMut::new();
    frame.put_i16(key);
    frame.put_i16(version);
    frame.put_i32(77);
    frame.put_i16(-1);
    frame.put_slice(rest);
    frame.freeze()
}

async fn reply(bench: &Bench, frame: Bytes) -> Reply {
    bench.broker.start(&bench.context, frame).await
}

async fn sent(bench: &Bench, frame: Bytes) -> Vec<u8> {
    match reply(bench, frame).await {
        Reply::Send(pieces) | Reply::SendHeld(pieces, _) => pieces.concat(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn an_unknown_version_of_api_versions_is_answered_in_version_0() {
    let bench = bench();
    let answer = sent(&bench, frame(18, 99, &[])).await;
    assert_eq!(&answer[4..8], &77_i32.to_be_bytes(), "the correlation id");
    assert_eq!(&answer[8..10], &35_i16.to_be_bytes(), "UNSUPPORTED_VERSION");
}

#[tokio::test]
async fn api_versions_answers_without_header_tags() {
    let bench = bench();
    let answer = sent(&bench, frame(18, 0, &[])).await;
    assert_eq!(&answer[8..10], &0_i16.to_be_bytes());
    let told = i32::try_from(holdfast_protocol::advertised().len()).expect("few");
    assert_eq!(&answer[10..14], &told.to_be_bytes());
}

#[tokio::test]
async fn what_is_not_in_the_table_closes_the_connection() {
    let bench = bench();
    // Transactions, the new groups and share groups: not before they exist.
    let absent = [24, 25, 26, 27, 28, 68, 69, 71, 76, 77, 78, 79, 88, 89].map(|key| (key, 0));
    let outside = [(-1, 0), (0, 2), (3, 14), (3, -1), (1, 3), (8, 1), (8, 10), (9, 0), (11, 10)];
    for (key, version) in absent.into_iter().chain(outside) {
        let end = reply(&bench, frame(key, version, &[])).await;
        assert!(matches!(end, Reply::Close(_)), "key {key} version {version}: {end:?}");
    }
}

#[tokio::test]
async fn an_array_that_lies_about_its_length_closes_the_connection() {
    let bench = bench();
    let hostile = frame(3, 1, &[0x7f, 0xff, 0xff, 0xff]);
    assert!(matches!(reply(&bench, hostile).await, Reply::Close(_)));
}

#[test]
fn only_produce_may_be_pipelined() {
    for row in SUPPORTED {
        let expected = if row.api == Api::Produce { Order::Pipelined } else { Order::Alone };
        assert_eq!(order_of(&frame(row.api.key(), row.max, &[])), expected, "{:?}", row.api);
    }
    assert_eq!(order_of(&[0]), Order::Alone);
}

fn is_writable(version: i16, response: &Response) {
    let written = encode_response(1, version, response);
    assert!(written.is_ok(), "{:?}", written.err());
}

#[tokio::test]
async fn every_answer_can_be_written_in_every_version() {
    use crate::double::batch;
    use holdfast_batch::Codec;
    use holdfast_lane::{
        Answer, CreatedTopic, FoundOffset, LeaderHint, OffsetAnswer, Outcome, Reason, Refusal,
    };
    use kafka_protocol::messages::create_topics_request::CreatableTopic;
    use kafka_protocol::messages::delete_topics_request::DeleteTopicState;
    use kafka_protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
    use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
    use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
    use kafka_protocol::messages::{
        CreateTopicsRequest, DeleteTopicsRequest, ListOffsetsRequest, MetadataRequest,
        ProduceRequest, TopicName,
    };
    use kafka_protocol::protocol::StrBytes;

    let bench = bench();
    let versions = |api: Api| api.supported().accepted_min..=api.supported().max;
    let both = || (Arc::clone(&bench.broker), Arc::clone(&bench.context));
    let name = || TopicName(StrBytes::from("orders"));
    let id = || uuid::Uuid::from_bytes(crate::double::ORDERS.0);
    let refusal = || Refusal {
        reason: Reason::NotLeader,
        outcome: Outcome::DidNot,
        leader: Some(LeaderHint {
            node: holdfast_base::NodeId(1),
            shard: holdfast_base::ShardId(1),
            term: holdfast_base::Term(8),
            leader_epoch: 8,
        }),
    };
    for version in versions(Api::Produce) {
        let data = |index| {
            let records = Some(batch(Codec::None, 0, 1));
            PartitionProduceData::default().with_index(index).with_records(records)
        };
        let topic = TopicProduceData::default()
            .with_name(name())
            .with_topic_id(id())
            .with_partition_data(vec![data(0), data(9)]);
        let request = ProduceRequest::default().with_acks(-1).with_topic_data(vec![topic]);
        bench.lane.answer(Answer::Produce(vec![Err(refusal())]));
        match produce::start(&bench.broker, &bench.context, request, version).await {
            Finish::Answer(answer) => is_writable(version, &Response::Produce(answer)),
            _ => panic!("an answer"),
        }
    }
    for version in versions(Api::ListOffsets) {
        let found = FoundOffset::Offset { offset: 3, timestamp_ms: 4 };
        bench.lane.answer(Answer::ListOffsets(vec![Ok(OffsetAnswer { leader_epoch: 7, found })]));
        let partitions = [0, 9].map(|index| {
            ListOffsetsPartition::default().with_partition_index(index).with_timestamp(-1)
        });
        let topic =
            ListOffsetsTopic::default().with_name(name()).with_partitions(partitions.to_vec());
        let request = ListOffsetsRequest::default().with_topics(vec![topic]);
        let answer = list_offsets::handle(Arc::clone(&bench.broker), request, version).await;
        is_writable(version, &Response::ListOffsets(answer));
    }
    for version in versions(Api::Metadata) {
        let unknown = MetadataRequestTopic::default()
            .with_name(None)
            .with_topic_id(uuid::Uuid::from_bytes([6; 16]));
        let known = MetadataRequestTopic::default().with_name(Some(name()));
        let request = MetadataRequest::default().with_topics(Some(vec![known, unknown]));
        let (broker, context) = both();
        let answer = metadata::handle(broker, context, String::new(), request, version).await;
        is_writable(version, &Response::Metadata(answer));
    }
    for version in versions(Api::CreateTopics) {
        let made = CreatedTopic { id: crate::double::ORDERS, partitions: 1, replication_factor: 1 };
        bench.lane.answer(Answer::CreateTopics(vec![Ok(made)]));
        let topic = |name: &'static str| {
            CreatableTopic::default().with_name(TopicName(StrBytes::from(name)))
        };
        let request = CreateTopicsRequest::default().with_timeout_ms(1_000).with_topics(vec![
            topic("a"),
            topic("b"),
            topic("b"),
        ]);
        let (broker, context) = both();
        let answer = create_topics::handle(broker, context, String::new(), request, version).await;
        is_writable(version, &Response::CreateTopics(answer));
    }
    for version in versions(Api::DeleteTopics) {
        bench
            .lane
            .answer(Answer::DeleteTopics(vec![Ok((crate::double::ORDERS, "orders".to_owned()))]));
        let state = DeleteTopicState::default().with_name(None).with_topic_id(id());
        let request = DeleteTopicsRequest::default()
            .with_timeout_ms(1_000)
            .with_topic_names(vec![name()])
            .with_topics(vec![state]);
        let (broker, context) = both();
        let answer = delete_topics::handle(broker, context, String::new(), request, version).await;
        is_writable(version, &Response::DeleteTopics(answer));
    }
}
