//! Clients, an unreliable log, a clock and leader changes, all from a seed.
//!
//! Clients mostly follow the protocol and sometimes do anything: die, come back, ask twice, ask with
//! another's words. Checked after every step: the invariants; and here: nobody waits longer than the
//! protocol allows, one member assigns per generation, generations grow, a new coordinator goes on
//! with the generation that was stored, and in the end all is silent.

use std::collections::BTreeMap;

use holdfast_base::{Rng, SplitMix64};

use super::harness::{World, settings, subscription};
use crate::{
    Caller, GroupAnswer, GroupCall, GroupError, GroupSettings, GroupState, Heartbeat, Join, Joined,
    Leave, LeavingMember, Sync,
};

/// A new member's five minutes are the longest that anyone is kept waiting here.
const WAIT_MAX_NS: u64 = 301_000_000_000;

#[derive(Default, Debug)]
struct Client {
    group: String,
    instance_id: Option<String>,
    member_id: String,
    joined: Option<Joined>,
    synced: bool,
    waits: Option<Caller>,
}

struct Run {
    world: World,
    rng: SplitMix64,
    clients: Vec<Client>,
    /// Who was told to assign, per group and generation, since the coordinator or group is new.
    assigners: BTreeMap<(String, i32), String>,
    generations: BTreeMap<String, i32>,
}

impl Run {
    fn new(seed: u64) -> Self {
        let mut rng = SplitMix64::new(seed);
        let settings = GroupSettings {
            initial_rebalance_delay_ms: if rng.chance(1, 2) { 0 } else { 3_000 },
            max_size: if rng.chance(1, 4) { 3 } else { 100 },
            ..settings()
        };
        let mut world = World::new(settings);
        world.rng = rng.split();
        Run {
            world,
            rng,
            clients: Vec::new(),
            assigners: BTreeMap::new(),
            generations: BTreeMap::new(),
        }
    }

    fn pick(&mut self) -> usize {
        let bound = self.clients.len() as u64;
        usize::try_from(self.rng.below(bound)).unwrap()
    }

    fn step(&mut self) {
        match self.rng.below(100) {
            0..=4 => self.start(),
            5..=54 => self.go_on(),
            55..=59 => self.leave(),
            60..=61 => self.die(),
            62..=63 => self.anything(),
            64..=81 => {
                let ok = self.rng.chance(9, 10);
                let applied = ok || self.rng.chance(1, 2);
                self.world.decide(applied, if ok { Ok(()) } else { Err(()) });
            }
            82..=96 => {
                let ms = [0, 1, 50, 1_000, 4_000, 20_000];
                let ms = ms[usize::try_from(self.rng.below(6)).unwrap()];
                // The log is slower than a client, but not slower than a minute.
                if ms >= 1_000 {
                    self.world.commit_all();
                }
                self.world.pass_ms(ms);
            }
            97 => self.delete(),
            98 if self.rng.chance(1, 4) => self.fail_over(),
            _ => {}
        }
        self.hear();
        let oldest = self.world.waiting.values().min().copied();
        let age = oldest.map_or(0, |since| self.world.now.boottime_ns - since);
        assert!(age <= WAIT_MAX_NS, "someone waits for {age} ns");
    }

    fn start(&mut self) {
        if self.clients.len() >= 12 {
            let at = self.pick();
            self.clients.swap_remove(at);
        }
        let group = ["a", "b"][usize::try_from(self.rng.below(2)).unwrap()];
        let instance = self.rng.chance(1, 3).then(|| format!("i{}", self.rng.below(3)));
        self.clients.push(Client {
            group: group.into(),
            instance_id: instance,
            ..Client::default()
        });
        self.join(self.clients.len() - 1);
    }

    fn join(&mut self, at: usize) {
        let topics: &[&str] = if self.rng.chance(3, 4) { &["t"] } else { &["t", "u"] };
        let mut protocols = vec![("range".to_owned(), subscription(topics))];
        if self.rng.chance(1, 2) {
            protocols.insert(0, ("sticky".to_owned(), subscription(topics)));
        }
        if self.rng.chance(1, 20) {
            protocols.push(("range".to_owned(), subscription(topics)));
        }
        let client = &self.clients[at];
        let (requires, skips) = (self.rng.chance(1, 2), self.rng.chance(1, 2));
        let join = Join {
            group: client.group.clone(),
            member_id: client.member_id.clone(),
            instance_id: client.instance_id.clone(),
            protocol_type: if self.rng.chance(1, 40) { "connect" } else { "consumer" }.into(),
            protocols,
            session_timeout_ms: 6_000 + i32::try_from(self.rng.below(9_000)).unwrap(),
            rebalance_timeout_ms: [0, 1_000, 30_000, 60_000][self.rng.below(4) as usize],
            requires_known_member: requires,
            can_skip_assignment: skips,
            client_id: "c".into(),
            client_host: "/::1".into(),
        };
        let caller = self.world.call(GroupCall::Join(join));
        self.clients[at].waits = Some(caller);
        self.clients[at].synced = false;
    }

    fn go_on(&mut self) {
        if self.clients.is_empty() {
            return;
        }
        let at = self.pick();
        let client = &self.clients[at];
        // A client that waits mostly waits; now and then its connection broke and it asks again.
        if client.waits.is_some() && !self.rng.chance(1, 30) {
            return;
        }
        match &client.joined {
            None => self.join(at),
            Some(joined) if !client.synced => {
                let members = joined.members.iter();
                let all = members.map(|one| (one.member_id.clone(), subscription(&[])));
                let sync = Sync {
                    group: client.group.clone(),
                    member_id: client.member_id.clone(),
                    instance_id: client.instance_id.clone(),
                    generation: joined.generation,
                    protocol_type: Some("consumer".into()),
                    protocol: joined.protocol.clone(),
                    assignments: all.collect(),
                };
                self.clients[at].waits = Some(self.world.call(GroupCall::Sync(sync)));
            }
            Some(joined) => {
                let beat = Heartbeat {
                    group: client.group.clone(),
                    member_id: client.member_id.clone(),
                    instance_id: client.instance_id.clone(),
                    generation: joined.generation,
                };
                if self.rng.chance(1, 20) {
                    self.join(at);
                } else {
                    self.clients[at].waits = Some(self.world.call(GroupCall::Heartbeat(beat)));
                }
            }
        }
    }

    fn leave(&mut self) {
        if self.clients.is_empty() {
            return;
        }
        let at = self.pick();
        let client = self.clients.swap_remove(at);
        let by_instance = client.instance_id.is_some() && self.rng.chance(1, 2);
        let member_id = if by_instance { String::new() } else { client.member_id };
        let members = vec![LeavingMember { member_id, instance_id: client.instance_id }];
        self.world.call(GroupCall::Leave(Leave { group: client.group, members }));
    }

    fn die(&mut self) {
        if !self.clients.is_empty() {
            let at = self.pick();
            self.clients.swap_remove(at);
        }
    }

    /// Words of several clients in one call.
    fn anything(&mut self) {
        if self.clients.is_empty() {
            return;
        }
        let (one, other) = (self.pick(), self.pick());
        let group = self.clients[one].group.clone();
        let member_id = self.clients[other].member_id.clone();
        let other = self.pick();
        let instance_id = self.clients[other].instance_id.clone();
        let generation = i32::try_from(self.rng.below(6)).unwrap() - 1;
        match self.rng.below(5) {
            0 => {
                let (now, instance) = (self.world.now, instance_id.as_deref());
                let coordinator = &mut self.world.coordinator;
                _ = coordinator.may_commit(&group, &member_id, instance, generation, now);
            }
            1 => {
                let beat = Heartbeat { group, member_id, instance_id, generation };
                self.world.call(GroupCall::Heartbeat(beat));
            }
            2 => {
                let sync = Sync { group, member_id, instance_id, generation, ..Sync::default() };
                self.world.call(GroupCall::Sync(sync));
            }
            3 => {
                let join = Join {
                    group,
                    member_id,
                    instance_id,
                    protocol_type: "consumer".into(),
                    protocols: vec![("sticky".into(), subscription(&["v"]))],
                    session_timeout_ms: 6_000,
                    rebalance_timeout_ms: -1,
                    ..Join::default()
                };
                self.world.call(GroupCall::Join(join));
            }
            _ => _ = self.world.call(GroupCall::Describe { group }),
        }
    }

    fn delete(&mut self) {
        let group = ["a", "b"][usize::try_from(self.rng.below(2)).unwrap()];
        if self.world.coordinator.state(group) == Some(GroupState::Empty) {
            self.forget(group);
        }
        if self.rng.chance(1, 2) {
            self.world.call(GroupCall::Delete { group: group.into() });
        } else {
            let mut effects = Vec::new();
            self.world.coordinator.expire(group, self.world.now, &mut effects);
            self.world.carry_out(effects);
        }
        // Else the group may be made anew, or come back, while the removal is on its way.
        if self.rng.chance(1, 2) {
            self.world.commit_all();
        }
    }

    fn forget(&mut self, group: &str) {
        self.assigners.retain(|(name, _), _| name != group);
        self.generations.remove(group);
    }

    fn fail_over(&mut self) {
        self.world.fail_over();
        for group in ["a", "b"] {
            self.forget(group);
            let stored = self.world.log.get(group);
            let known = self.world.coordinator.groups.get(group);
            assert_eq!(stored.map(|record| record.generation), known.map(|one| one.generation));
            let max = usize::try_from(self.world.settings.max_size).unwrap();
            if let (Some(stored), Some(known)) = (stored, known)
                && (1..=max).contains(&stored.members.len())
            {
                assert_eq!(known.state, GroupState::Stable);
                assert_eq!(known.leader.as_deref(), stored.leader.as_deref());
            }
        }
    }

    fn hear(&mut self) {
        for (id, group) in &self.world.coordinator.groups {
            let before = self.generations.insert(id.to_string(), group.generation);
            assert!(before.is_none_or(|before| before <= group.generation), "{id} went back");
        }
        while let Some((caller, answer)) = self.world.news.pop_front() {
            let Some(client) = self.clients.iter_mut().find(|one| one.waits == Some(caller)) else {
                continue;
            };
            client.waits = None;
            match answer {
                GroupAnswer::Join(Ok(joined)) => {
                    if joined.leader == joined.member_id && !joined.skip_assignment {
                        let key = (client.group.clone(), joined.generation);
                        let before = self.assigners.insert(key, joined.member_id.clone());
                        let same = before.is_none_or(|before| before == joined.member_id);
                        assert!(same, "one member assigns per generation");
                    }
                    client.member_id.clone_from(&joined.member_id);
                    client.joined = Some(joined);
                }
                GroupAnswer::Join(Err(GroupError::MemberIdRequired(id))) => client.member_id = id,
                GroupAnswer::Sync(Ok(_)) => client.synced = true,
                GroupAnswer::Heartbeat(Ok(())) => {}
                GroupAnswer::Join(Err(error))
                | GroupAnswer::Sync(Err(error))
                | GroupAnswer::Heartbeat(Err(error)) => {
                    client.joined = None;
                    let keeps = [GroupError::RebalanceInProgress, GroupError::IllegalGeneration];
                    if !keeps.contains(&error) {
                        client.member_id.clear();
                    }
                }
                _ => {}
            }
        }
    }

    /// Everyone is gone: whoever waits is answered, every member times out, no deadline is left.
    fn end(mut self) {
        for _ in 0..40 {
            self.world.commit_all();
            self.world.pass_ms(20_000);
        }
        assert!(self.world.waiting.is_empty());
        assert_eq!(self.world.coordinator.next_wake_ns(), u64::MAX);
        for listed in self.world.coordinator.list() {
            assert_eq!(listed.state, GroupState::Empty);
        }
    }
}

#[test]
fn whatever_clients_log_and_clock_do_each_caller_is_answered_once_and_in_time() {
    let mut stable = 0;
    let mut replaced = 0;
    for seed in 0..200 {
        println!("seed {seed}");
        let mut run = Run::new(seed);
        for _ in 0..1_500 {
            run.step();
            let groups = run.world.coordinator.groups.values();
            stable += groups.filter(|one| one.state == GroupState::Stable).count();
            let open = run.world.coordinator.writes.open.values();
            replaced += open
                .filter(|one| matches!(one.purpose, crate::turn::Purpose::Replacement(_)))
                .count();
        }
        run.end();
    }
    // The run is worth little if groups never get anywhere.
    assert!(stable > 15_000, "{stable}");
    assert!(replaced > 100, "{replaced}");
}
