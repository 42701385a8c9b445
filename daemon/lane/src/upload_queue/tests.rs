use super::*;
use holdfast_wal::SegmentNumber;

fn entry(index: u64, since_ns: u64, batch_bytes: &[u32]) -> WaitingEntry {
    let batch = |(at, len_bytes): (usize, &u32)| WaitingBatch {
        partition: PartitionKey { partition: at as i32, ..PartitionKey::default() },
        base_offset: index as i64,
        last_offset: index as i64,
        leader_epoch: 0,
        max_timestamp_ms: 0,
        extent: Extent { segment: SegmentNumber(1), offset: index * 4096, len_bytes: *len_bytes },
    };
    let batches = batch_bytes.iter().enumerate().map(batch).collect();
    WaitingEntry { index: Index(index), term: Term(1), since_ns, batches }
}

fn queue(entries: &[(u64, u64, &[u32])]) -> UploadQueue {
    let mut queue = UploadQueue::default();
    for (index, since_ns, batches) in entries {
        queue.push(entry(*index, *since_ns, batches));
    }
    queue
}

fn rule(object_bytes: u64) -> CutRule {
    CutRule { object_bytes, older_than_ns: 0, pressed: false }
}

fn indexes(cut: Option<Vec<WaitingEntry>>) -> Vec<u64> {
    cut.into_iter().flatten().map(|entry| entry.index.0).collect()
}

#[test]
fn an_object_is_cut_before_the_entry_that_would_make_it_too_large() {
    let mut queue = queue(&[(3, 10, &[40]), (4, 11, &[40]), (9, 12, &[40]), (10, 13, &[40])]);
    assert_eq!(indexes(queue.cut(rule(100), |_| true)), [3, 4]);
    assert_eq!(indexes(queue.cut(rule(100), |_| true)), [] as [u64; 0], "80 bytes may wait");
    queue.push(entry(11, 14, &[40]));
    assert_eq!(indexes(queue.cut(rule(100), |_| true)), [9, 10]);
}

#[test]
fn an_entry_larger_than_an_object_is_one_by_itself() {
    let mut queue = queue(&[(1, 0, &[500]), (2, 0, &[1])]);
    assert_eq!(indexes(queue.cut(rule(100), |_| true)), [1]);
}

#[test]
fn what_has_waited_long_enough_goes_whatever_its_size() {
    let mut queue = queue(&[(1, 50, &[1]), (2, 60, &[1])]);
    let young = CutRule { older_than_ns: 49, ..rule(100) };
    assert_eq!(indexes(queue.cut(young, |_| true)), [] as [u64; 0]);
    let old = CutRule { older_than_ns: 50, ..rule(100) };
    assert_eq!(indexes(queue.cut(old, |_| true)), [1, 2], "with all that came since");
}

#[test]
fn a_log_that_is_wanted_back_does_not_wait() {
    let mut queue = queue(&[(1, 50, &[1])]);
    let pressed = CutRule { pressed: true, ..rule(100) };
    assert_eq!(indexes(queue.cut(pressed, |_| true)), [1]);
    assert_eq!(indexes(queue.cut(pressed, |_| true)), [] as [u64; 0], "it is announced");
}

#[test]
fn a_new_reign_cuts_again_what_no_object_holds() {
    let mut queue = queue(&[(1, 0, &[60]), (2, 0, &[60]), (3, 0, &[60])]);
    assert_eq!(indexes(queue.cut(rule(100), |_| true)), [1]);
    assert_eq!(indexes(queue.cut(rule(100), |_| true)), [2]);
    queue.uploaded(Index(1));
    queue.forget_announced();
    assert_eq!(queue.first().unwrap().index, Index(2));
    assert_eq!(indexes(queue.cut(rule(100), |_| true)), [2]);
    assert_eq!(queue.waiting_bytes(), 120);
}

#[test]
fn dead_batches_are_not_put_into_objects_and_do_not_hold_the_log() {
    let mut queue = queue(&[(1, 0, &[10]), (2, 0, &[10, 10]), (3, 0, &[10, 10])]);
    let alive = |batch: &WaitingBatch| batch.partition.partition == 1;
    queue.drop_dead(alive);
    assert_eq!(queue.first().unwrap().index, Index(2));
    let pressed = CutRule { pressed: true, ..rule(100) };
    let cut = queue.cut(pressed, alive).unwrap();
    assert_eq!(cut.len(), 2);
    assert!(cut.iter().all(|entry| entry.batches.len() == 1));
    queue.drop_dead(|_| false);
    assert_eq!(queue.first().unwrap().index, Index(2), "an object under way covers it");
}
