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
//! when less than half of the window is still ahead, so that GETs are few and large.
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
    /// The window reaches beyond this object: fetch the footer of the next one too.
    pub next_object: bool,
}

impl ReadAhead {
    /// The reader was given offsets `read` of `partition` in the object of `footer`. What it will
    /// likely want next, and its past with that.
    #[must_use]
    pub fn after(
        self,
        read: Range<i64>,
        footer: &Footer,
        partition: &PartitionRow,
    ) -> (ReadAhead, Ahead) {
        let goes_on = self.next_offset == read.start && read.end > read.start;
        if !goes_on {
            let past = ReadAhead { next_offset: read.end, window_bytes: 0, ahead_offset: read.end };
            return (past, Ahead::default());
        }
        let window_bytes = (self.window_bytes * 2).clamp(WINDOW_BYTES_MIN, WINDOW_BYTES_MAX);
        let ahead_offset = self.ahead_offset.max(read.end);
        let mut past = ReadAhead { next_offset: read.end, window_bytes, ahead_offset };
        let end = partition.first_block + partition.blocks;
        let Some(next) = footer.block_at_offset(partition, read.end) else {
            return (past, Ahead { blocks: end..end, next_object: true });
        };
        // Blocks from here on are not asked for yet.
        let first = footer.block_at_offset(partition, ahead_offset).unwrap_or(end);
        let waiting_bytes = bytes_of(footer, next..first);
        if waiting_bytes >= window_bytes / 2 {
            return (past, Ahead { blocks: first..first, next_object: false });
        }
        let mut last = first;
        while last < end && bytes_of(footer, next..last) < window_bytes {
            last += 1;
        }
        if last > first {
            past.ahead_offset = footer.block(last - 1).last_offset + 1;
        }
        let next_object = last == end && bytes_of(footer, next..end) < window_bytes;
        (past, Ahead { blocks: first..last, next_object })
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
