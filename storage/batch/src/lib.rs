//! Kafka's record batch (format v2) as bytes: seen, checked, patched, walked; never re-encoded.
//!
//! ```text
//! client bytes ──▶ validate ──▶ ValidBatch          one batch, no lies, memory bounded
//!                     │
//!                     ├──▶ patch     21 new bytes in front of the untouched rest (`[21..]`)
//!                     └──▶ records   timestamps, keys, values, for those who must look inside
//! ```
//!
//! Idea: a broker needs 61 bytes of a batch to order, deduplicate and serve it. The base offset
//! and the leader epoch lie before the checksum on purpose (KIP-98), so giving a batch its place
//! does not touch what the client signed with its CRC. Everything else here exists to refuse a
//! batch that would hurt a later reader.
//!
//! This room knows no files, clocks, sockets or partitions. Whatever a batch claims about its own
//! lengths, nothing here allocates by the claim: see [`Limits`].
//!
//! Caveats: formats v0 and v1 (Kafka before 0.11) are recognised and refused, not converted.
//! Validation under [`Depth::Header`] trusts what is inside a compressed batch.

mod builder;
mod error;
mod header;
mod inflate;
mod patch;
mod records;
mod validate;
mod varint;
mod walk;

pub use builder::{BatchBuilder, RecordDraft, SnappyFraming};
pub use error::{BatchError, Refusal};
pub use header::{
    BATCH_OVERHEAD_BYTES, BatchHeader, CRC_START, Codec, HEADER_BYTES, NO_PRODUCER_ID,
    NO_TIMESTAMP_MS, TimestampType, checksum,
};
pub use inflate::Limits;
pub use patch::{PREFIX_BYTES, patch_in_place, stored_prefix, with_log_append_time};
pub use records::{
    Header, Headers, OpenBatch, Record, Records, find_by_timestamp, max_timestamp_record,
};
pub use validate::{Depth, ValidBatch, validate_produced};
pub use walk::WalkSummary;

#[cfg(test)]
mod tests;
