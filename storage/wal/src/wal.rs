//! The running log: items in, one write per frame out, positions back.
//!
//! ```text
//! append -> plan -> fill -> queue -> (window) -> in flight -> done, in order -> durable
//!                            | waits for: the segment's file, its header, room in W
//! roll:  header of n+1 -> both copies durable -> frames of n+1 may go
//!                                             -> all frames of n durable -> (zeros) -> seal of n
//! trim:  every replica past what n and all before it hold -> the file of n is a spare
//! ```
//!
//! Invariants: `durable ≤ last frame submitted ≤ last frame built`; frames enter the device in
//! order and leave the window in order; after one failed write nothing is submitted and `durable`
//! never moves again.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use bytes::Bytes;
use holdfast_base::{BootCount, Index, Now, ReplicaId, ShardId};
use holdfast_io::{BufferPool, Completion, Disk, DiskError, DiskErrorKind, FileId, Token};

use crate::build::{self, Draft};
use crate::config::WalConfig;
use crate::erase::{Erase, Zeroing};
use crate::error::WalError;
use crate::format::frame::{FrameHeader, Row, RowKind};
use crate::format::seal::{Run, SealIndex, Trailer};
use crate::format::segment::{
    ReplicaRow, SegmentHeader, TABLE_BYTES_MAX, identity_ids_bytes, row_at,
};
use crate::format::{DATA_START, HEADER_COPY_BYTES, segment_name};
use crate::item::{Extent, FrameNumber, Item, SegmentNumber, Written, WrittenEntry};
use crate::read::PendingRead;
use crate::space::Space;
use crate::status::Counters;

/// A published `durable` may lag this long behind the last frame that had content.
pub(crate) const PUBLISH_AFTER_NS: u64 = 100_000_000;
/// Or this many bytes.
pub(crate) const PUBLISH_AFTER_BYTES: u64 = 1 << 20;

/// What `poll` has to say.
#[derive(Debug)]
pub enum WalEvent {
    /// Every frame ≤ this is durable.
    Durable(FrameNumber),
    /// The end of a `start_read`.
    Read {
        /// As given.
        token: u64,
        /// Exactly the bytes of the extent.
        result: Result<Bytes, WalError>,
    },
    /// The device failed; said once.
    Failed(WalError),
}

/// A segment of the log.
#[derive(Clone, Debug)]
pub(crate) struct Segment {
    pub(crate) slot: u32,
    /// Both copies of its header are durable.
    pub(crate) header_durable: bool,
    pub(crate) sealed: bool,
    /// The last index of every replica when the next segment was opened; `None` in the open one.
    /// No entry in this segment or before it, dead ones aside, has a higher index.
    pub(crate) closing: Option<Vec<ReplicaLast>>,
}

/// A replica's last index.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct ReplicaLast {
    pub(crate) shard: ShardId,
    pub(crate) replica: ReplicaId,
    pub(crate) last: Index,
}

impl ReplicaLast {
    /// Of every row of a table.
    pub(crate) fn all<'a>(rows: impl Iterator<Item = &'a ReplicaRow>) -> Vec<ReplicaLast> {
        rows.map(|row| ReplicaLast {
            shard: row.identity.shard,
            replica: row.identity.replica,
            last: row.last,
        })
        .collect()
    }
}

/// A segment header on its way to the device.
#[derive(Debug)]
pub(crate) struct HeaderWrite {
    segment: SegmentNumber,
    /// What it says is the oldest segment of the log.
    oldest: SegmentNumber,
    /// Copies not yet durable.
    left: u8,
    /// The second copy, where it has to wait for the first: the file held another segment, and one
    /// whole header must stay in it whenever the power goes.
    second: Option<(FileId, Bytes)>,
}

/// Where the next frame goes.
#[derive(Clone, Debug)]
pub(crate) struct Tail {
    pub(crate) segment: SegmentNumber,
    pub(crate) offset: u64,
    pub(crate) next_frame: FrameNumber,
    pub(crate) position: u64,
    pub(crate) chain: u32,
    pub(crate) previous_rows: Vec<Row>,
    pub(crate) first_frame: FrameNumber,
    pub(crate) index: SealIndex,
}

/// Built, not submitted.
#[derive(Debug)]
pub(crate) enum Queued {
    Header { segment: SegmentNumber, oldest: SegmentNumber, copy: Bytes },
    Frame { number: FrameNumber, segment: SegmentNumber, offset: u64, bytes: Bytes },
}

/// What writes take is told of about so many.
const WRITES_SMOOTHED: u64 = 8;

/// A frame at the device.
#[derive(Debug)]
struct InFlight {
    number: FrameNumber,
    len_bytes: u64,
    done: bool,
    since_ns: u64,
}

/// A segment that is full and waits until it may be sealed.
#[derive(Debug)]
pub(crate) struct Sealing {
    pub(crate) index: SealIndex,
    pub(crate) trailer: Trailer,
    pub(crate) last_frame: FrameNumber,
    pub(crate) next_segment: SegmentNumber,
    /// What lies between the last frame and the seal, if older segments left bytes there.
    pub(crate) gap: Option<Zeroing>,
}

/// What a token stands for.
#[derive(Debug)]
pub(crate) enum Request {
    HeaderCopy,
    Frame(FrameNumber),
    Seal(SegmentNumber),
    /// Zeros over the gap of the next segment to be sealed.
    Gap,
    /// Zeros over a file of no segment.
    Erase,
    Create(u32),
    Read(PendingRead),
}

/// The write-ahead log of one lane.
pub struct Wal<D: Disk> {
    pub(crate) disk: D,
    pub(crate) config: WalConfig,
    pub(crate) boot: BootCount,
    pub(crate) durable: FrameNumber,
    pub(crate) replicas: BTreeMap<ShardId, ReplicaRow>,
    pub(crate) tombstones: BTreeSet<(ShardId, ReplicaId)>,
    pub(crate) segments: BTreeMap<SegmentNumber, Segment>,
    /// Number of the oldest of `segments`; raised before the file of an older one is a spare.
    pub(crate) oldest: Arc<AtomicU64>,
    pub(crate) space: Space,
    /// See `erase.rs`.
    pub(crate) erase: Erase,
    /// What the newest durable header says is the oldest segment: files of older ones may be written.
    pub(crate) published_oldest: SegmentNumber,
    pub(crate) tail: Tail,
    pub(crate) counters: Counters,
    pub(crate) requests: BTreeMap<u64, Request>,
    pub(crate) refused_reads: Vec<(u64, WalError)>,
    pool: BufferPool,
    pub(crate) queue: VecDeque<Queued>,
    in_flight: VecDeque<InFlight>,
    pub(crate) in_flight_bytes: u64,
    /// When frames went to the device that are durable since the clock was last read.
    finished: Vec<u64>,
    pub(crate) header: Option<HeaderWrite>,
    pub(crate) sealing: VecDeque<Sealing>,
    next_token: u64,
    pub(crate) failed: Option<DiskError>,
    failed_told: bool,
    durable_told: FrameNumber,
    /// The `durable` of the last header built.
    published: FrameNumber,
    published_position: u64,
    /// The last frame that was not built to publish only.
    last_content: FrameNumber,
    last_built_ns: u64,
    pub(crate) now_ns: u64,
}

impl<D: Disk> std::fmt::Debug for Wal<D> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Wal")
            .field("boot", &self.boot)
            .field("durable", &self.durable)
            .field("segment", &self.tail.segment)
            .field("offset", &self.tail.offset)
            .field("in_flight", &self.in_flight.len())
            .finish_non_exhaustive()
    }
}

/// What recovery hands to a running log.
pub(crate) struct Start {
    pub(crate) boot: BootCount,
    pub(crate) durable: FrameNumber,
    pub(crate) replicas: BTreeMap<ShardId, ReplicaRow>,
    pub(crate) tombstones: BTreeSet<(ShardId, ReplicaId)>,
    pub(crate) segments: BTreeMap<SegmentNumber, Segment>,
    pub(crate) space: Space,
    pub(crate) tail: Tail,
    pub(crate) counters: Counters,
}

impl<D: Disk> Wal<D> {
    pub(crate) fn start(disk: D, config: WalConfig, start: Start) -> Wal<D> {
        Wal {
            pool: BufferPool::new(config.buffer_idle_bytes_max),
            disk,
            config,
            boot: start.boot,
            durable: start.durable,
            replicas: start.replicas,
            tombstones: start.tombstones,
            oldest: Arc::new(AtomicU64::new(
                start.segments.keys().next().map_or(start.tail.segment.0, |oldest| oldest.0),
            )),
            published_oldest: start.segments.keys().next().copied().unwrap_or(start.tail.segment),
            segments: start.segments,
            space: start.space,
            erase: Erase::default(),
            published: start.durable,
            published_position: start.tail.position,
            last_content: start.durable,
            durable_told: start.durable,
            tail: start.tail,
            counters: start.counters,
            requests: BTreeMap::new(),
            refused_reads: Vec::new(),
            queue: VecDeque::new(),
            in_flight: VecDeque::new(),
            in_flight_bytes: 0,
            finished: Vec::new(),
            header: None,
            sealing: VecDeque::new(),
            next_token: 0,
            failed: None,
            failed_told: false,
            last_built_ns: 0,
            now_ns: 0,
        }
    }

    /// Builds frames from `items`, in order, and submits what the window lets through; the rest
    /// follows from `poll`. Nothing is durable yet.
    ///
    /// # Errors
    /// [`WalError::Refused`] and [`WalError::EntryTooLarge`]: nothing was written.
    /// [`WalError::Failed`]: the lane has stopped.
    pub fn append(&mut self, items: Vec<Item>, now: Now) -> Result<Written, WalError> {
        self.see(now);
        if let Some(error) = &self.failed {
            return Err(WalError::Failed(error.clone()));
        }
        self.check_table(&items)?;
        let drafts =
            build::plan(&items, &self.config, self.tail.previous_rows.len(), &self.replicas)?;
        let mut entries = Vec::new();
        for draft in drafts {
            self.build_frame(&draft, &items[draft.start..draft.end], &mut entries);
            self.last_content = self.last_frame();
        }
        self.pump();
        self.disk.flush_submissions();
        Ok(Written { last_frame: self.last_frame(), entries })
    }

    /// Takes the time, and with it how long finished writes took.
    fn see(&mut self, now: Now) {
        self.now_ns = now.boottime_ns;
        for since_ns in self.finished.drain(..) {
            let took_ns = self.now_ns.saturating_sub(since_ns);
            self.counters.write_ns += took_ns;
            let others = self.counters.recent_write_ns / WRITES_SMOOTHED * (WRITES_SMOOTHED - 1);
            self.counters.recent_write_ns = others + took_ns / WRITES_SMOOTHED;
        }
    }

    /// How long the oldest write that is not done is under way.
    pub(crate) fn oldest_write_ns(&self) -> u64 {
        self.in_flight.front().map_or(0, |first| self.now_ns.saturating_sub(first.since_ns))
    }

    /// True while another append starts at once: fewer than `frames_in_flight_max` frames and
    /// less than W bytes are outstanding and nothing waits for a segment.
    #[must_use]
    pub fn can_append(&self) -> bool {
        self.failed.is_none()
            && self.queue.is_empty()
            && self.in_flight.len() < self.config.frames_in_flight_max
            && self.in_flight_bytes + u64::from(self.config.frame_bytes_max)
                <= self.config.in_flight_bytes_max
    }

    /// Frames built and not durable.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        let queued = self.queue.iter().filter(|queued| matches!(queued, Queued::Frame { .. }));
        self.in_flight.len() + queued.count()
    }

    /// Every frame ≤ this is durable.
    #[must_use]
    pub fn durable(&self) -> FrameNumber {
        self.durable
    }

    /// The disk below.
    pub fn disk(&self) -> &D {
        &self.disk
    }

    /// The disk below; for the driver that waits on it or moves its time.
    pub fn disk_mut(&mut self) -> &mut D {
        &mut self.disk
    }

    /// Ends the log and gives the disk back, as a crash would: what is in flight stays so.
    pub fn into_disk(self) -> D {
        self.disk
    }

    /// Publishes `durable` when it is due and keeps the next segments prepared.
    ///
    /// # Errors
    /// [`WalError::Failed`] once the device failed.
    pub fn tick(&mut self, now: Now) -> Result<(), WalError> {
        self.see(now);
        if let Some(error) = &self.failed {
            return Err(WalError::Failed(error.clone()));
        }
        if self.publish_due_ns().is_some_and(|due_ns| due_ns <= self.now_ns) {
            self.build_frame(&Draft::default(), &[], &mut Vec::new());
        }
        if let Some(slot) = self.space.next_create(self.now_ns) {
            let token = self.request(Request::Create(slot));
            let name = segment_name(self.config.lane, slot);
            self.disk.submit_create(&name, self.config.segment_bytes, token);
        }
        self.tend_erase();
        self.pump();
        self.disk.flush_submissions();
        Ok(())
    }

    /// When `tick` has something to do, on the clock of [`Now::boottime_ns`]; a time in the past
    /// means now.
    #[must_use]
    pub fn next_wake_ns(&self) -> Option<u64> {
        if self.failed.is_some() {
            return None;
        }
        [self.publish_due_ns(), self.space.create_due_ns(), self.erase_due_ns()]
            .into_iter()
            .flatten()
            .min()
    }

    /// Takes finished requests from the disk, moves `durable`, submits what waited.
    pub fn poll(&mut self, events: &mut Vec<WalEvent>) {
        let mut completions = Vec::new();
        self.disk.poll(&mut completions);
        for completion in completions {
            match completion {
                Completion::Write { token, result } => self.wrote(token, result),
                Completion::Create { token, result } => self.created(token, result),
                Completion::Read { token, result } => {
                    if let Some(Request::Read(read)) = self.requests.remove(&token.0) {
                        events.push(read.finish(result));
                        self.release_segments();
                    }
                }
            }
        }
        for (token, error) in self.refused_reads.drain(..) {
            events.push(WalEvent::Read { token, result: Err(error) });
        }
        self.pump();
        self.disk.flush_submissions();
        if self.durable > self.durable_told {
            self.durable_told = self.durable;
            events.push(WalEvent::Durable(self.durable));
        }
        if let Some(error) = self.failed.clone().filter(|_| !self.failed_told) {
            self.failed_told = true;
            events.push(WalEvent::Failed(WalError::Failed(error)));
        }
    }

    pub(crate) fn request(&mut self, request: Request) -> Token {
        self.next_token += 1;
        self.requests.insert(self.next_token, request);
        Token(self.next_token)
    }

    fn last_frame(&self) -> FrameNumber {
        FrameNumber(self.tail.next_frame.0 - 1).max(self.durable)
    }

    /// The table of all replicas must fit its copy, whenever the next segment opens.
    fn check_table(&self, items: &[Item]) -> Result<(), WalError> {
        let more: usize = items
            .iter()
            .map(|item| match item {
                Item::Identity(identity) => row_at::END + identity_ids_bytes(identity),
                Item::Tombstone(..) => crate::format::segment::TOMBSTONE_BYTES,
                Item::Entry(_) | Item::HardState(..) => 0,
            })
            .sum();
        if more == 0 {
            return Ok(());
        }
        let table = SegmentHeader::table_bytes(self.replicas.values(), self.tombstones.len());
        if table + more > TABLE_BYTES_MAX {
            return Err(WalError::Refused {
                why: format!("a table of {} bytes is full: too many replicas", TABLE_BYTES_MAX),
            });
        }
        Ok(())
    }

    /// Lays out one frame at the tail, rolling to a new segment first if it does not fit.
    fn build_frame(&mut self, draft: &Draft, items: &[Item], entries: &mut Vec<WrittenEntry>) {
        let frame_bytes = draft.frame_bytes(self.tail.previous_rows.len());
        if !self.fits(frame_bytes, draft) {
            self.roll();
        }
        assert!(self.fits(frame_bytes, draft), "plan admits no frame larger than a segment");
        let tail = &self.tail;
        let header = FrameHeader {
            boot: self.boot,
            slot: self.segments[&tail.segment].slot,
            segment: tail.segment,
            carried: false,
            frame_bytes: frame_bytes as u32,
            offset: tail.offset,
            number: tail.next_frame,
            position: tail.position,
            durable: self.durable,
            chain: tail.chain,
            commands_bytes: draft.commands_bytes as u32,
            payload_bytes: draft.payload_bytes as u32,
            commands_crc: 0,
            payload_crc: 0,
            rows: draft.rows.clone(),
            previous_rows: tail.previous_rows.clone(),
            crc: 0,
        };
        assert!(header.durable < header.number, "a frame is not durable before it is built");
        let commands_start = header.commands_start();
        let payload_start = header.payload_start();
        let buffer = self.pool.take(frame_bytes as usize);
        let filled = build::fill(buffer, header, items, &self.config);
        self.remember(items, &filled.bytes, commands_start, payload_start, entries);
        let tail = &mut self.tail;
        for row in &draft.rows {
            if row.kind == RowKind::Entries {
                tail.index.runs.push(Run {
                    row: *row,
                    frame_offset: tail.offset,
                    frame_number: tail.next_frame,
                    frame_bytes: frame_bytes as u32,
                    carried: false,
                });
            }
        }
        self.queue.push_back(Queued::Frame {
            number: tail.next_frame,
            segment: tail.segment,
            offset: tail.offset,
            bytes: filled.bytes,
        });
        tail.offset += frame_bytes;
        tail.position += frame_bytes;
        tail.next_frame = FrameNumber(tail.next_frame.0 + 1);
        tail.chain = filled.crc;
        tail.previous_rows.clone_from(&draft.rows);
        self.published = self.durable;
        self.published_position = tail.position;
        self.last_built_ns = self.now_ns;
        self.counters.frames += 1;
        self.counters.frame_bytes += frame_bytes;
    }

    fn fits(&self, frame_bytes: u64, draft: &Draft) -> bool {
        let index = &self.tail.index;
        let seal = SealIndex::seal_bytes(
            index.runs.len() + draft.rows.len(),
            index.batches.len() + draft.batches,
        );
        self.tail.offset + frame_bytes + seal <= self.config.segment_bytes
    }

    /// Takes the items of a frame into the table and the segment's index, and says where the
    /// entries lie.
    fn remember(
        &mut self,
        items: &[Item],
        frame: &Bytes,
        commands_start: usize,
        payload_start: usize,
        entries: &mut Vec<WrittenEntry>,
    ) {
        let mut command_at = commands_start;
        let mut payload_at = payload_start;
        for item in items {
            match item {
                Item::Identity(identity) => {
                    self.replicas
                        .entry(identity.shard)
                        .or_insert_with(|| ReplicaRow::new(identity.clone()))
                        .identity
                        .clone_from(identity);
                    command_at += identity_ids_bytes(identity);
                }
                Item::HardState(shard, _, hard_state) => {
                    let row = self.replicas.get_mut(shard).expect("plan checked the replica");
                    row.hard_state = *hard_state;
                }
                Item::Tombstone(shard, replica) => {
                    self.tombstones.insert((*shard, *replica));
                    if self.replicas.get(shard).is_some_and(|row| row.identity.replica == *replica)
                    {
                        self.replicas.remove(shard);
                    }
                }
                Item::Entry(entry) => {
                    let row = self.replicas.get_mut(&entry.shard).expect("plan checked the shard");
                    if entry.index <= row.last {
                        self.tail.index.truncate(entry.shard, entry.index);
                    }
                    row.last = entry.index;
                    let payload_bytes = build::payload_bytes(entry) as usize;
                    let position = self.tail.offset + payload_at as u64;
                    for locator in &entry.locators {
                        self.tail.index.push_batch(entry.shard, entry.index, position, locator);
                    }
                    let command_start = command_at + crate::format::frame::ENTRY_HEAD_BYTES;
                    let command_end = command_start + entry.command.len();
                    entries.push(WrittenEntry {
                        shard: entry.shard,
                        index: entry.index,
                        term: entry.term,
                        command: frame.slice(command_start..command_end),
                        payload: frame.slice(payload_at..payload_at + payload_bytes),
                        payload_extent: Extent {
                            segment: self.tail.segment,
                            offset: position,
                            len_bytes: payload_bytes as u32,
                        },
                        frame: Extent {
                            segment: self.tail.segment,
                            offset: self.tail.offset,
                            len_bytes: frame.len() as u32,
                        },
                    });
                    command_at += crate::format::frame::entry_commands_bytes(entry);
                    payload_at += payload_bytes;
                }
            }
        }
    }

    /// Opens the next segment behind the tail. Its header is queued before its first frame; the
    /// segment before is sealed once everything in it is durable.
    pub(crate) fn roll(&mut self) {
        self.prefer_clean_file();
        let slot = self.space.take();
        let number = SegmentNumber(self.tail.segment.0 + 1);
        assert!(
            self.segments.last_key_value().is_none_or(|(last, _)| *last < number),
            "segment numbers only grow"
        );
        let header = SegmentHeader {
            number,
            slot,
            boot: self.boot,
            after_cut: false,
            segment_bytes: self.config.segment_bytes,
            first_frame: self.tail.next_frame,
            position: self.tail.position,
            durable: self.durable,
            previous: self.tail.segment,
            previous_end: self.tail.offset,
            oldest: self.oldest_segment(),
            in_flight_bytes_max: self.config.in_flight_bytes_max,
            chain: self.tail.chain,
            replicas: self.replicas.values().cloned().collect(),
            tombstones: self.tombstones.iter().copied().collect(),
        };
        self.queue.push_back(Queued::Header {
            segment: number,
            oldest: header.oldest,
            copy: header.encode(&self.config),
        });
        let index = std::mem::take(&mut self.tail.index);
        let closed_slot = self.segments[&self.tail.segment].slot;
        let gap = Zeroing {
            next: self.tail.offset,
            end: self.config.segment_bytes
                - SealIndex::seal_bytes(index.runs.len(), index.batches.len()),
        };
        self.sealing.push_back(Sealing {
            trailer: self.tail.trailer(closed_slot, self.boot),
            gap: self.space.residue(closed_slot).map(|_| gap),
            index,
            last_frame: FrameNumber(self.tail.next_frame.0 - 1),
            next_segment: number,
        });
        if let Some(full) = self.segments.get_mut(&self.tail.segment) {
            full.closing = Some(ReplicaLast::all(self.replicas.values()));
        }
        let opened = Segment { slot, header_durable: false, sealed: false, closing: None };
        self.segments.insert(number, opened);
        self.tail.segment = number;
        self.tail.offset = DATA_START;
        self.tail.first_frame = self.tail.next_frame;
    }

    /// Submits what may go: headers, frames within the window, seals.
    fn pump(&mut self) {
        while self.failed.is_none() {
            match self.queue.front() {
                Some(Queued::Header { segment, .. }) => {
                    let Some(file) = self.file_of(*segment) else { break };
                    if self.header.is_some() {
                        break;
                    }
                    let Some(Queued::Header { segment, oldest, copy }) = self.queue.pop_front()
                    else {
                        unreachable!("the front was a header")
                    };
                    self.write_header_copy(file, 0, copy.clone());
                    let second = if self.space.residue(self.segments[&segment].slot).is_some() {
                        Some((file, copy))
                    } else {
                        self.write_header_copy(file, HEADER_COPY_BYTES, copy);
                        None
                    };
                    self.header = Some(HeaderWrite { segment, oldest, left: 2, second });
                }
                Some(Queued::Frame { segment, bytes, .. }) => {
                    let len_bytes = bytes.len() as u64;
                    let fits = self.in_flight.len() < self.config.frames_in_flight_max
                        && self.in_flight_bytes + len_bytes <= self.config.in_flight_bytes_max;
                    if !fits || !self.segments[segment].header_durable {
                        break;
                    }
                    let Some(file) = self.file_of(*segment) else { break };
                    let Some(Queued::Frame { number, offset, bytes, .. }) = self.queue.pop_front()
                    else {
                        unreachable!("the front was a frame")
                    };
                    let token = self.request(Request::Frame(number));
                    self.disk.submit_write(file, offset, bytes, token);
                    self.counters.writes += 1;
                    self.in_flight_bytes += len_bytes;
                    self.in_flight.push_back(InFlight {
                        number,
                        len_bytes,
                        done: false,
                        since_ns: self.now_ns,
                    });
                    if self.config.planted.durable_before_completion {
                        self.durable = self.durable.max(number);
                    }
                }
                None => break,
            }
        }
        self.seal();
    }

    fn write_header_copy(&mut self, file: FileId, offset: u64, copy: Bytes) {
        let token = self.request(Request::HeaderCopy);
        self.disk.submit_write(file, offset, copy, token);
        self.counters.writes += 1;
    }

    /// One copy is durable: the second may go, or the segment is open.
    fn header_copy_durable(&mut self) {
        let Some(header) = &mut self.header else { return };
        header.left -= 1;
        let (segment, oldest) = (header.segment, header.oldest);
        if let Some((file, copy)) = header.second.take() {
            self.write_header_copy(file, HEADER_COPY_BYTES, copy);
        } else if header.left == 0 {
            self.header = None;
            self.published_oldest = self.published_oldest.max(oldest);
            if let Some(segment) = self.segments.get_mut(&segment) {
                segment.header_durable = true;
            }
        }
    }

    fn seal(&mut self) {
        while self.failed.is_none() {
            let ready = self.sealing.front().is_some_and(|sealing| {
                self.durable >= sealing.last_frame
                    && self.segments[&sealing.next_segment].header_durable
            });
            if !ready || !self.gap_is_zeros() {
                break;
            }
            let Some(Sealing { index, trailer, .. }) = self.sealing.pop_front() else { break };
            let file = self.file_of(trailer.segment).expect("frames of the segment are durable");
            let (offset, bytes) = index.encode(&self.config, trailer);
            let token = self.request(Request::Seal(trailer.segment));
            self.disk.submit_write(file, offset, bytes, token);
            self.counters.writes += 1;
        }
    }

    pub(crate) fn file_of(&self, segment: SegmentNumber) -> Option<FileId> {
        self.space.file(self.segments.get(&segment)?.slot)
    }

    fn wrote(&mut self, token: Token, result: Result<(), DiskError>) {
        let Some(request) = self.requests.remove(&token.0) else { return };
        let acked = self.config.planted.failed_write_retried_and_acked;
        if let Err(error) = result
            && !acked
        {
            // Whatever the kernel's word, the state of the bytes is unknown from here on.
            self.failed.get_or_insert(error);
        }
        if self.failed.is_some() {
            return;
        }
        match request {
            Request::HeaderCopy => self.header_copy_durable(),
            Request::Seal(number) => {
                self.counters.sealed += 1;
                if let Some(segment) = self.segments.get_mut(&number) {
                    segment.sealed = true;
                    self.space.erased(segment.slot);
                }
                self.release_segments();
            }
            Request::Frame(number) => {
                let place = self.in_flight.iter_mut().find(|flight| flight.number == number);
                place.expect("a frame completes once").done = true;
                while let Some(first) = self.in_flight.pop_front_if(|first| first.done) {
                    self.in_flight_bytes -= first.len_bytes;
                    self.finished.push(first.since_ns);
                    self.durable = self.durable.max(first.number);
                }
            }
            Request::Gap | Request::Create(_) | Request::Read(_) => {}
            Request::Erase => self.erase_written(),
        }
    }

    fn created(&mut self, token: Token, result: Result<FileId, DiskError>) {
        let Some(Request::Create(slot)) = self.requests.remove(&token.0) else { return };
        match result {
            Ok(file) => self.space.created(slot, file),
            Err(error) if error.kind == DiskErrorKind::Failed => {
                self.failed.get_or_insert(error);
            }
            Err(_) => self.space.not_created(slot, self.now_ns),
        }
    }

    /// When an empty frame has to publish `durable`; `None` when every frame with content is
    /// published or not durable yet.
    fn publish_due_ns(&self) -> Option<u64> {
        let news = self.durable > self.published && self.published < self.last_content;
        if !news || !self.queue.is_empty() || self.durable < self.last_content {
            return None;
        }
        if self.tail.position - self.published_position >= PUBLISH_AFTER_BYTES {
            return Some(0);
        }
        Some(self.last_built_ns + PUBLISH_AFTER_NS)
    }
}

impl Tail {
    /// The trailer of this segment if it ended here.
    pub(crate) fn trailer(&self, slot: u32, boot: BootCount) -> Trailer {
        Trailer {
            segment: self.segment,
            slot,
            boot,
            index_offset: 0,
            index_bytes: 0,
            end_offset: self.offset,
            first_frame: self.first_frame,
            next_frame: self.next_frame,
            next_position: self.position,
            runs: 0,
            batches: 0,
            index_crc: 0,
            chain: self.chain,
        }
    }
}
