//! Sends and their answers.

use crate::anomaly::{Anomaly, Payload};
use crate::event::{Event, Kind, Send};

use super::Checker;
use super::tables::{Fate, OpenSend, Step, Value, stream_key};

impl Checker {
    pub(super) fn send_invoked(&mut self, line: u64, event: &Event, send: &Send) -> OpenSend {
        let partition = self.partition(&send.partition);
        let stream = stream_key(event.process, partition, send.producer);
        self.report.counts.sent += send.values.len() as u64;
        for value in &send.values {
            let new = Value {
                partition,
                idempotent: send.idempotent,
                fate: Fate::Unknown,
                sent_line: line,
                done_line: 0,
                acked_at_ns: 0,
                acked_offset: -1,
                read_offset: -1,
                read_line: 0,
                copies: 0,
            };
            if self.values.insert(*value, new).is_some() {
                self.bad(line, "a value is sent twice");
            }
        }
        self.streams.entry(stream).or_default().values.extend_from_slice(&send.values);
        OpenSend {
            line,
            partition,
            stream,
            values: send.values.clone(),
            acks: send.acks,
            idempotent: send.idempotent,
        }
    }

    pub(super) fn send_completed(
        &mut self,
        line: u64,
        event: &Event,
        open: &OpenSend,
        send: &Send,
    ) {
        if self.partitions[open.partition].name != send.partition {
            return self.bad(line, "a send is completed on another partition than it was invoked");
        }
        match event.kind {
            Kind::Fail => {
                for value in &open.values {
                    if let Some(known) = self.values.get_mut(value) {
                        known.fate = Fate::Failed;
                        known.done_line = line;
                    }
                }
            }
            // An acks=0 send that was handed to the socket promises nothing.
            Kind::Ok if open.acks != 0 => self.send_acked(line, event, open, send),
            Kind::Ok | Kind::Info | Kind::Invoke => {}
        }
    }

    fn send_acked(&mut self, line: u64, event: &Event, open: &OpenSend, send: &Send) {
        let partition = open.partition;
        self.partitions[partition].acked = true;
        if let (Some(node), Some(epoch)) = (send.node, send.leader_epoch) {
            self.leader_named(line, partition, node, epoch);
        }
        let end = match send.offset {
            Some(base) => base.checked_add(open.values.len() as i64).filter(|_| base >= 0),
            None => Some(-1),
        };
        let Some(end) = end else {
            return self.bad(line, "a send is acknowledged at an offset that is none");
        };
        for (place, value) in (0..).zip(&open.values) {
            let offset = send.offset.map_or(-1, |base| base + place);
            self.value_acked(line, event.time_ns, partition, *value, offset);
        }
        let (Some(base), Some(last)) = (send.offset, open.values.last()) else {
            return;
        };
        self.partitions[partition].high_watermark.reach(Step { line, at: end, value: *last });
        let stream = self.streams.entry(open.stream).or_default();
        let before = stream.acked.before(open.line);
        stream.acked.reach(Step { line, at: end, value: *last });
        // Idempotent producers are judged in `finish`, by where their records lie.
        if let Some(before) = before
            && before.at > base
            && !open.idempotent
        {
            let anomaly = Anomaly::NonmonotonicSend {
                partition: send.partition.clone(),
                process: event.process,
                earlier: Payload { offset: before.at - 1, value: before.value },
                later: Payload { offset: base, value: open.values[0] },
                internal: false,
            };
            self.report.add(anomaly, vec![before.line, open.line, line]);
        }
    }

    fn value_acked(&mut self, line: u64, time_ns: u64, partition: usize, value: u64, offset: i64) {
        let Some(known) = self.values.get_mut(&value) else {
            return;
        };
        known.fate = Fate::Acked;
        known.done_line = line;
        known.acked_at_ns = time_ns;
        known.acked_offset = offset;
        self.report.counts.acked += 1;
        if known.read_line == 0 {
            self.unseen += 1;
            self.report.unseen_max = self.report.unseen_max.max(self.unseen);
        }
        if offset < 0 {
            return;
        }
        let partition = &mut self.partitions[partition];
        let slot = partition.slots.entry(offset).or_default();
        let told = [(slot.read_line, slot.read), (slot.acked_line, slot.acked)];
        if slot.acked_line == 0 {
            (slot.acked, slot.acked_line) = (value, line);
        }
        for (told_line, told) in told {
            if told_line != 0 && told != value {
                let anomaly = Anomaly::InconsistentOffsets {
                    partition: partition.name.clone(),
                    offset,
                    first: told,
                    second: value,
                    among_readers: false,
                };
                self.report.add(anomaly, vec![told_line, line]);
            }
        }
    }
}
