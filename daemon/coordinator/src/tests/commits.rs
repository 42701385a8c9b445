//! Who may commit and delete offsets.

use super::harness::{GROUP, World, again, consumer, settings};
use crate::{GroupError, Join};

fn commit(world: &mut World, member: &str, generation: i32) -> Result<(), GroupError> {
    world.coordinator.may_commit(GROUP, member, None, generation, world.now)
}

#[test]
fn without_a_generation_offsets_are_committed_only_to_a_group_without_members() {
    let mut world = World::new(settings());
    assert_eq!(commit(&mut world, "", -1), Ok(()));
    assert_eq!(commit(&mut world, "x", 3), Err(GroupError::IllegalGeneration));
    let member = world.stable(1).remove(0);
    assert_eq!(commit(&mut world, "", -1), Err(GroupError::UnknownMember));
    world.leave(&member.member_id, None);
    assert_eq!(commit(&mut world, "", -1), Ok(()));
    assert_eq!(commit(&mut world, &member.member_id, 1), Err(GroupError::UnknownMember));
}

#[test]
fn a_member_commits_in_its_generation_also_while_members_are_collected_but_not_while_assigning() {
    let mut world = World::new(settings());
    let members = world.stable(2);
    let id = members[0].member_id.clone();
    assert_eq!(commit(&mut world, &id, 1), Ok(()));
    assert_eq!(commit(&mut world, &id, 0), Err(GroupError::IllegalGeneration));
    assert_eq!(commit(&mut world, "other", 1), Err(GroupError::UnknownMember));
    let newcomer = world.join(consumer());
    assert_eq!(commit(&mut world, &id, 1), Ok(()), "before it gives its partitions away");
    for member in &members {
        world.join(again(&member.member_id));
    }
    assert_eq!(world.joined(newcomer).unwrap().generation, 2);
    assert_eq!(commit(&mut world, &id, 2), Err(GroupError::RebalanceInProgress));
}

#[test]
fn a_commit_is_a_sign_of_life() {
    let mut world = World::new(settings());
    let member = world.stable(1).remove(0);
    for _ in 0..5 {
        world.pass_ms(9_000);
        assert_eq!(commit(&mut world, &member.member_id, 1), Ok(()));
    }
    assert_eq!(world.heartbeat(&member.member_id, 1), Ok(()));
}

#[test]
fn offsets_of_topics_that_are_read_are_not_deleted() {
    let mut world = World::new(settings());
    let coordinator = |world: &World| world.coordinator.may_delete_offsets(GROUP);
    assert_eq!(coordinator(&world), Err(GroupError::GroupIdNotFound));
    let member = world.stable(1).remove(0);
    assert_eq!(coordinator(&world), Ok(()));
    assert!(world.coordinator.is_subscribed(GROUP, "orders"));
    assert!(!world.coordinator.is_subscribed(GROUP, "bills"));
    world.leave(&member.member_id, None);
    assert!(!world.coordinator.is_subscribed(GROUP, "orders"));
    let connect = Join { protocol_type: "connect".into(), ..consumer() };
    world.join(connect);
    world.pass_ms(0);
    assert_eq!(coordinator(&world), Err(GroupError::NonEmptyGroup));
}

#[test]
fn consumers_whose_metadata_cannot_be_read_may_read_anything() {
    let mut world = World::new(settings());
    let protocols = vec![("range".into(), "?".into())];
    world.join(Join { protocols, ..consumer() });
    world.pass_ms(0);
    assert!(world.coordinator.is_subscribed(GROUP, "orders"));
}
