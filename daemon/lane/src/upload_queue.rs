//! What of a data shard is committed and not in an object yet, in the order of its log.
//!
//! ```text
//! index   ... uploaded │ 71  72  75  80 │ 81  90  91
//!          in objects  │ announced (cut)│ waiting           entries without batches have no row
//!                                       └─ next cut: by bytes, by age, or because the log is wanted
//! ```
//!
//! Idea: an object is cut from the front when there is enough, when the oldest has waited long
//! enough, or when the log needs its segments back. Rows stay until a manifest covers them, so a
//! new reign begins again from what is applied.
//!
//! Invariants: rows ascend by index and have a batch; `announced_to` is 0 or the last index of a
//! cut. About 100 bytes a batch that is not uploaded.

use std::collections::VecDeque;

use holdfast_base::{Index, PartitionKey, Term};
use holdfast_wal::Extent;

/// Rows of batches in one object: bounded by what the object format takes, far above what 64 MiB of
/// ordinary batches have.
pub const OBJECT_BATCHES_MAX: usize = 1 << 17;
/// Entries an object may span, those without batches included: what its writer walks.
pub const OBJECT_ENTRIES_MAX: u64 = 1 << 20;
/// Different partitions in one object: its manifest is one entry.
pub const OBJECT_PARTITIONS_MAX: usize = 1 << 13;

/// A batch that waits.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct WaitingBatch {
    pub(crate) partition: PartitionKey,
    pub(crate) base_offset: i64,
    pub(crate) last_offset: i64,
    pub(crate) leader_epoch: i32,
    pub(crate) max_timestamp_ms: i64,
    pub(crate) extent: Extent,
}

/// An entry that waits; it has a batch.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct WaitingEntry {
    pub(crate) index: Index,
    pub(crate) term: Term,
    /// When this node applied it, on boottime.
    pub(crate) since_ns: u64,
    pub(crate) batches: Vec<WaitingBatch>,
}

/// When to cut.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CutRule {
    /// At this many bytes, and never more but for one entry.
    pub(crate) object_bytes: u64,
    /// Cut whatever is there when the oldest was applied at or before this.
    pub(crate) older_than_ns: u64,
    /// Cut whatever is there: the log is wanted.
    pub(crate) pressed: bool,
}

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct UploadQueue {
    entries: VecDeque<WaitingEntry>,
    /// Sum over `entries`.
    waiting_bytes: u64,
    announced_to: Index,
    /// Sum over the entries behind `announced_to`: a cut that is not due costs nothing.
    behind: Behind,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
struct Behind {
    bytes: u64,
    batches: usize,
}

impl UploadQueue {
    /// Adds the next entry that has batches.
    pub(crate) fn push(&mut self, entry: WaitingEntry) {
        assert!(!entry.batches.is_empty(), "an entry without batches has no row");
        assert!(
            self.entries.back().is_none_or(|last| last.index < entry.index),
            "entries come in order"
        );
        self.waiting_bytes += entry.bytes();
        self.behind.add(&entry);
        self.entries.push_back(entry);
    }

    /// Everything up to `index` is in objects.
    pub(crate) fn uploaded(&mut self, index: Index) {
        while let Some(first) = self.entries.pop_front_if(|first| first.index <= index) {
            self.waiting_bytes -= first.bytes();
        }
        self.count_behind();
    }

    /// Lets go of batches nobody can read any more, from the front: an object need not hold them.
    /// Only of entries that are not announced: an object under way keeps what was planned.
    pub(crate) fn drop_dead(&mut self, alive: impl Fn(&WaitingBatch) -> bool) {
        let announced_to = self.announced_to;
        while let Some(first) = self
            .entries
            .pop_front_if(|first| first.index > announced_to && !first.batches.iter().any(&alive))
        {
            self.waiting_bytes -= first.bytes();
        }
        self.count_behind();
    }

    /// The first entry that is in no object.
    pub(crate) fn first(&self) -> Option<&WaitingEntry> {
        self.entries.front()
    }

    /// Bytes of batches in no object.
    pub(crate) fn waiting_bytes(&self) -> u64 {
        self.waiting_bytes
    }

    /// The entries of the next object, if it is time: `alive` batches only, at least one. They count
    /// as announced from now on.
    pub(crate) fn cut(
        &mut self,
        rule: CutRule,
        alive: impl Fn(&WaitingBatch) -> bool,
    ) -> Option<Vec<WaitingEntry>> {
        let may_be_full =
            self.behind.bytes >= rule.object_bytes || self.behind.batches >= OBJECT_BATCHES_MAX;
        let first = self.first_waiting();
        let is_old = first.is_some_and(|first| first.since_ns <= rule.older_than_ns);
        if !may_be_full && !is_old && !rule.pressed {
            return None;
        }
        let from = self.first_behind();
        let mut taken: Vec<WaitingEntry> = Vec::new();
        let (mut bytes, mut batches) = (0, 0);
        let mut partitions = std::collections::BTreeSet::new();
        let mut full = false;
        for entry in self.entries.range(from..) {
            let living: Vec<WaitingBatch> =
                entry.batches.iter().filter(|batch| alive(batch)).copied().collect();
            if living.is_empty() {
                continue;
            }
            let entry = WaitingEntry { batches: living, ..*entry };
            partitions.extend(entry.batches.iter().map(|batch| batch.partition));
            let first_index = taken.first().map_or(entry.index, |first: &WaitingEntry| first.index);
            let fits = bytes + entry.bytes() <= rule.object_bytes
                && batches + entry.batches.len() <= OBJECT_BATCHES_MAX
                && partitions.len() <= OBJECT_PARTITIONS_MAX
                && entry.index.0 - first_index.0 < OBJECT_ENTRIES_MAX;
            if !fits && !taken.is_empty() {
                full = true;
                break;
            }
            bytes += entry.bytes();
            batches += entry.batches.len();
            taken.push(entry);
        }
        let first = taken.first()?;
        let due = full
            || bytes >= rule.object_bytes
            || rule.pressed
            || first.since_ns <= rule.older_than_ns;
        if !due {
            return None;
        }
        self.announced_to = taken.last()?.index;
        self.count_behind();
        Some(taken)
    }

    /// The first entry that is not announced.
    pub(crate) fn first_waiting(&self) -> Option<&WaitingEntry> {
        self.entries.get(self.first_behind())
    }

    /// Nothing is under way any more: what was announced and is in no object is cut again.
    pub(crate) fn forget_announced(&mut self) {
        self.announced_to = Index(0);
        self.count_behind();
    }

    fn first_behind(&self) -> usize {
        self.entries.partition_point(|entry| entry.index <= self.announced_to)
    }

    fn count_behind(&mut self) {
        let mut behind = Behind::default();
        for entry in self.entries.range(self.first_behind()..) {
            behind.add(entry);
        }
        self.behind = behind;
    }
}

impl Behind {
    fn add(&mut self, entry: &WaitingEntry) {
        self.bytes += entry.bytes();
        self.batches += entry.batches.len();
    }
}

impl WaitingEntry {
    fn bytes(&self) -> u64 {
        self.batches.iter().map(|batch| u64::from(batch.extent.len_bytes)).sum()
    }
}

#[cfg(test)]
mod tests;
