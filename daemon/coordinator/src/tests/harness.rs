//! A lane, a log and a clock around one coordinator.
//!
//! Invariant: a caller that is answered twice, or without having asked, fails the test at once.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;
use holdfast_base::{Now, SplitMix64};
use holdfast_log::GroupRecord;

use super::invariants;
use crate::{
    Caller, Coordinator, Effect, GroupAnswer, GroupCall, GroupError, GroupSettings, Heartbeat,
    Join, Joined, Leave, LeavingMember, Sync, Synced, WriteId,
};

pub(super) const GROUP: &str = "readers";

pub(super) struct World {
    pub(super) coordinator: Coordinator,
    pub(super) settings: GroupSettings,
    pub(super) now: Now,
    pub(super) rng: SplitMix64,
    next_caller: u64,
    /// When each caller asked that is not answered yet.
    pub(super) waiting: BTreeMap<Caller, u64>,
    answers: BTreeMap<Caller, GroupAnswer>,
    /// Answers in order, for those who follow all of them.
    pub(super) news: VecDeque<(Caller, GroupAnswer)>,
    /// Writes proposed and not decided, in order.
    pub(super) proposed: VecDeque<(WriteId, String, Option<GroupRecord>)>,
    pub(super) log: BTreeMap<String, GroupRecord>,
}

pub(super) fn settings() -> GroupSettings {
    GroupSettings { initial_rebalance_delay_ms: 0, ..GroupSettings::default() }
}

impl World {
    pub(super) fn new(settings: GroupSettings) -> Self {
        let now = Now { boottime_ns: 1_000_000_000, wall_ms: 0 };
        World {
            coordinator: Coordinator::load(settings.clone(), std::iter::empty(), now),
            settings,
            now,
            rng: SplitMix64::new(7),
            next_caller: 0,
            waiting: BTreeMap::new(),
            answers: BTreeMap::new(),
            news: VecDeque::new(),
            proposed: VecDeque::new(),
            log: BTreeMap::new(),
        }
    }

    pub(super) fn call(&mut self, call: GroupCall) -> Caller {
        let caller = Caller(self.next_caller);
        self.next_caller += 1;
        self.waiting.insert(caller, self.now.boottime_ns);
        let mut effects = Vec::new();
        self.coordinator.call(caller, call, &mut self.rng, self.now, &mut effects);
        self.carry_out(effects);
        caller
    }

    pub(super) fn carry_out(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::Store { write, group, record } => {
                    self.proposed.push_back((write, group, Some(record)));
                }
                Effect::Remove { write, group } => self.proposed.push_back((write, group, None)),
                Effect::Answer(caller, answer) => {
                    assert!(self.waiting.remove(&caller).is_some(), "{caller:?} did not wait");
                    self.answers.insert(caller, answer.clone());
                    self.news.push_back((caller, answer));
                }
            }
        }
        invariants::check(&self.coordinator, &self.log);
    }

    /// The oldest write is decided: whether it reached the log, and what the coordinator hears.
    pub(super) fn decide(&mut self, applied: bool, result: Result<(), ()>) {
        let Some((write, group, record)) = self.proposed.pop_front() else { return };
        match record {
            _ if !applied => {}
            Some(record) => _ = self.log.insert(group, record),
            None => _ = self.log.remove(&group),
        }
        let mut effects = Vec::new();
        self.coordinator.stored(write, result, self.now, &mut effects);
        self.carry_out(effects);
    }

    pub(super) fn commit_all(&mut self) {
        while !self.proposed.is_empty() {
            self.decide(true, Ok(()));
        }
    }

    /// Time passes; whatever is due on the way happens at its time.
    pub(super) fn pass_ms(&mut self, ms: u64) {
        let end = self.now.boottime_ns + ms * 1_000_000;
        loop {
            let wake = self.coordinator.next_wake_ns();
            self.now.boottime_ns = wake.clamp(self.now.boottime_ns, end);
            let mut effects = Vec::new();
            self.coordinator.tick(self.now, &mut effects);
            self.carry_out(effects);
            if self.now.boottime_ns >= end && self.coordinator.next_wake_ns() > end {
                return;
            }
        }
    }

    /// Another node leads: this coordinator ends, and one that read the log begins.
    pub(super) fn fail_over(&mut self) {
        let mut effects = Vec::new();
        self.coordinator.stop(self.now, &mut effects);
        self.carry_out(effects);
        assert!(self.waiting.is_empty(), "stop leaves nobody waiting");
        assert_eq!(self.coordinator.next_wake_ns(), u64::MAX, "stop leaves no deadline");
        self.proposed.clear();
        let rows = self.log.iter().map(|(group, record)| (group.as_str(), record));
        self.coordinator = Coordinator::load(self.settings.clone(), rows, self.now);
        invariants::check(&self.coordinator, &self.log);
    }

    // ── a client's view ──

    pub(super) fn waits(&self, caller: Caller) -> bool {
        self.waiting.contains_key(&caller)
    }

    fn answer(&self, caller: Caller) -> GroupAnswer {
        self.answers.get(&caller).expect("answered by now").clone()
    }

    pub(super) fn joined(&self, caller: Caller) -> Result<Joined, GroupError> {
        let GroupAnswer::Join(answer) = self.answer(caller) else { panic!("not a join") };
        answer
    }

    pub(super) fn synced(&self, caller: Caller) -> Result<Synced, GroupError> {
        let GroupAnswer::Sync(answer) = self.answer(caller) else { panic!("not a sync") };
        answer
    }

    pub(super) fn left(&self, caller: Caller) -> Result<Vec<Result<(), GroupError>>, GroupError> {
        let GroupAnswer::Leave(answer) = self.answer(caller) else { panic!("not a leave") };
        answer
    }

    pub(super) fn deleted(&self, caller: Caller) -> Result<(), GroupError> {
        let GroupAnswer::Delete(answer) = self.answer(caller) else { panic!("not a delete") };
        answer
    }

    pub(super) fn join(&mut self, join: Join) -> Caller {
        self.call(GroupCall::Join(join))
    }

    pub(super) fn sync(&mut self, of: &Joined, assignments: &[(&str, &str)]) -> Caller {
        let assignments = assignments.iter().map(|(id, given)| {
            let given = Bytes::copy_from_slice(given.as_bytes());
            ((*id).to_owned(), given)
        });
        self.call(GroupCall::Sync(Sync {
            group: GROUP.into(),
            member_id: of.member_id.clone(),
            generation: of.generation,
            assignments: assignments.collect(),
            ..Sync::default()
        }))
    }

    pub(super) fn heartbeat(&mut self, member_id: &str, generation: i32) -> Result<(), GroupError> {
        let caller = self.call(GroupCall::Heartbeat(Heartbeat {
            group: GROUP.into(),
            member_id: member_id.into(),
            instance_id: None,
            generation,
        }));
        let GroupAnswer::Heartbeat(answer) = self.answer(caller) else { panic!("not a heartbeat") };
        answer
    }

    pub(super) fn leave(&mut self, member_id: &str, instance_id: Option<&str>) -> Caller {
        let instance_id = instance_id.map(str::to_owned);
        let members = vec![LeavingMember { member_id: member_id.into(), instance_id }];
        self.call(GroupCall::Leave(Leave { group: GROUP.into(), members }))
    }

    pub(super) fn describe(&mut self) -> Result<crate::Description, GroupError> {
        let caller = self.call(GroupCall::Describe { group: GROUP.into() });
        let GroupAnswer::Describe(answer) = self.answer(caller) else { panic!("not a describe") };
        answer
    }

    /// A stable group of so many dynamic members; the first is the leader.
    pub(super) fn stable(&mut self, members: usize) -> Vec<Joined> {
        let joins: Vec<_> = (0..members).map(|_| self.join(consumer())).collect();
        self.pass_ms(0);
        let joined: Vec<_> = joins.iter().map(|join| self.joined(*join).unwrap()).collect();
        self.assign(joined)
    }

    /// All sync, the leader first among those told; everyone is given its own id.
    pub(super) fn assign(&mut self, mut joined: Vec<Joined>) -> Vec<Joined> {
        joined.sort_by_key(|one| one.leader != one.member_id);
        let ids: Vec<_> = joined.iter().map(|one| one.member_id.clone()).collect();
        let all: Vec<_> = ids.iter().map(|id| (id.as_str(), id.as_str())).collect();
        let syncs: Vec<_> = joined.iter().map(|one| self.sync(one, &all)).collect();
        self.commit_all();
        for (sync, id) in syncs.into_iter().zip(&ids) {
            assert_eq!(self.synced(sync).unwrap().assignment, id.as_bytes());
        }
        joined
    }
}

/// Metadata of a consumer of these topics.
pub(super) fn subscription(topics: &[&str]) -> Bytes {
    let mut bytes = vec![0, 0];
    bytes.extend(i32::try_from(topics.len()).unwrap().to_be_bytes());
    for topic in topics {
        bytes.extend(i16::try_from(topic.len()).unwrap().to_be_bytes());
        bytes.extend(topic.as_bytes());
    }
    bytes.extend((-1_i32).to_be_bytes());
    bytes.into()
}

/// JoinGroup version 3 of a new consumer.
pub(super) fn consumer() -> Join {
    Join {
        group: GROUP.into(),
        protocol_type: "consumer".into(),
        protocols: vec![("range".into(), subscription(&["orders"]))],
        session_timeout_ms: 10_000,
        rebalance_timeout_ms: 60_000,
        client_id: "app".into(),
        client_host: "/127.0.0.1".into(),
        ..Join::default()
    }
}

/// JoinGroup version 9 of a static consumer that has just started.
pub(super) fn static_consumer(instance: &str) -> Join {
    Join { instance_id: Some(instance.into()), can_skip_assignment: true, ..consumer() }
}

/// The same member once more.
pub(super) fn again(member_id: &str) -> Join {
    Join { member_id: member_id.into(), ..consumer() }
}
