//! Choices of a lane, and the placement a cluster is founded with.

use std::collections::BTreeMap;

use holdfast_base::{ClusterId, NodeId, ReplicaId, ShardId};
use holdfast_metadata::{Genesis, Listener, Node, NodeFacts, ShardPlacement};
use holdfast_wal::{Identity, WalConfig};

/// Payload bytes kept in memory by default.
pub const TAIL_CACHE_BYTES_DEFAULT: u64 = 256 << 20;
/// The same under `--dev`.
pub const TAIL_CACHE_BYTES_DEV: u64 = 64 << 20;
/// Retention and producer expiry are looked at this often; an idle topic with a short
/// `retention.ms` becomes empty within this time.
pub const HOUSEKEEPING_NS: u64 = 5_000_000_000;

/// Choices of a lane.
#[derive(Clone, Debug)]
pub struct LaneConfig {
    /// This node.
    pub node: NodeId,
    /// Its WAL.
    pub wal: WalConfig,
    /// The cluster's first placement; must be the same at every start.
    pub founding: Founding,
    /// What this node advertises.
    pub listeners: Vec<Listener>,
    /// Payload bytes kept in memory.
    pub tail_cache_bytes: u64,
    /// What the node's own configuration says, under Kafka's names: holds where nothing was set
    /// while nodes run.
    pub facts: NodeFacts,
    /// How history goes to the object store; `None`: there is none, and the log is all there is.
    pub store: Option<StoreConfig>,
    /// Spreads elections and draws topic ids. Must be unpredictable outside simulation.
    pub seed: u64,
    /// Bugs put in on purpose, to test the tests.
    pub planted: PlantedBugs,
}

/// When things go to the object store.
#[derive(Clone, Copy, Debug)]
pub struct StoreConfig {
    /// An object is cut at this many bytes of batches.
    pub object_bytes: u64,
    /// Or when its oldest entry has waited this long, on boottime.
    pub object_age_ns: u64,
    /// The state of each shard that moved is kept this often, on boottime.
    pub checkpoint_every_ns: u64,
    /// An object nobody may begin to read is deleted this long after, on boottime: longer than the
    /// longest read.
    pub delete_after_ns: u64,
    /// An object that was given up is deleted at once, and again this long after, on boottime: longer
    /// than a PUT that nobody waits for may still be on its way to the store.
    pub delete_again_after_ns: u64,
    /// Bytes of what was deleted are nowhere after this: an object that holds them is emptied in half of
    /// it, what is left being for the merge and for `delete_after_ns`; and the log is erased from half
    /// of it on.
    pub deletion_delay_ms: i64,
    /// Whether small rows of objects are merged, and how often it is looked for them, on boottime.
    pub merge_every_ns: u64,
    /// Every object is read whole once in this time, on boottime; `u64::MAX` never.
    pub scrub_every_ns: u64,
}

impl StoreConfig {
    /// One voter: what is only in its log is on one device, so it goes within a minute.
    pub const SOLE_VOTER: StoreConfig = StoreConfig {
        object_bytes: 64 << 20,
        object_age_ns: 60_000_000_000,
        checkpoint_every_ns: 30_000_000_000,
        delete_after_ns: 60_000_000_000,
        delete_again_after_ns: 24 * 3_600_000_000_000,
        deletion_delay_ms: 3_600_000,
        merge_every_ns: 30_000_000_000,
        scrub_every_ns: 7 * 24 * 3_600_000_000_000,
    };
    /// To be looked at: what is produced can be seen in the store at once.
    pub const DEV: StoreConfig = StoreConfig {
        object_age_ns: 5_000_000_000,
        checkpoint_every_ns: 5_000_000_000,
        delete_after_ns: 10_000_000_000,
        delete_again_after_ns: 600_000_000_000,
        deletion_delay_ms: 60_000,
        merge_every_ns: 5_000_000_000,
        ..StoreConfig::SOLE_VOTER
    };
}

impl StoreConfig {
    /// The shortest `deletion_delay_ms`: half of it has room for a state to be kept and for readers to
    /// leave.
    #[must_use]
    pub const fn deletion_delay_ms_min(&self) -> i64 {
        2 * ((self.delete_after_ns + 2 * self.checkpoint_every_ns) / 1_000_000) as i64
    }

    /// How long after a deletion the log begins to be erased.
    pub(crate) fn erase_after_ns(&self) -> u64 {
        u64::try_from(self.deletion_delay_ms).unwrap_or(0).saturating_mul(1_000_000) / 2
    }
}

const _: () = {
    let (sole, dev) = (StoreConfig::SOLE_VOTER, StoreConfig::DEV);
    assert!(sole.deletion_delay_ms_min() <= sole.deletion_delay_ms);
    assert!(dev.deletion_delay_ms_min() <= dev.deletion_delay_ms);
};

impl LaneConfig {
    /// Commands and payload of one entry. An eighth of what the WAL takes is left for the locators
    /// of its batches, which the WAL writes beside it.
    #[must_use]
    pub fn entry_bytes_max(&self) -> u64 {
        self.wal.entry_bytes_max() / 8 * 7
    }
}

/// Bugs that can be switched on at run time; the WAL has its own in [`WalConfig`].
#[derive(Clone, Copy, Debug, Default)]
pub struct PlantedBugs {
    /// In consensus.
    pub consensus: holdfast_consensus::PlantedBugs,
    /// In the log core.
    pub log: holdfast_log::PlantedBugs,
    /// On the way to objects and back.
    pub history: PlantedHistoryBugs,
    /// A produce is answered when it is proposed, before a quorum has it.
    pub answer_before_commit: bool,
    /// Pending answers are kept when leadership is lost and given to whatever is applied there.
    pub pending_by_index_only: bool,
}

/// Bugs on the way of records into objects, and of segments back to the log.
#[derive(Clone, Copy, Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "a set of independent switches")]
pub struct PlantedHistoryBugs {
    /// The log lets go of what is in no object.
    pub trimmed_not_uploaded: bool,
    /// The log lets go of what no kept state reflects.
    pub trimmed_not_kept: bool,
    /// A state counts as kept when it was asked for.
    pub kept_when_asked: bool,
    /// The state that a start begins with counts as kept, wherever it lies.
    pub start_state_trusted: bool,
    /// An object is deleted although a state that a start may begin with names it.
    pub deleted_not_kept: bool,
    /// An object is deleted although somebody may be reading it.
    pub deleted_while_read: bool,
    /// The key of an object that was given up is deleted once only.
    pub deleted_once: bool,
    /// The last offset of an object is looked for in the next one.
    pub edge_in_next_object: bool,
    /// What was announced and given up is not cut anew.
    pub announced_not_forgotten: bool,
    /// One upload is given up, and those announced behind it go on; needs the log's bug of the same
    /// name.
    pub given_up_alone: bool,
    /// Places of batches in the log stay when their segments go.
    pub places_outlive_segments: bool,
    /// A start looks at no entry that its state reflects.
    pub nothing_recalled: bool,
}

/// Who holds which replica when a cluster begins: every node holds one of every shard.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Founding {
    /// The cluster.
    pub cluster: ClusterId,
    /// Its first nodes, ascending, each once.
    pub nodes: Vec<NodeId>,
    /// Data shards beside shard 0.
    pub data_shards: u32,
}

impl Founding {
    /// Every shard with its replicas; the preferred leader rotates over the nodes.
    ///
    /// # Panics
    /// Without nodes: a cluster has at least one.
    #[must_use]
    pub fn shards(&self) -> BTreeMap<ShardId, ShardPlacement> {
        assert!(!self.nodes.is_empty(), "a cluster has at least one node");
        let count = self.nodes.len();
        let place = |shard: u32| {
            let replicas = (0..count)
                .map(|turn| (turn + shard as usize) % count)
                .map(|ordinal| (self.replica_id(shard, ordinal), self.nodes[ordinal]))
                .collect();
            let replication_factor =
                u16::try_from(count).expect("a founding cluster has fewer than 65,536 nodes");
            (ShardId(shard), ShardPlacement { replication_factor, replicas })
        };
        (0..=self.data_shards).map(place).collect()
    }

    /// The replicas that live on `node`.
    #[must_use]
    pub fn identities_on(&self, node: NodeId) -> Vec<Identity> {
        let identity = |(shard, placement): (ShardId, ShardPlacement)| {
            let replica = placement.replica_on(node)?;
            let mut voters: Vec<ReplicaId> = placement.replicas.iter().map(|(id, _)| *id).collect();
            voters.sort_unstable();
            Some(Identity { shard, replica, voters, learners: Vec::new() })
        };
        self.shards().into_iter().filter_map(identity).collect()
    }

    /// The node of a founding replica.
    #[must_use]
    pub fn node_of(&self, shard: ShardId, replica: ReplicaId) -> Option<NodeId> {
        let ordinal =
            (0..self.nodes.len()).find(|ordinal| self.replica_id(shard.0, *ordinal) == replica)?;
        self.nodes.get(ordinal).copied()
    }

    /// The first entry of shard 0, as node `own` writes it: it knows its own listeners only, the
    /// others register theirs.
    #[must_use]
    pub fn genesis(&self, own: NodeId, listeners: &[Listener]) -> Genesis {
        let node = |id: &NodeId| {
            let listeners = if *id == own { listeners.to_vec() } else { Vec::new() };
            (*id, Node { listeners })
        };
        Genesis {
            cluster: self.cluster,
            nodes: self.nodes.iter().map(node).collect(),
            shards: self.shards(),
        }
    }

    /// Never 0, never the same for two replicas of the cluster.
    fn replica_id(&self, shard: u32, ordinal: usize) -> ReplicaId {
        ReplicaId(u64::from(shard) * self.nodes.len() as u64 + ordinal as u64 + 1)
    }
}
