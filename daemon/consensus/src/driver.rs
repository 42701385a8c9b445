//! All replicas of a lane and their WAL: one turn moves everything that can move.
//!
//! A turn, in this order (design, consensus rule 4):
//! 1. take the WAL's news; every Ready whose frame is durable is reported persisted, in order,
//!    and its `persisted_messages` (votes, append acknowledgements) go out;
//! 2. tick raft-rs if time has come;
//! 3. collect Readies of all shards into one frame: hard state, then entries; cache them, submit,
//!    send the leader's messages at once; apply what is committed; again while there is more.
//!
//! A Ready that changes only `commit` writes nothing and waits for nothing.

use std::collections::BTreeMap;

use bytes::Bytes;
use holdfast_base::{Index, Now, ReplicaId, ShardId, Term};
use holdfast_io::Disk;
use holdfast_wal::{
    Admission, Chunk, EntryKind, Extent, FrameNumber, HardState, Item, NewEntry, Payload, Wal,
    WalError, WalEvent, Written,
};
use raft::eraftpb::{Entry, EntryType, Message};
use raft::{RawNode, Ready};
use thiserror::Error;

use crate::head::Head;
use crate::log_store::{CachedEntry, raft_entry};
use crate::machine::{Committed, Machine, Quarantine};
use crate::message::{PeerMessage, SentPayload};
use crate::replica::{ELECTION_TICKS, HASH_EVERY, Replica, Role, TICK_NS, Waiting};
use crate::tail_cache::TailCache;

mod boot;

/// Bytes of real size (commands and payload) in one append message.
pub(crate) const MESSAGE_BYTES_MAX: u64 = 1 << 20;
/// Append messages in flight to one follower. Times [`MESSAGE_BYTES_MAX`] it is the byte budget
/// of a follower, 16 MiB.
pub(crate) const MESSAGES_IN_FLIGHT_MAX: usize = 16;
const _: () = assert!(MESSAGES_IN_FLIGHT_MAX as u64 * MESSAGE_BYTES_MAX <= 16 << 20);
/// Command bytes proposed but not committed before raft-rs drops proposals. The lane's own byte
/// budget is far lower; this is the last fence.
pub(crate) const UNCOMMITTED_BYTES_MAX: u64 = 64 << 20;
/// Command bytes raft-rs hands out for applying at once.
pub(crate) const COMMITTED_BYTES_PER_READY_MAX: u64 = 8 << 20;
/// Entries read back from the WAL at a time for a follower that lags behind the cache.
const FETCHED_RUNS_MAX: usize = 64;

/// Choices of a driver.
#[derive(Clone, Copy, Debug)]
pub struct DriverConfig {
    /// Bytes of payload kept in memory.
    pub tail_cache_bytes: u64,
    /// Commands and payload of one entry: what the WAL takes, less room for locators.
    pub entry_bytes_max: u64,
    /// Spreads elections; the only randomness of consensus.
    pub election_seed: u64,
    /// Bugs put in on purpose, to test the tests.
    pub planted: PlantedBugs,
}

/// Bugs that can be switched on at run time so that the simulation proves it would find them.
#[derive(Clone, Copy, Debug, Default)]
pub struct PlantedBugs {
    /// Votes and append acknowledgements go out before their frame is durable.
    pub acknowledge_before_flush: bool,
    /// A deposed leader's entries are applied although another term decided them.
    pub deciding_term_ignored: bool,
    /// A leader serves before it has applied its own empty entry.
    pub serves_before_own_entry: bool,
    /// Reads are answered however old the last quorum contact is.
    pub lease_ignored: bool,
}

/// What moved.
#[derive(Debug)]
pub enum Event<O> {
    /// An entry is committed and applied. Per shard in index order, each index once.
    Applied {
        /// The shard.
        shard: ShardId,
        /// Its place.
        index: Index,
        /// Its term: a pending answer keyed by another term at this index has failed.
        term: Term,
        /// Where its payload lies.
        payload: Extent,
        /// What it did; `None` for a leader's empty entry and for one decided in another term.
        outcome: Option<O>,
    },
    /// A replica's role, term or known leader changed.
    Role {
        /// The shard.
        shard: ShardId,
        /// The role now.
        role: Role,
        /// The term now.
        term: Term,
        /// The leader now, if one is known.
        leader: Option<ReplicaId>,
    },
    /// A replica stopped for good.
    Quarantined {
        /// The shard.
        shard: ShardId,
        /// Why.
        why: Quarantine,
    },
    /// The WAL's device failed: nothing more is acknowledged from this lane.
    LaneFailed(WalError),
}

/// Where an accepted proposal will be, if it commits.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Proposed {
    /// The term it was decided in.
    pub term: Term,
    /// Its index.
    pub index: Index,
}

/// Why nothing was proposed. Nothing happened.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum ProposeError {
    /// This replica does not lead, or has not applied its own empty entry.
    #[error("this replica does not lead the shard")]
    NotLeader,
    /// The quorum's WALs cannot take it.
    #[error("the write-ahead logs of a quorum are full")]
    Full,
    /// No WAL segment can take an entry of that size.
    #[error("the entry is larger than a segment of the write-ahead log takes")]
    TooLarge,
    /// raft-rs would not take it (transfer of leadership, uncommitted backlog).
    #[error("the shard takes no proposals just now")]
    Dropped,
}

/// The lane cannot go on.
#[derive(Debug, Error)]
pub enum DriverError {
    /// The WAL.
    #[error(transparent)]
    Wal(#[from] WalError),
    /// raft-rs refused its configuration or the recovered state.
    #[error("shard {shard}: raft-rs does not start: {why}")]
    Raft {
        /// The shard.
        shard: ShardId,
        /// Its words.
        why: String,
    },
}

/// One replica, for status pages.
#[derive(Clone, Debug)]
pub struct ReplicaStatus {
    /// The shard.
    pub shard: ShardId,
    /// The replica.
    pub replica: ReplicaId,
    /// Its role.
    pub role: Role,
    /// Its term.
    pub term: Term,
    /// The leader it knows.
    pub leader: Option<ReplicaId>,
    /// Newest applied index.
    pub applied: Index,
    /// Newest committed index it knows.
    pub committed: Index,
    /// Newest index of its log.
    pub last: Index,
    /// Why it stopped, if it did.
    pub quarantine: Option<Quarantine>,
}

/// See the module.
pub struct Driver<D: Disk, M: Machine> {
    wal: Wal<D>,
    replicas: BTreeMap<ShardId, Replica<M>>,
    tail: TailCache,
    config: DriverConfig,
    boot: holdfast_base::BootCount,
    next_tick_ns: u64,
    events: Vec<Event<M::Outcome>>,
    outbox: Vec<PeerMessage>,
    failed: Option<WalError>,
    wal_events: Vec<WalEvent>,
    /// Proposed and not yet in a frame: promised WAL space.
    promised_bytes: u64,
}

impl<D: Disk, M: Machine> Driver<D, M> {
    /// Takes part in a shard's log: commands and their payload, decided by this leader in its
    /// current term at `now`.
    ///
    /// # Errors
    /// Nothing happened; see [`ProposeError`].
    pub fn propose(
        &mut self,
        shard: ShardId,
        commands: &[u8],
        payload: Payload,
        class: Admission,
        now: Now,
    ) -> Result<Proposed, ProposeError> {
        let payload_len: usize = payload.iter().map(Chunk::len_bytes).sum();
        self.may_propose(shard, (commands.len() + payload_len) as u64, class)?;
        let replica = self.replicas.get_mut(&shard).ok_or(ProposeError::NotLeader)?;
        replica.time_ms = replica.time_ms.max(now.wall_ms);
        let head = Head {
            deciding_replica: replica.id,
            deciding_term: replica.term,
            time_ms: replica.time_ms,
            payload_len_bytes: u32::try_from(payload_len).map_err(|_| ProposeError::Full)?,
        };
        let data = head.encode(commands);
        let before = replica.raw.raft.raft_log.last_index();
        match replica.with_raft(|raw| raw.propose(Vec::new(), data)) {
            Some(Ok(())) => {}
            Some(Err(_)) | None => return Err(ProposeError::Dropped),
        }
        let index = Index(replica.raw.raft.raft_log.last_index());
        assert_eq!(index.0, before + 1, "an accepted proposal is the log's next entry");
        let term = replica.term;
        self.promised_bytes += (commands.len() + payload_len) as u64;
        if payload_len > 0 {
            replica.staged.insert((index, term), payload);
        }
        Ok(Proposed { term, index })
    }

    /// Whether a proposal of about `bytes` would be taken now. Asked *before* deciding.
    ///
    /// # Errors
    /// As [`Driver::propose`].
    pub fn may_propose(
        &self,
        shard: ShardId,
        bytes: u64,
        class: Admission,
    ) -> Result<(), ProposeError> {
        let replica = self.replicas.get(&shard).ok_or(ProposeError::NotLeader)?;
        if replica.role != Role::Serving || replica.quarantine.is_some() || self.failed.is_some() {
            return Err(ProposeError::NotLeader);
        }
        if replica.raw.raft.lead_transferee.is_some() {
            return Err(ProposeError::Dropped);
        }
        if bytes > self.config.entry_bytes_max {
            return Err(ProposeError::TooLarge);
        }
        let bytes = bytes + self.promised_bytes;
        if !self.wal.admits(bytes, class)
            || replica.quorum_free_bytes(self.wal.free_bytes()) < bytes
        {
            return Err(ProposeError::Full);
        }
        Ok(())
    }

    /// The term and entry time under which this replica would decide now.
    #[must_use]
    pub fn deciding(&self, shard: ShardId, now: Now) -> Option<(Term, i64)> {
        let replica = self.replicas.get(&shard)?;
        (replica.role == Role::Serving && replica.quarantine.is_none())
            .then(|| (replica.term, replica.time_ms.max(now.wall_ms)))
    }

    /// Whether this replica may answer reads of committed state now.
    #[must_use]
    pub fn serves_reads(&self, shard: ShardId, now: Now) -> bool {
        self.replicas.get(&shard).is_some_and(|replica| {
            replica.serves_reads(now)
                || (self.config.planted.lease_ignored && replica.role == Role::Serving)
        })
    }

    /// A peer's message. Anything stale, foreign or forbidden is dropped.
    pub fn step(&mut self, message: PeerMessage, now: Now) {
        let Some(replica) = self.replicas.get_mut(&message.shard) else { return };
        let known = replica.id == message.to && replica.voters.contains(&message.from);
        if !known || !message.is_allowed() {
            return;
        }
        if !replica.hear(message.from, message.boot, message.free_bytes) {
            return;
        }
        replica.compare_hash(message.hashed_index, message.state_hash);
        for sent in message.payloads {
            let chunk = Chunk::Body { bytes: sent.bytes, crc32c: None };
            replica.staged.insert((sent.index, sent.term), vec![chunk]);
        }
        replica.step(message.raft, now);
    }

    /// Everything that can move, moves. Call again when [`Driver::next_wake_ns`] has come, the
    /// disk has completions, a message or a proposal arrived.
    pub fn turn(&mut self, now: Now) {
        self.take_wal_events();
        self.tick_if_due(now);
        while self.failed.is_none() {
            self.report_persisted();
            if !self.wal.can_append() || !self.write_ready(now) {
                break;
            }
        }
        if self.failed.is_none()
            && let Err(error) = self.wal.tick(now)
        {
            self.fail(error);
        }
        self.wal.disk_mut().flush_submissions();
        self.report_quarantines();
    }

    /// What moved since last asked.
    pub fn take_events(&mut self, events: &mut Vec<Event<M::Outcome>>) {
        events.append(&mut self.events);
    }

    /// Messages for peers since last asked, in order.
    pub fn take_messages(&mut self, messages: &mut Vec<PeerMessage>) {
        messages.append(&mut self.outbox);
    }

    /// Boottime at which a turn has something to do although nothing arrives.
    #[must_use]
    pub fn next_wake_ns(&self) -> u64 {
        self.wal.next_wake_ns().map_or(self.next_tick_ns, |wake| wake.min(self.next_tick_ns))
    }

    /// A shard's state machine.
    #[must_use]
    pub fn machine(&self, shard: ShardId) -> Option<&M> {
        self.replicas.get(&shard).map(|replica| &replica.machine)
    }

    /// The payload at `extent`, if it is in memory.
    #[must_use]
    pub fn cached_payload(&self, extent: Extent) -> Option<Bytes> {
        self.tail.find(extent)
    }

    /// The lane's WAL.
    #[must_use]
    pub fn wal(&self) -> &Wal<D> {
        &self.wal
    }

    /// The lane's WAL, for the driver's owner to wait on its disk.
    pub fn wal_mut(&mut self) -> &mut Wal<D> {
        &mut self.wal
    }

    /// Bytes of the tail cache in use.
    #[must_use]
    pub fn tail_cache_bytes(&self) -> u64 {
        self.tail.held_bytes()
    }

    /// Every replica, for status.
    pub fn status(&self) -> impl Iterator<Item = ReplicaStatus> + '_ {
        self.replicas.values().map(|replica| ReplicaStatus {
            shard: replica.shard,
            replica: replica.id,
            role: replica.role,
            term: replica.term,
            leader: replica.leader,
            applied: replica.applied,
            committed: Index(replica.raw.raft.raft_log.committed),
            last: replica.raw.store().last(),
            quarantine: replica.quarantine.clone(),
        })
    }

    fn fail(&mut self, error: WalError) {
        if self.failed.is_none() {
            self.events.push(Event::LaneFailed(error.clone()));
            self.failed = Some(error);
        }
    }

    fn take_wal_events(&mut self) {
        let mut wal_events = std::mem::take(&mut self.wal_events);
        self.wal.poll(&mut wal_events);
        for event in wal_events.drain(..) {
            match event {
                // `durable` is read from the WAL where it is needed.
                WalEvent::Durable(_) | WalEvent::Read { .. } => {}
                WalEvent::Failed(error) => self.fail(error),
            }
        }
        self.wal_events = wal_events;
    }

    fn tick_if_due(&mut self, now: Now) {
        let mut ticks = 0;
        while now.boottime_ns >= self.next_tick_ns {
            // After a pause every replica would otherwise live through minutes at once.
            if ticks < ELECTION_TICKS {
                for replica in self.replicas.values_mut() {
                    replica.tick();
                }
            }
            ticks += 1;
            let behind = (now.boottime_ns - self.next_tick_ns) / TICK_NS;
            let skip = if ticks >= ELECTION_TICKS { behind } else { 0 };
            self.next_tick_ns += TICK_NS * (1 + skip);
        }
    }

    fn report_persisted(&mut self) {
        let durable = self.wal.durable();
        let mut ready_messages = Vec::new();
        for replica in self.replicas.values_mut() {
            let mut persisted = None;
            while let Some(waiting) = replica.waiting.pop_front_if(|first| first.frame <= durable) {
                persisted = Some(waiting.ready_number);
                ready_messages.extend(waiting.messages.into_iter().map(|m| (replica.shard, m)));
            }
            if let Some(number) = persisted {
                replica.with_raft(|raw| raw.on_persist_ready(number));
            }
        }
        for (shard, message) in ready_messages {
            self.send(shard, message);
        }
    }

    /// One pass over all replicas; true if any had something.
    fn write_ready(&mut self, now: Now) -> bool {
        let mut readies: Vec<(ShardId, Ready)> = Vec::new();
        let mut items = Vec::new();
        for replica in self.replicas.values_mut() {
            if replica.with_raft(|raw| raw.has_ready()) != Some(true) {
                continue;
            }
            let Some(ready) = replica.with_raft(RawNode::ready) else { continue };
            collect_items(replica, &ready, &mut items);
            readies.push((replica.shard, ready));
        }
        let wanted = self.fetch_wanted();
        if readies.is_empty() {
            return wanted;
        }
        let last_frame = if items.is_empty() {
            None
        } else {
            self.promised_bytes = 0;
            match self.wal.append(items, now) {
                Ok(written) => Some(self.locate(written)),
                Err(error) => {
                    self.fail(error);
                    return false;
                }
            }
        };
        for (shard, ready) in readies {
            self.finish_ready(shard, ready, last_frame);
        }
        true
    }

    /// Notes where the frame's entries lie and puts their payloads into the tail cache.
    fn locate(&mut self, written: Written) -> FrameNumber {
        for entry in written.entries {
            let Some(replica) = self.replicas.get_mut(&entry.shard) else { continue };
            let store = replica.raw.mut_store();
            store.located(entry.index, entry.term, entry.frame);
            store.set_payload(entry.index, entry.term, entry.payload_extent);
            self.tail.insert(entry.payload_extent, entry.payload);
        }
        written.last_frame
    }

    fn finish_ready(&mut self, shard: ShardId, mut ready: Ready, frame: Option<FrameNumber>) {
        let messages = ready.take_messages();
        let held = ready.take_persisted_messages();
        let committed = ready.take_committed_entries();
        let number = ready.number();
        let writes = !ready.entries().is_empty() || ready.must_sync();
        let Some(replica) = self.replicas.get_mut(&shard) else { return };
        replica.with_raft(|raw| raw.advance_append_async(ready));
        let changed = replica.refresh_role();
        if self.config.planted.serves_before_own_entry && replica.role == Role::Leading {
            replica.role = Role::Serving;
        }
        if changed {
            self.events.push(Event::Role {
                shard,
                role: replica.role,
                term: replica.term,
                leader: replica.leader,
            });
        }
        let early = self.config.planted.acknowledge_before_flush;
        let (now_messages, held) = if early { (held, Vec::new()) } else { (Vec::new(), held) };
        let behind = replica.waiting.back().map(|waiting| waiting.frame);
        let frame = if writes { frame.or(behind) } else { behind };
        replica.waiting.push_back(Waiting {
            ready_number: number,
            frame: frame.unwrap_or_default(),
            messages: held,
        });
        for message in messages.into_iter().chain(now_messages) {
            self.send(shard, message);
        }
        self.apply(shard, committed);
    }

    fn apply(&mut self, shard: ShardId, committed: Vec<Entry>) {
        let Some(replica) = self.replicas.get_mut(&shard) else { return };
        for entry in committed {
            match apply_entry(replica, &entry, self.config.planted) {
                Ok(event) => self.events.push(event),
                Err(quarantine) => {
                    replica.quarantine = Some(quarantine);
                    return;
                }
            }
            if entry.data.is_empty() && replica.role == Role::Leading && entry.term == replica.term.0
            {
                replica.role = Role::Serving;
                self.events.push(Event::Role {
                    shard,
                    role: replica.role,
                    term: replica.term,
                    leader: replica.leader,
                });
            }
        }
        let applied = replica.applied;
        replica.with_raft(|raw| raw.advance_apply_to(applied.0));
        replica.raw.mut_store().evict(applied);
    }

    /// Puts payloads beside the entries of a raft message and queues it.
    fn send(&mut self, shard: ShardId, message: Message) {
        let Some(replica) = self.replicas.get(&shard) else { return };
        let mut payloads = Vec::new();
        for entry in &message.entries {
            let Ok((head, _)) = Head::decode(&entry.data) else { continue };
            if head.payload_len_bytes == 0 {
                continue;
            }
            let (index, term) = (Index(entry.index), Term(entry.term));
            let bytes = replica.fetched.get(&(index, term)).cloned().or_else(|| {
                let extent = replica.payload_extent(index)?;
                // Evicted from the tail cache: read it back.
                self.tail.find(extent).or_else(|| self.wal.read_payload(extent).ok())
            });
            // Without its payload the entry may not travel; raft-rs sends it again.
            let Some(bytes) = bytes else { return };
            payloads.push(SentPayload { index, term, bytes });
        }
        let (hashed_index, state_hash) = replica.newest_hash();
        self.outbox.push(PeerMessage {
            shard,
            from: replica.id,
            to: ReplicaId(message.to),
            boot: self.boot,
            free_bytes: self.wal.free_bytes(),
            hashed_index,
            state_hash,
            raft: message,
            payloads,
        });
    }

    /// Reads back what raft-rs wants for followers behind the cache; true if anything was.
    fn fetch_wanted(&mut self) -> bool {
        let mut any = false;
        for replica in self.replicas.values_mut() {
            for wanted in replica.raw.store().take_wanted() {
                any = true;
                fetch(replica, &self.wal, wanted.low);
                replica.with_raft(|raw| raw.on_entries_fetched(wanted.context));
            }
        }
        any
    }

    fn report_quarantines(&mut self) {
        for replica in self.replicas.values_mut() {
            let Some(why) = &replica.quarantine else { continue };
            if replica.role != Role::Follower || replica.leader.is_some() {
                (replica.role, replica.leader) = (Role::Follower, None);
                self.events.push(Event::Quarantined { shard: replica.shard, why: why.clone() });
            }
        }
    }
}

/// Hard state and entries of a Ready as WAL items; entries go into the log store at once.
fn collect_items<M: Machine>(replica: &mut Replica<M>, ready: &Ready, items: &mut Vec<Item>) {
    if let Some(hard_state) = ready.hs() {
        replica.raw.mut_store().set_hard_state(hard_state);
    }
    if ready.entries().is_empty() && !ready.must_sync() {
        return;
    }
    let raft = &replica.raw.raft;
    let hard_state = HardState {
        term: Term(raft.term),
        vote: ReplicaId(raft.vote),
        commit: Index(raft.raft_log.committed),
    };
    if hard_state != replica.hard_state_written {
        replica.hard_state_written = hard_state;
        items.push(Item::HardState(replica.shard, replica.id, hard_state));
    }
    for entry in ready.entries() {
        let (index, term) = (Index(entry.index), Term(entry.term));
        let kind = match entry.get_entry_type() {
            EntryType::EntryNormal => EntryKind::Normal,
            EntryType::EntryConfChange | EntryType::EntryConfChangeV2 => EntryKind::ConfChange,
        };
        let command = Bytes::copy_from_slice(&entry.data);
        let payload = replica.staged.remove(&(index, term)).unwrap_or_default();
        let locators = Head::decode(&command)
            .map(|(_, commands)| replica.machine.locators(commands))
            .unwrap_or_default();
        let cached =
            CachedEntry { term, kind, command: command.clone(), payload: Extent::default() };
        replica.raw.mut_store().append(index, cached);
        items.push(Item::Entry(NewEntry {
            shard: replica.shard,
            replica: replica.id,
            index,
            term,
            kind,
            command,
            payload,
            locators,
        }));
    }
    // Staged payloads of entries raft-rs did not take are of no use to anyone.
    if let Some(last) = ready.entries().last() {
        let last = Index(last.index);
        replica.staged.retain(|(index, _), _| *index > last);
    }
}

fn apply_entry<M: Machine>(
    replica: &mut Replica<M>,
    entry: &Entry,
    planted: PlantedBugs,
) -> Result<Event<M::Outcome>, Quarantine> {
    let (index, term) = (Index(entry.index), Term(entry.term));
    let payload = replica.payload_extent(index).unwrap_or_default();
    let kind = entry.get_entry_type();
    apply_bytes(replica, index, term, kind, &entry.data, payload, planted)
}

/// Applies one committed entry to the machine; used by turns and by boot alike.
fn apply_bytes<M: Machine>(
    replica: &mut Replica<M>,
    index: Index,
    term: Term,
    kind: EntryType,
    data: &[u8],
    payload: Extent,
    planted: PlantedBugs,
) -> Result<Event<M::Outcome>, Quarantine> {
    if index != replica.applied.next() {
        return Err(Quarantine(format!("entry {index} follows applied {}", replica.applied)));
    }
    if kind != EntryType::EntryNormal {
        return Err(Quarantine(format!(
            "entry {index} changes membership, which this version does not know"
        )));
    }
    let mut outcome = None;
    if !data.is_empty() {
        let (head, commands) = Head::decode(data)?;
        if head.payload_len_bytes != payload.len_bytes {
            return Err(Quarantine(format!(
                "entry {index} names {} payload bytes and {} are stored",
                head.payload_len_bytes, payload.len_bytes
            )));
        }
        replica.time_ms = replica.time_ms.max(head.time_ms);
        if head.deciding_term == term || planted.deciding_term_ignored {
            let time_ms = head.time_ms;
            let committed = Committed { index, term, time_ms, commands, payload };
            outcome = Some(replica.machine.apply(committed)?);
        }
    }
    replica.applied = index;
    if index.0 % HASH_EVERY == 0 {
        replica.take_hash();
    }
    Ok(Event::Applied { shard: replica.shard, index, term, payload, outcome })
}

/// Reads old entries and their payloads from the WAL, starting at `low`.
fn fetch<D: Disk, M: Machine>(replica: &mut Replica<M>, wal: &Wal<D>, low: Index) {
    let mut entries = Vec::new();
    let mut bytes_left = MESSAGE_BYTES_MAX;
    let mut next = low;
    replica.fetched.clear();
    for _ in 0..FETCHED_RUNS_MAX {
        let Some(run) = replica.raw.store().run_of(next).copied() else { break };
        let Ok(stored) = wal.read_run(&run) else { break };
        for entry in stored.into_iter().skip_while(|entry| entry.index < low) {
            let size = entry.command.len() as u64 + u64::from(entry.payload.len_bytes);
            if !entries.is_empty() && size > bytes_left {
                bytes_left = 0;
                break;
            }
            if entry.payload.len_bytes > 0 {
                let Ok(bytes) = wal.read_payload(entry.payload) else {
                    bytes_left = 0;
                    break;
                };
                replica.fetched.insert((entry.index, entry.term), bytes);
            }
            bytes_left = bytes_left.saturating_sub(size);
            next = entry.index.next();
            entries.push(raft_entry(entry.index, entry.term, entry.kind, &entry.command));
        }
        if bytes_left == 0 {
            break;
        }
    }
    replica.raw.mut_store().set_fetched(low, entries);
}
