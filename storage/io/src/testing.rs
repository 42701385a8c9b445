//! Scratch directories for this room's tests.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

/// A directory of its own, removed at the end.
pub(crate) struct ScratchDirectory {
    path: PathBuf,
}

impl ScratchDirectory {
    /// On the disk the build lies on, because that one takes O_DIRECT.
    pub(crate) fn new(name: &str) -> ScratchDirectory {
        let executable = std::env::current_exe().unwrap();
        ScratchDirectory::new_in(executable.parent().unwrap(), name)
    }

    pub(crate) fn new_in(parent: &Path, name: &str) -> ScratchDirectory {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let path = parent.join(format!("holdfast-io-{name}-{}-{number}", std::process::id()));
        fs::create_dir(&path).unwrap();
        ScratchDirectory { path }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for ScratchDirectory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.path);
    }
}
