//! Objects that changed in the store: inspected whole, and read as a consumer's fetch does.
//!
//! ```text
//! input   1: sign it again | the object
//! ```
//!
//! A signed object has true checksums and a true hash around whatever is in it: somebody with a key
//! to the bucket made it, and it may lie, but not bring the reader down.

use std::ops::Range;

use bytes::{Bytes, BytesMut};
use holdfast_base::{ClusterId, Index, PartitionKey, ShardId, Term, TopicId};
use holdfast_batch::{BatchBuilder, BatchHeader, Codec, Limits, RecordDraft, patch_in_place};
use holdfast_tier::format::{BLOCK_ROW_BYTES, PARTITION_ROW_BYTES, TRAILER_BYTES};
use holdfast_tier::{
    BatchRow, Footer, ObjectId, ObjectIdentity, ObjectWriter, PlanBuilder, Tail, select,
    tail_range, verify_object,
};
use sha2::{Digest, Sha256};

use super::{Bound, Target, Verdict};

const CRC_AT: usize = 60;

struct Original {
    identity: ObjectIdentity,
    bytes: Bytes,
}

pub(crate) struct Object {
    originals: Vec<Original>,
}

impl Object {
    pub(crate) fn new() -> Object {
        let objects = [(1, 1, 20), (2, 4, 200), (3, 9, 3_000), (4, 2, 20_000)];
        Object {
            originals: objects.map(|(name, batches, bytes)| original(name, batches, bytes)).into(),
        }
    }
}

impl Target for Object {
    fn name(&self) -> &'static str {
        "object"
    }

    fn corpus(&self) -> Vec<Vec<u8>> {
        let both = |original: &Original| [0, 1].map(|sign| [&[sign], &original.bytes[..]].concat());
        self.originals.iter().flat_map(both).collect()
    }

    fn run(&self, input: &[u8]) -> Verdict {
        let Some((sign, object)) = input.split_first() else { return Verdict::Refused };
        let is_signed = sign & 1 == 1;
        let mut object = object.to_vec();
        if is_signed {
            sign_again(&mut object);
        }
        let object = Bytes::from(object);
        if let Ok(Tail::Footer(footer)) = Footer::from_any_tail(object.len() as u64, &object) {
            walk(&footer, &object);
        }
        if !is_signed && let Some(wrong) = self.serves_other_bytes(&object) {
            return Verdict::Wrong(wrong);
        }
        match verify_object(&object) {
            Err(_) => Verdict::Refused,
            Ok(_) if is_signed || self.originals.iter().any(|one| one.bytes == object) => {
                Verdict::Accepted
            }
            Ok(_) => Verdict::Wrong("an object that nobody wrote is whole".to_owned()),
        }
    }

    fn bound(&self, input_bytes: usize) -> Bound {
        // The copy that is signed, a list of blocks, and what a batch is inflated to.
        let largest_bytes = 34 * input_bytes as u64 + (9 << 20);
        Bound { largest_bytes, peak_bytes: 2 * largest_bytes }
    }
}

impl Object {
    /// Reads `object` in the place of each original, as a fetch would that knows the manifest.
    fn serves_other_bytes(&self, object: &Bytes) -> Option<String> {
        for original in &self.originals {
            let len = original.bytes.len() as u64;
            if object.len() as u64 != len {
                continue;
            }
            let tail = slice(object, &tail_range(len));
            let Ok(Tail::Footer(footer)) = Footer::from_tail(&original.identity, len, &tail) else {
                continue;
            };
            for row in footer.partitions() {
                let plan = footer.plan_read(&row.partition, row.base_offset, u64::MAX)?;
                let Ok(blocks) = footer.open_blocks(&plan, &slice(object, &plan.range)) else {
                    continue;
                };
                for block in blocks {
                    let range = block.row().position..block.row().end();
                    if block.bytes()[..] != slice(&original.bytes, &range)[..] {
                        return Some(format!("bytes {range:?} are served and were never written"));
                    }
                }
            }
        }
        None
    }
}

/// Every look-up there is, with answers that must not leave the object.
fn walk(footer: &Footer, object: &Bytes) {
    let limits = Limits { inflated_bytes_floor: 1 << 20, ..Limits::default() };
    for row in footer.partitions().take(64) {
        for offset in [0, row.base_offset, row.last_offset, i64::MAX] {
            for max_bytes in [0, 1, u64::MAX] {
                let Some(plan) = footer.plan_read(&row.partition, offset, max_bytes) else {
                    continue;
                };
                assert!(plan.range.end <= object.len() as u64, "a read inside the object");
                let bytes = slice(object, &plan.range);
                if let Ok(blocks) = footer.open_blocks(&plan, &bytes) {
                    let batches = select(&blocks, offset, max_bytes);
                    assert!(batches.len() <= footer.trailer().batches as usize, "no batch twice");
                }
            }
        }
        for timestamp_ms in [i64::MIN, row.max_timestamp_ms, i64::MAX] {
            let plan = footer.plan_by_timestamp(&row.partition, row.base_offset, timestamp_ms);
            let Some(plan) = plan else { continue };
            let blocks = footer.open_blocks(&plan, &slice(object, &plan.range));
            for block in blocks.into_iter().flatten() {
                drop(block.find_by_timestamp(0, timestamp_ms, &limits));
            }
        }
    }
}

fn slice(bytes: &Bytes, range: &Range<u64>) -> Bytes {
    bytes.slice(range.start as usize..range.end as usize)
}

fn original(name: u8, batches: i64, value_bytes: usize) -> Original {
    let identity = ObjectIdentity {
        cluster: ClusterId([7; 16]),
        shard: ShardId(1),
        term: Term(2),
        sequence: u64::from(name),
        object: ObjectId([name; 16]),
    };
    let mut plan = PlanBuilder::new(identity, Index(10));
    let mut all = Vec::new();
    for (number, index) in (0..batches).zip(10..) {
        let partition = PartitionKey {
            topic: TopicId([(number % 3) as u8; 16]),
            partition: (number % 2) as i32,
        };
        let codec = [Codec::None, Codec::Lz4, Codec::Zstd, Codec::Gzip][number as usize % 4];
        let builder = BatchBuilder::new(codec)
            .record(RecordDraft::value(1_000 - number, vec![number as u8; value_bytes]))
            .record(RecordDraft::value(1_000, "next"));
        let mut bytes = BytesMut::from(&builder.build().expect("a real batch")[..]);
        patch_in_place(&mut bytes, number * 10, 2).expect("a real batch");
        let header = BatchHeader::parse(&bytes).expect("a real batch");
        let row = BatchRow {
            partition,
            base_offset: header.base_offset,
            last_offset: header.last_offset(),
            leader_epoch: 2,
            max_timestamp_ms: header.max_timestamp_ms,
            len_bytes: bytes.len() as u32,
        };
        plan.push_entry(Index(index), Term(2), &[row]).expect("entries in order");
        all.push((Index(index), bytes.freeze()));
    }
    let mut parts = Vec::new();
    let plan = plan.finish(1_700_000_000_000).expect("an object with batches");
    let mut writer = ObjectWriter::new(plan, &mut parts);
    while let Some(next) = writer.next_batch().copied() {
        let (_, bytes) = all.iter().find(|(index, _)| *index == next.index).expect("planned");
        writer.write(bytes.clone(), &mut parts).expect("the batch that was planned");
    }
    writer.finish(&mut parts).expect("all batches came");
    Original { identity, bytes: Bytes::from(parts.concat()) }
}

/// True checksums for blocks, footer, head and trailer, and a true hash.
fn sign_again(object: &mut [u8]) {
    let Some(trailer) = object.len().checked_sub(TRAILER_BYTES) else { return };
    let word = |object: &[u8], at: usize| {
        u32::from_le_bytes([object[at], object[at + 1], object[at + 2], object[at + 3]]) as usize
    };
    let footer = word(object, trailer + 128);
    let (partitions, blocks) = (word(object, trailer + 144), word(object, trailer + 148));
    if footer > trailer {
        return;
    }
    for block in 0..blocks.min(1024) {
        let row = footer
            .saturating_add(partitions.saturating_mul(PARTITION_ROW_BYTES))
            .saturating_add(block * BLOCK_ROW_BYTES);
        if row.saturating_add(BLOCK_ROW_BYTES) > trailer {
            break;
        }
        let (start, len) = (word(object, row + 56), word(object, row + 64));
        if len > CRC_AT + 4 && start.saturating_add(len) <= footer {
            let crc = sign(&mut object[start..start + len]);
            object[row + 68..row + 72].copy_from_slice(&crc.to_le_bytes());
        }
    }
    let crc = crc32c::crc32c(&object[footer..trailer]);
    object[trailer + 140..trailer + 144].copy_from_slice(&crc.to_le_bytes());
    if object.len() > TRAILER_BYTES + 128 {
        sign(&mut object[..128]);
    }
    let hash = Sha256::digest(&object[..trailer]);
    object[trailer + 160..].copy_from_slice(&hash);
    sign(&mut object[trailer..]);
}

/// CRC-32C but for the four bytes that hold it.
fn sign(structure: &mut [u8]) -> u32 {
    let crc = crc32c::crc32c(&structure[..CRC_AT]);
    let crc = crc32c::crc32c_append(crc, &structure[CRC_AT + 4..]);
    structure[CRC_AT..CRC_AT + 4].copy_from_slice(&crc.to_le_bytes());
    crc
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_original_is_whole_and_signing_it_again_changes_nothing() {
        let target = Object::new();
        for original in &target.originals {
            let mut signed = original.bytes.to_vec();
            sign_again(&mut signed);
            assert_eq!(signed[..], original.bytes[..]);
            assert!(verify_object(&original.bytes).is_ok());
        }
    }

    #[test]
    fn a_flipped_bit_is_a_refusal_and_a_signed_one_is_looked_into() {
        let target = Object::new();
        let flipped = |sign: u8, at: usize| {
            let mut input = [&[sign], &target.originals[1].bytes[..]].concat();
            input[1 + at] ^= 1;
            target.run(&input)
        };
        assert!(matches!(flipped(0, 300), Verdict::Refused));
        // Somewhere in the reserved words of the head: signed, it lies.
        assert!(matches!(flipped(1, 121), Verdict::Refused));
        // The creation time, in the head alone: signed, it contradicts the trailer.
        assert!(matches!(flipped(1, 48), Verdict::Refused));
    }
}
