//! A node whose shards have one voter, on a simulated disk, and how its stories speak to it.

use std::collections::BTreeMap;

use bytes::Bytes;
use holdfast_base::{ClusterId, LaneId, NodeId, Now, PartitionKey, ShardId};
use holdfast_batch::{BatchBuilder, BatchHeader, Codec, RecordDraft};
use holdfast_io::{SimDevice, SimDisk, SimFaults};
use holdfast_lane::{
    Answer, CreateTopic, FetchPartition, FetchRequest, Founding, Lane, LaneConfig, NodeFacts,
    Origin, PlantedBugs, ProducePartition, RecordSlice, Refusal, Request, StateCheckpoint,
    StoreConfig, Ticket,
};
use holdfast_metadata::Listener;
use holdfast_wal::WalConfig;

/// A node, its disk and its clock.
pub(crate) struct Node {
    pub(crate) device: SimDevice,
    pub(crate) lane: Option<Lane<SimDisk>>,
    pub(crate) config: LaneConfig,
    pub(crate) now: Now,
    pub(crate) next_ticket: u64,
    pub(crate) answers: Vec<(Ticket, Answer)>,
    /// What the next start begins with.
    pub(crate) checkpoints: BTreeMap<ShardId, StateCheckpoint>,
}

impl Node {
    pub(crate) fn found(capacity_bytes: u64) -> Node {
        Node::found_as(capacity_bytes, None)
    }

    pub(crate) fn found_with_store(capacity_bytes: u64, store: StoreConfig) -> Node {
        Node::found_as(capacity_bytes, Some(store))
    }

    fn found_as(capacity_bytes: u64, store: Option<StoreConfig>) -> Node {
        let cluster = ClusterId([7; 16]);
        let node = NodeId(1);
        let config = LaneConfig {
            node,
            wal: WalConfig::new(cluster, node, LaneId(0), capacity_bytes),
            founding: Founding { cluster, nodes: vec![node], data_shards: 16 },
            listeners: vec![Listener {
                name: "PLAINTEXT".to_owned(),
                host: "127.0.0.1".to_owned(),
                port: 9092,
            }],
            tail_cache_bytes: 4 << 20,
            facts: NodeFacts { node, ..NodeFacts::default() },
            store,
            seed: 1,
            planted: PlantedBugs::default(),
        };
        let device = SimDevice::new(3, 4 * capacity_bytes, SimFaults::default());
        let mut disk = device.open().unwrap();
        Lane::format(&mut disk, &config).unwrap();
        drop(disk);
        let now = Now { boottime_ns: 1, wall_ms: 1_700_000_000_000 };
        let mut node = Node {
            device,
            lane: None,
            config,
            now,
            next_ticket: 0,
            answers: Vec::new(),
            checkpoints: BTreeMap::new(),
        };
        node.start();
        node
    }

    pub(crate) fn start(&mut self) {
        let disk = self.device.open().unwrap();
        let mut lane =
            Lane::open(disk, self.config.clone(), self.checkpoints.clone(), self.now).unwrap();
        lane.turn(self.now);
        self.lane = Some(lane);
        self.run_ms(500);
    }

    pub(crate) fn power_cut(&mut self) {
        self.device.power_cut();
        self.lane = None;
    }

    pub(crate) fn lane(&mut self) -> &mut Lane<SimDisk> {
        self.lane.as_mut().expect("the node is up")
    }

    pub(crate) fn step(&mut self) {
        let now = self.now;
        self.device.advance(now.boottime_ns);
        self.lane().turn(now);
        let wake = self.lane().next_wake_ns();
        let due = self.device.next_due_ns().unwrap_or(u64::MAX);
        let next = wake.min(due).max(now.boottime_ns + 1);
        self.now.wall_ms += (next / 1_000_000 - now.boottime_ns / 1_000_000) as i64;
        self.now.boottime_ns = next;
    }

    pub(crate) fn run_ms(&mut self, ms: u64) {
        let end_ns = self.now.boottime_ns + ms * 1_000_000;
        while self.now.boottime_ns < end_ns {
            self.step();
        }
    }

    pub(crate) fn submit(&mut self, request: Request) -> Ticket {
        self.next_ticket += 1;
        let (ticket, now) = (Ticket(self.next_ticket), self.now);
        self.lane().handle(ticket, request, now);
        ticket
    }

    pub(crate) fn ask(&mut self, request: Request) -> Answer {
        let ticket = self.submit(request);
        self.wait_for(ticket)
    }

    pub(crate) fn wait_for(&mut self, ticket: Ticket) -> Answer {
        for _ in 0..100_000 {
            let mut answers = std::mem::take(&mut self.answers);
            self.lane().take_answers(&mut answers);
            let found = answers.iter().position(|(of, _)| *of == ticket);
            let answer = found.map(|at| answers.swap_remove(at).1);
            self.answers = answers;
            if let Some(answer) = answer {
                return answer;
            }
            self.step();
        }
        panic!("{ticket:?} was never answered");
    }

    pub(crate) fn create(
        &mut self,
        name: &str,
        partitions: i32,
        configs: &[(&str, &str)],
    ) -> PartitionKey {
        let topic = CreateTopic {
            name: name.to_owned(),
            partitions,
            replication_factor: -1,
            assignment: Vec::new(),
            configs: configs
                .iter()
                .map(|(key, value)| ((*key).to_owned(), Some((*value).to_owned())))
                .collect(),
            validate_only: false,
        };
        match self.ask(Request::CreateTopics(vec![topic], origin())) {
            Answer::CreateTopics(results) => {
                PartitionKey { topic: results[0].as_ref().unwrap().id, partition: 0 }
            }
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn produce(&mut self, partition: PartitionKey, value: &str) -> Result<i64, Refusal> {
        match self.ask(produce(partition, value, self.now.wall_ms)) {
            Answer::Produce(mut results) => results.remove(0).map(|appended| appended.base_offset),
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn fetch(
        &mut self,
        partition: PartitionKey,
        fetch_offset: i64,
    ) -> Result<Vec<Bytes>, Refusal> {
        let request = fetch(partition, fetch_offset, 0, self.now.boottime_ns);
        match self.ask(request) {
            Answer::Fetch(mut results) => {
                let fetched = results.remove(0)?;
                Ok(fetched.records.into_iter().map(|slice| self.bytes_of(slice)).collect())
            }
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn bytes_of(&self, slice: RecordSlice) -> Bytes {
        match slice {
            RecordSlice::Cached(bytes) => bytes,
            RecordSlice::OnDisk { file, extent, .. } => {
                let media = self.device.media(&file).unwrap();
                let start = usize::try_from(extent.offset).unwrap();
                Bytes::copy_from_slice(&media[start..start + extent.len_bytes as usize])
            }
            RecordSlice::InObject { .. } => panic!("this story has no store"),
        }
    }
}

pub(crate) fn origin() -> Origin {
    Origin {
        principal: "User:ANONYMOUS".to_owned(),
        host: "127.0.0.1".to_owned(),
        client_id: "story".to_owned(),
    }
}

pub(crate) fn batch(value: &str, timestamp_ms: i64) -> Bytes {
    let record = RecordDraft::value(timestamp_ms, value.as_bytes().to_vec());
    BatchBuilder::new(Codec::None).record(record).build().unwrap()
}

pub(crate) fn produce(partition: PartitionKey, value: &str, timestamp_ms: i64) -> Request {
    let bytes = batch(value, timestamp_ms);
    let header = BatchHeader::parse(&bytes).unwrap();
    Request::Produce(vec![ProducePartition { partition, bytes, header }])
}

pub(crate) fn fetch(
    partition: PartitionKey,
    fetch_offset: i64,
    min_bytes: u32,
    deadline_ns: u64,
) -> Request {
    Request::Fetch(FetchRequest {
        min_bytes,
        max_bytes: 1 << 20,
        deadline_ns,
        partitions: vec![FetchPartition {
            partition,
            fetch_offset,
            max_bytes: 1 << 20,
            current_leader_epoch: -1,
            last_fetched_epoch: -1,
        }],
    })
}

pub(crate) fn values(records: &[Bytes]) -> Vec<String> {
    let mut values = Vec::new();
    for slice in records {
        let mut rest = slice.clone();
        while !rest.is_empty() {
            let header = BatchHeader::parse(&rest).unwrap();
            let batch = rest.split_to(header.total_len_bytes());
            assert_eq!(crc32c::crc32c(&batch[21..]), header.crc, "the client's CRC still holds");
            // One record a batch, its value last before the empty headers count.
            let text: Vec<u8> = batch[61..].iter().copied().filter(u8::is_ascii_graphic).collect();
            values.push(String::from_utf8(text).unwrap());
        }
    }
    values
}
