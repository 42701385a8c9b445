//! The consumer side: reads a topic from its beginning to its end.
//!
//! One blocking connection per thread, partitions dealt out among them; each answer is read into
//! one buffer that is used again, and only batch headers are looked at (CRC too, where asked).

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::batch;
use crate::client::{Client, Failed, FetchFrom, FetchLimits, Result, fetch_answer, fetch_frame};
use crate::clock::Stopwatch;
use crate::process::own_cpu_seconds;

/// What Java's consumer asks of one partition by default.
const PARTITION_BYTES: i32 = 1 << 20;

/// What was read.
#[derive(Debug, Default, Clone, Copy)]
pub struct Outcome {
    /// From the first request to the last answer.
    pub seconds: f64,
    /// Record batch bytes.
    pub bytes: u64,
    /// Records, by the batches' headers.
    pub records: u64,
    /// Fetch requests.
    pub requests: u64,
    /// CPU seconds the generator used.
    pub own_cpu_seconds: f64,
}

/// Reads all of `topic` over `connections`.
pub fn run(
    address: SocketAddr,
    topic: &str,
    partitions: i32,
    connections: usize,
    verify_crc: bool,
) -> Result<Outcome> {
    let never = AtomicBool::new(false);
    all(address, topic, partitions, connections, verify_crc, &never)
}

/// Reads until the end of `topic`, or until `ended`; how many bytes.
pub fn until(
    address: SocketAddr,
    topic: &str,
    partitions: i32,
    connections: usize,
    ended: &AtomicBool,
) -> Result<u64> {
    Ok(all(address, topic, partitions, connections, false, ended)?.bytes)
}

fn all(
    address: SocketAddr,
    topic: &str,
    partitions: i32,
    connections: usize,
    verify_crc: bool,
    ended: &AtomicBool,
) -> Result<Outcome> {
    let cpu_before = own_cpu_seconds();
    let clock = Stopwatch::start();
    let results: Vec<Result<Outcome>> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..connections)
            .map(|first| {
                let mine = (first as i32..partitions).step_by(connections).collect::<Vec<_>>();
                scope.spawn(move || drain(address, topic, &mine, verify_crc, ended))
            })
            .collect();
        let died = || Err(Failed::Wrong("a drain thread died".into()));
        threads.into_iter().map(|thread| thread.join().unwrap_or_else(|_| died())).collect()
    });
    let mut total = Outcome::default();
    for result in results {
        let part = result?;
        total.bytes += part.bytes;
        total.records += part.records;
        total.requests += part.requests;
    }
    total.seconds = clock.seconds();
    total.own_cpu_seconds = own_cpu_seconds() - cpu_before;
    Ok(total)
}

fn drain(
    address: SocketAddr,
    topic: &str,
    partitions: &[i32],
    verify_crc: bool,
    ended: &AtomicBool,
) -> Result<Outcome> {
    let mut client = Client::connect(address)?;
    let mut left: Vec<FetchFrom> = Vec::new();
    for partition in partitions {
        if client.end_offset(topic, *partition)? > 0 {
            left.push(FetchFrom { partition: *partition, offset: 0 });
        }
    }
    let limits = FetchLimits { wait_ms: 500, min_bytes: 1, partition_bytes: PARTITION_BYTES };
    let mut outcome = Outcome::default();
    while !left.is_empty() && !ended.load(Ordering::Relaxed) {
        let mut frame = fetch_frame(topic, &left, limits);
        client.send(&mut frame, &[])?;
        outcome.requests += 1;
        let mut read_out = Vec::new();
        fetch_answer(client.receive()?, |part| {
            let walked = batch::walk(part.records, verify_crc).map_err(Failed::Wrong)?;
            outcome.bytes += part.records.len() as u64;
            outcome.records += walked.records;
            if let Some(from) = left.iter_mut().find(|from| from.partition == part.partition) {
                from.offset = walked.next_offset.unwrap_or(from.offset);
                if from.offset >= part.high_watermark {
                    read_out.push(part.partition);
                }
            }
            Ok(())
        })?;
        left.retain(|from| !read_out.contains(&from.partition));
        // A broker may fill the answer from the first partitions only: go round.
        if left.len() > 1 {
            left.rotate_left(1);
        }
    }
    Ok(outcome)
}
