//! Records whose bytes follow from where they are, who produces them at a pace, and who reads them.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use holdfast_bench::batch;
use holdfast_bench::client::{Client, Failed, FetchFrom, FetchLimits};
use holdfast_bench::clock::{Stopwatch, nap, unix_ms};
use holdfast_bench::load::value_of;

use crate::Result;

pub(super) const TOPIC: &str = "weather";
pub(super) const PARTITIONS: i32 = 3;
const BATCH_RECORDS: u64 = 32;
const VALUE_BYTES: usize = 1_024;
/// 20 batches a second: enough for objects, too little to fill the log.
const PACE: Duration = Duration::from_millis(50);
/// Far more than the longest wait for a store.
const READ_WAIT_S: f64 = 60.0;
/// What a stock client tries again.
const RETRIABLE: [i16; 5] = [19, 56, 6, 7, 9];

/// How many records each partition holds.
#[derive(Clone, Copy, Default, Debug)]
pub(super) struct Produced {
    ends: [u64; PARTITIONS as usize],
    turn: usize,
}

impl Produced {
    pub(super) fn records(&self) -> u64 {
        self.ends.iter().sum()
    }

    pub(super) fn fill(&mut self, client: &mut Client, bytes: u64) -> Result<()> {
        let end = self.records() + bytes / VALUE_BYTES as u64;
        while self.records() < end {
            self.one(client)?;
        }
        Ok(())
    }

    /// One batch, which must be taken: the log has room.
    fn one(&mut self, client: &mut Client) -> Result<()> {
        let first = self.ends[self.turn];
        let values: Vec<Vec<u8>> =
            (first..first + BATCH_RECORDS).map(|offset| value(self.turn, offset)).collect();
        let batch = batch::build(values.iter().map(Vec::as_slice), unix_ms());
        let appended = client.produce(TOPIC, self.turn as i32, &batch);
        let appended = appended.map_err(|error| format!("a batch was not taken: {error}"))?;
        if appended.base_offset as u64 != first {
            return Err(format!("a batch came to offset {}, not {first}", appended.base_offset));
        }
        self.ends[self.turn] += BATCH_RECORDS;
        self.turn = (self.turn + 1) % self.ends.len();
        Ok(())
    }
}

fn value(partition: usize, offset: u64) -> Vec<u8> {
    value_of(VALUE_BYTES, (partition as u64) << 40 | offset)
}

/// Batches sent at a pace, with the time each took.
pub(super) struct Pace {
    latencies_ns: Vec<u64>,
}

impl Pace {
    pub(super) fn run(
        address: SocketAddr,
        produced: &mut Produced,
        goes_on: impl Fn(f64) -> bool,
    ) -> Result<Pace> {
        let mut client = Client::connect(address).map_err(|error| error.to_string())?;
        let mut latencies_ns = Vec::new();
        let clock = Stopwatch::start();
        while goes_on(clock.seconds()) {
            let one = Stopwatch::start();
            produced.one(&mut client)?;
            latencies_ns.push(one.ns());
            nap(PACE.saturating_sub(Duration::from_nanos(one.ns())));
        }
        latencies_ns.sort_unstable();
        Ok(Pace { latencies_ns })
    }

    pub(super) fn batches(&self) -> usize {
        self.latencies_ns.len()
    }

    /// Median, 99 of a hundred, longest.
    pub(super) fn latencies_us(&self) -> [u64; 3] {
        let last = self.latencies_ns.len().saturating_sub(1);
        [last / 2, last * 99 / 100, last]
            .map(|at| self.latencies_ns.get(at).copied().unwrap_or_default() / 1_000)
    }
}

/// What a reader got.
#[derive(Clone, Copy, Default, Debug)]
pub(super) struct Drained {
    /// Each compared with what was produced.
    pub(super) records: u64,
    /// Answers that were errors; the same was asked again.
    pub(super) errors: u64,
}

/// Reads every partition from `from` to `to`, unless told to stop.
pub(super) fn drain(
    address: SocketAddr,
    to: &Produced,
    from: Produced,
    stop: &AtomicBool,
) -> Result<Drained> {
    let mut client = Client::connect(address).map_err(|error| error.to_string())?;
    let limits = FetchLimits { wait_ms: 500, min_bytes: 1, partition_bytes: 1 << 20 };
    let mut drained = Drained::default();
    for (partition, end) in to.ends.iter().enumerate() {
        let mut at = from.ends[partition];
        let mut silent = Stopwatch::start();
        while at < *end {
            if stop.load(Ordering::Relaxed) {
                return Ok(drained);
            }
            if silent.seconds() > READ_WAIT_S {
                return Err(format!("partition {partition}: nothing behind {at} for a minute"));
            }
            let place = FetchFrom { partition: partition as i32, offset: at as i64 };
            match client.fetch(TOPIC, place, limits) {
                Ok(records) => {
                    let next = compared(partition, at, &records)?;
                    if next > at {
                        drained.records += next - at;
                        at = next;
                        silent = Stopwatch::start();
                    }
                }
                Err(Failed::Code { code, .. }) if RETRIABLE.contains(&code) => {
                    drained.errors += 1;
                    nap(Duration::from_millis(50));
                }
                Err(error) => return Err(format!("partition {partition} at {at}: {error}")),
            }
        }
    }
    Ok(drained)
}

/// The offset behind what came, all of it as it was produced.
fn compared(partition: usize, from: u64, records: &[u8]) -> Result<u64> {
    batch::walk(records, true)
        .map_err(|why| format!("WRONG BYTES in partition {partition} at {from}: {why}"))?;
    let mut next = from;
    for (offset, found) in batch::values(records)? {
        let offset = offset as u64;
        // A batch begins where it began, whatever was asked for.
        if offset < from {
            continue;
        }
        if offset != next || found != value(partition, offset) {
            return Err(format!(
                "WRONG RECORD: partition {partition}, offset {offset}, due {next}"
            ));
        }
        next += 1;
    }
    Ok(next)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch_at(partition: usize, first: u64) -> Vec<u8> {
        let values: Vec<Vec<u8>> = (first..first + 3).map(|at| value(partition, at)).collect();
        let mut bytes = batch::build(values.iter().map(Vec::as_slice), 1);
        bytes[..8].copy_from_slice(&(first as i64).to_be_bytes());
        bytes
    }

    #[test]
    fn another_partition_another_offset_and_another_bit_are_each_found() {
        let good = batch_at(1, 32);
        assert_eq!(compared(1, 32, &good), Ok(35));
        assert_eq!(compared(1, 33, &good), Ok(35), "a batch that begins before");
        assert!(compared(0, 32, &good).is_err());
        assert!(compared(1, 30, &good).is_err(), "a hole");
        let mut flipped = good;
        let last = flipped.len() - 1;
        flipped[last] ^= 1;
        assert!(compared(1, 32, &flipped).is_err());
    }
}
