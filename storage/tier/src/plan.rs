//! What goes into an object and where, decided from what the log knows of its batches, before a
//! byte of them is read.
//!
//! ```text
//! log order        entry 7: A0 B0   entry 8: B1   entry 9: (none)   entry 10: A1 A2
//! object order     A0 A1 A2 | B0 B1            partition, then offset
//! ```
//!
//! Idea: grouping by partition needs all batches of the range; rows of 72 bytes stand for them,
//! so that their bytes may stay where they are (tail cache or WAL) until the writer wants them.
//!
//! Invariants: every entry of the range is there, in order, with or without batches; offsets of a
//! partition ascend; [`crate::limits`] hold.

use std::collections::BTreeMap;

use holdfast_base::{Index, PartitionKey, Term};
use holdfast_batch::HEADER_BYTES;

use crate::error::BuildError;
use crate::format::{ObjectHead, ObjectIdentity};
use crate::limits::{
    BATCH_BYTES_MAX, OBJECT_BATCHES_MAX, OBJECT_PARTITIONS_MAX, OBJECT_PAYLOAD_BYTES_CUT,
    OBJECT_PAYLOAD_BYTES_MAX,
};

/// What the log knows of a batch.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BatchRow {
    /// Its partition.
    pub partition: PartitionKey,
    /// Offset of its first record.
    pub base_offset: i64,
    /// Offset of its last record.
    pub last_offset: i64,
    /// The leader epoch patched into it.
    pub leader_epoch: i32,
    /// Kafka's max timestamp, ms.
    pub max_timestamp_ms: i64,
    /// The whole batch.
    pub len_bytes: u32,
}

/// A batch with its place in the log.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PlannedBatch {
    /// The batch.
    pub row: BatchRow,
    /// Index of its entry.
    pub index: Index,
    /// Which batch of its entry, counted from 0.
    pub ordinal: u32,
}

/// Whether an entry went in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Taken {
    /// It did.
    Yes,
    /// It did not: finish this object, begin the next one with it.
    Full,
}

/// Collects entries in index order.
#[derive(Clone, Debug)]
pub struct PlanBuilder {
    identity: ObjectIdentity,
    first_index: Index,
    /// The entry that is due.
    next_index: Index,
    last_term: Term,
    batches: Vec<PlannedBatch>,
    payload_bytes: u64,
    /// Last offset so far.
    partitions: BTreeMap<PartitionKey, i64>,
}

/// An object about to be written.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ObjectPlan {
    pub(crate) head: ObjectHead,
    /// In object order; never empty.
    pub(crate) batches: Vec<PlannedBatch>,
}

impl PlanBuilder {
    /// An object whose first entry will be `first_index`.
    #[must_use]
    pub fn new(identity: ObjectIdentity, first_index: Index) -> PlanBuilder {
        PlanBuilder {
            identity,
            first_index,
            next_index: first_index,
            last_term: Term(0),
            batches: Vec::new(),
            payload_bytes: 0,
            partitions: BTreeMap::new(),
        }
    }

    /// Bytes of the batches so far.
    #[must_use]
    pub fn payload_bytes(&self) -> u64 {
        self.payload_bytes
    }

    /// The entry that comes next.
    #[must_use]
    pub fn next_index(&self) -> Index {
        self.next_index
    }

    /// Takes an entry whole, or nothing of it: its batches, in its order. An entry without batches
    /// counts too, since an object says that its range has no others.
    ///
    /// # Errors
    /// When the entry cannot follow. The plan is then as before.
    pub fn push_entry(
        &mut self,
        index: Index,
        term: Term,
        batches: &[BatchRow],
    ) -> Result<Taken, BuildError> {
        if index != self.next_index {
            return Err(BuildError::IndexGap { expected: self.next_index, got: index });
        }
        if term < self.last_term {
            return Err(BuildError::TermBackwards { at: index });
        }
        let bytes: u64 = batches.iter().map(|row| u64::from(row.len_bytes)).sum();
        if bytes > OBJECT_PAYLOAD_BYTES_MAX || batches.len() > OBJECT_BATCHES_MAX {
            return Err(BuildError::EntryTooLarge { at: index, bytes, batches: batches.len() });
        }
        // Checked on a copy of the few rows it touches, so that a refusal changes nothing.
        let mut touched = BTreeMap::new();
        for row in batches {
            let known = touched.get(&row.partition).or_else(|| self.partitions.get(&row.partition));
            check_batch(row, known.copied())?;
            touched.insert(row.partition, row.last_offset);
        }
        let new = touched.keys().filter(|key| !self.partitions.contains_key(*key)).count();
        let partitions = self.partitions.len() + new;
        if touched.len() > OBJECT_PARTITIONS_MAX {
            return Err(BuildError::EntryTooLarge { at: index, bytes, batches: batches.len() });
        }
        let joins = self.payload_bytes + bytes <= OBJECT_PAYLOAD_BYTES_CUT
            && self.batches.len() + batches.len() <= OBJECT_BATCHES_MAX
            && partitions <= OBJECT_PARTITIONS_MAX;
        if !self.batches.is_empty() && !batches.is_empty() && !joins {
            return Ok(Taken::Full);
        }
        self.batches.extend((0_u32..).zip(batches).map(|(ordinal, row)| PlannedBatch {
            row: *row,
            index,
            ordinal,
        }));
        self.payload_bytes += bytes;
        self.partitions.extend(touched);
        self.next_index = index.next();
        self.last_term = term;
        Ok(Taken::Yes)
    }

    /// The plan of all entries so far.
    ///
    /// # Errors
    /// When no entry had a batch.
    pub fn finish(mut self, created_ms: i64) -> Result<ObjectPlan, BuildError> {
        if self.batches.is_empty() {
            return Err(BuildError::NothingToUpload);
        }
        self.batches.sort_by_key(|batch| (batch.row.partition, batch.row.base_offset));
        let head = ObjectHead {
            identity: self.identity,
            first_index: self.first_index,
            last_index: Index(self.next_index.0 - 1),
            last_term: self.last_term,
            created_ms,
        };
        Ok(ObjectPlan { head, batches: self.batches })
    }
}

impl ObjectPlan {
    /// The plan of a range of which only entries with batches are named, ascending.
    ///
    /// # Errors
    /// When they are none of an object.
    pub fn of_entries(
        identity: ObjectIdentity,
        (first, last): (Index, Index),
        last_term: Term,
        created_ms: i64,
        entries: impl IntoIterator<Item = (Index, Vec<BatchRow>)>,
    ) -> Result<ObjectPlan, BuildError> {
        let mut builder = PlanBuilder::new(identity, first);
        // Only the last entry's term is written down, and terms do not descend.
        let mut push =
            |index: Index, rows: &[BatchRow]| match builder.push_entry(index, last_term, rows)? {
                Taken::Yes => Ok(()),
                Taken::Full => {
                    let bytes = rows.iter().map(|row| u64::from(row.len_bytes)).sum();
                    Err(BuildError::EntryTooLarge { at: index, bytes, batches: rows.len() })
                }
            };
        let mut next = first;
        for (index, rows) in entries {
            while next < index {
                push(next, &[])?;
                next = next.next();
            }
            push(index, &rows)?;
            next = next.next();
        }
        while next <= last {
            push(next, &[])?;
            next = next.next();
        }
        builder.finish(created_ms)
    }

    /// What the object's head will say.
    #[must_use]
    pub fn head(&self) -> &ObjectHead {
        &self.head
    }

    /// Its batches in object order: the order in which the writer wants their bytes.
    #[must_use]
    pub fn batches(&self) -> &[PlannedBatch] {
        &self.batches
    }
}

fn check_batch(row: &BatchRow, previous: Option<i64>) -> Result<(), BuildError> {
    let (partition, base_offset) = (row.partition, row.base_offset);
    if let Some(previous) = previous.filter(|previous| base_offset <= *previous) {
        return Err(BuildError::OffsetBackwards { partition, base_offset, previous });
    }
    let what = if base_offset < 0 || row.last_offset < base_offset {
        "its offsets are negative or end before they begin"
    } else if row.last_offset - base_offset > i64::from(i32::MAX) {
        "its last offset is more than 31 bits above its first"
    } else if row.last_offset == i64::MAX {
        "no offset can follow it"
    } else if partition.partition < 0 {
        "its partition is negative"
    } else if (row.len_bytes as usize) < HEADER_BYTES || row.len_bytes > BATCH_BYTES_MAX {
        "it is shorter than a header or longer than a request"
    } else {
        return Ok(());
    };
    Err(BuildError::ImpossibleBatch { partition, base_offset, what })
}
