//! A shard's applied state as one replica saw it, kept beside the log and in the store.
//!
//! ```text
//! 0         96               length - 32
//! | head 96 | state ...      | SHA-256 |         <cluster>/<shard>/state/<applied: 20 digits>
//! ```
//!
//! What the state means is the log's ([`holdfast_log::Shard::snapshot`]); here it is a file that a
//! start can believe or throw away. Fixed widths make the order of names the order of states: the
//! last one of a directory is the newest. Bytes are in `storage/FORMAT.md`.
//!
//! Invariants: one length belongs to one head, so a file that was cut or grew is refused before it is
//! hashed; decoding copies the state once and allocates nothing by what the head claims.
//!
//! Caveat: nothing is encrypted or packed. Who keeps how many is the daemon's.

use bytes::Bytes;
use holdfast_base::{ClusterId, Index, ReplicaId, ShardId, Term};
use holdfast_log::NUMBER_MAX;
use sha2::{Digest, Sha256};
use thiserror::Error;

use crate::format::{
    checksum, get_16, get_u16, get_u32, get_u64, set_checksum, set_u16, set_u32, set_u64,
};
use crate::key::{StoreKey, shard_directory};

pub(crate) const MAGIC: [u8; 8] = *b"HFCHECKP";
const VERSION: u16 = 1;

/// Offsets in the head. The checksum is where every structure of the store has it.
pub(crate) mod at {
    pub(crate) const MAGIC: usize = 0;
    pub(crate) const VERSION: usize = MAGIC + 8;
    pub(crate) const FLAGS: usize = VERSION + 2;
    pub(crate) const SHARD: usize = FLAGS + 2;
    pub(crate) const CLUSTER: usize = SHARD + 4;
    pub(crate) const REPLICA: usize = CLUSTER + 16;
    pub(crate) const APPLIED: usize = REPLICA + 8;
    pub(crate) const TIME: usize = APPLIED + 8;
    pub(crate) const LENGTH: usize = TIME + 8;
    pub(crate) const CRC: usize = LENGTH + 4;
    pub(crate) const TERM: usize = CRC + 4;
    pub(crate) const STATE_BYTES: usize = TERM + 8;
    pub(crate) const KEY_ID: usize = STATE_BYTES + 8;
    pub(crate) const END: usize = KEY_ID + 16;
}

/// Bytes before the state.
pub(crate) const HEAD_BYTES: usize = at::END;
/// Bytes behind it: the SHA-256 of all before.
pub(crate) const HASH_BYTES: usize = 32;
const _: () = assert!(HEAD_BYTES == 96 && at::CRC == crate::format::head_at::CRC);

/// The applied state of one replica, as of one entry.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Checkpoint {
    /// The cluster.
    pub cluster: ClusterId,
    /// The shard.
    pub shard: ShardId,
    /// The replica.
    pub replica: ReplicaId,
    /// The entry it reflects, and all before it.
    pub applied: Index,
    /// Raft term of that entry.
    pub term: Term,
    /// Newest entry time it reflects, ms.
    pub time_ms: i64,
    /// The state machine's snapshot.
    pub state: Bytes,
}

/// Why bytes are not a checkpoint. Start from an older one, or from the log.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum CheckpointError {
    /// No magic, or too short for one.
    #[error("it is no checkpoint: no magic; another file has its name, or it was cut")]
    NotACheckpoint,
    /// A checksum, the hash or the length does not match.
    #[error("the checkpoint is damaged: its {part} does not match; take an older one")]
    Damaged {
        /// What of it.
        part: &'static str,
    },
    /// Written by a later build.
    #[error("the checkpoint has format version {version}, this build reads 1; use a later build")]
    UnknownVersion {
        /// As found, under a good checksum.
        version: u16,
    },
    /// Checksums match, and yet it cannot be.
    #[error("the checkpoint cannot be true: {what}; it was not made by a working node")]
    Lies {
        /// What cannot be.
        what: &'static str,
    },
}

impl Checkpoint {
    /// The whole file.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut to = Vec::with_capacity(HEAD_BYTES + self.state.len() + HASH_BYTES);
        to.resize(HEAD_BYTES, 0);
        to[at::MAGIC..at::VERSION].copy_from_slice(&MAGIC);
        set_u16(&mut to, at::VERSION, VERSION);
        set_u32(&mut to, at::SHARD, self.shard.0);
        to[at::CLUSTER..at::REPLICA].copy_from_slice(&self.cluster.0);
        set_u64(&mut to, at::REPLICA, self.replica.0);
        set_u64(&mut to, at::APPLIED, self.applied.0);
        set_u64(&mut to, at::TIME, self.time_ms.cast_unsigned());
        set_u32(&mut to, at::LENGTH, HEAD_BYTES as u32);
        set_u64(&mut to, at::TERM, self.term.0);
        set_u64(&mut to, at::STATE_BYTES, self.state.len() as u64);
        set_checksum(&mut to);
        to.extend_from_slice(&self.state);
        let hash = Sha256::digest(&to);
        to.extend_from_slice(&hash);
        to
    }

    /// Reads a file, to its last byte.
    ///
    /// # Errors
    /// When it is not one, or not the one that was written.
    pub fn decode(from: &[u8]) -> Result<Checkpoint, CheckpointError> {
        let Some((head, rest)) = from.split_at_checked(HEAD_BYTES) else {
            return Err(CheckpointError::NotACheckpoint);
        };
        if head[at::MAGIC..at::VERSION] != MAGIC {
            return Err(CheckpointError::NotACheckpoint);
        }
        if checksum(head) != get_u32(head, at::CRC) {
            return Err(CheckpointError::Damaged { part: "checksum" });
        }
        // Only now: a version is believed from a whole head alone.
        let version = get_u16(head, at::VERSION);
        if version != VERSION {
            return Err(CheckpointError::UnknownVersion { version });
        }
        let state_bytes = get_u64(head, at::STATE_BYTES);
        let Some(state) = rest
            .len()
            .checked_sub(HASH_BYTES)
            .filter(|len| *len as u64 == state_bytes)
            .map(|len| &rest[..len])
        else {
            return Err(CheckpointError::Damaged { part: "length" });
        };
        let hashed = &from[..HEAD_BYTES + state.len()];
        if Sha256::digest(hashed)[..] != rest[state.len()..] {
            return Err(CheckpointError::Damaged { part: "SHA-256" });
        }
        let checkpoint = Checkpoint {
            cluster: ClusterId(get_16(head, at::CLUSTER)),
            shard: ShardId(get_u32(head, at::SHARD)),
            replica: ReplicaId(get_u64(head, at::REPLICA)),
            applied: Index(get_u64(head, at::APPLIED)),
            term: Term(get_u64(head, at::TERM)),
            time_ms: get_u64(head, at::TIME).cast_signed(),
            state: Bytes::copy_from_slice(state),
        };
        checkpoint.check(head)?;
        Ok(checkpoint)
    }

    fn check(&self, head: &[u8]) -> Result<(), CheckpointError> {
        let zeros = get_u16(head, at::FLAGS) == 0
            && head[at::KEY_ID..at::END].iter().all(|byte| *byte == 0);
        let what = if get_u32(head, at::LENGTH) as usize != HEAD_BYTES {
            "its length field is not its head's length"
        } else if !zeros {
            "it has flags or a key id that this build does not know"
        } else if self.applied.0 == 0 {
            "it reflects no entry"
        } else if self.applied.0 >= NUMBER_MAX || self.term.0 >= NUMBER_MAX {
            "an index or term is impossible"
        } else {
            return Ok(());
        };
        Err(CheckpointError::Lies { what })
    }

    /// Its name in the store.
    #[must_use]
    pub fn key(&self) -> StoreKey {
        StoreKey::of_state(self.cluster, self.shard, self.applied)
    }
}

/// Where the checkpoints of a shard lie in the store; the last by name is the newest.
#[must_use]
pub fn state_directory(cluster: ClusterId, shard: ShardId) -> String {
    format!("{}/state", shard_directory(cluster, shard))
}

impl StoreKey {
    /// The name of a checkpoint of that state.
    #[must_use]
    pub fn of_state(cluster: ClusterId, shard: ShardId, applied: Index) -> StoreKey {
        let directory = state_directory(cluster, shard);
        StoreKey::joined(format!("{directory}/{:020}", applied.0))
    }

    /// The entry that the checkpoint of this name reflects; `None` for a name of another form.
    #[must_use]
    pub fn state_applied(&self, cluster: ClusterId, shard: ShardId) -> Option<Index> {
        let name = self.as_str().rsplit('/').next()?;
        let applied = Index(name.parse().ok()?);
        (StoreKey::of_state(cluster, shard, applied) == *self).then_some(applied)
    }
}

#[cfg(test)]
mod tests;
