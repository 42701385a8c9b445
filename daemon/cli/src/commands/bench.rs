//! `holdfast bench`: how fast is this cluster, from here? A topic of its own, deleted at the end.
//!
//! ```text
//! latency     one connection, one record per request, one request at a time
//! throughput  several connections, a batch per request, each to a partition of its own
//! read        all that was written, read from the start by one connection
//! ```
//!
//! Caveats: closed loop: a slow answer delays the next question, so the tail is told better than a
//! steady load would see it. The generator's own CPU counts in. `tests/bench` compares; this is
//! for a first look.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use bytes::Bytes;
use clap::Args;
use hdrhistogram::Histogram;
use holdfast_batch::{BatchBuilder, BatchHeader, Codec, HEADER_BYTES, RecordDraft};
use kafka_protocol::messages::create_topics_request::CreatableTopic;
use kafka_protocol::messages::{CreateTopicsRequest, DeleteTopicsRequest};
use serde_json::{Value, json};

use crate::args::{Context, Shown};
use crate::client::{Cluster, topic_name};
use crate::clock::{Stopwatch, nap, now_ms};
use crate::errors::{CliError, Result};
use crate::output::{Answer, Table, size};
use crate::progress::Progress;
use crate::records::{fetch, parse_codec, produce};

const FETCH_BYTES: i32 = 8 << 20;
const FETCH_WAIT_MS: i32 = 500;
/// How often the progress line is brought up to date while threads work.
const LOOK: Duration = Duration::from_millis(100);
/// Three digits tell 70 from 71 us.
const DIGITS: u8 = 3;
/// Nothing takes longer: the time limit of a request is below it.
const MICROS_MAX: u64 = 3_600_000_000;

/// Options of `bench`.
#[derive(Args, Debug)]
pub(crate) struct BenchArgs {
    /// Time of each of the two writing parts.
    #[arg(long, default_value = "5", value_parser = clap::value_parser!(u64).range(1..=3600))]
    seconds: u64,
    /// Bytes of a record's value.
    #[arg(long, default_value = "1024", value_parser = clap::value_parser!(u32).range(1..=900_000))]
    record_bytes: u32,
    /// Records of a batch in the throughput part.
    #[arg(long, default_value = "64", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    batch_records: u32,
    /// Connections of the throughput part, each with a partition of its own.
    #[arg(long, default_value = "4", value_parser = clap::value_parser!(i32).range(1..=256))]
    connections: i32,
    /// Compression: none, gzip, snappy, lz4 or zstd.
    #[arg(short = 'z', long, default_value = "none", value_parser = parse_codec)]
    codec: Codec,
    #[command(flatten)]
    shown: Shown,
}

/// One part's figures.
struct Part {
    name: &'static str,
    records: u64,
    bytes: u64,
    elapsed: Duration,
    micros: Histogram<u64>,
}

pub(crate) fn run(args: &BenchArgs, context: &Context) -> Result<()> {
    let mut cluster = context.cluster()?;
    let topic = format!("holdfast-bench-{}-{}", std::process::id(), now_ms());
    create(&mut cluster, &topic, args.connections)?;
    let measured = measure(args, context, &mut cluster, &topic);
    let deleted = delete(&mut cluster, &topic);
    print(args, &measured?)?;
    deleted
}

fn create(cluster: &mut Cluster, topic: &str, partitions: i32) -> Result<()> {
    let asked = CreatableTopic::default()
        .with_name(topic_name(topic))
        .with_num_partitions(partitions)
        .with_replication_factor(-1);
    let request = CreateTopicsRequest::default()
        .with_topics(vec![asked])
        .with_timeout_ms(cluster.timeout_ms());
    let answer = cluster.any().call(&request, 4..=7)?;
    for row in &answer.topics {
        let what = format!("topic {topic} cannot be created");
        CliError::check(what, row.error_code, row.error_message.as_deref())?;
    }
    Ok(())
}

fn delete(cluster: &mut Cluster, topic: &str) -> Result<()> {
    let request = DeleteTopicsRequest::default()
        .with_topic_names(vec![topic_name(topic)])
        .with_timeout_ms(cluster.timeout_ms());
    let answer = cluster.any().call(&request, 1..=5)?;
    for row in &answer.responses {
        let what = format!("topic {topic} cannot be deleted");
        CliError::check(what, row.error_code, row.error_message.as_deref())?;
    }
    Ok(())
}

fn measure(
    args: &BenchArgs,
    context: &Context,
    cluster: &mut Cluster,
    topic: &str,
) -> Result<Vec<Part>> {
    let leaders = cluster.leaders(topic)?;
    let mut parts = Vec::new();
    parts.push(write(args, context, topic, &leaders, "latency", 1, 1)?);
    let connections = leaders.len();
    parts.push(write(
        args,
        context,
        topic,
        &leaders,
        "throughput",
        connections,
        args.batch_records,
    )?);
    let written = parts.iter().map(|part| part.records).sum();
    parts.push(read(cluster, topic, &leaders, written)?);
    Ok(parts)
}

fn histogram() -> Result<Histogram<u64>> {
    Histogram::new_with_bounds(1, MICROS_MAX, DIGITS)
        .map_err(|error| CliError::failed("no histogram can be made", error.to_string()))
}

/// A batch of values that do not compress to nothing.
fn batch(codec: Codec, records: u32, record_bytes: u32) -> Result<Bytes> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut builder = BatchBuilder::new(codec);
    for _ in 0..records {
        let mut value = Vec::with_capacity(record_bytes as usize);
        while value.len() < record_bytes as usize {
            // xorshift; every second eight bytes repeat, as text does.
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            value.extend_from_slice(&state.to_be_bytes());
            value.extend_from_slice(b"holdfast");
        }
        value.truncate(record_bytes as usize);
        builder.records.push(RecordDraft::value(now_ms(), value));
    }
    builder.build().map_err(|error| CliError::failed("a batch cannot be built", error.to_string()))
}

fn write(
    args: &BenchArgs,
    context: &Context,
    topic: &str,
    leaders: &BTreeMap<i32, i32>,
    name: &'static str,
    connections: usize,
    batch_records: u32,
) -> Result<Part> {
    let batch = batch(args.codec, batch_records, args.record_bytes)?;
    let limit = Duration::from_secs(args.seconds);
    let (requests, failed) = (AtomicU64::new(0), AtomicBool::new(false));
    let watch = Stopwatch::start();
    let record_bytes = u64::from(batch_records) * u64::from(args.record_bytes);
    let results: Vec<Result<Histogram<u64>>> = thread::scope(|scope| {
        let writers: Vec<_> = leaders
            .iter()
            .take(connections)
            .map(|(partition, leader)| {
                let (batch, requests, failed) = (&batch, &requests, &failed);
                scope.spawn(move || {
                    let written = writer(
                        context,
                        topic,
                        (*partition, *leader),
                        batch,
                        limit,
                        requests,
                        failed,
                    );
                    if written.is_err() {
                        failed.store(true, Ordering::Relaxed);
                    }
                    written
                })
            })
            .collect();
        let mut progress = Progress::start(name);
        while !writers.iter().all(thread::ScopedJoinHandle::is_finished) {
            let (done, elapsed) = (requests.load(Ordering::Relaxed), watch.elapsed().as_secs_f64());
            let rate = format!("{}/s", size((done * record_bytes) as f64 / elapsed.max(0.001)));
            progress.at(elapsed / limit.as_secs_f64(), &rate);
            nap(LOOK);
        }
        let ended = |writer: thread::ScopedJoinHandle<'_, Result<Histogram<u64>>>| {
            writer.join().unwrap_or_else(|_| {
                Err(CliError::failed("a connection's thread died", "see above"))
            })
        };
        writers.into_iter().map(ended).collect()
    });
    let elapsed = watch.elapsed();
    let mut micros = histogram()?;
    for result in results {
        micros
            .add(&result?)
            .map_err(|error| CliError::failed("figures cannot be added", error.to_string()))?;
    }
    let requests = requests.into_inner();
    let records = requests * u64::from(batch_records);
    Ok(Part { name, records, bytes: requests * record_bytes, elapsed, micros })
}

/// One connection that writes to one partition until time is up.
fn writer(
    context: &Context,
    topic: &str,
    (partition, leader): (i32, i32),
    batch: &Bytes,
    limit: Duration,
    requests: &AtomicU64,
    failed: &AtomicBool,
) -> Result<Histogram<u64>> {
    let mut micros = histogram()?;
    let mut cluster = context.cluster()?;
    let timeout_ms = cluster.timeout_ms();
    let node = cluster.node(leader)?;
    let watch = Stopwatch::start();
    while !watch.left_of(limit).is_zero() && !failed.load(Ordering::Relaxed) {
        let started = Stopwatch::start();
        produce(node, topic, partition, batch.clone(), timeout_ms)?;
        micros.saturating_record(u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX));
        requests.fetch_add(1, Ordering::Relaxed);
    }
    Ok(micros)
}

fn read(
    cluster: &mut Cluster,
    topic: &str,
    leaders: &BTreeMap<i32, i32>,
    written: u64,
) -> Result<Part> {
    let mut micros = histogram()?;
    let mut progress = Progress::start("read");
    let mut next: BTreeMap<i32, i64> = leaders.keys().map(|partition| (*partition, 0)).collect();
    let (mut records, mut bytes) = (0, 0);
    let (watch, mut idle) = (Stopwatch::start(), Stopwatch::start());
    while records < written {
        for (partition, leader) in leaders {
            let from = [(*partition, next.get(partition).copied().unwrap_or(0))];
            // Only a partition that has something left is worth waiting for, and none says so.
            let wait_ms = if leaders.len() == 1 { FETCH_WAIT_MS } else { 1 };
            let started = Stopwatch::start();
            let answer = fetch(cluster.node(*leader)?, topic, &from, wait_ms, FETCH_BYTES)?;
            for part in answer {
                CliError::check(format!("{topic} cannot be read"), part.code, None)?;
                let mut rest = &part.records[..];
                if !rest.is_empty() {
                    let took = u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX);
                    micros.saturating_record(took);
                    idle = Stopwatch::start();
                }
                while rest.len() >= HEADER_BYTES {
                    let header = BatchHeader::parse(rest).map_err(|error| {
                        CliError::failed("a batch makes no sense", error.to_string())
                    })?;
                    let length = header.total_len_bytes();
                    let Some(behind) = rest.get(length..) else { break };
                    records += u64::try_from(header.records_count).unwrap_or(0);
                    bytes += length as u64;
                    next.insert(part.partition, header.next_offset());
                    rest = behind;
                }
            }
        }
        if idle.left_of(cluster.timeout()).is_zero() {
            let why = format!("{records} of {written} records came");
            return Err(CliError::failed("what was written cannot all be read", why));
        }
        let rate = format!("{}/s", size(bytes as f64 / watch.elapsed().as_secs_f64().max(0.001)));
        progress.at(records as f64 / written as f64, &rate);
    }
    Ok(Part { name: "read", records, bytes, elapsed: watch.elapsed(), micros })
}

fn print(args: &BenchArgs, parts: &[Part]) -> Result<()> {
    let mut table = Table::new(&[
        "PART",
        ">REQUESTS",
        ">RECORDS",
        ">RECORDS/S",
        ">MB/S",
        ">P50 MS",
        ">P99 MS",
        ">MAX MS",
    ]);
    let mut values = Vec::new();
    for part in parts {
        let seconds = part.elapsed.as_secs_f64().max(0.001);
        let (rate, megabytes) = (part.records as f64 / seconds, part.bytes as f64 / seconds / 1e6);
        let [p50, p99, max] = [
            part.micros.value_at_quantile(0.5),
            part.micros.value_at_quantile(0.99),
            part.micros.max(),
        ];
        let millis = |micros: u64| format!("{:.2}", micros as f64 / 1e3);
        table.row([
            part.name.to_owned(),
            part.micros.len().to_string(),
            part.records.to_string(),
            format!("{rate:.0}"),
            format!("{megabytes:.1}"),
            millis(p50),
            millis(p99),
            millis(max),
        ]);
        values.push(json!({
            "part": part.name, "requests": part.micros.len(), "records": part.records,
            "bytes": part.bytes, "elapsed_ms": u64::try_from(part.elapsed.as_millis()).unwrap_or(u64::MAX),
            "p50_us": p50, "p99_us": p99, "max_us": max,
        }));
    }
    let value = json!({
        "record_bytes": args.record_bytes, "batch_records": args.batch_records,
        "connections": args.connections, "parts": Value::Array(values),
    });
    Answer::new(value)
        .line(format!(
            "records of {} bytes, acks=all; throughput with batches of {} over {} connections",
            args.record_bytes, args.batch_records, args.connections
        ))
        .table(table)
        .names(parts.iter().map(|part| part.name.to_owned()))
        .print(args.shown.format)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_waits_are_told_as_they_were() {
        let mut micros = histogram().unwrap();
        micros.saturating_record(19_000);
        micros.saturating_record(5_000_000);
        assert!(micros.max() >= 5_000_000 && micros.value_at_quantile(0.5) >= 19_000);
    }

    #[test]
    fn the_batch_has_what_was_asked_for() {
        let batch = batch(Codec::None, 10, 100).unwrap();
        let header = BatchHeader::parse(&batch).unwrap();
        assert_eq!(header.records_count, 10);
        assert!(batch.len() > 1000 && batch.len() < 1300, "{}", batch.len());
    }
}
