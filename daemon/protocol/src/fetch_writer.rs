//! The Fetch answer as a list of segments: small headers written once, records passed through.
//!
//! ```text
//! │ length, header, throttle, ... topic, partition fields, records length │ ◀─ slice of one buffer
//! │ batch │ batch │ batch │                                                 ◀─ the caller's bytes
//! │ tags, next partition's fields, records length │                         ◀─ slice of that buffer
//! │ batch │ ...
//! ```
//!
//! Why: kafka-protocol encodes into one contiguous buffer, so every record byte would be copied.
//! Here the result goes to `writev` as it stands.
//!
//! Versions 4 to 18. Wire order per partition:
//!
//! | field | versions |
//! | --- | --- |
//! | index, error, high watermark, last stable offset | all |
//! | log start offset | 5+ |
//! | aborted transactions (nullable) | all |
//! | preferred read replica | 11+ |
//! | records | all |
//! | tags: 0 diverging epoch, 1 current leader | 12+ |
//!
//! From 12 on lengths are varints of n + 1 and every struct ends in tags; from 13 on topics go by
//! id; from 16 on the answer's tag 0 names the leaders' endpoints. What a version does not have is
//! left out, whatever the parts say.
//!
//! Invariant: byte for byte what kafka-protocol writes; a test compares every version.

use bytes::{BufMut, Bytes, BytesMut};
use kafka_protocol::protocol::StrBytes;

use crate::errors::{ErrorCode, FetchError, FetchSessionError};
use crate::frame::LENGTH_BYTES;
use crate::response::{EncodeError, header_has_tags};
use crate::versions::Api;

/// First version with an error, a session and its id.
const SESSIONS_FROM: i16 = 7;
const LOG_START_FROM: i16 = 5;
const PREFERRED_REPLICA_FROM: i16 = 11;
const FLEXIBLE_FROM: i16 = 12;
const TOPIC_ID_FROM: i16 = 13;
const NODE_ENDPOINTS_FROM: i16 = 16;

/// Everything in a Fetch answer.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct FetchResponseParts {
    /// How long the client is asked to wait.
    pub throttle_time_ms: i32,
    /// From v7 on.
    pub error: FetchSessionError,
    /// From v7 on; 0 for none.
    pub session_id: i32,
    /// The topics.
    pub topics: Vec<FetchTopic>,
    /// From v16 on: where the leaders named in `current_leader` are.
    pub node_endpoints: Vec<NodeEndpoint>,
}

/// One topic.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct FetchTopic {
    /// Up to v12.
    pub name: StrBytes,
    /// From v13 on.
    pub topic_id: [u8; 16],
    /// The partitions.
    pub partitions: Vec<FetchPartition>,
}

/// One partition.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FetchPartition {
    /// Its number in the topic.
    pub index: i32,
    /// Why there are no records.
    pub error: FetchError,
    /// -1 with an error.
    pub high_watermark: i64,
    /// -1 with an error.
    pub last_stable_offset: i64,
    /// From v5 on; -1 with an error.
    pub log_start_offset: i64,
    /// From v12 on: epoch and end offset where the client's log leaves ours.
    pub diverging_epoch: Option<(i32, i64)>,
    /// From v12 on: node and epoch (KIP-951 fills it from v16 on with a NOT_LEADER answer).
    pub current_leader: Option<(i32, i32)>,
    /// Producer id and first offset; `None` when reading uncommitted.
    pub aborted_transactions: Option<Vec<(i64, i64)>>,
    /// From v11 on; -1 for none.
    pub preferred_read_replica: i32,
    /// Whole batches in order, as stored; `None` is null on the wire.
    pub records: Option<Vec<Bytes>>,
}

impl FetchPartition {
    /// A partition that answers an error: no offsets, and empty records as Kafka sends them.
    #[must_use]
    pub fn refused(index: i32, error: FetchError) -> FetchPartition {
        FetchPartition {
            index,
            error,
            high_watermark: -1,
            last_stable_offset: -1,
            log_start_offset: -1,
            diverging_epoch: None,
            current_leader: None,
            aborted_transactions: None,
            preferred_read_replica: -1,
            records: Some(Vec::new()),
        }
    }
}

/// Where a node listens.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct NodeEndpoint {
    /// The node.
    pub node_id: i32,
    /// As advertised on the client's listener.
    pub host: StrBytes,
    /// As advertised.
    pub port: i32,
    /// If it has one.
    pub rack: Option<StrBytes>,
}

/// The whole frame, its length included, as segments in order. Empty record slices are left out.
///
/// # Errors
/// When the version is not one of Fetch's, a text is longer than its version can say, or the
/// frame would pass 2 GiB.
pub fn write_fetch_response(
    correlation_id: i32,
    version: i16,
    parts: &FetchResponseParts,
) -> Result<Vec<Bytes>, EncodeError> {
    let wrong = |what: String| EncodeError { api: Api::Fetch, version, what };
    if !Api::Fetch.accepts(version) {
        return Err(wrong("no such version".to_owned()));
    }
    let mut writer = Writer {
        small: BytesMut::with_capacity(size_hint(parts)),
        version,
        flexible: version >= FLEXIBLE_FROM,
        cuts: Vec::new(),
        records_bytes: 0,
    };
    writer.small.put_i32(0);
    writer.small.put_i32(correlation_id);
    if header_has_tags(Api::Fetch, version) {
        writer.small.put_u8(0);
    }
    writer.response(parts).map_err(|TooLong| wrong("a part is too long".to_owned()))?;
    writer.finish().map_err(|TooLong| wrong("the frame passes 2 GiB".to_owned()))
}

/// Never too small for honest names; a wrong guess costs a copy of the small parts.
fn size_hint(parts: &FetchResponseParts) -> usize {
    let topics: usize = parts
        .topics
        .iter()
        .map(|topic| {
            let aborted: usize = topic
                .partitions
                .iter()
                .map(|partition| partition.aborted_transactions.as_ref().map_or(0, Vec::len))
                .sum();
            32 + topic.name.len() + 80 * topic.partitions.len() + 17 * aborted
        })
        .sum();
    64 + topics + 96 * parts.node_endpoints.len()
}

/// A length that its place on the wire cannot hold.
struct TooLong;

struct Writer<'a> {
    small: BytesMut,
    version: i16,
    flexible: bool,
    /// After `small[..at]` come these records. `at` never falls.
    cuts: Vec<(usize, &'a [Bytes])>,
    records_bytes: usize,
}

impl<'a> Writer<'a> {
    fn response(&mut self, parts: &'a FetchResponseParts) -> Result<(), TooLong> {
        self.small.put_i32(parts.throttle_time_ms);
        if self.version >= SESSIONS_FROM {
            self.small.put_i16(parts.error.code());
            self.small.put_i32(parts.session_id);
        }
        self.count(parts.topics.len())?;
        for topic in &parts.topics {
            self.topic(topic)?;
        }
        if self.version >= NODE_ENDPOINTS_FROM && !parts.node_endpoints.is_empty() {
            self.small.put_u8(1);
            let endpoints = endpoints(&parts.node_endpoints, self.version)?;
            self.tag(0, &endpoints)
        } else {
            self.no_tags();
            Ok(())
        }
    }

    fn topic(&mut self, topic: &'a FetchTopic) -> Result<(), TooLong> {
        if self.version >= TOPIC_ID_FROM {
            self.small.put_slice(&topic.topic_id);
        } else {
            self.text(&topic.name)?;
        }
        self.count(topic.partitions.len())?;
        for partition in &topic.partitions {
            self.partition(partition)?;
        }
        self.no_tags();
        Ok(())
    }

    fn partition(&mut self, partition: &'a FetchPartition) -> Result<(), TooLong> {
        self.small.put_i32(partition.index);
        self.small.put_i16(partition.error.in_version(self.version).code());
        self.small.put_i64(partition.high_watermark);
        self.small.put_i64(partition.last_stable_offset);
        if self.version >= LOG_START_FROM {
            self.small.put_i64(partition.log_start_offset);
        }
        match &partition.aborted_transactions {
            None => self.null(),
            Some(aborted) => {
                self.count(aborted.len())?;
                for (producer_id, first_offset) in aborted {
                    self.small.put_i64(*producer_id);
                    self.small.put_i64(*first_offset);
                    self.no_tags();
                }
            }
        }
        if self.version >= PREFERRED_REPLICA_FROM {
            self.small.put_i32(partition.preferred_read_replica);
        }
        self.records(partition.records.as_deref())?;
        self.partition_tags(partition)
    }

    fn records(&mut self, records: Option<&'a [Bytes]>) -> Result<(), TooLong> {
        let Some(records) = records else {
            self.null();
            return Ok(());
        };
        let bytes: usize = records.iter().map(Bytes::len).sum();
        self.count(bytes)?;
        self.records_bytes += bytes;
        self.cuts.push((self.small.len(), records));
        Ok(())
    }

    fn partition_tags(&mut self, partition: &FetchPartition) -> Result<(), TooLong> {
        if !self.flexible {
            return Ok(());
        }
        // A value equal to the default is not sent; then "none" and the default are the same.
        let diverging = partition.diverging_epoch.filter(|value| *value != (-1, -1));
        let leader = partition.current_leader.filter(|value| *value != (-1, -1));
        let count = u8::from(diverging.is_some()) + u8::from(leader.is_some());
        self.small.put_u8(count);
        if let Some((epoch, end_offset)) = diverging {
            let mut value = [0; 13];
            value[..4].copy_from_slice(&epoch.to_be_bytes());
            value[4..12].copy_from_slice(&end_offset.to_be_bytes());
            self.tag(0, &value)?;
        }
        if let Some((node_id, epoch)) = leader {
            let mut value = [0; 9];
            value[..4].copy_from_slice(&node_id.to_be_bytes());
            value[4..8].copy_from_slice(&epoch.to_be_bytes());
            self.tag(1, &value)?;
        }
        Ok(())
    }

    fn tag(&mut self, tag: u8, value: &[u8]) -> Result<(), TooLong> {
        self.small.put_u8(tag);
        put_varint(&mut self.small, value.len())?;
        self.small.put_slice(value);
        Ok(())
    }

    fn no_tags(&mut self) {
        if self.flexible {
            self.small.put_u8(0);
        }
    }

    fn null(&mut self) {
        if self.flexible { self.small.put_u8(0) } else { self.small.put_i32(-1) }
    }

    /// Of elements or record bytes.
    fn count(&mut self, count: usize) -> Result<(), TooLong> {
        let count = i32::try_from(count).map_err(|_| TooLong)?;
        if self.flexible {
            return put_varint(&mut self.small, count.cast_unsigned() as usize + 1);
        }
        self.small.put_i32(count);
        Ok(())
    }

    fn text(&mut self, text: &StrBytes) -> Result<(), TooLong> {
        if self.flexible {
            put_varint(&mut self.small, text.len() + 1)?;
        } else {
            self.small.put_i16(i16::try_from(text.len()).map_err(|_| TooLong)?);
        }
        self.small.put_slice(text.as_bytes());
        Ok(())
    }

    fn finish(mut self) -> Result<Vec<Bytes>, TooLong> {
        let length = self.small.len() - LENGTH_BYTES + self.records_bytes;
        let length = i32::try_from(length).map_err(|_| TooLong)?;
        self.small[..LENGTH_BYTES].copy_from_slice(&length.to_be_bytes());
        let small = self.small.freeze();
        let slices: usize = self.cuts.iter().map(|(_, records)| records.len()).sum();
        let mut segments = Vec::with_capacity(slices + self.cuts.len() + 1);
        let mut from = 0;
        for (at, records) in self.cuts {
            assert!(from <= at, "cuts are made in order");
            if records.iter().all(Bytes::is_empty) {
                continue;
            }
            if from < at {
                segments.push(small.slice(from..at));
            }
            segments.extend(records.iter().filter(|slice| !slice.is_empty()).cloned());
            from = at;
        }
        if from < small.len() {
            segments.push(small.slice(from..));
        }
        Ok(segments)
    }
}

/// The value of the answer's tag 0.
fn endpoints(nodes: &[NodeEndpoint], version: i16) -> Result<BytesMut, TooLong> {
    let small = BytesMut::with_capacity(96 * nodes.len());
    let mut writer = Writer { small, version, flexible: true, cuts: Vec::new(), records_bytes: 0 };
    writer.count(nodes.len())?;
    for node in nodes {
        writer.small.put_i32(node.node_id);
        writer.text(&node.host)?;
        writer.small.put_i32(node.port);
        match &node.rack {
            None => writer.null(),
            Some(rack) => writer.text(rack)?,
        }
        writer.no_tags();
    }
    Ok(writer.small)
}

fn put_varint(out: &mut BytesMut, value: usize) -> Result<(), TooLong> {
    let mut rest = u32::try_from(value).map_err(|_| TooLong)?;
    while rest >= 0x80 {
        out.put_u8((rest & 0x7f) as u8 | 0x80);
        rest >>= 7;
    }
    out.put_u8(rest as u8);
    Ok(())
}

#[cfg(test)]
mod tests;
