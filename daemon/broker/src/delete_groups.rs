//! DeleteGroups (key 42): groups without members, with their offsets.

use crate::broker::Broker;
use crate::group::owned;
use holdfast_lane::{GroupAnswer, GroupCall, GroupError};
use holdfast_protocol::errors::DeleteGroupsError;
use kafka_protocol::messages::GroupId;
use kafka_protocol::messages::delete_groups_request::DeleteGroupsRequest;
use kafka_protocol::messages::delete_groups_response::{
    DeletableGroupResult, DeleteGroupsResponse,
};
use std::sync::Arc;

/// Answers group by group.
pub(crate) async fn handle(
    broker: Arc<Broker>,
    request: DeleteGroupsRequest,
) -> DeleteGroupsResponse {
    // All are asked before the first is waited for.
    let ask = |id: GroupId| {
        let call = GroupCall::Delete { group: owned(&id) };
        let asked = broker.ask_group(call, |answer| match answer {
            GroupAnswer::Delete(deleted) => Some(deleted),
            _ => None,
        });
        (id, asked)
    };
    let asked: Vec<_> = request.groups_names.into_iter().map(ask).collect();
    let mut results = Vec::with_capacity(asked.len());
    for (id, asked) in asked {
        let error = match asked.await {
            Ok(()) => DeleteGroupsError::None,
            Err(error) => error_of(&error),
        };
        let result = DeletableGroupResult::default().with_group_id(id);
        results.push(result.with_error_code(error.into()));
    }
    DeleteGroupsResponse::default().with_results(results)
}

fn error_of(error: &GroupError) -> DeleteGroupsError {
    match error {
        GroupError::NotCoordinator => DeleteGroupsError::NotCoordinator,
        GroupError::LoadInProgress => DeleteGroupsError::CoordinatorLoadInProgress,
        GroupError::NonEmptyGroup => DeleteGroupsError::NonEmptyGroup,
        GroupError::GroupIdNotFound => DeleteGroupsError::GroupIdNotFound,
        GroupError::InvalidGroup => DeleteGroupsError::InvalidGroupId,
        _ => DeleteGroupsError::CoordinatorNotAvailable,
    }
}

#[cfg(test)]
mod tests;
