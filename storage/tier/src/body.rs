//! The bytes of an object from batches that come in its order, one at a time: shared by those who
//! write one from the log ([`crate::ObjectWriter`]) and from other objects ([`crate::merge()`]).
//!
//! Invariants: batches of a partition come together, ascending; what was handed out is final. The
//! caller has checked every batch's bytes.

use bytes::Bytes;
use holdfast_base::Index;
use holdfast_log::{Manifest, ManifestRow};
use sha2::{Digest, Sha256};

use crate::format::block::BlockHead;
use crate::format::rows::{BlockRow, PartitionRow};
use crate::format::trailer::Trailer;
use crate::format::{BLOCK_HEAD_BYTES, HEAD_BYTES, ObjectHead, TRAILER_BYTES, head_at, set_u32};
use crate::limits::BLOCK_PAYLOAD_BYTES_CUT;
use crate::plan::BatchRow;
use crate::write::FinishedObject;

/// An object on its way.
pub(crate) struct ObjectBody {
    head: ObjectHead,
    /// Bytes handed out.
    position: u64,
    sha256: Sha256,
    open: Option<OpenBlock>,
    batches: u32,
    partitions: Vec<PartitionRow>,
    blocks: Vec<BlockRow>,
}

struct OpenBlock {
    /// Index of the entry of the first batch.
    index: Index,
    /// Sums over the batches so far; its length is without the head.
    sum: BlockHead,
    bytes: Vec<Bytes>,
}

impl ObjectBody {
    /// Begins; `parts` gets the head.
    pub(crate) fn new(head: ObjectHead, parts: &mut Vec<Bytes>) -> ObjectBody {
        let mut body = ObjectBody {
            head,
            position: 0,
            sha256: Sha256::new(),
            open: None,
            batches: 0,
            partitions: Vec::new(),
            blocks: Vec::new(),
        };
        let head = body.head.encode();
        body.emit(Bytes::copy_from_slice(&head), parts);
        assert_eq!(body.position, HEAD_BYTES as u64, "blocks begin behind the head");
        body
    }

    /// Batches so far.
    pub(crate) fn batches(&self) -> u32 {
        self.batches
    }

    /// Adds a batch, of an entry at or behind `index`; `parts` gets what became final.
    pub(crate) fn push(
        &mut self,
        row: &BatchRow,
        index: Index,
        bytes: Bytes,
        parts: &mut Vec<Bytes>,
    ) {
        let joins = self.open.as_ref().is_some_and(|open| {
            open.sum.partition == row.partition
                && open.sum.len_bytes + row.len_bytes <= BLOCK_PAYLOAD_BYTES_CUT
        });
        if !joins {
            self.close_block(parts);
        }
        let open = self.open.get_or_insert_with(|| OpenBlock {
            index,
            sum: BlockHead {
                partition: row.partition,
                batches: 0,
                base_offset: row.base_offset,
                last_offset: row.last_offset,
                max_timestamp_ms: row.max_timestamp_ms,
                len_bytes: 0,
            },
            bytes: Vec::new(),
        });
        open.sum.batches += 1;
        open.sum.last_offset = row.last_offset;
        open.sum.max_timestamp_ms = open.sum.max_timestamp_ms.max(row.max_timestamp_ms);
        open.sum.len_bytes += row.len_bytes;
        open.bytes.push(bytes);
        self.batches += 1;
    }

    /// Ends the object; `parts` gets the rest.
    pub(crate) fn finish(mut self, parts: &mut Vec<Bytes>) -> FinishedObject {
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
            head: self.head,
            footer_offset,
            footer_bytes,
            footer_checksum,
            partitions: self.partitions.len() as u32,
            blocks: self.blocks.len() as u32,
            batches: self.batches,
            sha256: self.sha256.clone().finalize().into(),
        };
        self.emit(Bytes::copy_from_slice(&trailer.encode()), parts);
        let sha256 = self.sha256.finalize().into();
        let rows: Vec<ManifestRow> = self.partitions.iter().map(PartitionRow::manifest).collect();
        FinishedObject {
            len_bytes: self.position,
            sha256,
            trailer,
            manifest: Manifest {
                object: self.head.identity.object,
                object_bytes: self.position,
                tail_bytes: footer_bytes + TRAILER_BYTES as u32,
                sha256,
                created_ms: self.head.created_ms,
                last_term: self.head.last_term,
                rows,
            },
        }
    }

    fn emit(&mut self, bytes: Bytes, parts: &mut Vec<Bytes>) {
        self.sha256.update(&bytes);
        self.position += bytes.len() as u64;
        parts.push(bytes);
    }

    fn close_block(&mut self, parts: &mut Vec<Bytes>) {
        let Some(open) = self.open.take() else { return };
        let head =
            BlockHead { len_bytes: BLOCK_HEAD_BYTES as u32 + open.sum.len_bytes, ..open.sum };
        let mut bytes = [0; BLOCK_HEAD_BYTES];
        head.put(&mut bytes);
        let checksum =
            open.bytes.iter().fold(crc32c::crc32c(&bytes[..head_at::CRC]), |crc, batch| {
                crc32c::crc32c_append(crc, batch)
            });
        set_u32(&mut bytes, head_at::CRC, checksum);
        let row = BlockRow {
            partition: head.partition,
            shard: self.head.identity.shard,
            index: open.index,
            base_offset: head.base_offset,
            last_offset: head.last_offset,
            max_timestamp_ms: head.max_timestamp_ms,
            position: self.position,
            len_bytes: head.len_bytes,
            checksum,
        };
        self.note(&row, head.batches);
        self.emit(Bytes::copy_from_slice(&bytes), parts);
        for batch in open.bytes {
            self.emit(batch, parts);
        }
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
