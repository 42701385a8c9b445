//! Claims about shard 0, by subject. A `Leader` decides and applies in one step, as one replica.

mod alter;
mod apply;
mod audit;
mod bytes;
mod decide;
mod describe;
mod grow;
mod settings;

use std::collections::BTreeMap;

use holdfast_base::{ClusterId, Index, NodeId, Term, TopicId};

use crate::*;

pub(crate) fn origin() -> AuditOrigin {
    AuditOrigin {
        principal: "User:ANONYMOUS".to_owned(),
        host: "192.0.2.7".to_owned(),
        client_id: "adminclient-1".to_owned(),
    }
}

pub(crate) fn listener(port: u16) -> Listener {
    Listener { name: "PLAINTEXT".to_owned(), host: "node.example".to_owned(), port }
}

pub(crate) fn topic(name: &str, partitions: i32) -> NewTopic {
    NewTopic { name: name.to_owned(), partitions, replication_factor: -1, ..NewTopic::default() }
}

pub(crate) struct Leader {
    pub(crate) metadata: Metadata,
    pub(crate) decider: Decider,
    pub(crate) log: Vec<(EntryFacts, Vec<u8>)>,
    next_topic: u8,
}

impl Leader {
    pub(crate) fn founded(nodes: u32, factors: &[u16]) -> Self {
        let nodes: BTreeMap<NodeId, Node> =
            (1..=nodes).map(|id| (NodeId(id), Node { listeners: vec![listener(9092)] })).collect();
        let genesis = Genesis::spread(ClusterId([7; 16]), nodes, factors);
        let mut leader = Leader {
            metadata: Metadata::new(),
            decider: Decider::new(),
            log: Vec::new(),
            next_topic: 1,
        };
        let node = AuditOrigin::node(NodeId(1));
        let entry = propose_genesis(&leader.metadata.image(), genesis, node).unwrap();
        leader.apply(entry);
        leader
    }

    pub(crate) fn facts(&self) -> EntryFacts {
        let index = self.metadata.applied().next();
        EntryFacts { index, term: Term(3), time_ms: 1_000 + index.0 as i64 }
    }

    pub(crate) fn apply(&mut self, commands: Vec<u8>) -> Applied {
        let facts = self.facts();
        let applied = self.metadata.apply(facts, &commands).unwrap();
        for outcome in &applied.outcomes {
            self.decider.settle(outcome);
        }
        self.log.push((facts, commands));
        applied
    }

    pub(crate) fn topic_id(&mut self) -> TopicId {
        self.next_topic += 1;
        TopicId([self.next_topic; 16])
    }

    /// Decides without applying.
    pub(crate) fn decide(
        &mut self,
        topic: &NewTopic,
        builder: &mut CommandBuilder,
    ) -> Result<TopicPlan, Refusal> {
        let id = self.topic_id();
        propose_create_topic(&mut self.decider, &self.metadata, topic, id, origin(), builder)
    }

    pub(crate) fn create(&mut self, topic: &NewTopic) -> Result<TopicPlan, Refusal> {
        let mut builder = CommandBuilder::new();
        let plan = self.decide(topic, &mut builder)?;
        let applied = self.apply(builder.finish());
        assert!(matches!(applied.outcomes[..], [CommandOutcome::TopicCreated(_)]), "{applied:?}");
        Ok(plan)
    }

    pub(crate) fn delete(&mut self, topic: TopicRef) -> Result<DeletePlan, Refusal> {
        let mut builder = CommandBuilder::new();
        let plan = propose_delete_topic(
            &mut self.decider,
            &self.metadata,
            &topic,
            origin(),
            &mut builder,
        )?;
        self.apply(builder.finish());
        Ok(plan)
    }

    /// Decides without applying.
    pub(crate) fn decide_growth(
        &mut self,
        name: &str,
        total: i32,
        builder: &mut CommandBuilder,
    ) -> Result<GrowPlan, Refusal> {
        let grow = GrowTopic { name: name.to_owned(), total, assignment: Vec::new() };
        propose_create_partitions(&mut self.decider, &self.metadata, &grow, origin(), builder)
    }

    pub(crate) fn grow(&mut self, name: &str, total: i32) -> Result<GrowPlan, Refusal> {
        let mut builder = CommandBuilder::new();
        let plan = self.decide_growth(name, total, &mut builder)?;
        let applied = self.apply(builder.finish());
        assert!(matches!(applied.outcomes[..], [CommandOutcome::TopicGrown(_)]), "{applied:?}");
        Ok(plan)
    }

    /// Decides without applying.
    pub(crate) fn decide_alteration(
        &mut self,
        plan: &AlterPlan,
        builder: &mut CommandBuilder,
    ) -> Result<AlterDecision, Refusal> {
        propose_alter_configs(&mut self.decider, &self.metadata, plan, origin(), builder)
    }

    pub(crate) fn alter(&mut self, plan: &AlterPlan) -> Result<AlterDecision, Refusal> {
        let mut builder = CommandBuilder::new();
        let decision = self.decide_alteration(plan, &mut builder)?;
        let applied = self.apply(builder.finish());
        assert!(matches!(applied.outcomes[..], [CommandOutcome::ConfigsSet { .. }]), "{applied:?}");
        Ok(decision)
    }

    pub(crate) fn reason(&mut self, topic: &NewTopic) -> Reason {
        self.create(topic).expect_err("must be refused").reason
    }
}

pub(crate) fn alteration(
    resource: ResourceRef,
    changes: &[(&str, ConfigOperation, Option<&str>)],
) -> AlterPlan {
    let owned = |(name, operation, value): &(&str, ConfigOperation, Option<&str>)| {
        ((*name).to_owned(), *operation, value.map(str::to_owned))
    };
    AlterPlan { resource, changes: changes.iter().map(owned).collect(), replace_all: false }
}

pub(crate) fn of_topic(name: &str) -> ResourceRef {
    ResourceRef::Topic(name.to_owned())
}

pub(crate) fn every_broker() -> ResourceRef {
    ResourceRef::Other(ConfigResource::EveryBroker)
}

pub(crate) fn of_broker(node: u32) -> ResourceRef {
    ResourceRef::Other(ConfigResource::Broker(NodeId(node)))
}

pub(crate) fn of_group(group: &str) -> ResourceRef {
    ResourceRef::Other(ConfigResource::Group(group.to_owned()))
}

pub(crate) fn replay(log: &[(EntryFacts, Vec<u8>)]) -> Metadata {
    let mut metadata = Metadata::new();
    for (facts, commands) in log {
        metadata.apply(*facts, commands).unwrap();
    }
    metadata
}

/// A log with a bit of everything, refusals included.
pub(crate) fn eventful() -> Leader {
    let mut leader = Leader::founded(3, &[1, 3]);
    leader.create(&topic("orders", 4)).unwrap();
    leader.create(&topic("payments.eu", 20)).unwrap();
    leader.delete(TopicRef::Name("orders".to_owned())).unwrap();
    let mut twice = CommandBuilder::new();
    leader.decide(&topic("late", 1), &mut twice).unwrap();
    leader.decider.reset();
    leader.decide(&topic("late", 2), &mut twice).unwrap();
    let mut ids = Decider::new();
    propose_allocate_producer_ids(&mut ids, &leader.metadata, NodeId(2), &mut twice).unwrap();
    let moved = [listener(9999)];
    let node = NodeId(2);
    let image = leader.metadata.image();
    propose_register_node(&image, node, &moved, AuditOrigin::node(node), &mut twice).unwrap();
    let applied = leader.apply(twice.finish());
    assert!(matches!(
        applied.outcomes[..],
        [
            CommandOutcome::TopicCreated(_),
            CommandOutcome::Refused { .. },
            CommandOutcome::ProducerIds(_),
            CommandOutcome::NodeRegistered(_)
        ]
    ));
    assert_eq!(leader.metadata.applied(), Index(5));
    leader.decider.reset();
    use ConfigOperation::{Append, Delete, Set};
    leader.grow("late", 3).unwrap();
    let changes =
        [("retention.ms", Set, Some("60000")), ("cleanup.policy", Append, Some("compact"))];
    leader.alter(&alteration(of_topic("late"), &changes)).unwrap();
    let every = [("log.retention.bytes", Set, Some("1000")), ("log.roll.ms", Delete, None)];
    leader.alter(&alteration(every_broker(), &every)).unwrap();
    let of_one = [("ssl.key.password", Set, Some("secret"))];
    leader.alter(&alteration(of_broker(2), &of_one)).unwrap();
    let of_readers = [("consumer.session.timeout.ms", Set, Some("50000"))];
    leader.alter(&alteration(of_group("readers"), &of_readers)).unwrap();
    assert_eq!(leader.metadata.applied(), Index(10));
    leader
}
