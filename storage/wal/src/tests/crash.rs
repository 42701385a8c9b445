//! Power cuts and kills at every point: what was acknowledged is there, what was not is there
//! whole or not at all, and the log is always a prefix of what was appended.

use std::collections::BTreeMap;

use holdfast_base::{Index, Rng, ShardId, SplitMix64};
use holdfast_io::SimDisk;

use super::support::*;
use crate::{FrameNumber, Item, PlantedBugs, Verdict, Wal};

/// What one shard's log should hold: term and payload length by index from 1, and hard state.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
struct Shard {
    entries: Vec<(u64, usize)>,
    hard: (u64, u64, u64),
}

type Model = BTreeMap<u32, Shard>;

/// Random items for one frame, applied to `model`.
fn some_items(rng: &mut SplitMix64, model: &mut Model, len_max: u64) -> Vec<Item> {
    let mut items = Vec::new();
    let mut large = true;
    for _ in 0..=rng.below(3) {
        let shard = 1 + rng.below(3) as u32;
        let state = model.entry(shard).or_default();
        if rng.chance(1, 4) {
            state.hard.0 += 1;
            state.hard.1 = rng.below(4);
            items.push(hard_state(shard, state.hard.0, state.hard.1, 0));
        }
        if rng.chance(1, 10) && !state.entries.is_empty() {
            let keep = state.entries.len() - rng.below(state.entries.len().min(5) as u64) as usize;
            state.entries.truncate(keep.max(1) - 1);
        }
        for _ in 0..rng.below(4) {
            let large = rng.chance(1, 3) && std::mem::take(&mut large);
            let len = rng.below(if large { len_max } else { 300 }) as usize;
            state.entries.push((state.hard.0, len));
            items.push(entry(shard, state.entries.len() as u64, state.hard.0, len));
        }
    }
    // A truncation that no entry follows never reached the log: put one there.
    for (shard, state) in model.iter_mut() {
        state.entries.push((state.hard.0, 7));
        items.push(entry(*shard, state.entries.len() as u64, state.hard.0, 7));
    }
    items
}

fn recovered_model(wal: &Wal<SimDisk>, recovered: &crate::Recovered) -> Model {
    let all = read_all(wal, recovered);
    let mut model = Model::new();
    for (shard, replica) in &recovered.replicas {
        assert_eq!(replica.damage, None, "shard {shard}: {:?}", recovered.verdicts);
        let hard = &replica.hard_state;
        let entries = (1..=replica.last().0).map(|index| all[&(shard.0, index)]).collect();
        model.insert(shard.0, Shard { entries, hard: (hard.term.0, hard.vote.0, hard.commit.0) });
    }
    model
}

/// What one life of a node came to.
#[derive(Default)]
struct Seen {
    torn: u64,
    cut_in_boot: u64,
    lost_frames: u64,
    kept_unacknowledged: u64,
    rolled_cuts: u64,
    segments: u64,
}

/// One seed: several boots, each with a random workload and a random end.
fn run(seed: u64, planted: PlantedBugs, seen: &mut Seen) -> Result<(), String> {
    let mut rng = SplitMix64::new(seed);
    let config = crate::WalConfig { planted, ..config() };
    let device = formatted(seed, &config, 3);
    let mut now_ns = 0;
    // The state after every frame that may be on the disk, oldest first, with its number.
    let base: Model = (1..=3).map(|shard| (shard, Shard::default())).collect();
    let mut history: Vec<(FrameNumber, Model)> = vec![(FrameNumber(0), base)];
    let mut acked = FrameNumber(0);
    let len_max = [300, 5_000, 40_000][rng.below(3) as usize];
    for _boot in 0..5 {
        if rng.chance(1, 3) {
            device.cut_power_after_writes(1 + rng.below(8));
        }
        let (mut wal, recovered) = start_through_cuts(&device, &config, &mut seen.cut_in_boot)?;
        if recovered.verdicts.iter().any(|row| row.verdict == Verdict::Torn) {
            seen.torn += 1;
            seen.rolled_cuts += u64::from(
                recovered.cut.is_some_and(|cut| wal.status().open_segment.0 > cut.segment.0 + 1),
            );
        }
        if let Some(row) = recovered.verdicts.iter().find(|row| row.verdict == Verdict::Corruption)
        {
            return Err(format!("a crash was called corruption: {row:?}"));
        }
        let found = recovered_model(&wal, &recovered);
        let Some(place) = history.iter().rposition(|(_, model)| *model == found) else {
            return Err(format!("recovered what never was: {found:?}"));
        };
        if history[place].0 < acked {
            return Err(format!("acknowledged {acked:?}, recovered {:?}", history[place].0));
        }
        seen.lost_frames += (history.len() - 1 - place) as u64;
        seen.kept_unacknowledged += u64::from(history[place].0 > acked);
        history.truncate(place + 1);
        history.drain(..place);
        acked = wal.durable();
        history[0].0 = acked;

        for _ in 0..rng.below(60) {
            wal.tick(at(now_ns)).map_err(|error| error.to_string())?;
            if wal.can_append() {
                let mut model = history[history.len() - 1].1.clone();
                let items = some_items(&mut rng, &mut model, len_max);
                let before = wal.status().frames;
                let written = wal.append(items, at(now_ns)).map_err(|error| error.to_string())?;
                assert_eq!(wal.status().frames, before + 1, "the model needs one frame each");
                history.push((written.last_frame, model));
            }
            assert!(wal.in_flight() <= config.frames_in_flight_max);
            now_ns += rng.below(150_000);
            device.advance(now_ns);
            let mut events = Vec::new();
            wal.poll(&mut events);
            if let Some(number) = durable_of(&events) {
                acked = number;
            }
        }
        seen.segments += wal.status().segments;
        if rng.chance(1, 2) {
            device.power_cut()
        } else {
            device.kill()
        }
        drop(wal);
    }
    Ok(())
}

#[test]
fn no_crash_loses_what_was_acknowledged_or_shows_half_a_frame() {
    let mut seen = Seen::default();
    for seed in 0..400 {
        if let Err(error) = run(seed, PlantedBugs::default(), &mut seen) {
            panic!("seed {seed}: {error}");
        }
    }
    assert!(seen.torn > 50, "torn tails: {}", seen.torn);
    assert!(seen.cut_in_boot > 50, "cuts during recovery: {}", seen.cut_in_boot);
    assert!(seen.lost_frames > 100, "lost frames: {}", seen.lost_frames);
    assert!(seen.kept_unacknowledged > 20, "kept: {}", seen.kept_unacknowledged);
    assert!(seen.rolled_cuts > 5, "cuts before a roll: {}", seen.rolled_cuts);
}

fn found_by_crashes(planted: PlantedBugs) -> bool {
    (0..400).any(|seed| {
        let run = || run(seed, planted, &mut Seen::default());
        !matches!(std::panic::catch_unwind(run), Ok(Ok(())))
    })
}

#[test]
fn crashes_find_the_planted_bugs_they_can_reach() {
    let off = PlantedBugs::default();
    assert!(found_by_crashes(PlantedBugs { durable_before_completion: true, ..off }));
    assert!(found_by_crashes(PlantedBugs { vote_not_restored: true, ..off }));
    assert!(found_by_crashes(PlantedBugs { torn_batch_half_visible: true, ..off }));
}

#[test]
fn frames_behind_a_cut_never_come_back() {
    let config = config();
    // Find a seed where the first of two frames in flight is lost and the second is whole.
    let mut tried = 0;
    for seed in 0..200 {
        let device = formatted(seed, &config, 1);
        let (mut wal, _) = recover(&device, &config).unwrap();
        let mut now_ns = 0;
        wal.append(vec![entry(1, 1, 1, 100)], at(0)).unwrap();
        settle(&device, &mut wal, &mut now_ns);
        wal.append(vec![entry(1, 2, 1, 100)], at(0)).unwrap();
        wal.append(vec![entry(1, 3, 1, 100)], at(0)).unwrap();
        device.power_cut();
        drop(wal);
        let (mut wal, recovered) = recover(&device, &config).unwrap();
        let whole = recovered.replicas[&ShardId(1)].last();
        if recovered.cut.is_none() || whole != Index(1) {
            continue;
        }
        tried += 1;
        let cut_segment = recovered.cut.unwrap().segment;
        assert!(wal.status().open_segment > cut_segment);
        for round in 0..2 {
            // The same indexes again in a higher term, torn once more or not.
            wal.append(vec![entry(1, 2, 5 + round, 100)], at(now_ns)).unwrap();
            settle(&device, &mut wal, &mut now_ns);
            wal.append(vec![entry(1, 3, 5 + round, 100)], at(now_ns)).unwrap();
            device.power_cut();
            drop(wal);
            let again = recover(&device, &config).unwrap();
            wal = again.0;
            let all = read_all(&wal, &again.1);
            assert_eq!(all[&(1, 2)].0, 5 + round, "seed {seed}");
            assert!(all.get(&(1, 3)).is_none_or(|found| found.0 == 5 + round), "seed {seed}");
        }
    }
    assert!(tried > 10, "only {tried} seeds cut the log");
}

#[test]
fn a_failed_write_stops_the_lane_and_is_told_once() {
    let config = config();
    let device = formatted(1, &config, 1);
    let (mut wal, _) = recover(&device, &config).unwrap();
    let mut now_ns = 0;
    let first = wal.append(vec![entry(1, 1, 1, 100)], at(0)).unwrap();
    settle(&device, &mut wal, &mut now_ns);
    device.plan_write_fault(holdfast_io::WriteFault::Failed);
    wal.append(vec![entry(1, 2, 1, 100)], at(0)).unwrap();
    wal.append(vec![entry(1, 3, 1, 100)], at(0)).unwrap();
    let events = settle(&device, &mut wal, &mut now_ns);
    let told = |event: &&crate::WalEvent| matches!(event, crate::WalEvent::Failed(_));
    assert_eq!(events.iter().filter(told).count(), 1);
    assert_eq!(wal.durable(), first.last_frame);
    assert!(!wal.can_append());
    let refused = wal.append(vec![entry(1, 4, 1, 100)], at(0));
    assert!(matches!(refused, Err(crate::WalError::Failed(_))));
    assert!(settle(&device, &mut wal, &mut now_ns).is_empty());
}
