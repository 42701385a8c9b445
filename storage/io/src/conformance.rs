//! The rules of [`Disk`], as one suite for every implementation.
//!
//! [`run`] is given a maker of disks over one directory (or device) and a driver that lets time
//! pass until more completions are there: the back ends wait, the simulation advances its clock.

use std::collections::BTreeMap;

use bytes::Bytes;

use crate::{AlignedBuf, BLOCK_BYTES, Completion, Disk, DiskError, DiskErrorKind, FileId, Token};

const FILE_BYTES: u64 = 64 * BLOCK_BYTES as u64;

/// How the suite reaches one implementation.
pub struct Subject<'a, D> {
    /// Opens the directory; the first time it is empty, later it holds what was written.
    pub open: &'a mut dyn FnMut() -> Result<D, DiskError>,
    /// Lets a disk make progress: afterwards `poll` is asked again.
    pub drive: &'a mut dyn FnMut(&mut D),
}

impl<D: Disk> Subject<'_, D> {
    fn disk(&mut self) -> D {
        (self.open)().expect("the directory opens")
    }

    /// Completions of `count` requests, by token.
    fn complete(&mut self, disk: &mut D, count: usize) -> BTreeMap<u64, Completion> {
        let mut ended = Vec::new();
        disk.flush_submissions();
        for _turn in 0..1_000_000 {
            disk.poll(&mut ended);
            if ended.len() >= count {
                break;
            }
            (self.drive)(disk);
        }
        assert_eq!(ended.len(), count, "every request ends, once");
        let by_token: BTreeMap<_, _> =
            ended.into_iter().map(|completion| (completion.token().0, completion)).collect();
        assert_eq!(by_token.len(), count, "every token comes back");
        by_token
    }
}

/// Runs every claim; panics at the first that does not hold.
///
/// # Panics
/// When the implementation breaks a rule.
pub fn run<D: Disk>(subject: &mut Subject<'_, D>) {
    a_new_file_is_listed_whole_and_zero(subject);
    what_is_missing_is_not_found(subject);
    a_blocking_write_is_read_back(subject);
    writes_in_flight_all_end_and_are_read_back(subject);
    the_same_block_shows_the_last_completed_write(subject);
    a_large_transfer_arrives_whole(subject);
    a_file_made_off_the_lane_can_be_written(subject);
    a_read_past_the_end_fails_and_hurts_nothing_else(subject);
    a_directory_has_one_owner(subject);
    what_completed_is_there_after_reopening(subject);
    a_file_made_again_is_zero_again(subject);
}

/// `blocks` blocks whose bytes depend on `seed` and their place.
#[must_use]
pub fn pattern(seed: u8, blocks: usize) -> Bytes {
    let mut buf = AlignedBuf::unpooled(blocks * BLOCK_BYTES);
    for (place, byte) in buf.reserve_zeroed(blocks * BLOCK_BYTES).iter_mut().enumerate() {
        *byte = seed ^ (place % 251) as u8;
    }
    buf.freeze()
}

fn a_new_file_is_listed_whole_and_zero<D: Disk>(subject: &mut Subject<'_, D>) {
    let mut disk = subject.disk();
    assert_eq!(disk.list(), Ok(Vec::new()));
    let file = disk.create("a", FILE_BYTES).expect("there is room");
    disk.create("B", BLOCK_BYTES as u64).expect("there is room");
    let listed = [("B".to_owned(), BLOCK_BYTES as u64), ("a".to_owned(), FILE_BYTES)];
    assert_eq!(disk.list(), Ok(listed.to_vec()), "sorted by name");
    assert_eq!(disk.len_bytes(file), FILE_BYTES);
    let bytes = disk.read(file, 0, FILE_BYTES as usize).expect("it is there");
    assert!(bytes.iter().all(|byte| *byte == 0));
}

fn what_is_missing_is_not_found<D: Disk>(subject: &mut Subject<'_, D>) {
    let kind = subject.disk().open("missing").map_err(|error| error.kind);
    assert_eq!(kind, Err(DiskErrorKind::NotFound));
}

fn a_blocking_write_is_read_back<D: Disk>(subject: &mut Subject<'_, D>) {
    let mut disk = subject.disk();
    let file = disk.open("a").expect("made before");
    disk.write(file, 8192, pattern(1, 3)).expect("the device works");
    assert_eq!(disk.read(file, 8192, 3 * BLOCK_BYTES), Ok(pattern(1, 3)));
    let before = disk.read(file, 4096, BLOCK_BYTES).expect("it is there");
    assert!(before.iter().all(|byte| *byte == 0), "neighbours are untouched");
}

fn writes_in_flight_all_end_and_are_read_back<D: Disk>(subject: &mut Subject<'_, D>) {
    let mut disk = subject.disk();
    let file = disk.open("a").expect("made before");
    // More than any back end keeps in flight at once.
    let writes = 200_u64;
    for number in 0..writes {
        let offset = number % 64 * BLOCK_BYTES as u64;
        disk.submit_write(file, offset, pattern((number % 64) as u8, 1), Token(number));
    }
    for completion in subject.complete(&mut disk, writes as usize).values() {
        assert!(matches!(completion, Completion::Write { result: Ok(()), .. }), "{completion:?}");
    }
    for number in 0..64 {
        disk.submit_read(file, number * BLOCK_BYTES as u64, BLOCK_BYTES, Token(number));
    }
    for (token, completion) in subject.complete(&mut disk, 64) {
        assert_read(completion, &pattern(token as u8, 1));
    }
}

fn the_same_block_shows_the_last_completed_write<D: Disk>(subject: &mut Subject<'_, D>) {
    let mut disk = subject.disk();
    let file = disk.open("a").expect("made before");
    for seed in 0..20 {
        disk.submit_write(file, 0, pattern(seed, 1), Token(1));
        subject.complete(&mut disk, 1);
        disk.submit_read(file, 0, BLOCK_BYTES, Token(2));
        let completion = subject.complete(&mut disk, 1).remove(&2).expect("its token");
        assert_read(completion, &pattern(seed, 1));
        assert_eq!(disk.read(file, 0, BLOCK_BYTES), Ok(pattern(seed, 1)));
    }
}

fn a_large_transfer_arrives_whole<D: Disk>(subject: &mut Subject<'_, D>) {
    let mut disk = subject.disk();
    let blocks = 2 * 1024 + 1;
    let file = disk.create("large", (blocks * BLOCK_BYTES) as u64).expect("there is room");
    disk.submit_write(file, 0, pattern(9, blocks), Token(1));
    subject.complete(&mut disk, 1);
    disk.submit_read(file, 0, blocks * BLOCK_BYTES, Token(2));
    let completion = subject.complete(&mut disk, 1).remove(&2).expect("its token");
    assert_read(completion, &pattern(9, blocks));
}

fn a_file_made_off_the_lane_can_be_written<D: Disk>(subject: &mut Subject<'_, D>) {
    let mut disk = subject.disk();
    disk.submit_create("later", FILE_BYTES, Token(7));
    let completion = subject.complete(&mut disk, 1).remove(&7).expect("its token");
    let Completion::Create { result: Ok(file), .. } = completion else {
        panic!("{completion:?}");
    };
    assert_eq!(disk.len_bytes(file), FILE_BYTES);
    assert!(disk.list().expect("listing works").contains(&("later".to_owned(), FILE_BYTES)));
    disk.submit_write(file, FILE_BYTES - 4096, pattern(3, 1), Token(8));
    subject.complete(&mut disk, 1);
    assert_eq!(disk.read(file, FILE_BYTES - 4096, BLOCK_BYTES), Ok(pattern(3, 1)));
}

fn a_read_past_the_end_fails_and_hurts_nothing_else<D: Disk>(subject: &mut Subject<'_, D>) {
    let mut disk = subject.disk();
    let file = disk.open("B").expect("made before");
    let kind = disk.read(file, 0, 2 * BLOCK_BYTES).map_err(|error| error.kind);
    assert_eq!(kind, Err(DiskErrorKind::Failed));
    disk.submit_read(file, 0, 2 * BLOCK_BYTES, Token(1));
    let completion = subject.complete(&mut disk, 1).remove(&1).expect("its token");
    let Completion::Read { result: Err(error), .. } = completion else {
        panic!("{completion:?}");
    };
    assert_eq!(error.kind, DiskErrorKind::Failed);
    disk.write(file, 0, pattern(5, 1)).expect("a short file is no failed device");
}

fn a_directory_has_one_owner<D: Disk>(subject: &mut Subject<'_, D>) {
    let disk = subject.disk();
    let kind = (subject.open)().map(|_| ()).map_err(|error| error.kind);
    assert_eq!(kind, Err(DiskErrorKind::Locked));
    drop(disk);
    subject.disk();
}

fn what_completed_is_there_after_reopening<D: Disk>(subject: &mut Subject<'_, D>) {
    let mut disk = subject.disk();
    let file = disk.open("a").expect("made before");
    disk.submit_write(file, 4096, pattern(77, 2), Token(1));
    subject.complete(&mut disk, 1);
    drop(disk);
    let mut disk = subject.disk();
    let file: FileId = disk.open("a").expect("made before");
    assert_eq!(disk.len_bytes(file), FILE_BYTES);
    assert_eq!(disk.read(file, 4096, 2 * BLOCK_BYTES), Ok(pattern(77, 2)));
}

fn a_file_made_again_is_zero_again<D: Disk>(subject: &mut Subject<'_, D>) {
    let mut disk = subject.disk();
    let file = disk.create("a", BLOCK_BYTES as u64).expect("there is room");
    assert_eq!(disk.len_bytes(file), BLOCK_BYTES as u64);
    let bytes = disk.read(file, 0, BLOCK_BYTES).expect("it is there");
    assert!(bytes.iter().all(|byte| *byte == 0));
}

fn assert_read(completion: Completion, expected: &Bytes) {
    match completion {
        // Not assert_eq: nobody wants to see the bytes.
        Completion::Read { result: Ok(bytes), .. } => assert!(bytes == *expected),
        other => panic!("{other:?}"),
    }
}
