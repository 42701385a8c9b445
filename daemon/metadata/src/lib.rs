//! Shard 0: which topics, nodes and shards there are, and who changed that.
//!
//! ```text
//! decide (leader, speculative)          every replica alike
//! propose_*  ──▶ CommandBuilder ──▶ entry ──▶ Metadata::apply ──▶ Image  (what every node reads)
//!    │                                          │           └──▶ outcomes (answers)
//!    └─ Decider: decided, not applied           └──▶ AuditLog: the same entry is the audit record
//! ```
//!
//! Everything here is a pure function of the log: no clock (time is the entry's), no randomness
//! (ids are drawn by the caller), no I/O, ordered maps only. The consensus driver owns the entry
//! head; an entry whose deciding term differs from its Raft term must never reach
//! [`Metadata::apply`] with commands in it.
//!
//! Who leads a shard is not here: leadership is soft state among nodes, placement is not.

mod alter;
mod audit;
mod codec;
mod command;
mod config;
mod decide;
mod grow;
mod image;
mod name;
mod placement;
mod refusal;
mod snapshot;
mod state;

pub use alter::{
    AlterDecision, AlterPlan, ResourceRef, propose_alter_configs, validate_alter_configs,
};
pub use audit::{
    AUDIT_RECORDS_MAX, AuditBreak, AuditLog, AuditOrigin, AuditOutcome, AuditRecord, Operation,
    verify_audit,
};
pub use codec::Undecodable;
pub use command::{
    COMMANDS_BYTES_MAX, Command, CommandBuilder, ConfigChange, ConfigOperation, ConfigTarget,
    configs_digest,
};
pub use config::{
    BROKER_CONFIGS, BatchSettings, BrokerSettings, ConfigSource, ConfigSynonym, ConfigType,
    Described, Effect, GROUP_CONFIGS, NodeFacts, Setting, TOPIC_CONFIGS, TopicConfig,
    TopicSettings, UpdateMode, ValidValues, broker_config, describe, effective_config,
    effective_group_config, group_config, topic_config,
};
pub use decide::{
    DEFAULT_PARTITIONS, Decider, DeletePlan, NewTopic, PARTITIONS_PER_TOPIC_MAX, PRODUCER_ID_BLOCK,
    ProducerIdBlock, TopicPlan, TopicRef, propose_allocate_producer_ids, propose_create_topic,
    propose_delete_topic, propose_genesis, propose_register_node, validate_create_topic,
};
pub use grow::{GrowPlan, GrowTopic, propose_create_partitions, validate_create_partitions};
pub use image::{ConfigResource, Genesis, Image, Listener, Node, Placement, ShardPlacement, Topic};
pub use name::{RESERVED_TOPIC_NAMES, TOPIC_NAME_BYTES_MAX, is_topic_name};
pub use placement::{SHARDS_PER_REPLICATION_FACTOR, default_replication_factor};
pub use refusal::{Reason, Refusal};
pub use state::{Applied, BrokenInvariant, CommandOutcome, EntryFacts, Metadata};

#[cfg(test)]
mod tests;
