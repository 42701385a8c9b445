//! Every metric, declared once: name, type, labels, meaning. The page and its reference are both
//! written from here. Names are stable: dashboards and alerts are built on them.
//!
//! A name ends in its unit (`_bytes`, `_seconds`) and a counter in `_total`, as Prometheus asks; a
//! test holds all of them to it.

/// Prometheus's types.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Type {
    /// Grows until the process ends.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Counts by upper bounds.
    Histogram,
}

impl Type {
    /// As the format spells it.
    #[must_use]
    pub fn text(self) -> &'static str {
        match self {
            Type::Counter => "counter",
            Type::Gauge => "gauge",
            Type::Histogram => "histogram",
        }
    }
}

/// One metric.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Metric {
    /// As scraped.
    pub name: &'static str,
    /// Its type.
    pub kind: Type,
    /// Names of its labels.
    pub labels: &'static [&'static str],
    /// One sentence.
    pub help: &'static str,
}

macro_rules! metrics {
    ($($id:ident = $name:literal, $kind:ident, $labels:expr, $help:literal;)*) => {
        $(#[doc = $help] pub const $id: Metric =
            Metric { name: $name, kind: Type::$kind, labels: &$labels, help: $help };)*
        /// All of them, in the order of the page.
        pub const METRICS: &[Metric] = &[$($id),*];
    };
}

metrics! {
    BUILD = "holdfast_build_info", Gauge, ["version"],
        "1; the version that runs.";
    NODE = "holdfast_node_info", Gauge, ["node", "cluster"],
        "1; which node of which cluster.";
    READY = "holdfast_ready", Gauge, [],
        "1 while clients are served, as /readyz says.";
    BOOTS = "holdfast_boots", Gauge, [],
        "How often this data directory was opened for writing.";
    REQUESTS = "holdfast_requests_total", Counter, ["api"],
        "Kafka requests that were answered or ended otherwise.";
    DURATION = "holdfast_request_duration_seconds", Histogram, ["api"],
        "Time from the whole request to its answer; a Fetch or JoinGroup that waits is counted with \
         its wait.";
    ERRORS = "holdfast_request_errors_total", Counter, ["api", "code"],
        "Answers that are an error as a whole, and what was refused of single partitions, topics, \
         resources, groups and access rules, by Kafka's error code; parts of Metadata and of answers \
         that describe groups, topics or logs are not counted.";
    CLOSING = "holdfast_requests_closing_total", Counter, ["api"],
        "Requests that ended their connection: malformed, of an unknown version, or refused with \
         acks=0.";
    RECEIVED = "holdfast_received_bytes_total", Counter, [],
        "Bytes of Kafka requests.";
    SENT = "holdfast_sent_bytes_total", Counter, [],
        "Bytes of answers to Kafka requests.";
    CONNECTIONS = "holdfast_connections", Gauge, [],
        "Kafka connections open now.";
    CONNECTIONS_MAX = "holdfast_connections_max", Gauge, [],
        "The limit on them: max.connections, or less where the limit on open files does not allow it.";
    OPENED = "holdfast_connections_opened_total", Counter, [],
        "Kafka connections that were served.";
    REFUSED_PER_IP = "holdfast_connections_refused_per_ip_total", Counter, [],
        "Connections closed at once, because their address has max.connections.per.ip open.";
    CONNECTION_WAITS = "holdfast_connection_waits_total", Counter, [],
        "How often max.connections was reached and new connections had to wait.";
    ACCEPT_FAILURES = "holdfast_accept_failures_total", Counter, [],
        "How often a connection could not be taken, for want of descriptors or memory.";
    IN_FLIGHT = "holdfast_requests_in_flight_bytes", Gauge, [],
        "Bytes of requests that are not answered yet, in part or whole.";
    IN_FLIGHT_MAX = "holdfast_requests_in_flight_max_bytes", Gauge, [],
        "The limit on them (memory.in_flight).";
    LANE_AGE = "holdfast_lane_status_age_seconds", Gauge, [],
        "Age of the lane's numbers on this page; above 2 the lane does not turn.";
    LANE_TURNS = "holdfast_lane_turns_total", Counter, [],
        "Turns of the lane's loop.";
    OPEN_CALLS = "holdfast_lane_open_calls", Gauge, [],
        "Calls the lane has not answered yet, without fetches that wait.";
    PARKED = "holdfast_lane_parked_fetches", Gauge, [],
        "Fetches that wait for records.";
    TAIL_CACHE = "holdfast_tail_cache_bytes", Gauge, [],
        "Newest records in memory.";
    TAIL_CACHE_MAX = "holdfast_tail_cache_max_bytes", Gauge, [],
        "The limit on them (memory.tail_cache).";
    INDEXED = "holdfast_indexed_batches", Gauge, [],
        "Batches in the index of the write-ahead log.";
    WAL_CAPACITY = "holdfast_wal_capacity_bytes", Gauge, [],
        "Size of the write-ahead log (wal.size).";
    WAL_LIVE = "holdfast_wal_live_bytes", Gauge, [],
        "Bytes of the write-ahead log that are in use.";
    WAL_FREE = "holdfast_wal_free_bytes", Gauge, [],
        "Bytes that can still be written before it is full.";
    WAL_SEGMENTS = "holdfast_wal_segments", Gauge, [],
        "Segments of the write-ahead log, the open one included.";
    WAL_SPARES = "holdfast_wal_spare_segments", Gauge, [],
        "Segments zeroed ahead.";
    WAL_ERASED = "holdfast_wal_files_erased_total", Counter, [],
        "Files of the write-ahead log overwritten with zeros since the start, for what was deleted.";
    WAL_DEVICE_FULL = "holdfast_wal_device_full", Gauge, [],
        "1 if the device had no room for the next segment.";
    WAL_IN_FLIGHT = "holdfast_wal_frames_in_flight", Gauge, [],
        "Frames written and not yet durable.";
    WAL_FLUSHES = "holdfast_wal_flushes_total", Counter, [],
        "Durable writes to the device.";
    WAL_FRAMES = "holdfast_wal_frames_total", Counter, [],
        "Frames (group commits) written.";
    WAL_WRITTEN = "holdfast_wal_written_bytes_total", Counter, [],
        "Bytes of these frames.";
    WAL_WRITE = "holdfast_wal_write_seconds_total", Counter, [],
        "Time frames took from their way to the device until they were durable, added up; by \
         holdfast_wal_frames_total it is the mean.";
    WAL_OLDEST_WRITE = "holdfast_wal_oldest_write_seconds", Gauge, [],
        "How long the oldest write to the device that is not done is under way; 0 where there is none.";
    WAL_SCRUBBED = "holdfast_wal_scrubbed_bytes_total", Counter, [],
        "Bytes of sealed segments read again to know that they are what was written.";
    WAL_DAMAGED = "holdfast_wal_damaged_frames_total", Counter, [],
        "Frames and seals that were not; /status names their records.";
    STORE_WAITING = "holdfast_store_waiting_bytes", Gauge, [],
        "Bytes of committed records that are in no object yet.";
    STORE_AGE = "holdfast_store_last_success_age_seconds", Gauge, [],
        "Time since the object store last did what it was asked, or since the start; 0 without a store. \
         It grows while nobody asks.";
    STORE_FAILING = "holdfast_store_failing", Gauge, [],
        "1 if the last request to the object store failed; /status says why.";
    STORE_LOG_LASTS = "holdfast_store_log_lasts_seconds", Gauge, [],
        "How long the write-ahead log lasts at the pace of the last minute, were nothing to leave it; a \
         year at most, also where nobody writes or there is no store.";
    STORE_FAILURES = "holdfast_store_failures_total", Counter, ["work"],
        "Attempts that failed, by what was to be done; all are tried again.";
    STORE_UPLOADS = "holdfast_store_uploads_total", Counter, [],
        "Objects written and read back.";
    STORE_UPLOADED = "holdfast_store_uploaded_bytes_total", Counter, [],
        "Bytes of these objects.";
    STORE_GIVEN_UP = "holdfast_store_uploads_given_up_total", Counter, [],
        "Objects that were not written, because the write-ahead log could not be read for them.";
    STORE_MERGES = "holdfast_store_merges_total", Counter, [],
        "Objects made of others, so that a partition lies in few, and what was deleted in none.";
    STORE_MERGED = "holdfast_store_merged_bytes_total", Counter, [],
        "Bytes of these objects.";
    STORE_MERGES_GIVEN_UP = "holdfast_store_merges_given_up_total", Counter, [],
        "Merges that ended because an object was damaged, or gone; the journal names it.";
    STORE_CHECKS = "holdfast_store_checks_total", Counter, [],
        "Objects read whole to know that they are what was written.";
    STORE_CHECKED = "holdfast_store_checked_bytes_total", Counter, [],
        "Bytes of these objects.";
    STORE_REPAIRS = "holdfast_store_repairs_total", Counter, [],
        "Objects that were wrong and were made again from the write-ahead log.";
    STORE_WRONG_OBJECTS = "holdfast_store_wrong_objects", Gauge, [],
        "Objects that are not what was written, of shards led here, and not made again yet, or never; \
         /status names their records.";
    STORE_DELETIONS = "holdfast_store_deletions_total", Counter, [],
        "Objects deleted, since all their records were.";
    STORE_CHECKPOINTS = "holdfast_store_checkpoints_total", Counter, [],
        "States of shards kept whole in the store.";
    STORE_READS = "holdfast_store_reads_total", Counter, [],
        "Ranged reads for consumers, those ahead of them included.";
    STORE_READ = "holdfast_store_read_bytes_total", Counter, [],
        "Bytes these brought.";
    STORE_WRONG = "holdfast_store_wrong_reads_total", Counter, [],
        "Reads that brought other bytes than were written: none of them was handed on. Above 0 something \
         is wrong with the store or the way to it.";
    STORE_BLOCKS = "holdfast_store_blocks_total", Counter, ["from"],
        "Blocks of objects that consumers needed: from the cache or from the store.";
    STORE_CACHE = "holdfast_store_cache_bytes", Gauge, [],
        "Memory taken by blocks and footers of objects.";
    STORE_CACHE_MAX = "holdfast_store_cache_max_bytes", Gauge, [],
        "The limit on it (store.cache).";
    STATE_FAILING = "holdfast_state_failing", Gauge, [],
        "1 while states of shards are not kept beside the log, so that it is not trimmed; /status says \
         why.";
    STATE_FAILURES = "holdfast_state_failures_total", Counter, [],
        "Writes, flushes and openings of the store of states that failed.";
    STATE_REBUILDS = "holdfast_state_rebuilds_total", Counter, [],
        "Times the store of states was damaged, moved aside and begun anew.";
    STATE_WRITES = "holdfast_state_writes_total", Counter, [],
        "Batches of changed rows written, each of one shard with the entry it reflects.";
    STATE_WRITTEN = "holdfast_state_written_bytes_total", Counter, [],
        "Bytes of these rows.";
    STATE_FLUSHES = "holdfast_state_flushes_total", Counter, [],
        "Times everything written was made durable.";
    TOPICS = "holdfast_topics", Gauge, [],
        "Topics of the cluster.";
    PARTITIONS = "holdfast_partitions", Gauge, [],
        "Partitions of the cluster.";
    NODES = "holdfast_nodes", Gauge, [],
        "Nodes of the cluster.";
    SHARDS = "holdfast_shards", Gauge, ["role"],
        "Replicas of shards on this node, by role; quarantined ones serve nobody.";
    SHARD_TERM = "holdfast_shard_term", Gauge, ["shard"],
        "Raft term of each shard.";
    SHARD_APPLIED = "holdfast_shard_applied_index", Gauge, ["shard"],
        "Newest applied entry of each shard.";
    SHARD_COMMITTED = "holdfast_shard_committed_index", Gauge, ["shard"],
        "Newest committed entry of each shard.";
    RELOADS = "holdfast_config_reloads_total", Counter, ["result"],
        "Times the configuration was read again: applied, or refused because something was wrong.";
    PROCESS_CPU = "process_cpu_seconds_total", Counter, [],
        "Processor time of the node.";
    PROCESS_RSS = "process_resident_memory_bytes", Gauge, [],
        "Memory of the node.";
    PROCESS_FDS = "process_open_fds", Gauge, [],
        "Descriptors in use.";
    PROCESS_FDS_MAX = "process_max_fds", Gauge, [],
        "The limit on them (LimitNOFILE=).";
    PROCESS_START = "process_start_time_seconds", Gauge, [],
        "When the node started, as Unix time.";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_prometheus_rules() {
        let mut names: Vec<&str> = METRICS.iter().map(|metric| metric.name).collect();
        for metric in METRICS {
            let name = metric.name;
            assert!(name.starts_with("holdfast_") || name.starts_with("process_"), "{name}");
            assert_eq!(name.ends_with("_total"), metric.kind == Type::Counter, "{name}");
            assert!(name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'), "{name}");
            assert!(!name.contains("_ms") && !name.contains("_kb"), "{name}: base units");
            assert!(metric.help.ends_with('.'), "{name}");
        }
        names.sort_unstable();
        assert!(names.windows(2).all(|pair| pair[0] != pair[1]), "a name is used twice");
    }
}
