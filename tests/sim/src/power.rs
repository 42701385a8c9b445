//! How a node goes down and comes back, and what it must bring with it.
//!
//! ```text
//! up ──kill, power cut──▶ down: promised = what it may have told others it holds
//!  ▲                       │ start
//!  └── all it promised ────┤
//!      out ◀── less ───────┘  damaged or rolled back: kept out; otherwise the run has failed
//! ```
//!
//! Invariant: a node whose bytes nobody damaged comes back with everything it had on stable media.
//!
//! Caveat: fencing a node that comes back with less is its peers' work (design, consensus rule 7)
//! and not written yet. The harness does it in their place, and counts by what they could know it.

use std::collections::BTreeMap;

use holdfast_base::{BootCount, Index, Rng, ShardId, SplitMix64, Term};
use holdfast_lane::{Lane, LaneStatus, Ticket};

use crate::node::Power;
use crate::states::State;
use crate::world::World;

/// Every replica of a node in one line.
fn replica_line(status: &LaneStatus) -> String {
    let mut line = String::new();
    for replica in &status.replicas {
        line += &format!(
            "s{} {}term {} persisted {} last {} applied {}; ",
            replica.shard,
            if replica.quarantine.is_some() { "QUARANTINED " } else { "" },
            replica.term,
            replica.persisted,
            replica.last,
            replica.applied
        );
    }
    line
}

/// How a node goes down.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Stop {
    Kill,
    PowerCut,
}

impl World {
    /// What a lane counted since it started, before it goes.
    fn note_probes(&mut self, place: usize) {
        let Some(lane) = &self.nodes[place].lane else { return };
        let (probes, driver) = (lane.probes(), lane.consensus_probes());
        let wal = lane.status().wal;
        for (state, times) in [
            (State::EntryTruncated, driver.entries_truncated),
            (State::FedFromWal, driver.fed_from_wal),
            (State::OldBootDropped, driver.old_boots_dropped),
            (State::VoteHeldBack, driver.votes_held_back),
            (State::TornTailCut, driver.torn_tails_cut),
            (State::DuplicateInFlight, probes.duplicates_in_flight),
            (State::DuplicateCommitted, probes.duplicates_committed),
            (State::ParkedFetchWoken, probes.fetches_woken),
            (State::PendingFailed, probes.pending_failed),
            (State::SegmentSealed, wal.seals_written),
            (State::CrashInRoll, u64::from(wal.segments > wal.sealed + 1)),
        ] {
            self.states.reach_times(state, times);
        }
    }

    /// The last look at nodes that are still up.
    pub(crate) fn note_all_probes(&mut self) {
        for place in 0..self.nodes.len() {
            self.note_probes(place);
        }
    }

    /// What the node may have told others it holds. Its term counts only where nothing is in
    /// flight: a newer one need not be on stable media yet.
    fn note_promises(&mut self, place: usize) {
        let node = &mut self.nodes[place];
        let Some(lane) = &node.lane else { return };
        let status = lane.status();
        for replica in status.replicas.iter().filter(|replica| replica.quarantine.is_none()) {
            let known = node.promised.get(&replica.shard).map_or(Term(0), |(term, _)| *term);
            let term = if status.wal.in_flight == 0 { replica.term } else { known };
            node.promised.insert(replica.shard, (term, replica.persisted));
        }
        let line = replica_line(&status);
        let now_ns = self.now_ns;
        self.trace.tell(now_ns, Some(place), || format!("had: {line}"));
    }

    /// Takes a node down; its clients' connections break.
    pub(crate) fn stop(&mut self, place: usize, how: Stop) {
        let now_ns = self.now_ns;
        if matches!(self.nodes[place].power, Power::Down | Power::Out) {
            return;
        }
        self.crashes += 1;
        self.note_probes(place);
        self.note_promises(place);
        let node = &mut self.nodes[place];
        node.device.advance(now_ns);
        match how {
            Stop::Kill => node.device.kill(),
            Stop::PowerCut => {
                node.device.power_cut();
                node.clock.on_at_ns = i128::from(now_ns);
            }
        }
        if let Some(lane) = node.lane.take() {
            node.boot = lane.status().wal.boot;
        }
        node.power = Power::Down;
        node.inbox.clear();
        node.desk.forget_work();
        node.published = None;
        node.schedule(now_ns);
        let open: Vec<Ticket> = self
            .tickets
            .iter()
            .filter(|(_, (_, at))| *at == place)
            .map(|(ticket, _)| *ticket)
            .collect();
        for ticket in open {
            self.break_call(ticket);
        }
        self.trace.tell(now_ns, Some(place), || format!("goes down: {how:?}"));
    }

    /// Starts a node that is down. A node that does not start stays out.
    pub(crate) fn start(&mut self, place: usize) {
        let now_ns = self.now_ns;
        let seed = self.seed;
        let states = self.states_at_start(place);
        let reflected: BTreeMap<ShardId, Index> =
            states.iter().map(|(shard, state)| (*shard, state.applied)).collect();
        let node = &mut self.nodes[place];
        node.starts += 1;
        node.has_failed = false;
        // Whoever starts a node after EIO has put its media behind a working controller.
        node.device.repair();
        node.device.advance(now_ns);
        node.config.seed =
            SplitMix64::new(seed ^ (place as u64 + 1) << 32 ^ node.starts).next_u64();
        let now = node.clock.now(now_ns);
        let opened = node.device.open().map_err(|error| error.to_string()).and_then(|disk| {
            Lane::open(disk, node.config.clone(), states, now).map_err(|error| error.to_string())
        });
        match opened {
            Ok(lane) => {
                node.lane = Some(lane);
                node.power = Power::Up;
                node.busy_until_ns = now_ns;
                node.schedule(now_ns);
                self.look_at_states(place, &reflected);
                self.look_at_start(place);
            }
            Err(error) => {
                node.power = Power::Out;
                if !node.is_damaged {
                    self.broken.push(format!("n{} does not start: {error}", place + 1));
                }
                self.trace.tell(now_ns, Some(place), || format!("does not start: {error}"));
            }
        }
    }

    /// A state newer than the log belongs to another log, or acknowledged records are gone.
    fn look_at_states(&mut self, place: usize, reflected: &BTreeMap<ShardId, Index>) {
        let Some(lane) = &self.nodes[place].lane else { return };
        for replica in lane.status().replicas {
            let Some(applied) = reflected.get(&replica.shard) else { continue };
            if *applied <= replica.last {
                continue;
            }
            if replica.quarantine.is_some() {
                self.states.reach(State::NewerThanLog);
            } else {
                self.broken.push(format!(
                    "forked-log-served: n{} shard {} serves with a state of entry {applied}, its \
                     log ends at {}",
                    place + 1,
                    replica.shard,
                    replica.last
                ));
            }
        }
    }

    /// What a node holds when it comes back, against what was on stable media when it went.
    fn look_at_start(&mut self, place: usize) {
        let Some(lane) = &self.nodes[place].lane else { return };
        let status = lane.status();
        let now_ns = self.now_ns;
        let line = replica_line(&status);
        self.trace.tell(now_ns, Some(place), || format!("starts: {line}"));
        let is_damaged = self.nodes[place].is_damaged;
        let mut comes_with_less = false;
        self.look_at_harm(place, &status);
        for replica in status.replicas {
            if let Some(why) = replica.quarantine {
                self.states.reach(State::QuarantineAtStart);
                self.trace.tell(now_ns, Some(place), || format!("shard {}: {why}", replica.shard));
                if !is_damaged {
                    self.broken.push(format!(
                        "needless-quarantine: n{} shard {}: {why}",
                        place + 1,
                        replica.shard
                    ));
                }
                continue;
            }
            let promised = self.nodes[place].promised.get(&replica.shard).copied();
            let Some((term, persisted)) = promised else { continue };
            if replica.last >= persisted && replica.term >= term {
                continue;
            }
            comes_with_less = true;
            if !is_damaged {
                self.broken.push(format!(
                    "durable-lost: n{} shard {} comes back in term {} with {} entries, had {} on \
                     stable media in term {}",
                    place + 1,
                    replica.shard,
                    replica.term,
                    replica.last,
                    persisted,
                    term
                ));
            }
        }
        if comes_with_less && self.nodes[place].must_notice {
            self.broken.push(format!(
                "damage-unnoticed: n{} lost entries behind a seal and says nothing",
                place + 1
            ));
        }
        if self.nodes[place].rolled_back {
            self.fence_rolled_back(place, status.wal.boot, comes_with_less);
        } else if comes_with_less && is_damaged {
            self.states.reach(State::CameBackWithLess);
            self.fence(place, "came back with less than it had promised");
        }
    }

    /// A durable frame was damaged: the replica whose entries it held must not serve.
    fn look_at_harm(&mut self, place: usize, status: &LaneStatus) {
        let Some(shard) = self.nodes[place].must_quarantine.take() else { return };
        let replica = status.replicas.iter().find(|replica| replica.shard == shard);
        if replica.is_some_and(|replica| replica.quarantine.is_some()) {
            self.states.reach(State::DurableFrameMissed);
        } else {
            self.broken.push(format!(
                "damage-unnoticed: n{} lost durable entries of shard {shard} and serves",
                place + 1
            ));
        }
    }

    /// An older image of a device forgets votes and acknowledgements. Peers remember boot counts
    /// and durable positions: which of them would have told?
    fn fence_rolled_back(&mut self, place: usize, boot: BootCount, comes_with_less: bool) {
        // An honest start has a boot count above all before it.
        let is_older = boot < self.nodes[place].boot;
        self.states.reach_times(State::RolledBackOlderBoot, u64::from(is_older));
        self.states.reach_times(State::RolledBackWithLess, u64::from(comes_with_less));
        self.unseen_rollbacks += u64::from(!is_older && !comes_with_less);
        self.fence(place, "its device is an older image");
    }

    /// What peers will do with a node that has forgotten: it takes no part any more.
    fn fence(&mut self, place: usize, why: &'static str) {
        let now_ns = self.now_ns;
        self.trace.tell(now_ns, Some(place), || format!("{why}: kept out, as a fence would"));
        self.stop(place, Stop::Kill);
        self.nodes[place].power = Power::Out;
    }

    /// SIGSTOP.
    pub(crate) fn pause(&mut self, place: usize) {
        let now_ns = self.now_ns;
        let node = &mut self.nodes[place];
        if node.power == Power::Up {
            node.power = Power::Paused;
            node.schedule(now_ns);
            self.trace.tell(now_ns, Some(place), || "is stopped (SIGSTOP)".to_owned());
        }
    }

    /// SIGCONT.
    pub(crate) fn resume(&mut self, place: usize) {
        let now_ns = self.now_ns;
        let node = &mut self.nodes[place];
        if node.power == Power::Paused {
            node.power = Power::Up;
            node.schedule(now_ns);
            self.trace.tell(now_ns, Some(place), || "goes on (SIGCONT)".to_owned());
        }
    }
}
