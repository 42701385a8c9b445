//! Reading finished segments from helper threads, past the page cache.
//!
//! ```text
//!  file      |----block----|----block----|----block----|
//!  asked for         |<--------- len --------->|
//!  read      |<------------- whole blocks ------------>|   one transfer
//!  answer            |<--- a slice of it ----->|           nothing is copied
//! ```
//!
//! The kernel's page cache stays out of it: the tail is in memory already, and reading back a
//! cold segment must not push other pages out. A reader holds no lock and no descriptor between
//! calls, so a segment may be recycled under it; what it then reads is judged by the frame's own
//! checks (generation, checksum), never by this file.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use bytes::Bytes;

use crate::directory::{assert_file_name, disk_error};
use crate::file;
use crate::{BLOCK_BYTES, BufferPool, DiskError, DiskErrorKind};

/// Reads files of one WAL directory by name. Cheap to clone; use it from any thread.
#[derive(Clone, Debug)]
pub struct SegmentReader {
    path: PathBuf,
    direct_io: bool,
    pool: BufferPool,
}

impl SegmentReader {
    /// A reader of the directory at `path`; reads take their memory from `pool`.
    ///
    /// # Errors
    /// `NotFound` or `Denied` when the directory cannot be read.
    pub fn new(path: &Path, pool: BufferPool) -> Result<SegmentReader, DiskError> {
        let failed = |error: io::Error| disk_error(format!("opening {}", path.display()), &error);
        File::open(path).map_err(failed)?;
        Ok(SegmentReader { path: path.to_owned(), direct_io: true, pool })
    }

    /// Exactly `len_bytes` at `offset` of the file `name`; neither need be aligned. Blocks.
    ///
    /// # Errors
    /// `NotFound`; `Failed` when the device gives an error or the file ends before.
    pub fn read_at(&self, name: &str, offset: u64, len_bytes: usize) -> Result<Bytes, DiskError> {
        assert_file_name(name);
        if len_bytes == 0 {
            return Ok(Bytes::new());
        }
        let failed = |error: io::Error| {
            let attempted = format!("reading {len_bytes} bytes at {offset} of {name}");
            disk_error(attempted, &error)
        };
        let file = self.open(name).map_err(failed)?;
        let block_bytes = BLOCK_BYTES as u64;
        let first = offset - offset % block_bytes;
        let before = (offset - first) as usize;
        let whole = (before + len_bytes).next_multiple_of(BLOCK_BYTES);
        let blocks = file::read_exact(&file, first, whole, &self.pool).map_err(|error| {
            // Whatever the kernel says of a read, the caller can only look elsewhere.
            DiskError { kind: DiskErrorKind::Failed, ..failed(error) }
        })?;
        Ok(blocks.slice(before..before + len_bytes))
    }

    fn open(&self, name: &str) -> io::Result<File> {
        let path = self.path.join(name);
        match file::open_options(self.direct_io).read(true).open(&path) {
            Err(error) if error.kind() == io::ErrorKind::InvalidInput && self.direct_io => {
                file::open_options(false).read(true).open(&path)
            }
            opened => opened,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conformance::pattern;
    use crate::testing::ScratchDirectory;
    use crate::{Disk, DiskOptions, Pwritev2Disk};

    fn written() -> (ScratchDirectory, SegmentReader) {
        let scratch = ScratchDirectory::new("direct");
        let mut disk = Pwritev2Disk::open(scratch.path(), DiskOptions::default()).unwrap();
        let file = disk.create("a", 8 * BLOCK_BYTES as u64).unwrap();
        disk.write(file, 0, pattern(3, 8)).unwrap();
        let reader = SegmentReader::new(scratch.path(), BufferPool::new(1 << 20)).unwrap();
        (scratch, reader)
    }

    #[test]
    fn any_range_is_read_exactly() {
        let (_scratch, reader) = written();
        let whole = pattern(3, 8);
        for (offset, len_bytes) in
            [(0, 1), (1, 4095), (4095, 2), (4096, 4096), (5000, 12_345), (0, 32_768), (32_767, 1)]
        {
            let bytes = reader.read_at("a", offset, len_bytes).unwrap();
            assert!(bytes == whole.slice(offset as usize..offset as usize + len_bytes));
        }
        assert_eq!(reader.read_at("a", 77, 0), Ok(Bytes::new()));
    }

    #[test]
    fn what_is_not_there_is_an_error_not_a_short_answer() {
        let (_scratch, reader) = written();
        let kind = |result: Result<Bytes, DiskError>| result.unwrap_err().kind;
        assert_eq!(kind(reader.read_at("a", 32_767, 2)), DiskErrorKind::Failed);
        assert_eq!(kind(reader.read_at("b", 0, 1)), DiskErrorKind::NotFound);
    }

    #[test]
    fn threads_share_a_reader() {
        fn shared<T: Send + Sync + Clone + 'static>() {}
        shared::<SegmentReader>();
    }
}
