//! DescribeTopicPartitions: pages follow each other without a gap and without a double.

use super::*;
use crate::double::{bench, published, topic};
use holdfast_base::TopicId;
use kafka_protocol::messages::describe_topic_partitions_request::{
    Cursor as AskedCursor, TopicRequest,
};

fn three_topics() -> crate::double::Bench {
    let bench = bench();
    bench.broker.publish(&published(&[
        topic("a", TopicId([1; 16]), 3),
        topic("b", TopicId([2; 16]), 7),
        topic("c", TopicId([3; 16]), 2),
    ]));
    bench
}

#[test]
fn pages_of_any_size_show_every_partition_once() {
    let bench = three_topics();
    for limit in 1..=13 {
        let mut request =
            DescribeTopicPartitionsRequest::default().with_response_partition_limit(limit);
        let mut seen = Vec::new();
        loop {
            let page = handle(&bench.broker, &request);
            let before = seen.len();
            for topic in &page.topics {
                let name = topic.name.as_ref().map(|name| name.0.to_string());
                seen.extend(topic.partitions.iter().map(|row| (name.clone(), row.partition_index)));
            }
            assert!(seen.len() - before <= limit as usize);
            let Some(next) = page.next_cursor else { break };
            assert!(seen.len() > before, "a page that leads on shows something");
            request.cursor = Some(
                AskedCursor::default()
                    .with_topic_name(next.topic_name)
                    .with_partition_index(next.partition_index),
            );
        }
        let names = [("a", 3), ("b", 7), ("c", 2)];
        let expected: Vec<_> = names
            .iter()
            .flat_map(|(name, count)| (0..*count).map(|at| (Some((*name).to_owned()), at)))
            .collect();
        assert_eq!(seen, expected, "limit {limit}");
    }
}

#[test]
fn an_unknown_topic_is_named_as_unknown_and_the_others_are_shown() {
    let bench = three_topics();
    let named = |name: &'static str| {
        TopicRequest::default().with_name(TopicName(StrBytes::from_static_str(name)))
    };
    let request = DescribeTopicPartitionsRequest::default()
        .with_topics(vec![named("c"), named("no/where"), named("nowhere")])
        .with_response_partition_limit(2_000);
    let answer = handle(&bench.broker, &request);
    let told: Vec<i16> = answer.topics.iter().map(|topic| topic.error_code).collect();
    assert_eq!(told, [0, 17, 3]);
    assert_eq!(answer.topics[0].partitions[1].leader_epoch, 7);
    assert!(answer.next_cursor.is_none());
}
