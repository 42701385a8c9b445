//! A lane on a simulated device, and a model of what it was told.

use std::collections::BTreeMap;

use bytes::Bytes;
use holdfast_base::{
    ClusterId, Index, LaneId, NodeId, Now, PartitionKey, ReplicaId, Rng, ShardId, SplitMix64, Term,
    TopicId,
};
use holdfast_io::{SimDevice, SimDisk, SimFaults};

use crate::{
    Chunk, EntryKind, Extent, FrameNumber, HardState, Identity, Item, Locator, NewEntry, Recovered,
    StoredEntry, Wal, WalConfig, WalError, WalEvent,
};

/// A small log: eight segments of 512 KiB, frames of 64 KiB.
pub(crate) fn config() -> WalConfig {
    let mut config = WalConfig::new(ClusterId([7; 16]), NodeId(3), LaneId(0), 16 << 20);
    config.segment_bytes = 512 << 10;
    config.frame_bytes_max = 64 << 10;
    config.in_flight_bytes_max = 256 << 10;
    config.reserve_bytes = 512 << 10;
    config.validate().unwrap();
    config
}

pub(crate) fn identity(shard: u32) -> Identity {
    Identity {
        shard: ShardId(shard),
        replica: ReplicaId(u64::from(shard) + 100),
        voters: vec![ReplicaId(u64::from(shard) + 100)],
        learners: vec![],
    }
}

pub(crate) fn device(seed: u64) -> SimDevice {
    SimDevice::new(seed, 1 << 30, SimFaults::default())
}

pub(crate) fn formatted(seed: u64, config: &WalConfig, shards: u32) -> SimDevice {
    let device = device(seed);
    let replicas: Vec<Identity> = (1..=shards).map(identity).collect();
    Wal::format(&mut device.open().unwrap(), config, &replicas).unwrap();
    device
}

pub(crate) fn recover(
    device: &SimDevice,
    config: &WalConfig,
) -> Result<(Wal<SimDisk>, Recovered), WalError> {
    Wal::recover(device.open()?, config.clone())
}

/// Recovers as often as the power goes while it does; counts how often that was.
pub(crate) fn start_through_cuts(
    device: &SimDevice,
    config: &WalConfig,
    cuts: &mut u64,
) -> Result<(Wal<SimDisk>, Recovered), String> {
    loop {
        match recover(device, config) {
            Ok(both) if !device.is_off() => return Ok(both),
            Ok(_) | Err(_) if device.is_off() => *cuts += 1,
            Ok(_) => unreachable!(),
            Err(error) => return Err(format!("recovery: {error}")),
        }
    }
}

pub(crate) fn at(ns: u64) -> Now {
    Now { boottime_ns: ns, wall_ms: 0 }
}

/// Bytes of an entry that say which entry they are.
pub(crate) fn body(shard: u32, index: u64, term: u64, len: usize) -> Bytes {
    let mut rng = SplitMix64::new(u64::from(shard) << 48 ^ index << 16 ^ term);
    let mut bytes = Vec::with_capacity(len + 8);
    while bytes.len() < len {
        bytes.extend_from_slice(&rng.next_u64().to_le_bytes());
    }
    bytes.truncate(len);
    Bytes::from(bytes)
}

pub(crate) fn command(shard: u32, index: u64, term: u64) -> Bytes {
    Bytes::from(format!("command {shard} {index} {term}"))
}

pub(crate) fn entry(shard: u32, index: u64, term: u64, payload_bytes: usize) -> Item {
    let bytes = body(shard, index, term, payload_bytes);
    let (payload, locators) = if payload_bytes == 0 {
        (vec![], vec![])
    } else if payload_bytes < 21 {
        (vec![Chunk::Body { bytes, crc32c: None }], vec![])
    } else {
        let mut head = [0; 21];
        head.copy_from_slice(&bytes[..21]);
        let rest = bytes.slice(21..);
        let crc32c = Some(crc32c::crc32c(&rest));
        let locator = Locator {
            partition: PartitionKey { topic: TopicId([1; 16]), partition: shard as i32 },
            base_offset: index as i64 * 10,
            last_offset: index as i64 * 10 + 9,
            max_timestamp_ms: 1_700_000_000_000 + index as i64,
            start: 0,
            len_bytes: payload_bytes as u32,
        };
        (vec![Chunk::Head(head), Chunk::Body { bytes: rest, crc32c }], vec![locator])
    };
    Item::Entry(NewEntry {
        shard: ShardId(shard),
        replica: ReplicaId(u64::from(shard) + 100),
        index: Index(index),
        term: Term(term),
        kind: EntryKind::Normal,
        command: command(shard, index, term),
        payload,
        locators,
    })
}

pub(crate) fn hard_state(shard: u32, term: u64, vote: u64, commit: u64) -> Item {
    Item::HardState(
        ShardId(shard),
        ReplicaId(u64::from(shard) + 100),
        HardState { term: Term(term), vote: ReplicaId(vote), commit: Index(commit) },
    )
}

/// Lets the device finish everything and the log hear of it.
pub(crate) fn settle(
    device: &SimDevice,
    wal: &mut Wal<SimDisk>,
    now_ns: &mut u64,
) -> Vec<WalEvent> {
    let mut events = Vec::new();
    wal.poll(&mut events);
    while let Some(due_ns) = device.next_due_ns() {
        *now_ns = (*now_ns).max(due_ns);
        device.advance(*now_ns);
        wal.poll(&mut events);
    }
    events
}

/// Every entry of every shard as read back: (shard, index) → (term, payload length).
pub(crate) fn read_all(
    wal: &Wal<SimDisk>,
    recovered: &Recovered,
) -> BTreeMap<(u32, u64), (u64, usize)> {
    let mut all = BTreeMap::new();
    for (shard, replica) in &recovered.replicas {
        for run in &replica.runs {
            let entries: Vec<StoredEntry> = wal.read_run(run).unwrap();
            assert_eq!(entries.len() as u64, run.last.0 - run.first.0 + 1);
            assert_eq!(entries[entries.len() - 1].term, run.last_term);
            for stored in entries {
                let (shard, index, term) = (shard.0, stored.index.0, stored.term.0);
                assert_eq!(stored.command, command(shard, index, term));
                let Extent { len_bytes, .. } = stored.payload;
                let payload = wal.read_payload(stored.payload).unwrap();
                assert_eq!(payload, body(shard, index, term, len_bytes as usize));
                all.insert((shard, index), (term, len_bytes as usize));
            }
        }
    }
    all
}

pub(crate) fn durable_of(events: &[WalEvent]) -> Option<FrameNumber> {
    events.iter().rev().find_map(|event| match event {
        WalEvent::Durable(number) => Some(*number),
        WalEvent::Read { .. } | WalEvent::Failed(_) => None,
    })
}
