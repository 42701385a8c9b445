//! A control group that lets its processes write to a device so many times a second.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use crate::Result;
use crate::cgroup::{Cgroup, Controller, Kind};

const LEGACY_LIMIT: &str = "blkio.throttle.write_iops_device";
pub(super) const IO: Controller =
    Controller { name: "io", legacy: "/sys/fs/cgroup/blkio", legacy_files: &[LEGACY_LIMIT] };

/// A group for one device.
pub(super) struct Throttle {
    group: Cgroup,
    /// `major:minor`.
    device: String,
}

impl Throttle {
    /// For the device that `place` lies on, without a limit.
    pub(super) fn make(kind: Kind, place: &Path) -> Result<Throttle> {
        let number = fs::metadata(place).map_err(|error| error.to_string())?.dev();
        let device = format!("{}:{}", nix::sys::stat::major(number), nix::sys::stat::minor(number));
        Ok(Throttle { group: IO.make(kind, "slow")?, device })
    }

    /// Takes a process in, with all its threads.
    pub(super) fn hold(&self, pid: u32) -> Result<()> {
        self.group.write("cgroup.procs", &pid.to_string())
    }

    /// At most so many writes a second.
    pub(super) fn limit(&self, writes: u32) -> Result<()> {
        self.set(&format!("wiops={writes}"), &writes.to_string())
    }

    /// As many as the device does.
    pub(super) fn lift(&self) -> Result<()> {
        self.set("wiops=max", "0")
    }

    fn set(&self, unified: &str, legacy: &str) -> Result<()> {
        let (file, limit) = match self.group.kind {
            Kind::Unified => ("io.max", unified),
            Kind::Legacy => (LEGACY_LIMIT, legacy),
        };
        self.group.write(file, &format!("{} {limit}", self.device))
    }
}
