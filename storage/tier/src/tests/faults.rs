//! Stores: one contract for all, and what happens when one breaks it.

use std::sync::Arc;

use bytes::Bytes;
use proptest::prelude::*;

use super::support::{Entry, LogSource, footer, identity, log, now, plan, poll_once, slice};
use crate::read::select;
use crate::store::{
    Action, Fault, FileStore, MemoryStore, ObjectStoreAdapter, Operation, Outcome, Patience,
    S3Options, Store, StoreErrorKind, conformance, open,
};
use crate::upload::{ReadBack, UploadError, upload};
use crate::{Footer, Manifest, StoreKey, Tail, verify_object};

/// A directory of its own, removed at the end.
struct Scratch(std::path::PathBuf);

impl Scratch {
    fn new(name: &str) -> Scratch {
        let path =
            std::env::temp_dir().join(format!("holdfast-tier-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir(&path).unwrap();
        Scratch(path)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[test]
fn the_store_in_memory_keeps_the_contract() {
    now(conformance::run(&MemoryStore::new()));
}

#[test]
fn a_directory_keeps_the_contract() {
    let scratch = Scratch::new("contract");
    now(conformance::run(&FileStore::open(&scratch.0).unwrap()));
}

#[test]
fn a_directory_keeps_the_contract_on_a_runtime_too() {
    let scratch = Scratch::new("runtime");
    let url = format!("file://{}", scratch.0.display());
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let store = open(&url, &S3Options::default(), Patience::READING).unwrap();
    runtime.block_on(async { conformance::run(&*store).await });
}

#[test]
fn a_store_of_the_crate_keeps_the_contract_behind_the_adapter() {
    let inner = Arc::new(object_store::memory::InMemory::new());
    now(conformance::run(&ObjectStoreAdapter::new(inner)));
}

#[test]
fn a_directory_that_has_gone_is_not_made_again() {
    let scratch = Scratch::new("gone");
    let store = FileStore::open(&scratch.0).unwrap();
    std::fs::remove_dir(&scratch.0).unwrap();
    let key = StoreKey::of(&identity());
    let refused = now(store.put(&key, vec![Bytes::from_static(b"x")])).unwrap_err();
    assert_eq!(refused.kind(), StoreErrorKind::NoSuchStore, "{refused}");
    assert_eq!(refused.action(), Action::Stop);
    assert!(!scratch.0.exists());
    assert!(FileStore::open(&scratch.0).is_err());
    for url in ["file://relative", "s3://bucket", "/srv"] {
        // A bucket lacks its key.
        let refused = open(url, &S3Options::default(), Patience::READING).unwrap_err();
        assert_eq!(refused.kind(), StoreErrorKind::Unsupported, "{url}");
    }
}

#[test]
fn a_put_that_did_not_end_is_neither_listed_nor_read() {
    let scratch = Scratch::new("staging");
    let store = FileStore::open(&scratch.0).unwrap();
    let key = StoreKey::of(&identity());
    now(store.put(&key, vec![Bytes::from_static(b"whole")])).unwrap();
    // What a crash in the middle of a put leaves.
    let mut staged = store.file_of(&key).into_os_string();
    staged.push("#1");
    std::fs::write(&staged, b"ha").unwrap();
    let listed = now(store.list("", None, 10)).unwrap();
    assert_eq!(listed.iter().map(|listed| &listed.key).collect::<Vec<_>>(), [&key]);
    now(store.put(&key, vec![Bytes::from_static(b"whole")])).unwrap();
    assert_eq!(&now(store.get(&key, 0..5)).unwrap()[..], b"whole");
}

fn put(store: &MemoryStore, log: &[Entry], how: ReadBack) -> Option<Result<Manifest, UploadError>> {
    poll_once(upload(store, plan(log), &mut LogSource(log), how))
}

/// What a committed manifest promises of the store.
fn is_kept(store: &MemoryStore, manifest: &Manifest) -> bool {
    store.stored(&StoreKey::of(&identity())).is_some_and(|object| {
        object.len() as u64 == manifest.object_bytes && verify_object(&object).is_ok()
    })
}

#[test]
fn whatever_the_store_does_a_manifest_means_that_the_object_is_there() {
    let log = log(4);
    for operation in [Operation::Put, Operation::Get] {
        for fault in Fault::ALL {
            for how in [ReadBack::Tail, ReadBack::Whole] {
                let store = MemoryStore::new();
                store.arm(operation, fault);
                let put_once = put(&store, &log, how);
                assert_eq!(store.armed(), 0, "the fault happened");
                // One bit of a block is what only the whole shows: see below.
                let blind = how == ReadBack::Tail && fault == Fault::Flipped;
                match &put_once {
                    Some(Ok(manifest)) => assert!(
                        is_kept(&store, manifest) || blind,
                        "{operation:?} {fault:?} {how:?}: a manifest for nothing"
                    ),
                    Some(Err(error)) => assert_eq!(error.action(), Action::Retry, "{error}"),
                    None => assert_eq!(fault, Fault::Stall),
                }
                // The same plan again, after whatever happened: the same bytes, and now it is there.
                let again = put(&store, &log, how).unwrap();
                let manifest = again.unwrap_or_else(|error| panic!("{fault:?}: {error}"));
                assert!(is_kept(&store, &manifest), "{operation:?} {fault:?} {how:?}");
            }
        }
    }
}

#[test]
fn a_bit_that_the_store_keeps_wrong_in_a_block_is_seen_by_the_whole_and_by_readers() {
    let log = log(4);
    let mut tail_missed = 0;
    for burnt in 0..20 {
        for how in [ReadBack::Tail, ReadBack::Whole] {
            let store = MemoryStore::new();
            // Other calls before: another bit.
            for _ in 0..burnt {
                now(store.delete(&StoreKey::of(&identity()))).unwrap();
            }
            store.arm(Operation::Put, Fault::Flipped);
            let put = put(&store, &log, how).unwrap();
            let object = store.stored(&StoreKey::of(&identity())).unwrap();
            assert!(verify_object(&object).is_err(), "a reader would not take it");
            assert!(how == ReadBack::Tail || put.is_err(), "the whole read back shows it");
            tail_missed += u32::from(put.is_ok());
        }
    }
    assert!(tail_missed > 0, "the caveat of reading back the tail alone is real");
}

#[test]
fn a_large_object_goes_in_parts_and_survives_a_fault_in_each_of_them() {
    use holdfast_base::{Index, Term};
    let batches = (0..18_i64).map(|at| {
        let partition = super::support::partition(1, (at % 2) as i32);
        super::support::batch(partition, at, 1, &[at], 1 << 20, holdfast_batch::Codec::None)
    });
    let log = [Entry { index: Index(1), term: Term(1), batches: batches.collect() }];
    for fault in Fault::ALL {
        for operation in [Operation::Part, Operation::Put] {
            let store = MemoryStore::new();
            store.arm(operation, fault);
            if let Some(Ok(manifest)) = put(&store, &log, ReadBack::Whole) {
                assert!(is_kept(&store, &manifest), "{operation:?} {fault:?}");
            }
            assert_eq!(store.armed(), 0, "there were parts");
            let manifest = put(&store, &log, ReadBack::Whole).unwrap().unwrap();
            assert!(is_kept(&store, &manifest), "{operation:?} {fault:?}");
        }
    }
}

#[test]
fn an_error_says_whether_it_may_have_happened() {
    let key = StoreKey::of(&identity());
    for (fault, outcome, kept) in [
        (Fault::Busy, Outcome::DidNot, false),
        (Fault::Lost, Outcome::Unknown, false),
        (Fault::Applied, Outcome::Unknown, true),
    ] {
        let store = MemoryStore::new();
        store.arm(Operation::Put, fault);
        let error = now(store.put(&key, vec![Bytes::from_static(b"x")])).unwrap_err();
        assert_eq!((error.outcome(), error.action()), (outcome, Action::Retry), "{fault:?}");
        assert_eq!(store.stored(&key).is_some(), kept, "{fault:?}");
    }
}

/// One read through the store, with every check on; `None` when something was noticed.
fn read(store: &MemoryStore, len_bytes: u64, partition: usize) -> Option<Vec<Bytes>> {
    let key = StoreKey::of(&identity());
    let range = crate::tail_range(len_bytes);
    let tail = poll_once(store.get(&key, range))?.ok()?;
    let Tail::Footer(footer) = Footer::from_tail(&identity(), len_bytes, &tail).ok()? else {
        return None;
    };
    let row = footer.partitions().nth(partition)?;
    let plan = footer.plan_read(&row.partition, 0, u64::MAX)?;
    let bytes = poll_once(store.get(&key, plan.range.clone()))?.ok()?;
    let blocks = footer.open_blocks(&plan, &bytes).ok()?;
    Some(select(&blocks, 0, u64::MAX).into_iter().map(|batch| batch.bytes).collect())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn a_reader_gets_the_right_batches_or_none_whatever_the_store_answers(seed: u64) {
        let log = log(seed);
        let store = MemoryStore::new();
        let manifest = put(&store, &log, ReadBack::Tail).unwrap().unwrap();
        let object = store.stored(&StoreKey::of(&identity())).unwrap();
        // An older version, for stale answers: another object under the same key.
        let (older, _) = super::support::build(&super::support::log(seed ^ 1));
        let store = MemoryStore::new();
        now(store.put(&StoreKey::of(&identity()), vec![older])).unwrap();
        now(store.put(&StoreKey::of(&identity()), vec![object.clone()])).unwrap();
        store.draw(seed, 300, &Fault::ALL);
        let whole = footer(&object);
        let mut right = 0;
        for round in 0..40 {
            let at = round % whole.partitions().len();
            let row = whole.partitions().nth(at).unwrap();
            let plan = whole.plan_read(&row.partition, 0, u64::MAX).unwrap();
            let blocks = whole.open_blocks(&plan, &slice(&object, &plan.range)).unwrap();
            let expected: Vec<Bytes> =
                select(&blocks, 0, u64::MAX).into_iter().map(|batch| batch.bytes).collect();
            if let Some(got) = read(&store, manifest.object_bytes, at) {
                prop_assert_eq!(got, expected);
                right += 1;
            }
        }
        prop_assert!((1..40).contains(&right), "{right} of 40 reads went well");
    }
}
