//! What commands do to groups.

use super::support::{
    Leader, START_MS, batch, commit, commit_offsets, key, put_group, record, slot,
};
use crate::{CommandOutcome, EntryBuilder, Group, NewOffset, OffsetRow, Proposal};

const NAME: &str = "readers";

fn group(leader: &Leader) -> &Group {
    leader.shard.group(slot(NAME), NAME).expect("the group is there")
}

fn remove_offsets(leader: &mut Leader, partitions: &[i32]) -> CommandOutcome {
    let keys: Vec<_> = partitions.iter().map(|partition| key(*partition)).collect();
    leader.admin(|decider, _, entry, _| {
        decider.propose_remove_offsets(entry, slot(NAME), NAME, &keys)
    })
}

fn remove_group(leader: &mut Leader) -> CommandOutcome {
    leader.admin(|decider, _, entry, _| decider.propose_remove_group(entry, slot(NAME), NAME))
}

#[test]
fn a_commit_to_an_unknown_group_makes_it_at_the_entrys_time() {
    let mut leader = Leader::new();
    leader.time_ms += 7;
    let outcome = commit_offsets(&mut leader, NAME, &[commit(0, 5), commit(1, 9)]);
    assert_eq!(outcome, CommandOutcome::OffsetsCommitted(2));
    let row = OffsetRow {
        offset: 9,
        leader_epoch: 1,
        metadata: "by hand".to_owned(),
        committed_at_ms: START_MS + 7,
    };
    assert_eq!(group(&leader).offset(&key(1)), Some(&row));
    assert_eq!(group(&leader).record(), None);
    assert_eq!(group(&leader).empty_since_ms(), Some(START_MS + 7));
    assert!(!group(&leader).has_members());
}

#[test]
fn the_last_commit_counts_also_when_it_is_lower_or_twice_in_one_command() {
    let mut leader = Leader::new();
    commit_offsets(&mut leader, NAME, &[commit(0, 50)]);
    commit_offsets(&mut leader, NAME, &[commit(0, 3)]);
    assert_eq!(group(&leader).offset(&key(0)).unwrap().offset, 3);
    let outcome = commit_offsets(&mut leader, NAME, &[commit(0, 8), commit(0, 4)]);
    assert_eq!(outcome, CommandOutcome::OffsetsCommitted(2));
    assert_eq!(group(&leader).offset(&key(0)).unwrap().offset, 4);
}

#[test]
fn a_commit_of_nothing_makes_no_group() {
    let mut leader = Leader::new();
    let mut entry = EntryBuilder::new();
    let proposal = leader.decider.propose_commit_offsets(&mut entry, slot(NAME), NAME, &[]);
    assert_eq!(proposal, Ok(Proposal::Nothing));
    // Another build may send it all the same.
    let nothing = crate::CommitOffsets {
        slot: slot(NAME),
        group: NAME.into(),
        offsets: Vec::<NewOffset>::new(),
    };
    let mut bytes = Vec::new();
    crate::Command::CommitOffsets(nothing).encode(&mut bytes);
    leader.send_bytes(bytes);
    assert_eq!(leader.commit_one().unwrap().outcomes, [CommandOutcome::NoChange]);
    assert_eq!(leader.shard.groups().count(), 0);
}

#[test]
fn a_record_is_put_whole_and_leaves_offsets_alone() {
    let mut leader = Leader::new();
    commit_offsets(&mut leader, NAME, &[commit(0, 5)]);
    assert_eq!(put_group(&mut leader, NAME, 1, &["a", "b"]), CommandOutcome::GroupPut);
    assert_eq!(put_group(&mut leader, NAME, 2, &["b"]), CommandOutcome::GroupPut);
    assert_eq!(group(&leader).record(), Some(&record(2, &["b"])));
    assert_eq!(group(&leader).offsets().len(), 1);
}

#[test]
fn a_group_is_empty_since_its_last_member_went_and_not_since_a_later_empty_record() {
    let mut leader = Leader::new();
    let step = |leader: &mut Leader, generation, members: &[&str]| {
        leader.time_ms += 100;
        put_group(leader, NAME, generation, members);
        group(leader).empty_since_ms().map(|since_ms| since_ms - START_MS)
    };
    assert_eq!(step(&mut leader, 1, &["a"]), None);
    assert_eq!(step(&mut leader, 2, &[]), Some(200));
    assert_eq!(step(&mut leader, 3, &[]), Some(200), "it has been empty all the time");
    commit_offsets(&mut leader, NAME, &[commit(0, 1)]);
    assert_eq!(step(&mut leader, 3, &[]), Some(200), "a commit does not change that");
    assert_eq!(step(&mut leader, 4, &["b"]), None);
    assert_eq!(step(&mut leader, 5, &[]), Some(600));

    let mut leader = Leader::new();
    commit_offsets(&mut leader, NAME, &[commit(0, 1)]);
    assert_eq!(step(&mut leader, 0, &[]), Some(100), "its first record makes it a group anew");
}

#[test]
fn a_group_left_with_neither_record_nor_offsets_is_gone() {
    let mut leader = Leader::new();
    commit_offsets(&mut leader, NAME, &[commit(0, 5), commit(1, 5)]);
    assert_eq!(remove_offsets(&mut leader, &[0]), CommandOutcome::OffsetsRemoved(1));
    assert!(leader.shard.group(slot(NAME), NAME).is_some());
    assert_eq!(remove_offsets(&mut leader, &[0, 1, 2]), CommandOutcome::OffsetsRemoved(1));
    assert!(leader.shard.group(slot(NAME), NAME).is_none());
    assert!(leader.shard.groups.is_empty(), "no slot without a group stays either");

    put_group(&mut leader, NAME, 1, &[]);
    commit_offsets(&mut leader, NAME, &[commit(0, 5)]);
    remove_offsets(&mut leader, &[0]);
    assert!(group(&leader).record().is_some(), "a record holds it");
}

#[test]
fn removing_what_is_not_there_changes_nothing() {
    let mut leader = Leader::new();
    assert_eq!(remove_offsets(&mut leader, &[0]), CommandOutcome::NoChange);
    assert_eq!(remove_offsets(&mut leader, &[]), CommandOutcome::NoChange);
    assert_eq!(remove_group(&mut leader), CommandOutcome::NoChange);
    commit_offsets(&mut leader, NAME, &[commit(0, 5)]);
    assert_eq!(remove_offsets(&mut leader, &[1]), CommandOutcome::NoChange);
    assert_eq!(remove_group(&mut leader), CommandOutcome::GroupRemoved);
    assert_eq!(remove_group(&mut leader), CommandOutcome::NoChange);
}

#[test]
fn groups_ascend_by_slot_then_id_and_are_found_by_both() {
    let mut leader = Leader::new();
    for name in ["z", "a", "group", "polygenelubricants", ""] {
        commit_offsets(&mut leader, name, &[commit(0, 5)]);
    }
    let all: Vec<_> = leader.shard.groups().map(|(at, name, _)| (at, name.to_owned())).collect();
    let mut sorted = all.clone();
    sorted.sort();
    assert_eq!(all, sorted);
    assert_eq!(all.len(), 5);
    let of_zero: Vec<_> = leader.shard.groups_of(slot("")).map(|(name, _)| name).collect();
    assert_eq!(of_zero, ["", "polygenelubricants"]);
    assert!(leader.shard.group(slot("z"), "group").is_none(), "another slot, another group");
}

#[test]
fn groups_and_batches_share_an_entry() {
    let mut leader = Leader::with_partition(crate::PartitionConfig::default());
    let mut entry = EntryBuilder::new();
    leader.decide(&mut entry, 0, &batch(2)).unwrap();
    let at = slot(NAME);
    leader.decider.propose_commit_offsets(&mut entry, at, NAME, &[commit(0, 1)]).unwrap();
    leader.decide(&mut entry, 0, &batch(3)).unwrap();
    leader.decider.propose_remove_group(&mut entry, at, NAME).unwrap();
    leader.send(entry);
    let applied = leader.commit_one().unwrap();
    assert_eq!(applied.outcomes[1], CommandOutcome::OffsetsCommitted(1));
    assert_eq!(applied.outcomes[3], CommandOutcome::GroupRemoved);
    assert_eq!(leader.high_watermark(), 5);
    assert_eq!(leader.shard.groups().count(), 0);
}
