//! Erasing: what the log has let go of is in no file, and no crash on the way costs what was kept.

use std::collections::{BTreeMap, BTreeSet};

use holdfast_base::{Index, ShardId, Term};
use holdfast_io::{SimDevice, SimDisk};

use super::support::*;
use super::trim::{Seen, run};
use crate::{PlantedBugs, SegmentNumber, Wal, WalConfig};

/// A log whose files have all been used, and the first bytes of each entry with its segment.
struct Used {
    config: WalConfig,
    device: SimDevice,
    wal: Wal<SimDisk>,
    now_ns: u64,
    index: u64,
    written: BTreeMap<u64, SegmentNumber>,
}

impl Used {
    fn new() -> Used {
        let config = WalConfig { capacity_bytes: 8 << 20, ..config() };
        let device = formatted(1, &config, 1);
        let (wal, _) = recover(&device, &config).unwrap();
        let mut used = Used { config, device, wal, now_ns: 0, index: 0, written: BTreeMap::new() };
        while used.wal.status().segments_released < 40 {
            used.append();
            if used.wal.status().segments > 10 {
                used.trim();
            }
        }
        used
    }

    fn append(&mut self) {
        self.wal.tick(at(self.now_ns)).unwrap();
        self.index += 1;
        let written =
            self.wal.append(vec![entry(1, self.index, 1, 30_000)], at(self.now_ns)).unwrap();
        let mut mark = [0; 8];
        mark.copy_from_slice(&body(1, self.index, 1, 30_000)[8..16]);
        self.written.insert(u64::from_le_bytes(mark), written.entries[0].payload_extent.segment);
        settle(&self.device, &mut self.wal, &mut self.now_ns);
    }

    fn trim(&mut self) {
        self.wal.trim(ShardId(1), Index(self.index), Term(1));
    }

    /// Segments of which some entry's bytes are in some file, wherever.
    fn found(&self) -> BTreeSet<SegmentNumber> {
        let mut found = BTreeSet::new();
        for slot in 1..=self.wal.status().files as u32 {
            let name = crate::format::segment_name(self.config.lane, slot);
            let media = self.device.media(&name).unwrap();
            for eight in media.windows(8) {
                let mark = u64::from_le_bytes(eight.try_into().unwrap());
                found.extend(self.written.get(&mark));
            }
        }
        found
    }

    /// Time passes, nothing is written.
    fn rest(&mut self, through: SegmentNumber) -> bool {
        for _ in 0..2_000 {
            self.wal.tick(at(self.now_ns)).unwrap();
            settle(&self.device, &mut self.wal, &mut self.now_ns);
            if self.wal.is_erased(through) {
                return true;
            }
            self.now_ns += crate::erase::PACE_NS;
        }
        false
    }
}

#[test]
fn an_erased_segment_is_in_no_file_and_what_came_later_is_read_back() {
    let mut used = Used::new();
    let through = used.wal.status().open_segment;
    used.append();
    let before = used.found();
    assert!(before.iter().any(|segment| *segment < used.wal.oldest_segment()), "{before:?}");
    used.wal.erase(through);
    assert!(!used.rest(through), "nobody has trimmed yet");
    let open = used.wal.status().open_segment;
    assert!(open > through, "the segment that was open is closed");
    assert_eq!(used.wal.erase_needs(), Some(through));
    used.append();
    let kept = used.index;
    used.trim();
    used.append();
    assert!(used.rest(through), "{:?}", used.wal);
    assert!(used.found().iter().all(|segment| *segment > through), "{:?}", used.found());
    assert!(used.wal.status().files_erased >= 5, "{:?}", used.wal.status());
    assert_eq!(used.wal.erase_needs(), None);
    used.device.kill();
    let (wal, recovered) = recover(&used.device, &used.config).unwrap();
    let all = read_all(&wal, &recovered);
    assert!(all.contains_key(&(1, kept + 1)), "{:?}", all.keys());
}

#[test]
fn a_start_knows_which_files_are_to_be_erased_again() {
    let mut used = Used::new();
    used.append();
    used.trim();
    used.device.kill();
    let (wal, _) = recover(&used.device, &used.config).unwrap();
    used.wal = wal;
    let through = used.wal.status().open_segment;
    assert!(!used.wal.is_erased(SegmentNumber(through.0 - 1)));
    used.append();
    used.wal.erase(through);
    used.rest(through);
    used.append();
    used.trim();
    assert!(used.rest(through), "{:?}", used.wal.status());
    assert!(used.found().iter().all(|segment| *segment > through), "{:?}", used.found());
    used.device.kill();
    let (wal, _) = recover(&used.device, &used.config).unwrap();
    assert!(wal.is_erased(through), "clean files are known by their headers");
}

#[test]
fn no_crash_of_an_erasing_log_loses_what_was_kept() {
    let mut seen = Seen::default();
    for seed in 0..150 {
        if let Err(error) = run(seed, PlantedBugs::default(), true, &mut seen) {
            panic!("seed {seed}: {error}");
        }
    }
    assert!(seen.erased > 100, "files erased: {}", seen.erased);
    assert!(seen.ended_while_erasing > 20, "ends in between: {}", seen.ended_while_erasing);
}

#[test]
fn a_file_overwritten_before_a_header_lets_it_go_is_missed_after_a_crash() {
    let planted = PlantedBugs { erased_before_header: true, ..PlantedBugs::default() };
    let found = (0..150).any(|seed| {
        let run = || run(seed, planted, true, &mut Seen::default());
        !matches!(std::panic::catch_unwind(run), Ok(Ok(())))
    });
    assert!(found);
}
