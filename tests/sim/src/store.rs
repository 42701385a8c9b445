//! The object store of a simulated cluster, and those who work with it for each node's lane.
//!
//! ```text
//! lane ─ StoreWork ─▶ waiting ─▶ Try ─▶ bucket: PUT, read back, DELETE ─▶ Done ─ Stored ─▶ lane
//!                        ▲              state: file beside the log ─▶ Keep: PUT ─┘
//!                        └──── later: 50 ms, 100 ms ... 2 s ──── the store failed
//!
//! node goes down: what waits, and what was done and not told, is forgotten; files, bucket and what
//! is still on its way to the bucket stay
//! ```
//!
//! The daemon's three workers a node, one thing each at a time, on simulated time. Objects and states
//! are made and read by the real tier; the bucket is its store in memory, whose faults are drawn
//! before each call. A new kind of work is an arm in `work`.
//!
//! Caveat: the driver around the tier is written again here, because the daemon's runs on tokio.

mod audit;
mod cold;
mod source;
mod states;
mod work;

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use holdfast_base::{Rng, ShardId, SplitMix64};
use holdfast_lane::{Request, StoreWork, Stored, Ticket};
use holdfast_log::ObjectKind;
use holdfast_tier::StoreKey;
use holdfast_tier::store::{Fault, MemoryStore};

use crate::node::{Input, Power};
use crate::states::State;
use crate::world::{Event, World};

pub(crate) use cold::ColdRead;

const MILLIS: u64 = 1_000_000;
const PAUSE_FIRST_NS: u64 = 50 * MILLIS;
const PAUSE_LAST_NS: u64 = 2_000 * MILLIS;
/// What waits for a stopped process looks again after this.
const STOPPED_NS: u64 = 50 * MILLIS;
/// A PUT that was given up lands within this.
pub(crate) const LATE_NS_MAX: u64 = 1_500 * MILLIS;
/// Workers of a node: for objects of the log, for objects made of others, for states.
const WORKERS: usize = 3;

/// How the store is to its callers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mood {
    /// Calls of a thousand that go wrong.
    pub(crate) faults_per_mille: u64,
    /// It cannot be reached.
    pub(crate) is_away: bool,
    pub(crate) delay_max_ns: u64,
    /// PUTs of a thousand whose caller gives up before they land.
    pub(crate) late_per_mille: u64,
    /// Uploads of a thousand for which the log cannot be read.
    pub(crate) unreadable_per_mille: u64,
}

impl Mood {
    pub(crate) const GOOD: Mood = Mood {
        faults_per_mille: 0,
        is_away: false,
        delay_max_ns: 30 * MILLIS,
        late_per_mille: 0,
        unreadable_per_mille: 0,
    };
}

/// A place between two steps at which a node may go down.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Moment {
    /// An object is in the store and the lane does not know.
    Put,
    /// A manifest is applied and nothing was trimmed by it.
    Manifest,
    /// Segments were given back.
    Trim,
    /// A state lies beside the log and not in the store.
    StateBeside,
    /// A state lies in both and the lane does not know.
    StateKept,
    /// An object is deleted and the lane does not know.
    Deleted,
}

impl Moment {
    pub(crate) const ALL: [Moment; 6] = [
        Moment::Put,
        Moment::Manifest,
        Moment::Trim,
        Moment::StateBeside,
        Moment::StateKept,
        Moment::Deleted,
    ];
}

/// The site's store.
#[derive(Debug)]
pub(crate) struct Bucket {
    pub(crate) memory: MemoryStore,
    pub(crate) mood: Mood,
    /// Where the next node that comes there goes down.
    pub(crate) moment: Option<Moment>,
    /// A wall clock has jumped: what is deleted by time may be deleted early.
    pub(crate) time_jumped: bool,
    rng: SplitMix64,
}

impl Bucket {
    pub(crate) fn new(rng: SplitMix64) -> Bucket {
        Bucket {
            memory: MemoryStore::new(),
            mood: Mood::GOOD,
            moment: None,
            time_jumped: false,
            rng,
        }
    }

    /// Does one thing with the store as it is now; `None` if it never answers.
    fn attempt<T>(&mut self, faults: &[Fault], call: impl Future<Output = T>) -> Option<T> {
        let seed = self.rng.next_u64();
        if self.mood.is_away {
            self.memory.draw(seed, 1000, &[Fault::Lost, Fault::Busy, Fault::Stall]);
        } else {
            self.memory.draw(seed, self.mood.faults_per_mille, faults);
        }
        let answer = at_once(call);
        self.memory.draw(0, 0, &[]);
        answer
    }

    fn delay_ns(&mut self) -> u64 {
        100_000 + self.rng.below(self.mood.delay_max_ns)
    }
}

/// What a future that waits for nothing comes to; `None` from one that does.
fn at_once<T>(future: impl Future<Output = T>) -> Option<T> {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => Some(value),
        Poll::Pending => None,
    }
}

/// What a node has for its store's sake.
#[derive(Debug, Default)]
pub(crate) struct Desk {
    workers: [Worker; WORKERS],
    /// Files beside the log.
    pub(crate) states: BTreeMap<ShardId, Bytes>,
    /// Sum of what its shards have in objects, when last looked.
    uploaded: u64,
    /// The log's oldest segment, when last looked.
    oldest: u64,
}

#[derive(Debug, Default)]
struct Worker {
    waiting: Vec<Waiting>,
    busy: Option<Waiting>,
}

#[derive(Clone, Debug)]
struct Waiting {
    work: StoreWork,
    not_before_ns: u64,
    pause_ns: u64,
}

impl Desk {
    /// The process is gone.
    pub(crate) fn forget_work(&mut self) {
        self.workers = Default::default();
        self.uploaded = u64::MAX;
    }
}

/// A step of a worker.
#[derive(Debug)]
pub(crate) struct StoreEvent {
    place: usize,
    /// Of the process that it is a step of.
    starts: u64,
    worker: usize,
    step: Step,
}

#[derive(Debug)]
enum Step {
    Look,
    Try,
    /// A state that lies beside the log goes to the store.
    Keep(StoreKey, Bytes),
    Done(Box<Result<Stored, String>>),
    /// A PUT that its caller has given up lands.
    Late(StoreKey, Bytes),
}

impl World {
    /// Hands what the lane asks for to the node's workers.
    pub(crate) fn take_store_work(&mut self, place: usize) {
        if self.bucket.is_none() {
            return;
        }
        let Some(lane) = &mut self.nodes[place].lane else { return };
        let mut asked = Vec::new();
        lane.take_store_work(&mut asked);
        for work in asked {
            self.leave(place, work);
        }
        self.note_progress(place);
    }

    fn leave(&mut self, place: usize, work: StoreWork) {
        self.note_asked(place, &work);
        let now_ns = self.now_ns;
        let desk = &mut self.nodes[place].desk;
        let worker = worker_of(&work);
        desk.workers[worker].waiting.retain(|one| !work.withdraws(&one.work));
        let one = Waiting { work, not_before_ns: now_ns, pause_ns: PAUSE_FIRST_NS };
        desk.workers[worker].waiting.push(one);
        self.tend(place, worker);
    }

    /// Begins the first thing that is due, if the worker is free.
    fn tend(&mut self, place: usize, worker: usize) {
        let now_ns = self.now_ns;
        let Some(bucket) = &mut self.bucket else { return };
        let desk = &mut self.nodes[place].desk.workers[worker];
        if desk.busy.is_some() {
            return;
        }
        let due = desk.waiting.iter().position(|one| one.not_before_ns <= now_ns);
        let next_ns = desk.waiting.iter().map(|one| one.not_before_ns).min();
        match (due, next_ns) {
            (Some(at), _) => {
                desk.busy = Some(desk.waiting.remove(at));
                let delay_ns = bucket.delay_ns();
                self.step_at(now_ns + delay_ns, place, worker, Step::Try);
            }
            (None, Some(next_ns)) => self.step_at(next_ns, place, worker, Step::Look),
            (None, None) => {}
        }
    }

    fn step_at(&mut self, at_ns: u64, place: usize, worker: usize, step: Step) {
        let starts = self.nodes[place].starts;
        self.at(at_ns, Event::Store(StoreEvent { place, starts, worker, step }));
    }

    pub(crate) fn store_event(&mut self, event: StoreEvent) {
        let StoreEvent { place, starts, worker, step } = event;
        if let Step::Late(key, bytes) = step {
            self.land(place, &key, bytes);
            return;
        }
        let node = &self.nodes[place];
        if node.starts != starts || node.lane.is_none() {
            return;
        }
        if node.power == Power::Paused {
            let at_ns = self.now_ns + STOPPED_NS;
            self.at(at_ns, Event::Store(StoreEvent { place, starts, worker, step }));
            return;
        }
        match step {
            Step::Look => self.tend(place, worker),
            Step::Try => self.try_work(place, worker),
            Step::Keep(key, bytes) => self.keep_in_store(place, worker, &key, &bytes),
            Step::Done(result) => self.done(place, worker, *result),
            Step::Late(..) => {}
        }
    }

    fn done(&mut self, place: usize, worker: usize, result: Result<Stored, String>) {
        let now_ns = self.now_ns;
        let Some(mut one) = self.nodes[place].desk.workers[worker].busy.take() else { return };
        match result {
            Ok(stored) => {
                self.next_store_ticket += 1;
                let ticket = Ticket(u64::MAX - self.next_store_ticket);
                self.arrive(place, Input::Call(ticket, Request::Stored(stored)));
            }
            Err(why) => {
                self.trace.tell(now_ns, Some(place), || format!("{}: {why}", name_of(&one.work)));
                self.states.reach(State::StoreTriedAgain);
                if one.work.writes().is_some() {
                    self.states.reach(State::UploadTriedAgain);
                }
                one.not_before_ns = now_ns + one.pause_ns;
                one.pause_ns = (one.pause_ns * 2).min(PAUSE_LAST_NS);
                let waiting = &mut self.nodes[place].desk.workers[worker].waiting;
                if !waiting.iter().any(|other| other.work.withdraws(&one.work)) {
                    waiting.push(one);
                }
            }
        }
        self.tend(place, worker);
    }

    /// A node has come to a moment; if that is the one, it goes down at once.
    fn reach_moment(&mut self, moment: Moment, place: usize) {
        let Some(bucket) = &mut self.bucket else { return };
        if bucket.moment == Some(moment) {
            bucket.moment = None;
            self.states.reach(match moment {
                Moment::Put => State::DownBehindPut,
                Moment::Manifest => State::DownBehindManifest,
                Moment::Trim => State::DownBehindTrim,
                Moment::StateBeside => State::DownBehindStateFile,
                Moment::StateKept => State::DownBehindStatePut,
                Moment::Deleted => State::DownBehindDelete,
            });
            self.after(0, Event::Moment(place));
        }
    }

    /// What the lane's last turn moved.
    fn note_progress(&mut self, place: usize) {
        let node = &mut self.nodes[place];
        let Some(lane) = &node.lane else { return };
        let uploaded: u64 = lane.data_shards().map(|state| state.uploaded().0).sum();
        let has_committed = uploaded > node.desk.uploaded;
        node.desk.uploaded = uploaded;
        let oldest = lane.oldest_segment();
        let mut released = 0;
        while !oldest.still_has(holdfast_wal::SegmentNumber(node.desk.oldest)) {
            node.desk.oldest += 1;
            released += 1;
        }
        if has_committed {
            self.states.reach(State::ObjectCommitted);
            self.reach_moment(Moment::Manifest, place);
        }
        if released > 0 {
            let now_ns = self.now_ns;
            self.trace.tell(now_ns, Some(place), || format!("{released} segments are trimmed"));
            self.states.reach_times(State::LogTrimmed, released);
            self.reach_moment(Moment::Trim, place);
        }
    }
}

fn worker_of(work: &StoreWork) -> usize {
    match work {
        StoreWork::Upload(_) | StoreWork::Delete { kind: ObjectKind::Cut, .. } => 0,
        StoreWork::Merge(_)
        | StoreWork::Repair(_)
        | StoreWork::Delete { kind: ObjectKind::Merged, .. } => 1,
        StoreWork::Checkpoint(_) | StoreWork::Check(_) => 2,
    }
}

fn name_of(work: &StoreWork) -> &'static str {
    match work {
        StoreWork::Upload(_) => "an object is not in the store",
        StoreWork::Merge(_) => "objects are not merged",
        StoreWork::Repair(_) => "an object is not made again",
        StoreWork::Check(_) => "an object is not looked through",
        StoreWork::Delete { .. } => "an object is not deleted",
        StoreWork::Checkpoint(_) => "a state is not kept",
    }
}
