//! Requests of operators' tools: configuration, partitions, the cluster, its disks.

use kafka_protocol::messages::alter_configs_request::{AlterConfigsResource, AlterableConfig};
use kafka_protocol::messages::create_partitions_request::{
    CreatePartitionsAssignment, CreatePartitionsTopic,
};
use kafka_protocol::messages::describe_configs_request::DescribeConfigsResource;
use kafka_protocol::messages::describe_log_dirs_request::DescribableLogDirTopic;
use kafka_protocol::messages::describe_quorum_request::{PartitionData, TopicData};
use kafka_protocol::messages::describe_topic_partitions_request::{Cursor, TopicRequest};
use kafka_protocol::messages::incremental_alter_configs_request as incremental;
use kafka_protocol::messages::offset_for_leader_epoch_request::{
    OffsetForLeaderPartition, OffsetForLeaderTopic,
};
use kafka_protocol::messages::{
    AlterConfigsRequest, CreatePartitionsRequest, DescribeClusterRequest, DescribeConfigsRequest,
    DescribeLogDirsRequest, DescribeQuorumRequest, DescribeTopicPartitionsRequest,
    IncrementalAlterConfigsRequest, OffsetForLeaderEpochRequest,
};

use super::{name, text, unknown_tag};

/// As Kafka numbers the kinds of resources.
const TOPIC: i8 = 2;
const BROKER: i8 = 4;

pub(super) fn offset_for_leader_epoch(version: i16) -> OffsetForLeaderEpochRequest {
    let partition = OffsetForLeaderPartition::default()
        .with_partition(1)
        .with_current_leader_epoch(4)
        .with_leader_epoch(3);
    let topic = OffsetForLeaderTopic::default()
        .with_topic(name("orders"))
        .with_partitions(vec![partition.clone(), partition]);
    let mut request = OffsetForLeaderEpochRequest::default().with_topics(vec![topic]);
    if version >= 3 {
        request.replica_id = (-1).into();
    }
    request
}

pub(super) fn describe_configs(version: i16) -> DescribeConfigsRequest {
    let topic = DescribeConfigsResource::default()
        .with_resource_type(TOPIC)
        .with_resource_name(text("orders"))
        .with_configuration_keys(Some(vec![text("retention.ms"), text("cleanup.policy")]));
    let broker = DescribeConfigsResource::default()
        .with_resource_type(BROKER)
        .with_resource_name(text("1"))
        .with_configuration_keys(None);
    let mut request = DescribeConfigsRequest::default()
        .with_resources(vec![topic, broker])
        .with_include_synonyms(true);
    if version >= 3 {
        request.include_documentation = true;
    }
    request
}

pub(super) fn alter_configs() -> AlterConfigsRequest {
    let config =
        |value| AlterableConfig::default().with_name(text("retention.ms")).with_value(value);
    let resource = AlterConfigsResource::default()
        .with_resource_type(TOPIC)
        .with_resource_name(text("orders"))
        .with_configs(vec![config(Some(text("1000"))), config(None)]);
    AlterConfigsRequest::default()
        .with_resources(vec![resource.clone(), resource])
        .with_validate_only(true)
}

pub(super) fn incremental_alter_configs() -> IncrementalAlterConfigsRequest {
    let config = |operation, value| {
        incremental::AlterableConfig::default()
            .with_name(text("cleanup.policy"))
            .with_config_operation(operation)
            .with_value(value)
    };
    let configs = vec![
        config(0, Some(text("compact"))),
        config(1, None),
        config(2, Some(text("delete"))),
        config(3, Some(text("compact"))),
    ];
    let resource = incremental::AlterConfigsResource::default()
        .with_resource_type(BROKER)
        .with_resource_name(text("1"))
        .with_configs(configs);
    IncrementalAlterConfigsRequest::default()
        .with_resources(vec![resource.clone(), resource])
        .with_validate_only(true)
}

pub(super) fn describe_log_dirs(version: i16) -> DescribeLogDirsRequest {
    let mut topic =
        DescribableLogDirTopic::default().with_topic(name("orders")).with_partitions(vec![0, 1, 5]);
    if version >= 2 {
        topic.unknown_tagged_fields = unknown_tag();
    }
    DescribeLogDirsRequest::default().with_topics(Some(vec![topic.clone(), topic]))
}

pub(super) fn create_partitions() -> CreatePartitionsRequest {
    let assignment =
        CreatePartitionsAssignment::default().with_broker_ids(vec![1.into(), 2.into()]);
    let topic = |name, assignments| {
        CreatePartitionsTopic::default().with_name(name).with_count(8).with_assignments(assignments)
    };
    let topics = vec![
        topic(name("orders"), Some(vec![assignment.clone(), assignment])),
        topic(name("more"), None),
    ];
    CreatePartitionsRequest::default()
        .with_topics(topics)
        .with_timeout_ms(1_000)
        .with_validate_only(true)
}

pub(super) fn describe_quorum() -> DescribeQuorumRequest {
    let partition = PartitionData::default().with_partition_index(0);
    let topic = TopicData::default()
        .with_topic_name(name("__cluster_metadata"))
        .with_partitions(vec![partition]);
    DescribeQuorumRequest::default()
        .with_topics(vec![topic])
        .with_unknown_tagged_fields(unknown_tag())
}

pub(super) fn describe_cluster(version: i16) -> DescribeClusterRequest {
    let mut request =
        DescribeClusterRequest::default().with_include_cluster_authorized_operations(true);
    if version >= 1 {
        request.endpoint_type = 2;
    }
    if version >= 2 {
        request.include_fenced_brokers = true;
    }
    request
}

pub(super) fn describe_topic_partitions() -> DescribeTopicPartitionsRequest {
    let topic = |text| TopicRequest::default().with_name(name(text));
    let cursor = Cursor::default().with_topic_name(name("orders")).with_partition_index(7);
    DescribeTopicPartitionsRequest::default()
        .with_topics(vec![topic("more"), topic("orders")])
        .with_response_partition_limit(500)
        .with_cursor(Some(cursor))
}
