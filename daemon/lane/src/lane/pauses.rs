//! Time in which the lane stood still: the process was stopped, the host was suspended, a turn hung.
//!
//! ```text
//! last call or turn ── due ──────────── called again
//!        └──────── a pause, if this late ─────┘      groups' time = time - all pauses
//! ```
//!
//! Why: heartbeats that came meanwhile lie in sockets, behind a clock that says that every session
//! is over. For coordinators of groups such time does not pass, so that a member has as much of its
//! session left as when the lane was last seen, and the heartbeats are read first.
//!
//! Caveat: a member that died during a pause is missed that much later.

use holdfast_base::Now;

/// The lane's next turn this late is a pause. Shorter than the shortest session anyone sets (6 s is
/// Kafka's minimum), longer than a busy machine lets a thread wait.
const PAUSE_NS: u64 = 1_000_000_000;

/// All pauses so far.
#[derive(Debug, Default)]
pub(super) struct Pauses {
    /// When the next turn is due although nothing arrives, on the lane's clock.
    pub(super) next_turn_ns: u64,
    total_ns: u64,
}

impl Pauses {
    /// The lane is called at `now` after it was at `last`. How long it stood still, if it did.
    pub(super) fn note(&mut self, last: Now, now: Now) -> Option<u64> {
        let due_ns = self.next_turn_ns.max(last.boottime_ns);
        if now.boottime_ns <= due_ns.saturating_add(PAUSE_NS) {
            return None;
        }
        // From the last sign of life: when in between it stopped is not known.
        let paused_ns = now.boottime_ns - last.boottime_ns;
        self.total_ns += paused_ns;
        Some(paused_ns)
    }

    /// The time as coordinators of groups have it.
    pub(super) fn without(&self, now: Now) -> Now {
        Now { boottime_ns: now.boottime_ns.saturating_sub(self.total_ns), ..now }
    }

    /// A deadline of a coordinator on the lane's clock.
    pub(super) fn with(&self, deadline_ns: u64) -> u64 {
        deadline_ns.saturating_add(self.total_ns)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Now {
        Now { boottime_ns: ms * 1_000_000, wall_ms: 0 }
    }

    #[test]
    fn only_a_turn_that_comes_late_is_a_pause() {
        let mut pauses = Pauses { next_turn_ns: at(5_000).boottime_ns, ..Pauses::default() };
        assert_eq!(pauses.note(at(0), at(4_999)), None, "it slept");
        assert_eq!(pauses.note(at(0), at(6_000)), None, "a little late");
        assert_eq!(pauses.note(at(6_000), at(7_000)), None, "a call between turns");
        let paused = pauses.note(at(7_000), at(27_000));
        assert_eq!(paused, Some(20_000_000_000));
        assert_eq!(pauses.note(at(27_000), at(27_000)), None, "counted once");
        assert_eq!(pauses.without(at(30_000)), at(10_000));
        assert_eq!(pauses.with(at(10_000).boottime_ns), at(30_000).boottime_ns);
        assert_eq!(pauses.with(u64::MAX), u64::MAX, "never stays never");
    }

    #[test]
    fn a_lane_that_waits_for_nothing_is_never_late() {
        let mut pauses = Pauses { next_turn_ns: u64::MAX, ..Pauses::default() };
        assert_eq!(pauses.note(at(0), at(1_000_000)), None);
    }
}
