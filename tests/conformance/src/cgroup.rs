//! A control group of a check's own: version 2 where it has the controller that is asked for, else
//! version 1. What is limited in it stands with the check.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::Result;

const UNIFIED: &str = "/sys/fs/cgroup";

/// What can be limited, and where version 1 has it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Controller {
    pub(crate) name: &'static str,
    pub(crate) legacy: &'static str,
    /// It is there if one of these files is.
    pub(crate) legacy_files: &'static [&'static str],
}

/// Which version has the controller here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Unified,
    Legacy,
}

/// Whether this process may mount, limit and write everywhere.
pub(crate) fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0)
}

impl Controller {
    /// What is to be had, or why nothing is.
    pub(crate) fn kind(&self) -> std::result::Result<Kind, String> {
        let name = self.name;
        if !is_root() {
            return Err("a cgroup needs root".into());
        }
        let controllers = fs::read_to_string(format!("{UNIFIED}/cgroup.controllers"));
        if controllers.is_ok_and(|text| text.split_whitespace().any(|one| one == name)) {
            return Ok(Kind::Unified);
        }
        if self.legacy_files.iter().any(|file| Path::new(self.legacy).join(file).exists()) {
            return Ok(Kind::Legacy);
        }
        Err(format!("no {name} controller of cgroups under {UNIFIED}"))
    }

    /// A group without a limit, called after a check.
    pub(crate) fn make(&self, kind: Kind, check: &str) -> Result<Cgroup> {
        let parent = match kind {
            Kind::Unified => {
                // Already so under systemd.
                let _ = fs::write(
                    format!("{UNIFIED}/cgroup.subtree_control"),
                    format!("+{}", self.name),
                );
                UNIFIED
            }
            Kind::Legacy => self.legacy,
        };
        let directory = Path::new(parent).join(format!("holdfast-{check}-{}", std::process::id()));
        fs::create_dir(&directory).map_err(|error| format!("{}: {error}", directory.display()))?;
        Ok(Cgroup { kind, directory })
    }
}

/// A group; gone when it goes out of scope, after its processes.
pub(crate) struct Cgroup {
    pub(crate) kind: Kind,
    directory: PathBuf,
}

impl Cgroup {
    /// The file a process writes its id into to enter.
    pub(crate) fn door(&self) -> PathBuf {
        self.directory.join("cgroup.procs")
    }

    pub(crate) fn read(&self, file: &str) -> Result<String> {
        let path = self.directory.join(file);
        fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))
    }

    pub(crate) fn write(&self, file: &str, text: &str) -> Result<()> {
        let path = self.directory.join(file);
        fs::write(&path, text).map_err(|error| format!("{} <- {text}: {error}", path.display()))
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        let _ = fs::remove_dir(&self.directory);
    }
}
