//! Where leader epochs end: how a client or follower learns that its log went another way
//! (OffsetForLeaderEpoch, KIP-320), and the same question inside a Fetch (KIP-595).

use holdfast_base::{Now, ShardId};
use holdfast_io::Disk;
use holdfast_log::{EpochEnd, Partition};

use super::Lane;
use crate::request::{Answer, EpochEndPartition, FetchPartition, Refusal, Ticket};

impl<D: Disk> Lane<D> {
    pub(super) fn epoch_ends(&mut self, ticket: Ticket, parts: &[EpochEndPartition], now: Now) {
        let end_of = |part: &EpochEndPartition| -> Result<Option<EpochEnd>, Refusal> {
            let (shard, partition) =
                self.readable(&part.partition, part.current_leader_epoch, now)?;
            Ok(self.epoch_end(shard, partition, part.leader_epoch, now))
        };
        let ends = parts.iter().map(end_of).collect();
        self.calls.answer(ticket, Answer::EpochEnds(ends));
    }

    /// Where the log a client has leaves this one; `None` while it is a prefix of it.
    ///
    /// Kafka's rule: the client's last epoch ends here below the offset it fetches from, or is not
    /// known here while an older one is. An epoch newer than ours is not judged: whoever wrote it
    /// deposed this node, and the lease ends before that.
    pub(super) fn diverging(
        &self,
        shard: ShardId,
        partition: &Partition,
        asked: &FetchPartition,
        now: Now,
    ) -> Option<EpochEnd> {
        if asked.last_fetched_epoch < 0 {
            return None;
        }
        self.epoch_end(shard, partition, asked.last_fetched_epoch, now).filter(|end| {
            end.epoch < asked.last_fetched_epoch || end.end_offset < asked.fetch_offset
        })
    }

    fn epoch_end(
        &self,
        shard: ShardId,
        partition: &Partition,
        asked: i32,
        now: Now,
    ) -> Option<EpochEnd> {
        let (term, _) = self.driver.deciding(shard, now)?;
        partition.end_of_epoch(asked, partition.leader_epoch(term)?)
    }
}
