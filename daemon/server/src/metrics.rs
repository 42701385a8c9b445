//! What the daemon counts itself, where it sees it: at connections. Plain atomics, written without
//! order among each other; a page read while they move is right within a request or two.
//!
//! Names, types and units stand in [`table`]; what is not counted here (the log, shards, memory)
//! is asked of its owner when the page is read, in [`page`].

pub mod docs;
mod errors;
mod exposition;
mod page;
mod part_errors;
mod process;
pub mod table;

pub use errors::answer_error;
pub(crate) use page::role_text;
pub use page::{CONTENT_TYPE, render};
pub use part_errors::part_errors;

use holdfast_protocol::SUPPORTED;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// Upper bounds of the latency buckets, in ns: from a write to NVMe to a rebalance.
pub const BUCKETS_NS: [u64; 16] = [
    100_000,
    250_000,
    500_000,
    1_000_000,
    2_500_000,
    5_000_000,
    10_000_000,
    25_000_000,
    50_000_000,
    100_000_000,
    250_000_000,
    500_000_000,
    1_000_000_000,
    2_500_000_000,
    5_000_000_000,
    10_000_000_000,
];

/// A number that only grows.
#[derive(Default, Debug)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Adds to it.
    pub fn add(&self, more: u64) {
        self.0.fetch_add(more, Ordering::Relaxed);
    }

    /// What it has come to.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// How long something took, in buckets.
#[derive(Default, Debug)]
pub struct Histogram {
    /// By [`BUCKETS_NS`], each on its own; the last is above all bounds.
    counts: [AtomicU64; BUCKETS_NS.len() + 1],
    sum_ns: AtomicU64,
}

impl Histogram {
    /// Adds one.
    pub fn observe(&self, took: Duration) {
        let took_ns = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        let bucket = BUCKETS_NS.partition_point(|bound_ns| *bound_ns < took_ns);
        self.counts[bucket].fetch_add(1, Ordering::Relaxed);
        self.sum_ns.fetch_add(took_ns, Ordering::Relaxed);
    }

    /// How many.
    pub fn count(&self) -> u64 {
        self.counts.iter().map(|count| count.load(Ordering::Relaxed)).sum()
    }

    /// How many took at most each bound, then all; and the sum in ns.
    pub fn cumulative(&self) -> ([u64; BUCKETS_NS.len() + 1], u64) {
        let mut all = 0;
        let counts = std::array::from_fn(|bucket| {
            all += self.counts[bucket].load(Ordering::Relaxed);
            all
        });
        (counts, self.sum_ns.load(Ordering::Relaxed))
    }
}

/// What is counted of one API.
#[derive(Default, Debug)]
pub struct ApiMetrics {
    /// From the whole request to its answer, or its end.
    pub latency: Histogram,
    /// Requests that ended their connection.
    pub closed: Counter,
    /// Errors of answers as a whole and of their partitions, by Kafka's code. Locked for these only.
    errors: Mutex<BTreeMap<i16, u64>>,
}

impl ApiMetrics {
    /// Counts an error.
    pub fn error(&self, code: i16) {
        *self.errors.lock().unwrap_or_else(PoisonError::into_inner).entry(code).or_default() += 1;
    }

    /// All of them.
    pub fn errors(&self) -> BTreeMap<i16, u64> {
        self.errors.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Everything the daemon counts.
#[derive(Debug)]
pub struct Metrics {
    /// By place in `SUPPORTED`, and one for keys that are not there.
    apis: Vec<ApiMetrics>,
    /// Bytes of requests, with their length fields.
    pub received_bytes: Counter,
    /// Bytes of answers.
    pub sent_bytes: Counter,
    /// Connections that were served.
    pub connections_opened: Counter,
    /// Of these, how many have ended.
    pub connections_closed: Counter,
    /// Connections closed at once, because their address has as many as it may.
    pub refused_per_ip: Counter,
    /// How often all connections were taken and new ones had to wait.
    pub waits_for_connections: Counter,
    /// How often a connection could not be taken, for want of descriptors or memory.
    pub accept_failures: Counter,
    /// Times the configuration was read again and applied.
    pub reloads: Counter,
    /// Times it was refused.
    pub reloads_refused: Counter,
}

impl Default for Metrics {
    fn default() -> Metrics {
        let mut apis = Vec::new();
        apis.resize_with(SUPPORTED.len() + 1, ApiMetrics::default);
        Metrics {
            apis,
            received_bytes: Counter::default(),
            sent_bytes: Counter::default(),
            connections_opened: Counter::default(),
            connections_closed: Counter::default(),
            refused_per_ip: Counter::default(),
            waits_for_connections: Counter::default(),
            accept_failures: Counter::default(),
            reloads: Counter::default(),
            reloads_refused: Counter::default(),
        }
    }
}

impl Metrics {
    /// Of the API with this key.
    pub fn api(&self, key: i16) -> &ApiMetrics {
        let place = SUPPORTED.binary_search_by_key(&key, |row| row.api.key());
        &self.apis[place.unwrap_or(SUPPORTED.len())]
    }

    /// Produce requests that have ended so far.
    pub fn produced(&self) -> u64 {
        const PRODUCE: i16 = 0;
        self.api(PRODUCE).latency.count()
    }

    /// Every API by name; the last is for keys nobody serves.
    pub fn apis(&self) -> impl Iterator<Item = (String, &ApiMetrics)> {
        let names = SUPPORTED.iter().map(|row| format!("{:?}", row.api));
        names.chain(["unknown".to_owned()]).zip(&self.apis)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_belongs_to_its_bucket() {
        let histogram = Histogram::default();
        for took_ns in [1, 100_000, 100_001, 20_000_000_000] {
            histogram.observe(Duration::from_nanos(took_ns));
        }
        let (counts, sum_ns) = histogram.cumulative();
        assert_eq!((counts[0], counts[1], counts[15], counts[16]), (2, 3, 3, 4));
        assert_eq!(sum_ns, 20_000_200_002);
    }

    #[test]
    fn every_api_has_its_own_row_and_strangers_share_one() {
        let metrics = Metrics::default();
        for row in SUPPORTED {
            metrics.api(row.api.key()).closed.add(1);
        }
        metrics.api(9_999).closed.add(5);
        let counts: Vec<u64> = metrics.apis().map(|(_, api)| api.closed.get()).collect();
        assert_eq!(counts.len(), SUPPORTED.len() + 1);
        assert!(counts[..SUPPORTED.len()].iter().all(|count| *count == 1));
        assert_eq!(counts.last(), Some(&5));
    }
}
