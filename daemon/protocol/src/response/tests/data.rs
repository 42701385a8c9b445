//! Answers of the data path and of topics.

use kafka_protocol::messages::api_versions_response::{FinalizedFeatureKey, SupportedFeatureKey};
use kafka_protocol::messages::create_topics_response::{
    CreatableTopicConfigs, CreatableTopicResult,
};
use kafka_protocol::messages::delete_records_response::{
    DeleteRecordsPartitionResult, DeleteRecordsTopicResult,
};
use kafka_protocol::messages::delete_topics_response::DeletableTopicResult;
use kafka_protocol::messages::list_offsets_response::{
    ListOffsetsPartitionResponse, ListOffsetsTopicResponse,
};
use kafka_protocol::messages::metadata_response::{
    MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
};
use kafka_protocol::messages::produce_response::{
    BatchIndexAndErrorMessage, LeaderIdAndEpoch, NodeEndpoint, PartitionProduceResponse,
    TopicProduceResponse,
};
use kafka_protocol::messages::{
    ApiVersionsResponse, CreateTopicsResponse, DeleteRecordsResponse, DeleteTopicsResponse,
    InitProducerIdResponse, ListOffsetsResponse, MetadataResponse, ProduceResponse,
};
use uuid::Uuid;

use super::*;
use crate::errors::{
    CreateTopicsError, DeleteRecordsError, DeleteTopicsError, InitProducerIdError,
    ListOffsetsError, MetadataError, ProduceError,
};

const ID: Uuid = Uuid::from_bytes([7; 16]);

pub(super) fn produce(version: i16) -> ProduceResponse {
    let mut partition = PartitionProduceResponse::default()
        .with_index(5)
        .with_error_code(ProduceError::NotLeaderOrFollower.code())
        .with_base_offset(50)
        .with_log_append_time_ms(1_000);
    if version >= 5 {
        partition.log_start_offset = 3;
    }
    if version >= 8 {
        let wrong = BatchIndexAndErrorMessage::default()
            .with_batch_index(2)
            .with_batch_index_error_message(Some(text("no key")));
        partition.record_errors = vec![wrong, BatchIndexAndErrorMessage::default()];
        partition.error_message = Some(text("ask node 2"));
    }
    if version >= 10 {
        partition.current_leader =
            LeaderIdAndEpoch::default().with_leader_id(2.into()).with_leader_epoch(4);
    }
    let mut topic = TopicProduceResponse::default()
        .with_partition_responses(vec![partition.clone(), partition]);
    if version <= 12 {
        topic.name = name("orders");
    } else {
        topic.topic_id = ID;
    }
    let mut answer =
        ProduceResponse::default().with_throttle_time_ms(9).with_responses(vec![topic]);
    if version >= 10 {
        let endpoint = NodeEndpoint::default()
            .with_node_id(2.into())
            .with_host(text("kafka.example"))
            .with_port(9092)
            .with_rack(Some(text("a")));
        answer.node_endpoints = vec![endpoint];
    }
    answer
}

pub(super) fn list_offsets(version: i16) -> ListOffsetsResponse {
    let mut partition = ListOffsetsPartitionResponse::default()
        .with_partition_index(5)
        .with_error_code(ListOffsetsError::OffsetNotAvailable.code())
        .with_timestamp(1_000)
        .with_offset(50);
    if version >= 4 {
        partition.leader_epoch = 3;
    }
    let topic = ListOffsetsTopicResponse::default()
        .with_name(name("orders"))
        .with_partitions(vec![partition]);
    let mut answer = ListOffsetsResponse::default().with_topics(vec![topic]);
    if version >= 2 {
        answer.throttle_time_ms = 9;
    }
    answer
}

pub(super) fn metadata(version: i16) -> MetadataResponse {
    let mut broker = MetadataResponseBroker::default()
        .with_node_id(1.into())
        .with_host(text("kafka.example"))
        .with_port(9092);
    let mut partition = MetadataResponsePartition::default()
        .with_error_code(MetadataError::LeaderNotAvailable.code())
        .with_partition_index(5)
        .with_leader_id(1.into())
        .with_replica_nodes(vec![1.into(), 2.into()])
        .with_isr_nodes(vec![1.into()]);
    let mut topic = MetadataResponseTopic::default()
        .with_error_code(MetadataError::ReplicaNotAvailable.code())
        .with_name(Some(name("orders")));
    let mut answer = MetadataResponse::default();
    if version >= 1 {
        broker.rack = Some(text("a"));
        answer.controller_id = 1.into();
        topic.is_internal = true;
    }
    if version >= 2 {
        answer.cluster_id = Some(text("AAAAAAAAAAAAAAAAAAAAAA"));
    }
    if version >= 3 {
        answer.throttle_time_ms = 9;
    }
    if version >= 5 {
        partition.offline_replicas = vec![2.into()];
    }
    if version >= 7 {
        partition.leader_epoch = 3;
    }
    if version >= 8 {
        topic.topic_authorized_operations = 0b1000;
    }
    if (8..=10).contains(&version) {
        answer.cluster_authorized_operations = 0b1000;
    }
    if version >= 10 {
        topic.topic_id = ID;
    }
    if version >= 13 {
        answer.error_code = MetadataError::UnknownServerError.code();
    }
    topic.partitions = vec![partition];
    answer.with_brokers(vec![broker]).with_topics(vec![topic])
}

pub(super) fn api_versions(version: i16) -> ApiVersionsResponse {
    let mut answer = ApiVersionsResponse::default()
        .with_error_code(ApiVersionsError::InvalidRequest.code())
        .with_api_keys(crate::versions::advertised());
    if version >= 1 {
        answer.throttle_time_ms = 9;
    }
    if version >= 3 {
        let supported = SupportedFeatureKey::default()
            .with_name(text("transaction.version"))
            .with_min_version(1)
            .with_max_version(2);
        let finalized = FinalizedFeatureKey::default()
            .with_name(text("transaction.version"))
            .with_min_version_level(1)
            .with_max_version_level(2);
        answer.supported_features = vec![supported];
        answer.finalized_features = vec![finalized];
        answer.finalized_features_epoch = 1;
    }
    answer
}

pub(super) fn create_topics(version: i16) -> CreateTopicsResponse {
    let mut result = CreatableTopicResult::default()
        .with_name(name("orders"))
        .with_error_code(CreateTopicsError::InvalidConfig.code())
        .with_error_message(Some(text("not a number")));
    if version >= 5 {
        let config = CreatableTopicConfigs::default()
            .with_name(text("retention.ms"))
            .with_value(None)
            .with_read_only(true)
            .with_config_source(1)
            .with_is_sensitive(true);
        result.configs = Some(vec![config]);
        result.num_partitions = 4;
        result.replication_factor = 3;
        result.topic_config_error_code = CreateTopicsError::TopicAuthorizationFailed.code();
    }
    if version >= 7 {
        result.topic_id = ID;
    }
    CreateTopicsResponse::default().with_throttle_time_ms(9).with_topics(vec![result])
}

pub(super) fn delete_topics(version: i16) -> DeleteTopicsResponse {
    let mut result = DeletableTopicResult::default()
        .with_name(Some(name("orders")))
        .with_error_code(DeleteTopicsError::TopicDeletionDisabled.code());
    if version >= 5 {
        result.error_message = Some(text("not allowed"));
    }
    let mut results = vec![result];
    if version >= 6 {
        results.push(DeletableTopicResult::default().with_name(None).with_topic_id(ID));
    }
    DeleteTopicsResponse::default().with_throttle_time_ms(9).with_responses(results)
}

pub(super) fn delete_records() -> DeleteRecordsResponse {
    let partition = DeleteRecordsPartitionResult::default()
        .with_partition_index(5)
        .with_low_watermark(50)
        .with_error_code(DeleteRecordsError::OffsetOutOfRange.code());
    let topic = DeleteRecordsTopicResult::default()
        .with_name(name("orders"))
        .with_partitions(vec![partition]);
    DeleteRecordsResponse::default().with_throttle_time_ms(9).with_topics(vec![topic])
}

pub(super) fn init_producer_id() -> InitProducerIdResponse {
    InitProducerIdResponse::default()
        .with_throttle_time_ms(9)
        .with_error_code(InitProducerIdError::ProducerFenced.code())
        .with_producer_id(1_000.into())
        .with_producer_epoch(3)
}
