//! The offsets that `storage/FORMAT.md` prints, against the constants.

use super::block::at as block_head_at;
use super::head_at;
use super::rows::{block_at, partition_at};
use super::trailer::at as trailer_at;
use crate::checkpoint::at as checkpoint_at;
use crate::limits::{
    BATCH_BYTES_MAX, BLOCK_PAYLOAD_BYTES_CUT, OBJECT_BATCHES_MAX, OBJECT_BYTES_MAX,
    OBJECT_PARTITIONS_MAX, OBJECT_PAYLOAD_BYTES_CUT, TAIL_BYTES,
};
use holdfast_log::object_layout::{intent_at, manifest_at, row_at, step_at};

const FORMAT_MD: &str = include_str!("../../../FORMAT.md");

fn section(heading: &str) -> &'static str {
    FORMAT_MD
        .split("\n### ")
        .find(|section| section.lines().next() == Some(heading))
        .unwrap_or_else(|| panic!("FORMAT.md has no section {heading}"))
}

/// The rows `| offset | size | name |` of a section.
fn documented(heading: &str) -> Vec<(usize, usize, String)> {
    let cells = |line: &'static str| line.split('|').map(str::trim).skip(1).collect::<Vec<_>>();
    section(heading)
        .lines()
        .filter(|line| line.starts_with("| "))
        .map(cells)
        .filter(|cells| cells[0].chars().all(|digit| digit.is_ascii_digit()))
        .map(|cells| (cells[0].parse().unwrap(), cells[1].parse().unwrap(), cells[2].to_owned()))
        .collect()
}

/// Every field in order, the end last.
fn claims(heading: &str, fields: &[(&str, usize)], end: usize) {
    let ends = fields.iter().skip(1).map(|(_, at)| *at).chain([end]);
    let expected: Vec<(usize, usize, String)> = fields
        .iter()
        .zip(ends)
        .map(|((name, at), end)| (*at, end - at, (*name).to_owned()))
        .collect();
    assert_eq!(documented(heading), expected, "{heading}");
}

#[test]
fn format_md_has_the_fields_of_the_head_and_of_the_trailer() {
    let head = [
        ("magic", head_at::MAGIC),
        ("version", head_at::VERSION),
        ("flags", head_at::FLAGS),
        ("shard", head_at::SHARD),
        ("cluster", head_at::CLUSTER),
        ("object", head_at::OBJECT),
        ("created", head_at::CREATED),
        ("length", head_at::LENGTH),
        ("checksum", head_at::CRC),
        ("term", head_at::TERM),
        ("sequence", head_at::SEQUENCE),
        ("first index", head_at::FIRST_INDEX),
        ("last index", head_at::LAST_INDEX),
        ("last term", head_at::LAST_TERM),
        ("key id", head_at::KEY_ID),
        ("reserved", head_at::RESERVED),
    ];
    claims("Object head", &head, head_at::END);
    let trailer = [
        ("footer offset", trailer_at::FOOTER_OFFSET),
        ("footer bytes", trailer_at::FOOTER_BYTES),
        ("footer checksum", trailer_at::FOOTER_CRC),
        ("partitions", trailer_at::PARTITIONS),
        ("blocks", trailer_at::BLOCKS),
        ("batches", trailer_at::BATCHES),
        ("reserved", trailer_at::RESERVED),
        ("sha256", trailer_at::SHA256),
    ];
    claims("Object trailer", &trailer, trailer_at::END);
}

#[test]
fn format_md_has_the_fields_of_blocks_and_rows() {
    let block_head = [
        ("magic", block_head_at::MAGIC),
        ("batches", block_head_at::BATCHES),
        ("topic", block_head_at::TOPIC),
        ("partition", block_head_at::PARTITION),
        ("base offset", block_head_at::BASE_OFFSET),
        ("last offset", block_head_at::LAST_OFFSET),
        ("max timestamp", block_head_at::MAX_TIMESTAMP),
        ("bytes", block_head_at::BYTES),
        ("reserved", block_head_at::RESERVED),
        ("checksum", block_head_at::CRC),
    ];
    claims("Object block head", &block_head, block_head_at::END);
    let partition = [
        ("topic", partition_at::TOPIC),
        ("partition", partition_at::PARTITION),
        ("first block", partition_at::FIRST_BLOCK),
        ("base offset", partition_at::BASE_OFFSET),
        ("last offset", partition_at::LAST_OFFSET),
        ("max timestamp", partition_at::MAX_TIMESTAMP),
        ("blocks", partition_at::BLOCKS),
        ("batches", partition_at::BATCHES),
        ("bytes", partition_at::BYTES),
        ("reserved", partition_at::RESERVED),
    ];
    claims("Object partition row", &partition, partition_at::END);
    let block = [
        ("topic", block_at::TOPIC),
        ("partition", block_at::PARTITION),
        ("shard", block_at::SHARD),
        ("index", block_at::INDEX),
        ("base offset", block_at::BASE_OFFSET),
        ("last offset", block_at::LAST_OFFSET),
        ("max timestamp", block_at::MAX_TIMESTAMP),
        ("position", block_at::POSITION),
        ("bytes", block_at::BYTES),
        ("checksum", block_at::CRC),
    ];
    claims("Object block row", &block, block_at::END);
}

#[test]
fn format_md_has_the_fields_of_the_commands() {
    let intent = [
        ("object", intent_at::OBJECT),
        ("term", intent_at::TERM),
        ("sequence", intent_at::SEQUENCE),
        ("first index", intent_at::FIRST_INDEX),
        ("last index", intent_at::LAST_INDEX),
    ];
    claims("Object intent", &intent, intent_at::END);
    let manifest = [
        ("object", manifest_at::OBJECT),
        ("object bytes", manifest_at::OBJECT_BYTES),
        ("tail bytes", manifest_at::TAIL_BYTES),
        ("rows", manifest_at::ROWS),
        ("sha256", manifest_at::SHA256),
        ("created", manifest_at::CREATED),
        ("last term", manifest_at::LAST_TERM),
    ];
    claims("Object manifest", &manifest, manifest_at::END);
    let row = [
        ("topic", row_at::TOPIC),
        ("partition", row_at::PARTITION),
        ("row bytes", row_at::BYTES),
        ("base offset", row_at::BASE_OFFSET),
        ("last offset", row_at::LAST_OFFSET),
        ("max timestamp", row_at::MAX_TIMESTAMP),
    ];
    claims("Object manifest row", &row, row_at::END);
    assert_eq!((step_at::OBJECT, step_at::STEP, step_at::END), (0, 16, 17));
}

#[test]
fn format_md_has_the_fields_of_a_checkpoint() {
    let head = [
        ("magic", checkpoint_at::MAGIC),
        ("version", checkpoint_at::VERSION),
        ("flags", checkpoint_at::FLAGS),
        ("shard", checkpoint_at::SHARD),
        ("cluster", checkpoint_at::CLUSTER),
        ("replica", checkpoint_at::REPLICA),
        ("applied", checkpoint_at::APPLIED),
        ("time", checkpoint_at::TIME),
        ("length", checkpoint_at::LENGTH),
        ("checksum", checkpoint_at::CRC),
        ("term", checkpoint_at::TERM),
        ("state bytes", checkpoint_at::STATE_BYTES),
        ("key id", checkpoint_at::KEY_ID),
    ];
    claims("Checkpoint head", &head, checkpoint_at::END);
}

/// FORMAT.md says that a block row is a sealed segment's batch row but for its last field.
#[test]
fn a_block_row_has_the_fields_of_a_sealed_segments_batch() {
    let seal = FORMAT_MD.split("\n## ").find(|section| section.starts_with("Batch\n")).unwrap();
    let fields = documented("Object block row");
    let (last, same) = fields.split_last().unwrap();
    assert_eq!(last, &(68, 4, "checksum".to_owned()));
    for (at, size, name) in same {
        let row = format!("| {at} | {size} | {name} |");
        assert!(seal.contains(&row), "a sealed segment's batch has no row {row}");
    }
}

#[test]
fn format_md_has_the_limits_of_the_code() {
    let grouped = |number: u64| {
        let digits = number.to_string();
        let groups: Vec<&str> =
            digits.as_bytes().rchunks(3).rev().map(|part| str::from_utf8(part).unwrap()).collect();
        groups.join(",")
    };
    let objects =
        FORMAT_MD.split("\n## ").find(|section| section.starts_with("Objects\n")).unwrap();
    for words in [
        format!("at most {} partitions", grouped(OBJECT_PARTITIONS_MAX as u64)),
        format!("{} batches", grouped(OBJECT_BATCHES_MAX as u64)),
        format!("{} bytes", grouped(OBJECT_BYTES_MAX)),
        format!("above {} MiB", OBJECT_PAYLOAD_BYTES_CUT >> 20),
        format!("({} MiB)", BATCH_BYTES_MAX >> 20),
        format!("above {} KiB", BLOCK_PAYLOAD_BYTES_CUT >> 10),
        format!("the last {} KiB", TAIL_BYTES >> 10),
    ] {
        assert!(objects.contains(&words), "FORMAT.md does not say: {words}");
    }
}
