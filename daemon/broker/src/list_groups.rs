//! ListGroups (key 16): the groups this node coordinates. Clients ask every node and add up.

use crate::broker::Broker;
use holdfast_lane::{Answer, GroupError, Listed, Request};
use holdfast_protocol::errors::ListGroupsError;
use kafka_protocol::messages::GroupId;
use kafka_protocol::messages::list_groups_request::ListGroupsRequest;
use kafka_protocol::messages::list_groups_response::{ListGroupsResponse, ListedGroup};
use kafka_protocol::protocol::StrBytes;
use std::sync::Arc;

const FIRST_VERSION_WITH_STATES: i16 = 4;
const FIRST_VERSION_WITH_TYPES: i16 = 5;
/// The only type of group there is.
const CLASSIC: &str = "classic";

/// Answers with all groups, or those of the states and types asked for.
pub(crate) async fn handle(
    broker: Arc<Broker>,
    request: ListGroupsRequest,
    version: i16,
) -> ListGroupsResponse {
    let response = ListGroupsResponse::default();
    let listed = match broker.lane.call(Request::ListGroups).await {
        Some(Answer::ListGroups(Ok(listed))) => listed,
        Some(Answer::ListGroups(Err(GroupError::LoadInProgress))) => {
            return response.with_error_code(ListGroupsError::CoordinatorLoadInProgress.into());
        }
        _ => return response.with_error_code(ListGroupsError::CoordinatorNotAvailable.into()),
    };
    let wanted = |group: &Listed| {
        is_named(&request.states_filter, group.state.name())
            && is_named(&request.types_filter, CLASSIC)
    };
    let groups = listed.into_iter().filter(wanted).map(|group| {
        let state = group.state.name();
        let mut listed = ListedGroup::default()
            .with_group_id(GroupId(group.group.into()))
            .with_protocol_type(group.protocol_type.into());
        if version >= FIRST_VERSION_WITH_STATES {
            listed.group_state = state.into();
        }
        if version >= FIRST_VERSION_WITH_TYPES {
            listed.group_type = CLASSIC.into();
        }
        listed
    });
    response.with_groups(groups.collect())
}

/// An empty filter lets everything through. Case does not matter, as in Kafka.
fn is_named(filter: &[StrBytes], name: &str) -> bool {
    filter.is_empty() || filter.iter().any(|wanted| wanted.eq_ignore_ascii_case(name))
}

#[cfg(test)]
mod tests;
