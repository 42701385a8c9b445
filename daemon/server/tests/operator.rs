//! What an operator meets: starts that are refused in words, and an end that loses nothing.

mod common;

use bytes::Bytes;
use common::{Node, Scratch, latest_offset, metadata, produce, refused};
use holdfast_batch::{BatchBuilder, Codec, RecordDraft};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::path::Path;

fn refusal(data_dir: &Path, more: &[&str]) -> (Option<i32>, String) {
    let output = refused(data_dir, more);
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}

#[test]
fn a_taken_port_is_told_with_cause_and_remedy() {
    let scratch = Scratch::new();
    let node = Node::start(&scratch.0.join("one"));
    let address = node.address.to_string();
    let (status, text) = refusal(&scratch.0.join("two"), &["--listen", &address]);
    assert_eq!(status, Some(1), "{text}");
    assert!(text.contains("[HF-1007]") && text.contains("why:") && text.contains("try:"), "{text}");
}

#[test]
fn a_directory_in_use_is_told_and_left_alone() {
    let scratch = Scratch::new();
    let data = scratch.0.join("data");
    let node = Node::start(&data);
    let (status, text) = refusal(&data, &["--listen", "127.0.0.1:0"]);
    assert_eq!(status, Some(1), "{text}");
    assert!(text.contains("[HF-1004]"), "{text}");
    let mut client = node.connect();
    client.send(&metadata(3, "still here"));
    assert_eq!(client.answer().0, 3);
}

#[test]
fn a_foreign_directory_and_a_wildcard_are_refused() {
    let scratch = Scratch::new();
    std::fs::write(scratch.0.join("photo.jpg"), "").expect("written");
    let (status, text) = refusal(&scratch.0, &["--listen", "127.0.0.1:0"]);
    assert_eq!(status, Some(1), "{text}");
    assert!(text.contains("[HF-1003]") && text.contains("photo.jpg"), "{text}");
    let (status, text) = refusal(&scratch.0.join("x"), &["--listen", "0.0.0.0:0"]);
    assert_eq!(status, Some(2), "{text}");
    assert!(text.contains("[HF-1009]"), "{text}");
}

#[test]
fn a_stop_and_a_kill_keep_what_was_acknowledged_and_the_cluster_id() {
    let scratch = Scratch::new();
    let data = scratch.0.join("data");
    let batch: Bytes = BatchBuilder::new(Codec::None)
        .record(RecordDraft::value(-1, "kept"))
        .build()
        .expect("an honest batch");
    let mut identities = Vec::new();
    for round in 0..3_i64 {
        let node = Node::start(&data);
        let mut client = node.connect();
        client.send(&metadata(1, "kept"));
        client.answer();
        assert_eq!(latest_offset(&mut client, "kept"), round * 5);
        for number in 0..5 {
            client.send(&produce(number, -1, "kept", batch.clone()));
            assert_eq!(client.answer().0, number);
        }
        identities.push(std::fs::read(data.join("holdfast.identity")).expect("there"));
        if round == 1 {
            drop(node); // kill -9
            continue;
        }
        let pid = Pid::from_raw(i32::try_from(node.pid()).expect("a pid"));
        kill(pid, Signal::SIGTERM).expect("it runs");
        assert_eq!(node.wait(), Some(0), "a stop is a success");
    }
    assert!(identities.windows(2).all(|pair| pair[0] == pair[1]));
}
