//! A throw-away Debian 12 with a real systemd as PID 1, in a container without a network.
//!
//! ```text
//! cache: debian-12-<recipe>/ ──cp -a──▶ ROOT ──systemd-nspawn --boot──▶ PID 1 in namespaces
//!                                                │ nsenter runs commands inside
//!        cgroup CGROUP/ (where no systemd runs here, else a scope of its own)
//! ```
//!
//! nspawn runs in a mount namespace of its own and dies with us (PR_SET_PDEATHSIG), its payload with
//! it; what a killed run leaves are a directory and empty cgroups, which the next run removes. The
//! network is loopback alone: the host's programs reach it by entering the namespace.
//!
//! Caveats: the kernel is the host's; where it keeps the controllers on cgroup v1, limits of memory
//! and processor have no effect inside.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use crate::clock::{Stopwatch, nap};
use crate::install::Need;
use crate::run::{Result, checked, found, wait};
use crate::tools;

/// What a container needs.
pub(crate) const NEEDS: &[Need] = &[
    Need { brings: "mmdebstrap", apt: "mmdebstrap", dnf: "mmdebstrap" },
    Need { brings: "systemd-nspawn", apt: "systemd-container", dnf: "systemd-container" },
    Need { brings: "nsenter", apt: "util-linux", dnf: "util-linux-core" },
    Need { brings: "setpriv", apt: "util-linux", dnf: "util-linux" },
    Need {
        brings: "/usr/share/keyrings/debian-archive-keyring.gpg",
        apt: "debian-archive-keyring",
        dnf: "debian-keyring",
    },
];
/// What the root is made from; the cache names it by this.
const RECIPE: [&str; 8] = [
    "--mode=root",
    "--variant=minbase",
    "--include=systemd,systemd-sysv,procps",
    "--aptopt=Acquire::Languages \"none\"",
    "--dpkgopt=path-exclude=/usr/share/man/*",
    "--dpkgopt=path-exclude=/usr/share/locale/*",
    "--quiet",
    "bookworm",
];
/// Packages come over the network.
const ROOT_MAX: Duration = Duration::from_secs(600);
/// systemd runs within this; 6 s on an idle machine.
const BOOT_MAX: Duration = Duration::from_secs(60);
/// After this a container that was asked to end is killed.
const HALT_MAX: Duration = Duration::from_secs(20);

/// A booted container.
pub(crate) struct Container {
    child: Child,
    /// Its PID 1, as this machine counts. 0 before it is known.
    leader: u32,
    root: PathBuf,
    cgroup: Option<Cgroup>,
}

/// What a command inside said.
pub(crate) struct Said {
    /// How it ended.
    pub(crate) status: ExitStatus,
    /// Standard output and error, as they came.
    pub(crate) text: String,
}

/// The root that every container starts from, made once.
pub(crate) fn base() -> Result<PathBuf> {
    // FNV-1a: a name, not a defence.
    let bytes = RECIPE.iter().flat_map(|line| line.bytes().chain([0]));
    let name = bytes.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    tools::kept(&format!("debian-12-{name:016x}"), |partial| {
        println!("Making a Debian 12 root from the distribution's mirror: a minute or two.");
        let mut command = Command::new("mmdebstrap");
        command.args(RECIPE).arg(partial).stdin(Stdio::null());
        let ended = crate::run::status(&mut command, Some(ROOT_MAX))?;
        if ended.success() { Ok(()) } else { Err(format!("mmdebstrap ended: {ended}")) }
    })
}

impl Container {
    /// Copies the root to `root` and boots it.
    pub(crate) fn boot(root: &Path) -> Result<Self> {
        let base = base()?;
        remove(root)?;
        checked(Command::new("cp").args(["-a", "--reflink=auto"]).arg(base).arg(root))?;
        let cgroup = Cgroup::new()?;
        let log = root.with_extension("console");
        let log = File::create(&log).map_err(|error| format!("{}: {error}", log.display()))?;
        // A shell enters the cgroup before nspawn is there: it makes its own below where it starts.
        let script = "[ -z \"$CGROUP\" ] || echo $$ > \"$CGROUP/cgroup.procs\"; exec \"$@\"";
        let mut command = Command::new("sh");
        command.args(["-c", script, "sh", "setpriv", "--pdeathsig", "KILL"]);
        command.args(["unshare", "--mount", "--propagation", "private", "systemd-nspawn"]);
        command.args(["--quiet", "--register=no", "--private-network", "--link-journal=no"]);
        command.args(["--resolv-conf=off", "--timezone=off", "--console=pipe"]);
        command.args(["--kill-signal=SIGRTMIN+4", "--boot"]);
        command.arg(format!("--machine=holdfast-{}", std::process::id()));
        command.env("SYSTEMD_NSPAWN_UNIFIED_HIERARCHY", "1");
        if let Some(cgroup) = &cgroup {
            command.arg("--keep-unit").env("CGROUP", &cgroup.places[0]);
        }
        command.arg("-D").arg(root).stdin(Stdio::null());
        let again = log.try_clone().map_err(|error| error.to_string())?;
        command.stdout(log).stderr(again);
        let child =
            command.spawn().map_err(|error| format!("systemd-nspawn cannot start: {error}"))?;
        let mut container = Self { child, leader: 0, root: root.to_path_buf(), cgroup };
        container.wait_for_boot()?;
        Ok(container)
    }

    fn wait_for_boot(&mut self) -> Result<()> {
        let clock = Stopwatch::start();
        while clock.elapsed() < BOOT_MAX {
            if let Ok(Some(status)) = self.child.try_wait() {
                let said = fs::read_to_string(self.root.with_extension("console"));
                let said = said.unwrap_or_default();
                return Err(format!("systemd-nspawn ended ({status}): {}", said.trim()));
            }
            if self.leader == 0 {
                self.leader = init_below(self.child.id()).unwrap_or(0);
            } else {
                let said = self.run(&["systemctl", "is-system-running"], BOOT_MAX)?;
                match said.text.trim() {
                    "running" => return Ok(()),
                    "degraded" => {
                        let failed = self.run(&["systemctl", "--failed"], BOOT_MAX)?;
                        return Err(format!("units failed at boot:\n{}", failed.text));
                    }
                    _ => {}
                }
            }
            nap();
        }
        Err(format!("systemd in the container does not run after {} s", BOOT_MAX.as_secs()))
    }

    /// The same as a path of this machine.
    pub(crate) fn path(&self, inside: &str) -> PathBuf {
        self.root.join(inside.trim_start_matches('/'))
    }

    /// Runs a command of the container inside it.
    pub(crate) fn run(&self, line: &[&str], limit: Duration) -> Result<Said> {
        self.enter(&["-m", "-p", "-u", "-i", "-n", "-C"], line, "", limit)
    }

    /// Runs a program of this machine in the container's network; `input` is its standard input.
    pub(crate) fn client(&self, line: &[&str], input: &str, limit: Duration) -> Result<Said> {
        self.enter(&["-n"], line, input, limit)
    }

    fn enter(&self, spaces: &[&str], line: &[&str], input: &str, limit: Duration) -> Result<Said> {
        let name = |what: &str| self.root.with_extension(what);
        let place = |path: &Path| format!("{}", path.display());
        let (out, fed) = (name("output"), name("input"));
        fs::write(&fed, input).map_err(|error| format!("{}: {error}", place(&fed)))?;
        let stdin = File::open(&fed).map_err(|error| format!("{}: {error}", place(&fed)))?;
        let file = File::create(&out).map_err(|error| format!("{}: {error}", place(&out)))?;
        let again = file.try_clone().map_err(|error| error.to_string())?;
        let mut command = Command::new("nsenter");
        command.args(["-t", &self.leader.to_string()]).args(spaces).arg("--").args(line);
        command.env("LC_ALL", "C").env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
        command.env("DEBIAN_FRONTEND", "noninteractive");
        command.stdin(stdin).stdout(file).stderr(again);
        let shown = line.join(" ");
        let mut child = command.spawn().map_err(|error| format!("`{shown}`: {error}"))?;
        let ended = wait(&mut child, Some(limit));
        let bytes = fs::read(&out).map_err(|error| format!("{}: {error}", place(&out)))?;
        let text = String::from_utf8_lossy(&bytes).into_owned();
        match ended {
            Ok(status) => Ok(Said { status, text }),
            Err(why) => Err(format!("`{shown}`: {why}; it said: {}", text.trim())),
        }
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        // nspawn turns SIGTERM into the signal by which systemd powers off.
        let pid = self.child.id().to_string();
        let _ = Command::new("kill").args(["-TERM", &pid]).status();
        if wait(&mut self.child, Some(HALT_MAX)).is_err() && self.leader != 0 {
            // PID 1 of a namespace takes everything in it along.
            let leader = self.leader.to_string();
            let _ = Command::new("kill").args(["-KILL", &leader]).stderr(Stdio::null()).status();
        }
        drop(self.cgroup.take());
        if let Err(why) = remove(&self.root) {
            println!("{why}");
        }
        for kind in ["console", "output", "input"] {
            let _ = fs::remove_file(self.root.with_extension(kind));
        }
    }
}

/// Removes a root, unless something is mounted below it.
fn remove(root: &Path) -> Result<()> {
    if !root.exists() {
        return Ok(());
    }
    let mounted = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let below = format!(" {}/", root.display());
    if mounted.contains(&below) {
        return Err(format!("{} stays: something is mounted below it", root.display()));
    }
    fs::remove_dir_all(root).map_err(|error| format!("{}: {error}", root.display()))
}

/// The child of `parent` that is PID 1 in a namespace of its own.
fn init_below(parent: u32) -> Option<u32> {
    let field = |status: &str, name: &str| {
        let line = status.lines().find(|line| line.starts_with(name))?;
        line.split_whitespace().last().map(str::to_owned)
    };
    fs::read_dir("/proc").ok()?.flatten().find_map(|entry| {
        let pid: u32 = entry.file_name().to_str()?.parse().ok()?;
        let status = fs::read_to_string(entry.path().join("status")).ok()?;
        let ours = field(&status, "PPid:")? == parent.to_string();
        (ours && field(&status, "NSpid:")? == "1").then_some(pid)
    })
}

/// A cgroup for machines on which no systemd hands one out; removed with all below it.
struct Cgroup {
    /// The one to enter first; on a hybrid machine nspawn mirrors it in systemd's hierarchy.
    places: Vec<PathBuf>,
}

impl Cgroup {
    fn new() -> Result<Option<Self>> {
        if Path::new("/run/systemd/system").is_dir() {
            return Ok(None);
        }
        let top = Path::new("/sys/fs/cgroup");
        let hybrid = top.join("unified/cgroup.procs").is_file();
        let tops = if hybrid {
            vec![top.join("unified"), top.join("systemd")]
        } else {
            vec![top.to_path_buf()]
        };
        // One name: what a killed run left is cleared by the next.
        let places: Vec<PathBuf> =
            tops.into_iter().map(|top| top.join("holdfast-package")).collect();
        places.iter().for_each(|place| clear(place));
        fs::create_dir_all(&places[0])
            .map_err(|error| format!("{}: {error}", places[0].display()))?;
        Ok(Some(Self { places }))
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        self.places.iter().for_each(|place| clear(place));
    }
}

/// Removes empty cgroups, the innermost first; the kernel refuses those that still hold a process.
fn clear(place: &Path) {
    for entry in fs::read_dir(place).into_iter().flatten().flatten() {
        if entry.path().is_dir() {
            clear(&entry.path());
        }
    }
    let _ = fs::remove_dir(place);
}

/// Can a container be had here? If not, why.
pub(crate) fn refused() -> Option<String> {
    if !crate::install::is_root() {
        return Some("a container with systemd needs root: run it as root".into());
    }
    if found("apt-get").is_none() {
        return Some("the package is checked on Debian and Ubuntu, and apt-get is not here".into());
    }
    let cgroup2 = fs::read_to_string("/proc/filesystems").unwrap_or_default();
    if !cgroup2.lines().any(|line| line.ends_with("\tcgroup2")) {
        return Some("the kernel has no cgroup2, which systemd needs".into());
    }
    None
}
