//! FindCoordinator (key 10): which node leads a group's slot, at its address on the listener the
//! client came in by.
//!
//! Transactions (type 1) and share groups (type 2) are refused at once, key by key, with
//! UNSUPPORTED_VERSION: COORDINATOR_NOT_AVAILABLE would make Java ask for `max.block.ms`.

use crate::broker::Broker;
use crate::context::{Context, Endpoint};
use crate::leadership::wire_node;
use crate::metadata::endpoint_of;
use holdfast_base::CoordinatorSlot;
use holdfast_protocol::errors::FindCoordinatorError;
use kafka_protocol::messages::find_coordinator_request::FindCoordinatorRequest;
use kafka_protocol::messages::find_coordinator_response::{Coordinator, FindCoordinatorResponse};
use kafka_protocol::protocol::StrBytes;

/// From here several keys are asked for at once.
const FIRST_VERSION_WITH_KEYS: i16 = 4;
/// From here the answer has words.
const FIRST_VERSION_WITH_MESSAGES: i16 = 1;

const GROUP: i8 = 0;
const TRANSACTION: i8 = 1;
const SHARE: i8 = 2;

/// A node and its address, or why there is none.
type Found = Result<(i32, Endpoint), (FindCoordinatorError, &'static str)>;

/// Answers from what this node knows.
pub(crate) fn handle(
    broker: &Broker,
    context: &Context,
    request: &FindCoordinatorRequest,
    version: i16,
) -> FindCoordinatorResponse {
    let response = FindCoordinatorResponse::default();
    if version >= FIRST_VERSION_WITH_KEYS {
        let keys = request.coordinator_keys.iter();
        let answer = keys.map(|key| write_key(key, &find(broker, context, request.key_type, key)));
        return response.with_coordinators(answer.collect());
    }
    match find(broker, context, request.key_type, &request.key) {
        Ok((node, endpoint)) => response
            .with_node_id(node.into())
            .with_host(StrBytes::from(endpoint.host))
            .with_port(i32::from(endpoint.port))
            .with_error_message(None),
        Err((error, message)) => {
            let message = (version >= FIRST_VERSION_WITH_MESSAGES).then(|| StrBytes::from(message));
            response
                .with_error_code(error.into())
                .with_error_message(message)
                .with_node_id((-1).into())
                .with_port(-1)
        }
    }
}

fn write_key(key: &StrBytes, found: &Found) -> Coordinator {
    let coordinator = Coordinator::default().with_key(key.clone());
    match found {
        Ok((node, endpoint)) => coordinator
            .with_node_id((*node).into())
            .with_host(StrBytes::from(endpoint.host.clone()))
            .with_port(i32::from(endpoint.port))
            .with_error_message(None),
        Err((error, message)) => coordinator
            .with_error_code((*error).into())
            .with_error_message(Some(StrBytes::from(*message)))
            .with_node_id((-1).into())
            .with_port(-1),
    }
}

fn find(broker: &Broker, context: &Context, key_type: i8, key: &str) -> Found {
    match key_type {
        GROUP => {}
        TRANSACTION => {
            let message = "transactions are not available yet; produce without a transactional id";
            return Err((FindCoordinatorError::UnsupportedVersion, message));
        }
        SHARE => {
            let message = "share groups are not available yet; use a consumer group";
            return Err((FindCoordinatorError::UnsupportedVersion, message));
        }
        _ => {
            let message = "the key type is none of 0 (group), 1 (transaction), 2 (share)";
            return Err((FindCoordinatorError::InvalidRequest, message));
        }
    }
    let view = broker.view();
    let not_available = |why| (FindCoordinatorError::CoordinatorNotAvailable, why);
    let (shard, _) = view
        .image
        .shard_of_slot(CoordinatorSlot::of(key))
        .ok_or_else(|| not_available("the cluster has not been founded yet"))?;
    let leader = view
        .leaders
        .get(&shard)
        .ok_or_else(|| not_available("the group's shard has not elected a leader yet"))?;
    let node = wire_node(leader.node);
    let endpoint = endpoint_of(broker, context, &view.image, node)
        .ok_or_else(|| not_available("the coordinator's node has no such listener"))?;
    Ok((node, endpoint))
}

#[cfg(test)]
mod tests;
