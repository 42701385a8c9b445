//! From lines of several clients to one history in one order.
//!
//! | line | event |
//! | --- | --- |
//! | `ready` | none: the client waits for the word to begin |
//! | `invoke VALUE PARTITION` | send invoked |
//! | `ok VALUE PARTITION OFFSET` | send acknowledged |
//! | `info VALUE PARTITION WHY` | nobody knows |
//! | `start PARTITION LOG_START HIGH_WATERMARK` | a final read begins |
//! | `record PARTITION OFFSET VALUE` | one record of it |
//! | `done` | the client ended by itself; a final read's polls |
//!
//! Lines of groups' members are in [`groups`], those of VerifiableProducer in [`verifiable`].
//!
//! Lines of one client keep their order; lines of two clients are ordered by arrival, under one
//! lock. An acknowledgement may arrive late, never early: nothing that was acknowledged is judged
//! as if it had been before it was. Invocations that arrived late are put right in [`causes`].

mod causes;
mod groups;
#[cfg(test)]
mod tests;
mod verifiable;

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use holdfast_checker::{Event, Kind, Op, Poll, Send};

use crate::clock::monotonic_ns;
use groups::Membership;
use verifiable::Verifiable;

/// Records in one poll of the history.
const POLL_RECORDS_MAX: usize = 1_000;
/// The value of a record whose bytes are not whole: no producer sends it, so the checker calls it
/// a phantom.
pub const DAMAGED: u64 = u64::MAX;

/// How a client's records are told to the checker.
#[derive(Clone, Debug)]
pub struct Speaker {
    /// Unique in the history.
    pub process: u32,
    /// Its topic.
    pub topic: String,
    /// -1, 1.
    pub acks: i16,
    /// Whether it is an idempotent producer.
    pub idempotent: bool,
    /// VerifiableProducer's first value, where it is one: it speaks JSON.
    pub verifiable: Option<u64>,
}

impl Speaker {
    /// One that sends nothing.
    pub fn listener(process: u32, topic: &str) -> Speaker {
        let topic = topic.to_owned();
        Speaker { process, topic, acks: 0, idempotent: false, verifiable: None }
    }
}

/// What a client has told so far.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Tally {
    /// Records handed to the library.
    pub invoked: u64,
    /// Records acknowledged.
    pub acked: u64,
    /// Records nobody knows about.
    pub unknown: u64,
    /// Whether it waits to begin, or has begun.
    pub ready: bool,
    /// Whether it ended by itself.
    pub done: bool,
    /// Commits of a group acknowledged to it.
    pub commits: u64,
    /// Answers that showed it committed offsets.
    pub looks: u64,
}

impl Tally {
    /// Handed over and without an answer.
    pub fn in_flight(&self) -> u64 {
        self.invoked.saturating_sub(self.acked + self.unknown)
    }
}

/// A read that goes on.
#[derive(Debug, Default)]
struct Reading {
    log_start: i64,
    high_watermark: i64,
    records: Vec<(i64, u64)>,
}

#[derive(Debug, Default)]
struct Inner {
    events: Vec<Event>,
    tallies: BTreeMap<u32, Tally>,
    readings: BTreeMap<(u32, u32), Reading>,
    members: BTreeMap<u32, Membership>,
    verifiable: BTreeMap<u32, Verifiable>,
    /// The last call of a process whose calls are numbered here.
    calls: BTreeMap<u32, u64>,
    /// The first line that could not be understood.
    fault: Option<String>,
}

/// The history as it grows.
#[derive(Debug, Default)]
pub struct Recorder(Mutex<Inner>);

impl Recorder {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a line.
    pub fn line(&self, speaker: &Speaker, line: &str) {
        let mut inner = self.lock();
        if inner.take(speaker, line).is_none() && inner.fault.is_none() {
            inner.fault = Some(format!("process {} said {line:?}", speaker.process));
        }
    }

    /// The client has ended, well or not: what it left open stays unknown.
    pub fn ended(&self, speaker: &Speaker) {
        self.lock().membership_ended(speaker);
    }

    /// What a client has told.
    pub fn tally(&self, process: u32) -> Tally {
        self.lock().tallies.get(&process).copied().unwrap_or_default()
    }

    /// Adds a line for people.
    pub fn note(&self, text: String) {
        let mut inner = self.lock();
        let call = inner.events.len() as u64;
        inner.push(0, call, Kind::Ok, Op::Note { text });
    }

    /// The history so far, or the line that was not understood.
    ///
    /// # Errors
    /// When a client said what nobody understands.
    pub fn so_far(&self) -> Result<Vec<Event>, String> {
        let inner = self.lock();
        match &inner.fault {
            None => {
                let whole = verifiable::with_invocations(inner.events.clone(), &inner.verifiable);
                Ok(causes::before_effects(whole))
            }
            Some(fault) => Err(fault.clone()),
        }
    }

    /// The history, or the line that was not understood.
    pub fn finish(self) -> Result<Vec<Event>, String> {
        let inner = self.0.into_inner().unwrap_or_else(PoisonError::into_inner);
        match inner.fault {
            None => {
                let whole = verifiable::with_invocations(inner.events, &inner.verifiable);
                Ok(causes::before_effects(whole))
            }
            Some(fault) => Err(fault),
        }
    }
}

impl Inner {
    fn push(&mut self, process: u32, call: u64, kind: Kind, op: Op) {
        self.events.push(Event { process, call, kind, time_ns: monotonic_ns(), op });
    }

    fn next_call(&mut self, process: u32) -> u64 {
        let call = self.calls.entry(process).or_default();
        *call += 1;
        *call
    }

    fn tally(&mut self, process: u32) -> &mut Tally {
        self.tallies.entry(process).or_default()
    }

    fn take(&mut self, speaker: &Speaker, line: &str) -> Option<()> {
        if let Some(first) = speaker.verifiable {
            return self.take_json(speaker, first, line);
        }
        let mut words = line.split(' ');
        let word = words.next()?;
        let mut number = || words.next()?.parse::<i64>().ok();
        match word {
            "invoke" | "ok" | "info" => {
                let value = u64::try_from(number()?).ok()?;
                let partition = number()?;
                let mut send = Send {
                    partition: partition_name(&speaker.topic, partition),
                    acks: speaker.acks,
                    idempotent: speaker.idempotent,
                    ..Send::default()
                };
                let tally = self.tally(speaker.process);
                let kind = match word {
                    "invoke" => {
                        tally.invoked += 1;
                        send.values = vec![value];
                        Kind::Invoke
                    }
                    "ok" => {
                        tally.acked += 1;
                        send.offset = Some(number()?);
                        Kind::Ok
                    }
                    _ => {
                        tally.unknown += 1;
                        Kind::Info
                    }
                };
                self.push(speaker.process, value, kind, Op::Send(send));
            }
            "start" => {
                let partition = u32::try_from(number()?).ok()?;
                let reading = Reading {
                    log_start: number()?,
                    high_watermark: number()?,
                    records: Vec::new(),
                };
                self.readings.insert((speaker.process, partition), reading);
            }
            "record" => {
                let partition = u32::try_from(number()?).ok()?;
                let offset = number()?;
                let value = words.next()?;
                let value = if value == "damaged" { DAMAGED } else { value.parse().ok()? };
                self.readings.get_mut(&(speaker.process, partition))?.records.push((offset, value));
            }
            "ready" => self.tally(speaker.process).ready = true,
            "done" => {
                self.end_reads(speaker);
                self.tally(speaker.process).done = true;
            }
            _ => return self.take_of_member(speaker, word, words),
        }
        Some(())
    }

    fn end_reads(&mut self, speaker: &Speaker) {
        let keys: Vec<_> = self
            .readings
            .keys()
            .filter(|(process, _)| *process == speaker.process)
            .copied()
            .collect();
        for (process, partition) in keys {
            let Some(reading) = self.readings.remove(&(process, partition)) else { continue };
            let mut position = Some(reading.log_start);
            // The empty poll at the end is how a client learns that there is no more.
            for records in reading.records.chunks(POLL_RECORDS_MAX).chain([&[][..]]) {
                let poll = Poll {
                    partition: partition_name(&speaker.topic, i64::from(partition)),
                    position: position.take(),
                    is_final: true,
                    records: records.to_vec(),
                    high_watermark: Some(reading.high_watermark),
                    log_start: Some(reading.log_start),
                    ..Poll::default()
                };
                let call = self.next_call(process);
                self.push(process, call, Kind::Ok, Op::Poll(poll));
            }
        }
    }
}

/// How the history names a partition.
pub fn partition_name(topic: &str, partition: i64) -> String {
    format!("{topic}-{partition}")
}
