//! Leader epochs and where each began: how a client learns that what it read is gone (KIP-320).
//!
//! ```text
//! epoch    3      7             8          current 12, nothing written yet
//! offset   0 .... 40 ......... 95 .... end
//! ```
//!
//! OffsetForLeaderEpoch, by Kafka's rule (`LeaderEpochFileCache.endOffsetFor`). The *current* epoch
//! of a leader counts before it wrote: it begins at the end of the log, as Kafka notes it there on
//! taking over.
//!
//! ```text
//! asked                                answer
//! below 0, or above the current        undefined
//! the current                          it, the end of the log
//! between, or one that wrote           the largest that wrote at or below it, and the start of
//!                                      the next that wrote (of the current, if none did)
//! below the first that wrote           itself, and the start of that first
//! ```
//!
//! Invariants: epochs and start offsets both ascend strictly; a row exists only for an epoch that
//! wrote something. The first row starts at or below `log_start`, unless the log was empty there.

use crate::refusal::BrokenInvariant;

/// A leader epoch and the offset of its first batch.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct EpochStart {
    /// `epoch_base + term`.
    pub epoch: i32,
    /// Of its first batch.
    pub start_offset: i64,
}

/// Answer to OffsetForLeaderEpoch: the largest epoch at or below the one asked for, and its end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct EpochEnd {
    /// The epoch.
    pub epoch: i32,
    /// The offset after its last record.
    pub end_offset: i64,
}

/// Whether what a reader last read is still what is here (KIP-320).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Divergence {
    /// It is.
    None,
    /// Not beyond this end: the reader truncates to it, or resets.
    At(EpochEnd),
    /// Nobody knows that epoch: OFFSET_OUT_OF_RANGE, as Kafka.
    Unknown,
}

#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Epochs {
    rows: Vec<EpochStart>,
}

impl Epochs {
    pub(crate) fn from_rows(rows: Vec<EpochStart>) -> Self {
        Epochs { rows }
    }

    pub(crate) fn rows(&self) -> &[EpochStart] {
        &self.rows
    }

    pub(crate) fn last(&self) -> Option<i32> {
        self.rows.last().map(|row| row.epoch)
    }

    /// The first batch of an epoch makes its row.
    pub(crate) fn note(&mut self, epoch: i32, offset: i64) -> Result<(), BrokenInvariant> {
        match self.last() {
            Some(last) if last > epoch => Err(BrokenInvariant::new(format!(
                "a batch of leader epoch {epoch} after one of epoch {last}"
            ))),
            Some(last) if last == epoch => Ok(()),
            _ => {
                // An epoch whose last record was deleted begins where the next one does: it holds
                // nothing any more.
                while self.rows.last().is_some_and(|row| row.start_offset >= offset) {
                    self.rows.pop();
                }
                self.rows.push(EpochStart { epoch, start_offset: offset });
                Ok(())
            }
        }
    }

    /// What lies below `log_start` is forgotten; the epoch that holds it stays, cut to begin there.
    pub(crate) fn drop_below(&mut self, log_start: i64) {
        let below = self.rows.partition_point(|row| row.start_offset <= log_start);
        if below == 0 {
            return;
        }
        self.rows.drain(..below - 1);
        self.rows[0].start_offset = log_start;
    }

    /// The table of the module. `end` is where the log ends.
    pub(crate) fn end_of(&self, asked: i32, current: i32, end: i64) -> Option<EpochEnd> {
        if asked < 0 || asked > current {
            return None;
        }
        if asked == current {
            return Some(EpochEnd { epoch: asked, end_offset: end });
        }
        let next = self.rows.partition_point(|row| row.epoch <= asked);
        let end_offset = self.rows.get(next).map_or(end, |row| row.start_offset);
        let epoch = next.checked_sub(1).map_or(asked, |at| self.rows[at].epoch);
        Some(EpochEnd { epoch, end_offset })
    }
}
