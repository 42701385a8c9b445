//! ElectLeaders (key 43): who should lead a partition is asked to.
//!
//! | asked for | a partition whose preferred replica leads | another one |
//! | --- | --- | --- |
//! | preferred | ELECTION_NOT_NEEDED | PREFERRED_LEADER_NOT_AVAILABLE: shards cannot be handed over yet |
//! | unclean | ELECTION_NOT_NEEDED, as in Kafka while there is a leader | refused: never without `holdfast cluster recover` |
//!
//! Asked for all partitions at once, Kafka leaves out those that need nothing; so do we.

use crate::broker::{Broker, View};
use crate::leadership::{Whereabouts, whereabouts, wire_node};
use holdfast_protocol::errors::{ElectLeadersError, ErrorCode};
use kafka_protocol::messages::TopicName;
use kafka_protocol::messages::elect_leaders_request::ElectLeadersRequest;
use kafka_protocol::messages::elect_leaders_response::{
    ElectLeadersResponse, PartitionResult, ReplicaElectionResult,
};
use kafka_protocol::protocol::StrBytes;

const PREFERRED: i8 = 0;
const UNCLEAN: i8 = 1;
const FIRST_VERSION_WITH_AN_ERROR: i16 = 1;

pub(crate) fn handle(
    broker: &Broker,
    request: &ElectLeadersRequest,
    version: i16,
) -> ElectLeadersResponse {
    let response = ElectLeadersResponse::default();
    if !matches!(request.election_type, PREFERRED | UNCLEAN) {
        return if version >= FIRST_VERSION_WITH_AN_ERROR {
            response.with_error_code(ElectLeadersError::InvalidRequest.code())
        } else {
            response
        };
    }
    let view = broker.view();
    let elect = |name: &str, partition| elect(&view, name, partition, request.election_type);
    let results = match &request.topic_partitions {
        Some(topics) => topics
            .iter()
            .map(|topic| {
                let results = topic.partitions.iter().map(|index| elect(&topic.topic, *index));
                write(topic.topic.clone(), results.collect())
            })
            .collect(),
        None => all(&view, elect),
    };
    response.with_replica_election_results(results)
}

/// Every partition that an election would change, or cannot.
fn all(view: &View, elect: impl Fn(&str, i32) -> PartitionResult) -> Vec<ReplicaElectionResult> {
    let not_needed = ElectLeadersError::ElectionNotNeeded.code();
    let mut results = Vec::new();
    for (name, topic) in view
        .image
        .topics_by_name
        .keys()
        .filter_map(|name| view.image.topic(name).map(|topic| (name, topic)))
    {
        let count = i32::try_from(topic.partitions.len()).unwrap_or(i32::MAX);
        let partitions: Vec<PartitionResult> = (0..count)
            .map(|index| elect(name, index))
            .filter(|result| result.error_code != not_needed)
            .collect();
        if !partitions.is_empty() {
            results.push(write(TopicName(StrBytes::from(name.clone())), partitions));
        }
    }
    results
}

fn elect(view: &View, name: &str, partition: i32, election: i8) -> PartitionResult {
    use ElectLeadersError::{
        ElectionNotNeeded, EligibleLeadersNotAvailable, PreferredLeaderNotAvailable,
        UnknownTopicOrPartition,
    };
    let topic = view.image.topic(name);
    let whereabouts = topic.and_then(|topic| whereabouts(view, topic, partition));
    let (error, message) = match whereabouts {
        None => (UnknownTopicOrPartition, "the topic has no such partition"),
        Some(found) if election == PREFERRED && !prefers(&found) => (
            PreferredLeaderNotAvailable,
            "leadership of a shard cannot be handed over yet; it stays where it is",
        ),
        Some(found) if election == UNCLEAN && found.leader.epoch < 0 => (
            EligibleLeadersNotAvailable,
            "no leader is known, and one that may have lost records is never elected by itself: \
             see holdfast cluster recover",
        ),
        Some(_) => (ElectionNotNeeded, "the partition has the leader it should have"),
    };
    PartitionResult::default()
        .with_partition_id(partition)
        .with_error_code(error.code())
        .with_error_message(Some(StrBytes::from_static_str(message)))
}

fn prefers(found: &Whereabouts) -> bool {
    found.replicas.first().is_some_and(|first| first.0 == wire_node(found.leader.node))
}

fn write(topic: TopicName, partitions: Vec<PartitionResult>) -> ReplicaElectionResult {
    ReplicaElectionResult::default().with_topic(topic).with_partition_result(partitions)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::double::bench;
    use kafka_protocol::messages::elect_leaders_request::TopicPartitions;

    fn ask(election_type: i8, partitions: Option<Vec<i32>>) -> ElectLeadersResponse {
        let bench = bench();
        let topics = partitions.map(|partitions| {
            let name = TopicName(StrBytes::from_static_str("orders"));
            vec![TopicPartitions::default().with_topic(name).with_partitions(partitions)]
        });
        let request = ElectLeadersRequest::default()
            .with_election_type(election_type)
            .with_topic_partitions(topics);
        let answer = handle(&bench.broker, &request, 2);
        assert!(bench.lane.take_seen().is_empty(), "nothing is changed");
        answer
    }

    fn codes(answer: &ElectLeadersResponse) -> Vec<i16> {
        let topics = answer.replica_election_results.iter();
        topics.flat_map(|topic| &topic.partition_result).map(|one| one.error_code).collect()
    }

    #[test]
    fn the_leader_that_should_lead_needs_no_election() {
        assert_eq!(codes(&ask(PREFERRED, Some(vec![0, 1, 9]))), [84, 84, 3]);
        assert_eq!(codes(&ask(UNCLEAN, Some(vec![0]))), [84]);
    }

    #[test]
    fn asked_for_all_partitions_those_that_need_nothing_are_left_out() {
        assert_eq!(codes(&ask(PREFERRED, None)), [] as [i16; 0]);
    }

    #[test]
    fn an_election_of_another_kind_is_no_request() {
        assert_eq!(ask(2, None).error_code, 42);
    }
}
