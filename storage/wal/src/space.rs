//! Files of the lane: which are in use, which wait zeroed, and what is still free.
//!
//! ```text
//! wanted --tick--> creating --Ok--> ready --take--> in use by a segment
//!    ^---- Full: back off, try again ----'  ^-------- release (trimmed) --'
//!                                        ready <--> being overwritten with zeros (`erase.rs`)
//! ```
//! A segment may take a slot whose file is not there yet; its frames then wait. `Full` is the
//! device's word: until a create succeeds, capacity is what exists.

use std::collections::{BTreeMap, VecDeque};

use holdfast_io::FileId;

use crate::config::WalConfig;
use crate::format::{DATA_START, TRAILER_BYTES};
use crate::item::SegmentNumber;

/// First pause after the device was full; doubles up to [`BACK_OFF_NS_MAX`].
const BACK_OFF_NS_MIN: u64 = 250_000_000;
/// Space is freed by people or by trimming: no use asking more often.
const BACK_OFF_NS_MAX: u64 = 10_000_000_000;

/// Who asks for space.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Admission {
    /// Records and whatever else grows the log without freeing any: not from the reserve.
    Records,
    /// Hard state, intents, manifests, checkpoints, configuration, audit.
    Reserve,
}

/// See the module.
#[derive(Clone, Debug)]
pub(crate) struct Space {
    segment_bytes: u64,
    /// How many files the capacity pays for.
    files_max: usize,
    /// How many are kept zeroed ahead.
    spares_min: usize,
    files: BTreeMap<u32, FileId>,
    /// Files that may hold bytes of segments that are gone, and the newest of these. One that is not
    /// here is all zeros, but for the segment that uses it.
    residue: BTreeMap<u32, SegmentNumber>,
    /// Free files, ready to be taken.
    ready: VecDeque<u32>,
    /// Slots that have no file yet, taken or not, oldest first.
    wanted: VecDeque<u32>,
    /// Of `wanted`, those a segment waits for.
    taken_unready: usize,
    creating: bool,
    next_slot: u32,
    full: bool,
    back_off_ns: u64,
    retry_at_ns: u64,
}

impl Space {
    pub(crate) fn new(config: &WalConfig) -> Space {
        let usable = config.segment_bytes - DATA_START - TRAILER_BYTES;
        Space {
            segment_bytes: config.segment_bytes,
            files_max: (config.capacity_bytes / config.segment_bytes) as usize,
            spares_min: 1 + config.reserve_bytes.div_ceil(usable) as usize,
            files: BTreeMap::new(),
            residue: BTreeMap::new(),
            ready: VecDeque::new(),
            wanted: VecDeque::new(),
            taken_unready: 0,
            creating: false,
            next_slot: 1,
            full: false,
            back_off_ns: BACK_OFF_NS_MIN,
            retry_at_ns: 0,
        }
    }

    /// A file found or made at boot, in use by a segment or free.
    pub(crate) fn add(&mut self, slot: u32, file: FileId, free: bool) {
        self.files.insert(slot, file);
        self.next_slot = self.next_slot.max(slot + 1);
        if free {
            self.ready.push_back(slot);
        }
    }

    /// A file found at boot that may hold bytes of segments up to `newest`.
    pub(crate) fn holds_residue(&mut self, slot: u32, newest: SegmentNumber) {
        self.residue.insert(slot, newest);
    }

    /// The file of `segment` is free for another.
    pub(crate) fn release(&mut self, slot: u32, segment: SegmentNumber) {
        self.residue.insert(slot, segment);
        self.ready.push_back(slot);
    }

    /// The newest segment that is gone and whose bytes the file may hold.
    pub(crate) fn residue(&self, slot: u32) -> Option<SegmentNumber> {
        self.residue.get(&slot).copied()
    }

    /// Whether any file may hold bytes of a segment up to `through` that is gone.
    pub(crate) fn has_residue(&self, through: SegmentNumber) -> bool {
        self.residue.values().any(|newest| *newest <= through)
    }

    /// What the file held of segments that are gone is zeros now.
    pub(crate) fn erased(&mut self, slot: u32) {
        self.residue.remove(&slot);
    }

    /// Free files that may hold bytes of segments up to `through`.
    pub(crate) fn ready_with_residue(&self, through: SegmentNumber) -> Option<u32> {
        let found = self
            .ready
            .iter()
            .find(|slot| self.residue.get(*slot).is_some_and(|newest| *newest <= through));
        found.copied()
    }

    /// A free file that is all zeros.
    pub(crate) fn ready_and_blank(&self) -> Option<u32> {
        self.ready.iter().find(|slot| !self.residue.contains_key(*slot)).copied()
    }

    /// Whether a free file can be withheld for a while without breaking into the reserve: there are
    /// more, or one could be made.
    pub(crate) fn can_spare(&self) -> bool {
        let can_make = !self.full && self.files.len() + self.wanted.len() < self.files_max;
        self.ready.len() > if can_make { 1 } else { self.spares_min }
    }

    /// Keeps a free file from being taken, until [`Space::give_back`].
    pub(crate) fn withhold(&mut self, slot: u32) {
        self.ready.retain(|ready| *ready != slot);
    }

    /// The end of [`Space::withhold`].
    pub(crate) fn give_back(&mut self, slot: u32) {
        self.ready.push_back(slot);
    }

    /// The next segment goes into this free file.
    pub(crate) fn take_next(&mut self, slot: u32) {
        self.ready.retain(|ready| *ready != slot);
        self.ready.push_front(slot);
    }

    pub(crate) fn file(&self, slot: u32) -> Option<FileId> {
        self.files.get(&slot).copied()
    }

    /// A slot for the next segment, its file ready if there is any.
    pub(crate) fn take(&mut self) -> u32 {
        if let Some(slot) = self.ready.pop_front() {
            return slot;
        }
        // Slots wanted but not taken stand behind those already taken.
        let untaken = self.wanted.get(self.taken_unready).copied();
        self.taken_unready += 1;
        untaken.unwrap_or_else(|| self.want())
    }

    /// A slot that never had a file.
    pub(crate) fn fresh_slot(&self) -> u32 {
        self.next_slot
    }

    fn want(&mut self) -> u32 {
        let slot = self.next_slot;
        self.next_slot += 1;
        self.wanted.push_back(slot);
        slot
    }

    fn spare_is_due(&self) -> bool {
        let untaken = self.wanted.len() - self.taken_unready;
        self.ready.len() + untaken < self.spares_min
            && self.files.len() + self.wanted.len() < self.files_max
    }

    /// The slot to create now, if any.
    pub(crate) fn next_create(&mut self, now_ns: u64) -> Option<u32> {
        if self.create_due_ns()? > now_ns {
            return None;
        }
        if self.wanted.is_empty() {
            self.want();
        }
        self.creating = true;
        self.wanted.front().copied()
    }

    /// When `next_create` has something to do.
    pub(crate) fn create_due_ns(&self) -> Option<u64> {
        let due = !self.creating && (!self.wanted.is_empty() || self.spare_is_due());
        due.then_some(self.retry_at_ns)
    }

    pub(crate) fn created(&mut self, slot: u32, file: FileId) {
        let front = self.wanted.pop_front();
        assert_eq!(front, Some(slot), "one create at a time, oldest first");
        self.creating = false;
        self.full = false;
        self.back_off_ns = BACK_OFF_NS_MIN;
        self.retry_at_ns = 0;
        self.files.insert(slot, file);
        if self.taken_unready > 0 {
            self.taken_unready -= 1;
        } else {
            self.ready.push_back(slot);
        }
    }

    pub(crate) fn not_created(&mut self, _slot: u32, now_ns: u64) {
        self.creating = false;
        self.full = true;
        self.retry_at_ns = now_ns + self.back_off_ns;
        self.back_off_ns = (2 * self.back_off_ns).min(BACK_OFF_NS_MAX);
    }

    /// Bytes of frames the files behind the open segment can take.
    pub(crate) fn free_behind(&self) -> u64 {
        let usable = self.segment_bytes - DATA_START - TRAILER_BYTES;
        let payable = self.files_max.saturating_sub(self.files.len() + self.taken_unready);
        let more = if self.full { 0 } else { payable };
        (self.ready.len() + more) as u64 * usable
    }

    pub(crate) fn files(&self) -> usize {
        self.files.len()
    }

    pub(crate) fn spares(&self) -> usize {
        self.ready.len()
    }

    pub(crate) fn is_full(&self) -> bool {
        self.full
    }
}
