//! SyncGroup: what version 5 demands and answers, and a code for every refusal.

use super::*;
use crate::double::{Bench, bench};
use bytes::Bytes;
use holdfast_lane::{Answer, Request, Synced};
use holdfast_protocol::errors::ErrorCode;
use kafka_protocol::messages::sync_group_request::SyncGroupRequestAssignment;

fn request() -> SyncGroupRequest {
    SyncGroupRequest::default()
        .with_group_id(kafka_protocol::messages::GroupId(StrBytes::from("readers")))
        .with_generation_id(4)
        .with_member_id(StrBytes::from("m-1"))
        .with_protocol_type(Some(StrBytes::from("consumer")))
        .with_protocol_name(Some(StrBytes::from("range")))
        .with_assignments(vec![
            SyncGroupRequestAssignment::default()
                .with_member_id(StrBytes::from("m-1"))
                .with_assignment(Bytes::from_static(b"all")),
        ])
}

async fn ask(bench: &Bench, request: SyncGroupRequest, version: i16) -> SyncGroupResponse {
    let synced = Synced {
        protocol_type: "consumer".to_owned(),
        protocol: Some("range".to_owned()),
        assignment: Bytes::from_static(b"all"),
    };
    bench.lane.answer(Answer::Group(GroupAnswer::Sync(Ok(synced))));
    handle(Arc::clone(&bench.broker), request, version).await
}

#[tokio::test]
async fn the_protocol_is_answered_from_version_5() {
    let bench = bench();
    for version in 0..=5 {
        let answer = ask(&bench, request(), version).await;
        assert_eq!((answer.error_code, &*answer.assignment), (0, &b"all"[..]));
        assert_eq!(answer.protocol_type.is_some(), version >= 5, "version {version}");
        assert_eq!(answer.protocol_name.is_some(), version >= 5, "version {version}");
        let seen = bench.lane.take_seen();
        let [Request::Group(GroupCall::Sync(sync))] = &seen[..] else { panic!("{seen:?}") };
        assert_eq!((sync.generation, &*sync.member_id), (4, "m-1"));
        assert_eq!(sync.assignments, [("m-1".to_owned(), Bytes::from_static(b"all"))]);
    }
}

#[tokio::test]
async fn from_version_5_the_member_must_name_what_was_chosen() {
    let bench = bench();
    for request in [request().with_protocol_type(None), request().with_protocol_name(None)] {
        let answer = handle(Arc::clone(&bench.broker), request, 5).await;
        assert_eq!(answer.error_code, 23);
    }
    assert!(bench.lane.take_seen().is_empty());
    let unnamed = request().with_protocol_type(None).with_protocol_name(None);
    assert_eq!(ask(&bench, unnamed, 4).await.error_code, 0);
}

#[test]
fn a_coordinator_that_loads_sends_the_member_back_to_join() {
    let cases = [
        (GroupError::LoadInProgress, 27),
        (GroupError::RebalanceInProgress, 27),
        (GroupError::NotCoordinator, 16),
        (GroupError::CoordinatorNotAvailable, 15),
        (GroupError::UnknownMember, 25),
        (GroupError::GroupIdNotFound, 25),
        (GroupError::IllegalGeneration, 22),
        (GroupError::InconsistentProtocol, 23),
        (GroupError::FencedInstance, 82),
    ];
    for (error, code) in cases {
        assert_eq!(error_of(&error).code(), code, "{error:?}");
    }
}
