//! How large things may be, and why. A reader refuses what claims more; a writer never makes it.

use crate::format::TRAILER_BYTES;
use crate::format::{BLOCK_HEAD_BYTES, BLOCK_ROW_BYTES, HEAD_BYTES, PARTITION_ROW_BYTES};

/// An object is cut before the entry that would bring its batches above this. Large enough that a
/// busy shard makes one PUT a second, small enough that one is in flight within a node's memory.
pub const OBJECT_PAYLOAD_BYTES_CUT: u64 = 64 << 20;
/// The largest batch: Kafka's default for the largest request (`socket.request.max.bytes`).
pub const BATCH_BYTES_MAX: u32 = 100 << 20;
/// Batches of one object. An entry larger than the cut is an object of its own, and is one batch.
pub const OBJECT_PAYLOAD_BYTES_MAX: u64 = BATCH_BYTES_MAX as u64;
const _: () = assert!(OBJECT_PAYLOAD_BYTES_CUT <= OBJECT_PAYLOAD_BYTES_MAX);

/// Batches in one object: what a plan holds in memory (72 bytes each, so at most 18 MiB).
pub const OBJECT_BATCHES_MAX: usize = 1 << 18;
const _: () = assert!(OBJECT_BATCHES_MAX * size_of::<crate::plan::PlannedBatch>() <= 18 << 20);

pub use holdfast_log::OBJECT_PARTITIONS_MAX;

/// A block is closed before the batch that would bring its batches above this, so it has at most
/// so many or one batch. The unit of checksums and of the cache: a fetch of 1 MiB (a client's
/// default for a partition) reads a quarter too much at most, and heads and rows cost 0.05 %.
pub const BLOCK_PAYLOAD_BYTES_CUT: u32 = 256 << 10;
/// A block as it lies in an object.
pub const BLOCK_BYTES_MAX: u64 = BLOCK_HEAD_BYTES as u64 + BATCH_BYTES_MAX as u64;

/// Two neighbouring blocks of a partition hold more than the cut together, else they were one.
pub const OBJECT_BLOCKS_MAX: usize = OBJECT_PARTITIONS_MAX
    + 2 * (OBJECT_PAYLOAD_BYTES_MAX / BLOCK_PAYLOAD_BYTES_CUT as u64) as usize;
/// The footer of the largest object, 2.2 MiB: what a reader must be ready to hold.
pub const FOOTER_BYTES_MAX: usize =
    OBJECT_PARTITIONS_MAX * PARTITION_ROW_BYTES + OBJECT_BLOCKS_MAX * BLOCK_ROW_BYTES;
/// The largest object.
pub const OBJECT_BYTES_MAX: u64 = HEAD_BYTES as u64
    + OBJECT_PAYLOAD_BYTES_MAX
    + (OBJECT_BLOCKS_MAX * BLOCK_HEAD_BYTES + FOOTER_BYTES_MAX + TRAILER_BYTES) as u64;
/// The smallest: one batch that is nothing but its header.
pub const OBJECT_BYTES_MIN: u64 = (HEAD_BYTES
    + BLOCK_HEAD_BYTES
    + holdfast_batch::HEADER_BYTES
    + PARTITION_ROW_BYTES
    + BLOCK_ROW_BYTES
    + TRAILER_BYTES) as u64;
// A manifest row has 32 bits for the bytes of a partition, a trailer for those of the footer.
const _: () = assert!(OBJECT_BYTES_MAX < u32::MAX as u64);

/// The first GET of a reader: the last so many bytes. Holds the footer of 470 partitions.
pub const TAIL_BYTES: u64 = 64 << 10;
const _: () = assert!(TAIL_BYTES as usize >= TRAILER_BYTES + 470 * 136);

/// A part of a multipart upload; all are of this length but the last. S3 takes 5 MiB to 5 GiB and
/// at most 10,000 parts.
pub const PART_BYTES: u64 = 8 << 20;
const _: () = assert!(PART_BYTES >= 5 << 20 && OBJECT_BYTES_MAX / PART_BYTES < 10_000);
