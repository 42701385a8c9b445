//! What a lane wants kept beside its log, piece by piece, and what became of it.
//!
//! ```text
//! lane ── StateWork ──▶ somebody who may wait (the daemon's keeper), in this order
//! lane ◀── StateKept ── Request::Kept, answered at once
//!
//! Keep    what changed of one shard, with the entry it reflects   ─▶ Written
//! Flush   everything kept so far survives any crash               ─▶ Flushed: the log may go
//!                                                                 └▶ Lost: begin again, whole
//! ```
//!
//! A *life* of the store ends when it fails or is thrown away: what was handed out under it is gone or
//! not to be trusted. [`StateKept::Lost`] names the next one, and the lane hands every state out whole.
//! Work and answers of an older life are passed over, so neither side asks the other what it still has.

use std::collections::BTreeMap;

use bytes::Bytes;
use holdfast_base::{ClusterId, Index, ReplicaId, ShardId, Term};
use holdfast_log::RowChange;

use crate::machines::ShardMachine;
use crate::store_work::StateCheckpoint;

/// One thing to do.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum StateWork {
    /// Write in one piece.
    Keep(KeptChanges),
    /// Make everything written so far durable.
    Flush {
        /// Of the store.
        life: u64,
    },
}

/// What changed of one replica's state.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct KeptChanges {
    /// Of the store.
    pub life: u64,
    /// The cluster.
    pub cluster: ClusterId,
    /// The shard.
    pub shard: ShardId,
    /// The replica.
    pub replica: ReplicaId,
    /// The entry that the state reflects with these changes.
    pub applied: Index,
    /// Term of that entry.
    pub term: Term,
    /// Newest entry time it reflects.
    pub time_ms: i64,
    /// These are all rows: they take the place of whatever was kept.
    pub whole: bool,
    /// The changes.
    pub rows: Vec<RowChange>,
}

/// What became of a [`StateWork`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum StateKept {
    /// Changes of this shard are written.
    Written {
        /// Of the store.
        life: u64,
        /// The shard.
        shard: ShardId,
    },
    /// Everything written before the flush was asked for survives any crash.
    Flushed {
        /// Of the store.
        life: u64,
    },
    /// The store begins again under this life.
    Lost {
        /// The new one.
        life: u64,
    },
}

/// The states that a lane starts from.
#[derive(Debug, Default)]
pub struct KeptStates {
    /// From beside the log.
    pub local: BTreeMap<ShardId, LocalState>,
    /// From the object store, for shards without a local one.
    pub checkpoints: BTreeMap<ShardId, StateCheckpoint>,
    /// Somebody takes [`StateWork`]; without one, and without an object store, nothing is handed out.
    pub keeps: bool,
}

/// The state of one replica, read from beside the log.
#[derive(Debug)]
pub struct LocalState {
    pub(crate) machine: ShardMachine,
    pub(crate) applied: Index,
    pub(crate) term: Term,
    pub(crate) time_ms: i64,
}

impl LocalState {
    /// The state whose rows these are, in the order of their keys, as of an entry.
    ///
    /// # Errors
    /// When they make no state; in words, for the journal.
    pub fn from_rows(
        shard: ShardId,
        (applied, term, time_ms): (Index, Term, i64),
        rows: Vec<(Bytes, Bytes)>,
    ) -> Result<LocalState, String> {
        let machine = ShardMachine::from_rows(shard, rows)?;
        let newest = machine.data().map_or(Index(0), holdfast_log::Shard::applied);
        if newest > applied {
            return Err(format!("its rows are of entry {newest}, it says {applied}"));
        }
        Ok(LocalState { machine, applied, term, time_ms })
    }

    /// The entry it reflects.
    #[must_use]
    pub fn applied(&self) -> Index {
        self.applied
    }
}
