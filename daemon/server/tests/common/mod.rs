//! A `holdfastd` of the test's own, and a client that speaks raw frames.

#![allow(dead_code, reason = "every test program uses its part")]

pub(crate) mod clock;

use bytes::{BufMut, Bytes, BytesMut};
use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use kafka_protocol::messages::{ProduceRequest, TopicName};
use kafka_protocol::protocol::{Encodable, StrBytes};
use std::fs;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

/// Long enough for a loaded machine; a test that passes never waits for it.
const PATIENCE: Duration = Duration::from_secs(60);

/// A directory of one test, removed at its end.
pub(crate) struct Scratch(pub(crate) PathBuf);

impl Scratch {
    pub(crate) fn new() -> Scratch {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("holdfastd-test-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        fs::create_dir(&path).expect("a fresh name");
        Scratch(path)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn command(data_dir: &Path, more: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_holdfastd"));
    command.arg("--dev").arg("--data-dir").arg(data_dir).args(["--wal-size", "64MiB"]);
    command.args(["--set", "admin.address=127.0.0.1:0"]).args(more);
    command.env_remove("NOTIFY_SOCKET").env_remove("JOURNAL_STREAM");
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    command
}

/// Runs a daemon that is expected to refuse.
pub(crate) fn refused(data_dir: &Path, more: &[&str]) -> Output {
    command(data_dir, more).output().expect("it runs")
}

/// Runs the daemon to its end, without arguments of the test's own.
pub(crate) fn run(arguments: &[&str], environment: &[(&str, &str)]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_holdfastd"));
    command.args(arguments).envs(environment.iter().copied()).stdin(Stdio::null());
    command.env_remove("JOURNAL_STREAM").output().expect("it runs")
}

/// A running daemon, killed at the end of the test.
pub(crate) struct Node {
    child: Child,
    pub(crate) address: SocketAddr,
    /// Of metrics and health.
    pub(crate) admin: SocketAddr,
    lines: Receiver<String>,
}

impl Node {
    pub(crate) fn start(data_dir: &Path) -> Node {
        Node::start_with(data_dir, &[])
    }

    pub(crate) fn start_with(data_dir: &Path, more: &[&str]) -> Node {
        Node::start_in(data_dir, more, &[])
    }

    /// As [`Node::start_with`], with variables of the environment.
    pub(crate) fn start_in(data_dir: &Path, more: &[&str], environment: &[(&str, &str)]) -> Node {
        let arguments = [&["--listen", "127.0.0.1:0"], more].concat();
        let mut command = command(data_dir, &arguments);
        let mut child = command.envs(environment.iter().copied()).spawn().expect("it runs");
        let stderr = BufReader::new(child.stderr.take().expect("piped"));
        let (line_out, lines) = channel();
        // Somebody must read on, or the daemon blocks on a full pipe.
        std::thread::spawn(move || {
            for line in stderr.lines().map_while(Result::ok) {
                drop(line_out.send(line));
            }
        });
        let address = |line: &str, after: &str, end: char| {
            let (_, rest) = line.split_once(after).expect("it was looked for");
            rest.split(end).next().and_then(|text| text.parse().ok()).expect("an address")
        };
        let line = wait_for(&lines, "http://");
        let admin = address(&line, "http://", '/');
        let line = wait_for(&lines, "serving on ");
        let address = address(&line, "serving on ", ' ');
        Node { child, address, admin, lines }
    }

    /// The next line of its log that holds `text`.
    pub(crate) fn wait_for_line(&self, text: &str) -> String {
        wait_for(&self.lines, text)
    }

    pub(crate) fn signal(&self, signal: nix::sys::signal::Signal) {
        let pid = nix::unistd::Pid::from_raw(i32::try_from(self.pid()).expect("a pid"));
        nix::sys::signal::kill(pid, signal).expect("it runs");
    }

    /// Status and body of an admin page.
    pub(crate) fn get(&self, path: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(self.admin).expect("it listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("a socket");
        let request = format!("GET {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).expect("sent");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("text");
        let (head, body) = answer.split_once("\r\n\r\n").expect("a head and a body");
        let status = head.split(' ').nth(1).and_then(|text| text.parse().ok());
        (status.expect("a status"), body.to_owned())
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn wait(mut self) -> Option<i32> {
        self.child.wait().expect("it ends").code()
    }

    pub(crate) fn connect(&self) -> Client {
        let stream = TcpStream::connect(self.address).expect("it listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("a socket");
        stream.set_nodelay(true).expect("a socket");
        Client { stream }
    }
}

fn wait_for(lines: &Receiver<String>, text: &str) -> String {
    let mut seen = Vec::new();
    loop {
        match lines.recv_timeout(PATIENCE) {
            Ok(line) if line.contains(text) => return line,
            Ok(line) => seen.push(line),
            Err(_) => panic!("{text:?} was not said:\n{}", seen.join("\n")),
        }
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            // What the daemon said last is what explains a failed test.
            self.lines.iter().for_each(|line| eprintln!("holdfastd: {line}"));
        }
    }
}

/// One connection.
pub(crate) struct Client {
    pub(crate) stream: TcpStream,
}

impl Client {
    pub(crate) fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).expect("sent");
    }

    /// The next answer's correlation id and what follows it.
    pub(crate) fn answer(&mut self) -> (i32, Vec<u8>) {
        let mut length = [0; 4];
        self.stream.read_exact(&mut length).expect("an answer");
        let mut answer = vec![0; usize::try_from(i32::from_be_bytes(length)).expect("positive")];
        self.stream.read_exact(&mut answer).expect("a whole answer");
        let body = answer.split_off(4);
        (i32::from_be_bytes(answer.try_into().expect("four bytes")), body)
    }

    /// True when the daemon closes without another byte.
    pub(crate) fn is_closed(&mut self) -> bool {
        match self.stream.read(&mut [0]) {
            Ok(0) => true,
            Ok(_) => false,
            Err(error) => error.kind() == io::ErrorKind::ConnectionReset,
        }
    }
}

/// A request with a header of version 1.
pub(crate) fn request(key: i16, version: i16, correlation_id: i32, body: &[u8]) -> Bytes {
    let mut frame = BytesMut::new();
    frame.put_i32(i32::try_from(10 + body.len()).expect("small"));
    frame.put_i16(key);
    frame.put_i16(version);
    frame.put_i32(correlation_id);
    frame.put_i16(-1);
    frame.put_slice(body);
    frame.freeze()
}

pub(crate) fn api_versions(correlation_id: i32) -> Bytes {
    request(18, 0, correlation_id, &[])
}

/// Metadata v1 for one topic, which makes it.
pub(crate) fn metadata(correlation_id: i32, topic: &str) -> Bytes {
    let mut body = BytesMut::new();
    body.put_i32(1);
    body.put_i16(i16::try_from(topic.len()).expect("small"));
    body.put_slice(topic.as_bytes());
    request(3, 1, correlation_id, &body)
}

/// Produce v7.
pub(crate) fn produce(correlation_id: i32, acks: i16, topic: &str, batch: Bytes) -> Bytes {
    let data = PartitionProduceData::default().with_index(0).with_records(Some(batch));
    let topic = TopicProduceData::default()
        .with_name(TopicName(StrBytes::from(topic.to_owned())))
        .with_partition_data(vec![data]);
    let produce = ProduceRequest::default()
        .with_acks(acks)
        .with_timeout_ms(30_000)
        .with_topic_data(vec![topic]);
    let mut body = BytesMut::new();
    produce.encode(&mut body, 7).expect("version 7 has all of it");
    request(0, 7, correlation_id, &body)
}

/// ListOffsets v1: the end of partition 0.
pub(crate) fn latest_offset(client: &mut Client, topic: &str) -> i64 {
    let mut body = BytesMut::new();
    body.put_i32(-1);
    body.put_i32(1);
    body.put_i16(i16::try_from(topic.len()).expect("small"));
    body.put_slice(topic.as_bytes());
    body.put_i32(1);
    body.put_i32(0);
    body.put_i64(-1);
    client.send(&request(2, 1, 99, &body));
    let (_, answer) = client.answer();
    let (rest, offset) = answer.split_last_chunk::<8>().expect("the offset is last");
    let (rest, _timestamp) = rest.split_last_chunk::<8>().expect("a timestamp before it");
    let error = rest.last_chunk::<2>().expect("an error before that");
    assert_eq!(i16::from_be_bytes(*error), 0, "ListOffsets of {topic}");
    i64::from_be_bytes(*offset)
}
