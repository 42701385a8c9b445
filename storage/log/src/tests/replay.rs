//! The same log leaves the same state, however it is read.

use holdfast_base::{CoordinatorSlot, Index};
use proptest::prelude::*;

use super::objects::{intent, manifest, row, step, tell};
use super::support::{
    Leader, batch, commit, commit_offsets, create, idempotent, key, put_group, record, slot,
};
use crate::{
    Command, CommitOffsets, CreatePartition, EntryBuilder, NewOffset, ObjectRow, ObjectState,
    PartitionConfig, PlantedBugs, PutGroup, RemoveGroup, RemoveOffsets, Shard, Step,
};

/// A log with something of everything in it.
pub(super) fn story() -> Leader {
    let config = PartitionConfig { segment_bytes: 2_000, ..PartitionConfig::default() };
    let mut leader = Leader::with_partition(config);
    leader.create(&CreatePartition { epoch_base: 40, ..create(1, config) });
    for turn in 0..30_i32 {
        leader.time_ms += 250;
        let mut entry = EntryBuilder::new();
        leader.decide(&mut entry, 0, &idempotent(1, 0, turn * 3, 3)).unwrap();
        leader.decide(&mut entry, 1, &batch(turn % 5 + 1)).unwrap();
        leader.decide(&mut entry, 1, &idempotent(i64::from(turn % 7), 1, turn / 7, 1)).unwrap();
        leader.send(entry);
        leader.commit_all();
        tell_of_groups(&mut leader, turn);
        tell_of_objects(&mut leader, turn);
        if turn % 10 == 9 {
            leader.lose_and_lead_again();
            let before = i64::from(turn);
            leader.admin(|decider, shard, entry, _| {
                decider.propose_delete_records(shard, entry, key(0), before)
            });
        }
    }
    leader.admin(|decider, shard, entry, _| {
        let config = PartitionConfig { retention_bytes: 3_000, ..config };
        decider.propose_config(shard, entry, key(1), config)
    });
    let mut entry = EntryBuilder::new();
    assert!(leader.decider.propose_retention(&leader.shard, &mut entry, leader.time_ms) > 0);
    leader.send(entry);
    leader.commit_all();
    leader.admin(|decider, shard, entry, now_ms| {
        decider.propose_expire_producers(shard, entry, now_ms, 1_000)
    });
    tell(&mut leader, &step(8, Step::Retire));
    leader
}

/// Objects 8 and 20 are put, 12 is given up, 28 is announced; an entry is refused.
fn tell_of_objects(leader: &mut Leader, turn: i32) {
    let (name, term) = (turn as u8, leader.term);
    if [8, 12, 20, 28].contains(&turn) {
        let first = leader.shard.uploaded().0 + 1;
        tell(leader, &intent(name, term, first, leader.index));
    }
    if [8, 20].contains(&turn) {
        let rows = [0, 1].map(|at| {
            let partition = leader.shard.partition(&key(at)).unwrap();
            row(key(at), partition.uploaded_end(), partition.high_watermark() - 1)
        });
        tell(leader, &manifest(name, term, &rows));
    }
    if turn == 12 {
        tell(leader, &step(name, Step::Abandon));
    }
    if turn == 29 {
        let appends = |bytes: &[u8]| matches!(bytes, [1, ..]);
        let again = leader.committed.iter().rev().find(|(_, bytes)| appends(bytes));
        let again = again.map(|(_, bytes)| bytes.clone()).unwrap();
        leader.send_bytes(again);
        assert_eq!(leader.commit_one().unwrap().refused.len(), 3);
    }
}

#[test]
fn the_story_has_objects_of_each_kind_and_a_refused_entry() {
    let shard = story().shard;
    let states: Vec<ObjectState> = shard.objects().map(|row| row.state).collect();
    assert_eq!(
        states,
        [ObjectState::Retired, ObjectState::Abandoned, ObjectState::Live, ObjectState::Intended]
    );
    assert_eq!(shard.objects.refused.len(), 1);
    assert!(shard.partitions().any(|(_, partition)| !partition.objects().is_empty()));
}

/// Groups come, commit, empty themselves, and lose offsets.
fn tell_of_groups(leader: &mut Leader, turn: i32) {
    let name = ["readers", "writers", "gr\u{fc}ppe"][turn as usize % 3];
    let members: &[&str] = if turn % 7 == 6 || turn == 29 { &[] } else { &["m-1", "static-2"] };
    if turn % 4 == 1 {
        put_group(leader, name, turn, members);
    }
    commit_offsets(leader, name, &[commit(turn % 5, i64::from(turn)), commit(9, 1)]);
    if turn % 9 == 8 {
        let expired = crate::expire_groups(&leader.shard, leader.time_ms, 500);
        for expiry in expired {
            leader.admin(|decider, _, entry, _| decider.propose_expiry(entry, &expiry));
        }
    }
    if turn == 20 {
        leader.admin(|decider, _, entry, _| {
            decider.propose_remove_group(entry, slot("writers"), "writers")
        });
    }
}

#[test]
fn the_story_has_groups_of_each_kind() {
    let shard = story().shard;
    let groups: Vec<_> = shard.groups().map(|(_, _, group)| group).collect();
    assert!(groups.iter().any(|group| group.has_members()));
    assert!(groups.iter().any(|group| !group.has_members()));
    assert!(groups.iter().any(|group| group.offsets().len() > 1));
}

#[test]
fn the_same_log_leaves_the_same_state_and_hash() {
    let leader = story();
    let mut follower = Shard::new();
    for (facts, commands) in &leader.committed {
        follower.apply(*facts, commands).unwrap();
    }
    assert_eq!(follower, leader.shard);
    assert_eq!(follower.hash(), leader.shard.hash());
    assert_eq!(follower.snapshot(), leader.shard.snapshot());
}

#[test]
fn a_replica_restored_in_the_middle_ends_as_one_that_read_everything() {
    let leader = story();
    for middle in 0..=leader.committed.len() {
        let mut shard = Shard::new();
        for (facts, commands) in &leader.committed[..middle] {
            shard.apply(*facts, commands).unwrap();
        }
        let mut shard = Shard::restore(&shard.snapshot()).unwrap();
        for (facts, commands) in &leader.committed[middle..] {
            shard.apply(*facts, commands).unwrap();
        }
        assert_eq!(shard, leader.shard, "restored after {middle} entries");
    }
}

#[test]
fn a_replica_that_applies_otherwise_has_another_hash() {
    let leader = story();
    let off = PlantedBugs::default();
    for bugs in [
        PlantedBugs { sequence_not_restored: true, ..off },
        PlantedBugs { commit_goes_back: true, ..off },
    ] {
        let mut otherwise = Shard::new();
        otherwise.plant(bugs);
        for (facts, commands) in &leader.committed {
            otherwise.apply(*facts, commands).unwrap();
        }
        assert_ne!(otherwise.hash(), leader.shard.hash(), "{bugs:?}");
    }
}

#[test]
fn a_snapshot_is_restored_whole_or_not_at_all() {
    let snapshot = story().shard.snapshot();
    for len in 0..snapshot.len() {
        assert!(Shard::restore(&snapshot[..len]).is_err(), "cut to {len} bytes");
    }
    for at in 0..snapshot.len() {
        let mut damaged = snapshot.clone();
        damaged[at] ^= 0x10;
        assert!(Shard::restore(&damaged).is_err(), "byte {at} flipped");
    }
}

fn restore_with_check(mut body: Vec<u8>) -> Result<Shard, crate::BrokenInvariant> {
    let mut check = crate::digest::Digest::EMPTY;
    check.bytes(&body);
    body.extend_from_slice(&check.value().to_le_bytes());
    Shard::restore(&body)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

    #[test]
    fn a_snapshot_with_a_matching_check_may_still_lie_and_never_panics(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4)
    ) {
        let mut body = story().shard.snapshot();
        body.truncate(body.len() - 8);
        for (at, value) in changes {
            let at = at.index(body.len());
            body[at] = value;
        }
        if let Ok(shard) = restore_with_check(body) {
            // Whatever it says, it is a state that can go on.
            for (key, partition) in shard.partitions() {
                prop_assert!(partition.log_start() <= partition.high_watermark(), "{}", key);
                let _ = (partition.bytes(), partition.max_timestamp());
            }
            prop_assert!(shard.uploaded() <= shard.applied());
            let rows: usize = shard.partitions().map(|(_, partition)| partition.objects().len()).sum();
            let counted: u32 = shard.objects().map(|row| row.live_rows).sum();
            prop_assert_eq!(rows, counted as usize);
            for (_, name, group) in shard.groups() {
                prop_assert_eq!(group.empty_since_ms().is_none(), group.has_members(), "{}", name);
            }
        }
    }
}

#[test]
fn a_snapshot_whose_objects_cannot_be_is_not_restored() {
    type Lie<'a> = (&'a str, &'a dyn Fn(&mut Shard));
    let shard = story().shard;
    assert!(Shard::restore(&shard.snapshot()).is_ok());
    let open = shard.objects().find(|row| row.state == ObjectState::Intended).unwrap().clone();
    let lies: [Lie<'_>; 7] = [
        ("uploaded beyond applied", &|shard| shard.objects.uploaded = shard.applied.next()),
        ("uploaded within an open intent", &|shard| shard.objects.uploaded = open.first_index),
        ("an object above the last number", &|shard| shard.objects.last_number = open.number - 1),
        ("two objects of one name", &|shard| {
            let number = open.number + 1;
            shard.objects.last_number = number;
            shard.objects.put(ObjectRow { number, state: ObjectState::Abandoned, ..open.clone() });
        }),
        ("a row of no object", &|shard| {
            shard.partitions.get_mut(&key(0)).unwrap().objects[0].number = 99;
        }),
        ("a row of a retired object", &|shard| {
            shard.partitions.get_mut(&key(0)).unwrap().objects[0].number = 1;
        }),
        ("a row behind what is uploaded", &|shard| {
            let partition = shard.partitions.get_mut(&key(0)).unwrap();
            partition.objects[0].last_offset = partition.uploaded_end;
        }),
    ];
    for (what, lie) in lies {
        let mut lying = shard.clone();
        lie(&mut lying);
        assert!(Shard::restore(&lying.snapshot()).is_err(), "{what}");
    }
}

#[test]
fn the_first_commands_ever_written_still_mean_the_same() {
    let leader = {
        let mut leader = Leader::with_partition(PartitionConfig::default());
        leader.append(&idempotent(1, 0, 0, 2));
        leader
    };
    let commands = &leader.committed[1].1;
    assert_eq!(commands.len(), 110);
    assert_eq!(commands[..6], [1, 1, 104, 0, 0, 0]);
    assert_eq!(commands[6..22], [7; 16], "topic id");
    assert_eq!(commands[26..30], [1, 0, 0, 0], "generation");
    assert_eq!(commands[86..90], [0xef, 0xbe, 0xed, 0xfe], "batch CRC");
    let all: Vec<Command> = crate::decode_commands(commands).collect::<Result<_, _>>().unwrap();
    let mut again = Vec::new();
    for command in &all {
        command.encode(&mut again);
    }
    assert_eq!(again, *commands);
}

#[test]
fn the_first_commands_of_groups_ever_written_still_mean_the_same() {
    let name = "g";
    let at = CoordinatorSlot(0x0203);
    let mut record = record(5, &["m"]);
    record.members[0].instance_id = None;
    let planned_at = Index(9);
    let new = NewOffset { metadata: "\u{fc}".to_owned(), ..commit(1, 7) };
    let all = [
        Command::PutGroup(PutGroup { slot: at, group: name.into(), record }),
        Command::RemoveGroup(RemoveGroup { slot: at, group: name.into(), planned_at }),
        Command::CommitOffsets(CommitOffsets { slot: at, group: name.into(), offsets: vec![new] }),
        Command::RemoveOffsets(RemoveOffsets {
            slot: at,
            group: name.into(),
            planned_at,
            partitions: vec![key(1)],
        }),
    ];
    let text = |text: &str| [&[text.len() as u8, 0], text.as_bytes()].concat();
    let number = |number: u32| number.to_le_bytes().to_vec();
    let name = [vec![3, 2], text(name)].concat();
    let partition = [vec![7; 16], number(1)].concat();
    let none = vec![0xff, 0xff];
    let put = [
        [name.clone(), text("consumer"), number(5), text("range"), text("m"), number(1)].concat(),
        [text("m"), none, text("client"), text("/127.0.0.1"), number(45_000)].concat(),
        [number(300_000), number(6), b"topics".to_vec(), number(10), b"partitions".to_vec()]
            .concat(),
    ]
    .concat();
    let remove = [name.clone(), vec![9, 0, 0, 0, 0, 0, 0, 0]].concat();
    let committed = [
        [name, number(1), partition.clone(), vec![7, 0, 0, 0, 0, 0, 0, 0]].concat(),
        [number(1), text("\u{fc}")].concat(),
    ]
    .concat();
    let removed = [remove.clone(), number(1), partition].concat();
    for (command, (kind, body)) in
        all.iter().zip([(7, put), (8, remove), (9, committed), (10, removed)])
    {
        let mut bytes = Vec::new();
        command.encode(&mut bytes);
        assert_eq!(bytes, [vec![kind, 1], number(body.len() as u32), body].concat(), "kind {kind}");
        let again: Vec<_> = crate::decode_commands(&bytes).collect::<Result<_, _>>().unwrap();
        assert_eq!(again, std::slice::from_ref(command));
    }
}

#[test]
fn the_first_commands_of_objects_ever_written_still_mean_the_same() {
    let number = |number: u64| number.to_le_bytes().to_vec();
    let row_bytes =
        [vec![7; 16], vec![1, 0, 0, 0], vec![0x2c, 1, 0, 0], number(4), number(6), number(5)]
            .concat();
    let intended = [vec![9; 16], number(2), number(9), number(3), number(300)].concat();
    let committed = [
        vec![9; 16],
        number(128 + 300 + 400),
        vec![0x90, 1, 0, 0],
        vec![1, 0, 0, 0],
        vec![9; 32],
        number(9),
        number(2),
        row_bytes,
    ]
    .concat();
    let stepped = |step: u8| [vec![9; 16], vec![step]].concat();
    for (command, kind, body) in [
        (intent(9, 2, 3, 300), 11, intended),
        (manifest(9, 2, &[row(key(1), 4, 6)]), 12, committed),
        (step(9, Step::Abandon), 13, stepped(1)),
        (step(9, Step::Retire), 13, stepped(2)),
        (step(9, Step::Gone), 13, stepped(3)),
    ] {
        let mut bytes = Vec::new();
        command.encode(&mut bytes);
        let len = (body.len() as u32).to_le_bytes();
        assert_eq!(bytes, [&[kind, 1], &len[..], &body].concat(), "kind {kind}");
        let again: Vec<_> = crate::decode_commands(&bytes).collect::<Result<_, _>>().unwrap();
        assert_eq!(again, [command]);
    }
}
