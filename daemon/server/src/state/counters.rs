//! What is counted of the store of states, and what it said last when it failed.

use crate::metrics::Counter;
use crate::report::Code;
use std::sync::{Mutex, PoisonError};

/// Shared by who keeps states and who shows it.
#[derive(Default, Debug)]
pub struct StateCounters {
    /// Batches of changes written.
    pub writes: Counter,
    /// Bytes of their rows.
    pub written_bytes: Counter,
    /// Flushes that finished.
    pub flushes: Counter,
    /// Writes, flushes and openings that failed.
    pub failures: Counter,
    /// Times the store was thrown away and begun anew.
    pub rebuilds: Counter,
    failing: Mutex<Option<(Code, String)>>,
}

impl StateCounters {
    /// States are kept.
    pub fn succeeded(&self) {
        *self.lock() = None;
    }

    /// They are not, and why.
    pub fn failed(&self, code: Code, why: String) {
        self.failures.add(1);
        *self.lock() = Some((code, why));
    }

    /// What failed last, if nothing succeeded since: its code and the words for it.
    #[must_use]
    pub fn failing(&self) -> Option<(Code, String)> {
        self.lock().clone()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<(Code, String)>> {
        self.failing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
