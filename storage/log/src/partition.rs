//! One partition as applied: where it begins and ends, who wrote, under which epochs.
//!
//! ```text
//!   0 ...... log_start ........ last_stable = high_watermark
//!            │<-- virtual segments, epoch history, producers -->│ (decided batches: Decider)
//! ```
//!
//! What is applied is committed, so the end of the applied log *is* the high watermark.
//!
//! Invariants (checked after every entry that moved something; breaking one quarantines the replica):
//! `0 <= log_start <= last_stable <= high_watermark`, `uploaded_end <= high_watermark`.
//! `last_stable` equals `high_watermark` until transactions exist.

use std::collections::{BTreeMap, VecDeque};

use holdfast_base::{Index, Term};

use crate::command::{AppendBatch, CreatePartition};
use crate::config::PartitionConfig;
use crate::epoch::{Divergence, EpochEnd, EpochStart, Epochs};
use crate::planted::PlantedBugs;
use crate::producer::{Producer, RememberedBatch, Stamp, Verdict, judge};
use crate::refusal::{BrokenInvariant, Refused};
use crate::segment::{MaxTimestamp, SegmentAppend, Segments, VirtualSegment};
use crate::shard::PartitionObject;

/// Kafka's attribute bits this room looks at.
pub(crate) const LOG_APPEND_TIME_BIT: i16 = 0x08;

/// The applied state of a partition.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Partition {
    pub(crate) generation: u32,
    /// ≥ 0; leader epoch = this + term.
    pub(crate) epoch_base: i32,
    pub(crate) config: PartitionConfig,
    /// ≥ 0, ≤ `high_watermark`; only grows.
    pub(crate) log_start: i64,
    /// The entry that moved it last; 0 none has.
    pub(crate) log_start_at: Index,
    /// The offset the next batch gets. Only grows.
    pub(crate) high_watermark: i64,
    /// ≤ `high_watermark`; only grows.
    pub(crate) uploaded_end: i64,
    pub(crate) epochs: Epochs,
    pub(crate) segments: Segments,
    pub(crate) producers: BTreeMap<i64, Producer>,
    /// Ascending in offsets, each ends below `uploaded_end` and not below `log_start`.
    pub(crate) objects: VecDeque<PartitionObject>,
}

impl Partition {
    pub(crate) fn new(create: &CreatePartition) -> Self {
        Partition {
            generation: create.generation,
            epoch_base: create.epoch_base,
            config: create.config,
            log_start: 0,
            log_start_at: Index(0),
            high_watermark: 0,
            uploaded_end: 0,
            epochs: Epochs::default(),
            segments: Segments::default(),
            producers: BTreeMap::new(),
            objects: VecDeque::new(),
        }
    }

    /// Which life of the partition this is.
    #[must_use]
    pub fn generation(&self) -> u32 {
        self.generation
    }

    /// What is added to the term.
    #[must_use]
    pub fn epoch_base(&self) -> i32 {
        self.epoch_base
    }

    /// Its configuration.
    #[must_use]
    pub fn config(&self) -> &PartitionConfig {
        &self.config
    }

    /// The first offset that may be read.
    #[must_use]
    pub fn log_start(&self) -> i64 {
        self.log_start
    }

    /// The offset after the last committed record.
    #[must_use]
    pub fn high_watermark(&self) -> i64 {
        self.high_watermark
    }

    /// The offset after the last record of a finished transaction.
    #[must_use]
    pub fn last_stable(&self) -> i64 {
        self.high_watermark
    }

    /// The offset after the last record in a committed object; 0 before the first.
    #[must_use]
    pub fn uploaded_end(&self) -> i64 {
        self.uploaded_end
    }

    /// Its parts of objects, ascending in offsets.
    #[must_use]
    pub fn objects(&self) -> &VecDeque<PartitionObject> {
        &self.objects
    }

    /// The first object that ends at or behind `offset`.
    #[must_use]
    pub fn object_at(&self, offset: i64) -> Option<&PartitionObject> {
        self.objects.get(self.objects.partition_point(|row| row.last_offset < offset))
    }

    /// The leader epoch in `term`; `None` when it would leave 31 bits.
    #[must_use]
    pub fn leader_epoch(&self, term: Term) -> Option<i32> {
        i32::try_from(term.0).ok().and_then(|term| self.epoch_base.checked_add(term))
    }

    /// Epochs that wrote, ascending, with the offset of their first batch.
    #[must_use]
    pub fn epoch_history(&self) -> &[EpochStart] {
        self.epochs.rows()
    }

    /// The epoch of the batch that holds `offset`; `None` outside the log.
    #[must_use]
    pub fn epoch_of(&self, offset: i64) -> Option<i32> {
        if !(self.log_start..self.high_watermark).contains(&offset) {
            return None;
        }
        let rows = self.epochs.rows();
        let after = rows.partition_point(|row| row.start_offset <= offset);
        after.checked_sub(1).map(|at| rows[at].epoch)
    }

    /// OffsetForLeaderEpoch for `asked`, answered under the leader epoch `current`; `None` is
    /// Kafka's undefined epoch and offset. The table is in `epoch.rs`.
    #[must_use]
    pub fn end_of_epoch(&self, asked: i32, current: i32) -> Option<EpochEnd> {
        self.epochs.end_of(asked, current, self.high_watermark)
    }

    /// Where the log of a reader that has come to `fetch_offset`, with its last record under
    /// `last_fetched_epoch`, parts from this one (KIP-320).
    #[must_use]
    pub fn divergence(
        &self,
        last_fetched_epoch: i32,
        fetch_offset: i64,
        current: i32,
    ) -> Divergence {
        match self.end_of_epoch(last_fetched_epoch, current) {
            None => Divergence::Unknown,
            Some(end) if end.epoch < last_fetched_epoch || end.end_offset < fetch_offset => {
                Divergence::At(end)
            }
            Some(_) => Divergence::None,
        }
    }

    /// The batch with the largest timestamp, for ListOffsets -3. After DeleteRecords inside a
    /// virtual segment it may lie below [`Self::log_start`]: then the caller walks its batches.
    #[must_use]
    pub fn max_timestamp(&self) -> Option<MaxTimestamp> {
        self.segments.max_timestamp()
    }

    /// Bytes of the virtual segments kept, for DescribeLogDirs.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.segments.bytes()
    }

    /// Its virtual segments, oldest first.
    pub fn segments(&self) -> impl ExactSizeIterator<Item = &VirtualSegment> {
        self.segments.rows()
    }

    /// Idempotent producers by id.
    pub fn producers(&self) -> impl ExactSizeIterator<Item = (&i64, &Producer)> {
        self.producers.iter()
    }

    /// What is known of one producer.
    #[must_use]
    pub fn producer(&self, producer_id: i64) -> Option<&Producer> {
        self.producers.get(&producer_id)
    }

    /// Checks everything the leader decided and appends, or changes nothing.
    pub(crate) fn append(
        &mut self,
        batch: &AppendBatch,
        term: Term,
        now_ms: i64,
        bugs: PlantedBugs,
    ) -> Result<Result<RememberedBatch, Refused>, BrokenInvariant> {
        let last_offset = match self.check_append(batch, term, bugs) {
            Ok(last_offset) => last_offset,
            Err(refused) => return Ok(Err(refused)),
        };
        self.epochs.note(batch.leader_epoch, batch.base_offset)?;
        self.segments.append(
            &SegmentAppend {
                base_offset: batch.base_offset,
                last_offset,
                bytes: batch.payload_len_bytes,
                max_timestamp_ms: batch.max_timestamp_ms,
                now_ms,
            },
            &self.config,
        );
        let remembered = batch.remembered();
        if batch.producer_id >= 0 {
            self.producers
                .entry(batch.producer_id)
                .and_modify(|known| known.note(batch.producer_epoch, remembered, now_ms))
                .or_insert_with(|| Producer::begin(batch.producer_epoch, remembered, now_ms));
        }
        self.high_watermark = self.high_watermark.max(last_offset + 1);
        Ok(Ok(remembered))
    }

    fn check_append(
        &self,
        batch: &AppendBatch,
        term: Term,
        bugs: PlantedBugs,
    ) -> Result<i64, Refused> {
        if batch.generation != self.generation {
            return Err(Refused::WrongGeneration {
                have: self.generation,
                named: batch.generation,
            });
        }
        let expected = self.leader_epoch(term).ok_or(Refused::EpochOverflow)?;
        if batch.leader_epoch != expected || batch.epoch_base != self.epoch_base {
            return Err(Refused::WrongLeaderEpoch { expected, got: batch.leader_epoch });
        }
        if batch.record_count < 1
            || batch.last_offset_delta < 0
            || batch.record_count - 1 != batch.last_offset_delta
        {
            return Err(Refused::InvalidRecord { what: "record count and last offset disagree" });
        }
        if batch.payload_start.checked_add(batch.payload_len_bytes).is_none() {
            return Err(Refused::InvalidRecord { what: "the payload reaches beyond 4 GiB" });
        }
        if batch.base_offset != self.high_watermark && !bugs.offset_gap_reused {
            return Err(Refused::OffsetMismatch {
                expected: self.high_watermark,
                got: batch.base_offset,
            });
        }
        let last_offset = last_offset_of(batch.base_offset, batch.last_offset_delta)?;
        let stamp = batch.stamp();
        stamp.check()?;
        if stamp.producer_id >= 0 {
            let known = self.producers.get(&stamp.producer_id);
            if let Verdict::Duplicate(first) = judge(known, &stamp, bugs)? {
                return Err(Refused::AlreadyAppended { base_offset: first.base_offset });
            }
        }
        Ok(last_offset)
    }

    /// Moves the log start up, by entry `at`; below it already is no refusal. True when it moved.
    pub(crate) fn set_log_start(
        &mut self,
        before_offset: i64,
        at: Index,
        bugs: PlantedBugs,
    ) -> Result<bool, Refused> {
        let beyond = before_offset > self.high_watermark && !bugs.log_start_past_high_watermark;
        if before_offset < 0 || beyond {
            return Err(Refused::OffsetOutOfRange {
                asked: before_offset,
                high_watermark: self.high_watermark,
            });
        }
        if before_offset <= self.log_start {
            return Ok(false);
        }
        self.log_start = before_offset;
        self.log_start_at = at;
        self.segments.drop_below(before_offset, self.high_watermark.max(before_offset));
        self.epochs.drop_below(before_offset);
        Ok(true)
    }

    /// Where retention would move the log start; `None` when nothing is due.
    pub(crate) fn retained_from(&self, now_ms: i64, active_may_go: bool) -> Option<i64> {
        self.segments
            .retained_from(&self.config, now_ms, self.high_watermark, active_may_go)
            .filter(|before_offset| *before_offset > self.log_start)
    }

    /// Forgets producers last seen before `before_ms`; which.
    pub(crate) fn expire_producers(&mut self, before_ms: i64) -> Vec<i64> {
        let gone = self.producers.extract_if(.., |_, known| known.last_seen_ms() < before_ms);
        gone.map(|(id, _)| id).collect()
    }

    pub(crate) fn check_invariants(&self, bugs: PlantedBugs) -> Result<(), BrokenInvariant> {
        let ordered = 0 <= self.log_start
            && (self.log_start <= self.high_watermark || bugs.log_start_past_high_watermark)
            && self.uploaded_end <= self.high_watermark;
        if ordered {
            return Ok(());
        }
        Err(BrokenInvariant::new(format!(
            "log_start {} <= high_watermark {} or uploaded_end {} <= high_watermark does not hold",
            self.log_start, self.high_watermark, self.uploaded_end
        )))
    }
}

impl AppendBatch {
    pub(crate) fn stamp(&self) -> Stamp {
        Stamp {
            producer_id: self.producer_id,
            epoch: self.producer_epoch,
            base_sequence: self.base_sequence,
            last_offset_delta: self.last_offset_delta,
        }
    }

    /// What the producer of this batch is told, now and when it sends it again.
    pub(crate) fn remembered(&self) -> RememberedBatch {
        RememberedBatch {
            base_sequence: self.base_sequence,
            last_offset_delta: self.last_offset_delta,
            base_offset: self.base_offset,
            log_append_time_ms: self.log_append_time_ms(),
        }
    }

    /// The append time under LogAppendTime, else -1.
    #[must_use]
    pub fn log_append_time_ms(&self) -> i64 {
        if self.attributes & LOG_APPEND_TIME_BIT == 0 { -1 } else { self.max_timestamp_ms }
    }
}

/// Offset of the last record; one more must still be an offset.
pub(crate) fn last_offset_of(base_offset: i64, last_offset_delta: i32) -> Result<i64, Refused> {
    base_offset
        .checked_add(i64::from(last_offset_delta))
        .filter(|last| *last < i64::MAX)
        .ok_or(Refused::OffsetOverflow)
}
