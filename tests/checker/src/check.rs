//! One pass over the history, then one over what is left.
//!
//! ```text
//! observe   calls are matched; what can be judged at once is: two values at one offset, going
//!           back, epochs, watermarks
//! finish    what needs the final read: lost, skipped, out of order, gaps, audit
//!
//! values      value -> where sent, how it ended, where acknowledged, where read first
//! partitions  offset -> value as read, as read finally, as acknowledged
//! streams     (process, partition, producer) -> values in the order of sending
//! readers     (process, partition) -> position, final read
//! groups      group -> commits of each partition, generations, assignments, records consumed
//! ```
//!
//! "Before" always means: completed on an earlier line than the other was invoked. Calls that
//! overlap have no order, so an answer that was overtaken on its way raises no alarm.

mod consumed;
mod facts;
mod finish;
mod groups;
mod polls;
mod sends;
mod tables;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use crate::anomaly::Anomaly;
use crate::event::{Event, Kind, Op};
use crate::expectations::Expectations;
use crate::history::{BadHistory, HistoryReader};
use crate::report::Report;
use facts::Facts;
use groups::Groups;
use tables::{OpenCall, Partition, Reader, Stream, StreamKey, Value};

/// Judges a history held in memory; line n is the n-th event, from 1.
#[must_use]
pub fn check<'a>(
    history: impl IntoIterator<Item = &'a Event>,
    expectations: Expectations,
) -> Report {
    let mut checker = Checker::new(expectations);
    for (line, event) in (1..).zip(history) {
        checker.observe(line, event);
    }
    checker.finish()
}

/// Judges a history in a file, as a stream.
///
/// # Errors
/// When the file cannot be read to its end.
pub fn check_file(path: &Path, expectations: Expectations) -> Result<Report, BadHistory> {
    let open = |error: std::io::Error| BadHistory { line: 0, why: error.to_string() };
    let mut checker = Checker::new(expectations);
    for read in
        HistoryReader::new(BufReader::with_capacity(1 << 20, File::open(path).map_err(open)?))
    {
        let (line, event) = read?;
        checker.observe(line, &event);
    }
    Ok(checker.finish())
}

/// The checker, fed line by line.
#[derive(Debug)]
pub struct Checker {
    expectations: Expectations,
    report: Report,
    names: BTreeMap<String, usize>,
    partitions: Vec<Partition>,
    values: BTreeMap<u64, Value>,
    calls: BTreeMap<(u32, u64), OpenCall>,
    streams: BTreeMap<StreamKey, Stream>,
    readers: BTreeMap<(u32, usize), Reader>,
    facts: Facts,
    groups: Groups,
    /// Records acknowledged and read by nobody so far.
    unseen: u64,
}

impl Checker {
    /// Before the first line.
    #[must_use]
    pub fn new(expectations: Expectations) -> Self {
        Checker {
            expectations,
            report: Report::default(),
            names: BTreeMap::new(),
            partitions: Vec::new(),
            values: BTreeMap::new(),
            calls: BTreeMap::new(),
            streams: BTreeMap::new(),
            readers: BTreeMap::new(),
            facts: Facts::default(),
            groups: Groups::default(),
            unseen: 0,
        }
    }

    /// Takes one line. Lines come in their order.
    pub fn observe(&mut self, line: u64, event: &Event) {
        self.report.counts.events += 1;
        let key = (event.process, event.call);
        match (event.kind, &event.op) {
            (_, Op::Note { .. }) => {}
            (Kind::Invoke, op) => self.invoke(line, event, op),
            (_, Op::Send(send)) => match self.calls.remove(&key) {
                Some(OpenCall::Send(open)) => self.send_completed(line, event, &open, send),
                _ => self.bad(line, "a send is completed that was not invoked"),
            },
            (kind, Op::Poll(poll)) => match self.calls.remove(&key) {
                Some(OpenCall::Poll(open)) if kind == Kind::Ok => {
                    self.poll_answered(line, event, open.line, open.position, poll);
                }
                None if kind == Kind::Ok => self.poll_answered(line, event, line, None, poll),
                Some(OpenCall::Poll(_)) | None => {}
                Some(_) => self.bad(line, "a poll is completed that was invoked as something else"),
            },
            (kind, Op::DeleteRecords { partition, before_offset }) => {
                self.calls.remove(&key);
                if kind == Kind::Ok {
                    let place = self.partition(partition);
                    self.log_start_shown(line, place, *before_offset);
                }
            }
            (kind, Op::Commit(commit)) => match self.calls.remove(&key) {
                Some(OpenCall::Other { line: invoked }) => {
                    self.commit_completed(line, invoked, kind, commit);
                }
                _ => self.bad(line, "a commit is completed that was not invoked"),
            },
            (kind, Op::FetchOffsets(_) | Op::JoinGroup(_) | Op::SyncGroup(_)) => {
                let Some(OpenCall::Other { line: invoked }) = self.calls.remove(&key) else {
                    self.bad(line, "a group's call is completed that was not invoked");
                    return;
                };
                match &event.op {
                    Op::FetchOffsets(fetch) if kind == Kind::Ok => {
                        self.offsets_shown(line, invoked, fetch);
                    }
                    Op::JoinGroup(join) if kind == Kind::Ok => self.joined(line, invoked, join),
                    Op::SyncGroup(sync) if kind == Kind::Ok => self.assigned(line, sync),
                    _ => {}
                }
            }
            (kind, Op::AuditAction { key: name }) => {
                self.calls.remove(&key);
                self.facts.audit_action(name, kind, line);
            }
            (_, Op::AuditRecord { key, refused }) => {
                self.report.counts.audit_records += 1;
                self.facts.audit_record(key, *refused, line);
            }
            (kind, Op::Leader { partition, node, boot, leader, leader_epoch }) => {
                let invoked = match self.calls.remove(&key) {
                    Some(OpenCall::Other { line }) => line,
                    _ => line,
                };
                if kind == Kind::Ok {
                    self.report.counts.leader_facts += 1;
                    let place = self.partition(partition);
                    self.epoch_shown(line, invoked, place, (*node, *boot), *leader_epoch);
                    self.leader_named(line, place, *leader, *leader_epoch);
                }
            }
            (_, Op::ReplicaHash { partition, place, end_offset, hash }) => {
                self.report.counts.replica_hashes += 1;
                let named = self.partition(partition);
                self.replica_hash(line, named, place, *end_offset, hash);
            }
        }
    }

    fn invoke(&mut self, line: u64, event: &Event, op: &Op) {
        let open = match op {
            Op::Send(send) => OpenCall::Send(self.send_invoked(line, event, send)),
            Op::Poll(poll) => {
                self.partition(&poll.partition);
                OpenCall::Poll(tables::OpenPoll { line, position: poll.position })
            }
            Op::DeleteRecords { partition, before_offset } => {
                let place = self.partition(partition);
                let asked = if *before_offset == -1 { i64::MAX } else { *before_offset };
                let requested = &mut self.partitions[place].delete_requested;
                *requested = asked.max(*requested);
                OpenCall::Other { line }
            }
            Op::AuditAction { key } => {
                self.facts.audit_action(key, Kind::Invoke, line);
                OpenCall::Other { line }
            }
            Op::Commit(commit) => {
                self.commit_invoked(line, commit);
                OpenCall::Other { line }
            }
            Op::SyncGroup(sync) => {
                self.sync_invoked(line, sync);
                OpenCall::Other { line }
            }
            Op::FetchOffsets(_)
            | Op::JoinGroup(_)
            | Op::Leader { .. }
            | Op::ReplicaHash { .. }
            | Op::AuditRecord { .. } => OpenCall::Other { line },
            Op::Note { .. } => return,
        };
        if self.calls.insert((event.process, event.call), open).is_some() {
            self.bad(line, "a call is invoked twice");
        }
    }

    /// The place of a partition in `partitions`.
    fn partition(&mut self, name: &str) -> usize {
        if let Some(place) = self.names.get(name) {
            return *place;
        }
        let place = self.partitions.len();
        self.partitions.push(Partition::new(name));
        self.names.insert(name.to_owned(), place);
        place
    }

    fn bad(&mut self, line: u64, why: &str) {
        self.report.add(Anomaly::BadHistory { why: why.to_owned() }, vec![line]);
    }
}
