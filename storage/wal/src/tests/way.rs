//! The way of an entry: appended, durable, read back, recovered.

use holdfast_base::{Index, ReplicaId, ShardId, Term};

use super::support::*;
use crate::{Wal, WalError, WalEvent};

#[test]
fn what_was_appended_is_durable_after_its_write_and_there_after_a_restart() {
    let config = config();
    let device = formatted(1, &config, 2);
    let (mut wal, recovered) = recover(&device, &config).unwrap();
    assert_eq!(recovered.boot.0, 1);
    assert!(recovered.replicas.values().all(|replica| replica.runs.is_empty()));
    let before = wal.durable();
    let items = vec![
        hard_state(1, 4, 101, 0),
        entry(1, 1, 4, 0),
        entry(1, 2, 4, 30_000),
        entry(2, 1, 4, 10),
        entry(1, 3, 4, 100),
    ];
    let written = wal.append(items, at(0)).unwrap();
    assert_eq!(written.entries.len(), 4);
    assert_eq!(written.entries[1].payload, body(1, 2, 4, 30_000));
    assert_eq!(written.entries[2].command, command(2, 1, 4));
    assert_eq!(wal.durable(), before, "nothing is durable before its write ends");
    let mut now_ns = 0;
    let events = settle(&device, &mut wal, &mut now_ns);
    assert_eq!(durable_of(&events), Some(written.last_frame));
    let extent = written.entries[1].payload_extent;
    assert_eq!(wal.read_payload(extent).unwrap(), body(1, 2, 4, 30_000));
    wal.start_read(extent.part(5, 7), 99);
    let events = settle(&device, &mut wal, &mut now_ns);
    let read = events.iter().find_map(|event| match event {
        WalEvent::Read { token: 99, result } => Some(result.clone().unwrap()),
        _ => None,
    });
    assert_eq!(read.unwrap(), body(1, 2, 4, 30_000).slice(5..12));
    drop(wal);
    device.kill();

    let (wal, recovered) = recover(&device, &config).unwrap();
    assert_eq!(recovered.boot.0, 2);
    assert_eq!(recovered.cut, None);
    let replica = &recovered.replicas[&ShardId(1)];
    assert_eq!(replica.hard_state.term, Term(4));
    assert_eq!(replica.hard_state.vote, ReplicaId(101));
    assert_eq!(replica.last(), Index(3));
    let all = read_all(&wal, &recovered);
    assert_eq!(all[&(1, 2)], (4, 30_000));
    assert_eq!(all.len(), 4);
    assert_eq!(wal.status().open_segment.0, 1, "a whole log goes on in its segment");
}

#[test]
fn how_long_writes_take_is_told_of_those_under_way_and_of_those_that_are_done() {
    const MS: u64 = 1_000_000;
    let config = config();
    let device = formatted(1, &config, 1);
    let (mut wal, _) = recover(&device, &config).unwrap();
    let mut now_ns = 0;
    settle(&device, &mut wal, &mut now_ns);
    now_ns += MS;
    wal.append(vec![entry(1, 1, 1, 50)], at(now_ns)).unwrap();
    wal.tick(at(now_ns + 30 * MS)).unwrap();
    let status = wal.status();
    assert_eq!((status.write_ns, status.oldest_write_ns), (0, 30 * MS));
    settle(&device, &mut wal, &mut now_ns);
    // The lane finds out when it turns again.
    wal.tick(at(now_ns + 80 * MS)).unwrap();
    let status = wal.status();
    assert_eq!(status.oldest_write_ns, 0);
    assert!(status.write_ns >= 80 * MS, "{status:?}");
    assert_eq!(status.recent_write_ns, status.write_ns / 8);
}

#[test]
fn a_later_write_of_an_index_truncates_everything_behind_it() {
    let config = config();
    let device = formatted(1, &config, 1);
    let (mut wal, _) = recover(&device, &config).unwrap();
    let mut now_ns = 0;
    wal.append((1..=9).map(|i| entry(1, i, 1 + i / 4, 50)).collect(), at(0)).unwrap();
    wal.append(vec![entry(1, 6, 7, 60), entry(1, 7, 7, 60), entry(1, 6, 8, 70)], at(0)).unwrap();
    settle(&device, &mut wal, &mut now_ns);
    drop(wal);
    device.kill();
    let (wal, recovered) = recover(&device, &config).unwrap();
    let all = read_all(&wal, &recovered);
    assert_eq!(all.keys().map(|key| key.1).collect::<Vec<_>>(), (1..=6).collect::<Vec<_>>());
    assert_eq!(all[&(1, 5)], (2, 50));
    assert_eq!(all[&(1, 6)], (8, 70));
}

#[test]
fn the_log_rolls_and_seals_and_starts_from_seals() {
    let config = config();
    let device = formatted(1, &config, 3);
    let (mut wal, _) = recover(&device, &config).unwrap();
    let mut now_ns = 0;
    for index in 1..=60 {
        wal.tick(at(now_ns)).unwrap();
        let items = (1..=3).map(|shard| entry(shard, index, 1, 12_000)).collect();
        wal.append(items, at(now_ns)).unwrap();
        settle(&device, &mut wal, &mut now_ns);
    }
    let status = wal.status();
    assert!(status.segments >= 5, "{status:?}");
    assert_eq!(status.sealed, status.segments - 1);
    let sealed = wal.read_seal(crate::SegmentNumber(2)).unwrap().unwrap();
    assert!(sealed.len() > 20);
    for batch in &sealed {
        let bytes = wal
            .read_payload(crate::Extent {
                segment: crate::SegmentNumber(2),
                offset: batch.position,
                len_bytes: batch.len_bytes,
            })
            .unwrap();
        assert_eq!(bytes, body(batch.shard.0, batch.index.0, 1, 12_000));
    }
    drop(wal);
    device.kill();
    let (wal, recovered) = recover(&device, &config).unwrap();
    assert_eq!(read_all(&wal, &recovered).len(), 180);
    assert!(recovered.verdicts.is_empty(), "{:?}", recovered.verdicts);
    assert_eq!(recovered.replicas[&ShardId(2)].last(), Index(60));
}

#[test]
fn a_directory_is_blank_until_formatted_and_never_formatted_twice() {
    let config = config();
    let device = device(1);
    let mut disk = device.open().unwrap();
    assert!(Wal::is_blank(&disk).unwrap());
    Wal::format(&mut disk, &config, &[identity(1)]).unwrap();
    assert!(!Wal::is_blank(&disk).unwrap());
    let again = Wal::format(&mut disk, &config, &[identity(1)]);
    assert!(matches!(again, Err(WalError::AlreadyFormatted { .. })));
    drop(disk);
    let mut other = config.clone();
    other.node = holdfast_base::NodeId(4);
    let foreign = recover(&device, &other).unwrap_err();
    assert!(matches!(foreign, WalError::Foreign { .. }), "{foreign}");
}
