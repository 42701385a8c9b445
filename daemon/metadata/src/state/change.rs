//! Applying changes of what is there: more partitions, other configuration.
//!
//! Both commands say what they were decided on, a number of partitions or the digest of a
//! configuration, and are refused when that is no longer so.

use std::collections::BTreeMap;
use std::sync::Arc;

use holdfast_base::TopicId;

use super::{CommandOutcome, Metadata, unknown_node, unknown_topic_id};
use crate::command::{ConfigTarget, configs_digest};
use crate::decide::PARTITIONS_PER_TOPIC_MAX;
use crate::image::{ConfigResource, Placement, Topic};
use crate::refusal::{Reason, Refusal};

impl Metadata {
    pub(super) fn grow_topic(
        &mut self,
        id: TopicId,
        total: u32,
        added: Vec<Placement>,
    ) -> Result<(CommandOutcome, bool), Refusal> {
        let Some(topic) = self.image.topics_by_id.get(&id) else {
            return Err(unknown_topic_id(id));
        };
        let before = topic.partitions.len();
        if added.is_empty()
            || before.checked_add(added.len()) != Some(total as usize)
            || total > PARTITIONS_PER_TOPIC_MAX as u32
        {
            return Err(Refusal::new(
                Reason::InvalidPartitions,
                format!(
                    "the topic has {before} partitions; {} more, to be {total}, were decided when \
                     it had another number; retry",
                    added.len()
                ),
            ));
        }
        let mut grown = Topic::clone(topic);
        self.take_partitions(&added, grown.replication_factor)?;
        grown.partitions.extend(added);
        let grown = Arc::new(grown);
        self.insert_topic(Arc::clone(&grown));
        Ok((CommandOutcome::TopicGrown(grown), true))
    }

    pub(super) fn set_configs(
        &mut self,
        target: ConfigTarget,
        before: u64,
        after: BTreeMap<String, String>,
    ) -> Result<(CommandOutcome, bool), Refusal> {
        let nothing = BTreeMap::new();
        let current = match &target {
            ConfigTarget::Topic(id) => match self.image.topics_by_id.get(id) {
                Some(topic) => &topic.configs,
                None => return Err(unknown_topic_id(*id)),
            },
            ConfigTarget::Other(resource) => {
                if let ConfigResource::Broker(node) = resource
                    && !self.image.nodes.contains_key(node)
                {
                    return Err(unknown_node(*node));
                }
                self.image.configs.get(resource).unwrap_or(&nothing)
            }
        };
        if configs_digest(current.iter()) != before {
            return Err(Refusal::new(
                Reason::InvalidRequest,
                "the configuration was changed by somebody else meanwhile; look at it and retry",
            ));
        }
        let changed = *current != after;
        match &target {
            _ if !changed => {}
            ConfigTarget::Topic(id) => {
                if let Some(topic) = self.image.topics_by_id.get(id) {
                    let topic = Topic { configs: after, ..Topic::clone(topic) };
                    self.insert_topic(Arc::new(topic));
                }
            }
            ConfigTarget::Other(resource) => {
                let configs = Arc::make_mut(&mut self.image.configs);
                if after.is_empty() {
                    configs.remove(resource);
                } else {
                    configs.insert(resource.clone(), after);
                }
            }
        }
        Ok((CommandOutcome::ConfigsSet { target }, changed))
    }
}
