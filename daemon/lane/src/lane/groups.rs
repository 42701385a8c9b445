//! Consumer groups: which coordinator a call is for, and what becomes of what it wants done.
//!
//! ```text
//! group id ─▶ slot ─▶ shard (image) ─▶ led and served here? ─▶ its Coordinator ─▶ effects
//!                                        │no                     ▲    Answer ─▶ the caller
//!                                        └▶ NotCoordinator or    │    Store, Remove ─▶ entry
//!                                           LoadInProgress       └── stored: applied, or not ┘
//! ```
//!
//! Invariants: a coordinator lives in [`Leading`](super::Leading), so it ends with the reign it
//! was loaded for; its effects are carried out in their order, before anything else is decided for
//! its shard. Every call needs the lease, for a deposed coordinator must not even say that a member
//! is alive. Time in which the lane stood still does not pass for coordinators, see
//! [`pauses`](super::pauses).
//!
//! Caveat: a group that only has offsets is not known to its coordinator; Describe, Delete and
//! ListGroups add it from the applied rows.

use std::collections::VecDeque;

use holdfast_base::{CoordinatorSlot, Now, ShardId};
use holdfast_coordinator::{
    Caller, Description, Effect, GroupAnswer, GroupCall, GroupError, GroupSettings, GroupState,
    Listed, WriteId,
};
use holdfast_io::Disk;
use holdfast_log::{Decider, EntryBuilder, Group, GroupRecord, Proposal, Refused};
use holdfast_metadata::BrokerSettings;
use holdfast_wal::Admission;

use super::Lane;
use super::produce::Building;
use crate::calls::Slot;
use crate::machines::data_shard;
use crate::request::{Answer, Outcome as Fate, Reason, Refusal, Ticket};

impl<D: Disk> Lane<D> {
    pub(super) fn group(&mut self, ticket: Ticket, call: GroupCall, now: Now) {
        match self.coordinated_here(call.group(), now) {
            Err(error) => self.calls.answer(ticket, Answer::Group(refused(&call, error))),
            Ok((shard, slot)) => {
                if !self.call_on_offsets_only(ticket, &call, shard, slot, now)
                    && let Some(leading) = self.leading.get_mut(&shard)
                {
                    let mut effects = Vec::new();
                    let (caller, rng) = (Caller(ticket.0), &mut self.rng);
                    let group_now = self.pauses.without(now);
                    leading.coordinator.call(caller, call, rng, group_now, &mut effects);
                    self.carry_out(shard, effects, now);
                }
            }
        }
    }

    /// The shard and slot of a group whose coordinator is here and may answer now.
    pub(super) fn coordinated_here(
        &self,
        group: &str,
        now: Now,
    ) -> Result<(ShardId, CoordinatorSlot), GroupError> {
        if self.failed.is_some() {
            return Err(GroupError::CoordinatorNotAvailable);
        }
        let slot = CoordinatorSlot::of(group);
        let (shard, _) = self.image.shard_of_slot(slot).ok_or(GroupError::LoadInProgress)?;
        if self.coordinates(shard, now) {
            return Ok((shard, slot));
        }
        let leader = self.leaders.get(&shard).map(|leader| leader.node);
        Err(if leader.is_some_and(|node| node != self.config.node) {
            GroupError::NotCoordinator
        } else {
            GroupError::LoadInProgress
        })
    }

    fn coordinates(&self, shard: ShardId, now: Now) -> bool {
        self.leading.contains_key(&shard) && self.driver.serves_reads(shard, now)
    }

    /// Describe and Delete of a group that never had members. True when this was one.
    fn call_on_offsets_only(
        &mut self,
        ticket: Ticket,
        call: &GroupCall,
        shard: ShardId,
        slot: CoordinatorSlot,
        now: Now,
    ) -> bool {
        let (GroupCall::Describe { group } | GroupCall::Delete { group }) = call else {
            return false;
        };
        if !self.has_offsets_only(shard, slot, group) {
            return false;
        }
        if matches!(call, GroupCall::Describe { .. }) {
            let description = Description {
                state: GroupState::Empty,
                protocol_type: String::new(),
                protocol: String::new(),
                members: Vec::new(),
            };
            let answer = GroupAnswer::Describe(Ok(description));
            self.calls.answer(ticket, Answer::Group(answer));
            return true;
        }
        let removed = self.propose_group(
            shard,
            GroupCommand::freeing(0),
            Slot::RemoveGroup { ticket },
            now,
            |decider, entry| decider.propose_remove_group(entry, slot, group),
        );
        if let Err(error) = removed {
            self.calls.answer(ticket, Answer::Group(GroupAnswer::Delete(Err(error))));
        }
        true
    }

    /// It committed offsets and never had a member.
    pub(super) fn has_offsets_only(
        &self,
        shard: ShardId,
        slot: CoordinatorSlot,
        group: &str,
    ) -> bool {
        self.leading.get(&shard).is_some_and(|leading| !leading.coordinator.is_known(group))
            && self.group_rows(shard, slot, group).is_some_and(|rows| rows.record().is_none())
    }

    pub(super) fn group_rows(
        &self,
        shard: ShardId,
        slot: CoordinatorSlot,
        group: &str,
    ) -> Option<&Group> {
        data_shard(&self.driver, shard)?.group(slot, group)
    }

    pub(super) fn list_groups(&mut self, ticket: Ticket, now: Now) {
        let listed = self.groups_here(now);
        self.calls.answer(ticket, Answer::ListGroups(listed));
    }

    fn groups_here(&self, now: Now) -> Result<Vec<Listed>, GroupError> {
        if self.image.coordinator_slots.is_empty() {
            return Err(GroupError::LoadInProgress);
        }
        // A shard that was lost is somebody else's to list; one on its way here is nobody's yet.
        let own = self.config.node;
        let loading = |shard: &ShardId| {
            self.leaders.get(shard).is_some_and(|leader| leader.node == own)
                && !self.coordinates(*shard, now)
        };
        if self.image.coordinator_slots.iter().any(|placement| loading(&placement.shard)) {
            return Err(GroupError::LoadInProgress);
        }
        let mut listed = Vec::new();
        for (shard, leading) in &self.leading {
            listed.extend(leading.coordinator.list());
            let rows =
                data_shard(&self.driver, *shard).into_iter().flat_map(|state| state.groups());
            let offsets_only = rows.filter(|(_, group, rows)| {
                rows.record().is_none() && !leading.coordinator.is_known(group)
            });
            listed.extend(offsets_only.map(|(_, group, _)| Listed {
                group: group.to_owned(),
                protocol_type: String::new(),
                state: GroupState::Empty,
            }));
        }
        listed.sort_unstable_by(|one, other| one.group.cmp(&other.group));
        Ok(listed)
    }

    /// Lets coordinators do what is due: sessions that end, rebalances that have waited enough.
    pub(super) fn tick_groups(&mut self, now: Now) {
        let group_now = self.pauses.without(now);
        let is_due =
            |leading: &super::Leading| leading.coordinator.next_wake_ns() <= group_now.boottime_ns;
        let due: Vec<ShardId> = self
            .leading
            .iter()
            .filter(|(_, leading)| is_due(leading))
            .map(|(shard, _)| *shard)
            .collect();
        for shard in due {
            let Some(leading) = self.leading.get_mut(&shard) else { continue };
            let mut effects = Vec::new();
            leading.coordinator.tick(group_now, &mut effects);
            self.carry_out(shard, effects, now);
        }
    }

    /// When a coordinator has something to do.
    pub(super) fn next_group_wake_ns(&self) -> u64 {
        let wakes = self.leading.values().map(|leading| leading.coordinator.next_wake_ns());
        self.pauses.with(wakes.min().unwrap_or(u64::MAX))
    }

    /// What a coordinator wrote is committed, or is not, or nobody knows. `None` when the one that
    /// wrote it is gone: it has told its callers.
    pub(super) fn group_stored(
        &mut self,
        shard: ShardId,
        slot: &GroupWrite,
        result: Result<(), ()>,
    ) {
        let now = self.now;
        let Some(leading) = self.leading.get_mut(&shard) else { return };
        if leading.term != slot.term {
            return;
        }
        let mut effects = Vec::new();
        leading.coordinator.stored(slot.write, result, self.pauses.without(now), &mut effects);
        self.carry_out(shard, effects, now);
    }

    /// Does what a coordinator wants, in its order.
    pub(super) fn carry_out(&mut self, shard: ShardId, effects: Vec<Effect>, now: Now) {
        let mut effects = VecDeque::from(effects);
        while let Some(effect) = effects.pop_front() {
            let (write, proposed) = match effect {
                Effect::Answer(caller, answer) => {
                    self.calls.answer(Ticket(caller.0), Answer::Group(answer));
                    continue;
                }
                Effect::Store { write, group, record } => {
                    (write, self.store(shard, write, &group, &record, now))
                }
                Effect::Remove { write, group } => {
                    let slot = CoordinatorSlot::of(&group);
                    let command = GroupCommand::freeing(0);
                    let waiter = self.group_write(shard, write);
                    let proposed =
                        self.propose_group(shard, command, waiter, now, |decider, entry| {
                            decider.propose_remove_group(entry, slot, &group)
                        });
                    (write, proposed)
                }
            };
            if let Err(error) = proposed {
                tracing::debug!(shard = shard.0, ?error, "a group's record could not be stored");
                if let Some(leading) = self.leading.get_mut(&shard) {
                    let mut more = Vec::new();
                    let group_now = self.pauses.without(now);
                    leading.coordinator.stored(write, Err(()), group_now, &mut more);
                    effects.extend(more);
                }
            }
        }
    }

    fn store(
        &mut self,
        shard: ShardId,
        write: WriteId,
        group: &str,
        record: &GroupRecord,
        now: Now,
    ) -> Result<(), GroupError> {
        let slot = CoordinatorSlot::of(group);
        let members = record.members.iter();
        let bytes: usize = members
            .map(|member| member.subscription.len() + member.assignment.len() + MEMBER_BYTES)
            .sum();
        let command = GroupCommand { bytes: bytes as u64, class: Admission::Records };
        let waiter = self.group_write(shard, write);
        self.propose_group(shard, command, waiter, now, |decider, entry| {
            decider.propose_put_group(entry, slot, group, record)
        })
    }

    fn group_write(&self, shard: ShardId, write: WriteId) -> Slot {
        let term = self.leading.get(&shard).map(|leading| leading.term).unwrap_or_default();
        Slot::Group(GroupWrite { term, write })
    }

    fn building_bytes(&self, shard: ShardId) -> u64 {
        let building = self.leading.get(&shard).and_then(|leading| leading.building.as_ref());
        building.map_or(0, |building| {
            building.entry.commands_len() as u64 + u64::from(building.entry.payload_len())
        })
    }

    /// Adds a command to the entry that a shard collects; when that is full, to the next one.
    pub(super) fn propose_group(
        &mut self,
        shard: ShardId,
        command: GroupCommand,
        waiter: Slot,
        now: Now,
        propose: impl Fn(&Decider, &mut EntryBuilder) -> Result<Proposal, Refused>,
    ) -> Result<(), GroupError> {
        let mut again = true;
        loop {
            // Commands of groups can be long: an entry stays far from what a segment takes.
            let waiting_bytes = self.building_bytes(shard);
            if waiting_bytes > 0
                && waiting_bytes + command.bytes > self.config.entry_bytes_max() / 2
            {
                self.propose_shard(shard, now);
            }
            let bytes = self.building_bytes(shard) + command.bytes;
            self.driver
                .may_propose(shard, bytes, command.class)
                .map_err(|error| group_error(&self.proposal_refusal(shard, error)))?;
            let (_, time_ms) =
                self.driver.deciding(shard, now).ok_or(GroupError::NotCoordinator)?;
            let leading = self.leading.get_mut(&shard).ok_or(GroupError::NotCoordinator)?;
            let building = leading.building.get_or_insert_with(|| Building::new(time_ms));
            match propose(&leading.decider, &mut building.entry) {
                Ok(Proposal::Command { ordinal }) => {
                    building.slots.push((ordinal, waiter));
                    return Ok(());
                }
                Ok(Proposal::Nothing) => unreachable!("nothing is proposed only if there is work"),
                Err(Refused::EntryFull) if again => {
                    again = false;
                    self.propose_shard(shard, now);
                }
                Err(refused) => {
                    tracing::warn!(shard = shard.0, %refused, "a group's command was not taken");
                    return Err(match refused {
                        Refused::GroupTooLarge { .. } => GroupError::MetadataTooLarge,
                        _ => GroupError::CoordinatorNotAvailable,
                    });
                }
            }
        }
    }
}

/// Lengths, names and timeouts of a member in a record, roughly: for admission only.
const MEMBER_BYTES: usize = 256;

/// A coordinator's write under way.
#[derive(Clone, Debug)]
pub(crate) struct GroupWrite {
    /// The reign of the coordinator that wrote it: another one numbers its writes anew.
    pub(crate) term: holdfast_base::Term,
    pub(crate) write: WriteId,
}

/// What a command asks of the write-ahead log.
#[derive(Clone, Copy)]
pub(super) struct GroupCommand {
    /// About so many.
    pub(super) bytes: u64,
    /// `Reserve` for what frees space.
    pub(super) class: Admission,
}

/// What an operator set about groups.
pub(super) fn group_settings(settings: &BrokerSettings) -> GroupSettings {
    GroupSettings {
        initial_rebalance_delay_ms: settings.group_initial_rebalance_delay_ms,
        min_session_timeout_ms: settings.group_session_timeout_ms_min,
        max_session_timeout_ms: settings.group_session_timeout_ms_max,
        max_size: settings.group_members_max,
    }
}

impl GroupCommand {
    /// One that names so many partitions to be forgotten.
    pub(super) fn freeing(partitions: usize) -> Self {
        GroupCommand { bytes: 20 * partitions as u64, class: Admission::Reserve }
    }
}

/// A refused proposal as a group's client is told of it.
pub(super) fn group_error(refusal: &Refusal) -> GroupError {
    match (refusal.reason, refusal.outcome) {
        (Reason::NotLeader, Fate::DidNot) => GroupError::NotCoordinator,
        _ => GroupError::CoordinatorNotAvailable,
    }
}

fn refused(call: &GroupCall, error: GroupError) -> GroupAnswer {
    match call {
        GroupCall::Join(_) => GroupAnswer::Join(Err(error)),
        GroupCall::Sync(_) => GroupAnswer::Sync(Err(error)),
        GroupCall::Heartbeat(_) => GroupAnswer::Heartbeat(Err(error)),
        GroupCall::Leave(_) => GroupAnswer::Leave(Err(error)),
        GroupCall::Describe { .. } => GroupAnswer::Describe(Err(error)),
        GroupCall::Delete { .. } => GroupAnswer::Delete(Err(error)),
    }
}
