//! More partitions, and where a new cluster's coordinator slots are.

use holdfast_base::{CoordinatorSlot, ShardId};

use super::*;

fn refused(leader: &mut Leader, name: &str, total: i32) -> Refusal {
    leader.grow(name, total).expect_err("must be refused")
}

#[test]
fn fifty_coordinator_slots_go_round_the_data_shards_in_order() {
    for (nodes, factors, shards) in [(1, &[1][..], 16), (3, &[1, 3][..], 32)] {
        let leader = Leader::founded(nodes, factors);
        let image = leader.metadata.image();
        assert_eq!(image.coordinator_slots.len(), 50);
        for (slot, placement) in image.coordinator_slots.iter().enumerate() {
            let expected = Placement { shard: ShardId(1 + slot as u32 % shards), generation: 0 };
            assert_eq!(*placement, expected);
        }
        let (shard, _) = image.shard_of_slot(CoordinatorSlot::of("group")).unwrap();
        assert_eq!(shard, ShardId(1 + 47 % shards));
    }
}

#[test]
fn the_hash_covers_where_coordinator_slots_are() {
    let mut leader = Leader::founded(1, &[1]);
    let mut other = leader.metadata.clone();
    std::sync::Arc::make_mut(&mut other.image.coordinator_slots)[7].generation = 1;
    let facts = leader.facts();
    let mut builder = CommandBuilder::new();
    leader.decide(&topic("t", 1), &mut builder).unwrap();
    let commands = builder.finish();
    leader.metadata.apply(facts, &commands).unwrap();
    other.apply(facts, &commands).unwrap();
    assert_ne!(leader.metadata.hash(), other.hash());
}

#[test]
fn a_topic_grows_keeps_what_it_has_and_counts_towards_load() {
    let mut leader = Leader::founded(1, &[1]);
    let made = leader.create(&topic("t", 3)).unwrap();
    let plan = leader.grow("t", 20).unwrap();
    assert_eq!((plan.place, plan.id, plan.total), (Some(0), made.id, 20));
    let image = leader.metadata.image();
    let grown = image.topic("t").unwrap();
    assert_eq!(grown.partitions[..3], made.partitions);
    assert_eq!(grown.partitions[3..], plan.added);
    assert!(std::sync::Arc::ptr_eq(grown, image.topic_by_id(made.id).unwrap()));
    let loads: Vec<u64> = (1..=16).map(|shard| leader.metadata.load(ShardId(shard))).collect();
    assert_eq!(loads.iter().sum::<u64>(), 20);
    assert!(loads.iter().all(|load| (1..=2).contains(load)), "{loads:?}");
    leader.delete(TopicRef::Id(made.id)).unwrap();
    assert!((1..=16).all(|shard| leader.metadata.load(ShardId(shard)) == 0));
}

#[test]
fn numbers_that_are_no_increase_are_refused_in_kafkas_words() {
    let mut leader = Leader::founded(1, &[1]);
    leader.create(&topic("t", 3)).unwrap();
    let same = refused(&mut leader, "t", 3);
    assert_eq!(same.reason, Reason::InvalidPartitions);
    assert_eq!(same.message, "Topic already has 3 partition(s).");
    for total in [2, 0, -1, i32::MIN] {
        let fewer = refused(&mut leader, "t", total);
        assert_eq!(fewer.reason, Reason::InvalidPartitions);
        let expected =
            format!("The topic t currently has 3 partition(s); {total} would not be an increase.");
        assert_eq!(fewer.message, expected);
    }
    let many = refused(&mut leader, "t", PARTITIONS_PER_TOPIC_MAX + 1);
    assert_eq!(many.reason, Reason::InvalidPartitions);
    assert!(many.message.contains("currently has 3") && many.message.contains("10000"), "{many}");
    assert_eq!(refused(&mut leader, "nobody", 3).reason, Reason::UnknownTopic);
    leader.grow("t", PARTITIONS_PER_TOPIC_MAX).unwrap();
}

#[test]
fn assignments_of_new_partitions_are_checked_and_kept() {
    let mut leader = Leader::founded(3, &[1, 3]);
    leader.create(&NewTopic { replication_factor: 3, ..topic("t", 1) }).unwrap();
    let grow = |leader: &mut Leader, assignment: &[&[i32]]| {
        let assignment = assignment.iter().map(|nodes| nodes.to_vec()).collect();
        let grow = GrowTopic { name: "t".to_owned(), total: 3, assignment };
        let mut builder = CommandBuilder::new();
        let (decider, metadata) = (&mut leader.decider, &leader.metadata);
        let plan = propose_create_partitions(decider, metadata, &grow, origin(), &mut builder)?;
        leader.apply(builder.finish());
        Ok::<_, Refusal>(plan)
    };
    for bad in [
        &[&[1, 2, 3][..]][..],
        &[&[1, 2, 3], &[1, 2, 3], &[1, 2, 3]],
        &[&[1, 2, 3], &[1]],
        &[&[1], &[1]],
        &[&[1, 2, 9], &[1, 2, 3]],
        &[&[1, 2, 2], &[1, 2, 3]],
        &[&[], &[]],
    ] {
        let refusal = grow(&mut leader, bad).unwrap_err();
        assert_eq!(refusal.reason, Reason::InvalidReplicaAssignment, "{bad:?}: {refusal}");
    }
    let plan = grow(&mut leader, &[&[2, 3, 1], &[3, 1, 2]]).unwrap();
    let image = leader.metadata.image();
    let first = |place: usize| image.shards[&plan.added[place].shard].nodes().next().unwrap();
    assert_eq!((first(0), first(1)), (NodeId(2), NodeId(3)));
}

#[test]
fn growth_in_flight_counts_for_what_is_decided_next() {
    let mut leader = Leader::founded(1, &[1]);
    let mut builder = CommandBuilder::new();
    leader.decide(&topic("t", 1), &mut builder).unwrap();
    assert_eq!(leader.decide_growth("t", 3, &mut builder).unwrap().added.len(), 2);
    assert_eq!(
        leader.decide_growth("t", 3, &mut builder).unwrap_err().message,
        "Topic already has 3 partition(s)."
    );
    assert_eq!(leader.decide_growth("t", 16, &mut builder).unwrap().added.len(), 13);
    let applied = leader.apply(builder.finish());
    assert!(!applied.outcomes.iter().any(|o| matches!(o, CommandOutcome::Refused { .. })));
    assert!((1..=16).all(|shard| leader.metadata.load(ShardId(shard)) == 1), "spread in flight");
    assert!(leader.decider.grown.is_empty(), "nothing is in flight any more");
    assert!(leader.decider.load.values().all(|load| *load == 0));
}

#[test]
fn growth_decided_on_another_number_of_partitions_is_refused_at_apply() {
    let mut leader = Leader::founded(1, &[1]);
    leader.create(&topic("t", 1)).unwrap();
    let mut late = CommandBuilder::new();
    leader.decide_growth("t", 3, &mut late).unwrap();
    leader.decide_growth("t", 4, &mut late).unwrap();
    leader.decider.reset();
    leader.grow("t", 2).unwrap();
    let applied = leader.apply(late.finish());
    for outcome in &applied.outcomes {
        let CommandOutcome::Refused { refusal, .. } = outcome else { panic!("{applied:?}") };
        assert_eq!(refusal.reason, Reason::InvalidPartitions);
    }
    assert!(!applied.image_changed);
    assert_eq!(leader.metadata.image().topic("t").unwrap().partitions.len(), 2);
    leader.grow("t", 5).unwrap();
}

#[test]
fn a_deleted_topic_takes_its_growth_in_flight_along() {
    let mut leader = Leader::founded(1, &[1]);
    leader.create(&topic("t", 1)).unwrap();
    let mut builder = CommandBuilder::new();
    leader.decide_growth("t", 3, &mut builder).unwrap();
    let name = TopicRef::Name("t".to_owned());
    let (decider, metadata) = (&mut leader.decider, &leader.metadata);
    propose_delete_topic(decider, metadata, &name, origin(), &mut builder).unwrap();
    let refusal = leader.decide_growth("t", 4, &mut builder).unwrap_err();
    assert_eq!(refusal.reason, Reason::UnknownTopic);
    leader.decide(&topic("t", 2), &mut builder).unwrap();
    leader.apply(builder.finish());
    assert_eq!(leader.grow("t", 3).unwrap().added.len(), 1);
}

#[test]
fn validating_growth_changes_nothing() {
    let mut leader = Leader::founded(1, &[1]);
    leader.create(&topic("t", 1)).unwrap();
    let grow = GrowTopic { name: "t".to_owned(), total: 4, assignment: Vec::new() };
    let plan = validate_create_partitions(&leader.decider, &leader.metadata, &grow).unwrap();
    assert_eq!(plan.place, None);
    assert_eq!(leader.grow("t", 4).unwrap().added, plan.added);
}
