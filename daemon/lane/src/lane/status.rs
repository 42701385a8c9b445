//! Numbers of a lane, for status pages, metrics and tests.

use holdfast_base::ShardId;
use holdfast_consensus::ReplicaStatus;
use holdfast_io::Disk;
use holdfast_wal::{SealedSegment, WalError, WalStatus};

use super::Lane;
use super::repairs::ScrubNumbers;
use crate::batch_index::BatchIndex;
use crate::machines::data_shard;
use crate::store_work::Finding;

/// Numbers for status pages and metrics.
#[derive(Clone, Debug)]
pub struct LaneStatus {
    /// The WAL.
    pub wal: WalStatus,
    /// Every replica.
    pub replicas: Vec<ReplicaStatus>,
    /// Calls not answered yet, parked fetches not counted.
    pub open_calls: usize,
    /// Fetches that wait for records.
    pub parked_fetches: usize,
    /// Bytes in the tail cache.
    pub tail_cache_bytes: u64,
    /// Bytes of committed batches that are in no object yet; 0 without a store.
    pub store_waiting_bytes: u64,
    /// What came of checks of objects, in the shards led here.
    pub scrub: ScrubNumbers,
    /// Objects of these shards that are wrong now.
    pub findings: Vec<Finding>,
    /// Segments of the log that can be looked through.
    pub sealed: Vec<SealedSegment>,
    /// Batches in the read index.
    pub indexed_batches: usize,
    /// The device failed: nothing is acknowledged any more.
    pub failed: Option<WalError>,
}

/// How often rare situations came about since the start, for tests that must have seen them.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Probes {
    /// Batches answered with the offset of their first copy, already committed.
    pub duplicates_committed: u64,
    /// Batches that waited for their first copy, still in flight.
    pub duplicates_in_flight: u64,
    /// Parked fetches tried again because a partition moved.
    pub fetches_woken: u64,
    /// Entries whose waiters were told that their fate is unknown.
    pub pending_failed: u64,
    /// Entries whose waiters were told that they never happened.
    pub other_term_took_index: u64,
}

impl<D: Disk> Lane<D> {
    /// Numbers for status pages and metrics.
    #[must_use]
    pub fn status(&self) -> LaneStatus {
        LaneStatus {
            wal: self.driver.wal().status(),
            replicas: self.driver.status().collect(),
            open_calls: self.calls.open_count(),
            parked_fetches: self.parked.len(),
            tail_cache_bytes: self.driver.tail_cache_bytes(),
            store_waiting_bytes: self.history.waiting_bytes(),
            scrub: self.scrub_numbers(),
            findings: self.findings(),
            sealed: self.driver.wal().sealed_segments(),
            indexed_batches: self.batches.values().map(BatchIndex::len).sum(),
            failed: self.failed.clone(),
        }
    }

    fn scrub_numbers(&self) -> ScrubNumbers {
        let mut numbers = ScrubNumbers::default();
        for leading in self.leading.values() {
            numbers.add(leading.objects.repairs.numbers());
        }
        numbers
    }

    fn findings(&self) -> Vec<Finding> {
        let cluster = self.config.founding.cluster;
        let of_shard = |(shard, leading): (&ShardId, &super::Leading)| {
            let state = data_shard(&self.driver, *shard)?;
            Some(leading.objects.repairs.findings(state, (cluster, *shard)))
        };
        self.leading.iter().filter_map(of_shard).flatten().collect()
    }

    /// How often rare situations came about in this lane.
    #[must_use]
    pub fn probes(&self) -> Probes {
        self.probes
    }

    /// The same for its replicas.
    #[must_use]
    pub fn consensus_probes(&self) -> holdfast_consensus::Probes {
        self.driver.probes()
    }
}
