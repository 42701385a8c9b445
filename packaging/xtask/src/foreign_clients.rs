//! The client programs in Go, JavaScript and Rust: built once into the cache, for the runner's table.
//!
//! Their directories carry a hash of what they are made from (sources and lock file), so an edit is
//! built and an unchanged program is not. Versions are the lock files': `go.sum`,
//! `package-lock.json`, `Cargo.lock`.
//!
//! go.mod asks for Go 1.26. A `go` of 1.21 or later is enough to begin with: it fetches the toolchain
//! as a module, as it does every dependency. An older one ends with its own words on go.mod.

use std::ffi::OsString;
use std::fs;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::binaries::cargo;
use crate::install::{self, Need};
use crate::run::{Result, checked, found, root, shown};
use crate::tools::kept;

/// Where Go's own archive puts it, and where Debian's older one is not.
const GO_OF_ARCHIVE: &str = "/usr/local/go/bin/go";

const NODE: &[Need] = &[
    Need { brings: "node", apt: "nodejs", dnf: "nodejs" },
    Need { brings: "npm", apt: "npm", dnf: "nodejs-npm" },
];
const GO: &[Need] = &[Need { brings: "go", apt: "golang-go", dnf: "golang" }];

/// Sets the variables that the table of programs names.
pub(crate) fn provide(command: &mut Command) -> Result<()> {
    command.env("HOLDFAST_CLIENTS_GO", go_programs()?);
    command.env("HOLDFAST_CLIENTS_NODE", node_modules()?);
    command.env("HOLDFAST_CLIENTS_RUST", rdkafka()?);
    Ok(())
}

fn sources(language: &str) -> PathBuf {
    root().join("tests/conformance/clients").join(language)
}

/// A name for what these files hold; directories with all below.
fn hash_of(paths: &[PathBuf]) -> Result<String> {
    let mut hasher = DefaultHasher::new();
    let mut left = paths.to_vec();
    while let Some(path) = left.pop() {
        let told = |error: std::io::Error| format!("{}: {error}", path.display());
        if path.is_dir() {
            let mut below = Vec::new();
            for entry in fs::read_dir(&path).map_err(told)? {
                below.push(entry.map_err(told)?.path());
            }
            below.sort();
            left.extend(below);
        } else {
            path.file_name().hash(&mut hasher);
            fs::read(&path).map_err(told)?.hash(&mut hasher);
        }
    }
    Ok(format!("{:016x}", hasher.finish()))
}

/// A directory with `franz` and `sarama`.
fn go_programs() -> Result<PathBuf> {
    let from = sources("go");
    kept(&format!("clients-go-{}", hash_of(std::slice::from_ref(&from))?), |partial| {
        let mut command = Command::new(go()?);
        command
            .args(["build", "-trimpath", "-buildvcs=false", "-o"])
            .arg(partial)
            .args(["./franz", "./sarama"]);
        command.current_dir(&from);
        run(command)
    })
}

fn go() -> Result<OsString> {
    if Path::new(GO_OF_ARCHIVE).is_file() {
        return Ok(GO_OF_ARCHIVE.into());
    }
    if found("go").is_none() {
        install::ensure(GO)?;
    }
    Ok("go".into())
}

/// NODE_PATH of kafkajs.
fn node_modules() -> Result<PathBuf> {
    install::ensure(NODE)?;
    let from = sources("node");
    let names = [from.join("package.json"), from.join("package-lock.json")];
    let home = kept(&format!("clients-node-{}", hash_of(&names)?), |partial| {
        for name in &names {
            let to = partial.join(name.file_name().unwrap_or_default());
            fs::copy(name, &to).map_err(|error| format!("{}: {error}", to.display()))?;
        }
        let mut command = Command::new("npm");
        // No package of these needs to run a script of its own.
        command.args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"]).current_dir(partial);
        run(command)
    })?;
    Ok(home.join("node_modules"))
}

/// The program over rust-rdkafka.
fn rdkafka() -> Result<PathBuf> {
    install::ensure(install::BUILD)?;
    let from = sources("rust");
    let names = [from.join("Cargo.toml"), from.join("Cargo.lock"), from.join("src")];
    let home = kept(&format!("clients-rust-{}", hash_of(&names)?), |partial| {
        let mut command = cargo();
        command.args(["build", "--release", "--locked", "--manifest-path"]);
        command.arg(from.join("Cargo.toml"));
        // Beside the cache's directory, so that an edit does not build librdkafka again.
        let build = partial.with_file_name("clients-rust-build");
        command.env("CARGO_TARGET_DIR", &build);
        run(command)?;
        let (built, to) = (build.join("release/conformance-rdkafka"), partial.join("rdkafka"));
        fs::copy(&built, &to).map_err(|error| format!("{}: {error}", built.display()))?;
        Ok(())
    })?;
    Ok(home.join("rdkafka"))
}

fn run(mut command: Command) -> Result<()> {
    eprintln!("Running: {}", shown(&command));
    checked(&mut command)
}
