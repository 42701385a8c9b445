//! The commands of shard 0 as bytes.
//!
//! ```text
//! entry    command*                             decoded whole before any is applied
//! command  kind u8 | version u8 | length u32 | body (length bytes)
//!
//! kind 1 Genesis              cluster [16] | nodes: list of (node u32, listeners)
//!                             | shards: list of (shard u32, factor u16, replicas) | origin
//! kind 2 RegisterNode         node u32 | listeners | origin
//! kind 3 CreateTopic          topic id [16] | name | factor u16 | configs: list of (key, value)
//!                             | partitions: list of (shard u32, generation u32) | origin
//! kind 4 DeleteTopic          topic id [16] | name | origin
//! kind 5 AllocateProducerIds  node u32 | first i64 | count u32
//! kind 6 CreatePartitions     topic id [16] | name | total u32
//!                             | added: list of (shard u32, generation u32) | origin
//! kind 7 SetConfigs           resource | name | before u64 | after: list of (key, value)
//!                             | changes: list of (key, operation u8, has value u8 [, value])
//!                             | origin
//!
//! resource   1 u8, topic id [16] | 2 u8 every node | 3 u8, node u32 | 4 u8, group string
//! operation  0 set, 1 delete, 2 append, 3 subtract           (Kafka's numbers)
//! listeners  list of (name, host, port u16)      replicas  list of (replica u64, node u32)
//! origin     principal | host | client id        name, host, key ...  string
//! ```
//!
//! All kinds are version 1. A kind or version not known here is undecodable: the replica stops
//! rather than guess (new ones are gated by the feature level).

mod parts;

use holdfast_base::{ClusterId, NodeId, TopicId};
use sha2::{Digest, Sha256};

use crate::audit::AuditOrigin;
use crate::codec::{Reader, Undecodable, Writer};
use crate::image::{ConfigResource, Genesis, Listener, Placement};

use parts::{read_change, read_listeners, read_target, write_listeners, write_target};
pub(crate) use parts::{
    read_configs, read_nodes, read_partitions, read_resource, read_shards, write_configs,
    write_nodes, write_partitions, write_resource, write_shards,
};

/// Commands of one entry, together: an entry's limit (design, rule consensus 4).
pub const COMMANDS_BYTES_MAX: usize = 4 << 20;

const VERSION: u8 = 1;
const HEAD_BYTES: usize = 6;

/// One command. An administrative one carries who asked, so that it is its own audit record.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Command {
    /// Founds the cluster.
    Genesis(Genesis, AuditOrigin),
    /// A node says where clients find it.
    RegisterNode {
        /// Which.
        node: NodeId,
        /// All it has; replaces what was there.
        listeners: Vec<Listener>,
        /// The node itself, or an operator.
        origin: AuditOrigin,
    },
    /// Makes a topic.
    CreateTopic {
        /// Drawn by who decided.
        id: TopicId,
        /// Its name.
        name: String,
        /// Of all shards named in `partitions`.
        replication_factor: u16,
        /// Key and value, sorted by key.
        configs: Vec<(String, String)>,
        /// Where each partition goes.
        partitions: Vec<Placement>,
        /// Who asked.
        origin: AuditOrigin,
    },
    /// Deletes a topic.
    DeleteTopic {
        /// The topic that was meant, whatever has its name by then.
        id: TopicId,
        /// Its name, for the audit record.
        name: String,
        /// Who asked.
        origin: AuditOrigin,
    },
    /// Takes a block of producer ids. Not administrative: no audit record.
    AllocateProducerIds {
        /// For which node.
        node: NodeId,
        /// First id; refused unless it is the next one.
        first: i64,
        /// How many.
        count: u32,
    },
    /// Gives a topic more partitions.
    CreatePartitions {
        /// The topic that was meant.
        id: TopicId,
        /// Its name, for the audit record.
        name: String,
        /// How many it has then; refused unless it has `total - added.len()` before.
        total: u32,
        /// Where the new ones go.
        added: Vec<Placement>,
        /// Who asked.
        origin: AuditOrigin,
    },
    /// Replaces the configuration of a resource.
    SetConfigs {
        /// Of what.
        target: ConfigTarget,
        /// The topic's name, for the audit record; empty for other resources.
        name: String,
        /// [`configs_digest`] of what it replaces; refused when that is no longer so.
        before: u64,
        /// All that is set afterwards, sorted by key.
        after: Vec<(String, String)>,
        /// What was asked for, for the audit record; secrets are left out of it.
        changes: Vec<ConfigChange>,
        /// Who asked.
        origin: AuditOrigin,
    },
}

/// What a configuration belongs to.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum ConfigTarget {
    /// A topic.
    Topic(TopicId),
    /// Nodes or a group.
    Other(ConfigResource),
}

/// One change of one setting, as asked for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ConfigChange {
    /// The setting.
    pub name: String,
    /// What to do with it.
    pub operation: ConfigOperation,
    /// For all but `Delete`.
    pub value: Option<String>,
}

/// Kafka's four ways to change a setting, by Kafka's numbers.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
#[repr(u8)]
pub enum ConfigOperation {
    /// To this value.
    Set = 0,
    /// Back to the default.
    Delete = 1,
    /// Add to a list.
    Append = 2,
    /// Take from a list.
    Subtract = 3,
}

impl ConfigOperation {
    fn from_code(code: u8) -> Option<Self> {
        use ConfigOperation::*;
        [Set, Delete, Append, Subtract].into_iter().find(|operation| *operation as u8 == code)
    }
}

/// Names a resource's whole configuration: two alterations decided on the same one cannot both
/// apply.
#[must_use]
pub fn configs_digest<'a>(sorted: impl Iterator<Item = (&'a String, &'a String)>) -> u64 {
    let mut bytes = Writer::default();
    for (key, value) in sorted {
        bytes.string(key);
        bytes.string(value);
    }
    let mut first = [0; 8];
    first.copy_from_slice(&Sha256::digest(&bytes.bytes)[..8]);
    u64::from_le_bytes(first)
}

impl Command {
    fn kind(&self) -> u8 {
        match self {
            Command::Genesis(..) => 1,
            Command::RegisterNode { .. } => 2,
            Command::CreateTopic { .. } => 3,
            Command::DeleteTopic { .. } => 4,
            Command::AllocateProducerIds { .. } => 5,
            Command::CreatePartitions { .. } => 6,
            Command::SetConfigs { .. } => 7,
        }
    }

    /// Head and body.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut body = Writer::default();
        match self {
            Command::Genesis(genesis, origin) => {
                body.raw(&genesis.cluster.0);
                write_nodes(&mut body, genesis.nodes.iter());
                write_shards(&mut body, genesis.shards.iter());
                origin.write(&mut body);
            }
            Command::RegisterNode { node, listeners, origin } => {
                body.u32(node.0);
                write_listeners(&mut body, listeners);
                origin.write(&mut body);
            }
            Command::CreateTopic { id, name, replication_factor, configs, partitions, origin } => {
                body.raw(&id.0);
                body.string(name);
                body.u16(*replication_factor);
                write_configs(&mut body, configs.iter().map(|(key, value)| (key, value)));
                write_partitions(&mut body, partitions);
                origin.write(&mut body);
            }
            Command::DeleteTopic { id, name, origin } => {
                body.raw(&id.0);
                body.string(name);
                origin.write(&mut body);
            }
            Command::AllocateProducerIds { node, first, count } => {
                body.u32(node.0);
                body.i64(*first);
                body.u32(*count);
            }
            Command::CreatePartitions { id, name, total, added, origin } => {
                body.raw(&id.0);
                body.string(name);
                body.u32(*total);
                write_partitions(&mut body, added);
                origin.write(&mut body);
            }
            Command::SetConfigs { target, name, before, after, changes, origin } => {
                write_target(&mut body, target);
                body.string(name);
                body.u64(*before);
                write_configs(&mut body, after.iter().map(|(key, value)| (key, value)));
                body.list(changes, |body, change| {
                    body.string(&change.name);
                    body.u8(change.operation as u8);
                    body.u8(u8::from(change.value.is_some()));
                    if let Some(value) = &change.value {
                        body.string(value);
                    }
                });
                origin.write(&mut body);
            }
        }
        let length = u32::try_from(body.bytes.len()).expect("parts are bounded far below 4 GiB");
        let mut bytes = Writer::default();
        bytes.u8(self.kind());
        bytes.u8(VERSION);
        bytes.u32(length);
        bytes.raw(&body.bytes);
        bytes.bytes
    }

    fn decode_body(kind: u8, body: &mut Reader<'_>) -> Result<Command, Undecodable> {
        Ok(match kind {
            1 => {
                let cluster = ClusterId(body.array()?);
                let nodes = read_nodes(body)?.into_iter().collect();
                let shards = read_shards(body)?.into_iter().collect();
                Command::Genesis(Genesis { cluster, nodes, shards }, AuditOrigin::read(body)?)
            }
            2 => Command::RegisterNode {
                node: NodeId(body.u32()?),
                listeners: read_listeners(body)?,
                origin: AuditOrigin::read(body)?,
            },
            3 => Command::CreateTopic {
                id: body.topic_id()?,
                name: body.string()?,
                replication_factor: body.u16()?,
                configs: read_configs(body)?,
                partitions: read_partitions(body)?,
                origin: AuditOrigin::read(body)?,
            },
            4 => Command::DeleteTopic {
                id: body.topic_id()?,
                name: body.string()?,
                origin: AuditOrigin::read(body)?,
            },
            5 => Command::AllocateProducerIds {
                node: NodeId(body.u32()?),
                first: body.i64()?,
                count: body.u32()?,
            },
            6 => Command::CreatePartitions {
                id: body.topic_id()?,
                name: body.string()?,
                total: body.u32()?,
                added: read_partitions(body)?,
                origin: AuditOrigin::read(body)?,
            },
            7 => Command::SetConfigs {
                target: read_target(body)?,
                name: body.string()?,
                before: body.u64()?,
                after: read_configs(body)?,
                changes: body.list(4, read_change)?,
                origin: AuditOrigin::read(body)?,
            },
            _ => return body.wrong("unknown command kind"),
        })
    }

    /// All commands of an entry, each with its bytes.
    pub(crate) fn decode_all(bytes: &[u8]) -> Result<Vec<(Command, &[u8])>, Undecodable> {
        if bytes.len() > COMMANDS_BYTES_MAX {
            return Err(Undecodable { at: 0, what: "more than 4 MiB of commands" });
        }
        let mut commands = Vec::new();
        let mut reader = Reader::new(bytes);
        while reader.left() > 0 {
            let start = bytes.len() - reader.left();
            let kind = reader.u8()?;
            if reader.u8()? != VERSION {
                return reader.wrong("unknown command version");
            }
            let length = reader.u32()? as usize;
            let mut body = Reader::new(reader.raw(length)?);
            let at = |inner: Undecodable| Undecodable {
                at: start + HEAD_BYTES + inner.at,
                what: inner.what,
            };
            let command = Command::decode_body(kind, &mut body).map_err(at)?;
            body.finish().map_err(at)?;
            commands.push((command, &bytes[start..start + HEAD_BYTES + length]));
        }
        Ok(commands)
    }
}

/// Collects the commands of one entry.
///
/// Invariant: `bytes` never exceeds [`COMMANDS_BYTES_MAX`].
#[derive(Debug, Default)]
pub struct CommandBuilder {
    bytes: Vec<u8>,
    count: usize,
}

impl CommandBuilder {
    /// An empty entry.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// How many commands are in it; also the place of the next one.
    #[must_use]
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether there is nothing to propose.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Bytes so far.
    #[must_use]
    pub fn bytes_len(&self) -> usize {
        self.bytes.len()
    }

    /// The entry's command section.
    #[must_use]
    pub fn finish(self) -> Vec<u8> {
        self.bytes
    }

    /// Adds a command and says its place, or `None` when the entry would grow too large.
    pub(crate) fn push(&mut self, command: &Command) -> Option<usize> {
        let bytes = command.encode();
        if self.bytes.len() + bytes.len() > COMMANDS_BYTES_MAX {
            return None;
        }
        self.bytes.extend_from_slice(&bytes);
        self.count += 1;
        Some(self.count - 1)
    }
}
