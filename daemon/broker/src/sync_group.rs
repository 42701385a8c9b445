//! SyncGroup (key 14): parked in the lane until the leader has assigned.
//!
//! A coordinator that is still loading has lost the rebalance under way: REBALANCE_IN_PROGRESS, as
//! Kafka answers, sends the member back to JoinGroup.

use crate::broker::Broker;
use crate::group::{owned, owned_bytes, owned_option};
use holdfast_lane::{GroupAnswer, GroupCall, GroupError, Sync};
use holdfast_protocol::errors::SyncGroupError;
use kafka_protocol::messages::sync_group_request::SyncGroupRequest;
use kafka_protocol::messages::sync_group_response::SyncGroupResponse;
use kafka_protocol::protocol::StrBytes;
use std::sync::Arc;

/// From here a member must say what it believes was chosen (KIP-559).
const FIRST_VERSION_WITH_PROTOCOL: i16 = 5;

/// Answers with the member's assignment.
pub(crate) async fn handle(
    broker: Arc<Broker>,
    request: SyncGroupRequest,
    version: i16,
) -> SyncGroupResponse {
    let unnamed = request.protocol_type.is_none() || request.protocol_name.is_none();
    if version >= FIRST_VERSION_WITH_PROTOCOL && unnamed {
        return SyncGroupResponse::default()
            .with_error_code(SyncGroupError::InconsistentGroupProtocol.into());
    }
    let assignments = request.assignments.iter();
    let sync = Sync {
        group: owned(&request.group_id),
        member_id: owned(&request.member_id),
        instance_id: owned_option(&request.group_instance_id),
        generation: request.generation_id,
        protocol_type: owned_option(&request.protocol_type),
        protocol: owned_option(&request.protocol_name),
        assignments: assignments
            .map(|given| (owned(&given.member_id), owned_bytes(&given.assignment)))
            .collect(),
    };
    let synced = broker.ask_group(GroupCall::Sync(sync), |answer| match answer {
        GroupAnswer::Sync(synced) => Some(synced),
        _ => None,
    });
    let response = SyncGroupResponse::default();
    match synced.await {
        Err(error) => response.with_error_code(error_of(&error).into()),
        Ok(synced) => {
            let response = response.with_assignment(synced.assignment);
            if version < FIRST_VERSION_WITH_PROTOCOL {
                return response;
            }
            response
                .with_protocol_type(Some(synced.protocol_type.into()))
                .with_protocol_name(synced.protocol.map(StrBytes::from))
        }
    }
}

fn error_of(error: &GroupError) -> SyncGroupError {
    use GroupError as G;
    match error {
        G::NotCoordinator => SyncGroupError::NotCoordinator,
        G::LoadInProgress | G::RebalanceInProgress => SyncGroupError::RebalanceInProgress,
        G::CoordinatorNotAvailable => SyncGroupError::CoordinatorNotAvailable,
        G::IllegalGeneration => SyncGroupError::IllegalGeneration,
        G::InconsistentProtocol => SyncGroupError::InconsistentGroupProtocol,
        G::FencedInstance => SyncGroupError::FencedInstanceId,
        // A group that is not there knows no members.
        G::UnknownMember | G::GroupIdNotFound | G::InvalidGroup => SyncGroupError::UnknownMemberId,
        // Not answers to this call.
        G::InvalidSessionTimeout
        | G::MemberIdRequired(_)
        | G::GroupFull
        | G::NonEmptyGroup
        | G::SubscribedToTopic
        | G::MetadataTooLarge
        | G::UnknownTopicOrPartition => SyncGroupError::CoordinatorNotAvailable,
    }
}

#[cfg(test)]
mod tests;
