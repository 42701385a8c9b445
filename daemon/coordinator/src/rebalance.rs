//! The join phase: how a rebalance begins, waits for members, and ends in the next generation.
//!
//! | begins from | waits until | ends |
//! | --- | --- | --- |
//! | Empty | the initial delay passed and nobody joined during the last of it | with whoever joined |
//! | CompletingRebalance, Stable | every member joined and no id is outstanding, or the longest rebalance timeout | dynamic members that did not join are out, static ones stay |
//!
//! Caveat: when the deadline passes and nobody at all has joined (only static members are left),
//! the group waits on until sessions remove them, as in Kafka.

use std::sync::Arc;

use crate::call::{Caller, GroupAnswer, GroupError, GroupState, Joined, JoinedMember};
use crate::coordinator::WriteId;
use crate::deadlines::{Due, after_ms};
use crate::group::{Group, InitialDelay};
use crate::record::record_of;
use crate::settings::REBALANCE_RETRY_MIN_MS;
use crate::turn::{Purpose, Turn};

impl Group {
    /// A member came or changed: a rebalance begins, or the one under way may be complete. Gives
    /// the write, if the group became empty by it.
    pub(crate) fn rebalance(&mut self, turn: &mut Turn<'_>) -> Option<WriteId> {
        match self.state {
            GroupState::PreparingRebalance => self.maybe_complete_join(turn),
            _ => self.prepare_rebalance(turn),
        }
    }

    pub(crate) fn prepare_rebalance(&mut self, turn: &mut Turn<'_>) -> Option<WriteId> {
        if self.state == GroupState::CompletingRebalance {
            self.propagate_error(&GroupError::RebalanceInProgress, turn);
        }
        self.storing = None;
        self.end_sync_phase(turn);
        let was_empty = self.state == GroupState::Empty;
        self.state = GroupState::PreparingRebalance;
        if was_empty {
            let delay_ms = i32::try_from(turn.settings.initial_rebalance_delay_ms);
            let delay_ms = delay_ms.unwrap_or(i32::MAX);
            let remaining_ms = self.rebalance_timeout_ms().saturating_sub(delay_ms).max(0);
            self.initial = Some(InitialDelay { delay_ms, remaining_ms, member_added: false });
            self.arm_join(delay_ms, turn);
            return None;
        }
        if self.has_all_joined() {
            return self.complete_join(turn);
        }
        self.arm_join(self.rebalance_timeout_ms(), turn);
        None
    }

    /// Ends the join phase if nobody is missing. An initial one waits for its delay regardless.
    pub(crate) fn maybe_complete_join(&mut self, turn: &mut Turn<'_>) -> Option<WriteId> {
        let preparing = self.state == GroupState::PreparingRebalance && self.initial.is_none();
        if preparing && self.has_all_joined() { self.complete_join(turn) } else { None }
    }

    /// The join deadline, or one round of the initial delay, has passed.
    pub(crate) fn join_deadline(&mut self, turn: &mut Turn<'_>) {
        self.join_timer = None;
        if let Some(initial) = &mut self.initial
            && initial.member_added
            && initial.remaining_ms > 0
        {
            let round = i32::try_from(turn.settings.initial_rebalance_delay_ms);
            let delay_ms = round.unwrap_or(i32::MAX).min(initial.remaining_ms);
            initial.remaining_ms = (initial.remaining_ms - initial.delay_ms).max(0);
            initial.delay_ms = delay_ms;
            initial.member_added = false;
            self.arm_join(delay_ms, turn);
            return;
        }
        _ = self.complete_join(turn);
    }

    /// Ends the join phase with whoever has joined.
    pub(crate) fn complete_join(&mut self, turn: &mut Turn<'_>) -> Option<WriteId> {
        self.disarm_join(turn);
        let late = self.members.values();
        let late = late.filter(|member| member.awaiting_join.is_none());
        let late = late.filter(|member| member.instance_id.is_none());
        let late: Vec<_> = late.map(|member| Arc::clone(&member.id)).collect();
        for id in late {
            self.remove(&id, turn);
        }
        if !self.members.is_empty() && !self.elect_joined_leader() {
            self.arm_join(self.rebalance_timeout_ms().max(REBALANCE_RETRY_MIN_MS), turn);
            return None;
        }
        self.initial = None;
        // 2^31 rebalances: Kafka goes on below zero, where -1 would mean "no generation".
        self.generation = self.generation.checked_add(1).unwrap_or(1);
        if self.members.is_empty() {
            self.state = GroupState::Empty;
            self.protocol = None;
            self.subscribed = self.subscribed_topics();
            self.recorded = true;
            let record = record_of(self, None);
            return Some(turn.store(&self.id, record, Purpose::Emptied(None)));
        }
        self.protocol = Some(self.select_protocol());
        self.subscribed = self.subscribed_topics();
        self.state = GroupState::CompletingRebalance;
        let ids: Vec<_> = self.members.keys().cloned().collect();
        for id in ids {
            if let Some(caller) = self.unpark_join(&id) {
                let joined = self.joined(&id);
                turn.answer(caller, GroupAnswer::Join(Ok(joined)));
            }
            if let Some(member) = self.members.get_mut(&id) {
                member.is_new = false;
                self.pending_sync += usize::from(!member.pending_sync);
                member.pending_sync = true;
            }
            self.refresh_session(&id, turn);
        }
        let at_ns = after_ms(turn.now.boottime_ns, self.rebalance_timeout_ms());
        self.sync_timer = Some(turn.deadlines.arm(at_ns, &self.id, Due::Sync));
        None
    }

    /// The leader if it joined, else the first that did.
    fn elect_joined_leader(&mut self) -> bool {
        let leader = self.leader.as_ref().and_then(|leader| self.members.get(leader));
        if leader.is_some_and(|leader| leader.awaiting_join.is_some()) {
            return true;
        }
        let joined = self.members.values().find(|member| member.awaiting_join.is_some());
        let Some(joined) = joined else { return false };
        self.leader = Some(Arc::clone(&joined.id));
        true
    }

    /// What a member is told of the present generation.
    pub(crate) fn joined(&self, id: &str) -> Joined {
        Joined {
            generation: self.generation,
            protocol_type: self.protocol_type.clone().unwrap_or_default(),
            protocol: self.protocol.clone(),
            leader: self.leader.as_deref().unwrap_or_default().to_owned(),
            skip_assignment: false,
            member_id: id.to_owned(),
            members: if self.is_leader(id) { self.joined_members() } else { Vec::new() },
        }
    }

    pub(crate) fn joined_members(&self) -> Vec<JoinedMember> {
        let protocol = self.protocol.as_deref();
        let members = self.members.values().map(|member| JoinedMember {
            member_id: member.id.to_string(),
            instance_id: member.instance_id.clone(),
            metadata: member.metadata(protocol),
        });
        members.collect()
    }

    /// Parks a JoinGroup and sees what follows from it.
    pub(crate) fn park_and_rebalance(&mut self, id: &str, caller: Caller, turn: &mut Turn<'_>) {
        self.park_join(id, caller, turn);
        _ = self.rebalance(turn);
    }

    fn arm_join(&mut self, after: i32, turn: &mut Turn<'_>) {
        self.disarm_join(turn);
        let at_ns = after_ms(turn.now.boottime_ns, after);
        self.join_timer = Some(turn.deadlines.arm(at_ns, &self.id, Due::Join));
    }

    pub(crate) fn disarm_join(&mut self, turn: &mut Turn<'_>) {
        if let Some(timer) = self.join_timer.take() {
            turn.deadlines.disarm(timer);
        }
    }
}
