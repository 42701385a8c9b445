//! DeleteRecords (key 21): moves the log start of partitions up. -1 is the high watermark.

use crate::broker::Broker;
use holdfast_base::PartitionKey;
use holdfast_lane::{Answer, DeleteRecordsPartition, Reason, Refusal, Request};
use holdfast_protocol::errors::DeleteRecordsError;
use kafka_protocol::messages::delete_records_request::DeleteRecordsRequest;
use kafka_protocol::messages::delete_records_response::{
    DeleteRecordsPartitionResult, DeleteRecordsResponse, DeleteRecordsTopicResult,
};
use std::sync::Arc;
use std::time::Duration;

/// Answers with the new log start of each partition.
pub(crate) async fn handle(
    broker: Arc<Broker>,
    request: DeleteRecordsRequest,
) -> DeleteRecordsResponse {
    let view = broker.view();
    let mut asked = Vec::new();
    let mut topics = Vec::with_capacity(request.topics.len());
    for topic in request.topics {
        let known = view.image.topic(&topic.name);
        let mut parts = Vec::with_capacity(topic.partitions.len());
        for partition in &topic.partitions {
            let index = partition.partition_index;
            let there = known.filter(|known| {
                usize::try_from(index).is_ok_and(|index| index < known.partitions.len())
            });
            let part = there.map(|known| {
                asked.push(DeleteRecordsPartition {
                    partition: PartitionKey { topic: known.id, partition: index },
                    before_offset: partition.offset,
                });
                asked.len() - 1
            });
            parts.push((index, part));
        }
        topics.push((topic.name, parts));
    }
    let moved = if asked.is_empty() {
        Ok(Vec::new())
    } else {
        let call = broker.lane.call(Request::DeleteRecords(asked));
        let limit = Duration::from_millis(u64::try_from(request.timeout_ms).unwrap_or(0));
        match tokio::time::timeout(limit, call).await {
            Ok(Some(Answer::DeleteRecords(moved))) => Ok(moved),
            Ok(_) => Err(DeleteRecordsError::NotLeaderOrFollower),
            Err(_) => Err(DeleteRecordsError::RequestTimedOut),
        }
    };
    let outcome_of = |part: Option<usize>| match (part, &moved) {
        (None, _) => Err(DeleteRecordsError::UnknownTopicOrPartition),
        (Some(_), Err(error)) => Err(*error),
        (Some(at), Ok(moved)) => match moved.get(at) {
            Some(Ok(log_start)) => Ok(*log_start),
            Some(Err(refusal)) => Err(error_of(refusal)),
            None => Err(DeleteRecordsError::UnknownServerError),
        },
    };
    let responses = topics.into_iter().map(|(name, parts)| {
        let partitions =
            parts.into_iter().map(|(index, part)| write_partition(index, outcome_of(part)));
        DeleteRecordsTopicResult::default().with_name(name).with_partitions(partitions.collect())
    });
    DeleteRecordsResponse::default().with_topics(responses.collect())
}

fn error_of(refusal: &Refusal) -> DeleteRecordsError {
    match refusal.reason {
        Reason::NotLeader | Reason::NotReady => DeleteRecordsError::NotLeaderOrFollower,
        Reason::UnknownPartition => DeleteRecordsError::UnknownTopicOrPartition,
        Reason::OffsetOutOfRange => DeleteRecordsError::OffsetOutOfRange,
        // Even this writes an entry; it may be tried again.
        Reason::NoSpace => DeleteRecordsError::RequestTimedOut,
        _ => DeleteRecordsError::KafkaStorageError,
    }
}

fn write_partition(
    index: i32,
    outcome: Result<i64, DeleteRecordsError>,
) -> DeleteRecordsPartitionResult {
    let result = DeleteRecordsPartitionResult::default().with_partition_index(index);
    match outcome {
        Ok(log_start) => result.with_low_watermark(log_start),
        Err(error) => result.with_low_watermark(-1).with_error_code(error.into()),
    }
}

#[cfg(test)]
mod tests;
