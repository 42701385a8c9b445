//! DescribeLogDirs (key 35): how many bytes each partition has here, and how full the device is.
//!
//! A node has one directory of records, its write-ahead log, shown as `/wal`. A partition's size is
//! what lies between its log start and its end; other than in Kafka the bytes of all partitions share
//! the same files, so deleted bytes count as used until their segments are recycled. Admin clients
//! ask every node and add up, so each tells only of what it holds itself.

use crate::broker::Broker;
use holdfast_base::PartitionKey;
use holdfast_lane::{Answer, LogDir, Request};
use holdfast_metadata::Image;
use holdfast_protocol::errors::{DescribeLogDirsError, ErrorCode};
use kafka_protocol::messages::TopicName;
use kafka_protocol::messages::describe_log_dirs_request::DescribeLogDirsRequest;
use kafka_protocol::messages::describe_log_dirs_response::{
    DescribeLogDirsPartition, DescribeLogDirsResponse, DescribeLogDirsResult, DescribeLogDirsTopic,
};
use kafka_protocol::protocol::StrBytes;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// The directory's name for tools; not a path of this machine.
pub(crate) const WAL_DIRECTORY: &str = "/wal";
const FIRST_VERSION_WITH_SPACE: i16 = 4;

pub(crate) async fn handle(
    broker: Arc<Broker>,
    request: DescribeLogDirsRequest,
    version: i16,
) -> DescribeLogDirsResponse {
    let result = DescribeLogDirsResult::default()
        .with_log_dir(StrBytes::from_static_str(WAL_DIRECTORY))
        .with_total_bytes(-1)
        .with_usable_bytes(-1);
    let Some(Answer::DescribeLogDir(directory)) = broker.lane.call(Request::DescribeLogDir).await
    else {
        let result = result.with_error_code(DescribeLogDirsError::KafkaStorageError.code());
        return DescribeLogDirsResponse::default().with_results(vec![result]);
    };
    let view = broker.view();
    let result = result.with_topics(topics_of(&view.image, &request, &directory));
    let result = if version >= FIRST_VERSION_WITH_SPACE {
        result
            .with_total_bytes(i64::try_from(directory.total_bytes).unwrap_or(i64::MAX))
            .with_usable_bytes(i64::try_from(directory.usable_bytes).unwrap_or(i64::MAX))
    } else {
        result
    };
    DescribeLogDirsResponse::default().with_results(vec![result])
}

/// The partitions asked for (all, when none are named) that this node holds.
fn topics_of(
    image: &Image,
    request: &DescribeLogDirsRequest,
    directory: &LogDir,
) -> Vec<DescribeLogDirsTopic> {
    let wanted: Option<BTreeMap<&str, BTreeSet<i32>>> = request.topics.as_ref().map(|topics| {
        let row = |topic: &'_ _| partitions_of(topic);
        topics.iter().map(|topic| (&*topic.topic.0, row(topic))).collect()
    });
    let mut rows: BTreeMap<&str, Vec<DescribeLogDirsPartition>> = BTreeMap::new();
    for (PartitionKey { topic, partition }, bytes) in &directory.partitions {
        let Some(topic) = image.topic_by_id(*topic) else { continue };
        let asked = wanted.as_ref().is_none_or(|wanted| {
            wanted.get(topic.name.as_str()).is_some_and(|asked| asked.contains(partition))
        });
        if asked {
            rows.entry(&topic.name).or_default().push(
                DescribeLogDirsPartition::default()
                    .with_partition_index(*partition)
                    .with_partition_size(i64::try_from(*bytes).unwrap_or(i64::MAX)),
            );
        }
    }
    let write = |(name, partitions): (&str, Vec<DescribeLogDirsPartition>)| {
        DescribeLogDirsTopic::default()
            .with_name(TopicName(StrBytes::from(name.to_owned())))
            .with_partitions(partitions)
    };
    rows.into_iter().map(write).collect()
}

fn partitions_of(
    topic: &kafka_protocol::messages::describe_log_dirs_request::DescribableLogDirTopic,
) -> BTreeSet<i32> {
    topic.partitions.iter().copied().collect()
}

#[cfg(test)]
mod tests;
