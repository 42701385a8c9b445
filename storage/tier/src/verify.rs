//! Checking a whole object: what a scrub, a restore or an inspection does.

use bytes::Bytes;
use sha2::{Digest, Sha256};

use crate::error::ObjectError;
use crate::footer::{Footer, Tail};
use crate::format::{ObjectHead, TRAILER_BYTES};
use crate::limits::OBJECT_BYTES_MAX;
use crate::read::Block;

/// Checks every byte of an object: head, all blocks, footer, trailer, and the hash over all.
///
/// # Errors
/// With the first thing that is wrong.
pub fn verify_object(bytes: &Bytes) -> Result<Footer, ObjectError> {
    let object_bytes = bytes.len() as u64;
    if object_bytes > OBJECT_BYTES_MAX {
        return Err(ObjectError::Lies { part: "length", what: "no object is that long" });
    }
    let head = ObjectHead::decode(bytes)?;
    let Tail::Footer(footer) = Footer::from_any_tail(object_bytes, bytes)? else {
        return Err(ObjectError::Lies {
            part: "trailer",
            what: "its footer begins before the object",
        });
    };
    if head != *footer.head() {
        return Err(ObjectError::Lies { part: "head", what: "the trailer says something else" });
    }
    let mut batches = 0;
    for row in footer.partitions() {
        let mut of_partition = 0_u64;
        for at in row.first_block..row.first_block + row.blocks {
            let block = footer.block(at);
            let range = block.position as usize..block.end() as usize;
            of_partition += Block::open(block, bytes.slice(range))?.batches().count() as u64;
        }
        if of_partition != u64::from(row.batches) {
            let what = "a partition has another number of batches than its row says";
            return Err(ObjectError::Lies { part: "footer", what });
        }
        batches += of_partition;
    }
    assert_eq!(batches, u64::from(footer.trailer().batches), "the footer's check added them up");
    let before = bytes.len() - TRAILER_BYTES;
    let sha256: [u8; 32] = Sha256::digest(&bytes[..before]).into();
    if sha256 != footer.trailer().sha256 {
        return Err(ObjectError::Damaged { part: "whole" });
    }
    Ok(footer)
}
