//! Requests of operators' tools that one node without an authorizer has little to say to.

use kafka_protocol::messages::alter_partition_reassignments_request::{
    ReassignablePartition, ReassignableTopic,
};
use kafka_protocol::messages::alter_replica_log_dirs_request::{
    AlterReplicaLogDir, AlterReplicaLogDirTopic,
};
use kafka_protocol::messages::create_acls_request::AclCreation;
use kafka_protocol::messages::delete_acls_request::DeleteAclsFilter;
use kafka_protocol::messages::elect_leaders_request::TopicPartitions;
use kafka_protocol::messages::list_partition_reassignments_request::ListPartitionReassignmentsTopics;
use kafka_protocol::messages::{
    AlterPartitionReassignmentsRequest, AlterReplicaLogDirsRequest, CreateAclsRequest,
    DeleteAclsRequest, DescribeAclsRequest, ElectLeadersRequest, ListConfigResourcesRequest,
    ListPartitionReassignmentsRequest, SaslHandshakeRequest,
};

use super::{name, text};

pub(super) fn sasl_handshake() -> SaslHandshakeRequest {
    SaslHandshakeRequest::default().with_mechanism(text("SCRAM-SHA-256"))
}

pub(super) fn describe_acls() -> DescribeAclsRequest {
    DescribeAclsRequest::default()
        .with_resource_type_filter(2)
        .with_resource_name_filter(Some(text("orders")))
        .with_pattern_type_filter(3)
        .with_principal_filter(None)
        .with_host_filter(Some(text("*")))
        .with_operation(3)
        .with_permission_type(3)
}

pub(super) fn create_acls() -> CreateAclsRequest {
    let creation = AclCreation::default()
        .with_resource_type(2)
        .with_resource_name(text("orders"))
        .with_resource_pattern_type(3)
        .with_principal(text("User:alice"))
        .with_host(text("*"))
        .with_operation(3)
        .with_permission_type(3);
    CreateAclsRequest::default().with_creations(vec![creation.clone(), creation])
}

pub(super) fn delete_acls() -> DeleteAclsRequest {
    let filter = DeleteAclsFilter::default()
        .with_resource_type_filter(2)
        .with_resource_name_filter(None)
        .with_pattern_type_filter(3)
        .with_principal_filter(Some(text("User:alice")))
        .with_host_filter(None)
        .with_operation(3)
        .with_permission_type(3);
    DeleteAclsRequest::default().with_filters(vec![filter.clone(), filter])
}

pub(super) fn alter_replica_log_dirs() -> AlterReplicaLogDirsRequest {
    let topic =
        AlterReplicaLogDirTopic::default().with_name(name("orders")).with_partitions(vec![0, 5]);
    let dir =
        |path| AlterReplicaLogDir::default().with_path(text(path)).with_topics(vec![topic.clone()]);
    AlterReplicaLogDirsRequest::default().with_dirs(vec![dir("/wal"), dir("/elsewhere")])
}

pub(super) fn elect_leaders(version: i16) -> ElectLeadersRequest {
    let topic = TopicPartitions::default().with_topic(name("orders")).with_partitions(vec![0, 5]);
    let request = ElectLeadersRequest::default().with_timeout_ms(1_000);
    match version {
        0 => request.with_topic_partitions(Some(vec![topic])),
        1 => request.with_election_type(1).with_topic_partitions(Some(vec![topic])),
        _ => request.with_topic_partitions(None),
    }
}

pub(super) fn alter_partition_reassignments(version: i16) -> AlterPartitionReassignmentsRequest {
    let partition = |index, replicas| {
        ReassignablePartition::default().with_partition_index(index).with_replicas(replicas)
    };
    let partitions = vec![
        partition(0, Some(vec![1.into()])),
        partition(1, Some(vec![1.into(), 2.into()])),
        partition(5, None),
    ];
    let topic = ReassignableTopic::default().with_name(name("orders")).with_partitions(partitions);
    AlterPartitionReassignmentsRequest::default()
        .with_timeout_ms(1_000)
        .with_allow_replication_factor_change(version < 1)
        .with_topics(vec![topic])
}

pub(super) fn list_partition_reassignments() -> ListPartitionReassignmentsRequest {
    let topic = ListPartitionReassignmentsTopics::default()
        .with_name(name("orders"))
        .with_partition_indexes(vec![0, 5]);
    ListPartitionReassignmentsRequest::default()
        .with_timeout_ms(1_000)
        .with_topics(Some(vec![topic]))
}

pub(super) fn list_config_resources(version: i16) -> ListConfigResourcesRequest {
    let types = if version >= 1 { vec![2, 4] } else { Vec::new() };
    ListConfigResourcesRequest::default().with_resource_types(types)
}
