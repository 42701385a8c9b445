//! Settings of nodes. Coordinators of groups and the offsets they keep.
//!
//! Names, types, defaults and rules are those of Kafka 4.3.1, the sentences are our own.

use super::table::Effect::{self, Later, Used};
use super::table::ValidValues::{Any, Integer, OneOfAnyCase, SomeOf};
use super::table::{ANY_INT, I16, I32, I64, NO_INTERNAL_TOPICS, OWN_THREADS};

const ONE_COMMIT: Effect =
    Effect::Never("an entry of a group is flushed with all others of the node");
const HELD_IN_MEMORY: Effect =
    Effect::Never("every replica holds the state of coordinators already");

settings! {
    /// Sorted by name.
    pub(super) GROUPS;
    "group.consumer.assignment.interval.ms": Int = Some("1000"),
        Integer(0, I32), ClusterWide, Later,
        "The least time between two assignments of a consumer group that does not set it.";
    "group.consumer.assignors": List = Some("uniform,range"), Any, ReadOnly, Later,
        "The ways to assign partitions that consumer groups may choose from; the first is the default.";
    "group.consumer.heartbeat.interval.ms": Int = Some("5000"), Integer(1, I32), ReadOnly, Later,
        "How often members of consumer groups tell the coordinator that they live.";
    "group.consumer.max.assignment.interval.ms": Int = Some("15000"),
        Integer(0, I32), ReadOnly, Later,
        "The longest assignment interval that a consumer group may have.";
    "group.consumer.max.heartbeat.interval.ms": Int = Some("15000"),
        Integer(1, I32), ReadOnly, Later,
        "The longest heartbeat interval that a consumer group may have.";
    "group.consumer.max.session.timeout.ms": Int = Some("60000"), Integer(1, I32), ReadOnly, Later,
        "The longest session timeout that a consumer group may have.";
    "group.consumer.max.size": Int = Some("2147483647"), Integer(1, I32), ReadOnly, Later,
        "How many members a consumer group has at most.";
    "group.consumer.migration.policy": String = Some("bidirectional"),
        OneOfAnyCase(&["BIDIRECTIONAL", "DISABLED", "DOWNGRADE", "UPGRADE"]), ReadOnly, Later,
        "Whether classic groups may become consumer groups, and the other way round.";
    "group.consumer.min.assignment.interval.ms": Int = Some("0"), Integer(0, I32), ReadOnly, Later,
        "The shortest assignment interval that a consumer group may have.";
    "group.consumer.min.heartbeat.interval.ms": Int = Some("5000"),
        Integer(1, I32), ReadOnly, Later,
        "The shortest heartbeat interval that a consumer group may have.";
    "group.consumer.min.session.timeout.ms": Int = Some("45000"), Integer(1, I32), ReadOnly, Later,
        "The shortest session timeout that a consumer group may have.";
    "group.consumer.session.timeout.ms": Int = Some("45000"), Integer(1, I32), ReadOnly, Later,
        "After how long without a heartbeat a member of a consumer group counts as gone.";
    "group.coordinator.append.linger.ms": Int = Some("-1"), Integer(-1, I32), ReadOnly, ONE_COMMIT,
        "How long a coordinator gathers changes of groups before it writes them; -1 adapts to the load.";
    "group.coordinator.background.threads": Int = Some("2"),
        Integer(1, I32), ReadOnly, OWN_THREADS,
        "Threads that compute assignments beside the coordinator's own.";
    "group.coordinator.cached.buffer.max.bytes": Int = Some("1048588"),
        Integer(524_288, I32), ClusterWide, ONE_COMMIT,
        "How large a buffer may be that a coordinator keeps for its next write.";
    "group.coordinator.rebalance.protocols": List = Some("classic,consumer,streams"),
        SomeOf(&["classic", "consumer", "share", "streams"]), ReadOnly, Later,
        "The kinds of groups that are served.";
    "group.coordinator.threads": Int = Some("4"), Integer(1, I32), ReadOnly, OWN_THREADS,
        "Threads of the coordinator of groups.";
    "group.initial.rebalance.delay.ms": Int = Some("3000"), ANY_INT, ReadOnly, Used,
        "How long a new classic group waits for more members before its first rebalance.";
    "group.max.session.timeout.ms": Int = Some("1800000"), ANY_INT, ReadOnly, Used,
        "The longest session timeout that a member of a classic group may ask for.";
    "group.max.size": Int = Some("2147483647"), Integer(1, I32), ReadOnly, Used,
        "How many members a classic group has at most.";
    "group.min.session.timeout.ms": Int = Some("6000"), ANY_INT, ReadOnly, Used,
        "The shortest session timeout that a member of a classic group may ask for.";
    "group.share.assignment.interval.ms": Int = Some("1000"), Integer(0, I32), ClusterWide, Later,
        "The least time between two assignments of a share group that does not set it.";
    "group.share.assignors": List = Some("simple"), Any, ReadOnly, Later,
        "The ways to assign partitions that share groups use.";
    "group.share.delivery.count.limit": Int = Some("5"), Integer(2, 10), ReadOnly, Later,
        "How often a record is delivered to a share group before it is given up.";
    "group.share.heartbeat.interval.ms": Int = Some("5000"), Integer(1, I32), ReadOnly, Later,
        "How often members of share groups tell the coordinator that they live.";
    "group.share.max.assignment.interval.ms": Int = Some("15000"),
        Integer(0, I32), ReadOnly, Later,
        "The longest assignment interval that a share group may have.";
    "group.share.max.delivery.count.limit": Int = Some("10"), Integer(5, 25), ReadOnly, Later,
        "The highest delivery count that a share group may have.";
    "group.share.max.heartbeat.interval.ms": Int = Some("15000"), Integer(1, I32), ReadOnly, Later,
        "The longest heartbeat interval that a share group may have.";
    "group.share.max.partition.max.record.locks": Int = Some("4000"),
        Integer(2000, 10_000), ReadOnly, Later,
        "The highest number of records in hand that a share group may have.";
    "group.share.max.record.lock.duration.ms": Int = Some("60000"),
        Integer(30_000, 3_600_000), ReadOnly, Later,
        "The longest that a share group may let its members keep a record.";
    "group.share.max.session.timeout.ms": Int = Some("60000"), Integer(1, I32), ReadOnly, Later,
        "The longest session timeout that a share group may have.";
    "group.share.max.share.sessions": Int = Some("2000"), Integer(1, I32), ReadOnly, Later,
        "How many sessions of share groups a node remembers.";
    "group.share.max.size": Int = Some("200"), Integer(1, 1000), ReadOnly, Later,
        "How many members a share group has at most.";
    "group.share.min.assignment.interval.ms": Int = Some("0"), Integer(0, I32), ReadOnly, Later,
        "The shortest assignment interval that a share group may have.";
    "group.share.min.delivery.count.limit": Int = Some("2"), Integer(2, 5), ReadOnly, Later,
        "The lowest delivery count that a share group may have.";
    "group.share.min.heartbeat.interval.ms": Int = Some("5000"), Integer(1, I32), ReadOnly, Later,
        "The shortest heartbeat interval that a share group may have.";
    "group.share.min.partition.max.record.locks": Int = Some("100"),
        Integer(100, 2000), ReadOnly, Later,
        "The lowest number of records in hand that a share group may have.";
    "group.share.min.record.lock.duration.ms": Int = Some("15000"),
        Integer(1000, 30_000), ReadOnly, Later,
        "The shortest that a share group may let its members keep a record.";
    "group.share.min.session.timeout.ms": Int = Some("45000"), Integer(1, I32), ReadOnly, Later,
        "The shortest session timeout that a share group may have.";
    "group.share.partition.max.record.locks": Int = Some("2000"),
        Integer(100, 10_000), ReadOnly, Later,
        "How many records of a partition a share group may have in hand at once.";
    "group.share.record.lock.duration.ms": Int = Some("30000"),
        Integer(1000, 3_600_000), ReadOnly, Later,
        "How long a member of a share group may keep a record before another one gets it.";
    "group.share.session.timeout.ms": Int = Some("45000"), Integer(1, I32), ReadOnly, Later,
        "After how long without a heartbeat a member of a share group counts as gone.";
    "group.streams.assignment.interval.ms": Int = Some("1000"),
        Integer(0, I32), ClusterWide, Later,
        "The least time between two assignments of a streams group that does not set it.";
    "group.streams.heartbeat.interval.ms": Int = Some("5000"), Integer(1, I32), ReadOnly, Later,
        "How often members of streams groups tell the coordinator that they live.";
    "group.streams.initial.rebalance.delay.ms": Int = Some("3000"),
        Integer(0, I32), ReadOnly, Later,
        "How long a new streams group waits for more members before the first assignment.";
    "group.streams.max.assignment.interval.ms": Int = Some("15000"),
        Integer(0, I32), ReadOnly, Later,
        "The longest assignment interval that a streams group may have.";
    "group.streams.max.heartbeat.interval.ms": Int = Some("15000"),
        Integer(1, I32), ReadOnly, Later,
        "The longest heartbeat interval that a streams group may have.";
    "group.streams.max.session.timeout.ms": Int = Some("60000"), Integer(1, I32), ReadOnly, Later,
        "The longest session timeout that a streams group may have.";
    "group.streams.max.size": Int = Some("2147483647"), Integer(1, I32), ReadOnly, Later,
        "How many members a streams group has at most.";
    "group.streams.max.standby.replicas": Int = Some("2"), Integer(0, I32), ReadOnly, Later,
        "The highest number of warm copies of each state that a streams group may have.";
    "group.streams.min.assignment.interval.ms": Int = Some("0"), Integer(0, I32), ReadOnly, Later,
        "The shortest assignment interval that a streams group may have.";
    "group.streams.min.heartbeat.interval.ms": Int = Some("5000"),
        Integer(1, I32), ReadOnly, Later,
        "The shortest heartbeat interval that a streams group may have.";
    "group.streams.min.session.timeout.ms": Int = Some("45000"), Integer(1, I32), ReadOnly, Later,
        "The shortest session timeout that a streams group may have.";
    "group.streams.num.standby.replicas": Int = Some("0"), Integer(0, I32), ReadOnly, Later,
        "How many warm copies of each state a streams group keeps that does not say.";
    "group.streams.session.timeout.ms": Int = Some("45000"), Integer(1, I32), ReadOnly, Later,
        "After how long without a heartbeat a member of a streams group counts as gone.";
    "offset.metadata.max.bytes": Int = Some("4096"), ANY_INT, ReadOnly, Used,
        "How many bytes of its own a client may add to a committed offset.";
    "offsets.commit.timeout.ms": Int = Some("5000"), Integer(1, I32), ReadOnly, ONE_COMMIT,
        "How long the commit of an offset may wait for replicas.";
    "offsets.load.buffer.size": Int = Some("5242880"), Integer(1, I32), ReadOnly, HELD_IN_MEMORY,
        "How many bytes of committed offsets a new coordinator reads at once.";
    "offsets.retention.check.interval.ms": Long = Some("600000"), Integer(1, I64), ReadOnly, Used,
        "How often groups are looked over for committed offsets to forget.";
    "offsets.retention.minutes": Int = Some("10080"), Integer(1, I32), ReadOnly, Used,
        "For how many minutes committed offsets are kept once their group has no members.";
    "offsets.topic.compression.codec": Int = Some("0"), ANY_INT, ReadOnly, NO_INTERNAL_TOPICS,
        "The codec of the internal topic of committed offsets, by number.";
    "offsets.topic.num.partitions": Int = Some("50"),
        Integer(1, I32), ReadOnly, NO_INTERNAL_TOPICS,
        "How many partitions the internal topic of committed offsets has.";
    "offsets.topic.replication.factor": Short = Some("3"),
        Integer(1, I16), ReadOnly, NO_INTERNAL_TOPICS,
        "How many replicas the internal topic of committed offsets has.";
    "offsets.topic.segment.bytes": Int = Some("104857600"),
        Integer(1, I32), ReadOnly, NO_INTERNAL_TOPICS,
        "How large a segment of the internal topic of committed offsets becomes.";
    "share.coordinator.append.linger.ms": Int = Some("-1"), Integer(-1, I32), ReadOnly, ONE_COMMIT,
        "How long the coordinator of share groups gathers changes before it writes them; -1 adapts to the load.";
    "share.coordinator.cached.buffer.max.bytes": Int = Some("1048588"),
        Integer(524_288, I32), ClusterWide, ONE_COMMIT,
        "How large a buffer may be that the coordinator of share groups keeps for its next write.";
    "share.coordinator.load.buffer.size": Int = Some("5242880"),
        Integer(1, I32), ReadOnly, HELD_IN_MEMORY,
        "How many bytes of the state of share groups a new coordinator reads at once.";
    "share.coordinator.snapshot.update.records.per.snapshot": Int = Some("500"),
        Integer(0, 500), ReadOnly, NO_INTERNAL_TOPICS,
        "After how many changes the state of a share group is written whole.";
    "share.coordinator.state.topic.compression.codec": Int = Some("0"),
        ANY_INT, ReadOnly, NO_INTERNAL_TOPICS,
        "The codec of the internal topic of share groups, by number.";
    "share.coordinator.state.topic.min.isr": Short = Some("2"),
        Integer(1, I16), ReadOnly, NO_INTERNAL_TOPICS,
        "How many replicas the internal topic of share groups needs for a write.";
    "share.coordinator.state.topic.num.partitions": Int = Some("50"),
        Integer(1, I32), ReadOnly, NO_INTERNAL_TOPICS,
        "How many partitions the internal topic of share groups has.";
    "share.coordinator.state.topic.replication.factor": Short = Some("3"),
        Integer(1, I16), ReadOnly, NO_INTERNAL_TOPICS,
        "How many replicas the internal topic of share groups has.";
    "share.coordinator.state.topic.segment.bytes": Int = Some("104857600"),
        Integer(1, I32), ReadOnly, NO_INTERNAL_TOPICS,
        "How large a segment of the internal topic of share groups becomes.";
    "share.coordinator.threads": Int = Some("1"), Integer(1, I32), ReadOnly, OWN_THREADS,
        "Threads of the coordinator of share groups.";
    "share.coordinator.write.timeout.ms": Int = Some("5000"),
        Integer(1, I32), ReadOnly, ONE_COMMIT,
        "How long a write of the state of a share group may wait for replicas.";
}
