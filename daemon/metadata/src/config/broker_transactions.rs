//! Settings of nodes. Producers and their transactions.
//!
//! Names, types, defaults and rules are those of Kafka 4.3.1, the sentences are our own.

use super::table::Effect::{self, Later, Used};
use super::table::ValidValues::{Boolean, Integer};
use super::table::{I16, I32, NO_INTERNAL_TOPICS};

const PARTITION_STATE: Effect =
    Effect::Never("the state of a transaction moves with its shard and is not loaded from a topic");

settings! {
    /// Sorted by name.
    pub(super) TRANSACTIONS;
    "add.partitions.to.txn.retry.backoff.max.ms": Int = Some("100"),
        Integer(0, I32), ReadOnly, Later,
        "How long at most a node waits before it asks again whether a partition belongs to a transaction.";
    "add.partitions.to.txn.retry.backoff.ms": Int = Some("20"), Integer(1, I32), ReadOnly, Later,
        "How long a node waits before it asks again whether a partition belongs to a transaction.";
    "producer.id.expiration.ms": Int = Some("86400000"), Integer(1, I32), ClusterWide, Used,
        "How long a partition remembers a producer that sends nothing.";
    "transaction.abort.timed.out.transaction.cleanup.interval.ms": Int = Some("10000"),
        Integer(1, I32), ReadOnly, Later,
        "How often it is looked for transactions whose time is up.";
    "transaction.max.timeout.ms": Int = Some("900000"), Integer(1, I32), ReadOnly, Later,
        "The longest transaction timeout that a producer may ask for.";
    "transaction.partition.verification.enable": Boolean = Some("true"),
        Boolean, ClusterWide, Later,
        "Whether a batch of a transaction is taken only if its partition was added to that transaction.";
    "transaction.remove.expired.transaction.cleanup.interval.ms": Int = Some("3600000"),
        Integer(1, I32), ReadOnly, Later,
        "How often it is looked for transactional ids to forget.";
    "transaction.state.log.load.buffer.size": Int = Some("5242880"),
        Integer(1, I32), ReadOnly, PARTITION_STATE,
        "How many bytes of the state of transactions a new coordinator reads at once.";
    "transaction.state.log.min.isr": Int = Some("2"),
        Integer(1, I32), ReadOnly, NO_INTERNAL_TOPICS,
        "How many replicas the internal topic of transactions needs for a write.";
    "transaction.state.log.num.partitions": Int = Some("50"),
        Integer(1, I32), ReadOnly, NO_INTERNAL_TOPICS,
        "How many partitions the internal topic of transactions has.";
    "transaction.state.log.replication.factor": Short = Some("3"),
        Integer(1, I16), ReadOnly, NO_INTERNAL_TOPICS,
        "How many replicas the internal topic of transactions has.";
    "transaction.state.log.segment.bytes": Int = Some("104857600"),
        Integer(1, I32), ReadOnly, NO_INTERNAL_TOPICS,
        "How large a segment of the internal topic of transactions becomes.";
    "transaction.two.phase.commit.enable": Boolean = Some("false"), Boolean, ReadOnly, Later,
        "Whether transactions may be part of a two-phase commit with another system and then never time out.";
    "transactional.id.expiration.ms": Int = Some("604800000"), Integer(1, I32), ReadOnly, Later,
        "How long a transactional id is remembered that is not used.";
}
