//! One program plays one scenario: started, its needs met, judged by its last words.
//!
//! ```text
//! program                                    runner
//!    ── {"client": "librdkafka 2.16.1"} ──▶   kept for the matrix
//!    ── {"check": …} ───────────────────▶    counted
//!    ── {"part": …} ────────────────────▶    judged by its name
//!    ── {"need": "kill9"} ──────────────▶    kill -9, start again
//!    ◀───────────────────────────── done
//!    ── {"passed": true} ───────────────▶    and status 0: passed
//! ```
//!
//! A program is in a process group of its own, which is killed when the cell ends, so that nothing
//! it started outlives it.

use std::fmt;
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use holdfast_bench::broker::Running;
use holdfast_bench::clock::{Stopwatch, nap};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use serde_json::Value;

use super::Size;
use super::programs::Program;
use crate::Result;
use crate::node::Place;

/// From the end of a program's output to its own.
const END_WAIT_S: f64 = 30.0;

/// How a cell ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Every check held; how many there were.
    Passed(usize),
    /// The library has no such call.
    Unsupported(String),
    /// What did not hold.
    Failed(String),
}

/// A part of a scenario that may fail alone: a test of a library's own suite.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Part {
    pub(super) name: String,
    /// Why, if it failed.
    pub(super) failed: Option<String>,
}

/// One field of the matrix.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Cell {
    pub(super) program: &'static str,
    pub(super) scenario: &'static str,
    /// The library and its version as the program told them.
    pub(super) client: Option<String>,
    /// Parts of the scenario that the library has no call for.
    pub(super) lacks: Vec<String>,
    pub(super) parts: Vec<Part>,
    pub(super) seconds: f64,
    pub(super) verdict: Verdict,
}

impl Cell {
    pub(super) fn new(program: &Program, scenario: &'static str, verdict: Verdict) -> Self {
        Self {
            program: program.name,
            scenario,
            client: None,
            lacks: Vec::new(),
            parts: Vec::new(),
            seconds: 0.0,
            verdict,
        }
    }

    /// The parts that failed, each with why.
    pub(super) fn failed_parts(&self) -> impl Iterator<Item = (&str, &str)> {
        self.parts.iter().filter_map(|part| Some((part.name.as_str(), part.failed.as_deref()?)))
    }
}

impl fmt::Display for Cell {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{:<18} {:<11} {:>6.1} s  ", self.program, self.scenario, self.seconds)?;
        match &self.verdict {
            Verdict::Passed(_) if !self.parts.is_empty() => {
                let failed = self.failed_parts().count();
                write!(
                    out,
                    "played, {} of {} parts passed",
                    self.parts.len() - failed,
                    self.parts.len()
                )?;
                self.failed_parts().try_for_each(|(name, why)| write!(out, "\n  {name}: {why}"))
            }
            Verdict::Passed(checks) => write!(out, "passed, {checks} checks"),
            Verdict::Unsupported(why) => write!(out, "unsupported: {why}"),
            Verdict::Failed(why) => write!(out, "FAILED: {why}"),
        }
    }
}

/// The node a program plays against. `running` is empty only after a start that failed.
pub(super) struct Node {
    place: Place,
    running: Option<Running>,
}

impl Node {
    pub(super) fn start(place: Place) -> Result<Self> {
        let running = Some(place.start()?);
        Ok(Self { place, running })
    }

    /// Up again if it ended or could not start.
    fn ensure(&mut self) -> Result<()> {
        if self.running.as_mut().is_none_or(|running| running.ended().is_some()) {
            self.running = None;
            self.running = Some(self.place.start()?);
        }
        Ok(())
    }

    fn need(&mut self, what: &str) -> Result<()> {
        if let Some(running) = self.running.take() {
            let end = match what {
                "kill9" => running.kill(),
                "restart" => running.stop(),
                other => return Err(format!("no need is called {other}")),
            };
            end.map_err(|error| format!("{what}: {error}"))?;
        }
        self.running = Some(self.place.start()?);
        Ok(())
    }

    /// Ends it, in good order.
    pub(super) fn stop(mut self) -> Result<()> {
        self.running
            .take()
            .map_or(Ok(()), |running| running.stop().map_err(|error| error.to_string()))
    }
}

/// What to run.
pub(super) struct Task<'a> {
    pub(super) program: &'static Program,
    pub(super) scenario: &'static str,
    pub(super) size: Size,
    pub(super) clients: &'a Path,
    /// Where the program's output is kept, a file per scenario.
    pub(super) logs: &'a Path,
}

/// What the program told before it ended.
#[derive(Debug, Default)]
struct Told {
    client: Option<String>,
    lacks: Vec<String>,
    parts: Vec<Part>,
    checks: usize,
    unsupported: Option<String>,
    passed: bool,
}

impl Task<'_> {
    pub(super) fn run(&self, node: &mut Node) -> Cell {
        let clock = Stopwatch::start();
        let mut told = Told::default();
        let verdict = self.play(node, &mut told).unwrap_or_else(Verdict::Failed);
        let seconds = clock.seconds();
        let (program, scenario) = (self.program.name, self.scenario);
        let Told { client, lacks, parts, .. } = told;
        Cell { program, scenario, client, lacks, parts, seconds, verdict }
    }

    fn play(&self, node: &mut Node, told: &mut Told) -> Result<Verdict> {
        node.ensure()?;
        let address = node.running.as_ref().map(|running| running.address);
        let address = address.ok_or("the node is not there")?.to_string();
        let mut command = self.command(|name| std::env::var(name).ok())?;
        command.args(["--bootstrap", &address, "--scenario", self.scenario]);
        command.arg("--prefix").arg(format!("{}-{}", self.program.name, self.scenario));
        command.args(["--records", &self.size.records.to_string()]);
        command.args(["--kills", &self.size.kills.to_string()]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.process_group(0).spawn().map_err(|error| {
            format!("{} cannot start: {error}", command.get_program().to_string_lossy())
        })?;
        let group = Group(Pid::from_raw(child.id() as i32));
        let log = self.logs.join(format!("{}.log", self.scenario));
        let log = File::create(&log).map_err(|error| format!("{}: {error}", log.display()))?;
        let errors = child.stderr.take().ok_or("no standard error")?;
        let errors = thread::spawn(move || last_line(errors, log));
        let end = self.listen(&mut child, node, told).and_then(|()| ended(&mut child));
        // What it started may still hold its standard error open: killed before that is read out.
        drop(group);
        let _ = child.wait();
        let last_words = errors.join().ok().flatten();
        let status = end?;
        if let Some(status) = node.running.as_mut().and_then(Running::ended) {
            return Err(format!("the node ended by itself: {status}"));
        }
        if !status.success() {
            return Err(last_words.unwrap_or_else(|| format!("ended without a word: {status}")));
        }
        if let Some(why) = told.unsupported.take() {
            return Ok(Verdict::Unsupported(why));
        }
        if told.passed { Ok(Verdict::Passed(told.checks)) } else { Err("never said passed".into()) }
    }

    /// The command of the table, its placeholders filled.
    fn command(&self, environment: impl Fn(&str) -> Option<String>) -> Result<Command> {
        let fill = |text: &str| fill(text, self.clients, &environment);
        let (program, arguments) =
            self.program.start.split_first().ok_or("the table names no command")?;
        let mut command = Command::new(fill(program)?);
        for argument in arguments {
            command.arg(fill(argument)?);
        }
        for (name, value) in self.program.environment {
            command.env(name, fill(value)?);
        }
        Ok(command)
    }

    /// Follows the program until its output ends.
    fn listen(&self, child: &mut Child, node: &mut Node, told: &mut Told) -> Result<()> {
        let lines = child.stdout.take().ok_or("no standard output")?;
        let mut input = child.stdin.take().ok_or("no standard input")?;
        let (sender, receiver) = mpsc::channel();
        thread::spawn(move || {
            for line in BufReader::new(lines).lines().map_while(|line| line.ok()) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        let clock = Stopwatch::start();
        let limit = self.size.limit;
        loop {
            let left = limit.saturating_sub(Duration::from_nanos(clock.ns()));
            match receiver.recv_timeout(left) {
                Ok(line) => hear(&line, node, told, &mut input)?,
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => {
                    return Err(format!(
                        "not done after {} s, {} checks held",
                        limit.as_secs(),
                        told.checks
                    ));
                }
            }
        }
        Ok(())
    }
}

/// The status of a program that has closed its output, which is its end or nearly so.
fn ended(child: &mut Child) -> Result<ExitStatus> {
    let clock = Stopwatch::start();
    while clock.seconds() < END_WAIT_S {
        if let Some(status) = child.try_wait().map_err(|error| error.to_string())? {
            return Ok(status);
        }
        nap(Duration::from_millis(5));
    }
    Err(format!("closed its output but did not end within {END_WAIT_S} s"))
}

/// One line of a program.
fn hear(line: &str, node: &mut Node, told: &mut Told, input: &mut ChildStdin) -> Result<()> {
    let value: Value = serde_json::from_str(line).map_err(|_| format!("not JSON: {line}"))?;
    // Nothing may come after the last line, or a check that failed late would be lost.
    if told.passed || told.unsupported.is_some() {
        return Err(format!("said more after its last word: {line}"));
    }
    if let Some(what) = value["need"].as_str() {
        node.need(what)?;
        return input.write_all(b"done\n").map_err(|error| format!("after {what}: {error}"));
    }
    if let Some(client) = value["client"].as_str() {
        told.client = Some(client.to_owned());
    } else if let Some(what) = value["lacks"].as_str() {
        told.lacks.push(what.to_owned());
    } else if value["check"].is_string() {
        if value["expected"] != value["found"] {
            return Err(format!("a check that does not hold: {line}"));
        }
        told.checks += 1;
    } else if let Some(name) = value["part"].as_str() {
        if told.parts.iter().any(|part| part.name == name) {
            return Err(format!("a part told twice: {line}"));
        }
        let failed = value["failed"].as_str().map(str::to_owned);
        told.parts.push(Part { name: name.to_owned(), failed });
    } else if let Some(why) = value["unsupported"].as_str() {
        told.unsupported = Some(why.to_owned());
    } else if value["passed"] == Value::Bool(true) {
        told.passed = true;
    } else {
        return Err(format!("not of the contract: {line}"));
    }
    Ok(())
}

/// Copies to `log`; the last line that says something.
fn last_line(from: impl Read, mut log: File) -> Option<String> {
    let mut last = None;
    for line in BufReader::new(from).split(b'\n').map_while(|line| line.ok()) {
        let _ = log.write_all(&line).and_then(|()| log.write_all(b"\n"));
        let line = String::from_utf8_lossy(&line).trim().to_owned();
        if !line.is_empty() {
            last = Some(line);
        }
    }
    last
}

/// `{HERE}` and `{NAME}` in a word of the table.
fn fill(text: &str, here: &Path, environment: impl Fn(&str) -> Option<String>) -> Result<String> {
    let mut filled = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('{') {
        let (name, after) =
            after.split_once('}').ok_or_else(|| format!("{text}: a }} is missing"))?;
        filled.push_str(before);
        match name {
            "HERE" => filled.push_str(&here.display().to_string()),
            name => filled.push_str(&environment(name).ok_or_else(|| {
                format!("{name} is not set: `cargo xtask conformance` fetches it and sets it")
            })?),
        }
        rest = after;
    }
    filled.push_str(rest);
    Ok(filled)
}

/// A process group, killed on drop.
struct Group(Pid);

impl Drop for Group {
    fn drop(&mut self) {
        let _ = killpg(self.0, Signal::SIGKILL);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_variable_that_is_not_set_is_named() {
        let here = Path::new("/here");
        let set = |name: &str| (name == "LIBS").then(|| "/libs".to_owned());
        assert_eq!(fill("{HERE}/a:{LIBS}/*", here, set).unwrap(), "/here/a:/libs/*");
        assert!(fill("{OTHER}", here, set).unwrap_err().starts_with("OTHER is not set"));
        assert!(fill("{HERE", here, set).is_err());
    }
}
