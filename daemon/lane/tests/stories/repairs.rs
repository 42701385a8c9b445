//! Objects that changed in the store: made again while the log has their records, named when not.

use std::collections::BTreeSet;

use holdfast_base::{PartitionKey, ShardId};
use holdfast_lane::{Answer, ObjectId, Request, Stored};
use holdfast_log::ObjectState;

use crate::history::{fill, found, found_with, read_all, restart};
use crate::node::Node;
use crate::shelf::Shelf;

/// Objects with records of `partition`, oldest first, and their shard.
fn objects_of(node: &mut Node, partition: PartitionKey) -> (ShardId, Vec<ObjectId>) {
    let lane = node.lane();
    let status = lane.status();
    let shards = status.replicas.iter().map(|replica| replica.shard);
    for shard in shards {
        let Some(state) = lane.shard(shard) else { continue };
        let Some(found) = state.partition(&partition) else { continue };
        let numbers: BTreeSet<u64> = found.objects().iter().map(|row| row.number).collect();
        let name = |number: &u64| state.object_at(*number).unwrap().object;
        return (shard, numbers.iter().map(name).collect());
    }
    panic!("nobody has {partition}");
}

fn suspect(node: &mut Node, shelf: &mut Shelf, shard: ShardId, object: ObjectId) {
    let answer = node.ask(Request::Stored(Stored::Suspected { shard, object }));
    assert!(matches!(answer, Answer::Stored));
    shelf.run_ms(node, 3_000);
}

#[test]
fn a_damaged_object_is_made_again_under_a_new_name_while_its_records_are_in_the_log() {
    let (mut node, mut shelf) = found();
    let partition = node.create("orders", 1, &[]);
    let last = fill(&mut node, &mut shelf, partition, 150);
    shelf.run_ms(&mut node, 6_000);
    // A start reads what is in objects from there.
    restart(&mut node, &mut shelf);
    shelf.run_ms(&mut node, 1_000);
    let (shard, objects) = objects_of(&mut node, partition);
    let damaged = objects[0];
    shelf.damaged.insert(damaged);
    suspect(&mut node, &mut shelf, shard, damaged);
    assert_eq!(shelf.repairs, 1);
    let status = node.lane().status();
    assert_eq!((status.scrub.wrong, status.scrub.repaired), (1, 1), "{:?}", status.scrub);
    assert_eq!(status.findings, []);
    let (_, now) = objects_of(&mut node, partition);
    assert!(!now.contains(&damaged) && now.len() == objects.len(), "{now:?}");
    // The old one goes as any other: nothing reads it.
    shelf.objects.get_mut(&damaged).into_iter().for_each(|held| held.clear());
    let (offsets, from_objects) = read_all(&mut node, &shelf, partition, 0);
    assert_eq!(offsets, (0..=last).collect::<Vec<_>>());
    assert!(from_objects > 0);
    shelf.run_ms(&mut node, 30_000);
    assert!(!shelf.objects.contains_key(&damaged), "the old object was deleted");
    restart(&mut node, &mut shelf);
    assert_eq!(read_all(&mut node, &shelf, partition, 0).0, (0..=last).collect::<Vec<_>>());
}

#[test]
fn a_damaged_object_whose_records_left_the_log_is_named_with_their_range_and_nothing_else_is() {
    let (mut node, mut shelf) = found();
    let partition = node.create("orders", 1, &[]);
    fill(&mut node, &mut shelf, partition, 1_500);
    shelf.run_ms(&mut node, 6_000);
    let (shard, objects) = objects_of(&mut node, partition);
    let damaged = objects[0];
    shelf.damaged.insert(damaged);
    suspect(&mut node, &mut shelf, shard, damaged);
    assert_eq!(shelf.repairs, 0);
    let row = {
        let state = node.lane().shard(shard).unwrap();
        *state.partition(&partition).unwrap().objects().front().unwrap()
    };
    let findings = node.lane().status().findings;
    assert_eq!(findings.len(), 1, "{findings:?}");
    assert_eq!(findings[0].object.object, damaged);
    assert_eq!(findings[0].records, [(partition, row.base_offset, row.last_offset)]);
    let why = findings[0].not_repairable.clone().unwrap();
    assert!(why.contains("not in the log"), "{why}");
    // It was read wrongly, by a store that is whole again: the next check takes the word back.
    shelf.damaged.clear();
    shelf.run_ms(&mut node, 60_000);
    suspect(&mut node, &mut shelf, shard, damaged);
    assert_eq!(node.lane().status().findings, []);
}

#[test]
fn every_object_is_read_whole_once_an_interval_and_what_is_wrong_is_found_without_a_reader() {
    const EVERY_MS: u64 = 20_000;
    let (mut node, mut shelf) = found_with(|store| store.scrub_every_ns = EVERY_MS * 1_000_000);
    let partition = node.create("orders", 1, &[]);
    fill(&mut node, &mut shelf, partition, 200);
    shelf.run_ms(&mut node, 6_000);
    let (shard, objects) = objects_of(&mut node, partition);
    assert!(objects.len() > 1);
    shelf.checks = 0;
    shelf.run_ms(&mut node, EVERY_MS);
    let live = |node: &mut Node| {
        let state = node.lane().shard(shard).unwrap();
        state.objects().filter(|row| row.state == ObjectState::Live && row.live_rows > 0).count()
    };
    let (_, objects) = objects_of(&mut node, partition);
    assert!(shelf.checks >= live(&mut node), "{} of {objects:?}", shelf.checks);
    assert!(shelf.checks <= 3 * live(&mut node), "at most once an interval: {}", shelf.checks);
    let damaged = objects[objects.len() - 1];
    shelf.damaged.insert(damaged);
    shelf.run_ms(&mut node, 2 * EVERY_MS);
    let scrub = node.lane().status().scrub;
    assert!(scrub.passes > 0 && scrub.last_pass_ms > 0 && scrub.bytes > 0, "{scrub:?}");
    assert_eq!((scrub.wrong, scrub.repaired, shelf.repairs), (1, 1, 1));
}
