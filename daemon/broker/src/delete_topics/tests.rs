//! DeleteTopics: by name, by id, and by neither.

use super::*;
use crate::double::{ORDERS, bench};
use kafka_protocol::messages::delete_topics_request::DeleteTopicState;

#[tokio::test]
async fn names_and_ids_are_answered_with_both() {
    let bench = bench();
    let name = |name: &str| TopicName(StrBytes::from(name.to_owned()));
    let nil = uuid::Uuid::nil();
    let states = vec![
        DeleteTopicState::default().with_name(Some(name("a"))).with_topic_id(nil),
        DeleteTopicState::default().with_name(None).with_topic_id(nil),
        DeleteTopicState::default().with_name(None).with_topic_id(uuid::Uuid::from_bytes(ORDERS.0)),
    ];
    let unknown = AdminRefusal { reason: AdminReason::UnknownTopicId, message: "gone".to_owned() };
    bench
        .lane
        .answer(Answer::DeleteTopics(vec![Ok((TopicId([5; 16]), "a".to_owned())), Err(unknown)]));
    let request = DeleteTopicsRequest::default().with_topics(states).with_timeout_ms(1_000);
    let (broker, context) = (Arc::clone(&bench.broker), Arc::clone(&bench.context));
    let answer = handle(broker, context, String::new(), request, 6).await;
    let codes: Vec<i16> = answer.responses.iter().map(|one| one.error_code).collect();
    assert_eq!(codes, [0, 42, 100]);
    assert_eq!(answer.responses[0].topic_id.as_bytes(), &[5; 16]);
    assert_eq!(answer.responses[2].name, None);
    assert_eq!(answer.responses[2].topic_id.as_bytes(), &ORDERS.0);
}

#[tokio::test]
async fn older_versions_delete_by_name_without_words() {
    let bench = bench();
    let unknown = AdminRefusal { reason: AdminReason::UnknownTopic, message: "none".to_owned() };
    bench.lane.answer(Answer::DeleteTopics(vec![Err(unknown)]));
    let request = DeleteTopicsRequest::default()
        .with_topic_names(vec![TopicName(StrBytes::from("x"))])
        .with_timeout_ms(1_000);
    let (broker, context) = (Arc::clone(&bench.broker), Arc::clone(&bench.context));
    let answer = handle(broker, context, String::new(), request, 4).await;
    assert_eq!(answer.responses[0].error_code, 3);
    assert_eq!(answer.responses[0].error_message, None);
}
