//! RocksDB's store in a process that ends badly: killed in the middle of writes, out of room.
//!
//! ```text
//! parent ──spawn──▶ child: write 1, 2, 3 ... flush now and then, telling each step
//!   │ kill -9 after so many lines; or a disk, or a limit on files, that ends its writes
//!   └─▶ opens the directory: the state after some whole write, at or behind the last flush told
//! ```
//!
//! A program of its own (`harness = false`), since the child is this file too.

#![expect(clippy::unwrap_used, reason = "a test, though it has a main of its own")]

use std::env;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use bytes::Bytes;
use holdfast_base::{Index, ReplicaId, Rng, ShardId, SplitMix64};
use holdfast_state::{Action, Changes, Owner, RocksState, StateStore};

const OWNER: Owner = Owner { shard: ShardId(7), replica: ReplicaId(3) };
/// Rows that a write changes: one of many, and one that every write changes.
const ROWS: u64 = 997;
/// Large enough that memtables flush by themselves between two flushes of ours.
const VALUE_BYTES: usize = 20_000;
const FLUSH_EVERY: u64 = 1_501;
const KILLS: u64 = 12;
/// When a memtable reaches the disk is RocksDB's affair: killed until it was seen, so often at most.
const KILLS_MAX: u64 = 100;

fn main() {
    let arguments: Vec<String> = env::args().collect();
    match arguments.get(1).map(String::as_str) {
        Some("child") => child(Path::new(&arguments[2]), arguments[3].parse().unwrap()),
        // `cargo test -- NAME` for another file's test.
        Some(name) if !name.starts_with('-') && !"rocks_process".contains(name) => {}
        _ => {
            let place = env::temp_dir().join(format!("rocks-process-{}", std::process::id()));
            fs::create_dir(&place).unwrap();
            let told = std::panic::catch_unwind(|| {
                a_killed_process_leaves_a_prefix_of_whole_writes(&place.join("killed"));
                a_limit_on_files_is_told_as_full_and_what_was_flushed_is_there(
                    &place.join("limit"),
                );
                a_full_disk_is_told_as_full_and_what_was_flushed_is_there(&place);
            });
            drop(fs::remove_dir_all(&place));
            if let Err(panic) = told {
                std::panic::resume_unwind(panic);
            }
        }
    }
}

fn value(write: u64) -> Bytes {
    let mut rng = SplitMix64::new(write);
    let words = (0..VALUE_BYTES / 8).flat_map(|_| rng.next_u64().to_le_bytes());
    let mut bytes = write.to_le_bytes().to_vec();
    bytes.extend(words);
    bytes.into()
}

/// Write `n` sets row n mod [`ROWS`] and the row that all share, and every tenth deletes a row.
fn changes(write: u64) -> Changes {
    let mut changes = Changes::new();
    changes.put(format!("row {:04}", write % ROWS).into_bytes(), value(write));
    changes.put(&b"shared"[..], write.to_le_bytes().to_vec());
    if write.is_multiple_of(10) {
        changes.delete(format!("row {:04}", (write / 10) % ROWS).into_bytes());
    }
    changes
}

/// What the rows are after write `n`: which write each holds.
fn expected(write: u64) -> Vec<(Bytes, u64)> {
    let mut rows = std::collections::BTreeMap::new();
    for past in 1..=write {
        rows.insert(format!("row {:04}", past % ROWS), past);
        rows.insert("shared".to_owned(), past);
        if past.is_multiple_of(10) {
            rows.remove(&format!("row {:04}", (past / 10) % ROWS));
        }
    }
    rows.into_iter().map(|(key, past)| (Bytes::from(key), past)).collect()
}

fn child(directory: &Path, writes: u64) {
    let mut store = match RocksState::open(directory) {
        Ok(store) => store,
        Err(error) => return println!("failed {:?} {error}", error.action()),
    };
    let from = store.applied(OWNER).unwrap().0;
    for write in from + 1..=from + writes {
        println!("begin {write}");
        let mut done = store.write(OWNER, &changes(write), Index(write));
        if done.is_ok() && write.is_multiple_of(FLUSH_EVERY) {
            done = store.flush();
            if done.is_ok() {
                println!("flushed {}", store.checkpointed(OWNER).unwrap());
            }
        }
        if let Err(error) = done {
            println!("failed {:?} {error}", error.action());
            return;
        }
    }
    println!("all written");
}

/// What a child told before it ended.
#[derive(Debug, Default)]
struct Told {
    begun: u64,
    flushed: u64,
    failed: Option<String>,
}

/// Runs `command`, which runs a child; kills it after `kill_after` lines.
fn run(command: &mut Command, kill_after: u64) -> Told {
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    let mut told = Told::default();
    for (at, line) in BufReader::new(child.stdout.take().unwrap()).lines().enumerate() {
        let line = line.unwrap();
        match line.split_once(' ') {
            Some(("begin", write)) => told.begun = write.parse().unwrap(),
            Some(("flushed", write)) => told.flushed = write.parse().unwrap(),
            Some(("failed", why)) => told.failed = Some(why.to_owned()),
            _ => {}
        }
        if at as u64 == kill_after {
            // What it told meanwhile is read to the end.
            child.kill().unwrap();
        }
    }
    child.wait().unwrap();
    told
}

fn itself(directory: &Path, writes: u64) -> Command {
    let mut command = Command::new(env::current_exe().unwrap());
    command.arg("child").arg(directory).arg(writes.to_string());
    command
}

/// The state is that after some whole write, at or behind `flushed`; returns which.
fn is_a_prefix(directory: &Path, flushed: u64, begun: u64) -> u64 {
    let store = RocksState::open(directory).unwrap();
    let applied = store.applied(OWNER).unwrap().0;
    assert_eq!(store.checkpointed(OWNER).unwrap().0, applied, "all that is there is durable");
    assert!(flushed <= applied && applied <= begun, "{flushed} <= {applied} <= {begun}");
    let rows = store.scan(OWNER, b"", None, usize::MAX).unwrap();
    let found: Vec<(Bytes, u64)> = rows
        .iter()
        .map(|row| (row.key.clone(), u64::from_le_bytes(row.value[..8].try_into().unwrap())))
        .collect();
    assert_eq!(found, expected(applied), "after write {applied}");
    for (row, (_, write)) in rows.iter().zip(&found).filter(|(row, _)| row.key != "shared") {
        assert_eq!(row.value, value(*write), "{:?}", row.key);
    }
    applied
}

fn a_killed_process_leaves_a_prefix_of_whole_writes(directory: &Path) {
    let mut rng = SplitMix64::new(41);
    let (mut applied, mut lost, mut unasked, mut kills) = (0, 0, 0, 0);
    while kills < KILLS || ((lost == 0 || unasked == 0) && kills < KILLS_MAX) {
        kills += 1;
        let told = run(&mut itself(directory, 1_000_000), 300 + rng.below(2_500));
        assert_eq!(told.failed, None);
        let at_least = told.flushed.max(applied);
        applied = is_a_prefix(directory, at_least, told.begun);
        lost += told.begun - applied;
        unasked += u64::from(applied > at_least);
    }
    assert!(lost > 0, "no kill came between a write and its flush");
    assert!(unasked > 0, "no memtable was flushed on its own");
    println!("killed {kills} times at {applied} writes: {lost} replayed from the log, none torn");
}

fn recovers(directory: &Path, told: &Told) {
    let failed = told.failed.as_deref().expect("the writes ended by themselves");
    assert!(failed.starts_with(&format!("{:?}", Action::Retry)), "{failed}");
    let applied = is_a_prefix(directory, told.flushed, told.begun);
    let told = run(&mut itself(directory, FLUSH_EVERY), u64::MAX);
    assert_eq!(told.failed, None, "with room it goes on");
    assert!(is_a_prefix(directory, told.flushed, told.begun) > applied);
}

fn a_limit_on_files_is_told_as_full_and_what_was_flushed_is_there(directory: &Path) {
    // In 512-byte blocks or KiB, as the shell has it: between 4 and 8 MB either way.
    let line = "trap '' XFSZ; ulimit -f 8000; exec \"$@\"";
    let child = itself(directory, 1_000_000);
    let mut limited = Command::new("sh");
    limited.args(["-c", line, "sh"]).arg(child.get_program()).args(child.get_args());
    let told = run(&mut limited, u64::MAX);
    recovers(directory, &told);
    println!("a limit on files met at write {}, {} flushed", told.begun, told.flushed);
}

fn a_full_disk_is_told_as_full_and_what_was_flushed_is_there(place: &Path) {
    let disk: PathBuf = place.join("disk");
    fs::create_dir(&disk).unwrap();
    let mounted = Command::new("mount")
        .args(["-t", "tmpfs", "-o", "size=48m", "tmpfs"])
        .arg(&disk)
        .stderr(Stdio::null())
        .status();
    if !mounted.is_ok_and(|status| status.success()) {
        println!("a full disk: left out, this user may not mount one");
        return;
    }
    let _unmounted = Unmount(disk.clone());
    let directory = disk.join("db");
    let told = run(&mut itself(&directory, 1_000_000), u64::MAX);
    let failed = told.failed.as_deref().expect("48 MB are soon full");
    assert!(failed.contains("No space left on device"), "{failed}");
    // Room comes back.
    let grown = Command::new("mount").args(["-o", "remount,size=200m"]).arg(&disk).status();
    assert!(grown.unwrap().success());
    recovers(&directory, &told);
    println!("a disk full at write {}, {} flushed", told.begun, told.flushed);
}

struct Unmount(PathBuf);

impl Drop for Unmount {
    fn drop(&mut self) {
        drop(Command::new("umount").arg(&self.0).status());
    }
}
