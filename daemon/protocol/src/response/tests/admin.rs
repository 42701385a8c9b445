//! Answers to operators' tools: configuration, partitions, the cluster, its disks.

use kafka_protocol::messages::alter_configs_response::AlterConfigsResourceResponse;
use kafka_protocol::messages::create_partitions_response::CreatePartitionsTopicResult;
use kafka_protocol::messages::describe_cluster_response::DescribeClusterBroker;
use kafka_protocol::messages::describe_configs_response::{
    DescribeConfigsResourceResult, DescribeConfigsResult, DescribeConfigsSynonym,
};
use kafka_protocol::messages::describe_log_dirs_response::{
    DescribeLogDirsPartition, DescribeLogDirsResult, DescribeLogDirsTopic,
};
use kafka_protocol::messages::describe_quorum_response::{
    Listener, Node, PartitionData, ReplicaState, TopicData,
};
use kafka_protocol::messages::describe_topic_partitions_response::{
    Cursor, DescribeTopicPartitionsResponsePartition, DescribeTopicPartitionsResponseTopic,
};
use kafka_protocol::messages::incremental_alter_configs_response as incremental;
use kafka_protocol::messages::offset_for_leader_epoch_response::{
    EpochEndOffset, OffsetForLeaderTopicResult,
};
use kafka_protocol::messages::{
    AlterConfigsResponse, CreatePartitionsResponse, DescribeClusterResponse,
    DescribeConfigsResponse, DescribeLogDirsResponse, DescribeQuorumResponse,
    DescribeTopicPartitionsResponse, IncrementalAlterConfigsResponse, OffsetForLeaderEpochResponse,
};
use uuid::Uuid;

use super::*;
use crate::errors::{
    AlterConfigsError, CreatePartitionsError, DescribeClusterError, DescribeConfigsError,
    DescribeLogDirsError, DescribeQuorumError, DescribeQuorumPartitionError,
    DescribeTopicPartitionsError, OffsetForLeaderEpochError,
};

pub(super) fn offset_for_leader_epoch() -> OffsetForLeaderEpochResponse {
    let end = EpochEndOffset::default()
        .with_error_code(OffsetForLeaderEpochError::FencedLeaderEpoch.code())
        .with_partition(5)
        .with_leader_epoch(3)
        .with_end_offset(50);
    let topic = OffsetForLeaderTopicResult::default()
        .with_topic(name("orders"))
        .with_partitions(vec![end.clone(), end]);
    OffsetForLeaderEpochResponse::default().with_throttle_time_ms(9).with_topics(vec![topic])
}

pub(super) fn describe_configs(version: i16) -> DescribeConfigsResponse {
    let synonym = DescribeConfigsSynonym::default()
        .with_name(text("log.retention.ms"))
        .with_value(Some(text("1000")))
        .with_source(5);
    let mut config = DescribeConfigsResourceResult::default()
        .with_name(text("retention.ms"))
        .with_value(None)
        .with_read_only(true)
        .with_config_source(1)
        .with_is_sensitive(true)
        .with_synonyms(vec![synonym.clone(), synonym]);
    if version >= 3 {
        config.config_type = 5;
        config.documentation = Some(text("how long"));
    }
    let result = DescribeConfigsResult::default()
        .with_error_code(DescribeConfigsError::InvalidRequest.code())
        .with_error_message(Some(text("no such resource")))
        .with_resource_type(2)
        .with_resource_name(text("orders"))
        .with_configs(vec![config.clone(), config]);
    DescribeConfigsResponse::default().with_throttle_time_ms(9).with_results(vec![result])
}

pub(super) fn alter_configs() -> AlterConfigsResponse {
    let response = AlterConfigsResourceResponse::default()
        .with_error_code(AlterConfigsError::InvalidConfig.code())
        .with_error_message(Some(text("not a number")))
        .with_resource_type(2)
        .with_resource_name(text("orders"));
    AlterConfigsResponse::default().with_throttle_time_ms(9).with_responses(vec![response])
}

pub(super) fn incremental_alter_configs() -> IncrementalAlterConfigsResponse {
    let response = incremental::AlterConfigsResourceResponse::default()
        .with_error_code(AlterConfigsError::InvalidConfig.code())
        .with_error_message(Some(text("not a number")))
        .with_resource_type(2)
        .with_resource_name(text("orders"));
    IncrementalAlterConfigsResponse::default()
        .with_throttle_time_ms(9)
        .with_responses(vec![response])
}

pub(super) fn describe_log_dirs(version: i16) -> DescribeLogDirsResponse {
    let partition = DescribeLogDirsPartition::default()
        .with_partition_index(5)
        .with_partition_size(1 << 40)
        .with_offset_lag(7)
        .with_is_future_key(true);
    let topic =
        DescribeLogDirsTopic::default().with_name(name("orders")).with_partitions(vec![partition]);
    let mut result = DescribeLogDirsResult::default()
        .with_error_code(DescribeLogDirsError::KafkaStorageError.code())
        .with_log_dir(text("/wal"))
        .with_topics(vec![topic.clone(), topic]);
    if version >= 4 {
        result.total_bytes = 1 << 41;
        result.usable_bytes = 1 << 40;
    }
    let mut answer =
        DescribeLogDirsResponse::default().with_throttle_time_ms(9).with_results(vec![result]);
    if version >= 3 {
        answer.error_code = DescribeLogDirsError::ClusterAuthorizationFailed.code();
    }
    answer
}

pub(super) fn create_partitions() -> CreatePartitionsResponse {
    let result = CreatePartitionsTopicResult::default()
        .with_name(name("orders"))
        .with_error_code(CreatePartitionsError::InvalidPartitions.code())
        .with_error_message(Some(text("fewer than now")));
    CreatePartitionsResponse::default().with_throttle_time_ms(9).with_results(vec![result])
}

pub(super) fn describe_quorum(version: i16) -> DescribeQuorumResponse {
    let mut voter = ReplicaState::default().with_replica_id(1.into()).with_log_end_offset(50);
    if version >= 1 {
        voter.last_fetch_timestamp = 1_000;
        voter.last_caught_up_timestamp = 1_001;
    }
    if version >= 2 {
        voter.replica_directory_id = Uuid::from_bytes([7; 16]);
    }
    let mut partition = PartitionData::default()
        .with_error_code(DescribeQuorumPartitionError::NotLeaderOrFollower.code())
        .with_leader_id(1.into())
        .with_leader_epoch(3)
        .with_high_watermark(50)
        .with_current_voters(vec![voter.clone(), voter.clone()])
        .with_observers(vec![voter]);
    let mut answer = DescribeQuorumResponse::default()
        .with_error_code(DescribeQuorumError::NotController.code());
    if version >= 2 {
        partition.error_message = Some(text("ask node 1"));
        answer.error_message = Some(text("ask node 1"));
        let listener = Listener::default()
            .with_name(text("CONTROLLER"))
            .with_host(text("kafka.example"))
            .with_port(9093);
        answer.nodes = vec![Node::default().with_node_id(1.into()).with_listeners(vec![listener])];
    }
    let topic = TopicData::default()
        .with_topic_name(name("__cluster_metadata"))
        .with_partitions(vec![partition]);
    answer.with_topics(vec![topic])
}

pub(super) fn describe_cluster(version: i16) -> DescribeClusterResponse {
    let mut broker = DescribeClusterBroker::default()
        .with_broker_id(1.into())
        .with_host(text("kafka.example"))
        .with_port(9092)
        .with_rack(Some(text("a")));
    let mut answer = DescribeClusterResponse::default()
        .with_throttle_time_ms(9)
        .with_error_code(DescribeClusterError::MismatchedEndpointType.code())
        .with_error_message(Some(text("no such endpoints")))
        .with_cluster_id(text("AAAAAAAAAAAAAAAAAAAAAA"))
        .with_controller_id(1.into())
        .with_cluster_authorized_operations(0b1000);
    if version >= 1 {
        answer.endpoint_type = 2;
    }
    if version >= 2 {
        broker.is_fenced = true;
    }
    answer.with_brokers(vec![broker.clone(), broker])
}

pub(super) fn describe_topic_partitions() -> DescribeTopicPartitionsResponse {
    let nodes = |ids: &[i32]| ids.iter().map(|id| (*id).into()).collect::<Vec<_>>();
    let partition = DescribeTopicPartitionsResponsePartition::default()
        .with_error_code(DescribeTopicPartitionsError::LeaderNotAvailable.code())
        .with_partition_index(5)
        .with_leader_id(1.into())
        .with_leader_epoch(3)
        .with_replica_nodes(nodes(&[1, 2]))
        .with_isr_nodes(nodes(&[1]))
        .with_eligible_leader_replicas(Some(nodes(&[2])))
        .with_last_known_elr(None)
        .with_offline_replicas(nodes(&[2]));
    let known = DescribeTopicPartitionsResponseTopic::default()
        .with_name(Some(name("orders")))
        .with_topic_id(Uuid::from_bytes([7; 16]))
        .with_is_internal(true)
        .with_partitions(vec![partition])
        .with_topic_authorized_operations(0b1000);
    let unknown = DescribeTopicPartitionsResponseTopic::default()
        .with_error_code(DescribeTopicPartitionsError::UnknownTopicOrPartition.code())
        .with_name(Some(name("more")));
    let cursor = Cursor::default().with_topic_name(name("orders")).with_partition_index(6);
    DescribeTopicPartitionsResponse::default()
        .with_throttle_time_ms(9)
        .with_topics(vec![known, unknown])
        .with_next_cursor(Some(cursor))
}
