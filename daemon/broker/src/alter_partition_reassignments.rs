//! AlterPartitionReassignments (key 45): a partition's replicas on other nodes.
//!
//! Partitions cannot move between shards yet, so the only assignment that can be is the one that is.
//! Nothing is written.

use crate::broker::{Broker, View};
use crate::leadership::whereabouts;
use holdfast_protocol::errors::{AlterPartitionReassignmentsError, ErrorCode};
use kafka_protocol::messages::alter_partition_reassignments_request::{
    AlterPartitionReassignmentsRequest, ReassignablePartition,
};
use kafka_protocol::messages::alter_partition_reassignments_response::{
    AlterPartitionReassignmentsResponse, ReassignablePartitionResponse, ReassignableTopicResponse,
};
use kafka_protocol::protocol::StrBytes;

pub(crate) fn handle(
    broker: &Broker,
    request: &AlterPartitionReassignmentsRequest,
) -> AlterPartitionReassignmentsResponse {
    let view = broker.view();
    let topics = request.topics.iter().map(|topic| {
        let partitions =
            topic.partitions.iter().map(|partition| reassign(&view, &topic.name, partition));
        ReassignableTopicResponse::default()
            .with_name(topic.name.clone())
            .with_partitions(partitions.collect())
    });
    // Without an error there are no words: null, and not the empty string of the generated default.
    AlterPartitionReassignmentsResponse::default()
        .with_error_message(None)
        .with_allow_replication_factor_change(request.allow_replication_factor_change)
        .with_responses(topics.collect())
}

fn reassign(
    view: &View,
    name: &str,
    asked: &ReassignablePartition,
) -> ReassignablePartitionResponse {
    use AlterPartitionReassignmentsError::{
        InvalidReplicaAssignment, NoReassignmentInProgress, UnknownTopicOrPartition,
    };
    let index = asked.partition_index;
    let found = view.image.topic(name).and_then(|topic| whereabouts(view, topic, index));
    let refusal = match (found, &asked.replicas) {
        (None, _) => Some((UnknownTopicOrPartition, "the topic has no such partition")),
        (Some(_), None) => Some((NoReassignmentInProgress, "no reassignment is in progress")),
        (Some(found), Some(replicas)) if *replicas == found.replicas => None,
        (Some(_), Some(_)) => Some((
            InvalidReplicaAssignment,
            "partitions cannot be moved to other nodes yet: the assignment can only be the one \
             that Metadata shows",
        )),
    };
    let response = ReassignablePartitionResponse::default().with_partition_index(index);
    match refusal {
        None => response.with_error_message(None),
        Some((error, message)) => response
            .with_error_code(error.code())
            .with_error_message(Some(StrBytes::from_static_str(message))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::double::bench;
    use kafka_protocol::messages::TopicName;
    use kafka_protocol::messages::alter_partition_reassignments_request::ReassignableTopic;

    #[test]
    fn the_assignment_that_is_already_there_is_the_only_one_taken() {
        let bench = bench();
        let partition = |index, replicas: Option<Vec<i32>>| {
            let replicas = replicas.map(|ids| ids.into_iter().map(Into::into).collect());
            ReassignablePartition::default().with_partition_index(index).with_replicas(replicas)
        };
        let topic = ReassignableTopic::default()
            .with_name(TopicName(StrBytes::from_static_str("orders")))
            .with_partitions(vec![
                partition(0, Some(vec![1])),
                partition(0, Some(vec![2])),
                partition(0, Some(vec![])),
                partition(1, None),
                partition(9, Some(vec![1])),
            ]);
        let request = AlterPartitionReassignmentsRequest::default().with_topics(vec![topic]);
        let answer = handle(&bench.broker, &request);
        let codes: Vec<i16> =
            answer.responses[0].partitions.iter().map(|one| one.error_code).collect();
        assert_eq!(codes, [0, 39, 39, 85, 3]);
        assert_eq!((answer.error_code, &answer.error_message), (0, &None));
        assert!(bench.lane.take_seen().is_empty(), "nothing is changed");
    }
}
