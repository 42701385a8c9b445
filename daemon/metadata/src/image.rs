//! The image of shard 0 that every node reads: a consistent picture as of one entry, shared by
//! reference. A new one costs a few reference counts; tables are copied only when an entry
//! changes them while somebody still holds the old ones.

use std::collections::BTreeMap;
use std::sync::Arc;

use holdfast_base::{ClusterId, CoordinatorSlot, Index, NodeId, ReplicaId, ShardId, TopicId};

/// What is there, as of entry `applied`.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Image {
    /// The cluster; all zero before genesis.
    pub cluster: ClusterId,
    /// Every node of the cluster, alive or not.
    pub nodes: Arc<BTreeMap<NodeId, Node>>,
    /// Every shard, shard 0 included.
    pub shards: Arc<BTreeMap<ShardId, ShardPlacement>>,
    /// Topics by name. Same topics as `topics_by_id`.
    pub topics_by_name: Arc<BTreeMap<String, Arc<Topic>>>,
    /// Topics by id.
    pub topics_by_id: Arc<BTreeMap<TopicId, Arc<Topic>>>,
    /// Where each coordinator slot lives, by slot number. Empty before genesis, then
    /// `CoordinatorSlot::COUNT` rows (none in a cluster founded without data shards).
    pub coordinator_slots: Arc<Vec<Placement>>,
    /// Dynamic configuration of everything but topics (theirs is in [`Topic::configs`]): only what
    /// was set. A resource without settings has no row.
    pub configs: Arc<BTreeMap<ConfigResource, BTreeMap<String, String>>>,
    /// The last entry applied.
    pub applied: Index,
    /// Its time, ms since 1970. Not a bound on how old the image is: that takes a clock.
    pub as_of_ms: i64,
}

impl Image {
    /// Whether the first entry of the cluster has been applied.
    #[must_use]
    pub fn is_founded(&self) -> bool {
        self.cluster != ClusterId::default()
    }

    /// The topic of that name.
    #[must_use]
    pub fn topic(&self, name: &str) -> Option<&Arc<Topic>> {
        self.topics_by_name.get(name)
    }

    /// The topic of that id.
    #[must_use]
    pub fn topic_by_id(&self, id: TopicId) -> Option<&Arc<Topic>> {
        self.topics_by_id.get(&id)
    }

    /// The shard that holds the coordinator of a group.
    #[must_use]
    pub fn shard_of_slot(&self, slot: CoordinatorSlot) -> Option<(ShardId, &ShardPlacement)> {
        let placement = self.coordinator_slots.get(usize::from(slot.0))?;
        Some((placement.shard, self.shards.get(&placement.shard)?))
    }

    /// The shard that holds a partition, and its placement.
    #[must_use]
    pub fn shard_of(&self, topic: &Topic, partition: i32) -> Option<(ShardId, &ShardPlacement)> {
        let placement = topic.partitions.get(usize::try_from(partition).ok()?)?;
        Some((placement.shard, self.shards.get(&placement.shard)?))
    }
}

/// What dynamic configuration can be about, beside topics.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum ConfigResource {
    /// Every node that has no value of its own (Kafka's broker with an empty name).
    EveryBroker,
    /// One node.
    Broker(NodeId),
    /// A consumer group, by id.
    Group(String),
}

/// A node and where clients find it.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Node {
    /// One per named listener, in the node's order.
    pub listeners: Vec<Listener>,
}

/// What a node tells clients of one listener.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Listener {
    /// Its name; a client is answered with the listener it came through.
    pub name: String,
    /// Host as advertised: never empty, never 0.0.0.0.
    pub host: String,
    /// Port as advertised.
    pub port: u16,
}

/// Where a shard's replicas live.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ShardPlacement {
    /// How many replicas it shall have. Equals `replicas.len()` except while that is changed.
    pub replication_factor: u16,
    /// In preferred order: the first one should lead. Replica ids are never 0, never reused.
    pub replicas: Vec<(ReplicaId, NodeId)>,
}

impl ShardPlacement {
    /// The nodes in preferred order, as Metadata shows replicas.
    pub fn nodes(&self) -> impl Iterator<Item = NodeId> {
        self.replicas.iter().map(|(_, node)| *node)
    }

    /// The replica on that node.
    #[must_use]
    pub fn replica_on(&self, node: NodeId) -> Option<ReplicaId> {
        self.replicas.iter().find(|(_, at)| *at == node).map(|(replica, _)| *replica)
    }
}

/// A topic.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Topic {
    /// For ever; a name may come back, an id never.
    pub id: TopicId,
    /// Checked by `name`.
    pub name: String,
    /// Of the shards its partitions were placed on.
    pub replication_factor: u16,
    /// What differs from the defaults, valid when it was set.
    pub configs: BTreeMap<String, String>,
    /// Partition n is the n-th; never empty.
    pub partitions: Vec<Placement>,
    /// Time of the entry that made it.
    pub created_at_ms: i64,
}

/// Where a partition lives.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Placement {
    /// The shard that leads it. Never shard 0.
    pub shard: ShardId,
    /// Grows by one with every move; names the steps of a move. 0 at creation.
    pub generation: u32,
}

/// The first entry: what a cluster is founded with.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Genesis {
    /// Drawn once, never all zero.
    pub cluster: ClusterId,
    /// The founding nodes.
    pub nodes: BTreeMap<NodeId, Node>,
    /// Shard 0 and the data shards.
    pub shards: BTreeMap<ShardId, ShardPlacement>,
}
