//! Sockets that are driven by hand: from an address of their own, with a receive buffer of their
//! own size, and readers that do not read.

use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpStream};
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use holdfast_bench::client::{FetchFrom, FetchLimits, fetch_frame};
use holdfast_bench::clock::nap;
use holdfast_bench::wire::Request;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::socket::{
    AddressFamily, SockFlag, SockType, SockaddrIn, bind, connect as connect_to, setsockopt, socket,
    sockopt,
};

use super::PARTITIONS;
use crate::Result;

/// For 10,000 connections in this process, and as many in the node's, which inherits it.
const DESCRIPTORS: u64 = 12_000;
/// The least a kernel gives.
const RECEIVE_BYTES_SMALL: usize = 2_304;
/// An answer as large as the broker gives: 50 MiB over all partitions.
const PARTITION_BYTES: i32 = 8 << 20;
/// Fetch requests a reader sends one behind the other: more than the kernel's buffers take answers.
const PIPELINED: usize = 64;
/// What a slow reader takes, and how often.
const SIP_BYTES: usize = 16;
const SIP_EVERY: Duration = Duration::from_millis(250);
/// An answer comes within this, or it does not come.
const ANSWER_WAIT: Duration = Duration::from_secs(10);

/// Lifts the limit of open files as far as it goes.
pub(super) fn allow_descriptors() {
    let Ok((_, hard)) = getrlimit(Resource::RLIMIT_NOFILE) else { return };
    // Without the right to lift the hard one, the soft one still goes up to it.
    let lifted = hard.max(DESCRIPTORS);
    if setrlimit(Resource::RLIMIT_NOFILE, lifted, lifted).is_err() {
        let _ = setrlimit(Resource::RLIMIT_NOFILE, hard, hard);
    }
}

/// Descriptors a process has open.
pub(super) fn descriptors(pid: u32) -> Result<u64> {
    let entries = fs::read_dir(format!("/proc/{pid}/fd"));
    Ok(entries.map_err(|error| format!("the node's descriptors: {error}"))?.count() as u64)
}

/// The n-th loopback address: a crowd needs more ports than one has.
pub(super) fn loopback(number: u8) -> Ipv4Addr {
    Ipv4Addr::new(127, 0, 0, number)
}

/// Connects from `source`; a receive buffer of `receive_bytes` if given.
pub(super) fn connect(
    address: SocketAddr,
    source: Ipv4Addr,
    receive_bytes: Option<usize>,
) -> Result<TcpStream> {
    let SocketAddr::V4(address) = address else { return Err("not an IPv4 address".into()) };
    let failed = |what: &str| {
        let what = what.to_owned();
        move |error: nix::Error| format!("{what}: {error}")
    };
    let socket = socket(AddressFamily::Inet, SockType::Stream, SockFlag::SOCK_CLOEXEC, None)
        .map_err(failed("no socket"))?;
    if let Some(bytes) = receive_bytes {
        // Before connecting: the window is agreed upon then.
        setsockopt(&socket, sockopt::RcvBuf, &bytes).map_err(failed("its receive buffer"))?;
    }
    let source = SockaddrIn::from(SocketAddrV4::new(source, 0));
    bind(socket.as_raw_fd(), &source).map_err(failed("its address"))?;
    connect_to(socket.as_raw_fd(), &SockaddrIn::from(address)).map_err(failed("connecting"))?;
    let stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(ANSWER_WAIT)).map_err(|error| error.to_string())?;
    Ok(stream)
}

/// Asks for ApiVersions without waiting.
pub(super) fn greet(stream: &mut TcpStream) -> Result<()> {
    let frame = Request::new(18, 0, false, "crowd").finish(0);
    stream.write_all(&frame).map_err(|error| format!("a request cannot be sent: {error}"))
}

/// Reads the answer to [`greet`].
pub(super) fn greeted(stream: &mut TcpStream) -> Result<()> {
    let mut size = [0; 4];
    let failed = |error: std::io::Error| format!("no answer to ApiVersions: {error}");
    stream.read_exact(&mut size).map_err(failed)?;
    let size = i32::from_be_bytes(size);
    let size = usize::try_from(size).ok().filter(|size| (6..64 << 10).contains(size));
    let mut answer = vec![0; size.ok_or("the answer's size is absurd")?];
    stream.read_exact(&mut answer).map_err(failed)?;
    if answer[4..6] == [0, 0] { Ok(()) } else { Err("ApiVersions answered an error".into()) }
}

/// Readers that ask for more than they take, on a thread of their own.
pub(super) struct Readers {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Result<Taken>>,
}

/// What came of them.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Taken {
    /// Connections the node closed; each was made again.
    pub(super) closed: u64,
    /// Bytes the slow ones took.
    pub(super) bytes: u64,
}

impl Readers {
    /// `slow` that take a few bytes a second, and `deaf` that take none. Each starts at an offset
    /// of its own below `offsets`, so that no two answers are the same bytes.
    pub(super) fn start(
        address: SocketAddr,
        topic: &str,
        slow: usize,
        deaf: usize,
        offsets: i64,
    ) -> Result<Self> {
        let topic = topic.to_owned();
        let step = offsets / (slow + deaf).max(1) as i64;
        let connect = move |index: usize| -> Result<TcpStream> {
            let frame = large_fetch(&topic, index as i64 * step);
            let mut stream = connect(address, loopback(2), Some(RECEIVE_BYTES_SMALL))?;
            for _ in 0..PIPELINED {
                stream.write_all(&frame).map_err(|error| error.to_string())?;
            }
            stream.set_nonblocking(true).map_err(|error| error.to_string())?;
            Ok(stream)
        };
        let mut streams = Vec::new();
        for index in 0..slow + deaf {
            streams.push(connect(index)?);
        }
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            let mut taken = Taken::default();
            while !stopped.load(Ordering::Relaxed) {
                nap(SIP_EVERY);
                for (index, stream) in streams.iter_mut().enumerate() {
                    if !still_open(stream, index < slow, &mut taken) {
                        taken.closed += 1;
                        *stream = connect(index)?;
                    }
                }
            }
            Ok(taken)
        });
        Ok(Self { stop, thread })
    }

    /// All leave.
    pub(super) fn end(self) -> Result<Taken> {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().unwrap_or_else(|_| Err("the readers panicked".into()))
    }
}

/// Takes a sip where `sips`; whether the node has kept the connection.
fn still_open(stream: &mut TcpStream, sips: bool, taken: &mut Taken) -> bool {
    let mut sip = [0; SIP_BYTES];
    let outcome =
        if sips { stream.read(&mut sip) } else { stream.take_error().map(|e| e.map_or(1, |_| 0)) };
    match outcome {
        Ok(0) => false,
        Ok(bytes) => {
            taken.bytes += if sips { bytes as u64 } else { 0 };
            true
        }
        Err(error) => error.kind() == ErrorKind::WouldBlock,
    }
}

fn large_fetch(topic: &str, offset: i64) -> Vec<u8> {
    let from: Vec<_> = (0..PARTITIONS).map(|partition| FetchFrom { partition, offset }).collect();
    let limits = FetchLimits { wait_ms: 100, min_bytes: 1, partition_bytes: PARTITION_BYTES };
    fetch_frame(topic, &from, limits)
}
