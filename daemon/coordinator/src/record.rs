//! A group as the log keeps it, and how large that is.
//!
//! Invariant: a group for which [`record_fits`] says yes has a record of at most [`GROUP_RECORD_MAX_BYTES`]. The
//! estimate is an upper bound: it counts each member's largest metadata, whichever is chosen later.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use holdfast_log::{GroupMember, GroupRecord};

use crate::group::Group;
use crate::member::Member;
use crate::settings::{GROUP_RECORD_MAX_BYTES, MEMBER_ID_PREFIX_MAX_BYTES};

/// Lengths, timeouts and tags of one member in the log; generous on purpose.
const MEMBER_OVERHEAD_BYTES: usize = 64;
/// The same for the group itself, and its leader's id, which stands there once more.
const GROUP_OVERHEAD_BYTES: usize = 256 + MEMBER_ID_PREFIX_MAX_BYTES + 37;

/// Of these protocols one is chosen, and its metadata (and perhaps its name) stands in the record.
pub(crate) fn protocols_bytes(protocols: &[(String, Bytes)]) -> usize {
    protocols.iter().map(|(name, metadata)| name.len() + metadata.len()).max().unwrap_or(0)
}

/// At most so much of the record is this member's, without its assignment.
pub(crate) fn member_bytes(member: &Member) -> usize {
    MEMBER_OVERHEAD_BYTES
        + member.id.len()
        + member.instance_id.as_ref().map_or(0, String::len)
        + member.client_id.len()
        + member.client_host.len()
        + protocols_bytes(&member.protocols)
}

/// Would a group with so many bytes of members and assignments fit into one entry?
pub(crate) fn record_fits(group: &str, protocol_type: &str, bytes: usize) -> bool {
    let strings = group.len().saturating_add(protocol_type.len());
    GROUP_OVERHEAD_BYTES.saturating_add(strings).saturating_add(bytes) <= GROUP_RECORD_MAX_BYTES
}

/// The record of the group as it is, with these assignments where given, else the members' own.
pub(crate) fn record_of(
    group: &Group,
    assignments: Option<&BTreeMap<Arc<str>, Bytes>>,
) -> GroupRecord {
    let protocol = group.protocol.clone();
    let members = group.members.values().map(|member| GroupMember {
        member_id: member.id.to_string(),
        instance_id: member.instance_id.clone(),
        client_id: member.client_id.clone(),
        client_host: member.client_host.clone(),
        session_timeout_ms: member.session_timeout_ms,
        rebalance_timeout_ms: member.rebalance_timeout_ms,
        subscription: member.metadata(protocol.as_deref()),
        assignment: match assignments {
            Some(all) => all.get(&member.id).cloned().unwrap_or_default(),
            None => member.assignment.clone(),
        },
    });
    GroupRecord {
        protocol_type: group.protocol_type.clone().unwrap_or_default(),
        generation: group.generation,
        members: members.collect(),
        leader: group.leader.as_ref().map(ToString::to_string),
        protocol,
    }
}
