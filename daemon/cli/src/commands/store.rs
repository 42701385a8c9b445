//! `holdfast store probe URL`: what a store does, ignores and refuses, before records depend on it.
//!
//! The asking is done by the same room that the node uses (`holdfast_tier::store`), with the same
//! settings under the same names; here are the arguments and the table. Exit code 0: usable, with notes
//! or without; 3: something that is needed is missing; 1: the store could not be asked.

use std::hash::{BuildHasher, Hasher, RandomState};

use clap::{Args, Subcommand};
use holdfast_tier::store::probe::{Depth, Report, Standing, probe};
use serde_json::{Value, json};

use crate::args::Shown;
use crate::bucket::BucketArgs;
use crate::clock::now_ms;
use crate::errors::{CliError, Kind, Result};
use crate::output::{Answer, Table};

/// `holdfast store ...`
#[derive(Subcommand, Debug)]
pub(crate) enum StoreCommand {
    /// What a store does, ignores and refuses; exit code 0 usable, 3 not. What is put is deleted
    Probe(ProbeArgs),
}

/// Options of `store probe`.
#[derive(Args, Debug)]
pub(crate) struct ProbeArgs {
    #[command(flatten)]
    bucket: BucketArgs,
    #[command(flatten)]
    shown: Shown,
}

pub(crate) fn run(command: StoreCommand) -> Result<()> {
    match command {
        StoreCommand::Probe(args) => run_probe(&args),
    }
}

fn run_probe(args: &ProbeArgs) -> Result<()> {
    let not_asked = |why: String| {
        CliError::failed(format!("the store {} cannot be asked", args.bucket.url), why)
            .try_next("check the URL, --endpoint, --credentials and --ca")
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| not_asked(error.to_string()))?;
    // A directory that no other probe has.
    let id = RandomState::new().build_hasher().finish();
    let options = args.bucket.options();
    let asked = probe(&args.bucket.url, &options, id, || now_ms() / 1_000, Depth::Full);
    let report = runtime.block_on(asked).map_err(|error| not_asked(error.to_string()))?;
    answer(&args.bucket.url, &report).print(args.shown.format)?;
    if report.is_usable() {
        return Ok(());
    }
    Err(CliError::new(
        Kind::Unhealthy,
        format!("the store {} is {}", args.bucket.url, report.verdict()),
    )
    .why("Holdfast needs what is marked missing above")
    .try_next("change the store or its settings, then probe again"))
}

fn answer(url: &str, report: &Report) -> Answer {
    let mut table = Table::new(&["CHECK", "VERDICT", "FOUND"]);
    let mut findings = Vec::new();
    for finding in &report.findings {
        let verdict = finding.standing.text();
        table.row([finding.name.to_owned(), verdict.to_owned(), finding.found.clone()]);
        findings.push(json!({"check": finding.name, "verdict": verdict, "found": finding.found}));
    }
    let value: Value = json!({
        "store": url, "server": report.server, "usable": report.is_usable(),
        "verdict": report.verdict(), "checks": findings,
    });
    let bad = report.findings.iter().filter(|finding| finding.standing != Standing::Good);
    let names = bad.map(|finding| finding.name.to_owned()).collect::<Vec<_>>();
    let server = report.server.as_ref().map(|name| format!(" ({name})")).unwrap_or_default();
    Answer::new(value)
        .line(format!("{url}{server}: {}", report.verdict()))
        .table(table)
        .names(names)
}
