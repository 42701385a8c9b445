//! Beginning and ending to serve a shard.
//!
//! ```text
//! Role::Serving  ─▶ a new `Leading`, decided from applied state only
//! anything else  ─▶ it is dropped; everyone who waits learns that the fate is unknown
//! ```

use std::collections::{BTreeMap, BTreeSet};

use holdfast_base::{Index, Now, ReplicaId, ShardId, Term};
use holdfast_consensus::{Event, Role};
use holdfast_coordinator::Coordinator;
use holdfast_io::Disk;

use super::expiry_marks::ExpiryMarks;
use super::groups::group_settings;
use super::history::Objects;
use super::housekeeping::sweep_ns;
use super::{Lane, Leading};
use crate::machines::{Outcome, data_shard};
use crate::published::Leader;
use crate::request::{Outcome as Fate, Reason, Refusal};

impl<D: Disk> Lane<D> {
    pub(super) fn take_event(&mut self, event: Event<Outcome>, now: Now) {
        match event {
            Event::Applied { shard, index, term, payload, outcome } => {
                self.settle(shard, index, term, outcome, payload);
            }
            // A start only.
            Event::Recalled { .. } => {}
            Event::Role { shard, role, term, leader } => {
                self.take_role(shard, role, term, leader, now);
            }
            Event::Quarantined { shard, why } => {
                tracing::error!(shard = shard.0, %why, "replica quarantined");
                self.stop_leading(shard);
            }
            Event::LaneFailed(error) => {
                tracing::error!(%error, "the WAL device failed; nothing more is acknowledged");
                self.failed = Some(error);
                for shard in self.leading.keys().copied().collect::<Vec<_>>() {
                    self.stop_leading(shard);
                }
                self.stop_leading(ShardId::METADATA);
            }
        }
    }

    fn take_role(
        &mut self,
        shard: ShardId,
        role: Role,
        term: Term,
        leader: Option<ReplicaId>,
        now: Now,
    ) {
        let node = leader.and_then(|replica| self.node_of(shard, replica));
        if let Some(node) = node
            && self.leaders.get(&shard).is_none_or(|known| known.term <= term)
        {
            self.publish |=
                self.leaders.insert(shard, Leader { node, term }) != Some(Leader { node, term });
        }
        // A new reign starts from applied state: whatever the old one decided is gone.
        if role != Role::Serving {
            self.stop_leading(shard);
        } else if shard == ShardId::METADATA {
            self.metadata_decider = Some(holdfast_metadata::Decider::new());
            self.lead_shard_zero(now);
        } else {
            self.lead(shard, term, now);
        }
    }

    /// A coordinator of the groups the shard has, and an empty decider; with a bug planted, the one
    /// of the last reign.
    fn lead(&mut self, shard: ShardId, term: Term, now: Now) {
        self.reconcile = true;
        if self.leading.contains_key(&shard) {
            return;
        }
        let mut decider = self.kept_deciders.remove(&shard).unwrap_or_default();
        decider.plant(self.config.planted.log);
        let state = data_shard(&self.driver, shard);
        let records = state.into_iter().flat_map(holdfast_log::Shard::groups);
        let records = records.filter_map(|(_, group, rows)| Some((group, rows.record()?)));
        let group_now = self.pauses.without(now);
        let leading = Leading {
            term,
            decider,
            coordinator: Coordinator::load(group_settings(&self.settings), records, group_now),
            building: None,
            in_line: BTreeMap::new(),
            reconciling: BTreeSet::new(),
            producer_marks: ExpiryMarks::default(),
            offset_marks: ExpiryMarks::default(),
            next_offset_sweep_ns: now.boottime_ns.saturating_add(sweep_ns(&self.settings)),
            topics_went: true,
            objects: Objects::default(),
        };
        self.leading.insert(shard, leading);
    }

    /// Drops what was decided and tells everyone who waits that its fate is unknown.
    pub(super) fn stop_leading(&mut self, shard: ShardId) {
        if shard == ShardId::METADATA {
            self.metadata_decider = None;
        }
        let unknown = Refusal {
            reason: Reason::NotLeader,
            outcome: Fate::Unknown,
            leader: self.hint(shard, 0),
        };
        self.history.stop_leading(shard);
        if let Some(mut leading) = self.leading.remove(&shard) {
            if self.config.planted.log.offset_gap_reused {
                self.kept_deciders.insert(shard, std::mem::take(&mut leading.decider));
            }
            let mut effects = Vec::new();
            leading.coordinator.stop(self.pauses.without(self.now), &mut effects);
            self.carry_out(shard, effects, self.now);
            if let Some(building) = leading.building {
                let refusal = Refusal { outcome: Fate::DidNot, ..unknown.clone() };
                self.refuse_slots(shard, building.slots, &refusal);
            }
            for waiting in leading.in_line.into_values().flatten() {
                self.calls.fill_produce(waiting.ticket, waiting.part, Err(unknown.clone()));
            }
        }
        if self.config.planted.pending_by_index_only {
            return;
        }
        let range = (shard, Index(0))..=(shard, Index(u64::MAX));
        let lost: Vec<_> = self.pending.range(range).map(|(key, _)| *key).collect();
        for key in lost {
            if let Some(pending) = self.pending.remove(&key) {
                self.probes.pending_failed += 1;
                self.refuse_slots(shard, pending.slots, &unknown);
            }
        }
        // Parked fetches of this shard learn of it now rather than at their deadline.
        self.awake.extend(self.parked.everyone());
    }
}
