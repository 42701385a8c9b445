//! What groups were given: they go on from where they committed, and miss nothing.
//!
//! Every assignment shows the committed offset once more, without its value: the first record that
//! the client delivers. It must be the offset of a commit that no other one known before the
//! assignment came after; or the log's start, if no commit was known.
//!
//! A group that reads owes every acknowledged record of each partition that it read or asked
//! committed offsets of, at least once, whichever member got it.
//!
//! Caveat: where offsets may have gaps the first record may lie behind the committed offset, so
//! nothing is said about it.

use crate::anomaly::{Anomaly, Payload};
use crate::event::Poll;

use super::Checker;
use super::tables::Fate;

impl Checker {
    pub(super) fn group_polled(
        &mut self,
        line: u64,
        invoked: u64,
        place: usize,
        group: &str,
        poll: &Poll,
    ) {
        self.report.counts.consumed += poll.records.len() as u64;
        let known = self.groups.entry(group.to_owned()).or_default();
        let consumed = known.consumed.entry(place).or_default();
        consumed.extend(poll.records.iter().map(|(offset, _)| *offset));
        let Some((got, _)) = poll.records.first().filter(|_| poll.position.is_none()) else {
            return;
        };
        self.report.counts.resumed += 1;
        if !self.expectations.contiguous_offsets {
            return;
        }
        let register = known.partitions.entry(poll.partition.clone()).or_default();
        let newest = register.applied.before(invoked);
        let is_start = newest.is_none() && *got == self.partitions[place].log_start;
        let is_committed = register.commits.values().any(|sent| {
            sent.offset == *got
                && sent.failed_line == 0
                && register.overtaken(sent, invoked).is_none()
        });
        if !is_start && !is_committed {
            let commit = newest.and_then(|step| register.commits.get(&step.value));
            let anomaly = Anomaly::ResumedElsewhere {
                group: group.to_owned(),
                partition: poll.partition.clone(),
                committed: commit.map_or(-1, |sent| sent.offset),
                got: *got,
            };
            self.report.add(anomaly, vec![newest.map_or(0, |step| step.line), invoked, line]);
        }
    }

    /// Every acknowledged record went to every group that reads its partition.
    pub(super) fn judge_consumption(&mut self) {
        for (name, group) in &mut self.groups {
            if group.consumed.is_empty() {
                continue;
            }
            for partition in group.partitions.keys() {
                if let Some(place) = self.names.get(partition) {
                    group.consumed.entry(*place).or_default();
                }
            }
            for (value, known) in &self.values {
                let Some(consumed) = group.consumed.get(&known.partition) else { continue };
                let offset = match known.acked_offset {
                    -1 => known.read_offset,
                    acked => acked,
                };
                let partition = &self.partitions[known.partition];
                let is_owed = known.fate == Fate::Acked && offset >= partition.log_start;
                if is_owed && !consumed.contains(&offset) {
                    let anomaly = Anomaly::NotConsumed {
                        group: name.clone(),
                        partition: partition.name.clone(),
                        acked: Payload { offset, value: *value },
                    };
                    self.report.add(anomaly, vec![known.sent_line, known.done_line]);
                }
            }
        }
    }
}
