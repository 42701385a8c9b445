//! One node whose shards have one voter, on a simulated disk: what an operator's smallest
//! installation does, told as stories.

#![expect(clippy::unwrap_used, reason = "a story fails where it cannot go on")]

use bytes::Bytes;
use holdfast_base::{ClusterId, LaneId, NodeId, Now, PartitionKey};
use holdfast_batch::{BatchBuilder, BatchHeader, Codec, RecordDraft};
use holdfast_io::{SimDevice, SimDisk, SimFaults};
use holdfast_lane::{
    AdminReason, Answer, CreateTopic, DeleteRecordsPartition, FetchPartition, FetchRequest,
    FoundOffset, Founding, Lane, LaneConfig, ListOffsetsPartition, OffsetQuery, Origin,
    PlantedBugs, ProducePartition, Reason, RecordSlice, Refusal, Request, Ticket,
};
use holdfast_metadata::Listener;
use holdfast_wal::WalConfig;

/// A node, its disk and its clock.
struct Node {
    device: SimDevice,
    lane: Option<Lane<SimDisk>>,
    config: LaneConfig,
    now: Now,
    next_ticket: u64,
    answers: Vec<(Ticket, Answer)>,
}

impl Node {
    fn found(capacity_bytes: u64) -> Node {
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
            seed: 1,
            planted: PlantedBugs::default(),
        };
        let device = SimDevice::new(3, 4 * capacity_bytes, SimFaults::default());
        let mut disk = device.open().unwrap();
        Lane::format(&mut disk, &config).unwrap();
        drop(disk);
        let now = Now { boottime_ns: 1, wall_ms: 1_700_000_000_000 };
        let mut node =
            Node { device, lane: None, config, now, next_ticket: 0, answers: Vec::new() };
        node.start();
        node
    }

    fn start(&mut self) {
        let disk = self.device.open().unwrap();
        let mut lane = Lane::open(disk, self.config.clone(), self.now).unwrap();
        lane.turn(self.now);
        self.lane = Some(lane);
        self.run_ms(500);
    }

    fn power_cut(&mut self) {
        self.device.power_cut();
        self.lane = None;
    }

    fn lane(&mut self) -> &mut Lane<SimDisk> {
        self.lane.as_mut().expect("the node is up")
    }

    fn step(&mut self) {
        let now = self.now;
        self.device.advance(now.boottime_ns);
        self.lane().turn(now);
        let wake = self.lane().next_wake_ns();
        let due = self.device.next_due_ns().unwrap_or(u64::MAX);
        let next = wake.min(due).max(now.boottime_ns + 1);
        self.now.wall_ms += (next / 1_000_000 - now.boottime_ns / 1_000_000) as i64;
        self.now.boottime_ns = next;
    }

    fn run_ms(&mut self, ms: u64) {
        let end_ns = self.now.boottime_ns + ms * 1_000_000;
        while self.now.boottime_ns < end_ns {
            self.step();
        }
    }

    fn submit(&mut self, request: Request) -> Ticket {
        self.next_ticket += 1;
        let (ticket, now) = (Ticket(self.next_ticket), self.now);
        self.lane().handle(ticket, request, now);
        ticket
    }

    fn ask(&mut self, request: Request) -> Answer {
        let ticket = self.submit(request);
        self.wait_for(ticket)
    }

    fn wait_for(&mut self, ticket: Ticket) -> Answer {
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

    fn create(&mut self, name: &str, partitions: i32, configs: &[(&str, &str)]) -> PartitionKey {
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

    fn produce(&mut self, partition: PartitionKey, value: &str) -> Result<i64, Refusal> {
        match self.ask(produce(partition, value, self.now.wall_ms)) {
            Answer::Produce(mut results) => results.remove(0).map(|appended| appended.base_offset),
            other => panic!("{other:?}"),
        }
    }

    fn fetch(&mut self, partition: PartitionKey, fetch_offset: i64) -> Result<Vec<Bytes>, Refusal> {
        let request = fetch(partition, fetch_offset, 0, self.now.boottime_ns);
        match self.ask(request) {
            Answer::Fetch(mut results) => {
                let fetched = results.remove(0)?;
                Ok(fetched.records.into_iter().map(|slice| self.bytes_of(slice)).collect())
            }
            other => panic!("{other:?}"),
        }
    }

    fn bytes_of(&self, slice: RecordSlice) -> Bytes {
        match slice {
            RecordSlice::Cached(bytes) => bytes,
            RecordSlice::OnDisk { file, extent, .. } => {
                let media = self.device.media(&file).unwrap();
                let start = usize::try_from(extent.offset).unwrap();
                Bytes::copy_from_slice(&media[start..start + extent.len_bytes as usize])
            }
        }
    }
}

fn origin() -> Origin {
    Origin {
        principal: "User:ANONYMOUS".to_owned(),
        host: "127.0.0.1".to_owned(),
        client_id: "story".to_owned(),
    }
}

fn batch(value: &str, timestamp_ms: i64) -> Bytes {
    let record = RecordDraft::value(timestamp_ms, value.as_bytes().to_vec());
    BatchBuilder::new(Codec::None).record(record).build().unwrap()
}

fn produce(partition: PartitionKey, value: &str, timestamp_ms: i64) -> Request {
    let bytes = batch(value, timestamp_ms);
    let header = BatchHeader::parse(&bytes).unwrap();
    Request::Produce(vec![ProducePartition { partition, bytes, header }])
}

fn fetch(partition: PartitionKey, fetch_offset: i64, min_bytes: u32, deadline_ns: u64) -> Request {
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

fn values(records: &[Bytes]) -> Vec<String> {
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

#[test]
fn what_was_acknowledged_is_read_back_after_a_power_cut() {
    let mut node = Node::found(64 << 20);
    let partition = node.create("orders", 3, &[]);
    for number in 0..50 {
        assert_eq!(node.produce(partition, &format!("order{number}")), Ok(number));
    }
    node.power_cut();
    node.start();
    let read = values(&node.fetch(partition, 0).unwrap());
    assert_eq!(read.len(), 50);
    assert!(read.iter().enumerate().all(|(at, text)| text.ends_with(&format!("order{at}"))));
    assert_eq!(node.produce(partition, "after"), Ok(50), "offsets go on where they stood");
}

#[test]
fn a_parked_fetch_is_answered_by_the_record_it_waited_for() {
    let mut node = Node::found(64 << 20);
    let partition = node.create("orders", 1, &[]);
    let deadline_ns = node.now.boottime_ns + 30_000_000_000;
    let waiting = node.submit(fetch(partition, 0, 1, deadline_ns));
    node.run_ms(200);
    node.produce(partition, "late").unwrap();
    let Answer::Fetch(mut results) = node.wait_for(waiting) else { panic!("not a fetch") };
    let fetched = results.remove(0).unwrap();
    assert_eq!((fetched.high_watermark, fetched.records.len()), (1, 1));
    assert!(node.now.boottime_ns < deadline_ns);
}

#[test]
fn a_fetch_with_nothing_to_find_is_answered_at_its_deadline() {
    let mut node = Node::found(64 << 20);
    let partition = node.create("orders", 1, &[]);
    let deadline_ns = node.now.boottime_ns + 300_000_000;
    let waiting = node.submit(fetch(partition, 0, 1, deadline_ns));
    let Answer::Fetch(results) = node.wait_for(waiting) else { panic!("not a fetch") };
    assert!(results[0].as_ref().unwrap().records.is_empty());
    assert!(node.now.boottime_ns >= deadline_ns);
}

#[test]
fn a_name_can_be_used_again_at_once_and_the_old_records_stay_gone() {
    let mut node = Node::found(64 << 20);
    let old = node.create("orders", 1, &[]);
    node.produce(old, "old").unwrap();
    let delete = vec![holdfast_lane::DeleteTopic::Name("orders".to_owned())];
    let Answer::DeleteTopics(gone) = node.ask(Request::DeleteTopics(delete, origin())) else {
        panic!("not a deletion")
    };
    assert_eq!(gone[0].as_ref().unwrap().0, old.topic);
    let new = node.create("orders", 1, &[]);
    assert_ne!(old.topic, new.topic);
    assert!(node.fetch(new, 0).unwrap().is_empty());
    assert_eq!(node.fetch(old, 0).unwrap_err().reason, Reason::UnknownPartition);
    node.power_cut();
    node.start();
    assert!(node.fetch(new, 0).unwrap().is_empty(), "a restart does not bring them back");
}

#[test]
fn a_topic_that_exists_is_not_created_twice() {
    let mut node = Node::found(64 << 20);
    node.create("orders", 1, &[]);
    let topic = CreateTopic {
        name: "orders".to_owned(),
        partitions: 1,
        replication_factor: 1,
        assignment: Vec::new(),
        configs: Vec::new(),
        validate_only: false,
    };
    let Answer::CreateTopics(results) = node.ask(Request::CreateTopics(vec![topic], origin()))
    else {
        panic!("not a creation")
    };
    assert_eq!(results[0].as_ref().unwrap_err().reason, AdminReason::TopicAlreadyExists);
}

#[test]
fn deleted_records_stay_deleted_and_below_log_start_is_out_of_range() {
    let mut node = Node::found(64 << 20);
    let partition = node.create("orders", 1, &[]);
    for number in 0..10 {
        node.produce(partition, &format!("order{number}")).unwrap();
    }
    let ask = vec![DeleteRecordsPartition { partition, before_offset: 4 }];
    let Answer::DeleteRecords(results) = node.ask(Request::DeleteRecords(ask)) else {
        panic!("not a deletion")
    };
    assert_eq!(results, [Ok(4)]);
    assert_eq!(node.fetch(partition, 3).unwrap_err().reason, Reason::OffsetOutOfRange);
    assert_eq!(values(&node.fetch(partition, 4).unwrap()).len(), 6);
    node.power_cut();
    node.start();
    assert_eq!(node.fetch(partition, 3).unwrap_err().reason, Reason::OffsetOutOfRange);
    let beyond = vec![DeleteRecordsPartition { partition, before_offset: 11 }];
    let Answer::DeleteRecords(results) = node.ask(Request::DeleteRecords(beyond)) else {
        panic!("not a deletion")
    };
    assert_eq!(results[0].as_ref().unwrap_err().reason, Reason::OffsetOutOfRange);
}

#[test]
fn offsets_by_end_start_and_time_come_from_the_committed_prefix() {
    let mut node = Node::found(64 << 20);
    let partition = node.create("orders", 1, &[]);
    let start_ms = node.now.wall_ms;
    for number in 0..5 {
        let request = produce(partition, "x", start_ms + number * 10);
        node.ask(request);
    }
    let mut offset = |query| {
        let part = ListOffsetsPartition { partition, query, current_leader_epoch: -1 };
        let Answer::ListOffsets(mut results) = node.ask(Request::ListOffsets(vec![part])) else {
            panic!("not offsets")
        };
        match results.remove(0).unwrap().found {
            FoundOffset::Offset { offset, .. } => offset,
            FoundOffset::InBatch(slice) => {
                BatchHeader::parse(&node.bytes_of(slice)).unwrap().base_offset
            }
        }
    };
    assert_eq!(offset(OffsetQuery::Latest), 5);
    assert_eq!(offset(OffsetQuery::Earliest), 0);
    assert_eq!(offset(OffsetQuery::AtTime(start_ms + 11)), 2);
    assert_eq!(offset(OffsetQuery::AtTime(start_ms + 41)), -1);
    assert_eq!(offset(OffsetQuery::MaxTimestamp), 4);
    assert_eq!(offset(OffsetQuery::LatestTiered), -1);
}

#[test]
fn a_full_wal_refuses_records_but_still_deletes_and_creates() {
    let mut node = Node::found(16 << 20);
    let partition = node.create("orders", 1, &[("max.message.bytes", "4000000")]);
    let large = "x".repeat(300_000);
    let mut written = 0;
    let refusal = loop {
        match node.produce(partition, &large) {
            Ok(_) => written += 1,
            Err(refusal) => break refusal,
        }
        assert!(written < 60, "a WAL of 16 MiB took {written} records of 300 kB");
    };
    assert_eq!(refusal.reason, Reason::NoSpace);
    assert!(written >= 10, "only {written} records fit");
    node.create("another", 1, &[]);
    let ask = vec![DeleteRecordsPartition { partition, before_offset: -1 }];
    let Answer::DeleteRecords(results) = node.ask(Request::DeleteRecords(ask)) else {
        panic!("not a deletion")
    };
    assert_eq!(results, [Ok(written)]);
    node.power_cut();
    node.start();
    assert_eq!(node.fetch(partition, written).unwrap().len(), 0);
}

#[test]
fn a_record_no_segment_can_hold_is_refused_and_the_lane_lives_on() {
    let mut node = Node::found(16 << 20);
    let partition = node.create("orders", 1, &[("max.message.bytes", "4000000")]);
    let refusal = node.produce(partition, &"x".repeat(900_000)).unwrap_err();
    assert_eq!(refusal.reason, Reason::TooLarge);
    assert_eq!(node.produce(partition, "small"), Ok(0));
}

#[test]
fn records_older_than_retention_go_without_anyone_asking() {
    let mut node = Node::found(64 << 20);
    let partition = node.create("orders", 1, &[("retention.ms", "1000"), ("segment.ms", "500")]);
    node.produce(partition, "short-lived").unwrap();
    node.run_ms(20_000);
    let refusal = node.fetch(partition, 0).unwrap_err();
    assert_eq!(refusal.reason, Reason::OffsetOutOfRange);
    assert_eq!(node.fetch(partition, 1).unwrap().len(), 0);
}

#[test]
fn a_wall_clock_set_forward_by_years_does_not_make_a_retry_a_second_record() {
    let mut node = Node::found(64 << 20);
    let partition = node.create("orders", 1, &[("retention.ms", "-1")]);
    let record = RecordDraft::value(node.now.wall_ms, "paid once");
    let bytes = BatchBuilder::new(Codec::None).producer(7, 0, 0).record(record).build().unwrap();
    let send = |node: &mut Node| {
        let header = BatchHeader::parse(&bytes).unwrap();
        let part = ProducePartition { partition, bytes: bytes.clone(), header };
        match node.ask(Request::Produce(vec![part])) {
            Answer::Produce(mut results) => results.remove(0).map(|appended| appended.base_offset),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(send(&mut node), Ok(0));
    node.now.wall_ms += 10 * 365 * 86_400_000;
    node.produce(partition, "another").unwrap();
    node.run_ms(20_000);
    assert_eq!(send(&mut node), Ok(0), "the first copy's offset");
}

#[test]
fn producer_ids_are_never_given_out_twice_not_even_over_a_power_cut() {
    let mut node = Node::found(64 << 20);
    let mut seen = std::collections::BTreeSet::new();
    for round in 0..6 {
        let Answer::AllocateProducerIds(Ok((first, count))) =
            node.ask(Request::AllocateProducerIds)
        else {
            panic!("no ids")
        };
        assert!((first..first + i64::from(count)).all(|id| seen.insert(id)));
        if round % 2 == 1 {
            node.power_cut();
            node.start();
        }
    }
}
