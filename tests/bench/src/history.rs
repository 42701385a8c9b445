//! History: what a broker does with records that no longer lie where they were written.
//!
//! ```text
//! cold      fill ─▶ filler, so that the log holds nothing of it ─▶ caches dropped ─▶ read from offset 0
//!           ─▶ the same objects by the store's plain client ─▶ tail p99 alone ─▶ and beside that reader
//! start-up  fill to 0.1, 1, 10 GB ─▶ stop, start ─▶ kill -9, start
//! wide      10,000 partitions ─▶ idle ─▶ 4,000 rec/s
//! ```
//! The store is a directory (`file://`) and VersityGW over a directory, both on the measured disk. The
//! page cache is dropped with `/proc/sys/vm/drop_caches`, so this part runs as root.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use crate::client::{Client, Failed, Result};
use crate::clock::{Stopwatch, nap};
use crate::load::{self, Outcome, Pace, Plan};

pub mod cold;
pub mod gateway;
pub mod plain;
pub mod start_up;
pub mod wide;

const VALUE_BYTES: usize = 1_024;
const BATCH_RECORDS: usize = 119;
const PARTITIONS: i32 = 8;
const CONNECTIONS: usize = 2;
/// Small, so that history leaves it soon.
const WAL_BYTES: u64 = 1 << 30;
/// What is written between two looks at the log's room.
const STEP_BYTES: u64 = 32_000_000;
/// Room for a step and what a segment's end wastes.
const ROOM_BYTES: f64 = 400_000_000.0;
/// The node tells its room once a second: what was written since is not in it.
const METRIC_AGE_S: f64 = 3.0;
/// Uploads that have not caught up by then will not.
const UPLOAD_WAIT_S: f64 = 180.0;

/// How much of each.
#[derive(Debug, Clone, Copy)]
pub struct Size {
    /// Bytes of values in the cold topic.
    pub cold_bytes: u64,
    /// Bytes of values written behind it, more than the log holds.
    pub filler_bytes: u64,
    /// Seconds of each open loop.
    pub tail_seconds: u64,
    /// Bytes kept at each start.
    pub kept_bytes: [u64; 3],
    /// Partitions of the wide topic.
    pub wide_partitions: i32,
}

impl Size {
    /// What RESULTS.md is made of.
    pub const FULL: Self = Self {
        cold_bytes: 3_000_000_000,
        filler_bytes: 1_200_000_000,
        tail_seconds: 8,
        kept_bytes: [100_000_000, 1_000_000_000, 10_000_000_000],
        wide_partitions: 10_000,
    };
    /// To see that everything runs.
    pub const QUICK: Self = Self {
        cold_bytes: 400_000_000,
        filler_bytes: 1_200_000_000,
        tail_seconds: 3,
        kept_bytes: [50_000_000, 100_000_000, 300_000_000],
        wide_partitions: 500,
    };
}

fn plan(topic: &str, partitions: i32, bytes: u64) -> Plan {
    Plan {
        topic: topic.into(),
        partitions,
        connections: CONNECTIONS,
        in_flight: 5,
        batch_records_max: BATCH_RECORDS,
        value_bytes: VALUE_BYTES,
        records: bytes / VALUE_BYTES as u64,
        pace: Pace::Saturate,
    }
}

/// Writes `bytes` of values to a topic, which is made if missing.
fn fill(address: SocketAddr, topic: &str, bytes: u64) -> Result<Outcome> {
    let mut client = Client::connect(address)?;
    if client.partitions(topic).is_err() {
        client.create_topic_and_wait(topic, PARTITIONS)?;
    }
    load::run(address, &plan(topic, PARTITIONS, bytes))
}

/// Writes `bytes` of values as fast as the store takes them: a log without room refuses a producer
/// that does not wait, so this one looks at the room between two steps. MB/s, and what was written.
fn fill_as_uploads_allow(
    address: SocketAddr,
    admin: SocketAddr,
    topic: &str,
    bytes: u64,
) -> Result<(f64, Filled)> {
    let clock = Stopwatch::start();
    let mut filled = Filled::default();
    let mut steps: Vec<(f64, u64)> = Vec::new();
    while filled.payload_bytes < bytes {
        let left = (bytes - filled.payload_bytes).max(1 << 20);
        let step = fill(address, topic, STEP_BYTES.min(left)).map_err(|error| {
            Failed::Wrong(format!("{topic}, after {} bytes: {error}", filled.payload_bytes))
        })?;
        filled.payload_bytes += step.payload_bytes;
        filled.records += step.records;
        steps.push((clock.seconds(), step.payload_bytes));
        let wait = Stopwatch::start();
        loop {
            let free = Metrics::read(admin)?.value("holdfast_wal_free_bytes")?;
            steps.retain(|(at, _)| clock.seconds() - at < METRIC_AGE_S);
            let unseen: u64 = steps.iter().map(|(_, bytes)| bytes).sum();
            if free - unseen as f64 > ROOM_BYTES {
                break;
            }
            if wait.seconds() > UPLOAD_WAIT_S {
                return Err(Failed::Wrong("the log has no room and gets none".into()));
            }
            nap(Duration::from_millis(10));
        }
    }
    Ok((filled.payload_bytes as f64 / 1e6 / clock.seconds(), filled))
}

/// What was written.
#[derive(Debug, Default, Clone, Copy)]
struct Filled {
    payload_bytes: u64,
    records: u64,
}

/// Records at a fixed rate; latency from when each was due.
fn open_loop(
    address: SocketAddr,
    topic: &str,
    partitions: i32,
    seconds: u64,
    rate: u64,
) -> Result<Outcome> {
    let mut plan = plan(topic, partitions, 0);
    plan.connections = 1;
    plan.in_flight = 1;
    plan.batch_records_max = 64;
    plan.records = rate * seconds;
    plan.pace = Pace::Open { interval_ns: 1_000_000_000 / rate };
    load::run(address, &plan)
}

/// Empties the page cache of the whole machine.
fn drop_caches() -> Result<()> {
    nix::unistd::sync();
    fs::write("/proc/sys/vm/drop_caches", "3").map_err(|error| {
        let why = format!("the page cache cannot be dropped ({error}): run the bench as root");
        Failed::Wrong(why)
    })
}

/// A node's metrics, by name, labels added up.
#[derive(Debug)]
struct Metrics(String);

impl Metrics {
    fn read(admin: SocketAddr) -> Result<Self> {
        let mut stream = TcpStream::connect(admin)?;
        stream.set_read_timeout(Some(Duration::from_secs(10)))?;
        stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")?;
        let mut text = String::new();
        stream.read_to_string(&mut text)?;
        Ok(Self(text))
    }

    fn value(&self, name: &str) -> Result<f64> {
        let mut values = self.0.lines().filter_map(|line| {
            let rest = line.strip_prefix(name)?;
            let is_this = rest.starts_with([' ', '{']);
            rest.rsplit_once(' ').filter(|_| is_this)?.1.parse::<f64>().ok()
        });
        let first = values.next();
        first
            .map(|first| first + values.sum::<f64>())
            .ok_or_else(|| Failed::Wrong(format!("the node has no metric {name}")))
    }
}

/// Waits until everything committed lies in objects.
fn wait_uploaded(admin: SocketAddr) -> Result<()> {
    nap(Duration::from_secs_f64(METRIC_AGE_S));
    let clock = Stopwatch::start();
    loop {
        let waiting = Metrics::read(admin)?.value("holdfast_store_waiting_bytes")?;
        if waiting < 1.0 {
            return Ok(());
        }
        if clock.seconds() > UPLOAD_WAIT_S {
            let why = format!("{waiting} bytes are in no object after {UPLOAD_WAIT_S} s");
            return Err(Failed::Wrong(why));
        }
        nap(Duration::from_millis(50));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metrics_add_up_labels_and_are_not_taken_for_longer_names() {
        let metrics = Metrics("# a_total x\na_total{k=\"1\"} 2\na_total{k=\"2\"} 3\na 7\n".into());
        assert!((metrics.value("a_total").unwrap() - 5.0).abs() < 1e-9);
        assert!((metrics.value("a").unwrap() - 7.0).abs() < 1e-9);
        assert!(metrics.value("b").is_err());
    }
}
