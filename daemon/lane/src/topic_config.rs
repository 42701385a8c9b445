//! A topic's configuration, as text in the image, becomes a partition's, as numbers in an entry.

use holdfast_batch::TimestampType;
use holdfast_log::{CleanupPolicy, PartitionConfig};
use holdfast_metadata::{Image, Topic, TopicSettings};

/// What the data shard needs of a topic's configuration; the rest is the broker's.
pub(crate) fn partition_config(image: &Image, topic: &Topic) -> PartitionConfig {
    let settings = TopicSettings::of_topic(image, topic);
    let timestamp_type = if settings.log_append_time {
        TimestampType::LogAppendTime
    } else {
        TimestampType::CreateTime
    };
    let cleanup_policy = match (settings.compacts, settings.deletes) {
        (true, true) => CleanupPolicy::CompactAndDelete,
        (true, false) => CleanupPolicy::Compact,
        (false, _) => CleanupPolicy::Delete,
    };
    let config = PartitionConfig {
        max_message_bytes: settings.max_message_bytes,
        timestamp_type,
        cleanup_policy,
        timestamp_before_max_ms: settings.timestamp_before_max_ms,
        timestamp_after_max_ms: settings.timestamp_after_max_ms,
        retention_ms: settings.retention_ms,
        retention_bytes: settings.retention_bytes,
        segment_bytes: settings.segment_bytes,
        segment_ms: settings.segment_ms,
    };
    // Shard 0 checked the values under its own rules; a number the shard would refuse at apply
    // must not reach it.
    if config.check().is_ok() { config } else { PartitionConfig::default() }
}
