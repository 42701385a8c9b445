//! Many partitions on one node: what they take at rest, and what the disk sees of a thin load over all.
//!
//! Kafka keeps two mapped files and some descriptors for each, so the machine's limits are raised first.

use std::fs;
use std::path::Path;
use std::time::Duration;

use crate::broker::{self, Kind};
use crate::client::{Failed, Result};
use crate::clock::{Stopwatch, nap};
use crate::crowd::partitions;
use crate::history::cold::{TAIL_RATE, with_store};
use crate::history::{Metrics, Size, open_loop, start_up};
use crate::process;
use crate::sample::{Figures, raise_open_files};

const WIDE: &str = "wide";
const MAP_COUNT: &str = "/proc/sys/vm/max_map_count";
const MAP_COUNT_MIN: u64 = 262_144;
const SETTLE_S: u64 = 5;
const IDLE_S: u64 = 15;
/// A checkpoint of the one data shard with the topic, and one of shard 0, whichever come first.
const CHECKPOINTS_WAIT: f64 = 3.0;
const CHECKPOINT_WAIT_S: f64 = 70.0;

/// All of it below `directory`, which is emptied before and after.
pub fn run(kind: &Kind, directory: &Path, size: Size, figures: &mut Figures) -> Result<()> {
    let _ = fs::remove_dir_all(directory);
    fs::create_dir_all(directory)?;
    raise_limits()?;
    let mut kind = kind.clone();
    // States are kept beside the log only where there is a store.
    let mut store = None;
    if let Kind::Holdfast { arguments, .. } = &mut kind {
        store = Some(with_store(arguments, &directory.join("store"), None)?);
    }
    let port = broker::free_port()?;
    broker::prepare(&kind, directory, port)?;
    let running = broker::start(&kind, directory, port)?;
    let address = running.address;
    let state = || start_up::bytes_under(&directory.join("data/state")) as f64;
    let resident =
        || process::resident_bytes(running.pid()).map_or(f64::NAN, |(now, _)| now as f64);
    let (state_before, resident_before) = (state(), resident());
    let count = size.wide_partitions;
    let cpu_s = || process::cpu_seconds(running.pid()).unwrap_or(f64::NAN);
    figures.insert("wide10k_create_s", partitions::create(address, WIDE, count)?);
    partitions::metadata_each_second(address, WIDE, count, SETTLE_S)?;
    let before_s = cpu_s();
    partitions::metadata_each_second(address, WIDE, count, IDLE_S)?;
    figures.insert("wide10k_idle_cores", (cpu_s() - before_s) / IDLE_S as f64);
    figures.insert("wide10k_rss_mib", resident() / f64::from(1 << 20));
    figures
        .insert("wide10k_rss_kib_each", (resident() - resident_before) / f64::from(count) / 1024.0);
    let disk = || process::disk_of(directory).unwrap_or_default();
    let (disk_before, before_s) = (disk(), cpu_s());
    let outcome = open_loop(address, WIDE, count, size.tail_seconds, TAIL_RATE)?;
    let seen = disk().since(disk_before);
    figures.insert("wide10k_flushes_per_s", seen.flushes as f64 / outcome.seconds);
    figures.insert("wide10k_writes_per_s", seen.writes as f64 / outcome.seconds);
    figures.insert("wide10k_cores", (cpu_s() - before_s) / outcome.seconds);
    figures.insert("wide10k_p99_ms", outcome.latency_ns.value_at_quantile(0.99) as f64 / 1e6);
    figures.insert("wide10k_loaded_rss_mib", resident() / f64::from(1 << 20));
    if let Some((_, admin)) = store {
        // What holds all of it is the checkpoint behind the next one.
        let checkpoints = || Metrics::read(admin)?.value("holdfast_store_checkpoints_total");
        let (before, clock) = (checkpoints()?, Stopwatch::start());
        while checkpoints()? < before + CHECKPOINTS_WAIT && clock.seconds() < CHECKPOINT_WAIT_S {
            nap(Duration::from_millis(200));
        }
        figures.insert("state_bytes_per_partition", (state() - state_before) / f64::from(count));
    }
    running.stop_or_kill()?;
    fs::remove_dir_all(directory)?;
    Ok(())
}

fn raise_limits() -> Result<()> {
    raise_open_files();
    let now = fs::read_to_string(MAP_COUNT)?.trim().parse().unwrap_or(0);
    if now >= MAP_COUNT_MIN {
        return Ok(());
    }
    fs::write(MAP_COUNT, MAP_COUNT_MIN.to_string())
        .map_err(|error| Failed::Wrong(format!("{MAP_COUNT} cannot be raised ({error}): be root")))
}
