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
