//! What a history is made of.
//!
//! ```text
//! {"process":1,"call":7,"kind":"invoke","time_ns":10,"op":{"send":{"partition":"t-0","values":[41,42],
//!  "acks":-1,"idempotent":true,"producer":{"id":5,"epoch":0,"sequence":12}}}}
//! {"process":1,"call":7,"kind":"ok","time_ns":30,"op":{"send":{"partition":"t-0","offset":100,
//!  "node":2,"leader_epoch":3}}}
//! ```
//!
//! A *call* is invoked once and completed at most once:
//!
//! | kind | a completed call |
//! | --- | --- |
//! | ok | happened, with these results |
//! | fail | certainly did not happen, and never will |
//! | info | may or may not have happened, or still may (time-out, connection lost, process killed) |
//!
//! A call that is never completed counts as info. Facts that no client invoked (`leader`,
//! `replica_hash`, `audit_record`, `note`) are single lines of kind ok.

mod groups;

use serde::{Deserialize, Serialize};

pub use groups::{Commit, Committed, JoinGroup, OffsetFetch, SyncGroup};

/// One line.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Event {
    /// Who: a client thread, unique in the history. A restarted client is another process.
    pub process: u32,
    /// Which call of that process; free to choose, unique in the process.
    pub call: u64,
    /// Where in the call's life.
    pub kind: Kind,
    /// Nanoseconds of one clock that does not go back.
    pub time_ns: u64,
    /// What.
    pub op: Op,
}

/// Where in its life a call is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// About to be sent.
    Invoke,
    /// Done, with results.
    Ok,
    /// Certainly not done.
    Fail,
    /// Perhaps done.
    Info,
}

/// What a call does, or a fact.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Op {
    /// Produce to one partition.
    Send(Send),
    /// Read from one partition.
    Poll(Poll),
    /// DeleteRecords. Kind ok carries the new log start.
    DeleteRecords {
        /// Which.
        partition: String,
        /// Everything below may go.
        before_offset: i64,
    },
    /// Fact: this node says who leads a partition (Metadata, or a `current_leader` field).
    Leader {
        /// Which.
        partition: String,
        /// Who says so.
        node: u32,
        /// Its boot count: after a restart a node may know less.
        #[serde(default)]
        boot: u64,
        /// Whom it names.
        leader: u32,
        /// In which leader epoch. -1 (unknown) is ignored.
        leader_epoch: i32,
    },
    /// Fact: the chained hash of a partition's bytes up to an offset, on one replica (or in the
    /// object store, or as a reader computed it).
    ReplicaHash {
        /// Which.
        partition: String,
        /// Where it was computed.
        place: String,
        /// Up to here, exclusive.
        end_offset: i64,
        /// Compared as text.
        hash: String,
    },
    /// Commit offsets of a group.
    Commit(Commit),
    /// Read offsets of a group.
    FetchOffsets(OffsetFetch),
    /// Become a member of a group.
    JoinGroup(JoinGroup),
    /// Get one's part of a group's partitions.
    SyncGroup(SyncGroup),
    /// An administrative call. The key must be told by its audit record, too.
    AuditAction {
        /// Unique, for instance the client id of the call.
        key: String,
    },
    /// Fact: an audit record was found.
    AuditRecord {
        /// As in the action.
        key: String,
        /// Whether it records a refusal.
        #[serde(default)]
        refused: bool,
    },
    /// For people: a fault, a phase.
    Note {
        /// Anything.
        text: String,
    },
}

/// A produce call for one partition.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Send {
    /// Which.
    pub partition: String,
    /// On invoke: one per record, in order, each unique in the history. Empty on completion.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub values: Vec<u64>,
    /// On invoke: -1, 0 or 1.
    #[serde(default = "acks_all", skip_serializing_if = "is_acks_all")]
    pub acks: i16,
    /// On invoke: whether the producer is idempotent, so that duplicates and reordering are fatal.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub idempotent: bool,
    /// On invoke, where known. A new producer id or epoch starts a new order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub producer: Option<Producer>,
    /// On ok: offset of the first record. None with acks=0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub offset: Option<i64>,
    /// On ok: who answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<u32>,
    /// On ok: in which leader epoch, where known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub leader_epoch: Option<i32>,
}

fn acks_all() -> i16 {
    -1
}

fn is_acks_all(acks: &i16) -> bool {
    *acks == -1
}

/// An idempotent producer.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub struct Producer {
    /// Producer id.
    pub id: i64,
    /// Its epoch.
    pub epoch: i16,
    /// Sequence of the first record.
    pub sequence: i32,
}

/// How a reader got its partitions.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// By itself: a skip or a step back is an anomaly.
    #[default]
    Assign,
    /// From a group: a rebalance may move the position between polls. Without a position the poll is
    /// the first after an assignment: its first record is where the group goes on.
    Subscribe,
}

/// A read of one partition.
///
/// `records` are those at or above the position, in the order of delivery: a client that fetches
/// raw batches drops the records below its position first, as Kafka's clients do.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Poll {
    /// Which.
    pub partition: String,
    /// How the partition was got.
    #[serde(default)]
    pub mode: Mode,
    /// The group it reads for. A group that reads must be given every acknowledged record of the
    /// partitions it reads or asks committed offsets of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// The offset asked for. Where None, the reader goes on behind its last record. One that
    /// differs from there is a seek.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub position: Option<i64>,
    /// Part of the final read, which starts at the log start and ends at the high watermark.
    #[serde(default, rename = "final", skip_serializing_if = "std::ops::Not::not")]
    pub is_final: bool,
    /// On ok: offset and value.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub records: Vec<(i64, u64)>,
    /// On ok, where the client can see it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub high_watermark: Option<i64>,
    /// On ok, where the client can see it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log_start: Option<i64>,
    /// On ok: who answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<u32>,
    /// On ok: in which leader epoch, where known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub leader_epoch: Option<i32>,
}
