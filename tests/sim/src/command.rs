//! The command line: seeds over threads, twice each, and the planted bugs.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;

use crate::hunt;
use crate::report;

/// Simulates clusters of three nodes or one, with and without an object store, from seeds: faults, crashes, power cuts; nothing that was
/// acknowledged may be lost.
#[derive(Debug, Parser)]
#[command(name = "holdfast-sim")]
pub(crate) struct Arguments {
    /// How many seeds, behind those of `seeds.txt`; 500 each, also for a planted bug.
    #[arg(long)]
    pub(crate) seeds: Option<u64>,
    /// The first of them.
    #[arg(long, default_value_t = 1)]
    pub(crate) from: u64,
    /// Threads; a seed is one thread's.
    #[arg(long, default_value_t = 2)]
    pub(crate) jobs: usize,
    /// Exactly this seed, and its timeline if it fails.
    #[arg(long)]
    pub(crate) seed: Option<u64>,
    /// Show the whole timeline of `--seed`.
    #[arg(long)]
    pub(crate) trace: bool,
    /// Run each seed once, without looking whether it does the same twice.
    #[arg(long)]
    pub(crate) once: bool,
    /// Writes what clients did and saw in the run of `--seed`: a history for `holdfast-checker`.
    #[arg(long, requires = "seed", value_name = "FILE")]
    pub(crate) history: Option<PathBuf>,
    /// Where failed seeds leave their timelines and histories.
    #[arg(long, value_name = "DIR", default_value = "target/sim")]
    pub(crate) evidence: PathBuf,
    /// Put a bug in and look for it: a name, `all`, or `list`. With `--seed`: run that one.
    #[arg(long)]
    pub(crate) planted: Option<String>,
    /// Look for planted bugs in all seeds from the first, not first in those known to find them.
    #[arg(long)]
    pub(crate) from_scratch: bool,
}

/// Runs what the command line asks for.
#[must_use]
pub fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let passed = match (&arguments.planted, arguments.seed) {
        (Some(name), None) => hunt::run(name, &arguments),
        (_, Some(seed)) => report::run_one(seed, &arguments),
        (None, None) => report::run_many(&arguments),
    };
    if passed { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
