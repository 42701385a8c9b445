//! One record at a time, from the producer's hand to a waiting consumer's.
//!
//! The fetch is sent *before* the record, so that it parks at the broker as a consumer's long poll
//! does; latency counts from the first byte of Produce to the fetch answer that carries the record.

use std::net::SocketAddr;

use hdrhistogram::Histogram;

use crate::batch;
use crate::client::{
    Client, Failed, FetchFrom, FetchLimits, PRODUCE_TAIL, Result, fetch_answer, fetch_frame,
    produce_answer, produce_head,
};
use crate::clock::{Stopwatch, unix_ms};
use crate::load::value_of;

/// Sends `records` of `value_bytes` to partition 0 of `topic`, which exists and is empty or not.
pub fn run(
    address: SocketAddr,
    topic: &str,
    records: u64,
    value_bytes: usize,
) -> Result<Histogram<u64>> {
    let mut producer = Client::connect(address)?;
    let mut consumer = Client::connect(address)?;
    let batch = batch::build([value_of(value_bytes, 11).as_slice()], unix_ms());
    let mut head = produce_head(topic, 0, -1, batch.len());
    let limits = FetchLimits { wait_ms: 5_000, min_bytes: 1, partition_bytes: 1 << 20 };
    let mut offset = producer.end_offset(topic, 0)?;
    let mut latency_ns = Histogram::new_with_bounds(1_000, 60_000_000_000, 3)
        .map_err(|error| Failed::Wrong(format!("histogram: {error}")))?;
    for _ in 0..records {
        let mut frame = fetch_frame(topic, &[FetchFrom { partition: 0, offset }], limits);
        consumer.send(&mut frame, &[])?;
        let clock = Stopwatch::start();
        producer.send(&mut head, &[&batch, &PRODUCE_TAIL])?;
        let mut next = None;
        fetch_answer(consumer.receive()?, |part| {
            next = batch::walk(part.records, true).map_err(Failed::Wrong)?.next_offset;
            Ok(())
        })?;
        latency_ns.saturating_record(clock.ns());
        let appended = produce_answer(producer.receive()?)?;
        if next != Some(appended.base_offset + 1) {
            return Err(Failed::Wrong(format!(
                "the record at offset {} came back as {next:?}",
                appended.base_offset
            )));
        }
        offset = appended.base_offset + 1;
    }
    Ok(latency_ns)
}
