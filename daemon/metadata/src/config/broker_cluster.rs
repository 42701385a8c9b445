//! Settings of nodes. What makes nodes a cluster: who they are, how they follow each other, threads, metrics.
//!
//! Names, types, defaults and rules are those of Kafka 4.3.1, the sentences are our own.

use super::table::Effect::{self, Later, Shown, Used};
use super::table::ValidValues::{Any, Boolean, Integer, OneOf, SomeOf};
use super::table::{
    ANY_INT, ANY_LONG, I32, I64, I64_TEXT, NO_CONTROLLER, NO_JAVA, NO_REPLICA_FETCHERS,
    NO_THROTTLE, OWN_THREADS,
};

const NO_BALANCER: Effect = Effect::Never("leadership follows the placement of shards");
const PROMETHEUS: Effect =
    Effect::Never("metrics are read from the metrics page and never sampled");
const OWN_PEERS: Effect = Effect::Never("nodes speak to each other by their own protocol");
const HEARTBEATS: Effect = Effect::Never("nodes are watched by the elections of their shards");
const SHARD_SNAPSHOTS: Effect =
    Effect::Never("shards decide by themselves when to write snapshots");
const NO_MOVES_OF_FILES: Effect = Effect::Never("there is nothing to move between directories");
const NO_FETCH_FOLLOWERS: Effect = Effect::Never("followers do not copy partitions");

settings! {
    /// Sorted by name.
    pub(super) CLUSTER;
    "advertised.listeners": List = None, Any, ReadOnly, Shown,
        "The addresses that clients are told to connect to.";
    "alter.log.dirs.replication.quota.window.num": Int = Some("11"),
        Integer(1, I32), ReadOnly, NO_MOVES_OF_FILES,
        "Over how many samples the rate of moves between directories is measured.";
    "alter.log.dirs.replication.quota.window.size.seconds": Int = Some("1"),
        Integer(1, I32), ReadOnly, NO_MOVES_OF_FILES,
        "How long each sample of the rate of moves between directories is.";
    "auto.leader.rebalance.enable": Boolean = Some("true"), Boolean, ReadOnly, NO_BALANCER,
        "Whether leadership goes back to the preferred replica by itself.";
    "background.threads": Int = Some("10"), Integer(1, I32), ClusterWide, OWN_THREADS,
        "Threads for what is done in the background.";
    "broker.heartbeat.interval.ms": Int = Some("2000"), ANY_INT, ReadOnly, HEARTBEATS,
        "How often a broker tells the controllers that it lives.";
    "broker.id": Int = Some("-1"), ANY_INT, ReadOnly, Shown,
        "The number of this node under its older name.";
    "broker.rack": String = None, Any, ReadOnly, Later,
        "The rack or room in which the node stands, for the spreading of replicas.";
    "broker.session.timeout.ms": Int = Some("9000"), ANY_INT, ReadOnly, HEARTBEATS,
        "After how long without a heartbeat a broker counts as gone.";
    "config.providers": List = Some(""), Any, ClusterWide, NO_JAVA,
        "Classes that look up configuration values elsewhere.";
    "controlled.shutdown.enable": Boolean = Some("true"), Boolean, ReadOnly, HEARTBEATS,
        "Whether a broker that stops hands its leadership over first.";
    "controller.listener.names": List = None, Any, ReadOnly, NO_CONTROLLER,
        "Names of the listeners over which controllers are reached.";
    "controller.quorum.append.linger.ms": Int = Some("25"),
        Integer(0, I32), ReadOnly, NO_CONTROLLER,
        "How long the leading controller gathers records before it writes them.";
    "controller.quorum.auto.join.enable": Boolean = Some("false"),
        Boolean, ReadOnly, NO_CONTROLLER,
        "Whether a controller that observes becomes a voter by itself.";
    "controller.quorum.bootstrap.servers": List = Some(""), Any, ReadOnly, NO_CONTROLLER,
        "Addresses at which the controllers are looked for.";
    "controller.quorum.election.backoff.max.ms": Int = Some("1000"),
        Integer(0, I32), ReadOnly, NO_CONTROLLER,
        "How long a controller waits at most between two tries to be elected.";
    "controller.quorum.election.timeout.ms": Int = Some("1000"),
        Integer(0, I32), ReadOnly, NO_CONTROLLER,
        "How long a controller waits for votes before it tries again.";
    "controller.quorum.fetch.max.bytes": Int = Some("1048576"),
        Integer(1, I32), ReadOnly, NO_CONTROLLER,
        "How many bytes a controller fetches at once.";
    "controller.quorum.fetch.snapshot.max.bytes": Int = Some("1048576"),
        Integer(1, I32), ReadOnly, NO_CONTROLLER,
        "How many bytes of a snapshot a controller fetches at once.";
    "controller.quorum.fetch.timeout.ms": Int = Some("2000"),
        Integer(0, I32), ReadOnly, NO_CONTROLLER,
        "After how long without word from the leading controller a new one is elected.";
    "controller.quorum.request.timeout.ms": Int = Some("2000"),
        Integer(0, I32), ReadOnly, NO_CONTROLLER,
        "How long a controller waits for the answer of another.";
    "controller.quorum.retry.backoff.ms": Int = Some("20"),
        Integer(0, I32), ReadOnly, NO_CONTROLLER,
        "How long a controller waits before it asks again.";
    "controller.quorum.voters": List = Some(""), Any, ReadOnly, NO_CONTROLLER,
        "The controllers that vote, with number and address.";
    "controller.socket.timeout.ms": Int = Some("30000"), ANY_INT, ReadOnly, NO_CONTROLLER,
        "How long a connection to a controller may be silent.";
    "default.replication.factor": Int = Some("1"), ANY_INT, ReadOnly, Used,
        "How many replicas a topic gets whose creator does not say; follows the number of nodes up to three unless it is set.";
    "early.start.listeners": List = None, Any, ReadOnly, NO_CONTROLLER,
        "Listeners that open before authorisation is ready.";
    "follower.fetch.last.tiered.offset.enable": Boolean = Some("false"),
        Boolean, ClusterWide, NO_FETCH_FOLLOWERS,
        "Whether a new follower begins behind what is already in remote storage.";
    "follower.replication.throttled.rate": Long = I64_TEXT,
        Integer(0, I64), ClusterWide, NO_THROTTLE,
        "How many bytes a second throttled followers receive at most.";
    "initial.broker.registration.timeout.ms": Int = Some("60000"),
        ANY_INT, ReadOnly, NO_CONTROLLER,
        "How long a starting broker tries to register before it gives up.";
    "inter.broker.listener.name": String = None, Any, ReadOnly, OWN_PEERS,
        "The listener over which brokers reach each other.";
    "kafka.metrics.polling.interval.secs": Int = Some("10"), Integer(1, I32), ReadOnly, PROMETHEUS,
        "How often reporters of the older metrics are asked.";
    "kafka.metrics.reporters": List = Some(""), Any, ReadOnly, PROMETHEUS,
        "Classes that report the older metrics.";
    "leader.imbalance.check.interval.seconds": Long = Some("300"),
        Integer(1, I64), ReadOnly, NO_BALANCER,
        "How often it is looked whether leadership lies with the preferred replicas.";
    "leader.replication.throttled.rate": Long = I64_TEXT,
        Integer(0, I64), ClusterWide, NO_THROTTLE,
        "How many bytes a second throttled leaders send at most.";
    "listener.security.protocol.map": String = Some("SASL_SSL:SASL_SSL,PLAINTEXT:PLAINTEXT,SSL:SSL,SASL_PLAINTEXT:SASL_PLAINTEXT"),
        Any, PerBroker, Shown,
        "Which protocol each listener speaks.";
    "listeners": List = Some("PLAINTEXT://:9092"), Any, PerBroker, Shown,
        "The addresses on which the node listens.";
    "metadata.log.dir": String = None, Any, ReadOnly, SHARD_SNAPSHOTS,
        "The directory in which the log of metadata is kept, when it is another one.";
    "metadata.log.max.record.bytes.between.snapshots": Long = Some("20971520"),
        Integer(1, I64), ReadOnly, SHARD_SNAPSHOTS,
        "After how many bytes of metadata a snapshot is written.";
    "metadata.log.max.snapshot.interval.ms": Long = Some("3600000"),
        Integer(0, I64), ReadOnly, SHARD_SNAPSHOTS,
        "After how long a snapshot of metadata is written.";
    "metadata.log.segment.bytes": Int = Some("1073741824"),
        Integer(8_388_608, I32), ReadOnly, SHARD_SNAPSHOTS,
        "How large a file of the log of metadata becomes.";
    "metadata.log.segment.ms": Long = Some("604800000"), ANY_LONG, ReadOnly, SHARD_SNAPSHOTS,
        "After how long the log of metadata begins a new file.";
    "metadata.max.idle.interval.ms": Int = Some("500"), Integer(0, I32), ReadOnly, SHARD_SNAPSHOTS,
        "How often a record is written to the log of metadata when nothing else is.";
    "metadata.max.retention.bytes": Long = Some("104857600"), ANY_LONG, ReadOnly, SHARD_SNAPSHOTS,
        "How many bytes of metadata are kept before old ones are deleted.";
    "metadata.max.retention.ms": Long = Some("604800000"), ANY_LONG, ReadOnly, SHARD_SNAPSHOTS,
        "How long metadata is kept before old ones are deleted.";
    "metric.reporters": List = Some("org.apache.kafka.common.metrics.JmxReporter"),
        Any, ClusterWide, PROMETHEUS,
        "Classes that report metrics.";
    "metrics.num.samples": Int = Some("2"), Integer(1, I32), ReadOnly, PROMETHEUS,
        "Over how many samples metrics are computed.";
    "metrics.recording.level": String = Some("INFO"), Any, ReadOnly, PROMETHEUS,
        "How much detail metrics have.";
    "metrics.sample.window.ms": Long = Some("30000"), Integer(1, I64), ReadOnly, PROMETHEUS,
        "How long each sample of a metric is.";
    "node.id": Int = None, Integer(0, I32), ReadOnly, Shown,
        "The number of this node, never used again for another one.";
    "num.io.threads": Int = Some("8"), Integer(1, I32), ClusterWide, OWN_THREADS,
        "Threads that work on requests.";
    "num.network.threads": Int = Some("3"), Integer(1, I32), ClusterWide, OWN_THREADS,
        "Threads that read requests and send answers.";
    "num.replica.fetchers": Int = Some("1"), Integer(1, I32), ClusterWide, NO_REPLICA_FETCHERS,
        "Threads that copy records from each leader.";
    "process.roles": List = None, SomeOf(&["broker", "controller"]), ReadOnly, Shown,
        "Whether the process is a broker, a controller or both.";
    "replica.alter.log.dirs.io.max.bytes.per.second": Long = I64_TEXT,
        Integer(0, I64), ClusterWide, NO_MOVES_OF_FILES,
        "How many bytes a second are moved between directories at most.";
    "replica.fetch.backoff.ms": Int = Some("1000"), Integer(0, I32), ReadOnly, NO_REPLICA_FETCHERS,
        "How long a follower waits after a failed fetch.";
    "replica.fetch.max.bytes": Int = Some("1048576"),
        Integer(0, I32), ReadOnly, NO_REPLICA_FETCHERS,
        "How many bytes of each partition a follower fetches at once.";
    "replica.fetch.min.bytes": Int = Some("1"), ANY_INT, ReadOnly, NO_REPLICA_FETCHERS,
        "How many bytes a follower's fetch waits for.";
    "replica.fetch.response.max.bytes": Int = Some("10485760"),
        Integer(0, I32), ReadOnly, NO_REPLICA_FETCHERS,
        "How many bytes a follower fetches at once.";
    "replica.fetch.wait.max.ms": Int = Some("500"), ANY_INT, ReadOnly, NO_REPLICA_FETCHERS,
        "How long a follower's fetch waits at most.";
    "replica.high.watermark.checkpoint.interval.ms": Long = Some("5000"),
        ANY_LONG, ReadOnly, NO_REPLICA_FETCHERS,
        "How often high watermarks are written to disk.";
    "replica.lag.time.max.ms": Long = Some("30000"), ANY_LONG, ReadOnly, Later,
        "How long a follower may lag before it no longer counts as in sync.";
    "replica.selector.class": String = None, Any, ReadOnly, NO_JAVA,
        "A class that says from which replica a consumer reads.";
    "replica.socket.receive.buffer.bytes": Int = Some("65536"),
        ANY_INT, ReadOnly, NO_REPLICA_FETCHERS,
        "Size of the receive buffer of a follower's socket.";
    "replica.socket.timeout.ms": Int = Some("30000"), ANY_INT, ReadOnly, NO_REPLICA_FETCHERS,
        "How long a follower waits for an answer.";
    "replication.quota.window.num": Int = Some("11"), Integer(1, I32), ReadOnly, NO_THROTTLE,
        "Over how many samples the rate of replication is measured.";
    "replication.quota.window.size.seconds": Int = Some("1"),
        Integer(1, I32), ReadOnly, NO_THROTTLE,
        "How long each sample of the rate of replication is.";
    "request.timeout.ms": Int = Some("30000"), ANY_INT, ReadOnly, OWN_PEERS,
        "How long a node waits for the answer of another.";
    "security.inter.broker.protocol": String = Some("PLAINTEXT"),
        OneOf(&["PLAINTEXT", "SASL_PLAINTEXT", "SASL_SSL", "SSL"]), ReadOnly, OWN_PEERS,
        "The protocol that brokers speak to each other.";
    "socket.connection.setup.timeout.max.ms": Long = Some("30000"), ANY_LONG, ReadOnly, OWN_PEERS,
        "How long a connection to another node may take at most to open.";
    "socket.connection.setup.timeout.ms": Long = Some("10000"), ANY_LONG, ReadOnly, OWN_PEERS,
        "How long a connection to another node may take to open at the first try.";
}
