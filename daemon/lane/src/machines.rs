//! The two kinds of state machine a lane runs: shard 0's and the data shards'.

use holdfast_base::ShardId;
use holdfast_consensus::{Committed, Machine, Quarantine};
use holdfast_log::{Command, Shard, decode_commands};
use holdfast_metadata::Metadata;
use holdfast_wal::Locator;

/// A shard's state machine.
pub(crate) enum ShardMachine {
    Metadata(Box<Metadata>),
    Data(Box<Shard>),
}

/// What an entry did.
#[derive(Debug)]
pub(crate) enum Outcome {
    Metadata(holdfast_metadata::Applied),
    Data(holdfast_log::Applied),
}

impl ShardMachine {
    pub(crate) fn new(shard: ShardId, planted: holdfast_log::PlantedBugs) -> Self {
        if shard == ShardId::METADATA {
            ShardMachine::Metadata(Box::new(Metadata::new()))
        } else {
            let mut state = Shard::new();
            state.plant(planted);
            ShardMachine::Data(Box::new(state))
        }
    }

    pub(crate) fn data(&self) -> Option<&Shard> {
        match self {
            ShardMachine::Data(shard) => Some(shard),
            ShardMachine::Metadata(_) => None,
        }
    }

    pub(crate) fn metadata(&self) -> Option<&Metadata> {
        match self {
            ShardMachine::Metadata(metadata) => Some(metadata),
            ShardMachine::Data(_) => None,
        }
    }
}

impl Machine for ShardMachine {
    type Outcome = Outcome;

    fn apply(&mut self, entry: Committed<'_>) -> Result<Outcome, Quarantine> {
        let Committed { index, term, time_ms, commands, .. } = entry;
        match self {
            ShardMachine::Metadata(metadata) => metadata
                .apply(holdfast_metadata::EntryFacts { index, term, time_ms }, commands)
                .map(Outcome::Metadata)
                .map_err(|broken| Quarantine(broken.to_string())),
            ShardMachine::Data(shard) => shard
                .apply(holdfast_log::EntryFacts { index, term, time_ms }, commands)
                .map(Outcome::Data)
                .map_err(|broken| Quarantine(broken.to_string())),
        }
    }

    fn locators(&self, commands: &[u8]) -> Vec<Locator> {
        if matches!(self, ShardMachine::Metadata(_)) {
            return Vec::new();
        }
        decode_commands(commands)
            .map_while(Result::ok)
            .filter_map(|command| match command {
                Command::AppendBatch(batch) => Some(Locator {
                    partition: batch.partition,
                    base_offset: batch.base_offset,
                    last_offset: batch.base_offset + i64::from(batch.last_offset_delta),
                    max_timestamp_ms: batch.max_timestamp_ms,
                    start: batch.payload_start,
                    len_bytes: batch.payload_len_bytes,
                }),
                _ => None,
            })
            .collect()
    }

    fn hash(&self) -> u64 {
        match self {
            ShardMachine::Metadata(metadata) => metadata.hash(),
            ShardMachine::Data(shard) => shard.hash(),
        }
    }
}
