//! The records of an object that is wrong, found again in the log's entries.
//!
//! ```text
//! object 7      A 10..29  B 0..4             what its manifest said, entries 40 to 90
//! entries       40: A 10..14   41: B 0..4, A 15..19   57: A 20..29      still in the log?
//!                 ▼
//! an object with the same rows under a new key, announced as a merge of one: it takes their place
//! ```
//!
//! Idea: the log says nothing of which batches apply refused, once they are in objects; the rows do.
//! A row's batches lie back to back in offsets, so whatever else in those entries claims an offset of
//! the row shows itself: two batches for one offset, or none.
//!
//! Invariants: a repair has every record of the object that can be read, each once, or there is none.
//! Two batches that claim the same offset end it, although one of them may have been refused: a wrong
//! byte is worse than a missing one.

use std::collections::BTreeMap;

use holdfast_base::{Index, PartitionKey, Term};
use thiserror::Error;

use crate::command::{Command, decode_commands};
use crate::object::ObjectId;
use crate::shard::{ObjectState, Shard};

/// Entries that are read for one repair at most: what the writer of an object walks.
pub const REPAIR_ENTRIES_MAX: u64 = 1 << 20;

/// What of a partition an object holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RepairPart {
    /// Which.
    pub partition: PartitionKey,
    /// First offset of the row.
    pub base_offset: i64,
    /// The first offset of it that can be read.
    pub from_offset: i64,
    /// Last offset of the row.
    pub last_offset: i64,
}

/// What an object held, and where in the log it came from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RepairPlan {
    /// [`crate::ObjectRow::number`] of the object that is wrong.
    pub number: u64,
    /// First entry that may have a batch of it.
    pub first_index: Index,
    /// Last entry that may.
    pub last_index: Index,
    /// Term of that entry.
    pub last_term: Term,
    /// What of it can be read, ascending by partition, each once; never empty.
    pub parts: Vec<RepairPart>,
}

/// A batch of the object, in an entry of the log.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RepairBatch {
    /// Its partition.
    pub partition: PartitionKey,
    /// Offset of its first record.
    pub base_offset: i64,
    /// Offset of its last record.
    pub last_offset: i64,
    /// As stored.
    pub leader_epoch: i32,
    /// As stored.
    pub max_timestamp_ms: i64,
    /// First byte in the entry's payload.
    pub payload_start: u32,
    /// Bytes of the batch.
    pub payload_len_bytes: u32,
}

/// Why the log is not enough.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum NotRepairable {
    /// The object spans more than a repair reads.
    #[error("its range of the log has {entries} entries, more than a repair reads")]
    TooWide {
        /// How many.
        entries: u64,
    },
    /// The log has no batch for an offset.
    #[error("the log has nothing of {partition} at offset {offset}")]
    Missing {
        /// Of which partition.
        partition: PartitionKey,
        /// The first one.
        offset: i64,
    },
    /// Two batches claim an offset.
    #[error("the log has two batches of {partition} at offset {offset}, and one was refused")]
    Ambiguous {
        /// Of which partition.
        partition: PartitionKey,
        /// The first one.
        offset: i64,
    },
    /// The log's entries cannot be had.
    #[error("the log cannot be read: {what}")]
    Unreadable {
        /// What it said.
        what: String,
    },
}

/// What is to be found of an object; `None` when nothing reads it any more.
#[must_use]
pub fn plan_repair(shard: &Shard, object: ObjectId) -> Option<RepairPlan> {
    let row = shard.object(object).filter(|row| row.state == ObjectState::Live)?;
    let mut parts = Vec::new();
    for (key, partition) in shard.partitions() {
        for part in partition.objects().iter().filter(|part| part.number == row.number) {
            parts.push(RepairPart {
                partition: *key,
                base_offset: part.base_offset,
                from_offset: part.base_offset.max(partition.log_start()),
                last_offset: part.last_offset,
            });
        }
    }
    (!parts.is_empty()).then_some(RepairPlan {
        number: row.number,
        first_index: row.first_index,
        last_index: row.last_index,
        last_term: row.last_term,
        parts,
    })
}

/// Collects an object's batches from entries that come in the order of the log.
#[derive(Clone, Debug)]
pub struct RepairGather {
    parts: BTreeMap<PartitionKey, Gathering>,
}

#[derive(Clone, Copy, Debug)]
struct Gathering {
    part: RepairPart,
    /// The offset that is due; `None` before the first batch.
    next: Option<i64>,
}

impl RepairGather {
    /// Before the first entry.
    ///
    /// # Errors
    /// When the object is none that can be repaired.
    pub fn new(plan: &RepairPlan) -> Result<RepairGather, NotRepairable> {
        let entries = plan.last_index.0.saturating_sub(plan.first_index.0);
        if entries >= REPAIR_ENTRIES_MAX {
            return Err(NotRepairable::TooWide { entries });
        }
        let gathering = |part: &RepairPart| (part.partition, Gathering { part: *part, next: None });
        Ok(RepairGather { parts: plan.parts.iter().map(gathering).collect() })
    }

    /// The object's batches among the commands of the next entry.
    ///
    /// # Errors
    /// When they do not follow those before; the repair is over.
    pub fn take(&mut self, commands: &[u8]) -> Result<Vec<RepairBatch>, NotRepairable> {
        let mut taken = Vec::new();
        for command in decode_commands(commands) {
            let command =
                command.map_err(|error| NotRepairable::Unreadable { what: error.to_string() })?;
            let Command::AppendBatch(batch) = command else { continue };
            let Some(gathering) = self.parts.get_mut(&batch.partition) else { continue };
            let (partition, base_offset) = (batch.partition, batch.base_offset);
            let last_offset = base_offset.saturating_add(i64::from(batch.last_offset_delta));
            if !gathering.wants(base_offset, last_offset) {
                continue;
            }
            gathering.follow(base_offset, last_offset)?;
            taken.push(RepairBatch {
                partition,
                base_offset,
                last_offset,
                leader_epoch: batch.leader_epoch,
                max_timestamp_ms: batch.max_timestamp_ms,
                payload_start: batch.payload_start,
                payload_len_bytes: batch.payload_len_bytes,
            });
        }
        Ok(taken)
    }

    /// All entries of the range have come.
    ///
    /// # Errors
    /// When records of the object are not among them.
    pub fn finish(&self) -> Result<(), NotRepairable> {
        for Gathering { part, next } in self.parts.values() {
            let due = next.unwrap_or(part.from_offset);
            if due != part.last_offset + 1 {
                return Err(NotRepairable::Missing { partition: part.partition, offset: due });
            }
        }
        Ok(())
    }
}

impl Gathering {
    /// Whether a record of the batch can be read in the row, or claims the place of one.
    fn wants(&self, base_offset: i64, last_offset: i64) -> bool {
        last_offset >= self.part.from_offset && base_offset <= self.part.last_offset
    }

    fn follow(&mut self, base_offset: i64, last_offset: i64) -> Result<(), NotRepairable> {
        let RepairPart { partition, base_offset: row_base, from_offset, last_offset: row_last } =
            self.part;
        let (follows, due) = match self.next {
            Some(next) => (base_offset == next, next),
            // Deleted records may share the first batch.
            None => (row_base <= base_offset && base_offset <= from_offset, from_offset),
        };
        if base_offset > due {
            return Err(NotRepairable::Missing { partition, offset: due });
        }
        if !follows || last_offset < base_offset || last_offset > row_last {
            return Err(NotRepairable::Ambiguous { partition, offset: base_offset });
        }
        self.next = Some(last_offset + 1);
        Ok(())
    }
}
