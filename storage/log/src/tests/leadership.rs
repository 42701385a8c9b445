//! What a leader decided and lost, and what it decided and was refused.

use super::support::{Leader, appended_offsets, batch, create, idempotent, key};
use crate::{
    AppendBatch, Command, CommandOutcome, Decision, EntryBuilder, PartitionConfig, Refused,
    decode_commands,
};

fn base_offset(decision: Result<Decision, Refused>) -> i64 {
    match decision {
        Ok(Decision::Append { base_offset, .. }) => base_offset,
        other => panic!("not appended: {other:?}"),
    }
}

#[test]
fn what_was_decided_and_lost_leaves_no_gap_and_no_sequence_behind() {
    let mut leader = Leader::with_partition(PartitionConfig::default());
    leader.append(&idempotent(1, 0, 0, 10));
    assert_eq!(base_offset(leader.produce(&idempotent(1, 0, 10, 5))), 10);
    assert_eq!(base_offset(leader.produce(&idempotent(1, 0, 15, 5))), 15);
    leader.lose_and_lead_again();
    assert_eq!(base_offset(leader.produce(&idempotent(1, 0, 10, 5))), 10);
    assert_eq!(appended_offsets(&leader.commit_all()), [10]);
}

#[test]
fn a_retry_after_failover_is_found_when_its_first_copy_survived() {
    let mut leader = Leader::with_partition(PartitionConfig::default());
    leader.produce(&idempotent(1, 0, 0, 3)).unwrap();
    // The entry commits although its leader never hears of it: the successor applies it.
    leader.commit_all();
    leader.lose_and_lead_again();
    let retry = leader.produce(&idempotent(1, 0, 0, 3));
    assert_eq!(retry, Ok(Decision::Duplicate { base_offset: 0, log_append_time_ms: -1 }));
}

#[test]
fn a_duplicate_of_a_batch_under_way_waits_for_that_batch() {
    let mut leader = Leader::with_partition(PartitionConfig::default());
    leader.produce(&idempotent(1, 0, 0, 3)).unwrap();
    let waiting =
        Decision::DuplicateInFlight { base_offset: 0, last_offset: 2, log_append_time_ms: -1 };
    assert_eq!(leader.produce(&idempotent(1, 0, 0, 3)), Ok(waiting));
    leader.commit_all();
    let committed = Decision::Duplicate { base_offset: 0, log_append_time_ms: -1 };
    assert_eq!(leader.produce(&idempotent(1, 0, 0, 3)), Ok(committed));
}

/// Sends the commands decided so far with their first batch's offset off by one.
fn send_with_wrong_first_offset(leader: &mut Leader, entry: EntryBuilder) {
    let mut commands: Vec<Command> =
        decode_commands(&entry.finish()).collect::<Result<_, _>>().unwrap();
    let first = commands
        .iter_mut()
        .find_map(|command| match command {
            Command::AppendBatch(batch) => Some(batch),
            _ => None,
        })
        .unwrap();
    first.base_offset += 1;
    let mut bytes = Vec::new();
    for command in commands {
        command.encode(&mut bytes);
    }
    leader.send_bytes(bytes);
}

#[test]
fn a_refused_batch_takes_all_behind_it_of_its_partition_along_and_no_other() {
    let mut leader = Leader::with_partition(PartitionConfig::default());
    leader.create(&create(1, PartitionConfig::default()));
    let mut entry = EntryBuilder::new();
    leader.decide(&mut entry, 0, &batch(1)).unwrap();
    leader.decide(&mut entry, 0, &batch(1)).unwrap();
    leader.decide(&mut entry, 1, &batch(1)).unwrap();
    send_with_wrong_first_offset(&mut leader, entry);
    // Decided behind them, in an entry of its own.
    leader.produce(&batch(1)).unwrap();

    let applied = leader.commit_one().unwrap();
    assert_eq!(
        applied.outcomes[..2],
        [
            CommandOutcome::Refused(Refused::OffsetMismatch { expected: 0, got: 1 }),
            CommandOutcome::Refused(Refused::BehindRefused),
        ]
    );
    assert!(matches!(applied.outcomes[2], CommandOutcome::Appended { base_offset: 0, .. }));
    assert_eq!(applied.refused, [key(0), key(0)]);
    assert_eq!(applied.changed, [key(1)]);

    assert_eq!(leader.produce(&batch(1)), Err(Refused::Unsettled));
    let behind = leader.commit_one().unwrap();
    let mismatch = Refused::OffsetMismatch { expected: 0, got: 2 };
    assert_eq!(behind.outcomes, [CommandOutcome::Refused(mismatch)]);
    assert!(leader.decider.is_settled());
    assert_eq!(leader.append(&batch(1)), 0);
}

#[test]
fn an_entry_raft_did_not_take_never_happened() {
    let mut leader = Leader::with_partition(PartitionConfig::default());
    leader.produce(&idempotent(1, 0, 0, 2)).unwrap();
    let mut dropped = EntryBuilder::new();
    leader.decide(&mut dropped, 0, &idempotent(1, 0, 2, 2)).unwrap();
    let batches = dropped.batches().to_vec();
    leader.decider.entry_dropped(&batches);

    assert_eq!(leader.produce(&idempotent(1, 0, 2, 2)), Err(Refused::Unsettled));
    assert_eq!(appended_offsets(&leader.commit_all()), [0]);
    assert!(leader.decider.is_settled());
    assert_eq!(leader.append(&idempotent(1, 0, 2, 2)), 2);
}

#[test]
fn a_partition_removed_under_way_refuses_what_was_decided_for_it() {
    let mut leader = Leader::with_partition(PartitionConfig::default());
    let mut entry = EntryBuilder::new();
    let remove = crate::RemovePartition { partition: key(0), generation: 1 };
    leader.decider.propose_remove_partition(&leader.shard, &mut entry, &remove).unwrap();
    leader.decide(&mut entry, 0, &batch(1)).unwrap();
    leader.send(entry);
    let applied = leader.commit_one().unwrap();
    assert_eq!(
        applied.outcomes,
        [CommandOutcome::Removed, CommandOutcome::Refused(Refused::UnknownPartition)]
    );
    assert_eq!(applied.removed, [key(0)]);
    assert!(leader.decider.is_settled());
}

#[test]
fn batches_lie_back_to_back_in_the_payload_and_the_commands_say_where() {
    let mut leader = Leader::with_partition(PartitionConfig::default());
    leader.create(&create(1, PartitionConfig::default()));
    let mut entry = EntryBuilder::new();
    let first = leader.decide(&mut entry, 0, &batch(1)).unwrap();
    let second = leader.decide(&mut entry, 1, &batch(2)).unwrap();
    let Decision::Append { payload_start: 0, command_ordinal: 0, .. } = first else {
        panic!("{first:?}")
    };
    let Decision::Append { payload_start: 161, command_ordinal: 1, .. } = second else {
        panic!("{second:?}")
    };
    assert_eq!(entry.payload_len(), 161 + 261);
    entry.set_batch_crc(1, 0xabcd);
    let places = entry.batches().to_vec();
    let appended: Vec<AppendBatch> = decode_commands(&entry.finish())
        .map(|command| match command.unwrap() {
            Command::AppendBatch(batch) => batch,
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(appended[0].batch_crc, 0xfeed_beef);
    assert_eq!(appended[1].batch_crc, 0xabcd);
    for (place, batch) in places.iter().zip(&appended) {
        assert_eq!(place.payload_start, batch.payload_start);
        assert_eq!(place.payload_len_bytes, batch.payload_len_bytes);
        assert_eq!(place.partition, batch.partition);
    }
}

#[test]
fn an_entry_holds_four_mebibytes_or_one_larger_batch() {
    let config = PartitionConfig { max_message_bytes: 16 << 20, ..PartitionConfig::default() };
    let mut leader = Leader::with_partition(config);
    let mut large = batch(1);
    large.batch_length = (5 << 20) - 12;
    let mut alone = EntryBuilder::new();
    leader.decide(&mut alone, 0, &large).unwrap();
    assert_eq!(leader.decide(&mut alone, 0, &batch(1)), Err(Refused::EntryFull));
    leader.send(alone);

    let mut half = batch(1);
    half.batch_length = (2 << 20) - 12;
    let mut shared = EntryBuilder::new();
    leader.decide(&mut shared, 0, &half).unwrap();
    leader.decide(&mut shared, 0, &half).unwrap();
    assert_eq!(leader.decide(&mut shared, 0, &batch(1)), Err(Refused::EntryFull));
    leader.send(shared);
    // The refusals decided nothing: the offsets have no gap.
    assert_eq!(appended_offsets(&leader.commit_all()), [0, 1, 2]);
}

#[test]
fn a_pipeline_that_never_drains_keeps_only_producers_under_way() {
    let mut leader = Leader::with_partition(PartitionConfig::default());
    for id in 0..200 {
        leader.produce(&idempotent(id, 0, 0, 1)).unwrap();
        if id >= 3 {
            leader.commit_one().unwrap();
            assert!(!leader.decider.is_settled());
            assert_eq!(leader.decider.producers_under_way(), 3);
        }
    }
    leader.commit_all();
    assert!(leader.decider.is_settled());
}

#[test]
fn what_this_leader_did_not_decide_passes_its_layer_by() {
    let mut leader = Leader::with_partition(PartitionConfig::default());
    leader.produce(&batch(2)).unwrap();
    // A follower: entries are applied, nothing was decided here.
    let mut follower = crate::Decider::new();
    let (facts, commands) = leader.under_way[0].clone();
    let applied = leader.shard.apply(facts, &commands).unwrap();
    follower.applied(&leader.shard, &applied);
    assert!(follower.is_settled());
    assert_eq!(follower.log_end(&leader.shard, &key(0)), Some(2));
}

#[test]
fn a_partition_that_moved_and_went_in_one_entry_is_gone_and_not_changed() {
    let mut leader = Leader::with_partition(PartitionConfig::default());
    let mut entry = EntryBuilder::new();
    leader.decide(&mut entry, 0, &batch(1)).unwrap();
    let remove = crate::RemovePartition { partition: key(0), generation: 1 };
    leader.decider.propose_remove_partition(&leader.shard, &mut entry, &remove).unwrap();
    leader.send(entry);
    let applied = leader.commit_one().unwrap();
    assert_eq!(applied.removed, [key(0)]);
    assert!(applied.changed.is_empty());
    assert!(leader.decider.is_settled());
}
