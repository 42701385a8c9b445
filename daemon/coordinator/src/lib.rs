//! The coordinator of consumer groups: who is in, who has which generation, who gets what.
//!
//! ```text
//! lane ─ call, Now ─▶ Coordinator ─▶ Effect::Store   a PutGroup entry to propose
//!      ─ stored? ───▶     │       └▶ Effect::Answer  a parked or immediate answer
//!      ─ tick ──────▶     └─ next_wake_ns
//! ```
//!
//! Idea: Kafka's classic rebalance protocol (KIP-62, 134, 345, 394, 800) as a pure state machine.
//! One lives beside each data shard this node leads, from the moment it leads until it does not;
//! it is rebuilt from the shard's applied rows, so nothing is replayed. Time, randomness and the
//! durability of what it wrote are arguments.
//!
//! Invariants: a call is answered exactly once; an answer that tells of a generation goes out only
//! after the entry that holds it is committed; heartbeats write nothing.

mod call;

pub use call::{
    Caller, Description, GroupAnswer, GroupCall, GroupError, GroupState, Heartbeat, Join, Joined,
    JoinedMember, Leave, LeavingMember, Listed, MemberDescription, Sync, Synced,
};
