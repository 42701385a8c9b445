//! Leading shard 0: founding the cluster, registering this node, giving out producer ids.

use holdfast_base::{Now, ShardId};
use holdfast_io::Disk;
use holdfast_metadata::{
    AuditOrigin, BrokerSettings, CommandBuilder, CommandOutcome, propose_allocate_producer_ids,
    propose_genesis, propose_register_node,
};
use holdfast_wal::Admission;

use super::groups::group_settings;
use super::replay::deleted_topics;
use super::{Lane, Pending};
use crate::calls::Slot;
use crate::machines::metadata_shard;
use crate::request::{AdminReason, AdminRefusal, Answer, Reason, Ticket};

impl<D: Disk> Lane<D> {
    /// This node has just begun to lead shard 0, or its state moved while it does.
    pub(super) fn lead_shard_zero(&mut self, now: Now) {
        if self.metadata_decider.is_none() {
            return;
        }
        if !self.image.is_founded() {
            let genesis = self.config.founding.genesis(self.config.node, &self.config.listeners);
            match propose_genesis(&self.image, genesis, self.own_origin()) {
                Ok(commands) => self.propose_metadata(commands, Vec::new(), now),
                Err(refusal) => tracing::error!(%refusal, "the cluster cannot be founded"),
            }
            return;
        }
        let mut builder = CommandBuilder::new();
        let (node, origin) = (self.config.node, self.own_origin());
        let listeners = &self.config.listeners;
        if let Err(refusal) =
            propose_register_node(&self.image, node, listeners, origin, &mut builder)
        {
            tracing::error!(%refusal, "this node's listeners cannot be registered");
        }
        if !builder.is_empty() {
            self.propose_metadata(builder.finish(), Vec::new(), now);
        }
    }

    pub(super) fn allocate_producer_ids(&mut self, ticket: Ticket, now: Now) {
        let metadata = metadata_shard(&self.driver);
        let (Some(decider), Some(metadata)) = (&mut self.metadata_decider, metadata) else {
            let refusal = self.refusal(ShardId::METADATA, 0, Reason::NotLeader);
            self.calls.answer(ticket, Answer::AllocateProducerIds(Err(refusal)));
            return;
        };
        let mut builder = CommandBuilder::new();
        match propose_allocate_producer_ids(decider, metadata, self.config.node, &mut builder) {
            Ok((place, _)) => {
                let slots = vec![(place, Slot::ProducerIds { ticket })];
                self.propose_metadata(builder.finish(), slots, now);
            }
            Err(refusal) => {
                tracing::warn!(%refusal, "no producer ids");
                let refusal = self.refusal(ShardId::METADATA, 0, Reason::NotLeader);
                self.calls.answer(ticket, Answer::AllocateProducerIds(Err(refusal)));
            }
        }
    }

    /// Proposes commands for shard 0; if that fails, nobody waits in vain and the decider starts
    /// again from what is applied.
    pub(super) fn propose_metadata(
        &mut self,
        commands: Vec<u8>,
        slots: Vec<(usize, Slot)>,
        now: Now,
    ) {
        let shard = ShardId::METADATA;
        match self.driver.propose(shard, &commands, Vec::new(), Admission::Reserve, now) {
            Ok(proposed) => {
                let pending = Pending { term: proposed.term, slots };
                self.pending.insert((shard, proposed.index), pending);
            }
            Err(error) => {
                if let Some(decider) = &mut self.metadata_decider {
                    decider.reset();
                }
                let refusal = self.proposal_refusal(shard, error);
                self.refuse_slots(shard, slots, &refusal);
            }
        }
    }

    pub(super) fn settle_metadata(
        &mut self,
        applied: holdfast_metadata::Applied,
        slots: Vec<(usize, Slot)>,
    ) {
        if let Some(decider) = &mut self.metadata_decider {
            for outcome in &applied.outcomes {
                decider.settle(outcome);
            }
        }
        let known = self.deleted_topics.len();
        self.deleted_topics.extend(deleted_topics(&applied));
        if self.deleted_topics.len() > known {
            self.leading.values_mut().for_each(|leading| leading.topics_went = true);
        }
        if applied.image_changed
            && let Some(metadata) = self.metadata()
        {
            self.image = metadata.image();
            self.take_settings();
            self.publish = true;
            self.reconcile = true;
        }
        for (place, slot) in slots {
            let Some(outcome) = applied.outcomes.get(place) else { continue };
            self.answer_metadata(slot, outcome);
        }
    }

    /// Settings of nodes may have changed: coordinators hear of it.
    pub(super) fn take_settings(&mut self) {
        let settings = BrokerSettings::of(&self.image, &self.config.facts);
        if self.settings != settings {
            self.settings = settings;
            let groups = group_settings(&settings);
            for leading in self.leading.values_mut() {
                leading.coordinator.set_settings(groups.clone());
            }
        }
    }

    fn answer_metadata(&mut self, slot: Slot, outcome: &CommandOutcome) {
        match (slot, outcome) {
            (Slot::CreateTopic { ticket, part }, CommandOutcome::TopicCreated(topic)) => {
                self.await_topic(ticket, part, topic);
            }
            (Slot::CreateTopic { ticket, part }, CommandOutcome::Refused { refusal, .. }) => {
                self.calls.fill_create_topic(ticket, part, Err(refusal.into()));
            }
            (Slot::DeleteTopic { ticket, part, id, name }, CommandOutcome::TopicDeleted(_)) => {
                self.calls.fill_delete_topic(ticket, part, Ok((id, name)));
            }
            (Slot::DeleteTopic { ticket, part, .. }, CommandOutcome::Refused { refusal, .. }) => {
                self.calls.fill_delete_topic(ticket, part, Err(refusal.into()));
            }
            (Slot::CreatePartitions { ticket, part }, CommandOutcome::TopicGrown(topic)) => {
                self.await_growth(ticket, part, topic);
            }
            (Slot::CreatePartitions { ticket, part }, CommandOutcome::Refused { refusal, .. }) => {
                self.calls.fill_create_partitions(ticket, part, Err(refusal.into()));
            }
            (Slot::AlterConfigs { ticket, part }, CommandOutcome::ConfigsSet { .. }) => {
                self.calls.fill_alter_configs(ticket, part, Ok(()));
            }
            (Slot::AlterConfigs { ticket, part }, CommandOutcome::Refused { refusal, .. }) => {
                self.calls.fill_alter_configs(ticket, part, Err(refusal.into()));
            }
            (Slot::ProducerIds { ticket }, CommandOutcome::ProducerIds(block)) => {
                let answer = Answer::AllocateProducerIds(Ok((block.first, block.count)));
                self.calls.answer(ticket, answer);
            }
            (Slot::ProducerIds { ticket }, _) => {
                let refusal = self.refusal(ShardId::METADATA, 0, Reason::NotLeader);
                self.calls.answer(ticket, Answer::AllocateProducerIds(Err(refusal)));
            }
            (slot, outcome) => {
                unreachable!("a waiter of another kind than its command: {slot:?}, {outcome:?}")
            }
        }
    }

    /// Who acts when the node itself does.
    fn own_origin(&self) -> AuditOrigin {
        AuditOrigin {
            principal: format!("Node:{}", self.config.node),
            host: String::new(),
            client_id: "holdfastd".to_owned(),
        }
    }
}

impl From<&holdfast_metadata::Refusal> for AdminRefusal {
    fn from(refusal: &holdfast_metadata::Refusal) -> Self {
        use holdfast_metadata::Reason as Why;
        let reason = match refusal.reason {
            Why::TopicAlreadyExists => AdminReason::TopicAlreadyExists,
            Why::UnknownTopic => AdminReason::UnknownTopic,
            Why::UnknownTopicId => AdminReason::UnknownTopicId,
            Why::InvalidTopicName => AdminReason::InvalidTopicName,
            Why::InvalidPartitions => AdminReason::InvalidPartitions,
            Why::InvalidReplicationFactor => AdminReason::InvalidReplicationFactor,
            Why::InvalidReplicaAssignment => AdminReason::InvalidReplicaAssignment,
            Why::InvalidConfig => AdminReason::InvalidConfig,
            Why::InvalidRequest => AdminReason::InvalidRequest,
        };
        AdminRefusal { reason, message: refusal.message.clone() }
    }
}
