//! From an answer to a frame.
//!
//! ```text
//! │ length 4 │ correlation id 4 │ tags (one zero byte, flexible versions) │ body │
//! ```
//!
//! ApiVersions is the exception: its header never has tags, so that a client which does not know
//! yet what we speak can read it (KIP-511).
//!
//! Fetch has a writer of its own (`fetch_writer`), because its records must not be copied.

use bytes::{BufMut, Bytes, BytesMut};
use kafka_protocol::messages::{
    ApiVersionsResponse, CreateTopicsResponse, DeleteRecordsResponse, DeleteTopicsResponse,
    InitProducerIdResponse, ListOffsetsResponse, MetadataResponse, ProduceResponse,
};
use kafka_protocol::protocol::Encodable;

use crate::errors::{ApiVersionsError, ErrorCode};
use crate::frame::LENGTH_BYTES;
use crate::guard;
use crate::versions::{Api, advertise};

/// An answer that is encoded whole.
#[derive(Clone, PartialEq, Debug)]
#[expect(missing_docs, reason = "one per API, by its name")]
pub enum Response {
    Produce(ProduceResponse),
    ListOffsets(ListOffsetsResponse),
    Metadata(MetadataResponse),
    ApiVersions(ApiVersionsResponse),
    CreateTopics(CreateTopicsResponse),
    DeleteTopics(DeleteTopicsResponse),
    DeleteRecords(DeleteRecordsResponse),
    InitProducerId(InitProducerIdResponse),
}

impl Response {
    /// Which API it answers.
    #[must_use]
    pub fn api(&self) -> Api {
        match self {
            Response::Produce(_) => Api::Produce,
            Response::ListOffsets(_) => Api::ListOffsets,
            Response::Metadata(_) => Api::Metadata,
            Response::ApiVersions(_) => Api::ApiVersions,
            Response::CreateTopics(_) => Api::CreateTopics,
            Response::DeleteTopics(_) => Api::DeleteTopics,
            Response::DeleteRecords(_) => Api::DeleteRecords,
            Response::InitProducerId(_) => Api::InitProducerId,
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
/// When a field is set that the version does not have, or the frame would pass 2 GiB.
pub fn encode_response(
    correlation_id: i32,
    version: i16,
    response: &Response,
) -> Result<Bytes, EncodeError> {
    match response {
        Response::Produce(body) => encode(Api::Produce, correlation_id, version, body),
        Response::ListOffsets(body) => encode(Api::ListOffsets, correlation_id, version, body),
        Response::Metadata(body) => encode(Api::Metadata, correlation_id, version, body),
        Response::ApiVersions(body) => encode(Api::ApiVersions, correlation_id, version, body),
        Response::CreateTopics(body) => encode(Api::CreateTopics, correlation_id, version, body),
        Response::DeleteTopics(body) => encode(Api::DeleteTopics, correlation_id, version, body),
        Response::DeleteRecords(body) => encode(Api::DeleteRecords, correlation_id, version, body),
        Response::InitProducerId(body) => {
            encode(Api::InitProducerId, correlation_id, version, body)
        }
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

fn encode<T: Encodable>(
    api: Api,
    correlation_id: i32,
    version: i16,
    body: &T,
) -> Result<Bytes, EncodeError> {
    let wrong = |what: String| EncodeError { api, version, what };
    let body_bytes = body.compute_size(version).map_err(|error| wrong(error.to_string()))?;
    let tags = header_has_tags(api, version);
    let length = size_of::<i32>() + usize::from(tags) + body_bytes;
    let claimed = i32::try_from(length).map_err(|_| wrong(format!("{length} bytes")))?;
    let mut frame = BytesMut::with_capacity(LENGTH_BYTES + length);
    frame.put_i32(claimed);
    frame.put_i32(correlation_id);
    if tags {
        frame.put_u8(0);
    }
    body.encode(&mut frame, version).map_err(|error| wrong(error.to_string()))?;
    if frame.len() != LENGTH_BYTES + length {
        return Err(wrong(format!("{} bytes instead of {length}", frame.len() - LENGTH_BYTES)));
    }
    Ok(frame.freeze())
}
