//! Records that leave the log for objects, and a log that is never larger than it may be.

use std::collections::BTreeMap;

use holdfast_base::PartitionKey;
use holdfast_batch::BatchHeader;
use holdfast_lane::{
    Answer, DeleteRecordsPartition, FoundOffset, ListOffsetsPartition, OffsetQuery, Reason,
    RecordSlice, Request, StoreConfig,
};

use crate::node::{Node, fetch, origin};
use crate::shelf::Shelf;

const LOG_BYTES: u64 = 32 << 20;
/// When an object that was given up is deleted for good.
const DELETE_AGAIN_MS: u64 = 25_000;
/// So that a story needs few batches.
const VALUE_BYTES: usize = 60_000;

pub(crate) fn found() -> (Node, Shelf) {
    found_with(|_| ())
}

pub(crate) fn found_with(change: impl FnOnce(&mut StoreConfig)) -> (Node, Shelf) {
    let mut store = StoreConfig {
        object_bytes: 4 << 20,
        delete_again_after_ns: DELETE_AGAIN_MS * 1_000_000,
        ..StoreConfig::DEV
    };
    change(&mut store);
    (Node::found_with_store(LOG_BYTES, store), Shelf::default())
}

/// Produces `count` records; returns the offset of the last one.
pub(crate) fn fill(
    node: &mut Node,
    shelf: &mut Shelf,
    partition: PartitionKey,
    count: usize,
) -> i64 {
    let value = "v".repeat(VALUE_BYTES);
    let mut last = -1;
    for _ in 0..count {
        let mut tries = 0;
        last = loop {
            match node.produce(partition, &value) {
                Ok(offset) => break offset,
                Err(refusal) => {
                    assert_eq!(refusal.reason, Reason::NoSpace);
                    tries += 1;
                    assert!(tries < 200, "room comes back: {:?}", node.lane().status().wal);
                    shelf.run_ms(node, 100);
                }
            }
        };
        shelf.serve(node);
    }
    last
}

/// Reads a partition from `offset` to its end, from wherever it lies; counts batches of objects.
pub(crate) fn read_all(
    node: &mut Node,
    shelf: &Shelf,
    partition: PartitionKey,
    from: i64,
) -> (Vec<i64>, usize) {
    let (mut offsets, mut from_objects, mut next) = (Vec::new(), 0, from);
    loop {
        let request = fetch(partition, next, 0, node.now.boottime_ns);
        let Answer::Fetch(mut results) = node.ask(request) else { panic!("not a fetch") };
        let records = results.remove(0).unwrap().records;
        let before = offsets.len();
        for slice in records {
            let mut bytes = match slice {
                RecordSlice::InObject { object, partition, from_offset, .. } => {
                    from_objects += 1;
                    shelf.read(object.identity.object, partition, from_offset)
                }
                other => node.bytes_of(other),
            };
            while !bytes.is_empty() {
                let header = BatchHeader::parse(&bytes).unwrap();
                let batch = bytes.split_to(header.total_len_bytes());
                assert_eq!(
                    crc32c::crc32c(&batch[21..]),
                    header.crc,
                    "the client's CRC still holds"
                );
                offsets.push(header.base_offset);
                next = header.next_offset();
            }
        }
        if offsets.len() == before {
            return (offsets, from_objects);
        }
    }
}

fn list(node: &mut Node, partition: PartitionKey, query: OffsetQuery) -> FoundOffset {
    let part = ListOffsetsPartition { partition, query, current_leader_epoch: -1 };
    match node.ask(Request::ListOffsets(vec![part])) {
        Answer::ListOffsets(mut answers) => answers.remove(0).unwrap().found,
        other => panic!("{other:?}"),
    }
}

fn offset(found: FoundOffset) -> i64 {
    match found {
        FoundOffset::Offset { offset, .. } => offset,
        FoundOffset::InBatch(RecordSlice::InObject { from_offset, .. }) => from_offset,
        FoundOffset::InFirstOf(slices) => match &slices[0] {
            RecordSlice::InObject { from_offset, .. } => *from_offset,
            other => panic!("{other:?}"),
        },
        other @ FoundOffset::InBatch(_) => panic!("{other:?}"),
    }
}

/// Rows of all objects, whatever has become of them.
fn rows(node: &mut Node) -> usize {
    node.lane().data_shards().map(|state| state.objects().count()).sum()
}

fn delete_topic(node: &mut Node, name: &str) {
    let delete = vec![holdfast_lane::DeleteTopic::Name(name.to_owned())];
    node.ask(Request::DeleteTopics(delete, origin()));
}

pub(crate) fn restart(node: &mut Node, shelf: &mut Shelf) {
    node.power_cut();
    shelf.forget_work();
    node.checkpoints = shelf.checkpoints.clone();
    node.start();
}

#[test]
fn five_times_the_log_goes_through_it_and_every_record_can_be_read() {
    let (mut node, mut shelf) = found();
    let partition = node.create("orders", 1, &[]);
    let records = (5 * LOG_BYTES) as usize / VALUE_BYTES;
    let last = fill(&mut node, &mut shelf, partition, records);
    let status = node.lane().status();
    assert!(status.wal.segments_released > 30, "{:?}", status.wal);
    assert!(status.wal.live_bytes <= LOG_BYTES, "{:?}", status.wal);
    assert!(status.indexed_batches < records / 2, "rows went with their segments");
    let (offsets, from_objects) = read_all(&mut node, &shelf, partition, 0);
    assert_eq!(offsets, (0..=last).collect::<Vec<_>>());
    assert!(from_objects > 10, "most of it lies in objects: {from_objects}");
    let first_in_log = offset(list(&mut node, partition, OffsetQuery::EarliestLocal));
    assert!(first_in_log > last / 2, "{first_in_log}");
    assert_eq!(offset(list(&mut node, partition, OffsetQuery::Earliest)), 0);
    let in_objects = offset(list(&mut node, partition, OffsetQuery::LatestTiered));
    assert!(in_objects >= first_in_log - 1 && in_objects <= last, "{in_objects}");
    let pending = offset(list(&mut node, partition, OffsetQuery::EarliestPendingUpload));
    assert_eq!(pending, in_objects + 1, "what is not uploaded begins behind what is");
}

#[test]
fn a_start_begins_with_its_checkpoint_and_offsets_go_on() {
    let (mut node, mut shelf) = found();
    let partition = node.create("orders", 1, &[]);
    let other = node.create("idle", 1, &[]);
    node.produce(other, "one").unwrap();
    let last = fill(&mut node, &mut shelf, partition, 1_500);
    shelf.run_ms(&mut node, 6_000);
    let tail = fill(&mut node, &mut shelf, partition, 20);
    assert_eq!(tail, last + 20);
    restart(&mut node, &mut shelf);
    let (offsets, from_objects) = read_all(&mut node, &shelf, partition, 0);
    assert_eq!(offsets, (0..=tail).collect::<Vec<_>>());
    assert!(from_objects > 0);
    assert_eq!(fill(&mut node, &mut shelf, partition, 1), tail + 1);
    assert_eq!(
        read_all(&mut node, &shelf, other, 0).0,
        [0],
        "what was never in an object is there"
    );
    let indexed = node.lane().status().indexed_batches;
    assert!(indexed < 200, "a start indexes what is in no object: {indexed}");
}

#[test]
fn power_cuts_at_any_time_lose_nothing_and_leave_no_object_unnamed() {
    let (mut node, mut shelf) = found();
    let partition = node.create("orders", 1, &[]);
    let mut last = -1;
    for round in 0..12 {
        last = fill(&mut node, &mut shelf, partition, 90 + round * 7);
        // The store is slow now and then: intents are committed, objects are not there.
        shelf.away = round % 3 == 1;
        if shelf.away {
            last = fill(&mut node, &mut shelf, partition, 80);
        }
        node.run_ms(700 * (round as u64 % 4) + 300);
        shelf.away = false;
        restart(&mut node, &mut shelf);
    }
    let (offsets, _) = read_all(&mut node, &shelf, partition, 0);
    assert_eq!(offsets, (0..=last).collect::<Vec<_>>());
    shelf.run_ms(&mut node, 30_000);
    assert_eq!(
        rows(&mut node),
        shelf.objects.len(),
        "what lies in the store has a row, and the other way"
    );
    let abandoned = shelf.deletions;
    assert!(abandoned > 0, "an intent that was not carried out was abandoned");
}

#[test]
fn a_store_that_is_away_stops_producers_when_the_log_is_full_and_not_before() {
    let (mut node, mut shelf) = found();
    let partition = node.create("orders", 1, &[]);
    shelf.away = true;
    let value = "v".repeat(VALUE_BYTES);
    let mut taken = 0;
    let refusal = loop {
        match node.produce(partition, &value) {
            Ok(_) => taken += 1,
            Err(refusal) => break refusal,
        }
        shelf.serve(&mut node);
    };
    assert_eq!(refusal.reason, Reason::NoSpace);
    assert!(taken * VALUE_BYTES as u64 > LOG_BYTES / 2, "{taken}");
    assert_eq!(read_all(&mut node, &shelf, partition, 0).0.len() as u64, taken, "it can be read");
    shelf.away = false;
    shelf.run_ms(&mut node, 3_000);
    let last = fill(&mut node, &mut shelf, partition, 300);
    assert_eq!(last + 1, taken as i64 + 300);
    assert_eq!(read_all(&mut node, &shelf, partition, 0).0.len() as i64, last + 1);
}

#[test]
fn a_shard_that_lost_its_checkpoint_shows_nothing_instead_of_an_empty_partition() {
    let (mut node, mut shelf) = found();
    let partition = node.create("orders", 1, &[]);
    fill(&mut node, &mut shelf, partition, 1_500);
    let shard = *shelf.checkpoints.iter().max_by_key(|(_, kept)| kept.state.len()).unwrap().0;
    assert_ne!(shard, holdfast_base::ShardId::METADATA);
    node.power_cut();
    shelf.forget_work();
    shelf.checkpoints.remove(&shard);
    node.checkpoints = shelf.checkpoints.clone();
    node.start();
    let refusal = node.fetch(partition, 0).unwrap_err();
    assert_eq!(refusal.reason, Reason::NotLeader);
}

#[test]
fn objects_of_a_deleted_topic_leave_the_store() {
    let (mut node, mut shelf) = found();
    let partition = node.create("orders", 1, &[]);
    fill(&mut node, &mut shelf, partition, 400);
    shelf.run_ms(&mut node, 6_000);
    assert!(!shelf.objects.is_empty());
    let delete = vec![holdfast_lane::DeleteTopic::Name("orders".to_owned())];
    node.ask(Request::DeleteTopics(delete, origin()));
    shelf.run_ms(&mut node, 40_000);
    assert!(shelf.objects.is_empty(), "{:?}", shelf.objects.keys());
    assert_eq!(rows(&mut node), 0);
    let waiting = node.lane().status().store_waiting_bytes;
    assert_eq!(waiting, 0, "dead records wait for nothing");
}

#[test]
fn deleted_records_free_the_objects_that_hold_nothing_else() {
    let (mut node, mut shelf) = found();
    let partition = node.create("orders", 1, &[]);
    let last = fill(&mut node, &mut shelf, partition, 400);
    shelf.run_ms(&mut node, 6_000);
    let before = shelf.objects.len();
    let part = DeleteRecordsPartition { partition, before_offset: 300 };
    node.ask(Request::DeleteRecords(vec![part]));
    shelf.run_ms(&mut node, 40_000);
    assert!(shelf.objects.len() < before, "{before}");
    assert_eq!(offset(list(&mut node, partition, OffsetQuery::Earliest)), 300);
    let (offsets, _) = read_all(&mut node, &shelf, partition, 300);
    assert!(offsets[0] <= 300 && *offsets.last().unwrap() == last);
    assert_eq!(node.fetch(partition, 299).unwrap_err().reason, Reason::OffsetOutOfRange);
}

#[test]
fn a_topic_deleted_before_the_checkpoint_does_not_come_back_after_it() {
    let (mut node, mut shelf) = found();
    let partition = node.create("orders", 1, &[]);
    fill(&mut node, &mut shelf, partition, 100);
    let delete = vec![holdfast_lane::DeleteTopic::Name("orders".to_owned())];
    node.ask(Request::DeleteTopics(delete, origin()));
    shelf.run_ms(&mut node, 12_000);
    restart(&mut node, &mut shelf);
    shelf.run_ms(&mut node, 12_000);
    let partitions: usize = node.lane().data_shards().map(|state| state.partitions().len()).sum();
    assert_eq!(partitions, 0);
    let metadata = node.lane().metadata().unwrap().image();
    assert!(metadata.topics_by_id.is_empty());
}

#[test]
fn records_are_found_by_time_wherever_they_lie() {
    let (mut node, mut shelf) = found();
    let partition = node.create("orders", 1, &[]);
    let start_ms = node.now.wall_ms;
    let last = fill(&mut node, &mut shelf, partition, 1_500);
    let end_ms = node.now.wall_ms;
    assert!(end_ms > start_ms);
    assert_eq!(offset(list(&mut node, partition, OffsetQuery::AtTime(start_ms - 1_000))), 0);
    assert!(matches!(
        list(&mut node, partition, OffsetQuery::AtTime(end_ms + 1_000)),
        FoundOffset::Offset { offset: -1, .. }
    ));
    let middle =
        list(&mut node, partition, OffsetQuery::AtTime(start_ms + (end_ms - start_ms) / 4));
    assert!((1..last).contains(&offset(middle)));
    // The record with an object's largest time may be deleted: then a later object has the answer.
    let FoundOffset::InFirstOf(slices) =
        list(&mut node, partition, OffsetQuery::AtTime(start_ms - 1_000))
    else {
        panic!("history lies in objects")
    };
    let in_objects = slices.iter().filter(|one| matches!(one, RecordSlice::InObject { .. }));
    assert_eq!(in_objects.count(), 2);
    assert_eq!(slices.len(), 3, "and the log behind them");
    // A log start that lies in the log is answered from there, whatever objects reach.
    let before_offset = last - 2;
    let part = DeleteRecordsPartition { partition, before_offset };
    node.ask(Request::DeleteRecords(vec![part]));
    let found = list(&mut node, partition, OffsetQuery::AtTime(start_ms));
    assert!(matches!(
        found,
        FoundOffset::InBatch(RecordSlice::Cached(_) | RecordSlice::OnDisk { .. })
    ));
}

/// Topics of one record an object each, so that objects hold several; their partitions.
fn thin(node: &mut Node, count: usize) -> Vec<PartitionKey> {
    (0..count).map(|at| node.create(&format!("thin-{at}"), 1, &[])).collect()
}

/// A record of each, and an object of them.
fn round(node: &mut Node, shelf: &mut Shelf, partitions: &[PartitionKey]) {
    for partition in partitions {
        node.produce(*partition, "v").unwrap();
    }
    shelf.run_ms(node, 6_000);
}

fn rows_of(node: &mut Node, partition: PartitionKey) -> usize {
    let states = node.lane().data_shards();
    states.filter_map(|state| state.partition(&partition)).map(|found| found.objects().len()).sum()
}

#[test]
fn rows_of_a_quiet_topic_stay_few_and_its_records_stay_readable() {
    let (mut node, mut shelf) = found();
    let partitions = thin(&mut node, 2);
    for _ in 0..70 {
        round(&mut node, &mut shelf, &partitions);
    }
    shelf.run_ms(&mut node, 60_000);
    assert!(shelf.merges >= 8, "{}", shelf.merges);
    for partition in &partitions {
        assert!(rows_of(&mut node, *partition) <= 16, "{}", rows_of(&mut node, *partition));
        let (offsets, from_objects) = read_all(&mut node, &shelf, *partition, 0);
        assert_eq!(offsets, (0..70).collect::<Vec<_>>());
        assert!(from_objects == 0 || from_objects < 20, "the log still has them, or few objects");
    }
    let named: usize = node.lane().data_shards().map(|state| state.objects().count()).sum();
    assert_eq!(named, shelf.objects.len(), "what was merged is gone from the store");
    restart(&mut node, &mut shelf);
    for partition in &partitions {
        let (offsets, from_objects) = read_all(&mut node, &shelf, *partition, 0);
        assert_eq!(offsets, (0..70).collect::<Vec<_>>());
        assert!(from_objects > 0);
    }
}

#[test]
fn no_object_holds_a_record_of_a_deleted_topic_after_the_delay() {
    let (mut node, mut shelf) = found();
    let partitions = thin(&mut node, 40);
    for _ in 0..3 {
        round(&mut node, &mut shelf, &partitions);
    }
    let holds = |shelf: &Shelf, partition: PartitionKey| {
        shelf.objects.values().filter(|object| object.contains_key(&partition)).count()
    };
    let shared = shelf.objects.values().find(|object| object.len() > 1).expect("shards are few");
    let gone = *shared.first_key_value().unwrap().0;
    let named = partitions.iter().position(|partition| *partition == gone).unwrap();
    let delete = vec![holdfast_lane::DeleteTopic::Name(format!("thin-{named}"))];
    node.ask(Request::DeleteTopics(delete, origin()));
    shelf.run_ms(&mut node, 1_000);
    assert!(holds(&shelf, gone) > 0);
    shelf.run_ms(&mut node, StoreConfig::DEV.deletion_delay_ms as u64 - 1_000);
    assert_eq!(holds(&shelf, gone), 0, "after the delay");
    restart(&mut node, &mut shelf);
    for partition in partitions.iter().filter(|partition| **partition != gone) {
        assert_eq!(read_all(&mut node, &shelf, *partition, 0).0, [0, 1, 2]);
    }
}

#[test]
fn power_cuts_during_merges_lose_nothing_and_leave_no_object_unnamed() {
    let (mut node, mut shelf) = found();
    let partitions = thin(&mut node, 2);
    for at in 0..60_u64 {
        round(&mut node, &mut shelf, &partitions);
        if at % 7 == 6 {
            // Anywhere in a merge: asked for and not made, or made and not told.
            shelf.away = at % 2 == 0;
            node.run_ms(300 * (at % 5) + 100);
            shelf.away = false;
            restart(&mut node, &mut shelf);
        }
    }
    shelf.run_ms(&mut node, 90_000);
    assert!(shelf.merges > 4, "{}", shelf.merges);
    for partition in &partitions {
        let (offsets, _) = read_all(&mut node, &shelf, *partition, 0);
        assert_eq!(offsets, (0..60).collect::<Vec<_>>());
    }
    let named: usize = node.lane().data_shards().map(|state| state.objects().count()).sum();
    assert_eq!(named, shelf.objects.len(), "what lies in the store has a row, and the other way");
}

#[test]
fn a_put_that_lands_after_its_object_was_given_up_does_not_stay_in_the_store() {
    let (mut node, mut shelf) = found();
    let partition = node.create("orders", 1, &[]);
    shelf.away = true;
    fill(&mut node, &mut shelf, partition, 200);
    let late = shelf.objects_under_way();
    assert!(!late.is_empty());
    restart(&mut node, &mut shelf);
    shelf.away = false;
    shelf.run_ms(&mut node, 3_000);
    // Their sender is dead; the store has only now written them.
    shelf.objects.extend(late.iter().map(|object| (*object, BTreeMap::new())));
    shelf.run_ms(&mut node, DELETE_AGAIN_MS + 3_000);
    let left: Vec<_> = late.iter().filter(|object| shelf.objects.contains_key(object)).collect();
    assert!(left.is_empty(), "{left:?}");
    assert_eq!(rows(&mut node), shelf.objects.len());
}

#[test]
fn a_wall_clock_set_forward_and_back_does_not_keep_deleted_records_in_the_store() {
    let (mut node, mut shelf) = found();
    let partition = node.create("orders", 1, &[]);
    let year_ms = 365 * 24 * 3_600_000;
    node.now.wall_ms += year_ms;
    fill(&mut node, &mut shelf, partition, 400);
    node.now.wall_ms -= year_ms;
    shelf.run_ms(&mut node, 6_000);
    assert!(!shelf.objects.is_empty());
    delete_topic(&mut node, "orders");
    shelf.run_ms(&mut node, 40_000);
    assert!(shelf.objects.is_empty(), "{:?}", shelf.objects.keys());
}

#[test]
fn a_state_that_lies_beside_the_log_alone_lets_nothing_of_the_log_go() {
    let (mut node, mut shelf) = found();
    let partition = node.create("orders", 1, &[]);
    fill(&mut node, &mut shelf, partition, 100);
    shelf.run_ms(&mut node, 6_000);
    // What it begins with may be a file that never came to the store.
    restart(&mut node, &mut shelf);
    let released = node.lane().status().wal.segments_released;
    shelf.keeps_states = false;
    fill(&mut node, &mut shelf, partition, 230);
    shelf.run_ms(&mut node, 6_000);
    assert_eq!(node.lane().status().wal.segments_released, released);
    shelf.keeps_states = true;
    shelf.run_ms(&mut node, 6_000);
    assert!(node.lane().status().wal.segments_released > released);
}
