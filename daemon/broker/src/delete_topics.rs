//! DeleteTopics (key 20): by name, and from version 6 by id. Answered when shard 0 has applied it;
//! the name is free at once.

use crate::administration::{Unanswered, every};
use crate::broker::Broker;
use crate::context::Context;
use holdfast_base::TopicId;
use holdfast_lane::{AdminReason, AdminRefusal, Answer, DeleteTopic, Request};
use holdfast_protocol::errors::DeleteTopicsError;
use kafka_protocol::messages::TopicName;
use kafka_protocol::messages::delete_topics_request::DeleteTopicsRequest;
use kafka_protocol::messages::delete_topics_response::{
    DeletableTopicResult, DeleteTopicsResponse,
};
use kafka_protocol::protocol::StrBytes;
use std::sync::Arc;

/// From here topics may be named by id.
const FIRST_VERSION_WITH_IDS: i16 = 6;
/// From here a refusal has words.
const FIRST_VERSION_WITH_MESSAGES: i16 = 5;

type Outcome = Result<(TopicId, String), (DeleteTopicsError, String)>;

/// Deletes each topic by itself.
pub(crate) async fn handle(
    broker: Arc<Broker>,
    context: Arc<Context>,
    client_id: String,
    request: DeleteTopicsRequest,
    version: i16,
) -> DeleteTopicsResponse {
    let wanted = wanted_of(&request, version);
    let asked: Vec<DeleteTopic> =
        wanted.iter().filter_map(|wanted| wanted.as_ref().ok().cloned()).collect();
    let count = asked.len();
    let outcomes = if asked.is_empty() {
        Vec::new()
    } else {
        let call = Request::DeleteTopics(asked, context.origin(&client_id));
        match broker.administer(call, request.timeout_ms).await {
            Ok(Answer::DeleteTopics(outcomes)) => {
                outcomes.into_iter().map(|outcome| outcome.map_err(refused)).collect()
            }
            Ok(_) | Err(Unanswered::Stopping) => {
                every(count, DeleteTopicsError::NotController, "the node is stopping")
            }
            Err(Unanswered::TimedOut) => every(
                count,
                DeleteTopicsError::RequestTimedOut,
                "the deletion was not applied in time; it may still happen",
            ),
        }
    };
    let mut outcomes = outcomes.into_iter();
    let responses = wanted.into_iter().map(|wanted| match wanted {
        Ok(topic) => {
            let outcome = outcomes.next().unwrap_or_else(|| {
                let message = "the deletion was left without an answer; ask Metadata";
                Err((DeleteTopicsError::UnknownServerError, message.to_owned()))
            });
            write_topic(&topic, outcome, version)
        }
        Err(result) => *result,
    });
    DeleteTopicsResponse::default().with_responses(responses.collect())
}

type Wanted = Result<DeleteTopic, Box<DeletableTopicResult>>;

fn wanted_of(request: &DeleteTopicsRequest, version: i16) -> Vec<Wanted> {
    if version < FIRST_VERSION_WITH_IDS {
        let by_name = |name: &TopicName| Ok(DeleteTopic::Name(name.to_string()));
        return request.topic_names.iter().map(by_name).collect();
    }
    let wanted = request.topics.iter().map(|topic| match (&topic.name, topic.topic_id.is_nil()) {
        (Some(name), true) => Ok(DeleteTopic::Name(name.to_string())),
        (None, false) => Ok(DeleteTopic::Id(TopicId(*topic.topic_id.as_bytes()))),
        (name, _) => Err(Box::new(
            DeletableTopicResult::default()
                .with_name(name.clone())
                .with_topic_id(topic.topic_id)
                .with_error_code(DeleteTopicsError::InvalidRequest.into())
                .with_error_message(Some(StrBytes::from(
                    "a topic is named by its name or by its id, not by both and not by neither",
                ))),
        )),
    });
    wanted.collect()
}

/// Kafka's code for an administrative refusal of this API.
fn refused(refusal: AdminRefusal) -> (DeleteTopicsError, String) {
    use DeleteTopicsError as E;
    let error = match refusal.reason {
        AdminReason::NotController => E::NotController,
        AdminReason::UnknownTopic => E::UnknownTopicOrPartition,
        AdminReason::UnknownTopicId => E::UnknownTopicId,
        AdminReason::InvalidTopicName => E::InvalidTopicException,
        // Both may be tried again, and Admin clients do.
        AdminReason::TimedOut | AdminReason::NoSpace => E::RequestTimedOut,
        AdminReason::TopicAlreadyExists
        | AdminReason::InvalidPartitions
        | AdminReason::InvalidReplicationFactor
        | AdminReason::InvalidReplicaAssignment
        | AdminReason::InvalidConfig
        | AdminReason::InvalidRequest => E::InvalidRequest,
    };
    (error, refusal.message)
}

fn write_topic(wanted: &DeleteTopic, outcome: Outcome, version: i16) -> DeletableTopicResult {
    let named = |name: &str| Some(TopicName(StrBytes::from(name.to_owned())));
    let mut result = DeletableTopicResult::default();
    result = match &outcome {
        Ok((_, name)) => result.with_name(named(name)),
        Err(_) => match wanted {
            DeleteTopic::Name(name) => result.with_name(named(name)),
            DeleteTopic::Id(_) => result.with_name(None),
        },
    };
    if version >= FIRST_VERSION_WITH_IDS {
        let id = match (&outcome, wanted) {
            (Ok((id, _)), _) => *id,
            (Err(_), DeleteTopic::Id(id)) => *id,
            (Err(_), DeleteTopic::Name(_)) => TopicId::default(),
        };
        result = result.with_topic_id(uuid::Uuid::from_bytes(id.0));
    }
    if let Err((error, message)) = outcome {
        result = result.with_error_code(error.into());
        if version >= FIRST_VERSION_WITH_MESSAGES {
            result = result.with_error_message(Some(StrBytes::from(message)));
        }
    }
    result
}

#[cfg(test)]
mod tests;
