//! Old records go by whole virtual segments, by the clock in the records.

use super::support::{Leader, START_MS, batch, key};
use crate::{CleanupPolicy, EntryBuilder, Partition, PartitionConfig};

const HOUR_MS: i64 = 3_600_000;

fn config() -> PartitionConfig {
    PartitionConfig {
        segment_bytes: 1_000,
        segment_ms: HOUR_MS,
        retention_ms: 10_000,
        ..PartitionConfig::default()
    }
}

fn partition(leader: &Leader) -> &Partition {
    leader.shard.partition(&key(0)).unwrap()
}

fn borders(leader: &Leader) -> Vec<i64> {
    partition(leader).segments().map(|segment| segment.base_offset).collect()
}

/// One record, 161 bytes, stamped now.
fn append_now(leader: &mut Leader) {
    let mut header = batch(1);
    (header.base_timestamp_ms, header.max_timestamp_ms) = (leader.time_ms, leader.time_ms);
    leader.append(&header);
}

fn retain(leader: &mut Leader) -> usize {
    let mut entry = EntryBuilder::new();
    let made = leader.decider.propose_retention(&leader.shard, &mut entry, leader.time_ms);
    if made > 0 {
        leader.send(entry);
        leader.commit_all();
    }
    made
}

#[test]
fn a_segment_ends_before_the_batch_that_would_make_it_too_large() {
    let mut leader = Leader::with_partition(config());
    for _ in 0..14 {
        append_now(&mut leader);
    }
    // 6 × 161 = 966 fit in 1,000; a seventh does not.
    assert_eq!(borders(&leader), [0, 6, 12]);
    assert_eq!(partition(&leader).bytes(), 14 * 161);
}

#[test]
fn a_segment_ends_when_its_first_record_is_older_than_segment_ms() {
    let mut leader = Leader::with_partition(config());
    append_now(&mut leader);
    leader.time_ms += HOUR_MS;
    append_now(&mut leader);
    assert_eq!(borders(&leader), [0]);
    leader.time_ms += 1;
    append_now(&mut leader);
    assert_eq!(borders(&leader), [0, 2]);
}

#[test]
fn retention_by_time_takes_whole_expired_segments_only() {
    let mut leader = Leader::with_partition(config());
    for _ in 0..14 {
        append_now(&mut leader);
        leader.time_ms += 1_000;
    }
    // Record n is stamped n seconds after the start; the first segment's newest is 5.
    leader.time_ms = START_MS + 15_000;
    assert_eq!(retain(&mut leader), 0, "exactly retention.ms old is not too old");
    leader.time_ms += 1;
    assert_eq!(retain(&mut leader), 1);
    assert_eq!(partition(&leader).log_start(), 6);
    assert_eq!(borders(&leader), [6, 12]);
    assert_eq!(retain(&mut leader), 0, "nothing more is due");
}

#[test]
fn an_idle_topic_becomes_empty_because_its_active_segment_is_rolled() {
    let mut leader = Leader::with_partition(config());
    append_now(&mut leader);
    append_now(&mut leader);
    leader.time_ms += 10_001;
    assert_eq!(retain(&mut leader), 1);
    assert_eq!((partition(&leader).log_start(), leader.high_watermark()), (2, 2));
    assert_eq!(partition(&leader).bytes(), 0);
    append_now(&mut leader);
    assert_eq!(borders(&leader), [2]);
}

#[test]
fn an_active_segment_with_batches_under_way_waits() {
    let mut leader = Leader::with_partition(config());
    append_now(&mut leader);
    leader.time_ms += 10_001;
    let mut header = batch(1);
    (header.base_timestamp_ms, header.max_timestamp_ms) = (leader.time_ms, leader.time_ms);
    leader.produce(&header).unwrap();
    let mut entry = EntryBuilder::new();
    assert_eq!(leader.decider.propose_retention(&leader.shard, &mut entry, leader.time_ms), 0);
    leader.commit_all();
    assert_eq!(retain(&mut leader), 0, "the new record keeps the segment");
}

#[test]
fn retention_by_size_keeps_at_least_the_bytes_asked_for() {
    let sized = PartitionConfig { retention_ms: -1, retention_bytes: 1_200, ..config() };
    let mut leader = Leader::with_partition(sized);
    for _ in 0..14 {
        append_now(&mut leader);
    }
    // 2,254 bytes, 1,054 too many: the first segment of 966 goes, the next would be too much.
    assert_eq!(retain(&mut leader), 1);
    assert_eq!(partition(&leader).log_start(), 6);
    assert!(partition(&leader).bytes() >= 1_200);
    assert_eq!(retain(&mut leader), 0);
}

#[test]
fn a_record_from_the_future_holds_everything_behind_it() {
    let mut leader = Leader::with_partition(config());
    let mut header = batch(1);
    header.max_timestamp_ms = START_MS + HOUR_MS;
    leader.append(&header);
    for _ in 0..10 {
        append_now(&mut leader);
    }
    leader.time_ms += 60_000;
    assert_eq!(retain(&mut leader), 0);
}

#[test]
fn records_without_timestamp_go_by_their_last_append() {
    let mut leader = Leader::with_partition(config());
    let mut header = batch(1);
    (header.base_timestamp_ms, header.max_timestamp_ms) = (-1, -1);
    leader.append(&header);
    leader.time_ms += 10_000;
    assert_eq!(retain(&mut leader), 0);
    leader.time_ms += 1;
    assert_eq!(retain(&mut leader), 1);
}

#[test]
fn a_compacted_topic_and_one_without_limits_lose_nothing() {
    let compacted = PartitionConfig { cleanup_policy: CleanupPolicy::Compact, ..config() };
    let unlimited = PartitionConfig { retention_ms: -1, ..config() };
    for config in [compacted, unlimited] {
        let mut leader = Leader::with_partition(config);
        append_now(&mut leader);
        leader.time_ms += 1_000 * HOUR_MS;
        assert_eq!(retain(&mut leader), 0);
    }
}

#[test]
fn delete_records_inside_a_segment_forgets_the_segments_below() {
    let mut leader = Leader::with_partition(config());
    for _ in 0..14 {
        append_now(&mut leader);
    }
    leader
        .admin(|decider, shard, entry, _| decider.propose_delete_records(shard, entry, key(0), 8));
    assert_eq!(borders(&leader), [6, 12]);
    assert_eq!(partition(&leader).log_start(), 8);
}
