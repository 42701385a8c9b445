//! What goes without anyone asking, proposed by each shard's leader every few seconds.
//!
//! | what | when |
//! | --- | --- |
//! | records | `retention.*` of their topic |
//! | idempotent producers | silent for `producer.id.expiration.ms` |
//! | committed offsets of a deleted topic | this node has applied the deletion |
//! | committed offsets of a group without members, and the group with the last of them | `offsets.retention.minutes` |
//!
//! A group goes through its coordinator, who knows of members that are just joining, and never
//! while a commit of it is under way.

use std::collections::BTreeSet;

use holdfast_base::{Now, ShardId};
use holdfast_io::Disk;
use holdfast_log::{Expired, Expiry, expire_groups, offsets_of_topics};
use holdfast_metadata::BrokerSettings;
use holdfast_wal::Admission;

use super::groups::GroupCommand;
use super::produce::Building;
use super::{Index, Lane};
use crate::calls::Slot;
use crate::config::HOUSEKEEPING_NS;
use crate::machines::data_shard;

impl<D: Disk> Lane<D> {
    pub(super) fn housekeep(&mut self, now: Now) {
        if now.boottime_ns < self.next_housekeeping_ns {
            return;
        }
        self.next_housekeeping_ns = now.boottime_ns + HOUSEKEEPING_NS;
        let shards: Vec<ShardId> = self.leading.keys().copied().collect();
        for shard in shards {
            if self.driver.may_propose(shard, 0, Admission::Reserve).is_err() {
                continue;
            }
            self.expire_records_and_producers(shard, now);
            self.forget_offsets_of_deleted_topics(shard, now);
            self.expire_offsets(shard, now);
        }
    }

    fn expire_records_and_producers(&mut self, shard: ShardId, now: Now) {
        let Some((_, time_ms)) = self.driver.deciding(shard, now) else { return };
        let state = data_shard(&self.driver, shard);
        let (Some(leading), Some(state)) = (self.leading.get_mut(&shard), state) else { return };
        let building = leading.building.get_or_insert_with(|| Building::new(time_ms));
        leading.decider.propose_retention(state, &mut building.entry, time_ms);
        let Some(before_ms) = leading.producer_marks.note(
            now.boottime_ns,
            time_ms,
            self.settings.producer_id_expiration_ms,
        ) else {
            return;
        };
        let entry = &mut building.entry;
        let expiry = leading.decider.propose_expire_producers(state, entry, before_ms, 0);
        if let Err(refused) = expiry {
            tracing::debug!(%refused, "producers expire with a later entry");
        }
    }

    fn forget_offsets_of_deleted_topics(&mut self, shard: ShardId, now: Now) {
        let Some(leading) = self.leading.get_mut(&shard) else { return };
        if !std::mem::take(&mut leading.topics_went) {
            return;
        }
        let Some(state) = data_shard(&self.driver, shard) else { return };
        let knows_all = self.driver.serves_reads(ShardId::METADATA, now);
        let plan = offsets_of_topics(state, &|topic| self.is_deleted(topic, knows_all));
        // Looked at again until none is left: a plan is bounded, and its entries may be lost.
        if let Some(leading) = self.leading.get_mut(&shard) {
            leading.topics_went = !plan.is_empty();
        }
        for (slot, group, partitions) in plan {
            let command = GroupCommand::freeing(partitions.len());
            let proposed =
                self.propose_group(shard, command, Slot::Nobody, now, |decider, entry| {
                    decider.propose_remove_offsets(entry, slot, &group, &partitions)
                });
            if proposed.is_err() {
                return;
            }
        }
    }

    fn expire_offsets(&mut self, shard: ShardId, now: Now) {
        let Some((_, time_ms)) = self.driver.deciding(shard, now) else { return };
        let Some(leading) = self.leading.get_mut(&shard) else { return };
        if now.boottime_ns < leading.next_offset_sweep_ns {
            return;
        }
        leading.next_offset_sweep_ns = now.boottime_ns.saturating_add(sweep_ns(&self.settings));
        // A commit under way when a topic went may have been applied after the last look.
        leading.topics_went = true;
        let before_ms = leading
            .offset_marks
            .note(now.boottime_ns, time_ms, self.settings.offsets_retention_ms)
            .unwrap_or(i64::MIN);
        let Some(state) = data_shard(&self.driver, shard) else { return };
        let plan = expire_groups(state, before_ms, 0);
        let busy = self.groups_with_commits_under_way(shard);
        for expiry in plan {
            if !busy.contains(&expiry.group) && !self.expire_group(shard, &expiry, now) {
                return;
            }
        }
    }

    /// False when the log takes no more.
    fn expire_group(&mut self, shard: ShardId, expiry: &Expiry, now: Now) -> bool {
        let Some(leading) = self.leading.get_mut(&shard) else { return false };
        if leading.coordinator.has_members(&expiry.group) {
            return true;
        }
        if expiry.expired == Expired::Group && leading.coordinator.is_known(&expiry.group) {
            let mut effects = Vec::new();
            leading.coordinator.expire(&expiry.group, self.pauses.without(now), &mut effects);
            self.carry_out(shard, effects, now);
            return true;
        }
        let command = GroupCommand::freeing(match &expiry.expired {
            Expired::Offsets(partitions) => partitions.len(),
            Expired::Group => 0,
        });
        let proposed = self.propose_group(shard, command, Slot::Nobody, now, |decider, entry| {
            decider.propose_expiry(entry, expiry)
        });
        proposed.is_ok()
    }

    fn groups_with_commits_under_way(&self, shard: ShardId) -> BTreeSet<String> {
        let building = self.leading.get(&shard).and_then(|leading| leading.building.as_ref());
        let range = (shard, Index(0))..=(shard, Index(u64::MAX));
        let proposed = self.pending.range(range).flat_map(|(_, pending)| &pending.slots);
        building
            .into_iter()
            .flat_map(|building| &building.slots)
            .chain(proposed)
            .filter_map(|(_, slot)| match slot {
                Slot::CommitOffsets { group, .. } => Some(group.clone()),
                _ => None,
            })
            .collect()
    }
}

/// `offsets.retention.check.interval.ms`.
pub(super) fn sweep_ns(settings: &BrokerSettings) -> u64 {
    u64::try_from(settings.offsets_retention_check_interval_ms)
        .unwrap_or(0)
        .saturating_mul(1_000_000)
}
