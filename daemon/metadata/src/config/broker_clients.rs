//! Settings of nodes. What clients meet at a node: connections, requests, topics made on the way, quotas.
//!
//! Names, types, defaults and rules are those of Kafka 4.3.1, the sentences are our own.

use super::table::Effect::Used;
use super::table::ValidValues::{Boolean, Integer};
use super::table::{ANY_LONG, I32};

settings! {
    /// Sorted by name.
    pub(super) CLIENTS;
    "auto.create.topics.enable": Boolean = Some("true"), Boolean, ReadOnly, Used,
        "Whether a topic that a client asks for by name is made when it is not there.";
    "connections.max.idle.ms": Long = Some("600000"), ANY_LONG, ReadOnly, Used,
        "After how long without a request a connection is closed.";
    "delete.topic.enable": Boolean = Some("true"), Boolean, ReadOnly, Used,
        "Whether topics can be deleted.";
    "fetch.max.bytes": Int = Some("57671680"), Integer(1024, I32), ReadOnly, Used,
        "How many bytes one answer to a consumer or follower holds at most.";
    "max.connections": Int = Some("2147483647"), Integer(0, I32), ClusterWide, Used,
        "How many connections a node has at most.";
    "max.connections.per.ip": Int = Some("2147483647"), Integer(0, I32), ClusterWide, Used,
        "How many connections one address has at most.";
    "max.incremental.fetch.session.cache.slots": Int = Some("1000"),
        Integer(0, I32), ReadOnly, Used,
        "How many fetch sessions a node remembers.";
    "max.request.partition.size.limit": Int = Some("2000"), Integer(1, I32), ReadOnly, Used,
        "How many partitions one answer to DescribeTopicPartitions holds at most.";
    "num.partitions": Int = Some("1"), Integer(1, I32), ReadOnly, Used,
        "How many partitions a topic gets whose creator does not say.";
    "socket.request.max.bytes": Int = Some("104857600"), Integer(1, I32), ReadOnly, Used,
        "How many bytes a request has at most.";
}
