//! `holdfast check`: is this machine fit for a node?
//!
//! Looked at before a node is started, by hand and by its unit. Every line is ok, warn or fail,
//! and says what to do. A fail ends in exit code 1: a node would not start, or would lose what it
//! acknowledged.
//!
//! Caveat: limits are those of this process. A unit sets its own (`LimitNOFILE=`,
//! `LimitMEMLOCK=`); run the check from there to see them.

mod flush;
mod judge;
mod machine;

use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::{Value, json};

use crate::args::Shown;
use crate::errors::{CliError, Result};
use crate::output::{Answer, Table};
use judge::{Finding, Verdict};

/// Where packages put data.
const DATA_DIR_DEFAULT: &str = "/var/lib/holdfast";

/// Options of `check`.
#[derive(Args, Debug)]
pub(crate) struct CheckArgs {
    /// The directory a node would use, or uses. 1 MiB is written beside its files and removed.
    #[arg(long, default_value = DATA_DIR_DEFAULT, value_name = "DIR")]
    data_dir: PathBuf,
    /// Look at nothing that writes: no flush latency, no O_DIRECT, no io_uring.
    #[arg(long)]
    offline: bool,
    #[command(flatten)]
    shown: Shown,
}

pub(crate) fn run(args: &CheckArgs) -> Result<()> {
    let mut findings = vec![
        judge::kernel(machine::kernel().as_deref()),
        judge::clock_source(machine::clock_source().as_deref()),
        judge::open_files(machine::open_files()),
        judge::locked_memory(machine::locked_memory()),
    ];
    if args.data_dir.is_dir() {
        directory(&args.data_dir, args.offline, &mut findings);
    } else {
        findings.push(judge::missing_directory(&args.data_dir));
    }
    print(&findings, args.shown)?;
    let failed = findings.iter().filter(|finding| finding.verdict == Verdict::Fail).count();
    if failed == 0 {
        return Ok(());
    }
    let why = format!("{failed} of {} checks failed", findings.len());
    Err(CliError::failed("this machine is not fit for a node", why)
        .try_next("do what stands behind each `fail` above, then check again"))
}

fn directory(path: &Path, offline: bool, findings: &mut Vec<Finding>) {
    findings.push(judge::room(machine::free_bytes(path)));
    let device = holdfast_io::DeviceFacts::of(path);
    findings.push(judge::filesystem(&device.filesystem));
    findings.push(judge::write_cache(&device));
    if offline {
        return;
    }
    match holdfast_io::probe(path) {
        Ok(report) => {
            findings.push(judge::io_uring(&report.io_uring));
            findings.push(judge::direct_io(report.direct_io));
            findings.push(judge::flush(flush::measure(path)));
        }
        Err(error) => findings.push(judge::unwritable(path, &error)),
    }
}

fn print(findings: &[Finding], shown: Shown) -> Result<()> {
    let mut table = Table::new(&["CHECK", "VERDICT", "FOUND", "WHAT TO DO"]);
    for finding in findings {
        table.row([
            finding.name.to_owned(),
            finding.verdict.text().to_owned(),
            finding.found.clone(),
            finding.advice.clone(),
        ]);
    }
    let value: Value = findings
        .iter()
        .map(|finding| {
            json!({
                "check": finding.name, "verdict": finding.verdict.text(),
                "found": finding.found, "what_to_do": finding.advice,
            })
        })
        .collect();
    let bad = findings.iter().filter(|finding| finding.verdict != Verdict::Ok);
    let names = bad.map(|finding| finding.name.to_owned()).collect::<Vec<_>>();
    Answer::new(value).table(table).names(names).print(shown.format)
}
