//! `holdfast produce`: lines of standard input become records, acknowledged by all replicas.
//!
//! ```text
//! reader thread ── lines ──▶ main: what is there now, up to a batch per partition ──▶ leaders
//! ```
//!
//! A line is sent as soon as no other waits behind it: typing and `cat` are served alike. Lines
//! with a key go where Java's clients would send them; those without go to one partition per
//! batch, the next batch to the next.
//!
//! Caveat: no idempotence. A batch is sent again only when the node said it was not stored.

use std::collections::BTreeMap;
use std::io::{self, BufRead};
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread;

use bytes::Bytes;
use clap::Args;
use holdfast_batch::{BatchBuilder, Codec, RecordDraft};
use serde_json::{Value, json};

use crate::args::{Context, Shown, parse_pair};
use crate::client::Cluster;
use crate::clock::{Stopwatch, nap, now_ms};
use crate::errors::{CliError, Result};
use crate::output::{Answer, Table};
use crate::records::{parse_codec, partition_of, produce};

/// Records of one batch stay below this, unless one line alone is larger.
const BATCH_BYTES: usize = 256 << 10;
/// What a record costs beside its line, about: so that empty lines fill a batch too.
const RECORD_OVERHEAD_BYTES: usize = 32;
/// Lines read ahead.
const LINES_AHEAD: usize = 4096;
/// A line beyond this is no record: Kafka's own limit of a request.
const LINE_BYTES_MAX: u64 = 100 << 20;

/// Options of `produce`.
#[derive(Args, Debug)]
pub(crate) struct ProduceArgs {
    /// The topic; it must exist.
    topic: String,
    /// What stands between key and value; without it lines have no key.
    #[arg(short, long, value_name = "TEXT")]
    key_separator: Option<String>,
    /// A header of every record, as often as needed.
    #[arg(short = 'H', long, value_parser = parse_pair, value_name = "KEY=VALUE")]
    header: Vec<(String, String)>,
    /// Compression: none, gzip, snappy, lz4 or zstd.
    #[arg(short = 'z', long, default_value = "none", value_parser = parse_codec)]
    codec: Codec,
    /// Everything to this partition.
    #[arg(short, long, value_name = "PARTITION")]
    partition: Option<i32>,
    #[command(flatten)]
    shown: Shown,
}

/// What went to a partition.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
struct Sent {
    records: i64,
    first: i64,
    last: i64,
}

pub(crate) fn run(args: &ProduceArgs, context: &Context) -> Result<()> {
    let mut cluster = context.cluster()?;
    let leaders = cluster.leaders(&args.topic)?;
    if let Some(partition) = args.partition.filter(|asked| !leaders.contains_key(asked)) {
        return Err(CliError::usage(
            format!("topic {} has no partition {partition}", args.topic),
            format!("it has 0 to {}", leaders.len().saturating_sub(1)),
        ));
    }
    let mut sender =
        Sender { args, cluster: &mut cluster, leaders, turn: 0, sent: BTreeMap::new() };
    let outcome = sender.all(&lines());
    let sent = sender.sent;
    print(args, &sent)?;
    outcome
}

/// Lines of standard input, without their ends, until it ends.
fn lines() -> Receiver<io::Result<Vec<u8>>> {
    let (out, lines) = sync_channel(LINES_AHEAD);
    thread::spawn(move || {
        let mut input = io::stdin().lock();
        loop {
            let mut line = Vec::new();
            let read = io::Read::take(&mut input, LINE_BYTES_MAX).read_until(b'\n', &mut line);
            let item = match read {
                Ok(0) => return,
                Ok(_) => {
                    if line.last() == Some(&b'\n') {
                        line.pop();
                    }
                    Ok(line)
                }
                Err(error) => Err(error),
            };
            let failed = item.is_err();
            if out.send(item).is_err() || failed {
                return;
            }
        }
    });
    lines
}

/// Key and value of a line.
fn split(line: Vec<u8>, separator: Option<&str>) -> (Option<Bytes>, Bytes) {
    let line = Bytes::from(line);
    let Some(separator) = separator.map(str::as_bytes).filter(|text| !text.is_empty()) else {
        return (None, line);
    };
    match line.windows(separator.len()).position(|at| at == separator) {
        Some(at) => (Some(line.slice(..at)), line.slice(at + separator.len()..)),
        None => (None, line),
    }
}

struct Sender<'a> {
    args: &'a ProduceArgs,
    cluster: &'a mut Cluster,
    leaders: BTreeMap<i32, i32>,
    /// Of records without a key.
    turn: usize,
    sent: BTreeMap<i32, Sent>,
}

impl Sender<'_> {
    fn all(&mut self, lines: &Receiver<io::Result<Vec<u8>>>) -> Result<()> {
        let mut partitions: Vec<i32> = self.leaders.keys().copied().collect();
        if let Some(only) = self.args.partition {
            partitions = vec![only];
        }
        let read = |line: io::Result<Vec<u8>>| {
            line.map_err(|error| {
                CliError::failed("standard input cannot be read", error.to_string())
            })
        };
        while let Ok(first) = lines.recv() {
            let mut batches: BTreeMap<i32, BatchBuilder> = BTreeMap::new();
            let mut bytes = 0;
            let mut next = Some(read(first)?);
            let keyless = partitions[self.turn % partitions.len()];
            self.turn += 1;
            while let Some(line) = next {
                bytes += line.len() + RECORD_OVERHEAD_BYTES;
                let (key, value) = split(line, self.args.key_separator.as_deref());
                let to = match &key {
                    Some(key) => partitions[partition_of(key, partitions.len())],
                    None => keyless,
                };
                let headers = self.args.header.iter().map(|(key, value)| {
                    (Bytes::from(key.clone()), Some(Bytes::from(value.clone())))
                });
                let draft = RecordDraft {
                    timestamp_ms: now_ms(),
                    key,
                    value: Some(value),
                    headers: headers.collect(),
                };
                let batch = batches.entry(to).or_insert_with(|| BatchBuilder::new(self.args.codec));
                batch.records.push(draft);
                next = if bytes < BATCH_BYTES {
                    lines.try_recv().ok().map(read).transpose()?
                } else {
                    None
                };
            }
            for (partition, batch) in batches {
                self.send(partition, &batch)?;
            }
        }
        Ok(())
    }

    /// Sends a batch, again after the node said that it does not lead the partition (any more).
    fn send(&mut self, partition: i32, batch: &BatchBuilder) -> Result<()> {
        const NOT_STORED: [i16; 3] = [3, 5, 6];
        let (topic, watch) = (&self.args.topic, Stopwatch::start());
        let bytes = batch
            .build()
            .map_err(|error| CliError::failed("a batch cannot be built", error.to_string()))?;
        let count = i64::try_from(batch.records.len()).unwrap_or(i64::MAX);
        loop {
            let timeout_ms = self.cluster.timeout_ms();
            let leader = self.leaders.get(&partition).copied().unwrap_or(-1);
            let leader = self.cluster.node(leader)?;
            match produce(leader, topic, partition, bytes.clone(), timeout_ms) {
                Ok(base) => {
                    let sent = self.sent.entry(partition).or_default();
                    if sent.records == 0 {
                        sent.first = base;
                    }
                    sent.records += count;
                    sent.last = base + count - 1;
                    return Ok(());
                }
                Err(error)
                    if error.code.is_some_and(|code| NOT_STORED.contains(&code))
                        && !watch.left_of(self.cluster.timeout()).is_zero() =>
                {
                    nap(std::time::Duration::from_millis(100));
                    self.leaders = self.cluster.leaders(topic)?;
                }
                Err(error) => return Err(error),
            }
        }
    }
}

fn print(args: &ProduceArgs, sent: &BTreeMap<i32, Sent>) -> Result<()> {
    let mut table =
        Table::new(&["TOPIC", ">PARTITION", ">RECORDS", ">FIRST OFFSET", ">LAST OFFSET"]);
    let mut values = Vec::new();
    for (partition, sent) in sent {
        table.row([
            args.topic.clone(),
            partition.to_string(),
            sent.records.to_string(),
            sent.first.to_string(),
            sent.last.to_string(),
        ]);
        values.push(json!({
            "partition": partition, "records": sent.records, "first_offset": sent.first,
            "last_offset": sent.last,
        }));
    }
    let records: i64 = sent.values().map(|sent| sent.records).sum();
    let value =
        json!({"topic": args.topic, "records": records, "partitions": Value::Array(values)});
    Answer::new(value).table(table).names([args.topic.clone()]).print(args.shown.format)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_split_at_the_first_separator() {
        let split = |line: &str, separator| {
            let (key, value) = split(line.as_bytes().to_vec(), separator);
            (key.map(|key| String::from_utf8(key.to_vec()).unwrap()), value)
        };
        assert_eq!(split("k::v::w", Some("::")), (Some("k".to_owned()), Bytes::from("v::w")));
        assert_eq!(split("kv", Some(":")), (None, Bytes::from("kv")));
        assert_eq!(split(":v", Some(":")), (Some(String::new()), Bytes::from("v")));
        assert_eq!(split("k:v", None), (None, Bytes::from("k:v")));
    }
}
