//! What a member makes of answers, of refusals, and of none.

use holdfast_base::Rng;
use holdfast_checker::{Committed, Kind, Op, SyncGroup};
use holdfast_lane::{
    Answer, FetchedPartition, FoundOffset, GroupAnswer, GroupError, GroupState, Joined, Reason,
    Ticket,
};

use super::{Asked, Examined, MILLIS, Member, Open, Phase};
use crate::reader::{bytes_of, end_of};
use crate::states::State;
use crate::world::{Ended, World};

impl Member {
    /// One of its calls to a node has ended.
    pub(crate) fn ended(&mut self, ticket: Ticket, node: usize, ended: Ended, world: &mut World) {
        let is_it = |open: &mut Open| open.ticket == ticket;
        let taken = self.trying.take_if(is_it).or_else(|| self.beat.take_if(is_it));
        let Some(open) = taken else { return };
        match ended {
            Ended::Broken => self.unknown(&open, world),
            Ended::Answered(Answer::Group(answer)) => self.group_answer(&open, answer, world),
            Ended::Answered(Answer::CommitOffsets(result)) => {
                self.committed(&open, node, result, world);
            }
            Ended::Answered(Answer::FetchOffsets(result)) => match result {
                Ok(rows) => self.offsets(&open, node, &rows, world),
                Err(error) => self.refused(&open, &error, world),
            },
            Ended::Answered(Answer::Fetch(mut parts)) => match (parts.pop(), &open.asked) {
                (Some(Ok(fetched)), Asked::Records(place)) => {
                    self.records(*place, node, &fetched, world);
                }
                (Some(Err(refusal)), Asked::Records(place))
                    if refusal.reason == Reason::OffsetOutOfRange =>
                {
                    self.seek_to_start(*place, world);
                }
                _ => {}
            },
            Ended::Answered(Answer::ListOffsets(mut parts)) => {
                if let (Some(Ok(answer)), Asked::Earliest(place)) = (parts.pop(), &open.asked)
                    && let FoundOffset::Offset { offset, .. } = answer.found
                    && let Some(position) = self.positions.get_mut(place)
                {
                    *position = offset.max(*position);
                }
            }
            Ended::Answered(_) => {
                world.broken.push("a group's call is answered as another".to_owned());
            }
        }
    }

    /// Nobody answers in time.
    pub(super) fn time_out(&mut self, open: Option<Open>, world: &mut World) {
        let Some(open) = open else { return };
        world.give_up(open.ticket);
        if open.is_owed && !matches!(open.asked, Asked::Records(_) | Asked::Earliest(_)) {
            world.broken.push(format!(
                "group-call-hangs: n{} did not answer {:?} of {} after all faults had ended",
                open.node + 1,
                open.asked,
                self.line()
            ));
        }
        self.unknown(&open, world);
    }

    /// It may have happened.
    fn unknown(&mut self, open: &Open, world: &mut World) {
        self.tell(open, Kind::Info, world);
        match open.asked {
            Asked::Records(_) | Asked::Earliest(_) => return,
            Asked::Commit { .. } => world.states.reach(State::CommitFateUnknown),
            Asked::Leave => self.left(world),
            // A leader's plan may be lost with the answer, and its members' list is used up.
            Asked::Sync(_) => self.go_away(world),
            _ => {}
        }
        if open.node == self.coordinator {
            self.next_node();
        }
    }

    fn left(&mut self, world: &mut World) {
        self.member_id.clear();
        self.silent_until_ns = world.now_ns + self.rng.below(1_500 * MILLIS);
        self.go_away(world);
    }

    fn group_answer(&mut self, open: &Open, answer: GroupAnswer, world: &mut World) {
        match answer {
            GroupAnswer::Join(Ok(joined)) => self.joined(open, joined, world),
            GroupAnswer::Sync(Ok(synced)) => {
                let Asked::Sync(told) = &open.asked else { return };
                let assignment = String::from_utf8_lossy(&synced.assignment).into_owned();
                self.synced(open, told.clone(), assignment, world);
            }
            GroupAnswer::Heartbeat(Ok(())) => {
                self.beats_ok += 1;
                if open.generation == self.generation && open.node != self.synced_by {
                    world.states.reach(State::CoordinatorMoved);
                }
            }
            GroupAnswer::Leave(Ok(_)) => {
                world.states.reach(State::MemberLeft);
                self.left(world);
            }
            GroupAnswer::Describe(Ok(description)) => {
                if description.state == GroupState::Stable {
                    self.examined = Examined::Stable;
                }
            }
            GroupAnswer::Delete(_) => {
                world.broken.push("a group's call is answered as another".to_owned());
            }
            GroupAnswer::Join(Err(error))
            | GroupAnswer::Sync(Err(error))
            | GroupAnswer::Heartbeat(Err(error))
            | GroupAnswer::Leave(Err(error))
            | GroupAnswer::Describe(Err(error)) => self.refused(open, &error, world),
        }
    }

    fn joined(&mut self, open: &Open, joined: Joined, world: &mut World) {
        self.member_id = joined.member_id;
        self.generation = joined.generation;
        let told = self.joining(joined.generation);
        world.tell(self.process(), open.call, Kind::Ok, Op::JoinGroup(told));
        if self.restarted_in.take() == Some(joined.generation) {
            world.states.reach(State::StaticMemberReplaced);
        }
        if joined.leader == self.member_id && !joined.members.is_empty() {
            let now: Vec<String> =
                joined.members.iter().map(|member| member.member_id.clone()).collect();
            let before = world.groups.assigned.insert(self.plan.group.clone(), now.clone());
            let died = before
                .into_iter()
                .flatten()
                .any(|member| !now.contains(&member) && world.groups.silent.contains(&member));
            if died {
                world.states.reach(State::MemberDied);
            }
        }
        let assigns = joined.leader == self.member_id && !joined.skip_assignment;
        self.to_assign = if assigns { joined.members } else { Vec::new() };
        self.phase = Phase::Syncing;
    }

    fn synced(&mut self, open: &Open, told: SyncGroup, assignment: String, world: &mut World) {
        self.positions.clear();
        self.committed.clear();
        let part = assignment.split_once('|').map_or("", |(_, part)| part);
        for place in part.split(',').filter_map(|place| place.parse::<usize>().ok()) {
            self.positions.insert(place, 0);
        }
        let told = SyncGroup { plan: Vec::new(), assignment, ..told };
        world.tell(self.process(), open.call, Kind::Ok, Op::SyncGroup(told));
        self.synced_by = open.node;
        self.coordinator = open.node;
        self.next_beat_ns = world.now_ns;
        self.late_commit = self.rng.chance(1, 4);
        self.phase = Phase::Offsets;
    }

    fn offsets(
        &mut self,
        open: &Open,
        node: usize,
        rows: &[(holdfast_base::PartitionKey, holdfast_lane::OffsetRow)],
        world: &mut World,
    ) {
        let Asked::Offsets(told) = &open.asked else { return };
        let mut told = told.clone();
        let starts = self.phase == Phase::Offsets;
        for (key, row) in rows {
            let place = self.plan.targets.iter().position(|target| target.key == *key);
            let Some(place) = place else {
                world.broken.push(format!("invented-commit: {}: of {key:?}", self.plan.group));
                continue;
            };
            let value = row.metadata.parse().unwrap_or(0);
            if world.groups.acked_by.get(&value).is_some_and(|by| *by != node) {
                world.states.reach(State::OffsetFromNewLeader);
            }
            if starts && let Some(position) = self.positions.get_mut(&place) {
                *position = row.offset;
                self.committed.insert(place, row.offset);
            }
            let partition = self.plan.targets[place].name.clone();
            told.offsets.push(Committed { partition, offset: row.offset, value });
        }
        world.tell(self.process(), open.call, Kind::Ok, Op::FetchOffsets(told));
        if starts {
            self.phase = Phase::In;
        }
        if self.examined == Examined::Stable {
            self.examined = Examined::Done;
        }
    }

    fn committed(
        &mut self,
        open: &Open,
        node: usize,
        result: Result<Vec<Result<(), GroupError>>, GroupError>,
        world: &mut World,
    ) {
        let Asked::Commit { commit, places, is_late } = &open.asked else { return };
        let error = match result {
            Ok(parts) => parts.into_iter().find_map(Result::err),
            Err(error) => Some(error),
        };
        let Some(error) = error else {
            self.tell(open, Kind::Ok, world);
            world.groups.acked_by.insert(commit.value, node);
            if !is_late && open.generation == self.generation {
                self.committed.extend(places.iter().copied());
            }
            return;
        };
        if error == GroupError::IllegalGeneration {
            world.states.reach(State::CommitRefusedByGeneration);
        }
        if *is_late && error != GroupError::CoordinatorNotAvailable {
            self.tell(open, Kind::Fail, world);
            return;
        }
        self.refused(open, &error, world);
    }

    fn records(
        &mut self,
        place: usize,
        node: usize,
        fetched: &FetchedPartition,
        world: &mut World,
    ) {
        let Some(position) = self.positions.get_mut(&place) else { return };
        for slice in &fetched.records {
            // What cannot be read is a reader's to judge.
            let Some(bytes) = bytes_of(node, slice, world) else { return };
            let Some(end) = end_of(&bytes) else { return };
            *position = end.max(*position);
        }
    }

    fn refused(&mut self, open: &Open, error: &GroupError, world: &mut World) {
        let kind = match error {
            GroupError::CoordinatorNotAvailable => Kind::Info,
            _ => Kind::Fail,
        };
        self.tell(open, kind, world);
        if open.generation != self.generation {
            return;
        }
        // A leader's plan is used up; the rest of the group waits for it to come again.
        if matches!(open.asked, Asked::Sync(_)) {
            self.go_away(world);
        }
        match error {
            GroupError::NotCoordinator => {
                if open.node == self.coordinator {
                    self.next_node();
                }
            }
            GroupError::LoadInProgress => {
                world.states.reach(State::CoordinatorLoading);
                if self.rng.chance(1, 3) {
                    self.next_node();
                }
            }
            GroupError::CoordinatorNotAvailable => {
                if matches!(open.asked, Asked::Commit { .. }) {
                    world.states.reach(State::CommitFateUnknown);
                }
                if self.rng.chance(1, 3) {
                    self.next_node();
                }
            }
            GroupError::MemberIdRequired(id) => self.member_id.clone_from(id),
            GroupError::RebalanceInProgress => match open.asked {
                Asked::Beat => self.must_rejoin = true,
                _ => self.go_away(world),
            },
            GroupError::IllegalGeneration => self.go_away(world),
            GroupError::UnknownMember | GroupError::FencedInstance => {
                self.member_id.clear();
                self.go_away(world);
            }
            GroupError::GroupIdNotFound => {}
            other => world.broken.push(format!(
                "group-refused: a good call is refused with {other:?}: {:?} of {}",
                open.asked,
                self.line()
            )),
        }
        if matches!(open.asked, Asked::Leave) && self.phase != Phase::Away {
            self.left(world);
        }
    }
}
