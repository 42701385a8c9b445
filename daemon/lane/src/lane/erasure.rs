//! When the log is to be erased for what was deleted: the store is emptied of it object by object, and
//! the log must not keep it longer.
//!
//! ```text
//! records die ──▶ the newest segment that may hold them, since ──▶ half of the deletion delay passes
//!                                                                           │
//! is_erased ◀── zeros ◀── trim, as uploads and states allow ◀── Wal::erase ◀┘
//! ```
//!
//! | what died | newest segment that may hold it |
//! | --- | --- |
//! | a partition | the open one: refused batches of it lie anywhere |
//! | records before a new log start, indexed | that of the last of them |
//! | others before it | the open one at the start, while the log has it; else the newest that went |
//!
//! So retention that removes old records at a steady pace costs nothing: by the time they are due,
//! the files they were in hold something else.
//!
//! Invariant: of what waits, a newer segment has waited less long.
//!
//! Caveat: a start does not know what was deleted before it, and asks for everything the log held, an
//! eighth of the delay after it.

use std::collections::BTreeMap;

use holdfast_base::Now;
use holdfast_io::Disk;
use holdfast_log::Applied;
use holdfast_wal::{SegmentNumber, Wal};

use super::Lane;
use crate::config::StoreConfig;

#[derive(Debug)]
pub(super) struct Erasure {
    /// The newest segment that a start found: what is in it and before it is not indexed.
    found: SegmentNumber,
    /// Segments that may hold deleted records, and since when, on boottime.
    waiting: BTreeMap<SegmentNumber, u64>,
}

impl Erasure {
    pub(super) fn begin<D: Disk>(wal: &Wal<D>, store: Option<StoreConfig>, now: Now) -> Erasure {
        let found = wal.status().open_segment;
        let mut erasure = Erasure { found, waiting: BTreeMap::new() };
        // A log that was never used has nothing to erase.
        let is_new = wal.is_erased(SegmentNumber(found.0.saturating_sub(1)));
        if let Some(store) = store.filter(|_| !is_new) {
            let head_start_ns = store.erase_after_ns() / 4 * 3;
            erasure.waiting.insert(found, now.boottime_ns.saturating_sub(head_start_ns));
        }
        erasure
    }

    /// Records died that may lie in segments up to `newest`.
    fn note(&mut self, newest: SegmentNumber, now: Now) {
        // One that waits for a newer segment is due sooner, and takes this along.
        if self.waiting.range(newest..).next().is_none() {
            self.waiting.insert(newest, now.boottime_ns);
        }
    }

    /// The newest segment whose time has come.
    fn due(&self, now: Now, after_ns: u64) -> Option<SegmentNumber> {
        let is_due = |since_ns: &u64| now.boottime_ns >= since_ns.saturating_add(after_ns);
        self.waiting.iter().rev().find(|(_, since_ns)| is_due(since_ns)).map(|(newest, _)| *newest)
    }
}

impl<D: Disk> Lane<D> {
    /// Takes note of what an applied entry deleted; `indexed` is the newest segment of the deleted
    /// batches whose places were known.
    pub(super) fn note_deaths(&mut self, applied: &Applied, indexed: Option<SegmentNumber>) {
        let wal = self.driver.wal();
        let newest = if !applied.removed.is_empty() {
            wal.status().open_segment
        } else if !applied.log_starts.is_empty() {
            let oldest = wal.oldest_segment();
            let found = self.erasure.found;
            let before_index =
                if found >= oldest { found } else { SegmentNumber(oldest.0.saturating_sub(1)) };
            indexed.map_or(before_index, |segment| segment.max(before_index))
        } else {
            return;
        };
        if !wal.is_erased(newest) {
            self.erasure.note(newest, self.now);
        }
    }

    /// Asks the log to erase what is due.
    pub(super) fn tend_erasure(&mut self, store: StoreConfig, now: Now) {
        let wal = self.driver.wal_mut();
        if let Some(newest) = self.erasure.due(now, store.erase_after_ns()) {
            wal.erase(newest);
        }
        self.erasure.waiting.retain(|newest, _| !wal.is_erased(*newest));
    }

    /// The oldest segment stands in the way of what is to be erased.
    pub(super) fn erasing_needs_oldest(&self) -> bool {
        let wal = self.driver.wal();
        wal.erase_needs().is_some_and(|newest| wal.oldest_segment() <= newest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(boottime_ns: u64) -> Now {
        Now { boottime_ns, wall_ms: 0 }
    }

    #[test]
    fn a_deletion_is_due_after_the_delay_and_takes_older_segments_along() {
        let mut erasure = Erasure { found: SegmentNumber(0), waiting: BTreeMap::new() };
        erasure.note(SegmentNumber(4), at(100));
        erasure.note(SegmentNumber(7), at(150));
        erasure.note(SegmentNumber(7), at(160));
        erasure.note(SegmentNumber(5), at(170));
        assert_eq!(erasure.due(at(199), 100), None);
        assert_eq!(erasure.due(at(200), 100), Some(SegmentNumber(4)));
        assert_eq!(erasure.due(at(250), 100), Some(SegmentNumber(7)));
        assert_eq!(erasure.waiting.len(), 2, "segment 5 goes with 7, which is due sooner");
    }
}
