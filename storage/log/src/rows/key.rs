//! The names of rows, and how they are written. The table is in `rows.rs`.

use std::sync::Arc;

use holdfast_base::{CoordinatorSlot, Index, PartitionKey};

use crate::group::Group;
use crate::partition::Partition;

pub(super) const SHARD: u8 = 0x01;
pub(super) const PARTITION: u8 = 0x10;
pub(super) const SEGMENT: u8 = 0x11;
pub(super) const PRODUCER: u8 = 0x12;
pub(super) const PART: u8 = 0x13;
pub(super) const OBJECT: u8 = 0x20;
pub(super) const REFUSED: u8 = 0x21;
pub(super) const GROUP: u8 = 0x30;
pub(super) const RECORD: u8 = 0x31;
pub(super) const OFFSET: u8 = 0x32;

/// A row.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum RowKey {
    /// What a shard has one of.
    Shard,
    /// A partition, but for its lists.
    Partition(PartitionKey),
    /// One of its segments, by base offset.
    Segment(PartitionKey, i64),
    /// One of its producers, by id.
    Producer(PartitionKey, i64),
    /// One of its parts of objects, by base offset.
    Part(PartitionKey, i64),
    /// An object, by number.
    Object(u64),
    /// Refused batches of an entry.
    Refused(Index),
    /// A group, but for its record and offsets.
    Group(CoordinatorSlot, Arc<str>),
    /// Its record.
    Record(CoordinatorSlot, Arc<str>),
    /// One of its offsets.
    Offset(CoordinatorSlot, Arc<str>, PartitionKey),
}

impl RowKey {
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(32);
        match self {
            RowKey::Shard => out.push(SHARD),
            RowKey::Partition(key) => put_partition(&mut out, PARTITION, key),
            RowKey::Segment(key, base_offset) => {
                put_partition(&mut out, SEGMENT, key);
                out.extend_from_slice(&base_offset.to_be_bytes());
            }
            RowKey::Producer(key, id) => {
                put_partition(&mut out, PRODUCER, key);
                out.extend_from_slice(&id.to_be_bytes());
            }
            RowKey::Part(key, base_offset) => {
                put_partition(&mut out, PART, key);
                out.extend_from_slice(&base_offset.to_be_bytes());
            }
            RowKey::Object(number) => {
                out.push(OBJECT);
                out.extend_from_slice(&number.to_be_bytes());
            }
            RowKey::Refused(index) => {
                out.push(REFUSED);
                out.extend_from_slice(&index.0.to_be_bytes());
            }
            RowKey::Group(slot, name) => put_group(&mut out, GROUP, *slot, name),
            RowKey::Record(slot, name) => put_group(&mut out, RECORD, *slot, name),
            RowKey::Offset(slot, name, partition) => {
                out.push(OFFSET);
                out.extend_from_slice(&slot.0.to_be_bytes());
                let len = u16::try_from(name.len()).expect("apply has read it from a text");
                out.extend_from_slice(&len.to_be_bytes());
                out.extend_from_slice(name.as_bytes());
                put_place(&mut out, partition);
            }
        }
        out
    }
}

fn put_partition(out: &mut Vec<u8>, kind: u8, key: &PartitionKey) {
    out.push(kind);
    put_place(out, key);
}

fn put_place(out: &mut Vec<u8>, key: &PartitionKey) {
    out.extend_from_slice(&key.topic.0);
    out.extend_from_slice(&key.partition.to_be_bytes());
}

fn put_group(out: &mut Vec<u8>, kind: u8, slot: CoordinatorSlot, name: &str) {
    out.push(kind);
    out.extend_from_slice(&slot.0.to_be_bytes());
    out.extend_from_slice(name.as_bytes());
}

impl Partition {
    /// Every row of it.
    pub(crate) fn row_keys(&self, key: PartitionKey) -> impl Iterator<Item = RowKey> {
        let segments = self.segments().map(move |row| RowKey::Segment(key, row.base_offset));
        let producers = self.producers.keys().map(move |id| RowKey::Producer(key, *id));
        let parts = self.objects.iter().map(move |row| RowKey::Part(key, row.base_offset));
        std::iter::once(RowKey::Partition(key)).chain(segments).chain(producers).chain(parts)
    }
}

impl Group {
    /// Every row of it.
    pub(crate) fn row_keys(
        &self,
        slot: CoordinatorSlot,
        name: &str,
    ) -> impl Iterator<Item = RowKey> {
        let name: Arc<str> = Arc::from(name);
        let record = self.record.is_some().then(|| RowKey::Record(slot, Arc::clone(&name)));
        let group = RowKey::Group(slot, Arc::clone(&name));
        let offset =
            move |partition: &PartitionKey| RowKey::Offset(slot, Arc::clone(&name), *partition);
        std::iter::once(group).chain(record).chain(self.offsets.keys().map(offset))
    }
}
