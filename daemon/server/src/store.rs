//! The site's object store as this node uses it: history goes there, and is read from there.
//!
//! ```text
//! lane thread ── StoreWork ──▶ store thread: worker of objects     ─▶ PUT, read back, DELETE
//!      ▲                                    worker of checkpoints ─▶ PUT
//!      └──── Request::Stored ───────────────┘
//! Fetch, ListOffsets ─▶ StoreReader ─▶ cache ─▶ ranged GET, checked, with read-ahead
//! start ─▶ shards without a state beside the log: the store's checkpoints ─▶ Lane::open_kept
//! ```
//!
//! Idea: the lane decides what goes and when, [`holdfast_tier`] makes and checks the bytes; here are the
//! waiting, the trying again and the counting. Objects are written on a thread of their own, since
//! hashing them would hold up connections.
//!
//! Invariants: one upload at a time, never a whole object in memory. Nothing is reported as stored before
//! the store has it. A store that is away costs records in objects and room in the log, nothing else:
//! work is tried again for ever.
//!
//! Caveat: an upload that is dropped at its time limit may still arrive; it lies under its own name and
//! is put again.

mod backoff;
mod checkpoints;
mod counters;
mod log_source;
mod looked;
mod reader;
mod start;
mod worker;

pub use backoff::Backoff;
pub use checkpoints::newest_in_store;
pub use counters::StoreCounters;
pub use log_source::{Log, LogSource};
pub use looked::{Look, LookedAt, look};
pub use reader::{OwnThreads, StoreReader, Turns};
pub use start::{StoreDesk, Workers, described, open, start_workers};
pub use worker::Worker;

#[cfg(test)]
mod testing;
