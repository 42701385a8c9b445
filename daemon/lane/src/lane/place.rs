//! Where a partition lives, whether its state may be shown here and now, and how a refusal says
//! who to ask instead (KIP-951).

use holdfast_base::{Now, PartitionKey, ShardId};
use holdfast_io::Disk;
use holdfast_log::Partition;

use super::Lane;
use crate::machines::data_shard;
use crate::request::{LeaderHint, Outcome as Fate, Reason, Refusal};

impl<D: Disk> Lane<D> {
    /// The partition, if this node may show its committed state now.
    pub(super) fn readable(
        &self,
        key: &PartitionKey,
        client_epoch: i32,
        now: Now,
    ) -> Result<(ShardId, &Partition), Refusal> {
        let shard = self.shard_of(key).ok_or_else(|| unknown_partition(None))?;
        if !self.driver.serves_reads(shard, now) {
            return Err(self.refuse(shard, key, self.not_served(shard, now)));
        }
        let partition = data_shard(&self.driver, shard)
            .and_then(|state| state.partition(key))
            .ok_or_else(|| unknown_partition(self.hint(shard, 0)))?;
        self.check_epoch(shard, partition, client_epoch, now)?;
        Ok((shard, partition))
    }

    /// Why a shard that serves no reads does not: only who leads it has progress to tell.
    fn not_served(&self, shard: ShardId, now: Now) -> Reason {
        let leads = self.driver.progress(shard).next().is_some();
        if leads && self.driver.deciding(shard, now).is_none() {
            Reason::NotReady
        } else {
            Reason::NotLeader
        }
    }

    pub(super) fn check_epoch(
        &self,
        shard: ShardId,
        partition: &Partition,
        client_epoch: i32,
        now: Now,
    ) -> Result<(), Refusal> {
        let term = self.driver.deciding(shard, now).map(|(term, _)| term);
        let own = term.and_then(|term| partition.leader_epoch(term)).unwrap_or(-1);
        let reason = match client_epoch {
            -1 => return Ok(()),
            older if older < own => Reason::FencedEpoch,
            newer if newer > own => Reason::UnknownEpoch,
            _ => return Ok(()),
        };
        Err(self.refusal(shard, partition.epoch_base(), reason))
    }

    pub(super) fn shard_of(&self, key: &PartitionKey) -> Option<ShardId> {
        let topic = self.image.topic_by_id(key.topic)?;
        self.image.shard_of(topic, key.partition).map(|(shard, _)| shard)
    }

    pub(super) fn refuse(&self, shard: ShardId, key: &PartitionKey, reason: Reason) -> Refusal {
        let base = self
            .shard(shard)
            .and_then(|state| state.partition(key))
            .map_or(0, Partition::epoch_base);
        self.refusal(shard, base, reason)
    }

    pub(super) fn refusal(&self, shard: ShardId, epoch_base: i32, reason: Reason) -> Refusal {
        Refusal { reason, outcome: Fate::DidNot, leader: self.hint(shard, epoch_base) }
    }

    pub(super) fn hint(&self, shard: ShardId, epoch_base: i32) -> Option<LeaderHint> {
        let leader = self.leaders.get(&shard)?;
        let leader_epoch =
            i32::try_from(leader.term.0).ok().and_then(|term| term.checked_add(epoch_base))?;
        Some(LeaderHint { node: leader.node, shard, term: leader.term, leader_epoch })
    }

    /// Where the leader's decided log ends, beyond the high watermark.
    pub(super) fn decided_end(&self, shard: ShardId, key: &PartitionKey) -> Option<i64> {
        let state = self.shard(shard)?;
        self.leading.get(&shard)?.decider.log_end(state, key)
    }
}

pub(super) fn unknown_partition(leader: Option<LeaderHint>) -> Refusal {
    Refusal { reason: Reason::UnknownPartition, outcome: Fate::DidNot, leader }
}
