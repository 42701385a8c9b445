//! Metadata: what is shown, what is made on the way, and what never is.

use super::*;
use crate::double::{Bench, ORDERS, bench, published, topic};
use holdfast_base::TopicId;
use holdfast_lane::{AdminRefusal, CreatedTopic, Leaders, Published};
use kafka_protocol::messages::metadata_request::MetadataRequestTopic;

fn named(names: &[&str]) -> MetadataRequest {
    let topic = |name: &&str| {
        MetadataRequestTopic::default()
            .with_name(Some(TopicName(StrBytes::from((*name).to_owned()))))
    };
    MetadataRequest::default().with_topics(Some(names.iter().map(topic).collect()))
}

async fn ask(bench: &Bench, request: MetadataRequest, version: i16) -> MetadataResponse {
    let (broker, context) = (Arc::clone(&bench.broker), Arc::clone(&bench.context));
    handle(broker, context, "tester".to_owned(), request, version).await
}

#[tokio::test]
async fn a_topic_shows_its_leader_its_epoch_and_this_listeners_address() {
    let bench = bench();
    let answer = ask(&bench, named(&["orders"]), 12).await;
    let broker = &answer.brokers[0];
    assert_eq!((broker.node_id.0, &*broker.host, broker.port), (1, "kafka.example", 9092));
    assert_eq!(answer.controller_id.0, 1);
    assert_eq!(answer.cluster_id.as_deref(), Some("CQkJCQkJCQkJCQkJCQkJCQ"));
    let topic = &answer.topics[0];
    assert_eq!((topic.error_code, topic.topic_id.as_bytes()), (0, &ORDERS.0));
    let partition = &topic.partitions[1];
    assert_eq!((partition.partition_index, partition.leader_id.0), (1, 1));
    assert_eq!(partition.leader_epoch, 7);
    assert_eq!(partition.isr_nodes, partition.replica_nodes);
    assert_eq!(topic.topic_authorized_operations, i32::MIN);
}

#[tokio::test]
async fn all_topics_are_asked_for_by_null_and_in_version_0_by_an_empty_list() {
    let bench = bench();
    let all = MetadataRequest::default().with_topics(None);
    assert_eq!(ask(&bench, all, 12).await.topics.len(), 2);
    assert_eq!(ask(&bench, named(&[]), 0).await.topics.len(), 2);
    assert_eq!(ask(&bench, named(&[]), 1).await.topics.len(), 0);
}

#[tokio::test]
async fn a_missing_topic_is_made_and_the_answer_is_whole() {
    let bench = bench();
    let request = ask(&bench, named(&["fresh"]), 9);
    let lane = Arc::clone(&bench.lane);
    let broker = Arc::clone(&bench.broker);
    let lane_side = async move {
        // The lane publishes before it answers.
        broker.publish(&published(&[topic("fresh", TopicId([4; 16]), 1)]));
        let created = CreatedTopic { id: TopicId([4; 16]), partitions: 1, replication_factor: 1 };
        lane.answer(Answer::CreateTopics(vec![Ok(created)]));
    };
    let (answer, ()) = tokio::join!(request, lane_side);
    assert_eq!((answer.topics[0].error_code, answer.topics[0].partitions.len()), (0, 1));
}

#[tokio::test]
async fn reserved_names_are_never_made_and_never_there() {
    let bench = bench();
    for name in RESERVED_TOPIC_NAMES {
        assert_eq!(ask(&bench, named(&[name]), 12).await.topics[0].error_code, 3, "{name}");
    }
    assert!(bench.lane.take_seen().is_empty(), "nothing was created");
}

#[tokio::test]
async fn a_client_may_decline_creation_from_version_4() {
    let bench = bench();
    let request = named(&["fresh"]).with_allow_auto_topic_creation(false);
    assert_eq!(ask(&bench, request, 4).await.topics[0].error_code, 3);
    assert!(bench.lane.take_seen().is_empty());
}

#[tokio::test]
async fn a_name_that_cannot_be_is_an_invalid_topic() {
    let bench = bench();
    let refusal = AdminRefusal { reason: AdminReason::InvalidTopicName, message: "bad".to_owned() };
    bench.lane.answer(Answer::CreateTopics(vec![Err(refusal)]));
    assert_eq!(ask(&bench, named(&["a b"]), 12).await.topics[0].error_code, 17);
}

#[tokio::test]
async fn topics_are_found_by_id() {
    let bench = bench();
    let by_id = |id: [u8; 16]| {
        let topic = MetadataRequestTopic::default()
            .with_name(None)
            .with_topic_id(uuid::Uuid::from_bytes(id));
        MetadataRequest::default().with_topics(Some(vec![topic]))
    };
    let answer = ask(&bench, by_id(ORDERS.0), 12).await;
    assert_eq!(answer.topics[0].name.as_ref().map(|name| name.to_string()), Some("orders".into()));
    assert_eq!(ask(&bench, by_id([6; 16]), 12).await.topics[0].error_code, 100);
}

#[tokio::test]
async fn a_shard_without_leader_shows_the_last_one() {
    let bench = bench();
    let image = published(&[topic("orders", ORDERS, 1)]).image;
    bench.broker.publish(&Published { image, leaders: Arc::new(Leaders::new()) });
    let answer = ask(&bench, named(&["orders"]), 12).await;
    let partition = &answer.topics[0].partitions[0];
    assert_eq!((partition.leader_id.0, partition.leader_epoch), (1, 7));
}

#[tokio::test]
async fn what_a_client_may_do_with_a_topic_is_told_only_when_it_asks() {
    let bench = bench();
    for (asks, version, of_topic, of_cluster) in [
        (false, 8, i32::MIN, i32::MIN),
        (true, 7, i32::MIN, i32::MIN),
        (true, 8, 0xdf8, 0x1fa0),
        (true, 10, 0xdf8, 0x1fa0),
        (true, 11, 0xdf8, i32::MIN),
        (true, 13, 0xdf8, i32::MIN),
    ] {
        let request = named(&["orders", RESERVED_TOPIC_NAMES[0]])
            .with_include_topic_authorized_operations(asks)
            .with_include_cluster_authorized_operations(asks);
        let answer = ask(&bench, request, version).await;
        let operations = [0, 1].map(|at: usize| answer.topics[at].topic_authorized_operations);
        assert_eq!(operations, [of_topic, i32::MIN], "version {version}, asks: {asks}");
        assert_eq!(answer.cluster_authorized_operations, of_cluster, "version {version}");
        assert!(answer.topics.iter().all(|topic| !topic.is_internal));
    }
}
