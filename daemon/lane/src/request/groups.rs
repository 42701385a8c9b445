//! Offsets of consumer groups; their membership is the coordinator's (`holdfast_coordinator`).

use holdfast_base::PartitionKey;
use holdfast_log::NewOffset;

/// Offsets to commit.
#[derive(Clone, Debug)]
pub struct CommitOffsets {
    /// Of which group.
    pub group: String,
    /// Empty, with generation -1, for a client that assigns by itself: only while the group is
    /// empty.
    pub member_id: String,
    /// `group.instance.id`.
    pub instance_id: Option<String>,
    /// As joined, -1 as above.
    pub generation: i32,
    /// Partitions that exist: the broker has looked the names up.
    pub offsets: Vec<NewOffset>,
}

/// Offsets to look up.
#[derive(Clone, Debug)]
pub struct FetchOffsets {
    /// Of which group; one that nobody knows has none.
    pub group: String,
    /// `None` is all.
    pub partitions: Option<Vec<PartitionKey>>,
}
