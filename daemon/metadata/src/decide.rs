//! Deciding administrative commands on the leader of shard 0, before they are entries.
//!
//! A decision looks at the applied state and at what was decided since and is not applied yet
//! (the [`Decider`]), so that two requests for one name in flight do not both go out. The decider
//! is speculation: dropped at every change of role, and whenever a built entry is not proposed.
//! What it gets wrong is refused at apply.
//!
//! More partitions are decided in `grow`, configuration in `alter`.

mod decider;

use std::collections::{BTreeMap, BTreeSet};

use holdfast_base::{NodeId, ShardId, TopicId};

use crate::audit::AuditOrigin;
use crate::command::{Command, CommandBuilder};
use crate::config::check_new_topic_configs;
use crate::image::{Genesis, Image, Listener, Placement};
use crate::name::{check_topic_name, taken};
use crate::placement::{default_replication_factor, place_assigned, place_partitions};
use crate::refusal::{Reason, Refusal};
use crate::state::{Metadata, not_founded, unknown_topic_id};

pub use decider::Decider;
pub(crate) use decider::{PendingConfigs, PendingGrowth};

/// `num.partitions`, where the client leaves it to the broker.
pub const DEFAULT_PARTITIONS: i32 = 1;

/// A guard, not a goal: 8 bytes each keep a topic's command far below an entry's 4 MiB, and an
/// answer to Metadata about one topic below 1 MiB.
pub const PARTITIONS_PER_TOPIC_MAX: i32 = 10_000;

/// Producer ids are taken in blocks: one entry per thousand producers.
pub const PRODUCER_ID_BLOCK: u32 = 1_000;

/// Producer ids `first .. first + count`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ProducerIdBlock {
    /// The first.
    pub first: i64,
    /// How many.
    pub count: u32,
}

/// A topic as a client asks for it.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct NewTopic {
    /// Not checked yet.
    pub name: String,
    /// -1: the broker's default, or as the assignment says.
    pub partitions: i32,
    /// -1: the broker's default, or as the assignment says.
    pub replication_factor: i16,
    /// Nodes per partition, where the client names them; else empty.
    pub assignment: Vec<(i32, Vec<i32>)>,
    /// As sent.
    pub configs: Vec<(String, Option<String>)>,
}

/// A topic as it was decided.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TopicPlan {
    /// Which command of the entry; finds its outcome. `None` when only validated.
    pub place: Option<usize>,
    /// Its id.
    pub id: TopicId,
    /// Its name.
    pub name: String,
    /// Its replication factor.
    pub replication_factor: u16,
    /// What was set.
    pub configs: BTreeMap<String, String>,
    /// Where partitions go.
    pub partitions: Vec<Placement>,
}

/// A topic to delete.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum TopicRef {
    /// By name.
    Name(String),
    /// By id.
    Id(TopicId),
}

/// A deletion as it was decided.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DeletePlan {
    /// Which command of the entry; finds its outcome.
    pub place: usize,
    /// Its id.
    pub id: TopicId,
    /// Its name.
    pub name: String,
}

/// The first entry of shard 0.
///
/// # Errors
/// When the cluster is founded already or the genesis contradicts itself.
pub fn propose_genesis(
    image: &Image,
    genesis: Genesis,
    origin: AuditOrigin,
) -> Result<Vec<u8>, Refusal> {
    if image.is_founded() {
        return Err(Refusal::new(
            Reason::InvalidRequest,
            format!("the cluster is founded already, as {}", image.cluster),
        ));
    }
    genesis.check()?;
    for node in genesis.nodes.values() {
        check_listeners(&node.listeners)?;
    }
    let mut builder = CommandBuilder::new();
    push(&mut builder, &Command::Genesis(genesis, origin))?;
    Ok(builder.finish())
}

/// A node says where clients find it; `None` when that is known already.
///
/// # Errors
/// When a listener cannot be advertised.
pub fn propose_register_node(
    image: &Image,
    node: NodeId,
    listeners: &[Listener],
    origin: AuditOrigin,
    builder: &mut CommandBuilder,
) -> Result<Option<usize>, Refusal> {
    if !image.is_founded() {
        return Err(not_founded());
    }
    check_listeners(listeners)?;
    if image.nodes.get(&node).is_some_and(|known| known.listeners == listeners) {
        return Ok(None);
    }
    let command = Command::RegisterNode { node, listeners: listeners.to_vec(), origin };
    push(builder, &command).map(Some)
}

/// Decides a topic and adds its command.
///
/// # Errors
/// What a client is to be told.
pub fn propose_create_topic(
    decider: &mut Decider,
    metadata: &Metadata,
    topic: &NewTopic,
    id: TopicId,
    origin: AuditOrigin,
    builder: &mut CommandBuilder,
) -> Result<TopicPlan, Refusal> {
    let mut plan = validate_create_topic(decider, metadata, topic, id)?;
    let command = Command::CreateTopic {
        id: plan.id,
        name: plan.name.clone(),
        replication_factor: plan.replication_factor,
        configs: plan.configs.clone().into_iter().collect(),
        partitions: plan.partitions.clone(),
        origin,
    };
    plan.place = Some(push(builder, &command)?);
    decider.note_created(&plan);
    Ok(plan)
}

/// Decides a topic and changes nothing (`validate_only`).
///
/// # Errors
/// What a client is to be told.
pub fn validate_create_topic(
    decider: &Decider,
    metadata: &Metadata,
    topic: &NewTopic,
    id: TopicId,
) -> Result<TopicPlan, Refusal> {
    let image = &metadata.image;
    if !image.is_founded() {
        return Err(not_founded());
    }
    check_topic_name(&topic.name)?;
    if let Some((existing, _)) = decider.holder(metadata, &topic.name) {
        return Err(taken(&topic.name, existing));
    }
    let configs = check_new_topic_configs(image, &topic.configs)?;
    let load =
        |shard: ShardId| metadata.load(shard) + decider.load.get(&shard).copied().unwrap_or(0);
    let (replication_factor, partitions) = if topic.assignment.is_empty() {
        let partitions = check_partitions(topic.partitions)?;
        let factor = check_replication_factor(topic.replication_factor, image.nodes.len())?;
        (factor, place_partitions(image, load, factor, partitions)?)
    } else {
        if topic.partitions != -1 || topic.replication_factor != -1 {
            return Err(Refusal::new(
                Reason::InvalidRequest,
                "an assignment and a number of partitions or replicas are both given; give -1 for \
                 both numbers, or no assignment",
            ));
        }
        check_partitions(i32::try_from(topic.assignment.len()).unwrap_or(i32::MAX))?;
        place_assigned(image, load, &topic.assignment)?
    };
    if id == TopicId::default() || image.topics_by_id.contains_key(&id) {
        return Err(Refusal::new(
            Reason::InvalidRequest,
            format!("the topic id {id} is zero or in use; draw another and retry"),
        ));
    }
    Ok(TopicPlan {
        place: None,
        id,
        name: topic.name.clone(),
        replication_factor,
        configs,
        partitions,
    })
}

/// Decides a deletion and adds its command. The name is free for whatever is decided next.
///
/// # Errors
/// What a client is to be told.
pub fn propose_delete_topic(
    decider: &mut Decider,
    metadata: &Metadata,
    topic: &TopicRef,
    origin: AuditOrigin,
    builder: &mut CommandBuilder,
) -> Result<DeletePlan, Refusal> {
    if !metadata.image.is_founded() {
        return Err(not_founded());
    }
    let (id, name) = match topic {
        TopicRef::Name(name) => match decider.holder(metadata, name) {
            Some((existing, id)) if existing == name => (id, name.clone()),
            _ => return Err(unknown_topic(name)),
        },
        TopicRef::Id(id) => {
            let pending = decider.created.values().find(|pending| pending.id == *id);
            let known = metadata.image.topics_by_id.get(id);
            let name = pending.map(|p| &p.name).or(known.map(|topic| &topic.name));
            match name {
                Some(name) if !decider.deleted.contains(id) => (*id, name.clone()),
                _ => return Err(unknown_topic_id(*id)),
            }
        }
    };
    let place = push(builder, &Command::DeleteTopic { id, name: name.clone(), origin })?;
    decider.settle_created(id);
    decider.forget_changes(id);
    decider.deleted.insert(id);
    Ok(DeletePlan { place, id, name })
}

/// Takes the next block of producer ids for a node and says its place in the entry.
///
/// # Errors
/// When there is no cluster, or 2^63 ids have been given out.
pub fn propose_allocate_producer_ids(
    decider: &mut Decider,
    metadata: &Metadata,
    node: NodeId,
    builder: &mut CommandBuilder,
) -> Result<(usize, ProducerIdBlock), Refusal> {
    if !metadata.image.is_founded() {
        return Err(not_founded());
    }
    let first = decider.next_producer_id.unwrap_or(0).max(metadata.next_producer_id);
    let Some(next) = first.checked_add(i64::from(PRODUCER_ID_BLOCK)) else {
        return Err(Refusal::new(Reason::InvalidRequest, "all producer ids have been given out"));
    };
    let count = PRODUCER_ID_BLOCK;
    let place = push(builder, &Command::AllocateProducerIds { node, first, count })?;
    decider.next_producer_id = Some(next);
    Ok((place, ProducerIdBlock { first, count }))
}

pub(crate) fn unknown_topic(name: &str) -> Refusal {
    Refusal::new(
        Reason::UnknownTopic,
        format!(
            "there is no topic named '{}'; list the topics to see their names",
            crate::codec::cut(name, 249).escape_debug()
        ),
    )
}

pub(crate) fn push(builder: &mut CommandBuilder, command: &Command) -> Result<usize, Refusal> {
    builder.push(command).ok_or_else(|| {
        Refusal::new(
            Reason::InvalidRequest,
            "the request does not fit into one entry of 4 MiB; split it into smaller ones",
        )
    })
}

fn check_partitions(asked: i32) -> Result<u32, Refusal> {
    let partitions = if asked == -1 { DEFAULT_PARTITIONS } else { asked };
    if (1..=PARTITIONS_PER_TOPIC_MAX).contains(&partitions) {
        Ok(partitions as u32)
    } else {
        Err(Refusal::new(
            Reason::InvalidPartitions,
            format!(
                "a topic cannot have {asked} partitions; give 1 to {PARTITIONS_PER_TOPIC_MAX}, or \
                 -1 for {DEFAULT_PARTITIONS}"
            ),
        ))
    }
}

fn check_replication_factor(asked: i16, nodes: usize) -> Result<u16, Refusal> {
    let refuse = |why: String| Err(Refusal::new(Reason::InvalidReplicationFactor, why));
    match asked {
        -1 => Ok(default_replication_factor(nodes)),
        1.. if asked as usize <= nodes => Ok(asked as u16),
        1.. => refuse(format!(
            "replication factor {asked} is larger than the number of nodes, {nodes}; give at most \
             that, or -1 for {}",
            default_replication_factor(nodes)
        )),
        _ => refuse(format!("replication factor {asked} is not possible; give 1 or more, or -1")),
    }
}

/// Refuses what clients could not connect to.
fn check_listeners(listeners: &[Listener]) -> Result<(), Refusal> {
    let refuse = |why: String| Err(Refusal::new(Reason::InvalidRequest, why));
    let mut names = BTreeSet::new();
    for Listener { name, host, port } in listeners {
        if !names.insert(name) {
            return refuse(format!("the listener '{name}' is advertised twice; give one address"));
        }
        if host.is_empty() || host == "0.0.0.0" || host == "::" || host == "[::]" || *port == 0 {
            return refuse(format!(
                "the listener '{name}' would advertise '{host}:{port}', which no client can reach; \
                 advertise a host name or address and a port"
            ));
        }
    }
    Ok(())
}
