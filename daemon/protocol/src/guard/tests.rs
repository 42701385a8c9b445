//! The guard believes nothing, and agrees with the decoder.

use bytes::Bytes;
use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use proptest::prelude::*;

use super::samples::{self, Sample};
use super::*;
use crate::request::{RequestHeader, decode_request};
use crate::samples::client_requests;
use crate::versions::Api;

fn header(api_key: i16, version: i16) -> Option<RequestHeader> {
    let api = Api::from_key(api_key).filter(|api| api.accepts(version))?;
    Some(RequestHeader { api, version, correlation_id: 0, client_id: None })
}

fn accepted() -> Vec<(RequestHeader, Sample)> {
    let mut samples = samples::all(2, 5);
    samples.extend(samples::all(0, 0));
    samples
        .into_iter()
        .filter_map(|sample| Some((header(sample.api_key, sample.version)?, sample)))
        .collect()
}

#[test]
fn every_valid_body_passes_and_decodes() {
    let samples = accepted();
    assert!(samples.len() >= 2 * 150, "{}", samples.len());
    for (header, sample) in samples {
        let what = format!("{:?} v{}", header.api, header.version);
        check(sample.api_key, sample.version, &sample.body)
            .unwrap_or_else(|error| panic!("{what}: {error}"));
        decode_request(&header, Bytes::from(sample.body))
            .unwrap_or_else(|error| panic!("{what}: {error}"));
    }
}

#[test]
fn every_encoding_of_a_client_passes_and_decodes_to_what_was_encoded() {
    for sent in client_requests(&Bytes::from_static(b"records")) {
        let what = format!("{:?} v{}", sent.api, sent.version);
        let incoming = crate::read_header(sent.frame.clone())
            .unwrap_or_else(|error| panic!("{what}: {error}"));
        let crate::Incoming::Request { header, body } = incoming else { panic!("{what}") };
        assert_eq!((header.correlation_id, header.client_id.as_deref()), (77, Some("sample")));
        let decoded =
            decode_request(&header, body).unwrap_or_else(|error| panic!("{what}: {error}"));
        assert_eq!(decoded, sent.request, "{what}");
    }
}

#[test]
fn every_length_that_claims_the_most_is_refused_wherever_it_stands() {
    let mut arrays = 0;
    for sample in samples::all(2, 5) {
        for length in &sample.lengths {
            let body = sample.with_hostile_length(*length);
            let judged = check(sample.api_key, sample.version, &body);
            let what = format!("key {} v{} {length:?}", sample.api_key, sample.version);
            assert!(judged.is_err(), "{what}");
            arrays += usize::from(length.array);
        }
    }
    assert!(arrays > 700, "only {arrays} arrays were tried");
}

#[test]
fn every_cut_and_every_extra_byte_is_refused() {
    for sample in samples::all(2, 5) {
        for end in 0..sample.body.len() {
            let judged = check(sample.api_key, sample.version, &sample.body[..end]);
            assert!(judged.is_err(), "key {} v{} cut at {end}", sample.api_key, sample.version);
        }
        let mut longer = sample.body.clone();
        longer.push(0);
        let judged = check(sample.api_key, sample.version, &longer);
        assert_eq!(judged, Err(GuardRefusal::TrailingBytes { extra_bytes: 1 }));
    }
}

#[test]
fn the_body_that_aborts_the_decoder_is_refused() {
    // The decoder would reserve this much for the four bytes; it is not called here.
    let reserved = 0x7fff_ffff_u64 * size_of::<MetadataRequestTopic>() as u64;
    assert!(reserved > 100 << 30, "{reserved}");
    let judged = check(Api::Metadata.key(), 1, &[0x7f, 0xff, 0xff, 0xff]);
    let refusal = GuardRefusal::PastTheEnd { field: "Topics", claimed: 0x7fff_ffff, left_bytes: 0 };
    assert_eq!(judged, Err(refusal));
}

#[test]
fn a_count_that_fits_the_bytes_but_not_the_budget_is_refused() {
    let topics = |count: usize| {
        let mut body = i32::try_from(count).unwrap().to_be_bytes().to_vec();
        body.resize(4 + 2 * count, 0);
        check(Api::Metadata.key(), 1, &body)
    };
    assert_eq!(topics(ITEMS_MAX), Ok(()));
    assert_eq!(topics(ITEMS_MAX + 1), Err(GuardRefusal::TooManyItems { field: "Topics" }));
}

#[test]
fn a_tag_is_as_long_as_it_says() {
    // ApiVersions v3: two empty texts, one unknown tag of one byte, and then its variations.
    let judge = |tags: &[u8]| check(18, 3, &[&[1, 1], tags].concat());
    assert_eq!(judge(&[1, 5, 1, 0]), Ok(()));
    assert!(judge(&[1, 5, 2, 0]).is_err());
    assert!(judge(&[2, 5, 1, 0]).is_err());
    // Fetch v12's cluster id, tag 0, one byte longer than its text.
    let mut fetch = vec![0; 4 * 4 + 1 + 4 + 4];
    fetch.extend_from_slice(&[1, 1, 1]);
    let with = |tags: &[u8]| check(1, 12, &[fetch.as_slice(), tags].concat());
    assert_eq!(with(&[1, 0, 2, 2, b'c']), Ok(()));
    let wrong = GuardRefusal::WrongTagSize { field: "ClusterId", claimed: 3, taken: 2 };
    assert_eq!(with(&[1, 0, 3, 2, b'c', 0]), Err(wrong));
}

#[test]
fn a_varint_has_32_bits_and_five_bytes() {
    // ApiVersions v3: the length of the client's name.
    let judge = |varint: &[u8]| check(18, 3, varint);
    let refusal = Err(GuardRefusal::WrongVarint { field: "ClientSoftwareName" });
    assert_eq!(judge(&[0xff, 0xff, 0xff, 0xff, 0x1f]), refusal);
    assert_eq!(judge(&[0x80, 0x80, 0x80, 0x80, 0x80, 0x01]), refusal);
    assert!(matches!(
        judge(&[0xff, 0xff, 0xff, 0xff, 0x0f]),
        Err(GuardRefusal::PastTheEnd { claimed: 0xffff_fffe, .. })
    ));
}

#[test]
fn what_has_no_schema_is_not_walked() {
    let none = |api_key, version| {
        assert_eq!(check(api_key, version, &[]), Err(GuardRefusal::NoSchema { api_key, version }));
    };
    none(0, 2);
    none(1, 19);
    none(9, 0);
    none(61, 0);
    none(-1, 0);
}

#[test]
fn a_struct_that_may_be_absent_is_announced_by_one_or_minus_one() {
    // DescribeTopicPartitions v0: no topics, a limit, the cursor, no tags.
    let judge = |cursor: &[u8]| check(75, 0, &[&[1, 0, 0, 0, 9], cursor, &[0]].concat());
    assert_eq!(judge(&[0xff]), Ok(()));
    // An empty name, a partition, no tags.
    assert_eq!(judge(&[1, 1, 0, 0, 0, 7, 0]), Ok(()));
    for wrong in [0_u8, 2, 0x7f, 0x80, 0xfe] {
        let refusal = Err(GuardRefusal::WrongLength {
            field: "Cursor",
            claimed: i64::from(wrong.cast_signed()),
        });
        assert_eq!(judge(&[wrong]), refusal);
        assert_eq!(judge(&[wrong, 1, 0, 0, 0, 7, 0]), refusal);
    }
    assert!(judge(&[1]).is_err() && judge(&[]).is_err());
}

#[test]
fn elements_are_as_small_as_the_budget_assumes() {
    use kafka_protocol::messages as m;
    let sizes = [
        size_of::<m::create_topics_request::CreatableTopic>(),
        size_of::<m::describe_configs_request::DescribeConfigsResource>(),
        size_of::<m::fetch_request::FetchPartition>(),
        size_of::<m::incremental_alter_configs_request::AlterConfigsResource>(),
        size_of::<m::join_group_request::JoinGroupRequestProtocol>(),
        size_of::<m::leave_group_request::MemberIdentity>(),
        size_of::<m::offset_commit_request::OffsetCommitRequestPartition>(),
        size_of::<m::offset_commit_request::OffsetCommitRequestTopic>(),
        size_of::<m::offset_fetch_request::OffsetFetchRequestGroup>(),
        size_of::<m::offset_for_leader_epoch_request::OffsetForLeaderTopic>(),
    ];
    assert!(sizes.iter().all(|size| *size < 256), "{sizes:?}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(6_000))]

    #[test]
    fn mutated_bodies_never_abort(
        pick in any::<prop::sample::Index>(),
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
    ) {
        let samples = accepted();
        let (header, sample) = &samples[pick.index(samples.len())];
        let mut body = sample.body.clone();
        for (at, value) in changes {
            if !body.is_empty() {
                let at = at.index(body.len());
                body[at] = value;
            }
        }
        let _ = decode_request(header, Bytes::from(body));
    }

    #[test]
    fn random_bodies_never_abort(
        pick in any::<prop::sample::Index>(),
        body in proptest::collection::vec(any::<u8>(), 0..200),
    ) {
        let samples = accepted();
        let (header, _) = &samples[pick.index(samples.len())];
        let _ = decode_request(header, Bytes::from(body));
    }
}
