//! Merged objects, step by step.

use holdfast_base::{Index, Term};

use super::objects::{
    delete_before, id, intent, manifest, object, refused, remove, row, step, tell, written,
};
use super::support::{Leader, key};
use crate::{Command, CommandOutcome, Intent, OPEN_INTENTS_MAX, ObjectState, Step};

fn merge(name: u8, term: u64, last: u64) -> Command {
    Command::MergeIntent(Intent {
        object: id(name),
        term: Term(term),
        sequence: 8,
        first_index: Index(3),
        last_index: Index(last),
    })
}

/// Three objects: 1 has entries 3 and 4, 2 has 5 and 6, 3 has 7 and 8; two records each of
/// partitions 0 and 1.
fn with_three() -> Leader {
    let mut leader = written();
    for (name, first, base) in [(1, 3, 0), (2, 5, 2), (3, 7, 4)] {
        tell(&mut leader, &intent(name, 1, first, first + 1));
        let rows = [row(key(0), base, base + 1), row(key(1), base, base + 1)];
        assert_eq!(tell(&mut leader, &manifest(name, 1, &rows)), CommandOutcome::ObjectLive);
    }
    leader
}

fn rows(leader: &Leader, partition: i32) -> Vec<(u64, i64, i64)> {
    let rows = leader.shard.partition(&key(partition)).unwrap().objects().iter();
    rows.map(|row| (row.number, row.base_offset, row.last_offset)).collect()
}

#[test]
fn a_merge_takes_the_place_of_rows_and_moves_no_position() {
    let mut leader = with_three();
    assert_eq!(tell(&mut leader, &merge(9, 1, 8)), CommandOutcome::ObjectIntended);
    leader.time_ms += 10;
    let merged = [row(key(0), 0, 5), row(key(1), 0, 3)];
    assert_eq!(tell(&mut leader, &manifest(9, 1, &merged)), CommandOutcome::ObjectLive);
    assert_eq!(leader.shard.uploaded(), Index(8));
    assert_eq!(rows(&leader, 0), [(4, 0, 5)]);
    assert_eq!(rows(&leader, 1), [(4, 0, 3), (3, 4, 5)]);
    let live = [1, 2, 3, 9].map(|name| object(&leader, name).live_rows);
    assert_eq!(live, [0, 0, 1, 2]);
    let dead = [1, 2, 3, 9].map(|name| object(&leader, name).dead_since_ms);
    let now = Some(leader.time_ms);
    assert_eq!(dead, [now, now, now, None], "3 holds records that live elsewhere now");
    let unsettled: Vec<u64> = leader.shard.unsettled_objects().map(|row| row.number).collect();
    assert_eq!(unsettled, [1, 2], "they are to be retired");
}

#[test]
fn records_of_a_merge_that_is_not_of_whole_rows_would_be_in_no_object() {
    let mut leader = with_three();
    tell(&mut leader, &merge(9, 1, 8));
    let why = "its rows are not those of other objects, back to back";
    for (base, last, what) in [
        (0, 4, "it ends within a row"),
        (1, 5, "it begins within a row whose front can be read"),
        (0, 7, "it ends behind the last"),
        (6, 7, "it has none"),
    ] {
        refused(&mut leader, &manifest(9, 1, &[row(key(0), base, last)]), why);
        assert_eq!(rows(&leader, 0).len(), 3, "{what}");
    }
}

#[test]
fn what_was_deleted_in_front_may_be_left_out_or_not() {
    for base in [1, 0] {
        let mut leader = with_three();
        tell(&mut leader, &merge(9, 1, 8));
        delete_before(&mut leader, 0, 1);
        let merged = [row(key(0), base, 3)];
        assert_eq!(tell(&mut leader, &manifest(9, 1, &merged)), CommandOutcome::ObjectLive);
        assert_eq!(rows(&leader, 0), [(4, base, 3), (3, 4, 5)]);
        let is_dead = object(&leader, 9).dead_since_ms.is_some();
        assert_eq!(is_dead, base == 0, "record 0 must not be kept");
    }
    let mut leader = with_three();
    tell(&mut leader, &merge(9, 1, 8));
    delete_before(&mut leader, 0, 3);
    let merged = [row(key(0), 0, 5)];
    assert_eq!(tell(&mut leader, &manifest(9, 1, &merged)), CommandOutcome::ObjectLive);
    assert_eq!(rows(&leader, 0), [(4, 0, 5)], "the first row has gone meanwhile");
}

#[test]
fn a_front_that_shares_its_batch_with_living_records_is_not_rewritten_for_ever() {
    let mut leader = with_three();
    delete_before(&mut leader, 0, 1);
    let planned = leader.index;
    let intent = |name, sequence| {
        Command::MergeIntent(Intent {
            object: id(name),
            term: Term(1),
            sequence,
            first_index: Index(3),
            last_index: Index(8),
        })
    };
    tell(&mut leader, &intent(9, planned));
    let merged = [row(key(0), 0, 5)];
    assert_eq!(tell(&mut leader, &manifest(9, 1, &merged)), CommandOutcome::ObjectLive);
    assert_eq!(object(&leader, 9).dead_since_ms, None, "nothing more can be left out");
    refused(&mut leader, &intent(10, 99), "it was planned on what is not applied");
    delete_before(&mut leader, 0, 3);
    assert!(object(&leader, 9).dead_since_ms.is_some(), "now there is");
}

#[test]
fn a_topic_deleted_during_a_merge_leaves_dead_bytes_that_are_known() {
    let mut leader = with_three();
    tell(&mut leader, &merge(9, 1, 8));
    remove(&mut leader, 1);
    let merged = [row(key(0), 0, 5), row(key(1), 0, 5)];
    assert_eq!(tell(&mut leader, &manifest(9, 1, &merged)), CommandOutcome::ObjectLive);
    assert_eq!(object(&leader, 9).live_rows, 1);
    assert_eq!(object(&leader, 9).dead_since_ms, Some(leader.time_ms));
    tell(&mut leader, &merge(10, 1, 8));
    remove(&mut leader, 0);
    assert_eq!(
        tell(&mut leader, &manifest(10, 1, &[row(key(0), 0, 5)])),
        CommandOutcome::ObjectLive
    );
    assert_eq!(object(&leader, 10).live_rows, 0);
    assert_eq!(tell(&mut leader, &step(10, Step::Retire)), CommandOutcome::ObjectStepped);
}

#[test]
fn an_object_with_a_deleted_front_or_without_a_deleted_topic_says_since_when() {
    let mut leader = with_three();
    leader.time_ms += 5;
    delete_before(&mut leader, 0, 1);
    let since = leader.time_ms;
    assert_eq!(object(&leader, 1).dead_since_ms, Some(since));
    leader.time_ms += 5;
    remove(&mut leader, 0);
    let dead = [1, 2, 3].map(|name| object(&leader, name).dead_since_ms);
    assert_eq!(dead, [Some(since), Some(leader.time_ms), Some(leader.time_ms)]);
}

#[test]
fn merges_are_of_their_term_of_uploaded_entries_and_few() {
    let mut leader = with_three();
    refused(&mut leader, &merge(9, 7, 8), "it is of another term");
    refused(&mut leader, &merge(9, 1, 9), "its range is not in objects");
    refused(&mut leader, &merge(1, 1, 8), "its id is known");
    for name in 0..OPEN_INTENTS_MAX as u8 {
        assert_eq!(tell(&mut leader, &merge(20 + name, 1, 8)), CommandOutcome::ObjectIntended);
    }
    refused(&mut leader, &merge(99, 1, 8), "too many are announced");
}

#[test]
fn a_merge_and_a_cut_do_not_wait_for_each_other() {
    let mut leader = with_three();
    leader.append(&super::support::batch(2));
    let next = leader.index;
    tell(&mut leader, &merge(9, 1, 8));
    tell(&mut leader, &intent(4, 1, next, next));
    assert_eq!(
        tell(&mut leader, &manifest(4, 1, &[row(key(0), 6, 7)])),
        CommandOutcome::ObjectLive
    );
    assert_eq!(tell(&mut leader, &step(9, Step::Abandon)), CommandOutcome::ObjectStepped);
    assert_eq!(object(&leader, 4).state, ObjectState::Live);
    let late = manifest(9, 1, &[row(key(0), 0, 5)]);
    refused(&mut leader, &late, "it is not that of the first open intent");
    leader.append(&super::support::batch(2));
    let next = leader.index;
    tell(&mut leader, &intent(5, 1, next, next));
    tell(&mut leader, &merge(10, 1, 8));
    assert_eq!(tell(&mut leader, &step(5, Step::Abandon)), CommandOutcome::ObjectStepped);
    assert_eq!(object(&leader, 10).state, ObjectState::Intended, "a merge goes on");
}
