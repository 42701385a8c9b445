//! Objects as the log of a shard tells of them: their names, and their lives as commands.
//!
//! ```text
//!                 PUT, read back                    readers done, no checkpoint names it
//! Intent ───────────────▶ Manifest ──▶ (served) ──▶ Retire ─────▶ DELETE ─────▶ Gone
//!    └── given up ──▶ Abandon ─────▶ DELETE, again after 24 h ──────────────────▲
//! ```
//!
//! An intent stands in the log before the PUT, so that whatever lies in the store under a name of
//! ours has an entry that explains it. A manifest without an open intent is a no-op: a leader that
//! was deposed during its PUT cannot commit. The bytes of objects themselves are `storage/tier`'s; here
//! are the bodies of the commands, as `storage/FORMAT.md` says.
//!
//! Invariants: rows of a manifest ascend by partition, each once; a body is read to its last byte;
//! decoding allocates by bytes that are there. The shard and cluster are those of the log.

use std::fmt;

use holdfast_base::{ClusterId, Index, PartitionKey, ShardId, Term, TopicId};
use thiserror::Error;

/// Partitions in one object: its manifest is one entry.
pub const OBJECT_PARTITIONS_MAX: usize = 1 << 14;
/// What the manifest's rows may take of an entry's 1 MiB of commands, which Raft copies.
const MANIFEST_ROWS_BYTES_MAX: usize = 768 << 10;
const _: () = assert!(OBJECT_PARTITIONS_MAX * MANIFEST_ROW_BYTES <= MANIFEST_ROWS_BYTES_MAX);
const _: () = assert!(MANIFEST_ROWS_BYTES_MAX < crate::ENTRY_COMMANDS_MAX_BYTES);
/// Objects of a shard announced at a time: what a new leader may have to abandon.
pub const OPEN_INTENTS_MAX: usize = 8;
/// No position, index or term reaches this; bytes that say so lie. Keeps sums from overflowing.
pub const NUMBER_MAX: u64 = 1 << 62;
/// What stands in front of an object's blocks.
pub const OBJECT_HEAD_BYTES: u64 = 128;
/// What stands behind its footer.
pub const OBJECT_TRAILER_BYTES: u64 = 192;

/// Names an object for ever; drawn at random by the leader that announced it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct ObjectId(pub [u8; 16]);

impl fmt::Display for ObjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for ObjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ObjectId({self})")
    }
}

/// Whose object it is and where it stands: what its key is made of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ObjectIdentity {
    /// The cluster.
    pub cluster: ClusterId,
    /// The shard whose batches it holds.
    pub shard: ShardId,
    /// The term of the leader that announced it.
    pub term: Term,
    /// Given by that leader; grows with the range of entries.
    pub sequence: u64,
    /// Its name.
    pub object: ObjectId,
}

/// One partition of a committed object, as every replica remembers it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ManifestRow {
    /// Which.
    pub partition: PartitionKey,
    /// Bytes of its blocks.
    pub len_bytes: u32,
    /// First offset.
    pub base_offset: i64,
    /// Last offset.
    pub last_offset: i64,
    /// Kafka's largest timestamp, ms.
    pub max_timestamp_ms: i64,
}

/// An object of these entries is about to be put.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Intent {
    /// Its name.
    pub object: ObjectId,
    /// Of the leader that puts it.
    pub term: Term,
    /// Given by that leader: its first entry; of a merge, the last entry applied when it was planned.
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

/// What the log says of an object, for who reads it whole.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ExpectedObject {
    /// Its name.
    pub identity: ObjectIdentity,
    /// Its length.
    pub object_bytes: u64,
    /// Its footer and trailer.
    pub tail_bytes: u32,
    /// Of all its bytes.
    pub sha256: [u8; 32],
    /// Those of its rows that can be read.
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

impl From<CommandError> for crate::BrokenInvariant {
    fn from(error: CommandError) -> Self {
        crate::BrokenInvariant::new(error.to_string())
    }
}

/// Offsets in the bodies, to be held against `storage/FORMAT.md`.
#[expect(missing_docs, reason = "the page says what each field is")]
pub mod layout;

use layout::{intent_at, manifest_at, row_at, step_at};

/// Bytes of a manifest row: state that every replica holds for as long as the data is kept.
pub const MANIFEST_ROW_BYTES: usize = row_at::END;
const _: () = assert!(MANIFEST_ROW_BYTES <= 48, "design: one row per partition, at most 48 bytes");

fn array<const N: usize>(from: &[u8], at: usize) -> [u8; N] {
    let mut bytes = [0; N];
    bytes.copy_from_slice(&from[at..at + N]);
    bytes
}

fn get_u32(from: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(array(from, at))
}

fn get_u64(from: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(array(from, at))
}

fn get_i64(from: &[u8], at: usize) -> i64 {
    i64::from_le_bytes(array(from, at))
}

impl ManifestRow {
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.partition.topic.0);
        out.extend_from_slice(&self.partition.partition.to_le_bytes());
        out.extend_from_slice(&self.len_bytes.to_le_bytes());
        out.extend_from_slice(&self.base_offset.to_le_bytes());
        out.extend_from_slice(&self.last_offset.to_le_bytes());
        out.extend_from_slice(&self.max_timestamp_ms.to_le_bytes());
    }

    /// `from` has at least [`MANIFEST_ROW_BYTES`].
    fn get(from: &[u8]) -> ManifestRow {
        let topic = TopicId(array(from, row_at::TOPIC));
        let partition = get_u32(from, row_at::PARTITION).cast_signed();
        ManifestRow {
            partition: PartitionKey { topic, partition },
            len_bytes: get_u32(from, row_at::BYTES),
            base_offset: get_i64(from, row_at::BASE_OFFSET),
            last_offset: get_i64(from, row_at::LAST_OFFSET),
            max_timestamp_ms: get_i64(from, row_at::MAX_TIMESTAMP),
        }
    }
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
            object: ObjectId(array(body, intent_at::OBJECT)),
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
            row.encode(out);
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
            object: ObjectId(array(fixed, manifest_at::OBJECT)),
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

    /// What no reader of it would take.
    pub(crate) fn check(&self) -> Result<(), &'static str> {
        if self.rows.is_empty() || self.rows.len() > OBJECT_PARTITIONS_MAX {
            return Err("its rows are none, or too many");
        }
        let tail = u64::from(self.tail_bytes);
        if self.object_bytes > u64::from(u32::MAX)
            || tail <= OBJECT_TRAILER_BYTES
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
        if bytes + tail + OBJECT_HEAD_BYTES != self.object_bytes {
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
        Ok(ObjectStep { object: ObjectId(array(body, step_at::OBJECT)), step })
    }
}
