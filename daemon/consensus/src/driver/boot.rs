//! From a recovered WAL and the states kept of it to running replicas: what a state reflects is
//! recalled, what is committed behind it applied, the rest cached.
//!
//! | recovered replica | becomes |
//! | --- | --- |
//! | whole | entries ≤ commit applied, entries behind it cached, raft-rs started |
//! | damaged, or commit beyond the log | entries below the damage applied; quarantined |
//! | its state is older than what the log has let go of | nothing applied; quarantined |
//! | its state is newer than the log's end | nothing applied; quarantined |
//!
//! What a state reflects was committed, whatever the last hard state says: a Ready that changes
//! only `commit` writes nothing.

use std::collections::BTreeMap;

use bytes::Bytes;
use holdfast_base::{Index, Now, ReplicaId, ShardId, Term};
use holdfast_io::Disk;
use holdfast_wal::{EntryKind, EntryRun, Recovered, RecoveredReplica, StoredEntry, Wal, WalError};
use raft::eraftpb::EntryType;
use raft::{Config, RawNode, ReadOnlyOption};

use super::ready::{apply_bytes, recall_bytes};
use super::{
    COMMITTED_BYTES_PER_READY_MAX, Driver, MESSAGE_BYTES_MAX, MESSAGES_IN_FLIGHT_MAX,
    UNCOMMITTED_BYTES_MAX,
};
use crate::event::{DriverConfig, DriverError, Event};
use crate::log_store::{CachedEntry, LogStore};
use crate::machine::{Machine, Quarantine, Start};
use crate::probes::Probes;
use crate::replica::{ELECTION_TICKS, HEARTBEAT_TICKS, Replica, TICK_NS};
use crate::tail_cache::TailCache;

impl<D: Disk, M: Machine> Driver<D, M> {
    /// Starts every replica the WAL holds. `start` says from which state; `sink` gets what replay
    /// recalled and applied, in the order of the log and so of each shard, as it happens (a long
    /// log is not held in memory).
    ///
    /// # Errors
    /// The lane cannot start; nothing was served.
    pub fn open(
        wal: Wal<D>,
        recovered: Recovered,
        config: DriverConfig,
        mut start: impl FnMut(ShardId) -> Start<M>,
        sink: &mut dyn FnMut(Event<M::Outcome>),
        now: Now,
    ) -> Result<Self, DriverError> {
        let mut booting = BTreeMap::new();
        for (shard, found) in &recovered.replicas {
            booting.insert(*shard, Booting::new(*shard, found, config, start(*shard))?);
        }
        // In the order of the log, not replica by replica: a frame holds entries of many.
        let runs = recovered.replicas.iter().flat_map(|(shard, found)| {
            let read_from = booting.get(shard).map_or(Index(0), |booting| booting.read_from.0);
            found.runs.iter().filter(move |run| run.last > read_from)
        });
        let runs: Vec<EntryRun> = runs.copied().collect();
        for (run, stored) in wal.read_in_order(&runs) {
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
    /// Everything up to here is of no interest, and the term of that entry.
    read_from: (Index, Term),
    /// What recovery, or the state, knows of it as committed.
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

/// Why a state that reflects entries up to `applied` cannot go on with this log.
fn does_not_fit(found: &RecoveredReplica, applied: Index) -> Option<Quarantine> {
    let (trimmed, last) = (found.trimmed, found.last());
    if applied < trimmed {
        return Some(Quarantine(format!(
            "the log begins behind entry {trimmed} and the newest state at hand reflects entry \
             {applied}: the state of this shard was lost; give back its checkpoint, from the state \
             directory or the object store"
        )));
    }
    (applied > last && found.damage.is_none()).then(|| {
        Quarantine(format!(
            "the state reflects entry {applied} and the log ends at {last}: this is not the log it \
             was made from, or acknowledged records are gone"
        ))
    })
}

fn silent() -> slog::Logger {
    slog::Logger::root(slog::Discard, slog::o!())
}

impl<M: Machine> Booting<M> {
    fn new(
        shard: ShardId,
        found: &RecoveredReplica,
        config: DriverConfig,
        start: Start<M>,
    ) -> Result<Self, DriverError> {
        assert!(start.read_from <= start.applied, "read_from ≤ applied");
        let id = found.identity.replica;
        // raft-rs is built twice: the machine needs a home while the log is read, and raft-rs
        // wants its log complete. The first one is never run.
        let nothing = (Index(0), Term(0));
        let empty = LogStore::new(&found.identity, holdfast_wal::HardState::default(), nothing);
        let idle =
            RawNode::new(&raft_config(id, Index(0)), empty, &silent()).map_err(refused(shard))?;
        let voters = found.identity.voters.clone();
        let believed = config.planted.state_beyond_log_believed;
        let applied = if believed { start.applied.min(found.last()) } else { start.applied };
        let broken = does_not_fit(found, applied);
        let trimmed = (found.trimmed, found.trimmed_term);
        // Others may still need what the state makes needless here: there is no snapshot to give them.
        let planted = config.planted;
        let others = found.identity.voters.len() > 1 && !planted.entries_before_state_forgotten;
        let read_from =
            if others { trimmed } else { (start.read_from, start.read_from_term).max(trimmed) };
        let mut replica =
            Replica::new(shard, id, idle, start.machine, voters, config.election_seed);
        replica.applied = applied;
        replica.time_ms = start.time_ms;
        Ok(Booting {
            replica,
            config,
            read_from,
            commit: found.hard_state.commit.max(applied),
            terms: Vec::new(),
            uncommitted: Vec::new(),
            broken,
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
            if index <= self.read_from.0 {
                continue;
            }
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
            sink(if index <= self.replica.applied {
                recall_bytes(&mut self.replica, index, term, command, payload)?
            } else {
                apply_bytes(&mut self.replica, index, term, kind, command, payload, planted)?
            });
        }
        Ok(())
    }

    /// All of the log is read.
    fn finish(
        self,
        found: RecoveredReplica,
        sink: &mut dyn FnMut(Event<M::Outcome>),
    ) -> Result<Replica<M>, DriverError> {
        let Booting { mut replica, read_from, commit, terms, uncommitted, broken, .. } = self;
        let shard = replica.shard;
        let last = found.last();
        let damage = found
            .damage
            .map(|damage| Quarantine(format!("its log is damaged: {damage:?}")))
            .or_else(|| {
                (commit > last).then(|| {
                    Quarantine(format!("commit {commit} is known but the log ends at {last}"))
                })
            });
        // A state that does not fit explains what the log then seems to lack.
        replica.quarantine = broken.or(damage);
        if let Some(why) = &replica.quarantine {
            sink(Event::Quarantined { shard, why: why.clone() });
            return Ok(replica);
        }
        let hard_state = holdfast_wal::HardState { commit, ..found.hard_state };
        let mut store = LogStore::new(&found.identity, hard_state, read_from);
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
