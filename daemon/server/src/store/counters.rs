//! What is counted of the store, and what it said last when it failed.

use crate::metrics::Counter;
use holdfast_base::Now;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// Shared by who uses the store and who shows it.
#[derive(Default, Debug)]
pub struct StoreCounters {
    /// Objects put and read back.
    pub uploads: Counter,
    /// Their bytes.
    pub uploaded_bytes: Counter,
    /// Attempts that failed.
    pub upload_failures: Counter,
    /// Objects the log could not be read for: they are cut anew.
    pub uploads_given_up: Counter,
    /// Objects made of others, put and read back.
    pub merges: Counter,
    /// Their bytes.
    pub merged_bytes: Counter,
    /// Attempts that failed.
    pub merge_failures: Counter,
    /// Merges of a source that was damaged, or gone.
    pub merges_given_up: Counter,
    /// Objects read whole to know that they are as they were written.
    pub checks: Counter,
    /// Their bytes.
    pub checked_bytes: Counter,
    /// Objects that were not.
    pub wrong_objects: Counter,
    /// Attempts that failed.
    pub check_failures: Counter,
    /// Objects made again from the log.
    pub repairs: Counter,
    /// Attempts that failed.
    pub repair_failures: Counter,
    /// Objects deleted.
    pub deletions: Counter,
    /// Attempts that failed.
    pub deletion_failures: Counter,
    /// Checkpoints kept.
    pub checkpoints: Counter,
    /// Attempts that failed.
    pub checkpoint_failures: Counter,
    /// Ranged GETs for consumers, read-ahead included.
    pub reads: Counter,
    /// Bytes these brought.
    pub read_bytes: Counter,
    /// Those that failed, or brought wrong bytes.
    pub read_failures: Counter,
    /// Reads that brought other bytes than were written.
    pub wrong_reads: Counter,
    /// Blocks that were in the cache.
    pub cache_hits: Counter,
    /// Blocks that were not.
    pub cache_misses: Counter,
    /// Held by the cache now.
    cached_bytes: AtomicU64,
    /// Boottime of the last success; 0 for none.
    last_success_ns: AtomicU64,
    /// What failed last, until something succeeds.
    failing: Mutex<Option<String>>,
    /// The last object that stayed wrong however often it was read, since the start.
    wrong_object: Mutex<Option<String>>,
}

impl StoreCounters {
    /// The store did something.
    pub fn succeeded(&self, now: Now) {
        self.last_success_ns.store(now.boottime_ns, Ordering::Relaxed);
        *self.failing.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// It did not.
    pub fn failed(&self, why: String) {
        *self.failing.lock().unwrap_or_else(PoisonError::into_inner) = Some(why);
    }

    /// Bytes of the store stay wrong; `what` says of which object, and where.
    pub fn found_wrong(&self, what: String) {
        *self.wrong_object.lock().unwrap_or_else(PoisonError::into_inner) = Some(what);
    }

    /// See [`StoreCounters::found_wrong`].
    #[must_use]
    pub fn wrong_object(&self) -> Option<String> {
        self.wrong_object.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What the cache holds now.
    pub fn set_cached_bytes(&self, bytes: u64) {
        self.cached_bytes.store(bytes, Ordering::Relaxed);
    }

    /// See [`StoreCounters::set_cached_bytes`].
    #[must_use]
    pub fn cached_bytes(&self) -> u64 {
        self.cached_bytes.load(Ordering::Relaxed)
    }

    /// How long ago the last success was; `None` if there was none.
    #[must_use]
    pub fn since_success(&self, now: Now) -> Option<Duration> {
        match self.last_success_ns.load(Ordering::Relaxed) {
            0 => None,
            at_ns => Some(Duration::from_nanos(now.boottime_ns.saturating_sub(at_ns))),
        }
    }

    /// What failed last, if nothing succeeded since.
    #[must_use]
    pub fn failing(&self) -> Option<String> {
        self.failing.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_success_ends_a_failure_and_its_age_grows() {
        let at = |boottime_ns| Now { boottime_ns, wall_ms: 0 };
        let counters = StoreCounters::default();
        assert_eq!((counters.since_success(at(5)), counters.failing()), (None, None));
        counters.failed("away".to_owned());
        assert_eq!(counters.failing().as_deref(), Some("away"));
        counters.succeeded(at(7));
        assert_eq!(counters.failing(), None);
        assert_eq!(counters.since_success(at(9)), Some(Duration::from_nanos(2)));
    }
}
