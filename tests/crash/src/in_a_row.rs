//! Many kills of the daemon under one topic: its producers live through all of them, and its groups.
//!
//! Three idempotent producers write with acks=all and five requests in flight: Kafka's own
//! VerifiableProducer, and two of librdkafka. Before each kill every producer has acknowledgements
//! and every group has commits of the time since the kill before; the groups' static members are
//! killed in turn. When all producers have all their acknowledgements everything is read and
//! judged: nothing lost, nothing doubled, the order of every producer kept in every partition, no
//! commit lost.

use std::sync::Arc;
use std::time::Duration;

use holdfast_base::Rng;

use crate::Arguments;
use crate::cluster::{Cluster, Done, FINISH_WAIT_NS, READERS};
use holdfast_crash::clients::{Client, Ground, Tools};
use holdfast_crash::clock::monotonic_ns;
use holdfast_crash::judge::{Verdict, judge};
use holdfast_crash::members::Members;
use holdfast_crash::plan::{
    ACKED_EACH_MIN, COMMITS_EACH_MIN, Consuming, KillMoment, Library, Producing,
    VALUES_PER_PRODUCER, WaitFor,
};
use holdfast_crash::recorder::{Recorder, Speaker, Tally};
use holdfast_crash::{Result, write_history};

const TOPIC: &str = "crash-in-a-row";
const PARTITIONS: u32 = 4;
/// Place among the producers; the others are librdkafka's.
const VERIFIABLE: usize = 0;
const PRODUCERS: usize = 3;
/// One kill of so many is followed by another, into the restart.
const KILLS_PER_SECOND_KILL: u32 = 5;
/// What a producer sends in a second: small enough for two cores with all these clients.
/// They catch up with it after every kill.
const RATE: u64 = 1_000;

/// Runs `kills` kills, prints what was found, says whether all was well.
pub(crate) fn run(
    arguments: &Arguments,
    tools: &Tools,
    kills: u32,
    rng: &mut impl Rng,
) -> Result<bool> {
    let mut cluster = Cluster::fresh(arguments, 1, arguments.wal_backend.of(0))?;
    let each = (u64::from(kills) * u64::from(arguments.records)).div_ceil(PRODUCERS as u64);
    if each > VALUES_PER_PRODUCER {
        return Err(format!("{each} records are too many for one producer; lower --records"));
    }
    let each = u32::try_from(each).map_err(|error| error.to_string())?;
    let producing: Vec<Producing> =
        (0..PRODUCERS).map(|place| producing(place, each, rng)).collect();
    let fault = strike_and_judge(&mut cluster, tools, kills, &producing, rng)?;
    if let Some(fault) = &fault {
        println!("FAILED: {fault}");
    }
    cluster.close(tools, arguments.keep || fault.is_some())?;
    Ok(fault.is_none())
}

fn producing(place: usize, records: u32, rng: &mut impl Rng) -> Producing {
    Producing {
        library: if place == VERIFIABLE { Library::Java } else { Library::Librdkafka },
        acks: "all",
        idempotent: true,
        linger_ms: [0, 1, 5][rng.below(3) as usize],
        window: [500, 4_000][rng.below(2) as usize],
        rate: RATE,
        record_bytes: 200 + rng.below(400),
        first_value: (place as u64 + 1) * VALUES_PER_PRODUCER,
        records,
    }
}

/// Says what is wrong, if anything.
fn strike_and_judge(
    cluster: &mut Cluster,
    tools: &Tools,
    kills: u32,
    producing: &[Producing],
    rng: &mut impl Rng,
) -> Result<Option<String>> {
    cluster.ensure_node()?;
    let log = cluster.directory.join(format!("{TOPIC}.clients.log"));
    let topic = TOPIC.to_owned();
    let ground = Ground { at: cluster.address(), topic, partitions: PARTITIONS, log };
    let recorder = Arc::new(Recorder::default());
    recorder.note(format!("{kills} kills; {producing:?}"));
    let consumers = READERS.map(|library| Consuming { library, is_static: true, batch: 500 });
    let mut members = Members::start(tools, ground.clone(), consumers, &recorder)?;
    cluster
        .wait_until(&recorder, &mut [], &mut members, |_, members| members.are_ready(&recorder))?;
    let mut producers = start_producers(tools, producing, &ground, &recorder)?;

    println!(
        "kill  backend    acked  in     commits     recov. replayed\n\
         \x20               before flight rdkafk java ms     entries  state of the log at the kill"
    );
    let mut acked_min = [0; PRODUCERS];
    let mut commits_min = [0; 2];
    let goal = producing.iter().map(|one| u64::from(one.records)).sum::<u64>();
    let each = goal / PRODUCERS as u64;
    for number in 1..=kills {
        let kill = KillMoment {
            // Of the fastest producer: none may be done before the last kill.
            acked_min: each * u64::from(number) / u64::from(kills + 1),
            wait_for: WaitFor::Nothing,
            delay: Duration::from_micros(rng.below(50_000)),
            again: (number % KILLS_PER_SECOND_KILL == 3)
                .then(|| Duration::from_micros(2_000 + rng.below(150_000))),
            member: Some(number as usize % consumers.len()),
        };
        let have_acked = |tallies: &[Tally], min: [u64; PRODUCERS]| {
            tallies.iter().zip(min).all(|(tally, min)| tally.acked >= min)
        };
        let have_committed = |members: &Members| {
            let commits = members.commits(&recorder);
            commits.iter().zip(commits_min).all(|(commits, min)| *commits >= min)
        };
        cluster.wait_until(&recorder, &mut producers, &mut members, |tallies, _| {
            tallies.iter().any(|tally| tally.acked >= kill.acked_min)
                && have_acked(tallies, acked_min)
        })?;
        tallies(&recorder, &producers, number)?;
        if !have_committed(&members) {
            // A member that starts anew takes its time. Producers must not be done meanwhile.
            producers.iter().try_for_each(|producer| producer.signal("-STOP"))?;
            cluster.wait_until(&recorder, &mut producers, &mut members, |_, members| {
                have_committed(members)
            })?;
            producers.iter().try_for_each(|producer| producer.signal("-CONT"))?;
            let now = tallies(&recorder, &producers, number)?;
            let min = std::array::from_fn(|place| now[place].acked + ACKED_EACH_MIN);
            cluster.wait_until(&recorder, &mut producers, &mut members, |tallies, _| {
                have_acked(tallies, min)
            })?;
        }
        cluster.aim(&kill, &recorder, &mut producers, &mut members)?;
        let told = tallies(&recorder, &producers, number)?;
        let commits = members.commits(&recorder);
        let struck = cluster.strike(&kill, tools, &recorder, &producers, &mut members)?;
        acked_min = std::array::from_fn(|place| told[place].acked + ACKED_EACH_MIN);
        commits_min = commits.map(|commits| commits + COMMITS_EACH_MIN);
        let acked: u64 = told.iter().map(|tally| tally.acked).sum();
        // VerifiableProducer does not tell what it has sent.
        let in_flight: u64 = told[VERIFIABLE + 1..].iter().map(|tally| tally.in_flight()).sum();
        println!(
            "{number:>4}  {:<8} {acked:>7} {in_flight:>6} {:>6} {:>4} {:>6.0} {:>8}  {}",
            cluster.backend(),
            commits[0],
            commits[1],
            struck.start_ms,
            struck.found.entries,
            struck.state
        );
        let in_log = struck.found.records_of_new_topics(&[]);
        if in_log < acked {
            return Ok(Some(format!(
                "at kill {number} the log lacked {} acknowledged records",
                acked - in_log
            )));
        }
    }
    let by_ns = monotonic_ns() + FINISH_WAIT_NS;
    for producer in producers {
        producer.finish(by_ns)?;
    }
    let groups = members.finish(by_ns)?;
    cluster.read_everything(tools, &ground, &groups, 10, &recorder)?;
    let recorder = Arc::into_inner(recorder).ok_or("a client still writes the history")?;
    let history = recorder.finish()?;
    write_history(&cluster.directory.join(format!("{TOPIC}.jsonl")), &history)?;
    let verdict = judge(&history);
    print_counts(&verdict, producing);
    let fault =
        verdict.fault(goal, READERS.len()).or_else(|| verdict.fault_of_groups(consumers.len()));
    cluster.done.push(Done { ground, groups, history });
    Ok(fault)
}

fn start_producers(
    tools: &Tools,
    producing: &[Producing],
    ground: &Ground,
    recorder: &Arc<Recorder>,
) -> Result<Vec<Client>> {
    let mut producers = Vec::new();
    for (place, plan) in producing.iter().enumerate() {
        let speaker = Speaker {
            process: place as u32 + 1,
            topic: ground.topic.clone(),
            acks: -1,
            idempotent: true,
            verifiable: (place == VERIFIABLE).then_some(plan.first_value),
        };
        producers.push(if place == VERIFIABLE {
            tools.verify(ground, plan, speaker, recorder)?
        } else {
            let mut producer = tools.produce(ground, plan, speaker, recorder)?;
            producer.go()?;
            producer
        });
    }
    Ok(producers)
}

/// What producers have told, all of them still at work.
fn tallies(recorder: &Recorder, producers: &[Client], kill: u32) -> Result<Vec<Tally>> {
    let told: Vec<Tally> =
        producers.iter().map(|producer| recorder.tally(producer.process)).collect();
    if told.iter().any(|tally| tally.done) {
        return Err(format!("a producer was done before kill {kill}; raise --records"));
    }
    Ok(told)
}

fn print_counts(verdict: &Verdict, producing: &[Producing]) {
    println!("\nproducer            acked  lost dup order");
    for (place, process) in (0..producing.len()).zip(1..) {
        let count = verdict.counts.get(&process).copied().unwrap_or_default();
        let name = if place == VERIFIABLE { "VerifiableProducer" } else { "librdkafka" };
        println!(
            "{name:<18} {:>6} {:>5} {:>3} {:>5}",
            count.acked, count.lost, count.doubled, count.out_of_order
        );
    }
    println!("\ngroup                      commits looks resumed lower missed");
    for (group, count) in &verdict.groups {
        println!(
            "{group:<26} {:>7} {:>5} {:>7} {:>5} {:>6}",
            count.commits_acked, count.looks, count.resumed, count.lower, count.missed
        );
    }
}
