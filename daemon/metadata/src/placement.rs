//! Which shards get a topic's partitions, and which nodes a new cluster's shards.
//!
//! Partitions go to the shards of the wanted replication factor, least loaded first, the lower
//! shard id where two are equal: a function of the state, without chance. Data shards come from a
//! pool of 16 per replication factor, not derived from the number of nodes, so that adding a node
//! moves shards and never splits them.

use std::collections::{BTreeMap, BTreeSet};

use holdfast_base::{ClusterId, CoordinatorSlot, NodeId, ReplicaId, ShardId};

use crate::image::{Genesis, Image, Listener, Node, Placement, ShardPlacement};
use crate::refusal::{Reason, Refusal};

/// Data shards per replication factor in use.
pub const SHARDS_PER_REPLICATION_FACTOR: u32 = 16;

/// `default.replication.factor`: three where there are three nodes.
#[must_use]
pub fn default_replication_factor(nodes: usize) -> u16 {
    nodes.min(3) as u16
}

impl Genesis {
    /// One node alone: all shards with one voter, the same code as any other cluster.
    #[must_use]
    pub fn single_node(cluster: ClusterId, node: NodeId, listeners: Vec<Listener>) -> Self {
        Genesis::spread(cluster, BTreeMap::from([(node, Node { listeners })]), &[1])
    }

    /// Shard 0 on five, three or one of the nodes, and a pool of data shards for each replication
    /// factor (those larger than the number of nodes are left out). First replicas go round, so
    /// that every node leads about as many shards. Replica ids are unique in the cluster.
    #[must_use]
    pub fn spread(
        cluster: ClusterId,
        nodes: BTreeMap<NodeId, Node>,
        replication_factors: &[u16],
    ) -> Self {
        let ids: Vec<NodeId> = nodes.keys().copied().collect();
        let mut last_replica = 0;
        let mut place = |first: usize, factor: usize| {
            let mut replica = || {
                last_replica += 1;
                ReplicaId(last_replica)
            };
            ShardPlacement {
                replication_factor: factor as u16,
                replicas: (0..factor).map(|n| (replica(), ids[(first + n) % ids.len()])).collect(),
            }
        };
        let mut shards = BTreeMap::new();
        if !nodes.is_empty() {
            let voters = [5, 3, 1].into_iter().find(|voters| *voters <= nodes.len()).unwrap_or(1);
            shards.insert(ShardId::METADATA, place(0, voters));
            let factors: BTreeSet<u16> = replication_factors.iter().copied().collect();
            let usable = |factor: &u16| (1..=nodes.len()).contains(&usize::from(*factor));
            for factor in factors.into_iter().filter(usable) {
                for _ in 0..SHARDS_PER_REPLICATION_FACTOR {
                    let number = shards.len();
                    shards.insert(ShardId(number as u32), place(number, usize::from(factor)));
                }
            }
        }
        Genesis { cluster, nodes, shards }
    }

    /// What must hold before it may be proposed or applied.
    pub(crate) fn check(&self) -> Result<(), Refusal> {
        let refuse = |why: String| Err(Refusal::new(Reason::InvalidRequest, why));
        if self.cluster == ClusterId::default() {
            return refuse("the cluster id is all zero; draw a random one".to_owned());
        }
        if !self.shards.contains_key(&ShardId::METADATA) {
            return refuse("there is no shard 0; a cluster cannot be founded without".to_owned());
        }
        let mut replicas_seen = BTreeSet::new();
        for (shard, placement) in &self.shards {
            let nodes: BTreeSet<NodeId> = placement.nodes().collect();
            if placement.replicas.is_empty()
                || placement.replicas.len() != usize::from(placement.replication_factor)
                || nodes.len() != placement.replicas.len()
            {
                return refuse(format!(
                    "shard {shard} wants {} replicas and names {} on {} nodes; name one node each",
                    placement.replication_factor,
                    placement.replicas.len(),
                    nodes.len()
                ));
            }
            if let Some(unknown) = nodes.iter().find(|node| !self.nodes.contains_key(node)) {
                return refuse(format!(
                    "shard {shard} is placed on node {unknown}, which is not among the founding \
                     nodes; add it or place the shard elsewhere"
                ));
            }
            for (replica, _) in &placement.replicas {
                // The last id is kept free, so that "next" always exists.
                if *replica == ReplicaId(0)
                    || *replica == ReplicaId(u64::MAX)
                    || !replicas_seen.insert(*replica)
                {
                    return refuse(format!(
                        "replica id {replica} of shard {shard} is out of range or given twice; ids \
                         are never reused"
                    ));
                }
            }
        }
        if self.shards.contains_key(&ShardId(u32::MAX)) {
            return refuse("shard id 4294967295 leaves no next one; use small ids".to_owned());
        }
        Ok(())
    }
}

/// Coordinator slots of a new cluster: round-robin over the data shards, ascending by id. None
/// where there is no data shard.
pub(crate) fn place_slots(shards: &BTreeMap<ShardId, ShardPlacement>) -> Vec<Placement> {
    let data: Vec<ShardId> =
        shards.keys().copied().filter(|shard| *shard != ShardId::METADATA).collect();
    data.into_iter()
        .cycle()
        .take(usize::from(CoordinatorSlot::COUNT))
        .map(|shard| Placement { shard, generation: 0 })
        .collect()
}

/// Data shards with that replication factor.
fn pool(image: &Image, replication_factor: u16) -> impl Iterator<Item = ShardId> {
    image
        .shards
        .iter()
        .filter(move |(id, shard)| {
            **id != ShardId::METADATA && shard.replication_factor == replication_factor
        })
        .map(|(id, _)| *id)
}

/// Places `partitions` on the least loaded shards of that replication factor.
pub(crate) fn place_partitions(
    image: &Image,
    load: impl Fn(ShardId) -> u64,
    replication_factor: u16,
    partitions: u32,
) -> Result<Vec<Placement>, Refusal> {
    let mut by_load: BTreeSet<(u64, ShardId)> =
        pool(image, replication_factor).map(|shard| (load(shard), shard)).collect();
    let mut placements = Vec::with_capacity(partitions as usize);
    for _ in 0..partitions {
        let Some((load, shard)) = by_load.pop_first() else {
            let factors: BTreeSet<u16> = image
                .shards
                .iter()
                .filter(|(id, _)| **id != ShardId::METADATA)
                .map(|(_, shard)| shard.replication_factor)
                .collect();
            let factors: Vec<String> = factors.iter().map(u16::to_string).collect();
            return Err(Refusal::new(
                Reason::InvalidReplicationFactor,
                format!(
                    "no shards with replication factor {replication_factor} were made when this \
                     cluster was founded; it has them for {}",
                    if factors.is_empty() { "none".to_owned() } else { factors.join(", ") }
                ),
            ));
        };
        by_load.insert((load + 1, shard));
        placements.push(Placement { shard, generation: 0 });
    }
    Ok(placements)
}

/// Places partitions as the client says: partition n, counted from the first new one, on a shard
/// with exactly those nodes. The order of nodes is a preference; a shard with another order is taken where none has that one.
pub(crate) fn place_assigned(
    image: &Image,
    load: impl Fn(ShardId) -> u64,
    assignment: &[(i32, Vec<i32>)],
) -> Result<(u16, Vec<Placement>), Refusal> {
    let refuse = |why: String| Err(Refusal::new(Reason::InvalidReplicaAssignment, why));
    let by_partition: BTreeMap<i32, &Vec<i32>> =
        assignment.iter().map(|(partition, nodes)| (*partition, nodes)).collect();
    if by_partition.len() != assignment.len()
        || !by_partition.keys().copied().eq(0..assignment.len() as i32)
    {
        return refuse(format!(
            "the assignment must name partitions 0 to {} once each",
            assignment.len().saturating_sub(1)
        ));
    }
    let factor = assignment.first().map_or(0, |(_, nodes)| nodes.len());
    let mut added: BTreeMap<ShardId, u64> = BTreeMap::new();
    let mut placements = Vec::with_capacity(assignment.len());
    for (partition, nodes) in by_partition {
        let wanted: Vec<NodeId> =
            nodes.iter().filter_map(|node| u32::try_from(*node).ok().map(NodeId)).collect();
        let set: BTreeSet<NodeId> = wanted.iter().copied().collect();
        if set.is_empty() || set.len() != nodes.len() || nodes.len() != factor {
            return refuse(format!(
                "partition {partition} is assigned to {nodes:?}; name as many nodes for every \
                 partition, at least one, each once"
            ));
        }
        if let Some(unknown) = set.iter().find(|node| !image.nodes.contains_key(node)) {
            let known: Vec<String> = image.nodes.keys().map(NodeId::to_string).collect();
            return refuse(format!(
                "partition {partition} is assigned to node {unknown}, which is not in this \
                 cluster; its nodes are {}",
                known.join(", ")
            ));
        }
        let chosen = image
            .shards
            .iter()
            .filter(|(id, shard)| {
                **id != ShardId::METADATA && shard.nodes().collect::<BTreeSet<_>>() == set
            })
            .min_by_key(|(id, shard)| {
                let other_order = !shard.nodes().eq(wanted.iter().copied());
                (other_order, load(**id) + added.get(*id).copied().unwrap_or(0), **id)
            });
        let Some((shard, _)) = chosen else {
            return refuse(format!(
                "no shard lives on exactly the nodes {nodes:?} of partition {partition}; leave \
                 the assignment out, or name nodes that hold a shard together"
            ));
        };
        *added.entry(*shard).or_default() += 1;
        placements.push(Placement { shard: *shard, generation: 0 });
    }
    // Node ids are distinct and known, so there are at most as many as the image's nodes.
    Ok((factor as u16, placements))
}
