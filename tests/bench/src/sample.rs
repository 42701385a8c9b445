//! One broker, one repetition: every measurement in a fixed order, as named figures.
//!
//! ```text
//! fresh directory ─▶ start ─▶ warm-up ─▶ produce ─▶ drain ─▶ linger 0 ─▶ paced ─▶ one record
//!   ─▶ idle connections ─▶ memory ─▶ kill -9 ─▶ start again ─▶ count what was acknowledged
//! ```
//! The warm-up is for the JVM's compiler and both allocators; it is in no figure.

use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use crate::broker::{self, Kind, Running};
use crate::client::{Client, Failed, Result};
use crate::clock::{Stopwatch, nap};
use crate::load::{self, Outcome, Pace, Plan};
use crate::process::{self, Disk};
use crate::{drain, end_to_end};

/// Figures by name; the names are the columns of the results.
pub type Figures = BTreeMap<&'static str, f64>;

/// Values of 1 KiB in all measurements.
const VALUE_BYTES: usize = 1_024;
/// Records of a full batch: with 1 KiB values, 124 KB.
const BATCH_RECORDS: usize = 119;
const PARTITIONS: i32 = 8;
const CONNECTIONS: usize = 2;
const IDLE_CONNECTIONS: usize = 1_000;
/// Partitions of the wide half of the partition comparison.
pub const WIDE_PARTITIONS: i32 = 2_000;
const WIDE_RATE: u64 = 4_000;

/// How much of each.
#[derive(Debug, Clone, Copy)]
pub struct Size {
    /// Bytes of values in the warm-up.
    pub warm_bytes: u64,
    /// Bytes of values in the produce measurement.
    pub produce_bytes: u64,
    /// Records per second of the paced measurement.
    pub paced_rate: u64,
    /// Its length.
    pub paced_seconds: u64,
    /// Records of the linger 0 measurement.
    pub linger0_records: u64,
    /// Records sent one at a time.
    pub end_to_end_records: u64,
    /// Length of each half of the partition comparison.
    pub wide_seconds: u64,
}

impl Size {
    /// What RESULTS.md is made of.
    pub const FULL: Self = Self {
        warm_bytes: 400_000_000,
        produce_bytes: 1_000_000_000,
        paced_rate: 20_000,
        paced_seconds: 10,
        linger0_records: 60_000,
        end_to_end_records: 4_000,
        wide_seconds: 5,
    };
    /// To see that everything runs.
    pub const QUICK: Self = Self {
        warm_bytes: 50_000_000,
        produce_bytes: 150_000_000,
        paced_rate: 20_000,
        paced_seconds: 2,
        linger0_records: 10_000,
        end_to_end_records: 500,
        wide_seconds: 2,
    };
}

/// Runs all of it for `kind` below `directory`, which is emptied before and after.
pub fn run(kind: &Kind, directory: &Path, size: Size) -> Result<Figures> {
    let _ = fs::remove_dir_all(directory);
    let port = broker::free_port()?;
    broker::prepare(kind, directory, port)?;
    let disk_before = disk(directory);
    let mut figures = Figures::new();
    let running = broker::start(kind, directory, port)?;
    figures.insert("start_s", running.start_seconds);
    warm_up(&running, size)?;
    let acknowledged = produce(&running, directory, size, &mut figures)?;
    drain_all(&running, acknowledged, &mut figures)?;
    linger0(&running, size, &mut figures)?;
    paced(&running, directory, size, &mut figures)?;
    one_record(&running, size, &mut figures)?;
    memory(&running, directory, &mut figures);
    idle_connections(&running, &mut figures)?;
    running.kill()?;
    let running = restart(kind, directory, port, acknowledged, &mut figures)?;
    partitions(&running, directory, size, &mut figures)?;
    running.stop()?;
    let written = disk(directory).since(disk_before).written_bytes;
    figures.insert("device_written_gb", written as f64 / 1e9);
    fs::remove_dir_all(directory)?;
    Ok(figures)
}

fn disk(directory: &Path) -> Disk {
    process::disk_of(directory).unwrap_or_default()
}

fn plan(topic: &str, records: u64, batch_records_max: usize, pace: Pace) -> Plan {
    Plan {
        topic: topic.into(),
        partitions: PARTITIONS,
        connections: CONNECTIONS,
        in_flight: 5,
        batch_records_max,
        value_bytes: VALUE_BYTES,
        records,
        pace,
    }
}

fn new_topic(address: SocketAddr, topic: &str, partitions: i32) -> Result<()> {
    Client::connect(address)?.create_topic_and_wait(topic, partitions)
}

/// What a broker's process and its disk did during `work`.
struct Cost {
    outcome: Outcome,
    cpu_s: f64,
    disk: Disk,
}

fn costed(running: &Running, directory: &Path, plan: &Plan) -> Result<Cost> {
    let cpu = || process::cpu_seconds(running.pid()).unwrap_or(f64::NAN);
    let (cpu_before, disk_before) = (cpu(), disk(directory));
    let outcome = load::run(running.address, plan)?;
    Ok(Cost { outcome, cpu_s: cpu() - cpu_before, disk: disk(directory).since(disk_before) })
}

fn warm_up(running: &Running, size: Size) -> Result<()> {
    new_topic(running.address, "warm", PARTITIONS)?;
    let records = size.warm_bytes / VALUE_BYTES as u64;
    load::run(running.address, &plan("warm", records, BATCH_RECORDS, Pace::Saturate))?;
    let interval_ns = 1_000_000_000 / size.paced_rate;
    let mut paced = plan("warm", size.paced_rate * 3, 64, Pace::Open { interval_ns });
    paced.in_flight = 1;
    load::run(running.address, &paced)?;
    drain::run(running.address, "warm", PARTITIONS, CONNECTIONS, false)?;
    end_to_end::run(running.address, "warm", 200, VALUE_BYTES)?;
    Ok(())
}

fn produce(running: &Running, directory: &Path, size: Size, figures: &mut Figures) -> Result<u64> {
    new_topic(running.address, "bench", PARTITIONS)?;
    let records = size.produce_bytes / VALUE_BYTES as u64;
    let plan = plan("bench", records, BATCH_RECORDS, Pace::Saturate);
    let Cost { outcome, cpu_s, disk } = costed(running, directory, &plan)?;
    let gb = outcome.payload_bytes as f64 / 1e9;
    figures.insert("produce_mb_s", gb * 1e3 / outcome.seconds);
    figures.insert("produce_cpu_s_per_gb", cpu_s / gb);
    figures.insert("produce_generator_cpu_s_per_gb", outcome.own_cpu_seconds / gb);
    figures.insert("produce_device_bytes_per_byte", disk.written_bytes as f64 / 1e9 / gb);
    latency("produce", &outcome, figures);
    Ok(outcome.records)
}

fn latency(prefix: &str, outcome: &Outcome, figures: &mut Figures) {
    let names = match prefix {
        "produce" => ["produce_p50_ms", "produce_p99_ms", "produce_p999_ms"],
        _ => ["paced_p50_ms", "paced_p99_ms", "paced_p999_ms"],
    };
    for (name, quantile) in names.into_iter().zip([0.5, 0.99, 0.999]) {
        figures.insert(name, outcome.latency_ns.value_at_quantile(quantile) as f64 / 1e6);
    }
}

fn drain_all(running: &Running, acknowledged: u64, figures: &mut Figures) -> Result<()> {
    let cpu = || process::cpu_seconds(running.pid()).unwrap_or(f64::NAN);
    let before = cpu();
    let outcome = drain::run(running.address, "bench", PARTITIONS, CONNECTIONS, false)?;
    let gb = outcome.bytes as f64 / 1e9;
    figures.insert("drain_mb_s", gb * 1e3 / outcome.seconds);
    figures.insert("drain_cpu_s_per_gb", (cpu() - before) / gb);
    figures.insert("drain_generator_cpu_s_per_gb", outcome.own_cpu_seconds / gb);
    if outcome.records == acknowledged {
        return Ok(());
    }
    Err(Failed::Wrong(format!(
        "{acknowledged} records were acknowledged and {} came back",
        outcome.records
    )))
}

fn linger0(running: &Running, size: Size, figures: &mut Figures) -> Result<()> {
    new_topic(running.address, "linger0", PARTITIONS)?;
    let outcome =
        load::run(running.address, &plan("linger0", size.linger0_records, 1, Pace::Saturate))?;
    figures.insert("linger0_krec_s", outcome.records as f64 / 1e3 / outcome.seconds);
    Ok(())
}

fn paced(running: &Running, directory: &Path, size: Size, figures: &mut Figures) -> Result<()> {
    new_topic(running.address, "paced", PARTITIONS)?;
    let interval_ns = 1_000_000_000 / size.paced_rate;
    let records = size.paced_rate * size.paced_seconds;
    let mut plan = plan("paced", records, 64, Pace::Open { interval_ns });
    plan.in_flight = 1;
    let Cost { outcome, cpu_s, disk } = costed(running, directory, &plan)?;
    latency("paced", &outcome, figures);
    figures.insert("paced_records_per_request", outcome.records as f64 / outcome.requests as f64);
    figures.insert("paced_cpu_cores", cpu_s / outcome.seconds);
    figures.insert("paced_generator_cpu_cores", outcome.own_cpu_seconds / outcome.seconds);
    figures.insert("paced_writes_per_s", disk.writes as f64 / outcome.seconds);
    figures.insert("paced_flushes_per_s", disk.flushes as f64 / outcome.seconds);
    Ok(())
}

fn one_record(running: &Running, size: Size, figures: &mut Figures) -> Result<()> {
    new_topic(running.address, "single", 1)?;
    let latency = end_to_end::run(running.address, "single", size.end_to_end_records, VALUE_BYTES)?;
    figures.insert("e2e_p50_ms", latency.value_at_quantile(0.5) as f64 / 1e6);
    figures.insert("e2e_p99_ms", latency.value_at_quantile(0.99) as f64 / 1e6);
    Ok(())
}

fn memory(running: &Running, directory: &Path, figures: &mut Figures) {
    let (resident, most) = process::resident_bytes(running.pid()).unwrap_or((0, 0));
    let cached = process::page_cache_bytes(directory).unwrap_or(0);
    figures.insert("rss_mib", resident as f64 / f64::from(1 << 20));
    figures.insert("rss_max_mib", most as f64 / f64::from(1 << 20));
    figures.insert("rss_and_cache_mib", (resident + cached) as f64 / f64::from(1 << 20));
}

fn idle_connections(running: &Running, figures: &mut Figures) -> Result<()> {
    raise_open_files();
    let resident = || process::resident_bytes(running.pid()).map_or(0.0, |(now, _)| now as f64);
    let before = resident();
    let mut connections = Vec::new();
    for _ in 0..IDLE_CONNECTIONS {
        let mut client = Client::connect(running.address)?;
        client.api_versions()?;
        connections.push(client);
    }
    let per_connection = (resident() - before) / IDLE_CONNECTIONS as f64 / 1024.0;
    figures.insert("idle_connection_kib", per_connection);
    Ok(())
}

/// Lifts the soft limit of open files to the hard one.
pub fn raise_open_files() {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    if let Ok((_, hard)) = getrlimit(Resource::RLIMIT_NOFILE) {
        let _ = setrlimit(Resource::RLIMIT_NOFILE, hard, hard);
    }
}

/// Starts again after `kill -9`; every partition served is the end of the clock.
fn restart(
    kind: &Kind,
    directory: &Path,
    port: u16,
    acknowledged: u64,
    figures: &mut Figures,
) -> Result<Running> {
    let clock = Stopwatch::start();
    let running = broker::start(kind, directory, port)?;
    figures.insert("restart_first_answer_s", running.start_seconds);
    let mut client = Client::connect(running.address)?;
    let mut end = 0;
    for partition in 0..PARTITIONS {
        loop {
            match client.end_offset("bench", partition) {
                Ok(offset) => break end += offset as u64,
                Err(Failed::Code { .. }) if clock.seconds() < 120.0 => {
                    nap(Duration::from_millis(1));
                }
                Err(error) => return Err(error),
            }
        }
    }
    figures.insert("restart_served_s", clock.seconds());
    figures.insert("lost_after_kill", acknowledged as f64 - end as f64);
    Ok(running)
}

/// The same load on one partition and on many: what does the disk see?
fn partitions(
    running: &Running,
    directory: &Path,
    size: Size,
    figures: &mut Figures,
) -> Result<()> {
    let names = [
        ("narrow", 1, ["narrow_writes_per_s", "narrow_flushes_per_s", "narrow_p99_ms"]),
        ("wide", WIDE_PARTITIONS, ["wide_writes_per_s", "wide_flushes_per_s", "wide_p99_ms"]),
    ];
    for (topic, partitions, [writes, flushes, p99]) in names {
        new_topic(running.address, topic, partitions)?;
        let interval_ns = 1_000_000_000 / WIDE_RATE;
        let records = WIDE_RATE * size.wide_seconds;
        let mut plan = plan(topic, records, 64, Pace::Open { interval_ns });
        plan.partitions = partitions;
        plan.connections = 1;
        plan.in_flight = 1;
        let Cost { outcome, disk, .. } = costed(running, directory, &plan)?;
        figures.insert(writes, disk.writes as f64 / outcome.seconds);
        figures.insert(flushes, disk.flushes as f64 / outcome.seconds);
        figures.insert(p99, outcome.latency_ns.value_at_quantile(0.99) as f64 / 1e6);
    }
    Ok(())
}
