//! Looking inside a stored batch: whole records for those who need keys and values, timestamps
//! alone for ListOffsets.
//!
//! Timestamps are found by the streaming walk, which holds 8 KiB. [`OpenBatch`] inflates the
//! whole batch first, because it hands out slices of it; that costs at most
//! [`Limits::inflated_bytes_max`] and grows with what came out, not with what was claimed.
//!
//! Invariant: [`OpenBatch::open`] has walked every record, so its iterator cannot fail.
//!
//! Stored batches may have gaps in their offsets (compaction leaves them); a producer's may not,
//! which `validate` checks.

use std::borrow::Cow;

use crate::error::BatchError;
use crate::header::{BatchHeader, Codec, HEADER_BYTES, TimestampType};
use crate::inflate::{Inflated, Limits};
use crate::varint::VarintReader;
use crate::walk::{Deltas, walk};

/// A batch whose records can be read.
pub struct OpenBatch<'a> {
    header: BatchHeader,
    /// Every record, plain; walked once without complaint.
    body: Cow<'a, [u8]>,
}

/// One record; its slices point into the [`OpenBatch`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Record<'a> {
    /// Its place in the partition.
    pub offset: i64,
    /// Its time, or the batch's under LogAppendTime.
    pub timestamp_ms: i64,
    /// `None` if it has none.
    pub key: Option<&'a [u8]>,
    /// `None` for a tombstone.
    pub value: Option<&'a [u8]>,
    /// Its headers, read on demand.
    pub headers: Headers<'a>,
}

/// One header of a record.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Header<'a> {
    /// UTF-8 by Kafka's rules; not checked here.
    pub key: &'a [u8],
    /// `None` if it has none.
    pub value: Option<&'a [u8]>,
}

impl<'a> OpenBatch<'a> {
    /// Inflates where needed and walks every record. `batch` is one batch; bytes after it are
    /// ignored.
    ///
    /// # Errors
    /// When the batch is cut short, or a record does not add up, or it inflates past the limits.
    pub fn open(batch: &'a [u8], limits: &Limits) -> Result<OpenBatch<'a>, BatchError> {
        let (header, body) = split(batch)?;
        let codec = header.codec().ok_or(BatchError::UnknownCodec { id: header.codec_id() })?;
        let body = if codec == Codec::None {
            Cow::Borrowed(body)
        } else {
            Cow::Owned(Inflated::open(codec, body, limits)?.read_to_end()?)
        };
        let plain = BatchHeader { attributes: header.attributes & !0x07, ..header };
        walk(&plain, &body, limits, Deltas::Growing, |_| true)?;
        Ok(OpenBatch { header, body })
    }

    /// The header's numbers.
    #[must_use]
    pub fn header(&self) -> &BatchHeader {
        &self.header
    }

    /// The records in offset order.
    #[must_use]
    pub fn records(&self) -> Records<'_> {
        Records {
            header: &self.header,
            fields: Fields { rest: &self.body },
            left: self.header.records_count,
        }
    }
}

/// The records of a batch.
pub struct Records<'a> {
    header: &'a BatchHeader,
    fields: Fields<'a>,
    left: i32,
}

impl<'a> Iterator for Records<'a> {
    type Item = Record<'a>;

    fn next(&mut self) -> Option<Record<'a>> {
        if self.left <= 0 {
            return None;
        }
        self.left -= 1;
        let length = self.fields.varint()?;
        let mut fields = Fields { rest: self.fields.take(length)? };
        fields.take(1)?;
        let timestamp_delta = fields.varint()?;
        let offset_delta = fields.varint()?;
        let key = fields.nullable()?;
        let value = fields.nullable()?;
        let count = fields.varint()?;
        let timestamp_ms = match self.header.timestamp_type() {
            TimestampType::CreateTime => {
                self.header.base_timestamp_ms.wrapping_add(timestamp_delta)
            }
            TimestampType::LogAppendTime => self.header.max_timestamp_ms,
        };
        Some(Record {
            offset: self.header.base_offset.saturating_add(offset_delta),
            timestamp_ms,
            key,
            value,
            headers: Headers { fields, left: count },
        })
    }
}

/// The headers of a record.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Headers<'a> {
    fields: Fields<'a>,
    left: i64,
}

impl<'a> Iterator for Headers<'a> {
    type Item = Header<'a>;

    fn next(&mut self) -> Option<Header<'a>> {
        if self.left <= 0 {
            return None;
        }
        self.left -= 1;
        Some(Header { key: self.fields.nullable()??, value: self.fields.nullable()? })
    }
}

/// Takes fields off the front of bytes that were walked before; `None` cannot happen then, and
/// ends the iteration rather than the process if it does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Fields<'a> {
    rest: &'a [u8],
}

impl<'a> Fields<'a> {
    fn varint(&mut self) -> Option<i64> {
        let mut reader = VarintReader::default();
        loop {
            let (byte, rest) = self.rest.split_first()?;
            self.rest = rest;
            if let Some(value) = reader.push(*byte).ok()? {
                return Some(value);
            }
        }
    }

    fn take(&mut self, length: i64) -> Option<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(usize::try_from(length).ok()?)?;
        self.rest = rest;
        Some(taken)
    }

    fn nullable(&mut self) -> Option<Option<&'a [u8]>> {
        match self.varint()? {
            -1 => Some(None),
            length => Some(Some(self.take(length)?)),
        }
    }
}

/// The first record at or after `timestamp_ms`: its offset and timestamp.
///
/// # Errors
/// As [`OpenBatch::open`], for the records up to the answer.
pub fn find_by_timestamp(
    batch: &[u8],
    timestamp_ms: i64,
    limits: &Limits,
) -> Result<Option<(i64, i64)>, BatchError> {
    let (header, body) = split(batch)?;
    let mut found = None;
    walk(&header, body, limits, Deltas::Growing, |record| {
        if record.timestamp_ms < timestamp_ms {
            return true;
        }
        let offset = header.base_offset.saturating_add(i64::from(record.offset_delta));
        found = Some((offset, record.timestamp_ms));
        false
    })?;
    Ok(found)
}

/// The first record that has the batch's largest timestamp: its offset and timestamp. `None` for
/// a batch that compaction emptied.
///
/// # Errors
/// As [`OpenBatch::open`].
pub fn max_timestamp_record(
    batch: &[u8],
    limits: &Limits,
) -> Result<Option<(i64, i64)>, BatchError> {
    let (header, body) = split(batch)?;
    let summary = walk(&header, body, limits, Deltas::Growing, |_| true)?;
    if header.records_count <= 0 {
        return Ok(None);
    }
    let delta = i64::from(summary.max_timestamp_offset_delta);
    Ok(Some((header.base_offset.saturating_add(delta), summary.max_timestamp_ms)))
}

fn split(batch: &[u8]) -> Result<(BatchHeader, &[u8]), BatchError> {
    let header = BatchHeader::parse(batch)?;
    let need = header.total_len_bytes();
    if need < HEADER_BYTES {
        return Err(BatchError::LengthTooSmall { batch_length: header.batch_length });
    }
    match batch.get(HEADER_BYTES..need) {
        Some(body) => Ok((header, body)),
        None => Err(BatchError::Truncated { have: batch.len(), need }),
    }
}
