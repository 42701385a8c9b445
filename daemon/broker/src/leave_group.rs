//! LeaveGroup (key 13): up to version 2 one member says goodbye and its error is the answer's; from
//! version 3 several go at once, each with an answer of its own. That is also how an administrator
//! removes static members, by instance id alone.

use crate::broker::Broker;
use crate::group::{owned, owned_option};
use holdfast_lane::{GroupAnswer, GroupCall, GroupError, Leave, LeavingMember};
use holdfast_protocol::errors::{LeaveGroupError, LeaveGroupMemberError};
use kafka_protocol::messages::leave_group_request::LeaveGroupRequest;
use kafka_protocol::messages::leave_group_response::{LeaveGroupResponse, MemberResponse};
use std::sync::Arc;

/// From here several members may go.
const FIRST_VERSION_WITH_MEMBERS: i16 = 3;

/// Answers when they are out.
pub(crate) async fn handle(
    broker: Arc<Broker>,
    request: LeaveGroupRequest,
    version: i16,
) -> LeaveGroupResponse {
    let one_by_one = version < FIRST_VERSION_WITH_MEMBERS;
    let members = if one_by_one {
        vec![LeavingMember { member_id: owned(&request.member_id), instance_id: None }]
    } else {
        let members = request.members.iter();
        members
            .map(|member| LeavingMember {
                member_id: owned(&member.member_id),
                instance_id: owned_option(&member.group_instance_id),
            })
            .collect()
    };
    let leave = Leave { group: owned(&request.group_id), members };
    let left = broker.ask_group(GroupCall::Leave(leave), |answer| match answer {
        GroupAnswer::Leave(left) => Some(left),
        _ => None,
    });
    let response = LeaveGroupResponse::default();
    let outcomes = match left.await {
        Ok(outcomes) => outcomes,
        Err(error) => return response.with_error_code(error_of(&error).into()),
    };
    if one_by_one {
        return match outcomes.first() {
            Some(Ok(())) => response,
            Some(Err(error)) => response.with_error_code(error_of(error).into()),
            None => response.with_error_code(LeaveGroupError::UnknownServerError.into()),
        };
    }
    let members = request.members.into_iter().enumerate().map(|(at, member)| {
        MemberResponse::default()
            .with_member_id(member.member_id)
            .with_group_instance_id(member.group_instance_id)
            .with_error_code(member_error(outcomes.get(at)).into())
    });
    response.with_members(members.collect())
}

fn member_error(outcome: Option<&Result<(), GroupError>>) -> LeaveGroupMemberError {
    match outcome {
        Some(Ok(())) => LeaveGroupMemberError::None,
        Some(Err(GroupError::UnknownMember)) => LeaveGroupMemberError::UnknownMemberId,
        Some(Err(GroupError::FencedInstance)) => LeaveGroupMemberError::FencedInstanceId,
        _ => LeaveGroupMemberError::UnknownServerError,
    }
}

fn error_of(error: &GroupError) -> LeaveGroupError {
    use GroupError as G;
    match error {
        G::NotCoordinator => LeaveGroupError::NotCoordinator,
        G::LoadInProgress => LeaveGroupError::CoordinatorLoadInProgress,
        G::CoordinatorNotAvailable => LeaveGroupError::CoordinatorNotAvailable,
        G::UnknownMember | G::GroupIdNotFound => LeaveGroupError::UnknownMemberId,
        G::FencedInstance => LeaveGroupError::FencedInstanceId,
        G::InvalidGroup => LeaveGroupError::InvalidGroupId,
        // Not answers to this call.
        G::IllegalGeneration
        | G::RebalanceInProgress
        | G::InconsistentProtocol
        | G::InvalidSessionTimeout
        | G::MemberIdRequired(_)
        | G::GroupFull
        | G::NonEmptyGroup
        | G::SubscribedToTopic
        | G::MetadataTooLarge
        | G::UnknownTopicOrPartition => LeaveGroupError::UnknownServerError,
    }
}

#[cfg(test)]
mod tests;
