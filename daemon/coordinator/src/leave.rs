//! How members go: by LeaveGroup, by silence, or with their coordinator.

use std::sync::Arc;

use crate::call::{Caller, GroupAnswer, GroupError, GroupState, LeavingMember};
use crate::deadlines::{Due, Timer};
use crate::group::Group;
use crate::turn::{Purpose, Turn};

impl Group {
    /// LeaveGroup. Answered at once, or with the write if the group became empty by it.
    pub(crate) fn leave(&mut self, caller: Caller, leaving: &[LeavingMember], turn: &mut Turn<'_>) {
        let results: Vec<_> = leaving.iter().map(|one| self.leave_one(one, turn)).collect();
        let anyone = results.iter().any(Result::is_ok);
        let write = match self.state {
            _ if !anyone => None,
            GroupState::Stable | GroupState::CompletingRebalance => self.rebalance(turn),
            _ => self.maybe_complete_join(turn),
        };
        if let Some(write) = write
            && let Some(open) = turn.writes.open.get_mut(&write)
            && let Purpose::Emptied(waiting) = &mut open.purpose
        {
            *waiting = Some((caller, results));
        } else {
            turn.answer(caller, GroupAnswer::Leave(Ok(results)));
        }
    }

    fn leave_one(&mut self, one: &LeavingMember, turn: &mut Turn<'_>) -> Result<(), GroupError> {
        let id: Arc<str> = if one.member_id.is_empty() {
            // An administrator knows the instance, not the member id.
            let known = one.instance_id.as_ref().and_then(|instance| self.statics.get(instance));
            Arc::clone(known.ok_or(GroupError::UnknownMember)?)
        } else {
            one.member_id.as_str().into()
        };
        if !self.pending.contains_key(&id) && !one.member_id.is_empty() {
            self.validate(&id, one.instance_id.as_deref())?;
        }
        self.remove(&id, turn);
        Ok(())
    }

    /// A session's timer rang.
    pub(crate) fn session_deadline(&mut self, id: &str, timer: Timer, turn: &mut Turn<'_>) {
        if self.pending.get(id) == Some(&timer) {
            self.pending.remove(id);
            self.complete_after_removal(turn);
            return;
        }
        let Some(member) = self.members.get_mut(id) else { return };
        if member.session.timer != Some(timer) {
            return;
        }
        member.session.timer = None;
        if member.session.deadline_ns > turn.now.boottime_ns {
            // It was heard of since the timer was set: the rest of its session.
            let due = Due::Session(Arc::clone(&member.id));
            let at_ns = member.session.deadline_ns;
            member.session.timer = Some(turn.deadlines.arm(at_ns, &self.id, due));
        } else if !member.may_be_silent() {
            self.remove(id, turn);
            match self.state {
                GroupState::Stable | GroupState::CompletingRebalance => _ = self.rebalance(turn),
                _ => self.complete_after_removal(turn),
            }
        }
    }

    /// Somebody whom the join phase waited for is gone. Unlike a member that joins, this may end an
    /// initial delay early, as in Kafka.
    fn complete_after_removal(&mut self, turn: &mut Turn<'_>) {
        if self.state == GroupState::PreparingRebalance && self.has_all_joined() {
            _ = self.complete_join(turn);
        }
    }

    /// This node no longer leads the group's slot: whoever waits must find the coordinator again.
    pub(crate) fn stop(&mut self, turn: &mut Turn<'_>) {
        for member in self.members.values_mut() {
            if let Some(caller) = member.awaiting_join.take() {
                turn.answer(caller, GroupAnswer::Join(Err(GroupError::NotCoordinator)));
            }
            if let Some(caller) = member.awaiting_sync.take() {
                turn.answer(caller, GroupAnswer::Sync(Err(GroupError::NotCoordinator)));
            }
            if let Some(timer) = member.session.timer.take() {
                turn.deadlines.disarm(timer);
            }
        }
        let pending = self.pending.values().copied();
        for timer in pending.chain(self.join_timer).chain(self.sync_timer) {
            turn.deadlines.disarm(timer);
        }
    }
}
