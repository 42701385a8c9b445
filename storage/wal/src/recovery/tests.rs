//! The table, walked row by row and in every combination of facts.

use super::{Facts, Place, Verdict, decide};

const PLACES: [Place; 4] =
    [Place::Superblock, Place::SegmentHeader, Place::SealedSegment, Place::OpenSegment];

fn every_combination() -> impl Iterator<Item = Facts> {
    PLACES.into_iter().flat_map(|place| {
        (0..32_u32).map(move |bits| Facts {
            place,
            other_copy_valid: bits & 1 != 0,
            unreadable: bits & 2 != 0,
            claimed: bits & 4 != 0,
            beyond_window: bits & 8 != 0,
            zeros_behind: bits & 16 != 0,
        })
    })
}

/// The rows of the module's table: what they ask of the facts, and the verdict.
type Rule = (&'static str, fn(&Facts) -> bool, Verdict);
const TABLE: [Rule; 9] = [
    (
        "superblock or header, one copy",
        |f| matches!(f.place, Place::Superblock | Place::SegmentHeader) && f.other_copy_valid,
        Verdict::Repair,
    ),
    (
        "superblock, both copies",
        |f| f.place == Place::Superblock && !f.other_copy_valid,
        Verdict::LaneFailed,
    ),
    (
        "segment header, both copies, in use",
        |f| f.place == Place::SegmentHeader && !f.other_copy_valid && f.claimed,
        Verdict::LaneFailed,
    ),
    (
        "segment header, both copies, not in use",
        |f| f.place == Place::SegmentHeader && !f.other_copy_valid && !f.claimed,
        Verdict::NeverOpened,
    ),
    ("frame, sealed", |f| f.place == Place::SealedSegment, Verdict::Corruption),
    (
        "frame, open, unreadable",
        |f| f.place == Place::OpenSegment && f.unreadable,
        Verdict::Corruption,
    ),
    (
        "frame, open, claimed or beyond W",
        |f| f.place == Place::OpenSegment && !f.unreadable && (f.claimed || f.beyond_window),
        Verdict::Corruption,
    ),
    (
        "frame, open, something behind",
        |f| {
            f.place == Place::OpenSegment
                && !(f.unreadable || f.claimed || f.beyond_window || f.zeros_behind)
        },
        Verdict::Torn,
    ),
    (
        "frame, open, zeros behind",
        |f| {
            f.place == Place::OpenSegment
                && !(f.unreadable || f.claimed || f.beyond_window)
                && f.zeros_behind
        },
        Verdict::End,
    ),
];

#[test]
fn every_combination_of_facts_has_exactly_one_row_and_its_verdict() {
    let mut hits = [0; TABLE.len()];
    for facts in every_combination() {
        let rows: Vec<usize> = (0..TABLE.len()).filter(|row| TABLE[*row].1(&facts)).collect();
        assert_eq!(rows.len(), 1, "{facts:?} is in rows {rows:?}");
        hits[rows[0]] += 1;
        assert_eq!(decide(&facts), TABLE[rows[0]].2, "{}: {facts:?}", TABLE[rows[0]].0);
    }
    assert!(hits.iter().all(|hits| *hits > 0), "a row nothing reaches: {hits:?}");
}

#[test]
fn evidence_of_durability_is_never_a_torn_tail() {
    for facts in every_combination() {
        if facts.claimed || facts.beyond_window || facts.unreadable {
            let ends_log = matches!(decide(&facts), Verdict::Torn | Verdict::End);
            assert!(!ends_log, "{facts:?}");
        }
    }
}
