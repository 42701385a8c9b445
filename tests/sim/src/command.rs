//! The command line: seeds over threads, twice each, and the planted bugs.

use std::process::ExitCode;

use clap::Parser;

use crate::report;

/// Simulates clusters of three nodes from seeds: faults, crashes, power cuts; nothing that was
/// acknowledged may be lost.
#[derive(Debug, Parser)]
#[command(name = "holdfast-sim")]
pub(crate) struct Arguments {
    /// How many seeds, behind those of `seeds.txt`.
    #[arg(long, default_value_t = 500)]
    pub(crate) seeds: u64,
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
    /// Put a bug in and look for it: a name, `all`, or `list`.
    #[arg(long)]
    pub(crate) planted: Option<String>,
}

/// Runs what the command line asks for.
#[must_use]
pub fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let passed = match (&arguments.planted, arguments.seed) {
        (Some(name), _) => report::run_planted(name, &arguments),
        (None, Some(seed)) => report::run_one(seed, &arguments),
        (None, None) => report::run_many(&arguments),
    };
    if passed { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
