//! One replica: raft-rs, the state machine, and what waits for the WAL.
//!
//! | role | proposes | serves reads | next |
//! | --- | --- | --- | --- |
//! | follower, candidate | no | no | a vote quorum → leader |
//! | leader, empty entry not applied | no | no | empty entry applied → serving |
//! | leader, serving | yes | while its quorum contact is young | higher term → follower |
//! | quarantined | no | no | an operator replaces the replica |
//!
//! Invariants: Readies are reported persisted in order (`waiting` is a queue); a payload is
//! staged before raft-rs sees its entry; `applied ≤ committed`.

use std::collections::{BTreeMap, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};

use bytes::Bytes;
use holdfast_base::{BootCount, Index, Now, ReplicaId, ShardId, Term};
use holdfast_wal::{Extent, FrameNumber, HardState, Payload};
use raft::eraftpb::{Message, MessageType};
use raft::{RawNode, StateRole};

use crate::log_store::LogStore;
use crate::machine::{Machine, Quarantine};

/// Raft ticks: heartbeats every 150 ms, elections after 1–2 s. On two shared cores shorter
/// times elect falsely; a dead leader's connection reset starts an election earlier.
pub(crate) const TICK_NS: u64 = 50_000_000;
pub(crate) const HEARTBEAT_TICKS: usize = 3;
pub(crate) const ELECTION_TICKS: usize = 20;
pub(crate) const ELECTION_TIMEOUT_NS: u64 = ELECTION_TICKS as u64 * TICK_NS;
/// How long after a quorum heard from its leader nobody else can have been elected. A follower
/// counts its election timeout in ticks: the first may come at once, and clocks drift.
pub(crate) const LEASE_NS: u64 = ELECTION_TIMEOUT_NS - 2 * TICK_NS;
const _: () = assert!(ELECTION_TICKS > 2 * HEARTBEAT_TICKS, "a lost heartbeat is no election");

/// State hashes kept for comparison with slower or faster peers.
const HASHES_KEPT: usize = 8;
/// A shard's state is hashed at every index that is a multiple of this.
pub(crate) const HASH_EVERY: u64 = 1024;

/// What a replica is in its shard.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Role {
    /// Follower, candidate or learner.
    Follower,
    /// Leader that has not applied its own empty entry: neither decides nor serves.
    Leading,
    /// Leader that has applied everything older terms left behind.
    Serving,
}

/// A Ready on its way to stable storage.
pub(crate) struct Waiting {
    pub(crate) ready_number: u64,
    /// Durable once this frame and all before it are.
    pub(crate) frame: FrameNumber,
    pub(crate) messages: Vec<Message>,
}

/// The clock readings that came with a message.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stamp {
    pub(crate) sent_ns: u64,
    pub(crate) echo_ns: u64,
}

/// See the module.
pub(crate) struct Replica<M> {
    pub(crate) shard: ShardId,
    pub(crate) id: ReplicaId,
    pub(crate) raw: RawNode<LogStore>,
    pub(crate) machine: M,
    pub(crate) voters: Vec<ReplicaId>,
    pub(crate) role: Role,
    pub(crate) term: Term,
    pub(crate) leader: Option<ReplicaId>,
    pub(crate) applied: Index,
    /// Newest entry time in this log, decided or applied: the next is never less.
    pub(crate) time_ms: i64,
    pub(crate) staged: BTreeMap<(Index, Term), Payload>,
    pub(crate) waiting: VecDeque<Waiting>,
    pub(crate) hard_state_written: HardState,
    pub(crate) quarantine: Option<Quarantine>,
    /// Old payloads read back for a lagging follower.
    pub(crate) fetched: BTreeMap<(Index, Term), Bytes>,
    hashes: BTreeMap<Index, u64>,
    /// While it leads: the own boottime of the newest message each follower has heard.
    contacts_ns: BTreeMap<ReplicaId, u64>,
    /// While it follows: term and `sent_ns` of the newest message of that term's leader.
    heard: (Term, u64),
    /// Committed entries that another term had decided.
    pub(crate) decided_in_another_term: u64,
    /// Until then it remembers nothing of the leader it may have promised to follow.
    votes_from_ns: u64,
    free_bytes: BTreeMap<ReplicaId, u64>,
    boots: BTreeMap<ReplicaId, BootCount>,
    election_seed: u64,
    ticks: u64,
}

impl<M: Machine> Replica<M> {
    pub(crate) fn new(
        shard: ShardId,
        id: ReplicaId,
        raw: RawNode<LogStore>,
        machine: M,
        voters: Vec<ReplicaId>,
        election_seed: u64,
    ) -> Self {
        Replica {
            shard,
            id,
            raw,
            machine,
            voters,
            role: Role::Follower,
            term: Term(0),
            leader: None,
            applied: Index(0),
            time_ms: 0,
            staged: BTreeMap::new(),
            waiting: VecDeque::new(),
            hard_state_written: HardState::default(),
            quarantine: None,
            fetched: BTreeMap::new(),
            hashes: BTreeMap::new(),
            contacts_ns: BTreeMap::new(),
            heard: (Term(0), 0),
            decided_in_another_term: 0,
            votes_from_ns: 0,
            free_bytes: BTreeMap::new(),
            boots: BTreeMap::new(),
            election_seed,
            ticks: 0,
        }
    }

    pub(crate) fn is_sole_voter(&self) -> bool {
        self.voters == [self.id]
    }

    /// It has just started: whoever leads may count on its last answer for a lease, so that it
    /// votes for nobody else before that lease has run out.
    pub(crate) fn hold_votes_from(&mut self, now: Now) {
        if !self.is_sole_voter() {
            self.votes_from_ns = now.boottime_ns.saturating_add(ELECTION_TIMEOUT_NS);
        }
    }

    /// Whether it leads and serves, as raft-rs sees it now: a message stepped since the last turn
    /// may have deposed it, and then `role` and `term` are not true any more.
    pub(crate) fn is_serving(&self) -> bool {
        self.role == Role::Serving
            && self.quarantine.is_none()
            && self.raw.raft.state == StateRole::Leader
            && self.raw.raft.term == self.term.0
    }

    pub(crate) fn is_leader(&self) -> bool {
        self.role != Role::Follower
    }

    /// Runs raft-rs; a panic inside it stops this replica, not the process.
    pub(crate) fn with_raft<T>(
        &mut self,
        run: impl FnOnce(&mut RawNode<LogStore>) -> T,
    ) -> Option<T> {
        if self.quarantine.is_some() {
            return None;
        }
        // The replica is never used again after a panic, so a half-changed state is not seen.
        match catch_unwind(AssertUnwindSafe(|| run(&mut self.raw))) {
            Ok(value) => Some(value),
            Err(panic) => {
                let words = panic
                    .downcast_ref::<String>()
                    .cloned()
                    .or_else(|| panic.downcast_ref::<&str>().map(ToString::to_string))
                    .unwrap_or_else(|| "no message".to_owned());
                self.quarantine = Some(Quarantine(format!("raft-rs panicked: {words}")));
                None
            }
        }
    }

    pub(crate) fn tick(&mut self) {
        self.ticks += 1;
        self.with_raft(RawNode::tick);
        self.spread_elections();
    }

    /// False if it is a request for a vote that comes too early after the start.
    pub(crate) fn step(&mut self, message: Message, stamp: Stamp, now: Now) -> bool {
        let kind = message.get_msg_type();
        let asks_for_vote =
            matches!(kind, MessageType::MsgRequestVote | MessageType::MsgRequestPreVote);
        if asks_for_vote && now.boottime_ns < self.votes_from_ns {
            return false;
        }
        let (from, term) = (ReplicaId(message.from), Term(message.term));
        // An error means "not for me in this state"; raft-rs has changed nothing.
        let _ = self.with_raft(|raw| raw.step(message));
        let raft = &self.raw.raft;
        if raft.term == term.0 {
            let answers =
                matches!(kind, MessageType::MsgAppendResponse | MessageType::MsgHeartbeatResponse);
            if answers && raft.state == StateRole::Leader {
                // Not the time of arrival: the answer may have been under way for long.
                let contact = self.contacts_ns.entry(from).or_default();
                *contact = (*contact).max(stamp.echo_ns);
            } else if raft.state == StateRole::Follower && raft.leader_id == from.0 {
                let newest = if self.heard.0 == term { self.heard.1 } else { 0 };
                self.heard = (term, newest.max(stamp.sent_ns));
            }
        }
        self.spread_elections();
        true
    }

    /// What a message of `term` may say to have heard from that term's leader.
    pub(crate) fn echo_ns(&self, term: Term) -> u64 {
        if self.heard.0 == term { self.heard.1 } else { 0 }
    }

    pub(crate) fn campaign(&mut self) {
        let _ = self.with_raft(RawNode::campaign);
        self.spread_elections();
    }

    /// raft-rs draws its election timeout from the operating system; a replayable run needs it
    /// drawn from the seed. Set after every step to a function of (seed, replica, term, time).
    fn spread_elections(&mut self) {
        let (seed, id, era) = (self.election_seed, self.id.0, self.ticks / ELECTION_TICKS as u64);
        self.with_raft(|raw| {
            let mut rng = holdfast_base::SplitMix64::new(
                seed ^ (id << 48) ^ (raw.raft.term << 16) ^ era.rotate_left(32),
            );
            let spread = holdfast_base::Rng::below(&mut rng, ELECTION_TICKS as u64);
            let spread = usize::try_from(spread).unwrap_or(0);
            raw.raft.set_randomized_election_timeout(ELECTION_TICKS + spread);
        });
    }

    /// Reads role, term and leader from raft-rs; true if any changed.
    pub(crate) fn refresh_role(&mut self) -> bool {
        let raft = &self.raw.raft;
        let term = Term(raft.term);
        let leader = (raft.leader_id != 0).then_some(ReplicaId(raft.leader_id));
        let leads = raft.state == StateRole::Leader;
        let same_reign = self.is_leader() && leads && self.term == term;
        let role = match (leads, same_reign) {
            (false, _) => Role::Follower,
            (true, true) => self.role,
            (true, false) => Role::Leading,
        };
        let changed = (role, term, leader) != (self.role, self.term, self.leader);
        if !same_reign {
            self.contacts_ns.clear();
        }
        (self.role, self.term, self.leader) = (role, term, leader);
        changed
    }

    /// Whether committed state may be shown: rule 9 of the design.
    pub(crate) fn serves_reads(&self, now: Now) -> bool {
        self.is_serving()
            && (self.is_sole_voter()
                || now.boottime_ns.saturating_sub(self.quorum_contact_ns()) < LEASE_NS)
    }

    /// The newest time at which a quorum, this replica included, was in contact.
    fn quorum_contact_ns(&self) -> u64 {
        let mut contacts: Vec<u64> = self
            .voters
            .iter()
            .filter(|voter| **voter != self.id)
            .map(|voter| self.contacts_ns.get(voter).copied().unwrap_or(0))
            .collect();
        contacts.sort_unstable_by(|a, b| b.cmp(a));
        // With this replica, `len / 2` others make a majority of `len + 1` voters.
        let others_needed = self.voters.len() / 2;
        others_needed.checked_sub(1).and_then(|at| contacts.get(at)).copied().unwrap_or(u64::MAX)
    }

    /// What a quorum's WALs can still take, as last reported.
    pub(crate) fn quorum_free_bytes(&self, own_free_bytes: u64) -> u64 {
        let mut free: Vec<u64> = self
            .voters
            .iter()
            .map(|voter| {
                if *voter == self.id {
                    own_free_bytes
                } else {
                    self.free_bytes.get(voter).copied().unwrap_or(u64::MAX)
                }
            })
            .collect();
        free.sort_unstable_by(|a, b| b.cmp(a));
        free.get(self.voters.len() / 2).copied().unwrap_or(own_free_bytes)
    }

    /// Notes what a peer says of itself; false if the peer is older than we knew it.
    pub(crate) fn hear(&mut self, from: ReplicaId, boot: BootCount, free_bytes: u64) -> bool {
        let known = self.boots.entry(from).or_insert(boot);
        if boot < *known {
            return false;
        }
        *known = boot;
        self.free_bytes.insert(from, free_bytes);
        true
    }

    pub(crate) fn take_hash(&mut self) {
        self.hashes.insert(self.applied, self.machine.hash());
        while self.hashes.len() > HASHES_KEPT {
            self.hashes.pop_first();
        }
    }

    pub(crate) fn newest_hash(&self) -> (Index, u64) {
        self.hashes.last_key_value().map_or((Index(0), 0), |(index, hash)| (*index, *hash))
    }

    /// Compares a peer's hash with ours at the same index. Who is wrong cannot be known; the one
    /// that does not lead steps aside.
    pub(crate) fn compare_hash(&mut self, index: Index, hash: u64) {
        if self.is_leader() {
            return;
        }
        if let Some(own) = self.hashes.get(&index).filter(|own| **own != hash) {
            self.quarantine = Some(Quarantine(format!(
                "state at index {index} hashes to {own:#x} here and {hash:#x} at a peer: the same \
                 log gave two states"
            )));
        }
    }

    pub(crate) fn payload_extent(&self, index: Index) -> Option<Extent> {
        self.raw.store().payload_of(index)
    }
}
