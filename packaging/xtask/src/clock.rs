//! Real time, in one place.

use std::time::{Duration, Instant};

/// Time since a start.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Stopwatch(Instant);

impl Stopwatch {
    /// Starts now.
    #[expect(clippy::disallowed_methods, reason = "xtask times real programs")]
    pub(crate) fn start() -> Self {
        Self(Instant::now())
    }

    /// Time since the start.
    pub(crate) fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }
}

/// Waits for another process, which offers no event to wait on.
#[expect(clippy::disallowed_methods, reason = "polling another process")]
pub(crate) fn nap() {
    std::thread::sleep(Duration::from_millis(10));
}
