//! Sees from outside when a running log goes over into its next segment.
//!
//! The header of a segment is looked at with direct reads: a buffered read would put pages of a
//! file into the page cache that another process writes with O_DIRECT, and the kernel may then
//! report a write of that file as failed. Where direct reads are refused nothing is ever seen;
//! neither is a file that is used a second time (nothing is trimmed before objects exist).

use std::collections::BTreeSet;
use std::fs::{self, OpenOptions};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use nix::fcntl::OFlag;

const BLOCK: usize = 4096;
const MAGIC: &[u8] = b"HFWALSEG";

/// Watches a lane's directory.
#[derive(Debug)]
pub(crate) struct SegmentWatch {
    directory: PathBuf,
    /// Files that hold no segment yet: one of them becomes the next.
    spares: Vec<PathBuf>,
    /// Every file met so far.
    known: BTreeSet<PathBuf>,
    buffer: Vec<u8>,
}

impl SegmentWatch {
    /// Begins with the log as it is.
    pub(crate) fn start(directory: &Path) -> SegmentWatch {
        let mut watch = SegmentWatch {
            directory: directory.to_owned(),
            spares: Vec::new(),
            known: BTreeSet::new(),
            buffer: vec![0; 2 * BLOCK],
        };
        watch.find_files();
        let spares = std::mem::take(&mut watch.spares);
        watch.spares = spares.into_iter().filter(|path| !watch.has_header(path)).collect();
        watch
    }

    /// Whether a spare has got a header since the start.
    pub(crate) fn has_rolled(&mut self) -> bool {
        self.find_files();
        let spares = std::mem::take(&mut self.spares);
        let rolled = spares.iter().any(|path| self.has_header(path));
        self.spares = spares;
        rolled
    }

    fn find_files(&mut self) {
        for entry in fs::read_dir(&self.directory).into_iter().flatten().flatten() {
            let path = entry.path();
            if entry.file_name().to_string_lossy().contains(".segment-")
                && self.known.insert(path.clone())
            {
                self.spares.push(path);
            }
        }
    }

    fn has_header(&mut self, path: &Path) -> bool {
        let direct = OFlag::O_DIRECT.bits();
        let Ok(file) = OpenOptions::new().read(true).custom_flags(direct).open(path) else {
            return false;
        };
        let start = self.buffer.as_ptr().align_offset(BLOCK);
        let Some(block) = self.buffer.get_mut(start..start + BLOCK) else { return false };
        file.read_exact_at(block, 0).is_ok() && block.starts_with(MAGIC)
    }
}
