//! What a coordinator writes down: records, commits, removals.
//!
//! ```text
//! coordinator or sweep ─▶ propose_* ─▶ does every replica read it? ── no ─▶ Refused
//!                                                  │ yes
//!                                                  └─▶ Proposal::Command: done at its outcome
//! ```
//!
//! Nothing is layered: the coordinator keeps what it decided itself. Removing what is not there is
//! found at apply (`NoChange`), since it may come with an entry under way.

use holdfast_base::{CoordinatorSlot, Index, PartitionKey};

use super::Decider;
use super::administration::{Proposal, push};
use crate::command::{Command, CommitOffsets, PutGroup, RemoveGroup, RemoveOffsets, UNCONDITIONAL};
use crate::entry::EntryBuilder;
use crate::group::{Expired, Expiry, GroupRecord, NewOffset, check_text};
use crate::refusal::Refused;

impl Decider {
    /// Puts a group's record, whole; a group nobody knows begins. Outcome `GroupPut`.
    ///
    /// # Errors
    /// [`Refused::GroupTooLarge`] and [`Refused::InvalidGroup`] for ever; [`Refused::EntryFull`]
    /// asks for another entry first.
    pub fn propose_put_group(
        &self,
        entry: &mut EntryBuilder,
        slot: CoordinatorSlot,
        group: &str,
        record: &GroupRecord,
    ) -> Result<Proposal, Refused> {
        check_text(group)?;
        record.check()?;
        let put = PutGroup { slot, group: group.to_owned(), record: record.clone() };
        push(entry, &Command::PutGroup(put))
    }

    /// Removes a group with all its offsets, whatever is under way. Outcome `GroupRemoved` or
    /// `NoChange`.
    ///
    /// # Errors
    /// As [`Self::propose_put_group`].
    pub fn propose_remove_group(
        &self,
        entry: &mut EntryBuilder,
        slot: CoordinatorSlot,
        group: &str,
    ) -> Result<Proposal, Refused> {
        remove_group(entry, slot, group, UNCONDITIONAL)
    }

    /// Commits offsets; a group nobody knows begins. `Nothing` when there are none. Outcome
    /// `OffsetsCommitted`: all of them.
    ///
    /// # Errors
    /// As [`Self::propose_put_group`]; answer `GroupTooLarge` with INVALID_COMMIT_OFFSET_SIZE.
    pub fn propose_commit_offsets(
        &self,
        entry: &mut EntryBuilder,
        slot: CoordinatorSlot,
        group: &str,
        offsets: &[NewOffset],
    ) -> Result<Proposal, Refused> {
        check_text(group)?;
        for new in offsets {
            check_text(&new.metadata)?;
        }
        if offsets.is_empty() {
            return Ok(Proposal::Nothing);
        }
        let commit = CommitOffsets { slot, group: group.to_owned(), offsets: offsets.to_vec() };
        push(entry, &Command::CommitOffsets(commit))
    }

    /// Removes committed offsets, whatever is under way. `Nothing` when none are named. Outcome
    /// `OffsetsRemoved` or `NoChange`.
    ///
    /// # Errors
    /// As [`Self::propose_put_group`].
    pub fn propose_remove_offsets(
        &self,
        entry: &mut EntryBuilder,
        slot: CoordinatorSlot,
        group: &str,
        partitions: &[PartitionKey],
    ) -> Result<Proposal, Refused> {
        remove_offsets(entry, slot, group, partitions, UNCONDITIONAL)
    }

    /// Removes what a sweep found expired, unless the group is changed in the meantime. Outcome
    /// `GroupRemoved`, `OffsetsRemoved` or `NoChange`.
    ///
    /// # Errors
    /// [`Refused::EntryFull`].
    pub fn propose_expiry(
        &self,
        entry: &mut EntryBuilder,
        expiry: &Expiry,
    ) -> Result<Proposal, Refused> {
        let Expiry { slot, group, expired, planned_at } = expiry;
        match expired {
            Expired::Group => remove_group(entry, *slot, group, *planned_at),
            Expired::Offsets(partitions) => {
                remove_offsets(entry, *slot, group, partitions, *planned_at)
            }
        }
    }
}

fn remove_group(
    entry: &mut EntryBuilder,
    slot: CoordinatorSlot,
    group: &str,
    planned_at: Index,
) -> Result<Proposal, Refused> {
    check_text(group)?;
    let remove = RemoveGroup { slot, group: group.to_owned(), planned_at };
    push(entry, &Command::RemoveGroup(remove))
}

fn remove_offsets(
    entry: &mut EntryBuilder,
    slot: CoordinatorSlot,
    group: &str,
    partitions: &[PartitionKey],
    planned_at: Index,
) -> Result<Proposal, Refused> {
    check_text(group)?;
    if partitions.is_empty() {
        return Ok(Proposal::Nothing);
    }
    let partitions = partitions.to_vec();
    let remove = RemoveOffsets { slot, group: group.to_owned(), planned_at, partitions };
    push(entry, &Command::RemoveOffsets(remove))
}
