//! Consumer groups over a real process that stands still for a while.

mod common;

use bytes::{Bytes, BytesMut};
use common::clock::pause;
use common::{Client, Node, Scratch, request};
use kafka_protocol::messages::join_group_request::JoinGroupRequestProtocol;
use kafka_protocol::messages::sync_group_request::SyncGroupRequestAssignment;
use kafka_protocol::messages::{
    GroupId, HeartbeatRequest, HeartbeatResponse, JoinGroupRequest, JoinGroupResponse,
    SyncGroupRequest, SyncGroupResponse,
};
use kafka_protocol::protocol::{Decodable, Encodable, StrBytes};
use nix::sys::signal::Signal;
use std::time::Duration;

const SESSION: Duration = Duration::from_secs(3);
/// Longer than a session, so that all sessions end while the node stands still.
const PAUSE: Duration = Duration::from_secs(6);

fn group() -> GroupId {
    GroupId(StrBytes::from_static_str("patient"))
}

fn framed(key: i16, version: i16, correlation_id: i32, message: &impl Encodable) -> Bytes {
    let mut body = BytesMut::new();
    message.encode(&mut body, version).expect("the version has all of it");
    request(key, version, correlation_id, &body)
}

fn answer<T: Decodable>(client: &mut Client, version: i16) -> T {
    let (_, body) = client.answer();
    T::decode(&mut Bytes::from(body), version).expect("an answer of this API")
}

/// A member of generation 1, alone in its group, with its assignment.
fn become_member(client: &mut Client) -> StrBytes {
    let protocol = JoinGroupRequestProtocol::default()
        .with_name(StrBytes::from_static_str("range"))
        .with_metadata(Bytes::from_static(&[0, 0, 0, 0, 0, 0, 255, 255, 255, 255]));
    let join = JoinGroupRequest::default()
        .with_group_id(group())
        .with_session_timeout_ms(i32::try_from(SESSION.as_millis()).expect("short"))
        .with_rebalance_timeout_ms(10_000)
        .with_protocol_type(StrBytes::from_static_str("consumer"))
        .with_protocols(vec![protocol]);
    client.send(&framed(11, 2, 1, &join));
    let joined: JoinGroupResponse = answer(client, 2);
    assert_eq!((joined.error_code, joined.generation_id), (0, 1));
    let assignment = SyncGroupRequestAssignment::default().with_member_id(joined.member_id.clone());
    let sync = SyncGroupRequest::default()
        .with_group_id(group())
        .with_generation_id(1)
        .with_member_id(joined.member_id.clone())
        .with_assignments(vec![assignment]);
    client.send(&framed(14, 1, 2, &sync));
    let synced: SyncGroupResponse = answer(client, 1);
    assert_eq!(synced.error_code, 0);
    joined.member_id
}

fn beat(client: &mut Client, member_id: &StrBytes) {
    let beat = HeartbeatRequest::default()
        .with_group_id(group())
        .with_generation_id(1)
        .with_member_id(member_id.clone());
    client.send(&framed(12, 1, 3, &beat));
}

fn beat_answer(client: &mut Client) -> i16 {
    let answer: HeartbeatResponse = answer(client, 1);
    answer.error_code
}

#[test]
fn members_that_sent_heartbeats_to_a_stopped_node_are_still_members_when_it_goes_on() {
    let scratch = Scratch::new();
    let flags = ["--set", "kafka.group.min.session.timeout.ms=500"];
    let node = Node::start_with(&scratch.0.join("data"), &flags);
    let mut client = node.connect();
    let member_id = become_member(&mut client);
    beat(&mut client, &member_id);
    assert_eq!(beat_answer(&mut client), 0);
    for _ in 0..2 {
        node.signal(Signal::SIGSTOP);
        pause(PAUSE / 2);
        beat(&mut client, &member_id);
        pause(PAUSE / 2);
        node.signal(Signal::SIGCONT);
        assert_eq!(beat_answer(&mut client), 0, "it was heard of before its session was judged");
        node.wait_for_line("the node stood still");
    }
    // Silence that the node did see ends the session.
    pause(SESSION + Duration::from_secs(2));
    beat(&mut client, &member_id);
    assert_eq!(beat_answer(&mut client), 25, "UNKNOWN_MEMBER_ID");
}
