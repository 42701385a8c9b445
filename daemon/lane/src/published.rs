//! What every thread of the node may read without asking the lane.

use std::collections::BTreeMap;
use std::sync::Arc;

use holdfast_base::{NodeId, ShardId, Term};
use holdfast_metadata::Image;

/// Who leads a shard: soft state, the highest term wins, never an entry.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Leader {
    /// The node.
    pub node: NodeId,
    /// Its term.
    pub term: Term,
}

/// The last known leader of every shard. A shard without one keeps its old row: answering "no
/// leader" during an election confuses clients more than a corrected old answer.
pub type Leaders = BTreeMap<ShardId, Leader>;

/// A consistent pair, replaced whole at every change.
#[derive(Clone, Debug)]
pub struct Published {
    /// Shard 0 as applied on this node.
    pub image: Arc<Image>,
    /// Leadership as known on this node.
    pub leaders: Arc<Leaders>,
}
