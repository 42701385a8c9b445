//! The part of a topic's configuration that a partition's own shard needs, carried by entries.
//!
//! ```text
//! byte 0                4        5        6          14         22         30          38         42        50
//!      ┌────────────────┬────────┬────────┬──────────┬──────────┬──────────┬───────────┬──────────┬─────────┐
//!      │max message     │time-   │cleanup │timestamp │timestamp │retention │retention  │segment   │segment  │
//!      │bytes u32       │stamps  │bits u8 │before ms │after ms  │ms i64    │bytes i64  │bytes u32 │ms i64   │
//!      └────────────────┴────────┴────────┴──────────┴──────────┴──────────┴───────────┴──────────┴─────────┘
//! timestamps: 0 create time, 1 log append time.  cleanup: bit 0 delete, bit 1 compact.
//! ```
//!
//! A replica never reads shard 0's image in apply (`semantics.md` 7), so this is state of the
//! partition: it changes only by an entry.

use holdfast_batch::TimestampType;
use thiserror::Error;

use crate::reader::Reader;
use crate::refusal::BrokenInvariant;

/// Encoded length.
pub(crate) const CONFIG_BYTES: usize = 50;

/// What happens to old records.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CleanupPolicy {
    /// Retention by time and size.
    Delete,
    /// The last record of each key stays; no retention.
    Compact,
    /// Both.
    CompactAndDelete,
}

impl CleanupPolicy {
    /// Retention applies.
    #[must_use]
    pub fn deletes(self) -> bool {
        self != CleanupPolicy::Compact
    }

    /// Keys are required.
    #[must_use]
    pub fn compacts(self) -> bool {
        self != CleanupPolicy::Delete
    }
}

/// Names and units as in Kafka; `-1` is "no limit" where Kafka says so.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PartitionConfig {
    /// `max.message.bytes`: of a whole batch.
    pub max_message_bytes: u32,
    /// `message.timestamp.type`.
    pub timestamp_type: TimestampType,
    /// `cleanup.policy`.
    pub cleanup_policy: CleanupPolicy,
    /// `message.timestamp.before.max.ms`, at least 0.
    pub timestamp_before_max_ms: i64,
    /// `message.timestamp.after.max.ms`, at least 0.
    pub timestamp_after_max_ms: i64,
    /// `retention.ms`, -1 for ever.
    pub retention_ms: i64,
    /// `retention.bytes`, -1 without limit.
    pub retention_bytes: i64,
    /// `segment.bytes`, at least 1.
    pub segment_bytes: u32,
    /// `segment.ms`, at least 1.
    pub segment_ms: i64,
}

impl Default for PartitionConfig {
    /// Kafka's defaults.
    fn default() -> Self {
        PartitionConfig {
            max_message_bytes: 1_048_588,
            timestamp_type: TimestampType::CreateTime,
            cleanup_policy: CleanupPolicy::Delete,
            timestamp_before_max_ms: i64::MAX,
            timestamp_after_max_ms: 3_600_000,
            retention_ms: 604_800_000,
            retention_bytes: -1,
            segment_bytes: 1 << 30,
            segment_ms: 604_800_000,
        }
    }
}

/// A value Kafka would not take either.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
#[error("{name} is {value}; it must be {must}")]
pub struct ConfigError {
    /// Kafka's name of the setting.
    pub name: &'static str,
    /// As given.
    pub value: i64,
    /// The rule.
    pub must: &'static str,
}

impl PartitionConfig {
    /// Every number lies where the rest of this crate expects it.
    ///
    /// # Errors
    /// The first setting that does not.
    pub fn check(&self) -> Result<(), ConfigError> {
        let rules = [
            ("message.timestamp.before.max.ms", self.timestamp_before_max_ms, 0, "at least 0"),
            ("message.timestamp.after.max.ms", self.timestamp_after_max_ms, 0, "at least 0"),
            ("retention.ms", self.retention_ms, -1, "-1 or more"),
            ("retention.bytes", self.retention_bytes, -1, "-1 or more"),
            ("segment.bytes", i64::from(self.segment_bytes), 1, "at least 1"),
            ("segment.ms", self.segment_ms, 1, "at least 1"),
        ];
        for (name, value, least, must) in rules {
            if value < least {
                return Err(ConfigError { name, value, must });
            }
        }
        Ok(())
    }

    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.max_message_bytes.to_le_bytes());
        out.push(match self.timestamp_type {
            TimestampType::CreateTime => 0,
            TimestampType::LogAppendTime => 1,
        });
        out.push(match self.cleanup_policy {
            CleanupPolicy::Delete => 1,
            CleanupPolicy::Compact => 2,
            CleanupPolicy::CompactAndDelete => 3,
        });
        out.extend_from_slice(&self.timestamp_before_max_ms.to_le_bytes());
        out.extend_from_slice(&self.timestamp_after_max_ms.to_le_bytes());
        out.extend_from_slice(&self.retention_ms.to_le_bytes());
        out.extend_from_slice(&self.retention_bytes.to_le_bytes());
        out.extend_from_slice(&self.segment_bytes.to_le_bytes());
        out.extend_from_slice(&self.segment_ms.to_le_bytes());
    }

    pub(crate) fn decode(reader: &mut Reader<'_>) -> Result<Self, BrokenInvariant> {
        let config = PartitionConfig {
            max_message_bytes: reader.u32()?,
            timestamp_type: match reader.u8()? {
                0 => TimestampType::CreateTime,
                1 => TimestampType::LogAppendTime,
                other => {
                    return Err(BrokenInvariant::new(format!(
                        "timestamp type {other} in a config"
                    )));
                }
            },
            cleanup_policy: match reader.u8()? {
                1 => CleanupPolicy::Delete,
                2 => CleanupPolicy::Compact,
                3 => CleanupPolicy::CompactAndDelete,
                other => {
                    return Err(BrokenInvariant::new(format!(
                        "cleanup policy {other} in a config"
                    )));
                }
            },
            timestamp_before_max_ms: reader.i64()?,
            timestamp_after_max_ms: reader.i64()?,
            retention_ms: reader.i64()?,
            retention_bytes: reader.i64()?,
            segment_bytes: reader.u32()?,
            segment_ms: reader.i64()?,
        };
        config.check().map_err(|error| BrokenInvariant::new(error.to_string()))?;
        Ok(config)
    }
}
