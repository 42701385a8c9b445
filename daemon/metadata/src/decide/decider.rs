//! What was decided and is not applied yet: speculation of the leader of shard 0.
//!
//! ```text
//! name is free  =  not in created  and  (not in metadata, or its id in deleted)
//! partitions    =  those applied or on their way to be created, then grown
//! configuration =  configs, else as applied or on its way to be created
//! ```
//!
//! Rows go when what they tell of is applied or refused. A row too few is harmless: what is then
//! decided wrongly is refused at apply.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use holdfast_base::{ShardId, TopicId};

use super::{TopicPlan, unknown_topic};
use crate::command::ConfigTarget;
use crate::image::Placement;
use crate::name::collision_key;
use crate::refusal::Refusal;
use crate::state::{CommandOutcome, Metadata};

/// What was decided and is not applied yet.
#[derive(Clone, Debug, Default)]
pub struct Decider {
    /// By collision key; at most one topic each.
    pub(super) created: BTreeMap<String, PendingTopic>,
    pub(super) deleted: BTreeSet<TopicId>,
    pub(crate) grown: BTreeMap<TopicId, PendingGrowth>,
    pub(crate) configs: BTreeMap<ConfigTarget, PendingConfigs>,
    /// Partitions on their way to a shard.
    pub(crate) load: BTreeMap<ShardId, u64>,
    pub(super) next_producer_id: Option<i64>,
}

#[derive(Clone, Debug)]
pub(super) struct PendingTopic {
    pub(super) id: TopicId,
    pub(super) name: String,
    replication_factor: u16,
    configs: BTreeMap<String, String>,
    partitions: Vec<Placement>,
}

/// New partitions of a topic, all calls in flight together.
#[derive(Clone, Debug)]
pub(crate) struct PendingGrowth {
    /// The number of the first of them.
    pub(crate) first: usize,
    pub(crate) added: VecDeque<Placement>,
}

/// What a resource's configuration will be.
#[derive(Clone, Debug)]
pub(crate) struct PendingConfigs {
    /// Commands in flight; the row goes with the last of them.
    pub(crate) commands: u32,
    pub(crate) after: BTreeMap<String, String>,
}

/// A topic as decided: applied or on its way.
pub(crate) struct FoundTopic<'a> {
    pub(crate) id: TopicId,
    pub(crate) replication_factor: u16,
    pub(crate) partitions: usize,
    pub(crate) configs: &'a BTreeMap<String, String>,
}

impl Decider {
    /// Nothing decided: the state at every change of role.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Forgets everything. Call it at every change of role and when an entry built with this
    /// decider was not proposed.
    pub fn reset(&mut self) {
        *self = Self::default();
    }

    /// Takes note that a command was applied here. Harmless for commands decided elsewhere.
    pub fn settle(&mut self, outcome: &CommandOutcome) {
        match outcome {
            CommandOutcome::TopicCreated(topic) => self.settle_created(topic.id),
            CommandOutcome::TopicDeleted(topic) => {
                self.forget_changes(topic.id);
                self.deleted.remove(&topic.id);
            }
            CommandOutcome::TopicGrown(topic) => {
                self.settle_grown(topic.id, topic.partitions.len())
            }
            CommandOutcome::ConfigsSet { target } => {
                if let Some(pending) = self.configs.get_mut(target) {
                    pending.commands -= 1;
                    if pending.commands == 0 {
                        self.configs.remove(target);
                    }
                }
            }
            // What was decided upon a refused command is refused as well.
            CommandOutcome::Refused { topic: Some(id), .. } => {
                self.settle_created(*id);
                self.forget_changes(*id);
                self.deleted.remove(id);
            }
            CommandOutcome::Refused { topic: None, .. } => {
                self.next_producer_id = None;
                self.configs.retain(|target, _| matches!(target, ConfigTarget::Topic(_)));
            }
            CommandOutcome::Founded
            | CommandOutcome::NodeRegistered(_)
            | CommandOutcome::ProducerIds(_) => {}
        }
    }

    /// The topic is no longer on its way: applied, refused or deleted.
    pub(super) fn settle_created(&mut self, id: TopicId) {
        let load = &mut self.load;
        self.created.retain(|_, pending| {
            if pending.id == id {
                for placement in &pending.partitions {
                    if let Some(load) = load.get_mut(&placement.shard) {
                        *load = load.saturating_sub(1);
                    }
                }
            }
            pending.id != id
        });
    }

    /// The topic has its first `partitions` now.
    fn settle_grown(&mut self, id: TopicId, partitions: usize) {
        let Some(growth) = self.grown.get_mut(&id) else { return };
        while growth.first < partitions
            && let Some(placement) = growth.added.pop_front()
        {
            growth.first += 1;
            if let Some(load) = self.load.get_mut(&placement.shard) {
                *load = load.saturating_sub(1);
            }
        }
        if growth.added.is_empty() {
            self.grown.remove(&id);
        }
    }

    pub(super) fn forget_changes(&mut self, id: TopicId) {
        self.settle_grown(id, usize::MAX);
        self.configs.remove(&ConfigTarget::Topic(id));
    }

    /// The topic of that name as it will be once everything decided is applied.
    pub(crate) fn find<'a>(
        &'a self,
        metadata: &'a Metadata,
        name: &str,
    ) -> Result<FoundTopic<'a>, Refusal> {
        let id = match self.holder(metadata, name) {
            Some((existing, id)) if existing == name => id,
            _ => return Err(unknown_topic(name)),
        };
        let pending = self.created.values().find(|pending| pending.id == id);
        let (replication_factor, partitions, configs) = match pending {
            Some(topic) => (topic.replication_factor, topic.partitions.len(), &topic.configs),
            None => match metadata.image.topics_by_id.get(&id) {
                Some(topic) => (topic.replication_factor, topic.partitions.len(), &topic.configs),
                None => return Err(unknown_topic(name)),
            },
        };
        let grown = self.grown.get(&id).map(|growth| growth.first + growth.added.len());
        let altered = self.configs.get(&ConfigTarget::Topic(id)).map(|pending| &pending.after);
        Ok(FoundTopic {
            id,
            replication_factor,
            partitions: grown.unwrap_or(partitions),
            configs: altered.unwrap_or(configs),
        })
    }

    pub(super) fn note_created(&mut self, plan: &TopicPlan) {
        let pending = PendingTopic {
            id: plan.id,
            name: plan.name.clone(),
            replication_factor: plan.replication_factor,
            configs: plan.configs.clone(),
            partitions: plan.partitions.clone(),
        };
        self.created.insert(collision_key(&plan.name), pending);
        for placement in &plan.partitions {
            *self.load.entry(placement.shard).or_default() += 1;
        }
    }

    /// The name and id of what stands in the way of `name`.
    pub(super) fn holder<'a>(
        &'a self,
        metadata: &'a Metadata,
        name: &str,
    ) -> Option<(&'a str, TopicId)> {
        if let Some(pending) = self.created.get(&collision_key(name)) {
            return Some((&pending.name, pending.id));
        }
        let topic = metadata.colliding(name)?;
        (!self.deleted.contains(&topic.id)).then_some((&topic.name, topic.id))
    }
}
