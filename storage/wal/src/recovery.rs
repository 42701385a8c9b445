//! What is believed after a crash: a table, a pure function, and three steps that feed it.
//!
//! A *bad place* is where reading the log stops making sense: a frame that fails a checksum, or
//! is not the one that must come next (segment, slot, device offset, number, position, chain,
//! boot count), or a block the device cannot read; or a superblock or segment header without a
//! valid copy. Evidence is looked for behind it, in the same segment and the ones opened after it:
//!
//! - *claimed*: something valid of this chain says that `durable` reaches the bad place: a later
//!   frame, a later segment's header, or a seal;
//! - *beyond W*: something valid of this chain ends more than W bytes behind, while at most W
//!   bytes were ever in flight.
//!
//! | bad place | evidence | verdict |
//! | --- | --- | --- |
//! | superblock or segment header, one copy | – | `Repair`: written again from the other copy |
//! | superblock, both copies | – | `LaneFailed` |
//! | segment header, both copies | a frame of that segment, or a later segment continues it | `LaneFailed` (frames are submitted only once their header is durable) |
//! | segment header, both copies | none | `NeverOpened`: the file is a spare |
//! | frame, segment sealed | – | `Corruption` (a seal is written only when all is durable) |
//! | frame, open segment, unreadable block | – | `Corruption` (a torn write can be read) |
//! | frame, open segment | claimed, or beyond W | `Corruption`: the directories name the shards |
//! | frame, open segment | neither, something was written behind | `Torn`: cut here |
//! | frame, open segment | neither, nothing but zeros behind | `End`: the log simply ends |
//!
//! `Torn` opens a new segment under the new boot count, whose header says where the log before it
//! ended; what lies behind the cut is never looked at again. `End` goes on in the same segment:
//! there is nothing behind that could come alive.
//!
//! Bit rot in the last frames of a crash, before anything durable claims them, cannot be told
//! from a torn write and counts as torn.
//!
//! Frames found whole were perhaps never flushed; the superblock written by recovery is flushed
//! behind them, so what is served afterwards is durable.

mod files;
mod log;
mod replay;
mod scan;
mod start;
#[cfg(test)]
mod tests;

pub(crate) use scan::first_frame_of;

pub use replay::{Damage, DamageReason, Recovered, RecoveredReplica};

use crate::item::{FrameNumber, SegmentNumber};

/// Where a bad place is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Place {
    /// `lane-N.superblock`.
    Superblock,
    /// The header of a segment.
    SegmentHeader,
    /// A frame of a segment with a valid seal.
    SealedSegment,
    /// A frame of a segment without one.
    OpenSegment,
}

/// What was found about a bad place. Fields that mean nothing at a place are false there.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "independent facts, walked exhaustively")]
pub struct Facts {
    /// Where.
    pub place: Place,
    /// The other copy is whole (superblock, segment header).
    pub other_copy_valid: bool,
    /// The device could not read it.
    pub unreadable: bool,
    /// Something valid and later says `durable` reaches it, or lies behind a header.
    pub claimed: bool,
    /// Something valid ends more than W bytes behind it.
    pub beyond_window: bool,
    /// Behind it is nothing but zeros.
    pub zeros_behind: bool,
}

/// What is done about it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// The log ends; the segment goes on.
    End,
    /// The log is cut; a new segment begins.
    Torn,
    /// Durable bytes are damaged: the shards they belong to stop there.
    Corruption,
    /// Written again from the other copy.
    Repair,
    /// The header was in flight: the file is a spare.
    NeverOpened,
    /// Nothing in this directory can be believed.
    LaneFailed,
}

/// The table above.
#[must_use]
pub fn decide(facts: &Facts) -> Verdict {
    match facts.place {
        Place::Superblock | Place::SegmentHeader if facts.other_copy_valid => Verdict::Repair,
        Place::Superblock => Verdict::LaneFailed,
        Place::SegmentHeader if facts.claimed => Verdict::LaneFailed,
        Place::SegmentHeader => Verdict::NeverOpened,
        Place::SealedSegment => Verdict::Corruption,
        Place::OpenSegment if facts.unreadable => Verdict::Corruption,
        Place::OpenSegment if facts.claimed || facts.beyond_window => Verdict::Corruption,
        Place::OpenSegment if facts.zeros_behind => Verdict::End,
        Place::OpenSegment => Verdict::Torn,
    }
}

/// Where the log was cut at this start.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Cut {
    /// The segment that was open.
    pub segment: SegmentNumber,
    /// Where the first bad frame starts.
    pub offset: u64,
    /// The last frame that counts.
    pub last_frame: FrameNumber,
}

/// One bad place and its verdict, for `status` and the log.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct VerdictRow {
    /// The file.
    pub file: String,
    /// Bytes from its start.
    pub offset: u64,
    /// What was found.
    pub facts: Facts,
    /// What was done.
    pub verdict: Verdict,
}
