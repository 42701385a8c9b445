//! Cuts a stream of bytes into the parts of a multipart upload, without copying.
//!
//! Every part but the last has exactly [`PART_BYTES`]: some stores want them equal. What fits into
//! one part is better put whole; [`PartCutter::finish`] then returns all of it.

use std::collections::VecDeque;

use bytes::Bytes;

use crate::limits::PART_BYTES;

/// Collects bytes until a part is full.
#[derive(Debug, Default)]
pub struct PartCutter {
    waiting: VecDeque<Bytes>,
    /// Sum over `waiting`.
    waiting_bytes: u64,
}

impl PartCutter {
    /// Nothing yet.
    #[must_use]
    pub fn new() -> PartCutter {
        PartCutter::default()
    }

    /// Adds what a writer handed out, leaving `parts` empty.
    pub fn push(&mut self, parts: &mut Vec<Bytes>) {
        for bytes in parts.drain(..).filter(|bytes| !bytes.is_empty()) {
            self.waiting_bytes += bytes.len() as u64;
            self.waiting.push_back(bytes);
        }
    }

    /// The next full part, once more than a part has come: so there is always a last part.
    pub fn next_part(&mut self) -> Option<Vec<Bytes>> {
        (self.waiting_bytes > PART_BYTES).then(|| self.take(PART_BYTES))
    }

    /// The last part. At most [`PART_BYTES`] when [`Self::next_part`] was asked until `None`.
    #[must_use]
    pub fn finish(mut self) -> Vec<Bytes> {
        self.take(self.waiting_bytes)
    }

    fn take(&mut self, wanted: u64) -> Vec<Bytes> {
        let mut part = Vec::new();
        let mut left = wanted;
        while left > 0 {
            let Some(mut bytes) = self.waiting.pop_front() else { break };
            if bytes.len() as u64 > left {
                // `left` is below a length in memory.
                let front = bytes.split_to(left as usize);
                self.waiting.push_front(bytes);
                bytes = front;
            }
            left -= bytes.len() as u64;
            part.push(bytes);
        }
        self.waiting_bytes -= wanted - left;
        part
    }
}
