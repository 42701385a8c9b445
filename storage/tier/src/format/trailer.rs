//! The last 192 bytes: everything the head says, where the footer is, and the hash of all before.

use super::{BLOCK_ROW_BYTES, HEAD_BYTES, PARTITION_ROW_BYTES};
use super::{ObjectHead, get_u32, get_u64, head_at, set_checksum, set_u32, set_u64};
use crate::error::ObjectError;
use crate::limits::{FOOTER_BYTES_MAX, OBJECT_BLOCKS_MAX, OBJECT_BYTES_MAX, OBJECT_BYTES_MIN};
use crate::limits::{OBJECT_BATCHES_MAX, OBJECT_PARTITIONS_MAX};

pub(crate) const MAGIC: [u8; 8] = *b"HFOBJEND";

/// Offsets in the trailer behind what the head has too.
pub(crate) mod at {
    pub(crate) const FOOTER_OFFSET: usize = super::HEAD_BYTES;
    pub(crate) const FOOTER_BYTES: usize = FOOTER_OFFSET + 8;
    pub(crate) const FOOTER_CRC: usize = FOOTER_BYTES + 4;
    pub(crate) const PARTITIONS: usize = FOOTER_CRC + 4;
    pub(crate) const BLOCKS: usize = PARTITIONS + 4;
    pub(crate) const BATCHES: usize = BLOCKS + 4;
    pub(crate) const RESERVED: usize = BATCHES + 4;
    pub(crate) const SHA256: usize = RESERVED + 4;
    pub(crate) const END: usize = SHA256 + 32;
}

/// Bytes of the trailer.
pub const TRAILER_BYTES: usize = at::END;
const _: () = assert!(TRAILER_BYTES == 192 && at::FOOTER_OFFSET == head_at::END);

/// A trailer's fields.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Trailer {
    /// As in the head.
    pub head: ObjectHead,
    /// Where the partition rows start, which is where the blocks end.
    pub footer_offset: u64,
    /// Partition rows and block rows.
    pub footer_bytes: u32,
    /// CRC-32C of those.
    pub footer_checksum: u32,
    /// How many partition rows.
    pub partitions: u32,
    /// How many block rows.
    pub blocks: u32,
    /// How many batches in all blocks.
    pub batches: u32,
    /// Of every byte before the trailer.
    pub sha256: [u8; 32],
}

impl Trailer {
    pub(crate) fn encode(&self) -> [u8; TRAILER_BYTES] {
        let mut to = [0; TRAILER_BYTES];
        self.head.put(&MAGIC, TRAILER_BYTES as u32, &mut to);
        set_u64(&mut to, at::FOOTER_OFFSET, self.footer_offset);
        set_u32(&mut to, at::FOOTER_BYTES, self.footer_bytes);
        set_u32(&mut to, at::FOOTER_CRC, self.footer_checksum);
        set_u32(&mut to, at::PARTITIONS, self.partitions);
        set_u32(&mut to, at::BLOCKS, self.blocks);
        set_u32(&mut to, at::BATCHES, self.batches);
        to[at::SHA256..at::END].copy_from_slice(&self.sha256);
        set_checksum(&mut to);
        to
    }

    /// Reads the trailer of an object of `object_bytes` whose last bytes are `tail`.
    pub(crate) fn decode(object_bytes: u64, tail: &[u8]) -> Result<Trailer, ObjectError> {
        let need = TRAILER_BYTES as u64;
        let Some(start) = tail.len().checked_sub(TRAILER_BYTES) else {
            return Err(ObjectError::Truncated { part: "trailer", have: tail.len() as u64, need });
        };
        let from = &tail[start..];
        let head = ObjectHead::get(&MAGIC, TRAILER_BYTES, "trailer", from)?;
        let mut sha256 = [0; 32];
        sha256.copy_from_slice(&from[at::SHA256..at::END]);
        let trailer = Trailer {
            head,
            footer_offset: get_u64(from, at::FOOTER_OFFSET),
            footer_bytes: get_u32(from, at::FOOTER_BYTES),
            footer_checksum: get_u32(from, at::FOOTER_CRC),
            partitions: get_u32(from, at::PARTITIONS),
            blocks: get_u32(from, at::BLOCKS),
            batches: get_u32(from, at::BATCHES),
            sha256,
        };
        trailer.check(object_bytes, get_u32(from, at::RESERVED))?;
        Ok(trailer)
    }

    /// Counts and places that fit each other, before anything is allocated or read by them.
    fn check(&self, object_bytes: u64, reserved: u32) -> Result<(), ObjectError> {
        let (partitions, blocks) = (self.partitions as usize, self.blocks as usize);
        let lie = if !(OBJECT_BYTES_MIN..=OBJECT_BYTES_MAX).contains(&object_bytes) {
            "no object has this length"
        } else if reserved != 0 {
            "reserved bytes are not zeros"
        } else if partitions == 0 || partitions > OBJECT_PARTITIONS_MAX {
            "it has no partitions, or too many"
        } else if blocks < partitions || blocks > OBJECT_BLOCKS_MAX {
            "it has fewer blocks than partitions, or too many"
        } else if self.batches < self.blocks || self.batches as usize > OBJECT_BATCHES_MAX {
            "it has fewer batches than blocks, or too many"
        } else if self.footer_bytes as usize
            != partitions * PARTITION_ROW_BYTES + blocks * BLOCK_ROW_BYTES
        {
            "its footer does not have the bytes of its rows"
        } else if self.footer_offset.checked_add(u64::from(self.footer_bytes))
            != Some(object_bytes - TRAILER_BYTES as u64)
        {
            "its footer does not end where it begins"
        } else {
            assert!(self.footer_bytes as usize <= FOOTER_BYTES_MAX, "by both counts");
            return Ok(());
        };
        Err(ObjectError::Lies { part: "trailer", what: lie })
    }
}
