//! Configuration is changed as KIP-339 says, and refused in words that help.

use ConfigOperation::{Append, Delete, Set, Subtract};
use holdfast_base::ShardId;

use super::*;

fn founded() -> Leader {
    let mut leader = Leader::founded(1, &[1]);
    leader.create(&topic("t", 1)).unwrap();
    leader
}

fn value(leader: &Leader, name: &str) -> Option<String> {
    leader.metadata.image().topic("t").unwrap().configs.get(name).cloned()
}

fn alter(
    leader: &mut Leader,
    resource: ResourceRef,
    changes: &[(&str, ConfigOperation, Option<&str>)],
) -> Result<AlterDecision, Refusal> {
    leader.alter(&alteration(resource, changes))
}

#[test]
fn settings_are_set_and_go_back_to_their_default() {
    let mut leader = founded();
    alter(&mut leader, of_topic("t"), &[("retention.ms", Set, Some(" 5 "))]).unwrap();
    assert_eq!(value(&leader, "retention.ms").as_deref(), Some("5"));
    let unset = [("retention.ms", Delete, None), ("flush.ms", Delete, None)];
    alter(&mut leader, of_topic("t"), &unset).unwrap();
    assert_eq!(value(&leader, "retention.ms"), None);
    let image = leader.metadata.image();
    let topic = image.topic("t").unwrap();
    assert_eq!(effective_config(&image, topic, "retention.ms"), Some("604800000"));
}

#[test]
fn lists_are_added_to_and_taken_from_starting_at_what_holds() {
    let mut leader = founded();
    let mut policy = |operation, text| {
        alter(&mut leader, of_topic("t"), &[("cleanup.policy", operation, Some(text))]).unwrap();
        value(&leader, "cleanup.policy").unwrap()
    };
    assert_eq!(policy(Append, "compact"), "delete,compact", "the default is what holds at first");
    assert_eq!(policy(Append, "compact, delete"), "delete,compact", "nothing is doubled");
    assert_eq!(policy(Subtract, "delete"), "compact");
    assert_eq!(policy(Subtract, "delete"), "compact");
    assert_eq!(policy(Subtract, "compact"), "");
    assert_eq!(policy(Append, "delete"), "delete");
    let every = [("log.cleanup.policy", Append, Some("compact"))];
    alter(&mut leader, every_broker(), &every).unwrap();
    alter(&mut leader, of_topic("t"), &[("cleanup.policy", Delete, None)]).unwrap();
    let take = [("cleanup.policy", Subtract, Some("delete"))];
    alter(&mut leader, of_topic("t"), &take).unwrap();
    assert_eq!(value(&leader, "cleanup.policy").as_deref(), Some("compact"));
    for operation in [Append, Subtract] {
        let number = [("retention.ms", operation, Some("5"))];
        let refusal = alter(&mut leader, of_topic("t"), &number).unwrap_err();
        assert_eq!(refusal.reason, Reason::InvalidConfig);
        assert!(refusal.message.contains("its type is not LIST"), "{refusal}");
    }
}

#[test]
fn replacing_all_forgets_what_is_not_named() {
    let mut leader = founded();
    let two = [("retention.ms", Set, Some("5")), ("segment.ms", Set, Some("6"))];
    alter(&mut leader, of_topic("t"), &two).unwrap();
    let one = alteration(of_topic("t"), &[("segment.ms", Set, Some("7"))]);
    leader.alter(&AlterPlan { replace_all: true, ..one }).unwrap();
    assert_eq!(value(&leader, "retention.ms"), None);
    assert_eq!(value(&leader, "segment.ms").as_deref(), Some("7"));
    let append = alteration(of_topic("t"), &[("cleanup.policy", Append, Some("compact"))]);
    let refusal = leader.alter(&AlterPlan { replace_all: true, ..append }).unwrap_err();
    assert_eq!(refusal.reason, Reason::InvalidRequest);
}

#[test]
fn a_call_that_contradicts_itself_is_an_invalid_request() {
    let mut leader = founded();
    let cases: [&[(&str, ConfigOperation, Option<&str>)]; 3] = [
        &[("retention.ms", Set, Some("5")), ("retention.ms", Delete, None)],
        &[("retention.ms", Set, None)],
        &[("cleanup.policy", Append, None)],
    ];
    for changes in cases {
        let refusal = alter(&mut leader, of_topic("t"), changes).unwrap_err();
        assert_eq!(refusal.reason, Reason::InvalidRequest, "{changes:?}");
    }
    assert!(leader.metadata.image().topic("t").unwrap().configs.is_empty());
}

#[test]
fn unknown_names_are_refused_with_the_one_that_was_meant() {
    let mut leader = founded();
    let cases = [
        (of_topic("t"), "retention.m", "did you mean 'retention.ms'?"),
        (of_topic("t"), "Retention_Ms", "did you mean 'retention.ms'?"),
        (of_topic("t"), "log.cleaner.backoff.ms", "it is a broker configuration"),
        (of_topic("t"), "nonsense", "the known ones are cleanup.policy, "),
        (every_broker(), "log.retention.msec", "did you mean 'log.retention.ms'?"),
        (every_broker(), "nonsense", "describe a broker"),
        (of_group("g"), "consumer.session.timeout", "did you mean 'consumer.session.timeout.ms'?"),
        (of_group("g"), "retention.ms", "it is a topic configuration"),
    ];
    for (resource, name, hint) in cases {
        let refusal = alter(&mut leader, resource, &[(name, Set, Some("1"))]).unwrap_err();
        assert_eq!(refusal.reason, Reason::InvalidConfig, "{name}");
        assert!(refusal.message.contains(hint), "{name}: {refusal}");
    }
}

#[test]
fn wrong_values_are_refused_naming_the_valid_ones() {
    let mut leader = founded();
    let long = "x".repeat(8193);
    let cases = [
        (of_topic("t"), "retention.ms", "1h", "a whole number, at least -1"),
        (of_topic("t"), "compression.type", "brotli", "zstd"),
        (every_broker(), "log.segment.bytes", "1", "from 1048576 to"),
        (every_broker(), "log.preallocate", "maybe", "true or false"),
        (of_broker(1), "ssl.keystore.location", &long, "at most 8192 bytes"),
        (of_group("g"), "share.auto.offset.reset", "by_duration:1h", "by_duration: and a duration"),
        (
            of_group("g"),
            "consumer.session.timeout.ms",
            "1",
            "group.consumer.min.session.timeout.ms",
        ),
        (of_group("g"), "share.delivery.count.limit", "11", "group.share.max.delivery.count.limit"),
        (of_topic("t"), "min.compaction.lag.ms", "9223372036854775807", ""),
    ];
    for (resource, name, value, hint) in cases {
        let result = alter(&mut leader, resource, &[(name, Set, Some(value))]);
        if hint.is_empty() {
            result.unwrap();
            continue;
        }
        let refusal = result.unwrap_err();
        assert_eq!(refusal.reason, Reason::InvalidConfig, "{name}={value}");
        assert!(refusal.message.contains(hint), "{name}={value}: {refusal}");
    }
    let lower = [("max.compaction.lag.ms", Set, Some("5"))];
    let refusal = alter(&mut leader, of_topic("t"), &lower).unwrap_err();
    assert!(refusal.message.contains("min.compaction.lag.ms"), "{refusal}");
    let durations = ["by_duration:P7D", "by_duration:PT1.5S", "by_duration:P1DT2H3M", "earliest"];
    for good in durations {
        let set = [("share.auto.offset.reset", Set, Some(good))];
        alter(&mut leader, of_group("g"), &set).unwrap();
    }
    for bad in ["by_duration:P", "by_duration:PT", "by_duration:PT1S2H", "by_duration:P1.5D"] {
        let set = [("share.auto.offset.reset", Set, Some(bad))];
        assert!(alter(&mut leader, of_group("g"), &set).is_err(), "{bad}");
    }
}

#[test]
fn settings_of_nodes_are_changed_only_where_kafka_changes_them() {
    let mut leader = founded();
    let cases = [
        (of_broker(1), "num.partitions", "2", "Cannot update these configs dynamically"),
        (every_broker(), "node.id", "2", "Cannot update these configs dynamically"),
        (every_broker(), "ssl.keystore.location", "/k", "broker id must be specified"),
        (of_broker(1), "log.retention.ms", "5", "--entity-default"),
    ];
    for (resource, name, value, hint) in cases {
        let refusal = alter(&mut leader, resource, &[(name, Set, Some(value))]).unwrap_err();
        assert_eq!(refusal.reason, Reason::InvalidRequest, "{name}");
        assert!(refusal.message.contains(hint) && refusal.message.contains(name), "{refusal}");
    }
    alter(&mut leader, of_broker(1), &[("ssl.keystore.location", Set, Some("/k"))]).unwrap();
    alter(&mut leader, of_broker(1), &[("log.cleaner.threads", Set, Some("2"))]).unwrap();
    alter(&mut leader, every_broker(), &[("log.cleaner.threads", Set, Some("3"))]).unwrap();
}

#[test]
fn resources_that_cannot_be_are_refused() {
    let mut leader = founded();
    let one = [("log.cleaner.threads", Set, Some("2"))];
    assert_eq!(alter(&mut leader, of_broker(9), &one).unwrap_err().reason, Reason::InvalidRequest);
    let one = [("share.session.timeout.ms", Set, Some("50000"))];
    for group in [String::new(), "g".repeat(32_768)] {
        let refusal = alter(&mut leader, of_group(&group), &one).unwrap_err();
        assert_eq!(refusal.reason, Reason::InvalidRequest);
    }
    let one = [("retention.ms", Set, Some("2"))];
    assert_eq!(alter(&mut leader, of_topic("u"), &one).unwrap_err().reason, Reason::UnknownTopic);
    let refusal = Leader { metadata: Metadata::new(), ..Leader::founded(1, &[1]) };
    let plan = alteration(every_broker(), &[]);
    let validated = validate_alter_configs(&Decider::new(), &refusal.metadata, &plan);
    assert_eq!(validated.unwrap_err().reason, Reason::InvalidRequest, "not founded");
}

#[test]
fn a_resource_without_settings_has_no_row() {
    let mut leader = founded();
    let set = [("share.session.timeout.ms", Set, Some("50000"))];
    alter(&mut leader, of_group("g"), &set).unwrap();
    assert_eq!(leader.metadata.image().configs.len(), 1);
    let unset = [("share.session.timeout.ms", Delete, None)];
    alter(&mut leader, of_group("g"), &unset).unwrap();
    assert!(leader.metadata.image().configs.is_empty());
    Metadata::restore(&leader.metadata.snapshot()).unwrap();
}

#[test]
fn alterations_in_flight_build_upon_each_other() {
    let mut leader = founded();
    let mut builder = CommandBuilder::new();
    leader.decide(&topic("u", 1), &mut builder).unwrap();
    for (name, text) in [("retention.ms", "5"), ("segment.ms", "6"), ("retention.ms", "7")] {
        let plan = alteration(of_topic("u"), &[(name, Set, Some(text))]);
        leader.decide_alteration(&plan, &mut builder).unwrap();
    }
    let applied = leader.apply(builder.finish());
    assert!(!applied.outcomes.iter().any(|o| matches!(o, CommandOutcome::Refused { .. })));
    let image = leader.metadata.image();
    let configs: Vec<_> = image.topic("u").unwrap().configs.iter().collect();
    assert_eq!(format!("{configs:?}"), r#"[("retention.ms", "7"), ("segment.ms", "6")]"#);
    assert!(leader.decider.configs.is_empty(), "nothing is in flight any more");
}

#[test]
fn an_alteration_decided_on_another_configuration_loses_nothing_of_it() {
    for resource in [of_topic("t"), every_broker()] {
        let mut leader = founded();
        let (mine, theirs) = match resource {
            ResourceRef::Topic(_) => ("retention.ms", "segment.ms"),
            ResourceRef::Other(_) => ("log.retention.ms", "log.roll.ms"),
        };
        let mut late = CommandBuilder::new();
        let plan = alteration(resource.clone(), &[(mine, Set, Some("5"))]);
        leader.decide_alteration(&plan, &mut late).unwrap();
        leader.decider.reset();
        alter(&mut leader, resource.clone(), &[(theirs, Set, Some("6"))]).unwrap();
        let applied = leader.apply(late.finish());
        let [CommandOutcome::Refused { refusal, .. }] = &applied.outcomes[..] else {
            panic!("{applied:?}");
        };
        assert_eq!(refusal.reason, Reason::InvalidRequest);
        assert!(!applied.image_changed);
        leader.alter(&plan).unwrap();
        let facts = NodeFacts { node: NodeId(1), ..NodeFacts::default() };
        let image = leader.metadata.image();
        for (name, value) in [(mine, "5"), (theirs, "6")] {
            let names = [name.to_owned()];
            let described = describe(&image, &facts, &resource, Some(&names)).unwrap();
            assert_eq!(described[0].value.as_deref(), Some(value), "{name}");
        }
    }
}

#[test]
fn setting_what_is_set_changes_no_image_and_is_audited_all_the_same() {
    let mut leader = founded();
    alter(&mut leader, of_topic("t"), &[("retention.ms", Set, Some("5"))]).unwrap();
    let before = leader.metadata.audit().len();
    let mut again = CommandBuilder::new();
    let plan = alteration(of_topic("t"), &[("retention.ms", Set, Some("5"))]);
    leader.decide_alteration(&plan, &mut again).unwrap();
    assert!(!leader.apply(again.finish()).image_changed);
    assert_eq!(leader.metadata.audit().len(), before + 1);
}

#[test]
fn validating_an_alteration_changes_nothing() {
    let mut leader = founded();
    let plan = alteration(of_topic("t"), &[("retention.ms", Set, Some("5"))]);
    let decided = validate_alter_configs(&leader.decider, &leader.metadata, &plan).unwrap();
    assert_eq!((decided.place, decided.after["retention.ms"].as_str()), (None, "5"));
    assert!(leader.metadata.image().topic("t").unwrap().configs.is_empty());
    assert_eq!(leader.alter(&plan).unwrap().after, decided.after);
}

#[test]
fn a_topics_new_configuration_leaves_its_partitions_alone() {
    let mut leader = founded();
    leader.grow("t", 4).unwrap();
    alter(&mut leader, of_topic("t"), &[("retention.ms", Set, Some("5"))]).unwrap();
    let image = leader.metadata.image();
    let topic = image.topic("t").unwrap();
    assert_eq!(topic.partitions.len(), 4);
    assert!(std::sync::Arc::ptr_eq(topic, image.topic_by_id(topic.id).unwrap()));
    assert_eq!((1..=16).map(|s| leader.metadata.load(ShardId(s))).sum::<u64>(), 4);
}
