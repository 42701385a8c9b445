//! Calls of consumer groups in a history.
//!
//! ```text
//! {"process":9,"call":4,"kind":"invoke","time_ns":10,"op":{"commit":{"group":"g","member":"m-1",
//!  "generation":3,"value":71,"offsets":[["t-0",120]]}}}
//! {"process":9,"call":4,"kind":"ok", ... the same ... }
//! {"process":8,"call":2,"kind":"ok","time_ns":40,"op":{"fetch_offsets":{"group":"g",
//!  "partitions":["t-0"],"offsets":[{"partition":"t-0","offset":120,"value":71}]}}}
//! ```
//!
//! Every commit has a `value` that is unique in the history and travels as the offset's metadata, so
//! that an offset shown names the commit it comes from: two commits may well be of one offset. A
//! completed call repeats what it was invoked with and adds what it found.
//!
//! Members are named by their instance id where they have one, else by their member id.

use serde::{Deserialize, Serialize};

/// OffsetCommit.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Commit {
    /// Of which group.
    pub group: String,
    /// Who commits.
    pub member: String,
    /// As joined; -1 for a client that assigns by itself.
    pub generation: i32,
    /// Unique in the history; the metadata of every offset.
    pub value: u64,
    /// Partition and offset.
    pub offsets: Vec<(String, i64)>,
}

/// OffsetFetch.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct OffsetFetch {
    /// Of which group.
    pub group: String,
    /// What is asked for.
    pub partitions: Vec<String>,
    /// On ok: what was found. A partition that is not here has no committed offset.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub offsets: Vec<Committed>,
}

/// A committed offset as shown.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Committed {
    /// Which.
    pub partition: String,
    /// Where the group goes on.
    pub offset: i64,
    /// Of the commit, from the metadata; 0 when it has none of ours.
    pub value: u64,
}

/// JoinGroup.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct JoinGroup {
    /// Which.
    pub group: String,
    /// Who, where known.
    pub member: String,
    /// On ok.
    #[serde(default)]
    pub generation: i32,
}

/// SyncGroup.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct SyncGroup {
    /// Which.
    pub group: String,
    /// Who.
    pub member: String,
    /// As joined.
    pub generation: i32,
    /// From the leader: member and its part. Each plan's texts are unique in the history.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub plan: Vec<(String, String)>,
    /// On ok: what this member got.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub assignment: String,
}
