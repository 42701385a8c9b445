//! Objects made of others, as the leader of their shard sees it: one at a time.
//!
//! ```text
//! rows (holdfast_log::plan_merge) ─▶ MergeIntent ─▶ work: merge ─▶ Merged ─▶ Manifest
//!                                        └─ given up ─▶ forgotten here ─▶ Abandon, as any intent
//! ```
//!
//! What became of the sources is not this file's: those without a row left retire as others do.
//!
//! Invariants: at most one merge is in hand. It ends with its manifest applied or its intent
//! abandoned; a merge that failed changed nothing.

use std::collections::{BTreeMap, BTreeSet};

use holdfast_base::{ClusterId, Now, Rng, ShardId, Term};
use holdfast_log::{
    CommandOutcome, Intent, Manifest, MergePlan, MergeRule, ObjectId, ObjectRow, Shard, plan_merge,
};

use super::history::{ObjectCommand, Phase, new_object};
use crate::config::StoreConfig;
use crate::store_work::MergeJob;

/// After a merge that failed, none is tried for so long.
const FAILED_PAUSE_NS: u64 = 10_000_000_000;
/// A source that cannot be read is left out for so long: it may have been read wrongly.
const AVOIDED_NS: u64 = 600_000_000_000;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Merges {
    in_hand: Option<Merge>,
    /// Until when these sources are left out, on boottime.
    avoided: BTreeMap<u64, u64>,
    /// Since when this reign knows of their dead bytes, on boottime: a wall clock may stand still.
    dead_since_ns: BTreeMap<u64, u64>,
    next_by_size_ns: u64,
    pause_until_ns: u64,
}

#[derive(Debug)]
struct Merge {
    intent: Intent,
    plan: MergePlan,
    phase: Phase,
}

impl Merges {
    /// Lets go of a merge that is over, and begins the next one that is due.
    pub(super) fn tend(
        &mut self,
        state: &Shard,
        (cluster, shard): (ClusterId, ShardId),
        term: Term,
        store: StoreConfig,
        (now, time_ms): (Now, i64),
        rng: &mut impl Rng,
    ) {
        let now_ns = now.boottime_ns;
        self.in_hand.take_if(|merge| !merge.is_open(state));
        if self.in_hand.is_some() || now_ns < self.pause_until_ns {
            return;
        }
        self.avoided.retain(|_, until_ns| *until_ns > now_ns);
        self.note_dead(state, now_ns);
        let by_size = now_ns >= self.next_by_size_ns;
        let half_ms = store.deletion_delay_ms / 2;
        let due = |row: &ObjectRow| {
            let known_ns = self.dead_since_ns.get(&row.number).map_or(0, |since| now_ns - since);
            let since_ms = row.dead_since_ms.unwrap_or(i64::MAX);
            time_ms.saturating_sub(since_ms) >= half_ms
                || i64::try_from(known_ns / 1_000_000).unwrap_or(i64::MAX) >= half_ms
        };
        if !by_size && !state.dead_objects().any(due) {
            return;
        }
        let rule = MergeRule { object_bytes: store.object_bytes, by_size };
        let avoid: BTreeSet<u64> = self.avoided.keys().copied().collect();
        match plan_merge(state, (cluster, shard), &rule, &avoid, due) {
            Some(plan) => {
                let intent = Intent {
                    object: new_object(term, state.applied().0, rng),
                    term,
                    sequence: state.applied().0,
                    first_index: plan.first_index,
                    last_index: plan.last_index,
                };
                self.in_hand = Some(Merge { intent, plan, phase: Phase::Announce });
            }
            // Nothing to do: look again after a while.
            None if by_size => self.next_by_size_ns = now_ns + store.merge_every_ns,
            None => {}
        }
    }

    fn note_dead(&mut self, state: &Shard, now_ns: u64) {
        let dead: BTreeSet<u64> = state.dead_objects().map(|row| row.number).collect();
        self.dead_since_ns.retain(|number, _| dead.contains(number));
        for number in dead {
            self.dead_since_ns.entry(number).or_insert(now_ns);
        }
    }

    /// The object that is being made.
    pub(super) fn object(&self) -> Option<ObjectId> {
        self.in_hand.as_ref().map(|merge| merge.intent.object)
    }

    /// Whether this is the object that is being made.
    pub(super) fn names(&self, object: ObjectId) -> bool {
        self.object() == Some(object)
    }

    /// What is to be proposed.
    pub(super) fn plan(&self, commands: &mut Vec<ObjectCommand>) {
        match self.in_hand.as_ref().map(|merge| (&merge.phase, &merge.intent)) {
            Some((Phase::Announce, intent)) => commands.push(ObjectCommand::MergeIntent(*intent)),
            Some((Phase::Written(manifest), _)) => {
                commands.push(ObjectCommand::Manifest(manifest.clone()));
            }
            _ => {}
        }
    }

    /// A command about this object is decided.
    pub(super) fn proposed(&mut self, object: ObjectId) {
        if let Some(merge) = self.of(object) {
            merge.phase.proposed();
        }
    }

    /// What became of a command about this object; `None` if it was not proposed after all.
    pub(super) fn settled(&mut self, object: ObjectId, outcome: Option<&CommandOutcome>) {
        let Some(merge) = self.of(object) else { return };
        match outcome {
            None => merge.phase.not_proposed(),
            Some(CommandOutcome::Refused(refused)) => self.give_up(object, refused.name()),
            Some(_) => {}
        }
    }

    /// The merge whose intent is applied: it is made from now on.
    pub(super) fn hand_out(
        &mut self,
        state: &Shard,
        cluster: ClusterId,
        shard: ShardId,
    ) -> Option<MergeJob> {
        let merge = self.in_hand.as_mut()?;
        let row = state.object(merge.intent.object)?;
        if !matches!(merge.phase, Phase::Announced) {
            return None;
        }
        merge.phase = Phase::Writing;
        let plan = &mut merge.plan;
        Some(MergeJob {
            identity: merge.intent.identity(cluster, shard),
            first_index: plan.first_index,
            last_index: plan.last_index,
            last_term: plan.last_term,
            created_ms: row.changed_ms,
            sources: std::mem::take(&mut plan.sources),
        })
    }

    /// It is in the store.
    pub(super) fn written(&mut self, manifest: Manifest) {
        if let Some(merge) = self.of(manifest.object)
            && matches!(merge.phase, Phase::Writing)
        {
            merge.phase = Phase::Written(manifest);
        }
    }

    /// It cannot be made. A source that is to blame is left out for a while.
    pub(super) fn failed(
        &mut self,
        object: ObjectId,
        culprit: Option<ObjectId>,
        state: &Shard,
        now: Now,
    ) {
        if self.in_hand.take_if(|merge| merge.intent.object == object).is_none() {
            return;
        }
        self.pause_until_ns = now.boottime_ns + FAILED_PAUSE_NS;
        if let Some(row) = culprit.and_then(|culprit| state.object(culprit)) {
            self.avoided.insert(row.number, now.boottime_ns + AVOIDED_NS);
        }
    }

    /// Its rows fit no more, or the like: the next look plans anew.
    pub(super) fn give_up(&mut self, object: ObjectId, why: &str) {
        if self.in_hand.take_if(|merge| merge.intent.object == object).is_some() {
            tracing::debug!(%object, why, "a merge is given up");
        }
    }

    fn of(&mut self, object: ObjectId) -> Option<&mut Merge> {
        self.in_hand.as_mut().filter(|merge| merge.intent.object == object)
    }
}

impl Merge {
    /// Until its manifest is applied.
    fn is_open(&self, state: &Shard) -> bool {
        self.phase.is_open(state, self.intent.object)
    }
}
