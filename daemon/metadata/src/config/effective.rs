//! What holds for a topic, a group or a node, and what the other rooms read of it, parsed once.

use super::describe::NodeFacts;
use super::table::Setting;
use super::{broker_config, group_config, topic_config};
use crate::decide::PARTITIONS_PER_TOPIC_MAX;
use crate::image::{ConfigResource, Image, Topic};
use crate::placement::default_replication_factor;

/// What holds for a topic: its own value, that of every node, or the default. `None` for a name
/// nobody knows.
#[must_use]
pub fn effective_config<'a>(image: &'a Image, topic: &'a Topic, name: &str) -> Option<&'a str> {
    let setting = topic_config(name)?;
    topic.configs.get(name).map(String::as_str).or_else(|| inherited_default(image, setting))
}

/// What holds for a group: its own value, or that of this node.
#[must_use]
pub fn effective_group_config<'a>(
    image: &'a Image,
    facts: &'a NodeFacts,
    group: &str,
    name: &str,
) -> Option<&'a str> {
    let setting = group_config(name)?;
    let own = image.configs.get(&ConfigResource::Group(group.to_owned()));
    let own = own.and_then(|configs| configs.get(name)).map(String::as_str);
    let of_node = || {
        let synonyms = setting.synonyms.iter();
        synonyms.filter_map(|synonym| node_value(image, facts, synonym)).next()
    };
    own.or_else(of_node).or(setting.default)
}

/// What holds where a topic (or any other resource) sets nothing itself.
pub(crate) fn inherited_default<'a>(image: &'a Image, setting: &Setting) -> Option<&'a str> {
    let every = image.configs.get(&ConfigResource::EveryBroker);
    every
        .and_then(|configs| setting.synonyms.iter().find_map(|name| configs.get(*name)))
        .map(String::as_str)
        .or(setting.default)
}

/// What holds for a node's setting that it does not set itself.
pub(crate) fn broker_default<'a>(image: &'a Image, setting: &Setting) -> Option<&'a str> {
    let every = image.configs.get(&ConfigResource::EveryBroker);
    let set = every.and_then(|configs| configs.get(setting.name)).map(String::as_str);
    set.or(setting.default)
}

/// What holds for a node's setting of that very name.
pub(crate) fn node_value<'a>(
    image: &'a Image,
    facts: &'a NodeFacts,
    name: &str,
) -> Option<&'a str> {
    let of = |resource: &ConfigResource| image.configs.get(resource)?.get(name);
    of(&ConfigResource::Broker(facts.node))
        .or_else(|| of(&ConfigResource::EveryBroker))
        .or_else(|| facts.values.get(name))
        .map(String::as_str)
        .or_else(|| broker_config(name)?.default)
}

/// What is used when a batch is decided, parsed once. Built from the image whenever a topic or every
/// node's configuration changes.
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
    /// The settings of a topic, with what it inherits from every node's configuration.
    #[must_use]
    pub fn of_topic(image: &Image, topic: &Topic) -> Self {
        let read = Reading { image, topic };
        let BatchSettings { max_message_bytes, compacts } = BatchSettings::of_topic(image, topic);
        TopicSettings {
            max_message_bytes,
            log_append_time: read.text("message.timestamp.type") == "LogAppendTime",
            timestamp_before_max_ms: read.number("message.timestamp.before.max.ms"),
            timestamp_after_max_ms: read.number("message.timestamp.after.max.ms"),
            compacts,
            deletes: read.has_policy("delete"),
            retention_ms: read.number("retention.ms"),
            retention_bytes: read.number("retention.bytes"),
            segment_bytes: read.unsigned("segment.bytes"),
            segment_ms: read.number("segment.ms"),
        }
    }
}

/// What a connection needs to check one batch: read for each, so no more than that.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BatchSettings {
    /// `max.message.bytes`.
    pub max_message_bytes: u32,
    /// `cleanup.policy` holds `compact`: records without a key are refused.
    pub compacts: bool,
}

impl BatchSettings {
    /// Those of a topic, with what it inherits from every node's configuration.
    #[must_use]
    pub fn of_topic(image: &Image, topic: &Topic) -> Self {
        let read = Reading { image, topic };
        BatchSettings {
            max_message_bytes: read.unsigned("max.message.bytes"),
            compacts: read.has_policy("compact"),
        }
    }
}

/// A topic's values as they are used. One was valid when it was decided; should this version not
/// read it, the default is the safe reading: settings steer decisions, never apply.
#[derive(Clone, Copy)]
struct Reading<'a> {
    image: &'a Image,
    topic: &'a Topic,
}

impl<'a> Reading<'a> {
    fn text(self, name: &str) -> &'a str {
        effective_config(self.image, self.topic, name).unwrap_or_default().trim()
    }

    fn number(self, name: &str) -> i64 {
        let default = || topic_config(name).and_then(|setting| setting.default);
        let parsed = self.text(name).parse();
        parsed.or_else(|_| default().unwrap_or_default().parse()).unwrap_or_default()
    }

    fn unsigned(self, name: &str) -> u32 {
        u32::try_from(self.number(name)).unwrap_or_default()
    }

    fn has_policy(self, policy: &str) -> bool {
        self.text("cleanup.policy").split(',').any(|word| word.trim() == policy)
    }
}

/// What a node's lane and broker read of its settings, parsed once: again whenever the image's
/// `configs` change.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BrokerSettings {
    /// `num.partitions`: of a topic whose creator does not say.
    pub default_partitions: i32,
    /// `default.replication.factor`: of a topic whose creator does not say.
    pub default_replication_factor: u16,
    /// `auto.create.topics.enable`.
    pub auto_create_topics: bool,
    /// `delete.topic.enable`.
    pub delete_topics: bool,
    /// `message.max.bytes`, the default of topics' `max.message.bytes`.
    pub message_bytes_max: u32,
    /// `fetch.max.bytes`.
    pub fetch_bytes_max: u32,
    /// `max.incremental.fetch.session.cache.slots`.
    pub fetch_sessions_max: u32,
    /// `max.request.partition.size.limit`.
    pub described_partitions_max: u32,
    /// `socket.request.max.bytes`.
    pub request_bytes_max: u32,
    /// `connections.max.idle.ms`; negative is without bound.
    pub connection_idle_ms_max: i64,
    /// `max.connections`.
    pub connections_max: u32,
    /// `max.connections.per.ip`.
    pub connections_per_ip_max: u32,
    /// `group.initial.rebalance.delay.ms`.
    pub group_initial_rebalance_delay_ms: u32,
    /// `group.min.session.timeout.ms`.
    pub group_session_timeout_ms_min: i32,
    /// `group.max.session.timeout.ms`.
    pub group_session_timeout_ms_max: i32,
    /// `group.max.size`.
    pub group_members_max: u32,
    /// `offsets.retention.minutes`, in ms.
    pub offsets_retention_ms: i64,
    /// `offsets.retention.check.interval.ms`.
    pub offsets_retention_check_interval_ms: i64,
    /// `offset.metadata.max.bytes`.
    pub offset_metadata_bytes_max: u32,
    /// `log.retention.check.interval.ms`.
    pub retention_check_interval_ms: i64,
    /// `producer.id.expiration.ms`.
    pub producer_id_expiration_ms: i64,
    /// `transaction.max.timeout.ms`.
    pub transaction_timeout_ms_max: i32,
}

impl BrokerSettings {
    /// What holds for the node that `facts` is about.
    #[must_use]
    pub fn of(image: &Image, facts: &NodeFacts) -> Self {
        // As in `TopicSettings`: what cannot be read is the default.
        let number = |name: &str| -> i64 {
            let value = node_value(image, facts, name).and_then(|value| value.trim().parse().ok());
            let default = || broker_config(name)?.default?.parse().ok();
            value.or_else(default).unwrap_or_default()
        };
        let unsigned = |name: &str| u32::try_from(number(name).max(0)).unwrap_or(u32::MAX);
        let int = |name: &str| i32::try_from(number(name)).unwrap_or(i32::MAX);
        let flag = |name: &str| {
            node_value(image, facts, name).is_some_and(|value| value.eq_ignore_ascii_case("true"))
        };
        let factor = facts.values.get("default.replication.factor");
        let factor = factor.and_then(|value| value.trim().parse().ok()).filter(|value| *value > 0);
        BrokerSettings {
            default_partitions: int("num.partitions").clamp(1, PARTITIONS_PER_TOPIC_MAX),
            default_replication_factor: factor
                .unwrap_or_else(|| default_replication_factor(image.nodes.len())),
            auto_create_topics: flag("auto.create.topics.enable"),
            delete_topics: flag("delete.topic.enable"),
            message_bytes_max: unsigned("message.max.bytes"),
            fetch_bytes_max: unsigned("fetch.max.bytes"),
            fetch_sessions_max: unsigned("max.incremental.fetch.session.cache.slots"),
            described_partitions_max: unsigned("max.request.partition.size.limit"),
            request_bytes_max: unsigned("socket.request.max.bytes"),
            connection_idle_ms_max: number("connections.max.idle.ms"),
            connections_max: unsigned("max.connections"),
            connections_per_ip_max: unsigned("max.connections.per.ip"),
            group_initial_rebalance_delay_ms: unsigned("group.initial.rebalance.delay.ms"),
            group_session_timeout_ms_min: int("group.min.session.timeout.ms"),
            group_session_timeout_ms_max: int("group.max.session.timeout.ms"),
            group_members_max: unsigned("group.max.size"),
            offsets_retention_ms: number("offsets.retention.minutes").saturating_mul(60_000),
            offsets_retention_check_interval_ms: number("offsets.retention.check.interval.ms"),
            offset_metadata_bytes_max: unsigned("offset.metadata.max.bytes"),
            retention_check_interval_ms: number("log.retention.check.interval.ms"),
            producer_id_expiration_ms: number("producer.id.expiration.ms"),
            transaction_timeout_ms_max: int("transaction.max.timeout.ms"),
        }
    }
}
