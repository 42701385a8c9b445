//! A stranger reads our objects: `reader/read_objects.py`, which knows only `storage/FORMAT.md`.

#![expect(clippy::unwrap_used, reason = "a test fails where it cannot go on")]

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use bytes::Bytes;
use holdfast_base::{ClusterId, Index, PartitionKey, ReplicaId, ShardId, Term, TopicId};
use holdfast_batch::{BatchBuilder, BatchHeader, Codec, RecordDraft, patch_in_place};
use holdfast_tier::{
    BatchRow, Checkpoint, ObjectId, ObjectIdentity, ObjectWriter, PlanBuilder, StoreKey, Taken,
};
use sha2::{Digest, Sha256};

struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Scratch {
        let path =
            std::env::temp_dir().join(format!("holdfast-reader-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir(&path).unwrap();
        Scratch(path)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}

fn read(arguments: &[&str], path: &Path) -> Output {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("reader/read_objects.py");
    let mut command = Command::new("python3");
    command.arg(script).args(arguments).arg(path);
    command.output().expect("python3 starts; install the package python3")
}

fn text(bytes: &[u8]) -> &str {
    str::from_utf8(bytes).unwrap()
}

/// Six batches of three partitions, all codecs, one larger than a block; and what a reader must
/// print of them, in object order.
fn object() -> (Vec<u8>, ObjectIdentity, Vec<(BatchRow, Bytes)>) {
    let identity = ObjectIdentity {
        cluster: ClusterId([0xc1; 16]),
        shard: ShardId(7),
        term: Term(12),
        sequence: 3,
        object: ObjectId([0x0b; 16]),
    };
    let make = |topic: u8, partition: i32, base_offset: i64, codec, value_bytes: usize| {
        let records = (0..3).map(|at| RecordDraft::keyed(1000 + at, "key", vec![7; value_bytes]));
        let builder = records.fold(BatchBuilder::new(codec), BatchBuilder::record);
        let mut bytes = builder.build().unwrap().to_vec();
        patch_in_place(&mut bytes, base_offset, 12).unwrap();
        let header = BatchHeader::parse(&bytes).unwrap();
        let row = BatchRow {
            partition: PartitionKey { topic: TopicId([topic; 16]), partition },
            base_offset,
            last_offset: header.last_offset(),
            leader_epoch: 12,
            max_timestamp_ms: header.max_timestamp_ms,
            len_bytes: bytes.len() as u32,
        };
        (row, Bytes::from(bytes))
    };
    let entries = [
        vec![make(2, 0, 5, Codec::None, 10), make(1, 1, 0, Codec::Zstd, 2000)],
        vec![],
        vec![make(1, 0, 0, Codec::Lz4, 2000), make(1, 1, 3, Codec::None, 100_000)],
        vec![make(2, 0, 8, Codec::Gzip, 500), make(1, 1, 9, Codec::Snappy, 500)],
    ];
    let mut builder = PlanBuilder::new(identity, Index(40));
    for (index, entry) in (40..).zip(&entries) {
        let rows: Vec<BatchRow> = entry.iter().map(|(row, _)| *row).collect();
        assert_eq!(builder.push_entry(Index(index), Term(12), &rows), Ok(Taken::Yes));
    }
    let mut batches: Vec<(BatchRow, Bytes)> = entries.into_iter().flatten().collect();
    batches.sort_by_key(|(row, _)| (row.partition, row.base_offset));
    let mut parts = Vec::new();
    let mut writer = ObjectWriter::new(builder.finish(1_700_000_000_000).unwrap(), &mut parts);
    for (_, bytes) in &batches {
        writer.write(bytes.clone(), &mut parts).unwrap();
    }
    writer.finish(&mut parts).unwrap();
    (parts.concat(), identity, batches)
}

#[test]
fn a_stranger_prints_every_batch_of_an_object_from_format_md_alone() {
    let (object, identity, batches) = object();
    let scratch = Scratch::new("good");
    let file = scratch.0.join(StoreKey::of(&identity).as_str());
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    fs::write(&file, &object).unwrap();
    // A put that did not end lies beside it and is no object.
    fs::write(file.with_extension("x#1"), b"part of one").unwrap();

    let output = read(&["--batches"], &scratch.0);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let printed: Vec<&str> = text(&output.stdout).lines().collect();
    let expected: Vec<String> = batches
        .iter()
        .map(|(row, bytes)| {
            format!(
                "batch {}-{} {}..{} epoch 12 timestamp 1002 bytes {} sha256 {}",
                hex(&row.partition.topic.0),
                row.partition.partition,
                row.base_offset,
                row.last_offset,
                bytes.len(),
                hex(&Sha256::digest(bytes)),
            )
        })
        .collect();
    let shown = |kind: &str| -> Vec<&str> {
        printed.iter().copied().filter(|line| line.starts_with(kind)).collect()
    };
    assert_eq!(shown("batch "), expected);
    assert_eq!(shown("partition ").len(), 3);
    let whole = format!(
        "object {} cluster {} shard 7 term 12 sequence 3 entries 40..43 last term 12 \
         created 1700000000000 bytes {} sha256 {} good",
        identity.object,
        hex(&identity.cluster.0),
        object.len(),
        hex(&Sha256::digest(&object)),
    );
    assert_eq!(shown("object "), [whole]);

    let wanted = format!("{}-1", hex(&[1; 16]));
    let output = read(&["--extract", &wanted], &file);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let one = batches.iter().filter(|(row, _)| row.partition.partition == 1);
    let expected: Vec<u8> = one.flat_map(|(_, bytes)| bytes.iter().copied()).collect();
    assert!(output.stdout == expected, "the partition's batches and nothing else");
}

#[test]
fn a_stranger_names_what_is_wrong_with_a_damaged_object() {
    let (object, _, _) = object();
    let scratch = Scratch::new("bad");
    let file = scratch.0.join("object");
    let trailer = object.len() - 192;
    for (at, named) in [
        (20, "head: checksum"),
        (128 + 100, "SHA-256"),
        (trailer - 1, "footer: checksum"),
        (trailer + 70, "trailer: checksum"),
        (trailer + 2, "trailer: no magic"),
    ] {
        let mut damaged = object.clone();
        damaged[at] ^= 4;
        fs::write(&file, &damaged).unwrap();
        let output = read(&[], &file);
        assert_eq!(output.status.code(), Some(1), "byte {at}");
        assert!(text(&output.stderr).contains(named), "byte {at}: {}", text(&output.stderr));
        assert!(!text(&output.stdout).contains("good"));
    }
    fs::write(&file, &object[..object.len() - 1]).unwrap();
    assert_eq!(read(&[], &file).status.code(), Some(1), "cut short");
}

#[test]
fn a_stranger_checks_a_state_checkpoint_and_names_what_is_wrong_with_it() {
    let checkpoint = Checkpoint {
        cluster: ClusterId([0xc1; 16]),
        shard: ShardId(7),
        replica: ReplicaId(5),
        applied: Index(44),
        term: Term(12),
        time_ms: 1_700_000_000_000,
        state: Bytes::from_static(b"whatever it means"),
    };
    let whole = checkpoint.encode();
    let scratch = Scratch::new("state");
    let file = scratch.0.join(checkpoint.key().as_str());
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    fs::write(&file, &whole).unwrap();
    let output = read(&[], &scratch.0);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let line = format!(
        "state cluster {} shard 7 replica 5 applied 44 term 12 time 1700000000000 bytes 17 good\n",
        hex(&[0xc1; 16])
    );
    assert_eq!(text(&output.stdout), line);

    for (at, named) in [(40, "head: checksum"), (100, "SHA-256"), (whole.len() - 1, "SHA-256")] {
        let mut damaged = whole.clone();
        damaged[at] ^= 4;
        fs::write(&file, &damaged).unwrap();
        let output = read(&[], &file);
        assert_eq!(output.status.code(), Some(1), "byte {at}");
        assert!(text(&output.stderr).contains(named), "byte {at}: {}", text(&output.stderr));
    }
    fs::write(&file, &whole[..whole.len() - 1]).unwrap();
    assert_eq!(read(&[], &file).status.code(), Some(1), "cut short");
}
