//! `holdfast-checker check FILE`: reads a history and says whether the log kept its promises.
//!
//! Exit status: 0 clean, 1 anomalies, 2 the history cannot be read.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use holdfast_checker::{Expectations, Report, check_file};

/// So many lines of evidence are printed, each cut to so many bytes.
const EVIDENCE_LINES_MAX: usize = 40;
const EVIDENCE_BYTES_MAX: usize = 240;

/// Judges histories of Holdfast's tests.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Judge a history: exit 0 when clean, 1 on anomalies, 2 when it cannot be read.
    Check {
        /// One JSON object per line.
        file: PathBuf,
        /// Print the report as JSON.
        #[arg(long)]
        json: bool,
        /// Offsets may have gaps (transactions, compaction).
        #[arg(long)]
        allow_gaps: bool,
        /// The high watermark may go back at a change of leader, as Apache Kafka's does.
        #[arg(long)]
        allow_high_watermark_regress: bool,
        /// The log start may move by itself (retention).
        #[arg(long)]
        allow_retention: bool,
        /// A partition need not be read to its end.
        #[arg(long)]
        allow_no_final_read: bool,
        /// A commit that ended without an answer does nothing later (kills of processes).
        #[arg(long)]
        ended_commits_are_over: bool,
    },
}

fn main() -> ExitCode {
    let Command::Check {
        file,
        json,
        allow_gaps,
        allow_high_watermark_regress,
        allow_retention,
        allow_no_final_read,
        ended_commits_are_over,
    } = Arguments::parse().command;
    let expectations = Expectations {
        contiguous_offsets: !allow_gaps,
        global_high_watermark: !allow_high_watermark_regress,
        log_start_only_on_request: !allow_retention,
        final_read: !allow_no_final_read,
        ended_commits_are_over,
    };
    let report = match check_file(&file, expectations) {
        Ok(report) => report,
        Err(error) => {
            eprintln!("{}: {error}", file.display());
            return ExitCode::from(2);
        }
    };
    if json {
        match serde_json::to_string_pretty(&report) {
            Ok(text) => println!("{text}"),
            Err(error) => {
                eprintln!("the report cannot be written as JSON: {error}");
                return ExitCode::from(2);
            }
        }
    } else {
        println!("{report}");
        print_evidence(&file, &report);
    }
    ExitCode::from(u8::from(!report.is_clean()))
}

/// The lines the findings point to, so that nobody has to look them up.
fn print_evidence(file: &Path, report: &Report) {
    let wanted: BTreeSet<u64> =
        report.findings.iter().flat_map(|finding| finding.evidence.iter().copied()).collect();
    let wanted: BTreeSet<u64> = wanted.into_iter().take(EVIDENCE_LINES_MAX).collect();
    let Ok(history) = File::open(file) else {
        return;
    };
    let last = wanted.last().copied().unwrap_or(0);
    for (number, line) in (1..=last).zip(BufReader::new(history).lines()) {
        if let (true, Ok(line)) = (wanted.contains(&number), line) {
            let short: String = line.chars().take(EVIDENCE_BYTES_MAX).collect();
            println!("line {number}: {short}");
        }
    }
}
