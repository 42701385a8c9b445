//! The lane itself: what it owns, and one turn.
//!
//! ```text
//! handle(ticket, request) ─▶ decide ─▶ building[shard]          effects in order of arrival
//! turn: building ─▶ driver.propose ─▶ pending[(shard, index)] ─▶ frame ─▶ durable, committed
//!       applied  ─▶ batch index, pending answered, parked fetches woken, partitions reconciled
//! ```
//!
//! Invariants:
//! - A shard has a [`Leading`] exactly while this replica serves it; everything decided and not
//!   applied lives there and is dropped with it, its waiters answered "fate unknown".
//! - Decided commands of a shard are proposed in the order decided: `building` is flushed before
//!   anything else is proposed for that shard.
//! - A pending entry is answered by the entry applied at its index: with its outcomes if the term
//!   is the same, as not happened if another term took the index.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use holdfast_base::{Index, Now, PartitionKey, ShardId, SplitMix64, Term, TopicId};
use holdfast_consensus::{
    Driver, DriverConfig, DriverError, Event, PeerMessage, ReplicaStatus, Role,
};
use holdfast_io::Disk;
use holdfast_log::Partition;
use holdfast_metadata::{CommandOutcome, Image};
use holdfast_wal::{Identity, Recovered, SegmentNumber, Verdict, Wal, WalError, WalStatus};

use crate::batch_index::BatchIndex;
use crate::calls::{Calls, Slot};
use crate::config::LaneConfig;
use crate::machines::{Outcome, ShardMachine};
use crate::published::{Leader, Leaders, Published};
use crate::request::{
    AdminReason, AdminRefusal, Answer, LeaderHint, Outcome as Fate, Reason, Refusal, Request,
    Ticket,
};

mod admin;
mod delete_records;
mod fetch;
mod list_offsets;
mod produce;
mod producer_expiry;
mod reconcile;
mod shard_zero;

use fetch::Parked;
use produce::Building;
use producer_expiry::ExpiryMarks;

/// A producer's batch that waits for its first copy, already in flight.
#[derive(Debug)]
struct InLine {
    base_offset: i64,
    last_offset: i64,
    log_append_time_ms: i64,
    ticket: Ticket,
    part: usize,
}

/// What exists only while this replica leads and serves a data shard.
#[derive(Default)]
struct Leading {
    decider: holdfast_log::Decider,
    building: Option<Building>,
    in_line: BTreeMap<PartitionKey, Vec<InLine>>,
    /// Partitions whose creation or removal is decided and not applied.
    reconciling: BTreeSet<PartitionKey>,
    expiry: ExpiryMarks,
}

/// A proposed entry and who waits for which of its commands.
#[derive(Debug)]
struct Pending {
    term: Term,
    slots: Vec<(usize, Slot)>,
}

/// Numbers for status pages and metrics.
#[derive(Clone, Debug)]
pub struct LaneStatus {
    /// The WAL.
    pub wal: WalStatus,
    /// Every replica.
    pub replicas: Vec<ReplicaStatus>,
    /// Calls not answered yet, parked fetches not counted.
    pub open_calls: usize,
    /// Fetches that wait for records.
    pub parked_fetches: usize,
    /// Bytes in the tail cache.
    pub tail_cache_bytes: u64,
    /// Batches in the read index.
    pub indexed_batches: usize,
    /// The device failed: nothing is acknowledged any more.
    pub failed: Option<WalError>,
}

/// See the module.
pub struct Lane<D: Disk> {
    driver: Driver<D, ShardMachine>,
    config: LaneConfig,
    rng: SplitMix64,
    leading: BTreeMap<ShardId, Leading>,
    metadata_decider: Option<holdfast_metadata::Decider>,
    pending: BTreeMap<(ShardId, Index), Pending>,
    calls: Calls,
    parked: Parked,
    /// Fetches to try again at the end of this turn.
    awake: BTreeSet<Ticket>,
    batches: BTreeMap<PartitionKey, BatchIndex>,
    files: BTreeMap<SegmentNumber, Arc<str>>,
    image: Arc<Image>,
    /// Topics whose deletion this node has applied. An image that does not show a topic proves
    /// nothing: it may be older than the topic, while a data shard is up to date.
    deleted_topics: BTreeSet<TopicId>,
    leaders: Leaders,
    publish: bool,
    reconcile: bool,
    creations: Vec<admin::Creation>,
    next_housekeeping_ns: u64,
    failed: Option<WalError>,
    events: Vec<Event<Outcome>>,
    /// Empty unless the bug of keeping what a lost reign decided is planted.
    kept_deciders: BTreeMap<ShardId, holdfast_log::Decider>,
    probes: Probes,
}

/// How often rare situations came about since the start, for tests that must have seen them.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Probes {
    /// Batches answered with the offset of their first copy, already committed.
    pub duplicates_committed: u64,
    /// Batches that waited for their first copy, still in flight.
    pub duplicates_in_flight: u64,
    /// Parked fetches tried again because a partition moved.
    pub fetches_woken: u64,
    /// Entries whose waiters were told that their fate is unknown.
    pub pending_failed: u64,
    /// Entries whose waiters were told that they never happened.
    pub other_term_took_index: u64,
}

impl<D: Disk> Lane<D> {
    /// Writes an empty WAL that holds these replicas.
    ///
    /// # Errors
    /// As `Wal::format`.
    pub fn format(disk: &mut D, config: &LaneConfig) -> Result<(), WalError> {
        let identities: Vec<Identity> = config.founding.identities_on(config.node);
        Wal::format(disk, &config.wal, &identities)
    }

    /// Recovers the WAL on `disk`, replays it and starts every replica. Nothing is served before
    /// the first [`Lane::turn`].
    ///
    /// # Errors
    /// The lane cannot start; the error says why and what to try.
    pub fn open(disk: D, config: LaneConfig, now: Now) -> Result<Self, DriverError> {
        let (wal, recovered) = Wal::recover(disk, config.wal.clone())?;
        tell_recovery(&recovered);
        Self::start(wal, recovered, config, now)
    }

    fn start(
        wal: Wal<D>,
        recovered: Recovered,
        config: LaneConfig,
        now: Now,
    ) -> Result<Self, DriverError> {
        let driver_config = DriverConfig {
            tail_cache_bytes: config.tail_cache_bytes,
            entry_bytes_max: config.entry_bytes_max(),
            election_seed: config.seed,
            planted: config.planted.consensus,
        };
        let planted = config.planted.log;
        let mut replayed = Replayed::default();
        let driver = Driver::open(
            wal,
            recovered,
            driver_config,
            |shard| ShardMachine::new(shard, planted),
            &mut |event| replayed.take(event),
            now,
        )?;
        let image = driver
            .machine(ShardId::METADATA)
            .and_then(ShardMachine::metadata)
            .map(holdfast_metadata::Metadata::image)
            .unwrap_or_default();
        Ok(Lane {
            rng: SplitMix64::new(config.seed),
            driver,
            config,
            leading: BTreeMap::new(),
            metadata_decider: None,
            pending: BTreeMap::new(),
            calls: Calls::default(),
            parked: Parked::default(),
            awake: BTreeSet::new(),
            batches: replayed.batches,
            files: BTreeMap::new(),
            image,
            deleted_topics: replayed.deleted_topics,
            leaders: Leaders::new(),
            publish: true,
            reconcile: true,
            creations: Vec::new(),
            next_housekeeping_ns: now.boottime_ns,
            failed: None,
            events: Vec::new(),
            kept_deciders: BTreeMap::new(),
            probes: Probes::default(),
        })
    }

    /// Takes a call. Its effects come after those of every call handled before.
    pub fn handle(&mut self, ticket: Ticket, request: Request, now: Now) {
        match request {
            Request::Produce(parts) => self.produce(ticket, parts, now),
            Request::Fetch(request) => self.fetch(ticket, request, now),
            Request::ListOffsets(parts) => self.list_offsets(ticket, &parts, now),
            Request::DeleteRecords(parts) => self.delete_records(ticket, &parts, now),
            Request::CreateTopics(topics, origin) => {
                self.create_topics(ticket, topics, &origin, now);
            }
            Request::DeleteTopics(topics, origin) => {
                self.delete_topics(ticket, topics, &origin, now);
            }
            Request::AllocateProducerIds => self.allocate_producer_ids(ticket, now),
            other => self.refuse_unbuilt(ticket, &other),
        }
    }

    /// Calls whose border stands and whose room is being built.
    fn refuse_unbuilt(&mut self, ticket: Ticket, request: &Request) {
        use holdfast_coordinator::{GroupAnswer, GroupCall, GroupError};
        let loading = GroupError::LoadInProgress;
        let answer = match request {
            Request::EpochEnds(parts) => Answer::EpochEnds(
                parts.iter().map(|part| Err(self.refuse_here(&part.partition))).collect(),
            ),
            Request::Group(call) => Answer::Group(match call {
                GroupCall::Join(_) => GroupAnswer::Join(Err(loading)),
                GroupCall::Sync(_) => GroupAnswer::Sync(Err(loading)),
                GroupCall::Heartbeat(_) => GroupAnswer::Heartbeat(Err(loading)),
                GroupCall::Leave(_) => GroupAnswer::Leave(Err(loading)),
                GroupCall::Describe { .. } => GroupAnswer::Describe(Err(loading)),
                GroupCall::Delete { .. } => GroupAnswer::Delete(Err(loading)),
            }),
            Request::ListGroups => Answer::ListGroups(Err(loading)),
            Request::CommitOffsets(_) => Answer::CommitOffsets(Err(loading)),
            Request::FetchOffsets(_) => Answer::FetchOffsets(Err(loading)),
            Request::DeleteOffsets { .. } => Answer::DeleteOffsets(Err(loading)),
            Request::CreatePartitions(topics, _) => Answer::CreatePartitions(
                topics.iter().map(|_| Err(admin::not_controller())).collect(),
            ),
            Request::AlterConfigs(resources, _) => Answer::AlterConfigs(
                resources.iter().map(|_| Err(admin::not_controller())).collect(),
            ),
            _ => {
                let refusal = self.refusal(ShardId::METADATA, 0, Reason::NotLeader);
                Answer::DescribeQuorum(Err(refusal))
            }
        };
        self.calls.answer(ticket, answer);
    }

    fn refuse_here(&self, key: &PartitionKey) -> Refusal {
        match self.shard_of(key) {
            Some(shard) => self.refuse(shard, key, Reason::NotLeader),
            None => unknown_partition(None),
        }
    }

    /// A peer's message.
    pub fn step(&mut self, message: PeerMessage, now: Now) {
        self.driver.step(message, now);
    }

    /// Moves everything that can move.
    pub fn turn(&mut self, now: Now) {
        self.housekeep(now);
        self.propose_building(now);
        self.driver.turn(now);
        loop {
            let mut events = std::mem::take(&mut self.events);
            self.driver.take_events(&mut events);
            if events.is_empty() {
                self.events = events;
                break;
            }
            for event in events.drain(..) {
                self.take_event(event, now);
            }
            self.events = events;
            // What was applied may have made the next step due: a partition to create, a batch
            // that waited for room.
            self.reconcile_if_due(now);
            self.propose_building(now);
            self.driver.turn(now);
        }
        self.answer_creations(now);
        self.wake_fetches(now);
    }

    /// Answers since last asked.
    pub fn take_answers(&mut self, answers: &mut Vec<(Ticket, Answer)>) {
        self.calls.take_answers(answers);
    }

    /// Messages for peers since last asked, in order.
    pub fn take_messages(&mut self, messages: &mut Vec<PeerMessage>) {
        self.driver.take_messages(messages);
    }

    /// The image and the leaders, if either changed since last asked.
    pub fn take_published(&mut self) -> Option<Published> {
        std::mem::take(&mut self.publish).then(|| Published {
            image: Arc::clone(&self.image),
            leaders: Arc::new(self.leaders.clone()),
        })
    }

    /// Boottime of the next turn that is due although nothing arrives.
    #[must_use]
    pub fn next_wake_ns(&self) -> u64 {
        let deadline = self.parked.next_deadline_ns().unwrap_or(u64::MAX);
        self.driver.next_wake_ns().min(deadline).min(self.next_housekeeping_ns)
    }

    /// Numbers for status pages and metrics.
    #[must_use]
    pub fn status(&self) -> LaneStatus {
        LaneStatus {
            wal: self.driver.wal().status(),
            replicas: self.driver.status().collect(),
            open_calls: self.calls.open_count(),
            parked_fetches: self.parked.len(),
            tail_cache_bytes: self.driver.tail_cache_bytes(),
            indexed_batches: self.batches.values().map(BatchIndex::len).sum(),
            failed: self.failed.clone(),
        }
    }

    /// How often rare situations came about in this lane.
    #[must_use]
    pub fn probes(&self) -> Probes {
        self.probes
    }

    /// The same for its replicas.
    #[must_use]
    pub fn consensus_probes(&self) -> holdfast_consensus::Probes {
        self.driver.probes()
    }

    /// Whether the device failed.
    #[must_use]
    pub fn has_failed(&self) -> bool {
        self.failed.is_some()
    }

    /// The disk, for the owner to wait on.
    pub fn disk_mut(&mut self) -> &mut D {
        self.driver.wal_mut().disk_mut()
    }

    /// Applied state of a data shard, for checkers.
    #[must_use]
    pub fn shard(&self, shard: ShardId) -> Option<&holdfast_log::Shard> {
        self.driver.machine(shard)?.data()
    }

    /// Applied state of shard 0, for checkers and status.
    #[must_use]
    pub fn metadata(&self) -> Option<&holdfast_metadata::Metadata> {
        self.driver.machine(ShardId::METADATA)?.metadata()
    }

    fn take_event(&mut self, event: Event<Outcome>, now: Now) {
        match event {
            Event::Applied { shard, index, term, payload, outcome } => {
                self.settle(shard, index, term, outcome, payload);
            }
            Event::Role { shard, role, term, leader } => {
                self.take_role(shard, role, term, leader, now);
            }
            Event::Quarantined { shard, why } => {
                tracing::error!(shard = shard.0, %why, "replica quarantined");
                self.stop_leading(shard);
            }
            Event::LaneFailed(error) => {
                tracing::error!(%error, "the WAL device failed; nothing more is acknowledged");
                self.failed = Some(error);
                for shard in self.leading.keys().copied().collect::<Vec<_>>() {
                    self.stop_leading(shard);
                }
                self.stop_leading(ShardId::METADATA);
            }
        }
    }

    fn take_role(
        &mut self,
        shard: ShardId,
        role: Role,
        term: Term,
        leader: Option<holdfast_base::ReplicaId>,
        now: Now,
    ) {
        let node = leader.and_then(|replica| {
            let placed = self.image.shards.get(&shard).and_then(|placement| {
                placement.replicas.iter().find(|(id, _)| *id == replica).map(|(_, node)| *node)
            });
            placed.or_else(|| self.config.founding.node_of(shard, replica))
        });
        if let Some(node) = node
            && self.leaders.get(&shard).is_none_or(|known| known.term <= term)
        {
            self.publish |=
                self.leaders.insert(shard, Leader { node, term }) != Some(Leader { node, term });
        }
        // A new reign starts from applied state: whatever the old one decided is gone.
        if role != Role::Serving {
            self.stop_leading(shard);
        } else if shard == ShardId::METADATA {
            self.metadata_decider = Some(holdfast_metadata::Decider::new());
            self.lead_shard_zero(now);
        } else {
            let decider = self.lead(shard);
            self.leading.entry(shard).or_insert(Leading { decider, ..Leading::default() });
            self.reconcile = true;
        }
    }

    /// An empty decider; with a bug planted, the one of the last reign.
    fn lead(&mut self, shard: ShardId) -> holdfast_log::Decider {
        let mut decider = self.kept_deciders.remove(&shard).unwrap_or_default();
        decider.plant(self.config.planted.log);
        decider
    }

    /// Drops what was decided and tells everyone who waits that its fate is unknown.
    fn stop_leading(&mut self, shard: ShardId) {
        if shard == ShardId::METADATA {
            self.metadata_decider = None;
        }
        let unknown = Refusal {
            reason: Reason::NotLeader,
            outcome: Fate::Unknown,
            leader: self.hint(shard, 0),
        };
        if let Some(mut leading) = self.leading.remove(&shard) {
            if self.config.planted.log.offset_gap_reused {
                self.kept_deciders.insert(shard, std::mem::take(&mut leading.decider));
            }
            if let Some(building) = leading.building {
                let refusal = Refusal { outcome: Fate::DidNot, ..unknown.clone() };
                self.refuse_slots(building.slots, &refusal);
            }
            for waiting in leading.in_line.into_values().flatten() {
                self.calls.fill_produce(waiting.ticket, waiting.part, Err(unknown.clone()));
            }
        }
        if self.config.planted.pending_by_index_only {
            return;
        }
        let range = (shard, Index(0))..=(shard, Index(u64::MAX));
        let lost: Vec<_> = self.pending.range(range).map(|(key, _)| *key).collect();
        for key in lost {
            if let Some(pending) = self.pending.remove(&key) {
                self.probes.pending_failed += 1;
                self.refuse_slots(pending.slots, &unknown);
            }
        }
        // Parked fetches of this shard learn of it now rather than at their deadline.
        self.awake.extend(self.parked.everyone());
    }

    /// An entry is applied: the batch index grows, waiters are answered.
    fn settle(
        &mut self,
        shard: ShardId,
        index: Index,
        term: Term,
        outcome: Option<Outcome>,
        payload: holdfast_wal::Extent,
    ) {
        if let Some(Outcome::Data(applied)) = &outcome {
            index_batches(&mut self.batches, applied, payload);
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
                self.refuse_slots(pending.slots, &refusal);
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
            && let Some(state) = self.driver.machine(shard).and_then(ShardMachine::data)
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

    fn refuse_slots(&mut self, slots: Vec<(usize, Slot)>, refusal: &Refusal) {
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
                Slot::ProducerIds { ticket } => {
                    let answer = Answer::AllocateProducerIds(Err(refusal.clone()));
                    self.calls.answer(ticket, answer);
                }
            }
        }
    }

    /// The partition, if this node may show its committed state now.
    fn readable(
        &self,
        key: &PartitionKey,
        client_epoch: i32,
        now: Now,
    ) -> Result<(ShardId, &Partition), Refusal> {
        let shard = self.shard_of(key).ok_or_else(|| unknown_partition(None))?;
        if !self.driver.serves_reads(shard, now) {
            return Err(self.refuse(shard, key, Reason::NotLeader));
        }
        let partition = self
            .driver
            .machine(shard)
            .and_then(ShardMachine::data)
            .and_then(|state| state.partition(key))
            .ok_or_else(|| unknown_partition(self.hint(shard, 0)))?;
        self.check_epoch(shard, partition, client_epoch, now)?;
        Ok((shard, partition))
    }

    fn check_epoch(
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

    fn shard_of(&self, key: &PartitionKey) -> Option<ShardId> {
        let topic = self.image.topic_by_id(key.topic)?;
        self.image.shard_of(topic, key.partition).map(|(shard, _)| shard)
    }

    fn refuse(&self, shard: ShardId, key: &PartitionKey, reason: Reason) -> Refusal {
        let base = self
            .shard(shard)
            .and_then(|state| state.partition(key))
            .map_or(0, Partition::epoch_base);
        self.refusal(shard, base, reason)
    }

    fn refusal(&self, shard: ShardId, epoch_base: i32, reason: Reason) -> Refusal {
        Refusal { reason, outcome: Fate::DidNot, leader: self.hint(shard, epoch_base) }
    }

    fn hint(&self, shard: ShardId, epoch_base: i32) -> Option<LeaderHint> {
        let leader = self.leaders.get(&shard)?;
        let leader_epoch =
            i32::try_from(leader.term.0).ok().and_then(|term| term.checked_add(epoch_base))?;
        Some(LeaderHint { node: leader.node, shard, term: leader.term, leader_epoch })
    }

    /// Where the leader's decided log ends, beyond the high watermark.
    fn decided_end(&self, shard: ShardId, key: &PartitionKey) -> Option<i64> {
        let state = self.shard(shard)?;
        self.leading.get(&shard)?.decider.log_end(state, key)
    }
}

fn unknown_partition(leader: Option<LeaderHint>) -> Refusal {
    Refusal { reason: Reason::UnknownPartition, outcome: Fate::DidNot, leader }
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

fn index_batches(
    batches: &mut BTreeMap<PartitionKey, BatchIndex>,
    applied: &holdfast_log::Applied,
    payload: holdfast_wal::Extent,
) {
    for batch in &applied.appended {
        let extent = payload.part(batch.payload_start, batch.payload_len_bytes);
        batches.entry(batch.partition).or_default().push(
            batch.base_offset,
            batch.last_offset,
            batch.max_timestamp_ms,
            extent,
        );
    }
    for (key, log_start) in &applied.log_starts {
        if let Some(index) = batches.get_mut(key) {
            index.drop_before(*log_start);
        }
    }
    for key in &applied.removed {
        batches.remove(key);
    }
}

/// What recovery found, in the words an operator needs at night.
fn tell_recovery(recovered: &Recovered) {
    tracing::info!(
        boot = recovered.boot.0,
        replicas = recovered.replicas.len(),
        "the write-ahead log was read"
    );
    for row in &recovered.verdicts {
        let (file, offset) = (&row.file, row.offset);
        match row.verdict {
            Verdict::End | Verdict::NeverOpened => {
                tracing::debug!(file, offset, verdict = ?row.verdict, "the log ends here");
            }
            Verdict::Torn => tracing::info!(
                file,
                offset,
                "a write was cut short here by the last stop and is dropped: it was never \
                 acknowledged"
            ),
            Verdict::Repair => {
                tracing::warn!(file, offset, "a damaged copy was written again from the good one");
            }
            Verdict::Corruption | Verdict::LaneFailed => tracing::error!(
                file,
                offset,
                verdict = ?row.verdict,
                "durable bytes are damaged here; the shards they belong to stop at this place"
            ),
        }
    }
}

/// What replay leaves for the lane.
#[derive(Default)]
struct Replayed {
    batches: BTreeMap<PartitionKey, BatchIndex>,
    deleted_topics: BTreeSet<TopicId>,
}

impl Replayed {
    fn take(&mut self, event: Event<Outcome>) {
        match event {
            Event::Applied { payload, outcome: Some(Outcome::Data(applied)), .. } => {
                index_batches(&mut self.batches, &applied, payload);
            }
            Event::Applied { outcome: Some(Outcome::Metadata(applied)), .. } => {
                self.deleted_topics.extend(deleted_topics(&applied));
            }
            Event::Quarantined { shard, why } => {
                tracing::error!(shard = shard.0, %why, "replica quarantined at start");
            }
            Event::Applied { .. } | Event::Role { .. } | Event::LaneFailed(_) => {}
        }
    }
}

fn deleted_topics(applied: &holdfast_metadata::Applied) -> impl Iterator<Item = TopicId> {
    applied.outcomes.iter().filter_map(|outcome| match outcome {
        CommandOutcome::TopicDeleted(topic) => Some(topic.id),
        _ => None,
    })
}
