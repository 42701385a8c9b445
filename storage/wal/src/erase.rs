//! Overwriting what the log has let go of: after a deletion its bytes shall be nowhere, and the log
//! would use a file again only when it needs one.
//!
//! ```text
//! where bytes of segments ≤ `through` may lie          what is done
//! the open segment                                     roll
//! a closed segment                                     its owner trims (`erase_needs`), it is released
//! a free file, the newest header still names it        roll: a header says that it is not needed
//! a free file, no header needs it                      zeros, 256 KiB at a time, the header last
//! behind the last frame of a segment in a used file    zeros before the seal, for every such segment
//! ```
//!
//! A file whose header is zeros is zeros throughout: its body is overwritten first. So a start knows
//! clean files without reading them.
//!
//! Invariants: a file is overwritten only when a durable header says that the log can do without it,
//! and while the reserve does not count on it; a sealed segment's file holds nothing of an older
//! segment.
//!
//! Source: NIST SP 800-88 calls this *clear*: the device's own remapped cells are beyond it.
//!
//! Caveats: paced, so a log of 8 GiB takes two minutes. A start forgets what was asked for: the
//! owner asks again.

use bytes::Bytes;
use holdfast_io::{AlignedBuf, Disk, FileId};

use crate::format::{DATA_START, HEADER_COPY_BYTES};
use crate::item::SegmentNumber;
use crate::recovery::first_frame_of;
use crate::wal::{Request, Wal};

/// One write of zeros: short beside a frame of the longest kind, which may have to wait for it.
pub(crate) const ZEROS_BYTES: u64 = 256 << 10;
/// Pause after each: 64 MB/s, a small share of any NVMe device.
pub(crate) const PACE_NS: u64 = 4_000_000;
const _: () = assert!(DATA_START == 2 * HEADER_COPY_BYTES, "a file begins with its header alone");

/// A range of a file that is overwritten from its beginning.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Zeroing {
    pub(crate) next: u64,
    pub(crate) end: u64,
}

impl Zeroing {
    /// The next write: where, and how many bytes.
    fn take(&mut self) -> Option<(u64, u64)> {
        let start = self.next;
        let len_bytes = (self.end - start).min(ZEROS_BYTES);
        self.next += len_bytes;
        (len_bytes > 0).then_some((start, len_bytes))
    }
}

/// What is asked for, and how far it is.
#[derive(Debug, Default)]
pub(crate) struct Erase {
    /// Bytes of segments up to here are to go; 0: nothing is asked for.
    through: SegmentNumber,
    /// The file that is being overwritten, and what of it is left: its body, then its header.
    file: Option<(u32, Zeroing, Zeroing)>,
    /// A write of zeros is under way.
    writing: bool,
    due_ns: u64,
    zeros: Option<Bytes>,
    /// Files overwritten since the start.
    pub(crate) files: u64,
}

impl<D: Disk> Wal<D> {
    /// Nothing of the segments up to `through` shall be left in any file. Goes on with
    /// [`Wal::tick`], as far as [`Wal::erase_needs`] is trimmed; ends when [`Wal::is_erased`].
    pub fn erase(&mut self, through: SegmentNumber) {
        self.erase.through = self.erase.through.max(through.min(self.tail.segment));
    }

    /// The newest segment of the log that must be given back before what was asked for is erased;
    /// `None` when none is in the way. The open segment never is.
    #[must_use]
    pub fn erase_needs(&self) -> Option<SegmentNumber> {
        let through = self.erase.through;
        let is_in_the_way = |number: SegmentNumber, slot: u32| {
            // A damaged segment never gets a seal, and so keeps what lies behind its frames.
            let never_sealed = !self.segments[&number].sealed && !self.awaits_seal(number);
            number <= through
                || never_sealed && self.space.residue(slot).is_some_and(|newest| newest <= through)
        };
        let closed = self.segments.iter().rev().filter(|(_, segment)| segment.closing.is_some());
        let mut closed = closed.map(|(number, segment)| (*number, segment.slot));
        closed.find(|(number, slot)| is_in_the_way(*number, *slot)).map(|(number, _)| number)
    }

    /// No file holds bytes of a segment up to `through`.
    #[must_use]
    pub fn is_erased(&self, through: SegmentNumber) -> bool {
        self.oldest_segment() > through && !self.space.has_residue(through)
    }

    /// One step of what was asked for, if one is due.
    pub(crate) fn tend_erase(&mut self) {
        let through = self.erase.through;
        if through == SegmentNumber::default() {
            return;
        }
        if self.is_erased(through) {
            self.erase.through = SegmentNumber::default();
            self.erase.zeros = None;
            return;
        }
        if self.roll_serves(through) {
            self.roll();
        }
        if self.erase.writing || self.now_ns < self.erase.due_ns {
            return;
        }
        if self.erase.file.is_none() {
            self.choose_file(through);
        }
        let Some((slot, body, header)) = &mut self.erase.file else { return };
        let slot = *slot;
        if let Some((start, len_bytes)) = body.take().or_else(|| header.take()) {
            let file = self.space.file(slot).expect("a free file is open");
            self.write_zeros(file, start, len_bytes, Request::Erase);
            self.erase.writing = true;
        }
    }

    /// When `tend_erase` has the next write to make, if it can make one.
    pub(crate) fn erase_due_ns(&self) -> Option<u64> {
        let can_go_on = self.erase.file.is_some() && !self.erase.writing;
        can_go_on.then_some(self.erase.due_ns)
    }

    /// The open segment is in the way, or a header has to say what the log can do without.
    fn roll_serves(&self, through: SegmentNumber) -> bool {
        let Some(open) = self.segments.get(&self.tail.segment) else { return false };
        let holds = |slot| self.space.residue(slot).is_some_and(|newest| newest <= through);
        let in_the_way = self.tail.segment <= through || holds(open.slot);
        let unpublished = self.erase_needs().is_none()
            && self.published_oldest < self.oldest_segment()
            && self.space.ready_with_residue(through).is_some();
        // A frame of this start is there to say by its number where the segment ends.
        let has_frame = self.tail.next_frame > first_frame_of(self.boot);
        let is_settled = open.header_durable && self.queue.is_empty() && self.sealing.is_empty();
        (in_the_way || unpublished)
            && has_frame
            && is_settled
            && self.space.can_spare()
            && self.space.ready_and_blank().is_some()
    }

    /// While something is to be erased, a segment in a used file would keep what the file holds.
    pub(crate) fn prefer_clean_file(&mut self) {
        if self.erase.through != SegmentNumber::default()
            && let Some(slot) = self.space.ready_and_blank()
        {
            self.space.take_next(slot);
        }
    }

    /// Takes a free file to overwrite: one that is in the way, or, so that a segment can be opened
    /// in a clean one, any.
    fn choose_file(&mut self, through: SegmentNumber) {
        if !self.space.can_spare() {
            return;
        }
        let published = if self.config.planted.erased_before_header {
            self.tail.segment
        } else {
            self.published_oldest
        };
        let not_needed = SegmentNumber(published.0.saturating_sub(1));
        let in_the_way = self.space.ready_with_residue(through.min(not_needed));
        let any = || match self.space.ready_and_blank() {
            None => self.space.ready_with_residue(not_needed),
            Some(_) => None,
        };
        if let Some(slot) = in_the_way.or_else(any) {
            self.space.withhold(slot);
            let body = Zeroing { next: DATA_START, end: self.config.segment_bytes };
            self.erase.file = Some((slot, body, Zeroing { next: 0, end: DATA_START }));
        }
    }

    /// Zeros are down in the chosen file.
    pub(crate) fn erase_written(&mut self) {
        self.erase.writing = false;
        self.erase.due_ns = self.now_ns + PACE_NS;
        if let Some((slot, body, header)) = self.erase.file
            && body.next == body.end
            && header.next == header.end
        {
            self.erase.file = None;
            self.erase.files += 1;
            self.space.erased(slot);
            self.space.give_back(slot);
        }
    }

    /// Whether nothing but zeros is left between the last frame and the seal of the next segment to be
    /// sealed; writes some if there is.
    pub(crate) fn gap_is_zeros(&mut self) -> bool {
        let Some(sealing) = self.sealing.front_mut() else { return true };
        let Some(gap) = &mut sealing.gap else { return true };
        let segment = sealing.trailer.segment;
        if self.requests.values().any(|request| matches!(request, Request::Gap)) {
            return false;
        }
        let Some((start, len_bytes)) = gap.take() else { return true };
        let file = self.file_of(segment).expect("frames of the segment are durable");
        self.write_zeros(file, start, len_bytes, Request::Gap);
        false
    }

    fn write_zeros(&mut self, file: FileId, start: u64, len_bytes: u64, request: Request) {
        let zeros = self.erase.zeros.get_or_insert_with(|| {
            let mut buffer = AlignedBuf::unpooled(ZEROS_BYTES as usize);
            buffer.reserve_zeroed(ZEROS_BYTES as usize);
            buffer.freeze()
        });
        let zeros = zeros.slice(..len_bytes as usize);
        let token = self.request(request);
        self.disk.submit_write(file, start, zeros, token);
        self.counters.writes += 1;
    }
}
