//! How long a durable write takes: 200 of 4 KiB, one after the other, the way a node writes its
//! log (same back end, same flags), into a file of its own that is removed again.
//!
//! Offsets walk through 1 MiB that was filled with zeros before: a log overwrites, it does not
//! grow.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use hdrhistogram::Histogram;
use holdfast_io::{
    AlignedBuf, AnyDisk, BLOCK_BYTES, Completion, Disk, DiskError, DiskOptions, Token,
    WaitableDisk, WalBackend,
};

use crate::clock::Stopwatch;

const WRITES: u64 = 200;
const FILE_BYTES: u64 = 1 << 20;
/// A device that needs longer for one write is as good as dead.
const WRITE_LIMIT: Duration = Duration::from_secs(10);
/// Three digits tell 70 from 71 us.
const DIGITS: u8 = 3;
/// Above the longest wait.
const MICROS_MAX: u64 = 60_000_000;
const _: () = assert!(MICROS_MAX as u128 > WRITE_LIMIT.as_micros());

/// What was measured.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Latency {
    pub(super) backend: &'static str,
    pub(super) p50_us: u64,
    pub(super) p99_us: u64,
}

/// Removed with what is in it, also when the measurement fails.
struct Scratch(PathBuf);

impl Drop for Scratch {
    fn drop(&mut self) {
        // Nothing more can be done than to leave it; its name says whose it is.
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Writes below `directory`, beside whatever is there.
pub(super) fn measure(directory: &Path) -> Result<Latency, String> {
    let scratch = Scratch(directory.join(format!("holdfast-check-{}", std::process::id())));
    fs::create_dir(&scratch.0).map_err(|error| error.to_string())?;
    let told = |error: DiskError| error.to_string();
    let mut disk =
        AnyDisk::open(&scratch.0, WalBackend::Auto, DiskOptions::default()).map_err(told)?;
    let file = disk.create("flush", FILE_BYTES).map_err(told)?;
    let mut micros = Histogram::<u64>::new_with_bounds(1, MICROS_MAX, DIGITS)
        .map_err(|error| error.to_string())?;
    let mut completions = Vec::new();
    for number in 0..WRITES {
        let mut block = AlignedBuf::unpooled(BLOCK_BYTES);
        block.reserve_zeroed(BLOCK_BYTES).fill(number as u8);
        let offset = number * BLOCK_BYTES as u64 % FILE_BYTES;
        let watch = Stopwatch::start();
        disk.submit_write(file, offset, block.freeze(), Token(number));
        disk.flush_submissions();
        loop {
            disk.poll(&mut completions);
            if let Some(completion) = completions.pop() {
                let Completion::Write { result, .. } = completion else { continue };
                result.map_err(told)?;
                break;
            }
            let left = watch.left_of(WRITE_LIMIT);
            if left.is_zero() {
                return Err(format!("a write did not end within {} s", WRITE_LIMIT.as_secs()));
            }
            disk.wait(u64::try_from(left.as_nanos()).ok());
        }
        let took = u64::try_from(watch.elapsed().as_micros()).unwrap_or(u64::MAX);
        micros.saturating_record(took);
    }
    let backend = disk.status().backend;
    let (p50_us, p99_us) = (micros.value_at_quantile(0.5), micros.value_at_quantile(0.99));
    Ok(Latency { backend, p50_us, p99_us })
}
