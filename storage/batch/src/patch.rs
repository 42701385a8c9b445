//! Giving a batch its place, without touching what its CRC covers.
//!
//! ```text
//! byte   0          8              12           16     17    21
//!        │base offset│ batch length │leader epoch│magic │ CRC │ attributes, ..., records
//!         ─── new ── ── as it was ── ─── new ─── ─ as it was ─┤
//!        └────────────── stored_prefix: 21 bytes ─────────────┴── the client's bytes[21..] ──▶
//! ```
//!
//! Named exception: LogAppendTime changes attributes and the largest timestamp, which the CRC
//! covers; [`with_log_append_time`] computes it again, and only there.

use crate::error::BatchError;
use crate::header::{
    ATTRIBUTES_AT, BatchHeader, CRC_START, HEADER_BYTES, LOG_APPEND_TIME_BIT, MAGIC_AT,
    MAX_TIMESTAMP_AT,
};

/// Length of what stands before the bytes the CRC covers.
pub const PREFIX_BYTES: usize = CRC_START;

/// The first 21 bytes of a stored batch: `header` with this offset and epoch. What follows is the
/// client's `bytes[21..]`, untouched.
///
/// # Panics
/// When the offset is negative or leaves no room for the batch's last offset: a partition's
/// offsets are counted by us, and a batch that passes here will be served.
#[must_use]
pub fn stored_prefix(
    header: &BatchHeader,
    base_offset: i64,
    partition_leader_epoch: i32,
) -> [u8; PREFIX_BYTES] {
    assert!(base_offset >= 0, "offsets start at 0");
    assert!(
        base_offset.checked_add(i64::from(header.last_offset_delta)).is_some(),
        "the last offset of a batch fits 64 bits"
    );
    let placed = BatchHeader { base_offset, partition_leader_epoch, ..*header };
    *placed.to_bytes().first_chunk().expect("the prefix is the front of the header")
}

/// The same in a buffer that already holds the batch.
///
/// # Errors
/// When the buffer does not begin with a batch header.
///
/// # Panics
/// As [`stored_prefix`].
pub fn patch_in_place(
    batch: &mut [u8],
    base_offset: i64,
    partition_leader_epoch: i32,
) -> Result<(), BatchError> {
    let header = BatchHeader::parse(batch)?;
    let prefix = stored_prefix(&header, base_offset, partition_leader_epoch);
    batch[..PREFIX_BYTES].copy_from_slice(&prefix);
    Ok(())
}

/// The 61 header bytes of the same batch under the broker's time, with a new CRC. The records,
/// `batch[61..]`, stay.
///
/// # Errors
/// When `batch` does not begin with a batch header.
pub fn with_log_append_time(batch: &[u8], now_ms: i64) -> Result<[u8; HEADER_BYTES], BatchError> {
    let header = BatchHeader::parse(batch)?;
    let mut out = header.to_bytes();
    let attributes = header.attributes | LOG_APPEND_TIME_BIT;
    out[ATTRIBUTES_AT..ATTRIBUTES_AT + 2].copy_from_slice(&attributes.to_be_bytes());
    out[MAX_TIMESTAMP_AT..MAX_TIMESTAMP_AT + 8].copy_from_slice(&now_ms.to_be_bytes());
    let crc = crc32c::crc32c(&out[CRC_START..]);
    let crc = crc32c::crc32c_append(crc, &batch[HEADER_BYTES..]);
    out[MAGIC_AT + 1..CRC_START].copy_from_slice(&crc.to_be_bytes());
    Ok(out)
}
