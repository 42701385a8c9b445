//! The newest payloads in memory: slices of WAL frame buffers, found by where they lie.
//!
//! Keys grow with the log, so the oldest is the first and eviction is `pop_first`. A slice keeps
//! its whole frame alive; the budget counts slices, and a frame is little more than its payload
//! (header, commands, padding to 4 KiB), which the driver adds as overhead.

use std::collections::BTreeMap;

use bytes::Bytes;
use holdfast_wal::{Extent, SegmentNumber};

/// See the module. Invariant: `held_bytes` is the sum over `payloads` of length + overhead.
#[derive(Debug)]
pub struct TailCache {
    payloads: BTreeMap<(SegmentNumber, u64), Bytes>,
    held_bytes: u64,
    budget_bytes: u64,
}

/// Charged for each payload beside its bytes: map node, refcount, share of the frame's padding.
const OVERHEAD_BYTES: u64 = 256;

impl TailCache {
    /// An empty cache that holds at most about `budget_bytes`.
    #[must_use]
    pub fn new(budget_bytes: u64) -> Self {
        TailCache { payloads: BTreeMap::new(), held_bytes: 0, budget_bytes }
    }

    /// Adds the payload at `extent`, then lets the oldest go until the budget holds.
    pub fn insert(&mut self, extent: Extent, payload: Bytes) {
        assert_eq!(extent.len_bytes as usize, payload.len(), "an extent names its payload whole");
        if payload.is_empty() {
            return;
        }
        self.held_bytes += payload.len() as u64 + OVERHEAD_BYTES;
        if let Some(old) = self.payloads.insert((extent.segment, extent.offset), payload) {
            self.held_bytes -= old.len() as u64 + OVERHEAD_BYTES;
        }
        while self.held_bytes > self.budget_bytes {
            let Some((_, oldest)) = self.payloads.pop_first() else { break };
            self.held_bytes -= oldest.len() as u64 + OVERHEAD_BYTES;
        }
    }

    /// The bytes of `extent`, if all of them are here.
    #[must_use]
    pub fn find(&self, extent: Extent) -> Option<Bytes> {
        let (key, payload) = self.payloads.range(..=(extent.segment, extent.offset)).next_back()?;
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
