//! The disk as QEMU sees it: an NBD server on a UNIX socket, for one guest, until the power is cut.
//!
//! ```text
//! QEMU ─▶ reader ─▶ requests not yet begun ─▶ one of them, by the seed ─▶ Disk ─▶ reply
//!                                                │
//!                    Aim: is this the moment? ───┴─▶ flushes are held ─▶ cut: nothing is answered
//! ```
//!
//! The protocol is `doc/proto.md` of the NBD project: fixed newstyle, simple replies, READ, WRITE,
//! FLUSH, FUA. Nothing else is offered, so a guest has nothing else to lose.
//!
//! Requests that wait are served in an order drawn from the seed, and one that is alone waits now
//! and then for company: a flush overtakes writes that were not answered before it, as it may on
//! every disk. A node that takes a flush for durable which it sent before its write was answered is
//! found by that.
//!
//! Before a cut flushes are held back for a while, neither done nor answered: a slow disk. Whoever
//! acknowledges meanwhile has not waited for one, and its acknowledgement has the time to arrive.
//!
//! Invariant: a cut falls between two requests, under the lock of the disk; whatever was answered
//! before it was done before it.

use std::io::{self, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use holdfast_base::{Rng, SplitMix64};
use holdfast_crash::Result;

use crate::disk::{Cut, Disk, SECTOR_BYTES};
use crate::survivors::Loss;

const HELLO: &[u8; 8] = b"NBDMAGIC";
const OPTION: &[u8; 8] = b"IHAVEOPT";
const OPTION_REPLY: u64 = 0x0003_e889_0455_65a9;
const REQUEST: u32 = 0x2560_9513;
const REPLY: u32 = 0x6744_6698;
/// Fixed newstyle, no zeros behind an old-style export.
const HANDSHAKE: u16 = 0b11;
/// Has flags, takes FLUSH, takes FUA.
const EXPORT: u16 = 0b1101;
const FUA: u16 = 1;

const OPTION_ABORT: u32 = 2;
const OPTION_INFO: u32 = 6;
const OPTION_GO: u32 = 7;
const REPLY_ACK: u32 = 1;
const REPLY_INFO: u32 = 3;
const REPLY_UNSUPPORTED: u32 = 0x8000_0001;
const INFO_EXPORT: u16 = 0;
const INFO_BLOCK_SIZE: u16 = 3;

const COMMAND_READ: u16 = 0;
const COMMAND_WRITE: u16 = 1;
const COMMAND_DISCONNECT: u16 = 2;
const COMMAND_FLUSH: u16 = 3;
const INVALID: u32 = 22;
const IO_ERROR: u32 = 5;

/// NBD's own bound on a request.
const REQUEST_BYTES_MAX: u32 = 32 << 20;
/// An option of QEMU's is a name and a few numbers.
const OPTION_BYTES_MAX: u32 = 4096;
/// One request of so many waits for company.
const WAITS_OF: u64 = 8;
const WAIT: Duration = Duration::from_micros(300);

/// At which request the power goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Aim {
    /// At the write of a frame of the log, so many frames later.
    Frame(u64),
    /// When so many flushes later one comes; it is not done.
    Flush(u64),
    /// When so many sectors are not flushed.
    Sectors(usize),
}

impl Aim {
    /// As shown.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Aim::Frame(_) => "frame written",
            Aim::Flush(_) => "flush came",
            Aim::Sectors(_) => "cache filled",
        }
    }
}

#[derive(Debug)]
struct State {
    disk: Disk,
    rng: SplitMix64,
    aim: Option<Aim>,
    loss: Loss,
    /// Flushes are held back.
    holds: bool,
    cut: Option<io::Result<Cut>>,
    flushes: u64,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A disk that is served. Once cut it stays so: the next boot has a server of its own.
#[derive(Debug)]
pub(crate) struct Server(Arc<Shared>);

#[derive(Debug)]
struct Request {
    flags: u16,
    command: u16,
    cookie: [u8; 8],
    offset: u64,
    len: u32,
    bytes: Vec<u8>,
}

impl Server {
    /// Serves `disk` to the first who connects to `socket`.
    pub(crate) fn start(disk: Disk, socket: &Path, mut rng: SplitMix64) -> Result<Server> {
        let broken = |error: io::Error| format!("{}: {error}", socket.display());
        let _ = std::fs::remove_file(socket);
        let listener = UnixListener::bind(socket).map_err(broken)?;
        let mut order = rng.split();
        let state =
            State { disk, rng, aim: None, loss: Loss::All, holds: false, cut: None, flushes: 0 };
        let shared = Arc::new(Shared { state: Mutex::new(state), changed: Condvar::new() });
        let served = Arc::clone(&shared);
        thread::spawn(move || {
            // An error is QEMU's end, or found by a guest without a disk.
            if let Ok((stream, _)) = listener.accept() {
                let _ = serve(stream, &served, &mut order);
            }
        });
        Ok(Server(shared))
    }

    /// Flushes that were done.
    pub(crate) fn flushes(&self) -> u64 {
        self.0.lock().flushes
    }

    /// From now on flushes are answered and do nothing.
    pub(crate) fn lie(&self) {
        self.0.lock().disk.lie();
    }

    /// Holds flushes back from when `aim` is met, or after `patience`, and cuts the power `hold` later.
    /// Says what was lost and whether the aim was met.
    pub(crate) fn cut(
        &self,
        aim: Option<Aim>,
        loss: Loss,
        patience: Duration,
        hold: Duration,
    ) -> Result<(Cut, bool)> {
        let mut state = self.0.lock();
        state.loss = loss;
        state.aim = aim;
        let wait = |state, limit, is_over: fn(&State) -> bool| {
            let waited = self.0.changed.wait_timeout_while(state, limit, |state| !is_over(state));
            waited.unwrap_or_else(PoisonError::into_inner).0
        };
        if aim.is_some() {
            state = wait(state, patience, |state| state.holds);
            // Nothing ends this wait but time: the guest goes on.
            state = wait(state, hold, |_| false);
        }
        let is_met = state.holds;
        state.cut_now();
        match &state.cut {
            Some(Ok(cut)) => Ok((*cut, is_met)),
            Some(Err(error)) => Err(format!("the disk's file: {error}")),
            None => Err("the disk was not cut".to_owned()),
        }
    }
}

/// What becomes of a request.
enum Fate {
    /// Answered, with bytes or an error.
    Answered(std::result::Result<Vec<u8>, u32>),
    /// Neither done nor answered.
    Held,
    /// The power has gone.
    Cut,
}

impl State {
    fn cut_now(&mut self) {
        let loss = self.loss;
        self.cut = Some(self.disk.cut(loss, &mut self.rng));
    }

    /// Whether this write or flush is what the aim waits for.
    fn is_met(&mut self, is_flush: bool, frames: usize) -> bool {
        let unflushed = self.disk.unflushed();
        match &mut self.aim {
            Some(Aim::Flush(left)) if is_flush => count_down(left, unflushed > 0),
            Some(Aim::Frame(left)) if frames > 0 => count_down(left, true),
            Some(Aim::Sectors(enough)) => !is_flush && unflushed >= *enough,
            _ => false,
        }
    }

    /// Does one request.
    fn act(&mut self, request: &Request) -> Fate {
        if self.cut.is_some() {
            return Fate::Cut;
        }
        let whole = |number: u64| number.is_multiple_of(SECTOR_BYTES as u64);
        let end = request.offset.checked_add(u64::from(request.len));
        let is_inside = end.is_some_and(|end| end <= self.disk.len_bytes())
            && whole(request.offset)
            && whole(u64::from(request.len));
        let done = match request.command {
            COMMAND_FLUSH => {
                self.holds = self.holds || self.is_met(true, 0);
                if self.holds {
                    return Fate::Held;
                }
                self.flushes += 1;
                self.disk.flush().map(|()| Vec::new())
            }
            _ if !is_inside => return Fate::Answered(Err(INVALID)),
            COMMAND_READ => {
                let mut bytes = vec![0; request.len as usize];
                self.disk.read(request.offset, &mut bytes).map(|()| bytes)
            }
            COMMAND_WRITE if request.flags & FUA != 0 => {
                if self.holds {
                    return Fate::Held;
                }
                self.disk.write_through(request.offset, &request.bytes).map(|()| Vec::new())
            }
            COMMAND_WRITE => {
                let frames = self.disk.write(request.offset, &request.bytes);
                self.holds = self.holds || self.is_met(false, frames);
                Ok(Vec::new())
            }
            _ => return Fate::Answered(Err(INVALID)),
        };
        Fate::Answered(done.map_err(|_| IO_ERROR))
    }
}

/// One less to wait for; true when there was none left and `is_time`.
fn count_down(left: &mut u64, is_time: bool) -> bool {
    let is_due = *left == 0 && is_time;
    *left = left.saturating_sub(1);
    is_due
}

fn serve(mut stream: UnixStream, shared: &Shared, order: &mut SplitMix64) -> io::Result<()> {
    let len_bytes = shared.lock().disk.len_bytes();
    negotiate(&mut stream, len_bytes)?;
    let (to, from) = mpsc::channel();
    let mut reading = stream.try_clone()?;
    let reader = thread::spawn(move || take_requests(&mut reading, &to));
    let mut pending = Vec::new();
    while let Some(request) = next(&from, &mut pending, order) {
        // The lock is held while the reply leaves: after a cut nothing is answered.
        let mut state = shared.lock();
        let fate = state.act(&request);
        if state.holds {
            shared.changed.notify_all();
        }
        let reply = match fate {
            Fate::Answered(reply) => reply,
            Fate::Held => continue,
            Fate::Cut => break,
        };
        let mut bytes = Vec::from(REPLY.to_be_bytes());
        let (error, body) = reply.map_or_else(|error| (error, Vec::new()), |body| (0, body));
        bytes.extend_from_slice(&error.to_be_bytes());
        bytes.extend_from_slice(&request.cookie);
        bytes.extend_from_slice(&body);
        stream.write_all(&bytes)?;
    }
    // QEMU is killed, not told: a reader's thread ends with the connection.
    drop(reader);
    Ok(())
}

/// The next request to serve: see the module.
fn next(
    from: &Receiver<Request>,
    pending: &mut Vec<Request>,
    order: &mut SplitMix64,
) -> Option<Request> {
    if pending.is_empty() {
        pending.push(from.recv().ok()?);
    }
    if order.chance(1, WAITS_OF) {
        pending.extend(from.recv_timeout(WAIT).ok());
    }
    pending.extend(from.try_iter());
    let which = order.below(pending.len() as u64) as usize;
    Some(pending.swap_remove(which))
}

fn take_requests(stream: &mut UnixStream, to: &Sender<Request>) -> io::Result<()> {
    loop {
        if read_u32(stream)? != REQUEST {
            return Err(io::Error::other("not a request"));
        }
        let (flags, command) = (read_u16(stream)?, read_u16(stream)?);
        let mut cookie = [0; 8];
        stream.read_exact(&mut cookie)?;
        let (offset, len) = (read_u64(stream)?, read_u32(stream)?);
        if len > REQUEST_BYTES_MAX || command == COMMAND_DISCONNECT {
            return Ok(());
        }
        let mut bytes = Vec::new();
        if command == COMMAND_WRITE {
            bytes.resize(len as usize, 0);
            stream.read_exact(&mut bytes)?;
        }
        let request = Request { flags, command, cookie, offset, len, bytes };
        if to.send(request).is_err() {
            return Ok(());
        }
    }
}

/// Until the client says `GO`.
fn negotiate(stream: &mut (impl Read + Write), len_bytes: u64) -> io::Result<()> {
    stream.write_all(HELLO)?;
    stream.write_all(OPTION)?;
    stream.write_all(&HANDSHAKE.to_be_bytes())?;
    let _client_flags = read_u32(stream)?;
    loop {
        let mut magic = [0; 8];
        stream.read_exact(&mut magic)?;
        let (option, len) = (read_u32(stream)?, read_u32(stream)?);
        if magic != *OPTION || len > OPTION_BYTES_MAX {
            return Err(io::Error::other("not an option"));
        }
        let mut data = vec![0; len as usize];
        stream.read_exact(&mut data)?;
        match option {
            OPTION_INFO | OPTION_GO => {
                let mut export = Vec::from(INFO_EXPORT.to_be_bytes());
                export.extend_from_slice(&len_bytes.to_be_bytes());
                export.extend_from_slice(&EXPORT.to_be_bytes());
                answer(stream, option, REPLY_INFO, &export)?;
                let mut sizes = Vec::from(INFO_BLOCK_SIZE.to_be_bytes());
                for size in [SECTOR_BYTES as u32, SECTOR_BYTES as u32, REQUEST_BYTES_MAX] {
                    sizes.extend_from_slice(&size.to_be_bytes());
                }
                answer(stream, option, REPLY_INFO, &sizes)?;
                answer(stream, option, REPLY_ACK, &[])?;
                if option == OPTION_GO {
                    return Ok(());
                }
            }
            OPTION_ABORT => return Err(io::Error::other("given up by the client")),
            _ => answer(stream, option, REPLY_UNSUPPORTED, &[])?,
        }
    }
}

fn answer(stream: &mut impl Write, option: u32, kind: u32, data: &[u8]) -> io::Result<()> {
    let mut bytes = Vec::from(OPTION_REPLY.to_be_bytes());
    bytes.extend_from_slice(&option.to_be_bytes());
    bytes.extend_from_slice(&kind.to_be_bytes());
    bytes.extend_from_slice(&(data.len() as u32).to_be_bytes());
    bytes.extend_from_slice(data);
    stream.write_all(&bytes)
}

fn read_u16(stream: &mut impl Read) -> io::Result<u16> {
    let mut bytes = [0; 2];
    stream.read_exact(&mut bytes)?;
    Ok(u16::from_be_bytes(bytes))
}

fn read_u32(stream: &mut impl Read) -> io::Result<u32> {
    let mut bytes = [0; 4];
    stream.read_exact(&mut bytes)?;
    Ok(u32::from_be_bytes(bytes))
}

fn read_u64(stream: &mut impl Read) -> io::Result<u64> {
    let mut bytes = [0; 8];
    stream.read_exact(&mut bytes)?;
    Ok(u64::from_be_bytes(bytes))
}
