//! Objects that are looked through, and made again when they are wrong, as the leader of their shard
//! sees it.
//!
//! ```text
//! every object, once an interval ────▶ work: check ─▶ Checked ─┬─ whole
//! a reader's or a merge's suspicion ───┘ (first)               └─ wrong ─▶ is its range in the log?
//!                                                                no  └──▶ named, with every range
//!                                                                yes ─▶ batches of those entries, a
//!   few MiB a look ─▶ MergeIntent, new key ─▶ work: repair ─▶ Manifest takes the rows; the old retires
//! ```
//!
//! Idea: a repair is a merge of one object whose bytes come from the log: the same intent, manifest
//! and order, so nothing else needs to know of it, and a late PUT to the old key matters to nobody.
//! Nothing is believed on a reader's word: an object is wrong when a check has read it wrong twice.
//!
//! Invariants: one check and one repair a shard at a time, and no repair beside a merge. A repair has
//! every record of the object that can be read ([`RepairGather`]) or there is none. What is wrong is
//! named until a check finds it whole or its rows are elsewhere.
//!
//! Caveat: what was checked when is known to this reign alone: a new one begins anew.

use std::collections::{BTreeMap, BTreeSet};

use holdfast_base::{ClusterId, Index, Now, PartitionKey, Rng, ShardId, Term};
use holdfast_log::{
    CommandOutcome, ExpectedObject, Intent, Manifest, ManifestRow, NotRepairable, ObjectId,
    ObjectRow, ObjectState, RepairGather, RepairPlan, Shard, plan_repair,
};

use super::history::{ObjectCommand, Phase, identity, new_object};
use crate::store_work::Finding;
use crate::upload_queue::WaitingEntry;

/// An object that was just looked through is not suspected again before this.
const SUSPECT_AGAIN_NS: u64 = 60_000_000_000;
/// A repair that failed is tried again after this.
const FAILED_PAUSE_NS: u64 = 60_000_000_000;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Repairs {
    /// Found wrong, by number.
    wrong: BTreeMap<u64, Wrong>,
    in_hand: Option<Repair>,
    /// To be checked before others, by number.
    suspects: BTreeSet<u64>,
    checking: Option<(u64, ObjectId)>,
    /// When an object was last checked, on boottime.
    checked_ns: BTreeMap<u64, u64>,
    /// The last one of the pass under way; `None` between two.
    pass: Option<u64>,
    next_pass_ns: Option<u64>,
    numbers: ScrubNumbers,
}

/// What came of checks and repairs in this reign.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct ScrubNumbers {
    /// Objects read whole.
    pub objects: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Objects that were wrong.
    pub wrong: u64,
    /// Objects made again.
    pub repaired: u64,
    /// Passes over all objects that have ended.
    pub passes: u64,
    /// When the last one did, by the wall, ms; 0 for never.
    pub last_pass_ms: i64,
}

impl ScrubNumbers {
    /// Of several shards: the last pass is that of the shard that ended one last.
    pub(super) fn add(&mut self, other: ScrubNumbers) {
        self.objects += other.objects;
        self.bytes += other.bytes;
        self.wrong += other.wrong;
        self.repaired += other.repaired;
        self.passes += other.passes;
        self.last_pass_ms = self.last_pass_ms.max(other.last_pass_ms);
    }
}

#[derive(Debug)]
struct Wrong {
    object: ObjectId,
    why: String,
    /// Why it is not made again; `None` while it may be.
    not_repairable: Option<String>,
    not_before_ns: u64,
}

/// An object on its way to take another one's place.
#[derive(Debug)]
struct Repair {
    plan: RepairPlan,
    intent: Intent,
    gather: RepairGather,
    /// The next entry to read; behind the last once all are.
    next_index: Index,
    entries: Vec<WaitingEntry>,
    phase: Phase,
}

/// A repair that can be handed out.
pub(super) struct ReadyRepair {
    pub(super) intent: Intent,
    pub(super) last_term: Term,
    pub(super) created_ms: i64,
    pub(super) entries: Vec<WaitingEntry>,
}

impl Repairs {
    /// Lets go of what is over, and begins what is due. `may_begin`: no merge is in hand.
    pub(super) fn tend(
        &mut self,
        state: &Shard,
        term: Term,
        may_begin: bool,
        now: Now,
        rng: &mut impl Rng,
    ) {
        if let Some(repair) = self.in_hand.take_if(|repair| !repair.is_open(state))
            && state.object(repair.intent.object).is_some_and(|row| row.state == ObjectState::Live)
        {
            self.numbers.repaired += 1;
            let (number, object) = (repair.plan.number, repair.intent.object);
            tracing::warn!(number, %object, "an object that was wrong was made again from the log");
        }
        self.wrong.retain(|number, _| is_read(state, *number));
        self.suspects.retain(|number| is_read(state, *number));
        if self.in_hand.is_some() || !may_begin {
            return;
        }
        let due = self
            .wrong
            .values_mut()
            .find(|wrong| wrong.not_repairable.is_none() && now.boottime_ns >= wrong.not_before_ns);
        let Some(wrong) = due else { return };
        let Some(plan) = plan_repair(state, wrong.object) else { return };
        match RepairGather::new(&plan) {
            Ok(gather) => {
                let intent = Intent {
                    object: new_object(term, plan.number, rng),
                    term,
                    sequence: state.applied().0,
                    first_index: plan.first_index,
                    last_index: plan.last_index,
                };
                let (next_index, entries) = (plan.first_index, Vec::new());
                let phase = Phase::Announce;
                self.in_hand = Some(Repair { plan, intent, gather, next_index, entries, phase });
            }
            Err(error) => wrong.not_repairable = Some(error.to_string()),
        }
    }

    /// The entries that are to be read now, for the repair in hand.
    pub(super) fn wants(&self) -> Option<(Index, Index)> {
        let repair = self.in_hand.as_ref()?;
        let last = repair.plan.last_index;
        (repair.next_index <= last).then_some((repair.next_index, last))
    }

    /// An entry of the log, in order; what of the object it holds comes back.
    pub(super) fn gather(
        &mut self,
        index: Index,
        commands: &[u8],
    ) -> Result<Vec<holdfast_log::RepairBatch>, NotRepairable> {
        let Some(repair) = self.in_hand.as_mut() else { return Ok(Vec::new()) };
        let found = repair.gather.take(commands)?;
        repair.next_index = index.next();
        Ok(found)
    }

    /// Where the batches of an entry lie.
    pub(super) fn found(&mut self, entry: WaitingEntry) {
        if let Some(repair) = &mut self.in_hand {
            repair.entries.push(entry);
        }
    }

    /// All entries are read: is the object whole in them?
    pub(super) fn finish_reading(&mut self) -> Result<(), NotRepairable> {
        self.in_hand.as_ref().map_or(Ok(()), |repair| repair.gather.finish())
    }

    /// The log has not what is needed.
    pub(super) fn not_repairable(&mut self, why: &str) {
        let Some(repair) = self.in_hand.take() else { return };
        if let Some(wrong) = self.wrong.get_mut(&repair.plan.number) {
            tracing::error!(
                code = WRONG_OBJECT_CODE,
                object = %wrong.object,
                why,
                "an object that is wrong cannot be made again: `status` names its records"
            );
            wrong.not_repairable = Some(why.to_owned());
        }
    }

    /// The object that is being made.
    pub(super) fn object(&self) -> Option<ObjectId> {
        self.in_hand.as_ref().map(|repair| repair.intent.object)
    }

    /// Whether this is the object that is being made.
    pub(super) fn names(&self, object: ObjectId) -> bool {
        self.object() == Some(object)
    }

    /// What is to be proposed.
    pub(super) fn plan(&self, commands: &mut Vec<ObjectCommand>) {
        let Some(repair) = self.in_hand.as_ref().filter(|repair| repair.is_read()) else { return };
        match &repair.phase {
            Phase::Announce => commands.push(ObjectCommand::MergeIntent(repair.intent)),
            Phase::Written(manifest) => commands.push(ObjectCommand::Manifest(manifest.clone())),
            _ => {}
        }
    }

    /// A command about this object is decided.
    pub(super) fn proposed(&mut self, object: ObjectId) {
        if let Some(repair) = self.of(object) {
            repair.phase.proposed();
        }
    }

    /// What became of a command about this object; `None` if it was not proposed after all.
    pub(super) fn settled(&mut self, object: ObjectId, outcome: Option<&CommandOutcome>, now: Now) {
        let Some(repair) = self.of(object) else { return };
        match outcome {
            None => repair.phase.not_proposed(),
            Some(CommandOutcome::Refused(refused)) => self.give_up(object, refused.name(), now),
            Some(_) => {}
        }
    }

    /// The repair whose intent is applied: it is made from now on.
    pub(super) fn hand_out(&mut self, state: &Shard) -> Option<ReadyRepair> {
        let repair = self.in_hand.as_mut()?;
        let row = state.object(repair.intent.object)?;
        if !matches!(repair.phase, Phase::Announced) {
            return None;
        }
        repair.phase = Phase::Writing;
        Some(ReadyRepair {
            intent: repair.intent,
            last_term: repair.plan.last_term,
            created_ms: row.changed_ms,
            entries: std::mem::take(&mut repair.entries),
        })
    }

    /// It is in the store.
    pub(super) fn written(&mut self, manifest: &Manifest) {
        if let Some(repair) = self.of(manifest.object)
            && matches!(repair.phase, Phase::Writing)
        {
            repair.phase = Phase::Written(manifest.clone());
        }
    }

    /// It cannot be made, or not now: the next look plans anew after a while.
    pub(super) fn give_up(&mut self, object: ObjectId, why: &str, now: Now) {
        let Some(repair) = self.in_hand.take_if(|repair| repair.intent.object == object) else {
            return;
        };
        tracing::debug!(%object, why, "a repair is given up");
        if let Some(wrong) = self.wrong.get_mut(&repair.plan.number) {
            wrong.not_before_ns = now.boottime_ns + FAILED_PAUSE_NS;
        }
    }

    /// Somebody could not read this object.
    pub(super) fn suspect(&mut self, object: ObjectId, state: &Shard, now: Now) {
        let Some(row) = state.object(object) else { return };
        let just_checked = self
            .checked_ns
            .get(&row.number)
            .is_some_and(|at_ns| now.boottime_ns < at_ns.saturating_add(SUSPECT_AGAIN_NS));
        if is_read(state, row.number) && !just_checked {
            self.suspects.insert(row.number);
        }
    }

    /// The next object to look through, if none is: suspects first, then one after the other,
    /// each once in `every_ns`.
    pub(super) fn next_check(
        &mut self,
        state: &Shard,
        (cluster, shard): (ClusterId, ShardId),
        every_ns: u64,
        now: Now,
    ) -> Option<ExpectedObject> {
        if self.checking.is_some() {
            return None;
        }
        let number = match self.suspects.pop_first() {
            Some(number) => number,
            None => self.next_of_pass(state, every_ns, now)?,
        };
        let row = state.object_at(number)?;
        self.checking = Some((number, row.object));
        self.checked_ns.insert(number, now.boottime_ns);
        Some(expected(state, (cluster, shard), row))
    }

    fn next_of_pass(&mut self, state: &Shard, every_ns: u64, now: Now) -> Option<u64> {
        if every_ns == u64::MAX {
            return None;
        }
        // A node that was just started has better things to do.
        let next_ns =
            *self.next_pass_ns.get_or_insert(now.boottime_ns.saturating_add(every_ns / 8));
        let last = match self.pass {
            Some(last) => last,
            None if now.boottime_ns < next_ns => return None,
            None => {
                self.next_pass_ns = Some(now.boottime_ns.saturating_add(every_ns));
                0
            }
        };
        let due = state.objects_behind(last).find(|row| is_read(state, row.number));
        self.pass = due.map(|row| row.number);
        if due.is_none() {
            self.numbers.passes += 1;
            self.numbers.last_pass_ms = now.wall_ms;
            self.checked_ns.retain(|number, _| state.object_at(*number).is_some());
        }
        due.map(|row| row.number)
    }

    /// What a check found; `wrong` says why.
    pub(super) fn checked(
        &mut self,
        object: ObjectId,
        bytes: u64,
        wrong: Option<String>,
        state: &Shard,
    ) {
        let Some((number, _)) = self.checking.take_if(|(_, asked)| *asked == object) else {
            return;
        };
        self.numbers.objects += 1;
        self.numbers.bytes += bytes;
        match wrong {
            None => {
                self.wrong.remove(&number);
            }
            Some(_) if !is_read(state, number) => {}
            Some(why) => {
                self.numbers.wrong += u64::from(!self.wrong.contains_key(&number));
                let found = Wrong { object, why, not_repairable: None, not_before_ns: 0 };
                // A second look may find the log as it was, or not: it is asked again.
                self.wrong.insert(number, found);
            }
        }
    }

    /// What is counted.
    pub(super) fn numbers(&self) -> ScrubNumbers {
        self.numbers
    }

    /// Everything that is wrong now, with its records.
    pub(super) fn findings(
        &self,
        state: &Shard,
        (cluster, shard): (ClusterId, ShardId),
    ) -> Vec<Finding> {
        let finding = |(number, wrong): (&u64, &Wrong)| {
            let row = state.object_at(*number)?;
            Some(Finding {
                object: identity(cluster, shard, row),
                why: wrong.why.clone(),
                not_repairable: wrong.not_repairable.clone(),
                records: rows_of(state, *number)
                    .map(|row| (row.partition, row.base_offset, row.last_offset))
                    .collect(),
            })
        };
        self.wrong.iter().filter_map(finding).collect()
    }

    fn of(&mut self, object: ObjectId) -> Option<&mut Repair> {
        self.in_hand.as_mut().filter(|repair| repair.intent.object == object)
    }
}

/// The code under which an object that is wrong is explained (`holdfast explain`).
const WRONG_OBJECT_CODE: &str = "HF-1021";

impl Repair {
    fn is_read(&self) -> bool {
        self.next_index > self.plan.last_index
    }

    /// Until its manifest is applied, or the object it is for is not read any more.
    fn is_open(&self, state: &Shard) -> bool {
        is_read(state, self.plan.number) && self.phase.is_open(state, self.intent.object)
    }
}

/// Whether somebody can still read a record of this object.
fn is_read(state: &Shard, number: u64) -> bool {
    let row = state.object_at(number);
    row.is_some_and(|row| row.state == ObjectState::Live && row.live_rows > 0)
}

fn rows_of(state: &Shard, number: u64) -> impl Iterator<Item = ManifestRow> + '_ {
    state.partitions().flat_map(move |(key, partition)| {
        let parts = partition.objects().iter().filter(move |part| part.number == number);
        let partition: PartitionKey = *key;
        parts.map(move |part| ManifestRow {
            partition,
            len_bytes: part.len_bytes,
            base_offset: part.base_offset,
            last_offset: part.last_offset,
            max_timestamp_ms: part.max_timestamp_ms,
        })
    })
}

fn expected(
    state: &Shard,
    (cluster, shard): (ClusterId, ShardId),
    row: &ObjectRow,
) -> ExpectedObject {
    ExpectedObject {
        identity: identity(cluster, shard, row),
        object_bytes: row.object_bytes,
        tail_bytes: row.tail_bytes,
        sha256: row.sha256,
        rows: rows_of(state, row.number).collect(),
    }
}
