//! CreateTopics: each topic by itself, in the client's order, with what its version shows.

use super::*;
use crate::double::bench;
use holdfast_base::TopicId;
use kafka_protocol::messages::TopicName;
use kafka_protocol::messages::create_topics_request::CreatableTopicConfig;

fn topic(name: &str) -> CreatableTopic {
    CreatableTopic::default()
        .with_name(TopicName(StrBytes::from(name.to_owned())))
        .with_num_partitions(-1)
        .with_replication_factor(-1)
}

fn request(topics: Vec<CreatableTopic>) -> CreateTopicsRequest {
    CreateTopicsRequest::default().with_topics(topics).with_timeout_ms(30_000)
}

fn created() -> CreatedTopic {
    CreatedTopic { id: TopicId([3; 16]), partitions: 1, replication_factor: 1 }
}

#[tokio::test]
async fn outcomes_stay_with_their_topics_around_a_name_given_twice() {
    let bench = bench();
    let refusal =
        AdminRefusal { reason: AdminReason::TopicAlreadyExists, message: "there".to_owned() };
    bench.lane.answer(Answer::CreateTopics(vec![Ok(created()), Err(refusal)]));
    let topics = vec![topic("a"), topic("twice"), topic("b"), topic("twice")];
    let (broker, context) = (Arc::clone(&bench.broker), Arc::clone(&bench.context));
    let answer = handle(broker, context, "me".to_owned(), request(topics), 7).await;
    let codes: Vec<(String, i16)> =
        answer.topics.iter().map(|topic| (topic.name.to_string(), topic.error_code)).collect();
    let expected = [("a", 0), ("twice", 42), ("b", 36), ("twice", 42)];
    assert_eq!(codes, expected.map(|(name, code)| (name.to_owned(), code)));
    let seen = bench.lane.take_seen();
    let [Request::CreateTopics(asked, origin)] = &seen[..] else { panic!("{seen:?}") };
    assert_eq!(asked[0].partitions, 1, "num.partitions");
    assert_eq!(
        (&*origin.principal, &*origin.host, &*origin.client_id),
        ("User:ANONYMOUS", "192.0.2.1", "me")
    );
}

#[tokio::test]
async fn what_was_made_is_shown_as_far_as_the_version_goes() {
    for (version, configs, id) in [(4, false, false), (5, true, false), (7, true, true)] {
        let bench = bench();
        bench.lane.answer(Answer::CreateTopics(vec![Ok(created())]));
        let config = CreatableTopicConfig::default()
            .with_name(StrBytes::from("retention.ms"))
            .with_value(Some(StrBytes::from("1000")));
        let topics = vec![topic("a").with_configs(vec![config])];
        let (broker, context) = (Arc::clone(&bench.broker), Arc::clone(&bench.context));
        let answer = handle(broker, context, String::new(), request(topics), version).await;
        let made = &answer.topics[0];
        let shown = made.configs.as_deref().unwrap_or_default();
        assert_eq!(!shown.is_empty(), configs, "version {version}");
        assert_eq!(!made.topic_id.is_nil(), id, "version {version}");
        if configs {
            let retention = shown.iter().find(|shown| &*shown.name == "retention.ms");
            let retention = retention.expect("every configuration is shown");
            assert_eq!((retention.value.as_deref(), retention.config_source), (Some("1000"), 1));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_creation_that_takes_too_long_is_timed_out() {
    let bench = bench();
    let (broker, context) = (Arc::clone(&bench.broker), Arc::clone(&bench.context));
    let answer = handle(broker, context, String::new(), request(vec![topic("a")]), 7).await;
    assert_eq!(answer.topics[0].error_code, 7);
}
