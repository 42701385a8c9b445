//! What is wrong with an object, or with what should become one.

use holdfast_base::{Index, PartitionKey};
use thiserror::Error;

use crate::format::ObjectIdentity;

/// Why bytes are not the object asked for. Nothing of them may be served.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum ObjectError {
    /// The bytes end too early.
    #[error(
        "the object's {part} has {have} bytes of {need}; read it again, then from another copy"
    )]
    Truncated {
        /// Which structure.
        part: &'static str,
        /// Bytes there.
        have: u64,
        /// Bytes needed.
        need: u64,
    },
    /// No magic.
    #[error("the object's {part} is not one: no magic; another file has its name, or it was cut")]
    NotAnObject {
        /// Which structure.
        part: &'static str,
    },
    /// Written by a later build.
    #[error("the object has format version {version}, this build reads 1; use a later build")]
    UnknownVersion {
        /// As found, under a good checksum.
        version: u16,
    },
    /// A checksum does not match.
    #[error("the object's {part} is damaged: its checksum does not match; read another copy")]
    Damaged {
        /// Which structure.
        part: &'static str,
    },
    /// Checksums match, and yet it cannot be: written wrongly, or on purpose.
    #[error("the object's {part} cannot be true: {what}; it was not made by a working node")]
    Lies {
        /// Which structure.
        part: &'static str,
        /// What cannot be.
        what: &'static str,
    },
    /// A good object, but another one: keys were swapped, or the store serves the wrong one.
    #[error("asked for object {} of shard {} in cluster {}, got object {} of shard {} in cluster {}; \
             were keys swapped in the store?",
             .asked.object, .asked.shard, .asked.cluster, .found.object, .found.shard, .found.cluster)]
    WrongObject {
        /// By its key.
        asked: Box<ObjectIdentity>,
        /// By its trailer.
        found: Box<ObjectIdentity>,
    },
}

impl ObjectError {
    /// Whether the same GET may bring better bytes: damage may have happened on the way. A lie
    /// under good checksums, or a later version, is read the same for ever.
    #[must_use]
    pub fn is_worth_reading_again(&self) -> bool {
        match self {
            ObjectError::Truncated { .. }
            | ObjectError::NotAnObject { .. }
            | ObjectError::Damaged { .. }
            | ObjectError::WrongObject { .. } => true,
            ObjectError::UnknownVersion { .. } | ObjectError::Lies { .. } => false,
        }
    }
}

/// Why entries do not become an object. The log that says so is broken, or its reader is: stop,
/// nothing has left the node.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum BuildError {
    /// A hole, or the same entry twice.
    #[error(
        "entry {got} came where entry {expected} was due; an object has every entry of its range"
    )]
    IndexGap {
        /// Due.
        expected: Index,
        /// Came.
        got: Index,
    },
    /// A term below that of the entry before.
    #[error("entry {at} has a lower term than the entry before it; the log is broken")]
    TermBackwards {
        /// Where.
        at: Index,
    },
    /// Offsets of a partition do not ascend.
    #[error("{partition}: a batch begins at offset {base_offset}, not after {previous}")]
    OffsetBackwards {
        /// Which.
        partition: PartitionKey,
        /// Of the batch.
        base_offset: i64,
        /// Last offset of the batch before.
        previous: i64,
    },
    /// A batch that no log can hold.
    #[error("{partition}: a batch at offset {base_offset} is impossible: {what}")]
    ImpossibleBatch {
        /// Which.
        partition: PartitionKey,
        /// Where.
        base_offset: i64,
        /// Why.
        what: &'static str,
    },
    /// An entry by itself is too much for an object.
    #[error("entry {at} has {bytes} bytes in {batches} batches, more than an object takes")]
    EntryTooLarge {
        /// Which.
        at: Index,
        /// Of its batches.
        bytes: u64,
        /// How many.
        batches: usize,
    },
    /// An object without batches holds nothing.
    #[error("the entries have no batches; there is nothing to upload")]
    NothingToUpload,
    /// Bytes of a batch are not what the log says of them: do not make damage permanent.
    #[error(
        "{partition}: the bytes of the batch at offset {base_offset} are wrong: {what}; \
             read them from another replica"
    )]
    WrongBytes {
        /// Which.
        partition: PartitionKey,
        /// Where.
        base_offset: i64,
        /// Why.
        what: &'static str,
    },
    /// Fewer or more bytes of batches came than planned.
    #[error("the plan has {expected} batches, {got} came")]
    WrongCount {
        /// Planned.
        expected: usize,
        /// Came.
        got: usize,
    },
}
