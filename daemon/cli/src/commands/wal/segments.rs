//! The segment files of a log, by `storage/FORMAT.md`: which number a file holds now, and whether
//! it is sealed.
//!
//! ```text
//! 0          64 KiB       128 KiB                          end − 4 KiB
//! | header A | header B   | frames ...  | zeros | index ... | trailer |
//! ```
//!
//! A second reading beside recovery's: it says what each file claims, whatever follows from it.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::Path;

use serde_json::{Value, json};

use super::directory::Identity;
use crate::errors::{CliError, Result};
use crate::output::{Table, size};

const COPY_BYTES: u64 = 65_536;
const BLOCK_BYTES: u64 = 4096;
const DATA_START: u64 = 2 * COPY_BYTES;
const STAMP_BYTES: usize = 64;
const CHECKSUM_AT: usize = 60;

/// What a file says of itself.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Segment {
    pub(super) file: String,
    len_bytes: u64,
    /// How many of the two headers are whole.
    headers: u8,
    /// `None`: no header, a spare.
    opened: Option<Header>,
    sealed: Option<Trailer>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Header {
    number: u64,
    boot: u64,
    first_frame: u64,
    previous: u64,
    durable: u64,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Trailer {
    end: u64,
    batches: u32,
}

/// Files in the order of the log; spares last.
pub(super) fn survey(lane: &Path, identity: &Identity) -> Result<Vec<Segment>> {
    let failed = |error: std::io::Error| {
        CliError::failed(format!("{} cannot be read", lane.display()), error.to_string())
    };
    let mut segments = Vec::new();
    for entry in fs::read_dir(lane).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.contains(".segment-") && !name.ends_with(".creating") {
            let file = File::open(entry.path()).map_err(failed)?;
            let len_bytes = file.metadata().map_err(failed)?.len();
            // What cannot be read is told as not there: recovery says what follows from it.
            let read = |at: u64, bytes: u64| {
                let mut buffer = vec![0; usize::try_from(bytes).unwrap_or(0)];
                file.read_exact_at(&mut buffer, at).ok().map(|()| buffer)
            };
            segments.push(segment(name, len_bytes, identity, read));
        }
    }
    segments.sort_by(|a, b| {
        let order = |segment: &Segment| segment.opened.map_or(u64::MAX, |header| header.number);
        order(a).cmp(&order(b)).then_with(|| a.file.cmp(&b.file))
    });
    Ok(segments)
}

fn segment(
    file: String,
    len_bytes: u64,
    identity: &Identity,
    read: impl Fn(u64, u64) -> Option<Vec<u8>>,
) -> Segment {
    let header = |at| {
        let bytes = read(at, COPY_BYTES)?;
        let ours = is_whole(&bytes, b"HFWALSEG") && bytes[16..32] == identity.cluster.0;
        ours.then(|| Header {
            number: u64_at(&bytes, 40),
            boot: u64_at(&bytes, 48),
            first_frame: u64_at(&bytes, 72),
            durable: u64_at(&bytes, 88),
            previous: u64_at(&bytes, 96),
        })
    };
    let copies = [header(0), header(COPY_BYTES)];
    let opened = copies.into_iter().flatten().next();
    let sealed = opened.and_then(|header| {
        let bytes = read(len_bytes.checked_sub(BLOCK_BYTES)?, BLOCK_BYTES)?;
        let ours = is_whole(&bytes, b"HFWALEND") && u64_at(&bytes, 40) == header.number;
        ours.then(|| Trailer { end: u64_at(&bytes, 80), batches: u32_at(&bytes, 116) })
    });
    let headers = u8::from(copies[0].is_some()) + u8::from(copies[1].is_some());
    Segment { file, len_bytes, headers, opened, sealed }
}

impl Segment {
    fn state(&self) -> &'static str {
        match (self.opened, self.sealed) {
            (None, _) => "spare",
            (Some(_), Some(_)) => "sealed",
            (Some(_), None) => "open",
        }
    }

    pub(super) fn json(&self) -> Value {
        json!({
            "file": self.file,
            "len_bytes": self.len_bytes,
            "state": self.state(),
            "whole_headers": self.headers,
            "segment": self.opened.map(|header| header.number),
            "boot": self.opened.map(|header| header.boot),
            "first_frame": self.opened.map(|header| header.first_frame),
            "durable_when_opened": self.opened.map(|header| header.durable),
            "previous": self.opened.map(|header| header.previous),
            "used_bytes": self.sealed.map(|trailer| trailer.end.saturating_sub(DATA_START)),
            "batches": self.sealed.map(|trailer| trailer.batches),
        })
    }
}

pub(super) fn table(segments: &[Segment]) -> Table {
    let mut table = Table::new(&[
        "FILE",
        "STATE",
        ">SEGMENT",
        ">BOOT",
        ">PREVIOUS",
        ">FIRST FRAME",
        ">USED",
        ">BATCHES",
        ">HEADERS",
    ]);
    for segment in segments {
        let number =
            |value: Option<u64>| value.map_or_else(|| "-".to_owned(), |value| value.to_string());
        table.row([
            segment.file.clone(),
            segment.state().to_owned(),
            number(segment.opened.map(|header| header.number)),
            number(segment.opened.map(|header| header.boot)),
            number(segment.opened.map(|header| header.previous)),
            number(segment.opened.map(|header| header.first_frame)),
            segment.sealed.map_or_else(
                || "-".to_owned(),
                |trailer| size(trailer.end.saturating_sub(DATA_START) as f64),
            ),
            number(segment.sealed.map(|trailer| u64::from(trailer.batches))),
            format!("{}/2", segment.headers),
        ]);
    }
    table
}

/// Magic, version 1, and the checksum over `length` bytes but its own.
fn is_whole(bytes: &[u8], magic: &[u8; 8]) -> bool {
    if bytes.len() < STAMP_BYTES || !bytes.starts_with(magic) || bytes[8..10] != [1, 0] {
        return false;
    }
    let length = u32_at(bytes, 56) as usize;
    if length < STAMP_BYTES || length > bytes.len() {
        return false;
    }
    let head = crc32c::crc32c(&bytes[..CHECKSUM_AT]);
    crc32c::crc32c_append(head, &bytes[STAMP_BYTES..length]) == u32_at(bytes, CHECKSUM_AT)
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"))
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes"))
}
