//! Produce (key 0): checked here, on the connection's thread; ordered and stored by the lane.
//!
//! ```text
//! per partition:  exists? ─▶ one honest batch? ─▶ codec allowed? ─▶ small enough? ─▶ lane
//!                 3 / 100    2, 87, 43, 32 …      76                10
//! ```
//!
//! Everything up to the lane happens before [`start`] returns, so that pipelined requests keep
//! their order. acks=1 waits for commit exactly as acks=all does; acks=0 gets no answer, and a
//! refusal closes the connection because the client has no other way to learn of it.

use crate::broker::{Broker, View};
use crate::context::Context;
use crate::leadership::{current_leader, wire_node};
use crate::metadata::endpoint_of;
use bytes::Bytes;
use holdfast_base::{PartitionKey, TopicId};
use holdfast_batch::{BatchError, Codec, Limits, validate_produced};
use holdfast_lane::{Answer, Appended, ProducePartition, Reason, Refusal, Request};
use holdfast_metadata::{BatchSettings, Image, Topic};
use holdfast_protocol::errors::ProduceError;
use kafka_protocol::messages::produce_request::{PartitionProduceData, ProduceRequest};
use kafka_protocol::messages::produce_response::{
    BatchIndexAndErrorMessage, LeaderIdAndEpoch, NodeEndpoint, PartitionProduceResponse,
    ProduceResponse, TopicProduceResponse,
};
use kafka_protocol::protocol::StrBytes;
use std::sync::Arc;

/// Last version whose clients may not send zstd: they may not understand it either.
const LAST_VERSION_WITHOUT_ZSTD: i16 = 6;
/// From here topics are named by id.
const FIRST_VERSION_WITH_TOPIC_IDS: i16 = 13;
/// From here record errors and messages are part of the answer.
const FIRST_VERSION_WITH_MESSAGES: i16 = 8;
/// From here a refusal may name the leader (KIP-951).
const FIRST_VERSION_WITH_LEADERS: i16 = 10;

/// Why a partition's batch is not stored, as the wire says it.
struct Failure {
    error: ProduceError,
    message: Option<String>,
    /// The one record that is to blame, if it is one.
    record: Option<i32>,
    leader: Option<LeaderIdAndEpoch>,
}

impl Failure {
    fn new(error: ProduceError, message: impl Into<String>) -> Failure {
        let message = Some(message.into());
        Failure { error, message, record: None, leader: None }
    }
}

/// What became of one partition of the request so far.
enum Part {
    /// Refused here.
    Refused(Failure),
    /// The n-th part of the lane's call.
    Asked(usize),
}

/// A partition's answer in the making.
struct Slot {
    index: i32,
    part: Part,
}

/// A topic's answer in the making.
struct TopicSlot {
    name: kafka_protocol::messages::TopicName,
    id: TopicId,
    partitions: Vec<Slot>,
}

/// What [`start`] leaves to be waited for.
pub(crate) enum Finish {
    /// Send this.
    Answer(ProduceResponse),
    /// acks=0, and all went well.
    Silence,
    /// acks=0, and this went wrong.
    Close(String),
}

/// Checks `request` and hands it to the lane, before returning; the future waits for the outcome.
pub(crate) fn start(
    broker: &Arc<Broker>,
    context: &Arc<Context>,
    request: ProduceRequest,
    version: i16,
) -> impl Future<Output = Finish> + Send + use<> {
    let view = broker.view();
    let acks = request.acks;
    let mut parts = Vec::new();
    let topics = refuse_or_collect(broker, &view, request, version, &mut parts);
    let pending = (!parts.is_empty()).then(|| broker.lane.call(Request::Produce(parts)));
    let (broker, context) = (Arc::clone(broker), Arc::clone(context));
    async move {
        let stored = match pending {
            None => Vec::new(),
            Some(pending) => match pending.await {
                Some(Answer::Produce(stored)) => stored,
                other => {
                    if let Some(other) = other {
                        tracing::error!(?other, "the lane answered Produce with something else");
                    }
                    Vec::new()
                }
            },
        };
        let finished = write_answer(&broker, &context, &topics, &stored, version);
        if acks == 0 { silent(&finished) } else { Finish::Answer(finished) }
    }
}

fn refuse_or_collect(
    broker: &Broker,
    view: &View,
    request: ProduceRequest,
    version: i16,
    parts: &mut Vec<ProducePartition>,
) -> Vec<TopicSlot> {
    let whole = refuse_whole(&request);
    let mut topics = Vec::with_capacity(request.topic_data.len());
    for data in request.topic_data {
        let by_id = version >= FIRST_VERSION_WITH_TOPIC_IDS;
        let topic = if by_id {
            view.image.topic_by_id(TopicId(*data.topic_id.as_bytes()))
        } else {
            view.image.topic(&data.name)
        };
        let mut partitions = Vec::with_capacity(data.partition_data.len());
        for partition in data.partition_data {
            let index = partition.index;
            let checked = match (&whole, topic) {
                (Some((error, message)), _) => Err(Failure::new(*error, *message)),
                (None, None) if by_id => {
                    Err(Failure::new(ProduceError::UnknownTopicId, "no topic has this id"))
                }
                (None, None) => Err(Failure::new(
                    ProduceError::UnknownTopicOrPartition,
                    "no topic has this name",
                )),
                (None, Some(topic)) => check(broker, &view.image, topic, partition, version),
            };
            let part = match checked {
                Ok(part) => {
                    parts.push(part);
                    Part::Asked(parts.len() - 1)
                }
                Err(failure) => Part::Refused(failure),
            };
            partitions.push(Slot { index, part });
        }
        let asked_id = TopicId(*data.topic_id.as_bytes());
        let id = topic.map_or(asked_id, |topic| topic.id);
        topics.push(TopicSlot { name: data.name, id, partitions });
    }
    topics
}

/// What is wrong with the request as a whole; answered for each of its partitions, as Kafka does.
fn refuse_whole(request: &ProduceRequest) -> Option<(ProduceError, &'static str)> {
    if request.transactional_id.is_some() {
        // The client cannot have got here: InitProducerId refuses transactional ids.
        return Some((
            ProduceError::TransactionalIdAuthorizationFailed,
            "transactions are not available yet; produce without a transactional id",
        ));
    }
    if !matches!(request.acks, -1..=1) {
        return Some((ProduceError::InvalidRequiredAcks, "acks must be -1 (all), 0 or 1"));
    }
    None
}

fn check(
    broker: &Broker,
    image: &Image,
    topic: &Topic,
    data: PartitionProduceData,
    version: i16,
) -> Result<ProducePartition, Failure> {
    let exists = usize::try_from(data.index).is_ok_and(|index| index < topic.partitions.len());
    if !exists {
        return Err(Failure::new(
            ProduceError::UnknownTopicOrPartition,
            format!("topic '{}' has {} partitions", topic.name, topic.partitions.len()),
        ));
    }
    let bytes: Bytes = data.records.unwrap_or_default();
    if bytes.is_empty() {
        return Err(Failure::new(
            ProduceError::InvalidRecord,
            "the partition carries no record batch; send exactly one",
        ));
    }
    let limits = limits_of(image, topic);
    let valid = validate_produced(&bytes, broker.settings.validation_depth, &limits)
        .map_err(|error| refused_batch(&error))?;
    let header = *valid.header();
    if valid.codec() == Codec::Zstd && version <= LAST_VERSION_WITHOUT_ZSTD {
        return Err(Failure::new(
            ProduceError::UnsupportedCompressionType,
            "zstd needs Produce version 7 or later",
        ));
    }
    if header.is_transactional() {
        return Err(Failure::new(
            ProduceError::InvalidRecord,
            "the batch is part of a transaction, and transactions are not available yet",
        ));
    }
    let partition = PartitionKey { topic: topic.id, partition: data.index };
    Ok(ProducePartition { partition, bytes, header })
}

/// What a batch of this topic may cost.
pub(crate) fn limits_of(image: &Image, topic: &Topic) -> Limits {
    let settings = BatchSettings::of_topic(image, topic);
    Limits {
        batch_bytes_max: usize::try_from(settings.max_message_bytes).unwrap_or(usize::MAX),
        keys_required: settings.compacts,
        ..Limits::default()
    }
}

fn refused_batch(error: &BatchError) -> Failure {
    use holdfast_batch::Refusal as Refused;
    let code = match error.refusal() {
        Refused::CorruptMessage => ProduceError::CorruptMessage,
        Refused::MessageTooLarge => ProduceError::MessageTooLarge,
        Refused::InvalidTimestamp => ProduceError::InvalidTimestamp,
        Refused::UnsupportedForMessageFormat => ProduceError::UnsupportedForMessageFormat,
        Refused::UnsupportedCompressionType => ProduceError::UnsupportedCompressionType,
        Refused::InvalidRecord => ProduceError::InvalidRecord,
    };
    let record = match error {
        BatchError::MissingKey { record } | BatchError::WrongRecord { record, .. } => Some(*record),
        _ => None,
    };
    Failure { record, ..Failure::new(code, error.to_string()) }
}

fn refused_by_lane(refusal: &Refusal, version: i16) -> Failure {
    use ProduceError as E;
    let (error, message) = match refusal.reason {
        Reason::NotLeader | Reason::NotReady | Reason::FencedEpoch | Reason::UnknownEpoch => {
            (E::NotLeaderOrFollower, "this node does not lead the partition")
        }
        Reason::UnknownPartition if version >= FIRST_VERSION_WITH_TOPIC_IDS => {
            (E::UnknownTopicId, "the topic was deleted")
        }
        Reason::UnknownPartition => (E::UnknownTopicOrPartition, "the partition is not there"),
        // Retriable in every client, certainly not written, and no metadata storm.
        Reason::NoSpace => (
            E::NotEnoughReplicas,
            "the write-ahead log has no free space; retry, or free space on the node",
        ),
        Reason::OutOfOrderSequence => {
            (E::OutOfOrderSequenceNumber, "the producer's sequence number does not follow")
        }
        Reason::StaleProducerEpoch => {
            (E::InvalidProducerEpoch, "a producer with a newer epoch is known")
        }
        Reason::DuplicateSequence => {
            (E::DuplicateSequenceNumber, "the batch is older than the last five of its producer")
        }
        Reason::TooLarge => (E::MessageTooLarge, "the batch exceeds max.message.bytes"),
        Reason::InvalidTimestamp => {
            (E::InvalidTimestamp, "a timestamp lies outside what the topic allows")
        }
        Reason::InvalidRecord => (E::InvalidRecord, "the topic's configuration forbids the batch"),
        Reason::Storage | Reason::OffsetOutOfRange => {
            (E::KafkaStorageError, "the partition's replica on this node cannot be used")
        }
    };
    Failure::new(error, message)
}

/// The current leader, if it is known and the client should go there.
fn leader_in(
    broker: &Broker,
    view: &View,
    refusal: &Refusal,
    topic: &TopicSlot,
    partition: i32,
) -> Option<LeaderIdAndEpoch> {
    if !matches!(refusal.reason, Reason::NotLeader | Reason::FencedEpoch | Reason::UnknownEpoch) {
        return None;
    }
    let partition = PartitionKey { topic: topic.id, partition };
    let leader = current_leader(broker.node, view, refusal, partition)?;
    let response = LeaderIdAndEpoch::default().with_leader_epoch(leader.epoch);
    Some(response.with_leader_id(wire_node(leader.node).into()))
}

fn write_answer(
    broker: &Broker,
    context: &Context,
    topics: &[TopicSlot],
    stored: &[Result<Appended, Refusal>],
    version: i16,
) -> ProduceResponse {
    let view = broker.view();
    let mut endpoints: Vec<NodeEndpoint> = Vec::new();
    let mut responses = Vec::with_capacity(topics.len());
    for topic in topics {
        let mut partitions = Vec::with_capacity(topic.partitions.len());
        for slot in &topic.partitions {
            let lost;
            let outcome = match &slot.part {
                Part::Refused(failure) => Err(failure),
                Part::Asked(at) => match stored.get(*at) {
                    Some(Ok(appended)) => Ok(appended),
                    Some(Err(refusal)) => {
                        lost = Failure {
                            leader: leader_in(broker, &view, refusal, topic, slot.index),
                            ..refused_by_lane(refusal, version)
                        };
                        Err(&lost)
                    }
                    None => {
                        lost = Failure::new(
                            ProduceError::KafkaStorageError,
                            "the node is stopping; whether the batch was stored is unknown",
                        );
                        Err(&lost)
                    }
                },
            };
            if let Err(failure) = outcome
                && version >= FIRST_VERSION_WITH_LEADERS
                && let Some(leader) = &failure.leader
            {
                add_endpoint(broker, context, &view, leader, &mut endpoints);
            }
            partitions.push(write_partition(slot.index, outcome, version));
        }
        let response = TopicProduceResponse::default().with_partition_responses(partitions);
        responses.push(if version >= FIRST_VERSION_WITH_TOPIC_IDS {
            response.with_topic_id(uuid::Uuid::from_bytes(topic.id.0))
        } else {
            response.with_name(topic.name.clone())
        });
    }
    ProduceResponse::default().with_responses(responses).with_node_endpoints(endpoints)
}

fn write_partition(
    index: i32,
    outcome: Result<&Appended, &Failure>,
    version: i16,
) -> PartitionProduceResponse {
    let response = PartitionProduceResponse::default().with_index(index);
    match outcome {
        Ok(appended) => response
            .with_base_offset(appended.base_offset)
            .with_log_append_time_ms(appended.log_append_time_ms)
            .with_log_start_offset(appended.log_start),
        Err(failure) => {
            let mut response = response
                .with_error_code(failure.error.into())
                .with_base_offset(-1)
                .with_log_append_time_ms(-1)
                .with_log_start_offset(-1);
            if version >= FIRST_VERSION_WITH_MESSAGES {
                let message = failure.message.clone().map(StrBytes::from);
                if let Some(record) = failure.record {
                    response.record_errors.push(
                        BatchIndexAndErrorMessage::default()
                            .with_batch_index(record)
                            .with_batch_index_error_message(message.clone()),
                    );
                }
                response.error_message = message;
            }
            if version >= FIRST_VERSION_WITH_LEADERS
                && let Some(leader) = &failure.leader
            {
                response.current_leader = leader.clone();
            }
            response
        }
    }
}

fn add_endpoint(
    broker: &Broker,
    context: &Context,
    view: &View,
    leader: &LeaderIdAndEpoch,
    endpoints: &mut Vec<NodeEndpoint>,
) {
    if endpoints.iter().any(|known| known.node_id == leader.leader_id) {
        return;
    }
    let Some(endpoint) = endpoint_of(broker, context, &view.image, leader.leader_id.0) else {
        return;
    };
    endpoints.push(
        NodeEndpoint::default()
            .with_node_id(leader.leader_id)
            .with_host(StrBytes::from(endpoint.host))
            .with_port(i32::from(endpoint.port)),
    );
}

fn silent(answer: &ProduceResponse) -> Finish {
    let refused = answer
        .responses
        .iter()
        .flat_map(|topic| &topic.partition_responses)
        .find(|partition| partition.error_code != 0);
    match refused {
        None => Finish::Silence,
        Some(partition) => Finish::Close(format!(
            "Produce with acks=0 was refused with error {} for partition {}",
            partition.error_code, partition.index
        )),
    }
}

#[cfg(test)]
mod tests;
