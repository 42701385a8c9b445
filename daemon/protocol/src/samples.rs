//! Requests as kafka-protocol's client side encodes them: every API in every accepted version,
//! with every field set that the version has. For tests and fuzzing.

mod admin;
mod groups;
mod more;

use bytes::{Bytes, BytesMut};
use kafka_protocol::messages::create_topics_request::{
    CreatableReplicaAssignment, CreatableTopic, CreatableTopicConfig,
};
use kafka_protocol::messages::delete_records_request::{
    DeleteRecordsPartition, DeleteRecordsTopic,
};
use kafka_protocol::messages::delete_topics_request::DeleteTopicState;
use kafka_protocol::messages::fetch_request::{
    FetchPartition, FetchTopic, ForgottenTopic, ReplicaState,
};
use kafka_protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use kafka_protocol::messages::{
    ApiVersionsRequest, CreateTopicsRequest, DeleteRecordsRequest, DeleteTopicsRequest,
    FetchRequest, InitProducerIdRequest, ListOffsetsRequest, MetadataRequest, ProduceRequest,
    RequestHeader, TopicName,
};
use kafka_protocol::protocol::{Encodable, StrBytes};
use uuid::Uuid;

use crate::guard;
use crate::request::Request;
use crate::versions::{Api, SUPPORTED};

/// A request as a client sends it.
#[derive(Clone, Debug)]
pub struct ClientRequest {
    /// The API.
    pub api: Api,
    /// The version.
    pub version: i16,
    /// What was encoded.
    pub request: Request,
    /// Header and body, without the length in front.
    pub frame: Bytes,
}

/// One of each.
///
/// # Panics
/// When kafka-protocol does not encode what its own types hold.
#[must_use]
pub fn client_requests(records: &Bytes) -> Vec<ClientRequest> {
    let mut requests = Vec::new();
    for row in SUPPORTED {
        for version in row.accepted_min..=row.max {
            let request = request(row.api, version, records);
            let frame = encode(row.api, version, &request);
            requests.push(ClientRequest { api: row.api, version, request, frame });
        }
    }
    requests
}

fn request(api: Api, version: i16, records: &Bytes) -> Request {
    match api {
        Api::Produce => Request::Produce(produce(version, records)),
        Api::Fetch => Request::Fetch(fetch(version)),
        Api::ListOffsets => Request::ListOffsets(list_offsets(version)),
        Api::Metadata => Request::Metadata(metadata(version)),
        Api::ApiVersions => Request::ApiVersions(api_versions(version)),
        Api::CreateTopics => Request::CreateTopics(create_topics()),
        Api::DeleteTopics => Request::DeleteTopics(delete_topics(version)),
        Api::DeleteRecords => Request::DeleteRecords(delete_records()),
        Api::InitProducerId => Request::InitProducerId(init_producer_id(version)),
        Api::OffsetCommit => Request::OffsetCommit(groups::offset_commit(version)),
        Api::OffsetFetch => Request::OffsetFetch(groups::offset_fetch(version)),
        Api::FindCoordinator => Request::FindCoordinator(groups::find_coordinator(version)),
        Api::JoinGroup => Request::JoinGroup(groups::join_group(version)),
        Api::Heartbeat => Request::Heartbeat(groups::heartbeat(version)),
        Api::LeaveGroup => Request::LeaveGroup(groups::leave_group(version)),
        Api::SyncGroup => Request::SyncGroup(groups::sync_group(version)),
        Api::DescribeGroups => Request::DescribeGroups(groups::describe_groups(version)),
        Api::ListGroups => Request::ListGroups(groups::list_groups(version)),
        Api::OffsetForLeaderEpoch => {
            Request::OffsetForLeaderEpoch(admin::offset_for_leader_epoch(version))
        }
        Api::DescribeConfigs => Request::DescribeConfigs(admin::describe_configs(version)),
        Api::AlterConfigs => Request::AlterConfigs(admin::alter_configs()),
        Api::DescribeLogDirs => Request::DescribeLogDirs(admin::describe_log_dirs(version)),
        Api::CreatePartitions => Request::CreatePartitions(admin::create_partitions()),
        Api::DeleteGroups => Request::DeleteGroups(groups::delete_groups()),
        Api::IncrementalAlterConfigs => {
            Request::IncrementalAlterConfigs(admin::incremental_alter_configs())
        }
        Api::OffsetDelete => Request::OffsetDelete(groups::offset_delete()),
        Api::SaslHandshake => Request::SaslHandshake(more::sasl_handshake()),
        Api::DescribeAcls => Request::DescribeAcls(more::describe_acls()),
        Api::CreateAcls => Request::CreateAcls(more::create_acls()),
        Api::DeleteAcls => Request::DeleteAcls(more::delete_acls()),
        Api::AlterReplicaLogDirs => Request::AlterReplicaLogDirs(more::alter_replica_log_dirs()),
        Api::ElectLeaders => Request::ElectLeaders(more::elect_leaders(version)),
        Api::AlterPartitionReassignments => {
            Request::AlterPartitionReassignments(more::alter_partition_reassignments(version))
        }
        Api::ListPartitionReassignments => {
            Request::ListPartitionReassignments(more::list_partition_reassignments())
        }
        Api::ListConfigResources => {
            Request::ListConfigResources(more::list_config_resources(version))
        }
        Api::DescribeQuorum => Request::DescribeQuorum(admin::describe_quorum()),
        Api::DescribeCluster => Request::DescribeCluster(admin::describe_cluster(version)),
        Api::DescribeTopicPartitions => {
            Request::DescribeTopicPartitions(admin::describe_topic_partitions())
        }
    }
}

fn encode(api: Api, version: i16, request: &Request) -> Bytes {
    let flexible = guard::is_flexible(api.key(), version).expect("a row has schemas");
    let mut frame = BytesMut::new();
    let mut header = RequestHeader::default()
        .with_request_api_key(api.key())
        .with_request_api_version(version)
        .with_correlation_id(77)
        .with_client_id(Some(StrBytes::from_static_str("sample")));
    if flexible {
        header = header.with_unknown_tagged_fields(unknown_tag());
    }
    header.encode(&mut frame, if flexible { 2 } else { 1 }).expect("a header encodes");
    let done = match request {
        Request::Produce(body) => body.encode(&mut frame, version),
        Request::Fetch(body) => body.encode(&mut frame, version),
        Request::ListOffsets(body) => body.encode(&mut frame, Api::ListOffsets.bytes_of(version)),
        Request::Metadata(body) => body.encode(&mut frame, version),
        Request::ApiVersions(body) => body.encode(&mut frame, version),
        Request::CreateTopics(body) => body.encode(&mut frame, version),
        Request::DeleteTopics(body) => body.encode(&mut frame, version),
        Request::DeleteRecords(body) => body.encode(&mut frame, version),
        Request::InitProducerId(body) => body.encode(&mut frame, version),
        Request::OffsetCommit(body) => body.encode(&mut frame, version),
        Request::OffsetFetch(body) => body.encode(&mut frame, version),
        Request::FindCoordinator(body) => body.encode(&mut frame, version),
        Request::JoinGroup(body) => body.encode(&mut frame, version),
        Request::Heartbeat(body) => body.encode(&mut frame, version),
        Request::LeaveGroup(body) => body.encode(&mut frame, version),
        Request::SyncGroup(body) => body.encode(&mut frame, version),
        Request::DescribeGroups(body) => body.encode(&mut frame, version),
        Request::ListGroups(body) => body.encode(&mut frame, version),
        Request::OffsetForLeaderEpoch(body) => body.encode(&mut frame, version),
        Request::DescribeConfigs(body) => body.encode(&mut frame, version),
        Request::AlterConfigs(body) => body.encode(&mut frame, version),
        Request::DescribeLogDirs(body) => body.encode(&mut frame, version),
        Request::CreatePartitions(body) => body.encode(&mut frame, version),
        Request::DeleteGroups(body) => body.encode(&mut frame, version),
        Request::IncrementalAlterConfigs(body) => body.encode(&mut frame, version),
        Request::OffsetDelete(body) => body.encode(&mut frame, version),
        Request::SaslHandshake(body) => body.encode(&mut frame, version),
        Request::DescribeAcls(body) => body.encode(&mut frame, version),
        Request::CreateAcls(body) => body.encode(&mut frame, version),
        Request::DeleteAcls(body) => body.encode(&mut frame, version),
        Request::AlterReplicaLogDirs(body) => body.encode(&mut frame, version),
        Request::ElectLeaders(body) => body.encode(&mut frame, version),
        Request::AlterPartitionReassignments(body) => body.encode(&mut frame, version),
        Request::ListPartitionReassignments(body) => body.encode(&mut frame, version),
        Request::ListConfigResources(body) => body.encode(&mut frame, version),
        Request::DescribeQuorum(body) => body.encode(&mut frame, version),
        Request::DescribeCluster(body) => body.encode(&mut frame, version),
        Request::DescribeTopicPartitions(body) => body.encode(&mut frame, version),
    };
    done.unwrap_or_else(|error| panic!("{api:?} v{version}: {error}"));
    frame.freeze()
}

fn unknown_tag() -> std::collections::BTreeMap<i32, Bytes> {
    [(41, Bytes::from_static(b"unknown"))].into()
}

fn text(text: &'static str) -> StrBytes {
    StrBytes::from_static_str(text)
}

fn name(name: &'static str) -> TopicName {
    TopicName(text(name))
}

fn produce(version: i16, records: &Bytes) -> ProduceRequest {
    let partition = |index| {
        PartitionProduceData::default().with_index(index).with_records(Some(records.clone()))
    };
    let mut topic =
        TopicProduceData::default().with_partition_data(vec![partition(0), partition(5)]);
    if version <= 12 {
        topic.name = name("orders");
    } else {
        topic.topic_id = Uuid::from_bytes([7; 16]);
    }
    ProduceRequest::default().with_acks(-1).with_timeout_ms(30_000).with_topic_data(vec![topic])
}

fn fetch(version: i16) -> FetchRequest {
    let mut partition = FetchPartition::default()
        .with_partition(3)
        .with_fetch_offset(1_000)
        .with_partition_max_bytes(1 << 20);
    if version >= 9 {
        partition.current_leader_epoch = 4;
    }
    if version >= 12 {
        partition.last_fetched_epoch = 4;
        partition.unknown_tagged_fields = unknown_tag();
    }
    if version >= 17 {
        partition.replica_directory_id = Uuid::from_bytes([9; 16]);
    }
    if version >= 18 {
        partition.high_watermark = 900;
    }
    let mut topic = FetchTopic::default().with_partitions(vec![partition.clone(), partition]);
    let mut forgotten = ForgottenTopic::default().with_partitions(vec![1, 2, 3]);
    if version <= 12 {
        topic.topic = name("orders");
        forgotten.topic = name("gone");
    } else {
        topic.topic_id = Uuid::from_bytes([7; 16]);
        forgotten.topic_id = Uuid::from_bytes([8; 16]);
    }
    let mut request = FetchRequest::default()
        .with_max_wait_ms(500)
        .with_min_bytes(1)
        .with_max_bytes(50 << 20)
        .with_topics(vec![topic]);
    if version >= 7 {
        request.session_id = 11;
        request.session_epoch = 2;
        request.forgotten_topics_data = vec![forgotten];
    }
    if version >= 11 {
        request.rack_id = StrBytes::from_static_str("rack-a");
    }
    if version >= 12 {
        request.cluster_id = Some(StrBytes::from_static_str("cluster"));
    }
    if version >= 15 {
        request.replica_state =
            ReplicaState::default().with_replica_id((-1).into()).with_replica_epoch(3);
    }
    request
}

fn list_offsets(version: i16) -> ListOffsetsRequest {
    let mut partition = ListOffsetsPartition::default().with_partition_index(1).with_timestamp(-1);
    if version >= 4 {
        partition.current_leader_epoch = 3;
    }
    let topic =
        ListOffsetsTopic::default().with_name(name("orders")).with_partitions(vec![partition]);
    let mut request =
        ListOffsetsRequest::default().with_replica_id((-1).into()).with_topics(vec![topic]);
    if version >= 2 {
        request.isolation_level = 1;
    }
    if version >= 10 {
        request.timeout_ms = 1_000;
    }
    request
}

fn metadata(version: i16) -> MetadataRequest {
    let mut topic = MetadataRequestTopic::default().with_name(Some(name("orders")));
    if version >= 10 {
        topic.topic_id = Uuid::from_bytes([7; 16]);
    }
    if version >= 9 {
        topic.unknown_tagged_fields = unknown_tag();
    }
    let mut request = MetadataRequest::default().with_topics(Some(vec![topic.clone(), topic]));
    if (8..=10).contains(&version) {
        request.include_cluster_authorized_operations = true;
    }
    if version >= 8 {
        request.include_topic_authorized_operations = true;
    }
    request
}

fn api_versions(version: i16) -> ApiVersionsRequest {
    let mut request = ApiVersionsRequest::default();
    if version >= 3 {
        request.client_software_name = StrBytes::from_static_str("sample");
        request.client_software_version = StrBytes::from_static_str("1.0");
    }
    request
}

fn create_topics() -> CreateTopicsRequest {
    let assignment = CreatableReplicaAssignment::default()
        .with_partition_index(0)
        .with_broker_ids(vec![1.into(), 2.into()]);
    let config = CreatableTopicConfig::default()
        .with_name(StrBytes::from_static_str("retention.ms"))
        .with_value(Some(StrBytes::from_static_str("1000")));
    let unset = CreatableTopicConfig::default()
        .with_name(StrBytes::from_static_str("cleanup.policy"))
        .with_value(None);
    let topic = CreatableTopic::default()
        .with_name(name("orders"))
        .with_num_partitions(-1)
        .with_replication_factor(-1)
        .with_assignments(vec![assignment])
        .with_configs(vec![config, unset]);
    CreateTopicsRequest::default()
        .with_topics(vec![topic.clone(), topic])
        .with_timeout_ms(1_000)
        .with_validate_only(true)
}

fn delete_topics(version: i16) -> DeleteTopicsRequest {
    let request = DeleteTopicsRequest::default().with_timeout_ms(1_000);
    if version <= 5 {
        return request.with_topic_names(vec![name("orders"), name("more")]);
    }
    let by_name = DeleteTopicState::default().with_name(Some(name("orders")));
    let by_id = DeleteTopicState::default().with_topic_id(Uuid::from_bytes([7; 16]));
    request.with_topics(vec![by_name, by_id])
}

fn delete_records() -> DeleteRecordsRequest {
    let partition = DeleteRecordsPartition::default().with_partition_index(1).with_offset(50);
    let topic =
        DeleteRecordsTopic::default().with_name(name("orders")).with_partitions(vec![partition]);
    DeleteRecordsRequest::default().with_topics(vec![topic]).with_timeout_ms(1_000)
}

fn init_producer_id(version: i16) -> InitProducerIdRequest {
    let mut request = InitProducerIdRequest::default()
        .with_transactional_id(Some(StrBytes::from_static_str("payments").into()))
        .with_transaction_timeout_ms(60_000);
    if version >= 3 {
        request.producer_id = 5.into();
        request.producer_epoch = 1;
    }
    request
}
