//! Settings of nodes. What makes nodes a cluster: who they are, how they follow each other, threads, metrics.
//!
//! Names, types, defaults and rules are those of Kafka 4.3.1, the sentences are our own.

use super::table::ANY_INT;
use super::table::Effect::Used;

settings! {
    /// Sorted by name.
    pub(super) CLUSTER;
    "default.replication.factor": Int = Some("1"), ANY_INT, ReadOnly, Used,
        "How many replicas a topic gets whose creator does not say; follows the number of nodes up to three unless it is set.";
}
