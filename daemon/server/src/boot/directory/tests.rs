//! Every row of the table of what may be found.

use super::*;
use std::sync::atomic::{AtomicU32, Ordering};

/// A directory of this test alone, removed at its end.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Scratch {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("holdfast-directory-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        fs::create_dir(&path).expect("a fresh name");
        Scratch(path)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

const SEGMENT: u64 = 64 << 20;

#[test]
fn a_new_directory_gets_an_identity_that_stays() {
    let scratch = Scratch::new();
    let path = scratch.0.join("a/b");
    let mut made = open(&path, SEGMENT).expect("made");
    assert!(!made.identity.log_made);
    assert_ne!(made.identity.cluster, ClusterId::default());
    made.mark_log_made().expect("written");
    let again = open(&path, 1 << 20).expect("opened");
    assert_eq!(again.identity, made.identity, "the segment size stays what it was");
}

#[test]
fn two_directories_are_two_clusters() {
    let scratch = Scratch::new();
    let one = open(&scratch.0.join("one"), SEGMENT).expect("made");
    let two = open(&scratch.0.join("two"), SEGMENT).expect("made");
    assert_ne!(one.identity.cluster, two.identity.cluster);
}

#[test]
fn a_foreign_directory_is_refused_and_left_as_it_is() {
    let scratch = Scratch::new();
    fs::write(scratch.0.join("thesis.tex"), "work of years").expect("written");
    let report = open(&scratch.0, SEGMENT).expect_err("foreign");
    assert_eq!(report.code, Code::DataDirectoryForeign);
    assert!(report.why.contains("thesis.tex"));
    assert_eq!(fs::read_dir(&scratch.0).expect("there").count(), 1);
}

#[test]
fn an_identity_that_is_not_ours_is_foreign() {
    let texts = [&b""[..], b"holdfast 2\n", b"holdfast 1\ncluster zz\n", b"\0\x01", b"\xff\xfe"];
    for text in texts {
        let scratch = Scratch::new();
        fs::write(scratch.0.join(IDENTITY_FILE), text).expect("written");
        let report = open(&scratch.0, SEGMENT).expect_err("foreign");
        assert_eq!(report.code, Code::DataDirectoryForeign, "{text:?}");
    }
}

#[test]
fn a_first_start_that_did_not_end_is_begun_again() {
    let scratch = Scratch::new();
    let first = open(&scratch.0, SEGMENT).expect("made");
    fs::write(first.lane_path().join("superblock"), "half").expect("written");
    let second = open(&scratch.0, SEGMENT).expect("made again");
    assert_eq!(second.identity, first.identity);
    assert_eq!(fs::read_dir(second.lane_path()).expect("there").count(), 0);
}

#[test]
fn a_log_that_was_made_is_never_cleared() {
    let scratch = Scratch::new();
    let mut first = open(&scratch.0, SEGMENT).expect("made");
    first.mark_log_made().expect("written");
    fs::write(first.lane_path().join("superblock"), "whole").expect("written");
    let second = open(&scratch.0, SEGMENT).expect("opened");
    assert_eq!(fs::read_dir(second.lane_path()).expect("there").count(), 1);
}

#[test]
fn a_file_in_the_place_of_the_directory_is_named() {
    let scratch = Scratch::new();
    let path = scratch.0.join("file");
    fs::write(&path, "").expect("written");
    let report = open(&path, SEGMENT).expect_err("not a directory");
    assert!(
        matches!(report.code, Code::DataDirectoryForeign | Code::DataDirectoryDenied),
        "{report}"
    );
}
