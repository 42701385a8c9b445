//! Reading back. Commands are verified by their frame's checksums; payload is handed out as the
//! bytes of its extent, and its own CRC (a record batch has one) or a scrub of the frame judges
//! it. Only durable frames may be read: before that the frame buffer is the only copy.

use bytes::Bytes;
use holdfast_io::{BLOCK_BYTES, Disk, DiskError, FileId};

use crate::config::WalConfig;
use crate::error::WalError;
use crate::format::frame::{self, FrameHeader, ParsedEntry, Row, RowKind};
use crate::format::seal::{SealIndex, SealedBatch, Trailer};
use crate::format::{NotOurs, TRAILER_BYTES, padded, segment_name};
use crate::item::{EntryRun, Extent, SegmentNumber, StoredEntry};
use crate::wal::{Request, Wal, WalEvent};

/// A `start_read` under way.
#[derive(Debug)]
pub(crate) struct PendingRead {
    token: u64,
    /// Stays as it is until the read has ended.
    pub(crate) segment: SegmentNumber,
    /// How far the extent starts behind the aligned read.
    skip: usize,
    len_bytes: usize,
}

impl PendingRead {
    pub(crate) fn finish(self, result: Result<Bytes, DiskError>) -> WalEvent {
        let result = match result {
            Ok(bytes) => Ok(bytes.slice(self.skip..self.skip + self.len_bytes)),
            Err(error) => Err(WalError::Disk(error)),
        };
        WalEvent::Read { token: self.token, result }
    }
}

/// The aligned read that holds `len_bytes` at `offset`: where it starts and its length.
fn widen(offset: u64, len_bytes: usize) -> (u64, usize) {
    let start = offset / BLOCK_BYTES as u64 * BLOCK_BYTES as u64;
    let len = padded(offset + len_bytes as u64 - start) as usize;
    (start, len)
}

/// Reads any bytes of a file.
pub(crate) fn read_bytes<D: Disk>(
    disk: &D,
    file: FileId,
    offset: u64,
    len_bytes: usize,
) -> Result<Bytes, DiskError> {
    if len_bytes == 0 {
        return Ok(Bytes::new());
    }
    let (start, len) = widen(offset, len_bytes);
    let skip = (offset - start) as usize;
    Ok(disk.read(file, start, len)?.slice(skip..skip + len_bytes))
}

/// Reads and checks the header and commands of the frame at `offset`.
pub(crate) fn read_commands<D: Disk>(
    disk: &D,
    file: FileId,
    segment: SegmentNumber,
    offset: u64,
    config: &WalConfig,
) -> Result<(FrameHeader, Bytes), WalError> {
    let damaged = |what: &str| WalError::Damaged { segment, offset, what: what.to_owned() };
    let first = disk.read(file, offset, BLOCK_BYTES)?;
    let head = FrameHeader::peek_head_bytes(&first).ok_or_else(|| damaged("no frame header"))?;
    let head = if head > first.len() { read_bytes(disk, file, offset, head)? } else { first };
    let header = FrameHeader::decode(&head, config).map_err(|error| match error {
        NotOurs::Checksum => damaged("frame header"),
        NotOurs::Foreign(owner) => damaged(&format!("a frame of {owner}")),
        NotOurs::Version(version) => damaged(&format!("a frame of version {version}")),
        NotOurs::Magic | NotOurs::Shape => damaged("no frame header"),
    })?;
    if header.segment != segment || header.offset != offset {
        return Err(damaged("a frame that belongs elsewhere"));
    }
    let (start, end) = (header.commands_start(), header.payload_start());
    let commands = if end <= head.len() {
        head.slice(start..end)
    } else {
        read_bytes(disk, file, offset + start as u64, end - start)?
    };
    if crc32c::crc32c(&commands) != header.commands_crc {
        return Err(damaged("commands"));
    }
    Ok((header, commands))
}

/// The frame at the front of `bytes`, if its head and commands are all there and right.
pub(crate) fn frame_in(
    bytes: &Bytes,
    segment: SegmentNumber,
    offset: u64,
    config: &WalConfig,
) -> Option<(FrameHeader, Bytes)> {
    let first = bytes.get(..BLOCK_BYTES)?;
    let head_bytes = FrameHeader::peek_head_bytes(first)?;
    let head = bytes.get(..head_bytes.max(BLOCK_BYTES))?;
    let header = FrameHeader::decode(head, config).ok()?;
    let (start, end) = (header.commands_start(), header.payload_start());
    if header.segment != segment || header.offset != offset || end > bytes.len() {
        return None;
    }
    let commands = bytes.slice(start..end);
    (crc32c::crc32c(&commands) == header.commands_crc).then_some((header, commands))
}

/// The entries of `row` as stored.
fn stored(
    row: &Row,
    header: &FrameHeader,
    commands: &Bytes,
    segment: SegmentNumber,
) -> Option<Vec<StoredEntry>> {
    let payload_section = header.offset + header.payload_start() as u64;
    let parsed = frame::parse_entries(row, commands)?;
    let store = |entry: ParsedEntry| StoredEntry {
        index: entry.index,
        term: entry.term,
        kind: entry.kind,
        command: entry.command,
        payload: Extent {
            segment,
            offset: payload_section + u64::from(entry.payload_start),
            len_bytes: entry.payload_bytes,
        },
    };
    Some(parsed.into_iter().map(store).collect())
}

/// The entries of `run` that still count.
pub(crate) fn read_run_of<D: Disk>(
    disk: &D,
    file: FileId,
    run: &EntryRun,
    config: &WalConfig,
) -> Result<Vec<StoredEntry>, WalError> {
    let Extent { segment, offset, .. } = run.frame;
    let (header, commands) = read_commands(disk, file, segment, offset, config)?;
    entries_of(run, &header, &commands)
}

/// The entries of `run` in its frame.
pub(crate) fn entries_of(
    run: &EntryRun,
    header: &FrameHeader,
    commands: &Bytes,
) -> Result<Vec<StoredEntry>, WalError> {
    let Extent { segment, offset, .. } = run.frame;
    // A later row of the same frame overwrites an earlier one, so the last that has the run counts.
    let row = header.rows.iter().rev().find(|row| {
        row.kind == RowKind::Entries
            && row.shard == run.shard
            && row.first <= run.first
            && run.last <= row.last
    });
    let damaged = |what: &str| WalError::Damaged { segment, offset, what: what.to_owned() };
    let row = row.ok_or_else(|| damaged("the run is not in this frame's directory"))?;
    let mut entries =
        stored(row, header, commands, segment).ok_or_else(|| damaged("entries in commands"))?;
    entries.retain(|entry| run.first <= entry.index && entry.index <= run.last);
    Ok(entries)
}

impl<D: Disk> Wal<D> {
    pub(crate) fn file_at(&self, segment: SegmentNumber) -> Result<FileId, WalError> {
        self.file_of(segment).ok_or(WalError::NoSuchSegment { segment })
    }

    /// The entries of a run: commands and the place of their payload. Blocks.
    ///
    /// # Errors
    /// [`WalError::Damaged`] when a checksum does not match, [`WalError::NoSuchSegment`] when the
    /// segment is gone, [`WalError::Disk`] when the device cannot read.
    pub fn read_run(&self, run: &EntryRun) -> Result<Vec<StoredEntry>, WalError> {
        let file = self.file_at(run.frame.segment)?;
        read_run_of(&self.disk, file, run, &self.config)
    }

    /// Starts reading the bytes of `extent`; they come as [`WalEvent::Read`] with `token`.
    pub fn start_read(&mut self, extent: Extent, token: u64) {
        let file = match self.file_at(extent.segment) {
            Ok(file) => file,
            Err(error) => {
                self.refused_reads.push((token, error));
                return;
            }
        };
        let (start, len) = widen(extent.offset, (extent.len_bytes as usize).max(1));
        let skip = (extent.offset - start) as usize;
        let read = PendingRead {
            token,
            segment: extent.segment,
            skip,
            len_bytes: extent.len_bytes as usize,
        };
        let request = self.request(Request::Read(read));
        self.disk.submit_read(file, start, len, request);
        self.disk.flush_submissions();
    }

    /// The bytes of `extent`. Blocks.
    ///
    /// # Errors
    /// As [`Wal::read_run`], but nothing is verified here.
    pub fn read_payload(&self, extent: Extent) -> Result<Bytes, WalError> {
        let file = self.file_at(extent.segment)?;
        Ok(read_bytes(&self.disk, file, extent.offset, extent.len_bytes as usize)?)
    }

    /// The name of a segment's file, for helpers that read it beside the lane.
    #[must_use]
    pub fn file_name_of(&self, segment: SegmentNumber) -> Option<String> {
        let slot = self.segments.get(&segment)?.slot;
        Some(segment_name(self.config.lane, slot))
    }

    /// The batches a sealed segment holds, by partition and offset; `None` while it has no seal.
    /// Blocks.
    ///
    /// # Errors
    /// [`WalError::Damaged`] when the seal's checksum does not match; else as `read_run`.
    pub fn read_seal(&self, segment: SegmentNumber) -> Result<Option<Vec<SealedBatch>>, WalError> {
        let file = self.file_at(segment)?;
        if !self.segments[&segment].sealed {
            return Ok(None);
        }
        match read_seal_of(&self.disk, file, segment, &self.config)? {
            Some((_, index)) => Ok(Some(index.batches)),
            None => Err(WalError::Damaged {
                segment,
                offset: self.config.segment_bytes - TRAILER_BYTES,
                what: "seal".to_owned(),
            }),
        }
    }
}

/// The seal of a segment if it has a whole one of its own.
pub(crate) fn read_seal_of<D: Disk>(
    disk: &D,
    file: FileId,
    segment: SegmentNumber,
    config: &WalConfig,
) -> Result<Option<(Trailer, SealIndex)>, DiskError> {
    let at = config.segment_bytes - TRAILER_BYTES;
    let block = disk.read(file, at, TRAILER_BYTES as usize)?;
    let Ok(trailer) = Trailer::decode(&block, config) else { return Ok(None) };
    if trailer.segment != segment {
        return Ok(None);
    }
    let index = read_bytes(disk, file, trailer.index_offset, trailer.index_bytes as usize)?;
    Ok(SealIndex::decode(&index, &trailer).ok().map(|index| (trailer, index)))
}
