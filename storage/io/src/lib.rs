//! Bytes to a device and back: aligned buffers, direct files, and the two ways (io_uring,
//! `pwritev2`) a lane submits and completes. The only home of `unsafe`.
//!
//! A [`Disk`] is one WAL directory as its lane sees it. Requests go down (`submit_*`),
//! completions come up (`poll`); nothing blocks but the calls that say so. `SimDisk` is the
//! third implementation, with a volatile cache and every fault of the fault model; all three
//! pass `conformance`.

mod aligned;
mod any_disk;
#[cfg(any(test, feature = "conformance"))]
pub mod conformance;
mod direct;
mod directory;
mod disk;
mod file;
mod helpers;
mod options;
mod probe;
mod pwritev2;
mod sim;
mod status;
#[cfg(test)]
mod testing;
mod uring;
mod wake;

pub use aligned::{AlignedBuf, BufferPool, BufferPoolStatus};
pub use any_disk::{AnyDisk, WalBackend};
pub use direct::SegmentReader;
pub use disk::{BLOCK_BYTES, Completion, Disk, DiskError, DiskErrorKind, FileId, Token};
pub use options::{DiskOptions, WriteEnd};
pub use probe::{ProbeReport, UringProbe, probe};
pub use pwritev2::Pwritev2Disk;
pub use sim::{SimCounters, SimDevice, SimDisk, SimFaults, SimSnapshot, WriteFault};
pub use status::{DeviceFacts, DiskStatus};
pub use uring::{UringDisk, UringForbidden};
pub use wake::{WaitableDisk, Waker};
