//! Fetch (key 1): the lane waits and finds, this file reads what left memory and writes it down.
//!
//! ```text
//! request ─▶ unknown partitions refused ─▶ lane (long poll) ─▶ slices ─▶ memory: as they are
//!                                                                    └─▶ device: read, CRC checked
//! ```
//!
//! - Java's consumer knows 13 error codes here and dies of any other: [`error_of`] is the whole
//!   list of what we answer.
//! - Fetch sessions (KIP-227) are never granted: session id 0 is answered to every full fetch,
//!   which every client understands as "no session". A request inside a session cannot be ours.
//! - A slice that cannot be read costs only its partition, and only if nothing before it could be
//!   served.

use crate::broker::{Broker, View};
use crate::context::Context;
use crate::leadership::{epoch_of, wire_node};
use crate::metadata::endpoint_of;
use bytes::Bytes;
use holdfast_base::{PartitionKey, TopicId};
use holdfast_batch::{BatchHeader, Codec};
use holdfast_lane::{Answer, FetchedPartition, Reason, RecordSlice, Refusal, Request};
use holdfast_protocol::errors::{FetchError, FetchSessionError};
use holdfast_protocol::fetch_writer::{
    FetchPartition, FetchResponseParts, FetchTopic, NodeEndpoint,
};
use kafka_protocol::messages::fetch_request::{
    FetchPartition as AskedPartition, FetchRequest, FetchTopic as AskedTopic,
};
use kafka_protocol::protocol::StrBytes;
use std::sync::Arc;

/// From here topics are named by id.
const FIRST_VERSION_WITH_TOPIC_IDS: i16 = 13;
/// Last version whose clients may not understand zstd.
const LAST_VERSION_WITHOUT_ZSTD: i16 = 9;
/// From here a refusal may name the leader (KIP-951).
const FIRST_VERSION_WITH_LEADERS: i16 = 16;
/// A request outside any session, or one that asks to begin one.
const FINAL_EPOCH: i32 = -1;
const INITIAL_EPOCH: i32 = 0;
/// No client waits longer for an answer; bounds what a lane parks.
const WAIT_MS_MAX: u64 = 5 * 60 * 1_000;

/// One partition asked for.
struct Wanted {
    index: i32,
    part: Part,
}

enum Part {
    Refused(FetchError),
    /// The n-th part of the lane's call.
    Asked(usize),
}

struct WantedTopic {
    name: StrBytes,
    id: TopicId,
    partitions: Vec<Wanted>,
}

/// Answers a fetch when its time has come.
pub(crate) async fn handle(
    broker: Arc<Broker>,
    context: Arc<Context>,
    request: FetchRequest,
    version: i16,
) -> FetchResponseParts {
    if !matches!(request.session_epoch, FINAL_EPOCH | INITIAL_EPOCH) {
        let error = FetchSessionError::FetchSessionIdNotFound;
        return FetchResponseParts { error, ..FetchResponseParts::default() };
    }
    let view = broker.view();
    let mut asked = Vec::new();
    let topics = refuse_or_collect(&view, &request, version, &mut asked);
    let refused = topics
        .iter()
        .flat_map(|topic| &topic.partitions)
        .any(|wanted| matches!(wanted.part, Part::Refused(_)));
    let mut found =
        if asked.is_empty() { Vec::new() } else { find(&broker, &request, asked, refused).await };
    load_cold(&broker, &mut found).await;
    write_answer(&broker, &context, topics, found, version)
}

fn refuse_or_collect(
    view: &View,
    request: &FetchRequest,
    version: i16,
    asked: &mut Vec<holdfast_lane::FetchPartition>,
) -> Vec<WantedTopic> {
    let by_id = version >= FIRST_VERSION_WITH_TOPIC_IDS;
    let collect_topic = |wanted: &AskedTopic| {
        let id = TopicId(*wanted.topic_id.as_bytes());
        let topic =
            if by_id { view.image.topic_by_id(id) } else { view.image.topic(&wanted.topic) };
        let collect_partition = |partition: &AskedPartition| {
            let index = partition.partition;
            let part = match topic {
                None if by_id => Part::Refused(FetchError::UnknownTopicId),
                Some(topic)
                    if usize::try_from(index).is_ok_and(|at| at < topic.partitions.len()) =>
                {
                    asked.push(holdfast_lane::FetchPartition {
                        partition: PartitionKey { topic: topic.id, partition: index },
                        fetch_offset: partition.fetch_offset,
                        max_bytes: u32::try_from(partition.partition_max_bytes).unwrap_or(0),
                        current_leader_epoch: partition.current_leader_epoch,
                        last_fetched_epoch: partition.last_fetched_epoch,
                    });
                    Part::Asked(asked.len() - 1)
                }
                _ => Part::Refused(FetchError::UnknownTopicOrPartition),
            };
            Wanted { index, part }
        };
        let partitions = wanted.partitions.iter().map(collect_partition).collect();
        WantedTopic { name: wanted.topic.0.clone(), id, partitions }
    };
    request.topics.iter().map(collect_topic).collect()
}

/// One outcome per part asked; `None` where it cannot be had.
async fn find(
    broker: &Broker,
    request: &FetchRequest,
    asked: Vec<holdfast_lane::FetchPartition>,
    refused: bool,
) -> Vec<Option<Result<FetchedPartition, Refusal>>> {
    let parts = asked.len();
    let wait_ms = u64::try_from(request.max_wait_ms).unwrap_or(0).min(WAIT_MS_MAX);
    // A client with a refusal to hear about does not wait for records of other partitions.
    let wait_ms = if refused { 0 } else { wait_ms };
    let max_bytes =
        u32::try_from(request.max_bytes).unwrap_or(0).min(broker.settings.fetch_max_bytes);
    let call = holdfast_lane::FetchRequest {
        min_bytes: u32::try_from(request.min_bytes).unwrap_or(0).min(max_bytes),
        max_bytes,
        deadline_ns: broker.clock.now().boottime_ns.saturating_add(wait_ms * 1_000_000),
        partitions: asked,
    };
    match broker.lane.call(Request::Fetch(call)).await {
        Some(Answer::Fetch(found)) if found.len() == parts => found.into_iter().map(Some).collect(),
        answer => {
            if let Some(answer) = answer {
                tracing::error!(?answer, parts, "the lane answered Fetch with something else");
            }
            (0..parts).map(|_| None).collect()
        }
    }
}

/// Reads what is not in memory, over all partitions in one go. A partition keeps its slices up to
/// the first that cannot be read; if that is the first one, it becomes `None`.
async fn load_cold(broker: &Broker, found: &mut [Option<Result<FetchedPartition, Refusal>>]) {
    let is_cold = |slice: &RecordSlice| matches!(slice, RecordSlice::OnDisk { .. });
    let mut owners = Vec::new();
    let mut slices = Vec::new();
    for (at, outcome) in found.iter_mut().enumerate() {
        let Some(Ok(partition)) = outcome else { continue };
        if partition.records.iter().any(is_cold) {
            owners.push((at, partition.records.len()));
            slices.append(&mut partition.records);
        }
    }
    if slices.is_empty() {
        return;
    }
    let mut loaded = broker.load_all(slices).await.into_iter();
    for (at, count) in owners {
        let mut records = Vec::with_capacity(count);
        let mut whole = true;
        for result in loaded.by_ref().take(count) {
            match result {
                Ok(bytes) if whole => records.push(RecordSlice::Cached(bytes)),
                Ok(_) => {}
                Err(error) => {
                    tracing::warn!(%error, "records cannot be read from the write-ahead log");
                    whole = false;
                }
            }
        }
        match &mut found[at] {
            Some(Ok(partition)) if !records.is_empty() => partition.records = records,
            outcome => *outcome = None,
        }
    }
}

/// Kafka's code for a refusal: the only codes this API answers, all known to Java's consumer.
fn error_of(refusal: &Refusal, version: i16) -> FetchError {
    match refusal.reason {
        Reason::NotLeader => FetchError::NotLeaderOrFollower,
        Reason::UnknownPartition if version >= FIRST_VERSION_WITH_TOPIC_IDS => {
            FetchError::UnknownTopicId
        }
        Reason::UnknownPartition => FetchError::UnknownTopicOrPartition,
        Reason::FencedEpoch => FetchError::FencedLeaderEpoch,
        Reason::UnknownEpoch => FetchError::UnknownLeaderEpoch,
        Reason::OffsetOutOfRange => FetchError::OffsetOutOfRange,
        // The rest belongs to writes; a read that meets it cannot be served here and now.
        Reason::Storage
        | Reason::NoSpace
        | Reason::OutOfOrderSequence
        | Reason::StaleProducerEpoch
        | Reason::DuplicateSequence
        | Reason::TooLarge
        | Reason::InvalidTimestamp
        | Reason::InvalidRecord => FetchError::KafkaStorageError,
    }
}

fn write_answer(
    broker: &Broker,
    context: &Context,
    topics: Vec<WantedTopic>,
    mut found: Vec<Option<Result<FetchedPartition, Refusal>>>,
    version: i16,
) -> FetchResponseParts {
    let view = broker.view();
    let mut node_endpoints: Vec<NodeEndpoint> = Vec::new();
    let mut answered = Vec::with_capacity(topics.len());
    for topic in topics {
        let mut partitions = Vec::with_capacity(topic.partitions.len());
        for wanted in topic.partitions {
            let index = wanted.index;
            partitions.push(match wanted.part {
                Part::Refused(error) => FetchPartition::refused(index, error),
                Part::Asked(at) => match found.get_mut(at).and_then(Option::take) {
                    Some(Ok(partition)) => served(index, partition, version),
                    Some(Err(refusal)) => {
                        let mut partition =
                            FetchPartition::refused(index, error_of(&refusal, version));
                        if version >= FIRST_VERSION_WITH_LEADERS {
                            partition.current_leader = leader_in(&refusal);
                        }
                        if let Some((node, _)) = partition.current_leader {
                            add_endpoint(broker, context, &view, node, &mut node_endpoints);
                        }
                        partition
                    }
                    None => FetchPartition::refused(index, FetchError::KafkaStorageError),
                },
            });
        }
        answered.push(FetchTopic { name: topic.name, topic_id: topic.id.0, partitions });
    }
    FetchResponseParts { topics: answered, node_endpoints, ..FetchResponseParts::default() }
}

fn served(index: i32, partition: FetchedPartition, version: i16) -> FetchPartition {
    let slices: Vec<Bytes> = partition
        .records
        .into_iter()
        .filter_map(|slice| match slice {
            RecordSlice::Cached(bytes) => Some(bytes),
            // `handle` has loaded or refused every other one.
            RecordSlice::OnDisk { .. } => None,
        })
        .collect();
    if version <= LAST_VERSION_WITHOUT_ZSTD && slices.iter().any(|bytes| holds_zstd(bytes)) {
        // Kafka says UNSUPPORTED_COMPRESSION_TYPE, which is not among the codes consumers of this
        // API know; they log this one and ask again.
        return FetchPartition::refused(index, FetchError::UnknownServerError);
    }
    FetchPartition {
        index,
        error: FetchError::None,
        high_watermark: partition.high_watermark,
        last_stable_offset: partition.last_stable,
        log_start_offset: partition.log_start,
        diverging_epoch: None,
        current_leader: None,
        aborted_transactions: None,
        preferred_read_replica: -1,
        records: Some(slices),
    }
}

fn holds_zstd(batches: &[u8]) -> bool {
    let mut rest = batches;
    while let Ok(header) = BatchHeader::parse(rest) {
        if header.codec() == Some(Codec::Zstd) {
            return true;
        }
        rest = rest.get(header.total_len_bytes()..).unwrap_or_default();
    }
    false
}

/// Node and epoch of the current leader, if the lane knows it and the client should go there.
fn leader_in(refusal: &Refusal) -> Option<(i32, i32)> {
    let moved = matches!(refusal.reason, Reason::NotLeader | Reason::FencedEpoch);
    let hint = refusal.leader.filter(|_| moved)?;
    Some((wire_node(hint.node), hint.leader_epoch.max(epoch_of(hint.term))))
}

fn add_endpoint(
    broker: &Broker,
    context: &Context,
    view: &View,
    node: i32,
    endpoints: &mut Vec<NodeEndpoint>,
) {
    if endpoints.iter().any(|known| known.node_id == node) {
        return;
    }
    let Some(endpoint) = endpoint_of(broker, context, &view.image, node) else { return };
    endpoints.push(NodeEndpoint {
        node_id: node,
        host: StrBytes::from(endpoint.host),
        port: i32::from(endpoint.port),
        rack: None,
    });
}

#[cfg(test)]
mod tests;
