//! Why an administrative command was not done. A refusal is a result, at decision and at apply.

use std::fmt;

/// Reasons, one for each thing a caller may do next; each is Kafka's error of the same name.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
#[repr(u8)]
pub enum Reason {
    /// A topic of that name is there.
    TopicAlreadyExists = 1,
    /// No such topic name.
    UnknownTopic = 2,
    /// No such topic id.
    UnknownTopicId = 3,
    /// Empty, too long, reserved, colliding, or with characters that are not allowed.
    InvalidTopicName = 4,
    /// Number of partitions.
    InvalidPartitions = 5,
    /// More replicas than nodes, none, or no shards with that many.
    InvalidReplicationFactor = 6,
    /// The assignment is incomplete or names nodes that do not hold a shard together.
    InvalidReplicaAssignment = 7,
    /// Unknown configuration or bad value.
    InvalidConfig = 8,
    /// The request contradicts itself or the state it was decided on.
    InvalidRequest = 9,
}

impl Reason {
    pub(crate) fn from_code(code: u8) -> Option<Reason> {
        use Reason::*;
        [
            TopicAlreadyExists,
            UnknownTopic,
            UnknownTopicId,
            InvalidTopicName,
            InvalidPartitions,
            InvalidReplicationFactor,
            InvalidReplicaAssignment,
            InvalidConfig,
            InvalidRequest,
        ]
        .into_iter()
        .find(|reason| *reason as u8 == code)
    }
}

/// A refusal with words for a person: what, why, and what to try.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Refusal {
    /// For the program.
    pub reason: Reason,
    /// For the person.
    pub message: String,
}

impl Refusal {
    pub(crate) fn new(reason: Reason, message: impl Into<String>) -> Self {
        Refusal { reason, message: message.into() }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.reason, self.message)
    }
}

impl std::error::Error for Refusal {}
