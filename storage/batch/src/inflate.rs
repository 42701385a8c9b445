//! Decompression as a stream with an end: a small window in, a small buffer out, and a count of
//! bytes that may not pass the limit.
//!
//! | codec | what is held at once |
//! | --- | --- |
//! | gzip | 32 KiB window and decoder state |
//! | snappy | one block; its claimed length is believed only up to 22 × its compressed bytes, which is more than the format can reach (3 bytes make at most 64) |
//! | lz4 | one block compressed and one inflated, each at most 4 MiB by the format |
//! | zstd | the window its frame asks for, at most `2^zstd_window_log_max`; zstd reserves it at once but touches only what it has written, and a decoder lives for one batch |
//!
//! Caveat: a block or window is reserved by the codec's library, so "one batch being inflated"
//! costs up to that constant even for a small batch. The number of batches inflated at a time is
//! the number of threads that validate.

use std::io::{self, Read};

use crate::error::BatchError;
use crate::header::Codec;

/// What a batch may cost whoever looks inside.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// Largest batch as sent: the topic's `max.message.bytes`.
    pub batch_bytes_max: usize,
    /// A batch may inflate to this many times its size ...
    pub inflate_ratio_max: u64,
    /// ... or to this many bytes, whichever is more, so that small batches of very equal records
    /// pass.
    pub inflated_bytes_floor: u64,
    /// Largest zstd window, as a power of two.
    pub zstd_window_log_max: u32,
    /// The topic is compacted: every record needs a key.
    pub keys_required: bool,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            // Kafka's default of max.message.bytes, so that an unconfigured topic behaves alike.
            batch_bytes_max: 1_048_588,
            // Logs and JSON reach 10 to 30; a bomb needs 1000.
            inflate_ratio_max: 128,
            // 64 MiB takes a tenth of a second to inflate, and no producer's batch is that large
            // by default (Java 16 KiB, librdkafka 1 MB).
            inflated_bytes_floor: 64 << 20,
            // zstd's own limit for streams: every level a client can set stays below it.
            zstd_window_log_max: 27,
            keys_required: false,
        }
    }
}

impl Limits {
    /// How far a batch of this many compressed bytes may inflate.
    #[must_use]
    pub fn inflated_bytes_max(&self, compressed_bytes: usize) -> u64 {
        (compressed_bytes as u64)
            .saturating_mul(self.inflate_ratio_max)
            .max(self.inflated_bytes_floor)
    }
}

/// Opens the records of a batch as a stream. No limit is applied yet; [`Inflated`] does.
fn open<'a>(codec: Codec, body: &'a [u8], limits: &Limits) -> io::Result<Box<dyn Read + 'a>> {
    Ok(match codec {
        Codec::None => Box::new(body),
        Codec::Gzip => Box::new(flate2::bufread::MultiGzDecoder::new(body)),
        Codec::Snappy => Box::new(SnappyReader::new(body, limits.inflated_bytes_max(body.len()))?),
        Codec::Lz4 => {
            check_lz4_frame(body)?;
            Box::new(lz4_flex::frame::FrameDecoder::new(body))
        }
        Codec::Zstd => {
            let mut decoder = zstd::stream::read::Decoder::with_buffer(body)?;
            decoder.window_log_max(limits.zstd_window_log_max)?;
            Box::new(decoder)
        }
    })
}

/// A stream of records with a byte limit.
pub(crate) struct Inflated<'a> {
    codec: Codec,
    reader: Box<dyn Read + 'a>,
    bytes_out: u64,
    limit_bytes: u64,
}

impl<'a> Inflated<'a> {
    pub(crate) fn open(codec: Codec, body: &'a [u8], limits: &Limits) -> Result<Self, BatchError> {
        let reader = open(codec, body, limits).map_err(|error| wrong(codec, &error))?;
        let limit_bytes = limits.inflated_bytes_max(body.len());
        Ok(Inflated { codec, reader, bytes_out: 0, limit_bytes })
    }

    /// Fills `buffer` from the front; 0 means the end.
    pub(crate) fn read(&mut self, buffer: &mut [u8]) -> Result<usize, BatchError> {
        let count = loop {
            match self.reader.read(buffer) {
                Ok(count) => break count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(wrong(self.codec, &error)),
            }
        };
        self.bytes_out += count as u64;
        if self.bytes_out > self.limit_bytes {
            return Err(BatchError::InflatesTooFar {
                codec: self.codec,
                limit_bytes: self.limit_bytes,
            });
        }
        Ok(count)
    }

    /// The whole stream. Grows with what came out, never with what was claimed.
    pub(crate) fn read_to_end(mut self) -> Result<Vec<u8>, BatchError> {
        let mut out = Vec::new();
        let mut chunk = [0; 8192];
        loop {
            match self.read(&mut chunk)? {
                0 => return Ok(out),
                count => out.extend_from_slice(&chunk[..count]),
            }
        }
    }
}

fn wrong(codec: Codec, error: &io::Error) -> BatchError {
    BatchError::WrongCompression { codec, what: error.to_string() }
}

/// First bytes of an LZ4 frame.
const LZ4_MAGIC: [u8; 4] = [0x04, 0x22, 0x4d, 0x18];
/// Flag: no block refers to an earlier one.
const LZ4_INDEPENDENT_BLOCKS: u8 = 0x20;

/// Java's consumers read frames of independent blocks and nothing else; Kafka therefore refuses
/// the rest at produce, and so do we. It also keeps the decoder to one block at a time.
fn check_lz4_frame(body: &[u8]) -> io::Result<()> {
    let Some(([magic @ .., flags], _)) = body.split_first_chunk::<5>() else {
        return Err(invalid("the frame header is cut short"));
    };
    if *magic != LZ4_MAGIC {
        return Err(invalid("the frame does not begin with LZ4's magic"));
    }
    if flags & LZ4_INDEPENDENT_BLOCKS == 0 {
        return Err(invalid("its blocks depend on each other, which Kafka's clients cannot read"));
    }
    Ok(())
}

/// First bytes of the framing of Java's snappy library.
pub(crate) const XERIAL_MAGIC: [u8; 8] = *b"\x82SNAPPY\x00";
/// Magic, version and lowest compatible version.
const XERIAL_HEADER_BYTES: usize = 16;
/// More than any snappy stream can inflate: 3 bytes copy at most 64.
const SNAPPY_RATIO_MAX: usize = 22;

/// Snappy in either form, block by block.
///
/// ```text
/// Java:     "\x82SNAPPY\0" version(4) compatible(4) { length(4) block }*
/// others:   block
/// ```
struct SnappyReader<'a> {
    rest: &'a [u8],
    framed: bool,
    /// No block may claim more; the stream's own count stops the sum of them.
    block_bytes_max: u64,
    block: Vec<u8>,
    given: usize,
}

impl<'a> SnappyReader<'a> {
    fn new(body: &'a [u8], block_bytes_max: u64) -> io::Result<Self> {
        let framed = body.starts_with(&XERIAL_MAGIC);
        let rest = if framed {
            body.get(XERIAL_HEADER_BYTES..)
                .ok_or_else(|| invalid("the framing header is cut short"))?
        } else {
            body
        };
        Ok(SnappyReader { rest, framed, block_bytes_max, block: Vec::new(), given: 0 })
    }

    fn next_block(&mut self) -> io::Result<()> {
        let compressed = if self.framed {
            let Some((length, after)) = self.rest.split_first_chunk::<4>() else {
                return Err(invalid("a block length is cut short"));
            };
            let length = usize::try_from(i32::from_be_bytes(*length))
                .map_err(|_| invalid("a block has a negative length"))?;
            let Some((block, rest)) = after.split_at_checked(length) else {
                return Err(invalid("a block is longer than what is left"));
            };
            self.rest = rest;
            block
        } else {
            std::mem::take(&mut self.rest)
        };
        let inflated = snap::raw::decompress_len(compressed).map_err(io::Error::other)?;
        if inflated > compressed.len().saturating_mul(SNAPPY_RATIO_MAX) {
            return Err(invalid("a block claims more than snappy can inflate to"));
        }
        if inflated as u64 > self.block_bytes_max {
            return Err(invalid("a block inflates further than the limit"));
        }
        self.block.clear();
        self.block.resize(inflated, 0);
        self.given = 0;
        let written = snap::raw::Decoder::new()
            .decompress(compressed, &mut self.block)
            .map_err(io::Error::other)?;
        self.block.truncate(written);
        Ok(())
    }
}

impl Read for SnappyReader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.given == self.block.len() {
            if self.rest.is_empty() {
                return Ok(0);
            }
            self.next_block()?;
        }
        let available = &self.block[self.given..];
        let count = available.len().min(buffer.len());
        buffer[..count].copy_from_slice(&available[..count]);
        self.given += count;
        Ok(count)
    }
}

fn invalid(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}
