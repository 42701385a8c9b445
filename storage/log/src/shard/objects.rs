//! Objects of a shard: which are announced, which hold records, which are to be deleted.
//!
//! ```text
//!           Intent        Manifest       last row gone: Retire      Gone
//! (nothing) ─────▶ Intended ─────▶ Live ───────────────────▶ Retired ────▶ (nothing)
//!                     └── Abandon ──▶ Abandoned ── Gone ────────────────────▲
//!                         that of a cut takes every open cut behind it along
//!
//! command       refused when                                                else
//! Intent        another term, a range that begins at or before `uploaded`   ObjectIntended
//!               or an open intent's end, or ends at or behind the entry
//!               itself; id known; too many open
//! MergeIntent   another term, a range that is not uploaded; id known; too   ObjectIntended
//!               many open
//! Manifest      not that of the first open cut, or of an open merge; a row  ObjectLive
//!               that does not touch its partition's last one (or its log
//!               start), or ends behind the high watermark; of a merge: see
//!               `merges.rs`
//! ObjectStep    not from that state; Retire while a row lives                ObjectStepped
//! ```
//!
//! Rows of a manifest whose partition is gone, or that end below its log start, are left out.
//!
//! Why an abandoned intent takes those behind it along: `uploaded` is one number. Would a later
//! manifest move it past a range that was given up, the records of that range were believed to be in
//! an object, and trimmed.
//!
//! Invariants: `uploaded` only grows; the ranges of open intents ascend and lie behind it;
//! `live_rows` of an object is the number of partitions that have a row of it; the records of a
//! partition below `uploaded_end` and not below `log_start` are in its rows, without a hole.
//!
//! Caveat: rows of a manifest name no generation. A partition that went and came again under its key
//! must not do so within the range of an object under way; topic ids are never used twice.

use holdfast_base::{Index, PartitionKey, Term};

use super::merges::is_open_merge;
use super::object_rows::{ObjectKind, ObjectRow, ObjectState, Objects, PartitionObject};
use super::{Applied, CommandOutcome, EntryFacts, Shard};
use crate::object::{Intent, Manifest, ManifestRow, OPEN_INTENTS_MAX, ObjectId, ObjectStep, Step};
use crate::refusal::{BrokenInvariant, Refused};
use crate::rows::RowKey;

impl Objects {
    fn check_intent(&self, intent: &Intent, before: Index, term: Term) -> Result<(), Refused> {
        let behind = self.open().map(|row| row.last_index).max().max(Some(self.uploaded));
        let what = if intent.term != term {
            "it is of another term"
        } else if intent.first_index > intent.last_index {
            "its range is empty"
        } else if Some(intent.first_index) <= behind {
            "its range begins in another object's"
        } else if intent.last_index >= before {
            "its range is not applied"
        } else {
            return self.check_room(intent);
        };
        Err(Refused::InvalidObject { what })
    }

    /// Of any object that is announced.
    fn check_room(&self, intent: &Intent) -> Result<(), Refused> {
        let what = if self.announced().count() >= OPEN_INTENTS_MAX {
            "too many are announced"
        } else if self.by_id(intent.object).is_some() {
            "its id is known"
        } else {
            return Ok(());
        };
        Err(Refused::InvalidObject { what })
    }

    fn check_merge_intent(
        &self,
        intent: &Intent,
        before: Index,
        term: Term,
    ) -> Result<(), Refused> {
        let what = if intent.term != term {
            "it is of another term"
        } else if intent.sequence >= before.0 {
            "it was planned on what is not applied"
        } else if intent.first_index > intent.last_index || intent.last_index > self.uploaded {
            "its range is not in objects"
        } else {
            return self.check_room(intent);
        };
        Err(Refused::InvalidObject { what })
    }

    fn check_step(&self, step: &ObjectStep) -> Result<u64, Refused> {
        let row = self.by_id(step.object);
        let row = row.ok_or(Refused::InvalidObject { what: "no such object is known" })?;
        let may = match (step.step, row.state) {
            (Step::Abandon, ObjectState::Intended)
            | (Step::Gone, ObjectState::Retired | ObjectState::Abandoned) => true,
            (Step::Retire, ObjectState::Live) => row.live_rows == 0,
            _ => false,
        };
        if may {
            return Ok(row.number);
        }
        Err(Refused::InvalidObject { what: "its state does not allow that step" })
    }

    fn take_step(&mut self, number: u64, state: ObjectState, changed_ms: i64) {
        if let Some(row) = self.rows.get(&number).cloned() {
            self.put(ObjectRow { state, changed_ms, ..row });
        }
    }

    /// Those behind it go along: see the module.
    fn abandon_from(&mut self, number: u64, changed_ms: i64) {
        if self.rows.get(&number).is_some_and(is_open_merge) {
            self.take_step(number, ObjectState::Abandoned, changed_ms);
            return;
        }
        let open: Vec<u64> =
            self.open().map(|row| row.number).filter(|open| *open >= number).collect();
        for number in open {
            self.take_step(number, ObjectState::Abandoned, changed_ms);
        }
    }

    /// The last entry that whoever planned this merge had applied: its sequence.
    fn planned_at(&self, number: u64) -> Index {
        Index(self.rows.get(&number).map_or(0, |row| row.sequence))
    }

    /// Some of its bytes are dead from now on.
    fn mark_dead(&mut self, number: u64, time_ms: i64) {
        if let Some(row) = self.rows.get_mut(&number) {
            row.dead_since_ms.get_or_insert(time_ms);
            self.sort_in(number);
        }
    }

    /// A partition has let go of a row.
    pub(super) fn lose_row(&mut self, number: u64, time_ms: i64) -> Result<(), BrokenInvariant> {
        let row = self.rows.get_mut(&number).filter(|row| row.live_rows > 0);
        let row = row.ok_or_else(|| {
            BrokenInvariant::new(format!(
                "a partition had a row of object {number}, which has none"
            ))
        })?;
        row.live_rows -= 1;
        row.dead_since_ms.get_or_insert(time_ms);
        self.sort_in(number);
        Ok(())
    }
}

impl Shard {
    /// Every object known, in the order of their intents.
    pub fn objects(&self) -> impl ExactSizeIterator<Item = &ObjectRow> {
        self.objects.rows()
    }

    /// Those with a step before them: announced, without a living record, retired or abandoned.
    pub fn unsettled_objects(&self) -> impl Iterator<Item = &ObjectRow> {
        self.objects.unsettled()
    }

    /// Those with records that can be read and others that may not be, in the order of their numbers.
    pub fn dead_objects(&self) -> impl Iterator<Item = &ObjectRow> {
        self.objects.dead()
    }

    /// Those with a larger number than this, ascending.
    pub fn objects_behind(&self, number: u64) -> impl Iterator<Item = &ObjectRow> {
        self.objects.rows.range(number.saturating_add(1)..).map(|(_, row)| row)
    }

    /// One object, by its name in the store.
    #[must_use]
    pub fn object(&self, object: ObjectId) -> Option<&ObjectRow> {
        self.objects.by_id(object)
    }

    /// One object, by its number.
    #[must_use]
    pub fn object_at(&self, number: u64) -> Option<&ObjectRow> {
        self.objects.rows.get(&number)
    }

    /// Every batch up to here is in a committed object, or was not one to keep; 0 none.
    #[must_use]
    pub fn uploaded(&self) -> Index {
        self.objects.uploaded
    }

    /// The term of that entry.
    #[must_use]
    pub fn uploaded_term(&self) -> Term {
        self.objects.uploaded_term
    }

    /// What apply would refuse, as far as the applied state tells.
    pub(crate) fn check_intent(&self, intent: &Intent, term: Term) -> Result<(), Refused> {
        self.objects.check_intent(intent, self.applied.next(), term)
    }

    /// As [`Self::check_intent`].
    pub(crate) fn check_merge_intent(&self, intent: &Intent, term: Term) -> Result<(), Refused> {
        self.objects.check_merge_intent(intent, self.applied.next(), term)
    }

    /// As [`Self::check_intent`].
    pub(crate) fn check_object_step(&self, step: &ObjectStep) -> Result<(), Refused> {
        self.objects.check_step(step).map(drop)
    }

    /// As [`Self::check_intent`]; the number of its intent's row.
    pub(crate) fn check_manifest(&self, manifest: &Manifest) -> Result<u64, Refused> {
        if let Some(number) = self.merge_of(manifest) {
            return self.check_merged_rows(manifest).map(|()| number);
        }
        let first = self.objects.open().next();
        let bugs = self.bugs;
        let intent = if bugs.manifest_of_any_intent {
            self.objects.by_id(manifest.object)
        } else {
            first.filter(|row| row.object == manifest.object)
        };
        let what = "it is not that of the first open intent";
        let number = intent.ok_or(Refused::InvalidObject { what })?.number;
        for row in self.living(manifest) {
            let Some(partition) = self.partitions.get(&row.partition) else { continue };
            let last = partition.objects.back().map_or(-1, |last| last.last_offset);
            // What is missing between is in no object, unless it is deleted.
            let touches = row.base_offset <= partition.uploaded_end.max(partition.log_start);
            if row.base_offset <= last || !touches || row.last_offset >= partition.high_watermark {
                let what = "its rows do not fit their partitions";
                return Err(Refused::InvalidObject { what });
            }
        }
        Ok(number)
    }

    /// Rows of a manifest that somebody can still read.
    pub(super) fn living<'a>(
        &'a self,
        manifest: &'a Manifest,
    ) -> impl Iterator<Item = &'a ManifestRow> {
        manifest.rows.iter().filter(|row| {
            let partition = self.partitions.get(&row.partition);
            partition.is_some_and(|found| row.last_offset >= found.log_start)
        })
    }

    pub(super) fn intend(
        &mut self,
        intent: &Intent,
        entry: EntryFacts,
        applied: &mut Applied,
    ) -> CommandOutcome {
        if let Err(refused) = self.objects.check_intent(intent, entry.index, entry.term) {
            return CommandOutcome::Refused(refused);
        }
        self.announce(intent, ObjectKind::Cut, entry, applied)
    }

    pub(super) fn intend_merge(
        &mut self,
        intent: &Intent,
        entry: EntryFacts,
        applied: &mut Applied,
    ) -> CommandOutcome {
        if let Err(refused) = self.objects.check_merge_intent(intent, entry.index, entry.term) {
            return CommandOutcome::Refused(refused);
        }
        self.announce(intent, ObjectKind::Merged, entry, applied)
    }

    fn announce(
        &mut self,
        intent: &Intent,
        kind: ObjectKind,
        entry: EntryFacts,
        applied: &mut Applied,
    ) -> CommandOutcome {
        self.objects.last_number += 1;
        let number = self.objects.last_number;
        let row = ObjectRow {
            number,
            object: intent.object,
            term: intent.term,
            sequence: intent.sequence,
            kind,
            first_index: intent.first_index,
            last_index: intent.last_index,
            state: ObjectState::Intended,
            changed_ms: entry.time_ms,
            object_bytes: 0,
            tail_bytes: 0,
            sha256: [0; 32],
            created_ms: 0,
            last_term: Term(0),
            live_rows: 0,
            dead_since_ms: None,
        };
        self.objects.put(row);
        applied.objects = true;
        CommandOutcome::ObjectIntended
    }

    pub(super) fn take_manifest(
        &mut self,
        manifest: &Manifest,
        entry: EntryFacts,
        applied: &mut Applied,
    ) -> Result<CommandOutcome, BrokenInvariant> {
        let number = match self.check_manifest(manifest) {
            Ok(number) => number,
            Err(refused) => return Ok(CommandOutcome::Refused(refused)),
        };
        let merges = self.merge_of(manifest).is_some();
        let living: Vec<ManifestRow> = self.living(manifest).copied().collect();
        let planned_at = if merges { self.objects.planned_at(number) } else { Index(0) };
        let whole = living.len() == manifest.rows.len()
            && living.iter().all(|row| {
                let partition = self.partitions.get(&row.partition);
                // A merge leaves out what was below the log start when it was planned, but for
                // records of the batch it lies in.
                partition.is_some_and(|found| {
                    row.base_offset >= found.log_start || merges && found.log_start_at <= planned_at
                })
            });
        if merges {
            self.take_merged_rows(number, &living, entry)?;
        } else {
            self.take_cut_rows(number, &living)?;
        }
        let objects = &mut self.objects;
        let mut row = objects.rows.get(&number).cloned().ok_or_else(|| {
            BrokenInvariant::new(format!("object {number} vanished while it was committed"))
        })?;
        row.state = ObjectState::Live;
        row.changed_ms = entry.time_ms;
        row.object_bytes = manifest.object_bytes;
        row.tail_bytes = manifest.tail_bytes;
        row.sha256 = manifest.sha256;
        row.created_ms = manifest.created_ms;
        row.last_term = manifest.last_term;
        row.live_rows = u32::try_from(living.len())
            .map_err(|_| BrokenInvariant::new("a manifest has more rows than a number holds"))?;
        row.dead_since_ms = (!whole).then_some(entry.time_ms);
        let (uploaded, term) = (row.last_index, row.last_term);
        objects.put(row);
        applied.objects = true;
        if !merges {
            self.move_uploaded(uploaded, term)?;
        }
        self.digest.word(self.objects.uploaded.0);
        self.digest.word(living.len() as u64);
        Ok(CommandOutcome::ObjectLive)
    }

    fn take_cut_rows(
        &mut self,
        number: u64,
        living: &[ManifestRow],
    ) -> Result<(), BrokenInvariant> {
        for row in living {
            let Some(partition) = self.partitions.get_mut(&row.partition) else { continue };
            partition.objects.push_back(PartitionObject::of(number, row));
            partition.uploaded_end = row.last_offset + 1;
            self.marks.mark(RowKey::Partition(row.partition));
            self.marks.mark(RowKey::Part(row.partition, row.base_offset));
            partition.check_invariants(self.bugs)?;
        }
        Ok(())
    }

    fn move_uploaded(&mut self, to: Index, term: Term) -> Result<(), BrokenInvariant> {
        let objects = &mut self.objects;
        if to <= objects.uploaded {
            return Err(BrokenInvariant::new(format!(
                "uploaded {} cannot go back to {to}",
                objects.uploaded
            )));
        }
        (objects.uploaded, objects.uploaded_term) = (to, term);
        for (index, _) in objects.refused.extract_if(..=to, |_, _| true) {
            self.marks.mark(RowKey::Refused(index));
        }
        Ok(())
    }

    pub(super) fn step_object(
        &mut self,
        step: &ObjectStep,
        entry: EntryFacts,
        applied: &mut Applied,
    ) -> CommandOutcome {
        let number = match self.objects.check_step(step) {
            Ok(number) => number,
            Err(refused) => return CommandOutcome::Refused(refused),
        };
        let state = match step.step {
            Step::Abandon => Some(ObjectState::Abandoned),
            Step::Retire => Some(ObjectState::Retired),
            Step::Gone => None,
        };
        match state {
            Some(ObjectState::Abandoned) if !self.bugs.given_up_alone => {
                self.objects.abandon_from(number, entry.time_ms);
            }
            Some(state) => self.objects.take_step(number, state, entry.time_ms),
            None => self.objects.remove(number),
        }
        applied.objects = true;
        CommandOutcome::ObjectStepped
    }

    /// Rows of a partition that nobody can read any more.
    pub(super) fn drop_object_rows(
        &mut self,
        key: &PartitionKey,
        log_start: i64,
    ) -> Result<(), BrokenInvariant> {
        let Some(partition) = self.partitions.get_mut(key) else { return Ok(()) };
        while let Some(row) = partition.objects.pop_front_if(|row| row.last_offset < log_start) {
            self.objects.lose_row(row.number, self.time_ms)?;
            self.marks.mark(RowKey::Partition(*key));
            self.marks.mark(RowKey::Part(*key, row.base_offset));
        }
        // Records in front of a row that lives are deleted as well.
        if let Some(row) = partition.objects.front().filter(|row| row.base_offset < log_start) {
            self.objects.mark_dead(row.number, self.time_ms);
        }
        Ok(())
    }
}
