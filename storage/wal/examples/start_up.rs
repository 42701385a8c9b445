//! How fast the log is written and how long a start takes, on a real directory.
//!
//! `cargo run --release -p holdfast-wal --example start_up -- DIRECTORY [MiB]`
//!
//! Writes entries of 124 KB, 8 to a frame, through the `pwritev2` back end, then recovers and
//! reads every command back, as a start after kill -9 does. The directory must be blank.
#![expect(clippy::disallowed_methods, reason = "a measurement owns its clock")]

use std::path::Path;
use std::time::{Duration, Instant};

use bytes::Bytes;
use holdfast_base::{ClusterId, Index, LaneId, NodeId, Now, ReplicaId, ShardId, Term};
use holdfast_io::{DiskOptions, Pwritev2Disk};
use holdfast_wal::{Chunk, EntryKind, Identity, Item, NewEntry, Wal, WalConfig, WalEvent};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let directory = arguments.next().ok_or("which directory?")?;
    let mib: u64 = arguments.next().map_or(Ok(1024), |text| text.parse())?;
    let open = || Pwritev2Disk::open(Path::new(&directory), DiskOptions::default());
    let config = WalConfig::new(ClusterId([1; 16]), NodeId(1), LaneId(0), 8 << 30);
    let shards: Vec<Identity> = (1..=16)
        .map(|shard| Identity {
            shard: ShardId(shard),
            replica: ReplicaId(u64::from(shard)),
            voters: vec![ReplicaId(u64::from(shard))],
            learners: vec![],
        })
        .collect();
    let mut disk = open()?;
    Wal::format(&mut disk, &config, &shards)?;
    let (mut wal, _) = Wal::recover(disk, config.clone())?;

    let began = Instant::now();
    let now = || Now { boottime_ns: began.elapsed().as_nanos() as u64, wall_ms: 0 };
    // Segments are zeroed ahead of the measurement, as on a node that idles for a second.
    let segments = mib / 62 + 2;
    while wal.status().spares < segments.min(4) {
        wal.tick(now())?;
        wal.poll(&mut Vec::new());
        std::thread::sleep(Duration::from_millis(1));
    }
    let body = Bytes::from(vec![0x5a; 124_000]);
    let crc32c = Some(crc32c::crc32c(&body));
    let began_writing = Instant::now();
    let mut in_append = Duration::ZERO;
    let mut events: Vec<WalEvent> = Vec::new();
    let mut entries = 0_u64;
    let total = mib * (1 << 20) / 124_000;
    let mut last = wal.durable();
    while entries < total || wal.durable() < last {
        if entries < total && wal.can_append() {
            let items = (0..8)
                .map(|_| {
                    let entry = NewEntry {
                        shard: ShardId((entries % 16) as u32 + 1),
                        replica: ReplicaId(entries % 16 + 1),
                        index: Index(entries / 16 + 1),
                        term: Term(1),
                        kind: EntryKind::Normal,
                        command: Bytes::from_static(&[7; 100]),
                        payload: vec![Chunk::Body { bytes: body.clone(), crc32c }],
                        locators: vec![],
                    };
                    entries += 1;
                    Item::Entry(entry)
                })
                .collect();
            let started = Instant::now();
            last = wal.append(items, now())?.last_frame;
            in_append += started.elapsed();
        }
        wal.tick(now())?;
        events.clear();
        wal.poll(&mut events);
        if let Some(WalEvent::Failed(error)) = events.first() {
            return Err(error.clone().into());
        }
        if !wal.can_append() {
            std::thread::sleep(Duration::from_micros(20));
        }
    }
    let seconds = began_writing.elapsed().as_secs_f64();
    let written = entries as f64 * 124_000.0 / 1e6;
    println!(
        "written {written:.0} MB in {seconds:.2} s: {:.0} MB/s; append took {:.3} s of CPU ({:.2} s/GB)",
        written / seconds,
        in_append.as_secs_f64(),
        in_append.as_secs_f64() / written * 1e3,
    );
    drop(wal);

    let started = Instant::now();
    let (wal, recovered) = Wal::recover(open()?, config)?;
    let opened = started.elapsed();
    let mut found = 0;
    let runs = recovered.replicas.values().flat_map(|replica| &replica.runs);
    for (_, entries) in wal.read_in_order(runs) {
        found += entries?.len() as u64;
    }
    println!(
        "recover {:.3} s, then all {found} commands read in {:.3} s; {:?}",
        opened.as_secs_f64(),
        (started.elapsed() - opened).as_secs_f64(),
        wal.status(),
    );
    assert_eq!(found, entries);
    Ok(())
}
