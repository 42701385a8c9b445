//! The leader's half: what has been decided but not applied, layered over the applied state.
//!
//! ```text
//! applied (Shard)      0 ............. high_watermark
//! decided (here)                       |--batch--|--batch--| log_end      producers likewise
//!                                        in entries under way
//! ```
//!
//! Idea: offsets and sequences are given when a batch is proposed, a round trip before it commits.
//! The next batch must see them. So a partition with batches under way has a row here: its end, its
//! producers as they will be, and how many batches are still to be applied. When the last of them
//! is applied the row goes, and the applied state is all there is.
//!
//! The lane calls, while it leads: `propose_*` only after its own empty entry is applied;
//! [`Decider::applied`] after each `Shard::apply`; [`Decider::role_changed`] at every change of
//! role or term; [`Decider::entry_dropped`] when raft takes no entry for what was decided.
//!
//! Invariant: `high_watermark <= log_end`, asserted when deciding. Safety does not rest on this
//! file: apply checks everything again. A wrong row costs refusals, never offsets.

mod administration;
mod groups;
mod objects;

use std::collections::BTreeMap;

use holdfast_base::{PartitionKey, Term};
use holdfast_batch::{BatchHeader, TimestampType};

use crate::command::AppendBatch;
use crate::config::PartitionConfig;
use crate::entry::{BatchPlace, EntryBuilder};
use crate::partition::{LOG_APPEND_TIME_BIT, Partition, last_offset_of};
use crate::planted::PlantedBugs;
use crate::producer::{Producer, Verdict, judge};
use crate::refusal::Refused;
use crate::shard::{Applied, Shard};

pub use administration::Proposal;

/// What a Produce of one batch comes with. The batch has passed `holdfast_batch::validate_produced`.
#[derive(Clone, Copy, Debug)]
pub struct ProduceFacts<'a> {
    /// Where to.
    pub partition: PartitionKey,
    /// Of the batch, as it came.
    pub header: &'a BatchHeader,
    /// The leader's own.
    pub term: Term,
    /// The leader's clock: the time the entry will carry.
    pub time_ms: i64,
}

/// What becomes of a batch.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Decision {
    /// It is in the entry now: copy its bytes, patched, to the payload; answer when applied.
    Append {
        /// Offset of its first record.
        base_offset: i64,
        /// Offset of its last record.
        last_offset: i64,
        /// To be written into the batch.
        leader_epoch: i32,
        /// LogAppendTime: rewrite the batch with this time, then `EntryBuilder::set_batch_crc`.
        log_append_time: Option<i64>,
        /// Which command of the entry, and so which outcome of apply, is this batch.
        command_ordinal: usize,
        /// Where in the entry's payload the batch begins.
        payload_start: u32,
    },
    /// Committed before: answer now, with what the first answer said.
    Duplicate {
        /// Offset of its first record.
        base_offset: i64,
        /// Under LogAppendTime, else -1.
        log_append_time_ms: i64,
    },
    /// Decided before, not yet applied: answer when the high watermark passes `last_offset`, fail
    /// it with the first one.
    DuplicateInFlight {
        /// Offset of its first record.
        base_offset: i64,
        /// Offset of its last record.
        last_offset: i64,
        /// Under LogAppendTime, else -1.
        log_append_time_ms: i64,
    },
}

/// A partition with batches under way.
#[derive(Clone, Debug, Default)]
struct Decided {
    /// ≥ the applied high watermark while `pending` > 0.
    log_end: i64,
    /// Producers with batches under way, as they will be.
    producers: BTreeMap<i64, Producer>,
    /// Batches under way that `log_end` counts.
    pending: u32,
    /// Batches under way that are void: decided before a refusal or a dropped entry.
    stale: u32,
}

/// See the module.
#[derive(Clone, Debug, Default)]
pub struct Decider {
    partitions: BTreeMap<PartitionKey, Decided>,
    bugs: PlantedBugs,
}

impl Decider {
    /// Nothing decided.
    #[must_use]
    pub fn new() -> Self {
        Decider::default()
    }

    /// Turns bugs on, for tests of the tests.
    pub fn plant(&mut self, bugs: PlantedBugs) {
        self.bugs = bugs;
    }

    /// Forgets everything decided: the role or the term is another.
    pub fn role_changed(&mut self) {
        if !self.bugs.offset_gap_reused {
            self.partitions.clear();
        }
    }

    /// No batch is under way anywhere.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        self.partitions.is_empty()
    }

    /// Producers with batches under way, over all partitions: what the layer costs.
    #[must_use]
    pub fn producers_under_way(&self) -> usize {
        self.partitions.values().map(|decided| decided.producers.len()).sum()
    }

    /// The offset the next batch would get.
    #[must_use]
    pub fn log_end(&self, shard: &Shard, key: &PartitionKey) -> Option<i64> {
        let partition = shard.partition(key)?;
        Some(self.pending(key).map_or(partition.high_watermark(), |decided| decided.log_end))
    }

    fn pending(&self, key: &PartitionKey) -> Option<&Decided> {
        self.partitions.get(key).filter(|decided| decided.pending > 0)
    }

    /// Decides one batch. On `Err` neither the entry nor this changed.
    ///
    /// # Errors
    /// Why the batch is not appended; [`Refused::EntryFull`] asks for another entry first.
    ///
    /// # Panics
    /// When what was decided ends before what is applied.
    pub fn propose_produce(
        &mut self,
        shard: &Shard,
        entry: &mut EntryBuilder,
        facts: ProduceFacts<'_>,
    ) -> Result<Decision, Refused> {
        let partition = shard.partition(&facts.partition).ok_or(Refused::UnknownPartition)?;
        let decided = self.partitions.get(&facts.partition);
        if decided.is_some_and(|decided| decided.stale > 0) {
            return Err(Refused::Unsettled);
        }
        let base_offset = decided.map_or(partition.high_watermark(), |decided| decided.log_end);
        assert!(
            partition.high_watermark() <= base_offset || self.bugs.offset_gap_reused,
            "{} is applied to {} but decided to {base_offset}",
            facts.partition,
            partition.high_watermark(),
        );

        check_shape(partition.config(), facts.header)?;
        let batch = draft(partition, &facts, base_offset, entry.payload_len())?;
        let stamp = batch.stamp();
        stamp.check()?;
        if stamp.producer_id >= 0 {
            let known = decided
                .and_then(|decided| decided.producers.get(&stamp.producer_id))
                .or_else(|| partition.producer(stamp.producer_id));
            if let Verdict::Duplicate(first) = judge(known, &stamp, self.bugs)? {
                // Before the checks below: what is stored needs no permission to be there.
                return Ok(if first.last_offset() < partition.high_watermark() {
                    Decision::Duplicate {
                        base_offset: first.base_offset,
                        log_append_time_ms: first.log_append_time_ms,
                    }
                } else {
                    Decision::DuplicateInFlight {
                        base_offset: first.base_offset,
                        last_offset: first.last_offset(),
                        log_append_time_ms: first.log_append_time_ms,
                    }
                });
            }
        }
        check_config(partition.config(), &facts)?;
        let last_offset = last_offset_of(base_offset, batch.last_offset_delta)?;
        let command_ordinal = entry.push_batch(&batch)?;
        self.note(partition, &batch, last_offset, facts.time_ms);
        Ok(Decision::Append {
            base_offset,
            last_offset,
            leader_epoch: batch.leader_epoch,
            log_append_time: (partition.config().timestamp_type == TimestampType::LogAppendTime)
                .then_some(facts.time_ms),
            command_ordinal,
            payload_start: batch.payload_start,
        })
    }

    fn note(&mut self, partition: &Partition, batch: &AppendBatch, last_offset: i64, now_ms: i64) {
        let decided = self.partitions.entry(batch.partition).or_default();
        decided.log_end = last_offset + 1;
        decided.pending += 1;
        if batch.producer_id < 0 {
            return;
        }
        let remembered = batch.remembered();
        let known = decided
            .producers
            .get(&batch.producer_id)
            .or_else(|| partition.producer(batch.producer_id));
        let next = match known {
            None => Producer::begin(batch.producer_epoch, remembered, now_ms),
            Some(known) => {
                let mut next = *known;
                next.note(batch.producer_epoch, remembered, now_ms);
                next
            }
        };
        decided.producers.insert(batch.producer_id, next);
    }

    /// An entry of this leader is applied: what it decided is applied state now, or void.
    pub fn applied(&mut self, shard: &Shard, applied: &Applied) {
        // Within one entry a partition's appended batches come before its refused ones.
        for batch in &applied.appended {
            let Some(decided) = self.partitions.get_mut(&batch.partition) else { continue };
            if decided.stale > 0 {
                decided.stale -= 1;
            } else {
                decided.pending = decided.pending.saturating_sub(1);
                decided.settle_producer(shard.partition(&batch.partition), batch.producer_id);
            }
            self.forget_if_settled(&batch.partition);
        }
        for key in &applied.refused {
            let Some(decided) = self.partitions.get_mut(key) else { continue };
            if decided.stale > 0 {
                decided.stale -= 1;
            } else {
                decided.void(1);
            }
            self.forget_if_settled(key);
        }
        for key in &applied.removed {
            if let Some(decided) = self.partitions.get_mut(key) {
                decided.void(0);
            }
            self.forget_if_settled(key);
        }
    }

    /// Raft took no entry for these decisions (the last ones made): they never happened. Their
    /// partitions answer [`Refused::Unsettled`] until what else is under way has been applied.
    pub fn entry_dropped(&mut self, batches: &[BatchPlace]) {
        let mut dropped: BTreeMap<PartitionKey, u32> = BTreeMap::new();
        for batch in batches {
            *dropped.entry(batch.partition).or_default() += 1;
        }
        for (key, count) in dropped {
            if let Some(decided) = self.partitions.get_mut(&key) {
                decided.void(count);
            }
            self.forget_if_settled(&key);
        }
    }

    fn forget_if_settled(&mut self, key: &PartitionKey) {
        if self.partitions.get(key).is_some_and(|row| row.pending == 0 && row.stale == 0) {
            self.partitions.remove(key);
        }
    }
}

impl Decided {
    /// Everything decided is void but `gone` batches, which are out of the log already.
    fn void(&mut self, gone: u32) {
        self.stale += self.pending.saturating_sub(gone);
        self.pending = 0;
        self.producers.clear();
    }

    /// Drops a producer whose last batch is applied: the applied state says the same.
    fn settle_producer(&mut self, partition: Option<&Partition>, producer_id: i64) {
        let applied = partition.and_then(|partition| partition.producer(producer_id));
        let decided = self.producers.get(&producer_id);
        if let (Some(applied), Some(decided)) = (applied, decided)
            && applied.epoch() == decided.epoch()
            && applied.last() == decided.last()
        {
            self.producers.remove(&producer_id);
        }
    }
}

/// What no configuration allows. The connection has checked most of it; deciding on a lie would
/// put it into every replica's log.
fn check_shape(config: &PartitionConfig, header: &BatchHeader) -> Result<(), Refused> {
    let what = if header.is_transactional() {
        "transactions are not supported yet"
    } else if header.is_control() || header.has_delete_horizon() {
        "only brokers write control batches and delete horizons"
    } else if header.records_count < 1 || header.last_offset_delta != header.records_count - 1 {
        "record count and last offset disagree"
    } else if config.timestamp_type == TimestampType::CreateTime
        && header.timestamp_type() == TimestampType::LogAppendTime
    {
        "only brokers set log append time"
    } else {
        return Ok(());
    };
    Err(Refused::InvalidRecord { what })
}

/// What this topic's configuration does not allow. The header knows the first and the largest
/// timestamp only; a record older than the first passes.
fn check_config(config: &PartitionConfig, facts: &ProduceFacts<'_>) -> Result<(), Refused> {
    let bytes = facts.header.total_len_bytes() as u64;
    let limit_bytes = u64::from(config.max_message_bytes);
    if bytes > limit_bytes {
        return Err(Refused::TooLarge { bytes, limit_bytes });
    }
    if config.timestamp_type == TimestampType::LogAppendTime {
        return Ok(());
    }
    let now_ms = facts.time_ms;
    let BatchHeader { base_timestamp_ms, max_timestamp_ms, .. } = *facts.header;
    let invalid = |timestamp_ms| Err(Refused::InvalidTimestamp { timestamp_ms, now_ms });
    if max_timestamp_ms >= 0
        && max_timestamp_ms.saturating_sub(now_ms) > config.timestamp_after_max_ms
    {
        return invalid(max_timestamp_ms);
    }
    if base_timestamp_ms >= 0
        && now_ms.saturating_sub(base_timestamp_ms) > config.timestamp_before_max_ms
    {
        return invalid(base_timestamp_ms);
    }
    Ok(())
}

/// The command for a batch, as it will be stored.
fn draft(
    partition: &Partition,
    facts: &ProduceFacts<'_>,
    base_offset: i64,
    payload_start: u32,
) -> Result<AppendBatch, Refused> {
    let header = facts.header;
    let leader_epoch = partition.leader_epoch(facts.term).ok_or(Refused::EpochOverflow)?;
    let payload_len_bytes =
        u32::try_from(header.total_len_bytes()).map_err(|_| Refused::TooLarge {
            bytes: header.total_len_bytes() as u64,
            limit_bytes: u64::from(partition.config().max_message_bytes),
        })?;
    let (attributes, max_timestamp_ms) = match partition.config().timestamp_type {
        TimestampType::CreateTime => (header.attributes, header.max_timestamp_ms),
        TimestampType::LogAppendTime => (header.attributes | LOG_APPEND_TIME_BIT, facts.time_ms),
    };
    Ok(AppendBatch {
        partition: facts.partition,
        generation: partition.generation(),
        base_offset,
        last_offset_delta: header.last_offset_delta,
        record_count: header.records_count,
        producer_id: header.producer_id,
        base_sequence: header.base_sequence,
        producer_epoch: header.producer_epoch,
        attributes,
        base_timestamp_ms: header.base_timestamp_ms,
        max_timestamp_ms,
        payload_start,
        payload_len_bytes,
        batch_crc: header.crc,
        leader_epoch,
        epoch_base: partition.epoch_base(),
        txn_seq: 0,
        key_id: 0,
    })
}
