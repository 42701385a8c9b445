//! JoinGroup: what each version adds, and a code for every refusal.

use super::*;
use crate::double::{Bench, bench};
use bytes::Bytes;
use holdfast_lane::{Answer, JoinedMember, Request};
use holdfast_protocol::errors::ErrorCode;
use kafka_protocol::messages::GroupId;
use kafka_protocol::messages::join_group_request::JoinGroupRequestProtocol;

fn request() -> JoinGroupRequest {
    JoinGroupRequest::default()
        .with_group_id(GroupId(StrBytes::from("readers")))
        .with_member_id(StrBytes::from("m-1"))
        .with_group_instance_id(Some(StrBytes::from("i-1")))
        .with_protocol_type(StrBytes::from("consumer"))
        .with_session_timeout_ms(10_000)
        .with_rebalance_timeout_ms(60_000)
        .with_protocols(vec![
            JoinGroupRequestProtocol::default()
                .with_name(StrBytes::from("range"))
                .with_metadata(Bytes::from_static(b"topics")),
        ])
}

fn joined() -> Joined {
    let member = JoinedMember {
        member_id: "m-1".to_owned(),
        instance_id: Some("i-1".to_owned()),
        metadata: Bytes::from_static(b"topics"),
    };
    Joined {
        generation: 4,
        protocol_type: "consumer".to_owned(),
        protocol: Some("range".to_owned()),
        leader: "m-1".to_owned(),
        skip_assignment: true,
        member_id: "m-1".to_owned(),
        members: vec![member],
    }
}

async fn ask(
    bench: &Bench,
    answer: Result<Joined, GroupError>,
    version: i16,
) -> (Join, JoinGroupResponse) {
    bench.lane.answer(Answer::Group(GroupAnswer::Join(answer)));
    let (broker, context) = (Arc::clone(&bench.broker), Arc::clone(&bench.context));
    let answer = handle(broker, context, "client".to_owned(), request(), version).await;
    match bench.lane.take_seen().remove(0) {
        Request::Group(GroupCall::Join(join)) => (join, answer),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn each_version_asks_and_answers_as_it_may() {
    let bench = bench();
    for version in 0..=9 {
        let (join, answer) = ask(&bench, Ok(joined()), version).await;
        assert_eq!(join.group, "readers");
        assert_eq!(join.protocols, [("range".to_owned(), Bytes::from_static(b"topics"))]);
        assert_eq!((&*join.client_id, &*join.client_host), ("client", "/192.0.2.1"));
        let timeout = if version == 0 { 10_000 } else { 60_000 };
        assert_eq!(join.rebalance_timeout_ms, timeout, "version {version}");
        assert_eq!(join.requires_known_member, version >= 4, "version {version}");
        assert_eq!(join.can_skip_assignment, version >= 9, "version {version}");
        assert_eq!((answer.error_code, answer.generation_id), (0, 4));
        assert_eq!(answer.protocol_name.as_deref(), Some("range"));
        assert_eq!(answer.protocol_type.is_some(), version >= 7, "version {version}");
        assert_eq!(answer.skip_assignment, version >= 9, "version {version}");
        let instance = &answer.members[0].group_instance_id;
        assert_eq!(instance.is_some(), version >= 5, "version {version}");
    }
}

#[tokio::test]
async fn a_member_is_told_its_id_when_it_must_come_back_with_it() {
    let bench = bench();
    let required = GroupError::MemberIdRequired("given".to_owned());
    let (_, answer) = ask(&bench, Err(required), 4).await;
    assert_eq!((answer.error_code, &*answer.member_id), (79, "given"));
    assert_eq!((answer.generation_id, answer.protocol_name.as_deref()), (-1, Some("")));
    let (_, answer) = ask(&bench, Err(GroupError::GroupFull), 7).await;
    assert_eq!((answer.error_code, &*answer.member_id), (81, "m-1"));
    assert_eq!((answer.protocol_name, answer.protocol_type), (None, None));
}

#[test]
fn every_refusal_of_a_coordinator_has_its_code() {
    let cases = [
        (GroupError::NotCoordinator, 16),
        (GroupError::LoadInProgress, 14),
        (GroupError::CoordinatorNotAvailable, 15),
        (GroupError::UnknownMember, 25),
        (GroupError::RebalanceInProgress, 27),
        (GroupError::InconsistentProtocol, 23),
        (GroupError::InvalidSessionTimeout, 26),
        (GroupError::FencedInstance, 82),
        (GroupError::GroupFull, 81),
        (GroupError::InvalidGroup, 24),
    ];
    for (error, code) in cases {
        assert_eq!(error_of(&error).code(), code, "{error:?}");
    }
}

#[tokio::test]
async fn a_lane_that_ends_is_a_coordinator_that_is_not_there() {
    let bench = bench();
    let (broker, context) = (Arc::clone(&bench.broker), Arc::clone(&bench.context));
    let asked = tokio::spawn(handle(broker, context, String::new(), request(), 9));
    while bench.lane.take_seen().is_empty() {
        tokio::task::yield_now().await;
    }
    bench.lane.end();
    assert_eq!(asked.await.expect("no panic").error_code, 15);
}
