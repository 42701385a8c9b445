//! Moving `log_start` up by a client's DeleteRecords; retention is housekeeping.

use holdfast_base::Now;
use holdfast_io::Disk;
use holdfast_log::Proposal;
use holdfast_wal::Admission;

use super::Lane;
use super::place::unknown_partition;
use super::produce::{Building, reason_of};
use crate::calls::Slot;
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
}
