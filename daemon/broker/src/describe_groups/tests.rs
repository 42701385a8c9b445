//! DescribeGroups: what a group nobody knows is in each version, and what is told of members.

use super::*;
use crate::double::{Bench, bench};
use bytes::Bytes;
use holdfast_lane::{Answer, MemberDescription};

fn stable() -> Description {
    Description {
        state: GroupState::Stable,
        protocol_type: "consumer".to_owned(),
        protocol: "range".to_owned(),
        members: vec![MemberDescription {
            member_id: "m-1".to_owned(),
            instance_id: Some("i-1".to_owned()),
            client_id: "client".to_owned(),
            client_host: "/192.0.2.1".to_owned(),
            metadata: Bytes::from_static(b"topics"),
            assignment: Bytes::from_static(b"all"),
        }],
    }
}

async fn ask(
    bench: &Bench,
    answer: Result<Description, GroupError>,
    version: i16,
) -> DescribedGroup {
    bench.lane.answer(Answer::Group(GroupAnswer::Describe(answer)));
    let request = DescribeGroupsRequest::default()
        .with_groups(vec![GroupId(StrBytes::from("readers"))])
        .with_include_authorized_operations(version == 5);
    handle(Arc::clone(&bench.broker), request, version).await.groups.remove(0)
}

#[tokio::test]
async fn an_unknown_group_is_dead_up_to_version_5_and_not_found_from_6() {
    let bench = bench();
    for version in 0..=6 {
        let group = ask(&bench, Err(GroupError::GroupIdNotFound), version).await;
        assert_eq!(&*group.group_id.0, "readers");
        assert_eq!(&*group.group_state, "Dead");
        let code = if version < 6 { 0 } else { 69 };
        assert_eq!(group.error_code, code, "version {version}");
        assert_eq!(group.error_message.is_some(), version >= 6, "version {version}");
    }
}

#[tokio::test]
async fn members_are_told_with_their_instance_from_version_4() {
    let bench = bench();
    for version in 0..=6 {
        let group = ask(&bench, Ok(stable()), version).await;
        assert_eq!((group.error_code, &*group.group_state), (0, "Stable"));
        assert_eq!((&*group.protocol_type, &*group.protocol_data), ("consumer", "range"));
        let member = &group.members[0];
        assert_eq!(&*member.client_host, "/192.0.2.1");
        assert_eq!(member.group_instance_id.is_some(), version >= 4, "version {version}");
        let operations = if version == 5 { 328 } else { i32::MIN };
        assert_eq!(group.authorized_operations, operations, "asked in version 5 only");
    }
}

#[tokio::test]
async fn groups_are_asked_for_together_and_fail_apart() {
    let bench = bench();
    bench.lane.answer(Answer::Group(GroupAnswer::Describe(Err(GroupError::NotCoordinator))));
    bench.lane.answer(Answer::Group(GroupAnswer::Describe(Ok(stable()))));
    bench.lane.answer(Answer::Group(GroupAnswer::Describe(Err(GroupError::LoadInProgress))));
    let groups = ["a", "b", "c"].map(|name| GroupId(StrBytes::from(name)));
    let request = DescribeGroupsRequest::default().with_groups(groups.to_vec());
    let answer = handle(Arc::clone(&bench.broker), request, 5).await;
    let told: Vec<_> =
        answer.groups.iter().map(|group| (&*group.group_id.0, group.error_code)).collect();
    assert_eq!(told, [("a", 16), ("b", 0), ("c", 14)]);
}
