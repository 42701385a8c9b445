//! What of groups has outlived its time: plans of a leader, which it then proposes.
//!
//! ```text
//! the group                        an offset expires `retention` after
//! has members                      never
//! has a record without members     it became empty, or the commit, whichever is later
//! has no record                    the commit
//! ```
//!
//! Idea: Kafka's rule (`offsets.retention.minutes`, `semantics.md` 13), but for one difference: an
//! offset set from outside after the group became empty (kafka-consumer-groups --reset-offsets)
//! counts from that commit. A group without members whose last offset expires goes whole, also one
//! that never had offsets, as in Kafka at its next sweep.
//!
//! A plan is made on the applied state, and commits may be under way behind it. So it names the
//! entry it was made on, and apply leaves a group alone that was changed since: the next sweep
//! looks again.
//!
//! Caveats: a member that is joining is known to the coordinator alone: the lane leaves out groups
//! whose coordinator says they are not empty. A sweep looks at every group of the shard.

use holdfast_base::{CoordinatorSlot, Index, PartitionKey, TopicId};

use super::Group;
use crate::shard::Shard;

/// Offsets that one call plans to remove, and groups: what is left comes at the next. 5,000 rows
/// are 100 KiB of commands, a tenth of an entry.
pub const EXPIRED_OFFSETS_MAX: usize = 5_000;

/// What of a group goes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Expired {
    /// These offsets; the group stays.
    Offsets(Vec<PartitionKey>),
    /// Record and all offsets.
    Group,
}

/// A group's part of a sweep, for [`crate::Decider::propose_expiry`].
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Expiry {
    /// The group's.
    pub slot: CoordinatorSlot,
    /// Its id.
    pub group: String,
    /// What goes.
    pub expired: Expired,
    /// The last entry applied when this was planned.
    pub planned_at: Index,
}

/// Offsets that the table above lets go, ascending.
#[must_use]
pub fn offsets_expired(group: &Group, now_ms: i64, retention_ms: i64) -> Vec<PartitionKey> {
    if group.has_members() {
        return Vec::new();
    }
    let empty_since_ms = match (&group.record, group.empty_since_ms) {
        (Some(_), Some(empty_since_ms)) => empty_since_ms,
        _ => i64::MIN,
    };
    group
        .offsets
        .iter()
        .filter(|(_, row)| {
            let since_ms = row.committed_at_ms.max(empty_since_ms);
            now_ms.saturating_sub(since_ms) >= retention_ms
        })
        .map(|(partition, _)| *partition)
        .collect()
}

/// What has expired in this shard, in order of slot and group, at most [`EXPIRED_OFFSETS_MAX`]
/// offsets and groups.
#[must_use]
pub fn expire_groups(shard: &Shard, now_ms: i64, retention_ms: i64) -> Vec<Expiry> {
    let mut plan = Vec::new();
    let mut room = EXPIRED_OFFSETS_MAX;
    for (slot, name, group) in shard.groups() {
        if room == 0 {
            break;
        }
        if group.has_members() {
            continue;
        }
        let mut offsets = offsets_expired(group, now_ms, retention_ms);
        let expired = if offsets.len() == group.offsets.len() {
            room -= 1;
            Expired::Group
        } else if offsets.is_empty() {
            continue;
        } else {
            offsets.truncate(room);
            room -= offsets.len();
            Expired::Offsets(offsets)
        };
        let planned_at = shard.applied();
        plan.push(Expiry { slot, group: name.to_owned(), expired, planned_at });
    }
    plan
}

/// Committed offsets of topics that are gone, by slot and group, at most [`EXPIRED_OFFSETS_MAX`]:
/// for [`crate::Decider::propose_remove_offsets`]. A topic's id never comes back, so these go
/// whatever is under way.
#[must_use]
pub fn offsets_of_topics(
    shard: &Shard,
    is_gone: &dyn Fn(TopicId) -> bool,
) -> Vec<(CoordinatorSlot, String, Vec<PartitionKey>)> {
    let mut plan = Vec::new();
    let mut room = EXPIRED_OFFSETS_MAX;
    for (slot, name, group) in shard.groups() {
        let partitions: Vec<PartitionKey> =
            group.offsets.keys().filter(|key| is_gone(key.topic)).take(room).copied().collect();
        if partitions.is_empty() {
            continue;
        }
        room -= partitions.len();
        plan.push((slot, name.to_owned(), partitions));
        if room == 0 {
            break;
        }
    }
    plan
}
