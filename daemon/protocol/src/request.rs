//! From a frame to a request: header by hand, guard, then kafka-protocol.
//!
//! ```text
//! │ api key 2 │ version 2 │ correlation id 4 │ client id: length 2, bytes │ tags │ body │
//!                                                              header v2 only ┘
//! ```
//!
//! Header v2 comes with flexible requests; the client id keeps its 16-bit length even there. In
//! ApiVersions the header is read before we know whether we speak the version: nothing behind the
//! correlation id is touched then.
//!
//! Invariants: nothing is decoded that the guard has not walked; record batches in
//! [`ProduceRequest`] are slices of the frame, not copies.

use bytes::Bytes;
use kafka_protocol::messages::{
    AlterConfigsRequest, AlterPartitionReassignmentsRequest, AlterReplicaLogDirsRequest,
    ApiVersionsRequest, CreateAclsRequest, CreatePartitionsRequest, CreateTopicsRequest,
    DeleteAclsRequest, DeleteGroupsRequest, DeleteRecordsRequest, DeleteTopicsRequest,
    DescribeAclsRequest, DescribeClusterRequest, DescribeConfigsRequest, DescribeGroupsRequest,
    DescribeLogDirsRequest, DescribeQuorumRequest, DescribeTopicPartitionsRequest,
    ElectLeadersRequest, FetchRequest, FindCoordinatorRequest, HeartbeatRequest,
    IncrementalAlterConfigsRequest, InitProducerIdRequest, JoinGroupRequest, LeaveGroupRequest,
    ListConfigResourcesRequest, ListGroupsRequest, ListOffsetsRequest,
    ListPartitionReassignmentsRequest, MetadataRequest, OffsetCommitRequest, OffsetDeleteRequest,
    OffsetFetchRequest, OffsetForLeaderEpochRequest, ProduceRequest, SaslHandshakeRequest,
    SyncGroupRequest,
};
use kafka_protocol::protocol::{Decodable, StrBytes};

use crate::guard::{self, GuardRefusal};
use crate::versions::Api;

/// API key, version and correlation id.
const FIXED_HEADER_BYTES: usize = 8;

/// Who asks what.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RequestHeader {
    /// The API.
    pub api: Api,
    /// One that [`Api::accepts`].
    pub version: i16,
    /// Comes back in the answer.
    pub correlation_id: i32,
    /// As the client calls itself.
    pub client_id: Option<StrBytes>,
}

/// What a frame turned out to be.
#[derive(Clone, PartialEq, Debug)]
pub enum Incoming {
    /// A request in a version we speak; its body is for [`decode_request`].
    Request {
        /// The header.
        header: RequestHeader,
        /// The rest of the frame.
        body: Bytes,
    },
    /// ApiVersions in a version we do not speak: answer
    /// [`crate::response::encode_api_versions_refusal`] and go on.
    UnknownApiVersions {
        /// For the answer.
        correlation_id: i32,
    },
}

/// Why a request is not answered. The connection is closed; the text is one line for the log.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Refusal {
    /// Shorter than its header.
    #[error("request of {bytes} bytes ends inside its header")]
    ShortHeader {
        /// Bytes in the frame.
        bytes: usize,
    },
    /// Not in our table.
    #[error("API key {api_key} is not supported; clients see what is with ApiVersions")]
    UnknownApi {
        /// As asked for.
        api_key: i16,
    },
    /// Outside the row's accepted range.
    #[error("{api:?} version {version} is not supported; clients see what is with ApiVersions")]
    UnsupportedVersion {
        /// The API.
        api: Api,
        /// As asked for.
        version: i16,
    },
    /// The client id or header tags are not what they claim.
    #[error("the header of a {api:?} request is malformed: {what}")]
    MalformedHeader {
        /// The API.
        api: Api,
        /// Which part.
        what: String,
    },
    /// The guard refused the body.
    #[error("{api:?} version {version} request is malformed: {cause}")]
    Malformed {
        /// The API.
        api: Api,
        /// Its version.
        version: i16,
        /// What claim was not true.
        cause: GuardRefusal,
    },
    /// The lengths are true, a value is not: text that is no UTF-8.
    #[error("{api:?} version {version} request cannot be decoded: {what}")]
    Undecodable {
        /// The API.
        api: Api,
        /// Its version.
        version: i16,
        /// What the decoder said.
        what: String,
    },
}

/// A decoded request.
#[derive(Clone, PartialEq, Debug)]
#[expect(missing_docs, reason = "one per API, by its name")]
pub enum Request {
    Produce(ProduceRequest),
    Fetch(FetchRequest),
    ListOffsets(ListOffsetsRequest),
    Metadata(MetadataRequest),
    OffsetCommit(OffsetCommitRequest),
    OffsetFetch(OffsetFetchRequest),
    FindCoordinator(FindCoordinatorRequest),
    JoinGroup(JoinGroupRequest),
    Heartbeat(HeartbeatRequest),
    LeaveGroup(LeaveGroupRequest),
    SyncGroup(SyncGroupRequest),
    DescribeGroups(DescribeGroupsRequest),
    ListGroups(ListGroupsRequest),
    SaslHandshake(SaslHandshakeRequest),
    ApiVersions(ApiVersionsRequest),
    CreateTopics(CreateTopicsRequest),
    DeleteTopics(DeleteTopicsRequest),
    DeleteRecords(DeleteRecordsRequest),
    InitProducerId(InitProducerIdRequest),
    OffsetForLeaderEpoch(OffsetForLeaderEpochRequest),
    DescribeAcls(DescribeAclsRequest),
    CreateAcls(CreateAclsRequest),
    DeleteAcls(DeleteAclsRequest),
    DescribeConfigs(DescribeConfigsRequest),
    AlterConfigs(AlterConfigsRequest),
    AlterReplicaLogDirs(AlterReplicaLogDirsRequest),
    DescribeLogDirs(DescribeLogDirsRequest),
    CreatePartitions(CreatePartitionsRequest),
    DeleteGroups(DeleteGroupsRequest),
    ElectLeaders(ElectLeadersRequest),
    IncrementalAlterConfigs(IncrementalAlterConfigsRequest),
    AlterPartitionReassignments(AlterPartitionReassignmentsRequest),
    ListPartitionReassignments(ListPartitionReassignmentsRequest),
    OffsetDelete(OffsetDeleteRequest),
    DescribeQuorum(DescribeQuorumRequest),
    DescribeCluster(DescribeClusterRequest),
    ListConfigResources(ListConfigResourcesRequest),
    DescribeTopicPartitions(DescribeTopicPartitionsRequest),
}

/// Reads the header of a request; `frame` is what follows the length.
///
/// # Errors
/// When the connection has to be closed.
pub fn read_header(frame: Bytes) -> Result<Incoming, Refusal> {
    let Some(fixed) = frame.first_chunk::<FIXED_HEADER_BYTES>() else {
        return Err(Refusal::ShortHeader { bytes: frame.len() });
    };
    let [k0, k1, v0, v1, c0, c1, c2, c3] = *fixed;
    let api_key = i16::from_be_bytes([k0, k1]);
    let version = i16::from_be_bytes([v0, v1]);
    let correlation_id = i32::from_be_bytes([c0, c1, c2, c3]);
    let api = Api::from_key(api_key).ok_or(Refusal::UnknownApi { api_key })?;
    if !api.accepts(version) {
        return match api {
            Api::ApiVersions => Ok(Incoming::UnknownApiVersions { correlation_id }),
            _ => Err(Refusal::UnsupportedVersion { api, version }),
        };
    }
    let malformed = |what: String| Refusal::MalformedHeader { api, what };
    let (client_id, rest) = client_id(&frame).map_err(|what| malformed(what.to_owned()))?;
    let flexible =
        guard::is_flexible(api_key, version).ok_or(Refusal::UnsupportedVersion { api, version })?;
    let body = if flexible {
        let after = guard::skip_header_tags(&rest).map_err(|cause| malformed(cause.to_string()))?;
        let tags_bytes = rest.len() - after.len();
        rest.slice(tags_bytes..)
    } else {
        rest
    };
    let header = RequestHeader { api, version, correlation_id, client_id };
    Ok(Incoming::Request { header, body })
}

fn client_id(frame: &Bytes) -> Result<(Option<StrBytes>, Bytes), &'static str> {
    let after_fixed = frame.slice(FIXED_HEADER_BYTES..);
    let Some((length, _)) = after_fixed.split_first_chunk::<2>() else {
        return Err("it ends before the client id");
    };
    let length = i16::from_be_bytes(*length);
    if length == -1 {
        return Ok((None, after_fixed.slice(2..)));
    }
    let end = usize::try_from(length).map_err(|_| "the client id has a negative length")? + 2;
    if end > after_fixed.len() {
        return Err("the client id is longer than the request");
    }
    let text = StrBytes::from_utf8(after_fixed.slice(2..end));
    let text = text.map_err(|_| "the client id is not UTF-8")?;
    Ok((Some(text), after_fixed.slice(end..)))
}

/// Guards and decodes a body.
///
/// # Errors
/// When the connection has to be closed.
pub fn decode_request(header: &RequestHeader, mut body: Bytes) -> Result<Request, Refusal> {
    let RequestHeader { api, version, .. } = *header;
    let malformed = |cause| Refusal::Malformed { api, version, cause };
    let taken = guard::measure(api.key(), version, &body).map_err(malformed)?;
    body.truncate(taken);
    match api {
        Api::Produce => decode(header, body).map(Request::Produce),
        Api::Fetch => decode(header, body).map(Request::Fetch),
        Api::ListOffsets => decode(header, body).map(Request::ListOffsets),
        Api::Metadata => decode(header, body).map(Request::Metadata),
        Api::OffsetCommit => decode(header, body).map(Request::OffsetCommit),
        Api::OffsetFetch => decode(header, body).map(Request::OffsetFetch),
        Api::FindCoordinator => decode(header, body).map(Request::FindCoordinator),
        Api::JoinGroup => decode(header, body).map(Request::JoinGroup),
        Api::Heartbeat => decode(header, body).map(Request::Heartbeat),
        Api::LeaveGroup => decode(header, body).map(Request::LeaveGroup),
        Api::SyncGroup => decode(header, body).map(Request::SyncGroup),
        Api::DescribeGroups => decode(header, body).map(Request::DescribeGroups),
        Api::ListGroups => decode(header, body).map(Request::ListGroups),
        Api::SaslHandshake => decode(header, body).map(Request::SaslHandshake),
        Api::ApiVersions => decode(header, body).map(Request::ApiVersions),
        Api::CreateTopics => decode(header, body).map(Request::CreateTopics),
        Api::DeleteTopics => decode(header, body).map(Request::DeleteTopics),
        Api::DeleteRecords => decode(header, body).map(Request::DeleteRecords),
        Api::InitProducerId => decode(header, body).map(Request::InitProducerId),
        Api::OffsetForLeaderEpoch => decode(header, body).map(Request::OffsetForLeaderEpoch),
        Api::DescribeAcls => decode(header, body).map(Request::DescribeAcls),
        Api::CreateAcls => decode(header, body).map(Request::CreateAcls),
        Api::DeleteAcls => decode(header, body).map(Request::DeleteAcls),
        Api::DescribeConfigs => decode(header, body).map(Request::DescribeConfigs),
        Api::AlterConfigs => decode(header, body).map(Request::AlterConfigs),
        Api::AlterReplicaLogDirs => decode(header, body).map(Request::AlterReplicaLogDirs),
        Api::DescribeLogDirs => decode(header, body).map(Request::DescribeLogDirs),
        Api::CreatePartitions => decode(header, body).map(Request::CreatePartitions),
        Api::DeleteGroups => decode(header, body).map(Request::DeleteGroups),
        Api::ElectLeaders => decode(header, body).map(Request::ElectLeaders),
        Api::IncrementalAlterConfigs => decode(header, body).map(Request::IncrementalAlterConfigs),
        Api::AlterPartitionReassignments => {
            decode(header, body).map(Request::AlterPartitionReassignments)
        }
        Api::ListPartitionReassignments => {
            decode(header, body).map(Request::ListPartitionReassignments)
        }
        Api::OffsetDelete => decode(header, body).map(Request::OffsetDelete),
        Api::DescribeQuorum => decode(header, body).map(Request::DescribeQuorum),
        Api::DescribeCluster => decode(header, body).map(Request::DescribeCluster),
        Api::ListConfigResources => decode(header, body).map(Request::ListConfigResources),
        Api::DescribeTopicPartitions => decode(header, body).map(Request::DescribeTopicPartitions),
    }
}

fn decode<T: Decodable>(header: &RequestHeader, mut body: Bytes) -> Result<T, Refusal> {
    let RequestHeader { api, version, .. } = *header;
    let undecodable = |what: String| Refusal::Undecodable { api, version, what };
    let request = T::decode(&mut body, api.bytes_of(version))
        .map_err(|error| undecodable(error.to_string()))?;
    if !body.is_empty() {
        // Guard and decoder disagree about a field: believe neither.
        return Err(undecodable(format!("{} bytes were not decoded", body.len())));
    }
    Ok(request)
}

#[cfg(test)]
mod tests;
