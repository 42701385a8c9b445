//! `holdfast-powercut`: is everything that was acknowledged still there after the power was cut?
//!
//! ```text
//! clients ─▶ guest: Debian's kernel, holdfastd, ext4 ─▶ virtio-blk ─▶ NBD server ─▶ file
//!    │ lines                                              │ its cache: lost in part, by the seed
//!    ▼                                                    ▼
//! history ─▶ judge ◀── everything is read again ◀── the guest boots on what is left
//! ```
//!
//! A real kernel on a disk that loses what was not flushed: the page cache with the guest, and of
//! the disk's own cache whatever the seed says (see `survivors`): sectors of one write apart, late
//! writes without early ones, nothing, all. ext4 commits every 300 s here, so that its own flushes
//! do not hide a missing one. Kills of a process (`tests/crash`) leave page cache and disk alone;
//! the simulation has the disk but not the kernel, ext4, io_uring nor RocksDB.
//!
//! A cut falls where it hurts: at the write of a frame of the log, as a flush comes, or when the cache
//! is full of unflushed sectors; mostly after flushes were held back for a while, so that whoever
//! acknowledges without waiting for one is found. One of three strikes again into the restart. A run
//! in which hardly a cut found unflushed frames of the log proves nothing and fails.
//!
//! `--planted lost-flush` tests the test: the disk answers flushes and forgets them. Records must be
//! found lost, or the run fails.
//!
//! What the seed decides: what survives of what was unflushed, the aims, the order in which waiting
//! requests are served. Not: how guest and clients are scheduled. So a seed sets up the same trouble
//! again, not the same bytes.
//!
//! Exit status: 0 passed, 1 something was lost or could not be run.

mod cpio;
mod disk;
mod guest;
mod initramfs;
mod load;
mod nbd;
mod run;
mod survivors;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, ValueEnum};

#[derive(Parser, Debug)]
#[command(about = "Power cuts in a guest on a disk that loses unflushed writes")]
pub(crate) struct Arguments {
    /// How many cuts.
    #[arg(long, default_value_t = 6, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    pub(crate) cuts: u32,
    /// Decides what survives and where cuts fall; drawn if not given.
    #[arg(long)]
    pub(crate) seed: Option<u64>,
    /// Tests the test, with one cut: it must be found.
    #[arg(long)]
    pub(crate) planted: Option<Planted>,
    /// How the log is written: auto, io_uring, pwritev2.
    #[arg(long, default_value = "auto")]
    pub(crate) wal_backend: String,
    /// Size of the log: small, so that it is trimmed between cuts.
    #[arg(long, default_value = "16MiB")]
    pub(crate) wal_size: String,
    /// The holdfastd binary.
    #[arg(long, env = "HOLDFASTD")]
    pub(crate) holdfastd: PathBuf,
    /// Directory with vmlinuz, busybox and modules.
    #[arg(long, env = "HOLDFAST_GUEST")]
    pub(crate) guest: PathBuf,
    /// Directory where pip put confluent-kafka.
    #[arg(long, env = "HOLDFAST_LIBRDKAFKA")]
    pub(crate) librdkafka: PathBuf,
    /// Directory for the disk, histories and logs; emptied.
    #[arg(long, default_value = "target/powercut")]
    pub(crate) work: PathBuf,
}

/// A fault of the disk that must be seen.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub(crate) enum Planted {
    /// Flushes are answered and do nothing.
    LostFlush,
}

fn main() -> ExitCode {
    match run::run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(fault) => {
            eprintln!("holdfast-powercut: {fault}");
            ExitCode::FAILURE
        }
    }
}
