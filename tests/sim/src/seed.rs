//! One seed from beginning to end: what kind of run it is, the run, the judgement.
//!
//! ```text
//! found ─▶ topics ─▶ faults: clients and nemesis ─▶ heal ─▶ every partition takes a write
//!       ─▶ clients end ─▶ final reads ─▶ groups stable, then idle ─▶ checker and comparison of replicas
//! ```
//!
//! Each seed draws its own sizes, clients and a random subset of faults (swarm testing: Groce et
//! al., ISSTA 2012), because a run in which everything breaks reaches less than many runs in which
//! something does.

mod groups;
mod store;

use std::collections::BTreeMap;

use holdfast_base::{Rng, ShardId, SplitMix64};
use holdfast_checker::{Event as Told, Expectations, Report, check};
use holdfast_io::SimSnapshot;

use crate::admin::Admin;
use crate::client::Client;
use crate::kind::Kind;
use crate::nemesis::Nemesis;
use crate::planted::Planted;
use crate::producer::{Producer, ProducerPlan, Target};
use crate::reader::Reader;
use crate::states::States;
use crate::world::{ClientId, Event, Sizes, World};

/// At least so many operations a seed.
const BATCHES_MIN: u32 = 420;
/// The faults end when clients have done their work, or after this long.
const FAULTS_NS_MAX: u64 = 90_000_000_000;
/// A run whose WAL fills up waits for nothing once it has.
const FULL_NS_MAX: u64 = 30_000_000_000;
/// A run that met no crash meets one at its end, and has so long to come back.
const CRASH_NS: u64 = 3_000_000_000;
/// Ten times what a run takes.
const EVENTS_MAX: u64 = 2_000_000;
/// After healing, every partition takes a write within this time.
const WRITABLE_WITHIN_NS: u64 = 10_000_000_000;
/// The same where a full log must be emptied into objects first.
const EMPTIED_WITHIN_NS: u64 = 40_000_000_000;
/// All that was acknowledged is read within this time.
const READ_WITHIN_NS: u64 = 60_000_000_000;
/// A cluster without faults makes its topics within this time.
const FOUNDED_WITHIN_NS: u64 = 20_000_000_000;

/// How to run a seed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Options {
    pub(crate) planted: Planted,
    pub(crate) keeps_timeline: bool,
    pub(crate) timeline_rows: usize,
}

/// What came of a seed.
#[derive(Debug)]
pub(crate) struct SeedResult {
    pub(crate) seed: u64,
    pub(crate) trace_hash: u64,
    pub(crate) events: u64,
    pub(crate) operations: u64,
    pub(crate) crashes: u64,
    pub(crate) simulated_ns: u64,
    pub(crate) report: Report,
    pub(crate) broken: Vec<String>,
    pub(crate) states: States,
    pub(crate) faults: BTreeMap<&'static str, u64>,
    pub(crate) timeline: String,
    /// What clients did and saw, as judged.
    pub(crate) history: Vec<Told>,
}

impl SeedResult {
    pub(crate) fn passed(&self) -> bool {
        self.broken.is_empty() && self.report.is_clean()
    }

    /// The first thing that tells what is wrong.
    pub(crate) fn detector(&self) -> String {
        let anomaly = self.report.anomalies.keys().next().cloned();
        let broken =
            self.broken.first().map(|text| text.split(':').next().unwrap_or("").to_owned());
        anomaly.or(broken).unwrap_or_default()
    }
}

struct Sim {
    world: World,
    clients: Vec<Client>,
    nemesis: Nemesis,
    rng: SplitMix64,
    kind: Kind,
    /// One voter's device when the faults ended.
    older_log: Option<SimSnapshot>,
    /// Calls that came to an end: answered, refused or broken.
    operations: u64,
}

/// Runs a seed.
pub(crate) fn run(seed: u64, options: Options) -> SeedResult {
    let mut rng = SplitMix64::new(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x51ed);
    let kind = Kind::of(seed);
    let nemesis = Nemesis::draw(rng.split(), kind);
    let sizes = Sizes {
        nodes: kind.nodes(),
        wal_bytes: nemesis.wal_bytes(),
        tail_cache_bytes: 16 << (10 + rng.below(6)),
        device_bytes: 1 << 30,
        reserve_bytes: nemesis.reserve_bytes(),
        store: kind.draw_store(&mut rng),
    };
    let world = World::new(rng.next_u64(), sizes, options.planted, options.keeps_timeline);
    let clients = Vec::new();
    let mut sim = Sim { world, clients, nemesis, rng, kind, older_log: None, operations: 0 };
    sim.run();
    sim.judge(seed, options)
}

impl Sim {
    fn run(&mut self) {
        self.world.found();
        let topics = self.draw_topics();
        let deletes_records = self.rng.chance(1, 2);
        let rng = self.rng.split();
        self.add(|id| Client::Admin(Admin::new(id, topics, deletes_records, rng)));
        let Some(targets) = self.until(FOUNDED_WITHIN_NS, |sim| match &sim.clients[0] {
            Client::Admin(admin) => admin.targets().map(<[Target]>::to_vec),
            _ => None,
        }) else {
            self.world
                .broken
                .push("never-founded: no topics although nothing is broken".to_owned());
            return;
        };
        self.add_clients(&targets);
        self.add_groups(&targets);
        self.world.after(100_000_000, Event::Nemesis);
        let within_ns = if self.nemesis.has_small_wal() { FULL_NS_MAX } else { FAULTS_NS_MAX };
        self.until(within_ns, |sim| sim.work_is_done().then_some(()));
        if self.world.crashes == 0 {
            self.nemesis.crash_once(&mut self.world);
            self.until(CRASH_NS, |_| None::<()>);
        }
        self.heal(&targets);
        self.read_all(&targets);
        if self.nemesis.leaves_quorum(&self.world) {
            self.settle_groups();
        }
        self.settle_store();
        // Followers learn of the last commits with the next heartbeats.
        self.until(1_000_000_000, |_| None::<()>);
    }

    fn draw_topics(&mut self) -> BTreeMap<String, i32> {
        (0..1 + self.rng.below(2))
            .map(|topic| (format!("topic{topic}"), 1 + self.rng.below(3) as i32))
            .collect()
    }

    fn add(&mut self, make: impl FnOnce(ClientId) -> Client) {
        let id = self.clients.len();
        self.clients.push(make(id));
        self.world.after(1_000_000, Event::Wake(id));
    }

    fn add_clients(&mut self, targets: &[Target]) {
        let count = (targets.len() as u32 + 2).max(4);
        for ordinal in 0..count {
            let target = targets[ordinal as usize % targets.len()].clone();
            let is_idempotent = self.rng.chance(3, 4);
            let rng = self.rng.split();
            let pace_ns = 20_000_000 << self.rng.below(4);
            let value_bytes_max = if self.kind.is_trimmed() {
                1024 << self.rng.below(5)
            } else {
                16 << self.rng.below(8)
            };
            let batches = BATCHES_MIN.div_ceil(count);
            self.add(|id| {
                Client::Producer(Producer::new(ProducerPlan {
                    id,
                    target,
                    is_idempotent,
                    batches,
                    pace_ns,
                    value_bytes_max,
                    rng,
                }))
            });
        }
        for (ordinal, target) in targets.iter().enumerate() {
            let rng = self.rng.split();
            let target = target.clone();
            self.add(|id| Client::Reader(Reader::new(id, target, ordinal % 2 == 1, false, rng)));
        }
    }

    fn work_is_done(&self) -> bool {
        self.clients.iter().all(Client::is_done)
    }

    /// Goes on until `done` says so; `None` when time is up first.
    fn until<T>(&mut self, within_ns: u64, done: impl Fn(&Sim) -> Option<T>) -> Option<T> {
        let deadline_ns = self.world.now_ns + within_ns;
        while self.world.next_ns().is_some_and(|at_ns| at_ns <= deadline_ns) {
            let Some(event) = self.world.advance() else { continue };
            self.happen(event);
            if let Some(value) = done(self) {
                return Some(value);
            }
            if self.runs_away() {
                break;
            }
        }
        None
    }

    /// Something is done over and over: the run is not worth its end.
    fn runs_away(&self) -> bool {
        self.world.trace.events() > EVENTS_MAX
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Wake(id) => self.clients[id].wake(&mut self.world),
            Event::Answer { ticket, ended } => {
                let Some((id, node)) = self.world.claim(ticket) else { return };
                self.operations += 1;
                self.clients[id].ended(ticket, node, ended, &mut self.world);
            }
            Event::Nemesis => self.nemesis.strike(&mut self.world),
            Event::Mend => self.nemesis.mend(&mut self.world),
            Event::Moment(place) => self.nemesis.strike_at_moment(place, &mut self.world),
            Event::Deliver { .. }
            | Event::Call { .. }
            | Event::Start(_)
            | Event::Resume(_)
            | Event::Store(_) => {}
        }
    }

    /// All faults end; then the cluster must work again in time.
    fn heal(&mut self, targets: &[Target]) {
        if self.kind.is_trimmed() && self.rng.chance(1, 2) {
            self.older_log = Some(self.world.nodes[0].device.snapshot());
        }
        self.nemesis.heal(&mut self.world);
        let now_ns = self.world.now_ns;
        self.world.trace.tell(now_ns, None, || "all faults end".to_owned());
        let acked = |sim: &Sim| -> BTreeMap<String, u64> {
            let mut acked = BTreeMap::new();
            for producer in sim.clients.iter().filter_map(Client::as_producer) {
                *acked.entry(producer.target().name.clone()).or_default() += producer.acked_records;
            }
            acked
        };
        let before = acked(self);
        if !self.nemesis.leaves_quorum(&self.world) {
            return;
        }
        for id in 0..self.clients.len() {
            if let Client::Producer(producer) = &mut self.clients[id] {
                if producer.is_done() {
                    self.world.after(1_000_000, Event::Wake(id));
                }
                producer.extend(2);
            }
        }
        let within_ns = if self.kind.is_trimmed() { EMPTIED_WITHIN_NS } else { WRITABLE_WITHIN_NS };
        let wrote = self.until(within_ns, |sim| {
            let now = acked(sim);
            targets
                .iter()
                .all(|target| now.get(&target.name) > before.get(&target.name))
                .then_some(())
        });
        if wrote.is_none() {
            let now = acked(self);
            for target in targets {
                if now.get(&target.name) <= before.get(&target.name) {
                    let shard = target.shard;
                    let mut seen = self.shard_line(shard);
                    let of_target = |producer: &&Producer| producer.target().name == target.name;
                    let producers = self.clients.iter().filter_map(Client::as_producer);
                    for producer in producers.filter(of_target) {
                        seen += "; ";
                        seen += &producer.line(&self.world);
                    }
                    self.world.broken.push(format!(
                        "not-writable: {} takes no write {} s after all faults ended; {seen}",
                        target.name,
                        within_ns / 1_000_000_000
                    ));
                }
            }
        }
        for client in &mut self.clients {
            client.end();
        }
        self.until(within_ns, |sim| sim.work_is_done().then_some(()));
    }

    fn shard_line(&self, shard: ShardId) -> String {
        let mut out = format!("shard {shard}:");
        for (place, node) in self.world.nodes.iter().enumerate() {
            let Some(lane) = &node.lane else {
                out += &format!(" n{} {:?};", place + 1, node.power);
                continue;
            };
            for replica in lane.status().replicas {
                if replica.shard == shard {
                    out += &format!(
                        " n{} {:?} term {} applied {} committed {} last {}{};",
                        place + 1,
                        replica.role,
                        replica.term,
                        replica.applied,
                        replica.committed,
                        replica.last,
                        if replica.quarantine.is_some() { " quarantined" } else { "" }
                    );
                }
            }
            let wal = lane.status().wal;
            out += &format!(" (wal free {} in flight {})", wal.free_bytes, wal.in_flight);
        }
        out
    }

    fn read_all(&mut self, targets: &[Target]) {
        let first = self.clients.len();
        for target in targets {
            let rng = self.rng.split();
            let target = target.clone();
            self.add(|id| Client::Reader(Reader::new(id, target, false, true, rng)));
        }
        self.until(READ_WITHIN_NS, |sim| {
            sim.clients[first..]
                .iter()
                .all(|client| matches!(client, Client::Reader(reader) if reader.is_complete))
                .then_some(())
        });
        for client in &self.clients[first..] {
            if let Client::Reader(reader) = client
                && !reader.is_complete
            {
                let line = format!("final-read-stuck: {}", reader.line(&self.world));
                self.world.broken.push(line);
            }
        }
    }

    /// Replicas with the same applied index have the same state.
    fn compare_replicas(&mut self) {
        let mut states: BTreeMap<(ShardId, u64), (usize, u64)> = BTreeMap::new();
        for place in 0..self.world.nodes.len() {
            let Some(lane) = &self.world.nodes[place].lane else { continue };
            for replica in lane.status().replicas {
                let Some(state) = lane.shard(replica.shard) else { continue };
                if replica.quarantine.is_some() {
                    continue;
                }
                let key = (replica.shard, replica.applied.0);
                let (other, hash) = *states.entry(key).or_insert((place, state.hash()));
                if hash != state.hash() {
                    self.world.broken.push(format!(
                        "replicas-differ: shard {} at index {} on n{} and n{}",
                        replica.shard,
                        replica.applied,
                        other + 1,
                        place + 1
                    ));
                }
            }
        }
    }

    fn judge(mut self, seed: u64, options: Options) -> SeedResult {
        if self.runs_away() {
            self.world.broken.push(format!("runs-away: more than {EVENTS_MAX} events"));
        }
        self.compare_replicas();
        self.world.note_all_probes();
        let report = check(&self.world.history, Expectations::default());
        let operations = self.operations;
        let mut faults = self.nemesis.counts().clone();
        self.world.collect_counts(&mut faults);
        let World { trace, states, broken, crashes, now_ns, history, .. } = self.world;
        SeedResult {
            seed,
            trace_hash: trace.hash(),
            events: trace.events(),
            operations,
            crashes,
            simulated_ns: now_ns,
            report,
            broken,
            states,
            faults,
            timeline: trace.timeline(options.timeline_rows),
            history,
        }
    }
}
