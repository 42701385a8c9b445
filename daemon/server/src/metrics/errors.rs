//! The error of an answer as a whole, read from its first bytes: where an API has one, it stands
//! behind the correlation id and, in most versions, the throttle time.
//!
//! ```text
//! length 4 │ correlation id 4 │ tags 1 (flexible versions) │ throttle 4 (from a version on) │ error 2
//! ```
//!
//! Errors of single partitions, topics, resources and groups are counted in `part_errors`.

use holdfast_protocol::Api;
use holdfast_protocol::messages::ApiKey;

/// API, the version from which a throttle time stands before the error (99: never), and the
/// versions that have the error there.
const PLACES: &[(Api, i16, i16, i16)] = &[
    (Api::Fetch, 1, 7, 99),
    (Api::FindCoordinator, 1, 0, 3),
    (Api::JoinGroup, 2, 0, 99),
    (Api::Heartbeat, 1, 0, 99),
    (Api::LeaveGroup, 1, 0, 99),
    (Api::SyncGroup, 1, 0, 99),
    (Api::ListGroups, 1, 0, 99),
    (Api::ApiVersions, 99, 0, 99),
    (Api::InitProducerId, 0, 0, 99),
    (Api::DescribeLogDirs, 0, 3, 99),
    (Api::OffsetDelete, 99, 0, 99),
    (Api::SaslHandshake, 99, 0, 99),
    (Api::DescribeAcls, 0, 0, 99),
    (Api::ElectLeaders, 0, 1, 99),
    // From version 1 on another field stands before it: see `part_errors`.
    (Api::AlterPartitionReassignments, 0, 0, 0),
    (Api::ListPartitionReassignments, 0, 0, 99),
    (Api::ListConfigResources, 0, 0, 99),
    (Api::DescribeQuorum, 99, 0, 99),
    (Api::DescribeCluster, 0, 0, 99),
];

/// The error code of `answer` (with its length field) as a whole, if it has one and it is not 0.
pub fn answer_error(key: i16, version: i16, answer: &[u8]) -> Option<i16> {
    let (_, throttle_from, first, last) = PLACES.iter().find(|(api, ..)| api.key() == key)?;
    if !(*first..=*last).contains(&version) {
        return None;
    }
    let flexible = ApiKey::try_from(key).ok()?.response_header_version(version) >= 1;
    let throttle = if version >= *throttle_from { 4 } else { 0 };
    let at = 8 + usize::from(flexible) + throttle;
    let code = i16::from_be_bytes(answer.get(at..at + 2)?.try_into().ok()?);
    (code != 0).then_some(code)
}

#[cfg(test)]
mod tests {
    use super::*;
    use holdfast_protocol::messages::{
        AlterPartitionReassignmentsResponse, DescribeAclsResponse, ElectLeadersResponse,
        FindCoordinatorResponse, HeartbeatResponse, InitProducerIdResponse, JoinGroupResponse,
        LeaveGroupResponse, ListConfigResourcesResponse, ListPartitionReassignmentsResponse,
        OffsetDeleteResponse, SaslHandshakeResponse, SyncGroupResponse,
    };
    use holdfast_protocol::{Response, encode_response};

    #[test]
    fn the_error_is_found_in_every_version_that_has_it() {
        let answers = [
            (Api::JoinGroup, Response::JoinGroup(JoinGroupResponse::default().with_error_code(79))),
            (Api::SyncGroup, Response::SyncGroup(SyncGroupResponse::default().with_error_code(79))),
            (Api::Heartbeat, Response::Heartbeat(HeartbeatResponse::default().with_error_code(79))),
            (
                Api::LeaveGroup,
                Response::LeaveGroup(LeaveGroupResponse::default().with_error_code(79)),
            ),
            (
                Api::FindCoordinator,
                Response::FindCoordinator(FindCoordinatorResponse::default().with_error_code(79)),
            ),
            (
                Api::InitProducerId,
                Response::InitProducerId(InitProducerIdResponse::default().with_error_code(79)),
            ),
            (
                Api::OffsetDelete,
                Response::OffsetDelete(OffsetDeleteResponse::default().with_error_code(79)),
            ),
            (
                Api::SaslHandshake,
                Response::SaslHandshake(SaslHandshakeResponse::default().with_error_code(79)),
            ),
            (
                Api::DescribeAcls,
                Response::DescribeAcls(DescribeAclsResponse::default().with_error_code(79)),
            ),
            (
                Api::ElectLeaders,
                Response::ElectLeaders(ElectLeadersResponse::default().with_error_code(79)),
            ),
            (
                Api::AlterPartitionReassignments,
                Response::AlterPartitionReassignments(
                    AlterPartitionReassignmentsResponse::default().with_error_code(79),
                ),
            ),
            (
                Api::ListPartitionReassignments,
                Response::ListPartitionReassignments(
                    ListPartitionReassignmentsResponse::default().with_error_code(79),
                ),
            ),
            (
                Api::ListConfigResources,
                Response::ListConfigResources(
                    ListConfigResourcesResponse::default().with_error_code(79),
                ),
            ),
        ];
        let mut found = 0;
        for (api, answer) in &answers {
            for row in holdfast_protocol::SUPPORTED.iter().filter(|row| row.api == *api) {
                for version in row.accepted_min..=row.max {
                    let has_it = match api {
                        Api::FindCoordinator => version <= 3,
                        Api::ElectLeaders => version >= 1,
                        Api::AlterPartitionReassignments => version == 0,
                        _ => true,
                    };
                    let Ok(bytes) = encode_response(7, version, answer) else { continue };
                    let expected = has_it.then_some(79);
                    assert_eq!(
                        answer_error(api.key(), version, &bytes),
                        expected,
                        "{api:?} v{version}"
                    );
                    found += usize::from(has_it);
                }
            }
        }
        assert!(found > 35, "only {found} versions");
    }

    #[test]
    fn an_answer_without_error_or_too_short_has_none() {
        assert_eq!(answer_error(Api::Heartbeat.key(), 0, &[0; 10]), None);
        assert_eq!(answer_error(Api::Heartbeat.key(), 0, &[0, 0, 0, 4, 0, 0, 0, 1, 0]), None);
        assert_eq!(answer_error(Api::Produce.key(), 9, &[255; 40]), None);
    }
}
