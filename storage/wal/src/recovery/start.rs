//! The steps of a start: superblock, segment headers, the chain of segments, their frames, then
//! what must be durable before anything is served.
//!
//! Order of writes, each flushed: superblock with the new boot count (so it is never used twice),
//! repaired headers, the new segment if one is opened (its header records a cut), seals of what
//! it closed. A crash between any two leaves a directory that gives the same answer again.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use holdfast_base::{BootCount, Index};
use holdfast_io::{Disk, DiskError, FileId};

use super::replay::{DamageReason, Replay, Replaying};
use super::scan::{self, Expect, FileReader, Judged, Survey, first_frame_of};
use super::{Cut, Facts, Place, Recovered, RecoveredReplica, Verdict, VerdictRow, decide};
use crate::config::WalConfig;
use crate::error::WalError;
use crate::format::frame::{FrameHeader, RowKind, parse_entries};
use crate::format::seal::{Run, SealIndex, Trailer};
use crate::format::segment::{ReplicaRow, SegmentHeader};
use crate::format::superblock::{self, Superblock};
use crate::format::{
    DATA_START, FORMAT_VERSION, HEADER_COPY_BYTES, NotOurs, TRAILER_BYTES, segment_name, slot_of,
    superblock_name,
};
use crate::item::{Extent, FrameNumber, HardState, Identity, SegmentNumber};
use crate::read::{read_run_of, read_seal_of};
use crate::space::Space;
use crate::status::Counters;
use crate::wal::{Segment, Start, Tail, Wal};

impl<D: Disk> Wal<D> {
    /// True if the directory holds no WAL.
    ///
    /// # Errors
    /// [`WalError::Foreign`] when segments lie there without a superblock, which is not how a
    /// format ends; [`WalError::Disk`].
    pub fn is_blank(disk: &D) -> Result<bool, WalError> {
        let files = disk.list()?;
        if files.iter().any(|(name, _)| name.starts_with("lane-") && name.ends_with(".superblock"))
        {
            return Ok(false);
        }
        // A format that was cut short leaves slot 1 and no superblock, which comes last.
        let left = files
            .iter()
            .find(|(name, _)| name.contains(".segment-") && !name.ends_with(".segment-00000001"));
        match left {
            None => Ok(true),
            Some((name, _)) => Err(WalError::Foreign {
                file: name.clone(),
                found: "a WAL whose superblock is missing".to_owned(),
                expected: "a blank directory or a whole WAL".to_owned(),
            }),
        }
    }

    /// Makes a new log that knows `replicas`. The superblock's file comes last, so that a format
    /// cut short is still blank.
    ///
    /// # Errors
    /// [`WalError::Config`], [`WalError::AlreadyFormatted`], [`WalError::Disk`].
    pub fn format(disk: &mut D, config: &WalConfig, replicas: &[Identity]) -> Result<(), WalError> {
        config.validate()?;
        let name = superblock_name(config.lane);
        if !Wal::is_blank(disk)? {
            return Err(WalError::AlreadyFormatted { file: name });
        }
        let header = SegmentHeader {
            number: SegmentNumber(1),
            slot: 1,
            boot: BootCount(0),
            after_cut: false,
            segment_bytes: config.segment_bytes,
            first_frame: FrameNumber(1),
            position: 0,
            durable: FrameNumber(0),
            previous: SegmentNumber(0),
            previous_end: 0,
            in_flight_bytes_max: config.in_flight_bytes_max,
            chain: 0,
            replicas: replicas.iter().cloned().map(ReplicaRow::new).collect(),
            tombstones: Vec::new(),
        };
        let file = disk.create(&segment_name(config.lane, 1), config.segment_bytes)?;
        write_header(disk, file, &header.encode(config))?;
        let file = disk.create(&name, superblock::FILE_BYTES)?;
        let block = Superblock { boot: BootCount(0), segment_bytes: config.segment_bytes };
        for copy in superblock::COPIES {
            disk.write(file, copy, block.encode(config))?;
        }
        Ok(())
    }

    /// Opens the log for writing: reads what is there, decides by the table in [`crate::recovery`]
    /// what of it counts, and makes the new boot count (and a cut, if there was one) durable.
    ///
    /// # Errors
    /// [`WalError::NotFormatted`], [`WalError::Foreign`], [`WalError::Version`],
    /// [`WalError::LaneFailed`], [`WalError::Config`], [`WalError::Disk`].
    pub fn recover(mut disk: D, config: WalConfig) -> Result<(Wal<D>, Recovered), WalError> {
        config.validate()?;
        let mut verdicts = Vec::new();
        let found = survey_files(&mut disk, &config, &mut verdicts)?;
        let boot = BootCount(found.boot.0 + 1);
        let mut log = read_log(&disk, &config, &found, &mut verdicts)?;
        fix_cut_terms(&disk, &config, &found, &mut log.replay)?;

        // From here on the directory changes.
        let block = Superblock { boot, segment_bytes: config.segment_bytes }.encode(&config);
        for copy in superblock::COPIES {
            disk.write(found.superblock, copy, block.clone())?;
        }
        for (file, copy) in &found.repairs {
            write_header(&mut disk, *file, copy)?;
        }
        let (segments, mut space) = settle_files(&config, &found, &log);
        let mut start = Start {
            boot,
            durable: log.last_frame,
            replicas: log.replay.replicas.iter().map(|(id, one)| (*id, one.row.clone())).collect(),
            tombstones: log.replay.tombstones.clone(),
            segments,
            space: Space::new(&config),
            tail: log.tail.clone(),
            counters: Counters::default(),
        };
        start.tail.next_frame = first_frame_of(boot);
        if !log.goes_on {
            open_next(&mut disk, &config, &found, &log, &mut start, &mut space)?;
        }
        write_seals(&mut disk, &config, &found, &mut log, &mut start)?;
        start.space = space;
        let recovered = Recovered {
            boot,
            replicas: hand_over(log.replay.replicas, &config),
            tombstones: log.replay.tombstones.into_iter().collect(),
            cut: log.cut,
            verdicts,
        };
        Ok((Wal::start(disk, config, start), recovered))
    }
}

/// Both copies of a segment header, one after the other.
fn write_header<D: Disk>(disk: &mut D, file: FileId, copy: &Bytes) -> Result<(), DiskError> {
    disk.write(file, 0, copy.clone())?;
    disk.write(file, HEADER_COPY_BYTES, copy.clone())
}

/// What the files say before any frame is read.
struct Found {
    superblock: FileId,
    boot: BootCount,
    /// Valid headers by number; the newest chain is chosen from these.
    headers: BTreeMap<SegmentNumber, SegmentHeader>,
    /// Every segment file of the right size.
    files: BTreeMap<u32, FileId>,
    /// Headers to write again from their other copy.
    repairs: Vec<(FileId, Bytes)>,
}

/// One copy of a structure.
enum Copy<T> {
    Valid(T),
    Zeros,
    Bad(NotOurs),
}

fn survey_files<D: Disk>(
    disk: &mut D,
    config: &WalConfig,
    verdicts: &mut Vec<VerdictRow>,
) -> Result<Found, WalError> {
    let names = disk.list()?;
    let superblock_name = superblock_name(config.lane);
    let Some((_, superblock_bytes)) = names.iter().find(|(name, _)| *name == superblock_name)
    else {
        let other = names.iter().find(|(name, _)| name.starts_with("lane-"));
        return Err(match other {
            None => WalError::NotFormatted,
            Some((name, _)) => WalError::Foreign {
                file: name.clone(),
                found: "another lane, or a WAL whose superblock is missing".to_owned(),
                expected: superblock_name,
            },
        });
    };
    let short = *superblock_bytes < superblock::FILE_BYTES;
    let superblock = disk.open(&superblock_name)?;
    let boot = if short {
        None
    } else {
        read_superblock(disk, config, superblock, &superblock_name, verdicts)?
    };

    let mut found = Found {
        superblock,
        boot: boot.unwrap_or_default(),
        headers: BTreeMap::new(),
        files: BTreeMap::new(),
        repairs: Vec::new(),
    };
    let mut headless = Vec::new();
    for (name, file_bytes) in &names {
        let Some(slot) = slot_of(config.lane, name) else { continue };
        if *file_bytes != config.segment_bytes {
            // A create that was cut short: never named by anything, made again when wanted.
            continue;
        }
        let file = disk.open(name)?;
        found.files.insert(slot, file);
        match read_segment_header(disk, config, file, slot, name, verdicts, &mut found.repairs)? {
            Copy::Valid(header) => {
                found.headers.insert(header.number, header);
            }
            Copy::Zeros => {}
            Copy::Bad(_) => headless.push((slot, file, name)),
        }
    }
    let newest = found.headers.keys().next_back().copied().unwrap_or_default();
    for (slot, file, name) in headless {
        let mut reader = FileReader::new(&*disk, file, config.segment_bytes);
        let lost = scan::unknown_segment(&mut reader, slot, newest, DATA_START, config)?;
        let facts = Facts {
            place: Place::SegmentHeader,
            other_copy_valid: false,
            unreadable: false,
            claimed: lost.is_some() || newest.0 == 0,
            beyond_window: false,
            zeros_behind: false,
        };
        let verdict = decide(&facts);
        verdicts.push(VerdictRow { file: name.clone(), offset: 0, facts, verdict });
        if verdict == Verdict::LaneFailed {
            return Err(WalError::LaneFailed {
                file: name.clone(),
                why: "both copies of the segment's header are damaged".to_owned(),
            });
        }
    }
    // A format cut short right before the superblock's bytes leaves a first segment without a
    // frame: nothing was ever written, so boot count 0 is the truth.
    let fresh = found.headers.len() == 1
        && found.headers.values().all(|header| header.boot.0 == 0 && header.number.0 == 1);
    if boot.is_none() && (!fresh || short || !has_no_frame(disk, config, &found)?) {
        return Err(WalError::LaneFailed {
            file: superblock_name,
            why: "both copies of the superblock are damaged".to_owned(),
        });
    }
    Ok(found)
}

fn has_no_frame<D: Disk>(disk: &D, config: &WalConfig, found: &Found) -> Result<bool, DiskError> {
    for (slot, file) in &found.files {
        let mut reader = FileReader::new(disk, *file, config.segment_bytes);
        let none = SegmentNumber(0);
        if scan::unknown_segment(&mut reader, *slot, none, DATA_START, config)?.is_some() {
            return Ok(false);
        }
    }
    Ok(true)
}

/// The boot count; `None` when both copies are zeros.
fn read_superblock<D: Disk>(
    disk: &D,
    config: &WalConfig,
    file: FileId,
    name: &str,
    verdicts: &mut Vec<VerdictRow>,
) -> Result<Option<BootCount>, WalError> {
    let mut copies = Vec::new();
    for offset in superblock::COPIES {
        let bytes = read_or_zeros(disk, file, offset, superblock::BYTES as u64)?;
        copies.push(match Superblock::decode(&bytes, config) {
            Ok(block) => Copy::Valid(block),
            Err(error) => {
                refuse_foreign(name, &error, config)?;
                if scan::is_zero(&bytes) { Copy::Zeros } else { Copy::Bad(error) }
            }
        });
    }
    let valid: Vec<Superblock> = copies
        .iter()
        .filter_map(|copy| if let Copy::Valid(block) = copy { Some(*block) } else { None })
        .collect();
    if valid.is_empty() {
        refuse_version(name, &copies)?;
    }
    if let Some(block) = valid.iter().find(|block| block.segment_bytes != config.segment_bytes) {
        return Err(WalError::Config {
            what: format!(
                "segments here have {} bytes, the configuration says {}: set it to match",
                block.segment_bytes, config.segment_bytes
            ),
        });
    }
    if copies.iter().all(|copy| matches!(copy, Copy::Zeros)) {
        return Ok(None);
    }
    for (copy, offset) in copies.iter().zip(superblock::COPIES) {
        if let Copy::Valid(_) = copy {
            continue;
        }
        let facts = Facts {
            place: Place::Superblock,
            other_copy_valid: !valid.is_empty(),
            unreadable: false,
            claimed: false,
            beyond_window: false,
            zeros_behind: false,
        };
        // Every start writes both copies, which is the repair.
        let verdict = decide(&facts);
        verdicts.push(VerdictRow { file: name.to_owned(), offset, facts, verdict });
        if verdict == Verdict::LaneFailed {
            return Err(WalError::LaneFailed {
                file: name.to_owned(),
                why: "both copies of the superblock are damaged".to_owned(),
            });
        }
    }
    Ok(valid.iter().map(|block| block.boot).max())
}

fn read_segment_header<D: Disk>(
    disk: &D,
    config: &WalConfig,
    file: FileId,
    slot: u32,
    name: &str,
    verdicts: &mut Vec<VerdictRow>,
    repairs: &mut Vec<(FileId, Bytes)>,
) -> Result<Copy<SegmentHeader>, WalError> {
    let mut copies = Vec::new();
    for offset in [0, HEADER_COPY_BYTES] {
        let bytes = read_or_zeros(disk, file, offset, HEADER_COPY_BYTES)?;
        let copy = match SegmentHeader::decode(&bytes, config) {
            Ok(header) if header.slot == slot => Copy::Valid(header),
            Ok(_) => Copy::Bad(NotOurs::Shape),
            Err(error) => {
                refuse_foreign(name, &error, config)?;
                if scan::is_zero(&bytes) { Copy::Zeros } else { Copy::Bad(error) }
            }
        };
        copies.push((offset, copy));
    }
    let newest = copies
        .iter()
        .filter_map(|(_, copy)| if let Copy::Valid(header) = copy { Some(header) } else { None })
        .max_by_key(|header| header.number)
        .cloned();
    let Some(newest) = newest else {
        let all_zeros = copies.iter().all(|(_, copy)| matches!(copy, Copy::Zeros));
        return Ok(if all_zeros { Copy::Zeros } else { Copy::Bad(NotOurs::Checksum) });
    };
    for (offset, copy) in copies {
        if matches!(&copy, Copy::Valid(header) if *header == newest) {
            continue;
        }
        let facts = Facts {
            place: Place::SegmentHeader,
            other_copy_valid: true,
            unreadable: false,
            claimed: false,
            beyond_window: false,
            zeros_behind: false,
        };
        let verdict = decide(&facts);
        verdicts.push(VerdictRow { file: name.to_owned(), offset, facts, verdict });
        repairs.push((file, newest.encode(config)));
    }
    Ok(Copy::Valid(newest))
}

fn refuse_foreign(name: &str, error: &NotOurs, config: &WalConfig) -> Result<(), WalError> {
    match error {
        NotOurs::Foreign(found) => Err(WalError::Foreign {
            file: name.to_owned(),
            found: found.clone(),
            expected: format!(
                "cluster {} node {} lane {}",
                config.cluster, config.node, config.lane
            ),
        }),
        NotOurs::Version(_) | NotOurs::Magic | NotOurs::Shape | NotOurs::Checksum => Ok(()),
    }
}

/// No copy is valid: if one claims a version of its own, that is the better explanation. With a
/// valid copy beside it, an odd version is damage like any other.
fn refuse_version<T>(name: &str, copies: &[Copy<T>]) -> Result<(), WalError> {
    let version = copies.iter().find_map(|copy| match copy {
        Copy::Bad(NotOurs::Version(found)) => Some(*found),
        Copy::Valid(_) | Copy::Zeros | Copy::Bad(_) => None,
    });
    match version {
        Some(found) => {
            Err(WalError::Version { file: name.to_owned(), found, supported: FORMAT_VERSION })
        }
        None => Ok(()),
    }
}

/// Whole blocks around `len_bytes` at `offset`; what the device cannot read is zeros, which no
/// structure is.
fn read_or_zeros<D: Disk>(
    disk: &D,
    file: FileId,
    offset: u64,
    len_bytes: u64,
) -> Result<Bytes, DiskError> {
    FileReader::new(disk, file, offset + crate::format::padded(len_bytes))
        .bytes(offset, crate::format::padded(len_bytes))
}

/// The log as read.
struct Log {
    replay: Replay,
    tail: Tail,
    /// The last frame that counts.
    last_frame: FrameNumber,
    /// Segments of the log, in order, and whether they have a seal.
    chain: Vec<(SegmentNumber, bool)>,
    /// Seals to write: undamaged segments that have none and are not open.
    unsealed: Vec<(SealIndex, Trailer)>,
    cut: Option<Cut>,
    /// The open segment goes on as it is.
    goes_on: bool,
}

/// Follows the newest segment's header back to the oldest segment still there.
fn chain_of(config: &WalConfig, found: &Found) -> Result<Vec<SegmentNumber>, WalError> {
    let missing = |number: SegmentNumber| WalError::LaneFailed {
        file: superblock_name(config.lane),
        why: format!("segment {} of the log is missing", number.0),
    };
    let mut chain = Vec::new();
    let mut next = *found.headers.keys().next_back().ok_or_else(|| missing(SegmentNumber(1)))?;
    while next.0 != 0 {
        let header = found.headers.get(&next).ok_or_else(|| missing(next))?;
        if header.previous >= next {
            return Err(missing(header.previous));
        }
        chain.push(next);
        next = header.previous;
    }
    chain.reverse();
    Ok(chain)
}

fn read_log<D: Disk>(
    disk: &D,
    config: &WalConfig,
    found: &Found,
    verdicts: &mut Vec<VerdictRow>,
) -> Result<Log, WalError> {
    let chain = chain_of(config, found)?;
    let first = &found.headers[&chain[0]];
    let mut log = Log {
        replay: Replay::default(),
        tail: Tail {
            segment: first.number,
            offset: DATA_START,
            next_frame: first.first_frame,
            position: first.position,
            chain: first.chain,
            previous_rows: Vec::new(),
            first_frame: first.first_frame,
            index: SealIndex::default(),
        },
        last_frame: FrameNumber(first.first_frame.0 - 1),
        chain: Vec::new(),
        unsealed: Vec::new(),
        cut: None,
        goes_on: false,
    };
    for (place, number) in chain.iter().enumerate() {
        let header = &found.headers[number];
        let next = chain.get(place + 1).map(|next| &found.headers[next]);
        log.replay.table(header);
        log.tail.segment = *number;
        log.tail.offset = DATA_START;
        log.tail.position = header.position;
        log.tail.chain = header.chain;
        log.tail.first_frame = header.first_frame;
        log.tail.index = SealIndex::default();
        let file = found.files[&header.slot];
        if let Some((trailer, index)) = read_seal_of(disk, file, *number, config)? {
            replay_seal(&mut log, &trailer, index);
            continue;
        }
        let scan = Scan { disk, config, found, header, next, file };
        if scan.run(&mut log, verdicts)? == Ended::Here {
            break;
        }
    }
    Ok(log)
}

/// A sealed segment: its runs, from the index; hard states come with the next table.
fn replay_seal(log: &mut Log, trailer: &Trailer, mut index: SealIndex) {
    index.runs.sort_by_key(|run| (run.frame_number, run.row.commands_start));
    for run in &index.runs {
        let frame = Extent {
            segment: trailer.segment,
            offset: run.frame_offset,
            len_bytes: run.frame_bytes,
        };
        log.replay.entries(&run.row, frame, run.carried);
    }
    log.last_frame = FrameNumber(trailer.next_frame.0 - 1);
    log.tail.offset = trailer.end_offset;
    log.tail.position = trailer.next_position;
    log.tail.chain = trailer.chain;
    log.tail.previous_rows.clear();
    log.chain.push((trailer.segment, true));
}

/// Whether the log continues behind a segment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Ended {
    Here,
    GoesOn,
}

/// An unsealed segment under the reader.
struct Scan<'a, D> {
    disk: &'a D,
    config: &'a WalConfig,
    found: &'a Found,
    header: &'a SegmentHeader,
    next: Option<&'a SegmentHeader>,
    file: FileId,
}

impl<D: Disk> Scan<'_, D> {
    fn run(&self, log: &mut Log, verdicts: &mut Vec<VerdictRow>) -> Result<Ended, WalError> {
        let config = self.config;
        let mut reader = FileReader::new(self.disk, self.file, config.segment_bytes);
        let last = config.segment_bytes - TRAILER_BYTES;
        let end = self.next.map(|next| next.previous_end);
        let limit = end.map_or(last, |end| end.clamp(DATA_START, last));
        let mut damaged = false;
        let mut survey = None;
        let mut expect = Expect {
            segment: self.header.number,
            slot: self.header.slot,
            offset: DATA_START,
            last_frame: log.last_frame,
            position: self.header.position,
            chain: Some(self.header.chain),
            boot: self.header.boot,
            boot_max: self.found.boot,
        };
        let ended = loop {
            if end == Some(expect.offset) {
                break Ended::GoesOn;
            }
            let judged = scan::judge(&mut reader, &expect, limit, config)?;
            if let Judged::Valid(header, commands) = judged {
                take_frame(log, &header, &commands);
                expect = expect.after(&header);
                continue;
            }
            if survey.is_none() {
                survey = Some(scan::survey(&mut reader, &expect, limit, config)?);
            }
            let survey = survey.as_ref().expect("taken just above");
            let frame_bytes = match &judged {
                Judged::BadPayload(header) | Judged::BadCommands(header) => {
                    u64::from(header.frame_bytes)
                }
                Judged::Valid(..) | Judged::BadHeader => holdfast_io::BLOCK_BYTES as u64,
            };
            let facts =
                self.facts(&reader, &expect, survey, frame_bytes.min(limit - expect.offset));
            let mut verdict = decide(&facts);
            if config.planted.crc_failure_is_end_of_log && verdict == Verdict::Corruption {
                verdict = Verdict::Torn;
            }
            if verdict != Verdict::End {
                verdicts.push(VerdictRow {
                    file: segment_name(config.lane, self.header.slot),
                    offset: expect.offset,
                    facts,
                    verdict,
                });
            }
            match verdict {
                Verdict::Corruption => {
                    damaged = true;
                    match self.behind(log, judged, &mut reader, limit, &expect)? {
                        Some(behind) => expect = behind,
                        None => {
                            break if self.next.is_some() { Ended::GoesOn } else { Ended::Here };
                        }
                    }
                }
                Verdict::End if self.next.is_none() => {
                    log.goes_on =
                        !damaged && self.header.in_flight_bytes_max == config.in_flight_bytes_max;
                    break Ended::Here;
                }
                _ => {
                    log.cut = Some(Cut {
                        segment: self.header.number,
                        offset: expect.offset,
                        last_frame: log.last_frame,
                    });
                    break Ended::Here;
                }
            }
        };
        log.tail.offset = expect.offset;
        log.tail.position = expect.position;
        log.tail.chain = expect.chain.unwrap_or_default();
        log.chain.push((self.header.number, false));
        if !damaged && !log.goes_on {
            let mut tail = log.tail.clone();
            tail.next_frame = FrameNumber(log.last_frame.0 + 1);
            let trailer = tail.trailer(self.header.slot, self.header.boot);
            log.unsealed.push((std::mem::take(&mut log.tail.index), trailer));
        }
        Ok(ended)
    }

    /// The evidence about the bad place at `expect`.
    fn facts(
        &self,
        reader: &FileReader<'_, D>,
        expect: &Expect,
        survey: &Survey,
        bad_bytes: u64,
    ) -> Facts {
        let window_end = expect.position + self.header.in_flight_bytes_max;
        // A header opened after a cut at or behind this place says so by `durable` as well.
        let next_claims = self
            .next
            .is_some_and(|next| next.durable > expect.last_frame || next.position > window_end);
        Facts {
            place: Place::OpenSegment,
            other_copy_valid: false,
            unreadable: reader.is_unreadable(expect.offset, bad_bytes),
            claimed: survey.durable > expect.last_frame || next_claims || self.later_claims(expect),
            beyond_window: survey.end_position > window_end,
            zeros_behind: survey.last_written.is_none_or(|last| last < expect.offset)
                && self.next.is_none(),
        }
    }

    /// Whether a segment opened after the next one, its seal, or a frame in any of them says that
    /// the bad place was durable.
    fn later_claims(&self, expect: &Expect) -> bool {
        self.found.headers.range(self.header.number..).skip(1).any(|(number, header)| {
            let file = self.found.files[&header.slot];
            let after = header.durable > expect.last_frame && header.previous >= self.header.number;
            let frames = || {
                let mut reader = FileReader::new(self.disk, file, self.config.segment_bytes);
                let start = Expect {
                    segment: *number,
                    slot: header.slot,
                    offset: DATA_START,
                    chain: None,
                    ..*expect
                };
                let limit = self.config.segment_bytes - TRAILER_BYTES;
                let first = scan::first_header(&mut reader, &start, limit, self.config);
                let rest = scan::survey(&mut reader, &start, limit, self.config);
                first.into_iter().flatten().any(|frame| frame.durable > expect.last_frame)
                    || rest.is_ok_and(|rest| rest.durable > expect.last_frame)
            };
            let sealed =
                || matches!(read_seal_of(self.disk, file, *number, self.config), Ok(Some(_)));
            after || sealed() || frames()
        })
    }

    /// Marks what a damaged frame held and says where the log goes on; `None` when it does not
    /// in this segment.
    fn behind(
        &self,
        log: &mut Log,
        judged: Judged,
        reader: &mut FileReader<'_, D>,
        limit: u64,
        expect: &Expect,
    ) -> Result<Option<Expect>, WalError> {
        let extent = |header: &FrameHeader| Extent {
            segment: header.segment,
            offset: header.offset,
            len_bytes: header.frame_bytes,
        };
        match judged {
            Judged::BadPayload(header) | Judged::BadCommands(header)
                if header.offset == expect.offset =>
            {
                let reason = match crc_of_commands(self.disk, self.file, &header)? {
                    true => DamageReason::Payload,
                    false => DamageReason::Commands,
                };
                log.replay.damaged_rows(&header.rows, Some(extent(&header)), reason);
                log.last_frame = header.number;
                log.tail.previous_rows.clone_from(&header.rows);
                Ok(Some(expect.after(&header)))
            }
            _ => {
                let Some(next) = scan::next_frame(reader, expect, limit, self.config)? else {
                    // Only what the next segment's first frame repeats is known.
                    match self.first_of_next(expect)? {
                        Some(first) if first.number.0 == expect.last_frame.0 + 2 => {
                            log.replay.damaged_rows(
                                &first.previous_rows,
                                None,
                                DamageReason::Header,
                            );
                        }
                        _ => log.replay.lost_frames(),
                    }
                    return Ok(None);
                };
                if next.number.0 == expect.last_frame.0 + 2 {
                    log.replay.damaged_rows(&next.previous_rows, None, DamageReason::Header);
                } else {
                    log.replay.lost_frames();
                }
                log.last_frame = FrameNumber(next.number.0 - 1);
                log.tail.previous_rows.clone_from(&next.previous_rows);
                Ok(Some(Expect {
                    offset: next.offset,
                    last_frame: FrameNumber(next.number.0 - 1),
                    position: next.position,
                    chain: None,
                    boot: next.boot,
                    ..*expect
                }))
            }
        }
    }

    fn first_of_next(&self, expect: &Expect) -> Result<Option<FrameHeader>, DiskError> {
        let Some(next) = self.next else { return Ok(None) };
        let file = self.found.files[&next.slot];
        let mut reader = FileReader::new(self.disk, file, self.config.segment_bytes);
        let start = Expect {
            segment: next.number,
            slot: next.slot,
            offset: DATA_START,
            chain: None,
            ..*expect
        };
        scan::first_header(
            &mut reader,
            &start,
            self.config.segment_bytes - TRAILER_BYTES,
            self.config,
        )
    }
}

/// Whether the commands of a frame with a valid header are whole.
fn crc_of_commands<D: Disk>(
    disk: &D,
    file: FileId,
    header: &FrameHeader,
) -> Result<bool, DiskError> {
    let at = header.offset + header.commands_start() as u64;
    let commands = crate::read::read_bytes(disk, file, at, header.commands_bytes as usize);
    Ok(commands.is_ok_and(|bytes| crc32c::crc32c(&bytes) == header.commands_crc))
}

/// A valid frame: replicas, then the index of the segment it lies in.
fn take_frame(log: &mut Log, header: &FrameHeader, commands: &Bytes) {
    log.replay.frame(header, commands);
    log.last_frame = header.number;
    log.tail.previous_rows.clone_from(&header.rows);
    for row in header.rows.iter().filter(|row| row.kind == RowKind::Entries) {
        log.tail.index.runs.push(Run {
            row: *row,
            frame_offset: header.offset,
            frame_number: header.number,
            frame_bytes: header.frame_bytes,
            carried: header.carried,
        });
        if !header.carried {
            log.tail.index.truncate(row.shard, row.first);
        }
        let payload_section = header.offset + header.payload_start() as u64;
        for entry in parse_entries(row, commands).unwrap_or_default() {
            log.tail.index.push_parsed(row.shard, payload_section, &entry);
        }
    }
}

/// The term of the last entry of every run whose end was overwritten.
fn fix_cut_terms<D: Disk>(
    disk: &D,
    config: &WalConfig,
    found: &Found,
    replay: &mut Replay,
) -> Result<(), WalError> {
    for replica in replay.replicas.values_mut() {
        let mut lost_from = None;
        for (run, cut) in &mut replica.runs {
            if !std::mem::take(cut) {
                continue;
            }
            let slot = found.headers[&run.frame.segment].slot;
            match read_run_of(disk, found.files[&slot], run, config) {
                Ok(entries) if !entries.is_empty() => {
                    run.last_term = entries[entries.len() - 1].term;
                }
                Ok(_) | Err(WalError::Damaged { .. }) => {
                    lost_from = Some((run.first, run.frame));
                    break;
                }
                Err(error) => return Err(error),
            }
        }
        if let Some((from, frame)) = lost_from {
            replica.lose(from, frame);
        }
    }
    Ok(())
}

/// Which files the log uses and which are free.
fn settle_files(
    config: &WalConfig,
    found: &Found,
    log: &Log,
) -> (BTreeMap<SegmentNumber, Segment>, Space) {
    let mut space = Space::new(config);
    let mut segments = BTreeMap::new();
    for (number, sealed) in &log.chain {
        let slot = found.headers[number].slot;
        segments.insert(*number, Segment { slot, header_durable: true, sealed: *sealed });
    }
    let used: BTreeSet<u32> = segments.values().map(|segment| segment.slot).collect();
    for (slot, file) in &found.files {
        space.add(*slot, *file, !used.contains(slot));
    }
    (segments, space)
}

/// Opens a segment behind the end of the log, blocking; its header records where that end is.
fn open_next<D: Disk>(
    disk: &mut D,
    config: &WalConfig,
    found: &Found,
    log: &Log,
    start: &mut Start,
    space: &mut Space,
) -> Result<(), WalError> {
    let newest = found.headers.keys().next_back().copied().unwrap_or_default();
    let number = SegmentNumber(newest.0 + 1);
    let slot = if space.spares() > 0 {
        space.take()
    } else {
        // The capacity is a budget for admission; a start goes over it before it refuses to read.
        let slot = space.fresh_slot();
        let file = disk.create(&segment_name(config.lane, slot), config.segment_bytes)?;
        space.add(slot, file, false);
        slot
    };
    let previous = log.tail.segment;
    let header = SegmentHeader {
        number,
        slot,
        boot: start.boot,
        after_cut: log.cut.is_some(),
        segment_bytes: config.segment_bytes,
        first_frame: first_frame_of(start.boot),
        position: log.tail.position,
        durable: log.last_frame,
        previous,
        previous_end: log.tail.offset,
        in_flight_bytes_max: config.in_flight_bytes_max,
        chain: log.tail.chain,
        replicas: start.replicas.values().cloned().collect(),
        tombstones: start.tombstones.iter().copied().collect(),
    };
    let file = space.file(slot).expect("taken from the spares or just created");
    write_header(disk, file, &header.encode(config))?;
    start.segments.insert(number, Segment { slot, header_durable: true, sealed: false });
    start.tail.segment = number;
    start.tail.offset = DATA_START;
    start.tail.first_frame = header.first_frame;
    start.tail.index = SealIndex::default();
    Ok(())
}

/// Seals what is closed and whole, so that the next start need not read it.
fn write_seals<D: Disk>(
    disk: &mut D,
    config: &WalConfig,
    found: &Found,
    log: &mut Log,
    start: &mut Start,
) -> Result<(), WalError> {
    for (index, trailer) in log.unsealed.drain(..) {
        let (offset, bytes) = index.encode(config, trailer);
        disk.write(found.files[&trailer.slot], offset, bytes)?;
        if let Some(segment) = start.segments.get_mut(&trailer.segment) {
            segment.sealed = true;
        }
    }
    Ok(())
}

fn hand_over(
    replicas: BTreeMap<holdfast_base::ShardId, Replaying>,
    config: &WalConfig,
) -> BTreeMap<holdfast_base::ShardId, RecoveredReplica> {
    replicas
        .into_iter()
        .map(|(shard, replaying)| {
            let mut hard_state: HardState = replaying.row.hard_state;
            if config.planted.vote_not_restored {
                hard_state.vote = Default::default();
            }
            let replica = RecoveredReplica {
                identity: replaying.row.identity,
                hard_state,
                trimmed: replaying.row.trimmed,
                trimmed_term: replaying.row.trimmed_term,
                runs: replaying.runs.into_iter().map(|(run, _)| run).collect(),
                damage: replaying.damage,
            };
            let mut next: Index = replica.trimmed.next();
            for run in &replica.runs {
                assert!(run.first == next && run.first <= run.last, "runs leave no hole");
                next = run.last.next();
            }
            (shard, replica)
        })
        .collect()
}
