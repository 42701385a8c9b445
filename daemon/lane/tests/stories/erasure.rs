//! What was deleted leaves the log as well, from every file of it.

use holdfast_base::PartitionKey;
use holdfast_lane::{DeleteRecordsPartition, DeleteTopic, Request, StoreConfig};

use crate::node::{Node, origin};
use crate::shelf::Shelf;

const LOG_BYTES: u64 = 32 << 20;
const DELAY_MS: u64 = StoreConfig::DEV.deletion_delay_ms as u64;

/// A record of 60 kB that says whose it is, every eight bytes.
fn produce(node: &mut Node, shelf: &mut Shelf, partition: PartitionKey, mark: &str, count: usize) {
    assert_eq!(mark.len(), 8);
    let value = mark.repeat(7_500);
    for _ in 0..count {
        while node.produce(partition, &value).is_err() {
            shelf.run_ms(node, 100);
        }
        shelf.serve(node);
    }
}

/// How many files of the log hold the mark.
fn files_with(node: &Node, mark: &str) -> usize {
    let doubled = mark.repeat(2).into_bytes();
    // A record starts anywhere.
    let turned: Vec<Vec<u8>> =
        (0..8).map(|turn| [&doubled[turn..], &doubled[..turn]].concat()).collect();
    let holds = |media: &Vec<u8>| {
        media.chunks_exact(16).any(|piece| turned.iter().any(|turned| turned == piece))
    };
    (1..)
        .map_while(|slot| node.device.media(&format!("lane-0.segment-{slot:08}")))
        .filter(holds)
        .count()
}

fn restart(node: &mut Node, shelf: &mut Shelf) {
    node.power_cut();
    shelf.forget_work();
    node.checkpoints = shelf.checkpoints.clone();
    node.start();
}

fn found() -> (Node, Shelf, PartitionKey, PartitionKey) {
    let mut node = Node::found_with_store(LOG_BYTES, StoreConfig::DEV);
    let mut shelf = Shelf::default();
    let gone = node.create("gone", 1, &[]);
    let kept = node.create("kept", 1, &[]);
    produce(&mut node, &mut shelf, gone, "-=gone=-", 300);
    produce(&mut node, &mut shelf, kept, "-=kept=-", 40);
    assert!(files_with(&node, "-=gone=-") > 3);
    (node, shelf, gone, kept)
}

#[test]
fn no_file_of_the_log_holds_a_record_of_a_deleted_topic_after_the_delay() {
    let (mut node, mut shelf, _, kept) = found();
    node.ask(Request::DeleteTopics(vec![DeleteTopic::Name("gone".to_owned())], origin()));
    shelf.run_ms(&mut node, DELAY_MS / 2 - 2_000);
    assert!(files_with(&node, "-=gone=-") > 3, "nothing is hurried");
    shelf.run_ms(&mut node, DELAY_MS / 2);
    assert_eq!(files_with(&node, "-=gone=-"), 0);
    let status = node.lane().status().wal;
    assert!(status.files_erased > 0, "{status:?}");
    shelf.run_ms(&mut node, 10 * DELAY_MS);
    let later = node.lane().status().wal;
    assert_eq!(
        (later.files_erased, later.open_segment),
        (status.files_erased, status.open_segment),
        "and then the log rests"
    );
    produce(&mut node, &mut shelf, kept, "-=kept=-", 1);
    assert!(files_with(&node, "-=kept=-") > 0);
}

#[test]
fn no_file_of_the_log_holds_a_deleted_record_after_the_delay() {
    let (mut node, mut shelf, gone, kept) = found();
    let part = DeleteRecordsPartition { partition: gone, before_offset: 300 };
    node.ask(Request::DeleteRecords(vec![part]));
    produce(&mut node, &mut shelf, kept, "-=kept=-", 3);
    shelf.run_ms(&mut node, DELAY_MS);
    assert_eq!(files_with(&node, "-=gone=-"), 0);
}

#[test]
fn a_node_that_goes_down_before_the_delay_is_over_erases_after_its_start() {
    let (mut node, mut shelf, _, _) = found();
    node.ask(Request::DeleteTopics(vec![DeleteTopic::Name("gone".to_owned())], origin()));
    shelf.run_ms(&mut node, DELAY_MS / 2 + 50);
    let files = files_with(&node, "-=gone=-");
    assert!(files > 0);
    restart(&mut node, &mut shelf);
    shelf.run_ms(&mut node, DELAY_MS / 2);
    assert_eq!(files_with(&node, "-=gone=-"), 0);
}

#[test]
fn retention_that_removes_old_records_all_the_time_does_not_empty_the_log() {
    let mut node = Node::found_with_store(LOG_BYTES, StoreConfig::DEV);
    let mut shelf = Shelf::default();
    let settings = [("retention.bytes", "20000000"), ("segment.bytes", "2000000")];
    let steady = node.create("steady", 1, &settings);
    let mut live_bytes_min = u64::MAX;
    for round in 0..400 {
        produce(&mut node, &mut shelf, steady, "-=steady", 3);
        shelf.run_ms(&mut node, 2_000);
        if round > 200 {
            live_bytes_min = live_bytes_min.min(node.lane().status().wal.live_bytes);
        }
    }
    let starts: Vec<i64> = node
        .lane()
        .data_shards()
        .filter_map(|state| Some(state.partition(&steady)?.log_start()))
        .collect();
    assert!(starts[0] > 0, "retention has removed records");
    let status = node.lane().status().wal;
    assert!(status.files_erased > 10, "what left the log is gone from its files: {status:?}");
    assert!(live_bytes_min > LOG_BYTES / 3, "{live_bytes_min} {status:?}");
}
