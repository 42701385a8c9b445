//! What goes into a driver and what comes out: choices, events, refusals, status.

use bytes::Bytes;
use holdfast_base::{Index, ReplicaId, ShardId, Term};
use holdfast_wal::{Extent, WalError};
use thiserror::Error;

use crate::machine::Quarantine;
use crate::replica::Role;

/// Choices of a driver.
#[derive(Clone, Copy, Debug)]
pub struct DriverConfig {
    /// Bytes of payload kept in memory.
    pub tail_cache_bytes: u64,
    /// Commands and payload of one entry: what the WAL takes, less room for locators.
    pub entry_bytes_max: u64,
    /// Spreads elections; the only randomness of consensus.
    pub election_seed: u64,
    /// Bugs put in on purpose, to test the tests.
    pub planted: PlantedBugs,
}

/// Bugs that can be switched on at run time so that the simulation proves it would find them.
#[derive(Clone, Copy, Debug, Default)]
pub struct PlantedBugs {
    /// Votes and append acknowledgements go out before their frame is durable.
    pub acknowledge_before_flush: bool,
    /// A deposed leader's entries are applied although another term decided them.
    pub deciding_term_ignored: bool,
    /// A leader serves before it has applied its own empty entry.
    pub serves_before_own_entry: bool,
    /// Reads are answered however old the last quorum contact is.
    pub lease_ignored: bool,
    /// A state newer than the end of the log is believed to belong to it.
    pub state_beyond_log_believed: bool,
    /// A start forgets the entries before its state, whoever may still need them.
    pub entries_before_state_forgotten: bool,
}

/// What moved.
#[derive(Debug)]
pub enum Event<O> {
    /// An entry is committed and applied. Per shard in index order, each index once.
    Applied {
        /// The shard.
        shard: ShardId,
        /// Its place.
        index: Index,
        /// Its term: a pending answer keyed by another term at this index has failed.
        term: Term,
        /// Where its payload lies.
        payload: Extent,
        /// What it did; `None` for a leader's empty entry and for one decided in another term.
        outcome: Option<O>,
    },
    /// At a start: an entry that the state reflects already is still in the log. Per shard in index
    /// order, before the first [`Event::Applied`].
    Recalled {
        /// The shard.
        shard: ShardId,
        /// Its place.
        index: Index,
        /// Its term.
        term: Term,
        /// Where its payload lies.
        payload: Extent,
        /// What of it is still there; `None` as in [`Event::Applied`].
        outcome: Option<O>,
    },
    /// A replica's role, term or known leader changed.
    Role {
        /// The shard.
        shard: ShardId,
        /// The role now.
        role: Role,
        /// The term now.
        term: Term,
        /// The leader now, if one is known.
        leader: Option<ReplicaId>,
    },
    /// A replica stopped for good.
    Quarantined {
        /// The shard.
        shard: ShardId,
        /// Why.
        why: Quarantine,
    },
    /// The WAL's device failed: nothing more is acknowledged from this lane.
    LaneFailed(WalError),
}

/// Where an accepted proposal will be, if it commits.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Proposed {
    /// The term it was decided in.
    pub term: Term,
    /// Its index.
    pub index: Index,
}

/// Why nothing was proposed. Nothing happened.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum ProposeError {
    /// This replica does not lead, or has not applied its own empty entry.
    #[error("this replica does not lead the shard")]
    NotLeader,
    /// The quorum's WALs cannot take it.
    #[error("the write-ahead logs of a quorum are full")]
    Full,
    /// No WAL segment can take an entry of that size.
    #[error("the entry is larger than a segment of the write-ahead log takes")]
    TooLarge,
    /// raft-rs would not take it (transfer of leadership, uncommitted backlog).
    #[error("the shard takes no proposals just now")]
    Dropped,
}

/// The lane cannot go on.
#[derive(Debug, Error)]
pub enum DriverError {
    /// The WAL.
    #[error(transparent)]
    Wal(#[from] WalError),
    /// raft-rs refused its configuration or the recovered state.
    #[error("shard {shard}: raft-rs does not start: {why}")]
    Raft {
        /// The shard.
        shard: ShardId,
        /// Its words.
        why: String,
    },
}

/// Which entry a replica's state reflects.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Reflects {
    /// The replica.
    pub replica: ReplicaId,
    /// The entry; 0 none.
    pub applied: Index,
    /// Its term.
    pub term: Term,
    /// Newest entry time of this log. May belong to an entry that is not applied yet: later ones
    /// are never less.
    pub time_ms: i64,
}

/// One replica, for status pages.
#[derive(Clone, Debug)]
pub struct ReplicaStatus {
    /// The shard.
    pub shard: ShardId,
    /// The replica.
    pub replica: ReplicaId,
    /// Its role.
    pub role: Role,
    /// Its term.
    pub term: Term,
    /// The leader it knows.
    pub leader: Option<ReplicaId>,
    /// Newest applied index.
    pub applied: Index,
    /// Newest committed index it knows.
    pub committed: Index,
    /// Newest index of its log.
    pub last: Index,
    /// Newest index of its log that is on stable media.
    pub persisted: Index,
    /// Why it stopped, if it did.
    pub quarantine: Option<Quarantine>,
}

/// An entry as the log of a replica has it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LoggedEntry {
    /// Its place.
    pub index: Index,
    /// Its term.
    pub term: Term,
    /// Its commands; empty where it has none, or was decided in another term and did nothing.
    pub commands: Bytes,
    /// Where its payload lies.
    pub payload: Extent,
}
