//! A shard's state as bytes: for a replica that starts in the middle of the log. Little-endian.
//!
//! ```text
//! magic "HFLS" 4 │ version 2 │ applied 8 │ term 8 │ time ms 8 │ hash 8 │ partitions 4
//! per partition  topic 16 │ partition 4 │ generation 4 │ epoch base 4 │ config 50
//!                log start 8 │ high watermark 8 │ uploaded end 8 │ log start moved at 8
//!                epochs 4    × { epoch 4 │ start offset 8 }
//!                segments 4  × { base offset 8 │ bytes 8 │ first timestamp 8 │ first append 8 │
//!                                last append 8 │ max timestamp 8 │ its base 8 │ its last 8 }
//!                producers 4 × { id 8 │ epoch 2 │ last seen 8 │ batches 1 ×
//!                                { sequence 4 │ delta 4 │ base offset 8 │ append time 8 } }
//!                objects 4   × { number 8 │ base offset 8 │ last offset 8 │ max timestamp 8 │ bytes 4 }
//! groups 4       per group  slot 2 │ id text │ changed at 8 │ empty since ms 8 │ record 1 (0 or 1)
//!                           record, if there │ offsets 4 × { topic 16 │ partition 4 │ offset 8 │
//!                           leader epoch 4 │ metadata text │ committed at ms 8 }
//! uploaded 8 │ its term 8 │ last object number 8
//! objects 4      × { number 8 │ id 16 │ term 8 │ sequence 8 │ first index 8 │ last index 8 │
//!                    kind 1 (1 cut, 2 merged) │ state 1 (1 intended, 2 live, 3 retired,
//!                    4 abandoned) │ changed ms 8 │ object bytes 8 │ tail bytes 4 │ sha256 32 │
//!                    created ms 8 │ last term 8 │ dead since ms 8 }
//! refused 4      × { index 8 │ ordinals 4 × { ordinal 4 } }                behind uploaded
//! check 8        rolling hash of all bytes before it
//! ```
//!
//! A segment without timestamps has max timestamp -1. Partitions, producers, groups (by slot, then
//! id) and their offsets ascend. A group with members has empty since 0; text and record are as in
//! `group/encoding.rs`. An object all of whose bytes can be read is dead since 2^63-1. Version 1 had
//! no groups, version 2 no objects, version 3 no merged ones.
//!
//! Invariants: `restore(snapshot(s)) == s`, so hashes go on alike. Restoring believes nothing: the
//! order of every list and the positions are checked, and memory grows only with bytes that are
//! there.

mod groups;
mod objects;

pub(crate) use objects::{put_row as put_object_row, read_row as read_object_row};

use std::collections::{BTreeMap, VecDeque};

use holdfast_base::{Index, PartitionKey, Term, TopicId};

use crate::config::PartitionConfig;
use crate::digest::Digest;
use crate::epoch::{EpochStart, Epochs};
use crate::partition::Partition;
use crate::planted::PlantedBugs;
use crate::producer::{Producer, REMEMBERED_BATCHES, RememberedBatch};
use crate::reader::Reader;
use crate::refusal::BrokenInvariant;
use crate::segment::{MaxTimestamp, Segments, VirtualSegment};
use crate::shard::Shard;

const MAGIC: [u8; 4] = *b"HFLS";
const VERSION: u16 = 4;
const CHECK_BYTES: usize = 8;

impl Shard {
    /// The whole applied state.
    #[must_use]
    pub fn snapshot(&self) -> Vec<u8> {
        let mut out = Vec::new();
        out.extend_from_slice(&MAGIC);
        out.extend_from_slice(&VERSION.to_le_bytes());
        out.extend_from_slice(&self.applied.0.to_le_bytes());
        out.extend_from_slice(&self.term.0.to_le_bytes());
        out.extend_from_slice(&self.time_ms.to_le_bytes());
        out.extend_from_slice(&self.digest.value().to_le_bytes());
        put_count(&mut out, self.partitions.len());
        for (key, partition) in &self.partitions {
            put_partition(&mut out, key, partition);
        }
        groups::put(&mut out, self);
        objects::put(&mut out, self);
        let mut check = Digest::EMPTY;
        check.bytes(&out);
        out.extend_from_slice(&check.value().to_le_bytes());
        out
    }

    /// The shard a snapshot was taken of. Planted bugs are off.
    ///
    /// # Errors
    /// When the bytes are damaged, of another version, or describe a state that cannot be.
    pub fn restore(bytes: &[u8]) -> Result<Shard, BrokenInvariant> {
        let Some((body, claimed)) = bytes.split_last_chunk::<CHECK_BYTES>() else {
            return Err(BrokenInvariant::new("the snapshot is shorter than its check"));
        };
        let mut check = Digest::EMPTY;
        check.bytes(body);
        if check.value() != u64::from_le_bytes(*claimed) {
            return Err(BrokenInvariant::new("the snapshot's check does not match its bytes"));
        }
        let mut reader = Reader::new(body);
        if reader.bytes()? != MAGIC || reader.u16()? != VERSION {
            return Err(BrokenInvariant::new("not a shard snapshot of version 3"));
        }
        let mut shard = Shard::new();
        shard.applied = Index(reader.u64()?);
        shard.term = Term(reader.u64()?);
        shard.time_ms = reader.i64()?;
        shard.digest = Digest::from_value(reader.u64()?);
        let count = reader.u32()?;
        for _ in 0..count {
            let (key, partition) = read_partition(&mut reader)?;
            if shard.partitions.last_key_value().is_some_and(|(last, _)| *last >= key) {
                return Err(BrokenInvariant::new(format!("partition {key} is out of order")));
            }
            partition.check_invariants(PlantedBugs::default())?;
            shard.partitions.insert(key, partition);
        }
        groups::read(&mut reader, &mut shard)?;
        objects::read(&mut reader, &mut shard)?;
        reader.end("the snapshot")?;
        Ok(shard)
    }
}

fn put_count(out: &mut Vec<u8>, count: usize) {
    let count = u32::try_from(count).expect("a list in memory has fewer than 2^32 rows");
    out.extend_from_slice(&count.to_le_bytes());
}

fn put_partition(out: &mut Vec<u8>, key: &PartitionKey, partition: &Partition) {
    out.extend_from_slice(&key.topic.0);
    out.extend_from_slice(&key.partition.to_le_bytes());
    put_partition_head(out, partition);
    put_epochs(out, partition);
    put_count(out, partition.segments().len());
    for row in partition.segments() {
        put_segment_row(out, row);
    }
    put_count(out, partition.producers.len());
    for (id, producer) in &partition.producers {
        out.extend_from_slice(&id.to_le_bytes());
        put_producer(out, producer);
    }
    objects::put_partition_rows(out, &partition.objects);
}

/// From generation to the entry that moved the log start.
pub(crate) fn put_partition_head(out: &mut Vec<u8>, partition: &Partition) {
    out.extend_from_slice(&partition.generation.to_le_bytes());
    out.extend_from_slice(&partition.epoch_base.to_le_bytes());
    partition.config.encode(out);
    for position in [partition.log_start, partition.high_watermark, partition.uploaded_end] {
        out.extend_from_slice(&position.to_le_bytes());
    }
    out.extend_from_slice(&partition.log_start_at.0.to_le_bytes());
}

pub(crate) fn put_epochs(out: &mut Vec<u8>, partition: &Partition) {
    put_count(out, partition.epochs.rows().len());
    for row in partition.epochs.rows() {
        out.extend_from_slice(&row.epoch.to_le_bytes());
        out.extend_from_slice(&row.start_offset.to_le_bytes());
    }
}

pub(crate) fn put_segment_row(out: &mut Vec<u8>, row: &VirtualSegment) {
    let max = row.max_timestamp.unwrap_or(MaxTimestamp {
        timestamp_ms: -1,
        base_offset: 0,
        last_offset: 0,
    });
    out.extend_from_slice(&row.base_offset.to_le_bytes());
    out.extend_from_slice(&row.bytes.to_le_bytes());
    out.extend_from_slice(&row.first_timestamp_ms.to_le_bytes());
    out.extend_from_slice(&row.first_append_ms.to_le_bytes());
    out.extend_from_slice(&row.last_append_ms.to_le_bytes());
    out.extend_from_slice(&max.timestamp_ms.to_le_bytes());
    out.extend_from_slice(&max.base_offset.to_le_bytes());
    out.extend_from_slice(&max.last_offset.to_le_bytes());
}

pub(crate) fn put_producer(out: &mut Vec<u8>, producer: &Producer) {
    out.extend_from_slice(&producer.epoch().to_le_bytes());
    out.extend_from_slice(&producer.last_seen_ms().to_le_bytes());
    out.push(u8::try_from(producer.batches().len()).expect("at most five"));
    for batch in producer.batches() {
        out.extend_from_slice(&batch.base_sequence.to_le_bytes());
        out.extend_from_slice(&batch.last_offset_delta.to_le_bytes());
        out.extend_from_slice(&batch.base_offset.to_le_bytes());
        out.extend_from_slice(&batch.log_append_time_ms.to_le_bytes());
    }
}

fn read_partition(reader: &mut Reader<'_>) -> Result<(PartitionKey, Partition), BrokenInvariant> {
    let key = PartitionKey { topic: TopicId(reader.bytes()?), partition: reader.i32()? };
    let mut partition = read_partition_head(reader)?;
    let high_watermark = partition.high_watermark;
    partition.epochs = read_epochs(reader)?;
    partition.segments = read_segments(reader, high_watermark)?;
    partition.producers = read_producers(reader, high_watermark)?;
    partition.objects = objects::read_partition_rows(reader, partition.uploaded_end)?;
    if partition.epochs.rows().last().is_some_and(|row| row.start_offset > high_watermark) {
        return Err(BrokenInvariant::new(format!("an epoch of {key} begins beyond its end")));
    }
    Ok((key, partition))
}

/// A partition without its lists.
pub(crate) fn read_partition_head(reader: &mut Reader<'_>) -> Result<Partition, BrokenInvariant> {
    let generation = reader.u32()?;
    let epoch_base = reader.i32()?;
    if epoch_base < 0 {
        return Err(BrokenInvariant::new(format!("epoch base {epoch_base} is negative")));
    }
    let config = PartitionConfig::decode(reader)?;
    Ok(Partition {
        generation,
        epoch_base,
        config,
        log_start: reader.i64()?,
        high_watermark: reader.i64()?,
        uploaded_end: reader.i64()?,
        log_start_at: Index(reader.u64()?),
        epochs: Epochs::default(),
        segments: Segments::default(),
        producers: BTreeMap::new(),
        objects: VecDeque::new(),
    })
}

pub(crate) fn read_epochs(reader: &mut Reader<'_>) -> Result<Epochs, BrokenInvariant> {
    let mut rows: Vec<EpochStart> = Vec::new();
    for _ in 0..reader.u32()? {
        let row = EpochStart { epoch: reader.i32()?, start_offset: reader.i64()? };
        let follows = rows
            .last()
            .is_none_or(|last| last.epoch < row.epoch && last.start_offset < row.start_offset);
        if !follows || row.epoch < 0 || row.start_offset < 0 {
            return Err(BrokenInvariant::new("leader epochs are out of order"));
        }
        rows.push(row);
    }
    Ok(Epochs::from_rows(rows))
}

fn read_segments(
    reader: &mut Reader<'_>,
    high_watermark: i64,
) -> Result<Segments, BrokenInvariant> {
    let mut rows: VecDeque<VirtualSegment> = VecDeque::new();
    for _ in 0..reader.u32()? {
        let row = read_segment_row(reader)?;
        let follows = rows.back().is_none_or(|last| last.base_offset < row.base_offset);
        if !follows || row.base_offset < 0 || row.base_offset >= high_watermark {
            return Err(BrokenInvariant::new("virtual segments are out of order"));
        }
        rows.push_back(row);
    }
    Ok(Segments::from_rows(rows))
}

pub(crate) fn read_segment_row(reader: &mut Reader<'_>) -> Result<VirtualSegment, BrokenInvariant> {
    let mut row = VirtualSegment {
        base_offset: reader.i64()?,
        bytes: reader.u64()?,
        first_timestamp_ms: reader.i64()?,
        first_append_ms: reader.i64()?,
        last_append_ms: reader.i64()?,
        max_timestamp: None,
    };
    let max = MaxTimestamp {
        timestamp_ms: reader.i64()?,
        base_offset: reader.i64()?,
        last_offset: reader.i64()?,
    };
    let none = (max.timestamp_ms, max.base_offset, max.last_offset) == (-1, 0, 0);
    if max.timestamp_ms < 0 && !none {
        return Err(BrokenInvariant::new("a segment's largest timestamp is impossible"));
    }
    row.max_timestamp = (!none).then_some(max);
    Ok(row)
}

fn read_producers(
    reader: &mut Reader<'_>,
    high_watermark: i64,
) -> Result<BTreeMap<i64, Producer>, BrokenInvariant> {
    let mut producers: BTreeMap<i64, Producer> = BTreeMap::new();
    for _ in 0..reader.u32()? {
        let id = reader.i64()?;
        let producer = read_producer(reader, id, high_watermark)?;
        if producers.last_key_value().is_some_and(|(last, _)| *last >= id) {
            return Err(BrokenInvariant::new("producers are out of order"));
        }
        producers.insert(id, producer);
    }
    Ok(producers)
}

/// What is known of producer `id`, none of whose batches lies behind `high_watermark`.
pub(crate) fn read_producer(
    reader: &mut Reader<'_>,
    id: i64,
    high_watermark: i64,
) -> Result<Producer, BrokenInvariant> {
    let (epoch, last_seen_ms) = (reader.i16()?, reader.i64()?);
    let count = usize::from(reader.u8()?);
    let mut batches = [RememberedBatch::default(); REMEMBERED_BATCHES];
    let Some(slots) = batches.get_mut(..count) else {
        return Err(BrokenInvariant::new(format!("producer {id} remembers {count} batches")));
    };
    for slot in slots {
        *slot = RememberedBatch {
            base_sequence: reader.i32()?,
            last_offset_delta: reader.i32()?,
            base_offset: reader.i64()?,
            log_append_time_ms: reader.i64()?,
        };
        let sane = slot.base_sequence >= 0
            && slot.last_offset_delta >= 0
            && slot.base_offset >= 0
            && slot
                .base_offset
                .checked_add(i64::from(slot.last_offset_delta))
                .is_some_and(|last| last < high_watermark);
        if !sane {
            return Err(BrokenInvariant::new(format!("a batch of producer {id} cannot be")));
        }
    }
    Producer::from_parts(epoch, batches.into_iter().take(count), last_seen_ms)
        .filter(|_| id >= 0 && epoch >= 0)
        .ok_or_else(|| BrokenInvariant::new(format!("producer {id} cannot be")))
}
