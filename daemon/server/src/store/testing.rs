//! A log of one segment in a real file, the job that makes an object of it, and what is in it.

use super::log_source::{Log, LogSource};
use bytes::{Bytes, BytesMut};
use holdfast_base::{ClusterId, Index, PartitionKey, Rng, ShardId, SplitMix64, Term, TopicId};
use holdfast_batch::{BatchBuilder, BatchHeader, Codec, RecordDraft, patch_in_place};
use holdfast_io::{BufferPool, SegmentReader};
use holdfast_lane::{ObjectPlace, UploadBatch, UploadEntry, UploadJob};
use holdfast_tier::store::Store;
use holdfast_tier::{Manifest, ObjectId, ObjectIdentity, ReadBack, upload};
use holdfast_wal::{Extent, OldestSegment, SegmentNumber};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};

pub(super) const SEGMENT: SegmentNumber = SegmentNumber(5);
const FILE: &str = "segment";
const FIRST_INDEX: u64 = 100;

/// A directory of its own, removed at the end.
pub(super) struct Scratch(PathBuf);

impl Scratch {
    pub(super) fn new() -> Scratch {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("holdfast-store-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&path).expect("a directory for the test");
        Scratch(path)
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.0));
    }
}

pub(in crate::store) fn partition(number: i32) -> PartitionKey {
    PartitionKey { topic: TopicId([7; 16]), partition: number }
}

/// One record for each time.
pub(super) fn batch(base_offset: i64, times_ms: &[i64], value_bytes: usize) -> Bytes {
    let mut builder = BatchBuilder::new(Codec::None);
    for time_ms in times_ms {
        let value = vec![(time_ms % 251) as u8; value_bytes];
        builder = builder.record(RecordDraft::value(*time_ms, value));
    }
    let mut bytes = BytesMut::from(&builder.build().expect("records fit")[..]);
    patch_in_place(&mut bytes, base_offset, 3).expect("a batch of ours");
    bytes.freeze()
}

/// A file of batches, some bytes of others between them.
#[derive(Default)]
pub(super) struct Written {
    file: Vec<u8>,
    entries: Vec<UploadEntry>,
    pub(super) batches: BTreeMap<PartitionKey, Vec<Bytes>>,
    /// Of each partition.
    pub(super) first_offset: i64,
}

impl Written {
    pub(super) fn entry(&mut self) -> &mut Written {
        let index = Index(FIRST_INDEX + 2 * self.entries.len() as u64);
        self.entries.push(UploadEntry { index, batches: Vec::new() });
        self
    }

    /// Adds a batch to the last entry, behind `gap_bytes` that are none of ours.
    pub(super) fn batch(
        &mut self,
        partition: PartitionKey,
        times_ms: &[i64],
        value_bytes: usize,
        gap_bytes: usize,
    ) -> &mut Written {
        let batches = self.batches.entry(partition).or_default();
        let end = batches.last().map_or(self.first_offset, |last| header(last).next_offset());
        let bytes = batch(end, times_ms, value_bytes);
        batches.push(bytes.clone());
        self.file.resize(self.file.len() + gap_bytes, 0xa5);
        let offset = self.file.len() as u64;
        let extent = Extent { segment: SEGMENT, offset, len_bytes: bytes.len() as u32 };
        self.file.extend_from_slice(&bytes);
        let header = header(&bytes);
        self.entries.last_mut().expect("an entry was begun").batches.push(UploadBatch {
            partition,
            base_offset: header.base_offset,
            last_offset: header.last_offset(),
            leader_epoch: header.partition_leader_epoch,
            max_timestamp_ms: header.max_timestamp_ms,
            file: FILE.into(),
            extent,
        });
        self
    }

    /// Entries of three partitions, from a seed; times go up and down.
    pub(super) fn drawn(seed: u64, entries: u64, value_bytes_max: u64) -> Written {
        let mut rng = SplitMix64::new(seed);
        let mut written = Written::default();
        for at in 0..entries {
            written.entry();
            for _ in 0..=rng.below(3) {
                let partition = partition(rng.below(3) as i32);
                let times: Vec<i64> = (0..=rng.below(3))
                    .map(|_| 1_000 + 10 * at as i64 + rng.below(40) as i64)
                    .collect();
                let gap_bytes = [0, 61, 9_000, 40_000][rng.below(4) as usize];
                let value_bytes = rng.below(value_bytes_max) as usize;
                written.batch(partition, &times, value_bytes, gap_bytes);
            }
        }
        written
    }

    pub(super) fn flip(&mut self, at: usize) {
        self.file[at] ^= 0x20;
    }

    /// Puts the file into `directory`; the log is as old as `oldest`.
    pub(super) fn log(&self, directory: &Scratch, oldest: SegmentNumber) -> Log {
        let mut file = self.file.clone();
        // A segment's files are whole blocks.
        file.resize(file.len().next_multiple_of(4096), 0);
        std::fs::write(directory.path().join(FILE), file).expect("a file for the test");
        let reader = SegmentReader::new(directory.path(), BufferPool::new(0)).expect("it is there");
        Log { reader, oldest: Arc::new(OnceLock::from(OldestSegment::fixed(oldest))) }
    }

    pub(super) fn job(&self) -> UploadJob {
        let last_index = self.entries.last().expect("there are entries").index;
        UploadJob {
            identity: identity(1),
            first_index: Index(FIRST_INDEX),
            last_index,
            last_term: Term(4),
            created_ms: 1_700_000_000_000,
            entries: self.entries.clone(),
        }
    }

    /// All batches of a partition that end at or behind `offset`.
    pub(super) fn from(&self, partition: PartitionKey, offset: i64) -> Vec<Bytes> {
        let batches = self.batches[&partition].iter();
        batches.filter(|batch| header(batch).last_offset() >= offset).cloned().collect()
    }

    /// Puts the object into `store`.
    pub(super) async fn put(&self, store: &dyn Store) -> ObjectPlace {
        self.put_as(store, 1).await
    }

    /// The same, as object number `object`.
    pub(super) async fn put_as(&self, store: &dyn Store, object: u8) -> ObjectPlace {
        let directory = Scratch::new();
        let log = self.log(&directory, SEGMENT);
        let job = UploadJob { identity: identity(object), ..self.job() };
        let (plan, mut source) = LogSource::plan(&job, &log).expect("a job");
        let manifest = upload(store, plan, &mut source, ReadBack::Tail).await.expect("put");
        place(&manifest)
    }
}

pub(in crate::store) fn identity(object: u8) -> ObjectIdentity {
    ObjectIdentity {
        cluster: ClusterId([1; 16]),
        shard: ShardId(2),
        term: Term(4),
        sequence: FIRST_INDEX,
        object: ObjectId([object; 16]),
    }
}

fn place(manifest: &Manifest) -> ObjectPlace {
    ObjectPlace {
        identity: ObjectIdentity { object: manifest.object, ..identity(1) },
        object_bytes: manifest.object_bytes,
        tail_bytes: manifest.tail_bytes,
    }
}

pub(super) fn header(batch: &Bytes) -> BatchHeader {
    BatchHeader::parse(batch).expect("a batch")
}
