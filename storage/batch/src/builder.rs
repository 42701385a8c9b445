//! Making batches as a producer does: for tests, the demonstration, the bench's generator and the
//! simulation. The broker itself makes none.

use std::io::Write;

use bytes::Bytes;

use crate::error::BatchError;
use crate::header::{
    BATCH_OVERHEAD_BYTES, BatchHeader, CRC_START, Codec, HEADER_BYTES, NO_PRODUCER_ID, checksum,
};
use crate::inflate::XERIAL_MAGIC;
use crate::varint::put_varint;

/// Block size of Java's snappy framing; any size would do.
const XERIAL_BLOCK_BYTES: usize = 32 << 10;

/// One record to be.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct RecordDraft {
    /// Milliseconds since 1970.
    pub timestamp_ms: i64,
    /// `None` for no key.
    pub key: Option<Bytes>,
    /// `None` for a tombstone.
    pub value: Option<Bytes>,
    /// Keys and values.
    pub headers: Vec<(Bytes, Option<Bytes>)>,
}

impl RecordDraft {
    /// A record with a value and nothing else.
    #[must_use]
    pub fn value(timestamp_ms: i64, value: impl Into<Bytes>) -> RecordDraft {
        RecordDraft { timestamp_ms, value: Some(value.into()), ..RecordDraft::default() }
    }

    /// A record with key and value.
    #[must_use]
    pub fn keyed(timestamp_ms: i64, key: impl Into<Bytes>, value: impl Into<Bytes>) -> RecordDraft {
        RecordDraft { key: Some(key.into()), ..RecordDraft::value(timestamp_ms, value) }
    }
}

/// Which of the two forms of snappy.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum SnappyFraming {
    /// Blocks behind a header, as Java writes.
    #[default]
    Xerial,
    /// One bare block.
    Raw,
}

/// A batch in the making. Fields are public: a test sets what it wants to lie about, and calls
/// [`BatchBuilder::build`] for a batch whose lengths and CRC are true.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BatchBuilder {
    /// 0 from a producer.
    pub base_offset: i64,
    /// -1 from a producer.
    pub partition_leader_epoch: i32,
    /// Compression of the records.
    pub codec: Codec,
    /// Used with [`Codec::Snappy`].
    pub snappy_framing: SnappyFraming,
    /// -1 without idempotence.
    pub producer_id: i64,
    /// -1 without idempotence.
    pub producer_epoch: i16,
    /// -1 without idempotence.
    pub base_sequence: i32,
    /// Attribute bits beside the codec's.
    pub flags: i16,
    /// The records.
    pub records: Vec<RecordDraft>,
}

impl Default for BatchBuilder {
    fn default() -> Self {
        BatchBuilder {
            base_offset: 0,
            partition_leader_epoch: -1,
            codec: Codec::None,
            snappy_framing: SnappyFraming::default(),
            producer_id: NO_PRODUCER_ID,
            producer_epoch: -1,
            base_sequence: -1,
            flags: 0,
            records: Vec::new(),
        }
    }
}

impl BatchBuilder {
    /// An empty batch of this codec.
    #[must_use]
    pub fn new(codec: Codec) -> BatchBuilder {
        BatchBuilder { codec, ..BatchBuilder::default() }
    }

    /// Sets what an idempotent producer sends.
    #[must_use]
    pub fn producer(mut self, id: i64, epoch: i16, base_sequence: i32) -> BatchBuilder {
        self.producer_id = id;
        self.producer_epoch = epoch;
        self.base_sequence = base_sequence;
        self
    }

    /// Adds a record.
    #[must_use]
    pub fn record(mut self, record: RecordDraft) -> BatchBuilder {
        self.records.push(record);
        self
    }

    /// The batch as bytes.
    ///
    /// # Errors
    /// When a codec fails, which none does on bytes in memory.
    ///
    /// # Panics
    /// When the batch would be larger than 2 GiB.
    pub fn build(&self) -> Result<Bytes, BatchError> {
        let base_timestamp_ms = self.records.first().map_or(0, |record| record.timestamp_ms);
        let mut plain = Vec::new();
        for (delta, record) in (0_i64..).zip(&self.records) {
            put_record(
                &mut plain,
                record,
                record.timestamp_ms.wrapping_sub(base_timestamp_ms),
                delta,
            );
        }
        let body = self.compress(plain)?;
        let count = i32::try_from(self.records.len()).expect("a batch has fewer than 2^31 records");
        let length = HEADER_BYTES - BATCH_OVERHEAD_BYTES + body.len();
        let header = BatchHeader {
            base_offset: self.base_offset,
            batch_length: i32::try_from(length).expect("a batch is smaller than 2 GiB"),
            partition_leader_epoch: self.partition_leader_epoch,
            magic: 2,
            crc: 0,
            attributes: self.codec.id() | self.flags,
            last_offset_delta: count - 1,
            base_timestamp_ms,
            max_timestamp_ms: self.records.iter().map(|r| r.timestamp_ms).max().unwrap_or(-1),
            producer_id: self.producer_id,
            producer_epoch: self.producer_epoch,
            base_sequence: self.base_sequence,
            records_count: count,
        };
        let mut out = Vec::with_capacity(HEADER_BYTES + body.len());
        out.extend_from_slice(&header.to_bytes());
        out.extend_from_slice(&body);
        let crc = checksum(&out);
        out[CRC_START - 4..CRC_START].copy_from_slice(&crc.to_be_bytes());
        Ok(Bytes::from(out))
    }

    fn compress(&self, plain: Vec<u8>) -> Result<Vec<u8>, BatchError> {
        let codec = self.codec;
        compress(codec, self.snappy_framing, plain)
            .map_err(|error| BatchError::WrongCompression { codec, what: error.to_string() })
    }
}

fn put_record(out: &mut Vec<u8>, record: &RecordDraft, timestamp_delta: i64, offset_delta: i64) {
    let mut body = vec![0];
    put_varint(&mut body, timestamp_delta);
    put_varint(&mut body, offset_delta);
    put_nullable(&mut body, record.key.as_ref());
    put_nullable(&mut body, record.value.as_ref());
    put_varint(&mut body, record.headers.len() as i64);
    for (key, value) in &record.headers {
        put_nullable(&mut body, Some(key));
        put_nullable(&mut body, value.as_ref());
    }
    put_varint(out, body.len() as i64);
    out.extend_from_slice(&body);
}

fn put_nullable(out: &mut Vec<u8>, bytes: Option<&Bytes>) {
    match bytes {
        None => put_varint(out, -1),
        Some(bytes) => {
            put_varint(out, bytes.len() as i64);
            out.extend_from_slice(bytes);
        }
    }
}

fn compress(codec: Codec, framing: SnappyFraming, plain: Vec<u8>) -> std::io::Result<Vec<u8>> {
    match codec {
        Codec::None => Ok(plain),
        Codec::Gzip => {
            let mut encoder =
                flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
            encoder.write_all(&plain)?;
            encoder.finish()
        }
        Codec::Snappy => snappy(framing, &plain),
        Codec::Lz4 => {
            // What Java's reader takes: independent blocks.
            let info = lz4_flex::frame::FrameInfo::new()
                .block_mode(lz4_flex::frame::BlockMode::Independent)
                .block_size(lz4_flex::frame::BlockSize::Max64KB);
            let mut encoder = lz4_flex::frame::FrameEncoder::with_frame_info(info, Vec::new());
            encoder.write_all(&plain)?;
            encoder.finish().map_err(std::io::Error::other)
        }
        Codec::Zstd => zstd::stream::encode_all(plain.as_slice(), zstd::DEFAULT_COMPRESSION_LEVEL),
    }
}

fn snappy(framing: SnappyFraming, plain: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut encoder = snap::raw::Encoder::new();
    if framing == SnappyFraming::Raw {
        return encoder.compress_vec(plain).map_err(std::io::Error::other);
    }
    let mut out = XERIAL_MAGIC.to_vec();
    out.extend_from_slice(&1_i32.to_be_bytes());
    out.extend_from_slice(&1_i32.to_be_bytes());
    for block in plain.chunks(XERIAL_BLOCK_BYTES) {
        let compressed = encoder.compress_vec(block).map_err(std::io::Error::other)?;
        let length = u32::try_from(compressed.len()).expect("a block is smaller than 64 KiB");
        out.extend_from_slice(&length.to_be_bytes());
        out.extend_from_slice(&compressed);
    }
    Ok(out)
}
