//! A data directory and its node: started, killed, looked at, started again, read to the end.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use holdfast_checker::Event;

use crate::Arguments;
use crate::autopsy::{self, Autopsy};
use crate::node::{Node, Settings};
use crate::premise::{Premise, StoreWatch};
use crate::segment_watch::SegmentWatch;
use holdfast_crash::clients::{Client, ForGroup, Ground, Tools};
use holdfast_crash::clock::{monotonic_ns, nap};
use holdfast_crash::judge::judge;
use holdfast_crash::members::Members;
use holdfast_crash::plan::{KillMoment, Library, WaitFor};
use holdfast_crash::recorder::{Recorder, Speaker, Tally};
use holdfast_crash::{Result, free_address, write_history};

/// Producers reach the kill's moment within this.
const KILL_WAIT_NS: u64 = 120_000_000_000;
/// And their end: twice the delivery time-out of a record.
pub(crate) const FINISH_WAIT_NS: u64 = 240_000_000_000;
/// A reader gives up before this by itself.
const READ_WAIT_NS: u64 = 180_000_000_000;
/// The two libraries.
pub(crate) const READERS: [Library; 2] = [Library::Librdkafka, Library::Java];
/// How often the log's headers are looked at for a trim.
const TRIM_LOOK_NS: u64 = 20_000_000;
/// The daemon's directory of the only lane.
const LANE_DIRECTORY: &str = "lane-0-of-1";

/// See the module.
#[derive(Debug)]
pub(crate) struct Cluster {
    settings: Settings,
    /// Where there is an object store.
    store_watch: Option<StoreWatch>,
    /// For histories and logs.
    pub(crate) directory: PathBuf,
    node: Option<Node>,
    /// See [`Arguments::plant_lost_frames`].
    forget: bool,
    /// Topics of the log at the autopsies so far.
    pub(crate) topics_seen: Vec<autopsy::TopicId>,
    /// Topics to be read once more at the end.
    pub(crate) done: Vec<Done>,
}

/// A topic whose history was judged.
#[derive(Debug)]
pub(crate) struct Done {
    pub(crate) ground: Ground,
    pub(crate) groups: [ForGroup; 2],
    pub(crate) history: Vec<Event>,
}

/// A kill and what it left.
#[derive(Debug)]
pub(crate) struct Struck {
    /// The log as the kill left it.
    pub(crate) found: Autopsy,
    /// Where the kill fell, for people.
    pub(crate) state: String,
    /// What it fell into, with an object store.
    pub(crate) premise: Option<Premise>,
    /// From the start of the process to the first connection it took.
    pub(crate) start_ms: f64,
}

/// The object store's directory, made: a node never makes it.
fn store(arguments: &Arguments, directory: &Path) -> Result<Option<PathBuf>> {
    if !arguments.store {
        return Ok(None);
    }
    let objects = directory.join("objects");
    fs::create_dir_all(&objects).map_err(|error| format!("{}: {error}", objects.display()))?;
    let objects = objects.canonicalize().map_err(|error| error.to_string())?;
    Ok(Some(objects))
}

impl Cluster {
    /// An empty data directory.
    pub(crate) fn fresh(arguments: &Arguments, number: u32, backend: &str) -> Result<Cluster> {
        let directory = arguments.work.join(format!("cluster-{number}"));
        fs::create_dir_all(&directory)
            .map_err(|error| format!("{}: {error}", directory.display()))?;
        let settings = Settings {
            holdfastd: arguments.holdfastd.clone(),
            data: directory.join("data"),
            log: directory.join("holdfastd.log"),
            address: free_address()?,
            wal_size: arguments.wal_size.clone(),
            store: store(arguments, &directory)?,
            wal_backend: backend.to_owned(),
        };
        let log = settings.data.join(LANE_DIRECTORY);
        let watch = |objects: &PathBuf| StoreWatch::new(objects, &log, &settings.wal_size);
        let store_watch = settings.store.as_ref().map(watch).transpose()?;
        Ok(Cluster {
            settings,
            store_watch,
            directory,
            node: None,
            forget: arguments.plant_lost_frames,
            topics_seen: Vec::new(),
            done: Vec::new(),
        })
    }

    /// Ends the node as it is, so that the next round starts it anew.
    pub(crate) fn end(&mut self) {
        self.node = None;
    }

    /// Where the node listens, the same after every start.
    pub(crate) fn address(&self) -> SocketAddr {
        self.settings.address
    }

    /// How the log is written.
    pub(crate) fn backend(&self) -> String {
        self.settings.backend_in_use()
    }

    /// Starts the node unless it runs.
    pub(crate) fn ensure_node(&mut self) -> Result<()> {
        if !self.node.as_mut().is_some_and(Node::is_running) {
            self.node = None;
            self.node = Some(Node::start(&self.settings)?);
        }
        Ok(())
    }

    /// Waits for what a kill aims at, once its count of acknowledgements is reached.
    pub(crate) fn aim(
        &mut self,
        kill: &KillMoment,
        recorder: &Recorder,
        producers: &mut [Client],
        members: &mut Members,
    ) -> Result<()> {
        match kill.wait_for {
            WaitFor::Nothing => {}
            WaitFor::SegmentRoll => {
                let mut watch = SegmentWatch::start(&self.settings.data.join(LANE_DIRECTORY));
                self.wait_until(recorder, producers, members, |tallies, _| {
                    watch.has_rolled() || tallies.iter().any(|tally| tally.done)
                })?;
            }
            WaitFor::UploadAndTrim => {
                // Taken out, since the waiting borrows all of it.
                if let Some(watch) = self.store_watch.take() {
                    let mut next_look_ns = 0;
                    let mut is_pressed = false;
                    let waited = self.wait_until(recorder, producers, members, |tallies, _| {
                        if monotonic_ns() >= next_look_ns {
                            is_pressed = watch.trim_is_due();
                            next_look_ns = monotonic_ns() + TRIM_LOOK_NS;
                        }
                        is_pressed && watch.upload_is_under_way()
                            || tallies.iter().all(|tally| tally.done)
                    });
                    self.store_watch = Some(watch);
                    waited?;
                }
            }
            WaitFor::Quiet => {
                producers.iter().try_for_each(|producer| producer.signal("-STOP"))?;
            }
        }
        nap(kill.delay);
        Ok(())
    }

    /// Kills the node and a group's member, looks at the log, starts the node again, looks at the
    /// groups, lets their members go on.
    pub(crate) fn strike(
        &mut self,
        kill: &KillMoment,
        tools: &Tools,
        recorder: &Arc<Recorder>,
        producers: &[Client],
        members: &mut Members,
    ) -> Result<Struck> {
        let node = self.node.take().ok_or("no node runs")?;
        node.kill()?;
        members.hold(kill.member)?;
        if kill.wait_for == WaitFor::Quiet {
            producers.iter().try_for_each(|producer| producer.signal("-CONT"))?;
        }
        recorder.note("kill -9".to_owned());
        let found = autopsy::of(&self.settings.data.join(LANE_DIRECTORY))?;
        recorder.note(found.to_string());
        let premise = self.store_watch.as_mut().map(|watch| watch.left(&found));
        if self.forget {
            let frames = found.forget_last_frames()?;
            println!("planted: the last {frames} frames of the log are zeros now");
        }
        let mut state = found.state();
        if let Some(premise) = premise {
            let word = |is: bool| if is { "under way" } else { "none" };
            state.push_str(&format!(
                "; upload: {}, trim: {}, {} segments given back",
                word(premise.upload),
                word(premise.trim),
                found.given_back()
            ));
        }
        if let Some(after) = kill.again {
            let node = Node::spawn(&self.settings)?;
            nap(after);
            node.kill()?;
            state.push_str(&format!("; killed again {} ms into the restart", after.as_millis()));
        }
        let node = Node::start(&self.settings)?;
        let start_ms = node.start_ms;
        recorder.note(format!("restarted after {start_ms:.0} ms"));
        self.node = Some(node);
        members.look(recorder)?;
        members.go_on(tools, recorder)?;
        Ok(Struck { found, state, premise, start_ms })
    }

    /// Asks `is_time` until it says so.
    pub(crate) fn wait_until(
        &mut self,
        recorder: &Recorder,
        producers: &mut [Client],
        members: &mut Members,
        mut is_time: impl FnMut(&[Tally], &Members) -> bool,
    ) -> Result<()> {
        let by_ns = monotonic_ns() + KILL_WAIT_NS;
        loop {
            let tallies: Vec<_> = producers.iter().map(|one| recorder.tally(one.process)).collect();
            if is_time(&tallies, members) {
                return Ok(());
            }
            if !self.node.as_mut().is_some_and(Node::is_running) {
                return Err("holdfastd ended by itself".to_owned());
            }
            for (producer, tally) in producers.iter_mut().zip(&tallies) {
                if producer.has_ended() && !recorder.tally(producer.process).done {
                    return Err(format!("a producer ended before the kill: {tally:?}"));
                }
            }
            members.check_running(recorder)?;
            if monotonic_ns() > by_ns {
                let commits = members.commits(recorder);
                return Err(format!(
                    "the kill's moment did not come: {tallies:?}, commits {commits:?}"
                ));
            }
            nap(Duration::from_micros(50));
        }
    }

    /// Each library closes its group, or looks at it, and reads the topic from its start to its
    /// end, one after the other.
    pub(crate) fn read_everything(
        &self,
        tools: &Tools,
        ground: &Ground,
        groups: &[ForGroup; 2],
        first_process: u32,
        recorder: &Arc<Recorder>,
    ) -> Result<()> {
        for ((library, group), process) in READERS.into_iter().zip(groups).zip(first_process..) {
            let speaker = Speaker::listener(process, &ground.topic);
            let reader = tools.read(ground, library, group, speaker, recorder)?;
            reader.finish(monotonic_ns() + READ_WAIT_NS)?;
        }
        Ok(())
    }

    /// Reads and judges every topic once more: later kills must not have hurt earlier rounds.
    pub(crate) fn close(&mut self, tools: &Tools, keep: bool) -> Result<()> {
        self.ensure_node()?;
        let (mut records, mut commits) = (0, 0);
        for Done { ground, groups, mut history } in std::mem::take(&mut self.done) {
            let recorder = Arc::new(Recorder::default());
            let only_look = groups.map(|group| ForGroup { closes: false, ..group });
            self.read_everything(tools, &ground, &only_look, 20, &recorder)?;
            let recorder = Arc::into_inner(recorder).ok_or("a client still writes the history")?;
            history.extend(recorder.finish()?);
            let verdict = judge(&history);
            let topic = &ground.topic;
            if let Some(fault) = verdict.fault(0, 2 * READERS.len()) {
                write_history(&self.directory.join(format!("{topic}.again.jsonl")), &history)?;
                return Err(format!("{topic}: {fault}"));
            }
            records += verdict.report.counts.acked;
            commits += verdict.report.counts.commits_acked;
        }
        println!(
            "all topics of this data directory read once more: {records} records in place, no \
             offset lower than committed by {commits} commits"
        );
        if let Some(node) = self.node.take() {
            node.stop()?;
        }
        if !keep {
            let _ = fs::remove_dir_all(&self.directory);
        }
        Ok(())
    }
}

impl std::fmt::Display for Autopsy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}; {} entries in the log", self.state(), self.entries)
    }
}
