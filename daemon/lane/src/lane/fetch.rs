//! Long-polling reads of committed batches.
//!
//! A fetch is tried at once; if it finds less than `min_bytes` it is parked on its partitions and
//! tried again when one of them moves, until its deadline. Nothing is ever read here: a slice is
//! in the tail cache or it names the place, on the device or in an object, for somebody else to read.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use holdfast_base::{Now, PartitionKey, ShardId};
use holdfast_io::Disk;
use holdfast_log::PartitionObject;
use holdfast_wal::{Extent, SegmentNumber};

use super::Lane;
use super::history::identity;
use crate::batch_index::BatchIndex;
use crate::machines::data_shard;
use crate::request::{
    Answer, FetchPartition, FetchRequest, FetchedPartition, ObjectPlace, Reason, RecordSlice,
    Refusal, Ticket,
};

/// Parked fetches by partition and by deadline.
///
/// Invariant: a ticket is in `requests` exactly if it is in `deadlines` and in `waiting` under
/// each of its partitions.
#[derive(Debug, Default)]
pub(super) struct Parked {
    requests: BTreeMap<Ticket, FetchRequest>,
    waiting: BTreeMap<PartitionKey, BTreeSet<Ticket>>,
    deadlines: BTreeSet<(u64, Ticket)>,
}

impl Parked {
    fn park(&mut self, ticket: Ticket, request: FetchRequest) {
        for partition in &request.partitions {
            self.waiting.entry(partition.partition).or_default().insert(ticket);
        }
        self.deadlines.insert((request.deadline_ns, ticket));
        self.requests.insert(ticket, request);
    }

    fn unpark(&mut self, ticket: Ticket) -> Option<FetchRequest> {
        let request = self.requests.remove(&ticket)?;
        for partition in &request.partitions {
            if let Some(tickets) = self.waiting.get_mut(&partition.partition) {
                tickets.remove(&ticket);
                if tickets.is_empty() {
                    self.waiting.remove(&partition.partition);
                }
            }
        }
        self.deadlines.remove(&(request.deadline_ns, ticket));
        Some(request)
    }

    pub(super) fn waits_on(&self, partition: &PartitionKey) -> impl Iterator<Item = Ticket> {
        self.waiting.get(partition).into_iter().flatten().copied()
    }

    pub(super) fn everyone(&self) -> impl Iterator<Item = Ticket> {
        self.requests.keys().copied()
    }

    pub(super) fn next_deadline_ns(&self) -> Option<u64> {
        self.deadlines.first().map(|(deadline_ns, _)| *deadline_ns)
    }

    pub(super) fn len(&self) -> usize {
        self.requests.len()
    }
}

/// What one try found.
struct Found {
    parts: Vec<Result<FetchedPartition, Refusal>>,
    bytes: u64,
    /// A partition has an answer that cannot wait: refused, or diverging.
    urgent: bool,
}

impl<D: Disk> Lane<D> {
    pub(super) fn fetch(&mut self, ticket: Ticket, request: FetchRequest, now: Now) {
        let found = self.find(&request, now);
        let complete = found.urgent
            || found.bytes >= u64::from(request.min_bytes)
            || request.deadline_ns <= now.boottime_ns
            || request.partitions.is_empty();
        if complete {
            self.calls.answer(ticket, Answer::Fetch(found.parts));
        } else {
            self.parked.park(ticket, request);
        }
    }

    /// Tries again the fetches whose partitions moved, and answers those whose time is up.
    pub(super) fn wake_fetches(&mut self, now: Now) {
        let mut awake = std::mem::take(&mut self.awake);
        while let Some((deadline_ns, ticket)) = self.parked.deadlines.first().copied() {
            if deadline_ns > now.boottime_ns {
                break;
            }
            self.parked.deadlines.pop_first();
            awake.insert(ticket);
        }
        for ticket in awake {
            if let Some(request) = self.parked.unpark(ticket) {
                self.fetch(ticket, request, now);
            }
        }
    }

    fn find(&mut self, request: &FetchRequest, now: Now) -> Found {
        let mut found =
            Found { parts: Vec::with_capacity(request.partitions.len()), bytes: 0, urgent: false };
        let mut left = u64::from(request.max_bytes);
        for partition in &request.partitions {
            let part = self.find_partition(partition, left, found.bytes == 0, now);
            match &part {
                Ok((fetched, bytes)) => {
                    found.urgent |= fetched.diverging.is_some();
                    found.bytes += bytes;
                    left = left.saturating_sub(*bytes);
                }
                Err(_) => found.urgent = true,
            }
            found.parts.push(part.map(|(fetched, _)| fetched));
        }
        found
    }

    /// Whole batches from the fetch offset on; the first one whole, however large, if nothing was
    /// found before it.
    fn find_partition(
        &mut self,
        asked: &FetchPartition,
        left_bytes: u64,
        nothing_yet: bool,
        now: Now,
    ) -> Result<(FetchedPartition, u64), Refusal> {
        let key = asked.partition;
        let (shard, partition) = self.readable(&key, asked.current_leader_epoch, now)?;
        let (log_start, high_watermark) = (partition.log_start(), partition.high_watermark());
        let last_stable = partition.last_stable();
        if let Some(end) = self.diverging(shard, partition, asked, now) {
            let records = Vec::new();
            let diverging = Some(end);
            let fetched =
                FetchedPartition { high_watermark, last_stable, log_start, records, diverging };
            return Ok((fetched, 0));
        }
        let decided_end = self.decided_end(shard, &key).unwrap_or(high_watermark);
        if asked.fetch_offset < log_start || asked.fetch_offset > decided_end.max(high_watermark) {
            return Err(self.refuse(shard, &key, Reason::OffsetOutOfRange));
        }
        let limit = left_bytes.min(u64::from(asked.max_bytes));
        if let Some((record, bytes)) = self.in_object(shard, &key, asked.fetch_offset, limit) {
            // Without room only the first answer of a fetch may have a batch.
            let fits = nothing_yet || bytes <= limit;
            let records = if fits { vec![record] } else { Vec::new() };
            let fetched = FetchedPartition {
                high_watermark,
                last_stable,
                log_start,
                records,
                diverging: None,
            };
            return Ok((fetched, if fits { bytes } else { 0 }));
        }
        let first_in_log = self.batches.get(&key).and_then(BatchIndex::first_offset);
        if first_in_log.unwrap_or(high_watermark) > asked.fetch_offset {
            // Neither in the log nor in an object: better an error than a hole.
            return Err(self.refuse(shard, &key, Reason::Storage));
        }
        let mut bytes = 0;
        let mut extents: Vec<(Extent, i64)> = Vec::new();
        let index = self.batches.get(&key);
        for row in index.into_iter().flat_map(|index| index.from(asked.fetch_offset)) {
            let extent = row.extent();
            let first = bytes == 0 && nothing_yet;
            if row.base_offset >= high_watermark
                || (!first && bytes + u64::from(extent.len_bytes) > limit)
            {
                break;
            }
            bytes += u64::from(extent.len_bytes);
            match extents.last_mut().filter(|(last, _)| follows(last, &extent)) {
                Some((last, _)) => last.len_bytes += extent.len_bytes,
                None => extents.push((extent, row.base_offset)),
            }
        }
        let records = extents
            .into_iter()
            .map(|(extent, base_offset)| self.slice(extent, base_offset))
            .collect::<Option<Vec<_>>>()
            .ok_or_else(|| self.refuse(shard, &key, Reason::Storage))?;
        Ok((
            FetchedPartition { high_watermark, last_stable, log_start, records, diverging: None },
            bytes,
        ))
    }

    /// Where the batch that holds `offset` lies, if the log has let go of it, and how many bytes of at
    /// most `limit` a read from there may bring (at least 1).
    pub(super) fn in_object(
        &self,
        shard: ShardId,
        key: &PartitionKey,
        offset: i64,
        limit: u64,
    ) -> Option<(RecordSlice, u64)> {
        let first_in_log = self.batches.get(key).and_then(BatchIndex::first_offset);
        let is_in_log = |offset| first_in_log.is_some_and(|first| first <= offset);
        if is_in_log(offset) {
            return None;
        }
        let state = data_shard(&self.driver, shard)?;
        let past = i64::from(self.config.planted.history.edge_in_next_object);
        let rows = state.partition(key)?;
        let place_of = |row: &PartitionObject| {
            let object = state.object_at(row.number)?;
            Some(ObjectPlace {
                identity: identity(self.config.founding.cluster, shard, object),
                object_bytes: object.object_bytes,
                tail_bytes: object.tail_bytes,
            })
        };
        let row = rows.object_at(offset + past)?;
        let behind = row.last_offset.saturating_add(1);
        let next = rows.object_at(behind).filter(|_| !is_in_log(behind));
        let bytes = limit.min(u64::from(row.len_bytes)).max(1);
        let slice = RecordSlice::InObject {
            object: place_of(row)?,
            partition: *key,
            from_offset: offset,
            max_bytes: u32::try_from(limit).unwrap_or(u32::MAX),
            next: next.and_then(place_of),
        };
        Some((slice, bytes))
    }

    /// Bytes in memory, or their place on the device.
    pub(super) fn slice(&mut self, extent: Extent, base_offset: i64) -> Option<RecordSlice> {
        if let Some(bytes) = self.driver.cached_payload(extent) {
            return Some(RecordSlice::Cached(bytes));
        }
        let file = self.file_of(extent.segment)?;
        Some(RecordSlice::OnDisk { file, extent, base_offset })
    }

    pub(super) fn file_of(&mut self, segment: SegmentNumber) -> Option<Arc<str>> {
        if let Some(file) = self.files.get(&segment) {
            return Some(Arc::clone(file));
        }
        let file: Arc<str> = self.driver.wal().file_name_of(segment)?.into();
        self.files.insert(segment, Arc::clone(&file));
        Some(file)
    }
}

/// Batches of one partition lie side by side only inside one entry's payload; longer runs than a
/// u32 are not joined.
fn follows(last: &Extent, next: &Extent) -> bool {
    last.segment == next.segment
        && last.offset + u64::from(last.len_bytes) == next.offset
        && last.len_bytes.checked_add(next.len_bytes).is_some()
}
