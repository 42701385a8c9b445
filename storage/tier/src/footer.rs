//! An object's footer as its reader holds it: the bytes as they came, looked up in place.
//!
//! ```text
//! GET the last 64 KiB ─▶ from_tail ─▶ Footer
//!                          └─▶ ReadFrom(offset): the footer is longer, GET from there to the end
//! ```
//!
//! Nothing is allocated by what the bytes claim: rows are read where they lie, and opening walks
//! them all once. After that: partitions and the blocks of each ascend, blocks lie back to back
//! from the head to the footer, sums agree. So a lookup cannot go out of bounds.

use std::ops::Range;

use bytes::Bytes;
use holdfast_base::PartitionKey;

use crate::error::ObjectError;
use crate::format::rows::partition_at;
use crate::format::rows::{BLOCK_ROW_BYTES, BlockRow, PARTITION_ROW_BYTES, PartitionRow};
use crate::format::trailer::Trailer;
use crate::format::{
    BLOCK_HEAD_BYTES, HEAD_BYTES, ObjectHead, ObjectIdentity, TRAILER_BYTES, get_u32,
};
use crate::limits::{BLOCK_BYTES_MAX, TAIL_BYTES};

/// A checked footer.
#[derive(Clone, Debug)]
pub struct Footer {
    trailer: Trailer,
    object_bytes: u64,
    /// Partition rows, then block rows.
    rows: Bytes,
}

/// What the tail of an object held.
#[derive(Clone, Debug)]
pub enum Tail {
    /// The whole footer.
    Footer(Footer),
    /// The trailer only: read again from this offset to the end.
    ReadFrom(u64),
}

/// The range of the first GET.
#[must_use]
pub fn tail_range(object_bytes: u64) -> Range<u64> {
    object_bytes.saturating_sub(TAIL_BYTES)..object_bytes
}

impl Footer {
    /// Reads the footer of `asked` from its last bytes, however many.
    ///
    /// # Errors
    /// When they are not the tail of that object, or damaged.
    pub fn from_tail(
        asked: &ObjectIdentity,
        object_bytes: u64,
        tail: &Bytes,
    ) -> Result<Tail, ObjectError> {
        let found = Trailer::decode(object_bytes, tail)?.head.identity;
        if found != *asked {
            return Err(ObjectError::WrongObject {
                asked: Box::new(*asked),
                found: Box::new(found),
            });
        }
        Footer::from_any_tail(object_bytes, tail)
    }

    /// The same for an object whose name the reader does not know: to inspect what lies there.
    ///
    /// # Errors
    /// When they are not the tail of an object, or damaged.
    pub fn from_any_tail(object_bytes: u64, tail: &Bytes) -> Result<Tail, ObjectError> {
        let trailer = Trailer::decode(object_bytes, tail)?;
        let from_footer = (object_bytes - trailer.footer_offset) as usize;
        let Some(start) = tail.len().checked_sub(from_footer) else {
            return Ok(Tail::ReadFrom(trailer.footer_offset));
        };
        let rows = tail.slice(start..tail.len() - TRAILER_BYTES);
        if crc32c::crc32c(&rows) != trailer.footer_checksum {
            return Err(ObjectError::Damaged { part: "footer" });
        }
        let footer = Footer { trailer, object_bytes, rows };
        footer.check()?;
        Ok(Tail::Footer(footer))
    }

    /// The trailer's fields.
    #[must_use]
    pub fn trailer(&self) -> &Trailer {
        &self.trailer
    }

    /// Whose it is and what range of the log.
    #[must_use]
    pub fn head(&self) -> &ObjectHead {
        &self.trailer.head
    }

    /// Length of the object.
    #[must_use]
    pub fn object_bytes(&self) -> u64 {
        self.object_bytes
    }

    /// What this footer holds in memory.
    #[must_use]
    pub fn held_bytes(&self) -> usize {
        self.rows.len() + size_of::<Footer>()
    }

    /// Gives up the buffer the rows came in (a tail may be longer than its footer).
    #[must_use]
    pub fn compact(&self) -> Footer {
        let rows = Bytes::copy_from_slice(&self.rows);
        Footer { trailer: self.trailer, object_bytes: self.object_bytes, rows }
    }

    /// All partitions, ascending.
    pub fn partitions(&self) -> impl ExactSizeIterator<Item = PartitionRow> + '_ {
        (0..self.trailer.partitions).map(|at| self.partition_row(at))
    }

    /// All blocks, as they lie.
    pub fn blocks(&self) -> impl ExactSizeIterator<Item = BlockRow> + '_ {
        (0..self.trailer.blocks).map(|at| self.block(at))
    }

    /// One partition, if the object has batches of it.
    #[must_use]
    pub fn partition(&self, key: &PartitionKey) -> Option<PartitionRow> {
        let at =
            first_where(0..self.trailer.partitions, |at| self.partition_row(at).partition >= *key);
        (at < self.trailer.partitions)
            .then(|| self.partition_row(at))
            .filter(|row| row.partition == *key)
    }

    /// The block of this number.
    ///
    /// # Panics
    /// When the object has fewer.
    #[must_use]
    pub fn block(&self, number: u32) -> BlockRow {
        assert!(number < self.trailer.blocks, "block {number} of {}", self.trailer.blocks);
        let start = self.trailer.partitions as usize * PARTITION_ROW_BYTES;
        BlockRow::get(&self.rows[start + number as usize * BLOCK_ROW_BYTES..])
    }

    /// The first block of a partition that ends at or after `offset`; `None` behind its last.
    #[must_use]
    pub fn block_at_offset(&self, partition: &PartitionRow, offset: i64) -> Option<u32> {
        let blocks = partition.first_block..partition.first_block + partition.blocks;
        let at = first_where(blocks.clone(), |at| self.block(at).last_offset >= offset);
        blocks.contains(&at).then_some(at)
    }

    /// The first block of a partition, at or behind block `from`, with a timestamp of at least
    /// `timestamp_ms`. Timestamps do not ascend, so this walks.
    #[must_use]
    pub fn block_at_timestamp(
        &self,
        partition: &PartitionRow,
        from: u32,
        timestamp_ms: i64,
    ) -> Option<u32> {
        (from.max(partition.first_block)..partition.first_block + partition.blocks)
            .find(|at| self.block(*at).max_timestamp_ms >= timestamp_ms)
    }

    fn partition_row(&self, at: u32) -> PartitionRow {
        PartitionRow::get(&self.rows[at as usize * PARTITION_ROW_BYTES..])
    }

    fn check(&self) -> Result<(), ObjectError> {
        let lies = |what| Err(ObjectError::Lies { part: "footer", what });
        let mut next_block = 0;
        let mut position = HEAD_BYTES as u64;
        let mut batches = 0_u64;
        let mut previous: Option<PartitionKey> = None;
        for at in 0..self.trailer.partitions {
            let row = self.partition_row(at);
            let reserved = &self.rows[at as usize * PARTITION_ROW_BYTES..];
            if get_u32(reserved, partition_at::RESERVED) != 0 {
                return lies("reserved bytes of a partition row are not zeros");
            }
            if row.partition.partition < 0 || previous.is_some_and(|last| last >= row.partition) {
                return lies("partitions do not ascend");
            }
            previous = Some(row.partition);
            let end =
                row.first_block.checked_add(row.blocks).filter(|end| *end <= self.trailer.blocks);
            let Some(end) = end.filter(|end| row.first_block == next_block && *end > next_block)
            else {
                return lies("a partition's blocks are not the next ones");
            };
            next_block = end;
            position = self.check_partition(&row, position)?;
            batches += u64::from(row.batches);
        }
        if next_block != self.trailer.blocks || position != self.trailer.footer_offset {
            return lies("blocks are not the bytes between head and footer");
        }
        if batches != u64::from(self.trailer.batches) {
            return lies("batches of the partitions are not those of the trailer");
        }
        Ok(())
    }

    /// Checks the blocks of one partition, which begin at `position`; where they end.
    fn check_partition(&self, row: &PartitionRow, start: u64) -> Result<u64, ObjectError> {
        let lies = |what| Err(ObjectError::Lies { part: "footer", what });
        let mut position = start;
        let mut next_offset = 0;
        let mut max_timestamp_ms = i64::MIN;
        let head = self.head();
        for at in row.first_block..row.first_block + row.blocks {
            let block = self.block(at);
            if block.partition != row.partition || block.shard != head.identity.shard {
                return lies("a block is of another partition or shard than its place says");
            }
            if block.position != position {
                return lies("blocks do not lie back to back");
            }
            let len = u64::from(block.len_bytes);
            if len <= BLOCK_HEAD_BYTES as u64 || len > BLOCK_BYTES_MAX {
                return lies("a block has an impossible length");
            }
            let ascends = block.base_offset >= next_offset
                && block.last_offset >= block.base_offset
                && block.last_offset < i64::MAX;
            if !ascends {
                return lies("offsets do not ascend");
            }
            if block.index < head.first_index || block.index > head.last_index {
                return lies("a block is of an entry outside the object's range");
            }
            next_offset = block.last_offset + 1;
            max_timestamp_ms = max_timestamp_ms.max(block.max_timestamp_ms);
            // At most 2^15 blocks of 2^27 bytes.
            position += len;
        }
        let (first, last) = (self.block(row.first_block), next_offset - 1);
        if row.base_offset != first.base_offset
            || row.last_offset != last
            || row.max_timestamp_ms != max_timestamp_ms
            || u64::from(row.len_bytes) != position - start
            || row.batches < row.blocks
        {
            return lies("a partition's row is not the sum of its blocks");
        }
        Ok(position)
    }
}

/// The first number of `range` for which `holds`, which must hold for all after it; its end if none.
fn first_where(range: Range<u32>, holds: impl Fn(u32) -> bool) -> u32 {
    let (mut low, mut high) = (range.start, range.end);
    while low < high {
        let middle = low + (high - low) / 2;
        if holds(middle) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    low
}
