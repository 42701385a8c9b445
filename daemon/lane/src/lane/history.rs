//! The way of committed records into objects, and of the log's segments back to the log.
//!
//! ```text
//! applied ─▶ queue ─▶ cut ─▶ Intent ─▶ work: upload ─▶ Uploaded ─▶ Manifest ─▶ uploaded moves ─┐
//! applied ─▶ every so often ─▶ work: checkpoint ─▶ Checkpointed ─▶ checkpointed moves ──────────┤
//!                                                                                             ▼
//!                                 trim(min(uploaded, checkpointed)), while the log is more than half full,
//!                                                            or is to be erased (erasure.rs)
//! small rows, or dead bytes ─▶ MergeIntent ─▶ work: merge ─▶ Merged ─▶ Manifest       merges.rs
//! an object that reads wrong, and is still in the log ─▶ as a merge                    repairs.rs
//! an object of dead records ─▶ Retire ─▶ (readers gone, checkpointed) ─▶ work: delete ─▶ Gone
//! ```
//!
//! Everything is decided from applied state and looked at again: an intent that nobody here carries
//! out is abandoned, a command that was not proposed is proposed at the next look. So a crash, or
//! a reign that ends, at any place needs no code of its own.
//!
//! What is deleted by time goes by time that has passed here, on boottime: a wall clock that was set
//! forward, and back, would delete what is being read, and then nothing for as long as it was off.
//!
//! Invariants: `trimmed ≤ min(uploaded, checkpointed)` of each shard, `uploaded` being the entry before
//! the first whose living batches are in no object. An object is deleted only when its retirement is
//! part of a checkpoint: a start never finds a state that names it.
//!
//! Caveats: only shards with one voter are trimmed so far (followers have no snapshot to catch up by).
//! A state goes to the store whole at each checkpoint; beside the log go only its changes
//! (`keeping.rs`), and what is trimmed or deleted waits for both.

use std::collections::{BTreeMap, BTreeSet};

use holdfast_base::{ClusterId, Index, Now, Rng, ShardId, Term};
use holdfast_io::Disk;
use holdfast_log::{
    Applied, CommandOutcome, Intent, Manifest, ObjectId, ObjectIdentity, ObjectRow, ObjectState,
    ObjectStep, Refused, RepairBatch, Shard, Step,
};
use holdfast_wal::{Admission, Extent};

use super::Lane;
use super::merges::Merges;
use super::produce::Building;
use super::repairs::{ReadyRepair, Repairs};
use crate::calls::Slot;
use crate::config::StoreConfig;
use crate::machines::data_shard;
use crate::request::{Answer, Ticket};
use crate::store_work::{StateCheckpoint, StoreWork, Stored, UploadBatch, UploadEntry, UploadJob};
use crate::upload_queue::{CutRule, UploadQueue, WaitingBatch, WaitingEntry};

/// How often it is looked whether something is due by time. What moves in the log is seen at once.
const LOOK_NS: u64 = 250_000_000;
/// Objects of one shard under way at a time: the next is cut while one is in the store's hands.
const UPLOADS_MAX: usize = 2;
const _: () = assert!(UPLOADS_MAX <= holdfast_log::OPEN_INTENTS_MAX);
/// A checkpoint that the log waits for is not made more often than this.
const PRESSED_CHECKPOINT_NS: u64 = 1_000_000_000;
/// Of the log, read in one look for an object that is made again: a few milliseconds of a device.
const REPAIR_READ_BYTES: u64 = 8 << 20;
/// An object whose batches could not be read is tried again after this.
const UNREADABLE_PAUSE_NS: u64 = 10_000_000_000;

/// What a lane keeps of it, whoever leads.
#[derive(Debug, Default)]
pub(super) struct History {
    queues: BTreeMap<ShardId, UploadQueue>,
    kept: BTreeMap<ShardId, Kept>,
    work: Vec<StoreWork>,
    next_look_ns: u64,
    due: bool,
}

/// The checkpoints of a shard.
#[derive(Debug, Default)]
struct Kept {
    /// Beside the log and in the store, since this start.
    checkpointed: Index,
    /// The objects whose retirement is part of that one.
    retired: BTreeSet<ObjectId>,
    /// Under way, with what will be its `retired`.
    under_way: Option<(Index, BTreeSet<ObjectId>)>,
    last_ns: u64,
}

/// The objects of a shard that its leader has in hand.
#[derive(Debug, Default)]
pub(super) struct Objects {
    /// In the order of their ranges.
    uploads: Vec<Upload>,
    /// A step of their lives is decided and not applied.
    stepping: BTreeSet<ObjectId>,
    /// Since when this reign knows that nobody begins to read them, or that they were given up.
    since_ns: BTreeMap<ObjectId, u64>,
    /// Given up by this reign, and not handed out to be deleted a first time. Those that an earlier
    /// reign gave up wait for the second time: one that restarts often has better things to do.
    given_up: BTreeSet<ObjectId>,
    /// Handed out to be deleted for good.
    deleting: BTreeSet<ObjectId>,
    /// Deleted: their rows may go.
    deleted: BTreeSet<ObjectId>,
    /// No cut before.
    pause_until_ns: u64,
    /// Objects made of others.
    pub(super) merges: Merges,
    /// Objects that are wrong.
    pub(super) repairs: Repairs,
}

#[derive(Debug)]
struct Upload {
    intent: Intent,
    last_term: Term,
    entries: Vec<WaitingEntry>,
    phase: Phase,
}

/// Where an upload stands.
#[derive(Debug)]
pub(super) enum Phase {
    /// Its intent is to be proposed.
    Announce,
    /// It is proposed, or applied and not handed out.
    Announced,
    /// Somebody writes it.
    Writing,
    /// Its manifest is to be proposed.
    Written(Manifest),
    /// It is proposed.
    Committing(Manifest),
}

impl History {
    /// A shard starts. Whatever state it begins with, the next one is kept after a whole interval, and
    /// nothing is trimmed before: that state may lie beside the log alone, if its node went down
    /// before it was in the store, and be lost.
    pub(super) fn begin(&mut self, shard: ShardId, now: Now) {
        self.kept.insert(shard, Kept { last_ns: now.boottime_ns, ..Kept::default() });
    }

    /// The bug of believing that a state lies in the store because a start has it.
    pub(super) fn trust(&mut self, shard: ShardId, applied: Index) {
        self.kept.entry(shard).or_default().checkpointed = applied;
    }

    /// An entry left batches that no object holds yet.
    pub(super) fn wait(
        &mut self,
        shard: ShardId,
        (index, term): (Index, Term),
        applied: &Applied,
        payload: Extent,
        since_ns: u64,
    ) {
        if applied.appended.is_empty() {
            return;
        }
        let batch = |batch: &holdfast_log::AppendedBatch| WaitingBatch {
            partition: batch.partition,
            base_offset: batch.base_offset,
            last_offset: batch.last_offset,
            leader_epoch: batch.leader_epoch,
            max_timestamp_ms: batch.max_timestamp_ms,
            extent: payload.part(batch.payload_start, batch.payload_len_bytes),
        };
        let batches = applied.appended.iter().map(batch).collect();
        let entry = WaitingEntry { index, term, since_ns, batches };
        self.queues.entry(shard).or_default().push(entry);
    }

    /// Everything up to `uploaded` is in objects.
    pub(super) fn uploaded(&mut self, shard: ShardId, uploaded: Index) {
        if let Some(queue) = self.queues.get_mut(&shard) {
            queue.uploaded(uploaded);
        }
    }

    /// Bytes of committed batches that are in no object.
    pub(super) fn waiting_bytes(&self) -> u64 {
        self.queues.values().map(UploadQueue::waiting_bytes).sum()
    }

    /// When a look is due; in the past when something moved.
    pub(super) fn next_look_ns(&self) -> u64 {
        if self.due { 0 } else { self.next_look_ns }
    }

    pub(super) fn stop_leading(&mut self, shard: ShardId) {
        if let Some(queue) = self.queues.get_mut(&shard) {
            queue.forget_announced();
        }
    }
}

impl<D: Disk> Lane<D> {
    /// Work for the object store since last asked.
    pub fn take_store_work(&mut self, work: &mut Vec<StoreWork>) {
        work.append(&mut self.history.work);
    }

    /// Something of a shard's objects was applied.
    pub(super) fn objects_moved(&mut self, shard: ShardId) {
        let uploaded = data_shard(&self.driver, shard).map(Shard::uploaded);
        if let Some(uploaded) = uploaded {
            self.history.uploaded(shard, uploaded);
        }
        self.history.due = true;
    }

    /// A look, if one is due.
    pub(super) fn tend_history(&mut self, now: Now) {
        let is_due = std::mem::take(&mut self.history.due);
        let Some(store) = self.config.store else {
            self.history.next_look_ns = u64::MAX;
            return;
        };
        if !is_due && now.boottime_ns < self.history.next_look_ns {
            return;
        }
        self.history.next_look_ns = now.boottime_ns + LOOK_NS;
        self.drop_dead();
        self.tend_erasure(store, now);
        let wanted = self.log_is_wanted() || self.erasing_needs_oldest();
        let shards: Vec<ShardId> = self.leading.keys().copied().collect();
        for shard in shards {
            self.tend_objects(shard, store, wanted, now);
        }
        self.tend_checkpoints(store, wanted, now);
        self.tend_keeping(store.checkpoint_every_ns, wanted, now);
        self.trim_log();
    }

    /// Segments are to be given back: less than half of the log is free.
    fn log_is_wanted(&self) -> bool {
        self.driver.wal().status().live_bytes > self.config.wal.capacity_bytes / 2
    }

    /// What of a shard may go: everything before the first living batch in no object.
    fn uploaded_of(&self, shard: ShardId) -> Index {
        let applied = self.driver.reflects(shard).map_or(Index(0), |state| state.applied);
        let first = self.history.queues.get(&shard).and_then(UploadQueue::first);
        first.map_or(applied, |entry| Index(entry.index.0 - 1).min(applied))
    }

    /// Batches that died wait for no object, whoever leads.
    fn drop_dead(&mut self) {
        for (shard, queue) in &mut self.history.queues {
            if let Some(state) = data_shard(&self.driver, *shard) {
                queue.drop_dead(|batch| is_alive(state, batch));
            }
        }
    }

    fn tend_objects(&mut self, shard: ShardId, store: StoreConfig, wanted: bool, now: Now) {
        if self.driver.may_propose(shard, 0, Admission::Reserve).is_err() {
            return;
        }
        let Some((term, time_ms)) = self.driver.deciding(shard, now) else { return };
        let state = data_shard(&self.driver, shard);
        let (Some(leading), Some(state)) = (self.leading.get_mut(&shard), state) else { return };
        let queue = self.history.queues.entry(shard).or_default();
        let alive = |batch: &WaitingBatch| is_alive(state, batch);
        let objects = &mut leading.objects;
        objects.uploads.retain(|upload| upload.is_open(state));
        let oldest = self.driver.wal().oldest_segment();
        while objects.uploads.len() < UPLOADS_MAX && now.boottime_ns >= objects.pause_until_ns {
            let pins = queue
                .first_waiting()
                .and_then(|entry| entry.batches.first())
                .is_some_and(|batch| batch.extent.segment.0 <= oldest.0 + 1);
            let rule = CutRule {
                object_bytes: store.object_bytes,
                older_than_ns: now.boottime_ns.saturating_sub(store.object_age_ns),
                pressed: wanted && pins,
            };
            let Some(entries) = queue.cut(rule, alive) else { break };
            objects.uploads.push(Upload::of(entries, term, &mut self.rng));
        }
        let kept = self.history.kept.entry(shard).or_default();
        // What is kept beside the log is as new: it has forgotten what the store's state has.
        let local_too = self.keeping.checkpointed(shard) >= kept.checkpointed;
        let mut plan = Plan::default();
        let bugs = self.config.planted.history;
        objects.plan(state, &mut plan, now.boottime_ns, |row, for_ns| {
            if row.state == ObjectState::Abandoned {
                for_ns >= store.delete_again_after_ns || bugs.deleted_once
            } else {
                (local_too && kept.retired.contains(&row.object) || bugs.deleted_not_kept)
                    && (for_ns >= store.delete_after_ns || bugs.deleted_while_read)
            }
        });
        let cluster = self.config.founding.cluster;
        if objects.repairs.object().is_none() {
            let of = (cluster, shard);
            objects.merges.tend(state, of, term, store, (now, time_ms), &mut self.rng);
        }
        objects.merges.plan(&mut plan.commands);
        let may_begin = objects.merges.object().is_none();
        objects.repairs.tend(state, term, may_begin, now, &mut self.rng);
        objects.repairs.plan(&mut plan.commands);
        let check = objects.repairs.next_check(state, (cluster, shard), store.scrub_every_ns, now);
        self.history.work.extend(check.map(StoreWork::Check));
        for row in plan.deletions {
            let object = identity(cluster, shard, &row);
            self.history.work.push(StoreWork::Delete { shard, object, kind: row.kind });
        }
        self.propose_objects(shard, plan.commands, time_ms);
        self.hand_out_uploads(shard, now);
        self.read_for_repair(shard);
    }

    /// Looks for the records of an object that is wrong in the next entries of its range.
    fn read_for_repair(&mut self, shard: ShardId) {
        let Some(leading) = self.leading.get_mut(&shard) else { return };
        let repairs = &mut leading.objects.repairs;
        let Some((from, to)) = repairs.wants() else { return };
        self.history.due = true;
        let entries = match self.driver.read_back(shard, from, to, REPAIR_READ_BYTES) {
            Ok(entries) => entries,
            Err(why) => return repairs.not_repairable(&why),
        };
        for entry in entries {
            let found = match repairs.gather(entry.index, &entry.commands) {
                Ok(found) => found,
                Err(error) => return repairs.not_repairable(&error.to_string()),
            };
            let batch = |batch: &RepairBatch| WaitingBatch {
                partition: batch.partition,
                base_offset: batch.base_offset,
                last_offset: batch.last_offset,
                leader_epoch: batch.leader_epoch,
                max_timestamp_ms: batch.max_timestamp_ms,
                extent: entry.payload.part(batch.payload_start, batch.payload_len_bytes),
            };
            if !found.is_empty() {
                let batches = found.iter().map(batch).collect();
                let (index, term) = (entry.index, entry.term);
                repairs.found(WaitingEntry { index, term, since_ns: 0, batches });
            }
        }
        if repairs.wants().is_none()
            && let Err(error) = repairs.finish_reading()
        {
            repairs.not_repairable(&error.to_string());
        }
    }

    /// Puts what is decided of objects into the shard's next entry.
    fn propose_objects(&mut self, shard: ShardId, commands: Vec<ObjectCommand>, time_ms: i64) {
        let state = data_shard(&self.driver, shard);
        let (Some(leading), Some(state)) = (self.leading.get_mut(&shard), state) else { return };
        for command in commands {
            let building = leading.building.get_or_insert_with(|| Building::new(time_ms));
            let (object, entry) = (command.object(), &mut building.entry);
            let proposed = match &command {
                ObjectCommand::Intent(intent) => {
                    leading.decider.propose_intent(state, entry, intent)
                }
                ObjectCommand::MergeIntent(intent) => {
                    leading.decider.propose_merge_intent(state, entry, intent)
                }
                ObjectCommand::Manifest(manifest) => {
                    leading.decider.propose_manifest(state, entry, manifest)
                }
                ObjectCommand::Step(step) => {
                    leading.decider.propose_object_step(state, entry, step)
                }
            };
            match proposed {
                Ok(holdfast_log::Proposal::Command { ordinal }) => {
                    building.slots.push((ordinal, Slot::Object { object }));
                    leading.objects.proposed(command);
                }
                Ok(holdfast_log::Proposal::Nothing) => {}
                Err(Refused::EntryFull) => break,
                Err(refused) if leading.objects.merges.names(object) => {
                    leading.objects.merges.give_up(object, refused.name());
                }
                Err(refused) if leading.objects.repairs.names(object) => {
                    leading.objects.repairs.give_up(object, refused.name(), self.now);
                }
                Err(refused) => {
                    self.give_up_uploads(shard, refused.name());
                    break;
                }
            }
        }
    }

    /// Objects whose intent is applied are written from now on.
    fn hand_out_uploads(&mut self, shard: ShardId, now: Now) {
        let state = data_shard(&self.driver, shard);
        let (Some(leading), Some(state)) = (self.leading.get_mut(&shard), state) else { return };
        let mut ready = Vec::new();
        for upload in &mut leading.objects.uploads {
            let row = state.object(upload.intent.object);
            if let (Phase::Announced, Some(row)) = (&upload.phase, row) {
                upload.phase = Phase::Writing;
                ready.push((upload.intent, upload.last_term, row.changed_ms));
            }
        }
        let job = leading.objects.merges.hand_out(state, self.config.founding.cluster, shard);
        self.history.work.extend(job.map(StoreWork::Merge));
        if let Some(repair) = leading.objects.repairs.hand_out(state) {
            self.hand_out_repair(shard, repair);
        }
        for (intent, last_term, created_ms) in ready {
            let job = self.upload_job(shard, &intent, last_term, created_ms);
            if job.is_none() {
                self.pause_uploads(shard, now);
            }
            match job {
                Some(job) => self.history.work.push(StoreWork::Upload(job)),
                None => self.give_up_uploads(shard, "its segment is not in the log"),
            }
        }
    }

    fn upload_job(
        &mut self,
        shard: ShardId,
        intent: &Intent,
        last_term: Term,
        created_ms: i64,
    ) -> Option<UploadJob> {
        let uploads = &mut self.leading.get_mut(&shard)?.objects.uploads;
        let upload = uploads.iter_mut().find(|upload| upload.intent.object == intent.object)?;
        let waiting = std::mem::take(&mut upload.entries);
        self.job_of(shard, intent, last_term, created_ms, waiting)
    }

    fn hand_out_repair(&mut self, shard: ShardId, ready: ReadyRepair) {
        let ReadyRepair { intent, last_term, created_ms, entries } = ready;
        match self.job_of(shard, &intent, last_term, created_ms, entries) {
            Some(job) => self.history.work.push(StoreWork::Repair(job)),
            None => {
                if let Some(leading) = self.leading.get_mut(&shard) {
                    leading.objects.repairs.not_repairable("its segment is not in the log");
                }
            }
        }
    }

    /// What is to be written; `None` once a segment of it has gone.
    fn job_of(
        &mut self,
        shard: ShardId,
        intent: &Intent,
        last_term: Term,
        created_ms: i64,
        waiting: Vec<WaitingEntry>,
    ) -> Option<UploadJob> {
        let mut entries = Vec::with_capacity(waiting.len());
        for entry in waiting {
            let mut batches = Vec::with_capacity(entry.batches.len());
            for batch in entry.batches {
                batches.push(UploadBatch {
                    partition: batch.partition,
                    base_offset: batch.base_offset,
                    last_offset: batch.last_offset,
                    leader_epoch: batch.leader_epoch,
                    max_timestamp_ms: batch.max_timestamp_ms,
                    file: self.file_of(batch.extent.segment)?,
                    extent: batch.extent,
                });
            }
            entries.push(UploadEntry { index: entry.index, batches });
        }
        Some(UploadJob {
            identity: intent.identity(self.config.founding.cluster, shard),
            first_index: intent.first_index,
            last_index: intent.last_index,
            last_term,
            created_ms,
            entries,
        })
    }

    /// What became of work handed out. Answered at once: what follows goes through the log.
    pub(super) fn stored(&mut self, ticket: Ticket, stored: Stored, now: Now) {
        self.calls.answer(ticket, Answer::Stored);
        self.history.due = true;
        match stored {
            Stored::Uploaded { shard, manifest } => {
                let leading = self.leading.get_mut(&shard);
                let uploads = leading.map(|leading| &mut leading.objects.uploads);
                let written = uploads.into_iter().flatten().find(|upload| {
                    upload.intent.object == manifest.object
                        && matches!(upload.phase, Phase::Writing)
                });
                if let Some(upload) = written {
                    upload.phase = Phase::Written(manifest);
                }
            }
            Stored::NotUploaded { shard, object, why } => {
                tracing::error!(
                    shard = shard.0,
                    %object,
                    why,
                    "records cannot be read for their object; they stay in the log"
                );
                if self.config.planted.history.given_up_alone {
                    self.give_up_alone(shard, object);
                } else {
                    self.give_up_uploads(shard, &why);
                }
                self.pause_uploads(shard, now);
            }
            Stored::Merged { shard, manifest } => {
                if let Some(leading) = self.leading.get_mut(&shard) {
                    leading.objects.merges.written(manifest);
                }
            }
            Stored::Suspected { shard, object } => {
                let state = data_shard(&self.driver, shard);
                if let (Some(leading), Some(state)) = (self.leading.get_mut(&shard), state) {
                    leading.objects.repairs.suspect(object, state, now);
                }
            }
            Stored::Checked { shard, object, bytes, wrong } => {
                let state = data_shard(&self.driver, shard);
                if let (Some(leading), Some(state)) = (self.leading.get_mut(&shard), state) {
                    leading.objects.repairs.checked(object, bytes, wrong, state);
                }
            }
            Stored::Repaired { shard, manifest } => {
                if let Some(leading) = self.leading.get_mut(&shard) {
                    leading.objects.repairs.written(&manifest);
                }
            }
            Stored::NotRepaired { shard, object, why } => {
                if let Some(leading) = self.leading.get_mut(&shard)
                    && leading.objects.repairs.names(object)
                {
                    leading.objects.repairs.not_repairable(&why);
                }
            }
            Stored::NotMerged { shard, object, culprit, why } => {
                tracing::warn!(shard = shard.0, %object, why, "objects are not merged");
                let state = data_shard(&self.driver, shard);
                if let (Some(leading), Some(state)) = (self.leading.get_mut(&shard), state) {
                    leading.objects.merges.failed(object, culprit, state, now);
                    if let Some(culprit) = culprit {
                        leading.objects.repairs.suspect(culprit, state, now);
                    }
                }
            }
            Stored::Deleted { shard, object } => {
                if let Some(leading) = self.leading.get_mut(&shard)
                    && leading.objects.deleting.remove(&object)
                {
                    leading.objects.deleted.insert(object);
                }
            }
            Stored::Checkpointed { shard, applied } => {
                if let Some(kept) = self.history.kept.get_mut(&shard)
                    && let Some((_, retired)) = kept.under_way.take_if(|(of, _)| *of == applied)
                {
                    assert!(kept.checkpointed <= applied, "checkpoints only grow");
                    (kept.checkpointed, kept.retired) = (applied, retired);
                }
            }
        }
    }

    /// What could not be read is tried again later: each try writes to the log.
    fn pause_uploads(&mut self, shard: ShardId, now: Now) {
        if let Some(leading) = self.leading.get_mut(&shard) {
            leading.objects.pause_until_ns = now.boottime_ns + UNREADABLE_PAUSE_NS;
        }
    }

    /// Its intents are abandoned at the next look, and what they were for is cut anew.
    fn give_up_uploads(&mut self, shard: ShardId, why: &str) {
        tracing::debug!(shard = shard.0, why, "objects under way are given up");
        if let Some(leading) = self.leading.get_mut(&shard) {
            leading.objects.uploads.clear();
        }
        if !self.config.planted.history.announced_not_forgotten {
            self.history.stop_leading(shard);
        }
        self.history.due = true;
    }

    /// The bug of giving up one and letting those behind it go on.
    fn give_up_alone(&mut self, shard: ShardId, object: ObjectId) {
        if let Some(leading) = self.leading.get_mut(&shard) {
            leading.objects.uploads.retain(|upload| upload.intent.object != object);
        }
    }

    /// What became of a command about an object; `None` if it was not proposed after all.
    pub(super) fn object_settled(
        &mut self,
        shard: ShardId,
        object: ObjectId,
        outcome: Option<CommandOutcome>,
    ) {
        self.history.due = true;
        let Some(leading) = self.leading.get_mut(&shard) else { return };
        leading.objects.stepping.remove(&object);
        leading.objects.merges.settled(object, outcome.as_ref());
        leading.objects.repairs.settled(object, outcome.as_ref(), self.now);
        let uploads = &mut leading.objects.uploads;
        let upload = uploads.iter_mut().find(|upload| upload.intent.object == object);
        match (upload, outcome) {
            (Some(upload), None) => upload.not_proposed(),
            (Some(_), Some(CommandOutcome::Refused(refused))) => {
                self.give_up_uploads(shard, refused.name());
            }
            _ => {}
        }
    }

    fn tend_checkpoints(&mut self, store: StoreConfig, wanted: bool, now: Now) {
        let needs: BTreeMap<ShardId, Index> = if wanted {
            self.driver.wal().oldest_needs().into_iter().flatten().collect()
        } else {
            BTreeMap::new()
        };
        let shards: Vec<ShardId> = self.driver.status().map(|row| row.shard).collect();
        for shard in shards {
            let Some(reflects) = self.driver.reflects(shard) else { continue };
            let kept = self.history.kept.entry(shard).or_default();
            let pins = needs.get(&shard).is_some_and(|last| kept.checkpointed < *last);
            let after_ns = if pins { PRESSED_CHECKPOINT_NS } else { store.checkpoint_every_ns };
            let is_due = kept.under_way.is_none()
                && reflects.applied > kept.checkpointed
                && now.boottime_ns >= kept.last_ns.saturating_add(after_ns);
            let Some(machine) = self.driver.machine(shard).filter(|_| is_due) else { continue };
            let rows = machine.data().into_iter().flat_map(Shard::unsettled_objects);
            let retired = rows.filter(|row| row.state == ObjectState::Retired);
            kept.under_way = Some((reflects.applied, retired.map(|row| row.object).collect()));
            kept.last_ns = now.boottime_ns;
            if self.config.planted.history.kept_when_asked {
                kept.checkpointed = reflects.applied;
            }
            self.history.work.push(StoreWork::Checkpoint(StateCheckpoint {
                cluster: self.config.founding.cluster,
                shard,
                replica: reflects.replica,
                applied: reflects.applied,
                term: reflects.term,
                time_ms: reflects.time_ms,
                state: machine.snapshot(),
            }));
        }
    }

    /// Gives segments back, the oldest first, while more than half of the log is in use or one of
    /// them is to be erased.
    fn trim_log(&mut self) {
        let bugs = self.config.planted.history;
        let mut went = false;
        while self.log_is_wanted() || self.erasing_needs_oldest() {
            let Some(needs) = self.driver.wal().oldest_needs() else { break };
            let may_go = needs.iter().all(|(shard, last)| {
                let kept = self.history.kept.get(shard).map_or(Index(0), |kept| kept.checkpointed);
                let local = self.keeping.checkpointed(*shard);
                self.driver.is_sole_voter(*shard)
                    && (*last <= kept.min(local) || bugs.trimmed_not_kept)
                    && (*last <= self.uploaded_of(*shard) || bugs.trimmed_not_uploaded)
            });
            if !may_go {
                break;
            }
            let before = self.driver.wal().oldest_segment();
            for (shard, last) in needs {
                self.driver.trim(shard, last);
            }
            if self.driver.wal().oldest_segment() == before {
                // Its seal is still under way.
                break;
            }
            went = true;
        }
        if went && !bugs.places_outlive_segments {
            let oldest = self.driver.wal().oldest_segment();
            for index in self.batches.values_mut() {
                index.drop_before_segment(oldest);
            }
            self.files.retain(|segment, _| *segment >= oldest);
        }
    }
}

/// What a look at a shard's objects comes to.
#[derive(Debug, Default)]
struct Plan {
    commands: Vec<ObjectCommand>,
    deletions: Vec<ObjectRow>,
}

#[derive(Debug)]
pub(super) enum ObjectCommand {
    Intent(Intent),
    MergeIntent(Intent),
    Manifest(Manifest),
    Step(ObjectStep),
}

impl ObjectCommand {
    fn object(&self) -> ObjectId {
        match self {
            ObjectCommand::Intent(intent) | ObjectCommand::MergeIntent(intent) => intent.object,
            ObjectCommand::Manifest(manifest) => manifest.object,
            ObjectCommand::Step(step) => step.object,
        }
    }
}

impl Objects {
    /// What is due, from the applied rows and what is in hand. `may_go`, asked with how long it is
    /// known: for a retired object, nobody can be reading it, and no state that a start could begin
    /// with names it; for an abandoned one, no PUT of it is on its way any more.
    fn plan(
        &mut self,
        state: &Shard,
        plan: &mut Plan,
        now_ns: u64,
        may_go: impl Fn(&ObjectRow, u64) -> bool,
    ) {
        let in_hand: BTreeSet<ObjectId> = self
            .uploads
            .iter()
            .map(|upload| upload.intent.object)
            .chain(self.merges.object())
            .chain(self.repairs.object())
            .collect();
        for row in state.unsettled_objects() {
            let object = row.object;
            if self.stepping.contains(&object) {
                continue;
            }
            let step = match row.state {
                ObjectState::Intended if !in_hand.contains(&object) => Some(Step::Abandon),
                ObjectState::Live if row.live_rows == 0 => Some(Step::Retire),
                ObjectState::Retired | ObjectState::Abandoned if self.deleted.contains(&object) => {
                    Some(Step::Gone)
                }
                ObjectState::Retired | ObjectState::Abandoned => {
                    let since_ns = *self.since_ns.entry(object).or_insert(now_ns);
                    let for_ns = now_ns.saturating_sub(since_ns);
                    let is_due = if may_go(row, for_ns) {
                        self.deleting.insert(object)
                    } else {
                        row.state == ObjectState::Abandoned && self.given_up.remove(&object)
                    };
                    if is_due {
                        plan.deletions.push(row.clone());
                    }
                    None
                }
                _ => None,
            };
            if let Some(step) = step {
                if step == Step::Abandon {
                    self.given_up.insert(object);
                }
                plan.commands.push(ObjectCommand::Step(ObjectStep { object, step }));
            }
        }
        self.deleted.retain(|object| state.object(*object).is_some());
        self.given_up.retain(|object| state.object(*object).is_some());
        self.since_ns.retain(|object, _| state.object(*object).is_some());
        for (at, upload) in self.uploads.iter().enumerate() {
            match &upload.phase {
                Phase::Announce => plan.commands.push(ObjectCommand::Intent(upload.intent)),
                // In the order of their ranges: one before it was to be covered is refused.
                Phase::Written(manifest) if at == 0 => {
                    plan.commands.push(ObjectCommand::Manifest(manifest.clone()));
                }
                _ => {}
            }
        }
    }

    fn proposed(&mut self, command: ObjectCommand) {
        let object = command.object();
        match command {
            ObjectCommand::Step(_) => {
                self.stepping.insert(object);
            }
            ObjectCommand::Intent(_)
            | ObjectCommand::MergeIntent(_)
            | ObjectCommand::Manifest(_) => {
                self.merges.proposed(object);
                self.repairs.proposed(object);
                let upload = self.uploads.iter_mut().find(|upload| upload.intent.object == object);
                if let Some(upload) = upload {
                    upload.proposed();
                }
            }
        }
    }
}

impl Upload {
    fn of(entries: Vec<WaitingEntry>, term: Term, rng: &mut impl Rng) -> Upload {
        let (first, last) = (entries.first(), entries.last());
        let (first, last) = first.zip(last).expect("a cut has an entry");
        let intent = Intent {
            object: new_object(term, first.index.0, rng),
            term,
            sequence: first.index.0,
            first_index: first.index,
            last_index: last.index,
        };
        Upload { intent, last_term: last.term, entries, phase: Phase::Announce }
    }

    /// Until its manifest is applied.
    fn is_open(&self, state: &Shard) -> bool {
        self.phase.is_open(state, self.intent.object)
    }

    fn proposed(&mut self) {
        self.phase.proposed();
    }

    fn not_proposed(&mut self) {
        self.phase.not_proposed();
    }
}

impl Phase {
    /// Until the manifest of `object` is applied.
    pub(super) fn is_open(&self, state: &Shard, object: ObjectId) -> bool {
        match self {
            Phase::Announce | Phase::Announced => true,
            Phase::Writing | Phase::Written(_) | Phase::Committing(_) => {
                state.object(object).is_some_and(|row| row.state == ObjectState::Intended)
            }
        }
    }

    pub(super) fn proposed(&mut self) {
        *self = match std::mem::replace(self, Phase::Announced) {
            Phase::Announce => Phase::Announced,
            Phase::Written(manifest) => Phase::Committing(manifest),
            other => other,
        };
    }

    pub(super) fn not_proposed(&mut self) {
        *self = match std::mem::replace(self, Phase::Announce) {
            Phase::Announced => Phase::Announce,
            Phase::Committing(manifest) => Phase::Written(manifest),
            other => other,
        };
    }
}

fn is_alive(state: &Shard, batch: &WaitingBatch) -> bool {
    let partition = state.partition(&batch.partition);
    partition.is_some_and(|found| batch.last_offset >= found.log_start())
}

/// A name for an object. A simulated node draws the same numbers after each start, in another term.
pub(super) fn new_object(term: Term, of: u64, rng: &mut impl Rng) -> ObjectId {
    let mut object = [0; 16];
    object[..8].copy_from_slice(&(rng.next_u64() ^ term.0.rotate_left(32)).to_le_bytes());
    object[8..].copy_from_slice(&(rng.next_u64() ^ of).to_le_bytes());
    ObjectId(object)
}

pub(super) fn identity(cluster: ClusterId, shard: ShardId, row: &ObjectRow) -> ObjectIdentity {
    let (term, sequence, object) = (row.term, row.sequence, row.object);
    ObjectIdentity { cluster, shard, term, sequence, object }
}
