//! Reading the log: the chain of segments, sealed ones by their index, the others frame by frame,
//! with the table's verdict at every bad place.

use std::collections::BTreeMap;

use bytes::Bytes;
use holdfast_base::{Index, ShardId};
use holdfast_io::{Disk, DiskError, FileId};

use super::replay::{DamageReason, Replay};
use super::scan::{self, Expect, FileReader, Judged, Survey};
use super::{Cut, Facts, Place, Verdict, VerdictRow, decide};
use crate::config::WalConfig;
use crate::error::WalError;
use crate::format::frame::{FrameHeader, RowKind, parse_entries};
use crate::format::seal::{Run, SealIndex, Trailer};
use crate::format::segment::SegmentHeader;
use crate::format::{DATA_START, TRAILER_BYTES, segment_name, superblock_name};
use crate::item::{Extent, FrameNumber, SegmentNumber};
use crate::read::read_seal_of;
use crate::wal::Tail;

use super::files::Found;

/// The log as read.
pub(super) struct Log {
    pub(super) replay: Replay,
    pub(super) tail: Tail,
    /// The last frame that counts.
    pub(super) last_frame: FrameNumber,
    /// Segments of the log, in order, and whether they have a seal.
    pub(super) chain: Vec<(SegmentNumber, bool)>,
    /// Seals to write: undamaged segments that have none and are not open.
    pub(super) unsealed: Vec<(SealIndex, Trailer)>,
    pub(super) cut: Option<Cut>,
    /// The open segment goes on as it is.
    pub(super) goes_on: bool,
}

/// Follows the newest segment's header back to the oldest one it needs. A file in that range holds
/// its segment still: only an older one is overwritten, and its new header names a later oldest.
fn chain_of(config: &WalConfig, found: &Found) -> Result<Vec<SegmentNumber>, WalError> {
    let missing = |number: SegmentNumber| WalError::LaneFailed {
        file: superblock_name(config.lane),
        why: format!("segment {} of the log is missing", number.0),
    };
    let mut chain = Vec::new();
    let newest = found.headers.last_key_value().ok_or_else(|| missing(SegmentNumber(1)))?;
    let (mut next, oldest) = (*newest.0, newest.1.oldest);
    while next.0 != 0 && next >= oldest {
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

pub(super) fn read_log<D: Disk>(
    disk: &D,
    config: &WalConfig,
    found: &Found,
    verdicts: &mut Vec<VerdictRow>,
) -> Result<Log, WalError> {
    let chain = chain_of(config, found)?;
    let first = &found.headers[&chain[0]];
    let newest = &found.headers[&chain[chain.len() - 1]];
    let mut log = Log {
        replay: Replay::trimmed_as(newest),
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
        let mut newest = BTreeMap::new();
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
                take_frame(log, &mut newest, &header, &commands);
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

/// A valid frame: replicas, then the index of the segment it lies in. `newest` is the last index of
/// each shard in that segment so far: no batch in the index is beyond it.
fn take_frame(
    log: &mut Log,
    newest: &mut BTreeMap<ShardId, Index>,
    header: &FrameHeader,
    commands: &Bytes,
) {
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
        let known = newest.entry(row.shard).or_default();
        if header.carried {
            *known = row.last.max(*known);
        } else {
            // Truncating looks at every batch of the segment: only where there is something to.
            if row.first <= *known {
                log.tail.index.truncate(row.shard, row.first);
            }
            *known = row.last;
        }
        let payload_section = header.offset + header.payload_start() as u64;
        for entry in parse_entries(row, commands).unwrap_or_default() {
            log.tail.index.push_parsed(row.shard, payload_section, &entry);
        }
    }
}
