//! Objects: committed history in the site's object store, readable by strangers.
//!
//! ```text
//! entries ─▶ PlanBuilder ─▶ ObjectPlan ─▶ Intent ─▶ ObjectWriter ─▶ PartCutter ─▶ Store
//!                                                                                  │ read back
//!                                            Manifest ◀── upload ◀─────────────────┘
//! objects ─▶ merge ─▶ an object of their living batches ─▶ as above
//! fetch ─▶ BlockCache ─▶ Footer::plan_read ─▶ Store::get ─▶ open_blocks ─▶ select ─▶ batches
//! ```
//!
//! Idea: an object holds all batches of one shard in a contiguous range of its log, grouped by
//! partition, byte for byte as consumers get them, with its own index and checksums. It is written
//! once. So the store needs to be able to do little (PUT, ranged GET, DELETE, LIST), nothing it
//! says is trusted, and `storage/FORMAT.md` alone is enough to read a bucket:
//! `reader/read_objects.py` does.
//!
//! Invariants: a manifest is returned only for an object that was read back. No batch leaves this
//! room that was not covered by a checksum that held. Nothing is allocated by what bytes claim.
//! Plans, bytes, lookups and read-ahead are pure; time and random ids are arguments; only
//! [`store`] and [`upload()`] wait for anything.
//!
//! Caveats: key ids are written as zeros (nothing is
//! encrypted). Aborted transactions have no index in the footer; they come with transactions, and
//! with a new version.

mod body;
mod cache;
mod check;
mod checkpoint;
mod error;
mod footer;
pub mod format;
mod key;
pub mod limits;
mod merge;
mod parts;
mod plan;
mod put;
mod read;
mod read_ahead;
pub mod store;
mod upload;
mod verify;
mod write;

pub use cache::BlockCache;
pub use check::{Checked, check_object};
pub use checkpoint::{Checkpoint, CheckpointError, state_directory};
pub use error::{BuildError, ObjectError};
pub use footer::{Footer, Tail, tail_range};
pub use format::ObjectHead;
pub use format::rows::{BlockRow, PartitionRow};
pub use format::trailer::Trailer;
pub use holdfast_log::{
    CommandError, ExpectedObject, Intent, Manifest, ManifestRow, MergePart, MergeSource, ObjectId,
    ObjectIdentity, ObjectKind, ObjectStep, Step,
};
pub use key::{KeyError, StoreKey, cluster_directory, shard_directory};
pub use merge::{MergeError, merge};
pub use parts::PartCutter;
pub use plan::{BatchRow, ObjectPlan, PlanBuilder, PlannedBatch, Taken};
pub use read::{Batch, Block, FoundRecord, ReadPlan, select};
pub use read_ahead::{Ahead, Part, ReadAhead, WINDOW_BYTES_MAX, WINDOW_BYTES_MIN};
pub use upload::{BatchSource, ReadBack, SourceError, UploadError, upload};
pub use verify::verify_object;
pub use write::{FinishedObject, ObjectWriter};

#[cfg(test)]
mod tests;
