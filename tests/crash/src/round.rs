//! One kill: produce and consume, kill, look, restart, finish, read, judge.

use std::sync::Arc;

use crate::cluster::{Cluster, Done, FINISH_WAIT_NS, READERS};
use crate::premise::Premise;
use crate::table::Row;
use holdfast_crash::clients::{Client, Ground, Tools};
use holdfast_crash::clock::monotonic_ns;
use holdfast_crash::judge::judge;
use holdfast_crash::members::Members;
use holdfast_crash::plan::{ACKED_EACH_MIN, COMMITS_EACH_MIN, Plan, Producing};
use holdfast_crash::recorder::{Recorder, Speaker};
use holdfast_crash::{Result, write_history};

/// What a round shows.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// One per producer.
    pub(crate) rows: Vec<Row>,
    /// What the kill fell into, with an object store.
    pub(crate) premise: Option<Premise>,
    fault: Option<String>,
}

impl Outcome {
    /// Why it did not pass.
    pub(crate) fn fault(&self) -> Option<&str> {
        self.fault.as_deref()
    }
}

/// Runs `plan`.
pub(crate) fn run(cluster: &mut Cluster, tools: &Tools, plan: &Plan) -> Result<Outcome> {
    cluster.ensure_node()?;
    let topic = plan.topic();
    let ground = Ground {
        at: cluster.address(),
        topic: topic.clone(),
        partitions: plan.partitions,
        log: cluster.directory.join(format!("{topic}.clients.log")),
    };
    let recorder = Arc::new(Recorder::default());
    recorder.note(format!("{plan:?}"));
    let mut members = Members::start(tools, ground.clone(), plan.consumers, &recorder)?;
    let mut producers = start_producers(tools, plan, &ground, &recorder)?;

    wait_for_kill(cluster, plan, &recorder, &mut producers, &mut members)?;
    let told = [0, 1].map(|place: usize| recorder.tally(producers[place].process));
    let commits_before = members.commits(&recorder);
    let struck = cluster.strike(&plan.kill, tools, &recorder, &producers, &mut members)?;

    let by_ns = monotonic_ns() + FINISH_WAIT_NS;
    for producer in producers {
        producer.finish(by_ns)?;
    }
    let groups = members.finish(by_ns)?;
    cluster.read_everything(tools, &ground, &groups, 10, &recorder)?;
    let recorder = Arc::into_inner(recorder).ok_or("a client still writes the history")?;
    let history = recorder.finish()?;
    write_history(&cluster.directory.join(format!("{topic}.jsonl")), &history)?;

    let verdict = judge(&history);
    let asked: u64 = plan.producers.iter().map(|one| u64::from(one.records)).sum();
    let found = &struck.found;
    let whole_unacked = found.records_of_new_topics(&cluster.topics_seen) as i64
        - told.iter().map(|tally| tally.acked as i64).sum::<i64>();
    cluster.topics_seen = found.topics();
    let fault = if whole_unacked < 0 {
        Some(format!("at the kill the log lacked {} acknowledged records", -whole_unacked))
    } else {
        verdict
            .fault(asked, READERS.len())
            .or_else(|| verdict.fault_of_groups(plan.consumers.len()))
    };
    let commits = groups.each_ref().map(|group| verdict.commits_of(&group.group));
    let rows = plan.producers.iter().enumerate().map(|(place, producer)| Row {
        round: plan.round,
        library: producer.library.name(),
        acks: producer.acks,
        idempotent: producer.idempotent,
        backend: cluster.backend(),
        acked_before: told[place].acked,
        in_flight: told[place].in_flight(),
        commits_before: commits_before[place],
        commits: commits[place],
        state: struck.state.clone(),
        whole_unacked,
        recovery_ms: struck.start_ms,
        replayed: found.entries,
        count: verdict.counts.get(&process_of(place)).copied().unwrap_or_default(),
    });
    let rows = rows.collect();
    cluster.done.push(Done { ground, groups, history });
    Ok(Outcome { rows, premise: struck.premise, fault })
}

/// A producer's process in the history.
fn process_of(place: usize) -> u32 {
    place as u32 + 1
}

fn start_producers(
    tools: &Tools,
    plan: &Plan,
    ground: &Ground,
    recorder: &Arc<Recorder>,
) -> Result<Vec<Client>> {
    let start = |(place, producer): (usize, &Producing)| {
        let speaker = Speaker {
            process: process_of(place),
            topic: ground.topic.clone(),
            acks: if producer.acks == "1" { 1 } else { -1 },
            idempotent: producer.idempotent,
            verifiable: None,
        };
        tools.produce(ground, producer, speaker, recorder)
    };
    plan.producers.iter().enumerate().map(start).collect()
}

/// Lets both producers begin together, with the groups there, and returns when it is time to kill.
fn wait_for_kill(
    cluster: &mut Cluster,
    plan: &Plan,
    recorder: &Recorder,
    producers: &mut [Client],
    members: &mut Members,
) -> Result<()> {
    cluster.wait_until(recorder, producers, members, |tallies, members| {
        tallies.iter().all(|tally| tally.ready) && members.are_ready(recorder)
    })?;
    for producer in producers.iter_mut() {
        producer.go()?;
    }
    cluster.wait_until(recorder, producers, members, |tallies, members| {
        tallies.iter().any(|tally| tally.acked >= plan.kill.acked_min)
            && tallies.iter().all(|tally| tally.acked >= ACKED_EACH_MIN)
            && members.commits(recorder).iter().all(|commits| *commits >= COMMITS_EACH_MIN)
    })?;
    cluster.aim(&plan.kill, recorder, producers, members)
}
