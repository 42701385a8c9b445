//! One `holdfastd --dev` as a child process, known by its pid, never left behind.

use std::fs::File;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use crate::binaries;
use crate::clock::{Stopwatch, nap};
use crate::run::{Result, checked};

/// A node answers within this, or something is wrong.
const START_WAIT: Duration = Duration::from_secs(30);
/// A node has ended this long after SIGTERM, or it hangs.
const STOP_WAIT: Duration = Duration::from_secs(30);

/// A running node.
pub(crate) struct Node {
    child: Child,
    /// Where it listens.
    pub(crate) address: SocketAddr,
}

impl Node {
    /// Starts a node and waits until it accepts connections; its log goes to `log` or to us. With
    /// `objects`, history goes to that directory.
    pub(crate) fn start(
        data: &Path,
        port: u16,
        objects: Option<&Path>,
        log: Option<File>,
    ) -> Result<Self> {
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        let mut command = Command::new(binaries::path(binaries::DAEMON));
        command.arg("--dev").arg("--data-dir").arg(data).arg("--listen").arg(address.to_string());
        if let Some(objects) = objects {
            command.arg(format!("--store=file://{}", objects.display()));
        }
        command.stdin(Stdio::null());
        if let Some(log) = log {
            let again = log.try_clone().map_err(|error| error.to_string())?;
            command.stdout(log).stderr(again);
        }
        let child = command.spawn().map_err(|error| format!("holdfastd cannot start: {error}"))?;
        let mut node = Self { child, address };
        let clock = Stopwatch::start();
        while TcpStream::connect(address).is_err() {
            if let Ok(Some(status)) = node.child.try_wait() {
                return Err(format!("holdfastd ended before it listened: {status}"));
            }
            if clock.elapsed() > START_WAIT {
                return Err(format!("holdfastd does not listen after {} s", START_WAIT.as_secs()));
            }
            nap();
        }
        Ok(node)
    }

    /// Its process id.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits until it ends by itself.
    pub(crate) fn wait(mut self) -> Result<ExitStatus> {
        self.child.wait().map_err(|error| error.to_string())
    }

    /// Asks it to end and waits; its status must be 0.
    pub(crate) fn stop(mut self) -> Result<()> {
        checked(Command::new("kill").args(["-TERM", &self.pid().to_string()]))?;
        let clock = Stopwatch::start();
        while clock.elapsed() < STOP_WAIT {
            match self.child.try_wait() {
                Ok(Some(status)) if status.success() => return Ok(()),
                Ok(Some(status)) => return Err(format!("holdfastd ended after SIGTERM: {status}")),
                Ok(None) => nap(),
                Err(error) => return Err(error.to_string()),
            }
        }
        Err(format!("holdfastd did not end within {} s of SIGTERM", STOP_WAIT.as_secs()))
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A port nobody listens on at this moment.
pub(crate) fn free_port() -> Result<u16> {
    let listener = TcpListener::bind("127.0.0.1:0").map_err(|error| error.to_string())?;
    Ok(listener.local_addr().map_err(|error| error.to_string())?.port())
}
