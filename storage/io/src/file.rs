//! One file, whole transfers: durable writes and exact reads at an offset, blocking.
//!
//! A durable write is `pwritev2` with RWF_DSYNC: the call returns when the bytes are on stable
//! media (FUA where the queue has it, else write then flush). There is no separate flush to
//! forget, and no second flush that could report success for pages already dropped.
#![expect(unsafe_code, reason = "pread and pwritev2 on raw memory")]

use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use bytes::Bytes;
use nix::libc;

use crate::{BLOCK_BYTES, BufferPool};

/// Whether a write waits for stable media.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Durability {
    /// RWF_DSYNC.
    Durable,
    /// The caller will fsync.
    Later,
}

/// Adds O_DIRECT where the file system takes it. Files are for our user only.
pub(crate) fn open_options(direct_io: bool) -> OpenOptions {
    let mut options = OpenOptions::new();
    options.mode(0o600).custom_flags(if direct_io { libc::O_DIRECT } else { 0 });
    options
}

/// Whether the file system opens `path` with O_DIRECT.
pub(crate) fn takes_direct_io(path: &Path) -> io::Result<bool> {
    match open_options(true).read(true).open(path) {
        Ok(_) => Ok(true),
        Err(error) if error.raw_os_error() == Some(libc::EINVAL) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Asserts what the contract asks of every transfer.
pub(crate) fn assert_aligned(offset: u64, len_bytes: usize) {
    assert!(len_bytes > 0, "an empty transfer says nothing");
    assert!(offset.is_multiple_of(BLOCK_BYTES as u64), "offset {offset} is not block-aligned");
    assert!(len_bytes.is_multiple_of(BLOCK_BYTES), "length {len_bytes} is not block-aligned");
}

/// Asserts what the contract asks of a write: aligned, in aligned memory, inside the file.
pub(crate) fn assert_writable(file_len_bytes: u64, offset: u64, data: &Bytes) {
    assert_aligned(offset, data.len());
    let address = data.as_ptr() as usize;
    assert!(address.is_multiple_of(BLOCK_BYTES), "data to write must come from an AlignedBuf");
    let end = offset.checked_add(data.len() as u64);
    assert!(
        end.is_some_and(|end| end <= file_len_bytes),
        "{} bytes at {offset} pass the end of a file of {file_len_bytes}: files never grow",
        data.len()
    );
}

/// Writes all of `data` at `offset`.
///
/// A short write is resumed behind the last whole block; one that moved less than a block is an
/// error, because resuming there would be unaligned.
pub(crate) fn write_all(
    file: &File,
    offset: u64,
    data: &[u8],
    durability: Durability,
) -> io::Result<()> {
    let flags = if durability == Durability::Durable { libc::RWF_DSYNC } else { 0 };
    let mut done = 0;
    while done < data.len() {
        let rest = &data[done..];
        let vector = libc::iovec { iov_base: rest.as_ptr().cast_mut().cast(), iov_len: rest.len() };
        let at = file_offset(offset + done as u64)?;
        // SAFETY: `vector` describes `rest`, borrowed for the whole call; pwritev2 only reads it.
        let written = unsafe { libc::pwritev2(file.as_raw_fd(), &raw const vector, 1, at, flags) };
        match progress(written, rest.len()) {
            Ok(moved) => done += moved,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Reads exactly `len_bytes` (whole blocks) at `offset`.
pub(crate) fn read_exact(
    file: &File,
    offset: u64,
    len_bytes: usize,
    pool: &BufferPool,
) -> io::Result<Bytes> {
    let mut buf = pool.take(len_bytes);
    while buf.filled_bytes() < len_bytes {
        let missing = len_bytes - buf.filled_bytes();
        let at = file_offset(offset + buf.filled_bytes() as u64)?;
        // SAFETY: the buffer has room for `len_bytes`, so `missing` bytes at its spare start are
        // ours to write; the buffer outlives the call.
        let read = unsafe { libc::pread(file.as_raw_fd(), buf.spare_start().cast(), missing, at) };
        match progress(read, missing) {
            // SAFETY: the kernel has just written `moved` bytes at the spare start.
            Ok(moved) => unsafe { buf.assume_appended(moved) },
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(buf.freeze())
}

/// What a transfer of `wanted` bytes moved, cut down to whole blocks; at least one block.
pub(crate) fn whole_blocks(moved: usize, wanted: usize) -> io::Result<usize> {
    assert!(moved <= wanted);
    let whole = moved - moved % BLOCK_BYTES;
    if whole > 0 {
        return Ok(whole);
    }
    let kind = if moved == 0 { io::ErrorKind::UnexpectedEof } else { io::ErrorKind::Other };
    Err(io::Error::new(kind, format!("only {moved} of {wanted} bytes were transferred")))
}

fn progress(returned: isize, wanted: usize) -> io::Result<usize> {
    match usize::try_from(returned) {
        Ok(moved) => whole_blocks(moved, wanted),
        Err(_) => Err(io::Error::last_os_error()),
    }
}

fn file_offset(offset: u64) -> io::Result<libc::off_t> {
    libc::off_t::try_from(offset).map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))
}
