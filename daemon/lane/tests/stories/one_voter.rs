//! One node whose shards have one voter, on a simulated disk: what an operator's smallest
//! installation does, told as stories.

use holdfast_base::{PartitionKey, Term};
use holdfast_batch::{BatchBuilder, BatchHeader, Codec, RecordDraft};
use holdfast_lane::{
    AdminReason, Answer, CreateTopic, DeleteRecordsPartition, EpochEnd, EpochEndPartition,
    FetchPartition, FetchRequest, FoundOffset, ListOffsetsPartition, OffsetQuery, ProducePartition,
    Reason, Request,
};

use crate::node::{Node, batch, fetch, origin, produce, values};

#[test]
fn what_was_acknowledged_is_read_back_after_a_power_cut() {
    let mut node = Node::found(64 << 20);
    let partition = node.create("orders", 3, &[]);
    for number in 0..50 {
        assert_eq!(node.produce(partition, &format!("order{number}")), Ok(number));
    }
    node.power_cut();
    node.start();
    let read = values(&node.fetch(partition, 0).unwrap());
    assert_eq!(read.len(), 50);
    assert!(read.iter().enumerate().all(|(at, text)| text.ends_with(&format!("order{at}"))));
    assert_eq!(node.produce(partition, "after"), Ok(50), "offsets go on where they stood");
}

#[test]
fn a_parked_fetch_is_answered_by_the_record_it_waited_for() {
    let mut node = Node::found(64 << 20);
    let partition = node.create("orders", 1, &[]);
    let deadline_ns = node.now.boottime_ns + 30_000_000_000;
    let waiting = node.submit(fetch(partition, 0, 1, deadline_ns));
    node.run_ms(200);
    node.produce(partition, "late").unwrap();
    let Answer::Fetch(mut results) = node.wait_for(waiting) else { panic!("not a fetch") };
    let fetched = results.remove(0).unwrap();
    assert_eq!((fetched.high_watermark, fetched.records.len()), (1, 1));
    assert!(node.now.boottime_ns < deadline_ns);
}

#[test]
fn a_fetch_with_nothing_to_find_is_answered_at_its_deadline() {
    let mut node = Node::found(64 << 20);
    let partition = node.create("orders", 1, &[]);
    let deadline_ns = node.now.boottime_ns + 300_000_000;
    let waiting = node.submit(fetch(partition, 0, 1, deadline_ns));
    let Answer::Fetch(results) = node.wait_for(waiting) else { panic!("not a fetch") };
    assert!(results[0].as_ref().unwrap().records.is_empty());
    assert!(node.now.boottime_ns >= deadline_ns);
}

#[test]
fn a_name_can_be_used_again_at_once_and_the_old_records_stay_gone() {
    let mut node = Node::found(64 << 20);
    let old = node.create("orders", 1, &[]);
    node.produce(old, "old").unwrap();
    let delete = vec![holdfast_lane::DeleteTopic::Name("orders".to_owned())];
    let Answer::DeleteTopics(gone) = node.ask(Request::DeleteTopics(delete, origin())) else {
        panic!("not a deletion")
    };
    assert_eq!(gone[0].as_ref().unwrap().0, old.topic);
    let new = node.create("orders", 1, &[]);
    assert_ne!(old.topic, new.topic);
    assert!(node.fetch(new, 0).unwrap().is_empty());
    assert_eq!(node.fetch(old, 0).unwrap_err().reason, Reason::UnknownPartition);
    node.power_cut();
    node.start();
    assert!(node.fetch(new, 0).unwrap().is_empty(), "a restart does not bring them back");
}

#[test]
fn a_topic_that_exists_is_not_created_twice() {
    let mut node = Node::found(64 << 20);
    node.create("orders", 1, &[]);
    let topic = CreateTopic {
        name: "orders".to_owned(),
        partitions: 1,
        replication_factor: 1,
        assignment: Vec::new(),
        configs: Vec::new(),
        validate_only: false,
    };
    let Answer::CreateTopics(results) = node.ask(Request::CreateTopics(vec![topic], origin()))
    else {
        panic!("not a creation")
    };
    assert_eq!(results[0].as_ref().unwrap_err().reason, AdminReason::TopicAlreadyExists);
}

#[test]
fn deleted_records_stay_deleted_and_below_log_start_is_out_of_range() {
    let mut node = Node::found(64 << 20);
    let partition = node.create("orders", 1, &[]);
    for number in 0..10 {
        node.produce(partition, &format!("order{number}")).unwrap();
    }
    let ask = vec![DeleteRecordsPartition { partition, before_offset: 4 }];
    let Answer::DeleteRecords(results) = node.ask(Request::DeleteRecords(ask)) else {
        panic!("not a deletion")
    };
    assert_eq!(results, [Ok(4)]);
    assert_eq!(node.fetch(partition, 3).unwrap_err().reason, Reason::OffsetOutOfRange);
    assert_eq!(values(&node.fetch(partition, 4).unwrap()).len(), 6);
    node.power_cut();
    node.start();
    assert_eq!(node.fetch(partition, 3).unwrap_err().reason, Reason::OffsetOutOfRange);
    let beyond = vec![DeleteRecordsPartition { partition, before_offset: 11 }];
    let Answer::DeleteRecords(results) = node.ask(Request::DeleteRecords(beyond)) else {
        panic!("not a deletion")
    };
    assert_eq!(results[0].as_ref().unwrap_err().reason, Reason::OffsetOutOfRange);
}

#[test]
fn offsets_by_end_start_and_time_come_from_the_committed_prefix() {
    let mut node = Node::found(64 << 20);
    let partition = node.create("orders", 1, &[]);
    let start_ms = node.now.wall_ms;
    for number in 0..5 {
        let request = produce(partition, "x", start_ms + number * 10);
        node.ask(request);
    }
    let mut offset = |query| {
        let part = ListOffsetsPartition { partition, query, current_leader_epoch: -1 };
        let Answer::ListOffsets(mut results) = node.ask(Request::ListOffsets(vec![part])) else {
            panic!("not offsets")
        };
        match results.remove(0).unwrap().found {
            FoundOffset::Offset { offset, .. } => offset,
            FoundOffset::InFirstOf(_) => panic!("there is no store"),
            FoundOffset::InBatch(slice) => {
                BatchHeader::parse(&node.bytes_of(slice)).unwrap().base_offset
            }
        }
    };
    assert_eq!(offset(OffsetQuery::Latest), 5);
    assert_eq!(offset(OffsetQuery::Earliest), 0);
    assert_eq!(offset(OffsetQuery::AtTime(start_ms + 11)), 2);
    assert_eq!(offset(OffsetQuery::AtTime(start_ms + 41)), -1);
    assert_eq!(offset(OffsetQuery::MaxTimestamp), 4);
    assert_eq!(offset(OffsetQuery::LatestTiered), -1);
    assert_eq!(offset(OffsetQuery::EarliestPendingUpload), -1, "nothing is ever uploaded");
}

#[test]
fn a_full_wal_refuses_records_but_still_deletes_and_creates() {
    let mut node = Node::found(16 << 20);
    let partition = node.create("orders", 1, &[("max.message.bytes", "4000000")]);
    let large = "x".repeat(300_000);
    let mut written = 0;
    let refusal = loop {
        match node.produce(partition, &large) {
            Ok(_) => written += 1,
            Err(refusal) => break refusal,
        }
        assert!(written < 60, "a WAL of 16 MiB took {written} records of 300 kB");
    };
    assert_eq!(refusal.reason, Reason::NoSpace);
    assert!(written >= 10, "only {written} records fit");
    node.create("another", 1, &[]);
    let ask = vec![DeleteRecordsPartition { partition, before_offset: -1 }];
    let Answer::DeleteRecords(results) = node.ask(Request::DeleteRecords(ask)) else {
        panic!("not a deletion")
    };
    assert_eq!(results, [Ok(written)]);
    node.power_cut();
    node.start();
    assert_eq!(node.fetch(partition, written).unwrap().len(), 0);
}

#[test]
fn a_record_no_segment_can_hold_is_refused_and_the_lane_lives_on() {
    let mut node = Node::found(16 << 20);
    let partition = node.create("orders", 1, &[("max.message.bytes", "4000000")]);
    let refusal = node.produce(partition, &"x".repeat(900_000)).unwrap_err();
    assert_eq!(refusal.reason, Reason::TooLarge);
    assert_eq!(node.produce(partition, "small"), Ok(0));
}

#[test]
fn records_older_than_retention_go_without_anyone_asking() {
    let mut node = Node::found(64 << 20);
    let partition = node.create("orders", 1, &[("retention.ms", "1000"), ("segment.ms", "500")]);
    node.produce(partition, "short-lived").unwrap();
    node.run_ms(20_000);
    let refusal = node.fetch(partition, 0).unwrap_err();
    assert_eq!(refusal.reason, Reason::OffsetOutOfRange);
    assert_eq!(node.fetch(partition, 1).unwrap().len(), 0);
}

#[test]
fn a_wall_clock_set_forward_by_years_does_not_make_a_retry_a_second_record() {
    let mut node = Node::found(64 << 20);
    let partition = node.create("orders", 1, &[("retention.ms", "-1")]);
    let record = RecordDraft::value(node.now.wall_ms, "paid once");
    let bytes = BatchBuilder::new(Codec::None).producer(7, 0, 0).record(record).build().unwrap();
    let send = |node: &mut Node| {
        let header = BatchHeader::parse(&bytes).unwrap();
        let part = ProducePartition { partition, bytes: bytes.clone(), header };
        match node.ask(Request::Produce(vec![part])) {
            Answer::Produce(mut results) => results.remove(0).map(|appended| appended.base_offset),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(send(&mut node), Ok(0));
    node.now.wall_ms += 10 * 365 * 86_400_000;
    node.produce(partition, "another").unwrap();
    node.run_ms(20_000);
    assert_eq!(send(&mut node), Ok(0), "the first copy's offset");
}

#[test]
fn producer_ids_are_never_given_out_twice_not_even_over_a_power_cut() {
    let mut node = Node::found(64 << 20);
    let mut seen = std::collections::BTreeSet::new();
    for round in 0..6 {
        let Answer::AllocateProducerIds(Ok((first, count))) =
            node.ask(Request::AllocateProducerIds)
        else {
            panic!("no ids")
        };
        assert!((first..first + i64::from(count)).all(|id| seen.insert(id)));
        if round % 2 == 1 {
            node.power_cut();
            node.start();
        }
    }
}

#[test]
fn a_client_learns_where_its_epoch_ended_and_a_fetch_tells_it_that_its_log_diverged() {
    let mut node = Node::found(64 << 20);
    let partition = node.create("orders", 1, &[]);
    for _ in 0..3 {
        node.produce(partition, "before").unwrap();
    }
    node.power_cut();
    node.start();
    node.produce(partition, "after").unwrap();
    let end_of = |node: &mut Node, leader_epoch, current_leader_epoch| {
        let part = EpochEndPartition { partition, current_leader_epoch, leader_epoch };
        match node.ask(Request::EpochEnds(vec![part])) {
            Answer::EpochEnds(mut ends) => ends.remove(0),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(end_of(&mut node, 1, -1), Ok(Some(EpochEnd { epoch: 1, end_offset: 3 })));
    assert_eq!(end_of(&mut node, 2, 2), Ok(Some(EpochEnd { epoch: 2, end_offset: 4 })));
    assert_eq!(end_of(&mut node, 3, -1), Ok(None), "an epoch that has not begun");
    assert_eq!(end_of(&mut node, 1, 1).unwrap_err().reason, Reason::FencedEpoch);
    assert_eq!(end_of(&mut node, 1, 3).unwrap_err().reason, Reason::UnknownEpoch);

    let fetch_after = |node: &mut Node, fetch_offset, last_fetched_epoch| {
        let deadline_ns = node.now.boottime_ns + 30_000_000_000;
        let Request::Fetch(mut request) = fetch(partition, fetch_offset, 1, deadline_ns) else {
            panic!("not a fetch")
        };
        request.partitions[0].last_fetched_epoch = last_fetched_epoch;
        match node.ask(Request::Fetch(request)) {
            Answer::Fetch(mut results) => results.remove(0).unwrap(),
            other => panic!("{other:?}"),
        }
    };
    let fetched = fetch_after(&mut node, 3, 1);
    assert_eq!((fetched.diverging, fetched.records.len()), (None, 1));
    let before_ns = node.now.boottime_ns;
    let fetched = fetch_after(&mut node, 4, 1);
    assert_eq!(fetched.diverging, Some(EpochEnd { epoch: 1, end_offset: 3 }));
    assert!(fetched.records.is_empty());
    assert!(node.now.boottime_ns - before_ns < 1_000_000_000, "not parked");
}

#[test]
fn the_log_directory_shows_every_partition_with_the_bytes_it_keeps() {
    let capacity_bytes = 64 << 20;
    let mut node = Node::found(capacity_bytes);
    let partition = node.create("orders", 2, &[]);
    let empty = PartitionKey { partition: 1, ..partition };
    let describe = |node: &mut Node| match node.ask(Request::DescribeLogDir) {
        Answer::DescribeLogDir(found) => found,
        other => panic!("{other:?}"),
    };
    assert_eq!(describe(&mut node).partitions, [(partition, 0), (empty, 0)]);
    for _ in 0..10 {
        node.produce(partition, "x").unwrap();
    }
    let batch_bytes = batch("x", node.now.wall_ms).len() as u64;
    let found = describe(&mut node);
    assert_eq!(found.partitions, [(partition, 10 * batch_bytes), (empty, 0)]);
    assert_eq!(found.total_bytes, capacity_bytes);
    assert!(found.usable_bytes > capacity_bytes / 2 && found.usable_bytes < capacity_bytes);
    node.ask(Request::DeleteRecords(vec![DeleteRecordsPartition { partition, before_offset: 4 }]));
    assert_eq!(describe(&mut node).partitions[0].1, 6 * batch_bytes);
    node.power_cut();
    node.start();
    assert_eq!(describe(&mut node).partitions[0].1, 6 * batch_bytes, "after a restart too");
}

#[test]
fn the_only_node_is_the_quorum_and_holds_all_of_it() {
    let mut node = Node::found(64 << 20);
    node.create("orders", 1, &[]);
    let Answer::DescribeQuorum(Ok(quorum)) = node.ask(Request::DescribeQuorum) else {
        panic!("no quorum")
    };
    assert_eq!((quorum.leader, quorum.term), (node.config.node, Term(1)));
    assert!(quorum.committed > 1);
    assert_eq!(quorum.voters, [(node.config.node, quorum.committed)]);
}

#[test]
fn a_batch_larger_than_what_was_asked_for_is_served_whole_but_only_the_first() {
    let mut node = Node::found(64 << 20);
    let [one, two] = ["one", "two"].map(|name| node.create(name, 1, &[]));
    for partition in [one, two] {
        for number in 0..3 {
            node.produce(partition, &format!("{number}{}", "x".repeat(2_000))).unwrap();
        }
    }
    let asked = |partition| FetchPartition {
        partition,
        fetch_offset: 1,
        max_bytes: 10,
        current_leader_epoch: -1,
        last_fetched_epoch: -1,
    };
    let request = FetchRequest {
        min_bytes: 1,
        max_bytes: 10,
        deadline_ns: 0,
        partitions: vec![asked(one), asked(two)],
    };
    let Answer::Fetch(found) = node.ask(Request::Fetch(request)) else { panic!("not a fetch") };
    let found = found.into_iter().map(|part| {
        let slices = part.unwrap().records.into_iter();
        values(&slices.map(|slice| node.bytes_of(slice)).collect::<Vec<_>>())
    });
    let found: Vec<Vec<String>> = found.collect();
    assert_eq!(found[0].len(), 1, "a consumer that asks for too little goes on all the same");
    assert!(found[0][0].starts_with('1'));
    assert!(found[1].is_empty());
}
