//! The command's own clock: the only place here that reads time or waits.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Counts from its making.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stopwatch(Instant);

impl Stopwatch {
    #[expect(clippy::disallowed_methods, reason = "an operator's command runs in real time")]
    pub(crate) fn start() -> Stopwatch {
        Stopwatch(Instant::now())
    }

    #[expect(clippy::disallowed_methods, reason = "an operator's command runs in real time")]
    pub(crate) fn elapsed(self) -> Duration {
        Instant::now().saturating_duration_since(self.0)
    }

    /// What is left of a limit.
    pub(crate) fn left_of(self, limit: Duration) -> Duration {
        limit.saturating_sub(self.elapsed())
    }
}

/// Milliseconds since 1970.
#[expect(clippy::disallowed_methods, reason = "records carry the producer's time")]
pub(crate) fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// Waits between two looks at something that cannot be waited for.
#[expect(clippy::disallowed_methods, reason = "polling a node: there is nothing to wait on")]
pub(crate) fn nap(time: Duration) {
    std::thread::sleep(time);
}
