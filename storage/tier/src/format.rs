//! Bytes of an object. `storage/FORMAT.md` is the reference for strangers; `format/tests.rs` holds
//! its offsets against these constants.
//!
//! ```text
//! 0      128                                                     footer offset        length - 192
//! | head | block | block | block | ... | block | partition rows 64*p | block rows 72*b | trailer |
//!          topic A, partition 0  |  A, 1 ...     sorted by partition   as blocks lie
//!
//! block:  | head 64 | batch | batch | ... |      one partition, ascending offsets
//! ```
//!
//! All numbers are little-endian; the batches inside are Kafka's and big-endian. Head, block head
//! and trailer begin with a magic and have at byte 60 a CRC-32C over all of the structure but the
//! CRC itself. Everything between head and trailer lies back to back, so that every byte belongs
//! to exactly one checksum, and the trailer's SHA-256 covers all before it.

use holdfast_base::{ClusterId, Index, PartitionKey, ShardId, Term, TopicId};

use crate::error::ObjectError;
use holdfast_log::NUMBER_MAX;

pub(crate) mod block;
pub(crate) mod rows;
#[cfg(test)]
mod tests;
pub(crate) mod trailer;

/// Version of everything in this module.
pub const FORMAT_VERSION: u16 = 1;

pub(crate) const HEAD_MAGIC: [u8; 8] = *b"HFOBJECT";

/// Offsets in the head. The trailer has the same fields at the same places.
pub(crate) mod head_at {
    pub(crate) const MAGIC: usize = 0;
    pub(crate) const VERSION: usize = MAGIC + 8;
    pub(crate) const FLAGS: usize = VERSION + 2;
    pub(crate) const SHARD: usize = FLAGS + 2;
    pub(crate) const CLUSTER: usize = SHARD + 4;
    pub(crate) const OBJECT: usize = CLUSTER + 16;
    pub(crate) const CREATED: usize = OBJECT + 16;
    pub(crate) const LENGTH: usize = CREATED + 8;
    pub(crate) const CRC: usize = LENGTH + 4;
    pub(crate) const TERM: usize = CRC + 4;
    pub(crate) const SEQUENCE: usize = TERM + 8;
    pub(crate) const FIRST_INDEX: usize = SEQUENCE + 8;
    pub(crate) const LAST_INDEX: usize = FIRST_INDEX + 8;
    pub(crate) const LAST_TERM: usize = LAST_INDEX + 8;
    pub(crate) const KEY_ID: usize = LAST_TERM + 8;
    pub(crate) const RESERVED: usize = KEY_ID + 16;
    pub(crate) const END: usize = RESERVED + 8;
}

/// Bytes of the head.
pub const HEAD_BYTES: usize = head_at::END;
const _: () = assert!(HEAD_BYTES == 128 && head_at::CRC == 60);
const _: () = assert!(HEAD_BYTES as u64 == holdfast_log::OBJECT_HEAD_BYTES);
const _: () = assert!(TRAILER_BYTES as u64 == holdfast_log::OBJECT_TRAILER_BYTES);

pub use block::BLOCK_HEAD_BYTES;
pub use holdfast_log::{ObjectId, ObjectIdentity};
pub use rows::{BLOCK_ROW_BYTES, PARTITION_ROW_BYTES};
pub use trailer::TRAILER_BYTES;

/// What the head and the trailer say alike.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ObjectHead {
    /// Whose it is.
    pub identity: ObjectIdentity,
    /// Holds all batches of the shard's entries from here ...
    pub first_index: Index,
    /// ... to here, `first_index <= last_index`.
    pub last_index: Index,
    /// Term of the entry at `last_index`.
    pub last_term: Term,
    /// Milliseconds since 1970, as the leader's wall said.
    pub created_ms: i64,
}

impl ObjectHead {
    /// Writes all fields but the checksum.
    pub(crate) fn put(&self, magic: &[u8; 8], length: u32, to: &mut [u8]) {
        let identity = &self.identity;
        to[head_at::MAGIC..head_at::VERSION].copy_from_slice(magic);
        set_u16(to, head_at::VERSION, FORMAT_VERSION);
        set_u32(to, head_at::SHARD, identity.shard.0);
        to[head_at::CLUSTER..head_at::OBJECT].copy_from_slice(&identity.cluster.0);
        to[head_at::OBJECT..head_at::CREATED].copy_from_slice(&identity.object.0);
        set_u64(to, head_at::CREATED, self.created_ms.cast_unsigned());
        set_u32(to, head_at::LENGTH, length);
        set_u64(to, head_at::TERM, identity.term.0);
        set_u64(to, head_at::SEQUENCE, identity.sequence);
        set_u64(to, head_at::FIRST_INDEX, self.first_index.0);
        set_u64(to, head_at::LAST_INDEX, self.last_index.0);
        set_u64(to, head_at::LAST_TERM, self.last_term.0);
    }

    /// The head as bytes.
    pub(crate) fn encode(&self) -> [u8; HEAD_BYTES] {
        let mut to = [0; HEAD_BYTES];
        self.put(&HEAD_MAGIC, HEAD_BYTES as u32, &mut to);
        set_checksum(&mut to);
        to
    }

    /// Reads the head at the front of an object.
    ///
    /// # Errors
    /// When the bytes are too few, of another kind or version, or damaged.
    pub fn decode(from: &[u8]) -> Result<ObjectHead, ObjectError> {
        ObjectHead::get(&HEAD_MAGIC, HEAD_BYTES, "head", from)
    }

    /// Reads and checks a head or trailer; `from` begins with it.
    pub(crate) fn get(
        magic: &[u8; 8],
        length: usize,
        part: &'static str,
        from: &[u8],
    ) -> Result<ObjectHead, ObjectError> {
        let Some(from) = from.get(..length) else {
            return Err(ObjectError::Truncated {
                part,
                have: from.len() as u64,
                need: length as u64,
            });
        };
        if from[head_at::MAGIC..head_at::VERSION] != magic[..] {
            return Err(ObjectError::NotAnObject { part });
        }
        if checksum(from) != get_u32(from, head_at::CRC) {
            return Err(ObjectError::Damaged { part });
        }
        // Only now: a version is believed from whole bytes alone.
        let version = get_u16(from, head_at::VERSION);
        if version != FORMAT_VERSION {
            return Err(ObjectError::UnknownVersion { version });
        }
        let head = ObjectHead {
            identity: ObjectIdentity {
                cluster: ClusterId(get_16(from, head_at::CLUSTER)),
                shard: ShardId(get_u32(from, head_at::SHARD)),
                term: Term(get_u64(from, head_at::TERM)),
                sequence: get_u64(from, head_at::SEQUENCE),
                object: ObjectId(get_16(from, head_at::OBJECT)),
            },
            first_index: Index(get_u64(from, head_at::FIRST_INDEX)),
            last_index: Index(get_u64(from, head_at::LAST_INDEX)),
            last_term: Term(get_u64(from, head_at::LAST_TERM)),
            created_ms: get_u64(from, head_at::CREATED).cast_signed(),
        };
        let zeros = get_u16(from, head_at::FLAGS) == 0
            && from[head_at::KEY_ID..head_at::END].iter().all(|byte| *byte == 0);
        let lie = if get_u32(from, head_at::LENGTH) as usize != length {
            "its length field is not its length"
        } else if !zeros {
            "it has flags or a key id that this build does not know"
        } else if head.first_index.0 == 0 || head.first_index > head.last_index {
            "its index range is empty"
        } else if head.last_index.0 >= NUMBER_MAX
            || head.last_term.0 >= NUMBER_MAX
            || head.identity.term.0 >= NUMBER_MAX
        {
            "an index or term is impossible"
        } else {
            return Ok(head);
        };
        Err(ObjectError::Lies { part, what: lie })
    }
}

/// CRC-32C over a structure but for the four bytes at 60 that hold it.
pub(crate) fn checksum(structure: &[u8]) -> u32 {
    let front = crc32c::crc32c(&structure[..head_at::CRC]);
    crc32c::crc32c_append(front, &structure[head_at::CRC + 4..])
}

pub(crate) fn set_checksum(structure: &mut [u8]) {
    let crc = checksum(structure);
    set_u32(structure, head_at::CRC, crc);
}

pub(crate) fn put_partition(to: &mut [u8], partition: &PartitionKey) {
    to[..16].copy_from_slice(&partition.topic.0);
    set_u32(to, 16, partition.partition.cast_unsigned());
}

pub(crate) fn get_partition(from: &[u8]) -> PartitionKey {
    PartitionKey { topic: TopicId(get_16(from, 0)), partition: get_u32(from, 16).cast_signed() }
}

pub(crate) fn set_u16(to: &mut [u8], at: usize, value: u16) {
    to[at..at + 2].copy_from_slice(&value.to_le_bytes());
}

pub(crate) fn set_u32(to: &mut [u8], at: usize, value: u32) {
    to[at..at + 4].copy_from_slice(&value.to_le_bytes());
}

pub(crate) fn set_u64(to: &mut [u8], at: usize, value: u64) {
    to[at..at + 8].copy_from_slice(&value.to_le_bytes());
}

fn array<const N: usize>(from: &[u8], at: usize) -> [u8; N] {
    let mut bytes = [0; N];
    bytes.copy_from_slice(&from[at..at + N]);
    bytes
}

pub(crate) fn get_16(from: &[u8], at: usize) -> [u8; 16] {
    array(from, at)
}

pub(crate) fn get_u16(from: &[u8], at: usize) -> u16 {
    u16::from_le_bytes(array(from, at))
}

pub(crate) fn get_u32(from: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(array(from, at))
}

pub(crate) fn get_u64(from: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(array(from, at))
}

pub(crate) fn get_i64(from: &[u8], at: usize) -> i64 {
    i64::from_le_bytes(array(from, at))
}
