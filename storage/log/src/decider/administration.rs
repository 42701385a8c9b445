//! What a leader proposes that is no batch: partitions come and go, change their configuration,
//! lose their oldest records, forget silent producers.
//!
//! ```text
//! applied state ─▶ is it so already? ── yes ─▶ Proposal::Nothing: answer now
//!                        │ no
//!                        └─▶ Proposal::Command: answer with its outcome at apply
//! ```
//!
//! Nothing of this is layered like batches are: the same command proposed twice is applied once and
//! then changes nothing. What apply could not decode is refused here, since it would stop every
//! replica.

use holdfast_base::PartitionKey;

use super::Decider;
use crate::command::{
    Command, CreatePartition, ExpireProducers, RemovePartition, SetConfig, SetLogStart,
};
use crate::config::PartitionConfig;
use crate::entry::EntryBuilder;
use crate::partition::Partition;
use crate::refusal::Refused;
use crate::shard::Shard;

/// What becomes of an administrative request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Proposal {
    /// It is in the entry, as this command.
    Command {
        /// Which one.
        ordinal: usize,
    },
    /// It is so already, in the applied state.
    Nothing,
}

impl Decider {
    /// Begins a partition. `Nothing` when it is there with this generation.
    ///
    /// # Errors
    /// When it is there with another generation, its configuration or epoch base is wrong, or the
    /// entry is full.
    pub fn propose_create_partition(
        &mut self,
        shard: &Shard,
        entry: &mut EntryBuilder,
        create: &CreatePartition,
    ) -> Result<Proposal, Refused> {
        // A command that apply could not decode would stop every replica.
        if create.epoch_base < 0 || create.config.check().is_err() {
            return Err(Refused::InvalidRecord {
                what: "epoch base or configuration out of range",
            });
        }
        match of_generation(shard, &create.partition, create.generation) {
            Ok(_) => Ok(Proposal::Nothing),
            Err(Refused::UnknownPartition) => push(entry, &Command::CreatePartition(*create)),
            Err(refused) => Err(refused),
        }
    }

    /// Ends a partition. `Nothing` when it is not there.
    ///
    /// # Errors
    /// When it is there with another generation, or the entry is full.
    pub fn propose_remove_partition(
        &mut self,
        shard: &Shard,
        entry: &mut EntryBuilder,
        remove: &RemovePartition,
    ) -> Result<Proposal, Refused> {
        match of_generation(shard, &remove.partition, remove.generation) {
            Ok(_) => push(entry, &Command::RemovePartition(*remove)),
            Err(Refused::UnknownPartition) => Ok(Proposal::Nothing),
            Err(refused) => Err(refused),
        }
    }

    /// Changes a partition's configuration. `Nothing` when it is that already.
    ///
    /// # Errors
    /// When the partition is not there, the configuration is wrong, or the entry is full.
    pub fn propose_config(
        &mut self,
        shard: &Shard,
        entry: &mut EntryBuilder,
        key: PartitionKey,
        config: PartitionConfig,
    ) -> Result<Proposal, Refused> {
        if config.check().is_err() {
            return Err(Refused::InvalidRecord { what: "configuration out of range" });
        }
        let partition = shard.partition(&key).ok_or(Refused::UnknownPartition)?;
        if *partition.config() == config {
            return Ok(Proposal::Nothing);
        }
        let generation = partition.generation();
        push(entry, &Command::SetConfig(SetConfig { partition: key, generation, config }))
    }

    /// DeleteRecords: everything below `before_offset` goes; -1 is the high watermark. `Nothing`
    /// when the log starts there or later: answer with the log start.
    ///
    /// # Errors
    /// When the partition is not there, the offset is beyond the high watermark, or the entry is
    /// full.
    pub fn propose_delete_records(
        &mut self,
        shard: &Shard,
        entry: &mut EntryBuilder,
        key: PartitionKey,
        before_offset: i64,
    ) -> Result<Proposal, Refused> {
        let partition = shard.partition(&key).ok_or(Refused::UnknownPartition)?;
        let high_watermark = partition.high_watermark();
        let before_offset = if before_offset == -1 { high_watermark } else { before_offset };
        let beyond = before_offset > high_watermark && !self.bugs.log_start_past_high_watermark;
        if before_offset < 0 || beyond {
            return Err(Refused::OffsetOutOfRange { asked: before_offset, high_watermark });
        }
        if before_offset <= partition.log_start() {
            return Ok(Proposal::Nothing);
        }
        let generation = partition.generation();
        push(
            entry,
            &Command::SetLogStart(SetLogStart { partition: key, generation, before_offset }),
        )
    }

    /// Retention of every partition, by whole virtual segments; how many commands it made. What an
    /// entry has no room for comes at the next call. An active segment with batches under way
    /// waits until they are applied.
    pub fn propose_retention(
        &mut self,
        shard: &Shard,
        entry: &mut EntryBuilder,
        now_ms: i64,
    ) -> usize {
        let mut made = 0;
        for (key, partition) in shard.partitions() {
            if !partition.config().cleanup_policy.deletes() {
                continue;
            }
            let active_may_go = !self.partitions.contains_key(key);
            let Some(before_offset) = partition.retained_from(now_ms, active_may_go) else {
                continue;
            };
            assert!(
                before_offset <= partition.high_watermark(),
                "retention of {key} to {before_offset} beyond its high watermark"
            );
            let generation = partition.generation();
            let set = SetLogStart { partition: *key, generation, before_offset };
            if push(entry, &Command::SetLogStart(set)).is_err() {
                break;
            }
            made += 1;
        }
        made
    }

    /// Forgets producers that have been silent for `expiration_ms`. `Nothing` when there are none.
    ///
    /// # Errors
    /// When the entry is full.
    pub fn propose_expire_producers(
        &mut self,
        shard: &Shard,
        entry: &mut EntryBuilder,
        now_ms: i64,
        expiration_ms: i64,
    ) -> Result<Proposal, Refused> {
        let before_ms = now_ms.saturating_sub(expiration_ms);
        let any = shard.partitions().any(|(_, partition)| {
            partition.producers().any(|(_, producer)| producer.last_seen_ms() < before_ms)
        });
        if !any {
            return Ok(Proposal::Nothing);
        }
        push(entry, &Command::ExpireProducers(ExpireProducers { before_ms }))
    }
}

pub(super) fn push(entry: &mut EntryBuilder, command: &Command) -> Result<Proposal, Refused> {
    Ok(Proposal::Command { ordinal: entry.push(command)? })
}

fn of_generation<'a>(
    shard: &'a Shard,
    key: &PartitionKey,
    named: u32,
) -> Result<&'a Partition, Refused> {
    let partition = shard.partition(key).ok_or(Refused::UnknownPartition)?;
    let have = partition.generation();
    if have == named { Ok(partition) } else { Err(Refused::WrongGeneration { have, named }) }
}
