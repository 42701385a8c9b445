//! What a lane's WAL is told at start, and the limits that follow from it.
//!
//! ```text
//! capacity_bytes = files * segment_bytes
//! segment        = 2 header copies | frames ... | room kept for the seal
//! reserve_bytes  : the last free bytes; they admit only what frees or guards space
//! ```

use holdfast_base::{ClusterId, LaneId, NodeId};
use holdfast_io::BLOCK_BYTES;

use crate::error::WalError;
use crate::format::DATA_START;

/// Segment size where the capacity allows it: large enough that a seal and a header are noise,
/// small enough that reading one open segment at start takes about 25 ms on NVMe.
pub const SEGMENT_BYTES_DEFAULT: u64 = 64 << 20;
/// Bytes in flight, W: recovery reads at most this far behind a bad frame before it may call it
/// torn; four frames of 4 MiB and room to spare.
pub const IN_FLIGHT_BYTES_DEFAULT: u64 = 64 << 20;
/// A frame is filled up to here unless one entry alone is larger.
pub const FRAME_BYTES_DEFAULT: u32 = 4 << 20;
/// Frames outstanding at a device: measured, four writes in flight reach its throughput.
pub const FRAMES_IN_FLIGHT_MAX: usize = 4;
/// Fewer segments than this leave nothing to write into once the reserve is kept back.
pub(crate) const SEGMENTS_MIN: u64 = 4;
/// Below this the two header copies would be most of the segment.
pub(crate) const SEGMENT_BYTES_MIN: u64 = 512 << 10;

/// Faults switched on at run time, one line each at the place it breaks, so that the simulation
/// can prove that it would find them. All off outside its tests.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "a set of independent switches")]
pub struct PlantedBugs {
    /// A bad frame always ends the log.
    pub crc_failure_is_end_of_log: bool,
    /// A frame is believed wherever it is found.
    pub device_offset_not_verified: bool,
    /// The header's own checksum is not looked at.
    pub header_not_in_checksum: bool,
    /// The payload's checksum is not looked at in an open segment.
    pub torn_batch_half_visible: bool,
    /// Segment, boot count and chain of a frame are not looked at.
    pub replay_recycled_segment: bool,
    /// A frame counts as durable once it is submitted.
    pub durable_before_completion: bool,
    /// Records may use the reserve.
    pub reserve_ignored: bool,
    /// A failed write counts as done.
    pub failed_write_retried_and_acked: bool,
    /// A recovered replica has forgotten its vote.
    pub vote_not_restored: bool,
    /// A file that was given back is overwritten with zeros before a header says that the log can do
    /// without it.
    pub erased_before_header: bool,
}

/// A lane's WAL as configured.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct WalConfig {
    /// Whose log this is; every structure on disk says so.
    pub cluster: ClusterId,
    /// See `cluster`.
    pub node: NodeId,
    /// See `cluster`.
    pub lane: LaneId,
    /// How many lanes the node has.
    pub lane_count: u16,
    /// Bytes of a segment file; the same for the life of a directory.
    pub segment_bytes: u64,
    /// What all segment files together may take. May grow between starts.
    pub capacity_bytes: u64,
    /// W: bytes submitted and not yet durable never exceed this. Stands in the segment header.
    pub in_flight_bytes_max: u64,
    /// Frames submitted and not yet durable never exceed this.
    pub frames_in_flight_max: usize,
    /// A frame is filled up to here; one larger entry gets a frame of its own.
    pub frame_bytes_max: u32,
    /// The last free bytes; see [`crate::Admission`].
    pub reserve_bytes: u64,
    /// Memory of finished frames kept for new ones.
    pub buffer_idle_bytes_max: usize,
    /// For the simulation's tests only.
    pub planted: PlantedBugs,
}

impl WalConfig {
    /// Sizes that suit `capacity_bytes`: 64 MiB segments, smaller ones below 1 GiB.
    #[must_use]
    pub fn new(cluster: ClusterId, node: NodeId, lane: LaneId, capacity_bytes: u64) -> WalConfig {
        let mib = 1 << 20;
        let segment_bytes = (capacity_bytes / 16 / mib * mib).clamp(mib, SEGMENT_BYTES_DEFAULT);
        let frame_bytes_max = FRAME_BYTES_DEFAULT
            .min(u32::try_from(segment_bytes / 4).expect("a segment is at most 64 MiB here"));
        WalConfig {
            cluster,
            node,
            lane,
            lane_count: 1,
            segment_bytes,
            capacity_bytes,
            in_flight_bytes_max: IN_FLIGHT_BYTES_DEFAULT,
            frames_in_flight_max: FRAMES_IN_FLIGHT_MAX,
            frame_bytes_max,
            reserve_bytes: WalConfig::default_reserve_bytes(capacity_bytes, segment_bytes),
            buffer_idle_bytes_max: 8 << 20,
            planted: PlantedBugs::default(),
        }
    }

    /// One sixteenth, at least one segment and at most two: what a node needs to commit the
    /// manifests that free it grows with its shards, not with its disk.
    #[must_use]
    pub const fn default_reserve_bytes(capacity_bytes: u64, segment_bytes: u64) -> u64 {
        let share = capacity_bytes / 16;
        if share < segment_bytes {
            segment_bytes
        } else if share > 2 * segment_bytes {
            2 * segment_bytes
        } else {
            share
        }
    }

    /// Checks what the rest of the crate relies on.
    ///
    /// # Errors
    /// [`WalError::Config`], which names the setting.
    pub fn validate(&self) -> Result<(), WalError> {
        let refuse = |what: String| Err(WalError::Config { what });
        let block = BLOCK_BYTES as u64;
        if self.segment_bytes < SEGMENT_BYTES_MIN
            || !self.segment_bytes.is_multiple_of(block)
            || self.segment_bytes > u64::from(u32::MAX)
        {
            return refuse(format!(
                "segment size {} must be a multiple of {block} between {SEGMENT_BYTES_MIN} and 4 GiB",
                self.segment_bytes
            ));
        }
        if self.capacity_bytes / self.segment_bytes < SEGMENTS_MIN {
            return refuse(format!(
                "capacity {} holds fewer than {SEGMENTS_MIN} segments of {}: raise the WAL size",
                self.capacity_bytes, self.segment_bytes
            ));
        }
        if u64::from(self.frame_bytes_max) > (self.segment_bytes - DATA_START) / 2
            || u64::from(self.frame_bytes_max) < 4 * block
        {
            return refuse(format!(
                "frame size {} must lie between {} and half a segment",
                self.frame_bytes_max,
                4 * block
            ));
        }
        // Any frame must fit into the window, or the lane could never submit it.
        if self.in_flight_bytes_max < 2 * u64::from(self.frame_bytes_max) {
            return refuse(format!(
                "bytes in flight {} must be at least two frames of {}",
                self.in_flight_bytes_max, self.frame_bytes_max
            ));
        }
        if self.frames_in_flight_max == 0 {
            return refuse("frames in flight must be at least 1".to_owned());
        }
        if self.reserve_bytes > self.capacity_bytes / 2 {
            return refuse(format!("reserve {} is more than half the WAL", self.reserve_bytes));
        }
        Ok(())
    }

    /// The largest entry (command, payload and locators together) that fits a segment.
    #[must_use]
    pub fn entry_bytes_max(&self) -> u64 {
        // Half is left for directories, locators in the seal, and padding.
        (self.segment_bytes - DATA_START).min(self.in_flight_bytes_max) / 2
    }
}
