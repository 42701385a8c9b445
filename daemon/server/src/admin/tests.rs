//! What a node says of itself before it serves, and whom the listener does not wait for.

use super::*;
use crate::boot::arguments::Arguments;
use crate::node::Phase;
use crate::settings;
use clap::Parser;
use http_body_util::BodyExt;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

fn node() -> Arc<Node> {
    let flags = ["holdfastd", "--dev", "--data-dir", "/tmp/x"];
    let arguments = Arguments::try_parse_from(flags).expect("parses");
    let loaded = settings::load_from(&arguments, &[]).expect("good");
    Arc::new(Node::new(&loaded.options))
}

async fn get(node: &Node, path: &str) -> (u16, String) {
    let answer = answer(node, &Method::GET, path).await;
    let status = answer.status().as_u16();
    let body = answer.into_body().collect().await.expect("a whole body").to_bytes();
    (status, String::from_utf8(body.to_vec()).expect("text"))
}

#[tokio::test]
async fn a_node_that_reads_its_log_lives_and_is_not_ready() {
    let node = node();
    node.set_phase(Phase::Starting("reading the write-ahead log"));
    assert_eq!(get(&node, "/healthz").await.0, 200);
    let (status, why) = get(&node, "/readyz").await;
    assert_eq!((status, why.as_str()), (503, "starting: reading the write-ahead log\n"));
    let (status, page) = get(&node, "/metrics").await;
    assert!(status == 200 && page.contains("\nholdfast_ready 0\n"), "{page}");
    let (_, json) = get(&node, "/status").await;
    assert!(json.contains("\"ready\": false"), "{json}");
}

#[tokio::test]
async fn a_node_whose_lane_is_silent_is_neither_ready_nor_healthy() {
    let node = node();
    node.set_phase(Phase::Serving);
    assert_eq!(get(&node, "/healthz").await.0, 503);
    assert_eq!(get(&node, "/readyz").await.0, 503);
}

#[tokio::test]
async fn only_reading_is_possible() {
    let node = node();
    let answer = answer(&node, &Method::POST, "/metrics").await;
    assert_eq!(answer.status(), StatusCode::METHOD_NOT_ALLOWED);
}

#[tokio::test]
async fn a_head_without_end_is_refused_and_others_are_served() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("bound");
    let serving = tokio::spawn(serve(listener, node()));
    let mut endless = TcpStream::connect(address).await.expect("connects");
    let line = format!("GET /healthz HTTP/1.1\r\nX: {}\r\n", "x".repeat(HEAD_BYTES_MAX));
    endless.write_all(line.as_bytes()).await.expect("sent");
    let mut answer = String::new();
    let _ = endless.read_to_string(&mut answer).await;
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 431"), "{answer}");
    let mut good = TcpStream::connect(address).await.expect("connects");
    let request = b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    good.write_all(request).await.expect("sent");
    let mut answer = String::new();
    good.read_to_string(&mut answer).await.expect("an answer");
    assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
    serving.abort();
}

#[tokio::test]
async fn a_store_that_fails_is_seen_on_every_page_and_one_that_is_not_there_on_none() {
    let without = node();
    let (_, json) = get(&without, "/status").await;
    assert!(json.contains("\"store\": null"), "{json}");
    let (_, page) = get(&without, "/metrics").await;
    assert!(page.contains("\nholdfast_store_last_success_age_seconds 0\n"), "{page}");

    let flags = ["holdfastd", "--dev", "--data-dir", "/tmp/x", "--store", "file:///srv/objects"];
    let arguments = Arguments::try_parse_from(flags).expect("parses");
    let node = Node::new(&settings::load_from(&arguments, &[]).expect("good").options);
    node.store.uploads.add(3);
    node.store.upload_failures.add(2);
    node.store.failed("the bucket is away".to_owned());
    let (_, json) = get(&node, "/status").await;
    assert!(json.contains("\"failing_because\": \"the bucket is away\""), "{json}");
    assert!(json.contains("file:///srv/objects"), "{json}");
    let (_, page) = get(&node, "/metrics").await;
    for line in [
        "holdfast_store_failing 1",
        "holdfast_store_uploads_total 3",
        "holdfast_store_failures_total{work=\"upload\"} 2",
    ] {
        assert!(page.contains(&format!("\n{line}\n")), "{line}: {page}");
    }
    node.store.succeeded(node.now());
    let (_, page) = get(&node, "/metrics").await;
    assert!(page.contains("\nholdfast_store_failing 0\n"), "{page}");
}
