//! The plan of an object, and its batches as they lie in the node's log.

use std::collections::BTreeMap;

use bytes::Bytes;
use holdfast_base::PartitionKey;
use holdfast_io::SimDevice;
use holdfast_lane::{UploadBatch, UploadEntry, UploadJob};
use holdfast_tier::{BatchRow, BatchSource, BuildError, ObjectPlan, PlannedBatch, SourceError};
use holdfast_wal::OldestSegment;

/// What of an object's batches could be read.
#[derive(Debug)]
pub(super) struct LogSource {
    read: BTreeMap<(PartitionKey, i64), Result<Bytes, String>>,
}

/// The plan of a job; entries without batches count too.
pub(super) fn plan_of(job: &UploadJob) -> Result<ObjectPlan, BuildError> {
    let rows = |entry: &UploadEntry| (entry.index, entry.batches.iter().map(row_of).collect());
    let (range, entries) = ((job.first_index, job.last_index), job.entries.iter().map(rows));
    ObjectPlan::of_entries(job.identity, range, job.last_term, job.created_ms, entries)
}

fn row_of(batch: &UploadBatch) -> BatchRow {
    BatchRow {
        partition: batch.partition,
        base_offset: batch.base_offset,
        last_offset: batch.last_offset,
        leader_epoch: batch.leader_epoch,
        max_timestamp_ms: batch.max_timestamp_ms,
        len_bytes: batch.extent.len_bytes,
    }
}

impl LogSource {
    /// Reads every batch of a job. What lies in a segment that is not in the log any more does not
    /// count: its file may hold another's.
    pub(super) fn read(job: &UploadJob, device: &SimDevice, oldest: &OldestSegment) -> LogSource {
        let mut read = BTreeMap::new();
        for batch in job.entries.iter().flat_map(|entry| &entry.batches) {
            let start = batch.extent.offset;
            let range = start..start + u64::from(batch.extent.len_bytes);
            let bytes = match device.media_at(&batch.file, range) {
                _ if !oldest.still_has(batch.extent.segment) => {
                    Err(format!("segment {} is not in the log", batch.extent.segment.0))
                }
                Some(bytes) => Ok(Bytes::from(bytes)),
                None => Err(format!("{} has no such place", batch.file)),
            };
            read.insert((batch.partition, batch.base_offset), bytes);
        }
        LogSource { read }
    }
}

impl BatchSource for LogSource {
    async fn batch(&mut self, batch: &PlannedBatch) -> Result<Bytes, SourceError> {
        let found = self.read.remove(&(batch.row.partition, batch.row.base_offset));
        found
            .unwrap_or_else(|| Err("the job does not name this batch".to_owned()))
            .map_err(|what| SourceError { what })
    }
}
