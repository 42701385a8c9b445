//! Answers about groups and their offsets.

use kafka_protocol::messages::delete_groups_response::DeletableGroupResult;
use kafka_protocol::messages::describe_groups_response::{DescribedGroup, DescribedGroupMember};
use kafka_protocol::messages::find_coordinator_response::Coordinator;
use kafka_protocol::messages::join_group_response::JoinGroupResponseMember;
use kafka_protocol::messages::leave_group_response::MemberResponse;
use kafka_protocol::messages::list_groups_response::ListedGroup;
use kafka_protocol::messages::offset_commit_response::{
    OffsetCommitResponsePartition, OffsetCommitResponseTopic,
};
use kafka_protocol::messages::offset_delete_response::{
    OffsetDeleteResponsePartition, OffsetDeleteResponseTopic,
};
use kafka_protocol::messages::offset_fetch_response::{
    OffsetFetchResponseGroup, OffsetFetchResponsePartition, OffsetFetchResponsePartitions,
    OffsetFetchResponseTopic, OffsetFetchResponseTopics,
};
use kafka_protocol::messages::{
    DeleteGroupsResponse, DescribeGroupsResponse, FindCoordinatorResponse, GroupId,
    HeartbeatResponse, JoinGroupResponse, LeaveGroupResponse, ListGroupsResponse,
    OffsetCommitResponse, OffsetDeleteResponse, OffsetFetchResponse, SyncGroupResponse,
};

use super::*;
use crate::errors::{
    DeleteGroupsError, FindCoordinatorError, HeartbeatError, JoinGroupError, LeaveGroupError,
    LeaveGroupMemberError, ListGroupsError, OffsetCommitError, OffsetDeleteError,
    OffsetDeletePartitionError, OffsetFetchGroupError, OffsetFetchPartitionError, SyncGroupError,
};

fn group(name: &'static str) -> GroupId {
    GroupId(text(name))
}

pub(super) fn offset_commit(version: i16) -> OffsetCommitResponse {
    let partition = |index, error: OffsetCommitError| {
        OffsetCommitResponsePartition::default()
            .with_partition_index(index)
            .with_error_code(error.code())
    };
    let topic =
        OffsetCommitResponseTopic::default().with_name(name("orders")).with_partitions(vec![
            partition(0, OffsetCommitError::None),
            partition(5, OffsetCommitError::OffsetMetadataTooLarge),
        ]);
    let mut answer = OffsetCommitResponse::default().with_topics(vec![topic]);
    if version >= 3 {
        answer.throttle_time_ms = 9;
    }
    answer
}

pub(super) fn offset_fetch(version: i16) -> OffsetFetchResponse {
    let unstable = OffsetFetchPartitionError::UnstableOffsetCommit.code();
    let mut answer = OffsetFetchResponse::default();
    if version >= 3 {
        answer.throttle_time_ms = 9;
    }
    if version <= 7 {
        let mut partition = OffsetFetchResponsePartition::default()
            .with_partition_index(5)
            .with_committed_offset(50)
            .with_metadata(Some(text("host-1")))
            .with_error_code(unstable);
        if version >= 5 {
            partition.committed_leader_epoch = 3;
        }
        let topic = OffsetFetchResponseTopic::default()
            .with_name(name("orders"))
            .with_partitions(vec![partition]);
        if version >= 2 {
            answer.error_code = OffsetFetchGroupError::NotCoordinator.code();
        }
        return answer.with_topics(vec![topic]);
    }
    let partition = OffsetFetchResponsePartitions::default()
        .with_partition_index(5)
        .with_committed_offset(50)
        .with_committed_leader_epoch(3)
        .with_metadata(None)
        .with_error_code(unstable);
    let topic = OffsetFetchResponseTopics::default()
        .with_name(name("orders"))
        .with_partitions(vec![partition]);
    let billing = OffsetFetchResponseGroup::default()
        .with_group_id(group("billing"))
        .with_topics(vec![topic]);
    let shipping = OffsetFetchResponseGroup::default()
        .with_group_id(group("shipping"))
        .with_error_code(OffsetFetchGroupError::CoordinatorLoadInProgress.code());
    answer.with_groups(vec![billing, shipping])
}

pub(super) fn find_coordinator(version: i16) -> FindCoordinatorResponse {
    let mut answer = FindCoordinatorResponse::default();
    if version >= 1 {
        answer.throttle_time_ms = 9;
    }
    let error = FindCoordinatorError::CoordinatorNotAvailable.code();
    if version <= 3 {
        if version >= 1 {
            answer.error_message = Some(text("try again"));
        }
        return answer
            .with_error_code(error)
            .with_node_id(1.into())
            .with_host(text("kafka.example"))
            .with_port(9092);
    }
    let found = Coordinator::default()
        .with_key(text("billing"))
        .with_node_id(1.into())
        .with_host(text("kafka.example"))
        .with_port(9092);
    let missing = Coordinator::default()
        .with_key(text("shipping"))
        .with_node_id((-1).into())
        .with_port(-1)
        .with_error_code(error)
        .with_error_message(Some(text("try again")));
    answer.with_coordinators(vec![found, missing])
}

pub(super) fn join_group(version: i16) -> JoinGroupResponse {
    let member = |id| {
        let mut member = JoinGroupResponseMember::default()
            .with_member_id(text(id))
            .with_metadata(Bytes::from_static(&[0, 1, 0, 0, 0, 0]));
        if version >= 5 {
            member.group_instance_id = Some(text("instance-1"));
        }
        member
    };
    let mut answer = JoinGroupResponse::default()
        .with_error_code(JoinGroupError::MemberIdRequired.code())
        .with_generation_id(4)
        .with_protocol_name(Some(text("range")))
        .with_leader(text("billing-1"))
        .with_member_id(text("billing-1"))
        .with_members(vec![member("billing-1"), member("billing-2")]);
    if version >= 2 {
        answer.throttle_time_ms = 9;
    }
    if version >= 7 {
        answer.protocol_type = Some(text("consumer"));
    }
    if version >= 9 {
        answer.skip_assignment = true;
    }
    answer
}

pub(super) fn sync_group(version: i16) -> SyncGroupResponse {
    let mut answer = SyncGroupResponse::default()
        .with_error_code(SyncGroupError::RebalanceInProgress.code())
        .with_assignment(Bytes::from_static(&[0, 1, 0, 0, 0, 0]));
    if version >= 1 {
        answer.throttle_time_ms = 9;
    }
    if version >= 5 {
        answer.protocol_type = Some(text("consumer"));
        answer.protocol_name = Some(text("range"));
    }
    answer
}

pub(super) fn heartbeat(version: i16) -> HeartbeatResponse {
    let mut answer =
        HeartbeatResponse::default().with_error_code(HeartbeatError::IllegalGeneration.code());
    if version >= 1 {
        answer.throttle_time_ms = 9;
    }
    answer
}

pub(super) fn leave_group(version: i16) -> LeaveGroupResponse {
    let mut answer =
        LeaveGroupResponse::default().with_error_code(LeaveGroupError::NotCoordinator.code());
    if version >= 1 {
        answer.throttle_time_ms = 9;
    }
    if version >= 3 {
        let member = MemberResponse::default()
            .with_member_id(text("billing-1"))
            .with_group_instance_id(Some(text("instance-1")))
            .with_error_code(LeaveGroupMemberError::FencedInstanceId.code());
        answer.members = vec![member, MemberResponse::default()];
    }
    answer
}

pub(super) fn describe_groups(version: i16) -> DescribeGroupsResponse {
    let mut member = DescribedGroupMember::default()
        .with_member_id(text("billing-1"))
        .with_client_id(text("billing"))
        .with_client_host(text("/192.0.2.7"))
        .with_member_metadata(Bytes::from_static(&[0, 1]))
        .with_member_assignment(Bytes::from_static(&[0, 2]));
    if version >= 4 {
        member.group_instance_id = Some(text("instance-1"));
    }
    let mut described = DescribedGroup::default()
        .with_group_id(group("billing"))
        .with_group_state(text("Stable"))
        .with_protocol_type(text("consumer"))
        .with_protocol_data(text("range"))
        .with_members(vec![member.clone(), member]);
    let mut answer = DescribeGroupsResponse::default();
    if version >= 1 {
        answer.throttle_time_ms = 9;
    }
    if version >= 3 {
        described.authorized_operations = 0b1000;
    }
    if version >= 6 {
        described.error_message = Some(text("no such group"));
        described.error_code = crate::errors::DescribeGroupsError::GroupIdNotFound.code();
    }
    answer.with_groups(vec![described])
}

pub(super) fn list_groups(version: i16) -> ListGroupsResponse {
    let mut listed =
        ListedGroup::default().with_group_id(group("billing")).with_protocol_type(text("consumer"));
    if version >= 4 {
        listed.group_state = text("Stable");
    }
    if version >= 5 {
        listed.group_type = text("classic");
    }
    let mut answer = ListGroupsResponse::default()
        .with_error_code(ListGroupsError::CoordinatorLoadInProgress.code())
        .with_groups(vec![listed.clone(), listed]);
    if version >= 1 {
        answer.throttle_time_ms = 9;
    }
    answer
}

pub(super) fn delete_groups() -> DeleteGroupsResponse {
    let result = DeletableGroupResult::default()
        .with_group_id(group("billing"))
        .with_error_code(DeleteGroupsError::NonEmptyGroup.code());
    DeleteGroupsResponse::default().with_throttle_time_ms(9).with_results(vec![result])
}

pub(super) fn offset_delete() -> OffsetDeleteResponse {
    let partition = OffsetDeleteResponsePartition::default()
        .with_partition_index(5)
        .with_error_code(OffsetDeletePartitionError::GroupSubscribedToTopic.code());
    let topic = OffsetDeleteResponseTopic::default()
        .with_name(name("orders"))
        .with_partitions(vec![partition]);
    OffsetDeleteResponse::default()
        .with_error_code(OffsetDeleteError::GroupIdNotFound.code())
        .with_throttle_time_ms(9)
        .with_topics(vec![topic])
}
