//! Reading a segment frame by frame, and looking behind a bad one.
//!
//! Memory: one window of [`WINDOW_BYTES`] and at most one frame; nothing is allocated by a length
//! that is read from disk before that length has been held against the segment.

use std::collections::BTreeSet;

use bytes::{Bytes, BytesMut};
use holdfast_base::BootCount;
use holdfast_io::{BLOCK_BYTES, Disk, DiskError, DiskErrorKind, FileId};

use crate::config::WalConfig;
use crate::format::frame::FrameHeader;
use crate::format::{NotOurs, TRAILER_BYTES, padded};
use crate::item::{FrameNumber, SegmentNumber};

/// Bytes read at once.
const WINDOW_BYTES: u64 = 2 << 20;
const BLOCK: u64 = BLOCK_BYTES as u64;

/// A segment's file, read through a window. Blocks the device cannot read come as zeros and are
/// remembered.
pub(crate) struct FileReader<'a, D> {
    disk: &'a D,
    file: FileId,
    file_bytes: u64,
    window: (u64, Bytes),
    unreadable: BTreeSet<u64>,
}

impl<'a, D: Disk> FileReader<'a, D> {
    pub(crate) fn new(disk: &'a D, file: FileId, file_bytes: u64) -> Self {
        FileReader {
            disk,
            file,
            file_bytes,
            window: (0, Bytes::new()),
            unreadable: BTreeSet::new(),
        }
    }

    /// `len_bytes` at `offset`, both whole blocks, inside the file.
    pub(crate) fn bytes(&mut self, offset: u64, len_bytes: u64) -> Result<Bytes, DiskError> {
        assert!(offset + len_bytes <= self.file_bytes, "a read inside the file");
        let (start, window) = &self.window;
        if offset < *start || offset + len_bytes > start + window.len() as u64 {
            let len = len_bytes.max(WINDOW_BYTES.min(self.file_bytes - offset));
            self.window = (offset, self.read(offset, len)?);
        }
        let skip = (offset - self.window.0) as usize;
        Ok(self.window.1.slice(skip..skip + len_bytes as usize))
    }

    /// Reads; where the device fails, block by block.
    fn read(&mut self, offset: u64, len_bytes: u64) -> Result<Bytes, DiskError> {
        match self.disk.read(self.file, offset, len_bytes as usize) {
            Err(error) if error.kind == DiskErrorKind::Failed => {}
            other => return other,
        }
        let mut all = BytesMut::with_capacity(len_bytes as usize);
        for block in (offset..offset + len_bytes).step_by(BLOCK_BYTES) {
            match self.disk.read(self.file, block, BLOCK_BYTES) {
                Ok(bytes) => all.extend_from_slice(&bytes),
                Err(error) if error.kind == DiskErrorKind::Failed => {
                    self.unreadable.insert(block);
                    all.resize(all.len() + BLOCK_BYTES, 0);
                }
                Err(error) => return Err(error),
            }
        }
        Ok(all.freeze())
    }

    pub(crate) fn is_unreadable(&self, offset: u64, len_bytes: u64) -> bool {
        self.unreadable.range(offset..offset + len_bytes).next().is_some()
    }
}

/// What must come next.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Expect {
    pub(crate) segment: SegmentNumber,
    pub(crate) slot: u32,
    pub(crate) offset: u64,
    /// The last frame before.
    pub(crate) last_frame: FrameNumber,
    pub(crate) position: u64,
    /// `None` behind a hole: the header it would name is gone.
    pub(crate) chain: Option<u32>,
    /// Boot count of the frame before: later frames have this one or a higher.
    pub(crate) boot: BootCount,
    /// The newest boot count known.
    pub(crate) boot_max: BootCount,
}

impl Expect {
    /// What must come behind `header`.
    pub(crate) fn after(&self, header: &FrameHeader) -> Expect {
        Expect {
            offset: self.offset + u64::from(header.frame_bytes),
            last_frame: header.number,
            position: header.position + u64::from(header.frame_bytes),
            chain: Some(header.crc),
            boot: header.boot,
            ..*self
        }
    }

    fn is_next(&self, header: &FrameHeader) -> bool {
        let number = if header.boot == self.boot {
            header.number.0 == self.last_frame.0 + 1 || header.number == first_frame_of(header.boot)
        } else {
            header.number == first_frame_of(header.boot)
        };
        self.belongs(header)
            && (number || self.chain.is_none())
            && header.position == self.position
            && self.chain.is_none_or(|chain| chain == header.chain)
    }

    /// Of this chain, wherever in the rest of the segment.
    fn belongs(&self, header: &FrameHeader) -> bool {
        header.segment == self.segment
            && header.slot == self.slot
            && header.boot >= self.boot
            && header.boot <= self.boot_max
            && header.number > self.last_frame
            && header.position >= self.position
    }
}

/// Frame numbers of a boot start here, so that a number is never used twice, even for frames
/// that a crash has lost without a trace. 2^40 frames per boot, 2^24 boots.
pub(crate) fn first_frame_of(boot: BootCount) -> FrameNumber {
    FrameNumber((boot.0 << 40) + 1)
}

/// The frame at a place.
#[derive(Debug)]
pub(crate) enum Judged {
    Valid(FrameHeader, Bytes),
    /// Directory and commands are whole, the payload is not.
    BadPayload(FrameHeader),
    /// The directory is whole, the commands are not.
    BadCommands(FrameHeader),
    BadHeader,
}

/// Judges the frame `expect` asks for; frames end at or before `limit`.
pub(crate) fn judge<D: Disk>(
    reader: &mut FileReader<'_, D>,
    expect: &Expect,
    limit: u64,
    config: &WalConfig,
) -> Result<Judged, DiskError> {
    let Some(header) = header_at(reader, expect.offset, limit, config)? else {
        return Ok(Judged::BadHeader);
    };
    let planted = &config.planted;
    let is_next = header.offset == expect.offset && expect.is_next(&header)
        || planted.device_offset_not_verified && expect.belongs(&header)
        || planted.replay_recycled_segment && header.offset == expect.offset;
    if !is_next {
        return Ok(Judged::BadHeader);
    }
    let frame = reader.bytes(expect.offset, u64::from(header.frame_bytes))?;
    let commands = frame.slice(header.commands_start()..header.payload_start());
    if crc32c::crc32c(&commands) != header.commands_crc {
        return Ok(Judged::BadCommands(header));
    }
    let start = header.payload_start();
    let payload = &frame[start..start + header.payload_bytes as usize];
    if crc32c::crc32c(payload) != header.payload_crc && !planted.torn_batch_half_visible {
        return Ok(Judged::BadPayload(header));
    }
    Ok(Judged::Valid(header, commands))
}

/// A header of ours at `offset` whose frame ends within `limit`.
fn header_at<D: Disk>(
    reader: &mut FileReader<'_, D>,
    offset: u64,
    limit: u64,
    config: &WalConfig,
) -> Result<Option<FrameHeader>, DiskError> {
    if offset + BLOCK > limit {
        return Ok(None);
    }
    let first = reader.bytes(offset, BLOCK)?;
    let Some(head_bytes) = FrameHeader::peek_head_bytes(&first) else { return Ok(None) };
    let head_bytes = padded(head_bytes as u64);
    if offset + head_bytes > limit {
        return Ok(None);
    }
    let head = reader.bytes(offset, head_bytes)?;
    match FrameHeader::decode(&head, config) {
        Ok(header) if offset + u64::from(header.frame_bytes) <= limit => Ok(Some(header)),
        Ok(_)
        | Err(
            NotOurs::Magic
            | NotOurs::Version(_)
            | NotOurs::Shape
            | NotOurs::Checksum
            | NotOurs::Foreign(_),
        ) => Ok(None),
    }
}

/// A header of this chain exactly at the place `expect` names, however it continues.
pub(crate) fn first_header<D: Disk>(
    reader: &mut FileReader<'_, D>,
    expect: &Expect,
    limit: u64,
    config: &WalConfig,
) -> Result<Option<FrameHeader>, DiskError> {
    let header = header_at(reader, expect.offset, limit, config)?;
    Ok(header.filter(|header| header.offset == expect.offset && expect.belongs(header)))
}

/// What lies behind a bad place of a segment. Holds for every later bad place of it as well: a
/// frame that says `durable` reaches a place, or ends beyond its window, lies behind that place.
#[derive(Debug)]
pub(crate) struct Survey {
    /// Where the last block starts that is not all zeros.
    pub(crate) last_written: Option<u64>,
    /// The highest `durable` of any later frame of this chain.
    pub(crate) durable: FrameNumber,
    /// Where the last of them ends, counted in bytes of the log.
    pub(crate) end_position: u64,
}

/// Looks at every block in `expect.offset..limit`. `expect` is the bad place.
pub(crate) fn survey<D: Disk>(
    reader: &mut FileReader<'_, D>,
    expect: &Expect,
    limit: u64,
    config: &WalConfig,
) -> Result<Survey, DiskError> {
    let mut found =
        Survey { last_written: None, durable: FrameNumber(0), end_position: expect.position };
    let mut offset = expect.offset;
    while offset + BLOCK <= limit {
        let block = reader.bytes(offset, BLOCK)?;
        if reader.is_unreadable(offset, BLOCK) || !is_zero(&block) {
            found.last_written = Some(offset);
        }
        if offset > expect.offset
            && let Some(header) = later_frame(reader, expect, offset, limit, config)?
        {
            found.durable = found.durable.max(header.durable);
            let end = header.position + u64::from(header.frame_bytes);
            found.end_position = found.end_position.max(end);
        }
        offset += BLOCK;
    }
    Ok(found)
}

/// The first frame of this chain behind the bad place `expect`.
pub(crate) fn next_frame<D: Disk>(
    reader: &mut FileReader<'_, D>,
    expect: &Expect,
    limit: u64,
    config: &WalConfig,
) -> Result<Option<FrameHeader>, DiskError> {
    let mut offset = expect.offset + BLOCK;
    while offset + BLOCK <= limit {
        if let Some(header) = later_frame(reader, expect, offset, limit, config)? {
            return Ok(Some(header));
        }
        offset += BLOCK;
    }
    Ok(None)
}

fn later_frame<D: Disk>(
    reader: &mut FileReader<'_, D>,
    expect: &Expect,
    offset: u64,
    limit: u64,
    config: &WalConfig,
) -> Result<Option<FrameHeader>, DiskError> {
    let header = header_at(reader, offset, limit, config)?;
    Ok(header.filter(|header| header.offset == offset && expect.belongs(header)))
}

/// The lowest segment number > `after` that a frame in this file claims: a header that is gone.
pub(crate) fn unknown_segment<D: Disk>(
    reader: &mut FileReader<'_, D>,
    slot: u32,
    after: SegmentNumber,
    from: u64,
    config: &WalConfig,
) -> Result<Option<SegmentNumber>, DiskError> {
    let limit = config.segment_bytes - TRAILER_BYTES;
    let mut offset = from;
    let mut lowest = None;
    while offset + BLOCK <= limit {
        if let Some(header) = header_at(reader, offset, limit, config)?
            && header.offset == offset
            && header.slot == slot
            && header.segment > after
        {
            lowest =
                Some(lowest.map_or(header.segment, |low: SegmentNumber| low.min(header.segment)));
        }
        offset += BLOCK;
    }
    Ok(lowest)
}

/// All zeros.
pub(crate) fn is_zero(bytes: &[u8]) -> bool {
    // Wide words: this reads up to a whole segment at start.
    let (words, rest) = bytes.as_chunks::<16>();
    words.iter().all(|word| u128::from_le_bytes(*word) == 0) && rest.iter().all(|byte| *byte == 0)
}
