//! Where a replica's applied state rests between starts: a sorted map with an applied index.
//!
//! ```text
//! physical key                                           value
//! ┌──────────────┬────────────────┬───────────┐
//! │ shard 4, BE  │ replica 8, BE  │ (nothing) │           applied index, 8 bytes LE
//! │ shard        │ replica        │ key 1..   │           whatever the state machine wrote
//! └──────────────┴────────────────┴───────────┘
//!
//! write 41   write 42   write 43   write 44
//! ──────────────────────┤                  │
//!           checkpointed = 42     applied = 44             a crash keeps 42, 43 or 44 of it,
//!                                                          never half of one
//! ```
//!
//! Idea: the log is the truth and this is its cache. Dirty keys arrive now and then together with
//! the index they reflect, in one piece; what a crash takes is replayed from the log. So the log
//! may be trimmed up to `checkpointed` and no further (`design.md`, state rule 1).
//!
//! Invariants: `checkpointed <= applied` for each replica. Keys begin with (shard, replica id), and
//! replica ids are never reused, so an unfinished install never mixes with what follows.
//!
//! Two stores keep the contract: [`MemoryState`] for tests, and `RocksState` behind the feature
//! `rocksdb`, which alone needs a C++ compiler.
//!
//! Caveat: nothing per record or per batch belongs here, and neither Raft's hard state nor its log.

mod changes;
pub mod conformance;
mod error;
mod key;
mod memory;
#[cfg(feature = "rocksdb")]
mod rocks;
mod store;

pub use changes::{Change, Changes};
pub use error::{Action, StateError};
pub use key::{KEY_MAX_BYTES, Owner};
pub use memory::MemoryState;
#[cfg(feature = "rocksdb")]
pub use rocks::{RocksState, set_aside};
pub use store::{Row, StateStore};
