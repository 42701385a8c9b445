//! SyncGroup: what is told, and when.

use super::harness::{GROUP, World, again, consumer, settings};
use crate::{GroupCall, GroupError, GroupState, Sync};

#[test]
fn assignments_are_told_only_once_they_are_stored() {
    let mut world = World::new(settings());
    let joins = [world.join(consumer()), world.join(consumer())];
    world.pass_ms(0);
    let [leader, follower] = joins.map(|join| world.joined(join).unwrap());
    let waits = world.sync(&follower, &[]);
    let assigns = world.sync(&leader, &[(&leader.member_id, "0"), (&follower.member_id, "1")]);
    assert!(world.waits(waits) && world.waits(assigns));
    assert_eq!(world.describe().unwrap().state, GroupState::CompletingRebalance);
    world.commit_all();
    assert_eq!(world.synced(assigns).unwrap().assignment, "0");
    assert_eq!(world.synced(waits).unwrap().assignment, "1");
    let record = &world.log[GROUP];
    assert_eq!((record.generation, record.members.len()), (1, 2));
    let described = world.describe().unwrap();
    assert_eq!(described.state, GroupState::Stable);
    assert_eq!(described.protocol, "range");
    // A member that asks late, or again, is told at once.
    let late = world.sync(&follower, &[]);
    assert_eq!(world.synced(late).unwrap().assignment, "1");
}

#[test]
fn a_member_the_leader_forgot_gets_an_empty_assignment() {
    let mut world = World::new(settings());
    let joins = [world.join(consumer()), world.join(consumer())];
    world.pass_ms(0);
    let [leader, follower] = joins.map(|join| world.joined(join).unwrap());
    let assigns = world.sync(&leader, &[(&leader.member_id, "0"), ("stranger", "9")]);
    world.commit_all();
    assert_eq!(world.synced(assigns).unwrap().assignment, "0");
    let forgotten = world.sync(&follower, &[]);
    assert_eq!(world.synced(forgotten).unwrap().assignment, "");
    assert_eq!(world.log[GROUP].members.len(), 2);
}

#[test]
fn a_store_that_ends_after_a_newer_rebalance_began_answers_nobody() {
    let mut world = World::new(settings());
    let join = world.join(consumer());
    world.pass_ms(0);
    let leader = world.joined(join).unwrap();
    let old = world.sync(&leader, &[(&leader.member_id, "old")]);
    let newcomer = world.join(consumer());
    assert_eq!(world.synced(old), Err(GroupError::RebalanceInProgress));
    let leader = world.join(again(&leader.member_id));
    let leader = world.joined(leader).unwrap();
    assert_eq!(leader.generation, 2);
    let new = world.sync(&leader, &[(&leader.member_id, "new")]);
    world.decide(true, Ok(()));
    assert!(world.waits(new), "generation 1 is stored, not 2");
    assert_eq!(world.describe().unwrap().state, GroupState::CompletingRebalance);
    world.decide(true, Ok(()));
    assert_eq!(world.synced(new).unwrap().assignment, "new");
    assert_eq!(world.joined(newcomer).unwrap().generation, 2);
}

#[test]
fn a_sync_with_the_wrong_words_is_refused() {
    let mut world = World::new(settings());
    let member = world.stable(1).remove(0);
    let right = Sync {
        group: GROUP.into(),
        member_id: member.member_id.clone(),
        generation: 1,
        protocol_type: Some("consumer".into()),
        protocol: Some("range".into()),
        ..Sync::default()
    };
    let cases = [
        (Sync { group: String::new(), ..right.clone() }, GroupError::InvalidGroup),
        (Sync { group: "other".into(), ..right.clone() }, GroupError::UnknownMember),
        (Sync { member_id: "other".into(), ..right.clone() }, GroupError::UnknownMember),
        (Sync { instance_id: Some("i".into()), ..right.clone() }, GroupError::UnknownMember),
        (Sync { generation: 2, ..right.clone() }, GroupError::IllegalGeneration),
        (
            Sync { protocol_type: Some("connect".into()), ..right.clone() },
            GroupError::InconsistentProtocol,
        ),
        (
            Sync { protocol: Some("sticky".into()), ..right.clone() },
            GroupError::InconsistentProtocol,
        ),
    ];
    for (sync, error) in cases {
        let caller = world.call(GroupCall::Sync(sync));
        assert_eq!(world.synced(caller), Err(error));
    }
    let caller = world.call(GroupCall::Sync(right.clone()));
    assert!(world.synced(caller).is_ok());
    world.join(again(&member.member_id));
    world.join(consumer());
    let caller = world.call(GroupCall::Sync(right));
    assert_eq!(world.synced(caller), Err(GroupError::IllegalGeneration));
}

#[test]
fn assignments_too_large_for_the_record_are_refused_and_the_group_prepares_again() {
    let mut world = World::new(settings());
    let join = world.join(consumer());
    world.pass_ms(0);
    let leader = world.joined(join).unwrap();
    let huge = "x".repeat(800 * 1024);
    let sync = world.sync(&leader, &[(&leader.member_id, &huge)]);
    assert_eq!(world.synced(sync), Err(GroupError::GroupFull));
    assert!(world.proposed.is_empty());
    assert_eq!(world.describe().unwrap().state, GroupState::PreparingRebalance);
}
