//! What the client programs of `tests/conformance/clients` need: fetched or built, then handed to
//! the runner in the environment variables that its table of programs names
//! (`tests/conformance/src/clients/programs.rs`).

use std::ffi::OsString;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

use crate::foreign_clients;
use crate::install;
use crate::java_clients;
use crate::run::{Result, checked, shown};
use crate::tools::{self, kept};

/// What kafka-python's own tests run in, with what it calls for.
const PYTEST: [&str; 7] = [
    "pytest==9.2.0",
    "pytest-mock==3.17.0",
    "pytest-timeout==2.4.0",
    "iniconfig==2.3.1",
    "packaging==26.3",
    "pluggy==1.7.0",
    "pygments==2.21.0",
];

/// Sets the variables on `command`, fetching what is missing.
pub(crate) fn provide(command: &mut Command) -> Result<()> {
    install::ensure(install::CLIENTS)?;
    command.env("HOLDFAST_CLIENTS_PYTHON", python()?);
    command.env("HOLDFAST_CLIENTS_KAFKA_PYTHON_TESTS", kafka_python_tests()?);
    java_clients::provide(command)?;
    foreign_clients::provide(command)?;
    Ok(())
}

/// Prints what `provide` sets, for a shell that runs the conformance program by itself.
pub(crate) fn print() -> Result<()> {
    let mut command = Command::new("env");
    provide(&mut command)?;
    for (name, value) in command.get_envs() {
        let value = value.unwrap_or_default();
        println!("export {}='{}'", name.to_string_lossy(), value.to_string_lossy());
    }
    Ok(())
}

/// PYTHONPATH of the programs in Python.
fn python() -> Result<OsString> {
    let places = [tools::librdkafka()?, tools::python_clients()?];
    std::env::join_paths(places).map_err(|error| format!("the cache's path: {error}"))
}

/// `test/` of the source distribution of the kafka-python that the matrix plays, and pytest in
/// `site/`.
fn kafka_python_tests() -> Result<PathBuf> {
    install::ensure(install::PYTHON)?;
    let package = tools::PYTHON_CLIENTS[0];
    kept(&format!("{}-tests", package.replace("==", "-")), |partial| {
        let pip = || {
            let mut command = Command::new("python3");
            command.args(["-m", "pip"]).current_dir(partial);
            command
        };
        let quiet = ["-q", "--no-input", "--disable-pip-version-check"];
        let mut sources = pip();
        sources.arg("download").args(quiet).args(["--no-deps", "--no-binary", ":all:", package]);
        run(sources)?;
        let archives = fs::read_dir(partial).map_err(|error| error.to_string())?;
        let mut archives = archives.filter_map(|entry| Some(entry.ok()?.path()));
        let archive = archives
            .find(|path| path.extension().is_some_and(|extension| extension == "gz"))
            .ok_or_else(|| format!("pip brought no source archive of {package}"))?;
        let mut unpack = Command::new("tar");
        unpack.args(["--strip-components=1", "-xzf"]).arg(&archive).current_dir(partial);
        run(unpack)?;
        let mut site = pip();
        site.arg("install").args(quiet).args(PYTEST).args(["--target", "site"]);
        run(site)
    })
}

fn run(mut command: Command) -> Result<()> {
    eprintln!("Running: {}", shown(&command));
    checked(&mut command)
}
