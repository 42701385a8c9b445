//! Many consumers at the tail of one topic while a producer sends a little: what a fan-out costs,
//! and how late the last one hears.
//!
//! Each consumer has one connection and one long poll open, over the partitions it reads. Records
//! leave one by one at a fixed rate, whatever the broker does (open loop), to the partitions in turn.
//! The producer may have some requests open, each on a connection of its own: were it one at a time,
//! a slow broker would be sent less and never have to give a consumer two records at once. Each
//! record carries the moment it was due, so latency counts from there to the consumer that has it.
//!
//! Invariant: every consumer gets every record of its partitions once, in order and byte for byte;
//! anything else ends the run.

use std::net::SocketAddr;

use hdrhistogram::Histogram;

use crate::batch;
use crate::client::{
    Client, Failed, FetchFrom, FetchLimits, PRODUCE_TAIL, Result, fetch_answer, fetch_frame,
    produce_answer, produce_head,
};
use crate::clock::{Stopwatch, unix_ms};
use crate::crowd::connections::Connections;
use crate::load::value_of;

/// No answer for this long ends a run; long polls are answered far more often.
const SILENCE_NS_MAX: u64 = 30_000_000_000;
/// Kafka's default `fetch.max.wait.ms` and `max.partition.fetch.bytes`.
const LIMITS: FetchLimits = FetchLimits { wait_ms: 500, min_bytes: 1, partition_bytes: 1 << 20 };
/// Requests the producer may have open: enough for 100 records/s if each takes 300 ms.
pub const PRODUCES_OPEN_MAX: usize = 32;
/// Bytes of the due time at the start of a value.
const DUE_BYTES: usize = 8;

/// How many, how fast.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Topic, which exists.
    pub topic: String,
    /// Its partitions.
    pub partitions: i32,
    /// Consumers.
    pub consumers: usize,
    /// Partitions each consumer reads.
    pub partitions_each: i32,
    /// Records per second, over all partitions.
    pub rate: u64,
    /// Bytes of a record's value.
    pub value_bytes: usize,
}

/// What came of some seconds.
#[derive(Debug)]
pub struct Outcome {
    /// From the first record to the last consumer that has the last one.
    pub seconds: f64,
    /// Records that consumers received, all together.
    pub deliveries: u64,
    /// Fetches answered, with records or without.
    pub fetches: u64,
    /// From when a record was due to each consumer that has it, nanoseconds.
    pub latency_ns: Histogram<u64>,
    /// CPU seconds the generator used.
    pub own_cpu_seconds: f64,
}

/// The consumers, connected, and their producer.
pub struct Consumers {
    plan: Plan,
    connections: Connections,
    /// Per consumer what it wants next; the producer's connections come behind the last of them.
    next: Vec<Vec<FetchFrom>>,
    /// The producer's connections without a request.
    free: Vec<usize>,
    template: Template,
    clock: Stopwatch,
}

impl Consumers {
    /// Connects everybody and puts the consumers at the end of their partitions.
    pub fn connect(address: SocketAddr, plan: Plan) -> Result<Self> {
        assert!(plan.consumers >= 1 && (1..=plan.partitions).contains(&plan.partitions_each));
        let ends = Client::connect(address)?.end_offsets(&plan.topic, plan.partitions)?;
        let next = (0..plan.consumers).map(|consumer| {
            let reads = (0..plan.partitions_each).map(|step| {
                let partition = (consumer as i32 + step) % plan.partitions;
                FetchFrom { partition, offset: ends[partition as usize] }
            });
            reads.collect()
        });
        Ok(Self {
            next: next.collect(),
            free: (plan.consumers..plan.consumers + PRODUCES_OPEN_MAX).collect(),
            connections: Connections::open(address, plan.consumers + PRODUCES_OPEN_MAX)?,
            template: Template::new(plan.value_bytes),
            clock: Stopwatch::start(),
            plan,
        })
    }

    /// Sends `records` and returns when every consumer has its part of them.
    pub fn run(&mut self, records: u64) -> Result<Outcome> {
        let latency_ns = Histogram::new_with_bounds(1_000, 600_000_000_000, 3)
            .map_err(|error| Failed::Wrong(format!("histogram: {error}")))?;
        let cpu_before = crate::process::own_cpu_seconds();
        for consumer in 0..self.plan.consumers {
            if !self.connections.is_open(consumer) {
                self.poll(consumer)?;
            }
        }
        let began_ns = self.clock.ns();
        let wanted = wanted(&self.plan, records);
        let mut outcome =
            Outcome { seconds: 0.0, deliveries: 0, fetches: 0, latency_ns, own_cpu_seconds: 0.0 };
        let (mut sent, mut heard_ns, mut ready) = (0, began_ns, Vec::new());
        let interval_ns = 1_000_000_000 / self.plan.rate;
        while outcome.deliveries < wanted || self.free.len() < PRODUCES_OPEN_MAX {
            let due_ns = began_ns + sent * interval_ns;
            if sent < records
                && due_ns <= self.clock.ns()
                && let Some(connection) = self.free.pop()
            {
                let partition = (sent % self.plan.partitions as u64) as i32;
                self.produce(connection, partition, due_ns)?;
                sent += 1;
                continue;
            }
            let may_send = sent < records && !self.free.is_empty();
            let until_ns = if may_send { due_ns } else { u64::MAX };
            self.connections.wait(until_ns.saturating_sub(self.clock.ns()), &mut ready)?;
            for index in ready.drain(..) {
                heard_ns = self.clock.ns();
                if index >= self.plan.consumers {
                    produce_answer(self.connections.answer(index))?;
                    self.free.push(index);
                } else {
                    self.deliver(index, &mut outcome)?;
                    self.poll(index)?;
                }
            }
            if self.clock.ns() - heard_ns > SILENCE_NS_MAX {
                return Err(Failed::Wrong(format!(
                    "the consumers have {} of {wanted} records and hear nothing for {} s",
                    outcome.deliveries,
                    SILENCE_NS_MAX / 1_000_000_000
                )));
            }
        }
        outcome.seconds = (self.clock.ns() - began_ns) as f64 / 1e9;
        outcome.own_cpu_seconds = crate::process::own_cpu_seconds() - cpu_before;
        Ok(outcome)
    }

    fn poll(&mut self, consumer: usize) -> Result<()> {
        let frame = fetch_frame(&self.plan.topic, &self.next[consumer], LIMITS);
        self.connections.send(consumer, frame)
    }

    fn produce(&mut self, connection: usize, partition: i32, due_ns: u64) -> Result<()> {
        let batch = self.template.due(due_ns);
        let mut frame = produce_head(&self.plan.topic, partition, -1, batch.len());
        frame.extend_from_slice(batch);
        frame.extend_from_slice(&PRODUCE_TAIL);
        self.connections.send(connection, frame)
    }

    fn deliver(&mut self, consumer: usize, outcome: &mut Outcome) -> Result<()> {
        let now_ns = self.clock.ns();
        let (next, template) = (&mut self.next[consumer], &self.template);
        outcome.fetches += 1;
        fetch_answer(self.connections.answer(consumer), |part| {
            if part.records.is_empty() {
                return Ok(());
            }
            let place = next.iter_mut().find(|from| from.partition == part.partition);
            let place = place.ok_or_else(|| {
                Failed::Wrong(format!("partition {} was not asked for", part.partition))
            })?;
            for batch in part.records.chunks(template.bytes.len()) {
                let due_ns = template.read(batch, place.offset).map_err(|what| {
                    Failed::Wrong(format!(
                        "consumer {consumer}, partition {}, offset {}: {what}",
                        part.partition, place.offset
                    ))
                })?;
                place.offset += 1;
                outcome.deliveries += 1;
                outcome.latency_ns.saturating_record(now_ns.saturating_sub(due_ns));
            }
            Ok(())
        })
    }
}

/// How many records all consumers together get of `records` sent to the partitions in turn.
fn wanted(plan: &Plan, records: u64) -> u64 {
    let partitions = plan.partitions as u64;
    let readers = |partition: u64| {
        let reads = |consumer: u64| {
            (partition + partitions - consumer % partitions) % partitions
                < plan.partitions_each as u64
        };
        (0..plan.consumers as u64).filter(|consumer| reads(*consumer)).count() as u64
    };
    let sent = |partition: u64| (records + partitions - 1 - partition) / partitions;
    (0..partitions).map(|partition| readers(partition) * sent(partition)).sum()
}

/// The one batch that is sent, with a place for the due time.
struct Template {
    bytes: Vec<u8>,
    due_at: usize,
}

impl Template {
    fn new(value_bytes: usize) -> Self {
        assert!(value_bytes >= DUE_BYTES);
        let bytes = batch::build([value_of(value_bytes, 13).as_slice()], unix_ms());
        // Behind the value stands one byte: no headers.
        let due_at = bytes.len() - 1 - value_bytes;
        Self { bytes, due_at }
    }

    /// The batch with its due time, its CRC right.
    fn due(&mut self, due_ns: u64) -> &[u8] {
        let at = self.due_at;
        self.bytes[at..at + DUE_BYTES].copy_from_slice(&due_ns.to_be_bytes());
        batch::seal(&mut self.bytes);
        &self.bytes
    }

    /// The due time of a fetched batch, which must be this one at `offset`.
    fn read(&self, batch: &[u8], offset: i64) -> std::result::Result<u64, &'static str> {
        let (due_at, rest_at) = (self.due_at, self.due_at + DUE_BYTES);
        if batch.len() != self.bytes.len() {
            return Err("a batch of another size");
        }
        // Base offset and leader epoch are the broker's, the CRC follows the due time.
        let same = |from: usize, to: usize| batch[from..to] == self.bytes[from..to];
        if !(same(batch::CRC_COVERS_FROM, due_at) && same(rest_at, batch.len())) {
            return Err("other bytes than were sent");
        }
        let mut field = [0; 8];
        field.copy_from_slice(&batch[..8]);
        if i64::from_be_bytes(field) != offset {
            return Err("a record was left out or came twice");
        }
        field.copy_from_slice(&batch[due_at..rest_at]);
        Ok(u64::from_be_bytes(field))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(consumers: usize, partitions_each: i32) -> Plan {
        let topic = "t".to_owned();
        Plan { topic, partitions: 8, consumers, partitions_each, rate: 100, value_bytes: 1_024 }
    }

    #[test]
    fn every_reader_of_a_partition_is_counted_for_every_record_of_it() {
        assert_eq!(wanted(&plan(1_000, 8), 100), 100_000);
        assert_eq!(wanted(&plan(1_000, 1), 80), 10_000);
        // Partition 0 has records 0 and 8 and, of nine consumers, two readers; the others one each.
        assert_eq!(wanted(&plan(9, 1), 9), 2 * 2 + 7);
        assert_eq!(wanted(&plan(1, 2), 8), 2);
    }

    #[test]
    fn a_record_comes_back_with_its_due_time_only_as_it_was_sent() {
        let mut template = Template::new(100);
        let mut batch = template.due(77).to_vec();
        assert!(batch::walk(&batch, true).is_ok(), "the CRC covers the due time");
        batch[..8].copy_from_slice(&5i64.to_be_bytes());
        template.due(99);
        assert_eq!(template.read(&batch, 5), Ok(77));
        assert!(template.read(&batch, 4).is_err(), "left out");
        assert!(template.read(&batch[1..], 5).is_err(), "cut");
        let last = batch.len() - 2;
        batch[last] ^= 1;
        assert!(template.read(&batch, 5).is_err(), "a flipped bit");
    }
}
