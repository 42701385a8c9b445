//! Creating, growing and deleting topics.
//!
//! ```text
//! create: shard 0 commits the topic and its audit record ─▶ image ─▶ every partition's shard
//!         commits it (reconcile) ─▶ answered, so that create-then-produce works at once
//! grow:   the same
//! delete: shard 0 commits ─▶ answered; the name is free; the shards drop the partitions after
//! ```

use holdfast_base::{Now, PartitionKey, Rng, ShardId, TopicId};
use holdfast_io::Disk;
use holdfast_metadata::{
    AuditOrigin, CommandBuilder, Metadata, NewTopic, Topic, TopicPlan, TopicRef,
    propose_create_partitions, propose_create_topic, propose_delete_topic,
    validate_create_partitions, validate_create_topic,
};

use super::Lane;
use crate::calls::Slot;
use crate::machines::metadata_shard;
use crate::request::{
    AdminReason, AdminRefusal, CreateTopic, CreatedTopic, DeleteTopic, GrowTopic, Origin, Ticket,
};

/// A topic that shard 0 has and whose partitions are not all there yet.
#[derive(Debug)]
pub(super) struct Creation {
    ticket: Ticket,
    part: usize,
    /// `None` when a topic that was there got more partitions.
    created: Option<CreatedTopic>,
    missing: Vec<(ShardId, PartitionKey)>,
    /// Boottime at which the answer is "it may have happened", 0 until first looked at.
    deadline_ns: u64,
}

/// How long the shards may take to create a topic's partitions before the client is told to look
/// for itself. Below Kafka's default `request.timeout.ms` of 30 s.
const CREATION_LIMIT_NS: u64 = 20_000_000_000;

impl<D: Disk> Lane<D> {
    pub(super) fn create_topics(
        &mut self,
        ticket: Ticket,
        topics: Vec<CreateTopic>,
        origin: &Origin,
        now: Now,
    ) {
        self.calls.open_create_topics(ticket, topics.len());
        let mut builder = CommandBuilder::new();
        let mut slots = Vec::new();
        for (part, topic) in topics.into_iter().enumerate() {
            match self.decide_creation(topic, origin, &mut builder) {
                Ok(TopicPlan { place: Some(place), .. }) => {
                    slots.push((place, Slot::CreateTopic { ticket, part }));
                }
                Ok(plan) => {
                    let created =
                        created(TopicId::default(), &plan.partitions, plan.replication_factor);
                    self.calls.fill_create_topic(ticket, part, Ok(created));
                }
                Err(refusal) => self.calls.fill_create_topic(ticket, part, Err(refusal)),
            }
        }
        if !builder.is_empty() {
            self.propose_metadata(builder.finish(), slots, now);
        }
    }

    pub(super) fn delete_topics(
        &mut self,
        ticket: Ticket,
        topics: Vec<DeleteTopic>,
        origin: &Origin,
        now: Now,
    ) {
        self.calls.open_delete_topics(ticket, topics.len());
        let mut builder = CommandBuilder::new();
        let mut slots = Vec::new();
        for (part, topic) in topics.into_iter().enumerate() {
            let topic = match topic {
                DeleteTopic::Name(name) => TopicRef::Name(name),
                DeleteTopic::Id(id) => TopicRef::Id(id),
            };
            let plan = self.deciding_metadata().and_then(|(decider, metadata)| {
                propose_delete_topic(decider, metadata, &topic, audit(origin), &mut builder)
                    .map_err(|refusal| (&refusal).into())
            });
            match plan {
                Ok(plan) => {
                    let slot = Slot::DeleteTopic { ticket, part, id: plan.id, name: plan.name };
                    slots.push((plan.place, slot));
                }
                Err(refusal) => self.calls.fill_delete_topic(ticket, part, Err(refusal)),
            }
        }
        if !builder.is_empty() {
            self.propose_metadata(builder.finish(), slots, now);
        }
    }

    pub(super) fn create_partitions(
        &mut self,
        ticket: Ticket,
        topics: Vec<GrowTopic>,
        origin: &Origin,
        now: Now,
    ) {
        self.calls.open_create_partitions(ticket, topics.len());
        let mut builder = CommandBuilder::new();
        let mut slots = Vec::new();
        for (part, topic) in topics.into_iter().enumerate() {
            let GrowTopic { name, total, assignment, validate_only } = topic;
            let grow = holdfast_metadata::GrowTopic { name, total, assignment };
            let plan = self.deciding_metadata().and_then(|(decider, metadata)| {
                let plan = if validate_only {
                    validate_create_partitions(decider, metadata, &grow)
                } else {
                    let origin = audit(origin);
                    propose_create_partitions(decider, metadata, &grow, origin, &mut builder)
                };
                plan.map_err(|refusal| (&refusal).into())
            });
            match plan.map(|plan| plan.place) {
                Ok(Some(place)) => slots.push((place, Slot::CreatePartitions { ticket, part })),
                Ok(None) => self.calls.fill_create_partitions(ticket, part, Ok(())),
                Err(refusal) => self.calls.fill_create_partitions(ticket, part, Err(refusal)),
            }
        }
        if !builder.is_empty() {
            self.propose_metadata(builder.finish(), slots, now);
        }
    }

    /// What a decision about shard 0 needs, while this node leads it.
    pub(super) fn deciding_metadata(
        &mut self,
    ) -> Result<(&mut holdfast_metadata::Decider, &Metadata), AdminRefusal> {
        let decider = self.metadata_decider.as_mut().ok_or_else(not_controller)?;
        let metadata = metadata_shard(&self.driver).ok_or_else(not_controller)?;
        Ok((decider, metadata))
    }

    fn decide_creation(
        &mut self,
        topic: CreateTopic,
        origin: &Origin,
        builder: &mut CommandBuilder,
    ) -> Result<TopicPlan, AdminRefusal> {
        let id = self.draw_topic_id();
        let (decider, metadata) = self.deciding_metadata()?;
        let new = NewTopic {
            name: topic.name,
            partitions: topic.partitions,
            replication_factor: topic.replication_factor,
            assignment: topic.assignment,
            configs: topic.configs,
        };
        let plan = if topic.validate_only {
            validate_create_topic(decider, metadata, &new, id)
        } else {
            propose_create_topic(decider, metadata, &new, id, audit(origin), builder)
        };
        plan.map_err(|refusal| (&refusal).into())
    }

    /// A version 4 UUID (RFC 9562), which is never all zero.
    fn draw_topic_id(&mut self) -> TopicId {
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&self.rng.next_u64().to_le_bytes());
        bytes[8..].copy_from_slice(&self.rng.next_u64().to_le_bytes());
        bytes[6] = (bytes[6] & 0x0f) | 0x40;
        bytes[8] = (bytes[8] & 0x3f) | 0x80;
        TopicId(bytes)
    }

    /// Shard 0 has the topic; the answer waits for its partitions.
    pub(super) fn await_topic(&mut self, ticket: Ticket, part: usize, topic: &Topic) {
        let created = created(topic.id, &topic.partitions, topic.replication_factor);
        self.await_partitions(ticket, part, topic, Some(created));
    }

    /// The same for a topic that grew.
    pub(super) fn await_growth(&mut self, ticket: Ticket, part: usize, topic: &Topic) {
        self.await_partitions(ticket, part, topic, None);
    }

    fn await_partitions(
        &mut self,
        ticket: Ticket,
        part: usize,
        topic: &Topic,
        created: Option<CreatedTopic>,
    ) {
        let key = |partition: usize| PartitionKey {
            topic: topic.id,
            partition: i32::try_from(partition).expect("a topic has at most 10,000 partitions"),
        };
        let missing = topic
            .partitions
            .iter()
            .enumerate()
            .map(|(partition, placement)| (placement.shard, key(partition)))
            .collect();
        self.creations.push(Creation { ticket, part, created, missing, deadline_ns: 0 });
    }

    /// Answers creations whose partitions are all there, and those whose time is up.
    pub(super) fn answer_creations(&mut self, now: Now) {
        let mut creations = std::mem::take(&mut self.creations);
        creations.retain_mut(|creation| {
            creation.missing.retain(|(shard, key)| {
                self.shard(*shard).is_none_or(|state| state.partition(key).is_none())
            });
            if creation.deadline_ns == 0 {
                creation.deadline_ns = now.boottime_ns.saturating_add(CREATION_LIMIT_NS);
            }
            let result = if creation.missing.is_empty() {
                Ok(())
            } else if now.boottime_ns >= creation.deadline_ns {
                Err(AdminRefusal {
                    reason: AdminReason::TimedOut,
                    message: format!(
                        "the topic exists, but {} of its partitions are not ready yet; describe \
                         it before trying again",
                        creation.missing.len()
                    ),
                })
            } else {
                return true;
            };
            let (ticket, part) = (creation.ticket, creation.part);
            match creation.created.take() {
                Some(created) => {
                    self.calls.fill_create_topic(ticket, part, result.map(|()| created));
                }
                None => self.calls.fill_create_partitions(ticket, part, result),
            }
            false
        });
        creations.append(&mut self.creations);
        self.creations = creations;
    }
}

fn created(
    id: TopicId,
    partitions: &[holdfast_metadata::Placement],
    replication_factor: u16,
) -> CreatedTopic {
    CreatedTopic {
        id,
        partitions: i32::try_from(partitions.len()).unwrap_or(i32::MAX),
        replication_factor: i16::try_from(replication_factor).unwrap_or(i16::MAX),
    }
}

pub(super) fn audit(origin: &Origin) -> AuditOrigin {
    AuditOrigin {
        principal: origin.principal.clone(),
        host: origin.host.clone(),
        client_id: origin.client_id.clone(),
    }
}

pub(super) fn not_controller() -> AdminRefusal {
    AdminRefusal {
        reason: AdminReason::NotController,
        message: "this node does not lead the metadata shard now; try again".to_owned(),
    }
}
