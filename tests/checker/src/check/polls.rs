//! Reads, and what their answers say about the partition.

use crate::anomaly::{Anomaly, Payload};
use crate::event::{Event, Mode, Poll};

use super::Checker;
use super::tables::{Fate, Jump, Step};

impl Checker {
    pub(super) fn poll_answered(
        &mut self,
        line: u64,
        event: &Event,
        invoked: u64,
        asked: Option<i64>,
        poll: &Poll,
    ) {
        let place = self.partition(&poll.partition);
        let process = event.process;
        self.report.counts.polls += 1;
        self.report.counts.read += poll.records.len() as u64;
        if let Some(log_start) = poll.log_start {
            self.log_start_shown(line, place, log_start);
        }
        if let Some(high_watermark) = poll.high_watermark {
            self.high_watermark_shown(line, invoked, place, poll, high_watermark);
        }
        if let (Some(node), Some(epoch)) = (poll.node, poll.leader_epoch) {
            self.leader_named(line, place, node, epoch);
        }

        if let Some(group) = &poll.group {
            self.group_polled(line, invoked, place, group, poll);
        }

        let reader = self.readers.entry((process, place)).or_default();
        let (had_line, had) = (reader.line, reader.next);
        let position = asked.or(poll.position);
        let mut next = match poll.mode {
            Mode::Assign => position.or(had),
            Mode::Subscribe => position,
        };
        for (number, (offset, value)) in poll.records.iter().enumerate() {
            let internal = number > 0;
            if let Some(expected) = next {
                if *offset < expected {
                    let anomaly = Anomaly::NonmonotonicPoll {
                        partition: poll.partition.clone(),
                        process,
                        expected,
                        got: *offset,
                        internal,
                    };
                    self.report.add(anomaly, vec![had_line, line]);
                } else if *offset > expected {
                    let (from, to) = (expected, *offset);
                    let jump = Jump { process, from, to, internal, line };
                    self.partitions[place].jumps.push(jump);
                }
            }
            self.record_read(
                line,
                event.time_ns,
                place,
                poll,
                Payload { offset: *offset, value: *value },
            );
            next = Some(offset.saturating_add(1));
        }

        let reader = self.readers.entry((process, place)).or_default();
        if next.is_some() {
            reader.next = next;
        }
        reader.line = line;
        if poll.is_final {
            let read = reader.final_read.get_or_insert_default();
            read.next = next.unwrap_or(0).max(read.next);
            read.high_watermark = read.high_watermark.max(poll.high_watermark);
            read.ended = poll.records.is_empty();
            read.line = line;
            self.report.counts.read_finally += poll.records.len() as u64;
        }
    }

    fn record_read(&mut self, line: u64, time_ns: u64, place: usize, poll: &Poll, read: Payload) {
        let Payload { offset, value } = read;
        let partition = &mut self.partitions[place];
        let slot = partition.slots.entry(offset).or_default();
        let is_new = slot.read_line == 0;
        let conflict = if is_new {
            (slot.read, slot.read_line) = (value, line);
            (slot.acked_line != 0 && slot.acked != value).then_some((
                slot.acked,
                slot.acked_line,
                false,
            ))
        } else {
            (slot.read != value).then_some((slot.read, slot.read_line, true))
        };
        // A final read that differs is told above; only what agrees counts as found.
        if poll.is_final && slot.read == value {
            slot.final_line = line;
        }
        let name = &partition.name;
        if let Some((first, first_line, among_readers)) = conflict {
            let anomaly = Anomaly::InconsistentOffsets {
                partition: name.clone(),
                offset,
                first,
                second: value,
                among_readers,
            };
            self.report.add(anomaly, vec![first_line, line]);
        }
        let Some(known) = self.values.get_mut(&value).filter(|known| known.partition == place)
        else {
            let anomaly = Anomaly::Phantom { partition: name.clone(), read };
            return self.report.add(anomaly, vec![line]);
        };
        if known.read_line == 0 {
            (known.read_offset, known.read_line) = (offset, line);
            known.copies = 1;
            if known.fate == Fate::Acked {
                self.unseen -= 1;
                let lag_ns = time_ns.saturating_sub(known.acked_at_ns);
                if lag_ns > self.report.worst_lag_ns {
                    self.report.worst_lag_ns = lag_ns;
                    self.report.worst_lag_line = known.done_line;
                }
            }
        } else if is_new && known.read_offset != offset {
            known.copies += 1;
            if known.idempotent {
                let anomaly = Anomaly::Duplicate {
                    partition: name.clone(),
                    value,
                    first: known.read_offset,
                    second: offset,
                };
                self.report.add(anomaly, vec![known.sent_line, known.read_line, line]);
            } else {
                self.report.counts.duplicates_allowed += 1;
            }
        }
    }

    fn high_watermark_shown(
        &mut self,
        line: u64,
        invoked: u64,
        place: usize,
        poll: &Poll,
        high_watermark: i64,
    ) {
        let partition = &mut self.partitions[place];
        let mut before = None;
        if self.expectations.global_high_watermark {
            before = partition.high_watermark.before(invoked).map(|step| (step, false));
        }
        partition.high_watermark.reach(Step { line, at: high_watermark, value: 0 });
        if let (Some(node), Some(epoch)) = (poll.node, poll.leader_epoch) {
            let steps = partition.high_watermark_of.entry((node, epoch)).or_default();
            if let Some(step) = steps.before(invoked).filter(|step| step.at > high_watermark) {
                before = Some((step, true));
            }
            steps.reach(Step { line, at: high_watermark, value: 0 });
        }
        if let Some((step, same_leader)) = before.filter(|(step, _)| step.at > high_watermark) {
            let anomaly = Anomaly::HighWatermarkRegress {
                partition: poll.partition.clone(),
                before: step.at,
                after: high_watermark,
                same_leader,
            };
            self.report.add(anomaly, vec![step.line, invoked, line]);
        }
        if let Some((offset, value)) =
            poll.records.iter().find(|(offset, _)| *offset >= high_watermark)
        {
            let anomaly = Anomaly::ReadAboveHighWatermark {
                partition: poll.partition.clone(),
                read: Payload { offset: *offset, value: *value },
                high_watermark,
            };
            self.report.add(anomaly, vec![line]);
        }
    }

    pub(super) fn log_start_shown(&mut self, line: u64, place: usize, log_start: i64) {
        let partition = &mut self.partitions[place];
        let requested = partition.delete_requested;
        if self.expectations.log_start_only_on_request
            && log_start > requested.max(partition.log_start)
        {
            let anomaly = Anomaly::UnrequestedDelete {
                partition: partition.name.clone(),
                requested,
                log_start,
            };
            self.report.add(anomaly, vec![line]);
        }
        partition.log_start = partition.log_start.max(log_start);
    }
}
