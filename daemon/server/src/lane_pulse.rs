//! The lane's numbers for everybody else, without anybody in the lane's way.
//!
//! ```text
//! page, status line ── wanted ─▶ ┌───────┐ ◀─ once a turn: wanted, and a second since the last?
//!                     wake ────▶ │ Pulse │ ── yes: Lane::status() ─▶ snapshot ─▶ all who wait
//!                                └───────┘
//! ```
//!
//! A lane that nobody asks counts its turns and nothing else, and sleeps as long as it likes; one
//! that is asked by a hundred pages a second looks itself over once. That an answer comes is the
//! proof that the lane turns.

use crate::lane_thread::LaneDoor;
use holdfast_base::Now;
use holdfast_lane::LaneStatus;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::timeout;

/// A younger snapshot is as good as a new one.
const FRESH_NS: u64 = 1_000_000_000;
/// A lane that does not look itself over in this time does not turn: a turn takes microseconds,
/// and a wait for the device happens beside it.
pub const SILENT_AFTER: Duration = Duration::from_secs(2);

/// What the lane said of itself.
#[derive(Clone, Debug)]
pub struct LaneSnapshot {
    /// When.
    pub at: Now,
    /// Turns of its loop so far.
    pub turns: u64,
    /// Its numbers.
    pub status: LaneStatus,
}

impl LaneSnapshot {
    /// How old it is.
    #[must_use]
    pub fn age(&self, now: Now) -> Duration {
        Duration::from_nanos(now.boottime_ns.saturating_sub(self.at.boottime_ns))
    }
}

/// The lane's side.
#[derive(Debug)]
pub struct Pulse {
    wanted: Arc<AtomicBool>,
    out: watch::Sender<Option<Arc<LaneSnapshot>>>,
    turns: u64,
}

/// Everybody else's side.
#[derive(Clone)]
pub struct LaneWatch {
    wanted: Arc<AtomicBool>,
    snapshots: watch::Receiver<Option<Arc<LaneSnapshot>>>,
    door: LaneDoor,
}

/// Both sides, for the lane behind `door`.
#[must_use]
pub fn pulse(door: LaneDoor) -> (Pulse, LaneWatch) {
    let (out, snapshots) = watch::channel(None);
    let wanted = Arc::new(AtomicBool::new(false));
    let watch = LaneWatch { wanted: Arc::clone(&wanted), snapshots, door };
    (Pulse { wanted, out, turns: 0 }, watch)
}

impl Pulse {
    /// Called once a turn.
    pub fn turned(&mut self, now: Now, status: impl FnOnce() -> LaneStatus) {
        self.turns += 1;
        // Loaded before it is swapped: a load costs nothing on a line nobody writes.
        if self.wanted.load(Ordering::Relaxed) && self.wanted.swap(false, Ordering::AcqRel) {
            self.tell(now, status);
        }
    }

    /// Called when it is ready and when it ends, so that nobody reads what was before.
    pub fn tell(&mut self, now: Now, status: impl FnOnce() -> LaneStatus) {
        let snapshot = LaneSnapshot { at: now, turns: self.turns, status: status() };
        self.out.send_replace(Some(Arc::new(snapshot)));
    }
}

impl LaneWatch {
    /// What the lane said last, without asking.
    #[must_use]
    pub fn last(&self) -> Option<Arc<LaneSnapshot>> {
        self.snapshots.borrow().clone()
    }

    /// What the lane says of itself, not older than a second if it turns; else the last there is.
    pub async fn fresh(&self, now: Now) -> Option<Arc<LaneSnapshot>> {
        let mut snapshots = self.snapshots.clone();
        let last = snapshots.borrow_and_update().clone();
        let fresh_ns = u128::from(FRESH_NS);
        if last.as_ref().is_some_and(|last| last.age(now).as_nanos() < fresh_ns) {
            return last;
        }
        self.wanted.store(true, Ordering::Release);
        self.door.wake();
        // Late or ended: what was last said stays, and its age tells.
        drop(timeout(SILENT_AFTER, snapshots.changed()).await);
        self.last()
    }
}
