//! Trimming: a bounded log takes any amount, and no crash brings back less than was kept.

use std::collections::BTreeMap;

use holdfast_base::{Index, ReplicaId, Rng, ShardId, SplitMix64, Term};

use super::support::*;
use crate::{Admission, Item, PlantedBugs, SegmentNumber, WalConfig, WalEvent};

#[test]
fn a_log_of_sixteen_segments_takes_ten_times_its_size() {
    let config = WalConfig { capacity_bytes: 8 << 20, ..config() };
    let device = formatted(1, &config, 2);
    let (mut wal, _) = recover(&device, &config).unwrap();
    let mut now_ns = 0;
    let mut index = 0;
    while wal.status().bytes_written < 80 << 20 {
        wal.tick(at(now_ns)).unwrap();
        settle(&device, &mut wal, &mut now_ns);
        assert!(wal.admits(30_000, Admission::Records), "room comes back: {:?}", wal.status());
        index += 1;
        let items = vec![entry(1, index, 1, 15_000), entry(2, index, 1, 15_000)];
        wal.append(items, at(now_ns)).unwrap();
        settle(&device, &mut wal, &mut now_ns);
        if index % 50 == 0 {
            wal.trim(ShardId(1), Index(index), Term(1));
            wal.trim(ShardId(2), Index(index - 20), Term(1));
        }
    }
    let status = wal.status();
    assert!(status.files <= 16, "no more files than the capacity pays for: {status:?}");
    assert!(status.segments_released > 100, "{status:?}");
    device.kill();
    let (wal, recovered) = recover(&device, &config).unwrap();
    let all = read_all(&wal, &recovered);
    for shard in [1, 2] {
        let replica = &recovered.replicas[&ShardId(shard)];
        assert_eq!((replica.last(), replica.damage), (Index(index), None));
        assert!(replica.trimmed > Index(index / 2), "the newest table knows of a trim");
        assert_eq!(replica.trimmed_term, Term(1));
        assert!(all.contains_key(&(shard, index)));
        assert!(!all.contains_key(&(shard, replica.trimmed.0)));
    }
}

#[test]
fn one_replica_behind_keeps_every_segment_from_its_first_entry_on() {
    let config = config();
    let device = formatted(1, &config, 2);
    let (mut wal, _) = recover(&device, &config).unwrap();
    let mut now_ns = 0;
    wal.append(vec![entry(2, 1, 1, 100)], at(0)).unwrap();
    for index in 1..=60 {
        wal.tick(at(now_ns)).unwrap();
        wal.append(vec![entry(1, index, 1, 30_000)], at(now_ns)).unwrap();
        settle(&device, &mut wal, &mut now_ns);
    }
    let others = wal.oldest_shared();
    let first = wal.oldest_segment();
    let needs = wal.oldest_needs().unwrap();
    assert_eq!(needs[1], (ShardId(2), Index(1)), "shard 2 wrote one entry, in the first segment");
    assert!(needs[0].1 > Index(1) && needs[0].1 < Index(60), "{needs:?}");
    wal.trim(ShardId(1), Index(60), Term(1));
    assert_eq!(wal.status().segments_released, 0, "shard 2 has not let go");
    assert!(others.still_has(first));
    wal.trim(ShardId(2), Index(1), Term(1));
    let status = wal.status();
    assert!(!others.still_has(first), "who reads its file by himself can know");
    assert!(others.still_has(status.open_segment));
    assert_eq!(status.segments, 1, "only the open one is left: {status:?}");
    assert_eq!(status.oldest_segment, status.open_segment);
    assert_eq!(wal.oldest_needs(), None, "the open segment stays");
}

#[test]
fn a_segment_is_kept_while_somebody_reads_it() {
    let config = config();
    let device = formatted(1, &config, 1);
    let (mut wal, _) = recover(&device, &config).unwrap();
    let mut now_ns = 0;
    let mut first = None;
    for index in 1..=40 {
        wal.tick(at(now_ns)).unwrap();
        let written = wal.append(vec![entry(1, index, 1, 30_000)], at(now_ns)).unwrap();
        first.get_or_insert(written.entries[0].payload_extent);
        settle(&device, &mut wal, &mut now_ns);
    }
    wal.start_read(first.unwrap(), 7);
    wal.trim(ShardId(1), Index(40), Term(1));
    assert_eq!(wal.status().segments_released, 0);
    let events = settle(&device, &mut wal, &mut now_ns);
    let read = events.iter().any(
        |event| matches!(event, WalEvent::Read { token: 7, result: Ok(bytes) } if *bytes == body(1, 1, 1, 30_000)),
    );
    assert!(read && wal.status().segments_released > 0);
    assert!(wal.read_payload(first.unwrap()).is_err(), "it is gone now, and says so");
}

#[test]
fn a_replica_that_is_gone_keeps_nothing() {
    let config = config();
    let device = formatted(1, &config, 2);
    let (mut wal, _) = recover(&device, &config).unwrap();
    let mut now_ns = 0;
    for index in 1..=40 {
        wal.tick(at(now_ns)).unwrap();
        let items = vec![entry(1, index, 1, 15_000), entry(2, index, 1, 15_000)];
        wal.append(items, at(now_ns)).unwrap();
        settle(&device, &mut wal, &mut now_ns);
    }
    wal.append(vec![Item::Tombstone(ShardId(2), ReplicaId(102))], at(now_ns)).unwrap();
    settle(&device, &mut wal, &mut now_ns);
    wal.trim(ShardId(1), Index(40), Term(1));
    assert_eq!(wal.status().segments, 1);
}

#[test]
fn a_power_cut_while_a_used_file_gets_its_new_header_leaves_one_that_can_be_read() {
    let config = WalConfig { capacity_bytes: 8 << 20, ..config() };
    for seed in 0..100 {
        // So many replicas that the table fills several sectors, and changes in more than one: only
        // such a header can be torn.
        let device = formatted(seed, &config, 60);
        let (mut wal, _) = recover(&device, &config).unwrap();
        let mut now_ns = 0;
        let mut index = 0;
        let mut one = |wal: &mut crate::Wal<holdfast_io::SimDisk>, now_ns| {
            index += 1;
            let small = |shard| entry(shard, index, 1, 10);
            let items = vec![entry(1, index, 1, 30_000), small(30), small(60)];
            wal.append(items, at(now_ns)).unwrap();
            index
        };
        // Every file is in use; then all but the open one is given back, and the next header goes
        // into the oldest. No header says yet that the log can do without what lies there.
        while wal.status().segments < 16 {
            wal.tick(at(now_ns)).unwrap();
            one(&mut wal, now_ns);
            settle(&device, &mut wal, &mut now_ns);
        }
        let before = wal.status();
        let last = one(&mut wal, now_ns);
        settle(&device, &mut wal, &mut now_ns);
        for shard in [1, 30, 60] {
            wal.trim(ShardId(shard), Index(last), Term(1));
        }
        let mut kept = last;
        while wal.status().open_segment == before.open_segment {
            kept = one(&mut wal, now_ns) - 1;
            if wal.status().open_segment == before.open_segment {
                settle(&device, &mut wal, &mut now_ns);
            }
        }
        device.power_cut();
        drop(wal);
        let (_, recovered) = recover(&device, &config).unwrap_or_else(|error| {
            panic!("seed {seed}: {error}");
        });
        let replica = &recovered.replicas[&ShardId(1)];
        assert!(replica.damage.is_none() && replica.last() >= Index(kept), "seed {seed}");
    }
}

/// What one shard's log should hold: term and payload length by index from 1.
type Model = BTreeMap<u32, Vec<(u64, usize)>>;

#[derive(Default)]
pub(super) struct Seen {
    released: u64,
    recovered_trimmed: u64,
    cut_in_recycled: u64,
    cut_while_recovering: u64,
    /// Files overwritten with zeros.
    pub(super) erased: u64,
    /// Ends of a boot with a file half overwritten.
    pub(super) ended_while_erasing: u64,
}

/// Boots, each with appends, truncations, trims and, if wanted, erasures, and a random end.
pub(super) fn run(
    seed: u64,
    planted: PlantedBugs,
    erases: bool,
    seen: &mut Seen,
) -> Result<(), String> {
    let mut rng = SplitMix64::new(seed);
    let config = WalConfig { capacity_bytes: 8 << 20, planted, ..config() };
    let device = formatted(seed, &config, 3);
    let mut now_ns = 0;
    let empty: Model = (1..=3).map(|shard| (shard, Vec::new())).collect();
    // The state after every frame that may be on the device, oldest first.
    let mut history = vec![(crate::FrameNumber(0), empty)];
    let mut trimmed: BTreeMap<u32, u64> = BTreeMap::new();
    for _boot in 0..6 {
        if rng.chance(1, 4) {
            device.cut_power_after_writes(1 + rng.below(8));
        }
        let (mut wal, recovered) =
            start_through_cuts(&device, &config, &mut seen.cut_while_recovering)?;
        seen.cut_in_recycled += u64::from(recovered.cut.is_some_and(|cut| cut.segment.0 > 16));
        let place = place_of(&wal, &recovered, &history, &trimmed)?;
        seen.recovered_trimmed +=
            u64::from(recovered.replicas.values().any(|replica| replica.trimmed > Index(0)));
        history.truncate(place + 1);
        history.drain(..place);
        history[0].0 = wal.durable();
        let mut acked = 0;
        for _ in 0..20 + rng.below(150) {
            wal.tick(at(now_ns)).map_err(|error| error.to_string())?;
            if wal.can_append() && wal.admits(50_000, Admission::Records) {
                let mut model = history[history.len() - 1].1.clone();
                let mut items = Vec::new();
                for (shard, entries) in &mut model {
                    if rng.chance(1, 10) {
                        // A new leader overwrites the newest few.
                        entries
                            .truncate(entries.len() - rng.below(4) as usize % (entries.len() + 1));
                    }
                    let len = rng.below(15_000) as usize;
                    entries.push((wal.boot.0, len));
                    items.push(entry(*shard, entries.len() as u64, wal.boot.0, len));
                }
                let written = wal.append(items, at(now_ns)).map_err(|error| error.to_string())?;
                history.push((written.last_frame, model));
            }
            now_ns += rng.below(300_000);
            if erases {
                now_ns += rng.below(2) * crate::erase::PACE_NS;
                if rng.chance(1, 10) {
                    let back = rng.below(6);
                    wal.erase(SegmentNumber(wal.status().open_segment.0.saturating_sub(back)));
                }
            }
            device.advance(now_ns);
            let mut events = Vec::new();
            wal.poll(&mut events);
            if let Some(number) = durable_of(&events) {
                acked = history.iter().rposition(|(frame, _)| *frame <= number).unwrap_or(0);
            }
            if rng.chance(1, 4) {
                // Whoever trims has what it trims durable, and out of a new leader's reach.
                for (shard, entries) in &history[acked].1 {
                    let safe = (entries.len() as u64).saturating_sub(20 + rng.below(20));
                    if safe > 0 {
                        let term = Term(entries[safe as usize - 1].0);
                        wal.trim(ShardId(*shard), Index(safe), term);
                        let known = trimmed.entry(*shard).or_default();
                        *known = safe.max(*known);
                    }
                }
            }
        }
        history.drain(..acked);
        seen.released += wal.status().segments_released;
        seen.erased += wal.status().files_erased;
        seen.ended_while_erasing += u64::from(wal.erase_due_ns().is_some());
        if rng.chance(1, 2) {
            device.power_cut()
        } else {
            device.kill()
        }
        drop(wal);
    }
    Ok(())
}

/// Which state of `history` was recovered: equal behind what is trimmed, which is never more than
/// was asked for.
fn place_of(
    wal: &crate::Wal<holdfast_io::SimDisk>,
    recovered: &crate::Recovered,
    history: &[(crate::FrameNumber, Model)],
    trimmed: &BTreeMap<u32, u64>,
) -> Result<usize, String> {
    let all = read_all(wal, recovered);
    for (shard, replica) in &recovered.replicas {
        if replica.damage.is_some() {
            return Err(format!("shard {shard}: {:?} {:?}", replica.damage, recovered.verdicts));
        }
        if replica.trimmed.0 > trimmed.get(&shard.0).copied().unwrap_or(0) {
            return Err(format!("shard {shard} is trimmed to {:?}, nobody asked", replica.trimmed));
        }
    }
    let same = |model: &Model| {
        recovered.replicas.iter().all(|(shard, replica)| {
            let entries = &model[&shard.0];
            let from = replica.trimmed.0 as usize;
            replica.last().0 == entries.len() as u64
                && (from == 0 || replica.trimmed_term.0 == entries[from - 1].0)
                && (from..entries.len()).all(|at| all[&(shard.0, at as u64 + 1)] == entries[at])
        })
    };
    let place = history.iter().rposition(|(_, model)| same(model));
    place.ok_or_else(|| format!("recovered what never was, or less than was durable: {all:?}"))
}

#[test]
fn no_crash_of_a_trimmed_log_loses_what_was_kept_or_brings_back_what_was_not() {
    let mut seen = Seen::default();
    for seed in 0..150 {
        if let Err(error) = run(seed, PlantedBugs::default(), false, &mut seen) {
            panic!("seed {seed}: {error}");
        }
    }
    assert!(seen.released > 1_000, "segments given back: {}", seen.released);
    assert!(seen.recovered_trimmed > 100, "trimmed logs read: {}", seen.recovered_trimmed);
    assert!(seen.cut_in_recycled > 20, "torn in a file used before: {}", seen.cut_in_recycled);
    assert!(seen.cut_while_recovering > 20, "cuts while starting: {}", seen.cut_while_recovering);
}

#[test]
fn frames_of_a_files_former_life_are_found_when_they_are_replayed() {
    let planted = PlantedBugs { replay_recycled_segment: true, ..PlantedBugs::default() };
    let found = (0..150).any(|seed| {
        let run = || run(seed, planted, false, &mut Seen::default());
        !matches!(std::panic::catch_unwind(run), Ok(Ok(())))
    });
    assert!(found, "a reader that ignores the segment's number is caught");
}
