//! What each fact means: ok, warn or fail, and what to do. Pure functions of what was found.
//!
//! | verdict | meaning |
//! | --- | --- |
//! | ok | as wished |
//! | warn | a node runs, slower or with less room than it could; or it could not be looked at |
//! | fail | a node does not start, or loses what it acknowledged |

use std::path::Path;

use holdfast_io::{DeviceFacts, DiskError, UringProbe};

use super::flush::Latency;
use crate::output::size;

/// First kernel with restricted rings, which the io_uring back end wants.
const KERNEL_WANTED: (u32, u32) = (5, 10);
/// First kernel with RWF_DSYNC, without which no back end works.
const KERNEL_NEEDED: (u32, u32) = (4, 7);
/// 10,000 clients and the node's own files, with room.
const OPEN_FILES_WANTED: u64 = 65_536;
/// What a shell gives; a node would refuse clients soon.
const OPEN_FILES_NEEDED: u64 = 1024;
/// The ring's memory, on kernels that charge it to the process (before 5.12).
const LOCKED_BYTES_WANTED: u64 = 8 << 20;
/// The default size of the log.
const ROOM_WANTED_BYTES: u64 = 8 << 30;
/// The log of `--dev`.
const ROOM_NEEDED_BYTES: u64 = 2 << 30;
/// Beyond this at the median every acknowledgement is felt by users.
const FLUSH_P50_WANTED_US: u64 = 2_000;
/// Beyond this at p99 elections and sessions get near their limits.
const FLUSH_P99_WANTED_US: u64 = 50_000;
/// No device with a volatile cache flushes faster; something pretends.
const FLUSH_P50_CREDIBLE_US: u64 = 5;

/// See the table above.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Verdict {
    Ok,
    Warn,
    Fail,
}

impl Verdict {
    pub(super) fn text(self) -> &'static str {
        match self {
            Verdict::Ok => "ok",
            Verdict::Warn => "warn",
            Verdict::Fail => "fail",
        }
    }
}

/// One line.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Finding {
    pub(super) name: &'static str,
    pub(super) verdict: Verdict,
    pub(super) found: String,
    /// Empty when all is well.
    pub(super) advice: String,
}

fn ok(name: &'static str, found: impl Into<String>) -> Finding {
    Finding { name, verdict: Verdict::Ok, found: found.into(), advice: String::new() }
}

fn warn(name: &'static str, found: impl Into<String>, advice: impl Into<String>) -> Finding {
    Finding { name, verdict: Verdict::Warn, found: found.into(), advice: advice.into() }
}

fn fail(name: &'static str, found: impl Into<String>, advice: impl Into<String>) -> Finding {
    Finding { name, verdict: Verdict::Fail, found: found.into(), advice: advice.into() }
}

pub(super) fn kernel(release: Option<&str>) -> Finding {
    let name = "kernel";
    let Some(release) = release else {
        return warn(name, "unknown", "is /proc mounted?");
    };
    let mut parts = release.split(['.', '-', '+']).map_while(|part| part.parse::<u32>().ok());
    let version = (parts.next().unwrap_or(0), parts.next().unwrap_or(0));
    if version >= KERNEL_WANTED {
        ok(name, release)
    } else if version >= KERNEL_NEEDED {
        warn(name, release, "5.10 or newer has io_uring as a node wants it; pwritev2 is used here")
    } else {
        fail(name, release, "take a kernel of 5.10 or newer")
    }
}

pub(super) fn clock_source(source: Option<&str>) -> Finding {
    let name = "clock source";
    match source {
        None => warn(name, "unknown", "is /sys mounted?"),
        Some(slow @ ("hpet" | "acpi_pm" | "jiffies" | "pit" | "refined-jiffies")) => warn(
            name,
            slow,
            "reading time is a slow system call: see why the kernel gave up tsc (`dmesg | grep -i tsc`)",
        ),
        Some(source) => ok(name, source),
    }
}

pub(super) fn open_files(limits: Option<(u64, u64)>) -> Finding {
    let name = "open files";
    let Some((soft, hard)) = limits else {
        return warn(name, "unknown", "run `ulimit -n`");
    };
    let found = format!("{soft} (hard {hard})");
    // A node raises its soft limit to the hard one.
    let reachable = soft.max(hard);
    if reachable >= OPEN_FILES_WANTED {
        ok(name, found)
    } else if reachable >= OPEN_FILES_NEEDED {
        warn(name, found, "each client needs one: LimitNOFILE=1048576 in the unit, or `ulimit -n`")
    } else {
        fail(name, found, "LimitNOFILE=1048576 in the unit, or `ulimit -n 65536`")
    }
}

pub(super) fn locked_memory(limits: Option<(u64, u64)>) -> Finding {
    let name = "locked memory";
    let Some((soft, _)) = limits else {
        return warn(name, "unknown", "run `ulimit -l`");
    };
    let found = if soft == u64::MAX { "unlimited".to_owned() } else { size(soft as f64) };
    if soft >= LOCKED_BYTES_WANTED {
        ok(name, found)
    } else {
        let advice = "io_uring may be refused on older kernels: LimitMEMLOCK=infinity in the unit";
        warn(name, found, advice)
    }
}

pub(super) fn missing_directory(path: &Path) -> Finding {
    let path = path.display();
    let advice = format!("make it, or name another with --data-dir: `install -d -m 0700 {path}`");
    fail("data directory", format!("{path} is no directory"), advice)
}

pub(super) fn unwritable(path: &Path, error: &DiskError) -> Finding {
    let advice = format!("run as the daemon's user, which must own {}", path.display());
    fail("data directory", error.to_string(), advice)
}

pub(super) fn room(free_bytes: Option<u64>) -> Finding {
    let name = "free space";
    let Some(free) = free_bytes else {
        return warn(name, "unknown", "run `df`");
    };
    let found = size(free as f64);
    if free >= ROOM_WANTED_BYTES {
        ok(name, found)
    } else if free >= ROOM_NEEDED_BYTES {
        warn(
            name,
            found,
            "a new log takes 8 GiB by default: free space, or set a smaller --wal-size",
        )
    } else {
        fail(name, found, "a new log does not fit: free space, or use a larger file system")
    }
}

pub(super) fn filesystem(filesystem: &str) -> Finding {
    let name = "file system";
    match filesystem {
        "ext4" | "xfs" => ok(name, filesystem),
        "tmpfs" => {
            fail(name, filesystem, "memory is gone after a power cut: use ext4 or xfs on a device")
        }
        "nfs" | "fuse" => warn(
            name,
            filesystem,
            "durability is up to somebody else: use ext4 or xfs on a local device",
        ),
        other => warn(name, other, "not tested for this: use ext4 or xfs on a local device"),
    }
}

pub(super) fn write_cache(device: &DeviceFacts) -> Finding {
    let name = "write cache";
    let on = device.device.as_deref().map(|device| format!(" ({device})")).unwrap_or_default();
    match (device.write_cache.as_deref(), device.fua) {
        (Some("write through"), _) => ok(name, format!("none to flush{on}")),
        (Some(cache), Some(true)) => ok(name, format!("{cache}, FUA{on}")),
        (Some(cache), _) => warn(
            name,
            format!("{cache}, no FUA{on}"),
            "every durable write costs a flush of the device: a device with power-loss protection is faster",
        ),
        (None, _) => warn(
            name,
            format!("unknown{on}"),
            "make sure that a flush reaches stable media: the kernel does not tell what is below",
        ),
    }
}

pub(super) fn io_uring(probe: &UringProbe) -> Finding {
    match probe {
        UringProbe::Available => ok("io_uring", "available"),
        UringProbe::Forbidden(forbidden) => warn(
            "io_uring",
            forbidden.why.clone(),
            format!("pwritev2 is used instead; to have it: {}", forbidden.what_to_try),
        ),
    }
}

pub(super) fn direct_io(direct: bool) -> Finding {
    if direct {
        return ok("O_DIRECT", "taken");
    }
    let advice = "writes go through the page cache, which costs memory and copies: use ext4 or xfs";
    warn("O_DIRECT", "refused by the file system", advice)
}

pub(super) fn flush(measured: Result<Latency, String>) -> Finding {
    let name = "flush latency";
    let latency = match measured {
        Ok(latency) => latency,
        Err(error) => return fail(name, error, "see `dmesg`: the device does not write durably"),
    };
    let Latency { backend, p50_us, p99_us } = latency;
    let found = format!("p50 {p50_us} us, p99 {p99_us} us, 200 x 4 KiB by {backend}");
    if p50_us < FLUSH_P50_CREDIBLE_US {
        let advice = "too fast to be true: does a flush reach stable media?";
        warn(name, found, advice)
    } else if p50_us > FLUSH_P50_WANTED_US || p99_us > FLUSH_P99_WANTED_US {
        warn(
            name,
            found,
            "every acknowledgement waits for this: use NVMe with power-loss protection",
        )
    } else {
        ok(name, found)
    }
}

#[cfg(test)]
mod tests {
    use super::Verdict::{Fail, Ok as Fine, Warn};
    use super::*;

    #[test]
    fn every_fact_has_the_verdict_it_deserves() {
        let latency = |p50_us, p99_us| Ok(Latency { backend: "io_uring", p50_us, p99_us });
        let device = |cache: Option<&str>, fua| DeviceFacts {
            write_cache: cache.map(str::to_owned),
            fua,
            ..DeviceFacts::default()
        };
        for (finding, verdict) in [
            (kernel(Some("6.1.0-18-amd64")), Fine),
            (kernel(Some("5.10.0")), Fine),
            (kernel(Some("4.18.0-553.el8")), Warn),
            (kernel(Some("3.10.0")), Fail),
            (kernel(Some("odd")), Fail),
            (kernel(None), Warn),
            (clock_source(Some("tsc")), Fine),
            (clock_source(Some("hpet")), Warn),
            (open_files(Some((1024, 1_048_576))), Fine),
            (open_files(Some((1024, 4096))), Warn),
            (open_files(Some((256, 256))), Fail),
            (locked_memory(Some((u64::MAX, u64::MAX))), Fine),
            (locked_memory(Some((65_536, 65_536))), Warn),
            (room(Some(9 << 30)), Fine),
            (room(Some(3 << 30)), Warn),
            (room(Some(1 << 30)), Fail),
            (filesystem("xfs"), Fine),
            (filesystem("btrfs"), Warn),
            (filesystem("tmpfs"), Fail),
            (write_cache(&device(Some("write through"), None)), Fine),
            (write_cache(&device(Some("write back"), Some(true))), Fine),
            (write_cache(&device(Some("write back"), Some(false))), Warn),
            (write_cache(&device(None, None)), Warn),
            (io_uring(&UringProbe::Available), Fine),
            (direct_io(true), Fine),
            (direct_io(false), Warn),
            (flush(latency(80, 400)), Fine),
            (flush(latency(1, 2)), Warn),
            (flush(latency(9_000, 20_000)), Warn),
            (flush(Err("no".to_owned())), Fail),
            (missing_directory(Path::new("/none")), Fail),
        ] {
            assert_eq!(finding.verdict, verdict, "{finding:?}");
            assert_eq!(finding.advice.is_empty(), verdict == Fine, "{finding:?}");
        }
    }
}
