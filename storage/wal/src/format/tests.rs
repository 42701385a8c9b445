//! The offsets that `storage/FORMAT.md` prints, against the constants, and bytes against both.

use bytes::Bytes;
use holdfast_base::{BootCount, Index, PartitionKey, ReplicaId, ShardId, Term, TopicId};
use holdfast_io::AlignedBuf;

use super::*;
use crate::build;
use crate::item::{Chunk, EntryKind, FrameNumber, Item, Locator, NewEntry, SegmentNumber};

const FORMAT_MD: &str = include_str!("../../../FORMAT.md");

/// FORMAT.md says `| offset | size | name |` under the heading of the structure.
fn documented(heading: &str, name: &str) -> (usize, usize) {
    let section = FORMAT_MD
        .split("\n## ")
        .find(|section| section.starts_with(heading))
        .unwrap_or_else(|| panic!("FORMAT.md has no section {heading}"));
    let row = section
        .lines()
        .find(|line| line.contains(&format!("| {name} |")))
        .unwrap_or_else(|| panic!("FORMAT.md: {heading} has no row {name}"));
    let mut cells = row.split('|').map(str::trim).skip(1);
    let mut number = || cells.next().and_then(|cell| cell.parse().ok()).unwrap();
    (number(), number())
}

#[test]
fn format_md_has_the_offsets_of_the_code() {
    use super::frame::{at as frame_at, entry_at, locator_at, row_at as dir_at};
    use super::seal::{at as seal_at, batch_at, run_at};
    use super::segment::{at as segment_at, row_at as table_at};
    use super::superblock::at as super_at;
    let rows: &[(&str, &str, usize, usize)] = &[
        ("Stamp", "magic", stamp_at::MAGIC, stamp_at::VERSION),
        ("Stamp", "version", stamp_at::VERSION, stamp_at::FLAGS),
        ("Stamp", "flags", stamp_at::FLAGS, stamp_at::NODE),
        ("Stamp", "node", stamp_at::NODE, stamp_at::CLUSTER),
        ("Stamp", "cluster", stamp_at::CLUSTER, stamp_at::LANE),
        ("Stamp", "lane", stamp_at::LANE, stamp_at::LANE_COUNT),
        ("Stamp", "lane count", stamp_at::LANE_COUNT, stamp_at::SLOT),
        ("Stamp", "slot", stamp_at::SLOT, stamp_at::SEGMENT),
        ("Stamp", "segment", stamp_at::SEGMENT, stamp_at::BOOT),
        ("Stamp", "boot count", stamp_at::BOOT, stamp_at::LENGTH),
        ("Stamp", "length", stamp_at::LENGTH, stamp_at::CRC),
        ("Stamp", "checksum", stamp_at::CRC, stamp_at::END),
        ("Superblock", "block bytes", super_at::BLOCK_BYTES, super_at::HEADER_COPY_BYTES),
        ("Superblock", "copy bytes", super_at::HEADER_COPY_BYTES, super_at::SEGMENT_BYTES),
        ("Superblock", "segment bytes", super_at::SEGMENT_BYTES, super_at::KEY_ID),
        ("Superblock", "key id", super_at::KEY_ID, super_at::END),
        ("Segment header", "segment bytes", segment_at::SEGMENT_BYTES, segment_at::FIRST_FRAME),
        ("Segment header", "first frame", segment_at::FIRST_FRAME, segment_at::POSITION),
        ("Segment header", "position", segment_at::POSITION, segment_at::DURABLE),
        ("Segment header", "durable", segment_at::DURABLE, segment_at::PREVIOUS_SEGMENT),
        ("Segment header", "previous", segment_at::PREVIOUS_SEGMENT, segment_at::PREVIOUS_END),
        (
            "Segment header",
            "previous end",
            segment_at::PREVIOUS_END,
            segment_at::IN_FLIGHT_BYTES_MAX,
        ),
        ("Segment header", "W", segment_at::IN_FLIGHT_BYTES_MAX, segment_at::CHAIN),
        ("Segment header", "chain", segment_at::CHAIN, segment_at::REPLICAS),
        ("Segment header", "replicas", segment_at::REPLICAS, segment_at::TOMBSTONES),
        ("Segment header", "tombstones", segment_at::TOMBSTONES, segment_at::RESERVED),
        ("Segment header", "oldest", segment_at::OLDEST, segment_at::KEY_ID),
        ("Segment header", "key id", segment_at::KEY_ID, segment_at::END),
        ("Replica row", "shard", table_at::SHARD, table_at::VOTERS),
        ("Replica row", "voters", table_at::VOTERS, table_at::LEARNERS),
        ("Replica row", "learners", table_at::LEARNERS, table_at::REPLICA),
        ("Replica row", "replica", table_at::REPLICA, table_at::TERM),
        ("Replica row", "term", table_at::TERM, table_at::VOTE),
        ("Replica row", "vote", table_at::VOTE, table_at::COMMIT),
        ("Replica row", "commit", table_at::COMMIT, table_at::TRIMMED),
        ("Replica row", "trimmed", table_at::TRIMMED, table_at::TRIMMED_TERM),
        ("Replica row", "trimmed term", table_at::TRIMMED_TERM, table_at::LAST),
        ("Replica row", "last index", table_at::LAST, table_at::END),
        ("Frame header", "device offset", frame_at::OFFSET, frame_at::NUMBER),
        ("Frame header", "frame number", frame_at::NUMBER, frame_at::POSITION),
        ("Frame header", "position", frame_at::POSITION, frame_at::DURABLE),
        ("Frame header", "durable", frame_at::DURABLE, frame_at::CHAIN),
        ("Frame header", "chain", frame_at::CHAIN, frame_at::ROWS),
        ("Frame header", "rows", frame_at::ROWS, frame_at::PREVIOUS_ROWS),
        ("Frame header", "previous rows", frame_at::PREVIOUS_ROWS, frame_at::COMMANDS_BYTES),
        ("Frame header", "commands bytes", frame_at::COMMANDS_BYTES, frame_at::PAYLOAD_BYTES),
        ("Frame header", "payload bytes", frame_at::PAYLOAD_BYTES, frame_at::COMMANDS_CRC),
        ("Frame header", "commands checksum", frame_at::COMMANDS_CRC, frame_at::PAYLOAD_CRC),
        ("Frame header", "payload checksum", frame_at::PAYLOAD_CRC, frame_at::RESERVED),
        ("Frame header", "key id", frame_at::KEY_ID, frame_at::RESERVED_2),
        ("Directory row", "shard", dir_at::SHARD, dir_at::KIND),
        ("Directory row", "kind", dir_at::KIND, dir_at::REPLICA),
        ("Directory row", "replica", dir_at::REPLICA, dir_at::FIRST),
        ("Directory row", "first", dir_at::FIRST, dir_at::LAST),
        ("Directory row", "last", dir_at::LAST, dir_at::LAST_TERM),
        ("Directory row", "last term", dir_at::LAST_TERM, dir_at::COMMANDS_START),
        ("Directory row", "commands start", dir_at::COMMANDS_START, dir_at::COMMANDS_BYTES),
        ("Directory row", "commands bytes", dir_at::COMMANDS_BYTES, dir_at::PAYLOAD_START),
        ("Directory row", "payload start", dir_at::PAYLOAD_START, dir_at::PAYLOAD_BYTES),
        ("Directory row", "payload bytes", dir_at::PAYLOAD_BYTES, dir_at::END),
        ("Entry", "index", entry_at::INDEX, entry_at::TERM),
        ("Entry", "term", entry_at::TERM, entry_at::KIND),
        ("Entry", "kind", entry_at::KIND, entry_at::COMMAND_BYTES),
        ("Entry", "command bytes", entry_at::COMMAND_BYTES, entry_at::PAYLOAD_BYTES),
        ("Entry", "payload bytes", entry_at::PAYLOAD_BYTES, entry_at::LOCATORS),
        ("Entry", "locators", entry_at::LOCATORS, entry_at::END),
        ("Locator", "topic", locator_at::TOPIC, locator_at::PARTITION),
        ("Locator", "partition", locator_at::PARTITION, locator_at::BASE_OFFSET),
        ("Locator", "base offset", locator_at::BASE_OFFSET, locator_at::LAST_OFFSET),
        ("Locator", "last offset", locator_at::LAST_OFFSET, locator_at::MAX_TIMESTAMP),
        ("Locator", "max timestamp", locator_at::MAX_TIMESTAMP, locator_at::START),
        ("Locator", "start", locator_at::START, locator_at::BYTES),
        ("Locator", "bytes", locator_at::BYTES, locator_at::END),
        ("Seal trailer", "index offset", seal_at::INDEX_OFFSET, seal_at::INDEX_BYTES),
        ("Seal trailer", "index bytes", seal_at::INDEX_BYTES, seal_at::END_OFFSET),
        ("Seal trailer", "end offset", seal_at::END_OFFSET, seal_at::FIRST_FRAME),
        ("Seal trailer", "first frame", seal_at::FIRST_FRAME, seal_at::NEXT_FRAME),
        ("Seal trailer", "next frame", seal_at::NEXT_FRAME, seal_at::NEXT_POSITION),
        ("Seal trailer", "next position", seal_at::NEXT_POSITION, seal_at::RUNS),
        ("Seal trailer", "runs", seal_at::RUNS, seal_at::BATCHES),
        ("Seal trailer", "batches", seal_at::BATCHES, seal_at::INDEX_CRC),
        ("Seal trailer", "index checksum", seal_at::INDEX_CRC, seal_at::CHAIN),
        ("Seal trailer", "chain", seal_at::CHAIN, seal_at::KEY_ID),
        ("Seal trailer", "key id", seal_at::KEY_ID, seal_at::END),
        ("Run", "frame offset", run_at::FRAME_OFFSET, run_at::FRAME_NUMBER),
        ("Run", "frame number", run_at::FRAME_NUMBER, run_at::FRAME_BYTES),
        ("Run", "frame bytes", run_at::FRAME_BYTES, run_at::CARRIED),
        ("Run", "carried", run_at::CARRIED, run_at::END),
        ("Batch", "topic", batch_at::TOPIC, batch_at::PARTITION),
        ("Batch", "partition", batch_at::PARTITION, batch_at::SHARD),
        ("Batch", "shard", batch_at::SHARD, batch_at::INDEX),
        ("Batch", "index", batch_at::INDEX, batch_at::BASE_OFFSET),
        ("Batch", "base offset", batch_at::BASE_OFFSET, batch_at::LAST_OFFSET),
        ("Batch", "last offset", batch_at::LAST_OFFSET, batch_at::MAX_TIMESTAMP),
        ("Batch", "max timestamp", batch_at::MAX_TIMESTAMP, batch_at::POSITION),
        ("Batch", "position", batch_at::POSITION, batch_at::BYTES),
        ("Batch", "bytes", batch_at::BYTES, batch_at::RESERVED),
    ];
    for (heading, name, at, end) in rows {
        assert_eq!(documented(heading, name), (*at, end - at), "{heading}: {name}");
    }
}

fn a_frame(chunks: Vec<Chunk>) -> (WalConfig, Bytes, frame::FrameHeader) {
    let config = crate::tests::support::config();
    let len: usize = chunks.iter().map(Chunk::len_bytes).sum();
    let locator = Locator {
        partition: PartitionKey { topic: TopicId([9; 16]), partition: 5 },
        base_offset: 70,
        last_offset: 79,
        max_timestamp_ms: -1,
        start: 0,
        len_bytes: len as u32,
    };
    let items = vec![Item::Entry(NewEntry {
        shard: ShardId(4),
        replica: ReplicaId(40),
        index: Index(1),
        term: Term(6),
        kind: EntryKind::Normal,
        command: Bytes::from_static(b"do it"),
        payload: chunks,
        locators: vec![locator],
    })];
    let mut replicas = std::collections::BTreeMap::new();
    let identity = crate::Identity {
        shard: ShardId(4),
        replica: ReplicaId(40),
        voters: vec![ReplicaId(40)],
        learners: vec![],
    };
    replicas.insert(ShardId(4), segment::ReplicaRow::new(identity));
    let drafts = build::plan(&items, &config, 0, &replicas).unwrap();
    let header = frame::FrameHeader {
        boot: BootCount(2),
        slot: 3,
        segment: SegmentNumber(8),
        carried: false,
        frame_bytes: drafts[0].frame_bytes(0) as u32,
        offset: 4096 * 50,
        number: FrameNumber(11),
        position: 99,
        durable: FrameNumber(10),
        chain: 0x0bad_cafe,
        commands_bytes: drafts[0].commands_bytes as u32,
        payload_bytes: drafts[0].payload_bytes as u32,
        commands_crc: 0,
        payload_crc: 0,
        rows: drafts[0].rows.clone(),
        previous_rows: vec![],
        crc: 0,
    };
    let buffer = AlignedBuf::unpooled(header.frame_bytes as usize);
    let filled = build::fill(buffer, header, &items, &config);
    let decoded = frame::FrameHeader::decode(&filled.bytes, &config).unwrap();
    assert_eq!(decoded.crc, filled.crc);
    (config, filled.bytes, decoded)
}

#[test]
fn a_frame_lies_on_disk_as_documented() {
    let (config, bytes, header) = a_frame(vec![Chunk::Head([3; 21])]);
    assert_eq!(&bytes[0..8], b"HFWALFRM");
    assert_eq!(&bytes[16..32], &config.cluster.0);
    assert_eq!(get_u64(&bytes, 72), 11, "frame number");
    assert_eq!(get_u32(&bytes, 160), 4, "shard of the first directory row");
    assert_eq!(get_u64(&bytes, 160 + 32), 6, "its last term");
    let commands = 160 + 56;
    assert_eq!(header.commands_start(), commands);
    assert_eq!(&bytes[commands + 32..commands + 37], b"do it");
    let payload = commands + 32 + 5 + 52;
    assert_eq!(header.payload_start(), payload);
    assert_eq!(&bytes[payload..payload + 21], &[3; 21]);
    assert_eq!(crc32c::crc32c(&bytes[payload..payload + 21]), header.payload_crc);
    assert!(bytes[payload + 21..].iter().all(|byte| *byte == 0));
    assert_eq!(bytes.len(), 4096);
}

#[test]
fn a_combined_payload_checksum_is_the_direct_one() {
    for len in [0, 1, 100, 8 << 10, 20_000, 40_000] {
        let body = crate::tests::support::body(1, 2, 3, len);
        let other = crate::tests::support::body(4, 5, 6, len / 3);
        let chunks = vec![
            Chunk::Head([1; 21]),
            Chunk::Body { crc32c: Some(crc32c::crc32c(&body)), bytes: body },
            Chunk::Head([2; 21]),
            Chunk::Body { crc32c: None, bytes: other },
        ];
        let (_, bytes, header) = a_frame(chunks);
        let start = header.payload_start();
        let payload = &bytes[start..start + header.payload_bytes as usize];
        assert_eq!(crc32c::crc32c(payload), header.payload_crc, "{len}");
    }
}

#[test]
fn every_structure_comes_back_as_it_went() {
    let config = crate::tests::support::config();
    let block = superblock::Superblock { boot: BootCount(7), segment_bytes: config.segment_bytes };
    assert_eq!(superblock::Superblock::decode(&block.encode(&config), &config), Ok(block));
    let row = |shard| segment::ReplicaRow {
        trimmed: Index(3),
        last: Index(9),
        ..segment::ReplicaRow::new(crate::tests::support::identity(shard))
    };
    let header = segment::SegmentHeader {
        number: SegmentNumber(5),
        slot: 4,
        boot: BootCount(7),
        after_cut: true,
        segment_bytes: config.segment_bytes,
        first_frame: FrameNumber(12),
        position: 1 << 40,
        durable: FrameNumber(11),
        previous: SegmentNumber(2),
        previous_end: 4096 * 77,
        oldest: SegmentNumber(1),
        in_flight_bytes_max: config.in_flight_bytes_max,
        chain: 5,
        replicas: vec![row(1), row(2)],
        tombstones: vec![(ShardId(1), ReplicaId(8))],
    };
    assert_eq!(segment::SegmentHeader::decode(&header.encode(&config), &config), Ok(header));
}
