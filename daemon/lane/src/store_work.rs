//! What a lane wants done with the object store and the state directory, and what became of it.
//!
//! ```text
//! lane ── StoreWork ──▶ somebody who may wait (the daemon's uploader)
//! lane ◀── Stored ───── Request::Stored, answered at once: its effect goes through the log
//!
//! Upload      an intent is committed    ─▶ Uploaded: the manifest is proposed
//!                                       └▶ NotUploaded: the intent is abandoned, cut anew
//! Merge       an intent is committed    ─▶ Merged: the manifest is proposed
//!                                       └▶ NotMerged: the intent is abandoned
//! Check       its turn, or a suspicion  ─▶ Checked: whole, or wrong
//! Repair      an intent is committed    ─▶ Repaired: the manifest is proposed
//!                                       └▶ NotRepaired: the intent is abandoned
//! Delete      nobody reads it any more  ─▶ Deleted: its row goes
//! Checkpoint  a state, as of an entry   ─▶ Checkpointed: the log may go up to there
//! ```
//!
//! Who does the work tries again for as long as it takes; what a lane asked for stays asked for
//! until it is answered or the lane loses the shard.

use std::sync::Arc;

use holdfast_base::{ClusterId, Index, PartitionKey, ReplicaId, ShardId, Term};
use holdfast_log::{ExpectedObject, Manifest, MergeSource, ObjectId, ObjectIdentity, ObjectKind};
use holdfast_wal::Extent;

/// One thing to do.
#[derive(Clone, Debug)]
pub enum StoreWork {
    /// Write an object and read it back.
    Upload(UploadJob),
    /// Write an object of parts of others and read it back.
    Merge(MergeJob),
    /// Read an object whole.
    Check(ExpectedObject),
    /// Write an object of the log in another one's place, and read it back whole.
    Repair(UploadJob),
    /// Remove an object; that there is none is as good.
    Delete {
        /// Whose it is.
        shard: ShardId,
        /// Its name.
        object: ObjectIdentity,
        /// What it was made of: who writes such objects deletes them, so that none is put behind its
        /// deletion.
        kind: ObjectKind,
    },
    /// Keep a state where a start finds it: beside the log, and in the store.
    Checkpoint(StateCheckpoint),
}

impl StoreWork {
    /// The object it writes.
    #[must_use]
    pub fn writes(&self) -> Option<ObjectId> {
        match self {
            StoreWork::Upload(job) | StoreWork::Repair(job) => Some(job.identity.object),
            StoreWork::Merge(job) => Some(job.identity.object),
            StoreWork::Check(_) | StoreWork::Delete { .. } | StoreWork::Checkpoint(_) => None,
        }
    }

    /// Whether `other` need not be done any more: it writes the object that this deletes.
    #[must_use]
    pub fn withdraws(&self, other: &StoreWork) -> bool {
        matches!(self, StoreWork::Delete { object, .. } if other.writes() == Some(object.object))
    }
}

/// An object that is announced.
#[derive(Clone, Debug)]
pub struct UploadJob {
    /// Its name.
    pub identity: ObjectIdentity,
    /// First entry.
    pub first_index: Index,
    /// Last entry.
    pub last_index: Index,
    /// Term of the last entry.
    pub last_term: Term,
    /// Entry time of its intent: the leader's wall, ms.
    pub created_ms: i64,
    /// The entries of the range that have batches, ascending.
    pub entries: Vec<UploadEntry>,
}

/// An object that is announced, to be made of others.
#[derive(Clone, Debug)]
pub struct MergeJob {
    /// Its name.
    pub identity: ObjectIdentity,
    /// First entry of any source.
    pub first_index: Index,
    /// Last entry of any source.
    pub last_index: Index,
    /// Term of that entry.
    pub last_term: Term,
    /// Entry time of its intent: the leader's wall, ms.
    pub created_ms: i64,
    /// What is read.
    pub sources: Vec<MergeSource>,
}

/// An object that is wrong now.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Finding {
    /// Which.
    pub object: ObjectIdentity,
    /// What is wrong with it.
    pub why: String,
    /// Why it is not made again from the log; `None` while it is.
    pub not_repairable: Option<String>,
    /// The records in it: partition, first offset, last offset.
    pub records: Vec<(PartitionKey, i64, i64)>,
}

/// An entry of an [`UploadJob`].
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct UploadEntry {
    /// Its place.
    pub index: Index,
    /// Its batches, as they lie.
    pub batches: Vec<UploadBatch>,
}

/// A batch of an [`UploadJob`].
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct UploadBatch {
    /// Its partition.
    pub partition: PartitionKey,
    /// Offset of its first record.
    pub base_offset: i64,
    /// Offset of its last record.
    pub last_offset: i64,
    /// As stored.
    pub leader_epoch: i32,
    /// As stored.
    pub max_timestamp_ms: i64,
    /// The WAL file.
    pub file: Arc<str>,
    /// Where in it.
    pub extent: Extent,
}

/// The applied state of one replica.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StateCheckpoint {
    /// The cluster.
    pub cluster: ClusterId,
    /// The shard.
    pub shard: ShardId,
    /// The replica.
    pub replica: ReplicaId,
    /// The entry it reflects.
    pub applied: Index,
    /// Term of that entry.
    pub term: Term,
    /// Newest entry time it reflects.
    pub time_ms: i64,
    /// The state machine's snapshot.
    pub state: Vec<u8>,
}

/// What became of a [`StoreWork`].
#[derive(Clone, Debug)]
pub enum Stored {
    /// The object is in the store and was read back.
    Uploaded {
        /// Whose it is.
        shard: ShardId,
        /// What it holds.
        manifest: Manifest,
    },
    /// It never will be: its batches could not be read.
    NotUploaded {
        /// Whose it is.
        shard: ShardId,
        /// Its name.
        object: ObjectId,
        /// For the journal.
        why: String,
    },
    /// The object is in the store and was read back.
    Merged {
        /// Whose it is.
        shard: ShardId,
        /// What it holds.
        manifest: Manifest,
    },
    /// It never will be: a source cannot be read. Sources stay as they are.
    NotMerged {
        /// Whose it is.
        shard: ShardId,
        /// Its name.
        object: ObjectId,
        /// The source.
        culprit: Option<ObjectId>,
        /// For the journal.
        why: String,
    },
    /// Somebody could not read this object.
    Suspected {
        /// Whose it is.
        shard: ShardId,
        /// Its name.
        object: ObjectId,
    },
    /// The object was read whole.
    Checked {
        /// Whose it is.
        shard: ShardId,
        /// Its name.
        object: ObjectId,
        /// How much of it was read.
        bytes: u64,
        /// What is wrong with it, if anything is.
        wrong: Option<String>,
    },
    /// The object is in the store and was read back whole.
    Repaired {
        /// Whose it is.
        shard: ShardId,
        /// What it holds.
        manifest: Manifest,
    },
    /// It never will be: the log cannot be read for it.
    NotRepaired {
        /// Whose it is.
        shard: ShardId,
        /// Its name.
        object: ObjectId,
        /// For the journal.
        why: String,
    },
    /// The object is not in the store any more.
    Deleted {
        /// Whose it was.
        shard: ShardId,
        /// Its name.
        object: ObjectId,
    },
    /// The state survives any crash from now on.
    Checkpointed {
        /// Of which shard.
        shard: ShardId,
        /// As of which entry.
        applied: Index,
    },
}
