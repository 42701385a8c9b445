//! `holdfast`: what an operator types.
//!
//! ```text
//! arguments ─▶ Context (addresses and where they came from, time limit, form)
//!           ─▶ one file per command in `commands` ─▶ Answer ─▶ standard output
//!                     │                └ CliError ─▶ standard error, exit code
//!    client: Kafka protocol   admin: HTTP of this machine's node   files: wal, check
//! ```
//!
//! Everything a node knows is asked through Kafka's own protocol, so that the command works from
//! any machine; only what concerns one node's insides goes to its loopback admin listener.
//!
//! Exit codes: 0 done, 1 failed, 2 wrong usage, 3 unhealthy, 4 refused by the node (`errors`).

mod admin;
mod args;
mod bucket;
mod client;
mod clock;
mod commands;
mod configs;
mod errors;
mod kafka_errors;
mod offsets;
mod output;
mod progress;
mod records;
mod when;

use std::process::ExitCode;

use clap::{CommandFactory, FromArgMatches};

use crate::args::{Cli, Context};
use crate::errors::Kind;

fn main() -> ExitCode {
    let matches = Cli::command().get_matches();
    let cli = match Cli::from_arg_matches(&matches) {
        Ok(cli) => cli,
        Err(error) => error.exit(),
    };
    let context = Context::new(&cli.global, &matches);
    match commands::run(cli.command, &context) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            if !error.is_quiet() {
                eprintln!("{error}");
            }
            ExitCode::from(exit_code(error.kind))
        }
    }
}

fn exit_code(kind: Kind) -> u8 {
    match kind {
        Kind::Failed => 1,
        Kind::Usage => 2,
        Kind::Unhealthy => 3,
        Kind::Refused => 4,
    }
}
