//! Room: the window W, prepared segments, a full device, the reserve; and what is published.

use super::support::*;
use crate::{Admission, WalConfig};

#[test]
fn never_more_than_w_bytes_or_four_frames_are_at_the_device() {
    let mut config = config();
    config.in_flight_bytes_max = 128 << 10;
    let device = formatted(1, &config, 1);
    let (mut wal, _) = recover(&device, &config).unwrap();
    let mut now_ns = 0;
    // Far more than the window in one append: the rest waits and still becomes durable in order.
    let written = wal.append((1..=40).map(|i| entry(1, i, 1, 30_000)).collect(), at(0)).unwrap();
    assert!(!wal.can_append());
    let mut events = Vec::new();
    let mut deepest = 0;
    while wal.durable() < written.last_frame {
        wal.tick(at(now_ns)).unwrap();
        assert!(wal.in_flight_bytes <= config.in_flight_bytes_max);
        deepest = deepest.max(wal.in_flight_bytes);
        now_ns = device.next_due_ns().expect("something is under way").max(now_ns);
        device.advance(now_ns);
        wal.poll(&mut events);
    }
    assert!(deepest > 100 << 10, "the window was used: {deepest}");
    assert!(wal.status().segments > 1, "frames waited for a segment on the way");
    drop(wal);
    device.kill();
    let (wal, recovered) = recover(&device, &config).unwrap();
    assert_eq!(read_all(&wal, &recovered).len(), 40);
}

#[test]
fn a_full_device_refuses_records_keeps_the_reserve_and_heals() {
    let config = WalConfig { capacity_bytes: 64 << 20, ..config() };
    let device = formatted(1, &config, 1);
    // Room for the superblock and five segments.
    device.set_capacity(5 * config.segment_bytes + (200 << 10));
    let (mut wal, _) = recover(&device, &config).unwrap();
    let mut now_ns = 0;
    let mut index = 0;
    for _ in 0..20 {
        wal.tick(at(now_ns)).unwrap();
        settle(&device, &mut wal, &mut now_ns);
    }
    while wal.admits(30_000, Admission::Records) {
        index += 1;
        assert!(index < 1_000, "records are refused in the end");
        wal.tick(at(now_ns)).unwrap();
        wal.append(vec![entry(1, index, 1, 30_000)], at(now_ns)).unwrap();
        settle(&device, &mut wal, &mut now_ns);
    }
    assert!(wal.status().device_full);
    assert!(index > 10, "most of the device was used: {index}");
    // What frees space still goes, and becomes durable without a new file.
    assert!(wal.admits(30_000, Admission::Reserve));
    let mut reserve = 0;
    while wal.admits(10_000, Admission::Reserve) {
        reserve += 1;
        let written = wal.append(vec![entry(1, index + reserve, 1, 10_000)], at(now_ns)).unwrap();
        settle(&device, &mut wal, &mut now_ns);
        assert_eq!(wal.durable(), written.last_frame, "admitted is written");
    }
    assert!(reserve * 10_000 > config.reserve_bytes / 2, "the reserve is real: {reserve}");
    // More than admitted waits; with room it heals by itself.
    let items: Vec<_> = (1..=20).map(|more| entry(1, index + reserve + more, 1, 30_000)).collect();
    let waiting = wal.append(items, at(now_ns)).unwrap();
    now_ns += 20_000_000_000;
    wal.tick(at(now_ns)).unwrap();
    settle(&device, &mut wal, &mut now_ns);
    assert!(wal.durable() < waiting.last_frame);
    device.set_capacity(1 << 30);
    for _ in 0..10 {
        let wake_ns = wal.next_wake_ns().unwrap_or(now_ns);
        now_ns = now_ns.max(wake_ns);
        wal.tick(at(now_ns)).unwrap();
        settle(&device, &mut wal, &mut now_ns);
    }
    assert!(wal.durable() >= waiting.last_frame);
    assert!(wal.admits(30_000, Admission::Records));
}

#[test]
fn capacity_bounds_what_is_admitted_before_the_device_is_full() {
    let config = config();
    let device = formatted(1, &config, 1);
    let (mut wal, _) = recover(&device, &config).unwrap();
    let mut now_ns = 0;
    let mut index = 0;
    while wal.admits(20_000, Admission::Records) {
        index += 1;
        wal.tick(at(now_ns)).unwrap();
        wal.append(vec![entry(1, index, 1, 20_000)], at(now_ns)).unwrap();
        settle(&device, &mut wal, &mut now_ns);
    }
    let status = wal.status();
    assert!(!status.device_full);
    // Headers take a quarter of segments this small, the reserve and the last frame the rest.
    assert!(status.files <= config.capacity_bytes / config.segment_bytes);
    assert!(index * 20_000 > config.capacity_bytes / 2, "{index}");
}

#[test]
fn durable_is_published_once_after_100_ms_and_then_silence() {
    let config = config();
    let device = formatted(1, &config, 1);
    let (mut wal, _) = recover(&device, &config).unwrap();
    let mut now_ns = 0;
    for _ in 0..20 {
        wal.tick(at(now_ns)).unwrap();
        settle(&device, &mut wal, &mut now_ns);
    }
    assert_eq!(wal.next_wake_ns(), None, "nothing written, nothing to publish");
    let start_ns = now_ns;
    wal.append(vec![entry(1, 1, 1, 10)], at(now_ns)).unwrap();
    settle(&device, &mut wal, &mut now_ns);
    assert_eq!(wal.next_wake_ns(), Some(start_ns + 100_000_000));
    wal.tick(at(start_ns + 99_000_000)).unwrap();
    assert_eq!(wal.status().frames, 1);
    wal.tick(at(start_ns + 100_000_000)).unwrap();
    now_ns = start_ns + 100_000_000;
    settle(&device, &mut wal, &mut now_ns);
    assert_eq!(wal.status().frames, 2);
    assert_eq!(wal.next_wake_ns(), None);
    for _ in 0..10 {
        now_ns += 1_000_000_000;
        wal.tick(at(now_ns)).unwrap();
        settle(&device, &mut wal, &mut now_ns);
    }
    assert_eq!(wal.status().frames, 2, "silence until new work");
}

#[test]
fn durable_is_published_at_once_behind_a_mebibyte() {
    let config = WalConfig {
        segment_bytes: 8 << 20,
        capacity_bytes: 64 << 20,
        frame_bytes_max: 2 << 20,
        in_flight_bytes_max: 4 << 20,
        ..config()
    };
    let device = formatted(1, &config, 1);
    let (mut wal, _) = recover(&device, &config).unwrap();
    let mut now_ns = 0;
    wal.append(vec![entry(1, 1, 1, 1_500_000)], at(now_ns)).unwrap();
    settle(&device, &mut wal, &mut now_ns);
    assert!(wal.next_wake_ns().unwrap() <= now_ns);
}

#[test]
fn appends_that_break_a_rule_change_nothing() {
    let config = config();
    let device = formatted(1, &config, 1);
    let (mut wal, _) = recover(&device, &config).unwrap();
    for items in [
        vec![entry(1, 2, 1, 5)],
        vec![entry(1, 1, 1, 5), entry(1, 3, 1, 5)],
        vec![entry(9, 1, 1, 5)],
        vec![hard_state(9, 1, 1, 1)],
        vec![entry(1, 1, 1, 400 << 10)],
        vec![crate::Item::Identity(crate::Identity {
            replica: holdfast_base::ReplicaId(77),
            ..identity(1)
        })],
    ] {
        assert!(wal.append(items, at(0)).is_err());
    }
    assert_eq!(wal.status().frames, 0);
    assert_eq!(wal.in_flight(), 0);
}

#[test]
fn replicas_are_born_and_buried_across_segments_and_starts() {
    let config = config();
    let device = formatted(1, &config, 1);
    let (mut wal, _) = recover(&device, &config).unwrap();
    let mut now_ns = 0;
    wal.append(
        vec![crate::Item::Identity(identity(8)), hard_state(8, 3, 9, 0), entry(8, 1, 3, 100)],
        at(0),
    )
    .unwrap();
    wal.append(vec![hard_state(1, 6, 2, 0)], at(0)).unwrap();
    wal.append(
        vec![crate::Item::Tombstone(holdfast_base::ShardId(1), holdfast_base::ReplicaId(101))],
        at(0),
    )
    .unwrap();
    let check = |wal: crate::Wal<holdfast_io::SimDisk>, now_ns: &mut u64| {
        let mut wal = wal;
        settle(&device, &mut wal, now_ns);
        drop(wal);
        device.kill();
        let (wal, recovered) = recover(&device, &config).unwrap();
        assert_eq!(recovered.replicas.len(), 1);
        let born = &recovered.replicas[&holdfast_base::ShardId(8)];
        assert_eq!(born.identity, identity(8));
        assert_eq!((born.hard_state.term.0, born.hard_state.vote.0), (3, 9));
        let buried = (holdfast_base::ShardId(1), holdfast_base::ReplicaId(101));
        assert_eq!(recovered.tombstones, vec![buried]);
        wal
    };
    let mut wal = check(wal, &mut now_ns);
    // Rolled away: only the tables know now.
    for index in 2..=60 {
        wal.tick(at(now_ns)).unwrap();
        wal.append(vec![entry(8, index, 3, 30_000)], at(now_ns)).unwrap();
        settle(&device, &mut wal, &mut now_ns);
    }
    assert!(wal.status().segments > 3);
    check(wal, &mut now_ns);
}

#[test]
fn planted_bugs_of_the_running_log_break_what_they_name() {
    let planted = crate::PlantedBugs {
        reserve_ignored: true,
        failed_write_retried_and_acked: true,
        ..crate::PlantedBugs::default()
    };
    let config = WalConfig { planted, ..config() };
    let device = formatted(1, &config, 1);
    let (mut wal, _) = recover(&device, &config).unwrap();
    assert!(wal.admits(u64::MAX / 2, Admission::Records));
    let mut now_ns = 0;
    device.plan_write_fault(holdfast_io::WriteFault::Failed);
    let written = wal.append(vec![entry(1, 1, 1, 100)], at(0)).unwrap();
    settle(&device, &mut wal, &mut now_ns);
    assert_eq!(wal.durable(), written.last_frame, "acknowledged although the write failed");
}
