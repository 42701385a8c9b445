//! Batches of an object that is being written, read from the log's files.
//!
//! ```text
//! planned order   b1 b2 b3 | b4 | b5 ...            by partition, then offset
//! runs            one read: neighbours in one file, gaps of at most 16 KiB, at most 2 MiB
//! jobs            runs of together about 2 MiB, on a thread that may block
//! afterwards      is each segment still in the log?  the batch's CRC: the object's writer asks
//! ```
//!
//! A segment's file may be given to another segment at any time. What was read counts only if the
//! segment was still there afterwards ([`OldestSegment`]); its bytes could pass every other check.
//!
//! Held at once: one job's runs, and what the writer has not handed on. A batch that is small beside its
//! run is copied out of it, or a thin partition would hold the gaps too.

use bytes::Bytes;
use holdfast_base::PartitionKey;
use holdfast_io::SegmentReader;
use holdfast_lane::{UploadEntry, UploadJob};
use holdfast_tier::{BatchRow, BatchSource, BuildError, ObjectPlan, PlannedBatch, SourceError};
use holdfast_wal::{Extent, OldestSegment};
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, OnceLock};

/// Bytes between two batches that are read along: less than a second read costs.
const GAP_BYTES_MAX: u64 = 16 << 10;
/// One read, unless one batch is larger.
const RUN_BYTES_MAX: u64 = 2 << 20;
/// A job ends with the run that brings it here.
const JOB_BYTES: u64 = 2 << 20;
/// What one direct read fetches around its bytes at most.
const BLOCK_BYTES: u64 = 4096;

/// The files of a lane's log, read by others than the lane.
#[derive(Clone)]
pub struct Log {
    /// Reads them.
    pub reader: SegmentReader,
    /// Which segments are still there; known once the lane runs.
    pub oldest: Arc<OnceLock<OldestSegment>>,
}

#[derive(Clone, Debug)]
struct Place {
    partition: PartitionKey,
    base_offset: i64,
    file: Arc<str>,
    extent: Extent,
}

/// The batches of one object, in its order.
pub struct LogSource {
    log: Log,
    places: Arc<[Place]>,
    /// The first place that is not read.
    next: usize,
    ready: VecDeque<Bytes>,
}

impl LogSource {
    /// The plan of a job, and where its batches lie.
    ///
    /// # Errors
    /// When the job is none of an object.
    pub fn plan(job: &UploadJob, log: &Log) -> Result<(ObjectPlan, LogSource), BuildError> {
        let rows = |entry: &UploadEntry| (entry.index, entry.batches.iter().map(row_of).collect());
        let (range, entries) = ((job.first_index, job.last_index), job.entries.iter().map(rows));
        let plan =
            ObjectPlan::of_entries(job.identity, range, job.last_term, job.created_ms, entries)?;
        let mut places = BTreeMap::new();
        for batch in job.entries.iter().flat_map(|entry| &entry.batches) {
            let place = Place {
                partition: batch.partition,
                base_offset: batch.base_offset,
                file: Arc::clone(&batch.file),
                extent: batch.extent,
            };
            places.insert((batch.partition, batch.base_offset), place);
        }
        let places = places.into_values().collect();
        Ok((plan, LogSource { log: log.clone(), places, next: 0, ready: VecDeque::new() }))
    }

    async fn read_on(&mut self) -> Result<(), SourceError> {
        let (log, places, from) = (self.log.clone(), Arc::clone(&self.places), self.next);
        let job = tokio::task::spawn_blocking(move || read_job(&log, &places[from..]));
        let read = job.await.map_err(|error| SourceError { what: error.to_string() })?;
        let read = read.map_err(|what| SourceError { what })?;
        self.next += read.len();
        self.ready.extend(read);
        Ok(())
    }
}

impl BatchSource for LogSource {
    async fn batch(&mut self, batch: &PlannedBatch) -> Result<Bytes, SourceError> {
        if self.ready.is_empty() {
            self.read_on().await?;
        }
        let at = self.next - self.ready.len();
        let is_next = self.places.get(at).is_some_and(|place| {
            (place.partition, place.base_offset) == (batch.row.partition, batch.row.base_offset)
        });
        match self.ready.pop_front().filter(|_| is_next) {
            Some(bytes) => Ok(bytes),
            None => Err(SourceError { what: "batches are asked for in another order".to_owned() }),
        }
    }
}

fn row_of(batch: &holdfast_lane::UploadBatch) -> BatchRow {
    BatchRow {
        partition: batch.partition,
        base_offset: batch.base_offset,
        last_offset: batch.last_offset,
        leader_epoch: batch.leader_epoch,
        max_timestamp_ms: batch.max_timestamp_ms,
        len_bytes: batch.extent.len_bytes,
    }
}

/// The bytes of the first places, as many as make a job. Blocks.
fn read_job(log: &Log, places: &[Place]) -> Result<Vec<Bytes>, String> {
    let oldest = log.oldest.get().ok_or("the log is not recovered yet")?;
    let mut read = Vec::new();
    let mut job_bytes = 0;
    while read.len() < places.len() && job_bytes < JOB_BYTES {
        let run = run_of(&places[read.len()..]);
        let (first, last) = (run.first(), run.last());
        let (first, last) = first.zip(last).ok_or("a run without batches")?;
        let start = first.extent.offset;
        let len_bytes = end_of(&last.extent) - start;
        let bytes = usize::try_from(len_bytes)
            .map_err(|_| "a run does not fit the address space".to_owned())
            .and_then(|len_bytes| {
                let read = log.reader.read_at(&first.file, start, len_bytes);
                read.map_err(|error| error.to_string())
            })?;
        // Only now: before the read it would prove nothing.
        if !oldest.still_has(first.extent.segment) {
            let segment = first.extent.segment.0;
            return Err(format!("segment {segment} is not in the log any more"));
        }
        let wanted: u64 = run.iter().map(|place| u64::from(place.extent.len_bytes)).sum();
        let copied = wanted * 2 < len_bytes + BLOCK_BYTES;
        for place in run {
            let from = (place.extent.offset - start) as usize;
            let slice = bytes.slice(from..from + place.extent.len_bytes as usize);
            read.push(if copied { Bytes::copy_from_slice(&slice) } else { slice });
        }
        job_bytes += len_bytes;
    }
    Ok(read)
}

/// The first places that make one read.
fn run_of(places: &[Place]) -> &[Place] {
    let Some(first) = places.first() else { return places };
    let start = first.extent.offset;
    let joins = |pair: &[Place]| {
        let (last, next) = (&pair[0], &pair[1]);
        let gap = next.extent.offset.checked_sub(end_of(&last.extent));
        next.file == last.file
            && next.extent.segment == last.extent.segment
            && gap.is_some_and(|gap| gap <= GAP_BYTES_MAX)
            && end_of(&next.extent) - start <= RUN_BYTES_MAX
    };
    let count = 1 + places.windows(2).take_while(|pair| joins(pair)).count();
    &places[..count]
}

fn end_of(extent: &Extent) -> u64 {
    extent.offset + u64::from(extent.len_bytes)
}

#[cfg(test)]
mod tests;
