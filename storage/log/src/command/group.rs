//! Bodies of the commands about consumer groups. Little-endian; text, record and blob as in
//! `group/encoding.rs`.
//!
//! ```text
//! every body begins with    slot 2 (u16) │ group text
//!
//! PutGroup       … │ record
//! RemoveGroup    … │ planned at 8 (u64)
//! CommitOffsets  … │ offsets 4 (u32) × { topic id 16 │ partition 4 (i32) │ offset 8 (i64)
//!                                        leader epoch 4 (i32) │ metadata text }
//! RemoveOffsets  … │ planned at 8 (u64) │ partitions 4 (u32) × { topic id 16 │ partition 4 (i32) }
//! ```
//!
//! *Planned at* is the entry on whose state a sweep was planned: a group changed by a later one is
//! left alone. 2^64-1: an administrator asked, whatever was under way.
//!
//! A list may name a partition twice: of offsets the last one stays. The commit time is not here:
//! it is the entry's.

use holdfast_base::{CoordinatorSlot, Index, PartitionKey};

use crate::group::{
    GroupRecord, NewOffset, put_new_offset, put_partition_key, put_record, put_text,
    read_new_offset, read_partition_key, read_record, read_text,
};
use crate::reader::Reader;
use crate::refusal::BrokenInvariant;

/// Removes whatever is there.
pub(crate) const UNCONDITIONAL: Index = Index(u64::MAX);

/// A group's membership, whole.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PutGroup {
    /// The group's.
    pub slot: CoordinatorSlot,
    /// Its id.
    pub group: String,
    /// From here on.
    pub record: GroupRecord,
}

/// A group ends here: record and all offsets.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RemoveGroup {
    /// The group's.
    pub slot: CoordinatorSlot,
    /// Its id.
    pub group: String,
    /// Changed by a later entry, it stays.
    pub planned_at: Index,
}

/// Where a group goes on. An unknown group begins here.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CommitOffsets {
    /// The group's.
    pub slot: CoordinatorSlot,
    /// Its id.
    pub group: String,
    /// Of equal partitions the last counts.
    pub offsets: Vec<NewOffset>,
}

/// Committed offsets are forgotten. A group left with neither record nor offsets is gone.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RemoveOffsets {
    /// The group's.
    pub slot: CoordinatorSlot,
    /// Its id.
    pub group: String,
    /// Of a group changed by a later entry, all stay.
    pub planned_at: Index,
    /// Which.
    pub partitions: Vec<PartitionKey>,
}

fn put_name(out: &mut Vec<u8>, slot: CoordinatorSlot, group: &str) {
    out.extend_from_slice(&slot.0.to_le_bytes());
    put_text(out, group);
}

fn read_name(body: &mut Reader<'_>) -> Result<(CoordinatorSlot, String), BrokenInvariant> {
    let slot = CoordinatorSlot(body.u16()?);
    Ok((slot, read_text(body)?.to_owned()))
}

fn put_count(out: &mut Vec<u8>, count: usize) {
    let count = u32::try_from(count).expect("a list in memory has fewer than 2^32 rows");
    out.extend_from_slice(&count.to_le_bytes());
}

impl PutGroup {
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        put_name(out, self.slot, &self.group);
        put_record(out, &self.record);
    }

    pub(super) fn decode(body: &mut Reader<'_>) -> Result<Self, BrokenInvariant> {
        let (slot, group) = read_name(body)?;
        Ok(PutGroup { slot, group, record: read_record(body)? })
    }
}

impl RemoveGroup {
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        put_name(out, self.slot, &self.group);
        out.extend_from_slice(&self.planned_at.0.to_le_bytes());
    }

    pub(super) fn decode(body: &mut Reader<'_>) -> Result<Self, BrokenInvariant> {
        let (slot, group) = read_name(body)?;
        Ok(RemoveGroup { slot, group, planned_at: Index(body.u64()?) })
    }
}

impl CommitOffsets {
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        put_name(out, self.slot, &self.group);
        put_count(out, self.offsets.len());
        for new in &self.offsets {
            put_new_offset(out, &new.partition, new.offset, new.leader_epoch, &new.metadata);
        }
    }

    pub(super) fn decode(body: &mut Reader<'_>) -> Result<Self, BrokenInvariant> {
        let (slot, group) = read_name(body)?;
        let mut offsets = Vec::new();
        for _ in 0..body.u32()? {
            offsets.push(read_new_offset(body)?);
        }
        Ok(CommitOffsets { slot, group, offsets })
    }
}

impl RemoveOffsets {
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        put_name(out, self.slot, &self.group);
        out.extend_from_slice(&self.planned_at.0.to_le_bytes());
        put_count(out, self.partitions.len());
        for partition in &self.partitions {
            put_partition_key(out, partition);
        }
    }

    pub(super) fn decode(body: &mut Reader<'_>) -> Result<Self, BrokenInvariant> {
        let (slot, group) = read_name(body)?;
        let planned_at = Index(body.u64()?);
        let mut partitions = Vec::new();
        for _ in 0..body.u32()? {
            partitions.push(read_partition_key(body)?);
        }
        Ok(RemoveOffsets { slot, group, planned_at, partitions })
    }
}
