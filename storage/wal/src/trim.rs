//! Giving segments back: a replica says up to where it needs nothing from the log, and a segment
//! whose every entry lies below such a point becomes a spare file.
//!
//! ```text
//! trim(shard, index) ─▶ the table in memory ─▶ release: oldest segment first, while
//!                                              its seal is written, the next one is open,
//!                                              closing.last ≤ trimmed for every replica
//!                                              ─▶ its file is ready for another segment
//! roll ─▶ the header of a new segment holds the table and `oldest`, and may lie in that file
//! ```
//!
//! Nothing is written for a trim: it becomes durable with the header of the next segment, which is
//! also the first thing that can overwrite a released file. So a crash either finds the old
//! segments whole, or a header that no longer needs them. For that, a header that goes into a
//! released file is written one copy after the other: in between, the other copy still names the
//! old segment.
//!
//! Invariants: `trimmed ≤ last` of each replica, and it never decreases; the segments of the log
//! are consecutive in time: only the oldest is released.
//!
//! Caveat: an entry that was overwritten by a new leader still counts by its index until `trimmed`
//! passes it. This may keep a segment longer, never give it up too soon.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use holdfast_base::{Index, ShardId, Term};
use holdfast_io::Disk;

use crate::item::SegmentNumber;
use crate::wal::{ReplicaLast, Request, Wal};

/// The oldest segment of a running log, for threads that read its files by themselves. A file may
/// hold another segment by the time it is read, and records in it that look like the right ones:
/// so whoever has read asks *afterwards* whether the segment is still there.
#[derive(Clone, Debug)]
pub struct OldestSegment(Arc<AtomicU64>);

impl OldestSegment {
    /// True while bytes of `segment` that were read before this call are its own.
    #[must_use]
    pub fn still_has(&self, segment: SegmentNumber) -> bool {
        segment.0 >= self.0.load(Ordering::SeqCst)
    }

    /// One that stays at `segment`, for tests of readers.
    #[must_use]
    pub fn fixed(segment: SegmentNumber) -> OldestSegment {
        OldestSegment(Arc::new(AtomicU64::new(segment.0)))
    }
}

impl<D: Disk> Wal<D> {
    /// Tells other threads which segments are still there.
    #[must_use]
    pub fn oldest_shared(&self) -> OldestSegment {
        OldestSegment(Arc::clone(&self.oldest))
    }

    /// Entries of `shard` up to `index`, whose entry had `term`, are no longer needed from this
    /// log: they are uploaded, checkpointed, or of no use. A lower index than before says nothing
    /// new.
    ///
    /// # Panics
    /// When `index` is beyond the replica's last entry, or no such replica is here.
    pub fn trim(&mut self, shard: ShardId, index: Index, term: Term) {
        let row = self.replicas.get_mut(&shard).expect("a replica of this node trims its own log");
        assert!(index <= row.last, "trimmed ≤ last");
        if index <= row.trimmed {
            return;
        }
        row.trimmed = index;
        row.trimmed_term = term;
        self.release_segments();
    }

    /// Up to which index each replica of this node must be trimmed before the oldest segment goes;
    /// `None` while that is the open one.
    #[must_use]
    pub fn oldest_needs(&self) -> Option<Vec<(ShardId, Index)>> {
        let closing = self.segments.values().next()?.closing.as_ref()?;
        let here = |one: &&ReplicaLast| {
            self.replicas.get(&one.shard).is_some_and(|row| row.identity.replica == one.replica)
        };
        Some(closing.iter().filter(here).map(|one| (one.shard, one.last)).collect())
    }

    /// Everything older is gone.
    #[must_use]
    pub fn oldest_segment(&self) -> SegmentNumber {
        self.segments.keys().next().copied().unwrap_or(self.tail.segment)
    }

    /// Makes spares of the oldest segments, as long as nobody needs them.
    pub(crate) fn release_segments(&mut self) {
        while self.oldest_is_free() {
            let Some((number, segment)) = self.segments.pop_first() else { break };
            // Before the file can be taken: see `OldestSegment`.
            self.oldest.store(self.oldest_segment().0, Ordering::SeqCst);
            self.space.release(segment.slot, number);
            self.counters.released += 1;
        }
    }

    fn oldest_is_free(&self) -> bool {
        let Some((number, oldest)) = self.segments.iter().next() else { return false };
        // The open segment has none.
        let Some(closing) = &oldest.closing else { return false };
        let passed = |one: &ReplicaLast| match self.replicas.get(&one.shard) {
            Some(row) if row.identity.replica == one.replica => one.last <= row.trimmed,
            // Another replica's entries count no more.
            _ => true,
        };
        // Until it has its seal, its frames or the next header may be under way. A damaged segment never
        // gets one, and waits for none.
        let is_read = |request: &Request| match request {
            Request::Read(read) => read.segment == *number,
            _ => false,
        };
        closing.iter().all(passed)
            && !self.awaits_seal(*number)
            && !self.requests.values().any(is_read)
    }

    /// Its seal is to be written, or under way.
    pub(crate) fn awaits_seal(&self, number: SegmentNumber) -> bool {
        let is_seal = |request: &Request| matches!(request, Request::Seal(of) if *of == number);
        self.sealing.iter().any(|sealing| sealing.trailer.segment == number)
            || self.requests.values().any(is_seal)
    }
}
