//! The paced walk over sealed segments of the log, beside the lane.
//!
//! ```text
//! every interval: sealed segments (from the lane) ─▶ one after the other ─▶ frame by frame, 16 MiB/s
//!                                                                             └─ bad ─▶ still in the log?
//!                                                                                  └─▶ named: HF-1022
//! ```
//!
//! Nothing is changed. What is damaged there and already in an object costs nothing; what is not is
//! named by its partitions and offsets while somebody may still have it.

use crate::cold_reader::OldestSlot;
use crate::node::Node;
use crate::report::{Code, records_between};
use holdfast_base::Clock;
use holdfast_io::SegmentReader;
use holdfast_wal::{SealedSegment, SegmentFinding, SegmentScrub, WalConfig};
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::time::sleep;

/// A segment of 64 MiB in 4 s: far below what the device writes.
const BYTES_PER_S: u64 = 16 << 20;
/// Frames read before the pace is kept.
const STEP_BYTES: u64 = 2 << 20;
/// Findings that are kept to be shown.
const SHOWN_MAX: usize = 100;

/// What came of it, for who shows it.
#[derive(Default, Debug)]
pub struct WalScrubbed {
    segments: AtomicU64,
    bytes: AtomicU64,
    findings_total: AtomicU64,
    passes: AtomicU64,
    last_pass_ms: AtomicI64,
    findings: Mutex<Vec<SegmentFinding>>,
}

impl WalScrubbed {
    /// Segments read whole.
    #[must_use]
    pub fn segments(&self) -> u64 {
        self.segments.load(Ordering::Relaxed)
    }

    /// Bytes of their frames.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Frames and seals that were damaged.
    #[must_use]
    pub fn findings_total(&self) -> u64 {
        self.findings_total.load(Ordering::Relaxed)
    }

    /// Passes that have ended, and when the last one did.
    #[must_use]
    pub fn passes(&self) -> (u64, Option<i64>) {
        let passes = self.passes.load(Ordering::Relaxed);
        (passes, (passes > 0).then(|| self.last_pass_ms.load(Ordering::Relaxed)))
    }

    /// The last pass's findings.
    #[must_use]
    pub fn findings(&self) -> Vec<SegmentFinding> {
        self.findings.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// What the walk works with.
pub(crate) struct WalScrub {
    pub(crate) reader: SegmentReader,
    pub(crate) oldest: OldestSlot,
    pub(crate) config: WalConfig,
    pub(crate) node: Arc<Node>,
    pub(crate) clock: Arc<dyn Clock + Send + Sync>,
    pub(crate) every: Duration,
}

impl WalScrub {
    /// Walks for as long as the node lives.
    pub(crate) async fn run(self) {
        sleep(self.every / 8).await;
        loop {
            let sealed = match self.node.fresh_lane().await {
                Some(lane) => lane.status.sealed.clone(),
                None => Vec::new(),
            };
            let mut findings = Vec::new();
            for segment in sealed {
                findings.extend(self.segment(segment).await);
                findings.truncate(SHOWN_MAX);
            }
            let scrubbed = &self.node.wal_scrubbed;
            *scrubbed.findings.lock().unwrap_or_else(PoisonError::into_inner) = findings;
            scrubbed.last_pass_ms.store(self.clock.now().wall_ms, Ordering::Relaxed);
            scrubbed.passes.fetch_add(1, Ordering::Relaxed);
            sleep(self.every).await;
        }
    }

    async fn segment(&self, sealed: SealedSegment) -> Vec<SegmentFinding> {
        let mut findings = Vec::new();
        let mut under_way = None;
        loop {
            let (reader, config, sealed_here) =
                (self.reader.clone(), self.config.clone(), sealed.clone());
            let step = move || step(&reader, &config, &sealed_here, under_way);
            let stepped = tokio::task::spawn_blocking(step).await;
            let Ok(Stepped { scrub, bytes, found }) = stepped else { return findings };
            // Only now: before the read it would prove nothing.
            let is_there = self.oldest.get().is_some_and(|oldest| oldest.still_has(sealed.segment));
            if !is_there {
                return Vec::new();
            }
            for finding in found {
                tell(&sealed, &finding);
                self.node.wal_scrubbed.findings_total.fetch_add(1, Ordering::Relaxed);
                findings.push(finding);
            }
            self.node.wal_scrubbed.bytes.fetch_add(bytes, Ordering::Relaxed);
            under_way = scrub;
            if under_way.is_none() {
                self.node.wal_scrubbed.segments.fetch_add(1, Ordering::Relaxed);
                return findings;
            }
            sleep(Duration::from_micros(bytes * 1_000_000 / BYTES_PER_S)).await;
        }
    }
}

struct Stepped {
    /// `None` at the end.
    scrub: Option<SegmentScrub>,
    bytes: u64,
    found: Vec<SegmentFinding>,
}

/// Some frames of a segment. Blocks.
fn step(
    reader: &SegmentReader,
    config: &WalConfig,
    sealed: &SealedSegment,
    under_way: Option<SegmentScrub>,
) -> Stepped {
    let read = |offset: u64, len: usize| reader.read_at(&sealed.file, offset, len);
    let (mut bytes, mut found) = (0, Vec::new());
    let unreadable = |error: &holdfast_io::DiskError| {
        tracing::warn!(file = sealed.file, %error, "a segment cannot be looked through");
    };
    let mut scrub = match under_way {
        Some(scrub) => scrub,
        None => match SegmentScrub::open(config, sealed.segment, read) {
            Ok(Ok(scrub)) => scrub,
            Ok(Err(finding)) => {
                return Stepped { scrub: None, bytes, found: vec![finding] };
            }
            Err(error) => {
                unreadable(&error);
                return Stepped { scrub: None, bytes, found };
            }
        },
    };
    while bytes < STEP_BYTES {
        match scrub.step(config, read) {
            None => return Stepped { scrub: None, bytes, found },
            Some(Ok(Ok(frame_bytes))) => bytes += frame_bytes,
            Some(Ok(Err(finding))) => found.push(finding),
            Some(Err(error)) => {
                unreadable(&error);
                return Stepped { scrub: None, bytes, found };
            }
        }
    }
    Stepped { scrub: Some(scrub), bytes, found }
}

fn tell(sealed: &SealedSegment, finding: &SegmentFinding) {
    let range = |(partition, first, last): &(holdfast_base::PartitionKey, i64, i64)| {
        records_between(partition, *first, *last)
    };
    let records: Vec<String> = finding.records.iter().map(range).collect();
    tracing::error!(
        code = Code::SegmentDamaged.text(),
        file = sealed.file,
        segment = finding.segment.0,
        offset = finding.offset,
        records = records.join("; "),
        "the write-ahead log is damaged: {} does not hold its checksum",
        finding.what
    );
}
