//! OffsetForLeaderEpoch (key 23): where an epoch ends, so that a consumer finds out that records it
//! has read were lost with an old leader (KIP-320). An epoch nobody knows is -1, without an error.

use crate::broker::Broker;
use crate::offset_commit::partition_of;
use holdfast_lane::{Answer, EpochEnd, EpochEndPartition, Reason, Refusal, Request};
use holdfast_protocol::errors::OffsetForLeaderEpochError;
use kafka_protocol::messages::offset_for_leader_epoch_request::OffsetForLeaderEpochRequest;
use kafka_protocol::messages::offset_for_leader_epoch_response::{
    EpochEndOffset, OffsetForLeaderEpochResponse, OffsetForLeaderTopicResult,
};
use std::sync::Arc;

/// An end, that there is none, or the wire's error.
type Found = Result<Option<EpochEnd>, OffsetForLeaderEpochError>;

/// Answers partition by partition.
pub(crate) async fn handle(
    broker: Arc<Broker>,
    request: OffsetForLeaderEpochRequest,
) -> OffsetForLeaderEpochResponse {
    let view = broker.view();
    let mut asked = Vec::new();
    let mut topics = Vec::with_capacity(request.topics.len());
    for topic in request.topics {
        let mut parts = Vec::with_capacity(topic.partitions.len());
        for partition in &topic.partitions {
            let part = partition_of(&view, &topic.topic, partition.partition).map(|key| {
                asked.push(EpochEndPartition {
                    partition: key,
                    current_leader_epoch: partition.current_leader_epoch,
                    leader_epoch: partition.leader_epoch,
                });
                asked.len() - 1
            });
            parts.push((partition.partition, part));
        }
        topics.push((topic.topic, parts));
    }
    let ends = if asked.is_empty() {
        Vec::new()
    } else {
        match broker.lane.call(Request::EpochEnds(asked)).await {
            Some(Answer::EpochEnds(ends)) => ends,
            _ => Vec::new(),
        }
    };
    let found = |part: Option<usize>| -> Found {
        let at = part.ok_or(OffsetForLeaderEpochError::UnknownTopicOrPartition)?;
        match ends.get(at) {
            Some(Ok(end)) => Ok(*end),
            Some(Err(refusal)) => Err(error_of(refusal)),
            None => Err(OffsetForLeaderEpochError::KafkaStorageError),
        }
    };
    let topics = topics.into_iter().map(|(name, parts)| {
        let partitions = parts.into_iter().map(|(index, part)| write(index, found(part)));
        OffsetForLeaderTopicResult::default().with_topic(name).with_partitions(partitions.collect())
    });
    OffsetForLeaderEpochResponse::default().with_topics(topics.collect())
}

fn write(index: i32, found: Found) -> EpochEndOffset {
    let response = EpochEndOffset::default().with_partition(index);
    match found {
        Ok(Some(end)) => response.with_leader_epoch(end.epoch).with_end_offset(end.end_offset),
        Ok(None) => response.with_leader_epoch(-1).with_end_offset(-1),
        Err(error) => {
            response.with_error_code(error.into()).with_leader_epoch(-1).with_end_offset(-1)
        }
    }
}

fn error_of(refusal: &Refusal) -> OffsetForLeaderEpochError {
    match refusal.reason {
        Reason::NotLeader | Reason::NotReady => OffsetForLeaderEpochError::NotLeaderOrFollower,
        Reason::UnknownPartition => OffsetForLeaderEpochError::UnknownTopicOrPartition,
        Reason::FencedEpoch => OffsetForLeaderEpochError::FencedLeaderEpoch,
        Reason::UnknownEpoch => OffsetForLeaderEpochError::UnknownLeaderEpoch,
        _ => OffsetForLeaderEpochError::KafkaStorageError,
    }
}

#[cfg(test)]
mod tests;
