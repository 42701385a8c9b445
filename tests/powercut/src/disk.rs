//! A disk with a volatile write cache: what is not flushed may be lost, in part, in any order.
//!
//! ```text
//! write ─▶ cache: sector ─▶ versions, oldest first ──┐ flush: the newest version of each
//! read  ◀─ newest version, else ◀──── file ◀─────────┘ cut:   what `survivors` leaves, and no more
//! ```
//!
//! The file is the medium: the host stays up, so what was written to it is there after the cut.
//! Several versions of a sector are kept, since a disk may have written an older one to its medium
//! before a newer one came into the cache.
//!
//! Invariant: until a flush, or a write with FUA, the file holds nothing of a write, so that a cut
//! that leaves nothing loses everything since the last flush.
//!
//! A disk that [lies](Disk::lie) answers flushes and keeps everything in its cache: what a disk
//! without capacitors and a bad setting does. A store that is judged lossless on it shows that the
//! judge sees nothing.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use holdfast_base::Rng;

use crate::survivors::{Loss, Version, survivors};

/// The unit a disk never tears.
pub(crate) const SECTOR_BYTES: usize = 512;
/// Frames of the log begin on blocks of this size with this magic: see `storage/FORMAT.md`.
const BLOCK_SECTORS: u64 = 8;
const FRAME_MAGIC: &[u8] = b"HFWALFRM";

#[derive(Debug)]
struct Cached {
    /// Number of the write it came with.
    write: u64,
    bytes: Box<[u8; SECTOR_BYTES]>,
}

/// Whether a sector is the head of a frame of the log.
fn is_head(place: u64, bytes: &[u8; SECTOR_BYTES]) -> bool {
    place.is_multiple_of(BLOCK_SECTORS) && bytes.starts_with(FRAME_MAGIC)
}

/// What a cut found in the cache and left of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Cut {
    /// Sectors written and not flushed.
    pub(crate) unflushed: usize,
    /// Of those, sectors that are on the medium in some version.
    pub(crate) survived: usize,
    /// Of those, in an older version than the newest.
    pub(crate) older: usize,
    /// Heads of frames of the log among the unflushed.
    pub(crate) frames: usize,
    /// Sectors that were flushed and kept back by a disk that lies: all of them are lost.
    pub(crate) lied: usize,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Disk {
    file: File,
    len_bytes: u64,
    cache: BTreeMap<u64, Vec<Cached>>,
    writes: u64,
    lies: bool,
    /// Flushed only in words.
    kept_back: BTreeMap<u64, Box<[u8; SECTOR_BYTES]>>,
}

impl Disk {
    /// A disk whose medium is `file`.
    pub(crate) fn new(file: File) -> io::Result<Disk> {
        let len_bytes = file.metadata()?.len();
        let (cache, kept_back) = (BTreeMap::new(), BTreeMap::new());
        Ok(Disk { file, len_bytes, cache, writes: 0, lies: false, kept_back })
    }

    /// Its size.
    pub(crate) fn len_bytes(&self) -> u64 {
        self.len_bytes
    }

    /// From now on flushes are answered and do nothing.
    pub(crate) fn lie(&mut self) {
        self.lies = true;
    }

    /// Sectors written and not flushed.
    pub(crate) fn unflushed(&self) -> usize {
        self.cache.len()
    }

    /// Heads of frames of the log among them.
    pub(crate) fn unflushed_frames(&self) -> usize {
        let has_head = |(place, versions): &(&u64, &Vec<Cached>)| {
            versions.iter().any(|one| is_head(**place, &one.bytes))
        };
        self.cache.iter().filter(has_head).count()
    }

    /// The newest bytes, from the cache or the medium. Both arguments are whole sectors.
    pub(crate) fn read(&self, offset: u64, bytes: &mut [u8]) -> io::Result<()> {
        self.file.read_exact_at(bytes, offset)?;
        let first = offset / SECTOR_BYTES as u64;
        let (sectors, _) = bytes.as_chunks_mut::<SECTOR_BYTES>();
        for (sector, place) in sectors.iter_mut().zip(first..) {
            if let Some(newest) = self.cache.get(&place).and_then(|versions| versions.last()) {
                sector.copy_from_slice(&*newest.bytes);
            } else if let Some(kept) = self.kept_back.get(&place) {
                sector.copy_from_slice(&**kept);
            }
        }
        Ok(())
    }

    /// Takes bytes into the cache; says how many heads of frames are among them.
    pub(crate) fn write(&mut self, offset: u64, bytes: &[u8]) -> usize {
        self.writes += 1;
        let first = offset / SECTOR_BYTES as u64;
        let (sectors, _) = bytes.as_chunks::<SECTOR_BYTES>();
        let mut frames = 0;
        for (sector, place) in sectors.iter().zip(first..) {
            frames += usize::from(is_head(place, sector));
            let cached = Cached { write: self.writes, bytes: Box::new(*sector) };
            self.cache.entry(place).or_default().push(cached);
        }
        frames
    }

    /// Takes bytes to the medium, past the cache.
    pub(crate) fn write_through(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.write(offset, bytes);
        let first = offset / SECTOR_BYTES as u64;
        for place in first..first + (bytes.len() / SECTOR_BYTES) as u64 {
            let Some(newest) = self.cache.remove(&place).and_then(|mut all| all.pop()) else {
                continue;
            };
            self.keep(place, newest.bytes)?;
        }
        Ok(())
    }

    /// Everything in the cache reaches the medium.
    pub(crate) fn flush(&mut self) -> io::Result<()> {
        for (place, mut versions) in std::mem::take(&mut self.cache) {
            if let Some(newest) = versions.pop() {
                self.keep(place, newest.bytes)?;
            }
        }
        Ok(())
    }

    fn keep(&mut self, place: u64, bytes: Box<[u8; SECTOR_BYTES]>) -> io::Result<()> {
        if self.lies {
            self.kept_back.insert(place, bytes);
            return Ok(());
        }
        self.file.write_all_at(&*bytes, place * SECTOR_BYTES as u64)
    }

    /// The power goes: part of the cache reaches the medium, the rest is gone.
    pub(crate) fn cut(&mut self, loss: Loss, rng: &mut impl Rng) -> io::Result<Cut> {
        let frames = self.unflushed_frames();
        let cache = std::mem::take(&mut self.cache);
        let lied = std::mem::take(&mut self.kept_back).len();
        let versions = |(place, versions): (&u64, &Vec<Cached>)| {
            (*place, versions.iter().map(|one| Version(one.write)).collect())
        };
        let offered: Vec<(u64, Vec<Version>)> = cache.iter().map(versions).collect();
        let mut cut = Cut { unflushed: cache.len(), frames, lied, ..Cut::default() };
        for ((place, versions), survivor) in cache.iter().zip(survivors(&offered, loss, rng)) {
            let Some(which) = survivor else { continue };
            cut.survived += 1;
            cut.older += usize::from(which + 1 < versions.len());
            self.file.write_all_at(&*versions[which].bytes, place * SECTOR_BYTES as u64)?;
        }
        self.lies = false;
        Ok(cut)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use holdfast_base::SplitMix64;

    const OLD: [u8; SECTOR_BYTES] = [1; SECTOR_BYTES];
    const NEW: [u8; SECTOR_BYTES] = [2; SECTOR_BYTES];
    const FRAME: [u8; SECTOR_BYTES] = {
        let mut bytes = [0; SECTOR_BYTES];
        let mut at = 0;
        while at < FRAME_MAGIC.len() {
            bytes[at] = FRAME_MAGIC[at];
            at += 1;
        }
        bytes
    };

    fn disk(name: &str) -> Disk {
        let path = std::env::temp_dir().join(format!("powercut-{name}-{}", std::process::id()));
        let file = File::options().create(true).truncate(true).read(true).write(true).open(&path);
        let file = file.unwrap();
        std::fs::remove_file(path).unwrap();
        file.set_len(64 * SECTOR_BYTES as u64).unwrap();
        Disk::new(file).unwrap()
    }

    fn sector(disk: &Disk, place: u64) -> [u8; SECTOR_BYTES] {
        let mut bytes = [0; SECTOR_BYTES];
        disk.read(place * SECTOR_BYTES as u64, &mut bytes).unwrap();
        bytes
    }

    fn cut(disk: &mut Disk, loss: Loss) -> Cut {
        disk.cut(loss, &mut SplitMix64::new(7)).unwrap()
    }

    #[test]
    fn what_was_flushed_stays_and_what_was_not_goes() {
        let mut disk = disk("flushed");
        disk.write(0, &OLD);
        disk.flush().unwrap();
        disk.write(0, &NEW);
        disk.write(SECTOR_BYTES as u64, &NEW);
        assert_eq!(sector(&disk, 0), NEW);
        let cut = cut(&mut disk, Loss::All);
        assert_eq!((cut.unflushed, cut.survived), (2, 0));
        assert_eq!(sector(&disk, 0), OLD);
        assert_eq!(sector(&disk, 1), [0; SECTOR_BYTES]);
    }

    #[test]
    fn a_write_with_fua_is_on_the_medium_and_flushes_nothing_else() {
        let mut disk = disk("fua");
        disk.write(0, &NEW);
        disk.write(SECTOR_BYTES as u64, &OLD);
        disk.write_through(SECTOR_BYTES as u64, &NEW).unwrap();
        assert_eq!(cut(&mut disk, Loss::All).unflushed, 1);
        assert_eq!(sector(&disk, 0), [0; SECTOR_BYTES]);
        assert_eq!(sector(&disk, 1), NEW);
    }

    #[test]
    fn a_cut_that_loses_nothing_keeps_the_newest() {
        let mut disk = disk("kept");
        disk.write(0, &OLD);
        disk.write(0, &NEW);
        let cut = cut(&mut disk, Loss::None);
        assert_eq!((cut.unflushed, cut.survived, cut.older), (1, 1, 0));
        assert_eq!(sector(&disk, 0), NEW);
    }

    #[test]
    fn a_disk_that_lies_shows_the_bytes_until_the_power_goes() {
        let mut disk = disk("lies");
        disk.write(0, &OLD);
        disk.flush().unwrap();
        disk.lie();
        disk.write(0, &NEW);
        disk.flush().unwrap();
        assert_eq!(sector(&disk, 0), NEW);
        let cut = cut(&mut disk, Loss::None);
        assert_eq!((cut.unflushed, cut.lied), (0, 1));
        assert_eq!(sector(&disk, 0), OLD);
    }

    #[test]
    fn heads_of_frames_are_told_from_other_sectors() {
        let mut disk = disk("frames");
        disk.write(0, &FRAME);
        disk.write(BLOCK_SECTORS * SECTOR_BYTES as u64, &FRAME);
        // Bytes of a record may look like one.
        disk.write(3 * SECTOR_BYTES as u64, &FRAME);
        assert_eq!((disk.unflushed(), disk.unflushed_frames()), (3, 2));
    }
}
