//! Reads of record bytes that have left memory, on tokio's blocking threads. The broker bounds
//! how many run at once and checks what comes back.

use holdfast_broker::{ColdError, ColdRead, ColdReader};
use holdfast_io::SegmentReader;
use holdfast_wal::Extent;
use std::sync::Arc;

/// Reads the files of one WAL directory.
pub struct SegmentColdReader {
    reader: SegmentReader,
}

impl SegmentColdReader {
    /// Over `reader`'s directory.
    #[must_use]
    pub fn new(reader: SegmentReader) -> SegmentColdReader {
        SegmentColdReader { reader }
    }
}

impl ColdReader for SegmentColdReader {
    fn read(&self, file: Arc<str>, extent: Extent) -> ColdRead {
        let reader = self.reader.clone();
        Box::pin(async move {
            let len_bytes = usize::try_from(extent.len_bytes)
                .map_err(|_| ColdError("an extent does not fit the address space".to_owned()))?;
            let read = tokio::task::spawn_blocking(move || {
                reader.read_at(&file, extent.offset, len_bytes)
            });
            match read.await {
                Ok(result) => result.map_err(|error| ColdError(error.to_string())),
                Err(stopped) => Err(ColdError(format!("the read did not run: {stopped}"))),
            }
        })
    }
}
