//! What goes into a frame, and where it ended up.

use bytes::Bytes;
use holdfast_base::{Index, PartitionKey, ReplicaId, ShardId, Term};

/// Counts frames of a lane from 1, never reused, not even across boots. Frame N is durable when
/// all frames ≤ N are.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct FrameNumber(pub u64);

/// Counts segments of a lane from 1; a recycled file gets a new number (its generation).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct SegmentNumber(pub u64);

/// A run of bytes inside a segment, at a device offset within the segment's file. Good until the
/// segment is recycled, which changes the number.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Extent {
    /// The segment.
    pub segment: SegmentNumber,
    /// Bytes from the start of the segment's file.
    pub offset: u64,
    /// Length in bytes.
    pub len_bytes: u32,
}

impl Extent {
    /// The part `start..start + len_bytes` of this run.
    ///
    /// # Panics
    /// When the part reaches beyond the run: the caller's arithmetic is wrong.
    #[must_use]
    pub fn part(&self, start: u32, len_bytes: u32) -> Extent {
        let end = start.checked_add(len_bytes).expect("a part of a u32 length ends within u32");
        assert!(end <= self.len_bytes, "part {start}+{len_bytes} of a run of {}", self.len_bytes);
        Extent { segment: self.segment, offset: self.offset + u64::from(start), len_bytes }
    }
}

/// Who a replica is: created by placement, recorded before its first vote.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Identity {
    /// The shard.
    pub shard: ShardId,
    /// This node's replica of it.
    pub replica: ReplicaId,
    /// Voters, this replica among them or not, ascending.
    pub voters: Vec<ReplicaId>,
    /// Learners, ascending.
    pub learners: Vec<ReplicaId>,
}

/// Raft's hard state of one replica.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct HardState {
    /// The term this replica has seen.
    pub term: Term,
    /// Whom it voted for in that term; 0 is nobody.
    pub vote: ReplicaId,
    /// What it knows committed. May lag; never leads.
    pub commit: Index,
}

/// As in raft: what a replica does with a committed entry.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum EntryKind {
    /// Commands for the state machine; empty for a new leader's first entry.
    Normal = 0,
    /// A membership change (raft-rs `ConfChangeV2`).
    ConfChange = 1,
}

/// A piece of an entry's payload on its way into the frame. Pieces are written one after the
/// other; this is the one copy we make of record bytes.
#[derive(Clone, Debug)]
pub enum Chunk {
    /// The patched head of a record batch (base offset and leader epoch lie before its CRC).
    Head([u8; 21]),
    /// Bytes as they came, with their CRC-32C if the caller has it already, so that the frame's
    /// checksum is combined instead of read again.
    Body {
        /// The bytes.
        bytes: Bytes,
        /// CRC-32C of exactly `bytes`.
        crc32c: Option<u32>,
    },
}

impl Chunk {
    /// Length in bytes.
    #[must_use]
    pub fn len_bytes(&self) -> usize {
        match self {
            Chunk::Head(head) => head.len(),
            Chunk::Body { bytes, .. } => bytes.len(),
        }
    }
}

/// The record bytes of an entry; apply and replay never look at them.
pub type Payload = Vec<Chunk>;

/// Where one record batch lies inside its entry's payload: becomes a row of the segment's sealed
/// index (partition → runs), which has the form of an object's footer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Locator {
    /// The partition.
    pub partition: PartitionKey,
    /// First and last Kafka offset of the batch.
    pub base_offset: i64,
    /// See `base_offset`.
    pub last_offset: i64,
    /// Kafka's max timestamp, ms.
    pub max_timestamp_ms: i64,
    /// Start within the entry's payload, bytes.
    pub start: u32,
    /// Length of the batch, bytes.
    pub len_bytes: u32,
}

/// An entry to be written.
#[derive(Clone, Debug)]
pub struct NewEntry {
    /// Its shard.
    pub shard: ShardId,
    /// The replica that writes it (this node's).
    pub replica: ReplicaId,
    /// Its place. Writing index i truncates everything ≥ i of that shard written before.
    pub index: Index,
    /// Its Raft term.
    pub term: Term,
    /// Normal or membership.
    pub kind: EntryKind,
    /// The command section: Raft's `Entry.data`.
    pub command: Bytes,
    /// The payload section.
    pub payload: Payload,
    /// One row per record batch in the payload, in payload order.
    pub locators: Vec<Locator>,
}

/// What a frame carries, in the order given.
#[derive(Clone, Debug)]
pub enum Item {
    /// A replica is born (or its membership changed): its identity from here on.
    Identity(Identity),
    /// Hard state of a replica. Comes before the entries of the same Ready.
    HardState(ShardId, ReplicaId, HardState),
    /// An entry.
    Entry(NewEntry),
    /// A replica is gone for good; kept in every segment table until shard 0 confirms.
    Tombstone(ShardId, ReplicaId),
}

/// Where an entry of a submitted frame lies. Not durable yet.
#[derive(Clone, Debug)]
pub struct WrittenEntry {
    /// The shard.
    pub shard: ShardId,
    /// Its index.
    pub index: Index,
    /// Its term.
    pub term: Term,
    /// The command section: a slice of the frame buffer.
    pub command: Bytes,
    /// The payload section: a slice of the frame buffer, which is the tail cache.
    pub payload: Bytes,
    /// Where the payload lies on the device.
    pub payload_extent: Extent,
    /// The frame that holds the entry: the place an [`EntryRun`] names.
    pub frame: Extent,
}

/// The result of `Wal::append`: everything of it is durable once `durable ≥ last_frame`.
#[derive(Clone, Debug)]
pub struct Written {
    /// The last frame these items went into.
    pub last_frame: FrameNumber,
    /// The entries, in order.
    pub entries: Vec<WrittenEntry>,
}

/// A run of entries of one replica found by recovery: consecutive indexes inside one frame, after
/// later writes have truncated it. Its bytes are read with `Wal::read_run`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct EntryRun {
    /// The shard, by which the frame's directory is searched.
    pub shard: ShardId,
    /// First and last index of the run that still count.
    pub first: Index,
    /// See `first`.
    pub last: Index,
    /// Term of the entry at `last` (entries of a run may have lower terms before it).
    pub last_term: Term,
    /// Segment and device offset of the frame that holds the run.
    pub frame: Extent,
}

/// An entry read back.
#[derive(Clone, Debug)]
pub struct StoredEntry {
    /// Its place.
    pub index: Index,
    /// Its term.
    pub term: Term,
    /// Normal or membership.
    pub kind: EntryKind,
    /// The command section.
    pub command: Bytes,
    /// Where its payload lies; empty length if it has none.
    pub payload: Extent,
}
