//! The suite, and claims about each fault: it fires when asked, and only then.

use super::*;
use crate::BLOCK_BYTES;
use crate::conformance::{self, Subject, pattern};

const CAPACITY_BYTES: u64 = 64 << 20;

fn device(faults: SimFaults) -> SimDevice {
    SimDevice::new(7, CAPACITY_BYTES, faults)
}

/// A device with a file of 16 blocks, open.
fn opened(faults: SimFaults) -> (SimDevice, SimDisk, FileId) {
    let device = device(faults);
    let mut disk = device.open().unwrap();
    let file = disk.create("a", 16 * BLOCK_BYTES as u64).unwrap();
    (device, disk, file)
}

fn finish(device: &SimDevice, disk: &mut SimDisk) -> Vec<Completion> {
    while let Some(due_ns) = device.next_due_ns() {
        device.advance(due_ns);
    }
    let mut completions = Vec::new();
    disk.poll(&mut completions);
    completions
}

fn block_of(device: &SimDevice, block: usize) -> Vec<u8> {
    device.media("a").unwrap()[block * BLOCK_BYTES..(block + 1) * BLOCK_BYTES].to_vec()
}

#[test]
fn it_conforms() {
    let device = device(SimFaults::default());
    let mut subject = Subject {
        open: &mut || device.open(),
        drive: &mut |_: &mut SimDisk| {
            device.advance(device.next_due_ns().expect("something is in flight"));
        },
    };
    conformance::run(&mut subject);
}

#[test]
fn nothing_ends_before_time_passes() {
    let (device, mut disk, file) = opened(SimFaults::default());
    disk.submit_write(file, 0, pattern(1, 1), Token(1));
    let mut completions = Vec::new();
    disk.poll(&mut completions);
    device.advance(19_999);
    disk.poll(&mut completions);
    assert!(completions.is_empty());
    assert_eq!(finish(&device, &mut disk).len(), 1);
}

#[test]
fn a_power_cut_keeps_tears_and_drops_what_was_not_completed_and_nothing_else() {
    let (mut kept, mut torn, mut dropped) = (0, 0, 0);
    for seed in 0..200 {
        let device = SimDevice::new(seed, CAPACITY_BYTES, SimFaults::default());
        let mut disk = device.open().unwrap();
        let file = disk.create("a", 16 * BLOCK_BYTES as u64).unwrap();
        disk.submit_write(file, 0, pattern(1, 1), Token(1));
        finish(&device, &mut disk);
        disk.submit_write(file, 4096, pattern(2, 1), Token(2));
        device.power_cut();
        assert!(disk.read(file, 0, BLOCK_BYTES).is_err(), "the old disk is dead");
        assert_eq!(block_of(&device, 0), pattern(1, 1), "completed means durable");
        let after = block_of(&device, 1);
        if after == pattern(2, 1) {
            kept += 1;
        } else if after == [0; BLOCK_BYTES] {
            dropped += 1;
        } else {
            torn += 1;
            for (found, written) in after.chunks(512).zip(pattern(2, 1).chunks(512)) {
                assert!(found == written || found == [0; 512], "sectors are whole");
            }
        }
        device.open().unwrap();
    }
    assert!(kept > 20 && torn > 40 && dropped > 40, "{kept} {torn} {dropped}");
}

#[test]
fn a_completion_nobody_polled_is_durable_all_the_same() {
    let (device, mut disk, file) = opened(SimFaults::default());
    disk.submit_write(file, 0, pattern(1, 1), Token(1));
    device.advance(1_000_000);
    device.power_cut();
    assert_eq!(block_of(&device, 0), pattern(1, 1));
}

#[test]
fn an_early_acknowledgement_is_readable_and_may_be_lost_in_a_power_cut() {
    let faults = SimFaults {
        ack_before_flush: true,
        cut_kept_percent: 0,
        cut_torn_percent: 0,
        ..SimFaults::default()
    };
    let (device, mut disk, file) = opened(faults);
    disk.submit_write(file, 0, pattern(1, 1), Token(1));
    device.advance(300_000);
    let mut completions = Vec::new();
    disk.poll(&mut completions);
    assert!(matches!(completions[..], [Completion::Write { result: Ok(()), .. }]));
    assert_eq!(disk.read(file, 0, BLOCK_BYTES), Ok(pattern(1, 1)));
    device.power_cut();
    assert_eq!(block_of(&device, 0), [0; BLOCK_BYTES]);
    assert_eq!(device.counters().cut_acknowledged, 1);
}

#[test]
fn a_kill_leaves_writes_whole_or_absent() {
    let (mut landed, mut absent) = (0, 0);
    for seed in 0..100 {
        let device = SimDevice::new(seed, CAPACITY_BYTES, SimFaults::default());
        let mut disk = device.open().unwrap();
        let file = disk.create("a", 16 * BLOCK_BYTES as u64).unwrap();
        disk.submit_write(file, 0, pattern(1, 1), Token(1));
        device.kill();
        match block_of(&device, 0) {
            block if block == pattern(1, 1) => landed += 1,
            block if block == [0; BLOCK_BYTES] => absent += 1,
            _ => panic!("torn by a kill"),
        }
    }
    assert!(landed > 20 && absent > 20);
}

#[test]
fn a_lost_write_is_acknowledged_and_absent() {
    let (device, mut disk, file) = opened(SimFaults::default());
    device.plan_write_fault(WriteFault::Lost);
    disk.submit_write(file, 0, pattern(1, 1), Token(1));
    let ended = finish(&device, &mut disk);
    assert!(matches!(ended[..], [Completion::Write { result: Ok(()), .. }]));
    assert_eq!(block_of(&device, 0), [0; BLOCK_BYTES]);
    assert_eq!(device.counters().lost, 1);
}

#[test]
fn a_misdirected_write_lands_in_exactly_one_wrong_place() {
    let (device, mut disk, file) = opened(SimFaults::default());
    device.plan_write_fault(WriteFault::Misdirected);
    disk.submit_write(file, 4096, pattern(1, 1), Token(1));
    finish(&device, &mut disk);
    let places: Vec<_> = (0..16).filter(|b| block_of(&device, *b) == pattern(1, 1)).collect();
    assert_eq!(places.len(), 1);
    assert_ne!(places[0], 1);
}

#[test]
fn a_failed_device_stays_failed_after_reopening() {
    let (device, mut disk, file) = opened(SimFaults::default());
    device.plan_write_fault(WriteFault::Failed);
    disk.submit_write(file, 0, pattern(1, 1), Token(1));
    disk.submit_write(file, 4096, pattern(2, 1), Token(2));
    for completion in finish(&device, &mut disk) {
        // The second was submitted before the failure and may have ended before it.
        let Completion::Write { token, result } = completion else { panic!() };
        assert!(result.is_err() || token == Token(2));
    }
    disk.submit_write(file, 8192, pattern(3, 1), Token(3));
    let ended = finish(&device, &mut disk);
    assert!(matches!(ended[..], [Completion::Write { result: Err(_), .. }]));
    assert!(disk.write(file, 0, pattern(4, 1)).is_err());
    drop(disk);
    assert_eq!(device.open().map(|_| ()).unwrap_err().kind, DiskErrorKind::Failed);
    device.repair();
    device.open().unwrap();
}

#[test]
fn a_hung_write_ends_when_released() {
    let (device, mut disk, file) = opened(SimFaults::default());
    device.plan_write_fault(WriteFault::Hung);
    disk.submit_write(file, 0, pattern(1, 1), Token(1));
    disk.submit_write(file, 4096, pattern(2, 1), Token(2));
    assert_eq!(finish(&device, &mut disk).len(), 1, "others pass it");
    device.release();
    assert_eq!(finish(&device, &mut disk).len(), 1);
    device.hang();
    disk.submit_write(file, 0, pattern(3, 1), Token(3));
    assert!(finish(&device, &mut disk).is_empty());
    device.release();
    assert_eq!(finish(&device, &mut disk).len(), 1);
}

#[test]
fn a_full_device_makes_no_file_and_goes_on() {
    let (device, mut disk, file) = opened(SimFaults::default());
    let kind = disk.create("b", CAPACITY_BYTES).map_err(|error| error.kind);
    assert_eq!(kind, Err(DiskErrorKind::Full));
    disk.submit_create("b", CAPACITY_BYTES, Token(1));
    let ended = finish(&device, &mut disk);
    assert!(matches!(ended[..], [Completion::Create { result: Err(_), .. }]));
    assert_eq!(disk.list().unwrap().len(), 1);
    disk.write(file, 0, pattern(1, 1)).unwrap();
}

#[test]
fn a_flipped_bit_is_one_bit_of_something_written() {
    let (device, mut disk, file) = opened(SimFaults::default());
    assert_eq!(device.flip_random_bit(), None);
    disk.write(file, 8192, pattern(1, 1)).unwrap();
    let (name, offset) = device.flip_random_bit().unwrap();
    assert_eq!(name, "a");
    assert!((8192..12_288).contains(&offset));
    let flipped: u32 = block_of(&device, 2)
        .iter()
        .zip(pattern(1, 1).iter())
        .map(|(found, written)| (found ^ written).count_ones())
        .sum();
    assert_eq!(flipped, 1);
}

#[test]
fn a_rollback_shows_the_device_as_it_was() {
    let (device, mut disk, file) = opened(SimFaults::default());
    disk.write(file, 0, pattern(1, 1)).unwrap();
    let snapshot = device.snapshot();
    disk.write(file, 0, pattern(2, 1)).unwrap();
    drop(disk);
    device.roll_back(&snapshot);
    assert_eq!(block_of(&device, 0), pattern(1, 1));
}

#[test]
fn the_power_can_go_in_the_middle_of_boot() {
    let (device, mut disk, file) = opened(SimFaults::default());
    device.cut_power_after_writes(2);
    disk.write(file, 0, pattern(1, 1)).unwrap();
    assert!(disk.write(file, 4096, pattern(2, 1)).is_err());
    assert!(device.is_off());
    assert!(disk.list().is_err());
    let mut disk = device.open().unwrap();
    let file = disk.open("a").unwrap();
    assert_eq!(disk.read(file, 0, BLOCK_BYTES), Ok(pattern(1, 1)));
}

#[test]
fn the_same_seed_gives_the_same_run() {
    let run = |seed: u64| {
        let faults = SimFaults {
            lost_per_million: 50_000,
            misdirected_per_million: 50_000,
            flipped_per_million: 50_000,
            slow_per_million: 50_000,
            ..SimFaults::default()
        };
        let device = SimDevice::new(seed, CAPACITY_BYTES, faults);
        let mut order = Vec::new();
        for round in 0..10_u8 {
            let mut disk = device.open().unwrap();
            let file = match disk.open("a") {
                Ok(file) => file,
                Err(_) => disk.create("a", 16 * BLOCK_BYTES as u64).unwrap(),
            };
            for number in 0..16 {
                disk.submit_write(file, number * 4096, pattern(round, 1), Token(number));
            }
            device.advance((u64::from(round) + 1) * 150_000);
            let mut completions = Vec::new();
            disk.poll(&mut completions);
            order.extend(completions.iter().map(|completion| completion.token().0));
            device.power_cut();
        }
        (order, device.media("a"), device.counters())
    };
    assert!(run(1) == run(1));
    assert!(run(1) != run(2));
    let counters = run(1).2;
    assert!(counters.lost > 0 && counters.misdirected > 0 && counters.flipped > 0);
}

#[test]
fn a_part_of_the_media_is_what_lies_there_wherever_it_begins() {
    let (device, mut disk, file) = opened(SimFaults::default());
    disk.submit_write(file, 0, pattern(2, 7), Token(1));
    finish(&device, &mut disk);
    let whole = device.media("a").unwrap();
    let block = BLOCK_BYTES as u64;
    for range in [0..1, 3..9, block - 2..block + 2, block + 1..2 * block, 5..5] {
        let (start, end) = (range.start as usize, range.end as usize);
        assert_eq!(device.media_at("a", range).unwrap(), whole[start..end]);
    }
    let len_bytes = whole.len() as u64;
    assert_eq!(device.media_at("a", len_bytes - 1..len_bytes + 1), None);
}
