//! A leader without Raft: entries decided in order wait in `under_way` until the test commits or
//! loses them.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;
use holdfast_base::{CoordinatorSlot, Index, PartitionKey, Term, TopicId};
use holdfast_batch::BatchHeader;

use crate::{
    Applied, BrokenInvariant, CommandOutcome, CreatePartition, Decider, Decision, EntryBuilder,
    EntryFacts, GroupMember, GroupRecord, NewOffset, PartitionConfig, PlantedBugs, ProduceFacts,
    Proposal, Refused, RowChange, Shard,
};

pub(super) const START_MS: i64 = 1_700_000_000_000;

pub(super) fn key(partition: i32) -> PartitionKey {
    PartitionKey { topic: TopicId([7; 16]), partition }
}

/// A batch of `count` records of 100 bytes each, without producer, stamped with the start time.
pub(super) fn batch(count: i32) -> BatchHeader {
    BatchHeader {
        base_offset: 0,
        batch_length: 49 + 100 * count,
        partition_leader_epoch: -1,
        magic: 2,
        crc: 0xfeed_beef,
        attributes: 0,
        last_offset_delta: count - 1,
        base_timestamp_ms: START_MS,
        max_timestamp_ms: START_MS,
        producer_id: -1,
        producer_epoch: -1,
        base_sequence: -1,
        records_count: count,
    }
}

pub(super) fn idempotent(id: i64, epoch: i16, sequence: i32, count: i32) -> BatchHeader {
    BatchHeader { producer_id: id, producer_epoch: epoch, base_sequence: sequence, ..batch(count) }
}

pub(super) fn create(partition: i32, config: PartitionConfig) -> CreatePartition {
    CreatePartition { partition: key(partition), generation: 1, epoch_base: 0, config }
}

pub(super) fn slot(group: &str) -> CoordinatorSlot {
    CoordinatorSlot::of(group)
}

/// An offset of a partition of the usual topic, to commit.
pub(super) fn commit(partition: i32, offset: i64) -> NewOffset {
    NewOffset { partition: key(partition), offset, leader_epoch: 1, metadata: "by hand".into() }
}

/// A record of these members, ascending.
pub(super) fn record(generation: i32, members: &[&str]) -> GroupRecord {
    let member = |id: &&str| GroupMember {
        member_id: (*id).to_owned(),
        instance_id: id.starts_with("static").then(|| "a".to_owned()),
        client_id: "client".to_owned(),
        client_host: "/127.0.0.1".to_owned(),
        session_timeout_ms: 45_000,
        rebalance_timeout_ms: 300_000,
        subscription: Bytes::from_static(b"topics"),
        assignment: Bytes::from_static(b"partitions"),
    };
    GroupRecord {
        protocol_type: "consumer".to_owned(),
        generation,
        protocol: members.first().map(|_| "range".to_owned()),
        leader: members.first().map(|id| (*id).to_owned()),
        members: members.iter().map(member).collect(),
    }
}

pub(super) fn put_group(
    leader: &mut Leader,
    group: &str,
    generation: i32,
    members: &[&str],
) -> CommandOutcome {
    let record = record(generation, members);
    leader
        .admin(|decider, _, entry, _| decider.propose_put_group(entry, slot(group), group, &record))
}

pub(super) fn commit_offsets(
    leader: &mut Leader,
    group: &str,
    offsets: &[NewOffset],
) -> CommandOutcome {
    leader.admin(|decider, _, entry, _| {
        decider.propose_commit_offsets(entry, slot(group), group, offsets)
    })
}

pub(super) struct Leader {
    pub(super) shard: Shard,
    pub(super) decider: Decider,
    pub(super) term: u64,
    pub(super) index: u64,
    pub(super) time_ms: i64,
    pub(super) under_way: VecDeque<(EntryFacts, Vec<u8>)>,
    pub(super) committed: Vec<(EntryFacts, Vec<u8>)>,
    /// Rows as a store has them that was given what changed.
    pub(super) kept: BTreeMap<Vec<u8>, Vec<u8>>,
    has_bugs: bool,
}

impl Leader {
    pub(super) fn new() -> Self {
        Leader::with_bugs(PlantedBugs::default())
    }

    pub(super) fn with_bugs(bugs: PlantedBugs) -> Self {
        let mut leader = Leader {
            shard: Shard::new(),
            decider: Decider::new(),
            term: 1,
            index: 0,
            time_ms: START_MS,
            under_way: VecDeque::new(),
            committed: Vec::new(),
            kept: BTreeMap::new(),
            has_bugs: bugs != PlantedBugs::default(),
        };
        leader.shard.plant(bugs);
        leader.decider.plant(bugs);
        leader
    }

    /// A leader with partition 0, of this configuration.
    pub(super) fn with_partition(config: PartitionConfig) -> Self {
        let mut leader = Leader::new();
        leader.create(&create(0, config));
        leader
    }

    pub(super) fn create(&mut self, create: &CreatePartition) -> CommandOutcome {
        self.admin(|decider, shard, entry, _| {
            decider.propose_create_partition(shard, entry, create)
        })
    }

    /// Proposes one administrative command, commits it; its outcome.
    pub(super) fn admin(
        &mut self,
        propose: impl FnOnce(&mut Decider, &Shard, &mut EntryBuilder, i64) -> Result<Proposal, Refused>,
    ) -> CommandOutcome {
        let mut entry = EntryBuilder::new();
        match propose(&mut self.decider, &self.shard, &mut entry, self.time_ms) {
            Err(refused) => CommandOutcome::Refused(refused),
            Ok(Proposal::Nothing) => CommandOutcome::NoChange,
            Ok(Proposal::Command { ordinal }) => {
                assert_eq!(ordinal, 0);
                self.send(entry);
                let mut last = None;
                while let Some(applied) = self.commit_one() {
                    last = Some(applied);
                }
                last.expect("an entry was sent").outcomes[0]
            }
        }
    }

    /// Decides one batch for partition 0, as an entry of its own if it is appended.
    pub(super) fn produce(&mut self, header: &BatchHeader) -> Result<Decision, Refused> {
        let mut entry = EntryBuilder::new();
        let decision = self.decide(&mut entry, 0, header);
        if !entry.is_empty() {
            self.send(entry);
        }
        decision
    }

    pub(super) fn decide(
        &mut self,
        entry: &mut EntryBuilder,
        partition: i32,
        header: &BatchHeader,
    ) -> Result<Decision, Refused> {
        let facts = ProduceFacts {
            partition: key(partition),
            header,
            term: Term(self.term),
            time_ms: self.time_ms,
        };
        self.decider.propose_produce(&self.shard, entry, facts)
    }

    pub(super) fn send(&mut self, entry: EntryBuilder) {
        self.send_bytes(entry.finish());
    }

    pub(super) fn send_bytes(&mut self, commands: Vec<u8>) {
        self.index += 1;
        let facts =
            EntryFacts { index: Index(self.index), term: Term(self.term), time_ms: self.time_ms };
        self.under_way.push_back((facts, commands));
    }

    /// Commits and applies the oldest entry under way.
    pub(super) fn commit_one(&mut self) -> Option<Applied> {
        let (facts, commands) = self.under_way.pop_front()?;
        if !self.shard.marks.is_on() {
            self.kept.clear();
            let whole = self.shard.begin_rows();
            keep(&mut self.kept, whole);
        }
        let applied = self.shard.apply(facts, &commands).expect("our own entry is sound");
        self.check_kept_rows();
        self.decider.applied(&self.shard, &applied);
        self.committed.push((facts, commands));
        Some(applied)
    }

    /// Every test that commits also asks: do the rows that changed, put over those before, make
    /// the state? Bugs put in on purpose change state without telling.
    fn check_kept_rows(&mut self) {
        let changes = self.shard.take_dirty();
        keep(&mut self.kept, changes);
        if self.has_bugs {
            return;
        }
        let mut whole = BTreeMap::new();
        keep(&mut whole, self.shard.rows());
        assert!(
            self.kept == whole,
            "a row changed and was not marked: {:02x?}",
            self.kept
                .iter()
                .find(|(key, value)| whole.get(*key) != Some(value))
                .or_else(|| whole.iter().find(|(key, _)| !self.kept.contains_key(*key)))
        );
        if self.index.is_multiple_of(16) {
            assert_eq!(from_kept(&self.kept).unwrap(), self.shard);
        }
    }

    pub(super) fn commit_all(&mut self) -> Vec<Applied> {
        std::iter::from_fn(|| self.commit_one()).collect()
    }

    /// Decides, commits: the base offset.
    pub(super) fn append(&mut self, header: &BatchHeader) -> i64 {
        let Ok(Decision::Append { base_offset, .. }) = self.produce(header) else {
            panic!("the batch was not appended");
        };
        self.commit_all();
        base_offset
    }

    /// Loses what is under way and leads again in a later term.
    pub(super) fn lose_and_lead_again(&mut self) {
        self.index -= self.under_way.len() as u64;
        self.under_way.clear();
        self.decider.role_changed();
        self.term += 1;
    }

    pub(super) fn high_watermark(&self) -> i64 {
        self.shard.partition(&key(0)).expect("partition 0").high_watermark()
    }
}

/// What a store does with changes.
pub(super) fn keep(kept: &mut BTreeMap<Vec<u8>, Vec<u8>>, changes: Vec<RowChange>) {
    for RowChange { key, value } in changes {
        match value {
            Some(value) => kept.insert(key, value),
            None => kept.remove(&key),
        };
    }
}

/// The state a start makes of kept rows.
pub(super) fn from_kept(kept: &BTreeMap<Vec<u8>, Vec<u8>>) -> Result<Shard, BrokenInvariant> {
    let rows = kept.iter().map(|(key, value)| (key.clone().into(), value.clone().into()));
    Shard::from_rows(rows)
}

/// Offsets of the batches appended, in order.
pub(super) fn appended_offsets(applied: &[Applied]) -> Vec<i64> {
    applied.iter().flat_map(|applied| &applied.appended).map(|batch| batch.base_offset).collect()
}
