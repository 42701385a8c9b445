//! Record bytes that have left memory, read back from the device away from the lane.
//!
//! A slice on disk is good until its segment is recycled, which may happen between the lane's
//! answer and our read. So nothing read is believed: the first batch must show the base offset the
//! lane named, batches must follow each other without a gap in the bytes, and every CRC must match.
//! What does not is answered as a storage error, which clients retry; never as CORRUPT_MESSAGE,
//! which Java throws at the application.

use crate::broker::Broker;
use bytes::Bytes;
use holdfast_batch::{BatchHeader, CRC_START};
use holdfast_lane::RecordSlice;
use holdfast_wal::Extent;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

/// Why bytes could not be had. The broker answers KAFKA_STORAGE_ERROR and logs this.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{0}")]
pub struct ColdError(pub String);

/// The bytes of an extent, exactly, unchecked.
pub type ColdRead = Pin<Box<dyn Future<Output = Result<Bytes, ColdError>> + Send>>;

/// Reads extents of WAL files. The daemon runs reads where they may block.
pub trait ColdReader: Send + Sync {
    /// Reads `extent` of `file`.
    fn read(&self, file: Arc<str>, extent: Extent) -> ColdRead;
}

impl Broker {
    /// The bytes of a slice, from memory or checked from the device.
    pub(crate) async fn load(&self, slice: RecordSlice) -> Result<Bytes, ColdError> {
        let (file, extent, base_offset) = match slice {
            RecordSlice::Cached(bytes) => return Ok(bytes),
            RecordSlice::OnDisk { file, extent, base_offset } => (file, extent, base_offset),
        };
        let permit = self.cold_permits.acquire().await;
        let permit = permit.map_err(|_| ColdError("the node is stopping".to_owned()))?;
        let read = self.cold.read(Arc::clone(&file), extent).await;
        drop(permit);
        let bytes = read?;
        check_batches(&bytes, base_offset).map_err(|what| {
            ColdError(format!("{file} at {} (+{} bytes): {what}", extent.offset, extent.len_bytes))
        })?;
        Ok(bytes)
    }
}

/// Whole batches, the first at `base_offset`, every CRC right, offsets growing.
fn check_batches(bytes: &Bytes, base_offset: i64) -> Result<(), String> {
    let mut rest: &[u8] = bytes;
    let mut expected_least = base_offset;
    while !rest.is_empty() {
        let header = BatchHeader::parse(rest).map_err(|error| error.to_string())?;
        let first = rest.len() == bytes.len();
        if first && header.base_offset != base_offset {
            return Err(format!(
                "the batch there starts at offset {}, not {base_offset}",
                header.base_offset
            ));
        }
        if header.base_offset < expected_least {
            return Err(format!("offset {} follows {expected_least}", header.base_offset));
        }
        let Some(batch) = rest.get(..header.total_len_bytes()) else {
            return Err("the last batch is cut off".to_owned());
        };
        let computed = crc32c::crc32c(&batch[CRC_START..]);
        if computed != header.crc {
            return Err(format!(
                "the batch at offset {} has checksum {:08x} but its bytes give {computed:08x}",
                header.base_offset, header.crc
            ));
        }
        expected_least = header.next_offset();
        rest = &rest[batch.len()..];
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::double::batch_at;

    fn two_batches() -> Vec<u8> {
        [batch_at(7, 3), batch_at(10, 1)].concat()
    }

    #[test]
    fn whole_batches_at_the_right_offset_pass() {
        assert_eq!(check_batches(&Bytes::from(two_batches()), 7), Ok(()));
    }

    #[test]
    fn a_recycled_segment_is_noticed_by_its_base_offset() {
        let why = check_batches(&Bytes::from(two_batches()), 8).expect_err("wrong offset");
        assert!(why.contains("starts at offset 7"), "{why}");
    }

    #[test]
    fn no_flipped_bit_after_the_checksum_passes() {
        let good = two_batches();
        for at in CRC_START..batch_at(7, 3).len() {
            let mut bad = good.clone();
            bad[at] ^= 0x10;
            assert!(check_batches(&Bytes::from(bad), 7).is_err(), "byte {at}");
        }
    }

    #[test]
    fn a_cut_batch_and_zeros_do_not_pass() {
        let good = two_batches();
        for len in 1..good.len() {
            let whole = len == batch_at(7, 3).len();
            assert_eq!(check_batches(&Bytes::from(good[..len].to_vec()), 7).is_ok(), whole);
        }
        assert!(check_batches(&Bytes::from(vec![0; 4096]), 0).is_err());
    }
}
