//! The producer side: one thread, any number of connections, nothing encoded while it runs.
//!
//! Two ways to drive it:
//! - **saturate**: every connection keeps `in_flight` requests of one full batch each open until
//!   `records` are sent. Latency counts from the first byte of the request to its answer.
//! - **paced**: record *i* is due at `i × interval`, whatever the broker does (open loop). As
//!   clients with `linger 0` do, a connection sends what is due at once while fewer than `in_flight`
//!   requests are open; what waits behind them leaves together in the next batch, at most
//!   `batch_records_max`. Latency counts from the moment a record was due.
//!
//! A request is three slices: a head (partition and correlation patched in place), a batch encoded
//! once per record count, and a constant tail; they leave in one `writev`.
//!
//! Invariant: answers come in the order of requests, per connection; any error code ends the run.

use std::collections::VecDeque;
use std::io::{self, IoSlice, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::AsFd;

use hdrhistogram::Histogram;
use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::time::TimeSpec;

use crate::batch;
use crate::client::{Client, Failed, PRODUCE_TAIL, Result, produce_answer, produce_head};
use crate::clock::{Stopwatch, unix_ms};
use crate::wire::set_correlation;

/// No answer for this long ends a run.
const SILENCE_NS_MAX: u64 = 60_000_000_000;
/// Answers to Produce are some dozen bytes; more than this is a lie.
const ANSWER_BYTES_MAX: usize = 64 << 10;

/// When records leave.
#[derive(Debug, Clone, Copy)]
pub enum Pace {
    /// As fast as the broker answers.
    Saturate,
    /// One record each `interval_ns`, whatever the broker does.
    Open {
        /// Nanoseconds between two records.
        interval_ns: u64,
    },
}

/// What to send.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Topic, which exists.
    pub topic: String,
    /// Its partitions, spread over the connections.
    pub partitions: i32,
    /// Connections.
    pub connections: usize,
    /// Requests one connection may have open.
    pub in_flight: usize,
    /// Records of a full batch.
    pub batch_records_max: usize,
    /// Bytes of a record's value.
    pub value_bytes: usize,
    /// Records in all.
    pub records: u64,
    /// When they leave.
    pub pace: Pace,
}

/// What came of it.
#[derive(Debug)]
pub struct Outcome {
    /// From the first record to the last answer.
    pub seconds: f64,
    /// Records acknowledged.
    pub records: u64,
    /// Bytes of their values.
    pub payload_bytes: u64,
    /// Requests they took.
    pub requests: u64,
    /// Nanoseconds; per batch when saturating, per record when paced.
    pub latency_ns: Histogram<u64>,
    /// CPU seconds the generator used.
    pub own_cpu_seconds: f64,
}

/// Values that no compression on the way could shrink, the same in every run.
pub fn value_of(bytes: usize, seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut value = Vec::with_capacity(bytes + 8);
    while value.len() < bytes {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        value.extend_from_slice(&state.to_be_bytes());
    }
    value.truncate(bytes);
    value
}

/// A head whose partition can be changed in place.
#[derive(Clone)]
struct Head {
    bytes: Vec<u8>,
    partition_at: usize,
}

/// Everything encoded before the clock starts: per record count one batch and one head.
struct Prepared {
    batches: Vec<Vec<u8>>,
    heads: Vec<Head>,
}

impl Prepared {
    fn new(plan: &Plan) -> Self {
        let value = value_of(plan.value_bytes, 7);
        let counts = match plan.pace {
            Pace::Saturate => plan.batch_records_max..=plan.batch_records_max,
            Pace::Open { .. } => 1..=plan.batch_records_max,
        };
        let now = unix_ms();
        let batches: Vec<_> = counts
            .map(|count| batch::build(std::iter::repeat_n(value.as_slice(), count), now))
            .collect();
        let heads = batches
            .iter()
            .map(|batch| {
                let bytes = produce_head(&plan.topic, 0, -1, batch.len());
                let mut length = Vec::new();
                crate::wire::unsigned_varint(&mut length, batch.len() as u32 + 1);
                let partition_at = bytes.len() - length.len() - 4;
                Head { bytes, partition_at }
            })
            .collect();
        Self { batches, heads }
    }
}

/// A request on its way or waiting for its answer.
struct Sent {
    count: u64,
    /// Saturating: when its first byte left. Paced: when its first record was due.
    from_ns: u64,
    partition: i32,
    correlation: i32,
}

struct Connection {
    socket: TcpStream,
    heads: Vec<Head>,
    /// Partitions first, first + step, ...
    next_partition: i32,
    first_partition: i32,
    correlation: i32,
    waiting: VecDeque<Sent>,
    /// (index into prepared, bytes written) of the frame that is not wholly out yet.
    outgoing: Option<(usize, usize)>,
    incoming: Vec<u8>,
    /// Records of this connection that have left.
    taken: u64,
}

/// Runs a plan to its end.
pub fn run(address: SocketAddr, plan: &Plan) -> Result<Outcome> {
    Driver::new(address, plan)?.run()
}

struct Driver<'a> {
    plan: &'a Plan,
    prepared: Prepared,
    connections: Vec<Connection>,
    step: i32,
    taken: u64,
    acknowledged: u64,
    requests: u64,
    latency_ns: Histogram<u64>,
    clock: Stopwatch,
}

impl<'a> Driver<'a> {
    fn new(address: SocketAddr, plan: &'a Plan) -> Result<Self> {
        assert!(plan.connections >= 1 && plan.in_flight >= 1 && plan.batch_records_max >= 1);
        assert!(plan.partitions as usize >= plan.connections, "each connection needs a partition");
        // Without this the kernel may wake the generator 50 µs late: as much as a broker takes.
        let _ = nix::sys::prctl::set_timerslack(1);
        let prepared = Prepared::new(plan);
        let mut connections = Vec::new();
        for index in 0..plan.connections {
            let socket = Client::connect(address)?.into_socket();
            socket.set_nonblocking(true)?;
            connections.push(Connection {
                socket,
                heads: prepared.heads.clone(),
                next_partition: index as i32,
                first_partition: index as i32,
                correlation: 0,
                waiting: VecDeque::new(),
                outgoing: None,
                incoming: Vec::new(),
                taken: 0,
            });
        }
        let latency_ns = Histogram::new_with_bounds(1_000, 600_000_000_000, 3)
            .map_err(|error| Failed::Wrong(format!("histogram: {error}")))?;
        Ok(Self {
            plan,
            prepared,
            connections,
            step: plan.connections as i32,
            taken: 0,
            acknowledged: 0,
            requests: 0,
            latency_ns,
            clock: Stopwatch::start(),
        })
    }

    fn run(mut self) -> Result<Outcome> {
        let cpu_before = crate::process::own_cpu_seconds();
        self.clock = Stopwatch::start();
        let mut heard_ns = 0;
        while self.acknowledged < self.plan.records {
            for index in 0..self.connections.len() {
                self.write(index)?;
            }
            if self.wait()? {
                heard_ns = self.clock.ns();
            } else if self.clock.ns() - heard_ns > SILENCE_NS_MAX {
                return Err(Failed::Wrong("no answer to Produce for 60 s".into()));
            }
        }
        Ok(Outcome {
            seconds: self.clock.seconds(),
            records: self.acknowledged,
            payload_bytes: self.acknowledged * self.plan.value_bytes as u64,
            requests: self.requests,
            latency_ns: self.latency_ns,
            own_cpu_seconds: crate::process::own_cpu_seconds() - cpu_before,
        })
    }

    /// How many records connection `index` may take now, at most one batch.
    fn due(&self, index: usize) -> usize {
        let left = self.plan.records - self.taken;
        let most = self.plan.batch_records_max as u64;
        match self.plan.pace {
            Pace::Saturate => left.min(most) as usize,
            Pace::Open { interval_ns } => {
                let due = (self.clock.ns() / interval_ns + 1).min(self.plan.records);
                let (k, c) = (self.plan.connections as u64, index as u64);
                let mine = (due + k - 1 - c) / k;
                (mine - self.connections[index].taken).min(most) as usize
            }
        }
    }

    /// When the next record of any connection is due.
    fn next_due_ns(&self, interval_ns: u64) -> u64 {
        let k = self.plan.connections as u64;
        let due = self.connections.iter().enumerate().filter_map(|(c, connection)| {
            let next = connection.taken * k + c as u64;
            let free = connection.waiting.len() < self.plan.in_flight;
            (free && connection.outgoing.is_none() && next < self.plan.records)
                .then_some(next * interval_ns)
        });
        due.min().unwrap_or(u64::MAX)
    }

    fn write(&mut self, index: usize) -> Result<()> {
        loop {
            if self.connections[index].outgoing.is_none() {
                let free = self.connections[index].waiting.len() < self.plan.in_flight;
                let count = if free { self.due(index) } else { 0 };
                if count == 0 {
                    return Ok(());
                }
                self.open(index, count);
            }
            let connection = &mut self.connections[index];
            let Some((which, written)) = connection.outgoing else { return Ok(()) };
            let head = &connection.heads[which].bytes;
            let batch = &self.prepared.batches[which];
            let total = head.len() + batch.len() + PRODUCE_TAIL.len();
            let mut slices = [IoSlice::new(head), IoSlice::new(batch), IoSlice::new(&PRODUCE_TAIL)];
            let mut rest = &mut slices[..];
            IoSlice::advance_slices(&mut rest, written);
            match connection.socket.write_vectored(rest) {
                Ok(0) => return Err(Failed::Wrong("the broker closed the connection".into())),
                Ok(more) if written + more == total => connection.outgoing = None,
                Ok(more) => connection.outgoing = Some((which, written + more)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Takes `count` records for a new frame on connection `index`.
    fn open(&mut self, index: usize, count: usize) {
        let k = self.plan.connections as u64;
        let connection = &mut self.connections[index];
        // Saturating has one batch size: the last frame may carry a few records more than asked.
        let (which, count) = match self.plan.pace {
            Pace::Saturate => (0, self.plan.batch_records_max as u64),
            Pace::Open { .. } => (count - 1, count as u64),
        };
        let from_ns = match self.plan.pace {
            Pace::Saturate => self.clock.ns(),
            Pace::Open { interval_ns } => (connection.taken * k + index as u64) * interval_ns,
        };
        let partition = connection.next_partition;
        connection.next_partition += self.step;
        if connection.next_partition >= self.plan.partitions {
            connection.next_partition = connection.first_partition;
        }
        connection.correlation = connection.correlation.wrapping_add(1);
        let head = &mut connection.heads[which];
        let at = head.partition_at;
        head.bytes[at..at + 4].copy_from_slice(&partition.to_be_bytes());
        set_correlation(&mut head.bytes, connection.correlation);
        connection.taken += count;
        self.taken = (self.taken + count).min(self.plan.records);
        self.requests += 1;
        let correlation = connection.correlation;
        connection.waiting.push_back(Sent { count, from_ns, partition, correlation });
        connection.outgoing = Some((which, 0));
    }

    /// Sleeps until an answer, room to write, or a record that is due. True if answers came.
    fn wait(&mut self) -> Result<bool> {
        let timeout_ns = match self.plan.pace {
            Pace::Saturate => 1_000_000_000,
            Pace::Open { interval_ns } => {
                self.next_due_ns(interval_ns).saturating_sub(self.clock.ns()).min(1_000_000_000)
            }
        };
        let ready: Vec<bool> = {
            let mut sockets: Vec<PollFd<'_>> = self
                .connections
                .iter()
                .map(|connection| {
                    let mut events = PollFlags::POLLIN;
                    if connection.outgoing.is_some() {
                        events |= PollFlags::POLLOUT;
                    }
                    PollFd::new(connection.socket.as_fd(), events)
                })
                .collect();
            let timeout = TimeSpec::new(0, timeout_ns.min(999_999_999) as i64);
            match ppoll(&mut sockets, Some(timeout), None) {
                Ok(_) | Err(nix::errno::Errno::EINTR) => {}
                Err(error) => return Err(io::Error::from(error).into()),
            }
            let readable = PollFlags::POLLIN | PollFlags::POLLHUP | PollFlags::POLLERR;
            sockets
                .iter()
                .map(|socket| socket.revents().is_some_and(|events| events.intersects(readable)))
                .collect()
        };
        let mut heard = false;
        for (index, ready) in ready.into_iter().enumerate() {
            if ready {
                heard |= self.read(index)?;
            }
        }
        Ok(heard)
    }

    fn read(&mut self, index: usize) -> Result<bool> {
        let connection = &mut self.connections[index];
        let mut chunk = [0u8; 8 << 10];
        match connection.socket.read(&mut chunk) {
            Ok(0) => return Err(Failed::Wrong("the broker closed the connection".into())),
            Ok(len) => connection.incoming.extend_from_slice(&chunk[..len]),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
            Err(error) => return Err(error.into()),
        }
        let now_ns = self.clock.ns();
        let k = self.plan.connections as u64;
        let mut at = 0;
        let mut heard = false;
        while let Some(head) = connection.incoming.get(at..).and_then(<[u8]>::first_chunk::<8>) {
            let [s0, s1, s2, s3, c0, c1, c2, c3] = *head;
            let size = usize::try_from(i32::from_be_bytes([s0, s1, s2, s3])).unwrap_or(0);
            if !(4..ANSWER_BYTES_MAX).contains(&size) {
                return Err(Failed::Wrong(format!("a Produce answer of {size} bytes")));
            }
            let Some(body) = connection.incoming.get(at + 8..at + 4 + size) else { break };
            let correlation = i32::from_be_bytes([c0, c1, c2, c3]);
            let appended = produce_answer(body)?;
            let Some(sent) = connection.waiting.pop_front() else {
                return Err(Failed::Wrong("an answer without a request".into()));
            };
            if sent.correlation != correlation || sent.partition != appended.partition {
                return Err(Failed::Wrong("answers out of order".into()));
            }
            if appended.base_offset < 0 {
                return Err(Failed::Wrong("an acknowledged batch without an offset".into()));
            }
            match self.plan.pace {
                Pace::Saturate => self.latency_ns.saturating_record(now_ns - sent.from_ns),
                Pace::Open { interval_ns } => {
                    for record in 0..sent.count {
                        let due_ns = sent.from_ns + record * k * interval_ns;
                        self.latency_ns.saturating_record(now_ns.saturating_sub(due_ns));
                    }
                }
            }
            self.acknowledged += sent.count;
            at += 4 + size;
            heard = true;
        }
        connection.incoming.drain(..at);
        Ok(heard)
    }
}

#[cfg(test)]
mod tests;
