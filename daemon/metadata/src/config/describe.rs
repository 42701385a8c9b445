//! What holds for a resource, where it comes from, and what it means: DescribeConfigs.
//!
//! ```text
//! value      the first of the chain in `config`            null for secrets, and where unset
//! synonyms   all of the chain that are set, the default last, each under its own name
//! source     of the first synonym
//! ```
//!
//! For every node (Kafka's broker with an empty name) only what is set there is described, as in
//! Kafka: what holds differs by node.

use std::collections::BTreeMap;

use holdfast_base::NodeId;

use super::table::{ConfigType, Setting, UpdateMode};
use super::{Table, broker_config, documentation, is_topic_default};
use crate::alter::{ResourceRef, check_resource};
use crate::decide::unknown_topic;
use crate::image::{ConfigResource, Image};
use crate::placement::default_replication_factor;
use crate::refusal::{Reason, Refusal};

/// What a node's static configuration says, under Kafka's names.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct NodeFacts {
    /// Which node.
    pub node: NodeId,
    /// Name and value: listeners, directories, and whatever else was configured.
    pub values: BTreeMap<String, String>,
}

/// Where a value comes from, by Kafka's numbers in DescribeConfigs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(i8)]
pub enum ConfigSource {
    /// Set for the topic.
    Topic = 1,
    /// Set for this node while it runs.
    DynamicBroker = 2,
    /// Set for every node while they run.
    DynamicDefaultBroker = 3,
    /// In the node's own configuration.
    StaticBroker = 4,
    /// Nobody set it.
    Default = 5,
    /// Set for the group.
    Group = 8,
}

/// One of the places a value may come from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ConfigSynonym {
    /// The setting's name there.
    pub name: String,
    /// `None` for secrets.
    pub value: Option<String>,
    /// Which place.
    pub source: ConfigSource,
}

/// A setting of a resource.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Described {
    /// Its name.
    pub name: String,
    /// What holds; `None` for secrets, and where nothing is set.
    pub value: Option<String>,
    /// Where that comes from.
    pub source: ConfigSource,
    /// Nobody set it.
    pub is_default: bool,
    /// It cannot be changed while nodes run.
    pub read_only: bool,
    /// Its value is never shown.
    pub sensitive: bool,
    /// Its type.
    pub config_type: ConfigType,
    /// What it means, and why it has no effect here where it has none.
    pub documentation: &'static str,
    /// All places where it is set, the one that holds first.
    pub synonyms: Vec<ConfigSynonym>,
}

/// Describes the settings of a resource as this node sees them, ascending by name: all of them,
/// or those named (a name nobody knows is left out, as in Kafka).
///
/// # Errors
/// When there is no such resource, or it is another node, which describes itself.
pub fn describe(
    image: &Image,
    facts: &NodeFacts,
    resource: &ResourceRef,
    names: Option<&[String]>,
) -> Result<Vec<Described>, Refusal> {
    let nothing = BTreeMap::new();
    let of = |resource: &ConfigResource| image.configs.get(resource).unwrap_or(&nothing);
    let (table, own, own_source) = match resource {
        ResourceRef::Topic(name) => match image.topic(name) {
            Some(topic) => (Table::Topic, &topic.configs, ConfigSource::Topic),
            None => return Err(unknown_topic(name)),
        },
        ResourceRef::Other(resource) => {
            check_resource(image, resource)?;
            let source = match resource {
                ConfigResource::Broker(node) if *node != facts.node => {
                    return Err(Refusal::new(
                        Reason::InvalidRequest,
                        format!(
                            "Unexpected broker id, expected {} or empty string, but received \
                             {node}; ask that broker",
                            facts.node
                        ),
                    ));
                }
                ConfigResource::Broker(_) => ConfigSource::DynamicBroker,
                ConfigResource::EveryBroker => ConfigSource::DynamicDefaultBroker,
                ConfigResource::Group(_) => ConfigSource::Group,
            };
            (Table::of(resource), of(resource), source)
        }
    };
    let only_set = *resource == ResourceRef::Other(ConfigResource::EveryBroker);
    let places = Places {
        own,
        own_source,
        node: of(&ConfigResource::Broker(facts.node)),
        every: of(&ConfigResource::EveryBroker),
        facts: &facts.values,
        nodes: image.nodes.len(),
    };
    let wanted = |setting: &&Setting| {
        names.is_none_or(|names| names.iter().any(|name| name == setting.name))
            && (!only_set || own.contains_key(setting.name))
    };
    let described = |setting| places.described(table, setting, only_set);
    Ok(table.settings().iter().filter(wanted).map(described).collect())
}

/// Where values may be set.
struct Places<'a> {
    own: &'a BTreeMap<String, String>,
    own_source: ConfigSource,
    node: &'a BTreeMap<String, String>,
    every: &'a BTreeMap<String, String>,
    facts: &'a BTreeMap<String, String>,
    nodes: usize,
}

impl Places<'_> {
    fn described(&self, table: Table, setting: &Setting, only_own: bool) -> Described {
        let mut synonyms = Vec::new();
        if table != Table::Broker || only_own {
            push(&mut synonyms, setting.name, self.own.get(setting.name), self.own_source);
        }
        let broker_names: &[&str] = match table {
            Table::Broker if setting.synonyms.is_empty() => &[setting.name],
            _ => setting.synonyms,
        };
        if !only_own {
            for name in broker_names {
                self.push_of_node(&mut synonyms, table, name);
            }
        }
        let (value, source) = match synonyms.first() {
            Some(first) if first.source != ConfigSource::Default && first.name == setting.name => {
                (first.value.clone(), first.source)
            }
            // Under another name: a topic's and a group's value holds there, a node's does not.
            Some(first) if first.source != ConfigSource::Default && table != Table::Broker => {
                (first.value.clone(), first.source)
            }
            Some(first) if first.source != ConfigSource::Default => (None, first.source),
            _ => (self.default_of(setting.name, setting.default), ConfigSource::Default),
        };
        let sensitive = setting.is_sensitive();
        if sensitive {
            synonyms.iter_mut().for_each(|synonym| synonym.value = None);
        }
        Described {
            name: setting.name.to_owned(),
            value: value.filter(|_| !sensitive),
            source,
            is_default: source == ConfigSource::Default,
            read_only: setting.update == UpdateMode::ReadOnly,
            sensitive,
            config_type: setting.kind,
            documentation: documentation(table, setting),
            synonyms,
        }
    }

    /// The node's chain for one name. Topics do not inherit what is of one node alone.
    fn push_of_node(&self, synonyms: &mut Vec<ConfigSynonym>, table: Table, name: &str) {
        let of_node = table != Table::Topic;
        if of_node && !is_topic_default(name) {
            push(synonyms, name, self.node.get(name), ConfigSource::DynamicBroker);
        }
        push(synonyms, name, self.every.get(name), ConfigSource::DynamicDefaultBroker);
        if of_node {
            push(synonyms, name, self.facts.get(name), ConfigSource::StaticBroker);
        }
        let default = broker_config(name).and_then(|setting| setting.default);
        push(synonyms, name, self.default_of(name, default).as_ref(), ConfigSource::Default);
    }

    /// `default.replication.factor` follows the number of nodes.
    fn default_of(&self, name: &str, declared: Option<&str>) -> Option<String> {
        if name == "default.replication.factor" {
            return Some(default_replication_factor(self.nodes).to_string());
        }
        declared.map(str::to_owned)
    }
}

fn push(
    synonyms: &mut Vec<ConfigSynonym>,
    name: &str,
    value: Option<&String>,
    source: ConfigSource,
) {
    if let Some(value) = value {
        synonyms.push(ConfigSynonym { name: name.to_owned(), value: Some(value.clone()), source });
    }
}
