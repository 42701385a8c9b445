//! How long to wait before something is tried again: twice as long each time, up to a minute, and a
//! random part of it less, so that nodes that lost the same store do not come back at once.

use holdfast_base::{Rng, SplitMix64};
use std::time::Duration;

/// The first pause at its longest.
const FIRST_MS: u64 = 1_000;
/// The longest.
const LAST_MS: u64 = 60_000;

/// The pauses of one piece of work.
#[derive(Clone, Debug)]
pub struct Backoff {
    next_ms: u64,
}

impl Default for Backoff {
    fn default() -> Backoff {
        Backoff { next_ms: FIRST_MS }
    }
}

impl Backoff {
    /// The next pause: between half and all of what is due.
    pub fn next(&mut self, rng: &mut SplitMix64) -> Duration {
        let half_ms = self.next_ms / 2;
        let pause_ms = half_ms + rng.below(self.next_ms - half_ms + 1);
        self.next_ms = (self.next_ms * 2).min(LAST_MS);
        Duration::from_millis(pause_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_a_minute_and_differ() {
        let mut rng = SplitMix64::new(1);
        let mut backoff = Backoff::default();
        let mut due_ms = 1_000;
        for _ in 0..12 {
            let pause_ms = backoff.next(&mut rng).as_millis();
            assert!(pause_ms >= due_ms / 2 && pause_ms <= due_ms, "{pause_ms} of {due_ms}");
            due_ms = (due_ms * 2).min(60_000);
        }
        let pauses: std::collections::BTreeSet<_> =
            (0..20).map(|_| backoff.next(&mut rng)).collect();
        assert!(pauses.len() > 10, "{pauses:?}");
    }
}
