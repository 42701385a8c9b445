//! The APIs, sorted by key: what starts when a request arrives, and what it may overtake.
//!
//! | key | API | order |
//! | --- | --- | --- |
//! | 0 | Produce | pipelined: submitted on arrival, answered in order |
//! | 1 2 3 18 19 20 21 22 | the rest | alone: begins when all before it on the connection are answered |
//!
//! A header that is not ours, a body that lies about a length, or a version outside the table ends
//! the connection with one line in the log, as Kafka does; only ApiVersions has an answer to an
//! unknown version (KIP-511).

use crate::answer::{Reply, ReplyFuture};
use crate::broker::Broker;
use crate::context::Context;
use crate::produce::Finish;
use crate::{
    api_versions, create_topics, delete_records, delete_topics, fetch, init_producer_id,
    list_offsets, metadata, produce,
};
use bytes::Bytes;
use holdfast_protocol::{
    Api, EncodeError, Incoming, Request, RequestHeader, Response, decode_request,
    encode_api_versions_refusal, encode_response, read_header, write_fetch_response,
};
use std::future::Future;
use std::sync::Arc;

/// How a request stands to those before it on its connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Order {
    /// May be started while earlier pipelined ones are unanswered.
    Pipelined,
    /// Starts when nothing before it is unanswered, and nothing starts before it is answered.
    Alone,
}

/// The order of the request in `frame` (without its length). Reads the API key only.
#[must_use]
pub fn order_of(frame: &[u8]) -> Order {
    match frame.first_chunk::<2>() {
        Some(key) if i16::from_be_bytes(*key) == Api::Produce.key() => Order::Pipelined,
        _ => Order::Alone,
    }
}

impl Broker {
    /// Starts the request in `frame` (without its length). Whatever must keep the order of arrival
    /// has happened when this returns.
    pub fn start(self: &Arc<Self>, context: &Arc<Context>, frame: Bytes) -> ReplyFuture {
        let (header, body) = match read_header(frame) {
            Ok(Incoming::Request { header, body }) => (header, body),
            Ok(Incoming::UnknownApiVersions { correlation_id }) => {
                return whole(encode_api_versions_refusal(correlation_id)).now();
            }
            Err(refusal) => return Reply::Close(refusal.to_string()).now(),
        };
        match decode_request(&header, body) {
            Ok(request) => self.dispatch(context, &header, request),
            Err(refusal) => Reply::Close(refusal.to_string()).now(),
        }
    }

    fn dispatch(
        self: &Arc<Self>,
        context: &Arc<Context>,
        header: &RequestHeader,
        request: Request,
    ) -> ReplyFuture {
        let (broker, context) = (Arc::clone(self), Arc::clone(context));
        let RequestHeader { version, correlation_id, .. } = *header;
        let client_id = || header.client_id.as_deref().unwrap_or_default().to_owned();
        match request {
            Request::Produce(request) => {
                let started = produce::start(&broker, &context, request, version);
                Box::pin(async move {
                    match started.await {
                        Finish::Silence => Reply::Silence,
                        Finish::Close(why) => Reply::Close(why),
                        Finish::Answer(answer) => {
                            let answer = Response::Produce(answer);
                            whole(encode_response(correlation_id, version, &answer))
                        }
                    }
                })
            }
            Request::Fetch(request) => Box::pin(async move {
                let parts = fetch::handle(broker, context, request, version).await;
                match write_fetch_response(correlation_id, version, &parts) {
                    Ok(pieces) => Reply::Send(pieces),
                    Err(error) => Reply::Close(error.to_string()),
                }
            }),
            Request::ListOffsets(request) => {
                let answer = list_offsets::handle(broker, request, version);
                later(header, answer, Response::ListOffsets)
            }
            Request::Metadata(request) => {
                let answer = metadata::handle(broker, context, client_id(), request, version);
                later(header, answer, Response::Metadata)
            }
            Request::ApiVersions(request) => {
                let answer = Response::ApiVersions(api_versions::handle(&request, version));
                whole(encode_response(correlation_id, version, &answer)).now()
            }
            Request::CreateTopics(request) => {
                let answer = create_topics::handle(broker, context, client_id(), request, version);
                later(header, answer, Response::CreateTopics)
            }
            Request::DeleteTopics(request) => {
                let answer = delete_topics::handle(broker, context, client_id(), request, version);
                later(header, answer, Response::DeleteTopics)
            }
            Request::DeleteRecords(request) => {
                later(header, delete_records::handle(broker, request), Response::DeleteRecords)
            }
            Request::InitProducerId(request) => {
                let answer = init_producer_id::handle(broker, request);
                later(header, answer, Response::InitProducerId)
            }
            Request::OffsetCommit(_) => not_served(header),
            Request::OffsetFetch(_) => not_served(header),
            Request::FindCoordinator(_) => not_served(header),
            Request::JoinGroup(_) => not_served(header),
            Request::Heartbeat(_) => not_served(header),
            Request::LeaveGroup(_) => not_served(header),
            Request::SyncGroup(_) => not_served(header),
            Request::DescribeGroups(_) => not_served(header),
            Request::ListGroups(_) => not_served(header),
            Request::OffsetForLeaderEpoch(_) => not_served(header),
            Request::DescribeConfigs(_) => not_served(header),
            Request::AlterConfigs(_) => not_served(header),
            Request::DescribeLogDirs(_) => not_served(header),
            Request::CreatePartitions(_) => not_served(header),
            Request::DeleteGroups(_) => not_served(header),
            Request::IncrementalAlterConfigs(_) => not_served(header),
            Request::OffsetDelete(_) => not_served(header),
            Request::DescribeQuorum(_) => not_served(header),
            Request::DescribeCluster(_) => not_served(header),
            Request::DescribeTopicPartitions(_) => not_served(header),
        }
    }
}

/// What is decoded but not advertised yet (`not_served` in the protocol's table): a client that
/// asks nevertheless has not read our table.
fn not_served(header: &RequestHeader) -> ReplyFuture {
    Reply::Close(format!("{:?} is not served by this build", header.api)).now()
}

/// Waits for an answer and writes it down.
fn later<T>(
    header: &RequestHeader,
    answer: impl Future<Output = T> + Send + 'static,
    wrap: impl FnOnce(T) -> Response + Send + 'static,
) -> ReplyFuture {
    let RequestHeader { version, correlation_id, .. } = *header;
    Box::pin(async move {
        let answer = wrap(answer.await);
        whole(encode_response(correlation_id, version, &answer))
    })
}

/// An answer of one piece. One that cannot be written is our mistake; the client is better off
/// with a closed connection than with half an answer.
fn whole(encoded: Result<Bytes, EncodeError>) -> Reply {
    match encoded {
        Ok(bytes) => Reply::Send(vec![bytes]),
        Err(error) => {
            tracing::error!(%error, "an answer cannot be written");
            Reply::Close(error.to_string())
        }
    }
}

#[cfg(test)]
mod tests;
