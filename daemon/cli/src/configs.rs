//! Settings of topics, nodes and groups: described, compared, changed.
//!
//! ```text
//! topic/NAME  broker/ID  broker/default  group/NAME     a resource, as typed
//! ```
//!
//! A node's settings are asked from that node; everything else from any. `broker/default` is what
//! holds for all nodes (`--entity-default` in Kafka's tools).

use std::collections::BTreeMap;

use kafka_protocol::messages::describe_configs_request::DescribeConfigsResource;
use kafka_protocol::messages::incremental_alter_configs_request::{
    AlterConfigsResource, AlterableConfig,
};
use kafka_protocol::messages::{DescribeConfigsRequest, IncrementalAlterConfigsRequest};
use serde_json::{Value, json};

use crate::client::{Cluster, Connection, text};
use crate::errors::{CliError, Result};
use crate::output::Table;

/// What has settings.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Resource {
    Topic(String),
    Broker(i32),
    /// What holds for every node without a value of its own.
    AllBrokers,
    Group(String),
}

impl Resource {
    fn kind(&self) -> i8 {
        match self {
            Resource::Topic(_) => 2,
            Resource::Broker(_) | Resource::AllBrokers => 4,
            Resource::Group(_) => 32,
        }
    }

    fn name(&self) -> String {
        match self {
            Resource::Topic(name) | Resource::Group(name) => name.clone(),
            Resource::Broker(id) => id.to_string(),
            // Kafka's word for it on the wire.
            Resource::AllBrokers => String::new(),
        }
    }

    fn node<'a>(&self, cluster: &'a mut Cluster) -> Result<&'a mut Connection> {
        match self {
            Resource::Broker(id) => cluster.node(*id),
            _ => Ok(cluster.any()),
        }
    }
}

impl std::fmt::Display for Resource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Resource::Topic(name) => write!(f, "topic/{name}"),
            Resource::Broker(id) => write!(f, "broker/{id}"),
            Resource::AllBrokers => f.write_str("broker/default"),
            Resource::Group(name) => write!(f, "group/{name}"),
        }
    }
}

/// `topic/NAME`, `broker/ID`, `broker/default`, `group/NAME`.
pub(crate) fn parse_resource(text: &str) -> std::result::Result<Resource, String> {
    let wrong = || format!("{text:?} is none of topic/NAME, broker/ID, broker/default, group/NAME");
    match text.split_once('/') {
        Some((_, "")) | None => Err(wrong()),
        Some(("topic", name)) => Ok(Resource::Topic(name.to_owned())),
        Some(("group", name)) => Ok(Resource::Group(name.to_owned())),
        Some(("broker" | "node", "default")) => Ok(Resource::AllBrokers),
        Some(("broker" | "node", id)) => id.parse().map(Resource::Broker).map_err(|_| wrong()),
        Some(_) => Err(wrong()),
    }
}

/// One setting as the node tells it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Setting {
    pub(crate) name: String,
    /// `None`: not told, because it is a secret or has no value.
    pub(crate) value: Option<String>,
    pub(crate) source: &'static str,
    pub(crate) read_only: bool,
    pub(crate) documentation: Option<String>,
}

impl Setting {
    pub(crate) fn is_default(&self) -> bool {
        self.source == "default"
    }

    pub(crate) fn shown(&self) -> String {
        self.value.clone().unwrap_or_else(|| "-".to_owned())
    }

    pub(crate) fn json(&self) -> Value {
        json!({
            "name": self.name,
            "value": self.value,
            "source": self.source,
            "read_only": self.read_only,
            "documentation": self.documentation,
        })
    }
}

fn source_name(source: i8) -> &'static str {
    match source {
        1 => "topic",
        2 => "node",
        3 => "cluster",
        4 => "file",
        5 => "default",
        6 => "logger",
        7 => "client-metrics",
        8 => "group",
        _ => "unknown",
    }
}

/// Settings of one resource, sorted by name; only `keys` where given.
pub(crate) fn describe(
    cluster: &mut Cluster,
    resource: &Resource,
    keys: Option<&[String]>,
) -> Result<Vec<Setting>> {
    let asked = DescribeConfigsResource::default()
        .with_resource_type(resource.kind())
        .with_resource_name(text(&resource.name()))
        .with_configuration_keys(keys.map(|keys| keys.iter().map(|key| text(key)).collect()));
    let node = resource.node(cluster)?;
    let documented = node.version::<DescribeConfigsRequest>(1..=4)? >= 3;
    let request = DescribeConfigsRequest::default()
        .with_resources(vec![asked])
        .with_include_documentation(documented);
    let answer = node.call(&request, 1..=4)?;
    let what = || format!("settings of {resource} cannot be told");
    let result = answer.results.into_iter().next();
    let result = result.ok_or_else(|| CliError::failed(what(), "the answer is empty"))?;
    CliError::check(what(), result.error_code, result.error_message.as_deref())?;
    let mut settings: Vec<Setting> = result
        .configs
        .into_iter()
        .map(|row| Setting {
            name: row.name.to_string(),
            value: row.value.filter(|_| !row.is_sensitive).map(|value| value.to_string()),
            source: source_name(row.config_source),
            read_only: row.read_only,
            documentation: row.documentation.map(|text| text.to_string()),
        })
        .collect();
    settings.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(settings)
}

/// What shall become of a setting; `None` gives it back to its default.
pub(crate) type Wanted = BTreeMap<String, Option<String>>;

/// Changes settings, or only asks whether they could be changed.
pub(crate) fn alter(
    cluster: &mut Cluster,
    resource: &Resource,
    wanted: &Wanted,
    validate_only: bool,
) -> Result<()> {
    const SET: i8 = 0;
    const DELETE: i8 = 1;
    let row = |(name, value): (&String, &Option<String>)| {
        AlterableConfig::default()
            .with_name(text(name))
            .with_config_operation(if value.is_some() { SET } else { DELETE })
            .with_value(value.as_deref().map(text))
    };
    let asked = AlterConfigsResource::default()
        .with_resource_type(resource.kind())
        .with_resource_name(text(&resource.name()))
        .with_configs(wanted.iter().map(row).collect());
    let request = IncrementalAlterConfigsRequest::default()
        .with_resources(vec![asked])
        .with_validate_only(validate_only);
    let answer = resource.node(cluster)?.call(&request, 0..=1)?;
    let what = || format!("settings of {resource} cannot be changed");
    let row = answer.responses.first();
    let row = row.ok_or_else(|| CliError::failed(what(), "the answer is empty"))?;
    CliError::check(what(), row.error_code, row.error_message.as_deref())
}

/// One line of a comparison.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Change {
    pub(crate) name: String,
    pub(crate) before: String,
    pub(crate) after: String,
}

/// What `wanted` would change; what stays as it is has no line. A setting that would fall back to
/// its default is shown so, because only the node knows what that will be.
pub(crate) fn compare(now: &[Setting], wanted: &Wanted) -> Vec<Change> {
    let mut changes = Vec::new();
    for (name, value) in wanted {
        let current = now.iter().find(|setting| setting.name == *name);
        let inherits = current.is_none_or(Setting::is_default);
        let before = current.map_or_else(|| "-".to_owned(), Setting::shown);
        let changed = match value {
            None => !inherits,
            Some(value) => {
                current.and_then(|setting| setting.value.as_ref()) != Some(value) || inherits
            }
        };
        if changed {
            let before = if inherits { format!("{before} (default)") } else { before };
            let after = value.clone().unwrap_or_else(|| "(default)".to_owned());
            changes.push(Change { name: name.clone(), before, after });
        }
    }
    changes
}

/// Changes as a table.
pub(crate) fn change_table(changes: &[Change]) -> Table {
    let mut table = Table::new(&["SETTING", "BEFORE", "AFTER"]);
    for change in changes {
        table.row([change.name.clone(), change.before.clone(), change.after.clone()]);
    }
    table
}

/// Changes for programs.
pub(crate) fn change_json(changes: &[Change]) -> Value {
    changes
        .iter()
        .map(|change| json!({"name": change.name, "before": change.before, "after": change.after}))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn setting(name: &str, value: &str, source: &'static str) -> Setting {
        let (name, value) = (name.to_owned(), Some(value.to_owned()));
        Setting { name, value, source, read_only: false, documentation: None }
    }

    #[test]
    fn a_comparison_shows_what_changes_and_nothing_else() {
        let now =
            [setting("a", "1", "topic"), setting("b", "2", "default"), setting("c", "3", "topic")];
        let some = |value: &str| Some(value.to_owned());
        let wanted = Wanted::from([
            ("a".to_owned(), some("1")),
            ("b".to_owned(), some("5")),
            ("c".to_owned(), None),
            ("d".to_owned(), some("x")),
        ]);
        let shown: Vec<String> = compare(&now, &wanted)
            .iter()
            .map(|change| format!("{}: {} -> {}", change.name, change.before, change.after))
            .collect();
        assert_eq!(shown, ["b: 2 (default) -> 5", "c: 3 -> (default)", "d: - (default) -> x"]);
        assert!(compare(&now, &Wanted::from([("b".to_owned(), None)])).is_empty());

        // Said in so many words, a default stays when the default changes.
        let pinned = compare(&now, &Wanted::from([("b".to_owned(), some("2"))]));
        assert_eq!((&*pinned[0].before, &*pinned[0].after), ("2 (default)", "2"));
    }

    #[test]
    fn a_resource_is_read_as_it_is_shown() {
        for text in ["topic/a/b", "broker/1", "broker/default", "group/g"] {
            assert_eq!(
                parse_resource(text).map(|resource| resource.to_string()),
                Ok(text.to_owned())
            );
        }
        assert_eq!(parse_resource("node/3"), Ok(Resource::Broker(3)));
        for wrong in ["", "orders", "topic/", "broker/x", "user/u"] {
            assert!(parse_resource(wrong).is_err(), "{wrong}");
        }
    }
}
