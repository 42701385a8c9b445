//! The same log leaves the same state, however it is read.

use proptest::prelude::*;

use super::support::{Leader, batch, create, idempotent, key};
use crate::{Command, CreatePartition, EntryBuilder, PartitionConfig, PlantedBugs, Shard};

/// A log with something of everything in it.
fn story() -> Leader {
    let config = PartitionConfig { segment_bytes: 2_000, ..PartitionConfig::default() };
    let mut leader = Leader::with_partition(config);
    leader.create(&CreatePartition { epoch_base: 40, ..create(1, config) });
    for turn in 0..30_i32 {
        leader.time_ms += 250;
        let mut entry = EntryBuilder::new();
        leader.decide(&mut entry, 0, &idempotent(1, 0, turn * 3, 3)).unwrap();
        leader.decide(&mut entry, 1, &batch(turn % 5 + 1)).unwrap();
        leader.decide(&mut entry, 1, &idempotent(i64::from(turn % 7), 1, turn / 7, 1)).unwrap();
        leader.send(entry);
        leader.commit_all();
        if turn % 10 == 9 {
            leader.lose_and_lead_again();
            let before = i64::from(turn);
            leader.admin(|decider, shard, entry, _| {
                decider.propose_delete_records(shard, entry, key(0), before)
            });
        }
    }
    leader.admin(|decider, shard, entry, _| {
        let config = PartitionConfig { retention_bytes: 3_000, ..config };
        decider.propose_config(shard, entry, key(1), config)
    });
    let mut entry = EntryBuilder::new();
    assert!(leader.decider.propose_retention(&leader.shard, &mut entry, leader.time_ms) > 0);
    leader.send(entry);
    leader.commit_all();
    leader.admin(|decider, shard, entry, now_ms| {
        decider.propose_expire_producers(shard, entry, now_ms, 1_000)
    });
    leader
}

#[test]
fn the_same_log_leaves_the_same_state_and_hash() {
    let leader = story();
    let mut follower = Shard::new();
    for (facts, commands) in &leader.committed {
        follower.apply(*facts, commands).unwrap();
    }
    assert_eq!(follower, leader.shard);
    assert_eq!(follower.hash(), leader.shard.hash());
    assert_eq!(follower.snapshot(), leader.shard.snapshot());
}

#[test]
fn a_replica_restored_in_the_middle_ends_as_one_that_read_everything() {
    let leader = story();
    for middle in 0..=leader.committed.len() {
        let mut shard = Shard::new();
        for (facts, commands) in &leader.committed[..middle] {
            shard.apply(*facts, commands).unwrap();
        }
        let mut shard = Shard::restore(&shard.snapshot()).unwrap();
        for (facts, commands) in &leader.committed[middle..] {
            shard.apply(*facts, commands).unwrap();
        }
        assert_eq!(shard, leader.shard, "restored after {middle} entries");
    }
}

#[test]
fn a_replica_that_applies_otherwise_has_another_hash() {
    let leader = story();
    let bugs = PlantedBugs { sequence_not_restored: true, ..PlantedBugs::default() };
    let mut forgetful = Shard::new();
    forgetful.plant(bugs);
    for (facts, commands) in &leader.committed {
        forgetful.apply(*facts, commands).unwrap();
    }
    assert_ne!(forgetful.hash(), leader.shard.hash());
}

#[test]
fn a_snapshot_is_restored_whole_or_not_at_all() {
    let snapshot = story().shard.snapshot();
    for len in 0..snapshot.len() {
        assert!(Shard::restore(&snapshot[..len]).is_err(), "cut to {len} bytes");
    }
    for at in 0..snapshot.len() {
        let mut damaged = snapshot.clone();
        damaged[at] ^= 0x10;
        assert!(Shard::restore(&damaged).is_err(), "byte {at} flipped");
    }
}

fn restore_with_check(mut body: Vec<u8>) -> Result<Shard, crate::BrokenInvariant> {
    let mut check = crate::digest::Digest::EMPTY;
    check.bytes(&body);
    body.extend_from_slice(&check.value().to_le_bytes());
    Shard::restore(&body)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

    #[test]
    fn a_snapshot_with_a_matching_check_may_still_lie_and_never_panics(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4)
    ) {
        let mut body = story().shard.snapshot();
        body.truncate(body.len() - 8);
        for (at, value) in changes {
            let at = at.index(body.len());
            body[at] = value;
        }
        if let Ok(shard) = restore_with_check(body) {
            // Whatever it says, it is a state that can go on.
            for (key, partition) in shard.partitions() {
                prop_assert!(partition.log_start() <= partition.high_watermark(), "{}", key);
                let _ = (partition.bytes(), partition.max_timestamp());
            }
        }
    }
}

#[test]
fn the_first_commands_ever_written_still_mean_the_same() {
    let leader = {
        let mut leader = Leader::with_partition(PartitionConfig::default());
        leader.append(&idempotent(1, 0, 0, 2));
        leader
    };
    let commands = &leader.committed[1].1;
    assert_eq!(commands.len(), 110);
    assert_eq!(commands[..6], [1, 1, 104, 0, 0, 0]);
    assert_eq!(commands[6..22], [7; 16], "topic id");
    assert_eq!(commands[26..30], [1, 0, 0, 0], "generation");
    assert_eq!(commands[86..90], [0xef, 0xbe, 0xed, 0xfe], "batch CRC");
    let all: Vec<Command> = crate::decode_commands(commands).collect::<Result<_, _>>().unwrap();
    let mut again = Vec::new();
    for command in &all {
        command.encode(&mut again);
    }
    assert_eq!(again, *commands);
}
