//! Every version of every API that is walked gives up its errors.

use super::*;
use holdfast_protocol::errors::FetchError;
use holdfast_protocol::fetch_writer::{FetchPartition, FetchResponseParts, FetchTopic};
use holdfast_protocol::messages::delete_records_response::{
    DeleteRecordsPartitionResult, DeleteRecordsTopicResult,
};
use holdfast_protocol::messages::list_offsets_response::{
    ListOffsetsPartitionResponse, ListOffsetsTopicResponse,
};
use holdfast_protocol::messages::offset_commit_response::{
    OffsetCommitResponsePartition, OffsetCommitResponseTopic,
};
use holdfast_protocol::messages::offset_fetch_response::{
    OffsetFetchResponseGroup, OffsetFetchResponsePartition, OffsetFetchResponsePartitions,
    OffsetFetchResponseTopic, OffsetFetchResponseTopics,
};
use holdfast_protocol::messages::produce_response::{
    LeaderIdAndEpoch, PartitionProduceResponse, TopicProduceResponse,
};
use holdfast_protocol::messages::{
    BrokerId, DeleteRecordsResponse, ListOffsetsResponse, OffsetCommitResponse,
    OffsetFetchResponse, ProduceResponse, TopicName,
};
use holdfast_protocol::{
    Response, SUPPORTED, StrBytes, Uuid, encode_response, write_fetch_response,
};

fn name(text: &'static str) -> TopicName {
    TopicName(StrBytes::from_static_str(text))
}

/// Refused with 6 in its second partition, and with 19 in another topic.
fn produce(version: i16) -> Response {
    let partition = |index: i32, error: i16| {
        let mut partition =
            PartitionProduceResponse::default().with_index(index).with_error_code(error);
        if version >= 8 && error != 0 {
            partition.error_message = Some(StrBytes::from_static_str("refused, and why"));
        }
        if version >= 10 && error == 6 {
            let leader = LeaderIdAndEpoch::default().with_leader_id(BrokerId(3));
            partition.current_leader = leader.with_leader_epoch(9);
        }
        partition
    };
    let topic = |text: &'static str, partitions| {
        let topic = TopicProduceResponse::default().with_partition_responses(partitions);
        match version >= 13 {
            true => topic.with_topic_id(Uuid::from_u128(7)),
            false => topic.with_name(name(text)),
        }
    };
    let topics = vec![
        topic("orders", vec![partition(0, 0), partition(1, 6), partition(2, 0)]),
        topic("x", vec![partition(0, 19)]),
    ];
    Response::Produce(ProduceResponse::default().with_responses(topics))
}

fn fetch(version: i16) -> Vec<Bytes> {
    let served = |index| FetchPartition {
        // What looks like a field lies in the records.
        records: Some(vec![Bytes::from(vec![255; 70_000]), Bytes::from_static(&[255])]),
        aborted_transactions: Some(vec![(1, 2), (3, 4)]),
        diverging_epoch: Some((1, 2)),
        ..FetchPartition::refused(index, FetchError::None)
    };
    let refused = |index, error| FetchPartition {
        current_leader: Some((3, 9)),
        ..FetchPartition::refused(index, error)
    };
    let null = FetchPartition { records: None, ..served(9) };
    let first = vec![
        served(0),
        refused(1, FetchError::NotLeaderOrFollower),
        null,
        refused(3, FetchError::OffsetOutOfRange),
        served(4),
    ];
    let topic = |text: &'static str, partitions| FetchTopic {
        name: StrBytes::from_static_str(text),
        topic_id: [7; 16],
        partitions,
    };
    let parts = FetchResponseParts {
        session_id: 7,
        topics: vec![
            topic("orders", first),
            topic("x", vec![refused(0, FetchError::KafkaStorageError)]),
        ],
        ..FetchResponseParts::default()
    };
    write_fetch_response(7, version, &parts).expect("it can be written")
}

fn list_offsets(version: i16) -> Response {
    let partition = |index, error| {
        let epoch = if version >= 4 { 9 } else { -1 };
        let partition = ListOffsetsPartitionResponse::default().with_partition_index(index);
        partition.with_error_code(error).with_offset(-1).with_timestamp(-1).with_leader_epoch(epoch)
    };
    let topic = |text, partitions| {
        ListOffsetsTopicResponse::default().with_name(name(text)).with_partitions(partitions)
    };
    let topics = vec![
        topic("orders", vec![partition(0, 0), partition(1, 78)]),
        topic("x", vec![partition(0, 3)]),
    ];
    Response::ListOffsets(ListOffsetsResponse::default().with_topics(topics))
}

fn offset_commit(_: i16) -> Response {
    let partition = |index, error| {
        OffsetCommitResponsePartition::default().with_partition_index(index).with_error_code(error)
    };
    let topic = |text, partitions| {
        OffsetCommitResponseTopic::default().with_name(name(text)).with_partitions(partitions)
    };
    let topics = vec![
        topic("orders", vec![partition(0, 0), partition(1, 12)]),
        topic("x", vec![partition(0, 3)]),
    ];
    Response::OffsetCommit(OffsetCommitResponse::default().with_topics(topics))
}

fn offset_fetch(version: i16) -> Response {
    if version >= 8 {
        let partition = |index: i32, error: i16| {
            let partition = OffsetFetchResponsePartitions::default().with_partition_index(index);
            let metadata = Some(StrBytes::from_static_str("mine"));
            partition.with_metadata(metadata).with_error_code(error)
        };
        let topic = OffsetFetchResponseTopics::default().with_name(name("orders"));
        let topic = topic.with_partitions(vec![partition(0, 0), partition(1, 88)]);
        let group = |id: &'static str, error: i16, topics| {
            let id = holdfast_protocol::messages::GroupId(StrBytes::from_static_str(id));
            let group = OffsetFetchResponseGroup::default().with_group_id(id);
            group.with_error_code(error).with_topics(topics)
        };
        let groups = vec![group("good", 0, vec![topic]), group("elsewhere", 16, Vec::new())];
        return Response::OffsetFetch(OffsetFetchResponse::default().with_groups(groups));
    }
    let partition = |index: i32, error: i16| {
        let partition = OffsetFetchResponsePartition::default().with_partition_index(index);
        partition.with_metadata(Some(StrBytes::from_static_str("mine"))).with_error_code(error)
    };
    let topic = OffsetFetchResponseTopic::default().with_name(name("orders"));
    let topic = topic.with_partitions(vec![partition(0, 0), partition(1, 88)]);
    let answer = OffsetFetchResponse::default().with_topics(vec![topic]);
    Response::OffsetFetch(if version >= 2 { answer.with_error_code(16) } else { answer })
}

fn delete_records(_: i16) -> Response {
    let partition = |index, error| {
        DeleteRecordsPartitionResult::default().with_partition_index(index).with_error_code(error)
    };
    let topic = |text, partitions| {
        DeleteRecordsTopicResult::default().with_name(name(text)).with_partitions(partitions)
    };
    let topics = vec![
        topic("orders", vec![partition(0, 0), partition(1, 1)]),
        topic("x", vec![partition(0, 3)]),
    ];
    Response::DeleteRecords(DeleteRecordsResponse::default().with_topics(topics))
}

fn written(api: Api, version: i16) -> Vec<Bytes> {
    let answer = match api {
        Api::Produce => produce(version),
        Api::Fetch => return fetch(version),
        Api::ListOffsets => list_offsets(version),
        Api::OffsetCommit => offset_commit(version),
        Api::OffsetFetch => offset_fetch(version),
        Api::DeleteRecords => delete_records(version),
        other => admin::samples::refused(other, version),
    };
    vec![encode_response(7, version, &answer).expect("it can be written")]
}

fn expected(api: Api, version: i16) -> Vec<i16> {
    match api {
        Api::Produce => vec![6, 19],
        Api::Fetch => vec![6, 1, 56],
        Api::ListOffsets => vec![78, 3],
        Api::OffsetCommit => vec![12, 3],
        Api::OffsetFetch if version == 1 => vec![88],
        Api::OffsetFetch => vec![88, 16],
        Api::AlterPartitionReassignments if version >= 1 => vec![41, 1, 3],
        _ => vec![1, 3],
    }
}

#[test]
fn an_operator_sees_what_single_partitions_were_refused_for_in_every_version() {
    let mut walked = 0;
    for (api, ..) in TABLES {
        let row = SUPPORTED.iter().find(|row| row.api == *api).expect("it is there");
        for version in row.accepted_min..=row.max {
            let pieces = written(*api, version);
            let expected = expected(*api, version);
            let mut errors = Vec::new();
            part_errors(api.key(), version, &pieces, |error| errors.push(error));
            assert_eq!(errors, expected, "{api:?} v{version}");
            // The same bytes in other pieces, and cut off anywhere.
            let whole = Bytes::from(pieces.concat());
            let bytewise: Vec<Bytes> = if whole.len() < 1_000 {
                (0..whole.len()).map(|at| whole.slice(at..=at)).collect()
            } else {
                vec![whole.clone()]
            };
            let mut again = Vec::new();
            part_errors(api.key(), version, &bytewise, |error| again.push(error));
            assert_eq!(again, expected, "{api:?} v{version}");
            for end in (0..whole.len()).step_by(if whole.len() < 1_000 { 1 } else { 997 }) {
                let mut some = Vec::new();
                part_errors(api.key(), version, &[whole.slice(..end)], |error| some.push(error));
                assert!(expected.starts_with(&some), "{api:?} v{version}, {end} bytes: {some:?}");
            }
            walked += 1;
        }
    }
    assert!(walked > 90, "only {walked} versions");
}

#[test]
fn an_api_without_a_table_has_no_parts_to_count() {
    let answer = Bytes::from_static(&[255; 40]);
    part_errors(Api::Heartbeat.key(), 0, &[answer], |error| panic!("{error}"));
}
