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

mod item;

pub use item::{
    Chunk, EntryKind, EntryRun, Extent, FrameNumber, HardState, Identity, Item, Locator, NewEntry,
    Payload, SegmentNumber, StoredEntry, Written, WrittenEntry,
};
