//! What a command is about, in the words of its audit record. The same on every replica, so it
//! looks at the command alone.

use std::fmt::Write as _;

use holdfast_base::TopicId;

use crate::audit::{AuditOrigin, Operation};
use crate::command::{Command, ConfigChange, ConfigTarget};
use crate::image::{ConfigResource, Listener};
use crate::placement::place_slots;

/// An administrative command as an audit record tells it.
pub(super) struct About {
    pub(super) operation: Operation,
    pub(super) origin: AuditOrigin,
    pub(super) resource: String,
    pub(super) detail: String,
}

impl About {
    pub(super) fn of(command: &Command) -> Option<About> {
        let mut detail = String::new();
        let (operation, origin, resource) = match command {
            Command::Genesis(genesis, origin) => {
                let (nodes, shards) = (genesis.nodes.len(), genesis.shards.len());
                let slots = place_slots(&genesis.shards).len();
                let _ = write!(detail, "nodes={nodes} shards={shards} coordinator.slots={slots}");
                (Operation::FoundCluster, origin, format!("Cluster:{}", genesis.cluster))
            }
            Command::RegisterNode { node, listeners, origin } => {
                for Listener { name, host, port } in listeners {
                    let _ = write!(detail, "{name}://{host}:{port} ");
                }
                (Operation::RegisterNode, origin, format!("Node:{node}"))
            }
            Command::CreateTopic { id, name, replication_factor, configs, partitions, origin } => {
                let _ = write!(
                    detail,
                    "id={id} partitions={} replication.factor={replication_factor}",
                    partitions.len()
                );
                for (key, value) in configs {
                    let _ = write!(detail, " {key}={value:?}");
                }
                (Operation::CreateTopic, origin, format!("Topic:{name}"))
            }
            Command::DeleteTopic { id, name, origin } => {
                let _ = write!(detail, "id={id}");
                (Operation::DeleteTopic, origin, format!("Topic:{name}"))
            }
            Command::AllocateProducerIds { .. } => return None,
            Command::CreatePartitions { id, name, total, added, origin } => {
                let _ = write!(detail, "id={id} partitions={total} added={}", added.len());
                (Operation::CreatePartitions, origin, format!("Topic:{name}"))
            }
            Command::SetConfigs { target, name, changes, origin, .. } => {
                let resource = match target {
                    ConfigTarget::Topic(id) => {
                        let _ = write!(detail, "id={id}");
                        format!("Topic:{name}")
                    }
                    ConfigTarget::Other(ConfigResource::EveryBroker) => "Node:*".to_owned(),
                    ConfigTarget::Other(ConfigResource::Broker(node)) => format!("Node:{node}"),
                    ConfigTarget::Other(ConfigResource::Group(group)) => format!("Group:{group}"),
                };
                for ConfigChange { name, operation, value } in changes {
                    let _ = write!(detail, " {operation:?} {name}");
                    if let Some(value) = value {
                        let _ = write!(detail, "={value:?}");
                    }
                }
                (Operation::AlterConfigs, origin, resource)
            }
        };
        let detail = detail.trim().to_owned();
        Some(About { operation, origin: origin.clone(), resource, detail })
    }
}

impl Command {
    /// The topic it is about.
    pub(super) fn topic(&self) -> Option<TopicId> {
        match self {
            Command::CreateTopic { id, .. }
            | Command::DeleteTopic { id, .. }
            | Command::CreatePartitions { id, .. }
            | Command::SetConfigs { target: ConfigTarget::Topic(id), .. } => Some(*id),
            _ => None,
        }
    }
}
