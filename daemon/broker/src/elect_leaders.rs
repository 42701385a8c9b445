//! ElectLeaders (key 43): who should lead a partition is asked to.
//!
//! | asked for | a partition whose preferred replica leads | another one |
//! | --- | --- | --- |
//! | preferred | ELECTION_NOT_NEEDED | PREFERRED_LEADER_NOT_AVAILABLE: shards cannot be handed over yet |
//! | unclean | ELECTION_NOT_NEEDED, as in Kafka while there is a leader | refused: never without `holdfast cluster recover` |
//!
//! Asked for all partitions at once, Kafka names every topic and leaves out the partitions that need
//! nothing; so do we.

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

/// Every topic, with the partitions that an election would change, or cannot.
fn all(view: &View, elect: impl Fn(&str, i32) -> PartitionResult) -> Vec<ReplicaElectionResult> {
    let not_needed = ElectLeadersError::ElectionNotNeeded.code();
    let topics = view.image.topics_by_name.iter().map(|(name, topic)| {
        let count = i32::try_from(topic.partitions.len()).unwrap_or(i32::MAX);
        let partitions = (0..count)
            .map(|index| elect(name, index))
            .filter(|result| result.error_code != not_needed);
        write(TopicName(StrBytes::from(name.clone())), partitions.collect())
    });
    topics.collect()
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
    use crate::double::{Bench, ORDERS, bench, published, topic};
    use holdfast_base::{NodeId, ReplicaId, ShardId, Term};
    use holdfast_lane::{Leader, Leaders};
    use holdfast_metadata::ShardPlacement;
    use kafka_protocol::messages::elect_leaders_request::TopicPartitions;
    use std::collections::BTreeMap;
    use std::sync::Arc;

    fn ask(election_type: i8, partitions: Option<Vec<i32>>) -> ElectLeadersResponse {
        ask_of(&bench(), election_type, partitions)
    }

    /// `orders` has a second replica on node 2, and its shard this leader.
    fn led_by(leader: Option<u32>) -> Bench {
        let bench = bench();
        // The shard the double has already shown a leader for would keep it.
        let shard = ShardId(2);
        let mut orders = topic("orders", ORDERS, 2);
        orders.partitions.iter_mut().for_each(|partition| partition.shard = shard);
        let mut shown = published(&[orders]);
        let replicas = vec![(ReplicaId(2), NodeId(1)), (ReplicaId(3), NodeId(2))];
        let placement = ShardPlacement { replication_factor: 2, replicas };
        Arc::make_mut(&mut shown.image).shards = Arc::new(BTreeMap::from([(shard, placement)]));
        let leader = leader.map(|node| (shard, Leader { node: NodeId(node), term: Term(7) }));
        shown.leaders = Arc::new(leader.into_iter().collect::<Leaders>());
        bench.broker.publish(&shown);
        bench
    }

    fn ask_of(
        bench: &Bench,
        election_type: i8,
        partitions: Option<Vec<i32>>,
    ) -> ElectLeadersResponse {
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
        let answer = ask(PREFERRED, None);
        assert_eq!(codes(&answer), [] as [i16; 0]);
        let topics = answer.replica_election_results.iter().map(|topic| topic.topic.to_string());
        assert_eq!(topics.collect::<Vec<_>>(), ["compacted", "orders"], "Kafka names them all");
    }

    #[test]
    fn a_leader_that_should_not_lead_is_shown_and_stays() {
        let bench = led_by(Some(2));
        assert_eq!(codes(&ask_of(&bench, PREFERRED, Some(vec![1]))), [80]);
        assert_eq!(codes(&ask_of(&bench, PREFERRED, None)), [80, 80]);
        assert_eq!(codes(&ask_of(&led_by(Some(1)), PREFERRED, None)), [] as [i16; 0]);
    }

    #[test]
    fn who_may_have_lost_records_is_never_elected_and_the_way_out_is_named() {
        let answer = ask_of(&led_by(None), UNCLEAN, Some(vec![0]));
        assert_eq!(codes(&answer), [83]);
        let words = answer.replica_election_results[0].partition_result[0].error_message.clone();
        assert!(words.is_some_and(|words| words.contains("holdfast cluster recover")));
    }

    #[test]
    fn an_election_of_another_kind_is_no_request() {
        assert_eq!(ask(2, None).error_code, 42);
    }
}
