//! What commands and snapshots are made of, as bytes: drawn in `command`.

use holdfast_base::{NodeId, ReplicaId, ShardId};

use super::{ConfigChange, ConfigOperation, ConfigTarget};
use crate::codec::{Reader, Undecodable, Writer};
use crate::image::{ConfigResource, Listener, Node, Placement, ShardPlacement};

pub(crate) fn write_listeners(to: &mut Writer, listeners: &[Listener]) {
    to.list(listeners, |to, listener| {
        to.string(&listener.name);
        to.string(&listener.host);
        to.u16(listener.port);
    });
}

pub(crate) fn read_listeners(from: &mut Reader<'_>) -> Result<Vec<Listener>, Undecodable> {
    from.list(6, |from| {
        Ok(Listener { name: from.string()?, host: from.string()?, port: from.u16()? })
    })
}

pub(crate) fn write_nodes<'a>(
    to: &mut Writer,
    nodes: impl Iterator<Item = (&'a NodeId, &'a Node)>,
) {
    to.list(&nodes.collect::<Vec<_>>(), |to, (id, node)| {
        to.u32(id.0);
        write_listeners(to, &node.listeners);
    });
}

pub(crate) fn read_nodes(from: &mut Reader<'_>) -> Result<Vec<(NodeId, Node)>, Undecodable> {
    from.list(8, |from| Ok((NodeId(from.u32()?), Node { listeners: read_listeners(from)? })))
}

pub(crate) fn write_shards<'a>(
    to: &mut Writer,
    shards: impl Iterator<Item = (&'a ShardId, &'a ShardPlacement)>,
) {
    to.list(&shards.collect::<Vec<_>>(), |to, (id, shard)| {
        to.u32(id.0);
        to.u16(shard.replication_factor);
        to.list(&shard.replicas, |to, (replica, node)| {
            to.u64(replica.0);
            to.u32(node.0);
        });
    });
}

pub(crate) fn read_shards(
    from: &mut Reader<'_>,
) -> Result<Vec<(ShardId, ShardPlacement)>, Undecodable> {
    from.list(10, |from| {
        let id = ShardId(from.u32()?);
        let replication_factor = from.u16()?;
        let replicas = from.list(12, |from| Ok((ReplicaId(from.u64()?), NodeId(from.u32()?))))?;
        Ok((id, ShardPlacement { replication_factor, replicas }))
    })
}

pub(crate) fn write_partitions(to: &mut Writer, partitions: &[Placement]) {
    to.list(partitions, |to, placement| {
        to.u32(placement.shard.0);
        to.u32(placement.generation);
    });
}

pub(crate) fn read_partitions(from: &mut Reader<'_>) -> Result<Vec<Placement>, Undecodable> {
    from.list(8, |from| Ok(Placement { shard: ShardId(from.u32()?), generation: from.u32()? }))
}

/// Key and value, sorted by key.
pub(crate) fn write_configs<'a>(
    to: &mut Writer,
    configs: impl Iterator<Item = (&'a String, &'a String)>,
) {
    to.list(&configs.collect::<Vec<_>>(), |to, (key, value)| {
        to.string(key);
        to.string(value);
    });
}

pub(crate) fn read_configs(from: &mut Reader<'_>) -> Result<Vec<(String, String)>, Undecodable> {
    let configs = from.list(4, |from| Ok((from.string()?, from.string()?)))?;
    if configs.is_sorted_by(|(a, _), (b, _)| a < b) {
        Ok(configs)
    } else {
        from.wrong("settings are not sorted by name, or one is there twice")
    }
}

pub(super) fn read_change(from: &mut Reader<'_>) -> Result<ConfigChange, Undecodable> {
    let name = from.string()?;
    let Some(operation) = ConfigOperation::from_code(from.u8()?) else {
        return from.wrong("unknown operation on a setting");
    };
    let value = match from.u8()? {
        0 => None,
        1 => Some(from.string()?),
        _ => return from.wrong("neither a value nor none"),
    };
    Ok(ConfigChange { name, operation, value })
}

pub(super) fn write_target(to: &mut Writer, target: &ConfigTarget) {
    match target {
        ConfigTarget::Topic(id) => {
            to.u8(1);
            to.raw(&id.0);
        }
        ConfigTarget::Other(resource) => write_resource(to, resource),
    }
}

pub(super) fn read_target(from: &mut Reader<'_>) -> Result<ConfigTarget, Undecodable> {
    match from.u8()? {
        1 => Ok(ConfigTarget::Topic(from.topic_id()?)),
        code => resource_of(code, from).map(ConfigTarget::Other),
    }
}

pub(crate) fn write_resource(to: &mut Writer, resource: &ConfigResource) {
    match resource {
        ConfigResource::EveryBroker => to.u8(2),
        ConfigResource::Broker(node) => {
            to.u8(3);
            to.u32(node.0);
        }
        ConfigResource::Group(group) => {
            to.u8(4);
            to.string(group);
        }
    }
}

pub(crate) fn read_resource(from: &mut Reader<'_>) -> Result<ConfigResource, Undecodable> {
    let code = from.u8()?;
    resource_of(code, from)
}

fn resource_of(code: u8, from: &mut Reader<'_>) -> Result<ConfigResource, Undecodable> {
    Ok(match code {
        2 => ConfigResource::EveryBroker,
        3 => ConfigResource::Broker(NodeId(from.u32()?)),
        4 => ConfigResource::Group(from.string()?),
        _ => return from.wrong("unknown kind of resource"),
    })
}
