//! Answers that one node without an authorizer rarely gives, with every field set all the same.

use kafka_protocol::messages::alter_partition_reassignments_response::{
    ReassignablePartitionResponse, ReassignableTopicResponse,
};
use kafka_protocol::messages::alter_replica_log_dirs_response::{
    AlterReplicaLogDirPartitionResult, AlterReplicaLogDirTopicResult,
};
use kafka_protocol::messages::create_acls_response::AclCreationResult;
use kafka_protocol::messages::delete_acls_response::{
    DeleteAclsFilterResult, DeleteAclsMatchingAcl,
};
use kafka_protocol::messages::describe_acls_response::{AclDescription, DescribeAclsResource};
use kafka_protocol::messages::elect_leaders_response::{PartitionResult, ReplicaElectionResult};
use kafka_protocol::messages::list_config_resources_response::ConfigResource;
use kafka_protocol::messages::list_partition_reassignments_response::{
    OngoingPartitionReassignment, OngoingTopicReassignment,
};

use super::*;
use crate::errors::{
    AclError, AlterPartitionReassignmentsError, AlterReplicaLogDirsError, ElectLeadersError,
    ListConfigResourcesError, ListPartitionReassignmentsError, SaslHandshakeError,
};

pub(super) fn sasl_handshake() -> SaslHandshakeResponse {
    SaslHandshakeResponse::default()
        .with_error_code(SaslHandshakeError::IllegalSaslState.code())
        .with_mechanisms(vec![text("SCRAM-SHA-256")])
}

pub(super) fn describe_acls() -> DescribeAclsResponse {
    let acl = AclDescription::default()
        .with_principal(text("User:alice"))
        .with_host(text("*"))
        .with_operation(3)
        .with_permission_type(3);
    let resource = DescribeAclsResource::default()
        .with_resource_type(2)
        .with_resource_name(text("orders"))
        .with_pattern_type(4)
        .with_acls(vec![acl.clone(), acl]);
    DescribeAclsResponse::default()
        .with_throttle_time_ms(9)
        .with_error_code(AclError::SecurityDisabled.code())
        .with_error_message(Some(text("no authorizer")))
        .with_resources(vec![resource])
}

pub(super) fn create_acls() -> CreateAclsResponse {
    let result = AclCreationResult::default()
        .with_error_code(AclError::SecurityDisabled.code())
        .with_error_message(Some(text("no authorizer")));
    CreateAclsResponse::default().with_throttle_time_ms(9).with_results(vec![result])
}

pub(super) fn delete_acls() -> DeleteAclsResponse {
    let acl = DeleteAclsMatchingAcl::default()
        .with_error_code(AclError::UnknownServerError.code())
        .with_error_message(Some(text("not deleted")))
        .with_resource_type(2)
        .with_resource_name(text("orders"))
        .with_pattern_type(4)
        .with_principal(text("User:alice"))
        .with_host(text("*"))
        .with_operation(3)
        .with_permission_type(3);
    let result = DeleteAclsFilterResult::default()
        .with_error_code(AclError::SecurityDisabled.code())
        .with_error_message(Some(text("no authorizer")))
        .with_matching_acls(vec![acl]);
    DeleteAclsResponse::default().with_throttle_time_ms(9).with_filter_results(vec![result])
}

pub(super) fn alter_replica_log_dirs() -> AlterReplicaLogDirsResponse {
    let partition = AlterReplicaLogDirPartitionResult::default()
        .with_partition_index(5)
        .with_error_code(AlterReplicaLogDirsError::LogDirNotFound.code());
    let topic = AlterReplicaLogDirTopicResult::default()
        .with_topic_name(name("orders"))
        .with_partitions(vec![partition]);
    AlterReplicaLogDirsResponse::default().with_throttle_time_ms(9).with_results(vec![topic])
}

pub(super) fn elect_leaders(version: i16) -> ElectLeadersResponse {
    let partition = PartitionResult::default()
        .with_partition_id(5)
        .with_error_code(ElectLeadersError::ElectionNotNeeded.code())
        .with_error_message(Some(text("it leads")));
    let topic = ReplicaElectionResult::default()
        .with_topic(name("orders"))
        .with_partition_result(vec![partition]);
    let answer = ElectLeadersResponse::default()
        .with_throttle_time_ms(9)
        .with_replica_election_results(vec![topic]);
    if version >= 1 {
        answer.with_error_code(ElectLeadersError::NotController.code())
    } else {
        answer
    }
}

pub(super) fn alter_partition_reassignments(version: i16) -> AlterPartitionReassignmentsResponse {
    let partition = ReassignablePartitionResponse::default()
        .with_partition_index(5)
        .with_error_code(AlterPartitionReassignmentsError::InvalidReplicaAssignment.code())
        .with_error_message(Some(text("no such node")));
    let topic = ReassignableTopicResponse::default()
        .with_name(name("orders"))
        .with_partitions(vec![partition]);
    AlterPartitionReassignmentsResponse::default()
        .with_throttle_time_ms(9)
        .with_allow_replication_factor_change(version < 1)
        .with_error_code(AlterPartitionReassignmentsError::NotController.code())
        .with_error_message(Some(text("ask node 1")))
        .with_responses(vec![topic])
}

pub(super) fn list_partition_reassignments() -> ListPartitionReassignmentsResponse {
    let partition = OngoingPartitionReassignment::default()
        .with_partition_index(5)
        .with_replicas(vec![1.into(), 2.into()])
        .with_adding_replicas(vec![2.into()])
        .with_removing_replicas(vec![1.into()]);
    let topic = OngoingTopicReassignment::default()
        .with_name(name("orders"))
        .with_partitions(vec![partition]);
    ListPartitionReassignmentsResponse::default()
        .with_throttle_time_ms(9)
        .with_error_code(ListPartitionReassignmentsError::NotController.code())
        .with_error_message(Some(text("ask node 1")))
        .with_topics(vec![topic])
}

pub(super) fn list_config_resources(version: i16) -> ListConfigResourcesResponse {
    let resource = ConfigResource::default().with_resource_name(text("orders"));
    let resource = if version >= 1 { resource.with_resource_type(2) } else { resource };
    ListConfigResourcesResponse::default()
        .with_throttle_time_ms(9)
        .with_error_code(ListConfigResourcesError::UnsupportedVersion.code())
        .with_config_resources(vec![resource])
}
