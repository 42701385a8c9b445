//! The back end for kernels without io_uring: `pwritev2` on helper threads.
//!
//! ```text
//! lane ── submit_write ──▶ queue ──▶ 4 writers: pwritev2(RWF_DSYNC) ──▶ completions ─┐
//!      ── submit_read  ──▶ queue ──▶ 1 reader:  pread               ──▶              │ wake
//!      ── submit_create ─▶ queue ──▶ 1 creator: zeros, fsync        ──▶              ▼
//!      ◀─────────────────────────────────────────────────────────────────── poll ── lane
//! ```
//!
//! Creating has its own thread, so that 64 MiB of zeros hold up neither writes nor reads. Each
//! write costs two thread switches more than the ring; that is the price of kernels (RHEL 9)
//! and containers that forbid io_uring.

use std::path::Path;

use bytes::Bytes;

use crate::directory::{Directory, NO_DIRECT_IO};
use crate::file::assert_aligned;
use crate::helpers::{DeviceFailure, Ended, EndedQueue, HelperThreads, create_on_helper};
use crate::status::{DeviceFacts, DiskStatus};
use crate::wake::Sleeper;
use crate::{
    BufferPool, Completion, Disk, DiskError, DiskOptions, FileId, Token, WaitableDisk, Waker,
};

#[cfg(test)]
mod tests;

/// How many durable writes run at once: the lane keeps about this many frames in flight.
const WRITERS: usize = 4;

/// A WAL directory written with `pwritev2`.
pub struct Pwritev2Disk {
    // Dropped first, so that no helper works on files whose lock is released.
    writers: HelperThreads,
    reader: HelperThreads,
    creator: HelperThreads,
    ended: EndedQueue,
    failure: DeviceFailure,
    sleeper: Sleeper,
    pool: BufferPool,
    directory: Directory,
    device: DeviceFacts,
}

impl Pwritev2Disk {
    /// Takes the lock of the existing directory at `path` and starts the helper threads.
    ///
    /// # Errors
    /// `NotFound`, `Denied`, `Locked`, or `Failed` when a thread cannot be had.
    pub fn open(path: &Path, options: DiskOptions) -> Result<Pwritev2Disk, DiskError> {
        let directory = Directory::open(path)?;
        let sleeper = Sleeper::new()?;
        Ok(Pwritev2Disk {
            writers: HelperThreads::start("wal-write", WRITERS)?,
            reader: HelperThreads::start("wal-read", 1)?,
            creator: HelperThreads::start("wal-create", 1)?,
            ended: EndedQueue::new(sleeper.waker()),
            failure: DeviceFailure::default(),
            sleeper,
            pool: options.pool,
            device: directory.device_facts(),
            directory,
        })
    }
}

impl Disk for Pwritev2Disk {
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
        create_on_helper(&self.creator, &self.directory, &self.ended, name, len_bytes, token);
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
        let file = self.directory.file(file).clone();
        file.assert_writable(offset, &data);
        let (failure, ended) = (self.failure.clone(), self.ended.clone());
        self.writers.submit(move || {
            let result = failure.check().and_then(|()| file.write_durably(offset, &data));
            let result = failure.judge(result);
            // The frame's memory is free before the lane hears of it.
            drop(data);
            ended.push(Ended::Write { token, result });
        });
    }

    fn submit_read(&mut self, file: FileId, offset: u64, len_bytes: usize, token: Token) {
        assert_aligned(offset, len_bytes);
        let file = self.directory.file(file).clone();
        let (pool, ended) = (self.pool.clone(), self.ended.clone());
        self.reader.submit(move || {
            let result = file.read(offset, len_bytes, &pool);
            ended.push(Ended::Read { token, result });
        });
    }

    fn poll(&mut self, completions: &mut Vec<Completion>) {
        self.ended.drain_into(&mut self.directory, &self.failure, completions);
    }

    fn len_bytes(&self, file: FileId) -> u64 {
        self.directory.file(file).len_bytes
    }
}

impl WaitableDisk for Pwritev2Disk {
    fn waker(&self) -> Waker {
        self.sleeper.waker()
    }

    fn wait(&mut self, timeout_ns: Option<u64>) {
        // A completion pushed after this look wakes the sleeper.
        if self.ended.is_empty() {
            self.sleeper.sleep(timeout_ns);
        }
    }

    fn status(&self) -> DiskStatus {
        let direct_io = self.directory.place().direct_io;
        DiskStatus {
            backend: "pwritev2",
            direct_io,
            device: self.device.clone(),
            notes: if direct_io { Vec::new() } else { vec![NO_DIRECT_IO.to_owned()] },
        }
    }
}
