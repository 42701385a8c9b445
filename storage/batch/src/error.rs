//! Why a batch is refused, and what the client is told.

use crate::header::Codec;

/// What the broker answers: one Kafka error code each. The difference matters to a client:
/// it retries after `CorruptMessage` and gives up after the others.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Refusal {
    /// CORRUPT_MESSAGE (2): the bytes are not what was sent; sending again may help.
    CorruptMessage,
    /// MESSAGE_TOO_LARGE (10): above the topic's `max.message.bytes`.
    MessageTooLarge,
    /// INVALID_TIMESTAMP (32).
    InvalidTimestamp,
    /// UNSUPPORTED_FOR_MESSAGE_FORMAT (43): format v0 or v1.
    UnsupportedForMessageFormat,
    /// UNSUPPORTED_COMPRESSION_TYPE (76).
    UnsupportedCompressionType,
    /// INVALID_RECORD (87): the sender made it wrong; sending again cannot help.
    InvalidRecord,
}

/// What is wrong with a batch.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum BatchError {
    /// The bytes end before the batch does.
    #[error("record batch ends after {have} bytes but needs {need}; the request was cut short")]
    Truncated {
        /// Bytes given.
        have: usize,
        /// Bytes the batch claims.
        need: usize,
    },
    /// The length field cannot be true: shorter than a header, or negative.
    #[error("record batch claims a length of {batch_length}, less than its own header")]
    LengthTooSmall {
        /// As claimed.
        batch_length: i32,
    },
    /// More bytes follow. Produce v3 and later carries one batch per partition.
    #[error("{extra} bytes follow the record batch; send exactly one batch per partition")]
    TrailingBytes {
        /// How many.
        extra: usize,
    },
    /// Larger than the topic allows.
    #[error("record batch of {bytes} bytes exceeds max.message.bytes = {limit_bytes}")]
    TooLarge {
        /// Size of the batch.
        bytes: usize,
        /// The topic's limit.
        limit_bytes: usize,
    },
    /// Message format v0 or v1.
    #[error("message format v{magic} is not supported; use a client of Kafka 0.11 or later")]
    OldFormat {
        /// 0 or 1.
        magic: i8,
    },
    /// A format that does not exist.
    #[error("record batch has unknown magic {magic}; the bytes are damaged")]
    UnknownMagic {
        /// As found.
        magic: i8,
    },
    /// The checksum does not match.
    #[error("record batch checksum is {claimed:08x} but its bytes give {computed:08x}")]
    WrongCrc {
        /// In the header.
        claimed: u32,
        /// From the bytes.
        computed: u32,
    },
    /// No records, or a negative number of them.
    #[error("record batch claims {count} records; it must hold at least one")]
    WrongCount {
        /// As claimed.
        count: i32,
    },
    /// A client's batch has no gaps, so the last delta is the count less one.
    #[error("record batch claims {count} records but a last offset delta of {delta}")]
    WrongLastOffsetDelta {
        /// As claimed.
        delta: i32,
        /// As claimed.
        count: i32,
    },
    /// Only brokers write transaction markers.
    #[error("a client sent a control batch; only brokers write transaction markers")]
    ControlFromClient,
    /// Only compaction sets a delete horizon.
    #[error("a client sent a batch with a delete horizon; only compaction sets it")]
    DeleteHorizonFromClient,
    /// Codec bits 5 to 7.
    #[error("compression codec {id} is unknown; use none, gzip, snappy, lz4 or zstd")]
    UnknownCodec {
        /// The three bits.
        id: i16,
    },
    /// Below -1, or so large that base + delta leaves 64 bits, or set by the wrong side.
    #[error("record batch timestamp is wrong: {what}")]
    WrongTimestamp {
        /// Which one, and why.
        what: &'static str,
    },
    /// Producer id, epoch and sequence do not belong together.
    #[error("record batch producer fields are wrong: {what}")]
    WrongProducer {
        /// Which one, and why.
        what: &'static str,
    },
    /// A record lies about a length, a delta or a count.
    #[error("record {record} of the batch is wrong: {what}")]
    WrongRecord {
        /// Counted from 0.
        record: i32,
        /// Which field, and why.
        what: &'static str,
    },
    /// All records are there and yet bytes remain.
    #[error("bytes remain after the {count} records the batch claims")]
    BytesAfterRecords {
        /// As claimed.
        count: i32,
    },
    /// A compacted topic needs a key in every record.
    #[error("record {record} has no key; a compacted topic needs one in every record")]
    MissingKey {
        /// Counted from 0.
        record: i32,
    },
    /// The compressed stream is not one.
    #[error("{codec:?} data cannot be decompressed: {what}")]
    WrongCompression {
        /// As the header says.
        codec: Codec,
        /// What the decoder said.
        what: String,
    },
    /// A decompression bomb, or a very lucky batch.
    #[error(
        "{codec:?} data inflates to more than {limit_bytes} bytes; \
         send smaller batches or raise the limit"
    )]
    InflatesTooFar {
        /// As the header says.
        codec: Codec,
        /// What [`crate::Limits`] allow for this batch.
        limit_bytes: u64,
    },
}

impl BatchError {
    /// Which record is at fault, counted from 0, where it is one: Produce v8 and later tells the
    /// client (KIP-467).
    #[must_use]
    pub fn record_index(&self) -> Option<i32> {
        match self {
            BatchError::WrongRecord { record, .. } | BatchError::MissingKey { record } => {
                Some(*record)
            }
            _ => None,
        }
    }

    /// What the client is told.
    #[must_use]
    pub fn refusal(&self) -> Refusal {
        match self {
            BatchError::Truncated { .. }
            | BatchError::LengthTooSmall { .. }
            | BatchError::UnknownMagic { .. }
            | BatchError::WrongCrc { .. } => Refusal::CorruptMessage,
            BatchError::TooLarge { .. } => Refusal::MessageTooLarge,
            BatchError::WrongTimestamp { .. } => Refusal::InvalidTimestamp,
            BatchError::OldFormat { .. } => Refusal::UnsupportedForMessageFormat,
            BatchError::UnknownCodec { .. } => Refusal::UnsupportedCompressionType,
            BatchError::TrailingBytes { .. }
            | BatchError::WrongCount { .. }
            | BatchError::WrongLastOffsetDelta { .. }
            | BatchError::ControlFromClient
            | BatchError::DeleteHorizonFromClient
            | BatchError::WrongProducer { .. }
            | BatchError::WrongRecord { .. }
            | BatchError::BytesAfterRecords { .. }
            | BatchError::MissingKey { .. }
            | BatchError::WrongCompression { .. }
            | BatchError::InflatesTooFar { .. } => Refusal::InvalidRecord,
        }
    }
}
