//! A check of an object in the store finds whatever became of it, and nothing where nothing did.

use std::cell::Cell;

use bytes::Bytes;

use super::support::{build, identity, log, now};
use crate::check::{Checked, check_object};
use crate::store::{Fault, MemoryStore, Operation, Store};
use crate::{ExpectedObject, ManifestRow, StoreKey};

fn stored(seed: u64) -> (MemoryStore, ExpectedObject, Bytes) {
    let (bytes, finished) = build(&log(seed));
    let store = MemoryStore::new();
    put(&store, bytes.clone());
    let manifest = finished.manifest;
    let expected = ExpectedObject {
        identity: identity(),
        object_bytes: manifest.object_bytes,
        tail_bytes: manifest.tail_bytes,
        sha256: manifest.sha256,
        rows: manifest.rows,
    };
    (store, expected, bytes)
}

fn put(store: &MemoryStore, bytes: Bytes) {
    now(store.put(&StoreKey::of(&identity()), vec![bytes])).unwrap();
}

fn check(store: &MemoryStore, expected: &ExpectedObject) -> Checked {
    now(check_object(store, expected, async |_| ())).unwrap()
}

#[test]
fn an_object_as_it_was_put_is_whole_and_every_byte_of_it_was_read() {
    for seed in 0..40 {
        let (store, expected, bytes) = stored(seed);
        let read = Cell::new(128);
        let checked =
            now(check_object(&store, &expected, async |bytes| read.set(read.get() + bytes)));
        assert_eq!(checked, Ok(Checked::Whole), "seed {seed}");
        assert_eq!(read.get(), bytes.len() as u64, "seed {seed}");
    }
}

#[test]
fn a_flipped_bit_anywhere_is_found() {
    let (store, expected, bytes) = stored(3);
    for at in (0..bytes.len()).step_by(bytes.len() / 97 + 1).chain([0, bytes.len() - 1]) {
        let mut changed = bytes.to_vec();
        changed[at] ^= 1;
        put(&store, changed.into());
        assert!(matches!(check(&store, &expected), Checked::Wrong(_)), "byte {at}");
    }
}

#[test]
fn an_object_that_is_gone_cut_or_has_other_rows_is_wrong() {
    let (store, expected, bytes) = stored(5);
    let others = ExpectedObject {
        rows: vec![ManifestRow { last_offset: 1 << 40, ..expected.rows[0] }],
        ..expected.clone()
    };
    assert!(matches!(check(&store, &others), Checked::Wrong(_)));
    put(&store, bytes.slice(..bytes.len() - 1));
    assert!(matches!(check(&store, &expected), Checked::Wrong(_)));
    now(store.delete(&StoreKey::of(&identity()))).unwrap();
    assert!(matches!(check(&store, &expected), Checked::Wrong(_)));
}

#[test]
fn a_store_that_is_away_is_no_verdict() {
    let (store, expected, _) = stored(7);
    store.arm(Operation::Get, Fault::Busy);
    assert!(now(check_object(&store, &expected, async |_| ())).is_err());
    assert_eq!(check(&store, &expected), Checked::Whole);
}
