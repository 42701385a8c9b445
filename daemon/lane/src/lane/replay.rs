//! What a start leaves for the lane, and what it tells the operator.

use std::collections::{BTreeMap, BTreeSet};

use holdfast_base::{PartitionKey, TopicId};
use holdfast_consensus::Event;
use holdfast_metadata::CommandOutcome;
use holdfast_wal::{Recovered, Verdict};

use super::settle::index_batches;
use crate::batch_index::BatchIndex;
use crate::machines::Outcome;

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

/// What replay leaves for the lane.
#[derive(Default)]
pub(super) struct Replayed {
    pub(super) batches: BTreeMap<PartitionKey, BatchIndex>,
    pub(super) deleted_topics: BTreeSet<TopicId>,
}

impl Replayed {
    pub(super) fn take(&mut self, event: Event<Outcome>) {
        match event {
            Event::Applied { payload, outcome: Some(Outcome::Data(applied)), .. } => {
                index_batches(&mut self.batches, &applied, payload);
            }
            Event::Applied { outcome: Some(Outcome::Metadata(applied)), .. } => {
                self.deleted_topics.extend(deleted_topics(&applied));
            }
            Event::Quarantined { shard, why } => {
                tracing::error!(shard = shard.0, %why, "replica quarantined at start");
            }
            Event::Applied { .. } | Event::Role { .. } | Event::LaneFailed(_) => {}
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
