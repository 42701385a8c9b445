//! `holdfast-bench`: each measurement by itself, against any Kafka broker; prints JSON lines.

use std::net::SocketAddr;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use holdfast_bench::client::{Client, Result};
use holdfast_bench::crowd::{consumers, groups, partitions};
use holdfast_bench::{compare, drain, end_to_end, load, report, round_trip};
use serde_json::{Value, json};

#[derive(Parser)]
#[command(about = "Open-loop Kafka load generator")]
struct Arguments {
    #[command(subcommand)]
    mode: Mode,
}

#[derive(Args)]
struct Target {
    /// Broker to talk to.
    #[arg(long, default_value = "127.0.0.1:9092")]
    bootstrap: SocketAddr,
    /// Topic; made if missing.
    #[arg(long, default_value = "bench")]
    topic: String,
    /// Its partitions.
    #[arg(long, default_value_t = 8)]
    partitions: i32,
    /// Connections.
    #[arg(long, default_value_t = 2)]
    connections: usize,
}

#[derive(Subcommand)]
enum Mode {
    /// Produces and consumes records and compares every byte.
    Roundtrip {
        #[command(flatten)]
        target: Target,
        /// Records in all.
        #[arg(long, default_value_t = 10_000)]
        records: u64,
        /// Sends nothing: reads what the last round trip with the same numbers sent.
        #[arg(long)]
        again: bool,
    },
    /// Highest produce throughput with batches of 1 KiB records.
    Produce {
        #[command(flatten)]
        target: Target,
        /// Records in all.
        #[arg(long, default_value_t = 1_000_000)]
        records: u64,
        /// Requests open per connection.
        #[arg(long, default_value_t = 5)]
        in_flight: usize,
        /// Records per batch.
        #[arg(long, default_value_t = 120)]
        batch_records: usize,
    },
    /// Open loop at a fixed rate, linger 0; latency from when each record was due.
    Paced {
        #[command(flatten)]
        target: Target,
        /// Records per second.
        #[arg(long, default_value_t = 20_000)]
        rate: u64,
        /// Seconds.
        #[arg(long, default_value_t = 10)]
        seconds: u64,
        /// Requests open per connection.
        #[arg(long, default_value_t = 1)]
        in_flight: usize,
    },
    /// Reads the topic from its beginning to its end.
    Drain {
        #[command(flatten)]
        target: Target,
        /// Checks the CRC of every batch.
        #[arg(long)]
        verify_crc: bool,
    },
    /// One record at a time to a waiting fetch.
    E2e {
        #[command(flatten)]
        target: Target,
        /// Records in all.
        #[arg(long, default_value_t = 5_000)]
        records: u64,
    },
    /// Groups that join, rebalance once more and rest; one connection per member.
    Groups {
        #[command(flatten)]
        target: Target,
        /// Groups.
        #[arg(long, default_value_t = 1_000)]
        groups: usize,
        /// Members of each.
        #[arg(long, default_value_t = 10)]
        members: usize,
        /// Seconds of nothing but heartbeats.
        #[arg(long, default_value_t = 5)]
        seconds: u64,
    },
    /// Consumers at the tail, one connection each; latency from when a record was due.
    Consumers {
        #[command(flatten)]
        target: Target,
        /// Consumers.
        #[arg(long, default_value_t = 1_000)]
        consumers: usize,
        /// Partitions each of them reads.
        #[arg(long, default_value_t = 8)]
        partitions_each: i32,
        /// Records per second.
        #[arg(long, default_value_t = 100)]
        rate: u64,
        /// Seconds.
        #[arg(long, default_value_t = 5)]
        seconds: u64,
    },
    /// Creates a topic of many partitions and waits until all are served.
    Partitions {
        #[command(flatten)]
        target: Target,
    },
    /// Everything, Holdfast and Kafka by turns on the same disk; writes a page of results.
    Compare(compare::Options),
}

fn main() -> ExitCode {
    match run(Arguments::parse().mode) {
        Ok(line) => {
            println!("{line}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("holdfast-bench: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(mode: Mode) -> Result<Value> {
    match mode {
        Mode::Roundtrip { target, records, again } => {
            let trip = if again { round_trip::again } else { round_trip::run };
            let outcome = trip(target.bootstrap, &target.topic, target.partitions, records)?;
            let (records, bytes, apis) = (outcome.records, outcome.bytes, outcome.apis);
            Ok(json!({"mode": "roundtrip", "records": records, "bytes": bytes, "apis": apis}))
        }
        Mode::Produce { target, records, in_flight, batch_records } => {
            target.prepare()?;
            let plan = load::Plan {
                topic: target.topic.clone(),
                partitions: target.partitions,
                connections: target.connections,
                in_flight,
                batch_records_max: batch_records,
                value_bytes: 1_024,
                records,
                pace: load::Pace::Saturate,
            };
            let outcome = load::run(target.bootstrap, &plan)?;
            Ok(json!({"mode": "produce", "figures": report::load(&outcome)}))
        }
        Mode::Paced { target, rate, seconds, in_flight } => {
            target.prepare()?;
            let plan = load::Plan {
                topic: target.topic.clone(),
                partitions: target.partitions,
                connections: target.connections,
                in_flight,
                batch_records_max: 64,
                value_bytes: 1_024,
                records: rate * seconds,
                pace: load::Pace::Open { interval_ns: 1_000_000_000 / rate },
            };
            let outcome = load::run(target.bootstrap, &plan)?;
            Ok(json!({"mode": "paced", "rate": rate, "figures": report::load(&outcome)}))
        }
        Mode::Drain { target, verify_crc } => {
            let (topic, partitions) = (&target.topic, target.partitions);
            let outcome =
                drain::run(target.bootstrap, topic, partitions, target.connections, verify_crc)?;
            Ok(json!({"mode": "drain", "figures": report::drain(&outcome)}))
        }
        Mode::E2e { target, records } => {
            target.prepare()?;
            let latency = end_to_end::run(target.bootstrap, &target.topic, records, 1_024)?;
            Ok(json!({"mode": "e2e", "latency": report::latency(&latency)}))
        }
        Mode::Groups { target, groups, members, seconds } => {
            target.prepare()?;
            let mut client = Client::connect(target.bootstrap)?;
            groups::wait_for_coordinator(&mut client, "bench-0")?;
            let plan =
                groups::Plan { topic: target.topic, prefix: "bench".into(), groups, members };
            let mut all = groups::Groups::connect(target.bootstrap, plan)?;
            let first = all.join_all()?;
            all.heartbeat_for(groups::HEARTBEAT_NS as f64 / 1e9 + 0.5)?;
            let forced = all.one_of_each_leaves_and_returns()?;
            let heartbeats = all.heartbeat_for(seconds as f64)?;
            all.leave_all()?;
            let (first, forced) = (report::rebalanced(&first), report::rebalanced(&forced));
            Ok(
                json!({"mode": "groups", "first": first, "forced": forced, "heartbeats": heartbeats}),
            )
        }
        Mode::Consumers { target, consumers, partitions_each, rate, seconds } => {
            target.prepare()?;
            let plan = consumers::Plan {
                topic: target.topic,
                partitions: target.partitions,
                consumers,
                partitions_each,
                rate,
                value_bytes: 1_024,
            };
            let mut all = consumers::Consumers::connect(target.bootstrap, plan)?;
            let outcome = all.run(rate * seconds)?;
            Ok(json!({"mode": "consumers", "figures": report::consumers(&outcome)}))
        }
        Mode::Partitions { target } => {
            let seconds = partitions::create(target.bootstrap, &target.topic, target.partitions)?;
            Ok(json!({"mode": "partitions", "create_s": report::round(seconds, 4)}))
        }
        Mode::Compare(options) => compare::run(&options),
    }
}

impl Target {
    fn prepare(&self) -> Result<()> {
        let mut client = Client::connect(self.bootstrap)?;
        if client.partitions(&self.topic).is_ok() {
            return Ok(());
        }
        client.create_topic_and_wait(&self.topic, self.partitions)
    }
}
