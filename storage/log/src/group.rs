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
//! When a group is empty, and since when:
//!
//! ```text
//! record   members   came by                             empty since
//! none     -         its first committed offset          that entry's time
//! there    none      the first such record               that entry's time, kept by later ones
//! there    some      PutGroup                            not empty
//! ```
//!
//! Invariants: topic ids, never names. A row's commit time is its entry's time. A record without
//! members keeps the time it became empty, from which its offsets expire. A group has a record or
//! offsets: what is left with neither is no group.

mod encoding;
mod expiry;

use std::collections::BTreeMap;

use bytes::Bytes;
use holdfast_base::{Index, PartitionKey};

use crate::refusal::Refused;

pub(crate) use encoding::{
    put_new_offset, put_partition_key, put_record, put_text, read_new_offset, read_partition_key,
    read_record, read_text,
};
pub use expiry::{
    EXPIRED_OFFSETS_MAX, Expired, Expiry, expire_groups, offsets_expired, offsets_of_topics,
};

/// Ids, names and offset metadata: no string of Kafka's protocol is longer, so a client cannot
/// have one that does not fit. `offset.metadata.max.bytes` is the broker's, and lower.
pub const GROUP_TEXT_MAX_BYTES: usize = 32_767;
/// A record's bytes in its command: about 4,000 members of 200 bytes. Kafka's limit is its
/// `max.message.bytes`, 1 MiB; ours leaves the rest of an entry to other commands.
pub const GROUP_RECORD_MAX_BYTES: usize = 768 << 10;

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

/// A group as applied: what a coordinator starts from.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Group {
    /// `None` while it only ever committed (consumers that assign themselves).
    pub(crate) record: Option<GroupRecord>,
    /// See the table above. `None` exactly while there are members.
    pub(crate) empty_since_ms: Option<i64>,
    pub(crate) offsets: BTreeMap<PartitionKey, OffsetRow>,
    /// The last entry that put a record or offsets here: what a sweep planned before it is void.
    pub(crate) changed_at: Index,
}

impl Group {
    /// Its membership; `None` while it only ever committed offsets.
    #[must_use]
    pub fn record(&self) -> Option<&GroupRecord> {
        self.record.as_ref()
    }

    /// Since when it has no members; `None` while it has some.
    #[must_use]
    pub fn empty_since_ms(&self) -> Option<i64> {
        self.empty_since_ms
    }

    /// Someone is in it.
    #[must_use]
    pub fn has_members(&self) -> bool {
        self.record.as_ref().is_some_and(|record| !record.members.is_empty())
    }

    /// Committed offsets, ascending by partition.
    pub fn offsets(&self) -> impl ExactSizeIterator<Item = (&PartitionKey, &OffsetRow)> {
        self.offsets.iter()
    }

    /// The committed offset of one partition.
    #[must_use]
    pub fn offset(&self, partition: &PartitionKey) -> Option<&OffsetRow> {
        self.offsets.get(partition)
    }

    /// The entry that last put its record or committed an offset.
    #[must_use]
    pub fn changed_at(&self) -> Index {
        self.changed_at
    }

    /// Neither record nor offsets: it must not stay.
    pub(crate) fn is_nothing(&self) -> bool {
        self.record.is_none() && self.offsets.is_empty()
    }

    pub(crate) fn put(&mut self, record: &GroupRecord, index: Index, now_ms: i64) {
        let was_empty_record = self.record.as_ref().is_some_and(|old| old.members.is_empty());
        self.empty_since_ms = if !record.members.is_empty() {
            None
        } else if was_empty_record {
            self.empty_since_ms
        } else {
            Some(now_ms)
        };
        self.record = Some(record.clone());
        self.changed_at = index;
    }

    pub(crate) fn commit(&mut self, offsets: &[NewOffset], index: Index, now_ms: i64) {
        if self.is_nothing() {
            self.empty_since_ms = Some(now_ms);
        }
        for new in offsets {
            let row = OffsetRow {
                offset: new.offset,
                leader_epoch: new.leader_epoch,
                metadata: new.metadata.clone(),
                committed_at_ms: now_ms,
            };
            self.offsets.insert(new.partition, row);
        }
        self.changed_at = index;
    }
}

impl GroupRecord {
    /// What apply could decode, or why not.
    pub(crate) fn check(&self) -> Result<(), Refused> {
        check_text(&self.protocol_type)?;
        for text in self.protocol.iter().chain(&self.leader) {
            check_text(text)?;
        }
        for member in &self.members {
            for text in [&member.member_id, &member.client_id, &member.client_host] {
                check_text(text)?;
            }
            member.instance_id.as_deref().map_or(Ok(()), check_text)?;
        }
        if !self.members.is_sorted_by(|one, next| one.member_id < next.member_id) {
            return Err(Refused::InvalidGroup { what: "members must ascend, each once" });
        }
        let bytes = encoding::record_len(self);
        if bytes > GROUP_RECORD_MAX_BYTES {
            return Err(too_large(bytes, GROUP_RECORD_MAX_BYTES));
        }
        Ok(())
    }
}

/// Whether an id, a name or an offset's metadata has a length apply could decode.
pub(crate) fn check_text(text: &str) -> Result<(), Refused> {
    if text.len() > GROUP_TEXT_MAX_BYTES {
        return Err(too_large(text.len(), GROUP_TEXT_MAX_BYTES));
    }
    Ok(())
}

fn too_large(bytes: usize, limit_bytes: usize) -> Refused {
    Refused::GroupTooLarge { bytes: bytes as u64, limit_bytes: limit_bytes as u64 }
}
