//! The administrator: makes the topics, deletes records, and makes and deletes other topics.
//!
//! Topics that are deleted in the run are written by nobody whose records are judged: where there
//! is an object store by the administrator, so that objects die with them.

use std::collections::BTreeMap;

use holdfast_base::{PartitionKey, Rng, SplitMix64};
use holdfast_batch::{BatchBuilder, BatchHeader, Codec, RecordDraft};
use holdfast_checker::{Kind, Op};
use holdfast_lane::{
    AdminReason, Answer, CreateTopic, DeleteRecordsPartition, DeleteTopic, Origin,
    ProducePartition, Request, Ticket,
};

use crate::clock::wall_ms;
use crate::producer::Target;
use crate::states::State;
use crate::world::{ClientId, Ended, Event, World};

const TIMEOUT_NS: u64 = 4_000_000_000;

#[derive(Clone, PartialEq, Eq, Debug)]
enum Doing {
    Nothing,
    Found(String),
    Create(String),
    Delete(String),
    DeleteRecords { partition: String, call: u64 },
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Admin {
    id: ClientId,
    process: u32,
    topics: BTreeMap<String, i32>,
    targets: Vec<Target>,
    passing: Vec<String>,
    trying: Option<(Ticket, u64)>,
    doing: Doing,
    next_call: u64,
    deletes_records: bool,
    rng: SplitMix64,
    is_over: bool,
}

impl Admin {
    pub(crate) fn new(
        id: ClientId,
        topics: BTreeMap<String, i32>,
        deletes_records: bool,
        rng: SplitMix64,
    ) -> Self {
        Admin {
            id,
            process: id as u32 + 1,
            topics,
            targets: Vec::new(),
            passing: Vec::new(),
            trying: None,
            doing: Doing::Nothing,
            next_call: 0,
            deletes_records,
            rng,
            is_over: false,
        }
    }

    /// Every partition of the topics that are kept, once they are all there.
    pub(crate) fn targets(&self) -> Option<&[Target]> {
        (!self.targets.is_empty()).then_some(self.targets.as_slice())
    }

    pub(crate) fn end(&mut self) {
        self.is_over = true;
    }

    pub(crate) fn wake(&mut self, world: &mut World) {
        if self.is_over {
            return;
        }
        world.after(50_000_000 + self.rng.below(250_000_000), Event::Wake(self.id));
        if let Some((ticket, deadline_ns)) = self.trying {
            if world.now_ns < deadline_ns {
                return;
            }
            world.give_up(ticket);
            self.trying = None;
            self.lost(world);
        }
        if self.targets.is_empty() {
            self.found(world);
        } else {
            self.meddle(world);
        }
    }

    /// Makes what is missing of the topics that are kept.
    fn found(&mut self, world: &mut World) {
        let Some(image) = world
            .nodes
            .iter()
            .filter_map(|node| node.published.as_ref())
            .map(|published| published.image.clone())
            .max_by_key(|image| image.applied)
        else {
            return;
        };
        let missing = self.topics.iter().find(|(name, _)| image.topic(name).is_none());
        if let Some((name, partitions)) = missing {
            let (name, partitions) = (name.clone(), *partitions);
            self.create(&name, partitions, world);
            self.doing = Doing::Found(name);
            return;
        }
        for (name, partitions) in &self.topics {
            let Some(topic) = image.topic(name) else { continue };
            for partition in 0..*partitions {
                let Some((shard, _)) = image.shard_of(topic, partition) else { continue };
                let target = Target {
                    name: format!("{name}-{partition}"),
                    key: PartitionKey { topic: topic.id, partition },
                    shard,
                };
                world.name_shard(shard, &target.name);
                self.targets.push(target);
            }
        }
    }

    fn create(&mut self, name: &str, partitions: i32, world: &mut World) {
        let config = |key: &str, value: &str| (key.to_owned(), Some(value.to_owned()));
        let topic = CreateTopic {
            name: name.to_owned(),
            partitions,
            replication_factor: -1,
            assignment: Vec::new(),
            configs: vec![
                config("retention.ms", "-1"),
                config("message.timestamp.after.max.ms", "9223372036854775807"),
            ],
            validate_only: false,
        };
        self.send(Request::CreateTopics(vec![topic], origin()), world);
    }

    fn send(&mut self, request: Request, world: &mut World) {
        let to =
            world.leader_of(holdfast_base::ShardId::METADATA).unwrap_or_else(|| world.any_node());
        let ticket = world.call(self.id, to, request);
        self.trying = Some((ticket, world.now_ns + TIMEOUT_NS));
    }

    fn meddle(&mut self, world: &mut World) {
        match self.rng.below(6) {
            0 if self.passing.len() < 3 => {
                let name = format!("passing-{}", self.next_call);
                self.next_call += 1;
                self.create(&name, 2, world);
                self.doing = Doing::Create(name);
            }
            1 => {
                if let Some(name) = self.passing.pop() {
                    let topic = DeleteTopic::Name(name.clone());
                    self.send(Request::DeleteTopics(vec![topic], origin()), world);
                    self.doing = Doing::Delete(name);
                }
            }
            2 if self.deletes_records => self.delete_records(world),
            3 if world.bucket.is_some() => self.fill_passing(world),
            _ => {}
        }
    }

    fn delete_records(&mut self, world: &mut World) {
        let target = self.targets[self.rng.below(self.targets.len() as u64) as usize].clone();
        let before_offset = if self.rng.chance(1, 6) {
            -1
        } else {
            self.rng.below(if world.bucket.is_some() { 300 } else { 60 }) as i64
        };
        self.next_call += 1;
        let op = Op::DeleteRecords { partition: target.name.clone(), before_offset };
        world.tell(self.process, self.next_call, Kind::Invoke, op);
        let part = DeleteRecordsPartition { partition: target.key, before_offset };
        let to = world.leader_of(target.shard).unwrap_or_else(|| world.any_node());
        let ticket = world.call(self.id, to, Request::DeleteRecords(vec![part]));
        self.trying = Some((ticket, world.now_ns + TIMEOUT_NS));
        self.doing = Doing::DeleteRecords { partition: target.name, call: self.next_call };
    }

    /// A few batches for a topic that is going to be deleted; nobody waits for their fate.
    fn fill_passing(&mut self, world: &mut World) {
        let Some(name) = self.passing.last() else { return };
        let image = world.nodes.iter().find_map(|node| {
            let image = &node.published.as_ref()?.image;
            image.topic(name).is_some().then(|| image.clone())
        });
        let Some(topic) = image.as_ref().and_then(|image| image.topic(name)) else { return };
        for partition in 0..2 {
            let shard = image.as_ref().and_then(|image| image.shard_of(topic, partition));
            let Some((shard, _)) = shard else { return };
            let value = vec![b'p'; self.rng.below(9_000) as usize];
            let batch = BatchBuilder::new(Codec::None)
                .record(RecordDraft::value(wall_ms(world.now_ns), value))
                .build();
            let Ok(bytes) = batch else { return };
            let Ok(header) = BatchHeader::parse(&bytes) else { return };
            let key = PartitionKey { topic: topic.id, partition };
            let part = ProducePartition { partition: key, bytes, header };
            let to = world.leader_of(shard).unwrap_or_else(|| world.any_node());
            let ticket = world.call(self.id, to, Request::Produce(vec![part]));
            world.give_up(ticket);
        }
    }

    fn lost(&mut self, world: &mut World) {
        if let Doing::DeleteRecords { partition, call } =
            std::mem::replace(&mut self.doing, Doing::Nothing)
        {
            let op = Op::DeleteRecords { partition, before_offset: 0 };
            world.tell(self.process, call, Kind::Info, op);
        }
    }

    pub(crate) fn ended(&mut self, ticket: Ticket, ended: Ended, world: &mut World) {
        if self.trying.is_none_or(|(open, _)| open != ticket) {
            return;
        }
        self.trying = None;
        match (ended, self.doing.clone()) {
            (
                Ended::Answered(Answer::DeleteRecords(mut parts)),
                Doing::DeleteRecords { partition, call },
            ) => {
                let (kind, before_offset) = match parts.pop() {
                    Some(Ok(log_start)) => {
                        world.states.reach(State::RecordsDeleted);
                        (Kind::Ok, log_start)
                    }
                    Some(Err(refusal)) => {
                        world.note_refusal(self.id, 0, &refusal, false);
                        (Kind::Info, 0)
                    }
                    None => (Kind::Info, 0),
                };
                let op = Op::DeleteRecords { partition, before_offset };
                world.tell(self.process, call, kind, op);
                self.doing = Doing::Nothing;
            }
            (Ended::Answered(Answer::CreateTopics(mut parts)), Doing::Create(name)) => {
                let there = match parts.pop() {
                    Some(Ok(_)) => true,
                    Some(Err(refusal)) => matches!(
                        refusal.reason,
                        AdminReason::TimedOut | AdminReason::TopicAlreadyExists
                    ),
                    None => false,
                };
                if there {
                    self.passing.push(name);
                }
            }
            (Ended::Answered(Answer::DeleteTopics(mut parts)), Doing::Delete(name)) => {
                match parts.pop() {
                    Some(Ok(_)) => world.states.reach(State::TopicDeleted),
                    Some(Err(refusal)) if refusal.reason != AdminReason::UnknownTopic => {
                        self.passing.push(name);
                    }
                    _ => {}
                }
            }
            _ => self.lost(world),
        }
    }
}

fn origin() -> Origin {
    Origin {
        principal: "User:ANONYMOUS".to_owned(),
        host: "simulation".to_owned(),
        client_id: "administrator".to_owned(),
    }
}
