//! Lines of Kafka's VerifiableProducer, which tells of acknowledgements only.
//!
//! It sends 0, 1, 2, ... from one thread and says in JSON where each was acknowledged. So that it
//! sent them, and in which order, is known; when, is not: all are put into the history as invoked
//! when it started, in the order of their numbers. The order of an idempotent producer's records
//! is judged by the order of their sending, not by the time of it.
//!
//! Invariant: every record must be acknowledged; one that failed is a fault of the run, for nobody
//! would know to which partition it was sent.

use std::collections::BTreeMap;

use holdfast_checker::{Event, Kind, Op, Send};
use serde_json::Value;

use super::{Inner, Speaker, partition_name};
use crate::clock::monotonic_ns;

/// One such producer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Verifiable {
    /// How many events there were when it started.
    place: usize,
    time_ns: u64,
    idempotent: bool,
}

impl Inner {
    pub(super) fn take_json(&mut self, speaker: &Speaker, first: u64, line: &str) -> Option<()> {
        let told: Value = serde_json::from_str(line).ok()?;
        match told["name"].as_str()? {
            "startup_complete" => {
                let (place, time_ns) = (self.events.len(), monotonic_ns());
                let started = Verifiable { place, time_ns, idempotent: speaker.idempotent };
                self.verifiable.insert(speaker.process, started);
                self.tally(speaker.process).ready = true;
            }
            "producer_send_success" => {
                let number = told["value"].as_str()?.split('.').nth(1)?;
                let value = first + number.parse::<u64>().ok()?;
                let send = Send {
                    partition: partition_name(&speaker.topic, told["partition"].as_i64()?),
                    acks: speaker.acks,
                    idempotent: speaker.idempotent,
                    offset: Some(told["offset"].as_i64()?),
                    ..Send::default()
                };
                self.tally(speaker.process).acked += 1;
                self.push(speaker.process, value, Kind::Ok, Op::Send(send));
            }
            "shutdown_complete" => self.tally(speaker.process).done = true,
            "tool_data" => {}
            _ => return None,
        }
        Some(())
    }
}

/// The history with the sends of these producers put in where they started.
pub(super) fn with_invocations(
    events: Vec<Event>,
    producers: &BTreeMap<u32, Verifiable>,
) -> Vec<Event> {
    let mut sent: BTreeMap<u32, BTreeMap<u64, String>> = BTreeMap::new();
    for event in &events {
        if let (true, Op::Send(send)) = (producers.contains_key(&event.process), &event.op) {
            let of_process = sent.entry(event.process).or_default();
            of_process.insert(event.call, send.partition.clone());
        }
    }
    let mut whole = Vec::with_capacity(events.len());
    for (place, event) in events.into_iter().enumerate() {
        for (process, started) in producers.iter().filter(|(_, one)| one.place == place) {
            for (value, partition) in sent.remove(process).unwrap_or_default() {
                let send = Send {
                    partition,
                    values: vec![value],
                    acks: -1,
                    idempotent: started.idempotent,
                    ..Send::default()
                };
                whole.push(Event {
                    process: *process,
                    call: value,
                    kind: Kind::Invoke,
                    time_ns: started.time_ns,
                    op: Op::Send(send),
                });
            }
        }
        whole.push(event);
    }
    whole
}
