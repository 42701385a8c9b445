//! Settings of nodes. Remote storage of history.
//!
//! Names, types, defaults and rules are those of Kafka 4.3.1, the sentences are our own.

use super::table::Effect::{self, Later};
use super::table::ValidValues::{Any, Boolean, Integer, NonEmpty};
use super::table::{ALWAYS_UPLOADED, I32, I64, I64_TEXT, NO_INDEX_FILES, NO_JAVA, OWN_THREADS};

const UPLOAD_BY_SHARD: Effect =
    Effect::Never("shards upload their log by themselves, each object holding many partitions");

settings! {
    /// Sorted by name.
    pub(super) REMOTE;
    "remote.fetch.max.wait.ms": Int = Some("500"), Integer(1, I32), ClusterWide, Later,
        "How long a consumer's fetch waits at most for remote records.";
    "remote.list.offsets.request.timeout.ms": Long = Some("30000"),
        Integer(1, I64), ClusterWide, Later,
        "How long a search for an offset may take in remote storage.";
    "remote.log.index.file.cache.total.size.bytes": Long = Some("1073741824"),
        Integer(1, I64), ClusterWide, NO_INDEX_FILES,
        "How much disk the indexes of remote segments take at most.";
    "remote.log.manager.copier.thread.pool.size": Int = Some("10"),
        Integer(1, I32), ClusterWide, OWN_THREADS,
        "Threads that upload records.";
    "remote.log.manager.copy.max.bytes.per.second": Long = I64_TEXT,
        Integer(1, I64), ClusterWide, Later,
        "How many bytes a second are uploaded at most.";
    "remote.log.manager.copy.quota.window.num": Int = Some("11"), Integer(1, I32), ReadOnly, Later,
        "Over how many samples the rate of uploads is measured.";
    "remote.log.manager.copy.quota.window.size.seconds": Int = Some("1"),
        Integer(1, I32), ReadOnly, Later,
        "How long each sample of the rate of uploads is.";
    "remote.log.manager.expiration.thread.pool.size": Int = Some("10"),
        Integer(1, I32), ClusterWide, OWN_THREADS,
        "Threads that delete remote records that are too old.";
    "remote.log.manager.fetch.max.bytes.per.second": Long = I64_TEXT,
        Integer(1, I64), ClusterWide, Later,
        "How many bytes a second are read from remote storage at most.";
    "remote.log.manager.fetch.quota.window.num": Int = Some("11"),
        Integer(1, I32), ReadOnly, Later,
        "Over how many samples the rate of remote reads is measured.";
    "remote.log.manager.fetch.quota.window.size.seconds": Int = Some("1"),
        Integer(1, I32), ReadOnly, Later,
        "How long each sample of the rate of remote reads is.";
    "remote.log.manager.follower.thread.pool.size": Int = Some("2"),
        Integer(1, I32), ClusterWide, OWN_THREADS,
        "Threads that follow the uploads of other leaders.";
    "remote.log.manager.task.interval.ms": Long = Some("30000"),
        Integer(1, I64), ReadOnly, UPLOAD_BY_SHARD,
        "How often it is looked for something to upload or delete.";
    "remote.log.manager.thread.pool.size": Int = Some("2"), Integer(1, I32), ReadOnly, OWN_THREADS,
        "Threads that look for something to upload or delete.";
    "remote.log.metadata.custom.metadata.max.bytes": Int = Some("128"),
        Integer(0, I32), ReadOnly, NO_JAVA,
        "How many bytes of its own a storage class may add to a remote segment.";
    "remote.log.metadata.manager.class.name": String = Some("org.apache.kafka.server.log.remote.metadata.storage.TopicBasedRemoteLogMetadataManager"),
        NonEmpty, ReadOnly, NO_JAVA,
        "The class that remembers what is remote.";
    "remote.log.metadata.manager.class.path": String = None, Any, ReadOnly, NO_JAVA,
        "Where the class that remembers what is remote is found.";
    "remote.log.metadata.manager.impl.prefix": String = Some("rlmm.config."),
        NonEmpty, ReadOnly, NO_JAVA,
        "How settings begin that are for the class that remembers what is remote.";
    "remote.log.metadata.manager.listener.name": String = None, Any, ReadOnly, NO_JAVA,
        "The listener that the class that remembers what is remote connects to.";
    "remote.log.reader.max.pending.tasks": Int = Some("100"),
        Integer(1, I32), ReadOnly, OWN_THREADS,
        "How many remote reads may wait.";
    "remote.log.reader.threads": Int = Some("10"), Integer(1, I32), ClusterWide, OWN_THREADS,
        "Threads that read from remote storage.";
    "remote.log.storage.manager.class.name": String = None, Any, ReadOnly, NO_JAVA,
        "The class that talks to remote storage.";
    "remote.log.storage.manager.class.path": String = None, Any, ReadOnly, NO_JAVA,
        "Where the class that talks to remote storage is found.";
    "remote.log.storage.manager.impl.prefix": String = Some("rsm.config."),
        NonEmpty, ReadOnly, NO_JAVA,
        "How settings begin that are for the class that talks to remote storage.";
    "remote.log.storage.system.enable": Boolean = Some("false"),
        Boolean, ReadOnly, ALWAYS_UPLOADED,
        "Whether topics may keep their history in remote storage.";
}
