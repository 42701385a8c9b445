//! `holdfastd --dev` as a child process, known by its pid, never left behind.

use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use holdfast_crash::Result;
use holdfast_crash::clients::open_log;
use holdfast_crash::clock::{monotonic_ns, nap};

/// A node answers within this, or something is wrong.
const START_NS_MAX: u64 = 60_000_000_000;
/// A node has ended this long after SIGTERM.
const STOP_NS_MAX: u64 = 30_000_000_000;

/// How a node is started, again and again in one place.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    /// The binary.
    pub(crate) holdfastd: PathBuf,
    /// Its data.
    pub(crate) data: PathBuf,
    /// Its log lines, of all starts.
    pub(crate) log: PathBuf,
    /// Where it listens, the same after every start.
    pub(crate) address: SocketAddr,
    /// `--wal-size`.
    pub(crate) wal_size: String,
    /// Where `--store` points; none without one.
    pub(crate) store: Option<PathBuf>,
    /// `--wal-backend`.
    pub(crate) wal_backend: String,
}

impl Settings {
    /// The log's back end as the node's last start told it; else as it was asked for.
    pub(crate) fn backend_in_use(&self) -> String {
        const TOLD: &str = "backend=\"";
        let lines = std::fs::read_to_string(&self.log).unwrap_or_default();
        let told = lines.rsplit_once(TOLD).and_then(|(_, rest)| rest.split('"').next());
        told.unwrap_or(&self.wal_backend).to_owned()
    }
}

/// A running node.
#[derive(Debug)]
pub(crate) struct Node {
    child: Child,
    /// From the start of the process to the first connection it took.
    pub(crate) start_ms: f64,
}

impl Node {
    /// Starts a node and does not wait for anything.
    pub(crate) fn spawn(settings: &Settings) -> Result<Node> {
        let log = open_log(&settings.log)?;
        let again = log.try_clone().map_err(|error| error.to_string())?;
        let store = settings.store.iter().map(|path| format!("--store=file://{}", path.display()));
        let child = Command::new(&settings.holdfastd)
            .arg("--dev")
            .arg("--data-dir")
            .arg(&settings.data)
            .args(["--listen", &settings.address.to_string()])
            .args(["--wal-size", &settings.wal_size])
            .args(["--wal-backend", &settings.wal_backend])
            .args(store)
            .stdin(Stdio::null())
            .stdout(log)
            .stderr(again)
            .spawn()
            .map_err(|error| format!("{}: {error}", settings.holdfastd.display()))?;
        Ok(Node { child, start_ms: 0.0 })
    }

    /// Starts a node and waits until it accepts connections.
    pub(crate) fn start(settings: &Settings) -> Result<Node> {
        let started_ns = monotonic_ns();
        let mut node = Node::spawn(settings)?;
        while TcpStream::connect(settings.address).is_err() {
            let waited_ns = monotonic_ns() - started_ns;
            if let Ok(Some(status)) = node.child.try_wait() {
                let log = settings.log.display();
                return Err(format!("holdfastd ended before it listened: {status}; see {log}"));
            }
            if waited_ns > START_NS_MAX {
                return Err(format!(
                    "holdfastd does not listen after {} s",
                    waited_ns / 1_000_000_000
                ));
            }
            nap(Duration::from_millis(1));
        }
        node.start_ms = (monotonic_ns() - started_ns) as f64 / 1e6;
        Ok(node)
    }

    /// SIGKILL, now; then waits until the process is gone.
    pub(crate) fn kill(mut self) -> Result<()> {
        if let Ok(Some(status)) = self.child.try_wait() {
            return Err(format!("holdfastd ended by itself before it was killed: {status}"));
        }
        self.child.kill().map_err(|error| error.to_string())?;
        self.child.wait().map_err(|error| error.to_string())?;
        Ok(())
    }

    /// Whether it still runs.
    pub(crate) fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// SIGTERM; its status must be 0.
    pub(crate) fn stop(mut self) -> Result<()> {
        let pid = self.child.id().to_string();
        let asked = Command::new("kill").args(["-TERM", &pid]).status();
        asked.map_err(|error| format!("kill: {error}"))?;
        let asked_ns = monotonic_ns();
        while monotonic_ns() - asked_ns < STOP_NS_MAX {
            match self.child.try_wait() {
                Ok(Some(status)) if status.success() => return Ok(()),
                Ok(Some(status)) => return Err(format!("holdfastd ended after SIGTERM: {status}")),
                Ok(None) => nap(Duration::from_millis(5)),
                Err(error) => return Err(error.to_string()),
            }
        }
        Err("holdfastd did not end after SIGTERM".to_owned())
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
