//! Bytes nobody vouches for.

use holdfast_base::{Index, Term};
use proptest::prelude::*;

use super::support::{Leader, START_MS, batch, create, key};
use crate::{
    Command, EntryBuilder, EntryFacts, ExpireProducers, PartitionConfig, RemovePartition,
    SetConfig, SetLogStart, decode_commands,
};

/// One of each kind.
fn section() -> Vec<u8> {
    let mut leader = Leader::with_partition(PartitionConfig::default());
    let mut entry = EntryBuilder::new();
    leader.decide(&mut entry, 0, &batch(3)).unwrap();
    let mut bytes = entry.finish();
    let config = PartitionConfig::default();
    for command in [
        Command::CreatePartition(create(4, config)),
        Command::SetConfig(SetConfig { partition: key(0), generation: 1, config }),
        Command::SetLogStart(SetLogStart { partition: key(0), generation: 1, before_offset: 1 }),
        Command::ExpireProducers(ExpireProducers { before_ms: START_MS }),
        Command::RemovePartition(RemovePartition { partition: key(4), generation: 1 }),
    ] {
        command.encode(&mut bytes);
    }
    bytes
}

fn apply(bytes: &[u8]) -> Result<usize, crate::BrokenInvariant> {
    let mut leader = Leader::with_partition(PartitionConfig::default());
    leader.append(&batch(5));
    let before = leader.shard.clone();
    let facts = EntryFacts { index: Index(100), term: Term(1), time_ms: START_MS };
    match leader.shard.apply(facts, bytes) {
        Ok(applied) => Ok(applied.outcomes.len()),
        Err(broken) => {
            assert_eq!(leader.shard, before, "an entry that cannot be decoded changes nothing");
            Err(broken)
        }
    }
}

#[test]
fn every_cut_of_a_command_section_is_whole_commands_or_broken() {
    let bytes = section();
    let mut ends = vec![0];
    for at in 1..=bytes.len() {
        if decode_commands(&bytes[..at]).all(|command| command.is_ok()) {
            ends.push(at);
        }
        let _ = apply(&bytes[..at]);
    }
    assert_eq!(ends.len(), 7, "six commands have six ends: {ends:?}");
}

#[test]
fn unknown_kinds_versions_and_longer_bodies_are_broken_invariants() {
    let bytes = section();
    assert_eq!(apply(&bytes), Ok(6));
    for (at, value) in [(0, 0), (0, 7), (0, 255), (1, 0), (1, 2), (2, 103), (2, 105), (5, 255)] {
        let mut wrong = bytes.clone();
        wrong[at] = value;
        assert!(apply(&wrong).is_err(), "byte {at} = {value}");
    }
    // A body one byte too long, with the byte there.
    let mut expire = Vec::new();
    Command::ExpireProducers(ExpireProducers { before_ms: 1 }).encode(&mut expire);
    expire[2] += 1;
    expire.push(0);
    assert!(apply(&expire).is_err());
}

#[test]
fn a_length_of_four_gigabytes_allocates_nothing() {
    let mut iterator = decode_commands(&[1, 1, 255, 255, 255, 255, 0]);
    assert!(matches!(iterator.next(), Some(Err(_))));
    assert!(iterator.next().is_none(), "after the first error it ends");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4_000, ..ProptestConfig::default() })]

    #[test]
    fn random_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let _ = apply(&bytes);
    }

    #[test]
    fn mutated_commands_never_panic(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6)
    ) {
        let mut bytes = section();
        for (at, value) in changes {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        let _ = apply(&bytes);
    }

    #[test]
    fn any_numbers_in_a_batch_have_a_result(
        offset: i64, delta: i32, count: i32, id: i64, epoch: i16, sequence: i32,
        times: (i64, i64), place: (u32, u32), leader_epoch: i32
    ) {
        let mut leader = Leader::with_partition(PartitionConfig::default());
        let mut entry = EntryBuilder::new();
        leader.decide(&mut entry, 0, &batch(1)).unwrap();
        let Some(Ok(Command::AppendBatch(mut append))) = decode_commands(&entry.finish()).next()
        else { panic!("a batch was decided") };
        for (keep_offset, keep_count) in [(true, true), (true, false), (false, true), (false, false)] {
            let honest = append;
            if !keep_offset { append.base_offset = offset; append.leader_epoch = leader_epoch; }
            if !keep_count { append.record_count = count; append.last_offset_delta = delta; }
            (append.producer_id, append.producer_epoch, append.base_sequence) = (id, epoch, sequence);
            (append.base_timestamp_ms, append.max_timestamp_ms) = times;
            (append.payload_start, append.payload_len_bytes) = place;
            let mut bytes = Vec::new();
            Command::AppendBatch(append).encode(&mut bytes);
            prop_assert_eq!(apply(&bytes), Ok(1));
            append = honest;
        }
    }
}
