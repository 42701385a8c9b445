//! Tools that no distribution packages in the version needed, kept in a cache outside the clone.
//!
//! `$HOLDFAST_CACHE`, else `$HOME/.cache/holdfast`. Each tool sits in a directory that carries its
//! version, made under another name and renamed when whole, so a broken download is never used.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::binaries::cargo;
use crate::install;
use crate::run::{Result, checked, output, root, shown};

const CARGO_DENY: &str = "0.20.2";
/// librdkafka as Python's wheel brings it: no compiler is needed for a stock client.
const CONFLUENT_KAFKA: &str = "2.16.1";
/// Clients written in Python, with the codecs and all else they call for; confluent-kafka stands
/// apart.
pub(crate) const PYTHON_CLIENTS: [&str; 9] = [
    "kafka-python==3.0.12",
    "aiokafka==0.14.0",
    "python-snappy==0.7.3",
    "cramjam==2.14.0",
    "lz4==4.4.5",
    "zstandard==0.25.0",
    "typing_extensions==4.16.0",
    "async-timeout==5.0.1",
    "packaging==26.3",
];
/// The Kafka that results are compared with; `tests/bench/kafka/pom.xml` names the same.
pub(crate) const KAFKA: &str = "4.3.1";

/// The cache's directory.
pub(crate) fn cache() -> Result<PathBuf> {
    let directory = env::var_os("HOLDFAST_CACHE")
        .map(PathBuf::from)
        .or_else(|| env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache/holdfast")));
    directory.ok_or_else(|| "neither HOLDFAST_CACHE nor HOME is set: where to keep tools?".into())
}

/// `directory` below the cache, filled by `fill` if it is not there.
pub(crate) fn kept(directory: &str, fill: impl FnOnce(&Path) -> Result<()>) -> Result<PathBuf> {
    let whole = cache()?.join(directory);
    if whole.is_dir() {
        return Ok(whole);
    }
    let partial = whole.with_extension("partial");
    let _ = fs::remove_dir_all(&partial);
    fs::create_dir_all(&partial).map_err(|error| format!("{}: {error}", partial.display()))?;
    fill(&partial)?;
    fs::rename(&partial, &whole).map_err(|error| format!("{}: {error}", whole.display()))?;
    Ok(whole)
}

/// cargo-deny. Built lightly: it runs for seconds, so its own speed does not pay for its build.
pub(crate) fn cargo_deny() -> Result<PathBuf> {
    let home = kept(&format!("tools/cargo-deny-{CARGO_DENY}"), |partial| {
        let mut command = cargo();
        command.args(["install", "--locked", "--no-default-features"]);
        command.arg(format!("cargo-deny@{CARGO_DENY}")).arg("--root").arg(partial);
        command.env("CARGO_TARGET_DIR", partial.join("build"));
        for (setting, value) in
            [("OPT_LEVEL", "1"), ("LTO", "off"), ("CODEGEN_UNITS", "16"), ("DEBUG", "0")]
        {
            command.env(format!("CARGO_PROFILE_RELEASE_{setting}"), value);
        }
        println!("Running: {}", shown(&command));
        checked(&mut command)?;
        let _ = fs::remove_dir_all(partial.join("build"));
        Ok(())
    })?;
    Ok(home.join("bin/cargo-deny"))
}

/// Kafka's jars, server and tools, from Maven Central.
pub(crate) fn kafka_libs() -> Result<PathBuf> {
    install::ensure(install::JAVA)?;
    let home = kept(&format!("kafka-{KAFKA}"), |partial| {
        let mut command = Command::new("mvn");
        command.args(["-q", "-B", "-f"]).arg(root().join("tests/bench/kafka/pom.xml"));
        command.args(["dependency:copy-dependencies", "-DincludeScope=runtime"]);
        command.arg(format!("-DoutputDirectory={}", partial.join("libs").display()));
        eprintln!("Running: {}", shown(&command));
        checked(&mut command)
    })?;
    Ok(home.join("libs"))
}

/// confluent-kafka, which carries librdkafka, for this machine's `python3`: a directory for
/// PYTHONPATH.
pub(crate) fn librdkafka() -> Result<PathBuf> {
    wheels("confluent-kafka", CONFLUENT_KAFKA, &[&format!("confluent-kafka=={CONFLUENT_KAFKA}")])
}

/// kafka-python and aiokafka: a directory for PYTHONPATH.
pub(crate) fn python_clients() -> Result<PathBuf> {
    let version = |package: &str| package.split("==").nth(1).unwrap_or_default().to_owned();
    // The first two name the directory: a codec changes with them or not at all.
    let versions =
        format!("{}-aiokafka-{}", version(PYTHON_CLIENTS[0]), version(PYTHON_CLIENTS[1]));
    wheels("kafka-python", &versions, &PYTHON_CLIENTS)
}

/// Packages of PyPI in a directory of the cache.
fn wheels(name: &str, version: &str, packages: &[&str]) -> Result<PathBuf> {
    install::ensure(install::PYTHON)?;
    let line = "import sys; print('%d.%d' % sys.version_info[:2])";
    let python = output(Command::new("python3").args(["-c", line]))?;
    // A wheel fits one version of Python.
    kept(&format!("{name}-{version}-python-{python}"), |partial| {
        let mut command = Command::new("python3");
        command.args(["-m", "pip", "install", "-q", "--no-input", "--disable-pip-version-check"]);
        command.args(packages).arg("--target").arg(partial);
        eprintln!("Running: {}", shown(&command));
        checked(&mut command)
    })
}
