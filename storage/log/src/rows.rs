//! A shard's state as rows: what a replica keeps between starts, piece by piece as it changes.
//!
//! ```text
//! key                                                        value
//! 0x01 shard                                                 applied 8 │ term 8 │ time ms 8 │ hash 8 │ uploaded 8 │
//!                                                            its term 8 │ last object number 8 │
//!                                                            partitions 8 │ objects 8 │ refused 8 │ groups 8
//! 0x10 partition     topic 16 │ partition 4                  generation 4 │ epoch base 4 │ config 50 │
//!                                                            log start 8 │ high watermark 8 │ uploaded end 8 │
//!                                                            log start moved at 8
//!                                                            epochs 4 × { epoch 4 │ start offset 8 }
//!                                                            segments 4 │ producers 4 │ objects 4
//! 0x11 segment       topic 16 │ partition 4 │ base offset 8  as in `snapshot.rs`
//! 0x12 producer      topic 16 │ partition 4 │ id 8           as in `snapshot.rs`, without the id
//! 0x13 part          topic 16 │ partition 4 │ base offset 8  number 8 │ last offset 8 │ max timestamp 8 │ bytes 4
//! 0x20 object        number 8                                as in `snapshot.rs`
//! 0x21 refused       index 8                                 ordinals 4 × { ordinal 4 }
//! 0x30 group         slot 2 │ id                             changed at 8 │ empty since ms 8 │ record 1 (0, 1) │ offsets 4
//! 0x31 record        slot 2 │ id                             as in `group/encoding.rs`
//! 0x32 offset        slot 2 │ id length 2 │ id │ topic 16 │ partition 4
//!                                                            as in `snapshot.rs`, without the partition
//! ```
//!
//! Numbers of keys are big-endian, so that their bytes have their order; those of values are
//! little-endian.
//!
//! Idea: a row is what changes together. A produced batch touches its partition, the newest segment
//! and its producer; a commit its group and the offsets it names, not the group's record. [`Marks`]
//! collect which rows changed; [`Shard::take_dirty`] encodes them as they are by then, and a row that
//! is no more is a deletion. So a row changed a thousand times is written once.
//!
//! Invariants: rows taken so far, applied in order over nothing, are [`Shard::rows`] (a test of random
//! commands says so); `from_rows(rows(s)) == s`. Each list's length stands in the row above it, so a
//! row that is lost is seen.

mod key;
mod read;

use std::collections::BTreeSet;

use crate::group::{put_record, put_text};
use crate::shard::Shard;
use crate::snapshot::{
    put_epochs, put_object_row, put_partition_head, put_producer, put_segment_row,
};

pub(crate) use key::RowKey;

/// A row's new value, or its end.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RowChange {
    /// See the module's table.
    pub key: Vec<u8>,
    /// `None` deletes.
    pub value: Option<Vec<u8>>,
}

/// Rows that changed since they were last taken. Not part of the state: two are always equal.
#[derive(Clone, Debug)]
pub(crate) struct Marks<K> {
    /// Off, nothing is collected: nobody will take it.
    on: bool,
    keys: BTreeSet<K>,
}

impl<K> Default for Marks<K> {
    fn default() -> Self {
        Marks { on: false, keys: BTreeSet::new() }
    }
}

impl<K> PartialEq for Marks<K> {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl<K> Eq for Marks<K> {}

impl<K: Ord> Marks<K> {
    pub(crate) fn is_on(&self) -> bool {
        self.on
    }

    /// The row is another one than before, or no more.
    pub(crate) fn mark(&mut self, key: K) {
        if self.on {
            self.keys.insert(key);
        }
    }

    fn begin(&mut self) {
        self.on = true;
        self.keys.clear();
    }

    fn take(&mut self) -> BTreeSet<K> {
        std::mem::take(&mut self.keys)
    }
}

impl Shard {
    /// Every row, ascending by key. From here on changes are collected for [`Shard::take_dirty`].
    pub fn begin_rows(&mut self) -> Vec<RowChange> {
        self.track_rows();
        self.rows()
    }

    /// Changes are collected from here on: the rows of this state are kept already.
    pub fn track_rows(&mut self) {
        self.marks.begin();
        self.objects.marks.begin();
    }

    /// Every row, ascending by key.
    #[must_use]
    pub fn rows(&self) -> Vec<RowChange> {
        let mut keys = vec![RowKey::Shard];
        for (key, partition) in &self.partitions {
            keys.extend(partition.row_keys(*key));
        }
        keys.extend(self.objects.rows().map(|row| RowKey::Object(row.number)));
        keys.extend(self.objects.refused.keys().map(|index| RowKey::Refused(*index)));
        for (slot, name, group) in self.groups() {
            keys.extend(group.row_keys(slot, name));
        }
        let mut rows: Vec<RowChange> = keys.iter().map(|key| self.change(key)).collect();
        rows.sort_by(|one, next| one.key.cmp(&next.key));
        rows
    }

    /// The rows that changed since last asked, or since they are collected, as they are now.
    pub fn take_dirty(&mut self) -> Vec<RowChange> {
        let mut keys = self.marks.take();
        keys.extend(self.objects.marks.take().into_iter().map(RowKey::Object));
        keys.insert(RowKey::Shard);
        keys.iter().map(|key| self.change(key)).collect()
    }

    /// How many rows [`Shard::take_dirty`] would give at most.
    #[must_use]
    pub fn dirty_rows(&self) -> usize {
        self.marks.keys.len() + self.objects.marks.keys.len()
    }

    fn change(&self, key: &RowKey) -> RowChange {
        RowChange { key: key.encode(), value: self.row(key) }
    }

    /// The value of a row; `None` when there is none.
    fn row(&self, key: &RowKey) -> Option<Vec<u8>> {
        let mut out = Vec::new();
        match key {
            RowKey::Shard => self.put_shard_row(&mut out),
            RowKey::Partition(key) => {
                let partition = self.partitions.get(key)?;
                put_partition_head(&mut out, partition);
                put_epochs(&mut out, partition);
                put_len(&mut out, partition.segments().len());
                put_len(&mut out, partition.producers.len());
                put_len(&mut out, partition.objects.len());
            }
            RowKey::Segment(key, base_offset) => {
                let segment = self.partitions.get(key)?.segments.at(*base_offset)?;
                put_segment_row(&mut out, segment);
            }
            RowKey::Producer(key, id) => {
                put_producer(&mut out, self.partitions.get(key)?.producers.get(id)?);
            }
            RowKey::Part(key, base_offset) => {
                let parts = &self.partitions.get(key)?.objects;
                let at = parts.binary_search_by_key(base_offset, |row| row.base_offset).ok()?;
                let row = &parts[at];
                out.extend_from_slice(&row.number.to_le_bytes());
                out.extend_from_slice(&row.last_offset.to_le_bytes());
                out.extend_from_slice(&row.max_timestamp_ms.to_le_bytes());
                out.extend_from_slice(&row.len_bytes.to_le_bytes());
            }
            RowKey::Object(number) => put_object_row(&mut out, self.object_at(*number)?),
            RowKey::Refused(index) => {
                let ordinals = self.objects.refused.get(index)?;
                put_len(&mut out, ordinals.len());
                ordinals.iter().for_each(|one| out.extend_from_slice(&one.to_le_bytes()));
            }
            RowKey::Group(slot, name) => {
                let group = self.group(*slot, name)?;
                out.extend_from_slice(&group.changed_at.0.to_le_bytes());
                out.extend_from_slice(&group.empty_since_ms.unwrap_or(0).to_le_bytes());
                out.push(u8::from(group.record.is_some()));
                put_len(&mut out, group.offsets.len());
            }
            RowKey::Record(slot, name) => {
                put_record(&mut out, self.group(*slot, name)?.record.as_ref()?);
            }
            RowKey::Offset(slot, name, partition) => {
                let row = self.group(*slot, name)?.offset(partition)?;
                out.extend_from_slice(&row.offset.to_le_bytes());
                out.extend_from_slice(&row.leader_epoch.to_le_bytes());
                put_text(&mut out, &row.metadata);
                out.extend_from_slice(&row.committed_at_ms.to_le_bytes());
            }
        }
        Some(out)
    }

    fn put_shard_row(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.applied.0.to_le_bytes());
        out.extend_from_slice(&self.term.0.to_le_bytes());
        out.extend_from_slice(&self.time_ms.to_le_bytes());
        let objects = &self.objects;
        let counts = [
            self.partitions.len(),
            objects.rows().len(),
            objects.refused.len(),
            self.groups().count(),
        ];
        for number in
            [self.digest.value(), objects.uploaded.0, objects.uploaded_term.0, objects.last_number]
                .into_iter()
                .chain(counts.map(|count| count as u64))
        {
            out.extend_from_slice(&number.to_le_bytes());
        }
    }
}

fn put_len(out: &mut Vec<u8>, len: usize) {
    let len = u32::try_from(len).expect("a list in memory has fewer than 2^32 rows");
    out.extend_from_slice(&len.to_le_bytes());
}
