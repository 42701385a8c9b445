//! The command line.

use std::process::ExitCode;

use clap::Parser;

use crate::planted::Planted;
use crate::seed::{self, Options, SeedResult};

/// Simulates a cluster from a seed.
#[derive(Debug, Parser)]
#[command(name = "holdfast-sim")]
struct Arguments {
    /// How many seeds.
    #[arg(long, default_value_t = 1)]
    seeds: u64,
    /// The first seed.
    #[arg(long, default_value_t = 1)]
    from: u64,
    /// Exactly this seed.
    #[arg(long)]
    seed: Option<u64>,
    /// Show the whole timeline.
    #[arg(long)]
    trace: bool,
    /// Run each seed once, without looking whether it does the same twice.
    #[arg(long)]
    once: bool,
}

/// Runs what the command line asks for.
#[must_use]
pub fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let (from, count) = arguments.seed.map_or((arguments.from, arguments.seeds), |seed| (seed, 1));
    let mut failed = 0;
    for seed in from..from + count {
        let options = Options { planted: Planted::default(), keeps_timeline: arguments.trace };
        let result = seed::run(seed, options);
        println!(
            "seed {seed}: {} operations, {} crashes, {} events, {:.1} s simulated, hash {:016x}",
            result.operations,
            result.crashes,
            result.events,
            result.simulated_ns as f64 / 1e9,
            result.trace_hash
        );
        if arguments.trace {
            println!("{}", result.timeline);
        }
        if !result.passed() {
            failed += 1;
            tell_failure(&result);
        }
    }
    println!("{} passed, {failed} failed", count - failed);
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn tell_failure(result: &SeedResult) {
    println!("seed {} FAILED", result.seed);
    for text in &result.broken {
        println!("  {text}");
    }
    println!("{}", result.report);
    println!("  again: cargo xtask sim --seed {} --trace", result.seed);
}
