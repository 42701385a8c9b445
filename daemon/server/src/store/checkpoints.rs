//! States of shards in the object store: what a start begins with when nothing lies beside the log.
//!
//! ```text
//! <cluster>/<shard>/state/<applied>                the newest two
//!
//! start: the newest valid one ─▶ none: the log from its beginning
//! ```
//!
//! Nothing is believed but a whole checkpoint of this cluster, shard and replica. A start without one is
//! safe: the lane refuses to begin in the middle of a log that was trimmed.

use bytes::Bytes;
use holdfast_base::{ClusterId, ReplicaId, ShardId};
use holdfast_lane::StateCheckpoint;
use holdfast_tier::store::{Store, StoreError};
use holdfast_tier::{Checkpoint, StoreKey, state_directory};

/// Kept in the store.
const KEPT: usize = 2;
/// Listed at a time; there are never more than a few.
const LISTED_MAX: usize = 1000;
/// A checkpoint in the store is read so much at a time.
const PART_BYTES: u64 = 8 << 20;
/// One that reads wrong so often is wrong.
const TRIES_MAX: u32 = 3;

/// The bytes of a checkpoint.
pub(super) fn encode(state: &StateCheckpoint) -> (StoreKey, Vec<u8>) {
    let checkpoint = Checkpoint {
        cluster: state.cluster,
        shard: state.shard,
        replica: state.replica,
        applied: state.applied,
        term: state.term,
        time_ms: state.time_ms,
        state: state.state.clone().into(),
    };
    (checkpoint.key(), checkpoint.encode())
}

/// A whole checkpoint of this shard and replica.
fn believed(
    bytes: &[u8],
    cluster: ClusterId,
    shard: ShardId,
    replica: ReplicaId,
) -> Result<StateCheckpoint, String> {
    let found = Checkpoint::decode(bytes).map_err(|error| error.to_string())?;
    if (found.cluster, found.shard, found.replica) != (cluster, shard, replica) {
        return Err(format!(
            "it is of replica {} of shard {} in cluster {}",
            found.replica.0, found.shard.0, found.cluster
        ));
    }
    Ok(StateCheckpoint {
        cluster,
        shard,
        replica,
        applied: found.applied,
        term: found.term,
        time_ms: found.time_ms,
        state: found.state.into(),
    })
}

/// The newest checkpoint of the store that is whole and this replica's.
///
/// # Errors
/// When the store cannot be asked.
pub async fn newest_in_store(
    store: &dyn Store,
    cluster: ClusterId,
    shard: ShardId,
    replica: ReplicaId,
) -> Result<Option<StateCheckpoint>, StoreError> {
    let directory = state_directory(cluster, shard);
    for listed in store.list(&directory, None, LISTED_MAX).await?.iter().rev() {
        let mut tries = 0;
        loop {
            tries += 1;
            let bytes = whole(store, &listed.key, listed.len_bytes).await?;
            match believed(&bytes, cluster, shard, replica) {
                Ok(checkpoint) => return Ok(Some(checkpoint)),
                // It may have been damaged on the way, and the log may be trimmed behind the one before.
                Err(_) if tries < TRIES_MAX => {}
                Err(why) => {
                    tracing::warn!(key = %listed.key, why, "a checkpoint is passed over");
                    break;
                }
            }
        }
    }
    Ok(None)
}

async fn whole(store: &dyn Store, key: &StoreKey, len_bytes: u64) -> Result<Vec<u8>, StoreError> {
    let mut bytes = Vec::new();
    let mut at = 0;
    while at < len_bytes {
        let end = len_bytes.min(at + PART_BYTES);
        bytes.extend_from_slice(&store.get(key, at..end).await?);
        at = end;
    }
    Ok(bytes)
}

/// Puts a checkpoint and reads it back: the log is trimmed by it, and a store that answers yes may have
/// kept nothing, half, or something else.
///
/// # Errors
/// Why it is not there, in words.
pub(super) async fn put(store: &dyn Store, key: &StoreKey, bytes: &Bytes) -> Result<(), String> {
    store.put(key, vec![bytes.clone()]).await.map_err(|error| error.to_string())?;
    let mut at = 0;
    while at < bytes.len() {
        let end = bytes.len().min(at + PART_BYTES as usize);
        let part =
            store.get(key, at as u64..end as u64).await.map_err(|error| error.to_string())?;
        if part[..] != bytes[at..end] {
            return Err(format!("{key} reads back as something else than was put"));
        }
        at = end;
    }
    Ok(())
}

/// Deletes all but the newest of a shard's checkpoints in the store.
pub(super) async fn delete_older(
    store: &dyn Store,
    cluster: ClusterId,
    shard: ShardId,
) -> Result<(), StoreError> {
    let listed = store.list(&state_directory(cluster, shard), None, LISTED_MAX).await?;
    let ours = |key: &StoreKey| key.state_applied(cluster, shard).is_some();
    let keys: Vec<StoreKey> = listed.into_iter().map(|one| one.key).filter(ours).collect();
    for key in keys.iter().rev().skip(KEPT) {
        store.delete(key).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
