//! Bytes that turn over, writes that go elsewhere, bytes somebody made up.

use std::collections::BTreeMap;

use bytes::Bytes;
use holdfast_base::{Index, Rng, ShardId, SplitMix64};
use holdfast_io::{Disk, SimDevice, SimSnapshot};
use proptest::prelude::*;

use super::support::*;
use crate::format::{self, stamp_at};
use crate::{DamageReason, HardState, PlantedBugs, SegmentNumber, Verdict, WalConfig, WalError};

/// A log of two sealed segments and an open one, everything in it published as durable.
struct Whole {
    device: SimDevice,
    image: SimSnapshot,
    truth: BTreeMap<(u32, u64), (u64, usize)>,
    hard: BTreeMap<u32, HardState>,
    open_file: String,
    open_end: u64,
}

fn whole(config: &WalConfig) -> Whole {
    let device = formatted(5, config, 3);
    let (mut wal, _) = recover(&device, config).unwrap();
    let mut now_ns = 0;
    let mut index = 0;
    let mut rng = SplitMix64::new(1);
    while wal.status().open_segment.0 < 3 || wal.status().open_offset < 300 << 10 {
        index += 1;
        wal.tick(at(now_ns)).unwrap();
        let mut items = Vec::new();
        for shard in 1..=3 {
            items.push(hard_state(shard, 2 + index / 8, 100 + rng.below(9), index - 1));
            items.push(entry(shard, index, 2 + index / 8, rng.below(9_000) as usize));
        }
        wal.append(items, at(now_ns)).unwrap();
        settle(&device, &mut wal, &mut now_ns);
    }
    now_ns += 200_000_000;
    wal.tick(at(now_ns)).unwrap();
    settle(&device, &mut wal, &mut now_ns);
    let open_file = wal.file_name_of(wal.status().open_segment).unwrap();
    let open_end = wal.status().open_offset;
    drop(wal);
    device.kill();
    let image = device.snapshot();
    let (wal, recovered) = recover(&device, config).unwrap();
    assert!(recovered.verdicts.is_empty());
    let truth = read_all(&wal, &recovered);
    assert_eq!(truth.len() as u64, 3 * index);
    let hard = recovered.replicas.iter().map(|(id, one)| (id.0, one.hard_state)).collect();
    drop(wal);
    device.kill();
    Whole { device, image, truth, hard, open_file, open_end }
}

/// After damage: whatever is handed out is true, and whatever is missing is named.
fn check(whole: &Whole, config: &WalConfig) -> Result<Option<Verdict>, String> {
    let (wal, recovered) = match recover(&whole.device, config) {
        Ok(both) => both,
        Err(WalError::LaneFailed { .. }) => return Err("lane failed".to_owned()),
        Err(error) => return Err(error.to_string()),
    };
    for (shard, replica) in &recovered.replicas {
        let mut next = 1;
        for run in &replica.runs {
            let entries = match wal.read_run(run) {
                Ok(entries) => entries,
                Err(WalError::Damaged { .. }) => {
                    next = run.last.0 + 1;
                    continue;
                }
                Err(error) => return Err(error.to_string()),
            };
            for stored in entries {
                let key = (shard.0, stored.index.0);
                let found = (stored.term.0, stored.payload.len_bytes as usize);
                if stored.index.0 != next || whole.truth.get(&key) != Some(&found) {
                    return Err(format!("{key:?} reads {found:?}"));
                }
                if stored.command != command(key.0, key.1, found.0) {
                    return Err(format!("{key:?}: command"));
                }
                // Payload of an open segment was verified; a sealed one's is at read.
                let verified = stored.payload.segment == wal.status().open_segment;
                let payload = wal.read_payload(stored.payload).map_err(|e| e.to_string())?;
                if verified && payload != body(key.0, key.1, found.0, found.1) {
                    return Err(format!("{key:?}: payload"));
                }
                next += 1;
            }
        }
        let missing = whole.truth.contains_key(&(shard.0, next));
        if missing && replica.damage.is_none() {
            return Err(format!("shard {shard} ends at {next} and nobody says why"));
        }
        if replica.damage.is_none() && replica.hard_state != whole.hard[&shard.0] {
            return Err(format!("shard {shard}: {:?}", replica.hard_state));
        }
        if replica.damage.is_some_and(|damage| damage.from.0 != next) {
            return Err(format!("shard {shard}: {:?}, readable to {next}", replica.damage));
        }
    }
    if recovered.replicas.len() != 3 {
        return Err("a replica is gone".to_owned());
    }
    drop(wal);
    whole.device.kill();
    Ok(recovered.verdicts.first().map(|row| row.verdict))
}

fn flip_everywhere(config: &WalConfig) -> Result<BTreeMap<&'static str, u64>, String> {
    let healthy = WalConfig { planted: PlantedBugs::default(), ..config.clone() };
    let whole = whole(&healthy);
    let mut rng = SplitMix64::new(9);
    let mut seen = BTreeMap::new();
    let names: Vec<String> = {
        whole.device.roll_back(&whole.image);
        let disk = whole.device.open().unwrap();
        disk.list().unwrap().into_iter().map(|(name, _)| name).collect()
    };
    whole.device.kill();
    let segment = config.segment_bytes;
    for round in 0..600 {
        whole.device.roll_back(&whole.image);
        let name = match round % 4 {
            0..=2 => whole.open_file.clone(),
            _ => names[rng.below(names.len() as u64) as usize].clone(),
        };
        let at = if name.ends_with("superblock") {
            rng.below(2) * format::HEADER_COPY_BYTES + rng.below(100)
        } else {
            match rng.below(4) {
                0 => rng.below(2) * format::HEADER_COPY_BYTES + rng.below(400),
                1 if name != whole.open_file => segment - 1 - rng.below(20_000),
                // Headers and directories: the start of a block.
                2 => {
                    let blocks = (whole.open_end - format::DATA_START) / 4096;
                    format::DATA_START + rng.below(blocks) * 4096 + rng.below(700)
                }
                _ => format::DATA_START + rng.below(whole.open_end - format::DATA_START),
            }
        };
        whole.device.flip_bit(&name, at, rng.below(8) as u8);
        let verdict = check(&whole, config)
            .map_err(|error| format!("round {round}, {name} at {at}: {error}"))?;
        let class = match verdict {
            None => "unseen",
            Some(Verdict::Torn) => "torn",
            Some(Verdict::Corruption) => "corruption",
            Some(Verdict::Repair) => "repair",
            // Only a file no segment uses can be called that without loss; `check` saw none.
            Some(Verdict::NeverOpened) => "spare",
            Some(Verdict::End | Verdict::LaneFailed) => "other",
        };
        *seen.entry(class).or_insert(0) += 1;
    }
    Ok(seen)
}

#[test]
fn no_flipped_bit_is_served_or_passes_for_the_end_of_the_log() {
    let seen = flip_everywhere(&config()).unwrap();
    assert!(seen["corruption"] > 150, "{seen:?}");
    assert!(seen["repair"] > 50, "{seen:?}");
    assert!(!seen.contains_key("other"), "{seen:?}");
}

#[test]
fn flipped_bits_find_the_planted_bugs_they_can_reach() {
    let off = PlantedBugs::default();
    for planted in [
        PlantedBugs { crc_failure_is_end_of_log: true, ..off },
        PlantedBugs { header_not_in_checksum: true, ..off },
        PlantedBugs { torn_batch_half_visible: true, ..off },
        PlantedBugs { vote_not_restored: true, ..off },
    ] {
        let config = WalConfig { planted, ..config() };
        let found = std::panic::catch_unwind(|| flip_everywhere(&config).is_err());
        assert!(found.unwrap_or(true), "{planted:?}");
    }
}

#[test]
fn another_version_is_named_only_when_both_copies_say_so() {
    let config = config();
    let whole = whole(&config);
    whole.device.roll_back(&whole.image);
    whole.device.flip_bit("lane-0.superblock", 8, 1);
    assert_eq!(check(&whole, &config), Ok(Some(Verdict::Repair)));
    whole.device.roll_back(&whole.image);
    whole.device.flip_bit("lane-0.superblock", 8, 1);
    whole.device.flip_bit("lane-0.superblock", format::HEADER_COPY_BYTES + 8, 1);
    let error = recover(&whole.device, &config).unwrap_err();
    assert!(matches!(error, WalError::Version { found: 3, .. }), "{error}");
}

#[test]
fn damage_to_a_body_or_a_header_names_its_shards_and_spares_the_others() {
    let config = config();
    let device = formatted(5, &config, 2);
    let (mut wal, _) = recover(&device, &config).unwrap();
    let mut now_ns = 0;
    let mut places = Vec::new();
    for index in 1..=6_u64 {
        let shard = 1 + u32::from(index % 2 == 0);
        let items = vec![entry(shard, index.div_ceil(2), 1, 6_000)];
        let written = wal.append(items, at(now_ns)).unwrap();
        places.push(written.entries[0].clone());
        settle(&device, &mut wal, &mut now_ns);
    }
    wal.tick(at(now_ns + 200_000_000)).unwrap();
    settle(&device, &mut wal, &mut now_ns);
    let name = wal.file_name_of(SegmentNumber(1)).unwrap();
    drop(wal);
    device.kill();
    let image = device.snapshot();
    // The third frame holds index 2 of shard 1.
    let frame = places[2].frame;
    for (byte, reason, readable) in [
        (places[2].payload_extent.offset + 100, DamageReason::Payload, Index(1)),
        (frame.offset + 160 + 2 * 56 + 33, DamageReason::Commands, Index(1)),
        (frame.offset + 80, DamageReason::Header, Index(1)),
    ] {
        device.roll_back(&image);
        device.flip_bit(&name, byte, 3);
        let (wal, recovered) = recover(&device, &config).unwrap();
        let hurt = &recovered.replicas[&ShardId(1)];
        assert_eq!(
            hurt.damage.map(|damage| (damage.from, damage.reason)),
            Some((Index(2), reason))
        );
        assert_eq!(hurt.last(), readable);
        assert_eq!(recovered.replicas[&ShardId(2)].damage, None);
        assert_eq!(recovered.replicas[&ShardId(2)].last(), Index(3));
        drop(wal);
        device.kill();
        // And again: a later start says the same.
        let (wal, again) = recover(&device, &config).unwrap();
        assert_eq!(again.replicas[&ShardId(1)].damage, hurt.damage);
        assert_eq!(again.replicas[&ShardId(2)].last(), Index(3));
        drop(wal);
        device.kill();
    }
}

#[test]
fn an_unreadable_superblock_or_header_fails_the_lane_only_without_its_copy() {
    let config = config();
    let whole = whole(&config);
    for name in ["lane-0.superblock".to_owned(), whole.open_file.clone()] {
        whole.device.roll_back(&whole.image);
        whole.device.flip_bit(&name, 20, 0);
        assert_eq!(check(&whole, &config), Ok(Some(Verdict::Repair)));
        assert_eq!(check(&whole, &config), Ok(None), "repaired for good");
        whole.device.flip_bit(&name, 20, 0);
        whole.device.flip_bit(&name, format::HEADER_COPY_BYTES + 20, 0);
        assert_eq!(check(&whole, &config), Err("lane failed".to_owned()));
        whole.device.kill();
    }
}

/// Writes `bytes` over a structure and makes its checksum true again.
fn forge(device: &SimDevice, name: &str, at: u64, bytes: &[(usize, u8)], frame: bool) {
    let mut disk = device.open().unwrap();
    let file = disk.open(name).unwrap();
    let old = disk.read(file, at, 8192).unwrap();
    let mut new = old.to_vec();
    for (place, byte) in bytes {
        new[*place] = *byte;
    }
    let len = if frame {
        format::frame::FrameHeader::peek_head_bytes(&new).unwrap_or(160)
    } else {
        (format::get_u32(&new, stamp_at::LENGTH) as usize).clamp(64, 8192)
    };
    if len <= new.len() {
        format::set_checksum(&mut new[..len]);
    }
    let mut aligned = holdfast_io::AlignedBuf::unpooled(8192);
    aligned.extend_from_slice(&new);
    disk.write(file, at, aligned.freeze()).unwrap();
    drop(disk);
    device.kill();
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn forged_structures_never_panic_recovery(
        which in 0usize..6,
        changes in prop::collection::vec((0usize..480, any::<u8>()), 1..12),
    ) {
        thread_local! {
            static WHOLE: Whole = whole(&config());
        }
        WHOLE.with(|whole| {
            let config = config();
            whole.device.roll_back(&whole.image);
            let trailer = config.segment_bytes - format::TRAILER_BYTES;
            let (name, at, frame) = match which {
                0 => ("lane-0.superblock".to_owned(), 0, false),
                1 => (whole.open_file.clone(), 0, false),
                2 => ("lane-0.segment-00000001".to_owned(), trailer - 4096, false),
                3 => (whole.open_file.clone(), format::DATA_START, true),
                4 => ("lane-0.segment-00000001".to_owned(), format::DATA_START, true),
                _ => ("lane-0.segment-00000002".to_owned(), trailer - 4096, false),
            };
            // A trailer is reached through the second block of what forge rewrites.
            let shifted: Vec<(usize, u8)> = if at == trailer - 4096 {
                changes.iter().map(|(place, byte)| (place + 4096, *byte)).collect()
            } else {
                changes.clone()
            };
            forge(&whole.device, &name, at, &shifted, frame);
            if let Ok((wal, recovered)) = recover(&whole.device, &config) {
                for replica in recovered.replicas.values() {
                    for run in &replica.runs {
                        if let Ok(entries) = wal.read_run(run) {
                            for stored in entries {
                                let _ = wal.read_payload(stored.payload);
                            }
                        }
                    }
                }
            }
            whole.device.kill();
        });
    }

    #[test]
    fn random_files_never_panic_recovery(
        superblock in prop::collection::vec(any::<u8>(), 0..200),
        blocks in prop::collection::vec((0u64..127, any::<u64>()), 1..8),
        magic in 0usize..4,
    ) {
        let config = config();
        let device = device(1);
        let mut disk = device.open().unwrap();
        let file = disk.create("lane-0.superblock", format::superblock::FILE_BYTES).unwrap();
        let mut block = superblock;
        block.resize(4096, 0);
        disk.write(file, 0, aligned(&block)).unwrap();
        let file = disk.create("lane-0.segment-00000001", config.segment_bytes).unwrap();
        for (place, seed) in blocks {
            let mut rng = SplitMix64::new(seed);
            let mut bytes: Vec<u8> = (0..4096).map(|_| rng.next_u64() as u8).collect();
            let magics = [
                format::superblock::MAGIC,
                format::segment::MAGIC,
                format::frame::MAGIC,
                format::seal::MAGIC,
            ];
            bytes[..8].copy_from_slice(&magics[magic]);
            bytes[8..10].copy_from_slice(&1_u16.to_le_bytes());
            disk.write(file, place * 4096, aligned(&bytes)).unwrap();
        }
        drop(disk);
        device.kill();
        prop_assert!(recover(&device, &config).is_err());
    }
}

fn aligned(bytes: &[u8]) -> Bytes {
    let mut buffer = holdfast_io::AlignedBuf::unpooled(bytes.len());
    buffer.extend_from_slice(bytes);
    buffer.freeze()
}

#[test]
fn a_misdirected_frame_is_not_believed_where_it_landed() {
    let config = config();
    let mut hits = 0;
    for seed in 0..40 {
        let device = formatted(seed, &config, 1);
        let (mut wal, _) = recover(&device, &config).unwrap();
        let mut now_ns = 0;
        for index in 1..=40 {
            if index == 30 {
                device.plan_write_fault(holdfast_io::WriteFault::Misdirected);
            }
            wal.append(vec![entry(1, index, 1, 3_000)], at(now_ns)).unwrap();
            settle(&device, &mut wal, &mut now_ns);
        }
        wal.tick(at(now_ns + 200_000_000)).unwrap();
        settle(&device, &mut wal, &mut now_ns);
        drop(wal);
        device.kill();
        match recover(&device, &config) {
            Ok((wal, recovered)) => {
                let replica = &recovered.replicas[&ShardId(1)];
                assert!(replica.damage.is_some(), "seed {seed}: {:?}", recovered.verdicts);
                assert!(replica.last() < Index(30));
                hits += 1;
                for run in &replica.runs {
                    wal.read_run(run).unwrap();
                }
            }
            Err(error) => assert!(matches!(error, WalError::LaneFailed { .. }), "{error}"),
        }
    }
    assert!(hits > 20);
}

/// A device where segment 2, a recycled file, starts with one frame of its own; the frames
/// behind it are those of the segment that was in the file before. With `planted`, what recovery
/// makes of it.
fn stale_frames(planted: PlantedBugs) -> (u64, bool) {
    let config = config();
    let device = formatted(3, &config, 1);
    let (mut wal, _) = recover(&device, &config).unwrap();
    let mut now_ns = 0;
    for index in 1..=6 {
        wal.append(vec![entry(1, index, 1, 3_000)], at(now_ns)).unwrap();
        settle(&device, &mut wal, &mut now_ns);
    }
    drop(wal);
    device.kill();
    // As recycling does: the same file under a higher number, its old frames still behind.
    let mut disk = device.open().unwrap();
    let file = disk.open("lane-0.segment-00000001").unwrap();
    let copy = disk.read(file, 0, format::HEADER_COPY_BYTES as usize).unwrap();
    let mut header = format::segment::SegmentHeader::decode(&copy, &config).unwrap();
    header.number = SegmentNumber(7);
    for at in [0, format::HEADER_COPY_BYTES] {
        disk.write(file, at, header.encode(&config)).unwrap();
    }
    drop(disk);
    device.kill();
    let config = WalConfig { planted, ..config };
    let (_, recovered) = recover(&device, &config).unwrap();
    (recovered.replicas[&ShardId(1)].last().0, recovered.cut.is_some())
}

#[test]
fn frames_of_the_segment_a_file_held_before_are_not_replayed() {
    assert_eq!(stale_frames(PlantedBugs::default()), (0, true));
    let planted = PlantedBugs { replay_recycled_segment: true, ..PlantedBugs::default() };
    assert_eq!(stale_frames(planted).0, 6, "the planted bug replays them");
}

#[test]
fn a_frame_is_believed_only_at_its_own_offset() {
    let run = |planted| {
        let config = config();
        let device = formatted(3, &config, 1);
        let (mut wal, _) = recover(&device, &config).unwrap();
        let mut now_ns = 0;
        let mut frames = Vec::new();
        for index in 1..=3 {
            let items = vec![hard_state(1, index, 100 + index, 0)];
            wal.append(items, at(now_ns)).unwrap();
            frames.push(wal.status().open_offset - 4096);
            settle(&device, &mut wal, &mut now_ns);
        }
        drop(wal);
        device.kill();
        // The device put the third frame where the second belongs, too.
        let mut disk = device.open().unwrap();
        let file = disk.open("lane-0.segment-00000001").unwrap();
        let third = disk.read(file, frames[2], 4096).unwrap();
        disk.write(file, frames[1], third).unwrap();
        drop(disk);
        device.kill();
        let config = WalConfig { planted, ..config };
        let (_, recovered) = recover(&device, &config).unwrap();
        let hard = recovered.replicas[&ShardId(1)].hard_state;
        (recovered.verdicts[0].offset == frames[1], recovered.verdicts[0].verdict, hard.term.0)
    };
    assert_eq!(run(PlantedBugs::default()), (true, Verdict::Corruption, 3));
    let planted = PlantedBugs { device_offset_not_verified: true, ..PlantedBugs::default() };
    assert_eq!(run(planted), (false, Verdict::Torn, 3), "it takes the third for the second");
}
