//! A member of a consumer group: finds the coordinator, joins, syncs, consumes from the committed
//! offset, commits as it goes, and misbehaves now and then.
//!
//! ```text
//! Away ─join─▶ Syncing ─sync─▶ Offsets ─fetch offsets─▶ In: fetch, commit, heartbeat
//!   ▲              │refused        │refused               │ rebalance; leave, stall, restart
//!   └──────────────┴───────────────┴──────────────────────┘
//! ```
//!
//! One call at a time, and heartbeats beside it. Every commit carries a value of its own as its
//! offsets' metadata, so that an offset shown names its commit. The leader gives partitions round
//! robin; the text of a part holds the plan's own number: `71|0,2`.
//!
//! Caveat: records are not judged here, readers do that; of what is fetched only the last offset
//! counts.

mod answers;

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use holdfast_base::{Rng, SplitMix64};
use holdfast_checker::{Commit, JoinGroup, Kind, OffsetFetch, Op, SyncGroup};
use holdfast_lane::{
    CommitOffsets, FetchOffsets, FetchPartition, FetchRequest, GroupCall, Heartbeat, Join,
    JoinedMember, Leave, LeavingMember, ListOffsetsPartition, NewOffset, OffsetQuery, Request,
    Sync, Ticket,
};

use crate::producer::Target;
use crate::world::{ClientId, Event, World};

/// Short, because a run is.
const SESSION_MS: i32 = 1_200;
const REBALANCE_MS: i32 = 1_500;
const MILLIS: u64 = 1_000_000;
const BEAT_NS: u64 = 300 * MILLIS;
/// A call that waits for nobody else.
const CALL_NS: u64 = 2_500 * MILLIS;
/// Join and Sync wait for other members: as Kafka's clients, the rebalance's time and five seconds.
const PARKED_NS: u64 = 6_500 * MILLIS;

/// What members of all groups have to know of each other to tell what was seen.
#[derive(Debug, Default)]
pub(crate) struct GroupNotes {
    /// Member ids that went without a word.
    silent: BTreeSet<String>,
    /// Of each group, who was in it when its leader last assigned.
    assigned: BTreeMap<String, Vec<String>>,
    /// By value: who acknowledged a commit.
    acked_by: BTreeMap<u64, usize>,
}

/// Who a member is.
#[derive(Clone, Debug)]
pub(crate) struct MemberPlan {
    pub(crate) id: ClientId,
    pub(crate) nodes: usize,
    pub(crate) group: String,
    pub(crate) instance_id: Option<String>,
    pub(crate) targets: Vec<Target>,
    pub(crate) rng: SplitMix64,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Phase {
    Away,
    Syncing,
    Offsets,
    In,
}

#[derive(Clone, Debug)]
enum Asked {
    Join,
    Sync(SyncGroup),
    Offsets(OffsetFetch),
    Records(usize),
    Earliest(usize),
    Commit { commit: Commit, places: Vec<(usize, i64)>, is_late: bool },
    Leave,
    Describe,
    Beat,
}

#[derive(Clone, Debug)]
struct Open {
    ticket: Ticket,
    node: usize,
    until_ns: u64,
    call: u64,
    generation: i32,
    /// Asked after all faults had ended: it must be answered.
    is_owed: bool,
    asked: Asked,
}

/// How far the last look at a group has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Examined {
    No,
    Asked,
    Stable,
    Done,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Member {
    plan: MemberPlan,
    rng: SplitMix64,
    member_id: String,
    generation: i32,
    /// For the leader: whom to give a part.
    to_assign: Vec<JoinedMember>,
    phase: Phase,
    coordinator: usize,
    /// Who answered its SyncGroup.
    synced_by: usize,
    trying: Option<Open>,
    beat: Option<Open>,
    next_call: u64,
    next_beat_ns: u64,
    next_commit_ns: u64,
    silent_until_ns: u64,
    /// Next offset of each partition it has; `None` until known.
    positions: BTreeMap<usize, i64>,
    committed: BTreeMap<usize, i64>,
    must_rejoin: bool,
    /// It commits once more in the generation before, as a thread that was late would.
    late_commit: bool,
    /// A static member that forgot its id in this generation.
    restarted_in: Option<i32>,
    settles: bool,
    is_quiet: bool,
    pub(crate) beats_ok: u64,
    pub(crate) examined: Examined,
}

impl Member {
    pub(crate) fn new(mut plan: MemberPlan) -> Self {
        let mut rng = plan.rng.split();
        Member {
            coordinator: rng.below(plan.nodes as u64) as usize,
            rng,
            plan,
            member_id: String::new(),
            generation: -1,
            to_assign: Vec::new(),
            phase: Phase::Away,
            synced_by: 0,
            trying: None,
            beat: None,
            next_call: 0,
            next_beat_ns: 0,
            next_commit_ns: 0,
            silent_until_ns: 0,
            positions: BTreeMap::new(),
            committed: BTreeMap::new(),
            must_rejoin: false,
            late_commit: false,
            restarted_in: None,
            settles: false,
            is_quiet: false,
            beats_ok: 0,
            examined: Examined::No,
        }
    }

    pub(crate) fn group(&self) -> &str {
        &self.plan.group
    }

    pub(crate) fn generation(&self) -> i32 {
        self.generation
    }

    /// For people: why it does not get on.
    pub(crate) fn line(&self) -> String {
        format!(
            "member {} ({}) of {}: {:?} in generation {}, coordinator n{}, rejoin {}, trying {:?}, \
             positions {:?}, committed {:?}, {:?}",
            self.plan.id + 1,
            self.name(),
            self.plan.group,
            self.phase,
            self.generation,
            self.coordinator + 1,
            self.must_rejoin,
            self.trying,
            self.positions,
            self.committed,
            self.examined
        )
    }

    /// No more mischief; it goes on consuming.
    pub(crate) fn end(&mut self) {
        self.settles = true;
        self.silent_until_ns = 0;
    }

    /// Nothing but heartbeats from now on.
    pub(crate) fn be_quiet(&mut self) {
        self.is_quiet = true;
        self.beats_ok = 0;
    }

    /// It looks at its group once more, from outside.
    pub(crate) fn examine(&mut self) {
        self.examined = Examined::Asked;
    }

    /// It has its part, and all that it consumed is committed.
    pub(crate) fn is_settled(&self) -> bool {
        let waits = matches!(&self.trying, Some(open) if !matches!(open.asked, Asked::Records(_)));
        self.phase == Phase::In && !self.must_rejoin && !waits && self.progress().is_empty()
    }

    /// As the history and the leader's plan call it.
    fn name(&self) -> String {
        self.plan.instance_id.clone().unwrap_or_else(|| self.member_id.clone())
    }

    fn process(&self) -> u32 {
        self.plan.id as u32 + 1
    }

    /// Consumed and not committed.
    fn progress(&self) -> Vec<(usize, i64)> {
        let more = |(place, at): (&usize, &i64)| {
            (self.committed.get(place) < Some(at)).then_some((*place, *at))
        };
        self.positions.iter().filter_map(more).collect()
    }

    pub(crate) fn wake(&mut self, world: &mut World) {
        let now_ns = world.now_ns;
        world.after(40 * MILLIS + self.rng.below(40 * MILLIS), Event::Wake(self.plan.id));
        if now_ns < self.silent_until_ns {
            return;
        }
        if self.trying.as_ref().is_some_and(|open| open.until_ns <= now_ns) {
            let open = self.trying.take();
            self.time_out(open, world);
        }
        if self.beat.as_ref().is_some_and(|open| open.until_ns <= now_ns) {
            let open = self.beat.take();
            self.time_out(open, world);
        }
        if self.trying.is_none() {
            match self.phase {
                Phase::Away => self.join(world),
                Phase::Syncing => self.sync(world),
                Phase::Offsets => self.fetch_offsets(world),
                Phase::In => self.work(world),
            }
        }
        if self.phase == Phase::In && self.beat.is_none() && now_ns >= self.next_beat_ns {
            self.next_beat_ns = now_ns + BEAT_NS;
            let beat = GroupCall::Heartbeat(Heartbeat {
                group: self.plan.group.clone(),
                member_id: self.member_id.clone(),
                instance_id: self.plan.instance_id.clone(),
                generation: self.generation,
            });
            let open = self.open(self.coordinator, Request::Group(beat), Asked::Beat, world);
            self.beat = Some(open);
        }
    }

    fn work(&mut self, world: &mut World) {
        let progress = self.progress();
        if self.must_rejoin {
            // Kafka's clients commit before they give partitions up, if they still can.
            if !progress.is_empty() && self.rng.chance(1, 2) {
                self.commit(progress, false, world);
            } else {
                self.go_away(world);
            }
            return;
        }
        if self.is_quiet {
            return;
        }
        if !self.settles && self.rng.chance(1, 60) {
            self.misbehave(world);
        } else if std::mem::take(&mut self.late_commit) && !self.positions.is_empty() {
            let places = self.positions.iter().map(|(place, at)| (*place, *at)).collect();
            self.commit(places, true, world);
        } else if !progress.is_empty() && world.now_ns >= self.next_commit_ns {
            self.commit(progress, false, world);
            self.next_commit_ns = world.now_ns + 150 * MILLIS + self.rng.below(400 * MILLIS);
        } else if self.examined == Examined::Asked {
            let call = GroupCall::Describe { group: self.plan.group.clone() };
            self.ask(Request::Group(call), Asked::Describe, world);
        } else if self.examined == Examined::Stable || self.rng.chance(1, 50) {
            self.fetch_offsets(world);
        } else {
            self.fetch(world);
        }
    }

    /// It leaves, falls silent, or starts again without what it knew.
    fn misbehave(&mut self, world: &mut World) {
        match self.rng.below(4) {
            0 => {
                let member = LeavingMember {
                    member_id: self.member_id.clone(),
                    instance_id: self.plan.instance_id.clone(),
                };
                let leave = Leave { group: self.plan.group.clone(), members: vec![member] };
                self.ask(Request::Group(GroupCall::Leave(leave)), Asked::Leave, world);
                return;
            }
            1 => {
                // Long enough to be thrown out; it comes back believing that it is still in.
                let most_ns = 3 * SESSION_MS as u64 * MILLIS;
                self.silent_until_ns = world.now_ns + self.rng.below(most_ns);
            }
            _ => {
                self.restarted_in = self.plan.instance_id.as_ref().map(|_| self.generation);
                let member_id = std::mem::take(&mut self.member_id);
                world.groups.silent.insert(member_id);
                self.silent_until_ns = world.now_ns + self.rng.below(2_000 * MILLIS);
                self.drop_calls(world);
                self.go_away(world);
                return;
            }
        }
        world.groups.silent.insert(self.member_id.clone());
        self.drop_calls(world);
    }

    fn drop_calls(&mut self, world: &mut World) {
        let calls = [self.trying.take(), self.beat.take()];
        for open in calls.into_iter().flatten() {
            world.give_up(open.ticket);
            self.tell(&open, Kind::Info, world);
        }
    }

    /// Its generation is over for it.
    fn go_away(&mut self, world: &mut World) {
        if let Some(beat) = self.beat.take() {
            world.give_up(beat.ticket);
        }
        self.phase = Phase::Away;
        self.must_rejoin = false;
        self.positions.clear();
        self.committed.clear();
    }

    fn next_node(&mut self) {
        self.coordinator = (self.coordinator + 1) % self.plan.nodes;
    }

    // ── calls ──

    fn open(&mut self, node: usize, request: Request, asked: Asked, world: &mut World) -> Open {
        let wait_ns = match asked {
            Asked::Join | Asked::Sync(_) => PARKED_NS,
            _ => CALL_NS,
        };
        self.next_call += 1;
        let ticket = world.call(self.plan.id, node, request);
        Open {
            ticket,
            node,
            until_ns: world.now_ns + wait_ns,
            call: self.next_call,
            generation: self.generation,
            is_owed: self.settles,
            asked,
        }
    }

    /// Asks the coordinator, or now and then somebody else, who must not answer.
    fn ask(&mut self, request: Request, asked: Asked, world: &mut World) {
        let node = if self.rng.chance(1, 20) { world.any_node() } else { self.coordinator };
        let open = self.open(node, request, asked, world);
        self.tell(&open, Kind::Invoke, world);
        self.trying = Some(open);
    }

    /// Writes the line of a call that has no results.
    fn tell(&self, open: &Open, kind: Kind, world: &mut World) {
        let op = match &open.asked {
            Asked::Join => Op::JoinGroup(self.joining(0)),
            Asked::Sync(sync) => Op::SyncGroup(sync.clone()),
            Asked::Offsets(fetch) => Op::FetchOffsets(fetch.clone()),
            Asked::Commit { commit, .. } => Op::Commit(commit.clone()),
            _ => return,
        };
        world.tell(self.process(), open.call, kind, op);
    }

    fn joining(&self, generation: i32) -> JoinGroup {
        JoinGroup { group: self.plan.group.clone(), member: self.name(), generation }
    }

    fn join(&mut self, world: &mut World) {
        let is_static = self.plan.instance_id.is_some();
        let join = Join {
            group: self.plan.group.clone(),
            member_id: self.member_id.clone(),
            instance_id: self.plan.instance_id.clone(),
            protocol_type: "consumer".to_owned(),
            protocols: vec![("round-robin".to_owned(), Bytes::from_static(b"all"))],
            session_timeout_ms: SESSION_MS,
            rebalance_timeout_ms: REBALANCE_MS,
            requires_known_member: !is_static && self.rng.chance(3, 4),
            can_skip_assignment: self.rng.chance(1, 2),
            client_id: format!("client-{}", self.plan.id),
            client_host: "/simulation".to_owned(),
        };
        self.ask(Request::Group(GroupCall::Join(join)), Asked::Join, world);
    }

    fn sync(&mut self, world: &mut World) {
        let number = world.draw_value();
        let members = std::mem::take(&mut self.to_assign);
        let count = members.len();
        let mut plan = Vec::new();
        let mut assignments = Vec::new();
        for (ordinal, member) in members.into_iter().enumerate() {
            let part = (0..self.plan.targets.len()).filter(|place| place % count == ordinal);
            let part: Vec<String> = part.map(|place| place.to_string()).collect();
            let text = format!("{number}|{}", part.join(","));
            let name = member.instance_id.unwrap_or_else(|| member.member_id.clone());
            plan.push((name, text.clone()));
            assignments.push((member.member_id, Bytes::from(text)));
        }
        let told = SyncGroup {
            group: self.plan.group.clone(),
            member: self.name(),
            generation: self.generation,
            plan,
            assignment: String::new(),
        };
        let sync = Sync {
            group: self.plan.group.clone(),
            member_id: self.member_id.clone(),
            instance_id: self.plan.instance_id.clone(),
            generation: self.generation,
            protocol_type: Some("consumer".to_owned()),
            protocol: Some("round-robin".to_owned()),
            assignments,
        };
        self.ask(Request::Group(GroupCall::Sync(sync)), Asked::Sync(told), world);
    }

    fn fetch_offsets(&mut self, world: &mut World) {
        let all = self.positions.is_empty() || self.rng.chance(1, 4);
        let places: Vec<usize> = match all || self.examined == Examined::Stable {
            true => (0..self.plan.targets.len()).collect(),
            false => self.positions.keys().copied().collect(),
        };
        let targets = || places.iter().map(|place| &self.plan.targets[*place]);
        let told = OffsetFetch {
            group: self.plan.group.clone(),
            partitions: targets().map(|target| target.name.clone()).collect(),
            offsets: Vec::new(),
        };
        let partitions = (!all).then(|| targets().map(|target| target.key).collect());
        let request =
            Request::FetchOffsets(FetchOffsets { group: self.plan.group.clone(), partitions });
        self.ask(request, Asked::Offsets(told), world);
    }

    fn commit(&mut self, places: Vec<(usize, i64)>, is_late: bool, world: &mut World) {
        let value = world.draw_value();
        let generation = self.generation - i32::from(is_late);
        let new = |(place, offset): &(usize, i64)| NewOffset {
            partition: self.plan.targets[*place].key,
            offset: *offset,
            leader_epoch: -1,
            metadata: value.to_string(),
        };
        let request = Request::CommitOffsets(CommitOffsets {
            group: self.plan.group.clone(),
            member_id: self.member_id.clone(),
            instance_id: self.plan.instance_id.clone(),
            generation,
            offsets: places.iter().map(new).collect(),
        });
        let named =
            |(place, offset): &(usize, i64)| (self.plan.targets[*place].name.clone(), *offset);
        let commit = Commit {
            group: self.plan.group.clone(),
            member: self.name(),
            generation,
            value,
            offsets: places.iter().map(named).collect(),
        };
        self.ask(request, Asked::Commit { commit, places, is_late }, world);
    }

    /// Reads on in one of its partitions.
    fn fetch(&mut self, world: &mut World) {
        if self.positions.is_empty() {
            return;
        }
        let nth = self.rng.below(self.positions.len() as u64) as usize;
        let Some((place, position)) = self.positions.iter().nth(nth).map(|(p, at)| (*p, *at))
        else {
            return;
        };
        let target = &self.plan.targets[place];
        let (key, shard) = (target.key, target.shard);
        let to = world.leader_of(shard).unwrap_or_else(|| world.any_node());
        let deadline_ns = world.now_ns + 100 * MILLIS;
        let request = Request::Fetch(FetchRequest {
            min_bytes: 1,
            max_bytes: 16 << 10,
            deadline_ns: world.nodes[to].clock.now(deadline_ns).boottime_ns,
            partitions: vec![FetchPartition {
                partition: key,
                fetch_offset: position,
                max_bytes: 16 << 10,
                current_leader_epoch: -1,
                last_fetched_epoch: -1,
            }],
        });
        let open = self.open(to, request, Asked::Records(place), world);
        self.trying = Some(open);
    }

    /// What it wanted to read is deleted: on from the log's start.
    fn seek_to_start(&mut self, place: usize, world: &mut World) {
        let target = &self.plan.targets[place];
        let (partition, shard) = (target.key, target.shard);
        let part = ListOffsetsPartition {
            partition,
            query: OffsetQuery::Earliest,
            current_leader_epoch: -1,
        };
        let to = world.leader_of(shard).unwrap_or_else(|| world.any_node());
        let open = self.open(to, Request::ListOffsets(vec![part]), Asked::Earliest(place), world);
        self.trying = Some(open);
    }
}
