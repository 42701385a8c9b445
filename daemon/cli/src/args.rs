//! What can be typed, and what every command is told beside its own arguments.
//!
//! Each command's arguments stand in its own file; here is what they share. `-o` is not global:
//! `consume` uses it for offsets, as every Kafka tool does.

use std::io::{self, BufRead, IsTerminal, Write};
use std::time::Duration;

use clap::parser::ValueSource;
use clap::{ArgMatches, Args, Parser};

use crate::admin::Admin;
use crate::client::{Cluster, Source};
use crate::commands::Command;
use crate::errors::{CliError, Result};
use crate::output::Format;

#[cfg(test)]
mod tests;

/// The operator's command of Holdfast.
///
/// Talks to a node through the Kafka protocol, and to the node on this machine through its admin
/// listener. Exit codes: 0 done, 1 failed, 2 wrong usage, 3 unhealthy, 4 refused by the node.
#[derive(Parser, Debug)]
#[command(name = "holdfast", version, about, max_term_width = 100)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Options of every command.
#[derive(Args, Clone, Debug)]
pub(crate) struct Global {
    /// Kafka addresses to begin with, comma separated; the first that answers is used.
    #[arg(
        long,
        global = true,
        env = "HOLDFAST_BOOTSTRAP",
        hide_env_values = true,
        default_value = "127.0.0.1:9092",
        value_name = "HOST:PORT",
        help_heading = "Connection"
    )]
    pub(crate) bootstrap: String,
    /// The admin listener of the node on this machine.
    #[arg(
        long,
        global = true,
        env = "HOLDFAST_ADMIN",
        hide_env_values = true,
        default_value = "127.0.0.1:9644",
        value_name = "HOST:PORT",
        help_heading = "Connection"
    )]
    pub(crate) admin: String,
    /// Longest wait for one answer: 500ms, 10s, 2min.
    #[arg(
        long,
        global = true,
        default_value = "10s",
        value_parser = crate::when::parse_duration,
        value_name = "TIME",
        help_heading = "Connection"
    )]
    pub(crate) timeout: Duration,
}

/// How an answer is shown.
#[derive(Args, Clone, Copy, Debug, Default)]
pub(crate) struct Shown {
    /// Form of the answer. Without it: a table on a terminal, tab-separated lines into a pipe.
    #[arg(short = 'o', long = "output", value_enum, value_name = "FORM")]
    pub(crate) format: Option<Format>,
}

/// What all commands need.
pub(crate) struct Context {
    bootstrap: String,
    bootstrap_source: Source,
    admin: String,
    admin_source: Source,
    pub(crate) timeout: Duration,
}

impl Context {
    pub(crate) fn new(global: &Global, matches: &ArgMatches) -> Context {
        Context {
            bootstrap: global.bootstrap.clone(),
            bootstrap_source: source(matches, "bootstrap", "--bootstrap", "HOLDFAST_BOOTSTRAP"),
            admin: global.admin.clone(),
            admin_source: source(matches, "admin", "--admin", "HOLDFAST_ADMIN"),
            timeout: global.timeout,
        }
    }

    /// Connects.
    pub(crate) fn cluster(&self) -> Result<Cluster> {
        Cluster::connect(&self.bootstrap, &self.bootstrap_source, self.timeout)
    }

    /// The admin listener, not yet spoken to.
    pub(crate) fn admin(&self) -> Admin<'_> {
        Admin { address: &self.admin, source: &self.admin_source, timeout: self.timeout }
    }

    /// True when somebody named the admin listener: then it must answer.
    pub(crate) fn admin_is_given(&self) -> bool {
        self.admin_source.0 != DEFAULT
    }
}

const DEFAULT: &str = "the default";

/// A global argument stands in the matches of the command it was typed behind.
fn source(matches: &ArgMatches, id: &str, flag: &str, variable: &str) -> Source {
    let mut level = Some(matches);
    let mut found = None;
    while let Some(matches) = level {
        let here = matches.try_contains_id(id).ok().and_then(|_| matches.value_source(id));
        found = match (found, here) {
            (Some(ValueSource::CommandLine), _) => found,
            (_, Some(here)) => Some(here),
            (found, None) => found,
        };
        level = matches.subcommand().map(|(_, below)| below);
    }
    Source(match found {
        Some(ValueSource::CommandLine) => flag.to_owned(),
        Some(ValueSource::EnvVariable) => variable.to_owned(),
        _ => DEFAULT.to_owned(),
    })
}

/// Asks before something is lost. Without a terminal only `--yes` will do.
pub(crate) fn confirm(question: &str, yes: bool) -> Result<()> {
    if yes {
        return Ok(());
    }
    if !io::stdin().is_terminal() || !io::stderr().is_terminal() {
        return Err(CliError::usage(
            format!("{question} needs a yes, and there is no terminal to ask at"),
            "pass --yes, or look first with --dry-run",
        ));
    }
    eprint!("{question}? [y/N] ");
    let mut answer = String::new();
    let read = io::stderr().flush().and_then(|()| io::stdin().lock().read_line(&mut answer));
    read.map_err(|error| CliError::failed("the terminal cannot be read", error.to_string()))?;
    if matches!(answer.trim(), "y" | "Y" | "yes") {
        return Ok(());
    }
    Err(CliError::failed("nothing was done", "the answer was not y"))
}

/// `key=value`.
pub(crate) fn parse_pair(text: &str) -> std::result::Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err(format!("{text:?} is not of the form key=value")),
    }
}
