//! What becomes an object, and what is refused.

use bytes::{Bytes, BytesMut};
use holdfast_base::{Index, Term};
use holdfast_batch::Codec;
use proptest::prelude::*;

use super::support::{LogSource, batch, build, identity, log, partition, plan};
use crate::error::BuildError;
use crate::limits::{
    BATCH_BYTES_MAX, BLOCK_PAYLOAD_BYTES_CUT, OBJECT_BATCHES_MAX, OBJECT_PARTITIONS_MAX,
    OBJECT_PAYLOAD_BYTES_CUT, PART_BYTES,
};
use crate::parts::PartCutter;
use crate::plan::{BatchRow, PlanBuilder, Taken};
use crate::verify_object;
use crate::write::ObjectWriter;

fn row(topic: u8, base_offset: i64, len_bytes: u32) -> BatchRow {
    BatchRow {
        partition: partition(topic, 0),
        base_offset,
        last_offset: base_offset,
        leader_epoch: 1,
        max_timestamp_ms: 0,
        len_bytes,
    }
}

fn builder() -> PlanBuilder {
    PlanBuilder::new(identity(), Index(5))
}

#[test]
fn a_range_has_every_entry_once_and_in_order() {
    let mut builder = builder();
    let gap =
        |expected, got| Err(BuildError::IndexGap { expected: Index(expected), got: Index(got) });
    assert_eq!(builder.push_entry(Index(6), Term(1), &[]), gap(5, 6));
    assert_eq!(builder.push_entry(Index(5), Term(3), &[]), Ok(Taken::Yes));
    assert_eq!(builder.push_entry(Index(5), Term(3), &[]), gap(6, 5));
    let backwards = Err(BuildError::TermBackwards { at: Index(6) });
    assert_eq!(builder.push_entry(Index(6), Term(2), &[]), backwards);
    assert_eq!(builder.clone().finish(0), Err(BuildError::NothingToUpload));
    assert_eq!(builder.push_entry(Index(6), Term(3), &[row(1, 0, 100)]), Ok(Taken::Yes));
    assert_eq!(builder.push_entry(Index(7), Term(4), &[]), Ok(Taken::Yes));
    let plan = builder.finish(9).unwrap();
    let head = plan.head();
    assert_eq!((head.first_index, head.last_index, head.last_term), (Index(5), Index(7), Term(4)));
}

#[test]
fn an_entry_that_is_refused_changes_nothing() {
    let mut builder = builder();
    assert_eq!(builder.push_entry(Index(5), Term(1), &[row(1, 10, 100)]), Ok(Taken::Yes));
    let before = builder.clone().finish(0);
    // The first batch of each could go in; the second cannot.
    for second in
        [row(1, 10, 100), row(1, 3, 100), row(2, -1, 100), row(2, 0, 60), row(2, i64::MAX, 100)]
    {
        let refused = builder.push_entry(Index(6), Term(1), &[row(1, 11, 100), second]);
        assert!(refused.is_err(), "{second:?}");
        assert_eq!(builder.clone().finish(0), before);
        assert_eq!(builder.payload_bytes(), 100);
    }
    assert_eq!(builder.push_entry(Index(6), Term(1), &[row(1, 11, 100)]), Ok(Taken::Yes));
}

#[test]
fn an_object_is_cut_before_the_entry_that_would_make_it_too_large() {
    let mut builder = builder();
    let half = (OBJECT_PAYLOAD_BYTES_CUT / 2) as u32;
    assert_eq!(builder.push_entry(Index(5), Term(1), &[row(1, 0, half)]), Ok(Taken::Yes));
    assert_eq!(builder.push_entry(Index(6), Term(1), &[row(1, 1, half + 1)]), Ok(Taken::Full));
    assert_eq!(builder.next_index(), Index(6), "it begins the next object");
    assert_eq!(builder.push_entry(Index(6), Term(1), &[row(1, 1, half)]), Ok(Taken::Yes));
    assert_eq!(builder.push_entry(Index(7), Term(1), &[]), Ok(Taken::Yes), "nothing always fits");
    let largest = &[row(1, 0, BATCH_BYTES_MAX)];
    let mut alone = PlanBuilder::new(identity(), Index(5));
    assert_eq!(alone.push_entry(Index(5), Term(1), largest), Ok(Taken::Yes));
    let mut too_large = PlanBuilder::new(identity(), Index(5));
    let two = [row(1, 0, BATCH_BYTES_MAX), row(2, 0, 100)];
    let refused = too_large.push_entry(Index(5), Term(1), &two);
    assert!(matches!(refused, Err(BuildError::EntryTooLarge { .. })), "{refused:?}");
}

#[test]
fn an_object_is_cut_before_it_has_too_many_partitions_or_batches() {
    let of = |number: usize| BatchRow { partition: partition(0, number as i32), ..row(0, 0, 61) };
    let mut builder = builder();
    let all: Vec<BatchRow> = (0..OBJECT_PARTITIONS_MAX).map(of).collect();
    assert_eq!(builder.push_entry(Index(5), Term(1), &all), Ok(Taken::Yes));
    let another = [of(OBJECT_PARTITIONS_MAX)];
    assert_eq!(builder.push_entry(Index(6), Term(1), &another), Ok(Taken::Full));
    assert_eq!(builder.push_entry(Index(6), Term(1), &[row(0, 1, 61)]), Ok(Taken::Yes));
    let mut batches = PlanBuilder::new(identity(), Index(1));
    let many: Vec<BatchRow> = (0..OBJECT_BATCHES_MAX as i64).map(|at| row(1, at, 61)).collect();
    assert_eq!(batches.push_entry(Index(1), Term(1), &many), Ok(Taken::Yes));
    let next = [row(1, OBJECT_BATCHES_MAX as i64, 61)];
    assert_eq!(batches.push_entry(Index(2), Term(1), &next), Ok(Taken::Full));
}

#[test]
fn a_block_has_at_most_256_kib_of_batches_or_one_batch() {
    let mut offsets = 0..;
    let mut next =
        |bytes| batch(partition(1, 0), offsets.next().unwrap(), 1, &[7], bytes, Codec::None);
    let half = BLOCK_PAYLOAD_BYTES_CUT as usize / 2 - 80;
    let large = 2 * BLOCK_PAYLOAD_BYTES_CUT as usize;
    let batches = vec![next(half), next(half), next(half), next(large), next(10)];
    let log = [super::support::Entry { index: Index(1), term: Term(1), batches }];
    let (object, _) = build(&log);
    let footer = verify_object(&object).unwrap();
    let offsets: Vec<_> = footer.blocks().map(|row| (row.base_offset, row.last_offset)).collect();
    assert_eq!(offsets, [(0, 1), (2, 2), (3, 3), (4, 4)]);
}

#[test]
fn bytes_that_are_not_what_the_log_says_never_leave_the_node() {
    let log = log(1);
    let source = LogSource(&log);
    let first = plan(&log).batches()[0];
    let good = source.bytes(&first);
    let offer = |bytes: Bytes| {
        let mut parts = Vec::new();
        ObjectWriter::new(plan(&log), &mut parts).write(bytes, &mut parts)
    };
    assert_eq!(offer(good.clone()), Ok(()));
    for at in 0..good.len() {
        let mut flipped = BytesMut::from(&good[..]);
        flipped[at] ^= 0x20;
        let refused = offer(flipped.freeze());
        assert!(matches!(refused, Err(BuildError::WrongBytes { .. })), "byte {at}: {refused:?}");
    }
    assert!(offer(good.slice(..good.len() - 1)).is_err());
    let mut longer = BytesMut::from(&good[..]);
    longer.extend_from_slice(b"x");
    assert!(offer(longer.freeze()).is_err());
}

#[test]
fn an_object_without_all_its_batches_is_not_finished() {
    let log = log(2);
    let mut parts = Vec::new();
    let writer = ObjectWriter::new(plan(&log), &mut parts);
    let refused = writer.finish(&mut parts).map(|_| ());
    assert!(matches!(refused, Err(BuildError::WrongCount { got: 0, .. })), "{refused:?}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(30))]

    #[test]
    fn parts_are_what_was_pushed_and_all_but_the_last_are_full(
        lengths in prop::collection::vec(0_usize..(6 << 20), 1..12),
    ) {
        // Bytes that share one buffer: 72 MiB of them cost 6.
        let shared = Bytes::from((0..6_usize << 20).map(|at| (at % 253) as u8).collect::<Vec<u8>>());
        let mut cutter = PartCutter::new();
        let mut parts: Vec<Vec<Bytes>> = Vec::new();
        for length in &lengths {
            cutter.push(&mut vec![shared.slice(..*length)]);
            parts.extend(std::iter::from_fn(|| cutter.next_part()));
        }
        for part in &parts {
            prop_assert_eq!(part.iter().map(|bytes| bytes.len() as u64).sum::<u64>(), PART_BYTES);
        }
        let last = cutter.finish();
        let last_bytes: usize = last.iter().map(Bytes::len).sum();
        prop_assert!(last_bytes as u64 <= PART_BYTES);
        prop_assert!(last_bytes > 0 || lengths.iter().all(|length| *length == 0));
        let out = parts.into_iter().flatten().chain(last).collect::<Vec<Bytes>>().concat();
        let expected = lengths.iter().map(|length| &shared[..*length]).collect::<Vec<_>>().concat();
        prop_assert!(out == expected, "the same bytes in the same order");
    }
}
