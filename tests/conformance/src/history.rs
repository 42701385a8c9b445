//! Records whose running checksum is kept in the order of their acknowledgements, and who reads them
//! back from offset 0.

use std::net::SocketAddr;
use std::time::Duration;

use holdfast_bench::batch;
use holdfast_bench::client::{
    Client, Failed, FetchFrom, FetchLimits, PRODUCE_TAIL, fetch_answer, fetch_frame, produce_head,
};
use holdfast_bench::clock::{Stopwatch, nap, unix_ms};
use holdfast_bench::load::value_of;

use crate::Result;

pub(crate) const TOPIC: &str = "history";
pub(crate) const PARTITIONS: usize = 3;
const BATCH_RECORDS: u64 = 128;
const VALUE_BYTES: usize = 1_024;
/// A log that is full is given room within this, as soon as the store takes objects.
const ROOM_WAIT_S: f64 = 120.0;
/// What a stock producer tries again.
const RETRIABLE: [i16; 4] = [19, 56, 6, 7];

/// What one partition was given, or gave back.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub(crate) struct Records {
    pub(crate) count: u64,
    /// Over all values in order.
    checksum: u32,
}

impl Records {
    /// Adds the next record.
    pub(crate) fn push(&mut self, value: &[u8]) {
        self.count += 1;
        self.checksum = crc32c::crc32c_append(self.checksum, value);
    }
}

/// Everything acknowledged.
pub(crate) struct Sent {
    /// Printable, to cut values from.
    filler: Vec<u8>,
    pub(crate) partitions: [Records; PARTITIONS],
    pub(crate) bytes: u64,
    turn: usize,
    /// Sent to the partition whose turn it is, with nobody to hear the answer.
    in_doubt: bool,
}

impl Sent {
    pub(crate) fn new() -> Sent {
        let filler = value_of(64 << 10, 11).iter().map(|byte| b'!' + byte % 90).collect();
        Sent { filler, partitions: Default::default(), bytes: 0, turn: 0, in_doubt: false }
    }

    fn next_values(&self) -> Vec<Vec<u8>> {
        let first = self.partitions[self.turn].count;
        let value = |number: u64| {
            let mut value = format!("{}-{number}-", self.turn).into_bytes();
            let from = number.wrapping_mul(7_919) as usize % (self.filler.len() - VALUE_BYTES);
            value.extend_from_slice(&self.filler[from..from + VALUE_BYTES - value.len()]);
            value
        };
        (first..first + BATCH_RECORDS).map(value).collect()
    }

    fn next_batch(&self) -> Vec<u8> {
        let values = self.next_values();
        batch::build(values.iter().map(Vec::as_slice), unix_ms())
    }

    fn acknowledged(&mut self) {
        for value in self.next_values() {
            self.bytes += value.len() as u64;
            self.partitions[self.turn].push(&value);
        }
        self.turn = (self.turn + 1) % PARTITIONS;
    }

    /// One batch; `false` when it is refused for now.
    pub(crate) fn try_one(&mut self, client: &mut Client) -> Result<bool> {
        match client.produce(TOPIC, self.turn as i32, &self.next_batch()) {
            Ok(appended) if appended.base_offset as u64 == self.partitions[self.turn].count => {
                self.acknowledged();
                Ok(true)
            }
            Ok(appended) => Err(format!(
                "partition {} took a batch at offset {}, not {}",
                self.turn, appended.base_offset, self.partitions[self.turn].count
            )),
            Err(Failed::Code { code, .. }) if RETRIABLE.contains(&code) => Ok(false),
            Err(error) => Err(error.to_string()),
        }
    }

    pub(crate) fn produce(&mut self, client: &mut Client, bytes: u64) -> Result<()> {
        let end = self.bytes + bytes;
        let mut refused = Stopwatch::start();
        while self.bytes < end {
            if self.try_one(client)? {
                refused = Stopwatch::start();
            } else if refused.seconds() > ROOM_WAIT_S {
                return Err(format!("no room in the log for {ROOM_WAIT_S} s"));
            } else {
                nap(Duration::from_millis(20));
            }
        }
        Ok(())
    }

    pub(crate) fn send_only(&mut self, client: &mut Client) -> Result<()> {
        let batch = self.next_batch();
        let mut head = produce_head(TOPIC, self.turn as i32, -1, batch.len());
        client.send(&mut head, &[&batch, &PRODUCE_TAIL]).map_err(text)?;
        self.in_doubt = true;
        Ok(())
    }

    /// Finds out what became of the batch in doubt: there whole, or not at all.
    pub(crate) fn resolve(&mut self, client: &mut Client) -> Result<()> {
        let end = client.end_offset(TOPIC, self.turn as i32).map_err(text)? as u64;
        let known = self.partitions[self.turn].count;
        if self.in_doubt && end == known + BATCH_RECORDS {
            self.acknowledged();
        } else if end != known {
            return Err(format!("partition {} ends at {end} instead of {known}", self.turn));
        }
        self.in_doubt = false;
        Ok(())
    }

    pub(crate) fn compare(&self, who: &str, read: impl Fn(usize) -> Result<Records>) -> Result<()> {
        let clock = Stopwatch::start();
        for (partition, sent) in self.partitions.iter().enumerate() {
            let back = read(partition)?;
            if back != *sent {
                return Err(format!(
                    "{who}, partition {partition}: sent {} records ({:08x}), back {} ({:08x})",
                    sent.count, sent.checksum, back.count, back.checksum
                ));
            }
        }
        let (seconds, bytes) = (clock.seconds(), self.bytes as f64);
        let count: u64 = self.partitions.iter().map(|partition| partition.count).sum();
        println!("{who}: {count} records equal, {:.0} MB/s", bytes / 1e6 / seconds);
        Ok(())
    }
}

/// Reads a partition from offset 0 to its end; an error of a partition is tried again, as clients do.
pub(crate) fn read_all(address: SocketAddr, partition: usize) -> Result<Records> {
    let mut client = Client::connect(address).map_err(text)?;
    let end = client.end_offset(TOPIC, partition as i32).map_err(text)?;
    let limits = FetchLimits { wait_ms: 500, min_bytes: 1, partition_bytes: 1 << 20 };
    let mut records = Records::default();
    let mut refused = Stopwatch::start();
    while (records.count as i64) < end {
        let from = FetchFrom { partition: partition as i32, offset: records.count as i64 };
        let mut frame = fetch_frame(TOPIC, &[from], limits);
        client.send(&mut frame, &[]).map_err(text)?;
        let before = records.count;
        let answered = fetch_answer(client.receive().map_err(text)?, |part| {
            batch::walk(part.records, true).map_err(Failed::Wrong)?;
            for (offset, value) in batch::values(part.records).map_err(Failed::Wrong)? {
                if offset as u64 != records.count {
                    let expected = records.count;
                    let why = format!("partition {partition}: {offset} came, not {expected}");
                    return Err(Failed::Wrong(why));
                }
                records.push(&value);
            }
            Ok(())
        });
        match answered {
            Ok(()) if records.count > before => refused = Stopwatch::start(),
            Ok(()) => {}
            Err(Failed::Code { code, .. }) if RETRIABLE.contains(&code) => {
                nap(Duration::from_millis(50));
            }
            Err(error) => return Err(error.to_string()),
        }
        if refused.seconds() > ROOM_WAIT_S {
            return Err(format!("partition {partition}: nothing more after {}", records.count));
        }
    }
    Ok(records)
}

fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_a_doubled_and_a_changed_record_are_each_found() {
        let mut sent = Sent::new();
        sent.acknowledged();
        let values = sent_values();
        let mut good = Records::default();
        values.iter().for_each(|value| good.push(value));
        let back = |records: Records| {
            sent.compare("a test", |partition| {
                Ok(if partition == 0 { records } else { <_>::default() })
            })
        };
        assert!(back(good).is_ok());
        let mut less = Records::default();
        values[1..].iter().for_each(|value| less.push(value));
        assert!(back(less).is_err());
        let mut more = good;
        more.push(&values[0]);
        assert!(back(more).is_err());
        let mut swapped = Records::default();
        values.iter().rev().for_each(|value| swapped.push(value));
        assert!(back(swapped).is_err());
    }

    fn sent_values() -> Vec<Vec<u8>> {
        Sent::new().next_values()
    }
}
