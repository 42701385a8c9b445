//! The rows of a group as bytes, the same in commands and in a snapshot. Little-endian.
//!
//! ```text
//! text          length 2 (u16, at most 32,767) │ UTF-8
//! text?         length 0xffff: there is none
//! blob          length 4 (u32) │ bytes
//!
//! record        protocol type text │ generation 4 (i32) │ protocol text? │ leader text?
//!               members 4 (u32) × { member id text │ instance id text? │ client id text
//!                                   client host text │ session timeout ms 4 (i32)
//!                                   rebalance timeout ms 4 (i32) │ subscription blob
//!                                   assignment blob }
//! ```
//!
//! Invariants: members ascend by id, each once; anything else is a broken invariant. A count is
//! believed only as far as its rows are there, so memory grows with bytes received.

use bytes::Bytes;
use holdfast_base::{PartitionKey, TopicId};

use super::{GROUP_TEXT_MAX_BYTES, GroupMember, GroupRecord, NewOffset};
use crate::reader::Reader;
use crate::refusal::BrokenInvariant;

const NO_TEXT: u16 = u16::MAX;

const _: () = assert!(GROUP_TEXT_MAX_BYTES < NO_TEXT as usize);

/// Panics when the text is longer than [`GROUP_TEXT_MAX_BYTES`]: who proposes has checked it.
pub(crate) fn put_text(out: &mut Vec<u8>, text: &str) {
    assert!(text.len() <= GROUP_TEXT_MAX_BYTES, "a text of {} bytes was proposed", text.len());
    let len = u16::try_from(text.len()).expect("the line above says so");
    out.extend_from_slice(&len.to_le_bytes());
    out.extend_from_slice(text.as_bytes());
}

fn put_optional_text(out: &mut Vec<u8>, text: Option<&str>) {
    match text {
        Some(text) => put_text(out, text),
        None => out.extend_from_slice(&NO_TEXT.to_le_bytes()),
    }
}

fn put_blob(out: &mut Vec<u8>, blob: &[u8]) {
    let len = u32::try_from(blob.len()).expect("a record is smaller than 4 GiB");
    out.extend_from_slice(&len.to_le_bytes());
    out.extend_from_slice(blob);
}

pub(crate) fn put_record(out: &mut Vec<u8>, record: &GroupRecord) {
    put_text(out, &record.protocol_type);
    out.extend_from_slice(&record.generation.to_le_bytes());
    put_optional_text(out, record.protocol.as_deref());
    put_optional_text(out, record.leader.as_deref());
    let members = u32::try_from(record.members.len()).expect("a record is smaller than 4 GiB");
    out.extend_from_slice(&members.to_le_bytes());
    for member in &record.members {
        put_text(out, &member.member_id);
        put_optional_text(out, member.instance_id.as_deref());
        put_text(out, &member.client_id);
        put_text(out, &member.client_host);
        out.extend_from_slice(&member.session_timeout_ms.to_le_bytes());
        out.extend_from_slice(&member.rebalance_timeout_ms.to_le_bytes());
        put_blob(out, &member.subscription);
        put_blob(out, &member.assignment);
    }
}

/// What [`put_record`] writes.
pub(super) fn record_len(record: &GroupRecord) -> usize {
    let text = |text: &str| 2 + text.len();
    let optional = |text: &Option<String>| 2 + text.as_ref().map_or(0, String::len);
    let members: usize = record
        .members
        .iter()
        .map(|member| {
            text(&member.member_id)
                + optional(&member.instance_id)
                + text(&member.client_id)
                + text(&member.client_host)
                + 16
                + member.subscription.len()
                + member.assignment.len()
        })
        .sum();
    text(&record.protocol_type)
        + 8
        + optional(&record.protocol)
        + optional(&record.leader)
        + members
}

pub(crate) fn put_partition_key(out: &mut Vec<u8>, key: &PartitionKey) {
    out.extend_from_slice(&key.topic.0);
    out.extend_from_slice(&key.partition.to_le_bytes());
}

pub(crate) fn read_partition_key(reader: &mut Reader<'_>) -> Result<PartitionKey, BrokenInvariant> {
    Ok(PartitionKey { topic: TopicId(reader.bytes()?), partition: reader.i32()? })
}

/// Partition 20, offset 8, leader epoch 4, metadata text.
pub(crate) fn put_new_offset(
    out: &mut Vec<u8>,
    partition: &PartitionKey,
    offset: i64,
    leader_epoch: i32,
    metadata: &str,
) {
    put_partition_key(out, partition);
    out.extend_from_slice(&offset.to_le_bytes());
    out.extend_from_slice(&leader_epoch.to_le_bytes());
    put_text(out, metadata);
}

pub(crate) fn read_new_offset(reader: &mut Reader<'_>) -> Result<NewOffset, BrokenInvariant> {
    Ok(NewOffset {
        partition: read_partition_key(reader)?,
        offset: reader.i64()?,
        leader_epoch: reader.i32()?,
        metadata: read_text(reader)?.to_owned(),
    })
}

pub(crate) fn read_text<'a>(reader: &mut Reader<'a>) -> Result<&'a str, BrokenInvariant> {
    let len = reader.u16()?;
    text_of_len(reader, len)
}

fn text_of_len<'a>(reader: &mut Reader<'a>, len: u16) -> Result<&'a str, BrokenInvariant> {
    let len = usize::from(len);
    if len > GROUP_TEXT_MAX_BYTES {
        return Err(BrokenInvariant::new(format!("a text of a group has {len} bytes")));
    }
    std::str::from_utf8(reader.slice(len)?)
        .map_err(|error| BrokenInvariant::new(format!("a text of a group is not UTF-8: {error}")))
}

fn read_optional_text(reader: &mut Reader<'_>) -> Result<Option<String>, BrokenInvariant> {
    match reader.u16()? {
        NO_TEXT => Ok(None),
        len => Ok(Some(text_of_len(reader, len)?.to_owned())),
    }
}

fn read_blob(reader: &mut Reader<'_>) -> Result<Bytes, BrokenInvariant> {
    let len = reader.u32()?;
    Ok(Bytes::copy_from_slice(reader.slice(len as usize)?))
}

pub(crate) fn read_record(reader: &mut Reader<'_>) -> Result<GroupRecord, BrokenInvariant> {
    let mut record = GroupRecord {
        protocol_type: read_text(reader)?.to_owned(),
        generation: reader.i32()?,
        protocol: read_optional_text(reader)?,
        leader: read_optional_text(reader)?,
        members: Vec::new(),
    };
    for _ in 0..reader.u32()? {
        let member = GroupMember {
            member_id: read_text(reader)?.to_owned(),
            instance_id: read_optional_text(reader)?,
            client_id: read_text(reader)?.to_owned(),
            client_host: read_text(reader)?.to_owned(),
            session_timeout_ms: reader.i32()?,
            rebalance_timeout_ms: reader.i32()?,
            subscription: read_blob(reader)?,
            assignment: read_blob(reader)?,
        };
        if record.members.last().is_some_and(|last| last.member_id >= member.member_id) {
            return Err(BrokenInvariant::new("members of a group are out of order"));
        }
        record.members.push(member);
    }
    Ok(record)
}
