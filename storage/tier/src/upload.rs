//! Putting an object into the store and making sure that it is there.
//!
//! ```text
//! plan ─▶ writer ─▶ parts ─▶ put.rs ─▶ Manifest
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
use thiserror::Error;

use crate::error::{BuildError, ObjectError};
use crate::plan::{ObjectPlan, PlannedBatch};
use crate::put::Put;
use crate::store::{Action, Outcome, Store, StoreError};
use crate::write::ObjectWriter;
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
    let mut put = Put::new(store, &plan.head.identity);
    let mut parts = Vec::new();
    let mut writer = ObjectWriter::new(plan, &mut parts);
    while let Some(next) = writer.next_batch().copied() {
        writer.write(source.batch(&next).await?, &mut parts)?;
        put.push(&mut parts).await?;
    }
    let finished = writer.finish(&mut parts)?;
    put.push(&mut parts).await?;
    put.finish(finished, how).await
}
