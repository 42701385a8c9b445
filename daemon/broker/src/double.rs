//! Doubles for tests: a lane that answers from a script, a device that holds named bytes, a clock
//! that stands still, and a cluster of one node with two topics.

use crate::broker::{Broker, BrokerParts};
use crate::cold::{
    ColdError, ColdPlace, ColdRead, ColdReader, Freshness, ObjectAnswer, ObjectRead, ObjectReader,
    ObjectWant,
};
use crate::context::{Context, Endpoint};
use crate::lane_client::{LaneClient, PendingAnswer};
use crate::settings::Settings;
use bytes::Bytes;
use holdfast_base::{
    Clock, ClusterId, CoordinatorSlot, NodeId, Now, PartitionKey, ReplicaId, ShardId, Term, TopicId,
};
use holdfast_batch::{BatchBuilder, BatchHeader, Codec, RecordDraft};
use holdfast_lane::{
    Answer, Leader, Leaders, ObjectId, ObjectIdentity, ObjectPlace, Published, RecordSlice, Request,
};
use holdfast_metadata::{Image, Placement, ShardPlacement, Topic};
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex};
use tokio::sync::oneshot;

/// Ids of the two topics that are there.
pub(crate) const ORDERS: TopicId = TopicId([1; 16]);
pub(crate) const COMPACTED: TopicId = TopicId([2; 16]);

/// Remembers requests and answers them when told to.
#[derive(Default)]
pub(crate) struct ScriptedLane {
    script: Mutex<VecDeque<Answer>>,
    seen: Mutex<Vec<Request>>,
    waiting: Mutex<VecDeque<oneshot::Sender<Answer>>>,
}

impl ScriptedLane {
    /// Answers the next call (or the oldest one waiting) with this.
    pub(crate) fn answer(&self, answer: Answer) {
        match self.waiting.lock().expect("no panic").pop_front() {
            Some(waiting) => drop(waiting.send(answer)),
            None => self.script.lock().expect("no panic").push_back(answer),
        }
    }

    /// What was asked since last looked at.
    pub(crate) fn take_seen(&self) -> Vec<Request> {
        std::mem::take(&mut self.seen.lock().expect("no panic"))
    }

    /// Drops every open call, as a lane that ends does.
    pub(crate) fn end(&self) {
        self.waiting.lock().expect("no panic").clear();
    }
}

impl LaneClient for ScriptedLane {
    fn call(&self, request: Request) -> PendingAnswer {
        let (answer, pending) = oneshot::channel();
        self.seen.lock().expect("no panic").push(request);
        match self.script.lock().expect("no panic").pop_front() {
            Some(ready) => drop(answer.send(ready)),
            None => self.waiting.lock().expect("no panic").push_back(answer),
        }
        PendingAnswer(pending)
    }
}

/// Files by name.
#[derive(Default)]
pub(crate) struct MapDevice(pub(crate) Mutex<BTreeMap<String, Bytes>>);

impl ColdReader for MapDevice {
    fn read(&self, places: Vec<ColdPlace>, _freshness: Freshness) -> ColdRead {
        let files = self.0.lock().expect("no panic");
        let read = |place: ColdPlace| {
            let start = usize::try_from(place.extent.offset).expect("small");
            let end = start + usize::try_from(place.extent.len_bytes).expect("small");
            let found = files.get(&*place.file).filter(|bytes| end <= bytes.len());
            found
                .map(|bytes| bytes.slice(start..end))
                .ok_or_else(|| ColdError("recycled".to_owned()))
        };
        Box::pin(std::future::ready(places.into_iter().map(read).collect()))
    }
}

/// Objects are files under their id, nothing but batches.
impl ObjectReader for MapDevice {
    fn read(&self, read: ObjectRead) -> ObjectAnswer {
        let files = self.0.lock().expect("no panic");
        let found = files.get(&read.object.identity.object.to_string());
        let answer = found.cloned().ok_or_else(|| ColdError("the store is away".to_owned()));
        let answer = answer.map(|mut rest| {
            let mut batches = Vec::new();
            while !rest.is_empty() {
                let header = BatchHeader::parse(&rest).expect("a batch");
                let batch = rest.split_to(header.total_len_bytes());
                let wanted = match read.want {
                    ObjectWant::From { offset, .. } => header.last_offset() >= offset,
                    ObjectWant::AtTime { from_offset, timestamp_ms } => {
                        header.last_offset() >= from_offset
                            && header.max_timestamp_ms >= timestamp_ms
                            && batches.is_empty()
                    }
                };
                if wanted {
                    batches.push(batch);
                }
            }
            batches
        });
        Box::pin(std::future::ready(answer))
    }
}

pub(crate) struct StillClock;

impl Clock for StillClock {
    fn now(&self) -> Now {
        Now { boottime_ns: 1_000_000_000, wall_ms: 1_700_000_000_000 }
    }
}

/// A broker on node 1 with its doubles.
pub(crate) struct Bench {
    pub(crate) broker: Arc<Broker>,
    pub(crate) lane: Arc<ScriptedLane>,
    pub(crate) device: Arc<MapDevice>,
    pub(crate) context: Arc<Context>,
}

pub(crate) fn bench() -> Bench {
    let lane = Arc::new(ScriptedLane::default());
    let device = Arc::new(MapDevice::default());
    let broker = Arc::new(Broker::new(BrokerParts {
        node: NodeId(1),
        lane: Arc::clone(&lane) as Arc<dyn LaneClient>,
        cold: Arc::clone(&device) as Arc<dyn ColdReader>,
        objects: Arc::clone(&device) as Arc<dyn ObjectReader>,
        clock: Arc::new(StillClock),
        settings: Settings::default(),
    }));
    broker.publish(&published(&[topic("orders", ORDERS, 2), compacted()]));
    let context = Arc::new(Context {
        listener: Arc::from("PLAINTEXT"),
        advertised: Arc::new(Endpoint { host: "kafka.example".to_owned(), port: 9092 }),
        peer_host: Arc::from("192.0.2.1"),
    });
    Bench { broker, lane, device, context }
}

/// A slice of the object `[id; 16]`, from an offset on.
pub(crate) fn in_object(id: u8, from_offset: i64) -> RecordSlice {
    let identity = ObjectIdentity {
        cluster: ClusterId([1; 16]),
        shard: ShardId(1),
        term: Term(1),
        sequence: 1,
        object: ObjectId([id; 16]),
    };
    RecordSlice::InObject {
        object: ObjectPlace { identity, object_bytes: 10_000, tail_bytes: 400 },
        partition: PartitionKey { topic: ORDERS, partition: 0 },
        from_offset,
        max_bytes: 1_000,
        next: None,
    }
}

pub(crate) fn topic(name: &str, id: TopicId, partitions: usize) -> Topic {
    Topic {
        id,
        name: name.to_owned(),
        replication_factor: 1,
        configs: BTreeMap::new(),
        partitions: vec![Placement { shard: ShardId(1), generation: 0 }; partitions],
        created_at_ms: 0,
    }
}

fn compacted() -> Topic {
    let mut topic = topic("compacted", COMPACTED, 1);
    topic.configs.insert("cleanup.policy".to_owned(), "compact".to_owned());
    topic
}

/// A picture in which node 1 leads shard 1, with every slot, in term 7.
pub(crate) fn published(topics: &[Topic]) -> Published {
    let placement =
        ShardPlacement { replication_factor: 1, replicas: vec![(ReplicaId(2), NodeId(1))] };
    let topics: Vec<Arc<Topic>> = topics.iter().cloned().map(Arc::new).collect();
    let by_name = topics.iter().map(|topic| (topic.name.clone(), Arc::clone(topic)));
    let by_id = topics.iter().map(|topic| (topic.id, Arc::clone(topic)));
    let image = Image {
        cluster: ClusterId([9; 16]),
        nodes: Arc::new(BTreeMap::from([(NodeId(1), holdfast_metadata::Node::default())])),
        shards: Arc::new(BTreeMap::from([(ShardId(1), placement)])),
        topics_by_name: Arc::new(by_name.collect()),
        topics_by_id: Arc::new(by_id.collect()),
        coordinator_slots: Arc::new(vec![
            Placement { shard: ShardId(1), generation: 0 };
            usize::from(CoordinatorSlot::COUNT)
        ]),
        ..Image::default()
    };
    let leaders = Leaders::from([(ShardId(1), Leader { node: NodeId(1), term: Term(7) })]);
    Published { image: Arc::new(image), leaders: Arc::new(leaders) }
}

/// A batch of `count` records that starts at `base_offset`; record n has timestamp 1,000 + n.
pub(crate) fn batch_at(base_offset: i64, count: i64) -> Vec<u8> {
    batch(Codec::None, base_offset, count).to_vec()
}

pub(crate) fn batch(codec: Codec, base_offset: i64, count: i64) -> Bytes {
    let mut builder = BatchBuilder::new(codec);
    builder.base_offset = base_offset;
    for number in 0..count {
        builder = builder.record(RecordDraft::value(1_000 + number, format!("value {number}")));
    }
    builder.build().expect("an honest batch")
}
