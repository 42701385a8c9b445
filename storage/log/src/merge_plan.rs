//! Which rows of objects become one: so that rows do not grow with time, and deleted records do not
//! stay in objects for the sake of others.
//!
//! ```text
//! by size    a partition's rows, oldest first      7M 2M │ 90k 70k 80k 90k 70k 60k 80k 90k │ 10k 9k
//!                                                  full      eight of one class, in a run
//! by time    an object with dead bytes for too long: its living rows go elsewhere, it retires
//! ```
//!
//! Idea: size-tiered compaction (as in Cassandra and HBase), by partition: eight neighbours of one
//! class (a factor of eight apart) become one row of the next class. A record is written once per
//! class, rows of a partition are few below the full size, and a full row costs 48 bytes a megabyte.
//! The rows of many partitions go into one object, so objects do not become many instead.
//!
//! Invariants: a plan has one run of neighbouring rows per partition, ascending; at least one row, and
//! no more bytes than an object has, unless its first row alone has more. Every source is live.
//!
//! Caveat: looking for runs walks all rows of the shard; whoever asks does so now and then.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ops::Range;

use holdfast_base::{ClusterId, Index, PartitionKey, ShardId, Term};

use crate::object::{OBJECT_PARTITIONS_MAX, ObjectIdentity};
use crate::shard::{ObjectRow, ObjectState, PartitionObject, Shard};

/// Neighbours of one class that become one: how often a record is written again against how many
/// rows are kept.
pub const MERGED_ROWS_MIN: usize = 8;
/// A row of at least this is left alone.
pub const ROW_FULL_BYTES: u32 = 1 << 20;
/// Objects read by one merge: each has a buffer.
pub const MERGE_SOURCES_MAX: usize = 32;
const _: () = assert!(MERGE_SOURCES_MAX >= 2 * MERGED_ROWS_MIN);
/// Rows of one class are less than this factor apart; its exponent of two.
const CLASS_BITS: u32 = 3;
const _: () = assert!(1 << CLASS_BITS == MERGED_ROWS_MIN, "a merge brings rows to the next class");

/// What of an object goes into another one: a partition's part.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct MergePart {
    /// Which.
    pub partition: PartitionKey,
    /// The first offset that can be read: batches that end before it are left out.
    pub from_offset: i64,
    /// Last offset of the row.
    pub last_offset: i64,
    /// Bytes of its blocks.
    pub len_bytes: u32,
}

/// An object that is read for a merge.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MergeSource {
    /// Its name.
    pub identity: ObjectIdentity,
    /// Its length.
    pub object_bytes: u64,
    /// Its footer and trailer.
    pub tail_bytes: u32,
    /// What is taken of it, ascending by partition, each once.
    pub parts: Vec<MergePart>,
}

/// A merge: one object of parts of others.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MergePlan {
    /// First entry of any source.
    pub first_index: Index,
    /// Last entry of any source.
    pub last_index: Index,
    /// Term of that entry.
    pub last_term: Term,
    /// What is read, in the order of their numbers.
    pub sources: Vec<MergeSource>,
    /// Bytes of all parts.
    pub len_bytes: u64,
}

/// What is wanted of a merge.
#[derive(Clone, Copy, Debug)]
pub struct MergeRule {
    /// Bytes of one object.
    pub object_bytes: u64,
    /// Whether to look for runs of small rows too.
    pub by_size: bool,
}

/// The next merge that is due, without objects to `avoid`. Of the objects that hold dead bytes, those
/// are emptied that are `due`.
#[must_use]
pub fn plan_merge(
    shard: &Shard,
    (cluster, id): (ClusterId, ShardId),
    rule: &MergeRule,
    avoid: &BTreeSet<u64>,
    due: impl Fn(&ObjectRow) -> bool,
) -> Option<MergePlan> {
    let mut gathered = Gathered::new(shard, rule.object_bytes);
    let dead: BTreeSet<u64> = shard
        .dead_objects()
        .filter(|row| due(row) && !avoid.contains(&row.number))
        .map(|row| row.number)
        .take(MERGE_SOURCES_MAX)
        .collect();
    if !dead.is_empty() {
        for (key, partition) in shard.partitions() {
            let rows = partition.objects();
            gathered.take(key, partition.log_start(), rows, dead_run(rows, &dead), 1);
        }
    }
    if gathered.sources.is_empty() && rule.by_size {
        for (key, partition) in shard.partitions() {
            let rows = partition.objects();
            // One row alone would become the same row again, and again.
            gathered.take(key, partition.log_start(), rows, small_run(rows, avoid), 2);
        }
    }
    gathered.finish(cluster, id)
}

/// The first rows of these objects that lie back to back.
fn dead_run(rows: &VecDeque<PartitionObject>, dead: &BTreeSet<u64>) -> Range<usize> {
    let is_dead = |row: &PartitionObject| dead.contains(&row.number);
    let Some(start) = rows.iter().position(is_dead) else { return 0..0 };
    let count = rows.range(start..).take_while(|row| is_dead(row)).count();
    start..start + count
}

/// The oldest rows of the smallest class of which enough are neighbours; smaller ones between them go
/// along and do not count.
fn small_run(rows: &VecDeque<PartitionObject>, avoid: &BTreeSet<u64>) -> Range<usize> {
    if rows.len() < MERGED_ROWS_MIN {
        return 0..0;
    }
    for wanted in 0..=class(ROW_FULL_BYTES - 1) {
        let (mut start, mut count) = (0, 0);
        for (at, row) in rows.iter().enumerate() {
            let small = row.len_bytes < ROW_FULL_BYTES && class(row.len_bytes) <= wanted;
            if !small || avoid.contains(&row.number) {
                (start, count) = (at + 1, 0);
                continue;
            }
            count += usize::from(class(row.len_bytes) == wanted);
            if count == MERGED_ROWS_MIN {
                return start..at + 1;
            }
        }
    }
    0..0
}

fn class(len_bytes: u32) -> u32 {
    len_bytes.max(1).ilog2() / CLASS_BITS
}

/// Rows taken so far.
struct Gathered<'a> {
    shard: &'a Shard,
    room_bytes: u64,
    len_bytes: u64,
    partitions: usize,
    sources: BTreeMap<u64, Vec<MergePart>>,
}

impl<'a> Gathered<'a> {
    fn new(shard: &'a Shard, room_bytes: u64) -> Gathered<'a> {
        Gathered { shard, room_bytes, len_bytes: 0, partitions: 0, sources: BTreeMap::new() }
    }

    /// Takes as much of the run as there is room for, if that is `rows_min` rows.
    fn take(
        &mut self,
        key: &PartitionKey,
        log_start: i64,
        rows: &VecDeque<PartitionObject>,
        run: Range<usize>,
        rows_min: usize,
    ) {
        if self.partitions == OBJECT_PARTITIONS_MAX {
            return;
        }
        let (mut bytes, mut sources, mut count) = (self.len_bytes, self.sources.len(), 0);
        for row in rows.range(run.clone()) {
            let row_bytes = u64::from(row.len_bytes);
            sources += usize::from(!self.sources.contains_key(&row.number));
            let fits = bytes == 0 || bytes + row_bytes <= self.room_bytes;
            if !fits || sources > MERGE_SOURCES_MAX {
                break;
            }
            bytes += row_bytes;
            count += 1;
        }
        // One row by size would become the same row again, and so for ever.
        if count == 0 || count < rows_min {
            return;
        }
        self.len_bytes = bytes;
        self.partitions += 1;
        for row in rows.range(run).take(count) {
            self.sources.entry(row.number).or_default().push(MergePart {
                partition: *key,
                from_offset: row.base_offset.max(log_start),
                last_offset: row.last_offset,
                len_bytes: row.len_bytes,
            });
        }
    }

    fn finish(self, cluster: ClusterId, shard: ShardId) -> Option<MergePlan> {
        let mut sources = Vec::with_capacity(self.sources.len());
        let mut ends: Option<(Index, Index, Term)> = None;
        for (number, parts) in self.sources {
            let row: &ObjectRow =
                self.shard.object_at(number).filter(|row| row.state == ObjectState::Live)?;
            let (first, last, term) =
                ends.unwrap_or((row.first_index, row.last_index, row.last_term));
            let newest = (last, term).max((row.last_index, row.last_term));
            ends = Some((first.min(row.first_index), newest.0, newest.1));
            sources.push(MergeSource {
                identity: ObjectIdentity {
                    cluster,
                    shard,
                    term: row.term,
                    sequence: row.sequence,
                    object: row.object,
                },
                object_bytes: row.object_bytes,
                tail_bytes: row.tail_bytes,
                parts,
            });
        }
        let (first_index, last_index, last_term) = ends?;
        let len_bytes = self.len_bytes;
        Some(MergePlan { first_index, last_index, last_term, sources, len_bytes })
    }
}
