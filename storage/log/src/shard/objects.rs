//! Objects of a shard: which are announced, which hold records, which are to be deleted.
//!
//! ```text
//!           Intent        Manifest       last row gone: Retire      Gone
//! (nothing) ─────▶ Intended ─────▶ Live ───────────────────▶ Retired ────▶ (nothing)
//!                     └── Abandon ──▶ Abandoned ── Gone ────────────────────▲
//!
//! command       refused when                                                else
//! Intent        another term, a range that begins at or before `uploaded`   ObjectIntended
//!               or an open intent's end, or ends at or behind the entry
//!               itself; id known; too many open
//! Manifest      not that of the first open intent; rows that do not follow   ObjectLive
//!               their partition's rows or end behind its high watermark
//! ObjectStep    not from that state; Retire while a row lives                ObjectStepped
//! ```
//!
//! Rows of a manifest whose partition is gone, or that end below its log start, are left out.
//!
//! Invariants: `uploaded` only grows; the ranges of open intents ascend and lie behind it;
//! `live_rows` of an object is the number of partitions that have a row of it.
//!
//! Also here: which batches above `uploaded` were refused. Their payload lies in the log all the
//! same, and a start that only indexes what this state reflects must not take it for records.

use std::collections::{BTreeMap, BTreeSet};

use holdfast_base::{Index, PartitionKey, Term};

use super::{AppendedBatch, Applied, CommandOutcome, EntryFacts, Shard};
use crate::command::{Command, decode_commands};
use crate::object::{Intent, Manifest, ManifestRow, OPEN_INTENTS_MAX, ObjectId, ObjectStep, Step};
use crate::refusal::{BrokenInvariant, Refused};

/// Where an object is in its life.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ObjectState {
    /// Announced: it may be in the store.
    Intended,
    /// In the store, with records in it.
    Live,
    /// Nobody begins to read it any more.
    Retired,
    /// It will not be carried out; it may be in the store.
    Abandoned,
}

/// An object.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ObjectRow {
    /// Counted in this shard, from 1 in the order of intents: the name that rows of partitions use.
    pub number: u64,
    /// Its name in the store.
    pub object: ObjectId,
    /// Of the leader that announced it.
    pub term: Term,
    /// Given by that leader.
    pub sequence: u64,
    /// First entry.
    pub first_index: Index,
    /// Last entry.
    pub last_index: Index,
    /// Where it is in its life.
    pub state: ObjectState,
    /// Entry time of its last step.
    pub changed_ms: i64,
    /// Its length; 0 until it is live.
    pub object_bytes: u64,
    /// Its footer and trailer; 0 until it is live.
    pub tail_bytes: u32,
    /// Of the whole object; zeros until it is live.
    pub sha256: [u8; 32],
    /// As in its head; 0 until it is live.
    pub created_ms: i64,
    /// Term of its last entry; 0 until it is live.
    pub last_term: Term,
    /// Partitions that have a row of it.
    pub live_rows: u32,
}

/// One object's part in a partition.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PartitionObject {
    /// [`ObjectRow::number`].
    pub number: u64,
    /// First offset.
    pub base_offset: i64,
    /// Last offset.
    pub last_offset: i64,
    /// Kafka's largest timestamp, ms.
    pub max_timestamp_ms: i64,
    /// Bytes of its blocks.
    pub len_bytes: u32,
}

const _: () = assert!(size_of::<PartitionObject>() <= 48, "design: at most 48 bytes a row");

/// The objects of a shard.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Objects {
    /// By number.
    rows: BTreeMap<u64, ObjectRow>,
    /// The numbers of `rows` by id.
    ids: BTreeMap<ObjectId, u64>,
    /// The numbers of `rows` that are not live, or hold nothing: those with a step before them. A
    /// year of history has very many others.
    unsettled: BTreeSet<u64>,
    /// The last number given; never given again.
    pub(crate) last_number: u64,
    /// Every batch up to here is in a committed object, or was not one to keep.
    pub(crate) uploaded: Index,
    /// Term of that entry.
    pub(crate) uploaded_term: Term,
    /// Ordinals of refused batches in entries behind `uploaded`.
    pub(crate) refused: BTreeMap<Index, Vec<u32>>,
}

impl Objects {
    pub(crate) fn rows(&self) -> impl ExactSizeIterator<Item = &ObjectRow> {
        self.rows.values()
    }

    fn unsettled(&self) -> impl Iterator<Item = &ObjectRow> {
        self.unsettled.iter().filter_map(|number| self.rows.get(number))
    }

    fn open(&self) -> impl Iterator<Item = &ObjectRow> {
        self.unsettled().filter(|row| row.state == ObjectState::Intended)
    }

    fn by_id(&self, object: ObjectId) -> Option<&ObjectRow> {
        self.rows.get(self.ids.get(&object)?)
    }

    /// Puts a row in the place of the one of its number.
    pub(crate) fn put(&mut self, row: ObjectRow) {
        self.ids.insert(row.object, row.number);
        if row.state == ObjectState::Live && row.live_rows > 0 {
            self.unsettled.remove(&row.number);
        } else {
            self.unsettled.insert(row.number);
        }
        self.rows.insert(row.number, row);
    }

    fn remove(&mut self, number: u64) {
        self.unsettled.remove(&number);
        if let Some(row) = self.rows.remove(&number) {
            self.ids.remove(&row.object);
        }
    }

    fn check_intent(&self, intent: &Intent, before: Index, term: Term) -> Result<(), Refused> {
        let behind = self.open().map(|row| row.last_index).max().max(Some(self.uploaded));
        let what = if intent.term != term {
            "it is of another term"
        } else if Some(intent.first_index) <= behind {
            "its range begins in another object's"
        } else if intent.last_index >= before {
            "its range is not applied"
        } else if self.open().count() >= OPEN_INTENTS_MAX {
            "too many are announced"
        } else if self.by_id(intent.object).is_some() {
            "its id is known"
        } else {
            return Ok(());
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

    /// A partition has let go of a row.
    pub(super) fn lose_row(&mut self, number: u64) -> Result<(), BrokenInvariant> {
        let row = self.rows.get_mut(&number).filter(|row| row.live_rows > 0);
        let row = row.ok_or_else(|| {
            BrokenInvariant::new(format!(
                "a partition had a row of object {number}, which has none"
            ))
        })?;
        row.live_rows -= 1;
        if row.live_rows == 0 {
            self.unsettled.insert(number);
        }
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
    pub(crate) fn check_object_step(&self, step: &ObjectStep) -> Result<(), Refused> {
        self.objects.check_step(step).map(drop)
    }

    /// As [`Self::check_intent`]; the number of its intent's row.
    pub(crate) fn check_manifest(&self, manifest: &Manifest) -> Result<u64, Refused> {
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
            if row.base_offset <= last || row.last_offset >= partition.high_watermark {
                let what = "its rows do not fit their partitions";
                return Err(Refused::InvalidObject { what });
            }
        }
        Ok(number)
    }

    /// Rows of a manifest that somebody can still read.
    fn living<'a>(&'a self, manifest: &'a Manifest) -> impl Iterator<Item = &'a ManifestRow> {
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
        self.objects.last_number += 1;
        let number = self.objects.last_number;
        let row = ObjectRow {
            number,
            object: intent.object,
            term: intent.term,
            sequence: intent.sequence,
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
        let living: Vec<ManifestRow> = self.living(manifest).copied().collect();
        for row in &living {
            let Some(partition) = self.partitions.get_mut(&row.partition) else { continue };
            partition.objects.push_back(PartitionObject {
                number,
                base_offset: row.base_offset,
                last_offset: row.last_offset,
                max_timestamp_ms: row.max_timestamp_ms,
                len_bytes: row.len_bytes,
            });
            partition.uploaded_end = row.last_offset + 1;
            partition.check_invariants(self.bugs)?;
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
        let (uploaded, term) = (row.last_index, row.last_term);
        if uploaded <= objects.uploaded {
            return Err(BrokenInvariant::new(format!(
                "uploaded {} cannot go back to {uploaded}",
                objects.uploaded
            )));
        }
        objects.put(row);
        (objects.uploaded, objects.uploaded_term) = (uploaded, term);
        objects.refused.retain(|index, _| *index > uploaded);
        applied.objects = true;
        self.digest.word(uploaded.0);
        self.digest.word(living.len() as u64);
        Ok(CommandOutcome::ObjectLive)
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
        match (state, self.objects.rows.get(&number).cloned()) {
            (Some(state), Some(row)) => {
                self.objects.put(ObjectRow { state, changed_ms: entry.time_ms, ..row });
            }
            _ => self.objects.remove(number),
        }
        applied.objects = true;
        CommandOutcome::ObjectStepped
    }

    /// A batch was refused: should this entry be looked at again, it has none there.
    pub(super) fn note_refused(&mut self, index: Index, ordinal: usize) {
        let ordinal = u32::try_from(ordinal).unwrap_or(u32::MAX);
        self.objects.refused.entry(index).or_default().push(ordinal);
    }

    /// What of an entry that this state reflects can still be read: its batches as `apply` told of
    /// them, but for those that died since. Entries in objects have none.
    ///
    /// # Errors
    /// As [`Shard::apply`].
    pub fn recall(&self, entry: EntryFacts, commands: &[u8]) -> Result<Applied, BrokenInvariant> {
        let mut recalled = Applied::default();
        if entry.index <= self.objects.uploaded {
            return Ok(recalled);
        }
        if entry.index > self.applied {
            let (index, applied) = (entry.index, self.applied);
            return Err(BrokenInvariant::new(format!(
                "entry {index} is not in a state of {applied}"
            )));
        }
        let refused = self.objects.refused.get(&entry.index);
        for (ordinal, command) in (0_u32..).zip(decode_commands(commands)) {
            let Command::AppendBatch(batch) = command? else { continue };
            let last_offset = batch.base_offset.saturating_add(i64::from(batch.last_offset_delta));
            let lives = self.partitions.get(&batch.partition).is_some_and(|partition| {
                partition.generation == batch.generation && last_offset >= partition.log_start
            });
            if !lives || refused.is_some_and(|ordinals| ordinals.contains(&ordinal)) {
                continue;
            }
            recalled.appended.push(AppendedBatch {
                partition: batch.partition,
                base_offset: batch.base_offset,
                last_offset,
                max_timestamp_ms: batch.max_timestamp_ms,
                leader_epoch: batch.leader_epoch,
                payload_start: batch.payload_start,
                payload_len_bytes: batch.payload_len_bytes,
                producer_id: batch.producer_id,
            });
        }
        Ok(recalled)
    }

    /// Rows of a partition that nobody can read any more.
    pub(super) fn drop_object_rows(
        &mut self,
        key: &PartitionKey,
        log_start: i64,
    ) -> Result<(), BrokenInvariant> {
        let Some(partition) = self.partitions.get_mut(key) else { return Ok(()) };
        while let Some(row) = partition.objects.pop_front_if(|row| row.last_offset < log_start) {
            self.objects.lose_row(row.number)?;
        }
        Ok(())
    }
}
