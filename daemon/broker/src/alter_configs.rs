//! AlterConfigs (key 33, replaces all) and IncrementalAlterConfigs (key 44, KIP-339): one decision
//! for both, in shard 0, each resource with its audit record.
//!
//! | type | name | resource |
//! | --- | --- | --- |
//! | 2 | topic name | a topic |
//! | 4 | empty | every node that has no value of its own |
//! | 4 | node id | that node |
//! | 32 | group id | a consumer group |
//!
//! Others (8 loggers, 16 client metrics) are refused by name.

use crate::administration::named_once;
use crate::broker::Broker;
use crate::context::Context;
use crate::leadership::wire_node;
use holdfast_lane::{
    AdminReason, AdminRefusal, AlterResource, AlteredResource, Answer, ConfigChange,
    ConfigOperation, ConfigResource, Request,
};
use holdfast_metadata::Image;
use holdfast_protocol::errors::AlterConfigsError;
use kafka_protocol::messages::alter_configs_request::AlterConfigsRequest;
use kafka_protocol::messages::alter_configs_response::{
    AlterConfigsResourceResponse as ReplacedResource, AlterConfigsResponse,
};
use kafka_protocol::messages::incremental_alter_configs_request::IncrementalAlterConfigsRequest;
use kafka_protocol::messages::incremental_alter_configs_response::{
    AlterConfigsResourceResponse as AlteredRow, IncrementalAlterConfigsResponse,
};
use kafka_protocol::protocol::StrBytes;
use std::sync::Arc;

pub(crate) const TOPIC: i8 = 2;
pub(crate) const BROKER: i8 = 4;
pub(crate) const GROUP: i8 = 32;

type Outcome = Result<(), (AlterConfigsError, String)>;
type Named = (i8, StrBytes);
type Changes = Result<Vec<ConfigChange>, (AlterConfigsError, String)>;

pub(crate) async fn replace(
    broker: Arc<Broker>,
    context: Arc<Context>,
    client_id: String,
    request: AlterConfigsRequest,
) -> AlterConfigsResponse {
    let wanted = request.resources.iter().map(|resource| {
        let set = |config: &kafka_protocol::messages::alter_configs_request::AlterableConfig| {
            Ok(ConfigChange {
                name: config.name.to_string(),
                operation: ConfigOperation::Set,
                value: config.value.as_ref().map(ToString::to_string),
            })
        };
        let named = (resource.resource_type, resource.resource_name.clone());
        (named, resource.configs.iter().map(set).collect())
    });
    let rows = Rows { wanted: wanted.collect(), replace_all: true };
    let outcomes = alter(&broker, &context, &client_id, rows, request.validate_only).await;
    let write = |((kind, name), outcome): (Named, Outcome)| {
        let row = ReplacedResource::default().with_resource_type(kind).with_resource_name(name);
        let (code, message) = told(outcome);
        row.with_error_code(code).with_error_message(message)
    };
    AlterConfigsResponse::default().with_responses(outcomes.into_iter().map(write).collect())
}

pub(crate) async fn change(
    broker: Arc<Broker>,
    context: Arc<Context>,
    client_id: String,
    request: IncrementalAlterConfigsRequest,
) -> IncrementalAlterConfigsResponse {
    let wanted = request.resources.iter().map(|resource| {
        let changes = resource.configs.iter().map(|config| {
            Ok(ConfigChange {
                name: config.name.to_string(),
                operation: operation(config.config_operation)?,
                value: config.value.as_ref().map(ToString::to_string),
            })
        });
        ((resource.resource_type, resource.resource_name.clone()), changes.collect())
    });
    let rows = Rows { wanted: wanted.collect(), replace_all: false };
    let outcomes = alter(&broker, &context, &client_id, rows, request.validate_only).await;
    let write = |((kind, name), outcome): (Named, Outcome)| {
        let row = AlteredRow::default().with_resource_type(kind).with_resource_name(name);
        let (code, message) = told(outcome);
        row.with_error_code(code).with_error_message(message)
    };
    let responses = outcomes.into_iter().map(write).collect();
    IncrementalAlterConfigsResponse::default().with_responses(responses)
}

/// What a request says, before it is known whether its resources exist.
struct Rows {
    wanted: Vec<(Named, Changes)>,
    replace_all: bool,
}

/// One outcome a resource, in the client's order.
async fn alter(
    broker: &Broker,
    context: &Context,
    client_id: &str,
    rows: Rows,
    validate_only: bool,
) -> Vec<(Named, Outcome)> {
    let view = broker.view();
    let once = named_once(rows.wanted.iter().map(|(named, _)| named.clone()));
    let mut asked = Vec::new();
    let mut outcomes = Vec::with_capacity(rows.wanted.len());
    for (named, changes) in rows.wanted {
        let checked = if !once.contains(&named) {
            let message = "the request names this resource more than once; name it once";
            Err((AlterConfigsError::InvalidRequest, message.to_owned()))
        } else {
            resource(&view.image, broker, named.0, &named.1)
                .and_then(|resource| Ok((resource, changes?)))
        };
        let outcome = checked.map(|(resource, changes)| {
            let replace_all = rows.replace_all;
            asked.push(AlterResource { resource, changes, replace_all, validate_only });
        });
        outcomes.push((named, outcome));
    }
    if asked.is_empty() {
        return outcomes;
    }
    let call = broker.lane.call(Request::AlterConfigs(asked, context.origin(client_id)));
    let mut answers = match call.await {
        Some(Answer::AlterConfigs(answers)) => answers,
        _ => Vec::new(),
    }
    .into_iter();
    for (_, outcome) in outcomes.iter_mut().filter(|(_, outcome)| outcome.is_ok()) {
        *outcome = match answers.next() {
            Some(answer) => answer.map_err(refused),
            None => Err((AlterConfigsError::NotController, "the node is stopping".to_owned())),
        };
    }
    outcomes
}

/// Which resource is meant.
pub(crate) fn resource(
    image: &Image,
    broker: &Broker,
    kind: i8,
    name: &str,
) -> Result<AlteredResource, (AlterConfigsError, String)> {
    match kind {
        TOPIC => Ok(AlteredResource::Topic(name.to_owned())),
        BROKER if name.is_empty() => Ok(AlteredResource::Other(ConfigResource::EveryBroker)),
        BROKER => {
            let known = image.nodes.keys().copied().chain([broker.node]);
            let node = known
                .into_iter()
                .find(|node| name.parse() == Ok(wire_node(*node)))
                .ok_or_else(|| {
                    let message = format!(
                        "no node has the id '{}'; leave the name empty to mean all of them",
                        name.escape_debug()
                    );
                    (AlterConfigsError::InvalidRequest, message)
                })?;
            Ok(AlteredResource::Other(ConfigResource::Broker(node)))
        }
        GROUP if name.is_empty() => {
            Err((AlterConfigsError::InvalidRequest, "a group has a name".to_owned()))
        }
        GROUP => Ok(AlteredResource::Other(ConfigResource::Group(name.to_owned()))),
        _ => Err((
            AlterConfigsError::InvalidRequest,
            format!(
                "resource type {kind} has no settings here; topics (2), brokers (4) and groups \
                 (32) have"
            ),
        )),
    }
}

fn operation(code: i8) -> Result<ConfigOperation, (AlterConfigsError, String)> {
    match code {
        0 => Ok(ConfigOperation::Set),
        1 => Ok(ConfigOperation::Delete),
        2 => Ok(ConfigOperation::Append),
        3 => Ok(ConfigOperation::Subtract),
        _ => Err((
            AlterConfigsError::InvalidRequest,
            format!("operation {code} is unknown; 0 sets, 1 deletes, 2 appends, 3 subtracts"),
        )),
    }
}

/// Kafka's code for an administrative refusal of this API.
fn refused(refusal: AdminRefusal) -> (AlterConfigsError, String) {
    use AlterConfigsError as E;
    let error = match refusal.reason {
        AdminReason::NotController => E::NotController,
        AdminReason::UnknownTopic | AdminReason::UnknownTopicId => E::UnknownTopicOrPartition,
        AdminReason::InvalidTopicName => E::InvalidTopicException,
        AdminReason::InvalidConfig => E::InvalidConfig,
        AdminReason::InvalidRequest
        | AdminReason::TopicAlreadyExists
        | AdminReason::InvalidPartitions
        | AdminReason::InvalidReplicationFactor
        | AdminReason::InvalidReplicaAssignment => E::InvalidRequest,
        // Both may be tried again, and Admin clients do.
        AdminReason::TimedOut | AdminReason::NoSpace => E::RequestTimedOut,
    };
    (error, refusal.message)
}

fn told(outcome: Outcome) -> (i16, Option<StrBytes>) {
    match outcome {
        Ok(()) => (0, None),
        Err((error, message)) => (error.into(), Some(StrBytes::from(message))),
    }
}

#[cfg(test)]
mod tests;
