//! What a history is judged by.

use serde::{Deserialize, Serialize};

/// What holds for the system under test. The default is what Holdfast promises; the switches
/// exist to calibrate the checker against systems that promise less.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Expectations {
    /// Offsets follow each other without a gap: no transactions, no compaction.
    pub contiguous_offsets: bool,
    /// The high watermark never goes back, whoever answers. Apache Kafka's does for a moment
    /// after an election; within one leader epoch of one node it must not there either.
    pub global_high_watermark: bool,
    /// `log_start` moves only because DeleteRecords asked for it: no retention.
    pub log_start_only_on_request: bool,
    /// Every partition with an acknowledged record must have been read to its end at last.
    pub final_read: bool,
    /// A commit that ended without an answer does nothing later, because its process or its node is
    /// dead by then: it must not come after one that was invoked later. Elsewhere a request may
    /// still be on its way when its caller gives up.
    pub ended_commits_are_over: bool,
}

impl Default for Expectations {
    fn default() -> Self {
        Expectations {
            contiguous_offsets: true,
            global_high_watermark: true,
            log_start_only_on_request: true,
            final_read: true,
            ended_commits_are_over: false,
        }
    }
}
