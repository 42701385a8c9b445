//! Reads of record bytes that have left memory, on tokio's blocking threads.
//!
//! ```text
//! one call = all slices of one answer ─▶ one blocking job
//!   few bytes ─▶ read just them
//!   many      ─▶ chunks of 2 MiB ─▶ cache of 8 ─▶ cut into slices
//! ```
//!
//! Partitions lie interleaved in the log, so a consumer that catches up on eight of them wants
//! nearly every byte of a stretch, in small pieces: one large direct read is many times cheaper
//! than a read a piece (measured on two busy cores: 1,018 against 640 MB/s drained, 0.4 against 2.2
//! processor seconds a GB), and the chunk serves the next consumer too. A chunk is read once: who comes second waits.
//!
//! A slice keeps its chunk alive. Where an answer wants little of each chunk it gets copies, or a slow
//! reader of a thin partition would hold the whole log.
//!
//! A cached chunk may be older than what was written to its end since. Nothing here believes what
//! it reads; the broker checks every batch and asks again, [`Freshness::Device`], if one is wrong.
//!
//! Chunks that nobody has read for [`IDLE_AFTER`] are given back: the memory is for consumers that
//! catch up, not for the day after.

use holdfast_broker::{ColdError, ColdPlace, ColdRead, ColdReader, Freshness};
use holdfast_io::SegmentReader;
use holdfast_wal::{Extent, OldestSegment, SegmentNumber};

use bytes::{Bytes, BytesMut};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

/// Long enough that the device streams, short enough that a slow disk answers in milliseconds.
const CHUNK_BYTES: u64 = 2 << 20;
/// 16 MiB: several consumers at different places, well inside the memory goal.
const CHUNKS_MAX: usize = 8;
/// Longer than a consumer pauses between two fetches, short beside the life of a node.
const IDLE_AFTER: Duration = Duration::from_secs(10);
/// Below this a call reads only what it asks for.
const DIRECT_BYTES_MAX: u64 = 256 << 10;
/// An answer keeps chunks alive of at most so many times its bytes.
const PINNED_TIMES_MAX: u64 = 2;

/// A segment and the number of a chunk in its file: not the file, which other segments had before.
type Key = (SegmentNumber, u64);
/// Set when the log is recovered.
pub type OldestSlot = Arc<OnceLock<OldestSegment>>;
/// Filled by the first job that locks it.
type Slot = Arc<Mutex<Option<Bytes>>>;

/// The chunks last used. Invariant: `order` names each key of `chunks` once, oldest first.
#[derive(Default)]
struct Chunks {
    chunks: BTreeMap<Key, Slot>,
    order: VecDeque<Key>,
    /// Chunks asked for so far.
    uses: u64,
    /// A task waits to give idle chunks back. Invariant: true while `chunks` holds any, once
    /// [`SegmentColdReader::sweep_later`] has been called.
    swept: bool,
}

impl Chunks {
    fn slot(&mut self, key: Key, fresh: bool) -> Slot {
        self.uses += 1;
        if fresh {
            self.chunks.remove(&key);
            self.order.retain(|other| *other != key);
        }
        if let Some(slot) = self.chunks.get(&key) {
            return Arc::clone(slot);
        }
        if self.order.len() >= CHUNKS_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.chunks.remove(&oldest);
        }
        let slot = Slot::default();
        self.chunks.insert(key, Arc::clone(&slot));
        self.order.push_back(key);
        slot
    }
}

/// Reads the files of one WAL directory.
#[derive(Clone)]
pub struct SegmentColdReader {
    reader: SegmentReader,
    /// Every file of the directory is this long.
    file_bytes: u64,
    chunks: Arc<Mutex<Chunks>>,
    oldest: OldestSlot,
}

impl SegmentColdReader {
    /// Over `reader`'s directory, whose files have `file_bytes` each; `oldest` says which segments are
    /// still there.
    #[must_use]
    pub fn new(reader: SegmentReader, file_bytes: u64, oldest: OldestSlot) -> SegmentColdReader {
        SegmentColdReader { reader, file_bytes, chunks: Arc::default(), oldest }
    }

    /// Gives the chunks back once nobody has used any for [`IDLE_AFTER`]. One task at a time.
    fn sweep_later(&self) {
        let mut chunks = self.lock();
        if chunks.swept || chunks.chunks.is_empty() {
            return;
        }
        chunks.swept = true;
        let mut uses = chunks.uses;
        drop(chunks);
        let this = self.clone();
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(IDLE_AFTER).await;
                let mut chunks = this.lock();
                if chunks.uses == uses {
                    *chunks = Chunks { uses, ..Chunks::default() };
                    return;
                }
                uses = chunks.uses;
            }
        });
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Chunks> {
        self.chunks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn read_all(&self, places: &[ColdPlace], fresh: bool) -> Vec<Result<Bytes, ColdError>> {
        let wanted: u64 = places.iter().map(|place| u64::from(place.extent.len_bytes)).sum();
        let chunked = wanted > DIRECT_BYTES_MAX;
        let copied = chunked_bytes(places) > wanted * PINNED_TIMES_MAX;
        let read = |place: &ColdPlace| {
            let bytes = if chunked {
                self.read_chunked(&place.file, place.extent, fresh, copied)
            } else {
                self.read_exactly(&place.file, place.extent.offset, place.extent.len_bytes.into())
            };
            // Asked afterwards: the file may be another segment's by now, with records of its own. The
            // client asks again, and is led to the object.
            let segment = place.extent.segment;
            if self.oldest.get().is_some_and(|oldest| !oldest.still_has(segment)) {
                return Err(ColdError(format!("segment {} has left the log", segment.0)));
            }
            bytes
        };
        places.iter().map(read).collect()
    }

    fn read_exactly(&self, file: &str, offset: u64, len_bytes: u64) -> Result<Bytes, ColdError> {
        let len_bytes = usize::try_from(len_bytes)
            .map_err(|_| ColdError("an extent does not fit the address space".to_owned()))?;
        self.reader.read_at(file, offset, len_bytes).map_err(|error| ColdError(error.to_string()))
    }

    fn read_chunked(
        &self,
        file: &Arc<str>,
        extent: Extent,
        fresh: bool,
        copied: bool,
    ) -> Result<Bytes, ColdError> {
        let end = extent.offset + u64::from(extent.len_bytes);
        let mut pieces = Vec::with_capacity(2);
        let mut at = extent.offset;
        while at < end {
            let chunk = self.chunk(file, extent.segment, at / CHUNK_BYTES, fresh)?;
            let from = at % CHUNK_BYTES;
            let until = (end - at + from).min(chunk.len() as u64);
            if until <= from {
                return Err(ColdError(format!("{file} ends before {end}")));
            }
            let inside = |offset: u64| usize::try_from(offset).expect("a chunk is 2 MiB");
            pieces.push(chunk.slice(inside(from)..inside(until)));
            at += until - from;
        }
        if pieces.len() == 1 && !copied {
            return Ok(pieces.swap_remove(0));
        }
        // Across a border one slice in twenty is joined by a copy.
        let mut joined = BytesMut::with_capacity(extent.len_bytes as usize);
        for piece in pieces {
            joined.extend_from_slice(&piece);
        }
        Ok(joined.freeze())
    }

    fn chunk(
        &self,
        file: &str,
        segment: SegmentNumber,
        number: u64,
        fresh: bool,
    ) -> Result<Bytes, ColdError> {
        let key = (segment, number);
        let slot = self.lock().slot(key, fresh);
        let mut chunk = slot.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(bytes) = &*chunk {
            return Ok(bytes.clone());
        }
        let start = number * CHUNK_BYTES;
        let len_bytes = CHUNK_BYTES.min(self.file_bytes.saturating_sub(start));
        let bytes = self.read_exactly(file, start, len_bytes)?;
        *chunk = Some(bytes.clone());
        Ok(bytes)
    }
}

/// Bytes of the chunks in which `places` lie.
fn chunked_bytes(places: &[ColdPlace]) -> u64 {
    let chunks = places.iter().flat_map(|place| {
        let Extent { offset, len_bytes, .. } = place.extent;
        let last = (offset + u64::from(len_bytes).max(1) - 1) / CHUNK_BYTES;
        (offset / CHUNK_BYTES..=last).map(|number| (&place.file, number))
    });
    chunks.collect::<BTreeSet<_>>().len() as u64 * CHUNK_BYTES
}

impl ColdReader for SegmentColdReader {
    fn read(&self, places: Vec<ColdPlace>, freshness: Freshness) -> ColdRead {
        let this = self.clone();
        let count = places.len();
        Box::pin(async move {
            let fresh = freshness == Freshness::Device;
            let reader = this.clone();
            let job = tokio::task::spawn_blocking(move || reader.read_all(&places, fresh));
            let read = job.await;
            this.sweep_later();
            read.unwrap_or_else(|stopped| {
                let error = ColdError(format!("the read did not run: {stopped}"));
                vec![Err(error); count]
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use holdfast_io::BufferPool;
    use holdfast_wal::SegmentNumber;
    use std::io::Write;

    struct Directory(std::path::PathBuf);

    impl Drop for Directory {
        fn drop(&mut self) {
            drop(std::fs::remove_dir_all(&self.0));
        }
    }

    const FILE_BYTES: u64 = 5 << 20;

    fn byte_at(offset: u64) -> u8 {
        (offset / 4096 % 251) as u8
    }

    fn reader(name: &str) -> (Directory, SegmentColdReader) {
        let path = std::env::temp_dir().join(format!("holdfast-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).expect("a directory for the test");
        let bytes: Vec<u8> = (0..FILE_BYTES).map(byte_at).collect();
        std::fs::write(path.join("segment"), bytes).expect("a file for the test");
        let reader = SegmentReader::new(&path, BufferPool::new(0)).expect("it is there");
        (Directory(path), SegmentColdReader::new(reader, FILE_BYTES, OldestSlot::default()))
    }

    fn place(offset: u64, len_bytes: u32) -> ColdPlace {
        let extent = Extent { segment: SegmentNumber(1), offset, len_bytes };
        ColdPlace { file: "segment".into(), extent }
    }

    #[test]
    fn slices_across_chunks_and_up_to_the_files_end_are_whole() {
        let (_directory, reader) = reader("across");
        let places = [
            place(100, 300_000),
            place(CHUNK_BYTES - 50_000, 100_000),
            place(FILE_BYTES - 10_000, 10_000),
        ];
        for (place, read) in places.iter().zip(reader.read_all(&places, false)) {
            let read = read.expect("it can be read");
            assert_eq!(read.len(), place.extent.len_bytes as usize);
            let right = |(at, byte): (u64, &u8)| *byte == byte_at(place.extent.offset + at);
            assert!((0..).zip(&read).all(right), "{place:?}");
        }
    }

    #[test]
    fn an_answer_keeps_little_more_alive_than_its_own_bytes() {
        let (_directory, reader) = reader("alive");
        let alive = |places: &[ColdPlace]| {
            let read = reader.read_all(places, false);
            let chunks = reader.lock();
            let holds = |slot: &Slot| {
                let chunk = slot.lock().expect("whole");
                let span = chunk.as_ref().map(|bytes| bytes.as_ptr_range()).expect("it was read");
                read.iter().flatten().any(|slice| span.contains(&slice.as_ptr()))
            };
            chunks.chunks.values().filter(|slot| holds(slot)).count()
        };
        let thin =
            [place(0, 100_000), place(CHUNK_BYTES, 100_000), place(CHUNK_BYTES * 2, 100_000)];
        assert_eq!(alive(&thin), 0, "300 KB out of 6 MB are copied");
        assert_eq!(alive(&[place(0, 1_200_000)]), 1, "more than half of a chunk is not");
    }

    #[test]
    fn bytes_of_a_segment_that_left_the_log_are_not_believed_however_they_look() {
        let (_directory, reader) = reader("left");
        let places = [place(0, 300_000), place(0, 10)];
        assert!(reader.read_all(&places, false).iter().all(Result::is_ok));
        let oldest = OldestSegment::fixed(SegmentNumber(2));
        reader.oldest.set(oldest).expect("it was not set");
        assert!(reader.read_all(&places, false).iter().all(Result::is_err), "in chunks");
        assert!(reader.read_all(&places[1..], false)[0].is_err(), "and by itself");
    }

    #[test]
    fn what_was_written_since_is_seen_when_asked_of_the_device() {
        let (directory, reader) = reader("fresh");
        let places = [place(0, 300_000)];
        assert!(reader.read_all(&places, false)[0].is_ok());
        let mut file = std::fs::OpenOptions::new()
            .write(true)
            .open(directory.0.join("segment"))
            .expect("it is there");
        file.write_all(&[255; 4096]).and_then(|()| file.sync_all()).expect("it can be written");
        let first = |fresh| reader.read_all(&places, fresh)[0].as_ref().expect("read")[0];
        assert_eq!(first(false), byte_at(0), "the chunk is older");
        assert_eq!(first(true), 255);
    }

    #[tokio::test(start_paused = true)]
    async fn chunks_nobody_reads_are_given_back() {
        let (_directory, reader) = reader("idle");
        let held = |reader: &SegmentColdReader| reader.lock().chunks.len();
        for _ in 0..3 {
            assert!(reader.read(vec![place(0, 300_000)], Freshness::Cached).await[0].is_ok());
            tokio::time::sleep(IDLE_AFTER / 2).await;
            assert_eq!(held(&reader), 1, "it is read again and again");
        }
        tokio::time::sleep(IDLE_AFTER * 2).await;
        assert_eq!(held(&reader), 0);
        assert!(reader.read(vec![place(0, 300_000)], Freshness::Cached).await[0].is_ok());
        assert_eq!(held(&reader), 1);
        tokio::time::sleep(IDLE_AFTER * 2).await;
        assert_eq!(held(&reader), 0, "also the second time");
    }

    #[test]
    fn a_missing_file_is_an_error_of_its_slice_and_nothing_is_kept() {
        let (_directory, reader) = reader("missing");
        let mut missing = place(0, 300_000);
        missing.file = "another".into();
        let results = reader.read_all(&[missing, place(0, 300_000)], false);
        assert!(results[0].is_err() && results[1].is_ok());
    }
}
