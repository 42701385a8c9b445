//! What a node says of itself: its log directory and the quorum of the metadata shard.

use holdfast_base::{NodeId, ReplicaId, ShardId};
use holdfast_io::Disk;

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
            .map(|(key, _)| (*key, self.batches.get(key).map_or(0, BatchIndex::held_bytes)))
            .collect();
        partitions.sort_unstable_by_key(|(key, _)| *key);
        let total_bytes = self.config.wal.capacity_bytes;
        let usable_bytes = self.driver.wal().free_bytes().min(total_bytes);
        let log_dir = LogDir { total_bytes, usable_bytes, partitions };
        self.calls.answer(ticket, Answer::DescribeLogDir(log_dir));
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
