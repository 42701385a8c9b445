//! Kafka's protocol at our door: what is taken, what is refused, what may be answered.
//!
//! ```text
//! bytes ──▶ frame ──▶ request: header ──▶ guard ──▶ decode ──▶ the broker
//!          length,      api, version      every     kafka-protocol,
//!          TLS, HTTP                      length    records stay slices
//!
//! the broker ──▶ errors (a type per API) ──▶ response ──────▶ one buffer
//!                                       └──▶ fetch_writer ──▶ segments, records untouched
//! ```
//!
//! Idea: kafka-protocol has the codecs; what it lacks is distrust. Everything a client claims is
//! walked here before memory is spent on it (`guard`), and everything we answer passes types that
//! hold only what clients understand (`errors`).
//!
//! Invariants: what is allocated for a request is bounded by the bytes received for it; ApiVersions
//! names an API of the table in `versions` only if the broker implements it.
//!
//! This room knows no sockets, clocks, partitions or files.

pub mod errors;
pub mod fetch_writer;
pub mod frame;
pub mod guard;
pub mod request;
pub mod response;
#[cfg(any(test, feature = "samples"))]
pub mod samples;
pub mod versions;

pub use kafka_protocol::messages;
pub use kafka_protocol::protocol::StrBytes;
pub use uuid::Uuid;

pub use fetch_writer::write_fetch_response;
pub use frame::{MAX_REQUEST_BYTES, MAX_UNAUTHENTICATED_REQUEST_BYTES, next_capacity, next_step};
pub use request::{Incoming, Refusal, Request, RequestHeader, decode_request, read_header};
pub use response::{EncodeError, Response, encode_api_versions_refusal, encode_response};
pub use versions::{Api, SUPPORTED, Supported, advertised};
