//! Real records there and back: makes a topic, produces, consumes, compares every byte.

use std::net::SocketAddr;

use crate::batch;
use crate::client::{Client, Failed, FetchFrom, FetchLimits, Result};
use crate::clock::unix_ms;
use crate::load::value_of;

/// Records per batch.
const BATCH_RECORDS: usize = 100;

/// What went round.
#[derive(Debug)]
pub struct Outcome {
    /// Records produced and found again.
    pub records: u64,
    /// Bytes of their values.
    pub bytes: u64,
    /// APIs the broker advertises.
    pub apis: usize,
}

/// Produces `records` to a fresh topic of `partitions` and reads them back.
pub fn run(address: SocketAddr, topic: &str, partitions: i32, records: u64) -> Result<Outcome> {
    let mut client = Client::connect(address)?;
    let apis = client.api_versions()?.len();
    match client.partitions(topic) {
        Ok(found) if found == partitions as usize => {}
        Ok(found) => {
            return Err(Failed::Wrong(format!("topic {topic} has {found} partitions")));
        }
        Err(Failed::Code { .. }) => client.create_topic_and_wait(topic, partitions)?,
        Err(error) => return Err(error),
    }
    let mut trip = Outcome { records: 0, bytes: 0, apis };
    let per_partition = records.div_ceil(partitions as u64);
    for partition in 0..partitions {
        let first = client.end_offset(topic, partition)?;
        let sent = values(per_partition);
        for (from, values) in (0..).step_by(BATCH_RECORDS).zip(sent.chunks(BATCH_RECORDS)) {
            let batch = batch::build(values.iter().map(Vec::as_slice), unix_ms());
            let appended = client.produce(topic, partition, &batch)?;
            let expected = first + from;
            if appended.base_offset != expected {
                return Err(Failed::Wrong(format!(
                    "a batch meant for offset {expected} of partition {partition} is said to be at \
                     {}",
                    appended.base_offset
                )));
            }
        }
        trip.add(read_back(&mut client, topic, partition, first, &sent)?);
    }
    Ok(trip)
}

/// Reads what the last [`run`] with the same numbers sent, wherever it lies by now.
pub fn again(address: SocketAddr, topic: &str, partitions: i32, records: u64) -> Result<Outcome> {
    let mut client = Client::connect(address)?;
    let mut trip = Outcome { records: 0, bytes: 0, apis: client.api_versions()?.len() };
    let sent = values(records.div_ceil(partitions as u64));
    for partition in 0..partitions {
        let first = client.end_offset(topic, partition)? - sent.len() as i64;
        trip.add(read_back(&mut client, topic, partition, first, &sent)?);
    }
    Ok(trip)
}

impl Outcome {
    fn add(&mut self, (records, bytes): (u64, u64)) {
        self.records += records;
        self.bytes += bytes;
    }
}

/// The values of one partition: the same in every run.
fn values(count: u64) -> Vec<Vec<u8>> {
    (0..count).map(|record| value_of(64 + (record % 960) as usize, record + 1)).collect()
}

/// Reads from `first` on until all of `sent` is there, and compares; records and bytes.
fn read_back(
    client: &mut Client,
    topic: &str,
    partition: i32,
    first: i64,
    sent: &[Vec<u8>],
) -> Result<(u64, u64)> {
    let limits = FetchLimits { wait_ms: 1_000, min_bytes: 1, partition_bytes: 1 << 20 };
    let mut offset = first;
    let mut back = Vec::new();
    while back.len() < sent.len() {
        let fetched = client.fetch(topic, FetchFrom { partition, offset }, limits)?;
        batch::walk(&fetched, true).map_err(Failed::Wrong)?;
        let values = batch::values(&fetched).map_err(Failed::Wrong)?;
        let Some((last, _)) = values.last() else {
            return Err(Failed::Wrong(format!(
                "offset {offset} of partition {partition} was acknowledged and is not served"
            )));
        };
        let next = last + 1;
        back.extend(values.into_iter().filter(|(at, _)| *at >= offset));
        offset = next;
    }
    for (index, ((at, value), wanted)) in back.iter().zip(sent).enumerate() {
        if *at != first + index as i64 || value != wanted {
            return Err(Failed::Wrong(format!(
                "the record at offset {at} of partition {partition} is not the one sent"
            )));
        }
    }
    Ok((back.len() as u64, sent.iter().map(|value| value.len() as u64).sum()))
}
