//! Settings of nodes. How records are kept; most are the defaults of topics' settings.
//!
//! Names, types, defaults and rules are those of Kafka 4.3.1, the sentences are our own.

use super::table::Effect::{self, Later, Shown, TopicDefault, Used};
use super::table::ValidValues::{
    Any, Boolean, Fraction, Integer, IntegerOrMinusOne, Number, OneOf, SomeOf,
};
use super::table::{
    ANY_INT, ANY_LONG, CODECS, FLUSHED, FORCED_RECOVERY, I32, I64, I64_TEXT, NO_INDEX_FILES,
    OWN_THREADS, TIMESTAMP_TYPES,
};

const NO_LOG_DIRS: Effect = Effect::Never("a node has one directory, for its write-ahead log");
const NO_CLEANER: Effect = Effect::Never("there is no cleaner over segment files");
const STATIC_TOPIC_DEFAULT: Effect = Effect::Never(
    "the defaults of topics are the same on all nodes: set the one in ms for all of them",
);

settings! {
    /// Sorted by name.
    pub(super) LOG;
    "compression.gzip.level": Int = Some("-1"), IntegerOrMinusOne(1, 9), ClusterWide, TopicDefault,
        "How hard gzip tries where topics compress with it; -1 leaves it to the codec.";
    "compression.lz4.level": Int = Some("9"), Integer(1, 17), ClusterWide, TopicDefault,
        "How hard lz4 tries where topics compress with it.";
    "compression.type": String = Some("producer"), OneOf(CODECS), ClusterWide, TopicDefault,
        "The codec in which topics keep their batches; 'producer' keeps each as it came.";
    "compression.zstd.level": Int = Some("3"), Integer(-131_072, 22), ClusterWide, TopicDefault,
        "How hard zstd tries where topics compress with it.";
    "cordoned.log.dirs": List = Some(""), Any, PerBroker, NO_LOG_DIRS,
        "Directories that get no new partitions.";
    "log.cleaner.backoff.ms": Long = Some("15000"), Integer(0, I64), ClusterWide, NO_CLEANER,
        "How long the cleaner sleeps when there is nothing to clean.";
    "log.cleaner.dedupe.buffer.size": Long = Some("134217728"), ANY_LONG, ClusterWide, NO_CLEANER,
        "Memory in which the cleaner's threads remember keys.";
    "log.cleaner.delete.retention.ms": Long = Some("86400000"),
        Integer(0, I64), ClusterWide, TopicDefault,
        "How long compaction keeps the marker of a deleted key.";
    "log.cleaner.enable": Boolean = Some("true"), Boolean, ReadOnly, NO_CLEANER,
        "Whether topics that ask for compaction get it.";
    "log.cleaner.io.buffer.load.factor": Double = Some("0.9"), Number, ClusterWide, NO_CLEANER,
        "How full the cleaner's memory of keys may become.";
    "log.cleaner.io.buffer.size": Int = Some("524288"), Integer(0, I32), ClusterWide, NO_CLEANER,
        "Memory in which the cleaner's threads read and write records.";
    "log.cleaner.io.max.bytes.per.second": Double = Some("1.7976931348623157E308"),
        Number, ClusterWide, NO_CLEANER,
        "How fast the cleaner may read and write.";
    "log.cleaner.max.compaction.lag.ms": Long = I64_TEXT,
        Integer(1, I64), ClusterWide, TopicDefault,
        "The longest a record of a compacted topic may stay uncompacted.";
    "log.cleaner.min.cleanable.ratio": Double = Some("0.5"), Fraction, ClusterWide, TopicDefault,
        "Which part of a log must be uncompacted before compaction is worth its while.";
    "log.cleaner.min.compaction.lag.ms": Long = Some("0"),
        Integer(0, I64), ClusterWide, TopicDefault,
        "The shortest a record of a compacted topic stays uncompacted.";
    "log.cleaner.threads": Int = Some("1"), Integer(0, I32), ClusterWide, NO_CLEANER,
        "Threads that compact.";
    "log.cleanup.policy": List = Some("delete"),
        SomeOf(&["compact", "delete"]), ClusterWide, TopicDefault,
        "What happens to old records of topics: deleted, compacted, or both.";
    "log.dir": List = Some("/tmp/kafka-logs"), Any, ReadOnly, Shown,
        "The directory in which records are kept when log.dirs names none.";
    "log.dir.failure.timeout.ms": Long = Some("30000"), Integer(1, I64), ReadOnly, NO_LOG_DIRS,
        "How long a broker that lost a directory may go on before it stops.";
    "log.dirs": List = None, Any, ReadOnly, Shown,
        "The directories in which records are kept.";
    "log.flush.interval.messages": Long = I64_TEXT, Integer(1, I64), ClusterWide, FLUSHED,
        "After how many records a partition is flushed to disk.";
    "log.flush.interval.ms": Long = None, ANY_LONG, ClusterWide, FLUSHED,
        from ["log.flush.interval.ms", "log.flush.scheduler.interval.ms"],
        "After how long records of a partition are flushed to disk.";
    "log.flush.offset.checkpoint.interval.ms": Int = Some("60000"),
        Integer(0, I32), ReadOnly, FLUSHED,
        "How often the offsets up to which partitions are flushed are written down.";
    "log.flush.scheduler.interval.ms": Long = I64_TEXT, ANY_LONG, ReadOnly, FLUSHED,
        "How often partitions that are due are flushed.";
    "log.flush.start.offset.checkpoint.interval.ms": Int = Some("60000"),
        Integer(0, I32), ReadOnly, FLUSHED,
        "How often the first offsets of partitions are written down.";
    "log.index.interval.bytes": Int = Some("4096"), Integer(0, I32), ClusterWide, NO_INDEX_FILES,
        "How many bytes of records lie between two entries of the offset index.";
    "log.index.size.max.bytes": Int = Some("10485760"),
        Integer(4, I32), ClusterWide, NO_INDEX_FILES,
        "How large the offset index of a segment may become.";
    "log.local.retention.bytes": Long = Some("-2"), Integer(-2, I64), ClusterWide, TopicDefault,
        "How many bytes of a partition stay on local disks once they are uploaded; -2 takes the topic's retention.bytes.";
    "log.local.retention.ms": Long = Some("-2"), Integer(-2, I64), ClusterWide, TopicDefault,
        "How long records stay on local disks once they are uploaded; -2 takes the topic's retention.ms.";
    "log.message.timestamp.after.max.ms": Long = Some("3600000"),
        Integer(0, I64), ClusterWide, TopicDefault,
        "How far a record's timestamp may lie in the future before its batch is refused.";
    "log.message.timestamp.before.max.ms": Long = I64_TEXT,
        Integer(0, I64), ClusterWide, TopicDefault,
        "How far a record's timestamp may lie in the past before its batch is refused.";
    "log.message.timestamp.type": String = Some("CreateTime"),
        OneOf(TIMESTAMP_TYPES), ClusterWide, TopicDefault,
        "Whether records carry the time of their creation or the time at which they were appended.";
    "log.preallocate": Boolean = Some("false"), Boolean, ClusterWide, NO_INDEX_FILES,
        "Whether the file of a segment is made at its full length.";
    "log.retention.bytes": Long = Some("-1"), ANY_LONG, ClusterWide, TopicDefault,
        "How many bytes of a partition are kept before its oldest records are deleted; -1 is without bound.";
    "log.retention.check.interval.ms": Long = Some("300000"), Integer(1, I64), ReadOnly, Later,
        "How often partitions are looked over for records to delete.";
    "log.retention.hours": Int = Some("168"), ANY_INT, ReadOnly, STATIC_TOPIC_DEFAULT,
        from ["log.retention.hours"],
        "How long records are kept, in hours, unless log.retention.minutes or log.retention.ms says otherwise.";
    "log.retention.minutes": Int = None, ANY_INT, ReadOnly, STATIC_TOPIC_DEFAULT,
        from ["log.retention.minutes", "log.retention.hours"],
        "How long records are kept, in minutes, unless log.retention.ms says otherwise.";
    "log.retention.ms": Long = None, ANY_LONG, ClusterWide, TopicDefault,
        from ["log.retention.ms", "log.retention.minutes", "log.retention.hours"],
        "How long records are kept before they are deleted; -1 is for ever.";
    "log.roll.hours": Int = Some("168"), Integer(1, I32), ReadOnly, STATIC_TOPIC_DEFAULT,
        "After how many hours a partition begins a new segment, unless log.roll.ms says otherwise.";
    "log.roll.jitter.hours": Int = Some("0"), Integer(0, I32), ReadOnly, STATIC_TOPIC_DEFAULT,
        "By how many hours at most the start of a new segment varies, unless log.roll.jitter.ms says otherwise.";
    "log.roll.jitter.ms": Long = None, ANY_LONG, ClusterWide, TopicDefault,
        from ["log.roll.jitter.ms", "log.roll.jitter.hours"],
        "By how much at most the start of a new segment varies, so that not all begin at once.";
    "log.roll.ms": Long = None, ANY_LONG, ClusterWide, TopicDefault,
        from ["log.roll.ms", "log.roll.hours"],
        "After how long a partition begins a new segment, full or not.";
    "log.segment.bytes": Int = Some("1073741824"),
        Integer(1_048_576, I32), ClusterWide, TopicDefault,
        "After how many bytes a partition begins a new segment.";
    "log.segment.delete.delay.ms": Long = Some("60000"),
        Integer(0, I64), ClusterWide, NO_INDEX_FILES,
        "How long a file stays on disk after it was given up.";
    "message.max.bytes": Int = Some("1048588"), Integer(0, I32), ClusterWide, Used,
        "The largest record batch that topics take, as it is sent.";
    "min.insync.replicas": Int = Some("1"), Integer(1, I32), ClusterWide, TopicDefault,
        "How many replicas must have a record before a producer that asked for all is answered.";
    "num.recovery.threads.per.data.dir": Int = Some("2"),
        Integer(1, I32), ClusterWide, OWN_THREADS,
        "Threads that read a directory's logs at start.";
    "num.replica.alter.log.dirs.threads": Int = None, ANY_INT, ReadOnly, NO_LOG_DIRS,
        "Threads that move replicas from one directory to another.";
    "unclean.leader.election.enable": Boolean = Some("false"),
        Boolean, ClusterWide, FORCED_RECOVERY,
        "Whether a replica that may lack records can become leader when no other is left.";
}
