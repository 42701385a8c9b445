//! What this machine allows a WAL: for boot's messages, `status`, and support.

use std::fs;
use std::path::Path;

use crate::directory::disk_error;
use crate::status::DeviceFacts;
use crate::uring::{self, UringForbidden};
use crate::{DiskError, file};

/// Whether this process may have a ring.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum UringProbe {
    /// A ring was set up, restricted and thrown away.
    Available,
    /// It was refused.
    Forbidden(UringForbidden),
}

/// What a WAL in a directory can count on.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ProbeReport {
    /// Whether this process may have a ring.
    pub io_uring: UringProbe,
    /// Whether the file system takes O_DIRECT.
    pub direct_io: bool,
    /// File system, device, block size, FUA and cache.
    pub device: DeviceFacts,
}

/// Looks at the existing directory `path` without locking it.
///
/// # Errors
/// `NotFound`, `Denied` or `Full` when a small file cannot be made there for the moment.
pub fn probe(path: &Path) -> Result<ProbeReport, DiskError> {
    // The suffix lets the next open remove it should we die here.
    let trial = path.join(format!("probe-{}.creating", std::process::id()));
    let tried = fs::write(&trial, b"").and_then(|()| file::takes_direct_io(&trial));
    let _ = fs::remove_file(&trial);
    let direct_io =
        tried.map_err(|error| disk_error(format!("probing {}", path.display()), &error))?;
    let io_uring = match uring::probe() {
        Ok(()) => UringProbe::Available,
        Err(forbidden) => UringProbe::Forbidden(forbidden),
    };
    Ok(ProbeReport { io_uring, direct_io, device: DeviceFacts::of(path) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::DiskErrorKind;
    use crate::testing::ScratchDirectory;

    #[test]
    fn a_probe_leaves_nothing_behind_and_names_the_file_system() {
        let scratch = ScratchDirectory::new("probe-report");
        let report = probe(scratch.path()).unwrap();
        assert_eq!(fs::read_dir(scratch.path()).unwrap().count(), 0);
        assert!(!report.device.filesystem.is_empty());
        let kind = probe(&scratch.path().join("missing")).unwrap_err().kind;
        assert_eq!(kind, DiskErrorKind::NotFound);
    }
}
