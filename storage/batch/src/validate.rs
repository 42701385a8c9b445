//! Whether a client's bytes are one honest batch.
//!
//! | checked | always | plain records | compressed, [`Depth::Records`] |
//! | --- | --- | --- | --- |
//! | one batch, its length, format, size, CRC | yes | | |
//! | count, last delta, flags, codec, producer fields, timestamps of the header | yes | | |
//! | every record's lengths, offset delta, timestamp, key where needed | | yes | yes |
//! | nothing left over, nothing inflates past the limit | | yes | yes |
//!
//! Kafka checks the same (`LogValidator`) and inflates always; [`Depth::Header`] is the
//! documented setting that saves the decompression and trusts the producer. The CRC is checked
//! before anything it covers is believed, so that damage on the way is told from a lie.

use bytes::Bytes;

use crate::error::BatchError;
use crate::header::{
    BATCH_OVERHEAD_BYTES, BatchHeader, CRC_START, Codec, HEADER_BYTES, NO_PRODUCER_ID,
    NO_TIMESTAMP_MS, TimestampType, checksum,
};
use crate::inflate::Limits;
use crate::walk::{Deltas, WalkSummary, walk};

/// How far to look.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Depth {
    /// Compressed batches are believed below their header.
    Header,
    /// Compressed batches are inflated under [`Limits`], as Kafka does.
    #[default]
    Records,
}

/// A batch that was checked. Nothing else makes one.
#[derive(Clone, Debug)]
pub struct ValidBatch {
    /// `HEADER_BYTES <= bytes.len() == header.total_len_bytes()`; still as the client sent it.
    bytes: Bytes,
    header: BatchHeader,
    /// `None` when a compressed batch was not inflated.
    walked: Option<WalkSummary>,
}

impl ValidBatch {
    /// The batch as the client sent it.
    #[must_use]
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// What storing leaves as it is: everything the CRC covers.
    #[must_use]
    pub fn unpatched(&self) -> Bytes {
        self.bytes.slice(CRC_START..)
    }

    /// The header's numbers.
    #[must_use]
    pub fn header(&self) -> &BatchHeader {
        &self.header
    }

    /// What the records said, if they were looked at.
    #[must_use]
    pub fn walked(&self) -> Option<&WalkSummary> {
        self.walked.as_ref()
    }

    /// The codec; validation refused unknown ones.
    #[must_use]
    pub fn codec(&self) -> Codec {
        self.header.codec().expect("validation refused unknown codecs")
    }

    /// Largest timestamp: from the records if they were looked at, else as claimed.
    #[must_use]
    pub fn max_timestamp_ms(&self) -> i64 {
        self.walked.map_or(self.header.max_timestamp_ms, |walked| walked.max_timestamp_ms)
    }
}

/// Checks what a producer sent for one partition.
///
/// # Errors
/// With what is wrong; [`BatchError::refusal`] says what to answer.
pub fn validate_produced(
    bytes: &Bytes,
    depth: Depth,
    limits: &Limits,
) -> Result<ValidBatch, BatchError> {
    let header = BatchHeader::parse(bytes)?;
    check_length(&header, bytes.len(), limits)?;
    let computed = checksum(bytes);
    if computed != header.crc {
        return Err(BatchError::WrongCrc { claimed: header.crc, computed });
    }
    let codec = check_header(&header)?;
    let walked = if codec == Codec::None || depth == Depth::Records {
        let body = &bytes[HEADER_BYTES..];
        Some(walk(&header, body, limits, Deltas::Dense, |_| true)?)
    } else {
        None
    };
    if walked.is_some_and(|walked| walked.min_timestamp_ms < NO_TIMESTAMP_MS) {
        return Err(BatchError::WrongTimestamp { what: "a record's timestamp is below -1" });
    }
    assert_eq!(header.total_len_bytes(), bytes.len(), "check_length said so");
    Ok(ValidBatch { bytes: bytes.clone(), header, walked })
}

fn check_length(header: &BatchHeader, have: usize, limits: &Limits) -> Result<(), BatchError> {
    let batch_length = header.batch_length;
    let need = usize::try_from(batch_length)
        .ok()
        .map(|length| length + BATCH_OVERHEAD_BYTES)
        .filter(|need| *need >= HEADER_BYTES)
        .ok_or(BatchError::LengthTooSmall { batch_length })?;
    if have < need {
        return Err(BatchError::Truncated { have, need });
    }
    if have > need {
        return Err(BatchError::TrailingBytes { extra: have - need });
    }
    if need > limits.batch_bytes_max {
        return Err(BatchError::TooLarge { bytes: need, limit_bytes: limits.batch_bytes_max });
    }
    Ok(())
}

fn check_header(header: &BatchHeader) -> Result<Codec, BatchError> {
    let codec = header.codec().ok_or(BatchError::UnknownCodec { id: header.codec_id() })?;
    if header.is_control() {
        return Err(BatchError::ControlFromClient);
    }
    if header.has_delete_horizon() {
        return Err(BatchError::DeleteHorizonFromClient);
    }
    let count = header.records_count;
    if count <= 0 {
        return Err(BatchError::WrongCount { count });
    }
    if header.last_offset_delta != count - 1 {
        let delta = header.last_offset_delta;
        return Err(BatchError::WrongLastOffsetDelta { delta, count });
    }
    check_timestamps(header)?;
    check_producer(header)?;
    Ok(codec)
}

fn check_timestamps(header: &BatchHeader) -> Result<(), BatchError> {
    let what = if header.timestamp_type() == TimestampType::LogAppendTime {
        "a producer may not set log append time"
    } else if header.base_timestamp_ms < NO_TIMESTAMP_MS {
        "the base timestamp is below -1"
    } else if header.max_timestamp_ms < NO_TIMESTAMP_MS {
        "the largest timestamp is below -1"
    } else {
        // That max is at least base is not asked: some clients send -1 there, and Kafka takes it.
        return Ok(());
    };
    Err(BatchError::WrongTimestamp { what })
}

fn check_producer(header: &BatchHeader) -> Result<(), BatchError> {
    let what = if header.producer_id < NO_PRODUCER_ID {
        "the producer id is below -1"
    } else if header.has_producer() && (header.producer_epoch < 0 || header.base_sequence < 0) {
        "an idempotent batch needs an epoch and a sequence of at least 0"
    } else if header.is_transactional() && !header.has_producer() {
        "a transactional batch needs a producer id"
    } else {
        return Ok(());
    };
    Err(BatchError::WrongProducer { what })
}
