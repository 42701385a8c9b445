//! What of groups goes with time, and what never does.

use holdfast_base::TopicId;

use super::support::{Leader, START_MS, commit, commit_offsets, key, put_group, slot};
use crate::{
    CommandOutcome, EXPIRED_OFFSETS_MAX, Expired, Expiry, NewOffset, expire_groups,
    offsets_expired, offsets_of_topics,
};

const NAME: &str = "readers";
const WEEK_MS: i64 = 604_800_000;

fn expired(leader: &Leader, now_ms: i64) -> Vec<i32> {
    let group = leader.shard.group(slot(NAME), NAME).unwrap();
    let keys = offsets_expired(group, now_ms, WEEK_MS);
    keys.into_iter().map(|key| key.partition).collect()
}

fn sweep(leader: &mut Leader, plan: &[Expiry]) -> Vec<CommandOutcome> {
    plan.iter()
        .map(|expiry| leader.admin(|decider, _, entry, _| decider.propose_expiry(entry, expiry)))
        .collect()
}

#[test]
fn without_a_record_an_offset_expires_a_retention_after_its_commit() {
    let mut leader = Leader::new();
    commit_offsets(&mut leader, NAME, &[commit(0, 1), commit(1, 1)]);
    leader.time_ms += 10;
    commit_offsets(&mut leader, NAME, &[commit(1, 2)]);
    assert_eq!(expired(&leader, START_MS + WEEK_MS - 1), []);
    assert_eq!(expired(&leader, START_MS + WEEK_MS), [0]);
    assert_eq!(expired(&leader, START_MS + WEEK_MS + 10), [0, 1]);
}

#[test]
fn with_members_nothing_expires_and_without_it_counts_from_emptiness_or_a_later_commit() {
    let mut leader = Leader::new();
    put_group(&mut leader, NAME, 1, &["a"]);
    commit_offsets(&mut leader, NAME, &[commit(0, 1), commit(1, 1)]);
    assert_eq!(expired(&leader, i64::MAX), []);
    assert_eq!(expire_groups(&leader.shard, i64::MAX, WEEK_MS), []);
    leader.time_ms += WEEK_MS;
    let emptied_ms = leader.time_ms;
    put_group(&mut leader, NAME, 2, &[]);
    assert_eq!(expired(&leader, emptied_ms + WEEK_MS - 1), [], "long since committed, just left");
    assert_eq!(expired(&leader, emptied_ms + WEEK_MS), [0, 1]);
    leader.time_ms += 10;
    commit_offsets(&mut leader, NAME, &[commit(1, 9)]);
    assert_eq!(expired(&leader, emptied_ms + WEEK_MS), [0], "reset by hand after it was empty");
    assert_eq!(expired(&leader, emptied_ms + WEEK_MS + 10), [0, 1]);
}

#[test]
fn a_sweep_takes_offsets_then_with_the_last_of_them_the_group() {
    let mut leader = Leader::new();
    put_group(&mut leader, NAME, 1, &[]);
    commit_offsets(&mut leader, NAME, &[commit(0, 1)]);
    leader.time_ms += 10;
    commit_offsets(&mut leader, NAME, &[commit(1, 1)]);
    leader.time_ms = START_MS + WEEK_MS;
    let plan = expire_groups(&leader.shard, leader.time_ms, WEEK_MS);
    assert_eq!(plan.len(), 1);
    assert_eq!(plan[0].expired, Expired::Offsets(vec![key(0)]));
    assert_eq!(sweep(&mut leader, &plan), [CommandOutcome::OffsetsRemoved(1)]);
    assert_eq!(expire_groups(&leader.shard, leader.time_ms, WEEK_MS), []);
    leader.time_ms += 10;
    let plan = expire_groups(&leader.shard, leader.time_ms, WEEK_MS);
    assert_eq!(plan[0].expired, Expired::Group);
    assert_eq!(sweep(&mut leader, &plan), [CommandOutcome::GroupRemoved]);
    assert_eq!(leader.shard.groups().count(), 0);
}

#[test]
fn a_group_without_members_and_offsets_goes_at_the_next_sweep() {
    let mut leader = Leader::new();
    put_group(&mut leader, NAME, 1, &[]);
    let plan = expire_groups(&leader.shard, leader.time_ms, WEEK_MS);
    assert_eq!(sweep(&mut leader, &plan), [CommandOutcome::GroupRemoved]);
}

#[test]
fn a_commit_under_way_behind_the_plan_of_a_sweep_is_not_lost() {
    let mut leader = Leader::new();
    commit_offsets(&mut leader, NAME, &[commit(0, 1), commit(1, 1)]);
    leader.time_ms += WEEK_MS;
    // Planned, then committed in the same millisecond, then the plan is carried out.
    let whole = expire_groups(&leader.shard, leader.time_ms, WEEK_MS);
    assert_eq!(whole[0].expired, Expired::Group);
    let rows = Expiry { expired: Expired::Offsets(vec![key(0)]), ..whole[0].clone() };
    commit_offsets(&mut leader, NAME, &[commit(0, 2)]);
    let outcomes = sweep(&mut leader, &[whole[0].clone(), rows]);
    assert_eq!(outcomes, [CommandOutcome::NoChange, CommandOutcome::NoChange]);
    let plan = expire_groups(&leader.shard, leader.time_ms, WEEK_MS);
    assert_eq!(plan[0].expired, Expired::Offsets(vec![key(1)]));
    assert_eq!(sweep(&mut leader, &plan), [CommandOutcome::OffsetsRemoved(1)]);
    let group = leader.shard.group(slot(NAME), NAME).unwrap();
    assert_eq!(group.offset(&key(0)).unwrap().offset, 2);
}

#[test]
fn a_member_that_came_behind_the_plan_of_a_sweep_keeps_its_group() {
    let mut leader = Leader::new();
    put_group(&mut leader, NAME, 1, &[]);
    let plan = expire_groups(&leader.shard, leader.time_ms, WEEK_MS);
    put_group(&mut leader, NAME, 2, &["a"]);
    assert_eq!(sweep(&mut leader, &plan), [CommandOutcome::NoChange]);
    assert!(leader.shard.group(slot(NAME), NAME).unwrap().has_members());
}

fn many(from: i32, count: usize) -> Vec<NewOffset> {
    (from..).take(count).map(|partition| commit(partition, 1)).collect()
}

#[test]
fn a_sweep_is_bounded_and_the_next_one_goes_on() {
    let mut leader = Leader::new();
    put_group(&mut leader, NAME, 1, &[]);
    commit_offsets(&mut leader, NAME, &many(0, EXPIRED_OFFSETS_MAX + 3));
    leader.time_ms += 1;
    commit_offsets(&mut leader, NAME, &many(-1, 1));
    let now_ms = START_MS + WEEK_MS;
    let mut sizes = Vec::new();
    loop {
        let plan = expire_groups(&leader.shard, now_ms, WEEK_MS);
        let Some(Expiry { expired: Expired::Offsets(keys), .. }) = plan.first() else { break };
        sizes.push(keys.len());
        sweep(&mut leader, &plan);
    }
    assert_eq!(sizes, [EXPIRED_OFFSETS_MAX, 3]);
    assert_eq!(leader.shard.group(slot(NAME), NAME).unwrap().offsets().len(), 1);
}

#[test]
fn offsets_of_topics_that_are_gone_go_also_from_groups_with_members() {
    let gone = TopicId([9; 16]);
    let of_gone = |partition: i32| {
        let mut new = commit(partition, 1);
        new.partition.topic = gone;
        new
    };
    let mut leader = Leader::new();
    put_group(&mut leader, "busy", 1, &["a"]);
    commit_offsets(&mut leader, "busy", &[commit(0, 1), of_gone(0), of_gone(4)]);
    commit_offsets(&mut leader, "simple", &[of_gone(1)]);
    commit_offsets(&mut leader, "other", &[commit(0, 1)]);
    let plan = offsets_of_topics(&leader.shard, &|topic| topic == gone);
    let mut sizes: Vec<_> =
        plan.iter().map(|(_, name, keys)| (name.as_str(), keys.len())).collect();
    sizes.sort_unstable();
    assert_eq!(sizes, [("busy", 2), ("simple", 1)]);
    for (at, name, keys) in &plan {
        let outcome = leader
            .admin(|decider, _, entry, _| decider.propose_remove_offsets(entry, *at, name, keys));
        assert_eq!(outcome, CommandOutcome::OffsetsRemoved(keys.len()));
    }
    assert!(offsets_of_topics(&leader.shard, &|topic| topic == gone).is_empty());
    let left: Vec<_> = leader.shard.groups().map(|(_, name, _)| name).collect();
    assert!(left.contains(&"busy") && left.contains(&"other") && left.len() == 2, "{left:?}");

    commit_offsets(&mut leader, "wide", &many(0, EXPIRED_OFFSETS_MAX + 3));
    let plan = offsets_of_topics(&leader.shard, &|_| true);
    let planned: usize = plan.iter().map(|(_, _, keys)| keys.len()).sum();
    assert_eq!(planned, EXPIRED_OFFSETS_MAX);
}
