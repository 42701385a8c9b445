//! Real time, in one place.

use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// Nanoseconds since this was first asked.
#[expect(clippy::disallowed_methods, reason = "real processes are timed")]
pub fn monotonic_ns() -> u64 {
    static START: OnceLock<Instant> = OnceLock::new();
    let start = *START.get_or_init(Instant::now);
    u64::try_from(start.elapsed().as_nanos()).unwrap_or(u64::MAX)
}

/// Waits for another process, which offers no event to wait on.
#[expect(clippy::disallowed_methods, reason = "polling another process")]
pub fn nap(duration: Duration) {
    std::thread::sleep(duration);
}
