//! Where a partition's batches lie: one row a batch, in offset order.
//!
//! ```text
//! offset ──partition_point──▶ row { base, last, timestamps, segment, offset, length }
//!                                      │
//!                tail cache ◀── Extent ┴──▶ WAL file, read away from the lane
//! ```
//!
//! 48 bytes a batch that is still on the WAL, so memory is bounded by the WAL's capacity. After a
//! start it holds what no object does: older batches are read from objects, although the log may
//! still have them.
//!
//! Invariants: rows ascend in offsets and do not overlap; `greatest_ms` never falls from row to
//! row (it is the greatest timestamp of all rows up to and including its own), so that a search
//! by time is a binary search.

use std::collections::VecDeque;

use holdfast_wal::{Extent, SegmentNumber};

/// One batch.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Row {
    pub(crate) base_offset: i64,
    last_delta: u32,
    len_bytes: u32,
    max_timestamp_ms: i64,
    greatest_ms: i64,
    segment: SegmentNumber,
    start: u64,
}

impl Row {
    pub(crate) fn last_offset(&self) -> i64 {
        self.base_offset + i64::from(self.last_delta)
    }

    pub(crate) fn extent(&self) -> Extent {
        Extent { segment: self.segment, offset: self.start, len_bytes: self.len_bytes }
    }
}

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct BatchIndex {
    rows: VecDeque<Row>,
    /// Sum of the rows' lengths.
    held_bytes: u64,
}

impl BatchIndex {
    /// Adds the batch that follows all others.
    pub(crate) fn push(&mut self, base_offset: i64, last_offset: i64, max_ms: i64, at: Extent) {
        let newest = self.rows.back();
        assert!(
            newest.is_none_or(|row| row.last_offset() < base_offset) && base_offset <= last_offset,
            "batches come in offset order"
        );
        let greatest_ms = newest.map_or(max_ms, |row| row.greatest_ms.max(max_ms));
        let last_delta = u32::try_from(last_offset - base_offset)
            .expect("apply bounds a batch's last offset delta to an i32");
        self.held_bytes += u64::from(at.len_bytes);
        self.rows.push_back(Row {
            base_offset,
            last_delta,
            len_bytes: at.len_bytes,
            max_timestamp_ms: max_ms,
            greatest_ms,
            segment: at.segment,
            start: at.offset,
        });
    }

    /// Lets go of batches that end before `log_start`, and returns the segment of the last of them.
    pub(crate) fn drop_before(&mut self, log_start: i64) -> Option<SegmentNumber> {
        self.drop_while(|row| row.last_offset() < log_start)
    }

    /// Lets go of batches whose segment went: they are in objects, or dead.
    pub(crate) fn drop_before_segment(&mut self, oldest: SegmentNumber) {
        let _last = self.drop_while(|row| row.segment < oldest);
    }

    /// Where the batches of the WAL begin; `None` without any.
    pub(crate) fn first_offset(&self) -> Option<i64> {
        self.rows.front().map(|row| row.base_offset)
    }

    fn drop_while(&mut self, goes: impl Fn(&Row) -> bool) -> Option<SegmentNumber> {
        let mut lost_ms = None;
        let mut last = None;
        while let Some(row) = self.rows.front().filter(|row| goes(row)) {
            lost_ms = lost_ms.max(Some(row.max_timestamp_ms));
            last = Some(row.segment);
            self.held_bytes -= u64::from(row.len_bytes);
            self.rows.pop_front();
        }
        let stale = self.rows.front().is_some_and(|row| row.greatest_ms > row.max_timestamp_ms);
        if lost_ms.is_some() && stale {
            let mut greatest_ms = i64::MIN;
            for row in &mut self.rows {
                greatest_ms = greatest_ms.max(row.max_timestamp_ms);
                row.greatest_ms = greatest_ms;
            }
        }
        last
    }

    /// The batches from the one that holds `offset` on.
    pub(crate) fn from(&self, offset: i64) -> impl Iterator<Item = &Row> {
        let at = self.rows.partition_point(|row| row.last_offset() < offset);
        self.rows.range(at..)
    }

    /// The first batch that holds a record at or after `timestamp_ms`.
    pub(crate) fn at_time(&self, timestamp_ms: i64) -> Option<&Row> {
        self.rows.get(self.rows.partition_point(|row| row.greatest_ms < timestamp_ms))
    }

    /// The batch that holds the greatest timestamp.
    pub(crate) fn greatest_time(&self) -> Option<&Row> {
        self.at_time(self.rows.back()?.greatest_ms)
    }

    /// Bytes of all batches; one that `log_start` cuts counts whole.
    pub(crate) fn held_bytes(&self) -> u64 {
        self.held_bytes
    }

    /// How many batches.
    pub(crate) fn len(&self) -> usize {
        self.rows.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn index(batches: &[(i64, i64, i64)]) -> BatchIndex {
        let mut index = BatchIndex::default();
        for (base, last, ms) in batches {
            let offset = *base as u64 * 100;
            index.push(
                *base,
                *last,
                *ms,
                Extent { segment: SegmentNumber(1), offset, len_bytes: 9 },
            );
        }
        index
    }

    #[test]
    fn an_offset_inside_a_batch_finds_the_whole_batch() {
        let index = index(&[(0, 4, 10), (5, 9, 20), (10, 10, 5)]);
        let bases = |offset| index.from(offset).map(|row| row.base_offset).collect::<Vec<_>>();
        assert_eq!(bases(7), [5, 10]);
        assert_eq!(bases(0), [0, 5, 10]);
        assert_eq!(bases(11), []);
    }

    #[test]
    fn time_search_finds_the_first_batch_although_timestamps_fall() {
        let index = index(&[(0, 4, 10), (5, 9, 30), (10, 10, 20), (11, 12, 40)]);
        let base = |ms| index.at_time(ms).map(|row| row.base_offset);
        assert_eq!(base(0), Some(0));
        assert_eq!(base(11), Some(5));
        assert_eq!(base(30), Some(5));
        assert_eq!(base(31), Some(11));
        assert_eq!(base(41), None);
        assert_eq!(index.greatest_time().map(|row| row.base_offset), Some(11));
    }

    #[test]
    fn batches_of_a_segment_that_went_are_gone_and_those_behind_stay() {
        let mut index = BatchIndex::default();
        for (base, segment) in [(0, 1), (5, 1), (10, 2)] {
            let at = Extent { segment: SegmentNumber(segment), offset: 0, len_bytes: 9 };
            index.push(base, base + 4, 100 - base, at);
        }
        index.drop_before_segment(SegmentNumber(2));
        assert_eq!(index.first_offset(), Some(10));
        assert_eq!((index.len(), index.held_bytes()), (1, 9));
        assert_eq!(index.greatest_time().map(|row| row.base_offset), Some(10));
        index.drop_before_segment(SegmentNumber(3));
        assert_eq!(index.first_offset(), None);
    }

    #[test]
    fn a_deleted_batch_no_longer_answers_for_its_time() {
        let mut index = index(&[(0, 4, 100), (5, 9, 30), (10, 10, 50)]);
        assert_eq!(index.drop_before(5), Some(SegmentNumber(1)));
        assert_eq!(index.at_time(40).map(|row| row.base_offset), Some(10));
        assert_eq!(index.at_time(60).map(|row| row.base_offset), None);
        assert_eq!((index.len(), index.held_bytes()), (2, 18));
    }
}
