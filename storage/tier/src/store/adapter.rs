//! Any store of the `object_store` crate behind our contract.
//!
//! That crate signs, retries, splits and lists; what it leaves to its callers is here: a short
//! answer is an error, a deletion of nothing is none, pages of a listing are sorted, and each of
//! its errors has an action and an outcome, by the first in its chain of causes that tells one:
//!
//! | cause | kind |
//! | --- | --- |
//! | an answer of the store | see `s3/answers.rs` |
//! | a certificate, or TLS otherwise | Untrusted |
//! | no connection | Unreachable |
//! | no answer in time, cut off, not understood | Interrupted |
//! | an error of the operating system | its own |
//!
//! Caveats: a page of [`Store::list`] walks the whole directory where the store lists unsorted (a
//! local directory does), holding one page. Errors without a class of their own come as
//! `Failed`, which is the careful side.

use std::collections::BTreeMap;
use std::error::Error as StdError;
use std::io;
use std::ops::Range;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use object_store::client::{HttpError, HttpErrorKind};
use object_store::path::Path;
use object_store::{
    Error, GetOptions, GetRange, MultipartUpload, ObjectStore, ObjectStoreExt, PutPayload,
};

use super::s3::Answered;
use super::{Listed, Store, StoreError, StoreErrorKind, StoreFuture, Upload};
use crate::key::StoreKey;

/// What `object_store` calls a bucket in its errors.
const BUCKET: &str = "S3";

/// A store of the `object_store` crate.
#[derive(Clone, Debug)]
pub struct ObjectStoreAdapter {
    inner: Arc<dyn ObjectStore>,
    /// It lists by name.
    is_ordered: bool,
}

impl ObjectStoreAdapter {
    /// Wraps one.
    #[must_use]
    pub fn new(inner: Arc<dyn ObjectStore>) -> ObjectStoreAdapter {
        ObjectStoreAdapter { inner, is_ordered: false }
    }

    /// Wraps one that lists by name, as S3 does: a page of ours ends where it is full. Whoever is not
    /// sure asks the probe.
    #[must_use]
    pub fn ordered(inner: Arc<dyn ObjectStore>) -> ObjectStoreAdapter {
        ObjectStoreAdapter { inner, is_ordered: true }
    }
}

impl Store for ObjectStoreAdapter {
    fn put<'a>(&'a self, key: &'a StoreKey, bytes: Vec<Bytes>) -> StoreFuture<'a, ()> {
        Box::pin(async move {
            let payload: PutPayload = bytes.into_iter().collect();
            self.inner
                .put(&path(key), payload)
                .await
                .map_err(|error| sort("putting", key, &error))?;
            Ok(())
        })
    }

    fn begin_upload<'a>(&'a self, key: &'a StoreKey) -> StoreFuture<'a, Box<dyn Upload>> {
        Box::pin(async move {
            let begun = self.inner.put_multipart(&path(key)).await;
            let upload = begun.map_err(|error| sort("beginning an upload of", key, &error))?;
            Ok(Box::new(AdapterUpload { key: key.clone(), upload }) as Box<dyn Upload>)
        })
    }

    fn get<'a>(&'a self, key: &'a StoreKey, range: Range<u64>) -> StoreFuture<'a, Bytes> {
        Box::pin(async move {
            let attempted = || format!("reading bytes {}..{} of {key}", range.start, range.end);
            let options = GetOptions {
                range: Some(GetRange::Bounded(range.clone())),
                ..GetOptions::default()
            };
            let answer = match self.inner.get_opts(&path(key), options).await {
                Ok(answer) => answer,
                Err(error) => {
                    let mut sorted = sort_read(attempted(), &error);
                    // A range behind the end has no error of its own: the length tells.
                    if matches!(sorted.kind(), StoreErrorKind::Failed | StoreErrorKind::Interrupted)
                        && let Ok(meta) = self.inner.head(&path(key)).await
                        && meta.size < range.end
                    {
                        let detail = format!("it has {} bytes", meta.size);
                        sorted = StoreError::new(StoreErrorKind::OutOfRange, attempted(), detail);
                    }
                    return Err(sorted);
                }
            };
            if answer.range != range {
                let detail = format!("it has {} bytes", answer.meta.size);
                return Err(StoreError::new(StoreErrorKind::OutOfRange, attempted(), detail));
            }
            let need = range.end - range.start;
            let mut got = BytesMut::new();
            let mut stream = answer.into_stream();
            let mut only: Option<Bytes> = None;
            while let Some(chunk) = stream.next().await {
                let chunk = chunk.map_err(|error| sort_read(attempted(), &error))?;
                // Never more than was asked for, whatever the store sends.
                let have = only.as_ref().map_or(got.len(), Bytes::len) + chunk.len();
                if have as u64 > need {
                    let detail = format!("{have} bytes came instead of {need}");
                    return Err(StoreError::new(StoreErrorKind::Interrupted, attempted(), detail));
                }
                // One chunk is handed on as it is; only several are copied together.
                if only.is_none() && got.is_empty() {
                    only = Some(chunk);
                    continue;
                }
                if let Some(first) = only.take() {
                    got.reserve(need as usize);
                    got.extend_from_slice(&first);
                }
                got.extend_from_slice(&chunk);
            }
            let got = only.unwrap_or_else(|| got.freeze());
            if got.len() as u64 != need {
                let detail = format!("{} bytes came instead of {need}", got.len());
                return Err(StoreError::new(StoreErrorKind::Interrupted, attempted(), detail));
            }
            Ok(got)
        })
    }

    fn delete<'a>(&'a self, key: &'a StoreKey) -> StoreFuture<'a, ()> {
        Box::pin(async move {
            match self.inner.delete(&path(key)).await {
                Ok(()) | Err(Error::NotFound { .. }) => Ok(()),
                Err(error) => Err(sort("deleting", key, &error)),
            }
        })
    }

    fn list<'a>(
        &'a self,
        directory: &'a str,
        after: Option<&'a StoreKey>,
        limit: usize,
    ) -> StoreFuture<'a, Vec<Listed>> {
        Box::pin(async move {
            let attempted = || format!("listing {directory:?}");
            let prefix = (!directory.is_empty()).then(|| Path::from(directory));
            let mut stream = match after {
                Some(after) => self.inner.list_with_offset(prefix.as_ref(), &path(after)),
                None => self.inner.list(prefix.as_ref()),
            };
            let mut page = BTreeMap::new();
            while let Some(meta) = stream.next().await {
                if self.is_ordered && page.len() == limit {
                    break;
                }
                let meta = meta.map_err(|error| sort_read(attempted(), &error))?;
                // What others put there under names we never make is not ours to list.
                let Ok(key) = StoreKey::new(meta.location.as_ref()) else { continue };
                if after.is_some_and(|after| key <= *after) {
                    continue;
                }
                page.insert(key, meta.size);
                if page.len() > limit {
                    page.pop_last();
                }
            }
            Ok(page.into_iter().map(|(key, len_bytes)| Listed { key, len_bytes }).collect())
        })
    }
}

struct AdapterUpload {
    key: StoreKey,
    upload: Box<dyn MultipartUpload>,
}

impl Upload for AdapterUpload {
    fn put_part(&mut self, bytes: Vec<Bytes>) -> StoreFuture<'_, ()> {
        let payload: PutPayload = bytes.into_iter().collect();
        let part = self.upload.put_part(payload);
        Box::pin(async move {
            match part.await {
                Ok(()) => Ok(()),
                Err(error) => {
                    Err(self.given_up(sort("putting a part of", &self.key, &error)).await)
                }
            }
        })
    }

    fn complete(&mut self) -> StoreFuture<'_, ()> {
        Box::pin(async move {
            match self.upload.complete().await {
                Ok(_) => Ok(()),
                Err(error) => Err(self.given_up(sort("completing", &self.key, &error)).await),
            }
        })
    }

    fn abort(&mut self) -> StoreFuture<'_, ()> {
        Box::pin(async move {
            let aborted = self.upload.abort().await;
            aborted.map_err(|error| sort("aborting", &self.key, &error))
        })
    }
}

impl AdapterUpload {
    /// A failure ends an upload, which is begun anew: its parts would stay in the store for each try,
    /// where no rule of the bucket removes them. Once, and whatever comes of it.
    async fn given_up(&mut self, why: StoreError) -> StoreError {
        if why.kind() != StoreErrorKind::Unreachable {
            let _ = self.upload.abort().await;
        }
        why
    }
}

fn path(key: &StoreKey) -> Path {
    Path::from(key.as_str())
}

fn sort(verb: &str, key: &StoreKey, error: &Error) -> StoreError {
    sort_read(format!("{verb} {key}"), error)
}

fn sort_read(attempted: String, error: &Error) -> StoreError {
    StoreError::new(kind_of(error), attempted, detail_of(error))
}

/// The words that say why: the store's own, or those of the cause at the bottom.
fn detail_of(error: &Error) -> String {
    if let Some(answered) = find::<Answered>(error) {
        return answered.to_string();
    }
    let Some(of_http) = find::<HttpError>(error) else { return error.to_string() };
    let mut words = of_http.to_string();
    let mut next = of_http.source().and_then(StdError::source);
    while let Some(cause) = next {
        words = cause.to_string();
        next = cause.source();
    }
    words
}

fn kind_of(error: &Error) -> StoreErrorKind {
    match error {
        Error::NotFound { .. } => StoreErrorKind::NotFound,
        Error::PermissionDenied { .. } | Error::Unauthenticated { .. } => StoreErrorKind::Denied,
        Error::NotSupported { .. }
        | Error::NotImplemented { .. }
        | Error::InvalidPath { .. }
        | Error::UnknownConfigurationKey { .. } => StoreErrorKind::Unsupported,
        Error::Generic { store, source } => match cause_of(source.as_ref()) {
            // What a bucket answers and that crate cannot read may be readable the next time.
            StoreErrorKind::Failed if *store == BUCKET => StoreErrorKind::Interrupted,
            kind => kind,
        },
        _ => StoreErrorKind::Failed,
    }
}

/// The kind by the first cause that tells one.
fn cause_of(error: &(dyn StdError + 'static)) -> StoreErrorKind {
    let of_http = match find::<Answered>(error) {
        Some(answered) => return answered.kind(),
        None if find::<rustls::Error>(error).is_some() => return StoreErrorKind::Untrusted,
        None => find::<HttpError>(error),
    };
    match of_http.map(HttpError::kind) {
        Some(HttpErrorKind::Connect) => return StoreErrorKind::Unreachable,
        Some(_) => return StoreErrorKind::Interrupted,
        None => {}
    }
    match find::<io::Error>(error) {
        Some(cause) => of_system(cause.kind()),
        None => StoreErrorKind::Failed,
    }
}

/// The first of a type among an error and its causes.
fn find<'a, E: StdError + 'static>(error: &'a (dyn StdError + 'static)) -> Option<&'a E> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref::<E>() {
            return Some(found);
        }
        // An `io::Error` is not its own cause, and what it holds is not either.
        if let Some(held) = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref)
            && let Some(found) = find::<E>(held)
        {
            return Some(found);
        }
        next = error.source();
    }
    None
}

/// What an error of the operating system means for a store.
pub(super) fn of_system(kind: io::ErrorKind) -> StoreErrorKind {
    match kind {
        io::ErrorKind::NotFound => StoreErrorKind::NoSuchStore,
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            StoreErrorKind::Denied
        }
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::ResourceBusy => {
            StoreErrorKind::Busy
        }
        io::ErrorKind::ConnectionReset
        | io::ErrorKind::ConnectionAborted
        | io::ErrorKind::ConnectionRefused
        | io::ErrorKind::BrokenPipe
        | io::ErrorKind::TimedOut
        | io::ErrorKind::Interrupted
        | io::ErrorKind::UnexpectedEof => StoreErrorKind::Interrupted,
        _ => StoreErrorKind::Failed,
    }
}
