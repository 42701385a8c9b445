//! A checkpoint is read back as it was written, or not at all.

use proptest::prelude::*;

use super::*;

fn checkpoint(state: &[u8]) -> Checkpoint {
    Checkpoint {
        cluster: ClusterId([0xab; 16]),
        shard: ShardId(7),
        replica: ReplicaId(3),
        applied: Index(12_345),
        term: Term(9),
        time_ms: -2,
        state: Bytes::copy_from_slice(state),
    }
}

#[test]
fn the_first_checkpoint_ever_written_still_reads_the_same() {
    let bytes = checkpoint(b"state").encode();
    let number = |value: u64| value.to_le_bytes().to_vec();
    let head = [
        b"HFCHECKP".to_vec(),
        vec![1, 0, 0, 0],
        vec![7, 0, 0, 0],
        vec![0xab; 16],
        number(3),
        number(12_345),
        number(u64::MAX - 1),
        vec![96, 0, 0, 0],
    ]
    .concat();
    assert_eq!(bytes[..60], head);
    let rest = [number(9), number(5), vec![0; 16], b"state".to_vec()].concat();
    assert_eq!(bytes[64..101], rest);
    let crc = crc32c::crc32c_append(crc32c::crc32c(&bytes[..60]), &bytes[64..96]);
    assert_eq!(bytes[60..64], crc.to_le_bytes());
    assert_eq!(bytes[101..], Sha256::digest(&bytes[..101])[..]);
    assert_eq!(Checkpoint::decode(&bytes), Ok(checkpoint(b"state")));
}

#[test]
fn a_checkpoint_with_a_byte_less_more_or_changed_is_refused() {
    let whole = checkpoint(b"a state of some bytes").encode();
    for len in 0..whole.len() {
        assert!(Checkpoint::decode(&whole[..len]).is_err(), "cut to {len} bytes");
    }
    for at in 0..whole.len() {
        let mut damaged = whole.clone();
        damaged[at] ^= 0x10;
        let named = match at {
            0..8 => CheckpointError::NotACheckpoint,
            8..HEAD_BYTES => CheckpointError::Damaged { part: "checksum" },
            _ => CheckpointError::Damaged { part: "SHA-256" },
        };
        assert_eq!(Checkpoint::decode(&damaged), Err(named), "byte {at} flipped");
    }
    let longer = [&whole[..], &[0]].concat();
    assert_eq!(Checkpoint::decode(&longer), Err(CheckpointError::Damaged { part: "length" }));
}

/// Head fields changed under checksums that hold.
fn signed(at: usize, value: &[u8]) -> Result<Checkpoint, CheckpointError> {
    let mut bytes = checkpoint(b"state").encode();
    bytes.truncate(bytes.len() - HASH_BYTES);
    bytes[at..at + value.len()].copy_from_slice(value);
    set_checksum(&mut bytes[..HEAD_BYTES]);
    let hash = Sha256::digest(&bytes);
    bytes.extend_from_slice(&hash);
    Checkpoint::decode(&bytes)
}

#[test]
fn a_lie_under_good_checksums_is_refused() {
    assert!(signed(at::REPLICA, &[4]).is_ok(), "checksums do hold");
    assert_eq!(signed(at::VERSION, &[2]), Err(CheckpointError::UnknownVersion { version: 2 }));
    let length = Err(CheckpointError::Damaged { part: "length" });
    assert_eq!(signed(at::STATE_BYTES, &[4]), length);
    assert_eq!(signed(at::STATE_BYTES, &[0xff; 8]), length);
    for (at, value) in [
        (at::FLAGS, &[1][..]),
        (at::LENGTH, &[97]),
        (at::KEY_ID, &[1]),
        (at::APPLIED, &[0; 8]),
        (at::APPLIED, &[0xff; 8]),
        (at::TERM, &[0xff; 8]),
    ] {
        let found = signed(at, value);
        assert!(matches!(found, Err(CheckpointError::Lies { .. })), "byte {at}: {found:?}");
    }
}

#[test]
fn the_key_of_a_checkpoint_is_the_one_format_md_shows() {
    let key = "abababababababababababababababab/00000007/state/00000000000000012345";
    assert_eq!(checkpoint(b"").key().as_str(), key);
    assert_eq!(StoreKey::new(key), Ok(checkpoint(b"").key()));
    assert!(include_str!("../../../FORMAT.md").contains(key), "FORMAT.md shows this key");
    assert_eq!(checkpoint(b"").key().identity(), None, "it is no object's");
}

#[test]
fn a_name_of_another_form_is_no_checkpoint() {
    let (cluster, shard) = (ClusterId([0xab; 16]), ShardId(7));
    let key = checkpoint(b"").key();
    assert_eq!(key.state_applied(cluster, shard), Some(Index(12_345)));
    assert_eq!(key.state_applied(cluster, ShardId(8)), None, "another shard's");
    for other in [
        key.as_str().replacen("/000", "/+00", 1),
        format!("{key}0"),
        key.as_str().replacen("/state/", "/", 1),
        format!("{key}.damaged"),
    ] {
        let applied = StoreKey::joined(other.clone()).state_applied(cluster, shard);
        assert_eq!(applied, None, "{other}");
    }
}

proptest! {
    #[test]
    fn a_checkpoint_reads_back_and_sorts_by_the_entry_it_reflects(
        cluster: [u8; 16], shard: u32, replica: u64, applied in 1..NUMBER_MAX,
        other in 1..NUMBER_MAX, term in 0..NUMBER_MAX, time_ms: i64,
        state in prop::collection::vec(any::<u8>(), 0..300),
    ) {
        let checkpoint = Checkpoint {
            cluster: ClusterId(cluster),
            shard: ShardId(shard),
            replica: ReplicaId(replica),
            applied: Index(applied),
            term: Term(term),
            time_ms,
            state: Bytes::from(state),
        };
        prop_assert_eq!(Checkpoint::decode(&checkpoint.encode()), Ok(checkpoint.clone()));
        let key = checkpoint.key();
        prop_assert_eq!(key.state_applied(ClusterId(cluster), ShardId(shard)), Some(Index(applied)));
        let other = Checkpoint { applied: Index(other), ..checkpoint.clone() };
        prop_assert_eq!(key.cmp(&other.key()), checkpoint.applied.cmp(&other.applied));
    }

    #[test]
    fn random_bytes_behind_a_good_head_never_panic(
        state in prop::collection::vec(any::<u8>(), 0..100),
        change in any::<prop::sample::Index>(), value: u8,
    ) {
        let mut bytes = checkpoint(&state).encode();
        let at = change.index(bytes.len());
        bytes[at] = value;
        if let Ok(read) = Checkpoint::decode(&bytes) {
            prop_assert_eq!(read, checkpoint(&state));
        }
    }
}
