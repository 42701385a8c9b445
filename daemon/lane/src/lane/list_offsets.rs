//! Offsets of partitions, from the committed prefix.
//!
//! | asked | answered with |
//! | --- | --- |
//! | latest | high watermark (equals last stable until transactions exist) |
//! | earliest | log start |
//! | earliest local | the first batch on the WAL; the high watermark if none is |
//! | latest tiered | the last offset in an object; -1 if none is |
//! | earliest pending upload | the first offset in no object, the high watermark if all are; -1 without a store |
//! | greatest timestamp, at time | the batch that holds the record, on the WAL or in an object; the caller walks it |
//!
//! By time, an object is chosen by the largest timestamp that its batches claim. The record that has it
//! may lie below the log start, so the next object and the log are named too. Caveat: where compressed
//! batches of two objects in a row claim more than their records have, a later object is not looked at.

use holdfast_base::{Now, PartitionKey, ShardId};
use holdfast_io::Disk;

use super::Lane;
use crate::batch_index::{BatchIndex, Row};
use crate::request::{
    Answer, FoundOffset, ListOffsetsPartition, OffsetAnswer, OffsetQuery, Reason, RecordSlice,
    Refusal, Ticket,
};

/// Objects that are looked into for a time.
const OBJECTS_BY_TIME: usize = 2;

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
        let in_log_from = index.and_then(BatchIndex::first_offset);
        let in_log_from = in_log_from.unwrap_or(partition.high_watermark());
        let older = |offset: i64| offset < in_log_from;
        let row: Option<Row> = match asked.query {
            OffsetQuery::Latest => return Ok(plain(last_stable, current)),
            OffsetQuery::Earliest => return Ok(plain(log_start, at(log_start))),
            OffsetQuery::EarliestLocal => {
                let first = in_log_from.max(log_start);
                return Ok(plain(first, at(first)));
            }
            OffsetQuery::LatestTiered => {
                let last = partition.uploaded_end() - 1;
                return Ok(if last < log_start { plain(-1, -1) } else { plain(last, at(last)) });
            }
            OffsetQuery::EarliestPendingUpload => {
                let first = partition.uploaded_end().max(log_start);
                return Ok(match self.config.store {
                    Some(_) => plain(first, at(first)),
                    None => plain(-1, -1),
                });
            }
            OffsetQuery::MaxTimestamp => {
                let newest = partition.max_timestamp();
                if let Some(newest) = newest.filter(|newest| older(newest.base_offset)) {
                    let offset = newest.base_offset.max(log_start);
                    return self.found_in_object(shard, &key, offset, at(offset));
                }
                index.and_then(BatchIndex::greatest_time).copied()
            }
            OffsetQuery::AtTime(ms) => {
                let objects = partition.objects().iter();
                let offsets: Vec<i64> = objects
                    .filter(|object| object.max_timestamp_ms >= ms)
                    .map(|object| object.base_offset.max(log_start))
                    .filter(|offset| older(*offset))
                    .take(OBJECTS_BY_TIME)
                    .collect();
                let row = index.and_then(|index| index.at_time(ms)).copied();
                if let Some(first) = offsets.first() {
                    let leader_epoch = at(*first);
                    return self.found_in_one_of(shard, &key, &offsets, row, leader_epoch);
                }
                row
            }
        };
        let Some(row) = row else { return Ok(plain(-1, -1)) };
        let leader_epoch = at(row.base_offset.max(log_start));
        let slice = self
            .slice(row.extent(), row.base_offset)
            .ok_or_else(|| self.refuse(shard, &key, Reason::Storage))?;
        Ok(OffsetAnswer { leader_epoch, found: FoundOffset::InBatch(slice) })
    }

    /// The record lies in one of the objects that hold `offsets`, in the first that has one, or behind
    /// them in the log.
    fn found_in_one_of(
        &mut self,
        shard: ShardId,
        key: &PartitionKey,
        offsets: &[i64],
        row: Option<Row>,
        leader_epoch: i32,
    ) -> Result<OffsetAnswer, Refusal> {
        let refused = self.refuse(shard, key, Reason::Storage);
        let in_objects = offsets.iter().map(|offset| self.in_object(shard, key, *offset, 1));
        let slices: Option<Vec<RecordSlice>> = in_objects.map(|found| Some(found?.0)).collect();
        let mut slices = slices.ok_or(refused)?;
        slices.extend(row.and_then(|row| self.slice(row.extent(), row.base_offset)));
        Ok(OffsetAnswer { leader_epoch, found: FoundOffset::InFirstOf(slices) })
    }

    /// The record lies in the object that holds `offset`, there or later.
    fn found_in_object(
        &self,
        shard: ShardId,
        key: &PartitionKey,
        offset: i64,
        leader_epoch: i32,
    ) -> Result<OffsetAnswer, Refusal> {
        // One batch is wanted, however large.
        let (slice, _) = self
            .in_object(shard, key, offset, 1)
            .ok_or_else(|| self.refuse(shard, key, Reason::Storage))?;
        Ok(OffsetAnswer { leader_epoch, found: FoundOffset::InBatch(slice) })
    }
}
