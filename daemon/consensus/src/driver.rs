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
use holdfast_wal::{Admission, Chunk, Extent, Payload, Wal, WalError, WalEvent};

use crate::event::{DriverConfig, Event, ProposeError, Proposed, Reflects, ReplicaStatus};
use crate::head::Head;
use crate::machine::Machine;
use crate::message::PeerMessage;
use crate::probes::Probes;
use crate::replica::{Replica, Role, TICK_NS};
use crate::tail_cache::TailCache;

mod boot;
mod peers;
mod ready;

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
    /// The time of the turn: what messages are stamped with.
    now: Now,
    probes: Probes,
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
        if !replica.is_serving() || self.failed.is_some() {
            return Err(ProposeError::NotLeader);
        }
        if replica.raw.raft.lead_transferee.is_some() {
            return Err(ProposeError::Dropped);
        }
        if bytes > self.config.entry_bytes_max {
            return Err(ProposeError::TooLarge);
        }
        let bytes = bytes + self.promised_bytes;
        let quorum_free_bytes = replica.quorum_free_bytes(self.wal.free_bytes());
        if !self.wal.admits(bytes, class) || !self.wal.would_admit(quorum_free_bytes, bytes, class)
        {
            return Err(ProposeError::Full);
        }
        Ok(())
    }

    /// The term and entry time under which this replica would decide now.
    #[must_use]
    pub fn deciding(&self, shard: ShardId, now: Now) -> Option<(Term, i64)> {
        let replica = self.replicas.get(&shard)?;
        replica.is_serving().then(|| (replica.term, replica.time_ms.max(now.wall_ms)))
    }

    /// Whether this replica may answer reads of committed state now.
    #[must_use]
    pub fn serves_reads(&self, shard: ShardId, now: Now) -> bool {
        self.replicas.get(&shard).is_some_and(|replica| {
            replica.serves_reads(now)
                || (self.config.planted.lease_ignored && replica.role == Role::Serving)
        })
    }

    /// Everything that can move, moves. Call again when [`Driver::next_wake_ns`] has come, the
    /// disk has completions, a message or a proposal arrived.
    pub fn turn(&mut self, now: Now) {
        self.now = now;
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

    /// Entries of `shard` up to `index` are needed from this node's log no more: what they hold is in
    /// the object store, and in a state that a start can begin with. True if something was let go.
    ///
    /// # Panics
    /// When `index` is not applied, or others vote in this shard: they might still ask for it.
    pub fn trim(&mut self, shard: ShardId, index: Index) -> bool {
        let Some(replica) = self.replicas.get_mut(&shard) else { return false };
        assert!(index <= replica.applied, "trimmed ≤ applied");
        assert!(replica.is_sole_voter(), "followers are fed from the log");
        let store = replica.raw.mut_store();
        // Since the start nothing before was wanted; the log itself may still hold it.
        let index = index.max(store.trimmed());
        let Some(term) = store.term_of(index).filter(|_| index > Index(0)) else { return false };
        self.wal.trim(shard, index, term);
        if index > store.trimmed() {
            store.trim(index, term);
        }
        true
    }

    /// Whether a replica of this node is all there is of its shard.
    #[must_use]
    pub fn is_sole_voter(&self, shard: ShardId) -> bool {
        self.replicas.get(&shard).is_some_and(Replica::is_sole_voter)
    }

    /// How far a replica's state is, for a checkpoint of it; `None` once it is quarantined.
    #[must_use]
    pub fn reflects(&self, shard: ShardId) -> Option<Reflects> {
        let replica = self.replicas.get(&shard).filter(|found| found.quarantine.is_none())?;
        let term = replica.raw.store().term_of(replica.applied)?;
        let (applied, time_ms) = (replica.applied, replica.time_ms);
        Some(Reflects { replica: replica.id, applied, term, time_ms })
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

    /// A shard's state machine, to take from it what changed. What makes its state is for `apply`
    /// alone to change.
    pub fn machine_mut(&mut self, shard: ShardId) -> Option<&mut M> {
        self.replicas.get_mut(&shard).map(|replica| &mut replica.machine)
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
            persisted: Index(replica.raw.raft.raft_log.persisted),
            quarantine: replica.quarantine.clone(),
        })
    }

    /// Each voter of a shard led here and the newest index it is known to hold on stable media;
    /// nothing where this replica does not lead.
    pub fn progress(&self, shard: ShardId) -> impl Iterator<Item = (ReplicaId, Index)> + '_ {
        let leading = self.replicas.get(&shard).filter(|replica| replica.is_leader());
        leading.into_iter().flat_map(|replica| {
            replica.voters.iter().filter_map(|voter| {
                let progress = replica.raw.raft.prs().get(voter.0)?;
                Some((*voter, Index(progress.matched)))
            })
        })
    }

    /// How often rare situations came about.
    #[must_use]
    pub fn probes(&self) -> Probes {
        let mut probes = self.probes;
        for replica in self.replicas.values() {
            probes.entries_truncated += replica.raw.store().truncated;
            probes.decided_in_another_term += replica.decided_in_another_term;
        }
        probes
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

    /// One tick a turn, however late it is: a replica that was stopped for a while (SIGSTOP, a
    /// busy core) must not believe that its leader was silent all that time, and vote or campaign
    /// while the leader still counts on it.
    fn tick_if_due(&mut self, now: Now) {
        if now.boottime_ns < self.next_tick_ns {
            return;
        }
        for replica in self.replicas.values_mut() {
            replica.tick();
        }
        let behind = (now.boottime_ns - self.next_tick_ns) / TICK_NS;
        self.next_tick_ns += TICK_NS * (1 + behind);
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
