//! Step 6: the listening socket. Bound early, so that a taken port is told before a log is made;
//! it listens only when the node is ready, so that nobody connects to a node that cannot answer.
//!
//! SO_REUSEADDR, so that a restart need not wait for old connections to time out; not
//! SO_REUSEPORT, with which two daemons would share a port without anyone noticing.

use crate::report::{Code, Report};
use std::io::ErrorKind;
use std::net::SocketAddr;
use tokio::net::{TcpListener, TcpSocket};

/// Connections the kernel completes before we take them: a client library that starts hundreds of
/// consumers at once must not see resets.
pub(crate) const BACKLOG: u32 = 1_024;

/// A bound socket that does not listen yet.
pub(crate) struct BoundListener {
    socket: TcpSocket,
    address: SocketAddr,
}

impl BoundListener {
    /// Takes the address.
    pub(crate) fn bind(address: SocketAddr) -> Result<BoundListener, Report> {
        let made = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() };
        let socket = made.map_err(|error| refused(address, &error))?;
        let bound = socket
            .set_reuseaddr(true)
            .and_then(|()| socket.bind(address))
            .and_then(|()| socket.local_addr());
        match bound {
            Ok(address) => Ok(BoundListener { socket, address }),
            Err(error) => Err(refused(address, &error)),
        }
    }

    /// With the port the kernel chose, if it was asked to.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Lets clients in; `backlog` of them may wait to be taken.
    pub(crate) fn listen(self, backlog: u32) -> Result<TcpListener, Report> {
        let address = self.address;
        // With SO_REUSEADDR a second daemon may bind; only one may listen.
        self.socket.listen(backlog).map_err(|error| refused(address, &error))
    }
}

fn refused(address: SocketAddr, error: &std::io::Error) -> Report {
    let what = format!("cannot listen on {address}");
    let port = address.port();
    match error.kind() {
        ErrorKind::AddrInUse => Report::new(
            Code::PortInUse,
            what,
            format!("another process holds the port ({error})"),
            format!(
                "find it with `ss -ltnp 'sport = :{port}'` and stop it, or pass another --listen"
            ),
        ),
        ErrorKind::PermissionDenied => Report::new(
            Code::CannotListen,
            what,
            format!("{error}: ports below 1024 are for privileged processes"),
            "pass --listen with a port of 1024 or above",
        ),
        _ => Report::new(
            Code::CannotListen,
            what,
            error.to_string(),
            "pass --listen with an address of this machine, such as 127.0.0.1:9092",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpStream;

    fn loopback() -> BoundListener {
        let address = SocketAddr::from(([127, 0, 0, 1], 0));
        BoundListener::bind(address).unwrap_or_else(|report| panic!("{report}"))
    }

    #[tokio::test]
    async fn nobody_connects_before_the_node_is_ready_and_a_thousand_may_wait_afterwards() {
        let bound = loopback();
        let address = bound.address();
        let refused = TcpStream::connect(address).expect_err("it does not listen");
        assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
        let _listener = bound.listen(BACKLOG).unwrap_or_else(|report| panic!("{report}"));
        TcpStream::connect(address).expect("it listens");
        const { assert!(BACKLOG >= 1_024, "hundreds of consumers may start at once") };
    }

    #[tokio::test]
    async fn two_nodes_never_share_a_port() {
        let first = loopback();
        let address = first.address();
        let _listener = first.listen(1).unwrap_or_else(|report| panic!("{report}"));
        let second = BoundListener::bind(address).and_then(|bound| bound.listen(1).map(drop));
        assert_eq!(second.err().map(|report| report.code), Some(Code::PortInUse));
    }
}
