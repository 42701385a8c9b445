//! A small blocking client: one connection, one request at a time, every error code looked at.
//!
//! Versions are fixed to ones that Kafka 2.4 to 4.x and Holdfast all speak; the measured paths
//! (`load`, `drain`) build their own frames with the functions here and drive sockets themselves.

use std::fmt;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use crate::wire::{Malformed, Reader, Request, set_correlation};

/// Produce: the first flexible version.
pub const PRODUCE: (i16, i16) = (0, 9);
/// Fetch: the last version that names topics.
pub const FETCH: (i16, i16) = (1, 12);
const LIST_OFFSETS: (i16, i16) = (2, 2);
const METADATA: (i16, i16) = (3, 4);
const API_VERSIONS: (i16, i16) = (18, 0);
const CREATE_TOPICS: (i16, i16) = (19, 2);
const CREATE_PARTITIONS: (i16, i16) = (37, 1);
const DELETE_TOPICS: (i16, i16) = (20, 1);

pub(crate) const CLIENT_ID: &str = "holdfast-bench";
/// Answers above this are a lie of the broker (a drain asks for 50 MiB at most).
pub const ANSWER_BYTES_MAX: usize = 256 << 20;
/// A broker that is silent for this long has failed the request.
const ANSWER_WAIT: Duration = Duration::from_secs(30);
/// A topic that is not served by then will not be.
const TOPIC_WAIT_S: f64 = 60.0;

/// What can go wrong between this client and a broker.
#[derive(Debug)]
pub enum Failed {
    /// The socket failed, closed or stayed silent.
    Socket(io::Error),
    /// The answer cannot be read.
    Malformed(Malformed),
    /// The broker answered with an error code.
    Code {
        /// Which part of which answer.
        what: &'static str,
        /// Kafka's error code.
        code: i16,
    },
    /// The answer reads well and says something wrong.
    Wrong(String),
}

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Socket(error) => write!(f, "socket: {error}"),
            Self::Malformed(error) => error.fmt(f),
            Self::Code { what, code } => write!(f, "{what} answered error code {code}"),
            Self::Wrong(what) => f.write_str(what),
        }
    }
}

impl std::error::Error for Failed {}

impl From<io::Error> for Failed {
    fn from(error: io::Error) -> Self {
        Self::Socket(error)
    }
}

impl From<Malformed> for Failed {
    fn from(error: Malformed) -> Self {
        Self::Malformed(error)
    }
}

/// A result of this client.
pub type Result<T> = std::result::Result<T, Failed>;

/// Turns an error code into an error.
pub fn check(what: &'static str, code: i16) -> Result<()> {
    if code == 0 { Ok(()) } else { Err(Failed::Code { what, code }) }
}

/// Where a partition's answer to Produce says its records went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Appended {
    /// Partition index.
    pub partition: i32,
    /// Offset of the batch's first record.
    pub base_offset: i64,
}

/// One partition's part of a fetch answer.
#[derive(Debug)]
pub struct Fetched<'a> {
    /// Partition index.
    pub partition: i32,
    /// The partition's high watermark.
    pub high_watermark: i64,
    /// Record batches as they came.
    pub records: &'a [u8],
}

/// One partition to fetch from.
#[derive(Debug, Clone, Copy)]
pub struct FetchFrom {
    /// Partition index.
    pub partition: i32,
    /// First offset wanted.
    pub offset: i64,
}

/// How a fetch waits and how much it takes.
#[derive(Debug, Clone, Copy)]
pub struct FetchLimits {
    /// Longest wait for `min_bytes`.
    pub wait_ms: i32,
    /// Bytes to wait for.
    pub min_bytes: i32,
    /// Most bytes of one partition.
    pub partition_bytes: i32,
}

/// Reads an answer to CreateTopics or CreatePartitions, which have one form.
fn all_topics_done(body: &[u8], what: &'static str) -> Result<()> {
    let mut answer = Reader::new(body, false);
    answer.i32("throttle")?;
    for _ in 0..answer.count("topics")? {
        answer.string("topic")?;
        let code = answer.i16("error code")?;
        let message = answer.string("message")?;
        if code != 0 {
            return Err(Failed::Wrong(format!("{what}: code {code}: {message}")));
        }
    }
    Ok(())
}

/// The frame of a Produce request up to the batch, which is sent behind it (`batch_len` bytes) and
/// followed by [`PRODUCE_TAIL`].
pub fn produce_head(topic: &str, partition: i32, acks: i16, batch_len: usize) -> Vec<u8> {
    let mut request = Request::new(PRODUCE.0, PRODUCE.1, true, CLIENT_ID);
    request.null_string().i16(acks).i32(30_000).count(1).string(topic).count(1);
    request.i32(partition).bytes_len(batch_len);
    request.finish(batch_len + PRODUCE_TAIL.len())
}

/// The tag sections that close partition, topic and request.
pub const PRODUCE_TAIL: [u8; 3] = [0, 0, 0];

/// Reads a Produce answer (behind its correlation id) that has one partition.
pub fn produce_answer(body: &[u8]) -> Result<Appended> {
    let mut answer = Reader::new(body, true);
    answer.tags()?;
    if answer.count("topics")? != 1 {
        return Err(Failed::Wrong("a Produce answer without its topic".into()));
    }
    answer.string("topic")?;
    if answer.count("partitions")? != 1 {
        return Err(Failed::Wrong("a Produce answer without its partition".into()));
    }
    let partition = answer.i32("partition")?;
    check("Produce", answer.i16("error code")?)?;
    let base_offset = answer.i64("base offset")?;
    Ok(Appended { partition, base_offset })
}

/// The frame of a sessionless Fetch request.
pub fn fetch_frame(topic: &str, from: &[FetchFrom], limits: FetchLimits) -> Vec<u8> {
    let mut request = Request::new(FETCH.0, FETCH.1, true, CLIENT_ID);
    request.i32(-1).i32(limits.wait_ms).i32(limits.min_bytes).i32(50 << 20).i8(0);
    request.i32(0).i32(-1).count(1).string(topic).count(from.len());
    for part in from {
        request.i32(part.partition).i32(-1).i64(part.offset).i32(-1).i64(-1);
        request.i32(limits.partition_bytes).tags();
    }
    request.tags().count(0).string("").tags();
    request.finish(0)
}

/// Reads a Fetch answer (behind its correlation id), calling `each` per partition.
pub fn fetch_answer(body: &[u8], mut each: impl FnMut(Fetched<'_>) -> Result<()>) -> Result<()> {
    let mut answer = Reader::new(body, true);
    answer.tags()?;
    answer.i32("throttle")?;
    check("Fetch", answer.i16("error code")?)?;
    answer.i32("session")?;
    for _ in 0..answer.count("topics")? {
        answer.string("topic")?;
        for _ in 0..answer.count("partitions")? {
            let partition = answer.i32("partition")?;
            check("Fetch of a partition", answer.i16("error code")?)?;
            let high_watermark = answer.i64("high watermark")?;
            answer.i64("last stable offset")?;
            answer.i64("log start")?;
            for _ in 0..answer.count("aborted")? {
                answer.i64("producer id")?;
                answer.i64("first offset")?;
                answer.tags()?;
            }
            answer.i32("preferred replica")?;
            let records = answer.bytes("records")?;
            answer.tags()?;
            each(Fetched { partition, high_watermark, records })?;
        }
        answer.tags()?;
    }
    answer.tags()?;
    Ok(())
}

/// One connection.
pub struct Client {
    socket: TcpStream,
    correlation: i32,
    answer: Vec<u8>,
}

impl Client {
    /// Connects; the first wait for an answer is bounded.
    pub fn connect(address: SocketAddr) -> Result<Self> {
        let socket = TcpStream::connect_timeout(&address, Duration::from_secs(5))?;
        socket.set_nodelay(true)?;
        socket.set_read_timeout(Some(ANSWER_WAIT))?;
        socket.set_write_timeout(Some(ANSWER_WAIT))?;
        Ok(Self { socket, correlation: 0, answer: Vec::new() })
    }

    /// The socket, for callers that drive it themselves.
    pub fn into_socket(self) -> TcpStream {
        self.socket
    }

    /// Sends a prepared frame (and `more` behind it) without waiting.
    pub fn send(&mut self, frame: &mut [u8], more: &[&[u8]]) -> Result<()> {
        self.correlation = self.correlation.wrapping_add(1);
        set_correlation(frame, self.correlation);
        self.socket.write_all(frame)?;
        for part in more {
            self.socket.write_all(part)?;
        }
        Ok(())
    }

    /// Waits for the answer to the last frame sent; returns what follows the correlation id.
    pub fn receive(&mut self) -> Result<&[u8]> {
        let mut head = [0u8; 8];
        self.socket.read_exact(&mut head)?;
        let [s0, s1, s2, s3, c0, c1, c2, c3] = head;
        let size = i32::from_be_bytes([s0, s1, s2, s3]);
        let correlation = i32::from_be_bytes([c0, c1, c2, c3]);
        let size = usize::try_from(size).ok().filter(|size| (4..ANSWER_BYTES_MAX).contains(size));
        let size = size.ok_or_else(|| Failed::Wrong("the answer's size is absurd".into()))?;
        if correlation != self.correlation {
            return Err(Failed::Wrong(format!(
                "answer {correlation} came for request {}",
                self.correlation
            )));
        }
        self.answer.resize(size - 4, 0);
        self.socket.read_exact(&mut self.answer)?;
        Ok(&self.answer)
    }

    /// Sends a request and waits for its answer; returns what follows the correlation id.
    pub fn call(&mut self, request: Request) -> Result<&[u8]> {
        let mut frame = request.finish(0);
        self.send(&mut frame, &[])?;
        self.receive()
    }

    /// Asks for the advertised APIs: (api, min, max).
    pub fn api_versions(&mut self) -> Result<Vec<(i16, i16, i16)>> {
        let (api, version) = API_VERSIONS;
        let body = self.call(Request::new(api, version, false, CLIENT_ID))?;
        let mut answer = Reader::new(body, false);
        check("ApiVersions", answer.i16("error code")?)?;
        let mut apis = Vec::new();
        for _ in 0..answer.count("apis")? {
            apis.push((answer.i16("api")?, answer.i16("min")?, answer.i16("max")?));
        }
        Ok(apis)
    }

    /// Number of partitions of `topic`, each with a leader, or an error code.
    pub fn partitions(&mut self, topic: &str) -> Result<usize> {
        let (api, version) = METADATA;
        let mut request = Request::new(api, version, false, CLIENT_ID);
        request.count(1).string(topic).i8(0);
        let body = self.call(request)?;
        let mut answer = Reader::new(body, false);
        answer.i32("throttle")?;
        for _ in 0..answer.count("brokers")? {
            answer.i32("node")?;
            answer.string("host")?;
            answer.i32("port")?;
            answer.string("rack")?;
        }
        answer.string("cluster id")?;
        answer.i32("controller")?;
        let mut found = 0;
        for _ in 0..answer.count("topics")? {
            check("Metadata of a topic", answer.i16("error code")?)?;
            answer.string("topic")?;
            answer.i8("internal")?;
            for _ in 0..answer.count("partitions")? {
                check("Metadata of a partition", answer.i16("error code")?)?;
                answer.i32("partition")?;
                if answer.i32("leader")? < 0 {
                    return Err(Failed::Code { what: "Metadata of a partition", code: 5 });
                }
                for _ in 0..answer.count("replicas")? {
                    answer.i32("replica")?;
                }
                for _ in 0..answer.count("isr")? {
                    answer.i32("in sync")?;
                }
                found += 1;
            }
        }
        Ok(found)
    }

    /// Makes a topic with one replica.
    pub fn create_topic(&mut self, topic: &str, partitions: i32) -> Result<()> {
        self.create_topic_with(topic, partitions, &[])
    }

    /// Makes a topic with one replica and configuration.
    pub fn create_topic_with(
        &mut self,
        topic: &str,
        partitions: i32,
        configs: &[(&str, &str)],
    ) -> Result<()> {
        let (api, version) = CREATE_TOPICS;
        let mut request = Request::new(api, version, false, CLIENT_ID);
        request.count(1).string(topic).i32(partitions).i16(1).count(0).count(configs.len());
        for (name, value) in configs {
            request.string(name).string(value);
        }
        request.i32(30_000).i8(0);
        all_topics_done(self.call(request)?, "CreateTopics")
    }

    /// Deletes a topic.
    pub fn delete_topic(&mut self, topic: &str) -> Result<()> {
        let (api, version) = DELETE_TOPICS;
        let mut request = Request::new(api, version, false, CLIENT_ID);
        request.count(1).string(topic).i32(30_000);
        let body = self.call(request)?;
        let mut answer = Reader::new(body, false);
        answer.i32("throttle")?;
        for _ in 0..answer.count("topics")? {
            answer.string("topic")?;
            check("DeleteTopics", answer.i16("error code")?)?;
        }
        Ok(())
    }

    /// The offset behind the last committed record of a partition.
    pub fn end_offset(&mut self, topic: &str, partition: i32) -> Result<i64> {
        let (api, version) = LIST_OFFSETS;
        let mut request = Request::new(api, version, false, CLIENT_ID);
        request.i32(-1).i8(0).count(1).string(topic).count(1).i32(partition).i64(-1);
        let body = self.call(request)?;
        let mut answer = Reader::new(body, false);
        answer.i32("throttle")?;
        answer.count("topics")?;
        answer.string("topic")?;
        answer.count("partitions")?;
        answer.i32("partition")?;
        check("ListOffsets", answer.i16("error code")?)?;
        answer.i64("timestamp")?;
        Ok(answer.i64("offset")?)
    }

    /// The offsets behind the last committed records of partitions 0 to `partitions`, asked for at
    /// once; the first partition that is not served is the error.
    pub fn end_offsets(&mut self, topic: &str, partitions: i32) -> Result<Vec<i64>> {
        let (api, version) = LIST_OFFSETS;
        let mut request = Request::new(api, version, false, CLIENT_ID);
        request.i32(-1).i8(0).count(1).string(topic).count(partitions as usize);
        for partition in 0..partitions {
            request.i32(partition).i64(-1);
        }
        let body = self.call(request)?;
        let mut answer = Reader::new(body, false);
        answer.i32("throttle")?;
        answer.count("topics")?;
        answer.string("topic")?;
        let mut offsets = vec![-1; partitions as usize];
        for _ in 0..answer.count("partitions")? {
            let partition = answer.i32("partition")?;
            check("ListOffsets", answer.i16("error code")?)?;
            answer.i64("timestamp")?;
            let offset = answer.i64("offset")?;
            let place = usize::try_from(partition).ok().and_then(|at| offsets.get_mut(at));
            *place.ok_or(Malformed("partition"))? = offset;
        }
        if offsets.contains(&-1) {
            return Err(Failed::Wrong(format!("ListOffsets left out partitions of {topic}")));
        }
        Ok(offsets)
    }

    /// Produces one batch with acks=all and waits for the answer.
    pub fn produce(&mut self, topic: &str, partition: i32, batch: &[u8]) -> Result<Appended> {
        let mut head = produce_head(topic, partition, -1, batch.len());
        self.send(&mut head, &[batch, &PRODUCE_TAIL])?;
        produce_answer(self.receive()?)
    }

    /// Fetches once; returns the record bytes of the one partition asked for.
    pub fn fetch(&mut self, topic: &str, from: FetchFrom, limits: FetchLimits) -> Result<Vec<u8>> {
        let mut frame = fetch_frame(topic, &[from], limits);
        self.send(&mut frame, &[])?;
        let mut records = Vec::new();
        fetch_answer(self.receive()?, |part| {
            records.extend_from_slice(part.records);
            Ok(())
        })?;
        Ok(records)
    }

    /// Grows a topic to so many partitions.
    pub fn grow_topic(&mut self, topic: &str, partitions: i32) -> Result<()> {
        let (api, version) = CREATE_PARTITIONS;
        let mut request = Request::new(api, version, false, CLIENT_ID);
        // No assignment of ours.
        request.count(1).string(topic).i32(partitions).i32(-1);
        request.i32(30_000).i8(0);
        all_topics_done(self.call(request)?, "CreatePartitions")
    }

    /// Makes a topic and waits until every partition is served: a broker may name itself leader in
    /// Metadata before it answers as one.
    pub fn create_topic_and_wait(&mut self, topic: &str, partitions: i32) -> Result<()> {
        self.create_topic(topic, partitions)?;
        let clock = crate::clock::Stopwatch::start();
        loop {
            match self.served(topic, partitions) {
                Err(Failed::Code { .. }) if clock.seconds() < TOPIC_WAIT_S => {
                    crate::clock::nap(Duration::from_millis(20));
                }
                result => return result,
            }
        }
    }

    fn served(&mut self, topic: &str, partitions: i32) -> Result<()> {
        if self.partitions(topic)? != partitions as usize {
            return Err(Failed::Code { what: "Metadata without all partitions", code: 3 });
        }
        for partition in 0..partitions {
            self.end_offset(topic, partition)?;
        }
        Ok(())
    }
}
