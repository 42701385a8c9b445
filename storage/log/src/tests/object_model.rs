//! Random histories with objects: every record that can be read is in an object or recalled from the
//! log, whatever was refused, abandoned, deleted or restored on the way.

use std::collections::BTreeMap;

use holdfast_base::{Index, PartitionKey, Term};
use proptest::prelude::*;

use super::support::{Leader, batch, create, key};
use crate::{
    AppendedBatch, Command, CommandOutcome, Decider, EntryBuilder, EntryFacts, Intent, Manifest,
    ManifestRow, OPEN_INTENTS_MAX, ObjectId, ObjectState, ObjectStep, PartitionConfig,
    RemovePartition, SetLogStart, Shard, Step, decode_commands,
};

/// Numbers pick one of what is there.
#[derive(Clone, Copy, Debug)]
enum Move {
    Append {
        partition: usize,
        count: i32,
    },
    /// A batch that does not fit, before two that would.
    AppendRefused {
        partition: usize,
    },
    Create,
    Remove {
        partition: usize,
    },
    DeleteRecords {
        partition: usize,
        percent: i64,
    },
    Announce {
        entries: usize,
    },
    Commit,
    CommitOutOfOrder,
    Abandon {
        open: usize,
    },
    /// Rows of that many partitions, back to back from a picked one on.
    AnnounceMerge {
        partitions: usize,
        first: usize,
        rows: usize,
    },
    CommitMerge,
    AbandonMerge,
    Tidy,
    NewTerm,
    Restore,
}

fn moves() -> impl Strategy<Value = Move> {
    let partition = 0_usize..8;
    prop_oneof![
        10 => (partition.clone(), 1_i32..4)
            .prop_map(|(partition, count)| Move::Append { partition, count }),
        3 => partition.clone().prop_map(|partition| Move::AppendRefused { partition }),
        1 => Just(Move::Create),
        1 => partition.clone().prop_map(|partition| Move::Remove { partition }),
        3 => (partition, 0_i64..=100)
            .prop_map(|(partition, percent)| Move::DeleteRecords { partition, percent }),
        6 => (1_usize..6).prop_map(|entries| Move::Announce { entries }),
        5 => Just(Move::Commit),
        1 => Just(Move::CommitOutOfOrder),
        1 => (0_usize..4).prop_map(|open| Move::Abandon { open }),
        5 => (1_usize..4, 0_usize..8, 1_usize..6).prop_map(|(partitions, first, rows)| {
            Move::AnnounceMerge { partitions, first, rows }
        }),
        4 => Just(Move::CommitMerge),
        1 => Just(Move::AbandonMerge),
        2 => Just(Move::Tidy),
        1 => Just(Move::NewTerm),
        1 => Just(Move::Restore),
    ]
}

/// A row that an object was said to hold, and how far its front may be dead.
#[derive(Clone, Copy)]
struct Held {
    row: ManifestRow,
    excused_to: i64,
}

struct Announced {
    intent: Intent,
    rows: BTreeMap<PartitionKey, ManifestRow>,
    /// For each partition of a merge, the log start by which it was planned.
    starts: BTreeMap<PartitionKey, i64>,
}

struct History {
    leader: Leader,
    /// What apply told of each entry, in order.
    told: Vec<(EntryFacts, Vec<u8>, Vec<AppendedBatch>)>,
    open: Vec<Announced>,
    merges: Vec<Announced>,
    /// What each committed object was said to hold.
    held: BTreeMap<ObjectId, Vec<Held>>,
    uploaded: Index,
    objects: u64,
    partitions: i32,
}

fn encoded(commands: &[Command]) -> Vec<u8> {
    let mut bytes = Vec::new();
    commands.iter().for_each(|command| command.encode(&mut bytes));
    bytes
}

fn lives(shard: &Shard, batch: &AppendedBatch) -> bool {
    let partition = shard.partition(&batch.partition);
    partition.is_some_and(|found| batch.last_offset >= found.log_start())
}

impl History {
    fn new() -> Self {
        let mut history = History {
            leader: Leader::new(),
            told: Vec::new(),
            open: Vec::new(),
            merges: Vec::new(),
            held: BTreeMap::new(),
            uploaded: Index(0),
            objects: 0,
            partitions: 0,
        };
        history.run(Move::Create);
        history.run(Move::Create);
        history
    }

    fn apply(&mut self, commands: &[Command]) -> Vec<CommandOutcome> {
        // Everything is applied at once: nothing is left to layer over.
        self.leader.decider = Decider::new();
        self.leader.time_ms += 1;
        self.leader.send_bytes(encoded(commands));
        let applied = self.leader.commit_one().expect("it was sent");
        let (facts, bytes) = self.leader.committed.last().expect("it was committed");
        self.told.push((*facts, bytes.clone(), applied.appended));
        applied.outcomes
    }

    fn a_partition(&self, pick: usize) -> Option<PartitionKey> {
        let count = self.leader.shard.partitions().len();
        self.leader.shard.partitions().nth(pick.checked_rem(count)?).map(|(key, _)| *key)
    }

    fn batches(&mut self, partitions: &[PartitionKey], count: i32) -> Vec<Command> {
        self.leader.decider = Decider::new();
        let mut entry = EntryBuilder::new();
        for partition in partitions {
            self.leader.decide(&mut entry, partition.partition, &batch(count)).expect("it fits");
        }
        decode_commands(&entry.finish()).collect::<Result<_, _>>().expect("our own")
    }

    fn run(&mut self, step: Move) {
        match step {
            Move::Append { partition, count } => {
                let picked = [self.a_partition(partition), self.a_partition(partition + 1)];
                let picked: Vec<PartitionKey> = picked.into_iter().flatten().collect();
                let batches = self.batches(&picked, count);
                self.apply(&batches);
            }
            Move::AppendRefused { partition } => self.append_refused(partition),
            Move::Create => {
                let new = create(self.partitions, PartitionConfig::default());
                self.partitions += 1;
                self.apply(&[Command::CreatePartition(new)]);
            }
            Move::Remove { partition } => {
                let Some(partition) = self.a_partition(partition) else { return };
                self.apply(&[Command::RemovePartition(RemovePartition {
                    partition,
                    generation: 1,
                })]);
            }
            Move::DeleteRecords { partition, percent } => {
                let Some(partition) = self.a_partition(partition) else { return };
                let end = self.leader.shard.partition(&partition).map_or(0, |p| p.high_watermark());
                let before_offset = end * percent / 100;
                let set = SetLogStart { partition, generation: 1, before_offset };
                self.apply(&[Command::SetLogStart(set)]);
            }
            Move::Announce { entries } => self.announce(entries),
            Move::Commit if !self.open.is_empty() => {
                let first = self.open.remove(0);
                let outcomes = self.apply(&[first.manifest()]);
                assert_eq!(outcomes, [CommandOutcome::ObjectLive], "{:?}", first.rows);
                self.uploaded = first.intent.last_index;
                self.hold(&first);
            }
            Move::CommitOutOfOrder if self.open.len() > 1 => {
                let outcomes = self.apply(&[self.open[1].manifest()]);
                assert!(matches!(outcomes[..], [CommandOutcome::Refused(_)]), "{outcomes:?}");
            }
            Move::Abandon { open } if !self.open.is_empty() => {
                let at = open % self.open.len();
                let object = self.open[at].intent.object;
                self.open.truncate(at);
                let step = ObjectStep { object, step: Step::Abandon };
                assert_eq!(
                    self.apply(&[Command::ObjectStep(step)]),
                    [CommandOutcome::ObjectStepped]
                );
            }
            Move::AnnounceMerge { partitions, first, rows } => {
                self.announce_merge(partitions, first, rows);
            }
            Move::CommitMerge if !self.merges.is_empty() => {
                let merge = self.merges.remove(self.merges.len() / 2);
                let outcomes = self.apply(&[merge.manifest()]);
                match outcomes[..] {
                    [CommandOutcome::ObjectLive] => self.hold(&merge),
                    // Another merge took the place of some of its rows first.
                    [CommandOutcome::Refused(_)] => self.give_up_merge(&merge),
                    _ => panic!("{outcomes:?}"),
                }
            }
            Move::AbandonMerge if !self.merges.is_empty() => {
                let merge = self.merges.remove(0);
                self.give_up_merge(&merge);
            }
            Move::Commit
            | Move::CommitOutOfOrder
            | Move::Abandon { .. }
            | Move::CommitMerge
            | Move::AbandonMerge => {}
            Move::Tidy => self.tidy(),
            Move::NewTerm => self.leader.term += 1,
            Move::Restore => {
                let restored = Shard::restore(&self.leader.shard.snapshot()).expect("our own");
                assert_eq!(restored, self.leader.shard);
                self.leader.shard = restored;
            }
        }
    }

    fn append_refused(&mut self, pick: usize) {
        let Some(partition) = self.a_partition(pick) else { return };
        let other = self.a_partition(pick + 1).filter(|other| *other != partition);
        let picked: Vec<PartitionKey> = other.into_iter().chain([partition]).collect();
        let mut batches = self.batches(&picked, 1);
        let mut wrong = batches[batches.len() - 1].clone();
        if let Command::AppendBatch(batch) = &mut wrong {
            batch.base_offset += 1;
        }
        batches.insert(0, wrong);
        let outcomes = self.apply(&batches);
        let refused = |outcome: &CommandOutcome| matches!(outcome, CommandOutcome::Refused(_));
        assert!(refused(&outcomes[0]) && refused(outcomes.last().expect("three")), "{outcomes:?}");
    }

    /// Announces that many entries with living batches behind what is announced.
    fn announce(&mut self, entries: usize) {
        if self.open.len() + self.merges.len() == OPEN_INTENTS_MAX {
            return;
        }
        let behind = self.open.last().map_or(self.uploaded, |last| last.intent.last_index);
        let mut rows: BTreeMap<PartitionKey, ManifestRow> = BTreeMap::new();
        let (mut first, mut last) = (None, Index(0));
        let with_batches = self.told.iter().filter(|(facts, _, appended)| {
            facts.index > behind && appended.iter().any(|batch| lives(&self.leader.shard, batch))
        });
        for (facts, _, appended) in with_batches.take(entries) {
            (first, last) = (first.or(Some(facts.index)), facts.index);
            for batch in appended.iter().filter(|batch| lives(&self.leader.shard, batch)) {
                let row = rows.entry(batch.partition).or_insert(ManifestRow {
                    partition: batch.partition,
                    len_bytes: 0,
                    base_offset: batch.base_offset,
                    last_offset: 0,
                    max_timestamp_ms: batch.max_timestamp_ms,
                });
                row.len_bytes += batch.payload_len_bytes;
                row.last_offset = batch.last_offset;
            }
        }
        let Some(first_index) = first else { return };
        let intent = Intent {
            object: self.next_object(),
            term: Term(self.leader.term),
            sequence: first_index.0,
            first_index,
            last_index: last,
        };
        assert_eq!(self.apply(&[Command::Intent(intent)]), [CommandOutcome::ObjectIntended]);
        self.open.push(Announced { intent, rows, starts: BTreeMap::new() });
    }

    fn hold(&mut self, committed: &Announced) {
        let held = |row: &ManifestRow| Held {
            row: *row,
            excused_to: committed.starts.get(&row.partition).copied().unwrap_or(0),
        };
        self.held.insert(committed.intent.object, committed.rows.values().map(held).collect());
    }

    fn give_up_merge(&mut self, merge: &Announced) {
        let step = ObjectStep { object: merge.intent.object, step: Step::Abandon };
        assert_eq!(self.apply(&[Command::ObjectStep(step)]), [CommandOutcome::ObjectStepped]);
    }

    fn next_object(&mut self) -> ObjectId {
        self.objects += 1;
        let mut object = ObjectId::default();
        object.0[..8].copy_from_slice(&self.objects.to_le_bytes());
        object
    }

    fn announce_merge(&mut self, partitions: usize, first: usize, count: usize) {
        if self.open.len() + self.merges.len() == OPEN_INTENTS_MAX {
            return;
        }
        let (mut rows, mut starts) = (BTreeMap::new(), BTreeMap::new());
        for pick in 0..partitions {
            let Some(key) = self.a_partition(first + pick) else { continue };
            let Some(partition) = self.leader.shard.partition(&key) else { continue };
            let old = partition.objects();
            if old.is_empty() {
                continue;
            }
            let from = first % old.len();
            let run: Vec<_> = old.range(from..).take(count).collect();
            // As a reader of the objects leaves out what is deleted: at times the batch that holds
            // the log start begins there, at times before it.
            let base = match (first + count) % 2 {
                0 => run[0].base_offset.max(partition.log_start()),
                _ => run[0].base_offset,
            };
            starts.insert(key, partition.log_start());
            rows.insert(
                key,
                ManifestRow {
                    partition: key,
                    len_bytes: 100,
                    base_offset: base,
                    last_offset: run[run.len() - 1].last_offset,
                    max_timestamp_ms: 5,
                },
            );
        }
        if rows.is_empty() {
            return;
        }
        let intent = Intent {
            object: self.next_object(),
            term: Term(self.leader.term),
            sequence: self.leader.index,
            first_index: Index(1),
            last_index: self.uploaded,
        };
        assert_eq!(self.apply(&[Command::MergeIntent(intent)]), [CommandOutcome::ObjectIntended]);
        self.merges.push(Announced { intent, rows, starts });
    }

    /// Takes every step that is due.
    fn tidy(&mut self) {
        let due: Vec<Command> = self
            .leader
            .shard
            .unsettled_objects()
            .filter_map(|row| {
                let step = match row.state {
                    ObjectState::Intended => return None,
                    ObjectState::Live => Step::Retire,
                    ObjectState::Retired | ObjectState::Abandoned => Step::Gone,
                };
                Some(Command::ObjectStep(ObjectStep { object: row.object, step }))
            })
            .collect();
        for outcome in self.apply(&due) {
            assert_eq!(outcome, CommandOutcome::ObjectStepped);
        }
    }

    fn check(&self) -> Result<(), TestCaseError> {
        let shard = &self.leader.shard;
        prop_assert_eq!(shard.uploaded(), self.uploaded);
        let mut recalled: BTreeMap<PartitionKey, Vec<(i64, i64)>> = BTreeMap::new();
        for (facts, commands, appended) in &self.told {
            let living = appended.iter().filter(|batch| lives(shard, batch)).copied();
            let expected: Vec<AppendedBatch> =
                living.filter(|_| facts.index > self.uploaded).collect();
            let got = shard.recall(*facts, commands).expect("it was applied");
            prop_assert_eq!(&got.appended, &expected, "entry {}", facts.index);
            prop_assert!(got.outcomes.is_empty() && got.changed.is_empty() && !got.objects);
            for batch in got.appended {
                let ranges = recalled.entry(batch.partition).or_default();
                ranges.push((batch.base_offset, batch.last_offset));
            }
        }
        let mut rows_of: BTreeMap<u64, u32> = BTreeMap::new();
        for (key, partition) in shard.partitions() {
            let rows = partition.objects().iter().map(|row| (row.base_offset, row.last_offset));
            let mut next = partition.log_start();
            for (base, last) in rows.chain(recalled.remove(key).into_iter().flatten()) {
                prop_assert!(
                    base <= next && next <= last,
                    "{key}: {next} is not in {base}..{last}"
                );
                next = last + 1;
            }
            prop_assert_eq!(next, partition.high_watermark(), "{}: records are nowhere", key);
            partition.objects().iter().for_each(|row| *rows_of.entry(row.number).or_default() += 1);
        }
        for row in shard.objects() {
            prop_assert_eq!(row.live_rows, rows_of.remove(&row.number).unwrap_or(0));
            let Some(held) = self.held.get(&row.object) else { continue };
            let serves = |held: &Held| {
                let partition = shard.partition(&held.row.partition);
                partition.is_some_and(|partition| {
                    let still = |own: &crate::PartitionObject| {
                        own.number == row.number && own.base_offset == held.row.base_offset
                    };
                    let start = partition.log_start();
                    partition.objects().iter().any(still)
                        && (held.row.base_offset >= start || held.excused_to >= start)
                })
            };
            let dead = !held.iter().all(serves);
            prop_assert_eq!(row.dead_since_ms.is_some(), dead, "object {}", row.number);
        }
        prop_assert!(rows_of.is_empty(), "rows without an object: {:?}", rows_of);
        Ok(())
    }
}

impl Announced {
    fn manifest(&self) -> Command {
        let bytes: u64 = self.rows.values().map(|row| u64::from(row.len_bytes)).sum();
        Command::Manifest(Manifest {
            object: self.intent.object,
            object_bytes: 128 + bytes + 400,
            tail_bytes: 400,
            sha256: [3; 32],
            created_ms: 1,
            last_term: Term(1),
            rows: self.rows.values().copied().collect(),
        })
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, ..ProptestConfig::default() })]

    #[test]
    fn every_record_is_in_an_object_or_recalled_and_replicas_agree(
        steps in prop::collection::vec(moves(), 1..60)
    ) {
        let mut history = History::new();
        for step in steps {
            history.run(step);
            history.check()?;
        }
        let mut follower = Shard::new();
        for (facts, commands, _) in &history.told {
            follower.apply(*facts, commands).expect("it was applied elsewhere");
        }
        prop_assert_eq!(&follower, &history.leader.shard);
        prop_assert_eq!(follower.hash(), history.leader.shard.hash());
    }
}

#[test]
fn an_entry_that_is_not_applied_cannot_be_recalled() {
    let leader = Leader::with_partition(PartitionConfig::default());
    let facts = EntryFacts { index: Index(2), term: Term(1), time_ms: leader.time_ms };
    assert!(leader.shard.recall(facts, &[]).is_err());
    let first = EntryFacts { index: Index(1), ..facts };
    assert!(leader.shard.recall(first, &[1, 1, 255]).is_err(), "nor one that cannot be decoded");
    assert_eq!(leader.shard.recall(first, &[]), Ok(crate::Applied::default()));
    assert!(leader.shard.partition(&key(0)).is_some());
}
