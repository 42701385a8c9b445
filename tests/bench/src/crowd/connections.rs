//! Thousands of connections to one broker, driven by one thread.
//!
//! The idea: a client whose next request depends on its last answer has one request open, so a
//! connection is one frame going out and one answer coming in, and no queue. `epoll` says which of
//! them have something; the cost of a turn is that of the busy connections, not of all.
//!
//! Invariants: one request is open per connection; an answer that carries another correlation id, a
//! size out of bounds or bytes behind its end is an error. An answer stays readable until the next
//! `send` on its connection.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};

use nix::errno::Errno;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags};

use crate::client::{Client, Failed, Result};
use crate::wire::set_correlation;

/// Answers here are assignments or a few records; more than this is a lie.
const ANSWER_BYTES_MAX: usize = 4 << 20;
/// Size and correlation id.
const HEAD_BYTES: usize = 8;
/// Events taken from the kernel at once.
const EVENTS_MAX: usize = 512;
/// A turn never sleeps longer, so that a caller's own deadline is looked at.
const WAIT_MS_MAX: u64 = 100;

struct Connection {
    socket: TcpStream,
    correlation: i32,
    open: bool,
    outgoing: Vec<u8>,
    written: usize,
    incoming: Vec<u8>,
}

/// Connections, named by their index.
pub struct Connections {
    epoll: Epoll,
    all: Vec<Connection>,
    events: Vec<EpollEvent>,
    scratch: Vec<u8>,
}

impl Connections {
    /// Opens `count` connections, one after the other: each has had an answer before the next one
    /// starts, so that no broker's accept queue overflows.
    pub fn open(address: SocketAddr, count: usize) -> Result<Self> {
        crate::sample::raise_open_files();
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC).map_err(io::Error::from)?;
        let mut all = Vec::with_capacity(count);
        for index in 0..count {
            let mut client = Client::connect(address).map_err(|error| {
                Failed::Wrong(format!(
                    "connection {index} of {count} failed: {error}; is the limit on open files \
                     (ulimit -n) of broker and generator above {count}?"
                ))
            })?;
            client.api_versions()?;
            let socket = client.into_socket();
            socket.set_nonblocking(true)?;
            let interest = EpollEvent::new(EpollFlags::EPOLLIN, index as u64);
            epoll.add(&socket, interest).map_err(io::Error::from)?;
            all.push(Connection {
                socket,
                correlation: 0,
                open: false,
                outgoing: Vec::new(),
                written: 0,
                incoming: Vec::new(),
            });
        }
        let events = vec![EpollEvent::empty(); EVENTS_MAX];
        Ok(Self { epoll, all, events, scratch: vec![0; 256 << 10] })
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.all.len()
    }

    /// Is a request open on connection `index`?
    pub fn is_open(&self, index: usize) -> bool {
        self.all[index].open
    }

    /// Sends a frame; its correlation id is filled in here.
    pub fn send(&mut self, index: usize, mut frame: Vec<u8>) -> Result<()> {
        let connection = &mut self.all[index];
        assert!(!connection.open, "one request at a time per connection");
        connection.correlation = connection.correlation.wrapping_add(1);
        set_correlation(&mut frame, connection.correlation);
        connection.open = true;
        connection.incoming.clear();
        connection.outgoing = frame;
        connection.written = 0;
        if !connection.flush()? {
            self.watch(index, EpollFlags::EPOLLIN | EpollFlags::EPOLLOUT)?;
        }
        Ok(())
    }

    /// The answer `wait` reported for connection `index`, behind its correlation id.
    pub fn answer(&self, index: usize) -> &[u8] {
        self.all[index].incoming.get(HEAD_BYTES..).unwrap_or_default()
    }

    /// Waits at most `wait_ns` (0: does not wait) and puts the indexes of connections with a whole
    /// answer into `ready`. Rounds up to milliseconds: never early.
    pub fn wait(&mut self, wait_ns: u64, ready: &mut Vec<usize>) -> Result<()> {
        ready.clear();
        let wait_ms = wait_ns.div_ceil(1_000_000).min(WAIT_MS_MAX) as u16;
        let count = match self.epoll.wait(&mut self.events, wait_ms) {
            Ok(count) => count,
            Err(Errno::EINTR) => 0,
            Err(error) => return Err(io::Error::from(error).into()),
        };
        for at in 0..count {
            let event = self.events[at];
            let index = event.data() as usize;
            if event.events().contains(EpollFlags::EPOLLOUT) && self.all[index].flush()? {
                self.watch(index, EpollFlags::EPOLLIN)?;
            }
            let readable = EpollFlags::EPOLLIN | EpollFlags::EPOLLHUP | EpollFlags::EPOLLERR;
            if event.events().intersects(readable) && self.all[index].read(&mut self.scratch)? {
                ready.push(index);
            }
        }
        Ok(())
    }

    fn watch(&self, index: usize, flags: EpollFlags) -> Result<()> {
        let mut interest = EpollEvent::new(flags, index as u64);
        self.epoll.modify(&self.all[index].socket, &mut interest).map_err(io::Error::from)?;
        Ok(())
    }
}

impl Connection {
    /// Writes what is left of the frame; true once it is out.
    fn flush(&mut self) -> Result<bool> {
        while self.written < self.outgoing.len() {
            match self.socket.write(&self.outgoing[self.written..]) {
                Ok(0) => return Err(closed()),
                Ok(more) => self.written += more,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                Err(error) => return Err(error.into()),
            }
        }
        Ok(true)
    }

    /// Takes what has come; true when the answer is whole.
    fn read(&mut self, scratch: &mut [u8]) -> Result<bool> {
        match self.socket.read(scratch) {
            Ok(0) => return Err(closed()),
            Ok(len) => self.incoming.extend_from_slice(&scratch[..len]),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
            Err(error) => return Err(error.into()),
        }
        if !self.open {
            return Err(Failed::Wrong("an answer without a request".into()));
        }
        let whole = whole(&self.incoming, self.correlation)?;
        self.open = !whole;
        Ok(whole)
    }
}

fn closed() -> Failed {
    Failed::Wrong("the broker closed a connection: its log says why".into())
}

/// Is the answer to request `correlation` whole?
fn whole(incoming: &[u8], correlation: i32) -> Result<bool> {
    let Some(head) = incoming.first_chunk::<HEAD_BYTES>() else { return Ok(false) };
    let [s0, s1, s2, s3, c0, c1, c2, c3] = *head;
    let size = usize::try_from(i32::from_be_bytes([s0, s1, s2, s3])).unwrap_or(0);
    if !(4..ANSWER_BYTES_MAX).contains(&size) {
        return Err(Failed::Wrong(format!("an answer of {size} bytes")));
    }
    let answered = i32::from_be_bytes([c0, c1, c2, c3]);
    if answered != correlation {
        return Err(Failed::Wrong(format!("answer {answered} came for request {correlation}")));
    }
    match incoming.len() {
        len if len > size + 4 => Err(Failed::Wrong("bytes behind an answer".into())),
        len => Ok(len == size + 4),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_whole_only_with_its_last_byte() {
        let answer = [0, 0, 0, 6, 0, 0, 0, 7, 1, 2];
        for len in 0..answer.len() {
            assert!(!whole(&answer[..len], 7).unwrap(), "{len} bytes");
        }
        assert!(whole(&answer, 7).unwrap());
    }

    #[test]
    fn an_answer_to_another_request_or_of_a_false_size_is_refused() {
        assert!(whole(&[0, 0, 0, 4, 0, 0, 0, 7], 8).is_err());
        assert!(whole(&[0, 0, 0, 4, 0, 0, 0, 7, 1], 7).is_err(), "bytes behind");
        assert!(whole(&[0, 0, 0, 3, 0, 0, 0, 7], 7).is_err(), "no room for a correlation id");
        assert!(whole(&[0xff, 0, 0, 4, 0, 0, 0, 7], 7).is_err(), "a negative size");
    }
}
