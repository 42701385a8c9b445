//! Three nodes, each shard with a voter on each: what a change of leadership does to groups.

use std::collections::{BTreeMap, BTreeSet};

use holdfast_base::{
    ClusterId, CoordinatorSlot, LaneId, NodeId, Now, PartitionKey, ShardId, TopicId,
};
use holdfast_consensus::PeerMessage;
use holdfast_io::{SimDevice, SimDisk, SimFaults};
use holdfast_lane::{
    Answer, CreateTopic, FetchOffsets, Founding, GroupAnswer, GroupCall, GroupError, Joined, Lane,
    LaneConfig, ListOffsetsPartition, NodeFacts, OffsetQuery, PlantedBugs, Reason, Request, Ticket,
};
use holdfast_wal::WalConfig;

use crate::groups::{commit, heartbeat, join, sync};
use crate::node::origin;

struct Member {
    device: SimDevice,
    lane: Lane<SimDisk>,
    answers: Vec<(Ticket, Answer)>,
}

/// Nodes that share a clock and a network without delay.
struct Cluster {
    members: Vec<Member>,
    founding: Founding,
    now: Now,
    next_ticket: u64,
    /// Nodes nobody hears and that hear nobody.
    cut_off: BTreeSet<usize>,
}

impl Cluster {
    fn found() -> Cluster {
        let cluster = ClusterId([7; 16]);
        let nodes: Vec<NodeId> = (1..=3).map(NodeId).collect();
        let founding = Founding { cluster, nodes: nodes.clone(), data_shards: 3 };
        let now = Now { boottime_ns: 1, wall_ms: 1_700_000_000_000 };
        let start = |node: &NodeId| {
            let capacity_bytes = 64 << 20;
            let config = LaneConfig {
                node: *node,
                wal: WalConfig::new(cluster, *node, LaneId(0), capacity_bytes),
                founding: founding.clone(),
                listeners: Vec::new(),
                tail_cache_bytes: 4 << 20,
                facts: NodeFacts { node: *node, ..NodeFacts::default() },
                store: None,
                seed: u64::from(node.0),
                planted: PlantedBugs::default(),
            };
            let seed = u64::from(node.0);
            let device = SimDevice::new(seed, 4 * capacity_bytes, SimFaults::default());
            Lane::format(&mut device.open().unwrap(), &config).unwrap();
            let lane = Lane::open(device.open().unwrap(), config, BTreeMap::new(), now).unwrap();
            Member { device, lane, answers: Vec::new() }
        };
        let members = nodes.iter().map(start).collect();
        let mut cluster =
            Cluster { members, founding, now, next_ticket: 0, cut_off: BTreeSet::new() };
        cluster.run_ms(8_000);
        cluster
    }

    fn step(&mut self) {
        let now = self.now;
        let mut messages: Vec<(usize, PeerMessage)> = Vec::new();
        for (place, member) in self.members.iter_mut().enumerate() {
            member.device.advance(now.boottime_ns);
            member.lane.turn(now);
            let mut sent = Vec::new();
            member.lane.take_messages(&mut sent);
            messages.extend(sent.into_iter().map(|message| (place, message)));
            member.lane.take_answers(&mut member.answers);
        }
        for (from, message) in messages {
            let to = self.founding.node_of(message.shard, message.to).unwrap().0 as usize - 1;
            if !self.cut_off.contains(&from) && !self.cut_off.contains(&to) {
                self.members[to].lane.step(message, now);
            }
        }
        // A grid of half a millisecond: coarse, but the same for everyone.
        self.now.boottime_ns += 500_000;
        self.now.wall_ms = 1_700_000_000_000 + (self.now.boottime_ns / 1_000_000) as i64;
    }

    fn run_ms(&mut self, ms: u64) {
        let end_ns = self.now.boottime_ns + ms * 1_000_000;
        while self.now.boottime_ns < end_ns {
            self.step();
        }
    }

    fn submit(&mut self, place: usize, request: Request) -> Ticket {
        self.next_ticket += 1;
        let ticket = Ticket(self.next_ticket);
        self.members[place].lane.handle(ticket, request, self.now);
        ticket
    }

    fn wait_for(&mut self, place: usize, ticket: Ticket) -> Answer {
        for _ in 0..60_000 {
            let answers = &mut self.members[place].answers;
            if let Some(at) = answers.iter().position(|(of, _)| *of == ticket) {
                return answers.swap_remove(at).1;
            }
            self.step();
        }
        panic!("{ticket:?} was never answered");
    }

    fn ask(&mut self, place: usize, request: Request) -> Answer {
        let ticket = self.submit(place, request);
        self.wait_for(place, ticket)
    }

    fn call(&mut self, place: usize, call: GroupCall) -> GroupAnswer {
        match self.ask(place, Request::Group(call)) {
            Answer::Group(answer) => answer,
            other => panic!("{other:?}"),
        }
    }

    /// Who coordinates the group, as the other nodes would tell a client.
    fn coordinator(&mut self, group: &str) -> usize {
        for _ in 0..60_000 {
            let describe = || GroupCall::Describe { group: group.to_owned() };
            for place in 0..self.members.len() {
                let refused = matches!(
                    self.call(place, describe()),
                    GroupAnswer::Describe(Err(GroupError::NotCoordinator
                        | GroupError::LoadInProgress
                        | GroupError::CoordinatorNotAvailable))
                );
                if !refused {
                    return place;
                }
            }
            self.step();
        }
        panic!("nobody coordinates {group}");
    }

    /// A topic, and who leads shard 0.
    fn create(&mut self, name: &str) -> (usize, TopicId) {
        for place in (0..self.members.len()).cycle().take(3_000) {
            let topic = CreateTopic {
                name: name.to_owned(),
                partitions: 1,
                replication_factor: -1,
                assignment: Vec::new(),
                configs: Vec::new(),
                validate_only: false,
            };
            let answer = self.ask(place, Request::CreateTopics(vec![topic], origin()));
            let Answer::CreateTopics(mut results) = answer else { panic!("{answer:?}") };
            if let Ok(created) = results.remove(0) {
                return (place, created.id);
            }
            self.step();
        }
        panic!("no node creates {name}");
    }

    fn shard_of(&self, partition: PartitionKey) -> ShardId {
        let image = self.members[0].lane.metadata().unwrap().image();
        let topic = image.topic_by_id(partition.topic).unwrap();
        image.shard_of(topic, partition.partition).unwrap().0
    }

    fn slots_of(&self, shard: ShardId) -> Vec<CoordinatorSlot> {
        let image = self.members[0].lane.metadata().unwrap().image();
        let here =
            |slot: &CoordinatorSlot| image.shard_of_slot(*slot).is_some_and(|at| at.0 == shard);
        (0..CoordinatorSlot::COUNT).map(CoordinatorSlot).filter(here).collect()
    }

    /// Who answers for the partition.
    fn leader_of(&mut self, partition: PartitionKey) -> usize {
        for place in (0..self.members.len()).cycle().take(60_000) {
            let Answer::ListOffsets(found) = self.ask(place, latest(partition)) else {
                panic!("no offsets")
            };
            if found[0].is_ok() {
                return place;
            }
            self.step();
        }
        panic!("nobody leads {partition}");
    }

    fn become_leader(&mut self, place: usize, group: &str) -> Joined {
        let GroupAnswer::Join(Ok(joined)) = self.call(place, join(group, "", &["orders"])) else {
            panic!("not joined")
        };
        let synced = self.call(place, sync(group, &joined));
        assert!(matches!(synced, GroupAnswer::Sync(Ok(_))), "{synced:?}");
        joined
    }
}

fn latest(partition: PartitionKey) -> Request {
    let query = OffsetQuery::Latest;
    Request::ListOffsets(vec![ListOffsetsPartition { partition, query, current_leader_epoch: -1 }])
}

#[test]
fn another_node_takes_over_the_group_with_its_members_and_offsets() {
    let mut cluster = Cluster::found();
    let (_, topic) = cluster.create("orders");
    let partition = PartitionKey { topic, partition: 0 };
    let old = cluster.coordinator("billing");
    let member = cluster.become_leader(old, "billing");
    let answer = cluster.ask(old, commit("billing", Some(&member), &[(partition, 7)]));
    assert!(matches!(answer, Answer::CommitOffsets(Ok(_))), "{answer:?}");
    // Somebody joins while the only member is busy: it waits, and its coordinator is cut off.
    let waiting = cluster.submit(old, Request::Group(join("billing", "", &["orders"])));
    cluster.run_ms(100);
    cluster.cut_off.insert(old);
    cluster.run_ms(950);
    assert_eq!(
        cluster.call(old, heartbeat("billing", &member)),
        GroupAnswer::Heartbeat(Err(GroupError::LoadInProgress)),
        "it still believes to lead, but nobody has told it so for longer than the lease"
    );
    let answer = cluster.wait_for(old, waiting);
    assert!(
        matches!(answer, Answer::Group(GroupAnswer::Join(Err(GroupError::NotCoordinator)))),
        "{answer:?}"
    );
    let unsure = cluster.call(old, heartbeat("billing", &member));
    assert!(matches!(unsure, GroupAnswer::Heartbeat(Err(_))), "{unsure:?}");

    let new = cluster.coordinator("billing");
    assert_ne!(new, old);
    assert_eq!(
        cluster.call(new, heartbeat("billing", &member)),
        GroupAnswer::Heartbeat(Ok(())),
        "the member is known and the generation stands"
    );
    let asked = FetchOffsets { group: "billing".to_owned(), partitions: None };
    let Answer::FetchOffsets(Ok(rows)) = cluster.ask(new, Request::FetchOffsets(asked)) else {
        panic!("no offsets")
    };
    assert_eq!(
        rows.iter().map(|(key, row)| (*key, row.offset)).collect::<Vec<_>>(),
        [(partition, 7)]
    );
}

#[test]
fn a_new_leader_says_that_it_is_loading_until_it_has_applied_what_older_terms_left() {
    let mut cluster = Cluster::found();
    let (_, topic) = cluster.create("orders");
    let partition = PartitionKey { topic, partition: 0 };
    let old = cluster.leader_of(partition);
    let shard = cluster.shard_of(partition);
    // A group whose slot the same shard holds.
    let slots: Vec<CoordinatorSlot> = cluster.slots_of(shard);
    let group = (0..)
        .map(|number| format!("group-{number}"))
        .find(|name| slots.contains(&CoordinatorSlot::of(name)))
        .unwrap();
    cluster.cut_off.insert(old);
    let mut told: BTreeMap<usize, Vec<(Reason, GroupError)>> = BTreeMap::new();
    let others: Vec<usize> = (0..3).filter(|place| *place != old).collect();
    let new = 'elected: loop {
        for place in others.iter().copied() {
            let describe = GroupCall::Describe { group: group.clone() };
            let described = cluster.submit(place, Request::Group(describe));
            let listed = cluster.submit(place, latest(partition));
            let described = cluster.wait_for(place, described);
            match cluster.wait_for(place, listed) {
                Answer::ListOffsets(mut found) => match found.remove(0) {
                    Ok(_) => break 'elected place,
                    Err(refusal) => {
                        let Answer::Group(GroupAnswer::Describe(Err(error))) = described else {
                            panic!("no offsets, and yet {described:?}")
                        };
                        told.entry(place).or_default().push((refusal.reason, error));
                    }
                },
                other => panic!("{other:?}"),
            }
        }
    };
    let told = &told[&new];
    assert_eq!(told.first().unwrap().0, Reason::NotLeader, "before its election");
    let (reason, error) = told.last().unwrap();
    assert_eq!(*reason, Reason::NotReady, "elected, and not ready");
    assert_eq!(*error, GroupError::LoadInProgress);
}

#[test]
fn a_commit_whose_entry_no_quorum_has_is_not_acknowledged() {
    let mut cluster = Cluster::found();
    let (_, topic) = cluster.create("orders");
    let partition = PartitionKey { topic, partition: 0 };
    let old = cluster.coordinator("by-hand");
    cluster.ask(old, commit("by-hand", None, &[(partition, 7)]));
    cluster.cut_off.insert(old);
    let answer = cluster.ask(old, commit("by-hand", None, &[(partition, 8)]));
    let unknown = GroupError::CoordinatorNotAvailable;
    assert!(
        matches!(&answer, Answer::CommitOffsets(Err(error)) if *error == unknown),
        "{answer:?}"
    );
    let new = cluster.coordinator("by-hand");
    let asked = FetchOffsets { group: "by-hand".to_owned(), partitions: Some(vec![partition]) };
    let Answer::FetchOffsets(Ok(rows)) = cluster.ask(new, Request::FetchOffsets(asked)) else {
        panic!("no offsets")
    };
    assert_eq!(rows[0].1.offset, 7);
}

#[test]
fn the_quorum_shows_every_voter_and_the_one_that_lags() {
    let mut cluster = Cluster::found();
    let (leader, _) = cluster.create("orders");
    let away = (leader + 1) % 3;
    cluster.cut_off.insert(away);
    cluster.create("refunds");
    let Answer::DescribeQuorum(Ok(quorum)) = cluster.ask(leader, Request::DescribeQuorum) else {
        panic!("no quorum")
    };
    assert_eq!(quorum.leader, NodeId(leader as u32 + 1));
    assert_eq!(quorum.voters.len(), 3);
    let lagging: Vec<NodeId> = quorum
        .voters
        .iter()
        .filter(|(_, matched)| *matched < quorum.committed)
        .map(|(node, _)| *node)
        .collect();
    assert_eq!(lagging, [NodeId(away as u32 + 1)]);
    let elsewhere = cluster.ask(away, Request::DescribeQuorum);
    assert!(matches!(elsewhere, Answer::DescribeQuorum(Err(_))), "{elsewhere:?}");
}

#[test]
fn each_group_is_listed_by_one_node() {
    let mut cluster = Cluster::found();
    let (_, topic) = cluster.create("orders");
    let partition = PartitionKey { topic, partition: 0 };
    let names: Vec<String> = (0..6).map(|number| format!("group-{number}")).collect();
    for name in &names {
        let place = cluster.coordinator(name);
        let answer = cluster.ask(place, commit(name, None, &[(partition, 1)]));
        assert!(matches!(answer, Answer::CommitOffsets(Ok(_))), "{answer:?}");
    }
    let slots: BTreeSet<_> = names.iter().map(|name| CoordinatorSlot::of(name)).collect();
    assert!(slots.len() > 1, "they do not all live together");
    let mut listed = Vec::new();
    for place in 0..3 {
        let Answer::ListGroups(Ok(found)) = cluster.ask(place, Request::ListGroups) else {
            panic!("no list")
        };
        listed.extend(found.into_iter().map(|listed| listed.group));
    }
    listed.sort();
    assert_eq!(listed, names);
}
