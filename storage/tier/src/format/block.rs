//! A block: batches of one partition, ascending, back to back, behind a head.
//!
//! The head says again what the footer's row says, so that an object whose tail is lost can be
//! walked from the front, and bytes of another place are not taken for these.

use holdfast_base::PartitionKey;

use super::{get_i64, get_partition, get_u32, put_partition, set_u32, set_u64};

pub(crate) const MAGIC: [u8; 4] = *b"HFBK";

/// Offsets in a block's head.
pub(crate) mod at {
    pub(crate) const MAGIC: usize = 0;
    pub(crate) const BATCHES: usize = MAGIC + 4;
    pub(crate) const TOPIC: usize = BATCHES + 4;
    pub(crate) const PARTITION: usize = TOPIC + 16;
    pub(crate) const BASE_OFFSET: usize = PARTITION + 4;
    pub(crate) const LAST_OFFSET: usize = BASE_OFFSET + 8;
    pub(crate) const MAX_TIMESTAMP: usize = LAST_OFFSET + 8;
    pub(crate) const BYTES: usize = MAX_TIMESTAMP + 8;
    pub(crate) const RESERVED: usize = BYTES + 4;
    pub(crate) const CRC: usize = RESERVED + 4;
    pub(crate) const END: usize = CRC + 4;
}

/// Bytes of a block's head.
pub const BLOCK_HEAD_BYTES: usize = at::END;
const _: () = assert!(BLOCK_HEAD_BYTES == 64 && at::CRC == super::head_at::CRC);

/// A block's head as numbers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct BlockHead {
    pub(crate) partition: PartitionKey,
    pub(crate) batches: u32,
    pub(crate) base_offset: i64,
    pub(crate) last_offset: i64,
    pub(crate) max_timestamp_ms: i64,
    /// Of the whole block.
    pub(crate) len_bytes: u32,
}

impl BlockHead {
    /// Writes everything but the checksum, which covers the batches too.
    pub(crate) fn put(&self, to: &mut [u8; BLOCK_HEAD_BYTES]) {
        to[at::MAGIC..at::BATCHES].copy_from_slice(&MAGIC);
        set_u32(to, at::BATCHES, self.batches);
        put_partition(&mut to[at::TOPIC..], &self.partition);
        set_u64(to, at::BASE_OFFSET, self.base_offset.cast_unsigned());
        set_u64(to, at::LAST_OFFSET, self.last_offset.cast_unsigned());
        set_u64(to, at::MAX_TIMESTAMP, self.max_timestamp_ms.cast_unsigned());
        set_u32(to, at::BYTES, self.len_bytes);
    }

    /// Reads the fields; `None` without the magic or with bytes that must be zeros.
    pub(crate) fn get(from: &[u8]) -> Option<BlockHead> {
        let ours = from.len() >= BLOCK_HEAD_BYTES
            && from[at::MAGIC..at::BATCHES] == MAGIC
            && get_u32(from, at::RESERVED) == 0;
        ours.then(|| BlockHead {
            partition: get_partition(&from[at::TOPIC..]),
            batches: get_u32(from, at::BATCHES),
            base_offset: get_i64(from, at::BASE_OFFSET),
            last_offset: get_i64(from, at::LAST_OFFSET),
            max_timestamp_ms: get_i64(from, at::MAX_TIMESTAMP),
            len_bytes: get_u32(from, at::BYTES),
        })
    }
}
