//! `sim`, `crash`, `powercut`, `conformance`, `fuzz`: build the program in release mode and pass the
//! arguments on.

use std::path::PathBuf;
use std::process::Command;

use clap::Args;

use crate::binaries;
use crate::clients;
use crate::guest;
use crate::install;
use crate::run::{Result, checked, root};
use crate::store_programs;
use crate::tools;

#[derive(Args)]
pub(crate) struct Options {
    /// Passed on as they are.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<String>,
}

/// Builds `binary` (and the daemon, where it starts one) and runs it.
pub(crate) fn run(binary: &str, options: &Options) -> Result<()> {
    use binaries::{CONFORMANCE, CRASH, FUZZ, POWERCUT, SIM};
    let which = [SIM, CRASH, POWERCUT, CONFORMANCE, FUZZ];
    let which = which.into_iter().find(|(_, name)| *name == binary);
    let which = which.ok_or_else(|| format!("no program is called {binary}"))?;
    install::ensure(install::BUILD)?;
    let mut command = Command::new(binaries::path(which));
    if which == SIM || which == FUZZ {
        binaries::build(&[which])?;
    } else {
        binaries::build(&[which, binaries::DAEMON])?;
        command.env("HOLDFASTD", binaries::path(binaries::DAEMON));
    }
    if which == CRASH {
        command.env("HOLDFAST_KAFKA_LIBS", tools::kafka_libs()?);
        command.env("HOLDFAST_LIBRDKAFKA", tools::librdkafka()?);
    }
    if which == POWERCUT {
        guest::provide(&mut command)?;
    }
    let clients = options.arguments.first().is_some_and(|check| check == "clients");
    if which == CONFORMANCE && clients {
        clients::provide(&mut command)?;
        command.args(&options.arguments);
        if !options.arguments.iter().any(|argument| argument.starts_with("--work")) {
            command.arg("--work").arg(work()?);
        }
        return checked(&mut command);
    }
    let of_stores = options
        .arguments
        .iter()
        .any(|argument| argument.starts_with("store-") || argument.starts_with("--store"));
    if which == CONFORMANCE && of_stores {
        store_programs::provide(&mut command)?;
    }
    checked(command.args(&options.arguments))
}

/// Where the matrix keeps its nodes and the clients' output, for a look after a failure.
fn work() -> Result<PathBuf> {
    let path = root().join("target/clients");
    std::fs::create_dir_all(&path).map_err(|error| format!("{}: {error}", path.display()))?;
    Ok(path)
}
