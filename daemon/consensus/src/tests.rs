//! One voter and its peer messages, with a machine that only counts. Three voters, faults and
//! power cuts are the simulation's (`tests/sim`).

mod three_voters;
mod trimmed;

use std::collections::BTreeMap;

use bytes::Bytes;
use holdfast_base::{BootCount, ClusterId, Index, LaneId, NodeId, Now, ReplicaId, ShardId, Term};
use holdfast_io::{SimDevice, SimDisk, SimFaults};
use holdfast_wal::{Admission, Chunk, Extent, FrameNumber, Identity, Locator, Wal, WalConfig};
use raft::eraftpb::{Message, MessageType};

use crate::{
    Committed, Driver, DriverConfig, Event, HEAD_BYTES, Head, Machine, PeerMessage, PlantedBugs,
    ProposeError, Quarantine, Role, SentPayload, Start, TailCache,
};

const SHARD: ShardId = ShardId(3);

/// Remembers what it applied; `b"break"` breaks it.
#[derive(Default)]
struct Notebook {
    applied: Vec<(Index, Vec<u8>)>,
}

impl Machine for Notebook {
    type Outcome = usize;

    fn apply(&mut self, entry: Committed<'_>) -> Result<usize, Quarantine> {
        if entry.commands == b"break" {
            return Err(Quarantine("told to".to_owned()));
        }
        self.applied.push((entry.index, entry.commands.to_vec()));
        Ok(self.applied.len())
    }

    fn recall(&self, entry: Committed<'_>) -> Result<usize, Quarantine> {
        let row = self.applied.iter().position(|(index, _)| *index == entry.index);
        row.map(|row| row + 1).ok_or_else(|| Quarantine("never applied".to_owned()))
    }

    fn locators(&self, _commands: &[u8]) -> Vec<Locator> {
        Vec::new()
    }

    fn is_whole(&self, _commands: &[u8], payload: &[u8]) -> bool {
        payload != b"damaged"
    }

    fn hash(&self) -> u64 {
        self.applied.len() as u64
    }
}

struct Node {
    device: SimDevice,
    driver: Option<Driver<SimDisk, Notebook>>,
    now: Now,
    shards: u32,
    events: Vec<Event<usize>>,
    /// What the next start begins with.
    kept: BTreeMap<ShardId, Start<Notebook>>,
}

impl Node {
    fn new(shards: u32) -> Node {
        Node::with_peers(shards, &[])
    }

    fn with_peers(shards: u32, peers: &[ReplicaId]) -> Node {
        let device = SimDevice::new(11, 256 << 20, SimFaults::default());
        let identities: Vec<Identity> = (0..shards)
            .map(|shard| Identity {
                shard: ShardId(SHARD.0 + shard),
                replica: ReplicaId(u64::from(shard) + 9),
                voters: [&[ReplicaId(u64::from(shard) + 9)], peers].concat(),
                learners: Vec::new(),
            })
            .collect();
        let mut disk = device.open().unwrap();
        Wal::format(&mut disk, &wal_config(), &identities).unwrap();
        drop(disk);
        let now = Now { boottime_ns: 1, wall_ms: 5_000 };
        let mut node =
            Node { device, driver: None, now, shards, events: Vec::new(), kept: BTreeMap::new() };
        node.start();
        node
    }

    fn start(&mut self) {
        let disk = self.device.open().unwrap();
        let (wal, recovered) = Wal::recover(disk, wal_config()).unwrap();
        assert_eq!(recovered.replicas.len(), self.shards as usize);
        let config = DriverConfig {
            tail_cache_bytes: 1 << 20,
            entry_bytes_max: 1 << 20,
            election_seed: 1,
            planted: PlantedBugs::default(),
        };
        let mut replayed = Vec::new();
        let driver = Driver::open(
            wal,
            recovered,
            config,
            |shard| self.kept.remove(&shard).unwrap_or_else(|| Start::empty(Notebook::default())),
            &mut |event| replayed.push(event),
            self.now,
        )
        .unwrap();
        self.events = replayed;
        self.driver = Some(driver);
        self.run(20);
    }

    fn driver(&mut self) -> &mut Driver<SimDisk, Notebook> {
        self.driver.as_mut().unwrap()
    }

    fn run(&mut self, steps: usize) {
        for _ in 0..steps {
            let now = self.now;
            self.device.advance(now.boottime_ns);
            let driver = self.driver.as_mut().unwrap();
            driver.turn(now);
            driver.take_events(&mut self.events);
            let due = self.device.next_due_ns().unwrap_or(u64::MAX);
            self.now.boottime_ns = driver.next_wake_ns().min(due).max(now.boottime_ns + 1);
        }
    }

    fn propose(&mut self, shard: ShardId, commands: &[u8], payload: &[u8]) -> Index {
        let now = self.now;
        let chunk = Chunk::Body { bytes: Bytes::copy_from_slice(payload), crc32c: None };
        let payload = if payload.is_empty() { Vec::new() } else { vec![chunk] };
        let class = Admission::Records;
        self.driver().propose(shard, commands, payload, class, now).unwrap().index
    }

    fn payload_of(&self, wanted: Index) -> Extent {
        self.events
            .iter()
            .find_map(|event| match event {
                Event::Applied { index, payload, .. } if *index == wanted => Some(*payload),
                _ => None,
            })
            .expect("the entry was applied")
    }
}

fn wal_config() -> WalConfig {
    WalConfig::new(ClusterId([1; 16]), NodeId(1), LaneId(0), 64 << 20)
}

#[test]
fn a_sole_voter_leads_and_serves_without_waiting_for_an_election() {
    let mut node = Node::new(1);
    let started_ns = node.now.boottime_ns;
    let role = node.driver().status().next().unwrap().role;
    assert_eq!(role, Role::Serving);
    assert!(started_ns < 1_000_000_000, "an election takes a second: it did not happen");
}

#[test]
fn nothing_is_applied_before_its_frame_is_durable() {
    let mut node = Node::new(1);
    let index = node.propose(SHARD, b"one", b"payload");
    let now = node.now;
    node.driver().turn(now);
    let applied = node.driver().machine(SHARD).unwrap().applied.len();
    assert_eq!(applied, 0, "the write is in flight");
    node.run(10);
    assert_eq!(node.driver().machine(SHARD).unwrap().applied, [(index, b"one".to_vec())]);
}

#[test]
fn commands_and_payload_come_back_after_a_power_cut() {
    let mut node = Node::new(2);
    for number in 0..100_u32 {
        let shard = ShardId(SHARD.0 + number % 2);
        node.propose(shard, format!("command {number}").as_bytes(), &[number as u8; 3000]);
        node.run(5);
    }
    node.run(20);
    node.device.power_cut();
    node.driver = None;
    node.start();
    let applied = &node.driver().machine(SHARD).unwrap().applied;
    assert_eq!(applied.len(), 50);
    let last = applied[49].0;
    let extent = node.payload_of(last);
    let bytes = node.driver().wal().read_payload(extent).unwrap();
    assert_eq!(bytes.len(), 3000);
    assert!(bytes.iter().all(|byte| *byte == bytes[0]));
}

#[test]
fn a_broken_machine_stops_its_replica_and_no_other() {
    let mut node = Node::new(2);
    let other = ShardId(SHARD.0 + 1);
    node.propose(SHARD, b"break", b"");
    node.run(10);
    assert!(node.events.iter().any(|event| matches!(
        event,
        Event::Quarantined { shard, .. } if *shard == SHARD
    )));
    let now = node.now;
    let refused = node.driver().propose(SHARD, b"more", Vec::new(), Admission::Records, now);
    assert_eq!(refused, Err(ProposeError::NotLeader));
    node.propose(other, b"fine", b"");
    node.run(10);
    assert_eq!(node.driver().machine(other).unwrap().applied.len(), 1);
}

#[test]
fn an_entry_decided_in_another_term_is_a_no_op() {
    let mut node = Node::new(1);
    let now = node.now;
    let driver = node.driver.as_mut().unwrap();
    let (term, _) = driver.deciding(SHARD, now).unwrap();
    let head = Head {
        deciding_replica: ReplicaId(8),
        deciding_term: Term(term.0 - 1),
        time_ms: 1,
        payload_len_bytes: 0,
    };
    driver.propose_raw_for_tests(SHARD, head.encode(b"from a deposed leader"));
    node.run(10);
    assert!(node.driver().machine(SHARD).unwrap().applied.is_empty());
    let noops = node
        .events
        .iter()
        .filter(|event| matches!(event, Event::Applied { outcome: None, .. }))
        .count();
    assert_eq!(noops, 2, "the leader's empty entry and the stale one");
}

#[test]
fn entry_time_never_goes_back_when_the_wall_clock_does() {
    let mut node = Node::new(1);
    node.propose(SHARD, b"one", b"");
    node.now.wall_ms = 1_000;
    let now = node.now;
    let (_, time_ms) = node.driver().deciding(SHARD, now).unwrap();
    assert_eq!(time_ms, 5_000);
}

#[test]
fn a_head_survives_its_bytes_and_a_newer_one_is_not_skipped() {
    let head = Head {
        deciding_replica: ReplicaId(u64::MAX - 1),
        deciding_term: Term(7),
        time_ms: -5,
        payload_len_bytes: 77,
    };
    let mut data = head.encode(b"rest");
    assert_eq!(data.len(), HEAD_BYTES + 4);
    assert_eq!(Head::decode(&data), Ok((head, &b"rest"[..])));
    data[2] = 9;
    assert!(Head::decode(&data).is_err(), "an unknown feature level quarantines");
    assert!(Head::decode(&data[..HEAD_BYTES - 1]).is_err());
}

fn message() -> PeerMessage {
    let mut raft = Message { from: 5, to: 6, term: 3, index: 17, ..Message::default() };
    raft.set_msg_type(MessageType::MsgAppend);
    PeerMessage {
        shard: ShardId(2),
        from: ReplicaId(5),
        to: ReplicaId(6),
        boot: BootCount(4),
        free_bytes: 99,
        hashed_index: Index(1024),
        state_hash: 0xfeed,
        sent_ns: 12,
        echo_ns: 7,
        raft,
        payloads: vec![
            SentPayload { index: Index(18), term: Term(3), bytes: Bytes::from_static(b"abc") },
            SentPayload { index: Index(19), term: Term(3), bytes: Bytes::new() },
        ],
    }
}

#[test]
fn a_peer_message_survives_its_bytes() {
    let message = message();
    let bytes = Bytes::from(message.encode());
    assert_eq!(PeerMessage::decode(&bytes).unwrap(), message);
}

#[test]
fn no_damaged_peer_message_is_believed() {
    let bytes = message().encode();
    for at in 0..bytes.len() {
        let mut damaged = bytes.clone();
        damaged[at] ^= 0x10;
        assert!(PeerMessage::decode(&Bytes::from(damaged)).is_err(), "byte {at}");
        assert!(PeerMessage::decode(&Bytes::copy_from_slice(&bytes[..at])).is_err());
    }
}

#[test]
fn a_forwarded_proposal_or_a_forged_sender_is_not_let_in() {
    let mut forwarded = message();
    forwarded.raft.set_msg_type(MessageType::MsgPropose);
    assert!(!forwarded.is_allowed());
    let mut forged = message();
    forged.raft.from = 7;
    assert!(!forged.is_allowed());
    assert!(message().is_allowed());
}

#[test]
fn the_tail_cache_forgets_the_oldest_but_nothing_the_device_has_not() {
    let mut cache = TailCache::new(10_000);
    let extent = |segment, offset| Extent {
        segment: holdfast_wal::SegmentNumber(segment),
        offset,
        len_bytes: 3_000,
    };
    let places = BTreeMap::from([(1, 0), (2, 4_096), (3, 0), (4, 8_192)]);
    for (segment, offset) in &places {
        let frame = FrameNumber(*segment);
        cache.insert(extent(*segment, *offset), Bytes::from(vec![*segment as u8; 3_000]), frame);
    }
    assert!(cache.find(extent(1, 0)).is_some(), "a payload that is not durable yet has gone");
    cache.set_durable(FrameNumber(4));
    assert!(cache.held_bytes() <= 10_000);
    assert_eq!(cache.find(extent(1, 0)), None);
    assert_eq!(cache.find(extent(3, 0).part(10, 20)), Some(Bytes::from(vec![3; 20])));
    assert_eq!(cache.find(extent(4, 0)), None, "another place in the same segment");
}
