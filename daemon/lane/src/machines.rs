//! The two kinds of state machine a lane runs: shard 0's and the data shards'.

use bytes::Bytes;
use holdfast_base::ShardId;
use holdfast_batch::{BatchHeader, checksum};
use holdfast_consensus::{Committed, Driver, Machine, Quarantine};
use holdfast_io::Disk;
use holdfast_log::{Command, RowChange, Shard, decode_commands};
use holdfast_metadata::Metadata;
use holdfast_wal::Locator;

/// A shard's state machine.
#[derive(Debug)]
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

/// A data shard's applied state. By the driver alone, so that a lane's other parts stay free.
pub(crate) fn data_shard<D: Disk>(
    driver: &Driver<D, ShardMachine>,
    shard: ShardId,
) -> Option<&Shard> {
    driver.machine(shard)?.data()
}

/// Shard 0's applied state, likewise.
pub(crate) fn metadata_shard<D: Disk>(driver: &Driver<D, ShardMachine>) -> Option<&Metadata> {
    driver.machine(ShardId::METADATA)?.metadata()
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

    /// The machine a snapshot was taken of, and up to where its log is in objects.
    pub(crate) fn restore(
        shard: ShardId,
        state: &[u8],
        planted: holdfast_log::PlantedBugs,
    ) -> Result<Self, String> {
        if shard == ShardId::METADATA {
            let metadata = Metadata::restore(state).map_err(|error| error.to_string())?;
            return Ok(ShardMachine::Metadata(Box::new(metadata)));
        }
        let mut state = Shard::restore(state).map_err(|error| error.to_string())?;
        state.plant(planted);
        Ok(ShardMachine::Data(Box::new(state)))
    }

    /// The whole state as bytes.
    pub(crate) fn snapshot(&self) -> Vec<u8> {
        match self {
            ShardMachine::Metadata(metadata) => metadata.snapshot(),
            ShardMachine::Data(shard) => shard.snapshot(),
        }
    }

    /// The machine whose rows these are, in the order of their keys. What changes is collected.
    pub(crate) fn from_rows(shard: ShardId, rows: Vec<(Bytes, Bytes)>) -> Result<Self, String> {
        if shard != ShardId::METADATA {
            let mut state = Shard::from_rows(rows).map_err(|error| error.to_string())?;
            state.track_rows();
            return Ok(ShardMachine::Data(Box::new(state)));
        }
        match &rows[..] {
            [(key, state)] if key[..] == METADATA_ROW => {
                let metadata = Metadata::restore(state).map_err(|error| error.to_string())?;
                Ok(ShardMachine::Metadata(Box::new(metadata)))
            }
            _ => Err(format!("shard 0 has {} rows", rows.len())),
        }
    }

    /// Every row; what changes is collected from here on.
    pub(crate) fn begin_rows(&mut self) -> Vec<RowChange> {
        match self {
            ShardMachine::Metadata(metadata) => vec![metadata_row(metadata)],
            ShardMachine::Data(shard) => shard.begin_rows(),
        }
    }

    /// The rows that changed since last asked.
    pub(crate) fn take_dirty(&mut self) -> Vec<RowChange> {
        match self {
            ShardMachine::Metadata(metadata) => vec![metadata_row(metadata)],
            ShardMachine::Data(shard) => shard.take_dirty(),
        }
    }

    /// How many they are, at most.
    pub(crate) fn dirty_rows(&self) -> usize {
        self.data().map_or(1, Shard::dirty_rows)
    }

    pub(crate) fn plant(&mut self, planted: holdfast_log::PlantedBugs) {
        if let ShardMachine::Data(shard) = self {
            shard.plant(planted);
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

/// Shard 0 changes seldom and by a person's hand: it is one row.
const METADATA_ROW: [u8; 1] = [1];

fn metadata_row(metadata: &Metadata) -> RowChange {
    RowChange { key: METADATA_ROW.to_vec(), value: Some(metadata.snapshot()) }
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

    fn recall(&self, entry: Committed<'_>) -> Result<Outcome, Quarantine> {
        let Committed { index, term, time_ms, commands, .. } = entry;
        match self {
            // Nothing of shard 0's entries lies in payloads.
            ShardMachine::Metadata(_) => {
                let nothing =
                    holdfast_metadata::Applied { outcomes: Vec::new(), image_changed: false };
                Ok(Outcome::Metadata(nothing))
            }
            ShardMachine::Data(shard) => shard
                .recall(holdfast_log::EntryFacts { index, term, time_ms }, commands)
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

    fn is_whole(&self, commands: &[u8], payload: &[u8]) -> bool {
        matches!(self, ShardMachine::Metadata(_)) || each_batch_is_whole(commands, payload)
    }

    fn hash(&self) -> u64 {
        match self {
            ShardMachine::Metadata(metadata) => metadata.hash(),
            ShardMachine::Data(shard) => shard.hash(),
        }
    }
}

/// Every batch lies where its command says, with its offset and a true CRC.
fn each_batch_is_whole(commands: &[u8], payload: &[u8]) -> bool {
    decode_commands(commands).map_while(Result::ok).all(|command| {
        let Command::AppendBatch(batch) = command else { return true };
        let start = batch.payload_start as usize;
        let bytes = start
            .checked_add(batch.payload_len_bytes as usize)
            .and_then(|end| payload.get(start..end));
        bytes.is_some_and(|bytes| {
            BatchHeader::parse(bytes).is_ok_and(|header| {
                header.base_offset == batch.base_offset && header.crc == checksum(bytes)
            })
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use holdfast_batch::{BatchBuilder, Codec, RecordDraft};

    #[test]
    fn zeros_in_place_of_a_batch_are_not_fed_to_a_follower() {
        let mut shard = Shard::new();
        let key = holdfast_base::PartitionKey::default();
        let mut entry = holdfast_log::EntryBuilder::new();
        let create = holdfast_log::CreatePartition {
            partition: key,
            generation: 0,
            epoch_base: 0,
            config: holdfast_log::PartitionConfig::default(),
        };
        let mut decider = holdfast_log::Decider::new();
        decider.propose_create_partition(&shard, &mut entry, &create).unwrap();
        let facts = |index| holdfast_log::EntryFacts {
            index: holdfast_base::Index(index),
            term: holdfast_base::Term(1),
            time_ms: 1,
        };
        shard.apply(facts(1), &entry.finish()).unwrap();
        let mut entry = holdfast_log::EntryBuilder::new();
        let record = RecordDraft::value(1, vec![7; 40]);
        let batch = BatchBuilder::new(Codec::None).record(record).build().unwrap();
        let header = BatchHeader::parse(&batch).unwrap();
        let produce = holdfast_log::ProduceFacts {
            partition: key,
            header: &header,
            term: holdfast_base::Term(1),
            time_ms: 1,
        };
        decider.propose_produce(&shard, &mut entry, produce).unwrap();
        let commands = entry.finish();
        assert!(each_batch_is_whole(&commands, &batch));
        assert!(!each_batch_is_whole(&commands, &vec![0; batch.len()]));
        assert!(!each_batch_is_whole(&commands, &batch[1..]));
    }
}
