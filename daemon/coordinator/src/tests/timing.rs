//! Delays, deadlines and sessions.

use super::harness::{GROUP, World, again, consumer, settings};
use crate::{GroupError, GroupSettings, GroupState};

#[test]
fn the_initial_delay_is_extended_while_members_join_up_to_the_rebalance_timeout() {
    let mut world = World::new(GroupSettings::default());
    let mut joins = vec![world.join(consumer())];
    for _ in 0..19 {
        world.pass_ms(2_900);
        joins.push(world.join(consumer()));
    }
    assert!(joins.iter().all(|join| world.waits(*join)), "55 s and still somebody new each 3 s");
    world.pass_ms(60_000 - 19 * 2_900);
    for join in joins {
        assert_eq!(world.joined(join).unwrap().generation, 1);
    }
    let mut world = World::new(GroupSettings::default());
    let alone = world.join(consumer());
    world.pass_ms(2_999);
    assert!(world.waits(alone));
    world.pass_ms(1);
    assert_eq!(world.joined(alone).unwrap().generation, 1);
}

#[test]
fn silence_longer_than_the_session_removes_a_member_and_heartbeats_keep_it() {
    let mut world = World::new(settings());
    let members = world.stable(2);
    let (beats, silent) = (&members[0].member_id, &members[1].member_id);
    world.pass_ms(6_000);
    assert_eq!(world.heartbeat(beats, 1), Ok(()));
    world.pass_ms(3_999);
    assert_eq!(world.heartbeat(silent, 0), Err(GroupError::IllegalGeneration));
    assert_eq!(world.describe().unwrap().state, GroupState::Stable);
    world.pass_ms(1);
    assert_eq!(world.heartbeat(silent, 1), Err(GroupError::UnknownMember));
    assert_eq!(world.heartbeat(beats, 1), Err(GroupError::RebalanceInProgress));
    world.pass_ms(9_999);
    assert_eq!(world.heartbeat(beats, 1), Err(GroupError::RebalanceInProgress), "refreshed");
    world.pass_ms(10_000);
    world.commit_all();
    assert_eq!(world.coordinator.state(GROUP), Some(GroupState::Empty));
}

#[test]
fn whoever_does_not_join_within_the_rebalance_timeout_is_out() {
    let mut world = World::new(settings());
    let members = world.stable(2);
    let join = world.join(again(&members[1].member_id));
    assert_eq!(world.joined(join).unwrap().generation, 1);
    let newcomer = world.join(consumer());
    let follower = world.join(again(&members[1].member_id));
    for _ in 0..12 {
        assert!(world.waits(follower));
        // The leader lives and does not join.
        _ = world.heartbeat(&members[0].member_id, 1);
        world.pass_ms(5_000);
    }
    let joined = [newcomer, follower].map(|join| world.joined(join).unwrap());
    assert_eq!(joined[0].leader, joined[1].leader);
    assert_ne!(joined[0].leader, members[0].member_id);
    assert_eq!(world.heartbeat(&members[0].member_id, 1), Err(GroupError::UnknownMember));
}

#[test]
fn whoever_does_not_ask_for_its_assignment_within_the_rebalance_timeout_is_out() {
    let mut world = World::new(settings());
    let joins = [world.join(consumer()), world.join(consumer())];
    world.pass_ms(0);
    let [leader, follower] = joins.map(|join| world.joined(join).unwrap());
    let sync = world.sync(&follower, &[]);
    for _ in 0..12 {
        assert!(world.waits(sync));
        assert_eq!(world.heartbeat(&leader.member_id, 1), Ok(()));
        world.pass_ms(5_000);
    }
    assert_eq!(world.synced(sync), Err(GroupError::RebalanceInProgress));
    assert_eq!(world.heartbeat(&leader.member_id, 1), Err(GroupError::UnknownMember));
    let join = world.join(again(&follower.member_id));
    assert_eq!(world.joined(join).unwrap().leader, follower.member_id);
}

#[test]
fn a_new_member_whose_client_gave_up_is_dropped_after_five_minutes() {
    let mut world = World::new(settings());
    let members = world.stable(1);
    let patient = crate::Join { rebalance_timeout_ms: 600_000, ..consumer() };
    let gone = world.join(patient);
    for _ in 0..60 {
        assert!(world.waits(gone));
        _ = world.heartbeat(&members[0].member_id, 1);
        world.pass_ms(5_000);
    }
    assert_eq!(world.joined(gone), Err(GroupError::UnknownMember));
}

#[test]
fn ten_thousand_heartbeats_set_no_timer() {
    let mut world = World::new(settings());
    let member = world.stable(1).remove(0);
    let before: Vec<_> = world.coordinator.deadlines.all().map(|(timer, _)| *timer).collect();
    for _ in 0..10_000 {
        world.now.boottime_ns += 1_000;
        assert_eq!(world.heartbeat(&member.member_id, 1), Ok(()));
    }
    let after: Vec<_> = world.coordinator.deadlines.all().map(|(timer, _)| *timer).collect();
    assert_eq!(before, after);
}
