//! What lies on the simulated media: files of blocks, absent where nothing but zeros was written.

use std::collections::BTreeMap;
use std::rc::Rc;

use crate::BLOCK_BYTES;

/// What a device writes in one piece: a power cut tears between these.
pub(super) const SECTOR_BYTES: usize = 512;

type Block = [u8; BLOCK_BYTES];

/// One file. Cloning shares the blocks: a snapshot costs one pointer per written block.
#[derive(Clone, Debug)]
pub(super) struct Image {
    pub(super) len_bytes: u64,
    blocks: BTreeMap<u64, Rc<Block>>,
}

impl Image {
    pub(super) fn zeros(len_bytes: u64) -> Image {
        Image { len_bytes, blocks: BTreeMap::new() }
    }

    /// Appends `len_bytes` from `offset` on to `out`; both block-aligned.
    pub(super) fn read(&self, offset: u64, out: &mut [u8]) {
        let first = offset / BLOCK_BYTES as u64;
        for (number, target) in (first..).zip(out.chunks_exact_mut(BLOCK_BYTES)) {
            match self.blocks.get(&number) {
                Some(block) => target.copy_from_slice(&block[..]),
                None => target.fill(0),
            }
        }
    }

    /// Lays down the sectors of `data` that `lands` chooses (by their number within `data`).
    pub(super) fn write(&mut self, offset: u64, data: &[u8], lands: impl Fn(usize) -> bool) {
        for (number, sector) in data.chunks(SECTOR_BYTES).enumerate() {
            if lands(number) {
                self.write_bytes(offset + (number * SECTOR_BYTES) as u64, sector);
            }
        }
    }

    /// Lays down bytes that stay within one block.
    fn write_bytes(&mut self, offset: u64, bytes: &[u8]) {
        assert!(offset + bytes.len() as u64 <= self.len_bytes, "files never grow");
        let within = (offset % BLOCK_BYTES as u64) as usize;
        let block = self
            .blocks
            .entry(offset / BLOCK_BYTES as u64)
            .or_insert_with(|| Rc::new([0; BLOCK_BYTES]));
        Rc::make_mut(block)[within..within + bytes.len()].copy_from_slice(bytes);
    }

    /// Turns one bit over.
    pub(super) fn flip(&mut self, byte_offset: u64, bit: u8) {
        let mut byte = [0];
        let within = (byte_offset % BLOCK_BYTES as u64) as usize;
        if let Some(block) = self.blocks.get(&(byte_offset / BLOCK_BYTES as u64)) {
            byte[0] = block[within];
        }
        byte[0] ^= 1 << (bit % 8);
        self.write_bytes(byte_offset, &byte);
    }

    /// How many blocks hold something.
    pub(super) fn written_blocks(&self) -> u64 {
        self.blocks.len() as u64
    }

    /// Where the `index`-th written block starts.
    pub(super) fn written_block_offset(&self, index: u64) -> Option<u64> {
        self.blocks.keys().nth(index as usize).map(|number| number * BLOCK_BYTES as u64)
    }
}
