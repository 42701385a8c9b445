//! One try of each kind of work, and what is noted of it.
//!
//! | work | against the store | lies of the store that it must find out |
//! | --- | --- | --- |
//! | upload | PUT, then the footer or all of it read back | all of PUT and GET |
//! | merge | GET of the sources, then as an upload | all of PUT and GET |
//! | delete | DELETE | none: that it says yes and does nothing is beyond its contract |
//! | checkpoint | file beside the log, PUT, read back, older ones deleted | all of PUT and GET |
//!
//! A flipped bit in a block is found out only where all of an object is read back; where only the
//! footer is, that fault is not drawn. A store that keeps half of an object and shows the whole one
//! that was put there before lies twice, and is believed: one try meets lies or lags.

use bytes::Bytes;
use holdfast_base::{Rng, ShardId};
use holdfast_lane::{MergeJob, ObjectId, StateCheckpoint, StoreWork, Stored, UploadJob};
use holdfast_log::{ObjectIdentity, ObjectState};
use holdfast_tier::store::{Action, Fault, MemoryStore, Store};
use holdfast_tier::{
    Checked, ExpectedObject, ObjectHead, ReadBack, StoreKey, check_object, merge, upload,
};

use super::source::{LogSource, plan_of};
use super::{LATE_NS_MAX, MILLIS, Moment, Step, at_once};
use crate::states::State;
use crate::world::World;

/// Of a store that lies. The last one only where all is read back.
const LIES: &[Fault] = &[
    Fault::Busy,
    Fault::Lost,
    Fault::Applied,
    Fault::Stall,
    Fault::ErrorBody,
    Fault::Truncated,
    Fault::Flipped,
];
/// Of one that is behind the times.
const LAGS: &[Fault] = &[Fault::Busy, Fault::Lost, Fault::Applied, Fault::Stall, Fault::Stale];
const DELETE_FAULTS: &[Fault] = &[Fault::Busy, Fault::Lost, Fault::Applied, Fault::Stall];
/// A worker gives up on a call after this.
const LIMIT_NS: u64 = 1_000 * MILLIS;

const SILENT: &str = "the store has not answered";

/// What one try of a PUT may meet.
fn put_faults(rng: &mut impl Rng, whole_is_read_back: bool) -> &'static [Fault] {
    if rng.chance(1, 2) {
        return LAGS;
    }
    if whole_is_read_back { LIES } else { &LIES[..LIES.len() - 1] }
}

impl World {
    /// What is seen of work by its being asked for.
    pub(super) fn note_asked(&mut self, place: usize, work: &StoreWork) {
        let now_ns = self.now_ns;
        let word = match work {
            StoreWork::Upload(job) => job.last_index.0,
            StoreWork::Merge(job) => job.last_index.0,
            StoreWork::Repair(job) => job.last_index.0,
            StoreWork::Check(job) => job.object_bytes,
            StoreWork::Delete { object, .. } => object.sequence,
            StoreWork::Checkpoint(state) => state.applied.0,
        };
        self.trace.event(now_ns, place as u64, word);
        match work {
            StoreWork::Upload(job) => {
                self.trace.tell(now_ns, Some(place), || {
                    let (shard, object) = (job.identity.shard, job.identity.object);
                    let (first, last) = (job.first_index, job.last_index);
                    format!("shard {shard}: object {object} of entries {first} to {last}")
                });
            }
            StoreWork::Merge(job) => {
                self.trace.tell(now_ns, Some(place), || {
                    let (shard, object) = (job.identity.shard, job.identity.object);
                    format!("shard {shard}: object {object} of {} others", job.sources.len())
                });
            }
            StoreWork::Delete { shard, object, .. } => {
                let state = self.object_state(place, *shard, object.object);
                if state == Some(ObjectState::Abandoned) {
                    self.states.reach(State::IntentAbandoned);
                }
                self.trace.tell(now_ns, Some(place), || {
                    format!("shard {shard}: object {} is to go, {state:?}", object.object)
                });
            }
            StoreWork::Repair(_) | StoreWork::Check(_) | StoreWork::Checkpoint(_) => {}
        }
    }

    fn object_state(&self, place: usize, shard: ShardId, object: ObjectId) -> Option<ObjectState> {
        let state = self.nodes[place].lane.as_ref()?.shard(shard)?;
        state.object(object).map(|row| row.state)
    }

    pub(super) fn try_work(&mut self, place: usize, worker: usize) {
        let busy = &self.nodes[place].desk.workers[worker].busy;
        let Some(work) = busy.as_ref().map(|one| one.work.clone()) else { return };
        let result = match &work {
            StoreWork::Upload(job) => self.put_object(place, worker, job),
            StoreWork::Merge(job) => self.merge_objects(job),
            StoreWork::Repair(job) => self.repair_object(place, job),
            StoreWork::Check(job) => self.check(job),
            StoreWork::Delete { shard, object, .. } => self.delete_object(place, *shard, object),
            StoreWork::Checkpoint(state) => {
                self.keep_beside(place, worker, state);
                return;
            }
        };
        self.done_later(place, worker, result);
    }

    /// `None`: the store did not answer.
    fn done_later(&mut self, place: usize, worker: usize, result: Option<Result<Stored, String>>) {
        let Some(bucket) = &mut self.bucket else { return };
        let (result, delay_ns) = match result {
            Some(result) => (result, bucket.delay_ns()),
            None => (Err(SILENT.to_owned()), LIMIT_NS),
        };
        let at_ns = self.now_ns + delay_ns;
        self.step_at(at_ns, place, worker, Step::Done(Box::new(result)));
    }

    fn put_object(
        &mut self,
        place: usize,
        worker: usize,
        job: &UploadJob,
    ) -> Option<Result<Stored, String>> {
        let (shard, object) = (job.identity.shard, job.identity.object);
        let given_up = |why: String| Some(Ok(Stored::NotUploaded { shard, object, why }));
        let node = &self.nodes[place];
        let oldest = node.lane.as_ref()?.oldest_segment();
        let mut source = LogSource::read(job, &node.device, &oldest);
        let bucket = self.bucket.as_mut()?;
        let plan = match plan_of(job) {
            Ok(plan) => plan,
            Err(error) => {
                self.broken.push(format!("no-plan: object {object}: {error}"));
                return given_up(error.to_string());
            }
        };
        if bucket.rng.chance(bucket.mood.unreadable_per_mille, 1000) {
            self.states.reach(State::LogNotReadable);
            return given_up("the log cannot be read just now".to_owned());
        }
        if bucket.rng.chance(bucket.mood.late_per_mille, 1000) {
            let other = MemoryStore::new();
            let key = StoreKey::of(&job.identity);
            let made = at_once(upload(&other, plan, &mut source, ReadBack::Tail));
            let bytes = made.and_then(Result::ok).and_then(|_| other.stored(&key))?;
            let late_ns = self.now_ns + bucket.rng.below(LATE_NS_MAX);
            self.step_at(late_ns, place, worker, Step::Late(key, bytes));
            return None;
        }
        let whole = bucket.rng.chance(1, 3);
        let how = if whole { ReadBack::Whole } else { ReadBack::Tail };
        let faults = put_faults(&mut bucket.rng, whole);
        let memory = bucket.memory.clone();
        match bucket.attempt(faults, upload(&memory, plan, &mut source, how))? {
            Ok(manifest) => {
                self.reach_moment(Moment::Put, place);
                Some(Ok(Stored::Uploaded { shard, manifest }))
            }
            Err(error) if error.action() == Action::Refuse => {
                if !self.nodes[place].is_damaged {
                    self.broken.push(format!("log-unreadable: object {object}: {error}"));
                }
                given_up(error.to_string())
            }
            Err(error) => {
                if matches!(error, holdfast_tier::UploadError::ReadBack(_)) {
                    self.states.reach(State::LyingPutFoundOut);
                }
                Some(Err(error.to_string()))
            }
        }
    }

    fn merge_objects(&mut self, job: &MergeJob) -> Option<Result<Stored, String>> {
        let (shard, object) = (job.identity.shard, job.identity.object);
        let head = ObjectHead {
            identity: job.identity,
            first_index: job.first_index,
            last_index: job.last_index,
            last_term: job.last_term,
            created_ms: job.created_ms,
        };
        let bucket = self.bucket.as_mut()?;
        let whole = bucket.rng.chance(1, 3);
        let how = if whole { ReadBack::Whole } else { ReadBack::Tail };
        let faults = put_faults(&mut bucket.rng, whole);
        let memory = bucket.memory.clone();
        match bucket.attempt(faults, merge(&memory, head, &job.sources, how))? {
            Ok(manifest) => {
                self.states.reach(State::ObjectsMerged);
                Some(Ok(Stored::Merged { shard, manifest }))
            }
            Err(error) if error.action() == Action::Refuse => {
                self.states.reach(State::MergeGivenUp);
                let (culprit, why) = (error.culprit(), error.to_string());
                Some(Ok(Stored::NotMerged { shard, object, culprit, why }))
            }
            Err(error) => Some(Err(error.to_string())),
        }
    }

    fn repair_object(&mut self, place: usize, job: &UploadJob) -> Option<Result<Stored, String>> {
        let (shard, object) = (job.identity.shard, job.identity.object);
        let node = &self.nodes[place];
        let oldest = node.lane.as_ref()?.oldest_segment();
        let mut source = LogSource::read(job, &node.device, &oldest);
        let bucket = self.bucket.as_mut()?;
        let given_up = |why: String| Some(Ok(Stored::NotRepaired { shard, object, why }));
        let plan = match plan_of(job) {
            Ok(plan) => plan,
            Err(error) => {
                self.broken.push(format!("no-plan: object {object}: {error}"));
                return given_up(error.to_string());
            }
        };
        let faults = put_faults(&mut bucket.rng, true);
        let memory = bucket.memory.clone();
        match bucket.attempt(faults, upload(&memory, plan, &mut source, ReadBack::Whole))? {
            Ok(manifest) => Some(Ok(Stored::Repaired { shard, manifest })),
            Err(error) if error.action() == Action::Refuse => given_up(error.to_string()),
            Err(error) => Some(Err(error.to_string())),
        }
    }

    fn check(&mut self, job: &ExpectedObject) -> Option<Result<Stored, String>> {
        let (shard, object, bytes) = (job.identity.shard, job.identity.object, job.object_bytes);
        let bucket = self.bucket.as_mut()?;
        let memory = bucket.memory.clone();
        let read = check_object(&memory, job, async |_| ());
        match bucket.attempt(DELETE_FAULTS, read)? {
            Ok(Checked::Whole) => Some(Ok(Stored::Checked { shard, object, bytes, wrong: None })),
            Ok(Checked::Wrong(why)) => {
                Some(Ok(Stored::Checked { shard, object, bytes, wrong: Some(why) }))
            }
            Err(error) => Some(Err(error.to_string())),
        }
    }

    /// A PUT lands that nobody waits for any more.
    pub(super) fn land(&mut self, place: usize, key: &StoreKey, bytes: Bytes) {
        let now_ns = self.now_ns;
        let Some(bucket) = &self.bucket else { return };
        self.states.reach(State::LatePut);
        self.trace.tell(now_ns, Some(place), || format!("a late PUT lands: {key}"));
        at_once(bucket.memory.put(key, vec![bytes]));
    }

    fn delete_object(
        &mut self,
        place: usize,
        shard: ShardId,
        object: &ObjectIdentity,
    ) -> Option<Result<Stored, String>> {
        if self.object_state(place, shard, object.object) == Some(ObjectState::Retired) {
            self.look_for_readers(place, shard, object.object);
        }
        let bucket = self.bucket.as_mut()?;
        let memory = bucket.memory.clone();
        let key = StoreKey::of(object);
        match bucket.attempt(DELETE_FAULTS, memory.delete(&key))? {
            Ok(()) => {
                self.states.reach(State::ObjectDeleted);
                self.reach_moment(Moment::Deleted, place);
                Some(Ok(Stored::Deleted { shard, object: object.object }))
            }
            Err(error) => Some(Err(error.to_string())),
        }
    }

    /// An object is deleted only when its retirement is part of the states a start begins with.
    fn look_for_readers(&mut self, place: usize, shard: ShardId, object: ObjectId) {
        for (where_, state) in self.newest_states(place, shard) {
            let names = holdfast_log::Shard::restore(&state.state).is_ok_and(|kept| {
                kept.object(object).is_some_and(|row| row.state == ObjectState::Live)
            });
            if names {
                self.broken.push(format!(
                    "deleted-before-kept: object {object} of shard {shard} is deleted, and the \
                     state of entry {} {where_} names it",
                    state.applied
                ));
            }
        }
    }

    fn keep_beside(&mut self, place: usize, worker: usize, state: &StateCheckpoint) {
        let (key, bytes) = super::states::encode(state);
        self.nodes[place].desk.states.insert(state.shard, bytes.clone());
        self.reach_moment(Moment::StateBeside, place);
        let Some(bucket) = &mut self.bucket else { return };
        let at_ns = self.now_ns + bucket.delay_ns();
        self.step_at(at_ns, place, worker, Step::Keep(key, bytes));
    }

    /// The second half of keeping a state.
    pub(super) fn keep_in_store(
        &mut self,
        place: usize,
        worker: usize,
        key: &StoreKey,
        bytes: &Bytes,
    ) {
        let busy = &self.nodes[place].desk.workers[worker].busy;
        let Some(StoreWork::Checkpoint(state)) = busy.as_ref().map(|one| one.work.clone()) else {
            return;
        };
        let Some(bucket) = &mut self.bucket else { return };
        let memory = bucket.memory.clone();
        let faults = put_faults(&mut bucket.rng, true);
        let kept = bucket.attempt(faults, super::states::put(&memory, key, bytes));
        let result = kept.map(|kept| {
            kept.map(|()| Stored::Checkpointed { shard: state.shard, applied: state.applied })
        });
        if matches!(result, Some(Ok(_))) {
            let older = super::states::delete_older(&memory, state.cluster, state.shard);
            // What is left of it is deleted after the next one.
            bucket.attempt(DELETE_FAULTS, older);
            self.reach_moment(Moment::StateKept, place);
        }
        self.done_later(place, worker, result);
    }
}
