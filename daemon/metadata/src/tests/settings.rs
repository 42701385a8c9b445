//! The declarations: complete, consistent, and inherited as the chain says.

use std::collections::BTreeSet;

use ConfigOperation::Set;

use super::*;

const KAFKA_TOPIC: &str = include_str!("../../tests/kafka-4.3-topic-settings.txt");
const KAFKA_BROKER: &str = include_str!("../../tests/kafka-4.3-broker-settings.txt");
const KAFKA_GROUP: &str = include_str!("../../tests/kafka-4.3-group-settings.txt");

/// Of Kafka 4.4.
const NEWER_TOPIC: [&str; 2] = ["remote.copy.lag.bytes", "remote.copy.lag.ms"];

fn tables() -> [&'static [Setting]; 3] {
    [TOPIC_CONFIGS, &BROKER_CONFIGS, GROUP_CONFIGS]
}

fn names(settings: &[Setting]) -> BTreeSet<&str> {
    settings.iter().map(|setting| setting.name).collect()
}

#[test]
fn every_setting_of_kafka_4_3_is_declared_and_no_other() {
    let mut topics: BTreeSet<&str> = KAFKA_TOPIC.lines().collect();
    topics.extend(NEWER_TOPIC);
    assert_eq!(names(TOPIC_CONFIGS), topics);
    assert_eq!(names(&BROKER_CONFIGS), KAFKA_BROKER.lines().collect());
    assert_eq!(names(GROUP_CONFIGS), KAFKA_GROUP.lines().collect());
}

#[test]
fn names_are_sorted_and_unique_and_found() {
    for table in tables() {
        assert!(table.is_sorted_by(|a, b| a.name < b.name));
    }
    assert!(TOPIC_CONFIGS.iter().all(|s| topic_config(s.name) == Some(s)));
    assert!(BROKER_CONFIGS.iter().all(|s| broker_config(s.name) == Some(s)));
    assert!(GROUP_CONFIGS.iter().all(|s| group_config(s.name) == Some(s)));
    assert_eq!(topic_config("log.retention.ms"), None);
}

#[test]
fn every_setting_is_documented_in_one_sentence_of_its_own_table() {
    for table in tables() {
        for Setting { name, documentation, .. } in table {
            assert!(documentation.len() > 20 && documentation.ends_with('.'), "{name}");
            assert!(documentation.starts_with(|c: char| c.is_ascii_uppercase()), "{name}");
        }
    }
}

#[test]
fn every_default_is_valid_by_its_own_rule() {
    for setting in tables().into_iter().flatten() {
        let Some(default) = setting.default else { continue };
        // Kafka's default of log.cleaner.io.max.bytes.per.second is the largest double.
        assert!(setting.valid.accepts(default), "{}={default}", setting.name);
        assert!(!setting.is_sensitive(), "{}: a secret has no default", setting.name);
    }
}

#[test]
fn every_rule_fits_the_type() {
    use ConfigType as Type;
    for setting in tables().into_iter().flatten() {
        let fits = match setting.valid {
            ValidValues::Integer(min, max) | ValidValues::IntegerOrMinusOne(min, max) => {
                let (low, high) = match setting.kind {
                    Type::Int => (i64::from(i32::MIN), i64::from(i32::MAX)),
                    Type::Short => (i64::from(i16::MIN), i64::from(i16::MAX)),
                    Type::Long => (i64::MIN, i64::MAX),
                    _ => (1, 0),
                };
                low <= min && min <= max && max <= high
            }
            ValidValues::Fraction | ValidValues::Number => setting.kind == Type::Double,
            ValidValues::Boolean => setting.kind == Type::Boolean,
            ValidValues::SomeOf(_) | ValidValues::ThrottledReplicas => setting.kind == Type::List,
            ValidValues::OneOf(_) | ValidValues::OneOfAnyCase(_) | ValidValues::OffsetReset => {
                setting.kind == Type::String
            }
            ValidValues::Any | ValidValues::NonEmpty => !matches!(
                setting.kind,
                Type::Int | Type::Short | Type::Long | Type::Double | Type::Boolean
            ),
        };
        assert!(fits, "{}", setting.name);
    }
}

#[test]
fn synonyms_are_settings_of_nodes_and_give_the_same_default() {
    for setting in TOPIC_CONFIGS.iter().chain(GROUP_CONFIGS) {
        let Some(first) = setting.synonyms.first() else { continue };
        let broker = broker_config(first).unwrap();
        if broker.default.is_some() {
            assert_eq!(broker.default, setting.default, "{}", setting.name);
            assert_eq!(broker.kind, setting.kind, "{}", setting.name);
        }
        assert!(setting.synonyms.iter().all(|name| broker_config(name).is_some()));
    }
    let defaults = BROKER_CONFIGS.iter().filter(|s| s.effect == Effect::TopicDefault);
    for setting in defaults {
        let topic = TOPIC_CONFIGS.iter().find(|topic| topic.synonyms.contains(&setting.name));
        assert!(topic.is_some(), "{} is no topic's default", setting.name);
        assert_eq!(setting.update, UpdateMode::ClusterWide, "{}", setting.name);
    }
}

#[test]
fn what_every_node_has_set_is_the_default_of_topics_that_do_not_set_theirs() {
    let mut leader = Leader::founded(1, &[1]);
    leader.create(&topic("t", 1)).unwrap();
    let own = NewTopic {
        configs: vec![("retention.ms".to_owned(), Some("7".to_owned()))],
        ..topic("own", 1)
    };
    leader.create(&own).unwrap();
    let every = [
        ("log.retention.ms", Set, Some("5")),
        ("message.max.bytes", Set, Some("2000")),
        ("log.message.timestamp.type", Set, Some("LogAppendTime")),
        ("log.cleanup.policy", Set, Some("compact")),
    ];
    leader.alter(&alteration(every_broker(), &every)).unwrap();
    let image = leader.metadata.image();
    let settings = TopicSettings::of_topic(&image, image.topic("t").unwrap());
    assert_eq!((settings.retention_ms, settings.max_message_bytes), (5, 2000));
    assert!(settings.log_append_time && settings.compacts && !settings.deletes);
    let own = TopicSettings::of_topic(&image, image.topic("own").unwrap());
    assert_eq!((own.retention_ms, own.max_message_bytes), (7, 2000));
    let facts = NodeFacts { node: NodeId(1), ..NodeFacts::default() };
    assert_eq!(BrokerSettings::of(&image, &facts).message_bytes_max, 2000);
}

#[test]
fn a_topics_settings_are_kafkas_defaults_where_nobody_said_anything() {
    let mut leader = Leader::founded(1, &[1]);
    leader.create(&topic("t", 1)).unwrap();
    let image = leader.metadata.image();
    let settings = TopicSettings::of_topic(&image, image.topic("t").unwrap());
    assert_eq!(settings.max_message_bytes, 1_048_588);
    assert_eq!(settings.timestamp_after_max_ms, 3_600_000, "an hour since KIP-1030");
    assert_eq!(settings.timestamp_before_max_ms, i64::MAX);
    assert_eq!((settings.retention_ms, settings.retention_bytes), (7 * 24 * 3_600_000, -1));
    assert!(settings.deletes && !settings.compacts && !settings.log_append_time);
}

#[test]
fn a_nodes_settings_are_kafkas_defaults_until_somebody_says_otherwise() {
    let leader = Leader::founded(3, &[1, 3]);
    let image = leader.metadata.image();
    let mut facts = NodeFacts { node: NodeId(1), ..NodeFacts::default() };
    let settings = BrokerSettings::of(&image, &facts);
    assert_eq!((settings.default_partitions, settings.default_replication_factor), (1, 3));
    assert!(settings.auto_create_topics && settings.delete_topics);
    assert_eq!(settings.group_initial_rebalance_delay_ms, 3_000);
    assert_eq!(settings.group_session_timeout_ms_min, 6_000);
    assert_eq!(settings.group_session_timeout_ms_max, 1_800_000);
    assert_eq!(settings.offsets_retention_ms, 7 * 24 * 3_600_000);
    assert_eq!(settings.offset_metadata_bytes_max, 4_096);
    assert_eq!(settings.message_bytes_max, 1_048_588);
    assert_eq!(settings.fetch_bytes_max, 55 << 20);
    assert_eq!(settings.request_bytes_max, 100 << 20);
    assert_eq!(settings.connection_idle_ms_max, 600_000);
    for (name, value) in [
        ("num.partitions", "4"),
        ("default.replication.factor", "1"),
        ("auto.create.topics.enable", "FALSE"),
        ("group.initial.rebalance.delay.ms", "0"),
        ("offsets.retention.minutes", "1"),
        ("fetch.max.bytes", "not a number"),
    ] {
        facts.values.insert(name.to_owned(), value.to_owned());
    }
    let set = BrokerSettings::of(&image, &facts);
    assert_eq!((set.default_partitions, set.default_replication_factor), (4, 1));
    assert_eq!((set.auto_create_topics, set.group_initial_rebalance_delay_ms), (false, 0));
    assert_eq!((set.offsets_retention_ms, set.fetch_bytes_max), (60_000, 55 << 20));
}

#[test]
fn a_group_takes_its_own_value_then_the_nodes() {
    let mut leader = Leader::founded(1, &[1]);
    let set = [("consumer.session.timeout.ms", Set, Some("50000"))];
    leader.alter(&alteration(of_group("g"), &set)).unwrap();
    let image = leader.metadata.image();
    let mut facts = NodeFacts { node: NodeId(1), ..NodeFacts::default() };
    facts.values.insert("group.consumer.session.timeout.ms".to_owned(), "46000".to_owned());
    let of = |group: &str, name: &str| {
        effective_group_config(&image, &facts, group, name).map(str::to_owned)
    };
    assert_eq!(of("g", "consumer.session.timeout.ms").as_deref(), Some("50000"));
    assert_eq!(of("h", "consumer.session.timeout.ms").as_deref(), Some("46000"));
    assert_eq!(of("h", "consumer.heartbeat.interval.ms").as_deref(), Some("5000"));
    assert_eq!(of("h", "share.auto.offset.reset").as_deref(), Some("latest"));
    assert_eq!(of("h", "nonsense"), None);
}
