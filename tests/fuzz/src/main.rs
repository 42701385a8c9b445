//! Hostile bytes on stable Rust, from clients and from disks: mutate what is real, run it, watch for
//! panics and for memory.
//!
//! ```text
//! cargo run --release -p holdfast-fuzz -- --target guard --seconds 20 --seed 1
//! cargo run --release -p holdfast-fuzz -- --target guard --execs 100000 --seed 1   # replays
//! ```
//!
//! | target | what runs | what must hold |
//! | --- | --- | --- |
//! | guard | header, guard, decode of a request | no panic; memory within the bytes received × a factor |
//! | frame | the frame parser, fed in pieces | the same verdict however the bytes are cut; buffer within its policy |
//! | batch | validation of a produced batch, both depths | no panic; memory within the limits; full depth accepts nothing that header depth refuses |
//! | walk | records, timestamp search | no panic; a valid batch opens, and all ways through it agree |
//! | wal | recovery of a log whose files changed | nothing is read that was not written; what one change lost is told |
//! | object | an object that changed in the store | no other bytes are served; whole is what was written |
//! | checkpoint | a kept state, with its file | what is taken is the same file and state when written again |
//! | rows | a state row by row | the state made of rows has those rows |
//! | commands | an entry applied to a shard | decodable means applied; the state after it can be kept |
//! | metadata | an entry applied to shard 0 | as commands |
//! | catalogue | the state of shard 0 | kept again it stays the same; an entry can follow it |
//!
//! A run is a function of its seed: the n-th input is the same on every machine, so a failure is
//! repeated with the seed and `--execs` it prints. There is no coverage feedback; instead every
//! corpus starts from real encodings of every API, version and codec, inputs that a target accepts
//! join the corpus, and checksums are made true again where a lie behind them is wanted.

mod memory;
mod mutate;
mod targets;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Parser;
use holdfast_base::{Rng, SplitMix64};

use crate::mutate::mutate;
use crate::targets::{Target, Verdict};

/// Inputs that a target accepted are kept up to here; then they replace each other.
const CORPUS_MAX: usize = 4096;
/// How often the clock is read.
const EXECS_PER_CLOCK: u64 = 256;

#[derive(Parser)]
#[command(about = "Feeds mutated real bytes to the parsers that face clients, disks and stores")]
struct Arguments {
    /// The name of one, or all
    #[arg(long, default_value = "all")]
    target: String,
    /// Time for each target
    #[arg(long, default_value_t = 20)]
    seconds: u64,
    /// Stop after this many inputs instead
    #[arg(long)]
    execs: Option<u64>,
    /// The whole run follows from it
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let targets: Vec<Box<dyn Target>> = targets::all()
        .into_iter()
        .filter(|target| arguments.target == "all" || arguments.target == target.name())
        .collect();
    if targets.is_empty() {
        let names: Vec<&str> = targets::all().iter().map(|target| target.name()).collect();
        eprintln!("no target is called {}; there are {}", arguments.target, names.join(", "));
        return ExitCode::FAILURE;
    }
    for target in targets {
        if let Err(failure) = run(target.as_ref(), &arguments) {
            let (name, seed) = (target.name(), arguments.seed);
            println!("{name}: FAILED at exec {}: {}", failure.exec, failure.what);
            println!("input: {}", hex(&failure.input));
            println!("replay: --target {name} --seed {seed} --execs {}", failure.exec);
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}

struct Failure {
    /// Counted from 1.
    exec: u64,
    what: String,
    input: Vec<u8>,
}

fn run(target: &dyn Target, arguments: &Arguments) -> Result<(), Failure> {
    let mut rng = SplitMix64::new(arguments.seed);
    let mut corpus = target.corpus();
    let fresh = corpus.len();
    let started = now();
    let mut execs = 0;
    let mut accepted = 0_u64;
    let mut largest_bytes = 0;
    while goes_on(execs, started, arguments) {
        execs += 1;
        let input = next_input(target, &corpus, execs, &mut rng);
        memory::start(arguments.seed, execs);
        // A target holds no state between inputs: nothing half-changed can be seen afterwards.
        let judged = catch_unwind(AssertUnwindSafe(|| target.run(&input)));
        let used = memory::stop();
        largest_bytes = largest_bytes.max(used.largest_bytes);
        let fail = |what: String, input: &[u8]| Failure { exec: execs, what, input: input.into() };
        match judged {
            Err(_) => return Err(fail("it panicked".to_owned(), &input)),
            Ok(Verdict::Wrong(what)) => return Err(fail(what, &input)),
            Ok(Verdict::Refused) => {}
            Ok(Verdict::Accepted) => {
                accepted += 1;
                keep(&mut corpus, fresh, &input, &mut rng);
            }
        }
        let bound = target.bound(input.len());
        if used.largest_bytes > bound.largest_bytes || used.peak_bytes > bound.peak_bytes {
            return Err(fail(
                format!("{} bytes in, {used:?}, bound {bound:?}", input.len()),
                &input,
            ));
        }
    }
    let seconds = now().duration_since(started).as_secs_f64();
    println!(
        "{}: execs {execs} ({:.0}/s), accepted {accepted}, largest allocation {largest_bytes} bytes",
        target.name(),
        execs as f64 / seconds
    );
    Ok(())
}

fn goes_on(execs: u64, started: Instant, arguments: &Arguments) -> bool {
    match arguments.execs {
        Some(limit) => execs < limit,
        None => {
            !execs.is_multiple_of(EXECS_PER_CLOCK)
                || now().duration_since(started) < Duration::from_secs(arguments.seconds)
        }
    }
}

/// The corpus itself first, as it is; then mutations of it, and noise now and then.
fn next_input(target: &dyn Target, corpus: &[Vec<u8>], exec: u64, rng: &mut SplitMix64) -> Vec<u8> {
    if let Some(original) = usize::try_from(exec - 1).ok().and_then(|index| corpus.get(index)) {
        return original.clone();
    }
    if rng.chance(1, 64) {
        return (0..rng.below(256)).map(|_| rng.next_u64() as u8).collect();
    }
    let mut input = pick(corpus, rng).clone();
    mutate(&mut input, pick(corpus, rng), rng);
    target.repair(&mut input, rng);
    input
}

fn pick<'a>(corpus: &'a [Vec<u8>], rng: &mut SplitMix64) -> &'a Vec<u8> {
    &corpus[rng.below(corpus.len() as u64) as usize]
}

fn keep(corpus: &mut Vec<Vec<u8>>, fresh: usize, input: &[u8], rng: &mut SplitMix64) {
    if corpus.len() < CORPUS_MAX.max(fresh + 1) {
        corpus.push(input.to_vec());
    } else {
        let replaced = fresh + rng.below((corpus.len() - fresh) as u64) as usize;
        corpus[replaced] = input.to_vec();
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[expect(clippy::disallowed_methods, reason = "the time limit of a run; no input depends on it")]
fn now() -> Instant {
    Instant::now()
}
