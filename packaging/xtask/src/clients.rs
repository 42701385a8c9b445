//! What the client programs of `tests/conformance/clients` need: fetched or built, then handed to
//! the runner in the environment variables that its table of programs names
//! (`tests/conformance/src/clients/programs.rs`).

use std::ffi::OsString;
use std::process::Command;

use crate::foreign_clients;
use crate::install;
use crate::java_clients;
use crate::run::Result;
use crate::tools;

/// Sets the variables on `command`, fetching what is missing.
pub(crate) fn provide(command: &mut Command) -> Result<()> {
    install::ensure(install::CLIENTS)?;
    command.env("HOLDFAST_CLIENTS_PYTHON", python()?);
    java_clients::provide(command)?;
    foreign_clients::provide(command)?;
    Ok(())
}

/// PYTHONPATH of the programs in Python.
fn python() -> Result<OsString> {
    let places = [tools::librdkafka()?, tools::python_clients()?];
    std::env::join_paths(places).map_err(|error| format!("the cache's path: {error}"))
}
