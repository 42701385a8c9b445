//! AlterReplicaLogDirs (key 34): a replica to another directory of its node. A node has one, so what is
//! asked for is done already, or there is no such directory.

use crate::broker::Broker;
use crate::describe_log_dirs::WAL_DIRECTORY;
use holdfast_protocol::errors::{AlterReplicaLogDirsError, ErrorCode};
use kafka_protocol::messages::TopicName;
use kafka_protocol::messages::alter_replica_log_dirs_request::AlterReplicaLogDirsRequest;
use kafka_protocol::messages::alter_replica_log_dirs_response::{
    AlterReplicaLogDirPartitionResult, AlterReplicaLogDirTopicResult, AlterReplicaLogDirsResponse,
};
use std::collections::BTreeMap;

pub(crate) fn handle(
    broker: &Broker,
    request: &AlterReplicaLogDirsRequest,
) -> AlterReplicaLogDirsResponse {
    let view = broker.view();
    // A topic may stand under several directories; it is answered once.
    let mut topics: BTreeMap<TopicName, Vec<AlterReplicaLogDirPartitionResult>> = BTreeMap::new();
    for dir in &request.dirs {
        for topic in &dir.topics {
            let known = view.image.topic(&topic.name);
            let results = topic.partitions.iter().map(|index| {
                let there = known.is_some_and(|known| {
                    usize::try_from(*index).is_ok_and(|at| at < known.partitions.len())
                });
                let error = if &*dir.path != WAL_DIRECTORY {
                    AlterReplicaLogDirsError::LogDirNotFound
                } else if there {
                    AlterReplicaLogDirsError::None
                } else {
                    AlterReplicaLogDirsError::UnknownTopicOrPartition
                };
                AlterReplicaLogDirPartitionResult::default()
                    .with_partition_index(*index)
                    .with_error_code(error.code())
            });
            topics.entry(topic.name.clone()).or_default().extend(results);
        }
    }
    let results = topics.into_iter().map(|(name, partitions)| {
        AlterReplicaLogDirTopicResult::default().with_topic_name(name).with_partitions(partitions)
    });
    AlterReplicaLogDirsResponse::default().with_results(results.collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::double::bench;
    use kafka_protocol::messages::alter_replica_log_dirs_request::{
        AlterReplicaLogDir, AlterReplicaLogDirTopic,
    };
    use kafka_protocol::protocol::StrBytes;

    #[test]
    fn a_replica_is_in_the_one_directory_there_is() {
        let bench = bench();
        let topic = AlterReplicaLogDirTopic::default()
            .with_name(TopicName(StrBytes::from_static_str("orders")))
            .with_partitions(vec![0, 9]);
        let dir = |path| {
            AlterReplicaLogDir::default()
                .with_path(StrBytes::from_static_str(path))
                .with_topics(vec![topic.clone()])
        };
        let request = AlterReplicaLogDirsRequest::default()
            .with_dirs(vec![dir(WAL_DIRECTORY), dir("/elsewhere")]);
        let answer = handle(&bench.broker, &request);
        assert_eq!(answer.results.len(), 1, "a topic is answered once");
        let codes: Vec<i16> =
            answer.results[0].partitions.iter().map(|one| one.error_code).collect();
        assert_eq!(codes, [0, 3, 57, 57]);
    }
}
