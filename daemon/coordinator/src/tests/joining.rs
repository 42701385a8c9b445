//! JoinGroup: ids, protocols, sizes, and who is told what.

use bytes::Bytes;

use super::harness::{GROUP, World, again, consumer, settings, subscription};
use crate::{GroupError, GroupSettings, GroupState, Join};

#[test]
fn the_first_to_join_leads_and_sees_everyone_while_others_see_nobody() {
    let mut world = World::new(settings());
    let joins = [world.join(consumer()), world.join(consumer())];
    assert!(joins.iter().all(|join| world.waits(*join)));
    world.pass_ms(0);
    let [first, second] = joins.map(|join| world.joined(join).unwrap());
    assert_eq!((first.generation, second.generation), (1, 1));
    assert_eq!(first.leader, first.member_id);
    assert_eq!(second.leader, first.member_id);
    assert_eq!(first.members.len(), 2);
    assert_eq!(first.members[0].metadata, subscription(&["orders"]));
    assert!(second.members.is_empty());
    assert_eq!(first.protocol.as_deref(), Some("range"));
    assert!(first.member_id.starts_with("app-"));
}

#[test]
fn from_version_4_a_new_member_is_told_its_id_first_and_the_rebalance_waits_for_it() {
    let mut world = World::new(settings());
    let members = world.stable(1);
    let ask = Join { requires_known_member: true, ..consumer() };
    let ask = world.join(ask);
    let Err(GroupError::MemberIdRequired(id)) = world.joined(ask) else { panic!("told no id") };
    // Its id alone does not disturb the group, but a rebalance that begins now waits for it.
    assert_eq!(world.heartbeat(&members[0].member_id, 1), Ok(()));
    let leader = world.join(again(&members[0].member_id));
    assert!(world.waits(leader));
    let join = world.join(again(&id));
    assert_eq!(world.joined(join).unwrap().member_id, id);
    assert_eq!(world.joined(leader).unwrap().members.len(), 2);
}

#[test]
fn an_id_that_was_given_and_not_used_expires_and_leaves_no_group() {
    let mut world = World::new(settings());
    let ask = world.join(Join { requires_known_member: true, ..consumer() });
    assert!(matches!(world.joined(ask), Err(GroupError::MemberIdRequired(_))));
    assert!(world.coordinator.has_members(GROUP));
    world.pass_ms(10_000);
    assert!(!world.coordinator.is_known(GROUP));
    assert_eq!(world.coordinator.next_wake_ns(), u64::MAX);
}

#[test]
fn what_cannot_be_joined_is_refused_and_leaves_nothing_behind() {
    let mut world = World::new(settings());
    let cases = [
        (Join { group: String::new(), ..consumer() }, GroupError::InvalidGroup),
        (Join { session_timeout_ms: 5_999, ..consumer() }, GroupError::InvalidSessionTimeout),
        (Join { session_timeout_ms: 1_800_001, ..consumer() }, GroupError::InvalidSessionTimeout),
        (Join { protocols: Vec::new(), ..consumer() }, GroupError::InconsistentProtocol),
        (Join { protocol_type: String::new(), ..consumer() }, GroupError::InconsistentProtocol),
        (again("nobody"), GroupError::UnknownMember),
    ];
    for (join, error) in cases {
        let caller = world.join(join);
        assert_eq!(world.joined(caller), Err(error));
        assert!(!world.coordinator.is_known(GROUP));
    }
    world.stable(1);
    let others = [
        Join { protocol_type: "connect".into(), ..consumer() },
        Join { protocols: vec![("sticky".into(), Bytes::new())], ..consumer() },
    ];
    for join in others {
        let caller = world.join(join);
        assert_eq!(world.joined(caller), Err(GroupError::InconsistentProtocol));
    }
    assert_eq!(world.describe().unwrap().state, GroupState::Stable);
}

#[test]
fn the_protocol_with_most_votes_among_those_all_know_is_chosen() {
    let mut world = World::new(settings());
    let with = |names: &[&str]| Join {
        protocols: names.iter().map(|name| ((*name).to_owned(), Bytes::new())).collect(),
        ..consumer()
    };
    let votes = [&["a", "b", "c"][..], &["b", "c"], &["c", "b", "a"], &["x", "c", "b"]];
    let joins = votes.map(|names| world.join(with(names)));
    world.pass_ms(0);
    for join in joins {
        // a: not known to all. b: two votes. c: two votes. The first by name.
        assert_eq!(world.joined(join).unwrap().protocol.as_deref(), Some("b"));
    }
}

#[test]
fn a_follower_that_joins_unchanged_is_told_the_generation_and_a_leader_begins_a_rebalance() {
    let mut world = World::new(settings());
    let members = world.stable(2);
    let follower = world.join(again(&members[1].member_id));
    assert_eq!(world.joined(follower).unwrap().generation, 1);
    assert_eq!(world.describe().unwrap().state, GroupState::Stable);
    let leader = world.join(again(&members[0].member_id));
    assert!(world.waits(leader));
    let changed = vec![("range".into(), subscription(&["bills"]))];
    let follower = world.join(Join { protocols: changed, ..again(&members[1].member_id) });
    assert_eq!(world.joined(follower).unwrap().generation, 2);
    assert_eq!(world.joined(leader).unwrap().generation, 2);
    assert!(world.coordinator.is_subscribed(GROUP, "bills"));
}

#[test]
fn a_join_asked_again_while_parked_answers_the_earlier_caller_to_join_again() {
    let mut world = World::new(settings());
    let members = world.stable(2);
    let first = world.join(again(&members[0].member_id));
    let second = world.join(again(&members[0].member_id));
    assert_eq!(world.joined(first), Err(GroupError::RebalanceInProgress));
    assert!(world.waits(second));
}

#[test]
fn a_full_group_refuses_the_next_and_keeps_those_it_has() {
    let mut world = World::new(GroupSettings { max_size: 2, ..settings() });
    let members = world.stable(2);
    let third = world.join(consumer());
    assert_eq!(world.joined(third), Err(GroupError::GroupFull));
    let follower = world.join(again(&members[1].member_id));
    assert_eq!(world.joined(follower).unwrap().generation, 1);
}

#[test]
fn a_member_that_would_not_fit_into_the_groups_record_is_refused() {
    let mut world = World::new(settings());
    let large = |bytes: usize| Join {
        protocols: vec![("range".into(), vec![0; bytes].into())],
        ..consumer()
    };
    let first = world.join(large(400 * 1024));
    let second = world.join(large(400 * 1024));
    assert_eq!(world.joined(second), Err(GroupError::GroupFull));
    world.pass_ms(0);
    let first = world.joined(first).unwrap();
    let grown = Join { member_id: first.member_id, ..large(800 * 1024) };
    let grown = world.join(grown);
    assert_eq!(world.joined(grown), Err(GroupError::GroupFull));
    assert!(!world.coordinator.is_subscribed(GROUP, "t"), "version 0 and no topics");
}

#[test]
fn members_that_join_again_while_others_come_and_go_are_never_unknown() {
    let mut world = World::new(settings());
    let mut members = world.stable(3);
    for round in 0..12 {
        // A rebalance begins before the last one is over for everyone: one has not synced yet.
        let newcomer = world.join(consumer());
        let mut joins = Vec::new();
        for (place, member) in members.iter().enumerate() {
            if (round + place) % 3 == 0 {
                let beat = world.heartbeat(&member.member_id, member.generation);
                assert_eq!(beat, Err(GroupError::RebalanceInProgress), "round {round}");
            }
            joins.push(world.join(again(&member.member_id)));
        }
        joins.push(newcomer);
        world.pass_ms(0);
        let joined: Vec<_> = joins.iter().map(|join| world.joined(*join)).collect();
        let joined: Vec<_> = joined.into_iter().map(|one| one.expect("it is known")).collect();
        let late = world.sync(&joined[1], &[]);
        let next = world.join(consumer());
        let answers: Vec<_> =
            joined.iter().map(|member| world.join(again(&member.member_id))).collect();
        assert_eq!(world.synced(late), Err(GroupError::RebalanceInProgress), "round {round}");
        world.pass_ms(0);
        let joined: Vec<_> = answers.iter().map(|join| world.joined(*join).unwrap()).collect();
        let last = world.joined(next).unwrap();
        let mut all = joined;
        all.push(last);
        members = world.assign(all);
        // Two leave, so that the group keeps its size.
        for _ in 0..2 {
            let leaving = members.pop().unwrap();
            let left = world.leave(&leaving.member_id, None);
            world.commit_all();
            assert_eq!(world.left(left), Ok(vec![Ok(())]));
        }
    }
}
