//! Memory the device can take as it is: aligned, recycled, and never showing old bytes.
//!
//! A frame is built in an [`AlignedBuf`], written from it by O_DIRECT, and stays the tail cache
//! as long as somebody holds its [`Bytes`]. When the last holder lets go, on whatever thread,
//! the memory goes back to its [`BufferPool`], pages mapped, so that the next frame does not
//! fault 4 KiB at a time.
//!
//! ```text
//! address  = multiple of BLOCK_BYTES
//! |<-------- filled -------->|<- pad ->|<------ never readable ------>|
//! |  written by the owner    |  zeros  |  bytes of some earlier frame |
//! 0                       filled   next block                    capacity
//!                                      ^ freeze() ends the Bytes here
//! ```
//!
//! Invariants: `filled <= capacity`; `capacity` is a multiple of [`BLOCK_BYTES`]; bytes at and
//! above `filled` are readable by nobody until something has written them. Hence recycled memory
//! need not be cleared: it can only be appended to.
//!
//! Size classes are four to a doubling (…, 64, 80, 96, 112, 128 KiB, …), which wastes at most a
//! fifth of a buffer above 16 KiB. When the idle limit is reached, the class asked for longest
//! ago gives way, so that a change of frame size does not leave a pool full of what nobody takes.
#![expect(unsafe_code, reason = "aligned memory outside Vec: allocation and raw slices")]

use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};
use std::collections::BTreeMap;
use std::fmt;
use std::ptr::NonNull;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::buf::UninitSlice;
use bytes::{BufMut, Bytes};

use crate::BLOCK_BYTES;

#[cfg(test)]
mod tests;

/// Above this a buffer is given back to the allocator at once: such sizes are single large
/// requests, and keeping one would push out the frames of everybody else.
const LARGEST_KEPT_BYTES: usize = 16 << 20;

/// One allocation, owned. Its contents may be uninitialised.
struct Memory {
    /// From `alloc` with [`layout`]`(capacity_bytes)`; not aliased.
    start: NonNull<u8>,
    /// A positive multiple of [`BLOCK_BYTES`].
    capacity_bytes: usize,
}

// SAFETY: `Memory` owns its allocation alone, as a `Box<[MaybeUninit<u8>]>` would; the global
// allocator lets any thread free it.
unsafe impl Send for Memory {}
// SAFETY: `&Memory` gives no access to the bytes; `AlignedBuf` and `Frozen` give it under the
// usual borrow rules (shared: read only).
unsafe impl Sync for Memory {}

fn layout(capacity_bytes: usize) -> Layout {
    assert!(capacity_bytes > 0 && capacity_bytes.is_multiple_of(BLOCK_BYTES));
    Layout::from_size_align(capacity_bytes, BLOCK_BYTES)
        .expect("a buffer is far below isize::MAX: its length was a slice's length")
}

impl Memory {
    fn allocate(capacity_bytes: usize) -> Memory {
        let layout = layout(capacity_bytes);
        // SAFETY: `layout` has a size above 0 (asserted there).
        let start = unsafe { alloc(layout) };
        match NonNull::new(start) {
            Some(start) => Memory { start, capacity_bytes },
            None => handle_alloc_error(layout),
        }
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        // SAFETY: allocated in `allocate` with the same layout, freed only here.
        unsafe { dealloc(self.start.as_ptr(), layout(self.capacity_bytes)) }
    }
}

/// Idle memory of one capacity.
#[derive(Default)]
struct SizeClass {
    idle: Vec<Memory>,
    /// [`Idle::takes`] when this class was last asked for.
    last_take: u64,
}

#[derive(Default)]
struct Idle {
    by_capacity: BTreeMap<usize, SizeClass>,
    /// Sum of the capacities in `by_capacity`; never above `max_idle_bytes`.
    idle_bytes: usize,
    /// Buffers asked for so far: the pool's clock.
    takes: u64,
    /// Of these, how many found no idle memory.
    fresh: u64,
}

struct Shared {
    max_idle_bytes: usize,
    idle: Mutex<Idle>,
}

impl Shared {
    /// A panic under this lock can only be an allocation failure inside a `Vec`, after which the
    /// lists are still whole: go on.
    fn lock(&self) -> MutexGuard<'_, Idle> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn give_back(&self, memory: Memory) {
        let capacity_bytes = memory.capacity_bytes;
        if capacity_bytes > LARGEST_KEPT_BYTES || capacity_bytes > self.max_idle_bytes {
            return;
        }
        // Memory that gives way is freed after the lock is released.
        let mut evicted = Vec::new();
        let mut idle = self.lock();
        while idle.idle_bytes + capacity_bytes > self.max_idle_bytes {
            let oldest = idle
                .by_capacity
                .iter_mut()
                .filter(|(_, class)| !class.idle.is_empty())
                .min_by_key(|(_, class)| class.last_take);
            let Some((_, class)) = oldest else { break };
            if let Some(out) = class.idle.pop() {
                idle.idle_bytes -= out.capacity_bytes;
                evicted.push(out);
            }
        }
        idle.by_capacity.entry(capacity_bytes).or_default().idle.push(memory);
        idle.idle_bytes += capacity_bytes;
        assert!(idle.idle_bytes <= self.max_idle_bytes);
        drop(idle);
        drop(evicted);
    }
}

/// Hands out [`AlignedBuf`]s and takes their memory back. Cheap to clone; clones are one pool.
#[derive(Clone)]
pub struct BufferPool {
    shared: Arc<Shared>,
}

/// What a pool has done and holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct BufferPoolStatus {
    /// Memory kept for the next taker.
    pub idle_bytes: usize,
    /// Buffers asked for.
    pub takes: u64,
    /// Of these, how many had to be allocated (and page-fault on first use).
    pub fresh: u64,
}

impl BufferPool {
    /// A pool that keeps up to `max_idle_bytes` of memory nobody uses. Memory in use is not
    /// counted: its budget belongs to whoever admits requests.
    #[must_use]
    pub fn new(max_idle_bytes: usize) -> BufferPool {
        BufferPool { shared: Arc::new(Shared { max_idle_bytes, idle: Mutex::default() }) }
    }

    /// An empty buffer with room for at least `len_bytes`, rounded up to its size class.
    #[must_use]
    pub fn take(&self, len_bytes: usize) -> AlignedBuf {
        let capacity_bytes = size_class_bytes(len_bytes);
        let recycled = {
            let mut idle = self.shared.lock();
            idle.takes += 1;
            let now = idle.takes;
            let class = idle.by_capacity.entry(capacity_bytes).or_default();
            class.last_take = now;
            let recycled = class.idle.pop();
            match &recycled {
                Some(memory) => idle.idle_bytes -= memory.capacity_bytes,
                None => idle.fresh += 1,
            }
            recycled
        };
        let memory = recycled.unwrap_or_else(|| Memory::allocate(capacity_bytes));
        assert_eq!(memory.capacity_bytes, capacity_bytes);
        AlignedBuf { memory: Some(memory), filled_bytes: 0, pool: Some(Arc::clone(&self.shared)) }
    }

    /// For `status` and metrics.
    #[must_use]
    pub fn status(&self) -> BufferPoolStatus {
        let idle = self.shared.lock();
        BufferPoolStatus { idle_bytes: idle.idle_bytes, takes: idle.takes, fresh: idle.fresh }
    }
}

impl fmt::Debug for BufferPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.status().fmt(f)
    }
}

/// `len_bytes` rounded up to a block, then to the next of four steps per doubling. Above
/// [`LARGEST_KEPT_BYTES`], where nothing is recycled, to a block only.
fn size_class_bytes(len_bytes: usize) -> usize {
    let blocks = len_bytes.div_ceil(BLOCK_BYTES).max(1);
    if blocks <= 4 || blocks * BLOCK_BYTES > LARGEST_KEPT_BYTES {
        return blocks * BLOCK_BYTES;
    }
    // The highest two bits below the leading one choose the step: a quarter of the doubling.
    let step_blocks = (1_usize << blocks.ilog2()) / 4;
    blocks.next_multiple_of(step_blocks) * BLOCK_BYTES
}

/// A growing run of bytes at an aligned address. Append, patch what was appended, then
/// [`freeze`](AlignedBuf::freeze). Bytes can also be appended through [`BufMut`].
pub struct AlignedBuf {
    /// `None` only inside `drop`.
    memory: Option<Memory>,
    /// The bytes below this offset are initialised, by this buffer's owner. `<= capacity`.
    filled_bytes: usize,
    pool: Option<Arc<Shared>>,
}

impl AlignedBuf {
    /// A buffer that belongs to no pool: for boot and tests.
    #[must_use]
    pub fn unpooled(len_bytes: usize) -> AlignedBuf {
        let memory = Memory::allocate(size_class_bytes(len_bytes));
        AlignedBuf { memory: Some(memory), filled_bytes: 0, pool: None }
    }

    fn memory(&self) -> &Memory {
        self.memory.as_ref().expect("memory is taken in drop only")
    }

    /// How many bytes fit in all.
    #[must_use]
    pub fn capacity_bytes(&self) -> usize {
        self.memory().capacity_bytes
    }

    /// How many bytes have been appended.
    #[must_use]
    pub fn filled_bytes(&self) -> usize {
        self.filled_bytes
    }

    /// How many more fit.
    #[must_use]
    pub fn remaining_bytes(&self) -> usize {
        self.capacity_bytes() - self.filled_bytes
    }

    /// Appends a copy of `bytes`.
    ///
    /// # Panics
    /// When they do not fit: the caller took a buffer of the frame's size.
    pub fn extend_from_slice(&mut self, bytes: &[u8]) {
        self.assert_fits(bytes.len());
        // SAFETY: `filled + bytes.len() <= capacity` was just asserted, so the target lies in our
        // allocation; we own that allocation and hold `&mut self`, so `bytes` cannot overlap it.
        unsafe {
            let target = self.memory().start.as_ptr().add(self.filled_bytes);
            std::ptr::copy_nonoverlapping(bytes.as_ptr(), target, bytes.len());
        }
        self.filled_bytes += bytes.len();
    }

    /// Appends `len_bytes` zeros and returns them for filling in.
    ///
    /// # Panics
    /// When they do not fit.
    pub fn reserve_zeroed(&mut self, len_bytes: usize) -> &mut [u8] {
        self.assert_fits(len_bytes);
        let start = self.filled_bytes;
        // SAFETY: the range lies in our allocation (asserted), which `&mut self` owns alone.
        unsafe { self.memory().start.as_ptr().add(start).write_bytes(0, len_bytes) };
        self.filled_bytes += len_bytes;
        &mut self.as_mut_slice()[start..]
    }

    /// Everything appended so far.
    #[must_use]
    pub fn as_slice(&self) -> &[u8] {
        // SAFETY: `filled` bytes from `start` are initialised and ours (field invariant).
        unsafe { std::slice::from_raw_parts(self.memory().start.as_ptr(), self.filled_bytes) }
    }

    /// Everything appended so far, for patching (lengths, checksums, base offsets).
    pub fn as_mut_slice(&mut self) -> &mut [u8] {
        // SAFETY: as `as_slice`, and `&mut self` makes the access unique.
        unsafe { std::slice::from_raw_parts_mut(self.memory().start.as_ptr(), self.filled_bytes) }
    }

    /// Forgets what was appended at and after `filled_bytes`.
    ///
    /// # Panics
    /// When the buffer holds less.
    pub fn truncate(&mut self, filled_bytes: usize) {
        assert!(filled_bytes <= self.filled_bytes);
        self.filled_bytes = filled_bytes;
    }

    /// Pads with zeros to the block and shares the result; the memory returns to its pool when
    /// the last clone or slice is dropped.
    #[must_use]
    pub fn freeze(mut self) -> Bytes {
        let padding = self.filled_bytes.next_multiple_of(BLOCK_BYTES) - self.filled_bytes;
        // Fits: the capacity is a multiple of the block too.
        self.reserve_zeroed(padding);
        Bytes::from_owner(Frozen(self))
    }

    /// Where the kernel may put `remaining_bytes` bytes.
    pub(crate) fn spare_start(&mut self) -> *mut u8 {
        // SAFETY: `filled <= capacity`, so the pointer is inside or one past our allocation.
        unsafe { self.memory().start.as_ptr().add(self.filled_bytes) }
    }

    /// Counts `len_bytes` bytes at [`Self::spare_start`] as appended.
    ///
    /// # Safety
    /// The caller, or the kernel for it, has written all of them.
    pub(crate) unsafe fn assume_appended(&mut self, len_bytes: usize) {
        self.assert_fits(len_bytes);
        self.filled_bytes += len_bytes;
    }

    fn assert_fits(&self, len_bytes: usize) {
        assert!(
            len_bytes <= self.remaining_bytes(),
            "{len_bytes} bytes appended to a buffer with room for {}",
            self.remaining_bytes()
        );
    }
}

impl Drop for AlignedBuf {
    fn drop(&mut self) {
        if let (Some(memory), Some(pool)) = (self.memory.take(), &self.pool) {
            pool.give_back(memory);
        }
    }
}

impl fmt::Debug for AlignedBuf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AlignedBuf({} of {} bytes)", self.filled_bytes, self.capacity_bytes())
    }
}

// SAFETY: `chunk_mut` is the uninitialised rest of our own allocation and `remaining_mut` its
// length; `advance_mut` refuses to pass its end.
unsafe impl BufMut for AlignedBuf {
    fn remaining_mut(&self) -> usize {
        self.remaining_bytes()
    }

    unsafe fn advance_mut(&mut self, count: usize) {
        // SAFETY: the caller of `advance_mut` promises what `assume_appended` asks.
        unsafe { self.assume_appended(count) }
    }

    fn chunk_mut(&mut self) -> &mut UninitSlice {
        let len_bytes = self.remaining_bytes();
        // SAFETY: the range is the rest of our allocation, borrowed for as long as `&mut self`;
        // `UninitSlice` lets nobody read it.
        unsafe { UninitSlice::from_raw_parts_mut(self.spare_start(), len_bytes) }
    }
}

/// A buffer nobody changes any more: the owner behind its `Bytes`.
struct Frozen(AlignedBuf);

impl AsRef<[u8]> for Frozen {
    fn as_ref(&self) -> &[u8] {
        self.0.as_slice()
    }
}
