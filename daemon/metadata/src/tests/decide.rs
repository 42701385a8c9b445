//! What the leader refuses, and where it places what it accepts.

use super::*;

#[test]
fn names_kafka_refuses_are_refused() {
    let mut leader = Leader::founded(1, &[1]);
    let long = "x".repeat(250);
    for name in ["", ".", "..", &long, "a b", "ä", "a/b", "a\0b"] {
        assert_eq!(leader.reason(&topic(name, 1)), Reason::InvalidTopicName, "{name:?}");
    }
    for name in RESERVED_TOPIC_NAMES {
        assert_eq!(leader.reason(&topic(name, 1)), Reason::InvalidTopicName, "{name}");
    }
    for name in ["x".repeat(249), "...".to_owned(), "A-z_0.9".to_owned()] {
        leader.create(&topic(&name, 1)).unwrap();
    }
}

#[test]
fn names_that_differ_in_dot_and_underscore_collide() {
    let mut leader = Leader::founded(1, &[1]);
    leader.create(&topic("a.b_c", 1)).unwrap();
    assert_eq!(leader.reason(&topic("a_b.c", 1)), Reason::InvalidTopicName);
    assert_eq!(leader.reason(&topic("a.b_c", 1)), Reason::TopicAlreadyExists);
    leader.create(&topic("a-b-c", 1)).unwrap();
    leader.delete(TopicRef::Name("a.b_c".to_owned())).unwrap();
    leader.create(&topic("a_b.c", 1)).unwrap();
}

#[test]
fn a_name_decided_and_not_yet_applied_is_taken() {
    let mut leader = Leader::founded(1, &[1]);
    let mut builder = CommandBuilder::new();
    leader.decide(&topic("a.b", 1), &mut builder).unwrap();
    let again = leader.decide(&topic("a.b", 1), &mut builder).unwrap_err();
    assert_eq!(again.reason, Reason::TopicAlreadyExists);
    let collides = leader.decide(&topic("a_b", 1), &mut builder).unwrap_err();
    assert_eq!(collides.reason, Reason::InvalidTopicName);
    assert_eq!(builder.len(), 1, "a refusal adds no command");
}

#[test]
fn a_deleted_name_is_free_at_once_even_before_the_deletion_is_applied() {
    let mut leader = Leader::founded(1, &[1]);
    leader.create(&topic("t", 1)).unwrap();
    let mut builder = CommandBuilder::new();
    let by_name = TopicRef::Name("t".to_owned());
    let delete = |leader: &mut Leader, builder: &mut CommandBuilder| {
        let (decider, metadata) = (&mut leader.decider, &leader.metadata);
        propose_delete_topic(decider, metadata, &by_name, origin(), builder)
    };
    let first = delete(&mut leader, &mut builder).unwrap();
    assert_eq!(delete(&mut leader, &mut builder).unwrap_err().reason, Reason::UnknownTopic);
    let second = leader.decide(&topic("t", 2), &mut builder).unwrap();
    assert_ne!(first.id, second.id);
    delete(&mut leader, &mut builder).unwrap();
    let third = leader.decide(&topic("t", 3), &mut builder).unwrap();
    let applied = leader.apply(builder.finish());
    assert!(applied.outcomes.iter().all(|o| !matches!(o, CommandOutcome::Refused { .. })));
    assert_eq!(leader.metadata.image().topic("t").unwrap().id, third.id);
    assert_eq!(leader.reason(&topic("t", 1)), Reason::TopicAlreadyExists);
}

#[test]
fn an_id_of_a_deleted_topic_is_unknown() {
    let mut leader = Leader::founded(1, &[1]);
    let plan = leader.create(&topic("t", 1)).unwrap();
    leader.delete(TopicRef::Id(plan.id)).unwrap();
    assert_eq!(leader.delete(TopicRef::Id(plan.id)).unwrap_err().reason, Reason::UnknownTopicId);
}

#[test]
fn partitions_and_replication_factor_have_kafkas_bounds() {
    let mut leader = Leader::founded(3, &[1, 3]);
    for partitions in [0, -2, i32::MIN, PARTITIONS_PER_TOPIC_MAX + 1] {
        assert_eq!(leader.reason(&topic("p", partitions)), Reason::InvalidPartitions);
    }
    for replication_factor in [0, -2, 4, i16::MAX, 2] {
        let asked = NewTopic { replication_factor, ..topic("r", 1) };
        assert_eq!(leader.reason(&asked), Reason::InvalidReplicationFactor);
    }
    let plan = leader.create(&topic("defaults", -1)).unwrap();
    assert_eq!((plan.partitions.len(), plan.replication_factor), (1, 3));
}

#[test]
fn partitions_are_spread_so_that_no_shard_has_two_more_than_another() {
    let mut leader = Leader::founded(3, &[1, 3]);
    for (number, partitions) in [3, 17, 1, 50, 8, 2, 15].into_iter().enumerate() {
        leader.create(&topic(&format!("t{number}"), partitions)).unwrap();
    }
    let image = leader.metadata.image();
    let loads: Vec<u64> = image
        .shards
        .iter()
        .filter(|(id, shard)| id.0 != 0 && shard.replication_factor == 3)
        .map(|(id, _)| leader.metadata.load(*id))
        .collect();
    assert_eq!(loads.len(), 16);
    assert_eq!(loads.iter().sum::<u64>(), 96);
    assert!(loads.iter().all(|load| *load == 6), "{loads:?}");
}

#[test]
fn topics_decided_in_one_entry_are_spread_as_well() {
    let mut leader = Leader::founded(1, &[1]);
    let mut builder = CommandBuilder::new();
    let plans: Vec<TopicPlan> = (0..16)
        .map(|n| leader.decide(&topic(&format!("t{n}"), 1), &mut builder).unwrap())
        .collect();
    let mut shards: Vec<_> = plans.iter().map(|plan| plan.partitions[0].shard).collect();
    shards.sort();
    shards.dedup();
    assert_eq!(shards.len(), 16);
    leader.apply(builder.finish());
    let next = leader.create(&topic("next", 16)).unwrap();
    assert!(next.partitions.iter().all(|p| leader.metadata.load(p.shard) == 2));
}

#[test]
fn an_applied_topic_counts_once_towards_the_load_of_its_shards() {
    let mut leader = Leader::founded(1, &[1]);
    let first = leader.create(&topic("first", 1)).unwrap();
    let second = leader.create(&topic("second", 16)).unwrap();
    assert_eq!(second.partitions[15].shard, first.partitions[0].shard);
}

#[test]
fn an_assignment_lands_on_a_shard_with_exactly_those_nodes() {
    let mut leader = Leader::founded(3, &[1, 3]);
    let assigned =
        |assignment: Vec<(i32, Vec<i32>)>| NewTopic { assignment, ..topic("assigned", -1) };
    let bad = [
        vec![(1, vec![1])],
        vec![(0, vec![1]), (0, vec![2])],
        vec![(0, vec![])],
        vec![(0, vec![1, 1])],
        vec![(0, vec![9])],
        vec![(0, vec![-1])],
        vec![(0, vec![1]), (1, vec![1, 2, 3])],
        vec![(0, vec![1, 2])],
    ];
    for assignment in bad {
        let reason = leader.reason(&assigned(assignment.clone()));
        assert_eq!(reason, Reason::InvalidReplicaAssignment, "{assignment:?}");
    }
    let both = NewTopic { partitions: 1, ..assigned(vec![(0, vec![1])]) };
    assert_eq!(leader.reason(&both), Reason::InvalidRequest);

    let plan = leader.create(&assigned(vec![(1, vec![3, 1, 2]), (0, vec![2, 3, 1])])).unwrap();
    let image = leader.metadata.image();
    let nodes = |partition: usize| -> Vec<u32> {
        image.shards[&plan.partitions[partition].shard].nodes().map(|node| node.0).collect()
    };
    assert_eq!(nodes(0), [2, 3, 1]);
    assert_eq!(nodes(1), [3, 1, 2]);
}

#[test]
fn every_declared_config_accepts_its_default_and_is_found() {
    assert!(TOPIC_CONFIGS.is_sorted_by(|a, b| a.name < b.name));
    let mut leader = Leader::founded(1, &[1]);
    let configs = TOPIC_CONFIGS
        .iter()
        .map(|config| (config.name.to_owned(), config.default.map(str::to_owned)))
        .collect();
    leader.create(&NewTopic { configs, ..topic("all", 1) }).unwrap();
    leader.create(&topic("none", 1)).unwrap();
    let image = leader.metadata.image();
    let settings = TopicSettings::of_topic(&image, image.topic("none").unwrap());
    assert_eq!(settings, TopicSettings::of_topic(&image, image.topic("all").unwrap()));
    assert_eq!(settings.max_message_bytes, 1_048_588);
    assert_eq!(settings.timestamp_after_max_ms, 3_600_000);
    assert!(settings.deletes && !settings.compacts && !settings.log_append_time);
}

#[test]
fn unknown_and_bad_configs_are_refused_and_the_message_names_what_is_valid() {
    let mut leader = Leader::founded(1, &[1]);
    let cases = [
        ("retention", Some("1"), "retention.ms"),
        ("retention.ms", None, "at least -1"),
        ("retention.ms", Some("-2"), "at least -1"),
        ("retention.ms", Some("1h"), "at least -1"),
        ("retention.ms", Some("9223372036854775808"), "at least -1"),
        ("cleanup.policy", Some("compact,shred"), "compact, delete"),
        ("cleanup.policy", Some("compact,compact"), "compact, delete"),
        ("compression.type", Some("brotli"), "zstd"),
        ("compression.gzip.level", Some("0"), "-1 or"),
        ("max.message.bytes", Some("-1"), "from 0 to 2147483647"),
        ("min.cleanable.dirty.ratio", Some("1.5"), "from 0 to 1"),
        ("min.cleanable.dirty.ratio", Some("NaN"), "from 0 to 1"),
        ("preallocate", Some("yes"), "true or false"),
        ("min.compaction.lag.ms", Some("x"), "at least 0"),
        ("leader.replication.throttled.replicas", Some("1"), "partition:node"),
    ];
    for (name, value, hint) in cases {
        let configs = vec![(name.to_owned(), value.map(str::to_owned))];
        let refusal = leader.create(&NewTopic { configs, ..topic("c", 1) }).unwrap_err();
        assert_eq!(refusal.reason, Reason::InvalidConfig, "{name}={value:?}");
        assert!(refusal.message.contains(hint), "{name}={value:?}: {refusal}");
    }
    let set = |pairs: &[(&str, &str)]| NewTopic {
        configs: pairs.iter().map(|(k, v)| ((*k).to_owned(), Some((*v).to_owned()))).collect(),
        ..topic("c", 1)
    };
    for pairs in [
        &[("min.compaction.lag.ms", "10"), ("max.compaction.lag.ms", "9")],
        &[("retention.ms", "1"), ("retention.ms", "1")],
    ] {
        assert_eq!(leader.reason(&set(pairs)), Reason::InvalidConfig);
    }
    leader.create(&set(&[("cleanup.policy", "compact, delete"), ("preallocate", "TRUE")])).unwrap();
}

#[test]
fn validating_decides_the_same_and_changes_nothing() {
    let mut leader = Leader::founded(1, &[1]);
    let id = leader.topic_id();
    let wanted = topic("t", 3);
    let plan = validate_create_topic(&leader.decider, &leader.metadata, &wanted, id).unwrap();
    assert_eq!(plan.place, None);
    let decided = leader.create(&wanted).unwrap();
    assert_eq!(plan.partitions, decided.partitions);
}

#[test]
fn addresses_no_client_can_reach_are_not_advertised() {
    let leader = Leader::founded(1, &[1]);
    let image = leader.metadata.image();
    let mut builder = CommandBuilder::new();
    let mut register = |host: &str, port: u16| {
        let listeners = [Listener { name: "A".to_owned(), host: host.to_owned(), port }];
        let origin = AuditOrigin::node(NodeId(1));
        propose_register_node(&image, NodeId(1), &listeners, origin, &mut builder)
    };
    for (host, port) in [("", 9092), ("0.0.0.0", 9092), ("::", 9092), ("a", 0)] {
        assert_eq!(register(host, port).unwrap_err().reason, Reason::InvalidRequest);
    }
    assert_eq!(register("a", 1), Ok(Some(0)));
}

#[test]
fn a_node_that_changed_nothing_needs_no_entry() {
    let leader = Leader::founded(1, &[1]);
    let image = leader.metadata.image();
    let mut builder = CommandBuilder::new();
    let origin = AuditOrigin::node(NodeId(1));
    let known = [listener(9092)];
    let place = propose_register_node(&image, NodeId(1), &known, origin, &mut builder);
    assert_eq!(place, Ok(None));
    assert!(builder.is_empty());
}

#[test]
fn nothing_is_decided_before_the_cluster_is_founded_and_it_is_founded_once() {
    let metadata = Metadata::new();
    let id = TopicId([1; 16]);
    let refusal =
        validate_create_topic(&Decider::new(), &metadata, &topic("t", 1), id).unwrap_err();
    assert_eq!(refusal.reason, Reason::InvalidRequest);
    let leader = Leader::founded(1, &[1]);
    let again = Genesis::single_node(ClusterId([9; 16]), NodeId(1), vec![listener(1)]);
    let image = leader.metadata.image();
    let origin = AuditOrigin::node(NodeId(1));
    assert!(propose_genesis(&image, again, origin).is_err());
}
