//! Consumer groups on one node: joining, committing, power cuts, deletion, expiry.

use bytes::Bytes;
use holdfast_base::{CoordinatorSlot, PartitionKey};
use holdfast_lane::{
    Answer, CommitOffsets, DeleteTopic, FetchOffsets, GroupAnswer, GroupCall, GroupError,
    GroupState, Heartbeat, Join, Joined, Leave, LeavingMember, NewOffset, OffsetRow, Request, Sync,
};

use crate::node::{Node, origin};

impl Node {
    fn call(&mut self, call: GroupCall) -> GroupAnswer {
        match self.ask(Request::Group(call)) {
            Answer::Group(answer) => answer,
            other => panic!("{other:?}"),
        }
    }

    fn join(&mut self, group: &str, member_id: &str, topics: &[&str]) -> Joined {
        match self.call(join(group, member_id, topics)) {
            GroupAnswer::Join(joined) => joined.unwrap(),
            other => panic!("{other:?}"),
        }
    }

    /// The only member of a new generation: joined and synced.
    fn become_leader(&mut self, group: &str, topics: &[&str]) -> Joined {
        let joined = self.join(group, "", topics);
        let synced = self.call(sync(group, &joined));
        assert!(matches!(synced, GroupAnswer::Sync(Ok(_))), "{synced:?}");
        joined
    }

    fn commit(
        &mut self,
        group: &str,
        member: Option<&Joined>,
        offsets: &[(PartitionKey, i64)],
    ) -> Result<Vec<Result<(), GroupError>>, GroupError> {
        match self.ask(commit(group, member, offsets)) {
            Answer::CommitOffsets(results) => results,
            other => panic!("{other:?}"),
        }
    }

    fn committed(&mut self, group: &str) -> Vec<(PartitionKey, i64)> {
        let asked = FetchOffsets { group: group.to_owned(), partitions: None };
        match self.ask(Request::FetchOffsets(asked)) {
            Answer::FetchOffsets(rows) => {
                rows.unwrap().into_iter().map(|(key, row)| (key, row.offset)).collect()
            }
            other => panic!("{other:?}"),
        }
    }

    fn delete_topic(&mut self, name: &str) {
        let delete = vec![DeleteTopic::Name(name.to_owned())];
        let Answer::DeleteTopics(gone) = self.ask(Request::DeleteTopics(delete, origin())) else {
            panic!("not a deletion")
        };
        gone[0].as_ref().unwrap();
    }

    fn describe(&mut self, group: &str) -> Result<(GroupState, usize), GroupError> {
        match self.call(GroupCall::Describe { group: group.to_owned() }) {
            GroupAnswer::Describe(found) => found.map(|found| (found.state, found.members.len())),
            other => panic!("{other:?}"),
        }
    }

    fn groups(&mut self) -> Vec<(String, GroupState)> {
        match self.ask(Request::ListGroups) {
            Answer::ListGroups(listed) => {
                listed.unwrap().into_iter().map(|listed| (listed.group, listed.state)).collect()
            }
            other => panic!("{other:?}"),
        }
    }
}

/// ConsumerProtocolSubscription, version 0.
pub(crate) fn subscription(topics: &[&str]) -> Bytes {
    let mut bytes = vec![0, 0];
    bytes.extend(i32::try_from(topics.len()).unwrap().to_be_bytes());
    for topic in topics {
        bytes.extend(i16::try_from(topic.len()).unwrap().to_be_bytes());
        bytes.extend(topic.as_bytes());
    }
    bytes.extend((-1_i32).to_be_bytes());
    bytes.into()
}

pub(crate) fn join(group: &str, member_id: &str, topics: &[&str]) -> GroupCall {
    GroupCall::Join(Join {
        group: group.to_owned(),
        member_id: member_id.to_owned(),
        protocol_type: "consumer".to_owned(),
        protocols: vec![("range".to_owned(), subscription(topics))],
        session_timeout_ms: 10_000,
        rebalance_timeout_ms: 20_000,
        client_id: "story".to_owned(),
        client_host: "/127.0.0.1".to_owned(),
        ..Join::default()
    })
}

pub(crate) fn sync(group: &str, joined: &Joined) -> GroupCall {
    GroupCall::Sync(Sync {
        group: group.to_owned(),
        member_id: joined.member_id.clone(),
        generation: joined.generation,
        assignments: vec![(joined.member_id.clone(), Bytes::from_static(b"all of it"))],
        ..Sync::default()
    })
}

pub(crate) fn heartbeat(group: &str, joined: &Joined) -> GroupCall {
    GroupCall::Heartbeat(Heartbeat {
        group: group.to_owned(),
        member_id: joined.member_id.clone(),
        generation: joined.generation,
        ..Heartbeat::default()
    })
}

pub(crate) fn commit(
    group: &str,
    member: Option<&Joined>,
    offsets: &[(PartitionKey, i64)],
) -> Request {
    let new = |(partition, offset): &(PartitionKey, i64)| NewOffset {
        partition: *partition,
        offset: *offset,
        leader_epoch: -1,
        metadata: String::new(),
    };
    Request::CommitOffsets(CommitOffsets {
        group: group.to_owned(),
        member_id: member.map(|joined| joined.member_id.clone()).unwrap_or_default(),
        instance_id: None,
        generation: member.map_or(-1, |joined| joined.generation),
        offsets: offsets.iter().map(new).collect(),
    })
}

const MEGABYTES_64: u64 = 64 << 20;

#[test]
fn committed_offsets_and_members_outlive_a_power_cut_and_sessions_begin_anew() {
    let mut node = Node::found(MEGABYTES_64);
    let partition = node.create("orders", 2, &[]);
    let other = PartitionKey { partition: 1, ..partition };
    let member = node.become_leader("billing", &["orders"]);
    assert_eq!(
        node.commit("billing", Some(&member), &[(partition, 7), (other, 3)]),
        Ok(vec![Ok(()), Ok(())])
    );
    assert_eq!(node.committed("billing"), [(partition, 7), (other, 3)]);
    node.run_ms(7_000);
    node.power_cut();
    node.start();
    assert_eq!(node.committed("billing"), [(partition, 7), (other, 3)]);
    assert_eq!(node.describe("billing"), Ok((GroupState::Stable, 1)));
    node.run_ms(8_000);
    assert_eq!(
        node.call(heartbeat("billing", &member)),
        GroupAnswer::Heartbeat(Ok(())),
        "15 s after its last word, 8 s after the restart"
    );
    let GroupAnswer::Sync(Ok(synced)) = node.call(sync("billing", &member)) else {
        panic!("not synced")
    };
    assert_eq!(synced.assignment, "all of it");
    node.run_ms(11_000);
    assert_eq!(node.describe("billing"), Ok((GroupState::Empty, 0)), "its session has ended");
    assert_eq!(node.committed("billing"), [(partition, 7), (other, 3)]);
}

#[test]
fn an_idle_group_writes_nothing() {
    let mut node = Node::found(MEGABYTES_64);
    node.create("orders", 1, &[]);
    let member = node.become_leader("billing", &["orders"]);
    node.run_ms(3_000);
    let applied = |node: &mut Node| {
        node.lane().status().replicas.iter().map(|replica| replica.applied.0).sum::<u64>()
    };
    let before = applied(&mut node);
    for _ in 0..10 {
        node.run_ms(3_000);
        assert_eq!(node.call(heartbeat("billing", &member)), GroupAnswer::Heartbeat(Ok(())));
    }
    assert_eq!(applied(&mut node), before);
}

#[test]
fn a_commit_from_outside_the_generation_is_refused_and_changes_nothing() {
    let mut node = Node::found(MEGABYTES_64);
    let partition = node.create("orders", 1, &[]);
    let member = node.become_leader("billing", &["orders"]);
    let old = Joined { generation: member.generation - 1, ..member.clone() };
    let stranger = Joined { member_id: "nobody".to_owned(), ..member };
    let offsets = [(partition, 9)];
    assert_eq!(node.commit("billing", Some(&old), &offsets), Err(GroupError::IllegalGeneration));
    assert_eq!(node.commit("billing", Some(&stranger), &offsets), Err(GroupError::UnknownMember));
    assert_eq!(node.commit("billing", None, &offsets), Err(GroupError::UnknownMember));
    assert_eq!(node.committed("billing"), []);
}

#[test]
fn a_group_that_only_commits_is_listed_described_and_deleted() {
    let mut node = Node::found(MEGABYTES_64);
    let partition = node.create("orders", 1, &[]);
    assert_eq!(node.commit("by-hand", None, &[(partition, 5)]), Ok(vec![Ok(())]));
    node.become_leader("billing", &["orders"]);
    let by_hand = || ("by-hand".to_owned(), GroupState::Empty);
    assert_eq!(node.groups(), [("billing".to_owned(), GroupState::Stable), by_hand()]);
    assert_eq!(node.describe("by-hand"), Ok((GroupState::Empty, 0)));
    assert_eq!(node.describe("nobody"), Err(GroupError::GroupIdNotFound));
    let mut delete = |group: &str| match node.call(GroupCall::Delete { group: group.to_owned() }) {
        GroupAnswer::Delete(result) => result,
        other => panic!("{other:?}"),
    };
    assert_eq!(delete("by-hand"), Ok(()));
    assert_eq!(delete("by-hand"), Err(GroupError::GroupIdNotFound));
    assert_eq!(delete("billing"), Err(GroupError::NonEmptyGroup));
    node.power_cut();
    node.start();
    assert_eq!(node.committed("by-hand"), []);
    assert_eq!(node.groups(), [("billing".to_owned(), GroupState::Stable)]);
}

#[test]
fn offsets_of_a_topic_that_members_read_are_not_deleted_others_are() {
    let mut node = Node::found(MEGABYTES_64);
    let read = node.create("orders", 1, &[]);
    let unread = node.create("refunds", 1, &[]);
    let member = node.become_leader("billing", &["orders"]);
    node.commit("billing", Some(&member), &[(read, 1), (unread, 2)]).unwrap();
    let mut delete = |group: &str| {
        let (group, partitions) = (group.to_owned(), vec![read, unread]);
        match node.ask(Request::DeleteOffsets { group, partitions }) {
            Answer::DeleteOffsets(results) => results,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(delete("billing"), Ok(vec![Err(GroupError::SubscribedToTopic), Ok(())]));
    assert_eq!(delete("nobody"), Err(GroupError::GroupIdNotFound));
    assert_eq!(node.committed("billing"), [(read, 1)]);
}

#[test]
fn deleting_a_topic_deletes_its_offsets_even_of_a_commit_that_came_too_late() {
    let mut node = Node::found(MEGABYTES_64);
    let (orders, refunds) = (node.create("orders", 1, &[]), node.create("refunds", 1, &[]));
    node.commit("by-hand", None, &[(orders, 1), (refunds, 2)]).unwrap();
    node.commit("only-orders", None, &[(orders, 1)]).unwrap();
    node.delete_topic("orders");
    node.run_ms(6_000);
    assert_eq!(node.committed("by-hand"), [(refunds, 2)]);
    assert_eq!(node.groups(), [("by-hand".to_owned(), GroupState::Empty)]);
    let late = node.commit("by-hand", None, &[(orders, 9), (refunds, 3)]);
    assert_eq!(late, Ok(vec![Err(GroupError::UnknownTopicOrPartition), Ok(())]));
    assert_eq!(node.committed("by-hand"), [(refunds, 3)]);
    let again = node.create("orders", 1, &[]);
    assert_ne!(again.topic, orders.topic);
    assert_eq!(node.committed("by-hand"), [(refunds, 3)], "another topic of that name");
}

#[test]
fn offsets_of_an_abandoned_group_expire_when_the_time_has_passed_whatever_the_wall_says() {
    let mut node = Node::found(MEGABYTES_64);
    let retention = ("offsets.retention.minutes".to_owned(), "30".to_owned());
    node.config.facts.values.extend([retention]);
    node.power_cut();
    node.start();
    let partition = node.create("orders", 1, &[("retention.ms", "-1")]);
    node.commit("by-hand", None, &[(partition, 5)]).unwrap();
    let member = node.become_leader("billing", &["orders"]);
    node.commit("billing", Some(&member), &[(partition, 6)]).unwrap();
    let leave = Leave {
        group: "billing".to_owned(),
        members: vec![LeavingMember { member_id: member.member_id, instance_id: None }],
    };
    assert_eq!(node.call(GroupCall::Leave(leave)), GroupAnswer::Leave(Ok(vec![Ok(())])));
    node.now.wall_ms += 365 * 86_400_000;
    node.run_ms(25 * 60_000);
    assert_eq!(node.committed("by-hand"), [(partition, 5)], "the wall jumped by a year");
    assert_eq!(node.committed("billing"), [(partition, 6)]);
    node.run_ms(20 * 60_000);
    assert_eq!(node.committed("by-hand"), []);
    assert_eq!(node.committed("billing"), []);
    assert_eq!(node.groups(), []);
}

#[test]
fn a_join_that_waits_is_answered_when_the_device_fails() {
    let mut node = Node::found(MEGABYTES_64);
    node.create("orders", 1, &[]);
    let waiting = node.submit(Request::Group(join("billing", "", &["orders"])));
    node.run_ms(100);
    node.device.fail();
    node.submit(Request::AllocateProducerIds);
    let answer = node.wait_for(waiting);
    assert!(
        matches!(answer, Answer::Group(GroupAnswer::Join(Err(GroupError::NotCoordinator)))),
        "{answer:?}"
    );
    let answer = node.call(join("billing", "", &["orders"]));
    assert_eq!(answer, GroupAnswer::Join(Err(GroupError::CoordinatorNotAvailable)));
}

#[test]
fn a_group_lives_in_the_shard_of_its_slot() {
    let mut node = Node::found(MEGABYTES_64);
    let partition = node.create("orders", 1, &[]);
    for group in ["a", "b", "c"] {
        node.commit(group, None, &[(partition, 1)]).unwrap();
        let image = node.lane().metadata().unwrap().image();
        let slot = CoordinatorSlot::of(group);
        let (shard, _) = image.shard_of_slot(slot).unwrap();
        let rows = node.lane().shard(shard).unwrap().group(slot, group).unwrap();
        let row: &OffsetRow = rows.offset(&partition).unwrap();
        assert_eq!(row.offset, 1);
    }
}

#[test]
fn members_whose_heartbeats_wait_behind_a_pause_of_the_node_are_not_dropped() {
    let mut node = Node::found(64 << 20);
    let member = node.become_leader("billing", &["orders"]);
    node.run_ms(2_000);
    for _ in 0..3 {
        // The process is stopped for twice the session timeout. What comes first is a turn, then
        // what lies in the sockets.
        node.now.boottime_ns += 20_000_000_000;
        node.now.wall_ms += 20_000;
        node.step();
        let beaten = node.call(heartbeat("billing", &member));
        assert_eq!(beaten, GroupAnswer::Heartbeat(Ok(())));
    }
    node.run_ms(9_900);
    assert_eq!(node.describe("billing"), Ok((GroupState::Stable, 1)));
    node.run_ms(200);
    assert_eq!(node.describe("billing"), Ok((GroupState::Empty, 0)), "its own silence counts");
}

#[test]
fn what_a_client_says_of_its_offset_comes_back_with_it_even_after_a_power_cut() {
    let mut node = Node::found(MEGABYTES_64);
    let partition = node.create("orders", 1, &[]);
    let metadata = "offset 7 of file \u{fc}ber.csv".to_owned();
    let new = NewOffset { partition, offset: 7, leader_epoch: 3, metadata: metadata.clone() };
    let answer = node.ask(Request::CommitOffsets(CommitOffsets {
        group: "sync".to_owned(),
        member_id: String::new(),
        instance_id: None,
        generation: -1,
        offsets: vec![new],
    }));
    assert!(matches!(answer, Answer::CommitOffsets(Ok(_))), "{answer:?}");
    for _ in 0..2 {
        let asked = FetchOffsets { group: "sync".to_owned(), partitions: Some(vec![partition]) };
        let Answer::FetchOffsets(Ok(rows)) = node.ask(Request::FetchOffsets(asked)) else {
            panic!("no offsets")
        };
        let [(key, OffsetRow { offset, leader_epoch, metadata: kept, .. })] = &rows[..] else {
            panic!("{rows:?}")
        };
        assert_eq!((*key, *offset, *leader_epoch, kept), (partition, 7, 3, &metadata));
        node.power_cut();
        node.start();
    }
}
