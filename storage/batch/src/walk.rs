//! The one walk over records: every length, delta and count is compared with what is there.
//!
//! ```text
//! record   length        varint   bytes of the record after this field
//!          attributes    i8       unused
//!          timestamp Δ   varlong  to the batch's base timestamp
//!          offset Δ      varint   to the batch's base offset: i for record i
//!          key length    varint   -1 = no key
//!          key
//!          value length  varint   -1 = no value (a tombstone)
//!          value
//!          header count  varint
//!          header*       key length varint, key, value length varint (-1 = none), value
//! ```
//!
//! A record's own length is a budget: every field is taken out of it, and it must end at 0.
//! So no claim is believed further than the bytes that came. The walk reads from a slice or from
//! a decoder through an 8 KiB buffer; it allocates nothing else.

use crate::error::BatchError;
use crate::header::{BatchHeader, Codec, TimestampType};
use crate::inflate::{Inflated, Limits};
use crate::varint::VarintReader;

/// Room for decompressed bytes on their way; a trade between calls and cache.
const BUFFER_BYTES: usize = 8192;
/// A header is at least two lengths of one byte each.
const HEADER_BYTES_MIN: i64 = 2;

/// What a walk saw. Believe this before the header's claims.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct WalkSummary {
    /// Smallest record timestamp.
    pub min_timestamp_ms: i64,
    /// Largest record timestamp; the header's may be wrong, some clients leave it at -1.
    pub max_timestamp_ms: i64,
    /// Offset of the first record with that timestamp, less the base offset.
    pub max_timestamp_offset_delta: i32,
    /// Bytes of the records once decompressed.
    pub inflated_bytes: u64,
}

/// One record, as far as a walk without copying can tell.
#[derive(Clone, Copy)]
pub(crate) struct RecordFacts {
    pub(crate) offset_delta: i32,
    pub(crate) timestamp_ms: i64,
}

/// Whether offset deltas must be 0, 1, 2, ...
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Deltas {
    /// As a producer makes them.
    Dense,
    /// As compaction leaves them: growing, up to the last offset delta.
    Growing,
}

/// Walks all records of a batch whose header has been parsed. `see` may end the walk early by
/// returning `false`; then what follows is not checked.
pub(crate) fn walk(
    header: &BatchHeader,
    body: &[u8],
    limits: &Limits,
    deltas: Deltas,
    see: impl FnMut(RecordFacts) -> bool,
) -> Result<WalkSummary, BatchError> {
    let codec = header.codec().ok_or(BatchError::UnknownCodec { id: header.codec_id() })?;
    if codec == Codec::None {
        let source = SliceSource { rest: body };
        return Walk { header, limits, deltas, source, record: 0, left: 0 }.run(see);
    }
    let stream = Inflated::open(codec, body, limits)?;
    let source = StreamSource { stream, buffer: [0; BUFFER_BYTES], start: 0, end: 0 };
    Walk { header, limits, deltas, source, record: 0, left: 0 }.run(see)
}

/// Bytes in order. `None` means the end.
trait Source {
    fn byte(&mut self) -> Result<Option<u8>, BatchError>;
    /// False when fewer than `count` bytes were left.
    fn skip(&mut self, count: u64) -> Result<bool, BatchError>;
}

struct SliceSource<'a> {
    rest: &'a [u8],
}

impl Source for SliceSource<'_> {
    fn byte(&mut self) -> Result<Option<u8>, BatchError> {
        let Some((byte, rest)) = self.rest.split_first() else { return Ok(None) };
        self.rest = rest;
        Ok(Some(*byte))
    }

    fn skip(&mut self, count: u64) -> Result<bool, BatchError> {
        let after = usize::try_from(count).ok().and_then(|count| self.rest.get(count..));
        let Some(rest) = after else { return Ok(false) };
        self.rest = rest;
        Ok(true)
    }
}

struct StreamSource<'a> {
    stream: Inflated<'a>,
    buffer: [u8; BUFFER_BYTES],
    /// `start <= end <= BUFFER_BYTES`: what is in hand.
    start: usize,
    end: usize,
}

impl StreamSource<'_> {
    fn fill(&mut self) -> Result<bool, BatchError> {
        if self.start == self.end {
            self.start = 0;
            self.end = self.stream.read(&mut self.buffer)?;
        }
        Ok(self.start < self.end)
    }
}

impl Source for StreamSource<'_> {
    fn byte(&mut self) -> Result<Option<u8>, BatchError> {
        if !self.fill()? {
            return Ok(None);
        }
        let byte = self.buffer[self.start];
        self.start += 1;
        Ok(Some(byte))
    }

    fn skip(&mut self, count: u64) -> Result<bool, BatchError> {
        let mut left = count;
        while left > 0 {
            if !self.fill()? {
                return Ok(false);
            }
            let in_hand = self.end - self.start;
            let step = usize::try_from(left).unwrap_or(usize::MAX).min(in_hand);
            self.start += step;
            left -= step as u64;
        }
        Ok(true)
    }
}

struct Walk<'a, S> {
    header: &'a BatchHeader,
    limits: &'a Limits,
    deltas: Deltas,
    source: S,
    /// Which record is being read, from 0: for messages.
    record: i32,
    /// Bytes the current record still owns.
    left: i64,
}

impl<S: Source> Walk<'_, S> {
    fn run(mut self, mut see: impl FnMut(RecordFacts) -> bool) -> Result<WalkSummary, BatchError> {
        let mut summary = WalkSummary {
            min_timestamp_ms: i64::MAX,
            max_timestamp_ms: i64::MIN,
            max_timestamp_offset_delta: 0,
            inflated_bytes: 0,
        };
        let mut previous_delta = -1;
        for record in 0..self.header.records_count {
            self.record = record;
            let (facts, bytes) = self.one_record()?;
            let in_order = match self.deltas {
                Deltas::Dense => facts.offset_delta == record,
                Deltas::Growing => {
                    facts.offset_delta > previous_delta
                        && facts.offset_delta <= self.header.last_offset_delta
                }
            };
            if !in_order {
                return Err(self.wrong("its offset delta is out of order"));
            }
            previous_delta = facts.offset_delta;
            summary.inflated_bytes += bytes;
            summary.min_timestamp_ms = summary.min_timestamp_ms.min(facts.timestamp_ms);
            if facts.timestamp_ms > summary.max_timestamp_ms {
                summary.max_timestamp_ms = facts.timestamp_ms;
                summary.max_timestamp_offset_delta = facts.offset_delta;
            }
            if !see(facts) {
                return Ok(summary);
            }
        }
        match self.source.byte()? {
            None => Ok(summary),
            Some(_) => Err(BatchError::BytesAfterRecords { count: self.header.records_count }),
        }
    }

    /// The record and how many bytes it took.
    fn one_record(&mut self) -> Result<(RecordFacts, u64), BatchError> {
        // The length itself is outside the budget it sets: lend it the longest varint.
        self.left = 10;
        let length = self.varint("its length is cut short")?;
        let length_bytes = 10 - self.left;
        let length = i32::try_from(length)
            .ok()
            .filter(|length| *length > 0)
            .ok_or_else(|| self.wrong("its length is not a positive number of 32 bits"))?;
        self.left = i64::from(length);

        self.take_byte("it ends before its attributes")?;
        let timestamp_delta = self.varint("its timestamp delta is cut short")?;
        let offset_delta = self.varint("its offset delta is cut short")?;
        let offset_delta = i32::try_from(offset_delta)
            .map_err(|_| self.wrong("its offset delta is not a number of 32 bits"))?;
        let has_key = self.skip_nullable("its key length is not true")?;
        if self.limits.keys_required && !has_key {
            return Err(BatchError::MissingKey { record: self.record });
        }
        self.skip_nullable("its value length is not true")?;
        self.skip_headers()?;
        if self.left != 0 {
            return Err(self.wrong("its length is more than its fields"));
        }
        let facts = RecordFacts { offset_delta, timestamp_ms: self.timestamp(timestamp_delta)? };
        let bytes = i64::from(length) + length_bytes;
        Ok((facts, bytes.cast_unsigned()))
    }

    fn timestamp(&self, delta: i64) -> Result<i64, BatchError> {
        if self.header.timestamp_type() == TimestampType::LogAppendTime {
            return Ok(self.header.max_timestamp_ms);
        }
        let what = "base timestamp plus delta leaves 64 bits";
        self.header.base_timestamp_ms.checked_add(delta).ok_or(BatchError::WrongTimestamp { what })
    }

    fn skip_headers(&mut self) -> Result<(), BatchError> {
        let count = self.varint("its header count is cut short")?;
        if count < 0 || count > self.left / HEADER_BYTES_MIN {
            return Err(self.wrong("it claims more headers than it has bytes for"));
        }
        for _ in 0..count {
            if !self.skip_nullable("a header's key length is not true")? {
                return Err(self.wrong("a header has no key"));
            }
            self.skip_nullable("a header's value length is not true")?;
        }
        Ok(())
    }

    /// Steps over a length and its bytes; false for "none".
    fn skip_nullable(&mut self, what: &'static str) -> Result<bool, BatchError> {
        let length = self.varint(what)?;
        if length == -1 {
            return Ok(false);
        }
        if length < 0 || length > self.left || !self.source.skip(length.cast_unsigned())? {
            return Err(self.wrong(what));
        }
        self.left -= length;
        Ok(true)
    }

    fn varint(&mut self, what: &'static str) -> Result<i64, BatchError> {
        let mut reader = VarintReader::default();
        loop {
            let byte = self.take_byte(what)?;
            match reader.push(byte) {
                Ok(Some(value)) => return Ok(value),
                Ok(None) => {}
                Err(()) => return Err(self.wrong("it holds a number of more than 64 bits")),
            }
        }
    }

    fn take_byte(&mut self, what: &'static str) -> Result<u8, BatchError> {
        if self.left == 0 {
            return Err(self.wrong(what));
        }
        self.left -= 1;
        self.source.byte()?.ok_or_else(|| self.wrong(what))
    }

    fn wrong(&self, what: &'static str) -> BatchError {
        BatchError::WrongRecord { record: self.record, what }
    }
}
