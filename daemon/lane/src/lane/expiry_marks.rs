//! When something silent may be forgotten: an idempotent producer, a committed offset.
//!
//! `producer.id.expiration.ms` and `offsets.retention.minutes` are times that have *passed*, so they
//! are counted on the clock that cannot jump. Entry time follows the wall: had a producer been
//! judged by it, a wall clock set forward by a day would forget every producer, and the retry of an
//! acknowledged batch would be written a second time; set forward by a week, every offset of an
//! idle group.
//!
//! ```text
//! boottime   │ mark (t0, entry time) ......... mark ......... mark ....... now
//!            │ └──────── at least the period ───────────────────────────────┘
//!            └▶ what was not seen since the entry time of the newest mark that old may go
//! ```
//!
//! Caveat: a new leader starts counting anew, so what is silent stays up to a period longer.

use std::collections::VecDeque;

/// Marks are this far apart: 144 of them a day, and what expires goes at most so much late.
const MARK_EVERY_NS: u64 = 600 * 1_000_000_000;

/// Entry times seen in one reign. Invariant: both columns never fall.
#[derive(Debug, Default)]
pub(super) struct ExpiryMarks {
    marks: VecDeque<(u64, i64)>,
}

impl ExpiryMarks {
    /// Notes the entry time at a moment; answers the entry time before which something must have
    /// been seen last to be forgotten after `period_ms`, once that can be known. Never, when that
    /// is negative.
    pub(super) fn note(&mut self, boottime_ns: u64, time_ms: i64, period_ms: i64) -> Option<i64> {
        let due = |(at_ns, _): &(u64, i64)| boottime_ns.saturating_sub(*at_ns) >= MARK_EVERY_NS;
        if self.marks.back().is_none_or(due) {
            self.marks.push_back((boottime_ns, time_ms));
        }
        let period_ns = u64::try_from(period_ms).ok()?.saturating_mul(1_000_000);
        let is_old = |mark: &(u64, i64)| boottime_ns.saturating_sub(mark.0) >= period_ns;
        while self.marks.get(1).is_some_and(is_old) {
            self.marks.pop_front();
        }
        self.marks.front().filter(|mark| is_old(mark)).map(|(_, time_ms)| *time_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_time_that_has_passed_lets_a_producer_go() {
        let (day_ms, day_ns) = (86_400_000, 86_400_000_000_000);
        let mut marks = ExpiryMarks::default();
        let mut note = |boottime_ns, time_ms| marks.note(boottime_ns, time_ms, day_ms);
        assert_eq!(note(0, 1_000), None);
        let ten_years_ms = 315_360_000_000;
        assert_eq!(note(MARK_EVERY_NS, ten_years_ms), None, "the wall jumped");
        assert_eq!(note(day_ns - 1, ten_years_ms), None);
        assert_eq!(note(day_ns, ten_years_ms), Some(1_000));
        assert_eq!(note(day_ns + MARK_EVERY_NS, ten_years_ms), Some(ten_years_ms));
    }
}
