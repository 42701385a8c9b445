//! What an applied entry changes for those who wait: the batch index grows, calls are answered,
//! parked fetches wake up.
//!
//! A waiter is answered by the entry applied at its index: with its outcome if the term is the
//! same, as not happened if another term took the index.

use std::collections::BTreeMap;

use holdfast_base::{Index, PartitionKey, ShardId, Term};
use holdfast_coordinator::{GroupAnswer, GroupError};
use holdfast_io::Disk;
use holdfast_log::{CommandOutcome, Refused};
use holdfast_metadata::Image;
use holdfast_wal::{Extent, SegmentNumber};

use super::groups::group_error;
use super::{Lane, admin};
use crate::batch_index::BatchIndex;
use crate::calls::Slot;
use crate::machines::{Outcome, data_shard};
use crate::request::{
    AdminReason, AdminRefusal, Answer, Appended, Outcome as Fate, Reason, Refusal,
};

impl<D: Disk> Lane<D> {
    /// An entry is applied: the batch index grows, waiters are answered.
    pub(super) fn settle(
        &mut self,
        shard: ShardId,
        index: Index,
        term: Term,
        outcome: Option<Outcome>,
        payload: Extent,
    ) {
        if let Some(Outcome::Data(applied)) = &outcome {
            let died_in = index_batches(&mut self.batches, applied, payload);
            if self.config.store.is_some() {
                self.note_deaths(applied, died_in);
                let since_ns = self.now.boottime_ns;
                self.history.wait(shard, (index, term), applied, payload, since_ns);
            }
            if applied.objects {
                self.objects_moved(shard);
            }
        }
        let pending = self.pending.remove(&(shard, index));
        let slots = match pending {
            Some(pending)
                if outcome.is_some()
                    && (pending.term == term || self.config.planted.pending_by_index_only) =>
            {
                pending.slots
            }
            Some(pending) => {
                self.probes.other_term_took_index += 1;
                // Another term took the index: what was decided for it never happened.
                let refusal = self.refusal(shard, 0, Reason::NotLeader);
                self.refuse_slots(shard, pending.slots, &refusal);
                Vec::new()
            }
            None => Vec::new(),
        };
        match outcome {
            Some(Outcome::Data(applied)) => self.settle_data(shard, &applied, slots),
            Some(Outcome::Metadata(applied)) => self.settle_metadata(applied, slots),
            None => {}
        }
    }

    fn settle_data(
        &mut self,
        shard: ShardId,
        applied: &holdfast_log::Applied,
        slots: Vec<(usize, Slot)>,
    ) {
        if let Some(leading) = self.leading.get_mut(&shard)
            && let Some(state) = data_shard(&self.driver, shard)
        {
            leading.decider.applied(state, applied);
            for key in applied.created.iter().chain(&applied.removed) {
                leading.reconciling.remove(key);
            }
        }
        for (ordinal, slot) in slots {
            self.answer_slot(shard, slot, applied.outcomes.get(ordinal).copied());
        }
        for key in applied.changed.iter().chain(&applied.removed) {
            self.probes.fetches_woken += self.parked.waits_on(key).count() as u64;
            self.awake.extend(self.parked.waits_on(key));
            self.answer_in_line(shard, key);
        }
        for key in &applied.refused {
            self.refuse_in_line(shard, key);
        }
        if !applied.created.is_empty() || !applied.removed.is_empty() {
            self.reconcile = true;
        }
    }

    /// A command of a data shard is applied: its waiter learns what it did.
    fn answer_slot(&mut self, shard: ShardId, slot: Slot, outcome: Option<CommandOutcome>) {
        match (slot, outcome) {
            (
                Slot::Produce { ticket, part, .. },
                Some(CommandOutcome::Appended { base_offset, log_append_time_ms, log_start }),
            ) => {
                let appended = Appended { base_offset, log_append_time_ms, log_start };
                self.calls.fill_produce(ticket, part, Ok(appended));
            }
            (Slot::Produce { ticket, part, partition }, outcome) => {
                // Refused at apply: every replica dropped it; the client tries again.
                tell_refused_at_apply(&self.image, &partition, outcome);
                let refusal = self.refuse(shard, &partition, Reason::NotLeader);
                self.calls.fill_produce(ticket, part, Err(refusal));
            }
            (Slot::DeleteRecords { ticket, part, .. }, Some(CommandOutcome::LogStart(offset))) => {
                self.calls.fill_delete_records(ticket, part, Ok(offset));
            }
            (Slot::DeleteRecords { ticket, part, partition }, outcome) => {
                let reason = match outcome {
                    Some(CommandOutcome::Refused(Refused::OffsetOutOfRange { .. })) => {
                        Reason::OffsetOutOfRange
                    }
                    _ => Reason::UnknownPartition,
                };
                let refusal = self.refuse(shard, &partition, reason);
                self.calls.fill_delete_records(ticket, part, Err(refusal));
            }
            (Slot::Group(write), outcome) => {
                use CommandOutcome::{GroupPut, GroupRemoved, NoChange};
                let stored = matches!(outcome, Some(GroupPut | GroupRemoved | NoChange));
                self.group_stored(shard, &write, stored.then_some(()).ok_or(()));
            }
            (Slot::RemoveGroup { ticket }, outcome) => {
                let removed = outcome == Some(CommandOutcome::GroupRemoved);
                let result = removed.then_some(()).ok_or(GroupError::GroupIdNotFound);
                self.calls.answer(ticket, Answer::Group(GroupAnswer::Delete(result)));
            }
            (Slot::CommitOffsets { ticket, results, .. }, outcome) => {
                let committed = matches!(outcome, Some(CommandOutcome::OffsetsCommitted(_)));
                let results = committed.then_some(results);
                let results = results.ok_or(GroupError::CoordinatorNotAvailable);
                self.calls.answer(ticket, Answer::CommitOffsets(results));
            }
            (Slot::DeleteOffsets { ticket, results }, _) => {
                self.calls.answer(ticket, Answer::DeleteOffsets(Ok(results)));
            }
            (Slot::Object { object }, outcome) => self.object_settled(shard, object, outcome),
            (Slot::Nobody, _) => {}
            (Slot::Configure { partition }, _) => self.configured(shard, &partition),
            (slot, _) => unreachable!("a data shard has no command for {slot:?}"),
        }
    }

    pub(super) fn refuse_slots(
        &mut self,
        shard: ShardId,
        slots: Vec<(usize, Slot)>,
        refusal: &Refusal,
    ) {
        for (_, slot) in slots {
            match slot {
                Slot::Produce { ticket, part, .. } => {
                    self.calls.fill_produce(ticket, part, Err(refusal.clone()));
                }
                Slot::DeleteRecords { ticket, part, .. } => {
                    self.calls.fill_delete_records(ticket, part, Err(refusal.clone()));
                }
                Slot::CreateTopic { ticket, part } => {
                    self.calls.fill_create_topic(ticket, part, Err(admin_refusal(refusal)));
                }
                Slot::DeleteTopic { ticket, part, .. } => {
                    self.calls.fill_delete_topic(ticket, part, Err(admin_refusal(refusal)));
                }
                Slot::CreatePartitions { ticket, part } => {
                    self.calls.fill_create_partitions(ticket, part, Err(admin_refusal(refusal)));
                }
                Slot::AlterConfigs { ticket, part } => {
                    self.calls.fill_alter_configs(ticket, part, Err(admin_refusal(refusal)));
                }
                Slot::Group(write) => self.group_stored(shard, &write, Err(())),
                Slot::RemoveGroup { ticket } => {
                    let answer = GroupAnswer::Delete(Err(group_error(refusal)));
                    self.calls.answer(ticket, Answer::Group(answer));
                }
                Slot::CommitOffsets { ticket, .. } => {
                    let answer = Answer::CommitOffsets(Err(group_error(refusal)));
                    self.calls.answer(ticket, answer);
                }
                Slot::DeleteOffsets { ticket, .. } => {
                    let answer = Answer::DeleteOffsets(Err(group_error(refusal)));
                    self.calls.answer(ticket, answer);
                }
                Slot::Object { object } => self.object_settled(shard, object, None),
                Slot::Nobody => {}
                Slot::Configure { partition } => self.configured(shard, &partition),
                Slot::ProducerIds { ticket } => {
                    let answer = Answer::AllocateProducerIds(Err(refusal.clone()));
                    self.calls.answer(ticket, answer);
                }
            }
        }
    }
}

/// Topic and partition are fields of their own, so that `journalctl TOPIC=orders PARTITION=3` finds
/// it; a topic that is gone is named by its id.
fn tell_refused_at_apply(image: &Image, key: &PartitionKey, outcome: Option<CommandOutcome>) {
    let topic = match image.topic_by_id(key.topic) {
        Some(topic) => topic.name.clone(),
        None => key.topic.to_string(),
    };
    let partition = key.partition;
    tracing::warn!(topic, partition, ?outcome, "a decided batch was refused at apply");
}

/// A refusal of a proposal as an administrator reads it.
fn admin_refusal(refusal: &Refusal) -> AdminRefusal {
    match (refusal.reason, refusal.outcome) {
        (Reason::NoSpace, _) => AdminRefusal {
            reason: AdminReason::NoSpace,
            message: "the write-ahead log is full, even its reserve; free space or raise the WAL \
                      size, then try again"
                .to_owned(),
        },
        (_, Fate::Unknown) => AdminRefusal {
            reason: AdminReason::TimedOut,
            message: "leadership of the metadata shard was lost while this was being committed; \
                      it may have happened: look, then try again"
                .to_owned(),
        },
        _ => admin::not_controller(),
    }
}

/// Returns the newest segment of the batches that an entry put before their partition's log start.
pub(super) fn index_batches(
    batches: &mut BTreeMap<PartitionKey, BatchIndex>,
    applied: &holdfast_log::Applied,
    payload: Extent,
) -> Option<SegmentNumber> {
    for batch in &applied.appended {
        let extent = payload.part(batch.payload_start, batch.payload_len_bytes);
        batches.entry(batch.partition).or_default().push(
            batch.base_offset,
            batch.last_offset,
            batch.max_timestamp_ms,
            extent,
        );
    }
    let mut died_in = None;
    for (key, log_start) in &applied.log_starts {
        if let Some(index) = batches.get_mut(key) {
            died_in = died_in.max(index.drop_before(*log_start));
        }
    }
    for key in &applied.removed {
        batches.remove(key);
    }
    died_in
}

#[cfg(test)]
mod tests;
