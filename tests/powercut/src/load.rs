//! What the guest has to bear: idempotent producers, two groups that commit, and who reads it all.
//!
//! All clients live through every cut. While the guest is down producers are stopped, so that what
//! was acknowledged before a cut is read and judged before anything is added to it.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use holdfast_base::Rng;
use holdfast_checker::Event;
use holdfast_crash::Result;
use holdfast_crash::clients::{Client, ForGroup, Ground, Tools};
use holdfast_crash::clock::{monotonic_ns, nap};
use holdfast_crash::judge::judge;
use holdfast_crash::members::Members;
use holdfast_crash::plan::{Consuming, Library, Producing, VALUES_PER_PRODUCER};
use holdfast_crash::recorder::{Recorder, Speaker, Tally};

const TOPIC: &str = "powercut";
const PARTITIONS: u32 = 4;
const PRODUCERS: usize = 2;
/// The group whose member is killed with the guest; a dynamic one would be waited for by its group.
const STATIC: usize = 0;
/// Records a second of one producer, as much as a guest without KVM takes.
const RATE: u64 = 500;
/// Between two cuts every producer has so many more acknowledgements, and every group commits.
const ACKED_EACH_MIN: u64 = 1_500;
const COMMITS_EACH_MIN: u64 = 3;
/// They come within this, also on a busy machine.
const MOMENT_NS_MAX: u64 = 180_000_000_000;
/// And clients end, twice the delivery time-out of a record.
const FINISH_NS_MAX: u64 = 240_000_000_000;
const READ_NS_MAX: u64 = 240_000_000_000;
const FIRST_READER: u32 = 10;
const FIRST_READER_BETWEEN: u32 = 20;

/// All clients.
#[derive(Debug)]
pub(crate) struct Load {
    ground: Ground,
    tools: Tools,
    recorder: Arc<Recorder>,
    members: Members,
    plans: [Consuming; 2],
    producers: Vec<Client>,
    readers: u32,
}

/// How far clients are.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Progress {
    /// Acknowledgements, by producer.
    pub(crate) acked: [u64; PRODUCERS],
    /// Records on their way, of all.
    pub(crate) in_flight: u64,
    /// Acknowledged commits, by group.
    pub(crate) commits: [u64; 2],
}

impl Load {
    /// Makes the topic and lets everybody begin.
    pub(crate) fn start(
        tools: Tools,
        at: SocketAddr,
        work: &Path,
        rng: &mut impl Rng,
    ) -> Result<Load> {
        let log = work.join("clients.log");
        let ground = Ground { at, topic: TOPIC.to_owned(), partitions: PARTITIONS, log };
        let recorder = Arc::new(Recorder::default());
        let plans = [0, 1].map(|group| Consuming {
            library: Library::Librdkafka,
            is_static: group == STATIC,
            batch: 500,
        });
        let members = Members::start(&tools, ground.clone(), plans, &recorder)?;
        let mut load =
            Load { ground, tools, recorder, members, plans, producers: Vec::new(), readers: 0 };
        for place in 0..PRODUCERS {
            let plan = producing(place, rng);
            load.recorder.note(format!("{plan:?}"));
            let speaker = Speaker {
                process: place as u32 + 1,
                topic: TOPIC.to_owned(),
                acks: -1,
                idempotent: true,
                verifiable: None,
            };
            let producer = load.tools.produce(&load.ground, &plan, speaker, &load.recorder)?;
            load.producers.push(producer);
        }
        load.wait("clients are ready", |load| {
            let ready = |one: &Client| load.recorder.tally(one.process).ready;
            load.producers.iter().all(ready) && load.members.are_ready(&load.recorder)
        })?;
        load.producers.iter_mut().try_for_each(Client::go_until_told)?;
        Ok(load)
    }

    /// How far they are.
    pub(crate) fn progress(&self) -> Progress {
        let tallies = self.tallies();
        Progress {
            acked: std::array::from_fn(|place| tallies[place].acked),
            in_flight: tallies.iter().map(Tally::in_flight).sum(),
            commits: self.members.commits(&self.recorder),
        }
    }

    fn tallies(&self) -> [Tally; PRODUCERS] {
        std::array::from_fn(|place| self.recorder.tally(self.producers[place].process))
    }

    /// A line for people, in the history.
    pub(crate) fn note(&self, text: String) {
        self.recorder.note(text);
    }

    /// Waits until every producer and group has done something since `before`.
    pub(crate) fn wait_for_work(&mut self, before: &Progress) -> Result<()> {
        self.wait("work since the last cut", |load| {
            let now = load.progress();
            let acked = now.acked.iter().zip(before.acked);
            let commits = now.commits.iter().zip(before.commits);
            acked.into_iter().all(|(now, before)| *now >= before + ACKED_EACH_MIN)
                && commits.into_iter().all(|(now, before)| *now >= before + COMMITS_EACH_MIN)
        })
    }

    /// Waits for so many acknowledgements more.
    pub(crate) fn wait_for_acks(&mut self, more: u64) -> Result<()> {
        let before: u64 = self.progress().acked.iter().sum();
        self.wait("acknowledgements", |load| {
            load.progress().acked.iter().sum::<u64>() >= before + more
        })
    }

    /// The guest is gone: stops the producers, and kills the static member.
    pub(crate) fn hold(&mut self) -> Result<()> {
        self.producers.iter().try_for_each(|producer| producer.signal("-STOP"))?;
        self.members.hold(Some(STATIC))
    }

    /// The guest is back, and nobody has written to it yet: is everything there that was
    /// acknowledged? Says what is wrong.
    pub(crate) fn look(&mut self) -> Result<Option<String>> {
        self.members.look(&self.recorder)?;
        let mut history = self.recorder.so_far()?;
        let reading = Arc::new(Recorder::default());
        self.readers += 1;
        let process = FIRST_READER_BETWEEN + self.readers;
        let group =
            ForGroup { group: self.plans[STATIC].group(TOPIC), instance: None, closes: false };
        self.read(process, &group, &reading)?;
        let reading = Arc::into_inner(reading).ok_or("a reader still writes the history")?;
        history.extend(reading.finish()?);
        Ok(judge(&history).fault_so_far(1))
    }

    /// Everybody goes on.
    pub(crate) fn go_on(&mut self) -> Result<()> {
        self.producers.iter().try_for_each(|producer| producer.signal("-CONT"))?;
        self.members.go_on(&self.tools, &self.recorder)
    }

    /// Ends the clients, reads everything once for each group and says what is wrong.
    pub(crate) fn finish(mut self) -> Result<(Vec<Event>, Option<String>)> {
        let by_ns = monotonic_ns() + FINISH_NS_MAX;
        for producer in &mut self.producers {
            producer.tell("end")?;
        }
        let acked_min = self.progress().acked.iter().sum();
        for producer in std::mem::take(&mut self.producers) {
            producer.finish(by_ns)?;
        }
        let Load { ground, tools, recorder, members, .. } = self;
        let groups = members.finish(by_ns)?;
        for (group, process) in groups.iter().zip(FIRST_READER..) {
            read(&tools, &ground, process, group, &recorder)?;
        }
        let recorder = Arc::into_inner(recorder).ok_or("a client still writes the history")?;
        let history = recorder.finish()?;
        let verdict = judge(&history);
        let fault = verdict
            .fault(acked_min, groups.len())
            .or_else(|| verdict.fault_of_groups(groups.len()));
        println!("{}", verdict.report);
        Ok((history, fault))
    }

    /// The history so far.
    pub(crate) fn history(&self) -> Result<Vec<Event>> {
        self.recorder.so_far()
    }

    fn read(&self, process: u32, group: &ForGroup, recorder: &Arc<Recorder>) -> Result<()> {
        read(&self.tools, &self.ground, process, group, recorder)
    }

    fn wait(&mut self, what: &str, mut is_time: impl FnMut(&Load) -> bool) -> Result<()> {
        let by_ns = monotonic_ns() + MOMENT_NS_MAX;
        while !is_time(self) {
            for producer in &mut self.producers {
                if producer.has_ended() {
                    let tally = self.recorder.tally(producer.process);
                    return Err(format!("a producer ended before its time: {tally:?}"));
                }
            }
            self.members.check_running(&self.recorder)?;
            if monotonic_ns() > by_ns {
                return Err(format!("no {what}: {:?}", self.progress()));
            }
            nap(Duration::from_millis(2));
        }
        Ok(())
    }
}

fn read(
    tools: &Tools,
    ground: &Ground,
    process: u32,
    group: &ForGroup,
    recorder: &Arc<Recorder>,
) -> Result<()> {
    let speaker = Speaker::listener(process, TOPIC);
    let reader = tools.read(ground, Library::Librdkafka, group, speaker, recorder)?;
    reader.finish(monotonic_ns() + READ_NS_MAX)
}

fn producing(place: usize, rng: &mut impl Rng) -> Producing {
    Producing {
        library: Library::Librdkafka,
        acks: "all",
        idempotent: true,
        linger_ms: [1, 5][place % 2],
        // A batch stays below what a small log takes in one piece.
        window: [100, 400][place % 2],
        rate: RATE,
        record_bytes: 800 + rng.below(1_600),
        first_value: (place as u64 + 1) * VALUES_PER_PRODUCER,
        // Until it is told to end; its values stay its own.
        records: (VALUES_PER_PRODUCER / 4) as u32,
    }
}
