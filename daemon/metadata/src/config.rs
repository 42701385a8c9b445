//! Configuration: every setting of topics, nodes and groups that Kafka 4.3 knows, each declared
//! once, so that tools which send or read all of them (MirrorMaker 2, Terraform, Strimzi, Connect)
//! are served.
//!
//! ```text
//! topic's value    its own ─▶ every node's (cluster-wide, by the synonym's name) ─▶ default
//! node's value     its own ─▶ every node's ─▶ the node's static configuration    ─▶ default
//! group's value    its own ─▶ the node's value of the synonym                    ─▶ default
//! ```
//!
//! A node's *static* values are no defaults of topics: nodes may differ, and a topic must be the
//! same whoever leads it. For the same reason a topic's default is not set for one node alone.
//!
//! Values are checked when a command is decided and never in apply: a later version may know
//! other values, and apply must come out the same on every replica. What has no effect here says
//! so in its declaration; it is stored and shown all the same.

use std::collections::BTreeMap;
use std::sync::LazyLock;

#[macro_use]
mod table;

mod broker_clients;
mod broker_cluster;
mod broker_groups;
mod broker_log;
mod broker_remote;
mod broker_security;
mod broker_transactions;
mod check;
mod describe;
mod effective;
mod group;
mod topic;

pub(crate) use check::{
    VALUE_BYTES_MAX, check_new_topic_configs, check_together, check_value, unknown_setting,
};
pub use describe::{ConfigSource, ConfigSynonym, Described, NodeFacts, describe};
pub use effective::{
    BatchSettings, BrokerSettings, TopicSettings, effective_config, effective_group_config,
};
pub(crate) use effective::{broker_default, inherited_default};
pub use group::GROUP_CONFIGS;
pub use table::{ConfigType, Effect, Setting, UpdateMode, ValidValues};
pub use topic::TOPIC_CONFIGS;

use crate::image::ConfigResource;

/// The declaration of a topic's configuration.
pub type TopicConfig = Setting;

/// All settings of nodes, sorted by name. Their files are by theme.
pub static BROKER_CONFIGS: LazyLock<Vec<Setting>> = LazyLock::new(|| {
    let themes = [
        broker_clients::CLIENTS,
        broker_cluster::CLUSTER,
        broker_groups::GROUPS,
        broker_log::LOG,
        broker_remote::REMOTE,
        broker_security::SECURITY,
        broker_transactions::TRANSACTIONS,
    ];
    let mut all = themes.concat();
    all.sort_unstable_by_key(|setting| setting.name);
    all
});

/// Names of nodes' settings that are defaults of topics.
static TOPIC_DEFAULTS: LazyLock<Vec<&'static str>> = LazyLock::new(|| {
    let mut names: Vec<&str> =
        TOPIC_CONFIGS.iter().flat_map(|topic| topic.synonyms).copied().collect();
    names.sort_unstable();
    names
});

/// Which settings a resource has.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Table {
    Topic,
    Broker,
    Group,
}

impl Table {
    pub(crate) fn of(resource: &ConfigResource) -> Table {
        match resource {
            ConfigResource::EveryBroker | ConfigResource::Broker(_) => Table::Broker,
            ConfigResource::Group(_) => Table::Group,
        }
    }

    pub(crate) fn settings(self) -> &'static [Setting] {
        match self {
            Table::Topic => TOPIC_CONFIGS,
            Table::Broker => &BROKER_CONFIGS,
            Table::Group => GROUP_CONFIGS,
        }
    }

    pub(crate) fn setting(self, name: &str) -> Option<&'static Setting> {
        let settings = self.settings();
        let place = settings.binary_search_by(|setting| setting.name.cmp(name)).ok()?;
        Some(&settings[place])
    }

    /// What one of its settings is called in messages.
    pub(crate) fn noun(self) -> &'static str {
        match self {
            Table::Topic => "topic configuration",
            Table::Broker => "broker configuration",
            Table::Group => "group configuration",
        }
    }
}

/// The declaration of a topic's setting.
#[must_use]
pub fn topic_config(name: &str) -> Option<&'static Setting> {
    Table::Topic.setting(name)
}

/// The declaration of a node's setting.
#[must_use]
pub fn broker_config(name: &str) -> Option<&'static Setting> {
    Table::Broker.setting(name)
}

/// The declaration of a group's setting.
#[must_use]
pub fn group_config(name: &str) -> Option<&'static Setting> {
    Table::Group.setting(name)
}

/// Whether a node's setting is the default of a topic's.
pub(crate) fn is_topic_default(name: &str) -> bool {
    TOPIC_DEFAULTS.binary_search(&name).is_ok()
}

/// What every setting's documentation says to a client: the sentence of its declaration, and what
/// is to be known where it has no effect.
static DOCUMENTATION: LazyLock<BTreeMap<(u8, &'static str), String>> = LazyLock::new(|| {
    let mut all = BTreeMap::new();
    for table in [Table::Topic, Table::Broker, Table::Group] {
        for setting in table.settings() {
            // A topic's default has the effect that the topic's own setting has.
            let of_topics = || TOPIC_CONFIGS.iter().find(|t| t.synonyms.contains(&setting.name));
            let effect = match setting.effect {
                Effect::TopicDefault => of_topics().map_or(setting.effect, |topic| topic.effect),
                effect => effect,
            };
            all.insert((table as u8, setting.name), setting.full_documentation(effect));
        }
    }
    all
});

pub(crate) fn documentation(table: Table, setting: &Setting) -> &'static str {
    DOCUMENTATION.get(&(table as u8, setting.name)).map_or(setting.documentation, String::as_str)
}
