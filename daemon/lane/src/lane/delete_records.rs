//! Moving `log_start` up: by a client's DeleteRecords, and by retention.

use holdfast_base::{Now, ShardId};
use holdfast_io::Disk;
use holdfast_log::Proposal;
use holdfast_wal::Admission;

use super::Lane;
use super::place::unknown_partition;
use super::produce::{Building, reason_of};
use crate::calls::Slot;
use crate::config::HOUSEKEEPING_NS;
use crate::machines::data_shard;
use crate::request::{DeleteRecordsPartition, Reason, Refusal, Ticket};

impl<D: Disk> Lane<D> {
    pub(super) fn delete_records(
        &mut self,
        ticket: Ticket,
        parts: &[DeleteRecordsPartition],
        now: Now,
    ) {
        self.calls.open_delete_records(ticket, parts.len());
        for (part, asked) in parts.iter().enumerate() {
            if let Err(refusal) = self.decide_deletion(ticket, part, asked, now) {
                self.calls.fill_delete_records(ticket, part, Err(refusal));
            }
        }
    }

    fn decide_deletion(
        &mut self,
        ticket: Ticket,
        part: usize,
        asked: &DeleteRecordsPartition,
        now: Now,
    ) -> Result<(), Refusal> {
        let key = asked.partition;
        let (shard, partition) = self.readable(&key, -1, now)?;
        let log_start = partition.log_start();
        self.driver
            .may_propose(shard, 0, Admission::Reserve)
            .map_err(|error| self.proposal_refusal(shard, error))?;
        let Some((_, time_ms)) = self.driver.deciding(shard, now) else {
            return Err(self.refuse(shard, &key, Reason::NotLeader));
        };
        let state = data_shard(&self.driver, shard);
        let (Some(leading), Some(state)) = (self.leading.get_mut(&shard), state) else {
            return Err(unknown_partition(None));
        };
        let building = leading.building.get_or_insert_with(|| Building::new(time_ms));
        let proposed = leading.decider.propose_delete_records(
            state,
            &mut building.entry,
            key,
            asked.before_offset,
        );
        match proposed {
            Ok(Proposal::Command { ordinal }) => {
                let slot = Slot::DeleteRecords { ticket, part, partition: key };
                building.slots.push((ordinal, slot));
                Ok(())
            }
            Ok(Proposal::Nothing) => {
                self.calls.fill_delete_records(ticket, part, Ok(log_start));
                Ok(())
            }
            Err(refused) => Err(self.refuse(shard, &key, reason_of(&refused))),
        }
    }

    /// Every few seconds: retention and the expiry of producers, proposed by each shard's leader.
    pub(super) fn housekeep(&mut self, now: Now) {
        if now.boottime_ns < self.next_housekeeping_ns {
            return;
        }
        self.next_housekeeping_ns = now.boottime_ns + HOUSEKEEPING_NS;
        let shards: Vec<ShardId> = self.leading.keys().copied().collect();
        for shard in shards {
            if self.driver.may_propose(shard, 0, Admission::Reserve).is_err() {
                continue;
            }
            let Some((_, time_ms)) = self.driver.deciding(shard, now) else { continue };
            let state = data_shard(&self.driver, shard);
            let (Some(leading), Some(state)) = (self.leading.get_mut(&shard), state) else {
                continue;
            };
            let building = leading.building.get_or_insert_with(|| Building::new(time_ms));
            leading.decider.propose_retention(state, &mut building.entry, time_ms);
            let Some(before_ms) = leading.expiry.note(now.boottime_ns, time_ms) else { continue };
            let entry = &mut building.entry;
            let expiry = leading.decider.propose_expire_producers(state, entry, before_ms, 0);
            if let Err(refused) = expiry {
                tracing::debug!(%refused, "producers expire with a later entry");
            }
        }
    }
}
