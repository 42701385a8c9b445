//! What is not the object that was written is noticed, wherever it differs.

use std::sync::OnceLock;

use bytes::{Bytes, BytesMut};
use holdfast_base::{Rng, SplitMix64};
use proptest::prelude::*;

use super::support::{build, footer, identity, log, slice};
use crate::error::ObjectError;
use crate::format::rows::block_at;
use crate::format::trailer::{TRAILER_BYTES, at};
use crate::format::{
    BLOCK_ROW_BYTES, HEAD_BYTES, PARTITION_ROW_BYTES, get_u32, get_u64, head_at, set_checksum,
    set_u32, set_u64,
};
use crate::read::Block;
use crate::{Footer, Tail, verify_object};

/// A log whose object is small enough to try every byte, and has several blocks.
fn small() -> Bytes {
    static SMALL: OnceLock<Bytes> = OnceLock::new();
    let find = || {
        let found = (0..500).map(|seed| build(&log(seed)).0);
        let mut small = found.filter(|object| (1500..6000).contains(&object.len()));
        small.find(|object| footer(object).partitions().len() > 2).unwrap()
    };
    SMALL.get_or_init(find).clone()
}

fn flipped(object: &Bytes, at: usize, bit: u32) -> Bytes {
    let mut bytes = BytesMut::from(&object[..]);
    bytes[at] ^= 1 << bit;
    bytes.freeze()
}

/// Reads all there is through the reader's way: footer, then every block.
fn read_all(object: &Bytes) -> Result<(), ObjectError> {
    let read = Footer::from_tail(&identity(), object.len() as u64, object)?;
    let Tail::Footer(footer) = read else {
        return Err(ObjectError::Truncated { part: "footer", have: 0, need: 0 });
    };
    for block in footer.blocks() {
        let opened = Block::open(block, slice(object, &(block.position..block.end())))?;
        assert!(opened.batches().count() > 0, "a checked block has a batch");
    }
    Ok(())
}

#[test]
fn each_flipped_byte_is_noticed_by_the_checksum_of_its_structure() {
    let object = small();
    assert_eq!(read_all(&object), Ok(()));
    let footer_offset = footer(&object).trailer().footer_offset as usize;
    let trailer = object.len() - TRAILER_BYTES;
    for at in 0..object.len() {
        let damaged = flipped(&object, at, (at % 8) as u32);
        assert!(verify_object(&damaged).is_err(), "byte {at} of {}", object.len());
        let expected = if at < HEAD_BYTES {
            // A reader does not look at the head, and at nothing else that it does not check.
            Ok(())
        } else if at < footer_offset {
            Err(ObjectError::Damaged { part: "block" })
        } else if at < trailer {
            Err(ObjectError::Damaged { part: "footer" })
        } else if at < trailer + 8 {
            Err(ObjectError::NotAnObject { part: "trailer" })
        } else {
            Err(ObjectError::Damaged { part: "trailer" })
        };
        assert_eq!(read_all(&damaged), expected, "byte {at}");
    }
}

#[test]
fn an_object_cut_short_anywhere_is_noticed() {
    let object = small();
    for len in 0..object.len() {
        let cut = object.slice(..len);
        assert!(verify_object(&cut).is_err(), "{len} of {} bytes", object.len());
        assert!(read_all(&cut).is_err(), "{len} of {} bytes", object.len());
        // A short answer for the right length: the trailer is not at its end.
        let tail = Footer::from_tail(&identity(), object.len() as u64, &cut);
        assert!(tail.is_err(), "{len} of {} bytes as a tail", object.len());
    }
    let mut longer = BytesMut::from(&object[..]);
    longer.extend_from_slice(&[0]);
    assert!(verify_object(&longer.freeze()).is_err());
}

#[test]
fn an_object_under_anothers_name_is_not_taken_for_it() {
    let (object, _) = build(&log(3));
    let asked = crate::ObjectIdentity { sequence: 4, ..identity() };
    let read = Footer::from_tail(&asked, object.len() as u64, &object);
    let expected = ObjectError::WrongObject { asked: Box::new(asked), found: Box::new(identity()) };
    assert_eq!(read.map(|_| ()), Err(expected));
}

#[test]
fn bytes_of_another_block_are_not_taken_for_these() {
    let object = small();
    let footer = footer(&object);
    for asked in footer.blocks() {
        for other in footer.blocks().filter(|other| other.position != asked.position) {
            // As many bytes as asked for, from the wrong place.
            let end = (other.position + u64::from(asked.len_bytes)).min(object.len() as u64);
            let bytes = slice(&object, &(end - u64::from(asked.len_bytes)..end));
            assert!(Block::open(asked, bytes).is_err());
        }
    }
}

#[test]
fn what_may_be_damage_on_the_way_is_worth_reading_again_and_a_lie_is_not() {
    let damaged = ObjectError::Damaged { part: "block" };
    let lies = ObjectError::Lies { part: "footer", what: "x" };
    assert!(damaged.is_worth_reading_again());
    assert!(!lies.is_worth_reading_again());
    assert!(!ObjectError::UnknownVersion { version: 2 }.is_worth_reading_again());
}

#[test]
fn a_later_version_is_named_and_not_guessed_at() {
    let object = small();
    for (start, len) in [(0, HEAD_BYTES), (object.len() - TRAILER_BYTES, TRAILER_BYTES)] {
        let mut later = BytesMut::from(&object[..]);
        later[start + 8] = 2;
        set_checksum(&mut later[start..start + len]);
        let read = verify_object(&later.freeze()).map(|_| ());
        assert_eq!(read, Err(ObjectError::UnknownVersion { version: 2 }));
    }
}

/// An object whose footer and trailer were changed by somebody who can compute checksums.
fn forged(object: &Bytes, change: impl FnOnce(&mut [u8])) -> Bytes {
    let mut bytes = BytesMut::from(&object[..]);
    let trailer = bytes.len() - TRAILER_BYTES;
    let start = get_u64(&bytes, trailer + at::FOOTER_OFFSET) as usize;
    change(&mut bytes[start..]);
    let crc = crc32c::crc32c(&bytes[start..trailer]);
    set_u32(&mut bytes, trailer + at::FOOTER_CRC, crc);
    set_checksum(&mut bytes[trailer..]);
    bytes.freeze()
}

#[test]
fn each_count_of_a_trailer_that_lies_is_refused() {
    let object = small();
    assert_eq!(read_all(&forged(&object, |_| {})), Ok(()), "the forger can do it");
    for field in [at::FOOTER_OFFSET, at::FOOTER_BYTES, at::PARTITIONS, at::BLOCKS, at::BATCHES] {
        for value in [0, 1, u32::MAX, 1 << 31, 1 << 20] {
            let forged = forged(&object, |rest| {
                let trailer = rest.len() - TRAILER_BYTES;
                let lies = get_u32(rest, trailer + field) != value;
                assert!(lies || value <= 1, "a lie, not what it was");
                set_u32(rest, trailer + field, if lies { value } else { value + 2 });
            });
            let read = read_all(&forged);
            assert!(matches!(read, Err(ObjectError::Lies { .. })), "{field} {value}: {read:?}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    /// Whoever can compute checksums may write what he wants into rows: it is refused, or it is a
    /// footer whose every lookup stays inside the object.
    #[test]
    fn a_forged_footer_is_refused_or_harmless(seed: u64) {
        let mut rng = SplitMix64::new(seed);
        let object = small();
        let object = forged(&object, |rest| {
            let rows = rest.len() - TRAILER_BYTES;
            for _ in 0..=rng.below(3) {
                let at = rng.below(rows as u64) as usize;
                rest[at] = if rng.chance(1, 3) { 0xff } else { rng.next_u64() as u8 };
            }
        });
        if let Ok(Tail::Footer(footer)) = Footer::from_any_tail(object.len() as u64, &object) {
            for row in footer.partitions() {
                for offset in [0, row.base_offset, row.last_offset, i64::MAX] {
                    if let Some(plan) = footer.plan_read(&row.partition, offset, 1 << 20) {
                        prop_assert!(plan.range.end <= object.len() as u64);
                        let _ = footer.open_blocks(&plan, &slice(&object, &plan.range));
                    }
                    let _ = footer.plan_by_timestamp(&row.partition, offset, row.max_timestamp_ms);
                }
            }
        }
        let _ = verify_object(&object);
    }
}

/// CRCs are against accidents; the hash (also in the manifest) is what a change on purpose meets.
#[test]
fn a_change_with_every_checksum_made_good_is_found_by_the_hash() {
    let object = small();
    let forged = forged(&object, |rest| {
        let row = rest.len() - TRAILER_BYTES - BLOCK_ROW_BYTES;
        let last = get_u64(rest, rest.len() - TRAILER_BYTES + head_at::LAST_INDEX);
        let first = get_u64(rest, rest.len() - TRAILER_BYTES + head_at::FIRST_INDEX);
        let was = get_u64(rest, row + block_at::INDEX);
        set_u64(rest, row + block_at::INDEX, if was == last { first } else { last });
    });
    assert_eq!(read_all(&forged), Ok(()), "a reader sees nothing");
    let verified = verify_object(&forged).map(|_| ());
    assert_eq!(verified, Err(ObjectError::Damaged { part: "whole" }));
}

#[test]
fn rows_lie_where_format_md_says() {
    let object = small();
    let footer = footer(&object);
    let start = footer.trailer().footer_offset as usize;
    let rows = footer.partitions().len() * PARTITION_ROW_BYTES;
    let last = footer.blocks().last().unwrap();
    let at = start + rows + (footer.blocks().len() - 1) * BLOCK_ROW_BYTES;
    assert_eq!(object[at..at + BLOCK_ROW_BYTES], last.encode());
}
