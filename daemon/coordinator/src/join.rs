//! JoinGroup: who may come in, and under which id.
//!
//! | member id | instance id | it is | what follows |
//! | --- | --- | --- | --- |
//! | empty | none | new | from version 4 it is told its id first (KIP-394), else parked |
//! | empty | known | a static member that restarted | takes the place of the old, which is fenced (KIP-345) |
//! | empty | new | a new static member | parked |
//! | was given | none | new, with its id | parked |
//! | a member's | its own or none | back | parked, or told the present generation if nothing changed |
//! | other | | unknown or fenced | refused |
//!
//! Caveat: a group's first generation is told when the join phase ends and stored when its leader
//! has assigned, as in Kafka; a coordinator lost in between may give the same number again, to
//! members that all join anew.

use std::sync::Arc;

use holdfast_base::Rng;

use crate::call::{Caller, GroupAnswer, GroupError, GroupState, Join};
use crate::deadlines::{Due, after_ms};
use crate::group::Group;
use crate::member::{Member, distinct, new_member_id};
use crate::record::{member_bytes, protocols_bytes, record_fits, record_of};
use crate::settings::{GroupSettings, NEW_MEMBER_JOIN_TIMEOUT_MS};
use crate::turn::{Purpose, Replacement, Turn};

/// Refusals that need no group.
pub(crate) fn validate(join: &Join, settings: &GroupSettings) -> Result<(), GroupError> {
    let range = settings.min_session_timeout_ms..=settings.max_session_timeout_ms;
    if join.group.is_empty() {
        Err(GroupError::InvalidGroup)
    } else if !range.contains(&join.session_timeout_ms) {
        Err(GroupError::InvalidSessionTimeout)
    } else {
        Ok(())
    }
}

impl Group {
    pub(crate) fn join(
        &mut self,
        caller: Caller,
        mut join: Join,
        rng: &mut dyn Rng,
        turn: &mut Turn<'_>,
    ) {
        join.protocols = distinct(join.protocols);
        if !self.has_room_for(&join.member_id, turn.settings) {
            self.remove(&join.member_id, turn);
            turn.answer(caller, GroupAnswer::Join(Err(GroupError::GroupFull)));
            _ = self.maybe_complete_join(turn);
        } else if !self.supports(&join) {
            turn.answer(caller, GroupAnswer::Join(Err(GroupError::InconsistentProtocol)));
        } else if join.member_id.is_empty() {
            let prefix = join.instance_id.as_ref().unwrap_or(&join.client_id);
            let id = new_member_id(prefix, rng);
            self.join_unknown(caller, join, id, turn);
        } else if let Some((id, _)) = self.pending.get_key_value(join.member_id.as_str()) {
            if join.instance_id.is_some() {
                // The id was given to a dynamic member.
                turn.answer(caller, GroupAnswer::Join(Err(GroupError::UnknownMember)));
                return;
            }
            let id = Arc::clone(id);
            self.join_new(caller, join, id, turn);
        } else {
            self.join_known(caller, join, turn);
        }
    }

    /// Kafka's rule for `group.max.size`: while preparing, those that have joined count, so that
    /// the last to rejoin are left out if the limit was lowered.
    fn has_room_for(&self, id: &str, settings: &GroupSettings) -> bool {
        let max = usize::try_from(settings.max_size).unwrap_or(usize::MAX);
        let member = self.members.get(id);
        match self.state {
            GroupState::Empty | GroupState::Dead => true,
            GroupState::PreparingRebalance => {
                member.is_some_and(|member| member.awaiting_join.is_some())
                    || self.awaiting_join < max
            }
            GroupState::CompletingRebalance | GroupState::Stable => {
                member.is_some() || self.members.len() < max
            }
        }
    }

    fn join_unknown(&mut self, caller: Caller, join: Join, id: Arc<str>, turn: &mut Turn<'_>) {
        if let Some(instance) = &join.instance_id {
            match self.statics.get(instance).cloned() {
                Some(old_id) => self.join_replacing(caller, join, &old_id, id, turn),
                None => self.join_new(caller, join, id, turn),
            }
        } else if join.requires_known_member {
            let at_ns = after_ms(turn.now.boottime_ns, join.session_timeout_ms);
            let timer = turn.deadlines.arm(at_ns, &self.id, Due::Session(Arc::clone(&id)));
            let required = GroupError::MemberIdRequired(id.to_string());
            self.pending.insert(id, timer);
            turn.answer(caller, GroupAnswer::Join(Err(required)));
        } else {
            self.join_new(caller, join, id, turn);
        }
    }

    fn join_new(&mut self, caller: Caller, join: Join, id: Arc<str>, turn: &mut Turn<'_>) {
        let member = Member {
            id: Arc::clone(&id),
            instance_id: join.instance_id,
            client_id: join.client_id,
            client_host: join.client_host,
            session_timeout_ms: join.session_timeout_ms,
            rebalance_timeout_ms: join.rebalance_timeout_ms,
            protocols: join.protocols,
            assignment: Default::default(),
            is_new: true,
            awaiting_join: None,
            awaiting_sync: None,
            pending_sync: false,
            session: Default::default(),
        };
        let bytes = self.members_bytes.saturating_add(member_bytes(&member));
        if !record_fits(&self.id, &join.protocol_type, bytes) {
            self.remove(&id, turn);
            turn.answer(caller, GroupAnswer::Join(Err(GroupError::GroupFull)));
            _ = self.maybe_complete_join(turn);
            return;
        }
        if let Some(timer) = self.pending.remove(&id) {
            turn.deadlines.disarm(timer);
        }
        if self.members.is_empty() {
            self.protocol_type = Some(join.protocol_type);
        }
        if let Some(initial) = &mut self.initial {
            initial.member_added = true;
        }
        self.insert(member);
        self.set_session(&id, NEW_MEMBER_JOIN_TIMEOUT_MS, turn);
        self.park_and_rebalance(&id, caller, turn);
    }

    fn join_known(&mut self, caller: Caller, join: Join, turn: &mut Turn<'_>) {
        let id = join.member_id.as_str();
        if let Err(error) = self.validate(id, join.instance_id.as_deref()) {
            turn.answer(caller, GroupAnswer::Join(Err(error)));
            return;
        }
        let unchanged = self.members.get(id).is_some_and(|known| known.protocols == join.protocols);
        let told_now = match self.state {
            // Perhaps it never got the answer.
            GroupState::CompletingRebalance => unchanged,
            // A leader that joins wants to assign anew, for reasons members cannot see.
            GroupState::Stable => unchanged && !self.is_leader(id),
            _ => false,
        };
        if told_now {
            turn.answer(caller, GroupAnswer::Join(Ok(self.joined(id))));
        } else if !self.fits_after_update(id, &join) {
            turn.answer(caller, GroupAnswer::Join(Err(GroupError::GroupFull)));
        } else {
            let Join { session_timeout_ms, rebalance_timeout_ms, .. } = join;
            self.update(id, join.protocols, session_timeout_ms, rebalance_timeout_ms);
            self.park_and_rebalance(&join.member_id, caller, turn);
        }
    }

    /// Would the record still fit if this member said what it says now?
    fn fits_after_update(&self, id: &str, join: &Join) -> bool {
        let before = self.members.get(id).map_or(0, |member| protocols_bytes(&member.protocols));
        let bytes = (self.members_bytes - before).saturating_add(protocols_bytes(&join.protocols));
        record_fits(&self.id, &join.protocol_type, bytes)
    }

    /// A static member is back under a new id. In a stable group whose protocol stays, that is
    /// stored and nobody else notices.
    fn join_replacing(
        &mut self,
        caller: Caller,
        join: Join,
        old_id: &Arc<str>,
        new_id: Arc<str>,
        turn: &mut Turn<'_>,
    ) {
        if !self.fits_after_update(old_id, &join) {
            turn.answer(caller, GroupAnswer::Join(Err(GroupError::GroupFull)));
            return;
        }
        let Some(old) = self.members.get(old_id) else { return };
        let undo = Box::new(Replacement {
            caller,
            generation: self.generation,
            new_id: Arc::clone(&new_id),
            can_skip_assignment: join.can_skip_assignment,
            old_leader: self.leader.clone(),
            old_id: Arc::clone(old_id),
            old_protocols: old.protocols.clone(),
            old_session_timeout_ms: old.session_timeout_ms,
            old_rebalance_timeout_ms: old.rebalance_timeout_ms,
        });
        let Join { session_timeout_ms, rebalance_timeout_ms, .. } = join;
        self.replace(old_id, &new_id, turn);
        self.refresh_session(&new_id, turn);
        self.update(&new_id, join.protocols, session_timeout_ms, rebalance_timeout_ms);
        self.park_join(&new_id, caller, turn);
        if self.state != GroupState::Stable {
            // While completing, the leader may already assign to the old id: all join again.
            _ = self.rebalance(turn);
        } else if self.protocol.as_deref() == Some(self.select_protocol().as_str()) {
            let record = record_of(self, None);
            turn.store(&self.id, record, Purpose::Replacement(undo));
        } else {
            _ = self.rebalance(turn);
        }
    }

    /// The record with a static member's new id is stored, or its fate is unknown. If a rebalance
    /// began meanwhile, the member takes part in it and is answered by it.
    pub(crate) fn replacement_stored(
        &mut self,
        undo: Replacement,
        result: Result<(), ()>,
        turn: &mut Turn<'_>,
    ) {
        let waits = self.members.get(&undo.new_id).and_then(|member| member.awaiting_join);
        let current = self.state == GroupState::Stable && self.generation == undo.generation;
        if !current || waits != Some(undo.caller) {
            return;
        }
        let id = Arc::clone(&undo.new_id);
        _ = self.unpark_join(&id);
        if result.is_err() {
            let error = GroupError::CoordinatorNotAvailable;
            turn.answer(undo.caller, GroupAnswer::Join(Err(error)));
            let (session, rebalance) = (undo.old_session_timeout_ms, undo.old_rebalance_timeout_ms);
            self.update(&id, undo.old_protocols, session, rebalance);
            self.replace(&id, &undo.old_id, turn);
            self.refresh_session(&undo.old_id, turn);
            return;
        }
        let mut joined = self.joined(&id);
        if undo.can_skip_assignment {
            joined.skip_assignment = self.is_leader(&id);
        } else {
            // Named as leader it would assign, and nobody would ask for it: it sees another's id.
            joined.members = Vec::new();
            joined.leader = undo.old_leader.as_deref().unwrap_or_default().to_owned();
        }
        turn.answer(undo.caller, GroupAnswer::Join(Ok(joined)));
        self.refresh_session(&id, turn);
    }
}
