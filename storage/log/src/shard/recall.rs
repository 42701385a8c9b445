//! What a start that begins at a snapshot asks of the entries between `uploaded` and it: where their
//! batches lie, as far as somebody can still read them.
//!
//! The snapshot knows offsets and no places; the entries know places, and not what became of their
//! batches. Two things are kept for that: which batches were refused (their payload lies in the log
//! all the same), and the generation of partitions. Both only for entries that no object holds.

use holdfast_base::Index;

use super::{AppendedBatch, Applied, EntryFacts, Shard};
use crate::command::{Command, decode_commands};
use crate::refusal::BrokenInvariant;
use crate::rows::RowKey;

impl Shard {
    /// A batch was refused: should this entry be looked at again, it has none there.
    pub(super) fn note_refused(&mut self, index: Index, ordinal: usize) {
        let ordinal = u32::try_from(ordinal).unwrap_or(u32::MAX);
        self.objects.refused.entry(index).or_default().push(ordinal);
        self.marks.mark(RowKey::Refused(index));
    }

    /// What of an entry that this state reflects can still be read: its batches as `apply` told of
    /// them, but for those that died since. Entries in objects have none.
    ///
    /// # Errors
    /// As [`Shard::apply`].
    pub fn recall(&self, entry: EntryFacts, commands: &[u8]) -> Result<Applied, BrokenInvariant> {
        let mut recalled = Applied::default();
        if entry.index <= self.objects.uploaded {
            return Ok(recalled);
        }
        if entry.index > self.applied {
            let (index, applied) = (entry.index, self.applied);
            return Err(BrokenInvariant::new(format!(
                "entry {index} is not in a state of {applied}"
            )));
        }
        let refused = self.objects.refused.get(&entry.index);
        for (ordinal, command) in (0_u32..).zip(decode_commands(commands)) {
            let Command::AppendBatch(batch) = command? else { continue };
            let last_offset = batch.base_offset.saturating_add(i64::from(batch.last_offset_delta));
            let lives = self.partitions.get(&batch.partition).is_some_and(|partition| {
                partition.generation == batch.generation && last_offset >= partition.log_start
            });
            if !lives || refused.is_some_and(|ordinals| ordinals.contains(&ordinal)) {
                continue;
            }
            recalled.appended.push(AppendedBatch {
                partition: batch.partition,
                base_offset: batch.base_offset,
                last_offset,
                max_timestamp_ms: batch.max_timestamp_ms,
                leader_epoch: batch.leader_epoch,
                payload_start: batch.payload_start,
                payload_len_bytes: batch.payload_len_bytes,
                producer_id: batch.producer_id,
            });
        }
        Ok(recalled)
    }
}
