//! The frames that lie on a stopped node's device, read from the format's description alone, and
//! what a device may have done to exactly one of them.
//!
//! ```text
//! frame: stamp 64 (magic 8, .., segment at 40, .., length at 56) | number 72 | durable 88 |
//!        rows 100 | previous rows 104 | commands bytes 108 | payload bytes 112 | .. | directory 160
//! row:   shard 0 | kind 4 | .. | first 16 | last 24 | ..                           56 bytes each
//! ```
//!
//! A bit that flips anywhere on a device mostly hits padding, or a tail that may pass for torn.
//! Here damage goes where the log must notice it: into a frame that later frames call durable, and
//! whose entries nothing has overwritten since.
//!
//! Invariant: this reads and writes only the media of a node that is down.

use bytes::Bytes;
use holdfast_base::{Rng, ShardId, SplitMix64};
use holdfast_io::{BLOCK_BYTES, Disk, SimDevice, SimDisk};

const BLOCK: u64 = BLOCK_BYTES as u64;
/// Behind both copies of the segment's header.
const DATA_START: u64 = 128 << 10;
const FRAME_MAGIC: &[u8] = b"HFWALFRM";
const SEGMENT_MAGIC: &[u8] = b"HFWALSEG";
const SEGMENT: usize = 40;
const LENGTH: usize = 56;
const NUMBER: usize = 72;
const DURABLE: usize = 88;
const ROWS: usize = 100;
const PREVIOUS_ROWS: usize = 104;
const COMMANDS_BYTES: usize = 108;
const PAYLOAD_BYTES: usize = 112;
const DIRECTORY: usize = 160;
const ROW_BYTES: usize = 56;

/// A part of a frame; each has its own checksum.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Section {
    Head,
    Commands,
    Payload,
}

#[derive(Clone, Debug)]
struct Frame {
    offset: u64,
    len_bytes: u64,
    number: u64,
    durable: u64,
    /// Bytes of header and directories, commands, payload.
    sections: [u64; 3],
    /// Of each run of entries: shard, first index.
    runs: Vec<(u32, u64)>,
}

#[derive(Clone, Debug)]
struct Segment {
    name: String,
    number: u64,
    is_sealed: bool,
    bytes: Bytes,
    /// From its start up to the first place that holds no frame of it.
    frames: Vec<Frame>,
}

/// What was done to a frame.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Harm {
    /// Entries of this shard are gone, and durable: its replica must not serve.
    pub(crate) shard: ShardId,
    /// For people.
    pub(crate) text: String,
}

/// The segments of a stopped node's log.
pub(crate) struct Media {
    device: SimDevice,
    disk: SimDisk,
    /// By number, ascending.
    segments: Vec<Segment>,
}

impl Media {
    /// Looks at a device nobody has open; `None` where it cannot be read.
    pub(crate) fn of(device: &SimDevice) -> Option<Media> {
        let mut disk = device.open().ok()?;
        let mut segments = Vec::new();
        for (name, len_bytes) in disk.list().ok()? {
            let file = disk.open(&name).ok()?;
            let bytes = disk.read(file, 0, usize::try_from(len_bytes).ok()?).ok()?;
            if bytes.starts_with(SEGMENT_MAGIC) && len_bytes > DATA_START + BLOCK {
                segments.push(Segment::read(name, bytes));
            }
        }
        segments.sort_by_key(|segment| segment.number);
        Some(Media { device: device.clone(), disk, segments })
    }

    /// Turns one bit of a durable frame over.
    pub(crate) fn flip(&self, section: Section, rng: &mut SplitMix64) -> Option<Harm> {
        let segment = self.open_segment()?;
        let which = section as usize;
        let candidates: Vec<(&Frame, u32)> =
            segment.standing().into_iter().filter(|(frame, _)| frame.sections[which] > 0).collect();
        let (frame, shard) = draw(&candidates, rng)?;
        let before: u64 = frame.sections[..which].iter().sum();
        let at = frame.offset + before + rng.below(frame.sections[which]);
        self.device.flip_bit(&segment.name, at, rng.below(8) as u8);
        let text =
            format!("a bit flips: {section:?} of frame {:x} of {}", frame.number, segment.name);
        Some(Harm { shard: ShardId(shard), text })
    }

    /// Puts the last frame also over an earlier, durable one, as a misdirected write does.
    pub(crate) fn misplace(&mut self, rng: &mut SplitMix64) -> Option<Harm> {
        let segment = self.open_segment()?;
        let last = segment.frames.last()?;
        let candidates: Vec<(&Frame, u32)> = segment
            .standing()
            .into_iter()
            .filter(|(frame, _)| {
                frame.number <= last.durable && frame.offset + last.len_bytes <= last.offset
            })
            .collect();
        let (frame, shard) = draw(&candidates, rng)?;
        let harm = Harm {
            shard: ShardId(shard),
            text: format!(
                "frame {:x} of {} lies over frame {:x} as well",
                last.number, segment.name, frame.number
            ),
        };
        let (name, offset, bytes) = (segment.name.clone(), frame.offset, segment.bytes_of(last));
        self.write(&name, offset, bytes)?;
        Some(harm)
    }

    /// Puts a frame of an older segment behind the end of the log, at the offset it has in its own
    /// file: what a recycled file holds. Harms nothing, and must not be taken for the next frame.
    pub(crate) fn leave_stale(&mut self, rng: &mut SplitMix64) -> Option<String> {
        let segment = self.open_segment()?;
        let end = segment.frames.last().map_or(DATA_START, |last| last.offset + last.len_bytes);
        let limit = segment.bytes.len() as u64 - BLOCK;
        let candidates: Vec<(&Segment, &Frame)> = self
            .segments
            .iter()
            .filter(|older| older.number < segment.number)
            .flat_map(|older| older.frames.iter().map(move |frame| (older, frame)))
            .filter(|(_, frame)| {
                frame.offset == end && end + frame.len_bytes <= limit && !frame.runs.is_empty()
            })
            .collect();
        let (older, frame) = draw(&candidates, rng)?;
        let text = format!(
            "frame {:x} of {} lies at the end of {}",
            frame.number, older.name, segment.name
        );
        let (name, bytes) = (segment.name.clone(), older.bytes_of(frame));
        self.write(&name, end, bytes)?;
        Some(text)
    }

    /// The newest segment, while nothing has sealed it.
    fn open_segment(&self) -> Option<&Segment> {
        self.segments.last().filter(|segment| !segment.is_sealed)
    }

    fn write(&mut self, name: &str, offset: u64, bytes: Bytes) -> Option<()> {
        let file = self.disk.open(name).ok()?;
        self.disk.write(file, offset, bytes).ok()
    }
}

impl Segment {
    fn read(name: String, bytes: Bytes) -> Segment {
        let number = u64_at(&bytes, SEGMENT);
        let trailer = bytes.len() - BLOCK_BYTES;
        let is_sealed = bytes[trailer..].iter().any(|byte| *byte != 0);
        let mut frames = Vec::new();
        let mut offset = DATA_START as usize;
        while let Some(frame) = Frame::read(&bytes[..trailer], offset, number) {
            offset += frame.len_bytes as usize;
            frames.push(frame);
        }
        Segment { name, number, is_sealed, bytes, frames }
    }

    /// Aligned again, as a device wants it.
    fn bytes_of(&self, frame: &Frame) -> Bytes {
        self.bytes.slice(frame.offset as usize..(frame.offset + frame.len_bytes) as usize)
    }

    /// Frames that are durable as later ones say, each with a shard whose entries in it were not
    /// written again behind it.
    fn standing(&self) -> Vec<(&Frame, u32)> {
        let mut standing = Vec::new();
        for (place, frame) in self.frames.iter().enumerate() {
            let behind = &self.frames[place + 1..];
            let is_durable = behind.iter().any(|later| later.durable >= frame.number);
            let shard = frame.runs.iter().find(|(shard, first)| {
                !behind
                    .iter()
                    .flat_map(|later| &later.runs)
                    .any(|(other, again)| other == shard && again <= first)
            });
            if let Some((shard, _)) = shard.filter(|_| is_durable) {
                standing.push((frame, *shard));
            }
        }
        standing
    }
}

impl Frame {
    /// A frame of that segment, as far as its numbers make sense; checksums are recovery's.
    fn read(bytes: &[u8], offset: usize, segment: u64) -> Option<Frame> {
        let frame = bytes.get(offset..)?;
        if frame.len() < BLOCK_BYTES
            || !frame.starts_with(FRAME_MAGIC)
            || u64_at(frame, SEGMENT) != segment
        {
            return None;
        }
        let rows = u32_at(frame, ROWS) as usize;
        let head = DIRECTORY + ROW_BYTES * (rows + u32_at(frame, PREVIOUS_ROWS) as usize);
        let len_bytes = u64::from(u32_at(frame, LENGTH));
        let is_whole = len_bytes > 0 && len_bytes <= frame.len() as u64;
        let directory = frame.get(DIRECTORY..head).filter(|_| is_whole)?;
        let runs = directory
            .chunks_exact(ROW_BYTES)
            .take(rows)
            .filter(|row| u32_at(row, 4) == 0)
            .map(|row| (u32_at(row, 0), u64_at(row, 16)))
            .collect();
        Some(Frame {
            offset: offset as u64,
            len_bytes,
            number: u64_at(frame, NUMBER),
            durable: u64_at(frame, DURABLE),
            sections: [
                head as u64,
                u64::from(u32_at(frame, COMMANDS_BYTES)),
                u64::from(u32_at(frame, PAYLOAD_BYTES)),
            ],
            runs,
        })
    }
}

fn draw<T: Copy>(candidates: &[T], rng: &mut SplitMix64) -> Option<T> {
    let count = candidates.len() as u64;
    (count > 0).then(|| candidates[rng.below(count) as usize])
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    let mut word = [0; 4];
    word.copy_from_slice(&bytes[at..at + 4]);
    u32::from_le_bytes(word)
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    let mut word = [0; 8];
    word.copy_from_slice(&bytes[at..at + 8]);
    u64::from_le_bytes(word)
}
