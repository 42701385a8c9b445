//! CreatePartitions (key 37): topics grow. Shard 0 decides; the lane answers once the new partitions
//! can be written to, so that a producer which learns of one may use it at once.

use crate::administration::{Unanswered, every, named_once};
use crate::broker::Broker;
use crate::context::Context;
use holdfast_lane::{AdminReason, AdminRefusal, Answer, GrowTopic, Request};
use holdfast_protocol::errors::CreatePartitionsError;
use kafka_protocol::messages::create_partitions_request::{
    CreatePartitionsRequest, CreatePartitionsTopic,
};
use kafka_protocol::messages::create_partitions_response::{
    CreatePartitionsResponse, CreatePartitionsTopicResult,
};
use kafka_protocol::protocol::StrBytes;
use std::sync::Arc;

type Outcome = Result<(), (CreatePartitionsError, String)>;

/// Grows, or only checks, each topic by itself.
pub(crate) async fn handle(
    broker: Arc<Broker>,
    context: Arc<Context>,
    client_id: String,
    request: CreatePartitionsRequest,
) -> CreatePartitionsResponse {
    let once = named_once(request.topics.iter().map(|topic| &topic.name.0));
    let asked: Vec<GrowTopic> = request
        .topics
        .iter()
        .filter(|topic| once.contains(&topic.name.0))
        .map(|topic| wanted(topic, request.validate_only))
        .collect();
    let outcomes = ask(&broker, &context, &client_id, asked, request.timeout_ms).await;
    let mut outcomes = outcomes.into_iter();
    let results = request.topics.iter().map(|topic| {
        let outcome = if once.contains(&topic.name.0) {
            outcomes.next().unwrap_or_else(|| {
                let message = "the topic was left without an answer; ask Metadata for it";
                Err((CreatePartitionsError::UnknownServerError, message.to_owned()))
            })
        } else {
            let message = "the request names this topic more than once; name it once";
            Err((CreatePartitionsError::InvalidRequest, message.to_owned()))
        };
        let result = CreatePartitionsTopicResult::default().with_name(topic.name.clone());
        match outcome {
            Ok(()) => result.with_error_message(None),
            Err((error, message)) => result
                .with_error_code(error.into())
                .with_error_message(Some(StrBytes::from(message))),
        }
    });
    CreatePartitionsResponse::default().with_results(results.collect())
}

async fn ask(
    broker: &Broker,
    context: &Context,
    client_id: &str,
    asked: Vec<GrowTopic>,
    timeout_ms: i32,
) -> Vec<Outcome> {
    let count = asked.len();
    if count == 0 {
        return Vec::new();
    }
    let call = Request::CreatePartitions(asked, context.origin(client_id));
    match broker.administer(call, timeout_ms).await {
        Ok(Answer::CreatePartitions(outcomes)) => {
            outcomes.into_iter().map(|outcome| outcome.map_err(refused)).collect()
        }
        Ok(_) | Err(Unanswered::Stopping) => {
            every(count, CreatePartitionsError::NotController, "the node is stopping")
        }
        Err(Unanswered::TimedOut) => every(
            count,
            CreatePartitionsError::RequestTimedOut,
            "the partitions were not ready in time; they may still be created",
        ),
    }
}

fn wanted(topic: &CreatePartitionsTopic, validate_only: bool) -> GrowTopic {
    let nodes =
        |row: &kafka_protocol::messages::create_partitions_request::CreatePartitionsAssignment| {
            row.broker_ids.iter().map(|id| id.0).collect()
        };
    GrowTopic {
        name: topic.name.to_string(),
        total: topic.count,
        assignment: topic.assignments.iter().flatten().map(nodes).collect(),
        validate_only,
    }
}

/// Kafka's code for an administrative refusal of this API.
fn refused(refusal: AdminRefusal) -> (CreatePartitionsError, String) {
    use CreatePartitionsError as E;
    let error = match refusal.reason {
        AdminReason::NotController => E::NotController,
        AdminReason::UnknownTopic | AdminReason::UnknownTopicId => E::UnknownTopicOrPartition,
        AdminReason::InvalidTopicName => E::InvalidTopicException,
        AdminReason::InvalidPartitions => E::InvalidPartitions,
        AdminReason::InvalidReplicaAssignment | AdminReason::InvalidReplicationFactor => {
            E::InvalidReplicaAssignment
        }
        AdminReason::InvalidConfig
        | AdminReason::InvalidRequest
        | AdminReason::TopicAlreadyExists => E::InvalidRequest,
        // Both may be tried again, and Admin clients do.
        AdminReason::TimedOut | AdminReason::NoSpace => E::RequestTimedOut,
    };
    (error, refusal.message)
}

#[cfg(test)]
mod tests;
