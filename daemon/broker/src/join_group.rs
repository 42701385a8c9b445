//! JoinGroup (key 11): parked in the lane until the rebalance is complete.
//!
//! | from version | |
//! | --- | --- |
//! | 1 | a rebalance timeout of its own; before, the session timeout |
//! | 4 | a new dynamic member is told its id first: MEMBER_ID_REQUIRED (KIP-394) |
//! | 5 | static members |
//! | 7 | the protocol may be null, its type is answered |
//! | 9 | a static leader that comes back may be told to keep the assignment (KIP-814) |

use crate::broker::Broker;
use crate::context::Context;
use crate::group::{owned, owned_bytes, owned_option};
use holdfast_lane::{GroupAnswer, GroupCall, GroupError, Join, Joined};
use holdfast_protocol::errors::JoinGroupError;
use kafka_protocol::messages::join_group_request::JoinGroupRequest;
use kafka_protocol::messages::join_group_response::{JoinGroupResponse, JoinGroupResponseMember};
use kafka_protocol::protocol::StrBytes;
use std::sync::Arc;

const FIRST_VERSION_WITH_REBALANCE_TIMEOUT: i16 = 1;
const FIRST_VERSION_WITH_KNOWN_MEMBERS: i16 = 4;
const FIRST_VERSION_WITH_INSTANCES: i16 = 5;
const FIRST_VERSION_WITH_PROTOCOL_TYPE: i16 = 7;
const FIRST_VERSION_WITH_SKIPPED_ASSIGNMENT: i16 = 9;

/// Answers when the member is in, or may not be.
pub(crate) async fn handle(
    broker: Arc<Broker>,
    context: Arc<Context>,
    client_id: String,
    request: JoinGroupRequest,
    version: i16,
) -> JoinGroupResponse {
    let rebalance_timeout_ms = if version >= FIRST_VERSION_WITH_REBALANCE_TIMEOUT {
        request.rebalance_timeout_ms
    } else {
        request.session_timeout_ms
    };
    let protocols = request.protocols.iter();
    let join = Join {
        group: owned(&request.group_id),
        member_id: owned(&request.member_id),
        instance_id: owned_option(&request.group_instance_id),
        protocol_type: owned(&request.protocol_type),
        protocols: protocols
            .map(|protocol| (owned(&protocol.name), owned_bytes(&protocol.metadata)))
            .collect(),
        session_timeout_ms: request.session_timeout_ms,
        rebalance_timeout_ms,
        requires_known_member: version >= FIRST_VERSION_WITH_KNOWN_MEMBERS,
        can_skip_assignment: version >= FIRST_VERSION_WITH_SKIPPED_ASSIGNMENT,
        client_id,
        client_host: format!("/{}", context.peer_host),
    };
    let joined = broker.ask_group(GroupCall::Join(join), |answer| match answer {
        GroupAnswer::Join(joined) => Some(joined),
        _ => None,
    });
    match joined.await {
        Ok(joined) => write_joined(joined, version),
        Err(error) => write_refusal(&error, request.member_id, version),
    }
}

fn write_joined(joined: Joined, version: i16) -> JoinGroupResponse {
    let members = joined.members.into_iter().map(|member| {
        let instance = member.instance_id.filter(|_| version >= FIRST_VERSION_WITH_INSTANCES);
        JoinGroupResponseMember::default()
            .with_member_id(member.member_id.into())
            .with_group_instance_id(instance.map(StrBytes::from))
            .with_metadata(member.metadata)
    });
    let response = JoinGroupResponse::default()
        .with_generation_id(joined.generation)
        .with_leader(joined.leader.into())
        .with_member_id(joined.member_id.into())
        .with_members(members.collect());
    let response = if version >= FIRST_VERSION_WITH_PROTOCOL_TYPE {
        response
            .with_protocol_type(Some(joined.protocol_type.into()))
            .with_protocol_name(joined.protocol.map(StrBytes::from))
    } else {
        response.with_protocol_name(Some(joined.protocol.unwrap_or_default().into()))
    };
    if version >= FIRST_VERSION_WITH_SKIPPED_ASSIGNMENT {
        response.with_skip_assignment(joined.skip_assignment)
    } else {
        response
    }
}

fn write_refusal(error: &GroupError, member_id: StrBytes, version: i16) -> JoinGroupResponse {
    let member_id = match error {
        GroupError::MemberIdRequired(given) => StrBytes::from(given.clone()),
        _ => member_id,
    };
    let protocol = (version < FIRST_VERSION_WITH_PROTOCOL_TYPE).then(StrBytes::default);
    JoinGroupResponse::default()
        .with_error_code(error_of(error).into())
        .with_generation_id(-1)
        .with_protocol_name(protocol)
        .with_member_id(member_id)
}

fn error_of(error: &GroupError) -> JoinGroupError {
    use GroupError as G;
    match error {
        G::NotCoordinator => JoinGroupError::NotCoordinator,
        G::LoadInProgress => JoinGroupError::CoordinatorLoadInProgress,
        G::CoordinatorNotAvailable => JoinGroupError::CoordinatorNotAvailable,
        G::UnknownMember => JoinGroupError::UnknownMemberId,
        G::RebalanceInProgress => JoinGroupError::RebalanceInProgress,
        G::InconsistentProtocol => JoinGroupError::InconsistentGroupProtocol,
        G::InvalidSessionTimeout => JoinGroupError::InvalidSessionTimeout,
        G::MemberIdRequired(_) => JoinGroupError::MemberIdRequired,
        G::FencedInstance => JoinGroupError::FencedInstanceId,
        G::GroupFull => JoinGroupError::GroupMaxSizeReached,
        G::InvalidGroup => JoinGroupError::InvalidGroupId,
        // Not answers to this call; joining again is harmless.
        G::IllegalGeneration
        | G::NonEmptyGroup
        | G::GroupIdNotFound
        | G::SubscribedToTopic
        | G::MetadataTooLarge
        | G::UnknownTopicOrPartition => JoinGroupError::CoordinatorNotAvailable,
    }
}

#[cfg(test)]
mod tests;
