//! Kafka's requests, answered: one file per API, in one table sorted by API key.
//!
//! ```text
//! connection ─ frame ─▶ Broker::start ─▶ table ─▶ produce · fetch · …  ─ Request ─▶ lane
//!     ▲                                              │   ▲
//!     └──────── Reply (pieces for writev) ◀── future ┘   └── Answer ──────────────────┘
//! ```
//!
//! Idea: everything that must keep the order of arrival happens inside [`Broker::start`], which
//! does not wait: decoding, checking, and handing the call to the lane. The future it returns only
//! waits for the answer and writes it down, so a connection may start the next Produce while the
//! former is on its way to the disk, and effects still happen in the order of the requests.
//!
//! This room knows no sockets and no files: a [`Context`] says who asks, [`LaneClient`] and
//! [`ColdReader`] are doors the daemon holds open. It translates between Kafka's versions and the
//! lane's words; what a topic *is* is decided in the lane.
//!
//! Invariant: an API is advertised exactly when it has a row in [`table`].

mod administration;
mod answer;
mod answer_room;
mod broker;
mod cold;
mod context;
mod lane_client;
mod leadership;
mod settings;
mod table;

mod acls;
mod alter_configs;
mod alter_partition_reassignments;
mod alter_replica_log_dirs;
mod api_versions;
mod create_partitions;
mod create_topics;
mod delete_groups;
mod delete_records;
mod delete_topics;
mod describe_cluster;
mod describe_configs;
mod describe_groups;
mod describe_log_dirs;
mod describe_quorum;
mod describe_topic_partitions;
mod elect_leaders;
mod fetch;
mod fetch_session;
mod find_coordinator;
mod group;
mod heartbeat;
mod init_producer_id;
mod join_group;
mod leave_group;
mod list_config_resources;
mod list_groups;
mod list_offsets;
mod list_partition_reassignments;
mod metadata;
mod offset_commit;
mod offset_delete;
mod offset_fetch;
mod offset_for_leader_epoch;
mod produce;
mod sasl_handshake;
mod sync_group;

#[cfg(test)]
mod double;

pub use answer::{Reply, ReplyFuture};
pub use answer_room::{AnswerRoom, Held};
pub use broker::{Broker, BrokerParts};
pub use cold::{
    ColdError, ColdPlace, ColdRead, ColdReader, Freshness, NoObjects, ObjectAnswer, ObjectRead,
    ObjectReader, ObjectWant,
};
pub use context::{Context, Endpoint};
pub use lane_client::{LaneClient, PendingAnswer};
pub use settings::Settings;
pub use table::{Order, order_of};
