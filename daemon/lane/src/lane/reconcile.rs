//! Making data shards agree with the image: a partition placed in a shard that does not have it
//! is created there, one whose topic was deleted is removed, one whose topic is configured
//! otherwise gets that configuration.
//!
//! "Not in the image" is not "deleted": this node may lead a data shard and lag behind in shard 0. It is
//! where this node leads shard 0 and may show its state: nobody can know of a newer topic.
//!
//! Driven from applied state only, by whoever leads the data shard, so that any crash between
//! shard 0's entry and the data shard's is repaired by looking again. Configuration travels in
//! the entry: apply never reads the image.

use std::collections::BTreeMap;

use holdfast_base::{Now, PartitionKey, ShardId, TopicId};
use holdfast_io::Disk;
use holdfast_log::{CreatePartition, PartitionConfig, Proposal, RemovePartition};
use holdfast_wal::Admission;

use super::Lane;
use super::produce::Building;
use crate::calls::Slot;
use crate::machines::data_shard;
use crate::topic_config::partition_config;

/// What the image says of a partition.
struct Wanted {
    generation: u32,
    config: PartitionConfig,
}

impl<D: Disk> Lane<D> {
    pub(super) fn reconcile_if_due(&mut self, now: Now) {
        if !std::mem::take(&mut self.reconcile) {
            return;
        }
        if self.metadata_decider.is_some() {
            self.lead_shard_zero(now);
        }
        let mut wanted: BTreeMap<ShardId, BTreeMap<PartitionKey, Wanted>> = BTreeMap::new();
        let image = std::sync::Arc::clone(&self.image);
        for topic in image.topics_by_id.values() {
            let config = partition_config(&image, topic);
            for (partition, placement) in (0_i32..).zip(&topic.partitions) {
                let key = PartitionKey { topic: topic.id, partition };
                wanted
                    .entry(placement.shard)
                    .or_default()
                    .insert(key, Wanted { generation: placement.generation, config });
            }
        }
        let shards: Vec<ShardId> = self.leading.keys().copied().collect();
        let nothing = BTreeMap::new();
        for shard in shards {
            self.reconcile_shard(shard, wanted.get(&shard).unwrap_or(&nothing), now);
        }
    }

    /// A partition's configuration was set, or was not after all.
    pub(super) fn configured(&mut self, shard: ShardId, partition: &PartitionKey) {
        if let Some(leading) = self.leading.get_mut(&shard) {
            leading.reconciling.remove(partition);
        }
        self.reconcile = true;
    }

    /// Whether a topic is gone for good. `knows_all`: this node leads shard 0 and may show its state.
    pub(super) fn is_deleted(&self, topic: TopicId, knows_all: bool) -> bool {
        self.deleted_topics.contains(&topic)
            || (knows_all && self.image.topic_by_id(topic).is_none())
    }

    fn reconcile_shard(
        &mut self,
        shard: ShardId,
        wanted: &BTreeMap<PartitionKey, Wanted>,
        now: Now,
    ) {
        if self.driver.may_propose(shard, 0, Admission::Reserve).is_err() {
            self.reconcile = true;
            return;
        }
        let knows_all = self.driver.serves_reads(ShardId::METADATA, now);
        let (image, deleted) = (&self.image, &self.deleted_topics);
        let Some((_, time_ms)) = self.driver.deciding(shard, now) else { return };
        let state = data_shard(&self.driver, shard);
        let (Some(leading), Some(state)) = (self.leading.get_mut(&shard), state) else { return };
        let building = leading.building.get_or_insert_with(|| Building::new(time_ms));
        let missing = wanted.iter().filter(|(key, _)| state.partition(key).is_none());
        for (key, wanted) in missing {
            if leading.reconciling.contains(key) {
                continue;
            }
            let create = CreatePartition {
                partition: *key,
                generation: wanted.generation,
                // A new topic id: no epoch of it was ever shown.
                epoch_base: 0,
                config: wanted.config,
            };
            let proposed =
                leading.decider.propose_create_partition(state, &mut building.entry, &create);
            if proposed.is_err() {
                // The entry is full: the rest comes with the next one.
                self.reconcile = true;
                break;
            }
            leading.reconciling.insert(*key);
        }
        for (key, Wanted { config, .. }) in wanted {
            let differs = state.partition(key).is_some_and(|found| found.config() != config);
            if !differs || leading.reconciling.contains(key) {
                continue;
            }
            match leading.decider.propose_config(state, &mut building.entry, *key, *config) {
                Ok(Proposal::Command { ordinal }) => {
                    // Looked at again when it is applied: the image may have moved on meanwhile.
                    building.slots.push((ordinal, Slot::Configure { partition: *key }));
                    leading.reconciling.insert(*key);
                }
                Ok(Proposal::Nothing) => {}
                Err(_) => {
                    self.reconcile = true;
                    break;
                }
            }
        }
        let gone = state.partitions().filter(|(key, _)| {
            !wanted.contains_key(key)
                && (deleted.contains(&key.topic)
                    || (knows_all && image.topic_by_id(key.topic).is_none()))
        });
        for (key, partition) in gone {
            if leading.reconciling.contains(key) {
                continue;
            }
            let remove = RemovePartition { partition: *key, generation: partition.generation() };
            let proposed =
                leading.decider.propose_remove_partition(state, &mut building.entry, &remove);
            if proposed.is_err() {
                self.reconcile = true;
                break;
            }
            leading.reconciling.insert(*key);
        }
    }
}
