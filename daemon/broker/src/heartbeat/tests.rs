//! Heartbeat: passed on as it is, and a code for every refusal.

use super::*;
use crate::double::bench;
use holdfast_lane::{Answer, Request};
use kafka_protocol::messages::GroupId;
use kafka_protocol::protocol::StrBytes;

#[tokio::test]
async fn every_refusal_has_its_code_and_loading_is_none() {
    let bench = bench();
    let cases = [
        (Ok(()), 0),
        (Err(GroupError::LoadInProgress), 0),
        (Err(GroupError::NotCoordinator), 16),
        (Err(GroupError::CoordinatorNotAvailable), 15),
        (Err(GroupError::UnknownMember), 25),
        (Err(GroupError::GroupIdNotFound), 25),
        (Err(GroupError::InvalidGroup), 25),
        (Err(GroupError::IllegalGeneration), 22),
        (Err(GroupError::RebalanceInProgress), 27),
        (Err(GroupError::FencedInstance), 82),
    ];
    for (answer, code) in cases {
        bench.lane.answer(Answer::Group(GroupAnswer::Heartbeat(answer.clone())));
        let request = HeartbeatRequest::default()
            .with_group_id(GroupId(StrBytes::from("readers")))
            .with_member_id(StrBytes::from("m-1"))
            .with_group_instance_id(Some(StrBytes::from("i-1")))
            .with_generation_id(4);
        let response = handle(Arc::clone(&bench.broker), request).await;
        assert_eq!(response.error_code, code, "{answer:?}");
        let seen = bench.lane.take_seen();
        let [Request::Group(GroupCall::Heartbeat(heartbeat))] = &seen[..] else {
            panic!("{seen:?}")
        };
        assert_eq!((&*heartbeat.group, &*heartbeat.member_id), ("readers", "m-1"));
        assert_eq!((heartbeat.instance_id.as_deref(), heartbeat.generation), (Some("i-1"), 4));
    }
}
