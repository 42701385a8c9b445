//! What the kernel says of a process and of a disk: CPU time, memory, page cache, requests.
//!
//! CPU is `utime + stime` of all threads, in clock ticks of 10 ms: a window of some seconds is
//! good to 1 %. The disk's figures are those of the whole device, so a bench needs it to itself.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::unistd::{SysconfVar, sysconf};

/// CPU seconds a process has used so far, all threads, user and system.
pub fn cpu_seconds(pid: u32) -> Option<f64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let after_name = &stat[stat.rfind(')')? + 1..];
    let mut fields = after_name.split_whitespace().skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    let ticks = sysconf(SysconfVar::CLK_TCK).ok().flatten().unwrap_or(100);
    Some((user + system) as f64 / ticks as f64)
}

/// CPU seconds of this process.
pub fn own_cpu_seconds() -> f64 {
    cpu_seconds(std::process::id()).unwrap_or(0.0)
}

/// Resident bytes of a process now, and the most they ever were.
pub fn resident_bytes(pid: u32) -> Option<(u64, u64)> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let field = |name: &str| {
        let line = status.lines().find(|line| line.starts_with(name))?;
        line.split_whitespace().nth(1)?.parse::<u64>().ok().map(|kib| kib * 1024)
    };
    Some((field("VmRSS:")?, field("VmHWM:")?))
}

/// Bytes of the files under `directory` that sit in the page cache (`fincore`), if it can be told.
pub fn page_cache_bytes(directory: &Path) -> Option<u64> {
    let mut total = 0;
    for files in files_under(directory).chunks(500) {
        let arguments = ["-b", "-n", "-r", "-o", "RES"];
        let out = Command::new("fincore").args(arguments).args(files).output().ok()?;
        let text = String::from_utf8_lossy(&out.stdout);
        total += text.lines().filter_map(|line| line.trim().parse::<u64>().ok()).sum::<u64>();
    }
    Some(total)
}

/// Every regular file below `directory`.
pub fn files_under(directory: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut open = vec![directory.to_path_buf()];
    while let Some(next) = open.pop() {
        let Ok(entries) = fs::read_dir(&next) else { continue };
        for entry in entries.flatten() {
            match entry.file_type() {
                Ok(kind) if kind.is_dir() => open.push(entry.path()),
                Ok(kind) if kind.is_file() => files.push(entry.path()),
                _ => {}
            }
        }
    }
    files.sort();
    files
}

/// Counters of one block device since boot.
#[derive(Debug, Clone, Copy, Default)]
pub struct Disk {
    /// Write requests completed.
    pub writes: u64,
    /// Bytes written.
    pub written_bytes: u64,
    /// Flush requests completed (cache flushes the kernel sent to the device).
    pub flushes: u64,
}

impl Disk {
    /// What happened since `before`.
    pub fn since(self, before: Self) -> Self {
        Self {
            writes: self.writes - before.writes,
            written_bytes: self.written_bytes - before.written_bytes,
            flushes: self.flushes - before.flushes,
        }
    }
}

/// The counters of the device that holds `path`.
pub fn disk_of(path: &Path) -> Option<Disk> {
    let text = fs::read_to_string(device_directory(path)?.join("stat")).ok()?;
    let fields: Vec<u64> = text.split_whitespace().filter_map(|field| field.parse().ok()).collect();
    Some(Disk {
        writes: *fields.get(4)?,
        written_bytes: fields.get(6)? * 512,
        flushes: fields.get(15).copied().unwrap_or(0),
    })
}

/// The sysfs directory of the block device that holds `path`.
pub fn device_directory(path: &Path) -> Option<PathBuf> {
    use std::os::unix::fs::MetadataExt;
    let device = fs::metadata(path).ok()?.dev();
    let (major, minor) = (nix::sys::stat::major(device), nix::sys::stat::minor(device));
    let directory = fs::canonicalize(format!("/sys/dev/block/{major}:{minor}")).ok()?;
    Some(directory)
}
