//! `holdfast-crash`: is everything that was acknowledged still there after kill -9?
//!
//! ```text
//! plan (seed) ─▶ holdfastd ◀── librdkafka producer, group ─┐ lines
//!                  │ kill -9    Java producer, group ──────┴──▶ Recorder ─▶ history ─▶ checker
//!                  ▼                                                ▲                    │
//!               log files ──▶ autopsy ──▶ state of the log          │ lines              ▼
//!                  │ restart    (by FORMAT.md, not our code)        │             one row per client
//!                  ▼                                                │
//!               holdfastd ──▶ watcher looks at the groups ──▶ producers and groups finish
//!                              ──▶ two readers close the groups, and read from the log's start
//! ```
//!
//! A round makes a topic, lets two stock clients produce to it and a group of each library consume
//! it, kills the daemon while records and commits flow, looks at the log's files before anybody
//! touches them, starts the daemon again on the same directory, waits until both producers have
//! their acknowledgements and both groups have taken everything, reads everything with both
//! libraries and judges. [`ROUNDS_PER_CLUSTER`] rounds share a data directory, so that later
//! kills hit a log that has been recovered before; then all topics of the directory are read and
//! judged once more.
//!
//! Groups commit synchronously as they go. One group's member lives through the kill, the other's
//! is killed with the daemon and has a successor (see `members`). Every committed offset that a
//! client is shown goes into the history: to members when they start and end, to a watcher after the
//! restart and before any member goes on, to a fresh member at the end, to a fresh client when the
//! data directory is done with. No offset may be shown that is lower than one acknowledged before,
//! or that nobody committed; members go on from where the group had committed; each group is given
//! every acknowledged record.
//!
//! `--kills-in-a-row` strikes one topic again and again under idempotent producers, Kafka's
//! VerifiableProducer among them, which live through all kills (see `in_a_row`).
//!
//! Kills aim at whatever the moment brings, at the change from one segment to the next, at quiet,
//! and, a second time, at the restart (see `plan`). With an object store they aim at a moment in
//! which an object is being written and the log waits for a trim; what the kill leaves proves it or
//! not (see `premise`), and a run in which fewer than half of the kills had both fails.
//!
//! A kill leaves the page cache and the device alone: this shows what a process must not lose.
//! What a power cut may take is the subject of `tests/powercut`, which shares the library of this
//! crate, and of the simulation.
//!
//! Exit status: 0 passed, 1 a round failed or could not be run.

mod autopsy;
mod cluster;
mod in_a_row;
mod node;
mod premise;
mod round;
mod segment_watch;
mod table;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Parser;
use holdfast_base::SplitMix64;
use holdfast_crash::clients::Tools;
use holdfast_crash::plan::{Backends, Plan};
use holdfast_crash::{Result, clock};

use crate::cluster::Cluster;
use crate::premise::Premise;

/// Rounds on one data directory.
const ROUNDS_PER_CLUSTER: u32 = 5;

#[derive(Parser, Debug)]
#[command(about = "kill -9 rounds against a real node and stock clients")]
struct Arguments {
    /// How many kills.
    #[arg(long, default_value_t = 10)]
    rounds: u32,
    /// Instead of rounds: so many kills under one topic, whose producers and groups live through
    /// all of them; then everything is read and judged.
    #[arg(long, conflicts_with = "rounds", value_parser = clap::value_parser!(u32).range(1..=1_000))]
    kills_in_a_row: Option<u32>,
    /// Records to be acknowledged for each kill, over all producers.
    #[arg(long, default_value_t = 50_000)]
    records: u32,
    /// The holdfastd binary.
    #[arg(long, env = "HOLDFASTD")]
    holdfastd: PathBuf,
    /// Directory for data, histories and logs; those of an earlier run are removed.
    #[arg(long, default_value = "target/crash")]
    work: PathBuf,
    /// Directory of Kafka's jars (kafka-clients and what it needs).
    #[arg(long, env = "HOLDFAST_KAFKA_LIBS")]
    kafka_libs: PathBuf,
    /// Directory where pip put confluent-kafka.
    #[arg(long, env = "HOLDFAST_LIBRDKAFKA")]
    librdkafka: PathBuf,
    /// Decides settings and kill moments, not how the machine schedules; drawn if not given.
    #[arg(long)]
    seed: Option<u64>,
    /// How the log is written: both (in turn, a data directory each), auto, io_uring, pwritev2.
    #[arg(long, default_value = "both")]
    wal_backend: Backends,
    /// Size of the log; without a store it must hold all rounds on a data directory.
    #[arg(long, default_value = "512MiB")]
    wal_size: String,
    /// With an object store, a directory: kills fall into uploads, checkpoints and trims, and records
    /// are read from objects. Wants a log smaller than the records of a few rounds.
    #[arg(long)]
    store: bool,
    /// Tests the test: after each kill the last frames of the log are overwritten with zeros, as
    /// if they had been acknowledged without a flush. A round must fail if there were any in the
    /// newest segment: records are lost, and commits.
    #[arg(long)]
    plant_lost_frames: bool,
    /// Leaves data and histories of rounds that passed, too.
    #[arg(long)]
    keep: bool,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match run(&arguments) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(fault) => {
            eprintln!("holdfast-crash: {fault}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<bool> {
    let seed =
        arguments.seed.unwrap_or_else(|| clock::monotonic_ns() ^ u64::from(std::process::id()));
    match arguments.kills_in_a_row {
        Some(kills) => println!(
            "seed {seed}; {kills} kills in a row, {} acknowledged records for each",
            arguments.records
        ),
        None => println!(
            "seed {seed}; {} rounds, {} acknowledged records each, {} rounds on a data directory",
            arguments.rounds, arguments.records, ROUNDS_PER_CLUSTER
        ),
    }
    fs::create_dir_all(&arguments.work)
        .map_err(|error| format!("{}: {error}", arguments.work.display()))?;
    remove_older(&arguments.work);
    let tools = Tools::prepare(&arguments.work, &arguments.kafka_libs, &arguments.librdkafka)?;
    let mut rng = SplitMix64::new(seed);
    if let Some(kills) = arguments.kills_in_a_row {
        return in_a_row::run(arguments, &tools, kills, &mut rng);
    }
    let mut cluster: Option<Cluster> = None;
    let mut rows = Vec::new();
    let mut failures = Vec::new();
    let mut premises = Vec::new();
    for round in 1..=arguments.rounds {
        let number = (round - 1) / ROUNDS_PER_CLUSTER;
        if (round - 1) % ROUNDS_PER_CLUSTER == 0 {
            let backend = arguments.wal_backend.of(number);
            cluster = Some(Cluster::fresh(arguments, number + 1, backend)?);
        }
        let cluster = cluster.as_mut().expect("made in the first round");
        let plan = Plan::draw(round, arguments.records, arguments.store, &mut rng.split());
        match round::run(cluster, &tools, &plan) {
            Ok(outcome) => {
                for row in &outcome.rows {
                    println!("{}", table::line(row));
                }
                if let Some(why) = outcome.fault() {
                    println!("round {round} FAILED: {why}");
                    failures.push(round);
                }
                premises.extend(outcome.premise);
                rows.extend(outcome.rows);
            }
            Err(fault) => {
                println!("round {round} FAILED: {fault}");
                failures.push(round);
                cluster.end();
            }
        }
        let last_here = round % ROUNDS_PER_CLUSTER == 0 || round == arguments.rounds;
        if last_here
            && let Err(fault) = cluster.close(&tools, arguments.keep || !failures.is_empty())
        {
            println!("reading data directory {} once more FAILED: {fault}", number + 1);
            failures.push(round);
        }
    }
    failures.dedup();
    println!("\n{}", table::page(&rows));
    if !failures.is_empty() {
        println!(
            "Failed in round {failures:?}; histories, logs and data are in {}; the same settings \
             and kill moments again: --seed {seed}",
            arguments.work.display()
        );
    }
    let failed = failures.len();
    println!("{} passed, {failed} failed", arguments.rounds as usize - failed);
    let proved = !arguments.store || is_proved(&premises, arguments.rounds);
    Ok(failed == 0 && proved)
}

/// Half of the rounds over a trimmed log have to be about one, and tell it.
fn is_proved(premises: &[Premise], rounds: u32) -> bool {
    let count = |is: fn(&Premise) -> bool| premises.iter().filter(|premise| is(premise)).count();
    let both = count(|premise| premise.holds());
    println!(
        "An upload was under way at {} of {rounds} kills, a trim at {}, both at {both}.",
        count(|premise| premise.upload),
        count(|premise| premise.trim)
    );
    let is_proved = both * 2 >= rounds as usize;
    if !is_proved {
        println!(
            "FAILED: both were under way at fewer than half of the kills. Take a smaller --wal-size, \
             or more --records."
        );
    }
    is_proved
}

/// Only what bears our names: the directory is the caller's.
fn remove_older(work: &Path) {
    for entry in fs::read_dir(work).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        let number = name.strip_prefix("cluster-").map(str::parse::<u32>);
        if name == "clients" || matches!(number, Some(Ok(_))) {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}
