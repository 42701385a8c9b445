//! One group: its members, and the counts that make every question about them cheap.
//!
//! ```text
//!                    Empty ◀───────────────────────────────┐ nobody is left: next generation, stored
//!                      │ first member joins                │
//!                      ▼ (initial delay)                   │
//!  ┌──────────▶ PreparingRebalance ────────────────────────┤
//!  │ a member     (JoinGroups are parked)                  │ all have joined, or the deadline passed:
//!  │ joins, goes,                                          │ next generation, JoinGroups are answered
//!  │ changes,                                              ▼
//!  ├─────────────────────────────────────────── CompletingRebalance   (SyncGroups are parked)
//!  │ is late with SyncGroup;                               │ the leader's assignments are stored:
//!  │ a store failed                                        ▼ SyncGroups are answered
//!  └──────────────────────────────────────────────────── Stable
//! ```
//!
//! | where | what it does | file |
//! | --- | --- | --- |
//! | JoinGroup | new, returning and static members; parked | `join.rs` |
//! | the join phase | begins, waits, ends in a generation | `rebalance.rs` |
//! | SyncGroup | assignments, their store | `sync.rs` |
//! | LeaveGroup, silence | members go | `leave.rs` |
//! | Heartbeat, OffsetCommit | signs of life | `alive.rs` |
//!
//! Idea: Kafka's ClassicGroup. Dead has no row: a dead group is not in the coordinator's map.
//!
//! Invariants: `awaiting_join` and `pending_sync` count the members that have the flag; `statics`
//! maps each instance id to the member that carries it; a group with members has a leader among
//! them; some protocol is known to all members, for nobody is let in without one.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;
use holdfast_log::GroupRecord;

use crate::call::{
    Caller, Description, GroupAnswer, GroupError, GroupState, Join, Listed, MemberDescription,
};
use crate::coordinator::WriteId;
use crate::deadlines::{Due, Timer, after_ms};
use crate::member::Member;
use crate::record::member_bytes;
use crate::subscription::add_topics;
use crate::turn::Turn;

/// Kafka's name for what plain consumers speak.
const CONSUMER: &str = "consumer";

#[derive(Debug)]
pub(crate) struct Group {
    pub(crate) id: Arc<str>,
    pub(crate) state: GroupState,
    /// While preparing from Empty: waits for more members however many have joined.
    pub(crate) initial: Option<InitialDelay>,
    /// `None` until a member said.
    pub(crate) protocol_type: Option<String>,
    /// Grows by one with each rebalance.
    pub(crate) generation: i32,
    /// Of this generation. `None` while empty.
    pub(crate) protocol: Option<String>,
    pub(crate) leader: Option<Arc<str>>,
    pub(crate) members: BTreeMap<Arc<str>, Member>,
    /// Instance id to member id.
    pub(crate) statics: BTreeMap<String, Arc<str>>,
    /// Ids given away with MEMBER_ID_REQUIRED and not yet used.
    pub(crate) pending: BTreeMap<Arc<str>, Timer>,
    /// How many members know each protocol.
    pub(crate) supported: BTreeMap<String, usize>,
    pub(crate) awaiting_join: usize,
    pub(crate) pending_sync: usize,
    /// Sum of [`member_bytes`].
    pub(crate) members_bytes: usize,
    /// Topics the members of this generation read; `None` when that cannot be known.
    pub(crate) subscribed: Option<BTreeSet<String>>,
    pub(crate) join_timer: Option<Timer>,
    pub(crate) sync_timer: Option<Timer>,
    /// The leader's assignments on their way into the log. Only while completing.
    pub(crate) storing: Option<(WriteId, BTreeMap<Arc<str>, Bytes>)>,
    /// The log has, or may have, a record of it. Without one an empty group is dropped from memory.
    pub(crate) recorded: bool,
}

/// Kafka's `group.initial.rebalance.delay.ms`, extended while members join.
#[derive(Debug)]
pub(crate) struct InitialDelay {
    pub(crate) delay_ms: i32,
    /// What is left of the rebalance timeout after the present delay.
    pub(crate) remaining_ms: i32,
    /// Somebody joined since the delay began.
    pub(crate) member_added: bool,
}

impl Group {
    pub(crate) fn new(id: Arc<str>) -> Self {
        Group {
            id,
            state: GroupState::Empty,
            initial: None,
            protocol_type: None,
            generation: 0,
            protocol: None,
            leader: None,
            members: BTreeMap::new(),
            statics: BTreeMap::new(),
            pending: BTreeMap::new(),
            supported: BTreeMap::new(),
            awaiting_join: 0,
            pending_sync: 0,
            members_bytes: 0,
            subscribed: None,
            join_timer: None,
            sync_timer: None,
            storing: None,
            recorded: false,
        }
    }

    /// As the log has it; every session begins anew.
    pub(crate) fn load(id: Arc<str>, record: &GroupRecord, turn: &mut Turn<'_>) -> Self {
        let mut group = Group::new(id);
        group.recorded = true;
        group.generation = record.generation;
        let protocol_type = Some(&record.protocol_type).filter(|name| !name.is_empty());
        group.protocol_type = protocol_type.cloned();
        if !record.members.is_empty() {
            group.state = GroupState::Stable;
            group.protocol = Some(record.protocol.clone().unwrap_or_default());
        }
        for row in &record.members {
            let protocol = group.protocol.clone().unwrap_or_default();
            let member = Member {
                id: row.member_id.as_str().into(),
                instance_id: row.instance_id.clone(),
                client_id: row.client_id.clone(),
                client_host: row.client_host.clone(),
                session_timeout_ms: row.session_timeout_ms,
                rebalance_timeout_ms: row.rebalance_timeout_ms,
                protocols: vec![(protocol, row.subscription.clone())],
                assignment: row.assignment.clone(),
                is_new: false,
                awaiting_join: None,
                awaiting_sync: None,
                pending_sync: false,
                session: Default::default(),
            };
            let id = Arc::clone(&member.id);
            group.insert(member);
            group.refresh_session(&id, turn);
        }
        if let Some(leader) = record.leader.as_deref()
            && let Some((id, _)) = group.members.get_key_value(leader)
        {
            group.leader = Some(Arc::clone(id));
        }
        group.subscribed = group.subscribed_topics();
        group
    }

    // ── members ──

    /// Takes a member in. Its id and instance id are free.
    pub(crate) fn insert(&mut self, member: Member) {
        if self.members.is_empty() && self.leader.is_none() {
            self.leader = Some(Arc::clone(&member.id));
        }
        if let Some(instance) = &member.instance_id {
            let before = self.statics.insert(instance.clone(), Arc::clone(&member.id));
            debug_assert!(before.is_none(), "an instance id belongs to one member");
        }
        self.count(&member, true);
        let before = self.members.insert(Arc::clone(&member.id), member);
        debug_assert!(before.is_none(), "a member id belongs to one member");
    }

    /// Takes a member out of every count and disarms it. The leader is not replaced yet.
    fn take(&mut self, id: &str, turn: &mut Turn<'_>) -> Option<Member> {
        let mut member = self.members.remove(id)?;
        self.count(&member, false);
        if let Some(instance) = &member.instance_id {
            self.statics.remove(instance);
        }
        if let Some(timer) = member.session.timer.take() {
            turn.deadlines.disarm(timer);
        }
        Some(member)
    }

    /// Everything of a member that the group counts.
    fn count(&mut self, member: &Member, is_in: bool) {
        let flags = [
            (&mut self.awaiting_join, usize::from(member.awaiting_join.is_some())),
            (&mut self.pending_sync, usize::from(member.pending_sync)),
            (&mut self.members_bytes, member_bytes(member)),
        ];
        for (sum, one) in flags {
            *sum = if is_in { *sum + one } else { *sum - one };
        }
        for (name, _) in &member.protocols {
            match (is_in, self.supported.get_mut(name)) {
                (true, Some(count)) => *count += 1,
                (true, None) => _ = self.supported.insert(name.clone(), 1),
                (false, Some(count)) if *count > 1 => *count -= 1,
                (false, _) => _ = self.supported.remove(name),
            }
        }
    }

    /// Removes a member, or an id that was given away. Whoever of it still waits is told that it is
    /// unknown, so that a living client joins again.
    pub(crate) fn remove(&mut self, id: &str, turn: &mut Turn<'_>) {
        if let Some(timer) = self.pending.remove(id) {
            turn.deadlines.disarm(timer);
        }
        let Some(member) = self.take(id, turn) else { return };
        answer_parked(&member, &GroupError::UnknownMember, turn);
        if self.is_leader(id) {
            self.leader = self.members.keys().next().cloned();
        }
    }

    /// The static member `old_id` becomes `new_id` and keeps all else. Whoever waits under the old
    /// id is fenced.
    pub(crate) fn replace(&mut self, old_id: &str, new_id: &Arc<str>, turn: &mut Turn<'_>) {
        let Some(mut member) = self.take(old_id, turn) else { return };
        answer_parked(&member, &GroupError::FencedInstance, turn);
        member.awaiting_join = None;
        member.awaiting_sync = None;
        member.is_new = false;
        member.id = Arc::clone(new_id);
        if self.is_leader(old_id) {
            self.leader = Some(Arc::clone(new_id));
        }
        self.insert(member);
    }

    /// A member says again what it can and how long it may be waited for.
    pub(crate) fn update(
        &mut self,
        id: &str,
        protocols: Vec<(String, Bytes)>,
        session_timeout_ms: i32,
        rebalance_timeout_ms: i32,
    ) {
        let Some(mut member) = self.members.remove(id) else { return };
        self.count(&member, false);
        member.protocols = protocols;
        member.session_timeout_ms = session_timeout_ms;
        member.rebalance_timeout_ms = rebalance_timeout_ms;
        self.count(&member, true);
        self.members.insert(Arc::clone(&member.id), member);
    }

    /// Parks a JoinGroup. One that was parked before is answered "join again": Kafka forgets it, for
    /// its connection is as good as gone, but here nobody waits for ever.
    pub(crate) fn park_join(&mut self, id: &str, caller: Caller, turn: &mut Turn<'_>) {
        let Some(member) = self.members.get_mut(id) else { return };
        match member.awaiting_join.replace(caller) {
            None => self.awaiting_join += 1,
            Some(before) => {
                turn.answer(before, GroupAnswer::Join(Err(GroupError::RebalanceInProgress)));
            }
        }
    }

    /// The JoinGroup parked for this member, if any: to be answered now.
    pub(crate) fn unpark_join(&mut self, id: &str) -> Option<Caller> {
        let caller = self.members.get_mut(id)?.awaiting_join.take()?;
        self.awaiting_join -= 1;
        Some(caller)
    }

    // ── questions ──

    pub(crate) fn is_leader(&self, id: &str) -> bool {
        self.leader.as_deref() == Some(id)
    }

    pub(crate) fn is_gone(&self) -> bool {
        let nobody = self.members.is_empty() && self.pending.is_empty();
        self.state == GroupState::Empty && nobody && !self.recorded
    }

    /// Is this one of us, and nobody else under its name?
    pub(crate) fn validate(&self, id: &str, instance_id: Option<&str>) -> Result<(), GroupError> {
        if let Some(instance) = instance_id {
            match self.statics.get(instance) {
                None => return Err(GroupError::UnknownMember),
                Some(known) if **known != *id => return Err(GroupError::FencedInstance),
                Some(_) => {}
            }
        }
        if self.members.contains_key(id) { Ok(()) } else { Err(GroupError::UnknownMember) }
    }

    pub(crate) fn supports(&self, join: &Join) -> bool {
        if self.state == GroupState::Empty {
            return !join.protocol_type.is_empty() && !join.protocols.is_empty();
        }
        let known = |name: &str| self.supported.get(name).copied().unwrap_or(0);
        self.protocol_type.as_deref() == Some(join.protocol_type.as_str())
            && join.protocols.iter().any(|(name, _)| known(name) == self.members.len())
    }

    pub(crate) fn has_all_joined(&self) -> bool {
        self.members.len() == self.awaiting_join && self.pending.is_empty()
    }

    /// The longest of its members'.
    pub(crate) fn rebalance_timeout_ms(&self) -> i32 {
        self.members.values().map(|member| member.rebalance_timeout_ms).max().unwrap_or(0)
    }

    /// Each member votes for the first of its protocols that all know; most votes win, then the
    /// first by name. Empty only where no protocol is known to all, which `supports` rules out.
    pub(crate) fn select_protocol(&self) -> String {
        let candidate = |name: &str| self.supported.get(name) == Some(&self.members.len());
        let mut votes: BTreeMap<&str, usize> = BTreeMap::new();
        for member in self.members.values() {
            let vote = member.protocols.iter().find(|(name, _)| candidate(name));
            debug_assert!(vote.is_some(), "nobody is let in without a protocol that all know");
            if let Some((name, _)) = vote {
                *votes.entry(name).or_default() += 1;
            }
        }
        let most = votes.values().max().copied();
        let winner = votes.into_iter().find(|(_, count)| Some(*count) == most);
        winner.map(|(name, _)| name.to_owned()).unwrap_or_default()
    }

    pub(crate) fn uses_consumer_protocol(&self) -> bool {
        self.protocol_type.as_deref() == Some(CONSUMER)
    }

    pub(crate) fn subscribed_topics(&self) -> Option<BTreeSet<String>> {
        if !self.uses_consumer_protocol() {
            return None;
        }
        let mut topics = BTreeSet::new();
        for member in self.members.values() {
            add_topics(&member.metadata(self.protocol.as_deref()), &mut topics)?;
        }
        Some(topics)
    }

    pub(crate) fn listed(&self) -> Listed {
        Listed {
            group: self.id.to_string(),
            protocol_type: self.protocol_type.clone().unwrap_or_default(),
            state: self.state,
        }
    }

    /// Protocol, metadata and assignments are shown only while stable, as in Kafka.
    pub(crate) fn describe(&self) -> Description {
        let stable = self.state == GroupState::Stable;
        let protocol = self.protocol.as_deref().filter(|_| stable);
        let members = self.members.values().map(|member| MemberDescription {
            member_id: member.id.to_string(),
            instance_id: member.instance_id.clone(),
            client_id: member.client_id.clone(),
            client_host: member.client_host.clone(),
            metadata: member.metadata(protocol),
            assignment: if stable { member.assignment.clone() } else { Bytes::new() },
        });
        Description {
            state: self.state,
            protocol_type: self.protocol_type.clone().unwrap_or_default(),
            protocol: protocol.unwrap_or_default().to_owned(),
            members: members.collect(),
        }
    }

    // ── sessions ──

    /// The member was heard of: its session begins anew.
    pub(crate) fn refresh_session(&mut self, id: &str, turn: &mut Turn<'_>) {
        if let Some(member) = self.members.get(id) {
            self.set_session(id, member.session_timeout_ms, turn);
        }
    }

    pub(crate) fn set_session(&mut self, id: &str, timeout_ms: i32, turn: &mut Turn<'_>) {
        let Some(member) = self.members.get_mut(id) else { return };
        let at_ns = after_ms(turn.now.boottime_ns, timeout_ms);
        member.session.deadline_ns = at_ns;
        match member.session.timer {
            Some(timer) if timer.at_ns <= at_ns => return,
            Some(timer) => turn.deadlines.disarm(timer),
            None => {}
        }
        let due = Due::Session(Arc::clone(&member.id));
        member.session.timer = Some(turn.deadlines.arm(at_ns, &self.id, due));
    }
}

/// Tells whoever waits on behalf of a member that goes.
fn answer_parked(member: &Member, error: &GroupError, turn: &mut Turn<'_>) {
    if let Some(caller) = member.awaiting_join {
        turn.answer(caller, GroupAnswer::Join(Err(error.clone())));
    }
    if let Some(caller) = member.awaiting_sync {
        turn.answer(caller, GroupAnswer::Sync(Err(error.clone())));
    }
}
