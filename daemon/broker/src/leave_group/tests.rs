//! LeaveGroup: one member up to version 2, several from 3.

use super::*;
use crate::double::{Bench, bench};
use holdfast_lane::{Answer, Request};
use kafka_protocol::messages::leave_group_request::MemberIdentity;
use kafka_protocol::protocol::StrBytes;

async fn ask(
    bench: &Bench,
    answer: Result<Vec<Result<(), GroupError>>, GroupError>,
    version: i16,
) -> (Vec<LeavingMember>, LeaveGroupResponse) {
    bench.lane.answer(Answer::Group(GroupAnswer::Leave(answer)));
    let by_instance = MemberIdentity::default().with_group_instance_id(Some(StrBytes::from("i-2")));
    let by_id = MemberIdentity::default().with_member_id(StrBytes::from("m-1"));
    let request = LeaveGroupRequest::default()
        .with_member_id(StrBytes::from("m-1"))
        .with_members(vec![by_id, by_instance]);
    let response = handle(Arc::clone(&bench.broker), request, version).await;
    match bench.lane.take_seen().remove(0) {
        Request::Group(GroupCall::Leave(leave)) => (leave.members, response),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn up_to_version_2_the_members_error_is_the_answers() {
    let bench = bench();
    for version in 0..=2 {
        let (asked, answer) = ask(&bench, Ok(vec![Err(GroupError::UnknownMember)]), version).await;
        assert_eq!(asked.len(), 1);
        assert_eq!(asked[0].member_id, "m-1");
        assert_eq!((answer.error_code, answer.members.len()), (25, 0));
        assert_eq!(ask(&bench, Ok(vec![Ok(())]), version).await.1.error_code, 0);
    }
}

#[tokio::test]
async fn from_version_3_each_member_has_its_own_answer() {
    let bench = bench();
    for version in 3..=5 {
        let outcomes = vec![Ok(()), Err(GroupError::FencedInstance)];
        let (asked, answer) = ask(&bench, Ok(outcomes), version).await;
        assert_eq!(asked[1].instance_id.as_deref(), Some("i-2"));
        let codes: Vec<i16> = answer.members.iter().map(|member| member.error_code).collect();
        assert_eq!((answer.error_code, codes), (0, vec![0, 82]));
        assert_eq!(answer.members[1].group_instance_id.as_deref(), Some("i-2"));
        let (_, answer) = ask(&bench, Err(GroupError::NotCoordinator), version).await;
        assert_eq!((answer.error_code, answer.members.len()), (16, 0));
    }
}
