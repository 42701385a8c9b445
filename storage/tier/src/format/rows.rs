//! The footer's rows.
//!
//! A block row is a batch row of a sealed WAL segment, field for field, in which batches that lie
//! back to back have become one and the four bytes at the end are the block's checksum.

use holdfast_base::{Index, PartitionKey, ShardId};
use holdfast_log::ManifestRow;

use super::{get_i64, get_partition, get_u32, get_u64, put_partition, set_u32, set_u64};

/// Offsets in a partition row.
pub(crate) mod partition_at {
    pub(crate) const TOPIC: usize = 0;
    pub(crate) const PARTITION: usize = TOPIC + 16;
    pub(crate) const FIRST_BLOCK: usize = PARTITION + 4;
    pub(crate) const BASE_OFFSET: usize = FIRST_BLOCK + 4;
    pub(crate) const LAST_OFFSET: usize = BASE_OFFSET + 8;
    pub(crate) const MAX_TIMESTAMP: usize = LAST_OFFSET + 8;
    pub(crate) const BLOCKS: usize = MAX_TIMESTAMP + 8;
    pub(crate) const BATCHES: usize = BLOCKS + 4;
    pub(crate) const BYTES: usize = BATCHES + 4;
    pub(crate) const RESERVED: usize = BYTES + 4;
    pub(crate) const END: usize = RESERVED + 4;
}

/// Offsets in a block row.
pub(crate) mod block_at {
    pub(crate) const TOPIC: usize = 0;
    pub(crate) const PARTITION: usize = TOPIC + 16;
    pub(crate) const SHARD: usize = PARTITION + 4;
    pub(crate) const INDEX: usize = SHARD + 4;
    pub(crate) const BASE_OFFSET: usize = INDEX + 8;
    pub(crate) const LAST_OFFSET: usize = BASE_OFFSET + 8;
    pub(crate) const MAX_TIMESTAMP: usize = LAST_OFFSET + 8;
    pub(crate) const POSITION: usize = MAX_TIMESTAMP + 8;
    pub(crate) const BYTES: usize = POSITION + 8;
    pub(crate) const CRC: usize = BYTES + 4;
    pub(crate) const END: usize = CRC + 4;
}

/// Bytes of a partition row.
pub const PARTITION_ROW_BYTES: usize = partition_at::END;
/// Bytes of a block row.
pub const BLOCK_ROW_BYTES: usize = block_at::END;
const _: () = assert!(PARTITION_ROW_BYTES == 64 && BLOCK_ROW_BYTES == 72);
/// One partition of an object.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PartitionRow {
    /// Which.
    pub partition: PartitionKey,
    /// Number of its first block, counted over the object.
    pub first_block: u32,
    /// First offset of its first batch.
    pub base_offset: i64,
    /// Last offset of its last batch.
    pub last_offset: i64,
    /// Kafka's largest timestamp of all its batches, ms.
    pub max_timestamp_ms: i64,
    /// How many blocks; at least 1.
    pub blocks: u32,
    /// How many batches; at least one a block.
    pub batches: u32,
    /// Its blocks, heads included: they lie back to back.
    pub len_bytes: u32,
}

/// One block of an object: an entry of the sparse index by offset and time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BlockRow {
    /// Whose batches.
    pub partition: PartitionKey,
    /// The object's shard.
    pub shard: ShardId,
    /// Index of the entry that holds its first batch.
    pub index: Index,
    /// First offset of its first batch.
    pub base_offset: i64,
    /// Last offset of its last batch.
    pub last_offset: i64,
    /// Kafka's largest timestamp of its batches, ms.
    pub max_timestamp_ms: i64,
    /// Where its head starts in the object.
    pub position: u64,
    /// Head and batches.
    pub len_bytes: u32,
    /// The checksum in its head.
    pub checksum: u32,
}

impl BlockRow {
    /// Offset in the object after its last byte.
    #[must_use]
    pub fn end(&self) -> u64 {
        self.position + u64::from(self.len_bytes)
    }
}

impl PartitionRow {
    pub(crate) fn encode(&self) -> [u8; PARTITION_ROW_BYTES] {
        let mut to = [0; PARTITION_ROW_BYTES];
        put_partition(&mut to, &self.partition);
        set_u32(&mut to, partition_at::FIRST_BLOCK, self.first_block);
        set_u64(&mut to, partition_at::BASE_OFFSET, self.base_offset.cast_unsigned());
        set_u64(&mut to, partition_at::LAST_OFFSET, self.last_offset.cast_unsigned());
        set_u64(&mut to, partition_at::MAX_TIMESTAMP, self.max_timestamp_ms.cast_unsigned());
        set_u32(&mut to, partition_at::BLOCKS, self.blocks);
        set_u32(&mut to, partition_at::BATCHES, self.batches);
        set_u32(&mut to, partition_at::BYTES, self.len_bytes);
        to
    }

    /// `from` has at least [`PARTITION_ROW_BYTES`]. The reserved bytes are the caller's to check.
    pub(crate) fn get(from: &[u8]) -> PartitionRow {
        PartitionRow {
            partition: get_partition(from),
            first_block: get_u32(from, partition_at::FIRST_BLOCK),
            base_offset: get_i64(from, partition_at::BASE_OFFSET),
            last_offset: get_i64(from, partition_at::LAST_OFFSET),
            max_timestamp_ms: get_i64(from, partition_at::MAX_TIMESTAMP),
            blocks: get_u32(from, partition_at::BLOCKS),
            batches: get_u32(from, partition_at::BATCHES),
            len_bytes: get_u32(from, partition_at::BYTES),
        }
    }

    /// What the manifest keeps of it.
    #[must_use]
    pub fn manifest(&self) -> ManifestRow {
        ManifestRow {
            partition: self.partition,
            len_bytes: self.len_bytes,
            base_offset: self.base_offset,
            last_offset: self.last_offset,
            max_timestamp_ms: self.max_timestamp_ms,
        }
    }
}

impl BlockRow {
    pub(crate) fn encode(&self) -> [u8; BLOCK_ROW_BYTES] {
        let mut to = [0; BLOCK_ROW_BYTES];
        put_partition(&mut to, &self.partition);
        set_u32(&mut to, block_at::SHARD, self.shard.0);
        set_u64(&mut to, block_at::INDEX, self.index.0);
        set_u64(&mut to, block_at::BASE_OFFSET, self.base_offset.cast_unsigned());
        set_u64(&mut to, block_at::LAST_OFFSET, self.last_offset.cast_unsigned());
        set_u64(&mut to, block_at::MAX_TIMESTAMP, self.max_timestamp_ms.cast_unsigned());
        set_u64(&mut to, block_at::POSITION, self.position);
        set_u32(&mut to, block_at::BYTES, self.len_bytes);
        set_u32(&mut to, block_at::CRC, self.checksum);
        to
    }

    /// `from` has at least [`BLOCK_ROW_BYTES`].
    pub(crate) fn get(from: &[u8]) -> BlockRow {
        BlockRow {
            partition: get_partition(from),
            shard: ShardId(get_u32(from, block_at::SHARD)),
            index: Index(get_u64(from, block_at::INDEX)),
            base_offset: get_i64(from, block_at::BASE_OFFSET),
            last_offset: get_i64(from, block_at::LAST_OFFSET),
            max_timestamp_ms: get_i64(from, block_at::MAX_TIMESTAMP),
            position: get_u64(from, block_at::POSITION),
            len_bytes: get_u32(from, block_at::BYTES),
            checksum: get_u32(from, block_at::CRC),
        }
    }
}
