//! What every replica does with an entry.

use std::sync::Arc;

use super::*;

#[test]
fn one_node_alone_gets_shard_0_and_sixteen_data_shards_with_unique_replica_ids() {
    let leader = Leader::founded(1, &[1]);
    let image = leader.metadata.image();
    assert_eq!(image.shards.len(), 17);
    let mut replicas: Vec<_> =
        image.shards.values().flat_map(|shard| &shard.replicas).map(|(id, _)| id.0).collect();
    replicas.sort_unstable();
    assert_eq!(replicas, (1..=17).collect::<Vec<_>>());
}

#[test]
fn three_nodes_lead_about_as_many_shards_each_by_preference() {
    let leader = Leader::founded(3, &[1, 3]);
    let image = leader.metadata.image();
    assert_eq!(image.shards.len(), 33);
    assert_eq!(image.shards[&holdfast_base::ShardId::METADATA].replication_factor, 3);
    for node in 1..=3 {
        let first = |shard: &&ShardPlacement| shard.nodes().next() == Some(NodeId(node));
        let leads = image.shards.values().filter(first).count();
        assert!((10..=12).contains(&leads), "node {node} leads {leads}");
    }
}

#[test]
fn the_same_log_gives_the_same_state_and_hash() {
    let leader = eventful();
    let replica = replay(&leader.log);
    assert_eq!(replica.hash(), leader.metadata.hash());
    assert_eq!(replica.image(), leader.metadata.image());
    assert_eq!(replica.snapshot(), leader.metadata.snapshot());
}

#[test]
fn a_replica_restored_from_any_snapshot_ends_in_the_same_state() {
    let leader = eventful();
    for cut in 0..=leader.log.len() {
        let (before, after) = leader.log.split_at(cut);
        let snapshot = replay(before).snapshot();
        let mut restored = Metadata::restore(&snapshot).unwrap();
        assert_eq!(restored.snapshot(), snapshot);
        for (facts, commands) in after {
            restored.apply(*facts, commands).unwrap();
        }
        assert_eq!(restored.hash(), leader.metadata.hash());
        assert_eq!(restored.snapshot(), leader.metadata.snapshot());
        assert_eq!(restored.collision_keys, leader.metadata.collision_keys);
        assert_eq!(restored.load, leader.metadata.load);
        let id = TopicId([99; 16]);
        let plan = |metadata: &Metadata| {
            validate_create_topic(&Decider::new(), metadata, &topic("next", 9), id).unwrap()
        };
        assert_eq!(plan(&restored), plan(&leader.metadata), "derived tables are rebuilt");
    }
}

#[test]
fn the_hash_differs_when_an_entry_or_its_outcome_differs() {
    let leader = eventful();
    let mut seen = vec![leader.metadata.hash()];
    for left_out in 1..leader.log.len() {
        let mut log = leader.log.clone();
        log.remove(left_out);
        seen.push(replay(&log).hash());
    }
    let count = seen.len();
    seen.sort_unstable();
    seen.dedup();
    assert_eq!(seen.len(), count);
}

#[test]
fn an_entry_without_commands_moves_applied_and_nothing_else() {
    let mut leader = Leader::founded(1, &[1]);
    let (hash, before) = (leader.metadata.hash(), leader.metadata.image());
    let applied = leader.apply(Vec::new());
    assert_eq!(applied, Applied { outcomes: vec![], image_changed: false });
    assert_eq!(leader.metadata.hash(), hash);
    assert_eq!(leader.metadata.image().applied, before.applied.next());
}

#[test]
fn a_name_taken_in_the_meantime_is_refused_at_apply() {
    let mut leader = Leader::founded(1, &[1]);
    let mut late = CommandBuilder::new();
    leader.decide(&topic("a.b", 1), &mut late).unwrap();
    leader.decider.reset();
    leader.create(&topic("a_b", 1)).unwrap();
    let applied = leader.apply(late.finish());
    let [CommandOutcome::Refused { refusal, .. }] = &applied.outcomes[..] else {
        panic!("{applied:?}");
    };
    assert_eq!(refusal.reason, Reason::InvalidTopicName);
    assert!(!applied.image_changed);
    assert_eq!(leader.metadata.image().topics_by_name.len(), 1);
}

#[test]
fn deleting_twice_is_refused_the_second_time() {
    let mut leader = Leader::founded(1, &[1]);
    let id = leader.create(&topic("t", 1)).unwrap().id;
    let mut late = CommandBuilder::new();
    let by_id = TopicRef::Id(id);
    propose_delete_topic(&mut Decider::new(), &leader.metadata, &by_id, origin(), &mut late)
        .unwrap();
    leader.delete(by_id).unwrap();
    let recreated = leader.create(&topic("t", 1)).unwrap();
    let applied = leader.apply(late.finish());
    assert!(matches!(
        &applied.outcomes[..],
        [CommandOutcome::Refused { refusal, .. }] if refusal.reason == Reason::UnknownTopicId
    ));
    assert_eq!(leader.metadata.image().topic("t").unwrap().id, recreated.id);
}

#[test]
fn producer_ids_are_never_given_twice_even_when_decided_twice() {
    let mut leader = Leader::founded(1, &[1]);
    let mut given = Vec::new();
    for round in 0..4 {
        let mut builder = CommandBuilder::new();
        for _ in 0..2 {
            propose_allocate_producer_ids(
                &mut leader.decider,
                &leader.metadata,
                NodeId(1),
                &mut builder,
            )
            .unwrap();
        }
        if round == 1 {
            leader.decider.reset();
            continue; // the entry was lost
        }
        if round == 2 {
            let mut stale = Decider::new();
            propose_allocate_producer_ids(&mut stale, &leader.metadata, NodeId(1), &mut builder)
                .unwrap();
        }
        for outcome in leader.apply(builder.finish()).outcomes {
            match outcome {
                CommandOutcome::ProducerIds(block) => given.push(block.first),
                CommandOutcome::Refused { refusal, .. } => {
                    assert_eq!((round, refusal.reason), (2, Reason::InvalidRequest));
                }
                other => panic!("{other:?}"),
            }
        }
    }
    assert_eq!(given, [0, 1_000, 2_000, 3_000, 4_000, 5_000]);
    assert_eq!(leader.metadata.next_producer_id(), 6_000);
}

#[test]
fn an_image_keeps_what_it_showed_and_shares_what_did_not_change() {
    let mut leader = Leader::founded(1, &[1]);
    leader.create(&topic("a", 1)).unwrap();
    let before = leader.metadata.image();
    leader.create(&topic("b", 1)).unwrap();
    let after = leader.metadata.image();
    assert!(before.topic("b").is_none() && after.topic("b").is_some());
    assert!(Arc::ptr_eq(before.topic("a").unwrap(), after.topic("a").unwrap()));
    assert!(Arc::ptr_eq(&before.shards, &after.shards));
    let id = after.topic("a").unwrap().id;
    assert!(Arc::ptr_eq(after.topic_by_id(id).unwrap(), after.topic("a").unwrap()));
}

#[test]
fn entries_out_of_order_break_the_replica_and_change_nothing() {
    let mut leader = eventful();
    let (hash, good) = (leader.metadata.hash(), leader.facts());
    let bad = [
        EntryFacts { index: leader.metadata.applied(), ..good },
        EntryFacts { term: Term(2), ..good },
        EntryFacts { time_ms: 0, ..good },
    ];
    for facts in bad {
        assert_eq!(leader.metadata.apply(facts, &[]).unwrap_err().index, facts.index);
    }
    assert_eq!(leader.metadata.hash(), hash);
    leader.metadata.apply(good, &[]).unwrap();
}

#[test]
fn a_genesis_that_contradicts_itself_is_refused() {
    let nodes = || (1..=3).map(|id| (NodeId(id), Node::default())).collect();
    let good = Genesis::spread(ClusterId([1; 16]), nodes(), &[3]);
    let broken: [fn(&mut Genesis); 6] = [
        |genesis| genesis.cluster = ClusterId::default(),
        |genesis| drop(genesis.shards.pop_first()),
        |genesis| drop(genesis.nodes.pop_first()),
        |genesis| genesis.shards.values_mut().for_each(|shard| shard.replication_factor = 2),
        |genesis| genesis.shards.values_mut().for_each(|shard| shard.replicas[0].0.0 = 5),
        |genesis| genesis.shards.values_mut().for_each(|shard| shard.replicas[0].1 = NodeId(2)),
    ];
    let image = Metadata::new().image();
    let propose = |genesis| propose_genesis(&image, genesis, AuditOrigin::node(NodeId(1)));
    assert!(propose(good.clone()).is_ok());
    for (number, breaks) in broken.into_iter().enumerate() {
        let mut genesis = good.clone();
        breaks(&mut genesis);
        assert!(propose(genesis).is_err(), "case {number}");
    }
}
