//! Groups of a shard: reading them, and what commands do to them.
//!
//! ```text
//! command        unknown group            known group
//! PutGroup       GroupPut: it begins      GroupPut
//! RemoveGroup    NoChange                 GroupRemoved, or NoChange if changed since the plan
//! CommitOffsets  it begins                OffsetsCommitted(partitions); NoChange without offsets
//! RemoveOffsets  NoChange                 OffsetsRemoved(how many were there), or NoChange if none
//!                                         or if changed since the plan
//! ```
//!
//! Nothing here is refused: whether a member or a generation may commit is the coordinator's to
//! say before it proposes.

use std::collections::BTreeMap;
use std::sync::Arc;

use holdfast_base::{CoordinatorSlot, PartitionKey};

use super::{CommandOutcome, EntryFacts, Shard};
use crate::command::{CommitOffsets, PutGroup, RemoveGroup, RemoveOffsets};
use crate::group::Group;
use crate::rows::RowKey;

impl Shard {
    /// All groups, ascending by slot, then id.
    pub fn groups(&self) -> impl Iterator<Item = (CoordinatorSlot, &str, &Group)> {
        self.groups.iter().flat_map(|(slot, groups)| {
            groups.iter().map(|(name, group)| (*slot, name.as_str(), group))
        })
    }

    /// The groups of one slot, ascending by id.
    pub fn groups_of(&self, slot: CoordinatorSlot) -> impl Iterator<Item = (&str, &Group)> {
        let groups = self.groups.get(&slot).into_iter().flatten();
        groups.map(|(name, group)| (name.as_str(), group))
    }

    /// One group.
    #[must_use]
    pub fn group(&self, slot: CoordinatorSlot, group: &str) -> Option<&Group> {
        self.groups.get(&slot)?.get(group)
    }

    pub(super) fn put_group(&mut self, put: &PutGroup, entry: EntryFacts) -> CommandOutcome {
        let group = self.group_or_begin(put.slot, &put.group);
        group.put(&put.record, entry.index, entry.time_ms);
        let since_ms = group.empty_since_ms.unwrap_or(-1);
        self.digest.number(since_ms);
        let name: Arc<str> = Arc::from(put.group.as_str());
        self.marks.mark(RowKey::Group(put.slot, Arc::clone(&name)));
        self.marks.mark(RowKey::Record(put.slot, name));
        CommandOutcome::GroupPut
    }

    pub(super) fn remove_group(&mut self, remove: &RemoveGroup) -> CommandOutcome {
        let Some(group) = self.group(remove.slot, &remove.group) else {
            return CommandOutcome::NoChange;
        };
        if group.changed_at > remove.planned_at {
            return CommandOutcome::NoChange;
        }
        self.digest.word(group.offsets.len() as u64);
        self.forget_group(remove.slot, &remove.group);
        CommandOutcome::GroupRemoved
    }

    pub(super) fn commit_offsets(
        &mut self,
        commit: &CommitOffsets,
        entry: EntryFacts,
    ) -> CommandOutcome {
        if commit.offsets.is_empty() {
            return CommandOutcome::NoChange;
        }
        let mut digest = self.digest;
        let group = self.group_or_begin(commit.slot, &commit.group);
        // What was there before goes into the hash: the command itself is in it already.
        for new in &commit.offsets {
            digest.number(group.offset(&new.partition).map_or(-1, |old| old.offset));
        }
        group.commit(&commit.offsets, entry.index, entry.time_ms);
        digest.word(group.offsets.len() as u64);
        digest.number(group.empty_since_ms.unwrap_or(-1));
        self.digest = digest;
        let partitions = commit.offsets.iter().map(|new| &new.partition);
        self.mark_offsets(commit.slot, &commit.group, partitions);
        CommandOutcome::OffsetsCommitted(commit.offsets.len())
    }

    pub(super) fn remove_offsets(&mut self, remove: &RemoveOffsets) -> CommandOutcome {
        let group = self.groups.get_mut(&remove.slot).and_then(|all| all.get_mut(&remove.group));
        let Some(group) = group.filter(|group| group.changed_at <= remove.planned_at) else {
            return CommandOutcome::NoChange;
        };
        let mut removed = 0;
        for partition in &remove.partitions {
            removed += usize::from(group.offsets.remove(partition).is_some());
        }
        if removed == 0 {
            return CommandOutcome::NoChange;
        }
        let left = group.offsets.len();
        let is_nothing = group.is_nothing();
        self.mark_offsets(remove.slot, &remove.group, remove.partitions.iter());
        if is_nothing {
            self.forget_group(remove.slot, &remove.group);
        }
        self.digest.word(left as u64);
        CommandOutcome::OffsetsRemoved(removed)
    }

    /// The bug of that name.
    pub(super) fn move_commits_back(&mut self) {
        let rows = self.groups.values_mut().flat_map(BTreeMap::values_mut);
        for row in rows.flat_map(|group| group.offsets.values_mut()) {
            row.offset = row.offset.saturating_sub(1);
        }
    }

    fn group_or_begin(&mut self, slot: CoordinatorSlot, name: &str) -> &mut Group {
        let groups = self.groups.entry(slot).or_default();
        if !groups.contains_key(name) {
            groups.insert(name.to_owned(), Group::default());
        }
        groups.get_mut(name).expect("the line above made one if there was none")
    }

    fn mark_offsets<'a>(
        &mut self,
        slot: CoordinatorSlot,
        name: &str,
        partitions: impl Iterator<Item = &'a PartitionKey>,
    ) {
        if !self.marks.is_on() {
            return;
        }
        let name: Arc<str> = Arc::from(name);
        self.marks.mark(RowKey::Group(slot, Arc::clone(&name)));
        for partition in partitions {
            self.marks.mark(RowKey::Offset(slot, Arc::clone(&name), *partition));
        }
    }

    fn forget_group(&mut self, slot: CoordinatorSlot, name: &str) {
        if self.marks.is_on() {
            let rows = self.groups.get(&slot).and_then(|groups| groups.get(name));
            for row in rows.into_iter().flat_map(|group| group.row_keys(slot, name)) {
                self.marks.mark(row);
            }
        }
        if let Some(groups) = self.groups.get_mut(&slot) {
            groups.remove(name);
            if groups.is_empty() {
                self.groups.remove(&slot);
            }
        }
    }
}
