//! What DescribeConfigs shows.

use ConfigOperation::Set;
use ConfigSource as From;

use super::*;

fn facts() -> NodeFacts {
    let values = [("node.id", "1"), ("num.partitions", "4"), ("ssl.key.password", "hush")];
    let own = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
    NodeFacts { node: NodeId(1), values: values.into_iter().map(own).collect() }
}

fn one(leader: &Leader, resource: &ResourceRef, name: &str) -> Described {
    let names = [name.to_owned()];
    let image = leader.metadata.image();
    let mut described = describe(&image, &facts(), resource, Some(&names)).unwrap();
    assert_eq!(described.len(), 1, "{name}");
    described.remove(0)
}

fn told(described: &Described) -> Vec<(&str, Option<&str>, From)> {
    let synonyms = described.synonyms.iter();
    synonyms.map(|s| (s.name.as_str(), s.value.as_deref(), s.source)).collect()
}

#[test]
fn every_setting_is_described_with_value_type_and_documentation() {
    let mut leader = Leader::founded(1, &[1]);
    leader.create(&topic("t", 1)).unwrap();
    let image = leader.metadata.image();
    let cases = [
        (of_topic("t"), TOPIC_CONFIGS.len()),
        (of_broker(1), BROKER_CONFIGS.len()),
        (of_group("g"), GROUP_CONFIGS.len()),
    ];
    for (resource, count) in cases {
        let all = describe(&image, &facts(), &resource, None).unwrap();
        assert_eq!(all.len(), count, "{resource:?}");
        assert!(all.is_sorted_by(|a, b| a.name < b.name));
        for described in all {
            let Described { name, documentation, value, sensitive, .. } = &described;
            assert!(!documentation.is_empty(), "{name}");
            assert!(!sensitive || value.is_none(), "{name} is shown");
            let shown = described.synonyms.iter().any(|synonym| synonym.value.is_some());
            assert!(!sensitive || !shown, "{name} is shown by a synonym");
            assert_eq!(described.is_default, described.source == From::Default, "{name}");
        }
    }
}

#[test]
fn a_topics_value_names_every_place_it_may_come_from() {
    let mut leader = Leader::founded(1, &[1]);
    leader.create(&topic("t", 1)).unwrap();
    let at_first = one(&leader, &of_topic("t"), "retention.ms");
    assert_eq!(at_first.value.as_deref(), Some("604800000"));
    assert!(at_first.is_default && !at_first.read_only);
    assert_eq!(told(&at_first), [("log.retention.hours", Some("168"), From::Default)]);

    let every = [("log.retention.ms", Set, Some("5"))];
    leader.alter(&alteration(every_broker(), &every)).unwrap();
    let inherited = one(&leader, &of_topic("t"), "retention.ms");
    assert_eq!(inherited.value.as_deref(), Some("5"));
    assert_eq!(inherited.source, From::DynamicDefaultBroker);
    assert!(!inherited.is_default);

    leader.alter(&alteration(of_topic("t"), &[("retention.ms", Set, Some("7"))])).unwrap();
    let own = one(&leader, &of_topic("t"), "retention.ms");
    assert_eq!((own.value.as_deref(), own.source), (Some("7"), From::Topic));
    assert_eq!(
        told(&own),
        [
            ("retention.ms", Some("7"), From::Topic),
            ("log.retention.ms", Some("5"), From::DynamicDefaultBroker),
            ("log.retention.hours", Some("168"), From::Default),
        ]
    );
}

#[test]
fn what_is_described_for_a_topic_is_what_holds_for_it() {
    let mut leader = Leader::founded(1, &[1]);
    leader.create(&topic("t", 1)).unwrap();
    let every = [
        ("log.roll.ms", Set, Some("5")),
        ("log.flush.interval.ms", Set, Some("6")),
        ("compression.type", Set, Some("zstd")),
    ];
    leader.alter(&alteration(every_broker(), &every)).unwrap();
    leader.alter(&alteration(of_topic("t"), &[("segment.bytes", Set, Some("2000000"))])).unwrap();
    let image = leader.metadata.image();
    let topic = image.topic("t").unwrap();
    for described in describe(&image, &facts(), &of_topic("t"), None).unwrap() {
        let holds = effective_config(&image, topic, &described.name);
        assert_eq!(described.value.as_deref(), holds, "{}", described.name);
    }
}

#[test]
fn a_nodes_value_goes_from_its_own_to_every_nodes_to_its_file_to_the_default() {
    let mut leader = Leader::founded(1, &[1]);
    let name = "log.cleaner.threads";
    let of_node = one(&leader, &of_broker(1), name);
    assert_eq!((of_node.value.as_deref(), of_node.source), (Some("1"), From::Default));
    leader.alter(&alteration(every_broker(), &[(name, Set, Some("2"))])).unwrap();
    assert_eq!(one(&leader, &of_broker(1), name).source, From::DynamicDefaultBroker);
    leader.alter(&alteration(of_broker(1), &[(name, Set, Some("3"))])).unwrap();
    let own = one(&leader, &of_broker(1), name);
    assert_eq!(
        told(&own),
        [
            (name, Some("3"), From::DynamicBroker),
            (name, Some("2"), From::DynamicDefaultBroker),
            (name, Some("1"), From::Default),
        ]
    );
    assert!(!own.read_only);
    let partitions = one(&leader, &of_broker(1), "num.partitions");
    assert_eq!((partitions.value.as_deref(), partitions.source), (Some("4"), From::StaticBroker));
    assert!(partitions.read_only && !partitions.is_default);
}

#[test]
fn a_node_without_retention_in_ms_shows_null_beside_its_hours() {
    let leader = Leader::founded(1, &[1]);
    let ms = one(&leader, &of_broker(1), "log.retention.ms");
    assert_eq!(ms.value, None);
    assert_eq!(told(&ms), [("log.retention.hours", Some("168"), From::Default)]);
    let hours = one(&leader, &of_broker(1), "log.retention.hours");
    assert_eq!(hours.value.as_deref(), Some("168"));
}

#[test]
fn secrets_are_never_shown() {
    let mut leader = Leader::founded(1, &[1]);
    let name = "ssl.key.password";
    leader.alter(&alteration(of_broker(1), &[(name, Set, Some("secret"))])).unwrap();
    let described = one(&leader, &of_broker(1), name);
    assert!(described.sensitive && described.value.is_none());
    assert_eq!(
        told(&described),
        [(name, None, From::DynamicBroker), (name, None, From::StaticBroker)]
    );
    let bad = [(name, Set, Some("x".repeat(9_000)))];
    let changes = bad.iter().map(|(n, o, v)| ((*n).to_owned(), *o, v.clone())).collect();
    let plan = AlterPlan { resource: of_broker(1), changes, replace_all: false };
    let refusal = leader.alter(&plan).unwrap_err();
    assert!(!refusal.message.contains("xxx"), "{refusal}");
}

#[test]
fn every_node_shows_only_what_was_set() {
    let mut leader = Leader::founded(1, &[1]);
    let image = leader.metadata.image();
    assert_eq!(describe(&image, &facts(), &every_broker(), None), Ok(Vec::new()));
    let every = [("log.retention.ms", Set, Some("5"))];
    leader.alter(&alteration(every_broker(), &every)).unwrap();
    let image = leader.metadata.image();
    let all = describe(&image, &facts(), &every_broker(), None).unwrap();
    assert_eq!(all.len(), 1);
    assert_eq!(told(&all[0]), [("log.retention.ms", Some("5"), From::DynamicDefaultBroker)]);
    assert_eq!(all[0].value.as_deref(), Some("5"));
}

#[test]
fn a_groups_value_names_the_nodes_setting_it_falls_back_to() {
    let mut leader = Leader::founded(1, &[1]);
    let name = "consumer.session.timeout.ms";
    let broker = "group.consumer.session.timeout.ms";
    let at_first = one(&leader, &of_group("g"), name);
    assert_eq!(told(&at_first), [(broker, Some("45000"), From::Default)]);
    assert_eq!(at_first.value.as_deref(), Some("45000"));
    leader.alter(&alteration(of_group("g"), &[(name, Set, Some("50000"))])).unwrap();
    let own = one(&leader, &of_group("g"), name);
    assert_eq!((own.value.as_deref(), own.source), (Some("50000"), From::Group));
}

#[test]
fn what_has_no_effect_says_so_and_why() {
    let leader = Leader::founded(1, &[1]);
    let threads = one(&leader, &of_broker(1), "num.io.threads");
    let reason = "Without effect here, because the number of threads follows from the cores.";
    assert!(threads.documentation.ends_with(reason), "{}", threads.documentation);
    for name in ["num.partitions", "log.message.timestamp.type"] {
        let described = one(&leader, &of_broker(1), name);
        assert!(!described.documentation.contains("Without effect"), "{name}");
    }
    let as_the_topics = one(&leader, &of_broker(1), "log.cleaner.min.compaction.lag.ms");
    assert!(as_the_topics.documentation.contains("still to come"));
}

#[test]
fn the_default_replication_factor_follows_the_number_of_nodes() {
    let name = "default.replication.factor";
    assert_eq!(one(&Leader::founded(1, &[1]), &of_broker(1), name).value.as_deref(), Some("1"));
    assert_eq!(one(&Leader::founded(3, &[3]), &of_broker(1), name).value.as_deref(), Some("3"));
}

#[test]
fn resources_that_are_not_there_or_are_other_nodes_are_refused() {
    let leader = Leader::founded(2, &[1]);
    let image = leader.metadata.image();
    let reason = |resource| describe(&image, &facts(), &resource, None).unwrap_err().reason;
    assert_eq!(reason(of_topic("nobody")), Reason::UnknownTopic);
    assert_eq!(reason(of_broker(2)), Reason::InvalidRequest, "node 2 describes itself");
    assert_eq!(reason(of_broker(9)), Reason::InvalidRequest);
    assert_eq!(reason(of_group("")), Reason::InvalidRequest);
}

#[test]
fn names_nobody_knows_are_left_out() {
    let leader = Leader::founded(1, &[1]);
    let names = ["nonsense".to_owned(), "num.io.threads".to_owned()];
    let image = leader.metadata.image();
    let described = describe(&image, &facts(), &of_broker(1), Some(&names)).unwrap();
    assert_eq!(described.len(), 1);
}
