//! States of shards where a start finds them, as the daemon keeps them: a file beside the log, the
//! newest two in the store; the file if it is whole, else the newest whole one of the store.

use std::collections::BTreeMap;

use bytes::Bytes;
use holdfast_base::{ClusterId, Rng, ShardId};
use holdfast_lane::StateCheckpoint;
use holdfast_tier::store::{MemoryStore, Store, StoreError};
use holdfast_tier::{Checkpoint, StoreKey, state_directory};

use super::at_once;
use crate::states::State;
use crate::world::World;

/// Kept in the store.
const KEPT: usize = 2;
const LISTED_MAX: usize = 1000;

pub(super) fn encode(state: &StateCheckpoint) -> (StoreKey, Bytes) {
    let checkpoint = Checkpoint {
        cluster: state.cluster,
        shard: state.shard,
        replica: state.replica,
        applied: state.applied,
        term: state.term,
        time_ms: state.time_ms,
        state: state.state.clone().into(),
    };
    (checkpoint.key(), checkpoint.encode().into())
}

fn decode(bytes: &[u8]) -> Option<StateCheckpoint> {
    let found = Checkpoint::decode(bytes).ok()?;
    Some(StateCheckpoint {
        cluster: found.cluster,
        shard: found.shard,
        replica: found.replica,
        applied: found.applied,
        term: found.term,
        time_ms: found.time_ms,
        state: found.state.into(),
    })
}

/// Puts a state and reads it back: the log is trimmed by it.
pub(super) async fn put(memory: &MemoryStore, key: &StoreKey, bytes: &Bytes) -> Result<(), String> {
    let said = |error: StoreError| error.to_string();
    memory.put(key, vec![bytes.clone()]).await.map_err(said)?;
    let back = memory.get(key, 0..bytes.len() as u64).await.map_err(said)?;
    if back == *bytes { Ok(()) } else { Err(format!("{key} reads back as something else")) }
}

pub(super) async fn delete_older(
    memory: &MemoryStore,
    cluster: ClusterId,
    shard: ShardId,
) -> Result<(), StoreError> {
    let listed = memory.list(&state_directory(cluster, shard), None, LISTED_MAX).await?;
    for one in listed.iter().rev().skip(KEPT) {
        memory.delete(&one.key).await?;
    }
    Ok(())
}

impl World {
    /// States of the store, the newest first, past all faults.
    fn states_in_store(&self, shard: ShardId) -> Vec<StateCheckpoint> {
        let Some(bucket) = &self.bucket else { return Vec::new() };
        let directory = state_directory(self.founding.cluster, shard);
        let listed = at_once(bucket.memory.list(&directory, None, LISTED_MAX));
        let listed = listed.and_then(Result::ok).unwrap_or_default();
        let keys = listed.iter().rev();
        keys.filter_map(|one| decode(&bucket.memory.stored(&one.key)?)).collect()
    }

    /// What a start of this node could begin with, and where it lies.
    pub(super) fn newest_states(
        &self,
        place: usize,
        shard: ShardId,
    ) -> Vec<(&'static str, StateCheckpoint)> {
        let beside = self.nodes[place].desk.states.get(&shard).and_then(|bytes| decode(bytes));
        let replica = beside.as_ref().map(|state| state.replica);
        // With several voters each would call its own by the same name: nothing is trimmed by them.
        let is_alone = self.nodes.len() == 1;
        let in_store = self.states_in_store(shard).into_iter().filter(|_| is_alone);
        let in_store = in_store.filter(|state| replica.is_none_or(|own| own == state.replica));
        let in_store = in_store.map(|state| ("in the store", state)).next();
        beside.map(|state| ("beside the log", state)).into_iter().chain(in_store).collect()
    }

    /// The states that a node's replicas begin with.
    pub(crate) fn states_at_start(&mut self, place: usize) -> BTreeMap<ShardId, StateCheckpoint> {
        let mut found = BTreeMap::new();
        if self.bucket.is_none() {
            return found;
        }
        for identity in self.founding.identities_on(self.nodes[place].config.node) {
            let (shard, replica) = (identity.shard, identity.replica);
            let is_own = |state: &StateCheckpoint| state.shard == shard && state.replica == replica;
            let file = self.nodes[place].desk.states.get(&shard);
            let beside = file.and_then(|bytes| decode(bytes)).filter(is_own);
            let state = match beside {
                Some(state) => Some(state),
                None => {
                    let state = self.states_in_store(shard).into_iter().find(is_own);
                    if state.is_some() {
                        self.states.reach(State::StartedFromStore);
                    }
                    state
                }
            };
            if let Some(state) = state {
                self.states.reach(State::RestoredAtStart);
                found.insert(shard, state);
            }
        }
        found
    }

    /// Damages or removes files beside a node's log.
    pub(crate) fn harm_states(&mut self, place: usize, rng: &mut impl Rng) -> bool {
        let now_ns = self.now_ns;
        let states = &mut self.nodes[place].desk.states;
        let shards: Vec<ShardId> = states.keys().copied().collect();
        if shards.is_empty() {
            return false;
        }
        let shard = shards[rng.below(shards.len() as u64) as usize];
        let how = match rng.below(4) {
            0 => {
                states.remove(&shard);
                "lost"
            }
            1 => {
                states.clear();
                "lost with all others"
            }
            2 => {
                if let Some(bytes) = states.get_mut(&shard) {
                    *bytes = bytes.slice(..rng.below(bytes.len() as u64) as usize);
                }
                "cut short"
            }
            _ => {
                if let Some(bytes) = states.get_mut(&shard) {
                    let mut damaged = bytes.to_vec();
                    let at = rng.below(damaged.len() as u64) as usize;
                    damaged[at] ^= 1 << rng.below(8);
                    *bytes = damaged.into();
                }
                "damaged"
            }
        };
        self.trace.tell(now_ns, Some(place), || format!("the state of shard {shard} is {how}"));
        true
    }
}
