//! Did the kill fall into what the rounds over a trimmed log are about?
//!
//! | under way | seen while the node runs | and proved by what the kill left |
//! | --- | --- | --- |
//! | an upload | an object's file with `#` in its name, which the store writes before it renames it | that file |
//! | a trim | by the newest header, more than half of the log is in use | the same |
//!
//! A node gives segments back while more than half of its log is in use, and how far it has got is
//! durable only with the header of the next segment. So where the newest header says that more than
//! half is in use, a trim was due since that segment began and is not on the device: states are being
//! kept for it, or it is done in memory alone.
//!
//! Headers are looked at with direct reads: see `segment_watch`.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use holdfast_crash::Result;

use crate::autopsy::Autopsy;
use crate::segment_watch::newest_and_oldest;

/// What a kill fell into.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Premise {
    /// An object was being written.
    pub(crate) upload: bool,
    /// Segments were being given back.
    pub(crate) trim: bool,
}

impl Premise {
    /// Whether the kill proves what it is for.
    pub(crate) fn holds(self) -> bool {
        self.upload && self.trim
    }
}

/// Looks at a log and its store from outside.
#[derive(Debug)]
pub(crate) struct StoreWatch {
    objects: PathBuf,
    log: PathBuf,
    capacity_bytes: u64,
    /// Half-written objects of earlier kills: nothing removes them.
    known: BTreeSet<PathBuf>,
}

impl StoreWatch {
    /// `wal_size` as the node was given it.
    pub(crate) fn new(objects: &Path, log: &Path, wal_size: &str) -> Result<StoreWatch> {
        let capacity_bytes = bytes(wal_size)
            .ok_or_else(|| format!("--wal-size {wal_size}: give it in MiB or GiB"))?;
        let (objects, log) = (objects.to_owned(), log.to_owned());
        Ok(StoreWatch { objects, log, capacity_bytes, known: BTreeSet::new() })
    }

    /// Whether a trim is due, while the node runs.
    pub(crate) fn trim_is_due(&self) -> bool {
        newest_and_oldest(&self.log).is_some_and(|(newest, oldest, segment_bytes)| {
            newest.saturating_sub(oldest) * segment_bytes > self.capacity_bytes / 2
        })
    }

    /// Whether an object is being written, while the node runs.
    pub(crate) fn upload_is_under_way(&self) -> bool {
        self.half_written().any(|path| !self.known.contains(&path))
    }

    /// What the kill left of both. Asked once for each kill.
    pub(crate) fn left(&mut self, found: &Autopsy) -> Premise {
        let half_written: BTreeSet<PathBuf> = self.half_written().collect();
        let upload = half_written.difference(&self.known).next().is_some();
        self.known.extend(half_written);
        Premise { upload, trim: found.in_use_bytes() > self.capacity_bytes / 2 }
    }

    /// `<cluster>/<shard>/<object>#<number>`; states lie one directory deeper.
    fn half_written(&self) -> impl Iterator<Item = PathBuf> {
        let list = |path: &Path| fs::read_dir(path).into_iter().flatten().flatten();
        let shards = list(&self.objects).flat_map(move |cluster| list(&cluster.path()));
        let files = shards.flat_map(move |shard| list(&shard.path()));
        let half = files.filter(|file| file.file_name().to_string_lossy().contains('#'));
        half.map(|file| file.path())
    }
}

/// A size as the daemon takes it, in whole MiB or GiB.
fn bytes(size: &str) -> Option<u64> {
    let number = |unit: &str| size.strip_suffix(unit)?.trim().parse::<u64>().ok();
    number("MiB").map(|mib| mib << 20).or_else(|| number("GiB").map(|gib| gib << 30))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_those_of_the_daemon() {
        assert_eq!(bytes("48MiB"), Some(48 << 20));
        assert_eq!(bytes("2 GiB"), Some(2 << 30));
        assert_eq!(bytes("48"), None);
    }

    #[test]
    fn a_half_written_object_counts_for_the_kill_that_left_it_and_a_state_does_not() {
        let root = std::env::temp_dir().join(format!("premise-{}", std::process::id()));
        let shard = root.join("cluster/00000001");
        fs::create_dir_all(shard.join("state")).unwrap();
        fs::write(shard.join("state/7#1"), b"").unwrap();
        fs::write(shard.join("whole"), b"").unwrap();
        let mut watch = StoreWatch::new(&root, &root.join("none"), "48MiB").unwrap();
        assert!(!watch.upload_is_under_way());
        fs::write(shard.join("half#1"), b"").unwrap();
        assert!(watch.upload_is_under_way());
        let left: BTreeSet<PathBuf> = watch.half_written().collect();
        watch.known.extend(left);
        assert!(!watch.upload_is_under_way());
        fs::remove_dir_all(root).unwrap();
    }
}
