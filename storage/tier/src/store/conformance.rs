//! The contract of [`Store`] as a test every implementation passes.
//!
//! The claims with a name come first, then a random walk against a map. Needs no runtime of its
//! own: whoever calls it brings an executor that fits the store.

use std::collections::BTreeMap;

use bytes::Bytes;
use holdfast_base::{Rng, SplitMix64};

use super::{Action, Listed, Outcome, Store, StoreErrorKind};
use crate::key::StoreKey;
use crate::limits::PART_BYTES;

const WALK_STEPS: u64 = 400;

/// Runs every claim. `store` is empty and is left with something in it.
///
/// # Panics
/// With the claim that does not hold.
pub async fn run(store: &dyn Store) {
    an_empty_store_has_nothing(store).await;
    what_was_put_is_there_whole_and_in_every_range(store).await;
    a_range_behind_the_end_is_refused_and_not_cut(store).await;
    a_put_may_be_repeated(store).await;
    a_deleted_object_is_gone_and_may_be_deleted_again(store).await;
    an_upload_is_seen_when_it_is_complete_and_not_before(store).await;
    an_upload_given_up_leaves_nothing(store).await;
    a_listing_is_sorted_bounded_and_resumable(store).await;
    for seed in 0..3 {
        a_walk_ends_as_a_map_does(store, seed).await;
    }
}

fn key(name: &str) -> StoreKey {
    StoreKey::new(name).expect("a key")
}

async fn put(store: &dyn Store, name: &str, bytes: &[u8]) {
    let bytes = vec![Bytes::copy_from_slice(bytes)];
    store.put(&key(name), bytes).await.expect("a put");
}

async fn whole(store: &dyn Store, name: &str, len_bytes: u64) -> Bytes {
    store.get(&key(name), 0..len_bytes).await.expect("a get")
}

async fn names(store: &dyn Store, directory: &str) -> Vec<String> {
    let listed = store.list(directory, None, usize::MAX).await.expect("a listing");
    listed.into_iter().map(|listed| listed.key.to_string()).collect()
}

async fn is_missing(store: &dyn Store, name: &str) {
    let error = store.get(&key(name), 0..1).await.expect_err("nothing there");
    assert_eq!(error.kind(), StoreErrorKind::NotFound, "{error}");
    assert_eq!(error.action(), Action::Refuse);
    assert_eq!(error.outcome(), Outcome::DidNot);
    assert!(error.to_string().contains(name), "the error names the object: {error}");
}

async fn an_empty_store_has_nothing(store: &dyn Store) {
    assert_eq!(store.list("", None, 10).await, Ok(Vec::new()));
    assert_eq!(store.list("a/b", None, 10).await, Ok(Vec::new()));
    is_missing(store, "a/b/c").await;
    store.delete(&key("a/b/c")).await.expect("deleting nothing");
}

async fn what_was_put_is_there_whole_and_in_every_range(store: &dyn Store) {
    let parts = vec![Bytes::from_static(b"hello "), Bytes::new(), Bytes::from_static(b"world")];
    store.put(&key("put/a"), parts).await.expect("a put");
    for start in 0..11_u64 {
        for end in start + 1..=11 {
            let got = store.get(&key("put/a"), start..end).await.expect("a get");
            assert_eq!(&got[..], &b"hello world"[start as usize..end as usize], "{start}..{end}");
        }
    }
    let listed = store.list("put", None, 10).await.expect("a listing");
    assert_eq!(listed, [Listed { key: key("put/a"), len_bytes: 11 }]);
}

async fn a_range_behind_the_end_is_refused_and_not_cut(store: &dyn Store) {
    put(store, "range/a", b"0123456789").await;
    for range in [0..11, 9..11, 10..11, 100..101] {
        let error = store.get(&key("range/a"), range.clone()).await.expect_err("behind the end");
        assert_eq!(error.kind(), StoreErrorKind::OutOfRange, "{range:?}: {error}");
        assert_eq!(error.action(), Action::Refuse);
    }
}

async fn a_put_may_be_repeated(store: &dyn Store) {
    for _ in 0..3 {
        put(store, "again/a", b"same").await;
    }
    assert_eq!(&whole(store, "again/a", 4).await[..], b"same");
    assert_eq!(names(store, "again").await, ["again/a"]);
}

async fn a_deleted_object_is_gone_and_may_be_deleted_again(store: &dyn Store) {
    put(store, "gone/a", b"1").await;
    put(store, "gone/ab", b"2").await;
    for _ in 0..2 {
        store.delete(&key("gone/a")).await.expect("a deletion");
        is_missing(store, "gone/a").await;
    }
    assert_eq!(names(store, "gone").await, ["gone/ab"], "and only that one");
}

async fn an_upload_is_seen_when_it_is_complete_and_not_before(store: &dyn Store) {
    let part = Bytes::from((0..PART_BYTES).map(|at| (at % 251) as u8).collect::<Vec<u8>>());
    let name = key("upload/a");
    let mut upload = store.begin_upload(&name).await.expect("an upload");
    for _ in 0..2 {
        // In pieces, as the writer hands them out.
        let pieces = vec![part.slice(..1000), part.slice(1000..)];
        upload.put_part(pieces).await.expect("a part");
    }
    upload.put_part(vec![Bytes::from_static(b"end")]).await.expect("the last part");
    is_missing(store, "upload/a").await;
    assert_eq!(names(store, "upload").await, Vec::<String>::new(), "no listing shows it");
    upload.complete().await.expect("completion");
    let len_bytes = 2 * PART_BYTES + 3;
    let listed = store.list("upload", None, 10).await.expect("a listing");
    assert_eq!(listed, [Listed { key: name.clone(), len_bytes }]);
    let got = whole(store, "upload/a", len_bytes).await;
    assert!(got[..PART_BYTES as usize] == part[..], "the first part");
    assert!(got[PART_BYTES as usize..2 * PART_BYTES as usize] == part[..], "the second part");
    assert_eq!(&got[2 * PART_BYTES as usize..], b"end");
}

async fn an_upload_given_up_leaves_nothing(store: &dyn Store) {
    let name = key("given-up/a");
    let part = vec![Bytes::from_static(b"part")];
    let mut upload = store.begin_upload(&name).await.expect("an upload");
    upload.put_part(part.clone()).await.expect("a part");
    upload.abort().await.expect("an abort");
    let mut dropped = store.begin_upload(&name).await.expect("an upload");
    dropped.put_part(part).await.expect("a part");
    drop(dropped);
    is_missing(store, "given-up/a").await;
    assert_eq!(names(store, "given-up").await, Vec::<String>::new());
}

async fn a_listing_is_sorted_bounded_and_resumable(store: &dyn Store) {
    // Neighbours in every order one could get wrong: a directory is not a prefix of names.
    let all = ["list/a-1", "list/a/1", "list/a/2/x", "list/a1", "list/b/1"];
    for name in all.iter().rev() {
        put(store, name, b"x").await;
    }
    put(store, "list2/a", b"x").await;
    let mut sorted: Vec<String> = all.iter().map(|name| (*name).to_owned()).collect();
    sorted.sort();
    assert_eq!(names(store, "list").await, sorted);
    assert_eq!(names(store, "list/a").await, ["list/a/1", "list/a/2/x"]);
    assert_eq!(store.list("list", None, 0).await, Ok(Vec::new()));
    let mut walked: Vec<StoreKey> = Vec::new();
    loop {
        let page = store.list("list", walked.last(), 2).await.expect("a listing");
        assert!(page.len() <= 2);
        if page.is_empty() {
            break;
        }
        walked.extend(page.into_iter().map(|listed| listed.key));
    }
    let walked: Vec<String> = walked.iter().map(StoreKey::to_string).collect();
    assert_eq!(walked, sorted, "page by page as at once");
}

async fn a_walk_ends_as_a_map_does(store: &dyn Store, seed: u64) {
    let mut rng = SplitMix64::new(seed);
    let directory = format!("walk-{seed}");
    let mut model: BTreeMap<String, Vec<u8>> = BTreeMap::new();
    for step in 0..WALK_STEPS {
        let name = format!("{directory}/{}/{}", rng.below(4), rng.below(8));
        // What a key holds follows from the key: it is written once, or again with the same.
        let bytes: Vec<u8> = (0..1 + name.len() * 37).map(|at| (at % 256) as u8).collect();
        match rng.below(5) {
            0 | 1 => {
                put(store, &name, &bytes).await;
                model.insert(name, bytes);
            }
            2 => {
                store.delete(&key(&name)).await.expect("a deletion");
                model.remove(&name);
            }
            3 => {
                let shown = names(store, &directory).await;
                assert!(shown.iter().eq(model.keys()), "seed {seed} step {step}");
            }
            _ => match model.get(&name) {
                None => is_missing(store, &name).await,
                Some(bytes) => {
                    let got = whole(store, &name, bytes.len() as u64).await;
                    assert_eq!(&got[..], &bytes[..], "seed {seed} step {step}");
                }
            },
        }
    }
}
