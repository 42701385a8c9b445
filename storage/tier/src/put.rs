//! An object's bytes on their way into the store, and the look whether they are there.
//!
//! ```text
//! parts ─▶ PartCutter ─▶ PUT whole, or parts of 8 MiB and complete ─▶ GET the tail ─▶ Manifest
//! ```

use bytes::Bytes;
use holdfast_log::{Manifest, ObjectIdentity};
use sha2::{Digest, Sha256};

use crate::error::ObjectError;
use crate::footer::{Footer, Tail};
use crate::key::StoreKey;
use crate::limits::PART_BYTES;
use crate::parts::PartCutter;
use crate::store::{Store, Upload};
use crate::upload::{ReadBack, UploadError};
use crate::write::FinishedObject;

/// One object being put.
pub(crate) struct Put<'a> {
    store: &'a dyn Store,
    key: StoreKey,
    cutter: PartCutter,
    many: Option<Box<dyn Upload>>,
}

impl<'a> Put<'a> {
    pub(crate) fn new(store: &'a dyn Store, identity: &ObjectIdentity) -> Put<'a> {
        Put { store, key: StoreKey::of(identity), cutter: PartCutter::new(), many: None }
    }

    /// Takes what became final, and puts what fills a part; the first one begins an upload of
    /// several.
    pub(crate) async fn push(&mut self, parts: &mut Vec<Bytes>) -> Result<(), UploadError> {
        self.cutter.push(parts);
        while let Some(part) = self.cutter.next_part() {
            let upload = match &mut self.many {
                Some(upload) => upload,
                None => self.many.insert(self.store.begin_upload(&self.key).await?),
            };
            upload.put_part(part).await?;
        }
        Ok(())
    }

    /// Puts the rest and reads back what is there.
    pub(crate) async fn finish(
        mut self,
        finished: FinishedObject,
        how: ReadBack,
    ) -> Result<Manifest, UploadError> {
        let last = self.cutter.finish();
        match &mut self.many {
            None => {
                assert!(finished.len_bytes <= PART_BYTES, "a larger object was cut into parts");
                self.store.put(&self.key, last).await?;
            }
            Some(upload) => {
                upload.put_part(last).await?;
                upload.complete().await?;
            }
        }
        read_tail(self.store, &finished).await?;
        if how == ReadBack::Whole {
            read_whole(self.store, &finished).await?;
        }
        Ok(finished.manifest)
    }
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
