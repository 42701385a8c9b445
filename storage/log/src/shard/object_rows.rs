//! The rows of objects and of their parts in partitions: how they are kept, not when they change.
//!
//! ```text
//! partition ─▶ PartitionObject ── number ──▶ ObjectRow ── object, term, sequence ──▶ key in the store
//!              40 bytes, for as long as a record in it can be read
//! ```
//!
//! Invariants: `ids` and `rows` tell of the same objects; `unsettled` are those of them with a step
//! before them. A number is given once.

use std::collections::{BTreeMap, BTreeSet};

use holdfast_base::{Index, Term};

use crate::object::{ManifestRow, ObjectId};
use crate::rows::Marks;

/// What an object was made of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ObjectKind {
    /// Of the log: all living batches of its range.
    Cut,
    /// Of other objects, in whose ranges its own lies.
    Merged,
}

/// Where an object is in its life.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ObjectState {
    /// Announced: it may be in the store.
    Intended,
    /// In the store, with records in it.
    Live,
    /// Nobody begins to read it any more.
    Retired,
    /// It will not be carried out; it may be in the store.
    Abandoned,
}

/// An object.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ObjectRow {
    /// Counted in this shard, from 1 in the order of intents: the name that rows of partitions use.
    pub number: u64,
    /// Its name in the store.
    pub object: ObjectId,
    /// Of the leader that announced it.
    pub term: Term,
    /// Given by that leader.
    pub sequence: u64,
    /// What it was made of.
    pub kind: ObjectKind,
    /// First entry.
    pub first_index: Index,
    /// Last entry.
    pub last_index: Index,
    /// Where it is in its life.
    pub state: ObjectState,
    /// Entry time of its last step.
    pub changed_ms: i64,
    /// Its length; 0 until it is live.
    pub object_bytes: u64,
    /// Its footer and trailer; 0 until it is live.
    pub tail_bytes: u32,
    /// Of the whole object; zeros until it is live.
    pub sha256: [u8; 32],
    /// As in its head; 0 until it is live.
    pub created_ms: i64,
    /// Term of its last entry; 0 until it is live.
    pub last_term: Term,
    /// Partitions that have a row of it.
    pub live_rows: u32,
    /// Entry time since when it holds bytes that nobody may read any more, or that are kept
    /// elsewhere too.
    pub dead_since_ms: Option<i64>,
}

/// One object's part in a partition.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PartitionObject {
    /// [`ObjectRow::number`].
    pub number: u64,
    /// First offset.
    pub base_offset: i64,
    /// Last offset.
    pub last_offset: i64,
    /// Kafka's largest timestamp, ms.
    pub max_timestamp_ms: i64,
    /// Bytes of its blocks.
    pub len_bytes: u32,
}

impl PartitionObject {
    pub(super) fn of(number: u64, row: &ManifestRow) -> PartitionObject {
        PartitionObject {
            number,
            base_offset: row.base_offset,
            last_offset: row.last_offset,
            max_timestamp_ms: row.max_timestamp_ms,
            len_bytes: row.len_bytes,
        }
    }
}

const _: () = assert!(size_of::<PartitionObject>() <= 48, "design: at most 48 bytes a row");

/// The objects of a shard.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Objects {
    /// By number.
    pub(super) rows: BTreeMap<u64, ObjectRow>,
    /// The numbers of `rows` by id.
    ids: BTreeMap<ObjectId, u64>,
    /// The numbers of `rows` that are not live, or hold nothing: those with a step before them. A
    /// year of history has very many others.
    pub(super) unsettled: BTreeSet<u64>,
    /// The numbers of live `rows` that hold dead bytes beside living ones.
    dead: BTreeSet<u64>,
    /// The last number given; never given again.
    pub(crate) last_number: u64,
    /// Every batch up to here is in a committed object, or was not one to keep.
    pub(crate) uploaded: Index,
    /// Term of that entry.
    pub(crate) uploaded_term: Term,
    /// Ordinals of refused batches in entries behind `uploaded`.
    pub(crate) refused: BTreeMap<Index, Vec<u32>>,
    /// Rows of `rows` to be kept anew.
    pub(crate) marks: Marks<u64>,
}

impl Objects {
    pub(crate) fn rows(&self) -> impl ExactSizeIterator<Item = &ObjectRow> {
        self.rows.values()
    }

    pub(super) fn unsettled(&self) -> impl Iterator<Item = &ObjectRow> {
        self.unsettled.iter().filter_map(|number| self.rows.get(number))
    }

    /// Announced cuts, in the order of their ranges.
    pub(super) fn open(&self) -> impl Iterator<Item = &ObjectRow> {
        self.announced().filter(|row| row.kind == ObjectKind::Cut)
    }

    /// Whatever is announced.
    pub(super) fn announced(&self) -> impl Iterator<Item = &ObjectRow> {
        self.unsettled().filter(|row| row.state == ObjectState::Intended)
    }

    pub(super) fn by_id(&self, object: ObjectId) -> Option<&ObjectRow> {
        self.rows.get(self.ids.get(&object)?)
    }

    /// Puts a row in the place of the one of its number.
    pub(crate) fn put(&mut self, row: ObjectRow) {
        let number = row.number;
        self.ids.insert(row.object, number);
        self.rows.insert(number, row);
        self.sort_in(number);
    }

    /// After a change of a row: whether a step is before it, whether it is to be emptied.
    pub(super) fn sort_in(&mut self, number: u64) {
        self.marks.mark(number);
        let Some(row) = self.rows.get(&number) else { return };
        let serves = row.state == ObjectState::Live && row.live_rows > 0;
        if serves {
            self.unsettled.remove(&number);
        } else {
            self.unsettled.insert(number);
        }
        if serves && row.dead_since_ms.is_some() {
            self.dead.insert(number);
        } else {
            self.dead.remove(&number);
        }
    }

    /// Live ones that hold dead bytes.
    pub(super) fn dead(&self) -> impl Iterator<Item = &ObjectRow> {
        self.dead.iter().filter_map(|number| self.rows.get(number))
    }

    pub(super) fn remove(&mut self, number: u64) {
        self.marks.mark(number);
        self.unsettled.remove(&number);
        self.dead.remove(&number);
        if let Some(row) = self.rows.remove(&number) {
            self.ids.remove(&row.object);
        }
    }
}
