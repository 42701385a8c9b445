//! What systemd is told, in its own protocol: datagrams of `NAME=value` lines.

mod common;

use common::{Node, Scratch, metadata};
use nix::sys::signal::Signal;
use std::cell::Cell;
use std::os::unix::net::UnixDatagram;
use std::time::Duration;

/// Longer than the status line's interval, on a loaded machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// Half a second each: a test that passes sees a few.
const WATCHDOGS_MAX: usize = 120;

/// systemd's end.
struct Manager {
    socket: UnixDatagram,
    watchdogs: Cell<usize>,
}

impl Manager {
    fn new(scratch: &Scratch) -> (Manager, String) {
        let path = scratch.0.join("notify");
        let socket = UnixDatagram::bind(&path).expect("a socket");
        socket.set_read_timeout(Some(PATIENCE)).expect("a socket");
        (
            Manager { socket, watchdogs: Cell::new(0) },
            path.to_str().expect("a name of ours").to_owned(),
        )
    }

    /// The next message with `text` in it; the watchdog's may come at any time and are counted.
    fn wait_for(&self, text: &str) -> String {
        let mut seen = Vec::new();
        let mut bytes = [0; 4096];
        loop {
            let received = self.socket.recv(&mut bytes);
            let Ok(length) = received else {
                panic!("{text:?} was not told, but {seen:#?}");
            };
            let message = String::from_utf8_lossy(&bytes[..length]).into_owned();
            if message.contains("WATCHDOG=1") {
                self.watchdogs.set(self.watchdogs.get() + 1);
                assert!(self.watchdogs.get() < WATCHDOGS_MAX, "no {text:?}, but {seen:#?}");
                continue;
            }
            if message.contains(text) {
                return message;
            }
            seen.push(message);
        }
    }
}

#[test]
fn systemd_is_told_of_every_step() {
    let scratch = Scratch::new();
    let (manager, socket) = Manager::new(&scratch);
    let environment = [("NOTIFY_SOCKET", socket.as_str()), ("WATCHDOG_USEC", "2000000")];
    let node = Node::start_in(&scratch.0.join("data"), &[], &environment);
    manager.wait_for("EXTEND_TIMEOUT_USEC=");
    let ready = manager.wait_for("READY=1");
    assert!(ready.contains("STATUS=serving on"), "{ready}");
    let status = manager.wait_for("STATUS=serving 0 topics on 127.0.0.1:");
    assert!(status.contains("17 of 17 shards led") && status.contains("% full"), "{status}");
    let mut client = node.connect();
    client.send(&metadata(1, "made"));
    client.answer();
    let status = manager.wait_for("STATUS=serving 1 topic on");
    assert!(status.contains("1 connection"), "{status}");

    node.signal(Signal::SIGHUP);
    let reloading = manager.wait_for("RELOADING=1");
    assert!(reloading.contains("MONOTONIC_USEC="), "{reloading}");
    manager.wait_for("READY=1");

    drop(client);
    node.signal(Signal::SIGTERM);
    manager.wait_for("STOPPING=1");
    assert_eq!(node.wait(), Some(0));
    assert!(manager.watchdogs.get() > 0, "the lane fed the watchdog");
}
