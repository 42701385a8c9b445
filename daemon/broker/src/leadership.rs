//! Who leads which shard, as Metadata shows it.
//!
//! A shard without a leader for a moment is shown with the last one known: librdkafka may never
//! recover from a leader of -1 seen in the middle of an election (librdkafka#5430), and a client
//! that asks the wrong node is told so by that node.

use crate::broker::View;
use holdfast_base::{NodeId, PartitionKey, Term};
use holdfast_lane::{Leaders, Refusal};
use holdfast_metadata::{Image, Topic};
use kafka_protocol::messages::BrokerId;

/// Adds what is newer. A shard that `newer` does not name keeps its last leader; terms of a row
/// never decrease.
pub(crate) fn merge(known: &mut Leaders, newer: &Leaders) {
    for (shard, leader) in newer {
        let row = known.entry(*shard).or_insert(*leader);
        if leader.term >= row.term {
            *row = *leader;
        }
    }
}

/// A partition's leader and its epoch for the wire.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct PartitionLeader {
    pub(crate) node: NodeId,
    /// `epoch_base + term`; -1 unknown. The base is 0 until partitions can move.
    pub(crate) epoch: i32,
}

/// The leader of a partition as far as known: before the first election is heard of, the replica
/// that should lead, without an epoch. `None` if the partition does not exist.
pub(crate) fn leader_of(
    image: &Image,
    leaders: &Leaders,
    topic: &Topic,
    partition: i32,
) -> Option<PartitionLeader> {
    let (shard, placement) = image.shard_of(topic, partition)?;
    match leaders.get(&shard) {
        Some(leader) => Some(PartitionLeader { node: leader.node, epoch: epoch_of(leader.term) }),
        None => placement.nodes().next().map(|node| PartitionLeader { node, epoch: -1 }),
    }
}

/// Where a partition is, for the wire.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Whereabouts {
    pub(crate) leader: PartitionLeader,
    /// In preferred order.
    pub(crate) replicas: Vec<BrokerId>,
}

/// Leader and replicas; `None` for a shard without replicas: its placement is not written yet.
pub(crate) fn whereabouts(view: &View, topic: &Topic, partition: i32) -> Option<Whereabouts> {
    let (_, placement) = view.image.shard_of(topic, partition)?;
    let leader = leader_of(&view.image, &view.leaders, topic, partition)?;
    let replicas = placement.nodes().map(|node| wire_node(node).into()).collect();
    Some(Whereabouts { leader, replicas })
}

/// Where a client that asked the wrong node should go (KIP-951): as the lane that refused it says,
/// else as this node has heard. Never this node on hearsay: its lane has just said no.
pub(crate) fn current_leader(
    this_node: NodeId,
    view: &View,
    refusal: &Refusal,
    partition: PartitionKey,
) -> Option<PartitionLeader> {
    if let Some(hint) = refusal.leader {
        let epoch = hint.leader_epoch.max(epoch_of(hint.term));
        return Some(PartitionLeader { node: hint.node, epoch });
    }
    let topic = view.image.topic_by_id(partition.topic)?;
    let leader = leader_of(&view.image, &view.leaders, topic, partition.partition)?;
    (leader.epoch >= 0 && leader.node != this_node).then_some(leader)
}

/// Terms grow by one per election, so 2^31 of them are out of reach.
pub(crate) fn epoch_of(term: Term) -> i32 {
    i32::try_from(term.0).unwrap_or(i32::MAX)
}

/// Node ids on the wire are signed.
pub(crate) fn wire_node(node: NodeId) -> i32 {
    i32::try_from(node.0).unwrap_or(i32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use holdfast_base::ShardId;
    use holdfast_lane::Leader;

    #[test]
    fn a_leader_is_never_forgotten_and_never_goes_back() {
        let row = |node, term| Leader { node: NodeId(node), term: Term(term) };
        let mut known = Leaders::from([(ShardId(1), row(1, 5)), (ShardId(2), row(1, 5))]);
        merge(&mut known, &Leaders::from([(ShardId(2), row(3, 4)), (ShardId(3), row(2, 1))]));
        assert_eq!(known[&ShardId(1)], row(1, 5), "not named");
        assert_eq!(known[&ShardId(2)], row(1, 5), "older");
        assert_eq!(known[&ShardId(3)], row(2, 1), "new");
        merge(&mut known, &Leaders::from([(ShardId(1), row(2, 6))]));
        assert_eq!(known[&ShardId(1)], row(2, 6), "newer");
    }
}
