//! The contract of [`StateStore`] as a test every implementation passes.
//!
//! ```no_run
//! # use holdfast_state::{MemoryState, conformance::{self, Subject}};
//! struct Mine;
//! impl Subject for Mine {
//!     type Store = MemoryState;
//!     fn fresh(&mut self) -> MemoryState { MemoryState::new() }
//!     fn crash(&mut self, mut store: MemoryState) -> MemoryState { store.crash(); store }
//! }
//! conformance::run(&mut Mine);
//! ```
//!
//! The claims with a name come first, then a random walk against a model that knows the state
//! after every write, and so every state a crash may leave.

use std::collections::BTreeMap;

use bytes::Bytes;
use holdfast_base::{Index, ReplicaId, Rng, ShardId, SplitMix64};

use crate::changes::Changes;
use crate::error::StateError;
use crate::key::{KEY_MAX_BYTES, Owner};
use crate::store::{Row, StateStore};

/// How the suite gets stores and breaks them.
pub trait Subject {
    /// What is tested.
    type Store: StateStore;

    /// A new, empty store.
    fn fresh(&mut self) -> Self::Store;

    /// The same store after power was lost and it was opened again.
    fn crash(&mut self, store: Self::Store) -> Self::Store;
}

/// Random walks, each of [`WALK_STEPS`].
const WALKS: u64 = 200;
const WALK_STEPS: u64 = 60;

/// Runs every claim.
///
/// # Panics
/// With the claim that does not hold.
pub fn run<S: Subject>(subject: &mut S) {
    an_empty_store_knows_nothing(&mut subject.fresh());
    a_write_is_visible_at_once_with_its_index(&mut subject.fresh());
    a_later_change_of_a_write_wins(&mut subject.fresh());
    a_write_that_is_refused_does_nothing(&mut subject.fresh());
    a_state_that_comes_whole_takes_the_place_of_the_old(&mut subject.fresh());
    replicas_do_not_see_each_other(&mut subject.fresh());
    a_scan_is_sorted_bounded_and_resumable(&mut subject.fresh());
    what_was_flushed_survives(subject);
    a_removed_replica_is_gone_for_good_once_flushed(subject);
    for seed in 0..WALKS {
        a_crash_leaves_the_state_after_some_write(subject, seed);
    }
}

fn owner(shard: u32, replica: u64) -> Owner {
    Owner { shard: ShardId(shard), replica: ReplicaId(replica) }
}

fn put(key: &[u8], value: &[u8]) -> Changes {
    let mut changes = Changes::new();
    changes.put(Bytes::copy_from_slice(key), Bytes::copy_from_slice(value));
    changes
}

fn rows<S: StateStore>(store: &S, owner: Owner) -> Vec<Row> {
    store.scan(owner, b"", None, usize::MAX).expect("a scan")
}

fn keys(rows: &[Row]) -> Vec<&[u8]> {
    rows.iter().map(|row| row.key.as_ref()).collect()
}

fn an_empty_store_knows_nothing<S: StateStore>(store: &mut S) {
    let owner = owner(1, 1);
    assert_eq!(store.applied(owner), Ok(Index(0)));
    assert_eq!(store.checkpointed(owner), Ok(Index(0)));
    assert_eq!(store.get(owner, b"k"), Ok(None));
    assert_eq!(rows(store, owner), []);
    assert_eq!(store.owners(), Ok(Vec::new()));
    store.flush().expect("flushing nothing");
    store.remove(owner).expect("removing nobody");
}

fn a_write_is_visible_at_once_with_its_index<S: StateStore>(store: &mut S) {
    let owner = owner(1, 1);
    store.write(owner, &put(b"k", b"v"), Index(5)).expect("a write");
    assert_eq!(store.get(owner, b"k"), Ok(Some(Bytes::from_static(b"v"))));
    assert_eq!(store.applied(owner), Ok(Index(5)));
    assert!(store.checkpointed(owner).expect("an index") <= Index(5));
    store.write(owner, &Changes::new(), Index(9)).expect("a write of the index alone");
    assert_eq!(store.applied(owner), Ok(Index(9)));
    store.flush().expect("a flush");
    assert_eq!(store.checkpointed(owner), Ok(Index(9)), "a flush moves checkpointed to applied");
    assert_eq!(store.owners(), Ok(vec![owner]));
}

fn a_later_change_of_a_write_wins<S: StateStore>(store: &mut S) {
    let owner = owner(1, 1);
    let mut changes = Changes::new();
    changes.put(&b"a"[..], &b"1"[..]);
    changes.delete(&b"a"[..]);
    changes.delete(&b"b"[..]);
    changes.put(&b"b"[..], &b"2"[..]);
    changes.put(&b"c"[..], &b""[..]);
    store.write(owner, &changes, Index(1)).expect("a write");
    assert_eq!(store.get(owner, b"a"), Ok(None));
    assert_eq!(store.get(owner, b"b"), Ok(Some(Bytes::from_static(b"2"))));
    assert_eq!(store.get(owner, b"c"), Ok(Some(Bytes::new())), "empty is not absent");
}

fn a_write_that_is_refused_does_nothing<S: StateStore>(store: &mut S) {
    let owner = owner(1, 1);
    store.write(owner, &put(b"k", b"v"), Index(5)).expect("a write");
    let back = store.write(owner, &put(b"k", b"w"), Index(4));
    assert!(matches!(back, Err(StateError::Backwards { .. })), "{back:?}");
    for wrong in [Vec::new(), vec![b'x'; KEY_MAX_BYTES + 1]] {
        let mut changes = put(b"k", b"w");
        changes.put(wrong.clone(), &b"w"[..]);
        let refused = store.write(owner, &changes, Index(6));
        assert!(matches!(refused, Err(StateError::WrongKey { .. })), "{refused:?}");
        assert!(matches!(store.get(owner, &wrong), Err(StateError::WrongKey { .. })));
    }
    assert_eq!(store.get(owner, b"k"), Ok(Some(Bytes::from_static(b"v"))));
    assert_eq!(store.applied(owner), Ok(Index(5)));
    let longest = vec![b'x'; KEY_MAX_BYTES];
    store.write(owner, &put(&longest, b"v"), Index(5)).expect("the longest key, same index");
}

fn a_state_that_comes_whole_takes_the_place_of_the_old<S: StateStore>(store: &mut S) {
    let (ours, other) = (owner(1, 1), owner(1, 2));
    let last = owner(u32::MAX, u64::MAX);
    for whose in [ours, other, last] {
        let mut changes = put(b"a", b"old");
        changes.put(&b"\xff\xff"[..], &b"old"[..]);
        store.write(whose, &changes, Index(9)).expect("a write");
    }
    for whose in [ours, last] {
        store.replace(whose, &put(b"b", b"new"), Index(4)).expect("also backwards");
        assert_eq!(keys(&rows(store, whose)), [&b"b"[..]]);
        assert_eq!(store.applied(whose), Ok(Index(4)));
        assert!(store.checkpointed(whose).expect("an index") <= Index(4));
    }
    assert_eq!(rows(store, other).len(), 2, "only its own");
    let refused = store.replace(ours, &put(b"", b"x"), Index(5));
    assert!(matches!(refused, Err(StateError::WrongKey { .. })), "{refused:?}");
    assert_eq!(keys(&rows(store, ours)), [&b"b"[..]], "a refused one does nothing");
}

fn replicas_do_not_see_each_other<S: StateStore>(store: &mut S) {
    // Neighbours in every byte order one could get wrong.
    let owners = [owner(0, 1), owner(1, 1), owner(1, 2), owner(1, 256), owner(256, 1)];
    for (at, owner) in owners.iter().enumerate() {
        let value = [u8::try_from(at).expect("five owners")];
        store.write(*owner, &put(b"k", &value), Index(at as u64 + 1)).expect("a write");
    }
    assert_eq!(store.owners(), Ok(owners.to_vec()), "ascending");
    store.remove(owners[1]).expect("a removal");
    assert_eq!(store.applied(owners[1]), Ok(Index(0)));
    assert_eq!(rows(store, owners[1]), []);
    for at in [0, 2, 3, 4] {
        assert_eq!(rows(store, owners[at]).len(), 1, "{}", owners[at]);
        assert_eq!(store.applied(owners[at]), Ok(Index(at as u64 + 1)));
    }
}

fn a_scan_is_sorted_bounded_and_resumable<S: StateStore>(store: &mut S) {
    let owner = owner(1, 1);
    let all: [&[u8]; 6] = [b"\x00", b"a", b"a\x00", b"ab", b"b", b"\xff\xff"];
    let mut changes = Changes::new();
    for key in all.iter().rev() {
        changes.put(Bytes::copy_from_slice(key), Bytes::copy_from_slice(key));
    }
    store.write(owner, &changes, Index(1)).expect("a write");
    assert_eq!(keys(&rows(store, owner)), all, "every row, sorted, and not the applied index");
    let scan = |prefix: &[u8], after: Option<&[u8]>, limit| {
        store.scan(owner, prefix, after, limit).expect("a scan")
    };
    assert_eq!(keys(&scan(b"a", None, 9)), [&b"a"[..], b"a\x00", b"ab"]);
    assert_eq!(keys(&scan(b"a", Some(b"a"), 9)), [&b"a\x00"[..], b"ab"]);
    assert_eq!(keys(&scan(b"a", Some(b"0"), 1)), [&b"a"[..]]);
    assert_eq!(scan(b"a", Some(b"b"), 9), []);
    assert_eq!(keys(&scan(b"\xff", None, 9)), [&b"\xff\xff"[..]]);
    assert_eq!(scan(b"zz", None, 9), []);
    assert_eq!(scan(b"", None, 0), []);
    let mut walked: Vec<Row> = Vec::new();
    loop {
        let after = walked.last().map(|row| row.key.clone());
        let page = scan(b"", after.as_deref(), 2);
        if page.is_empty() {
            break;
        }
        walked.extend(page);
    }
    assert_eq!(keys(&walked), all, "page by page as at once");
}

fn what_was_flushed_survives<S: Subject>(subject: &mut S) {
    let owner = owner(1, 1);
    let mut store = subject.fresh();
    store.write(owner, &put(b"k", b"v"), Index(3)).expect("a write");
    store.flush().expect("a flush");
    for _ in 0..2 {
        store = subject.crash(store);
        assert_eq!(store.get(owner, b"k"), Ok(Some(Bytes::from_static(b"v"))));
        assert_eq!(store.applied(owner), Ok(Index(3)), "applied survives with its keys");
        assert_eq!(store.checkpointed(owner), Ok(Index(3)));
    }
}

fn a_removed_replica_is_gone_for_good_once_flushed<S: Subject>(subject: &mut S) {
    let owner = owner(1, 1);
    let mut store = subject.fresh();
    store.write(owner, &put(b"k", b"v"), Index(3)).expect("a write");
    store.flush().expect("a flush");
    store.remove(owner).expect("a removal");
    assert_eq!(store.checkpointed(owner), Ok(Index(0)), "checkpointed <= applied");
    store.flush().expect("a flush");
    let store = subject.crash(store);
    assert_eq!(store.owners(), Ok(Vec::new()));
    assert_eq!(rows(&store, owner), []);
}

/// Rows and applied index of every replica.
type World = BTreeMap<Owner, (BTreeMap<Bytes, Bytes>, Index)>;

fn seen<S: StateStore>(store: &S) -> World {
    let mut world = World::new();
    for owner in store.owners().expect("owners") {
        let map = rows(store, owner).into_iter().map(|row| (row.key, row.value)).collect();
        world.insert(owner, (map, store.applied(owner).expect("an index")));
    }
    world
}

fn a_crash_leaves_the_state_after_some_write<S: Subject>(subject: &mut S, seed: u64) {
    let mut rng = SplitMix64::new(seed);
    let mut store = subject.fresh();
    // The world at the last flush and after each write since; the last one is now.
    let mut worlds = vec![World::new()];
    let mut next_index = 1;
    for _ in 0..WALK_STEPS {
        let mut world = worlds.last().expect("there is always a now").clone();
        let owner = owner(1, 1 + rng.below(3));
        match rng.below(12) {
            0 => {
                store.flush().expect("a flush");
                worlds = vec![world];
            }
            1 => {
                store = subject.crash(store);
                let found = seen(&store);
                let left = worlds.contains(&found);
                assert!(left, "seed {seed}: after a crash the store is half of a write: {found:?}");
                worlds = vec![found];
            }
            2 => {
                store.remove(owner).expect("a removal");
                world.remove(&owner);
                worlds.push(world);
            }
            3 => {
                let key = vec![b'a' + rng.below(6) as u8];
                store.replace(owner, &put(&key, b"whole"), Index(next_index)).expect("whole");
                let row = (Bytes::from(key), Bytes::from_static(b"whole"));
                world.insert(owner, (BTreeMap::from([row]), Index(next_index)));
                next_index += 1;
                worlds.push(world);
            }
            _ => {
                let mut changes = Changes::new();
                let entry = world.entry(owner).or_default();
                for _ in 0..rng.below(4) {
                    let key = Bytes::from(vec![b'a' + rng.below(6) as u8]);
                    if rng.chance(1, 4) {
                        changes.delete(key.clone());
                        entry.0.remove(&key);
                    } else {
                        let value = Bytes::copy_from_slice(&rng.next_u64().to_le_bytes());
                        changes.put(key.clone(), value.clone());
                        entry.0.insert(key, value);
                    }
                }
                entry.1 = Index(next_index);
                store.write(owner, &changes, Index(next_index)).expect("a write");
                next_index += 1;
                worlds.push(world);
            }
        }
        let now = worlds.last().expect("there is always a now");
        assert_eq!(seen(&store), *now, "seed {seed}: reads see every finished write");
        for owner in now.keys() {
            let checkpointed = store.checkpointed(*owner).expect("an index");
            let applied = store.applied(*owner).expect("an index");
            assert!(checkpointed <= applied, "seed {seed}: {checkpointed} <= {applied}");
            let flushed = worlds[0].get(owner).map_or(Index(0), |(_, index)| *index);
            let removed = worlds.iter().any(|world| !world.contains_key(owner));
            assert!(checkpointed >= flushed || removed, "seed {seed}: a flush covers {flushed}");
            let left = worlds.iter().map(|world| world.get(owner).map_or(Index(0), |(_, at)| *at));
            let least = left.min().expect("there is always a now");
            assert!(checkpointed <= least, "seed {seed}: a crash may leave {least}");
        }
    }
}
