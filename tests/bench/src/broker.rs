//! Starting and ending the brokers under test, each in a fresh directory on the same disk.
//!
//! A broker is a child process known by its pid; `Drop` ends it with SIGKILL, so a failed run leaves
//! nothing behind. Kafka runs as its own start script would run it (1 GiB heap, G1), without the
//! script, so that the pid is the JVM's.

use std::fs::{self, File};
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::client::{Client, Failed, Result};
use crate::clock::{Stopwatch, nap};

/// A broker that has not answered by then will not.
const START_WAIT_S: f64 = 60.0;
/// How long a broker may take to end after SIGTERM before it is killed.
const STOP_WAIT_S: f64 = 30.0;

/// Which broker, and how it is set up.
#[derive(Debug, Clone)]
pub enum Kind {
    /// Apache Kafka from a directory of jars.
    Kafka {
        /// The jars.
        libs: PathBuf,
        /// Flush every message before it is acknowledged (`log.flush.interval.messages=1`).
        flush: bool,
        /// More lines of its properties.
        settings: Vec<String>,
    },
    /// Holdfast.
    Holdfast {
        /// Its column: two builds can be measured in one run.
        column: &'static str,
        /// The binary.
        binary: PathBuf,
        /// Passed on after `--dev --data-dir D --listen A`.
        arguments: Vec<String>,
    },
}

impl Kind {
    /// The name in tables and JSON.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Kafka { flush: false, .. } => "kafka",
            Self::Kafka { flush: true, .. } => "kafka-flush",
            Self::Holdfast { column, .. } => column,
        }
    }

    /// The same broker with one of Kafka's broker settings set.
    pub fn with(&self, setting: &str, value: &str) -> Self {
        let mut kind = self.clone();
        match &mut kind {
            Self::Kafka { settings, .. } => settings.push(format!("{setting}={value}")),
            Self::Holdfast { arguments, .. } => {
                arguments.extend(["--set".to_owned(), format!("kafka.{setting}={value}")]);
            }
        }
        kind
    }
}

/// A broker that runs.
#[derive(Debug)]
pub struct Running {
    /// Where it listens.
    pub address: SocketAddr,
    /// Seconds from exec to the first answer.
    pub start_seconds: f64,
    child: Child,
}

impl Running {
    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// SIGKILL, as `kill -9` does, and waits until it is gone.
    pub fn kill(mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// SIGTERM, then waits; killed when it does not end.
    pub fn stop(mut self) -> Result<()> {
        let _ = kill(Pid::from_raw(self.child.id() as i32), Signal::SIGTERM);
        let clock = Stopwatch::start();
        while clock.seconds() < STOP_WAIT_S {
            if self.child.try_wait()?.is_some() {
                return Ok(());
            }
            nap(Duration::from_millis(5));
        }
        self.child.kill()?;
        self.child.wait()?;
        Err(Failed::Wrong(format!("the broker did not end within {STOP_WAIT_S} s of SIGTERM")))
    }

    /// As [`Running::stop`], where how it ends is not the matter: Kafka may take longer than we wait.
    pub fn stop_or_kill(mut self) -> Result<()> {
        let _ = kill(Pid::from_raw(self.child.id() as i32), Signal::SIGTERM);
        let clock = Stopwatch::start();
        while clock.seconds() < STOP_WAIT_S && self.child.try_wait()?.is_none() {
            nap(Duration::from_millis(5));
        }
        self.kill()
    }

    /// Has it ended by itself?
    pub fn ended(&mut self) -> Option<std::process::ExitStatus> {
        self.child.try_wait().ok().flatten()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A port nobody listens on at this moment.
pub fn free_port() -> Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

/// Makes `directory` ready for a first start.
pub fn prepare(kind: &Kind, directory: &Path, port: u16) -> Result<()> {
    fs::create_dir_all(directory)?;
    let Kind::Kafka { libs, flush, settings } = kind else { return Ok(()) };
    let properties = directory.join("server.properties");
    let controller = free_port()?;
    let mut text = format!(
        "process.roles=broker,controller\nnode.id=1\n\
         controller.quorum.voters=1@127.0.0.1:{controller}\n\
         listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}\n\
         advertised.listeners=PLAINTEXT://127.0.0.1:{port}\n\
         controller.listener.names=CONTROLLER\n\
         listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT\n\
         log.dirs={}\noffsets.topic.replication.factor=1\n\
         transaction.state.log.replication.factor=1\ntransaction.state.log.min.isr=1\n",
        directory.join("data").display(),
    );
    if *flush {
        text.push_str("log.flush.interval.messages=1\n");
    }
    for line in settings {
        text.push_str(line);
        text.push('\n');
    }
    fs::write(&properties, text)?;
    let format = Command::new("java")
        .args(["-cp", &class_path(libs), "kafka.tools.StorageTool", "format"])
        .args(["-t", "AAAAAAAAAAAAAAAAAAAAAQ", "-c"])
        .arg(&properties)
        .output()?;
    if format.status.success() {
        Ok(())
    } else {
        let text = String::from_utf8_lossy(&format.stderr).into_owned();
        Err(Failed::Wrong(format!("Kafka's StorageTool failed: {text}")))
    }
}

fn class_path(libs: &Path) -> String {
    format!("{}/*", libs.display())
}

/// The command that runs the broker in the foreground.
pub fn command(kind: &Kind, directory: &Path, port: u16) -> Command {
    match kind {
        Kind::Kafka { libs, .. } => {
            let mut command = Command::new("java");
            command
                .args(["-Xmx1G", "-Xms1G", "-server", "-XX:+UseG1GC", "-XX:MaxGCPauseMillis=20"])
                .args(["-XX:InitiatingHeapOccupancyPercent=35", "-XX:+ExplicitGCInvokesConcurrent"])
                .args(["-XX:MaxInlineLevel=15", "-Djava.awt.headless=true", "-cp"])
                .arg(class_path(libs))
                .arg("kafka.Kafka")
                .arg(directory.join("server.properties"));
            command
        }
        Kind::Holdfast { binary, arguments, .. } => {
            let mut command = Command::new(binary);
            command.arg("--dev").arg("--data-dir").arg(directory.join("data"));
            command.arg("--listen").arg(format!("127.0.0.1:{port}")).args(arguments);
            command
        }
    }
}

/// Starts the broker and waits for its first answer to ApiVersions.
pub fn start(kind: &Kind, directory: &Path, port: u16) -> Result<Running> {
    let log = File::options().create(true).append(true).open(directory.join("broker.log"))?;
    let mut command = command(kind, directory, port);
    command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    let clock = Stopwatch::start();
    let child = command.spawn()?;
    let mut running = Running { address, start_seconds: 0.0, child };
    loop {
        if let Ok(mut client) = Client::connect(address)
            && client.api_versions().is_ok()
        {
            running.start_seconds = clock.seconds();
            return Ok(running);
        }
        let log = directory.join("broker.log");
        if let Some(status) = running.ended() {
            let text = fs::read_to_string(log).unwrap_or_default();
            return Err(Failed::Wrong(format!("{} ended: {status}: {text}", kind.name())));
        }
        if clock.seconds() > START_WAIT_S {
            let (name, log) = (kind.name(), log.display());
            return Err(Failed::Wrong(format!("{name} gave no answer in {START_WAIT_S} s: {log}")));
        }
        nap(Duration::from_micros(500));
    }
}
