//! Offsets of partitions, from the committed prefix.
//!
//! | asked | answered with |
//! | --- | --- |
//! | latest | high watermark (equals last stable until transactions exist) |
//! | earliest, earliest local | log start: everything kept is still on the WAL |
//! | latest tiered | none: nothing is uploaded yet |
//! | greatest timestamp, at time | the batch that holds the record; the caller walks it |

use holdfast_base::Now;
use holdfast_io::Disk;

use super::Lane;
use crate::batch_index::{BatchIndex, Row};
use crate::request::{
    Answer, FoundOffset, ListOffsetsPartition, OffsetAnswer, OffsetQuery, Reason, Refusal, Ticket,
};

impl<D: Disk> Lane<D> {
    pub(super) fn list_offsets(
        &mut self,
        ticket: Ticket,
        parts: &[ListOffsetsPartition],
        now: Now,
    ) {
        let answers = parts.iter().map(|part| self.offset_of(part, now)).collect();
        self.calls.answer(ticket, Answer::ListOffsets(answers));
    }

    fn offset_of(
        &mut self,
        asked: &ListOffsetsPartition,
        now: Now,
    ) -> Result<OffsetAnswer, Refusal> {
        let key = asked.partition;
        let (shard, partition) = self.readable(&key, asked.current_leader_epoch, now)?;
        let (log_start, last_stable) = (partition.log_start(), partition.last_stable());
        let current = self
            .driver
            .deciding(shard, now)
            .and_then(|(term, _)| partition.leader_epoch(term))
            .unwrap_or(-1);
        let at = |offset: i64| partition.epoch_of(offset).unwrap_or(current);
        let plain = |offset: i64, leader_epoch: i32| OffsetAnswer {
            leader_epoch,
            found: FoundOffset::Offset { offset, timestamp_ms: -1 },
        };
        let index = self.batches.get(&key);
        let row: Option<Row> = match asked.query {
            OffsetQuery::Latest => return Ok(plain(last_stable, current)),
            OffsetQuery::Earliest | OffsetQuery::EarliestLocal => {
                return Ok(plain(log_start, at(log_start)));
            }
            OffsetQuery::LatestTiered => return Ok(plain(-1, -1)),
            OffsetQuery::MaxTimestamp => index.and_then(BatchIndex::greatest_time).copied(),
            OffsetQuery::AtTime(ms) => index.and_then(|index| index.at_time(ms)).copied(),
        };
        let Some(row) = row else { return Ok(plain(-1, -1)) };
        let leader_epoch = at(row.base_offset.max(log_start));
        let slice = self
            .slice(row.extent(), row.base_offset)
            .ok_or_else(|| self.refuse(shard, &key, Reason::Storage))?;
        Ok(OffsetAnswer { leader_epoch, found: FoundOffset::InBatch(slice) })
    }
}
