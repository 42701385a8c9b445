//! Consumer groups: committed offsets as registers, generations as fences.
//!
//! ```text
//! group ─▶ partition ─▶ value ─▶ commit: offset, generation, invoked, known by, failed
//!      │           └▶ applied: by this line the newest commit known was invoked at …
//!      └▶ established: by this line a generation was held; plans sent, the one handed out
//! ```
//!
//! A partition's committed offset is a register with unique writes. Commit A is *before* B when A
//! is known to be done (acknowledged, or shown) on an earlier line than B is invoked; or when A's
//! generation is older, because a coordinator refuses older generations. An offset shown is wrong
//! when it comes from a commit that is before another one known before the question.
//!
//! A generation is *established* once a member has its assignment, for then it is in the log: one
//! that was only joined may be made again, by another leader, after a failover, as in Kafka.
//!
//! What a group's members were given is judged in `consumed`.
//!
//! Caveat: a group without members and without offsets may be forgotten and begin anew, so
//! generations are judged only once an offset was committed. Deleting offsets or groups is not told
//! in histories yet.

use std::collections::{BTreeMap, BTreeSet};

use crate::anomaly::Anomaly;
use crate::event::{Commit, JoinGroup, Kind, OffsetFetch, SyncGroup};

use super::Checker;
use super::tables::{Step, Steps};

/// All groups, by name.
pub(super) type Groups = BTreeMap<String, Group>;

/// One group.
#[derive(Default, Debug)]
pub(super) struct Group {
    pub(super) partitions: BTreeMap<String, Register>,
    /// Generations that are in the log for certain.
    established: Steps,
    /// By generation: line of the leader's call, and its plan.
    plans: BTreeMap<i32, Vec<(u64, Plan)>>,
    /// By generation: which of the plans was handed out, and the line that shows it.
    handed_out: BTreeMap<i32, (u64, u64)>,
    has_offsets: bool,
    /// By place of the partition: offsets that a member was given.
    pub(super) consumed: BTreeMap<usize, BTreeSet<i64>>,
}

/// Member and its part.
type Plan = BTreeMap<String, String>;

/// The committed offset of one partition.
#[derive(Default, Debug)]
pub(super) struct Register {
    pub(super) commits: BTreeMap<u64, Sent>,
    /// `at` is the line on which the newest commit known so far was invoked.
    pub(super) applied: Steps,
    /// `at` is the newest generation of commits known so far.
    generations: Steps,
}

/// One commit of a partition. Line 0 means "never".
#[derive(Debug)]
pub(super) struct Sent {
    pub(super) offset: i64,
    generation: i32,
    invoked_line: u64,
    known_line: u64,
    pub(super) failed_line: u64,
    /// It ended without an answer, and that was the end of it.
    over_line: u64,
}

impl Register {
    fn know(&mut self, value: u64, line: u64) {
        let Some(sent) = self.commits.get_mut(&value) else { return };
        if sent.known_line == 0 {
            sent.known_line = line;
        }
        let at = i64::try_from(sent.invoked_line).unwrap_or(i64::MAX);
        self.applied.reach(Step { line, at, value });
        self.generations.reach(Step { line, at: i64::from(sent.generation), value });
    }

    /// A commit known before that line that came after this one.
    pub(super) fn overtaken(&self, sent: &Sent, line: u64) -> Option<Step> {
        let done = [sent.known_line, sent.over_line].into_iter().filter(|line| *line > 0).min();
        let done = i64::try_from(done.unwrap_or(u64::MAX)).unwrap_or(i64::MAX);
        let later = self.applied.before(line).filter(|step| step.at > done);
        let fenced = |step: &Step| step.at > i64::from(sent.generation) && sent.generation >= 0;
        later.or_else(|| self.generations.before(line).filter(fenced))
    }
}

impl Checker {
    pub(super) fn commit_invoked(&mut self, line: u64, commit: &Commit) {
        self.report.counts.commits += 1;
        let group = self.groups.entry(commit.group.clone()).or_default();
        for (partition, offset) in &commit.offsets {
            let sent = Sent {
                offset: *offset,
                generation: commit.generation,
                invoked_line: line,
                known_line: 0,
                failed_line: 0,
                over_line: 0,
            };
            let register = group.partitions.entry(partition.clone()).or_default();
            register.commits.insert(commit.value, sent);
        }
    }

    pub(super) fn commit_completed(
        &mut self,
        line: u64,
        invoked: u64,
        kind: Kind,
        commit: &Commit,
    ) {
        let group = self.groups.entry(commit.group.clone()).or_default();
        match kind {
            Kind::Ok => {
                self.report.counts.commits_acked += 1;
                let generation = i64::from(commit.generation);
                let newer = group.established.before(invoked).filter(|step| step.at > generation);
                if let Some(newer) = newer.filter(|_| generation >= 0) {
                    let anomaly = Anomaly::ZombieCommit {
                        group: commit.group.clone(),
                        member: commit.member.clone(),
                        generation: commit.generation,
                        newer: i32::try_from(newer.at).unwrap_or(i32::MAX),
                    };
                    self.report.add(anomaly, vec![newer.line, invoked, line]);
                }
                group.has_offsets = true;
                group.established.reach(Step { line, at: generation, value: commit.value });
                for (partition, _) in &commit.offsets {
                    if let Some(register) = group.partitions.get_mut(partition) {
                        register.know(commit.value, line);
                    }
                }
            }
            Kind::Fail => {
                for (partition, offset) in &commit.offsets {
                    let register = group.partitions.get_mut(partition);
                    let Some(sent) = register.and_then(|r| r.commits.get_mut(&commit.value)) else {
                        continue;
                    };
                    sent.failed_line = line;
                    if sent.known_line > 0 {
                        let anomaly = Anomaly::FailedCommitShown {
                            group: commit.group.clone(),
                            partition: partition.clone(),
                            offset: *offset,
                        };
                        self.report.add(anomaly, vec![invoked, sent.known_line, line]);
                    }
                }
            }
            Kind::Info if self.expectations.ended_commits_are_over => {
                for (partition, _) in &commit.offsets {
                    let register = group.partitions.get_mut(partition);
                    if let Some(sent) = register.and_then(|r| r.commits.get_mut(&commit.value)) {
                        sent.over_line = line;
                    }
                }
            }
            Kind::Invoke | Kind::Info => {}
        }
    }

    pub(super) fn offsets_shown(&mut self, line: u64, invoked: u64, fetch: &OffsetFetch) {
        self.report.counts.offset_fetches += 1;
        let group = self.groups.entry(fetch.group.clone()).or_default();
        for partition in &fetch.partitions {
            let shown = fetch.offsets.iter().find(|shown| shown.partition == *partition);
            let register = group.partitions.entry(partition.clone()).or_default();
            let lost = |step: Step, register: &Register| Anomaly::LostCommit {
                group: fetch.group.clone(),
                partition: partition.clone(),
                committed: register.commits.get(&step.value).map_or(-1, |sent| sent.offset),
                shown: shown.map_or(-1, |shown| shown.offset),
            };
            let Some(shown) = shown else {
                if let Some(step) = register.applied.before(invoked) {
                    self.report.add(lost(step, register), vec![step.line, line]);
                }
                continue;
            };
            let sent = register.commits.get(&shown.value);
            let Some(sent) = sent.filter(|sent| sent.offset == shown.offset) else {
                let anomaly = Anomaly::InventedCommit {
                    group: fetch.group.clone(),
                    partition: partition.clone(),
                    offset: shown.offset,
                    value: shown.value,
                };
                let evidence = sent.map_or(line, |sent| sent.invoked_line);
                self.report.add(anomaly, vec![evidence, line]);
                continue;
            };
            if sent.failed_line > 0 {
                let anomaly = Anomaly::FailedCommitShown {
                    group: fetch.group.clone(),
                    partition: partition.clone(),
                    offset: shown.offset,
                };
                self.report.add(anomaly, vec![sent.invoked_line, sent.failed_line, line]);
            } else if let Some(step) = register.overtaken(sent, invoked) {
                let evidence = vec![sent.invoked_line, step.line, line];
                self.report.add(lost(step, register), evidence);
            } else {
                register.know(shown.value, line);
            }
        }
    }

    pub(super) fn joined(&mut self, line: u64, invoked: u64, join: &JoinGroup) {
        let group = self.groups.entry(join.group.clone()).or_default();
        let generation = i64::from(join.generation);
        if let Some(before) = group.established.before(invoked).filter(|step| step.at > generation)
        {
            let anomaly = Anomaly::GenerationRegress {
                group: join.group.clone(),
                member: join.member.clone(),
                before: i32::try_from(before.at).unwrap_or(i32::MAX),
                after: join.generation,
            };
            self.report.add(anomaly, vec![before.line, invoked, line]);
        }
    }

    pub(super) fn sync_invoked(&mut self, line: u64, sync: &SyncGroup) {
        if !sync.plan.is_empty() {
            let group = self.groups.entry(sync.group.clone()).or_default();
            let plan = sync.plan.iter().cloned().collect();
            group.plans.entry(sync.generation).or_default().push((line, plan));
        }
    }

    pub(super) fn assigned(&mut self, line: u64, sync: &SyncGroup) {
        self.report.counts.assignments += 1;
        let group = self.groups.entry(sync.group.clone()).or_default();
        let of_plan = |(_, plan): &&(u64, Plan)| plan.get(&sync.member) == Some(&sync.assignment);
        let plans = group.plans.get(&sync.generation).into_iter().flatten();
        let Some((sent_line, _)) = plans.rev().find(of_plan) else {
            let anomaly = Anomaly::InventedAssignment {
                group: sync.group.clone(),
                member: sync.member.clone(),
                generation: sync.generation,
            };
            self.report.add(anomaly, vec![line]);
            return;
        };
        if !group.has_offsets {
            return;
        }
        let first = group.handed_out.entry(sync.generation).or_insert((*sent_line, line));
        if first.0 != *sent_line {
            let anomaly =
                Anomaly::TwoAssignments { group: sync.group.clone(), generation: sync.generation };
            self.report.add(anomaly, vec![first.0, first.1, *sent_line, line]);
        }
        group.established.reach(Step { line, at: i64::from(sync.generation), value: 0 });
    }
}
