//! The objects of a snapshot. The picture is in `snapshot.rs`.

use std::collections::{BTreeMap, VecDeque};

use holdfast_base::{Index, Term};

use super::put_count;
use crate::object::ObjectId;
use crate::reader::Reader;
use crate::refusal::BrokenInvariant;
use crate::shard::{ObjectKind, ObjectRow, ObjectState, PartitionObject, Shard};

/// Stands for an object whose bytes can all be read: no entry has that time.
const NOTHING_DEAD: i64 = i64::MAX;

pub(super) fn put(out: &mut Vec<u8>, shard: &Shard) {
    let objects = &shard.objects;
    for number in [objects.uploaded.0, objects.uploaded_term.0, objects.last_number] {
        out.extend_from_slice(&number.to_le_bytes());
    }
    put_count(out, objects.rows().len());
    for row in objects.rows() {
        put_row(out, row);
    }
    put_count(out, objects.refused.len());
    for (index, ordinals) in &objects.refused {
        out.extend_from_slice(&index.0.to_le_bytes());
        put_count(out, ordinals.len());
        for ordinal in ordinals {
            out.extend_from_slice(&ordinal.to_le_bytes());
        }
    }
}

pub(crate) fn put_row(out: &mut Vec<u8>, row: &ObjectRow) {
    out.extend_from_slice(&row.number.to_le_bytes());
    out.extend_from_slice(&row.object.0);
    for number in [row.term.0, row.sequence, row.first_index.0, row.last_index.0] {
        out.extend_from_slice(&number.to_le_bytes());
    }
    out.push(match row.kind {
        ObjectKind::Cut => 1,
        ObjectKind::Merged => 2,
    });
    out.push(match row.state {
        ObjectState::Intended => 1,
        ObjectState::Live => 2,
        ObjectState::Retired => 3,
        ObjectState::Abandoned => 4,
    });
    out.extend_from_slice(&row.changed_ms.to_le_bytes());
    out.extend_from_slice(&row.object_bytes.to_le_bytes());
    out.extend_from_slice(&row.tail_bytes.to_le_bytes());
    out.extend_from_slice(&row.sha256);
    out.extend_from_slice(&row.created_ms.to_le_bytes());
    out.extend_from_slice(&row.last_term.0.to_le_bytes());
    out.extend_from_slice(&row.dead_since_ms.unwrap_or(NOTHING_DEAD).to_le_bytes());
}

pub(super) fn put_partition_rows(out: &mut Vec<u8>, rows: &VecDeque<PartitionObject>) {
    put_count(out, rows.len());
    for row in rows {
        out.extend_from_slice(&row.number.to_le_bytes());
        out.extend_from_slice(&row.base_offset.to_le_bytes());
        out.extend_from_slice(&row.last_offset.to_le_bytes());
        out.extend_from_slice(&row.max_timestamp_ms.to_le_bytes());
        out.extend_from_slice(&row.len_bytes.to_le_bytes());
    }
}

pub(super) fn read_partition_rows(
    reader: &mut Reader<'_>,
    uploaded_end: i64,
) -> Result<VecDeque<PartitionObject>, BrokenInvariant> {
    let mut rows: VecDeque<PartitionObject> = VecDeque::new();
    for _ in 0..reader.u32()? {
        let row = PartitionObject {
            number: reader.u64()?,
            base_offset: reader.i64()?,
            last_offset: reader.i64()?,
            max_timestamp_ms: reader.i64()?,
            len_bytes: reader.u32()?,
        };
        let from = rows.back().map_or(0, |last| last.last_offset + 1);
        if row.base_offset < from || row.last_offset < row.base_offset {
            return Err(BrokenInvariant::new("a partition's objects are out of order"));
        }
        if row.last_offset >= uploaded_end {
            return Err(BrokenInvariant::new("a partition has more in objects than it says"));
        }
        rows.push_back(row);
    }
    Ok(rows)
}

/// Reads them into `shard`, whose partitions are read already.
pub(super) fn read(reader: &mut Reader<'_>, shard: &mut Shard) -> Result<(), BrokenInvariant> {
    shard.objects.uploaded = Index(reader.u64()?);
    shard.objects.uploaded_term = Term(reader.u64()?);
    shard.objects.last_number = reader.u64()?;
    if shard.objects.uploaded > shard.applied {
        return Err(BrokenInvariant::new("more is uploaded than is applied"));
    }
    let mut live: BTreeMap<u64, u32> = BTreeMap::new();
    for row in shard.partitions.values().flat_map(|partition| &partition.objects) {
        *live.entry(row.number).or_default() += 1;
    }
    let (mut last, mut behind) = (0, shard.objects.uploaded);
    for _ in 0..reader.u32()? {
        let mut row = read_row(reader)?;
        if row.number <= last || row.number > shard.objects.last_number {
            return Err(BrokenInvariant::new("objects are out of order"));
        }
        row.live_rows = live.remove(&row.number).unwrap_or(0);
        if row.live_rows > 0 && row.state != ObjectState::Live {
            return Err(BrokenInvariant::new(format!(
                "object {} holds records and is {:?}",
                row.number, row.state
            )));
        }
        last = row.number;
        match (row.state, row.kind) {
            (ObjectState::Intended, ObjectKind::Cut) => {
                if row.first_index <= behind || row.last_index >= shard.applied {
                    return Err(BrokenInvariant::new("open intents are out of order"));
                }
                behind = row.last_index;
            }
            (ObjectState::Intended, ObjectKind::Merged)
                if row.last_index > shard.objects.uploaded =>
            {
                return Err(BrokenInvariant::new("a merge is of what is not uploaded"));
            }
            _ => {}
        }
        if shard.object(row.object).is_some() {
            return Err(BrokenInvariant::new(format!("two rows tell of object {}", row.object)));
        }
        shard.objects.put(row);
    }
    if let Some(number) = live.keys().next() {
        return Err(BrokenInvariant::new(format!("no row tells of object {number}")));
    }
    for _ in 0..reader.u32()? {
        let index = Index(reader.u64()?);
        let mut ordinals = Vec::new();
        for _ in 0..reader.u32()? {
            ordinals.push(reader.u32()?);
        }
        let last = shard.objects.refused.last_key_value().map(|(index, _)| *index);
        let follows = last.unwrap_or(shard.objects.uploaded) < index && index <= shard.applied;
        let ascend = ordinals.windows(2).all(|pair| pair[0] < pair[1]);
        if !follows || !ascend || ordinals.is_empty() {
            return Err(BrokenInvariant::new("refused batches are out of order"));
        }
        shard.objects.refused.insert(index, ordinals);
    }
    Ok(())
}

pub(crate) fn read_row(reader: &mut Reader<'_>) -> Result<ObjectRow, BrokenInvariant> {
    let row = ObjectRow {
        number: reader.u64()?,
        object: ObjectId(reader.bytes()?),
        term: Term(reader.u64()?),
        sequence: reader.u64()?,
        first_index: Index(reader.u64()?),
        last_index: Index(reader.u64()?),
        kind: match reader.u8()? {
            1 => ObjectKind::Cut,
            2 => ObjectKind::Merged,
            other => return Err(BrokenInvariant::new(format!("an object has kind {other}"))),
        },
        state: match reader.u8()? {
            1 => ObjectState::Intended,
            2 => ObjectState::Live,
            3 => ObjectState::Retired,
            4 => ObjectState::Abandoned,
            other => {
                return Err(BrokenInvariant::new(format!("an object has state {other}")));
            }
        },
        changed_ms: reader.i64()?,
        object_bytes: reader.u64()?,
        tail_bytes: reader.u32()?,
        sha256: reader.bytes()?,
        created_ms: reader.i64()?,
        last_term: Term(reader.u64()?),
        live_rows: 0,
        dead_since_ms: Some(reader.i64()?).filter(|since| *since != NOTHING_DEAD),
    };
    if row.first_index.0 == 0 || row.first_index > row.last_index {
        return Err(BrokenInvariant::new(format!("object {} has an empty range", row.number)));
    }
    Ok(row)
}
