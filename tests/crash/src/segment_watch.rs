//! Sees from outside when a running log goes over into its next segment.
//!
//! The header of a segment is looked at with direct reads: a buffered read would put pages of a
//! file into the page cache that another process writes with O_DIRECT, and the kernel may then
//! report a write of that file as failed. Where direct reads are refused nothing is ever seen.
//! A file that is used a second time, in a log that is trimmed, is seen by its number: all files are
//! looked at then, which takes a millisecond.

use std::collections::BTreeSet;
use std::fs::{self, OpenOptions};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use nix::fcntl::OFlag;

const BLOCK: usize = 4096;
const MAGIC: &[u8] = b"HFWALSEG";
/// Where a header has its segment's number, and that of the oldest: see `storage/FORMAT.md`.
const NUMBER_AT: usize = 40;
const OLDEST_AT: usize = 136;
/// The first segment of a log.
const FIRST: u64 = 1;

/// Watches a lane's directory.
#[derive(Debug)]
pub(crate) struct SegmentWatch {
    directory: PathBuf,
    /// Files that hold no segment yet: one of them becomes the next.
    spares: Vec<PathBuf>,
    /// Every file met so far.
    known: BTreeSet<PathBuf>,
    buffer: Vec<u8>,
    /// The newest segment at the start, where the log has been trimmed.
    newest_of_trimmed: Option<u64>,
}

impl SegmentWatch {
    /// Begins with the log as it is.
    pub(crate) fn start(directory: &Path) -> SegmentWatch {
        let mut watch = SegmentWatch {
            directory: directory.to_owned(),
            spares: Vec::new(),
            known: BTreeSet::new(),
            buffer: vec![0; 2 * BLOCK],
            newest_of_trimmed: newest_and_oldest(directory)
                .and_then(|(newest, oldest, _)| (oldest > FIRST).then_some(newest)),
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
            || self.newest_of_trimmed.is_some_and(|at_start| {
                newest_and_oldest(&self.directory).is_some_and(|(newest, ..)| newest > at_start)
            })
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
        first_block(path, &mut self.buffer).is_some_and(|block| block.starts_with(MAGIC))
    }
}

fn first_block<'a>(path: &Path, buffer: &'a mut [u8]) -> Option<&'a [u8]> {
    let direct = OFlag::O_DIRECT.bits();
    let file = OpenOptions::new().read(true).custom_flags(direct).open(path).ok()?;
    let start = buffer.as_ptr().align_offset(BLOCK);
    let block = buffer.get_mut(start..start + BLOCK)?;
    file.read_exact_at(block, 0).ok()?;
    Some(block)
}

/// Numbers of the newest segment, and of the oldest that it names, and how large they are: by the
/// first copies of headers, unchecked.
pub(crate) fn newest_and_oldest(directory: &Path) -> Option<(u64, u64, u64)> {
    let mut buffer = vec![0; 2 * BLOCK];
    let mut newest = None;
    for entry in fs::read_dir(directory).ok()?.flatten() {
        if !entry.file_name().to_string_lossy().contains(".segment-") {
            continue;
        }
        let Some(block) = first_block(&entry.path(), &mut buffer) else { continue };
        let number = |at: usize| block[at..at + 8].try_into().map_or(0, u64::from_le_bytes);
        if block.starts_with(MAGIC) {
            let segment_bytes = entry.metadata().ok()?.len();
            newest = newest.max(Some((number(NUMBER_AT), number(OLDEST_AT), segment_bytes)));
        }
    }
    newest
}
