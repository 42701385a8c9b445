//! The ring with what it holds: every buffer the kernel may touch is in a slot until its
//! completion was read.
//!
//! ```text
//!  backlog ──▶ slot 0..63: Transfer { file, buffer, done } ──SQE(slot)──▶ kernel
//!                 ▲ short: again from `done`                                │
//!                 └──────────────────────────◀─────────────── CQE(slot, n) ─┘
//!                 │ whole write, no FUA: written ─▶ one SQE(FLUSH | first slot) per file
//!                 │                                 for all writes of this reap ─▶ CQE: durable
//!  wake word  ◀── READ of the eventfd (user data WAKE), armed before each sleep
//! ```
//!
//! Where the device takes FUA (or has no volatile cache), a write carries RWF_DSYNC and is
//! durable at its CQE. Elsewhere it is a plain write, then an FSYNC(DATASYNC) that the lane asks
//! for. The flag would be right there too, but the kernel then flushes from a shared worker
//! thread: on a busy machine (2 cores, load 5) 64 KiB took 3 to 4 ms at the median that way,
//! and 0.16 ms by write and FSYNC.
//!
//! Invariants: a slot is emptied only by its own CQE or that of the flush that covers it, or
//! leaked when the ring is past telling; at most one SQE or CQE per slot exists at a time, so
//! neither queue can overflow; an FSYNC is submitted only after the CQEs of the writes it covers.
//!
//! A short transfer goes on behind its last whole block, and is reported only when whole.
//! EINTR and EAGAIN of a transfer mean the kernel took nothing: asked again, a bounded number of
//! times. Any other error of a write, and any error of a flush, is final: the device failed.
#![expect(unsafe_code, reason = "entries for the kernel point into memory the slots own")]

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsRawFd, RawFd};
use std::time::Duration;

use bytes::Bytes;
use io_uring::types::{Fd, FsyncFlags, SubmitArgs, Timespec};
use io_uring::{IoUring, opcode, squeue};
use nix::libc;

use super::setup::{self, UringForbidden};
use crate::directory::OpenFile;
use crate::file::whole_blocks;
use crate::{AlignedBuf, Completion, DiskError, Token, WriteEnd};

/// Transfers the kernel holds at once; more wait in the backlog.
pub(super) const TRANSFERS_MAX: usize = 64;
const _: () = assert!(TRANSFERS_MAX < setup::ENTRIES as usize, "room for the wake-up read too");

/// User data of the wake-up read; slots are below [`TRANSFERS_MAX`].
const WAKE: u64 = u64::MAX;
/// User data of a flush: this bit and the first slot it covers.
const FLUSH: u64 = 1 << 32;
/// How often one transfer is asked again after EINTR or EAGAIN.
const AGAIN_MAX: u32 = 64;
/// One SQE moves at most this much: its length is 32 bits and the kernel stops below 2 GiB.
const ENTRY_BYTES_MAX: usize = 1 << 30;

/// A read or write on its way, with everything the kernel uses meanwhile.
pub(super) struct Transfer {
    pub(super) token: Token,
    pub(super) file: OpenFile,
    pub(super) offset: u64,
    pub(super) work: Work,
    /// How often the kernel has said EINTR or EAGAIN.
    pub(super) again: u32,
}

pub(super) enum Work {
    /// `done` bytes are written; a multiple of the block.
    Write { data: Bytes, done: usize },
    /// The buffer's filled bytes have arrived.
    Read { buf: AlignedBuf, len_bytes: usize },
}

/// What a completion means for its transfer.
pub(super) enum Progress {
    /// Some of it is left to do.
    Unfinished(Transfer),
    /// A write is whole; durable only if it said so.
    Written(Transfer),
    /// Failed, or a whole read.
    Ended(Completion),
}

/// What one look at the completion queue found.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Reaped {
    pub(super) completions: usize,
    /// The eventfd was written.
    pub(super) woken: bool,
}

impl Transfer {
    pub(super) fn failed(&self, error: &io::Error) -> Completion {
        let token = self.token;
        match &self.work {
            Work::Write { data, .. } => {
                let error = self.file.write_error(self.offset, data.len(), error);
                Completion::Write { token, result: Err(error) }
            }
            Work::Read { len_bytes, .. } => {
                let error = self.file.read_error(self.offset, *len_bytes, error);
                Completion::Read { token, result: Err(error) }
            }
        }
    }

    fn entry(&mut self, write_end: WriteEnd) -> squeue::Entry {
        let file = Fd(self.file.file.as_raw_fd());
        match &mut self.work {
            Work::Write { data, done } => {
                let rest = &data[*done..];
                let len = rest.len().min(ENTRY_BYTES_MAX) as u32;
                opcode::Write::new(file, rest.as_ptr(), len)
                    .offset(self.offset + *done as u64)
                    .rw_flags(if write_end == WriteEnd::Flag { libc::RWF_DSYNC } else { 0 })
                    .build()
            }
            Work::Read { buf, len_bytes } => {
                let done = buf.filled_bytes();
                let len = (*len_bytes - done).min(ENTRY_BYTES_MAX) as u32;
                opcode::Read::new(file, buf.spare_start(), len)
                    .offset(self.offset + done as u64)
                    .build()
            }
        }
    }

    /// Counts what the kernel reports.
    pub(super) fn account(mut self, result: i32) -> Progress {
        let Ok(moved) = usize::try_from(result) else {
            let again = matches!(-result, libc::EINTR | libc::EAGAIN);
            if again && self.again < AGAIN_MAX {
                self.again += 1;
                return Progress::Unfinished(self);
            }
            return Progress::Ended(self.failed(&io::Error::from_raw_os_error(-result)));
        };
        let missing = match &self.work {
            Work::Write { data, done } => data.len() - done,
            Work::Read { buf, len_bytes } => len_bytes - buf.filled_bytes(),
        };
        let moved = match whole_blocks(moved, missing) {
            Ok(moved) => moved,
            Err(error) => return Progress::Ended(self.failed(&error)),
        };
        match &mut self.work {
            Work::Write { done, .. } => *done += moved,
            // SAFETY: the kernel has reported at least `moved` bytes written to the spare start
            // this transfer's entry pointed at, and nothing was appended since.
            Work::Read { buf, .. } => unsafe { buf.assume_appended(moved) },
        }
        if moved < missing {
            return Progress::Unfinished(self);
        }
        match self.work {
            Work::Write { .. } => Progress::Written(self),
            Work::Read { buf, .. } => {
                Progress::Ended(Completion::Read { token: self.token, result: Ok(buf.freeze()) })
            }
        }
    }

    fn durable(self) -> Completion {
        Completion::Write { token: self.token, result: Ok(()) }
    }
}

/// One lane's ring. May move between threads until its first submission.
pub(super) struct Ring {
    ring: IoUring,
    /// The kernel accepts submissions, from the thread that enabled it.
    enabled: bool,
    slots: Vec<Option<Transfer>>,
    free: Vec<usize>,
    backlog: VecDeque<Transfer>,
    write_end: WriteEnd,
    /// By its first slot: the slots a flush in the ring covers. Empty: no flush.
    flushes: Vec<Vec<usize>>,
    eventfd: RawFd,
    /// Where the kernel puts the eventfd's count. Boxed: its address must not move.
    wake_word: Box<u64>,
    wake_armed: bool,
}

impl Ring {
    /// `eventfd` must stay open as long as the ring lives.
    pub(super) fn new(eventfd: RawFd, write_end: WriteEnd) -> Result<Ring, UringForbidden> {
        Ok(Ring {
            ring: setup::build()?,
            enabled: false,
            slots: (0..TRANSFERS_MAX).map(|_| None).collect(),
            free: (0..TRANSFERS_MAX).rev().collect(),
            backlog: VecDeque::new(),
            write_end,
            flushes: vec![Vec::new(); TRANSFERS_MAX],
            eventfd,
            wake_word: Box::new(0),
            wake_armed: false,
        })
    }

    pub(super) fn defers_work(&self) -> bool {
        self.ring.params().is_setup_single_issuer()
    }

    pub(super) fn start(&mut self, transfer: Transfer) {
        match self.free.pop() {
            Some(slot) => self.put(slot, transfer),
            None => self.backlog.push_back(transfer),
        }
    }

    /// Fills the empty `slot` and queues its entry.
    fn put(&mut self, slot: usize, mut transfer: Transfer) {
        let entry = transfer.entry(self.write_end).user_data(slot as u64);
        assert!(self.slots[slot].is_none(), "a slot in use is not free");
        // Moving the transfer into its slot moves no byte the entry points at: those are on the
        // heap, behind `Bytes` or `AlignedBuf`.
        self.slots[slot] = Some(transfer);
        self.push(&entry);
    }

    fn push(&mut self, entry: &squeue::Entry) {
        // SAFETY: the entry's buffer, length and descriptor belong to a transfer in a slot, or
        // are the boxed wake word and the eventfd. A slot is emptied only when its completion
        // has been read or by leaking it; the same holds for the wake word (`Drop`). Write
        // buffers are never changed (`Bytes`), read buffers are touched by nobody meanwhile.
        let pushed = unsafe { self.ring.submission().push(entry) };
        assert!(pushed.is_ok(), "the queue has room for every slot and the wake-up");
    }

    /// Makes a write to the eventfd end the next wait.
    pub(super) fn arm_wake(&mut self) {
        if !self.wake_armed {
            let word: *mut u64 = &mut *self.wake_word;
            let entry = opcode::Read::new(Fd(self.eventfd), word.cast(), 8).build();
            self.push(&entry.user_data(WAKE));
            self.wake_armed = true;
        }
    }

    /// Hands queued entries to the kernel, and lets it deliver completions it holds back.
    pub(super) fn submit(&mut self) -> io::Result<()> {
        let idle = {
            let queue = self.ring.submission();
            queue.is_empty() && !queue.taskrun() && !queue.cq_overflow()
        };
        if idle {
            return Ok(());
        }
        self.enable()?;
        tolerate(self.ring.submit())
    }

    /// As [`Ring::submit`], then blocks until something has completed (perhaps only a write that
    /// needs its flush), the time is up, or for no reason.
    pub(super) fn submit_and_wait(&mut self, timeout_ns: Option<u64>) -> io::Result<()> {
        self.enable()?;
        tolerate(match timeout_ns {
            None => self.ring.submit_and_wait(1),
            Some(timeout_ns) => {
                let time = Timespec::from(Duration::from_nanos(timeout_ns));
                let args = SubmitArgs::new().timespec(&time);
                self.ring.submitter().submit_with_args(1, &args)
            }
        })
    }

    fn enable(&mut self) -> io::Result<()> {
        if !self.enabled {
            self.ring.submitter().register_enable_rings()?;
            self.enabled = true;
        }
        Ok(())
    }

    pub(super) fn has_completions(&mut self) -> bool {
        !self.ring.completion().is_empty()
    }

    /// Takes what has ended, and queues what follows from it: the rest of short transfers,
    /// flushes, and what waited for a slot.
    pub(super) fn reap(&mut self, mut report: impl FnMut(Completion)) -> Reaped {
        let mut reaped = Reaped::default();
        let mut written = Vec::new();
        loop {
            let next = self.ring.completion().next();
            let Some(ended) = next else { break };
            reaped.completions += 1;
            let (data, result) = (ended.user_data(), ended.result());
            if data == WAKE {
                self.wake_armed = false;
                reaped.woken = true;
                continue;
            }
            let slot = slot_of(data);
            if data & FLUSH != 0 {
                self.end_flush(slot, result, &mut report);
                continue;
            }
            let transfer = self.slots[slot].take().expect("one completion per entry");
            match transfer.account(result) {
                Progress::Unfinished(transfer) => self.put(slot, transfer),
                Progress::Written(transfer) if self.write_end == WriteEnd::Flush => {
                    self.slots[slot] = Some(transfer);
                    written.push(slot);
                }
                Progress::Written(transfer) => {
                    report(transfer.durable());
                    self.release(slot);
                }
                Progress::Ended(completion) => {
                    report(completion);
                    self.release(slot);
                }
            }
        }
        self.queue_flushes(written);
        reaped
    }

    /// One FSYNC for each file among the `written` slots.
    fn queue_flushes(&mut self, mut written: Vec<usize>) {
        while let Some(&first) = written.first() {
            let file = self.file_of(first);
            let (covered, others): (Vec<_>, Vec<_>) =
                written.into_iter().partition(|slot| self.file_of(*slot) == file);
            assert!(self.flushes[first].is_empty(), "a slot is covered once");
            self.flushes[first] = covered;
            let entry = opcode::Fsync::new(Fd(file)).flags(FsyncFlags::DATASYNC).build();
            self.push(&entry.user_data(FLUSH | first as u64));
            written = others;
        }
    }

    fn file_of(&self, slot: usize) -> RawFd {
        let transfer = self.slots[slot].as_ref().expect("a written slot holds its transfer");
        transfer.file.file.as_raw_fd()
    }

    fn end_flush(&mut self, first: usize, result: i32, report: &mut impl FnMut(Completion)) {
        let covered = std::mem::take(&mut self.flushes[first]);
        assert!(!covered.is_empty(), "one completion per flush");
        for slot in covered {
            let transfer = self.slots[slot].take().expect("held until its flush ends");
            report(match result {
                0.. => transfer.durable(),
                _ => transfer.failed(&io::Error::from_raw_os_error(-result)),
            });
            self.release(slot);
        }
    }

    fn release(&mut self, slot: usize) {
        match self.backlog.pop_front() {
            Some(waiting) => self.put(slot, waiting),
            None => self.free.push(slot),
        }
    }

    /// The ring itself has failed: every transfer ends in `error`, and what the kernel may still
    /// touch is leaked.
    pub(super) fn abandon(&mut self, error: &io::Error, mut report: impl FnMut(Completion)) {
        // Slots are not given back to `free`: their entries may still be in the kernel's hands.
        for transfer in self.slots.iter_mut().filter_map(Option::take) {
            report(transfer.failed(error));
            std::mem::forget(transfer);
        }
        for transfer in self.backlog.drain(..) {
            report(transfer.failed(error));
        }
        if self.wake_armed {
            std::mem::forget(std::mem::take(&mut self.wake_word));
            self.wake_armed = false;
        }
    }

    fn is_quiet(&self) -> bool {
        !self.wake_armed && self.slots.iter().all(Option::is_none)
    }

    /// Submits an entry of any kind, to see what the kernel says.
    #[cfg(test)]
    pub(super) fn answer_to(&mut self, entry: &squeue::Entry) -> io::Result<i32> {
        self.push(entry);
        self.submit_and_wait(None)?;
        Ok(self.ring.completion().next().map_or(0, |ended| ended.result()))
    }
}

/// The slot in a completion's user data.
fn slot_of(user_data: u64) -> usize {
    let slot = (user_data & !FLUSH) as usize;
    assert!(slot < TRANSFERS_MAX, "the kernel returns the user data we gave it");
    slot
}

/// Errors that leave the ring as it was: the time is up, a signal came, or the kernel wants
/// completions taken or memory freed before it accepts more.
fn tolerate(result: io::Result<usize>) -> io::Result<()> {
    match result {
        Ok(_) => Ok(()),
        Err(error) => match error.raw_os_error() {
            Some(libc::ETIME | libc::EINTR | libc::EBUSY | libc::EAGAIN) => Ok(()),
            _ => Err(error),
        },
    }
}

impl Drop for Ring {
    /// Waits until the kernel touches nothing of ours any more, or leaks it. The owner has
    /// written to the eventfd, so that the wake-up read ends.
    fn drop(&mut self) {
        self.backlog.clear();
        // Nothing has reached the kernel yet: closing the ring forgets the queue.
        while self.enabled && !self.is_quiet() {
            if let Err(error) = self.submit_and_wait(None) {
                tracing::warn!(%error, "a ring could not be emptied; its buffers are leaked");
                self.abandon(&error, drop);
                return;
            }
            let ended: Vec<_> = self.ring.completion().collect();
            for ended in ended {
                let data = ended.user_data();
                if data == WAKE {
                    self.wake_armed = false;
                } else if data & FLUSH != 0 {
                    for slot in std::mem::take(&mut self.flushes[slot_of(data)]) {
                        self.slots[slot] = None;
                    }
                } else {
                    self.slots[slot_of(data)] = None;
                }
            }
        }
    }
}

/// What ended the ring, for every later request.
pub(super) fn ring_error(error: &io::Error) -> DiskError {
    DiskError {
        kind: crate::DiskErrorKind::Failed,
        attempted: "entering the ring".to_owned(),
        detail: match error.raw_os_error() {
            Some(libc::EEXIST) => "a second thread used the lane's ring".to_owned(),
            _ => error.to_string(),
        },
    }
}
