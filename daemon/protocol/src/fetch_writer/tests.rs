//! Byte for byte what kafka-protocol writes.

use kafka_protocol::messages::fetch_response::{
    AbortedTransaction, EpochEndOffset, FetchableTopicResponse, LeaderIdAndEpoch,
    NodeEndpoint as OracleEndpoint, PartitionData,
};
use kafka_protocol::messages::{FetchResponse, ResponseHeader, TopicName};
use kafka_protocol::protocol::Encodable;
use proptest::prelude::*;
use uuid::Uuid;

use super::*;

/// The same answer from kafka-protocol, without what the version does not have.
fn oracle(correlation_id: i32, version: i16, parts: &FetchResponseParts) -> Vec<u8> {
    let mut response = FetchResponse::default()
        .with_throttle_time_ms(parts.throttle_time_ms)
        .with_error_code(parts.error.code())
        .with_responses(parts.topics.iter().map(|topic| oracle_topic(version, topic)).collect());
    if version >= 7 {
        response.session_id = parts.session_id;
    }
    if version >= 16 {
        response.node_endpoints = parts.node_endpoints.iter().map(oracle_endpoint).collect();
    }
    let mut frame = vec![0; 4];
    let header = ResponseHeader::default().with_correlation_id(correlation_id);
    header.encode(&mut frame, i16::from(version >= 12)).unwrap();
    response.encode(&mut frame, version).unwrap();
    let length = u32::try_from(frame.len() - 4).unwrap();
    frame[..4].copy_from_slice(&length.to_be_bytes());
    frame
}

fn oracle_endpoint(node: &NodeEndpoint) -> OracleEndpoint {
    OracleEndpoint::default()
        .with_node_id(node.node_id.into())
        .with_host(node.host.clone())
        .with_port(node.port)
        .with_rack(node.rack.clone())
}

fn oracle_topic(version: i16, topic: &FetchTopic) -> FetchableTopicResponse {
    let partitions = topic.partitions.iter().map(|p| oracle_partition(version, p)).collect();
    let oracle = FetchableTopicResponse::default().with_partitions(partitions);
    if version <= 12 {
        oracle.with_topic(TopicName(topic.name.clone()))
    } else {
        oracle.with_topic_id(Uuid::from_bytes(topic.topic_id))
    }
}

fn oracle_partition(version: i16, partition: &FetchPartition) -> PartitionData {
    let aborted = partition.aborted_transactions.as_ref().map(|aborted| {
        let transaction = |(producer_id, first_offset): &(i64, i64)| {
            AbortedTransaction::default()
                .with_producer_id((*producer_id).into())
                .with_first_offset(*first_offset)
        };
        aborted.iter().map(transaction).collect()
    });
    let records = partition.records.as_ref().map(|slices| Bytes::from(slices.concat()));
    let mut oracle = PartitionData::default()
        .with_partition_index(partition.index)
        .with_error_code(partition.error.in_version(version).code())
        .with_high_watermark(partition.high_watermark)
        .with_last_stable_offset(partition.last_stable_offset)
        .with_aborted_transactions(aborted)
        .with_records(records);
    if version >= 5 {
        oracle.log_start_offset = partition.log_start_offset;
    }
    if version >= 11 {
        oracle.preferred_read_replica = partition.preferred_read_replica.into();
    }
    if let Some((epoch, end_offset)) = partition.diverging_epoch {
        oracle.diverging_epoch =
            EpochEndOffset::default().with_epoch(epoch).with_end_offset(end_offset);
    }
    if let Some((node_id, epoch)) = partition.current_leader {
        oracle.current_leader =
            LeaderIdAndEpoch::default().with_leader_id(node_id.into()).with_leader_epoch(epoch);
    }
    oracle
}

fn text() -> impl Strategy<Value = StrBytes> {
    "[a-z]{0,200}".prop_map(StrBytes::from_string)
}

fn partition() -> impl Strategy<Value = FetchPartition> {
    let records = proptest::option::of(proptest::collection::vec(
        proptest::collection::vec(any::<u8>(), 0..300).prop_map(Bytes::from),
        0..4,
    ));
    let error = prop_oneof![Just(FetchError::None), proptest::sample::select(FetchError::ERRORS),];
    let aborted = proptest::option::of(proptest::collection::vec(any::<(i64, i64)>(), 0..4));
    let offsets = any::<(i64, i64, i64)>();
    let epoch = proptest::option::of(prop_oneof![any::<(i32, i64)>(), Just((-1, -1))]);
    let leader = proptest::option::of(prop_oneof![any::<(i32, i32)>(), Just((-1, -1))]);
    (any::<(i32, i32)>(), error, offsets, aborted, epoch, leader, records).prop_map(
        |((index, replica), error, offsets, aborted, epoch, leader, records)| FetchPartition {
            index,
            error,
            high_watermark: offsets.0,
            last_stable_offset: offsets.1,
            log_start_offset: offsets.2,
            diverging_epoch: epoch,
            current_leader: leader,
            aborted_transactions: aborted,
            preferred_read_replica: replica,
            records,
        },
    )
}

fn parts() -> impl Strategy<Value = FetchResponseParts> {
    let topic = (text(), any::<[u8; 16]>(), proptest::collection::vec(partition(), 0..4))
        .prop_map(|(name, topic_id, partitions)| FetchTopic { name, topic_id, partitions });
    let node = (any::<(i32, i32)>(), text(), proptest::option::of(text()))
        .prop_map(|((node_id, port), host, rack)| NodeEndpoint { node_id, host, port, rack });
    let error = prop_oneof![
        Just(FetchSessionError::None),
        proptest::sample::select(FetchSessionError::ERRORS),
    ];
    let topics = proptest::collection::vec(topic, 0..4);
    let nodes = proptest::collection::vec(node, 0..3);
    (any::<(i32, i32)>(), error, topics, nodes).prop_map(
        |((throttle_time_ms, session_id), error, topics, node_endpoints)| FetchResponseParts {
            throttle_time_ms,
            error,
            session_id,
            topics,
            node_endpoints,
        },
    )
}

proptest! {
    #[test]
    fn every_version_equals_kafka_protocols_bytes(parts in parts(), correlation_id: i32) {
        for version in 4..=18 {
            let segments = write_fetch_response(correlation_id, version, &parts).unwrap();
            prop_assert!(segments.iter().all(|segment| !segment.is_empty()));
            let ours = segments.concat();
            prop_assert_eq!(ours, oracle(correlation_id, version, &parts), "v{}", version);
        }
    }
}

#[test]
fn records_are_passed_through_and_headers_share_one_buffer() {
    let batches = [Bytes::from(vec![1; 1_000]), Bytes::from(vec![2; 2_000])];
    let partition = |index| FetchPartition {
        records: Some(batches.to_vec()),
        ..FetchPartition::refused(index, FetchError::None)
    };
    let empty = FetchPartition::refused(7, FetchError::OffsetOutOfRange);
    let topic = FetchTopic {
        name: StrBytes::from_static_str("orders"),
        partitions: vec![partition(0), empty, partition(1)],
        ..FetchTopic::default()
    };
    let parts = FetchResponseParts { topics: vec![topic], ..FetchResponseParts::default() };
    let segments = write_fetch_response(1, 12, &parts).unwrap();
    // head, two batches, head (with the empty partition inside), two batches, tail.
    assert_eq!(segments.len(), 7);
    for (segment, batch) in [(1, 0), (2, 1), (4, 0), (5, 1)] {
        assert_eq!(segments[segment].as_ptr(), batches[batch].as_ptr());
    }
    for (head, next) in [(0, 3), (3, 6)] {
        assert_eq!(segments[head].as_ptr_range().end, segments[next].as_ptr());
    }
}

#[test]
fn versions_without_a_row_are_not_written() {
    for version in [3, 19] {
        assert!(write_fetch_response(1, version, &FetchResponseParts::default()).is_err());
    }
}
