//! The log's files as a kill left them, read by `storage/FORMAT.md` and by none of our code: a
//! second opinion on what recovery will find, and the answer to where the kill fell.
//!
//! ```text
//! highest segment with a valid header ─ previous ─▶ ... ─▶ first, or the `oldest` it names
//!   frames, one behind the other, until one is not whole ─▶ what lies behind: the tail
//! ```
//!
//! | found | the kill fell |
//! | --- | --- |
//! | frames with entries that no later one says are durable | before their durability was published: their acknowledgements were out, under way or not yet due |
//! | a header whose frame is not whole | into the write of that frame |
//! | other bytes behind the last frame | into a write whose first block did not land |
//! | one of a new segment's two headers; no frame in the newest segment; the one before without a seal | into the change of segments |
//!
//! Caveats: in a file that held another segment before, its old bytes behind the tail are taken for a
//! torn frame, and one new header of two for both. With io_uring the kernel may end a
//! write after the process is gone; the state is that at the moment of reading.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use holdfast_crash::Result;

#[cfg(test)]
mod tests;

/// As in a locator.
pub(crate) type TopicId = [u8; 16];

const BLOCK: usize = 4096;
const COPY_BYTES: usize = 65_536;
const DATA_START: usize = 2 * COPY_BYTES;
const ROW_BYTES: usize = 56;
const FRAME_FIXED_BYTES: usize = 160;
const ENTRY_HEAD_BYTES: usize = 32;
const LOCATOR_BYTES: usize = 52;
/// Enough to hold records whose acknowledgement has arrived.
const FRAMES_FORGOTTEN: usize = 50;
const STAMP_BYTES: usize = 64;
const STAMP_CHECKSUM: usize = 60;

/// What lies behind the last whole frame.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Tail {
    /// Zeros to the end of the segment's room.
    Clean,
    /// A frame of `of_bytes` begins here; bytes were written up to `written_bytes`.
    TornFrame { written_bytes: usize, of_bytes: usize },
    /// No frame begins here, and yet something was written.
    Unknown { written_bytes: usize },
}

/// What was found.
#[derive(Clone, Debug)]
pub(crate) struct Autopsy {
    /// Entries of all shards in frames that are whole.
    pub(crate) entries: u64,
    segment: u64,
    segment_bytes: usize,
    /// The oldest segment by the newest header.
    oldest: u64,
    /// Where the whole frames of the newest segment end.
    end: usize,
    /// Whole frames with something in them that no frame calls durable. (The frame that says so
    /// last is empty, and nobody says it of that one.)
    unpublished: usize,
    tail: Tail,
    /// A header copy of the newest segment is missing.
    half_header: bool,
    /// The segment before the newest has no valid seal; and whether bytes of one are there.
    unsealed_before: Option<bool>,
    /// The newest segment's file, and where its whole frames begin.
    file: PathBuf,
    frames: Vec<usize>,
    /// By topic and partition: one more than the last offset in the log.
    ends: BTreeMap<(TopicId, i32), i64>,
}

impl Autopsy {
    /// Bytes of the log in use, by the newest header.
    pub(crate) fn in_use_bytes(&self) -> u64 {
        let whole = self.segment.saturating_sub(self.oldest) * self.segment_bytes as u64;
        whole + self.end as u64
    }

    /// Segments given back since the log was made, by the newest header.
    pub(crate) fn given_back(&self) -> u64 {
        self.oldest.saturating_sub(1)
    }

    /// Topics of which the log holds records.
    pub(crate) fn topics(&self) -> Vec<TopicId> {
        let mut topics: Vec<TopicId> = self.ends.keys().map(|(topic, _)| *topic).collect();
        topics.dedup();
        topics
    }

    /// Records of topics that are not among `seen`.
    pub(crate) fn records_of_new_topics(&self, seen: &[TopicId]) -> u64 {
        let new = self.ends.iter().filter(|((topic, _), _)| !seen.contains(topic));
        new.map(|(_, end)| end.unsigned_abs()).sum()
    }

    /// Plants what a log that acknowledges before it has flushed would leave behind: the last
    /// frames become zeros. Says how many.
    pub(crate) fn forget_last_frames(&self) -> Result<usize> {
        let broken = |error: std::io::Error| format!("{}: {error}", self.file.display());
        let from = self.frames.len().saturating_sub(FRAMES_FORGOTTEN);
        let start = self.frames.get(from).copied().unwrap_or(self.end);
        let file = fs::OpenOptions::new().write(true).open(&self.file).map_err(broken)?;
        file.write_all_at(&vec![0; self.end - start], start as u64).map_err(broken)?;
        file.sync_all().map_err(broken)?;
        Ok(self.frames.len() - from)
    }

    /// Where the kill fell, for people.
    pub(crate) fn state(&self) -> String {
        let mut parts = Vec::new();
        if self.half_header {
            parts.push("the new segment has one of its two headers".to_owned());
        }
        match self.unsealed_before {
            Some(true) => parts.push("seal of the segment before half written".to_owned()),
            Some(false) => parts.push("segment before not sealed yet".to_owned()),
            None => {}
        }
        if self.end == DATA_START && self.tail == Tail::Clean {
            parts.push("no frame in the new segment yet".to_owned());
        }
        match self.tail {
            Tail::Clean if self.unpublished == 0 => {
                parts.push("idle, everything published".to_owned())
            }
            Tail::Clean => {}
            Tail::TornFrame { written_bytes, of_bytes } => {
                parts.push(format!("frame torn, {written_bytes} of {of_bytes} bytes written"));
            }
            Tail::Unknown { written_bytes } => {
                parts.push(format!("{written_bytes} bytes without a frame's header"));
            }
        }
        if self.unpublished > 0 {
            let frames = if self.unpublished == 1 { "frame" } else { "frames" };
            parts.push(format!("{} whole {frames} not yet published as durable", self.unpublished));
        }
        let percent = 100 * self.end / self.segment_bytes.max(1);
        format!("segment {} at {percent} %: {}", self.segment, parts.join("; "))
    }
}

struct Segment {
    file: PathBuf,
    bytes: Vec<u8>,
    number: u64,
    previous: u64,
    oldest: u64,
    previous_end: usize,
    chain: u32,
    position: u64,
    half_header: bool,
}

/// Reads a lane's directory. Nobody may be writing to it.
pub(crate) fn of(directory: &Path) -> Result<Autopsy> {
    let broken = |error: std::io::Error| format!("{}: {error}", directory.display());
    let mut segments: BTreeMap<u64, Segment> = BTreeMap::new();
    for entry in fs::read_dir(directory).map_err(broken)? {
        let path = entry.map_err(broken)?.path();
        if path.file_name().is_some_and(|name| name.to_string_lossy().contains(".segment-"))
            && let bytes = fs::read(&path).map_err(broken)?
            && let Some(segment) = segment(path, bytes)
        {
            segments.insert(segment.number, segment);
        }
    }
    let mut chain = Vec::new();
    let newest = segments.last_key_value();
    let (mut next, oldest) = newest.map_or((0, 0), |(number, segment)| (*number, segment.oldest));
    while next != 0 && next >= oldest {
        let segment = segments
            .remove(&next)
            .ok_or_else(|| format!("{}: segment {next} is missing", directory.display()))?;
        next = segment.previous;
        chain.push(segment);
    }
    chain.reverse();
    examine(&chain).ok_or_else(|| format!("{}: no segment has a header", directory.display()))
}

fn examine(chain: &[Segment]) -> Option<Autopsy> {
    let newest = chain.last()?;
    let mut found = Autopsy {
        entries: 0,
        segment: newest.number,
        segment_bytes: newest.bytes.len(),
        oldest: newest.oldest,
        end: DATA_START,
        unpublished: 0,
        file: newest.file.clone(),
        frames: Vec::new(),
        tail: Tail::Clean,
        half_header: newest.half_header,
        unsealed_before: None,
        ends: BTreeMap::new(),
    };
    let mut durable = 0;
    let mut with_content = Vec::new();
    for (place, segment) in chain.iter().enumerate() {
        let limit = chain.get(place + 1).map_or(segment.bytes.len(), |next| next.previous_end);
        let mut at = DATA_START;
        let (mut frame_chain, mut position) = (segment.chain, segment.position);
        found.frames.clear();
        while at < limit
            && let Some(frame) = frame(segment, at, frame_chain, position)
        {
            count_entries(&segment.bytes[at..at + frame.bytes], &mut found)?;
            durable = durable.max(frame.durable);
            if frame.rows > 0 {
                with_content.push(frame.number);
            }
            found.frames.push(at);
            frame_chain = frame.checksum;
            position += frame.bytes as u64;
            at += frame.bytes;
        }
        found.end = at;
    }
    found.unpublished = with_content.iter().filter(|number| **number > durable).count();
    found.tail = tail(newest, found.end);
    if let [.., before, newest] = chain {
        found.unsealed_before =
            (!is_sealed(before)).then(|| !is_zero(&before.bytes[newest.previous_end..]));
    }
    Some(found)
}

fn segment(file: PathBuf, bytes: Vec<u8>) -> Option<Segment> {
    let valid = |at: usize| {
        let copy = bytes.get(at..at + COPY_BYTES)?;
        is_whole(copy, b"HFWALSEG", u32_at(copy, 56) as usize).then_some(at)
    };
    let copies = [valid(0), valid(COPY_BYTES)];
    // A file that is given to a new segment has one header of each for a moment.
    let at = copies.into_iter().flatten().max_by_key(|at| u64_at(&bytes, at + 40))?;
    Some(Segment {
        file,
        number: u64_at(&bytes, at + 40),
        previous: u64_at(&bytes, at + 96),
        oldest: u64_at(&bytes, at + 136),
        previous_end: usize::try_from(u64_at(&bytes, at + 104)).ok()?,
        chain: u32_at(&bytes, at + 120),
        position: u64_at(&bytes, at + 80),
        half_header: copies.contains(&None),
        bytes,
    })
}

struct Frame {
    number: u64,
    rows: u32,
    durable: u64,
    bytes: usize,
    checksum: u32,
}

/// The frame at `at`, if it is whole and the next of the log.
fn frame(segment: &Segment, at: usize, chain: u32, position: u64) -> Option<Frame> {
    let rest = segment.bytes.get(at..)?;
    let head_bytes = head_bytes(rest)?;
    let bytes = u32_at(rest, 56) as usize;
    let commands_end = head_bytes.checked_add(u32_at(rest, 108) as usize)?;
    let payload_end = commands_end.checked_add(u32_at(rest, 112) as usize)?;
    let is_next = is_whole(rest, b"HFWALFRM", head_bytes)
        && u64_at(rest, 40) == segment.number
        && u64_at(rest, 64) == at as u64
        && u64_at(rest, 80) == position
        && u32_at(rest, 96) == chain;
    if !is_next || payload_end > bytes || bytes > rest.len() {
        return None;
    }
    let sums = [
        (crc32c::crc32c(&rest[head_bytes..commands_end]), u32_at(rest, 116)),
        (crc32c::crc32c(&rest[commands_end..payload_end]), u32_at(rest, 120)),
    ];
    sums.iter().all(|(found, told)| found == told).then(|| Frame {
        number: u64_at(rest, 72),
        rows: u32_at(rest, 100),
        durable: u64_at(rest, 88),
        bytes,
        checksum: u32_at(rest, STAMP_CHECKSUM),
    })
}

/// Header and both directories of the frame that begins `bytes`.
fn head_bytes(bytes: &[u8]) -> Option<usize> {
    if bytes.len() < FRAME_FIXED_BYTES {
        return None;
    }
    let rows = (u32_at(bytes, 100) as usize).checked_add(u32_at(bytes, 104) as usize)?;
    rows.checked_mul(ROW_BYTES)?.checked_add(FRAME_FIXED_BYTES)
}

/// Adds a whole frame's entries. None: the format is not what FORMAT.md says.
fn count_entries(frame: &[u8], found: &mut Autopsy) -> Option<()> {
    let commands = &frame[head_bytes(frame)?..];
    for row in 0..u32_at(frame, 100) as usize {
        let row = frame.get(FRAME_FIXED_BYTES + row * ROW_BYTES..)?;
        if u32_at(row, 4) != 0 {
            continue;
        }
        let start = u32_at(row, 40) as usize;
        let mut rest = commands.get(start..start + u32_at(row, 44) as usize)?;
        while !rest.is_empty() {
            let locators = u32_at(rest.get(..ENTRY_HEAD_BYTES)?, 28) as usize;
            let at = ENTRY_HEAD_BYTES + u32_at(rest, 20) as usize;
            let end = at + locators * LOCATOR_BYTES;
            for locator in rest.get(at..end)?.chunks_exact(LOCATOR_BYTES) {
                let topic = locator[..16].try_into().expect("sixteen bytes");
                let partition = u32_at(locator, 16).cast_signed();
                let end = u64_at(locator, 28).cast_signed() + 1;
                let known = found.ends.entry((topic, partition)).or_default();
                *known = end.max(*known);
            }
            found.entries += 1;
            rest = &rest[end..];
        }
    }
    Some(())
}

fn tail(segment: &Segment, end: usize) -> Tail {
    let room = &segment.bytes[end.min(segment.bytes.len())..];
    let blocks = room.chunks(BLOCK).collect::<Vec<_>>();
    let Some(last) = blocks.iter().rposition(|block| !is_zero(block)) else {
        return Tail::Clean;
    };
    let written_bytes = (last + 1) * BLOCK;
    match head_bytes(room) {
        Some(head) if is_whole(room, b"HFWALFRM", head) => {
            Tail::TornFrame { written_bytes, of_bytes: u32_at(room, 56) as usize }
        }
        _ => Tail::Unknown { written_bytes },
    }
}

fn is_sealed(segment: &Segment) -> bool {
    let trailer = segment.bytes.len().checked_sub(BLOCK).and_then(|at| segment.bytes.get(at..));
    trailer.is_some_and(|trailer| {
        u64_at(trailer, 40) == segment.number
            && is_whole(trailer, b"HFWALEND", u32_at(trailer, 56) as usize)
    })
}

/// Magic, version and the checksum over `length` bytes but its own.
fn is_whole(bytes: &[u8], magic: &[u8; 8], length: usize) -> bool {
    if length < STAMP_BYTES || bytes.len() < length || !bytes.starts_with(magic) {
        return false;
    }
    let head = crc32c::crc32c(&bytes[..STAMP_CHECKSUM]);
    crc32c::crc32c_append(head, &bytes[STAMP_BYTES..length]) == u32_at(bytes, STAMP_CHECKSUM)
}

fn is_zero(bytes: &[u8]) -> bool {
    let (words, rest) = bytes.as_chunks::<16>();
    words.iter().all(|word| u128::from_le_bytes(*word) == 0) && rest.iter().all(|byte| *byte == 0)
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"))
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes"))
}
