//! The suite, with and without O_DIRECT, and what is this back end's own.

use std::path::PathBuf;

use super::*;
use crate::conformance::{self, Subject};
use crate::testing::ScratchDirectory;

fn conforms(path: &Path) {
    let mut subject = Subject {
        open: &mut || Pwritev2Disk::open(path, DiskOptions::default()),
        drive: &mut |disk: &mut Pwritev2Disk| disk.wait(None),
    };
    conformance::run(&mut subject);
}

#[test]
fn it_conforms_with_direct_io() {
    let scratch = ScratchDirectory::new("pwritev2");
    conforms(scratch.path());
}

#[test]
fn it_conforms_through_the_page_cache() {
    let scratch = ScratchDirectory::new_in(&PathBuf::from("/dev/shm"), "pwritev2-tmpfs");
    conforms(scratch.path());
}

#[test]
fn a_missing_directory_is_not_made() {
    let scratch = ScratchDirectory::new("pwritev2-missing");
    let missing = scratch.path().join("not-mounted");
    let kind = Pwritev2Disk::open(&missing, DiskOptions::default()).map(|_| ()).map_err(|e| e.kind);
    assert_eq!(kind, Err(crate::DiskErrorKind::NotFound));
    assert!(!missing.exists());
}

#[test]
fn a_wake_ends_the_wait_for_completions() {
    let scratch = ScratchDirectory::new("pwritev2-wake");
    let mut disk = Pwritev2Disk::open(scratch.path(), DiskOptions::default()).unwrap();
    let waker = disk.waker();
    let other = std::thread::spawn(move || waker.wake());
    disk.wait(None);
    other.join().unwrap();
}

#[test]
fn dropping_it_with_writes_in_flight_releases_the_lock_and_the_memory() {
    let scratch = ScratchDirectory::new("pwritev2-drop");
    let pool = BufferPool::new(1 << 20);
    let mut disk = Pwritev2Disk::open(scratch.path(), DiskOptions::default()).unwrap();
    let file = disk.create("a", 1 << 20).unwrap();
    let mut buf = pool.take(16_384);
    buf.reserve_zeroed(16_384);
    let data = buf.freeze();
    for number in 0..50 {
        disk.submit_write(file, 0, data.clone(), Token(number));
    }
    drop(disk);
    drop(data);
    assert_eq!(pool.status().idle_bytes, 16_384, "nobody holds the frame any more");
    Pwritev2Disk::open(scratch.path(), DiskOptions::default()).unwrap();
}
