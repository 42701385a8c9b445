//! One kill: produce, kill, look, restart, finish, read, judge.

use std::fs::{self, File};
use std::io::BufWriter;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use holdfast_checker::{Event, HistoryWriter};

use crate::autopsy::{self, Autopsy};
use crate::clients::{Client, Tools};
use crate::clock::{monotonic_ns, nap};
use crate::judge::judge;
use crate::node::{Node, Settings, free_address};
use crate::plan::{ACKED_EACH_MIN, Library, Plan, WaitFor};
use crate::recorder::{Recorder, Speaker, Tally};
use crate::segment_watch::SegmentWatch;
use crate::table::Row;
use crate::{Arguments, Result};

/// Both producers reach the kill's moment within this.
const KILL_WAIT_NS: u64 = 120_000_000_000;
/// And their end: twice the delivery time-out of a record.
const FINISH_WAIT_NS: u64 = 240_000_000_000;
/// A reader gives up before this by itself.
const READ_WAIT_NS: u64 = 180_000_000_000;
/// The two libraries.
const READERS: [Library; 2] = [Library::Librdkafka, Library::Java];
/// The daemon's directory of the only lane.
const LANE_DIRECTORY: &str = "lane-0-of-1";

/// A data directory and its node.
#[derive(Debug)]
pub(crate) struct Cluster {
    settings: Settings,
    directory: PathBuf,
    node: Option<Node>,
    address: SocketAddr,
    /// See [`Arguments::plant_lost_frames`].
    forget: bool,
    /// Topics of the log at the autopsies so far.
    topics_seen: Vec<autopsy::TopicId>,
    /// Rounds to be read once more at the end: topic, partitions, history.
    done: Vec<(String, u32, Vec<Event>)>,
}

/// What a round shows.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// One per producer.
    pub(crate) rows: Vec<Row>,
    fault: Option<String>,
}

impl Outcome {
    /// Why it did not pass.
    pub(crate) fn fault(&self) -> Option<&str> {
        self.fault.as_deref()
    }
}

impl Cluster {
    /// An empty data directory.
    pub(crate) fn fresh(arguments: &Arguments, number: u32, backend: &str) -> Result<Cluster> {
        let directory = arguments.work.join(format!("cluster-{number}"));
        fs::create_dir_all(&directory)
            .map_err(|error| format!("{}: {error}", directory.display()))?;
        let address = free_address()?;
        let settings = Settings {
            holdfastd: arguments.holdfastd.clone(),
            data: directory.join("data"),
            log: directory.join("holdfastd.log"),
            address,
            wal_size: arguments.wal_size.clone(),
            wal_backend: backend.to_owned(),
        };
        Ok(Cluster {
            settings,
            directory,
            node: None,
            address,
            forget: arguments.plant_lost_frames,
            topics_seen: Vec::new(),
            done: Vec::new(),
        })
    }

    /// Ends the node as it is, so that the next round starts it anew.
    pub(crate) fn end(&mut self) {
        self.node = None;
    }

    /// Runs `plan`.
    pub(crate) fn round(&mut self, tools: &Tools, plan: &Plan) -> Result<Outcome> {
        if !self.node.as_mut().is_some_and(Node::is_running) {
            self.node = None;
            self.node = Some(Node::start(&self.settings)?);
        }
        let topic = plan.topic();
        let log = self.directory.join(format!("{topic}.clients.log"));
        tools.make_topic(self.address, &topic, plan.partitions, &log)?;
        let recorder = Arc::new(Recorder::default());
        recorder.note(format!("{plan:?}"));
        let mut producers = self.start_producers(tools, plan, &recorder, &log)?;

        self.wait_for_kill(plan, &recorder, &mut producers)?;
        let told = [0, 1].map(|place: usize| recorder.tally(producers[place].process));
        let node = self.node.take().ok_or("no node runs")?;
        node.kill()?;
        if plan.kill.wait_for == WaitFor::Quiet {
            producers.iter().try_for_each(|producer| producer.signal("-CONT"))?;
        }
        recorder.note("kill -9".to_owned());
        let found = autopsy::of(&self.settings.data.join(LANE_DIRECTORY))?;
        recorder.note(found.to_string());
        if self.forget {
            let frames = found.forget_last_frames()?;
            println!("planted: the last {frames} frames of the log are zeros now");
        }
        let mut state = found.state();
        if let Some(after) = plan.kill.again {
            let node = Node::spawn(&self.settings)?;
            nap(after);
            node.kill()?;
            state.push_str(&format!("; killed again {} ms into the restart", after.as_millis()));
        }
        let node = Node::start(&self.settings)?;
        let start_ms = node.start_ms;
        recorder.note(format!("restarted after {start_ms:.0} ms"));
        self.node = Some(node);

        let by_ns = monotonic_ns() + FINISH_WAIT_NS;
        for producer in producers {
            producer.finish(by_ns)?;
        }
        self.read_everything(tools, &topic, plan.partitions, 10, &recorder, &log)?;
        let recorder = Arc::into_inner(recorder).ok_or("a client still writes the history")?;
        let history = recorder.finish()?;
        write_history(&self.directory.join(format!("{topic}.jsonl")), &history)?;

        let verdict = judge(&history);
        let asked: u64 = plan.producers.iter().map(|one| u64::from(one.records)).sum();
        let whole_unacked = found.records_of_new_topics(&self.topics_seen) as i64
            - told.iter().map(|tally| tally.acked as i64).sum::<i64>();
        self.topics_seen = found.topics();
        let fault = if whole_unacked < 0 {
            Some(format!("at the kill the log lacked {} acknowledged records", -whole_unacked))
        } else {
            verdict.fault(asked, READERS.len())
        };
        let rows =
            plan.producers.iter().zip(1..).zip(told).map(|((producer, process), told)| Row {
                round: plan.round,
                library: producer.library.name(),
                acks: producer.acks,
                idempotent: producer.idempotent,
                backend: self.settings.backend_in_use(),
                acked_before: told.acked,
                in_flight: told.in_flight(),
                state: state.clone(),
                whole_unacked,
                recovery_ms: start_ms,
                replayed: found.entries,
                count: verdict.counts.get(&process).copied().unwrap_or_default(),
            });
        let rows = rows.collect();
        self.done.push((topic, plan.partitions, history));
        Ok(Outcome { rows, fault })
    }

    fn start_producers(
        &self,
        tools: &Tools,
        plan: &Plan,
        recorder: &Arc<Recorder>,
        log: &Path,
    ) -> Result<Vec<Client>> {
        let start = |(producer, process)| {
            let producer: &crate::plan::Producing = producer;
            let speaker = Speaker {
                process,
                topic: plan.topic(),
                acks: if producer.acks == "1" { 1 } else { -1 },
                idempotent: producer.idempotent,
            };
            tools.produce(self.address, plan.partitions, producer, speaker, recorder, log)
        };
        plan.producers.iter().zip(1..).map(start).collect()
    }

    /// Lets both producers begin together and returns when it is time to kill.
    fn wait_for_kill(
        &mut self,
        plan: &Plan,
        recorder: &Recorder,
        producers: &mut [Client],
    ) -> Result<()> {
        self.wait_until(recorder, producers, |tallies| tallies.iter().all(|tally| tally.ready))?;
        for producer in producers.iter_mut() {
            producer.go()?;
        }
        self.wait_until(recorder, producers, |tallies| {
            tallies.iter().any(|tally| tally.acked >= plan.kill.acked_min)
                && tallies.iter().all(|tally| tally.acked >= ACKED_EACH_MIN)
        })?;
        match plan.kill.wait_for {
            WaitFor::Nothing => {}
            WaitFor::SegmentRoll => {
                let mut watch = SegmentWatch::start(&self.settings.data.join(LANE_DIRECTORY));
                self.wait_until(recorder, producers, |tallies| {
                    watch.has_rolled() || tallies.iter().any(|tally| tally.done)
                })?;
            }
            WaitFor::Quiet => {
                producers.iter().try_for_each(|producer| producer.signal("-STOP"))?;
            }
        }
        nap(plan.kill.delay);
        Ok(())
    }

    /// Asks `is_time` until it says so.
    fn wait_until(
        &mut self,
        recorder: &Recorder,
        producers: &mut [Client],
        mut is_time: impl FnMut(&[Tally]) -> bool,
    ) -> Result<()> {
        let by_ns = monotonic_ns() + KILL_WAIT_NS;
        loop {
            let tallies: Vec<_> = producers.iter().map(|one| recorder.tally(one.process)).collect();
            if is_time(&tallies) {
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
            if monotonic_ns() > by_ns {
                return Err(format!("the kill's moment did not come: {tallies:?}"));
            }
            nap(Duration::from_micros(50));
        }
    }

    /// Both libraries read `topic` from its start to its end, one after the other.
    fn read_everything(
        &self,
        tools: &Tools,
        topic: &str,
        partitions: u32,
        first_process: u32,
        recorder: &Arc<Recorder>,
        log: &Path,
    ) -> Result<()> {
        for (library, process) in READERS.into_iter().zip(first_process..) {
            let speaker = Speaker { process, topic: topic.to_owned(), acks: 0, idempotent: false };
            let reader = tools.read(library, self.address, partitions, speaker, recorder, log)?;
            reader.finish(monotonic_ns() + READ_WAIT_NS)?;
        }
        Ok(())
    }

    /// Reads and judges every topic once more: later kills must not have hurt earlier rounds.
    pub(crate) fn close(&mut self, tools: &Tools, keep: bool) -> Result<()> {
        if !self.node.as_mut().is_some_and(Node::is_running) {
            self.node = None;
            self.node = Some(Node::start(&self.settings)?);
        }
        let mut records = 0;
        for (topic, partitions, mut history) in std::mem::take(&mut self.done) {
            let log = self.directory.join(format!("{topic}.clients.log"));
            let recorder = Arc::new(Recorder::default());
            self.read_everything(tools, &topic, partitions, 20, &recorder, &log)?;
            let recorder = Arc::into_inner(recorder).ok_or("a client still writes the history")?;
            history.extend(recorder.finish()?);
            let verdict = judge(&history);
            if let Some(fault) = verdict.fault(0, 2 * READERS.len()) {
                write_history(&self.directory.join(format!("{topic}.again.jsonl")), &history)?;
                return Err(format!("{topic}: {fault}"));
            }
            records += verdict.report.counts.acked;
        }
        println!("all topics of this data directory read once more: {records} records in place");
        if let Some(node) = self.node.take() {
            node.stop()?;
        }
        if !keep {
            let _ = fs::remove_dir_all(&self.directory);
        }
        Ok(())
    }
}

fn write_history(path: &Path, history: &[Event]) -> Result<()> {
    let broken = |error: std::io::Error| format!("{}: {error}", path.display());
    let file = File::create(path).map_err(broken)?;
    let mut writer = HistoryWriter::new(BufWriter::new(file));
    for event in history {
        writer.write(event).map_err(broken)?;
    }
    writer.finish().map_err(broken)?;
    Ok(())
}

impl std::fmt::Display for Autopsy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}; {} entries in the log", self.state(), self.entries)
    }
}
