//! Configuration of a real process: what wins, what is refused, what SIGHUP changes.

mod common;

use common::clock::pause;
use common::{Client, Node, Scratch, api_versions, latest_offset, metadata, produce, refused, run};
use holdfast_batch::{BatchBuilder, Codec, RecordDraft};
use nix::sys::signal::Signal;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

fn text(output: &std::process::Output) -> String {
    format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

fn config(scratch: &Scratch, text: &str) -> PathBuf {
    let path = scratch.0.join("holdfast.toml");
    fs::write(&path, text).expect("written");
    path
}

fn name(path: &Path) -> &str {
    path.to_str().expect("a name of ours")
}

#[test]
fn check_config_names_the_source_of_every_value() {
    let scratch = Scratch::new();
    let file = config(&scratch, "[wal]\nsize = \"1GiB\"\n[log]\nlevel = \"warn\"\n");
    fs::create_dir(scratch.0.join("conf.d")).expect("made");
    fs::write(scratch.0.join("conf.d/10.toml"), "[kafka]\nnum.partitions = 3").expect("written");
    let flags = ["--config", name(&file), "--check-config", "--set", "stop.drain=3s"];
    let output = run(&flags, &[("HOLDFAST_WAL_SIZE", "3GiB")]);
    let text = text(&output);
    assert_eq!(output.status.code(), Some(0), "{text}");
    let source = |start: &str| {
        let line = text.lines().find(|line| line.starts_with(start));
        line.and_then(|line| line.split_once("# ")).unwrap_or_else(|| panic!("{start}\n{text}")).1
    };
    assert_eq!(source("wal.size = \"3GiB\""), "environment HOLDFAST_WAL_SIZE");
    assert_eq!(source("stop.drain = \"3s\""), "flag --set");
    assert!(source("log.level = \"warn\"").ends_with("holdfast.toml:4"));
    assert!(source("kafka.\"num.partitions\" = \"3\"").ends_with("conf.d/10.toml:2"));
    assert_eq!(source("memory.tail_cache = \"256MiB\""), "default");
}

#[test]
fn a_misspelt_key_is_refused_with_its_line_and_what_was_meant() {
    let scratch = Scratch::new();
    let file = config(&scratch, "dev = true\n[memory]\ntail_cach = \"1GiB\"\n");
    for more in [&["--check-config"][..], &[]] {
        let output = refused(&scratch.0.join("data"), &[&["--config", name(&file)], more].concat());
        let text = text(&output);
        assert_eq!(output.status.code(), Some(2), "{text}");
        assert!(text.contains("[HF-1014]") && text.contains("holdfast.toml:3"), "{text}");
        assert!(text.contains("did you mean memory.tail_cache?"), "{text}");
    }
    assert!(!scratch.0.join("data").exists(), "nothing was touched");
}

#[test]
fn metrics_for_everybody_need_a_word() {
    let scratch = Scratch::new();
    let data = scratch.0.join("data");
    let remote = ["--set", "admin.address=0.0.0.0:0"];
    let output = refused(&data, &remote);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output).contains("[HF-1016]"), "{}", text(&output));
    let allowed = [&remote[..], &["--set", "admin.allow_remote=true"]].concat();
    assert_eq!(Node::start_with(&data, &allowed).admin.ip().to_string(), "0.0.0.0");
    let node = Node::start(&scratch.0.join("other"));
    let taken = format!("admin.address={}", node.admin);
    let output = refused(&data, &["--listen", "127.0.0.1:0", "--set", &taken]);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output).contains("[HF-1016]"), "{}", text(&output));
}

#[test]
fn a_reload_applies_what_it_can_and_a_wrong_one_changes_nothing() {
    let scratch = Scratch::new();
    let file = config(&scratch, "[log]\nlevel = \"info\"\n");
    let node = Node::start_with(&scratch.0.join("data"), &["--config", name(&file)]);
    let value = |name: &str| {
        let (_, page) = node.get("/metrics");
        let line = page.lines().find(|line| line.starts_with(&format!("{name} ")));
        line.and_then(|line| line.split(' ').nth(1)).map(str::to_owned).expect("it is there")
    };
    let unset = value("holdfast_connections_max");
    assert_ne!(unset, "7");

    config(&scratch, "[kafka]\nmax.connections = 7\nmax.conections.per.ip = 2\n");
    node.signal(Signal::SIGHUP);
    let line = node.wait_for_line("nothing was changed");
    assert!(line.contains("HF-1014") && line.contains("max.connections.per.ip"), "{line}");
    assert_eq!(value("holdfast_connections_max"), unset);

    let good = "[memory]\ntail_cache = \"100MiB\"\n[kafka]\n\"max.connections\" = 7\n\
                \"max.connections.per.ip\" = 2\n";
    config(&scratch, good);
    node.signal(Signal::SIGHUP);
    let line = node.wait_for_line("applied:");
    assert!(line.contains("kafka.max.connections, kafka.max.connections.per.ip"), "{line}");
    let line = node.wait_for_line("waiting for a restart");
    assert!(line.contains("memory.tail_cache"), "{line}");
    assert_eq!(value("holdfast_connections_max"), "7");
    assert_eq!(value("holdfast_config_reloads_total{result=\"refused\"}"), "1");
    assert_eq!(value("holdfast_config_reloads_total{result=\"applied\"}"), "1");
    assert_eq!(value("holdfast_tail_cache_max_bytes"), (64 << 20).to_string());

    // The new limit holds for the next client.
    let mut two: Vec<_> = (0..2).map(|_| node.connect()).collect();
    for client in &mut two {
        client.send(&api_versions(1));
        assert_eq!(client.answer().0, 1);
    }
    assert!(node.connect().is_closed(), "a third of one address");
    node.wait_for_line("max.connections.per.ip");
    assert_eq!(value("holdfast_connections_refused_per_ip_total"), "1");
}

/// Answers of Produce v7 for one partition: error and base offset.
fn produced(client: &mut Client, sequence: i32) -> i16 {
    let mut batch =
        BatchBuilder::new(Codec::None).record(RecordDraft::value(-1, format!("record {sequence}")));
    (batch.producer_id, batch.producer_epoch, batch.base_sequence) = (4_000, 0, sequence);
    client.send(&produce(1, -1, "once", batch.build().expect("an honest batch")));
    let (_, answer) = client.answer();
    // Topics, its name, partitions, the index; then the error.
    let at = 4 + 2 + "once".len() + 4 + 4;
    i16::from_be_bytes([answer[at], answer[at + 1]])
}

#[test]
fn an_expiry_set_in_the_file_holds_in_the_log_after_a_reload_and_a_group_limit_waits() {
    let scratch = Scratch::new();
    let file = config(&scratch, "");
    let (data, flags) = (scratch.0.join("data"), ["--config", name(&file)]);
    let node = Node::start_with(&data, &flags);
    let mut client = node.connect();
    client.send(&metadata(1, "once"));
    client.answer();
    assert_eq!(produced(&mut client, 0), 0);
    node.signal(Signal::SIGTERM);
    assert_eq!(node.wait(), Some(0));

    // The producer is older than this run; only its expiry, a day, keeps it.
    let node = Node::start_with(&data, &flags);
    let mut client = node.connect();
    pause(EXPIRY_ROUND);
    assert_eq!(produced(&mut client, 7), 45, "OUT_OF_ORDER_SEQUENCE_NUMBER: it is remembered");
    config(&scratch, "[kafka]\n\"producer.id.expiration.ms\" = 1\n\"group.max.size\" = 3\n");
    node.signal(Signal::SIGHUP);
    let line = node.wait_for_line("applied:");
    assert!(line.ends_with("applied: kafka.producer.id.expiration.ms"), "{line}");
    let line = node.wait_for_line("waiting for a restart");
    assert!(line.ends_with("kafka.group.max.size"), "{line}");
    let forgotten = (0..12).any(|_| {
        pause(EXPIRY_ROUND / 5);
        produced(&mut client, 7) == 0
    });
    assert!(forgotten, "its sequence begins anew");
}

/// The lane looks for what has expired every five seconds.
const EXPIRY_ROUND: Duration = Duration::from_secs(6);

#[test]
fn who_comes_when_all_connections_are_taken_waits_and_is_served() {
    let scratch = Scratch::new();
    let node = Node::start_with(&scratch.0.join("data"), &["--set", "kafka.max.connections=2"]);
    let mut clients: Vec<_> = (0..2).map(|_| node.connect()).collect();
    for client in &mut clients {
        client.send(&api_versions(1));
        client.answer();
    }
    let mut waiting = node.connect();
    waiting.send(&api_versions(2));
    node.wait_for_line("max.connections is reached");
    drop(clients.pop());
    assert_eq!(waiting.answer().0, 2, "a place came free");
}

#[test]
fn an_idle_connection_is_closed_after_the_configured_time() {
    let scratch = Scratch::new();
    let flags = ["--set", "kafka.connections.max.idle.ms=300"];
    let node = Node::start_with(&scratch.0.join("data"), &flags);
    let mut client = node.connect();
    client.send(&api_versions(1));
    assert_eq!(client.answer().0, 1);
    assert!(client.is_closed());
}

#[test]
fn connections_leave_the_descriptors_that_the_log_needs_to_grow() {
    let scratch = Scratch::new();
    let node = Node::start(&scratch.0.join("data"));
    // 64 kept, 16 files of the log, and some for 40 connections.
    limit_descriptors(&node, 120);
    let mut crowd: Vec<_> = (0..100).map(|_| node.connect()).collect();
    node.wait_for_line("max.connections is reached");
    let (_, page) = node.get("/metrics");
    assert!(page.contains("\nholdfast_connections 40\n"), "{page}");
    // 24 MB go through files of 4 MiB: each new one wants a descriptor.
    let filling = "x".repeat(1_000_000);
    let batch = BatchBuilder::new(Codec::None).record(RecordDraft::value(-1, filling));
    let batch = batch.build().expect("an honest batch");
    let client = &mut crowd[0];
    client.send(&metadata(1, "grows"));
    client.answer();
    for number in 2..26 {
        client.send(&produce(number, -1, "grows", batch.clone()));
        assert_eq!(client.answer().0, number);
    }
    assert_eq!(latest_offset(client, "grows"), 24, "all are in the log");
}

#[test]
fn descriptors_used_up_are_survived() {
    let scratch = Scratch::new();
    let node = Node::start(&scratch.0.join("data"));
    let mut good = node.connect();
    good.send(&api_versions(1));
    good.answer();
    let in_use = fs::read_dir(format!("/proc/{}/fd", node.pid())).expect("Linux").count();
    limit_descriptors(&node, in_use + 5);
    let crowd: Vec<_> = (0..20).map(|_| node.connect()).collect();
    node.wait_for_line("connections cannot be taken");
    good.send(&api_versions(2));
    assert_eq!(good.answer().0, 2, "others are served");
    drop(crowd);
    let mut late = node.connect();
    late.send(&api_versions(3));
    assert_eq!(late.answer().0, 3, "and new ones again");
}

fn limit_descriptors(node: &Node, limit: usize) {
    let status = std::process::Command::new("prlimit")
        .args([&format!("--pid={}", node.pid()), &format!("--nofile={limit}:{limit}")])
        .status();
    assert!(status.expect("util-linux is there").success());
}
