//! Reading commands back in the order of the log, whichever replicas they belong to: what a start
//! does with everything that is not checkpointed.
//!
//! ```text
//! segment   │head│payload│head│payload          │head│payload ...        │head│pa
//! windows    ╰─ near heads: one read ──╯          ╰─ a far one: its own ─╯
//! ```
//!
//! A frame holds entries of many replicas. Read replica by replica it would be read, checked and
//! parsed once for each of them; in the order of the log it is read once and nothing need be kept.
//! Payload is read only where it lies between two heads that are too near for a read each.
//!
//! Invariants: runs of one replica come in index order (recovery found them in the order of the
//! log); one window is in memory, and what a caller keeps of it keeps all of it.

use bytes::Bytes;
use holdfast_io::{BLOCK_BYTES, Disk};

use crate::error::WalError;
use crate::format::frame::FrameHeader;
use crate::format::padded;
use crate::item::{EntryRun, Extent, SegmentNumber, StoredEntry};
use crate::read::{entries_of, frame_in, read_commands};
use crate::wal::Wal;

#[cfg(test)]
mod tests;

/// The longest read: where a device read by one thread is at its best (3.9 GB/s here; 2.4 GB/s
/// with 512 KiB), and still a size that buffer pools keep.
const WINDOW_BYTES: u64 = 1 << 20;
/// Read of a frame for its header, directories and commands; about eight entries. Longer ones
/// are read again, by themselves, where a window ends behind such a part of them.
const HEAD_BYTES: u64 = 8 << 10;
/// A gap up to this is read along: a read of its own costs 70 us here, and so do 256 KiB.
const GAP_BYTES_MAX: u64 = 256 << 10;
const _: () = assert!(HEAD_BYTES.is_multiple_of(BLOCK_BYTES as u64) && HEAD_BYTES < WINDOW_BYTES);

/// Bytes of a segment from `start` on.
#[derive(Debug, Default)]
struct Window {
    segment: SegmentNumber,
    start: u64,
    bytes: Bytes,
}

impl Window {
    /// From `offset` to its end, at least a block.
    fn from(&self, segment: SegmentNumber, offset: u64) -> Option<Bytes> {
        let skip = usize::try_from(offset.checked_sub(self.start)?).ok()?;
        let holds = self.segment == segment && skip + BLOCK_BYTES <= self.bytes.len();
        holds.then(|| self.bytes.slice(skip..))
    }
}

/// A frame's header and commands, or why there are none.
type Loaded = Result<(FrameHeader, Bytes), WalError>;

/// Runs and their entries, in the order of the log; made by [`Wal::read_in_order`].
pub struct LogReader<'a, D: Disk> {
    wal: &'a Wal<D>,
    /// Ascending by segment and offset.
    runs: Vec<&'a EntryRun>,
    next: usize,
    window: Window,
    /// The frame last asked for, by the place its runs name.
    frame: Option<(Extent, Loaded)>,
    /// The device could not read a window that ends here: frames before are read one by one, so
    /// that a bad block costs what lies in it and nothing beside.
    one_by_one: (SegmentNumber, u64),
}

impl<D: Disk> Wal<D> {
    /// The entries of `runs`, in the order of the log. Runs of one replica must come in index
    /// order. Blocks, once per window of many frames.
    pub fn read_in_order<'a>(
        &'a self,
        runs: impl IntoIterator<Item = &'a EntryRun>,
    ) -> LogReader<'a, D> {
        let mut runs: Vec<&EntryRun> = runs.into_iter().collect();
        // Stable: a replica may have several runs in one frame.
        runs.sort_by_key(|run| (run.frame.segment, run.frame.offset));
        LogReader {
            wal: self,
            runs,
            next: 0,
            window: Window::default(),
            frame: None,
            one_by_one: (SegmentNumber::default(), 0),
        }
    }
}

impl<'a, D: Disk> Iterator for LogReader<'a, D> {
    /// The errors are those of [`Wal::read_run`], and hold for that run alone.
    type Item = (&'a EntryRun, Result<Vec<StoredEntry>, WalError>);

    fn next(&mut self) -> Option<Self::Item> {
        let run = *self.runs.get(self.next)?;
        if self.frame.as_ref().is_none_or(|(place, _)| *place != run.frame) {
            self.frame = Some((run.frame, self.load(run.frame)));
        }
        self.next += 1;
        let (_, loaded) = self.frame.as_ref()?;
        let entries = match loaded {
            Ok((header, commands)) => entries_of(run, header, commands),
            Err(error) => Err(error.clone()),
        };
        Some((run, entries))
    }
}

impl<D: Disk> LogReader<'_, D> {
    fn load(&mut self, frame: Extent) -> Loaded {
        let Extent { segment, offset, .. } = frame;
        if self.window.from(segment, offset).is_none() {
            self.read_window(frame)?;
        }
        let config = &self.wal.config;
        let in_window = self.window.from(segment, offset);
        match in_window.and_then(|bytes| frame_in(&bytes, segment, offset, config)) {
            Some(found) => Ok(found),
            // Longer than the window, or wrong: this tells which, and what is wrong.
            None => {
                let file = self.wal.file_at(segment)?;
                read_commands(&self.wal.disk, file, segment, offset, config)
            }
        }
    }

    /// Reads from `frame` on, as far as the frames wanted next lie near one another.
    fn read_window(&mut self, frame: Extent) -> Result<(), WalError> {
        let Extent { segment, offset: start, .. } = frame;
        if self.one_by_one.0 == segment && start < self.one_by_one.1 {
            return Ok(());
        }
        let mut end = start + head_bytes(frame);
        for run in &self.runs[self.next..] {
            let Extent { segment: of, offset, .. } = run.frame;
            let head_end = offset + head_bytes(run.frame);
            if of != segment || offset > end + GAP_BYTES_MAX || head_end > start + WINDOW_BYTES {
                break;
            }
            end = end.max(head_end);
        }
        let file = self.wal.file_at(segment)?;
        match self.wal.disk.read(file, start, (end - start) as usize) {
            Ok(bytes) => self.window = Window { segment, start, bytes },
            Err(_) => self.one_by_one = (segment, end),
        }
        Ok(())
    }
}

/// What is read of a frame for its commands.
fn head_bytes(frame: Extent) -> u64 {
    padded(u64::from(frame.len_bytes)).clamp(BLOCK_BYTES as u64, HEAD_BYTES)
}
