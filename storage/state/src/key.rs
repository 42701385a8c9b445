//! Whose state, and under which physical keys.
//!
//! Big-endian, because the bytes' order is the numbers' order: a replica's rows lie together.

use std::fmt;

use holdfast_base::{ReplicaId, ShardId};

use crate::error::StateError;

/// Longest key: a topic id, a kind and a Kafka name (at most 249 characters, 32 KiB for group ids
/// that nobody should use) with room; longer names are hashed by whoever has them.
pub const KEY_MAX_BYTES: usize = 1024;

/// Shard and replica in front of every key.
pub(crate) const OWNER_BYTES: usize = 12;

/// One replica: the unit that is written, scanned and removed.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Owner {
    /// The shard.
    pub shard: ShardId,
    /// This node's replica of it; never reused.
    pub replica: ReplicaId,
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "shard {} replica {}", self.shard, self.replica)
    }
}

impl Owner {
    /// The front of all this replica's physical keys, and itself the key of its applied index.
    #[must_use]
    pub fn prefix(&self) -> [u8; 12] {
        let mut prefix = [0; OWNER_BYTES];
        prefix[..4].copy_from_slice(&self.shard.0.to_be_bytes());
        prefix[4..].copy_from_slice(&self.replica.0.to_be_bytes());
        prefix
    }

    /// The first key behind all of this replica's, for a range that ends before it; `None` when
    /// no key could lie there.
    #[must_use]
    pub fn end(&self) -> Option<[u8; 12]> {
        match self.replica.0.checked_add(1) {
            Some(replica) => Some(Owner { replica: ReplicaId(replica), ..*self }.prefix()),
            None => {
                let shard = ShardId(self.shard.0.checked_add(1)?);
                Some(Owner { shard, replica: ReplicaId(0) }.prefix())
            }
        }
    }

    /// The physical key of one of this replica's keys.
    ///
    /// # Errors
    /// When the key is empty or longer than [`KEY_MAX_BYTES`].
    pub fn physical(&self, key: &[u8]) -> Result<Vec<u8>, StateError> {
        if key.is_empty() || key.len() > KEY_MAX_BYTES {
            return Err(StateError::WrongKey { bytes: key.len() });
        }
        let mut physical = Vec::with_capacity(OWNER_BYTES + key.len());
        physical.extend_from_slice(&self.prefix());
        physical.extend_from_slice(key);
        Ok(physical)
    }

    /// Takes a physical key apart; `None` if it is shorter than an owner.
    #[must_use]
    pub fn split(physical: &[u8]) -> Option<(Owner, &[u8])> {
        let (shard, rest) = physical.split_first_chunk::<4>()?;
        let (replica, key) = rest.split_first_chunk::<8>()?;
        let owner = Owner {
            shard: ShardId(u32::from_be_bytes(*shard)),
            replica: ReplicaId(u64::from_be_bytes(*replica)),
        };
        Some((owner, key))
    }
}
