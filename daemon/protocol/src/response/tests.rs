//! Every answer in every version: it can be written, and a client reads what was meant.

mod admin;
mod data;
mod groups;
mod more;

use kafka_protocol::messages::TopicName;
use kafka_protocol::protocol::{Decodable, StrBytes};

use super::*;
use crate::versions::SUPPORTED;

fn text(text: &'static str) -> StrBytes {
    StrBytes::from_static_str(text)
}

fn name(name: &'static str) -> TopicName {
    TopicName(text(name))
}

/// With every field set that the version has; `None` for Fetch, which has its own writer.
fn filled(api: Api, version: i16) -> Option<Response> {
    Some(match api {
        Api::Fetch => return None,
        Api::Produce => Response::Produce(data::produce(version)),
        Api::ListOffsets => Response::ListOffsets(data::list_offsets(version)),
        Api::Metadata => Response::Metadata(data::metadata(version)),
        Api::OffsetCommit => Response::OffsetCommit(groups::offset_commit(version)),
        Api::OffsetFetch => Response::OffsetFetch(groups::offset_fetch(version)),
        Api::FindCoordinator => Response::FindCoordinator(groups::find_coordinator(version)),
        Api::JoinGroup => Response::JoinGroup(groups::join_group(version)),
        Api::Heartbeat => Response::Heartbeat(groups::heartbeat(version)),
        Api::LeaveGroup => Response::LeaveGroup(groups::leave_group(version)),
        Api::SyncGroup => Response::SyncGroup(groups::sync_group(version)),
        Api::DescribeGroups => Response::DescribeGroups(groups::describe_groups(version)),
        Api::ListGroups => Response::ListGroups(groups::list_groups(version)),
        Api::ApiVersions => Response::ApiVersions(data::api_versions(version)),
        Api::CreateTopics => Response::CreateTopics(data::create_topics(version)),
        Api::DeleteTopics => Response::DeleteTopics(data::delete_topics(version)),
        Api::DeleteRecords => Response::DeleteRecords(data::delete_records()),
        Api::InitProducerId => Response::InitProducerId(data::init_producer_id()),
        Api::OffsetForLeaderEpoch => {
            Response::OffsetForLeaderEpoch(admin::offset_for_leader_epoch())
        }
        Api::DescribeConfigs => Response::DescribeConfigs(admin::describe_configs(version)),
        Api::AlterConfigs => Response::AlterConfigs(admin::alter_configs()),
        Api::DescribeLogDirs => Response::DescribeLogDirs(admin::describe_log_dirs(version)),
        Api::CreatePartitions => Response::CreatePartitions(admin::create_partitions()),
        Api::DeleteGroups => Response::DeleteGroups(groups::delete_groups()),
        Api::IncrementalAlterConfigs => {
            Response::IncrementalAlterConfigs(admin::incremental_alter_configs())
        }
        Api::OffsetDelete => Response::OffsetDelete(groups::offset_delete()),
        Api::SaslHandshake => Response::SaslHandshake(more::sasl_handshake()),
        Api::DescribeAcls => Response::DescribeAcls(more::describe_acls()),
        Api::CreateAcls => Response::CreateAcls(more::create_acls()),
        Api::DeleteAcls => Response::DeleteAcls(more::delete_acls()),
        Api::AlterReplicaLogDirs => Response::AlterReplicaLogDirs(more::alter_replica_log_dirs()),
        Api::ElectLeaders => Response::ElectLeaders(more::elect_leaders(version)),
        Api::AlterPartitionReassignments => {
            Response::AlterPartitionReassignments(more::alter_partition_reassignments(version))
        }
        Api::ListPartitionReassignments => {
            Response::ListPartitionReassignments(more::list_partition_reassignments())
        }
        Api::ListConfigResources => {
            Response::ListConfigResources(more::list_config_resources(version))
        }
        Api::DescribeQuorum => Response::DescribeQuorum(admin::describe_quorum(version)),
        Api::DescribeCluster => Response::DescribeCluster(admin::describe_cluster(version)),
        Api::DescribeTopicPartitions => {
            Response::DescribeTopicPartitions(admin::describe_topic_partitions())
        }
    })
}

/// Nothing set. `None` for Fetch.
fn empty(api: Api) -> Option<Response> {
    Some(match api {
        Api::Fetch => return None,
        Api::Produce => Response::Produce(Default::default()),
        Api::ListOffsets => Response::ListOffsets(Default::default()),
        Api::Metadata => Response::Metadata(Default::default()),
        Api::OffsetCommit => Response::OffsetCommit(Default::default()),
        Api::OffsetFetch => Response::OffsetFetch(Default::default()),
        Api::FindCoordinator => Response::FindCoordinator(Default::default()),
        Api::JoinGroup => Response::JoinGroup(Default::default()),
        Api::Heartbeat => Response::Heartbeat(Default::default()),
        Api::LeaveGroup => Response::LeaveGroup(Default::default()),
        Api::SyncGroup => Response::SyncGroup(Default::default()),
        Api::DescribeGroups => Response::DescribeGroups(Default::default()),
        Api::ListGroups => Response::ListGroups(Default::default()),
        Api::ApiVersions => Response::ApiVersions(Default::default()),
        Api::CreateTopics => Response::CreateTopics(Default::default()),
        Api::DeleteTopics => Response::DeleteTopics(Default::default()),
        Api::DeleteRecords => Response::DeleteRecords(Default::default()),
        Api::InitProducerId => Response::InitProducerId(Default::default()),
        Api::OffsetForLeaderEpoch => Response::OffsetForLeaderEpoch(Default::default()),
        Api::DescribeConfigs => Response::DescribeConfigs(Default::default()),
        Api::AlterConfigs => Response::AlterConfigs(Default::default()),
        Api::DescribeLogDirs => Response::DescribeLogDirs(Default::default()),
        Api::CreatePartitions => Response::CreatePartitions(Default::default()),
        Api::DeleteGroups => Response::DeleteGroups(Default::default()),
        Api::IncrementalAlterConfigs => Response::IncrementalAlterConfigs(Default::default()),
        Api::OffsetDelete => Response::OffsetDelete(Default::default()),
        Api::SaslHandshake => Response::SaslHandshake(Default::default()),
        Api::DescribeAcls => Response::DescribeAcls(Default::default()),
        Api::CreateAcls => Response::CreateAcls(Default::default()),
        Api::DeleteAcls => Response::DeleteAcls(Default::default()),
        Api::AlterReplicaLogDirs => Response::AlterReplicaLogDirs(Default::default()),
        Api::ElectLeaders => Response::ElectLeaders(Default::default()),
        Api::AlterPartitionReassignments => {
            Response::AlterPartitionReassignments(Default::default())
        }
        Api::ListPartitionReassignments => Response::ListPartitionReassignments(Default::default()),
        Api::ListConfigResources => Response::ListConfigResources(Default::default()),
        Api::DescribeQuorum => Response::DescribeQuorum(Default::default()),
        Api::DescribeCluster => Response::DescribeCluster(Default::default()),
        Api::DescribeTopicPartitions => Response::DescribeTopicPartitions(Default::default()),
    })
}

/// As the client's side of kafka-protocol reads it.
fn read_back(api: Api, version: i16, frame: &Bytes) -> Option<Response> {
    let mut body = frame.slice(8 + usize::from(header_has_tags(api, version))..);
    let read = match api {
        Api::Fetch => return None,
        Api::Produce => decoded(&mut body, version, Response::Produce),
        Api::ListOffsets => decoded(&mut body, api.bytes_of(version), Response::ListOffsets),
        Api::Metadata => decoded(&mut body, version, Response::Metadata),
        Api::OffsetCommit => decoded(&mut body, version, Response::OffsetCommit),
        Api::OffsetFetch => decoded(&mut body, version, Response::OffsetFetch),
        Api::FindCoordinator => decoded(&mut body, version, Response::FindCoordinator),
        Api::JoinGroup => decoded(&mut body, version, Response::JoinGroup),
        Api::Heartbeat => decoded(&mut body, version, Response::Heartbeat),
        Api::LeaveGroup => decoded(&mut body, version, Response::LeaveGroup),
        Api::SyncGroup => decoded(&mut body, version, Response::SyncGroup),
        Api::DescribeGroups => decoded(&mut body, version, Response::DescribeGroups),
        Api::ListGroups => decoded(&mut body, version, Response::ListGroups),
        Api::ApiVersions => decoded(&mut body, version, Response::ApiVersions),
        Api::CreateTopics => decoded(&mut body, version, Response::CreateTopics),
        Api::DeleteTopics => decoded(&mut body, version, Response::DeleteTopics),
        Api::DeleteRecords => decoded(&mut body, version, Response::DeleteRecords),
        Api::InitProducerId => decoded(&mut body, version, Response::InitProducerId),
        Api::OffsetForLeaderEpoch => decoded(&mut body, version, Response::OffsetForLeaderEpoch),
        Api::DescribeConfigs => decoded(&mut body, version, Response::DescribeConfigs),
        Api::AlterConfigs => decoded(&mut body, version, Response::AlterConfigs),
        Api::DescribeLogDirs => decoded(&mut body, version, Response::DescribeLogDirs),
        Api::CreatePartitions => decoded(&mut body, version, Response::CreatePartitions),
        Api::DeleteGroups => decoded(&mut body, version, Response::DeleteGroups),
        Api::IncrementalAlterConfigs => {
            decoded(&mut body, version, Response::IncrementalAlterConfigs)
        }
        Api::OffsetDelete => decoded(&mut body, version, Response::OffsetDelete),
        Api::SaslHandshake => decoded(&mut body, version, Response::SaslHandshake),
        Api::DescribeAcls => decoded(&mut body, version, Response::DescribeAcls),
        Api::CreateAcls => decoded(&mut body, version, Response::CreateAcls),
        Api::DeleteAcls => decoded(&mut body, version, Response::DeleteAcls),
        Api::AlterReplicaLogDirs => decoded(&mut body, version, Response::AlterReplicaLogDirs),
        Api::ElectLeaders => decoded(&mut body, version, Response::ElectLeaders),
        Api::AlterPartitionReassignments => {
            decoded(&mut body, version, Response::AlterPartitionReassignments)
        }
        Api::ListPartitionReassignments => {
            decoded(&mut body, version, Response::ListPartitionReassignments)
        }
        Api::ListConfigResources => decoded(&mut body, version, Response::ListConfigResources),
        Api::DescribeQuorum => decoded(&mut body, version, Response::DescribeQuorum),
        Api::DescribeCluster => decoded(&mut body, version, Response::DescribeCluster),
        Api::DescribeTopicPartitions => {
            decoded(&mut body, version, Response::DescribeTopicPartitions)
        }
    };
    let read = read.unwrap_or_else(|error| panic!("{api:?} v{version}: {error}"));
    assert!(body.is_empty(), "{api:?} v{version}: {} bytes are left", body.len());
    Some(read)
}

fn decoded<T: Decodable>(
    body: &mut Bytes,
    version: i16,
    wrap: impl Fn(T) -> Response,
) -> Result<Response, String> {
    T::decode(body, version).map(wrap).map_err(|error| error.to_string())
}

fn versions() -> impl Iterator<Item = (Api, i16)> {
    SUPPORTED
        .iter()
        .flat_map(|row| (row.accepted_min..=row.max).map(|version| (row.api, version)))
        .filter(|(api, _)| *api != Api::Fetch)
}

#[test]
fn every_filled_answer_is_read_back_as_it_was_filled_in_every_version() {
    let mut tried = 0;
    for (api, version) in versions() {
        let answer = filled(api, version).expect("not Fetch");
        assert_eq!(answer.api(), api);
        let frame = encode_response(77, version, &answer).unwrap();
        assert_eq!(frame[..4], u32::try_from(frame.len() - 4).unwrap().to_be_bytes());
        assert_eq!(frame[4..8], 77_i32.to_be_bytes());
        let read = read_back(api, version, &frame).expect("not Fetch");
        assert_eq!(read, answer, "{api:?} v{version}");
        tried += 1;
    }
    assert!(tried > 140, "only {tried}");
}

#[test]
fn an_answer_with_nothing_set_can_be_written_in_every_version() {
    for (api, version) in versions() {
        let frame = encode_response(77, version, &empty(api).expect("not Fetch")).unwrap();
        read_back(api, version, &frame).expect("not Fetch");
    }
}

#[test]
fn these_older_versions_refuse_the_fields_of_the_newest() {
    let mut refused: Vec<(Api, Vec<i16>)> = Vec::new();
    for row in SUPPORTED.iter().filter(|row| row.api != Api::Fetch) {
        let newest = filled(row.api, row.max).expect("not Fetch");
        let versions = row.accepted_min..=row.max;
        let wrong: Vec<i16> =
            versions.filter(|version| encode_response(1, *version, &newest).is_err()).collect();
        if !wrong.is_empty() {
            refused.push((row.api, wrong));
        }
    }
    let to = |api, from: i16, to: i16| (api, (from..=to).collect::<Vec<i16>>());
    let expected = vec![
        to(Api::ListOffsets, 1, 3),
        to(Api::Metadata, 0, 7),
        to(Api::OffsetFetch, 1, 7),
        to(Api::FindCoordinator, 0, 3),
        to(Api::JoinGroup, 0, 8),
        to(Api::LeaveGroup, 0, 2),
        to(Api::DescribeGroups, 0, 5),
        to(Api::DeleteTopics, 1, 5),
        to(Api::ElectLeaders, 0, 0),
        to(Api::DescribeQuorum, 0, 1),
        to(Api::DescribeCluster, 0, 1),
    ];
    assert_eq!(refused, expected);
}

#[test]
fn these_newer_versions_refuse_the_fields_of_the_oldest() {
    let mut refused: Vec<(Api, Vec<i16>)> = Vec::new();
    for row in SUPPORTED.iter().filter(|row| row.api != Api::Fetch) {
        let oldest = filled(row.api, row.accepted_min).expect("not Fetch");
        let versions = row.accepted_min..=row.max;
        let wrong: Vec<i16> =
            versions.filter(|version| encode_response(1, *version, &oldest).is_err()).collect();
        if !wrong.is_empty() {
            refused.push((row.api, wrong));
        }
    }
    let expected = vec![(Api::OffsetFetch, vec![8, 9]), (Api::FindCoordinator, vec![4, 5, 6])];
    assert_eq!(refused, expected);
}

#[test]
fn null_is_refused_until_clients_can_read_it() {
    use kafka_protocol::messages::delete_topics_response::DeletableTopicResult;
    use kafka_protocol::messages::metadata_response::MetadataResponseTopic;
    let join = JoinGroupResponse::default().with_protocol_name(None);
    let topic = MetadataResponseTopic::default().with_name(None);
    let metadata = MetadataResponse::default().with_topics(vec![topic]);
    let result = DeletableTopicResult::default().with_name(None);
    let delete = DeleteTopicsResponse::default().with_responses(vec![result]);
    let answers = [
        (Response::JoinGroup(join), 7),
        (Response::Metadata(metadata), 12),
        (Response::DeleteTopics(delete), 6),
    ];
    for (answer, readable_from) in answers {
        let row = answer.api().supported();
        for version in row.accepted_min..=row.max {
            let written = encode_response(1, version, &answer).is_ok();
            assert_eq!(written, version >= readable_from, "{:?} v{version}", row.api);
        }
    }
}
