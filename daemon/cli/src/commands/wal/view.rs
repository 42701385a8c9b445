//! A log's files for reading: what is written through it stays in memory and is forgotten.
//!
//! ```text
//! read   file's bytes, with written blocks laid over them
//! write  blocks kept in memory         create  zeros in memory
//! ```
//!
//! It obeys the contract of [`Disk`] but for durability, which nobody needs here: every submitted
//! request is done at once and told at the next poll.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use holdfast_io::{BLOCK_BYTES, Completion, Disk, DiskError, DiskErrorKind, FileId, Token};

use crate::errors::{CliError, Result};

/// See above.
pub(super) struct ReadOnlyDisk {
    path: PathBuf,
    files: Vec<Opened>,
    done: Vec<Completion>,
}

struct Opened {
    name: String,
    /// `None`: made here, all zeros but for `written`.
    file: Option<File>,
    len_bytes: u64,
    /// By offset, one block each.
    written: BTreeMap<u64, Bytes>,
}

impl ReadOnlyDisk {
    pub(super) fn open(path: &Path) -> Result<ReadOnlyDisk> {
        let disk = ReadOnlyDisk { path: path.to_owned(), files: Vec::new(), done: Vec::new() };
        disk.list().map_err(|error| {
            CliError::failed(format!("{} cannot be listed", path.display()), error.to_string())
        })?;
        Ok(disk)
    }

    fn opened(&self, file: FileId) -> &Opened {
        self.files.get(file.0 as usize).expect("a FileId comes from the disk it is used with")
    }

    fn add(&mut self, opened: Opened) -> FileId {
        let id = u32::try_from(self.files.len()).expect("descriptors run out before ids do");
        self.files.push(opened);
        FileId(id)
    }

    fn error(&self, attempted: String, error: &io::Error) -> DiskError {
        let kind = match error.kind() {
            io::ErrorKind::NotFound => DiskErrorKind::NotFound,
            io::ErrorKind::PermissionDenied => DiskErrorKind::Denied,
            _ => DiskErrorKind::Failed,
        };
        let attempted = format!("{attempted} in {}", self.path.display());
        DiskError { kind, attempted, detail: error.to_string() }
    }
}

impl Disk for ReadOnlyDisk {
    fn list(&self) -> std::result::Result<Vec<(String, u64)>, DiskError> {
        let failed = |error: io::Error| self.error("listing files".to_owned(), &error);
        let mut found = BTreeMap::new();
        for entry in fs::read_dir(&self.path).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let metadata = entry.metadata().map_err(failed)?;
            let name = entry.file_name().to_string_lossy().into_owned();
            if metadata.is_file() && name != "LOCK" && !name.ends_with(".creating") {
                found.insert(name, metadata.len());
            }
        }
        let made = self.files.iter().filter(|opened| opened.file.is_none());
        found.extend(made.map(|opened| (opened.name.clone(), opened.len_bytes)));
        Ok(found.into_iter().collect())
    }

    fn open(&mut self, name: &str) -> std::result::Result<FileId, DiskError> {
        if let Some(at) = self.files.iter().rposition(|opened| opened.name == name) {
            return Ok(FileId(u32::try_from(at).expect("an index that was an id before")));
        }
        let opened = File::open(self.path.join(name)).and_then(|file| {
            let len_bytes = file.metadata()?.len();
            Ok((file, len_bytes))
        });
        let (file, len_bytes) =
            opened.map_err(|error| self.error(format!("opening {name}"), &error))?;
        let (name, file) = (name.to_owned(), Some(file));
        Ok(self.add(Opened { name, file, len_bytes, written: BTreeMap::new() }))
    }

    fn create(&mut self, name: &str, len_bytes: u64) -> std::result::Result<FileId, DiskError> {
        let name = name.to_owned();
        Ok(self.add(Opened { name, file: None, len_bytes, written: BTreeMap::new() }))
    }

    fn submit_create(&mut self, name: &str, len_bytes: u64, token: Token) {
        let result = self.create(name, len_bytes);
        self.done.push(Completion::Create { token, result });
    }

    fn read(
        &self,
        file: FileId,
        offset: u64,
        len_bytes: usize,
    ) -> std::result::Result<Bytes, DiskError> {
        let opened = self.opened(file);
        let attempted = || format!("reading {len_bytes} bytes at {offset} of {}", opened.name);
        let mut bytes = vec![0; len_bytes];
        let end = offset + len_bytes as u64;
        if end > opened.len_bytes {
            return Err(self.error(attempted(), &io::ErrorKind::UnexpectedEof.into()));
        }
        if let Some(file) = &opened.file {
            file.read_exact_at(&mut bytes, offset)
                .map_err(|error| self.error(attempted(), &error))?;
        }
        for (at, block) in opened.written.range(offset..end) {
            let start = usize::try_from(at - offset).expect("it lies within the bytes read");
            bytes[start..start + BLOCK_BYTES].copy_from_slice(block);
        }
        Ok(bytes.into())
    }

    fn write(
        &mut self,
        file: FileId,
        offset: u64,
        data: Bytes,
    ) -> std::result::Result<(), DiskError> {
        assert!(
            offset.is_multiple_of(BLOCK_BYTES as u64) && data.len().is_multiple_of(BLOCK_BYTES)
        );
        let opened = self.files.get_mut(file.0 as usize);
        let opened = opened.expect("a FileId comes from the disk it is used with");
        assert!(offset + data.len() as u64 <= opened.len_bytes, "writes stay inside the file");
        for start in (0..data.len()).step_by(BLOCK_BYTES) {
            let block = data.slice(start..start + BLOCK_BYTES);
            opened.written.insert(offset + start as u64, block);
        }
        Ok(())
    }

    fn submit_write(&mut self, file: FileId, offset: u64, data: Bytes, token: Token) {
        let result = self.write(file, offset, data);
        self.done.push(Completion::Write { token, result });
    }

    fn submit_read(&mut self, file: FileId, offset: u64, len_bytes: usize, token: Token) {
        let result = self.read(file, offset, len_bytes);
        self.done.push(Completion::Read { token, result });
    }

    fn poll(&mut self, completions: &mut Vec<Completion>) {
        completions.append(&mut self.done);
    }

    fn len_bytes(&self, file: FileId) -> u64 {
        self.opened(file).len_bytes
    }
}
