//! Commands: what an entry of a data shard says, byte for byte. All numbers little-endian.
//!
//! An entry's command section (behind the head that the consensus driver owns) is commands back to
//! back until its end:
//!
//! ```text
//! byte 0      1         2             6
//!      ┌──────┬─────────┬─────────────┬──────────────────
//!      │kind 1│version 1│body length 4│ body
//!      └──────┴─────────┴─────────────┴──────────────────
//! kind 1 AppendBatch   kind 2 CreatePartition   kind 3 RemovePartition
//! kind 4 SetConfig     kind 5 SetLogStart       kind 6 ExpireProducers
//! kind 7 PutGroup      kind 8 RemoveGroup       kind 9 CommitOffsets
//! kind 10 RemoveOffsets  kind 11 Intent         kind 12 Manifest
//! kind 13 ObjectStep   kind 14 MergeIntent                                   all version 1
//! ```
//!
//! Bodies of kinds 7 to 10 are in `command/group.rs`, those of 11 to 14 in `object.rs`; 7 to 10 and 12
//! alone vary in length.
//!
//! Kinds 2 to 5 and 1 begin with the *place*: topic id 16, partition 4 (i32), generation 4 (u32).
//!
//! ```text
//! AppendBatch, body 104 bytes
//!      0          24           32            36           40           48            52
//!      ┌──────────┬────────────┬─────────────┬────────────┬────────────┬─────────────┬──────────
//!      │ place 24 │base offset8│last off     │record      │producer id │base         │producer
//!      │          │ i64        │delta 4 i32  │count 4 i32 │ 8 i64      │sequence4 i32│epoch 2 i16
//!      └──────────┴────────────┴─────────────┴────────────┴────────────┴─────────────┴──────────
//!      54         56           64            72           76           80            84
//!      ┬──────────┬────────────┬─────────────┬────────────┬────────────┬─────────────┬──────────
//!      │attributes│base time   │max time     │payload     │payload     │batch CRC    │leader
//!      │ 2 i16    │stamp 8 i64 │stamp 8 i64  │start 4 u32 │length 4 u32│-32C 4 u32   │epoch 4 i32
//!      ┴──────────┴────────────┴─────────────┴────────────┴────────────┴─────────────┴──────────
//!      88         92           100           104
//!      ┬──────────┬────────────┬─────────────┐
//!      │epoch base│txn_seq 8   │key id 4     │   payload start counts from the front of the entry's
//!      │ 4 i32    │u64, 0 now  │u32, 0 null  │   payload section
//!      ┴──────────┴────────────┴─────────────┘
//!
//! CreatePartition: place 24, epoch base 4 (i32), config 50 (see `config.rs`)
//! RemovePartition: place 24
//! SetConfig:       place 24, config 50
//! SetLogStart:     place 24, first offset that stays 8 (i64)
//! ExpireProducers: entry time 8 (i64): producers last seen before it are forgotten
//! ```
//!
//! Base offset, delta, timestamps, CRC and payload length say again what the batch header in the
//! payload says, so that apply and replay never read payload.
//!
//! Invariants: a kind or version this build does not know is a [`BrokenInvariant`], never skipped:
//! replicas of different builds must apply alike, so a leader may propose only what the finalised
//! feature level allows (all of the above belong to the first level). A body is read to its last
//! byte. Decoding allocates for kinds 7 to 10 and 12 only, and no more than in proportion to bytes there.

mod group;

use holdfast_base::{PartitionKey, TopicId};

use crate::config::{CONFIG_BYTES, PartitionConfig};
use crate::object::{Intent, Manifest, ObjectStep};
use crate::reader::Reader;
use crate::refusal::BrokenInvariant;

pub(crate) use group::UNCONDITIONAL;
pub use group::{CommitOffsets, PutGroup, RemoveGroup, RemoveOffsets};

const APPEND_BATCH: u8 = 1;
const CREATE_PARTITION: u8 = 2;
const REMOVE_PARTITION: u8 = 3;
const SET_CONFIG: u8 = 4;
const SET_LOG_START: u8 = 5;
const EXPIRE_PRODUCERS: u8 = 6;
const PUT_GROUP: u8 = 7;
const REMOVE_GROUP: u8 = 8;
const COMMIT_OFFSETS: u8 = 9;
const REMOVE_OFFSETS: u8 = 10;
const INTENT: u8 = 11;
const MANIFEST: u8 = 12;
const OBJECT_STEP: u8 = 13;
const MERGE_INTENT: u8 = 14;

const VERSION: u8 = 1;

pub(crate) const HEAD_BYTES: usize = 6;
const PLACE_BYTES: usize = 24;
const APPEND_BATCH_BYTES: usize = 104;
/// Where the CRC stands in an encoded AppendBatch, counted from its kind byte.
pub(crate) const APPEND_BATCH_CRC_AT: usize = HEAD_BYTES + 80;
/// The largest command of fixed length: a batch's.
pub(crate) const BATCH_COMMAND_BYTES: usize = HEAD_BYTES + APPEND_BATCH_BYTES;

const _: () = assert!(PLACE_BYTES + 4 + CONFIG_BYTES <= APPEND_BATCH_BYTES);

/// One batch has its place.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct AppendBatch {
    /// Where.
    pub partition: PartitionKey,
    /// Which life of the partition.
    pub generation: u32,
    /// Offset of the first record.
    pub base_offset: i64,
    /// Offset of the last record minus `base_offset`.
    pub last_offset_delta: i32,
    /// `last_offset_delta + 1`.
    pub record_count: i32,
    /// -1 without idempotence.
    pub producer_id: i64,
    /// -1 without idempotence.
    pub base_sequence: i32,
    /// -1 without idempotence.
    pub producer_epoch: i16,
    /// Kafka's batch attributes, as stored.
    pub attributes: i16,
    /// As stored.
    pub base_timestamp_ms: i64,
    /// As stored: the append time under LogAppendTime.
    pub max_timestamp_ms: i64,
    /// First byte of the batch in the entry's payload.
    pub payload_start: u32,
    /// Bytes of the whole batch.
    pub payload_len_bytes: u32,
    /// As stored.
    pub batch_crc: u32,
    /// `epoch_base + term`.
    pub leader_epoch: i32,
    /// Of the partition.
    pub epoch_base: i32,
    /// Of the transaction; 0 until transactions exist.
    pub txn_seq: u64,
    /// Of the encryption key; 0 is none.
    pub key_id: u32,
}

/// A partition begins here, empty.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CreatePartition {
    /// Its name.
    pub partition: PartitionKey,
    /// Grows with every life of the partition in any shard.
    pub generation: u32,
    /// Leader epoch = this + term. At least 0.
    pub epoch_base: i32,
    /// Its configuration.
    pub config: PartitionConfig,
}

/// A partition ends here, with all its state.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RemovePartition {
    /// Its name.
    pub partition: PartitionKey,
    /// The life that ends.
    pub generation: u32,
}

/// A partition's configuration, whole.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SetConfig {
    /// Where.
    pub partition: PartitionKey,
    /// Which life of the partition.
    pub generation: u32,
    /// From here on.
    pub config: PartitionConfig,
}

/// DeleteRecords or retention.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SetLogStart {
    /// Where.
    pub partition: PartitionKey,
    /// Which life of the partition.
    pub generation: u32,
    /// The first offset that stays.
    pub before_offset: i64,
}

/// `producer.id.expiration.ms` has passed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ExpireProducers {
    /// Producers of the whole shard last seen before this entry time are forgotten.
    pub before_ms: i64,
}

/// Any command.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Command {
    /// Kind 1.
    AppendBatch(AppendBatch),
    /// Kind 2.
    CreatePartition(CreatePartition),
    /// Kind 3.
    RemovePartition(RemovePartition),
    /// Kind 4.
    SetConfig(SetConfig),
    /// Kind 5.
    SetLogStart(SetLogStart),
    /// Kind 6.
    ExpireProducers(ExpireProducers),
    /// Kind 7.
    PutGroup(PutGroup),
    /// Kind 8.
    RemoveGroup(RemoveGroup),
    /// Kind 9.
    CommitOffsets(CommitOffsets),
    /// Kind 10.
    RemoveOffsets(RemoveOffsets),
    /// Kind 11.
    Intent(Intent),
    /// Kind 12.
    Manifest(Manifest),
    /// Kind 13.
    ObjectStep(ObjectStep),
    /// Kind 14: as kind 11, of an object that will be made of others.
    MergeIntent(Intent),
}

/// Walks a command section. After the first error it ends.
#[must_use]
pub fn decode_commands(section: &[u8]) -> Commands<'_> {
    Commands { reader: Reader::new(section), broken: false }
}

/// See [`decode_commands`].
pub struct Commands<'a> {
    reader: Reader<'a>,
    broken: bool,
}

impl Iterator for Commands<'_> {
    type Item = Result<Command, BrokenInvariant>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.broken || self.reader.is_empty() {
            return None;
        }
        let command = decode(&mut self.reader);
        self.broken = command.is_err();
        Some(command)
    }
}

fn decode(section: &mut Reader<'_>) -> Result<Command, BrokenInvariant> {
    let kind = section.u8()?;
    let version = section.u8()?;
    let len_bytes = section.u32()?;
    let bytes = section.slice(len_bytes as usize)?;
    let mut body = Reader::new(bytes);
    if version != VERSION {
        return Err(BrokenInvariant::new(format!(
            "command kind {kind} has version {version}, this build knows {VERSION}"
        )));
    }
    let command = match kind {
        INTENT => return Ok(Command::Intent(Intent::decode(bytes)?)),
        MANIFEST => return Ok(Command::Manifest(Manifest::decode(bytes)?)),
        OBJECT_STEP => return Ok(Command::ObjectStep(ObjectStep::decode(bytes)?)),
        MERGE_INTENT => return Ok(Command::MergeIntent(Intent::decode(bytes)?)),
        APPEND_BATCH => Command::AppendBatch(decode_append(&mut body)?),
        CREATE_PARTITION => {
            let (partition, generation) = decode_place(&mut body)?;
            let epoch_base = body.i32()?;
            if epoch_base < 0 {
                return Err(BrokenInvariant::new(format!("epoch base {epoch_base} is negative")));
            }
            let config = PartitionConfig::decode(&mut body)?;
            Command::CreatePartition(CreatePartition { partition, generation, epoch_base, config })
        }
        REMOVE_PARTITION => {
            let (partition, generation) = decode_place(&mut body)?;
            Command::RemovePartition(RemovePartition { partition, generation })
        }
        SET_CONFIG => {
            let (partition, generation) = decode_place(&mut body)?;
            let config = PartitionConfig::decode(&mut body)?;
            Command::SetConfig(SetConfig { partition, generation, config })
        }
        SET_LOG_START => {
            let (partition, generation) = decode_place(&mut body)?;
            Command::SetLogStart(SetLogStart { partition, generation, before_offset: body.i64()? })
        }
        EXPIRE_PRODUCERS => Command::ExpireProducers(ExpireProducers { before_ms: body.i64()? }),
        PUT_GROUP => Command::PutGroup(PutGroup::decode(&mut body)?),
        REMOVE_GROUP => Command::RemoveGroup(RemoveGroup::decode(&mut body)?),
        COMMIT_OFFSETS => Command::CommitOffsets(CommitOffsets::decode(&mut body)?),
        REMOVE_OFFSETS => Command::RemoveOffsets(RemoveOffsets::decode(&mut body)?),
        _ => return Err(BrokenInvariant::new(format!("command kind {kind} is unknown"))),
    };
    body.end("a command body")?;
    Ok(command)
}

fn decode_place(body: &mut Reader<'_>) -> Result<(PartitionKey, u32), BrokenInvariant> {
    let partition = PartitionKey { topic: TopicId(body.bytes()?), partition: body.i32()? };
    Ok((partition, body.u32()?))
}

fn decode_append(body: &mut Reader<'_>) -> Result<AppendBatch, BrokenInvariant> {
    let (partition, generation) = decode_place(body)?;
    Ok(AppendBatch {
        partition,
        generation,
        base_offset: body.i64()?,
        last_offset_delta: body.i32()?,
        record_count: body.i32()?,
        producer_id: body.i64()?,
        base_sequence: body.i32()?,
        producer_epoch: body.i16()?,
        attributes: body.i16()?,
        base_timestamp_ms: body.i64()?,
        max_timestamp_ms: body.i64()?,
        payload_start: body.u32()?,
        payload_len_bytes: body.u32()?,
        batch_crc: body.u32()?,
        leader_epoch: body.i32()?,
        epoch_base: body.i32()?,
        txn_seq: body.u64()?,
        key_id: body.u32()?,
    })
}

impl Command {
    /// Appends the command's bytes.
    ///
    /// # Panics
    /// When a text is longer than [`crate::GROUP_TEXT_MAX_BYTES`], which `propose_*` refuses.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let start = out.len();
        let kind = match self {
            Command::AppendBatch(_) => APPEND_BATCH,
            Command::CreatePartition(_) => CREATE_PARTITION,
            Command::RemovePartition(_) => REMOVE_PARTITION,
            Command::SetConfig(_) => SET_CONFIG,
            Command::SetLogStart(_) => SET_LOG_START,
            Command::ExpireProducers(_) => EXPIRE_PRODUCERS,
            Command::PutGroup(_) => PUT_GROUP,
            Command::RemoveGroup(_) => REMOVE_GROUP,
            Command::CommitOffsets(_) => COMMIT_OFFSETS,
            Command::RemoveOffsets(_) => REMOVE_OFFSETS,
            Command::Intent(_) => INTENT,
            Command::Manifest(_) => MANIFEST,
            Command::ObjectStep(_) => OBJECT_STEP,
            Command::MergeIntent(_) => MERGE_INTENT,
        };
        out.extend_from_slice(&[kind, VERSION, 0, 0, 0, 0]);
        match self {
            Command::AppendBatch(batch) => encode_append(batch, out),
            Command::CreatePartition(create) => {
                encode_place(&create.partition, create.generation, out);
                out.extend_from_slice(&create.epoch_base.to_le_bytes());
                create.config.encode(out);
            }
            Command::RemovePartition(remove) => {
                encode_place(&remove.partition, remove.generation, out);
            }
            Command::SetConfig(set) => {
                encode_place(&set.partition, set.generation, out);
                set.config.encode(out);
            }
            Command::SetLogStart(set) => {
                encode_place(&set.partition, set.generation, out);
                out.extend_from_slice(&set.before_offset.to_le_bytes());
            }
            Command::ExpireProducers(expire) => {
                out.extend_from_slice(&expire.before_ms.to_le_bytes());
            }
            Command::PutGroup(put) => put.encode(out),
            Command::RemoveGroup(remove) => remove.encode(out),
            Command::CommitOffsets(commit) => commit.encode(out),
            Command::RemoveOffsets(remove) => remove.encode(out),
            Command::Intent(intent) | Command::MergeIntent(intent) => intent.encode(out),
            Command::Manifest(manifest) => manifest.encode(out),
            Command::ObjectStep(step) => step.encode(out),
        }
        let body_bytes = out.len() - start - HEAD_BYTES;
        let body_bytes = u32::try_from(body_bytes).expect("no body has 4 GiB");
        out[start + 2..start + HEAD_BYTES].copy_from_slice(&body_bytes.to_le_bytes());
    }
}

fn encode_place(partition: &PartitionKey, generation: u32, out: &mut Vec<u8>) {
    out.extend_from_slice(&partition.topic.0);
    out.extend_from_slice(&partition.partition.to_le_bytes());
    out.extend_from_slice(&generation.to_le_bytes());
}

fn encode_append(batch: &AppendBatch, out: &mut Vec<u8>) {
    encode_place(&batch.partition, batch.generation, out);
    out.extend_from_slice(&batch.base_offset.to_le_bytes());
    out.extend_from_slice(&batch.last_offset_delta.to_le_bytes());
    out.extend_from_slice(&batch.record_count.to_le_bytes());
    out.extend_from_slice(&batch.producer_id.to_le_bytes());
    out.extend_from_slice(&batch.base_sequence.to_le_bytes());
    out.extend_from_slice(&batch.producer_epoch.to_le_bytes());
    out.extend_from_slice(&batch.attributes.to_le_bytes());
    out.extend_from_slice(&batch.base_timestamp_ms.to_le_bytes());
    out.extend_from_slice(&batch.max_timestamp_ms.to_le_bytes());
    out.extend_from_slice(&batch.payload_start.to_le_bytes());
    out.extend_from_slice(&batch.payload_len_bytes.to_le_bytes());
    out.extend_from_slice(&batch.batch_crc.to_le_bytes());
    out.extend_from_slice(&batch.leader_epoch.to_le_bytes());
    out.extend_from_slice(&batch.epoch_base.to_le_bytes());
    out.extend_from_slice(&batch.txn_seq.to_le_bytes());
    out.extend_from_slice(&batch.key_id.to_le_bytes());
}
