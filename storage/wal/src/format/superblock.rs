//! The superblock: whose directory this is, and how often it was opened for writing.
//!
//! Two copies, written one after the other and each flushed before the next, so that a power cut
//! tears at most one. The copy with the higher boot count wins.

use holdfast_base::BootCount;
use holdfast_io::{AlignedBuf, BLOCK_BYTES};

use super::{
    HEADER_COPY_BYTES, NotOurs, STAMP_BYTES, Stamp, get_checked, get_u32, get_u64, set_checksum,
    set_u32, set_u64,
};
use crate::config::WalConfig;
use crate::item::SegmentNumber;

pub(crate) const MAGIC: [u8; 8] = *b"HFWALSUP";

/// Offsets behind the stamp.
pub(crate) mod at {
    pub(crate) const BLOCK_BYTES: usize = super::STAMP_BYTES;
    pub(crate) const HEADER_COPY_BYTES: usize = BLOCK_BYTES + 4;
    pub(crate) const SEGMENT_BYTES: usize = HEADER_COPY_BYTES + 4;
    pub(crate) const KEY_ID: usize = SEGMENT_BYTES + 8;
    pub(crate) const END: usize = KEY_ID + 16;
}

/// Bytes of a superblock.
pub(crate) const BYTES: usize = at::END;
/// Where the copies start; apart, so that one failing page does not take both.
pub(crate) const COPIES: [u64; 2] = [0, HEADER_COPY_BYTES];
/// Bytes of the file.
pub(crate) const FILE_BYTES: u64 = 2 * HEADER_COPY_BYTES;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Superblock {
    pub(crate) boot: BootCount,
    pub(crate) segment_bytes: u64,
}

impl Superblock {
    pub(crate) fn encode(&self, config: &WalConfig) -> bytes::Bytes {
        let mut buffer = AlignedBuf::unpooled(BLOCK_BYTES);
        let to = buffer.reserve_zeroed(BYTES);
        let mut stamp = Stamp::of(config, 0, SegmentNumber(0), self.boot);
        stamp.length = BYTES as u32;
        stamp.put(&MAGIC, to);
        set_u32(to, at::BLOCK_BYTES, BLOCK_BYTES as u32);
        set_u32(to, at::HEADER_COPY_BYTES, HEADER_COPY_BYTES as u32);
        set_u64(to, at::SEGMENT_BYTES, self.segment_bytes);
        set_checksum(to);
        buffer.freeze()
    }

    pub(crate) fn decode(from: &[u8], config: &WalConfig) -> Result<Superblock, NotOurs> {
        let stamp = get_checked(&MAGIC, BYTES, from, config)?;
        if get_u32(from, at::BLOCK_BYTES) != BLOCK_BYTES as u32
            || get_u32(from, at::HEADER_COPY_BYTES) != HEADER_COPY_BYTES as u32
        {
            return Err(NotOurs::Shape);
        }
        Ok(Superblock { boot: stamp.boot, segment_bytes: get_u64(from, at::SEGMENT_BYTES) })
    }
}
