//! The client that must not notice anything.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use holdfast_bench::batch;
use holdfast_bench::client::{Client, FetchFrom, FetchLimits};
use holdfast_bench::clock::{Stopwatch, nap, unix_ms};
use holdfast_bench::load::value_of;

use crate::Result;

const TOPIC: &str = "honest";
/// Between two records: the client must not be a load of its own.
const REST: Duration = Duration::from_millis(5);

/// What it saw.
#[derive(Debug, Clone, Copy)]
pub(crate) struct End {
    /// Records there and back.
    pub(crate) records: u64,
    /// The slowest of them.
    pub(crate) longest_s: f64,
}

/// A running honest client.
pub(crate) struct Honest {
    records: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Result<End>>,
}

impl Honest {
    pub(crate) fn start(address: SocketAddr) -> Result<Self> {
        let mut client = Client::connect(address).map_err(|error| error.to_string())?;
        client.create_topic_and_wait(TOPIC, 1).map_err(|error| error.to_string())?;
        let records = Arc::new(AtomicU64::new(0));
        let stop = Arc::new(AtomicBool::new(false));
        let (counted, stopped) = (Arc::clone(&records), Arc::clone(&stop));
        let thread = std::thread::spawn(move || go_on(&mut client, &counted, &stopped));
        Ok(Self { records, stop, thread })
    }

    /// Records there and back so far.
    pub(crate) fn records(&self) -> u64 {
        self.records.load(Ordering::Relaxed)
    }

    /// Waits until it has done `records`, or has met a fault (which `end` tells).
    pub(crate) fn wait_for(&self, records: u64) {
        while self.records() < records && !self.thread.is_finished() {
            nap(REST);
        }
    }

    /// Stops it; its fault if it met one.
    pub(crate) fn end(self) -> Result<End> {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().unwrap_or_else(|_| Err("the honest client panicked".into()))
    }
}

fn go_on(client: &mut Client, records: &AtomicU64, stop: &AtomicBool) -> Result<End> {
    let mut longest_s = 0f64;
    let limits = FetchLimits { wait_ms: 1_000, min_bytes: 1, partition_bytes: 1 << 20 };
    while !stop.load(Ordering::Relaxed) {
        let done = records.load(Ordering::Relaxed);
        let value = value_of(200, done + 1);
        let batch = batch::build([value.as_slice()], unix_ms());
        let clock = Stopwatch::start();
        let appended = client.produce(TOPIC, 0, &batch).map_err(|error| error.to_string())?;
        let from = FetchFrom { partition: 0, offset: appended.base_offset };
        let fetched = client.fetch(TOPIC, from, limits).map_err(|error| error.to_string())?;
        longest_s = longest_s.max(clock.seconds());
        let values = batch::values(&fetched)?;
        if values.first() != Some(&(appended.base_offset, value)) {
            return Err(format!("offset {} is not what was produced", appended.base_offset));
        }
        records.store(done + 1, Ordering::Relaxed);
        nap(REST);
    }
    Ok(End { records: records.load(Ordering::Relaxed), longest_s })
}
