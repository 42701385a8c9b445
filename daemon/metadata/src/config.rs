//! Topic configurations: one declaration each, all that Kafka 4.3 knows, so that the tools which
//! send every one of them (MirrorMaker 2, Terraform, Strimzi) are served.
//!
//! Values are checked when a command is decided and never in apply: a later version may know
//! other values, and apply must come out the same on every replica. What has no effect here says
//! so in its declaration; it is stored and shown all the same.

use std::collections::BTreeMap;

use crate::image::Topic;
use crate::refusal::{Reason, Refusal};

/// A value longer than this is refused: the longest sensible ones are lists of throttled replicas.
const VALUE_BYTES_MAX: usize = 8192;

/// Which values a configuration takes.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum ValidValues {
    /// One of these words.
    OneOf(&'static [&'static str]),
    /// Some of these words, comma-separated, each once.
    SomeOf(&'static [&'static str]),
    /// A whole number, bounds included.
    Integer(i64, i64),
    /// A whole number, bounds included, or -1 for the codec's own default.
    IntegerOrMinusOne(i64, i64),
    /// A number between 0 and 1.
    Fraction,
    /// `true` or `false`.
    Boolean,
    /// Empty, `*`, or `partition:node` pairs, comma-separated.
    ThrottledReplicas,
}

/// What setting it does here.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Effect {
    /// Meant to be used when a batch is decided, by whoever leads the partition.
    AtProduce,
    /// Stored and shown; will have Kafka's meaning once the part it steers exists.
    Later,
    /// Stored and shown; the design makes it meaningless, for this reason.
    Never(&'static str),
}

/// The declaration of a topic configuration.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct TopicConfig {
    /// Kafka's name.
    pub name: &'static str,
    /// What holds when it is not set.
    pub default: &'static str,
    /// What it may be set to.
    pub valid: ValidValues,
    /// What that does.
    pub effect: Effect,
}

const I32: i64 = i32::MAX as i64;
const I64: i64 = i64::MAX;
const I64_TEXT: &str = "9223372036854775807";
const FLUSHED: Effect = Effect::Never("every acknowledged record is flushed already");
const NO_INDEX_FILES: Effect = Effect::Never("there are no segment and index files");
const NO_THROTTLE: Effect = Effect::Never("replication is not throttled by partition");
const ALWAYS_UPLOADED: Effect = Effect::Never("history is always kept in the object store");

macro_rules! configs {
    ($($name:literal = $default:expr, $valid:expr, $effect:expr;)*) => {
        /// All of them, sorted by name.
        pub const TOPIC_CONFIGS: &[TopicConfig] = &[$(TopicConfig {
            name: $name, default: $default, valid: $valid, effect: $effect,
        }),*];
    };
}

use Effect::{AtProduce, Later};
use ValidValues::{
    Boolean, Fraction, Integer, IntegerOrMinusOne, OneOf, SomeOf, ThrottledReplicas,
};

const CODECS: &[&str] = &["gzip", "lz4", "producer", "snappy", "uncompressed", "zstd"];

configs! {
    "cleanup.policy" = "delete", SomeOf(&["compact", "delete"]), AtProduce;
    "compression.gzip.level" = "-1", IntegerOrMinusOne(1, 9), Later;
    "compression.lz4.level" = "9", Integer(1, 17), Later;
    "compression.type" = "producer", OneOf(CODECS), Later;
    "compression.zstd.level" = "3", Integer(-131_072, 22), Later;
    "delete.retention.ms" = "86400000", Integer(0, I64), Later;
    "file.delete.delay.ms" = "60000", Integer(0, I64), NO_INDEX_FILES;
    "flush.messages" = I64_TEXT, Integer(1, I64), FLUSHED;
    "flush.ms" = I64_TEXT, Integer(0, I64), FLUSHED;
    "follower.replication.throttled.replicas" = "", ThrottledReplicas, NO_THROTTLE;
    "index.interval.bytes" = "4096", Integer(0, I32), NO_INDEX_FILES;
    "leader.replication.throttled.replicas" = "", ThrottledReplicas, NO_THROTTLE;
    "local.retention.bytes" = "-2", Integer(-2, I64), Later;
    "local.retention.ms" = "-2", Integer(-2, I64), Later;
    "max.compaction.lag.ms" = I64_TEXT, Integer(1, I64), Later;
    "max.message.bytes" = "1048588", Integer(0, I32), AtProduce;
    "message.timestamp.after.max.ms" = "3600000", Integer(0, I64), AtProduce;
    "message.timestamp.before.max.ms" = I64_TEXT, Integer(0, I64), AtProduce;
    "message.timestamp.type" = "CreateTime", OneOf(&["CreateTime", "LogAppendTime"]), AtProduce;
    "min.cleanable.dirty.ratio" = "0.5", Fraction, Later;
    "min.compaction.lag.ms" = "0", Integer(0, I64), Later;
    "min.insync.replicas" = "1", Integer(1, I32), Later;
    "preallocate" = "false", Boolean, NO_INDEX_FILES;
    "remote.copy.lag.bytes" = "0", Integer(-1, I64), ALWAYS_UPLOADED;
    "remote.copy.lag.ms" = "0", Integer(-1, I64), ALWAYS_UPLOADED;
    "remote.log.copy.disable" = "false", Boolean, ALWAYS_UPLOADED;
    "remote.log.delete.on.disable" = "false", Boolean, ALWAYS_UPLOADED;
    "remote.storage.enable" = "false", Boolean, ALWAYS_UPLOADED;
    "retention.bytes" = "-1", Integer(i64::MIN, I64), Later;
    "retention.ms" = "604800000", Integer(-1, I64), Later;
    "segment.bytes" = "1073741824", Integer(1 << 20, I32), Later;
    "segment.index.bytes" = "10485760", Integer(4, I32), NO_INDEX_FILES;
    "segment.jitter.ms" = "0", Integer(0, I64), Later;
    "segment.ms" = "604800000", Integer(1, I64), Later;
    "unclean.leader.election.enable" = "false", Boolean,
        Effect::Never("a shard is recovered by force only by `holdfast cluster recover`");
}

/// The declaration of that name.
#[must_use]
pub fn topic_config(name: &str) -> Option<&'static TopicConfig> {
    let place = TOPIC_CONFIGS.binary_search_by(|config| config.name.cmp(name)).ok()?;
    Some(&TOPIC_CONFIGS[place])
}

/// What holds for a topic: its own value or the default. `None` for a name nobody knows.
#[must_use]
pub fn effective_config<'a>(topic: &'a Topic, name: &str) -> Option<&'a str> {
    match topic.configs.get(name) {
        Some(value) => Some(value),
        None => topic_config(name).map(|config| config.default),
    }
}

/// What is used at every batch, parsed once. Built from the image whenever a topic changes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TopicSettings {
    /// `max.message.bytes`.
    pub max_message_bytes: u32,
    /// `message.timestamp.type` is LogAppendTime.
    pub log_append_time: bool,
    /// `message.timestamp.before.max.ms`.
    pub timestamp_before_max_ms: i64,
    /// `message.timestamp.after.max.ms`.
    pub timestamp_after_max_ms: i64,
    /// `cleanup.policy` holds `compact`: records without a key are refused.
    pub compacts: bool,
    /// `cleanup.policy` holds `delete`: `retention.*` move `log_start`.
    pub deletes: bool,
    /// `retention.ms`; -1 is for ever.
    pub retention_ms: i64,
    /// `retention.bytes`; negative is without bound.
    pub retention_bytes: i64,
    /// `segment.bytes` of a virtual segment.
    pub segment_bytes: u32,
    /// `segment.ms` of a virtual segment.
    pub segment_ms: i64,
}

impl TopicSettings {
    /// The settings of a topic.
    #[must_use]
    pub fn of(topic: &Topic) -> Self {
        let text = |name: &str| effective_config(topic, name).unwrap_or_default().trim();
        let default = |name: &str| topic_config(name).map_or("", |config| config.default);
        // A stored value was valid when it was decided. Should this version not read it, the
        // default is the safe reading: settings steer decisions, never apply.
        let number = |name: &str| -> i64 {
            text(name).parse().or_else(|_| default(name).parse()).unwrap_or_default()
        };
        let unsigned = |name: &str| u32::try_from(number(name)).unwrap_or_default();
        let policies = text("cleanup.policy");
        let has = |policy: &str| policies.split(',').any(|word| word.trim() == policy);
        TopicSettings {
            max_message_bytes: unsigned("max.message.bytes"),
            log_append_time: text("message.timestamp.type") == "LogAppendTime",
            timestamp_before_max_ms: number("message.timestamp.before.max.ms"),
            timestamp_after_max_ms: number("message.timestamp.after.max.ms"),
            compacts: has("compact"),
            deletes: has("delete"),
            retention_ms: number("retention.ms"),
            retention_bytes: number("retention.bytes"),
            segment_bytes: unsigned("segment.bytes"),
            segment_ms: number("segment.ms"),
        }
    }
}

impl ValidValues {
    fn accepts(&self, value: &str) -> bool {
        let integer = |value: &str, min: i64, max: i64| {
            value.parse::<i64>().is_ok_and(|number| (min..=max).contains(&number))
        };
        match *self {
            OneOf(words) => words.contains(&value),
            SomeOf(words) => {
                let chosen: Vec<&str> = value.split(',').map(str::trim).collect();
                value.is_empty()
                    || chosen.iter().enumerate().all(|(place, word)| {
                        words.contains(word) && !chosen[..place].contains(word)
                    })
            }
            Integer(min, max) => integer(value, min, max),
            IntegerOrMinusOne(min, max) => value == "-1" || integer(value, min, max),
            Fraction => value.parse::<f64>().is_ok_and(|number| (0.0..=1.0).contains(&number)),
            Boolean => ["true", "false"].iter().any(|word| word.eq_ignore_ascii_case(value)),
            ThrottledReplicas => {
                let is_number = |text: &str| text.parse::<u32>().is_ok();
                let is_pair = |pair: &str| {
                    pair.trim().split_once(':').is_some_and(|(a, b)| is_number(a) && is_number(b))
                };
                value.is_empty() || value == "*" || value.split(',').all(is_pair)
            }
        }
    }

    fn describe(&self) -> String {
        match *self {
            OneOf(words) => format!("one of {}", words.join(", ")),
            SomeOf(words) => format!("a comma-separated list of {}, each once", words.join(", ")),
            Integer(i64::MIN, i64::MAX) => "a whole number".to_owned(),
            Integer(min, i64::MAX) => format!("a whole number, at least {min}"),
            Integer(min, max) => format!("a whole number from {min} to {max}"),
            IntegerOrMinusOne(min, max) => format!("-1 or a whole number from {min} to {max}"),
            Fraction => "a number from 0 to 1".to_owned(),
            Boolean => "true or false".to_owned(),
            ThrottledReplicas => "empty, *, or partition:node pairs, comma-separated".to_owned(),
        }
    }
}

/// Checks what a client sent and gives what is stored.
pub(crate) fn check_configs(
    sent: &[(String, Option<String>)],
) -> Result<BTreeMap<String, String>, Refusal> {
    let refuse = |why: String| Err(Refusal::new(Reason::InvalidConfig, why));
    let mut configs = BTreeMap::new();
    for (name, value) in sent {
        let Some(config) = topic_config(name) else {
            let names: Vec<&str> = TOPIC_CONFIGS.iter().map(|config| config.name).collect();
            return refuse(format!(
                "unknown topic configuration '{}'; the known ones are {}",
                crate::codec::cut(name, 249).escape_debug(),
                names.join(", ")
            ));
        };
        let Some(value) = value.as_deref().map(str::trim) else {
            return refuse(format!(
                "the topic configuration '{name}' has no value; leave it out to use {:?}, or give \
                 {}",
                config.default,
                config.valid.describe()
            ));
        };
        if value.len() > VALUE_BYTES_MAX || !config.valid.accepts(value) {
            return refuse(format!(
                "the topic configuration '{name}' may not be '{}'; give {}",
                crate::codec::cut(value, 249).escape_debug(),
                config.valid.describe()
            ));
        }
        if configs.insert(name.clone(), value.to_owned()).is_some() {
            return refuse(format!("the topic configuration '{name}' is given twice; give one"));
        }
    }
    let lag = |name: &str| -> i64 {
        let default = topic_config(name).map_or("0", |config| config.default);
        configs.get(name).map_or(default, String::as_str).parse().unwrap_or_default()
    };
    let (min, max) = (lag("min.compaction.lag.ms"), lag("max.compaction.lag.ms"));
    if min > max {
        return refuse(format!(
            "min.compaction.lag.ms ({min}) is greater than max.compaction.lag.ms ({max}); lower \
             the first or raise the second"
        ));
    }
    Ok(configs)
}
