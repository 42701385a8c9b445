//! The nodes, the network between them and the calls of clients: one thread, one queue.
//!
//! ```text
//!            ┌───────────── queue: (time, order) ──▶ event ──┐
//!   clients ─┤ Call ──▶ inbox ─┐                             │
//!            │ Answer ◀────────┤ node turn: drain inbox, Lane::turn, take everything out
//!   peers   ─┘ Deliver ─▶ inbox┘      ▲ device due │ lane wake │ inbox not empty
//! ```
//!
//! A turn takes a little simulated time, and whatever arrives meanwhile is handled in the next one
//! together, as the daemon's lane thread does it. Messages cross as bytes: encoded, decoded.
//!
//! Invariants: time never goes back; events at one time run in the order they were scheduled;
//! nothing here iterates over a hash map or reads a clock.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use holdfast_base::{BootCount, ClusterId, LaneId, NodeId, ReplicaId, Rng, ShardId, SplitMix64};
use holdfast_checker::{Event as Told, Kind, Op};
use holdfast_consensus::PeerMessage;
use holdfast_io::{SimDevice, SimFaults};
use holdfast_lane::{
    Answer, Founding, Lane, LaneConfig, NodeFacts, Outcome, Reason, RecordSlice, Refusal, Request,
    StoreConfig, Ticket,
};
use holdfast_wal::WalConfig;

use crate::clock::NodeClock;
use crate::group::GroupNotes;
use crate::network::Network;
use crate::node::{Input, Node, Power};
use crate::planted::Planted;
use crate::power::Stop;
use crate::states::{State, States};
use crate::store::{Bucket, Desk, StoreEvent};
use crate::trace::Trace;

/// Few, so that partitions share shards.
pub(crate) const DATA_SHARDS: u32 = 4;
/// Of every node's WAL.
const SEGMENT_BYTES: u64 = 512 << 10;
/// What reading away from the lane takes, mostly.
const COLD_READ_NS: u64 = 60_000_000;
/// What it takes at most; shorter than an object nobody may begin to read is kept.
const COLD_READ_NS_MAX: u64 = 1_400_000_000;
/// Process id of facts in the history that no client invoked.
const FACTS: u32 = 0;

/// Which client an event is for.
pub(crate) type ClientId = usize;

/// How a call ended for its client.
#[derive(Debug)]
pub(crate) enum Ended {
    Answered(Answer),
    /// The connection broke; whatever was asked may have happened.
    Broken,
}

/// What the queue holds.
#[derive(Debug)]
pub(crate) enum Event {
    Deliver {
        to: usize,
        bytes: Bytes,
    },
    Call {
        to: usize,
        ticket: Ticket,
        request: Request,
    },
    Answer {
        ticket: Ticket,
        ended: Ended,
    },
    Wake(ClientId),
    Nemesis,
    Start(usize),
    Resume(usize),
    Mend,
    Store(StoreEvent),
    /// A node has come to where it is to go down.
    Moment(usize),
}

/// Sizes of one seed's nodes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sizes {
    pub(crate) nodes: usize,
    pub(crate) wal_bytes: u64,
    pub(crate) tail_cache_bytes: u64,
    pub(crate) device_bytes: u64,
    pub(crate) reserve_bytes: u64,
    pub(crate) store: Option<StoreConfig>,
}

/// See the module.
pub(crate) struct World {
    pub(crate) now_ns: u64,
    order: u64,
    queue: BTreeMap<(u64, u64), Event>,
    pub(crate) nodes: Vec<Node>,
    pub(crate) network: Network,
    pub(crate) founding: Founding,
    pub(crate) trace: Trace,
    pub(crate) states: States,
    pub(crate) history: Vec<Told>,
    /// Broken promises that no client can see.
    pub(crate) broken: Vec<String>,
    rng: SplitMix64,
    pub(crate) seed: u64,
    next_ticket: u64,
    /// Open calls: whose, and at which node.
    pub(crate) tickets: BTreeMap<Ticket, (ClientId, usize)>,
    votes: BTreeMap<(ShardId, u64, ReplicaId), u64>,
    leaders: BTreeMap<(ShardId, u64), usize>,
    told_leaders: BTreeSet<(usize, u64, ShardId, u64)>,
    names: BTreeMap<ShardId, String>,
    pub(crate) crashes: u64,
    next_value: u64,
    /// What each client was last refused for.
    pub(crate) last_refusals: BTreeMap<ClientId, Reason>,
    /// When the newest call on a connection arrives.
    connections: BTreeMap<(ClientId, usize), u64>,
    producer_ids: BTreeSet<i64>,
    /// Produce calls that reached a node whose WAL had only its reserve left.
    short: BTreeSet<Ticket>,
    pub(crate) groups: GroupNotes,
    /// Devices rolled back whose node neither its boot count nor its log gave away.
    pub(crate) unseen_rollbacks: u64,
    pub(crate) bucket: Option<Bucket>,
    pub(crate) next_store_ticket: u64,
}

impl World {
    /// Nodes without a log, switched off.
    pub(crate) fn new(seed: u64, sizes: Sizes, planted: Planted, keeps_timeline: bool) -> World {
        let mut rng = SplitMix64::new(seed);
        let founding = Founding {
            cluster: ClusterId(*b"holdfast-simulat"),
            nodes: (1..=sizes.nodes as u32).map(NodeId).collect(),
            data_shards: DATA_SHARDS,
        };
        let network = Network::new(rng.split(), sizes.nodes);
        let nodes = (0..sizes.nodes)
            .map(|place| {
                let node = NodeId(place as u32 + 1);
                let mut wal = WalConfig::new(founding.cluster, node, LaneId(0), sizes.wal_bytes);
                wal.segment_bytes = SEGMENT_BYTES;
                wal.frame_bytes_max = 64 << 10;
                wal.in_flight_bytes_max = 256 << 10;
                wal.reserve_bytes = sizes.reserve_bytes;
                wal.buffer_idle_bytes_max = 1 << 20;
                wal.planted = planted.wal;
                let faults = SimFaults {
                    ack_before_flush: planted.device_acks_before_flush,
                    ..SimFaults::default()
                };
                let config = LaneConfig {
                    node,
                    wal,
                    founding: founding.clone(),
                    listeners: Vec::new(),
                    tail_cache_bytes: sizes.tail_cache_bytes,
                    facts: NodeFacts { node, values: group_settings() },
                    store: sizes.store,
                    seed: 0,
                    planted: planted.lane,
                };
                Node {
                    device: SimDevice::new(rng.next_u64(), sizes.device_bytes, faults),
                    config,
                    lane: None,
                    power: Power::Down,
                    clock: NodeClock {
                        on_at_ns: -i128::from(rng.below(1_000_000_000_000)),
                        drift_per_million: rng.below(201) as i64 - 100,
                        wall_skew_ms: rng.below(401) as i64 - 200,
                    },
                    inbox: std::collections::VecDeque::new(),
                    published: None,
                    starts: 0,
                    busy_until_ns: 0,
                    turn_at_ns: None,
                    restarting: false,
                    has_failed: false,
                    is_damaged: false,
                    must_notice: false,
                    must_quarantine: None,
                    rolled_back: false,
                    boot: BootCount(0),
                    promised: BTreeMap::new(),
                    desk: Desk::default(),
                }
            })
            .collect();
        let bucket = sizes.store.map(|_| Bucket::new(rng.split()));
        World {
            now_ns: 0,
            order: 0,
            queue: BTreeMap::new(),
            nodes,
            network,
            founding,
            trace: Trace::new(keeps_timeline),
            states: States::default(),
            history: Vec::new(),
            broken: Vec::new(),
            rng,
            seed,
            next_ticket: 0,
            tickets: BTreeMap::new(),
            votes: BTreeMap::new(),
            leaders: BTreeMap::new(),
            told_leaders: BTreeSet::new(),
            names: BTreeMap::new(),
            crashes: 0,
            next_value: 0,
            last_refusals: BTreeMap::new(),
            connections: BTreeMap::new(),
            producer_ids: BTreeSet::new(),
            short: BTreeSet::new(),
            groups: GroupNotes::default(),
            unseen_rollbacks: 0,
            bucket,
            next_store_ticket: 0,
        }
    }

    /// Formats and starts every node.
    pub(crate) fn found(&mut self) {
        for place in 0..self.nodes.len() {
            let node = &mut self.nodes[place];
            let formatted =
                node.device.open().map_err(|error| error.to_string()).and_then(|mut disk| {
                    Lane::format(&mut disk, &node.config).map_err(|error| error.to_string())
                });
            if let Err(error) = formatted {
                self.broken.push(format!("a blank device cannot be formatted: {error}"));
            }
            self.start(place);
        }
    }

    /// The partition by which leaders of a shard are told in the history.
    pub(crate) fn name_shard(&mut self, shard: ShardId, partition: &str) {
        self.names.entry(shard).or_insert_with(|| partition.to_owned());
    }

    pub(crate) fn at(&mut self, at_ns: u64, event: Event) {
        self.order += 1;
        self.queue.insert((at_ns.max(self.now_ns), self.order), event);
    }

    pub(crate) fn after(&mut self, delay_ns: u64, event: Event) {
        self.at(self.now_ns + delay_ns, event);
    }

    /// Sends a call to a node; its end comes as [`Event::Answer`], unless the client has
    /// [`World::give_up`] before.
    pub(crate) fn call(&mut self, client: ClientId, to: usize, request: Request) -> Ticket {
        self.next_ticket += 1;
        let ticket = Ticket(self.next_ticket);
        self.tickets.insert(ticket, (client, to));
        // A connection keeps the order of what is sent over it.
        let arrival_ns = self.now_ns + 20_000 + self.rng.below(200_000);
        let newest_ns = self.connections.entry((client, to)).or_default();
        *newest_ns = arrival_ns.max(*newest_ns);
        let at_ns = *newest_ns;
        self.at(at_ns, Event::Call { to, ticket, request });
        ticket
    }

    /// The client has stopped waiting: an answer that comes later is heard by nobody.
    pub(crate) fn give_up(&mut self, ticket: Ticket) {
        self.tickets.remove(&ticket);
    }

    /// Whose call has ended, if that client still waits for it.
    pub(crate) fn claim(&mut self, ticket: Ticket) -> Option<(ClientId, usize)> {
        self.tickets.remove(&ticket)
    }

    /// Writes a line of the history.
    pub(crate) fn tell(&mut self, process: u32, call: u64, kind: Kind, op: Op) {
        self.history.push(Told { process, call, kind, time_ns: self.now_ns, op });
    }

    /// Who leads a shard, as one of the nodes that are up says.
    pub(crate) fn leader_of(&mut self, shard: ShardId) -> Option<usize> {
        let nodes = self.nodes.len();
        let first = self.rng.below(nodes as u64) as usize;
        (0..nodes).map(|turn| (first + turn) % nodes).find_map(|place| {
            let node = &self.nodes[place];
            let known = node.published.as_ref().filter(|_| node.power == Power::Up)?;
            let leader = known.leaders.get(&shard)?;
            self.founding.nodes.iter().position(|node| *node == leader.node)
        })
    }

    /// A value nobody wrote before.
    pub(crate) fn draw_value(&mut self) -> u64 {
        self.next_value += 1;
        self.next_value
    }

    /// A producer id was given out; it must never have been before.
    pub(crate) fn note_producer_id(&mut self, id: i64) {
        if !self.producer_ids.insert(id) {
            self.broken.push(format!("producer-id-twice: {id} was given out before"));
        }
    }

    /// What refusals tell of states reached.
    pub(crate) fn note_refusal(
        &mut self,
        client: ClientId,
        node: usize,
        refusal: &Refusal,
        is_read: bool,
    ) {
        self.last_refusals.insert(client, refusal.reason);
        if refusal.outcome == Outcome::Unknown {
            self.states.reach(State::FateUnknown);
        }
        match refusal.reason {
            Reason::NotLeader => {
                self.states.reach(State::RefusedNotLeader);
                let says_itself =
                    refusal.leader.is_some_and(|hint| hint.node.0 as usize == node + 1);
                if is_read && says_itself {
                    self.states.reach(State::LeaseExpired);
                }
            }
            Reason::NoSpace => self.states.reach(State::RefusedNoSpace),
            Reason::OutOfOrderSequence => self.states.reach(State::RefusedOutOfOrder),
            _ => {}
        }
    }

    /// Counts of faults that the devices and the network kept.
    pub(crate) fn collect_counts(&mut self, faults: &mut BTreeMap<&'static str, u64>) {
        let mut add = |name, count| {
            if count > 0 {
                *faults.entry(name).or_default() += count;
            }
        };
        add("message lost", self.network.counters.lost);
        add("message cut off", self.network.counters.cut);
        add("message repeated", self.network.counters.repeated);
        add("message late", self.network.counters.late);
        add("rolled back, and nothing tells", self.unseen_rollbacks);
        self.states.reach_times(State::MessageLost, self.network.counters.lost);
        self.states.reach_times(State::MessageRepeated, self.network.counters.repeated);
        for node in &self.nodes {
            let counters = node.device.counters();
            add("write torn by power cut", counters.cut_torn);
            add("write dropped by power cut", counters.cut_dropped);
            add("write dropped by kill", counters.kill_dropped);
            add("write lost", counters.lost);
            add("write misdirected", counters.misdirected);
            add("device rolled back", counters.rollbacks);
            self.states.reach_times(State::WriteLost, counters.lost);
            self.states.reach_times(State::WriteMisdirected, counters.misdirected);
            self.states.reach_times(State::CutTornWrite, counters.cut_torn);
            self.states.reach_times(State::CutDroppedWrite, counters.cut_dropped);
        }
    }

    pub(crate) fn any_node(&mut self) -> usize {
        self.rng.below(self.nodes.len() as u64) as usize
    }

    /// When anything happens next.
    pub(crate) fn next_ns(&self) -> Option<u64> {
        let queued = self.queue.first_key_value().map(|((at_ns, _), _)| *at_ns);
        let turns = self.nodes.iter().filter_map(|node| node.turn_at_ns).min();
        match (queued, turns) {
            (Some(one), Some(other)) => Some(one.min(other)),
            (one, other) => one.or(other),
        }
    }

    /// Moves to the next thing that happens. Node turns are done here; any other event is for the
    /// caller.
    pub(crate) fn advance(&mut self) -> Option<Event> {
        let turns = self.nodes.iter().enumerate();
        let turn = turns.filter_map(|(place, node)| Some((node.turn_at_ns?, place))).min();
        let queued = self.queue.first_key_value().map(|((at_ns, _), _)| *at_ns);
        if let Some((at_ns, place)) = turn
            && queued.is_none_or(|queued| at_ns < queued)
        {
            assert!(at_ns >= self.now_ns, "time does not go back");
            self.now_ns = at_ns;
            self.turn(place);
            return None;
        }
        let ((at_ns, order), event) = self.queue.pop_first()?;
        self.now_ns = at_ns;
        self.trace.event(at_ns, order, 0);
        match event {
            Event::Deliver { to, bytes } => {
                self.arrive(to, Input::Peer(bytes));
                None
            }
            Event::Call { to, ticket, request } => {
                if matches!(self.nodes[to].power, Power::Down | Power::Out) {
                    self.break_call(ticket);
                } else {
                    self.note_shortage(to, ticket, &request);
                    self.arrive(to, Input::Call(ticket, request));
                }
                None
            }
            Event::Start(place) => {
                self.nodes[place].restarting = false;
                if self.nodes[place].power == Power::Down {
                    self.start(place);
                }
                None
            }
            Event::Resume(place) => {
                self.resume(place);
                None
            }
            Event::Store(event) => {
                self.store_event(event);
                None
            }
            other => Some(other),
        }
    }

    /// Remembers a produce that no node may take: only the reserve is left. A segment more is
    /// asked for, because the room of one comes and goes while the log rolls into it.
    fn note_shortage(&mut self, to: usize, ticket: Ticket, request: &Request) {
        let node = &self.nodes[to];
        if let (Request::Produce(_), Some(lane)) = (request, &node.lane)
            && lane.status().wal.free_bytes + SEGMENT_BYTES < node.config.wal.reserve_bytes
        {
            self.short.insert(ticket);
        }
    }

    /// Whether a produce was asked for when only the reserve was left.
    pub(crate) fn found_no_room(&self, ticket: Ticket) -> bool {
        self.short.contains(&ticket)
    }

    pub(crate) fn arrive(&mut self, to: usize, input: Input) {
        let now_ns = self.now_ns;
        let node = &mut self.nodes[to];
        match node.power {
            Power::Up | Power::Paused => {
                node.inbox.push_back(input);
                node.schedule(now_ns);
            }
            Power::Down | Power::Out => {}
        }
    }

    fn turn(&mut self, place: usize) {
        let now_ns = self.now_ns;
        let node = &mut self.nodes[place];
        node.device.advance(now_ns);
        let now = node.clock.now(now_ns);
        let Some(lane) = &mut node.lane else { return };
        let mut handled = 0_u64;
        while let Some(input) = node.inbox.pop_front() {
            handled += 1;
            match input {
                Input::Peer(bytes) => match PeerMessage::decode(&bytes) {
                    Ok(message) => lane.step(message, now),
                    Err(error) => self.broken.push(format!("a peer's message: {error}")),
                },
                Input::Call(ticket, request) => lane.handle(ticket, request, now),
            }
        }
        lane.turn(now);
        let mut answers = Vec::new();
        lane.take_answers(&mut answers);
        let mut messages = Vec::new();
        lane.take_messages(&mut messages);
        let published = lane.take_published();
        let failed_now = lane.has_failed() && !node.has_failed;
        node.has_failed |= failed_now;
        node.busy_until_ns = now_ns + 10_000 + self.rng.below(50_000);
        node.schedule(now_ns);
        self.trace.event(now_ns, place as u64, handled);
        self.trace.mix((answers.len() as u64) << 32 | messages.len() as u64);
        for (ticket, answer) in answers {
            let mut delay_ns = 20_000 + self.rng.below(200_000);
            if self.bucket.is_some() && is_read_later(&answer) {
                let is_slow = self.rng.chance(1, 12);
                delay_ns += self.rng.below(if is_slow { COLD_READ_NS_MAX } else { COLD_READ_NS });
            }
            self.trace.mix(ticket.0);
            self.after(delay_ns, Event::Answer { ticket, ended: Ended::Answered(answer) });
        }
        for message in messages {
            self.send(place, &message);
        }
        if let Some(published) = published {
            self.note_leaders(place, &published.leaders);
            self.nodes[place].published = Some(published);
        }
        self.take_store_work(place);
        if failed_now {
            self.trace.tell(now_ns, Some(place), || "its device failed; the node stops".to_owned());
            self.states.reach(State::DeviceFailed);
            self.stop(place, Stop::Kill);
            self.nodes[place].restarting = true;
            self.after(2_000_000_000, Event::Start(place));
        }
    }

    fn send(&mut self, from: usize, message: &PeerMessage) {
        let Some(to) = self
            .founding
            .node_of(message.shard, message.to)
            .and_then(|node| self.founding.nodes.iter().position(|known| *known == node))
        else {
            self.broken.push(format!("a message to replica {}, which is none", message.to));
            return;
        };
        self.note_vote(message);
        let bytes = Bytes::from(message.encode());
        self.trace.mix(u64::from(u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]])));
        for delay_ns in self.network.delays(from, to).into_iter().flatten() {
            self.after(delay_ns, Event::Deliver { to, bytes: bytes.clone() });
        }
    }

    /// Nobody votes for two in one term, whatever happened to it in between.
    fn note_vote(&mut self, message: &PeerMessage) {
        use raft::eraftpb::MessageType;
        let raft = &message.raft;
        if raft.get_msg_type() != MessageType::MsgRequestVoteResponse || raft.reject {
            return;
        }
        let key = (message.shard, raft.term, message.from);
        let first = *self.votes.entry(key).or_insert(raft.to);
        if first != raft.to {
            self.broken.push(format!(
                "double-vote: replica {} of shard {} voted for {first} and for {} in term {}",
                message.from, message.shard, raft.to, raft.term
            ));
        }
    }

    fn note_leaders(&mut self, place: usize, leaders: &holdfast_lane::Leaders) {
        for (shard, leader) in leaders {
            let named = leader.node.0 as usize - 1;
            let told = (place, self.nodes[place].starts, *shard, leader.term.0);
            if !self.told_leaders.insert(told) {
                continue;
            }
            let first = *self.leaders.entry((*shard, leader.term.0)).or_insert(named);
            let earlier = (*shard, 0)..(*shard, leader.term.0);
            if self.leaders.range(earlier).next_back().is_some_and(|(_, node)| *node != named) {
                self.states.reach(State::LeaderChanged);
            }
            if first != named {
                self.broken.push(format!(
                    "two-leaders: shard {shard} has n{} and n{} in term {}",
                    first + 1,
                    named + 1,
                    leader.term
                ));
            }
            let now_ns = self.now_ns;
            self.trace.tell(now_ns, Some(place), || {
                format!("sees n{} lead shard {shard} in term {}", named + 1, leader.term)
            });
            if let Some(partition) = self.names.get(shard) {
                let op = Op::Leader {
                    partition: partition.clone(),
                    node: place as u32 + 1,
                    boot: self.nodes[place].starts,
                    leader: leader.node.0,
                    leader_epoch: i32::try_from(leader.term.0).unwrap_or(-1),
                };
                self.tell(FACTS, self.order, Kind::Ok, op);
            }
        }
    }

    pub(crate) fn break_call(&mut self, ticket: Ticket) {
        let delay_ns = 50_000 + self.rng.below(500_000);
        self.after(delay_ns, Event::Answer { ticket, ended: Ended::Broken });
    }
}

/// Whether some of an answer's records are still to be read, from the device or from objects.
fn is_read_later(answer: &Answer) -> bool {
    let Answer::Fetch(parts) = answer else { return false };
    let mut slices = parts.iter().flatten().flat_map(|part| &part.records);
    slices.any(|slice| !matches!(slice, RecordSlice::Cached(_)))
}

/// Sessions as short as the runs are; offsets outlive every jump of a wall clock.
fn group_settings() -> BTreeMap<String, String> {
    let set = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
    [
        ("group.min.session.timeout.ms", "500"),
        ("group.initial.rebalance.delay.ms", "100"),
        ("offsets.retention.minutes", "2147483647"),
    ]
    .map(set)
    .into()
}
