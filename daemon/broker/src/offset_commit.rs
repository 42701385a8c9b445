//! OffsetCommit (key 8): where a group goes on, by topic id from here inwards.
//!
//! What cannot be committed is said partition by partition and never reaches the lane: a partition
//! that is not there, metadata above `offset.metadata.max.bytes`. The rest is one call, and its
//! refusal is said for each of them. `retention_time_ms` (up to version 4) is taken and ignored:
//! offsets live as long as `offsets.retention.minutes` says.

use crate::broker::{Broker, View};
use crate::group::{owned, owned_option};
use holdfast_base::PartitionKey;
use holdfast_lane::{Answer, CommitOffsets, GroupError, NewOffset, Request};
use holdfast_protocol::errors::OffsetCommitError;
use kafka_protocol::messages::offset_commit_request::{
    OffsetCommitRequest, OffsetCommitRequestPartition,
};
use kafka_protocol::messages::offset_commit_response::{
    OffsetCommitResponse, OffsetCommitResponsePartition, OffsetCommitResponseTopic,
};
use std::sync::Arc;

/// What becomes of one partition.
enum Part {
    Refused(OffsetCommitError),
    /// The n-th offset of the lane's call.
    Asked(usize),
}

/// Answers when the offsets are committed.
pub(crate) async fn handle(
    broker: Arc<Broker>,
    request: OffsetCommitRequest,
) -> OffsetCommitResponse {
    let view = broker.view();
    let mut offsets = Vec::new();
    let mut topics = Vec::with_capacity(request.topics.len());
    for topic in request.topics {
        let mut parts = Vec::with_capacity(topic.partitions.len());
        for partition in &topic.partitions {
            let part = match check(&view, &topic.name, partition) {
                Ok(offset) => {
                    offsets.push(offset);
                    Part::Asked(offsets.len() - 1)
                }
                Err(error) => Part::Refused(error),
            };
            parts.push((partition.partition_index, part));
        }
        topics.push((topic.name, parts));
    }
    let outcomes = if offsets.is_empty() {
        Ok(Vec::new())
    } else {
        let call = CommitOffsets {
            group: owned(&request.group_id),
            member_id: owned(&request.member_id),
            instance_id: owned_option(&request.group_instance_id),
            generation: request.generation_id_or_member_epoch,
            offsets,
        };
        match broker.lane.call(Request::CommitOffsets(call)).await {
            Some(Answer::CommitOffsets(outcomes)) => outcomes,
            _ => Err(GroupError::CoordinatorNotAvailable),
        }
    };
    let error_at = |at: usize| match &outcomes {
        Err(error) => error_of(error),
        Ok(outcomes) => match outcomes.get(at) {
            Some(Ok(())) => OffsetCommitError::None,
            Some(Err(error)) => error_of(error),
            None => OffsetCommitError::UnknownServerError,
        },
    };
    let topics = topics.into_iter().map(|(name, parts)| {
        let partitions = parts.into_iter().map(|(index, part)| {
            let error = match part {
                Part::Refused(error) => error,
                Part::Asked(at) => error_at(at),
            };
            OffsetCommitResponsePartition::default()
                .with_partition_index(index)
                .with_error_code(error.into())
        });
        let partitions = partitions.collect();
        OffsetCommitResponseTopic::default().with_name(name).with_partitions(partitions)
    });
    OffsetCommitResponse::default().with_topics(topics.collect())
}

fn check(
    view: &View,
    topic: &str,
    partition: &OffsetCommitRequestPartition,
) -> Result<NewOffset, OffsetCommitError> {
    let key = partition_of(view, topic, partition.partition_index)
        .ok_or(OffsetCommitError::UnknownTopicOrPartition)?;
    let metadata = partition.committed_metadata.as_ref().map(owned).unwrap_or_default();
    // Counted in UTF-16 units of the text, as Kafka does.
    let max = usize::try_from(view.settings.offset_metadata_bytes_max).unwrap_or(usize::MAX);
    if metadata.len() > max && metadata.encode_utf16().count() > max {
        return Err(OffsetCommitError::OffsetMetadataTooLarge);
    }
    Ok(NewOffset {
        partition: key,
        offset: partition.committed_offset,
        leader_epoch: partition.committed_leader_epoch,
        metadata,
    })
}

/// The partition of that topic and number, if it is there.
pub(crate) fn partition_of(view: &View, topic: &str, index: i32) -> Option<PartitionKey> {
    let topic = view.image.topic(topic)?;
    let exists = usize::try_from(index).is_ok_and(|at| at < topic.partitions.len());
    exists.then_some(PartitionKey { topic: topic.id, partition: index })
}

fn error_of(error: &GroupError) -> OffsetCommitError {
    use GroupError as G;
    match error {
        G::NotCoordinator => OffsetCommitError::NotCoordinator,
        G::LoadInProgress => OffsetCommitError::CoordinatorLoadInProgress,
        G::CoordinatorNotAvailable => OffsetCommitError::CoordinatorNotAvailable,
        G::UnknownMember => OffsetCommitError::UnknownMemberId,
        // A generation of a group that is not there: consumers know no GROUP_ID_NOT_FOUND here.
        G::IllegalGeneration | G::GroupIdNotFound => OffsetCommitError::IllegalGeneration,
        G::RebalanceInProgress => OffsetCommitError::RebalanceInProgress,
        G::FencedInstance => OffsetCommitError::FencedInstanceId,
        G::MetadataTooLarge => OffsetCommitError::OffsetMetadataTooLarge,
        G::UnknownTopicOrPartition => OffsetCommitError::UnknownTopicOrPartition,
        // A client that assigns by itself, and a group with members: Kafka's answer too.
        G::NonEmptyGroup => OffsetCommitError::UnknownMemberId,
        // Not answers to this call.
        G::InvalidGroup
        | G::InconsistentProtocol
        | G::InvalidSessionTimeout
        | G::MemberIdRequired(_)
        | G::GroupFull
        | G::SubscribedToTopic => OffsetCommitError::UnknownServerError,
    }
}

#[cfg(test)]
mod tests;
