//! From a plan to an object's bytes, one batch at a time.
//!
//! ```text
//! next_batch ─▶ caller reads its bytes ─▶ write ─▶ parts of the object, in order ─▶ PartCutter ─▶ PUT
//! ```
//!
//! Batches pass through as the reference-counted bytes they came in; only heads, rows and trailer
//! are made here. Held at once: the batches of one block (256 KiB, or one batch), the rows of the
//! footer, the plan.
//!
//! Every batch is compared with what the log says of it, its own CRC included: once the object is
//! committed the log is trimmed, so damage that passed here would be permanent.

use bytes::Bytes;
use holdfast_batch::{BatchHeader, checksum as batch_checksum};

use crate::body::ObjectBody;
use crate::error::BuildError;
use crate::format::trailer::Trailer;
use crate::plan::{BatchRow, ObjectPlan, PlannedBatch};
use holdfast_log::Manifest;

/// Writes one object.
pub struct ObjectWriter {
    plan: ObjectPlan,
    /// How many batches of the plan have come.
    written: usize,
    body: ObjectBody,
}

/// A written object: what to compare with what the store has, and to commit.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FinishedObject {
    /// Length in bytes.
    pub len_bytes: u64,
    /// SHA-256 of the whole file, as `sha256sum` prints it.
    pub sha256: [u8; 32],
    /// The trailer that ends it.
    pub trailer: Trailer,
    /// The command that commits it, once the store has it.
    pub manifest: Manifest,
}

impl ObjectWriter {
    /// Begins; `parts` gets the head.
    #[must_use]
    pub fn new(plan: ObjectPlan, parts: &mut Vec<Bytes>) -> ObjectWriter {
        let body = ObjectBody::new(plan.head, parts);
        ObjectWriter { plan, written: 0, body }
    }

    /// The batch whose bytes are wanted next; `None` when all have come.
    #[must_use]
    pub fn next_batch(&self) -> Option<&PlannedBatch> {
        self.plan.batches.get(self.written)
    }

    /// Takes the bytes of [`Self::next_batch`], as consumers get them; `parts` gets what became
    /// final.
    ///
    /// # Errors
    /// When they are not that batch, or damaged. The object must be given up.
    pub fn write(&mut self, bytes: Bytes, parts: &mut Vec<Bytes>) -> Result<(), BuildError> {
        let Some(next) = self.next_batch().copied() else {
            let expected = self.plan.batches.len();
            return Err(BuildError::WrongCount { expected, got: expected + 1 });
        };
        check_bytes(&next.row, &bytes)?;
        self.body.push(&next.row, next.index, bytes, parts);
        self.written += 1;
        Ok(())
    }

    /// Ends the object; `parts` gets the rest.
    ///
    /// # Errors
    /// When batches of the plan are missing.
    pub fn finish(self, parts: &mut Vec<Bytes>) -> Result<FinishedObject, BuildError> {
        let (expected, got) = (self.plan.batches.len(), self.written);
        if got != expected {
            return Err(BuildError::WrongCount { expected, got });
        }
        Ok(self.body.finish(parts))
    }
}

fn check_bytes(row: &BatchRow, bytes: &[u8]) -> Result<(), BuildError> {
    let wrong = |what| BuildError::WrongBytes {
        partition: row.partition,
        base_offset: row.base_offset,
        what,
    };
    let header =
        BatchHeader::parse(bytes).map_err(|_| wrong("they are not a batch of format v2"))?;
    if bytes.len() != row.len_bytes as usize || header.total_len_bytes() != bytes.len() {
        return Err(wrong("their length is not the log's"));
    }
    if header.base_offset != row.base_offset
        || header.last_offset() != row.last_offset
        || header.partition_leader_epoch != row.leader_epoch
        || header.max_timestamp_ms != row.max_timestamp_ms
    {
        return Err(wrong("offsets, leader epoch or timestamp are not the log's"));
    }
    if batch_checksum(bytes) != header.crc {
        return Err(wrong("their checksum does not match"));
    }
    Ok(())
}
