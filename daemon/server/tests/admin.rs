//! What an operator reads of a running node: metrics, health, status.

mod common;

use common::{Node, Scratch, api_versions, metadata, produce, request};
use holdfast_batch::{BatchBuilder, Codec, RecordDraft};
use std::collections::BTreeMap;

/// Samples by name and labels; every line must be one, or a comment.
fn samples(page: &str) -> BTreeMap<String, f64> {
    let mut samples = BTreeMap::new();
    for line in page.lines().filter(|line| !line.starts_with('#')) {
        let (name, value) = line.rsplit_once(' ').unwrap_or_else(|| panic!("{line:?}"));
        let value: f64 = value.parse().unwrap_or_else(|_| panic!("{line:?}"));
        let bare = name.split('{').next().expect("a name");
        let legal = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        assert!(bare.bytes().all(legal), "{line:?}");
        assert!(samples.insert(name.to_owned(), value).is_none(), "{name} is there twice");
    }
    samples
}

#[test]
fn metrics_count_what_clients_did() {
    let scratch = Scratch::new();
    let node = Node::start(&scratch.0.join("data"));
    let mut client = node.connect();
    client.send(&metadata(1, "counted"));
    client.answer();
    let batch = BatchBuilder::new(Codec::None).record(RecordDraft::value(-1, "x"));
    let batch = batch.build().expect("an honest batch");
    for number in 0..3 {
        client.send(&produce(number, -1, "counted", batch.clone()));
        client.answer();
    }
    client.send(&produce(7, -1, "not there", batch));
    client.answer();
    // Heartbeat v0 of a group nobody knows: UNKNOWN_MEMBER_ID.
    client.send(&request(12, 0, 9, &[0, 1, b'g', 0, 0, 0, 1, 0, 1, b'm']));
    client.answer();
    // ListOffsets v1 and DeleteRecords v0 of a topic that is not there.
    let absent =
        |rest: &[u8]| [&[0, 0, 0, 1, 0, 2, b'n', b'o', 0, 0, 0, 1, 0, 0, 0, 0], rest].concat();
    client.send(&request(2, 1, 10, &[&[255; 4][..], &absent(&[255; 8])].concat()));
    client.answer();
    client.send(&request(
        21,
        0,
        11,
        &absent(&[255, 255, 255, 255, 255, 255, 255, 255, 0, 0, 9, 9]),
    ));
    client.answer();
    let (status, page) = node.get("/metrics");
    assert_eq!(status, 200);
    let samples = samples(&page);
    let value = |name: &str| *samples.get(name).unwrap_or_else(|| panic!("{name}\n{page}"));
    assert_eq!(value("holdfast_requests_total{api=\"Produce\"}"), 4.0);
    assert_eq!(value("holdfast_request_errors_total{api=\"Produce\",code=\"3\"}"), 1.0);
    assert_eq!(value("holdfast_request_duration_seconds_count{api=\"Produce\"}"), 4.0);
    assert_eq!(value("holdfast_request_duration_seconds_bucket{api=\"Produce\",le=\"+Inf\"}"), 4.0);
    assert!(value("holdfast_request_duration_seconds_sum{api=\"Produce\"}") > 0.0);
    assert_eq!(value("holdfast_request_errors_total{api=\"Heartbeat\",code=\"25\"}"), 1.0);
    assert_eq!(value("holdfast_request_errors_total{api=\"ListOffsets\",code=\"3\"}"), 1.0);
    assert_eq!(value("holdfast_request_errors_total{api=\"DeleteRecords\",code=\"3\"}"), 1.0);
    assert_eq!(value("holdfast_connections"), 1.0);
    assert_eq!((value("holdfast_topics"), value("holdfast_partitions")), (1.0, 1.0));
    assert_eq!((value("holdfast_ready"), value("holdfast_boots")), (1.0, 1.0));
    assert_eq!(value("holdfast_shards{role=\"serving\"}"), 17.0);
    assert!(value("holdfast_wal_written_bytes_total") > 0.0);
    assert!(value("holdfast_lane_status_age_seconds") < 2.0);
    assert!(
        value("holdfast_received_bytes_total") > 0.0 && value("holdfast_sent_bytes_total") > 0.0
    );
    for (name, value) in samples.iter().filter(|(name, _)| name.contains("_bucket")) {
        assert!(*value <= 4.0, "{name}");
    }
}

#[test]
fn a_serving_node_is_ready_and_a_stopping_one_is_not() {
    let scratch = Scratch::new();
    let node = Node::start_with(&scratch.0.join("data"), &["--set", "stop.drain=60s"]);
    assert_eq!(node.get("/readyz"), (200, "ok\n".to_owned()));
    assert_eq!(node.get("/healthz"), (200, "ok\n".to_owned()));
    assert_eq!(node.get("/nowhere").0, 404);
    let (status, json) = node.get("/status");
    assert_eq!(status, 200);
    let json: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!(
        (&json["node"], &json["ready"], &json["boots"]),
        (&1.into(), &true.into(), &1.into())
    );
    let shards = json["shards"].as_array().expect("a list");
    assert!(shards.iter().all(|shard| shard["leader_node"] == 1 && shard["role"] == "serving"));
    assert_eq!(shards.len(), 17);
    assert_eq!(json["wal"]["capacity_bytes"], 64 << 20);

    // A Fetch that waits for records keeps the stop waiting.
    let mut client = node.connect();
    client.send(&api_versions(1));
    client.answer();
    client.send(&metadata(2, "waited for"));
    client.answer();
    client.send(&long_fetch("waited for"));
    node.signal(nix::sys::signal::Signal::SIGTERM);
    node.wait_for_line("stopping");
    let (status, why) = node.get("/readyz");
    assert_eq!((status, why.as_str()), (503, "stopping\n"));
    assert_eq!(node.get("/healthz").0, 200, "it lives until it has answered");
    assert_eq!(client.answer().0, 3, "what was sent is answered");
    assert_eq!(node.wait(), Some(0));
}

/// Fetch v4 that waits 5 s for a record nobody writes.
fn long_fetch(topic: &str) -> bytes::Bytes {
    use bytes::BufMut;
    let mut body = bytes::BytesMut::new();
    body.put_i32(-1);
    body.put_i32(5_000);
    body.put_i32(1);
    body.put_i32(1 << 20);
    body.put_i8(0);
    body.put_i32(1);
    body.put_i16(i16::try_from(topic.len()).expect("small"));
    body.put_slice(topic.as_bytes());
    body.put_i32(1);
    body.put_i32(0);
    body.put_i64(0);
    body.put_i32(1 << 20);
    request(1, 4, 3, &body)
}
