//! DescribeQuorum: shard 0 under the name Kafka's tools ask for.

use super::*;
use crate::double::bench;
use holdfast_base::{ShardId, Term};
use holdfast_lane::{Outcome, Reason, Refusal};
use kafka_protocol::messages::TopicName;
use kafka_protocol::messages::describe_quorum_request::{
    PartitionData as AskedPartition, TopicData as AskedTopic,
};

fn ask(topic: &'static str) -> DescribeQuorumRequest {
    let topic = AskedTopic::default()
        .with_topic_name(TopicName(StrBytes::from_static_str(topic)))
        .with_partitions(vec![AskedPartition::default()]);
    DescribeQuorumRequest::default().with_topics(vec![topic])
}

fn quorum() -> Quorum {
    Quorum { leader: NodeId(1), term: Term(4), committed: 90, voters: vec![(NodeId(1), 91)] }
}

#[tokio::test]
async fn the_metadata_quorum_is_shard_zero() {
    for version in 0..=2 {
        let bench = bench();
        bench.lane.answer(Answer::DescribeQuorum(Ok(quorum())));
        let answer = handle(Arc::clone(&bench.broker), ask(METADATA_TOPIC), version).await;
        let shown = &answer.topics[0].partitions[0];
        assert_eq!((shown.error_code, shown.leader_id.0, shown.leader_epoch), (0, 1, 4));
        assert_eq!((shown.high_watermark, shown.current_voters[0].log_end_offset), (90, 91));
        assert_eq!(answer.nodes.len(), usize::from(version >= FIRST_VERSION_WITH_NODES));
    }
}

#[tokio::test]
async fn another_topic_or_another_leader_is_said_so() {
    let bench = bench();
    bench.lane.answer(Answer::DescribeQuorum(Ok(quorum())));
    let answer = handle(Arc::clone(&bench.broker), ask("orders"), 2).await;
    assert_eq!(answer.topics[0].partitions[0].error_code, 3);
    let refusal = Refusal {
        reason: Reason::NotLeader,
        outcome: Outcome::DidNot,
        leader: Some(holdfast_lane::LeaderHint {
            node: NodeId(2),
            shard: ShardId::METADATA,
            term: Term(9),
            leader_epoch: 9,
        }),
    };
    bench.lane.answer(Answer::DescribeQuorum(Err(refusal)));
    let answer = handle(Arc::clone(&bench.broker), ask(METADATA_TOPIC), 2).await;
    assert_eq!(answer.topics[0].partitions[0].error_code, 6);
}
