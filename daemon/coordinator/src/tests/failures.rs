//! Stores that fail, coordinators that change.

use super::harness::{GROUP, World, again, consumer, settings};
use crate::{GroupCall, GroupError, GroupSettings, GroupState};

#[test]
fn assignments_that_cannot_be_stored_make_everyone_find_the_coordinator_and_join_again() {
    let mut world = World::new(settings());
    let joins = [world.join(consumer()), world.join(consumer())];
    world.pass_ms(0);
    let [leader, follower] = joins.map(|join| world.joined(join).unwrap());
    let syncs = [world.sync(&follower, &[]), world.sync(&leader, &[])];
    world.decide(false, Err(()));
    for sync in syncs {
        assert_eq!(world.synced(sync), Err(GroupError::CoordinatorNotAvailable));
    }
    assert_eq!(world.describe().unwrap().state, GroupState::PreparingRebalance);
    let joins = [&leader, &follower].map(|one| world.join(again(&one.member_id)));
    let joined = joins.map(|join| world.joined(join).unwrap());
    assert_eq!(joined[0].generation, 2);
    world.assign(joined.into());
}

#[test]
fn a_group_whose_emptiness_was_not_stored_goes_on_and_stores_its_next_generation() {
    let mut world = World::new(settings());
    let member = world.stable(1).remove(0);
    let leave = world.leave(&member.member_id, None);
    world.decide(false, Err(()));
    assert_eq!(world.left(leave), Err(GroupError::CoordinatorNotAvailable));
    assert_eq!(world.coordinator.state(GROUP), Some(GroupState::Empty));
    world.stable(1);
    assert_eq!(world.log[GROUP].generation, 3);
}

#[test]
fn a_new_coordinator_continues_the_generation_and_gives_everyone_a_full_session() {
    let mut world = World::new(settings());
    let members = world.stable(2);
    world.pass_ms(9_999);
    world.fail_over();
    let described = world.describe().unwrap();
    assert_eq!(described.state, GroupState::Stable);
    assert_eq!(described.members.len(), 2);
    world.pass_ms(9_999);
    for member in &members {
        assert_eq!(world.heartbeat(&member.member_id, 1), Ok(()));
        let sync = world.sync(member, &[]);
        assert_eq!(world.synced(sync).unwrap().assignment, member.member_id.as_bytes());
    }
    assert!(world.coordinator.is_subscribed(GROUP, "orders"));
    let join = world.join(again(&members[0].member_id));
    assert!(world.waits(join), "it still leads");
}

#[test]
fn a_coordinator_that_stops_tells_all_who_wait() {
    let mut world = World::new(settings());
    let member = world.stable(1).remove(0);
    let leave = world.leave(&member.member_id, None);
    let join = world.join(consumer());
    world.fail_over();
    assert_eq!(world.left(leave), Err(GroupError::NotCoordinator));
    assert_eq!(world.joined(join), Err(GroupError::NotCoordinator));
    // The new one finds the member of before, whose leaving was not stored, until it times out.
    world.pass_ms(10_000);
    world.commit_all();
    let delete = world.call(GroupCall::Delete { group: GROUP.into() });
    world.fail_over();
    assert_eq!(world.deleted(delete), Err(GroupError::NotCoordinator));
}

#[test]
fn a_slot_that_moves_takes_its_groups_and_no_others() {
    let mut world = World::new(settings());
    world.stable(1);
    let other = world.join(crate::Join { group: "other".into(), ..consumer() });
    let mut effects = Vec::new();
    world.coordinator.stop_groups(|group| group == "other", world.now, &mut effects);
    world.carry_out(effects);
    assert_eq!(world.joined(other), Err(GroupError::NotCoordinator));
    assert!(!world.coordinator.is_known("other") && world.coordinator.is_known(GROUP));
    let rows = [("other", &world.log[GROUP]), (GROUP, &world.log[GROUP])];
    world.coordinator.add_groups(rows.into_iter(), world.now);
    assert_eq!(world.coordinator.state("other"), Some(GroupState::Stable));
    assert_eq!(world.coordinator.list().len(), 2);
}

#[test]
fn a_group_that_expires_is_removed_unless_it_has_members() {
    let mut world = World::new(settings());
    let member = world.stable(1).remove(0);
    let mut effects = Vec::new();
    assert!(!world.coordinator.expire(GROUP, world.now, &mut effects));
    world.leave(&member.member_id, None);
    world.commit_all();
    assert!(world.coordinator.expire(GROUP, world.now, &mut effects));
    world.carry_out(effects);
    world.commit_all();
    assert!(world.log.is_empty());
}

#[test]
fn a_group_larger_than_a_lowered_limit_prepares_when_it_is_loaded() {
    let mut world = World::new(settings());
    let members = world.stable(3);
    world.settings = GroupSettings { max_size: 2, ..settings() };
    world.fail_over();
    assert_eq!(world.describe().unwrap().state, GroupState::PreparingRebalance);
    let joins: Vec<_> = members.iter().map(|one| world.join(again(&one.member_id))).collect();
    assert_eq!(world.joined(joins[2]), Err(GroupError::GroupFull));
    let joined = [joins[0], joins[1]].map(|join| world.joined(join).unwrap());
    world.assign(joined.into());
}

#[test]
fn a_replaced_store_of_an_unknown_write_changes_nothing() {
    let mut world = World::new(settings());
    world.stable(1);
    let mut effects = Vec::new();
    world.coordinator.stored(crate::WriteId(99), Err(()), world.now, &mut effects);
    assert!(effects.is_empty());
}
