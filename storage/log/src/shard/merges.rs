//! Objects made of other objects: fewer rows for the same records, and none for deleted ones.
//!
//! ```text
//! partition A   │ 1: 0..9 │ 2: 10..19 │ 3: 20..29 │        MergeIntent 4, then its Manifest with
//! partition B   │ 1: 0..4 │           │ 3: 5..9   │        A 0..29 and B 0..9
//!                                ▼
//! partition A   │ 4: 0..29                        │        1, 2 and 3 have no row left: Retire
//! partition B   │ 4: 0..9                         │
//! ```
//!
//! Idea: a merge moves no position of the shard. `uploaded` stays, as does every offset that can be
//! read; only where to read it changes. So it needs no order among merges, and may be given up at any
//! time. Source: the compaction of log-structured merge trees, with rows in the place of runs.
//!
//! What a row of such a manifest must be: it takes the place of rows that lie back to back, ends
//! where the last of them ends, and begins where the first begins, or, where records in front were
//! deleted meanwhile, not behind the log start.
//!
//! The sequence of a merge is the last entry applied when it was planned: what was below the log
//! start by then is not in it, but for records that share a batch with living ones.
//!
//! Invariants: the records of a partition that are in its rows before are in them after, but for
//! those below its log start. An object that holds bytes nobody may read any more says since when
//! ([`ObjectRow::dead_since_ms`]), also one whose records live on in a merged object: it can be
//! forgotten only when nothing reads it, and must not keep what is deleted later.

use std::ops::Range;

use super::object_rows::{ObjectKind, ObjectRow, ObjectState, PartitionObject};
use super::{EntryFacts, Shard};
use crate::object::{Manifest, ManifestRow};
use crate::partition::Partition;
use crate::refusal::{BrokenInvariant, Refused};
use crate::rows::RowKey;

impl Shard {
    /// The number of the merge that this manifest ends; `None` when it is not one of a merge.
    pub(super) fn merge_of(&self, manifest: &Manifest) -> Option<u64> {
        self.objects.by_id(manifest.object).filter(|row| is_open_merge(row)).map(|row| row.number)
    }

    /// What apply would refuse.
    pub(super) fn check_merged_rows(&self, manifest: &Manifest) -> Result<(), Refused> {
        for row in self.living(manifest) {
            let Some(partition) = self.partitions.get(&row.partition) else { continue };
            replaced(partition, row).ok_or(Refused::InvalidObject {
                what: "its rows are not those of other objects, back to back",
            })?;
        }
        Ok(())
    }

    /// Puts the rows of a merge, which were checked, in the place of those they are made of.
    pub(super) fn take_merged_rows(
        &mut self,
        number: u64,
        living: &[ManifestRow],
        entry: EntryFacts,
    ) -> Result<(), BrokenInvariant> {
        for row in living {
            let Some(partition) = self.partitions.get_mut(&row.partition) else { continue };
            let range = replaced(partition, row).ok_or_else(|| {
                BrokenInvariant::new(format!("{}: a merged row fits no more", row.partition))
            })?;
            let at = range.start;
            let gone: Vec<PartitionObject> = partition.objects.drain(range).collect();
            partition.objects.insert(at, PartitionObject::of(number, row));
            partition.check_invariants(self.bugs)?;
            self.marks.mark(RowKey::Partition(row.partition));
            self.marks.mark(RowKey::Part(row.partition, row.base_offset));
            for old in gone {
                self.objects.lose_row(old.number, entry.time_ms)?;
                self.marks.mark(RowKey::Part(row.partition, old.base_offset));
            }
        }
        Ok(())
    }
}

/// Whether this is an announced merge.
pub(super) fn is_open_merge(row: &ObjectRow) -> bool {
    row.kind == ObjectKind::Merged && row.state == ObjectState::Intended
}

/// Which rows of the partition a merged row stands for.
fn replaced(partition: &Partition, row: &ManifestRow) -> Option<Range<usize>> {
    let rows = &partition.objects;
    let first = rows.partition_point(|old| old.last_offset < row.base_offset);
    let end = rows.partition_point(|old| old.last_offset <= row.last_offset);
    if first >= end || rows.get(end - 1)?.last_offset != row.last_offset {
        return None;
    }
    // What the merged object leaves out of its first row, nobody can read any more.
    let begins =
        rows.get(first)?.base_offset >= row.base_offset || row.base_offset <= partition.log_start;
    begins.then_some(first..end)
}
