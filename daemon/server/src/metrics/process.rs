//! The process as the kernel sees it, under the names every Prometheus client uses.

use nix::sys::resource::{Resource, UsageWho, getrlimit, getrusage};
use nix::sys::time::TimeValLike;

/// What is read from the kernel.
#[derive(Clone, Copy, Default, Debug)]
pub(crate) struct Process {
    pub(crate) cpu_seconds: f64,
    pub(crate) resident_bytes: u64,
    pub(crate) open_fds: u64,
    pub(crate) max_fds: u64,
}

/// What cannot be read is 0: a page with a hole is better than none.
pub(crate) fn read() -> Process {
    let cpu_us = getrusage(UsageWho::RUSAGE_SELF).map_or(0, |usage| {
        usage.user_time().num_microseconds() + usage.system_time().num_microseconds()
    });
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let resident_kib = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok());
    // The directory being read is a descriptor itself.
    let open_fds = std::fs::read_dir("/proc/self/fd").map_or(0, |entries| entries.count() as u64);
    Process {
        cpu_seconds: cpu_us as f64 / 1e6,
        resident_bytes: resident_kib.unwrap_or(0) << 10,
        open_fds: open_fds.saturating_sub(1),
        max_fds: getrlimit(Resource::RLIMIT_NOFILE).map_or(0, |(soft, _)| soft),
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_living_process_uses_something_of_everything() {
        let process = super::read();
        assert!(process.resident_bytes > 1 << 20 && process.open_fds > 2, "{process:?}");
        assert!(process.max_fds >= process.open_fds && process.cpu_seconds >= 0.0, "{process:?}");
    }
}
