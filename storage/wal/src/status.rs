//! Numbers for metrics and admission.

use holdfast_base::BootCount;
use holdfast_io::Disk;

use crate::format::FRAME_OVERHEAD_BYTES_MAX;
use crate::format::seal::SealIndex;
use crate::item::{FrameNumber, SegmentNumber};
use crate::space::Admission;
use crate::wal::Wal;

#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counters {
    pub(crate) frames: u64,
    pub(crate) frame_bytes: u64,
    pub(crate) writes: u64,
    pub(crate) sealed: u64,
    pub(crate) released: u64,
    pub(crate) write_ns: u64,
    pub(crate) recent_write_ns: u64,
}

/// A look at the log.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct WalStatus {
    /// How often this directory was opened for writing.
    pub boot: BootCount,
    /// The open segment.
    pub open_segment: SegmentNumber,
    /// The oldest segment of the log.
    pub oldest_segment: SegmentNumber,
    /// Where its next frame goes.
    pub open_offset: u64,
    /// Segments of the log, the open one included.
    pub segments: u64,
    /// Of these, how many have a seal.
    pub sealed: u64,
    /// Files zeroed ahead.
    pub spares: u64,
    /// Files of all kinds.
    pub files: u64,
    /// Bytes the segments of the log take: the backlog.
    pub live_bytes: u64,
    /// Bytes of frames that can still be written; see `Wal::free_bytes`.
    pub free_bytes: u64,
    /// The device had no room for the next segment file.
    pub device_full: bool,
    /// Every frame ≤ this is durable.
    pub durable: FrameNumber,
    /// Frames built and not durable.
    pub in_flight: u64,
    /// Since this start: durable writes submitted (frames, headers, seals), each one flush.
    pub flushes: u64,
    /// Since this start: frames built.
    pub frames: u64,
    /// Since this start: bytes of these frames.
    pub bytes_written: u64,
    /// Since this start: segments sealed.
    pub seals_written: u64,
    /// Since this start: segments given back by trimming.
    pub segments_released: u64,
    /// Since this start: files overwritten with zeros for a deletion.
    pub files_erased: u64,
    /// Since this start: from a frame's way to the device until it was durable, over all frames.
    pub write_ns: u64,
    /// The same of one frame, smoothed over the last ones.
    pub recent_write_ns: u64,
    /// How long the oldest write that is not done is under way.
    pub oldest_write_ns: u64,
}

impl<D: Disk> Wal<D> {
    /// Bytes of frames that can still be written without freeing any.
    #[must_use]
    pub fn free_bytes(&self) -> u64 {
        let index = &self.tail.index;
        let seal = SealIndex::seal_bytes(index.runs.len(), index.batches.len());
        let here = self.config.segment_bytes.saturating_sub(self.tail.offset + seal);
        let open = if self.file_of(self.tail.segment).is_some() { here } else { 0 };
        open + self.space.free_behind()
    }

    /// Whether `bytes` of entries may be appended. A promise: what it admits is never refused
    /// for space by `append`.
    #[must_use]
    pub fn admits(&self, bytes: u64, class: Admission) -> bool {
        self.would_admit(self.free_bytes(), bytes, class)
    }

    /// As [`Wal::admits`], for a log of the same configuration with so many bytes free: a peer's.
    #[must_use]
    pub fn would_admit(&self, free_bytes: u64, bytes: u64, class: Admission) -> bool {
        if self.config.planted.reserve_ignored {
            return true;
        }
        // A frame that does not fit leaves up to its own size unused at the segment's end.
        let overhead = FRAME_OVERHEAD_BYTES_MAX.min(u64::from(self.config.frame_bytes_max));
        let kept = match class {
            Admission::Records => {
                self.config.reserve_bytes + u64::from(self.config.frame_bytes_max)
            }
            Admission::Reserve => 0,
        };
        free_bytes >= bytes.saturating_add(overhead).saturating_add(kept)
    }

    /// See [`WalStatus`].
    #[must_use]
    pub fn status(&self) -> WalStatus {
        WalStatus {
            boot: self.boot,
            open_segment: self.tail.segment,
            oldest_segment: self.oldest_segment(),
            open_offset: self.tail.offset,
            segments: self.segments.len() as u64,
            sealed: self.segments.values().filter(|segment| segment.sealed).count() as u64,
            spares: self.space.spares() as u64,
            files: self.space.files() as u64,
            live_bytes: (self.segments.len() as u64 - 1) * self.config.segment_bytes
                + self.tail.offset,
            free_bytes: self.free_bytes(),
            device_full: self.space.is_full(),
            durable: self.durable,
            in_flight: self.in_flight() as u64,
            flushes: self.counters.writes,
            frames: self.counters.frames,
            bytes_written: self.counters.frame_bytes,
            seals_written: self.counters.sealed,
            segments_released: self.counters.released,
            files_erased: self.erase.files,
            write_ns: self.counters.write_ns,
            recent_write_ns: self.counters.recent_write_ns,
            oldest_write_ns: self.oldest_write_ns(),
        }
    }
}
