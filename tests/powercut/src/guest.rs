//! The guest: QEMU as a child process, its console, and the port that leads into it.
//!
//! ```text
//! clients ─▶ 127.0.0.1:PORT ─▶ QEMU's user network ─▶ holdfastd ─▶ ext4 ─▶ virtio-blk ─▶ nbd.rs
//!                 └ opened when the guest says `ready`, so that clients are refused till then
//! ```
//!
//! KVM is used where the processor has it; else QEMU translates, some ten times slower. A power cut
//! is SIGKILL: what the guest had in memory is gone. What its disk had in its cache is the disk's
//! affair.

use std::fs::OpenOptions;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::SocketAddr;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use holdfast_crash::Result;
use holdfast_crash::clock::{monotonic_ns, nap};

/// A guest serves within this, also on a busy machine without KVM.
const READY_NS_MAX: u64 = 240_000_000_000;
/// The monitor answers within this.
const MONITOR_WAIT: Duration = Duration::from_secs(30);
const MEMORY_MIB: &str = "640";
/// What the guest's script says begins with this; other lines are the kernel's and holdfastd's.
const SAID: &str = "guest: ";
const CONSOLE_LINES_SHOWN: usize = 25;
/// Metrics the guest tells every two seconds.
pub(crate) const METRICS: [&str; 5] = [
    "holdfast_store_uploads_total",
    "holdfast_store_checkpoints_total",
    "holdfast_state_flushes_total",
    "holdfast_wal_live_bytes",
    "holdfast_wal_frames_total",
];

/// How a guest is started, again and again.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    /// The kernel.
    pub(crate) kernel: PathBuf,
    /// Its root.
    pub(crate) initramfs: PathBuf,
    /// For the console's lines.
    pub(crate) directory: PathBuf,
    /// For sockets, whose paths have to be short.
    pub(crate) sockets: PathBuf,
    /// Where clients connect, inside and outside.
    pub(crate) address: SocketAddr,
    /// Further options of holdfastd.
    pub(crate) holdfastd: Vec<String>,
}

impl Settings {
    /// Where the disk is served.
    pub(crate) fn disk(&self) -> PathBuf {
        self.sockets.join("disk")
    }

    /// The lines of all guests.
    pub(crate) fn console(&self) -> PathBuf {
        self.directory.join("console.log")
    }

    fn monitor(&self) -> PathBuf {
        self.sockets.join("monitor")
    }

    fn command(&self) -> Command {
        let mut command = Command::new("qemu-system-x86_64");
        command.args(["-machine", "q35,usb=off,vmport=off", "-smp", "1", "-m", MEMORY_MIB]);
        if has_kvm() {
            command.args(["-accel", "kvm", "-cpu", "host"]);
        } else {
            command.args(["-accel", "tcg,thread=multi,tb-size=256", "-cpu", "max"]);
        }
        command.args(["-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"]);
        command.args(["-serial", "stdio"]);
        command
            .arg("-monitor")
            .arg(format!("unix:{},server=on,wait=off", self.monitor().display()));
        command.arg("-kernel").arg(&self.kernel).arg("-initrd").arg(&self.initramfs);
        // The kernel gives words it does not know to the first process, as its environment.
        command.arg("-append").arg(format!(
            "console=ttyS0 loglevel=4 panic=-1 PORT={} METRICS={} HOLDFASTD_OPTIONS={}",
            self.address.port(),
            METRICS.join("|"),
            self.holdfastd.join(","),
        ));
        let disk = self.disk();
        command.arg("-drive").arg(format!(
            "file=nbd+unix:///?socket={},format=raw,if=none,id=data,cache=writeback",
            disk.display()
        ));
        command.args(["-device", "virtio-blk-pci,drive=data,write-cache=on"]);
        command.args(["-netdev", "user,id=net,restrict=on"]);
        command.args(["-device", "virtio-net-pci,netdev=net,romfile="]);
        command.args(["-device", "virtio-rng-pci"]);
        command
    }
}

/// Whether guests run on the processor itself. A `/dev/kvm` that opens proves nothing: there are
/// kinds of it that run no stock kernel.
pub(crate) fn has_kvm() -> bool {
    let flags = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let is_virtual = flags.split_whitespace().any(|flag| flag == "svm" || flag == "vmx");
    is_virtual && OpenOptions::new().read(true).write(true).open("/dev/kvm").is_ok()
}

/// What the guest's script has said.
type Said = Arc<Mutex<Vec<String>>>;

/// A running guest.
#[derive(Debug)]
pub(crate) struct Guest {
    child: Child,
    said: Said,
    settings: Settings,
    started_ns: u64,
}

impl Guest {
    /// Switches a guest on; its disk is served already.
    pub(crate) fn start(settings: &Settings) -> Result<Guest> {
        let broken = |error: std::io::Error| format!("qemu-system-x86_64: {error}");
        let console = settings.console();
        let console = OpenOptions::new().create(true).append(true).open(&console);
        let mut console = console.map_err(broken)?;
        let errors = console.try_clone().map_err(broken)?;
        let _ = std::fs::remove_file(settings.monitor());
        let mut command = settings.command();
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(errors);
        let mut child = command.spawn().map_err(broken)?;
        let said = Said::default();
        let (out, to) = (child.stdout.take(), Arc::clone(&said));
        std::thread::spawn(move || {
            let mut out = out.map(BufReader::new);
            let mut line = Vec::new();
            while let Some(out) = &mut out
                && out.read_until(b'\n', &mut line).is_ok_and(|bytes| bytes > 0)
            {
                let _ = console.write_all(&line);
                let text = String::from_utf8_lossy(&line);
                if let Some((_, said)) = text.trim_end().split_once(SAID) {
                    to.lock().unwrap_or_else(PoisonError::into_inner).push(said.to_owned());
                }
                line.clear();
            }
        });
        Ok(Guest { child, said, settings: settings.clone(), started_ns: monotonic_ns() })
    }

    /// The newest of what the guest said about a subject.
    pub(crate) fn said(&self, subject: &str) -> Option<String> {
        let said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        let of = |line: &String| {
            let rest = line.strip_prefix(subject)?;
            Some(rest.trim_start_matches(':').trim().to_owned())
        };
        said.iter().rev().find_map(of)
    }

    /// A metric as the guest told it last.
    pub(crate) fn metric(&self, name: &str) -> u64 {
        let said = self.said("metrics").unwrap_or_default();
        let value = said
            .split(';')
            .find_map(|one| one.trim().strip_prefix(name)?.trim().parse::<f64>().ok());
        value.unwrap_or(0.0) as u64
    }

    /// Waits until the guest says `word`.
    pub(crate) fn wait(&mut self, word: &str) -> Result<()> {
        while self.said(word).is_none() {
            if let Some(why) = self.said("failed") {
                return Err(format!("the guest failed: {why}; {}", self.tail()));
            }
            self.check_running()?;
            if monotonic_ns() - self.started_ns > READY_NS_MAX {
                return Err(format!("the guest never says {word:?}; {}", self.tail()));
            }
            nap(Duration::from_millis(20));
        }
        Ok(())
    }

    /// Whether QEMU still runs and the guest complains of nothing.
    pub(crate) fn check_running(&mut self) -> Result<()> {
        if let Ok(Some(status)) = self.child.try_wait() {
            return Err(format!("QEMU ended by itself: {status}; {}", self.tail()));
        }
        Ok(())
    }

    /// Waits until it serves, then lets clients in. Says after how many milliseconds.
    pub(crate) fn serve(&mut self) -> Result<u64> {
        self.wait("ready")?;
        let after_ms = (monotonic_ns() - self.started_ns) / 1_000_000;
        let address = self.settings.address;
        let line = format!("hostfwd_add net tcp:{}:{}-:{1}\n", address.ip(), address.port());
        let answer = monitor(&self.settings.monitor(), &line)?;
        if answer.to_lowercase().contains("could not") || answer.contains("rror") {
            return Err(format!("QEMU's monitor: {answer}"));
        }
        Ok(after_ms)
    }

    /// SIGKILL; its disk has gone before.
    pub(crate) fn kill(mut self) -> Result<()> {
        self.check_running()?;
        self.child.kill().map_err(|error| error.to_string())?;
        self.child.wait().map_err(|error| error.to_string())?;
        Ok(())
    }

    /// The last lines of the console.
    fn tail(&self) -> String {
        let console = self.settings.console();
        let text = std::fs::read(&console).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let lines: Vec<&str> = text.lines().collect();
        let from = lines.len().saturating_sub(CONSOLE_LINES_SHOWN);
        format!("{} ends:\n{}", console.display(), lines[from..].join("\n"))
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Says a line to QEMU's monitor and returns what it answers.
fn monitor(socket: &Path, line: &str) -> Result<String> {
    const PROMPT: &[u8] = b"(qemu) ";
    let broken = |error: std::io::Error| format!("QEMU's monitor: {error}");
    let mut stream = UnixStream::connect(socket).map_err(broken)?;
    stream.set_read_timeout(Some(MONITOR_WAIT)).map_err(broken)?;
    let mut answer = Vec::new();
    for said in ["", line] {
        answer.clear();
        stream.write_all(said.as_bytes()).map_err(broken)?;
        let mut byte = [0];
        while !answer.ends_with(PROMPT) {
            stream.read_exact(&mut byte).map_err(broken)?;
            answer.extend_from_slice(&byte);
        }
    }
    Ok(String::from_utf8_lossy(&answer).into_owned())
}
