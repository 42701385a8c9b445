//! A blocking client of the Kafka protocol: one connection per node, one request at a time.
//!
//! ```text
//! --bootstrap ─▶ Connection ─ ApiVersions v0 ─▶ ranges of the node
//!                    │  call: the highest version that node, library and this command share
//!                    └─ Metadata ─▶ Cluster { node id ─▶ address } ─▶ a Connection per node
//! ```
//!
//! Invariants: an answer is read up to a bound and within the time limit; its correlation id is
//! the request's. An error of the connection names the address that was tried and the setting
//! that supplied it.
//!
//! Caveats: no TLS and no SASL yet. kafka-protocol trusts counts inside an answer: this client
//! trusts the node it was pointed at not to lie about them.

use std::collections::BTreeMap;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::ops::RangeInclusive;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use kafka_protocol::messages::api_versions_response::ApiVersion;
use kafka_protocol::messages::{
    ApiKey, ApiVersionsRequest, FindCoordinatorRequest, GroupId, MetadataRequest, MetadataResponse,
    RequestHeader, ResponseHeader, TopicName, metadata_request::MetadataRequestTopic,
};
use kafka_protocol::protocol::{Decodable, Encodable, HeaderVersion, Message, Request, StrBytes};

use crate::clock::{Stopwatch, nap};
use crate::errors::{CliError, Kind, Result, safe};
use crate::kafka_errors;

/// Answers above this are refused: a Fetch here asks for far less.
const ANSWER_BYTES_MAX: usize = 128 << 20;
/// Pause before a question is asked again that the node could not answer yet.
const RETRY_PAUSE: Duration = Duration::from_millis(100);

/// Where an address came from, for messages.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Source(pub(crate) String);

/// An open connection to one node.
pub(crate) struct Connection {
    socket: TcpStream,
    address: String,
    correlation: i32,
    versions: Vec<ApiVersion>,
}

/// Text for a request.
pub(crate) fn text(value: &str) -> StrBytes {
    StrBytes::from_string(value.to_owned())
}

/// A topic's name for a request.
pub(crate) fn topic_name(value: &str) -> TopicName {
    TopicName(text(value))
}

/// A group's name for a request.
pub(crate) fn group_id(value: &str) -> GroupId {
    GroupId(text(value))
}

impl Connection {
    /// Connects and asks which versions the node has.
    pub(crate) fn open(address: &str, source: &Source, timeout: Duration) -> Result<Connection> {
        let unreachable = |why: String, try_next: &str| {
            CliError::failed(format!("no connection to {address} ({})", source.0), why)
                .try_next(try_next.to_owned())
        };
        let sockets = address.to_socket_addrs().map_err(|error| {
            let kind =
                if error.kind() == ErrorKind::InvalidInput { Kind::Usage } else { Kind::Failed };
            let error = CliError::new(kind, format!("{address} is no address ({})", source.0))
                .why(error.to_string());
            error.try_next("give it as host:port, for example --bootstrap 127.0.0.1:9092")
        })?;
        let mut last = None;
        for socket in sockets {
            match TcpStream::connect_timeout(&socket, timeout) {
                Ok(socket) => {
                    let mut connection = Connection {
                        socket,
                        address: address.to_owned(),
                        correlation: 0,
                        versions: Vec::new(),
                    };
                    connection.set_timeout(timeout)?;
                    connection.greet(source)?;
                    return Ok(connection);
                }
                Err(error) => last = Some(error),
            }
        }
        Err(match last {
            None => unreachable("the name has no address".to_owned(), "check the host's name"),
            Some(error) => unreachable(error.to_string(), advice(&error)),
        })
    }

    fn set_timeout(&mut self, timeout: Duration) -> Result<()> {
        // Zero would mean "for ever" to the kernel.
        let timeout = Some(timeout.max(Duration::from_millis(1)));
        self.socket
            .set_nodelay(true)
            .and_then(|()| self.socket.set_read_timeout(timeout))
            .and_then(|()| self.socket.set_write_timeout(timeout))
            .map_err(|error| self.broken("be set up", &error))
    }

    /// ApiVersions in the version every node has.
    fn greet(&mut self, source: &Source) -> Result<()> {
        let greeting = ApiVersionsRequest::default();
        let answer = self.exchange("ApiVersions", &greeting, 0).map_err(|error| {
            error.try_next(format!(
                "check that {} ({}) is the Kafka listener of a node, without TLS",
                self.address, source.0
            ))
        })?;
        CliError::check(
            format!("{} does not tell its versions", self.address),
            answer.error_code,
            None,
        )?;
        self.versions = answer.api_keys;
        Ok(())
    }

    /// The address this connection was made to.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// The version to speak: the highest within `wanted`, the library's and the node's range.
    pub(crate) fn version<R: Request>(&self, wanted: RangeInclusive<i16>) -> Result<i16> {
        let api =
            ApiKey::try_from(R::KEY).map_or_else(|()| R::KEY.to_string(), |key| format!("{key:?}"));
        let missing = |why: String| {
            CliError::of_code(format!("{} cannot be asked for {api}", self.address), 35, None)
                .why(why)
        };
        let offered = self
            .versions
            .iter()
            .find(|row| row.api_key == R::KEY)
            .ok_or_else(|| missing("it does not offer this API".to_owned()))?;
        let low = offered.min_version.max(*wanted.start()).max(R::VERSIONS.min);
        let high = offered.max_version.min(*wanted.end()).min(R::VERSIONS.max);
        if low > high {
            return Err(missing(format!(
                "it offers versions {} to {}, this command speaks {} to {}",
                offered.min_version,
                offered.max_version,
                wanted.start(),
                wanted.end()
            )));
        }
        Ok(high)
    }

    /// Sends a request and waits for its answer.
    pub(crate) fn call<R: Request>(
        &mut self,
        request: &R,
        wanted: RangeInclusive<i16>,
    ) -> Result<R::Response> {
        let version = self.version::<R>(wanted)?;
        let api =
            ApiKey::try_from(R::KEY).map_or_else(|()| R::KEY.to_string(), |key| format!("{key:?}"));
        self.exchange(&api, request, version)
    }

    fn exchange<R: Request>(
        &mut self,
        api: &str,
        request: &R,
        version: i16,
    ) -> Result<R::Response> {
        self.correlation = self.correlation.wrapping_add(1);
        let frame = encode(request, version, self.correlation).map_err(|error| {
            CliError::failed(format!("{api} version {version} cannot be written"), error)
        })?;
        self.socket.write_all(&frame).map_err(|error| self.broken(api, &error))?;
        let mut answer = self.receive(api)?;
        decode::<R>(&mut answer, version, self.correlation).map_err(|why| {
            CliError::failed(
                format!("the answer of {} to {api} version {version} cannot be read", self.address),
                why,
            )
        })
    }

    fn receive(&mut self, api: &str) -> Result<Bytes> {
        let mut length = [0; 4];
        self.socket.read_exact(&mut length).map_err(|error| self.broken(api, &error))?;
        let claimed = i32::from_be_bytes(length);
        let length = usize::try_from(claimed).ok().filter(|length| *length <= ANSWER_BYTES_MAX);
        let length = length.ok_or_else(|| {
            CliError::failed(
                format!("the answer of {} to {api} cannot be read", self.address),
                format!("it claims {claimed} bytes; {ANSWER_BYTES_MAX} are the most"),
            )
        })?;
        // Memory grows with what arrives, not with what is claimed.
        let mut answer = Vec::new();
        let read = (&mut self.socket).take(length as u64).read_to_end(&mut answer);
        read.map_err(|error| self.broken(api, &error))?;
        if answer.len() < length {
            return Err(self.broken(api, &ErrorKind::UnexpectedEof.into()));
        }
        Ok(answer.into())
    }

    fn broken(&self, api: &str, error: &io::Error) -> CliError {
        let (why, try_next) = match error.kind() {
            ErrorKind::WouldBlock | ErrorKind::TimedOut => (
                "no answer within the time limit".to_owned(),
                "raise --timeout, or see `holdfast health`",
            ),
            ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset | ErrorKind::BrokenPipe => (
                "the node closed the connection".to_owned(),
                "read the node's log: `journalctl -u holdfastd`",
            ),
            _ => (error.to_string(), "check the network, then try again"),
        };
        CliError::failed(format!("{} did not answer {api}", self.address), why).try_next(try_next)
    }
}

fn advice(error: &io::Error) -> &'static str {
    match error.kind() {
        ErrorKind::ConnectionRefused => {
            "is holdfastd running there (`systemctl status holdfastd`)? Otherwise give another \
             address with --bootstrap"
        }
        ErrorKind::TimedOut | ErrorKind::WouldBlock => "check the address, firewalls and --timeout",
        _ => "check the address and the network",
    }
}

fn encode<R: Request>(
    request: &R,
    version: i16,
    correlation: i32,
) -> std::result::Result<Bytes, String> {
    let header = RequestHeader::default()
        .with_request_api_key(R::KEY)
        .with_request_api_version(version)
        .with_correlation_id(correlation)
        .with_client_id(Some(StrBytes::from_static_str("holdfast")));
    let mut frame = BytesMut::zeroed(4);
    header.encode(&mut frame, R::header_version(version)).map_err(|error| error.to_string())?;
    request.encode(&mut frame, version).map_err(|error| error.to_string())?;
    let length =
        i32::try_from(frame.len() - 4).map_err(|_| "it is larger than 2 GiB".to_owned())?;
    frame[..4].copy_from_slice(&length.to_be_bytes());
    Ok(frame.freeze())
}

fn decode<R: Request>(
    answer: &mut Bytes,
    version: i16,
    correlation: i32,
) -> std::result::Result<R::Response, String> {
    let header_version = <R::Response as HeaderVersion>::header_version(version);
    let header = ResponseHeader::decode(answer, header_version).map_err(|e| e.to_string())?;
    if header.correlation_id != correlation {
        return Err(format!("it belongs to request {}, not {correlation}", header.correlation_id));
    }
    debug_assert!(R::Response::VERSIONS.min <= version && version <= R::Response::VERSIONS.max);
    R::Response::decode(answer, version).map_err(|error| error.to_string())
}

/// All nodes, through those we have spoken to.
pub(crate) struct Cluster {
    first: Connection,
    timeout: Duration,
    /// Where nodes are, as they advertise it.
    addresses: BTreeMap<i32, String>,
    connections: BTreeMap<i32, Connection>,
}

impl Cluster {
    /// Connects to the first address of the comma-separated list that answers.
    pub(crate) fn connect(bootstrap: &str, source: &Source, timeout: Duration) -> Result<Cluster> {
        let mut last = None;
        for address in bootstrap.split(',').map(str::trim).filter(|address| !address.is_empty()) {
            match Connection::open(address, source, timeout) {
                Ok(first) => {
                    let (addresses, connections) = (BTreeMap::new(), BTreeMap::new());
                    return Ok(Cluster { first, timeout, addresses, connections });
                }
                Err(error) => last = Some(error),
            }
        }
        Err(last.unwrap_or_else(|| {
            CliError::usage(
                format!("there is no address in {bootstrap:?} ({})", source.0),
                "give one as host:port, for example --bootstrap 127.0.0.1:9092",
            )
        }))
    }

    /// The node that was reached first: for questions that any node answers.
    pub(crate) fn any(&mut self) -> &mut Connection {
        &mut self.first
    }

    /// The limit of one request, and of all repetitions of one.
    pub(crate) fn timeout(&self) -> Duration {
        self.timeout
    }

    /// The same for the wire.
    pub(crate) fn timeout_ms(&self) -> i32 {
        i32::try_from(self.timeout.as_millis()).unwrap_or(i32::MAX)
    }

    /// Topics (all for `None`), without creating any. Remembers where nodes are.
    pub(crate) fn metadata(&mut self, topics: Option<&[&str]>) -> Result<MetadataResponse> {
        let asked = topics.map(|topics| {
            let named =
                |name: &&str| MetadataRequestTopic::default().with_name(Some(topic_name(name)));
            topics.iter().map(named).collect::<Vec<_>>()
        });
        let request =
            MetadataRequest::default().with_topics(asked).with_allow_auto_topic_creation(false);
        let answer = self.first.call(&request, 4..=12)?;
        for node in &answer.brokers {
            self.addresses.insert(node.node_id.0, host_port(&node.host, node.port));
        }
        Ok(answer)
    }

    /// Leader of every partition of one topic, in order. A topic without a leader somewhere is
    /// asked for again until the time limit.
    pub(crate) fn leaders(&mut self, topic: &str) -> Result<BTreeMap<i32, i32>> {
        let watch = Stopwatch::start();
        loop {
            let answer = self.metadata(Some(&[topic]))?;
            let found = answer.topics.first().ok_or_else(|| {
                CliError::failed(
                    format!("topic {topic} cannot be described"),
                    "the answer is empty",
                )
            })?;
            let bad = found.partitions.iter().map(|part| part.error_code).find(|code| *code != 0);
            let code = if found.error_code != 0 { found.error_code } else { bad.unwrap_or(0) };
            if code == 0 {
                let row =
                    |p: &kafka_protocol::messages::metadata_response::MetadataResponsePartition| {
                        (p.partition_index, p.leader_id.0)
                    };
                return Ok(found.partitions.iter().map(row).collect());
            }
            self.pause_or_give_up(
                &watch,
                format!("topic {} cannot be used", safe(topic)),
                code,
                None,
            )?;
        }
    }

    /// The connection to a node.
    pub(crate) fn node(&mut self, id: i32) -> Result<&mut Connection> {
        if !self.connections.contains_key(&id) {
            if !self.addresses.contains_key(&id) {
                self.metadata(Some(&[]))?;
            }
            let address = self.addresses.get(&id).ok_or_else(|| {
                CliError::failed(format!("node {id} has no address"), "no node knows where it is")
                    .try_next("see `holdfast health`")
            })?;
            let source = Source(format!(
                "advertised for node {id} by {}; see advertised addresses in the node's settings",
                self.first.address()
            ));
            let connection = Connection::open(address, &source, self.timeout)?;
            self.connections.insert(id, connection);
        }
        Ok(self.connections.get_mut(&id).expect("it was put there if it was missing"))
    }

    /// The node that coordinates a group.
    pub(crate) fn coordinator(&mut self, group: &str) -> Result<&mut Connection> {
        let watch = Stopwatch::start();
        let request = FindCoordinatorRequest::default().with_key(text(group));
        loop {
            let answer = self.first.call(&request, 1..=3)?;
            if answer.error_code == 0 {
                let id = answer.node_id.0;
                self.addresses.insert(id, host_port(&answer.host, answer.port));
                return self.node(id);
            }
            let message = answer.error_message.as_ref().map(|message| message.to_string());
            let what = format!("the coordinator of group {} cannot be found", safe(group));
            self.pause_or_give_up(&watch, what, answer.error_code, message.as_deref())?;
        }
    }

    /// A passing error is waited for until the time limit, but not a name that nobody knows.
    fn pause_or_give_up(
        &self,
        watch: &Stopwatch,
        what: String,
        code: i16,
        message: Option<&str>,
    ) -> Result<()> {
        const UNKNOWN_TOPIC: i16 = 3;
        let passing = kafka_errors::by_code(code).is_some_and(|row| row.passing);
        if !passing || code == UNKNOWN_TOPIC || watch.left_of(self.timeout).is_zero() {
            return Err(CliError::of_code(what, code, message));
        }
        nap(RETRY_PAUSE);
        Ok(())
    }
}

/// An address as one writes it; IPv6 in brackets.
pub(crate) fn host_port(host: &str, port: i32) -> String {
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kafka_protocol::messages::MetadataRequest;

    #[test]
    fn a_frame_says_its_length_and_an_answer_to_another_request_is_refused() {
        let frame = encode(&MetadataRequest::default(), 4, 7).unwrap();
        let length = i32::from_be_bytes(frame[..4].try_into().unwrap());
        assert_eq!(usize::try_from(length).unwrap(), frame.len() - 4);

        let mut answer = BytesMut::new();
        ResponseHeader::default().with_correlation_id(8).encode(&mut answer, 0).unwrap();
        let error = decode::<MetadataRequest>(&mut answer.freeze(), 4, 7).unwrap_err();
        assert!(error.contains("belongs to request 8"), "{error}");
    }

    #[test]
    fn an_error_names_the_address_tried_and_the_setting_that_supplied_it() {
        // The port is free the moment before: nobody listens on it.
        let address = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let source = Source("HOLDFAST_BOOTSTRAP".to_owned());
        let timeout = Duration::from_secs(1);
        let error = Cluster::connect(&address.to_string(), &source, timeout).err().unwrap();
        let shown = error.to_string();
        assert!(
            shown.contains(&format!("no connection to {address} (HOLDFAST_BOOTSTRAP)")),
            "{shown}"
        );
        assert!(shown.contains("systemctl status holdfastd"), "{shown}");
        assert_eq!(error.kind, Kind::Failed);

        let error = Cluster::connect("nowhere", &source, timeout).err().unwrap();
        assert_eq!(error.kind, Kind::Usage, "{error}");
        let error = Cluster::connect(" , ", &source, timeout).err().unwrap();
        assert_eq!(error.kind, Kind::Usage, "{error}");
    }

    #[test]
    fn ipv6_stands_in_brackets() {
        assert_eq!(host_port("::1", 9092), "[::1]:9092");
        assert_eq!(host_port("node-1", 9092), "node-1:9092");
    }
}
