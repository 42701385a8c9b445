//! The groups of a topic: one member each, and a watcher that is a member of none.
//!
//! ```text
//!            kill -9 of the daemon        started again
//! dynamic  ──takes, commits──┤ stopped ├─ look ─ goes on ───────── end ─▶ closing member
//! static   ──takes, commits──┤ kill -9          └ successor looks, goes on ─ end ─▶ closing member
//! watcher                                  look
//! ```
//!
//! Nobody commits between the start of the daemon and the watcher's look: a commit that was lost
//! would be hidden by the next one.

use std::sync::Arc;
use std::time::Duration;

use crate::Result;
use crate::clients::{Client, ForGroup, Ground, INSTANCE, Tools};
use crate::clock::{monotonic_ns, nap};
use crate::plan::Consuming;
use crate::recorder::{Recorder, Speaker};

const WATCHER: u32 = 90;
const FIRST_MEMBER: u32 = 100;
/// The topic is made, members have joined, or the watcher has looked, within this.
const WAIT_NS: u64 = 60_000_000_000;

/// Members of all groups, and the watcher.
#[derive(Debug)]
pub struct Members {
    ground: Ground,
    plans: [Consuming; 2],
    watcher: Client,
    /// By group; none while a successor is awaited.
    running: [Option<Client>; 2],
    /// By group: all that there ever were.
    processes: [Vec<u32>; 2],
    next_process: u32,
    looks: u64,
}

impl Members {
    /// Makes the topic and starts the first members.
    pub fn start(
        tools: &Tools,
        ground: Ground,
        plans: [Consuming; 2],
        recorder: &Arc<Recorder>,
    ) -> Result<Members> {
        let groups = plans.map(|plan| plan.group(&ground.topic));
        let speaker = Speaker::listener(WATCHER, &ground.topic);
        let mut watcher = tools.watch(&ground, &groups, speaker, recorder)?;
        wait("topic made", &mut watcher, || recorder.tally(WATCHER).ready)?;
        let mut members = Members {
            ground,
            plans,
            watcher,
            running: [None, None],
            processes: [Vec::new(), Vec::new()],
            next_process: FIRST_MEMBER,
            looks: 0,
        };
        for group in [0, 1] {
            members.succeed(group, tools, recorder)?;
        }
        Ok(members)
    }

    fn succeed(&mut self, group: usize, tools: &Tools, recorder: &Arc<Recorder>) -> Result<()> {
        let process = self.next_process;
        self.next_process += 1;
        let speaker = Speaker::listener(process, &self.ground.topic);
        let member = tools.consume(&self.ground, &self.plans[group], speaker, recorder)?;
        self.running[group] = Some(member);
        self.processes[group].push(process);
        Ok(())
    }

    /// Whether every group has its member.
    pub fn are_ready(&self, recorder: &Recorder) -> bool {
        let ready = |member: &Client| recorder.tally(member.process).ready;
        self.running.iter().all(|member| member.as_ref().is_some_and(ready))
    }

    /// Commits acknowledged so far, by group.
    pub fn commits(&self, recorder: &Recorder) -> [u64; 2] {
        [0, 1].map(|group: usize| {
            self.processes[group].iter().map(|one| recorder.tally(*one).commits).sum()
        })
    }

    /// None of them may end before it is told to.
    pub fn check_running(&mut self, recorder: &Recorder) -> Result<()> {
        for member in self.running.iter_mut().flatten() {
            if member.has_ended() {
                let tally = recorder.tally(member.process);
                return Err(format!("a member of a group ended before its time: {tally:?}"));
            }
        }
        Ok(())
    }

    /// The daemon is gone: kills the member of `group`, stops the others.
    pub fn hold(&mut self, group: Option<usize>) -> Result<()> {
        if let Some(member) = group.and_then(|group| self.running[group].take()) {
            member.kill()?;
        }
        self.running.iter().flatten().try_for_each(|member| member.signal("-STOP"))
    }

    /// The daemon is back: what does it show?
    pub fn look(&mut self, recorder: &Recorder) -> Result<()> {
        self.looks += self.plans.len() as u64;
        let looks = self.looks;
        self.watcher.tell("look")?;
        wait("look at the groups", &mut self.watcher, || recorder.tally(WATCHER).looks >= looks)
    }

    /// Members go on, or have a successor.
    pub fn go_on(&mut self, tools: &Tools, recorder: &Arc<Recorder>) -> Result<()> {
        self.running.iter().flatten().try_for_each(|member| member.signal("-CONT"))?;
        for group in [0, 1] {
            if self.running[group].is_none() {
                self.succeed(group, tools, recorder)?;
            }
        }
        Ok(())
    }

    /// Nobody produces any more: they take what is left and end. Says who is to close each group.
    pub fn finish(mut self, by_ns: u64) -> Result<[ForGroup; 2]> {
        for member in self.running.iter_mut().flatten() {
            member.tell("end")?;
        }
        for member in self.running.into_iter().flatten() {
            member.finish(by_ns)?;
        }
        self.watcher.leave();
        self.watcher.finish(by_ns)?;
        Ok(self.plans.map(|plan| ForGroup {
            group: plan.group(&self.ground.topic),
            instance: plan.is_static.then(|| INSTANCE.to_owned()),
            closes: true,
        }))
    }
}

fn wait(what: &str, client: &mut Client, mut is_done: impl FnMut() -> bool) -> Result<()> {
    let by_ns = monotonic_ns() + WAIT_NS;
    while !is_done() {
        if client.has_ended() || monotonic_ns() > by_ns {
            return Err(format!("no {what}: the client ended or hangs; see its log"));
        }
        nap(Duration::from_millis(1));
    }
    Ok(())
}
