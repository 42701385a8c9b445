//! Logs made by hand, from `storage/FORMAT.md`, as kills leave them.

use super::*;

const SEGMENT_BYTES: usize = 512 << 10;
const FRAME_BYTES: usize = 2 * BLOCK;
const TOPIC: TopicId = [7; 16];

fn put(to: &mut [u8], at: usize, bytes: &[u8]) {
    to[at..at + bytes.len()].copy_from_slice(bytes);
}

fn stamp(to: &mut [u8], magic: &[u8; 8], segment: u64, length: usize, summed: usize) {
    put(to, 0, magic);
    put(to, 40, &segment.to_le_bytes());
    put(to, 56, &(length as u32).to_le_bytes());
    let head = crc32c::crc32c(&to[..STAMP_CHECKSUM]);
    let sum = crc32c::crc32c_append(head, &to[STAMP_BYTES..summed]);
    put(to, STAMP_CHECKSUM, &sum.to_le_bytes());
}

/// A segment with `frames` frames, of one entry with `records` records each, the last of them
/// empty if `published`.
fn made(number: u64, before: Option<&Segment>, frames: u64, published: bool) -> Vec<u8> {
    let mut bytes = vec![0; SEGMENT_BYTES];
    for copy in [0, COPY_BYTES] {
        let header = &mut bytes[copy..copy + COPY_BYTES];
        put(header, 96, &before.map_or(0, |before| before.number).to_le_bytes());
        put(header, 104, &(if before.is_some() { DATA_START as u64 } else { 0 }).to_le_bytes());
        stamp(header, b"HFWALSEG", number, FRAME_FIXED_BYTES, FRAME_FIXED_BYTES);
    }
    let (mut chain, mut position) = (0, 0);
    for frame in 1..=frames {
        let at = DATA_START + position;
        let is_empty = published && frame == frames;
        let bytes = &mut bytes[at..at + FRAME_BYTES];
        put(bytes, 64, &(at as u64).to_le_bytes());
        put(bytes, 72, &frame.to_le_bytes());
        put(bytes, 80, &(position as u64).to_le_bytes());
        put(bytes, 88, &(frame - 1).to_le_bytes());
        put(bytes, 96, &u32::to_le_bytes(chain));
        let mut head = FRAME_FIXED_BYTES;
        if !is_empty {
            let commands = ENTRY_HEAD_BYTES + LOCATOR_BYTES;
            put(bytes, 100, &1_u32.to_le_bytes());
            put(bytes, head + 44, &(commands as u32).to_le_bytes());
            head += ROW_BYTES;
            put(bytes, head + 28, &1_u32.to_le_bytes());
            put(bytes, head + ENTRY_HEAD_BYTES, &TOPIC);
            put(bytes, head + ENTRY_HEAD_BYTES + 28, &(10 * frame - 1).to_le_bytes());
            put(bytes, 108, &(commands as u32).to_le_bytes());
            let sum = crc32c::crc32c(&bytes[head..head + commands]);
            put(bytes, 116, &sum.to_le_bytes());
            let payload = head + commands..FRAME_BYTES;
            bytes[payload.clone()].fill(0xa5);
            put(bytes, 112, &(payload.len() as u32).to_le_bytes());
            let sum = crc32c::crc32c(&bytes[payload]);
            put(bytes, 120, &sum.to_le_bytes());
        }
        stamp(bytes, b"HFWALFRM", number, FRAME_BYTES, head);
        chain = u32_at(bytes, STAMP_CHECKSUM);
        position += FRAME_BYTES;
    }
    bytes
}

fn read(bytes: Vec<u8>) -> Segment {
    segment(PathBuf::new(), bytes).unwrap()
}

fn found(bytes: Vec<u8>) -> Autopsy {
    examine(&[read(bytes)]).unwrap()
}

#[test]
fn entries_and_ends_of_partitions_are_counted() {
    let found = found(made(1, None, 3, false));
    assert_eq!(found.entries, 3);
    assert_eq!(found.records_of_new_topics(&[]), 30);
    assert_eq!(found.records_of_new_topics(&[TOPIC]), 0);
    assert_eq!(found.topics(), vec![TOPIC]);
}

#[test]
fn a_log_that_published_what_is_durable_is_idle() {
    let found = found(made(1, None, 4, true));
    assert_eq!((found.entries, found.unpublished, found.tail), (3, 0, Tail::Clean));
    assert!(found.state().contains("idle"), "{}", found.state());
}

#[test]
fn a_frame_that_nobody_calls_durable_is_told() {
    let found = found(made(1, None, 3, false));
    assert_eq!((found.unpublished, found.tail), (1, Tail::Clean));
    assert!(found.state().contains("1 whole frame not yet"), "{}", found.state());
}

#[test]
fn a_torn_frame_is_told_with_how_much_of_it_was_written() {
    let mut bytes = made(1, None, 3, false);
    let last = DATA_START + 2 * FRAME_BYTES;
    bytes[last + BLOCK..last + FRAME_BYTES].fill(0);
    let found = found(bytes);
    assert_eq!(found.entries, 2);
    let torn = Tail::TornFrame { written_bytes: BLOCK, of_bytes: FRAME_BYTES };
    assert_eq!((found.tail, found.end), (torn, last));
    assert!(found.state().contains("torn, 4096 of 8192"), "{}", found.state());
}

#[test]
fn a_frame_without_its_first_block_is_told() {
    let mut bytes = made(1, None, 3, false);
    let last = DATA_START + 2 * FRAME_BYTES;
    bytes[last..last + BLOCK].fill(0);
    assert_eq!(found(bytes).tail, Tail::Unknown { written_bytes: FRAME_BYTES });
}

#[test]
fn one_header_and_no_seal_are_told_of_a_change_of_segments() {
    let first = read(made(1, None, 0, false));
    let mut bytes = made(2, Some(&first), 0, false);
    bytes[COPY_BYTES..DATA_START].fill(0);
    let mut chain = [first, read(bytes)];
    let state = examine(&chain).unwrap().state();
    assert!(state.contains("one of its two headers"), "{state}");
    assert!(state.contains("before not sealed"), "{state}");
    assert!(state.contains("no frame in the new segment"), "{state}");

    let seal = SEGMENT_BYTES - 2 * BLOCK;
    chain[0].bytes[seal] = 1;
    let state = examine(&chain).unwrap().state();
    assert!(state.contains("half written"), "{state}");

    let trailer = &mut chain[0].bytes[SEGMENT_BYTES - BLOCK..];
    stamp(trailer, b"HFWALEND", 1, 144, 144);
    let state = examine(&chain).unwrap().state();
    assert!(!state.contains("seal"), "{state}");
}

#[test]
fn a_gap_in_the_chain_is_a_fault_of_the_directory() {
    let directory = std::env::temp_dir().join(format!("holdfast-autopsy-{}", std::process::id()));
    fs::create_dir_all(&directory).unwrap();
    let first = read(made(1, None, 0, false));
    let second = made(2, Some(&first), 1, false);
    fs::write(directory.join("lane-0.segment-00000002"), &second).unwrap();
    assert!(of(&directory).unwrap_err().contains("segment 1 is missing"));
    // A log that was trimmed names its oldest segment.
    let mut trimmed = second.clone();
    for copy in [0, COPY_BYTES] {
        let header = &mut trimmed[copy..copy + COPY_BYTES];
        put(header, 136, &2_u64.to_le_bytes());
        stamp(header, b"HFWALSEG", 2, FRAME_FIXED_BYTES, FRAME_FIXED_BYTES);
    }
    fs::write(directory.join("lane-0.segment-00000002"), &trimmed).unwrap();
    assert_eq!(of(&directory).unwrap().entries, 1);
    fs::write(directory.join("lane-0.segment-00000002"), &second).unwrap();
    fs::write(directory.join("lane-0.segment-00000001"), &first.bytes).unwrap();
    assert_eq!(of(&directory).unwrap().entries, 1);
    fs::remove_dir_all(&directory).unwrap();
}
