//! Did the log keep its promises? A history of what clients did and saw goes in, anomalies with
//! their evidence come out. Used by the simulation and by tests of real processes alike.
//!
//! ```text
//! clients, nemesis, probes ──▶ HistoryWriter ──▶ one JSON object per line ──▶ HistoryReader
//!                                                                                  │
//!                          Report (counts, anomalies, lag) ◀── Checker ◀── Event ──┘
//! ```
//!
//! The idea is that of Jepsen's Kafka workload (Kingsbury, 2022): every value is written once and
//! is unique; after the faults are healed a *final read* goes through every partition from its
//! start to its end; then what producers were told, what readers saw while it happened and what
//! is there at the end must be one story. Because values are unique this takes one pass and
//! memory in proportion to the values, not a search.
//!
//! Caveats: the checker believes the order of lines (write the line inside the lock that orders
//! the events); it knows nothing of transactions yet; a history without a final read is never
//! clean.

mod anomaly;
mod check;
mod event;
mod expectations;
mod history;
mod report;

pub use anomaly::{Anomaly, Finding, Payload};
pub use check::{Checker, check, check_file};
pub use event::{
    Commit, Committed, Event, JoinGroup, Kind, Mode, OffsetFetch, Op, Poll, Producer, Send,
    SyncGroup,
};
pub use expectations::Expectations;
pub use history::{BadHistory, HistoryReader, HistoryWriter};
pub use report::{Counts, FINDINGS_PER_ANOMALY_MAX, Report};

#[cfg(test)]
mod tests;
