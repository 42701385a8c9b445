//! What a connection may ask of a lane, and what it gets back.
//!
//! ```text
//! broker --Call{ticket, Request}--> lane      effects in the order of arrival
//! broker <--(ticket, Answer)------- lane      exactly one answer a call, when its fate is known
//! ```
//!
//! No Kafka wire types here: the broker translates, so that simulation and protocol versions
//! stay apart. An answer that says "not leader" may hide a write whose fate is unknown; only
//! `Refusal::outcome` tells.

mod admin;
mod groups;

use bytes::Bytes;
use holdfast_base::{NodeId, PartitionKey, ShardId, Term, TopicId};
use holdfast_batch::BatchHeader;
use holdfast_coordinator::{GroupAnswer, GroupCall, GroupError, Listed};
use holdfast_log::{EpochEnd, ObjectIdentity, OffsetRow};
use holdfast_wal::Extent;

use crate::state_work::StateKept;
use crate::store_work::Stored;

pub use admin::{
    AdminReason, AdminRefusal, AlterResource, AlteredResource, ConfigChange, ConfigOperation,
    CreateTopic, CreatedTopic, DeleteTopic, GrowTopic, LogDir, Origin, Quorum,
};
pub use groups::{CommitOffsets, FetchOffsets};

/// The caller's name for a call; unique while the call is open.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Hash)]
pub struct Ticket(pub u64);

/// A call on the lane.
#[derive(Debug)]
pub enum Request {
    /// Append batches; answered when each is committed, refused, or its fate is unknown.
    Produce(Vec<ProducePartition>),
    /// Read committed batches; parked until `min_bytes` are there or the deadline passes.
    Fetch(FetchRequest),
    /// Offsets of partitions, from the committed prefix.
    ListOffsets(Vec<ListOffsetsPartition>),
    /// Move `log_start` of partitions up.
    DeleteRecords(Vec<DeleteRecordsPartition>),
    /// Create topics, each with its audit record. Answered when shard 0 *and* the shards of the
    /// partitions have applied it, so that create-then-produce works at once.
    CreateTopics(Vec<CreateTopic>, Origin),
    /// Delete topics. Answered when shard 0 has applied it.
    DeleteTopics(Vec<DeleteTopic>, Origin),
    /// A block of producer ids, never given out before.
    AllocateProducerIds,
    /// Where leader epochs end (OffsetForLeaderEpoch).
    EpochEnds(Vec<EpochEndPartition>),
    /// A group's membership.
    Group(GroupCall),
    /// Every group whose slot this node leads.
    ListGroups,
    /// Commit offsets of a group; answered when they are committed.
    CommitOffsets(CommitOffsets),
    /// Committed offsets of a group.
    FetchOffsets(FetchOffsets),
    /// Forget offsets of a group.
    DeleteOffsets {
        /// Which group.
        group: String,
        /// Which partitions.
        partitions: Vec<PartitionKey>,
    },
    /// More partitions for topics. Answered as creation is: when their shards have them.
    CreatePartitions(Vec<GrowTopic>, Origin),
    /// Change configuration, each resource with its audit record.
    AlterConfigs(Vec<AlterResource>, Origin),
    /// What this node's WAL holds.
    DescribeLogDir,
    /// What became of work for the object store.
    Stored(Stored),
    /// What became of work for the store of states. Answered as [`Request::Stored`].
    Kept(StateKept),
    /// The voters of shard 0 and how far each is.
    DescribeQuorum,
}

/// The answer to a [`Request`], same variant, same order of parts.
#[derive(Debug)]
pub enum Answer {
    /// Per partition.
    Produce(Vec<Result<Appended, Refusal>>),
    /// Per partition asked.
    Fetch(Vec<Result<FetchedPartition, Refusal>>),
    /// Per partition.
    ListOffsets(Vec<Result<OffsetAnswer, Refusal>>),
    /// The new log start per partition.
    DeleteRecords(Vec<Result<i64, Refusal>>),
    /// Per topic.
    CreateTopics(Vec<Result<CreatedTopic, AdminRefusal>>),
    /// Per topic: its id and name.
    DeleteTopics(Vec<Result<(TopicId, String), AdminRefusal>>),
    /// First id and count.
    AllocateProducerIds(Result<(i64, u32), Refusal>),
    /// Per partition; `None` when the epoch asked for is not known here.
    EpochEnds(Vec<Result<Option<EpochEnd>, Refusal>>),
    /// To Group.
    Group(GroupAnswer),
    /// Groups led here, ascending by id; or that a slot led here is still loading.
    ListGroups(Result<Vec<Listed>, GroupError>),
    /// For the call, or per offset in its order.
    CommitOffsets(Result<Vec<Result<(), GroupError>>, GroupError>),
    /// Ascending by partition; those asked for that were never committed are not there.
    FetchOffsets(Result<Vec<(PartitionKey, OffsetRow)>, GroupError>),
    /// For the call, or per partition in its order.
    DeleteOffsets(Result<Vec<Result<(), GroupError>>, GroupError>),
    /// Per topic.
    CreatePartitions(Vec<Result<(), AdminRefusal>>),
    /// Per resource.
    AlterConfigs(Vec<Result<(), AdminRefusal>>),
    /// To DescribeLogDir.
    DescribeLogDir(LogDir),
    /// Taken note of.
    Stored,
    /// To DescribeQuorum: only shard 0's leader knows.
    DescribeQuorum(Result<Quorum, Refusal>),
}

/// One batch for one partition. The connection has checked it: one batch, true lengths, CRC,
/// records as deep as configured (`holdfast_batch::validate_produced`).
#[derive(Debug)]
pub struct ProducePartition {
    /// Where to.
    pub partition: PartitionKey,
    /// The batch as it came, a slice of the request.
    pub bytes: Bytes,
    /// Its parsed header.
    pub header: BatchHeader,
}

/// A batch that is committed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Appended {
    /// Offset of its first record. The original one when the batch was a duplicate.
    pub base_offset: i64,
    /// Append time when the topic uses LogAppendTime, else -1.
    pub log_append_time_ms: i64,
    /// The partition's log start.
    pub log_start: i64,
}

/// A long-polling read.
#[derive(Debug)]
pub struct FetchRequest {
    /// Answer once this many bytes are there over all partitions.
    pub min_bytes: u32,
    /// Never more than this many, but the first batch whole.
    pub max_bytes: u32,
    /// Boottime at which to answer with what is there.
    pub deadline_ns: u64,
    /// In the client's order, which is kept for fairness.
    pub partitions: Vec<FetchPartition>,
}

/// One partition of a [`FetchRequest`].
#[derive(Clone, Copy, Debug)]
pub struct FetchPartition {
    /// Which.
    pub partition: PartitionKey,
    /// First offset wanted; the batch that holds it is served whole.
    pub fetch_offset: i64,
    /// Never more than this many bytes for this partition, but the first batch whole.
    pub max_bytes: u32,
    /// The leader epoch the client believes in, -1 if none: fenced when it differs.
    pub current_leader_epoch: i32,
    /// Leader epoch of the last record the client has, -1 if it does not say (KIP-595).
    pub last_fetched_epoch: i32,
}

/// What a read found.
#[derive(Debug)]
pub struct FetchedPartition {
    /// End of the committed prefix.
    pub high_watermark: i64,
    /// Equals the high watermark until transactions exist.
    pub last_stable: i64,
    /// First offset that may be read.
    pub log_start: i64,
    /// Whole batches in offset order.
    pub records: Vec<RecordSlice>,
    /// The client's log went another way: where its epoch ends here. No records then.
    pub diverging: Option<EpochEnd>,
}

/// Whole batches, contiguous.
#[derive(Clone, Debug)]
pub enum RecordSlice {
    /// In the tail cache.
    Cached(Bytes),
    /// On the WAL device: read it away from the lane, then check its CRC.
    OnDisk {
        /// The WAL file.
        file: std::sync::Arc<str>,
        /// Where in it.
        extent: Extent,
        /// Base offset the first batch must show.
        base_offset: i64,
    },
    /// In an object: read its blocks.
    InObject {
        /// Which.
        object: ObjectPlace,
        /// Whose batches.
        partition: PartitionKey,
        /// From the batch that holds this offset, or the first behind it.
        from_offset: i64,
        /// At most so many bytes, but the first batch whole.
        max_bytes: u32,
        /// Where the partition goes on behind this object, unless that is in the log: who reads on
        /// may begin there early. It may be gone by then.
        next: Option<ObjectPlace>,
    },
}

/// Where an object is and how to begin to read it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ObjectPlace {
    /// Its name.
    pub identity: ObjectIdentity,
    /// Its length.
    pub object_bytes: u64,
    /// Its footer and trailer, at its end.
    pub tail_bytes: u32,
}

/// One partition of a ListOffsets call.
#[derive(Clone, Copy, Debug)]
pub struct ListOffsetsPartition {
    /// Which.
    pub partition: PartitionKey,
    /// What is asked.
    pub query: OffsetQuery,
    /// As in [`FetchPartition::current_leader_epoch`].
    pub current_leader_epoch: i32,
}

/// What a ListOffsets call asks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum OffsetQuery {
    /// -1.
    Latest,
    /// -2.
    Earliest,
    /// -3: the record with the greatest timestamp.
    MaxTimestamp,
    /// -4: the first offset still on the WAL.
    EarliestLocal,
    /// -5: the last uploaded offset; none before the first object.
    LatestTiered,
    /// -6: the first offset that is not uploaded; none without an object store.
    EarliestPendingUpload,
    /// The first record whose timestamp is at least this, ms.
    AtTime(i64),
}

/// Answer to one [`ListOffsetsPartition`].
#[derive(Debug)]
pub struct OffsetAnswer {
    /// Leader epoch of the answer; -1 unknown.
    pub leader_epoch: i32,
    /// What was found.
    pub found: FoundOffset,
}

/// Where the lane's knowledge ends: record timestamps lie inside batches.
#[derive(Debug)]
pub enum FoundOffset {
    /// An offset, its timestamp or -1.
    Offset {
        /// -1 when there is none.
        offset: i64,
        /// -1 when it has none.
        timestamp_ms: i64,
    },
    /// The record lies in this batch: the broker walks it.
    InBatch(RecordSlice),
    /// For a time: the record lies in the first of these that has one, behind the place that an object's
    /// slice names or in the batch that another begins with. There may be none.
    InFirstOf(Vec<RecordSlice>),
}

/// One partition of a DeleteRecords call.
#[derive(Clone, Copy, Debug)]
pub struct DeleteRecordsPartition {
    /// Which.
    pub partition: PartitionKey,
    /// New log start; -1 is the high watermark.
    pub before_offset: i64,
}

/// One partition of an [`Request::EpochEnds`] call.
#[derive(Clone, Copy, Debug)]
pub struct EpochEndPartition {
    /// Which.
    pub partition: PartitionKey,
    /// As in [`FetchPartition::current_leader_epoch`].
    pub current_leader_epoch: i32,
    /// The epoch whose end is asked for.
    pub leader_epoch: i32,
}

/// Did it happen?
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// Certainly not.
    DidNot,
    /// It may have: the entry was proposed and leadership was lost.
    Unknown,
}

/// Why a partition's part of a call was not done.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Refusal {
    /// The reason, one for each thing a client may do.
    pub reason: Reason,
    /// Whether it may have happened all the same.
    pub outcome: Outcome,
    /// The current leader as far as known, for KIP-951 answers.
    pub leader: Option<LeaderHint>,
}

/// Who leads a shard, as soft state.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LeaderHint {
    /// The node.
    pub node: NodeId,
    /// The shard.
    pub shard: ShardId,
    /// In this term.
    pub term: Term,
    /// The partition's leader epoch under it.
    pub leader_epoch: i32,
}

/// Reasons of a [`Refusal`]; the broker maps each to the code its API allows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reason {
    /// This node does not lead the partition's shard, or cannot be sure that it still does.
    NotLeader,
    /// This node leads the shard and has not applied the first entry of its reign: what older terms
    /// left behind may be missing from what it would show (KIP-207).
    NotReady,
    /// No such partition in this shard (deleted, or never there).
    UnknownPartition,
    /// The client's leader epoch is older than ours.
    FencedEpoch,
    /// The client's leader epoch is newer than ours.
    UnknownEpoch,
    /// The WAL is full, or more bytes wait than the budget allows. Retry later.
    NoSpace,
    /// A fetch or delete offset outside `log_start..=high_watermark`.
    OffsetOutOfRange,
    /// Idempotent producer: the sequence does not follow (gap or reordering).
    OutOfOrderSequence,
    /// Idempotent producer: a newer epoch of this producer id is known.
    StaleProducerEpoch,
    /// Idempotent producer: a duplicate older than the five batches remembered.
    DuplicateSequence,
    /// The batch is larger than the topic's `max.message.bytes`.
    TooLarge,
    /// Record timestamps lie outside what the topic allows.
    InvalidTimestamp,
    /// What the topic's configuration forbids (keyless on a compacted topic, transactional data
    /// before transactions exist).
    InvalidRecord,
    /// The replica is quarantined or its bytes cannot be read.
    Storage,
}
