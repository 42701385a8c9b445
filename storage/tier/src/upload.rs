//! Putting an object into the store and making sure that it is there.
//!
//! ```text
//! plan ─▶ writer ─▶ parts ─▶ PUT whole, or parts of 8 MiB and complete ─▶ GET the tail ─▶ Manifest
//! ```
//!
//! The manifest is returned only after the footer was read back and is, byte for byte, the one
//! that was written: a store that answered 200 and kept nothing, half or something else is found
//! out before the log may be trimmed. Under [`ReadBack::Tail`] blocks are not read again: a store
//! that keeps one bit of them wrong is found out by a reader's checksum, when the log has gone. A
//! store that checks what it receives (a checksum in the PUT) and scrubs what it holds makes that
//! unlikely; for any other, [`ReadBack::Whole`] reads all of it and doubles the traffic.
//!
//! Whoever drives this holds the intent, the time limit (drop the future) and the back-off. An
//! object that failed is put again under the same key, as long as its intent is open: same plan,
//! same bytes.

use bytes::Bytes;
use sha2::{Digest, Sha256};
use thiserror::Error;

use crate::error::{BuildError, ObjectError};
use crate::footer::{Footer, Tail};
use crate::key::StoreKey;
use crate::limits::PART_BYTES;
use crate::parts::PartCutter;
use crate::plan::{ObjectPlan, PlannedBatch};
use crate::store::{Action, Outcome, Store, StoreError, Upload};
use crate::write::{FinishedObject, ObjectWriter};
use holdfast_log::Manifest;

/// How much of a put object is read before it is believed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ReadBack {
    /// Footer and trailer.
    Tail,
    /// Everything, compared by SHA-256.
    Whole,
}

/// Where the bytes of batches come from: the tail cache or the log.
pub trait BatchSource: Send {
    /// The bytes of a batch, as consumers get them.
    fn batch(
        &mut self,
        batch: &PlannedBatch,
    ) -> impl Future<Output = Result<Bytes, SourceError>> + Send;
}

/// Why a batch's bytes could not be had.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
#[error("a batch cannot be read for its object: {what}")]
pub struct SourceError {
    /// What the log said.
    pub what: String,
}

/// Why there is no manifest.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum UploadError {
    /// The log's bytes are wrong, or could not be read.
    #[error(transparent)]
    Build(#[from] BuildError),
    /// See [`SourceError`].
    #[error(transparent)]
    Source(#[from] SourceError),
    /// The store did not do it.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The store said it did, but has something else.
    #[error("the object that was put reads back wrong: {0}")]
    ReadBack(#[from] ObjectError),
    /// The store has a good object of that name with other bytes.
    #[error("the object that was put reads back as another one: {what}; was a key written twice?")]
    OtherObject {
        /// Which part.
        what: &'static str,
    },
}

impl UploadError {
    /// What to do now.
    #[must_use]
    pub fn action(&self) -> Action {
        match self {
            UploadError::Build(_) | UploadError::Source(_) => Action::Refuse,
            UploadError::Store(error) => match error.action() {
                // Its own key is not there right after the put: the store lags, or lied.
                Action::Refuse => Action::Retry,
                other => other,
            },
            UploadError::ReadBack(_) | UploadError::OtherObject { .. } => Action::Retry,
        }
    }

    /// Whether something may lie in the store under the object's key. Parts, or an object that
    /// then read back wrong, may: only before the first call nothing can.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        Outcome::Unknown
    }
}

/// Writes the object of `plan`, puts it and reads it back.
///
/// # Errors
/// With what stood in the way; [`UploadError::action`] says what now.
pub async fn upload<S: BatchSource>(
    store: &dyn Store,
    plan: ObjectPlan,
    source: &mut S,
    how: ReadBack,
) -> Result<Manifest, UploadError> {
    let identity = plan.head.identity;
    let key = StoreKey::of(&identity);
    let mut parts = Vec::new();
    let mut cutter = PartCutter::new();
    let mut many: Option<Box<dyn Upload>> = None;
    let mut writer = ObjectWriter::new(plan, &mut parts);
    while let Some(next) = writer.next_batch().copied() {
        writer.write(source.batch(&next).await?, &mut parts)?;
        cutter.push(&mut parts);
        put_full_parts(store, &key, &mut cutter, &mut many).await?;
    }
    let finished = writer.finish(&mut parts)?;
    cutter.push(&mut parts);
    put_full_parts(store, &key, &mut cutter, &mut many).await?;
    let last = cutter.finish();
    match &mut many {
        None => {
            assert!(finished.len_bytes <= PART_BYTES, "a larger object was cut into parts");
            store.put(&key, last).await?;
        }
        Some(upload) => {
            upload.put_part(last).await?;
            upload.complete().await?;
        }
    }
    read_tail(store, &finished).await?;
    if how == ReadBack::Whole {
        read_whole(store, &finished).await?;
    }
    Ok(finished.manifest)
}

/// Puts what fills a part; the first one begins an upload of several.
async fn put_full_parts(
    store: &dyn Store,
    key: &StoreKey,
    cutter: &mut PartCutter,
    many: &mut Option<Box<dyn Upload>>,
) -> Result<(), UploadError> {
    while let Some(part) = cutter.next_part() {
        let upload = match many {
            Some(upload) => upload,
            None => many.insert(store.begin_upload(key).await?),
        };
        upload.put_part(part).await?;
    }
    Ok(())
}

/// Reads footer and trailer of a written object and compares them with what was written.
async fn read_tail(store: &dyn Store, finished: &FinishedObject) -> Result<(), UploadError> {
    let identity = finished.trailer.head.identity;
    let start = finished.len_bytes - u64::from(finished.manifest.tail_bytes);
    let tail = store.get(&StoreKey::of(&identity), start..finished.len_bytes).await?;
    let Tail::Footer(footer) = Footer::from_tail(&identity, finished.len_bytes, &tail)? else {
        return Err(UploadError::OtherObject { what: "its footer is longer" });
    };
    if *footer.trailer() != finished.trailer {
        return Err(UploadError::OtherObject { what: "its trailer differs" });
    }
    Ok(())
}

/// Reads every byte, a part at a time, and compares the hash.
async fn read_whole(store: &dyn Store, finished: &FinishedObject) -> Result<(), UploadError> {
    let key = StoreKey::of(&finished.trailer.head.identity);
    let mut sha256 = Sha256::new();
    let mut at = 0;
    while at < finished.len_bytes {
        let end = finished.len_bytes.min(at + PART_BYTES);
        sha256.update(&store.get(&key, at..end).await?);
        at = end;
    }
    let found: [u8; 32] = sha256.finalize().into();
    if found == finished.sha256 {
        return Ok(());
    }
    Err(UploadError::ReadBack(ObjectError::Damaged { part: "whole" }))
}
