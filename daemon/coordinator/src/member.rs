//! One member of a group, as its coordinator knows it.

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;
use holdfast_base::Rng;

use crate::call::Caller;
use crate::deadlines::Session;
use crate::settings::MEMBER_ID_PREFIX_MAX_BYTES;

#[derive(Debug)]
pub(crate) struct Member {
    pub(crate) id: Arc<str>,
    /// Set exactly when the group's `statics` has it.
    pub(crate) instance_id: Option<String>,
    pub(crate) client_id: String,
    pub(crate) client_host: String,
    pub(crate) session_timeout_ms: i32,
    pub(crate) rebalance_timeout_ms: i32,
    /// Names are distinct.
    pub(crate) protocols: Vec<(String, Bytes)>,
    /// Of the generation that is stable; empty before.
    pub(crate) assignment: Bytes,
    /// Its first JoinGroup is not answered yet: it has no heartbeat, and may be dropped meanwhile.
    pub(crate) is_new: bool,
    /// Parked until the join phase ends. Counted in the group's `awaiting_join`.
    pub(crate) awaiting_join: Option<Caller>,
    /// Parked until the leader's assignments are stored.
    pub(crate) awaiting_sync: Option<Caller>,
    /// Has been told of a generation and has not asked for its assignment. Counted in the group.
    pub(crate) pending_sync: bool,
    pub(crate) session: Session,
}

impl Member {
    /// What it says under this protocol; nothing when it does not know it.
    pub(crate) fn metadata(&self, protocol: Option<&str>) -> Bytes {
        let known = self.protocols.iter().find(|(name, _)| Some(name.as_str()) == protocol);
        known.map(|(_, metadata)| metadata.clone()).unwrap_or_default()
    }

    /// Its silence is no sign of death: it waits for us. A new member has waited long enough.
    pub(crate) fn may_be_silent(&self) -> bool {
        !self.is_new && (self.awaiting_join.is_some() || self.awaiting_sync.is_some())
    }
}

/// A protocol named twice counts once, the first time.
pub(crate) fn distinct(mut protocols: Vec<(String, Bytes)>) -> Vec<(String, Bytes)> {
    let mut seen = BTreeSet::new();
    protocols.retain(|(name, _)| seen.insert(name.clone()));
    protocols
}

/// `prefix-uuid`, where prefix is the instance id or else the client id.
pub(crate) fn new_member_id(prefix: &str, rng: &mut dyn Rng) -> Arc<str> {
    let prefix = &prefix[..prefix.floor_char_boundary(MEMBER_ID_PREFIX_MAX_BYTES)];
    let (high, low) = (rng.next_u64(), rng.next_u64());
    // RFC 9562, version 4: four bits say the version, two the variant.
    let high = (high & !0xf000) | 0x4000;
    let low = (low & (u64::MAX >> 2)) | (1 << 63);
    format!(
        "{prefix}-{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
        high >> 32,
        (high >> 16) & 0xffff,
        high & 0xffff,
        low >> 48,
        low & 0xffff_ffff_ffff
    )
    .into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use holdfast_base::SplitMix64;

    #[test]
    fn a_member_id_is_the_prefix_and_a_random_uuid() {
        let mut rng = SplitMix64::new(1);
        let id = new_member_id("app", &mut rng);
        let uuid = id.strip_prefix("app-").unwrap();
        let lengths: Vec<_> = uuid.split('-').map(str::len).collect();
        assert_eq!(lengths, [8, 4, 4, 4, 12]);
        assert_eq!(uuid.as_bytes()[14], b'4');
        assert!(b"89ab".contains(&uuid.as_bytes()[19]));
        assert_ne!(id, new_member_id("app", &mut rng));
    }

    #[test]
    fn a_member_id_fits_its_answer_however_long_the_client_id() {
        let id = new_member_id(&"ä".repeat(20_000), &mut SplitMix64::new(1));
        assert!(id.len() <= i16::MAX as usize);
    }
}
