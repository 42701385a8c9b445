//! The state machine of shard 0.
//!
//! Apply is total and closed: every decodable command has a result, a refusal is a result, and it
//! reads its entry and this state, nothing else. Rules that depend on the *state* (is the name
//! taken, is the shard there) are checked again here, because what was decided may have been
//! overtaken. Rules that depend on the *request* alone (characters of a name, values of a
//! configuration) are not: another version may judge them differently, and all replicas must
//! come to the same result.
//!
//! ```text
//! invariants   topics_by_name, topics_by_id, collision_keys hold the same topics
//!              load[shard] = partitions of all topics on that shard
//!              every partition's shard exists and is not shard 0
//!              a slot's shard exists and is not shard 0; no resource has an empty map of settings
//!              next_replica, next_shard > every id ever given;  producer ids < next_producer_id
//!              rolling = f(rolling before, entry, outcomes, audit head)
//! ```

mod about;
mod change;

use std::collections::BTreeMap;
use std::sync::Arc;

use holdfast_base::{Index, NodeId, ReplicaId, ShardId, Term, TopicId};
use sha2::{Digest, Sha256};
use thiserror::Error;

use crate::audit::{AUDIT_RECORDS_MAX, AuditLog, AuditOutcome, AuditRecord, Unchained};
use crate::command::{Command, ConfigTarget};
use crate::decide::{PARTITIONS_PER_TOPIC_MAX, ProducerIdBlock};
use crate::image::{Genesis, Image, Listener, Node, Placement, Topic};
use crate::name::{collision_key, taken};
use crate::placement::place_slots;
use crate::refusal::{Reason, Refusal};
use about::About;

/// What the driver knows of an entry.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct EntryFacts {
    /// Its place.
    pub index: Index,
    /// Its term.
    pub term: Term,
    /// The deciding leader's clock, never less than the entry before.
    pub time_ms: i64,
}

/// This replica's state or log cannot be right: it must be quarantined, not the process.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
#[error(
    "shard 0, entry {index}: {detail}; this replica stops here, keep its files and replace it \
     from another one"
)]
pub struct BrokenInvariant {
    /// The entry at which it showed.
    pub index: Index,
    /// What is wrong.
    pub detail: String,
}

/// What an entry did.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Applied {
    /// One per command, in their order.
    pub outcomes: Vec<CommandOutcome>,
    /// Whether nodes, shards or topics are others than before.
    pub image_changed: bool,
}

/// What a command did.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum CommandOutcome {
    /// The cluster is founded.
    Founded,
    /// The node is known under these listeners.
    NodeRegistered(NodeId),
    /// The topic is there; its shards have yet to be told.
    TopicCreated(Arc<Topic>),
    /// The topic is gone and its name free; its shards have yet to be told.
    TopicDeleted(Arc<Topic>),
    /// The topic has more partitions now; their shards have yet to be told.
    TopicGrown(Arc<Topic>),
    /// The resource has another configuration now.
    ConfigsSet {
        /// Which.
        target: ConfigTarget,
    },
    /// The block is given out.
    ProducerIds(ProducerIdBlock),
    /// Nothing changed.
    Refused {
        /// The topic it was about.
        topic: Option<TopicId>,
        /// Why.
        refusal: Refusal,
    },
}

/// Shard 0's state.
#[derive(Clone, Debug)]
pub struct Metadata {
    pub(crate) image: Image,
    /// The term of the last entry applied.
    pub(crate) term: Term,
    /// `collision_key(name)` of every topic.
    pub(crate) collision_keys: BTreeMap<String, TopicId>,
    /// Partitions per shard.
    pub(crate) load: BTreeMap<ShardId, u64>,
    pub(crate) next_replica: ReplicaId,
    pub(crate) next_shard: ShardId,
    pub(crate) next_producer_id: i64,
    pub(crate) rolling: [u8; 32],
    pub(crate) audit: AuditLog,
}

impl Default for Metadata {
    fn default() -> Self {
        Metadata::new()
    }
}

impl Metadata {
    /// Before the first entry.
    #[must_use]
    pub fn new() -> Self {
        Metadata {
            image: Image::default(),
            term: Term(0),
            collision_keys: BTreeMap::new(),
            load: BTreeMap::new(),
            next_replica: ReplicaId(1),
            next_shard: ShardId(1),
            next_producer_id: 0,
            rolling: [0; 32],
            audit: AuditLog::new(AUDIT_RECORDS_MAX),
        }
    }

    /// Applies one committed entry. Entries without commands (a leader's empty entry, one decided
    /// in another term) only move `applied`; giving them here or leaving them out is the same for
    /// [`Metadata::hash`].
    ///
    /// # Errors
    /// When entries come out of order or cannot be decoded. The state is then as before.
    pub fn apply(
        &mut self,
        entry: EntryFacts,
        commands: &[u8],
    ) -> Result<Applied, BrokenInvariant> {
        let broken = |detail: String| BrokenInvariant { index: entry.index, detail };
        if entry.index <= self.image.applied {
            return Err(broken(format!("entry {} was applied before", self.image.applied)));
        }
        if entry.term < self.term {
            return Err(broken(format!("term {} follows term {}", entry.term, self.term)));
        }
        if entry.time_ms < self.image.as_of_ms && self.image.applied != Index(0) {
            return Err(broken(format!(
                "its time {} ms is before {} ms of the entry before",
                entry.time_ms, self.image.as_of_ms
            )));
        }
        let decoded = Command::decode_all(commands)
            .map_err(|error| broken(format!("its commands cannot be decoded, {error}")))?;

        self.image.applied = entry.index;
        self.image.as_of_ms = entry.time_ms;
        self.term = entry.term;
        let mut applied = Applied { outcomes: Vec::new(), image_changed: false };
        for (place, (command, bytes)) in decoded.into_iter().enumerate() {
            let about = About::of(&command);
            let topic = command.topic();
            let result = self.execute(entry, command);
            if let Some(About { operation, origin, resource, detail }) = about {
                self.audit.append(Unchained {
                    index: entry.index,
                    term: entry.term,
                    time_ms: entry.time_ms,
                    place: place as u32,
                    origin: &origin,
                    operation,
                    resource,
                    detail,
                    command: bytes,
                    outcome: match &result {
                        Ok(_) => AuditOutcome::Done,
                        Err(refusal) => AuditOutcome::Refused(refusal.clone()),
                    },
                });
            }
            applied.outcomes.push(match result {
                Ok((outcome, changed)) => {
                    applied.image_changed |= changed;
                    outcome
                }
                Err(refusal) => CommandOutcome::Refused { topic, refusal },
            });
        }
        if !commands.is_empty() {
            self.roll(entry, commands, &applied);
        }
        Ok(applied)
    }

    /// What every node reads. Costs a few reference counts.
    #[must_use]
    pub fn image(&self) -> Arc<Image> {
        Arc::new(self.image.clone())
    }

    /// Equal on replicas that applied the same entries to the same effect; compared among them.
    #[must_use]
    pub fn hash(&self) -> u64 {
        let mut first = [0; 8];
        first.copy_from_slice(&self.rolling[..8]);
        u64::from_le_bytes(first)
    }

    /// The last audit records, oldest first.
    pub fn audit(&self) -> impl DoubleEndedIterator<Item = &AuditRecord> + ExactSizeIterator {
        self.audit.iter()
    }

    /// The audit records with the ends of their chain.
    #[must_use]
    pub fn audit_log(&self) -> &AuditLog {
        &self.audit
    }

    /// The last entry applied.
    #[must_use]
    pub fn applied(&self) -> Index {
        self.image.applied
    }

    /// The first producer id not given out.
    #[must_use]
    pub fn next_producer_id(&self) -> i64 {
        self.next_producer_id
    }

    /// Partitions on a shard.
    #[must_use]
    pub fn load(&self, shard: ShardId) -> u64 {
        self.load.get(&shard).copied().unwrap_or(0)
    }

    /// The topic that has this name or one that differs only in '.' and '_'.
    pub(crate) fn colliding(&self, name: &str) -> Option<&Arc<Topic>> {
        self.image.topics_by_id.get(self.collision_keys.get(&collision_key(name))?)
    }

    /// The outcome, and whether the image changed.
    fn execute(
        &mut self,
        entry: EntryFacts,
        command: Command,
    ) -> Result<(CommandOutcome, bool), Refusal> {
        if !self.image.is_founded() && !matches!(command, Command::Genesis(..)) {
            return Err(not_founded());
        }
        match command {
            Command::Genesis(genesis, _) => self.found(genesis),
            Command::RegisterNode { node, listeners, .. } => {
                Ok(self.register_node(node, listeners))
            }
            Command::CreateTopic { id, name, replication_factor, configs, partitions, .. } => {
                let configs = configs.into_iter().collect();
                let created_at_ms = entry.time_ms;
                self.create_topic(Topic {
                    id,
                    name,
                    replication_factor,
                    configs,
                    partitions,
                    created_at_ms,
                })
            }
            Command::DeleteTopic { id, .. } => self.delete_topic(id),
            Command::AllocateProducerIds { first, count, .. } => {
                self.allocate_producer_ids(ProducerIdBlock { first, count })
            }
            Command::CreatePartitions { id, total, added, .. } => self.grow_topic(id, total, added),
            Command::SetConfigs { target, before, after, .. } => {
                self.set_configs(target, before, after.into_iter().collect())
            }
        }
    }

    fn found(&mut self, genesis: Genesis) -> Result<(CommandOutcome, bool), Refusal> {
        if self.image.is_founded() {
            return Err(Refusal::new(
                Reason::InvalidRequest,
                format!("the cluster is founded already, as {}", self.image.cluster),
            ));
        }
        genesis.check()?;
        let replicas = genesis.shards.values().flat_map(|shard| &shard.replicas);
        let last_replica = replicas.map(|(replica, _)| replica.0).max().unwrap_or(0);
        let last_shard = genesis.shards.keys().map(|shard| shard.0).max().unwrap_or(0);
        self.next_replica = ReplicaId(last_replica + 1);
        self.next_shard = ShardId(last_shard + 1);
        self.image.cluster = genesis.cluster;
        self.image.nodes = Arc::new(genesis.nodes);
        self.image.coordinator_slots = Arc::new(place_slots(&genesis.shards));
        self.image.shards = Arc::new(genesis.shards);
        Ok((CommandOutcome::Founded, true))
    }

    fn register_node(&mut self, node: NodeId, listeners: Vec<Listener>) -> (CommandOutcome, bool) {
        let new = Node { listeners };
        let changed = self.image.nodes.get(&node) != Some(&new);
        if changed {
            Arc::make_mut(&mut self.image.nodes).insert(node, new);
        }
        (CommandOutcome::NodeRegistered(node), changed)
    }

    fn create_topic(&mut self, topic: Topic) -> Result<(CommandOutcome, bool), Refusal> {
        if let Some(existing) = self.colliding(&topic.name) {
            return Err(taken(&topic.name, &existing.name));
        }
        if topic.id == TopicId::default() || self.image.topics_by_id.contains_key(&topic.id) {
            return Err(Refusal::new(
                Reason::InvalidRequest,
                format!("the topic id {} is zero or in use; draw another and retry", topic.id),
            ));
        }
        if topic.partitions.is_empty() || topic.partitions.len() > PARTITIONS_PER_TOPIC_MAX as usize
        {
            return Err(Refusal::new(
                Reason::InvalidPartitions,
                format!("{} partitions were decided; retry", topic.partitions.len()),
            ));
        }
        self.take_partitions(&topic.partitions, topic.replication_factor)?;
        let topic = Arc::new(topic);
        self.insert_topic(Arc::clone(&topic));
        Ok((CommandOutcome::TopicCreated(topic), true))
    }

    /// Counts partitions towards the load of their shards, if all can go there.
    fn take_partitions(&mut self, partitions: &[Placement], factor: u16) -> Result<(), Refusal> {
        for Placement { shard, .. } in partitions {
            let found = self.image.shards.get(shard);
            let fits = found.is_some_and(|found| found.replication_factor == factor);
            if *shard == ShardId::METADATA || !fits {
                return Err(Refusal::new(
                    Reason::InvalidReplicaAssignment,
                    format!(
                        "shard {shard} cannot take partitions with replication factor {factor} \
                         any more; retry"
                    ),
                ));
            }
        }
        for Placement { shard, .. } in partitions {
            *self.load.entry(*shard).or_default() += 1;
        }
        Ok(())
    }

    /// Puts a topic into the three tables.
    pub(crate) fn insert_topic(&mut self, topic: Arc<Topic>) {
        self.collision_keys.insert(collision_key(&topic.name), topic.id);
        Arc::make_mut(&mut self.image.topics_by_name)
            .insert(topic.name.clone(), Arc::clone(&topic));
        Arc::make_mut(&mut self.image.topics_by_id).insert(topic.id, topic);
    }

    fn delete_topic(&mut self, id: TopicId) -> Result<(CommandOutcome, bool), Refusal> {
        if !self.image.topics_by_id.contains_key(&id) {
            return Err(unknown_topic_id(id));
        }
        let Some(topic) = Arc::make_mut(&mut self.image.topics_by_id).remove(&id) else {
            return Err(unknown_topic_id(id));
        };
        Arc::make_mut(&mut self.image.topics_by_name).remove(&topic.name);
        self.collision_keys.remove(&collision_key(&topic.name));
        for Placement { shard, .. } in &topic.partitions {
            if let Some(load) = self.load.get_mut(shard) {
                *load -= 1;
                if *load == 0 {
                    self.load.remove(shard);
                }
            }
        }
        Ok((CommandOutcome::TopicDeleted(topic), true))
    }

    /// A gap before the block is fine (an entry that was decided and lost); going back is not.
    fn allocate_producer_ids(
        &mut self,
        block: ProducerIdBlock,
    ) -> Result<(CommandOutcome, bool), Refusal> {
        let end = block.first.checked_add(i64::from(block.count));
        match end {
            Some(end) if block.first >= self.next_producer_id && block.count > 0 => {
                self.next_producer_id = end;
                Ok((CommandOutcome::ProducerIds(block), false))
            }
            _ => Err(Refusal::new(
                Reason::InvalidRequest,
                format!(
                    "producer ids {} and {} more are not behind {}; retry",
                    block.first, block.count, self.next_producer_id
                ),
            )),
        }
    }

    fn roll(&mut self, entry: EntryFacts, commands: &[u8], applied: &Applied) {
        let mut hasher = Sha256::new()
            .chain_update(self.rolling)
            .chain_update(entry.index.0.to_le_bytes())
            .chain_update(entry.term.0.to_le_bytes())
            .chain_update(entry.time_ms.to_le_bytes())
            .chain_update(commands);
        for outcome in &applied.outcomes {
            hasher.update(match outcome {
                CommandOutcome::Refused { refusal, .. } => [refusal.reason as u8],
                _ => [0],
            });
        }
        for slot in self.image.coordinator_slots.iter() {
            hasher.update(slot.shard.0.to_le_bytes());
            hasher.update(slot.generation.to_le_bytes());
        }
        self.rolling = hasher
            .chain_update((self.image.configs.len() as u64).to_le_bytes())
            .chain_update(self.audit.head())
            .chain_update(self.next_producer_id.to_le_bytes())
            .chain_update((self.image.topics_by_id.len() as u64).to_le_bytes())
            .chain_update((self.image.nodes.len() as u64).to_le_bytes())
            .finalize()
            .into();
    }
}

pub(crate) fn not_founded() -> Refusal {
    Refusal::new(
        Reason::InvalidRequest,
        "the cluster is not founded yet; wait for its first node to finish starting",
    )
}

pub(crate) fn unknown_node(node: NodeId) -> Refusal {
    Refusal::new(
        Reason::InvalidRequest,
        format!("node {node} is not in this cluster; describe the cluster to see its nodes"),
    )
}

pub(crate) fn unknown_topic_id(id: TopicId) -> Refusal {
    Refusal::new(
        Reason::UnknownTopicId,
        format!("no topic has the id {id}; it was deleted, or the id is of another cluster"),
    )
}
