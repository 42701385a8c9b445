//! Each row of the table in `epoch.rs`, and what follows for a reader (KIP-320).

use super::support::{Leader, batch, key};
use crate::{Divergence, EpochEnd, Partition, PartitionConfig};

/// Epoch 3 wrote offsets 0..40, epoch 7 40..95, epoch 8 95..100.
fn written() -> Leader {
    let mut leader = Leader::with_partition(PartitionConfig::default());
    for (term, count) in [(3, 40), (7, 55), (8, 5)] {
        leader.term = term;
        leader.append(&batch(count));
    }
    leader
}

fn partition(leader: &Leader) -> &Partition {
    leader.shard.partition(&key(0)).unwrap()
}

fn row(epoch: i32, end_offset: i64) -> Option<EpochEnd> {
    Some(EpochEnd { epoch, end_offset })
}

#[test]
fn epoch_ends_follow_kafkas_table() {
    let leader = written();
    let table = [
        // asked, current, answer
        (-1, 12, None, "undefined asks for nothing"),
        (-2, 12, None, "nor does any other negative"),
        (13, 12, None, "nobody knows the future"),
        (9, 8, None, "not even one ahead"),
        (12, 12, row(12, 100), "the current epoch, nothing written: the end"),
        (8, 8, row(8, 100), "the current epoch, written: the end"),
        (8, 12, row(8, 100), "the last that wrote ends where the current one began"),
        (9, 12, row(8, 100), "between the last that wrote and the current"),
        (11, 12, row(8, 100), "likewise"),
        (7, 8, row(7, 95), "one that wrote ends where the next began"),
        (5, 8, row(3, 40), "one that never wrote: the largest below it"),
        (3, 12, row(3, 40), "the first that wrote"),
        (2, 12, row(2, 0), "older than the first: itself, where the first began"),
        (0, 12, row(0, 0), "likewise"),
    ];
    for (asked, current, answer, why) in table {
        assert_eq!(partition(&leader).end_of_epoch(asked, current), answer, "{asked}: {why}");
    }
}

#[test]
fn in_a_log_nobody_wrote_every_older_epoch_ended_at_its_start() {
    let leader = Leader::with_partition(PartitionConfig::default());
    assert_eq!(partition(&leader).end_of_epoch(4, 4), row(4, 0));
    assert_eq!(partition(&leader).end_of_epoch(2, 4), row(2, 0));
    assert_eq!(partition(&leader).end_of_epoch(5, 4), None);
}

#[test]
fn epochs_deleted_from_the_front_end_where_the_log_now_starts() {
    let mut leader = written();
    leader
        .admin(|decider, shard, entry, _| decider.propose_delete_records(shard, entry, key(0), 50));
    assert_eq!(partition(&leader).end_of_epoch(3, 12), row(3, 50));
    assert_eq!(partition(&leader).end_of_epoch(7, 12), row(7, 95));
    leader
        .admin(|decider, shard, entry, _| decider.propose_delete_records(shard, entry, key(0), -1));
    assert_eq!(partition(&leader).end_of_epoch(3, 12), row(3, 100));
    assert_eq!(partition(&leader).end_of_epoch(8, 12), row(8, 100));
}

#[test]
fn a_reader_diverges_where_its_epoch_ended_before_it_or_never_was() {
    let leader = written();
    let of = |epoch, offset| partition(&leader).divergence(epoch, offset, 12);
    let at = |epoch, end_offset| Divergence::At(EpochEnd { epoch, end_offset });
    assert_eq!(of(3, 40), Divergence::None, "it read all of its epoch");
    assert_eq!(of(3, 41), at(3, 40), "it read what nobody here has");
    assert_eq!(of(5, 10), at(3, 40), "its epoch never wrote here");
    assert_eq!(of(8, 100), Divergence::None);
    assert_eq!(of(12, 101), at(12, 100));
    assert_eq!(of(13, 5), Divergence::Unknown);
    assert_eq!(of(2, 0), Divergence::None);
    assert_eq!(of(2, 1), at(2, 0));
}
