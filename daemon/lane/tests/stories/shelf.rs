//! An object store of the simplest kind: it does what a lane asks of one, in memory, and can be away.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use holdfast_base::{Index, PartitionKey, ShardId, Term};
use holdfast_lane::{
    Answer, MergeJob, Request, StateCheckpoint, StoreWork, Stored, UploadBatch, UploadJob,
};
use holdfast_log::{Manifest, ManifestRow, ObjectId};

use crate::node::Node;

/// Bytes around the batches of an object: head, and footer with trailer.
const HEAD_BYTES: u64 = 128;
const TAIL_BYTES: u32 = 400;

/// See the module.
pub(crate) struct Shelf {
    pub(crate) objects: BTreeMap<ObjectId, BTreeMap<PartitionKey, Vec<(UploadBatch, Bytes)>>>,
    pub(crate) checkpoints: BTreeMap<ShardId, StateCheckpoint>,
    /// Work that waits while the store is away.
    waiting: Vec<StoreWork>,
    pub(crate) away: bool,
    /// States are kept, not only asked for.
    pub(crate) keeps_states: bool,
    pub(crate) uploads: usize,
    pub(crate) deletions: usize,
    pub(crate) merges: usize,
    pub(crate) repairs: usize,
    pub(crate) checks: usize,
    /// Objects whose bytes have changed in the store.
    pub(crate) damaged: BTreeSet<ObjectId>,
}

impl Default for Shelf {
    fn default() -> Shelf {
        Shelf {
            objects: BTreeMap::new(),
            checkpoints: BTreeMap::new(),
            waiting: Vec::new(),
            away: false,
            keeps_states: true,
            uploads: 0,
            merges: 0,
            repairs: 0,
            checks: 0,
            damaged: BTreeSet::new(),
            deletions: 0,
        }
    }
}

impl Shelf {
    /// Does everything the node asks for, until it asks for nothing more.
    pub(crate) fn serve(&mut self, node: &mut Node) {
        loop {
            node.lane().take_store_work(&mut self.waiting);
            if self.away {
                return;
            }
            let keeps_states = self.keeps_states;
            let is_due =
                |work: &mut StoreWork| keeps_states || !matches!(work, StoreWork::Checkpoint(_));
            let due: Vec<StoreWork> = self.waiting.extract_if(.., is_due).collect();
            if due.is_empty() {
                return;
            }
            for work in due {
                let stored = self.carry_out(node, work);
                let answer = node.ask(Request::Stored(stored));
                assert!(matches!(answer, Answer::Stored), "{answer:?}");
            }
        }
    }

    /// Lets time pass, and serves.
    pub(crate) fn run_ms(&mut self, node: &mut Node, ms: u64) {
        for _ in 0..ms.div_ceil(100) {
            node.run_ms(100);
            self.serve(node);
        }
    }

    /// Objects that wait while the store is away.
    pub(crate) fn objects_under_way(&self) -> Vec<ObjectId> {
        let object = |work: &StoreWork| match work {
            StoreWork::Upload(job) => Some(job.identity.object),
            _ => None,
        };
        self.waiting.iter().filter_map(object).collect()
    }

    /// The node is gone: what it asked for is nobody's any more.
    pub(crate) fn forget_work(&mut self) {
        self.waiting.clear();
    }

    fn carry_out(&mut self, node: &Node, work: StoreWork) -> Stored {
        match work {
            StoreWork::Upload(job) => {
                self.uploads += 1;
                let (shard, last) = (job.identity.shard, job.last_index);
                assert_eq!(job.entries.last().map(|entry| entry.index), Some(last));
                Stored::Uploaded { shard, manifest: self.put(node, job) }
            }
            StoreWork::Merge(job) => {
                self.merges += 1;
                let shard = job.identity.shard;
                Stored::Merged { shard, manifest: self.merge(&job) }
            }
            StoreWork::Repair(job) => {
                self.repairs += 1;
                let shard = job.identity.shard;
                Stored::Repaired { shard, manifest: self.put(node, job) }
            }
            StoreWork::Check(job) => {
                self.checks += 1;
                let (shard, object) = (job.identity.shard, job.identity.object);
                let wrong =
                    self.damaged.contains(&object).then(|| "its bytes are others".to_owned());
                Stored::Checked { shard, object, bytes: job.object_bytes, wrong }
            }
            StoreWork::Delete { shard, object, .. } => {
                self.deletions += 1;
                self.objects.remove(&object.object);
                Stored::Deleted { shard, object: object.object }
            }
            StoreWork::Checkpoint(checkpoint) => {
                let (shard, applied) = (checkpoint.shard, checkpoint.applied);
                self.checkpoints.insert(shard, checkpoint);
                Stored::Checkpointed { shard, applied }
            }
        }
    }

    fn put(&mut self, node: &Node, job: UploadJob) -> Manifest {
        let mut rows: BTreeMap<PartitionKey, Vec<(UploadBatch, Bytes)>> = BTreeMap::new();
        let mut last = Index(0);
        for entry in job.entries {
            assert!(entry.index > last && !entry.batches.is_empty(), "entries ascend");
            last = entry.index;
            for batch in entry.batches {
                let media = node.device.media(&batch.file).unwrap();
                let start = usize::try_from(batch.extent.offset).unwrap();
                let bytes = &media[start..start + batch.extent.len_bytes as usize];
                let bytes = Bytes::copy_from_slice(bytes);
                rows.entry(batch.partition).or_default().push((batch, bytes));
            }
        }
        assert!(last <= job.last_index);
        self.keep(job.identity.object, job.created_ms, job.last_term, rows)
    }

    fn merge(&mut self, job: &MergeJob) -> Manifest {
        let mut rows: BTreeMap<PartitionKey, Vec<(UploadBatch, Bytes)>> = BTreeMap::new();
        for source in &job.sources {
            let held = self.objects.get(&source.identity.object).expect("a source is there");
            for part in &source.parts {
                let taken = held[&part.partition].iter().filter(|(batch, _)| {
                    batch.last_offset >= part.from_offset && batch.last_offset <= part.last_offset
                });
                rows.entry(part.partition).or_default().extend(taken.cloned());
            }
        }
        for batches in rows.values_mut() {
            batches.sort_by_key(|(batch, _)| batch.base_offset);
        }
        self.keep(job.identity.object, job.created_ms, job.last_term, rows)
    }

    fn keep(
        &mut self,
        object: ObjectId,
        created_ms: i64,
        last_term: Term,
        rows: BTreeMap<PartitionKey, Vec<(UploadBatch, Bytes)>>,
    ) -> Manifest {
        let row = |(partition, batches): (&PartitionKey, &Vec<(UploadBatch, Bytes)>)| ManifestRow {
            partition: *partition,
            len_bytes: batches.iter().map(|(batch, _)| batch.extent.len_bytes).sum(),
            base_offset: batches[0].0.base_offset,
            last_offset: batches[batches.len() - 1].0.last_offset,
            max_timestamp_ms: batches
                .iter()
                .map(|(batch, _)| batch.max_timestamp_ms)
                .max()
                .unwrap(),
        };
        let manifest_rows: Vec<ManifestRow> = rows.iter().map(row).collect();
        let bytes: u64 = manifest_rows.iter().map(|row| u64::from(row.len_bytes)).sum();
        self.objects.insert(object, rows);
        Manifest {
            object,
            object_bytes: HEAD_BYTES + bytes + u64::from(TAIL_BYTES),
            tail_bytes: TAIL_BYTES,
            sha256: [7; 32],
            created_ms,
            last_term,
            rows: manifest_rows,
        }
    }

    /// The batches of an object from `offset` on.
    pub(crate) fn read(&self, object: ObjectId, partition: PartitionKey, offset: i64) -> Bytes {
        let batches =
            &self.objects.get(&object).expect("an object that is read is there")[&partition];
        let from = batches.iter().skip_while(|(batch, _)| batch.last_offset < offset);
        from.flat_map(|(_, bytes)| bytes.iter().copied()).collect()
    }
}
