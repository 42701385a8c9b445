//! Rows back to a state. Nothing is believed: what they say is a state only if a snapshot that says
//! the same would be one.

use std::collections::BTreeMap;

use bytes::Bytes;
use holdfast_base::{CoordinatorSlot, Index, PartitionKey, Term, TopicId};

use super::key::{
    GROUP, OBJECT, OFFSET, PART, PARTITION, PRODUCER, RECORD, REFUSED, SEGMENT, SHARD,
};
use crate::digest::Digest;
use crate::group::{Group, OffsetRow, read_record, read_text};
use crate::reader::Reader;
use crate::refusal::BrokenInvariant;
use crate::shard::{PartitionObject, Shard};
use crate::snapshot::{
    read_epochs, read_object_row, read_partition_head, read_producer, read_segment_row,
};

/// Lengths of lists that the rows above them tell.
#[derive(Default)]
struct Claims {
    partitions: BTreeMap<PartitionKey, [u32; 3]>,
    groups: BTreeMap<(CoordinatorSlot, String), (bool, u32)>,
    /// Of partitions, objects, refused entries and groups.
    shard: Option<[u64; 4]>,
}

impl Shard {
    /// The shard whose rows these are, in the order of their keys. Planted bugs are off and changes
    /// are not collected.
    ///
    /// # Errors
    /// When a row is missing, damaged, out of place, or they describe a state that cannot be.
    pub fn from_rows(
        rows: impl IntoIterator<Item = (Bytes, Bytes)>,
    ) -> Result<Shard, BrokenInvariant> {
        let mut shard = Shard::new();
        let mut claims = Claims::default();
        let mut last = Bytes::new();
        for (key, value) in rows {
            if key <= last {
                return Err(BrokenInvariant::new("rows are out of order"));
            }
            shard.take_row(&key, &value, &mut claims)?;
            last = key;
        }
        claims.hold(&shard)?;
        // One judge of what a state may be.
        Shard::restore(&shard.snapshot())
    }

    fn take_row(
        &mut self,
        key: &[u8],
        value: &[u8],
        claims: &mut Claims,
    ) -> Result<(), BrokenInvariant> {
        let Some((kind, rest)) = key.split_first() else { return Err(unknown(key)) };
        let (mut name, mut value) = (Reader::new(rest), Reader::new(value));
        match *kind {
            SHARD => self.take_shard_row(&mut value, claims)?,
            PARTITION => {
                let key = read_place(&mut name)?;
                let mut partition = read_partition_head(&mut value)?;
                partition.epochs = read_epochs(&mut value)?;
                claims.partitions.insert(key, [value.u32()?, value.u32()?, value.u32()?]);
                self.partitions.insert(key, partition);
            }
            SEGMENT | PRODUCER | PART => {
                let key = read_place(&mut name)?;
                let number = i64::from_be_bytes(name.bytes()?);
                let partition = self.partitions.get_mut(&key).ok_or_else(|| orphan(&key))?;
                match *kind {
                    SEGMENT => {
                        let row = read_segment_row(&mut value)?;
                        if row.base_offset != number {
                            return Err(BrokenInvariant::new("a segment lies under another's key"));
                        }
                        partition.segments.push(row);
                    }
                    PRODUCER => {
                        let producer = read_producer(&mut value, number, i64::MAX)?;
                        partition.producers.insert(number, producer);
                    }
                    _ => partition.objects.push_back(PartitionObject {
                        number: value.u64()?,
                        base_offset: number,
                        last_offset: value.i64()?,
                        max_timestamp_ms: value.i64()?,
                        len_bytes: value.u32()?,
                    }),
                }
            }
            OBJECT => {
                let row = read_object_row(&mut value)?;
                if row.number != u64::from_be_bytes(name.bytes()?) {
                    return Err(BrokenInvariant::new("an object lies under another's key"));
                }
                self.objects.put(row);
            }
            REFUSED => {
                let index = Index(u64::from_be_bytes(name.bytes()?));
                let mut ordinals = Vec::new();
                for _ in 0..value.u32()? {
                    ordinals.push(value.u32()?);
                }
                self.objects.refused.insert(index, ordinals);
            }
            GROUP | RECORD | OFFSET => {
                self.take_group_row(*kind, &mut name, &mut value, claims)?;
            }
            _ => return Err(unknown(key)),
        }
        name.end("a row's key")?;
        value.end("a row")
    }

    fn take_shard_row(
        &mut self,
        value: &mut Reader<'_>,
        claims: &mut Claims,
    ) -> Result<(), BrokenInvariant> {
        self.applied = Index(value.u64()?);
        self.term = Term(value.u64()?);
        self.time_ms = value.i64()?;
        self.digest = Digest::from_value(value.u64()?);
        self.objects.uploaded = Index(value.u64()?);
        self.objects.uploaded_term = Term(value.u64()?);
        self.objects.last_number = value.u64()?;
        claims.shard = Some([value.u64()?, value.u64()?, value.u64()?, value.u64()?]);
        Ok(())
    }

    fn take_group_row(
        &mut self,
        kind: u8,
        name: &mut Reader<'_>,
        value: &mut Reader<'_>,
        claims: &mut Claims,
    ) -> Result<(), BrokenInvariant> {
        let slot = CoordinatorSlot(u16::from_be_bytes(name.bytes()?));
        let len = match kind {
            OFFSET => usize::from(u16::from_be_bytes(name.bytes()?)),
            _ => name.left(),
        };
        let id = std::str::from_utf8(name.slice(len)?)
            .map_err(|error| BrokenInvariant::new(format!("a group's id is no text: {error}")))?;
        if kind == GROUP {
            let mut group = Group { changed_at: Index(value.u64()?), ..Group::default() };
            // Taken back below if its record has members.
            group.empty_since_ms = Some(value.i64()?);
            let claim = (value.u8()? == 1, value.u32()?);
            claims.groups.insert((slot, id.to_owned()), claim);
            self.groups.entry(slot).or_default().insert(id.to_owned(), group);
            return Ok(());
        }
        let group = self.groups.get_mut(&slot).and_then(|groups| groups.get_mut(id));
        let group =
            group.ok_or_else(|| BrokenInvariant::new(format!("a row of no group: {id}")))?;
        if kind == RECORD {
            group.record = Some(read_record(value)?);
            if group.has_members() && group.empty_since_ms.take() != Some(0) {
                return Err(BrokenInvariant::new("a group with members is empty"));
            }
            return Ok(());
        }
        let partition = read_place(name)?;
        let row = OffsetRow {
            offset: value.i64()?,
            leader_epoch: value.i32()?,
            metadata: read_text(value)?.to_owned(),
            committed_at_ms: value.i64()?,
        };
        group.offsets.insert(partition, row);
        Ok(())
    }
}

impl Claims {
    /// Whether every row is there that a row above it tells of.
    fn hold(&self, shard: &Shard) -> Result<(), BrokenInvariant> {
        let lacks = |what: String| Err(BrokenInvariant::new(format!("rows of {what} are missing")));
        let counts = [
            shard.partitions.len(),
            shard.objects.rows().len(),
            shard.objects.refused.len(),
            shard.groups().count(),
        ];
        if self.shard != Some(counts.map(|count| count as u64)) {
            return lacks("the shard".to_owned());
        }
        for (key, partition) in &shard.partitions {
            let counts =
                [partition.segments().len(), partition.producers.len(), partition.objects.len()];
            let claimed = self.partitions.get(key).map(|claim| claim.map(|count| count as usize));
            if claimed != Some(counts) {
                return lacks(format!("partition {key}"));
            }
        }
        for (slot, name, group) in shard.groups() {
            let have = (group.record.is_some(), group.offsets.len());
            let claimed = self.groups.get(&(slot, name.to_owned()));
            if claimed.map(|(record, offsets)| (*record, *offsets as usize)) != Some(have) {
                return lacks(format!("group {name}"));
            }
        }
        Ok(())
    }
}

fn read_place(key: &mut Reader<'_>) -> Result<PartitionKey, BrokenInvariant> {
    Ok(PartitionKey { topic: TopicId(key.bytes()?), partition: i32::from_be_bytes(key.bytes()?) })
}

fn orphan(key: &PartitionKey) -> BrokenInvariant {
    BrokenInvariant::new(format!("a row of no partition: {key}"))
}

fn unknown(key: &[u8]) -> BrokenInvariant {
    BrokenInvariant::new(format!("no row has a key like {:02x?}", key.get(..8).unwrap_or(key)))
}
