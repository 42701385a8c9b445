//! The pure core of a data shard: which batch gets which offset, and what that leaves behind.
//!
//! ```text
//!            leader only                          every replica
//! produce ─▶ Decider::propose_* ─▶ EntryBuilder ─▶ (Raft, WAL) ─▶ Shard::apply ─▶ Applied
//!              │ reads                               │ moves
//!              └── what was decided, layered over ───┴─ partitions, producers, epochs, segments, groups
//! ```
//!
//! Idea: deciding and applying are two steps of one state machine. The leader gives offsets before
//! anything is committed, so it keeps a thin layer of *decided* state over the *applied* one, and
//! throws that layer away at every change of role. Apply trusts nobody: it checks each offset and
//! sequence again, and a batch that does not fit is refused on every replica alike.
//!
//! Invariants: no I/O, no clock, no randomness, no unordered map. `apply` reads its entry and this
//! shard's state and nothing else; every decodable command has a result; what cannot be decoded,
//! or a broken invariant of our own, is [`BrokenInvariant`], after which the replica must stop.
//!
//! Caveats: the head of an entry (deciding replica and term, entry time) is the consensus driver's;
//! `apply` gets only entries that were decided in the term they were committed in. Transactions and
//! moves between shards come later: their fields stand in the commands, their state does not exist
//! yet. Of groups only what outlives a coordinator is here.

mod command;
mod config;
mod decider;
mod digest;
mod entry;
mod epoch;
mod group;
mod merge_plan;
mod object;
mod partition;
mod planted;
mod producer;
mod reader;
mod refusal;
mod repair;
mod rows;
mod segment;
mod shard;
mod snapshot;

pub use command::{
    AppendBatch, Command, Commands, CommitOffsets, CreatePartition, ExpireProducers, PutGroup,
    RemoveGroup, RemoveOffsets, RemovePartition, SetConfig, SetLogStart, decode_commands,
};
pub use config::{CleanupPolicy, ConfigError, PartitionConfig};
pub use decider::{Decider, Decision, ProduceFacts, Proposal};
pub use entry::{BatchPlace, ENTRY_COMMANDS_MAX_BYTES, ENTRY_PAYLOAD_MAX_BYTES, EntryBuilder};
pub use epoch::{Divergence, EpochEnd, EpochStart};
pub use group::{
    EXPIRED_OFFSETS_MAX, Expired, Expiry, GROUP_RECORD_MAX_BYTES, GROUP_TEXT_MAX_BYTES, Group,
    GroupMember, GroupRecord, NewOffset, OffsetRow, expire_groups, offsets_expired,
    offsets_of_topics,
};
pub use merge_plan::{
    MERGE_SOURCES_MAX, MERGED_ROWS_MIN, MergePart, MergePlan, MergeRule, MergeSource,
    ROW_FULL_BYTES, plan_merge,
};
pub use object::{
    CommandError, ExpectedObject, Intent, MANIFEST_ROW_BYTES, Manifest, ManifestRow, NUMBER_MAX,
    OBJECT_HEAD_BYTES, OBJECT_PARTITIONS_MAX, OBJECT_TRAILER_BYTES, OPEN_INTENTS_MAX, ObjectId,
    ObjectIdentity, ObjectStep, Step, layout as object_layout,
};
pub use partition::Partition;
pub use planted::PlantedBugs;
pub use producer::{Producer, REMEMBERED_BATCHES, RememberedBatch};
pub use refusal::{BrokenInvariant, Refused};
pub use repair::{
    NotRepairable, REPAIR_ENTRIES_MAX, RepairBatch, RepairGather, RepairPart, RepairPlan,
    plan_repair,
};
pub use rows::RowChange;
pub use segment::{MaxTimestamp, VirtualSegment};
pub use shard::{
    AppendedBatch, Applied, CommandOutcome, EntryFacts, ObjectKind, ObjectRow, ObjectState,
    PartitionObject, Shard,
};

#[cfg(test)]
mod tests;
