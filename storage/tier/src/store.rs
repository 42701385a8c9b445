//! The border to the site's object store.
//!
//! ```text
//! Store (trait) ◀── ObjectStoreAdapter: a bucket             s3://bucket/prefix
//!               ◀── FileStore: a directory, durable          file:///srv/objects
//!               ◀── MemoryStore: in memory, with faults       tests and simulation
//! ```
//!
//! One contract (below, on [`Store`]), one suite (`store/conformance.rs`) that all pass. Nothing of
//! what is put here is trusted on the way back: objects carry their own checksums.

mod adapter;
#[cfg(any(test, feature = "conformance"))]
pub mod conformance;
mod error;
mod file;
mod memory;
pub mod probe;
mod s3;

use std::fmt;
use std::future::Future;
use std::ops::Range;
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;

use crate::key::StoreKey;

pub use adapter::ObjectStoreAdapter;
pub use error::{Action, Outcome, StoreError, StoreErrorKind};
pub use file::FileStore;
pub use memory::{Fault, MemoryStore, Operation};
pub use s3::{Bucket, Checksum, Encryption, Endpoint, Patience, REGION_DEFAULT, S3Options};

/// What a call of a [`Store`] returns.
pub type StoreFuture<'a, T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send + 'a>>;

/// An object as the store lists it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Listed {
    /// Its name.
    pub key: StoreKey,
    /// Its length.
    pub len_bytes: u64,
}

/// A store of immutable objects.
///
/// **Whole or not at all**: a key has all bytes of a put or does not exist. **Durable**: once a put
/// or `complete` is `Ok`, no power cut takes the object (a remote store says so itself).
/// **Write once** is the caller's promise: a key is never put with other bytes. So a put may be
/// repeated after an unknown outcome, and no store needs conditional writes. **Reads see finished
/// puts**; LIST may lag on some stores, and nothing depends on it.
///
/// A dropped future is an unknown outcome, as a failed connection is: time limits are the caller's.
/// An error says what to do ([`StoreError::action`]) and whether it happened
/// ([`StoreError::outcome`]).
pub trait Store: fmt::Debug + Send + Sync {
    /// Puts an object in one request.
    fn put<'a>(&'a self, key: &'a StoreKey, bytes: Vec<Bytes>) -> StoreFuture<'a, ()>;

    /// Begins an object of several parts.
    fn begin_upload<'a>(&'a self, key: &'a StoreKey) -> StoreFuture<'a, Box<dyn Upload>>;

    /// Exactly the bytes of `range`, which is not empty; fewer are an error.
    fn get<'a>(&'a self, key: &'a StoreKey, range: Range<u64>) -> StoreFuture<'a, Bytes>;

    /// Removes an object. That there is none is `Ok`: a deletion may be repeated.
    fn delete<'a>(&'a self, key: &'a StoreKey) -> StoreFuture<'a, ()>;

    /// The first `limit` objects, ascending by key, below `directory` (without a slash at its end;
    /// empty is everything) and behind `after`. Unfinished uploads are not among them.
    fn list<'a>(
        &'a self,
        directory: &'a str,
        after: Option<&'a StoreKey>,
        limit: usize,
    ) -> StoreFuture<'a, Vec<Listed>>;
}

/// An object on its way. An error ends it. Dropped before `complete`, it leaves nothing a reader could see; what the
/// store keeps of it is for the store's own clean-up (S3: a lifecycle rule for multipart uploads).
pub trait Upload: Send {
    /// Adds the next part: [`crate::limits::PART_BYTES`], the last one at most that.
    fn put_part(&mut self, bytes: Vec<Bytes>) -> StoreFuture<'_, ()>;

    /// Makes the object of all parts. Called once.
    fn complete(&mut self) -> StoreFuture<'_, ()>;

    /// Gives it up.
    fn abort(&mut self) -> StoreFuture<'_, ()>;
}

/// Opens the store of a URL. A bucket is not asked for anything yet, so one that is away opens.
///
/// Connections of a bucket live on the runtime of those who use it: those who must not wait for each
/// other open it each for themselves.
///
/// # Errors
/// When the URL is not one this build knows, an option is wrong, or the directory is not there.
pub fn open(
    url: &str,
    options: &S3Options,
    patience: Patience,
) -> Result<Arc<dyn Store>, StoreError> {
    if url.starts_with("s3://") {
        return Ok(Arc::new(s3::open(url, options, patience)?));
    }
    match url.strip_prefix("file://") {
        Some(directory) if directory.starts_with('/') => Ok(Arc::new(FileStore::open(directory)?)),
        _ => Err(StoreError::new(
            StoreErrorKind::Unsupported,
            format!("opening the store {url:?}"),
            "this build knows s3://bucket/prefix and file:///absolute/directory".to_owned(),
        )),
    }
}
