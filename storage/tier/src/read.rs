//! Reading batches of an object: which bytes to ask the store for, and what they are.
//!
//! ```text
//! footer + (partition, offset, max_bytes) ─▶ plan_read ─▶ ReadPlan { blocks, range }
//! GET range ─▶ open_blocks ─▶ Block, Block ... ─▶ select ─▶ batches, slices of what came
//! ```
//!
//! Blocks of a partition lie back to back, so one read is one GET. A block is believed only when
//! its checksum, its head and its footer row say the same and its batches add up; until then
//! nothing of it leaves this room.

use std::ops::Range;

use bytes::Bytes;
use holdfast_base::PartitionKey;
use holdfast_batch::{BatchError, BatchHeader, HEADER_BYTES, Limits, find_by_timestamp};

use crate::error::ObjectError;
use crate::footer::Footer;
use crate::format::block::BlockHead;
use crate::format::rows::BlockRow;
use crate::format::{BLOCK_HEAD_BYTES, checksum};

/// What to GET for a read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ReadPlan {
    /// Numbers of the blocks.
    pub blocks: Range<u32>,
    /// Where they lie in the object.
    pub range: Range<u64>,
}

/// A checked block.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Block {
    row: BlockRow,
    /// Head and batches.
    bytes: Bytes,
}

/// One batch of a block.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Batch {
    /// Its header's numbers.
    pub header: BatchHeader,
    /// The batch as consumers get it: a slice of what was read.
    pub bytes: Bytes,
}

/// A record found by its time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FoundRecord {
    /// Its offset.
    pub offset: i64,
    /// Its timestamp.
    pub timestamp_ms: i64,
    /// Of its batch.
    pub leader_epoch: i32,
}

impl Footer {
    /// What to read for a fetch: from the block that holds `offset` (or the first behind it) as
    /// many blocks as `max_bytes` may need, at least one. `None` when the object has nothing there.
    #[must_use]
    pub fn plan_read(
        &self,
        partition: &PartitionKey,
        offset: i64,
        max_bytes: u64,
    ) -> Option<ReadPlan> {
        let row = self.partition(partition)?;
        let first = self.block_at_offset(&row, offset)?;
        let start = self.block(first).position;
        let mut end = first + 1;
        while end < row.first_block + row.blocks && self.block(end).position - start < max_bytes {
            end += 1;
        }
        Some(self.plan_blocks(first..end))
    }

    /// The block in which the first record with a timestamp of at least `timestamp_ms` may be, at
    /// or behind `from_offset`. When [`Block::find_by_timestamp`] finds none there (a header may
    /// claim more than its records have), ask again from the block's end.
    #[must_use]
    pub fn plan_by_timestamp(
        &self,
        partition: &PartitionKey,
        from_offset: i64,
        timestamp_ms: i64,
    ) -> Option<ReadPlan> {
        let row = self.partition(partition)?;
        let from = self.block_at_offset(&row, from_offset)?;
        let at = self.block_at_timestamp(&row, from, timestamp_ms)?;
        Some(self.plan_blocks(at..at + 1))
    }

    /// The GET for these blocks.
    ///
    /// # Panics
    /// When there are none of them, or the object has fewer.
    #[must_use]
    pub fn plan_blocks(&self, blocks: Range<u32>) -> ReadPlan {
        assert!(!blocks.is_empty(), "a read has a block");
        let range = self.block(blocks.start).position..self.block(blocks.end - 1).end();
        ReadPlan { blocks, range }
    }

    /// Checks what a GET of `plan.range` brought.
    ///
    /// # Errors
    /// When the bytes are too few or too many, damaged, or of another place.
    pub fn open_blocks(&self, plan: &ReadPlan, bytes: &Bytes) -> Result<Vec<Block>, ObjectError> {
        self.open_blocks_with(plan, bytes, || ())
    }

    /// As [`Footer::open_blocks`]; `between` is called before each, as checking takes a while.
    ///
    /// # Errors
    /// As there.
    pub fn open_blocks_with(
        &self,
        plan: &ReadPlan,
        bytes: &Bytes,
        between: impl Fn(),
    ) -> Result<Vec<Block>, ObjectError> {
        let need = plan.range.end - plan.range.start;
        if bytes.len() as u64 != need {
            let have = bytes.len() as u64;
            return Err(ObjectError::Truncated { part: "run of blocks", have, need });
        }
        plan.blocks
            .clone()
            .map(|at| {
                between();
                let row = self.block(at);
                let start = (row.position - plan.range.start) as usize;
                Block::open(row, bytes.slice(start..start + row.len_bytes as usize))
            })
            .collect()
    }
}

impl Block {
    /// Checks the bytes of the block that `row` describes.
    ///
    /// # Errors
    /// When they are not that block.
    pub fn open(row: BlockRow, bytes: Bytes) -> Result<Block, ObjectError> {
        let need = u64::from(row.len_bytes);
        if bytes.len() as u64 != need || bytes.len() <= BLOCK_HEAD_BYTES {
            let have = bytes.len() as u64;
            return Err(ObjectError::Truncated { part: "block", have, need });
        }
        if checksum(&bytes) != row.checksum {
            return Err(ObjectError::Damaged { part: "block" });
        }
        let stored = crate::format::get_u32(&bytes, crate::format::head_at::CRC);
        if stored != row.checksum {
            return Err(ObjectError::Damaged { part: "block" });
        }
        let lies = |what| ObjectError::Lies { part: "block", what };
        let head = BlockHead::get(&bytes).ok_or(lies("it has no head"))?;
        let block = Block { row, bytes };
        let mut batches = 0;
        let mut max_timestamp_ms = i64::MIN;
        let mut ends = None;
        let mut at = BLOCK_HEAD_BYTES;
        while at < block.bytes.len() {
            let header = batch_at(&block.bytes, at).ok_or(lies("a batch is not one"))?;
            let from = ends.map_or(row.base_offset, |last: i64| last.saturating_add(1));
            let ascends = header.base_offset >= from
                && header.last_offset_delta >= 0
                && header.last_offset() <= row.last_offset
                && (ends.is_some() || header.base_offset == row.base_offset);
            if !ascends {
                return Err(lies("offsets of its batches do not ascend within its own"));
            }
            ends = Some(header.last_offset());
            max_timestamp_ms = max_timestamp_ms.max(header.max_timestamp_ms);
            batches += 1;
            at += header.total_len_bytes();
        }
        let found = BlockHead {
            partition: row.partition,
            batches,
            base_offset: row.base_offset,
            last_offset: ends.unwrap_or(i64::MIN),
            max_timestamp_ms,
            len_bytes: row.len_bytes,
        };
        let as_row =
            row.last_offset == found.last_offset && row.max_timestamp_ms == max_timestamp_ms;
        if head != found || !as_row {
            return Err(lies("its head or footer row is not the sum of its batches"));
        }
        Ok(block)
    }

    /// What the footer says of it.
    #[must_use]
    pub fn row(&self) -> &BlockRow {
        &self.row
    }

    /// Head and batches, as they lie in the object.
    #[must_use]
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// The same block in other memory.
    pub(crate) fn with_bytes(&self, bytes: Bytes) -> Block {
        assert_eq!(bytes.len(), self.bytes.len(), "the same bytes");
        Block { row: self.row, bytes }
    }

    /// All batches in one piece, as consumers get them.
    #[must_use]
    pub fn run(&self) -> Bytes {
        self.bytes.slice(BLOCK_HEAD_BYTES..)
    }

    /// Its batches, ascending.
    pub fn batches(&self) -> impl Iterator<Item = Batch> + '_ {
        let mut at = BLOCK_HEAD_BYTES;
        std::iter::from_fn(move || {
            // `open` has walked them: `None` is the end and nothing else.
            let header = batch_at(&self.bytes, at)?;
            let start = at;
            at += header.total_len_bytes();
            Some(Batch { header, bytes: self.bytes.slice(start..at) })
        })
    }

    /// The first record at or behind `from_offset` with a timestamp of at least `timestamp_ms`.
    ///
    /// # Errors
    /// When a batch cannot be inflated within `limits`.
    pub fn find_by_timestamp(
        &self,
        from_offset: i64,
        timestamp_ms: i64,
        limits: &Limits,
    ) -> Result<Option<FoundRecord>, BatchError> {
        for batch in self.batches() {
            let header = &batch.header;
            if header.last_offset() < from_offset || header.max_timestamp_ms < timestamp_ms {
                continue;
            }
            if let Some((offset, timestamp_ms)) =
                find_by_timestamp(&batch.bytes, timestamp_ms, limits)?
            {
                let leader_epoch = header.partition_leader_epoch;
                return Ok(Some(FoundRecord { offset, timestamp_ms, leader_epoch }));
            }
        }
        Ok(None)
    }
}

/// The batches of a fetch: those that end at or behind `offset`, the first whatever its size, then
/// as many as fit into `max_bytes`.
#[must_use]
pub fn select(blocks: &[Block], offset: i64, max_bytes: u64) -> Vec<Batch> {
    let mut taken = Vec::new();
    let mut bytes = 0;
    let behind = blocks.iter().flat_map(Block::batches);
    for batch in behind.skip_while(|batch| batch.header.last_offset() < offset) {
        bytes += batch.bytes.len() as u64;
        if !taken.is_empty() && bytes > max_bytes {
            break;
        }
        taken.push(batch);
    }
    taken
}

/// The header of the batch at `at`, if one lies there whole.
fn batch_at(bytes: &[u8], at: usize) -> Option<BatchHeader> {
    let rest = bytes.get(at..).filter(|rest| !rest.is_empty())?;
    let header = BatchHeader::parse(rest).ok()?;
    let len = header.total_len_bytes();
    (len >= HEADER_BYTES && len <= rest.len()).then_some(header)
}
