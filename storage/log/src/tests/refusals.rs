//! Every reason not to do something, found by the leader and, where it can be, again by apply.

use holdfast_base::{Index, Term};
use holdfast_batch::TimestampType;

use super::support::{Leader, START_MS, batch, create, idempotent, key};
use crate::{
    AppendBatch, Command, CommandOutcome, CreatePartition, EntryBuilder, EntryFacts,
    PartitionConfig, Refused, RemovePartition, SetLogStart, decode_commands,
};

/// The command the leader makes of a batch.
fn honest(leader: &Leader, header: &holdfast_batch::BatchHeader) -> AppendBatch {
    let mut entry = EntryBuilder::new();
    let facts = crate::ProduceFacts {
        partition: key(0),
        header,
        term: Term(leader.term),
        time_ms: leader.time_ms,
    };
    crate::Decider::new().propose_produce(&leader.shard, &mut entry, facts).unwrap();
    match decode_commands(&entry.finish()).next() {
        Some(Ok(Command::AppendBatch(batch))) => batch,
        other => panic!("{other:?}"),
    }
}

fn apply_one(leader: &mut Leader, command: Command) -> CommandOutcome {
    let mut bytes = Vec::new();
    command.encode(&mut bytes);
    leader.send_bytes(bytes);
    leader.commit_one().unwrap().outcomes[0]
}

fn refused_at_apply(change: impl FnOnce(&mut AppendBatch)) -> Refused {
    let mut leader = Leader::with_partition(PartitionConfig::default());
    leader.append(&idempotent(1, 3, 5, 2));
    let mut command = honest(&leader, &idempotent(1, 3, 7, 2));
    change(&mut command);
    let before = leader.shard.partition(&key(0)).unwrap().clone();
    let outcome = apply_one(&mut leader, Command::AppendBatch(command));
    let CommandOutcome::Refused(refused) = outcome else { panic!("{outcome:?}") };
    if let Some(after) = leader.shard.partition(&key(0)) {
        assert_eq!(*after, before, "a refusal changes nothing");
    }
    refused
}

#[test]
fn apply_refuses_every_lie_about_a_batch_and_changes_nothing() {
    assert_eq!(refused_at_apply(|batch| batch.partition = key(9)), Refused::UnknownPartition);
    assert_eq!(
        refused_at_apply(|batch| batch.generation = 2),
        Refused::WrongGeneration { have: 1, named: 2 }
    );
    for leader_epoch in [0, 2, -1, i32::MAX] {
        assert_eq!(
            refused_at_apply(|batch| batch.leader_epoch = leader_epoch),
            Refused::WrongLeaderEpoch { expected: 1, got: leader_epoch }
        );
    }
    assert_eq!(
        refused_at_apply(|batch| batch.epoch_base = 1),
        Refused::WrongLeaderEpoch { expected: 1, got: 1 }
    );
    for base_offset in [0, 1, 3, -1, i64::MAX, i64::MIN] {
        assert_eq!(
            refused_at_apply(|batch| batch.base_offset = base_offset),
            Refused::OffsetMismatch { expected: 2, got: base_offset }
        );
    }
    let counts = [(0, -1), (-1, -2), (2, 0), (1, i32::MAX), (i32::MIN, i32::MAX)];
    for (record_count, last_offset_delta) in counts {
        let refused = refused_at_apply(|batch| {
            batch.record_count = record_count;
            batch.last_offset_delta = last_offset_delta;
        });
        assert!(matches!(refused, Refused::InvalidRecord { .. }), "{refused:?}");
    }
    let refused = refused_at_apply(|batch| batch.payload_start = u32::MAX);
    assert!(matches!(refused, Refused::InvalidRecord { .. }));
    let refused = refused_at_apply(|batch| batch.producer_id = -2);
    assert!(matches!(refused, Refused::InvalidRecord { .. }));
    let refused = refused_at_apply(|batch| batch.base_sequence = -1);
    assert!(matches!(refused, Refused::InvalidRecord { .. }));
    assert_eq!(
        refused_at_apply(|batch| batch.base_sequence = 8),
        Refused::OutOfOrderSequence { expected: 7, got: 8 }
    );
    assert_eq!(
        refused_at_apply(|batch| batch.base_sequence = 5),
        Refused::AlreadyAppended { base_offset: 0 }
    );
    assert_eq!(
        refused_at_apply(|batch| batch.producer_epoch = 2),
        Refused::StaleProducerEpoch { have: 3, named: 2 }
    );
    assert_eq!(
        refused_at_apply(|batch| batch.producer_epoch = 4),
        Refused::OutOfOrderSequence { expected: 0, got: 7 }
    );
}

#[test]
fn the_leader_refuses_what_it_must_not_decide() {
    let mut leader = Leader::with_partition(PartitionConfig::default());
    let mut entry = EntryBuilder::new();
    let unknown = leader.decide(&mut entry, 9, &batch(1));
    assert_eq!(unknown, Err(Refused::UnknownPartition));
    let attributes =
        [(0x10, "transactional"), (0x20, "control"), (0x40, "horizon"), (0x08, "time")];
    for (bits, what) in attributes {
        let mut header = batch(1);
        header.attributes = bits;
        let refused = leader.produce(&header);
        assert!(matches!(refused, Err(Refused::InvalidRecord { .. })), "{what}: {refused:?}");
    }
    let mut lying = batch(2);
    lying.last_offset_delta = 5;
    assert!(matches!(leader.produce(&lying), Err(Refused::InvalidRecord { .. })));
    let no_sequence = idempotent(1, 0, -1, 1);
    assert!(matches!(leader.produce(&no_sequence), Err(Refused::InvalidRecord { .. })));

    let mut large = batch(1);
    large.batch_length = 1_048_588 - 12;
    assert!(leader.produce(&large).is_ok(), "the limit itself is allowed");
    large.batch_length += 1;
    let refused = Refused::TooLarge { bytes: 1_048_589, limit_bytes: 1_048_588 };
    assert_eq!(leader.produce(&large), Err(refused));
}

#[test]
fn timestamps_too_far_from_the_leaders_clock_are_refused_unless_the_broker_sets_them() {
    let config = PartitionConfig {
        timestamp_before_max_ms: 1_000,
        timestamp_after_max_ms: 500,
        ..PartitionConfig::default()
    };
    let mut leader = Leader::with_partition(config);
    let stamped = |base: i64, max: i64| {
        let mut header = batch(1);
        header.base_timestamp_ms = START_MS + base;
        header.max_timestamp_ms = START_MS + max;
        header
    };
    assert!(leader.produce(&stamped(-1_000, 500)).is_ok());
    let now_ms = START_MS;
    assert_eq!(
        leader.produce(&stamped(-1_001, 0)),
        Err(Refused::InvalidTimestamp { timestamp_ms: START_MS - 1_001, now_ms })
    );
    assert_eq!(
        leader.produce(&stamped(0, 501)),
        Err(Refused::InvalidTimestamp { timestamp_ms: START_MS + 501, now_ms })
    );
    let mut none = batch(1);
    (none.base_timestamp_ms, none.max_timestamp_ms) = (-1, -1);
    assert!(leader.produce(&none).is_ok(), "no timestamp is no lie");

    let append_time = PartitionConfig { timestamp_type: TimestampType::LogAppendTime, ..config };
    let mut leader = Leader::with_partition(append_time);
    assert!(leader.produce(&stamped(-9_999, 9_999)).is_ok());
}

#[test]
fn leader_epochs_are_refused_before_they_wrap() {
    let mut leader = Leader::new();
    let near_the_end =
        CreatePartition { epoch_base: i32::MAX - 1, ..create(0, PartitionConfig::default()) };
    leader.create(&near_the_end);
    leader.append(&batch(1));
    let command = honest(&leader, &batch(1));
    leader.lose_and_lead_again();
    assert_eq!(leader.produce(&batch(1)), Err(Refused::EpochOverflow));
    let outcome = apply_one(&mut leader, Command::AppendBatch(command));
    assert_eq!(outcome, CommandOutcome::Refused(Refused::EpochOverflow));
    leader.term = u64::MAX;
    assert_eq!(leader.produce(&batch(1)), Err(Refused::EpochOverflow));
}

#[test]
fn partitions_are_created_and_removed_once_and_another_generation_is_refused() {
    let mut leader = Leader::new();
    let first = create(0, PartitionConfig::default());
    assert_eq!(apply_one(&mut leader, Command::CreatePartition(first)), CommandOutcome::Created);
    assert_eq!(apply_one(&mut leader, Command::CreatePartition(first)), CommandOutcome::NoChange);
    assert_eq!(leader.create(&first), CommandOutcome::NoChange);
    let wrong = CommandOutcome::Refused(Refused::WrongGeneration { have: 1, named: 2 });
    let second = CreatePartition { generation: 2, ..first };
    assert_eq!(apply_one(&mut leader, Command::CreatePartition(second)), wrong);
    assert_eq!(leader.create(&second), wrong);
    let remove = RemovePartition { partition: key(0), generation: 2 };
    assert_eq!(apply_one(&mut leader, Command::RemovePartition(remove)), wrong);
    let remove = RemovePartition { generation: 1, ..remove };
    assert_eq!(apply_one(&mut leader, Command::RemovePartition(remove)), CommandOutcome::Removed);
    assert_eq!(apply_one(&mut leader, Command::RemovePartition(remove)), CommandOutcome::NoChange);
    assert_eq!(leader.create(&second), CommandOutcome::Created);
    assert_eq!(leader.shard.partition(&key(0)).unwrap().generation(), 2);
}

#[test]
fn a_configuration_apply_could_not_decode_is_never_proposed() {
    let wrong = PartitionConfig { segment_bytes: 0, ..PartitionConfig::default() };
    let mut leader = Leader::with_partition(PartitionConfig::default());
    for outcome in [
        leader.create(&create(5, wrong)),
        leader.create(&CreatePartition { epoch_base: -1, ..create(5, PartitionConfig::default()) }),
        leader
            .admin(|decider, shard, entry, _| decider.propose_config(shard, entry, key(0), wrong)),
    ] {
        assert!(matches!(outcome, CommandOutcome::Refused(Refused::InvalidRecord { .. })));
    }
    let right = PartitionConfig { retention_ms: 5, ..PartitionConfig::default() };
    let set = |leader: &mut Leader| {
        leader.admin(|decider, shard, entry, _| decider.propose_config(shard, entry, key(0), right))
    };
    assert_eq!(set(&mut leader), CommandOutcome::ConfigSet);
    assert_eq!(set(&mut leader), CommandOutcome::NoChange);
}

#[test]
fn the_log_start_stays_between_zero_and_the_high_watermark() {
    let mut leader = Leader::with_partition(PartitionConfig::default());
    leader.append(&batch(10));
    leader.produce(&batch(10)).unwrap();
    let beyond =
        CommandOutcome::Refused(Refused::OffsetOutOfRange { asked: 11, high_watermark: 10 });
    let delete = |leader: &mut Leader, before_offset| {
        leader.admin(|decider, shard, entry, _| {
            decider.propose_delete_records(shard, entry, key(0), before_offset)
        })
    };
    assert_eq!(delete(&mut leader, 11), beyond, "decided is not committed");
    assert_eq!(delete(&mut leader, 4), CommandOutcome::LogStart(4));
    assert_eq!(leader.high_watermark(), 20);
    assert_eq!(delete(&mut leader, 4), CommandOutcome::NoChange);
    assert_eq!(delete(&mut leader, -1), CommandOutcome::LogStart(20));
    assert!(matches!(delete(&mut leader, -2), CommandOutcome::Refused(_)));
    for (before_offset, generation) in [(21, 1), (-1, 1), (i64::MAX, 1), (i64::MIN, 1), (5, 2)] {
        let set = SetLogStart { partition: key(0), generation, before_offset };
        let outcome = apply_one(&mut leader, Command::SetLogStart(set));
        assert!(matches!(outcome, CommandOutcome::Refused(_)), "{before_offset}: {outcome:?}");
    }
    let back = SetLogStart { partition: key(0), generation: 1, before_offset: 5 };
    let outcome = apply_one(&mut leader, Command::SetLogStart(back));
    assert_eq!(outcome, CommandOutcome::LogStart(20), "it never goes back");
}

#[test]
fn an_entry_out_of_its_place_term_or_time_breaks_an_invariant() {
    let mut leader = Leader::with_partition(PartitionConfig::default());
    leader.term = 4;
    leader.append(&batch(1));
    let last = leader.committed.last().unwrap().0;
    let wrong = [
        EntryFacts { term: Term(5), ..last },
        EntryFacts { index: last.index.next(), term: Term(3), ..last },
        EntryFacts { index: last.index.next(), time_ms: last.time_ms - 1, ..last },
    ];
    for facts in wrong {
        assert!(leader.shard.clone().apply(facts, &[]).is_err(), "{facts:?}");
    }
    let skipping = EntryFacts { index: Index(last.index.0 + 7), ..last };
    assert!(leader.shard.apply(skipping, &[]).is_ok(), "empty entries are not ours");
}
