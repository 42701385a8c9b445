//! Claims about the directory on a real file system.

use super::*;
use crate::testing::ScratchDirectory;

#[test]
fn half_made_files_are_neither_listed_nor_kept() {
    let scratch = ScratchDirectory::new("directory");
    fs::write(scratch.path().join("segment.creating"), b"zeros").unwrap();
    let directory = Directory::open(scratch.path()).unwrap();
    assert_eq!(directory.list(), Ok(Vec::new()));
    assert!(!scratch.path().join("segment.creating").exists());
}

#[test]
fn files_are_for_our_user_only_and_written_not_allocated() {
    use std::os::unix::fs::MetadataExt;
    let scratch = ScratchDirectory::new("directory-mode");
    let directory = Directory::open(scratch.path()).unwrap();
    directory.place().create_file("a", 3 << 20).unwrap();
    let metadata = fs::metadata(scratch.path().join("a")).unwrap();
    assert_eq!(metadata.mode() & 0o777, 0o600);
    assert!(metadata.blocks() * 512 >= 3 << 20);
}

#[test]
fn a_locked_directory_names_the_pid_that_holds_it() {
    let scratch = ScratchDirectory::new("directory-lock");
    let _first = Directory::open(scratch.path()).unwrap();
    let error = Directory::open(scratch.path()).map(|_| ()).unwrap_err();
    assert_eq!(error.kind, DiskErrorKind::Locked);
    assert!(error.detail.contains(&std::process::id().to_string()), "{error}");
}

#[test]
fn no_space_no_descriptors_and_no_permission_are_told_apart() {
    let kind = |errno: i32| disk_error(String::new(), &io::Error::from_raw_os_error(errno)).kind;
    assert_eq!(kind(libc::ENOSPC), DiskErrorKind::Full);
    assert_eq!(kind(libc::EDQUOT), DiskErrorKind::Full);
    assert_eq!(kind(libc::EMFILE), DiskErrorKind::Exhausted);
    assert_eq!(kind(libc::ENFILE), DiskErrorKind::Exhausted);
    assert_eq!(kind(libc::EROFS), DiskErrorKind::Denied);
    assert_eq!(kind(libc::ENOENT), DiskErrorKind::NotFound);
    assert_eq!(kind(libc::EIO), DiskErrorKind::Failed);
}

#[test]
#[should_panic(expected = "no name for a file here")]
fn a_name_cannot_leave_the_directory() {
    assert_file_name("../elsewhere");
}
