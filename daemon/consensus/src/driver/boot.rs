//! From a recovered WAL to running replicas: committed entries are applied, the rest is cached.
//!
//! | recovered replica | becomes |
//! | --- | --- |
//! | whole | entries ≤ commit applied, entries behind it cached, raft-rs started |
//! | damaged, or commit beyond the log | entries below the damage applied; quarantined |

use std::collections::BTreeMap;

use holdfast_base::{Index, Now, ReplicaId, ShardId, Term};
use holdfast_io::Disk;
use holdfast_wal::{EntryKind, Recovered, RecoveredReplica, Wal};
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
    /// what replay applied, in order, as it happens (a long log is not held in memory).
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
        let mut replicas = BTreeMap::new();
        for (shard, found) in recovered.replicas {
            let mut replica = start(shard, &found, config, machine(shard), &wal, sink)?;
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

fn start<D: Disk, M: Machine>(
    shard: ShardId,
    found: &RecoveredReplica,
    config: DriverConfig,
    machine: M,
    wal: &Wal<D>,
    sink: &mut dyn FnMut(Event<M::Outcome>),
) -> Result<Replica<M>, DriverError> {
    let id = found.identity.replica;
    let logger = slog::Logger::root(slog::Discard, slog::o!());
    let refused = |why: raft::Error| DriverError::Raft { shard, why: why.to_string() };
    let commit = found.hard_state.commit;
    let last = found.runs.last().map_or(Index(0), |run| run.last);
    let damage = found
        .damage
        .as_ref()
        .map(|damage| Quarantine(format!("its log is damaged: {damage:?}")))
        .or_else(|| {
            (commit > last)
                .then(|| Quarantine(format!("commit {commit} is known but the log ends at {last}")))
        });

    // raft-rs is built twice: the machine needs a home while the log is read, and raft-rs wants
    // its log complete. The first one is never run.
    let empty = LogStore::new(&found.identity, holdfast_wal::HardState::default());
    let idle = RawNode::new(&raft_config(id, Index(0)), empty, &logger).map_err(refused)?;
    let voters = found.identity.voters.clone();
    let mut replica = Replica::new(shard, id, idle, machine, voters, config.election_seed);
    let mut store = LogStore::new(&found.identity, found.hard_state);
    let read = replay(&mut replica, &mut store, found, commit, config, wal, sink);
    replica.quarantine = damage.or(read.err());
    if replica.quarantine.is_none() {
        let raft_config = raft_config(id, replica.applied);
        replica.raw = RawNode::new(&raft_config, store, &logger).map_err(refused)?;
        replica.hard_state_written = found.hard_state;
        replica.refresh_role();
    } else if let Some(why) = &replica.quarantine {
        sink(Event::Quarantined { shard, why: why.clone() });
    }
    Ok(replica)
}

/// Applies what is committed and caches the rest.
fn replay<D: Disk, M: Machine>(
    replica: &mut Replica<M>,
    store: &mut LogStore,
    found: &RecoveredReplica,
    commit: Index,
    config: DriverConfig,
    wal: &Wal<D>,
    sink: &mut dyn FnMut(Event<M::Outcome>),
) -> Result<(), Quarantine> {
    let mut terms: Vec<(Index, Term)> = Vec::new();
    let mut uncommitted = Vec::new();
    for run in &found.runs {
        let stored = wal.read_run(run).map_err(|error| Quarantine(error.to_string()))?;
        for entry in stored {
            if terms.last().is_none_or(|(_, term)| *term != entry.term) {
                terms.push((entry.index, entry.term));
            }
            if entry.index > commit {
                uncommitted.push(entry);
                continue;
            }
            let kind = match entry.kind {
                EntryKind::Normal => EntryType::EntryNormal,
                EntryKind::ConfChange => EntryType::EntryConfChangeV2,
            };
            let (index, term) = (entry.index, entry.term);
            let event = apply_bytes(
                replica,
                index,
                term,
                kind,
                &entry.command,
                entry.payload,
                config.planted,
            )?;
            sink(event);
        }
    }
    let committed_terms = terms.iter().copied().filter(|(first, _)| *first <= commit).collect();
    store.adopt_runs(found.runs.clone(), committed_terms, commit.next());
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
    Ok(())
}
