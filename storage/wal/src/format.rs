//! Bytes on disk. `storage/FORMAT.md` is the reference for strangers; its offsets are asserted
//! against these constants by `format/tests.rs`.
//!
//! ```text
//! <lane>.superblock            copy A at 0 | copy B at 64 KiB
//! <lane>.segment-<slot>        header A | header B | frame | frame | ... | zeros | seal index | trailer
//!                              0          64 KiB     128 KiB                           last 4 KiB
//! every structure              stamp (64 bytes) | its own fields | its rows
//! ```
//!
//! All numbers are little-endian. The stamp is the same everywhere: whose bytes these are, where
//! they belong, under which boot count they were written, how long they are, and a CRC-32C over
//! all of it but the CRC itself.

use holdfast_base::{BootCount, ClusterId, LaneId, NodeId};
use holdfast_io::BLOCK_BYTES;

use crate::config::WalConfig;
use crate::item::SegmentNumber;

pub(crate) mod frame;
pub(crate) mod seal;
pub(crate) mod segment;
pub(crate) mod superblock;
#[cfg(test)]
mod tests;

/// Version of everything in this module.
pub const FORMAT_VERSION: u16 = 1;
/// Room of one copy of a segment header: about 600 replicas of three voters.
pub(crate) const HEADER_COPY_BYTES: u64 = 64 << 10;
/// Where the first frame of a segment starts.
pub(crate) const DATA_START: u64 = 2 * HEADER_COPY_BYTES;
/// The trailer of a seal: the last block of a segment.
pub(crate) const TRAILER_BYTES: u64 = BLOCK_BYTES as u64;
/// More than the header, both directories and the padding of any frame.
pub(crate) const FRAME_OVERHEAD_BYTES_MAX: u64 = 512 << 10;

/// No position, index, term or number of ours reaches this; bytes that say so lie. Keeps sums of
/// two of them from overflowing.
pub(crate) const NUMBER_MAX: u64 = 1 << 62;
/// Frame numbers carry the boot count in their upper 24 bits.
pub(crate) const BOOT_MAX: u64 = 1 << 22;

/// Offsets in a stamp.
pub(crate) mod stamp_at {
    pub(crate) const MAGIC: usize = 0;
    pub(crate) const VERSION: usize = MAGIC + 8;
    pub(crate) const FLAGS: usize = VERSION + 2;
    pub(crate) const NODE: usize = FLAGS + 2;
    pub(crate) const CLUSTER: usize = NODE + 4;
    pub(crate) const LANE: usize = CLUSTER + 16;
    pub(crate) const LANE_COUNT: usize = LANE + 2;
    pub(crate) const SLOT: usize = LANE_COUNT + 2;
    pub(crate) const SEGMENT: usize = SLOT + 4;
    pub(crate) const BOOT: usize = SEGMENT + 8;
    pub(crate) const LENGTH: usize = BOOT + 8;
    pub(crate) const CRC: usize = LENGTH + 4;
    pub(crate) const END: usize = CRC + 4;
}

/// Bytes of a stamp.
pub(crate) const STAMP_BYTES: usize = stamp_at::END;
const _: () = assert!(STAMP_BYTES == 64);

/// The head of every structure.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Stamp {
    pub(crate) cluster: ClusterId,
    pub(crate) node: NodeId,
    pub(crate) lane: LaneId,
    pub(crate) lane_count: u16,
    /// The file's number in its name.
    pub(crate) slot: u32,
    /// The segment's number: the generation of the file. 0 in a superblock.
    pub(crate) segment: SegmentNumber,
    pub(crate) boot: BootCount,
    pub(crate) flags: u16,
    /// Bytes of the structure; a frame's with padding.
    pub(crate) length: u32,
}

/// Why bytes are not the structure asked for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum NotOurs {
    /// No magic: never written, or overwritten.
    Magic,
    /// A version we cannot read.
    Version(u16),
    /// Lengths or counts that cannot be.
    Shape,
    /// The checksum does not match.
    Checksum,
    /// Another cluster, node or lane.
    Foreign(String),
}

impl Stamp {
    pub(crate) fn of(
        config: &WalConfig,
        slot: u32,
        segment: SegmentNumber,
        boot: BootCount,
    ) -> Stamp {
        Stamp {
            cluster: config.cluster,
            node: config.node,
            lane: config.lane,
            lane_count: config.lane_count,
            slot,
            segment,
            boot,
            flags: 0,
            length: 0,
        }
    }

    /// Writes everything but the checksum.
    pub(crate) fn put(&self, magic: &[u8; 8], to: &mut [u8]) {
        to[stamp_at::MAGIC..stamp_at::VERSION].copy_from_slice(magic);
        set_u16(to, stamp_at::VERSION, FORMAT_VERSION);
        set_u16(to, stamp_at::FLAGS, self.flags);
        set_u32(to, stamp_at::NODE, self.node.0);
        to[stamp_at::CLUSTER..stamp_at::LANE].copy_from_slice(&self.cluster.0);
        set_u16(to, stamp_at::LANE, self.lane.0);
        set_u16(to, stamp_at::LANE_COUNT, self.lane_count);
        set_u32(to, stamp_at::SLOT, self.slot);
        set_u64(to, stamp_at::SEGMENT, self.segment.0);
        set_u64(to, stamp_at::BOOT, self.boot.0);
        set_u32(to, stamp_at::LENGTH, self.length);
    }

    /// Reads the stamp; looks at magic and version only.
    pub(crate) fn get(magic: &[u8; 8], from: &[u8]) -> Result<Stamp, NotOurs> {
        if from.len() < STAMP_BYTES {
            return Err(NotOurs::Shape);
        }
        if from[stamp_at::MAGIC..stamp_at::VERSION] != magic[..] {
            return Err(NotOurs::Magic);
        }
        let version = get_u16(from, stamp_at::VERSION);
        if version != FORMAT_VERSION {
            return Err(NotOurs::Version(version));
        }
        if get_u64(from, stamp_at::SEGMENT) >= NUMBER_MAX
            || get_u64(from, stamp_at::BOOT) >= BOOT_MAX
        {
            return Err(NotOurs::Shape);
        }
        let mut cluster = [0; 16];
        cluster.copy_from_slice(&from[stamp_at::CLUSTER..stamp_at::LANE]);
        Ok(Stamp {
            cluster: ClusterId(cluster),
            node: NodeId(get_u32(from, stamp_at::NODE)),
            lane: LaneId(get_u16(from, stamp_at::LANE)),
            lane_count: get_u16(from, stamp_at::LANE_COUNT),
            slot: get_u32(from, stamp_at::SLOT),
            segment: SegmentNumber(get_u64(from, stamp_at::SEGMENT)),
            boot: BootCount(get_u64(from, stamp_at::BOOT)),
            flags: get_u16(from, stamp_at::FLAGS),
            length: get_u32(from, stamp_at::LENGTH),
        })
    }

    pub(crate) fn is_of(&self, config: &WalConfig) -> bool {
        self.cluster == config.cluster && self.node == config.node && self.lane == config.lane
    }

    pub(crate) fn owner(&self) -> String {
        format!("cluster {} node {} lane {}", self.cluster, self.node, self.lane)
    }
}

/// Reads a stamp whose structure is `from` whole, as long as its length field says, checked.
pub(crate) fn get_checked(
    magic: &[u8; 8],
    fixed_bytes: usize,
    from: &[u8],
    config: &WalConfig,
) -> Result<Stamp, NotOurs> {
    let stamp = Stamp::get(magic, from)?;
    let length = stamp.length as usize;
    if length < fixed_bytes || length > from.len() {
        return Err(NotOurs::Shape);
    }
    if checksum(&from[..length]) != get_u32(from, stamp_at::CRC) {
        return Err(NotOurs::Checksum);
    }
    if !stamp.is_of(config) {
        return Err(NotOurs::Foreign(stamp.owner()));
    }
    Ok(stamp)
}

/// CRC-32C over a structure but for the four bytes that hold it.
pub(crate) fn checksum(structure: &[u8]) -> u32 {
    let head = crc32c::crc32c(&structure[..stamp_at::CRC]);
    crc32c::crc32c_append(head, &structure[stamp_at::END..])
}

/// Writes the checksum over `structure` into it, last of all.
pub(crate) fn set_checksum(structure: &mut [u8]) {
    let crc = checksum(structure);
    set_u32(structure, stamp_at::CRC, crc);
}

/// `<lane>.superblock`.
pub(crate) fn superblock_name(lane: LaneId) -> String {
    format!("lane-{lane}.superblock")
}

/// `<lane>.segment-<slot>`.
pub(crate) fn segment_name(lane: LaneId, slot: u32) -> String {
    format!("lane-{lane}.segment-{slot:08}")
}

/// The slot in a segment's file name, if it is one of this lane.
pub(crate) fn slot_of(lane: LaneId, name: &str) -> Option<u32> {
    let digits = name.strip_prefix(&format!("lane-{lane}.segment-"))?;
    (digits.len() == 8 && digits.bytes().all(|digit| digit.is_ascii_digit()))
        .then(|| digits.parse().ok())
        .flatten()
}

/// `bytes` rounded up to whole blocks.
pub(crate) const fn padded(bytes: u64) -> u64 {
    bytes.next_multiple_of(BLOCK_BYTES as u64)
}

pub(crate) fn set_u16(to: &mut [u8], at: usize, value: u16) {
    to[at..at + 2].copy_from_slice(&value.to_le_bytes());
}

pub(crate) fn set_u32(to: &mut [u8], at: usize, value: u32) {
    to[at..at + 4].copy_from_slice(&value.to_le_bytes());
}

pub(crate) fn set_u64(to: &mut [u8], at: usize, value: u64) {
    to[at..at + 8].copy_from_slice(&value.to_le_bytes());
}

pub(crate) fn get_u16(from: &[u8], at: usize) -> u16 {
    let mut bytes = [0; 2];
    bytes.copy_from_slice(&from[at..at + 2]);
    u16::from_le_bytes(bytes)
}

pub(crate) fn get_u32(from: &[u8], at: usize) -> u32 {
    let mut bytes = [0; 4];
    bytes.copy_from_slice(&from[at..at + 4]);
    u32::from_le_bytes(bytes)
}

pub(crate) fn get_u64(from: &[u8], at: usize) -> u64 {
    let mut bytes = [0; 8];
    bytes.copy_from_slice(&from[at..at + 8]);
    u64::from_le_bytes(bytes)
}
