//! What a client meets at the daemon's door: order, silence, and hostility that harms nobody else.

mod common;

use bytes::Bytes;
use common::{Client, Node, Scratch, api_versions, latest_offset, metadata, produce, request};
use holdfast_batch::{BatchBuilder, Codec, RecordDraft};

fn batch(count: i64) -> Bytes {
    let builder = (0..count).fold(BatchBuilder::new(Codec::None), |builder, number| {
        builder.record(RecordDraft::value(-1, format!("value {number}")))
    });
    builder.build().expect("an honest batch")
}

/// A node with a topic, and a connection to it.
fn node_with_topic(scratch: &Scratch, topic: &str) -> (Node, Client) {
    let node = Node::start(&scratch.0.join("data"));
    let mut client = node.connect();
    client.send(&metadata(1, topic));
    assert_eq!(client.answer().0, 1);
    (node, client)
}

fn is_served(node: &Node) {
    let mut client = node.connect();
    client.send(&api_versions(5));
    assert_eq!(client.answer().0, 5);
}

#[test]
fn answers_come_in_the_order_of_the_requests() {
    let scratch = Scratch::new();
    let (_node, mut client) = node_with_topic(&scratch, "orders");
    let mut all = Vec::new();
    for round in 0..40 {
        let (first, second) = (round * 2 + 10, round * 2 + 11);
        all.extend_from_slice(&produce(first, -1, "orders", batch(3)));
        let other = if round % 5 == 0 {
            api_versions(second)
        } else {
            produce(second, 1, "orders", batch(1))
        };
        all.extend_from_slice(&other);
    }
    client.send(&all);
    for expected in 10..90 {
        assert_eq!(client.answer().0, expected);
    }
    assert_eq!(latest_offset(&mut client, "orders"), 40 * 3 + 32);
}

#[test]
fn without_acks_nothing_is_sent_back_and_a_refusal_closes() {
    let scratch = Scratch::new();
    let (node, mut client) = node_with_topic(&scratch, "quiet");
    client.send(&produce(2, 0, "quiet", batch(4)));
    client.send(&api_versions(3));
    assert_eq!(client.answer().0, 3, "the first bytes are the next request's answer");
    assert_eq!(latest_offset(&mut client, "quiet"), 4);
    client.send(&produce(4, 0, "not there", batch(1)));
    assert!(client.is_closed());
    is_served(&node);
}

#[test]
fn what_was_sent_before_closing_is_done() {
    let scratch = Scratch::new();
    let (node, mut client) = node_with_topic(&scratch, "gone");
    let mut leaver = node.connect();
    for _ in 0..20 {
        leaver.send(&produce(2, 0, "gone", batch(1)));
    }
    leaver.stream.shutdown(std::net::Shutdown::Write).expect("half closed");
    assert!(leaver.is_closed(), "after everything was done");
    assert_eq!(latest_offset(&mut client, "gone"), 20);
}

#[test]
fn hostile_frames_close_their_connection_and_harm_nobody() {
    let scratch = Scratch::new();
    let (node, mut good) = node_with_topic(&scratch, "safe");
    let tls: &[u8] = &[0x16, 0x03, 0x01, 0x02, 0x00, 0x01, 0x00];
    let huge_array = request(3, 1, 1, &[0x7f, 0xff, 0xff, 0xff]);
    let mut wrong_crc = batch(2).to_vec();
    wrong_crc[65] ^= 1;
    let frames: Vec<(&str, Vec<u8>)> = vec![
        ("TLS", tls.to_vec()),
        ("HTTP", b"GET / HTTP/1.1\r\nHost: x\r\n\r\n".to_vec()),
        ("a negative length", (-5_i32).to_be_bytes().to_vec()),
        ("a length of zero", vec![0; 4]),
        ("a length of 2 GiB", i32::MAX.to_be_bytes().to_vec()),
        ("an array of 2^31", huge_array.to_vec()),
        ("an unknown API", request(99, 0, 1, &[]).to_vec()),
        ("Produce 2", request(0, 2, 1, &[0; 20]).to_vec()),
        ("a body that ends early", request(19, 2, 1, &[0, 0]).to_vec()),
        ("acks=0 and a wrong checksum", produce(1, 0, "safe", Bytes::from(wrong_crc)).to_vec()),
    ];
    for (name, bytes) in frames {
        let mut hostile = node.connect();
        hostile.send(&bytes);
        assert!(hostile.is_closed(), "{name}");
        good.send(&api_versions(6));
        assert_eq!(good.answer().0, 6, "after {name}");
    }
    assert_eq!(latest_offset(&mut good, "safe"), 0);
}

#[test]
fn half_open_frames_hold_only_what_they_sent() {
    let scratch = Scratch::new();
    let (node, mut good) = node_with_topic(&scratch, "crowd");
    let before = resident_bytes(&node);
    let mut half_open = Vec::new();
    for _ in 0..1_500 {
        let mut client = node.connect();
        client.send(&(99_i32 << 20).to_be_bytes());
        client.send(&[0; 500]);
        half_open.push(client);
    }
    good.send(&produce(7, -1, "crowd", batch(2)));
    assert_eq!(good.answer().0, 7);
    is_served(&node);
    let grown = resident_bytes(&node).saturating_sub(before);
    assert!(grown < 150 << 20, "1,500 connections of 500 bytes cost {grown} bytes");
}

fn resident_bytes(node: &Node) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", node.pid())).expect("Linux");
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("a number");
    line.split_whitespace().nth(1).and_then(|text| text.parse::<u64>().ok()).expect("kB") << 10
}
