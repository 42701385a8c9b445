//! What goes wrong, and when it ends.
//!
//! Each seed draws a subset of faults and one node that may lose what it had, the *victim*; the
//! two others keep their media, so whatever a quorum acknowledged must survive.
//!
//! | fault | whom | ends |
//! | --- | --- | --- |
//! | kill; power cut of one, of all | any | restart after 5 ms to 5 s |
//! | pause | any | 0.2 s to 8 s |
//! | cut both ways, one way; bad weather | links | 0.3 s to 6 s |
//! | wall clock | any | stays |
//! | device hangs | any | 0.3 s to 5 s |
//! | EIO | victim | stops; back on the same media behind a working controller |
//! | bit flips; a write lost or misdirected | victim | stays out or quarantined; replaced |
//! | a durable frame damaged or overwritten | victim | its replica is quarantined; replaced |
//! | a stale frame at the log's end | any | harms nothing |
//! | its device comes back as an older image | victim | stays out |
//! | a WAL that fills up | all | a larger one, once healed |
//! | the store: away, slow, failing, lying, its PUTs late | all | 0.3 s to 6 s |
//! | the log cannot be read for uploads | all | 0.3 s to 6 s |
//! | the state beside the log damaged, lost | any | the store's newest is used |
//! | down between PUT and manifest, manifest and trim, file and store ... | who comes there | as kill |
//!
//! Caveat: a bit that flips in the last frames of a log, before anything durable claims them,
//! cannot be told from a torn write, so the victim may come back with less than it promised.
//! Fencing such a node by its peers (design, consensus rule 7) is not written yet: the harness
//! keeps it out, and counts it.

use std::collections::BTreeMap;

use holdfast_base::{Rng, ShardId, SplitMix64};
use holdfast_io::{SimSnapshot, WriteFault};

use crate::kind::Kind;
use crate::media::{Media, Section};
use crate::network::Weather;
use crate::node::Power;
use crate::power::Stop;
use crate::states::State;
use crate::store::{Moment, Mood};
use crate::world::{Event, World};

/// Never full in a run.
const WAL_BYTES: u64 = 48 << 20;
/// Full after a few hundred batches.
const SMALL_WAL_BYTES: u64 = 4 << 20;
/// Given back to itself many times in a run.
const TRIMMED_WAL_BYTES_MIN: u64 = 7 << 19;
/// With less than this, intents and manifests may not fit.
const FULL_WAL_BYTES: u64 = 384 << 10;
/// Kept for what frees or guards space.
const RESERVE_BYTES: u64 = 512 << 10;
/// With a WAL that fills up: two segments, so that taking from it shows.
const SMALL_WAL_RESERVE_BYTES: u64 = 1 << 20;
const MILLIS: u64 = 1_000_000;
const SECONDS: u64 = 1000 * MILLIS;
/// A node stands still for at most about this.
pub(crate) const PAUSE_NS_MAX: u64 = 8 * SECONDS;

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Fault {
    Kill,
    PowerCutOne,
    PowerCutAll,
    Pause,
    Cut,
    OneWayCut,
    Weather,
    WallClock,
    Hang,
    Eio,
    BitFlip,
    BitRot,
    LostWrite,
    MisdirectedWrite,
    FrameFlip,
    FrameMisplaced,
    StaleFrame,
    RollBack,
    StoreAway,
    StoreFaults,
    StoreSlow,
    PutsLate,
    LogNotReadable,
    StateHarmed,
    AtMoment,
}

const FAULTS: &[Fault] = &[
    Fault::Kill,
    Fault::PowerCutOne,
    Fault::PowerCutAll,
    Fault::Pause,
    Fault::Cut,
    Fault::OneWayCut,
    Fault::Weather,
    Fault::WallClock,
    Fault::Hang,
    Fault::Eio,
    Fault::BitFlip,
    Fault::BitRot,
    Fault::LostWrite,
    Fault::MisdirectedWrite,
];

/// Came later, and are drawn apart, so that a seed without them is the run it always was.
const LATER_FAULTS: &[Fault] =
    &[Fault::FrameFlip, Fault::FrameMisplaced, Fault::StaleFrame, Fault::RollBack];

/// Of clusters with an object store.
const STORE_FAULTS: &[Fault] = &[
    Fault::StoreAway,
    Fault::StoreFaults,
    Fault::StoreSlow,
    Fault::PutsLate,
    Fault::LogNotReadable,
    Fault::StateHarmed,
    Fault::AtMoment,
];

impl Fault {
    /// Whether a cluster of that kind must stand it. One voter has what is in no object once; where
    /// replicas start from states, damage to what the states reflect harms nothing and shows nothing.
    fn suits(self, kind: Kind) -> bool {
        use Fault::{
            Cut, Eio, FrameFlip, FrameMisplaced, OneWayCut, RollBack, StaleFrame, Weather,
        };
        let harms = matches!(self, FrameFlip | FrameMisplaced | RollBack | StaleFrame)
            || (self.damages() && self != Eio);
        let needs_peers = matches!(self, Cut | OneWayCut | Weather);
        !(kind.has_store() && harms || kind.nodes() == 1 && needs_peers)
    }

    /// Whether it may take what a node had on stable media.
    fn damages(self) -> bool {
        use Fault::{BitFlip, BitRot, Eio, LostWrite, MisdirectedWrite};
        matches!(self, Eio | BitFlip | BitRot | LostWrite | MisdirectedWrite)
    }

    fn name(self) -> &'static str {
        match self {
            Fault::Kill => "kill",
            Fault::PowerCutOne => "power cut, one node",
            Fault::PowerCutAll => "power cut, all nodes",
            Fault::Pause => "pause",
            Fault::Cut => "partition",
            Fault::OneWayCut => "one-way cut",
            Fault::Weather => "loss, repeats, delay",
            Fault::WallClock => "wall clock jump",
            Fault::Hang => "device hang",
            Fault::Eio => "EIO",
            Fault::BitFlip => "bit flip at rest",
            Fault::BitRot => "bit flip under a running node",
            Fault::LostWrite => "lost write ordered",
            Fault::MisdirectedWrite => "misdirected write ordered",
            Fault::FrameFlip => "bit flip in a durable frame",
            Fault::FrameMisplaced => "durable frame overwritten by a later one",
            Fault::StaleFrame => "stale frame at the log's end",
            Fault::RollBack => "device rolled back to an older image",
            Fault::StoreAway => "store away",
            Fault::StoreFaults => "store faults",
            Fault::StoreSlow => "store slow",
            Fault::PutsLate => "PUTs that land late",
            Fault::LogNotReadable => "log not readable for uploads",
            Fault::StateHarmed => "state beside the log damaged or lost",
            Fault::AtMoment => "down between two steps of the store's work",
        }
    }
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Nemesis {
    rng: SplitMix64,
    chosen: Vec<Fault>,
    kind: Kind,
    victim: usize,
    pace_ns: u64,
    wal_bytes: u64,
    counts: BTreeMap<&'static str, u64>,
    is_over: bool,
    /// How often the victim's device may still be damaged.
    damage_left: u32,
    /// What lay on the victim's device some time ago.
    older_image: Option<SimSnapshot>,
}

impl Nemesis {
    pub(crate) fn draw(mut rng: SplitMix64, kind: Kind) -> Self {
        // Every run has at least one way to crash.
        let mut chosen =
            vec![[Fault::Kill, Fault::PowerCutOne, Fault::PowerCutAll][rng.below(3) as usize]];
        for fault in FAULTS {
            let odds = if fault.damages() { 6 } else { 2 };
            if rng.chance(1, odds) && !chosen.contains(fault) {
                chosen.push(*fault);
            }
        }
        let mut later = rng.clone().split();
        for fault in LATER_FAULTS {
            if later.chance(1, 7) {
                chosen.push(*fault);
            }
        }
        if kind.has_store() {
            chosen.retain(|fault| fault.suits(kind));
            chosen.extend(STORE_FAULTS.iter().filter(|_| rng.chance(1, 2)));
        }
        let wal_bytes = if rng.chance(1, 8) { SMALL_WAL_BYTES } else { WAL_BYTES };
        let wal_bytes = if kind.is_trimmed() {
            TRIMMED_WAL_BYTES_MIN + (rng.below(5) << 19)
        } else {
            wal_bytes
        };
        Nemesis {
            chosen,
            kind,
            victim: rng.below(kind.nodes() as u64) as usize,
            pace_ns: (200 << rng.below(4)) * MILLIS,
            wal_bytes,
            counts: BTreeMap::new(),
            is_over: false,
            damage_left: 1 + rng.below(2) as u32,
            older_image: None,
            rng,
        }
    }

    pub(crate) fn wal_bytes(&self) -> u64 {
        self.wal_bytes
    }

    pub(crate) fn reserve_bytes(&self) -> u64 {
        let is_small = self.has_small_wal() || self.kind.is_trimmed();
        if is_small { SMALL_WAL_RESERVE_BYTES } else { RESERVE_BYTES }
    }

    /// A log that is trimmed and had no time for it: more crashes than uploads have used up even its
    /// reserve.
    fn has_full_wal(&self, place: usize, world: &World) -> bool {
        let lane = world.nodes[place].lane.as_ref();
        let free_bytes = lane.map(|lane| lane.status().wal.free_bytes);
        self.kind.is_trimmed() && free_bytes.is_some_and(|free| free < FULL_WAL_BYTES)
    }

    pub(crate) fn has_small_wal(&self) -> bool {
        self.wal_bytes == SMALL_WAL_BYTES && !self.kind.is_trimmed()
    }

    /// For a run that was over before the first crash.
    pub(crate) fn crash_once(&mut self, world: &mut World) {
        let place = self.rng.below(self.kind.nodes() as u64) as usize;
        if self.stop(place, Stop::PowerCut, world) {
            *self.counts.entry(Fault::PowerCutOne.name()).or_default() += 1;
        }
    }

    pub(crate) fn counts(&self) -> &BTreeMap<&'static str, u64> {
        &self.counts
    }

    /// Whether most nodes are left: those never lost anything.
    pub(crate) fn leaves_quorum(&self, world: &World) -> bool {
        let left = world.nodes.iter().filter(|node| node.power != Power::Out).count();
        2 * left > world.nodes.len()
    }

    /// The next fault.
    pub(crate) fn strike(&mut self, world: &mut World) {
        if self.is_over {
            return;
        }
        let fault = self.chosen[self.rng.below(self.chosen.len() as u64) as usize];
        if self.inflict(fault, world) {
            *self.counts.entry(fault.name()).or_default() += 1;
        }
        let pause_ns = self.pace_ns / 2 + self.rng.below(2 * self.pace_ns);
        world.after(pause_ns, Event::Nemesis);
    }

    fn inflict(&mut self, fault: Fault, world: &mut World) -> bool {
        let place = self.rng.below(self.kind.nodes() as u64) as usize;
        match fault {
            Fault::Kill => self.stop(place, Stop::Kill, world),
            Fault::PowerCutOne => self.stop(place, Stop::PowerCut, world),
            Fault::PowerCutAll => {
                let mut any = false;
                for place in 0..self.kind.nodes() {
                    any |= self.stop(place, Stop::PowerCut, world);
                }
                if any {
                    world.states.reach(State::PowerCutAll);
                }
                any
            }
            Fault::Pause => {
                let for_ns = 200 * MILLIS + self.rng.below(PAUSE_NS_MAX);
                if world.nodes[place].power != Power::Up {
                    return false;
                }
                if for_ns > 2 * SECONDS {
                    world.states.reach(State::NodePaused);
                }
                world.pause(place);
                world.after(for_ns, Event::Resume(place));
                true
            }
            Fault::Cut => self.isolate(world),
            Fault::OneWayCut => {
                let other = (place + 1 + self.rng.below(2) as usize) % self.kind.nodes();
                world.network.set_cut(place, other, true);
                world.states.reach(State::OneWayCut);
                let now_ns = world.now_ns;
                world.trace.tell(now_ns, Some(place), || format!("cannot reach n{}", other + 1));
                self.mend_later(world);
                true
            }
            Fault::Weather => {
                world.network.weather = Weather {
                    delay_min_ns: 30_000,
                    delay_max_ns: 1 + (1 << self.rng.below(8)) * MILLIS,
                    loss_per_mille: self.rng.below(300),
                    repeat_per_mille: self.rng.below(300),
                    late_per_mille: self.rng.below(200),
                    late_ns: 1 + self.rng.below(3 * SECONDS),
                };
                let (now_ns, weather) = (world.now_ns, world.network.weather);
                world.trace.tell(now_ns, None, || format!("{weather:?}"));
                self.mend_later(world);
                true
            }
            Fault::WallClock => {
                let most_ms: u64 = if self.rng.chance(1, 4) { 315_360_000_000 } else { 3_600_000 };
                let skew_ms = self.rng.below(2 * most_ms) as i64 - most_ms as i64;
                world.nodes[place].clock.wall_skew_ms = skew_ms;
                world.states.reach(State::WallClockJumped);
                if let Some(bucket) = &mut world.bucket {
                    bucket.time_jumped = true;
                }
                let now_ns = world.now_ns;
                world
                    .trace
                    .tell(now_ns, Some(place), || format!("wall clock is off by {skew_ms} ms"));
                true
            }
            Fault::Hang => {
                if world.nodes[place].power != Power::Up {
                    return false;
                }
                world.nodes[place].device.hang();
                world.states.reach(State::DeviceHung);
                let now_ns = world.now_ns;
                world.nodes[place].schedule(now_ns);
                world.trace.tell(now_ns, Some(place), || "its device hangs".to_owned());
                self.mend_later(world);
                true
            }
            Fault::Eio => {
                if world.nodes[self.victim].power != Power::Up || self.damage_left == 0 {
                    return false;
                }
                self.damage_left = 0;
                world.nodes[self.victim].device.fail();
                let (now_ns, victim) = (world.now_ns, self.victim);
                world.trace.tell(now_ns, Some(victim), || "its device fails (EIO)".to_owned());
                true
            }
            Fault::StoreAway
            | Fault::StoreFaults
            | Fault::StoreSlow
            | Fault::PutsLate
            | Fault::LogNotReadable => self.upset_store(fault, world),
            Fault::AtMoment => {
                let at = self.rng.below(Moment::ALL.len() as u64) as usize;
                let Some(bucket) = &mut world.bucket else { return false };
                bucket.moment = Some(Moment::ALL[at]);
                true
            }
            Fault::StateHarmed => {
                if !world.nodes[place].is_up() {
                    return false;
                }
                world.stop(place, Stop::Kill);
                let harmed = world.harm_states(place, &mut self.rng);
                world.start(place);
                harmed
            }
            Fault::BitFlip => self.flip(world),
            Fault::FrameFlip | Fault::FrameMisplaced => self.harm_frame(fault, world),
            Fault::StaleFrame => self.leave_stale_frame(place, world),
            Fault::RollBack => self.roll_back(world),
            Fault::BitRot | Fault::LostWrite | Fault::MisdirectedWrite => self.damage(fault, world),
        }
    }

    fn stop(&mut self, place: usize, how: Stop, world: &mut World) -> bool {
        if !matches!(world.nodes[place].power, Power::Up | Power::Paused) {
            return false;
        }
        world.stop(place, how);
        world.states.reach(match how {
            Stop::Kill => State::NodeKilled,
            Stop::PowerCut => State::PowerCutOne,
        });
        self.start_later(place, world);
        true
    }

    /// The store is not well for a while.
    fn upset_store(&mut self, fault: Fault, world: &mut World) -> bool {
        let rng = &mut self.rng;
        let Some(bucket) = &mut world.bucket else { return false };
        let mood = &mut bucket.mood;
        match fault {
            Fault::StoreAway => mood.is_away = true,
            Fault::StoreFaults => mood.faults_per_mille = 20 << rng.below(5),
            Fault::StoreSlow => mood.delay_max_ns = (200 << rng.below(4)) * MILLIS,
            Fault::PutsLate => mood.late_per_mille = 100 + rng.below(400),
            _ => mood.unreadable_per_mille = 30 + rng.below(200),
        }
        let (now_ns, mood) = (world.now_ns, *mood);
        world.trace.tell(now_ns, None, || format!("{mood:?}"));
        self.mend_later(world);
        true
    }

    /// A node has come to where it was to go down.
    pub(crate) fn strike_at_moment(&mut self, place: usize, world: &mut World) {
        let how = if self.rng.chance(1, 2) { Stop::Kill } else { Stop::PowerCut };
        if !self.is_over {
            self.stop(place, how, world);
        }
    }

    fn start_later(&mut self, place: usize, world: &mut World) {
        if world.nodes[place].restarting {
            return;
        }
        world.nodes[place].restarting = true;
        let delay_ns = (5 * MILLIS) << self.rng.below(11);
        world.after(delay_ns, Event::Start(place));
    }

    /// Cuts one node off from both others, most often one that leads.
    fn isolate(&mut self, world: &mut World) -> bool {
        let shard = ShardId(self.rng.below(5) as u32);
        let leader = world.leader_of(shard).filter(|_| self.rng.chance(3, 4));
        let place = leader.unwrap_or_else(|| self.rng.below(self.kind.nodes() as u64) as usize);
        for other in (0..self.kind.nodes()).filter(|other| *other != place) {
            world.network.set_cut(place, other, true);
            world.network.set_cut(other, place, true);
        }
        if leader.is_some() {
            world.states.reach(State::LeaderIsolated);
        }
        let now_ns = world.now_ns;
        world.trace.tell(now_ns, Some(place), || "is cut off".to_owned());
        self.mend_later(world);
        true
    }

    /// The victim's device damages what it holds or is given, and says nothing.
    fn damage(&mut self, fault: Fault, world: &mut World) -> bool {
        let victim = self.victim;
        if !world.nodes[victim].is_up() || self.damage_left == 0 {
            return false;
        }
        self.damage_left -= 1;
        world.nodes[victim].is_damaged = true;
        let device = &world.nodes[victim].device;
        match fault {
            Fault::LostWrite => device.plan_write_fault(WriteFault::Lost),
            Fault::MisdirectedWrite => device.plan_write_fault(WriteFault::Misdirected),
            _ => {
                for _ in 0..4 {
                    if device.flip_random_bit().is_some() {
                        world.states.reach(State::BitRotted);
                    }
                }
            }
        }
        let now_ns = world.now_ns;
        world.trace.tell(now_ns, Some(victim), || fault.name().to_owned());
        true
    }

    /// Stops the victim and turns a bit over on its device.
    fn flip(&mut self, world: &mut World) -> bool {
        let victim = self.victim;
        if !world.nodes[victim].is_up() || self.damage_left == 0 {
            return false;
        }
        self.damage_left -= 1;
        let open_segment =
            world.nodes[victim].lane.as_ref().map(|lane| lane.status().wal.open_segment.0);
        world.stop(victim, Stop::Kill);
        world.nodes[victim].is_damaged = true;
        let flips = 1 + self.rng.below(3);
        for _ in 0..flips {
            if let Some((file, at)) = world.nodes[victim].device.flip_random_bit() {
                world.states.reach(State::BitFlipped);
                // Behind a seal nothing can be taken for torn: no file is used twice in a run.
                let segment = file.rsplit('-').next().and_then(|slot| slot.parse::<u64>().ok());
                world.nodes[victim].must_notice |=
                    flips == 1 && segment.zip(open_segment).is_some_and(|(at, open)| at < open);
                let now_ns = world.now_ns;
                world.trace.tell(now_ns, Some(victim), || format!("a bit flips: {file} at {at}"));
            }
        }
        world.start(victim);
        true
    }

    /// Stops the victim and damages one frame that its log cannot do without.
    fn harm_frame(&mut self, fault: Fault, world: &mut World) -> bool {
        let victim = self.victim;
        let node = &world.nodes[victim];
        if !node.is_up() || node.is_damaged || self.damage_left == 0 {
            return false;
        }
        world.stop(victim, Stop::Kill);
        let rng = &mut self.rng;
        let harm = Media::of(&world.nodes[victim].device).and_then(|mut media| match fault {
            Fault::FrameMisplaced => media.misplace(rng),
            _ => {
                let section = [Section::Head, Section::Commands, Section::Payload];
                media.flip(section[rng.below(3) as usize], rng)
            }
        });
        if let Some(harm) = &harm {
            self.damage_left -= 1;
            world.nodes[victim].is_damaged = true;
            world.nodes[victim].must_quarantine = Some(harm.shard);
            let now_ns = world.now_ns;
            world.trace.tell(now_ns, Some(victim), || harm.text.clone());
        }
        world.start(victim);
        harm.is_some()
    }

    /// Stops a node and leaves a frame of an older segment at the end of its log.
    fn leave_stale_frame(&mut self, place: usize, world: &mut World) -> bool {
        if !world.nodes[place].is_up() || world.nodes[place].is_damaged {
            return false;
        }
        world.stop(place, Stop::Kill);
        let left = Media::of(&world.nodes[place].device)
            .and_then(|mut media| media.leave_stale(&mut self.rng));
        if let Some(text) = &left {
            let now_ns = world.now_ns;
            world.trace.tell(now_ns, Some(place), || text.clone());
        }
        world.start(place);
        if left.is_some() && world.nodes[place].is_up() {
            world.states.reach(State::StaleFrameIgnored);
        }
        left.is_some()
    }

    /// Keeps an image of the victim's running device; the next time puts it back, as restoring a
    /// virtual machine does.
    fn roll_back(&mut self, world: &mut World) -> bool {
        let victim = self.victim;
        if !world.nodes[victim].is_up() || self.damage_left == 0 {
            return false;
        }
        let now_ns = world.now_ns;
        let Some(image) = self.older_image.take() else {
            self.older_image = Some(world.nodes[victim].device.snapshot());
            world.trace.tell(now_ns, Some(victim), || "an image of its device is kept".to_owned());
            return false;
        };
        self.damage_left = 0;
        world.stop(victim, Stop::Kill);
        let node = &mut world.nodes[victim];
        node.device.roll_back(&image);
        node.is_damaged = true;
        node.rolled_back = true;
        // What was damaged before is not what lies there now.
        node.must_notice = false;
        world.trace.tell(now_ns, Some(victim), || "its device is an older image".to_owned());
        world.start(victim);
        true
    }

    fn mend_later(&mut self, world: &mut World) {
        let delay_ns = 300 * MILLIS + self.rng.below(6 * SECONDS);
        world.after(delay_ns, Event::Mend);
    }

    /// One of the passing faults ends: with it all of them, which is simpler and as good.
    pub(crate) fn mend(&mut self, world: &mut World) {
        world.network.mend_all();
        world.network.weather = Weather::FINE;
        if let Some(bucket) = &mut world.bucket {
            bucket.mood = Mood::GOOD;
        }
        let now_ns = world.now_ns;
        for node in &mut world.nodes {
            node.device.release();
            node.schedule(now_ns);
        }
        world.trace.tell(now_ns, None, || "links and devices are mended".to_owned());
    }

    /// Everything that can work again does. A node with damaged bytes is taken out if the other
    /// two are whole: copying ranges from a peer is not written yet, so as a leader it would refuse
    /// to serve what it cannot read until somebody replaces it.
    pub(crate) fn heal(&mut self, world: &mut World) {
        self.is_over = true;
        self.mend(world);
        if let Some(bucket) = &mut world.bucket {
            bucket.moment = None;
        }
        if world.nodes[self.victim].is_damaged && world.nodes[self.victim].power != Power::Out {
            world.stop(self.victim, Stop::Kill);
            world.nodes[self.victim].power = Power::Out;
            world.states.reach(State::DamagedNodeReplaced);
        }
        for place in 0..self.kind.nodes() {
            world.resume(place);
            if self.has_small_wal() || self.has_full_wal(place, world) {
                // What an operator does about a full WAL.
                world.nodes[place].config.wal.capacity_bytes =
                    if self.kind.is_trimmed() { self.wal_bytes * 2 } else { WAL_BYTES };
                world.stop(place, Stop::Kill);
            }
            if world.nodes[place].power == Power::Down {
                world.start(place);
            }
        }
    }
}
