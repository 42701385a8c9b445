//! The verdict on a history: the checker's, and a count per client for the table.
//!
//! The count is made a second time here, in the plainest way, from nothing but the lines of the
//! clients and the final reads; the two must agree that nothing is wrong. What this adds to the
//! checker: the order of a producer that is not idempotent but has one request in flight.
//!
//! | counted | when |
//! | --- | --- |
//! | lost | acknowledged, and some final read does not have it at the acknowledged offset |
//! | doubled | further offsets that hold a value; a fault for idempotent producers |
//! | out of order | acknowledged at or below the offset of one sent earlier to that partition |
//! | lower | a committed offset shown below one acknowledged before the question, or none |
//! | missed | acknowledged, and given to no member of a group |
//!
//! Invariant: both count the same acknowledgements, or the checker was told of no promise; a round
//! whose producers fell short, that was read by fewer than both readers, or whose groups hardly
//! committed, looked or resumed, is no round that passed.

mod groups;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use holdfast_checker::{Event, Expectations, Kind, Op, Report, check};

pub use groups::GroupCount;

/// The checker's word for a record no member was given.
const NOT_CONSUMED: &str = "not-consumed";

/// One producer's records.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Count {
    /// Acknowledged with an offset.
    pub acked: u64,
    /// See the table.
    pub lost: u64,
    /// See the table.
    pub doubled: u64,
    /// See the table.
    pub out_of_order: u64,
    /// Whether doubled records are a fault.
    pub idempotent: bool,
}

impl Count {
    fn is_clean(&self) -> bool {
        self.lost == 0 && self.out_of_order == 0 && (self.doubled == 0 || !self.idempotent)
    }
}

/// What was found.
#[derive(Debug)]
pub struct Verdict {
    /// By process of the producer.
    pub counts: BTreeMap<u32, Count>,
    /// By name of the group.
    pub groups: BTreeMap<String, GroupCount>,
    /// The checker's.
    pub report: Report,
    /// Processes that read to the end.
    readers: BTreeSet<u32>,
}

impl Verdict {
    /// What is wrong, if anything.
    pub fn fault(&self, acked_min: u64, readers_min: usize) -> Option<String> {
        if !self.report.is_clean() {
            return Some(self.report.to_string());
        }
        if let Some((process, count)) = self.counts.iter().find(|(_, count)| !count.is_clean()) {
            return Some(format!("the checker is content, yet process {process}: {count:?}"));
        }
        if let Some((group, count)) = self.groups.iter().find(|(_, count)| !count.is_clean()) {
            return Some(format!("the checker is content, yet group {group}: {count:?}"));
        }
        let acked: u64 = self.counts.values().map(|count| count.acked).sum();
        if acked != self.report.counts.acked {
            let seen = self.report.counts.acked;
            return Some(format!("{acked} records were acknowledged, the checker saw {seen}"));
        }
        if acked < acked_min {
            return Some(format!("{acked} records were acknowledged, {acked_min} were asked for"));
        }
        if self.readers.len() < readers_min {
            return Some(format!("{} of {readers_min} readers read", self.readers.len()));
        }
        let commits: u64 = self.groups.values().map(|count| count.commits_acked).sum();
        if commits != self.report.counts.commits_acked {
            let seen = self.report.counts.commits_acked;
            return Some(format!("{commits} commits were acknowledged, the checker saw {seen}"));
        }
        None
    }

    /// What is wrong with the records, and with the offsets that groups were shown, in a history in
    /// which the groups go on: nobody owes them anything yet.
    pub fn fault_so_far(&self, readers_min: usize) -> Option<String> {
        if self.report.anomalies.keys().any(|name| name != NOT_CONSUMED) {
            return Some(self.report.to_string());
        }
        if let Some((group, count)) = self.groups.iter().find(|(_, count)| count.lower > 0) {
            return Some(format!(
                "group {group} was shown an offset below a committed one: {count:?}"
            ));
        }
        if let Some((process, count)) = self.counts.iter().find(|(_, count)| !count.is_clean()) {
            return Some(format!("the checker is content, yet process {process}: {count:?}"));
        }
        (self.readers.len() < readers_min)
            .then(|| format!("{} of {readers_min} readers read", self.readers.len()))
    }

    /// Whether fewer groups than that were there, or one of them did too little to be judged.
    pub fn fault_of_groups(&self, groups_min: usize) -> Option<String> {
        if self.groups.len() < groups_min {
            return Some(format!("{} of {groups_min} groups told anything", self.groups.len()));
        }
        let idle = self.groups.iter().find(|(_, count)| !count.has_evidence());
        idle.map(|(group, count)| format!("group {group} did too little: {count:?}"))
    }

    /// Commits acknowledged to a group.
    pub fn commits_of(&self, group: &str) -> u64 {
        self.groups.get(group).map_or(0, |count| count.commits_acked)
    }
}

/// Judges. A process that gave a commit up was killed, or its daemon was.
pub fn judge(history: &[Event]) -> Verdict {
    let expectations = Expectations { ended_commits_are_over: true, ..Expectations::default() };
    let report = check(history, expectations);
    let mut producers = BTreeMap::new();
    // By producer and partition: in the order of sending, with the acknowledged offset.
    let mut sent: BTreeMap<(u32, &str), Vec<u64>> = BTreeMap::new();
    let mut acked = BTreeMap::new();
    // By reader.
    let mut reads: BTreeMap<u32, BTreeMap<(&str, i64), u64>> = BTreeMap::new();
    for event in history {
        match (&event.op, event.kind) {
            (Op::Send(send), Kind::Invoke) => {
                producers.entry(event.process).or_insert(send.idempotent);
                let stream = sent.entry((event.process, send.partition.as_str())).or_default();
                stream.extend(&send.values);
            }
            (Op::Send(send), Kind::Ok) => {
                if let Some(offset) = send.offset {
                    acked.insert(event.call, offset);
                }
            }
            (Op::Poll(poll), Kind::Ok) if poll.is_final => {
                let read = reads.entry(event.process).or_default();
                let records = poll.records.iter();
                read.extend(
                    records.map(|(offset, value)| ((poll.partition.as_str(), *offset), *value)),
                );
            }
            _ => {}
        }
    }
    let mut places: BTreeMap<u64, BTreeSet<(&str, i64)>> = BTreeMap::new();
    for (place, value) in reads.values().flatten() {
        places.entry(*value).or_default().insert(*place);
    }
    let mut counts: BTreeMap<u32, Count> = producers
        .iter()
        .map(|(process, idempotent)| {
            (*process, Count { idempotent: *idempotent, ..Count::default() })
        })
        .collect();
    for ((process, partition), values) in &sent {
        let count = counts.entry(*process).or_default();
        let mut highest = -1;
        for value in values {
            count.doubled += places.get(value).map_or(0, |places| places.len() as u64 - 1);
            let Some(offset) = acked.get(value) else { continue };
            count.acked += 1;
            let is_there =
                |read: &BTreeMap<(&str, i64), u64>| read.get(&(*partition, *offset)) == Some(value);
            count.lost += u64::from(reads.is_empty() || !reads.values().all(is_there));
            count.out_of_order += u64::from(*offset <= highest);
            highest = highest.max(*offset);
        }
    }
    let groups = groups::count(history);
    Verdict { counts, groups, report, readers: reads.into_keys().collect() }
}
