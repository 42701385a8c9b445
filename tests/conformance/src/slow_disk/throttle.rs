//! A control group that lets its processes write to a device so many times a second: version 2 where
//! it has the io controller, else version 1.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::Result;

const UNIFIED: &str = "/sys/fs/cgroup";
const LEGACY: &str = "/sys/fs/cgroup/blkio";
const LEGACY_LIMIT: &str = "blkio.throttle.write_iops_device";

/// Which version has the controller here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Unified,
    Legacy,
}

/// What is to be had, or why nothing is.
pub(super) fn kind() -> std::result::Result<Kind, String> {
    if !fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0) {
        return Err("a slow device needs root to mount one and for a cgroup".into());
    }
    let controllers = fs::read_to_string(format!("{UNIFIED}/cgroup.controllers"));
    if controllers.is_ok_and(|text| text.split_whitespace().any(|name| name == "io")) {
        return Ok(Kind::Unified);
    }
    if Path::new(LEGACY).join(LEGACY_LIMIT).exists() {
        return Ok(Kind::Legacy);
    }
    Err(format!("a slow device needs the io controller of cgroups, and {UNIFIED} has none"))
}

/// A group; gone when it goes out of scope, after its processes.
pub(super) struct Throttle {
    kind: Kind,
    directory: PathBuf,
    /// `major:minor`.
    device: String,
}

impl Throttle {
    /// For the device that `place` lies on, without a limit.
    pub(super) fn make(kind: Kind, place: &Path) -> Result<Throttle> {
        let parent = match kind {
            Kind::Unified => {
                // Already so under systemd.
                let _ = fs::write(format!("{UNIFIED}/cgroup.subtree_control"), "+io");
                UNIFIED
            }
            Kind::Legacy => LEGACY,
        };
        let directory = Path::new(parent).join(format!("holdfast-slow-{}", std::process::id()));
        fs::create_dir(&directory).map_err(|error| format!("{}: {error}", directory.display()))?;
        let number = fs::metadata(place).map_err(|error| error.to_string())?.dev();
        let device = format!("{}:{}", nix::sys::stat::major(number), nix::sys::stat::minor(number));
        Ok(Throttle { kind, directory, device })
    }

    /// Takes a process in, with all its threads.
    pub(super) fn hold(&self, pid: u32) -> Result<()> {
        self.write("cgroup.procs", &pid.to_string())
    }

    /// At most so many writes a second.
    pub(super) fn limit(&self, writes: u32) -> Result<()> {
        match self.kind {
            Kind::Unified => self.write("io.max", &format!("{} wiops={writes}", self.device)),
            Kind::Legacy => self.write(LEGACY_LIMIT, &format!("{} {writes}", self.device)),
        }
    }

    /// As many as the device does.
    pub(super) fn lift(&self) -> Result<()> {
        match self.kind {
            Kind::Unified => self.write("io.max", &format!("{} wiops=max", self.device)),
            Kind::Legacy => self.write(LEGACY_LIMIT, &format!("{} 0", self.device)),
        }
    }

    fn write(&self, file: &str, text: &str) -> Result<()> {
        let path = self.directory.join(file);
        fs::write(&path, text).map_err(|error| format!("{} <- {text}: {error}", path.display()))
    }
}

impl Drop for Throttle {
    fn drop(&mut self) {
        let _ = fs::remove_dir(&self.directory);
    }
}
