//! Record batches (magic 2), built once and sent many times.
//!
//! ```text
//! 0  base offset:i64 | 8  length:i32 | 12 leader epoch:i32 | 16 magic:i8 | 17 crc:u32
//! 21 attributes:i16 | 23 last offset delta:i32 | 27 base ts:i64 | 35 max ts:i64
//! 43 producer id:i64 | 51 producer epoch:i16 | 53 base sequence:i32 | 57 count:i32 | 61 records
//! record: length | attributes | ts delta | offset delta | key | value | headers   (varints)
//! ```
//! The CRC (Castagnoli) covers everything from `attributes` on. Batches here carry no producer id,
//! so the same bytes may be appended any number of times.

use crate::wire::varint;

/// Bytes of a batch before its first record.
pub const HEADER_BYTES: usize = 61;
/// Bytes of a batch that its length field does not count.
pub const LENGTH_COUNTS_FROM: usize = 12;
/// Where `last offset delta` stands.
pub const LAST_OFFSET_DELTA_AT: usize = 23;
/// Where the CRC stands.
pub const CRC_AT: usize = 17;
/// Where the CRC's cover starts.
pub const CRC_COVERS_FROM: usize = 21;

/// A batch of `values`, uncompressed, with `timestamp_ms` on every record.
pub fn build<'a>(values: impl IntoIterator<Item = &'a [u8]>, timestamp_ms: i64) -> Vec<u8> {
    let mut records = Vec::new();
    let mut count = 0i32;
    for value in values {
        let mut record = vec![0u8];
        varint(&mut record, 0);
        varint(&mut record, i64::from(count));
        varint(&mut record, -1);
        varint(&mut record, value.len() as i64);
        record.extend_from_slice(value);
        varint(&mut record, 0);
        varint(&mut records, record.len() as i64);
        records.extend_from_slice(&record);
        count += 1;
    }
    assert!(count > 0, "a batch without records is refused by every broker");
    around(&records, count, 0, timestamp_ms)
}

/// Puts a header with a right CRC around encoded (or compressed) records.
pub fn around(records: &[u8], count: i32, attributes: i16, timestamp_ms: i64) -> Vec<u8> {
    let mut batch = Vec::with_capacity(HEADER_BYTES + records.len());
    batch.extend_from_slice(&0i64.to_be_bytes());
    let length = (HEADER_BYTES - LENGTH_COUNTS_FROM + records.len()) as i32;
    batch.extend_from_slice(&length.to_be_bytes());
    batch.extend_from_slice(&(-1i32).to_be_bytes());
    batch.push(2);
    batch.extend_from_slice(&[0; 4]);
    batch.extend_from_slice(&attributes.to_be_bytes());
    batch.extend_from_slice(&(count - 1).to_be_bytes());
    batch.extend_from_slice(&timestamp_ms.to_be_bytes());
    batch.extend_from_slice(&timestamp_ms.to_be_bytes());
    batch.extend_from_slice(&(-1i64).to_be_bytes());
    batch.extend_from_slice(&(-1i16).to_be_bytes());
    batch.extend_from_slice(&(-1i32).to_be_bytes());
    batch.extend_from_slice(&count.to_be_bytes());
    assert_eq!(batch.len(), HEADER_BYTES);
    batch.extend_from_slice(records);
    seal(&mut batch);
    batch
}

/// Recomputes the CRC after a change behind it.
pub fn seal(batch: &mut [u8]) {
    let crc = crc32c::crc32c(&batch[CRC_COVERS_FROM..]);
    batch[CRC_AT..CRC_AT + 4].copy_from_slice(&crc.to_be_bytes());
}

/// What a walk over fetched record bytes found.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Walked {
    /// Whole batches.
    pub batches: u64,
    /// Records in them, by their headers.
    pub records: u64,
    /// The offset behind the last whole batch.
    pub next_offset: Option<i64>,
}

/// Walks the batches of a fetch answer by their headers; a cut last batch is left alone.
/// With `verify_crc`, a batch whose bytes do not match its CRC is an error naming its offset.
pub fn walk(mut bytes: &[u8], verify_crc: bool) -> Result<Walked, String> {
    let mut walked = Walked::default();
    while bytes.len() >= HEADER_BYTES {
        let base = i64::from_be_bytes(field(bytes, 0));
        let length = i32::from_be_bytes(field(bytes, 8));
        let total = usize::try_from(length).unwrap_or(0) + LENGTH_COUNTS_FROM;
        if total < HEADER_BYTES {
            return Err(format!("the batch at offset {base} says it is {length} bytes long"));
        }
        let Some(batch) = bytes.get(..total) else { break };
        let delta = i32::from_be_bytes(field(batch, LAST_OFFSET_DELTA_AT));
        let crc = u32::from_be_bytes(field(batch, CRC_AT));
        if verify_crc && crc32c::crc32c(&batch[CRC_COVERS_FROM..]) != crc {
            return Err(format!("the batch at offset {base} does not match its CRC"));
        }
        walked.batches += 1;
        walked.records += u64::try_from(i64::from(delta) + 1).unwrap_or(0);
        walked.next_offset = Some(base + i64::from(delta) + 1);
        bytes = &bytes[total..];
    }
    Ok(walked)
}

/// The values of an uncompressed batch's records, in order, with their offsets.
pub fn values(batch: &[u8]) -> Result<Vec<(i64, Vec<u8>)>, String> {
    let mut values = Vec::new();
    let mut bytes = batch;
    while bytes.len() >= HEADER_BYTES {
        let base = i64::from_be_bytes(field(bytes, 0));
        let total = i32::from_be_bytes(field(bytes, 8)).max(0) as usize + LENGTH_COUNTS_FROM;
        let Some(whole) = bytes.get(..total) else { break };
        let count = i32::from_be_bytes(field(whole, 57));
        let mut at = HEADER_BYTES;
        for _ in 0..count {
            let cut = || format!("the batch at offset {base} is cut inside a record");
            let _length = read_varint(whole, &mut at).ok_or_else(cut)?;
            at += 1;
            let _timestamp = read_varint(whole, &mut at).ok_or_else(cut)?;
            let delta = read_varint(whole, &mut at).ok_or_else(cut)?;
            let key = read_varint(whole, &mut at).ok_or_else(cut)?;
            at += usize::try_from(key.max(0)).map_err(|_| cut())?;
            let len = read_varint(whole, &mut at).ok_or_else(cut)?;
            let len = usize::try_from(len.max(0)).map_err(|_| cut())?;
            let value = whole.get(at..at + len).ok_or_else(cut)?;
            values.push((base + delta, value.to_vec()));
            at += len;
            let headers = read_varint(whole, &mut at).ok_or_else(cut)?;
            if headers != 0 {
                return Err(format!("the batch at offset {base} has record headers"));
            }
        }
        bytes = &bytes[total..];
    }
    Ok(values)
}

fn read_varint(bytes: &[u8], at: &mut usize) -> Option<i64> {
    let mut value = 0u64;
    for shift in (0..64).step_by(7) {
        let byte = *bytes.get(*at)?;
        *at += 1;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some((value >> 1) as i64 ^ -((value & 1) as i64));
        }
    }
    None
}

fn field<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    let mut field = [0; N];
    field.copy_from_slice(&bytes[at..at + N]);
    field
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_built_batch_walks_back_to_its_count_and_crc() {
        let batch = build([&b"one"[..], b"two", b"three"], 1_000);
        let walked = walk(&batch, true).unwrap();
        assert_eq!(walked, Walked { batches: 1, records: 3, next_offset: Some(3) });
        let values: Vec<_> = values(&batch).unwrap().into_iter().map(|(_, value)| value).collect();
        assert_eq!(values, [&b"one"[..], b"two", b"three"]);
    }

    #[test]
    fn a_flipped_byte_is_found_and_a_cut_tail_is_left_alone() {
        let mut batch = build([&b"one"[..]], 0);
        batch.extend_from_slice(&batch.clone()[..30]);
        assert_eq!(walk(&batch, true).unwrap().batches, 1);
        batch[HEADER_BYTES + 3] ^= 1;
        assert!(walk(&batch, true).is_err());
    }
}
