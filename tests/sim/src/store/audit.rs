//! What lies in the store at the end, against what the shards say of it.
//!
//! | must hold | once |
//! | --- | --- |
//! | nothing waits, no object has a step before it | the store has been well for a while |
//! | every object that is named is there, and all of it verifies | then |
//! | every partition's rows reach from its log start to what it has uploaded, without a hole | then |
//! | no object holds a record of a topic that is not there any more | then |
//! | whatever lies in the store is named by a row, or is a state | then |
//! | no object is left, no state and no read index names the topics | all topics are deleted |

use std::collections::{BTreeMap, BTreeSet};

use holdfast_base::{ShardId, TopicId};
use holdfast_log::{ObjectRow, ObjectState, Partition, Shard};
use holdfast_tier::store::{Listed, Store};
use holdfast_tier::{Footer, ObjectIdentity, StoreKey, verify_object};

use super::at_once;
use crate::world::{DATA_SHARDS, World};

impl World {
    /// Whether all that is committed is in objects, and nothing is to be done with any of them.
    pub(crate) fn store_is_quiet(&self) -> bool {
        self.store_unrest().is_empty()
    }

    /// What is still to be done, for people.
    pub(crate) fn store_unrest(&self) -> String {
        let mut out = String::new();
        for (place, node) in self.nodes.iter().enumerate().filter(|(_, node)| node.is_up()) {
            let Some(lane) = &node.lane else { continue };
            let waiting = lane.status().store_waiting_bytes;
            if waiting > 0 {
                out += &format!(" n{}: {waiting} bytes are in no object;", place + 1);
            }
            for row in lane.data_shards().flat_map(Shard::unsettled_objects) {
                let (object, state) = (row.object, row.state);
                out += &format!(" n{}: object {object} is {state:?};", place + 1);
            }
        }
        out
    }

    /// The furthest replica's state of every data shard.
    fn furthest(&self) -> BTreeMap<ShardId, &Shard> {
        let mut found: BTreeMap<ShardId, &Shard> = BTreeMap::new();
        for lane in self.nodes.iter().filter_map(|node| node.lane.as_ref()) {
            for shard in (1..=DATA_SHARDS).map(ShardId) {
                let Some(state) = lane.shard(shard) else { continue };
                let known = found.get(&shard).map(|known| known.applied());
                if known.is_none_or(|known| known < state.applied()) {
                    found.insert(shard, state);
                }
            }
        }
        found
    }

    fn listed(&self) -> Vec<Listed> {
        let Some(bucket) = &self.bucket else { return Vec::new() };
        let listed = at_once(bucket.memory.list("", None, usize::MAX));
        listed.and_then(Result::ok).unwrap_or_default()
    }

    fn is_state(&self, key: &StoreKey) -> bool {
        let cluster = self.founding.cluster;
        (0..=DATA_SHARDS).any(|shard| key.state_applied(cluster, ShardId(shard)).is_some())
    }

    /// Objects that hold bytes of partitions that are not there any more.
    pub(crate) fn holds_deleted(&self) -> String {
        let mut out = String::new();
        for (shard, state) in self.furthest() {
            let live = state.objects().filter(|row| row.state == ObjectState::Live);
            for row in live {
                let key = StoreKey::of(&self.identity_of(shard, row));
                let Ok(footer) = self.whole_object(&key, row) else { continue };
                for held in footer.partitions() {
                    if state.partition(&held.partition).is_none() {
                        out += &format!(" {key} holds {} of shard {shard};", held.partition);
                    }
                }
            }
        }
        out
    }

    /// Compares store and shards when nothing moves.
    pub(crate) fn audit_store(&mut self) {
        let mut wrong = Vec::new();
        let mut named = BTreeSet::new();
        for (shard, state) in self.furthest() {
            let mut footers = BTreeMap::new();
            for row in state.objects() {
                let key = StoreKey::of(&self.identity_of(shard, row));
                if row.state == ObjectState::Live {
                    match self.whole_object(&key, row) {
                        Ok(footer) => drop(footers.insert(row.number, footer)),
                        Err(why) => wrong.push(format!("{why}: {key} of shard {shard}")),
                    }
                }
                named.insert(key);
            }
            for (key, partition) in state.partitions() {
                if let Err(why) = covers(partition, &footers, key) {
                    wrong.push(format!("hole-in-objects: {key} of shard {shard}: {why}"));
                }
            }
        }
        for one in self.listed() {
            if !named.contains(&one.key) && !self.is_state(&one.key) {
                wrong.push(format!("orphan: {} lies in the store and nothing names it", one.key));
            }
        }
        self.broken.extend(wrong);
    }

    fn identity_of(&self, shard: ShardId, row: &ObjectRow) -> ObjectIdentity {
        let (term, sequence, object) = (row.term, row.sequence, row.object);
        ObjectIdentity { cluster: self.founding.cluster, shard, term, sequence, object }
    }

    fn whole_object(&self, key: &StoreKey, row: &ObjectRow) -> Result<Footer, String> {
        let bytes = self.bucket.as_ref().and_then(|bucket| bucket.memory.stored(key));
        let bytes = bytes.ok_or("object-missing")?;
        if bytes.len() as u64 != row.object_bytes {
            return Err(format!("object-damaged: {} bytes of {}", bytes.len(), row.object_bytes));
        }
        verify_object(&bytes).map_err(|error| format!("object-damaged: {error}"))
    }

    /// What is left of deleted topics, when there are no others; empty when it is nothing.
    pub(crate) fn remains_of(&self, topics: &[TopicId]) -> String {
        let mut out = String::new();
        for one in self.listed() {
            if !self.is_state(&one.key) {
                out += &format!(" {};", one.key);
            }
        }
        for (place, node) in self.nodes.iter().enumerate().filter(|(_, node)| node.is_up()) {
            let Some(lane) = &node.lane else { continue };
            let status = lane.status();
            if status.indexed_batches > 0 || status.store_waiting_bytes > 0 {
                out += &format!(" n{}: {} batches;", place + 1, status.indexed_batches);
            }
            for shard in (1..=DATA_SHARDS).map(ShardId) {
                if self.nodes.len() > 1 && node.desk.states.is_empty() {
                    continue;
                }
                for (where_, state) in self.newest_states(place, shard) {
                    let names = |topic: &TopicId| {
                        state.state.windows(topic.0.len()).any(|bytes| bytes == topic.0)
                    };
                    if topics.iter().any(names) {
                        let applied = state.applied;
                        out += &format!(
                            " n{}: the state of shard {shard} as of entry {applied} {where_};",
                            place + 1
                        );
                    }
                }
            }
        }
        out
    }
}

/// The rows of a partition are what its objects hold, and leave nothing out.
fn covers(
    partition: &Partition,
    footers: &BTreeMap<u64, Footer>,
    key: &holdfast_base::PartitionKey,
) -> Result<(), String> {
    let mut next = partition.log_start();
    for row in partition.objects() {
        let footer = footers.get(&row.number);
        let footer = footer.ok_or_else(|| format!("object {} is none", row.number))?;
        let held = footer.partition(key);
        let held = held.ok_or_else(|| format!("object {} has nothing of it", row.number))?;
        if (held.base_offset, held.last_offset) != (row.base_offset, row.last_offset) {
            return Err(format!(
                "object {} has offsets {} to {}, its row says {} to {}",
                row.number, held.base_offset, held.last_offset, row.base_offset, row.last_offset
            ));
        }
        if row.base_offset > next {
            return Err(format!("offsets {next} to {} are in no object", row.base_offset - 1));
        }
        next = next.max(row.last_offset + 1);
    }
    if next < partition.uploaded_end() {
        return Err(format!("offsets {next} to {} are in no object", partition.uploaded_end() - 1));
    }
    Ok(())
}
