//! Deciding configuration: IncrementalAlterConfigs (KIP-339) and AlterConfigs.
//!
//! ```text
//! changes ──▶ the resource's map as it will be ──▶ checked as a whole ──▶ SetConfigs
//! Set      value, as its type and rules allow             Append    list + what it lacks
//! Delete   back to the default; of what is not set, fine  Subtract  list without these
//! replace_all (AlterConfigs): the map starts empty and only Set is possible
//! ```
//!
//! Append and Subtract start from what holds now, a default included. The command carries the
//! digest of the map it replaces, so a change decided on another map is refused at apply.

use std::collections::{BTreeMap, BTreeSet};

use crate::audit::AuditOrigin;
use crate::codec::cut;
use crate::command::{
    Command, CommandBuilder, ConfigChange, ConfigOperation, ConfigTarget, configs_digest,
};
use crate::config::{
    ConfigType, Setting, Table, UpdateMode, VALUE_BYTES_MAX, broker_default, check_together,
    check_value, inherited_default, is_topic_default, unknown_setting,
};
use crate::decide::{Decider, PendingConfigs, push};
use crate::image::{ConfigResource, Image};
use crate::refusal::{Reason, Refusal};
use crate::state::{Metadata, not_founded, unknown_node};

/// A group id is a Kafka string, so never longer than this.
const GROUP_ID_BYTES_MAX: usize = i16::MAX as usize;

/// A resource as a client names it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ResourceRef {
    /// A topic, by name.
    Topic(String),
    /// Nodes or a group.
    Other(ConfigResource),
}

/// Configuration to change.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AlterPlan {
    /// Of what.
    pub resource: ResourceRef,
    /// Setting, operation and, for all but `Delete`, the value; in the client's order.
    pub changes: Vec<(String, ConfigOperation, Option<String>)>,
    /// Whatever `changes` does not name goes back to its default (AlterConfigs).
    pub replace_all: bool,
}

/// An alteration as it was decided.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AlterDecision {
    /// Which command of the entry; finds its outcome. `None` when only validated.
    pub place: Option<usize>,
    /// Of what.
    pub target: ConfigTarget,
    /// All that is set afterwards.
    pub after: BTreeMap<String, String>,
}

/// Decides an alteration and adds its command.
///
/// # Errors
/// What a client is to be told.
pub fn propose_alter_configs(
    decider: &mut Decider,
    metadata: &Metadata,
    plan: &AlterPlan,
    origin: AuditOrigin,
    builder: &mut CommandBuilder,
) -> Result<AlterDecision, Refusal> {
    let mut decision = validate_alter_configs(decider, metadata, plan)?;
    let (table, _, current) = find(decider, metadata, &plan.resource)?;
    let name = match &plan.resource {
        ResourceRef::Topic(name) => name.clone(),
        ResourceRef::Other(_) => String::new(),
    };
    let command = Command::SetConfigs {
        target: decision.target.clone(),
        name,
        before: configs_digest(current.iter()),
        after: decision.after.clone().into_iter().collect(),
        changes: plan.changes.iter().map(|change| audited(table, change)).collect(),
        origin,
    };
    decision.place = Some(push(builder, &command)?);
    let pending = decider
        .configs
        .entry(decision.target.clone())
        .or_insert_with(|| PendingConfigs { commands: 0, after: BTreeMap::new() });
    pending.commands += 1;
    pending.after.clone_from(&decision.after);
    Ok(decision)
}

/// Decides an alteration and changes nothing (`validate_only`).
///
/// # Errors
/// What a client is to be told.
pub fn validate_alter_configs(
    decider: &Decider,
    metadata: &Metadata,
    plan: &AlterPlan,
) -> Result<AlterDecision, Refusal> {
    if !metadata.image.is_founded() {
        return Err(not_founded());
    }
    let (table, target, current) = find(decider, metadata, &plan.resource)?;
    let mut seen = BTreeSet::new();
    if let Some((name, ..)) = plan.changes.iter().find(|(name, ..)| !seen.insert(name)) {
        return Err(Refusal::new(
            Reason::InvalidRequest,
            format!("the setting '{}' is given twice; give it once", shown(name)),
        ));
    }
    if let ConfigTarget::Other(resource) = &target {
        check_updatable(table, resource, &plan.changes)?;
    }
    let mut after = if plan.replace_all { BTreeMap::new() } else { current.clone() };
    for (name, operation, value) in &plan.changes {
        let Some(setting) = table.setting(name) else {
            // What an older version stored may always be taken away.
            if *operation == ConfigOperation::Delete && after.remove(name).is_some() {
                continue;
            }
            return Err(unknown_setting(table, name));
        };
        if plan.replace_all && *operation != ConfigOperation::Set {
            return Err(Refusal::new(
                Reason::InvalidRequest,
                format!("'{name}' can only be set by AlterConfigs; use IncrementalAlterConfigs"),
            ));
        }
        change(&metadata.image, &target, setting, *operation, value.as_deref(), &mut after)?;
    }
    check_together(table, &metadata.image, &after)?;
    Ok(AlterDecision { place: None, target, after })
}

/// The resource's table, its id, and what is set now or will be.
fn find<'a>(
    decider: &'a Decider,
    metadata: &'a Metadata,
    resource: &ResourceRef,
) -> Result<(Table, ConfigTarget, &'a BTreeMap<String, String>), Refusal> {
    static NOTHING: BTreeMap<String, String> = BTreeMap::new();
    match resource {
        ResourceRef::Topic(name) => {
            let topic = decider.find(metadata, name)?;
            Ok((Table::Topic, ConfigTarget::Topic(topic.id), topic.configs))
        }
        ResourceRef::Other(resource) => {
            check_resource(&metadata.image, resource)?;
            let target = ConfigTarget::Other(resource.clone());
            let pending = decider.configs.get(&target).map(|pending| &pending.after);
            let current = pending.or_else(|| metadata.image.configs.get(resource));
            Ok((Table::of(resource), target, current.unwrap_or(&NOTHING)))
        }
    }
}

/// Whether configuration can be about that.
pub(crate) fn check_resource(image: &Image, resource: &ConfigResource) -> Result<(), Refusal> {
    let refuse = |why: &str| Err(Refusal::new(Reason::InvalidRequest, why));
    match resource {
        ConfigResource::Broker(node) if !image.nodes.contains_key(node) => Err(unknown_node(*node)),
        ConfigResource::Group(group) if group.is_empty() => {
            refuse("the group id is empty; name a group")
        }
        ConfigResource::Group(group) if group.len() > GROUP_ID_BYTES_MAX => {
            refuse("the group id is longer than 32767 bytes; name a group that can exist")
        }
        _ => Ok(()),
    }
}

/// Which settings of nodes can be changed while they run, and for whom. First words as Kafka's.
fn check_updatable(
    table: Table,
    resource: &ConfigResource,
    changes: &[(String, ConfigOperation, Option<String>)],
) -> Result<(), Refusal> {
    let refuse = |why: String| Err(Refusal::new(Reason::InvalidRequest, why));
    let named = |which: &dyn Fn(&Setting) -> bool| -> Vec<&str> {
        let given =
            changes.iter().filter(|(_, operation, _)| *operation != ConfigOperation::Delete);
        let found = given.filter_map(|(name, ..)| table.setting(name));
        found.filter(|setting| which(setting)).map(|setting| setting.name).collect()
    };
    let read_only = named(&|setting| setting.update == UpdateMode::ReadOnly);
    if !read_only.is_empty() {
        return refuse(format!(
            "Cannot update these configs dynamically: Set({}); change them in the node's own \
             configuration and restart it",
            read_only.join(", ")
        ));
    }
    let per_node = named(&|setting| setting.update == UpdateMode::PerBroker);
    if *resource == ConfigResource::EveryBroker && !per_node.is_empty() {
        return refuse(format!(
            "Cannot update these configs at default cluster level, broker id must be specified: \
             Set({})",
            per_node.join(", ")
        ));
    }
    let topic_defaults = named(&|setting| is_topic_default(setting.name));
    if matches!(resource, ConfigResource::Broker(_)) && !topic_defaults.is_empty() {
        return refuse(format!(
            "Cannot update these configs for one broker: Set({}); they are defaults of topics, \
             whose leaders move among nodes: set them for all (--entity-default)",
            topic_defaults.join(", ")
        ));
    }
    Ok(())
}

fn change(
    image: &Image,
    target: &ConfigTarget,
    setting: &Setting,
    operation: ConfigOperation,
    value: Option<&str>,
    after: &mut BTreeMap<String, String>,
) -> Result<(), Refusal> {
    let name = setting.name;
    if operation == ConfigOperation::Delete {
        after.remove(name);
        return Ok(());
    }
    let Some(value) = value else {
        return Err(Refusal::new(
            Reason::InvalidRequest,
            format!("Null value not supported for '{name}'; give {}", setting.valid.describe()),
        ));
    };
    let value = match operation {
        ConfigOperation::Append | ConfigOperation::Subtract => {
            if setting.kind != ConfigType::List {
                return Err(Refusal::new(
                    Reason::InvalidConfig,
                    format!(
                        "Can't {} to key {name} because its type is not LIST; set it instead",
                        if operation == ConfigOperation::Append { "APPEND" } else { "SUBTRACT" }
                    ),
                ));
            }
            let holds = after.get(name).map(String::as_str);
            let inherited = match target {
                ConfigTarget::Topic(_) => inherited_default(image, setting),
                ConfigTarget::Other(_) => broker_default(image, setting),
            };
            combine(holds.or(inherited).unwrap_or_default(), operation, value)
        }
        _ => value.to_owned(),
    };
    let value = check_value(setting, &value)?;
    after.insert(name.to_owned(), value);
    Ok(())
}

/// A comma-separated list with or without some words; order is kept.
fn combine(holds: &str, operation: ConfigOperation, value: &str) -> String {
    let words = |text: &str| -> Vec<String> {
        let words = text.split(',').map(str::trim).filter(|word| !word.is_empty());
        words.map(str::to_owned).collect()
    };
    let (mut list, given) = (words(holds), words(value));
    if operation == ConfigOperation::Append {
        for word in given {
            if !list.contains(&word) {
                list.push(word);
            }
        }
    } else {
        list.retain(|word| !given.contains(word));
    }
    list.join(",")
}

/// A change as the audit record shows it: without secrets.
fn audited(
    table: Table,
    (name, operation, value): &(String, ConfigOperation, Option<String>),
) -> ConfigChange {
    let hidden = table.setting(name).is_none_or(Setting::is_sensitive);
    let value = value.as_deref().filter(|_| *operation != ConfigOperation::Delete);
    let value = value.map(|value| if hidden { "[hidden]" } else { cut(value, VALUE_BYTES_MAX) });
    let value = value.map(str::to_owned);
    ConfigChange { name: name.clone(), operation: *operation, value }
}

fn shown(name: &str) -> String {
    cut(name, 249).escape_debug().to_string()
}
