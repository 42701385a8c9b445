//! Build, read back: the same batches; every lookup as a naive one.

use bytes::Bytes;
use holdfast_base::PartitionKey;
use holdfast_batch::{Limits, find_by_timestamp};
use proptest::prelude::*;

use super::support::{build, footer, identity, log, model, partition, plan, slice};
use crate::format::TRAILER_BYTES;
use crate::read::select;
use crate::{Footer, Tail, tail_range, verify_object};

/// What a fetch would return if all batches lay in one list.
fn naive(batches: &[super::support::Stored], offset: i64, max_bytes: u64) -> Vec<Bytes> {
    let mut taken = Vec::new();
    let mut sum = 0;
    for (_, bytes) in batches.iter().filter(|(row, _)| row.last_offset >= offset) {
        sum += bytes.len() as u64;
        if !taken.is_empty() && sum > max_bytes {
            break;
        }
        taken.push(bytes.clone());
    }
    taken
}

/// A search by time through plans and blocks: offset and timestamp.
fn search(
    footer: &Footer,
    object: &Bytes,
    key: &PartitionKey,
    from_offset: i64,
    timestamp_ms: i64,
) -> Option<(i64, i64)> {
    let mut from = from_offset;
    while let Some(plan) = footer.plan_by_timestamp(key, from, timestamp_ms) {
        let blocks = footer.open_blocks(&plan, &slice(object, &plan.range)).unwrap();
        let limits = Limits::default();
        let found = blocks[0].find_by_timestamp(from_offset, timestamp_ms, &limits).unwrap();
        if let Some(record) = found {
            return Some((record.offset, record.timestamp_ms));
        }
        from = blocks[0].row().last_offset + 1;
    }
    None
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn an_object_reads_back_as_the_batches_that_went_in(seed: u64) {
        let log = log(seed);
        let (object, finished) = build(&log);
        let footer = verify_object(&object).unwrap();
        prop_assert_eq!(finished.len_bytes, object.len() as u64);
        prop_assert_eq!(*footer.head(), *plan(&log).head());
        let model = model(&log);
        prop_assert_eq!(footer.partitions().len(), model.len());
        for (row, (key, stored)) in footer.partitions().zip(&model) {
            prop_assert_eq!(&row.partition, key);
            let whole = footer.plan_read(key, 0, u64::MAX).unwrap();
            let read = slice(&object, &whole.range);
            let blocks = footer.open_blocks(&whole, &read).unwrap();
            let batches: Vec<_> = blocks.iter().flat_map(|block| block.batches()).collect();
            prop_assert_eq!(batches.len(), stored.len());
            for (batch, (row, bytes)) in batches.iter().zip(stored) {
                prop_assert_eq!(&batch.bytes, bytes);
                prop_assert_eq!(batch.header.base_offset, row.base_offset);
                prop_assert_eq!(batch.header.partition_leader_epoch, row.leader_epoch);
                // A slice of what was read, not a copy.
                let inside = read.as_ptr_range();
                prop_assert!(inside.contains(&batch.bytes.as_ptr()));
            }
        }
        let rows: Vec<_> = footer.partitions().map(|row| row.manifest()).collect();
        prop_assert_eq!(rows, finished.manifest.rows);
    }

    #[test]
    fn a_read_is_the_beginning_of_what_a_naive_reader_returns(
        seed: u64, offset in -1_i64..400, max_bytes in 0_u64..600_000,
    ) {
        let log = log(seed);
        let (object, _) = build(&log);
        let footer = footer(&object);
        for (key, stored) in model(&log) {
            let expected = naive(&stored, offset, max_bytes);
            let Some(plan) = footer.plan_read(&key, offset, max_bytes) else {
                prop_assert!(expected.is_empty());
                continue;
            };
            let blocks = footer.open_blocks(&plan, &slice(&object, &plan.range)).unwrap();
            let got: Vec<Bytes> =
                select(&blocks, offset, max_bytes).into_iter().map(|batch| batch.bytes).collect();
            prop_assert!(!got.is_empty(), "a plan has something to return");
            prop_assert_eq!(&expected[..got.len()], &got[..]);
            // Fewer only when as many bytes were read as asked for: a first block half used.
            let read_bytes = plan.range.end - plan.range.start;
            prop_assert!(got.len() == expected.len() || read_bytes >= max_bytes);
            // From all blocks the selection is the naive one.
            let whole = footer.plan_read(&key, offset, u64::MAX).unwrap();
            let blocks = footer.open_blocks(&whole, &slice(&object, &whole.range)).unwrap();
            let all: Vec<Bytes> =
                select(&blocks, offset, max_bytes).into_iter().map(|batch| batch.bytes).collect();
            prop_assert_eq!(&all, &expected);
        }
        prop_assert!(footer.plan_read(&partition(200, 0), 0, 1).is_none());
    }

    #[test]
    fn a_search_by_time_finds_the_record_a_naive_search_finds(
        seed: u64, from_offset in 0_i64..200, timestamp_ms in 0_i64..7000,
    ) {
        let log = log(seed);
        let (object, _) = build(&log);
        let footer = footer(&object);
        let limits = Limits::default();
        for (key, stored) in model(&log) {
            // Also the times that blocks end with, since there a search may be off by one.
            let newest = stored.iter().map(|(row, _)| row.max_timestamp_ms);
            for timestamp_ms in newest.chain([timestamp_ms]) {
                let expected = stored
                    .iter()
                    .filter(|(row, _)| row.last_offset >= from_offset)
                    .find_map(|(_, bytes)| {
                        find_by_timestamp(bytes, timestamp_ms, &limits).unwrap()
                    });
                let found = search(&footer, &object, &key, from_offset, timestamp_ms);
                prop_assert_eq!(found, expected);
            }
        }
    }

    #[test]
    fn a_footer_is_found_from_any_tail_that_holds_the_trailer(seed: u64, extra in 0_usize..3000) {
        let (object, _) = build(&log(seed));
        let len = (TRAILER_BYTES + extra).min(object.len());
        let tail = object.slice(object.len() - len..);
        let whole = footer(&object);
        match Footer::from_tail(&identity(), object.len() as u64, &tail).unwrap() {
            Tail::Footer(found) => prop_assert_eq!(found.trailer(), whole.trailer()),
            Tail::ReadFrom(at) => {
                prop_assert!(at < (object.len() - len) as u64, "only when the tail is too short");
                let tail = object.slice(at as usize..);
                let again = Footer::from_tail(&identity(), object.len() as u64, &tail);
                prop_assert!(matches!(again, Ok(Tail::Footer(_))), "the second GET is the last");
            }
        }
    }
}

#[test]
fn the_first_get_is_the_last_64_kib_or_all() {
    assert_eq!(tail_range(1000), 0..1000);
    assert_eq!(tail_range(1 << 20), (1 << 20) - (64 << 10)..1 << 20);
}
