//! `cargo xtask`: what a stranger runs. One file per command.
//!
//! Depends on clap alone, so that it builds on a fresh machine that has nothing but Rust; what needs
//! more (Kafka's protocol, JSON) lives in the programs under `tests/` that these commands build and
//! call.
//!
//! ```text
//! demo ─┐                        install   packages of the distribution
//! test ─┼─▶ steps ─▶ programs    tools     clients and tools kept in a cache outside the clone
//! bench ┘                        clients   what the stock clients of the conformance matrix need
//!                                binaries  one release build for all of it
//!                                rocksdb   its library, compiled once
//!                                guest     kernel and modules of a guest, kept
//! ```

mod bench;
mod binaries;
mod clients;
mod clock;
mod container;
mod demo;
mod foreign_clients;
mod guest;
mod install;
mod java_clients;
mod node;
mod package;
mod package_check;
mod passed_on;
mod rocksdb;
mod run;
mod steps;
mod store_programs;
mod stores;
mod test;
mod tools;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(name = "cargo xtask", about = "Holdfast's own commands")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Builds a node, starts it in the foreground, sends records through it.
    Demo(demo::Options),
    /// Everything that must pass.
    Test(test::Options),
    /// Measures Holdfast beside another broker on the same disk.
    Bench(bench::Options),
    /// Runs the simulation (`tests/sim`).
    Sim(passed_on::Options),
    /// Runs the crash rounds (`tests/crash`).
    Crash(passed_on::Options),
    /// Cuts the power of a guest whose disk loses what was not flushed (`tests/powercut`).
    Powercut(passed_on::Options),
    /// Runs one conformance check (`tests/conformance`).
    Conformance(passed_on::Options),
    /// Feeds hostile bytes to every decoder (`tests/fuzz`), for as long as it is told to.
    Fuzz(passed_on::Options),
    /// Makes the Debian package; `--check` lives through its whole life.
    Package(package::Options),
    /// Fetches Kafka's jars if missing and prints their directory.
    KafkaLibs,
    /// Makes RocksDB's library if missing and prints the variables that let cargo use it.
    Rocksdb,
    /// Fetches and builds what `conformance clients` runs and prints the variables that name it.
    ClientPrograms,
    /// Runs the store suite, the cold history and the probe against every store that can be had.
    Stores,
    /// Fetches and builds the stores and prints the variables that name them.
    StorePrograms {
        /// MinIO too, which takes minutes to build.
        #[arg(long)]
        all: bool,
    },
}

fn main() -> ExitCode {
    let result = match Arguments::parse().command {
        Command::Demo(options) => demo::run(&options),
        Command::Test(options) => test::run(&options),
        Command::Bench(options) => bench::run(&options),
        Command::Sim(options) => passed_on::run("holdfast-sim", &options),
        Command::Crash(options) => passed_on::run("holdfast-crash", &options),
        Command::Powercut(options) => passed_on::run("holdfast-powercut", &options),
        Command::Conformance(options) => passed_on::run("holdfast-conformance", &options),
        Command::Fuzz(options) => passed_on::run("holdfast-fuzz", &options),
        Command::Package(options) => package::run(&options),
        Command::Rocksdb => rocksdb::print(),
        Command::ClientPrograms => clients::print(),
        Command::Stores => stores::run(),
        Command::StorePrograms { all } => store_programs::print(all),
        Command::KafkaLibs => tools::kafka_libs().map(|libs| println!("{}", libs.display())),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("xtask: {message}");
            ExitCode::FAILURE
        }
    }
}
