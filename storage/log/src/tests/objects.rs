//! The life of an object, step by step; and that the leader refuses what every replica would.

use holdfast_base::{Index, PartitionKey, Term};

use super::support::{Leader, batch, create, key};
use crate::{
    Command, CommandOutcome, Intent, Manifest, ManifestRow, OPEN_INTENTS_MAX, ObjectId, ObjectKind,
    ObjectRow, ObjectState, ObjectStep, PartitionConfig, Refused, RemovePartition, Step,
};

pub(super) fn id(name: u8) -> ObjectId {
    ObjectId([name; 16])
}

pub(super) fn intent(name: u8, term: u64, first: u64, last: u64) -> Command {
    Command::Intent(Intent {
        object: id(name),
        term: Term(term),
        sequence: u64::from(name),
        first_index: Index(first),
        last_index: Index(last),
    })
}

pub(super) fn row(partition: PartitionKey, base_offset: i64, last_offset: i64) -> ManifestRow {
    let len_bytes = u32::try_from(last_offset - base_offset + 1).unwrap() * 100;
    ManifestRow { partition, len_bytes, base_offset, last_offset, max_timestamp_ms: 5 }
}

pub(super) fn manifest(name: u8, term: u64, rows: &[ManifestRow]) -> Command {
    let bytes: u64 = rows.iter().map(|row| u64::from(row.len_bytes)).sum();
    Command::Manifest(Manifest {
        object: id(name),
        object_bytes: 128 + bytes + 400,
        tail_bytes: 400,
        sha256: [name; 32],
        created_ms: 9,
        last_term: Term(term),
        rows: rows.to_vec(),
    })
}

pub(super) fn step(name: u8, step: Step) -> Command {
    Command::ObjectStep(ObjectStep { object: id(name), step })
}

/// Applies a command that nobody decided, and holds what the decider says of it against that.
pub(super) fn tell(leader: &mut Leader, command: &Command) -> CommandOutcome {
    let mut entry = crate::EntryBuilder::new();
    let (decider, shard) = (&mut leader.decider, &leader.shard);
    let decided = match command {
        Command::Intent(intent) => decider.propose_intent(shard, &mut entry, intent),
        Command::MergeIntent(intent) => decider.propose_merge_intent(shard, &mut entry, intent),
        Command::Manifest(manifest) => decider.propose_manifest(shard, &mut entry, manifest),
        Command::ObjectStep(step) => decider.propose_object_step(shard, &mut entry, step),
        other => panic!("not of objects: {other:?}"),
    };
    let mut bytes = Vec::new();
    command.encode(&mut bytes);
    leader.send_bytes(bytes.clone());
    let applied = leader.commit_one().expect("it was sent");
    let outcome = applied.outcomes[0];
    assert_eq!(applied.objects, !matches!(outcome, CommandOutcome::Refused(_)));
    // The term of a reign is not in the state.
    let of_another_term = matches!(command, Command::Intent(intent) | Command::MergeIntent(intent) if intent.term.0 != leader.term);
    match (decided, outcome) {
        _ if of_another_term => {}
        (Ok(_), _) => assert_eq!(entry.finish(), bytes, "{outcome:?}"),
        (Err(refused), outcome) => assert_eq!(CommandOutcome::Refused(refused), outcome),
    }
    outcome
}

#[track_caller]
pub(super) fn refused(leader: &mut Leader, command: &Command, why: &str) {
    let before = (leader.shard.uploaded(), leader.shard.objects().cloned().collect::<Vec<_>>());
    let outcome = tell(leader, command);
    let CommandOutcome::Refused(Refused::InvalidObject { what }) = outcome else {
        panic!("{command:?} is {outcome:?}");
    };
    assert_eq!(what, why);
    let after = (leader.shard.uploaded(), leader.shard.objects().cloned().collect::<Vec<_>>());
    assert_eq!(after, before, "a refusal changes nothing");
}

pub(super) fn object(leader: &Leader, name: u8) -> &ObjectRow {
    leader.shard.object(id(name)).unwrap()
}

fn states(leader: &Leader) -> Vec<ObjectState> {
    leader.shard.objects().map(|row| row.state).collect()
}

/// Partitions 0 and 1; entries 3 to 8 have two records each, for 0, 1, 0, 1, 0, 1.
pub(super) fn written() -> Leader {
    let mut leader = Leader::with_partition(PartitionConfig::default());
    leader.create(&create(1, PartitionConfig::default()));
    for turn in 0..6 {
        let mut entry = crate::EntryBuilder::new();
        leader.decide(&mut entry, turn % 2, &batch(2)).unwrap();
        leader.send(entry);
        leader.commit_all();
    }
    assert_eq!((leader.index, leader.high_watermark()), (8, 6));
    leader
}

pub(super) fn delete_before(leader: &mut Leader, partition: i32, before: i64) -> CommandOutcome {
    leader.admin(|decider, shard, entry, _| {
        decider.propose_delete_records(shard, entry, key(partition), before)
    })
}

pub(super) fn remove(leader: &mut Leader, partition: i32) -> CommandOutcome {
    let remove = RemovePartition { partition: key(partition), generation: 1 };
    leader.admin(|decider, shard, entry, _| decider.propose_remove_partition(shard, entry, &remove))
}

/// As [`written`], with entries 3 to 6 in object 1.
fn with_an_object() -> Leader {
    let mut leader = written();
    tell(&mut leader, &intent(1, 1, 3, 6));
    let rows = [row(key(0), 0, 3), row(key(1), 0, 3)];
    assert_eq!(tell(&mut leader, &manifest(1, 1, &rows)), CommandOutcome::ObjectLive);
    leader
}

#[test]
fn a_manifest_tells_partitions_their_object_and_moves_uploaded() {
    let mut leader = written();
    assert_eq!(leader.shard.uploaded(), Index(0));
    assert_eq!(tell(&mut leader, &intent(1, 1, 3, 6)), CommandOutcome::ObjectIntended);
    assert_eq!(leader.shard.uploaded(), Index(0), "an intent is not yet an object");
    leader.time_ms += 7;
    let rows = [row(key(0), 0, 3), row(key(1), 0, 3)];
    assert_eq!(tell(&mut leader, &manifest(1, 1, &rows)), CommandOutcome::ObjectLive);
    assert_eq!((leader.shard.uploaded(), leader.shard.uploaded_term()), (Index(6), Term(1)));
    let expected = ObjectRow {
        number: 1,
        object: id(1),
        term: Term(1),
        sequence: 1,
        kind: ObjectKind::Cut,
        first_index: Index(3),
        last_index: Index(6),
        state: ObjectState::Live,
        changed_ms: leader.time_ms,
        object_bytes: 1328,
        tail_bytes: 400,
        sha256: [1; 32],
        created_ms: 9,
        last_term: Term(1),
        live_rows: 2,
        dead_since_ms: None,
    };
    assert_eq!(leader.shard.object(id(1)), Some(&expected));
    assert_eq!(leader.shard.object_at(1), Some(&expected));
    let partition = leader.shard.partition(&key(0)).unwrap();
    assert_eq!((partition.objects().len(), partition.uploaded_end()), (1, 4));
    let places = [(0, Some(1)), (3, Some(1)), (4, None), (5, None)];
    for (offset, number) in places {
        let found = partition.object_at(offset).map(|row| row.number);
        assert_eq!(found, number, "offset {offset}");
    }
}

#[test]
fn intents_are_of_their_term_of_applied_entries_and_behind_each_other() {
    let mut leader = with_an_object();
    refused(&mut leader, &intent(2, 9, 7, 8), "it is of another term");
    refused(&mut leader, &intent(2, 1, 6, 8), "its range begins in another object's");
    let (next, own) = (leader.index, leader.index + 1);
    refused(&mut leader, &intent(2, 1, 7, own), "its range is not applied");
    refused(&mut leader, &intent(1, 1, 7, 8), "its id is known");
    assert_eq!(tell(&mut leader, &intent(2, 1, 7, next)), CommandOutcome::ObjectIntended);
    refused(&mut leader, &intent(3, 1, next, next), "its range begins in another object's");
}

#[test]
fn no_more_intents_are_open_than_a_new_leader_may_have_to_abandon() {
    let mut leader = written();
    let open = OPEN_INTENTS_MAX as u64;
    for at in 0..open {
        leader.append(&batch(1));
        let name = at as u8 + 1;
        assert_eq!(
            tell(&mut leader, &intent(name, 1, at + 1, at + 1)),
            CommandOutcome::ObjectIntended
        );
    }
    refused(&mut leader, &intent(99, 1, open + 1, open + 1), "too many are announced");
    tell(&mut leader, &step(OPEN_INTENTS_MAX as u8, Step::Abandon));
    assert_eq!(tell(&mut leader, &intent(99, 1, open, open)), CommandOutcome::ObjectIntended);
}

#[test]
fn manifests_are_taken_in_the_order_of_their_ranges() {
    let mut leader = written();
    tell(&mut leader, &intent(1, 1, 3, 4));
    tell(&mut leader, &intent(2, 1, 5, 6));
    let why = "it is not that of the first open intent";
    refused(&mut leader, &manifest(2, 1, &[row(key(0), 2, 3)]), why);
    refused(&mut leader, &manifest(3, 1, &[row(key(0), 0, 1)]), why);
    let first = manifest(1, 1, &[row(key(0), 0, 1), row(key(1), 0, 1)]);
    assert_eq!(tell(&mut leader, &first), CommandOutcome::ObjectLive);
    refused(&mut leader, &first, why);
    let second = manifest(2, 1, &[row(key(0), 2, 3), row(key(1), 2, 3)]);
    assert_eq!(tell(&mut leader, &second), CommandOutcome::ObjectLive);
    assert_eq!(leader.shard.uploaded(), Index(6));
    let numbers: Vec<u64> =
        leader.shard.partition(&key(1)).unwrap().objects().iter().map(|row| row.number).collect();
    assert_eq!(numbers, [1, 2]);
}

#[test]
fn a_manifest_with_a_row_that_does_not_fit_is_refused_whole() {
    let mut leader = with_an_object();
    tell(&mut leader, &intent(2, 1, 7, 8));
    let good = row(key(1), 4, 5);
    for (base, last, what) in
        [(3, 5, "overlaps"), (5, 5, "leaves a hole"), (4, 6, "ends behind the high watermark")]
    {
        let lie = manifest(2, 1, &[row(key(0), base, last), good]);
        refused(&mut leader, &lie, "its rows do not fit their partitions");
        assert_eq!(leader.shard.partition(&key(1)).unwrap().objects().len(), 1, "{what}");
    }
    let true_one = manifest(2, 1, &[row(key(0), 4, 5), good]);
    assert_eq!(tell(&mut leader, &true_one), CommandOutcome::ObjectLive);
}

#[test]
fn an_abandoned_intent_takes_those_behind_it_along_so_that_uploaded_never_jumps_over_it() {
    let mut leader = written();
    tell(&mut leader, &intent(1, 1, 3, 4));
    tell(&mut leader, &intent(2, 1, 5, 6));
    tell(&mut leader, &intent(3, 1, 7, 8));
    assert_eq!(tell(&mut leader, &step(2, Step::Abandon)), CommandOutcome::ObjectStepped);
    let (open, given_up) = (ObjectState::Intended, ObjectState::Abandoned);
    assert_eq!(states(&leader), [open, given_up, given_up]);
    let late = manifest(3, 1, &[row(key(0), 4, 5), row(key(1), 4, 5)]);
    refused(&mut leader, &late, "it is not that of the first open intent");
    let first = manifest(1, 1, &[row(key(0), 0, 1), row(key(1), 0, 1)]);
    assert_eq!(tell(&mut leader, &first), CommandOutcome::ObjectLive);
    assert_eq!(leader.shard.uploaded(), Index(4));
    // What was given up is announced anew, under another name.
    assert_eq!(tell(&mut leader, &intent(4, 1, 5, 8)), CommandOutcome::ObjectIntended);
}

#[test]
fn rows_nobody_can_read_are_left_out_of_a_manifest() {
    let mut leader = written();
    tell(&mut leader, &intent(1, 1, 3, 6));
    delete_before(&mut leader, 0, 4);
    remove(&mut leader, 1);
    let rows = [row(key(0), 0, 3), row(key(1), 0, 3), row(key(2), 0, 9)];
    assert_eq!(tell(&mut leader, &manifest(1, 1, &rows)), CommandOutcome::ObjectLive);
    assert_eq!((object(&leader, 1).live_rows, leader.shard.uploaded()), (0, Index(6)));
    assert_eq!(leader.shard.partition(&key(0)).unwrap().objects().len(), 0);
    // The next one begins where the deletion ended, or before: it was planned earlier.
    tell(&mut leader, &intent(2, 1, 7, 8));
    assert_eq!(
        tell(&mut leader, &manifest(2, 1, &[row(key(0), 4, 5)])),
        CommandOutcome::ObjectLive
    );
}

#[test]
fn rows_go_with_the_records_and_the_object_may_retire_with_the_last() {
    let mut leader = with_an_object();
    let early = "its state does not allow that step";
    delete_before(&mut leader, 0, 3);
    assert_eq!(object(&leader, 1).live_rows, 2, "its last record is there");
    delete_before(&mut leader, 0, 4);
    assert_eq!(object(&leader, 1).live_rows, 1);
    assert!(leader.shard.partition(&key(0)).unwrap().object_at(0).is_none());
    refused(&mut leader, &step(1, Step::Retire), early);
    assert_eq!(leader.shard.unsettled_objects().count(), 0);
    remove(&mut leader, 1);
    assert_eq!(object(&leader, 1).live_rows, 0);
    assert_eq!(leader.shard.unsettled_objects().count(), 1);
    refused(&mut leader, &step(1, Step::Gone), early);
    refused(&mut leader, &step(1, Step::Abandon), early);
    leader.time_ms += 3;
    assert_eq!(tell(&mut leader, &step(1, Step::Retire)), CommandOutcome::ObjectStepped);
    assert_eq!(object(&leader, 1).changed_ms, leader.time_ms);
    refused(&mut leader, &step(1, Step::Retire), early);
    assert_eq!(tell(&mut leader, &step(1, Step::Gone)), CommandOutcome::ObjectStepped);
    assert_eq!(leader.shard.objects().len(), 0);
    refused(&mut leader, &step(1, Step::Gone), "no such object is known");
    assert_eq!(leader.shard.uploaded(), Index(6), "what was uploaded stays so");
}

#[test]
fn an_intent_is_abandoned_and_its_row_goes_when_its_bytes_are_gone() {
    let mut leader = written();
    tell(&mut leader, &intent(1, 1, 3, 6));
    let early = "its state does not allow that step";
    refused(&mut leader, &step(1, Step::Retire), early);
    refused(&mut leader, &step(1, Step::Gone), early);
    assert_eq!(tell(&mut leader, &step(1, Step::Abandon)), CommandOutcome::ObjectStepped);
    refused(&mut leader, &step(1, Step::Abandon), early);
    refused(&mut leader, &intent(1, 1, 3, 6), "its id is known");
    assert_eq!(tell(&mut leader, &step(1, Step::Gone)), CommandOutcome::ObjectStepped);
    assert_eq!(leader.shard.objects().len(), 0);
}

#[test]
fn a_manifest_that_no_replica_could_read_is_never_proposed() {
    let mut leader = written();
    tell(&mut leader, &intent(1, 1, 3, 6));
    let Command::Manifest(good) = manifest(1, 1, &[row(key(0), 0, 3)]) else { unreachable!() };
    let twice = vec![good.rows[0]; 2];
    for (lie, what) in [
        (Manifest { rows: Vec::new(), ..good.clone() }, "its rows are none, or too many"),
        (Manifest { rows: twice, ..good.clone() }, "its partitions do not ascend"),
        (Manifest { tail_bytes: 0, ..good }, "its lengths or its term are impossible"),
    ] {
        let mut entry = crate::EntryBuilder::new();
        let decided = leader.decider.propose_manifest(&leader.shard, &mut entry, &lie);
        assert_eq!(decided, Err(Refused::InvalidObject { what }));
        assert!(entry.is_empty());
        let mut bytes = Vec::new();
        Command::Manifest(lie).encode(&mut bytes);
        assert!(crate::decode_commands(&bytes).any(|command| command.is_err()), "{what}");
    }
}
