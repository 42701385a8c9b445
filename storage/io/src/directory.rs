//! A WAL directory on a real file system: its lock, its files, and how one is made.
//!
//! ```text
//! LOCK             flock'ed by the process that owns the directory; holds its pid for messages
//! <name>           a finished file: full length, zeros written, synced, name durable
//! <name>.creating  a file being filled; removed at the next open
//! ```
//!
//! A file gets its name by `rename` after it was filled and synced, so a name that can be seen
//! always stands for a whole file, whenever the power goes. Both back ends share this.
//!
//! Caveat: the directory itself is not created here. If the WAL's file system is not mounted,
//! the mount point is empty or missing, and making it would put the WAL on the wrong disk.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};
use nix::libc;

use crate::file::{self, Durability};
use crate::status::DeviceFacts;
use crate::{AlignedBuf, BLOCK_BYTES, BufferPool, DiskError, DiskErrorKind, FileId};

#[cfg(test)]
mod tests;

/// For `status`.
pub(crate) const NO_DIRECT_IO: &str = "the file system refused O_DIRECT: writes pass through the \
     page cache (still durable before they are acknowledged), which costs memory and copies";

const LOCK_NAME: &str = "LOCK";
const CREATING_SUFFIX: &str = ".creating";
/// Zeros are written in pieces of this size: large enough for the device's full speed, small
/// enough that the lane's own writes wait behind at most one.
const ZERO_CHUNK_BYTES: usize = 1 << 20;

/// A directory we hold the lock of, with the files opened so far.
pub(crate) struct Directory {
    place: Arc<Place>,
    /// Indexed by [`FileId`]; grows only.
    files: Vec<OpenFile>,
    /// Released by the kernel when this is closed, also after kill -9.
    _lock: Flock<File>,
}

/// What a helper thread needs to make a file.
#[derive(Debug)]
pub(crate) struct Place {
    pub(crate) path: PathBuf,
    /// The directory itself, for fsync.
    handle: File,
    pub(crate) direct_io: bool,
}

/// A file and the length that was found or written; no file changes its length.
#[derive(Clone, Debug)]
pub(crate) struct OpenFile {
    pub(crate) name: Arc<str>,
    pub(crate) file: Arc<File>,
    pub(crate) len_bytes: u64,
}

impl Directory {
    /// Takes the lock and removes half-made files.
    pub(crate) fn open(path: &Path) -> Result<Directory, DiskError> {
        let opening = || format!("opening the WAL directory {}", path.display());
        let handle = File::open(path).map_err(|error| disk_error(opening(), &error))?;
        let lock = lock(path)?;
        let direct_io = file::takes_direct_io(&path.join(LOCK_NAME))
            .map_err(|error| disk_error(opening(), &error))?;
        let place = Place { path: path.to_owned(), handle, direct_io };
        let directory = Directory { place: Arc::new(place), files: Vec::new(), _lock: lock };
        for name in directory.names()? {
            if name.ends_with(CREATING_SUFFIX) {
                fs::remove_file(path.join(&name)).map_err(|error| {
                    disk_error(format!("removing the unfinished {name}"), &error)
                })?;
            }
        }
        Ok(directory)
    }

    pub(crate) fn place(&self) -> &Arc<Place> {
        &self.place
    }

    pub(crate) fn device_facts(&self) -> DeviceFacts {
        DeviceFacts::of(&self.place.path)
    }

    /// Names of regular files, sorted.
    fn names(&self) -> Result<Vec<String>, DiskError> {
        let listing = || format!("listing {}", self.place.path.display());
        let failed = |error: io::Error| disk_error(listing(), &error);
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.place.path).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            if entry.file_type().map_err(failed)?.is_file()
                && let Ok(name) = entry.file_name().into_string()
            {
                names.push(name);
            }
        }
        names.sort();
        Ok(names)
    }

    pub(crate) fn list(&self) -> Result<Vec<(String, u64)>, DiskError> {
        let mut list = Vec::new();
        for name in self.names()? {
            if is_file_name(&name) {
                let metadata = fs::metadata(self.place.path.join(&name))
                    .map_err(|error| disk_error(format!("looking at {name}"), &error))?;
                list.push((name, metadata.len()));
            }
        }
        Ok(list)
    }

    pub(crate) fn open_file(&mut self, name: &str) -> Result<FileId, DiskError> {
        let opened = self.place.open_file(name)?;
        Ok(self.add(opened))
    }

    pub(crate) fn add(&mut self, file: OpenFile) -> FileId {
        let id = u32::try_from(self.files.len()).expect("descriptors run out before ids do");
        self.files.push(file);
        FileId(id)
    }

    /// # Panics
    /// When `id` is not of this directory.
    pub(crate) fn file(&self, id: FileId) -> &OpenFile {
        self.files.get(id.0 as usize).expect("a FileId comes from the disk it is used with")
    }
}

impl Place {
    fn open_file(&self, name: &str) -> Result<OpenFile, DiskError> {
        assert_file_name(name);
        let failed = |error: io::Error| disk_error(format!("opening {name}"), &error);
        let file = file::open_options(self.direct_io)
            .read(true)
            .write(true)
            .open(self.path.join(name))
            .map_err(failed)?;
        let len_bytes = file.metadata().map_err(failed)?.len();
        Ok(OpenFile { name: name.into(), file: Arc::new(file), len_bytes })
    }

    /// Makes a file of zeros under its final name. A file of that name is replaced.
    pub(crate) fn create_file(&self, name: &str, len_bytes: u64) -> Result<OpenFile, DiskError> {
        assert_new_file(name, len_bytes);
        let unfinished = self.path.join(format!("{name}{CREATING_SUFFIX}"));
        let made = self.fill_and_name(name, &unfinished, len_bytes);
        if made.is_err() {
            // Best effort: what stays is removed at the next open.
            let _ = fs::remove_file(&unfinished);
        }
        let file = made.map_err(|error| {
            disk_error(format!("creating {name} with {len_bytes} bytes of zeros"), &error)
        })?;
        Ok(OpenFile { name: name.into(), file: Arc::new(file), len_bytes })
    }

    fn fill_and_name(&self, name: &str, unfinished: &Path, len_bytes: u64) -> io::Result<File> {
        let file = file::open_options(self.direct_io)
            .read(true)
            .write(true)
            .create(true)
            .truncate(true)
            .open(unfinished)?;
        let zeros = zeros();
        let mut offset = 0;
        while offset < len_bytes {
            let rest = usize::try_from(len_bytes - offset).unwrap_or(usize::MAX);
            let chunk = &zeros[..rest.min(ZERO_CHUNK_BYTES)];
            file::write_all(&file, offset, chunk, Durability::Later)?;
            offset += chunk.len() as u64;
        }
        file.sync_all()?;
        fs::rename(unfinished, self.path.join(name))?;
        self.handle.sync_all()?;
        Ok(file)
    }
}

impl OpenFile {
    pub(crate) fn assert_writable(&self, offset: u64, data: &Bytes) {
        file::assert_writable(self.len_bytes, offset, data);
    }

    /// Reads exactly; the range must lie inside the file.
    pub(crate) fn read(
        &self,
        offset: u64,
        len_bytes: usize,
        pool: &BufferPool,
    ) -> Result<Bytes, DiskError> {
        file::read_exact(&self.file, offset, len_bytes, pool)
            .map_err(|error| self.read_error(offset, len_bytes, &error))
    }

    pub(crate) fn write_durably(&self, offset: u64, data: &Bytes) -> Result<(), DiskError> {
        file::write_all(&self.file, offset, data, Durability::Durable)
            .map_err(|error| self.write_error(offset, data.len(), &error))
    }

    pub(crate) fn read_error(&self, offset: u64, len_bytes: usize, error: &io::Error) -> DiskError {
        let attempted = format!("reading {len_bytes} bytes at {offset} of {}", self.name);
        DiskError { kind: DiskErrorKind::Failed, attempted, detail: error.to_string() }
    }

    /// Whatever the kernel says, a write that did not end well leaves the device in doubt.
    pub(crate) fn write_error(
        &self,
        offset: u64,
        len_bytes: usize,
        error: &io::Error,
    ) -> DiskError {
        let attempted = format!("writing {len_bytes} bytes at {offset} of {} durably", self.name);
        DiskError { kind: DiskErrorKind::Failed, attempted, detail: error.to_string() }
    }
}

fn zeros() -> Bytes {
    let mut buf = AlignedBuf::unpooled(ZERO_CHUNK_BYTES);
    buf.reserve_zeroed(ZERO_CHUNK_BYTES);
    buf.freeze()
}

fn lock(path: &Path) -> Result<Flock<File>, DiskError> {
    let lock_path = path.join(LOCK_NAME);
    let attempted = || format!("locking {}", lock_path.display());
    let file = fs::OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(&lock_path)
        .map_err(|error| disk_error(attempted(), &error))?;
    match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
        Ok(lock) => {
            // For the message below only; a full disk is no reason not to start.
            let _ = fs::write(&lock_path, format!("{}\n", std::process::id()));
            Ok(lock)
        }
        Err((_, Errno::EWOULDBLOCK)) => {
            let holder = fs::read_to_string(&lock_path).unwrap_or_default();
            let detail = format!(
                "another process has the directory open (it wrote its pid: {}); stop it first",
                holder.trim()
            );
            Err(DiskError { kind: DiskErrorKind::Locked, attempted: attempted(), detail })
        }
        Err((_, errno)) => Err(disk_error(attempted(), &errno.into())),
    }
}

fn is_file_name(name: &str) -> bool {
    name != LOCK_NAME && !name.ends_with(CREATING_SUFFIX)
}

/// Names come from our own code, never from outside.
pub(crate) fn assert_file_name(name: &str) {
    let plain = !name.is_empty() && !name.starts_with('.') && !name.contains('/');
    assert!(plain && is_file_name(name), "{name:?} is no name for a file here");
}

/// What the contract asks of a file to be made.
pub(crate) fn assert_new_file(name: &str, len_bytes: u64) {
    assert_file_name(name);
    assert!(len_bytes > 0 && len_bytes.is_multiple_of(BLOCK_BYTES as u64));
}

/// Sorts the kernel's word by what the caller can do.
pub(crate) fn disk_error(attempted: String, error: &io::Error) -> DiskError {
    let kind = match error.raw_os_error() {
        Some(libc::ENOSPC | libc::EDQUOT | libc::EFBIG) => DiskErrorKind::Full,
        // Said by open: a crowd of connections must not look like a broken device.
        Some(libc::EMFILE | libc::ENFILE | libc::ENOMEM) => DiskErrorKind::Exhausted,
        Some(libc::ENOENT | libc::ENOTDIR) => DiskErrorKind::NotFound,
        Some(libc::EACCES | libc::EPERM | libc::EROFS) => DiskErrorKind::Denied,
        _ => DiskErrorKind::Failed,
    };
    DiskError { kind, attempted, detail: error.to_string() }
}
