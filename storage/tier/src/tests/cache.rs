//! The cache keeps its budget and what is read twice; read-ahead asks for each block once.

use bytes::Bytes;
use holdfast_base::{Index, Term};
use holdfast_batch::Codec;

use super::support::{Entry, batch, build, footer, partition, slice};
use crate::cache::BlockCache;
use crate::format::ObjectId;
use crate::read::Block;
use crate::read_ahead::{Ahead, Part, ReadAhead, WINDOW_BYTES_MAX, WINDOW_BYTES_MIN};
use crate::{Footer, PartitionRow};

/// One partition with so many blocks of about 250 KiB, a batch each.
fn large(blocks: usize) -> (Bytes, Footer, PartitionRow) {
    large_from(0, blocks)
}

/// The same, from an offset on.
fn large_from(from: i64, blocks: usize) -> (Bytes, Footer, PartitionRow) {
    let batches = (from..from + blocks as i64)
        .map(|at| batch(partition(1, 0), at, 1, &[at], 250_000, Codec::None));
    let log = [Entry { index: Index(1), term: Term(1), batches: batches.collect() }];
    let (object, _) = build(&log);
    let footer = footer(&object);
    let row = footer.partition(&partition(1, 0)).unwrap();
    assert_eq!(row.blocks as usize, blocks);
    (object, footer, row)
}

fn block(object: &Bytes, footer: &Footer, number: u32) -> Block {
    let row = footer.block(number);
    Block::open(row, slice(object, &(row.position..row.end()))).unwrap()
}

/// The block under the name of another object: the cache does not look inside.
fn named(name: u64) -> ObjectId {
    let mut id = [0; 16];
    id[..8].copy_from_slice(&name.to_le_bytes());
    ObjectId(id)
}

#[test]
fn a_scan_does_not_drive_out_what_is_read_again_and_again() {
    let (object, footer, _) = large(1);
    let block = block(&object, &footer, 0);
    let cache = BlockCache::new(16 << 20);
    let hot: Vec<ObjectId> = (0..20).map(named).collect();
    let read = |id: ObjectId| match cache.block(id, 0) {
        Some(_) => true,
        None => {
            cache.put_block(id, 0, &block);
            false
        }
    };
    for _ in 0..3 {
        for id in &hot {
            read(*id);
        }
    }
    // A scan of 1,000 blocks, 15 times the budget, while the others are read now and then.
    let mut hits = 0;
    for at in 0..1000 {
        read(named(1_000_000 + at));
        if at % 10 == 0 {
            hits += u32::from(read(hot[(at / 10 % 20) as usize]));
        }
    }
    assert_eq!(hits, 100, "every read of the others was a hit");
}

#[test]
fn what_is_held_stays_within_the_budget() {
    let (object, footer, _) = large(1);
    let block = block(&object, &footer, 0);
    let cache = BlockCache::new(2 << 20);
    for at in 0..100 {
        cache.put_block(named(at), 0, &block);
        assert!(cache.held_bytes() <= cache.budget_bytes());
    }
    let held = (0..100).filter(|at| cache.block(named(*at), 0).is_some()).count();
    assert!((4..=8).contains(&held), "{held} blocks of 250 KB in 2 MiB");
    assert!(cache.held_bytes() >= held as u64 * u64::from(block.row().len_bytes));
    let small = BlockCache::new(100_000);
    small.put_block(named(1), 0, &block);
    assert!(small.block(named(1), 0).is_none(), "larger than the budget alone");
    assert_eq!(small.held_bytes(), 0);
}

#[test]
fn what_is_held_does_not_pin_the_answer_it_was_cut_from() {
    let (object, footer, _) = large(2);
    let cut = block(&object, &footer, 1);
    let cache = BlockCache::new(16 << 20);
    cache.put_block(named(1), 1, &cut);
    cache.put_footer(&footer);
    let held = cache.block(named(1), 1).unwrap();
    assert_eq!(held, cut);
    assert!(!object.as_ptr_range().contains(&held.bytes().as_ptr()), "in memory of its own");
    let id = footer.head().identity.object;
    assert_eq!(cache.footer(id).unwrap().trailer(), footer.trailer());
    cache.forget(id, 2);
    assert!(cache.footer(id).is_none());
    cache.forget(named(1), 2);
    assert!(cache.block(named(1), 1).is_none());
    assert_eq!(cache.held_bytes(), 0);
}

#[test]
fn a_reader_that_goes_on_is_read_ahead_of_and_each_block_once() {
    let (_, footer, row) = large(64);
    let mut past = ReadAhead::default();
    let mut asked = Vec::new();
    let mut gets = 0;
    let mut next_object_at = None;
    for offset in 0..64 {
        let (next, ahead) =
            past.after(offset..offset + 1, Part { footer: &footer, row: &row }, None, u64::MAX);
        past = next;
        gets += u32::from(!ahead.blocks.is_empty());
        if ahead.next_object && next_object_at.is_none() {
            next_object_at = Some(offset);
        }
        for number in ahead.blocks {
            assert!(i64::from(number) > offset, "block {number} was read already");
            asked.push(number);
        }
    }
    // The first read is at 0, where a new reader starts: it counts as going on.
    assert_eq!(
        asked,
        (1..64).collect::<Vec<u32>>(),
        "every block behind the first, once, in order"
    );
    assert!(gets <= 6, "{gets} GETs for 16 MB");
    assert_eq!(past.window_bytes(), WINDOW_BYTES_MAX);
    let announced = next_object_at.unwrap();
    assert!((16..63).contains(&announced), "the next object is announced early: at {announced}");
}

#[test]
fn a_reader_is_read_ahead_of_over_the_ends_of_objects_and_each_block_once() {
    // Objects of 1.5 MB of the partition: a window holds several.
    const BLOCKS: i64 = 6;
    let objects: Vec<_> = (0..20).map(|at| large_from(at * BLOCKS, BLOCKS as usize)).collect();
    let part = |at: usize| objects.get(at).map(|(_, footer, row)| Part { footer, row });
    let mut past = ReadAhead::default();
    let mut asked = Vec::new();
    for offset in 0..20 * BLOCKS {
        let at = (offset / BLOCKS) as usize;
        let here = part(at).unwrap();
        let (next, ahead) = past.after(offset..offset + 1, here, part(at + 1), u64::MAX);
        past = next;
        for (blocks, object) in [(ahead.blocks, at), (ahead.next_blocks, at + 1)] {
            asked.extend(blocks.map(|number| i64::from(number) + object as i64 * BLOCKS));
        }
        let is_last_there = asked.last().is_none_or(|last| *last == 20 * BLOCKS - 1);
        assert!(
            is_last_there || asked.last() > Some(&offset),
            "at {offset} nothing is ahead: {asked:?}"
        );
    }
    assert_eq!(asked, (1..20 * BLOCKS).collect::<Vec<_>>(), "every block but the first, once");
}

#[test]
fn what_there_was_no_room_for_is_asked_for_again() {
    let (_, footer, row) = large(16);
    let here = Part { footer: &footer, row: &row };
    let (past, ahead) = ReadAhead::default().after(0..1, here, None, u64::MAX);
    assert_eq!(ahead.blocks, 1..6, "a window of 1 MiB");
    let (_, again) = past.only_until(3).after(1..2, here, None, u64::MAX);
    assert_eq!(again.blocks.start, 3, "from what was not fetched on");
    let (_, far) = past.only_until(0).after(1..2, here, None, u64::MAX);
    assert_eq!(far.blocks.start, 2, "never behind what was read");
}

#[test]
fn a_reader_with_a_small_share_has_a_window_of_it_and_whole_gets() {
    let (_, footer, row) = large(64);
    let here = Part { footer: &footer, row: &row };
    let mut past = ReadAhead::default();
    let mut gets = Vec::new();
    for offset in 0..64 {
        let (next, ahead) = past.after(offset..offset + 1, here, None, 2 << 20);
        past = next;
        gets.extend((!ahead.blocks.is_empty()).then_some(ahead.blocks.len()));
    }
    assert_eq!(past.window_bytes(), 2 << 20);
    // But for the first and the last they are of more than half a window.
    let whole = &gets[1..gets.len() - 1];
    assert!(whole.len() > 8 && whole.iter().all(|blocks| *blocks >= 4), "{gets:?}");
}

#[test]
fn a_reader_that_jumps_is_not_read_ahead_of() {
    let (_, footer, row) = large(16);
    let mut past = ReadAhead::default();
    for offset in [9, 2, 13, 5] {
        let (next, ahead) =
            past.after(offset..offset + 1, Part { footer: &footer, row: &row }, None, u64::MAX);
        assert_eq!(ahead, Ahead::default(), "at {offset}");
        assert_eq!(next.window_bytes(), 0);
        past = next;
    }
    let (past, ahead) = past.after(6..7, Part { footer: &footer, row: &row }, None, u64::MAX);
    assert_eq!(past.window_bytes(), WINDOW_BYTES_MIN, "and is again once it goes on");
    assert_eq!(ahead.blocks.start, 7);
    let (same, ahead) = past.after(7..7, Part { footer: &footer, row: &row }, None, u64::MAX);
    assert_eq!(ahead, Ahead::default(), "an empty answer is no progress");
    assert_eq!(same.window_bytes(), 0);
}
