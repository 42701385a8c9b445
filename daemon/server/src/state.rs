//! States of shards beside the log: what a start begins with.
//!
//! ```text
//! lane thread ── StateWork ──▶ keeper thread: RocksDB in <data>/state/db
//!      ▲                            │ fails: full ─▶ closed, tried again; damaged ─▶ moved aside, begun anew
//!      └──── Request::Kept ─────────┘
//! start: rows of each replica ─▶ LocalState ─▶ Lane::open_kept
//!        damaged, missing or full: the store's checkpoint, else the log from its beginning
//! ```
//!
//! ```text
//! row of a replica          value
//! "\0"                      version 1 │ cluster 16 │ term 8 │ newest entry time ms 8       little-endian
//! anything else             the state machine's, see `storage/log/src/rows.rs`
//! ```
//!
//! Idea: the lane says what changed; here is the waiting, the trying again and the counting. A start
//! believes what is whole and of this cluster, and everything else it throws away: the object store and
//! the log have it all.
//!
//! Invariants: changes and the entry they reflect are one write. While states are not kept the node
//! serves; the log is not trimmed meanwhile.
//!
//! Caveat: one damaged replica's rows condemn the whole store. It is made again within seconds.

mod counters;
mod keeper;
mod rows;
mod start;

pub use counters::StateCounters;
pub use keeper::{Keeper, StateDesk, start_keeper};
pub use start::{Opened, open};
