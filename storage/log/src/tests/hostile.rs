//! Bytes nobody vouches for.

use holdfast_base::{CoordinatorSlot, Index, Term};
use proptest::prelude::*;

use super::objects::{intent, manifest, row, step};
use super::support::{Leader, START_MS, batch, commit, create, key, record};
use crate::{
    Command, CommitOffsets, EntryBuilder, EntryFacts, ExpireProducers, PartitionConfig, PutGroup,
    RemoveGroup, RemoveOffsets, RemovePartition, SetConfig, SetLogStart, Step, decode_commands,
};

/// One of each kind.
fn section() -> Vec<u8> {
    let mut leader = Leader::with_partition(PartitionConfig::default());
    let mut entry = EntryBuilder::new();
    leader.decide(&mut entry, 0, &batch(3)).unwrap();
    let mut bytes = entry.finish();
    let config = PartitionConfig::default();
    let slot = CoordinatorSlot(49);
    for command in [
        Command::CreatePartition(create(4, config)),
        Command::SetConfig(SetConfig { partition: key(0), generation: 1, config }),
        Command::SetLogStart(SetLogStart { partition: key(0), generation: 1, before_offset: 1 }),
        Command::ExpireProducers(ExpireProducers { before_ms: START_MS }),
        Command::RemovePartition(RemovePartition { partition: key(4), generation: 1 }),
        Command::PutGroup(PutGroup { slot, group: "g".into(), record: record(1, &["a", "b"]) }),
        Command::CommitOffsets(CommitOffsets {
            slot,
            group: "g".into(),
            offsets: vec![commit(0, 1), commit(1, 2)],
        }),
        Command::RemoveOffsets(RemoveOffsets {
            slot,
            group: "g".into(),
            planned_at: Index(u64::MAX),
            partitions: vec![key(0)],
        }),
        Command::RemoveGroup(RemoveGroup { slot, group: "g".into(), planned_at: Index(100) }),
        intent(1, 1, 1, 2),
        manifest(1, 1, &[row(key(0), 0, 4)]),
        step(1, Step::Abandon),
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
    assert_eq!(ends.len(), 14, "thirteen commands have thirteen ends: {ends:?}");
}

#[test]
fn unknown_kinds_versions_and_longer_bodies_are_broken_invariants() {
    let bytes = section();
    assert_eq!(apply(&bytes), Ok(13));
    for (at, value) in
        [(0, 0), (0, 7), (0, 11), (0, 14), (0, 255), (1, 0), (1, 2), (2, 103), (2, 105), (5, 255)]
    {
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

/// A command of this kind with this body.
fn framed(kind: u8, body: &[&[u8]]) -> Vec<u8> {
    let body = body.concat();
    let mut bytes = vec![kind, 1];
    bytes.extend_from_slice(&(body.len() as u32).to_le_bytes());
    bytes.extend_from_slice(&body);
    bytes
}

#[test]
fn lists_that_claim_four_billion_rows_are_broken_where_their_bytes_end() {
    let many = &[0xff; 4];
    let nobody: &[&[u8]] = &[&[0, 0, 1, 0, b'g'], &[0, 0], &[0; 4], &[0xff; 4], many];
    assert!(apply(&framed(7, nobody)).is_err());
    assert!(apply(&framed(9, &[&[0, 0, 1, 0, b'g'], many])).is_err());
    assert!(apply(&framed(9, &[&[0, 0, 1, 0, b'g'], many, &[0; 34]])).is_err());
    assert!(apply(&framed(10, &[&[0, 0, 1, 0, b'g'], &[0; 8], many, &[0; 20]])).is_err());
}

#[test]
fn texts_of_groups_are_utf_8_and_of_a_length_a_client_can_send() {
    let committed = |name: &[u8], metadata: &[u8]| {
        let len = |text: &[u8]| (text.len() as u16).to_le_bytes();
        let body: &[&[u8]] =
            &[&[0, 0], &len(name), name, &[1, 0, 0, 0], &[0; 32], &len(metadata), metadata];
        apply(&framed(9, body))
    };
    assert_eq!(committed(b"g", b""), Ok(1));
    assert_eq!(committed(&[b'g'; 32_767], &[b'm'; 32_767]), Ok(1));
    assert!(committed(&[0xc3], b"").is_err(), "half a letter");
    assert!(committed(b"g", &[0xff]).is_err());
    assert!(committed(&[b'g'; 32_768], b"").is_err());
    assert!(committed(b"g", &[b'm'; 65_535]).is_err(), "none is no metadata");
}

#[test]
fn members_out_of_order_or_twice_are_broken() {
    for members in [["b", "a"], ["a", "a"]] {
        let mut bytes = Vec::new();
        let put =
            PutGroup { slot: CoordinatorSlot(0), group: "g".into(), record: record(1, &members) };
        Command::PutGroup(put).encode(&mut bytes);
        assert!(apply(&bytes).is_err(), "{members:?}");
    }
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
