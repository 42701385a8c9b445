//! Looking through sealed segments for bytes that turned over since they were written.
//!
//! ```text
//! seal trailer ─▶ index ─▶ frame, frame, ... ─▶ header, commands, payload: each by its checksum
//!                   └─ a bad one: the index says which entries and batches lie there
//! ```
//!
//! Idea: a seal names every frame of its segment and what is in it, so that damage is named by the
//! records it cost, not by a place on a device. One frame at a time, by whoever reads the files beside
//! the lane: how fast is theirs to say.
//!
//! Invariants: nothing is changed. A finding counts only if the segment was still in the log after it
//! was read ([`crate::OldestSegment`]): its file may hold another one by then.

use bytes::Bytes;
use holdfast_base::{Index, PartitionKey, ShardId};
use holdfast_io::{BLOCK_BYTES, Disk};

use crate::config::WalConfig;
use crate::format::frame::FrameHeader;
use crate::format::seal::{SealIndex, Trailer};
use crate::format::{DATA_START, TRAILER_BYTES, segment_name};
use crate::item::SegmentNumber;
use crate::wal::Wal;

/// A segment that can be looked through.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SealedSegment {
    /// Which.
    pub segment: SegmentNumber,
    /// Its file.
    pub file: String,
}

/// Damage in a sealed segment, and what it cost.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SegmentFinding {
    /// Where.
    pub segment: SegmentNumber,
    /// Of the frame, or of the seal, in the file.
    pub offset: u64,
    /// What does not match.
    pub what: &'static str,
    /// Entries in it: shard, first and last index.
    pub entries: Vec<(ShardId, Index, Index)>,
    /// Records in it: partition, first and last offset.
    pub records: Vec<(PartitionKey, i64, i64)>,
}

/// A segment on its way to being looked through.
#[derive(Clone, Debug)]
pub struct SegmentScrub {
    segment: SegmentNumber,
    index: SealIndex,
    /// Where frames begin, ascending, each once.
    frames: Vec<u64>,
    end_offset: u64,
    next: usize,
}

impl SegmentScrub {
    /// Reads the seal of `segment`. `read` gives so many bytes at an offset of its file.
    ///
    /// # Errors
    /// With the damage, or what `read` said.
    pub fn open<E>(
        config: &WalConfig,
        segment: SegmentNumber,
        mut read: impl FnMut(u64, usize) -> Result<Bytes, E>,
    ) -> Result<Result<SegmentScrub, SegmentFinding>, E> {
        let at = config.segment_bytes - TRAILER_BYTES;
        let bad = |what| {
            let (entries, records) = (Vec::new(), Vec::new());
            Ok(Err(SegmentFinding { segment, offset: at, what, entries, records }))
        };
        let block = read(at, TRAILER_BYTES as usize)?;
        let Some(trailer) =
            Trailer::decode(&block, config).ok().filter(|found| found.segment == segment)
        else {
            return bad("its seal");
        };
        let index = read(trailer.index_offset, trailer.index_bytes as usize)?;
        let Ok(index) = SealIndex::decode(&index, &trailer) else {
            return bad("the index of its seal");
        };
        let mut frames: Vec<u64> = index.runs.iter().map(|run| run.frame_offset).collect();
        frames.push(DATA_START);
        frames.sort_unstable();
        frames.dedup();
        frames.retain(|offset| *offset < trailer.end_offset);
        Ok(Ok(SegmentScrub { segment, index, frames, end_offset: trailer.end_offset, next: 0 }))
    }

    /// Checks the next frame; how many bytes it has. `None` at the end.
    ///
    /// # Errors
    /// With what `read` said.
    pub fn step<E>(
        &mut self,
        config: &WalConfig,
        mut read: impl FnMut(u64, usize) -> Result<Bytes, E>,
    ) -> Option<Result<Result<u64, SegmentFinding>, E>> {
        let offset = *self.frames.get(self.next)?;
        self.next += 1;
        Some(self.frame(config, offset, &mut read))
    }

    fn frame<E>(
        &mut self,
        config: &WalConfig,
        offset: u64,
        read: &mut impl FnMut(u64, usize) -> Result<Bytes, E>,
    ) -> Result<Result<u64, SegmentFinding>, E> {
        let first = read(offset, BLOCK_BYTES)?;
        let Some(head_bytes) = FrameHeader::peek_head_bytes(&first) else {
            return Ok(Err(self.bad(offset, "a frame's header")));
        };
        let head_bytes = head_bytes.next_multiple_of(BLOCK_BYTES);
        if offset + head_bytes as u64 > self.end_offset {
            return Ok(Err(self.bad(offset, "a frame's header")));
        }
        let head = if head_bytes > first.len() { read(offset, head_bytes)? } else { first };
        let header = FrameHeader::decode(&head, config).ok().filter(|found| {
            found.segment == self.segment
                && found.offset == offset
                && offset + u64::from(found.frame_bytes) <= self.end_offset
        });
        let Some(header) = header else {
            return Ok(Err(self.bad(offset, "a frame's header")));
        };
        let frame = read(offset, header.frame_bytes as usize)?;
        let (commands, payload) = (header.commands_start(), header.payload_start());
        if crc32c::crc32c(&frame[commands..payload]) != header.commands_crc {
            return Ok(Err(self.bad(offset, "a frame's commands")));
        }
        if crc32c::crc32c(&frame[payload..payload + header.payload_bytes as usize])
            != header.payload_crc
        {
            return Ok(Err(self.bad(offset, "a frame's records")));
        }
        // Frames that hold no entry have no run: they follow from where the one before ends.
        let end = offset + u64::from(header.frame_bytes);
        if end < self.end_offset && self.frames.get(self.next).is_none_or(|next| *next > end) {
            self.frames.insert(self.next, end);
        }
        Ok(Ok(u64::from(header.frame_bytes)))
    }

    /// What lies between this place and the next frame that the index knows.
    fn bad(&self, offset: u64, what: &'static str) -> SegmentFinding {
        let end = self.frames.get(self.next).copied().unwrap_or(self.end_offset);
        let here = offset..end;
        let entries = self.index.runs.iter().filter(|run| here.contains(&run.frame_offset));
        let records = self.index.batches.iter().filter(|batch| here.contains(&batch.position));
        let mut ranges: Vec<(PartitionKey, i64, i64)> = Vec::new();
        for batch in records {
            match ranges.last_mut() {
                Some((partition, _, last))
                    if *partition == batch.partition && *last + 1 == batch.base_offset =>
                {
                    *last = batch.last_offset;
                }
                _ => ranges.push((batch.partition, batch.base_offset, batch.last_offset)),
            }
        }
        SegmentFinding {
            segment: self.segment,
            offset,
            what,
            entries: entries.map(|run| (run.row.shard, run.row.first, run.row.last)).collect(),
            records: ranges,
        }
    }
}

impl<D: Disk> Wal<D> {
    /// Segments that have their seal, oldest first.
    #[must_use]
    pub fn sealed_segments(&self) -> Vec<SealedSegment> {
        let sealed = self.segments.iter().filter(|(_, segment)| segment.sealed);
        sealed
            .map(|(number, segment)| SealedSegment {
                segment: *number,
                file: segment_name(self.config.lane, segment.slot),
            })
            .collect()
    }
}
