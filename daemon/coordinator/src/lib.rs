//! The coordinator of consumer groups: who is in, who has which generation, who gets what.
//!
//! ```text
//! lane ─ call, Now ─▶ Coordinator ─▶ Effect::Store   a PutGroup entry to propose
//!      ─ stored? ───▶     │       └▶ Effect::Answer  a parked or immediate answer
//!      ─ tick ──────▶     └─ next_wake_ns
//! ```
//!
//! Idea: Kafka's classic rebalance protocol (KIP-62, 134, 345, 394, 559, 800, 814) as a pure state machine.
//! One lives beside each data shard this node leads, from the moment it leads until it does not;
//! it is rebuilt from the shard's applied rows, so nothing is replayed. Time, randomness and the
//! durability of what it wrote are arguments.
//!
//! Invariants: a call is answered exactly once; an assignment is told only after the entry that
//! holds it is committed (a generation's number is told before, as in Kafka: see `join.rs`);
//! heartbeats write nothing.

mod call;
mod settings;

mod coordinator;

mod group;
mod member;

mod alive;
mod join;
mod leave;
mod rebalance;
mod sync;

mod deadlines;
mod record;
mod subscription;
mod turn;

#[cfg(test)]
mod tests;

pub use call::{
    Caller, Description, GroupAnswer, GroupCall, GroupError, GroupState, Heartbeat, Join, Joined,
    JoinedMember, Leave, LeavingMember, Listed, MemberDescription, Sync, Synced,
};
pub use coordinator::{Coordinator, Effect, WriteId};
pub use settings::{GROUP_RECORD_MAX_BYTES, GroupSettings};
