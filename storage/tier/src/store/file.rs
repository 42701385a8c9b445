//! A directory as an object store: for one node, for trying things out, for a mounted share.
//!
//! The crate below writes a file beside the name, syncs it, renames it and syncs the directory
//! (`with_fsync`; without it nothing is synced). Four things it leaves out are done here: the
//! directories above are synced at every put, because another put may have just made them and not
//! be done; a deletion is synced, so that what was reported gone stays gone; the directory must
//! exist, so that a share that is not mounted is neither written to as an empty one nor believed to
//! have lost an object; and a range is read by one thread in one go, where that crate hands every
//! 8 KiB to another.
//!
//! Caveats: a crash during a put leaves `<name>#<n>` beside it, which no listing shows and nothing
//! removes yet. A full disk is `Busy`: the object is not there, and is tried again.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::ops::Range;
use std::path::{Path as FilePath, PathBuf};
use std::sync::Arc;
use std::thread;

use bytes::Bytes;
use nix::fcntl::{PosixFadviseAdvice, posix_fadvise};
use object_store::local::LocalFileSystem;

use super::adapter::of_system;
use super::{Listed, ObjectStoreAdapter, Store, StoreError, StoreErrorKind, StoreFuture, Upload};
use crate::key::StoreKey;

/// A directory of objects.
#[derive(Clone, Debug)]
pub struct FileStore {
    root: Arc<PathBuf>,
    adapter: ObjectStoreAdapter,
}

impl FileStore {
    /// Opens a directory that exists.
    ///
    /// # Errors
    /// When it does not, or is no directory.
    pub fn open(directory: impl AsRef<FilePath>) -> Result<FileStore, StoreError> {
        let directory = directory.as_ref();
        let attempted = || format!("opening the store in {}", directory.display());
        let no_such =
            |detail: String| StoreError::new(StoreErrorKind::NoSuchStore, attempted(), detail);
        let root = directory.canonicalize().map_err(|error| no_such(error.to_string()))?;
        if !root.is_dir() {
            return Err(no_such("it is not a directory".to_owned()));
        }
        let local = LocalFileSystem::new_with_prefix(&root)
            .map_err(|error| no_such(error.to_string()))?
            .with_fsync(true);
        let adapter = ObjectStoreAdapter::new(Arc::new(local));
        Ok(FileStore { root: Arc::new(root), adapter })
    }

    /// Where the object's bytes lie.
    #[must_use]
    pub fn file_of(&self, key: &StoreKey) -> PathBuf {
        self.root.join(key.as_str())
    }
}

impl Store for FileStore {
    fn put<'a>(&'a self, key: &'a StoreKey, bytes: Vec<Bytes>) -> StoreFuture<'a, ()> {
        Box::pin(async move {
            require(&self.root, key).await?;
            self.adapter.put(key, bytes).await?;
            sync_above(&self.root, key).await
        })
    }

    fn begin_upload<'a>(&'a self, key: &'a StoreKey) -> StoreFuture<'a, Box<dyn Upload>> {
        Box::pin(async move {
            require(&self.root, key).await?;
            let upload = self.adapter.begin_upload(key).await?;
            let root = Arc::clone(&self.root);
            Ok(Box::new(FileUpload { root, key: key.clone(), upload }) as Box<dyn Upload>)
        })
    }

    fn get<'a>(&'a self, key: &'a StoreKey, range: Range<u64>) -> StoreFuture<'a, Bytes> {
        let attempted = format!("reading bytes {}..{} of {key}", range.start, range.end);
        let (root, file) = (Arc::clone(&self.root), self.file_of(key));
        Box::pin(blocking(move || {
            read(&file, range).map_err(|(kind, detail)| {
                // An object that is gone and a share that is: only the first is the object's.
                let is_unmounted = kind == StoreErrorKind::NotFound && !root.is_dir();
                let kind = if is_unmounted { StoreErrorKind::NoSuchStore } else { kind };
                StoreError::new(kind, attempted, detail)
            })
        }))
    }

    fn delete<'a>(&'a self, key: &'a StoreKey) -> StoreFuture<'a, ()> {
        Box::pin(async move {
            require(&self.root, key).await?;
            self.adapter.delete(key).await?;
            sync_above(&self.root, key).await
        })
    }

    fn list<'a>(
        &'a self,
        directory: &'a str,
        after: Option<&'a StoreKey>,
        limit: usize,
    ) -> StoreFuture<'a, Vec<Listed>> {
        self.adapter.list(directory, after, limit)
    }
}

struct FileUpload {
    root: Arc<PathBuf>,
    key: StoreKey,
    upload: Box<dyn Upload>,
}

impl Upload for FileUpload {
    fn put_part(&mut self, bytes: Vec<Bytes>) -> StoreFuture<'_, ()> {
        self.upload.put_part(bytes)
    }

    fn complete(&mut self) -> StoreFuture<'_, ()> {
        Box::pin(async move {
            self.upload.complete().await?;
            sync_above(&self.root, &self.key).await
        })
    }

    fn abort(&mut self) -> StoreFuture<'_, ()> {
        self.upload.abort()
    }
}

/// A range of a file, all of it.
fn read(path: &FilePath, range: Range<u64>) -> Result<Bytes, (StoreErrorKind, String)> {
    let failed = |error: io::Error| match error.kind() {
        io::ErrorKind::NotFound => (StoreErrorKind::NotFound, error.to_string()),
        kind => (of_system(kind), error.to_string()),
    };
    let mut file = File::open(path).map_err(failed)?;
    let len_bytes = file.metadata().map_err(failed)?.len();
    if range.end > len_bytes || range.is_empty() {
        return Err((StoreErrorKind::OutOfRange, format!("it has {len_bytes} bytes")));
    }
    let need = range.end - range.start;
    let mut got = Vec::with_capacity(usize::try_from(need).unwrap_or(usize::MAX));
    file.seek(SeekFrom::Start(range.start)).map_err(failed)?;
    let advise = Advice::on(&file, &range);
    while (got.len() as u64) < need {
        advise.behind(got.len() as u64);
        let more = PIECE_BYTES.min(need - got.len() as u64);
        if (&file).take(more).read_to_end(&mut got).map_err(failed)? == 0 {
            break;
        }
        thread::yield_now();
    }
    if got.len() as u64 != need {
        let detail = format!("{} bytes came instead of {need}", got.len());
        return Err((StoreErrorKind::Interrupted, detail));
    }
    Ok(got.into())
}

/// What the kernel is told to read: a step of the range before it is copied, and nothing behind the
/// range, since what is read next is asked for by those who know. The kernel's own guess is as large as
/// the device's `read_ahead_kb`, megabytes on some, and a log on the same device waits behind all of it.
/// Advice only: a file system may have no ear for it.
struct Advice<'a> {
    file: &'a File,
    range: &'a Range<u64>,
}

impl Advice<'_> {
    fn on<'a>(file: &'a File, range: &'a Range<u64>) -> Advice<'a> {
        let _ = posix_fadvise(file, 0, 0, PosixFadviseAdvice::POSIX_FADV_RANDOM);
        let advice = Advice { file, range };
        advice.fetch(0);
        advice
    }

    /// `done` bytes were copied: at the beginning of a step the one behind it is fetched.
    fn behind(&self, done: u64) {
        if done.is_multiple_of(STEP_BYTES) {
            self.fetch(done + STEP_BYTES);
        }
    }

    fn fetch(&self, from: u64) {
        let start = self.range.start + from;
        let len = STEP_BYTES.min(self.range.end.saturating_sub(start));
        if let (Ok(start), Ok(len @ 1..)) = (i64::try_from(start), i64::try_from(len)) {
            let _ = posix_fadvise(self.file, start, len, PosixFadviseAdvice::POSIX_FADV_WILLNEED);
        }
    }
}

/// Two of these are on their way from the device for one read: enough to stream, and a write that comes
/// between waits less than a millisecond.
const STEP_BYTES: u64 = 512 << 10;
const _: () = assert!(STEP_BYTES.is_multiple_of(PIECE_BYTES));

/// Copied in one go: 30 µs, after which whoever waits for the core has it. A thread that copies
/// megabytes keeps those of producers waiting for whole slices of milliseconds.
const PIECE_BYTES: u64 = 128 << 10;

/// The directory of the store is there: never made again under the eyes of a missing mount.
async fn require(root: &Arc<PathBuf>, key: &StoreKey) -> Result<(), StoreError> {
    let root = Arc::clone(root);
    let attempted = format!("writing {key} below {}", root.display());
    blocking(move || {
        if root.is_dir() {
            return Ok(());
        }
        let detail = "the directory has gone; is it mounted?".to_owned();
        Err(StoreError::new(StoreErrorKind::NoSuchStore, attempted, detail))
    })
    .await
}

/// Syncs every directory from the object's own up to the root, as far as they exist.
async fn sync_above(root: &Arc<PathBuf>, key: &StoreKey) -> Result<(), StoreError> {
    let (root, file) = (Arc::clone(root), root.join(key.as_str()));
    let attempted = format!("syncing the directories of {key}");
    blocking(move || {
        let above = file.ancestors().skip(1).take_while(|directory| directory.starts_with(&*root));
        for directory in above {
            match File::open(directory).and_then(|directory| directory.sync_all()) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => {
                    let detail = format!("{}: {error}", directory.display());
                    return Err(StoreError::new(StoreErrorKind::Failed, attempted, detail));
                }
            }
        }
        Ok(())
    })
    .await
}

/// Off the runtime's threads where there is a runtime.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
) -> Result<T, StoreError> {
    match tokio::runtime::Handle::try_current() {
        Err(_) => work(),
        Ok(runtime) => runtime.spawn_blocking(work).await.unwrap_or_else(|error| {
            let attempted = "working on the store's directory".to_owned();
            Err(StoreError::new(StoreErrorKind::Failed, attempted, error.to_string()))
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[tokio::test]
    async fn a_share_that_is_gone_is_not_an_object_that_is_gone() {
        let root = std::env::temp_dir().join(format!("holdfast-share-{}", std::process::id()));
        fs::create_dir_all(&root).unwrap();
        let store = FileStore::open(&root).unwrap();
        let key = StoreKey::new("a/b").unwrap();
        let kind = async || store.get(&key, 0..1).await.map_err(|error| error.kind());
        assert_eq!(kind().await, Err(StoreErrorKind::NotFound));
        fs::remove_dir_all(&root).unwrap();
        assert_eq!(kind().await, Err(StoreErrorKind::NoSuchStore));
    }

    #[tokio::test]
    async fn a_range_of_any_length_is_exactly_its_bytes() {
        let root = std::env::temp_dir().join(format!("holdfast-range-{}", std::process::id()));
        fs::create_dir_all(&root).unwrap();
        let bytes: Vec<u8> = (0..3 * STEP_BYTES + 77).map(|at| (at % 251) as u8).collect();
        fs::write(root.join("a"), &bytes).unwrap();
        let store = FileStore::open(&root).unwrap();
        let key = StoreKey::new("a").unwrap();
        let (piece, step, len) = (PIECE_BYTES, STEP_BYTES, bytes.len() as u64);
        for start in [0, 1, piece - 1, piece, step - 1, step, 2 * step + 5] {
            for end in [start + 1, start + piece, start + piece + 1, start + step, len] {
                let got = store.get(&key, start..end).await.unwrap();
                assert!(got == bytes[start as usize..end as usize], "{start}..{end}");
            }
        }
        fs::remove_dir_all(root).unwrap();
    }
}
