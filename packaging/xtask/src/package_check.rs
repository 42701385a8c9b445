//! `cargo xtask package --check`: the life of the package under a real systemd.
//!
//! ```text
//! build twice ─▶ install ─▶ start ─▶ produce ─▶ reload ─▶ kill -9 ─▶ upgrade ─▶ stop
//!   same bytes    nothing     READY    records     wrong file  restarted   edits survive  status 0
//!                 started     STATUS   come back   refused     records     records stay
//!                                  ─▶ remove ─▶ purge ─▶ install ─▶ purge with the marker
//!                                     stopped   records stay        records go
//! ```
//!
//! kcat of this machine is the client, through the container's loopback. Every wait has a limit.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::clock::{Stopwatch, nap};
use crate::container::{self, Container, Said};
use crate::install;
use crate::package::{Layout, out, sha256, version};
use crate::run::{Result, found};

/// For a command that only asks.
const ASK_MAX: Duration = Duration::from_secs(30);
/// For a start or a stop: the unit's own limit and a little.
const UNIT_MAX: Duration = Duration::from_secs(100);
/// systemd has a new process running this long after the old one was killed; RestartSec is 2.
const RESTART_MAX: Duration = Duration::from_secs(5);
/// lintian on one package; 6 s on an idle machine.
const LINTIAN_MAX: Duration = Duration::from_secs(120);
/// Records of each round.
const RECORDS: usize = 1000;
/// A small log, as an operator would say it.
const DROP_IN: &str = "[wal]\nsize = \"256MiB\"\n";
const DROP_IN_AT: &str = "/etc/holdfast/conf.d/50-site.toml";
const CONFFILE: &str = "/etc/holdfast/holdfast.toml";
const EDIT: &str = "# An operator was here.\n";
const UNIT: &str = "holdfastd.service";
const ADDRESS: &str = "127.0.0.1:9092";

/// Checks a package of the binaries in `binaries`; the reason if it cannot be done here.
pub(crate) fn run(binaries: &Path) -> Result<Option<String>> {
    if let Some(why) = container::refused() {
        return Ok(Some(why));
    }
    install::ensure(container::NEEDS)?;
    install::ensure(install::CLIENTS)?;
    let scratch = Scratch::new()?;
    let clock = Stopwatch::start();
    let layout = Layout::new(binaries)?;
    let deb = layout.make(version(), &out()?)?;
    let again = layout.make(version(), &scratch.0)?;
    let newer = layout.make(&format!("{}+check1", version()), &scratch.0)?;
    if sha256(&deb)? != sha256(&again)? {
        return Err(format!("{} differs when it is made again", deb.display()));
    }
    told(&clock, "packages made; made twice, the bytes are the same");
    lintian(&deb, &clock)?;
    let container = Container::boot(&scratch.0.join("root"))?;
    told(&clock, "systemd runs in a container");
    let mut machine = Machine { container, clock, sent: Vec::new() };
    machine.live(&deb, &newer).map_err(|why| match machine.journal() {
        Ok(journal) => format!("{why}\n\nThe unit's journal:\n{journal}"),
        Err(_) => why,
    })?;
    Ok(None)
}

fn told(clock: &Stopwatch, what: &str) {
    println!("{:>6.1} s  {what}", clock.elapsed().as_secs_f64());
}

/// Errors of the package's making; overridden or pedantic tags do not count.
fn lintian(deb: &Path, clock: &Stopwatch) -> Result<()> {
    if found("lintian").is_none() {
        told(clock, "lintian is not here: not run (apt-get install lintian)");
        return Ok(());
    }
    let mut command = Command::new("lintian");
    command
        .args(["--allow-root", "--fail-on", "error", "--suppress-tags", "bogus-mail-host"])
        .arg(deb);
    let ended = crate::run::status(&mut command, Some(LINTIAN_MAX))?;
    if !ended.success() {
        return Err(format!("lintian found errors in {}", deb.display()));
    }
    told(clock, "lintian finds no error");
    Ok(())
}

/// Gone when the check ends.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Result<Self> {
        let path = out()?.join("check");
        fs::create_dir_all(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        Ok(Self(path))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // The container has removed its root; what stays mounted must not be followed.
        if !self.0.join("root").exists() {
            let _ = fs::remove_dir_all(&self.0);
        }
    }
}

/// The machine the package lives on, and what was sent to its node.
struct Machine {
    container: Container,
    clock: Stopwatch,
    sent: Vec<String>,
}

impl Machine {
    fn live(&mut self, deb: &Path, newer: &Path) -> Result<()> {
        self.installed(deb)?;
        self.served()?;
        self.changed(newer, deb)
    }

    /// Installed: there, with its user, and nothing runs.
    fn installed(&self, deb: &Path) -> Result<()> {
        let said = self.install(deb)?;
        claim(said.contains("not enabled, not started"), "postinst tells what to do next", &said)?;
        let state = self.shown(&["ActiveState", "UnitFileState", "LoadState"])?;
        claim(
            state == "ActiveState=inactive LoadState=loaded UnitFileState=disabled",
            "nothing is started or enabled",
            &state,
        )?;
        let owner = self.must(&["stat", "-c", "%U:%G %a", CONFFILE, "/etc/holdfast"])?;
        claim(
            owner == "root:holdfast 640\nroot:holdfast 750",
            "the node alone reads its configuration",
            &owner,
        )?;
        let versions = self.must(&["sh", "-c", "holdfastd --version; holdfast --version"])?;
        claim(versions.matches(version()).count() == 2, "both programs run", &versions)?;
        told(&self.clock, "installed; nothing started or enabled");
        Ok(())
    }

    /// Started: ready, told, serving, restarted, reloading.
    fn served(&mut self) -> Result<()> {
        self.write(DROP_IN_AT, DROP_IN)?;
        self.must_within(&["systemctl", "start", UNIT], UNIT_MAX)?;
        let state = self.shown(&["ActiveState", "SubState", "Type", "StatusText"])?;
        let ready = "ActiveState=active StatusText=serving";
        claim(
            state.starts_with(ready) && state.contains("Type=notify"),
            "READY and STATUS came",
            &state,
        )?;
        told(&self.clock, &format!("started: {state}"));
        self.produce()?;
        self.same_records()?;
        let health = self.must(&["holdfast", "health"])?;
        told(&self.clock, &format!("{RECORDS} records through kcat; {}", first_line(&health)));
        let journal = self.journal()?;
        claim(journal.contains(ADDRESS), "the journal has the node's lines", &journal)?;

        self.must_within(&["systemctl", "reload", UNIT], UNIT_MAX)?;
        self.write("/etc/holdfast/conf.d/99-wrong.toml", "[wal]\nsiez = \"1GiB\"\n")?;
        let refused = self.container.run(&["systemctl", "reload", UNIT], UNIT_MAX)?;
        claim(!refused.status.success(), "a wrong file is refused at reload", &refused.text)?;
        self.must(&["systemctl", "is-active", UNIT])?;
        self.must(&["rm", "/etc/holdfast/conf.d/99-wrong.toml"])?;
        self.must_within(&["systemctl", "reload", UNIT], UNIT_MAX)?;
        told(&self.clock, "reloaded; a wrong file was refused and the node went on");

        let before = self.main_pid()?;
        self.must(&["sh", "-c", &format!("kill -9 {before}")])?;
        let clock = Stopwatch::start();
        while matches!(self.main_pid()?.as_str(), "0") || self.main_pid()? == before {
            if clock.elapsed() > RESTART_MAX {
                let state = self.shown(&["ActiveState", "SubState", "NRestarts", "Result"])?;
                return Err(format!(
                    "not restarted {} s after kill -9: {state}",
                    RESTART_MAX.as_secs()
                ));
            }
            nap();
        }
        let after_s = clock.elapsed().as_secs_f64();
        while self.shown(&["ActiveState"])? != "ActiveState=active" {
            if clock.elapsed() > UNIT_MAX {
                return Err("not ready again after kill -9".into());
            }
            nap();
        }
        self.same_records()?;
        told(&self.clock, &format!("killed -9: a new process after {after_s:.1} s, records there"));
        Ok(())
    }

    /// Upgraded, stopped, removed, purged.
    fn changed(&mut self, newer: &Path, deb: &Path) -> Result<()> {
        let edited = self.must(&["cat", CONFFILE])? + "\n" + EDIT;
        self.write(CONFFILE, &edited)?;
        let before = self.main_pid()?;
        let said = self.install(newer)?;
        claim(
            said.contains("systemctl restart holdfastd"),
            "postinst says that the old one runs",
            &said,
        )?;
        claim(self.main_pid()? == before, "an upgrade leaves the node running", &said)?;
        claim(self.must(&["cat", CONFFILE])?.ends_with(EDIT.trim()), "the edit survives", &said)?;
        let owner = self.must(&["stat", "-c", "%U:%G %a", CONFFILE])?;
        claim(owner == "root:holdfast 640", "the owner survives", &owner)?;
        self.produce()?;
        self.must_within(&["systemctl", "restart", UNIT], UNIT_MAX)?;
        claim(self.main_pid()? != before, "a restart changes over", &before)?;
        self.same_records()?;
        told(&self.clock, "upgraded under the running node, edit kept, restarted, records there");

        let stop = Stopwatch::start();
        self.must_within(&["systemctl", "stop", UNIT], UNIT_MAX)?;
        let state = self.shown(&["ActiveState", "ExecMainStatus", "Result"])?;
        claim(
            state == "ActiveState=inactive ExecMainStatus=0 Result=success",
            "stopped with status 0",
            &state,
        )?;
        told(&self.clock, &format!("stopped in {:.1} s, {state}", stop.elapsed().as_secs_f64()));

        self.must_within(&["systemctl", "start", UNIT], UNIT_MAX)?;
        self.must_within(&["dpkg", "-r", "holdfast"], UNIT_MAX)?;
        let active = self.container.run(&["systemctl", "is-active", UNIT], ASK_MAX)?.text;
        claim(active.trim() == "inactive", "removal stops the node", &active)?;
        claim(
            self.is_there(CONFFILE) && !self.is_there("/usr/bin/holdfastd"),
            "removal keeps the configuration",
            "",
        )?;
        let said = self.must_within(&["dpkg", "--purge", "holdfast"], UNIT_MAX)?;
        claim(
            said.contains("records stay in /var/lib/holdfast"),
            "purge says where records are",
            &said,
        )?;
        claim(
            !self.is_there("/etc/holdfast") && !self.is_there("/etc/default/holdfast"),
            "purge takes the configuration",
            &said,
        )?;
        claim(self.is_there("/var/lib/holdfast"), "purge keeps records", &said)?;
        told(&self.clock, "removed and purged: stopped, configuration gone, records kept");

        self.install(deb)?;
        self.write(DROP_IN_AT, DROP_IN)?;
        self.must_within(&["systemctl", "start", UNIT], UNIT_MAX)?;
        self.same_records()?;
        self.write("/var/lib/holdfast/PURGE-ON-REMOVE", "")?;
        let said = self.must_within(&["dpkg", "--purge", "holdfast"], UNIT_MAX)?;
        claim(
            !self.is_there("/var/lib/holdfast"),
            "purge with the marker takes the records",
            &said,
        )?;
        told(&self.clock, "installed again, records there; purged with the marker, records gone");
        Ok(())
    }

    fn install(&self, deb: &Path) -> Result<String> {
        let name = deb.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let inside = format!("/root/{name}");
        fs::copy(deb, self.container.path(&inside))
            .map_err(|error| format!("{inside}: {error}"))?;
        self.must_within(&["dpkg", "-i", &inside], UNIT_MAX)
    }

    /// Sends records no one has sent before.
    fn produce(&mut self) -> Result<()> {
        let from = self.sent.len();
        let lines: Vec<String> = (from..from + RECORDS).map(|at| format!("record {at}")).collect();
        let input = lines.join("\n") + "\n";
        let line =
            ["kcat", "-P", "-q", "-b", ADDRESS, "-t", "checked", "-X", "enable.idempotence=true"];
        ok(&line, self.container.client(&line, &input, ASK_MAX)?)?;
        self.sent.extend(lines);
        Ok(())
    }

    /// All records that were sent, in any order of partitions, once each.
    fn same_records(&self) -> Result<()> {
        let line = ["kcat", "-C", "-q", "-e", "-b", ADDRESS, "-t", "checked", "-o", "beginning"];
        let said = ok(&line, self.container.client(&line, "", ASK_MAX)?)?;
        let mut found: Vec<&str> = said.lines().collect();
        let mut sent: Vec<&str> = self.sent.iter().map(String::as_str).collect();
        found.sort_unstable();
        sent.sort_unstable();
        if found == sent {
            return Ok(());
        }
        let missing = sent.iter().find(|line| found.binary_search(line).is_err());
        let (found, sent) = (found.len(), sent.len());
        Err(format!("{found} records came back of {sent}; the first missing: {missing:?}"))
    }

    fn main_pid(&self) -> Result<String> {
        Ok(self.shown(&["MainPID"])?.trim_start_matches("MainPID=").to_owned())
    }

    /// Properties of the unit, sorted by name, in one line.
    fn shown(&self, properties: &[&str]) -> Result<String> {
        let said = self.must(&["systemctl", "show", UNIT, "-p", &properties.join(",")])?;
        let mut lines: Vec<&str> = said.lines().collect();
        lines.sort_unstable();
        Ok(lines.join(" "))
    }

    fn journal(&self) -> Result<String> {
        self.must(&["journalctl", "-u", UNIT, "-o", "cat", "--no-pager", "-n", "60"])
    }

    fn write(&self, inside: &str, text: &str) -> Result<()> {
        fs::write(self.container.path(inside), text).map_err(|error| format!("{inside}: {error}"))
    }

    fn is_there(&self, inside: &str) -> bool {
        self.container.path(inside).exists()
    }

    fn must(&self, line: &[&str]) -> Result<String> {
        self.must_within(line, ASK_MAX)
    }

    fn must_within(&self, line: &[&str], limit: Duration) -> Result<String> {
        ok(line, self.container.run(line, limit)?)
    }
}

fn ok(line: &[&str], said: Said) -> Result<String> {
    let text = said.text.trim();
    if said.status.success() {
        return Ok(text.to_owned());
    }
    Err(format!("`{}` ended: {}; it said: {text}", line.join(" "), said.status))
}

fn claim(holds: bool, what: &str, seen: &str) -> Result<()> {
    if holds { Ok(()) } else { Err(format!("not so: {what}; seen: {}", seen.trim())) }
}

fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or_default()
}
