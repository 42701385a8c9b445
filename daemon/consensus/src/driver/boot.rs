//! From a recovered WAL to running replicas: committed entries are applied, the rest is cached.
//!
//! | recovered replica | becomes |
//! | --- | --- |
//! | whole | entries ≤ commit applied, entries behind it cached, raft-rs started |
//! | damaged, or commit beyond the log | entries below the damage applied; quarantined |

use std::collections::BTreeMap;

use bytes::Bytes;
use holdfast_base::{Index, Now, ReplicaId, ShardId, Term};
use holdfast_io::Disk;
use holdfast_wal::{EntryKind, Recovered, RecoveredReplica, StoredEntry, Wal, WalError};
use raft::eraftpb::EntryType;
use raft::{Config, RawNode, ReadOnlyOption};

use super::ready::apply_bytes;
use super::{
    COMMITTED_BYTES_PER_READY_MAX, Driver, MESSAGE_BYTES_MAX, MESSAGES_IN_FLIGHT_MAX,
    UNCOMMITTED_BYTES_MAX,
};
use crate::event::{DriverConfig, DriverError, Event};
use crate::log_store::{CachedEntry, LogStore};
use crate::machine::{Machine, Quarantine};
use crate::probes::Probes;
use crate::replica::{ELECTION_TICKS, HEARTBEAT_TICKS, Replica, TICK_NS};
use crate::tail_cache::TailCache;

impl<D: Disk, M: Machine> Driver<D, M> {
    /// Starts every replica the WAL holds. `machine` makes an empty state machine; `sink` gets
    /// what replay applied, in the order of the log and so of each shard, as it happens (a long
    /// log is not held in memory).
    ///
    /// # Errors
    /// The lane cannot start; nothing was served.
    pub fn open(
        wal: Wal<D>,
        recovered: Recovered,
        config: DriverConfig,
        mut machine: impl FnMut(ShardId) -> M,
        sink: &mut dyn FnMut(Event<M::Outcome>),
        now: Now,
    ) -> Result<Self, DriverError> {
        let mut booting = BTreeMap::new();
        for (shard, found) in &recovered.replicas {
            booting.insert(*shard, Booting::new(*shard, found, config, machine(*shard))?);
        }
        // In the order of the log, not replica by replica: a frame holds entries of many.
        let runs = recovered.replicas.values().flat_map(|found| &found.runs);
        for (run, stored) in wal.read_in_order(runs) {
            if let Some(replica) = booting.get_mut(&run.shard) {
                replica.take(stored, sink);
            }
        }
        let mut replicas = BTreeMap::new();
        for (shard, found) in recovered.replicas {
            let Some(booting) = booting.remove(&shard) else { continue };
            let mut replica = booting.finish(found, sink)?;
            replica.hold_votes_from(now);
            if replica.is_sole_voter() {
                replica.campaign();
            }
            replicas.insert(shard, replica);
        }
        Ok(Driver {
            wal,
            replicas,
            tail: TailCache::new(config.tail_cache_bytes),
            config,
            boot: recovered.boot,
            next_tick_ns: now.boottime_ns + TICK_NS,
            events: Vec::new(),
            outbox: Vec::new(),
            failed: None,
            wal_events: Vec::new(),
            promised_bytes: 0,
            now,
            probes: Probes {
                torn_tails_cut: u64::from(recovered.cut.is_some()),
                ..Probes::default()
            },
        })
    }
}

fn raft_config(id: ReplicaId, applied: Index) -> Config {
    Config {
        id: id.0,
        applied: applied.0,
        election_tick: ELECTION_TICKS,
        heartbeat_tick: HEARTBEAT_TICKS,
        max_size_per_msg: MESSAGE_BYTES_MAX,
        max_inflight_msgs: MESSAGES_IN_FLIGHT_MAX,
        max_uncommitted_size: UNCOMMITTED_BYTES_MAX,
        max_committed_size_per_ready: COMMITTED_BYTES_PER_READY_MAX,
        check_quorum: true,
        pre_vote: true,
        read_only_option: ReadOnlyOption::Safe,
        ..Config::default()
    }
}

/// A replica while the log is read.
struct Booting<M> {
    replica: Replica<M>,
    config: DriverConfig,
    /// What recovery knows of it as committed.
    commit: Index,
    /// First index of each term, of what was read.
    terms: Vec<(Index, Term)>,
    /// Read, behind `commit`.
    uncommitted: Vec<StoredEntry>,
    /// Set once an entry could not be read or applied: nothing behind it is.
    broken: Option<Quarantine>,
}

fn refused(shard: ShardId) -> impl Fn(raft::Error) -> DriverError {
    move |why| DriverError::Raft { shard, why: why.to_string() }
}

fn silent() -> slog::Logger {
    slog::Logger::root(slog::Discard, slog::o!())
}

impl<M: Machine> Booting<M> {
    fn new(
        shard: ShardId,
        found: &RecoveredReplica,
        config: DriverConfig,
        machine: M,
    ) -> Result<Self, DriverError> {
        let id = found.identity.replica;
        // raft-rs is built twice: the machine needs a home while the log is read, and raft-rs
        // wants its log complete. The first one is never run.
        let empty = LogStore::new(&found.identity, holdfast_wal::HardState::default());
        let idle =
            RawNode::new(&raft_config(id, Index(0)), empty, &silent()).map_err(refused(shard))?;
        let voters = found.identity.voters.clone();
        Ok(Booting {
            replica: Replica::new(shard, id, idle, machine, voters, config.election_seed),
            config,
            commit: found.hard_state.commit,
            terms: Vec::new(),
            uncommitted: Vec::new(),
            broken: None,
        })
    }

    /// Takes in the next run of this replica.
    fn take(
        &mut self,
        stored: Result<Vec<StoredEntry>, WalError>,
        sink: &mut dyn FnMut(Event<M::Outcome>),
    ) {
        if self.broken.is_none() {
            let taken = stored
                .map_err(|error| Quarantine(error.to_string()))
                .and_then(|entries| self.apply(entries, sink));
            self.broken = taken.err();
        }
    }

    /// Applies what is committed and keeps the rest.
    fn apply(
        &mut self,
        entries: Vec<StoredEntry>,
        sink: &mut dyn FnMut(Event<M::Outcome>),
    ) -> Result<(), Quarantine> {
        for entry in entries {
            let (index, term) = (entry.index, entry.term);
            if self.terms.last().is_none_or(|(_, known)| *known != term) {
                self.terms.push((index, term));
            }
            if index > self.commit {
                // A copy: the slice would hold the whole read it was cut from.
                let command = Bytes::copy_from_slice(&entry.command);
                self.uncommitted.push(StoredEntry { command, ..entry });
                continue;
            }
            let kind = match entry.kind {
                EntryKind::Normal => EntryType::EntryNormal,
                EntryKind::ConfChange => EntryType::EntryConfChangeV2,
            };
            let (payload, planted) = (entry.payload, self.config.planted);
            let command = &entry.command;
            sink(apply_bytes(&mut self.replica, index, term, kind, command, payload, planted)?);
        }
        Ok(())
    }

    /// All of the log is read.
    fn finish(
        self,
        found: RecoveredReplica,
        sink: &mut dyn FnMut(Event<M::Outcome>),
    ) -> Result<Replica<M>, DriverError> {
        let Booting { mut replica, commit, terms, uncommitted, broken, .. } = self;
        let shard = replica.shard;
        let last = found.runs.last().map_or(Index(0), |run| run.last);
        let damage = found
            .damage
            .map(|damage| Quarantine(format!("its log is damaged: {damage:?}")))
            .or_else(|| {
                (commit > last).then(|| {
                    Quarantine(format!("commit {commit} is known but the log ends at {last}"))
                })
            });
        replica.quarantine = damage.or(broken);
        if let Some(why) = &replica.quarantine {
            sink(Event::Quarantined { shard, why: why.clone() });
            return Ok(replica);
        }
        let mut store = LogStore::new(&found.identity, found.hard_state);
        let committed_terms = terms.into_iter().filter(|(first, _)| *first <= commit).collect();
        store.adopt_runs(found.runs, committed_terms, commit.next());
        for entry in uncommitted {
            if let Ok((head, _)) = crate::head::Head::decode(&entry.command) {
                replica.time_ms = replica.time_ms.max(head.time_ms);
            }
            let cached = CachedEntry {
                term: entry.term,
                kind: entry.kind,
                command: entry.command,
                payload: entry.payload,
            };
            store.append(entry.index, cached);
        }
        let raft_config = raft_config(replica.id, replica.applied);
        replica.raw = RawNode::new(&raft_config, store, &silent()).map_err(refused(shard))?;
        replica.hard_state_written = found.hard_state;
        replica.refresh_role();
        Ok(replica)
    }
}
