//! Names of things. None is ever reused.

use std::fmt;

macro_rules! number_id {
    ($(#[$doc:meta])* $name:ident($repr:ty)) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
        pub struct $name(pub $repr);
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

number_id!(
    /// One `holdfastd` process, for the life of the cluster.
    NodeId(u32)
);
number_id!(
    /// One Raft group. Shard 0 is `metadata`; the rest hold partitions.
    ShardId(u32)
);
number_id!(
    /// One node's copy of a shard: the Raft id. Given by shard 0, never reused, even on the same
    /// node (a forgetful replica under its old id can elect a second leader). Never 0.
    ReplicaId(u64)
);
number_id!(
    /// The thread that owns a WAL directory; in every path and frame header.
    LaneId(u16)
);
number_id!(
    /// How often a node has opened its WAL for writing. Grows by one at every start.
    BootCount(u64)
);

impl ShardId {
    /// Topics, placement, nodes, configuration, audit.
    pub const METADATA: ShardId = ShardId(0);
}

/// Identifies a cluster; Kafka's `cluster.id` is its base64url form.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct ClusterId(pub [u8; 16]);

/// Identifies a topic for ever; a name may be used again, an id never. Never all zero.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct TopicId(pub [u8; 16]);

/// A partition of a topic, by topic id: the form every format uses.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct PartitionKey {
    /// The topic.
    pub topic: TopicId,
    /// Kafka's partition index, `0..=i32::MAX`.
    pub partition: i32,
}

impl fmt::Display for PartitionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.topic, self.partition)
    }
}

/// A coordinator slot: the unit in which consumer groups (later transactions) live in a data shard
/// and move between shards. Fixed in number when a cluster is founded.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct CoordinatorSlot(pub u16);

impl CoordinatorSlot {
    /// Kafka's default number of `__consumer_offsets` partitions; every cluster is founded with it.
    pub const COUNT: u16 = 50;

    /// The slot of a group id, by the rule clients' tools know from Kafka: the Java hash of the
    /// UTF-16 text, without its sign, modulo the number of slots.
    #[must_use]
    pub fn of(id: &str) -> Self {
        let hash = id
            .encode_utf16()
            .fold(0_i32, |hash, unit| hash.wrapping_mul(31).wrapping_add(i32::from(unit)));
        let slot = (hash & i32::MAX) % i32::from(Self::COUNT);
        CoordinatorSlot(u16::try_from(slot).expect("a remainder of 50"))
    }
}

/// Base64url without padding, as Kafka prints its ids.
#[must_use]
pub fn format_uuid(bytes: &[u8; 16]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut text = String::with_capacity(22);
    for group in bytes.chunks(3) {
        let word = group.iter().fold(0_u32, |word, byte| (word << 8) | u32::from(*byte))
            << (8 * (3 - group.len()));
        for digit in 0..=group.len() {
            let index = (word >> (18 - 6 * digit)) & 0x3f;
            text.push(char::from(ALPHABET[index as usize]));
        }
    }
    text
}

/// The other way; `None` when it is not what [`format_uuid`] writes.
#[must_use]
pub fn parse_uuid(text: &str) -> Option<[u8; 16]> {
    let mut bytes = [0; 16];
    let mut word = 0_u32;
    let mut bits = 0;
    let mut filled = 0;
    for letter in text.bytes() {
        let digit = match letter {
            b'A'..=b'Z' => letter - b'A',
            b'a'..=b'z' => letter - b'a' + 26,
            b'0'..=b'9' => letter - b'0' + 52,
            b'-' => 62,
            b'_' => 63,
            _ => return None,
        };
        word = word << 6 | u32::from(digit);
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            *bytes.get_mut(filled)? = (word >> bits) as u8;
            filled += 1;
            word &= (1 << bits) - 1;
        }
    }
    (format_uuid(&bytes) == text).then_some(bytes)
}

macro_rules! uuid_format {
    ($name:ident) => {
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&format_uuid(&self.0))
            }
        }
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), format_uuid(&self.0))
            }
        }
    };
}
uuid_format!(ClusterId);
uuid_format!(TopicId);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uuid_prints_as_kafka_prints_it() {
        assert_eq!(format_uuid(&[0; 16]), "AAAAAAAAAAAAAAAAAAAAAA");
        let bytes = [
            0x5f, 0x2a, 0x11, 0x90, 0xfe, 0x07, 0x4d, 0x3c, 0x9a, 0x01, 0x22, 0x33, 0x44, 0x55,
            0x66, 0x77,
        ];
        assert_eq!(format_uuid(&bytes), "XyoRkP4HTTyaASIzRFVmdw");
        assert_eq!(parse_uuid("XyoRkP4HTTyaASIzRFVmdw"), Some(bytes));
        for wrong in
            ["", "XyoRkP4HTTyaASIzRFVmd", "XyoRkP4HTTyaASIzRFVmdx", "XyoRkP4HTTyaASIzRFVm w"]
        {
            assert_eq!(parse_uuid(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_group_falls_into_the_slot_kafka_would_give_it() {
        assert_eq!(CoordinatorSlot::of(""), CoordinatorSlot(0));
        // "group".hashCode() is 98629247 in Java.
        assert_eq!(CoordinatorSlot::of("group"), CoordinatorSlot(47));
        // "polygenelubricants".hashCode() is Integer.MIN_VALUE, whose sign is dropped.
        assert_eq!(CoordinatorSlot::of("polygenelubricants"), CoordinatorSlot(0));
    }
}
