//! OffsetDelete (key 47): forgets committed offsets of a group, but not of topics its members
//! consume.

use crate::broker::Broker;
use crate::group::owned;
use crate::offset_commit::partition_of;
use holdfast_lane::{Answer, GroupError, Request};
use holdfast_protocol::errors::{OffsetDeleteError, OffsetDeletePartitionError};
use kafka_protocol::messages::offset_delete_request::OffsetDeleteRequest;
use kafka_protocol::messages::offset_delete_response::{
    OffsetDeleteResponse, OffsetDeleteResponsePartition, OffsetDeleteResponseTopic,
};
use std::sync::Arc;

/// Answers partition by partition, or with the group's error alone.
pub(crate) async fn handle(
    broker: Arc<Broker>,
    request: OffsetDeleteRequest,
) -> OffsetDeleteResponse {
    let view = broker.view();
    let mut partitions = Vec::new();
    let mut topics = Vec::with_capacity(request.topics.len());
    for topic in request.topics {
        let parts: Vec<(i32, Option<usize>)> = topic
            .partitions
            .iter()
            .map(|partition| {
                let index = partition.partition_index;
                let asked = partition_of(&view, &topic.name, index).map(|key| {
                    partitions.push(key);
                    partitions.len() - 1
                });
                (index, asked)
            })
            .collect();
        topics.push((topic.name, parts));
    }
    // Asked even if no partition is there: that the group is not is worth more to the client.
    let call = Request::DeleteOffsets { group: owned(&request.group_id), partitions };
    let outcomes = match broker.lane.call(call).await {
        Some(Answer::DeleteOffsets(outcomes)) => outcomes,
        _ => Err(GroupError::CoordinatorNotAvailable),
    };
    let response = OffsetDeleteResponse::default();
    let outcomes = match outcomes {
        Ok(outcomes) => outcomes,
        Err(error) => return response.with_error_code(error_of(&error).into()),
    };
    let error_at = |asked: Option<usize>| match asked.map(|at| outcomes.get(at)) {
        None => OffsetDeletePartitionError::UnknownTopicOrPartition,
        Some(Some(Ok(()))) => OffsetDeletePartitionError::None,
        Some(Some(Err(error))) => partition_error_of(error),
        Some(None) => OffsetDeletePartitionError::UnknownServerError,
    };
    let topics = topics.into_iter().map(|(name, parts)| {
        let partitions = parts.into_iter().map(|(index, asked)| {
            OffsetDeleteResponsePartition::default()
                .with_partition_index(index)
                .with_error_code(error_at(asked).into())
        });
        OffsetDeleteResponseTopic::default().with_name(name).with_partitions(partitions.collect())
    });
    response.with_topics(topics.collect())
}

fn error_of(error: &GroupError) -> OffsetDeleteError {
    match error {
        GroupError::NotCoordinator => OffsetDeleteError::NotCoordinator,
        GroupError::LoadInProgress => OffsetDeleteError::CoordinatorLoadInProgress,
        GroupError::InvalidGroup => OffsetDeleteError::InvalidGroupId,
        GroupError::NonEmptyGroup => OffsetDeleteError::NonEmptyGroup,
        GroupError::GroupIdNotFound => OffsetDeleteError::GroupIdNotFound,
        _ => OffsetDeleteError::CoordinatorNotAvailable,
    }
}

fn partition_error_of(error: &GroupError) -> OffsetDeletePartitionError {
    match error {
        GroupError::SubscribedToTopic => OffsetDeletePartitionError::GroupSubscribedToTopic,
        GroupError::UnknownTopicOrPartition => OffsetDeletePartitionError::UnknownTopicOrPartition,
        _ => OffsetDeletePartitionError::UnknownServerError,
    }
}

#[cfg(test)]
mod tests;
