//! What becomes of one request.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream;
use holdfast_tier::StoreKey;
use holdfast_tier::store::Store;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::client::conn::http1;
use hyper::header::{CONTENT_LENGTH, CONTENT_RANGE, ETAG, HeaderValue};
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::sleep;

use crate::{Sky, Weather};

/// Longer than a node waits for records, shorter than for a part of an object.
const STALL: Duration = Duration::from_secs(10);
/// A repeated request comes behind whatever followed the first.
const LATER: Duration = Duration::from_secs(2);

type Body = BoxBody<Bytes, io::Error>;
type Answer = Response<Body>;

/// Requests of one proxy, and what it remembers of them.
#[derive(Debug)]
pub(crate) struct Fate {
    sky: Arc<Sky>,
    upstream: SocketAddr,
    objects: Arc<dyn Store>,
    memory: Mutex<Memory>,
}

#[derive(Default, Debug)]
struct Memory {
    /// Every object that was read, by name without the bucket.
    read: BTreeSet<String>,
    /// The first listing of each URL.
    listings: BTreeMap<String, Bytes>,
}

/// A request whose body has come.
#[derive(Clone)]
struct Whole {
    head: Arc<hyper::http::request::Parts>,
    body: Bytes,
}

impl Whole {
    fn is_get_of_object(&self) -> bool {
        self.head.method == Method::GET && !self.is_list()
    }

    fn is_list(&self) -> bool {
        self.head.method == Method::GET
            && self.head.uri.query().is_some_and(|query| query.contains("list-type"))
    }

    /// The object's name, without the bucket's.
    fn name(&self) -> Option<String> {
        let (_, name) = self.head.uri.path().strip_prefix('/')?.split_once('/')?;
        Some(name.to_owned())
    }
}

impl Fate {
    pub(crate) fn new(sky: Arc<Sky>, upstream: SocketAddr, objects: Arc<dyn Store>) -> Fate {
        Fate { sky, upstream, objects, memory: Mutex::default() }
    }

    /// Answers, or cuts the connection by an error.
    pub(crate) async fn answer(self: Arc<Fate>, request: Request<Incoming>) -> io::Result<Answer> {
        let (head, body) = request.into_parts();
        let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
        let request = Whole { head: Arc::new(head), body };
        let is_get = request.is_get_of_object();
        let is_write = !is_get && !request.is_list() && request.head.method != Method::HEAD;
        match self.sky.meet() {
            Weather::Busy => self.turned_away(Weather::Busy, 503, "SlowDown"),
            Weather::Throttled => self.turned_away(Weather::Throttled, 429, "TooManyRequests"),
            Weather::Stalled => {
                self.sky.strike(Weather::Stalled);
                sleep(STALL).await;
                self.pass(&request).await
            }
            Weather::Cut => self.cut(&request).await,
            Weather::Shortened if is_get => self.shortened(&request).await,
            Weather::Flipped if is_get => self.flipped(&request).await,
            Weather::Swapped if is_get => self.swapped(&request).await,
            Weather::Stale if is_get => self.turned_away(Weather::Stale, 404, "NoSuchKey"),
            Weather::Stale if request.is_list() => self.old_listing(&request).await,
            Weather::FalseSuccess if !is_get => self.false_success(),
            Weather::Emptied if is_write && request.head.method == Method::PUT => {
                self.sky.strike(Weather::Emptied);
                Ok(success(Bytes::new()))
            }
            Weather::Twice if is_write => self.twice(request).await,
            _ => self.pass(&request).await,
        }
    }

    fn turned_away(&self, weather: Weather, status: u16, code: &str) -> io::Result<Answer> {
        self.sky.strike(weather);
        let status = StatusCode::from_u16(status).map_err(io::Error::other)?;
        let body = format!("<Error><Code>{code}</Code><Message>bad weather</Message></Error>");
        let mut answer = Response::new(full(body.into()));
        *answer.status_mut() = status;
        Ok(answer)
    }

    fn false_success(&self) -> io::Result<Answer> {
        self.sky.strike(Weather::FalseSuccess);
        Ok(success(Bytes::from_static(b"<Error><Code>InternalError</Code></Error>")))
    }

    async fn cut(&self, request: &Whole) -> io::Result<Answer> {
        let (head, bytes) = self.forward(request).await?;
        self.sky.strike(Weather::Cut);
        if bytes.len() < 2 {
            return Err(io::Error::from(io::ErrorKind::ConnectionReset));
        }
        let half = bytes.slice(..bytes.len() / 2);
        let broken = io::Error::from(io::ErrorKind::ConnectionReset);
        let pieces = stream::iter([Ok(Frame::data(half)), Err(broken)]);
        Ok(Response::from_parts(with_length(head, bytes.len()), StreamBody::new(pieces).boxed()))
    }

    async fn shortened(&self, request: &Whole) -> io::Result<Answer> {
        let (head, bytes) = self.forward(request).await?;
        self.sky.strike(Weather::Shortened);
        Ok(answer(head, bytes.slice(..bytes.len() / 2)))
    }

    async fn flipped(&self, request: &Whole) -> io::Result<Answer> {
        let (head, bytes) = self.forward(request).await?;
        if bytes.is_empty() {
            return Ok(answer(head, bytes));
        }
        self.sky.strike(Weather::Flipped);
        let mut bytes = bytes.to_vec();
        let bit = self.sky.below(bytes.len() as u64 * 8) as usize;
        bytes[bit / 8] ^= 1 << (bit % 8);
        Ok(answer(head, bytes.into()))
    }

    async fn swapped(&self, request: &Whole) -> io::Result<Answer> {
        let (head, bytes) = self.forward(request).await?;
        let len = bytes.len() as u64;
        // The same place in another object; near enough for a range that fits into both.
        let start = head.headers.get(CONTENT_RANGE).and_then(|range| {
            range.to_str().ok()?.strip_prefix("bytes ")?.split('-').next()?.parse::<u64>().ok()
        });
        let (Some(start), Some(name)) = (start, request.name()) else {
            return Ok(answer(head, bytes));
        };
        for other in self.others(&name) {
            let Ok(key) = StoreKey::new(&other) else { continue };
            for start in [start, 0] {
                if let Ok(bytes) = self.objects.get(&key, start..start + len).await {
                    self.sky.strike(Weather::Swapped);
                    return Ok(answer(head, bytes));
                }
            }
        }
        Ok(answer(head, bytes))
    }

    fn others(&self, name: &str) -> Vec<String> {
        let memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
        let mut others: Vec<String> =
            memory.read.iter().filter(|other| *other != name).cloned().collect();
        let first = self.sky.below(others.len().max(1) as u64) as usize;
        others.rotate_left(first);
        others.truncate(8);
        others
    }

    async fn old_listing(&self, request: &Whole) -> io::Result<Answer> {
        let url = request.head.uri.to_string();
        let before = {
            let memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
            memory.listings.get(&url).cloned()
        };
        let Some(before) = before else { return self.pass(request).await };
        self.sky.strike(Weather::Stale);
        Ok(success(before))
    }

    async fn twice(self: Arc<Fate>, request: Whole) -> io::Result<Answer> {
        let first = self.pass(&request).await;
        let again = Arc::clone(&self);
        tokio::spawn(async move {
            sleep(LATER).await;
            if again.forward(&request).await.is_ok() {
                again.sky.strike(Weather::Twice);
            }
        });
        first
    }

    async fn pass(&self, request: &Whole) -> io::Result<Answer> {
        let (head, bytes) = self.forward(request).await?;
        let mut memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
        if request.is_list() && head.status == StatusCode::OK {
            let url = request.head.uri.to_string();
            memory.listings.entry(url).or_insert_with(|| bytes.clone());
        }
        if request.is_get_of_object() && head.status == StatusCode::PARTIAL_CONTENT {
            memory.read.extend(request.name());
        }
        drop(memory);
        let mut passed = answer(head, bytes);
        if request.head.method == Method::HEAD {
            *passed.body_mut() = full(Bytes::new());
        }
        Ok(passed)
    }

    /// To the store, and all of its answer.
    async fn forward(&self, request: &Whole) -> io::Result<(hyper::http::response::Parts, Bytes)> {
        let stream = TcpStream::connect(self.upstream).await?;
        let handshake = http1::handshake(TokioIo::new(stream)).await;
        let (mut sender, connection) = handshake.map_err(io::Error::other)?;
        tokio::spawn(connection);
        let mut head = Request::new(Full::new(request.body.clone()));
        *head.method_mut() = request.head.method.clone();
        *head.uri_mut() = request.head.uri.clone();
        *head.headers_mut() = request.head.headers.clone();
        let answer = sender.send_request(head).await.map_err(io::Error::other)?;
        let (head, body) = answer.into_parts();
        let bytes = body.collect().await.map_err(io::Error::other)?.to_bytes();
        Ok((head, bytes))
    }
}

fn full(bytes: Bytes) -> Body {
    Full::new(bytes).map_err(|never| match never {}).boxed()
}

fn success(bytes: Bytes) -> Answer {
    let mut answer = Response::new(full(bytes));
    answer.headers_mut().insert(ETAG, HeaderValue::from_static("\"0123456789abcdef\""));
    answer
}

/// The store's headers with other bytes: their length is told as it is.
fn answer(head: hyper::http::response::Parts, bytes: Bytes) -> Answer {
    // A HEAD tells a length without bytes.
    let is_bodiless = bytes.is_empty() && head.headers.contains_key(CONTENT_LENGTH);
    let head = if is_bodiless { head } else { with_length(head, bytes.len()) };
    Response::from_parts(head, full(bytes))
}

fn with_length(
    mut head: hyper::http::response::Parts,
    bytes: usize,
) -> hyper::http::response::Parts {
    head.headers.remove("transfer-encoding");
    head.headers.insert(CONTENT_LENGTH, HeaderValue::from(bytes as u64));
    head
}
