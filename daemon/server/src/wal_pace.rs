//! How long the log lasts: its room by the pace of the last minute, were nothing to leave it.
//!
//! What an operator wants to know when the object store is away: until when somebody has to act. A node
//! with a store notes every ten seconds how much its log has been given; there is no pace before two
//! notes, nor while nobody writes.
//!
//! Caveat: the pace counts frames as written, so with what was freed and written anew by carrying forward;
//! and a log refuses producers a little earlier than it is full, by its reserve.

use crate::node::Node;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::time::sleep;

/// Between notes.
const EVERY: Duration = Duration::from_secs(10);
/// Of the last minute.
const NOTES_MAX: usize = 7;
/// A year says as much as a millennium.
pub(crate) const LONGEST: Duration = Duration::from_secs(365 * 24 * 3_600);

/// Notes of (boottime in ns, bytes written since the start), oldest first.
#[derive(Default, Debug)]
pub struct WalPace(Mutex<VecDeque<(u64, u64)>>);

impl WalPace {
    /// Notes.
    pub fn note(&self, at_ns: u64, written_bytes: u64) {
        let mut notes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // Numbers that were not renewed say nothing of the time since.
        if notes.back().is_some_and(|(last_ns, _)| *last_ns >= at_ns) {
            return;
        }
        notes.push_back((at_ns, written_bytes));
        if notes.len() > NOTES_MAX {
            notes.pop_front();
        }
    }

    /// How long `free_bytes` last; `None` while there is no pace.
    #[must_use]
    pub fn lasts(&self, free_bytes: u64) -> Option<Duration> {
        let notes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let ((from_ns, from_bytes), (to_ns, to_bytes)) = (*notes.front()?, *notes.back()?);
        let written_bytes = to_bytes.saturating_sub(from_bytes);
        if written_bytes == 0 {
            return None;
        }
        let ns = u128::from(free_bytes) * u128::from(to_ns - from_ns) / u128::from(written_bytes);
        let lasts = Duration::from_nanos(u64::try_from(ns).unwrap_or(u64::MAX));
        Some(lasts.min(LONGEST))
    }
}

/// Notes for ever, if there is a store that can be away.
pub async fn keep_noting(node: Arc<Node>) {
    if node.store_url.is_none() {
        return std::future::pending().await;
    }
    loop {
        if let Some(lane) = node.fresh_lane().await {
            node.wal_pace.note(lane.at.boottime_ns, lane.status.wal.bytes_written);
        }
        sleep(EVERY).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: u64 = 1_000_000_000;

    #[test]
    fn room_is_divided_by_the_pace_of_the_last_minute() {
        let pace = WalPace::default();
        assert_eq!(pace.lasts(1_000), None, "no note");
        pace.note(S, 0);
        assert_eq!(pace.lasts(1_000), None, "one note is no pace");
        pace.note(11 * S, 100);
        assert_eq!(pace.lasts(1_000), Some(Duration::from_secs(100)));
        // Twice as fast from here on: after a minute the slow time is forgotten.
        for at in 2..9 {
            pace.note((1 + 10 * at) * S, 100 + 200 * (at - 1));
        }
        assert_eq!(pace.lasts(1_000), Some(Duration::from_secs(50)));
    }

    #[test]
    fn a_log_that_nobody_writes_lasts_without_end_and_old_numbers_are_no_note() {
        let pace = WalPace::default();
        pace.note(S, 500);
        pace.note(2 * S, 500);
        assert_eq!(pace.lasts(1), None);
        pace.note(2 * S, 900);
        assert_eq!(pace.lasts(1), None, "the lane said nothing new");
        pace.note(3 * S, 501);
        assert_eq!(pace.lasts(u64::MAX), Some(LONGEST));
    }
}
