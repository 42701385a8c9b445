//! A control group of our own with a memory limit: version 2 where it has the memory controller,
//! else version 1.

use std::fs;
use std::path::{Path, PathBuf};

use crate::Result;

const UNIFIED: &str = "/sys/fs/cgroup";
const LEGACY: &str = "/sys/fs/cgroup/memory";

/// Which version has the memory controller here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Unified,
    Legacy,
}

/// What is to be had, or why nothing is.
pub(super) fn kind() -> std::result::Result<Kind, String> {
    use std::os::unix::fs::MetadataExt;
    if !fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0) {
        return Err("a cgroup needs root".into());
    }
    let controllers = fs::read_to_string(format!("{UNIFIED}/cgroup.controllers"));
    if controllers.is_ok_and(|text| text.split_whitespace().any(|name| name == "memory")) {
        return Ok(Kind::Unified);
    }
    if Path::new(LEGACY).join("memory.oom_control").exists()
        || Path::new(LEGACY).join("memory.limit_in_bytes").exists()
    {
        return Ok(Kind::Legacy);
    }
    Err(format!("no memory controller under {UNIFIED}"))
}

/// A group with a limit; gone when it goes out of scope, after its processes.
pub(super) struct Group {
    kind: Kind,
    directory: PathBuf,
}

impl Group {
    pub(super) fn make(kind: Kind, limit_bytes: u64) -> Result<Self> {
        let parent = match kind {
            Kind::Unified => {
                // Already so under systemd.
                let _ = fs::write(format!("{UNIFIED}/cgroup.subtree_control"), "+memory");
                UNIFIED
            }
            Kind::Legacy => LEGACY,
        };
        let directory = Path::new(parent).join(format!("holdfast-limits-{}", std::process::id()));
        fs::create_dir(&directory).map_err(|error| format!("{}: {error}", directory.display()))?;
        let group = Self { kind, directory };
        group.write(group.names().0, &limit_bytes.to_string())?;
        if kind == Kind::Unified {
            // Where there is no swap there is no such file.
            let _ = group.write("memory.swap.max", "0");
        }
        Ok(group)
    }

    /// The files of limit, use and highest use.
    fn names(&self) -> (&'static str, &'static str, &'static str) {
        match self.kind {
            Kind::Unified => ("memory.max", "memory.current", "memory.peak"),
            Kind::Legacy => {
                ("memory.limit_in_bytes", "memory.usage_in_bytes", "memory.max_usage_in_bytes")
            }
        }
    }

    /// The file a process writes its id into to enter.
    pub(super) fn door(&self) -> PathBuf {
        self.directory.join("cgroup.procs")
    }

    /// Is the process inside?
    pub(super) fn holds(&self, pid: u32) -> Result<bool> {
        Ok(self.read("cgroup.procs")?.lines().any(|line| line == pid.to_string()))
    }

    /// Bytes in use, page cache included.
    pub(super) fn used_bytes(&self) -> Result<u64> {
        number(&self.read(self.names().1)?)
    }

    /// The most that was in use; unknown on kernels that do not keep it.
    pub(super) fn most_bytes(&self) -> Option<u64> {
        number(&self.read(self.names().2).ok()?).ok()
    }

    /// Processes killed because the limit was reached.
    pub(super) fn kills(&self) -> Result<u64> {
        let file = match self.kind {
            Kind::Unified => "memory.events",
            Kind::Legacy => "memory.oom_control",
        };
        let text = self.read(file)?;
        let line = text.lines().find_map(|line| line.strip_prefix("oom_kill "));
        number(line.ok_or_else(|| format!("{file} does not count kills"))?)
    }

    pub(super) fn version(&self) -> u8 {
        if self.kind == Kind::Unified { 2 } else { 1 }
    }

    fn read(&self, file: &str) -> Result<String> {
        let path = self.directory.join(file);
        fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))
    }

    fn write(&self, file: &str, text: &str) -> Result<()> {
        let path = self.directory.join(file);
        fs::write(&path, text).map_err(|error| format!("{}: {error}", path.display()))
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        let _ = fs::remove_dir(&self.directory);
    }
}

fn number(text: &str) -> Result<u64> {
    text.trim().parse().map_err(|_| format!("{text:?} is not a number"))
}
