//! That objects hold what the log holds, read in few large pieces, and never what lies in its place.

use super::*;
use crate::store::testing::{SEGMENT, Scratch, Written, header, partition};
use holdfast_tier::store::MemoryStore;
use holdfast_tier::{ReadBack, StoreKey, UploadError, upload, verify_object};
use holdfast_wal::SegmentNumber;

async fn put(written: &Written, oldest: SegmentNumber) -> (MemoryStore, Result<(), UploadError>) {
    let directory = Scratch::new();
    let log = written.log(&directory, oldest);
    let store = MemoryStore::new();
    let (plan, mut source) = LogSource::plan(&written.job(), &log).expect("a job");
    let put = upload(&store, plan, &mut source, ReadBack::Tail).await;
    (store, put.map(|_| ()))
}

#[tokio::test]
async fn an_object_holds_every_batch_of_its_job_byte_for_byte() {
    for (seed, entries, value_bytes_max) in [(1, 1, 100), (2, 40, 3_000), (3, 60, 120_000)] {
        let written = Written::drawn(seed, entries, value_bytes_max);
        let (store, put) = put(&written, SEGMENT).await;
        put.expect("a good log");
        let job = written.job();
        let object = store.stored(&StoreKey::of(&job.identity)).expect("it is there");
        let footer = verify_object(&object).expect("a whole object");
        assert_eq!(footer.head().first_index, job.first_index);
        assert_eq!(footer.head().last_index, job.last_index);
        assert_eq!(footer.head().last_term, job.last_term);
        let keys: Vec<PartitionKey> = footer.partitions().map(|row| row.partition).collect();
        assert_eq!(keys, written.batches.keys().copied().collect::<Vec<_>>());
        for (key, batches) in &written.batches {
            let row = footer.partition(key).expect("it has rows");
            let mut found = Vec::new();
            for number in row.first_block..row.first_block + row.blocks {
                let block = footer.block(number);
                let range = block.position as usize..block.end() as usize;
                let opened = holdfast_tier::Block::open(block, object.slice(range));
                found.extend(opened.expect("a block").batches().map(|batch| batch.bytes));
            }
            assert!(&found == batches, "partition {}", key.partition);
        }
    }
}

#[tokio::test]
async fn bytes_of_a_segment_that_has_left_the_log_are_no_batch_however_good() {
    let written = Written::drawn(4, 10, 1_000);
    let (_, put) = put(&written, SegmentNumber(SEGMENT.0 + 1)).await;
    let error = put.expect_err("the segment has gone");
    assert!(matches!(&error, UploadError::Source(_)), "{error}");
    assert!(error.to_string().contains("segment 5 is not in the log"), "{error}");
}

#[tokio::test]
async fn a_damaged_batch_does_not_get_into_an_object() {
    let mut written = Written::default();
    written.entry().batch(partition(0), &[1, 2], 500, 0).batch(partition(1), &[3], 500, 0);
    written.flip(700);
    let (_, put) = put(&written, SEGMENT).await;
    assert!(matches!(put, Err(UploadError::Build(_))), "{put:?}");
}

fn places(written: &Written) -> Vec<Place> {
    let directory = Scratch::new();
    let log = written.log(&directory, SEGMENT);
    let (_, source) = LogSource::plan(&written.job(), &log).expect("a job");
    source.places.to_vec()
}

#[test]
fn neighbours_are_one_read_up_to_a_gap_and_a_length() {
    let mut written = Written::default();
    written.entry();
    for gap_bytes in [0, 0, GAP_BYTES_MAX as usize, GAP_BYTES_MAX as usize + 1, 10] {
        written.batch(partition(0), &[1], 100, gap_bytes);
    }
    let near = places(&written);
    assert_eq!(run_of(&near).len(), 3, "up to the gap that is too wide");
    assert_eq!(run_of(&near[3..]).len(), 2);
    assert!(run_of(&[]).is_empty());

    let mut written = Written::default();
    written.entry();
    for _ in 0..5 {
        written.batch(partition(0), &[1], 700_000, 0);
    }
    let large = places(&written);
    assert_eq!(run_of(&large).len(), 2, "three would be above 2 MiB");
    let mut other = near;
    other[1].extent.segment = SegmentNumber(6);
    assert_eq!(run_of(&other).len(), 1, "another segment");
}

#[test]
fn a_job_is_about_2_mib_however_many_runs_it_has() {
    let mut written = Written::default();
    written.entry();
    for _ in 0..100 {
        written.batch(partition(0), &[1], 60_000, 20_000);
    }
    let directory = Scratch::new();
    let log = written.log(&directory, SEGMENT);
    let (_, source) = LogSource::plan(&written.job(), &log).expect("a job");
    let read = read_job(&log, &source.places).expect("it can be read");
    let bytes: u64 = read.iter().map(|bytes| bytes.len() as u64).sum();
    assert!((JOB_BYTES..JOB_BYTES + 70_000).contains(&bytes), "{bytes}");
    assert!(read[..] == written.batches[&partition(0)][..read.len()]);
}

#[test]
fn a_thin_partition_does_not_hold_what_lies_between_its_batches() {
    let mut written = Written::default();
    written.entry();
    for _ in 0..50 {
        written.batch(partition(0), &[1], 10, 15_000);
    }
    let directory = Scratch::new();
    let log = written.log(&directory, SEGMENT);
    let (_, source) = LogSource::plan(&written.job(), &log).expect("a job");
    let read = read_job(&log, &source.places).expect("it can be read");
    assert_eq!(read.len(), 50);
    let distance =
        |pair: &[Bytes]| (pair[1].as_ptr() as usize).wrapping_sub(pair[0].as_ptr() as usize);
    let in_file = 15_000 + read[0].len();
    assert!(read.windows(2).all(|pair| distance(pair) != in_file), "they are copies");
}

#[tokio::test]
async fn a_batch_asked_for_out_of_turn_is_refused() {
    let written = Written::drawn(5, 5, 100);
    let directory = Scratch::new();
    let log = written.log(&directory, SEGMENT);
    let (plan, mut source) = LogSource::plan(&written.job(), &log).expect("a job");
    let (first, last) = (plan.batches()[0], *plan.batches().last().expect("some"));
    assert!(source.batch(&last).await.is_err());
    let (_, mut source) = LogSource::plan(&written.job(), &log).expect("a job");
    let bytes = source.batch(&first).await.expect("its turn");
    assert_eq!(header(&bytes).base_offset, first.row.base_offset);
}
