//! DescribeQuorum (key 55): shard 0 as Kafka's tools know the metadata quorum.
//!
//! Tools ask for partition 0 of `__cluster_metadata`, a topic that does not exist here; its quorum
//! does: the voters of shard 0, its term as leader epoch, its committed index as high watermark.

use crate::broker::Broker;
use crate::leadership::wire_node;
use holdfast_base::NodeId;
use holdfast_lane::{Answer, Quorum, Request};
use holdfast_metadata::Image;
use holdfast_protocol::errors::{DescribeQuorumPartitionError, ErrorCode};
use kafka_protocol::messages::describe_quorum_request::DescribeQuorumRequest;
use kafka_protocol::messages::describe_quorum_response::{
    DescribeQuorumResponse, Listener, Node, PartitionData, ReplicaState, TopicData,
};
use kafka_protocol::protocol::StrBytes;
use std::sync::Arc;

const METADATA_TOPIC: &str = "__cluster_metadata";
const FIRST_VERSION_WITH_NODES: i16 = 2;

pub(crate) async fn handle(
    broker: Arc<Broker>,
    request: DescribeQuorumRequest,
    version: i16,
) -> DescribeQuorumResponse {
    let quorum = match broker.lane.call(Request::DescribeQuorum).await {
        Some(Answer::DescribeQuorum(quorum)) => quorum.ok(),
        _ => None,
    };
    let topics = request.topics.iter().map(|topic| {
        let partitions = topic.partitions.iter().map(|partition| {
            let index = partition.partition_index;
            if &*topic.topic_name.0 == METADATA_TOPIC && index == 0 {
                write(quorum.as_ref(), version)
            } else {
                failed(index, DescribeQuorumPartitionError::UnknownTopicOrPartition)
            }
        });
        TopicData::default()
            .with_topic_name(topic.topic_name.clone())
            .with_partitions(partitions.collect())
    });
    let response = DescribeQuorumResponse::default().with_topics(topics.collect());
    if version < FIRST_VERSION_WITH_NODES {
        return response;
    }
    let view = broker.view();
    let nodes = quorum.iter().flat_map(|quorum| &quorum.voters);
    response
        .with_error_message(None)
        .with_nodes(nodes.map(|(node, _)| write_node(&view.image, *node)).collect())
}

fn failed(index: i32, error: DescribeQuorumPartitionError) -> PartitionData {
    PartitionData::default()
        .with_partition_index(index)
        .with_error_code(error.code())
        .with_error_message(None)
        .with_leader_id((-1).into())
        .with_leader_epoch(-1)
        .with_high_watermark(-1)
}

fn write(quorum: Option<&Quorum>, version: i16) -> PartitionData {
    // Only the leader knows how far the others are; the client asks again elsewhere.
    let Some(quorum) = quorum else {
        return failed(0, DescribeQuorumPartitionError::NotLeaderOrFollower);
    };
    let index = |index: u64| i64::try_from(index).unwrap_or(i64::MAX);
    let voter = |(node, matched): &(NodeId, u64)| {
        let state = ReplicaState::default()
            .with_replica_id(wire_node(*node).into())
            .with_log_end_offset(index(*matched));
        if version >= 1 {
            state.with_last_fetch_timestamp(-1).with_last_caught_up_timestamp(-1)
        } else {
            state
        }
    };
    PartitionData::default()
        .with_error_message(None)
        .with_leader_id(wire_node(quorum.leader).into())
        .with_leader_epoch(crate::leadership::epoch_of(quorum.term))
        .with_high_watermark(index(quorum.committed))
        .with_current_voters(quorum.voters.iter().map(voter).collect())
}

fn write_node(image: &Image, node: NodeId) -> Node {
    let listeners = image.nodes.get(&node).map(|known| known.listeners.as_slice());
    let write = |listener: &holdfast_metadata::Listener| {
        Listener::default()
            .with_name(StrBytes::from(listener.name.clone()))
            .with_host(StrBytes::from(listener.host.clone()))
            .with_port(listener.port)
    };
    Node::default()
        .with_node_id(wire_node(node).into())
        .with_listeners(listeners.unwrap_or_default().iter().map(write).collect())
}

#[cfg(test)]
mod tests;
