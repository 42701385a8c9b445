//! Reading an object in the store whole, to know that it is still what its manifest says.
//!
//! ```text
//! tail ─▶ Footer ─▶ rows of the manifest? ─▶ runs of blocks, each opened ─▶ hash over all ─▶ SHA-256
//!                                             └─ pace(bytes) after each GET
//! ```
//!
//! Idea: latent damage is found while what could mend it is still there (Bairavasundaram et al., An
//! analysis of latent sector errors in disk drives, SIGMETRICS 2007). Who checks decides how fast:
//! `pace` is called after each GET and may wait.
//!
//! Invariants: at most [`RUN_BYTES`] and one block are held. An object is whole only if every byte was
//! read and the SHA-256 of its manifest holds. What the store could not be asked for is no verdict.

use bytes::Bytes;
use holdfast_log::{ExpectedObject, ManifestRow};
use sha2::{Digest, Sha256};

use crate::error::ObjectError;
use crate::footer::{Footer, Tail};
use crate::format::rows::PartitionRow;
use crate::format::{HEAD_BYTES, ObjectHead};
use crate::key::StoreKey;
use crate::store::{Store, StoreError, StoreErrorKind};

/// One GET, unless one block is larger.
const RUN_BYTES: u64 = 1 << 20;

/// What an object is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Checked {
    /// What its manifest says.
    Whole,
    /// Something else, or nothing; why.
    Wrong(String),
}

/// Reads an object to its last byte. After each GET of so many bytes `pace` is waited for.
///
/// # Errors
/// When the store cannot be asked: nothing is known then.
pub async fn check_object(
    store: &dyn Store,
    expected: &ExpectedObject,
    pace: impl AsyncFnMut(u64),
) -> Result<Checked, StoreError> {
    match read_all(store, expected, pace).await {
        Ok(()) => Ok(Checked::Whole),
        Err(Bad::Object(error)) => Ok(Checked::Wrong(error.to_string())),
        Err(Bad::Store(error)) => match error.kind() {
            StoreErrorKind::NotFound | StoreErrorKind::OutOfRange => {
                Ok(Checked::Wrong(error.to_string()))
            }
            _ => Err(error),
        },
    }
}

enum Bad {
    Object(ObjectError),
    Store(StoreError),
}

impl From<ObjectError> for Bad {
    fn from(error: ObjectError) -> Bad {
        Bad::Object(error)
    }
}

impl From<StoreError> for Bad {
    fn from(error: StoreError) -> Bad {
        Bad::Store(error)
    }
}

async fn read_all(
    store: &dyn Store,
    expected: &ExpectedObject,
    mut pace: impl AsyncFnMut(u64),
) -> Result<(), Bad> {
    let lies = |what| Bad::Object(ObjectError::Lies { part: "object", what });
    let key = StoreKey::of(&expected.identity);
    let start = expected.object_bytes.saturating_sub(u64::from(expected.tail_bytes));
    let tail = store.get(&key, start..expected.object_bytes).await?;
    pace(tail.len() as u64).await;
    let found = Footer::from_tail(&expected.identity, expected.object_bytes, &tail)?;
    let Tail::Footer(footer) = found else {
        return Err(lies("its footer is longer than its manifest says"));
    };
    let has = |row: &ManifestRow| {
        footer.partition(&row.partition).as_ref().map(PartitionRow::manifest) == Some(*row)
    };
    if !expected.rows.iter().all(has) {
        return Err(lies("its footer has not the rows of its manifest"));
    }
    let mut sha256 = Sha256::new();
    let head = store.get(&key, 0..HEAD_BYTES as u64).await?;
    if ObjectHead::decode(&head)? != *footer.head() {
        return Err(lies("its head and its trailer differ"));
    }
    sha256.update(&head);
    let blocks = footer.trailer().blocks;
    let mut next = 0;
    while next < blocks {
        let first = next;
        let position = footer.block(first).position;
        next += 1;
        while next < blocks && footer.block(next).end() - position <= RUN_BYTES {
            next += 1;
        }
        let plan = footer.plan_blocks(first..next);
        let bytes: Bytes = store.get(&key, plan.range.clone()).await?;
        pace(bytes.len() as u64).await;
        footer.open_blocks(&plan, &bytes)?;
        sha256.update(&bytes);
    }
    let footer_start = (footer.trailer().footer_offset - start) as usize;
    sha256.update(&tail[footer_start..]);
    let found: [u8; 32] = sha256.finalize().into();
    if found != expected.sha256 {
        return Err(Bad::Object(ObjectError::Damaged { part: "whole" }));
    }
    Ok(())
}
