//! The contract on a real directory, and what a start meets when that directory is not what it was.

use std::env;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

use holdfast_base::{ReplicaId, ShardId};

use super::*;
use crate::conformance::{self, Subject};
use crate::error::Action;

const OWNER: Owner = Owner { shard: ShardId(1), replica: ReplicaId(1) };

/// A directory that goes with its test.
struct Place(PathBuf);

impl Place {
    fn new() -> Place {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("state-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        // In memory where there is such a place: the suite flushes thousands of times, and what is
        // asked of the device here is only its contents.
        let memory = PathBuf::from("/dev/shm");
        let path = if memory.is_dir() { memory } else { env::temp_dir() }.join(name);
        fs::create_dir(&path).unwrap();
        Place(path)
    }

    fn store(&self) -> PathBuf {
        self.0.join("db")
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.0));
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}

/// What the kernel has of the store is what the end of the process leaves; memtables go with it.
struct OnDisk {
    place: Place,
    count: u32,
}

impl OnDisk {
    fn next(&mut self) -> PathBuf {
        self.count += 1;
        self.place.0.join(self.count.to_string())
    }
}

impl Subject for OnDisk {
    type Store = RocksState;

    fn fresh(&mut self) -> RocksState {
        RocksState::open(&self.next()).unwrap()
    }

    fn crash(&mut self, store: RocksState) -> RocksState {
        let left = self.next();
        // A compaction would take tables away while they are copied.
        store.db.cancel_all_background_work(true);
        copy(store.db.path(), &left);
        let before = store.db.path().to_owned();
        drop(store);
        fs::remove_dir_all(before).unwrap();
        RocksState::open(&left).unwrap()
    }
}

#[test]
fn rocksdb_keeps_the_contract() {
    conformance::run(&mut OnDisk { place: Place::new(), count: 0 });
}

fn number(number: u32) -> [u8; 4] {
    number.to_be_bytes()
}

/// Three tables of rows that do not compress to nothing.
fn filled(directory: &Path) {
    let mut store = RocksState::open(directory).unwrap();
    for table in 0..3_u32 {
        let mut changes = Changes::new();
        for row in 0..500_u32 {
            let value: Vec<u8> = (0..40).map(|at| (row * 31 + at * table * 7) as u8).collect();
            changes.put(number(table * 500 + row).to_vec(), value);
        }
        store.write(OWNER, &changes, Index(u64::from(table) + 1)).unwrap();
        store.flush().unwrap();
    }
}

/// Everything in it, as a start reads it.
fn read_all(directory: &Path) -> Result<usize, StateError> {
    let store = RocksState::open(directory)?;
    let mut rows = 0;
    for owner in store.owners()? {
        rows += store.scan(owner, b"", None, usize::MAX)?.len();
    }
    Ok(rows)
}

fn files(directory: &Path, wanted: &str) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.file_name().unwrap().to_string_lossy().contains(wanted))
        .collect();
    found.sort();
    found
}

#[test]
fn a_start_finds_what_was_flushed_and_an_empty_directory_is_an_empty_store() {
    let place = Place::new();
    assert_eq!(read_all(&place.store()), Ok(0), "no directory");
    filled(&place.store());
    assert_eq!(read_all(&place.store()), Ok(1_500));
    let empty = place.0.join("empty");
    fs::create_dir(&empty).unwrap();
    assert_eq!(read_all(&empty), Ok(0));
}

#[test]
fn damage_is_told_as_damage_and_the_store_begins_anew_once_it_is_set_aside() {
    type Damage = fn(&Path);
    let damages: [(&str, Damage); 9] = [
        ("a table with a flipped bit", |directory| {
            let table = &files(directory, ".sst")[0];
            let mut bytes = fs::read(table).unwrap();
            bytes[200] ^= 1;
            fs::write(table, bytes).unwrap();
        }),
        ("a table cut short", |directory| {
            let table = &files(directory, ".sst")[0];
            let bytes = fs::read(table).unwrap();
            fs::write(table, &bytes[..bytes.len() / 2]).unwrap();
        }),
        ("an empty table", |directory| fs::write(&files(directory, ".sst")[0], b"").unwrap()),
        ("no table", |directory| fs::remove_file(&files(directory, ".sst")[0]).unwrap()),
        ("another CURRENT", |directory| {
            fs::write(directory.join("CURRENT"), b"nonsense").unwrap();
        }),
        ("a CURRENT that names no manifest", |directory| {
            fs::write(directory.join("CURRENT"), b"MANIFEST-999999\n").unwrap();
        }),
        ("no CURRENT", |directory| fs::remove_file(directory.join("CURRENT")).unwrap()),
        ("a manifest of zeros", |directory| {
            for manifest in files(directory, "MANIFEST") {
                let len = fs::read(&manifest).unwrap().len();
                fs::write(manifest, vec![0; len]).unwrap();
            }
        }),
        ("a manifest with a flipped bit", |directory| {
            for manifest in files(directory, "MANIFEST") {
                let mut bytes = fs::read(&manifest).unwrap();
                let middle = bytes.len() / 2;
                bytes[middle] ^= 1;
                fs::write(manifest, bytes).unwrap();
            }
        }),
    ];
    for (what, damage) in damages {
        let place = Place::new();
        filled(&place.store());
        damage(&place.store());
        let error = read_all(&place.store()).expect_err(what);
        assert!(matches!(error, StateError::Damaged { .. }), "{what}: {error:?}");
        assert_eq!(error.action(), Action::Rebuild);
        set_aside(&place.store()).unwrap();
        assert_eq!(read_all(&place.store()), Ok(0), "{what}");
        assert!(place.0.join("db.damaged").is_dir(), "the evidence is kept");
    }
}

#[test]
fn a_second_evidence_takes_the_place_of_the_first() {
    let place = Place::new();
    for name in ["one", "two"] {
        fs::create_dir(place.store()).unwrap();
        fs::write(place.store().join(name), b"").unwrap();
        set_aside(&place.store()).unwrap();
    }
    assert_eq!(files(&place.0.join("db.damaged"), "").len(), 1);
    assert!(place.0.join("db.damaged/two").is_file());
}

#[test]
fn a_file_where_the_directory_should_be_is_for_a_person() {
    let place = Place::new();
    fs::write(place.store(), b"not a store").unwrap();
    let error = RocksState::open(&place.store()).unwrap_err();
    assert_eq!(error.action(), Action::Stop, "{error:?}");
    assert_eq!(fs::read(place.store()).unwrap(), b"not a store", "left as it is");
}

#[test]
fn a_store_that_is_open_is_not_opened_again() {
    let place = Place::new();
    let _open = RocksState::open(&place.store()).unwrap();
    let error = RocksState::open(&place.store()).unwrap_err();
    assert!(matches!(error.action(), Action::Stop | Action::Retry), "{error:?}");
}

#[test]
fn words_of_the_system_are_told_by_what_to_do() {
    use rocksdb::ErrorKind::{Corruption, IOError};
    for (kind, words, action) in [
        (IOError, "IO error: No space left on device: While appending to file", Action::Retry),
        (IOError, "IO error: Disk quota exceeded: While appending to file", Action::Retry),
        (IOError, "IO error: Input/output error: While fsync", Action::Stop),
        (IOError, "IO error: Permission denied: While opening a file", Action::Stop),
        (IOError, "IO error: No such file or directory: While open a file", Action::Rebuild),
        (Corruption, "Corruption: block checksum mismatch", Action::Rebuild),
    ] {
        let error = read_words(kind, words.to_owned());
        assert_eq!(error.action(), action, "{words}");
    }
}
