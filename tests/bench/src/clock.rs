//! Real time, in one place: the rest of the generator takes nanoseconds as numbers.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Time since a start, on the monotonic clock.
#[derive(Debug, Clone, Copy)]
pub struct Stopwatch(Instant);

impl Stopwatch {
    /// Starts now.
    #[expect(clippy::disallowed_methods, reason = "a load generator measures real time")]
    pub fn start() -> Self {
        Self(Instant::now())
    }

    /// Nanoseconds since the start.
    pub fn ns(&self) -> u64 {
        self.0.elapsed().as_nanos() as u64
    }

    /// Seconds since the start.
    pub fn seconds(&self) -> f64 {
        self.0.elapsed().as_secs_f64()
    }
}

/// Milliseconds since 1970, for record timestamps.
#[expect(clippy::disallowed_methods, reason = "records carry the wall clock")]
pub fn unix_ms() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as i64)
}

/// Waits outside any measured path (polling for a process or a topic).
#[expect(
    clippy::disallowed_methods,
    reason = "waiting for another process has no event to wait on"
)]
pub fn nap(time: Duration) {
    std::thread::sleep(time);
}
