//! The table `[kafka]`: Kafka's broker settings under Kafka's names, judged by the registry that
//! DescribeConfigs shows.

use super::nearest::nearest;
use super::{Given, Source};
use crate::report::{Code, Report};
use holdfast_metadata::{BROKER_CONFIGS, Effect, Setting, UpdateMode, broker_config, topic_config};

/// Shown to clients from settings of our own, which decide.
const OWNED: &[(&str, &str)] = &[
    ("advertised.listeners", "listener.advertise"),
    ("broker.id", "the identity in data.directory"),
    ("listeners", "listener.address"),
    ("log.dir", "data.directory"),
    ("log.dirs", "data.directory"),
    ("node.id", "the identity in data.directory"),
    ("process.roles", "the node itself, which has both roles"),
];

/// What connections and the broker read, and what Kafka lets change while nodes run of what the
/// lane reads. Its other settings (groups, offsets) are read-only in Kafka: a node keeps those it
/// started with.
const RELOADED: &[&str] = &[
    "auto.create.topics.enable",
    "connections.max.idle.ms",
    "fetch.max.bytes",
    "max.connections",
    "max.connections.per.ip",
    "num.partitions",
    "producer.id.expiration.ms",
];

/// Whether a change takes hold at SIGHUP.
pub(crate) fn is_reloaded(name: &str) -> bool {
    RELOADED.contains(&name)
}

/// The setting and its value as it is kept.
pub(crate) fn check(name: &str, given: &Given) -> Result<(&'static Setting, String), Report> {
    let Some(setting) = broker_config(name) else { return Err(unknown(name, &given.source)) };
    if let Some((_, owner)) = OWNED.iter().find(|(owned, _)| *owned == name) {
        return Err(Report::new(
            Code::SettingInvalid,
            format!("kafka.{name} at {} cannot be set", given.source),
            "clients are shown it from what the node really does",
            format!("leave it out; it follows {owner}"),
        ));
    }
    let value = given.text.trim();
    if !setting.valid.accepts(value) {
        let shown = if setting.is_sensitive() { "what it was set to" } else { value };
        return Err(Report::new(
            Code::SettingInvalid,
            format!("kafka.{name} at {} cannot be {shown:?}", given.source),
            setting.documentation,
            format!("give {}", setting.valid.describe()),
        ));
    }
    Ok((setting, value.to_owned()))
}

/// What an operator should know who set it all the same.
pub(crate) fn remark(setting: &Setting) -> Option<String> {
    let without = |why: &str| format!("kafka.{} has no effect here: {why}", setting.name);
    match setting.effect {
        Effect::Never(reason) => Some(without(reason)),
        Effect::Later => Some(without("that part is still to come")),
        // Topics must be the same whoever leads them, so one node's file cannot be their default.
        Effect::TopicDefault => Some(without(
            "topics take their defaults from the cluster; set it for all brokers, e.g. \
             `kafka-configs.sh --entity-type brokers --entity-default --alter`",
        )),
        Effect::AtProduce | Effect::Used | Effect::Shown => None,
    }
}

/// Whether clients could change it while nodes run.
pub(crate) fn is_read_only(setting: &Setting) -> bool {
    setting.update == UpdateMode::ReadOnly
}

fn unknown(name: &str, source: &Source) -> Report {
    let why = if let Some(topic) = topic_config(name) {
        match topic.synonyms.first() {
            Some(broker) => format!("it is a setting of topics; a broker's is {broker}"),
            None => "it is a setting of topics, and a broker has none like it".to_owned(),
        }
    } else {
        match nearest(name, BROKER_CONFIGS.iter().map(|setting| setting.name)) {
            Some(meant) => format!("did you mean {meant}?"),
            None => "no broker setting of Kafka 4.3 has that name".to_owned(),
        }
    };
    Report::new(
        Code::SettingUnknown,
        format!("kafka.{name} at {source} is no setting"),
        why,
        "correct or remove it; packaging/docs/kafka-settings.md names them all",
    )
}
