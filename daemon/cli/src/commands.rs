//! One file per command; here is only which there are.

mod bench;
mod check;
mod completions;
mod config;
mod consume;
mod explain;
mod group;
mod health;
mod man;
mod object;
mod produce;
mod status;
mod store;
mod topic;
mod wal;

use clap::Subcommand;

use crate::args::Context;
use crate::errors::Result;

/// All of them.
#[derive(Subcommand, Debug)]
pub(crate) enum Command {
    /// Cluster, nodes and topics at a glance, and the insides of the node on this machine
    Status(status::StatusArgs),
    /// Healthy or not, with reasons; exit code 0 or 3
    Health(health::HealthArgs),
    /// List, describe, create, change, trim and delete topics
    #[command(subcommand)]
    Topic(topic::TopicCommand),
    /// Consumer groups: members, lag, offsets
    #[command(subcommand)]
    Group(group::GroupCommand),
    /// Send lines of standard input as records
    Produce(produce::ProduceArgs),
    /// Print records of a topic
    Consume(consume::ConsumeArgs),
    /// Settings of topics, nodes and groups
    #[command(subcommand)]
    Config(config::ConfigCommand),
    /// Look into a stopped node's write-ahead log; nothing is written
    #[command(subcommand)]
    Wal(wal::WalCommand),
    /// Look into an object store; nothing is written
    #[command(subcommand)]
    Object(object::ObjectCommand),
    /// Is an object store fit for history?
    #[command(subcommand)]
    Store(store::StoreCommand),
    /// Is this machine fit for a node? Kernel, limits, clock, device
    Check(check::CheckArgs),
    /// Measure latency and throughput with a topic of its own
    Bench(bench::BenchArgs),
    /// What an error code means and what to do
    Explain(explain::ExplainArgs),
    /// Completions for a shell
    Completions(completions::CompletionsArgs),
    /// Manual pages
    #[command(hide = true)]
    Man(man::ManArgs),
}

/// Does it.
pub(crate) fn run(command: Command, context: &Context) -> Result<()> {
    match command {
        Command::Status(args) => status::run(&args, context),
        Command::Health(args) => health::run(&args, context),
        Command::Topic(command) => topic::run(command, context),
        Command::Group(command) => group::run(command, context),
        Command::Produce(args) => produce::run(&args, context),
        Command::Consume(args) => consume::run(&args, context),
        Command::Config(command) => config::run(command, context),
        Command::Wal(command) => wal::run(command),
        Command::Object(command) => object::run(command),
        Command::Store(command) => store::run(command),
        Command::Check(args) => check::run(&args),
        Command::Bench(args) => bench::run(&args, context),
        Command::Explain(args) => explain::run(&args),
        Command::Completions(args) => completions::run(&args),
        Command::Man(args) => man::run(&args),
    }
}
