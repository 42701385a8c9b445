//! Running other programs: shown before, timed, ended at a deadline.

use std::env;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use crate::clock::{Stopwatch, nap};

/// What went wrong, in words a user can act on.
pub(crate) type Result<T> = std::result::Result<T, String>;

/// The repository's root.
pub(crate) fn root() -> PathBuf {
    let here = env::var_os("CARGO_MANIFEST_DIR").map_or_else(|| ".".into(), PathBuf::from);
    here.join("../..").canonicalize().unwrap_or(here)
}

/// The command as a line one could type.
pub(crate) fn shown(command: &Command) -> String {
    let program = PathBuf::from(command.get_program());
    let mut line = program.file_name().unwrap_or_default().to_string_lossy().into_owned();
    for argument in command.get_args() {
        let _ = write!(line, " {}", argument.to_string_lossy());
    }
    line
}

/// Where a program is found, if it is.
pub(crate) fn found(program: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let usual = ["/usr/sbin", "/sbin", "/usr/local/sbin"].map(PathBuf::from);
    env::split_paths(&path).chain(usual).map(|place| place.join(program)).find(|at| at.is_file())
}

/// Runs and fails on any status but 0.
pub(crate) fn checked(command: &mut Command) -> Result<()> {
    let status = status(command, None)?;
    if status.success() { Ok(()) } else { Err(format!("`{}` ended: {status}", shown(command))) }
}

/// Runs to its end, or kills it when `limit` is over.
pub(crate) fn status(command: &mut Command, limit: Option<Duration>) -> Result<ExitStatus> {
    let line = shown(command);
    let mut child = command.spawn().map_err(|error| format!("`{line}` cannot start: {error}"))?;
    wait(&mut child, limit).map_err(|error| format!("`{line}`: {error}"))
}

pub(crate) fn wait(child: &mut Child, limit: Option<Duration>) -> Result<ExitStatus> {
    let Some(limit) = limit else { return child.wait().map_err(|error| error.to_string()) };
    let clock = Stopwatch::start();
    loop {
        if let Some(status) = child.try_wait().map_err(|error| error.to_string())? {
            return Ok(status);
        }
        if clock.elapsed() >= limit {
            let _ = child.kill();
            let _ = child.wait();
            return Err(format!("still running after {} s, killed", limit.as_secs()));
        }
        nap();
    }
}

/// Standard output of a command that must succeed, trimmed.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    let line = shown(command);
    let out = command
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| format!("`{line}` cannot start: {error}"))?;
    if !out.status.success() {
        return Err(format!("`{line}` ended: {}", out.status));
    }
    Ok(String::from_utf8_lossy(&out.stdout).trim().to_owned())
}
