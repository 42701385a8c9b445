//! Settings of groups: the consumer protocol of KIP-848, share groups (KIP-932), streams groups
//! (KIP-1071). Classic groups have none of their own: their members say what they want.

use super::table::Effect::Later;
use super::table::I32;
use super::table::ValidValues::{Boolean, Integer, OffsetReset, OneOf};

settings! {
    /// All of them, sorted by name.
    pub GROUP_CONFIGS;
    "consumer.assignment.interval.ms": Int = Some("1000"), Integer(0, I32), Own, Later,
        from ["group.consumer.assignment.interval.ms"],
        "The least time between two assignments of a consumer group.";
    "consumer.heartbeat.interval.ms": Int = Some("5000"), Integer(1, I32), Own, Later,
        from ["group.consumer.heartbeat.interval.ms"],
        "How often members of a consumer group tell the coordinator that they live.";
    "consumer.session.timeout.ms": Int = Some("45000"), Integer(1, I32), Own, Later,
        from ["group.consumer.session.timeout.ms"],
        "After how long without a heartbeat a member of a consumer group counts as gone.";
    "share.assignment.interval.ms": Int = Some("1000"), Integer(0, I32), Own, Later,
        from ["group.share.assignment.interval.ms"],
        "The least time between two assignments of a share group.";
    "share.auto.offset.reset": String = Some("latest"), OffsetReset, Own, Later,
        "Where a share group begins on a partition it has not read before.";
    "share.delivery.count.limit": Int = Some("5"), Integer(2, I32), Own, Later,
        from ["group.share.delivery.count.limit"],
        "How often a record is delivered to a share group before it is given up.";
    "share.heartbeat.interval.ms": Int = Some("5000"), Integer(1, I32), Own, Later,
        from ["group.share.heartbeat.interval.ms"],
        "How often members of a share group tell the coordinator that they live.";
    "share.isolation.level": String = Some("read_uncommitted"),
        OneOf(&["read_committed", "read_uncommitted"]), Own, Later,
        "Whether a share group sees records of transactions before they are committed.";
    "share.partition.max.record.locks": Int = Some("2000"), Integer(100, I32), Own, Later,
        from ["group.share.partition.max.record.locks"],
        "How many records of a partition a share group may have in hand at once.";
    "share.record.lock.duration.ms": Int = Some("30000"), Integer(1000, I32), Own, Later,
        from ["group.share.record.lock.duration.ms"],
        "How long a member of a share group may keep a record before another one gets it.";
    "share.renew.acknowledge.enable": Boolean = Some("true"), Boolean, Own, Later,
        "Whether members of a share group may ask for more time for a record.";
    "share.session.timeout.ms": Int = Some("45000"), Integer(1, I32), Own, Later,
        from ["group.share.session.timeout.ms"],
        "After how long without a heartbeat a member of a share group counts as gone.";
    "streams.assignment.interval.ms": Int = Some("1000"), Integer(0, I32), Own, Later,
        from ["group.streams.assignment.interval.ms"],
        "The least time between two assignments of a streams group.";
    "streams.heartbeat.interval.ms": Int = Some("5000"), Integer(1, I32), Own, Later,
        from ["group.streams.heartbeat.interval.ms"],
        "How often members of a streams group tell the coordinator that they live.";
    "streams.initial.rebalance.delay.ms": Int = Some("3000"), Integer(0, I32), Own, Later,
        from ["group.streams.initial.rebalance.delay.ms"],
        "How long a new streams group waits for more members before the first assignment.";
    "streams.num.standby.replicas": Int = Some("0"), Integer(0, I32), Own, Later,
        from ["group.streams.num.standby.replicas"],
        "How many warm copies of each state a streams group keeps.";
    "streams.session.timeout.ms": Int = Some("45000"), Integer(1, I32), Own, Later,
        from ["group.streams.session.timeout.ms"],
        "After how long without a heartbeat a member of a streams group counts as gone.";
}
