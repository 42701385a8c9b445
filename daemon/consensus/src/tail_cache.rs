//! The newest payloads in memory: slices of WAL frame buffers, found by where they lie.
//!
//! Keys grow with the log, so the oldest is the first and eviction is `pop_first`. A slice keeps
//! its whole frame alive; the budget counts slices, and a frame is little more than its payload
//! (header, commands, padding to 4 KiB), which the driver adds as overhead.
//!
//! What is not durable stays, whatever the budget: until its frame is on the media the device
//! shows older bytes in its place, and a follower fed from there would store them.

use std::collections::BTreeMap;

use bytes::Bytes;
use holdfast_wal::{Extent, FrameNumber, SegmentNumber};

/// See the module. Invariant: `held_bytes` is the sum over `payloads` of length + overhead.
#[derive(Debug)]
pub struct TailCache {
    payloads: BTreeMap<(SegmentNumber, u64), (FrameNumber, Bytes)>,
    held_bytes: u64,
    budget_bytes: u64,
    /// Payloads of frames ≤ this may go.
    durable: FrameNumber,
}

/// Charged for each payload beside its bytes: map node, refcount, share of the frame's padding.
const OVERHEAD_BYTES: u64 = 256;

impl TailCache {
    /// An empty cache that holds at most about `budget_bytes`.
    #[must_use]
    pub fn new(budget_bytes: u64) -> Self {
        TailCache {
            payloads: BTreeMap::new(),
            held_bytes: 0,
            budget_bytes,
            durable: FrameNumber::default(),
        }
    }

    /// Adds the payload at `extent`, which is durable once `frame` is.
    pub fn insert(&mut self, extent: Extent, payload: Bytes, frame: FrameNumber) {
        assert_eq!(extent.len_bytes as usize, payload.len(), "an extent names its payload whole");
        if payload.is_empty() {
            return;
        }
        self.held_bytes += payload.len() as u64 + OVERHEAD_BYTES;
        let key = (extent.segment, extent.offset);
        if let Some((_, old)) = self.payloads.insert(key, (frame, payload)) {
            self.held_bytes -= old.len() as u64 + OVERHEAD_BYTES;
        }
        self.evict();
    }

    /// Frames up to `durable` are on the media; the oldest payloads go until the budget holds.
    pub fn set_durable(&mut self, durable: FrameNumber) {
        self.durable = self.durable.max(durable);
        self.evict();
    }

    fn evict(&mut self) {
        while self.held_bytes > self.budget_bytes {
            let oldest = self.payloads.first_entry();
            let Some(oldest) = oldest.filter(|entry| entry.get().0 <= self.durable) else { break };
            let (_, payload) = oldest.remove();
            self.held_bytes -= payload.len() as u64 + OVERHEAD_BYTES;
        }
    }

    /// The bytes of `extent`, if all of them are here.
    #[must_use]
    pub fn find(&self, extent: Extent) -> Option<Bytes> {
        let (key, (_, payload)) =
            self.payloads.range(..=(extent.segment, extent.offset)).next_back()?;
        if key.0 != extent.segment {
            return None;
        }
        let start = usize::try_from(extent.offset - key.1).ok()?;
        let end = start.checked_add(extent.len_bytes as usize)?;
        (end <= payload.len()).then(|| payload.slice(start..end))
    }

    /// Bytes held, with overhead.
    #[must_use]
    pub fn held_bytes(&self) -> u64 {
        self.held_bytes
    }
}
