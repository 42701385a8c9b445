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
use holdfast_consensus::{Driver, DriverConfig, DriverError, Event, PeerMessage};
use holdfast_coordinator::Coordinator;
use holdfast_io::Disk;
use holdfast_metadata::{BrokerSettings, Image, NodeFacts};
use holdfast_wal::{Identity, OldestSegment, Recovered, SegmentNumber, Wal, WalError};

use crate::batch_index::BatchIndex;
use crate::calls::{Calls, Slot};
use crate::config::LaneConfig;
use crate::machines::{Outcome, ShardMachine, metadata_shard};
use crate::published::{Leaders, Published};
use crate::request::{Answer, Request, Ticket};
use crate::state_work::KeptStates;
use crate::store_work::StateCheckpoint;

mod admin;
mod alter_configs;
mod delete_records;
mod describe;
mod epoch_ends;
mod erasure;
mod expiry_marks;
mod fetch;
mod group_offsets;
mod groups;
mod history;
mod housekeeping;
mod keeping;
mod list_offsets;
mod merges;
mod pauses;
mod place;
mod produce;
mod reconcile;
mod repairs;
mod replay;
mod roles;
mod settle;
mod shard_zero;
mod status;

use erasure::Erasure;
use expiry_marks::ExpiryMarks;
use fetch::Parked;
use history::{History, Objects};
use keeping::Keeping;
use pauses::Pauses;
use produce::Building;
use replay::{Replayed, behind_state, start_of, start_of_local, tell_recovery};

pub(crate) use groups::GroupWrite;
pub use repairs::ScrubNumbers;
pub use status::{LaneStatus, Probes};

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
struct Leading {
    /// Of this reign.
    term: Term,
    decider: holdfast_log::Decider,
    coordinator: Coordinator,
    building: Option<Building>,
    in_line: BTreeMap<PartitionKey, Vec<InLine>>,
    /// Partitions whose creation, removal or configuration is decided and not applied.
    reconciling: BTreeSet<PartitionKey>,
    producer_marks: ExpiryMarks,
    offset_marks: ExpiryMarks,
    next_offset_sweep_ns: u64,
    /// Committed offsets of deleted topics may be there.
    topics_went: bool,
    objects: Objects,
}

/// A proposed entry and who waits for which of its commands.
#[derive(Debug)]
struct Pending {
    term: Term,
    slots: Vec<(usize, Slot)>,
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
    history: History,
    erasure: Erasure,
    keeping: Keeping,
    image: Arc<Image>,
    /// Of this node, as of `image`.
    settings: BrokerSettings,
    /// Topics whose deletion this node has applied. An image that does not show a topic proves
    /// nothing: it may be older than the topic, while a data shard is up to date.
    deleted_topics: BTreeSet<TopicId>,
    leaders: Leaders,
    publish: bool,
    reconcile: bool,
    creations: Vec<admin::Creation>,
    next_housekeeping_ns: u64,
    failed: Option<WalError>,
    /// When the last call or turn came.
    now: Now,
    pauses: Pauses,
    events: Vec<Event<Outcome>>,
    /// Empty unless the bug of keeping what a lost reign decided is planted.
    kept_deciders: BTreeMap<ShardId, holdfast_log::Decider>,
    probes: Probes,
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

    /// Recovers the WAL on `disk`, replays what no checkpoint reflects, and starts every replica.
    /// Nothing is served before the first [`Lane::turn`]. A checkpoint that cannot be read counts as
    /// none: without one a replica can start only while its log is whole.
    ///
    /// # Errors
    /// The lane cannot start; the error says why and what to try.
    pub fn open(
        disk: D,
        config: LaneConfig,
        checkpoints: BTreeMap<ShardId, StateCheckpoint>,
        now: Now,
    ) -> Result<Self, DriverError> {
        Self::open_kept(disk, config, KeptStates { checkpoints, ..KeptStates::default() }, now)
    }

    /// As [`Lane::open`], with states that lie beside the log; they go before checkpoints.
    ///
    /// # Errors
    /// As [`Lane::open`].
    pub fn open_kept(
        disk: D,
        config: LaneConfig,
        kept: KeptStates,
        now: Now,
    ) -> Result<Self, DriverError> {
        let (wal, recovered) = Wal::recover(disk, config.wal.clone())?;
        tell_recovery(&recovered);
        Self::start(wal, recovered, config, kept, now)
    }

    fn start(
        wal: Wal<D>,
        recovered: Recovered,
        config: LaneConfig,
        kept: KeptStates,
        now: Now,
    ) -> Result<Self, DriverError> {
        let KeptStates { mut local, checkpoints, keeps } = kept;
        let keeps = keeps && config.store.is_some();
        let keeping = Keeping::begin(keeps, recovered.replicas.keys(), &local, now);
        let driver_config = DriverConfig {
            tail_cache_bytes: config.tail_cache_bytes,
            entry_bytes_max: config.entry_bytes_max(),
            election_seed: config.seed,
            planted: config.planted.consensus,
        };
        let planted = config.planted.log;
        let mut history = History::default();
        for shard in recovered.replicas.keys() {
            history.begin(*shard, now);
            if config.planted.history.start_state_trusted
                && let Some(state) = checkpoints.get(shard)
            {
                history.trust(*shard, state.applied);
            }
        }
        let waits = config.store.is_some();
        let mut replayed =
            Replayed { since_ns: now.boottime_ns, waits, history, ..Replayed::default() };
        let driver = Driver::open(
            wal,
            recovered,
            driver_config,
            |shard| {
                let start = match local.remove(&shard) {
                    Some(state) => start_of_local(state, planted),
                    None => start_of(shard, checkpoints.get(&shard), planted),
                };
                if config.planted.history.nothing_recalled { behind_state(start) } else { start }
            },
            &mut |event| replayed.take(event),
            now,
        )?;
        let image =
            metadata_shard(&driver).map(holdfast_metadata::Metadata::image).unwrap_or_default();
        let settings = BrokerSettings::of(&image, &config.facts);
        let erasure = Erasure::begin(driver.wal(), config.store, now);
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
            history: replayed.history,
            erasure,
            keeping,
            image,
            settings,
            deleted_topics: replayed.deleted_topics,
            leaders: Leaders::new(),
            publish: true,
            reconcile: true,
            creations: Vec::new(),
            next_housekeeping_ns: now.boottime_ns,
            failed: None,
            now,
            pauses: Pauses::default(),
            events: Vec::new(),
            kept_deciders: BTreeMap::new(),
            probes: Probes::default(),
        }
        .with_uploaded())
    }

    /// What the log holds of objects that are there already does not wait any more.
    fn with_uploaded(mut self) -> Self {
        for shard in self.driver.status().map(|row| row.shard).collect::<Vec<_>>() {
            self.objects_moved(shard);
        }
        self
    }

    /// Takes a call. Its effects come after those of every call handled before.
    pub fn handle(&mut self, ticket: Ticket, request: Request, now: Now) {
        self.note_time(now);
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
            Request::CreatePartitions(topics, origin) => {
                self.create_partitions(ticket, topics, &origin, now);
            }
            Request::AlterConfigs(resources, origin) => {
                self.alter_configs(ticket, resources, &origin, now);
            }
            Request::EpochEnds(parts) => self.epoch_ends(ticket, &parts, now),
            Request::DescribeLogDir => self.describe_log_dir(ticket),
            Request::DescribeQuorum => self.describe_quorum(ticket),
            Request::AllocateProducerIds => self.allocate_producer_ids(ticket, now),
            Request::Group(call) => self.group(ticket, call, now),
            Request::ListGroups => self.list_groups(ticket, now),
            Request::CommitOffsets(commit) => self.commit_offsets(ticket, commit, now),
            Request::FetchOffsets(asked) => self.fetch_offsets(ticket, &asked, now),
            Request::Stored(stored) => self.stored(ticket, stored, now),
            Request::Kept(kept) => self.kept(ticket, &kept),
            Request::DeleteOffsets { group, partitions } => {
                self.delete_offsets(ticket, &group, &partitions, now);
            }
        }
    }

    /// The node's own configuration was read again: what holds by it and the cluster's is used from
    /// now on.
    pub fn set_facts(&mut self, facts: NodeFacts) {
        self.config.facts = facts;
        self.take_settings();
    }

    /// A peer's message.
    pub fn step(&mut self, message: PeerMessage, now: Now) {
        self.driver.step(message, now);
    }

    /// Moves everything that can move.
    pub fn turn(&mut self, now: Now) {
        self.note_time(now);
        self.housekeep(now);
        self.tick_groups(now);
        self.tend_history(now);
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
        self.pauses.next_turn_ns = self.next_wake_ns();
    }

    fn note_time(&mut self, now: Now) {
        if let Some(paused_ns) = self.pauses.note(self.now, now) {
            let paused_ms = paused_ns / 1_000_000;
            tracing::warn!(
                paused_ms,
                "the node stood still; members of groups get that time again"
            );
        }
        self.now = now;
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
        self.driver
            .next_wake_ns()
            .min(deadline)
            .min(self.next_housekeeping_ns)
            .min(self.history.next_look_ns())
            .min(self.next_group_wake_ns())
    }

    /// Tells those who read segment files by themselves which are still there.
    #[must_use]
    pub fn oldest_segment(&self) -> OldestSegment {
        self.driver.wal().oldest_shared()
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

    /// Applied state of every data shard here, ascending, for status and tests.
    pub fn data_shards(&self) -> impl Iterator<Item = &holdfast_log::Shard> {
        let shards: Vec<ShardId> = self.driver.status().map(|row| row.shard).collect();
        shards.into_iter().filter_map(|shard| self.shard(shard))
    }

    /// Applied state of shard 0, for checkers and status.
    #[must_use]
    pub fn metadata(&self) -> Option<&holdfast_metadata::Metadata> {
        self.driver.machine(ShardId::METADATA)?.metadata()
    }
}
