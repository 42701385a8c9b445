//! Settings of nodes. What clients meet at a node: connections, requests, topics made on the way, quotas.
//!
//! Names, types, defaults and rules are those of Kafka 4.3.1, the sentences are our own.

use super::table::Effect::{self, Later, Shown, Used};
use super::table::ValidValues::{Any, Boolean, Integer};
use super::table::{ANY_INT, ANY_LONG, I32, NO_JAVA, NO_PURGATORY};

const BYTE_BUDGET: Effect = Effect::Never("requests are bounded by bytes in flight, not by number");
const KERNEL_BUFFERS: Effect = Effect::Never("the kernel sizes socket buffers");

settings! {
    /// Sorted by name.
    pub(super) CLIENTS;
    "alter.config.policy.class.name": Class = None, Any, ReadOnly, NO_JAVA,
        "A class that judges changes of configuration.";
    "auto.create.topics.enable": Boolean = Some("true"), Boolean, ReadOnly, Used,
        "Whether a topic that a client asks for by name is made when it is not there.";
    "client.quota.callback.class": Class = None, Any, ReadOnly, NO_JAVA,
        "A class that says which quota a client has.";
    "connection.failed.authentication.delay.ms": Int = Some("100"),
        Integer(0, I32), ReadOnly, Later,
        "How long the answer to a failed authentication waits, against guessing.";
    "connections.max.idle.ms": Long = Some("600000"), ANY_LONG, ReadOnly, Shown,
        "After how long without a request a connection is closed.";
    "connections.max.reauth.ms": Long = Some("0"), ANY_LONG, ReadOnly, Later,
        "After how long a client must prove again who it is; 0 never asks.";
    "controller.quota.window.num": Int = Some("11"), Integer(1, I32), ReadOnly, Later,
        "Over how many samples the rate of administrative changes is measured.";
    "controller.quota.window.size.seconds": Int = Some("1"), Integer(1, I32), ReadOnly, Later,
        "How long each sample of the rate of administrative changes is.";
    "create.topic.policy.class.name": Class = None, Any, ReadOnly, NO_JAVA,
        "A class that judges new topics.";
    "delete.records.purgatory.purge.interval.requests": Int = Some("1"),
        ANY_INT, ReadOnly, NO_PURGATORY,
        "After how many requests finished waits for deleted records are cleared away.";
    "delete.topic.enable": Boolean = Some("true"), Boolean, ReadOnly, Later,
        "Whether topics can be deleted.";
    "fetch.max.bytes": Int = Some("57671680"), Integer(1024, I32), ReadOnly, Used,
        "How many bytes one answer to a consumer or follower holds at most.";
    "fetch.purgatory.purge.interval.requests": Int = Some("1000"), ANY_INT, ReadOnly, NO_PURGATORY,
        "After how many requests finished waits for records to read are cleared away.";
    "max.connection.creation.rate": Int = Some("2147483647"), Integer(0, I32), ClusterWide, Later,
        "How many new connections a second a node takes.";
    "max.connections": Int = Some("2147483647"), Integer(0, I32), ClusterWide, Later,
        "How many connections a node has at most.";
    "max.connections.per.ip": Int = Some("2147483647"), Integer(0, I32), ClusterWide, Later,
        "How many connections one address has at most.";
    "max.connections.per.ip.overrides": String = Some(""), Any, ClusterWide, Later,
        "How many connections certain addresses have at most, in place of max.connections.per.ip.";
    "max.incremental.fetch.session.cache.slots": Int = Some("1000"),
        Integer(0, I32), ReadOnly, Used,
        "How many fetch sessions a node remembers.";
    "max.request.partition.size.limit": Int = Some("2000"), Integer(1, I32), ReadOnly, Later,
        "How many partitions one answer to DescribeTopicPartitions holds at most.";
    "num.partitions": Int = Some("1"), Integer(1, I32), ReadOnly, Used,
        "How many partitions a topic gets whose creator does not say.";
    "producer.purgatory.purge.interval.requests": Int = Some("1000"),
        ANY_INT, ReadOnly, NO_PURGATORY,
        "After how many requests finished waits for replicas are cleared away.";
    "queued.max.request.bytes": Long = Some("-1"), ANY_LONG, ReadOnly, BYTE_BUDGET,
        "How many bytes of requests may wait before nothing more is read; -1 is without bound.";
    "queued.max.requests": Int = Some("500"), Integer(1, I32), ReadOnly, BYTE_BUDGET,
        "How many requests may wait before nothing more is read.";
    "quota.window.num": Int = Some("11"), Integer(1, I32), ReadOnly, Later,
        "Over how many samples the rate of a client is measured.";
    "quota.window.size.seconds": Int = Some("1"), Integer(1, I32), ReadOnly, Later,
        "How long each sample of the rate of a client is.";
    "share.fetch.purgatory.purge.interval.requests": Int = Some("1000"),
        ANY_INT, ReadOnly, NO_PURGATORY,
        "After how many requests finished waits of share groups are cleared away.";
    "socket.listen.backlog.size": Int = Some("50"), Integer(1, I32), ReadOnly, Shown,
        "How many connections may wait to be accepted.";
    "socket.receive.buffer.bytes": Int = Some("102400"), ANY_INT, ReadOnly, KERNEL_BUFFERS,
        "Size of the receive buffer of a socket; -1 leaves it to the system.";
    "socket.request.max.bytes": Int = Some("104857600"), Integer(1, I32), ReadOnly, Shown,
        "How many bytes a request has at most.";
    "socket.send.buffer.bytes": Int = Some("102400"), ANY_INT, ReadOnly, KERNEL_BUFFERS,
        "Size of the send buffer of a socket; -1 leaves it to the system.";
    "telemetry.max.bytes": Int = Some("1048576"), Integer(1, I32), ReadOnly, Later,
        "How many bytes of their own metrics clients may send at once.";
}
