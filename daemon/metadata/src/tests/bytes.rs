//! Commands and snapshots as bytes, from friends and from a failing disk.

use holdfast_base::{Rng, SplitMix64};
use proptest::prelude::*;
use sha2::{Digest, Sha256};

use super::*;

#[test]
fn commands_come_back_as_they_were_written() {
    let leader = eventful();
    for (_, bytes) in &leader.log {
        let decoded = Command::decode_all(bytes).unwrap();
        let again: Vec<u8> = decoded.iter().flat_map(|(command, _)| command.encode()).collect();
        assert_eq!(&again, bytes);
    }
}

/// A command's head and body, each part in the order of `storage/FORMAT.md`.
fn framed(kind: u8, parts: &[&[u8]]) -> Vec<u8> {
    let body = parts.concat();
    [&[kind, 1][..], &(body.len() as u32).to_le_bytes(), &body].concat()
}

/// `origin()` as bytes.
const ORIGIN: &[u8] = b"\x0e\0User:ANONYMOUS\x09\x00192.0.2.7\x0d\0adminclient-1";

#[test]
fn more_partitions_are_written_as_the_format_says() {
    let command = Command::CreatePartitions {
        id: TopicId([5; 16]),
        name: "t".to_owned(),
        total: 3,
        added: vec![Placement { shard: holdfast_base::ShardId(9), generation: 1 }],
        origin: origin(),
    };
    let added = b"\x01\0\0\0\x09\0\0\0\x01\0\0\0";
    let bytes = framed(6, &[&[5; 16], b"\x01\0t", b"\x03\0\0\0", added, ORIGIN]);
    assert_eq!(command.encode(), bytes);
    assert_eq!(Command::decode_all(&bytes).unwrap()[0].0, command);
}

#[test]
fn configuration_is_written_as_the_format_says() {
    let settings = b"\x01\0\0\0\x01\0a\x01\x001";
    let digest = Sha256::digest(b"\x01\0a\x01\x000");
    let before = BTreeMap::from([("a".to_owned(), "0".to_owned())]);
    let change = |operation, value: Option<&str>| ConfigChange {
        name: "a".to_owned(),
        operation,
        value: value.map(str::to_owned),
    };
    let changes = b"\x02\0\0\0\x01\0a\x01\0\x01\0a\x00\x01\x01\x001";
    let other = ConfigTarget::Other;
    let targets = [
        (ConfigTarget::Topic(TopicId([5; 16])), [&[1][..], &[5; 16]].concat()),
        (other(ConfigResource::EveryBroker), vec![2]),
        (other(ConfigResource::Broker(NodeId(7))), vec![3, 7, 0, 0, 0]),
        (other(ConfigResource::Group("g".to_owned())), vec![4, 1, 0, b'g']),
    ];
    for (target, resource) in targets {
        let command = Command::SetConfigs {
            target,
            name: "t".to_owned(),
            before: configs_digest(before.iter()),
            after: vec![("a".to_owned(), "1".to_owned())],
            changes: vec![
                change(ConfigOperation::Delete, None),
                change(ConfigOperation::Set, Some("1")),
            ],
            origin: origin(),
        };
        let parts = [&resource[..], b"\x01\0t", &digest[..8], settings, changes, ORIGIN];
        let bytes = framed(7, &parts);
        assert_eq!(command.encode(), bytes);
        assert_eq!(Command::decode_all(&bytes).unwrap()[0].0, command);
    }
}

#[test]
fn settings_out_of_order_or_twice_and_unknown_operations_are_undecodable() {
    let with = |settings: &[u8], changes: &[u8]| {
        let parts = [&[2][..], b"\0\0", &[0; 8], settings, changes, ORIGIN];
        Command::decode_all(&framed(7, &parts)).map(|_| ())
    };
    let none = [0; 4];
    with(b"\x02\0\0\0\x01\0a\0\0\x01\0b\0\0", &none).unwrap();
    with(b"\x02\0\0\0\x01\0b\0\0\x01\0a\0\0", &none).unwrap_err();
    with(b"\x02\0\0\0\x01\0a\0\0\x01\0a\0\0", &none).unwrap_err();
    with(&none, b"\x01\0\0\0\x01\0a\x03\0").unwrap();
    with(&none, b"\x01\0\0\0\x01\0a\x04\0").unwrap_err();
    with(&none, b"\x01\0\0\0\x01\0a\x03\x02").unwrap_err();
    let unknown = framed(7, &[&[5], b"\0\0", &[0; 8], &none, &none, ORIGIN]);
    Command::decode_all(&unknown).unwrap_err();
}

#[test]
fn a_snapshot_from_before_slots_and_settings_gets_the_slots_of_its_genesis() {
    let mut leader = Leader::founded(3, &[1, 3]);
    leader.create(&topic("t", 3)).unwrap();
    let now = leader.metadata.snapshot();
    let slots = leader.metadata.image().coordinator_slots.len() * 8 + 4;
    let settings = 4;
    let rolling = now.windows(32).position(|w| w == leader.metadata.rolling).unwrap();
    let mut old = now[..now.len() - 32].to_vec();
    old.drain(rolling - slots - settings..rolling);
    old[6..8].copy_from_slice(&1_u16.to_le_bytes());
    let digest = Sha256::digest(&old);
    old.extend_from_slice(&digest);
    let restored = Metadata::restore(&old).unwrap();
    assert_eq!(restored.snapshot(), now);
}

#[test]
fn unknown_kinds_versions_and_left_over_bytes_are_undecodable() {
    let leader = eventful();
    let good = &leader.log[1].1;
    let with = |place: usize, value: u8| {
        let mut bytes = good.clone();
        bytes[place] = value;
        bytes
    };
    let mut longer = good.clone();
    longer.push(0);
    let mut padded = good.clone();
    padded.push(0);
    let length = u32::from_le_bytes(padded[2..6].try_into().unwrap()) + 1;
    padded[2..6].copy_from_slice(&length.to_le_bytes());
    let bad =
        [with(0, 0), with(0, 99), with(1, 0), with(1, 2), longer, padded, vec![0; (4 << 20) + 1]];
    for bytes in bad {
        let mut metadata = leader.metadata.clone();
        let error = metadata.apply(leader.facts(), &bytes).unwrap_err();
        assert!(error.detail.contains("decoded"), "{error}");
        assert_eq!(metadata.snapshot(), leader.metadata.snapshot(), "nothing was applied");
    }
}

#[test]
fn a_broken_command_behind_a_good_one_applies_neither() {
    let mut leader = Leader::founded(1, &[1]);
    let mut builder = CommandBuilder::new();
    leader.decide(&topic("t", 1), &mut builder).unwrap();
    let mut bytes = builder.finish();
    bytes.extend_from_slice(&[99, 1, 0, 0, 0, 0]);
    let facts = leader.facts();
    leader.metadata.apply(facts, &bytes).unwrap_err();
    assert!(leader.metadata.image().topic("t").is_none());
}

#[test]
fn any_truncated_or_flipped_entry_is_a_result_or_an_error_never_a_panic() {
    let leader = eventful();
    let mut rng = SplitMix64::new(1);
    for (_, good) in &leader.log {
        for cut in 0..good.len() {
            let _ = leader.metadata.clone().apply(leader.facts(), &good[..cut]);
        }
        for _ in 0..2_000 {
            let mut bytes = good.clone();
            for _ in 0..=rng.below(3) {
                let place = rng.below(bytes.len() as u64) as usize;
                bytes[place] = rng.next_u64() as u8;
            }
            let mut metadata = leader.metadata.clone();
            if metadata.apply(leader.facts(), &bytes).is_ok() {
                Metadata::restore(&metadata.snapshot()).expect("what was applied can be restored");
            }
            let _ = Metadata::new().apply(leader.facts(), &bytes);
        }
    }
}

#[test]
fn a_snapshot_with_any_bit_flipped_or_cut_off_is_refused() {
    let good = eventful().metadata.snapshot();
    for place in 0..good.len() {
        let mut bytes = good.clone();
        bytes[place] ^= 1;
        assert!(Metadata::restore(&bytes).is_err(), "flip at {place}");
        assert!(Metadata::restore(&good[..place]).is_err(), "cut at {place}");
    }
}

#[test]
fn a_wrong_snapshot_with_a_right_checksum_is_a_state_or_an_error_never_a_panic() {
    let good = eventful().metadata.snapshot();
    let mut rng = SplitMix64::new(2);
    for _ in 0..20_000 {
        let mut bytes = good[..good.len() - 32].to_vec();
        for _ in 0..=rng.below(3) {
            let place = rng.below(bytes.len() as u64) as usize;
            bytes[place] = rng.next_u64() as u8;
        }
        if rng.chance(1, 4) {
            bytes.truncate(rng.below(bytes.len() as u64) as usize);
        }
        let digest = Sha256::digest(&bytes);
        bytes.extend_from_slice(&digest);
        if let Ok(restored) = Metadata::restore(&bytes) {
            let _ = restored.audit_log().written();
            let _ = restored.image();
        }
    }
}

proptest! {
    #[test]
    fn random_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let leader = eventful();
        let mut headed = vec![bytes.first().map_or(1, |kind| 1 + kind % 7), 1];
        headed.extend_from_slice(&(bytes.len() as u32).to_le_bytes());
        headed.extend_from_slice(&bytes);
        for bytes in [&bytes, &headed] {
            let mut metadata = leader.metadata.clone();
            let _ = metadata.apply(leader.facts(), bytes);
            let _ = Metadata::restore(bytes);
        }
    }
}
