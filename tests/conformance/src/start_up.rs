//! A start that cannot work ends at once, with a status that is not 0 and exactly one message that
//! names cause and remedy (`[HF-nnnn]`, `why:`, `try:`); it changes nothing it does not own.
//!
//! | what is wrong | code |
//! | --- | --- |
//! | an argument | HF-1001, status 2 |
//! | the data directory may not be written or read | HF-1002 |
//! | the data directory is a file, holds somebody else's files, or its identity is overwritten | HF-1003 |
//! | another node uses the data directory | HF-1004 |
//! | the write-ahead log's first blocks are overwritten | HF-1005 |
//! | the port is taken | HF-1007 |

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use holdfast_bench::broker::{self, Kind};
use holdfast_bench::clock::{Stopwatch, nap};
use holdfast_bench::process::files_under;

use crate::cgroup::is_root;
use crate::node::Options;
use crate::{Outcome, Result};

/// `nobody`: somebody without rights.
const NOBODY: u32 = 65_534;
/// A start that fails does so within this.
const END_WAIT_S: f64 = 20.0;

pub(crate) fn run(options: &Options) -> Result<Outcome> {
    // Outside the clone, which another user may not be allowed to enter.
    let open = std::env::temp_dir().join(format!("holdfast-start-{}", std::process::id()));
    let result = all(options.binary()?, &open);
    let _ = fs::remove_dir_all(&open);
    result
}

fn all(binary: &Path, open: &Path) -> Result<Outcome> {
    let _ = fs::remove_dir_all(open);
    fs::create_dir_all(open).map_err(|error| error.to_string())?;
    permit(open, 0o755)?;
    let here = open.join("holdfastd");
    fs::copy(binary, &here).map_err(|error| error.to_string())?;
    let check = Check { binary: here, open: open.to_path_buf() };
    let mut faults = Vec::new();
    let mut judge = |what: &str, result: Result<()>| match result {
        Ok(()) => println!("ok    {what}"),
        Err(fault) => {
            println!("FAULT {what}: {fault}");
            faults.push(what.to_owned());
        }
    };
    judge("an address that is none", check.bad_address());
    judge("a WAL size that is none", check.bad_size());
    judge("the port is taken", check.port_in_use());
    judge("the data directory is a file", check.directory_is_a_file());
    judge("the data directory holds somebody else's files", check.foreign());
    judge("another node uses the data directory", check.locked());
    judge("the write-ahead log is overwritten", check.overwritten());
    judge("the data directory's identity is overwritten", check.identity_spoilt());
    let root = is_root();
    if root {
        judge("the data directory may not be written", check.denied());
        judge("the write-ahead log may not be read", check.unreadable());
    }
    if !faults.is_empty() {
        return Err(format!("{} of the starts: {}", faults.len(), faults.join("; ")));
    }
    if root {
        Ok(Outcome::Passed)
    } else {
        Ok(Outcome::Skipped("starting as another user needs root; the other starts passed".into()))
    }
}

fn permit(path: &Path, mode: u32) -> Result<()> {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).map_err(|error| error.to_string())
}

struct Check {
    binary: PathBuf,
    open: PathBuf,
}

impl Check {
    fn directory(&self, name: &str) -> Result<PathBuf> {
        let directory = self.open.join(name);
        fs::create_dir_all(&directory).map_err(|error| error.to_string())?;
        Ok(directory)
    }

    fn command(&self, data: &Path, listen: &str) -> Command {
        let mut command = Command::new(&self.binary);
        command.arg("--dev").arg("--data-dir").arg(data).args(["--listen", listen]);
        command
    }

    /// Runs a start that must fail as said.
    fn refuses(&self, command: &mut Command, code: &str, status: i32, names: &str) -> Result<()> {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| error.to_string())?;
        let clock = Stopwatch::start();
        while child.try_wait().map_err(|error| error.to_string())?.is_none() {
            if clock.seconds() > END_WAIT_S {
                let _ = child.kill();
                let _ = child.wait();
                return Err(format!("it still runs after {END_WAIT_S} s"));
            }
            nap(Duration::from_millis(5));
        }
        let out = child.wait_with_output().map_err(|error| error.to_string())?;
        let told = String::from_utf8_lossy(&out.stderr).into_owned();
        one_message(&told, code, names)?;
        if out.status.code() == Some(status) {
            return Ok(());
        }
        Err(format!("it ended with {} instead of status {status}", out.status))
    }

    fn bad_address(&self) -> Result<()> {
        let data = self.directory("address")?;
        self.refuses(&mut self.command(&data, "nowhere"), "HF-1001", 2, "nowhere")
    }

    fn bad_size(&self) -> Result<()> {
        let data = self.directory("size")?;
        let mut command = self.command(&data, "127.0.0.1:0");
        self.refuses(command.args(["--wal-size", "4096"]), "HF-1001", 2, "wal-size")
    }

    fn port_in_use(&self) -> Result<()> {
        let data = self.directory("port")?;
        let held = TcpListener::bind("127.0.0.1:0").map_err(|error| error.to_string())?;
        let listen = held.local_addr().map_err(|error| error.to_string())?.to_string();
        self.refuses(&mut self.command(&data, &listen), "HF-1007", 1, &listen)
    }

    fn directory_is_a_file(&self) -> Result<()> {
        let file = self.open.join("file");
        fs::write(&file, b"mine").map_err(|error| error.to_string())?;
        let name = file.display().to_string();
        self.refuses(&mut self.command(&file, "127.0.0.1:0"), "HF-1003", 1, &name)?;
        unchanged(&file, b"mine")
    }

    fn foreign(&self) -> Result<()> {
        let data = self.directory("foreign")?;
        let file = data.join("meta.properties");
        fs::write(&file, b"version=1\n").map_err(|error| error.to_string())?;
        let name = data.display().to_string();
        self.refuses(&mut self.command(&data, "127.0.0.1:0"), "HF-1003", 1, &name)?;
        unchanged(&file, b"version=1\n")?;
        match files_under(&data).len() {
            1 => Ok(()),
            files => Err(format!("it left {} files in somebody else's directory", files - 1)),
        }
    }

    /// A node's directory with a life behind it.
    fn lived_in(&self, name: &str) -> Result<(broker::Running, PathBuf)> {
        let directory = self.directory(name)?;
        let kind = Kind::Holdfast {
            column: "holdfast",
            binary: self.binary.clone(),
            arguments: Vec::new(),
        };
        let port = broker::free_port().map_err(|error| error.to_string())?;
        let running = broker::start(&kind, &directory, port).map_err(|error| error.to_string())?;
        Ok((running, directory.join("data")))
    }

    fn locked(&self) -> Result<()> {
        let (running, data) = self.lived_in("locked")?;
        let name = data.display().to_string();
        self.refuses(&mut self.command(&data, "127.0.0.1:0"), "HF-1004", 1, &name)?;
        running.stop().map_err(|error| format!("the first node was disturbed: {error}"))
    }

    /// Overwrites the first MiB of the files `which` picks, then starts.
    fn spoilt(&self, name: &str, code: &str, which: fn(&Path) -> bool) -> Result<()> {
        let (running, data) = self.lived_in(name)?;
        running.stop().map_err(|error| error.to_string())?;
        let files = files_under(&data);
        let picked: Vec<_> = files.iter().filter(|path| which(path)).collect();
        if picked.is_empty() {
            return Err("there is no such file to spoil".into());
        }
        for path in picked {
            let size = fs::metadata(path).map_err(|error| error.to_string())?.len();
            let junk = vec![0xa5; usize::try_from(size.min(1 << 20)).unwrap_or(0)];
            let file = fs::File::options().write(true).open(path);
            let file = file.map_err(|error| error.to_string())?;
            file.write_all_at(&junk, 0).map_err(|error| error.to_string())?;
        }
        let name = data.display().to_string();
        self.refuses(&mut self.command(&data, "127.0.0.1:0"), code, 1, &name)
    }

    fn overwritten(&self) -> Result<()> {
        self.spoilt("overwritten", "HF-1005", |path| !path.ends_with("holdfast.identity"))
    }

    fn identity_spoilt(&self) -> Result<()> {
        self.spoilt("identity", "HF-1003", |path| path.ends_with("holdfast.identity"))
    }

    fn denied(&self) -> Result<()> {
        let closed = self.directory("closed")?;
        permit(&closed, 0o700)?;
        let data = closed.join("data");
        let name = data.display().to_string();
        let mut command = self.command(&data, "127.0.0.1:0");
        self.refuses(command.uid(NOBODY).gid(NOBODY), "HF-1002", 1, &name)
    }

    fn unreadable(&self) -> Result<()> {
        let (running, data) = self.lived_in("unreadable")?;
        running.stop().map_err(|error| error.to_string())?;
        permit(&self.open.join("unreadable"), 0o755)?;
        permit(&data, 0o777)?;
        let name = data.display().to_string();
        let mut command = self.command(&data, "127.0.0.1:0");
        self.refuses(command.uid(NOBODY).gid(NOBODY), "HF-1002", 1, &name)
    }
}

fn unchanged(file: &Path, content: &[u8]) -> Result<()> {
    match fs::read(file) {
        Ok(found) if found == content => Ok(()),
        _ => Err(format!("{} was changed", file.display())),
    }
}

/// Exactly one coded message, with cause and remedy, that names what it is about; no panic.
fn one_message(told: &str, code: &str, names: &str) -> Result<()> {
    let count = |what: &str| told.matches(what).count();
    if told.contains("panicked") {
        return Err(format!("it panicked: {told}"));
    }
    if count("[HF-") != 1 || count("why:") != 1 || count("try:") != 1 {
        return Err(format!("not exactly one message with why and try: {told:?}"));
    }
    if !told.contains(&format!("[{code}]")) {
        return Err(format!("not {code}: {told:?}"));
    }
    if !told.contains(names) {
        return Err(format!("the message does not name {names}: {told:?}"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_message_means_one() {
        let good = "holdfastd: cannot listen on 1.2.3.4:5 [HF-1007]\n  why: taken\n  try: another";
        assert!(one_message(good, "HF-1007", "1.2.3.4:5").is_ok());
        assert!(one_message(good, "HF-1002", "1.2.3.4:5").is_err());
        assert!(one_message(good, "HF-1007", "6.7.8.9:1").is_err());
        assert!(one_message(&good.repeat(2), "HF-1007", "1.2.3.4:5").is_err());
        assert!(one_message("thread panicked at", "HF-1007", "").is_err());
    }
}
