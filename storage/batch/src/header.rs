//! The 61 bytes in front of every record batch.
//!
//! ```text
//! byte  0        8       12      16 17      21      23       27          35         43
//!       ┌────────┬───────┬───────┬──┬───────┬───────┬────────┬───────────┬──────────┬─────
//!       │base    │batch  │leader │ma│ CRC   │attri- │last off│ base time │ max time │ ...
//!       │offset 8│length4│epoch 4│1 │ -32C 4│butes 2│delta 4 │ stamp 8   │ stamp 8  │
//!       └────────┴───────┴───────┴──┴───────┴───────┴────────┴───────────┴──────────┴─────
//!       43            51       53         57       61
//!  ... ─┬─────────────┬────────┬──────────┬────────┬──────────────────────────────────────
//!       │producer id 8│epoch 2 │base seq 4│count 4 │ records, plain or compressed
//!      ─┴─────────────┴────────┴──────────┴────────┴──────────────────────────────────────
//! ```
//!
//! All big-endian. The broker writes base offset and leader epoch; the client writes the rest.
//! `batch length` counts what follows it: the whole batch is 12 bytes longer. The CRC covers
//! bytes 21 to the end.
//!
//! Attributes: bits 0-2 codec, 3 timestamp type, 4 transactional, 5 control, 6 delete horizon.

use crate::error::BatchError;

/// Bytes before the first record.
pub const HEADER_BYTES: usize = 61;
/// Bytes that `batch_length` does not count: base offset and the length itself.
pub const BATCH_OVERHEAD_BYTES: usize = 12;
/// First byte the CRC covers; also the first byte that storing a batch never touches.
pub const CRC_START: usize = 21;
/// Kafka's "no timestamp".
pub const NO_TIMESTAMP_MS: i64 = -1;
/// Kafka's "not an idempotent producer".
pub const NO_PRODUCER_ID: i64 = -1;

const BATCH_LENGTH_AT: usize = 8;
const LEADER_EPOCH_AT: usize = 12;
pub(crate) const MAGIC_AT: usize = 16;
const CRC_AT: usize = 17;
pub(crate) const ATTRIBUTES_AT: usize = CRC_START;
const LAST_OFFSET_DELTA_AT: usize = 23;
const BASE_TIMESTAMP_AT: usize = 27;
pub(crate) const MAX_TIMESTAMP_AT: usize = 35;
const PRODUCER_ID_AT: usize = 43;
const PRODUCER_EPOCH_AT: usize = 51;
const BASE_SEQUENCE_AT: usize = 53;
const RECORDS_COUNT_AT: usize = 57;

const _: () = assert!(RECORDS_COUNT_AT + 4 == HEADER_BYTES);
const _: () = assert!(CRC_AT + 4 == CRC_START);
const _: () = assert!(BATCH_LENGTH_AT + 4 == BATCH_OVERHEAD_BYTES);

const CODEC_MASK: i16 = 0x07;
pub(crate) const LOG_APPEND_TIME_BIT: i16 = 0x08;
const TRANSACTIONAL_BIT: i16 = 0x10;
const CONTROL_BIT: i16 = 0x20;
const DELETE_HORIZON_BIT: i16 = 0x40;

/// How the bytes after the header are compressed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Codec {
    /// Not at all.
    #[default]
    None,
    /// RFC 1952.
    Gzip,
    /// Raw, or in the framing of Java's snappy library.
    Snappy,
    /// LZ4 frame format.
    Lz4,
    /// RFC 8878; clients may send it from Produce v7 on.
    Zstd,
}

impl Codec {
    /// The three bits of the attributes.
    #[must_use]
    pub fn id(self) -> i16 {
        match self {
            Codec::None => 0,
            Codec::Gzip => 1,
            Codec::Snappy => 2,
            Codec::Lz4 => 3,
            Codec::Zstd => 4,
        }
    }

    /// The codec with this number, if Kafka has one.
    #[must_use]
    pub fn from_id(id: i16) -> Option<Codec> {
        match id {
            0 => Some(Codec::None),
            1 => Some(Codec::Gzip),
            2 => Some(Codec::Snappy),
            3 => Some(Codec::Lz4),
            4 => Some(Codec::Zstd),
            _ => None,
        }
    }
}

/// Who said what time it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TimestampType {
    /// The producer, record by record.
    CreateTime,
    /// The broker, one time for the whole batch: `max_timestamp`.
    LogAppendTime,
}

/// The fixed part of a batch, as numbers. Parsing copies 61 bytes and checks nothing but that
/// they are there and of format v2; [`crate::validate_produced`] does the judging.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BatchHeader {
    /// Offset of the first record; meaningless until the broker sets it.
    pub base_offset: i64,
    /// Bytes after this field. The batch is [`BATCH_OVERHEAD_BYTES`] longer.
    pub batch_length: i32,
    /// Epoch of the leader that appended it; the broker's field.
    pub partition_leader_epoch: i32,
    /// Always 2.
    pub magic: i8,
    /// CRC-32C of bytes 21 to the end.
    pub crc: u32,
    /// Flags; see the helpers.
    pub attributes: i16,
    /// Offset of the last record minus `base_offset`. For a client's batch: count - 1.
    pub last_offset_delta: i32,
    /// Timestamp of the first record, or the delete horizon if that bit is set.
    pub base_timestamp_ms: i64,
    /// Largest timestamp, as claimed.
    pub max_timestamp_ms: i64,
    /// -1 without idempotence.
    pub producer_id: i64,
    /// -1 without idempotence.
    pub producer_epoch: i16,
    /// -1 without idempotence.
    pub base_sequence: i32,
    /// How many records follow, as claimed.
    pub records_count: i32,
}

impl BatchHeader {
    /// Reads the header at the front of `bytes`; what follows it is not looked at.
    ///
    /// # Errors
    /// When the bytes end early, or are not format v2.
    pub fn parse(bytes: &[u8]) -> Result<BatchHeader, BatchError> {
        let magic = match bytes.get(MAGIC_AT) {
            Some(byte) => i8::from_be_bytes([*byte]),
            None => return Err(BatchError::Truncated { have: bytes.len(), need: HEADER_BYTES }),
        };
        match magic {
            2 => {}
            0 | 1 => return Err(BatchError::OldFormat { magic }),
            _ => return Err(BatchError::UnknownMagic { magic }),
        }
        let Some(header) = bytes.first_chunk::<HEADER_BYTES>() else {
            return Err(BatchError::Truncated { have: bytes.len(), need: HEADER_BYTES });
        };
        Ok(BatchHeader {
            base_offset: i64::from_be_bytes(field(header, 0)),
            batch_length: i32::from_be_bytes(field(header, BATCH_LENGTH_AT)),
            partition_leader_epoch: i32::from_be_bytes(field(header, LEADER_EPOCH_AT)),
            magic,
            crc: u32::from_be_bytes(field(header, CRC_AT)),
            attributes: i16::from_be_bytes(field(header, ATTRIBUTES_AT)),
            last_offset_delta: i32::from_be_bytes(field(header, LAST_OFFSET_DELTA_AT)),
            base_timestamp_ms: i64::from_be_bytes(field(header, BASE_TIMESTAMP_AT)),
            max_timestamp_ms: i64::from_be_bytes(field(header, MAX_TIMESTAMP_AT)),
            producer_id: i64::from_be_bytes(field(header, PRODUCER_ID_AT)),
            producer_epoch: i16::from_be_bytes(field(header, PRODUCER_EPOCH_AT)),
            base_sequence: i32::from_be_bytes(field(header, BASE_SEQUENCE_AT)),
            records_count: i32::from_be_bytes(field(header, RECORDS_COUNT_AT)),
        })
    }

    /// The header as bytes, with its `crc` as it stands.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; HEADER_BYTES] {
        let mut out = [0; HEADER_BYTES];
        put(&mut out, 0, self.base_offset.to_be_bytes());
        put(&mut out, BATCH_LENGTH_AT, self.batch_length.to_be_bytes());
        put(&mut out, LEADER_EPOCH_AT, self.partition_leader_epoch.to_be_bytes());
        put(&mut out, MAGIC_AT, self.magic.to_be_bytes());
        put(&mut out, CRC_AT, self.crc.to_be_bytes());
        put(&mut out, ATTRIBUTES_AT, self.attributes.to_be_bytes());
        put(&mut out, LAST_OFFSET_DELTA_AT, self.last_offset_delta.to_be_bytes());
        put(&mut out, BASE_TIMESTAMP_AT, self.base_timestamp_ms.to_be_bytes());
        put(&mut out, MAX_TIMESTAMP_AT, self.max_timestamp_ms.to_be_bytes());
        put(&mut out, PRODUCER_ID_AT, self.producer_id.to_be_bytes());
        put(&mut out, PRODUCER_EPOCH_AT, self.producer_epoch.to_be_bytes());
        put(&mut out, BASE_SEQUENCE_AT, self.base_sequence.to_be_bytes());
        put(&mut out, RECORDS_COUNT_AT, self.records_count.to_be_bytes());
        out
    }

    /// `None` for a number Kafka has not given.
    #[must_use]
    pub fn codec(&self) -> Option<Codec> {
        Codec::from_id(self.attributes & CODEC_MASK)
    }

    /// The three codec bits.
    #[must_use]
    pub fn codec_id(&self) -> i16 {
        self.attributes & CODEC_MASK
    }

    /// Whose clock the timestamps are.
    #[must_use]
    pub fn timestamp_type(&self) -> TimestampType {
        if self.attributes & LOG_APPEND_TIME_BIT == 0 {
            TimestampType::CreateTime
        } else {
            TimestampType::LogAppendTime
        }
    }

    /// Part of a transaction.
    #[must_use]
    pub fn is_transactional(&self) -> bool {
        self.attributes & TRANSACTIONAL_BIT != 0
    }

    /// A commit or abort marker: written by brokers only.
    #[must_use]
    pub fn is_control(&self) -> bool {
        self.attributes & CONTROL_BIT != 0
    }

    /// `base_timestamp_ms` is a delete horizon (KIP-534): written by compaction only.
    #[must_use]
    pub fn has_delete_horizon(&self) -> bool {
        self.attributes & DELETE_HORIZON_BIT != 0
    }

    /// Written by an idempotent producer.
    #[must_use]
    pub fn has_producer(&self) -> bool {
        self.producer_id > NO_PRODUCER_ID
    }

    /// Offset of the last record. Saturates, because an unchecked header may say anything.
    #[must_use]
    pub fn last_offset(&self) -> i64 {
        self.base_offset.saturating_add(i64::from(self.last_offset_delta))
    }

    /// Offset of whatever comes after this batch. Saturates like [`Self::last_offset`].
    #[must_use]
    pub fn next_offset(&self) -> i64 {
        self.last_offset().saturating_add(1)
    }

    /// Sequence of the last record: wraps from 2^31-1 to 0, as Kafka's does. -1 without producer.
    #[must_use]
    pub fn last_sequence(&self) -> i32 {
        if self.base_sequence < 0 {
            return self.base_sequence;
        }
        let sum = i64::from(self.base_sequence) + i64::from(self.last_offset_delta);
        let wrapped = sum.rem_euclid(i64::from(i32::MAX) + 1);
        i32::try_from(wrapped).expect("a remainder of 2^31 fits i32")
    }

    /// The whole batch in bytes, as claimed; 12 if the claim is negative.
    #[must_use]
    pub fn total_len_bytes(&self) -> usize {
        BATCH_OVERHEAD_BYTES + usize::try_from(self.batch_length).unwrap_or(0)
    }
}

/// The CRC-32C that belongs into the header of `batch`: of all bytes from [`CRC_START`] on.
///
/// # Panics
/// When `batch` is shorter than that.
#[must_use]
pub fn checksum(batch: &[u8]) -> u32 {
    crc32c::crc32c(&batch[CRC_START..])
}

fn field<const N: usize>(header: &[u8; HEADER_BYTES], at: usize) -> [u8; N] {
    *header[at..].first_chunk().expect("every field lies inside the 61 bytes")
}

fn put<const N: usize>(header: &mut [u8; HEADER_BYTES], at: usize, bytes: [u8; N]) {
    header[at..at + N].copy_from_slice(&bytes);
}
