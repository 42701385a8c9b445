//! A control group with a memory limit.

use std::path::PathBuf;

use crate::Result;
use crate::cgroup::{Cgroup, Controller, Kind};

pub(super) const MEMORY: Controller = Controller {
    name: "memory",
    legacy: "/sys/fs/cgroup/memory",
    legacy_files: &["memory.oom_control", "memory.limit_in_bytes"],
};

/// A group with a limit.
pub(super) struct Group(Cgroup);

impl Group {
    pub(super) fn make(kind: Kind, limit_bytes: u64) -> Result<Self> {
        let group = Self(MEMORY.make(kind, "limits")?);
        group.0.write(group.names().0, &limit_bytes.to_string())?;
        if kind == Kind::Unified {
            // Where there is no swap there is no such file.
            let _ = group.0.write("memory.swap.max", "0");
        }
        Ok(group)
    }

    /// The files of limit, use and highest use.
    fn names(&self) -> (&'static str, &'static str, &'static str) {
        match self.0.kind {
            Kind::Unified => ("memory.max", "memory.current", "memory.peak"),
            Kind::Legacy => {
                ("memory.limit_in_bytes", "memory.usage_in_bytes", "memory.max_usage_in_bytes")
            }
        }
    }

    /// The file a process writes its id into to enter.
    pub(super) fn door(&self) -> PathBuf {
        self.0.door()
    }

    /// Is the process inside?
    pub(super) fn holds(&self, pid: u32) -> Result<bool> {
        Ok(self.0.read("cgroup.procs")?.lines().any(|line| line == pid.to_string()))
    }

    /// Bytes in use, page cache included.
    pub(super) fn used_bytes(&self) -> Result<u64> {
        number(&self.0.read(self.names().1)?)
    }

    /// The most that was in use; unknown on kernels that do not keep it.
    pub(super) fn most_bytes(&self) -> Option<u64> {
        number(&self.0.read(self.names().2).ok()?).ok()
    }

    /// Processes killed because the limit was reached.
    pub(super) fn kills(&self) -> Result<u64> {
        let file = match self.0.kind {
            Kind::Unified => "memory.events",
            Kind::Legacy => "memory.oom_control",
        };
        let text = self.0.read(file)?;
        let line = text.lines().find_map(|line| line.strip_prefix("oom_kill "));
        number(line.ok_or_else(|| format!("{file} does not count kills"))?)
    }

    pub(super) fn version(&self) -> u8 {
        if self.0.kind == Kind::Unified { 2 } else { 1 }
    }
}

fn number(text: &str) -> Result<u64> {
    text.trim().parse().map_err(|_| format!("{text:?} is not a number"))
}
