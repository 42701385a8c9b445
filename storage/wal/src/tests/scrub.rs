//! A sealed segment that is whole is found whole; a flipped bit is found and named by its records.

use holdfast_io::{DiskError, SimDevice};

use super::support::*;
use crate::{SealedSegment, SegmentFinding, SegmentScrub, WalConfig};
use bytes::Bytes;

/// A log with sealed segments.
fn sealed(config: &WalConfig) -> (SimDevice, Vec<SealedSegment>) {
    let device = formatted(5, config, 2);
    let (mut wal, _) = recover(&device, config).unwrap();
    let mut now_ns = 0;
    let mut index = 0;
    while wal.status().sealed < 2 {
        index += 1;
        wal.tick(at(now_ns)).unwrap();
        let items = vec![
            hard_state(1, 1, 101, index - 1),
            entry(1, index, 1, 7_000),
            entry(2, index, 1, 3_000),
        ];
        wal.append(items, at(now_ns)).unwrap();
        settle(&device, &mut wal, &mut now_ns);
        // Frames without an entry lie between.
        now_ns += 200_000_000;
        wal.tick(at(now_ns)).unwrap();
        settle(&device, &mut wal, &mut now_ns);
    }
    let segments = wal.sealed_segments();
    (device, segments)
}

fn scrub(
    config: &WalConfig,
    device: &SimDevice,
    sealed: &SealedSegment,
) -> (u64, Vec<SegmentFinding>) {
    let media = device.media(&sealed.file).unwrap();
    let mut read = |offset: u64, len: usize| -> Result<Bytes, DiskError> {
        Ok(Bytes::copy_from_slice(&media[offset as usize..offset as usize + len]))
    };
    let mut scrub = match SegmentScrub::open(config, sealed.segment, &mut read).unwrap() {
        Ok(scrub) => scrub,
        Err(finding) => return (0, vec![finding]),
    };
    let (mut bytes, mut findings) = (0, Vec::new());
    while let Some(step) = scrub.step(config, &mut read) {
        match step.unwrap() {
            Ok(frame_bytes) => bytes += frame_bytes,
            Err(finding) => findings.push(finding),
        }
    }
    (bytes, findings)
}

#[test]
fn a_whole_segment_has_no_findings_and_every_frame_of_it_was_read() {
    let config = config();
    let (device, segments) = sealed(&config);
    assert_eq!(segments.len(), 2);
    for segment in &segments {
        let (bytes, findings) = scrub(&config, &device, segment);
        assert_eq!(findings, [], "{segment:?}");
        assert!(bytes > 300 << 10, "{bytes}");
    }
}

#[test]
fn a_flipped_bit_is_found_with_the_entries_and_records_it_cost_and_the_rest_is_read() {
    let config = config();
    let (device, segments) = sealed(&config);
    let segment = &segments[0];
    let whole = scrub(&config, &device, segment).0;
    let media = device.media(&segment.file).unwrap();
    let is_frame = |block: &[u8]| block.starts_with(b"HFWALFRM");
    let frames = media.chunks_exact(4096).enumerate().filter(|(_, block)| is_frame(block));
    // The second frame with records, in its header and in its records.
    let (block, _) = frames.clone().filter(|(_, block)| block[112..116] != [0; 4]).nth(1).unwrap();
    for (at, what) in [(80, "a frame's header"), (5_000, "a frame's records")] {
        let offset = block as u64 * 4096;
        device.flip_bit(&segment.file, offset + at, 3);
        let (bytes, findings) = scrub(&config, &device, segment);
        device.flip_bit(&segment.file, offset + at, 3);
        assert_eq!(findings.len(), 1, "{findings:?}");
        let finding = &findings[0];
        assert_eq!((finding.offset, finding.what), (offset, what));
        let records: Vec<(i64, i64)> =
            finding.records.iter().map(|(_, first, last)| (*first, *last)).collect();
        assert_eq!(records, [(20, 29), (20, 29)], "entry 2 of both shards");
        assert_eq!(finding.entries.len(), 2);
        assert!(bytes < whole && bytes > whole - (64 << 10), "the rest was read");
    }
}

#[test]
fn a_seal_that_turned_over_is_found() {
    let config = config();
    let (device, segments) = sealed(&config);
    device.flip_bit(&segments[1].file, config.segment_bytes - 4096 + 80, 0);
    assert_eq!(scrub(&config, &device, &segments[1]).1[0].what, "its seal");
    assert_eq!(scrub(&config, &device, &segments[0]).1, []);
}
