//! What the kernel says of itself and of this process. Unreadable is `None`.

use std::fs;
use std::path::Path;

use nix::sys::resource::{Resource, getrlimit};

fn first_line(path: &str) -> Option<String> {
    fs::read_to_string(path).ok().map(|text| text.trim().to_owned())
}

/// `6.1.0-18-amd64`.
pub(super) fn kernel() -> Option<String> {
    first_line("/proc/sys/kernel/osrelease")
}

/// `tsc`.
pub(super) fn clock_source() -> Option<String> {
    first_line("/sys/devices/system/clocksource/clocksource0/current_clocksource")
}

/// Soft and hard limit of RLIMIT_NOFILE.
pub(super) fn open_files() -> Option<(u64, u64)> {
    getrlimit(Resource::RLIMIT_NOFILE).ok()
}

/// Soft and hard limit of RLIMIT_MEMLOCK, bytes.
pub(super) fn locked_memory() -> Option<(u64, u64)> {
    getrlimit(Resource::RLIMIT_MEMLOCK).ok()
}

/// Bytes an ordinary user could still write there.
pub(super) fn free_bytes(path: &Path) -> Option<u64> {
    let found = nix::sys::statvfs::statvfs(path).ok()?;
    Some(found.blocks_available().saturating_mul(found.fragment_size()))
}
