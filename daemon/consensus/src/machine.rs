//! The contract between the driver and a shard's state machine.

use holdfast_base::{Index, Term};
use holdfast_wal::{Extent, Locator};
use thiserror::Error;

/// A committed entry that counts: it was decided in the term it was committed in.
#[derive(Clone, Copy, Debug)]
pub struct Committed<'a> {
    /// Its place.
    pub index: Index,
    /// Its term.
    pub term: Term,
    /// Entry time, ms; never less than the entry before.
    pub time_ms: i64,
    /// The commands, as the leader decided them.
    pub commands: &'a [u8],
    /// Where its payload lies in this node's WAL.
    pub payload: Extent,
}

/// Why a replica must stop: its state or its log cannot be trusted. The process and the other
/// shards go on; an operator sees the reason and replaces the replica.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
#[error("replica quarantined: {0}")]
pub struct Quarantine(pub String);

/// Where a replica begins: a state, and how much of the log is still wanted.
///
/// ```text
/// 1 ...... trimmed │ ...... read_from │ ............... applied │ ............ last
///  not in the WAL  │    not read      │ read: `recall` only     │ read: `apply` from here
/// ```
///
/// Invariant: `read_from ≤ applied`, each with the term of its entry. A state older than what the
/// WAL has let go of, or newer than its end, is refused: the replica is quarantined.
#[derive(Debug)]
pub struct Start<M> {
    /// The state.
    pub machine: M,
    /// The entry it reflects; 0 for an empty one.
    pub applied: Index,
    /// Term of that entry.
    pub term: Term,
    /// Entry time of the newest entry it reflects.
    pub time_ms: i64,
    /// Nothing up to here is wanted from the log any more.
    pub read_from: Index,
    /// Term of that entry.
    pub read_from_term: Term,
}

impl<M> Start<M> {
    /// A state before its first entry: the whole log is read.
    pub fn empty(machine: M) -> Start<M> {
        let (none, no_term) = (Index(0), Term(0));
        Start {
            machine,
            applied: none,
            term: no_term,
            time_ms: 0,
            read_from: none,
            read_from_term: no_term,
        }
    }
}

/// A deterministic state machine.
///
/// - `apply` is *total*: every decodable command has a defined result, and a refusal is a result.
/// - `apply` is *closed*: it reads the entry and its own state; no clock, no image, no payload.
/// - The same entries in the same order give the same [`Machine::hash`] on every replica.
pub trait Machine {
    /// What a committed entry did, for the leader's pending answers and the read index.
    type Outcome;

    /// Applies one entry. Entries come in index order, each once.
    ///
    /// # Errors
    /// Only for a broken invariant of the replica's own state or undecodable commands.
    fn apply(&mut self, entry: Committed<'_>) -> Result<Self::Outcome, Quarantine>;

    /// What an entry that is part of this state already left behind: for those who index payloads.
    /// Changes nothing.
    ///
    /// # Errors
    /// As [`Machine::apply`].
    fn recall(&self, entry: Committed<'_>) -> Result<Self::Outcome, Quarantine>;

    /// Where record batches lie in the payload of an entry with these commands, for the WAL's
    /// sealed index. Never fails: undecodable commands have none.
    fn locators(&self, commands: &[u8]) -> Vec<Locator>;

    /// Whether a payload read back from the device is the one these commands came with. Asked before
    /// a follower is fed with it: a damaged copy must not become two.
    fn is_whole(&self, commands: &[u8], payload: &[u8]) -> bool {
        let _ = (commands, payload);
        true
    }

    /// A hash of the whole state; compared among replicas.
    fn hash(&self) -> u64;
}
