//! Heartbeat (key 12): a sign of life, and the way a member learns of a rebalance.
//!
//! A coordinator that is still loading answers that all is well, as Kafka does: every session
//! starts anew when it has loaded, and the member would only do harm by joining again.

use crate::broker::Broker;
use crate::group::{owned, owned_option};
use holdfast_lane::{GroupAnswer, GroupCall, GroupError, Heartbeat};
use holdfast_protocol::errors::HeartbeatError;
use kafka_protocol::messages::heartbeat_request::HeartbeatRequest;
use kafka_protocol::messages::heartbeat_response::HeartbeatResponse;
use std::sync::Arc;

/// Answers whether the member is still in.
pub(crate) async fn handle(broker: Arc<Broker>, request: HeartbeatRequest) -> HeartbeatResponse {
    let heartbeat = Heartbeat {
        group: owned(&request.group_id),
        member_id: owned(&request.member_id),
        instance_id: owned_option(&request.group_instance_id),
        generation: request.generation_id,
    };
    let heard = broker.ask_group(GroupCall::Heartbeat(heartbeat), |answer| match answer {
        GroupAnswer::Heartbeat(heard) => Some(heard),
        _ => None,
    });
    let error = match heard.await {
        Ok(()) => HeartbeatError::None,
        Err(error) => error_of(&error),
    };
    HeartbeatResponse::default().with_error_code(error.into())
}

fn error_of(error: &GroupError) -> HeartbeatError {
    use GroupError as G;
    match error {
        G::LoadInProgress => HeartbeatError::None,
        G::NotCoordinator => HeartbeatError::NotCoordinator,
        G::CoordinatorNotAvailable => HeartbeatError::CoordinatorNotAvailable,
        // A group that is not there knows no members.
        G::UnknownMember | G::GroupIdNotFound | G::InvalidGroup => HeartbeatError::UnknownMemberId,
        G::IllegalGeneration => HeartbeatError::IllegalGeneration,
        G::RebalanceInProgress => HeartbeatError::RebalanceInProgress,
        G::FencedInstance => HeartbeatError::FencedInstanceId,
        // Not answers to this call.
        G::InconsistentProtocol
        | G::InvalidSessionTimeout
        | G::MemberIdRequired(_)
        | G::GroupFull
        | G::NonEmptyGroup
        | G::SubscribedToTopic
        | G::MetadataTooLarge
        | G::UnknownTopicOrPartition => HeartbeatError::CoordinatorNotAvailable,
    }
}

#[cfg(test)]
mod tests;
