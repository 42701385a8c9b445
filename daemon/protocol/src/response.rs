//! From an answer to a frame.
//!
//! ```text
//! │ length 4 │ correlation id 4 │ tags (one zero byte, flexible versions) │ body │
//! ```
//!
//! ApiVersions is the exception: its header never has tags, so that a client which does not know
//! yet what we speak can read it (KIP-511).
//!
//! kafka-protocol refuses a field that is set where its version has none, unless Kafka lets the
//! field be dropped silently. What refuses, by version:
//!
//! | answer | versions | leave at its default |
//! | --- | --- | --- |
//! | ListOffsets | 1-3 | `leader_epoch` |
//! | Metadata | 0-7; cluster's also 11+ | authorized operations |
//! | OffsetFetch | 1-7 | `groups` |
//! | | 8+ | `topics`; the answer's `error_code` is dropped, as it is in 1 |
//! | FindCoordinator | 0-3 | `coordinators` |
//! | | 4+ | the answer's node, host, port and `error_code` |
//! | JoinGroup | 0-8 | `skip_assignment` |
//! | LeaveGroup | 0-2 | `members` |
//! | DescribeGroups | 0-2 | `authorized_operations` |
//! | | 0-5 | `error_message` |
//! | DescribeQuorum | 0-1 | `nodes`, `replica_directory_id` |
//! | ElectLeaders | 0 | `error_code` |
//! | DescribeCluster | 0 | `endpoint_type` is 1 |
//! | | 0-1 | `is_fenced` |
//!
//! What it does not refuse, and clients of these versions cannot read, is null in a text that may
//! be null only later: the names in Metadata before 12 and DeleteTopics before 6, and JoinGroup's
//! `protocol_name` before 7 (empty there). That is refused here.
//!
//! Fetch has a writer of its own (`fetch_writer`), because its records must not be copied.

use bytes::{BufMut, Bytes, BytesMut};
use kafka_protocol::messages::{
    AlterConfigsResponse, AlterPartitionReassignmentsResponse, AlterReplicaLogDirsResponse,
    ApiVersionsResponse, CreateAclsResponse, CreatePartitionsResponse, CreateTopicsResponse,
    DeleteAclsResponse, DeleteGroupsResponse, DeleteRecordsResponse, DeleteTopicsResponse,
    DescribeAclsResponse, DescribeClusterResponse, DescribeConfigsResponse, DescribeGroupsResponse,
    DescribeLogDirsResponse, DescribeQuorumResponse, DescribeTopicPartitionsResponse,
    ElectLeadersResponse, FindCoordinatorResponse, HeartbeatResponse,
    IncrementalAlterConfigsResponse, InitProducerIdResponse, JoinGroupResponse, LeaveGroupResponse,
    ListConfigResourcesResponse, ListGroupsResponse, ListOffsetsResponse,
    ListPartitionReassignmentsResponse, MetadataResponse, OffsetCommitResponse,
    OffsetDeleteResponse, OffsetFetchResponse, OffsetForLeaderEpochResponse, ProduceResponse,
    SaslHandshakeResponse, SyncGroupResponse,
};
use kafka_protocol::protocol::Encodable;

use crate::errors::{ApiVersionsError, ErrorCode};
use crate::frame::LENGTH_BYTES;
use crate::guard;
use crate::versions::{Api, advertise};

const METADATA_NULL_NAMES_FROM: i16 = 12;
const DELETE_TOPICS_NULL_NAMES_FROM: i16 = 6;
const JOIN_GROUP_NULL_PROTOCOL_FROM: i16 = 7;

/// An answer that is encoded whole.
#[derive(Clone, PartialEq, Debug)]
#[expect(missing_docs, reason = "one per API, by its name")]
pub enum Response {
    Produce(ProduceResponse),
    ListOffsets(ListOffsetsResponse),
    Metadata(MetadataResponse),
    OffsetCommit(OffsetCommitResponse),
    OffsetFetch(OffsetFetchResponse),
    FindCoordinator(FindCoordinatorResponse),
    JoinGroup(JoinGroupResponse),
    Heartbeat(HeartbeatResponse),
    LeaveGroup(LeaveGroupResponse),
    SyncGroup(SyncGroupResponse),
    DescribeGroups(DescribeGroupsResponse),
    ListGroups(ListGroupsResponse),
    SaslHandshake(SaslHandshakeResponse),
    ApiVersions(ApiVersionsResponse),
    CreateTopics(CreateTopicsResponse),
    DeleteTopics(DeleteTopicsResponse),
    DeleteRecords(DeleteRecordsResponse),
    InitProducerId(InitProducerIdResponse),
    OffsetForLeaderEpoch(OffsetForLeaderEpochResponse),
    DescribeAcls(DescribeAclsResponse),
    CreateAcls(CreateAclsResponse),
    DeleteAcls(DeleteAclsResponse),
    DescribeConfigs(DescribeConfigsResponse),
    AlterConfigs(AlterConfigsResponse),
    AlterReplicaLogDirs(AlterReplicaLogDirsResponse),
    DescribeLogDirs(DescribeLogDirsResponse),
    CreatePartitions(CreatePartitionsResponse),
    DeleteGroups(DeleteGroupsResponse),
    ElectLeaders(ElectLeadersResponse),
    IncrementalAlterConfigs(IncrementalAlterConfigsResponse),
    AlterPartitionReassignments(AlterPartitionReassignmentsResponse),
    ListPartitionReassignments(ListPartitionReassignmentsResponse),
    OffsetDelete(OffsetDeleteResponse),
    DescribeQuorum(DescribeQuorumResponse),
    DescribeCluster(DescribeClusterResponse),
    ListConfigResources(ListConfigResourcesResponse),
    DescribeTopicPartitions(DescribeTopicPartitionsResponse),
}

impl Response {
    /// Which API it answers.
    #[must_use]
    pub fn api(&self) -> Api {
        match self {
            Response::Produce(_) => Api::Produce,
            Response::ListOffsets(_) => Api::ListOffsets,
            Response::Metadata(_) => Api::Metadata,
            Response::OffsetCommit(_) => Api::OffsetCommit,
            Response::OffsetFetch(_) => Api::OffsetFetch,
            Response::FindCoordinator(_) => Api::FindCoordinator,
            Response::JoinGroup(_) => Api::JoinGroup,
            Response::Heartbeat(_) => Api::Heartbeat,
            Response::LeaveGroup(_) => Api::LeaveGroup,
            Response::SyncGroup(_) => Api::SyncGroup,
            Response::DescribeGroups(_) => Api::DescribeGroups,
            Response::ListGroups(_) => Api::ListGroups,
            Response::SaslHandshake(_) => Api::SaslHandshake,
            Response::ApiVersions(_) => Api::ApiVersions,
            Response::CreateTopics(_) => Api::CreateTopics,
            Response::DeleteTopics(_) => Api::DeleteTopics,
            Response::DeleteRecords(_) => Api::DeleteRecords,
            Response::InitProducerId(_) => Api::InitProducerId,
            Response::OffsetForLeaderEpoch(_) => Api::OffsetForLeaderEpoch,
            Response::DescribeAcls(_) => Api::DescribeAcls,
            Response::CreateAcls(_) => Api::CreateAcls,
            Response::DeleteAcls(_) => Api::DeleteAcls,
            Response::DescribeConfigs(_) => Api::DescribeConfigs,
            Response::AlterConfigs(_) => Api::AlterConfigs,
            Response::AlterReplicaLogDirs(_) => Api::AlterReplicaLogDirs,
            Response::DescribeLogDirs(_) => Api::DescribeLogDirs,
            Response::CreatePartitions(_) => Api::CreatePartitions,
            Response::DeleteGroups(_) => Api::DeleteGroups,
            Response::ElectLeaders(_) => Api::ElectLeaders,
            Response::IncrementalAlterConfigs(_) => Api::IncrementalAlterConfigs,
            Response::AlterPartitionReassignments(_) => Api::AlterPartitionReassignments,
            Response::ListPartitionReassignments(_) => Api::ListPartitionReassignments,
            Response::OffsetDelete(_) => Api::OffsetDelete,
            Response::DescribeQuorum(_) => Api::DescribeQuorum,
            Response::DescribeCluster(_) => Api::DescribeCluster,
            Response::ListConfigResources(_) => Api::ListConfigResources,
            Response::DescribeTopicPartitions(_) => Api::DescribeTopicPartitions,
        }
    }
}

/// An answer that cannot be written: a mistake of the broker, not of the client. Close the
/// connection and log it.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{api:?} version {version} response cannot be encoded: {what}")]
pub struct EncodeError {
    /// The API.
    pub api: Api,
    /// The version asked for.
    pub version: i16,
    /// What the encoder said.
    pub what: String,
}

/// The whole frame, its length included.
///
/// # Errors
/// When a field is set that the version does not have, a text is null that the version cannot say,
/// or the frame would pass 2 GiB.
pub fn encode_response(
    correlation_id: i32,
    version: i16,
    response: &Response,
) -> Result<Bytes, EncodeError> {
    let api = response.api();
    if let Some(field) = null_too_early(version, response) {
        return Err(EncodeError { api, version, what: format!("{field} is null") });
    }
    let frame = Frame { api, correlation_id, version };
    match response {
        Response::Produce(body) => frame.with(body),
        Response::ListOffsets(body) => frame.with(body),
        Response::Metadata(body) => frame.with(body),
        Response::OffsetCommit(body) => frame.with(body),
        Response::OffsetFetch(body) => frame.with(body),
        Response::FindCoordinator(body) => frame.with(body),
        Response::JoinGroup(body) => frame.with(body),
        Response::Heartbeat(body) => frame.with(body),
        Response::LeaveGroup(body) => frame.with(body),
        Response::SyncGroup(body) => frame.with(body),
        Response::DescribeGroups(body) => frame.with(body),
        Response::ListGroups(body) => frame.with(body),
        Response::SaslHandshake(body) => frame.with(body),
        Response::ApiVersions(body) => frame.with(body),
        Response::CreateTopics(body) => frame.with(body),
        Response::DeleteTopics(body) => frame.with(body),
        Response::DeleteRecords(body) => frame.with(body),
        Response::InitProducerId(body) => frame.with(body),
        Response::OffsetForLeaderEpoch(body) => frame.with(body),
        Response::DescribeAcls(body) => frame.with(body),
        Response::CreateAcls(body) => frame.with(body),
        Response::DeleteAcls(body) => frame.with(body),
        Response::DescribeConfigs(body) => frame.with(body),
        Response::AlterConfigs(body) => frame.with(body),
        Response::AlterReplicaLogDirs(body) => frame.with(body),
        Response::DescribeLogDirs(body) => frame.with(body),
        Response::CreatePartitions(body) => frame.with(body),
        Response::DeleteGroups(body) => frame.with(body),
        Response::ElectLeaders(body) => frame.with(body),
        Response::IncrementalAlterConfigs(body) => frame.with(body),
        Response::AlterPartitionReassignments(body) => frame.with(body),
        Response::ListPartitionReassignments(body) => frame.with(body),
        Response::OffsetDelete(body) => frame.with(body),
        Response::DescribeQuorum(body) => frame.with(body),
        Response::DescribeCluster(body) => frame.with(body),
        Response::ListConfigResources(body) => frame.with(body),
        Response::DescribeTopicPartitions(body) => frame.with(body),
    }
}

/// The answer to an ApiVersions request in a version we do not speak: v0, error 35, and our range
/// of ApiVersions, so that the client can ask again.
///
/// # Errors
/// Never in practice: nothing in it depends on the request.
pub fn encode_api_versions_refusal(correlation_id: i32) -> Result<Bytes, EncodeError> {
    let body = ApiVersionsResponse::default()
        .with_error_code(ApiVersionsError::UnsupportedVersion.code())
        .with_api_keys(vec![advertise(Api::ApiVersions.supported())]);
    encode_response(correlation_id, 0, &Response::ApiVersions(body))
}

/// Whether the answer's header ends in tags.
pub(crate) fn header_has_tags(api: Api, version: i16) -> bool {
    api != Api::ApiVersions && guard::is_flexible(api.key(), version).unwrap_or(false)
}

/// A text that is null although its version has no null for it.
fn null_too_early(version: i16, response: &Response) -> Option<&'static str> {
    match response {
        Response::Metadata(body) if version < METADATA_NULL_NAMES_FROM => {
            body.topics.iter().any(|topic| topic.name.is_none()).then_some("a topic's name")
        }
        Response::DeleteTopics(body) if version < DELETE_TOPICS_NULL_NAMES_FROM => {
            body.responses.iter().any(|topic| topic.name.is_none()).then_some("a topic's name")
        }
        Response::JoinGroup(body) if version < JOIN_GROUP_NULL_PROTOCOL_FROM => {
            body.protocol_name.is_none().then_some("protocol_name")
        }
        _ => None,
    }
}

/// Whose answer, and how it is written.
struct Frame {
    api: Api,
    correlation_id: i32,
    version: i16,
}

impl Frame {
    fn with<T: Encodable>(self, body: &T) -> Result<Bytes, EncodeError> {
        let Frame { api, correlation_id, version } = self;
        let wrong = |what: String| EncodeError { api, version, what };
        let bytes_of = api.bytes_of(version);
        let body_bytes = body.compute_size(bytes_of).map_err(|error| wrong(error.to_string()))?;
        let tags = header_has_tags(api, version);
        let length = size_of::<i32>() + usize::from(tags) + body_bytes;
        let claimed = i32::try_from(length).map_err(|_| wrong(format!("{length} bytes")))?;
        let mut frame = BytesMut::with_capacity(LENGTH_BYTES + length);
        frame.put_i32(claimed);
        frame.put_i32(correlation_id);
        if tags {
            frame.put_u8(0);
        }
        body.encode(&mut frame, bytes_of).map_err(|error| wrong(error.to_string()))?;
        if frame.len() != LENGTH_BYTES + length {
            return Err(wrong(format!("{} bytes instead of {length}", frame.len() - LENGTH_BYTES)));
        }
        Ok(frame.freeze())
    }
}

#[cfg(test)]
mod tests;
