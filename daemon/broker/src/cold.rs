//! Record bytes that have left memory, read back from the device or from an object, away from the lane.
//!
//! ```text
//! slice in memory ─▶ as it is        on disk ─▶ ColdReader, checked here
//!                                  in object ─▶ ObjectReader, which checks block by block
//! ```
//!
//! A slice on disk is good until its segment is recycled, which may happen between the lane's
//! answer and our read. So nothing read is believed: the first batch must show the base offset the
//! lane named, batches must follow each other without a gap in the bytes, and every CRC must match.
//! What does not is answered as a storage error, which clients retry; never as CORRUPT_MESSAGE,
//! which Java throws at the application.

use crate::broker::Broker;
use bytes::Bytes;
use futures_util::future::{join, join_all};
use holdfast_base::PartitionKey;
use holdfast_batch::{BatchHeader, CRC_START};
use holdfast_lane::{ObjectPlace, RecordSlice};
use holdfast_wal::Extent;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

/// Why bytes could not be had. The broker answers KAFKA_STORAGE_ERROR and logs this.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{0}")]
pub struct ColdError(pub String);

/// Where record bytes lie on the device.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ColdPlace {
    /// The WAL file.
    pub file: Arc<str>,
    /// Where in it.
    pub extent: Extent,
}

/// How old an answer of a [`ColdReader`] may be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Freshness {
    /// From a cache, if it has the bytes.
    Cached,
    /// From the device: what the cache had did not pass its checks.
    Device,
}

/// The bytes of each place, in order, unchecked.
pub type ColdRead = Pin<Box<dyn Future<Output = Vec<Result<Bytes, ColdError>>> + Send>>;

/// Reads extents of WAL files. The daemon runs reads where they may block.
pub trait ColdReader: Send + Sync {
    /// Reads all `places`; answers one result for each.
    fn read(&self, places: Vec<ColdPlace>, freshness: Freshness) -> ColdRead;
}

/// A read of one partition's batches in one object.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ObjectRead {
    /// Which object.
    pub object: ObjectPlace,
    /// Whose batches.
    pub partition: PartitionKey,
    /// Which of them.
    pub want: ObjectWant,
}

/// See [`ObjectRead`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ObjectWant {
    /// From the batch that holds this offset, or the first behind it: whole batches of at most so many
    /// bytes, but the first whatever its size.
    From {
        /// Where to begin.
        offset: i64,
        /// How much.
        max_bytes: u32,
        /// Where the partition goes on behind this object, for a reader that reads ahead.
        next: Option<ObjectPlace>,
    },
    /// The one batch that holds the first record at or behind an offset with at least this timestamp;
    /// nothing if the object has none.
    AtTime {
        /// Where to begin.
        from_offset: i64,
        /// What to look for.
        timestamp_ms: i64,
    },
}

/// Whole batches, checked, in offset order.
pub type ObjectAnswer = Pin<Box<dyn Future<Output = Result<Vec<Bytes>, ColdError>> + Send>>;

/// Reads objects of the site's store, each read within a time limit of its own.
pub trait ObjectReader: Send + Sync {
    /// Does one read.
    fn read(&self, read: ObjectRead) -> ObjectAnswer;
}

/// A node without an object store: nothing ever lies there.
pub struct NoObjects;

impl ObjectReader for NoObjects {
    fn read(&self, _read: ObjectRead) -> ObjectAnswer {
        let error = "the records are in the object store, and this node was started without one";
        Box::pin(std::future::ready(Err(ColdError(error.to_owned()))))
    }
}

/// A slice on disk that an answer waits for.
struct Missing {
    at: usize,
    place: ColdPlace,
    base_offset: i64,
}

impl Broker {
    /// The first batch of a slice; `timestamp_ms`: in an object, the one that holds the first record
    /// of at least that time. `None`: there is no such batch.
    pub(crate) async fn load_batch(
        &self,
        slice: RecordSlice,
        timestamp_ms: Option<i64>,
    ) -> Result<Option<Bytes>, ColdError> {
        if let RecordSlice::InObject { object, partition, from_offset, .. } = slice
            && let Some(timestamp_ms) = timestamp_ms
        {
            let want = ObjectWant::AtTime { from_offset, timestamp_ms };
            let found = self.objects.read(ObjectRead { object, partition, want }).await?;
            return Ok(found.into_iter().next());
        }
        let mut loaded = self.load_all(vec![slice]).await;
        let pieces =
            loaded.pop().unwrap_or_else(|| Err(ColdError("nothing was read".to_owned())))?;
        Ok(pieces.into_iter().next())
    }

    /// The bytes of every slice, in order, each in pieces of whole batches; all that are not in memory
    /// are read in one go.
    pub(crate) async fn load_all(
        &self,
        slices: Vec<RecordSlice>,
    ) -> Vec<Result<Vec<Bytes>, ColdError>> {
        let not_read = || Err(ColdError("not read".to_owned()));
        let mut loaded = Vec::with_capacity(slices.len());
        let mut missing = Vec::new();
        let mut in_objects = Vec::new();
        for (at, slice) in slices.into_iter().enumerate() {
            match slice {
                RecordSlice::Cached(bytes) => loaded.push(Ok(vec![bytes])),
                RecordSlice::OnDisk { file, extent, base_offset } => {
                    missing.push(Missing { at, place: ColdPlace { file, extent }, base_offset });
                    loaded.push(not_read());
                }
                RecordSlice::InObject { object, partition, from_offset, max_bytes, next } => {
                    let want = ObjectWant::From { offset: from_offset, max_bytes, next };
                    let read = self.objects.read(ObjectRead { object, partition, want });
                    in_objects.push(async move { (at, read.await) });
                    loaded.push(not_read());
                }
            }
        }
        // All at once: an answer waits for its slowest read, not for their sum.
        let from_objects = join_all(in_objects);
        let from_device = async {
            for freshness in [Freshness::Cached, Freshness::Device] {
                if missing.is_empty() {
                    break;
                }
                missing = self.read_missing(missing, freshness, &mut loaded).await;
            }
        };
        let ((), read) = join(from_device, from_objects).await;
        for (at, read) in read {
            loaded[at] = read;
        }
        loaded
    }

    /// Fills in what can be read and is right; returns the rest.
    async fn read_missing(
        &self,
        missing: Vec<Missing>,
        freshness: Freshness,
        loaded: &mut [Result<Vec<Bytes>, ColdError>],
    ) -> Vec<Missing> {
        let Ok(permit) = self.cold_permits.acquire().await else {
            return Vec::new(); // the node is stopping
        };
        let places = missing.iter().map(|missing| missing.place.clone()).collect();
        let read = self.cold.read(places, freshness).await;
        drop(permit);
        let mut wrong = Vec::new();
        for (missing, bytes) in missing.into_iter().zip(read) {
            let checked = bytes.and_then(|bytes| {
                check_batches(&bytes, missing.base_offset).map_err(|what| {
                    let ColdPlace { file, extent } = &missing.place;
                    let (offset, len_bytes) = (extent.offset, extent.len_bytes);
                    ColdError(format!("{file} at {offset} (+{len_bytes} bytes): {what}"))
                })?;
                Ok(vec![bytes])
            });
            let failed = checked.is_err();
            loaded[missing.at] = checked;
            if failed {
                wrong.push(missing);
            }
        }
        wrong
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
