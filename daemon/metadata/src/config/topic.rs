//! Settings of topics. Kafka 4.4 names two more than 4.3, `remote.copy.lag.*`.

use super::table::Effect::{AtProduce, Later};
use super::table::ValidValues::{
    Boolean, Fraction, Integer, IntegerOrMinusOne, OneOf, SomeOf, ThrottledReplicas,
};
use super::table::{
    ALWAYS_UPLOADED, ANY_LONG, CODECS, FLUSHED, FORCED_RECOVERY, I32, I64, I64_TEXT,
    NO_INDEX_FILES, NO_THROTTLE, TIMESTAMP_TYPES,
};

settings! {
    /// All of them, sorted by name.
    pub TOPIC_CONFIGS;
    "cleanup.policy": List = Some("delete"), SomeOf(&["compact", "delete"]), Own, AtProduce,
        from ["log.cleanup.policy"],
        "What happens to old records: deleted by age and size, compacted to the last value of each key, both, or nothing when empty.";
    "compression.gzip.level": Int = Some("-1"), IntegerOrMinusOne(1, 9), Own, Later,
        from ["compression.gzip.level"],
        "How hard gzip tries when the topic compresses with it; -1 leaves it to the codec.";
    "compression.lz4.level": Int = Some("9"), Integer(1, 17), Own, Later,
        from ["compression.lz4.level"],
        "How hard lz4 tries when the topic compresses with it.";
    "compression.type": String = Some("producer"), OneOf(CODECS), Own, Later,
        from ["compression.type"],
        "The codec in which batches are kept; 'producer' keeps each as it came.";
    "compression.zstd.level": Int = Some("3"), Integer(-131_072, 22), Own, Later,
        from ["compression.zstd.level"],
        "How hard zstd tries when the topic compresses with it.";
    "delete.retention.ms": Long = Some("86400000"), Integer(0, I64), Own, Later,
        from ["log.cleaner.delete.retention.ms"],
        "How long compaction keeps the marker of a deleted key, so that slow readers see the deletion.";
    "file.delete.delay.ms": Long = Some("60000"), Integer(0, I64), Own, NO_INDEX_FILES,
        from ["log.segment.delete.delay.ms"],
        "How long a file stays on disk after it was given up.";
    "flush.messages": Long = I64_TEXT, Integer(1, I64), Own, FLUSHED,
        from ["log.flush.interval.messages"],
        "After how many records a partition is flushed to disk.";
    "flush.ms": Long = I64_TEXT, Integer(0, I64), Own, FLUSHED,
        from ["log.flush.interval.ms", "log.flush.scheduler.interval.ms"],
        "After how long records of a partition are flushed to disk.";
    "follower.replication.throttled.replicas": List = Some(""), ThrottledReplicas, Own, NO_THROTTLE,
        "Replicas whose catching up is held to the follower's throttled rate.";
    "index.interval.bytes": Int = Some("4096"), Integer(0, I32), Own, NO_INDEX_FILES,
        from ["log.index.interval.bytes"],
        "How many bytes of records lie between two entries of the offset index.";
    "leader.replication.throttled.replicas": List = Some(""), ThrottledReplicas, Own, NO_THROTTLE,
        "Replicas towards which a leader holds to its throttled rate.";
    "local.retention.bytes": Long = Some("-2"), Integer(-2, I64), Own, Later,
        from ["log.local.retention.bytes"],
        "How many bytes of a partition stay on local disks once they are uploaded; -2 takes retention.bytes.";
    "local.retention.ms": Long = Some("-2"), Integer(-2, I64), Own, Later,
        from ["log.local.retention.ms"],
        "How long records stay on local disks once they are uploaded; -2 takes retention.ms.";
    "max.compaction.lag.ms": Long = I64_TEXT, Integer(1, I64), Own, Later,
        from ["log.cleaner.max.compaction.lag.ms"],
        "The longest a record may stay uncompacted.";
    "max.message.bytes": Int = Some("1048588"), Integer(0, I32), Own, AtProduce,
        from ["message.max.bytes"],
        "The largest record batch the topic takes, as it is sent.";
    "message.timestamp.after.max.ms": Long = Some("3600000"), Integer(0, I64), Own, AtProduce,
        from ["log.message.timestamp.after.max.ms"],
        "How far a record's timestamp may lie in the future before its batch is refused.";
    "message.timestamp.before.max.ms": Long = I64_TEXT, Integer(0, I64), Own, AtProduce,
        from ["log.message.timestamp.before.max.ms"],
        "How far a record's timestamp may lie in the past before its batch is refused.";
    "message.timestamp.type": String = Some("CreateTime"), OneOf(TIMESTAMP_TYPES), Own, AtProduce,
        from ["log.message.timestamp.type"],
        "Whether records carry the time of their creation or the time at which they were appended.";
    "min.cleanable.dirty.ratio": Double = Some("0.5"), Fraction, Own, Later,
        from ["log.cleaner.min.cleanable.ratio"],
        "Which part of a log must be uncompacted before compaction is worth its while.";
    "min.compaction.lag.ms": Long = Some("0"), Integer(0, I64), Own, Later,
        from ["log.cleaner.min.compaction.lag.ms"],
        "The shortest a record stays uncompacted.";
    "min.insync.replicas": Int = Some("1"), Integer(1, I32), Own, Later,
        from ["min.insync.replicas"],
        "How many replicas must have a record before a producer that asked for all is answered.";
    "preallocate": Boolean = Some("false"), Boolean, Own, NO_INDEX_FILES,
        from ["log.preallocate"],
        "Whether the file of a segment is made at its full length.";
    "remote.copy.lag.bytes": Long = Some("0"), Integer(-1, I64), Own, ALWAYS_UPLOADED,
        "How many bytes of a partition wait before they are uploaded.";
    "remote.copy.lag.ms": Long = Some("0"), Integer(-1, I64), Own, ALWAYS_UPLOADED,
        "How long records wait before they are uploaded.";
    "remote.log.copy.disable": Boolean = Some("false"), Boolean, Own, ALWAYS_UPLOADED,
        "Whether nothing more of the topic is uploaded and what is remote becomes read-only.";
    "remote.log.delete.on.disable": Boolean = Some("false"), Boolean, Own, ALWAYS_UPLOADED,
        "Whether remote records are deleted when remote storage is switched off for the topic.";
    "remote.storage.enable": Boolean = Some("false"), Boolean, Own, ALWAYS_UPLOADED,
        "Whether the topic keeps its history in remote storage.";
    "retention.bytes": Long = Some("-1"), ANY_LONG, Own, Later,
        from ["log.retention.bytes"],
        "How many bytes of a partition are kept before its oldest records are deleted; -1 is without bound.";
    "retention.ms": Long = Some("604800000"), Integer(-1, I64), Own, Later,
        from ["log.retention.ms", "log.retention.minutes", "log.retention.hours"],
        "How long records are kept before they are deleted; -1 is for ever.";
    "segment.bytes": Int = Some("1073741824"), Integer(1 << 20, I32), Own, Later,
        from ["log.segment.bytes"],
        "After how many bytes a partition begins a new segment, the unit of retention.";
    "segment.index.bytes": Int = Some("10485760"), Integer(4, I32), Own, NO_INDEX_FILES,
        from ["log.index.size.max.bytes"],
        "How large the offset index of a segment may become.";
    "segment.jitter.ms": Long = Some("0"), Integer(0, I64), Own, Later,
        from ["log.roll.jitter.ms", "log.roll.jitter.hours"],
        "By how much at most the start of a new segment varies, so that not all begin at once.";
    "segment.ms": Long = Some("604800000"), Integer(1, I64), Own, Later,
        from ["log.roll.ms", "log.roll.hours"],
        "After how long a partition begins a new segment, full or not.";
    "unclean.leader.election.enable": Boolean = Some("false"), Boolean, Own, FORCED_RECOVERY,
        from ["unclean.leader.election.enable"],
        "Whether a replica that may lack records can become leader when no other is left.";
}
