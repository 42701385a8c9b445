//! One driver of raft-rs for all shards of a lane, over one WAL.
//!
//! ```text
//! propose(commands, payload) ─┐                         ┌─▶ Event::Applied (in index order)
//! step(peer message) ─────────┼─▶ raft-rs ─▶ Ready ─▶ WAL frame ─▶ durable ─▶ on_persist_ready
//! tick(now) ──────────────────┘                │                                  │
//!                              leader's messages go at once      persisted messages go now
//! ```
//!
//! The idea is Ongaro's Raft (thesis 10.2.1: the leader writes its own log in parallel with
//! replication) with two turns of ours:
//! - **An entry has two sections.** Only the command section (about 100 bytes a batch) is
//!   `Entry.data`, which raft-rs copies several times; the record bytes lie beside it in the
//!   frame buffer of the WAL, which is the [`TailCache`].
//! - **Every entry names who decided it** ([`Head`]). raft-rs 0.7 forwards a follower's proposals
//!   to the leader, and offsets decided by a deposed leader must not count: an entry whose
//!   deciding term is not its Raft term is a no-op on every replica alike.
//!
//! The driver does not know what commands mean: a [`Machine`] does. It never panics for one
//! shard's sake: a broken invariant, an undecodable committed entry or a panic inside raft-rs
//! quarantines that replica and the others go on.
//!
//! Caveats: snapshots, backfill and membership changes are not written yet (nothing is trimmed
//! while others vote, so a follower that was away is fed from the log); entries older than
//! the cache are read from the WAL inside the turn.

mod driver;
mod event;
mod head;
mod log_store;
mod machine;
mod message;
mod probes;
mod replica;
mod tail_cache;

pub use driver::Driver;
pub use event::{
    DriverConfig, DriverError, Event, LoggedEntry, PlantedBugs, ProposeError, Proposed, Reflects,
    ReplicaStatus,
};
pub use head::{HEAD_BYTES, Head};
pub use machine::{Committed, Machine, Quarantine, Start};
pub use message::{MessageError, PeerMessage, SentPayload};
pub use probes::Probes;
pub use replica::Role;
pub use tail_cache::TailCache;

#[cfg(test)]
mod tests;
