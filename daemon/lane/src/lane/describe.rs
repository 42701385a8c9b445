//! What a node says of itself: its log directory and the quorum of the metadata shard.

use holdfast_base::{NodeId, PartitionKey, ReplicaId, ShardId};
use holdfast_io::Disk;
use holdfast_log::Partition;

use super::Lane;
use crate::batch_index::BatchIndex;
use crate::machines::data_shard;
use crate::request::{Answer, LogDir, Quorum, Reason, Refusal, Ticket};

impl<D: Disk> Lane<D> {
    /// Every partition this node holds, whoever leads it: an administrator's client asks each node.
    pub(super) fn describe_log_dir(&mut self, ticket: Ticket) {
        let shards = self.driver.status().filter_map(|row| data_shard(&self.driver, row.shard));
        let mut partitions: Vec<_> = shards
            .flat_map(holdfast_log::Shard::partitions)
            .map(|(key, partition)| (*key, self.kept_bytes(key, partition)))
            .collect();
        partitions.sort_unstable_by_key(|(key, _)| *key);
        let total_bytes = self.config.wal.capacity_bytes;
        let usable_bytes = self.driver.wal().free_bytes().min(total_bytes);
        let log_dir = LogDir { total_bytes, usable_bytes, partitions };
        self.calls.answer(ticket, Answer::DescribeLogDir(log_dir));
    }

    /// Batches in the log, and the objects before them.
    fn kept_bytes(&self, key: &PartitionKey, partition: &Partition) -> u64 {
        let index = self.batches.get(key);
        let in_log_from = index.and_then(BatchIndex::first_offset).unwrap_or(i64::MAX);
        let older = partition.objects().iter().filter(|object| object.base_offset < in_log_from);
        let older_bytes: u64 = older.map(|object| u64::from(object.len_bytes)).sum();
        older_bytes + index.map_or(0, BatchIndex::held_bytes)
    }

    pub(super) fn describe_quorum(&mut self, ticket: Ticket) {
        let quorum = self.quorum();
        self.calls.answer(ticket, Answer::DescribeQuorum(quorum));
    }

    fn quorum(&self) -> Result<Quorum, Refusal> {
        let shard = ShardId::METADATA;
        let refusal = || self.refusal(shard, 0, Reason::NotLeader);
        if self.metadata_decider.is_none() {
            return Err(refusal());
        }
        let status = self.driver.status().find(|row| row.shard == shard).ok_or_else(refusal)?;
        let voter = |(replica, matched): (ReplicaId, holdfast_base::Index)| {
            Some((self.node_of(shard, replica)?, matched.0))
        };
        Ok(Quorum {
            leader: self.config.node,
            term: status.term,
            committed: status.committed.0,
            voters: self.driver.progress(shard).filter_map(voter).collect(),
        })
    }

    /// The node a replica lives on: as placed, or as founded while there is no image yet.
    pub(super) fn node_of(&self, shard: ShardId, replica: ReplicaId) -> Option<NodeId> {
        let placed = self.image.shards.get(&shard).and_then(|placement| {
            placement.replicas.iter().find(|(id, _)| *id == replica).map(|(_, node)| *node)
        });
        placed.or_else(|| self.config.founding.node_of(shard, replica))
    }
}
