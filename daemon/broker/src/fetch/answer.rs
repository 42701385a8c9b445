//! The answer to a Fetch: Kafka's code for each outcome, leaders for who asked the wrong node, and
//! what a session need not hear again.

use crate::broker::{Broker, View};
use crate::context::Context;
use crate::fetch_session::{Asked, AskedTopic, Fetching, Outcome};
use crate::leadership::{current_leader, wire_node};
use crate::metadata::endpoint_of;
use bytes::Bytes;
use holdfast_base::{PartitionKey, TopicId};
use holdfast_batch::{BatchHeader, Codec};
use holdfast_lane::{FetchedPartition, Reason, RecordSlice, Refusal};
use holdfast_protocol::errors::FetchError;
use holdfast_protocol::fetch_writer::{
    FetchPartition, FetchResponseParts, FetchTopic, NodeEndpoint,
};
use kafka_protocol::protocol::StrBytes;

/// From here topics are named by id.
const FIRST_VERSION_WITH_TOPIC_IDS: i16 = super::FIRST_VERSION_WITH_TOPIC_IDS;
/// Last version whose clients may not understand zstd.
const LAST_VERSION_WITHOUT_ZSTD: i16 = 9;
/// From here a refusal may name the leader (KIP-951).
const FIRST_VERSION_WITH_LEADERS: i16 = 16;

/// Writes partitions, and collects whom they name.
pub(super) struct Writer<'a> {
    broker: &'a Broker,
    context: &'a Context,
    version: i16,
    /// As of after the wait: the leader may have become known meanwhile.
    view: View,
    node_endpoints: Vec<NodeEndpoint>,
}

impl<'a> Writer<'a> {
    pub(super) fn new(broker: &'a Broker, context: &'a Context, version: i16) -> Writer<'a> {
        Writer { broker, context, version, view: broker.view(), node_endpoints: Vec::new() }
    }

    pub(super) fn refused(&self, wanted: &Asked, error: FetchError) -> FetchPartition {
        FetchPartition::refused(wanted.key.partition, error)
    }

    pub(super) fn found(
        &mut self,
        wanted: &Asked,
        outcome: Option<Result<FetchedPartition, Refusal>>,
    ) -> FetchPartition {
        let index = wanted.key.partition;
        match outcome {
            Some(Ok(partition)) => served(index, partition, self.version),
            Some(Err(refusal)) => {
                let mut partition =
                    FetchPartition::refused(index, error_of(&refusal, self.version));
                if self.version >= FIRST_VERSION_WITH_LEADERS {
                    partition.current_leader = self.leader_in(wanted, &refusal);
                }
                if let Some((node, _)) = partition.current_leader {
                    self.add_endpoint(node);
                }
                partition
            }
            None => FetchPartition::refused(index, FetchError::KafkaStorageError),
        }
    }

    /// Node and epoch of the current leader, if it is known and the client should go there.
    fn leader_in(&self, wanted: &Asked, refusal: &Refusal) -> Option<(i32, i32)> {
        if !matches!(refusal.reason, Reason::NotLeader | Reason::NotReady | Reason::FencedEpoch) {
            return None;
        }
        let topic = match &wanted.key.topic {
            AskedTopic::Name(name) => self.view.image.topic(name)?.id,
            AskedTopic::Id(id) => *id,
        };
        let partition = PartitionKey { topic, partition: wanted.key.partition };
        let leader = current_leader(self.broker.node, &self.view, refusal, partition)?;
        Some((wire_node(leader.node), leader.epoch))
    }

    fn add_endpoint(&mut self, node: i32) {
        if self.node_endpoints.iter().any(|known| known.node_id == node) {
            return;
        }
        let endpoint = endpoint_of(self.broker, self.context, &self.view.image, node);
        let Some(endpoint) = endpoint else { return };
        self.node_endpoints.push(NodeEndpoint {
            node_id: node,
            host: StrBytes::from(endpoint.host),
            port: i32::from(endpoint.port),
            rack: None,
        });
    }

    /// Leaves out what the session has heard, and puts the rest under its topics.
    pub(super) fn finish(
        self,
        fetching: &Fetching,
        partitions: Vec<FetchPartition>,
    ) -> FetchResponseParts {
        let outcomes: Vec<Outcome> = partitions.iter().map(outcome_of).collect();
        let ending = match self.broker.end_fetch(fetching, &outcomes) {
            Ok(ending) => ending,
            Err(error) => return FetchResponseParts { error, ..FetchResponseParts::default() },
        };
        let mut topics: Vec<FetchTopic> = Vec::new();
        let mut last: Option<&AskedTopic> = None;
        let said = fetching.partitions.iter().zip(partitions).zip(ending.said);
        for ((wanted, partition), _) in said.filter(|(_, said)| *said) {
            if last != Some(&wanted.key.topic) {
                topics.push(topic_of(&wanted.key.topic));
                last = Some(&wanted.key.topic);
            }
            topics.last_mut().expect("pushed for the first of a topic").partitions.push(partition);
        }
        let (session_id, node_endpoints) = (ending.session_id, self.node_endpoints);
        FetchResponseParts { session_id, topics, node_endpoints, ..FetchResponseParts::default() }
    }
}

fn topic_of(asked: &AskedTopic) -> FetchTopic {
    let (name, id) = match asked {
        AskedTopic::Name(name) => (StrBytes::from(name.to_string()), TopicId([0; 16])),
        AskedTopic::Id(id) => (StrBytes::default(), *id),
    };
    FetchTopic { name, topic_id: id.0, partitions: Vec::new() }
}

fn outcome_of(partition: &FetchPartition) -> Outcome {
    let failed = partition.error != FetchError::None;
    Outcome {
        has_records: partition.records.as_ref().is_some_and(|slices| !slices.is_empty()),
        high_watermark: partition.high_watermark,
        log_start: partition.log_start_offset,
        must_say: failed || partition.diverging_epoch.is_some(),
        failed,
    }
}

/// Kafka's code for a refusal: the only codes this API answers, all known to Java's consumer.
pub(super) fn error_of(refusal: &Refusal, version: i16) -> FetchError {
    match refusal.reason {
        Reason::NotLeader | Reason::NotReady => FetchError::NotLeaderOrFollower,
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

fn served(index: i32, partition: FetchedPartition, version: i16) -> FetchPartition {
    let slices: Vec<Bytes> = partition
        .records
        .into_iter()
        .filter_map(|slice| match slice {
            RecordSlice::Cached(bytes) => Some(bytes),
            // `handle` has loaded or refused every other one.
            RecordSlice::OnDisk { .. } | RecordSlice::InObject { .. } => None,
        })
        .collect();
    if version <= LAST_VERSION_WITHOUT_ZSTD && slices.iter().any(|bytes| holds_zstd(bytes)) {
        return FetchPartition::refused(index, FetchError::UnsupportedCompressionType);
    }
    FetchPartition {
        index,
        error: FetchError::None,
        high_watermark: partition.high_watermark,
        last_stable_offset: partition.last_stable,
        log_start_offset: partition.log_start,
        diverging_epoch: partition.diverging.map(|end| (end.epoch, end.end_offset)),
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
