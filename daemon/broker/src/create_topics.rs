//! CreateTopics (key 19). Shard 0 decides; the lane answers once the topics can be written to.

use crate::administration::{Unanswered, every, named_once};
use crate::broker::Broker;
use crate::context::Context;
use holdfast_lane::{AdminReason, AdminRefusal, Answer, CreateTopic, CreatedTopic, Request};
use holdfast_metadata::TOPIC_CONFIGS;
use holdfast_protocol::errors::CreateTopicsError;
use kafka_protocol::messages::create_topics_request::{CreatableTopic, CreateTopicsRequest};
use kafka_protocol::messages::create_topics_response::{
    CreatableTopicConfigs, CreatableTopicResult, CreateTopicsResponse,
};
use kafka_protocol::protocol::StrBytes;
use std::sync::Arc;

/// From here the answer shows what was made, with every configuration.
const FIRST_VERSION_WITH_CONFIGS: i16 = 5;
/// From here the answer shows the topic's id.
const FIRST_VERSION_WITH_TOPIC_ID: i16 = 7;
/// Kafka's `ConfigSource`: set on the topic, or the default.
const SOURCE_TOPIC: i8 = 1;
const SOURCE_DEFAULT: i8 = 5;

type Outcome = Result<CreatedTopic, (CreateTopicsError, String)>;

/// Creates, or only checks, each topic by itself.
pub(crate) async fn handle(
    broker: Arc<Broker>,
    context: Arc<Context>,
    client_id: String,
    request: CreateTopicsRequest,
    version: i16,
) -> CreateTopicsResponse {
    let default_partitions = broker.view().settings.default_partitions;
    let once = named_once(request.topics.iter().map(|topic| &topic.name.0));
    let asked: Vec<CreateTopic> = request
        .topics
        .iter()
        .filter(|topic| once.contains(&topic.name.0))
        .map(|topic| wanted(topic, default_partitions, request.validate_only))
        .collect();
    let count = asked.len();
    let outcomes = if asked.is_empty() {
        Vec::new()
    } else {
        let call = Request::CreateTopics(asked, context.origin(&client_id));
        match broker.administer(call, request.timeout_ms).await {
            Ok(Answer::CreateTopics(outcomes)) => {
                outcomes.into_iter().map(|outcome| outcome.map_err(refused)).collect()
            }
            Ok(_) | Err(Unanswered::Stopping) => {
                every(count, CreateTopicsError::NotController, "the node is stopping")
            }
            Err(Unanswered::TimedOut) => every(
                count,
                CreateTopicsError::RequestTimedOut,
                "the topic was not ready in time; it may still be created",
            ),
        }
    };
    let mut outcomes = outcomes.into_iter();
    let results = request.topics.iter().map(|topic| {
        let outcome = if once.contains(&topic.name.0) {
            outcomes.next().unwrap_or_else(|| {
                let message = "the topic was left without an answer; ask Metadata for it";
                Err((CreateTopicsError::UnknownServerError, message.to_owned()))
            })
        } else {
            let message = "the request names this topic more than once; name it once";
            Err((CreateTopicsError::InvalidRequest, message.to_owned()))
        };
        write_topic(topic, outcome, version)
    });
    CreateTopicsResponse::default().with_topics(results.collect())
}

fn wanted(topic: &CreatableTopic, default_partitions: i32, validate_only: bool) -> CreateTopic {
    let assignment: Vec<(i32, Vec<i32>)> = topic
        .assignments
        .iter()
        .map(|row| (row.partition_index, row.broker_ids.iter().map(|id| id.0).collect()))
        .collect();
    let partitions = if topic.num_partitions == -1 && assignment.is_empty() {
        default_partitions
    } else {
        topic.num_partitions
    };
    let configs = topic
        .configs
        .iter()
        .map(|config| (config.name.to_string(), config.value.as_ref().map(ToString::to_string)))
        .collect();
    CreateTopic {
        name: topic.name.to_string(),
        partitions,
        replication_factor: topic.replication_factor,
        assignment,
        configs,
        validate_only,
    }
}

/// Kafka's code for an administrative refusal of this API.
fn refused(refusal: AdminRefusal) -> (CreateTopicsError, String) {
    use CreateTopicsError as E;
    let error = match refusal.reason {
        AdminReason::NotController => E::NotController,
        AdminReason::TopicAlreadyExists => E::TopicAlreadyExists,
        AdminReason::InvalidTopicName => E::InvalidTopicException,
        AdminReason::InvalidPartitions => E::InvalidPartitions,
        AdminReason::InvalidReplicationFactor => E::InvalidReplicationFactor,
        AdminReason::InvalidReplicaAssignment => E::InvalidReplicaAssignment,
        AdminReason::InvalidConfig => E::InvalidConfig,
        AdminReason::InvalidRequest | AdminReason::UnknownTopic | AdminReason::UnknownTopicId => {
            E::InvalidRequest
        }
        // Both may be tried again, and Admin clients do.
        AdminReason::TimedOut | AdminReason::NoSpace => E::RequestTimedOut,
    };
    (error, refusal.message)
}

fn write_topic(topic: &CreatableTopic, outcome: Outcome, version: i16) -> CreatableTopicResult {
    let result = CreatableTopicResult::default().with_name(topic.name.clone());
    match outcome {
        Err((error, message)) => {
            let result = result
                .with_error_code(error.into())
                .with_error_message(Some(StrBytes::from(message)));
            if version >= FIRST_VERSION_WITH_CONFIGS { result.with_configs(None) } else { result }
        }
        Ok(created) => {
            let mut result = result.with_error_message(None);
            if version >= FIRST_VERSION_WITH_CONFIGS {
                result = result
                    .with_num_partitions(created.partitions)
                    .with_replication_factor(created.replication_factor)
                    .with_configs(Some(configs_of(topic)));
            }
            if version >= FIRST_VERSION_WITH_TOPIC_ID {
                result = result.with_topic_id(uuid::Uuid::from_bytes(created.id.0));
            }
            result
        }
    }
}

/// Every configuration there is: as asked for, or its default.
fn configs_of(topic: &CreatableTopic) -> Vec<CreatableTopicConfigs> {
    let write = |config: &holdfast_metadata::TopicConfig| {
        let asked = topic.configs.iter().rev().find(|asked| *asked.name == *config.name);
        let set = asked.and_then(|asked| asked.value.clone());
        let source = if set.is_some() { SOURCE_TOPIC } else { SOURCE_DEFAULT };
        CreatableTopicConfigs::default()
            .with_name(StrBytes::from(config.name))
            .with_value(set.or_else(|| config.default.map(StrBytes::from)))
            .with_config_source(source)
    };
    TOPIC_CONFIGS.iter().map(write).collect()
}

#[cfg(test)]
mod tests;
