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
use sha2::{Digest, Sha256};

use crate::error::BuildError;
use crate::format::block::BlockHead;
use crate::format::rows::{BlockRow, PartitionRow};
use crate::format::trailer::Trailer;
use crate::format::{BLOCK_HEAD_BYTES, HEAD_BYTES, TRAILER_BYTES, head_at, set_u32};
use crate::limits::BLOCK_PAYLOAD_BYTES_CUT;
use crate::plan::{BatchRow, ObjectPlan, PlannedBatch};
use holdfast_log::{Manifest, ManifestRow};

/// Writes one object.
pub struct ObjectWriter {
    plan: ObjectPlan,
    /// How many batches of the plan have come.
    written: usize,
    /// Bytes handed out.
    position: u64,
    sha256: Sha256,
    /// Batches of the open block, and the plan's number of the first.
    block: Vec<Bytes>,
    block_first: usize,
    block_payload_bytes: u32,
    partitions: Vec<PartitionRow>,
    blocks: Vec<BlockRow>,
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
        let mut writer = ObjectWriter {
            plan,
            written: 0,
            position: 0,
            sha256: Sha256::new(),
            block: Vec::new(),
            block_first: 0,
            block_payload_bytes: 0,
            partitions: Vec::new(),
            blocks: Vec::new(),
        };
        let head = writer.plan.head.encode();
        writer.emit(Bytes::copy_from_slice(&head), parts);
        assert_eq!(writer.position, HEAD_BYTES as u64, "blocks begin behind the head");
        writer
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
        let open = self.written > self.block_first;
        let same = open && self.plan.batches[self.block_first].row.partition == next.row.partition;
        if open && (!same || !self.has_room(next.row.len_bytes)) {
            self.close_block(parts);
        }
        self.block_payload_bytes += next.row.len_bytes;
        self.block.push(bytes);
        self.written += 1;
        Ok(())
    }

    /// Ends the object; `parts` gets the rest.
    ///
    /// # Errors
    /// When batches of the plan are missing.
    pub fn finish(mut self, parts: &mut Vec<Bytes>) -> Result<FinishedObject, BuildError> {
        if self.written != self.plan.batches.len() {
            return Err(BuildError::WrongCount {
                expected: self.plan.batches.len(),
                got: self.written,
            });
        }
        self.close_block(parts);
        let footer_offset = self.position;
        let mut footer = Vec::new();
        for row in &self.partitions {
            footer.extend_from_slice(&row.encode());
        }
        for row in &self.blocks {
            footer.extend_from_slice(&row.encode());
        }
        let (footer_bytes, footer_checksum) = (footer.len() as u32, crc32c::crc32c(&footer));
        self.emit(Bytes::from(footer), parts);
        let trailer = Trailer {
            head: self.plan.head,
            footer_offset,
            footer_bytes,
            footer_checksum,
            partitions: self.partitions.len() as u32,
            blocks: self.blocks.len() as u32,
            batches: self.plan.batches.len() as u32,
            sha256: self.sha256.clone().finalize().into(),
        };
        self.emit(Bytes::copy_from_slice(&trailer.encode()), parts);
        let sha256 = self.sha256.finalize().into();
        let rows: Vec<ManifestRow> = self.partitions.iter().map(PartitionRow::manifest).collect();
        Ok(FinishedObject {
            len_bytes: self.position,
            sha256,
            trailer,
            manifest: Manifest {
                object: self.plan.head.identity.object,
                object_bytes: self.position,
                tail_bytes: footer_bytes + TRAILER_BYTES as u32,
                sha256,
                created_ms: self.plan.head.created_ms,
                last_term: self.plan.head.last_term,
                rows,
            },
        })
    }

    fn has_room(&self, batch_bytes: u32) -> bool {
        self.block_payload_bytes + batch_bytes <= BLOCK_PAYLOAD_BYTES_CUT
    }

    fn emit(&mut self, bytes: Bytes, parts: &mut Vec<Bytes>) {
        self.sha256.update(&bytes);
        self.position += bytes.len() as u64;
        parts.push(bytes);
    }

    fn close_block(&mut self, parts: &mut Vec<Bytes>) {
        let batches = &self.plan.batches[self.block_first..self.written];
        let (Some(first), Some(last)) = (batches.first(), batches.last()) else { return };
        let (first, last) = (*first, *last);
        let max_timestamp_ms = batches.iter().map(|batch| batch.row.max_timestamp_ms).max();
        let head = BlockHead {
            partition: first.row.partition,
            batches: batches.len() as u32,
            base_offset: first.row.base_offset,
            last_offset: last.row.last_offset,
            max_timestamp_ms: max_timestamp_ms.expect("a block has a batch"),
            len_bytes: BLOCK_HEAD_BYTES as u32 + self.block_payload_bytes,
        };
        let mut bytes = [0; BLOCK_HEAD_BYTES];
        head.put(&mut bytes);
        let checksum =
            self.block.iter().fold(crc32c::crc32c(&bytes[..head_at::CRC]), |crc, batch| {
                crc32c::crc32c_append(crc, batch)
            });
        set_u32(&mut bytes, head_at::CRC, checksum);
        let row = BlockRow {
            partition: head.partition,
            shard: self.plan.head.identity.shard,
            index: first.index,
            base_offset: head.base_offset,
            last_offset: head.last_offset,
            max_timestamp_ms: head.max_timestamp_ms,
            position: self.position,
            len_bytes: head.len_bytes,
            checksum,
        };
        self.note(&row, head.batches);
        self.emit(Bytes::copy_from_slice(&bytes), parts);
        for batch in std::mem::take(&mut self.block) {
            self.emit(batch, parts);
        }
        self.block_payload_bytes = 0;
        self.block_first = self.written;
    }

    /// Adds a block to the footer, under its partition.
    fn note(&mut self, row: &BlockRow, batches: u32) {
        match self.partitions.last_mut().filter(|last| last.partition == row.partition) {
            Some(last) => {
                last.last_offset = row.last_offset;
                last.max_timestamp_ms = last.max_timestamp_ms.max(row.max_timestamp_ms);
                last.blocks += 1;
                last.batches += batches;
                last.len_bytes += row.len_bytes;
            }
            None => self.partitions.push(PartitionRow {
                partition: row.partition,
                first_block: self.blocks.len() as u32,
                base_offset: row.base_offset,
                last_offset: row.last_offset,
                max_timestamp_ms: row.max_timestamp_ms,
                blocks: 1,
                batches,
                len_bytes: row.len_bytes,
            }),
        }
        self.blocks.push(*row);
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
