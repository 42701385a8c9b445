//! `cargo xtask test`: everything that must pass, as named steps.
//!
//! Programs under `tests/` speak one language: exit status 0 passed, 77 skipped (the reason is the
//! last line of standard output), anything else failed.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use clap::Args;

use crate::binaries::{self, BENCH, CLI, CONFORMANCE, CRASH, DAEMON, FUZZ, POWERCUT, SIM, cargo};
use crate::clients;
use crate::demo;
use crate::guest;
use crate::install;
use crate::node;
use crate::package;
use crate::package_check;
use crate::rocksdb;
use crate::run::{Result, checked, root, shown, status};
use crate::steps::{Steps, Verdict};
use crate::store_programs;
use crate::tools;

/// What a program's status says when it could not run here.
const SKIPPED: i32 = 77;
/// Exposure of the unit, in tenths, as `systemd-analyze security` scores it: 1.0 is the bar.
const UNIT_EXPOSURE_MAX: &str = "10";
/// The name cargo-deny gives its clone of the advisory database (a hash of its address).
const ADVISORY_REPOSITORY: &str = "advisory-db-3157b0e258782691";
/// Seeds of the simulation in a test run.
const SIM_SEEDS: &str = "1500";
/// Kills with an object store, over a log that is trimmed several times a round.
const CRASH_OBJECTS: [&str; 5] = ["--rounds", "5", "--store", "--wal-size", "48MiB"];
/// Power cuts in a test run, and the fault of the disk that has to be found.
const POWER_CUTS: [[&str; 2]; 2] = [["--cuts", "6"], ["--planted", "lost-flush"]];
/// kill -9 rounds in a test run.
const CRASH_ROUNDS: &str = "10";
/// Seconds for each fuzz target.
const FUZZ_SECONDS: &str = "10";

#[derive(Args)]
pub(crate) struct Options {
    /// Runs only the steps of these names.
    #[arg(long)]
    only: Vec<String>,
}

pub(crate) fn run(options: &Options) -> Result<()> {
    let mut steps = Steps::new(options.only.clone());
    steps.step("packages", |_| {
        install::ensure(install::BUILD)?;
        install::ensure(install::TEST)?;
        Ok(Verdict::Passed)
    });
    steps.step("rocksdb", |_| rocksdb::library().map(|_| Verdict::Passed));
    steps.step("format", |left| cargo_step(&["fmt", "--all", "--check"], left));
    steps.step("clippy", |left| {
        let line = ["clippy", "--workspace", "--all-targets", "--locked", "--", "-D", "warnings"];
        cargo_step(&line, left)
    });
    steps.step("unit tests", |left| cargo_step(&["test", "--workspace", "--locked", "-q"], left));
    steps.step("deny", deny);
    steps.step("build", |_| {
        binaries::build(&[DAEMON, CLI, BENCH, CONFORMANCE, SIM, CRASH, POWERCUT, FUZZ])?;
        Ok(Verdict::Passed)
    });
    steps.step("unit score", unit_score);
    let work = Work::new()?;
    steps.step("demo", |_| {
        let data_dir = Some(work.directory("demo")?);
        demo::run(&demo::Options { check: true, port: node::free_port()?, data_dir })?;
        Ok(Verdict::Passed)
    });
    for (name, check) in [
        ("kcat over kill -9", "kcat-kill9"),
        ("cold history", "cold-history"),
        ("store heal", "store-heal"),
        ("disk full", "disk-full"),
        ("state store", "state-store"),
        ("slow disk", "slow-disk"),
        ("hostile frames", "hostile"),
        ("limits", "limits"),
        ("bad start", "start-up"),
    ] {
        steps.step(name, |left| {
            let mut command = Command::new(binaries::path(CONFORMANCE));
            command.arg(check).arg("--holdfastd").arg(binaries::path(DAEMON));
            command.arg("--work").arg(work.directory(check)?);
            program(&mut command, left)
        });
    }
    steps.step("clients", |left| {
        let mut command = Command::new(binaries::path(CONFORMANCE));
        command.arg("clients").arg("--holdfastd").arg(binaries::path(DAEMON));
        command.arg("--work").arg(work.directory("clients")?);
        clients::provide(&mut command)?;
        program(&mut command, left)
    });
    for (name, check, store) in [
        ("store suite, versitygw", "store-suite", Some("versitygw")),
        ("store suite, s3proxy", "store-suite", Some("s3proxy")),
        ("cold history, versitygw", "cold-history", Some("versitygw")),
        ("store probe, versitygw", "store-probe", Some("versitygw")),
        ("store weather", "store-weather", None),
    ] {
        steps.step(name, |left| {
            let mut command = Command::new(binaries::path(CONFORMANCE));
            command.arg(check);
            if let Some(store) = store {
                command.args(["--store", store]);
            }
            match check {
                "cold-history" | "store-weather" => {
                    command.arg("--holdfastd").arg(binaries::path(DAEMON));
                }
                "store-probe" => {
                    command.arg("--holdfast").arg(binaries::path(CLI));
                }
                _ => {}
            }
            command
                .arg("--work")
                .arg(work.directory(&format!("{check}-{}", store.unwrap_or_default()))?);
            store_programs::provide(&mut command)?;
            program(&mut command, left)
        });
    }
    steps.step("package", |_| {
        let skipped = package_check::run(&package::build()?)?;
        Ok(skipped.map_or(Verdict::Passed, Verdict::Skipped))
    });
    steps.step("fuzz", |left| {
        let mut command = Command::new(binaries::path(FUZZ));
        program(command.args(["--seconds", FUZZ_SECONDS]), left)
    });
    steps.step("simulation", |left| {
        let mut command = Command::new(binaries::path(SIM));
        program(command.args(["--seeds", SIM_SEEDS]), left)
    });
    steps.step("planted bugs", |left| {
        let mut command = Command::new(binaries::path(SIM));
        program(command.args(["--planted", "all"]), left)
    });
    for (name, directory, options) in [
        ("crash rounds", "crash", &["--rounds", CRASH_ROUNDS][..]),
        ("crash rounds, objects", "crash-objects", &CRASH_OBJECTS[..]),
    ] {
        steps.step(name, |left| {
            let mut command = Command::new(binaries::path(CRASH));
            command.args(options);
            command.arg("--kafka-libs").arg(tools::kafka_libs()?);
            command.arg("--librdkafka").arg(tools::librdkafka()?);
            command.arg("--holdfastd").arg(binaries::path(DAEMON));
            program(command.arg("--work").arg(work.directory(directory)?), left)
        });
    }
    steps.step("power cuts", |left| {
        if let Some(why) = guest::obstacle() {
            return Ok(Verdict::Skipped(why.to_owned()));
        }
        for options in POWER_CUTS {
            let mut command = Command::new(binaries::path(POWERCUT));
            command.args(options).arg("--holdfastd").arg(binaries::path(DAEMON));
            guest::provide(&mut command)?;
            let work = work.directory("powercut")?;
            program(command.arg("--work").arg(work), left)?;
        }
        Ok(Verdict::Passed)
    });
    if steps.failed("build") {
        println!("\nThe build failed: the steps after it ran programs of an older build, or none.");
    }
    steps.close()
}

/// A directory for the nodes' data, gone when the run ends.
struct Work(PathBuf);

impl Work {
    fn new() -> Result<Self> {
        let path = root().join("target").join(format!("test-{}", std::process::id()));
        fs::create_dir_all(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        Ok(Self(path))
    }

    fn directory(&self, name: &str) -> Result<PathBuf> {
        let path = self.0.join(name);
        fs::create_dir_all(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        Ok(path)
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn cargo_step(line: &[&str], left: Duration) -> Result<Verdict> {
    let mut command = cargo();
    command.args(line);
    println!("Running: {}", shown(&command));
    let status = status(&mut command, Some(left))?;
    if status.success() {
        return Ok(Verdict::Passed);
    }
    Err(format!("`{}` ended: {status}", shown(&command)))
}

/// Runs a program of `tests/`; keeps the last line it prints as the reason of a skip.
fn program(command: &mut Command, left: Duration) -> Result<Verdict> {
    use std::io::{BufRead, BufReader};
    println!("Running: {}", shown(command));
    let line = shown(command);
    let mut child = command
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|error| format!("`{line}` cannot start: {error}"))?;
    let out = child.stdout.take();
    let reader = std::thread::spawn(move || {
        let mut last = String::new();
        for line in
            out.into_iter().flat_map(|out| BufReader::new(out).lines().map_while(|line| line.ok()))
        {
            println!("{line}");
            last = line;
        }
        last
    });
    let ended =
        crate::run::wait(&mut child, Some(left)).map_err(|why| format!("`{line}`: {why}"))?;
    let last = reader.join().unwrap_or_default();
    match ended.code() {
        Some(0) => Ok(Verdict::Passed),
        Some(SKIPPED) => Ok(Verdict::Skipped(last)),
        _ => Err(format!("`{line}` ended: {ended}")),
    }
}

/// Bans, licences and sources always; advisories from a dated copy of the database where one lies
/// beside the repository.
fn deny(left: Duration) -> Result<Verdict> {
    let tool = tools::cargo_deny()?;
    let check = |config: &Path, network: &str, what: &[&str]| {
        let mut command = Command::new(&tool);
        command.current_dir(root()).args([network, "--config"]).arg(config);
        command.arg("check").args(what);
        println!("Running: {}", shown(&command));
        let ended = status(&mut command, Some(left))?;
        if ended.success() { Ok(()) } else { Err(format!("`{}` ended: {ended}", shown(&command))) }
    };
    let config = root().join("deny.toml");
    check(&config, "--locked", &["bans", "licenses", "sources"])?;
    match advisory_database()? {
        Some((name, database)) => {
            println!("Advisories as of {name}");
            // The database's place is this machine's business, so it is added to a copy.
            let text = fs::read_to_string(&config).map_err(|error| error.to_string())?;
            let place = format!("[advisories]\ndb-path = {:?}\n", database.display().to_string());
            let here = database.join("deny.toml");
            fs::write(&here, text.replacen("[advisories]\n", &place, 1))
                .map_err(|error| format!("{}: {error}", here.display()))?;
            check(&here, "--offline", &["advisories"])?;
        }
        None => println!("No copy of the advisory database lies in ../shared/data: not checked."),
    }
    Ok(Verdict::Passed)
}

/// Unpacks `../shared/data/rustsec-advisory-db-DATE.tar.xz` into the cache; the newest one.
fn advisory_database() -> Result<Option<(String, PathBuf)>> {
    let Ok(entries) = fs::read_dir(root().join("../shared/data")) else { return Ok(None) };
    let named = |path: &PathBuf| {
        let name = path.file_name()?.to_str()?;
        name.strip_prefix("rustsec-advisory-db-")?.strip_suffix(".tar.xz").map(str::to_owned)
    };
    let archives = entries.flatten().map(|entry| entry.path());
    let newest = archives.filter_map(|path| named(&path).map(|date| (date, path))).max();
    let Some((date, archive)) = newest else { return Ok(None) };
    let database = tools::cache()?.join(format!("advisories-{date}"));
    if !database.is_dir() {
        let partial = database.with_extension("partial");
        let _ = fs::remove_dir_all(&partial);
        fs::create_dir_all(&partial).map_err(|error| format!("{}: {error}", partial.display()))?;
        let repository = partial.join(ADVISORY_REPOSITORY);
        fs::create_dir_all(&repository).map_err(|error| error.to_string())?;
        checked(Command::new("tar").arg("-xJf").arg(&archive).arg("-C").arg(&repository))?;
        // cargo-deny reads a git repository and asks when its head was made.
        for line in [
            &["init", "-q"][..],
            &["add", "-A"],
            &["-c", "user.name=xtask", "-c", "user.email=xtask@localhost", "commit", "-qm", "Copy"],
        ] {
            checked(Command::new("git").current_dir(&repository).args(line))?;
        }
        fs::rename(&partial, &database).map_err(|error| error.to_string())?;
    }
    Ok(Some((date, database)))
}

fn unit_score(left: Duration) -> Result<Verdict> {
    let mut command = Command::new("systemd-analyze");
    command.args(["security", "--offline=yes", "--no-pager"]);
    command.arg(format!("--threshold={UNIT_EXPOSURE_MAX}"));
    command.arg(root().join("systemd/holdfastd.service")).stdout(Stdio::null());
    let ended = status(&mut command, Some(left))?;
    if ended.success() {
        return Ok(Verdict::Passed);
    }
    Err(format!("the unit's exposure is above {UNIT_EXPOSURE_MAX} tenths: {}", shown(&command)))
}
