//! Any store of the `object_store` crate behind our contract.
//!
//! That crate signs, retries, splits and lists; what it leaves to its callers is here: a short
//! answer is an error, a deletion of nothing is none, pages of a listing are sorted, and each of
//! its errors has an action and an outcome.
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
use object_store::path::Path;
use object_store::{
    Error, GetOptions, GetRange, MultipartUpload, ObjectStore, ObjectStoreExt, PutPayload,
};

use super::{Listed, Store, StoreError, StoreErrorKind, StoreFuture, Upload};
use crate::key::StoreKey;

/// A store of the `object_store` crate.
#[derive(Clone, Debug)]
pub struct ObjectStoreAdapter {
    inner: Arc<dyn ObjectStore>,
}

impl ObjectStoreAdapter {
    /// Wraps one.
    #[must_use]
    pub fn new(inner: Arc<dyn ObjectStore>) -> ObjectStoreAdapter {
        ObjectStoreAdapter { inner }
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
                    if sorted.kind() == StoreErrorKind::Failed
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
        let key = &self.key;
        Box::pin(async move { part.await.map_err(|error| sort("putting a part of", key, &error)) })
    }

    fn complete(&mut self) -> StoreFuture<'_, ()> {
        Box::pin(async move {
            let completed = self.upload.complete().await;
            completed.map_err(|error| sort("completing", &self.key, &error))?;
            Ok(())
        })
    }

    fn abort(&mut self) -> StoreFuture<'_, ()> {
        Box::pin(async move {
            let aborted = self.upload.abort().await;
            aborted.map_err(|error| sort("aborting", &self.key, &error))
        })
    }
}

fn path(key: &StoreKey) -> Path {
    Path::from(key.as_str())
}

fn sort(verb: &str, key: &StoreKey, error: &Error) -> StoreError {
    StoreError::new(kind_of(error), format!("{verb} {key}"), error.to_string())
}

fn sort_read(attempted: String, error: &Error) -> StoreError {
    StoreError::new(kind_of(error), attempted, error.to_string())
}

fn kind_of(error: &Error) -> StoreErrorKind {
    match error {
        Error::NotFound { .. } => StoreErrorKind::NotFound,
        Error::PermissionDenied { .. } | Error::Unauthenticated { .. } => StoreErrorKind::Denied,
        Error::NotSupported { .. }
        | Error::NotImplemented { .. }
        | Error::InvalidPath { .. }
        | Error::UnknownConfigurationKey { .. } => StoreErrorKind::Unsupported,
        Error::Generic { source, .. } => cause_of(source.as_ref()),
        _ => StoreErrorKind::Failed,
    }
}

/// The kind by the operating system's error, where one is at the bottom.
fn cause_of(error: &(dyn StdError + 'static)) -> StoreErrorKind {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(cause) = error.downcast_ref::<io::Error>() {
            return match cause.kind() {
                io::ErrorKind::NotFound => StoreErrorKind::NoSuchStore,
                io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
                    StoreErrorKind::Denied
                }
                io::ErrorKind::StorageFull
                | io::ErrorKind::QuotaExceeded
                | io::ErrorKind::ResourceBusy => StoreErrorKind::Busy,
                io::ErrorKind::ConnectionReset
                | io::ErrorKind::ConnectionAborted
                | io::ErrorKind::ConnectionRefused
                | io::ErrorKind::BrokenPipe
                | io::ErrorKind::TimedOut
                | io::ErrorKind::Interrupted
                | io::ErrorKind::UnexpectedEof => StoreErrorKind::Interrupted,
                _ => StoreErrorKind::Failed,
            };
        }
        next = error.source();
    }
    StoreErrorKind::Failed
}
