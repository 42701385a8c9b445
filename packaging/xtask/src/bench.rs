//! `cargo xtask bench --against kafka`: fetches the peer, measures, writes `tests/bench/RESULTS.md`.
//! Every other run writes its page to `target/bench.md`.

use std::path::{Path, PathBuf};
use std::process::Command;

use clap::{Args, ValueEnum};

use crate::binaries::{self, BENCH, DAEMON};
use crate::install;
use crate::run::{Result, checked, output, root, shown};
use crate::store_programs;
use crate::tools;

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Peer {
    /// Apache Kafka, from Maven Central.
    Kafka,
}

/// Which measurements.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    /// Load and crowds.
    All,
    /// Records: throughput, latency, memory, restart.
    Load,
    /// Many groups, consumers and partitions.
    Crowds,
    /// Records that lie only in the object store; as root, since it drops the page cache.
    History,
    /// Start-up with 0.1, 1 and 10 GB kept; takes 12 GB of disk.
    StartUp,
    /// Ten thousand partitions; as root where vm.max_map_count has to be raised for Kafka.
    Wide,
}

#[derive(Args)]
pub(crate) struct Options {
    /// The broker to compare with; without it Holdfast is measured alone.
    #[arg(long)]
    against: Option<Peer>,
    /// Repetitions; medians are shown. Otherwise 3, for start-up and ten thousand partitions 1.
    #[arg(long)]
    runs: Option<usize>,
    /// Small amounts, to see that everything runs.
    #[arg(long)]
    quick: bool,
    /// Measures the peer alone.
    #[arg(long)]
    only_peer: bool,
    /// A second holdfastd, e.g. of an older commit: a column of its own, measured by turns with the
    /// first.
    #[arg(long, value_name = "PATH")]
    compare_binary: Option<PathBuf>,
    /// What the second holdfastd is, for the page.
    #[arg(long, value_name = "TEXT", requires = "compare_binary")]
    compare_name: Option<String>,
    /// Which measurements.
    #[arg(long, value_enum, default_value_t = Part::All)]
    part: Part,
    /// Passed on to holdfastd, to both of them if there are two.
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
    command.arg("compare").arg("--work").arg(work).arg(format!("--runs={}", runs(options)));
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
    if let Some(binary) = &options.compare_binary {
        command.arg("--compare-binary").arg(executable(binary)?);
    }
    if let Some(name) = &options.compare_name {
        command.args(["--compare-name", name]);
    }
    match options.part {
        Part::All => {}
        Part::Load => drop(command.args(["--part", "load"])),
        Part::Crowds => drop(command.args(["--part", "crowds"])),
        Part::History => {
            command.args(["--part", "history", "--versitygw"]).arg(store_programs::versitygw()?);
        }
        Part::StartUp => drop(command.args(["--part", "start-up"])),
        Part::Wide => drop(command.args(["--part", "wide"])),
    }
    if options.quick {
        command.arg("--quick");
    }
    command.arg("--out").arg(page(options));
    let commit = output(Command::new("git").current_dir(root()).args([
        "describe",
        "--always",
        "--dirty",
        "--abbrev=10",
        "--exclude=*",
    ]))?;
    command.args(["--commit", &commit]);
    command.args(["--date", &output(Command::new("date").args(["-u", "+%Y-%m-%d"]))?]);
    println!("Running: {}", shown(&command));
    checked(&mut command)
}

fn runs(options: &Options) -> usize {
    let takes_long = matches!(options.part, Part::StartUp | Part::Wide);
    options.runs.unwrap_or(if takes_long { 1 } else { 3 })
}

/// Only a whole run against Kafka may replace the results that are kept; the parts of history replace
/// their own sections.
fn page(options: &Options) -> PathBuf {
    let whole = options.against.is_some()
        && !options.only_peer
        && !options.quick
        && !matches!(options.part, Part::Load | Part::Crowds);
    root().join(if whole { "tests/bench/RESULTS.md" } else { "target/bench.md" })
}

/// Found before hours are spent on the rest.
fn executable(binary: &Path) -> Result<PathBuf> {
    let absolute = binary.canonicalize().map_err(|error| {
        format!("--compare-binary {}: {error}; give the path of a holdfastd", binary.display())
    })?;
    output(Command::new(&absolute).arg("--version"))?;
    Ok(absolute)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        options: Options,
    }

    fn page_of(flags: &[&str]) -> PathBuf {
        let line = Line::try_parse_from([&["bench"], flags].concat());
        let whole = page(&line.unwrap_or_else(|error| panic!("{error}")).options);
        whole.strip_prefix(root()).unwrap().to_owned()
    }

    #[test]
    fn only_a_whole_run_against_kafka_replaces_the_results() {
        let kept = Path::new("tests/bench/RESULTS.md");
        assert_eq!(page_of(&["--against", "kafka"]), kept);
        assert_eq!(page_of(&["--against", "kafka", "--compare-binary", "/b"]), kept);
        for part in ["history", "start-up", "wide"] {
            assert_eq!(page_of(&["--against", "kafka", "--part", part]), kept);
        }
        for less in [&[][..], &["--quick"], &["--part", "crowds"], &["--only-peer"]] {
            let flags =
                if less.is_empty() { vec![] } else { [&["--against", "kafka"], less].concat() };
            assert_eq!(page_of(&flags), Path::new("target/bench.md"), "{less:?}");
        }
    }

    #[test]
    fn a_second_binary_that_is_not_there_is_named_before_anything_runs() {
        let error = executable(Path::new("/nowhere/holdfastd")).unwrap_err();
        assert!(error.contains("/nowhere/holdfastd"), "{error}");
    }
}
