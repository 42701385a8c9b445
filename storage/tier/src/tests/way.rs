//! The whole way once: a log, its objects in a directory, and a consumer that reads them all.

use holdfast_base::Index;

use super::support::{Entry, LogSource, identity, log, model, now, rows};
use crate::read::select;
use crate::store::{FileStore, Store};
use crate::upload::{ReadBack, upload};
use crate::{
    BlockCache, Footer, ObjectIdentity, Part, PlanBuilder, ReadAhead, StoreKey, Tail, Taken,
    shard_directory,
};

/// Many logs one after the other, as one.
fn long_log() -> Vec<Entry> {
    let mut all: Vec<Entry> = Vec::new();
    for seed in 0..12 {
        for mut entry in log(seed) {
            entry.index = Index(all.len() as u64 + 1);
            entry.term = holdfast_base::Term(1);
            // Offsets of a partition must go on ascending over the logs: keep what does.
            let ends = model(&all);
            entry.batches.retain(|(row, _)| {
                let end = ends.get(&row.partition).and_then(|list| list.last());
                end.is_none_or(|(last, _)| row.base_offset > last.last_offset)
            });
            all.push(entry);
        }
    }
    all
}

#[test]
fn a_consumer_reads_from_objects_what_the_log_had() {
    let path = std::env::temp_dir().join(format!("holdfast-tier-way-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&path);
    std::fs::create_dir(&path).unwrap();
    let store = FileStore::open(&path).unwrap();
    let log = long_log();
    // An object for every eight entries, as if each had been due by its age.
    let mut manifests = Vec::new();
    for (sequence, entries) in (1..).zip(log.chunks(8)) {
        let mut object = [0; 16];
        object[0] = sequence as u8;
        let named = ObjectIdentity { sequence, object: crate::ObjectId(object), ..identity() };
        let mut builder = PlanBuilder::new(named, entries[0].index);
        for entry in entries {
            assert_eq!(builder.push_entry(entry.index, entry.term, &rows(entry)), Ok(Taken::Yes));
        }
        let Ok(plan) = builder.finish(0) else { continue };
        let manifest = now(upload(&store, plan, &mut LogSource(entries), ReadBack::Whole)).unwrap();
        manifests.push((named, manifest));
    }
    assert!(manifests.len() > 5, "several objects: {}", manifests.len());
    let shard = shard_directory(identity().cluster, identity().shard);
    let listed = now(store.list(&shard, None, 1000)).unwrap();
    let names: Vec<_> = listed.iter().map(|listed| listed.key.identity()).collect();
    assert!(names.iter().eq(&manifests.iter().map(|(named, _)| Some(*named)).collect::<Vec<_>>()));

    let cache = BlockCache::new(64 << 20);
    for (partition, expected) in model(&log) {
        let (mut next, mut read) = (0, Vec::new());
        let mut past = ReadAhead::default();
        for (named, manifest) in &manifests {
            let Some(row) = manifest.rows.iter().find(|row| row.partition == partition) else {
                continue;
            };
            let (len, key) = (manifest.object_bytes, StoreKey::of(named));
            let tail = now(store.get(&key, len - u64::from(manifest.tail_bytes)..len)).unwrap();
            let Tail::Footer(footer) = Footer::from_tail(named, len, &tail).unwrap() else {
                panic!("the manifest says how long the tail is");
            };
            let partition_row = footer.partition(&partition).unwrap();
            assert_eq!(partition_row.manifest(), *row);
            while next <= row.last_offset {
                let plan = footer.plan_read(&partition, next, 100_000).unwrap();
                let blocks: Vec<_> = plan
                    .blocks
                    .clone()
                    .map(|number| {
                        cache.block(named.object, number).unwrap_or_else(|| {
                            let one = footer.plan_blocks(number..number + 1);
                            let bytes = now(store.get(&key, one.range.clone())).unwrap();
                            let block = footer.open_blocks(&one, &bytes).unwrap().remove(0);
                            cache.put_block(named.object, number, &block);
                            block
                        })
                    })
                    .collect();
                let batches = select(&blocks, next, 100_000);
                let end = batches.last().unwrap().header.last_offset() + 1;
                let (after, ahead) = past.after(
                    next..end,
                    Part { footer: &footer, row: &partition_row },
                    None,
                    u64::MAX,
                );
                past = after;
                // What is ahead goes into the cache in one GET, and is found there.
                if !ahead.blocks.is_empty() {
                    let plan = footer.plan_blocks(ahead.blocks);
                    let bytes = now(store.get(&key, plan.range.clone())).unwrap();
                    let blocks = footer.open_blocks(&plan, &bytes).unwrap();
                    for (number, block) in plan.blocks.zip(&blocks) {
                        cache.put_block(named.object, number, block);
                    }
                }
                next = end;
                read.extend(batches.into_iter().map(|batch| batch.bytes));
            }
        }
        let expected: Vec<_> = expected.into_iter().map(|(_, bytes)| bytes).collect();
        assert_eq!(read, expected, "{partition}");
    }
    std::fs::remove_dir_all(&path).unwrap();
}
