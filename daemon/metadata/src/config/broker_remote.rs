//! Settings of nodes. Remote storage of history.
//!
//! Names, types, defaults and rules are those of Kafka 4.3.1, the sentences are our own.

settings! {
    /// Sorted by name.
    pub(super) REMOTE;
}
