//! What a start leaves for the lane, and what it tells the operator.

use std::collections::{BTreeMap, BTreeSet};

use holdfast_base::{Index, PartitionKey, ShardId, Term, TopicId};
use holdfast_consensus::{Event, Start};
use holdfast_metadata::CommandOutcome;
use holdfast_wal::{Recovered, Verdict};

use super::history::History;
use super::settle::index_batches;
use crate::batch_index::BatchIndex;
use crate::machines::{Outcome, ShardMachine};
use crate::state_work::LocalState;
use crate::store_work::StateCheckpoint;

/// What recovery found, in the words an operator needs at night.
pub(super) fn tell_recovery(recovered: &Recovered) {
    tracing::info!(
        boot = recovered.boot.0,
        replicas = recovered.replicas.len(),
        "the write-ahead log was read"
    );
    for row in &recovered.verdicts {
        let (file, offset) = (&row.file, row.offset);
        match row.verdict {
            Verdict::End | Verdict::NeverOpened => {
                tracing::debug!(file, offset, verdict = ?row.verdict, "the log ends here");
            }
            Verdict::Torn => tracing::info!(
                file,
                offset,
                "a write was cut short here by the last stop and is dropped: it was never \
                 acknowledged"
            ),
            Verdict::Repair => {
                tracing::warn!(file, offset, "a damaged copy was written again from the good one");
            }
            Verdict::Corruption | Verdict::LaneFailed => tracing::error!(
                file,
                offset,
                verdict = ?row.verdict,
                "durable bytes are damaged here; the shards they belong to stop at this place"
            ),
        }
    }
}

/// Where a replica starts: at its checkpoint if there is one that can be read, else at nothing.
pub(super) fn start_of(
    shard: ShardId,
    checkpoint: Option<&StateCheckpoint>,
    planted: holdfast_log::PlantedBugs,
) -> Start<ShardMachine> {
    let empty = || Start::empty(ShardMachine::new(shard, planted));
    let Some(checkpoint) = checkpoint else { return empty() };
    let machine = match ShardMachine::restore(shard, &checkpoint.state, planted) {
        Ok(machine) => machine,
        Err(error) => {
            tracing::error!(shard = shard.0, error, "the checkpoint of this shard cannot be read");
            return empty();
        }
    };
    start_at(machine, checkpoint.applied, checkpoint.term, checkpoint.time_ms)
}

/// Where a replica starts whose state lies beside the log.
pub(super) fn start_of_local(
    local: LocalState,
    planted: holdfast_log::PlantedBugs,
) -> Start<ShardMachine> {
    let LocalState { mut machine, applied, term, time_ms } = local;
    machine.plant(planted);
    start_at(machine, applied, term, time_ms)
}

fn start_at(
    machine: ShardMachine,
    applied: Index,
    term: Term,
    time_ms: i64,
) -> Start<ShardMachine> {
    // What objects hold is not indexed again; shard 0 has nothing to index.
    let (read_from, read_from_term) = match machine.data() {
        Some(state) if state.uploaded() < applied => (state.uploaded(), state.uploaded_term()),
        _ => (applied, term),
    };
    Start { machine, applied, term, time_ms, read_from, read_from_term }
}

/// The bug of recalling nothing: the log is read from the state on.
pub(super) fn behind_state(start: Start<ShardMachine>) -> Start<ShardMachine> {
    Start { read_from: start.applied, read_from_term: start.term, ..start }
}

/// What replay leaves for the lane.
#[derive(Default)]
pub(super) struct Replayed {
    /// The time of the start.
    pub(super) since_ns: u64,
    /// There is a store to which batches go.
    pub(super) waits: bool,
    pub(super) history: History,
    pub(super) batches: BTreeMap<PartitionKey, BatchIndex>,
    pub(super) deleted_topics: BTreeSet<TopicId>,
}

impl Replayed {
    pub(super) fn take(&mut self, event: Event<Outcome>) {
        match event {
            Event::Recalled {
                shard,
                index,
                term,
                payload,
                outcome: Some(Outcome::Data(applied)),
            }
            | Event::Applied {
                shard,
                index,
                term,
                payload,
                outcome: Some(Outcome::Data(applied)),
            } => {
                let _died_in = index_batches(&mut self.batches, &applied, payload);
                if self.waits {
                    self.history.wait(shard, (index, term), &applied, payload, self.since_ns);
                }
            }
            Event::Applied { outcome: Some(Outcome::Metadata(applied)), .. } => {
                self.deleted_topics.extend(deleted_topics(&applied));
            }
            Event::Quarantined { shard, why } => {
                tracing::error!(shard = shard.0, %why, "replica quarantined at start");
            }
            Event::Applied { .. }
            | Event::Recalled { .. }
            | Event::Role { .. }
            | Event::LaneFailed(_) => {}
        }
    }
}

pub(super) fn deleted_topics(
    applied: &holdfast_metadata::Applied,
) -> impl Iterator<Item = TopicId> {
    applied.outcomes.iter().filter_map(|outcome| match outcome {
        CommandOutcome::TopicDeleted(topic) => Some(topic.id),
        _ => None,
    })
}
