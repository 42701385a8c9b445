//! A clean history passes; each planted fault is found, under its own name.

mod clean;
mod file;
mod groups;
mod planted;

use crate::*;

pub(crate) const T: &str = "t-0";

/// Builds a history by hand: every method is one line or one call.
#[derive(Default)]
pub(crate) struct Story {
    pub(crate) events: Vec<Event>,
    calls: u64,
}

impl Story {
    pub(crate) fn line(&mut self, process: u32, call: u64, kind: Kind, op: Op) -> &mut Self {
        let time_ns = 1_000 * (self.events.len() as u64 + 1);
        self.events.push(Event { process, call, kind, time_ns, op });
        self
    }

    pub(crate) fn fact(&mut self, op: Op) -> &mut Self {
        self.line(99, 0, Kind::Ok, op)
    }

    pub(crate) fn invoke(&mut self, process: u32, send: Send) -> u64 {
        self.calls += 1;
        self.line(process, self.calls, Kind::Invoke, Op::Send(send));
        self.calls
    }

    pub(crate) fn complete(&mut self, process: u32, call: u64, kind: Kind, offset: i64) {
        let offset = (kind == Kind::Ok).then_some(offset);
        let answer = Send { partition: T.to_owned(), offset, ..Send::default() };
        self.line(process, call, kind, Op::Send(answer));
    }

    /// A send that is acknowledged at once.
    pub(crate) fn sent(&mut self, process: u32, values: &[u64], offset: i64) -> &mut Self {
        let call = self.invoke(process, send(values));
        self.complete(process, call, Kind::Ok, offset);
        self
    }

    pub(crate) fn poll(&mut self, process: u32, poll: Poll) -> &mut Self {
        self.calls += 1;
        let ask = Poll { records: vec![], high_watermark: None, ..poll.clone() };
        self.line(process, self.calls, Kind::Invoke, Op::Poll(ask));
        self.line(process, self.calls, Kind::Ok, Op::Poll(poll))
    }

    pub(crate) fn read(&mut self, process: u32, records: &[(i64, u64)]) -> &mut Self {
        self.poll(process, poll(records))
    }

    /// A final read by process 50, from `log_start` to the end of `records`.
    pub(crate) fn final_read(&mut self, log_start: i64, records: &[(i64, u64)]) -> &mut Self {
        let end = records.last().map_or(log_start, |(offset, _)| offset + 1);
        self.poll(
            50,
            Poll {
                position: Some(log_start),
                is_final: true,
                high_watermark: Some(end),
                log_start: Some(log_start),
                ..poll(records)
            },
        )
    }

    pub(crate) fn check(&self) -> Report {
        check(&self.events, Expectations::default())
    }

    /// Exactly these anomalies, and evidence for each.
    #[track_caller]
    pub(crate) fn finds(&self, expected: &[&str]) {
        let report = self.check();
        let found: Vec<&str> = report.anomalies.keys().map(String::as_str).collect();
        assert_eq!(found, expected, "{report}");
        for finding in &report.findings {
            let lines = 1..=self.events.len() as u64;
            assert!(finding.evidence.iter().all(|line| lines.contains(line)), "{finding:?}");
            let is_told_by_absence = finding.anomaly.name() == "no-final-read";
            assert!(is_told_by_absence || !finding.evidence.is_empty(), "{finding:?}");
        }
    }
}

pub(crate) fn send(values: &[u64]) -> Send {
    Send { partition: T.to_owned(), values: values.to_vec(), acks: -1, ..Send::default() }
}

pub(crate) fn idempotent(values: &[u64]) -> Send {
    let producer = Some(Producer { id: 1, epoch: 0, sequence: 0 });
    Send { idempotent: true, producer, ..send(values) }
}

pub(crate) fn poll(records: &[(i64, u64)]) -> Poll {
    Poll { partition: T.to_owned(), records: records.to_vec(), ..Poll::default() }
}

pub(crate) fn leader(node: u32, boot: u64, leader: u32, leader_epoch: i32) -> Op {
    Op::Leader { partition: T.to_owned(), node, boot, leader, leader_epoch }
}
