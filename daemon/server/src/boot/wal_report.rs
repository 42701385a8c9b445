//! What an operator is told when the write-ahead log cannot be opened or made.

use crate::report::{Code, Report};
use holdfast_io::{DiskError, DiskErrorKind, WalBackend};
use holdfast_wal::WalError;
use std::fmt::Display;
use std::path::Path;

/// A disk that could not be opened.
pub(crate) fn of_disk(path: &Path, backend: WalBackend, error: &DiskError) -> Report {
    let what = format!("the write-ahead log in {} cannot be used", path.display());
    let why = error.to_string();
    match error.kind {
        DiskErrorKind::Full => Report::new(
            Code::WalNoSpace,
            format!("there is no space for the write-ahead log in {}", path.display()),
            why,
            "free space on its file system, or pass a smaller --wal-size",
        ),
        DiskErrorKind::Exhausted => Report::new(
            Code::SystemRefused,
            what,
            why,
            "raise LimitNOFILE= (`ulimit -n`), or free memory on the machine",
        ),
        DiskErrorKind::Locked => Report::new(
            Code::DataDirectoryLocked,
            what,
            why,
            "stop the other holdfastd that uses this --data-dir, or pass another one",
        ),
        DiskErrorKind::Denied if backend == WalBackend::IoUring => Report::new(
            Code::BackendRefused,
            "the kernel refuses io_uring",
            why,
            "pass --wal-backend auto, which falls back to pwritev2",
        ),
        DiskErrorKind::Denied => Report::new(
            Code::DataDirectoryDenied,
            what,
            why,
            "give the daemon's user the directory and its files: it must own and may write them",
        ),
        DiskErrorKind::NotFound => Report::new(
            Code::WalUnreadable,
            what,
            why,
            "restore the missing file, or start with an empty --data-dir",
        ),
        DiskErrorKind::Failed => Report::new(
            Code::DeviceFailed,
            what,
            why,
            "look for device errors in `dmesg`; replace the device before starting again",
        ),
    }
}

/// A log that could not be made or recovered.
pub(crate) fn of_wal(path: &Path, backend: WalBackend, error: &WalError) -> Report {
    match error {
        WalError::Disk(error) | WalError::Failed(error) => of_disk(path, backend, error),
        WalError::Config { .. } => Report::new(
            Code::Usage,
            "the size of the write-ahead log does not work",
            error.to_string(),
            "pass another --wal-size; a log can grow, its segments keep their size",
        ),
        WalError::Foreign { .. } | WalError::AlreadyFormatted { .. } => Report::new(
            Code::DataDirectoryForeign,
            format!("the write-ahead log in {} is not this node's", path.display()),
            error.to_string(),
            "point --data-dir at this node's own directory, or at an empty one",
        ),
        other => of_recovery(path, other),
    }
}

/// Recovery that ended without a node.
pub(crate) fn of_recovery(path: &Path, error: &dyn Display) -> Report {
    Report::new(
        Code::WalUnreadable,
        format!("the write-ahead log in {} cannot be read", path.display()),
        error.to_string(),
        "keep the directory as it is; restore it from a copy, or start with an empty --data-dir",
    )
}
