//! Crowds: many groups, many consumers, many partitions. Each on a broker of its own, freshly
//! started in an empty directory, so that its memory is what the crowd takes.
//!
//! ```text
//! start ─▶ 2,000 partitions ─▶ nothing but Metadata once a second ─▶ stop
//! start ─▶ 1,000 consumers of one partition each: warm-up ─▶ 100 records/s
//!       ─▶ 1,000 consumers of all partitions: warm-up ─▶ 100 records/s ─▶ stop
//! start ─▶ warm-up groups ─▶ 1,000 × 10 members join ─▶ one of each leaves and comes back
//!       ─▶ nothing but heartbeats ─▶ stop
//! ```
//! The warm-ups are for the JVM's compiler and for what a broker makes on first use (Kafka: the
//! topic of committed offsets); they are in no latency and no CPU figure.

use std::fs;
use std::path::Path;

use crate::broker::{self, Kind, Running};
use crate::client::{Client, Failed, Result};
use crate::process;
use crate::sample::Figures;

pub mod connections;
pub mod consumers;
pub mod groups;
pub mod member;
pub mod partitions;

/// `group.initial.rebalance.delay.ms` of every broker measured: Kafka's default.
pub const INITIAL_REBALANCE_DELAY_MS: &str = "3000";
const VALUE_BYTES: usize = 1_024;
const TAIL: &str = "tail";
const CONSUMED_PARTITIONS: i32 = 8;
const RECORDS_PER_S: u64 = 100;

/// How much of each.
#[derive(Debug, Clone, Copy)]
pub struct Size {
    /// Groups that rebalance.
    pub groups: usize,
    /// Members of each.
    pub members: usize,
    /// Seconds of nothing but heartbeats.
    pub heartbeat_seconds: u64,
    /// Consumers at the tail.
    pub consumers: usize,
    /// Seconds they are measured, once with one partition each and once with all.
    pub consume_seconds: u64,
    /// Partitions that lie idle.
    pub partitions: i32,
    /// Seconds they are measured.
    pub idle_seconds: u64,
}

impl Size {
    /// What RESULTS.md is made of.
    pub const FULL: Self = Self {
        groups: 1_000,
        members: 10,
        heartbeat_seconds: 15,
        consumers: 1_000,
        consume_seconds: 15,
        partitions: 2_000,
        idle_seconds: 30,
    };
    /// To see that everything runs.
    pub const QUICK: Self = Self {
        groups: 100,
        members: 10,
        heartbeat_seconds: 4,
        consumers: 100,
        consume_seconds: 3,
        partitions: 200,
        idle_seconds: 4,
    };
}

/// Runs all three for `kind` below `directory`, which is emptied before and after.
pub fn run(kind: &Kind, directory: &Path, size: Size, figures: &mut Figures) -> Result<()> {
    type Crowd = fn(&Running, Size, &mut Figures) -> Result<()>;
    let kind = kind.with("group.initial.rebalance.delay.ms", INITIAL_REBALANCE_DELAY_MS);
    let crowds: [(&str, Crowd); 3] = [
        ("idle partitions", idle_partitions),
        ("consumers at the tail", consumers_at_the_tail),
        ("groups", rebalancing_groups),
    ];
    for (name, crowd) in crowds {
        let _ = fs::remove_dir_all(directory);
        let port = broker::free_port()?;
        broker::prepare(&kind, directory, port)?;
        let running = broker::start(&kind, directory, port)?;
        crowd(&running, size, figures)
            .map_err(|error| Failed::Wrong(format!("{name}: {error}")))?;
        running.stop()?;
    }
    fs::remove_dir_all(directory)?;
    Ok(())
}

/// CPU seconds of the broker so far; NaN shows in the table where it cannot be read.
fn cpu_s(running: &Running) -> f64 {
    process::cpu_seconds(running.pid()).unwrap_or(f64::NAN)
}

fn rss_mib(running: &Running) -> (f64, f64) {
    let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
    process::resident_bytes(running.pid())
        .map_or((f64::NAN, f64::NAN), |(now, most)| (mib(now), mib(most)))
}

fn idle_partitions(running: &Running, size: Size, figures: &mut Figures) -> Result<()> {
    const TOPIC: &str = "idle";
    // Both brokers have compiled and loaded what a topic takes before the clock starts.
    partitions::create(running.address, "warm", 1)?;
    figures.insert("partitions_rss_before_mib", rss_mib(running).0);
    let create_cpu_s = cpu_s(running);
    let create_s = partitions::create(running.address, TOPIC, size.partitions)?;
    figures.insert("partitions_create_s", create_s);
    figures.insert("partitions_create_cpu_s", cpu_s(running) - create_cpu_s);
    // What creation left to do (files, tables, the JVM's compiler) is not idleness.
    let settle_s = 5.min(size.idle_seconds);
    partitions::metadata_each_second(running.address, TOPIC, size.partitions, settle_s)?;
    let before_s = cpu_s(running);
    let seconds = size.idle_seconds;
    partitions::metadata_each_second(running.address, TOPIC, size.partitions, seconds)?;
    figures.insert("partitions_idle_cores", (cpu_s(running) - before_s) / seconds as f64);
    figures.insert("partitions_rss_mib", rss_mib(running).0);
    Ok(())
}

fn consumers_at_the_tail(running: &Running, size: Size, figures: &mut Figures) -> Result<()> {
    Client::connect(running.address)?.create_topic_and_wait(TAIL, CONSUMED_PARTITIONS)?;
    let one = consume(running, size, 1)?;
    for (name, value) in [
        ("consumers_p50_ms", one.p50_ms),
        ("consumers_p99_ms", one.p99_ms),
        ("consumers_max_ms", one.max_ms),
        ("consumers_per_s", one.deliveries_per_s),
        ("consumers_cores", one.cores),
        ("consumers_generator_cores", one.generator_cores),
        ("consumers_rss_mib", rss_mib(running).0),
    ] {
        figures.insert(name, value);
    }
    let all = consume(running, size, CONSUMED_PARTITIONS)?;
    for (name, value) in [
        ("flood_p50_ms", all.p50_ms),
        ("flood_p99_ms", all.p99_ms),
        ("flood_max_ms", all.max_ms),
        ("flood_per_s", all.deliveries_per_s),
        ("flood_records_per_fetch", all.records_per_fetch),
        ("flood_cores", all.cores),
        ("flood_generator_cores", all.generator_cores),
        ("flood_rss_mib", rss_mib(running).0),
    ] {
        figures.insert(name, value);
    }
    Ok(())
}

/// What consumers at the tail see, and what it costs.
struct Consumed {
    p50_ms: f64,
    p99_ms: f64,
    max_ms: f64,
    deliveries_per_s: f64,
    records_per_fetch: f64,
    cores: f64,
    generator_cores: f64,
}

fn consume(running: &Running, size: Size, partitions_each: i32) -> Result<Consumed> {
    let plan = consumers::Plan {
        topic: TAIL.to_owned(),
        partitions: CONSUMED_PARTITIONS,
        consumers: size.consumers,
        partitions_each,
        rate: RECORDS_PER_S,
        value_bytes: VALUE_BYTES,
    };
    let mut consumers = consumers::Consumers::connect(running.address, plan)?;
    // Two thirds of the measured time: the JVM compiles its fetch path meanwhile.
    consumers.run(RECORDS_PER_S * size.consume_seconds * 2 / 3)?;
    let before_s = cpu_s(running);
    let outcome = consumers.run(RECORDS_PER_S * size.consume_seconds)?;
    let ms = |ns: u64| ns as f64 / 1e6;
    Ok(Consumed {
        p50_ms: ms(outcome.latency_ns.value_at_quantile(0.5)),
        p99_ms: ms(outcome.latency_ns.value_at_quantile(0.99)),
        max_ms: ms(outcome.latency_ns.max()),
        deliveries_per_s: outcome.deliveries as f64 / outcome.seconds,
        records_per_fetch: outcome.deliveries as f64 / outcome.fetches as f64,
        cores: (cpu_s(running) - before_s) / outcome.seconds,
        generator_cores: outcome.own_cpu_seconds / outcome.seconds,
    })
}

fn rebalancing_groups(running: &Running, size: Size, figures: &mut Figures) -> Result<()> {
    let topic = "grouped".to_owned();
    let mut client = Client::connect(running.address)?;
    client.create_topic_and_wait(&topic, size.members as i32)?;
    let plan = |prefix: &str, groups| groups::Plan {
        topic: topic.clone(),
        prefix: prefix.to_owned(),
        groups,
        members: size.members,
    };
    groups::wait_for_coordinator(&mut client, "warm-0")?;
    // Enough groups to meet about every one of Kafka's 50 coordinator partitions.
    let mut warm = groups::Groups::connect(running.address, plan("warm", 200.min(size.groups)))?;
    warm.join_all()?;
    warm.one_of_each_leaves_and_returns()?;
    warm.leave_all()?;
    let mut groups = groups::Groups::connect(running.address, plan("group", size.groups))?;
    figures.insert("groups_connected_rss_mib", rss_mib(running).0);

    let before_s = cpu_s(running);
    let first = groups.join_all()?;
    figures.insert("groups_first_cpu_s", cpu_s(running) - before_s);
    figures.insert("groups_first_all_s", first.all_s);
    let [p50, p99, most] = percentiles(first.whole_s);
    figures.insert("groups_first_p50_s", p50);
    figures.insert("groups_first_p99_s", p99);
    figures.insert("groups_first_max_s", most);

    // Every member has found its own phase of the heartbeats before somebody leaves.
    groups.heartbeat_for(groups::HEARTBEAT_NS as f64 / 1e9 + 0.5)?;
    let before_s = cpu_s(running);
    let forced = groups.one_of_each_leaves_and_returns()?;
    figures.insert("groups_forced_cpu_s", cpu_s(running) - before_s);
    figures.insert("groups_forced_all_s", forced.all_s);
    let [p50, p99, most] = percentiles(forced.whole_s);
    figures.insert("groups_forced_p50_s", p50);
    figures.insert("groups_forced_p99_s", p99);
    figures.insert("groups_forced_max_s", most);
    let [p50, p99, most] = percentiles(forced.broker_s);
    figures.insert("groups_forced_broker_p50_ms", p50 * 1e3);
    figures.insert("groups_forced_broker_p99_ms", p99 * 1e3);
    figures.insert("groups_forced_broker_max_ms", most * 1e3);

    groups.heartbeat_for(1.0)?;
    let (before_s, own_before_s) = (cpu_s(running), process::own_cpu_seconds());
    let seconds = size.heartbeat_seconds as f64;
    let heartbeats = groups.heartbeat_for(seconds)?;
    figures.insert("groups_idle_cores", (cpu_s(running) - before_s) / seconds);
    let own_s = process::own_cpu_seconds() - own_before_s;
    figures.insert("groups_idle_generator_cores", own_s / seconds);
    figures.insert("groups_heartbeats_per_s", heartbeats as f64 / seconds);
    let (now, most) = rss_mib(running);
    figures.insert("groups_rss_mib", now);
    figures.insert("groups_rss_max_mib", most);
    Ok(())
}

/// The values at rank ⌈q·n⌉ for q of 0.5, 0.99 and 1: figures that were measured, none in between.
pub fn percentiles(mut values: Vec<f64>) -> [f64; 3] {
    values.sort_by(f64::total_cmp);
    [50, 99, 100].map(|percent| {
        let rank = (values.len() * percent).div_ceil(100);
        rank.checked_sub(1).and_then(|at| values.get(at).copied()).unwrap_or(f64::NAN)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_values_that_were_measured() {
        let values = (1..=1_000).rev().map(f64::from).collect();
        assert_eq!(percentiles(values), [500.0, 990.0, 1_000.0]);
        assert_eq!(percentiles(vec![3.0, 1.0]), [1.0, 3.0, 3.0]);
        assert_eq!(percentiles(vec![2.0]), [2.0; 3]);
        assert!(percentiles(vec![]).iter().all(|value| value.is_nan()));
    }
}
