//! Holdfast and Kafka by turns on the same disk, several times; medians and ratios on a page.

use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::Args;
use serde_json::{Value, json};

use crate::broker::Kind;
use crate::client::{Failed, Result};
use crate::fio::{self, Device};
use crate::page;
use crate::report::round;
use crate::sample::{self, Figures, Size};

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
            kinds.push(Kind::Kafka { libs: libs.clone(), flush });
        }
    }
    if let Some(binary) = &options.holdfastd {
        let arguments = options.holdfastd_arguments.split_whitespace().map(String::from).collect();
        kinds.push(Kind::Holdfast { binary: binary.clone(), arguments });
    }
    if kinds.is_empty() {
        return Err(Failed::Wrong("nothing to measure: give --kafka-libs or --holdfastd".into()));
    }
    std::fs::create_dir_all(&options.work)?;
    let size = if options.quick { Size::QUICK } else { Size::FULL };
    let load_before = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let before = fio::run(&options.work)?;
    println!("{}", device("before", before));
    let mut brokers: Vec<(&'static str, Vec<Figures>)> =
        kinds.iter().map(|kind| (kind.name(), Vec::new())).collect();
    for run in 1..=options.runs {
        for (kind, (name, runs)) in kinds.iter().zip(&mut brokers) {
            let figures = sample::run(kind, &options.work.join(kind.name()), size)
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
        std::fs::write(out, page::render(options, &comparison))?;
    }
    Ok(
        json!({"mode": "compare", "runs": options.runs, "floors_held": page::floors_held(&comparison)}),
    )
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
    fn a_floor_that_was_not_measured_is_not_held() {
        assert_eq!(page::floors_held(&comparison(&[1.0])), None);
    }
}
