//! What can go wrong, and what to do about it.

use holdfast_io::DiskError;
use thiserror::Error;

use crate::item::SegmentNumber;

/// A failed call on the WAL.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum WalError {
    /// The device or directory refused; the kind in it says what can be done.
    #[error("WAL: {0}")]
    Disk(#[from] DiskError),
    /// The configuration cannot work.
    #[error("WAL configuration: {what}")]
    Config {
        /// The setting, its value and its bound.
        what: String,
    },
    /// The directory belongs to somebody else.
    #[error(
        "{file} belongs to {found}, this is {expected}: point the daemon at its own data \
         directory, or remove the foreign one"
    )]
    Foreign {
        /// The file that says so.
        file: String,
        /// Cluster, node and lane in it, or what it looks like.
        found: String,
        /// Ours.
        expected: String,
    },
    /// Written by another version of the format.
    #[error("{file} has WAL format {found}, this build reads {supported}: use a matching build")]
    Version {
        /// The file that says so.
        file: String,
        /// Its version.
        found: u16,
        /// Ours.
        supported: u16,
    },
    /// No WAL here.
    #[error("no WAL in this directory: format it first")]
    NotFormatted,
    /// A WAL is here already.
    #[error("{file} exists: this directory already holds a WAL and is not formatted again")]
    AlreadyFormatted {
        /// The file found.
        file: String,
    },
    /// Both copies of a structure the lane cannot do without are gone.
    #[error(
        "{file}: {why}. The lane has failed; replace the node, or with one voter run \
         `holdfast recover --i-accept-loss`"
    )]
    LaneFailed {
        /// The file.
        file: String,
        /// What was found in it.
        why: String,
    },
    /// A write failed: the device counts as failed, nothing more becomes durable.
    #[error("the WAL device failed and the lane has stopped: {0}")]
    Failed(DiskError),
    /// The caller broke a rule of `append`; nothing was written.
    #[error("WAL refused an append: {why}")]
    Refused {
        /// Which rule.
        why: String,
    },
    /// An entry larger than a segment can take.
    #[error("entry of {bytes} bytes is larger than the {max} a segment takes: split it")]
    EntryTooLarge {
        /// Its size.
        bytes: u64,
        /// The bound.
        max: u64,
    },
    /// Stored bytes do not match their checksum.
    #[error("segment {} at {offset}: {what}; stored bytes are damaged", segment.0)]
    Damaged {
        /// Where.
        segment: SegmentNumber,
        /// Where.
        offset: u64,
        /// What does not match.
        what: String,
    },
    /// The segment was recycled or never existed.
    #[error("segment {} does not exist (any more)", segment.0)]
    NoSuchSegment {
        /// Its number.
        segment: SegmentNumber,
    },
}
