//! Static members (KIP-345, KIP-814): a restart that nobody notices.

use bytes::Bytes;

use super::harness::{GROUP, World, settings, static_consumer};
use crate::{GroupCall, GroupError, GroupState, Heartbeat, Join, Joined};

/// A stable group of `i0` (the leader) and `i1`.
fn stable(world: &mut World) -> Vec<Joined> {
    let joins = [world.join(static_consumer("i0")), world.join(static_consumer("i1"))];
    world.pass_ms(0);
    let joined = joins.map(|join| world.joined(join).unwrap());
    world.assign(joined.into())
}

#[test]
fn a_restarted_member_keeps_its_place_under_a_new_id_without_a_rebalance() {
    let mut world = World::new(settings());
    let members = stable(&mut world);
    let join = world.join(static_consumer("i1"));
    assert!(world.waits(join), "the new id is stored first");
    world.commit_all();
    let joined = world.joined(join).unwrap();
    assert!(joined.member_id.starts_with("i1-"));
    assert_ne!(joined.member_id, members[1].member_id);
    assert_eq!((joined.generation, joined.skip_assignment), (1, false));
    assert_eq!(joined.leader, members[0].member_id);
    assert!(joined.members.is_empty());
    let sync = world.sync(&joined, &[]);
    assert_eq!(world.synced(sync).unwrap().assignment, members[1].member_id.as_bytes());
    assert_eq!(world.heartbeat(&members[0].member_id, 1), Ok(()));
    assert!(world.log[GROUP].members.iter().any(|row| row.member_id == joined.member_id));
    // The old one is fenced.
    let beat = Heartbeat {
        group: GROUP.into(),
        member_id: members[1].member_id.clone(),
        instance_id: Some("i1".into()),
        generation: 1,
    };
    let caller = world.call(GroupCall::Heartbeat(beat));
    let beat = world.news.iter().find(|(one, _)| *one == caller).unwrap().1.clone();
    assert_eq!(beat, crate::GroupAnswer::Heartbeat(Err(GroupError::FencedInstance)));
}

#[test]
fn a_restarted_leader_may_skip_assigning_from_version_9_and_is_named_follower_before() {
    let mut world = World::new(settings());
    let members = stable(&mut world);
    let join = world.join(static_consumer("i0"));
    world.commit_all();
    let joined = world.joined(join).unwrap();
    assert!(joined.skip_assignment);
    assert_eq!(joined.leader, joined.member_id);
    assert_eq!(joined.members.len(), 2);
    let older = Join { can_skip_assignment: false, ..static_consumer("i0") };
    let join = world.join(older);
    world.commit_all();
    let again = world.joined(join).unwrap();
    assert!(!again.skip_assignment && again.members.is_empty());
    assert_eq!(again.leader, joined.member_id);
    assert_ne!(again.leader, again.member_id);
    assert_eq!(world.heartbeat(&members[1].member_id, 1), Ok(()));
}

#[test]
fn a_replacement_that_is_not_stored_is_undone() {
    let mut world = World::new(settings());
    let members = stable(&mut world);
    let join = world.join(static_consumer("i0"));
    world.decide(false, Err(()));
    assert_eq!(world.joined(join), Err(GroupError::CoordinatorNotAvailable));
    assert_eq!(world.heartbeat(&members[0].member_id, 1), Ok(()));
    let described = world.describe().unwrap();
    assert!(described.members.iter().any(|one| one.member_id == members[0].member_id));
}

#[test]
fn a_restart_that_is_stored_while_a_rebalance_has_begun_is_answered_by_the_rebalance() {
    for result in [Ok(()), Err(())] {
        let mut world = World::new(settings());
        let members = stable(&mut world);
        let restarted = world.join(static_consumer("i1"));
        let newcomer = world.join(super::harness::consumer());
        world.decide(result.is_ok(), result);
        assert!(world.waits(restarted), "the old generation is of no use to it");
        let id = members[0].member_id.clone();
        let leader = world.join(Join { member_id: id, ..static_consumer("i0") });
        for join in [restarted, newcomer, leader] {
            assert_eq!(world.joined(join).unwrap().generation, 2);
        }
    }
}

#[test]
fn a_second_restart_fences_the_first_even_while_it_waits() {
    let mut world = World::new(settings());
    stable(&mut world);
    let first = world.join(static_consumer("i1"));
    let second = world.join(static_consumer("i1"));
    assert_eq!(world.joined(first), Err(GroupError::FencedInstance));
    world.commit_all();
    assert_eq!(world.joined(second).unwrap().generation, 1);
}

#[test]
fn a_restart_that_changes_the_protocol_or_meets_a_rebalance_makes_all_join_again() {
    let mut world = World::new(settings());
    let two = vec![("a".to_owned(), Bytes::new()), ("b".to_owned(), Bytes::new())];
    let with = |instance, protocols: &[(String, Bytes)]| Join {
        protocols: protocols.to_vec(),
        ..static_consumer(instance)
    };
    let joins = [world.join(with("i0", &two)), world.join(with("i1", &two))];
    world.pass_ms(0);
    let joined = joins.map(|join| world.joined(join).unwrap());
    let parked = world.sync(&joined[1], &[]);
    // Completing: the leader may be assigning to the id that is gone.
    let join = world.join(with("i1", &two));
    assert_eq!(world.synced(parked), Err(GroupError::FencedInstance));
    assert!(world.waits(join));
    let other = world.join(Join { member_id: joined[0].member_id.clone(), ..with("i0", &two) });
    let joined = [other, join].map(|join| world.joined(join).unwrap());
    assert_eq!((joined[0].generation, joined[0].protocol.as_deref()), (2, Some("a")));
    world.assign(joined.into());
    let join = world.join(with("i1", &two[1..]));
    assert!(world.waits(join));
    assert_eq!(world.describe().unwrap().state, GroupState::PreparingRebalance);
}

#[test]
fn a_static_member_that_does_not_join_in_time_stays_and_a_dynamic_one_goes() {
    let mut world = World::new(settings());
    let dynamic = world.join(super::harness::consumer());
    let joins = [world.join(static_consumer("i0")), world.join(static_consumer("i1"))];
    world.pass_ms(0);
    let joined = [dynamic, joins[0], joins[1]].map(|join| world.joined(join).unwrap());
    world.assign(joined.clone().into());
    let changed = vec![("range".to_owned(), Bytes::new())];
    let id = joined[1].member_id.clone();
    let join = world.join(Join { member_id: id, protocols: changed, ..static_consumer("i0") });
    for _ in 0..12 {
        for member in [&joined[0], &joined[2]] {
            _ = world.heartbeat(&member.member_id, 1);
        }
        world.pass_ms(5_000);
    }
    let next = world.joined(join).unwrap();
    assert_eq!((next.generation, &next.leader), (2, &next.member_id));
    let names: Vec<_> = next.members.iter().map(|one| one.instance_id.as_deref()).collect();
    assert_eq!(names, [Some("i0"), Some("i1")]);
}
