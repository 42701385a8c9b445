//! The device behind every handle: requests in flight, the media, and the moment they meet.
//!
//! Latencies and faults come from two generators split from one seed, so that turning a fault
//! on does not move the timing of everything else. A request's fate is drawn when it is
//! submitted and takes effect when it ends.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;
use holdfast_base::{Rng, SplitMix64};

use super::faults::{SimCounters, SimFaults, WriteFault};
use super::image::{Image, SECTOR_BYTES};
use crate::{AlignedBuf, BLOCK_BYTES, Completion, DiskError, DiskErrorKind, FileId, Token};

const MILLION: u64 = 1_000_000;

/// A write on its way to the media.
#[derive(Clone, Debug)]
pub(super) struct WriteRequest {
    pub(super) file: FileId,
    pub(super) offset: u64,
    pub(super) data: Bytes,
}

#[derive(Debug)]
pub(super) enum Operation {
    /// `fault` is what the seed or the harness has decided.
    Write {
        write: WriteRequest,
        fault: Option<WriteFault>,
    },
    Read {
        file: FileId,
        offset: u64,
        len_bytes: usize,
    },
    Create {
        name: String,
        len_bytes: u64,
    },
    /// A write acknowledged too early reaches the media at last. Has no completion.
    Flush {
        write: WriteRequest,
    },
}

#[derive(Debug)]
pub(super) struct Request {
    operation: Operation,
    token: Token,
    due_ns: u64,
    hung: bool,
}

/// What a power cut does to one write.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum CutFate {
    Kept,
    Torn,
    Dropped,
}

#[derive(Debug)]
pub(super) struct State {
    latency: SplitMix64,
    chance: SplitMix64,
    pub(super) faults: SimFaults,
    pub(super) counters: SimCounters,
    pub(super) capacity_bytes: u64,
    pub(super) now_ns: u64,
    /// Names of whole files.
    pub(super) names: BTreeMap<String, FileId>,
    /// Also of files replaced while open.
    pub(super) images: BTreeMap<FileId, Image>,
    next_file: u32,
    /// In the order submitted.
    pending: VecDeque<Request>,
    /// Produced, not yet polled: their effect is on the media.
    pub(super) ended: VecDeque<Completion>,
    /// The open disk, if any; requests of any other are ignored.
    pub(super) owner: Option<u64>,
    pub(super) sessions: u64,
    pub(super) failed: bool,
    pub(super) hung: bool,
    /// The power is off: everything fails until the next open.
    pub(super) off: bool,
    pub(super) planned: VecDeque<WriteFault>,
    pub(super) writes_until_cut: Option<u64>,
}

impl State {
    pub(super) fn new(seed: u64, capacity_bytes: u64, faults: SimFaults) -> State {
        let mut root = SplitMix64::new(seed);
        State {
            latency: root.split(),
            chance: root.split(),
            faults,
            counters: SimCounters::default(),
            capacity_bytes,
            now_ns: 0,
            names: BTreeMap::new(),
            images: BTreeMap::new(),
            next_file: 0,
            pending: VecDeque::new(),
            ended: VecDeque::new(),
            owner: None,
            sessions: 0,
            failed: false,
            hung: false,
            off: false,
            planned: VecDeque::new(),
            writes_until_cut: None,
        }
    }

    /// # Panics
    /// When `file` is not of this device.
    pub(super) fn image(&self, file: FileId) -> &Image {
        self.images.get(&file).expect("a FileId comes from the disk it is used with")
    }

    pub(super) fn submit(&mut self, mut operation: Operation, token: Token) {
        let len_bytes = match &mut operation {
            Operation::Write { write, fault } => {
                *fault = self.draw_write_fault();
                self.counters.writes += 1;
                write.data.len() as u64
            }
            Operation::Read { len_bytes, .. } => {
                self.counters.reads += 1;
                *len_bytes as u64
            }
            Operation::Create { len_bytes, .. } => {
                self.counters.creates += 1;
                *len_bytes
            }
            Operation::Flush { .. } => 0,
        };
        // About 2 GB/s on top of the latency.
        let due_ns = self.now_ns + self.draw_latency_ns() + len_bytes / 2;
        let is_write = matches!(operation, Operation::Write { .. });
        let hung = self.hung
            || matches!(operation, Operation::Write { fault: Some(WriteFault::Hung), .. });
        self.counters.hung += u64::from(hung);
        self.pending.push_back(Request { operation, token, due_ns, hung });
        if is_write {
            self.count_down_to_cut();
        }
    }

    /// A write that blocks its caller: no time passes. Subject to the same faults, but cannot
    /// hang, for then the simulation would.
    pub(super) fn write_now(&mut self, write: WriteRequest) -> Result<(), DiskError> {
        self.check("writing")?;
        self.counters.writes += 1;
        let fault = self.draw_write_fault().filter(|fault| *fault != WriteFault::Hung);
        if self.writes_until_cut == Some(1) {
            let operation = Operation::Write { write, fault };
            let request = Request { operation, token: Token(0), due_ns: self.now_ns, hung: false };
            self.pending.push_back(request);
            self.count_down_to_cut();
            return self.check("writing");
        }
        self.count_down_to_cut();
        self.end_write(write, fault)
    }

    fn count_down_to_cut(&mut self) {
        if let Some(left) = self.writes_until_cut {
            self.writes_until_cut = left.checked_sub(1).filter(|left| *left > 0);
            if self.writes_until_cut.is_none() {
                self.cut_power();
                self.off = true;
            }
        }
    }

    fn draw_latency_ns(&mut self) -> u64 {
        let spread = self.faults.latency_max_ns.saturating_sub(self.faults.latency_min_ns) + 1;
        let mut latency_ns = self.faults.latency_min_ns + self.latency.below(spread);
        if self.latency.chance(u64::from(self.faults.slow_per_million), MILLION) {
            self.counters.slow += 1;
            latency_ns += self.faults.slow_ns;
        }
        latency_ns
    }

    /// Draws the same number of times whatever is on, so that runs stay comparable.
    fn draw_write_fault(&mut self) -> Option<WriteFault> {
        let chances = [
            (WriteFault::Lost, self.faults.lost_per_million),
            (WriteFault::Misdirected, self.faults.misdirected_per_million),
            (WriteFault::Failed, self.faults.failed_per_million),
            (WriteFault::Hung, self.faults.hung_per_million),
        ];
        let mut drawn = self.planned.pop_front();
        for (fault, per_million) in chances {
            let hit = self.chance.chance(u64::from(per_million), MILLION);
            drawn = drawn.or(hit.then_some(fault));
        }
        drawn
    }

    /// When the next request ends; `None` when nothing will by itself.
    pub(super) fn next_due_ns(&self) -> Option<u64> {
        self.pending.iter().filter(|request| !request.hung).map(|request| request.due_ns).min()
    }

    /// Ends every request due by `now_ns`, in the order of their times.
    pub(super) fn advance(&mut self, now_ns: u64) {
        assert!(now_ns >= self.now_ns, "time does not go back");
        loop {
            let next = self
                .pending
                .iter()
                .enumerate()
                .filter(|(_, request)| !request.hung && request.due_ns <= now_ns)
                .min_by_key(|(place, request)| (request.due_ns, *place))
                .map(|(place, _)| place);
            let Some(request) = next.and_then(|place| self.pending.remove(place)) else { break };
            self.now_ns = self.now_ns.max(request.due_ns);
            self.end(request);
        }
        self.now_ns = now_ns;
    }

    fn end(&mut self, request: Request) {
        let Request { operation, token, .. } = request;
        let completion = match operation {
            Operation::Write { write, fault } => {
                let result = match self.check("writing") {
                    Ok(()) => self.end_write(write, fault),
                    Err(error) => Err(error),
                };
                Completion::Write { token, result }
            }
            Operation::Read { file, offset, len_bytes } => {
                Completion::Read { token, result: self.read(file, offset, len_bytes) }
            }
            Operation::Create { name, len_bytes } => {
                Completion::Create { token, result: self.create(&name, len_bytes) }
            }
            Operation::Flush { write } => return self.land(&write, |_| true),
        };
        self.ended.push_back(completion);
    }

    /// The write reaches the media, or what the fault makes of it.
    fn end_write(
        &mut self,
        write: WriteRequest,
        fault: Option<WriteFault>,
    ) -> Result<(), DiskError> {
        match fault {
            Some(WriteFault::Lost) => self.counters.lost += 1,
            Some(WriteFault::Misdirected) => {
                self.counters.misdirected += 1;
                let elsewhere = self.misdirect(&write);
                self.land(&elsewhere, |_| true);
            }
            Some(WriteFault::Failed) => {
                self.counters.failed += 1;
                self.failed = true;
                self.cut_write(&write);
                return self.check("writing");
            }
            Some(WriteFault::Hung) | None if self.faults.ack_before_flush => {
                let due_ns = self.now_ns + self.faults.flush_delay_ns;
                let operation = Operation::Flush { write };
                self.pending.push_back(Request { operation, token: Token(0), due_ns, hung: false });
            }
            Some(WriteFault::Hung) | None => self.land(&write, |_| true),
        }
        if self.chance.chance(u64::from(self.faults.flipped_per_million), MILLION) {
            self.flip_random_bit();
        }
        Ok(())
    }

    fn land(&mut self, write: &WriteRequest, lands: impl Fn(usize) -> bool) {
        if let Some(image) = self.images.get_mut(&write.file) {
            image.write(write.offset, &write.data, lands);
        }
    }

    /// The same bytes at another block of the same file.
    fn misdirect(&mut self, write: &WriteRequest) -> WriteRequest {
        let blocks =
            (self.image(write.file).len_bytes - write.data.len() as u64) / BLOCK_BYTES as u64 + 1;
        let meant = write.offset / BLOCK_BYTES as u64;
        let shift = 1 + self.chance.below(blocks.max(2) - 1);
        let offset = (meant + shift) % blocks * BLOCK_BYTES as u64;
        WriteRequest { offset, ..write.clone() }
    }

    pub(super) fn flip_random_bit(&mut self) -> Option<(String, u64)> {
        let written = |file: &FileId| self.images.get(file).map_or(0, Image::written_blocks);
        let total: u64 = self.names.values().map(written).sum();
        if total == 0 {
            return None;
        }
        let mut index = self.chance.below(total);
        let within = self.chance.below(BLOCK_BYTES as u64);
        let bit = self.chance.below(8) as u8;
        for (name, file) in &self.names {
            let image = self.images.get_mut(file)?;
            if index < image.written_blocks() {
                let offset = image.written_block_offset(index)? + within;
                image.flip(offset, bit);
                self.counters.flipped += 1;
                return Some((name.clone(), offset));
            }
            index -= image.written_blocks();
        }
        None
    }

    /// The media and, over it, what was acknowledged but not flushed.
    pub(super) fn read(
        &self,
        file: FileId,
        offset: u64,
        len_bytes: usize,
    ) -> Result<Bytes, DiskError> {
        self.check("reading")?;
        let end = offset + len_bytes as u64;
        let image = self.image(file);
        if end > image.len_bytes {
            return Err(error(DiskErrorKind::Failed, "reading", "the file ends before"));
        }
        let mut buf = AlignedBuf::unpooled(len_bytes);
        let out = buf.reserve_zeroed(len_bytes);
        image.read(offset, out);
        for request in &self.pending {
            if let Operation::Flush { write } = &request.operation
                && write.file == file
            {
                let write_end = write.offset + write.data.len() as u64;
                let (from, to) = (offset.max(write.offset), end.min(write_end));
                if from < to {
                    let source = (from - write.offset) as usize..(to - write.offset) as usize;
                    out[(from - offset) as usize..(to - offset) as usize]
                        .copy_from_slice(&write.data[source]);
                }
            }
        }
        Ok(buf.freeze())
    }

    pub(super) fn create(&mut self, name: &str, len_bytes: u64) -> Result<FileId, DiskError> {
        self.check("creating a file")?;
        // As on a real file system, the old file goes only when the new one is whole.
        let used: u64 = self.names.values().map(|file| self.image(*file).len_bytes).sum();
        if used + len_bytes > self.capacity_bytes {
            self.counters.full += 1;
            return Err(error(DiskErrorKind::Full, "creating a file", "no space on the device"));
        }
        let file = FileId(self.next_file);
        self.next_file += 1;
        self.images.insert(file, Image::zeros(len_bytes));
        self.names.insert(name.to_owned(), file);
        Ok(file)
    }

    /// Everything in flight is kept, torn or dropped; nobody hears of it.
    pub(super) fn cut_power(&mut self) {
        self.counters.power_cuts += 1;
        for request in std::mem::take(&mut self.pending) {
            match request.operation {
                Operation::Write { write, fault: None | Some(WriteFault::Hung) } => {
                    self.cut_write(&write);
                }
                Operation::Flush { write } => {
                    let fate = self.cut_write(&write);
                    self.counters.cut_acknowledged += u64::from(fate != CutFate::Kept);
                }
                Operation::Create { name, len_bytes } => {
                    if self.chance.chance(1, 2) {
                        // Full or failed: then there is no file, as after a drop.
                        let _ = self.create(&name, len_bytes);
                    }
                }
                Operation::Write { .. } | Operation::Read { .. } => {}
            }
        }
        self.hung = false;
        self.forget_owner();
    }

    fn cut_write(&mut self, write: &WriteRequest) -> CutFate {
        let drawn = self.chance.below(100);
        let kept = u64::from(self.faults.cut_kept_percent);
        let torn = u64::from(self.faults.cut_torn_percent);
        let sectors = write.data.len() / SECTOR_BYTES;
        if drawn < kept {
            self.counters.cut_kept += 1;
            self.land(write, |_| true);
            CutFate::Kept
        } else if drawn < kept + torn {
            self.counters.cut_torn += 1;
            let mut lands: Vec<bool> = (0..sectors).map(|_| self.chance.chance(1, 2)).collect();
            // Torn means torn: at least one sector down and one missing.
            let down = self.chance.below(sectors as u64) as usize;
            lands[down] = true;
            lands[(down + 1) % sectors] = false;
            self.land(write, |sector| lands[sector]);
            CutFate::Torn
        } else {
            self.counters.cut_dropped += 1;
            CutFate::Dropped
        }
    }

    /// The process is gone, the device is not: each request in flight ends whole or never began.
    pub(super) fn kill(&mut self) {
        self.counters.kills += 1;
        for request in std::mem::take(&mut self.pending) {
            let landed = self.chance.chance(u64::from(self.faults.kill_landed_percent), 100);
            match request.operation {
                Operation::Flush { .. } => self.pending.push_back(request),
                Operation::Write { write, fault } => {
                    if landed && self.check("writing").is_ok() {
                        self.counters.kill_landed += 1;
                        // Nobody is left to hear how it ended.
                        let _ = self.end_write(write, fault);
                    } else {
                        self.counters.kill_dropped += 1;
                    }
                }
                Operation::Create { name, len_bytes } if landed => {
                    let _ = self.create(&name, len_bytes);
                }
                Operation::Create { .. } | Operation::Read { .. } => {}
            }
        }
        self.forget_owner();
    }

    fn forget_owner(&mut self) {
        self.ended.clear();
        self.owner = None;
        // Files replaced while open are gone with the last descriptor.
        let named: Vec<FileId> = self.names.values().copied().collect();
        self.images.retain(|file, _| named.contains(file));
    }

    pub(super) fn hang(&mut self) {
        self.hung = true;
        for request in &mut self.pending {
            self.counters.hung += u64::from(!request.hung);
            request.hung = true;
        }
    }

    /// Requests that hung end at the next `advance`.
    pub(super) fn release(&mut self) {
        self.hung = false;
        for request in &mut self.pending {
            request.hung = false;
        }
    }

    pub(super) fn check(&self, attempted: &str) -> Result<(), DiskError> {
        if self.off {
            return Err(error(DiskErrorKind::Failed, attempted, "the power is cut"));
        }
        if self.failed {
            return Err(error(DiskErrorKind::Failed, attempted, "the device has failed (EIO)"));
        }
        Ok(())
    }
}

pub(super) fn error(kind: DiskErrorKind, attempted: &str, detail: &str) -> DiskError {
    DiskError { kind, attempted: format!("{attempted} (simulated)"), detail: detail.to_owned() }
}
