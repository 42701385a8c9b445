//! Virtual segments: Kafka's unit of retention, without files.
//!
//! ```text
//! offsets   0 ........ 99 | 100 ........ 179 | 180 ......
//!           closed          closed             active
//!           bytes, first and max timestamp, time of the last append
//!                         ^ retention moves log_start to such a border only
//! ```
//!
//! A partition's bytes lie in WAL segments and objects together with others', but Kafka's settings
//! speak of segments, and users see whole ones vanish. So each partition counts: a batch that
//! would make the active segment larger than `segment.bytes`, or older by its own timestamp than
//! `segment.ms`, begins the next one (`semantics.md` 17).
//!
//! Caveats: retention goes by record timestamps, as Kafka's, so a record from the future never
//! expires and holds all behind it. A segment without timestamps goes by its last append.
//! After DeleteRecords inside a segment its bytes still count whole, as in Kafka.

use std::collections::VecDeque;

use crate::config::PartitionConfig;

/// Kafka's index holds offsets relative to the segment in 31 bits; a segment ends before that.
const OFFSETS_MAX: i64 = i32::MAX as i64;

/// The batch that holds the largest timestamp. Of equal ones the first.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct MaxTimestamp {
    /// The timestamp.
    pub timestamp_ms: i64,
    /// First offset of the batch; the record is somewhere inside.
    pub base_offset: i64,
    /// Last offset of the batch.
    pub last_offset: i64,
}

/// One segment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct VirtualSegment {
    /// Its first offset. Ascending over a partition's segments.
    pub base_offset: i64,
    /// Sum of its batches.
    pub bytes: u64,
    /// Max timestamp of its first batch, from which `segment.ms` counts; -1 if it has none.
    pub first_timestamp_ms: i64,
    /// Entry time of its first batch.
    pub first_append_ms: i64,
    /// Entry time of its last batch.
    pub last_append_ms: i64,
    /// `None` when no batch has a timestamp.
    pub max_timestamp: Option<MaxTimestamp>,
}

/// What a batch adds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SegmentAppend {
    pub(crate) base_offset: i64,
    pub(crate) last_offset: i64,
    pub(crate) bytes: u32,
    pub(crate) max_timestamp_ms: i64,
    pub(crate) now_ms: i64,
}

#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Segments {
    /// Oldest first; the last one is active.
    rows: VecDeque<VirtualSegment>,
}

impl VirtualSegment {
    fn begin(append: &SegmentAppend) -> Self {
        VirtualSegment {
            base_offset: append.base_offset,
            bytes: 0,
            first_timestamp_ms: append.max_timestamp_ms.max(-1),
            first_append_ms: append.now_ms,
            last_append_ms: append.now_ms,
            max_timestamp: None,
        }
    }

    fn is_full_for(&self, append: &SegmentAppend, config: &PartitionConfig) -> bool {
        let waited_ms = if self.first_timestamp_ms >= 0 {
            append.max_timestamp_ms.saturating_sub(self.first_timestamp_ms)
        } else {
            append.now_ms.saturating_sub(self.first_append_ms)
        };
        self.bytes.saturating_add(u64::from(append.bytes)) > u64::from(config.segment_bytes)
            || waited_ms > config.segment_ms
            || append.last_offset.saturating_sub(self.base_offset) > OFFSETS_MAX
    }

    fn expired(&self, retention_ms: i64, now_ms: i64) -> bool {
        let newest_ms = self.max_timestamp.map_or(self.last_append_ms, |max| max.timestamp_ms);
        now_ms.saturating_sub(newest_ms) > retention_ms
    }
}

impl Segments {
    pub(crate) fn from_rows(rows: VecDeque<VirtualSegment>) -> Self {
        Segments { rows }
    }

    pub(crate) fn rows(&self) -> impl ExactSizeIterator<Item = &VirtualSegment> {
        self.rows.iter()
    }

    /// The segment that begins there.
    pub(crate) fn at(&self, base_offset: i64) -> Option<&VirtualSegment> {
        let at = self.rows.binary_search_by_key(&base_offset, |row| row.base_offset).ok()?;
        self.rows.get(at)
    }

    /// The one that takes batches.
    pub(crate) fn active(&self) -> Option<&VirtualSegment> {
        self.rows.back()
    }

    /// Puts one behind the others, as rows are read.
    pub(crate) fn push(&mut self, row: VirtualSegment) {
        self.rows.push_back(row);
    }

    pub(crate) fn append(&mut self, append: &SegmentAppend, config: &PartitionConfig) {
        if self.rows.back().is_none_or(|active| active.is_full_for(append, config)) {
            self.rows.push_back(VirtualSegment::begin(append));
        }
        let active = self.rows.back_mut().expect("the line above made one if there was none");
        active.bytes = active.bytes.saturating_add(u64::from(append.bytes));
        active.last_append_ms = append.now_ms;
        let is_larger = match active.max_timestamp {
            Some(max) => append.max_timestamp_ms > max.timestamp_ms,
            None => append.max_timestamp_ms >= 0,
        };
        if is_larger {
            active.max_timestamp = Some(MaxTimestamp {
                timestamp_ms: append.max_timestamp_ms,
                base_offset: append.base_offset,
                last_offset: append.last_offset,
            });
        }
    }

    /// Forgets segments wholly below `log_start`. At the end of the log the active one goes too:
    /// the next batch begins a new one, which is how a wholly expired active segment is rolled.
    pub(crate) fn drop_below(&mut self, log_start: i64, end: i64) {
        while let Some(first) = self.rows.front() {
            debug_assert!(first.base_offset <= end);
            let first_end = self.rows.get(1).map_or(end, |next| next.base_offset);
            if first_end > log_start {
                break;
            }
            self.rows.pop_front();
        }
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.rows.iter().fold(0, |sum, row| sum.saturating_add(row.bytes))
    }

    pub(crate) fn max_timestamp(&self) -> Option<MaxTimestamp> {
        self.rows
            .iter()
            .filter_map(|row| row.max_timestamp)
            .reduce(|best, next| if next.timestamp_ms > best.timestamp_ms { next } else { best })
    }

    /// How far retention may move the log start: the end of the longest run of oldest segments
    /// that are expired by time, then of those that are too much by size. `None` if none is.
    pub(crate) fn retained_from(
        &self,
        config: &PartitionConfig,
        now_ms: i64,
        end: i64,
        active_may_go: bool,
    ) -> Option<i64> {
        let closed = self.rows.len().saturating_sub(1);
        let candidates = if active_may_go { self.rows.len() } else { closed };
        let mut gone = 0;
        if config.retention_ms >= 0 {
            gone = self
                .rows
                .iter()
                .take(candidates)
                .take_while(|row| row.expired(config.retention_ms, now_ms))
                .count();
        }
        if let Ok(limit_bytes) = u64::try_from(config.retention_bytes) {
            let left_bytes =
                self.rows.iter().skip(gone).fold(0_u64, |sum, row| sum.saturating_add(row.bytes));
            let mut excess_bytes = left_bytes.saturating_sub(limit_bytes);
            for row in self.rows.iter().take(candidates).skip(gone) {
                if row.bytes > excess_bytes {
                    break;
                }
                excess_bytes -= row.bytes;
                gone += 1;
            }
        }
        if gone == 0 {
            return None;
        }
        Some(self.rows.get(gone).map_or(end, |row| row.base_offset))
    }
}
