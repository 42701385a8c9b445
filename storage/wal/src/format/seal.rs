//! The seal of a full segment: an index in the form of an object's footer, so that start-up reads
//! it in place of the segment.
//!
//! ```text
//! ... frames | zeros | runs 80 * n | batches 72 * m | zeros | trailer (last block)
//!                      sorted by     sorted by
//!                      shard, order  partition, offset
//! ```
//!
//! Written in one write, only after every frame of the segment and the header of the next one are
//! durable: a valid trailer therefore proves that the segment was whole. A torn seal is no seal;
//! the frames are read instead and the seal is written again, the one structure besides the
//! superblock for which that is harmless, since nothing in it is the only copy.

use bytes::Bytes;
use holdfast_base::{BootCount, Index, PartitionKey, ShardId, TopicId};
use holdfast_io::{AlignedBuf, BLOCK_BYTES};

use super::frame::{ParsedEntry, ROW_BYTES, Row};
use super::{
    DATA_START, NUMBER_MAX, NotOurs, STAMP_BYTES, Stamp, TRAILER_BYTES, get_checked, get_u32,
    get_u64, padded, set_checksum, set_u32, set_u64,
};
use crate::config::WalConfig;
use crate::item::{FrameNumber, Locator, SegmentNumber};

pub(crate) const MAGIC: [u8; 8] = *b"HFWALEND";

/// Offsets in the trailer behind the stamp.
pub(crate) mod at {
    pub(crate) const INDEX_OFFSET: usize = super::STAMP_BYTES;
    pub(crate) const INDEX_BYTES: usize = INDEX_OFFSET + 8;
    pub(crate) const END_OFFSET: usize = INDEX_BYTES + 8;
    pub(crate) const FIRST_FRAME: usize = END_OFFSET + 8;
    pub(crate) const NEXT_FRAME: usize = FIRST_FRAME + 8;
    pub(crate) const NEXT_POSITION: usize = NEXT_FRAME + 8;
    pub(crate) const RUNS: usize = NEXT_POSITION + 8;
    pub(crate) const BATCHES: usize = RUNS + 4;
    pub(crate) const INDEX_CRC: usize = BATCHES + 4;
    pub(crate) const CHAIN: usize = INDEX_CRC + 4;
    pub(crate) const KEY_ID: usize = CHAIN + 4;
    pub(crate) const END: usize = KEY_ID + 16;
}

/// Bytes of the trailer's fields.
pub(crate) const FIXED_BYTES: usize = at::END;

/// Offsets in a run, behind the frame's directory row.
pub(crate) mod run_at {
    pub(crate) const FRAME_OFFSET: usize = super::ROW_BYTES;
    pub(crate) const FRAME_NUMBER: usize = FRAME_OFFSET + 8;
    pub(crate) const FRAME_BYTES: usize = FRAME_NUMBER + 8;
    pub(crate) const CARRIED: usize = FRAME_BYTES + 4;
    pub(crate) const END: usize = CARRIED + 4;
}

/// Offsets in a batch row.
pub(crate) mod batch_at {
    pub(crate) const TOPIC: usize = 0;
    pub(crate) const PARTITION: usize = TOPIC + 16;
    pub(crate) const SHARD: usize = PARTITION + 4;
    pub(crate) const INDEX: usize = SHARD + 4;
    pub(crate) const BASE_OFFSET: usize = INDEX + 8;
    pub(crate) const LAST_OFFSET: usize = BASE_OFFSET + 8;
    pub(crate) const MAX_TIMESTAMP: usize = LAST_OFFSET + 8;
    pub(crate) const POSITION: usize = MAX_TIMESTAMP + 8;
    pub(crate) const BYTES: usize = POSITION + 8;
    pub(crate) const RESERVED: usize = BYTES + 4;
    pub(crate) const END: usize = RESERVED + 4;
}

/// Bytes of a run.
pub(crate) const RUN_BYTES: usize = run_at::END;
/// Bytes of a batch row.
pub(crate) const BATCH_BYTES: usize = batch_at::END;

/// Entries of one replica in one frame.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Run {
    pub(crate) row: Row,
    pub(crate) frame_offset: u64,
    pub(crate) frame_number: FrameNumber,
    pub(crate) frame_bytes: u32,
    pub(crate) carried: bool,
}

/// One record batch of a sealed segment: partition → offsets, time, place.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SealedBatch {
    /// The partition.
    pub partition: PartitionKey,
    /// The shard and index of the entry that holds it.
    pub shard: ShardId,
    /// See `shard`.
    pub index: Index,
    /// First and last Kafka offset.
    pub base_offset: i64,
    /// See `base_offset`.
    pub last_offset: i64,
    /// Kafka's max timestamp, ms.
    pub max_timestamp_ms: i64,
    /// Where its bytes start in the segment's file.
    pub position: u64,
    /// How many there are.
    pub len_bytes: u32,
}

/// What goes into a seal, collected while the segment is open.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct SealIndex {
    pub(crate) runs: Vec<Run>,
    pub(crate) batches: Vec<SealedBatch>,
}

/// A trailer's fields.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Trailer {
    pub(crate) segment: SegmentNumber,
    pub(crate) slot: u32,
    pub(crate) boot: BootCount,
    pub(crate) index_offset: u64,
    pub(crate) index_bytes: u64,
    /// Where the frames end.
    pub(crate) end_offset: u64,
    pub(crate) first_frame: FrameNumber,
    pub(crate) next_frame: FrameNumber,
    pub(crate) next_position: u64,
    pub(crate) runs: u32,
    pub(crate) batches: u32,
    pub(crate) index_crc: u32,
    /// Checksum of the last frame header.
    pub(crate) chain: u32,
}

impl SealIndex {
    /// Bytes the seal takes at the end of the segment.
    pub(crate) fn seal_bytes(runs: usize, batches: usize) -> u64 {
        padded((runs * RUN_BYTES + batches * BATCH_BYTES) as u64) + TRAILER_BYTES
    }

    pub(crate) fn push_batch(
        &mut self,
        shard: ShardId,
        index: Index,
        payload_position: u64,
        locator: &Locator,
    ) {
        self.batches.push(SealedBatch {
            partition: locator.partition,
            shard,
            index,
            base_offset: locator.base_offset,
            last_offset: locator.last_offset,
            max_timestamp_ms: locator.max_timestamp_ms,
            position: payload_position + u64::from(locator.start),
            len_bytes: locator.len_bytes,
        });
    }

    /// As [`SealIndex::push_batch`] for an entry read back.
    pub(crate) fn push_parsed(
        &mut self,
        shard: ShardId,
        payload_section: u64,
        entry: &ParsedEntry,
    ) {
        for locator in entry.locators() {
            let position = payload_section + u64::from(entry.payload_start);
            self.push_batch(shard, entry.index, position, &locator);
        }
    }

    /// Entries ≥ `from` of `shard` were overwritten. Their batches leave the index; runs stay,
    /// in the order of the log, since replay truncates by that order.
    pub(crate) fn truncate(&mut self, shard: ShardId, from: Index) {
        self.batches.retain(|batch| batch.shard != shard || batch.index < from);
    }

    /// Index and trailer as one write, and where it goes.
    pub(crate) fn encode(mut self, config: &WalConfig, mut trailer: Trailer) -> (u64, Bytes) {
        self.runs.sort_by_key(|run| (run.row.shard, run.frame_number, run.row.commands_start));
        self.batches.sort_by_key(|batch| (batch.partition, batch.base_offset, batch.index));
        let index_bytes = self.runs.len() * RUN_BYTES + self.batches.len() * BATCH_BYTES;
        let total = SealIndex::seal_bytes(self.runs.len(), self.batches.len());
        let start = config.segment_bytes - total;
        assert!(start >= trailer.end_offset, "append keeps room for the seal");
        let mut buffer = AlignedBuf::unpooled(total as usize);
        let to = buffer.reserve_zeroed(total as usize);
        let (runs, batches) = to[..index_bytes].split_at_mut(self.runs.len() * RUN_BYTES);
        for (place, run) in runs.chunks_exact_mut(RUN_BYTES).zip(&self.runs) {
            run.row.put(place);
            set_u64(place, run_at::FRAME_OFFSET, run.frame_offset);
            set_u64(place, run_at::FRAME_NUMBER, run.frame_number.0);
            set_u32(place, run_at::FRAME_BYTES, run.frame_bytes);
            set_u32(place, run_at::CARRIED, u32::from(run.carried));
        }
        for (place, batch) in batches.chunks_exact_mut(BATCH_BYTES).zip(&self.batches) {
            place[batch_at::TOPIC..batch_at::PARTITION].copy_from_slice(&batch.partition.topic.0);
            set_u32(place, batch_at::PARTITION, batch.partition.partition.cast_unsigned());
            set_u32(place, batch_at::SHARD, batch.shard.0);
            set_u64(place, batch_at::INDEX, batch.index.0);
            set_u64(place, batch_at::BASE_OFFSET, batch.base_offset.cast_unsigned());
            set_u64(place, batch_at::LAST_OFFSET, batch.last_offset.cast_unsigned());
            set_u64(place, batch_at::MAX_TIMESTAMP, batch.max_timestamp_ms.cast_unsigned());
            set_u64(place, batch_at::POSITION, batch.position);
            set_u32(place, batch_at::BYTES, batch.len_bytes);
        }
        trailer.index_offset = start;
        trailer.index_bytes = index_bytes as u64;
        trailer.runs = self.runs.len() as u32;
        trailer.batches = self.batches.len() as u32;
        trailer.index_crc = crc32c::crc32c(&to[..index_bytes]);
        let at_trailer = total as usize - BLOCK_BYTES;
        trailer.put(config, &mut to[at_trailer..at_trailer + FIXED_BYTES]);
        (start, buffer.freeze())
    }

    /// Reads the index a trailer points at.
    pub(crate) fn decode(from: &[u8], trailer: &Trailer) -> Result<SealIndex, NotOurs> {
        let index = from.get(..trailer.index_bytes as usize).ok_or(NotOurs::Shape)?;
        if crc32c::crc32c(index) != trailer.index_crc {
            return Err(NotOurs::Checksum);
        }
        let here = |run: &Run| {
            run.frame_offset.is_multiple_of(BLOCK_BYTES as u64)
                && run.frame_offset >= DATA_START
                && run.frame_offset < trailer.end_offset
                && u64::from(run.frame_bytes) <= trailer.end_offset - run.frame_offset
        };
        let (runs, batches) = index.split_at(trailer.runs as usize * RUN_BYTES);
        let runs: Option<Vec<Run>> = runs
            .chunks_exact(RUN_BYTES)
            .map(|place| {
                Some(Run {
                    row: Row::get(place)?,
                    frame_offset: get_u64(place, run_at::FRAME_OFFSET),
                    frame_number: FrameNumber(get_u64(place, run_at::FRAME_NUMBER)),
                    frame_bytes: get_u32(place, run_at::FRAME_BYTES),
                    carried: get_u32(place, run_at::CARRIED) != 0,
                })
            })
            .collect();
        let batches = batches
            .chunks_exact(BATCH_BYTES)
            .map(|place| {
                let mut topic = [0; 16];
                topic.copy_from_slice(&place[batch_at::TOPIC..batch_at::PARTITION]);
                SealedBatch {
                    partition: PartitionKey {
                        topic: TopicId(topic),
                        partition: get_u32(place, batch_at::PARTITION).cast_signed(),
                    },
                    shard: ShardId(get_u32(place, batch_at::SHARD)),
                    index: Index(get_u64(place, batch_at::INDEX)),
                    base_offset: get_u64(place, batch_at::BASE_OFFSET).cast_signed(),
                    last_offset: get_u64(place, batch_at::LAST_OFFSET).cast_signed(),
                    max_timestamp_ms: get_u64(place, batch_at::MAX_TIMESTAMP).cast_signed(),
                    position: get_u64(place, batch_at::POSITION),
                    len_bytes: get_u32(place, batch_at::BYTES),
                }
            })
            .collect();
        let runs = runs.filter(|runs| runs.iter().all(here)).ok_or(NotOurs::Shape)?;
        Ok(SealIndex { runs, batches })
    }
}

impl Trailer {
    fn put(&self, config: &WalConfig, to: &mut [u8]) {
        let mut stamp = Stamp::of(config, self.slot, self.segment, self.boot);
        stamp.length = FIXED_BYTES as u32;
        stamp.put(&MAGIC, to);
        set_u64(to, at::INDEX_OFFSET, self.index_offset);
        set_u64(to, at::INDEX_BYTES, self.index_bytes);
        set_u64(to, at::END_OFFSET, self.end_offset);
        set_u64(to, at::FIRST_FRAME, self.first_frame.0);
        set_u64(to, at::NEXT_FRAME, self.next_frame.0);
        set_u64(to, at::NEXT_POSITION, self.next_position);
        set_u32(to, at::RUNS, self.runs);
        set_u32(to, at::BATCHES, self.batches);
        set_u32(to, at::INDEX_CRC, self.index_crc);
        set_u32(to, at::CHAIN, self.chain);
        set_checksum(to);
    }

    /// Reads and checks the last block of a segment.
    pub(crate) fn decode(from: &[u8], config: &WalConfig) -> Result<Trailer, NotOurs> {
        let stamp = get_checked(&MAGIC, FIXED_BYTES, from, config)?;
        let trailer = Trailer {
            segment: stamp.segment,
            slot: stamp.slot,
            boot: stamp.boot,
            index_offset: get_u64(from, at::INDEX_OFFSET),
            index_bytes: get_u64(from, at::INDEX_BYTES),
            end_offset: get_u64(from, at::END_OFFSET),
            first_frame: FrameNumber(get_u64(from, at::FIRST_FRAME)),
            next_frame: FrameNumber(get_u64(from, at::NEXT_FRAME)),
            next_position: get_u64(from, at::NEXT_POSITION),
            runs: get_u32(from, at::RUNS),
            batches: get_u32(from, at::BATCHES),
            index_crc: get_u32(from, at::INDEX_CRC),
            chain: get_u32(from, at::CHAIN),
        };
        let rows = u64::from(trailer.runs) * RUN_BYTES as u64
            + u64::from(trailer.batches) * BATCH_BYTES as u64;
        let place = trailer.index_offset.checked_add(padded(rows)).ok_or(NotOurs::Shape)?;
        if rows != trailer.index_bytes
            || trailer.end_offset < DATA_START
            || trailer.end_offset > trailer.index_offset
            || !trailer.end_offset.is_multiple_of(BLOCK_BYTES as u64)
            || trailer.next_frame.0 == 0
            || trailer.next_position >= NUMBER_MAX
            || trailer.index_offset < DATA_START
            || place != config.segment_bytes - TRAILER_BYTES
            || !trailer.index_offset.is_multiple_of(BLOCK_BYTES as u64)
        {
            return Err(NotOurs::Shape);
        }
        Ok(trailer)
    }
}
