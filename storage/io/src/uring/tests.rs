//! The suite, and what is the ring's own: restrictions, wake-ups, threads, short transfers.

use std::path::PathBuf;
use std::thread;

use io_uring::opcode;
use nix::libc;

use super::*;
use crate::conformance::{self, Subject, pattern};
use crate::testing::ScratchDirectory;

/// A disk that makes writes durable in a given way, whatever the device says.
fn open(path: &Path, write_end: WriteEnd) -> Result<UringDisk, DiskError> {
    let options = DiskOptions { write_end: Some(write_end), ..DiskOptions::default() };
    UringDisk::open(path, options)
}

fn conforms(path: &Path, write_end: WriteEnd) {
    let mut subject = Subject {
        open: &mut || open(path, write_end),
        drive: &mut |disk: &mut UringDisk| disk.wait(None),
    };
    conformance::run(&mut subject);
}

#[test]
fn it_conforms_where_a_flag_makes_writes_durable() {
    let scratch = ScratchDirectory::new("uring-flag");
    conforms(scratch.path(), WriteEnd::Flag);
}

#[test]
fn it_conforms_where_a_flush_makes_writes_durable() {
    let scratch = ScratchDirectory::new("uring-flush");
    conforms(scratch.path(), WriteEnd::Flush);
}

#[test]
fn it_conforms_through_the_page_cache() {
    let scratch = ScratchDirectory::new_in(&PathBuf::from("/dev/shm"), "uring-tmpfs");
    conforms(scratch.path(), WriteEnd::Flush);
}

#[test]
fn the_flag_is_taken_only_where_the_device_says_it_is_cheap() {
    let device = |fua, cache: Option<&str>| DeviceFacts {
        fua,
        write_cache: cache.map(str::to_owned),
        ..DeviceFacts::default()
    };
    assert_eq!(write_end(&device(Some(true), Some("write back"))), WriteEnd::Flag);
    assert_eq!(write_end(&device(Some(false), Some("write through"))), WriteEnd::Flag);
    assert_eq!(write_end(&device(Some(false), Some("write back"))), WriteEnd::Flush);
    assert_eq!(write_end(&device(None, None)), WriteEnd::Flush);
}

#[test]
fn it_conforms_without_ever_sleeping() {
    let scratch = ScratchDirectory::new("uring-spin");
    let mut subject = Subject {
        open: &mut || UringDisk::open(scratch.path(), DiskOptions::default()),
        drive: &mut |_: &mut UringDisk| thread::yield_now(),
    };
    conformance::run(&mut subject);
}

#[test]
fn a_forbidden_opcode_is_refused_by_the_kernel() {
    let sleeper = Sleeper::new().unwrap();
    let mut ring = Ring::new(sleeper.eventfd(), WriteEnd::Flag).unwrap();
    for entry in [
        opcode::Nop::new().build(),
        opcode::Fallocate::new(io_uring::types::Fd(0), 4096).build(),
        opcode::Close::new(io_uring::types::Fd(sleeper.eventfd())).build(),
    ] {
        assert_eq!(ring.answer_to(&entry.user_data(9)).unwrap(), -libc::EACCES);
    }
}

#[test]
fn a_wake_from_another_thread_ends_a_wait_without_limit() {
    let scratch = ScratchDirectory::new("uring-wake");
    let mut disk = UringDisk::open(scratch.path(), DiskOptions::default()).unwrap();
    for _ in 0..1_000 {
        let waker = disk.waker();
        let other = thread::spawn(move || waker.wake());
        disk.wait(None);
        other.join().unwrap();
    }
}

#[test]
fn a_wait_ends_when_its_time_is_up() {
    let scratch = ScratchDirectory::new("uring-time");
    let mut disk = UringDisk::open(scratch.path(), DiskOptions::default()).unwrap();
    disk.wait(Some(1_000_000));
    disk.wait(Some(0));
    let mut completions = Vec::new();
    disk.poll(&mut completions);
    assert!(completions.is_empty());
}

#[test]
fn a_disk_opened_here_may_be_driven_there() {
    let scratch = ScratchDirectory::new("uring-move");
    let mut disk = UringDisk::open(scratch.path(), DiskOptions::default()).unwrap();
    let file = disk.create("a", 1 << 20).unwrap();
    let drive = move || {
        disk.submit_write(file, 0, pattern(1, 1), Token(1));
        let mut completions = Vec::new();
        while completions.is_empty() {
            disk.wait(None);
            disk.poll(&mut completions);
        }
        assert!(matches!(completions[..], [Completion::Write { result: Ok(()), .. }]));
    };
    thread::spawn(drive).join().unwrap();
}

#[test]
fn a_ring_used_by_a_second_thread_fails_its_disk_instead_of_hanging() {
    let scratch = ScratchDirectory::new("uring-second");
    let mut disk = UringDisk::open(scratch.path(), DiskOptions::default()).unwrap();
    let file = disk.create("a", 1 << 20).unwrap();
    disk.wait(Some(0));
    let mut disk = thread::spawn(move || {
        disk.submit_write(file, 0, pattern(1, 1), Token(1));
        let mut completions = Vec::new();
        while completions.is_empty() {
            disk.wait(Some(1_000_000));
            disk.poll(&mut completions);
        }
        let Completion::Write { result: Err(error), .. } = &completions[0] else { panic!() };
        assert_eq!(error.kind, crate::DiskErrorKind::Failed);
        disk
    })
    .join()
    .unwrap();
    assert!(disk.write(file, 0, pattern(1, 1)).is_err(), "a device does not heal");
}

#[test]
fn dropping_it_with_writes_in_flight_waits_for_the_kernel_and_frees_the_memory() {
    let scratch = ScratchDirectory::new("uring-drop");
    let pool = BufferPool::new(1 << 20);
    let mut disk = UringDisk::open(scratch.path(), DiskOptions::default()).unwrap();
    let file = disk.create("a", 1 << 20).unwrap();
    let mut buf = pool.take(16_384);
    buf.reserve_zeroed(16_384);
    let data = buf.freeze();
    for number in 0..100 {
        disk.submit_write(file, 0, data.clone(), Token(number));
    }
    disk.wait(Some(0));
    drop(disk);
    drop(data);
    assert_eq!(pool.status().idle_bytes, 16_384, "nobody holds the frame any more");
    UringDisk::open(scratch.path(), DiskOptions::default()).unwrap();
}

#[test]
fn a_written_block_is_not_reported_before_its_flush_has_ended() {
    let scratch = ScratchDirectory::new("uring-order");
    let mut disk = open(scratch.path(), WriteEnd::Flush).unwrap();
    let file = disk.create("a", 1 << 20).unwrap();
    for number in 0..4 {
        disk.submit_write(file, number * 4096, pattern(1, 1), Token(number));
    }
    let (mut looks, mut seen, mut reported) = (0, 0, 0);
    while reported < 4 {
        disk.ring.submit_and_wait(None).unwrap();
        let before = reported;
        let reaped = disk.ring.reap(|_| reported += 1);
        seen += reaped.completions;
        looks += 1;
        if looks == 1 {
            assert_eq!(reported, 0, "the first look finds writes, never a flush");
        }
        assert!(reported == before || seen > reported, "a report takes one completion more");
    }
    assert!((5..=8).contains(&seen), "four writes and one to four flushes: {seen}");
}

mod short_transfers {
    //! The kernel may move less than asked; nothing is reported before it is whole.

    use super::ring::Progress;
    use super::*;
    use crate::BLOCK_BYTES;

    fn write(blocks: usize) -> Transfer {
        let file = std::fs::File::open("/dev/null").unwrap();
        let file = crate::directory::OpenFile {
            name: "a".into(),
            file: std::sync::Arc::new(file),
            len_bytes: 1 << 20,
        };
        let work = Work::Write { data: pattern(1, blocks), done: 0 };
        Transfer { token: Token(1), file, offset: 0, work, again: 0 }
    }

    /// Whether it is whole, or failed, or neither yet.
    fn result(progress: Progress) -> Option<bool> {
        match progress {
            Progress::Unfinished(_) => None,
            Progress::Written(_) => Some(true),
            Progress::Ended(Completion::Write { result, .. }) => Some(result.is_ok()),
            Progress::Ended(other) => panic!("{other:?}"),
        }
    }

    fn unfinished(progress: Progress) -> Transfer {
        let Progress::Unfinished(transfer) = progress else { panic!("whole, or failed") };
        transfer
    }

    #[test]
    fn a_short_write_goes_on_behind_its_last_whole_block() {
        let rest = unfinished(write(4).account(BLOCK_BYTES as i32 + 512));
        let Work::Write { done, .. } = &rest.work else { panic!() };
        assert_eq!(*done, BLOCK_BYTES);
        assert_eq!(result(rest.account(3 * BLOCK_BYTES as i32)), Some(true));
    }

    #[test]
    fn a_write_that_moves_nothing_has_failed() {
        assert_eq!(result(write(4).account(0)), Some(false));
        assert_eq!(result(write(4).account(512)), Some(false));
    }

    #[test]
    fn an_error_is_final_but_for_an_interruption() {
        assert_eq!(result(write(4).account(-libc::EIO)), Some(false));
        assert_eq!(result(write(4).account(-libc::ENOSPC)), Some(false));
        let mut interrupted = write(4);
        for _ in 0..64 {
            interrupted = unfinished(interrupted.account(-libc::EINTR));
        }
        assert_eq!(result(interrupted.account(-libc::EINTR)), Some(false), "not for ever");
    }
}
