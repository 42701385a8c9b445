//! What can be judged only when everything has been told: the final read against everything else.

use crate::anomaly::{Anomaly, Payload};
use crate::report::Report;

use super::Checker;
use super::tables::{Fate, FinalRead, Partition, Value};

/// How far all final reads of a partition came.
#[derive(Default)]
struct FinalEnd {
    /// The furthest of them.
    next: i64,
    /// The last line of that one; 0 when there was no final read.
    line: u64,
    /// Whether one of them came to the end as its answers showed it.
    is_complete: bool,
    /// The highest end any of them was shown.
    high_watermark: i64,
}

impl Checker {
    /// The judgement.
    #[must_use]
    pub fn finish(mut self) -> Report {
        self.report.counts.partitions = self.partitions.len() as u64;
        self.report.counts.never_completed = self.calls.len() as u64;
        let ends = self.final_ends();
        self.judge_final_reads(&ends);
        self.judge_values(&ends);
        self.judge_order();
        for (partition, end) in self.partitions.iter().zip(&ends) {
            judge_jumps(partition, &mut self.report);
            if end.line != 0 {
                judge_lost_reads(partition, end, &mut self.report);
                if self.expectations.contiguous_offsets {
                    judge_gaps(partition, &mut self.report);
                }
            }
        }
        self.judge_consumption();
        self.facts.judge_audit(&mut self.report);
        self.report
    }

    fn final_reads(&self) -> impl Iterator<Item = (u32, usize, &FinalRead)> {
        self.readers.iter().filter_map(|((process, place), reader)| {
            Some((*process, *place, reader.final_read.as_ref()?))
        })
    }

    fn final_ends(&self) -> Vec<FinalEnd> {
        let mut ends: Vec<FinalEnd> = self.partitions.iter().map(|_| FinalEnd::default()).collect();
        for (_, place, read) in self.final_reads() {
            let end = &mut ends[place];
            if read.next >= end.next {
                (end.next, end.line) = (read.next, read.line);
            }
            end.is_complete |= read.is_complete();
            end.high_watermark = end.high_watermark.max(read.high_watermark.unwrap_or(0));
        }
        ends
    }

    fn judge_final_reads(&mut self, ends: &[FinalEnd]) {
        let mut unseen = Vec::new();
        for (process, place, read) in self.final_reads() {
            let end = ends[place].next.max(ends[place].high_watermark);
            if !read.is_complete() || read.next < end {
                let partition = self.partitions[place].name.clone();
                let anomaly = Anomaly::Unseen { partition, process, read_to: read.next, end };
                unseen.push((anomaly, vec![read.line]));
            }
        }
        for (anomaly, evidence) in unseen {
            self.report.add(anomaly, evidence);
        }
        if self.expectations.final_read {
            for (partition, end) in self.partitions.iter().zip(ends) {
                if partition.acked && end.line == 0 {
                    let partition = partition.name.clone();
                    self.report.add(Anomaly::NoFinalRead { partition }, Vec::new());
                }
            }
        }
    }

    fn judge_values(&mut self, ends: &[FinalEnd]) {
        let counts = &mut self.report.counts;
        let mut findings = Vec::new();
        for (value, known) in &self.values {
            let partition = &self.partitions[known.partition];
            match known.fate {
                Fate::Unknown => {
                    counts.unknown += 1;
                    counts.unknown_found += u64::from(known.read_line != 0);
                }
                Fate::Failed => {
                    counts.failed += 1;
                    if known.read_line != 0 {
                        let read = Payload { offset: known.read_offset, value: *value };
                        let partition = partition.name.clone();
                        let lines = vec![known.sent_line, known.done_line, known.read_line];
                        findings.push((Anomaly::FailedWriteRead { partition, read }, lines));
                    }
                }
                Fate::Acked => {
                    let is_deleted =
                        known.acked_offset >= 0 && known.acked_offset < partition.log_start;
                    counts.deleted += u64::from(is_deleted);
                    if !is_deleted {
                        let end = &ends[known.partition];
                        let finding = judge_acked(partition, end, *value, known);
                        findings.extend(finding.map(|anomaly| {
                            (anomaly, vec![known.sent_line, known.done_line, end.line])
                        }));
                    }
                }
            }
        }
        for (anomaly, evidence) in findings {
            self.report.add(anomaly, evidence);
        }
    }

    /// An idempotent producer's records lie in the order of sending; any producer's records of
    /// one batch do.
    fn judge_order(&mut self) {
        for ((process, place, ..), stream) in &self.streams {
            let mut earlier: Option<(Payload, &Value)> = None;
            for value in &stream.values {
                let Some(known) = self.values.get(value) else {
                    continue;
                };
                let offset = match (known.read_offset, known.acked_offset) {
                    (-1, acked) => acked,
                    (read, _) => read,
                };
                // Of a record that is there twice it is open which copy belongs to which try.
                if known.fate == Fate::Failed || offset == -1 || known.copies > 1 {
                    continue;
                }
                let later = Payload { offset, value: *value };
                if let Some((earlier, before)) = earlier {
                    let internal = before.sent_line == known.sent_line;
                    if earlier.offset >= later.offset && (internal || known.idempotent) {
                        let anomaly = Anomaly::NonmonotonicSend {
                            partition: self.partitions[*place].name.clone(),
                            process: *process,
                            earlier,
                            later,
                            internal,
                        };
                        let lines = [before, known]
                            .iter()
                            .flat_map(|known| [known.sent_line, known.done_line, known.read_line])
                            .collect();
                        self.report.add(anomaly, lines);
                    }
                }
                earlier = Some((later, known));
            }
        }
    }
}

/// What became of an acknowledged record that was not deleted.
fn judge_acked(
    partition: &Partition,
    end: &FinalEnd,
    value: u64,
    known: &Value,
) -> Option<Anomaly> {
    let is_final_at = |offset: i64| {
        let slot = partition.slots.get(&offset);
        slot.is_some_and(|slot| slot.final_line != 0 && slot.read == value)
    };
    let acked = Payload { offset: known.acked_offset, value };
    let not_reached = !end.is_complete && acked.offset >= end.next;
    if end.line == 0 || is_final_at(acked.offset) || not_reached {
        return None; // there, or told as no-final-read or unseen
    }
    let name = partition.name.clone();
    if is_final_at(known.read_offset) {
        let read_offset = known.read_offset;
        return (acked.offset != -1).then_some(Anomaly::AckedOffsetDiffers {
            partition: name,
            acked,
            read_offset,
        });
    }
    Some(Anomaly::LostWrite { partition: name, acked })
}

/// Records that were left out of an answer although they are there.
fn judge_jumps(partition: &Partition, report: &mut Report) {
    for jump in &partition.jumps {
        let from = jump.from.max(partition.log_start);
        if from >= jump.to {
            continue;
        }
        let mut between = partition.slots.range(from..jump.to);
        if let Some((offset, slot)) = between.find(|(_, slot)| slot.read_line != 0) {
            let anomaly = Anomaly::PollSkip {
                partition: partition.name.clone(),
                process: jump.process,
                skipped: Payload { offset: *offset, value: slot.read },
                got: jump.to,
                internal: jump.internal,
            };
            report.add(anomaly, vec![slot.read_line, jump.line]);
        }
    }
}

/// Records that a reader had seen and the final read did not.
fn judge_lost_reads(partition: &Partition, end: &FinalEnd, report: &mut Report) {
    for (offset, slot) in partition.slots.range(partition.log_start..) {
        let told_as_lost_write = slot.acked_line != 0 && slot.acked == slot.read;
        let reached = end.is_complete || *offset < end.next;
        if slot.read_line != 0 && slot.final_line == 0 && reached && !told_as_lost_write {
            let seen = Payload { offset: *offset, value: slot.read };
            let partition = partition.name.clone();
            let anomaly = Anomaly::LostRead { partition, seen };
            report.add(anomaly, vec![slot.read_line, end.line]);
        }
    }
}

/// Offsets missing between those that were read finally.
fn judge_gaps(partition: &Partition, report: &mut Report) {
    let mut next = partition.log_start;
    let mut before = 0;
    for (offset, slot) in partition.slots.range(partition.log_start..) {
        if slot.final_line == 0 {
            continue;
        }
        if *offset > next {
            let partition = partition.name.clone();
            let anomaly = Anomaly::OffsetGap { partition, from: next, to: *offset };
            report.add(anomaly, vec![before, slot.final_line]);
        }
        next = offset.saturating_add(1);
        before = slot.final_line;
    }
}
