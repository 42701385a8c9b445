//! Holdfast and Kafka by turns on the same disk, several times; medians and ratios on a page.
//!
//! A second holdfastd can take part as a column of its own, so that two commits are compared under
//! the same weather: what a step cost is read from one run, never from two.

use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::{Args, ValueEnum};
use serde_json::{Value, json};

use crate::broker::Kind;
use crate::client::{Failed, Result};
use crate::clock::Stopwatch;
use crate::fio::{self, Device};
use crate::report::round;
use crate::sample::{self, Figures, Size};
use crate::{crowd, history, page};

/// The column of the holdfastd under test.
pub const HOLDFAST: &str = "holdfast";
/// The column of the second holdfastd.
pub const COMPARED: &str = "compared";
/// The column of the holdfastd under test with its history behind an S3 gateway.
pub const HOLDFAST_S3: &str = "holdfast-s3";

/// Which measurements.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Part {
    /// Load and crowds.
    All,
    /// Records: throughput, latency, memory, restart.
    Load,
    /// Many groups, consumers and partitions.
    Crowds,
    /// Records that lie only in the object store.
    History,
    /// Start-up by data kept.
    StartUp,
    /// Ten thousand partitions.
    Wide,
}

impl Part {
    /// One that has a section of the page to itself.
    fn is_section(self) -> bool {
        matches!(self, Part::History | Part::StartUp | Part::Wide)
    }
}

/// What to compare and where.
#[derive(Args, Debug, Clone)]
pub struct Options {
    /// Directory of Kafka's jars; without it Kafka is left out.
    #[arg(long)]
    pub kafka_libs: Option<PathBuf>,
    /// Kafka's version, for the page.
    #[arg(long, default_value = "4.3.1")]
    pub kafka_version: String,
    /// The holdfastd binary; without it Holdfast is left out.
    #[arg(long)]
    pub holdfastd: Option<PathBuf>,
    /// Passed on to holdfastd, space separated.
    #[arg(long, default_value = "", allow_hyphen_values = true)]
    pub holdfastd_arguments: String,
    /// A second holdfastd binary, measured in the same run with the same arguments.
    #[arg(long)]
    pub compare_binary: Option<PathBuf>,
    /// What the second binary is, for the page (its commit).
    #[arg(long, default_value = "another build")]
    pub compare_name: String,
    /// Which measurements.
    #[arg(long, value_enum, default_value_t = Part::All)]
    pub part: Part,
    /// VersityGW's program; without it history is measured over a directory alone.
    #[arg(long)]
    pub versitygw: Option<PathBuf>,
    /// Directory on the disk to measure; emptied.
    #[arg(long)]
    pub work: PathBuf,
    /// Repetitions; the page shows medians.
    #[arg(long, default_value_t = 3)]
    pub runs: usize,
    /// Small amounts, to see that everything runs.
    #[arg(long)]
    pub quick: bool,
    /// The page to write.
    #[arg(long)]
    pub out: Option<PathBuf>,
    /// What was built, for the page.
    #[arg(long, default_value = "unknown")]
    pub commit: String,
    /// The day, for the page.
    #[arg(long, default_value = "unknown")]
    pub date: String,
}

/// Everything a page is made of.
#[derive(Debug)]
pub struct Comparison {
    /// Per broker, in the order measured: the figures of every repetition.
    pub brokers: Vec<(&'static str, Vec<Figures>)>,
    /// The disk before and after.
    pub device: (Device, Device),
    /// Load average before anything ran: whether the machine was quiet.
    pub load_before: String,
}

impl Comparison {
    /// A figure's median over a broker's repetitions.
    pub fn median(&self, broker: &str, figure: &str) -> Option<f64> {
        let (_, runs) = self.brokers.iter().find(|(name, _)| *name == broker)?;
        let mut values: Vec<f64> =
            runs.iter().filter_map(|figures| figures.get(figure).copied()).collect();
        values.sort_by(f64::total_cmp);
        let middle = values.len() / 2;
        match values.len() {
            0 => None,
            len if len % 2 == 1 => Some(values[middle]),
            _ => Some(f64::midpoint(values[middle - 1], values[middle])),
        }
    }
}

/// Measures and writes the page; prints one JSON line per broker and repetition on the way.
pub fn run(options: &Options) -> Result<Value> {
    let mut kinds = Vec::new();
    if let Some(libs) = &options.kafka_libs {
        for flush in [false, true] {
            kinds.push(Kind::Kafka { libs: libs.clone(), flush, settings: Vec::new() });
        }
    }
    let builds = [(HOLDFAST, &options.holdfastd), (COMPARED, &options.compare_binary)];
    for (column, binary) in builds {
        let Some(binary) = binary.clone() else { continue };
        let arguments = options.holdfastd_arguments.split_whitespace().map(String::from).collect();
        kinds.push(Kind::Holdfast { column, binary, arguments });
    }
    if options.part == Part::Crowds || options.part.is_section() {
        kinds.retain(|kind| !matches!(kind, Kind::Kafka { flush: true, .. }));
    }
    if options.part == Part::StartUp {
        kinds.retain(|kind| matches!(kind, Kind::Holdfast { .. }));
    }
    if options.part == Part::History
        && options.versitygw.is_some()
        && let Some(binary) = options.holdfastd.clone()
    {
        kinds.push(Kind::Holdfast { column: HOLDFAST_S3, binary, arguments: Vec::new() });
    }
    if kinds.is_empty() {
        return Err(Failed::Wrong("nothing to measure: give --kafka-libs or --holdfastd".into()));
    }
    std::fs::create_dir_all(&options.work)?;
    let clock = Stopwatch::start();
    let load_before = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let before = fio::run(&options.work)?;
    println!("{}", device("before", before));
    let mut brokers: Vec<(&'static str, Vec<Figures>)> =
        kinds.iter().map(|kind| (kind.name(), Vec::new())).collect();
    for run in 1..=options.runs {
        for at in order(kinds.len(), run) {
            let (name, runs) = &mut brokers[at];
            let figures = measure(&kinds[at], options)
                .map_err(|error| Failed::Wrong(format!("{name}, run {run}: {error}")))?;
            println!("{}", line(name, run, &figures));
            runs.push(figures);
        }
    }
    let after = fio::run(&options.work)?;
    println!("{}", device("after", after));
    let load_before = load_before.split_whitespace().take(3).collect::<Vec<_>>().join(" ");
    let comparison = Comparison { brokers, device: (before, after), load_before };
    if let Some(out) = &options.out {
        if let Some(directory) = out.parent() {
            std::fs::create_dir_all(directory)?;
        }
        if options.part.is_section() {
            page::history::write(options, &comparison, clock.seconds())?;
        } else {
            std::fs::write(out, page::render(options, &comparison))?;
        }
    }
    Ok(
        json!({"mode": "compare", "runs": options.runs, "floors_held": page::floors_held(&comparison)}),
    )
}

/// One broker, one repetition.
fn measure(kind: &Kind, options: &Options) -> Result<Figures> {
    let directory = options.work.join(kind.name());
    let mut figures = Figures::new();
    if options.part.is_section() {
        let size = if options.quick { history::Size::QUICK } else { history::Size::FULL };
        let gateway = options.versitygw.as_deref().filter(|_| kind.name() == HOLDFAST_S3);
        match options.part {
            Part::StartUp => history::start_up::run(kind, &directory, size, &mut figures)?,
            Part::Wide => history::wide::run(kind, &directory, size, &mut figures)?,
            _ => history::cold::run(kind, &directory, gateway, size, &mut figures)?,
        }
        return Ok(figures);
    }
    if options.part != Part::Crowds {
        let size = if options.quick { Size::QUICK } else { Size::FULL };
        figures = sample::run(kind, &directory, size)?;
    }
    // A crowd writes next to nothing: what a flush per message costs is told by the load.
    if options.part != Part::Load && !matches!(kind, Kind::Kafka { flush: true, .. }) {
        let size = if options.quick { crowd::Size::QUICK } else { crowd::Size::FULL };
        crowd::run(kind, &directory, size, &mut figures)?;
    }
    Ok(figures)
}

/// Forth in odd repetitions, back in even ones: nobody is always first, nor always behind the same.
fn order(count: usize, run: usize) -> Vec<usize> {
    if run % 2 == 1 { (0..count).collect() } else { (0..count).rev().collect() }
}

fn line(broker: &str, run: usize, figures: &Figures) -> Value {
    let figures: BTreeMap<_, _> =
        figures.iter().map(|(name, value)| (*name, round(*value, 4))).collect();
    json!({"broker": broker, "run": run, "figures": figures})
}

fn device(when: &str, device: Device) -> Value {
    json!({
        "fio": when,
        "64k_qd1_p50_us": round(device.p50_us, 1),
        "64k_qd1_p99_us": round(device.p99_us, 1),
        "256k_qd4_mb_s": round(device.mb_per_s, 0),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn comparison(values: &[f64]) -> Comparison {
        let device = Device { p50_us: 100.0, p99_us: 200.0, mb_per_s: 1e3 };
        let runs = values.iter().map(|value| Figures::from([("rss_mib", *value)])).collect();
        let brokers = vec![("holdfast", runs)];
        Comparison { brokers, device: (device, device), load_before: String::new() }
    }

    #[test]
    fn medians_of_odd_and_even_counts() {
        assert_eq!(comparison(&[3.0, 1.0, 2.0]).median("holdfast", "rss_mib"), Some(2.0));
        assert_eq!(comparison(&[4.0, 1.0]).median("holdfast", "rss_mib"), Some(2.5));
        assert_eq!(comparison(&[]).median("holdfast", "rss_mib"), None);
        assert_eq!(comparison(&[1.0]).median("kafka", "rss_mib"), None);
    }

    #[test]
    fn every_broker_is_measured_once_in_each_repetition_and_none_is_always_first() {
        assert_eq!((order(3, 1), order(3, 2)), (vec![0, 1, 2], vec![2, 1, 0]));
        assert_eq!(order(3, 3), order(3, 1));
    }

    #[test]
    fn a_floor_that_was_not_measured_is_not_held() {
        assert_eq!(page::floors_held(&comparison(&[1.0])), None);
    }
}
