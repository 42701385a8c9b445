//! `cargo xtask bench --against kafka`: fetches the peer, measures, writes `tests/bench/RESULTS.md`.

use std::path::PathBuf;
use std::process::Command;

use clap::{Args, ValueEnum};

use crate::binaries::{self, BENCH, DAEMON};
use crate::install;
use crate::run::{Result, checked, output, root, shown};
use crate::tools;

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Peer {
    /// Apache Kafka, from Maven Central.
    Kafka,
}

#[derive(Args)]
pub(crate) struct Options {
    /// The broker to compare with; without it Holdfast is measured alone.
    #[arg(long)]
    against: Option<Peer>,
    /// Repetitions; medians are shown.
    #[arg(long, default_value_t = 3)]
    runs: usize,
    /// Small amounts, to see that everything runs; writes no page.
    #[arg(long)]
    quick: bool,
    /// Measures the peer alone.
    #[arg(long)]
    only_peer: bool,
    /// Passed on to holdfastd.
    #[arg(long, default_value = "--wal-size 4294967296", allow_hyphen_values = true)]
    holdfastd_arguments: String,
    /// Directory on the disk to measure.
    #[arg(long)]
    work: Option<PathBuf>,
}

pub(crate) fn run(options: &Options) -> Result<()> {
    install::ensure(install::BUILD)?;
    install::ensure(install::BENCH)?;
    let mut command = Command::new(binaries::path(BENCH));
    let work = options.work.clone().unwrap_or_else(|| root().join("target/bench-work"));
    command.arg("compare").arg("--work").arg(work).arg(format!("--runs={}", options.runs));
    if options.against.is_some() || options.only_peer {
        command.arg("--kafka-libs").arg(tools::kafka_libs()?);
        command.args(["--kafka-version", tools::KAFKA]);
    }
    if options.only_peer {
        binaries::build(&[BENCH])?;
    } else {
        binaries::build(&[BENCH, DAEMON])?;
        command.arg("--holdfastd").arg(binaries::path(DAEMON));
        command.arg(format!("--holdfastd-arguments={}", options.holdfastd_arguments));
    }
    if options.quick {
        command.arg("--quick");
    } else if options.against.is_some() && !options.only_peer {
        command.arg("--out").arg(root().join("tests/bench/RESULTS.md"));
        let commit = output(Command::new("git").current_dir(root()).args([
            "describe",
            "--always",
            "--dirty",
            "--abbrev=10",
            "--exclude=*",
        ]))?;
        command.args(["--commit", &commit]);
    }
    command.args(["--date", &output(Command::new("date").args(["-u", "+%Y-%m-%d"]))?]);
    println!("Running: {}", shown(&command));
    checked(&mut command)
}
