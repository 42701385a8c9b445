//! A disk in memory that breaks as disks do, from a seed.
//!
//! ```text
//!  SimDisk (the lane's)                SimDevice (the harness's; many handles, one device)
//!  submit_write ─▶ in flight ─────────── advance(now): due ─▶ media + completion ─▶ poll
//!                     │ power_cut(): kept | torn at 512 bytes | dropped     │
//!                     │ kill():      lands whole | never began             roll_back, flip_bit
//! ```
//!
//! A write is volatile from `submit_write` until its completion is produced; then it is on the
//! media, whether or not the lane has polled. With `ack_before_flush` the device lies: the
//! completion comes first. Nothing ends but by [`SimDevice::advance`]; calls that block (boot)
//! take no simulated time and are durable when they return.
//!
//! What may happen to which bytes, and what must survive it:
//!
//! | fault | whom it hits | must be survived |
//! | --- | --- | --- |
//! | torn, dropped, kept at a power cut | writes without completion | always |
//! | whole or absent at a kill | writes without completion | always |
//! | EIO, hang, slow, full | the request; EIO the device, for good | always: stop, never acknowledge |
//! | bit flip, lost, misdirected | completed writes | found, never served; repaired from a peer |
//! | rolled back | the whole device | found by the node's peers |
//! | `ack_before_flush` | completed writes, at a power cut | no: a bug for the tester to find |
//!
//! The same seed and the same calls give the same run. Every fault counts itself
//! ([`SimDevice::counters`]).

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ops::Range;
use std::rc::Rc;

use bytes::Bytes;

use crate::directory::{assert_file_name, assert_new_file};
use crate::file::{assert_aligned, assert_writable};
use crate::{Completion, Disk, DiskError, DiskErrorKind, FileId, Token};

mod faults;
mod image;
mod state;
#[cfg(test)]
mod tests;

pub use faults::{SimCounters, SimFaults, WriteFault};
use image::Image;
use state::{Operation, State, WriteRequest, error};

/// The harness's handle on a device. Clones are the same device.
#[derive(Clone, Debug)]
pub struct SimDevice {
    state: Rc<RefCell<State>>,
}

/// What lay on a device at one moment.
#[derive(Clone, Debug)]
pub struct SimSnapshot {
    names: BTreeMap<String, FileId>,
    images: BTreeMap<FileId, Image>,
}

impl SimDevice {
    /// An empty device whose whole future is `seed` and what is asked of it.
    #[must_use]
    pub fn new(seed: u64, capacity_bytes: u64, faults: SimFaults) -> SimDevice {
        SimDevice { state: Rc::new(RefCell::new(State::new(seed, capacity_bytes, faults))) }
    }

    /// Opens the device as a lane does. Switches the power on again after a cut.
    ///
    /// # Errors
    /// `Locked` while an earlier disk lives that was neither dropped, killed nor cut off;
    /// `Failed` when the device has failed.
    pub fn open(&self) -> Result<SimDisk, DiskError> {
        let mut state = self.state.borrow_mut();
        if state.owner.is_some() {
            return Err(error(DiskErrorKind::Locked, "opening", "the device is open already"));
        }
        state.off = false;
        state.check("opening")?;
        state.sessions += 1;
        state.owner = Some(state.sessions);
        Ok(SimDisk { state: Rc::clone(&self.state), session: state.sessions })
    }

    /// Lets time pass: requests due by `now_ns` end and can be polled. Time does not go back.
    pub fn advance(&self, now_ns: u64) {
        self.state.borrow_mut().advance(now_ns);
    }

    /// When the next request ends: where the harness may move its clock to.
    #[must_use]
    pub fn next_due_ns(&self) -> Option<u64> {
        self.state.borrow().next_due_ns()
    }

    /// The power goes. Writes whose completion was not produced are kept, torn or dropped; the
    /// open disk is dead (its calls fail, its polls are empty).
    pub fn power_cut(&self) {
        self.state.borrow_mut().cut_power();
    }

    /// The power goes during the `count`-th write from now (1: the next), which may be one of
    /// boot's; [`SimDevice::is_off`] tells when it has.
    pub fn cut_power_after_writes(&self, count: u64) {
        assert!(count > 0, "the first write is number 1");
        self.state.borrow_mut().writes_until_cut = Some(count);
    }

    /// A planned power cut has come and nobody has opened the device since.
    #[must_use]
    pub fn is_off(&self) -> bool {
        self.state.borrow().off
    }

    /// The process is killed: each write in flight lands whole or not at all.
    pub fn kill(&self) {
        self.state.borrow_mut().kill();
    }

    /// Orders a fault for the next write that is submitted; orders queue up.
    pub fn plan_write_fault(&self, fault: WriteFault) {
        self.state.borrow_mut().planned.push_back(fault);
    }

    /// Everything in flight and everything submitted later hangs until [`SimDevice::release`].
    pub fn hang(&self) {
        self.state.borrow_mut().hang();
    }

    /// What hangs may end again.
    pub fn release(&self) {
        self.state.borrow_mut().release();
    }

    /// The device fails for good: every request ends in `Failed`, now and after reopening.
    pub fn fail(&self) {
        let mut state = self.state.borrow_mut();
        state.counters.failed += u64::from(!state.failed);
        state.failed = true;
    }

    /// An operator has put the same media behind a working controller.
    pub fn repair(&self) {
        self.state.borrow_mut().failed = false;
    }

    /// Changes how much fits; files present stay.
    pub fn set_capacity(&self, capacity_bytes: u64) {
        self.state.borrow_mut().capacity_bytes = capacity_bytes;
    }

    /// Changes the chances from now on.
    pub fn set_faults(&self, faults: SimFaults) {
        self.state.borrow_mut().faults = faults;
    }

    /// Turns one bit of a file over, at rest.
    ///
    /// # Panics
    /// When there is no such byte.
    pub fn flip_bit(&self, name: &str, byte_offset: u64, bit: u8) {
        let mut state = self.state.borrow_mut();
        let file = *state.names.get(name).expect("the harness names a file that is there");
        state.counters.flipped += 1;
        state.images.get_mut(&file).expect("a name has an image").flip(byte_offset, bit);
    }

    /// Turns one bit over somewhere in what was written; says where. `None`: nothing was.
    #[must_use = "the place tells what must be found"]
    pub fn flip_random_bit(&self) -> Option<(String, u64)> {
        self.state.borrow_mut().flip_random_bit()
    }

    /// What lies on the media now; requests in flight are not part of it.
    #[must_use]
    pub fn snapshot(&self) -> SimSnapshot {
        let state = self.state.borrow();
        SimSnapshot { names: state.names.clone(), images: state.images.clone() }
    }

    /// Puts an earlier image of the device back, as restoring a virtual machine does.
    ///
    /// # Panics
    /// While the device is open.
    pub fn roll_back(&self, snapshot: &SimSnapshot) {
        let mut state = self.state.borrow_mut();
        assert!(state.owner.is_none(), "kill the node before its disk is rolled back");
        state.names.clone_from(&snapshot.names);
        state.images.clone_from(&snapshot.images);
        state.counters.rollbacks += 1;
    }

    /// The bytes of a file as they lie on the media.
    #[must_use]
    pub fn media(&self, name: &str) -> Option<Vec<u8>> {
        let state = self.state.borrow();
        let image = state.image(*state.names.get(name)?);
        let mut bytes = vec![0; usize::try_from(image.len_bytes).ok()?];
        image.read(0, &mut bytes);
        Some(bytes)
    }

    /// Some of its bytes; `None` where it has fewer.
    #[must_use]
    pub fn media_at(&self, name: &str, range: Range<u64>) -> Option<Vec<u8>> {
        let state = self.state.borrow();
        let image = state.image(*state.names.get(name)?);
        if range.start > range.end || range.end > image.len_bytes {
            return None;
        }
        // Whole blocks around it, as a direct read would fetch them.
        let block = crate::BLOCK_BYTES as u64;
        let start = range.start / block * block;
        let len_bytes = (range.end - start).next_multiple_of(block);
        let mut bytes = vec![0; usize::try_from(len_bytes).ok()?];
        image.read(start, &mut bytes);
        bytes.truncate(usize::try_from(range.end - start).ok()?);
        bytes.drain(..usize::try_from(range.start - start).ok()?);
        Some(bytes)
    }

    /// How often each fault has fired.
    #[must_use]
    pub fn counters(&self) -> SimCounters {
        self.state.borrow().counters
    }
}

/// A [`SimDevice`] as its lane sees it. Dropping it is what [`SimDevice::kill`] is.
#[derive(Debug)]
pub struct SimDisk {
    state: Rc<RefCell<State>>,
    session: u64,
}

impl SimDisk {
    /// After a kill or a power cut this disk reaches nothing any more.
    fn is_dead(&self) -> bool {
        self.state.borrow().owner != Some(self.session)
    }

    fn check(&self, attempted: &str) -> Result<(), DiskError> {
        if self.is_dead() {
            return Err(error(DiskErrorKind::Failed, attempted, "the node is down"));
        }
        self.state.borrow().check(attempted)
    }

    fn submit(&mut self, operation: Operation, token: Token) {
        if !self.is_dead() {
            self.state.borrow_mut().submit(operation, token);
        }
    }

    fn assert_writable(&self, file: FileId, offset: u64, data: &Bytes) {
        if !self.is_dead() {
            assert_writable(self.len_bytes(file), offset, data);
        }
    }
}

impl Drop for SimDisk {
    fn drop(&mut self) {
        // Not while a panic inside the device unwinds: it is borrowed then.
        if let Ok(mut state) = self.state.try_borrow_mut()
            && state.owner == Some(self.session)
        {
            state.kill();
        }
    }
}

impl Disk for SimDisk {
    fn list(&self) -> Result<Vec<(String, u64)>, DiskError> {
        self.check("listing")?;
        let state = self.state.borrow();
        let entry = |(name, file): (&String, &FileId)| (name.clone(), state.image(*file).len_bytes);
        Ok(state.names.iter().map(entry).collect())
    }

    fn open(&mut self, name: &str) -> Result<FileId, DiskError> {
        assert_file_name(name);
        self.check("opening a file")?;
        let found = self.state.borrow().names.get(name).copied();
        found.ok_or_else(|| error(DiskErrorKind::NotFound, "opening a file", name))
    }

    fn create(&mut self, name: &str, len_bytes: u64) -> Result<FileId, DiskError> {
        assert_new_file(name, len_bytes);
        self.check("creating a file")?;
        let mut state = self.state.borrow_mut();
        state.counters.creates += 1;
        state.create(name, len_bytes)
    }

    fn submit_create(&mut self, name: &str, len_bytes: u64, token: Token) {
        assert_new_file(name, len_bytes);
        self.submit(Operation::Create { name: name.to_owned(), len_bytes }, token);
    }

    fn read(&self, file: FileId, offset: u64, len_bytes: usize) -> Result<Bytes, DiskError> {
        assert_aligned(offset, len_bytes);
        self.check("reading")?;
        self.state.borrow_mut().counters.reads += 1;
        self.state.borrow().read(file, offset, len_bytes)
    }

    fn write(&mut self, file: FileId, offset: u64, data: Bytes) -> Result<(), DiskError> {
        self.assert_writable(file, offset, &data);
        self.check("writing")?;
        self.state.borrow_mut().write_now(WriteRequest { file, offset, data })
    }

    fn submit_write(&mut self, file: FileId, offset: u64, data: Bytes, token: Token) {
        self.assert_writable(file, offset, &data);
        let write = WriteRequest { file, offset, data };
        self.submit(Operation::Write { write, fault: None }, token);
    }

    fn submit_read(&mut self, file: FileId, offset: u64, len_bytes: usize, token: Token) {
        assert_aligned(offset, len_bytes);
        self.submit(Operation::Read { file, offset, len_bytes }, token);
    }

    fn poll(&mut self, completions: &mut Vec<Completion>) {
        if !self.is_dead() {
            completions.extend(self.state.borrow_mut().ended.drain(..));
        }
    }

    fn len_bytes(&self, file: FileId) -> u64 {
        self.state.borrow().image(file).len_bytes
    }
}
