//! One client's connection, from its first byte to its last answer.
//!
//! ```text
//! reader ─ frame ─▶ held (at most one) ─▶ Broker::start ─▶ replies in order ─▶ writer (writev)
//!                   waits while            Produce: while fewer than 32
//!                   its turn has not come  others: when nothing is unanswered
//! ```
//!
//! Stages, one file each: [`reader`] cuts frames without believing lengths, [`budget`] bounds what
//! all connections hold, [`sender`] sends what [`writer`] writes. This file keeps the order: effects
//! happen in the order of the requests (starting is synchronous), answers leave in that order too,
//! and several that are ready leave in one system call.
//!
//! A client that closes its side after sending still gets what it sent for processed: acks=0
//! producers send and leave.
//!
//! A client that does not read its answers holds one Fetch answer at most, inside the room all
//! answers share, until somebody waits for that room or the send limit is over.

pub mod budget;
pub mod reader;
mod sender;
pub mod writer;

use crate::metrics::{answer_error, part_errors};
use crate::node::Node;
use budget::Reservation;
use holdfast_broker::{Broker, Context, Order, Reply, ReplyFuture, order_of};
use holdfast_protocol::frame::LENGTH_BYTES;
use reader::{Frame, FrameReader, ReadEnd};
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

/// Unanswered Produce requests of one connection. Java sends 5, librdkafka up to a million; more
/// than this many gain nothing once a group commit is full.
const PIPELINED_MAX: usize = 32;
/// And their bytes, so that one connection cannot hold the whole node's budget.
const PIPELINED_BYTES_MAX: usize = 64 * 1024 * 1024;
/// A connection looks at its idle limit at least this often, so that a changed one takes hold.
const CHECK_EVERY: Duration = Duration::from_secs(60);
/// And at most this often.
const CHECK_PAUSE: Duration = Duration::from_millis(50);
/// A request that has begun must arrive in this time: 100 MiB over a 10 Mbit/s line take 84 s.
const FRAME_LIMIT: Duration = Duration::from_secs(3 * 60);

/// What all connections of a listener share.
pub struct Shared {
    /// Answers requests.
    pub broker: Arc<Broker>,
    /// Whose limits and budget hold, and where is counted.
    pub node: Arc<Node>,
    /// Largest request of this listener.
    pub request_bytes_max: usize,
    /// True once the daemon stops: finish what was sent, take nothing new.
    pub stopping: watch::Receiver<bool>,
}

/// A request that is being answered.
struct Unanswered {
    reply: ReplyFuture,
    order: Order,
    /// API key and version.
    key: i16,
    version: i16,
    started: Instant,
    /// Given back with the answer.
    reservation: Reservation,
}

/// Why a connection ended, for the log.
#[derive(Debug)]
enum End {
    /// Nothing to say.
    Quiet,
    /// One line for the operator.
    Said(String),
    /// As `Said`; what the kernel still holds for the client is thrown away.
    Cut(String),
}

/// Serves a connection until it ends.
pub async fn serve(mut stream: TcpStream, peer: SocketAddr, context: Context, shared: &Shared) {
    let context = Arc::new(context);
    let _counted = CountOnEnd(&shared.node);
    let end = run(&mut stream, &context, shared).await;
    if matches!(end, End::Cut(_))
        && let Err(error) = stream.set_zero_linger()
    {
        tracing::debug!(%peer, %error, "a connection could not be cut");
    }
    match end {
        End::Quiet => tracing::debug!(%peer, "connection closed"),
        End::Said(why) | End::Cut(why) => {
            tracing::warn!(%peer, listener = %context.listener, "connection closed: {why}");
        }
    }
}

/// Counts a connection's end, however it comes.
struct CountOnEnd<'a>(&'a Node);

impl Drop for CountOnEnd<'_> {
    fn drop(&mut self) {
        self.0.metrics.connections_closed.add(1);
    }
}

async fn run(stream: &mut TcpStream, context: &Arc<Context>, shared: &Shared) -> End {
    let (mut read_half, mut write_half) = stream.split();
    let mut reader = FrameReader::new(shared.node.budget.clone(), shared.request_bytes_max);
    let mut stopping = shared.stopping.clone();
    let mut unanswered: VecDeque<Unanswered> = VecDeque::new();
    let mut held: Option<Frame> = None;
    // No more will come: the client has closed its side, or we are stopping.
    let mut ended: Option<End> = None;
    let mut last_progress = Instant::now();
    let first_check = shared.node.limits.idle().unwrap_or(CHECK_EVERY).min(CHECK_EVERY);
    let mut check_idle = Box::pin(sleep_until(last_progress + first_check.max(CHECK_PAUSE)));
    loop {
        if let Some(frame) = held.take_if(|frame| may_start(&unanswered, frame)) {
            let started = Instant::now();
            let order = order_of(&frame.bytes);
            let (key, version) = key_and_version(&frame.bytes);
            let received_bytes = frame.bytes.len() + LENGTH_BYTES;
            shared.node.metrics.received_bytes.add(received_bytes as u64);
            let reply = shared.broker.start(context, frame.bytes);
            let reservation = frame.reservation;
            unanswered.push_back(Unanswered { reply, order, key, version, started, reservation });
            continue;
        }
        if let Some(end) = ended.take_if(|_| unanswered.is_empty() && held.is_none()) {
            return end;
        }
        tokio::select! {
            biased;
            replies = ready_replies(&mut unanswered, &shared.node), if !unanswered.is_empty() => {
                last_progress = Instant::now();
                if let Some(end) = sender::send(&mut write_half, replies, shared).await {
                    return end;
                }
            }
            next = reader.next(&mut read_half), if held.is_none() && ended.is_none() => {
                last_progress = Instant::now();
                match next {
                    Ok(frame) => held = Some(frame),
                    Err(why) => ended = Some(end_of(why)),
                }
            }
            () = stop_wanted(&mut stopping), if ended.is_none() => {
                ended = Some(End::Quiet);
            }
            () = &mut check_idle => {
                let inside = reader.inside_frame() && held.is_none();
                let limit = if inside { Some(FRAME_LIMIT) } else { shared.node.limits.idle() };
                let idle = last_progress.elapsed();
                if unanswered.is_empty() && limit.is_some_and(|limit| idle >= limit) {
                    return match inside {
                        true => End::Said("a request began and did not arrive in 3 minutes".to_owned()),
                        false => End::Quiet,
                    };
                }
                let left = limit.map_or(CHECK_EVERY, |limit| limit.saturating_sub(idle));
                let pause = left.clamp(CHECK_PAUSE, CHECK_EVERY);
                check_idle.as_mut().reset(Instant::now() + pause);
            }
        }
    }
}

/// Ends when the daemon stops. The value behind the guard is dropped here: it must not be held
/// while others wait.
async fn stop_wanted(stopping: &mut watch::Receiver<bool>) {
    drop(stopping.wait_for(|stop| *stop).await);
}

/// Whether the order of the connection lets `frame` start now.
fn may_start(unanswered: &VecDeque<Unanswered>, frame: &Frame) -> bool {
    if unanswered.is_empty() {
        return true;
    }
    let bytes: usize = unanswered.iter().map(|one| one.reservation.bytes()).sum();
    order_of(&frame.bytes) == Order::Pipelined
        && unanswered.iter().all(|one| one.order == Order::Pipelined)
        && unanswered.len() < PIPELINED_MAX
        && bytes + frame.bytes.len() <= PIPELINED_BYTES_MAX
}

/// Waits for the oldest reply, and takes those behind it that are ready as well.
async fn ready_replies(unanswered: &mut VecDeque<Unanswered>, node: &Node) -> Vec<Reply> {
    std::future::poll_fn(|context| {
        let mut replies = Vec::new();
        while let Some(front) = unanswered.front_mut() {
            match front.reply.as_mut().poll(context) {
                Poll::Ready(reply) => {
                    count(node, front, &reply);
                    replies.push(reply);
                }
                Poll::Pending => break,
            }
            unanswered.pop_front();
        }
        if replies.is_empty() { Poll::Pending } else { Poll::Ready(replies) }
    })
    .await
}

/// API key and version of a request, for counting; what is too short to have them is nobody's.
fn key_and_version(frame: &[u8]) -> (i16, i16) {
    match frame.first_chunk::<4>() {
        Some([k0, k1, v0, v1]) => (i16::from_be_bytes([*k0, *k1]), i16::from_be_bytes([*v0, *v1])),
        None => (-1, -1),
    }
}

/// Counts the end of a request.
fn count(node: &Node, done: &Unanswered, reply: &Reply) {
    let api = node.metrics.api(done.key);
    api.latency.observe(done.started.elapsed());
    match reply {
        Reply::Send(pieces) | Reply::SendHeld(pieces, _) => {
            let first = pieces.first().map_or(&[][..], |piece| piece);
            if let Some(code) = answer_error(done.key, done.version, first) {
                api.error(code);
            }
            part_errors(done.key, done.version, pieces, |code| api.error(code));
        }
        Reply::Silence => {}
        Reply::Close(_) => api.closed.add(1),
    }
}

fn end_of(why: ReadEnd) -> End {
    match why {
        ReadEnd::Closed | ReadEnd::ClosedInside | ReadEnd::Failed(_) => End::Quiet,
        ReadEnd::Refused(refusal) => End::Said(refusal.to_string()),
        ReadEnd::Crowded => End::Said(
            "the node's memory for requests in flight was used up for 10 s; the client may retry"
                .to_owned(),
        ),
    }
}
