//! Positions only grow.
//!
//! ```text
//! shard:      trimmed <= min(uploaded, checkpointed)
//!             uploaded <= applied
//!             checkpointed <= applied <= min(committed, durable)
//! partition:  log_start <= high_watermark <= log_end
//!             uploaded_end <= high_watermark
//!             last_stable  <= high_watermark
//! ```
//!
//! `durable` is what this node's WAL has flushed. Without an object store `uploaded` and `trimmed`
//! stay 0. Each position is a field of its owner (the WAL, the driver, a partition), which
//! asserts its own inequality where it moves it.

use std::fmt;

/// A Raft term. 0 means "none yet".
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Term(pub u64);

/// A place in a shard's log, starting at 1. 0 means "before the first entry".
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Index(pub u64);

impl Index {
    /// The entry after this one.
    #[must_use]
    pub fn next(self) -> Index {
        Index(self.0 + 1)
    }
}

impl fmt::Display for Term {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for Index {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
