//! Settings of a real disk.

use crate::BufferPool;

/// How a ring makes its writes durable. (`pwritev2` always uses the flag: there the flush runs
/// in the thread that asked for it.)
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum WriteEnd {
    /// RWF_DSYNC: one command with FUA, or nothing to flush. Without either the kernel flushes
    /// from a shared worker thread, which waits its turn on a busy machine.
    Flag,
    /// An FSYNC(DATASYNC) after the write.
    Flush,
}

/// Settings of a real disk.
#[derive(Clone, Debug)]
pub struct DiskOptions {
    /// Where reads get their memory.
    pub pool: BufferPool,
    /// How ring writes end; `None` decides by what the device says of itself.
    pub write_end: Option<WriteEnd>,
}

impl Default for DiskOptions {
    /// A pool of its own that keeps 4 MiB; the device decides the rest.
    fn default() -> Self {
        DiskOptions { pool: BufferPool::new(4 << 20), write_end: None }
    }
}
