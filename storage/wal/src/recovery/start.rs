//! The steps of a start: superblock, segment headers, the chain of segments, their frames, then
//! what must be durable before anything is served.
//!
//! Order of writes, each flushed: superblock with the new boot count (so it is never used twice),
//! repaired headers, the new segment if one is opened (its header records a cut), zeros behind the
//! frames of what it closed, and seals. A crash between any two leaves a directory that gives the same answer again.

use std::collections::BTreeMap;

use bytes::Bytes;
use holdfast_base::{BootCount, Index};
use holdfast_io::{AlignedBuf, Disk, DiskError, FileId};

use super::replay::{Replay, Replaying};
use super::scan::{FileReader, first_frame_of, is_zero};
use super::{Recovered, RecoveredReplica};
use crate::config::WalConfig;
use crate::erase::ZEROS_BYTES;
use crate::error::WalError;
use crate::format::seal::SealIndex;
use crate::format::segment::{ReplicaRow, SegmentHeader};
use crate::format::superblock::{self, Superblock};
use crate::format::{DATA_START, HEADER_COPY_BYTES, segment_name, superblock_name};
use crate::item::{FrameNumber, HardState, Identity, SegmentNumber};
use crate::read::read_run_of;
use crate::space::Space;
use crate::status::Counters;
use crate::wal::{ReplicaLast, Segment, Start, Wal};

use super::files::{Found, survey_files};
use super::log::{Log, read_log};

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
            oldest: SegmentNumber(1),
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
        write_seals(&mut disk, &config, &found, &mut log, &mut start, &mut space)?;
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
    let goes_on = |number: SegmentNumber| log.goes_on && number == log.tail.segment;
    for (place, (number, sealed)) in log.chain.iter().enumerate() {
        let slot = found.headers[number].slot;
        let next = log.chain.get(place + 1).map(|(next, _)| &found.headers[next]);
        let closing = next.map(|next| ReplicaLast::all(next.replicas.iter()));
        let segment = Segment { slot, header_durable: true, sealed: *sealed, closing };
        segments.insert(*number, segment);
    }
    let used: BTreeMap<u32, SegmentNumber> =
        segments.iter().map(|(number, segment)| (segment.slot, *number)).collect();
    let newest = found.headers.keys().next_back().copied().unwrap_or_default();
    let last_of: BTreeMap<u32, SegmentNumber> =
        found.headers.iter().map(|(number, header)| (header.slot, *number)).collect();
    for (slot, file) in &found.files {
        space.add(*slot, *file, !used.contains_key(slot));
        match used.get(slot) {
            // Sealed: older bytes were overwritten. Open and going on: nothing but zeros is behind.
            Some(number) if segments[number].sealed || goes_on(*number) => {}
            Some(number) => space.holds_residue(*slot, SegmentNumber(number.0 - 1)),
            None if found.blank.contains(slot) => {}
            None => space.holds_residue(*slot, last_of.get(slot).copied().unwrap_or(newest)),
        }
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
        oldest: start.segments.keys().next().copied().unwrap_or(number),
        in_flight_bytes_max: config.in_flight_bytes_max,
        chain: log.tail.chain,
        replicas: start.replicas.values().cloned().collect(),
        tombstones: start.tombstones.iter().copied().collect(),
    };
    let file = space.file(slot).expect("taken from the spares or just created");
    write_header(disk, file, &header.encode(config))?;
    if let Some(closed) = start.segments.get_mut(&previous) {
        closed.closing = Some(ReplicaLast::all(start.replicas.values()));
    }
    let opened = Segment { slot, header_durable: true, sealed: false, closing: None };
    start.segments.insert(number, opened);
    start.tail.segment = number;
    start.tail.offset = DATA_START;
    start.tail.first_frame = header.first_frame;
    start.tail.index = SealIndex::default();
    Ok(())
}

/// Seals what is closed and whole, so that the next start need not read it, and overwrites what lies
/// behind its frames: a torn frame, or an older segment.
fn write_seals<D: Disk>(
    disk: &mut D,
    config: &WalConfig,
    found: &Found,
    log: &mut Log,
    start: &mut Start,
    space: &mut Space,
) -> Result<(), WalError> {
    for (index, trailer) in log.unsealed.drain(..) {
        let file = found.files[&trailer.slot];
        let (offset, bytes) = index.encode(config, trailer);
        write_zeros(disk, file, trailer.end_offset, offset)?;
        disk.write(file, offset, bytes)?;
        if let Some(segment) = start.segments.get_mut(&trailer.segment) {
            segment.sealed = true;
            space.erased(segment.slot);
        }
    }
    Ok(())
}

/// Overwrites `from..end` where it is not zeros.
fn write_zeros<D: Disk>(disk: &mut D, file: FileId, from: u64, end: u64) -> Result<(), DiskError> {
    let mut reader = FileReader::new(disk, file, end);
    let mut not_zeros = Vec::new();
    let mut at = from;
    while at < end {
        let len_bytes = (end - at).min(ZEROS_BYTES);
        if !is_zero(&reader.bytes(at, len_bytes)?) {
            not_zeros.push((at, len_bytes as usize));
        }
        at += len_bytes;
    }
    for (at, len_bytes) in not_zeros {
        let mut zeros = AlignedBuf::unpooled(len_bytes);
        zeros.reserve_zeroed(len_bytes);
        disk.write(file, at, zeros.freeze())?;
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
