//! CreatePartitions: each topic by itself, in the client's order.

use super::*;
use crate::double::bench;
use kafka_protocol::messages::TopicName;
use kafka_protocol::messages::create_partitions_request::CreatePartitionsAssignment;

fn grow(name: &str, count: i32) -> CreatePartitionsTopic {
    CreatePartitionsTopic::default()
        .with_name(TopicName(StrBytes::from(name.to_owned())))
        .with_count(count)
        .with_assignments(None)
}

fn request(topics: Vec<CreatePartitionsTopic>) -> CreatePartitionsRequest {
    CreatePartitionsRequest::default().with_topics(topics).with_timeout_ms(30_000)
}

#[tokio::test]
async fn every_topic_named_is_answered_in_its_place() {
    let bench = bench();
    let refusal = AdminRefusal {
        reason: AdminReason::InvalidPartitions,
        message: "the topic has 4 partitions already".to_owned(),
    };
    bench.lane.answer(Answer::CreatePartitions(vec![Ok(()), Err(refusal)]));
    let assigned = grow("b", 2).with_assignments(Some(vec![
        CreatePartitionsAssignment::default().with_broker_ids(vec![1.into()]),
    ]));
    let topics = vec![grow("a", 9), grow("twice", 2), assigned, grow("twice", 3)];
    let (broker, context) = (Arc::clone(&bench.broker), Arc::clone(&bench.context));
    let answer = handle(broker, context, "me".to_owned(), request(topics)).await;
    let told: Vec<(String, i16)> =
        answer.results.iter().map(|row| (row.name.to_string(), row.error_code)).collect();
    let expected = [("a", 0), ("twice", 42), ("b", 37), ("twice", 42)];
    assert_eq!(told, expected.map(|(name, code)| (name.to_owned(), code)));
    let seen = bench.lane.take_seen();
    let [Request::CreatePartitions(asked, origin)] = &seen[..] else { panic!("{seen:?}") };
    assert_eq!((asked[0].total, asked[1].assignment.as_slice()), (9, &[vec![1]][..]));
    assert_eq!(&*origin.client_id, "me");
}

#[tokio::test(start_paused = true)]
async fn growth_that_takes_too_long_is_timed_out() {
    let bench = bench();
    let (broker, context) = (Arc::clone(&bench.broker), Arc::clone(&bench.context));
    let answer = handle(broker, context, String::new(), request(vec![grow("a", 9)])).await;
    assert_eq!(answer.results[0].error_code, 7);
}
