//! The write-ahead log of one lane: one stream of checksummed frames that holds the entries of
//! every shard on the node, so that a node has one stream of group commits however many
//! partitions it serves.
//!
//! ```text
//! driver --Item*--> append() --frame--> Disk::submit_write        requests go down
//! driver <--WalEvent-- poll() <------- Disk::poll                 positions come up
//! boot:  recover() --> Wal + Recovered { per replica: hard state, entry runs }
//! ```
//!
//! The WAL knows shards, replicas, indexes and terms; it does not know what an entry means, and
//! it never retries a write. Bytes on disk: `storage/FORMAT.md`; what is accepted after a crash:
//! `recovery`.

mod build;
mod combine;
mod config;
mod erase;
mod error;
mod format;
mod item;
mod log_reader;
mod read;
pub mod recovery;
mod residue;
mod scrub;
mod space;
mod status;
mod trim;
mod wal;

#[cfg(test)]
mod tests;

pub use config::{
    FRAME_BYTES_DEFAULT, FRAMES_IN_FLIGHT_MAX, IN_FLIGHT_BYTES_DEFAULT, PlantedBugs,
    SEGMENT_BYTES_DEFAULT, WalConfig,
};
pub use error::WalError;
pub use format::FORMAT_VERSION;
pub use format::seal::SealedBatch;
pub use item::{
    Chunk, EntryKind, EntryRun, Extent, FrameNumber, HardState, Identity, Item, Locator, NewEntry,
    Payload, SegmentNumber, StoredEntry, Written, WrittenEntry,
};
pub use log_reader::LogReader;
pub use recovery::{
    Cut, Damage, DamageReason, Facts, Place, Recovered, RecoveredReplica, Verdict, VerdictRow,
};
pub use residue::{Residue, residue_in};
pub use scrub::{SealedSegment, SegmentFinding, SegmentScrub};
pub use space::Admission;
pub use status::WalStatus;
pub use trim::OldestSegment;
pub use wal::{Wal, WalEvent};
