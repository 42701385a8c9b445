//! The APIs, sorted by key: what starts when a request arrives, and what it may overtake.
//!
//! | key | API | order |
//! | --- | --- | --- |
//! | 0 | Produce | pipelined: submitted on arrival, answered in order |
//! | all others | | alone: begins when all before it on the connection are answered. JoinGroup and SyncGroup wait in the lane as a long Fetch does |
//!
//! A header that is not ours, a body that lies about a length, or a version outside the table ends
//! the connection with one line in the log, as Kafka does; only ApiVersions has an answer to an
//! unknown version (KIP-511).

use crate::answer::{Reply, ReplyFuture};
use crate::broker::Broker;
use crate::context::Context;
use crate::produce::Finish;
use crate::{
    acls, alter_configs, alter_partition_reassignments, alter_replica_log_dirs, api_versions,
    create_partitions, create_topics, delete_groups, delete_records, delete_topics,
    describe_cluster, describe_configs, describe_groups, describe_log_dirs, describe_quorum,
    describe_topic_partitions, elect_leaders, fetch, find_coordinator, heartbeat, init_producer_id,
    join_group, leave_group, list_config_resources, list_groups, list_offsets,
    list_partition_reassignments, metadata, offset_commit, offset_delete, offset_fetch,
    offset_for_leader_epoch, produce, sasl_handshake, sync_group,
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
                let (parts, held) = fetch::handle(broker, context, request, version).await;
                match (write_fetch_response(correlation_id, version, &parts), held) {
                    (Ok(pieces), Some(held)) => Reply::SendHeld(pieces, held),
                    (Ok(pieces), None) => Reply::Send(pieces),
                    (Err(error), _) => Reply::Close(error.to_string()),
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
            Request::OffsetCommit(request) => {
                later(header, offset_commit::handle(broker, request), Response::OffsetCommit)
            }
            Request::OffsetFetch(request) => {
                let answer = offset_fetch::handle(broker, request, version);
                later(header, answer, Response::OffsetFetch)
            }
            Request::FindCoordinator(request) => {
                let answer = find_coordinator::handle(&broker, &context, &request, version);
                let answer = Response::FindCoordinator(answer);
                whole(encode_response(correlation_id, version, &answer)).now()
            }
            Request::JoinGroup(request) => {
                let answer = join_group::handle(broker, context, client_id(), request, version);
                later(header, answer, Response::JoinGroup)
            }
            Request::Heartbeat(request) => {
                later(header, heartbeat::handle(broker, request), Response::Heartbeat)
            }
            Request::LeaveGroup(request) => {
                let answer = leave_group::handle(broker, request, version);
                later(header, answer, Response::LeaveGroup)
            }
            Request::SyncGroup(request) => {
                later(header, sync_group::handle(broker, request, version), Response::SyncGroup)
            }
            Request::DescribeGroups(request) => {
                let answer = describe_groups::handle(broker, request, version);
                later(header, answer, Response::DescribeGroups)
            }
            Request::ListGroups(request) => {
                later(header, list_groups::handle(broker, request, version), Response::ListGroups)
            }
            Request::OffsetForLeaderEpoch(request) => {
                let answer = offset_for_leader_epoch::handle(broker, request);
                later(header, answer, Response::OffsetForLeaderEpoch)
            }
            Request::DescribeConfigs(request) => {
                let answer = describe_configs::handle(&broker, &request, version);
                let answer = Response::DescribeConfigs(answer);
                whole(encode_response(correlation_id, version, &answer)).now()
            }
            Request::AlterConfigs(request) => {
                let answer = alter_configs::replace(broker, context, client_id(), request);
                later(header, answer, Response::AlterConfigs)
            }
            Request::DescribeLogDirs(request) => {
                let answer = describe_log_dirs::handle(broker, request, version);
                later(header, answer, Response::DescribeLogDirs)
            }
            Request::CreatePartitions(request) => {
                let answer = create_partitions::handle(broker, context, client_id(), request);
                later(header, answer, Response::CreatePartitions)
            }
            Request::DeleteGroups(request) => {
                later(header, delete_groups::handle(broker, request), Response::DeleteGroups)
            }
            Request::IncrementalAlterConfigs(request) => {
                let answer = alter_configs::change(broker, context, client_id(), request);
                later(header, answer, Response::IncrementalAlterConfigs)
            }
            Request::OffsetDelete(request) => {
                later(header, offset_delete::handle(broker, request), Response::OffsetDelete)
            }
            Request::DescribeQuorum(request) => {
                let answer = describe_quorum::handle(broker, request, version);
                later(header, answer, Response::DescribeQuorum)
            }
            Request::SaslHandshake(_) => {
                let answer = Response::SaslHandshake(sasl_handshake::handle());
                whole(encode_response(correlation_id, version, &answer)).now()
            }
            Request::DescribeAcls(_) => {
                let answer = Response::DescribeAcls(acls::describe());
                whole(encode_response(correlation_id, version, &answer)).now()
            }
            Request::CreateAcls(request) => {
                let answer = Response::CreateAcls(acls::create(&request));
                whole(encode_response(correlation_id, version, &answer)).now()
            }
            Request::DeleteAcls(request) => {
                let answer = Response::DeleteAcls(acls::delete(&request));
                whole(encode_response(correlation_id, version, &answer)).now()
            }
            Request::AlterReplicaLogDirs(request) => {
                let answer = Response::AlterReplicaLogDirs(alter_replica_log_dirs::handle(
                    &broker, &request,
                ));
                whole(encode_response(correlation_id, version, &answer)).now()
            }
            Request::ElectLeaders(request) => {
                let answer =
                    Response::ElectLeaders(elect_leaders::handle(&broker, &request, version));
                whole(encode_response(correlation_id, version, &answer)).now()
            }
            Request::AlterPartitionReassignments(request) => {
                let answer = Response::AlterPartitionReassignments(
                    alter_partition_reassignments::handle(&broker, &request),
                );
                whole(encode_response(correlation_id, version, &answer)).now()
            }
            Request::ListPartitionReassignments(_) => {
                let answer =
                    Response::ListPartitionReassignments(list_partition_reassignments::handle());
                whole(encode_response(correlation_id, version, &answer)).now()
            }
            Request::ListConfigResources(request) => {
                let answer = Response::ListConfigResources(list_config_resources::handle(
                    &broker, &request, version,
                ));
                whole(encode_response(correlation_id, version, &answer)).now()
            }
            Request::DescribeCluster(request) => {
                let answer = describe_cluster::handle(&broker, &context, &request, version);
                let answer = Response::DescribeCluster(answer);
                whole(encode_response(correlation_id, version, &answer)).now()
            }
            Request::DescribeTopicPartitions(request) => {
                let answer = describe_topic_partitions::handle(&broker, &request);
                let answer = Response::DescribeTopicPartitions(answer);
                whole(encode_response(correlation_id, version, &answer)).now()
            }
        }
    }
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
mod frames;
#[cfg(test)]
mod tests;
