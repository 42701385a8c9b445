//! How a lane sleeps, and how others end its sleep without a system call while it is awake.
//!
//! A lane works until it has nothing to do, then blocks in its disk until a completion arrives,
//! somebody calls its [`Waker`], or time is up. The token is a parking permit with three states
//! (the idea of `thread::park`), so that a busy lane is woken for free:
//!
//! ```text
//!             begin_sleep             wake: + write to the eventfd
//!   AWAKE ----------------> ASLEEP --------------------------------> NOTIFIED
//!     ^ \                     |                                       |   ^
//!     |  \________ wake: no system call ______________________________|___|
//!     +---------- end_sleep --+---------------- end_sleep ------------+
//! ```
//!
//! - The caller publishes its work (queue, flag) *before* `wake`; the lane looks for work *after*
//!   `wait` returns. `wake` and the lane's swaps are sequentially consistent, so either the lane
//!   finds NOTIFIED and does not block, or it blocks and the eventfd is written.
//! - A wake between two waits makes the next wait return at once; wakes do not add up.
//! - A waker may lose the race with the end of a sleep and write the eventfd late. The next
//!   sleep then ends early: lanes must bear waking up for nothing.

use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::eventfd::{EfdFlags, EventFd};
use nix::sys::time::TimeSpec;

use crate::status::DiskStatus;
use crate::{Disk, DiskError, DiskErrorKind};

const AWAKE: u8 = 0;
const ASLEEP: u8 = 1;
const NOTIFIED: u8 = 2;

/// A [`Disk`] a thread can sleep on.
pub trait WaitableDisk: Disk {
    /// A handle that ends this disk's [`WaitableDisk::wait`] from any thread.
    fn waker(&self) -> Waker;

    /// Submits what is queued and blocks until a completion is ready to poll, the [`Waker`] was
    /// called (also since the last wait), or `timeout_ns` has passed (`None`: no limit). May
    /// return early for no reason; the caller polls, looks at its inbox, and waits again.
    fn wait(&mut self, timeout_ns: Option<u64>);

    /// What was found out about the device and how it is written, for `holdfast status`.
    fn status(&self) -> DiskStatus;
}

/// Ends the sleep of one lane. Cheap to clone; a call costs a system call only if the lane sleeps.
#[derive(Clone, Debug)]
pub struct Waker {
    cell: Arc<WakeCell>,
}

impl Waker {
    /// Ends the lane's sleep, or keeps it from falling asleep once.
    pub fn wake(&self) {
        if self.cell.state.swap(NOTIFIED, Ordering::SeqCst) == ASLEEP {
            // The counter can only overflow after 2^64 - 2 unread wakes, and then it is readable
            // anyway, which is all that is wanted.
            let _ = self.cell.eventfd.write(1);
        }
    }
}

/// The lane's side of a [`Waker`].
#[derive(Debug)]
pub(crate) struct Sleeper {
    cell: Arc<WakeCell>,
}

#[derive(Debug)]
struct WakeCell {
    state: AtomicU8,
    eventfd: EventFd,
}

impl Sleeper {
    pub(crate) fn new() -> Result<Sleeper, DiskError> {
        let eventfd = EventFd::from_flags(EfdFlags::EFD_CLOEXEC).map_err(|errno| DiskError {
            kind: DiskErrorKind::Failed,
            attempted: "making the lane's eventfd".to_owned(),
            detail: format!("{errno}; is the limit on open files (LimitNOFILE=) reached?"),
        })?;
        Ok(Sleeper { cell: Arc::new(WakeCell { state: AtomicU8::new(AWAKE), eventfd }) })
    }

    pub(crate) fn waker(&self) -> Waker {
        Waker { cell: Arc::clone(&self.cell) }
    }

    /// False when a wake has come since the last sleep: do not block. After true, block, then
    /// call [`Sleeper::end_sleep`].
    #[must_use]
    pub(crate) fn begin_sleep(&self) -> bool {
        let begun = self
            .cell
            .state
            .compare_exchange(AWAKE, ASLEEP, Ordering::SeqCst, Ordering::SeqCst)
            .is_ok();
        if !begun {
            self.end_sleep();
        }
        begun
    }

    pub(crate) fn end_sleep(&self) {
        self.cell.state.swap(AWAKE, Ordering::SeqCst);
    }

    /// For a disk that blocks on more than the eventfd. Open as long as any waker lives.
    pub(crate) fn eventfd(&self) -> RawFd {
        self.cell.eventfd.as_fd().as_raw_fd()
    }

    /// Makes the eventfd readable whatever the state.
    pub(crate) fn ring_the_bell(&self) {
        // As in `wake`: a full counter is readable too.
        let _ = self.cell.eventfd.write(1);
    }

    /// Sleeps on the eventfd alone: for a disk whose completions come with a wake.
    pub(crate) fn sleep(&self, timeout_ns: Option<u64>) {
        if !self.begin_sleep() {
            return;
        }
        let mut descriptors = [PollFd::new(self.cell.eventfd.as_fd(), PollFlags::POLLIN)];
        let timeout = timeout_ns.map(timespec);
        match ppoll(&mut descriptors, timeout, None) {
            Ok(0) | Err(Errno::EINTR) => {}
            // Readable, and nobody else reads it, so this does not block.
            Ok(_) => drop(self.cell.eventfd.read()),
            Err(errno) => panic!("ppoll on our own eventfd: {errno}"),
        }
        self.end_sleep();
    }
}

fn timespec(timeout_ns: u64) -> TimeSpec {
    TimeSpec::from_duration(std::time::Duration::from_nanos(timeout_ns))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::thread;

    #[test]
    fn a_wake_before_the_sleep_prevents_it() {
        let sleeper = Sleeper::new().unwrap();
        sleeper.waker().wake();
        sleeper.waker().wake();
        sleeper.sleep(None);
        assert!(sleeper.begin_sleep(), "two wakes prevent one sleep only");
    }

    #[test]
    fn a_wake_of_a_lane_that_is_awake_writes_no_eventfd() {
        let sleeper = Sleeper::new().unwrap();
        sleeper.waker().wake();
        let mut descriptors = [PollFd::new(sleeper.cell.eventfd.as_fd(), PollFlags::POLLIN)];
        assert_eq!(ppoll(&mut descriptors, Some(timespec(0)), None), Ok(0));
    }

    #[test]
    fn no_wake_is_lost_between_two_threads() {
        let there = Sleeper::new().unwrap();
        let back = Sleeper::new().unwrap();
        let (wake_there, wake_back) = (there.waker(), back.waker());
        let turns = std::sync::atomic::AtomicU64::new(0);
        // Each side passes the turn on and sleeps until it is its own; a lost wake hangs here.
        thread::scope(|scope| {
            for (sleeper, other, parity) in [(&there, &wake_back, 0), (&back, &wake_there, 1)] {
                let turns = &turns;
                scope.spawn(move || {
                    loop {
                        let turn = turns.load(Ordering::SeqCst);
                        if turn >= 20_000 {
                            other.wake();
                            return;
                        }
                        if turn % 2 == parity {
                            turns.store(turn + 1, Ordering::SeqCst);
                            other.wake();
                        } else {
                            sleeper.sleep(None);
                        }
                    }
                });
            }
        });
    }

    #[test]
    fn a_sleep_ends_when_its_time_is_up() {
        let sleeper = Sleeper::new().unwrap();
        sleeper.sleep(Some(1_000));
        assert!(sleeper.begin_sleep());
    }
}
