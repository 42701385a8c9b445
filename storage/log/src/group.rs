//! Consumer groups as rows of a data shard: what of a group outlives its coordinator.
//!
//! ```text
//! slot 0..50 ─▶ group id ─▶ record   generation, protocol, members, assignment   PutGroup
//!                          └▶ offsets (topic id, partition) ─▶ row               CommitOffsets
//! ```
//!
//! Idea (`semantics.md` 13): members, generation, assignment and offsets are entries; heartbeats and
//! session timers are not, so an idle group writes nothing. Whoever leads the slot's shard rebuilds
//! its coordinator from these rows and restarts every session in full. The rules of rebalancing are
//! the coordinator's (`daemon/coordinator`); here a record is put whole, as Kafka writes it.
//!
//! Invariants: topic ids, never names. A row's commit time is its entry's time. A record without
//! members keeps the time it became empty, from which its offsets expire.

use bytes::Bytes;
use holdfast_base::PartitionKey;

/// What is durable of a group's membership: one generation, whole.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct GroupRecord {
    /// `consumer`, `connect`; empty when no member ever said.
    pub protocol_type: String,
    /// Grows with every rebalance.
    pub generation: i32,
    /// The assignor chosen; `None` while there are no members.
    pub protocol: Option<String>,
    /// The member that assigned.
    pub leader: Option<String>,
    /// Ascending by member id, each once.
    pub members: Vec<GroupMember>,
}

/// A member as its group remembers it.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct GroupMember {
    /// Given by the coordinator.
    pub member_id: String,
    /// `group.instance.id` of a static member.
    pub instance_id: Option<String>,
    /// As the client calls itself.
    pub client_id: String,
    /// Where it connects from.
    pub client_host: String,
    /// Silence after which it is out.
    pub session_timeout_ms: i32,
    /// How long a rebalance waits for it.
    pub rebalance_timeout_ms: i32,
    /// Its metadata under the protocol chosen. Opaque.
    pub subscription: Bytes,
    /// What the leader gave it. Opaque.
    pub assignment: Bytes,
}

/// A committed offset.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct OffsetRow {
    /// Where the group goes on.
    pub offset: i64,
    /// Leader epoch of the record before it, -1 unknown.
    pub leader_epoch: i32,
    /// The client's own words, at most `offset.metadata.max.bytes`.
    pub metadata: String,
    /// Entry time of the commit.
    pub committed_at_ms: i64,
}

/// One offset to commit.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NewOffset {
    /// Which partition.
    pub partition: PartitionKey,
    /// As in [`OffsetRow`].
    pub offset: i64,
    /// As in [`OffsetRow`].
    pub leader_epoch: i32,
    /// As in [`OffsetRow`].
    pub metadata: String,
}
