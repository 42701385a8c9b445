//! A node's two clocks, made from simulated time.
//!
//! ```text
//! boottime = (simulated time - switched on) * (1 + drift)     never goes back; what leases use
//! wall     =  simulated time + 2026-01-01 + skew              jumps; what records carry
//! ```
//!
//! Invariant: within one switching-on boottime never falls, whatever the wall does.

use holdfast_base::Now;

/// Wall time at simulated time 0, so that no timestamp is near 0.
const WALL_START_MS: i64 = 1_767_225_600_000;
const MILLION: i128 = 1_000_000;

/// See the module.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NodeClock {
    /// Simulated time at which the machine was switched on; may lie before 0.
    pub(crate) on_at_ns: i128,
    /// Crystals differ by this much.
    pub(crate) drift_per_million: i64,
    /// How far the wall clock is off.
    pub(crate) wall_skew_ms: i64,
}

impl NodeClock {
    /// Both clocks at a simulated time.
    pub(crate) fn now(&self, sim_ns: u64) -> Now {
        let since = i128::from(sim_ns) - self.on_at_ns;
        let boottime = since + since * i128::from(self.drift_per_million) / MILLION;
        Now {
            boottime_ns: u64::try_from(boottime).unwrap_or(0),
            wall_ms: wall_ms(sim_ns) + self.wall_skew_ms,
        }
    }

    /// The first simulated time at which boottime has reached `boottime_ns`.
    pub(crate) fn sim_time_of(&self, boottime_ns: u64) -> u64 {
        if boottime_ns == u64::MAX {
            return u64::MAX;
        }
        let scale = MILLION + i128::from(self.drift_per_million);
        let since = (i128::from(boottime_ns) * MILLION + scale - 1) / scale;
        // Rounding may leave it one nanosecond short.
        u64::try_from(self.on_at_ns + since + 1).unwrap_or(0)
    }
}

/// What a clock without error shows.
pub(crate) fn wall_ms(sim_ns: u64) -> i64 {
    WALL_START_MS + i64::try_from(sim_ns / 1_000_000).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wake_up_is_never_early() {
        for drift_per_million in [-200, 0, 37, 200] {
            let clock = NodeClock { on_at_ns: -5_000_000_007, drift_per_million, wall_skew_ms: 0 };
            for boottime_ns in [6_000_000_000, 6_000_000_001, 90_123_456_789] {
                let at = clock.sim_time_of(boottime_ns);
                assert!(clock.now(at).boottime_ns >= boottime_ns);
                assert!(clock.now(at - 3).boottime_ns < boottime_ns + 2);
            }
        }
    }
}
