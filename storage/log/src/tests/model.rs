//! The leader against a model that keeps the whole log and looks everything up by walking it.

use proptest::prelude::*;

use super::support::{Leader, idempotent, key};
use crate::{Decision, PartitionConfig, Refused, Shard};

#[derive(Clone, Copy, Debug)]
enum Sequence {
    Next,
    /// The batch that many back, same number of records.
    Again(usize),
    At(i32),
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Produce { id: i64, epoch: i16, sequence: Sequence, count: i32 },
    CommitOne,
    CommitAll,
    LoseAndLeadAgain,
    ExpireAll,
    DeleteEverything,
    SnapshotAndRestore,
}

fn sequences() -> impl Strategy<Value = Sequence> {
    prop_oneof![
        6 => Just(Sequence::Next),
        4 => (0_usize..8).prop_map(Sequence::Again),
        2 => prop_oneof![Just(0), Just(1), Just(i32::MAX), Just(i32::MAX - 3)]
            .prop_map(Sequence::At),
        1 => (0_i32..20).prop_map(Sequence::At),
    ]
}

fn steps() -> impl Strategy<Value = Step> {
    prop_oneof![
        12 => (0_i64..3, prop_oneof![5 => Just(0_i16), 2 => Just(1), 1 => Just(2)], sequences(), 1_i32..5)
            .prop_map(|(id, epoch, sequence, count)| Step::Produce { id, epoch, sequence, count }),
        4 => Just(Step::CommitOne),
        2 => Just(Step::CommitAll),
        1 => Just(Step::LoseAndLeadAgain),
        1 => Just(Step::ExpireAll),
        1 => Just(Step::DeleteEverything),
        1 => Just(Step::SnapshotAndRestore),
    ]
}

#[derive(Clone, Copy, Debug)]
struct Written {
    id: i64,
    epoch: i16,
    sequence: i32,
    count: i32,
    offset: i64,
}

#[derive(Debug, PartialEq)]
enum Expected {
    Append(i64),
    Duplicate(i64),
    InFlight(i64),
    Stale,
    OutOfOrder,
}

#[derive(Default)]
struct Model {
    log: Vec<Written>,
    committed: usize,
    /// Batches before this one are forgotten.
    known_from: usize,
}

fn step_on(sequence: i32, steps: i32) -> i32 {
    ((i64::from(sequence) + i64::from(steps)) % (1_i64 << 31)) as i32
}

impl Model {
    fn end(&self) -> i64 {
        self.log.last().map_or(0, |batch| batch.offset + i64::from(batch.count))
    }

    fn of(&self, id: i64) -> Vec<Written> {
        self.log[self.known_from..].iter().filter(|batch| batch.id == id).copied().collect()
    }

    fn produce(&mut self, id: i64, epoch: i16, sequence: i32, count: i32) -> Expected {
        let offset = self.end();
        let mine = self.of(id);
        if let Some(last) = mine.last() {
            if epoch < last.epoch {
                return Expected::Stale;
            }
            if epoch > last.epoch {
                if sequence != 0 {
                    return Expected::OutOfOrder;
                }
            } else {
                let same_epoch = mine.iter().rev().take_while(|batch| batch.epoch == epoch).take(5);
                for batch in same_epoch {
                    if batch.sequence == sequence && batch.count == count {
                        let committed = self.log[..self.committed]
                            .iter()
                            .any(|done| done.offset == batch.offset);
                        return if committed {
                            Expected::Duplicate(batch.offset)
                        } else {
                            Expected::InFlight(batch.offset)
                        };
                    }
                }
                if sequence != step_on(last.sequence, last.count) {
                    return Expected::OutOfOrder;
                }
            }
        }
        self.log.push(Written { id, epoch, sequence, count, offset });
        Expected::Append(offset)
    }
}

fn got(decision: Result<Decision, Refused>) -> Expected {
    match decision {
        Ok(Decision::Append { base_offset, .. }) => Expected::Append(base_offset),
        Ok(Decision::Duplicate { base_offset, .. }) => Expected::Duplicate(base_offset),
        Ok(Decision::DuplicateInFlight { base_offset, .. }) => Expected::InFlight(base_offset),
        Err(Refused::StaleProducerEpoch { .. }) => Expected::Stale,
        Err(Refused::OutOfOrderSequence { .. }) => Expected::OutOfOrder,
        Err(other) => panic!("unexpected: {other}"),
    }
}

fn run(steps: Vec<Step>) -> Result<(), TestCaseError> {
    let mut leader = Leader::with_partition(PartitionConfig::default());
    let mut model = Model::default();
    for step in steps {
        match step {
            Step::Produce { id, epoch, sequence, count } => {
                let mine = model.of(id);
                let (sequence, count) = match sequence {
                    Sequence::At(sequence) => (sequence, count),
                    Sequence::Next => {
                        (mine.last().map_or(0, |last| step_on(last.sequence, last.count)), count)
                    }
                    Sequence::Again(back) => mine
                        .iter()
                        .rev()
                        .nth(back)
                        .map_or((0, count), |batch| (batch.sequence, batch.count)),
                };
                let expected = model.produce(id, epoch, sequence, count);
                let decision = leader.produce(&idempotent(id, epoch, sequence, count));
                prop_assert_eq!(got(decision), expected);
            }
            Step::CommitOne => {
                if let Some(applied) = leader.commit_one() {
                    prop_assert!(applied.refused.is_empty(), "{:?}", applied.outcomes);
                    model.committed += 1;
                }
            }
            Step::CommitAll => {
                for applied in leader.commit_all() {
                    prop_assert!(applied.refused.is_empty(), "{:?}", applied.outcomes);
                    model.committed += 1;
                }
                prop_assert!(leader.decider.is_settled());
            }
            Step::LoseAndLeadAgain => {
                leader.lose_and_lead_again();
                model.log.truncate(model.committed);
            }
            Step::ExpireAll => {
                leader.commit_all();
                model.committed = model.log.len();
                leader.time_ms += 100;
                leader.admin(|decider, shard, entry, now_ms| {
                    decider.propose_expire_producers(shard, entry, now_ms, 50)
                });
                model.known_from = model.log.len();
            }
            Step::DeleteEverything => {
                leader.commit_all();
                model.committed = model.log.len();
                leader.admin(|decider, shard, entry, _| {
                    decider.propose_delete_records(shard, entry, key(0), -1)
                });
                let partition = leader.shard.partition(&key(0)).expect("partition 0");
                prop_assert_eq!(partition.log_start(), model.end());
            }
            Step::SnapshotAndRestore => {
                let restored = Shard::restore(&leader.shard.snapshot()).expect("our own snapshot");
                prop_assert_eq!(&restored, &leader.shard);
                leader.shard = restored;
            }
        }
        prop_assert_eq!(leader.decider.log_end(&leader.shard, &key(0)), Some(model.end()));
    }
    leader.commit_all();
    prop_assert_eq!(leader.high_watermark(), model.end());
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, ..ProptestConfig::default() })]

    #[test]
    fn idempotent_producers_are_judged_as_by_a_model_that_remembers_everything(
        steps in prop::collection::vec(steps(), 1..80)
    ) {
        run(steps)?;
    }
}

#[test]
fn the_sequence_after_the_largest_is_zero() {
    let mut leader = Leader::with_partition(PartitionConfig::default());
    leader.append(&idempotent(1, 0, i32::MAX - 1, 2));
    assert_eq!(leader.append(&idempotent(1, 0, 0, 3)), 2);

    let mut across = Leader::with_partition(PartitionConfig::default());
    across.append(&idempotent(1, 0, i32::MAX, 3));
    assert_eq!(across.append(&idempotent(1, 0, 2, 1)), 3);
    let again = across.produce(&idempotent(1, 0, i32::MAX, 3));
    assert_eq!(again, Ok(Decision::Duplicate { base_offset: 0, log_append_time_ms: -1 }));
}

#[test]
fn the_fifth_batch_back_is_a_duplicate_and_the_sixth_is_out_of_order() {
    let mut leader = Leader::with_partition(PartitionConfig::default());
    for sequence in 0..6 {
        leader.append(&idempotent(1, 0, sequence, 1));
    }
    let fifth = leader.produce(&idempotent(1, 0, 1, 1));
    assert_eq!(fifth, Ok(Decision::Duplicate { base_offset: 1, log_append_time_ms: -1 }));
    let sixth = leader.produce(&idempotent(1, 0, 0, 1));
    assert_eq!(sixth, Err(Refused::OutOfOrderSequence { expected: 6, got: 0 }));
}

#[test]
fn a_duplicate_under_log_append_time_hears_the_first_time_again() {
    let config = PartitionConfig {
        timestamp_type: holdfast_batch::TimestampType::LogAppendTime,
        ..PartitionConfig::default()
    };
    let mut leader = Leader::with_partition(config);
    let first_ms = leader.time_ms;
    leader.append(&idempotent(1, 0, 0, 2));
    leader.time_ms += 5_000;
    let again = leader.produce(&idempotent(1, 0, 0, 2));
    assert_eq!(again, Ok(Decision::Duplicate { base_offset: 0, log_append_time_ms: first_ms }));
}

#[test]
fn a_silent_producer_is_forgotten_after_its_time_and_a_busy_one_is_not() {
    const DAY_MS: i64 = 86_400_000;
    let mut leader = Leader::with_partition(PartitionConfig::default());
    leader.append(&idempotent(1, 0, 0, 1));
    leader.time_ms += DAY_MS;
    let mut late = idempotent(2, 0, 0, 1);
    late.max_timestamp_ms = leader.time_ms;
    leader.append(&late);
    let outcome = leader.admin(|decider, shard, entry, now_ms| {
        decider.propose_expire_producers(shard, entry, now_ms, DAY_MS)
    });
    assert_eq!(outcome, crate::CommandOutcome::NoChange, "one day is not yet more than one day");
    leader.time_ms += 1;
    let outcome = leader.admin(|decider, shard, entry, now_ms| {
        decider.propose_expire_producers(shard, entry, now_ms, DAY_MS)
    });
    assert_eq!(outcome, crate::CommandOutcome::Expired(1));
    assert_eq!(leader.append(&idempotent(1, 0, 77, 1)), 2, "any first sequence");
    let busy = leader.produce(&idempotent(2, 0, 77, 1));
    assert_eq!(busy, Err(Refused::OutOfOrderSequence { expected: 1, got: 77 }));
}
