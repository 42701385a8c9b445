//! What this room asks the shard's log to say: the life of an object as commands.
//!
//! ```text
//!                 PUT, read back                    readers done, no checkpoint names it
//! Intent ───────────────▶ Manifest ──▶ (served) ──▶ Retire ─────▶ DELETE ─────▶ Gone
//!    └── given up ──▶ Abandon ─────▶ DELETE, again after 24 h ──────────────────▲
//! ```
//!
//! An intent stands in the log before the PUT, so that whatever lies in the store under a name of
//! ours has an entry that explains it. A manifest without an open intent is a no-op: a leader that
//! was deposed during its PUT cannot commit. Kinds and the six bytes in front of each body are
//! `storage/log`'s; here are the bodies.
//!
//! Invariants: rows of a manifest ascend by partition, each once; a body is read to its last byte;
//! decoding allocates by bytes that are there. The shard and cluster are those of the log.

use holdfast_base::{ClusterId, Index, PartitionKey, ShardId, Term};
use thiserror::Error;

use crate::format::TRAILER_BYTES;
use crate::format::rows::ManifestRow;
use crate::format::{
    MANIFEST_ROW_BYTES, ObjectId, ObjectIdentity, get_16, get_i64, get_u32, get_u64,
};
use crate::limits::{NUMBER_MAX, OBJECT_BYTES_MAX, OBJECT_BYTES_MIN, OBJECT_PARTITIONS_MAX};

/// An object of these entries is about to be put.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Intent {
    /// Its name.
    pub object: ObjectId,
    /// Of the leader that puts it.
    pub term: Term,
    /// Counted by that leader.
    pub sequence: u64,
    /// First entry.
    pub first_index: Index,
    /// Last entry.
    pub last_index: Index,
}

/// The object of an intent is in the store and was read back: what it holds.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Manifest {
    /// Named by an open intent.
    pub object: ObjectId,
    /// Its length.
    pub object_bytes: u64,
    /// Its footer and trailer: what a reader GETs first.
    pub tail_bytes: u32,
    /// Of the whole object.
    pub sha256: [u8; 32],
    /// As in its head.
    pub created_ms: i64,
    /// Term of its last entry.
    pub last_term: Term,
    /// One for each partition, ascending.
    pub rows: Vec<ManifestRow>,
}

/// A later step in the life of an object.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ObjectStep {
    /// Which object.
    pub object: ObjectId,
    /// The step.
    pub step: Step,
}

/// See [`ObjectStep`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Step {
    /// An intent will not be carried out; what may lie in the store is to be deleted.
    Abandon,
    /// Nobody may begin to read it any more.
    Retire,
    /// It was deleted from the store.
    Gone,
}

/// Why bytes are not the command.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
#[error(
    "the body of {command} cannot be read: {what}; it was written by another build, or damaged"
)]
pub struct CommandError {
    /// Which.
    pub command: &'static str,
    /// What is wrong.
    pub what: &'static str,
}

/// Offsets in an intent.
pub(crate) mod intent_at {
    pub(crate) const OBJECT: usize = 0;
    pub(crate) const TERM: usize = OBJECT + 16;
    pub(crate) const SEQUENCE: usize = TERM + 8;
    pub(crate) const FIRST_INDEX: usize = SEQUENCE + 8;
    pub(crate) const LAST_INDEX: usize = FIRST_INDEX + 8;
    pub(crate) const END: usize = LAST_INDEX + 8;
}

/// Offsets in a manifest, before its rows.
pub(crate) mod manifest_at {
    pub(crate) const OBJECT: usize = 0;
    pub(crate) const OBJECT_BYTES: usize = OBJECT + 16;
    pub(crate) const TAIL_BYTES: usize = OBJECT_BYTES + 8;
    pub(crate) const ROWS: usize = TAIL_BYTES + 4;
    pub(crate) const SHA256: usize = ROWS + 4;
    pub(crate) const CREATED: usize = SHA256 + 32;
    pub(crate) const LAST_TERM: usize = CREATED + 8;
    pub(crate) const END: usize = LAST_TERM + 8;
}

/// Offsets in a step.
pub(crate) mod step_at {
    pub(crate) const OBJECT: usize = 0;
    pub(crate) const STEP: usize = OBJECT + 16;
    pub(crate) const END: usize = STEP + 1;
}

impl Intent {
    /// The object's full name in the log of `shard`.
    #[must_use]
    pub fn identity(&self, cluster: ClusterId, shard: ShardId) -> ObjectIdentity {
        ObjectIdentity {
            cluster,
            shard,
            term: self.term,
            sequence: self.sequence,
            object: self.object,
        }
    }

    /// Appends the body.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.object.0);
        out.extend_from_slice(&self.term.0.to_le_bytes());
        out.extend_from_slice(&self.sequence.to_le_bytes());
        out.extend_from_slice(&self.first_index.0.to_le_bytes());
        out.extend_from_slice(&self.last_index.0.to_le_bytes());
    }

    /// Reads a body.
    ///
    /// # Errors
    /// When it is not one.
    pub fn decode(body: &[u8]) -> Result<Intent, CommandError> {
        let wrong = |what| CommandError { command: "Intent", what };
        if body.len() != intent_at::END {
            return Err(wrong("it has another length"));
        }
        let intent = Intent {
            object: ObjectId(get_16(body, intent_at::OBJECT)),
            term: Term(get_u64(body, intent_at::TERM)),
            sequence: get_u64(body, intent_at::SEQUENCE),
            first_index: Index(get_u64(body, intent_at::FIRST_INDEX)),
            last_index: Index(get_u64(body, intent_at::LAST_INDEX)),
        };
        if intent.first_index.0 == 0
            || intent.first_index > intent.last_index
            || intent.last_index.0 >= NUMBER_MAX
            || intent.term.0 >= NUMBER_MAX
        {
            return Err(wrong("its term or index range is impossible"));
        }
        Ok(intent)
    }
}

impl Manifest {
    /// Bytes of the body.
    #[must_use]
    pub fn encoded_len(&self) -> usize {
        manifest_at::END + self.rows.len() * MANIFEST_ROW_BYTES
    }

    /// Appends the body.
    ///
    /// # Panics
    /// When it has more rows than an object has partitions.
    pub fn encode(&self, out: &mut Vec<u8>) {
        assert!(self.rows.len() <= OBJECT_PARTITIONS_MAX, "an object has no more partitions");
        out.reserve(self.encoded_len());
        out.extend_from_slice(&self.object.0);
        out.extend_from_slice(&self.object_bytes.to_le_bytes());
        out.extend_from_slice(&self.tail_bytes.to_le_bytes());
        out.extend_from_slice(&(self.rows.len() as u32).to_le_bytes());
        out.extend_from_slice(&self.sha256);
        out.extend_from_slice(&self.created_ms.to_le_bytes());
        out.extend_from_slice(&self.last_term.0.to_le_bytes());
        for row in &self.rows {
            out.extend_from_slice(&row.encode());
        }
    }

    /// Reads a body.
    ///
    /// # Errors
    /// When it is not one.
    pub fn decode(body: &[u8]) -> Result<Manifest, CommandError> {
        let wrong = |what| CommandError { command: "Manifest", what };
        let Some((fixed, rows)) = body.split_at_checked(manifest_at::END) else {
            return Err(wrong("it ends within its fixed fields"));
        };
        let count = get_u32(fixed, manifest_at::ROWS) as usize;
        // By bytes that are there, not by the count: nothing is reserved before this holds.
        if count == 0 || count > OBJECT_PARTITIONS_MAX || rows.len() != count * MANIFEST_ROW_BYTES {
            return Err(wrong("its rows are none, too many, or not those it counts"));
        }
        let mut sha256 = [0; 32];
        sha256.copy_from_slice(&fixed[manifest_at::SHA256..manifest_at::CREATED]);
        let manifest = Manifest {
            object: ObjectId(get_16(fixed, manifest_at::OBJECT)),
            object_bytes: get_u64(fixed, manifest_at::OBJECT_BYTES),
            tail_bytes: get_u32(fixed, manifest_at::TAIL_BYTES),
            sha256,
            created_ms: get_i64(fixed, manifest_at::CREATED),
            last_term: Term(get_u64(fixed, manifest_at::LAST_TERM)),
            rows: rows.chunks_exact(MANIFEST_ROW_BYTES).map(ManifestRow::get).collect(),
        };
        manifest.check().map_err(wrong)?;
        Ok(manifest)
    }

    fn check(&self) -> Result<(), &'static str> {
        let tail = u64::from(self.tail_bytes);
        if !(OBJECT_BYTES_MIN..=OBJECT_BYTES_MAX).contains(&self.object_bytes)
            || tail <= TRAILER_BYTES as u64
            || tail >= self.object_bytes
            || self.last_term.0 >= NUMBER_MAX
        {
            return Err("its lengths or its term are impossible");
        }
        let mut previous: Option<PartitionKey> = None;
        let mut bytes = 0;
        for row in &self.rows {
            if row.partition.partition < 0 || previous.is_some_and(|last| last >= row.partition) {
                return Err("its partitions do not ascend");
            }
            if row.base_offset < 0
                || row.last_offset < row.base_offset
                || row.last_offset == i64::MAX
            {
                return Err("a partition's offsets are impossible");
            }
            previous = Some(row.partition);
            bytes += u64::from(row.len_bytes);
        }
        if bytes + tail + crate::format::HEAD_BYTES as u64 != self.object_bytes {
            return Err("its partitions do not have the bytes of the object");
        }
        Ok(())
    }
}

impl ObjectStep {
    /// Appends the body.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.object.0);
        out.push(match self.step {
            Step::Abandon => 1,
            Step::Retire => 2,
            Step::Gone => 3,
        });
    }

    /// Reads a body.
    ///
    /// # Errors
    /// When it is not one.
    pub fn decode(body: &[u8]) -> Result<ObjectStep, CommandError> {
        let wrong = |what| CommandError { command: "ObjectStep", what };
        if body.len() != step_at::END {
            return Err(wrong("it has another length"));
        }
        let step = match body[step_at::STEP] {
            1 => Step::Abandon,
            2 => Step::Retire,
            3 => Step::Gone,
            _ => return Err(wrong("its step is unknown")),
        };
        Ok(ObjectStep { object: ObjectId(get_16(body, step_at::OBJECT)), step })
    }
}
