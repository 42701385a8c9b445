//! A shard's log in miniature, drawn from a seed, and the objects made of it.

use std::collections::BTreeMap;

use bytes::{Bytes, BytesMut};
use holdfast_base::{ClusterId, Index, PartitionKey, Rng, ShardId, SplitMix64, Term, TopicId};
use holdfast_batch::{BatchBuilder, BatchHeader, Codec, RecordDraft, patch_in_place};

use crate::format::{ObjectId, ObjectIdentity};
use crate::plan::{BatchRow, ObjectPlan, PlanBuilder, PlannedBatch, Taken};
use crate::upload::{BatchSource, SourceError};
use crate::write::{FinishedObject, ObjectWriter};
use crate::{Footer, Tail};

/// What the log knows of a batch, and the batch.
pub(super) type Stored = (BatchRow, Bytes);

#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) index: Index,
    pub(super) term: Term,
    pub(super) batches: Vec<Stored>,
}

pub(super) fn identity() -> ObjectIdentity {
    ObjectIdentity {
        cluster: ClusterId([0xc1; 16]),
        shard: ShardId(7),
        term: Term(12),
        sequence: 3,
        object: ObjectId([0x0b; 16]),
    }
}

pub(super) fn partition(topic: u8, partition: i32) -> PartitionKey {
    PartitionKey { topic: TopicId([topic; 16]), partition }
}

/// A batch as consumers get it. One record for each timestamp.
pub(super) fn batch(
    partition: PartitionKey,
    base_offset: i64,
    leader_epoch: i32,
    timestamps_ms: &[i64],
    value_bytes: usize,
    codec: Codec,
) -> Stored {
    let mut builder = BatchBuilder::new(codec);
    for timestamp_ms in timestamps_ms {
        let value = vec![(*timestamp_ms % 251) as u8; value_bytes];
        builder = builder.record(RecordDraft::value(*timestamp_ms, value));
    }
    let mut bytes = BytesMut::from(&builder.build().unwrap()[..]);
    patch_in_place(&mut bytes, base_offset, leader_epoch).unwrap();
    let header = BatchHeader::parse(&bytes).unwrap();
    let row = BatchRow {
        partition,
        base_offset,
        last_offset: header.last_offset(),
        leader_epoch,
        max_timestamp_ms: header.max_timestamp_ms,
        len_bytes: bytes.len() as u32,
    };
    (row, bytes.freeze())
}

/// Some entries of a shard: some without batches, offsets with holes, times that go back, batches
/// from 70 bytes to more than a block.
pub(super) fn log(seed: u64) -> Vec<Entry> {
    let mut rng = SplitMix64::new(seed);
    let mut ends: BTreeMap<PartitionKey, i64> = BTreeMap::new();
    let first_index = 1 + rng.below(1000);
    let mut term = 1 + rng.below(9);
    let entries = 1 + rng.below(12);
    let partitions = 1 + rng.below(6);
    let value_bytes_max = [20, 3000, 90_000][rng.below(3) as usize];
    let mut log = Vec::new();
    for at in 0..entries {
        term += u64::from(rng.chance(1, 8));
        let mut batches = Vec::new();
        // The first entry has one in any case.
        for _ in 0..rng.below(5).max(u64::from(at == 0)) {
            let number = rng.below(partitions);
            let partition = partition((number / 2) as u8, (number % 2) as i32);
            let end = ends.entry(partition).or_insert(rng.below(100) as i64);
            let base_offset = *end + if rng.chance(1, 5) { rng.below(50) as i64 } else { 0 };
            let records = 1 + rng.below(4);
            let times: Vec<i64> = (0..records).map(|_| 1000 + rng.below(5000) as i64).collect();
            let value_bytes = rng.below(value_bytes_max) as usize;
            let codec = [Codec::None, Codec::None, Codec::Lz4, Codec::Zstd][rng.below(4) as usize];
            let made = batch(partition, base_offset, term as i32, &times, value_bytes, codec);
            *end = made.0.last_offset + 1;
            batches.push(made);
        }
        log.push(Entry { index: Index(first_index + at), term: Term(term), batches });
    }
    log
}

pub(super) fn rows(entry: &Entry) -> Vec<BatchRow> {
    entry.batches.iter().map(|(row, _)| *row).collect()
}

pub(super) fn plan(log: &[Entry]) -> ObjectPlan {
    let mut builder = PlanBuilder::new(identity(), log[0].index);
    for entry in log {
        assert_eq!(builder.push_entry(entry.index, entry.term, &rows(entry)), Ok(Taken::Yes));
    }
    builder.finish(1_700_000_000_000).unwrap()
}

/// Bytes by place in the log.
#[derive(Clone, Debug)]
pub(super) struct LogSource<'a>(pub(super) &'a [Entry]);

impl LogSource<'_> {
    pub(super) fn bytes(&self, planned: &PlannedBatch) -> Bytes {
        let entry = self.0.iter().find(|entry| entry.index == planned.index).unwrap();
        entry.batches[planned.ordinal as usize].1.clone()
    }
}

impl BatchSource for LogSource<'_> {
    async fn batch(&mut self, batch: &PlannedBatch) -> Result<Bytes, SourceError> {
        Ok(self.bytes(batch))
    }
}

/// The object of a log, joined.
pub(super) fn build(log: &[Entry]) -> (Bytes, FinishedObject) {
    let source = LogSource(log);
    let mut parts = Vec::new();
    let mut writer = ObjectWriter::new(plan(log), &mut parts);
    while let Some(next) = writer.next_batch().copied() {
        writer.write(source.bytes(&next), &mut parts).unwrap();
    }
    let finished = writer.finish(&mut parts).unwrap();
    (Bytes::from(parts.concat()), finished)
}

/// Every partition's batches, as a reader of the log knows them.
pub(super) fn model(log: &[Entry]) -> BTreeMap<PartitionKey, Vec<Stored>> {
    let mut model: BTreeMap<PartitionKey, Vec<Stored>> = BTreeMap::new();
    for stored in log.iter().flat_map(|entry| &entry.batches) {
        model.entry(stored.0.partition).or_default().push(stored.clone());
    }
    model
}

pub(super) fn footer(object: &Bytes) -> Footer {
    match Footer::from_tail(&identity(), object.len() as u64, object).unwrap() {
        Tail::Footer(footer) => footer,
        Tail::ReadFrom(at) => panic!("the whole object has its footer, which begins at {at}"),
    }
}

pub(super) fn slice(object: &Bytes, range: &std::ops::Range<u64>) -> Bytes {
    object.slice(range.start as usize..range.end as usize)
}

/// Runs a future that waits for nothing but this thread.
pub(super) fn now<T>(future: impl Future<Output = T>) -> T {
    poll_once(future).expect("nothing here waits")
}

/// `None` when it waits.
pub(super) fn poll_once<T>(future: impl Future<Output = T>) -> Option<T> {
    let mut future = std::pin::pin!(future);
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    match future.as_mut().poll(&mut context) {
        std::task::Poll::Ready(value) => Some(value),
        std::task::Poll::Pending => None,
    }
}
