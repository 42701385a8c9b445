//! Groups against a model that keeps every entry and looks a group up by reading all of them.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::support::{Leader, commit, record, slot};
use crate::{EntryBuilder, Expired, Expiry, Shard, expire_groups};

const NAMES: [&str; 3] = ["readers", "writers", "polygenelubricants"];
const RETENTION_MS: i64 = 100;

#[derive(Clone, Debug)]
enum Step {
    Put { group: usize, generation: i32, members: usize },
    Commit { group: usize, offsets: Vec<(i32, i64)> },
    RemoveOffsets { group: usize, partitions: Vec<i32> },
    RemoveGroup { group: usize },
    Sweep,
    Wait(i64),
    CommitOne,
    CommitAll,
    LoseAndLeadAgain,
    SnapshotAndRestore,
}

fn steps() -> impl Strategy<Value = Step> {
    let offsets = prop::collection::vec((0_i32..4, 0_i64..50), 1..4);
    prop_oneof![
        4 => (0_usize..3, 0_i32..9, 0_usize..3)
            .prop_map(|(group, generation, members)| Step::Put { group, generation, members }),
        8 => (0_usize..3, offsets).prop_map(|(group, offsets)| Step::Commit { group, offsets }),
        2 => (0_usize..3, prop::collection::vec(0_i32..5, 1..3))
            .prop_map(|(group, partitions)| Step::RemoveOffsets { group, partitions }),
        1 => (0_usize..3).prop_map(|group| Step::RemoveGroup { group }),
        4 => Just(Step::Sweep),
        4 => prop_oneof![Just(0_i64), 1_i64..60, Just(RETENTION_MS)].prop_map(Step::Wait),
        6 => Just(Step::CommitOne),
        2 => Just(Step::CommitAll),
        1 => Just(Step::LoseAndLeadAgain),
        1 => Just(Step::SnapshotAndRestore),
    ]
}

/// What an entry said, one thing each.
#[derive(Clone, Debug)]
enum Said {
    Put { group: &'static str, generation: i32, members: usize },
    Commit { group: &'static str, offsets: Vec<(i32, i64)> },
    RemoveOffsets { group: &'static str, partitions: Vec<i32>, planned: usize },
    RemoveGroup { group: &'static str, planned: usize },
}

/// A group as read from the log: record (generation, members), empty since, offsets with times.
#[derive(Clone, PartialEq, Debug, Default)]
struct Read {
    record: Option<(i32, usize)>,
    empty_since_ms: Option<i64>,
    offsets: BTreeMap<i32, (i64, i64)>,
}

/// Reads the whole log; `entries` are as committed, the first is entry 1.
fn read(entries: &[(i64, Said)], wanted: &str) -> Option<Read> {
    let mut found: Option<Read> = None;
    let mut changed = 0;
    for (at, (time_ms, said)) in entries.iter().enumerate() {
        match said {
            Said::Put { group, generation, members } if *group == wanted => {
                let before = found.clone().unwrap_or_default();
                let kept = before.empty_since_ms.filter(|_| before.record.is_some());
                found = Some(Read {
                    record: Some((*generation, *members)),
                    empty_since_ms: (*members == 0).then_some(kept.unwrap_or(*time_ms)),
                    offsets: before.offsets,
                });
                changed = at + 1;
            }
            Said::Commit { group, offsets } if *group == wanted => {
                let begun = Read { empty_since_ms: Some(*time_ms), ..Read::default() };
                let group = found.get_or_insert(begun);
                for (partition, offset) in offsets {
                    group.offsets.insert(*partition, (*offset, *time_ms));
                }
                changed = at + 1;
            }
            Said::RemoveOffsets { group, partitions, planned }
                if *group == wanted && changed <= *planned =>
            {
                if let Some(group) = &mut found {
                    group.offsets.retain(|partition, _| !partitions.contains(partition));
                }
                found = found.filter(|group| group.record.is_some() || !group.offsets.is_empty());
            }
            Said::RemoveGroup { group, planned } if *group == wanted && changed <= *planned => {
                found = None;
            }
            _ => {}
        }
    }
    found
}

fn got(shard: &Shard, name: &str) -> Option<Read> {
    let group = shard.group(slot(name), name)?;
    let offsets =
        group.offsets().map(|(key, row)| (key.partition, (row.offset, row.committed_at_ms)));
    Some(Read {
        record: group.record().map(|record| (record.generation, record.members.len())),
        empty_since_ms: group.empty_since_ms(),
        offsets: offsets.collect(),
    })
}

struct Run {
    leader: Leader,
    /// Entries decided; those behind the committed ones are under way.
    said: Vec<(i64, Said)>,
}

impl Run {
    fn say(&mut self, said: Said) {
        let mut entry = EntryBuilder::new();
        let decider = &self.leader.decider;
        let proposed = match &said {
            Said::Put { group, generation, members } => {
                let record = record(*generation, &["a", "b", "c"][..*members]);
                decider.propose_put_group(&mut entry, slot(group), group, &record)
            }
            Said::Commit { group, offsets } => {
                let offsets: Vec<_> = offsets.iter().map(|(at, to)| commit(*at, *to)).collect();
                decider.propose_commit_offsets(&mut entry, slot(group), group, &offsets)
            }
            Said::RemoveOffsets { group, partitions, .. } => {
                let keys: Vec<_> = partitions.iter().map(|at| commit(*at, 0).partition).collect();
                decider.propose_remove_offsets(&mut entry, slot(group), group, &keys)
            }
            Said::RemoveGroup { group, .. } => {
                decider.propose_remove_group(&mut entry, slot(group), group)
            }
        };
        proposed.expect("small enough");
        self.send(entry, said);
    }

    fn send(&mut self, entry: EntryBuilder, said: Said) {
        self.said.push((self.leader.time_ms, said));
        self.leader.send(entry);
    }

    /// Plans on what is applied, and sends the plan behind what is under way.
    fn sweep(&mut self) {
        for expiry in expire_groups(&self.leader.shard, self.leader.time_ms, RETENTION_MS) {
            let Expiry { group, expired, planned_at, .. } = &expiry;
            let group = NAMES.into_iter().find(|name| name == group).expect("one of ours");
            let planned = planned_at.0 as usize;
            let said = match expired {
                Expired::Group => Said::RemoveGroup { group, planned },
                Expired::Offsets(keys) => {
                    let partitions = keys.iter().map(|key| key.partition).collect();
                    Said::RemoveOffsets { group, partitions, planned }
                }
            };
            let mut entry = EntryBuilder::new();
            self.leader.decider.propose_expiry(&mut entry, &expiry).expect("small enough");
            self.send(entry, said);
        }
    }

    fn step(&mut self, step: Step) {
        let always = usize::MAX;
        match step {
            Step::Put { group, generation, members } => {
                self.say(Said::Put { group: NAMES[group], generation, members });
            }
            Step::Commit { group, offsets } => {
                self.say(Said::Commit { group: NAMES[group], offsets });
            }
            Step::RemoveOffsets { group, partitions } => {
                let group = NAMES[group];
                self.say(Said::RemoveOffsets { group, partitions, planned: always });
            }
            Step::RemoveGroup { group } => {
                self.say(Said::RemoveGroup { group: NAMES[group], planned: always });
            }
            Step::Sweep => self.sweep(),
            Step::Wait(ms) => self.leader.time_ms += ms,
            Step::CommitOne => {
                self.leader.commit_one();
            }
            Step::CommitAll => {
                self.leader.commit_all();
            }
            Step::LoseAndLeadAgain => {
                self.leader.lose_and_lead_again();
                self.said.truncate(self.leader.committed.len());
            }
            Step::SnapshotAndRestore => {
                let restored = Shard::restore(&self.leader.shard.snapshot()).expect("our own");
                assert_eq!(restored, self.leader.shard);
                self.leader.shard = restored;
            }
        }
    }
}

fn run(steps: Vec<Step>) -> Result<(), TestCaseError> {
    let mut run = Run { leader: Leader::new(), said: Vec::new() };
    for step in steps {
        run.step(step);
        let committed = &run.said[..run.leader.committed.len()];
        for name in NAMES {
            prop_assert_eq!(got(&run.leader.shard, name), read(committed, name), "{}", name);
        }
    }
    let mut follower = Shard::new();
    for (facts, commands) in &run.leader.committed {
        follower.apply(*facts, commands).expect("our own entry is sound");
    }
    prop_assert_eq!(&follower, &run.leader.shard);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, ..ProptestConfig::default() })]

    #[test]
    fn groups_are_as_in_a_model_that_reads_the_whole_log(
        steps in prop::collection::vec(steps(), 1..80)
    ) {
        run(steps)?;
    }
}
