//! DescribeLogDirs: what is asked for and held here, no more.

use super::*;
use crate::double::{ORDERS, bench};
use holdfast_base::TopicId;
use kafka_protocol::messages::describe_log_dirs_request::DescribableLogDirTopic;

fn directory() -> Answer {
    let key = |topic, partition| PartitionKey { topic, partition };
    Answer::DescribeLogDir(LogDir {
        total_bytes: 1_000,
        usable_bytes: 400,
        partitions: vec![
            (key(ORDERS, 0), 100),
            (key(ORDERS, 1), 50),
            (key(TopicId([77; 16]), 0), 9), // deleted meanwhile
        ],
    })
}

async fn sizes(request: DescribeLogDirsRequest, version: i16) -> (DescribeLogDirsResult, Vec<i64>) {
    let bench = bench();
    bench.lane.answer(directory());
    let mut answer = handle(Arc::clone(&bench.broker), request, version).await;
    let result = answer.results.remove(0);
    let rows = result.topics.iter().flat_map(|topic| &topic.partitions);
    let sizes = rows.map(|row| row.partition_size).collect();
    (result, sizes)
}

#[tokio::test]
async fn all_that_is_held_is_shown_when_nothing_is_named() {
    let request = DescribeLogDirsRequest::default().with_topics(None);
    let (result, found) = sizes(request.clone(), 4).await;
    assert_eq!(found, [100, 50]);
    assert_eq!((result.total_bytes, result.usable_bytes), (1_000, 400));
    let (result, _) = sizes(request, 3).await;
    assert_eq!((result.total_bytes, result.usable_bytes), (-1, -1), "no such field before 4");
}

#[tokio::test]
async fn only_the_partitions_named_are_shown() {
    let named = DescribableLogDirTopic::default()
        .with_topic(TopicName(StrBytes::from_static_str("orders")))
        .with_partitions(vec![1, 5]);
    let request = DescribeLogDirsRequest::default().with_topics(Some(vec![named]));
    assert_eq!(sizes(request, 4).await.1, [50]);
}

#[tokio::test]
async fn a_lane_that_has_ended_is_a_storage_error() {
    let bench = bench();
    let asked = DescribeLogDirsRequest::default().with_topics(None);
    let answer = tokio::spawn(handle(Arc::clone(&bench.broker), asked, 4));
    tokio::task::yield_now().await;
    bench.lane.end();
    assert_eq!(answer.await.expect("no panic").results[0].error_code, 56);
}
