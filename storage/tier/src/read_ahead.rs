//! What to read before it is asked for: a pure function of what one reader did so far.
//!
//! ```text
//! reads      |--1--|--2--|--3--|
//! window           1 MiB  2 MiB   4 MiB ... 8 MiB       doubles while a reader goes on where it was
//! asked for        |=====|===========|===================|          one GET ahead, not many small ones
//! ```
//!
//! Idea: as a kernel does for files. A reader that continues where it ended is likely to go on; the
//! window doubles with every such read and is back at nothing after a jump. A GET is made only
//! when less than half of the window is still ahead, so that GETs are few and large. A window goes on
//! in the next object of the partition as soon as its footer is here, which is asked for when the
//! window reaches beyond the object at hand: a reader does not notice where objects end.
//!
//! Readers share one room: each has a window of its share, since GETs that take what happens to be free
//! become as small as what the last read gave back.
//!
//! The caller keeps one [`ReadAhead`] for each (session, partition), gives it every read, and may
//! drop what it asks for when its budget is short: nothing depends on it.

use std::ops::Range;

use crate::footer::Footer;
use crate::format::rows::PartitionRow;

/// The first window: what a client's next fetch is likely to ask for.
pub const WINDOW_BYTES_MIN: u64 = 1 << 20;
/// The largest: at 8 MiB a GET is bound by bandwidth and no longer by the store's latency.
pub const WINDOW_BYTES_MAX: u64 = 8 << 20;
const _: () = assert!(WINDOW_BYTES_MIN.is_power_of_two() && WINDOW_BYTES_MAX.is_power_of_two());
const _: () = assert!(WINDOW_BYTES_MIN <= WINDOW_BYTES_MAX);

/// One reader's past.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct ReadAhead {
    /// The offset it will read next if it goes on.
    next_offset: i64,
    /// 0 until it has gone on once.
    window_bytes: u64,
    /// Everything before this offset was asked for; at least `next_offset`.
    ahead_offset: i64,
}

/// What to fetch ahead.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Ahead {
    /// Blocks of the object at hand, in one GET; empty for none.
    pub blocks: Range<u32>,
    /// Blocks of the next object, in one GET; empty for none, and where it is not known.
    pub next_blocks: Range<u32>,
    /// The window reaches beyond this object: fetch the footer of the next one, if it is not here.
    pub next_object: bool,
}

/// A partition in one object.
#[derive(Clone, Copy, Debug)]
pub struct Part<'a> {
    /// Of the object.
    pub footer: &'a Footer,
    /// Of the partition.
    pub row: &'a PartitionRow,
}

impl Part<'_> {
    fn end(&self) -> u32 {
        self.row.first_block + self.row.blocks
    }

    /// The block that holds an offset or the first behind it; the end if there is none.
    fn at(&self, offset: i64) -> u32 {
        self.footer.block_at_offset(self.row, offset).unwrap_or(self.end())
    }

    fn bytes_of(&self, blocks: Range<u32>) -> u64 {
        bytes_of(self.footer, blocks)
    }

    /// From `first` on until all that lies from `from` on is a window, or the end.
    fn fill(&self, from: u32, first: u32, window_bytes: u64) -> Range<u32> {
        let mut last = first;
        while last < self.end() && self.bytes_of(from..last) < window_bytes {
            last += 1;
        }
        first..last
    }
}

impl ReadAhead {
    /// The reader was given offsets `read` of a partition in the object of `here`, which goes on in
    /// `next` if that is known, and may have `share_bytes` waiting. What it will likely want next, and
    /// its past with that.
    #[must_use]
    pub fn after(
        self,
        read: Range<i64>,
        here: Part<'_>,
        next: Option<Part<'_>>,
        share_bytes: u64,
    ) -> (ReadAhead, Ahead) {
        let goes_on = self.next_offset == read.start && read.end > read.start;
        if !goes_on {
            let past = ReadAhead { next_offset: read.end, window_bytes: 0, ahead_offset: read.end };
            return (past, Ahead::default());
        }
        let widest_bytes = share_bytes.clamp(WINDOW_BYTES_MIN, WINDOW_BYTES_MAX);
        let window_bytes = (self.window_bytes * 2).clamp(WINDOW_BYTES_MIN, widest_bytes);
        let ahead_offset = self.ahead_offset.max(read.end);
        let mut past = ReadAhead { next_offset: read.end, window_bytes, ahead_offset };
        let from = here.at(read.end);
        // Blocks from here on are not asked for yet.
        let first = here.at(ahead_offset);
        let left_bytes = here.bytes_of(from..here.end());
        let mut ahead = Ahead { next_object: left_bytes < window_bytes, ..Ahead::default() };
        let mut waiting_bytes = here.bytes_of(from..first);
        let mut over = None;
        if let Some(next) = next.filter(|_| ahead.next_object) {
            let (from, first) = (next.at(read.end), next.at(ahead_offset));
            waiting_bytes += next.bytes_of(from..first);
            over = Some((next, next.fill(from, first, window_bytes - left_bytes)));
        }
        if waiting_bytes >= window_bytes / 2 {
            return (past, ahead);
        }
        ahead.blocks = here.fill(from, first, window_bytes);
        if let Some(last) = ahead.blocks.clone().last() {
            past.ahead_offset = here.footer.block(last).last_offset + 1;
        }
        if let Some((next, blocks)) = over {
            if let Some(last) = blocks.clone().last() {
                past.ahead_offset = next.footer.block(last).last_offset + 1;
            }
            ahead.next_blocks = blocks;
        }
        (past, ahead)
    }

    /// What it asked for from `offset` on was not fetched: there was no room.
    #[must_use]
    pub fn only_until(self, offset: i64) -> ReadAhead {
        let ahead_offset = self.ahead_offset.min(offset).max(self.next_offset);
        ReadAhead { ahead_offset, ..self }
    }

    /// The window as it is.
    #[must_use]
    pub fn window_bytes(&self) -> u64 {
        self.window_bytes
    }
}

/// Bytes of neighbouring blocks of one partition.
fn bytes_of(footer: &Footer, blocks: Range<u32>) -> u64 {
    if blocks.is_empty() {
        return 0;
    }
    footer.block(blocks.end - 1).end() - footer.block(blocks.start).position
}
