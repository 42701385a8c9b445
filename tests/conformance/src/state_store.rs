//! The states of shards lie beside the log and are nobody's only copy: whatever becomes of them, the
//! node says so, everything is still there, and they are made anew.
//!
//! | while the node is down, `state/db` is | the next start |
//! | --- | --- |
//! | damaged: a bit of every table flipped | HF-1019 once, the old one moved to `state/db.damaged` |
//! | gone | nothing told |
//! | a file | fails with HF-1018, which names the place and what to do; done, it starts |
//!
//! And while it runs, its device fills up: HF-1020 in status and journal, produce and fetch go on, a
//! start on the full device serves, and with room states are kept again, by itself. This needs root to
//! mount a small device on `state`.
//!
//! Each time more records are produced, and all there ever were are read from offset 0 and compared. The log is much smaller than they are, so they cannot come from replaying it: a start
//! begins with a state, of the store where the one beside the log is lost.

use std::fs::{self, File};
use std::io::Write;
use std::net::SocketAddr;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use holdfast_bench::broker::{Running, free_port};
use holdfast_bench::client::Client;
use holdfast_bench::clock::{Stopwatch, nap};

use crate::admin_page::{metric, status};
use crate::cgroup::is_root;
use crate::history::{PARTITIONS, Sent, TOPIC, read_all};
use crate::node::{Options, Place};
use crate::{Outcome, Result};

const WAL_SIZE: &str = "64MiB";
/// More than the log holds, so that it is trimmed by what is kept.
const FIRST_BYTES: u64 = 150_000_000;
/// After each event. A log that is not trimmed has room for it.
const MORE_BYTES: u64 = 5_000_000;
/// The device of the store of states.
const DEVICE_SIZE: &str = "size=24m";
/// What is due by time, under way or failing, has happened within this: pauses go up to a minute.
const WAIT_S: f64 = 100.0;

pub(crate) fn run(options: &Options) -> Result<Outcome> {
    let mut site = Site::fresh(options)?;
    site.begin()?;
    site.damaged()?;
    site.missing()?;
    site.in_the_way()?;
    if !is_root() {
        let why = "a full device needs root to mount one; damaged, missing and a file were checked";
        return Ok(Outcome::Skipped(why.into()));
    }
    site.full()?;
    let _ = fs::remove_dir_all(&site.directory);
    Ok(Outcome::Passed)
}

struct Site {
    directory: PathBuf,
    admin: SocketAddr,
    place: Place,
    sent: Sent,
    /// Bytes of the journal before the last start.
    told_before: usize,
}

impl Site {
    fn fresh(options: &Options) -> Result<Site> {
        fs::create_dir_all(&options.work).map_err(text)?;
        let directory = options.work.canonicalize().map_err(text)?.join("state-store");
        // What an earlier run left mounted.
        unmount(&directory.join("node/data/state"));
        let _ = fs::remove_dir_all(&directory);
        let store = directory.join("store");
        fs::create_dir_all(&store).map_err(text)?;
        let admin = SocketAddr::from(([127, 0, 0, 1], free_port().map_err(text)?));
        let store = format!("file://{}", store.display());
        let address = format!("admin.address={admin}");
        let arguments = ["--wal-size", WAL_SIZE, "--store", &store, "--set", &address];
        let place = Place::fresh(options.kind(&arguments)?, directory.join("node"))?;
        Ok(Site { directory, admin, place, sent: Sent::new(), told_before: 0 })
    }

    /// History that the log cannot hold.
    fn begin(&mut self) -> Result<()> {
        let running = self.start()?;
        let mut client = Client::connect(running.address).map_err(text)?;
        client.create_topic_and_wait(TOPIC, PARTITIONS as i32).map_err(text)?;
        self.sent.produce(&mut client, FIRST_BYTES)?;
        self.are_kept()?;
        running.kill().map_err(text)
    }

    fn damaged(&mut self) -> Result<()> {
        let tables = flip_a_bit_of_every_table(&self.database())?;
        let running = self.start()?;
        self.told("HF-1019", 1)?;
        if !self.database().with_extension("damaged").is_dir() {
            return Err("the damaged store of states was not moved aside".into());
        }
        let rebuilds = self.metric("holdfast_state_rebuilds_total")?;
        if rebuilds != 1.0 {
            return Err(format!("holdfast_state_rebuilds_total is {rebuilds}, not 1"));
        }
        self.all_is_there(&running, &format!("{tables} tables damaged"))?;
        self.are_kept()?;
        running.kill().map_err(text)?;
        // What was made anew is begun with.
        let running = self.start()?;
        self.told("HF-1019", 0)?;
        self.all_is_there(&running, "the start after that")?;
        running.kill().map_err(text)
    }

    fn missing(&mut self) -> Result<()> {
        fs::remove_dir_all(self.database()).map_err(text)?;
        let running = self.start()?;
        self.told("HF-10", 0)?;
        self.all_is_there(&running, "no store of states")?;
        self.are_kept()?;
        if tables(&self.database())?.is_empty() {
            return Err("states are kept, and no table is there".into());
        }
        running.kill().map_err(text)
    }

    fn in_the_way(&mut self) -> Result<()> {
        let database = self.database();
        fs::remove_dir_all(&database).map_err(text)?;
        fs::write(&database, b"not a directory").map_err(text)?;
        let Err(why) = self.start() else {
            return Err("a file is in the place of the states, and the node started".into());
        };
        let report = self.news()?;
        let named = [&*database.to_string_lossy(), "why:", "try:", "move what is there away"];
        if report.matches("[HF-1018]").count() != 1 {
            return Err(format!(
                "a file is in the place of the states, and not told once as HF-1018: {why}"
            ));
        }
        if let Some(missing) = named.into_iter().find(|word| !report.contains(word)) {
            return Err(format!("HF-1018 does not say {missing:?}: {report}"));
        }
        println!("a file in the place of the states: HF-1018, no start");
        fs::rename(&database, self.directory.join("was-in-the-way")).map_err(text)?;
        let running = self.start()?;
        self.told("HF-10", 0)?;
        self.all_is_there(&running, "moved away")?;
        running.stop().map_err(text)
    }

    fn full(&mut self) -> Result<()> {
        let state = self.directory.join("node/data/state");
        fs::remove_dir_all(&state).map_err(text)?;
        fs::create_dir_all(&state).map_err(text)?;
        let _device = Device::mount(&state)?;
        let running = self.start()?;
        self.told("HF-10", 0)?;
        self.all_is_there(&running, "states on a small device")?;
        self.are_kept()?;

        let filler = state.join("filler");
        fill(&filler)?;
        // Something has to be kept for its lack of room to be met.
        self.produce_until(&running, "no room is met", |site| {
            Ok(site.code()? == Some("HF-1020".into()))
        })?;
        self.told_at_least("HF-1020")?;
        if self.metric("holdfast_state_failing")? != 1.0 {
            return Err("states are not kept, and holdfast_state_failing is not 1".into());
        }
        if self.metric("holdfast_ready")? != 1.0 {
            return Err("a node without room for states is still to serve".into());
        }
        self.all_is_there(&running, "no room for states")?;
        running.kill().map_err(text)?;

        let running = self.start()?;
        self.told_at_least("HF-1020")?;
        self.all_is_there(&running, "started without room for states")?;
        fs::remove_file(&filler).map_err(text)?;
        let clock = Stopwatch::start();
        self.produce_until(&running, "room came back", |site| {
            Ok(site.code()?.is_none() && site.metric("holdfast_state_flushes_total")? > 0.0)
        })?;
        println!("states are kept again {:.1} s after the room came back", clock.seconds());
        self.all_is_there(&running, "room again")?;
        self.are_kept()?;
        running.kill().map_err(text)?;
        let running = self.start()?;
        self.told("HF-10", 0)?;
        self.all_is_there(&running, "the start after that")?;
        running.stop().map_err(text)
    }

    fn database(&self) -> PathBuf {
        self.directory.join("node/data/state/db")
    }

    fn start(&mut self) -> Result<Running> {
        self.told_before = self.journal()?.len();
        self.place.start()
    }

    fn journal(&self) -> Result<String> {
        match fs::read_to_string(self.place.log()) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(String::new()),
            read => read.map_err(text),
        }
    }

    /// The journal since the last start.
    fn news(&self) -> Result<String> {
        Ok(self.journal()?.split_off(self.told_before))
    }

    fn told(&self, code: &str, times: usize) -> Result<()> {
        let news = self.news()?;
        let lines = news.lines().filter(|line| names(line, code)).count();
        if lines == times {
            return Ok(());
        }
        Err(format!("{code} was told {lines} times, not {times}:\n{news}"))
    }

    fn told_at_least(&self, code: &str) -> Result<()> {
        let news = self.news()?;
        if news.lines().any(|line| names(line, code)) {
            return Ok(());
        }
        Err(format!("{code} was not told:\n{news}"))
    }

    fn metric(&self, name: &str) -> Result<f64> {
        metric(self.admin, name)
    }

    /// Why states are not kept, as the status has it.
    fn code(&self) -> Result<Option<String>> {
        let status = status(self.admin)?;
        Ok(status["state"]["failing_code"].as_str().map(str::to_owned))
    }

    /// Waits until everything written so far has been flushed, twice over.
    fn are_kept(&self) -> Result<()> {
        let before = self.metric("holdfast_state_flushes_total")?;
        let clock = Stopwatch::start();
        loop {
            let flushes = self.metric("holdfast_state_flushes_total")? - before;
            let is_idle = self.metric("holdfast_store_waiting_bytes")? == 0.0;
            if flushes >= 1.0 && is_idle && self.code()?.is_none() {
                return Ok(());
            }
            if clock.seconds() > WAIT_S {
                return Err(format!("states are not kept {WAIT_S} s later"));
            }
            nap(Duration::from_millis(100));
        }
    }

    /// Produces more and reads everything.
    fn all_is_there(&mut self, running: &Running, when: &str) -> Result<()> {
        let mut client = Client::connect(running.address).map_err(text)?;
        self.sent.produce(&mut client, MORE_BYTES)?;
        self.sent.compare(when, |partition| read_all(running.address, partition))
    }

    /// A batch now and then, until `is_so`.
    fn produce_until(
        &mut self,
        running: &Running,
        what: &str,
        is_so: impl Fn(&Site) -> Result<bool>,
    ) -> Result<()> {
        let mut client = Client::connect(running.address).map_err(text)?;
        let clock = Stopwatch::start();
        while !is_so(self)? {
            if clock.seconds() > WAIT_S {
                return Err(format!(
                    "{what}: nothing of it after {WAIT_S} s: {}",
                    status(self.admin)?["state"]
                ));
            }
            self.sent.produce(&mut client, 1)?;
            nap(Duration::from_millis(200));
        }
        Ok(())
    }
}

/// Whether a line of the journal tells of a code, or of one that begins so.
fn names(line: &str, code: &str) -> bool {
    let told = [format!("code=\"{code}"), format!("[{code}")];
    told.iter().any(|told| line.contains(told.as_str()))
}

fn tables(database: &Path) -> Result<Vec<PathBuf>> {
    let listed =
        fs::read_dir(database).map_err(|error| format!("{}: {error}", database.display()))?;
    let paths = listed.flatten().map(|entry| entry.path());
    Ok(paths.filter(|path| path.extension().is_some_and(|one| one == "sst")).collect())
}

fn flip_a_bit_of_every_table(database: &Path) -> Result<usize> {
    let tables = tables(database)?;
    if tables.is_empty() {
        return Err("no states are kept in tables yet: there is nothing to damage".into());
    }
    for table in &tables {
        let file = File::options().read(true).write(true).open(table).map_err(text)?;
        let at = file.metadata().map_err(text)?.len() / 3;
        let mut byte = [0];
        file.read_exact_at(&mut byte, at).map_err(text)?;
        file.write_all_at(&[byte[0] ^ 1], at).map_err(text)?;
    }
    Ok(tables.len())
}

/// Writes until nothing more goes in.
fn fill(path: &Path) -> Result<()> {
    let mut file = File::create(path).map_err(text)?;
    let mut size = 1 << 20;
    while size >= 1 {
        if file.write_all(&vec![0x55; size]).is_err() {
            size /= 2;
        }
    }
    Ok(())
}

/// A small device, gone with its last user.
struct Device(PathBuf);

impl Device {
    fn mount(place: &Path) -> Result<Device> {
        let mut command = Command::new("mount");
        command.args(["-t", "tmpfs", "-o", DEVICE_SIZE, "tmpfs"]).arg(place);
        match command.status() {
            Ok(status) if status.success() => Ok(Device(place.to_owned())),
            Ok(status) => Err(format!("mount ended: {status}")),
            Err(error) => Err(format!("mount: {error}")),
        }
    }
}

impl Drop for Device {
    fn drop(&mut self) {
        unmount(&self.0);
    }
}

fn unmount(place: &Path) {
    // Lazily: a node that is being killed may still hold it.
    let _ = Command::new("umount").arg("-l").arg(place).stderr(Stdio::null()).status();
}

fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}
