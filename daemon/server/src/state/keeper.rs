//! The thread that writes what a lane wants kept.
//!
//! ```text
//! work of this life ─▶ write or flush ─▶ Written, Flushed ─▶ lane
//!                           │ fails
//!                           ▼
//!      closed ── pause 1 s .. 60 s, work is dropped ──▶ opened ─▶ life + 1: Lost ─▶ lane sends all
//! ```
//!
//! After a failure nothing that was handed out is counted on: the store is closed, opened, and written
//! whole under a new life. So a disk that was full, and a store that was damaged and moved aside, need
//! no code of their own. A device that fails ends it until the node is started again.

use super::counters::StateCounters;
use super::rows;
use super::start::{begin_anew, tell};
use crate::report::{Code, Report};
use crate::store::Backoff;
use holdfast_base::SplitMix64;
use holdfast_broker::LaneClient;
use holdfast_lane::{Request, StateKept, StateWork};
use holdfast_state::{Action, RocksState, StateError, StateStore};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::Builder;
use std::time::{Duration, Instant};

/// What a keeper works with.
pub struct Keeper {
    /// Where the store lies.
    pub directory: PathBuf,
    /// The store as a start left it; `None` while it cannot be used.
    pub store: Option<RocksState>,
    /// Where answers go.
    pub lane: Arc<dyn LaneClient>,
    /// What is shown.
    pub counters: Arc<StateCounters>,
    /// Spreads pauses.
    pub rng: SplitMix64,
}

/// Where a lane leaves its work. At most one piece of each shard and a flush lie here.
#[derive(Clone, Debug)]
pub struct StateDesk(Sender<StateWork>);

impl StateDesk {
    /// Leaves one thing to do.
    pub fn leave(&self, work: StateWork) {
        // A keeper that is gone has met the end of the lane.
        drop(self.0.send(work));
    }
}

/// Starts the keeper's thread.
///
/// # Errors
/// When the system has no thread for it.
pub fn start_keeper(keeper: Keeper) -> Result<StateDesk, Report> {
    let (desk, work) = channel();
    Builder::new().name("state".to_owned()).spawn(move || keeper.run(&work)).map_err(|error| {
        Report::new(
            Code::SystemRefused,
            "the thread that keeps states cannot be started",
            error.to_string(),
            "raise the limit on tasks (TasksMax= in the unit)",
        )
    })?;
    Ok(StateDesk(desk))
}

impl Keeper {
    /// Works until the lane has ended.
    fn run(mut self, work: &Receiver<StateWork>) {
        let mut life = 0;
        let mut store = self.store.take();
        loop {
            let Some(open) = &mut store else {
                match self.open_again(work) {
                    Some(opened) => store = Some(opened),
                    None => return,
                }
                life += 1;
                self.tell_lane(StateKept::Lost { life });
                continue;
            };
            let Ok(one) = work.recv() else { return };
            if life_of(&one) < life {
                continue;
            }
            match self.attempt(open, &one) {
                Ok(kept) => self.tell_lane(kept),
                Err(error) => {
                    // Closed before its directory may be moved.
                    store = None;
                    if !self.note(&error) {
                        return self.drain(work);
                    }
                }
            }
        }
    }

    fn attempt(&self, store: &mut RocksState, work: &StateWork) -> Result<StateKept, StateError> {
        match work {
            StateWork::Keep(changes) => {
                let (owner, rows) = (rows::owner(changes), rows::encode(changes));
                if changes.whole {
                    store.replace(owner, &rows, changes.applied)?;
                } else {
                    store.write(owner, &rows, changes.applied)?;
                }
                self.counters.writes.add(1);
                self.counters.written_bytes.add(rows.len_bytes() as u64);
                Ok(StateKept::Written { life: changes.life, shard: changes.shard })
            }
            StateWork::Flush { life } => {
                store.flush()?;
                self.counters.flushes.add(1);
                self.counters.succeeded();
                Ok(StateKept::Flushed { life: *life })
            }
        }
    }

    /// Tells of a failure; false when there is nothing to be tried.
    fn note(&self, error: &StateError) -> bool {
        match error.action() {
            Action::Retry => tell(Code::StateFull, error, &self.counters),
            Action::Rebuild => {
                if let Err(why) = begin_anew(&self.directory, error, &self.counters) {
                    tracing::error!(why, "the damaged store of states cannot be moved aside");
                }
            }
            Action::Stop => {
                tell(Code::StateUnusable, error, &self.counters);
                return false;
            }
            // Our own mistake: what is written whole cannot meet it again.
            Action::MendCaller => tell(Code::StateDamaged, error, &self.counters),
        }
        true
    }

    /// Opens the store, however long it takes; `None` when the lane has ended.
    fn open_again(&mut self, work: &Receiver<StateWork>) -> Option<RocksState> {
        let mut backoff = Backoff::default();
        loop {
            if !pause(work, backoff.next(&mut self.rng)) {
                return None;
            }
            match RocksState::open(&self.directory) {
                Ok(store) => return Some(store),
                Err(error) if self.note(&error) => {}
                Err(_) => {
                    self.drain(work);
                    return None;
                }
            }
        }
    }

    /// Nothing is kept any more; what is handed out is dropped until the lane ends.
    fn drain(&self, work: &Receiver<StateWork>) {
        tracing::error!("states are not kept until the node is started again; the log fills");
        while work.recv().is_ok() {}
    }

    fn tell_lane(&self, kept: StateKept) {
        // Answered at once, and nobody waits for it.
        drop(self.lane.call(Request::Kept(kept)));
    }
}

fn life_of(work: &StateWork) -> u64 {
    match work {
        StateWork::Keep(changes) => changes.life,
        StateWork::Flush { life } => *life,
    }
}

/// Waits, dropping work that comes meanwhile: it is of a life that is over. False when the lane ended.
fn pause(work: &Receiver<StateWork>, pause: Duration) -> bool {
    #[expect(clippy::disallowed_methods, reason = "a driver's thread that waits for a disk")]
    let until = Instant::now() + pause;
    loop {
        #[expect(clippy::disallowed_methods, reason = "as above")]
        let left = until.saturating_duration_since(Instant::now());
        match work.recv_timeout(left) {
            Ok(_) if !left.is_zero() => {}
            Ok(_) | Err(RecvTimeoutError::Timeout) => return true,
            Err(RecvTimeoutError::Disconnected) => return false,
        }
    }
}

#[cfg(test)]
mod tests;
