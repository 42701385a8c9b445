//! The thread that owns a lane: calls in, a turn, answers out, sleep on the lane's own disk.
//!
//! ```text
//! tokio workers ── call ──▶ inbox (swapped whole) ──▶ handle … handle ─▶ turn ─▶ answers ─▶ oneshots
//!                   └─ wakes only a lane that sleeps          ▲                     │
//!                                                             └── disk.wait ◀───────┘
//! ```
//!
//! Calls are handled in the order in which they entered the inbox, so two calls made one after
//! the other take effect in that order. A picture of the cluster is published before the answers
//! of the same turn go out: who was told that a topic exists can see it.
//!
//! The thread ends when it is told to stop and every call is answered, when the device fails, or
//! when the lane panics; calls that are open then get no answer, which the broker treats as
//! "outcome unknown".

use crate::clock::KernelClock;
use crate::lane_pulse::Pulse;
use crate::service_manager::Watchdog;
use holdfast_base::{Clock, Now};
use holdfast_broker::{LaneClient, PendingAnswer};
use holdfast_consensus::Role;
use holdfast_io::{WaitableDisk, Waker};
use holdfast_lane::{Answer, Lane, NodeFacts, Published, Request, StateWork, StoreWork, Ticket};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::oneshot;

/// After the order to stop, calls get this long to be answered. A quorum that is gone must not
/// keep a node from stopping.
const STOP_GRACE_NS: u64 = 5_000_000_000;

/// A request and where its answer goes.
struct Call {
    request: Request,
    answer: oneshot::Sender<Answer>,
}

#[derive(Default)]
struct Inbox {
    calls: Vec<Call>,
    /// The node's own configuration, when it was read again.
    facts: Option<NodeFacts>,
    stop: bool,
    /// The lane has ended: calls are dropped, their callers see no answer.
    closed: bool,
}

/// The door to a running lane. Cheap to clone.
#[derive(Clone)]
pub struct LaneDoor {
    inbox: Arc<Mutex<Inbox>>,
    waker: Waker,
}

impl LaneDoor {
    /// A door to the lane that will sleep on the disk of `waker`.
    #[must_use]
    pub fn new(waker: Waker) -> LaneDoor {
        LaneDoor { inbox: Arc::default(), waker }
    }

    /// Makes the lane turn once more.
    pub fn wake(&self) {
        self.waker.wake();
    }

    /// Hands over the node's own configuration, read again.
    pub fn set_facts(&self, facts: NodeFacts) {
        self.lock().facts = Some(facts);
        self.waker.wake();
    }

    /// Lets the lane answer what it has and end.
    pub fn stop(&self) {
        self.lock().stop = true;
        self.waker.wake();
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Inbox> {
        self.inbox.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Moves what has come in to `calls`; returns a configuration read again, and whether to stop.
    fn take(&self, calls: &mut Vec<Call>) -> (Option<NodeFacts>, bool) {
        let mut inbox = self.lock();
        std::mem::swap(&mut inbox.calls, calls);
        (inbox.facts.take(), inbox.stop)
    }
}

impl LaneClient for LaneDoor {
    fn call(&self, request: Request) -> PendingAnswer {
        let (answer, pending) = oneshot::channel();
        let mut inbox = self.lock();
        if !inbox.closed {
            inbox.calls.push(Call { request, answer });
        }
        drop(inbox);
        self.waker.wake();
        PendingAnswer(pending)
    }
}

/// Open calls by ticket. Tickets are used again once answered.
#[derive(Default)]
struct OpenCalls {
    slots: Vec<Option<oneshot::Sender<Answer>>>,
    free: Vec<u64>,
}

impl OpenCalls {
    fn open(&mut self, answer: oneshot::Sender<Answer>) -> Ticket {
        let ticket = self.free.pop().unwrap_or_else(|| {
            self.slots.push(None);
            self.slots.len() as u64 - 1
        });
        let slot = self.slot(Ticket(ticket));
        assert!(slot.is_none(), "a free ticket has no caller");
        *slot = Some(answer);
        Ticket(ticket)
    }

    fn close(&mut self, ticket: Ticket, answer: Answer) {
        let caller = self.slot(ticket).take().expect("a call is answered once");
        // A caller whose connection is gone does not want to know.
        drop(caller.send(answer));
        self.free.push(ticket.0);
    }

    fn slot(&mut self, ticket: Ticket) -> &mut Option<oneshot::Sender<Answer>> {
        let at = usize::try_from(ticket.0).expect("tickets are indexes of a vector");
        &mut self.slots[at]
    }

    fn is_empty(&self) -> bool {
        self.free.len() == self.slots.len()
    }
}

/// How a lane ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum LaneEnd {
    /// As told.
    Stopped,
    /// The device failed; the words of the write-ahead log.
    DeviceFailed(String),
}

/// Runs `lane` until it ends. `pulse` tells who asks how it goes, `publish` is called with every
/// new picture, `store_work` with everything that is to be done with the object store, `state_work`
/// with what is to be kept beside the log, `ready` once, when the lane can serve: from then on nobody
/// meets a leader that still applies what older terms left.
pub fn run<D: WaitableDisk>(
    mut lane: Lane<D>,
    door: &LaneDoor,
    mut pulse: Pulse,
    mut publish: impl FnMut(Published),
    mut store_work: impl FnMut(StoreWork),
    mut state_work: impl FnMut(StateWork),
    ready: impl FnOnce(),
) -> LaneEnd {
    let _closed = CloseOnEnd(door);
    let clock = KernelClock;
    let mut watchdog = Watchdog::from_environment();
    let mut calls = Vec::new();
    let mut answers = Vec::new();
    let mut work = Vec::new();
    let mut kept = Vec::new();
    let mut open = OpenCalls::default();
    let mut stop_by_ns = None;
    let mut ready = Some(ready);
    loop {
        let now = clock.now();
        let (facts, stop) = door.take(&mut calls);
        if let Some(facts) = facts {
            lane.set_facts(facts);
        }
        for Call { request, answer } in calls.drain(..) {
            let ticket = open.open(answer);
            lane.handle(ticket, request, now);
        }
        lane.turn(now);
        if let Some(published) = lane.take_published() {
            publish(published);
        }
        lane.take_store_work(&mut work);
        work.drain(..).for_each(&mut store_work);
        lane.take_state_work(&mut kept);
        kept.drain(..).for_each(&mut state_work);
        lane.take_answers(&mut answers);
        for (ticket, answer) in answers.drain(..) {
            open.close(ticket, answer);
        }
        if let Some(ready) = ready.take_if(|_| is_settled(&lane)) {
            pulse.tell(now, || lane.status());
            ready();
        }
        watchdog.feed(now.boottime_ns);
        pulse.turned(now, || lane.status());
        if lane.has_failed() {
            pulse.tell(now, || lane.status());
            let why = lane.status().failed.map_or_else(String::new, |error| error.to_string());
            return LaneEnd::DeviceFailed(why);
        }
        if stop {
            let by_ns = *stop_by_ns.get_or_insert(now.boottime_ns + STOP_GRACE_NS);
            if open.is_empty() || now.boottime_ns >= by_ns {
                return LaneEnd::Stopped;
            }
        }
        let wake_ns = [Some(lane.next_wake_ns()), watchdog.next_wake_ns(), stop_by_ns];
        let wake_ns = wake_ns.into_iter().flatten().min().unwrap_or(u64::MAX);
        lane.disk_mut().wait(time_left(wake_ns, clock.now()));
    }
}

/// Whether every replica serves, follows a leader elsewhere, or is out of order for good (its
/// shard's clients are told so; the others must not wait for it).
fn is_settled<D: WaitableDisk>(lane: &Lane<D>) -> bool {
    let status = lane.status();
    lane.metadata().is_some_and(|metadata| metadata.image().is_founded())
        && status.replicas.iter().all(|replica| {
            let follows = replica.leader.is_some_and(|leader| leader != replica.replica);
            replica.role == Role::Serving || replica.quarantine.is_some() || follows
        })
}

/// `None` sleeps until something happens.
fn time_left(wake_ns: u64, now: Now) -> Option<u64> {
    (wake_ns != u64::MAX).then(|| wake_ns.saturating_sub(now.boottime_ns))
}

/// Drops calls nobody will answer, however the lane ends.
struct CloseOnEnd<'a>(&'a LaneDoor);

impl Drop for CloseOnEnd<'_> {
    fn drop(&mut self) {
        let mut inbox = self.0.lock();
        inbox.closed = true;
        inbox.calls.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ticket_is_used_again_only_after_its_answer() {
        let mut open = OpenCalls::default();
        let (first, first_answer) = oneshot::channel();
        let (second, _second_answer) = oneshot::channel();
        let a = open.open(first);
        let b = open.open(second);
        assert_ne!(a, b);
        open.close(a, Answer::Produce(Vec::new()));
        assert!(matches!(first_answer.blocking_recv(), Ok(Answer::Produce(_))));
        let (third, _third_answer) = oneshot::channel();
        assert_eq!(open.open(third), a);
        assert!(!open.is_empty());
    }
}
