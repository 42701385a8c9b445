//! DescribeTopicPartitions (key 75): topics a page at a time, for clusters with more partitions than
//! one Metadata answer should hold.
//!
//! ```text
//! names, ascending:   a      b               c
//! partitions:         0 1 2  0 1 2 3 4 5 6   0 1
//!                     ▲ cursor (topic, partition) = the first one of the next page
//! ```

use crate::broker::{Broker, View};
use crate::leadership::{Whereabouts, whereabouts, wire_node};
use holdfast_metadata::{Topic, is_topic_name};
use holdfast_protocol::errors::{DescribeTopicPartitionsError, ErrorCode};
use kafka_protocol::messages::TopicName;
use kafka_protocol::messages::describe_topic_partitions_request::DescribeTopicPartitionsRequest;
use kafka_protocol::messages::describe_topic_partitions_response::{
    Cursor, DescribeTopicPartitionsResponse, DescribeTopicPartitionsResponsePartition,
    DescribeTopicPartitionsResponseTopic,
};
use kafka_protocol::protocol::StrBytes;
use std::collections::BTreeSet;

/// Kafka's `max.request.partition.size.limit`: no page is longer, whatever is asked.
const PARTITIONS_PER_PAGE_MAX: usize = 2_000;
/// `authorized operations` when nobody asked for them.
const NOT_ASKED: i32 = i32::MIN;

pub(crate) fn handle(
    broker: &Broker,
    request: &DescribeTopicPartitionsRequest,
) -> DescribeTopicPartitionsResponse {
    let view = broker.view();
    let (first_name, mut first_partition) = match &request.cursor {
        Some(cursor) => (cursor.topic_name.0.to_string(), cursor.partition_index.max(0)),
        None => (String::new(), 0),
    };
    let names: BTreeSet<&str> = if request.topics.is_empty() {
        view.image.topics_by_name.keys().map(String::as_str).collect()
    } else {
        request.topics.iter().map(|topic| &*topic.name.0).collect()
    };
    let mut left = usize::try_from(request.response_partition_limit)
        .unwrap_or(0)
        .clamp(1, PARTITIONS_PER_PAGE_MAX);
    let mut response = DescribeTopicPartitionsResponse::default();
    for name in names.range(first_name.as_str()..) {
        let start = if *name == first_name { first_partition } else { 0 };
        first_partition = 0;
        if left == 0 {
            response.next_cursor = Some(cursor(name, start));
            break;
        }
        let Some(topic) = view.image.topic(name) else {
            response.topics.push(unknown(name));
            continue;
        };
        let count = i32::try_from(topic.partitions.len()).unwrap_or(i32::MAX);
        let end = start.saturating_add(i32::try_from(left).unwrap_or(i32::MAX)).min(count);
        let page = (start..end).map(|partition| write(&view, topic, partition)).collect::<Vec<_>>();
        left -= page.len();
        response.topics.push(
            DescribeTopicPartitionsResponseTopic::default()
                .with_name(Some(TopicName(StrBytes::from((*name).to_owned()))))
                .with_topic_id(uuid::Uuid::from_bytes(topic.id.0))
                .with_partitions(page)
                .with_topic_authorized_operations(NOT_ASKED),
        );
        if end < count {
            response.next_cursor = Some(cursor(name, end));
            break;
        }
    }
    response
}

fn cursor(name: &str, partition: i32) -> Cursor {
    Cursor::default()
        .with_topic_name(TopicName(StrBytes::from(name.to_owned())))
        .with_partition_index(partition)
}

fn unknown(name: &str) -> DescribeTopicPartitionsResponseTopic {
    let error = if is_topic_name(name) {
        DescribeTopicPartitionsError::UnknownTopicOrPartition
    } else {
        DescribeTopicPartitionsError::InvalidTopicException
    };
    DescribeTopicPartitionsResponseTopic::default()
        .with_error_code(error.code())
        .with_name(Some(TopicName(StrBytes::from(name.to_owned()))))
        .with_topic_authorized_operations(NOT_ASKED)
}

fn write(view: &View, topic: &Topic, partition: i32) -> DescribeTopicPartitionsResponsePartition {
    let response =
        DescribeTopicPartitionsResponsePartition::default().with_partition_index(partition);
    let Some(Whereabouts { leader, replicas }) = whereabouts(view, topic, partition) else {
        return response
            .with_error_code(DescribeTopicPartitionsError::LeaderNotAvailable.code())
            .with_leader_id((-1).into())
            .with_leader_epoch(-1);
    };
    response
        .with_leader_id(wire_node(leader.node).into())
        .with_leader_epoch(leader.epoch)
        .with_isr_nodes(replicas.clone())
        .with_replica_nodes(replicas)
        .with_eligible_leader_replicas(Some(Vec::new()))
        .with_last_known_elr(Some(Vec::new()))
}

#[cfg(test)]
mod tests;
