//! More than there is: connections, descriptors and memory run short while an honest client goes on.
//!
//! ```text
//! idle         10,000 connections that do nothing: what each costs, and that all still answer
//! readers      200 that ask for large Fetch answers and take bytes one by one, or none at all
//! descriptors  the running node's limit is lowered and a crowd comes: the log still grows
//! memory       in a cgroup with a limit, under produce, consumers, half-open frames and slow readers
//! ```
//! Asserted in each: no error and no long wait for the honest client, a bound on what the node
//! holds, and that everything comes back when they leave.
//!
//! Caveat: memory is what the node's process holds. Socket buffers are the kernel's; a cgroup of
//! version 2 counts them, one of version 1 does not.

mod cgroup;
mod crowd;
mod descriptors;
mod idle;
mod memory;
mod readers;

use std::net::SocketAddr;
use std::time::Duration;

use clap::Args;
use holdfast_bench::broker::Running;
use holdfast_bench::client::Client;
use holdfast_bench::clock::{Stopwatch, nap};
use holdfast_bench::load::{Outcome as Produced, Pace, Plan};
use holdfast_bench::{drain, load, process};

use crate::hostile::honest::Honest;
use crate::node;
use crate::{Outcome, Result};

const PARTITIONS: i32 = 8;
/// Values of 1 KiB, 119 of them in a batch: 124 KB.
const VALUE_BYTES: usize = 1_024;
const BATCH_RECORDS: usize = 119;
/// How long to wait for what comes back when others have left: longer than the 10 s for which the
/// node keeps chunks of old records that nobody reads.
const RETURN_WAIT_S: f64 = 20.0;

#[derive(Args, Debug, Clone)]
#[group(skip)]
pub(crate) struct Options {
    #[command(flatten)]
    node: node::Options,
    /// Only these: idle, readers, descriptors, memory.
    #[arg(long)]
    only: Vec<String>,
}

type Case = fn(&node::Options) -> Result<String>;

const CASES: [(&str, Case); 3] =
    [("idle", idle::run), ("readers", readers::run), ("descriptors", descriptors::run)];
const MEMORY: &str = "memory";

pub(crate) fn run(options: &Options) -> Result<Outcome> {
    let known = |name: &str| name == MEMORY || CASES.iter().any(|(case, _)| *case == name);
    if let Some(unknown) = options.only.iter().find(|name| !known(name)) {
        return Err(format!("there is no case {unknown:?}"));
    }
    let wanted = |name: &str| options.only.is_empty() || options.only.iter().any(|it| it == name);
    crowd::allow_descriptors();
    let mut faults = Vec::new();
    let mut skipped = None;
    for (name, case) in CASES.into_iter().filter(|(name, _)| wanted(name)) {
        judge(name, || case(&options.node), &mut faults);
    }
    match cgroup::MEMORY.kind() {
        _ if !wanted(MEMORY) => {}
        Ok(kind) => judge(MEMORY, || memory::run(&options.node, kind), &mut faults),
        Err(why) => skipped = Some(format!("no memory limit was tried: {why}; the rest passed")),
    }
    if !faults.is_empty() {
        return Err(faults.join("\n  "));
    }
    Ok(skipped.map_or(Outcome::Passed, Outcome::Skipped))
}

fn judge(what: &str, case: impl FnOnce() -> Result<String>, faults: &mut Vec<String>) {
    let clock = Stopwatch::start();
    match case() {
        Ok(figures) => println!("ok    {what}, {:.0} s: {figures}", clock.seconds()),
        Err(fault) => {
            println!("FAULT {what}: {fault}");
            faults.push(format!("{what}: {fault}"));
        }
    }
}

fn resident_bytes(running: &Running) -> Result<u64> {
    let bytes = process::resident_bytes(running.pid());
    bytes.map(|(now, _)| now).ok_or_else(|| "the node's process is gone".into())
}

/// Waits until `value` is at most `bound`; the last value, and seconds it took.
fn comes_down(what: &str, bound: u64, value: impl Fn() -> Result<u64>) -> Result<(u64, f64)> {
    let clock = Stopwatch::start();
    loop {
        let now = value()?;
        if now <= bound {
            return Ok((now, clock.seconds()));
        }
        if clock.seconds() > RETURN_WAIT_S {
            return Err(format!("{what}: {now} after {RETURN_WAIT_S} s, bound {bound}"));
        }
        nap(Duration::from_millis(50));
    }
}

/// Ends the honest client; milliseconds of its slowest record, which must be within `bound_s`.
fn unharmed(honest: Honest, bound_s: f64) -> Result<f64> {
    let end = honest.end().map_err(|why| format!("an honest client was harmed: {why}"))?;
    if end.longest_s > bound_s {
        return Err(format!("an honest client waited {:.2} s, bound {bound_s} s", end.longest_s));
    }
    Ok(end.longest_s * 1e3)
}

fn make_topic(address: SocketAddr, topic: &str) -> Result<()> {
    let mut client = Client::connect(address).map_err(|error| error.to_string())?;
    client.create_topic_and_wait(topic, PARTITIONS).map_err(|error| error.to_string())
}

/// Produces `bytes` of values as fast as they are acknowledged.
fn produce(address: SocketAddr, topic: &str, connections: usize, bytes: u64) -> Result<Produced> {
    let plan = Plan {
        topic: topic.into(),
        partitions: PARTITIONS,
        connections,
        in_flight: 5,
        batch_records_max: BATCH_RECORDS,
        value_bytes: VALUE_BYTES,
        records: bytes / VALUE_BYTES as u64,
        pace: Pace::Saturate,
    };
    load::run(address, &plan).map_err(|error| format!("producing to {topic}: {error}"))
}

/// Reads everything, and checks that it is all there.
fn all_served(address: SocketAddr, topic: &str, acknowledged: u64) -> Result<()> {
    let outcome = drain::run(address, topic, PARTITIONS, 2, true)
        .map_err(|error| format!("what was acknowledged cannot be read: {error}"))?;
    if outcome.records == acknowledged {
        return Ok(());
    }
    Err(format!("{acknowledged} records acknowledged, {} served", outcome.records))
}

fn mib(bytes: u64) -> u64 {
    bytes >> 20
}
