//! What an administrator may ask, and what a node says of itself.

use holdfast_base::{NodeId, PartitionKey, Term, TopicId};
use holdfast_metadata::ConfigResource;

/// A topic to create.
#[derive(Clone, Debug)]
pub struct CreateTopic {
    /// Its name, not yet checked.
    pub name: String,
    /// -1 is the broker's default.
    pub partitions: i32,
    /// -1 is the broker's default.
    pub replication_factor: i16,
    /// Replica nodes per partition, when the client names them; else empty.
    pub assignment: Vec<(i32, Vec<i32>)>,
    /// Topic configuration, key and value.
    pub configs: Vec<(String, Option<String>)>,
    /// Check everything, change nothing.
    pub validate_only: bool,
}

/// A topic that is there now.
#[derive(Clone, Debug)]
pub struct CreatedTopic {
    /// Its id for ever.
    pub id: TopicId,
    /// How many partitions.
    pub partitions: i32,
    /// How many replicas each.
    pub replication_factor: i16,
}

/// A topic to delete.
#[derive(Clone, Debug)]
pub enum DeleteTopic {
    /// By name.
    Name(String),
    /// By id.
    Id(TopicId),
}

/// A topic to give more partitions.
#[derive(Clone, Debug)]
pub struct GrowTopic {
    /// Its name.
    pub name: String,
    /// How many it shall have then.
    pub total: i32,
    /// Replica nodes of each new partition, when the client names them; else empty.
    pub assignment: Vec<Vec<i32>>,
    /// Check everything, change nothing.
    pub validate_only: bool,
}

/// Configuration to change.
#[derive(Clone, Debug)]
pub struct AlterResource {
    /// Of what.
    pub resource: AlteredResource,
    /// In order.
    pub changes: Vec<ConfigChange>,
    /// Whatever `changes` does not name goes back to its default (AlterConfigs 33).
    pub replace_all: bool,
    /// Check everything, change nothing.
    pub validate_only: bool,
}

/// What configuration is about.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum AlteredResource {
    /// A topic, by name.
    Topic(String),
    /// Nodes or a group.
    Other(ConfigResource),
}

/// One change of one setting.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ConfigChange {
    /// Kafka's or Holdfast's name.
    pub name: String,
    /// What to do.
    pub operation: ConfigOperation,
    /// For all but `Delete`.
    pub value: Option<String>,
}

/// Kafka's four ways to change a setting.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ConfigOperation {
    /// To this value.
    Set,
    /// Back to the default.
    Delete,
    /// Add to a list.
    Append,
    /// Take from a list.
    Subtract,
}

/// The WAL of a node as DescribeLogDirs shows it.
#[derive(Clone, Debug)]
pub struct LogDir {
    /// Bytes the WAL may take.
    pub total_bytes: u64,
    /// Of them free.
    pub usable_bytes: u64,
    /// Bytes between log start and end of each partition held here.
    pub partitions: Vec<(PartitionKey, u64)>,
}

/// Shard 0 as DescribeQuorum shows it.
#[derive(Clone, Debug)]
pub struct Quorum {
    /// Which node leads.
    pub leader: NodeId,
    /// In this term.
    pub term: Term,
    /// Committed up to here.
    pub committed: u64,
    /// Each voter and the index up to which it holds the log, as far as the leader knows.
    pub voters: Vec<(NodeId, u64)>,
}

/// Who asked, for the audit record.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Origin {
    /// `User:ANONYMOUS` until listeners authenticate.
    pub principal: String,
    /// Remote address as text.
    pub host: String,
    /// Kafka's client id, as sent.
    pub client_id: String,
}

/// Why an administrative operation was not done: Kafka's code by name, and words for a person.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AdminRefusal {
    /// Which.
    pub reason: AdminReason,
    /// What, why and what to try.
    pub message: String,
}

/// Reasons of an [`AdminRefusal`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AdminReason {
    /// Another node leads shard 0, or nobody does yet.
    NotController,
    /// A topic of that name is there.
    TopicAlreadyExists,
    /// No such topic name.
    UnknownTopic,
    /// No such topic id.
    UnknownTopicId,
    /// Name empty, too long, reserved, colliding or with bad characters.
    InvalidTopicName,
    /// Number of partitions.
    InvalidPartitions,
    /// More replicas than live nodes, or none.
    InvalidReplicationFactor,
    /// The assignment names unknown nodes or is incomplete.
    InvalidReplicaAssignment,
    /// Unknown configuration or bad value.
    InvalidConfig,
    /// The request contradicts itself.
    InvalidRequest,
    /// The operation did not finish in time; it may have happened.
    TimedOut,
    /// No WAL space even for administration.
    NoSpace,
}
