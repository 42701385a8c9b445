//! Requests about groups and their offsets.

use bytes::Bytes;
use kafka_protocol::messages::join_group_request::JoinGroupRequestProtocol;
use kafka_protocol::messages::leave_group_request::MemberIdentity;
use kafka_protocol::messages::offset_commit_request::{
    OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use kafka_protocol::messages::offset_delete_request::{
    OffsetDeleteRequestPartition, OffsetDeleteRequestTopic,
};
use kafka_protocol::messages::offset_fetch_request::{
    OffsetFetchRequestGroup, OffsetFetchRequestTopic, OffsetFetchRequestTopics,
};
use kafka_protocol::messages::sync_group_request::SyncGroupRequestAssignment;
use kafka_protocol::messages::{
    DeleteGroupsRequest, DescribeGroupsRequest, FindCoordinatorRequest, GroupId, HeartbeatRequest,
    JoinGroupRequest, LeaveGroupRequest, ListGroupsRequest, OffsetCommitRequest,
    OffsetDeleteRequest, OffsetFetchRequest, SyncGroupRequest,
};

use super::{name, text, unknown_tag};

fn group(name: &'static str) -> GroupId {
    GroupId(text(name))
}

pub(super) fn offset_commit(version: i16) -> OffsetCommitRequest {
    let partition = |index, metadata| {
        let mut partition = OffsetCommitRequestPartition::default()
            .with_partition_index(index)
            .with_committed_offset(50)
            .with_committed_metadata(metadata);
        if version >= 6 {
            partition.committed_leader_epoch = 3;
        }
        partition
    };
    let partitions = vec![partition(0, Some(text("host-1"))), partition(1, None)];
    let topic =
        OffsetCommitRequestTopic::default().with_name(name("orders")).with_partitions(partitions);
    let mut request = OffsetCommitRequest::default()
        .with_group_id(group("billing"))
        .with_generation_id_or_member_epoch(4)
        .with_member_id(text("billing-1"))
        .with_topics(vec![topic.clone(), topic]);
    if version <= 4 {
        request.retention_time_ms = 60_000;
    }
    if version >= 7 {
        request.group_instance_id = Some(text("instance-1"));
    }
    if version >= 8 {
        request.unknown_tagged_fields = unknown_tag();
    }
    request
}

pub(super) fn offset_fetch(version: i16) -> OffsetFetchRequest {
    let mut request = OffsetFetchRequest::default();
    if version >= 7 {
        request.require_stable = true;
    }
    if version <= 7 {
        let topic = OffsetFetchRequestTopic::default()
            .with_name(name("orders"))
            .with_partition_indexes(vec![0, 1, 5]);
        return request.with_group_id(group("billing")).with_topics(Some(vec![topic]));
    }
    let topic = OffsetFetchRequestTopics::default()
        .with_name(name("orders"))
        .with_partition_indexes(vec![0, 1, 5]);
    let mut some = OffsetFetchRequestGroup::default()
        .with_group_id(group("billing"))
        .with_topics(Some(vec![topic]));
    if version >= 9 {
        some.member_id = Some(text("billing-1"));
        some.member_epoch = 4;
    }
    let all = OffsetFetchRequestGroup::default().with_group_id(group("shipping")).with_topics(None);
    request.with_groups(vec![some, all])
}

pub(super) fn find_coordinator(version: i16) -> FindCoordinatorRequest {
    let mut request = FindCoordinatorRequest::default();
    if version >= 1 {
        request.key_type = 1;
    }
    if version <= 3 {
        return request.with_key(text("billing"));
    }
    request.with_coordinator_keys(vec![text("billing"), text("shipping")])
}

pub(super) fn join_group(version: i16) -> JoinGroupRequest {
    let protocol = |name| {
        JoinGroupRequestProtocol::default()
            .with_name(text(name))
            .with_metadata(Bytes::from_static(&[0, 1, 0, 0, 0, 0]))
    };
    let mut request = JoinGroupRequest::default()
        .with_group_id(group("billing"))
        .with_session_timeout_ms(45_000)
        .with_member_id(text("billing-1"))
        .with_protocol_type(text("consumer"))
        .with_protocols(vec![protocol("range"), protocol("cooperative-sticky")]);
    if version >= 1 {
        request.rebalance_timeout_ms = 300_000;
    }
    if version >= 5 {
        request.group_instance_id = Some(text("instance-1"));
    }
    if version >= 6 {
        request.protocols[1].unknown_tagged_fields = unknown_tag();
    }
    if version >= 8 {
        request.reason = Some(text("a new member"));
    }
    request
}

pub(super) fn sync_group(version: i16) -> SyncGroupRequest {
    let assignment = |member| {
        SyncGroupRequestAssignment::default()
            .with_member_id(text(member))
            .with_assignment(Bytes::from_static(&[0, 1, 0, 0, 0, 0]))
    };
    let mut request = SyncGroupRequest::default()
        .with_group_id(group("billing"))
        .with_generation_id(4)
        .with_member_id(text("billing-1"))
        .with_assignments(vec![assignment("billing-1"), assignment("billing-2")]);
    if version >= 3 {
        request.group_instance_id = Some(text("instance-1"));
    }
    if version >= 5 {
        request.protocol_type = Some(text("consumer"));
        request.protocol_name = Some(text("range"));
    }
    request
}

pub(super) fn heartbeat(version: i16) -> HeartbeatRequest {
    let mut request = HeartbeatRequest::default()
        .with_group_id(group("billing"))
        .with_generation_id(4)
        .with_member_id(text("billing-1"));
    if version >= 3 {
        request.group_instance_id = Some(text("instance-1"));
    }
    request
}

pub(super) fn leave_group(version: i16) -> LeaveGroupRequest {
    let request = LeaveGroupRequest::default().with_group_id(group("billing"));
    if version <= 2 {
        return request.with_member_id(text("billing-1"));
    }
    let mut fixed = MemberIdentity::default().with_group_instance_id(Some(text("instance-1")));
    if version >= 5 {
        fixed.reason = Some(text("an operator"));
    }
    let other = MemberIdentity::default().with_member_id(text("billing-2"));
    request.with_members(vec![fixed, other])
}

pub(super) fn describe_groups(version: i16) -> DescribeGroupsRequest {
    let mut request =
        DescribeGroupsRequest::default().with_groups(vec![group("billing"), group("shipping")]);
    if version >= 3 {
        request.include_authorized_operations = true;
    }
    request
}

pub(super) fn list_groups(version: i16) -> ListGroupsRequest {
    let mut request = ListGroupsRequest::default();
    if version >= 4 {
        request.states_filter = vec![text("Stable"), text("Empty")];
    }
    if version >= 5 {
        request.types_filter = vec![text("classic")];
    }
    request
}

pub(super) fn delete_groups() -> DeleteGroupsRequest {
    DeleteGroupsRequest::default().with_groups_names(vec![group("billing"), group("shipping")])
}

pub(super) fn offset_delete() -> OffsetDeleteRequest {
    let partition = |index| OffsetDeleteRequestPartition::default().with_partition_index(index);
    let topic = OffsetDeleteRequestTopic::default()
        .with_name(name("orders"))
        .with_partitions(vec![partition(0), partition(5)]);
    OffsetDeleteRequest::default()
        .with_group_id(group("billing"))
        .with_topics(vec![topic.clone(), topic])
}
