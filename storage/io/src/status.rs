//! What a WAL directory lies on, as far as the kernel tells: for `status`, the probe and support.
//!
//! Read from `statfs` and `/sys/dev/block/<major>:<minor>/queue`; a partition has no queue of its
//! own and shows its disk's. File systems without one device (btrfs, overlay, tmpfs) show none:
//! then FUA, cache and block size are unknown (`None`), which is not an error.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// How a lane's directory is written.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DiskStatus {
    /// "io_uring", "pwritev2" or "simulated".
    pub backend: &'static str,
    /// False where the file system refused O_DIRECT: writes go through the page cache, with
    /// RWF_DSYNC, and reads may be served from memory.
    pub direct_io: bool,
    /// What the directory lies on.
    pub device: DeviceFacts,
    /// What an operator should know: fallbacks taken, and why.
    pub notes: Vec<String>,
}

/// What the kernel says of the device under a directory.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct DeviceFacts {
    /// The file system's usual name, or its magic number.
    pub filesystem: String,
    /// The block device, e.g. `nvme0n1`.
    pub device: Option<String>,
    /// The smallest unit the device writes without reading.
    pub physical_block_bytes: Option<u32>,
    /// The queue takes FUA: a durable write is one command. Otherwise the kernel adds a flush.
    pub fua: Option<bool>,
    /// "write back" (a volatile cache that must be flushed) or "write through".
    pub write_cache: Option<String>,
}

impl DeviceFacts {
    /// Reads what there is to read; anything unreadable stays unknown.
    #[must_use]
    pub fn of(directory: &Path) -> DeviceFacts {
        let filesystem = nix::sys::statfs::statfs(directory).map_or_else(
            |_| "unknown".to_owned(),
            |found| filesystem_name(found.filesystem_type().0),
        );
        let mut facts = DeviceFacts { filesystem, ..DeviceFacts::default() };
        let Some((device, queue)) = queue_of(directory) else { return facts };
        let read = |name: &str| {
            fs::read_to_string(queue.join(name)).ok().map(|text| text.trim().to_owned())
        };
        facts.device = Some(device);
        facts.physical_block_bytes = read("physical_block_size").and_then(|text| text.parse().ok());
        facts.fua = read("fua").map(|text| text == "1");
        facts.write_cache = read("write_cache");
        facts
    }
}

/// The device's name and its queue directory in sysfs.
fn queue_of(directory: &Path) -> Option<(String, PathBuf)> {
    let device = fs::metadata(directory).ok()?.dev();
    let (major, minor) = (nix::sys::stat::major(device), nix::sys::stat::minor(device));
    let node = fs::canonicalize(format!("/sys/dev/block/{major}:{minor}")).ok()?;
    let queue =
        [Some(node.as_path()), node.parent()].into_iter().flatten().map(|at| at.join("queue"));
    let queue = queue.into_iter().find(|queue| queue.is_dir())?;
    Some((node.file_name()?.to_str()?.to_owned(), queue))
}

/// Magic numbers from `statfs(2)` of the file systems met under a WAL.
#[expect(clippy::unnecessary_cast, reason = "the type of f_type differs between targets")]
fn filesystem_name(magic: impl Into<i64>) -> String {
    let magic = magic.into() as i64;
    let known = match magic {
        0xef53 => "ext4",
        0x5846_5342 => "xfs",
        0x9123_683e => "btrfs",
        0x0102_1994 => "tmpfs",
        0x794c_7630 => "overlay",
        0x2fc1_2fc1 => "zfs",
        0xf2f5_2010 => "f2fs",
        0x6573_5546 => "fuse",
        0x6969 => "nfs",
        _ => return format!("{magic:#x}"),
    };
    known.to_owned()
}
