//! All groups of the slots this node leads: calls come in, effects go out.
//!
//! | in | what |
//! | --- | --- |
//! | [`Coordinator::call`] | a client's call; answered now or later by an [`Effect::Answer`] |
//! | [`Coordinator::stored`] | a [`Effect::Store`] or [`Effect::Remove`] is committed, or is not |
//! | [`Coordinator::tick`] | time has passed [`Coordinator::next_wake_ns`] |
//! | [`Coordinator::stop`] | the slots are led elsewhere |
//!
//! Rule for whoever drives it: effects are carried out in their order, so that the records of a
//! group reach the log in the order in which they were made; each write is told of once.
//!
//! Caveat: a group that has offsets and never had members is not known here. Whoever drives it adds
//! such groups where a group's existence matters: ListGroups, DescribeGroups, DeleteGroups,
//! OffsetDelete.

use std::collections::BTreeMap;
use std::sync::Arc;

use holdfast_base::{Now, Rng};
use holdfast_log::GroupRecord;

use crate::call::{Caller, GroupAnswer, GroupCall, GroupError, GroupState, Leave, Listed};
use crate::deadlines::{Deadlines, Due};
use crate::group::Group;
use crate::join;
use crate::settings::GroupSettings;
use crate::turn::{OpenWrite, Purpose, Turn, Writes};

/// Names one [`Effect::Store`] or [`Effect::Remove`] of one coordinator.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Hash)]
pub struct WriteId(pub u64);

/// What a coordinator wants done, in order.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Effect {
    /// Put the record into the log, then call [`Coordinator::stored`].
    Store {
        /// To be named in `stored`.
        write: WriteId,
        /// Which group.
        group: String,
        /// All of it.
        record: GroupRecord,
    },
    /// Remove the record and the group's offsets, then call [`Coordinator::stored`].
    Remove {
        /// To be named in `stored`.
        write: WriteId,
        /// Which group.
        group: String,
    },
    /// Answer a call.
    Answer(Caller, GroupAnswer),
}

/// The groups of some slots. See the module.
#[derive(Debug)]
pub struct Coordinator {
    settings: GroupSettings,
    pub(crate) groups: BTreeMap<Arc<str>, Group>,
    pub(crate) deadlines: Deadlines,
    pub(crate) writes: Writes,
    pub(crate) outstanding: u64,
}

impl Coordinator {
    /// A coordinator for these groups, as the log has them. A group with members is stable; every
    /// session begins anew.
    pub fn load<'a>(
        settings: GroupSettings,
        groups: impl Iterator<Item = (&'a str, &'a GroupRecord)>,
        now: Now,
    ) -> Self {
        let mut coordinator = Coordinator {
            settings,
            groups: BTreeMap::new(),
            deadlines: Deadlines::default(),
            writes: Writes::default(),
            outstanding: 0,
        };
        coordinator.add_groups(groups, now);
        coordinator
    }

    /// The groups of a slot that arrives later. One that is known already is left as it is.
    pub fn add_groups<'a>(
        &mut self,
        groups: impl Iterator<Item = (&'a str, &'a GroupRecord)>,
        now: Now,
    ) {
        let mut effects = Vec::new();
        let (known, mut turn) = self.split(now, &mut effects);
        let max = usize::try_from(turn.settings.max_size).unwrap_or(usize::MAX);
        for (id, record) in groups {
            if known.contains_key(id) {
                continue;
            }
            let id: Arc<str> = id.into();
            let mut group = Group::load(Arc::clone(&id), record, &mut turn);
            if group.members.len() > max {
                // The limit was lowered: whoever joins first stays.
                _ = group.prepare_rebalance(&mut turn);
            }
            known.insert(id, group);
        }
        assert!(effects.is_empty(), "nobody waits on a group that was just loaded");
    }

    /// Other settings from now on. A limit that was lowered is felt at each group's next rebalance.
    pub fn set_settings(&mut self, settings: GroupSettings) {
        self.settings = settings;
    }

    /// Takes a call. Its answer is among `effects`, now or after later calls into this coordinator.
    ///
    /// Describe and Delete of a group that only has offsets answer [`GroupError::GroupIdNotFound`]:
    /// the caller knows better.
    pub fn call(
        &mut self,
        caller: Caller,
        call: GroupCall,
        rng: &mut dyn Rng,
        now: Now,
        effects: &mut Vec<Effect>,
    ) {
        self.outstanding += 1;
        let id: Arc<str> = call.group().into();
        let (groups, mut turn) = self.split(now, effects);
        let turn = &mut turn;
        match call {
            GroupCall::Join(join) => {
                if let Err(error) = join::validate(&join, turn.settings) {
                    turn.answer(caller, GroupAnswer::Join(Err(error)));
                    return;
                }
                if join.member_id.is_empty() && !groups.contains_key(&id) {
                    groups.insert(Arc::clone(&id), Group::new(Arc::clone(&id)));
                }
                match groups.get_mut(&id) {
                    Some(group) => group.join(caller, join, rng, turn),
                    None => turn.answer(caller, GroupAnswer::Join(Err(GroupError::UnknownMember))),
                }
            }
            GroupCall::Sync(sync) => match known(groups, &id) {
                Ok(group) => group.sync(caller, sync, turn),
                Err(error) => turn.answer(caller, GroupAnswer::Sync(Err(error))),
            },
            GroupCall::Heartbeat(beat) => {
                let result = known(groups, &id).and_then(|group| group.heartbeat(&beat, turn));
                turn.answer(caller, GroupAnswer::Heartbeat(result));
            }
            GroupCall::Leave(leave) => leave_group(groups, &id, caller, &leave, turn),
            GroupCall::Describe { .. } => {
                let described = groups.get(&id).map(Group::describe);
                let described = described.ok_or(GroupError::GroupIdNotFound);
                turn.answer(caller, GroupAnswer::Describe(described));
            }
            GroupCall::Delete { .. } => {
                if let Err(error) = remove_group(groups, &id, Some(caller), turn) {
                    turn.answer(caller, GroupAnswer::Delete(Err(error)));
                }
            }
        }
        self.drop_if_gone(&id);
    }

    /// May this member commit offsets? Kafka's rules; also its sign of life. For a group that is not
    /// known here, only a commit without a generation may.
    ///
    /// # Errors
    /// What to answer for every partition of the commit.
    pub fn may_commit(
        &mut self,
        group: &str,
        member_id: &str,
        instance_id: Option<&str>,
        generation: i32,
        now: Now,
    ) -> Result<(), GroupError> {
        let mut effects = Vec::new();
        let (groups, mut turn) = self.split(now, &mut effects);
        match groups.get_mut(group) {
            Some(group) => group.commit(member_id, instance_id, generation, &mut turn),
            None if generation < 0 => Ok(()),
            None => Err(GroupError::IllegalGeneration),
        }
    }

    /// May offsets of this group be deleted at all? If so, ask [`Coordinator::is_subscribed`] for
    /// each topic.
    ///
    /// # Errors
    /// [`GroupError::NonEmptyGroup`] when it has members that are not plain consumers;
    /// [`GroupError::GroupIdNotFound`] when it is not known here, though it may have offsets.
    pub fn may_delete_offsets(&self, group: &str) -> Result<(), GroupError> {
        let group = self.groups.get(group).ok_or(GroupError::GroupIdNotFound)?;
        if group.state == GroupState::Empty || group.uses_consumer_protocol() {
            Ok(())
        } else {
            Err(GroupError::NonEmptyGroup)
        }
    }

    /// Does a member of the group read this topic? Yes, when its consumers' metadata cannot be read.
    /// Deleting such an offset is [`GroupError::SubscribedToTopic`]; expiring it is wrong too.
    #[must_use]
    pub fn is_subscribed(&self, group: &str, topic: &str) -> bool {
        self.groups.get(group).is_some_and(|group| match &group.subscribed {
            Some(topics) => topics.contains(topic),
            None => group.uses_consumer_protocol(),
        })
    }

    /// A write is committed, or is not, or nobody knows.
    pub fn stored(
        &mut self,
        write: WriteId,
        result: Result<(), ()>,
        now: Now,
        effects: &mut Vec<Effect>,
    ) {
        let Some(OpenWrite { group: id, purpose }) = self.writes.open.remove(&write) else {
            return;
        };
        let (groups, mut turn) = self.split(now, effects);
        let turn = &mut turn;
        match purpose {
            Purpose::Assignment => {
                if let Some(group) = groups.get_mut(&id) {
                    group.assignments_stored(write, result, turn);
                }
            }
            Purpose::Replacement(undo) => {
                if let Some(group) = groups.get_mut(&id) {
                    group.replacement_stored(*undo, result, turn);
                }
            }
            // Without the write, a coordinator that comes after finds the members of before, and
            // times them out. The group itself goes on.
            Purpose::Emptied(None) => {}
            Purpose::Emptied(Some((caller, results))) => {
                let results = result.map(|()| results);
                let results = results.map_err(|()| GroupError::CoordinatorNotAvailable);
                turn.answer(caller, GroupAnswer::Leave(results));
            }
            Purpose::Removal(caller, group) => {
                if result.is_err() && group.recorded {
                    // One that was made anew meanwhile stays, and has a record like the old.
                    groups.entry(Arc::clone(&id)).or_insert(*group).recorded = true;
                }
                if let Some(caller) = caller {
                    let result = result.map_err(|()| GroupError::CoordinatorNotAvailable);
                    turn.answer(caller, GroupAnswer::Delete(result));
                }
            }
        }
        self.drop_if_gone(&id);
    }

    /// Does what is due.
    pub fn tick(&mut self, now: Now, effects: &mut Vec<Effect>) {
        for (timer, id, due) in self.deadlines.take_due(now.boottime_ns) {
            let (groups, mut turn) = self.split(now, effects);
            let Some(group) = groups.get_mut(&id) else { continue };
            match due {
                Due::Join if group.join_timer == Some(timer) => group.join_deadline(&mut turn),
                Due::Sync if group.sync_timer == Some(timer) => group.sync_deadline(&mut turn),
                Due::Session(member) => group.session_deadline(&member, timer, &mut turn),
                // Disarmed by what was due before it.
                Due::Join | Due::Sync => {}
            }
            self.drop_if_gone(&id);
        }
    }

    /// When to call [`Coordinator::tick`], on the clock of [`Now::boottime_ns`]. `u64::MAX`: never.
    #[must_use]
    pub fn next_wake_ns(&self) -> u64 {
        self.deadlines.next_ns()
    }

    /// Every group known here, by id. Not those that only have offsets.
    #[must_use]
    pub fn list(&self) -> Vec<Listed> {
        self.groups.values().map(Group::listed).collect()
    }

    /// Its state; `None` when it is not known here.
    #[must_use]
    pub fn state(&self, group: &str) -> Option<GroupState> {
        self.groups.get(group).map(|group| group.state)
    }

    /// Has it, or had it, members?
    #[must_use]
    pub fn is_known(&self, group: &str) -> bool {
        self.groups.contains_key(group)
    }

    /// Has it members now, or someone who was given an id to join with? Such a group does not expire.
    #[must_use]
    pub fn has_members(&self, group: &str) -> bool {
        let group = self.groups.get(group);
        group.is_some_and(|group| !group.members.is_empty() || !group.pending.is_empty())
    }

    /// Removes a group without members, because the last of its offsets expired. Says whether a
    /// [`Effect::Remove`] was made.
    pub fn expire(&mut self, group: &str, now: Now, effects: &mut Vec<Effect>) -> bool {
        if self.has_members(group) {
            return false;
        }
        let (groups, mut turn) = self.split(now, effects);
        remove_group(groups, &group.into(), None, &mut turn).is_ok()
    }

    /// This node leads none of the slots any more: whoever waits is told, and nothing is known.
    pub fn stop(&mut self, now: Now, effects: &mut Vec<Effect>) {
        self.stop_groups(|_| true, now, effects);
    }

    /// The same for some of the groups, when their slot moves.
    pub fn stop_groups(
        &mut self,
        leaves: impl Fn(&str) -> bool,
        now: Now,
        effects: &mut Vec<Effect>,
    ) {
        let (groups, mut turn) = self.split(now, effects);
        groups.retain(|id, group| {
            let stays = !leaves(id);
            if !stays {
                group.stop(&mut turn);
            }
            stays
        });
        let gone = turn.writes.open.extract_if(.., |_, write| leaves(&write.group));
        let gone: Vec<_> = gone.collect();
        let error = GroupError::NotCoordinator;
        for (_, write) in gone {
            match write.purpose {
                Purpose::Emptied(Some((caller, _))) => {
                    turn.answer(caller, GroupAnswer::Leave(Err(error.clone())));
                }
                Purpose::Removal(Some(caller), _) => {
                    turn.answer(caller, GroupAnswer::Delete(Err(error.clone())));
                }
                // Whoever waits for these is parked with a member.
                Purpose::Assignment | Purpose::Replacement(_) => {}
                Purpose::Emptied(None) | Purpose::Removal(None, _) => {}
            }
        }
    }

    /// Nothing of it is in memory's interest or in the log: it was only asked about.
    fn drop_if_gone(&mut self, id: &str) {
        if self.groups.get(id).is_some_and(Group::is_gone) {
            self.groups.remove(id);
        }
    }

    fn split<'a>(
        &'a mut self,
        now: Now,
        effects: &'a mut Vec<Effect>,
    ) -> (&'a mut BTreeMap<Arc<str>, Group>, Turn<'a>) {
        let turn = Turn {
            settings: &self.settings,
            deadlines: &mut self.deadlines,
            writes: &mut self.writes,
            outstanding: &mut self.outstanding,
            now,
            effects,
        };
        (&mut self.groups, turn)
    }
}

/// The group of a call by one who says to be a member.
fn known<'a>(
    groups: &'a mut BTreeMap<Arc<str>, Group>,
    id: &str,
) -> Result<&'a mut Group, GroupError> {
    if id.is_empty() {
        return Err(GroupError::InvalidGroup);
    }
    groups.get_mut(id).ok_or(GroupError::UnknownMember)
}

fn leave_group(
    groups: &mut BTreeMap<Arc<str>, Group>,
    id: &Arc<str>,
    caller: Caller,
    leave: &Leave,
    turn: &mut Turn<'_>,
) {
    match known(groups, id) {
        Ok(group) => group.leave(caller, &leave.members, turn),
        Err(GroupError::UnknownMember) => {
            let unknown = vec![Err(GroupError::UnknownMember); leave.members.len()];
            turn.answer(caller, GroupAnswer::Leave(Ok(unknown)));
        }
        Err(error) => turn.answer(caller, GroupAnswer::Leave(Err(error))),
    }
}

/// Takes a group without members out of memory; the log follows, or the group comes back.
fn remove_group(
    groups: &mut BTreeMap<Arc<str>, Group>,
    id: &Arc<str>,
    caller: Option<Caller>,
    turn: &mut Turn<'_>,
) -> Result<(), GroupError> {
    let group = groups.get(id).ok_or(GroupError::GroupIdNotFound)?;
    if group.state != GroupState::Empty {
        return Err(GroupError::NonEmptyGroup);
    }
    let mut group = groups.remove(id).ok_or(GroupError::GroupIdNotFound)?;
    group.stop(turn);
    group.pending.clear();
    turn.remove(id, Purpose::Removal(caller, Box::new(group)));
    Ok(())
}
