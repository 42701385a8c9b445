//! Claims about reading in the order of the log.

use std::collections::BTreeMap;

use holdfast_base::{Rng, ShardId, SplitMix64};
use holdfast_io::{SimDevice, SimDisk};

use super::*;
use crate::tests::support::*;
use crate::{Recovered, WalConfig};

const SHARDS: u32 = 5;
const FRAMES: u64 = 400;

/// A log of several segments: mostly small frames, some of up to 60 KB, each with an entry of some
/// of the shards, and now and then one that takes an entry back.
fn log(config: &WalConfig) -> SimDevice {
    let device = formatted(11, config, SHARDS);
    let (mut wal, _) = recover(&device, config).unwrap();
    let (mut now_ns, mut rng) = (0, SplitMix64::new(7));
    let mut last = BTreeMap::from_iter((1..=SHARDS).map(|shard| (shard, 0_u64)));
    for frame in 0..FRAMES {
        let mut items = Vec::new();
        for (shard, last) in &mut last {
            if rng.below(3) > 0 {
                continue;
            }
            let back = u64::from(*last > 3 && rng.below(10) == 0);
            *last = *last + 1 - back;
            let large = rng.below(20) == 0;
            let payload = rng.below(if large { 50_000 } else { 1_200 }) as usize;
            items.push(entry(*shard, *last, 1 + frame / 16, payload));
        }
        wal.tick(at(now_ns)).unwrap();
        wal.append(items, at(now_ns)).unwrap();
        settle(&device, &mut wal, &mut now_ns);
    }
    assert!(wal.status().open_segment.0 >= 3, "the log has sealed segments and an open one");
    drop(wal);
    device.kill();
    device
}

fn runs(recovered: &Recovered) -> impl Iterator<Item = &EntryRun> {
    recovered.replicas.values().flat_map(|replica| &replica.runs)
}

/// What a run reads as; `None` when it is damaged.
fn words(entries: Result<Vec<StoredEntry>, WalError>) -> Option<Vec<(u64, u64, Bytes, Extent)>> {
    let entries = entries.ok()?.into_iter();
    Some(entries.map(|one| (one.index.0, one.term.0, one.command, one.payload)).collect())
}

/// Every run reads in the order of the log as it reads by itself. How many are damaged.
fn same_as_alone(wal: &Wal<SimDisk>, recovered: &Recovered) -> usize {
    let (mut place, mut damaged) = ((SegmentNumber(0), 0), 0);
    let mut next: BTreeMap<ShardId, u64> = BTreeMap::new();
    let mut count = 0;
    for (run, entries) in wal.read_in_order(runs(recovered)) {
        let here = (run.frame.segment, run.frame.offset);
        assert!(place <= here, "segments and offsets ascend");
        place = here;
        let next = next.entry(run.shard).or_insert(1);
        assert_eq!(run.first.0, *next, "runs of a replica follow one another");
        *next = run.last.0 + 1;
        let found = words(entries);
        damaged += usize::from(found.is_none());
        assert_eq!(found, words(wal.read_run(run)));
        count += 1;
    }
    assert_eq!(count, runs(recovered).count(), "each run comes once");
    damaged
}

#[test]
fn in_the_order_of_the_log_every_run_reads_as_it_does_alone() {
    let config = config();
    let device = log(&config);
    let (wal, recovered) = recover(&device, &config).unwrap();
    assert!(runs(&recovered).count() > FRAMES as usize);
    assert_eq!(same_as_alone(&wal, &recovered), 0);
}

#[test]
fn a_small_frame_costs_no_read_of_its_own() {
    let config = config();
    let device = log(&config);
    let (wal, recovered) = recover(&device, &config).unwrap();
    let before = device.counters().reads;
    assert!(wal.read_in_order(runs(&recovered)).all(|(_, entries)| entries.is_ok()));
    let reads = device.counters().reads - before;
    // A segment here is half a window, and no gap in it is worth a read.
    assert_eq!(reads, wal.status().open_segment.0);
}

#[test]
fn a_damaged_frame_of_a_sealed_segment_costs_its_own_runs_only() {
    let config = config();
    let device = log(&config);
    let (wal, recovered) = recover(&device, &config).unwrap();
    let hit = runs(&recovered).filter(|run| run.frame.segment.0 == 1).nth(40).unwrap().frame;
    let file = wal.file_name_of(hit.segment).unwrap();
    drop(wal);
    device.kill();
    // In the directory, which every frame has.
    device.flip_bit(&file, hit.offset + 200, 3);
    let (wal, recovered) = recover(&device, &config).unwrap();
    let of_frame = runs(&recovered).filter(|run| run.frame == hit).count();
    assert!(of_frame > 0);
    assert_eq!(same_as_alone(&wal, &recovered), of_frame);
}
