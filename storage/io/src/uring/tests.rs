//! The suite, and what is the ring's own: restrictions, wake-ups, threads, short transfers.

use std::path::PathBuf;
use std::thread;

use io_uring::opcode;
use nix::libc;

use super::*;
use crate::conformance::{self, Subject, pattern};
use crate::testing::ScratchDirectory;

fn conforms(path: &Path) {
    let mut subject = Subject {
        open: &mut || UringDisk::open(path, DiskOptions::default()),
        drive: &mut |disk: &mut UringDisk| disk.wait(None),
    };
    conformance::run(&mut subject);
}

#[test]
fn it_conforms_with_direct_io() {
    let scratch = ScratchDirectory::new("uring");
    conforms(scratch.path());
}

#[test]
fn it_conforms_through_the_page_cache() {
    let scratch = ScratchDirectory::new_in(&PathBuf::from("/dev/shm"), "uring-tmpfs");
    conforms(scratch.path());
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
    let mut ring = Ring::new(sleeper.eventfd()).unwrap();
    for entry in [
        opcode::Nop::new().build(),
        opcode::Fsync::new(io_uring::types::Fd(0)).build(),
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

mod short_transfers {
    //! The kernel may move less than asked; nothing is reported before it is whole.

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

    fn result(transfer: Result<Completion, Transfer>) -> Option<bool> {
        match transfer {
            Ok(Completion::Write { result, .. }) => Some(result.is_ok()),
            Ok(other) => panic!("{other:?}"),
            Err(_) => None,
        }
    }

    #[test]
    fn a_short_write_goes_on_behind_its_last_whole_block() {
        let Err(rest) = write(4).account(BLOCK_BYTES as i32 + 512) else { panic!("not whole") };
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
            interrupted = interrupted.account(-libc::EINTR).err().unwrap();
        }
        assert_eq!(result(interrupted.account(-libc::EINTR)), Some(false), "not for ever");
    }
}
