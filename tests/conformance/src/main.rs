//! `holdfast-conformance`: what a broker must do, seen from outside, one check per subcommand.
//!
//! The checks speak Kafka's protocol through `holdfast-bench`'s own encoder, or through a stock
//! client, and know nothing of the daemon but its command line. Those that do not ask for Holdfast's
//! command line also run against Apache Kafka (`--kafka-libs`), which calibrates them. Kafka 4.3.1
//! passes `kcat-kill9` and all of `hostile` but this: it answers noise under a codec with -1 (unknown
//! error), and 1,500 half-open frames of 1 MiB fill its heap and stop the honest client for 10 s.
//!
//! Exit status: 0 passed, 77 cannot run here (the reason is the last line), 1 failed.

mod admin_page;
mod cgroup;
mod clients;
mod cold_history;
mod device;
mod disk_full;
mod history;
mod hostile;
mod kcat_kill9;
mod limits;
mod node;
mod slow_disk;
mod start_up;
mod state_store;
mod store_heal;
mod store_probe;
mod store_suite;
mod store_weather;
mod stores;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(about = "Checks of a broker from outside")]
struct Arguments {
    #[command(subcommand)]
    check: Check,
}

#[derive(Subcommand)]
enum Check {
    /// Stock clients, each through its own library: a matrix of client and scenario.
    Clients(clients::Options),
    /// kcat produces with every codec; kill -9; restart; kcat consumes; everything is there.
    KcatKill9(node::Options),
    /// Far more records than the log holds go to an object store and come back; stops and kill -9.
    ColdHistory(cold_history::Options),
    /// The disk and the write-ahead log get full: refused, nothing lost, heals by itself.
    DiskFull(node::Options),
    /// Frames and batches that lie: a clear error or a closed connection, others unharmed.
    Hostile(node::Options),
    /// Connections, descriptors and memory run short: bounded, others unharmed, all comes back.
    Limits(limits::Options),
    /// The log's device gets slow: producers wait, nothing is lost, it is shown, and it passes.
    SlowDisk(node::Options),
    /// A start that cannot work says why, once.
    StartUp(node::Options),
    /// Objects that change in the store: made again while the log has their records, else named.
    StoreHeal(store_heal::Options),
    /// States beside the log damaged, missing, without room, or in a file's place: nothing is lost.
    StateStore(node::Options),
    /// The operator's probe of a store: usable, and nothing is left of it.
    StoreProbe(store_probe::Options),
    /// A store that is busy, silent, cut off or lies: no produce waits, no wrong record, nothing lost.
    StoreWeather(store_weather::Options),
    /// The suite every store must pass, against a real one.
    StoreSuite(store_suite::Options),
}

/// How a check ends when it did not find a fault.
enum Outcome {
    Passed,
    Skipped(String),
}

/// A check's fault, in words.
type Result<T> = std::result::Result<T, String>;

const SKIPPED: u8 = 77;

fn main() -> ExitCode {
    let result = match Arguments::parse().check {
        Check::Clients(options) => clients::run(&options),
        Check::KcatKill9(options) => kcat_kill9::run(&options),
        Check::ColdHistory(options) => cold_history::run(&options),
        Check::DiskFull(options) => disk_full::run(&options),
        Check::Hostile(options) => hostile::run(&options),
        Check::Limits(options) => limits::run(&options),
        Check::SlowDisk(options) => slow_disk::run(&options),
        Check::StartUp(options) => start_up::run(&options),
        Check::StoreHeal(options) => store_heal::run(&options),
        Check::StateStore(options) => state_store::run(&options),
        Check::StoreProbe(options) => store_probe::run(&options),
        Check::StoreWeather(options) => store_weather::run(&options),
        Check::StoreSuite(options) => store_suite::run(&options),
    };
    match result {
        Ok(Outcome::Passed) => ExitCode::SUCCESS,
        Ok(Outcome::Skipped(why)) => {
            println!("{why}");
            ExitCode::from(SKIPPED)
        }
        Err(fault) => {
            eprintln!("holdfast-conformance: {fault}");
            ExitCode::FAILURE
        }
    }
}
