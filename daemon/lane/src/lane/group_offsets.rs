//! Committed offsets of groups: commit, fetch, delete.
//!
//! A commit is answered when it is applied, so that a fetch sent after its answer sees it. Whether
//! a member may commit is the coordinator's to say, before the entry is decided: what it allowed is
//! not taken back when the member is gone before the entry is applied, as in Kafka.

use holdfast_base::{Now, PartitionKey};
use holdfast_coordinator::GroupError;
use holdfast_io::Disk;
use holdfast_log::OffsetRow;
use holdfast_wal::Admission;

use super::Lane;
use super::groups::GroupCommand;
use crate::calls::Slot;
use crate::request::{Answer, CommitOffsets, FetchOffsets, Ticket};

/// An offset in a command without its metadata, roughly: for admission only.
const OFFSET_BYTES: usize = 64;

type Results = Vec<Result<(), GroupError>>;

impl<D: Disk> Lane<D> {
    pub(super) fn commit_offsets(&mut self, ticket: Ticket, mut commit: CommitOffsets, now: Now) {
        if let Err(error) = self.decide_commit(ticket, &mut commit, now) {
            self.calls.answer(ticket, Answer::CommitOffsets(Err(error)));
        }
    }

    fn decide_commit(
        &mut self,
        ticket: Ticket,
        commit: &mut CommitOffsets,
        now: Now,
    ) -> Result<(), GroupError> {
        let group = commit.group.as_str();
        let (shard, slot) = self.coordinated_here(group, now)?;
        let leading = self.leading.get_mut(&shard).ok_or(GroupError::NotCoordinator)?;
        let instance_id = commit.instance_id.as_deref();
        leading.coordinator.may_commit(
            group,
            &commit.member_id,
            instance_id,
            commit.generation,
            self.pauses.without(now),
        )?;
        // The broker looked names up in an image that may be older than a deletion.
        let is_gone = |key: &PartitionKey| self.deleted_topics.contains(&key.topic);
        let result = |key: &PartitionKey| match is_gone(key) {
            true => Err(GroupError::UnknownTopicOrPartition),
            false => Ok(()),
        };
        let results: Results = commit.offsets.iter().map(|new| result(&new.partition)).collect();
        commit.offsets.retain(|new| !is_gone(&new.partition));
        let offsets = &commit.offsets;
        if offsets.is_empty() {
            self.calls.answer(ticket, Answer::CommitOffsets(Ok(results)));
            return Ok(());
        }
        let bytes: usize = offsets.iter().map(|new| new.metadata.len() + OFFSET_BYTES).sum();
        let command = GroupCommand { bytes: bytes as u64, class: Admission::Records };
        let waiter = Slot::CommitOffsets { ticket, group: group.to_owned(), results };
        self.propose_group(shard, command, waiter, now, |decider, entry| {
            decider.propose_commit_offsets(entry, slot, group, offsets)
        })
    }

    pub(super) fn fetch_offsets(&mut self, ticket: Ticket, asked: &FetchOffsets, now: Now) {
        let rows = self.offsets_of(asked, now);
        self.calls.answer(ticket, Answer::FetchOffsets(rows));
    }

    fn offsets_of(
        &self,
        asked: &FetchOffsets,
        now: Now,
    ) -> Result<Vec<(PartitionKey, OffsetRow)>, GroupError> {
        let (shard, slot) = self.coordinated_here(&asked.group, now)?;
        let Some(group) = self.group_rows(shard, slot, &asked.group) else {
            return Ok(Vec::new());
        };
        let Some(partitions) = &asked.partitions else {
            return Ok(group.offsets().map(|(key, row)| (*key, row.clone())).collect());
        };
        let found = partitions.iter().filter_map(|key| Some((*key, group.offset(key)?.clone())));
        let mut rows: Vec<_> = found.collect();
        rows.sort_unstable_by_key(|(key, _)| *key);
        rows.dedup_by_key(|(key, _)| *key);
        Ok(rows)
    }

    pub(super) fn delete_offsets(
        &mut self,
        ticket: Ticket,
        group: &str,
        partitions: &[PartitionKey],
        now: Now,
    ) {
        if let Err(error) = self.decide_offset_deletion(ticket, group, partitions, now) {
            self.calls.answer(ticket, Answer::DeleteOffsets(Err(error)));
        }
    }

    fn decide_offset_deletion(
        &mut self,
        ticket: Ticket,
        group: &str,
        partitions: &[PartitionKey],
        now: Now,
    ) -> Result<(), GroupError> {
        let (shard, slot) = self.coordinated_here(group, now)?;
        let leading = self.leading.get(&shard).ok_or(GroupError::NotCoordinator)?;
        match leading.coordinator.may_delete_offsets(group) {
            Err(GroupError::GroupIdNotFound) if self.has_offsets_only(shard, slot, group) => {}
            other => other?,
        }
        let is_read = |key: &PartitionKey| {
            let topic = self.image.topic_by_id(key.topic);
            topic.is_some_and(|topic| leading.coordinator.is_subscribed(group, &topic.name))
        };
        let result = |key: &PartitionKey| match is_read(key) {
            true => Err(GroupError::SubscribedToTopic),
            false => Ok(()),
        };
        let results: Results = partitions.iter().map(result).collect();
        let unread: Vec<PartitionKey> =
            partitions.iter().filter(|key| !is_read(key)).copied().collect();
        if unread.is_empty() {
            self.calls.answer(ticket, Answer::DeleteOffsets(Ok(results)));
            return Ok(());
        }
        let command = GroupCommand::freeing(unread.len());
        let waiter = Slot::DeleteOffsets { ticket, results };
        self.propose_group(shard, command, waiter, now, |decider, entry| {
            decider.propose_remove_offsets(entry, slot, group, &unread)
        })
    }
}
