//! Many groups of many members: how long until all have their assignment, and what the broker pays.
//!
//! Every member is a connection of its own, as a consumer's is; a JoinGroup parks on it. A member's
//! heartbeats are due at a phase of its own, spread evenly over the interval, and a member learns of
//! a rebalance from its next heartbeat: so a forced rebalance takes up to one interval whatever the
//! broker does. What the broker adds is told apart: from the group's last JoinGroup to its last
//! assignment.
//!
//! Invariant: a group counts as stable when all its members hold an assignment of one generation and
//! no two of them the same partition.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::net::SocketAddr;
use std::time::Duration;

use crate::client::{CLIENT_ID, Client, Failed, Result, check};
use crate::clock::{Stopwatch, nap};
use crate::crowd::connections::Connections;
use crate::crowd::member::{Doing, Member, Next};
use crate::wire::{Reader, Request};

/// Kafka's default `heartbeat.interval.ms`.
pub const HEARTBEAT_NS: u64 = 3_000_000_000;
/// How long a client waits before it asks a coordinator again (Kafka's `retry.backoff.ms`).
const RETRY_NS: u64 = 100_000_000;
/// Groups that are not stable by then will not be.
const STABLE_WAIT_NS: u64 = 120_000_000_000;
/// Requests sent between two looks at the answers.
const BURST: usize = 100;

/// How many.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Topic they subscribe to; it has a partition for each member of a group.
    pub topic: String,
    /// Start of the groups' names.
    pub prefix: String,
    /// Groups.
    pub groups: usize,
    /// Members of each.
    pub members: usize,
}

/// One rebalance of all groups.
#[derive(Debug, Default)]
pub struct Rebalanced {
    /// Until the last group was stable.
    pub all_s: f64,
    /// Per group: from its own first request to its last assignment.
    pub whole_s: Vec<f64>,
    /// Per group: from its last JoinGroup to its last assignment.
    pub broker_s: Vec<f64>,
}

#[derive(Debug, Clone, Default)]
struct Group {
    started_ns: u64,
    last_join_ns: u64,
    generation: i32,
    /// One bit per partition given out in this generation.
    assigned: u128,
    stable_ns: Option<u64>,
}

/// What happens to a member at a time.
#[derive(Debug)]
enum Due {
    Heartbeat,
    Again(Vec<u8>),
}

/// Asks for the coordinator of `group` until there is one: Kafka makes a topic for it first.
pub fn wait_for_coordinator(client: &mut Client, group: &str) -> Result<()> {
    const FIND_COORDINATOR: (i16, i16) = (10, 2);
    const COORDINATOR_NOT_AVAILABLE: i16 = 15;
    const OF_A_GROUP: i8 = 0;
    let clock = Stopwatch::start();
    loop {
        let mut request = Request::new(FIND_COORDINATOR.0, FIND_COORDINATOR.1, false, CLIENT_ID);
        request.string(group).i8(OF_A_GROUP);
        let mut answer = Reader::new(client.call(request)?, false);
        answer.i32("throttle")?;
        match answer.i16("error code")? {
            COORDINATOR_NOT_AVAILABLE if clock.ns() < STABLE_WAIT_NS => {
                nap(Duration::from_nanos(RETRY_NS));
            }
            code => return check("FindCoordinator", code),
        }
    }
}

/// The groups, connected.
pub struct Groups {
    plan: Plan,
    connections: Connections,
    members: Vec<Member>,
    groups: Vec<Group>,
    /// Per member what is due and when; a timer in the heap that differs is an old one.
    due: Vec<Option<(u64, Due)>>,
    timers: BinaryHeap<Reverse<(u64, usize)>>,
    /// Members told to start, not yet begun.
    starting: VecDeque<usize>,
    unstable: usize,
    /// Members that start leave for good.
    quitting: bool,
    gone: usize,
    heartbeats: u64,
    clock: Stopwatch,
}

impl Groups {
    /// Connects every member; none joins yet.
    pub fn connect(address: SocketAddr, plan: Plan) -> Result<Self> {
        assert!(plan.groups >= 1 && (1..=128).contains(&plan.members));
        let count = plan.groups * plan.members;
        let name = |index: usize| format!("{}-{}", plan.prefix, index / plan.members);
        Ok(Self {
            connections: Connections::open(address, count)?,
            members: (0..count).map(|index| Member::new(name(index), &plan.topic)).collect(),
            groups: vec![Group::default(); plan.groups],
            due: (0..count).map(|_| None).collect(),
            timers: BinaryHeap::new(),
            starting: VecDeque::new(),
            unstable: 0,
            quitting: false,
            gone: 0,
            heartbeats: 0,
            clock: Stopwatch::start(),
            plan,
        })
    }

    /// Everybody joins at once.
    pub fn join_all(&mut self) -> Result<Rebalanced> {
        self.rebalance((0..self.members.len()).collect())
    }

    /// The last member of every group leaves and comes back at once.
    pub fn one_of_each_leaves_and_returns(&mut self) -> Result<Rebalanced> {
        let last = self.plan.members - 1;
        self.rebalance((0..self.plan.groups).map(|group| group * (last + 1) + last).collect())
    }

    /// Only heartbeats, for `seconds`; returns how many were answered. Any rebalance is an error.
    pub fn heartbeat_for(&mut self, seconds: f64) -> Result<u64> {
        let before = self.heartbeats;
        let generations: Vec<i32> = self.groups.iter().map(|group| group.generation).collect();
        let end_ns = self.clock.ns() + (seconds * 1e9) as u64;
        while self.clock.ns() < end_ns {
            self.turn(end_ns)?;
        }
        let same = self.groups.iter().zip(generations).all(|(group, was)| group.generation == was);
        let joining = self.members.iter().any(|member| member.doing() == Doing::Joining);
        if !same || joining {
            return Err(Failed::Wrong("a group rebalanced though nobody came or went".into()));
        }
        Ok(self.heartbeats - before)
    }

    /// Everybody leaves: nothing of these groups is left to expire later.
    pub fn leave_all(mut self) -> Result<()> {
        let began_ns = self.clock.ns();
        self.quitting = true;
        self.starting = (0..self.members.len()).collect();
        while self.gone < self.members.len() {
            self.turn(u64::MAX)?;
            if self.clock.ns() - began_ns > STABLE_WAIT_NS {
                return Err(Failed::Wrong(format!("only {} members have left", self.gone)));
            }
        }
        Ok(())
    }

    fn rebalance(&mut self, starting: VecDeque<usize>) -> Result<Rebalanced> {
        let began_ns = self.clock.ns();
        for group in &mut self.groups {
            *group = Group { generation: group.generation, ..Group::default() };
        }
        self.unstable = self.groups.len();
        self.starting = starting;
        while self.unstable > 0 {
            self.turn(u64::MAX)?;
            if self.clock.ns() - began_ns > STABLE_WAIT_NS {
                let (stable, all) = (self.groups.len() - self.unstable, self.groups.len());
                let wait_s = STABLE_WAIT_NS / 1_000_000_000;
                return Err(Failed::Wrong(format!(
                    "{stable} of {all} groups are stable after {wait_s} s"
                )));
            }
        }
        let mut rebalanced = Rebalanced::default();
        for group in &self.groups {
            let stable_ns = group.stable_ns.unwrap_or(u64::MAX);
            rebalanced.whole_s.push((stable_ns - group.started_ns) as f64 / 1e9);
            rebalanced.broker_s.push((stable_ns - group.last_join_ns) as f64 / 1e9);
            rebalanced.all_s = rebalanced.all_s.max((stable_ns - began_ns) as f64 / 1e9);
        }
        Ok(rebalanced)
    }

    /// Starts some members, fires what is due, takes what has come.
    fn turn(&mut self, until_ns: u64) -> Result<()> {
        self.start()?;
        let now_ns = self.clock.ns();
        while let Some(&Reverse((at_ns, index))) = self.timers.peek()
            && at_ns <= now_ns
        {
            self.timers.pop();
            if self.due[index].as_ref().is_some_and(|(due_ns, _)| *due_ns == at_ns) {
                let due = self.due[index].take();
                self.fire(index, due.map(|(_, due)| due))?;
            }
        }
        let next_ns = self.timers.peek().map_or(u64::MAX, |Reverse((at_ns, _))| *at_ns);
        let wait_ns = match self.starting.is_empty() {
            true => next_ns.min(until_ns).saturating_sub(self.clock.ns()),
            false => 0,
        };
        let mut ready = Vec::new();
        self.connections.wait(wait_ns, &mut ready)?;
        for index in ready {
            let group = index / self.plan.members;
            let next =
                self.members[index].heard(self.connections.answer(index)).map_err(|error| {
                    Failed::Wrong(format!("member {index} of group {group}: {error}"))
                })?;
            self.follow(index, next)?;
        }
        Ok(())
    }

    /// Begins with the next few members; one that waits for an answer gets its turn later.
    fn start(&mut self) -> Result<()> {
        for _ in 0..self.starting.len().min(BURST) {
            let Some(index) = self.starting.pop_front() else { break };
            if self.connections.is_open(index) {
                self.starting.push_back(index);
                continue;
            }
            let frame = match self.members[index].doing() {
                Doing::Away => self.members[index].join(),
                _ if self.quitting => self.members[index].quit(),
                _ => self.members[index].leave(),
            };
            self.due[index] = None;
            let now_ns = self.clock.ns();
            let group = &mut self.groups[index / self.plan.members];
            if group.started_ns == 0 {
                group.started_ns = now_ns;
            }
            self.send(index, frame)?;
        }
        Ok(())
    }

    fn fire(&mut self, index: usize, due: Option<Due>) -> Result<()> {
        match due {
            Some(Due::Heartbeat) => {
                let frame = self.members[index].heartbeat();
                self.send(index, frame)
            }
            Some(Due::Again(frame)) => self.send(index, frame),
            None => Ok(()),
        }
    }

    fn follow(&mut self, index: usize, next: Next) -> Result<()> {
        let now_ns = self.clock.ns();
        match next {
            Next::Send(frame) => return self.send(index, frame),
            Next::SendLater(frame) => self.later(index, now_ns + RETRY_NS, Due::Again(frame)),
            Next::Synced { generation, partition } => {
                self.beat_later(index, now_ns);
                let members = self.plan.members;
                let group = &mut self.groups[index / members];
                if group.assign(generation, partition, members, now_ns)? {
                    self.unstable = self.unstable.saturating_sub(1);
                }
            }
            Next::Gone => self.gone += 1,
            Next::Alive => {
                self.heartbeats += 1;
                self.beat_later(index, now_ns);
            }
        }
        Ok(())
    }

    fn send(&mut self, index: usize, frame: Vec<u8>) -> Result<()> {
        if self.members[index].doing() == Doing::Joining {
            self.groups[index / self.plan.members].last_join_ns = self.clock.ns();
        }
        self.connections.send(index, frame)
    }

    fn beat_later(&mut self, index: usize, now_ns: u64) {
        let phase_ns = phase_ns(index, self.groups.len(), self.plan.members);
        self.later(index, next_beat_ns(now_ns, phase_ns), Due::Heartbeat);
    }

    fn later(&mut self, index: usize, at_ns: u64, due: Due) {
        self.due[index] = Some((at_ns, due));
        self.timers.push(Reverse((at_ns, index)));
    }
}

impl Group {
    /// Counts one assignment; true when it was the group's last.
    fn assign(
        &mut self,
        generation: i32,
        partition: i32,
        members: usize,
        now_ns: u64,
    ) -> Result<bool> {
        if generation > self.generation {
            self.generation = generation;
            self.assigned = 0;
        }
        let bit = u32::try_from(partition).ok().filter(|bit| (*bit as usize) < members);
        let bit = bit.map(|bit| 1u128 << bit).filter(|bit| self.assigned & bit == 0);
        let (Some(bit), true) = (bit, generation == self.generation) else {
            return Err(Failed::Wrong(format!(
                "partition {partition} was given out twice or in an old generation ({generation}, \
                 the group is at {})",
                self.generation
            )));
        };
        self.assigned |= bit;
        let stable = self.assigned.count_ones() as usize == members;
        if stable {
            self.stable_ns = Some(now_ns);
        }
        Ok(stable)
    }
}

/// Where in a heartbeat interval a member's heartbeats stand: the members of one group are spread
/// over the whole interval, as those of consumers that started at different times are.
fn phase_ns(index: usize, groups: usize, members: usize) -> u64 {
    let place = index % members * groups + index / members;
    HEARTBEAT_NS * place as u64 / (groups * members) as u64
}

/// The first moment after `now_ns` at `phase_ns` of a heartbeat interval.
fn next_beat_ns(now_ns: u64, phase_ns: u64) -> u64 {
    let whole = now_ns.saturating_sub(phase_ns) / HEARTBEAT_NS;
    let at_ns = whole * HEARTBEAT_NS + phase_ns;
    if at_ns > now_ns { at_ns } else { at_ns + HEARTBEAT_NS }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_is_stable_with_its_last_assignment_of_one_generation() {
        let mut group = Group::default();
        assert!(!group.assign(1, 0, 2, 10).unwrap());
        assert!(!group.assign(2, 1, 2, 20).unwrap(), "a new generation starts over");
        assert!(group.assign(2, 0, 2, 30).unwrap());
        assert_eq!(group.stable_ns, Some(30));
    }

    #[test]
    fn a_partition_given_out_twice_or_late_ends_the_run() {
        let mut group = Group::default();
        group.assign(2, 0, 3, 10).unwrap();
        assert!(group.assign(2, 0, 3, 20).is_err(), "twice");
        assert!(group.assign(1, 1, 3, 20).is_err(), "of an old generation");
        assert!(group.assign(2, 3, 3, 20).is_err(), "a partition nobody has");
    }

    #[test]
    fn members_beat_spread_over_the_interval_each_at_another_time() {
        let of_one_group: Vec<_> = (0..3).map(|index| phase_ns(index, 4, 3)).collect();
        assert_eq!(of_one_group, [0, HEARTBEAT_NS / 3, 2 * HEARTBEAT_NS / 3]);
        let mut all: Vec<_> = (0..12).map(|index| phase_ns(index, 4, 3)).collect();
        all.sort_unstable();
        assert!(all.windows(2).all(|pair| pair[1] - pair[0] == HEARTBEAT_NS / 12), "{all:?}");
    }

    #[test]
    fn heartbeats_keep_their_phase_and_are_never_due_at_once() {
        let second = 1_000_000_000;
        assert_eq!(next_beat_ns(0, second), second);
        assert_eq!(next_beat_ns(second, second), 4 * second);
        assert_eq!(next_beat_ns(9 * second + 1, 0), 12 * second);
    }
}
