//! The contract between the WAL and a device.

use bytes::Bytes;
use thiserror::Error;

/// Every offset, length and buffer address handed to a [`Disk`] is a multiple of this: the
/// larger of the page size and every physical block size seen in the field. A power cut may
/// tear at 512 bytes all the same.
pub const BLOCK_BYTES: usize = 4096;

/// An open file of a [`Disk`]; an index, good until the disk is dropped.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Hash)]
pub struct FileId(pub u32);

/// The caller's name for a request in flight; comes back in its [`Completion`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Hash)]
pub struct Token(pub u64);

/// What a caller can do about it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum DiskErrorKind {
    /// No space, or the quota is used up: nothing happened. Refuse what needs space; try later.
    Full,
    /// The process or the machine is out of descriptors or kernel memory: nothing happened, and
    /// the device is not to blame. Refuse what needs it; try later.
    Exhausted,
    /// No such file. Nothing happened.
    NotFound,
    /// The directory or file may not be opened by us (EACCES, EPERM, EROFS). Stop and say so.
    Denied,
    /// Another process holds the directory's lock. Stop and say so.
    Locked,
    /// The device failed. Whether the bytes are down is unknown: never retried, never
    /// acknowledged; the lane stops (a second fsync would report success for pages the kernel
    /// has already dropped: Rebello et al., ATC 2020).
    Failed,
}

/// A failed call, with what was attempted.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
#[error("{attempted}: {detail}")]
pub struct DiskError {
    /// What the caller can do.
    pub kind: DiskErrorKind,
    /// What was attempted on which file.
    pub attempted: String,
    /// The kernel's words.
    pub detail: String,
}

/// The end of a submitted request.
#[derive(Debug)]
pub enum Completion {
    /// The bytes are on stable media (`Ok`), or the device failed.
    Write {
        /// As submitted.
        token: Token,
        /// Stable, or not.
        result: Result<(), DiskError>,
    },
    /// The bytes asked for, whole.
    Read {
        /// As submitted.
        token: Token,
        /// Exactly as many bytes as asked.
        result: Result<Bytes, DiskError>,
    },
    /// A new file, full of zeros, synced, its name durable.
    Create {
        /// As submitted.
        token: Token,
        /// The open file.
        result: Result<FileId, DiskError>,
    },
}

impl Completion {
    /// The token of the request that ended.
    #[must_use]
    pub fn token(&self) -> Token {
        match self {
            Completion::Write { token, .. }
            | Completion::Read { token, .. }
            | Completion::Create { token, .. } => *token,
        }
    }
}

/// One WAL directory.
///
/// Rules every implementation keeps (`conformance` tests them):
/// - `submit_write` takes block-aligned data and means *durable*: its completion is `Ok` only
///   when the bytes survive a power cut (O_DSYNC with FUA where the queue has it, else write then
///   flush). Writes in flight may complete in any order.
/// - A read submitted after a write's completion sees that write.
/// - A torn or lost write is possible only for writes whose completion was never polled.
/// - After one `Failed` write or create every later write fails too: a device does not heal. A
///   failed read fails alone: a lost sector of a sealed segment stops no writes.
/// - Writes stay inside the file; offsets, lengths and the address of the data are multiples of
///   [`BLOCK_BYTES`] ([`AlignedBuf`](crate::AlignedBuf)). Anything else is a bug and panics.
/// - Names are plain (no `/`, no leading dot) and never `LOCK` or `*.creating`.
/// - A file that has its name is whole, also after a power cut while it was made.
/// - `poll` never blocks; the driver waits on the disk's own descriptor (real back ends) or
///   moves simulated time.
pub trait Disk {
    /// Names and lengths in bytes of the files present, sorted by name. Blocks.
    ///
    /// # Errors
    /// `Denied` or `Failed`.
    fn list(&self) -> Result<Vec<(String, u64)>, DiskError>;

    /// Opens an existing file. Blocks.
    ///
    /// # Errors
    /// `NotFound`, `Denied`, `Exhausted` or `Failed`.
    fn open(&mut self, name: &str) -> Result<FileId, DiskError>;

    /// Creates a file of `len_bytes` zeros that are written, not merely allocated, syncs it and
    /// its name. Blocks: for boot. A leftover file of that name is overwritten.
    ///
    /// # Errors
    /// `Full` and `Exhausted` leave no file behind; `Denied` or `Failed`.
    fn create(&mut self, name: &str, len_bytes: u64) -> Result<FileId, DiskError>;

    /// As [`Disk::create`], away from the lane; ends in [`Completion::Create`].
    fn submit_create(&mut self, name: &str, len_bytes: u64, token: Token);

    /// Reads exactly `len_bytes` at `offset`, both multiples of [`BLOCK_BYTES`]. Blocks: for boot
    /// and helpers.
    ///
    /// # Errors
    /// `Failed` also when the file ends before.
    fn read(&self, file: FileId, offset: u64, len_bytes: usize) -> Result<Bytes, DiskError>;

    /// Writes aligned `data` durably. Blocks: for boot (superblock, segment headers).
    ///
    /// # Errors
    /// `Failed`, and then for good.
    fn write(&mut self, file: FileId, offset: u64, data: Bytes) -> Result<(), DiskError>;

    /// Writes aligned `data` durably; ends in [`Completion::Write`]. The disk holds `data` until
    /// then; nobody changes it.
    fn submit_write(&mut self, file: FileId, offset: u64, data: Bytes, token: Token);

    /// Reads aligned bytes; ends in [`Completion::Read`].
    fn submit_read(&mut self, file: FileId, offset: u64, len_bytes: usize, token: Token);

    /// Hands requests to the kernel that were only queued so far; called once per loop turn.
    fn flush_submissions(&mut self) {}

    /// Moves finished requests to `completions`, in the order they ended.
    fn poll(&mut self, completions: &mut Vec<Completion>);

    /// Length in bytes of an open file.
    fn len_bytes(&self, file: FileId) -> u64;
}
