//! The groups of a snapshot. The picture is in `snapshot.rs`.

use holdfast_base::{CoordinatorSlot, Index};

use super::put_count;
use crate::group::{
    Group, OffsetRow, put_new_offset, put_record, put_text, read_new_offset, read_record, read_text,
};
use crate::reader::Reader;
use crate::refusal::BrokenInvariant;
use crate::shard::Shard;

pub(super) fn put(out: &mut Vec<u8>, shard: &Shard) {
    put_count(out, shard.groups().count());
    for (slot, name, group) in shard.groups() {
        out.extend_from_slice(&slot.0.to_le_bytes());
        put_text(out, name);
        put_group(out, group);
    }
}

fn put_group(out: &mut Vec<u8>, group: &Group) {
    out.extend_from_slice(&group.changed_at.0.to_le_bytes());
    out.extend_from_slice(&group.empty_since_ms.unwrap_or(0).to_le_bytes());
    out.push(u8::from(group.record.is_some()));
    if let Some(record) = &group.record {
        put_record(out, record);
    }
    put_count(out, group.offsets.len());
    for (key, row) in &group.offsets {
        put_new_offset(out, key, row.offset, row.leader_epoch, &row.metadata);
        out.extend_from_slice(&row.committed_at_ms.to_le_bytes());
    }
}

pub(super) fn read(reader: &mut Reader<'_>, shard: &mut Shard) -> Result<(), BrokenInvariant> {
    for _ in 0..reader.u32()? {
        let slot = CoordinatorSlot(reader.u16()?);
        let name = read_text(reader)?.to_owned();
        let group = read_group(reader)?;
        if group.changed_at > shard.applied {
            return Err(BrokenInvariant::new(format!("group {name} is changed in the future")));
        }
        let last = shard.groups.last_key_value();
        let follows = last.is_none_or(|(last_slot, groups)| {
            *last_slot < slot
                || (*last_slot == slot
                    && groups.last_key_value().is_none_or(|(last, _)| *last < name))
        });
        if !follows {
            return Err(BrokenInvariant::new(format!("group {name} is out of order")));
        }
        shard.groups.entry(slot).or_default().insert(name, group);
    }
    Ok(())
}

fn read_group(reader: &mut Reader<'_>) -> Result<Group, BrokenInvariant> {
    let changed_at = Index(reader.u64()?);
    let empty_since_ms = reader.i64()?;
    let record = match reader.u8()? {
        0 => None,
        1 => Some(read_record(reader)?),
        other => return Err(BrokenInvariant::new(format!("a group has {other} records"))),
    };
    let mut group = Group { record, changed_at, ..Group::default() };
    if group.has_members() && empty_since_ms != 0 {
        return Err(BrokenInvariant::new("a group with members is empty"));
    }
    group.empty_since_ms = (!group.has_members()).then_some(empty_since_ms);
    for _ in 0..reader.u32()? {
        let new = read_new_offset(reader)?;
        if group.offsets.last_key_value().is_some_and(|(last, _)| *last >= new.partition) {
            return Err(BrokenInvariant::new("offsets of a group are out of order"));
        }
        let row = OffsetRow {
            offset: new.offset,
            leader_epoch: new.leader_epoch,
            metadata: new.metadata,
            committed_at_ms: reader.i64()?,
        };
        group.offsets.insert(new.partition, row);
    }
    if group.is_nothing() {
        return Err(BrokenInvariant::new("a group has neither record nor offsets"));
    }
    Ok(group)
}
