//! Ids, positions, time and randomness: the words every room shares.
//!
//! A type lives here only when three rooms need it and none of them owns it. Nothing here
//! reads a clock, a file or a socket; [`Clock`] and [`Rng`] are the doors through which the
//! outside enters, so that a cluster can run from a seed (`tests/sim`).

mod ids;
mod position;
mod time;

pub use ids::{
    BootCount, ClusterId, CoordinatorSlot, LaneId, NodeId, PartitionKey, ReplicaId, ShardId,
    TopicId, format_uuid, parse_uuid,
};
pub use position::{Index, Term};
pub use time::{Clock, Now, Rng, SplitMix64};
