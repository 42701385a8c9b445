//! LeaveGroup, DeleteGroups, and a group that becomes empty.

use super::harness::{GROUP, World, again, consumer, settings, static_consumer};
use crate::{GroupCall, GroupError, GroupState};

#[test]
fn the_last_to_leave_is_answered_when_the_empty_group_is_stored() {
    let mut world = World::new(settings());
    let member = world.stable(1).remove(0);
    let leave = world.leave(&member.member_id, None);
    assert!(world.waits(leave));
    world.commit_all();
    assert_eq!(world.left(leave), Ok(vec![Ok(())]));
    let record = &world.log[GROUP];
    assert_eq!((record.generation, record.protocol.as_deref()), (2, None));
    assert_eq!(record.protocol_type, "consumer");
    assert!(record.members.is_empty() && record.leader.is_none());
    assert_eq!(world.describe().unwrap().state, GroupState::Empty);
    assert_eq!(world.coordinator.next_wake_ns(), u64::MAX);
}

#[test]
fn those_that_stay_are_told_to_rebalance_when_one_leaves() {
    let mut world = World::new(settings());
    let members = world.stable(2);
    let leave = world.leave(&members[0].member_id, None);
    assert_eq!(world.left(leave), Ok(vec![Ok(())]));
    let stays = &members[1].member_id;
    assert_eq!(world.heartbeat(stays, 1), Err(GroupError::RebalanceInProgress));
    let join = world.join(again(stays));
    let joined = world.joined(join).unwrap();
    assert_eq!((joined.generation, &joined.leader), (2, stays));
}

#[test]
fn a_static_member_is_removed_by_its_instance_alone() {
    let mut world = World::new(settings());
    let join = world.join(static_consumer("i"));
    world.pass_ms(0);
    let joined = world.joined(join).unwrap();
    world.assign(vec![joined]);
    let wrong = world.leave("other", Some("i"));
    assert_eq!(world.left(wrong), Ok(vec![Err(GroupError::FencedInstance)]));
    let leave = world.leave("", Some("i"));
    world.commit_all();
    assert_eq!(world.left(leave), Ok(vec![Ok(())]));
    let twice = world.leave("", Some("i"));
    assert_eq!(world.left(twice), Ok(vec![Err(GroupError::UnknownMember)]));
}

#[test]
fn leaving_an_unknown_group_says_so_per_member() {
    let mut world = World::new(settings());
    let leave = world.leave("nobody", None);
    assert_eq!(world.left(leave), Ok(vec![Err(GroupError::UnknownMember)]));
}

#[test]
fn a_member_that_leaves_while_it_waits_is_answered_too() {
    let mut world = World::new(settings());
    let joins = [world.join(consumer()), world.join(consumer())];
    world.pass_ms(0);
    let [_, follower] = joins.map(|join| world.joined(join).unwrap());
    let sync = world.sync(&follower, &[]);
    world.leave(&follower.member_id, None);
    assert_eq!(world.synced(sync), Err(GroupError::UnknownMember));
}

#[test]
fn only_an_empty_group_is_deleted_and_it_comes_back_if_that_cannot_be_stored() {
    let mut world = World::new(settings());
    let delete = GroupCall::Delete { group: GROUP.into() };
    let unknown = world.call(delete.clone());
    assert_eq!(world.deleted(unknown), Err(GroupError::GroupIdNotFound));
    let member = world.stable(1).remove(0);
    let full = world.call(delete.clone());
    assert_eq!(world.deleted(full), Err(GroupError::NonEmptyGroup));
    world.leave(&member.member_id, None);
    world.commit_all();
    let failed = world.call(delete.clone());
    assert!(world.waits(failed));
    world.decide(false, Err(()));
    assert_eq!(world.deleted(failed), Err(GroupError::CoordinatorNotAvailable));
    assert_eq!(world.coordinator.state(GROUP), Some(GroupState::Empty));
    let done = world.call(delete);
    world.commit_all();
    assert_eq!(world.deleted(done), Ok(()));
    assert!(world.log.is_empty() && !world.coordinator.is_known(GROUP));
}

#[test]
fn a_group_made_anew_while_its_removal_fails_is_not_forgotten() {
    let mut world = World::new(settings());
    let member = world.stable(1).remove(0);
    world.leave(&member.member_id, None);
    world.commit_all();
    let delete = world.call(GroupCall::Delete { group: GROUP.into() });
    world.join(crate::Join { requires_known_member: true, ..consumer() });
    world.decide(false, Err(()));
    assert_eq!(world.deleted(delete), Err(GroupError::CoordinatorNotAvailable));
    world.pass_ms(10_000);
    assert!(world.log.contains_key(GROUP) && world.coordinator.is_known(GROUP));
}
