//! A data shard: the same entries leave the same state on every replica.
//!
//! ```text
//! command          refused when                              else
//! AppendBatch      unknown, generation, epoch, offset,       Appended; the end moves
//!                  sequence, behind a refused one
//! CreatePartition  there with another generation             Created, or NoChange if there
//! RemovePartition  there with another generation             Removed, or NoChange if gone
//! SetConfig        unknown, generation                       ConfigSet, or NoChange
//! SetLogStart      unknown, generation, outside 0..=end      LogStart(where it now is)
//! ExpireProducers  never                                     Expired(how many)
//! PutGroup, RemoveGroup, CommitOffsets, RemoveOffsets: never refused; see `shard/groups.rs`
//! Intent, MergeIntent, Manifest, ObjectStep: see `shard/objects.rs`, `shard/merges.rs`
//! ```
//!
//! Invariants: entry index grows strictly, term and time never fall. A refused batch takes every
//! batch of its partition behind it in the entry along; in later entries their offsets no longer
//! fit, so they refuse themselves until the leader decides anew.
//!
//! Caveat: after a [`BrokenInvariant`] the state is not to be used; all commands of an entry are
//! decoded before the first is applied, so damage in an entry changes nothing.

mod groups;
mod merges;
mod object_rows;
mod objects;
mod recall;

use std::collections::{BTreeMap, BTreeSet};

use holdfast_base::{CoordinatorSlot, Index, PartitionKey, Term};

use crate::command::{
    AppendBatch, Command, CreatePartition, SetConfig, SetLogStart, decode_commands,
};
use crate::digest::Digest;
use crate::group::Group;
use crate::partition::Partition;
use crate::planted::PlantedBugs;
use crate::refusal::{BrokenInvariant, Refused};
use crate::rows::{Marks, RowKey};

pub(crate) use object_rows::Objects;
pub use object_rows::{ObjectKind, ObjectRow, ObjectState, PartitionObject};

/// What the consensus driver knows of a committed entry.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct EntryFacts {
    /// Its place. Indexes may be skipped (empty entries, membership), never repeated.
    pub index: Index,
    /// The term it was decided and committed in.
    pub term: Term,
    /// The leader's clock, never less than the previous entry's.
    pub time_ms: i64,
}

/// A batch that is committed and visible: a row of the lane's index.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct AppendedBatch {
    /// Where.
    pub partition: PartitionKey,
    /// Offset of its first record.
    pub base_offset: i64,
    /// Offset of its last record.
    pub last_offset: i64,
    /// As stored.
    pub max_timestamp_ms: i64,
    /// Under which it was decided.
    pub leader_epoch: i32,
    /// First byte in the entry's payload. Apply cannot see the payload: check before slicing.
    pub payload_start: u32,
    /// Bytes of the batch.
    pub payload_len_bytes: u32,
    /// -1 without idempotence.
    pub producer_id: i64,
}

/// What became of one command.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CommandOutcome {
    /// A batch is committed.
    Appended {
        /// Offset of its first record.
        base_offset: i64,
        /// Under LogAppendTime, else -1.
        log_append_time_ms: i64,
        /// Of the partition.
        log_start: i64,
    },
    /// Not done, on any replica. For a batch: answer NOT_LEADER_OR_FOLLOWER.
    Refused(Refused),
    /// Where the log start now is.
    LogStart(i64),
    /// The partition is there now.
    Created,
    /// The partition is gone now.
    Removed,
    /// The configuration is another one now.
    ConfigSet,
    /// That many producers are forgotten.
    Expired(usize),
    /// The group's record is that one now.
    GroupPut,
    /// The group is gone now, with its offsets.
    GroupRemoved,
    /// That many offsets of the command are the group's now.
    OffsetsCommitted(usize),
    /// That many offsets are forgotten.
    OffsetsRemoved(usize),
    /// The object is announced.
    ObjectIntended,
    /// The object holds records.
    ObjectLive,
    /// The object's next step is taken.
    ObjectStepped,
    /// It was so before.
    NoChange,
}

/// What one entry did.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Applied {
    /// One per command, in order.
    pub outcomes: Vec<CommandOutcome>,
    /// Batches that are visible now, in order.
    pub appended: Vec<AppendedBatch>,
    /// Partitions of refused batches, one for each batch, in order.
    pub refused: Vec<PartitionKey>,
    /// Partitions whose high watermark or log start moved, ascending, each once.
    pub changed: Vec<PartitionKey>,
    /// Partitions whose log start moved, and where it is now, in order.
    pub log_starts: Vec<(PartitionKey, i64)>,
    /// Partitions that came to be, in order.
    pub created: Vec<PartitionKey>,
    /// Partitions that ceased to be, in order: their batches are dead.
    pub removed: Vec<PartitionKey>,
    /// An object took a step of its life.
    pub objects: bool,
}

/// The applied state of one data shard.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Shard {
    pub(crate) partitions: BTreeMap<PartitionKey, Partition>,
    /// By slot, then id. No slot without a group.
    pub(crate) groups: BTreeMap<CoordinatorSlot, BTreeMap<String, Group>>,
    pub(crate) objects: Objects,
    /// Last entry applied; 0 none.
    pub(crate) applied: Index,
    /// Of that entry. Never falls.
    pub(crate) term: Term,
    /// Of that entry. Never falls.
    pub(crate) time_ms: i64,
    pub(crate) digest: Digest,
    /// Rows to be kept anew; those of objects are marked where they are.
    pub(crate) marks: Marks<RowKey>,
    bugs: PlantedBugs,
}

impl Default for Shard {
    fn default() -> Self {
        Shard::new()
    }
}

/// The partitions of an entry that were touched or may not be any more.
#[derive(Default)]
struct Touched {
    refused: BTreeSet<PartitionKey>,
    changed: BTreeSet<PartitionKey>,
}

impl Shard {
    /// A shard before its first entry.
    #[must_use]
    pub fn new() -> Self {
        Shard {
            partitions: BTreeMap::new(),
            groups: BTreeMap::new(),
            objects: Objects::default(),
            applied: Index(0),
            term: Term(0),
            time_ms: i64::MIN,
            digest: Digest::EMPTY,
            marks: Marks::default(),
            bugs: PlantedBugs::default(),
        }
    }

    /// Turns bugs on, for tests of the tests.
    pub fn plant(&mut self, bugs: PlantedBugs) {
        self.bugs = bugs;
    }

    /// One partition.
    #[must_use]
    pub fn partition(&self, key: &PartitionKey) -> Option<&Partition> {
        self.partitions.get(key)
    }

    /// All partitions, ascending by key.
    pub fn partitions(&self) -> impl ExactSizeIterator<Item = (&PartitionKey, &Partition)> {
        self.partitions.iter()
    }

    /// The last entry that changed this state; 0 none.
    #[must_use]
    pub fn applied(&self) -> Index {
        self.applied
    }

    /// Entry time of that entry.
    #[must_use]
    pub fn time_ms(&self) -> i64 {
        self.time_ms
    }

    /// A hash of every entry, every outcome and the positions they left: equal on replicas that
    /// applied the same entries.
    #[must_use]
    pub fn hash(&self) -> u64 {
        self.digest.value()
    }

    /// Applies one committed entry that was decided in its own term.
    ///
    /// # Errors
    /// When the commands cannot be decoded, or an invariant of this replica does not hold: stop
    /// the replica, keep the evidence.
    pub fn apply(
        &mut self,
        entry: EntryFacts,
        commands: &[u8],
    ) -> Result<Applied, BrokenInvariant> {
        let count = decode_commands(commands)
            .try_fold(0_usize, |count, command| command.map(|_| count + 1))?;
        self.advance(entry, commands)?;
        let mut applied = Applied { outcomes: Vec::with_capacity(count), ..Applied::default() };
        let mut touched = Touched::default();
        for command in decode_commands(commands) {
            let outcome = self.apply_command(&command?, entry, &mut applied, &mut touched)?;
            self.note_outcome(&outcome);
            applied.outcomes.push(outcome);
        }
        for key in &touched.changed {
            if let Some(partition) = self.partitions.get(key) {
                partition.check_invariants(self.bugs)?;
                self.digest.number(partition.log_start);
                self.digest.number(partition.high_watermark);
                self.digest.word(partition.bytes());
            }
        }
        applied.changed = touched.changed.into_iter().collect();
        Ok(applied)
    }

    /// Takes the entry's place, term and time.
    fn advance(&mut self, entry: EntryFacts, commands: &[u8]) -> Result<(), BrokenInvariant> {
        if entry.index <= self.applied || entry.term < self.term || entry.time_ms < self.time_ms {
            return Err(BrokenInvariant::new(format!(
                "entry {} of term {} at {} ms cannot follow entry {} of term {} at {} ms",
                entry.index, entry.term, entry.time_ms, self.applied, self.term, self.time_ms
            )));
        }
        if self.bugs.sequence_not_restored && entry.term != self.term {
            for partition in self.partitions.values_mut() {
                partition.producers.clear();
            }
        }
        if self.bugs.commit_goes_back && entry.term != self.term {
            self.move_commits_back();
        }
        self.applied = entry.index;
        self.term = entry.term;
        self.time_ms = entry.time_ms;
        self.digest.word(entry.index.0);
        self.digest.word(entry.term.0);
        self.digest.number(entry.time_ms);
        self.digest.bytes(commands);
        Ok(())
    }

    fn apply_command(
        &mut self,
        command: &Command,
        entry: EntryFacts,
        applied: &mut Applied,
        touched: &mut Touched,
    ) -> Result<CommandOutcome, BrokenInvariant> {
        Ok(match command {
            Command::AppendBatch(batch) => {
                return self.append(batch, entry, applied, touched);
            }
            Command::CreatePartition(create) => self.create(create, applied),
            Command::RemovePartition(remove) => {
                match self.of_generation(&remove.partition, remove.generation) {
                    Ok(_) => {
                        self.mark_partition_whole(&remove.partition);
                        self.drop_object_rows(&remove.partition, i64::MAX)?;
                        self.partitions.remove(&remove.partition);
                        touched.changed.remove(&remove.partition);
                        applied.removed.push(remove.partition);
                        CommandOutcome::Removed
                    }
                    Err(Refused::UnknownPartition) => CommandOutcome::NoChange,
                    Err(refused) => CommandOutcome::Refused(refused),
                }
            }
            Command::SetConfig(set) => self.set_config(set),
            Command::SetLogStart(set) => self.set_log_start(set, applied, touched)?,
            Command::ExpireProducers(expire) => {
                let mut expired = 0;
                for (key, partition) in &mut self.partitions {
                    for id in partition.expire_producers(expire.before_ms) {
                        expired += 1;
                        self.marks.mark(RowKey::Partition(*key));
                        self.marks.mark(RowKey::Producer(*key, id));
                    }
                }
                CommandOutcome::Expired(expired)
            }
            Command::PutGroup(put) => self.put_group(put, entry),
            Command::RemoveGroup(remove) => self.remove_group(remove),
            Command::CommitOffsets(commit) => self.commit_offsets(commit, entry),
            Command::RemoveOffsets(remove) => self.remove_offsets(remove),
            Command::Intent(intent) => self.intend(intent, entry, applied),
            Command::MergeIntent(intent) => self.intend_merge(intent, entry, applied),
            Command::Manifest(manifest) => self.take_manifest(manifest, entry, applied)?,
            Command::ObjectStep(step) => self.step_object(step, entry, applied),
        })
    }

    fn of_generation(&mut self, key: &PartitionKey, named: u32) -> Result<&mut Partition, Refused> {
        let partition = self.partitions.get_mut(key).ok_or(Refused::UnknownPartition)?;
        let have = partition.generation;
        if have != named {
            return Err(Refused::WrongGeneration { have, named });
        }
        Ok(partition)
    }

    fn append(
        &mut self,
        batch: &AppendBatch,
        entry: EntryFacts,
        applied: &mut Applied,
        touched: &mut Touched,
    ) -> Result<CommandOutcome, BrokenInvariant> {
        let bugs = self.bugs;
        let result = if touched.refused.contains(&batch.partition) {
            Err(Refused::BehindRefused)
        } else {
            match self.partitions.get_mut(&batch.partition) {
                None => Err(Refused::UnknownPartition),
                Some(partition) => {
                    partition.append(batch, entry.term, entry.time_ms, bugs)?.map(|remembered| {
                        let active = partition.segments.active().map(|row| row.base_offset);
                        (remembered, partition.log_start, active)
                    })
                }
            }
        };
        Ok(match result {
            Ok((remembered, log_start, active)) => {
                self.mark_appended(batch, active);
                touched.changed.insert(batch.partition);
                applied.appended.push(AppendedBatch {
                    partition: batch.partition,
                    base_offset: batch.base_offset,
                    last_offset: remembered.last_offset(),
                    max_timestamp_ms: batch.max_timestamp_ms,
                    leader_epoch: batch.leader_epoch,
                    payload_start: batch.payload_start,
                    payload_len_bytes: batch.payload_len_bytes,
                    producer_id: batch.producer_id,
                });
                CommandOutcome::Appended {
                    base_offset: remembered.base_offset,
                    log_append_time_ms: remembered.log_append_time_ms,
                    log_start,
                }
            }
            Err(refused) => {
                touched.refused.insert(batch.partition);
                self.note_refused(entry.index, applied.outcomes.len());
                applied.refused.push(batch.partition);
                CommandOutcome::Refused(refused)
            }
        })
    }

    fn create(&mut self, create: &CreatePartition, applied: &mut Applied) -> CommandOutcome {
        match self.of_generation(&create.partition, create.generation) {
            Ok(_) => CommandOutcome::NoChange,
            Err(Refused::UnknownPartition) => {
                self.partitions.insert(create.partition, Partition::new(create));
                self.marks.mark(RowKey::Partition(create.partition));
                applied.created.push(create.partition);
                CommandOutcome::Created
            }
            Err(refused) => CommandOutcome::Refused(refused),
        }
    }

    fn set_config(&mut self, set: &SetConfig) -> CommandOutcome {
        match self.of_generation(&set.partition, set.generation) {
            Ok(partition) if partition.config == set.config => CommandOutcome::NoChange,
            Ok(partition) => {
                partition.config = set.config;
                self.marks.mark(RowKey::Partition(set.partition));
                CommandOutcome::ConfigSet
            }
            Err(refused) => CommandOutcome::Refused(refused),
        }
    }

    fn set_log_start(
        &mut self,
        set: &SetLogStart,
        applied: &mut Applied,
        touched: &mut Touched,
    ) -> Result<CommandOutcome, BrokenInvariant> {
        let (bugs, at) = (self.bugs, self.applied);
        self.mark_segments_below(&set.partition, set.before_offset);
        let moved = self.of_generation(&set.partition, set.generation).and_then(|partition| {
            let moved = partition.set_log_start(set.before_offset, at, bugs)?;
            Ok((moved, partition.log_start))
        });
        Ok(match moved {
            Ok((moved, log_start)) => {
                if moved {
                    self.drop_object_rows(&set.partition, log_start)?;
                    touched.changed.insert(set.partition);
                    applied.log_starts.push((set.partition, log_start));
                }
                CommandOutcome::LogStart(log_start)
            }
            Err(refused) => CommandOutcome::Refused(refused),
        })
    }

    /// A batch moves its partition, the newest segment and its producer.
    fn mark_appended(&mut self, batch: &AppendBatch, active: Option<i64>) {
        self.marks.mark(RowKey::Partition(batch.partition));
        if let Some(base_offset) = active {
            self.marks.mark(RowKey::Segment(batch.partition, base_offset));
        }
        if batch.producer_id >= 0 {
            self.marks.mark(RowKey::Producer(batch.partition, batch.producer_id));
        }
    }

    /// Before they go: what is marked and stays is only written once more.
    fn mark_segments_below(&mut self, key: &PartitionKey, before_offset: i64) {
        let Some(partition) = self.partitions.get(key).filter(|_| self.marks.is_on()) else {
            return;
        };
        self.marks.mark(RowKey::Partition(*key));
        for row in partition.segments().take_while(|row| row.base_offset <= before_offset) {
            self.marks.mark(RowKey::Segment(*key, row.base_offset));
        }
    }

    /// Before it goes.
    fn mark_partition_whole(&mut self, key: &PartitionKey) {
        let partition = self.partitions.get(key).filter(|_| self.marks.is_on());
        for row in partition.into_iter().flat_map(|partition| partition.row_keys(*key)) {
            self.marks.mark(row);
        }
    }

    fn note_outcome(&mut self, outcome: &CommandOutcome) {
        match outcome {
            CommandOutcome::Appended { base_offset, log_append_time_ms, log_start } => {
                self.digest.word(1);
                self.digest.number(*base_offset);
                self.digest.number(*log_append_time_ms);
                self.digest.number(*log_start);
            }
            CommandOutcome::Refused(refused) => {
                self.digest.word(2);
                self.digest.bytes(refused.name().as_bytes());
            }
            CommandOutcome::LogStart(offset) => {
                self.digest.word(3);
                self.digest.number(*offset);
            }
            CommandOutcome::Created => self.digest.word(4),
            CommandOutcome::Removed => self.digest.word(5),
            CommandOutcome::ConfigSet => self.digest.word(6),
            CommandOutcome::Expired(count) => {
                self.digest.word(7);
                self.digest.word(*count as u64);
            }
            CommandOutcome::NoChange => self.digest.word(8),
            CommandOutcome::GroupPut => self.digest.word(9),
            CommandOutcome::GroupRemoved => self.digest.word(10),
            CommandOutcome::OffsetsCommitted(count) => {
                self.digest.word(11);
                self.digest.word(*count as u64);
            }
            CommandOutcome::OffsetsRemoved(count) => {
                self.digest.word(12);
                self.digest.word(*count as u64);
            }
            CommandOutcome::ObjectIntended => self.digest.word(13),
            CommandOutcome::ObjectLive => self.digest.word(14),
            CommandOutcome::ObjectStepped => self.digest.word(15),
        }
    }
}
