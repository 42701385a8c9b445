//! The back end of choice: one io_uring per lane, one system call per loop turn.
//!
//! ```text
//! lane ── submit_write ──▶ SQE: WRITE           ─┐
//!                          (then FSYNC: no FUA)  │
//!      ── submit_read  ──▶ SQE: READ            ─┼─ flush_submissions / wait: io_uring_enter
//!      ── (sleeping)   ──▶ SQE: READ eventfd    ─┘            │
//!      ◀── poll ── CQE ◀──────────────────────────────────────┘
//!      ── submit_create ─▶ helper thread: zeros, fsync ──▶ queue, wake
//! ```
//!
//! A write is reported when it is durable: by RWF_DSYNC where the device has FUA or no volatile
//! cache, else by a flush that follows it (`ring` says why). The lane sleeps in the same
//! `io_uring_enter` that submits; other threads end the sleep through the eventfd.
//!
//! Caveats: the first submission binds the ring to its thread (a later one from elsewhere fails
//! the disk). Calls that block (`read`, `write`, `create`) do not go through the ring. Dropping
//! the disk waits for what the kernel holds.

use std::io;
use std::path::Path;

use bytes::Bytes;

use crate::directory::{Directory, NO_DIRECT_IO};
use crate::file::assert_aligned;
use crate::helpers::{DeviceFailure, EndedQueue, HelperThreads, create_on_helper};
use crate::status::{DeviceFacts, DiskStatus};
use crate::wake::Sleeper;
use crate::{
    BufferPool, Completion, Disk, DiskError, DiskOptions, FileId, Token, WaitableDisk, Waker,
    WriteEnd,
};

mod ring;
mod setup;
#[cfg(test)]
mod tests;

use ring::{Reaped, Ring, Transfer, Work, ring_error};
pub use setup::UringForbidden;

/// Whether this process gets a ring: sets one up, restricts it and throws it away.
pub(crate) fn probe() -> Result<(), UringForbidden> {
    setup::build().map(drop)
}

/// A WAL directory written through io_uring.
pub struct UringDisk {
    // Dropped first: it must not make files in a directory whose lock is released.
    creator: HelperThreads,
    // Dropped before what its entries point to: the files and the eventfd.
    ring: Ring,
    write_end: WriteEnd,
    /// Completions of the ring not yet polled, unjudged.
    ready: Vec<Completion>,
    created: EndedQueue,
    failure: DeviceFailure,
    /// The ring takes nothing any more and tells nothing any more. Implies `failure`.
    ring_broken: bool,
    sleeper: Sleeper,
    pool: BufferPool,
    directory: Directory,
    device: DeviceFacts,
}

impl UringDisk {
    /// Takes the lock of the existing directory at `path` and sets up its ring.
    ///
    /// # Errors
    /// `Denied` also when the kernel gives no ring (the detail says why and what to try);
    /// `NotFound`, `Locked`, `Failed`.
    pub fn open(path: &Path, options: DiskOptions) -> Result<UringDisk, DiskError> {
        let directory = Directory::open(path)?;
        let device = directory.device_facts();
        let write_end = options.write_end.unwrap_or_else(|| write_end(&device));
        let sleeper = Sleeper::new()?;
        Ok(UringDisk {
            creator: HelperThreads::start("wal-create", 1)?,
            ring: Ring::new(sleeper.eventfd(), write_end)?,
            write_end,
            ready: Vec::new(),
            created: EndedQueue::new(sleeper.waker()),
            failure: DeviceFailure::default(),
            ring_broken: false,
            sleeper,
            pool: options.pool,
            device,
            directory,
        })
    }

    fn start(&mut self, file: FileId, offset: u64, work: Work, token: Token) {
        let file = self.directory.file(file).clone();
        let transfer = Transfer { token, file, offset, work, again: 0 };
        // Reading goes on after a failed write; through a broken ring nothing goes.
        let refused = self.ring_broken || matches!(transfer.work, Work::Write { .. });
        match self.failure.check() {
            Err(error) if refused => {
                self.ready.push(transfer.failed(&io::Error::other(error)));
            }
            _ => self.ring.start(transfer),
        }
    }

    /// A ring that cannot be entered is a failed device: nobody knows what is down.
    fn judge_ring(&mut self, entered: io::Result<()>) {
        if let Err(error) = entered {
            self.ring_broken = true;
            let _ = self.failure.judge::<()>(Err(ring_error(&error)));
            let ready = &mut self.ready;
            self.ring.abandon(&error, |completion| ready.push(completion));
        }
    }

    fn reap(&mut self) -> Reaped {
        if self.ring_broken {
            // Its slots are leaked; what still completes means nothing any more.
            return Reaped::default();
        }
        let ready = &mut self.ready;
        self.ring.reap(|completion| ready.push(completion))
    }
}

/// The flag where it is one command or none to flush; unknown devices get the flush.
fn write_end(device: &DeviceFacts) -> WriteEnd {
    let write_through = device.write_cache.as_deref() == Some("write through");
    if device.fua == Some(true) || write_through { WriteEnd::Flag } else { WriteEnd::Flush }
}

impl Drop for UringDisk {
    fn drop(&mut self) {
        // Ends the ring's read of the eventfd, which its drop waits for.
        self.sleeper.ring_the_bell();
    }
}

impl Disk for UringDisk {
    fn list(&self) -> Result<Vec<(String, u64)>, DiskError> {
        self.directory.list()
    }

    fn open(&mut self, name: &str) -> Result<FileId, DiskError> {
        self.directory.open_file(name)
    }

    fn create(&mut self, name: &str, len_bytes: u64) -> Result<FileId, DiskError> {
        self.failure.check()?;
        let made = self.directory.place().create_file(name, len_bytes);
        let made = self.failure.judge(made)?;
        Ok(self.directory.add(made))
    }

    fn submit_create(&mut self, name: &str, len_bytes: u64, token: Token) {
        create_on_helper(&self.creator, &self.directory, &self.created, name, len_bytes, token);
    }

    fn read(&self, file: FileId, offset: u64, len_bytes: usize) -> Result<Bytes, DiskError> {
        assert_aligned(offset, len_bytes);
        self.directory.file(file).read(offset, len_bytes, &self.pool)
    }

    fn write(&mut self, file: FileId, offset: u64, data: Bytes) -> Result<(), DiskError> {
        let file = self.directory.file(file);
        file.assert_writable(offset, &data);
        self.failure.check()?;
        self.failure.judge(file.write_durably(offset, &data))
    }

    fn submit_write(&mut self, file: FileId, offset: u64, data: Bytes, token: Token) {
        self.directory.file(file).assert_writable(offset, &data);
        self.start(file, offset, Work::Write { data, done: 0 }, token);
    }

    fn submit_read(&mut self, file: FileId, offset: u64, len_bytes: usize, token: Token) {
        assert_aligned(offset, len_bytes);
        let buf = self.pool.take(len_bytes);
        self.start(file, offset, Work::Read { buf, len_bytes }, token);
    }

    fn flush_submissions(&mut self) {
        if !self.ring_broken {
            let entered = self.ring.submit();
            self.judge_ring(entered);
        }
    }

    fn poll(&mut self, completions: &mut Vec<Completion>) {
        // Also lets the kernel deliver what it holds back for us (DEFER_TASKRUN).
        self.flush_submissions();
        self.reap();
        // Flushes of what was just written start now, not at the end of the lane's turn.
        self.flush_submissions();
        for completion in self.ready.drain(..) {
            completions.push(match completion {
                Completion::Write { token, result } => {
                    Completion::Write { token, result: self.failure.judge(result) }
                }
                other => other,
            });
        }
        self.created.drain_into(&mut self.directory, &self.failure, completions);
    }

    fn len_bytes(&self, file: FileId) -> u64 {
        self.directory.file(file).len_bytes
    }
}

impl WaitableDisk for UringDisk {
    fn waker(&self) -> Waker {
        self.sleeper.waker()
    }

    fn wait(&mut self, timeout_ns: Option<u64>) {
        // What poll has not seen yet, whatever it is.
        let has_work =
            !self.ready.is_empty() || !self.created.is_empty() || self.ring.has_completions();
        if has_work {
            self.flush_submissions();
            return;
        }
        if self.ring_broken {
            // Creations and wakes still come, through the eventfd.
            self.sleeper.sleep(timeout_ns);
            return;
        }
        self.ring.arm_wake();
        if !self.sleeper.begin_sleep() {
            self.flush_submissions();
            return;
        }
        // A write that only moved on to its flush is no news for the lane: sleep on. (The time
        // starts anew then, so a wait may be late by the time of a write.)
        loop {
            let entered = self.ring.submit_and_wait(timeout_ns);
            self.judge_ring(entered);
            let reaped = self.reap();
            let news = reaped.woken || !self.ready.is_empty() || !self.created.is_empty();
            if news || reaped.completions == 0 {
                break;
            }
        }
        self.sleeper.end_sleep();
    }

    fn status(&self) -> DiskStatus {
        let mut notes = vec![
            match self.write_end {
                WriteEnd::Flag => "a write is durable by its own flag (RWF_DSYNC)",
                WriteEnd::Flush => "a write is made durable by a flush after it",
            }
            .to_owned(),
        ];
        if !self.directory.place().direct_io {
            notes.push(NO_DIRECT_IO.to_owned());
        }
        if !self.ring.defers_work() {
            notes.push("the kernel is older than 6.1: completions interrupt the lane".to_owned());
        }
        DiskStatus {
            backend: "io_uring",
            direct_io: self.directory.place().direct_io,
            device: self.device.clone(),
            notes,
        }
    }
}
