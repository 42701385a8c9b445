//! What the files of a directory say before any frame is read: superblock and segment headers,
//! each from the copy that is whole.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use holdfast_base::BootCount;
use holdfast_io::{Disk, DiskError, FileId};

use super::scan::{self, FileReader};
use super::{Facts, Place, Verdict, VerdictRow, decide};
use crate::config::WalConfig;
use crate::error::WalError;
use crate::format::segment::SegmentHeader;
use crate::format::superblock::{self, Superblock};
use crate::format::{
    DATA_START, FORMAT_VERSION, HEADER_COPY_BYTES, NotOurs, slot_of, superblock_name,
};
use crate::item::SegmentNumber;

/// What the files say before any frame is read.
pub(super) struct Found {
    pub(super) superblock: FileId,
    pub(super) boot: BootCount,
    /// Valid headers by number; the newest chain is chosen from these.
    pub(super) headers: BTreeMap<SegmentNumber, SegmentHeader>,
    /// Every segment file of the right size.
    pub(super) files: BTreeMap<u32, FileId>,
    /// Files with zeros where a header lies.
    pub(super) blank: BTreeSet<u32>,
    /// Headers to write again from their other copy.
    pub(super) repairs: Vec<(FileId, Bytes)>,
}

/// One copy of a structure.
enum Copy<T> {
    Valid(T),
    Zeros,
    Bad(NotOurs),
}

pub(super) fn survey_files<D: Disk>(
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
        blank: BTreeSet::new(),
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
            Copy::Zeros => {
                found.blank.insert(slot);
            }
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
