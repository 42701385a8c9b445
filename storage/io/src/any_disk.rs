//! The back end that follows from the setting and from what the kernel allows.
//!
//! | asked for | io_uring available | opened |
//! | --- | --- | --- |
//! | `auto` | yes | io_uring |
//! | `auto` | no | pwritev2, with a note that says why and what to try |
//! | `io_uring` | yes | io_uring |
//! | `io_uring` | no | nothing: `Denied`, with the same words |
//! | `pwritev2` | – | pwritev2 |
//!
//! RHEL 9 forbids io_uring by default, container profiles often do, so falling back is normal
//! and not an error; it is shown by `holdfast status`.

use std::fmt;
use std::path::Path;
use std::str::FromStr;

use bytes::Bytes;

use crate::status::DiskStatus;
use crate::uring::{self, UringForbidden};
use crate::{
    Completion, Disk, DiskError, DiskOptions, FileId, Pwritev2Disk, Token, UringDisk, WaitableDisk,
    Waker,
};

/// The setting `--wal-backend`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum WalBackend {
    /// io_uring where the kernel allows it, else `pwritev2`.
    #[default]
    Auto,
    /// io_uring or nothing.
    IoUring,
    /// `pwritev2` on helper threads.
    Pwritev2,
}

impl FromStr for WalBackend {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "auto" => Ok(WalBackend::Auto),
            "io_uring" | "io-uring" => Ok(WalBackend::IoUring),
            "pwritev2" => Ok(WalBackend::Pwritev2),
            other => Err(format!("no WAL back end {other:?}: take auto, io_uring or pwritev2")),
        }
    }
}

impl fmt::Display for WalBackend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            WalBackend::Auto => "auto",
            WalBackend::IoUring => "io_uring",
            WalBackend::Pwritev2 => "pwritev2",
        })
    }
}

/// The WAL directory of a lane, whichever way it is written.
pub struct AnyDisk {
    backend: Backend,
    /// Why it is not the back end of choice.
    notes: Vec<String>,
}

#[expect(clippy::large_enum_variant, reason = "one per lane, never moved once it runs")]
enum Backend {
    Uring(UringDisk),
    Pwritev2(Pwritev2Disk),
}

macro_rules! either {
    ($backend:expr, $disk:ident => $call:expr) => {
        match $backend {
            Backend::Uring($disk) => $call,
            Backend::Pwritev2($disk) => $call,
        }
    };
}

impl AnyDisk {
    /// Opens the existing directory at `path` by the table above.
    ///
    /// # Errors
    /// As the back end's `open`.
    pub fn open(
        path: &Path,
        backend: WalBackend,
        options: DiskOptions,
    ) -> Result<AnyDisk, DiskError> {
        AnyDisk::open_probed(path, backend, options, uring::probe())
    }

    fn open_probed(
        path: &Path,
        backend: WalBackend,
        options: DiskOptions,
        ring: Result<(), UringForbidden>,
    ) -> Result<AnyDisk, DiskError> {
        let mut notes = Vec::new();
        let backend = match (backend, ring) {
            (WalBackend::Pwritev2, _) => Backend::Pwritev2(Pwritev2Disk::open(path, options)?),
            (WalBackend::Auto | WalBackend::IoUring, Ok(())) => {
                Backend::Uring(UringDisk::open(path, options)?)
            }
            (WalBackend::IoUring, Err(forbidden)) => return Err(forbidden.into()),
            (WalBackend::Auto, Err(UringForbidden { why, what_to_try })) => {
                tracing::info!(%why, %what_to_try, "the WAL is written with pwritev2");
                notes.push(format!("io_uring is not used: {why}; to change it: {what_to_try}"));
                Backend::Pwritev2(Pwritev2Disk::open(path, options)?)
            }
        };
        Ok(AnyDisk { backend, notes })
    }
}

impl Disk for AnyDisk {
    fn list(&self) -> Result<Vec<(String, u64)>, DiskError> {
        either!(&self.backend, disk => disk.list())
    }

    fn open(&mut self, name: &str) -> Result<FileId, DiskError> {
        either!(&mut self.backend, disk => Disk::open(disk, name))
    }

    fn create(&mut self, name: &str, len_bytes: u64) -> Result<FileId, DiskError> {
        either!(&mut self.backend, disk => disk.create(name, len_bytes))
    }

    fn submit_create(&mut self, name: &str, len_bytes: u64, token: Token) {
        either!(&mut self.backend, disk => disk.submit_create(name, len_bytes, token));
    }

    fn read(&self, file: FileId, offset: u64, len_bytes: usize) -> Result<Bytes, DiskError> {
        either!(&self.backend, disk => disk.read(file, offset, len_bytes))
    }

    fn write(&mut self, file: FileId, offset: u64, data: Bytes) -> Result<(), DiskError> {
        either!(&mut self.backend, disk => disk.write(file, offset, data))
    }

    fn submit_write(&mut self, file: FileId, offset: u64, data: Bytes, token: Token) {
        either!(&mut self.backend, disk => disk.submit_write(file, offset, data, token));
    }

    fn submit_read(&mut self, file: FileId, offset: u64, len_bytes: usize, token: Token) {
        either!(&mut self.backend, disk => disk.submit_read(file, offset, len_bytes, token));
    }

    fn flush_submissions(&mut self) {
        either!(&mut self.backend, disk => disk.flush_submissions());
    }

    fn poll(&mut self, completions: &mut Vec<Completion>) {
        either!(&mut self.backend, disk => disk.poll(completions));
    }

    fn len_bytes(&self, file: FileId) -> u64 {
        either!(&self.backend, disk => disk.len_bytes(file))
    }
}

impl WaitableDisk for AnyDisk {
    fn waker(&self) -> Waker {
        either!(&self.backend, disk => disk.waker())
    }

    fn wait(&mut self, timeout_ns: Option<u64>) {
        either!(&mut self.backend, disk => disk.wait(timeout_ns));
    }

    fn status(&self) -> DiskStatus {
        let mut status = either!(&self.backend, disk => disk.status());
        status.notes.extend(self.notes.iter().cloned());
        status
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::DiskErrorKind;
    use crate::conformance::{self, Subject};
    use crate::testing::ScratchDirectory;

    fn forbidden() -> UringForbidden {
        UringForbidden { why: "because".to_owned(), what_to_try: "a sysctl".to_owned() }
    }

    fn opened(
        backend: WalBackend,
        ring: Result<(), UringForbidden>,
    ) -> Result<DiskStatus, DiskError> {
        let scratch = ScratchDirectory::new("probe");
        AnyDisk::open_probed(scratch.path(), backend, DiskOptions::default(), ring)
            .map(|disk| disk.status())
    }

    #[test]
    fn every_row_of_the_table_holds() {
        assert_eq!(opened(WalBackend::Auto, Ok(())).unwrap().backend, "io_uring");
        let fallen_back = opened(WalBackend::Auto, Err(forbidden())).unwrap();
        assert_eq!(fallen_back.backend, "pwritev2");
        assert!(fallen_back.notes.iter().any(|note| note.contains("a sysctl")));
        assert_eq!(opened(WalBackend::IoUring, Ok(())).unwrap().backend, "io_uring");
        let refused = opened(WalBackend::IoUring, Err(forbidden())).unwrap_err();
        assert_eq!(refused.kind, DiskErrorKind::Denied);
        assert!(refused.detail.contains("a sysctl"));
        assert_eq!(opened(WalBackend::Pwritev2, Ok(())).unwrap().backend, "pwritev2");
        assert_eq!(opened(WalBackend::Pwritev2, Err(forbidden())).unwrap().backend, "pwritev2");
    }

    #[test]
    fn a_setting_reads_back_as_it_prints() {
        for backend in [WalBackend::Auto, WalBackend::IoUring, WalBackend::Pwritev2] {
            assert_eq!(backend.to_string().parse(), Ok(backend));
        }
        assert!("fsync".parse::<WalBackend>().unwrap_err().contains("pwritev2"));
    }

    #[test]
    fn the_chosen_disk_conforms() {
        let scratch = ScratchDirectory::new("any");
        let open = || AnyDisk::open(scratch.path(), WalBackend::Auto, DiskOptions::default());
        let mut subject =
            Subject { open: &mut || open(), drive: &mut |disk: &mut AnyDisk| disk.wait(None) };
        conformance::run(&mut subject);
    }
}
