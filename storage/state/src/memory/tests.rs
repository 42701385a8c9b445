//! The double keeps the contract it is a double of, and its faults are faults.

use holdfast_base::{ReplicaId, ShardId};

use super::*;
use crate::conformance::{self, Subject};

struct InMemory {
    keep: usize,
}

impl Subject for InMemory {
    type Store = MemoryState;

    fn fresh(&mut self) -> MemoryState {
        MemoryState::new()
    }

    fn crash(&mut self, mut store: MemoryState) -> MemoryState {
        // Any number the contract allows, another one each time.
        self.keep = (self.keep * 7 + 3) % 11;
        store.crash_keeping(self.keep);
        store
    }
}

struct Cruel;

impl Subject for Cruel {
    type Store = MemoryState;

    fn fresh(&mut self) -> MemoryState {
        MemoryState::new()
    }

    fn crash(&mut self, mut store: MemoryState) -> MemoryState {
        store.crash();
        store
    }
}

#[test]
fn the_double_keeps_the_contract() {
    conformance::run(&mut InMemory { keep: 0 });
    conformance::run(&mut Cruel);
}

const OWNER: Owner = Owner { shard: ShardId(1), replica: ReplicaId(1) };

#[test]
fn a_crash_takes_what_was_not_flushed() {
    let mut store = MemoryState::new();
    let mut changes = Changes::new();
    changes.put(&b"k"[..], &b"old"[..]);
    store.write(OWNER, &changes, Index(1)).unwrap();
    store.flush().unwrap();
    let mut changes = Changes::new();
    changes.put(&b"k"[..], &b"new"[..]);
    store.write(OWNER, &changes, Index(2)).unwrap();
    assert_eq!(store.unflushed_steps(), 1);
    store.crash();
    assert_eq!(store.get(OWNER, b"k").unwrap().unwrap(), "old");
    assert_eq!(store.applied(OWNER).unwrap(), Index(1));
}

#[test]
fn a_failed_flush_moves_nothing() {
    let mut store = MemoryState::new();
    store.write(OWNER, &Changes::new(), Index(1)).unwrap();
    store.fail_flushes();
    assert!(matches!(store.flush(), Err(StateError::Device { .. })));
    assert_eq!(store.checkpointed(OWNER).unwrap(), Index(0));
    store.crash();
    assert_eq!(store.applied(OWNER).unwrap(), Index(0));
}

/// A store that forgets the index in a crash must not pass.
struct Forgetful;

impl Subject for Forgetful {
    type Store = MemoryState;

    fn fresh(&mut self) -> MemoryState {
        MemoryState::new()
    }

    fn crash(&mut self, store: MemoryState) -> MemoryState {
        let mut survivor = store;
        survivor.crash();
        for owner in survivor.owners().unwrap() {
            let key = owner.prefix();
            survivor.durable.remove(key.as_slice());
            survivor.current.remove(key.as_slice());
        }
        survivor
    }
}

/// A store whose crash keeps keys of a write but not its index must not pass.
struct Torn;

impl Subject for Torn {
    type Store = MemoryState;

    fn fresh(&mut self) -> MemoryState {
        MemoryState::new()
    }

    fn crash(&mut self, mut store: MemoryState) -> MemoryState {
        if let Some(Step::Write(changes)) = store.unflushed.first_mut() {
            changes.pop();
        }
        store.crash_keeping(1);
        store
    }
}

#[test]
#[should_panic(expected = "applied")]
fn the_suite_finds_a_store_that_forgets_its_index() {
    conformance::run(&mut Forgetful);
}

#[test]
#[should_panic(expected = "half")]
fn the_suite_finds_a_store_that_tears_a_write() {
    conformance::run(&mut Torn);
}
