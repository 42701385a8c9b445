//! One entry while it is being put together: commands, and how far its payload reaches.
//!
//! ```text
//! commands  [AppendBatch 0..800][AppendBatch 800..1000][SetLogStart] ...
//! payload   |<--- batch 800 --->|<--- batch 200 ---->|               batches back to back
//! ```
//!
//! Payload bytes never pass through here: the caller copies each batch to the place its decision
//! names, in the order decided.

use holdfast_base::PartitionKey;

use crate::command::{APPEND_BATCH_CRC_AT, AppendBatch, BATCH_COMMAND_BYTES, Command, HEAD_BYTES};
use crate::group::{GROUP_RECORD_MAX_BYTES, GROUP_TEXT_MAX_BYTES};
use crate::refusal::Refused;

/// An entry's payload, unless it is one batch: `design.md`, consensus rule 4. Small enough that a
/// lane's turn stays short, large enough that one frame carries many producers.
pub const ENTRY_PAYLOAD_MAX_BYTES: u32 = 4 << 20;
/// An entry's commands, which Raft copies several times: about 9,500 batches, far beyond what one
/// loop turn collects.
pub const ENTRY_COMMANDS_MAX_BYTES: usize = 1 << 20;

const _: () = assert!(BATCH_COMMAND_BYTES < ENTRY_COMMANDS_MAX_BYTES);
// The largest PutGroup: head, slot, group id, record.
const _: () = assert!(
    HEAD_BYTES + 2 + 2 + GROUP_TEXT_MAX_BYTES + GROUP_RECORD_MAX_BYTES < ENTRY_COMMANDS_MAX_BYTES
);

/// Where a batch of this entry lies: what the WAL's sealed index wants to know.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BatchPlace {
    /// Its partition.
    pub partition: PartitionKey,
    /// Offset of its first record.
    pub base_offset: i64,
    /// Offset of its last record.
    pub last_offset: i64,
    /// As stored.
    pub max_timestamp_ms: i64,
    /// First byte in the entry's payload.
    pub payload_start: u32,
    /// Bytes of the batch.
    pub payload_len_bytes: u32,
    /// Which command of the entry it is.
    pub command_ordinal: usize,
}

/// Collects the commands of one entry.
#[derive(Clone, Debug, Default)]
pub struct EntryBuilder {
    commands: Vec<u8>,
    /// Number of commands in `commands`.
    count: usize,
    /// ≤ `ENTRY_PAYLOAD_MAX_BYTES`, or exactly one batch.
    payload_len_bytes: u32,
    batches: Vec<BatchPlace>,
    /// Start of each of `batches` in `commands`.
    batch_starts: Vec<usize>,
}

impl EntryBuilder {
    /// An empty entry.
    #[must_use]
    pub fn new() -> Self {
        EntryBuilder::default()
    }

    /// Bytes of the command section so far.
    #[must_use]
    pub fn commands_len(&self) -> usize {
        self.commands.len()
    }

    /// How many commands.
    #[must_use]
    pub fn command_count(&self) -> usize {
        self.count
    }

    /// Bytes of the payload section so far.
    #[must_use]
    pub fn payload_len(&self) -> u32 {
        self.payload_len_bytes
    }

    /// No command yet.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The batches, in payload order.
    #[must_use]
    pub fn batches(&self) -> &[BatchPlace] {
        &self.batches
    }

    /// Whether a batch of this size may still join. An empty payload takes any one batch.
    #[must_use]
    pub fn has_room(&self, batch_bytes: u32) -> bool {
        self.commands.len() + BATCH_COMMAND_BYTES <= ENTRY_COMMANDS_MAX_BYTES
            && (self.payload_len_bytes == 0
                || self
                    .payload_len_bytes
                    .checked_add(batch_bytes)
                    .is_some_and(|sum| sum <= ENTRY_PAYLOAD_MAX_BYTES))
    }

    /// Replaces the checksum of a batch whose stored form differs from the one sent
    /// (LogAppendTime rewrites attributes and timestamps).
    ///
    /// # Panics
    /// When `command_ordinal` is not one a [`crate::Decision::Append`] of this entry named.
    pub fn set_batch_crc(&mut self, command_ordinal: usize, crc: u32) {
        let row = self
            .batches
            .binary_search_by_key(&command_ordinal, |place| place.command_ordinal)
            .expect("the ordinal comes from a decision of this entry");
        let at = self.batch_starts[row] + APPEND_BATCH_CRC_AT;
        self.commands[at..at + 4].copy_from_slice(&crc.to_le_bytes());
    }

    /// The command section.
    #[must_use]
    pub fn finish(self) -> Vec<u8> {
        self.commands
    }

    /// Adds a command without payload; its ordinal. On `Err` the entry is as before.
    pub(crate) fn push(&mut self, command: &Command) -> Result<usize, Refused> {
        let start = self.commands.len();
        command.encode(&mut self.commands);
        if self.commands.len() > ENTRY_COMMANDS_MAX_BYTES {
            let bytes = self.commands.len() - start;
            self.commands.truncate(start);
            return Err(if bytes > ENTRY_COMMANDS_MAX_BYTES {
                Refused::GroupTooLarge {
                    bytes: bytes as u64,
                    limit_bytes: ENTRY_COMMANDS_MAX_BYTES as u64,
                }
            } else {
                Refused::EntryFull
            });
        }
        self.count += 1;
        Ok(self.count - 1)
    }

    /// Adds a batch that starts at [`Self::payload_len`]; its ordinal.
    ///
    /// The caller has asked [`Self::has_room`].
    pub(crate) fn push_batch(&mut self, batch: &AppendBatch) -> Result<usize, Refused> {
        if !self.has_room(batch.payload_len_bytes) {
            return Err(Refused::EntryFull);
        }
        assert_eq!(batch.payload_start, self.payload_len_bytes, "batches lie back to back");
        let start = self.commands.len();
        let command_ordinal = self.push(&Command::AppendBatch(*batch))?;
        self.batch_starts.push(start);
        self.batches.push(BatchPlace {
            partition: batch.partition,
            base_offset: batch.base_offset,
            last_offset: batch.base_offset + i64::from(batch.last_offset_delta),
            max_timestamp_ms: batch.max_timestamp_ms,
            payload_start: batch.payload_start,
            payload_len_bytes: batch.payload_len_bytes,
            command_ordinal,
        });
        self.payload_len_bytes += batch.payload_len_bytes;
        Ok(command_ordinal)
    }
}
