//! Deciding record batches: offset, epoch, sequence; one entry per shard and turn, many batches.
//!
//! ```text
//! batch ─▶ may_propose? ─▶ decider ─▶ Append    ─▶ building: command + [head 21 B][body]
//!             │no            │                      (the body's CRC is Kafka's: bytes 21..)
//!          NoSpace           ├─▶ Duplicate ─▶ answered with the first copy's offset
//!                            └─▶ DuplicateInFlight ─▶ waits in line until that offset is committed
//! ```

use bytes::Bytes;
use holdfast_base::{Now, PartitionKey, ShardId};
use holdfast_batch::{
    BatchHeader, HEADER_BYTES, PREFIX_BYTES, stored_prefix, with_log_append_time,
};
use holdfast_consensus::ProposeError;
use holdfast_io::Disk;
use holdfast_log::{Decision, EntryBuilder, ProduceFacts, Refused};
use holdfast_wal::{Admission, Chunk, Payload};

use super::place::unknown_partition;
use super::{InLine, Lane, Pending};
use crate::calls::Slot;
use crate::machines::data_shard;
use crate::request::{Appended, Outcome as Fate, ProducePartition, Reason, Refusal, Ticket};

/// An entry being collected for one shard.
#[derive(Debug)]
pub(super) struct Building {
    pub(super) entry: EntryBuilder,
    pub(super) payload: Payload,
    pub(super) slots: Vec<(usize, Slot)>,
    /// Entry time under which everything in it is decided.
    pub(super) time_ms: i64,
}

impl Building {
    pub(super) fn new(time_ms: i64) -> Self {
        Building { entry: EntryBuilder::new(), payload: Vec::new(), slots: Vec::new(), time_ms }
    }
}

impl<D: Disk> Lane<D> {
    pub(super) fn produce(&mut self, ticket: Ticket, parts: Vec<ProducePartition>, now: Now) {
        self.calls.open_produce(ticket, parts.len());
        for (part, produce) in parts.into_iter().enumerate() {
            match self.decide_batch(ticket, part, produce, now) {
                Ok(None) => {}
                Ok(Some(appended)) => self.calls.fill_produce(ticket, part, Ok(appended)),
                Err(refusal) => self.calls.fill_produce(ticket, part, Err(refusal)),
            }
        }
    }

    /// Decides one batch. `None`: the answer comes when its fate is known.
    fn decide_batch(
        &mut self,
        ticket: Ticket,
        part: usize,
        produce: ProducePartition,
        now: Now,
    ) -> Result<Option<Appended>, Refusal> {
        let key = produce.partition;
        let shard = self.shard_of(&key).ok_or_else(|| unknown_partition(None))?;
        let len_bytes = u32::try_from(produce.bytes.len())
            .map_err(|_| self.refuse(shard, &key, Reason::TooLarge))?;
        // Several batches share an entry only while it stays far from what a segment takes.
        let entry_bytes_max = self.config.entry_bytes_max() / 2;
        if let Some(building) =
            self.leading.get(&shard).and_then(|leading| leading.building.as_ref())
            && (!building.entry.has_room(len_bytes)
                || (!building.entry.is_empty()
                    && u64::from(building.entry.payload_len()) + u64::from(len_bytes)
                        > entry_bytes_max))
        {
            self.propose_shard(shard, now);
        }
        let waiting = self
            .leading
            .get(&shard)
            .and_then(|leading| leading.building.as_ref())
            .map_or(0, |building| u64::from(building.entry.payload_len()));
        self.driver
            .may_propose(shard, waiting + u64::from(len_bytes), Admission::Records)
            .map_err(|error| self.proposal_refusal(shard, error))?;
        let Some((term, time_ms)) = self.driver.deciding(shard, now) else {
            return Err(self.refuse(shard, &key, Reason::NotLeader));
        };
        let state = data_shard(&self.driver, shard);
        let (Some(leading), Some(state)) = (self.leading.get_mut(&shard), state) else {
            return Err(self.refuse(shard, &key, Reason::NotLeader));
        };
        let Some(partition) = state.partition(&key) else {
            return Err(unknown_partition(self.hint(shard, 0)));
        };
        let log_start = partition.log_start();
        let building = leading.building.get_or_insert_with(|| Building::new(time_ms));
        let time_ms = building.time_ms;
        let facts = ProduceFacts { partition: key, header: &produce.header, term, time_ms };
        match leading.decider.propose_produce(state, &mut building.entry, facts) {
            Ok(Decision::Append {
                base_offset,
                leader_epoch,
                log_append_time: log_append_time_ms,
                command_ordinal,
                ..
            }) => {
                let at = Place { base_offset, leader_epoch, log_append_time_ms, command_ordinal };
                append_chunks(building, &produce, at);
                let planted = self.config.planted.answer_before_commit;
                if !planted {
                    let slot = Slot::Produce { ticket, part, partition: key };
                    building.slots.push((command_ordinal, slot));
                }
                let log_append_time_ms = log_append_time_ms.unwrap_or(-1);
                Ok(planted.then_some(Appended { base_offset, log_append_time_ms, log_start }))
            }
            Ok(Decision::Duplicate { base_offset, log_append_time_ms }) => {
                self.probes.duplicates_committed += 1;
                Ok(Some(Appended { base_offset, log_append_time_ms, log_start }))
            }
            Ok(Decision::DuplicateInFlight { base_offset, last_offset, log_append_time_ms }) => {
                self.probes.duplicates_in_flight += 1;
                let in_line = InLine { base_offset, last_offset, log_append_time_ms, ticket, part };
                leading.in_line.entry(key).or_default().push(in_line);
                Ok(None)
            }
            Err(refused) => Err(self.refuse(shard, &key, reason_of(&refused))),
        }
    }

    /// Proposes what every shard has collected.
    pub(super) fn propose_building(&mut self, now: Now) {
        let shards: Vec<ShardId> = self
            .leading
            .iter()
            .filter(|(_, leading)| leading.building.is_some())
            .map(|(shard, _)| *shard)
            .collect();
        for shard in shards {
            self.propose_shard(shard, now);
        }
    }

    /// Proposes what a shard has collected. Where that fails, what was decided never was.
    pub(super) fn propose_shard(&mut self, shard: ShardId, now: Now) {
        let Some(leading) = self.leading.get_mut(&shard) else { return };
        let Some(building) = leading.building.take() else { return };
        if building.entry.is_empty() {
            return;
        }
        let class =
            if building.payload.is_empty() { Admission::Reserve } else { Admission::Records };
        let decided = Now { wall_ms: building.time_ms, ..now };
        let batches = building.entry.batches().to_vec();
        let commands = building.entry.finish();
        match self.driver.propose(shard, &commands, building.payload, class, decided) {
            Ok(proposed) => {
                let pending = Pending { term: proposed.term, slots: building.slots };
                self.pending.insert((shard, proposed.index), pending);
            }
            Err(error) => {
                leading.decider.entry_dropped(&batches);
                leading.reconciling.clear();
                self.reconcile = true;
                let in_line = std::mem::take(&mut leading.in_line);
                let refusal = self.proposal_refusal(shard, error);
                self.refuse_slots(shard, building.slots, &refusal);
                let unknown = Refusal { outcome: Fate::Unknown, ..refusal };
                for waiting in in_line.into_values().flatten() {
                    self.calls.fill_produce(waiting.ticket, waiting.part, Err(unknown.clone()));
                }
            }
        }
    }

    pub(super) fn proposal_refusal(&self, shard: ShardId, error: ProposeError) -> Refusal {
        let reason = match error {
            ProposeError::NotLeader => Reason::NotLeader,
            ProposeError::Full | ProposeError::Dropped => Reason::NoSpace,
            ProposeError::TooLarge => Reason::TooLarge,
        };
        self.refusal(shard, 0, reason)
    }

    /// Duplicates whose first copy is committed now.
    pub(super) fn answer_in_line(&mut self, shard: ShardId, key: &PartitionKey) {
        let partition = self.shard(shard).and_then(|state| state.partition(key));
        let Some(ends) = partition.map(|found| (found.high_watermark(), found.log_start())) else {
            self.refuse_in_line(shard, key);
            return;
        };
        let (high_watermark, log_start) = ends;
        let Some(leading) = self.leading.get_mut(&shard) else { return };
        let Some(waiting) = leading.in_line.remove(key) else { return };
        let (done, still): (Vec<_>, Vec<_>) =
            waiting.into_iter().partition(|waiter| waiter.last_offset < high_watermark);
        if !still.is_empty() {
            leading.in_line.insert(*key, still);
        }
        for InLine { base_offset, log_append_time_ms, ticket, part, .. } in done {
            let appended = Appended { base_offset, log_append_time_ms, log_start };
            self.calls.fill_produce(ticket, part, Ok(appended));
        }
    }

    /// Duplicates whose first copy was refused at apply, or whose partition is gone.
    pub(super) fn refuse_in_line(&mut self, shard: ShardId, key: &PartitionKey) {
        let refusal = self.refuse(shard, key, Reason::NotLeader);
        let waiting = self.leading.get_mut(&shard).and_then(|l| l.in_line.remove(key));
        for waiter in waiting.into_iter().flatten() {
            self.calls.fill_produce(waiter.ticket, waiter.part, Err(refusal.clone()));
        }
    }
}

/// Where a decided batch goes.
struct Place {
    base_offset: i64,
    leader_epoch: i32,
    log_append_time_ms: Option<i64>,
    command_ordinal: usize,
}

/// The batch as it will be stored: new head, untouched rest.
fn append_chunks(building: &mut Building, produce: &ProducePartition, at: Place) {
    let Some(append_time_ms) = at.log_append_time_ms else {
        let head = stored_prefix(&produce.header, at.base_offset, at.leader_epoch);
        building.payload.push(Chunk::Head(head));
        building.payload.push(Chunk::Body {
            bytes: produce.bytes.slice(PREFIX_BYTES..),
            crc32c: Some(produce.header.crc),
        });
        return;
    };
    // The named exception: attributes and the largest timestamp lie behind the CRC.
    let header = with_log_append_time(&produce.bytes, append_time_ms)
        .expect("the connection has parsed this header");
    let parsed = BatchHeader::parse(&header).expect("it was written from a parsed header");
    building.entry.set_batch_crc(at.command_ordinal, parsed.crc);
    building.payload.push(Chunk::Head(stored_prefix(&parsed, at.base_offset, at.leader_epoch)));
    let rest = Bytes::copy_from_slice(&header[PREFIX_BYTES..]);
    building.payload.push(Chunk::Body { bytes: rest, crc32c: None });
    let records = produce.bytes.slice(HEADER_BYTES..);
    building.payload.push(Chunk::Body { bytes: records, crc32c: None });
}

pub(super) fn reason_of(refused: &Refused) -> Reason {
    match refused {
        Refused::UnknownPartition | Refused::WrongGeneration { .. } => Reason::UnknownPartition,
        Refused::TooLarge { .. } => Reason::TooLarge,
        Refused::InvalidTimestamp { .. } => Reason::InvalidTimestamp,
        Refused::InvalidRecord { .. }
        | Refused::EpochOverflow
        | Refused::OffsetOverflow
        // Groups have no partition; their refusals are worded where they are decided.
        | Refused::GroupTooLarge { .. }
        | Refused::InvalidGroup { .. }
        // Nor has an object.
        | Refused::InvalidObject { .. } => Reason::InvalidRecord,
        Refused::StaleProducerEpoch { .. } => Reason::StaleProducerEpoch,
        Refused::OutOfOrderSequence { .. } => Reason::OutOfOrderSequence,
        Refused::AlreadyAppended { .. } => Reason::DuplicateSequence,
        Refused::OffsetMismatch { .. }
        | Refused::BehindRefused
        | Refused::Unsettled
        | Refused::WrongLeaderEpoch { .. } => Reason::NotLeader,
        Refused::OffsetOutOfRange { .. } => Reason::OffsetOutOfRange,
        Refused::EntryFull => Reason::NoSpace,
    }
}
