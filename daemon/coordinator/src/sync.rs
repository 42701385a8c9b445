//! SyncGroup: the leader's assignments become durable, then everyone is told its own.
//!
//! ```text
//! leader's SyncGroup ─▶ Store ─▶ stored ─▶ Stable, parked SyncGroups are answered
//!                            └▶ failed ─▶ CoordinatorNotAvailable to all, the group prepares again
//! ```
//!
//! Invariant: only the latest store of the present generation counts (`storing`); an older one that
//! ends later changes nothing.
//!
//! Caveat: a member that joined and does not ask for its assignment within the rebalance timeout is
//! removed, and the group prepares again.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::call::{Caller, GroupAnswer, GroupError, GroupState, Sync, Synced};
use crate::coordinator::WriteId;
use crate::group::Group;
use crate::record::{record_fits, record_of};
use crate::turn::{Purpose, Turn};

impl Group {
    pub(crate) fn sync(&mut self, caller: Caller, sync: Sync, turn: &mut Turn<'_>) {
        if let Err(error) = self.validate_sync(&sync) {
            turn.answer(caller, GroupAnswer::Sync(Err(error)));
            return;
        }
        let id = sync.member_id.as_str();
        let Some(member) = self.members.get_mut(id) else { return };
        if member.pending_sync {
            member.pending_sync = false;
            self.pending_sync -= 1;
        }
        if self.state == GroupState::Stable {
            let assignment = member.assignment.clone();
            let synced = Synced {
                protocol_type: self.protocol_type.clone().unwrap_or_default(),
                protocol: self.protocol.clone(),
                assignment,
            };
            turn.answer(caller, GroupAnswer::Sync(Ok(synced)));
        } else if let Some(before) = member.awaiting_sync.replace(caller) {
            // Its connection is as good as gone; see `park_join`.
            turn.answer(before, GroupAnswer::Sync(Err(GroupError::RebalanceInProgress)));
        }
        if self.pending_sync == 0 {
            self.disarm_sync(turn);
        }
        if self.state == GroupState::CompletingRebalance && self.is_leader(id) {
            self.store_assignments(sync, turn);
        }
    }

    fn validate_sync(&self, sync: &Sync) -> Result<(), GroupError> {
        let differs = |said: &Option<String>, is: &Option<String>| said.is_some() && said != is;
        if self.state == GroupState::Empty {
            return Err(GroupError::UnknownMember);
        }
        self.validate(&sync.member_id, sync.instance_id.as_deref())?;
        if sync.generation != self.generation {
            Err(GroupError::IllegalGeneration)
        } else if differs(&sync.protocol_type, &self.protocol_type)
            || differs(&sync.protocol, &self.protocol)
        {
            Err(GroupError::InconsistentProtocol)
        } else if self.state == GroupState::PreparingRebalance {
            Err(GroupError::RebalanceInProgress)
        } else {
            Ok(())
        }
    }

    fn store_assignments(&mut self, sync: Sync, turn: &mut Turn<'_>) {
        let mut assignments = BTreeMap::new();
        for (id, assignment) in sync.assignments {
            if let Some((id, _)) = self.members.get_key_value(id.as_str()) {
                assignments.insert(Arc::clone(id), assignment);
            }
        }
        let bytes: usize = assignments.values().map(bytes::Bytes::len).sum();
        let protocol_type = self.protocol_type.as_deref().unwrap_or_default();
        if !record_fits(&self.id, protocol_type, self.members_bytes.saturating_add(bytes)) {
            self.propagate_error(&GroupError::GroupFull, turn);
            _ = self.prepare_rebalance(turn);
            return;
        }
        self.recorded = true;
        let record = record_of(self, Some(&assignments));
        let write = turn.store(&self.id, record, Purpose::Assignment);
        self.storing = Some((write, assignments));
    }

    pub(crate) fn assignments_stored(
        &mut self,
        write: WriteId,
        result: Result<(), ()>,
        turn: &mut Turn<'_>,
    ) {
        let Some((_, mut assignments)) = self.storing.take_if(|(storing, _)| *storing == write)
        else {
            return;
        };
        assert_eq!(self.state, GroupState::CompletingRebalance, "storing ends with its generation");
        if result.is_err() {
            self.propagate_error(&GroupError::CoordinatorNotAvailable, turn);
            _ = self.prepare_rebalance(turn);
            return;
        }
        self.state = GroupState::Stable;
        let mut told = Vec::new();
        for member in self.members.values_mut() {
            member.assignment = assignments.remove(&member.id).unwrap_or_default();
            let Some(caller) = member.awaiting_sync.take() else { continue };
            let synced = Synced {
                protocol_type: self.protocol_type.clone().unwrap_or_default(),
                protocol: self.protocol.clone(),
                assignment: member.assignment.clone(),
            };
            turn.answer(caller, GroupAnswer::Sync(Ok(synced)));
            told.push(Arc::clone(&member.id));
        }
        for id in told {
            self.refresh_session(&id, turn);
        }
    }

    /// Every parked SyncGroup gets this error; nobody has an assignment any more.
    pub(crate) fn propagate_error(&mut self, error: &GroupError, turn: &mut Turn<'_>) {
        let mut told = Vec::new();
        for member in self.members.values_mut() {
            member.assignment.clear();
            if let Some(caller) = member.awaiting_sync.take() {
                turn.answer(caller, GroupAnswer::Sync(Err(error.clone())));
                told.push(Arc::clone(&member.id));
            }
        }
        for id in told {
            self.refresh_session(&id, turn);
        }
    }

    /// Members that did not ask for their assignment in time are out.
    pub(crate) fn sync_deadline(&mut self, turn: &mut Turn<'_>) {
        self.sync_timer = None;
        let late = self.members.values().filter(|member| member.pending_sync);
        let late: Vec<_> = late.map(|member| Arc::clone(&member.id)).collect();
        if late.is_empty() {
            return;
        }
        for id in late {
            self.remove(&id, turn);
        }
        _ = self.prepare_rebalance(turn);
    }

    /// Nobody is waited for any more: a new join phase begins.
    pub(crate) fn end_sync_phase(&mut self, turn: &mut Turn<'_>) {
        self.disarm_sync(turn);
        if self.pending_sync > 0 {
            for member in self.members.values_mut() {
                member.pending_sync = false;
            }
            self.pending_sync = 0;
        }
    }

    fn disarm_sync(&mut self, turn: &mut Turn<'_>) {
        if let Some(timer) = self.sync_timer.take() {
            turn.deadlines.disarm(timer);
        }
    }
}
