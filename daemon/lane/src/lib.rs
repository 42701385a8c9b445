//! A lane: the loop turn that owns a set of shards outright and the WAL they share. Decide,
//! propose, write, apply and answer happen here, in one thread, without locks, clocks or sockets:
//! the daemon drives it from a thread, the simulation from a seed.

mod batch_index;
mod calls;
mod config;
mod lane;
mod machines;
mod published;
mod request;
mod state_work;
mod store_work;
mod topic_config;
mod upload_queue;

pub use config::{
    Founding, HOUSEKEEPING_NS, LaneConfig, PlantedBugs, PlantedHistoryBugs, StoreConfig,
    TAIL_CACHE_BYTES_DEFAULT, TAIL_CACHE_BYTES_DEV,
};
pub use holdfast_coordinator::{
    Description, GroupAnswer, GroupCall, GroupError, GroupState, Heartbeat, Join, Joined,
    JoinedMember, Leave, LeavingMember, Listed, MemberDescription, Sync, Synced,
};
pub use holdfast_log::{
    EpochEnd, Manifest, NewOffset, ObjectId, ObjectIdentity, OffsetRow, RowChange,
};
pub use holdfast_metadata::{ConfigResource, NodeFacts};
pub use lane::{Lane, LaneStatus, Probes, ScrubNumbers};
pub use published::{Leader, Leaders, Published};
pub use request::{
    AdminReason, AdminRefusal, AlterResource, AlteredResource, Answer, Appended, CommitOffsets,
    ConfigChange, ConfigOperation, CreateTopic, CreatedTopic, DeleteRecordsPartition, DeleteTopic,
    EpochEndPartition, FetchOffsets, FetchPartition, FetchRequest, FetchedPartition, FoundOffset,
    GrowTopic, LeaderHint, ListOffsetsPartition, LogDir, ObjectPlace, OffsetAnswer, OffsetQuery,
    Origin, Outcome, ProducePartition, Quorum, Reason, RecordSlice, Refusal, Request, Ticket,
};
pub use state_work::{KeptChanges, KeptStates, LocalState, StateKept, StateWork};
pub use store_work::{
    Finding, MergeJob, StateCheckpoint, StoreWork, Stored, UploadBatch, UploadEntry, UploadJob,
};
pub use upload_queue::{OBJECT_BATCHES_MAX, OBJECT_ENTRIES_MAX, OBJECT_PARTITIONS_MAX};
