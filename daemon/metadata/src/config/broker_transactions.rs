//! Settings of nodes. Producers and their transactions.
//!
//! Names, types, defaults and rules are those of Kafka 4.3.1, the sentences are our own.

use super::table::Effect::Used;
use super::table::I32;
use super::table::ValidValues::Integer;

settings! {
    /// Sorted by name.
    pub(super) TRANSACTIONS;
    "producer.id.expiration.ms": Int = Some("86400000"), Integer(1, I32), ClusterWide, Used,
        "How long a partition remembers a producer that sends nothing.";
    "transaction.max.timeout.ms": Int = Some("900000"), Integer(1, I32), ReadOnly, Used,
        "The longest transaction timeout that a producer may ask for.";
}
