//! DescribeGroups (key 15): state, members and what each has.
//!
//! A group nobody knows is not an error up to version 5: its state is Dead. From version 6 it is
//! GROUP_ID_NOT_FOUND, by which the admin client tells "not there" from "dying" (KIP-1043).

use crate::broker::Broker;
use crate::group::owned;
use holdfast_lane::{Description, GroupAnswer, GroupCall, GroupError, GroupState};
use holdfast_protocol::errors::DescribeGroupsError;
use kafka_protocol::messages::GroupId;
use kafka_protocol::messages::describe_groups_request::DescribeGroupsRequest;
use kafka_protocol::messages::describe_groups_response::{
    DescribeGroupsResponse, DescribedGroup, DescribedGroupMember,
};
use kafka_protocol::protocol::StrBytes;
use std::sync::Arc;

const FIRST_VERSION_WITH_OPERATIONS: i16 = 3;
const FIRST_VERSION_WITH_INSTANCES: i16 = 4;
/// From here a group that is not there is an error, with words.
const FIRST_VERSION_WITH_NOT_FOUND: i16 = 6;
/// Bits of READ (3), DELETE (6) and DESCRIBE (8): everything one can do with a group, since nobody
/// is kept from anything until there is authorisation.
const EVERY_OPERATION: i32 = 1 << 3 | 1 << 6 | 1 << 8;
/// What Kafka says when operations were not asked for.
const OPERATIONS_NOT_ASKED: i32 = i32::MIN;

/// Answers for groups this node coordinates.
pub(crate) async fn handle(
    broker: Arc<Broker>,
    request: DescribeGroupsRequest,
    version: i16,
) -> DescribeGroupsResponse {
    let operations =
        if version >= FIRST_VERSION_WITH_OPERATIONS && request.include_authorized_operations {
            EVERY_OPERATION
        } else {
            OPERATIONS_NOT_ASKED
        };
    // All are asked before the first is waited for.
    let ask = |id: GroupId| {
        let call = GroupCall::Describe { group: owned(&id) };
        let asked = broker.ask_group(call, |answer| match answer {
            GroupAnswer::Describe(description) => Some(description),
            _ => None,
        });
        (id, asked)
    };
    let asked: Vec<_> = request.groups.into_iter().map(ask).collect();
    let mut groups = Vec::with_capacity(asked.len());
    for (id, asked) in asked {
        let group = match asked.await {
            Ok(description) => write_group(description, version),
            Err(error) => write_error(&id, &error, version),
        };
        groups.push(group.with_group_id(id).with_authorized_operations(operations));
    }
    DescribeGroupsResponse::default().with_groups(groups)
}

fn write_group(group: Description, version: i16) -> DescribedGroup {
    let members = group.members.into_iter().map(|member| {
        let instance = member.instance_id.filter(|_| version >= FIRST_VERSION_WITH_INSTANCES);
        DescribedGroupMember::default()
            .with_member_id(member.member_id.into())
            .with_group_instance_id(instance.map(StrBytes::from))
            .with_client_id(member.client_id.into())
            .with_client_host(member.client_host.into())
            .with_member_metadata(member.metadata)
            .with_member_assignment(member.assignment)
    });
    DescribedGroup::default()
        .with_group_state(group.state.name().into())
        .with_protocol_type(group.protocol_type.into())
        .with_protocol_data(group.protocol.into())
        .with_members(members.collect())
        .with_error_message(None)
}

fn write_error(id: &GroupId, error: &GroupError, version: i16) -> DescribedGroup {
    let described = DescribedGroup::default().with_error_message(None);
    if *error != GroupError::GroupIdNotFound {
        return described.with_error_code(error_of(error).into());
    }
    let dead = described.with_group_state(GroupState::Dead.name().into());
    if version < FIRST_VERSION_WITH_NOT_FOUND {
        return dead;
    }
    let message = format!("Group {} not found.", id.0);
    dead.with_error_code(DescribeGroupsError::GroupIdNotFound.into())
        .with_error_message(Some(message.into()))
}

fn error_of(error: &GroupError) -> DescribeGroupsError {
    match error {
        GroupError::NotCoordinator => DescribeGroupsError::NotCoordinator,
        GroupError::LoadInProgress => DescribeGroupsError::CoordinatorLoadInProgress,
        GroupError::InvalidGroup => DescribeGroupsError::InvalidGroupId,
        _ => DescribeGroupsError::CoordinatorNotAvailable,
    }
}

#[cfg(test)]
mod tests;
