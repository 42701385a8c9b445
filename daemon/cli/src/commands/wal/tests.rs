//! A small log, made by the code that makes real ones, looked at and found unchanged.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use holdfast_base::{ClusterId, LaneId, NodeId, ReplicaId, ShardId};
use holdfast_io::{DiskOptions, Pwritev2Disk};
use holdfast_wal::{Identity, WalConfig};

use super::*;

/// Removed at the end, also of a test that fails.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Scratch {
        let path = std::env::temp_dir().join(format!("holdfast-cli-{name}-{}", std::process::id()));
        fs::create_dir_all(path.join("lane-0-of-1")).unwrap();
        Scratch(path)
    }

    fn lane(&self) -> PathBuf {
        self.0.join("lane-0-of-1")
    }

    fn content(&self) -> BTreeMap<String, Vec<u8>> {
        let read = |entry: fs::DirEntry| {
            (entry.file_name().into_string().unwrap(), fs::read(entry.path()).unwrap())
        };
        fs::read_dir(self.lane()).unwrap().map(|entry| read(entry.unwrap())).collect()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

const SEGMENT_BYTES: u64 = 1 << 20;

/// A log of one shard; the disk that made it still holds its lock.
fn formatted(scratch: &Scratch) -> Pwritev2Disk {
    let cluster = ClusterId([7; 16]);
    let mut config = WalConfig::new(cluster, NodeId(1), LaneId(0), 16 * SEGMENT_BYTES);
    config.segment_bytes = SEGMENT_BYTES;
    let replica = Identity {
        shard: ShardId(3),
        replica: ReplicaId(9),
        voters: vec![ReplicaId(9)],
        learners: Vec::new(),
    };
    let mut disk = Pwritev2Disk::open(&scratch.lane(), DiskOptions::default()).unwrap();
    Wal::format(&mut disk, &config, &[replica]).unwrap();
    let hex = "07".repeat(16);
    let identity =
        format!("holdfast 1\ncluster {hex}\nnode 1\nsegment_bytes {SEGMENT_BYTES}\nlog made\n");
    fs::write(scratch.0.join("holdfast.identity"), identity).unwrap();
    disk
}

fn looked_at(scratch: &Scratch) -> (Vec<segments::Segment>, Wal<ReadOnlyDisk>, Recovered) {
    let directory = DataDirectory::open(&scratch.0, false).unwrap();
    let segments = segments::survey(&directory.lane, &directory.identity).unwrap();
    let disk = ReadOnlyDisk::open(&directory.lane).unwrap();
    let config = directory.wal_config(segments.len() as u64);
    let (wal, recovered) = Wal::recover(disk, config).unwrap();
    (segments, wal, recovered)
}

#[test]
fn a_log_is_recovered_in_the_view_and_nothing_on_disk_changes() {
    let scratch = Scratch::new("view");
    drop(formatted(&scratch));
    let before = scratch.content();
    for _ in 0..2 {
        let (segments, wal, recovered) = looked_at(&scratch);
        assert_eq!(recovered.boot.0, 1, "the boot count is not used up");
        assert_eq!(recovered.replicas[&ShardId(3)].identity.replica, ReplicaId(9));
        assert_eq!(segments[0].json()["state"], "open");
        assert_eq!(segments[0].json()["whole_headers"], 2);
        assert!(verify::check(&wal, &recovered).findings.is_empty());
    }
    assert!(scratch.content() == before, "a file was written");
}

#[test]
fn a_damaged_header_copy_is_told_and_repaired_in_memory_only() {
    let scratch = Scratch::new("header");
    drop(formatted(&scratch));
    let path = scratch.lane().join("lane-0.segment-00000001");
    let mut bytes = fs::read(&path).unwrap();
    bytes[100] ^= 1;
    fs::write(&path, &bytes).unwrap();
    let (segments, _, recovered) = looked_at(&scratch);
    assert_eq!(segments[0].json()["whole_headers"], 1);
    assert!(format!("{:?}", recovered.verdicts).contains("Repair"), "{:?}", recovered.verdicts);
    assert_eq!(fs::read(&path).unwrap(), bytes);
}

#[test]
fn a_log_in_use_is_refused_unless_asked_for() {
    let scratch = Scratch::new("lock");
    let disk = formatted(&scratch);
    let refused = DataDirectory::open(&scratch.0, false).err().unwrap().to_string();
    assert!(refused.contains("is in use") && refused.contains("HF-1004"), "{refused}");
    assert!(DataDirectory::open(&scratch.0, true).is_ok());
    drop(disk);
    assert!(DataDirectory::open(&scratch.0, false).is_ok());
}

#[test]
fn what_is_no_data_directory_is_named_so_and_left_as_it_is() {
    let scratch = Scratch::new("foreign");
    let refused = DataDirectory::open(&scratch.0, false).err().unwrap().to_string();
    assert!(refused.contains("is not a node's data directory"), "{refused}");
    assert!(scratch.content().is_empty());
}
