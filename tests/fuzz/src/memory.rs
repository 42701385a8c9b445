//! What one input makes the program allocate: the largest single request, and the peak.
//!
//! A counting layer over the system's allocator, the one way to see every allocation on stable
//! Rust. Counting is for the whole process; the runner has one thread. Memory of C libraries
//! (zstd) does not pass here.
//!
//! An allocation above [`ABORT_BYTES`] ends the process at once with the exec that asked for it:
//! that is what the guard exists to prevent, and the system would abort us anyway.

#![expect(
    unsafe_code,
    reason = "GlobalAlloc is an unsafe trait; this layer counts and passes every call through"
)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed};

/// Far above every bound of every target, far below the machine.
const ABORT_BYTES: usize = 1 << 30;

/// What one input cost.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Used {
    /// Largest single allocation.
    pub(crate) largest_bytes: u64,
    /// Most bytes held at a time, beyond those held before.
    pub(crate) peak_bytes: u64,
}

struct Counting;

#[global_allocator]
static COUNTING: Counting = Counting;

static LARGEST: AtomicU64 = AtomicU64::new(0);
/// Signed: what was held before the start may be freed after it.
static HELD: AtomicI64 = AtomicI64::new(0);
static PEAK: AtomicI64 = AtomicI64::new(0);
static SEED: AtomicU64 = AtomicU64::new(0);
static EXEC: AtomicU64 = AtomicU64::new(0);

/// Counts from here.
pub(crate) fn start(seed: u64, exec: u64) {
    SEED.store(seed, Relaxed);
    EXEC.store(exec, Relaxed);
    LARGEST.store(0, Relaxed);
    HELD.store(0, Relaxed);
    PEAK.store(0, Relaxed);
}

/// What was counted since [`start`].
pub(crate) fn stop() -> Used {
    let peak_bytes = PEAK.load(Relaxed).max(0).cast_unsigned();
    Used { largest_bytes: LARGEST.load(Relaxed), peak_bytes }
}

fn grown(bytes: usize) {
    if bytes > ABORT_BYTES {
        let (seed, exec) = (SEED.load(Relaxed), EXEC.load(Relaxed));
        eprintln!("seed {seed} exec {exec} asked for {bytes} bytes at once");
        std::process::abort();
    }
    LARGEST.fetch_max(bytes as u64, Relaxed);
    let held = HELD.fetch_add(bytes as i64, Relaxed) + bytes as i64;
    PEAK.fetch_max(held, Relaxed);
}

fn freed(bytes: usize) {
    HELD.fetch_sub(bytes as i64, Relaxed);
}

// SAFETY: every call goes to `System` with the arguments it came with, and its result is returned
// unchanged; counting touches atomics only and does not unwind.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        grown(layout.size());
        // SAFETY: the caller's contract is `System`'s.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        grown(layout.size());
        // SAFETY: the caller's contract is `System`'s.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        freed(layout.size());
        // SAFETY: the caller's contract is `System`'s, which gave the pointer.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        grown(size);
        freed(layout.size());
        // SAFETY: the caller's contract is `System`'s, which gave the pointer.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use holdfast_protocol::guard;
    use kafka_protocol::messages::MetadataRequest;
    use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
    use kafka_protocol::protocol::Decodable;

    use super::*;

    /// With the count of the real attack, 2^31 - 1, this would end the process.
    #[test]
    fn without_the_guard_the_decoder_reserves_what_four_bytes_claim() {
        let body = 1_000_000_i32.to_be_bytes();
        start(0, 0);
        let decoded = MetadataRequest::decode(&mut Bytes::copy_from_slice(&body), 1);
        let used = stop();
        assert!(decoded.is_err());
        let reserved = 1_000_000 * size_of::<MetadataRequestTopic>() as u64;
        assert!(used.largest_bytes >= reserved, "{used:?}");
        assert!(guard::check(3, 1, &body).is_err());
    }
}
