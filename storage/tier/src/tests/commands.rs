//! Commands are read back as they were written, or not at all.

use holdfast_base::{Index, Term};
use proptest::prelude::*;

use super::support::{build, identity, log};
use crate::format::{set_u32, set_u64};
use crate::{Intent, Manifest, ObjectId, ObjectStep, Step};
use holdfast_log::object_layout::{intent_at, manifest_at, row_at};

fn manifest(seed: u64) -> Manifest {
    build(&log(seed)).1.manifest
}

fn encoded(manifest: &Manifest) -> Vec<u8> {
    let mut body = Vec::new();
    manifest.encode(&mut body);
    body
}

proptest! {
    #[test]
    fn a_manifest_reads_back_and_no_other_length_does(seed: u64) {
        let manifest = manifest(seed);
        let body = encoded(&manifest);
        prop_assert_eq!(body.len(), manifest.encoded_len());
        prop_assert_eq!(Manifest::decode(&body).unwrap(), manifest);
        for len in 0..body.len() {
            prop_assert!(Manifest::decode(&body[..len]).is_err());
        }
        let longer: Vec<u8> = body.iter().copied().chain([0]).collect();
        prop_assert!(Manifest::decode(&longer).is_err());
    }

    #[test]
    fn an_intent_and_a_step_read_back_and_no_other_length_does(
        object: [u8; 16], term in 0..1_u64 << 62, sequence: u64, first in 1..1_u64 << 61,
        more in 0..1_u64 << 61,
    ) {
        let intent = Intent {
            object: ObjectId(object),
            term: Term(term),
            sequence,
            first_index: Index(first),
            last_index: Index(first + more),
        };
        let mut body = Vec::new();
        intent.encode(&mut body);
        prop_assert_eq!(Intent::decode(&body), Ok(intent));
        prop_assert!(Intent::decode(&body[1..]).is_err());
        body.push(0);
        prop_assert!(Intent::decode(&body).is_err());
        for step in [Step::Abandon, Step::Retire, Step::Gone] {
            let step = ObjectStep { object: ObjectId(object), step };
            let mut body = Vec::new();
            step.encode(&mut body);
            prop_assert_eq!(ObjectStep::decode(&body), Ok(step));
            prop_assert!(ObjectStep::decode(&body[1..]).is_err());
            body[16] = 4;
            prop_assert!(ObjectStep::decode(&body).is_err());
        }
    }

    #[test]
    fn no_body_makes_decoding_panic(body in prop::collection::vec(any::<u8>(), 0..400)) {
        let _ = Manifest::decode(&body);
        let _ = Intent::decode(&body);
        let _ = ObjectStep::decode(&body);
    }
}

#[test]
fn a_manifest_that_cannot_be_true_is_refused() {
    let manifest = (0..100).map(manifest).find(|manifest| manifest.rows.len() > 1).unwrap();
    let body = encoded(&manifest);
    let second = manifest_at::END + row_at::END;
    type Lie = (&'static str, Box<dyn Fn(&mut Vec<u8>)>);
    let lies: [Lie; 9] = [
        ("no rows", Box::new(|body| set_u32(body, manifest_at::ROWS, 0))),
        ("more rows than bytes", Box::new(|body| set_u32(body, manifest_at::ROWS, u32::MAX))),
        ("an endless object", Box::new(|body| set_u64(body, manifest_at::OBJECT_BYTES, 1 << 40))),
        ("a tail of nothing", Box::new(|body| set_u32(body, manifest_at::TAIL_BYTES, 0))),
        ("an impossible term", Box::new(|body| set_u64(body, manifest_at::LAST_TERM, u64::MAX))),
        (
            "a partition twice",
            Box::new(move |body| {
                body.copy_within(manifest_at::END..manifest_at::END + 20, second);
            }),
        ),
        ("a negative partition", Box::new(move |body| set_u32(body, second + 16, u32::MAX))),
        (
            "offsets that end before they begin",
            Box::new(move |body| {
                set_u64(body, second + row_at::LAST_OFFSET, (-1_i64).cast_unsigned());
            }),
        ),
        (
            "other bytes than the object has",
            Box::new(move |body| {
                set_u32(body, second + row_at::BYTES, 1);
            }),
        ),
    ];
    for (lie, tell) in lies {
        let mut body = body.clone();
        tell(&mut body);
        assert!(Manifest::decode(&body).is_err(), "{lie}");
    }
}

#[test]
fn an_intent_of_an_empty_range_is_refused() {
    let intent = Intent {
        object: ObjectId([1; 16]),
        term: Term(1),
        sequence: 1,
        first_index: Index(3),
        last_index: Index(3),
    };
    let mut body = Vec::new();
    intent.encode(&mut body);
    for (field, value) in [
        (intent_at::FIRST_INDEX, 4),
        (intent_at::FIRST_INDEX, 0),
        (intent_at::LAST_INDEX, 1 << 62),
        (intent_at::TERM, u64::MAX),
    ] {
        let mut lie = body.clone();
        set_u64(&mut lie, field, value);
        assert!(Intent::decode(&lie).is_err(), "{field} {value}");
    }
}

#[test]
fn an_intent_names_the_key_of_its_object() {
    let named = identity();
    let intent = Intent {
        object: named.object,
        term: named.term,
        sequence: named.sequence,
        first_index: Index(1),
        last_index: Index(2),
    };
    assert_eq!(intent.identity(named.cluster, named.shard), named);
}
