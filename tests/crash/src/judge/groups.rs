//! Groups counted a second time, in the plainest way: see the table of the parent module.

use std::collections::{BTreeMap, BTreeSet};

use holdfast_checker::{Event, Kind, Op};

/// A group that did less was hardly there.
const COMMITS_MIN: u64 = 10;
/// The watcher, a member, the member that closes the group.
const LOOKERS_MIN: usize = 3;
/// The member that closes the group goes on in some partition, whatever happened before.
const RESUMED_MIN: u64 = 2;

/// One group.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct GroupCount {
    /// Commits acknowledged.
    pub commits_acked: u64,
    /// Answers that showed a committed offset.
    pub looks: u64,
    /// Processes that got such answers.
    lookers: BTreeSet<u32>,
    /// Partitions in which a member went on after an assignment.
    pub resumed: u64,
    /// Offsets shown below one that was committed and acknowledged before the question.
    pub lower: u64,
    /// Acknowledged records no member was given.
    pub missed: u64,
}

impl GroupCount {
    pub(super) fn is_clean(&self) -> bool {
        self.lower == 0 && self.missed == 0
    }

    /// Whether enough happened for the verdict to mean something.
    pub(super) fn has_evidence(&self) -> bool {
        self.commits_acked >= COMMITS_MIN
            && self.lookers.len() >= LOOKERS_MIN
            && self.resumed >= RESUMED_MIN
    }
}

/// Highest acknowledged offset by partition.
type Floors<'a> = BTreeMap<&'a str, i64>;

/// Counts; our members never commit a lower offset than before.
pub(super) fn count(history: &[Event]) -> BTreeMap<String, GroupCount> {
    let mut counts: BTreeMap<String, GroupCount> = BTreeMap::new();
    let mut floors: BTreeMap<&str, Floors<'_>> = BTreeMap::new();
    let mut asked: BTreeMap<(u32, u64), Floors<'_>> = BTreeMap::new();
    let mut sent: BTreeMap<u64, &str> = BTreeMap::new();
    let mut acked: Vec<u64> = Vec::new();
    let mut given: BTreeMap<&str, BTreeSet<u64>> = BTreeMap::new();
    for event in history {
        match (&event.op, event.kind) {
            (Op::Send(_), Kind::Ok) => acked.push(event.call),
            (Op::Send(send), Kind::Invoke) => {
                sent.extend(send.values.iter().map(|value| (*value, send.partition.as_str())));
            }
            (Op::Commit(commit), Kind::Ok) => {
                counts.entry(commit.group.clone()).or_default().commits_acked += 1;
                let floors = floors.entry(&commit.group).or_default();
                for (partition, offset) in &commit.offsets {
                    let floor = floors.entry(partition).or_insert(*offset);
                    *floor = offset.max(floor).to_owned();
                }
            }
            (Op::FetchOffsets(fetch), Kind::Invoke) => {
                let known = floors.get(fetch.group.as_str()).cloned().unwrap_or_default();
                asked.insert((event.process, event.call), known);
            }
            (Op::FetchOffsets(fetch), Kind::Ok) => {
                let floors = asked.remove(&(event.process, event.call)).unwrap_or_default();
                let count = counts.entry(fetch.group.clone()).or_default();
                for (partition, floor) in floors {
                    let shown = fetch.offsets.iter().find(|shown| shown.partition == partition);
                    count.lower += u64::from(shown.is_none_or(|shown| shown.offset < floor));
                }
                if !fetch.offsets.is_empty() {
                    count.looks += 1;
                    count.lookers.insert(event.process);
                }
            }
            (Op::Poll(poll), Kind::Ok) => {
                let Some(group) = &poll.group else { continue };
                let resumes = poll.position.is_none() && !poll.records.is_empty();
                counts.entry(group.clone()).or_default().resumed += u64::from(resumes);
                let given = given.entry(group).or_default();
                // A value elsewhere than it was sent is nobody's record.
                let own = |value: &&u64| sent.get(*value) == Some(&poll.partition.as_str());
                given.extend(poll.records.iter().map(|(_, value)| value).filter(own));
            }
            _ => {}
        }
    }
    for (group, count) in &mut counts {
        let given = given.get(group.as_str());
        let is_missed = |value: &u64| !given.is_some_and(|given| given.contains(value));
        count.missed = acked.iter().filter(|value| is_missed(value)).count() as u64;
    }
    counts
}
