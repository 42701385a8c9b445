//! Objects made of others: what can be read of them, what is not in them, and what stops a merge.

use std::collections::BTreeMap;

use bytes::Bytes;
use holdfast_base::{Index, PartitionKey, Rng, SplitMix64, Term};
use holdfast_log::{Manifest, MergePart, MergeSource};

use super::support::{Entry, LogSource, identity, log, now, rows};
use crate::limits::BLOCK_PAYLOAD_BYTES_CUT;
use crate::merge::{MergeError, merge};
use crate::store::{Action, Fault, MemoryStore, Operation, Store};
use crate::upload::{ReadBack, upload};
use crate::{ObjectHead, ObjectId, ObjectIdentity, PlanBuilder, StoreKey, Taken, verify_object};

/// Batches by partition, with their last offsets.
type Batches = BTreeMap<PartitionKey, Vec<(i64, i64, Bytes)>>;

struct Site {
    store: MemoryStore,
    objects: Vec<(ObjectIdentity, Manifest)>,
    batches: Batches,
}

fn named(sequence: u64) -> ObjectIdentity {
    let mut object = [0x11; 16];
    object[..8].copy_from_slice(&sequence.to_le_bytes());
    ObjectIdentity { sequence, object: ObjectId(object), ..identity() }
}

/// Logs drawn from `seed`, one after the other, each in an object of its own.
fn site(seed: u64, count: u64) -> Site {
    let store = MemoryStore::new();
    let (mut objects, mut batches): (_, Batches) = (Vec::new(), BTreeMap::new());
    let mut index = 1;
    for sequence in 1..=count {
        let mut entries: Vec<Entry> = log(seed * 1000 + sequence);
        for entry in &mut entries {
            entry.index = Index(index);
            entry.term = Term(1);
            index += 1;
            entry.batches.retain(|(row, _)| {
                let known = batches.get(&row.partition).and_then(|list| list.last());
                known.is_none_or(|(_, last, _)| row.base_offset > *last)
            });
            for (row, bytes) in &entry.batches {
                let list = batches.entry(row.partition).or_default();
                list.push((row.base_offset, row.last_offset, bytes.clone()));
            }
        }
        let mut builder = PlanBuilder::new(named(sequence), entries[0].index);
        for entry in &entries {
            assert_eq!(builder.push_entry(entry.index, entry.term, &rows(entry)), Ok(Taken::Yes));
        }
        let Ok(plan) = builder.finish(0) else { continue };
        let manifest = now(upload(&store, plan, &mut LogSource(&entries), ReadBack::Tail)).unwrap();
        objects.push((named(sequence), manifest));
    }
    Site { store, objects, batches }
}

impl Site {
    /// Everything of all objects, but for what lies below `log_start`.
    fn sources(&self, log_start: impl Fn(&PartitionKey) -> i64) -> Vec<MergeSource> {
        let source = |(named, manifest): &(ObjectIdentity, Manifest)| MergeSource {
            identity: *named,
            object_bytes: manifest.object_bytes,
            tail_bytes: manifest.tail_bytes,
            parts: manifest
                .rows
                .iter()
                .filter(|row| row.last_offset >= log_start(&row.partition))
                .map(|row| MergePart {
                    partition: row.partition,
                    from_offset: row.base_offset.max(log_start(&row.partition)),
                    last_offset: row.last_offset,
                    len_bytes: row.len_bytes,
                })
                .collect(),
        };
        self.objects.iter().map(source).filter(|source| !source.parts.is_empty()).collect()
    }

    fn merge(&self, sources: &[MergeSource]) -> Result<Manifest, MergeError> {
        now(merge(&self.store, head(), sources, ReadBack::Tail))
    }

    fn merged(&self) -> Bytes {
        self.store.stored(&StoreKey::of(&head().identity)).expect("it was put")
    }
}

fn head() -> ObjectHead {
    ObjectHead {
        identity: named(9999),
        first_index: Index(1),
        last_index: Index(100_000),
        last_term: Term(1),
        created_ms: 7,
    }
}

/// What the object of `bytes` holds.
fn held(bytes: &Bytes) -> Batches {
    let footer = verify_object(bytes).expect("it is whole");
    let mut found: Batches = BTreeMap::new();
    for row in footer.partitions() {
        let plan = footer.plan_blocks(row.first_block..row.first_block + row.blocks);
        let range = plan.range.start as usize..plan.range.end as usize;
        for block in footer.open_blocks(&plan, &bytes.slice(range)).unwrap() {
            let list = found.entry(row.partition).or_default();
            list.extend(
                block.batches().map(|batch| {
                    (batch.header.base_offset, batch.header.last_offset(), batch.bytes)
                }),
            );
        }
    }
    found
}

#[test]
fn a_merged_object_has_every_batch_of_its_sources_byte_for_byte() {
    for seed in 0..40 {
        let site = site(seed, 9);
        let manifest = site.merge(&site.sources(|_| 0)).unwrap();
        let found = held(&site.merged());
        assert_eq!(found, site.batches, "seed {seed}");
        for row in &manifest.rows {
            let list = &found[&row.partition];
            assert_eq!((row.base_offset, row.last_offset), (list[0].0, list[list.len() - 1].1));
        }
        assert_eq!(manifest.rows.len(), found.len());
    }
}

#[test]
fn small_blocks_of_many_objects_become_full_ones() {
    let (mut before, mut after) = (0, 0);
    for seed in 0..40 {
        let site = site(seed, 9);
        site.merge(&site.sources(|_| 0)).unwrap();
        for (named, _) in &site.objects {
            let bytes = site.store.stored(&StoreKey::of(named)).unwrap();
            before += verify_object(&bytes).unwrap().trailer().blocks;
        }
        let merged = verify_object(&site.merged()).unwrap();
        after += merged.trailer().blocks;
        for row in merged.partitions() {
            let blocks = row.first_block..row.first_block + row.blocks;
            let sizes: Vec<u32> = blocks.map(|at| merged.block(at).len_bytes).collect();
            let full = |pair: &[u32]| pair[0] + pair[1] > BLOCK_PAYLOAD_BYTES_CUT;
            assert!(sizes.windows(2).all(full), "two would have been one: {sizes:?}");
        }
    }
    assert!(after < before, "{before} blocks became {after}");
}

#[test]
fn no_batch_below_the_log_start_or_of_another_topic_is_written_again() {
    for seed in 0..40 {
        let site = site(seed, 9);
        let mut rng = SplitMix64::new(seed);
        let starts: BTreeMap<PartitionKey, i64> = site
            .batches
            .iter()
            .map(|(key, list)| {
                let end = list[list.len() - 1].1 + 1;
                // Beyond the end: a topic that is gone.
                (*key, rng.below(end as u64 + end as u64 / 4) as i64)
            })
            .collect();
        let sources = site.sources(|key| starts[key]);
        if sources.is_empty() {
            continue;
        }
        site.merge(&sources).unwrap();
        let mut expected = site.batches.clone();
        for (key, list) in &mut expected {
            list.retain(|(_, last, _)| *last >= starts[key]);
        }
        expected.retain(|_, list| !list.is_empty());
        assert_eq!(held(&site.merged()), expected, "seed {seed}");
    }
}

#[test]
fn a_damaged_source_is_named_and_nothing_is_put() {
    let site = site(5, 4);
    let sources = site.sources(|_| 0);
    let key = StoreKey::of(&sources[1].identity);
    let good = site.store.stored(&key).unwrap();
    // In a block; in the footer; a byte too few.
    for (at, len) in [(300, good.len()), (good.len() - 250, good.len()), (300, good.len() - 1)] {
        let mut bytes = good.to_vec();
        bytes[at] ^= 0x10;
        bytes.truncate(len);
        now(site.store.put(&key, vec![bytes.into()])).unwrap();
        let error = site.merge(&sources).unwrap_err();
        assert_eq!(error.culprit(), Some(sources[1].identity.object), "{error:?}");
        assert!(site.store.stored(&StoreKey::of(&head().identity)).is_none());
        if len == good.len() {
            assert!(matches!(error, MergeError::Damaged { .. }), "{error:?}");
            assert_eq!(error.action(), Action::Refuse);
        }
    }
    now(site.store.put(&key, vec![good])).unwrap();
    site.merge(&sources).unwrap();
}

#[test]
fn a_source_that_is_gone_ends_a_merge_and_one_that_is_away_does_not() {
    let site = site(5, 4);
    let mut sources = site.sources(|_| 0);
    site.store.arm(Operation::Get, Fault::Busy);
    assert_eq!(site.merge(&sources).unwrap_err().action(), Action::Retry);
    sources[1].identity = named(77);
    let error = site.merge(&sources).unwrap_err();
    assert_eq!((error.action(), error.culprit()), (Action::Refuse, Some(named(77).object)));
}

#[test]
fn a_source_that_has_not_what_its_manifest_says_is_not_merged() {
    let site = site(5, 4);
    for change in 0..2 {
        let mut sources = site.sources(|_| 0);
        let part = &mut sources[2].parts[0];
        match change {
            0 => part.last_offset += 1,
            _ => part.partition.partition += 1000,
        }
        assert_eq!(site.merge(&sources).unwrap_err().action(), Action::Refuse, "{change}");
    }
}
