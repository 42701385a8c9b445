//! One release build for demo, tests and bench, so that nothing is compiled twice for them.

use std::env;
use std::path::PathBuf;
use std::process::Command;

use crate::rocksdb;
use crate::run::{Result, checked, root, shown};

/// The daemon's package and binary.
pub(crate) const DAEMON: (&str, &str) = ("holdfast-server", "holdfastd");
/// The operator's command.
pub(crate) const CLI: (&str, &str) = ("holdfast-cli", "holdfast");
/// The load generator's package and binary.
pub(crate) const BENCH: (&str, &str) = ("holdfast-bench", "holdfast-bench");
/// The conformance checks.
pub(crate) const CONFORMANCE: (&str, &str) = ("holdfast-conformance", "holdfast-conformance");
/// The simulation.
pub(crate) const SIM: (&str, &str) = ("holdfast-sim", "holdfast-sim");
/// The crash rounds.
pub(crate) const CRASH: (&str, &str) = ("holdfast-crash", "holdfast-crash");
/// The power cuts.
pub(crate) const POWERCUT: (&str, &str) = ("holdfast-powercut", "holdfast-powercut");
/// The fuzz runner.
pub(crate) const FUZZ: (&str, &str) = ("holdfast-fuzz", "holdfast-fuzz");

/// `cargo` as it runs us, in the repository's root, with RocksDB's library if that is made.
pub(crate) fn cargo() -> Command {
    let mut command = bare_cargo();
    rocksdb::provide(&mut command);
    command
}

/// `cargo` as it runs us, in the repository's root.
pub(crate) fn bare_cargo() -> Command {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root());
    command
}

fn target() -> PathBuf {
    env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from)
}

/// Where a built binary is.
pub(crate) fn path(which: (&str, &str)) -> PathBuf {
    target().join("release").join(which.1)
}

/// Builds in release mode.
pub(crate) fn build(which: &[(&str, &str)]) -> Result<()> {
    if which.contains(&DAEMON) {
        rocksdb::library()?;
    }
    let mut command = cargo();
    command.args(["build", "--release", "--locked"]);
    for (package, binary) in which {
        command.args(["--package", package, "--bin", binary]);
    }
    println!("Running: {}", shown(&command));
    checked(&mut command)
}
