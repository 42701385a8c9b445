//! Offsets, epochs and timestamps a client asks for.

use holdfast_batch::TimestampType;

use super::support::{Leader, START_MS, batch, create, key};
use crate::{
    Command, CreatePartition, Decision, EntryBuilder, EpochEnd, EpochStart, Partition,
    PartitionConfig, decode_commands,
};

fn partition(leader: &Leader) -> &Partition {
    leader.shard.partition(&key(0)).unwrap()
}

#[test]
fn an_epoch_enters_the_history_with_its_first_batch_and_not_before() {
    let mut leader = Leader::new();
    leader.create(&CreatePartition { epoch_base: 10, ..create(0, PartitionConfig::default()) });
    leader.append(&batch(4));
    leader.append(&batch(4));
    leader.lose_and_lead_again();
    leader.lose_and_lead_again();
    assert_eq!(partition(&leader).epoch_history().len(), 1);
    leader.append(&batch(1));
    assert_eq!(
        partition(&leader).epoch_history(),
        [EpochStart { epoch: 11, start_offset: 0 }, EpochStart { epoch: 13, start_offset: 8 }]
    );
    assert_eq!(partition(&leader).epoch_of(7), Some(11));
    assert_eq!(partition(&leader).epoch_of(8), Some(13));
    assert_eq!(partition(&leader).epoch_of(9), None);
}

#[test]
fn the_end_of_an_epoch_is_where_the_next_one_began() {
    let mut leader = Leader::with_partition(PartitionConfig::default());
    leader.append(&batch(4));
    leader.term = 5;
    leader.append(&batch(4));
    let end = |asked, current| partition(&leader).end_of_epoch(asked, current);
    let row = |epoch, end_offset| Some(EpochEnd { epoch, end_offset });
    assert_eq!(end(1, 9), row(1, 4));
    assert_eq!(end(3, 9), row(1, 4), "the largest epoch at or below");
    assert_eq!(end(5, 5), row(5, 8));
    assert_eq!(end(5, 9), row(5, 8));
    assert_eq!(end(7, 9), row(5, 8));
    assert_eq!(end(9, 9), row(9, 8), "the current epoch ends at the end");
    assert_eq!(end(10, 9), None, "nobody knows the future");
    assert_eq!(end(-1, 9), None);
    assert_eq!(end(0, 9), row(0, 0), "before the first: it ended where the log begins");
}

#[test]
fn epochs_below_the_log_start_are_forgotten_but_the_one_that_holds_it() {
    let mut leader = Leader::with_partition(PartitionConfig::default());
    for term in [1, 2, 3] {
        leader.term = term;
        leader.append(&batch(10));
    }
    leader
        .admin(|decider, shard, entry, _| decider.propose_delete_records(shard, entry, key(0), 15));
    assert_eq!(
        partition(&leader).epoch_history(),
        [EpochStart { epoch: 2, start_offset: 15 }, EpochStart { epoch: 3, start_offset: 20 }]
    );
}

#[test]
fn the_largest_timestamp_is_of_the_first_batch_that_has_it() {
    let mut leader = Leader::with_partition(PartitionConfig::default());
    assert_eq!(partition(&leader).max_timestamp(), None);
    for offset_ms in [5, 90, 90, 20] {
        let mut header = batch(2);
        header.max_timestamp_ms = START_MS + offset_ms;
        leader.append(&header);
    }
    let max = partition(&leader).max_timestamp().unwrap();
    assert_eq!((max.timestamp_ms, max.base_offset, max.last_offset), (START_MS + 90, 2, 3));
}

#[test]
fn log_append_time_is_the_entrys_and_stands_in_the_command() {
    let config = PartitionConfig {
        timestamp_type: TimestampType::LogAppendTime,
        ..PartitionConfig::default()
    };
    let mut leader = Leader::with_partition(config);
    let mut entry = EntryBuilder::new();
    let decision = leader.decide(&mut entry, 0, &batch(1)).unwrap();
    let now_ms = leader.time_ms;
    assert!(
        matches!(decision, Decision::Append { log_append_time: Some(time), .. } if time == now_ms)
    );
    let Some(Ok(Command::AppendBatch(command))) = decode_commands(&entry.finish()).next() else {
        panic!("a batch was decided")
    };
    assert_eq!(command.max_timestamp_ms, now_ms);
    assert_eq!(command.attributes, 0x08);
    assert_eq!(command.log_append_time_ms(), now_ms);
}

#[test]
fn a_batch_is_visible_when_applied_and_never_when_decided() {
    let mut leader = Leader::with_partition(PartitionConfig::default());
    leader.produce(&batch(3)).unwrap();
    leader.produce(&batch(2)).unwrap();
    assert_eq!(leader.high_watermark(), 0);
    assert_eq!(leader.decider.log_end(&leader.shard, &key(0)), Some(5));
    let applied = leader.commit_one().unwrap();
    assert_eq!(leader.high_watermark(), 3);
    assert_eq!(applied.changed, [key(0)]);
    let row = applied.appended[0];
    assert_eq!((row.base_offset, row.last_offset, row.payload_len_bytes), (0, 2, 361));
}

#[test]
fn an_epoch_whose_records_are_all_deleted_gives_way_to_the_next() {
    let mut leader = Leader::with_partition(PartitionConfig::default());
    leader.append(&batch(4));
    leader
        .admin(|decider, shard, entry, _| decider.propose_delete_records(shard, entry, key(0), -1));
    leader.lose_and_lead_again();
    leader.append(&batch(2));
    assert_eq!(partition(&leader).epoch_history(), [EpochStart { epoch: 2, start_offset: 4 }]);
    let restored = crate::Shard::restore(&leader.shard.snapshot());
    assert_eq!(restored.as_ref(), Ok(&leader.shard));
}

#[test]
fn a_log_start_on_the_border_of_two_epochs_keeps_only_the_later_one() {
    let mut leader = Leader::with_partition(PartitionConfig::default());
    for term in [1, 2, 3] {
        leader.term = term;
        leader.append(&batch(10));
    }
    leader
        .admin(|decider, shard, entry, _| decider.propose_delete_records(shard, entry, key(0), 20));
    assert_eq!(partition(&leader).epoch_history(), [EpochStart { epoch: 3, start_offset: 20 }]);
}
