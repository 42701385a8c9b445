//! A state kept row by row is the state. That no change is forgotten is asked after every entry that
//! any test of this room commits: see `Leader::check_kept_rows`.

use std::collections::BTreeMap;

use super::replay::story;
use super::support::{Leader, from_kept, keep};
use crate::{RowChange, Shard};

type Rows = BTreeMap<Vec<u8>, Vec<u8>>;

fn rows(shard: &Shard) -> Rows {
    let mut rows = Rows::new();
    keep(&mut rows, shard.rows());
    rows
}

/// Every state on the way of a story with something of everything in it.
fn each_state(mut look: impl FnMut(&Shard)) {
    let mut shard = Shard::new();
    look(&shard);
    for (facts, commands) in &story().committed {
        shard.apply(*facts, commands).unwrap();
        look(&shard);
    }
}

#[test]
fn a_state_from_rows_is_the_one_from_a_snapshot_is_the_living_one() {
    each_state(|shard| {
        let from_rows = from_kept(&rows(shard)).unwrap();
        assert_eq!(from_rows, *shard);
        assert_eq!(from_rows, Shard::restore(&shard.snapshot()).unwrap());
        assert_eq!(from_rows.snapshot(), shard.snapshot());
        assert_eq!(from_rows.hash(), shard.hash());
    });
}

#[test]
fn rows_taken_at_any_pace_are_the_state() {
    let committed = story().committed;
    for pace in [1, 2, 7, 50, 1_000] {
        let mut shard = Shard::new();
        let mut kept = Rows::new();
        keep(&mut kept, shard.begin_rows());
        for (at, (facts, commands)) in committed.iter().enumerate() {
            shard.apply(*facts, commands).unwrap();
            if at % pace == pace - 1 {
                keep(&mut kept, shard.take_dirty());
                assert_eq!(kept, rows(&shard), "every {pace} entries");
            }
        }
        keep(&mut kept, shard.take_dirty());
        assert_eq!(from_kept(&kept).unwrap(), shard);
    }
}

#[test]
fn a_replica_that_starts_from_rows_goes_on_keeping_what_changes() {
    let leader = story();
    let middle = leader.committed.len() / 2;
    let mut shard = Shard::new();
    for (facts, commands) in &leader.committed[..middle] {
        shard.apply(*facts, commands).unwrap();
    }
    let mut kept = rows(&shard);
    let mut started = from_kept(&kept).unwrap();
    started.track_rows();
    for (facts, commands) in &leader.committed[middle..] {
        started.apply(*facts, commands).unwrap();
    }
    keep(&mut kept, started.take_dirty());
    assert_eq!(kept, rows(&leader.shard));
}

#[test]
fn a_batch_touches_as_many_rows_however_large_the_state_is() {
    let mut leader = Leader::with_partition(crate::PartitionConfig::default());
    let mut touched = Vec::new();
    for producer in 0..200_i64 {
        leader.append(&super::support::idempotent(producer, 0, 0, 3));
        let mut shard = leader.shard.clone();
        let before = rows(&shard);
        let batch = super::support::batch(1);
        let mut entry = crate::EntryBuilder::new();
        leader.decider.role_changed();
        leader.decide(&mut entry, 0, &batch).unwrap();
        let facts = crate::EntryFacts {
            index: shard.applied().next(),
            term: holdfast_base::Term(leader.term),
            time_ms: leader.time_ms,
        };
        shard.apply(facts, &entry.finish()).unwrap();
        leader.decider.role_changed();
        let changes: Vec<RowChange> = shard.take_dirty();
        assert!(before.len() >= 3 + producer as usize);
        touched.push(changes.len());
    }
    assert_eq!(touched, vec![3; 200], "shard, partition, segment");
}

#[test]
fn a_row_that_is_missing_or_out_of_place_is_seen() {
    let shard = story().shard;
    let kept = rows(&shard);
    assert!(from_kept(&kept).is_ok());
    for key in kept.keys() {
        let mut less = kept.clone();
        less.remove(key);
        assert!(from_kept(&less).is_err(), "without {key:02x?}");
        let mut cut = kept.clone();
        cut.get_mut(key).unwrap().pop();
        assert!(from_kept(&cut).is_err(), "{key:02x?} cut");
        let mut longer = kept.clone();
        longer.get_mut(key).unwrap().push(0);
        assert!(from_kept(&longer).is_err(), "{key:02x?} longer");
    }
    for (what, key) in [("no kind", vec![]), ("unknown", vec![0x77]), ("short", vec![0x10, 7])] {
        let mut more = kept.clone();
        more.insert(key, vec![1, 2, 3]);
        assert!(from_kept(&more).is_err(), "{what}");
    }
    let order = kept.iter().rev().map(|(key, value)| (key.clone().into(), value.clone().into()));
    assert!(Shard::from_rows(order).is_err(), "backwards");
}

#[test]
fn keys_are_written_as_the_table_says() {
    let shard = story().shard;
    let (key, partition) = shard.partitions().next().unwrap();
    let place = [&key.topic.0[..], &key.partition.to_be_bytes()].concat();
    let rows = rows(&shard);
    let base_offset = partition.segments().next().unwrap().base_offset;
    for wanted in [
        vec![0x01],
        [&[0x10][..], &place].concat(),
        [&[0x11][..], &place, &base_offset.to_be_bytes()].concat(),
        [&[0x20][..], &1_u64.to_be_bytes()].concat(),
    ] {
        assert!(rows.contains_key(&wanted), "{wanted:02x?}");
    }
    // The ways of an offset: slot, then the length of the id, the id, the partition.
    let offsets: Vec<&Vec<u8>> = rows.keys().filter(|key| key[0] == 0x32).collect();
    assert!(!offsets.is_empty());
    for key in offsets {
        let len = usize::from(u16::from_be_bytes([key[3], key[4]]));
        assert_eq!(key.len(), 1 + 2 + 2 + len + 20);
    }
}

/// Found by mutating rows: it was taken for a segment without timestamps, whose largest one is then
/// never found again.
#[test]
fn a_segment_whose_largest_timestamp_is_impossible_is_not_one_without_timestamps() {
    let kept = rows(&story().shard);
    let (key, value) = kept.iter().find(|(key, _)| key[0] == 0x11).unwrap();
    let largest = value.len() - 24..value.len() - 16;
    let mut changed = kept.clone();
    changed.get_mut(key).unwrap()[largest].copy_from_slice(&(-2_i64).to_le_bytes());
    assert!(from_kept(&kept).is_ok() && from_kept(&changed).is_err());
}
